"""`max_requests_per_second` and `max_connections` over sockets, on a test clock."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    AsyncOctopusClient,
    ConfigError,
    HealthStage,
    OctopusClient,
    OctopusSettings,
    OrderSubmit,
    OutcomeStatus,
    TimedOutError,
)
from octopus_soap.emulator import Emulator, Hang, Latency, Status
from octopus_soap.engine.effects import SendFailure
from octopus_soap.transport.limiter import TaskLimiter, ThreadLimiter
from tests.inside import limiter_of, pace_by, wait_for_real

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class HandClock:
    """Seconds that pass only by waiting for the rate; each wait ends at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.now += seconds

    def thread(self, event: threading.Event, seconds: float) -> None:
        if not event.is_set():
            self.pass_by(seconds)

    async def task(self, event: asyncio.Event, seconds: float) -> None:
        await asyncio.sleep(0)
        if not event.is_set():
            self.pass_by(seconds)


def limited(service: Emulator, **given: Any) -> OctopusSettings:
    return OctopusSettings.load(**{**service.settings(), "backoff_base": 0.0, **given})


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def paced(
    service: Emulator, make_client: Callable[..., OctopusClient], clock: HandClock
) -> Callable[..., OctopusClient]:
    """Make blocking clients whose rate runs on the test's clock."""
    service.store.add_item("A", Stock="7")

    def make(**given: Any) -> OctopusClient:
        client = make_client(**given)
        pace_by(client, ThreadLimiter, clock, clock.thread)
        return client

    return make


def paced_async(service: Emulator, clock: HandClock, **given: Any) -> AsyncOctopusClient:
    """Make an asynchronous client with the test's clock, in its event loop."""
    service.store.add_item("A", Stock="7")
    client = AsyncOctopusClient(settings=limited(service, **given))
    pace_by(client, TaskLimiter, clock, clock.task)
    return client


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


# -- the pace --------------------------------------------------------------------------------------------------------


def test_there_is_no_pace_unless_asked_for(paced: Callable[..., OctopusClient], clock: HandClock) -> None:
    client = paced()
    assert client.settings.max_requests_per_second is None
    assert [client.get_item_quantity("A") for _ in range(20)] == [7] * 20
    assert clock.waits == []


def test_requests_start_an_interval_apart_and_the_wait_is_part_of_the_call(
    paced: Callable[..., OctopusClient], clock: HandClock
) -> None:
    client = paced(max_requests_per_second=0.5)
    infos = [client.get_item_quantity.with_info("A").info for _ in range(4)]
    assert clock.waits == [2.0, 2.0, 2.0]
    assert infos[0].elapsed < 2 <= infos[1].elapsed


def test_every_exchange_counts_whoever_makes_it(
    paced: Callable[..., OctopusClient], clock: HandClock, service: Emulator
) -> None:
    client = paced(max_requests_per_second=1)
    service.script.on("GetItemQuantity", nth=1).do(Status(503))
    assert client.get_item_quantity("A") == 7
    assert client.with_options(max_attempts=1).ping()
    assert client.zeep.service.IsSkuExist(accountID=client.settings.sent_account_id, sku="A")
    assert len(service.calls) == 4
    assert clock.waits == [1.0, 1.0, 1.0], "a repeat, a ping of a view, and client.zeep"


def test_a_list_call_keeps_the_pace_over_its_threads(
    paced: Callable[..., OctopusClient], clock: HandClock, service: Emulator
) -> None:
    skus = [f"{number:03d}" for number in range(60)]
    service.store.add_items({"Sku": sku, "Stock": "1"} for sku in skus)
    client = paced(max_requests_per_second=4, max_connections=3)
    assert len(client.get_item_quantity_list(skus, batch_size=10)) == 60
    assert sum(clock.waits) == pytest.approx(5 / 4)


def test_tasks_keep_the_pace_and_their_order(service: Emulator, clock: HandClock) -> None:
    skus = [f"{number:02d}" for number in range(12)]
    service.store.add_items({"Sku": sku, "Stock": sku} for sku in skus)

    async def work() -> list[int]:
        async with paced_async(service, clock, max_requests_per_second=10, max_connections=1) as client:
            return await asyncio.gather(*(client.get_item_quantity(sku) for sku in skus))

    assert run(work()) == list(range(12))
    assert [call.keys[0] for call in service.calls] == skus, "first come, first served"
    assert sum(clock.waits) == pytest.approx(11 / 10)


def test_threads_are_served_in_the_order_they_came(
    service: Emulator, make_client: Callable[..., OctopusClient]
) -> None:
    client = make_client(max_connections=1)
    line = limiter_of(client).line
    skus = [f"{number:02d}" for number in range(8)]
    service.store.add_items({"Sku": sku, "Stock": sku} for sku in skus)
    first = line.join(lambda: None)
    assert line.ask(first, 0.0) == 0.0, "the test holds the only connection"
    threads = []
    for place, sku in enumerate(skus):
        threads.append(threading.Thread(target=client.get_item_quantity, args=[sku]))
        threads[-1].start()
        while len(line) <= place:  # until it is in the queue
            threads[-1].join(0.001)
    limiter_of(client).release()
    for thread in threads:
        thread.join(30)
    assert [call.keys[0] for call in service.calls] == skus


# -- the total limit -------------------------------------------------------------------------------------------------


def test_a_turn_that_comes_too_late_fails_at_once_and_is_no_unknown_outcome(
    paced: Callable[..., OctopusClient], clock: HandClock, service: Emulator
) -> None:
    client = paced(max_requests_per_second=0.1, total_timeout=5, max_attempts=3)
    client.get_item_quantity("A")
    with pytest.raises(TimedOutError, match=r"max_requests_per_second \(0\.1\).*not sent") as caught:
        client.submit_order(OrderSubmit(order_id="1"))
    assert clock.waits == []
    assert len(service.calls) == 1
    assert caught.value.info is not None
    assert caught.value.info.attempts == 0, "the pace will not change by trying again, and nothing left"


def test_the_task_too_is_told_before_anything_is_sent(service: Emulator, clock: HandClock) -> None:
    async def work() -> None:
        async with paced_async(service, clock, max_requests_per_second=0.1, total_timeout=5) as client:
            await client.get_item_quantity("A")
            with pytest.raises(TimedOutError, match="max_requests_per_second"):
                await client.submit_order(OrderSubmit(order_id="1"))

    run(work())
    assert len(service.calls) == 1


def test_batches_that_had_no_turn_are_not_sent(paced: Callable[..., OctopusClient], service: Emulator) -> None:
    client = paced(max_requests_per_second=0.1, total_timeout=5)
    client.get_item_quantity("A")
    parts = list(client.get_item_quantity_list.stream(["A", "B"], batch_size=1))
    assert [outcome.status for part in parts for outcome in part.outcomes] == [OutcomeStatus.NOT_SENT] * 2
    assert all(isinstance(outcome.error, TimedOutError) for part in parts for outcome in part.outcomes)
    assert len(service.calls) == 1


def test_a_repeat_that_would_come_too_late_ends_the_call(
    paced: Callable[..., OctopusClient], service: Emulator
) -> None:
    client = paced(max_requests_per_second=0.1, total_timeout=5)
    service.script.on("GetItemQuantity").do(Status(503))
    with pytest.raises(TimedOutError, match="max_requests_per_second"):
        client.get_item_quantity("A")
    assert len(service.calls) == 1


def test_all_connections_busy_is_told_as_that(service: Emulator, make_client: Callable[..., OctopusClient]) -> None:
    client = make_client(max_connections=1, max_attempts=1)
    turns = limiter_of(client)
    assert turns.take(1.0) == pytest.approx(0.0, abs=1.0)
    busy = turns.take(0.05)
    assert isinstance(busy, SendFailure)
    assert "max_connections" in busy.error.message
    health = client.ping(timeout=0.05)
    assert (health.stage, bool(health)) == (HealthStage.CLIENT, False), "nothing is known of the service"
    turns.release()
    assert client.ping()
    assert len(service.calls) == 1


# -- giving a turn back ----------------------------------------------------------------------------------------------


def test_a_cancelled_task_gives_its_turn_to_the_next(service: Emulator, clock: HandClock) -> None:
    async def work() -> int:
        async with paced_async(service, clock, max_connections=1) as client:
            line = limiter_of(client).line
            service.script.on("IsSkuExist").do(Hang())
            holding = asyncio.create_task(client.is_sku_exist("A"))
            await asyncio.to_thread(service.wait_for_calls)
            waiting = asyncio.create_task(client.is_sku_exist("A"))
            behind = asyncio.create_task(client.get_item_quantity("A"))
            while len(line) < 2:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert len(line) == 1
            holding.cancel()
            quantity = await behind
            assert (len(line), line.under_way) == (0, 0)
            return quantity

    assert run(work()) == 7
    assert [call.operation for call in service.calls] == ["IsSkuExist", "GetItemQuantity"]


def test_a_cancelled_wait_for_the_pace_costs_those_behind_nothing(service: Emulator, clock: HandClock) -> None:
    async def work() -> list[int]:
        async with paced_async(service, clock, max_requests_per_second=1) as client:
            await client.get_item_quantity("A")
            tasks = [asyncio.create_task(client.get_item_quantity("A")) for _ in range(4)]
            line = limiter_of(client).line
            while len(line) < 4:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)
            for task in tasks[1:3]:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            return [value for value in done if isinstance(value, int)]

    assert run(work()) == [7, 7]
    assert sum(clock.waits) == pytest.approx(2.0), "two more starts, and no moment for those who left"


def test_a_stop_ends_the_wait_and_nothing_more_is_sent(paced: Callable[..., OctopusClient], service: Emulator) -> None:
    stop = threading.Event()
    client = paced(max_requests_per_second=0.02, total_timeout=1000)
    client.get_item_quantity("A")
    turns = limiter_of(client)
    wait_for_real(turns, lambda event, _: event.wait(30))  # only the stop ends it
    found: list[Any] = []
    view = client.with_options(stop=stop)
    thread = threading.Thread(
        target=lambda: found.extend(view.get_item_quantity_list.stream(["A", "B", "C"], batch_size=1))
    )
    thread.start()
    while len(turns.line) < 2:
        thread.join(0.001)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert [outcome.status for part in found for outcome in part.outcomes] == [OutcomeStatus.NOT_SENT] * 3
    assert len(service.calls) == 1


def test_an_abandoned_stream_leaves_the_line(service: Emulator, make_client: Callable[..., OctopusClient]) -> None:
    """Threads that wait for a connection are woken: their answers are not used."""
    service.store.add_items({"Sku": f"{number:03d}", "Stock": "1"} for number in range(50))
    client = make_client(max_connections=2)
    turns = limiter_of(client)
    service.script.on("GetItemQuantityList").do(Latency(0.02))
    parts = client.get_item_quantity_list.stream([f"{number:03d}" for number in range(50)], batch_size=1)
    next(parts)
    parts.close()
    while turns.line.under_way or len(turns.line):  # requests under way end by themselves
        threading.Event().wait(0.001)
    asked = len(service.calls)
    assert asked <= 6
    assert client.get_item_quantity("001") == 1
    assert len(service.calls) == asked + 1


# -- settings --------------------------------------------------------------------------------------------------------


def test_the_pace_is_read_from_the_environment_and_its_range_is_kept(
    service: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCTOPUS_MAX_REQUESTS_PER_SECOND", "0.5")
    assert limited(service).max_requests_per_second == 0.5
    for wrong in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="max_requests_per_second"):
            limited(service, max_requests_per_second=wrong)
