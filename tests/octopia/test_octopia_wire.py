"""The wire: limits that hold, answers for the right call, bounded compression."""

import gzip
import json
import select
import subprocess
import sys
import textwrap
import threading
import zlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
from octopia_stage import Caller, Timer
from raw_server import RawServer, request_of

from octopus_soap.octopia import (
    ApiRejectedError,
    ConnectionLostError,
    OctopiaConnectError,
    OctopiaOutcomeUnknownError,
    OctopiaProtocolError,
    OctopiaSettings,
    OctopiaTimeoutError,
    OctopiaTlsError,
    RetryPolicy,
)
from octopus_soap.octopia.effects import Reply
from octopus_soap.octopia.exchange import read_json
from octopus_soap.octopia.fake import FakeAnswer, json_answer
from tests.every import every

TOKEN = b'{"access_token": "eyJfake.raw.token", "expires_in": 7200}'
SELLER = b'{"seller_id": 55501, "shop_name": "Shop"}'
ONCE = RetryPolicy(attempts=1)


def framed(body: bytes, more: bytes = b"", status: bytes = b"200 OK") -> bytes:
    length = str(len(body)).encode()
    return (
        b"HTTP/1.1 "
        + status
        + b"\r\nContent-Type: application/json\r\n"
        + more
        + b"Content-Length: "
        + length
        + b"\r\n\r\n"
        + body
    )


class Scene:
    """A client of a raw server that gives a token, and *answer* to other requests."""

    def __init__(self, answer, mode, credentials, timer, **options) -> None:
        def serve(connection, number: int) -> None:
            while request := request_of(connection):
                if b" /token " in request.split(b"\r\n")[0]:
                    connection.sendall(framed(TOKEN))
                else:
                    answer(connection, request, number)

        self.server = RawServer(serve)
        settings = OctopiaSettings(
            token_url=f"{self.server.origin}/token", api_url=f"{self.server.origin}/v2", allow_writes=True, **options
        )
        self.call = Caller(mode, credentials, settings, timer)

    def __enter__(self):
        self.server.__enter__()
        return self.call

    def __exit__(self, *_: object) -> None:
        self.server.stopped.set()
        self.call.close()
        self.server.__exit__()


@pytest.fixture(params=["sync", "async"])
def scene(request, credentials, timer):
    return lambda answer, **options: Scene(answer, request.param, credentials, timer, **options)


# -- time -----------------------------------------------------------------------------------------------------------------


def dripping(first: bytes):
    """Send *first*, then a byte again and again: short waits, and no end."""

    def answer(connection, _request, _number) -> None:
        connection.sendall(first)
        while not select.select([connection], [], [], 0.02)[0]:  # it drips until the client hangs up
            connection.sendall(b"x")

    return answer


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"])
def test_one_limit_bounds_the_whole_answer_headers_and_body(scene, first):
    with scene(dripping(first), attempt_seconds=0.4, retry=ONCE) as call:
        with pytest.raises(OctopiaTimeoutError, match=r"did not end within 0\.4 s"):
            call("seller")
        with pytest.raises(OctopiaOutcomeUnknownError):
            call("approve_order", "ORD1", "Accepted")


def test_all_addresses_of_a_host_share_one_connect_limit(credentials, timer, monkeypatch):
    import httpcore

    from octopus_soap.octopia import http

    given: list[float] = []
    clock = Timer()
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(http, "_addresses", lambda host, port: [f"10.0.0.{n}" for n in range(6)])

    def connect(self, host, port, timeout, local_address=None, socket_options=None):
        given.append(timeout)
        clock.advance(0.5)  # uses a part of the limit
        raise httpcore.ConnectError("dead")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    settings = OctopiaSettings(connect_seconds=3.0, retry=ONCE)
    caller = Caller("sync", credentials, settings, timer)
    with pytest.raises(OctopiaConnectError, match="dead"):
        caller("seller")
    caller.close()
    assert given == [3.0, 2.5, 2.0, 1.5, 1.0, 0.5], "each gets what the ones before have left"


# -- which answer belongs to which call -----------------------------------------------------------------------------------


@pytest.mark.parametrize("interim", [b"102 Processing", b"103 Early Hints", b"100 Continue"])
def test_interim_answers_are_passed_over_and_the_connection_is_not_confused(scene, interim):
    def answer(connection, request, _number) -> None:
        who = request.lower().partition(b"sellerid: ")[2].split(b"\r\n")[0]
        connection.sendall(b"HTTP/1.1 " + interim + b"\r\nLink: </a.css>; rel=preload\r\n\r\n")
        connection.sendall(framed(json.dumps({"seller_id": who.decode()}).encode()))

    with scene(answer) as call:
        for seller_id in ("55501", "55502", "55503"):
            assert call("seller", client=call.client.for_seller(seller_id)).seller_id == seller_id
        assert call("approve_order", "ORD1", "Accepted") is None


def test_a_late_answer_is_never_read_as_that_of_the_next_call(scene):
    given_up = threading.Event()

    def answer(connection, _request, number) -> None:
        if number == 1:
            given_up.wait()
        connection.sendall(framed(SELLER.replace(b"55501", str(number).encode())))

    with scene(answer, read_seconds=0.2, retry=ONCE) as call:
        try:
            with pytest.raises(OctopiaTimeoutError):
                call("seller")
        finally:
            given_up.set()
        assert call("seller").seller_id == "2"


@pytest.mark.parametrize("status", [201, 202, 203, 204])
def test_a_write_answered_by_any_success_is_done(call, service, status):
    service.fail("POST /orders", FakeAnswer(status))
    assert call("approve_order", "ORD00001", "Accepted") is None


@pytest.mark.parametrize("status", [301, 302, 304, 307, 408, 425, 460, 499, 500, 501, 502, 504, 520, 599])
def test_a_status_that_does_not_prove_a_refusal_leaves_the_outcome_unknown(call, service, status):
    service.fail("POST /orders", FakeAnswer(status))
    with pytest.raises(OctopiaOutcomeUnknownError) as raised:
        call("approve_order", "ORD00001", "Accepted")
    assert raised.value.status == status
    assert service.count("POST /orders") == 1


def test_a_status_that_proves_it_is_a_refusal(call, service):
    service.fail("POST /orders", FakeAnswer(422))
    with pytest.raises(ApiRejectedError):
        call("approve_order", "ORD00001", "Accepted")


# -- compression ----------------------------------------------------------------------------------------------------------


def test_an_answer_is_read_in_the_usual_codings(scene):
    bodies = [
        (b"gzip", gzip.compress(SELLER)),
        (b"x-gzip", gzip.compress(SELLER[:9]) + gzip.compress(SELLER[9:])),
        (b"deflate", zlib.compress(SELLER)),
    ]
    queue = list(bodies)

    def answer(connection, request, _number) -> None:
        assert b"accept-encoding: gzip, deflate\r\n" in request.lower() + b"\r\n"
        coding, body = queue.pop(0)
        connection.sendall(framed(body, b"Content-Encoding: " + coding + b"\r\n"))

    with scene(answer) as call:
        for _ in bodies:
            assert call("seller").shop_name == "Shop"


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return gzip.compress(b"\0" * 50_000_000)


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip", "br"])
def test_compression_is_bounded_and_one_coding_deep(call, service, coding, bomb):
    body = gzip.compress(bomb) if coding == "gzip, gzip" else bomb
    service.fail("GET /sellers", FakeAnswer(200, body, {"Content-Encoding": coding}))
    with pytest.raises(OctopiaProtocolError, match="cannot be read"):
        call("seller")


def test_a_write_answered_with_damaged_compression_is_an_unknown_outcome(call, service):
    service.fail("POST /orders", FakeAnswer(200, b"damaged", {"Content-Encoding": "gzip"}))
    with pytest.raises(OctopiaOutcomeUnknownError):
        call("approve_order", "ORD00001", "Accepted")


# -- charset --------------------------------------------------------------------------------------------------------------


@every(
    ("kind", "body"),
    [
        ("application/json", '"CAFÉ"'.encode()),
        ("application/json; charset=utf-8", '"CAFÉ"'.encode()),
        ("application/json; charset=iso-8859-1", '"CAFÉ"'.encode("latin-1")),
        ("application/json; charset=iso-8859-1", '"CAFÉ"'.encode("utf-8-sig")),
        ("application/json; charset=utf-8", '"CAFÉ"'.encode("utf-16")),
        ("application/json", '"CAFÉ"'.encode("utf-16")),
    ],
)
def test_a_byte_order_mark_wins_then_the_charset_named(kind, body):
    assert read_json(Reply(status=200, headers={"content-type": kind}, body=body), "x") == "CAFÉ"


@every(
    ("kind", "body"),
    [
        ("application/json; charset=iso-8859-1", '"CAFÉ"'.encode()),  # is it really utf-8?
        ("application/json; charset=utf-8", '"CAFÉ"'.encode("latin-1")),
        ("application/json; charset=no-such", '"CAFÉ"'.encode("latin-1")),
    ],
)
def test_a_charset_that_cannot_be_decided_is_an_error_and_never_another_text(kind, body):
    with pytest.raises(OctopiaProtocolError):
        read_json(Reply(status=200, headers={"content-type": kind}, body=body), "x")


# -- TLS, proxies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_handshake_cut_once_is_tried_again_and_says_nothing_of_a_ca_bundle(credentials, timer, mode):
    def cut(connection, _number) -> None:
        connection.recv(1)

    with RawServer(cut) as server:
        origin = server.origin.replace("http:", "https:")
        settings = OctopiaSettings(token_url=f"{origin}/token", api_url=origin, retry=RetryPolicy(attempts=2))
        caller = Caller(mode, credentials, settings, timer)
        with pytest.raises(OctopiaConnectError) as raised:
            caller("seller")
        caller.close()
        assert server.accepted == 2
    assert not isinstance(raised.value, OctopiaTlsError)
    assert "CA bundle" not in str(raised.value)


PROXIES = {
    "ALL_PROXY": ("socks9://127.0.0.1:1", "ALL_PROXY"),
    "HTTPS_PROXY": ("http://[::1", "HTTPS_PROXY"),
    "https_proxy": ("http://proxy:port", "HTTPS_PROXY"),
}


@every("name", PROXIES)
def test_a_proxy_that_cannot_be_used_is_an_error_that_names_its_variable(name):
    from octopus_soap.octopia import OctopiaConfigError

    value, variable = PROXIES[name]
    with pytest.raises(OctopiaConfigError, match=variable):
        OctopiaSettings().proxy_of("https://api.example/x", {name: value})


def test_a_socks_proxy_without_its_library_says_what_to_install(monkeypatch):
    from octopus_soap.octopia import OctopiaConfigError, settings

    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(OctopiaConfigError, match="pip install socksio"):
        OctopiaSettings().proxy_of("https://api.example/x", {"ALL_PROXY": "socks5://127.0.0.1:1"})


@every(
    ("no_proxy", "url", "used"),
    [
        ("", "https://api.example/x", True),
        ("*", "https://api.example/x", False),
        ("example", "https://api.example/x", False),
        (".example", "https://api.example/x", False),
        ("pi.example", "https://api.example/x", True),
        ("api.example:443", "https://api.example:443/x", False),
        ("::1/128, 10.0.0.0/8", "https://10.1.2.3/x", False),
        ("fe80::/10", "https://[fe80::1]/x", False),
        ("::1/128", "https://api.example/x", True),
        ("", "https://127.0.0.1/x", False),
    ],
)
def test_no_proxy_is_read_as_people_write_it(no_proxy, url, used):
    env = {"ALL_PROXY": "http://user:p%40ss@proxy.example:3128", "NO_PROXY": no_proxy}
    assert (OctopiaSettings().proxy_of(url, env) is not None) is used


def test_a_network_in_no_proxy_that_is_none_is_named():
    from octopus_soap.octopia import OctopiaConfigError

    with pytest.raises(OctopiaConfigError, match="NO_PROXY"):
        OctopiaSettings().proxy_of("https://x.example", {"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/99"})


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_calls_go_through_the_proxy_of_the_environment(credentials, timer, mode, monkeypatch):
    seen: list[bytes] = []

    def refuse(connection, _number) -> None:
        seen.append(request_of(connection))
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with RawServer(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin.replace("//", "//user:p%40ss@"))
        settings = OctopiaSettings(token_url="https://auth.example/token", api_url="https://api.example", retry=ONCE)
        caller = Caller(mode, credentials, settings, timer)
        with pytest.raises((OctopiaConnectError, ConnectionLostError)) as raised:
            caller("seller")
        caller.close()
    assert seen[0].startswith(b"CONNECT auth.example:443")
    assert b"proxy-authorization: Basic dXNlcjpwQHNz".lower() in seen[0].lower()
    assert "p@ss" not in str(raised.value)


# -- after main -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sync", pytest.param("async", marks=pytest.mark.long)])
def test_a_thread_that_outlives_main_still_makes_calls(fake, mode):
    """The host name is looked up in asyncio's thread pool, which ends with main."""
    script = textwrap.dedent(f"""
        import asyncio, threading
        from octopus_soap.octopia import AsyncOctopiaClient, OctopiaClient, OctopiaError
        ENV = {fake.environ()!r}
        ENV = {{name: value.replace("127.0.0.1", "localhost") for name, value in ENV.items()}}
        async def ask():
            async with AsyncOctopiaClient.from_env(ENV) as client:
                return (await client.seller()).seller_id
        def work():
            threading.main_thread().join()
            try:
                if {mode!r} == "async":
                    print(asyncio.run(ask()))
                else:
                    with OctopiaClient.from_env(ENV) as client:
                        print(client.seller().seller_id)
            except OctopiaError as error:
                print("ours:", error)
        threading.Thread(target=work).start()
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == fake.seller_id, done.stdout + done.stderr


def test_the_idle_age_of_connections_is_below_what_load_balancers_allow():
    from octopus_soap.octopia import http

    assert http.IDLE_SECONDS < 60


def test_a_dropped_request_header_value_is_refused_before_it_is_sent(call, service):
    from octopus_soap.octopia import OctopiaInputError

    for headers in ({"X": "a\r\nb"}, {"Authorization": "x"}, {"sellerid": "5"}, {"X": "é"}):
        with pytest.raises(OctopiaInputError):
            call("send", "POST", "/x", None, headers)
    for path in ("x", "https://e.example/x", "/../x", "/a/%2e%2E/b", "/x?y=1", "/x#y", "//x", "/a b", ""):
        with pytest.raises(OctopiaInputError):
            call("get", path)
    assert service.recorded == []


def test_other_calls_go_with_token_seller_retries_and_errors(call, service):
    service.fail("GET /categories", json_answer({"items": [1]}))
    assert call("get", "/categories", {"fields": "label,level"}) == {"items": [1]}
    sent = service.recorded[-1]
    assert (sent.query, sent.headers["sellerid"]) == ({"fields": "label,level"}, "55501")
    service.fail("DELETE /x", FakeAnswer(204), FakeAnswer(400))
    answer = call("send", "DELETE", "/x/5", headers={"SalesChannelId": "CDISFR"})
    assert (answer.status, answer.json()) == (204, None)
    assert service.recorded[-1].headers["saleschannelid"] == "CDISFR"
    assert "content-type" not in service.recorded[-1].headers
    with pytest.raises(ApiRejectedError):
        call("send", "DELETE", "/x/5")
    service.fail("PUT /x", json_answer({"a": 1}, 201))
    assert call("send", "PUT", "/x", {"b": 2}).json() == {"a": 1}
    assert service.recorded[-1].body == b'{"b": 2}'


def test_settings_can_be_replaced_one_by_one(settings):
    assert replace(settings, renew_seconds=1.0).renew_seconds == 1.0
