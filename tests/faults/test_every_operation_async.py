"""The same table for the asynchronous client, and tasks, cancellation, loops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from failures import EACH_FAILURE, Failure, check_failure

from octopus_soap import (
    AsyncOctopusClient,
    BatchError,
    OctopusError,
    OctopusSettings,
    OutcomeStatus,
    OutcomeUnknownError,
    ProtocolError,
    Safety,
    TimedOutError,
)
from octopus_soap.emulator import CloseIdle, Drip, Emulator, Hang, Latency, Merchant
from octopus_soap.operations import OPERATIONS
from tests.catalogue import BY_NAME, KINDS, Row
from tests.every import every
from tests.faults.raw_servers import CREDENTIALS, EXISTS, bomb_of, http, raw_server, read_request
from tests.inside import forget_batch_sizes

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator


class Awaited:
    """An asynchronous client whose methods are called without `await`."""

    def __init__(self, runner: asyncio.Runner, client: AsyncOctopusClient) -> None:
        self.runner, self.client = runner, client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await method(*args, **kwargs)

        return lambda *args, **kwargs: self.runner.run(call(*args, **kwargs))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def kept(runner: asyncio.Runner) -> Iterator[dict[str, AsyncOctopusClient]]:
    """One client per settings: httpx takes long to load the system's certificates."""
    clients: dict[str, AsyncOctopusClient] = {}
    yield clients
    for client in clients.values():
        runner.run(client.aclose())


@pytest.fixture
def awaited(shop: Emulator, runner: asyncio.Runner, kept: dict[str, AsyncOctopusClient]) -> Callable[..., Awaited]:
    """Clients whose credentials were accepted, and that have learned no batch sizes."""

    def make(**settings: Any) -> Awaited:
        given = {**shop.settings(), "backoff_base": 0.0, **settings}
        client = kept.get(repr(given))
        if client is None:
            client = kept[repr(given)] = AsyncOctopusClient(settings=OctopusSettings.load(**given))
        forget_batch_sizes(client)
        face = Awaited(runner, client)
        face.is_sku_exist("A")
        return face

    return make


TELLING = [BY_NAME[name] for name in ("GetItemQuantityInfo", "SubmitOrder", "UpdateItemQuantityAndPriceList")]
"""A read, a write that must not be repeated, and a list: what follows from a failure is decided by the engine, for both
clients, and shown on every kind with the blocking one."""


@EACH_FAILURE
@every("call", TELLING, ids=str)
def test_a_read_an_order_and_a_list_under_every_failure(call: Row, failure: Failure, shop: Emulator, awaited):
    check_failure(call, failure, shop, awaited)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("fault", [Hang(), Drip(20, "headers"), Drip(20, "body")], ids=["silent", "headers", "body"])
@every("call", KINDS, ids=str)
def test_every_method_ends_within_its_limit(call: Row, fault, shop: Emulator, awaited):
    shop.script.clear()
    limit = 0.5 if call.safety is Safety.UNSAFE else 0.15  # its request must be sent by then, even on a busy machine
    client = awaited(total_timeout=limit, max_attempts=1)
    shop.script.on(call.operation).do(fault)
    with pytest.raises(OctopusError) as caught:
        call(client)
    error: Any = caught.value
    error = error.result.outcomes[0].error if isinstance(error, BatchError) else error
    if call.safety is Safety.UNSAFE:
        assert isinstance(error, OutcomeUnknownError)
        error = error.__cause__
    assert isinstance(error, TimedOutError)


@pytest.mark.parametrize("call", KINDS, ids=str)
def test_a_stale_socket_is_retried_where_a_repeat_does_no_harm(call: Row, shop: Emulator, awaited):
    client = awaited()
    shop.script.on("IsSkuExist", nth=1).do(CloseIdle())
    client.is_sku_exist("A")
    before = len(shop.calls)
    if call.safety is Safety.UNSAFE:
        with pytest.raises(OctopusError) as caught:
            call(client)
        error: Any = caught.value
        assert isinstance(error.result.outcomes[0].error if call.is_list else error, OutcomeUnknownError)
    else:
        call(client)
        assert [record.operation for record in shop.calls[before:]] == [call.operation]


def test_cancelling_keeps_what_was_done(service: Emulator, runner: asyncio.Runner):
    service.store.add_items([{"Sku": f"S{n}", "Stock": "5"} for n in range(50)])
    service.script.on("UpdateItemQuantityAndPriceList", nth=3).do(Hang(execute=True))
    method = OPERATIONS["UpdateItemQuantityAndPriceList"].name

    async def work() -> BaseException:
        from octopus_soap import ItemQuantityAndPrice

        async with AsyncOctopusClient(**service.settings()) as client:
            inputs = [ItemQuantityAndPrice(sku=f"S{n}", stock=n) for n in range(50)]

            async def call() -> Any:
                return await getattr(client, method)(inputs, batch_size=10)

            task = asyncio.create_task(call())
            await asyncio.to_thread(service.wait_for_calls, 3, executed=True)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError as raised:
                return raised
            pytest.fail("not cancelled")

    raised = runner.run(work())
    assert isinstance(raised, asyncio.CancelledError)
    statuses = [outcome.status for outcome in raised.result.outcomes]  # type: ignore[attr-defined] # documented
    ok, unknown, not_sent = OutcomeStatus.OK, OutcomeStatus.UNKNOWN, OutcomeStatus.NOT_SENT
    assert statuses == [ok] * 20 + [unknown] * 10 + [not_sent] * 20


def test_tasks_of_two_accounts_never_cross(runner: asyncio.Runner):
    merchants = [Merchant("one", "token-one", "access-one"), Merchant("two", "token-two", "access-two")]
    with Emulator(merchants=merchants) as service:
        for number, merchant in enumerate(merchants):
            service.store.add_item("A", Stock=number, merchant=merchant.name)

        async def work() -> list[int]:
            clients = [AsyncOctopusClient(**service.settings(merchant.name)) for merchant in merchants]
            found = await asyncio.gather(*(clients[n % 2].get_item_quantity("A") for n in range(80)))
            for client in clients:
                await client.aclose()
            return found

        assert runner.run(work()) == [0, 1] * 40
        for call in service.calls:
            assert f"access-{call.merchant}".encode() in call.request
        assert len({call.connection for call in service.calls}) <= 20


def test_many_tasks_keep_to_the_connections_allowed(service: Emulator, runner: asyncio.Runner):
    service.script.on("*").do(Latency(0.01))
    settings = OctopusSettings.load(**service.settings(), max_connections=4)

    async def work() -> None:
        async with AsyncOctopusClient(settings=settings) as client:
            await asyncio.gather(*(client.is_sku_exist("A") for _ in range(60)))

    runner.run(work())
    assert len({call.connection for call in service.calls}) <= 4


# -- hostile bodies ------------------------------------------------------------------------------------------------


def _client(endpoint: str, **settings: Any) -> AsyncOctopusClient:
    given = {"endpoint": endpoint, "max_attempts": 1, "backoff_base": 0.0, **CREDENTIALS, **settings}
    return AsyncOctopusClient(settings=OctopusSettings.load(**given))


def refused(runner: asyncio.Runner, answer: bytes, **settings: Any) -> OctopusError:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    async def work(endpoint: str) -> None:
        async with _client(endpoint, **settings) as client:
            await client.is_sku_exist("A")

    with raw_server(serve) as server, pytest.raises(OctopusError) as caught:
        runner.run(work(server.url))
    assert type(caught.value).__module__ == "octopus_soap.errors"
    return caught.value


def test_a_reply_over_the_cap_is_not_read(runner: asyncio.Runner):
    error = refused(runner, http(EXISTS + b" " * 5000), max_reply_bytes=4096)
    assert isinstance(error, ProtocolError)
    assert "max_reply_bytes" in error.message


def test_a_compression_bomb_is_not_unpacked(runner: asyncio.Runner):
    import resource

    body = bomb_of(300)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = refused(runner, http(body, headers="Content-Encoding: gzip\r\n"), max_reply_bytes=4 * 1024 * 1024)
    assert "max_reply_bytes" in error.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize(
    "answer",
    [
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n<x/>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<x/>\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        http(b"\x1f\x8b\x08 this is no gzip", headers="Content-Encoding: gzip\r\n"),
        b"HTTP/1.1 101 Switching\r\n\r\n",
        http(EXISTS[:-20]),
    ],
    ids=["no HTTP", "nothing", "half", "length", "chunk", "header", "gzip", "101", "cut"],
)
def test_what_is_no_answer_is_our_error(runner: asyncio.Runner, answer):
    refused(runner, answer, total_timeout=2.0)
