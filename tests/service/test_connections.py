"""Connections of both clients: connect limit, idle age, proxies, origins, threads."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from time import monotonic  # for deadlines; nothing is measured
from typing import TYPE_CHECKING, Any

import pytest
import requests

from octopus_soap import OctopusClient, OctopusSettings, TransportError
from octopus_soap.transport import connections
from octopus_soap.transport.connections import OriginAuth, connect_to, resolve
from tests.awaited import AwaitedClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap.emulator import Emulator

CREDENTIALS = {"authtoken": "token-1234", "merchantname": "shop", "accessid": "access-1234"}


@pytest.mark.timeout(20)  # without sharing it takes six times as long
def test_all_addresses_of_a_host_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    class Dead(socket.socket):
        def connect(self, address: Any) -> None:
            del address
            given.append(self.gettimeout() or 0.0)
            raise TimeoutError

    monkeypatch.setattr(connections.socket, "socket", Dead)
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))] * 6
    with pytest.raises(TimeoutError):
        connect_to(addresses, monotonic() + 6.0)
    assert len(given) == 6
    assert given[0] <= 1.0, "an equal share of what is left"


@pytest.mark.timeout(20)
def test_a_resolver_that_hangs_does_not_hold_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(connections.socket, "getaddrinfo", lambda *_, **__: hangs.wait(30) and [])
    with pytest.raises(TimeoutError):
        resolve("slow.example", 80, monotonic() + 0.05)
    hangs.set()


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_connection_that_was_idle_for_long_is_not_used_again(service: Emulator, kind: str) -> None:
    settings = OctopusSettings.load(**service.settings(), idle_timeout=0.000001)
    client: Any = OctopusClient(settings=settings) if kind == "blocking" else AwaitedClient(settings)
    try:
        for _ in range(3):
            client.is_sku_exist("A")
    finally:
        client.close()
    assert len({call.connection for call in service.calls}) == 3


def test_credentials_go_to_an_international_name_in_either_form() -> None:
    auth = OriginAuth("http://käse.example/x", {"authtoken": "t"})
    for url, expected in (
        ("http://käse.example/y", True),
        ("http://XN--KSE-QLA.example/y", True),
        ("http://kase.example/", False),
    ):
        prepared = requests.Request("POST", url, auth=auth).prepare()
        assert ("authtoken" in prepared.headers) is expected, url


@contextmanager
def dripping() -> Iterator[str]:
    """A proxy that sends a byte at a time, without end."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(65536)
                    while not over.wait(0.02):
                        connection.sendall(b"H")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    over.set()
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", ["blocking", "async"])
@pytest.mark.timeout(30)
def test_the_total_limit_holds_through_a_proxy_that_drips(
    monkeypatch: pytest.MonkeyPatch, kind: str, scheme: str
) -> None:
    with dripping() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        given = {"total_timeout": 0.5, "max_attempts": 1, "allow_insecure": True, **CREDENTIALS}
        settings = OctopusSettings.load(endpoint=f"{scheme}://service.example/x.svc", **given)
        client: Any = OctopusClient(settings=settings) if kind == "blocking" else AwaitedClient(settings)
        try:
            with pytest.raises(TransportError):
                client.is_sku_exist("A")
        finally:
            client.close()


AFTER_MAIN = """
import asyncio, sys, threading
from octopus_soap import AsyncOctopusClient, OctopusClient, OctopusSettings
settings = OctopusSettings.load(endpoint=sys.argv[1], authtoken=sys.argv[2], merchantname=sys.argv[3], accessid=sys.argv[4])
ended = threading.Event()

def work():
    threading.main_thread().join()
    skus = [f"S{n}" for n in range(1200)]
    if sys.argv[5] == "blocking":
        with OctopusClient(settings=settings) as client:
            found = client.is_sku_exist_list(skus)
    else:
        async def ask():
            async with AsyncOctopusClient(settings=settings) as client:
                return await client.is_sku_exist_list(skus)
        found = asyncio.run(ask())
    print(len(found), flush=True)

threading.Thread(target=work).start()
"""


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("localhost", marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["blocking", pytest.param("async", marks=pytest.mark.long)])
def test_a_thread_that_outlives_main_can_call(service: Emulator, kind: str, host: str) -> None:
    given: dict[str, Any] = service.settings()
    arguments = [str(given["endpoint"]).replace("127.0.0.1", host), *(str(given[name]) for name in CREDENTIALS), kind]
    ended = subprocess.run(
        [sys.executable, "-c", AFTER_MAIN, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout.strip() == "1200", ended.stderr[-500:]
