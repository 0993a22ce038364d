"""Tokens: one per client, requested once for all calls, renewed early, no loops."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest
from octopia_stage import in_memory, step
from pydantic import SecretStr

from octopus_soap.octopia import (
    AsyncOctopiaClient,
    ConnectionLostError,
    OctopiaClient,
    OctopiaConnectError,
    OctopiaCredentials,
    OctopiaProtocolError,
    OctopiaSettings,
    TokenCache,
    TokenError,
    TokenQuotaError,
    TokenRefusedError,
)
from octopus_soap.octopia.effects import Reply, Send, Wait
from octopus_soap.octopia.exchange import Exchange, read_grant, scrubber, token_request
from octopus_soap.octopia.fake import bad_gateway, problem, too_many
from octopus_soap.octopia.operations import Operations
from octopus_soap.octopia.tokens import Flight, Grant, Lead, Token, TokenKey
from tests.every import every

CROWD = 60
PLAIN = scrubber(())


def grant(lifetime: float | None = 7200, value: str = "t") -> Grant:
    return Grant(SecretStr(value), lifetime)


def key(secret: str = "s", client_id: str = "c") -> TokenKey:
    return TokenKey.of("https://x.example/token", client_id, SecretStr(secret))


@pytest.fixture
def cache(timer) -> TokenCache:
    return TokenCache(clock=timer)


@pytest.fixture
def exchange(credentials, settings, cache, timer) -> Exchange:
    return Exchange(credentials, credentials.seller_id, settings, cache, timer, lambda low, high: high)


# -- the day, the margin --------------------------------------------------------------------------------------------------


def test_a_day_at_a_call_a_minute_asks_for_at_most_13_tokens(exchange, service, timer):
    answer = in_memory(service, timer)
    for _ in range(24 * 60):
        step(Operations.seller.body(type("Client", (), {"exchange": exchange})), answer)
        timer.advance(60)
    assert service.count("GET /sellers") == 24 * 60  # no call was refused for an old token
    assert service.tokens_issued <= 13


def test_four_hours_with_short_tokens_stay_far_below_the_quota(exchange, service, timer):
    service.token_lifetime = 300
    answer = in_memory(service, timer)
    for _ in range(4 * 60):
        step(Operations.seller.body(type("Client", (), {"exchange": exchange})), answer)
        timer.advance(60)
    assert service.count("GET /sellers") == 4 * 60
    assert service.tokens_issued == 4 * 60 // 4


@pytest.mark.parametrize(
    ("lifetime", "used_for"),
    [(7200, 7080), (300, 240), (60, 48), (1, 10), (None, 240), (10**9, 86_400 - 120)],
)
def test_a_token_is_renewed_120_s_ahead_and_less_if_it_is_short_lived(cache, timer, lifetime, used_for):
    lead = cache.claim(key())
    token = cache.fulfil(lead.flight, grant(lifetime))
    timer.advance(used_for - 1)
    assert cache.claim(key()) is token
    timer.advance(1)
    assert isinstance(cache.claim(key()), Lead)


def test_during_the_margin_one_renews_and_the_others_go_on_with_the_old_token(cache, timer):
    token = cache.fulfil(cache.claim(key()).flight, grant())
    timer.advance(7100)
    lead = cache.claim(key())
    assert isinstance(lead, Lead)
    assert lead.fallback is token
    assert cache.claim(key()) is token
    newer = cache.fulfil(lead.flight, grant(value="t2"))
    assert cache.claim(key()) is newer


def test_a_failed_renewal_ahead_goes_on_with_the_old_token(exchange, service, timer):
    answer = in_memory(service, timer)
    first = step(exchange.token(), answer)
    timer.advance(7100)
    service.fail("POST token", problem(500, "Internal Server Error"))
    assert step(exchange.token(), answer) is first
    assert step(exchange.token(), answer) is first  # it does not try again at once
    assert service.count("POST token") == 2
    timer.advance(2)
    assert step(exchange.token(), answer) is not first


# -- single flight --------------------------------------------------------------------------------------------------------


def test_many_threads_at_once_cause_one_token_request(credentials, settings, service):
    gate = threading.Barrier(CROWD)
    with (
        OctopiaClient(credentials, settings=settings, tokens=TokenCache()) as client,
        ThreadPoolExecutor(CROWD) as pool,
    ):

        def ask(_: int) -> str | None:
            gate.wait()
            return client.seller().seller_id

        assert set(pool.map(ask, range(CROWD))) == {"55501"}
    assert service.count("POST token") == 1
    assert service.count("GET /sellers") == CROWD


def test_many_tasks_at_once_cause_one_token_request(credentials, settings, service):
    async def crowd() -> set[str | None]:
        async with AsyncOctopiaClient(credentials, settings=settings, tokens=TokenCache()) as client:
            return {seller.seller_id for seller in await asyncio.gather(*(client.seller() for _ in range(CROWD)))}

    assert asyncio.run(crowd()) == {"55501"}
    assert service.count("POST token") == 1


def test_threads_and_event_loops_that_share_a_cache_cause_one_token_request(credentials, settings, service):
    tokens, gate = TokenCache(), threading.Barrier(20)

    async def tasks() -> None:
        async with AsyncOctopiaClient(credentials, settings=settings, tokens=tokens) as client:
            await asyncio.gather(*(client.seller() for _ in range(5)))

    def worker(number: int) -> None:
        gate.wait()
        if number % 2:
            asyncio.run(tasks())
        else:
            with OctopiaClient(credentials, settings=settings, tokens=tokens) as client:
                client.seller()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(worker, range(20)))
    assert service.count("POST token") == 1


def test_all_sellers_of_a_client_share_one_token(call, fake, service):
    service.add_seller("222")
    service.add_client(fake.client_id, fake.client_secret, sellers=["222"])
    call("seller")
    assert call("seller", client=call.client.for_seller("222")).seller_id == "222"
    assert service.tokens_issued == 1


def test_two_clients_share_the_cache_they_are_given(credentials, settings, service):
    tokens = TokenCache()
    for _ in range(3):
        with OctopiaClient(credentials, settings=settings, tokens=tokens) as client:
            client.seller()
    assert service.tokens_issued == 1


def test_another_secret_never_gets_the_token_of_the_right_one(credentials, settings):
    tokens = TokenCache()
    with OctopiaClient(credentials, settings=settings, tokens=tokens) as client:
        client.seller()
    intruder = OctopiaCredentials(client_id=credentials.client_id, client_secret=SecretStr("guess"), seller_id="55501")
    with OctopiaClient(intruder, settings=settings, tokens=tokens) as client, pytest.raises(TokenRefusedError):
        client.seller()


def test_a_cancelled_leader_leaves_its_place_to_a_follower(exchange, service, timer):
    leader, follower = exchange.token(), exchange.token()
    assert isinstance(next(leader), Send)
    waiting = next(follower)
    assert isinstance(waiting, Wait)
    with pytest.raises(asyncio.CancelledError):
        leader.throw(asyncio.CancelledError())
    assert waiting.event.done()
    effect = follower.send(True)
    assert isinstance(effect, Send)  # it is the leader now
    follower.close()


def test_a_task_cancelled_while_asking_does_not_hold_up_the_others(credentials, settings, service):
    async def scene() -> str | None:
        async with AsyncOctopiaClient(credentials, settings=settings, tokens=TokenCache()) as client:
            leader = asyncio.create_task(client.seller())
            await asyncio.sleep(0)
            other = asyncio.create_task(client.seller())
            await asyncio.sleep(0)
            leader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leader
            return (await other).seller_id

    assert asyncio.run(scene()) == "55501"


def test_a_cancelled_follower_takes_nobody_with_it(credentials, settings):
    async def scene() -> list[str | None]:
        async with AsyncOctopiaClient(credentials, settings=settings, tokens=TokenCache()) as client:
            tasks = [asyncio.create_task(client.seller()) for _ in range(5)]
            await asyncio.sleep(0)
            tasks[2].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(done.pop(2), asyncio.CancelledError)
            return [seller.seller_id for seller in done if not isinstance(seller, BaseException)]

    assert asyncio.run(scene()) == ["55501"] * 4


def test_a_flight_given_up_is_taken_over_by_one_caller(cache):
    lost = cache.claim(key())
    first = cache.claim(key(), supersede=lost.flight)
    second = cache.claim(key(), supersede=lost.flight)
    assert isinstance(first, Lead)
    assert isinstance(second, Flight)
    assert second is first.flight


def test_a_blocking_call_inside_the_leaders_event_loop_does_not_wait_for_itself(credentials, settings, service):
    tokens = TokenCache()

    async def scene() -> str | None:
        async with AsyncOctopiaClient(credentials, settings=settings, tokens=tokens) as client:
            task = asyncio.create_task(client.seller())
            await asyncio.sleep(0)
            with OctopiaClient(credentials, settings=settings, tokens=tokens) as blocking:
                seen = blocking.seller().seller_id
            await task
            return seen

    assert asyncio.run(scene()) == "55501"


def test_a_wait_that_takes_too_long_is_given_up(credentials, settings, monkeypatch):
    monkeypatch.setattr(OctopiaSettings, "waits_at_most", 0.01)
    with OctopiaClient(credentials, settings=settings, tokens=TokenCache()) as client:
        claim = client.exchange.tokens.claim(client.exchange._key)
        object.__setattr__(claim.flight, "thread", -1)  # as if another thread had died while it led
        assert client.seller().seller_id == "55501"

    async def asynchronous() -> str | None:
        async with AsyncOctopiaClient(credentials, settings=settings, tokens=TokenCache()) as other:
            other.exchange.tokens.claim(other.exchange._key)
            return (await other.seller()).seller_id

    assert asyncio.run(asynchronous()) == "55501"


# -- failure --------------------------------------------------------------------------------------------------------------


def test_refused_credentials_are_asked_about_once_a_minute(call, service, timer, settings):
    service.clients.clear()
    for _ in range(50):
        with pytest.raises(TokenRefusedError, match="Invalid client") as raised:
            call("seller")
        assert raised.value.status == 401
    assert service.count("POST token") == 1
    timer.advance(60)
    with pytest.raises(TokenRefusedError):
        call("seller")
    assert service.count("POST token") == 2


def test_a_corrected_secret_is_tried_at_once(settings, fake, timer):
    tokens = TokenCache(clock=timer)
    wrong = OctopiaCredentials(client_id=fake.client_id, client_secret=SecretStr("wrong"), seller_id=fake.seller_id)
    right = OctopiaCredentials(
        client_id=fake.client_id, client_secret=SecretStr(fake.client_secret), seller_id=fake.seller_id
    )
    with OctopiaClient(wrong, settings=settings, tokens=tokens) as client, pytest.raises(TokenRefusedError):
        client.seller()
    with OctopiaClient(right, settings=settings, tokens=tokens) as client:
        assert client.seller().seller_id == fake.seller_id


def test_passing_failures_are_retried_and_then_remembered_ever_longer(exchange, service, timer):
    answer = in_memory(service, timer)
    service.fail("POST token", *[bad_gateway()] * 8)
    for spell in (1, 2):
        with pytest.raises(TokenError, match="HTML"):
            step(exchange.token(), answer)
        asked = service.count("POST token")
        assert asked == 4 * spell
        with pytest.raises(TokenError):
            step(exchange.token(), answer)
        assert service.count("POST token") == asked
        timer.advance(2 ** (spell - 1))
    assert isinstance(step(exchange.token(), answer), Token)


def test_an_unreachable_token_service_is_told_as_that(credentials, timer):
    settings = OctopiaSettings(token_url="http://127.0.0.1:1/token", api_url="http://127.0.0.1:1/v2")
    with OctopiaClient(credentials, settings=settings, clock=timer, sleep=timer.sleep) as client:
        with pytest.raises(OctopiaConnectError) as first:
            client.seller()
        with pytest.raises(OctopiaConnectError) as second:
            client.seller()
    assert first.value is not second.value
    assert len(timer.slept) == 3


def test_429_from_the_token_service_is_waited_out_and_its_length_is_kept(exchange, service, timer):
    answer = in_memory(service, timer)
    service.fail("POST token", too_many("5"))
    assert isinstance(step(exchange.token(), answer), Token)
    assert timer.slept == [5.5]
    exchange.tokens.forget()
    service.fail("POST token", too_many("600"))
    for _ in range(3):
        with pytest.raises(TokenError) as raised:
            step(exchange.token(), answer)
        assert raised.value.retry_after == 600
    assert service.count("POST token") == 3


def test_the_501st_request_of_an_hour_is_not_sent(timer):
    cache = TokenCache(clock=timer)
    for _ in range(500):
        cache.note_request(key())
        timer.advance(1)
    with pytest.raises(TokenQuotaError) as raised:
        cache.note_request(key("another secret of the same client"))
    assert raised.value.retry_after == pytest.approx(3100)
    cache.note_request(key(client_id="other"))
    timer.advance(3101)
    cache.note_request(key())


def test_a_spent_quota_is_raised_by_calls_and_heals(exchange, service, timer):
    answer = in_memory(service, timer)
    exchange.tokens.hourly_limit = 1
    step(exchange.token(), answer)
    exchange.tokens.forget()
    with pytest.raises(TokenQuotaError):
        step(exchange.token(), answer)
    timer.advance(3600)
    step(exchange.token(), answer)
    assert service.count("POST token") == 2


def test_a_broken_connection_is_tried_again(exchange, service, timer):
    memory, broken = in_memory(service, timer), iter([ConnectionLostError("x"), OctopiaConnectError("x")])

    def answer(effect):
        return next(broken, None) or memory(effect) if isinstance(effect, Send) else memory(effect)

    assert isinstance(step(exchange.token(), answer), Token)
    assert len(timer.slept) == 2


# -- refused tokens -------------------------------------------------------------------------------------------------------


def test_many_reports_of_one_refused_token_cause_one_renewal(cache):
    token = cache.fulfil(cache.claim(key()).flight, grant())
    assert [cache.refuse(key(), token) for _ in range(50)] == [True] * 50
    newer = cache.fulfil(cache.claim(key()).flight, grant(value="t2"))
    assert cache.refuse(key(), token)
    assert cache.claim(key()) is newer


def test_a_token_that_replaced_a_refused_one_is_kept_for_a_minute(cache, timer):
    cache.refuse(key(), cache.fulfil(cache.claim(key()).flight, grant()))
    token = cache.fulfil(cache.claim(key()).flight, grant())
    assert not cache.refuse(key(), token)
    timer.advance(60)
    assert cache.refuse(key(), token)


# -- the request and its answer -------------------------------------------------------------------------------------------


@every(
    ("client_id", "secret"), [("Some Shop Ltd", 'a&b=c+d%/é"'), ("shop@example.com", "s p a c e"), ("plain-id", "%zz")]
)
def test_the_form_holds_exactly_the_three_documented_fields_encoded(client_id, secret):
    credentials = OctopiaCredentials(client_id=client_id, client_secret=SecretStr(secret))
    request = token_request("https://x.example/token", credentials)
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.secret_headers == {}
    assert parse_qs(request.body.get_secret_value().decode("ascii"), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": [client_id],
        "client_secret": [secret],
    }


@every(
    ("sent", "lifetime"),
    [
        ("7200", 7200),
        ('"7200"', 7200),
        ("300.5", 300.5),
        ("null", None),
        ("0", None),
        ("-5", None),
        ("true", None),
        ('"soon"', None),
        ("NaN", None),
        ("Infinity", None),
        ("[]", None),
        ("1" + "0" * 400, None),
    ],
)
def test_an_odd_expires_in_reads_as_unknown(sent, lifetime):
    body = f'{{"access_token": "t", "expires_in": {sent}, "refresh_token": "never used"}}'
    assert read_grant(Reply(status=200, body=body.encode()), PLAIN).lifetime == lifetime


@every(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b"{}",
        b'{"access_token": ""}',
        b'{"access_token": "a b"}',
        b'{"access_token": 5}',
        b"\xff",
    ],
)
def test_a_success_without_a_usable_token_is_a_protocol_error(body):
    with pytest.raises(OctopiaProtocolError):
        read_grant(Reply(status=200, body=body), PLAIN)


@every(
    ("status", "body", "error", "text"),
    [
        (401, b'{"error": "invalid_client", "error_description": "Bad secret"}', TokenRefusedError, "Bad secret"),
        (400, b'{"title": "Bad Request", "detail": "no such client"}', TokenRefusedError, "no such client"),
        (403, b"", TokenRefusedError, "empty"),
        (500, b"<html>oops</html>", TokenError, "HTML"),
        (302, b"", TokenError, "302"),
    ],
)
def test_both_forms_of_token_errors_and_none_are_read(status, body, error, text):
    with pytest.raises(error, match=text) as raised:
        read_grant(Reply(status=status, body=body), PLAIN)
    assert raised.value.status == status
    assert type(raised.value) is error


def test_the_cache_says_nothing_about_its_tokens(cache):
    cache.fulfil(cache.claim(key()).flight, grant(value="canary-token"))
    assert "canary" not in f"{cache!r}{cache.claim(key())!r}{key('canary-secret')!r}"
