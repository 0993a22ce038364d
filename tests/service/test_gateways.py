"""Between client and service: TLS with a private authority, SOCKS, logins."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from shutil import which
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.auth import HTTPDigestAuth

from octopus_soap import (
    AuthenticationError,
    ConnectFailedError,
    OctopusClient,
    OctopusSettings,
    OutcomeUnknownError,
    ProtocolError,
    TransportError,
)
from octopus_soap._http import CA_VARIABLES
from octopus_soap.models import OrderSubmit
from tests.awaited import AwaitedClient
from tests.certificates import write_certificate
from tests.every import every
from tests.faults.raw_servers import CREDENTIALS, EXISTS, RawServer, http, raw_server, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BOTH = pytest.mark.parametrize("kind", ["blocking", "async"])
ORDER = OrderSubmit(order_id="1", order_date=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CA_VARIABLES, "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextmanager
def client_of(kind: str, endpoint: str, session: requests.Session | None = None, **given: Any) -> Iterator[Any]:
    settings = OctopusSettings.load(
        endpoint=endpoint,
        max_attempts=1,
        omitted_values="send",
        allow_insecure=True,
        accept_unverified_contract=True,
        **CREDENTIALS,
        **given,
    )
    client: Any = OctopusClient(settings=settings, session=session) if kind == "blocking" else AwaitedClient(settings)
    try:
        yield client
    finally:
        client.close()


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[str]:
    """A service behind TLS, with a certificate of no public authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            while read_request(wrapped):
                wrapped.sendall(http(EXISTS))

    with raw_server(handle) as server:
        yield server.url.replace("http:", "https:")


@BOTH
def test_the_same_variables_decide_which_authority_both_clients_trust(
    kind: str, secure: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answers(**given: Any) -> bool:
        with client_of(kind, secure, **given) as client:
            try:
                return bool(client.is_sku_exist("A"))
            except ConnectFailedError as error:
                return "CERTIFICATE_VERIFY_FAILED" not in str(error)

    trusted, other = certificate[0], write_certificate(tmp_path)[0]
    values = dict.fromkeys(CA_VARIABLES, trusted)
    if openssl := which("openssl"):  # a folder has a file for each authority, named by a hash
        values["SSL_CERT_DIR"] = tmp_path / "authorities"
        values["SSL_CERT_DIR"].mkdir()
        command = [openssl, "x509", "-hash", "-noout", "-in", str(trusted)]
        name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        (values["SSL_CERT_DIR"] / f"{name}.0").write_bytes(trusted.read_bytes())
    assert not answers()
    assert answers(ca_bundle=trusted)
    for variable, value in values.items():
        with monkeypatch.context() as environment:
            environment.setenv(variable, str(value))
            assert answers(), variable
            environment.setenv(variable, str(other))
            assert not answers(), variable
            assert answers(ca_bundle=trusted), "an argument comes before the environment"
    with monkeypatch.context() as environment:  # the first variable that is set counts
        environment.setenv("SSL_CERT_FILE", str(trusted))
        environment.setenv("REQUESTS_CA_BUNDLE", str(other))
        assert not answers()


# -- SOCKS -------------------------------------------------------------------------------------------------------------


def socks5(
    asked: list[str], to: str, reply: bytes = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
) -> Callable[..., None]:
    """A SOCKS5 proxy that connects to *to* for any address (RFC 1928)."""

    def handle(connection: socket.socket) -> None:
        connection.recv(64)
        connection.sendall(b"\x05\x00")
        request = connection.recv(300)
        length = request[4]
        asked.append(request[5 : 5 + length].decode() if request[3] == 3 else str(request[4:8]))
        connection.sendall(reply)
        if reply[1]:
            return
        port = int(to.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as service:
            while sent := read_request(connection):
                service.sendall(sent)
                connection.sendall(service.recv(65536))

    return handle


def answering(connection: socket.socket) -> None:
    while read_request(connection):
        connection.sendall(http(EXISTS))


@BOTH
def test_socks_proxies_work_and_say_so_if_they_do_not(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    refusal = b"\x05\x02\x00\x01" + b"\0" * 6
    with (
        raw_server(answering) as service,
        raw_server(socks5(asked, service.url)) as good,
        raw_server(socks5(asked, service.url, refusal)) as bad,
    ):
        monkeypatch.setenv("ALL_PROXY", good.url.replace("http:", "socks5h:").partition("/Oct")[0])
        with client_of(kind, "http://shop.example/x.svc") as client:
            assert client.is_sku_exist("A")
            assert client.is_sku_exist("A")
        assert (asked, service.connections) == (["shop.example"], 1)
        monkeypatch.setenv("ALL_PROXY", bad.url.replace("http:", "socks5h:").partition("/Oct")[0])
        with (
            client_of(kind, "http://shop.example/x.svc") as client,
            pytest.raises(ConnectFailedError, match=r"through the proxy 127\.0\.0\.1:\d+, from ALL_PROXY"),
        ):
            client.submit_order(ORDER)


@BOTH
@pytest.mark.timeout(30)
def test_a_socks_proxy_that_drips_ends_with_the_connect_limit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def dripping(connection: socket.socket) -> None:
        connection.recv(64)
        connection.sendall(b"\x05\x00")
        connection.recv(300)
        connection.sendall(b"\x05\x00\x00\x03\xff")  # a name of 255 bytes follows
        while not server.closing.wait(0.05):
            connection.sendall(b"x")

    with raw_server(dripping) as server:
        monkeypatch.setenv("ALL_PROXY", server.url.replace("http:", "socks5h:").partition("/Oct")[0])
        limits = {"connect_timeout": 1.0, "total_timeout": 2.0}
        with client_of(kind, "http://shop.example/x.svc", **limits) as client, pytest.raises(TransportError):
            client.is_sku_exist("A")


# -- a login of the caller's session -----------------------------------------------------------------------------------

CHALLENGE = 'WWW-Authenticate: Digest realm="gate", nonce="n0nce", qop="auth", algorithm=MD5\r\n'


@contextmanager
def behind_a_login(*answers: bytes | None) -> Iterator[tuple[RawServer, list[bytes]]]:
    """A server that closes the connection after its last answer; None sends nothing."""
    seen: list[bytes] = []
    waiting = list(answers)

    def handle(connection: socket.socket) -> None:
        while waiting and (request := read_request(connection)):
            seen.append(request)
            connection.sendall(waiting.pop(0) or b"")

    with raw_server(handle) as server:
        yield server, seen


@contextmanager
def logging_in(server: RawServer, **given: Any) -> Iterator[Any]:
    with requests.Session() as session:
        session.auth = HTTPDigestAuth("clerk", "pa55word")
        with client_of("blocking", server.url, session, **given) as client:
            yield client


def test_a_digest_login_is_answered_and_its_second_leg_has_body_and_credentials() -> None:
    with (
        behind_a_login(http(b"no", "401 X", CHALLENGE), http(EXISTS), http(EXISTS)) as (server, seen),
        logging_in(server) as client,
    ):
        assert client.is_sku_exist("A")
        assert client.is_sku_exist("B")
    first, second, third = seen
    assert b"Authorization" not in first
    for leg in (second, third):  # the nonce is used again
        assert b'Authorization: Digest username="clerk"' in leg
        assert b"pa55word" not in leg
        assert CREDENTIALS["authtoken"].encode() in leg
    assert first.partition(b"\r\n\r\n")[2] == second.partition(b"\r\n\r\n")[2]


def test_a_login_that_is_refused_twice_is_no_answer_and_nothing_was_done() -> None:
    refusal = http(b"no", "401 X", CHALLENGE)
    with (
        behind_a_login(refusal, refusal) as (server, seen),
        logging_in(server) as client,
        pytest.raises(AuthenticationError, match="401"),
    ):
        client.submit_order(ORDER)
    assert len(seen) == 2


@every(
    "second",
    [None, http(b"<html/>", "502 X"), http(EXISTS[:40]), b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<s:Env"],
    ids=["closed", "a proxy's error", "half an envelope", "broken off"],
)
def test_an_order_whose_second_leg_is_lost_is_unknown(second: bytes | None) -> None:
    with (
        behind_a_login(http(b"no", "401 X", CHALLENGE), second) as (server, seen),
        logging_in(server) as client,
        pytest.raises(OutcomeUnknownError),
    ):
        client.submit_order(ORDER)
    assert len(seen) == 2


def test_a_refusal_that_is_a_bomb_is_not_inflated_for_the_login() -> None:
    bomb = http(gzip.compress(b" " * 30_000_000), "401 X", f"{CHALLENGE}Content-Encoding: gzip\r\n")
    with (
        behind_a_login(bomb) as (server, seen),
        logging_in(server, max_reply_bytes=100_000) as client,
        pytest.raises(ProtocolError, match="max_reply_bytes"),
    ):
        client.is_sku_exist("A")
    assert len(seen) == 1
