"""A canary secret must appear in none of the places in which secrets are found."""

import asyncio
import io
import logging
import pickle
import traceback

import pytest
from octopia_stage import Caller
from pydantic import SecretStr

from octopus_soap.octopia import OctopiaCredentials, OctopiaError, OctopiaSettings, identify
from octopus_soap.octopia.effects import Reply, Request
from octopus_soap.octopia.exchange import problem_of, scrubber
from octopus_soap.octopia.fake import FakeAnswer, bad_gateway, dropped, json_answer, problem, unauthorized
from octopus_soap.octopia.tokens import Grant
from tests.every import every

CANARY = "canary+secret&x=y/é"
SPELLINGS = ("canary+secret", "canary%2Bsecret", "CanaryToken", "canary-key")


@pytest.fixture(params=["sync", "async"])
def canary(request, fake, timer):
    fake.service.add_client("canary client", CANARY, sellers=[fake.seller_id])
    credentials = OctopiaCredentials(
        client_id="canary client", client_secret=SecretStr(CANARY), seller_id=fake.seller_id
    )
    settings = OctopiaSettings(
        token_url=fake.token_url,
        api_url=fake.api_url,
        subscription_key=SecretStr("canary-key"),
        allow_writes=True,
    )
    caller = Caller(request.param, credentials, settings, timer)
    yield caller
    caller.close()


def assert_clean(text: str) -> None:
    for spelling in SPELLINGS:
        assert spelling not in text, text[max(0, text.find(spelling) - 200) : text.find(spelling) + 50]


def everything_of(error: BaseException) -> str:
    """Return what a log, a crash reporter and a pickle would show of *error*."""
    with_locals = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    facts = repr(vars(error))
    return "\n".join([str(error), repr(error), facts, with_locals, repr(pickle.dumps(error))])


SCENES = {
    "refused at the token service": ("POST token", [json_answer({"error": f"{CANARY} is wrong"}, 401)]),
    "token service down": ("POST token", [bad_gateway()] * 4),
    "token service hangs up": ("POST token", [dropped()] * 4),
    "no token in the answer": ("POST token", [json_answer({"access_token": "CanaryToken with spaces"})]),
    "token answer cut short": ("POST token", [FakeAnswer(200, b'{"access_token": "CanaryToken')]),
    "api repeats the secret": (
        "GET /sellers",
        [problem(400, f"you sent {CANARY}", "canary%2Bsecret%26x%3Dy%2F%C3%A9")],
    ),
    "api repeats it in fields": ("GET /sellers", [problem(422, "x", errors={CANARY: [CANARY, "canary-key"]})]),
    "api hangs up": ("GET /sellers", [dropped()] * 4),
    "api answers rubbish": ("GET /sellers", [FakeAnswer(200, CANARY.encode())]),
    "api redirects": ("GET /sellers", [FakeAnswer(307, b"", {"Location": "http://127.0.0.1:1/"})]),
    "api refuses": ("GET /sellers", [unauthorized()] * 2),
}


@pytest.mark.parametrize("scene", SCENES, ids=lambda name: name.replace(" ", "-"))
def test_no_failure_shows_a_secret(canary, service, scene, caplog):
    caplog.set_level(logging.DEBUG)
    service.fail(SCENES[scene][0], *SCENES[scene][1])  # no local variable here, because locals are checked below
    with pytest.raises(OctopiaError) as raised:
        canary("seller")
    seen = everything_of(raised.value) + caplog.text + repr(canary.client)
    assert_clean(seen)
    assert "eyJfake" not in seen


def test_no_failure_of_a_write_shows_a_secret(canary, service, caplog):
    service.fail("POST /orders", dropped(after=True))
    with pytest.raises(OctopiaError) as raised:
        canary("approve_order", "ORD00001", "Accepted")
    seen = everything_of(raised.value) + caplog.text
    assert_clean(seen)
    assert "eyJfake" not in seen


def test_success_at_debug_level_logs_no_secret_in_any_logger(canary, caplog):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(name) for name in (None, "httpcore", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG), caplog.at_level(1, "httpcore"):
            canary("seller")
            canary.listed("orders")
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert "GET /sellers: 200" in stream.getvalue()  # the loggers did log
    assert_clean(stream.getvalue() + caplog.text)
    assert "eyJfake" not in stream.getvalue() + caplog.text


def test_no_repr_shows_a_secret(canary, fake):
    canary("seller")
    client = canary.client
    request = Request(
        method="GET", url="u", call="c", headers={"A": CANARY}, secret_headers={"B": SecretStr(CANARY)}, body=None
    )
    held = {"clientId": "c", "clientSecret": CANARY, "sellerId": "1"}
    shown = [client, client.exchange, client.settings, client.exchange.tokens, client.driver, request]
    shown += [Reply(status=200, headers={"a": CANARY}, body=CANARY.encode()), identify(held)]
    shown += [Grant(SecretStr(CANARY), 1), client.exchange.tokens._entries]
    assert_clean("\n".join(map(repr, shown)))


@pytest.mark.parametrize("canary", ["async"], indirect=True)
def test_a_concurrent_failure_shows_no_secret_either(canary, service):
    service.fail("POST token", json_answer({"error": CANARY}, 401))

    async def crowd() -> list[object]:
        return await asyncio.gather(*(canary.client.seller() for _ in range(20)), return_exceptions=True)

    failures = canary.runner.run(crowd())
    assert len({id(f) for f in failures}) == 20
    for failure in failures:
        assert isinstance(failure, OctopiaError)
        assert_clean(everything_of(failure))


def test_bearer_headers_and_tokens_in_a_servers_words_are_masked():
    body = b'{"detail": "got Bearer abc.def and eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.sig_x-1 today"}'
    assert problem_of(Reply(status=400, body=body), scrubber(())).text == "got [hidden] and [hidden] today"


def test_a_secret_across_the_cut_is_masked_whole():
    body = ('{"detail": "' + "x" * 295 + 'canary-key"}').encode()
    assert "cana" not in problem_of(Reply(status=400, body=body), scrubber([SecretStr("canary-key")])).text


@every("spelling", ["two words+", "two%20words%2B", "two+words%2B"])
def test_a_secret_is_masked_in_every_spelling_of_a_form_or_an_address(spelling):
    assert scrubber([SecretStr("two words+")])(f"<{spelling}>") == "<[hidden]>"
