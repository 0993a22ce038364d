"""Canary values appear in no log, repr, error, traceback, pickle or warning."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
import warnings
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import responses

import octopus_soap
from octopus_soap import (
    AsyncOctopusClient,
    BatchError,
    ConfigError,
    InvalidInputError,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    OrderSubmit,
)
from octopus_soap.emulator import Emulator, Fault, Html, Lie, Merchant, Reset, Status
from octopus_soap.engine.request import Context
from octopus_soap.wire.redact import Redactor
from tests.catalogue import BY_NAME, KINDS, ROWS
from tests.every import every
from tests.faults.raw_servers import CREDENTIALS, EXISTS, RawServer, envelope, http, raw_server, read_request
from tests.inside import context_of, secrets_are_in

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

TOKEN, ACCESS, ACCOUNT, CARD = "canary-token-1", "canary-access-2", "canary<account>&3", "4111-canary-4444"
CANARIES = (TOKEN, ACCESS, ACCOUNT, CARD, "canary&lt;account&gt;&amp;3", "canary&lt;account")


def clean(text: str) -> bool:
    return not any(canary in text for canary in CANARIES)


def all_there_is(error: BaseException) -> str:
    """Return every text that an error may be shown as."""
    parts = [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    if isinstance(error, OctopusError):
        parts.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(parts)


@pytest.fixture(autouse=True)
def every_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Set the loggers of this and of every library below to DEBUG."""
    names = [
        "",
        "octopus_soap",
        "urllib3",
        "urllib3.connectionpool",
        "zeep",
        "zeep.transports",
        "requests",
        "http.client",
    ]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    assert clean(caplog.text)
    assert clean(" ".join(str(warning.message) for warning in said))


@pytest.fixture
def canaries() -> Iterator[Emulator]:
    with Emulator(merchants=[Merchant("shop", authtoken=TOKEN, accessid=ACCESS)]) as service:
        yield service


def client_of(endpoint: str, **settings: Any) -> OctopusClient:
    given = {"authtoken": TOKEN, "accessid": ACCESS, "merchantname": "shop", "account_id": ACCOUNT, "backoff_base": 0.0}
    return OctopusClient(settings=OctopusSettings.load(endpoint=endpoint, **{**given, **settings}))


def test_reprs_show_none(canaries):
    with client_of(canaries.url) as client:
        shown = [client, client.settings, client.with_options(read_timeout=1), context_of(client)]
        shown += [client.get_item_list, client.submit_order, *secrets_are_in(client)]
        shown += [
            OctopusClient.get_item_list,
            client.settings.model_dump(),
            client.settings.model_dump_json(),
            vars(client),
        ]
        order = OrderSubmit(order_id="1", credit_card=CARD)
        shown += [order, str(order)]
        for thing in shown:
            assert clean(repr(thing)), type(thing)
            assert clean(str(thing)), type(thing)
    assert isinstance(context_of(client), Context)


PACKAGE = str(Path(octopus_soap.__file__).parent)


def ours(error: BaseException) -> str:
    """Return the variables of every function of the package in *error*'s traceback."""
    shown: list[str] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        if (part := waiting.pop()) is not None:
            waiting += [part.__cause__, part.__context__]
            for frame, _ in traceback.walk_tb(part.__traceback__):
                if frame.f_code.co_filename.startswith(PACKAGE):
                    shown.append(f"{frame.f_code.co_qualname}: {frame.f_locals}")
    return "\n".join(shown)


@pytest.mark.parametrize("call", KINDS, ids=str)
@pytest.mark.parametrize("way", ["a failure", "refused input"])
def test_an_account_given_to_a_call_is_in_no_variable_of_ours(call, way, canaries):
    """Debuggers show these variables. The caller's own variables are not ours."""
    canaries.script.on("*").do(Status(503))
    with client_of(canaries.url, account_id=None, max_attempts=1) as client:
        account = {"account_id": ACCOUNT if way == "a failure" else f"{ACCOUNT}\0"}
        method = call.method(client)
        with pytest.raises(OctopusError) as caught:
            method(*call.arguments, **account)
        assert "kwargs" in ours(caught.value)
        assert clean(ours(caught.value))
        if way == "refused input" and hasattr(method, "stream"):
            with pytest.raises(InvalidInputError) as caught:
                next(iter(method.stream(*call.arguments, **account)))
            assert clean(ours(caught.value))


@pytest.mark.parametrize("call", KINDS, ids=str)
@pytest.mark.parametrize(
    "fault", [Fault("internal"), Status(401), Status(503), Html(), Reset("after"), Lie("bad-scalar")], ids=str
)
def test_errors_of_every_kind_of_operation_show_none(call, fault, canaries):
    canaries.script.on("*").do(fault)
    with client_of(canaries.url, max_attempts=1) as client:
        arguments = call.arguments
        if call.operation == "SubmitOrder":
            arguments = (arguments[0].replace(credit_card=CARD),)
        error: OctopusError | None = None
        try:
            call.method(client)(*arguments)
        except OctopusError as raised:
            error = raised
        assert error is None or clean(all_there_is(error))


def echo(make: Callable[[bytes, dict[str, str]], bytes]) -> Callable[[socket.socket], None]:
    """A service that echoes its request."""

    def answer(connection: socket.socket) -> None:
        while request := read_request(connection):
            head, _, body = request.partition(b"\r\n\r\n")
            lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
            headers = {name.decode().lower(): value.decode() for name, _, value in lines}
            connection.sendall(make(body, headers))

    return answer


def _said(headers: dict[str, str]) -> str:
    return f"{headers['authtoken']} and {headers['accessid']} and canary&lt;account&gt;&amp;3 and {CARD}"


ECHOES: dict[str, Callable[[bytes, dict[str, str]], bytes]] = {
    "the request as a page": lambda body, _: http(b"<html><title>Oops</title>" + body, "500 Oops"),
    "the request with 200": lambda body, _: http(b"<html>" + body),
    "the request itself": lambda body, _: http(body),
    "the headers as a page": lambda _, headers: http(f"<html><title>{_said(headers)}</title>".encode(), "404 No"),
    "a redirect": lambda _, headers: http(b"", "302 Found", f"Location: https://x.example/{headers['authtoken']}\r\n"),
    "a fault": lambda _, headers: http(
        envelope(f"<s:Fault><faultcode>s:Client</faultcode><faultstring>{_said(headers)}</faultstring></s:Fault>"),
        "500 X",
    ),
    "a fault's detail": lambda body, headers: http(
        envelope(
            f"<s:Fault><faultcode>s:Client</faultcode><faultstring>no</faultstring><detail><accountID>x{CARD}</accountID>"
            f"<CreditCard>{CARD}</CreditCard><x>{headers['authtoken']}</x></detail></s:Fault>"
        )
    ),
    "a failure": lambda _, headers: http(
        envelope(
            f"<GetItemQuantityInfoResponse><R><Data>{headers['accessid']}</Data><Message>{headers['authtoken']} is odd</Message>"
            "<Status>Failure</Status></R></GetItemQuantityInfoResponse>"
        )
    ),
    "a row's message": lambda _, headers: http(
        envelope(
            f"<GetItemQuantityInfoResponse><R><ResultData><Sku>A</Sku><ErrorMessage>{headers['authtoken']} is odd</ErrorMessage>"
            "</ResultData><Status>Success</Status></R></GetItemQuantityInfoResponse>"
        )
    ),
    "a bad value": lambda _, headers: http(
        envelope(
            f"<GetItemQuantityInfoResponse><R><ResultData><Sku>A</Sku><Stock>{headers['authtoken']}</Stock></ResultData>"
            "<Status>Success</Status></R></GetItemQuantityInfoResponse>"
        )
    ),
}


@every("name", ECHOES)
def test_a_service_that_echoes_secrets_is_masked(name):
    with raw_server(echo(ECHOES[name])) as server, client_of(server.url, max_attempts=1) as client:
        with pytest.raises(OctopusError) as caught:
            client.get_item_quantity_info("A")
        shown = all_there_is(caught.value).replace(CARD, "") if "headers" in name or name == "a fault" else None
        assert clean(shown or all_there_is(caught.value)), "a card number in the service's own words is not recognised"


def test_rows_that_echo_secrets_are_masked_in_outcomes():
    def answer(_: bytes, headers: dict[str, str]) -> bytes:
        rows = "".join(
            f"<r><Sku>{sku}</Sku><Result>false</Result><ErrorMessage>{headers['accessid']} may not</ErrorMessage></r>"
            for sku in "ABC"
        )
        name = "UpdateItemQuantityAndPriceList"
        return http(
            envelope(f"<{name}Response><R><Status>Success</Status><ResultData>{rows}</ResultData></R></{name}Response>")
        )

    with raw_server(echo(answer)) as server, client_of(server.url) as client:
        result = BY_NAME["UpdateItemQuantityAndPriceList"](client)
        assert clean(repr(result.outcomes))
        assert result.rejected[0].message == "*** may not"
        with pytest.raises(OctopusError) as caught:
            result.raise_for_rejected()
        assert clean(all_there_is(caught.value))


def test_refused_input_shows_no_secret():
    with pytest.raises(InvalidInputError) as caught:
        OrderSubmit(order_id="1", credit_card=CARD + "\x00")
    assert clean(all_there_is(caught.value))
    with pytest.raises(InvalidInputError) as caught:
        OrderSubmit(order_id="1", CreditCard=int("4111"), order_items=5)
    assert clean(all_there_is(caught.value))
    assert "credit_card" in caught.value.message or "CreditCard" in caught.value.message
    with client_of("http://127.0.0.1:9/x", account_id=ACCOUNT + "\x01") as client:
        for call in (ROWS[0], BY_NAME["GetItemList"], BY_NAME["SubmitOrder"]):
            with pytest.raises(InvalidInputError) as caught:
                call(client)
            assert clean(all_there_is(caught.value))


@every(
    "wrong",
    [
        {"authtoken": TOKEN + "\n"},
        {"accessid": " " + ACCESS},
        {"authtoken": TOKEN + "é"},
        {"endpoint": 5},
        {"read_timeout": TOKEN},
    ],
)
def test_settings_errors_show_no_secret(wrong):
    given = {"endpoint": "https://x.example", "authtoken": TOKEN, "accessid": ACCESS, "merchantname": "m"}
    with pytest.raises(ConfigError) as caught:
        OctopusSettings.load(**{**given, **wrong})
    assert clean(all_there_is(caught.value))


def test_results_and_their_errors_pickle_without_credentials(canaries):
    canaries.store.add_item("A", Price=1)
    with client_of(canaries.url, account_id=ACCESS) as client:
        canaries.script.on("GetItemList", key="B").do(Status(404))
        with pytest.raises(BatchError) as caught:
            client.get_item_list(["A", "B"], batch_size=1)
        assert clean(pickle.dumps(caught.value.result).decode("latin-1"))
        assert clean(repr(caught.value.result.outcomes))


# -- where credentials go ------------------------------------------------------------------------------------------


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def has_credentials(request: Any) -> bool:
    text = repr(dict(request.headers))
    return any(canary in text for canary in CANARIES)


def test_a_redirect_is_not_followed_and_takes_no_credentials_along(mocked):
    origin, elsewhere = "https://one.example/x", "https://two.example/x"
    mocked.post(origin, status=307, headers={"Location": elsewhere})
    mocked.post(elsewhere, body=EXISTS)
    with client_of(origin) as client, pytest.raises(OctopusError, match="redirects to"):
        client.is_sku_exist("A")
    assert [call.request.url for call in mocked.calls] == [origin]
    assert has_credentials(mocked.calls[0].request)


def test_no_credentials_over_http_to_another_machine():
    for endpoint in (
        "http://service.example/x",
        "http://10.0.0.1/x",
        "http://localhost.evil.example/x",
        "http://[2001:db8::1]/",
    ):
        with pytest.raises(ConfigError, match="plain http"):
            client_of(endpoint)
    for endpoint in ("http://127.0.0.1/x", "http://localhost:8080/x", "http://[::1]/x", "https://service.example/x"):
        client_of(endpoint).close()
    client_of("http://service.example/x", allow_insecure=True).close()


def test_clients_zeep_sends_the_headers_to_the_endpoint_only(mocked):
    endpoint, elsewhere = "https://one.example/x", "https://two.example/x"
    mocked.post(endpoint, body=EXISTS)
    mocked.post(elsewhere, body=EXISTS)
    with client_of(endpoint) as client:
        client.zeep.service.IsSkuExist(accountID="x", sku="A")
        sent = mocked.calls[0].request
        assert sent.url == endpoint, "it is not sent to the address in the WSDL"
        assert (sent.headers["authtoken"], sent.headers["accessid"], sent.headers["merchantname"]) == (
            TOKEN,
            ACCESS,
            "shop",
        )
        binding = next(iter(client.zeep.wsdl.bindings))
        client.zeep.create_service(binding, elsewhere).IsSkuExist(accountID="x", sku="A")
        assert mocked.calls[1].request.url == elsewhere
        assert not has_credentials(mocked.calls[1].request)
        assert clean(repr(client.zeep))
        assert clean(repr(vars(client.zeep.transport)))


@pytest.mark.parametrize(
    "other",
    ["https://one.example:444/x", "http://one.example/x", "https://one.example.evil/x", "https://evil/one.example"],
)
def test_another_port_scheme_or_host_is_another_origin(other, mocked):
    from octopus_soap.transport.connections import OriginAuth

    auth = OriginAuth("https://one.example/x", {"authtoken": TOKEN})
    assert not has_credentials(auth(requests.Request("POST", other).prepare()))
    assert has_credentials(auth(requests.Request("POST", "https://ONE.example:443/y").prepare()))
    assert clean(repr(auth))


# -- the caller's session --------------------------------------------------------------------------------------------


def _look(session: requests.Session) -> dict[str, Any]:
    return {
        "headers": dict(session.headers),
        "cookies": session.cookies.get_dict(),
        "auth": session.auth,
        "params": dict(session.params),
        "hooks": {name: list(hooks) for name, hooks in session.hooks.items()},
        "adapters": {prefix: id(adapter) for prefix, adapter in session.adapters.items()},
        "rest": (
            session.verify,
            session.cert,
            dict(session.proxies),
            session.trust_env,
            session.max_redirects,
            session.stream,
        ),
    }


def test_a_callers_session_is_used_and_not_changed(canaries):
    seen: list[int] = []
    session = requests.Session()
    session.headers["X-Mine"] = "mine"
    session.cookies.set("mine", "1")
    session.auth = ("user", "secret")
    session.hooks["response"].append(lambda response, *_, **__: seen.append(response.status_code))
    before = _look(session)
    settings = OctopusSettings.load(**canaries.settings(), backoff_base=0.0)
    with OctopusClient(settings=settings, session=session) as client:
        canaries.store.add_item("A")
        assert client.is_sku_exist("A")
        canaries.script.on("*").do(Status(503))
        with pytest.raises(OctopusError):
            client.get_item_list(["A"])
        canaries.script.clear()
        client.zeep.service.IsSkuExist(accountID=settings.sent_account_id, sku="A")
    assert _look(session) == before
    assert len(seen) == 5
    assert canaries.calls[0].headers["x-mine"] == "mine"
    assert "authorization" in canaries.calls[0].headers, "the login of a gateway in front"
    session.close()


def test_cookies_a_service_sets_stay_out_of_the_callers_session():
    def answer(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(http(EXISTS, headers="Set-Cookie: tracked=yes; Path=/\r\n"))

    server: RawServer
    session = requests.Session()
    before = _look(session)
    with raw_server(answer) as server:
        settings = OctopusSettings.load(endpoint=server.url, **CREDENTIALS)
        with OctopusClient(settings=settings, session=session) as client:
            assert client.is_sku_exist("A")
            assert client.is_sku_exist("A")
    assert _look(session) == before
    session.close()


@every("kind", ["blocking", "a caller's session", "async"])
def test_cookies_a_service_sets_are_not_sent_back(kind):
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        while request := read_request(connection):
            heads.append(request.lower())
            connection.sendall(http(EXISTS, headers="Set-Cookie: tracked=yes; Path=/\r\n"))

    async def ask(settings: OctopusSettings) -> None:
        async with AsyncOctopusClient(settings=settings) as client:
            assert await client.is_sku_exist("A")
            assert await client.is_sku_exist("A")

    with raw_server(answer) as server:
        settings = OctopusSettings.load(endpoint=server.url, **CREDENTIALS)
        if kind == "async":
            asyncio.run(ask(settings))
        else:
            given = nullcontext() if kind == "blocking" else requests.Session()
            with given as session, OctopusClient(settings=settings, session=session) as client:
                assert client.is_sku_exist("A")
                assert client.is_sku_exist("A")
    assert len(heads) == 2
    assert not any(b"cookie" in head for head in heads)


def test_cookies_a_service_sets_do_not_fill_the_memory_of_an_asynchronous_client(monkeypatch):
    made: list[httpx.AsyncClient] = []

    class Noted(httpx.AsyncClient):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr(httpx, "AsyncClient", Noted)
    names = count()

    def answer(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(http(EXISTS, headers=f"Set-Cookie: name-{next(names)}=yes; Path=/\r\n"))

    async def ask(settings: OctopusSettings) -> None:
        async with AsyncOctopusClient(settings=settings) as client:
            assert await client.is_sku_exist("A")
            assert await client.is_sku_exist("A")

    with raw_server(answer) as server:
        asyncio.run(ask(OctopusSettings.load(endpoint=server.url, **CREDENTIALS)))
    assert next(names) == 2
    assert [len(client.cookies) for client in made] == [0]


@every("encoding", ["utf-16", "utf-16-be"])
def test_a_secret_echoed_in_utf_16_is_masked_too(encoding):
    secret = CREDENTIALS["authtoken"]
    said = f"<x>the token {secret} is old</x>"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    redactor = Redactor([secret])
    assert any(form in (mark + said).encode(encoding) and rare in form for rare, form in redactor.encoded)
    shown = redactor.body((mark + said).encode(encoding), 300)
    assert secret not in shown.replace("\0", "")
    assert "the token" in shown


def test_closing_the_client_leaves_the_callers_session_open(canaries):
    with requests.Session() as session:
        client = OctopusClient(settings=OctopusSettings.load(**canaries.settings()), session=session)
        client.close()
        assert session.get(canaries.url + "?wsdl", timeout=5).ok
