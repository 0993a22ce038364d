"""The asynchronous client in services: cancellation, loops, forks, connections."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import ssl
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from octopus_soap import (
    AsyncOctopusClient,
    BatchResult,
    ConfigError,
    ConnectFailedError,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusSettings,
    OrderItem,
    OrderSubmit,
    OutcomeStatus,
)
from octopus_soap.emulator import CloseIdle, Emulator, Hang, Merchant
from octopus_soap.transport.async_connections import ssl_context
from tests.inside import limiter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

OK, UNKNOWN, NOT_SENT = OutcomeStatus.OK, OutcomeStatus.UNKNOWN, OutcomeStatus.NOT_SENT


def settings(service: Emulator, **given: Any) -> OctopusSettings:
    return OctopusSettings.load(**{**service.settings(), "backoff_base": 0.0, **given})


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


def stock(service: Emulator, count: int) -> list[str]:
    skus = [f"{number:05d}" for number in range(count)]
    service.store.add_items({"Sku": sku, "Stock": str(number)} for number, sku in enumerate(skus))
    return skus


async def until(true: Callable[[], bool]) -> None:
    """Let other tasks run until *true*; the test's time limit ends it otherwise."""
    while not true():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0)


def statuses(result: BatchResult[Any]) -> list[OutcomeStatus]:
    return [outcome.status for outcome in result.outcomes]


# -- many at once ----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_thousand_calls_leave_no_warning_and_nothing_open(service: Emulator) -> None:
    skus = stock(service, 1000)

    async def work() -> list[int]:
        async with AsyncOctopusClient(settings=settings(service, max_connections=10)) as client:
            values = await asyncio.gather(*(client.get_item_quantity(sku) for sku in skus))
            line = limiter_of(client).line
            assert (len(line), line.under_way) == (0, 0)
            return values

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert run(work()) == list(range(1000))
        gc.collect()  # an unclosed socket or transport warns here
    assert [str(warning.message) for warning in told] == []
    assert len({call.connection for call in service.calls}) <= 10


def test_each_call_of_two_accounts_carries_its_own_name_and_id() -> None:
    shops = [Merchant(f"mixed-{n}", f"mixed-token-{n}-aaaa", f"mixed-access-{n}-aaaa") for n in range(2)]
    with Emulator(merchants=shops) as service:
        for shop in shops:
            service.store.add_items(
                ({"Sku": f"{shop.name}-{n}", "Stock": str(n)} for n in range(50)), merchant=shop.name
            )

        async def work() -> list[int]:
            clients = [AsyncOctopusClient(settings=OctopusSettings.load(**service.settings(s.name))) for s in shops]
            async with clients[0], clients[1]:
                asked = (clients[n % 2].get_item_quantity(f"mixed-{n % 2}-{n}") for n in range(50))
                return await asyncio.gather(*asked)

        assert run(work()) == list(range(50))
        for call in service.calls:
            shop = next(shop for shop in shops if shop.name == call.merchant)
            assert call.headers["merchantname"] == shop.name
            assert call.keys[0].startswith(f"{shop.name}-")
            assert shop.accessid.encode() in call.request
            assert not any(other.accessid.encode() in call.request for other in shops if other is not shop)


# -- cancelling ------------------------------------------------------------------------------------------------------


def updates(count: int) -> list[ItemQuantityAndPrice]:
    return [ItemQuantityAndPrice(sku=f"A{number}", stock=number) for number in range(count)]


PART = {"A0": UNKNOWN, "A1": OK, "A2": OK, "A3": UNKNOWN}
"""Of four batches of one item, the first and the fourth hang, and the others are done."""


async def _half_done(service: Emulator, client: AsyncOctopusClient, call: asyncio.Task[Any]) -> BatchResult[Any]:
    """Cancel *call* in the state of `PART`, and return the result of its exception."""
    turns, tasks = limiter_of(client), asyncio.all_tasks()
    await until(lambda: len(service.calls) == 4 and turns.line.under_way == 2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    assert asyncio.all_tasks() <= tasks, "no request of the call is still under way"
    service.script.clear()
    await client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A9", stock=1))  # the pool is usable
    assert (len(turns.line), turns.line.under_way) == (0, 0)
    return caught.value.result  # type: ignore[attr-defined, no-any-return] # documented on the clients


@pytest.fixture
def shop(service: Emulator) -> Emulator:
    service.store.add_items({"Sku": f"A{number}", "Stock": "0"} for number in range(10))
    return service


@pytest.fixture
def hanging(shop: Emulator) -> Emulator:
    shop.script.on("UpdateItemQuantityAndPriceList", key=["A0", "A3"]).do(Hang())
    return shop


def test_cancelling_keeps_batches_that_ended_behind_one_that_did_not(hanging: Emulator) -> None:
    async def work() -> BatchResult[Any]:
        async with AsyncOctopusClient(settings=settings(hanging, parallel_writes=4)) as client:
            call = asyncio.create_task(client.update_item_quantity_and_price_list(updates(5), batch_size=1))
            return await _half_done(hanging, client, call)

    result = run(work())
    assert {outcome.key: outcome.status for outcome in result.outcomes} == {**PART, "A4": NOT_SENT}
    assert [row.sku for row in result.retry_inputs()] == ["A0", "A3", "A4"]


def test_a_cancelled_stream_tells_of_the_batches_its_caller_never_got(hanging: Emulator) -> None:
    async def drain(client: AsyncOctopusClient) -> None:
        async for _ in client.update_item_quantity_and_price_list.stream(iter(updates(5)), batch_size=1):
            raise AssertionError("the first batch hangs")

    async def work() -> BatchResult[Any]:
        async with AsyncOctopusClient(settings=settings(hanging, parallel_writes=4)) as client:
            return await _half_done(hanging, client, asyncio.create_task(drain(client)))

    assert {outcome.key: outcome.status for outcome in run(work()).outcomes} == PART, "A4 was never taken"


def test_a_stream_cancelled_between_batches_repeats_nothing_its_caller_has(shop: Emulator) -> None:
    shop.script.on("UpdateItemQuantityAndPriceList", key="A2").do(Hang())
    had: list[str] = []

    async def drain(client: AsyncOctopusClient) -> None:
        async for part in client.update_item_quantity_and_price_list.stream(updates(4), batch_size=1):
            had.extend(outcome.key for outcome in part.outcomes)

    async def work() -> BatchResult[Any]:
        async with AsyncOctopusClient(settings=settings(shop)) as client:
            call = asyncio.create_task(drain(client))
            await until(lambda: len(shop.calls) == 3)
            call.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await call
            return caught.value.result  # type: ignore[attr-defined, no-any-return] # documented on the clients

    result = run(work())
    assert had == ["A0", "A1"]
    assert {outcome.key: outcome.status for outcome in result.outcomes} == {"A2": UNKNOWN}


def test_a_blocking_stream_keeps_them_too(shop: Emulator, client: OctopusClient) -> None:
    """The callback raises before its batch is handed over."""

    def progress(_: Any) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError) as caught:
        list(client.update_item_quantity_and_price_list.stream(updates(2), batch_size=1, progress=progress))
    assert statuses(caught.value.result) == [OK]  # type: ignore[attr-defined] # documented on the clients
    assert len(shop.calls) == 1


# -- idle connections ------------------------------------------------------------------------------------------------


def test_one_dead_connection_takes_the_other_idle_ones_with_it(service: Emulator) -> None:
    """A restart or a middlebox closed it, so the other idle connections are dead too."""
    skus = stock(service, 4)
    service.script.on("IsSkuExist", nth=[1, 2, 3, 4]).do(CloseIdle())

    async def work() -> Any:
        async with AsyncOctopusClient(settings=settings(service, max_connections=4)) as client:
            await asyncio.gather(*(client.is_sku_exist(sku) for sku in skus))
            return (await client.is_sku_exist.with_info(skus[0])).info

    info = run(work())
    assert len({call.connection for call in service.calls[:4]}) == 4
    assert (info.attempts, service.stale_closes) == (2, 1), "one dead connection was met, not all four"


# -- certificates ----------------------------------------------------------------------------------------------------


def test_clients_that_trust_the_same_share_one_tls_context(service: Emulator, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    secure = {"endpoint": "https://shop.example/x.svc"}
    default, own = settings(service, **secure), settings(service, **secure, ca_bundle=bundle)
    assert ssl_context(default) is ssl_context(default)
    assert ssl_context(own) is ssl_context(own)
    assert ssl_context(own) is not ssl_context(default)
    before = ssl_context(own)
    os.utime(bundle, ns=(1, 1))
    assert ssl_context(own) is not before, "a bundle that was renewed is read again"


def test_certificates_that_cannot_be_read_are_a_config_error(service: Emulator, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    given = settings(service, endpoint="https://127.0.0.1:9/x.svc", ca_bundle=bundle)

    async def work() -> None:
        async with AsyncOctopusClient(settings=given) as client:
            await client.is_sku_exist("A")

    with pytest.raises(ConfigError, match=r"cannot read the certificates in .*ca\.pem"):
        run(work())


def test_an_order_is_certainly_not_sent_where_the_machines_certificates_are_missing(
    service: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    given = settings(service, endpoint="https://shop.invalid/x.svc", accept_unverified_contract=True, max_attempts=1)
    with OctopusClient(settings=given) as client, pytest.raises(ConnectFailedError, match="bundle"):
        client.submit_order(OrderSubmit(order_id="1", order_items=[OrderItem(sku="A", quantity=1, unit_price="1")]))


@pytest.mark.parametrize("endpoint", ["https://shop.example/x.svc", "http://127.0.0.1:9/x.svc"])
def test_every_tls_context_verifies(endpoint: str, service: Emulator) -> None:
    context = ssl_context(settings(service, endpoint=endpoint))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# -- loops and processes ---------------------------------------------------------------------------------------------


def test_outside_an_event_loop_the_error_says_what_is_missing(service: Emulator) -> None:
    client = AsyncOctopusClient(settings=settings(service))
    with pytest.raises(ConfigError, match=r"asyncio\.run"):
        client.get_item_quantity("A").send(None)  # type: ignore[attr-defined] # as another framework would


def test_two_loops_at_once_have_connections_of_their_own_and_one_pace(service: Emulator) -> None:
    stock(service, 1)
    client = AsyncOctopusClient(settings=settings(service, max_requests_per_second=1000))
    barrier, found = threading.Barrier(2, timeout=30), []

    async def work() -> None:
        barrier.wait()
        found.append(await asyncio.gather(*(client.get_item_quantity("00000") for _ in range(5))))
        found.append(limiter_of(client))

    threads = [threading.Thread(target=asyncio.run, args=[work()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    turns = [part for part in found if not isinstance(part, list)]
    assert [part for part in found if isinstance(part, list)] == [[0] * 5] * 2
    assert turns[0] is not turns[1]
    assert turns[0].line.pace is turns[1].line.pace


FORKED = """
import asyncio, json, os, sys
from octopus_soap import AsyncOctopusClient, ConfigError
client = AsyncOctopusClient(**json.loads(sys.argv[1]))
loop = asyncio.new_event_loop()
assert loop.run_until_complete(client.get_item_quantity("00001")) == 1
big = loop.run_until_complete(client.get_item_list(json.loads(sys.argv[2])))
if os.fork() == 0:
    try:
        loop.run_until_complete(client.get_item_quantity("00001"))
    except ConfigError as error:
        print("the parent's loop:", "forked" in str(error), flush=True)
    async def own():
        async with client:
            found = await client.get_item_list(json.loads(sys.argv[2]))
            print("a loop of its own:", len(found), await client.get_item_quantity("00002"), flush=True)
    asyncio.run(asyncio.wait_for(own(), 30))
    os._exit(0)
os.wait()
print("the parent:", loop.run_until_complete(client.get_item_quantity("00003")))
loop.run_until_complete(client.aclose())
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_needs_a_loop_of_its_own_and_is_told_so(service: Emulator) -> None:
    skus = stock(service, 100)
    words = [sys.executable, "-W", "ignore", "-c", FORKED, json.dumps(service.settings()), json.dumps(skus)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["the parent's loop: True", "a loop of its own: 100 2", "the parent: 3"]
