"""A call ends within its limits, whatever the service does."""

from __future__ import annotations

import socket
import threading
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from octopus_soap import (
    ConnectFailedError,
    InventoryItem,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    OutcomeUnknownError,
    Safety,
    TimedOutError,
)
from octopus_soap.emulator import Drip, Hang, Latency
from octopus_soap.transport import blocking, connections
from tests.catalogue import BY_NAME, KINDS, Row
from tests.faults.raw_servers import CREDENTIALS, EXISTS, http, raw_server, read_request

if TYPE_CHECKING:
    from collections.abc import Callable

# A loaded machine is slow, a hang is endless: pytest's time limit distinguishes them.
pytestmark = pytest.mark.timeout(30)


def client_of(endpoint: str, **settings: Any) -> OctopusClient:
    given = {"endpoint": endpoint, "backoff_base": 0.0, **CREDENTIALS, **settings}
    return OctopusClient(settings=OctopusSettings.load(**given))


def error_of(call: Callable[[], Any]) -> OctopusError:
    with pytest.raises(OctopusError) as caught:
        call()
    error = caught.value
    result = getattr(error, "result", None)
    return error if result is None else result.outcomes[0].error


def check_timed_out(error: OctopusError, safety: Safety) -> None:
    if safety is Safety.UNSAFE:
        assert isinstance(error, OutcomeUnknownError)
        error = error.__cause__  # type: ignore[assignment] # asserted next
    assert isinstance(error, TimedOutError)
    assert isinstance(error, TimeoutError), "except TimeoutError works too"


def hasty_clock() -> Any:
    """Make a clock for a module that is a second later at each look."""
    seconds, clock = count(), connections.time.monotonic
    return SimpleNamespace(monotonic=lambda: clock() + next(seconds))


@pytest.mark.parametrize("call", KINDS, ids=str)
@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        (Hang(), {"read_timeout": 0.1}),
        (Hang(), {"total_timeout": 0.1}),
        (Drip(20, "headers"), {"total_timeout": 0.15}),
        (Drip(20, "body"), {"total_timeout": 0.15}),
    ],
    ids=["silent-read", "silent-total", "drip-headers", "drip-body"],
)
def test_every_method_ends_within_its_limit(call: Row, fault, limits, shop, make_client):
    if call.safety is Safety.UNSAFE:  # its request must be sent by then, even on a busy machine
        limits = dict.fromkeys(limits, 0.5)
    client = make_client(max_attempts=1, **limits)
    shop.script.on(call.operation).do(fault)
    check_timed_out(error_of(lambda: call(client)), call.safety)


def test_a_service_that_accepts_and_never_reads():
    done = threading.Event()
    with raw_server(lambda _: done.wait(), receive_buffer=4096) as server:
        item = InventoryItem(sku="A", details="x" * 8_000_000)
        with client_of(server.url, total_timeout=0.4, max_attempts=1) as client:
            assert isinstance(error_of(lambda: client.upload_item(item)), TimedOutError)
        done.set()


def test_each_read_has_what_is_left_of_the_total_limit_and_no_more(monkeypatch):
    allowed: list[float | None] = []

    class Watched(socket.socket):
        def settimeout(self, value: float | None, /) -> None:
            allowed.append(value)
            super().settimeout(value)

    def answer(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(http(EXISTS + b" " * 200_000))  # more than one read

    with raw_server(answer) as server, client_of(server.url, read_timeout=60, total_timeout=60) as client:
        monkeypatch.setattr(connections.socket, "socket", Watched)
        monkeypatch.setattr(connections, "time", hasty_clock())
        assert client.is_sku_exist("A")
    before, last = allowed[-2:]
    assert last is not None
    assert before is not None
    assert last <= before - 1.0


def test_the_total_limit_holds_between_the_chunks_that_a_session_of_the_caller_reads(monkeypatch):
    def answer(connection: socket.socket) -> None:
        read_request(connection)
        chunks = [EXISTS, *[b" "] * 100, b""]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    given: dict[str, Any] = {"max_attempts": 1, "total_timeout": 60, **CREDENTIALS}
    with raw_server(answer) as server, requests.Session() as session:
        client = OctopusClient(settings=OctopusSettings.load(endpoint=server.url, **given), session=session)
        monkeypatch.setattr(blocking, "time", hasty_clock())
        assert isinstance(error_of(lambda: client.is_sku_exist("A")), TimedOutError)


def test_a_slow_line_may_take_longer_than_the_connect_limit_to_take_a_big_request():
    idle = threading.Event()  # never set: it only makes the server slow

    def late(connection: socket.socket) -> None:
        while True:
            idle.wait(0.5)
            if not read_request(connection):
                return
            connection.sendall(http(EXISTS.replace(b"IsSkuExist", b"UploadItem").replace(b"true", b"7")))

    with raw_server(late, receive_buffer=4096) as server:
        item = InventoryItem(sku="A", details="x" * 4_000_000)
        with client_of(server.url, connect_timeout=0.2, total_timeout=20.0, max_attempts=1) as client:
            assert client.upload_item(item) == 7
            assert client.upload_item(item) == 7, "on the reused connection too"


def test_what_one_call_had_left_does_not_limit_the_next_on_the_same_connection():
    idle = threading.Event()

    def late(connection: socket.socket) -> None:
        for pause in (0.0, 0.4):
            idle.wait(pause)
            if not read_request(connection):
                return
            connection.sendall(http(EXISTS.replace(b"IsSkuExist", b"UploadItem").replace(b"true", b"7")))
        read_request(connection)

    with raw_server(late, receive_buffer=4096) as server, client_of(server.url, max_attempts=1) as client:
        small, big = InventoryItem(sku="A"), InventoryItem(sku="A", details="x" * 4_000_000)
        assert client.with_options(total_timeout=0.2).upload_item(small) == 7
        assert client.upload_item(big) == 7
        assert server.connections == 1


def test_the_constructor_touches_no_network(monkeypatch):
    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("the constructor opened a socket")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    client_of("https://service.example/OctopusService.svc").close()


def test_a_host_that_does_not_answer_ends_in_timed_out():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):  # the queue of connections that are not accepted is full after one or two
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        endpoint = f"http://127.0.0.1:{full.getsockname()[1]}/x"
        with client_of(endpoint, connect_timeout=0.2, max_attempts=2) as client:
            error = error_of(lambda: client.is_sku_exist("A"))
        for filler in fillers:
            filler.close()
    assert isinstance(error, TimedOutError)
    assert error.info.attempts == 2


def test_the_total_limit_covers_all_attempts_and_their_pauses(shop, make_client):
    client = make_client(read_timeout=0.1, total_timeout=0.8, max_attempts=20)
    shop.script.on("IsSkuExist").do(Hang())
    assert isinstance(error_of(lambda: client.is_sku_exist("A")), TimedOutError)
    assert 3 <= len(shop.calls) <= 10


def test_waiting_for_a_free_connection_is_limited_too(shop, make_client):
    client = make_client(max_connections=1, total_timeout=1.0, max_attempts=1)
    shop.script.on("GetItemQuantity").do(Hang())
    hanging = threading.Thread(target=lambda: error_of(lambda: client.get_item_quantity("A")))
    hanging.start()
    shop.wait_for_calls()
    error = error_of(lambda: client.with_options(total_timeout=0.2).is_sku_exist("A"))
    assert isinstance(error, ConnectFailedError)
    assert "max_connections" in error.message
    hanging.join()


# -- overrides -----------------------------------------------------------------------------------------------------


def test_an_override_is_seen_by_its_view_alone(shop, make_client):
    client = make_client(max_attempts=1)
    before = client.settings
    hasty = client.with_options(read_timeout=0.15)
    shop.script.on("GetItemQuantity").do(Hang())
    with pytest.raises(TimedOutError, match=r"0\.15"):
        hasty.get_item_quantity("A")
    assert client.settings is before
    shop.script.clear()
    shop.script.on("*").do(Latency(0.3))
    assert client.is_sku_exist("A")
    with pytest.raises(TimedOutError):
        hasty.is_sku_exist("A")
    assert client.is_sku_exist("A")


def test_an_override_leaks_into_no_other_thread(shop, make_client):
    client = make_client(max_attempts=1)
    shop.script.on("IsSkuExist").do(Latency(0.3))
    outcomes: list[str] = []

    def hasty() -> None:
        for _ in range(3):
            with pytest.raises(TimedOutError):
                client.with_options(read_timeout=0.1).is_sku_exist("A")
            outcomes.append("hasty")

    def patient() -> None:
        for _ in range(3):
            assert client.is_sku_exist("A")
            outcomes.append("patient")

    threads = [threading.Thread(target=target) for target in (hasty, patient, hasty, patient)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["hasty"] * 6 + ["patient"] * 6


def test_a_view_of_a_view_keeps_what_it_does_not_change(client):
    view = client.with_options(read_timeout=1.0).with_options(total_timeout=2.0, max_attempts=7)
    assert (view.settings.read_timeout, view.settings.total_timeout, view.settings.max_attempts) == (1.0, 2.0, 7)
    assert view.settings.connect_timeout == client.settings.connect_timeout


@pytest.mark.parametrize(
    "wrong", [{"read_timeout": 0}, {"total_timeout": -1}, {"max_attempts": 0}, {"read_timeout": float("inf")}]
)
def test_an_override_out_of_range_is_refused(client, wrong):
    with pytest.raises(OctopusError):
        client.with_options(**wrong)


def test_clients_zeep_is_bounded_too(shop, make_client):
    client = make_client(total_timeout=0.3)
    shop.script.on("IsSkuExist").do(Hang())
    with pytest.raises(requests.RequestException):
        client.zeep.service.IsSkuExist(accountID="x", sku="A")


# -- an exception that the caller handles ----------------------------------------------------------------------------


def test_what_the_caller_is_handling_does_not_pass_for_our_failure(shop, make_client):
    """Its "connection refused" must not make a lost answer look like nothing was sent."""
    from octopus_soap.emulator import Reset

    client = make_client()
    shop.script.on("SubmitOrder").do(Reset("after"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        try:
            requests.post(f"http://127.0.0.1:{taken.getsockname()[1]}/", timeout=1)
        except requests.ConnectionError:
            with pytest.raises(OutcomeUnknownError):
                BY_NAME["SubmitOrder"](client)
    assert len(shop.store.orders()) == 4, "one order, not three"
