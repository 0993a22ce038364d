"""Look-ups of single SKUs become list calls, without mixed answers or errors."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from octopus_soap import (
    AsyncLookup,
    AsyncOctopusClient,
    BatchResult,
    ConfigError,
    InvalidInputError,
    ItemOutcome,
    Lookup,
    OctopusClient,
    OctopusError,
    OutcomeStatus,
    RejectedError,
    TransportError,
)
from octopus_soap.testing import Reset, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap.emulator import Emulator

SKUS = [f"S-{number}" for number in range(60)]


@pytest.fixture
def shop(service: Emulator) -> Emulator:
    for number, sku in enumerate(SKUS):
        service.store.add_item(sku, Stock=str(number))
    return service


@pytest.fixture
def client(shop: Emulator) -> Iterator[OctopusClient]:
    with OctopusClient(**shop.settings()) as made:
        yield made


class Gate:
    """A `sleep` of the gathering thread that ends when enough look-ups have joined."""

    def __init__(self) -> None:
        self.lookup: Lookup | None = None
        self.wanted = 1

    def __call__(self, _: float) -> None:
        assert self.lookup is not None
        while self.lookup.counts.asked - self.lookup.counts.cached < self.wanted:
            threading.Event().wait(0.001)


def gated(client: OctopusClient, wanted: int, **options: object) -> Lookup:
    gate = Gate()
    gate.wanted = wanted
    gate.lookup = Lookup(client, sleep=gate, **options)  # type: ignore[arg-type]
    return gate.lookup


def operations(shop: Emulator) -> list[str]:
    return [call.operation for call in shop.calls]


def test_threads_that_ask_together_share_a_request(shop: Emulator, client: OctopusClient) -> None:
    lookup = gated(client, len(SKUS))
    with ThreadPoolExecutor(len(SKUS)) as pool:
        stocks = list(pool.map(lambda sku: lookup.quantity(sku).stock, SKUS))  # type: ignore[union-attr]
    assert stocks == list(range(60))
    assert operations(shop) == ["GetItemQuantityList"]
    assert (lookup.counts.requests, lookup.counts.sent) == (1, 60)


def test_one_sku_asked_by_many_threads_is_sent_once(shop: Emulator, client: OctopusClient) -> None:
    lookup = gated(client, 20)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lookup.item, ["S-7"] * 20))
    assert {item.sku for item in found if item} == {"S-7"}
    assert (lookup.counts.sent, lookup.counts.joined) == (1, 19)
    assert len(shop.calls) == 1


def test_an_answer_is_kept_for_its_time_and_no_longer(shop: Emulator, client: OctopusClient) -> None:
    now = [0.0]
    lookup = Lookup(client, ttl=5, gather_seconds=0, clock=lambda: now[0])
    assert lookup.exists("S-1")
    now[0] = 4.9
    assert lookup.exists("S-1")
    assert lookup.exists("S-1", max_age=4)
    assert len(shop.calls) == 2, "max_age=4 asked again"
    now[0] = 9.9
    assert lookup.exists("S-1")
    assert len(shop.calls) == 3


def test_no_answer_is_kept_with_a_ttl_of_0(shop: Emulator, client: OctopusClient) -> None:
    lookup = Lookup(client, ttl=0, gather_seconds=0)
    assert lookup.exists("S-1")
    assert lookup.exists("S-1")
    assert len(shop.calls) == 2


def test_a_sku_the_service_does_not_have_is_none_and_false(client: OctopusClient) -> None:
    lookup = Lookup(client, gather_seconds=0)
    assert lookup.item("no such") is None
    assert lookup.exists("no such") is False


def test_forget_asks_again(shop: Emulator, client: OctopusClient) -> None:
    lookup = Lookup(client, gather_seconds=0)
    assert lookup.item("S-1").stock == "1"  # type: ignore[union-attr]
    shop.store.add_item("S-1", Stock="100")
    assert lookup.item("S-1").stock == "1"  # type: ignore[union-attr]
    lookup.forget("S-1")
    assert lookup.item("S-1").stock == "100"  # type: ignore[union-attr]


def test_a_wrong_sku_is_its_callers_error_alone(shop: Emulator, client: OctopusClient) -> None:
    lookup = gated(client, 2)
    with ThreadPoolExecutor(3) as pool:
        right = [pool.submit(lookup.exists, sku) for sku in ("S-1", "S-2")]
        wrong = pool.submit(lookup.exists, "x" * 51)
        assert [future.result() for future in right] == [True, True]
        with pytest.raises(InvalidInputError):
            wrong.result()
    assert len(shop.calls) == 1


def test_an_item_the_service_cannot_answer_fails_alone(shop: Emulator, client: OctopusClient) -> None:
    shop.script.on("GetItemList", key="S-2").do(Status(500))
    lookup = gated(client.with_options(max_attempts=1), 4)
    with ThreadPoolExecutor(4) as pool:
        asked = {sku: pool.submit(lookup.item, sku) for sku in SKUS[:4]}
        for sku, future in asked.items():
            if sku == "S-2":
                with pytest.raises(OctopusError):
                    future.result()
            else:
                assert future.result().sku == sku  # type: ignore[union-attr]


def test_errors_are_not_kept_and_each_caller_has_its_own(shop: Emulator, client: OctopusClient) -> None:
    shop.script.on("IsSkuExistList").do(Reset(when="before")).times(1)
    lookup = gated(client.with_options(max_attempts=1), 5)
    with ThreadPoolExecutor(5) as pool:
        errors = [future.exception() for future in [pool.submit(lookup.exists, "S-1") for _ in range(5)]]
    assert all(isinstance(error, OctopusError) for error in errors)
    assert len({id(error) for error in errors}) == 5
    assert lookup.exists("S-1")


def test_memory_is_bounded_and_the_least_used_leaves_first(shop: Emulator, client: OctopusClient) -> None:
    lookup = Lookup(client, gather_seconds=0, max_items=3, ttl=100)
    for sku in ("S-1", "S-2", "S-3", "S-1", "S-4"):
        lookup.exists(sku)
    sent = lookup.counts.sent
    assert lookup.exists("S-1")
    assert lookup.counts.sent == sent
    assert lookup.exists("S-2")
    assert lookup.counts.sent == sent + 1


def test_ctrl_c_in_the_thread_that_sends_hands_the_request_on(client: OctopusClient) -> None:
    class Interrupted:
        def __init__(self) -> None:
            self.calls = 0

        def is_sku_exist_list(self, keys: list[str], *, account_id: str | None) -> object:
            self.calls += 1
            if self.calls == 1:
                raise KeyboardInterrupt
            return client.is_sku_exist_list(keys, account_id=account_id)

    lookup = gated(Interrupted(), 3)  # type: ignore[arg-type]
    with ThreadPoolExecutor(3) as pool:
        ends = [pool.submit(lookup.exists, sku) for sku in SKUS[:3]]
        found = [future.exception() or future.result() for future in ends]
    assert sorted(str(type(one)) for one in found) == sorted(map(str, [KeyboardInterrupt, bool, bool]))


@pytest.mark.parametrize(
    "wrong", [{"ttl": -1}, {"max_items": 0}, {"parallel": 0}, {"gather_seconds": float("inf")}, {"ttl": "5"}]
)
def test_a_number_out_of_range_is_refused(client: OctopusClient, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Lookup(client, **wrong)  # type: ignore[arg-type]


def test_tasks_share_a_request_and_the_first_full_one_does_not_wait(shop: Emulator) -> None:
    async def main() -> list[bool]:
        async with AsyncOctopusClient(**shop.settings()) as client:
            lookup = AsyncLookup(client, gather_seconds=30)  # 500 look-ups fill a request: it leaves at once
            return await asyncio.gather(*(lookup.exists(f"S-{number}") for number in range(500)))

    assert asyncio.run(main()) == [number < 60 for number in range(500)]
    assert operations(shop) == ["IsSkuExistList"]


def test_a_cancelled_task_takes_nothing_from_the_others(shop: Emulator) -> None:
    async def main() -> tuple[object, int]:
        async with AsyncOctopusClient(**shop.settings()) as client:
            lookup = AsyncLookup(client)
            first, second = (asyncio.ensure_future(lookup.item(sku)) for sku in ("S-1", "S-1"))
            await asyncio.sleep(0)
            first.cancel()
            found = await second
            assert first.cancelled()
            return found and found.sku, lookup.counts.sent

    assert asyncio.run(main()) == ("S-1", 1)


def test_a_look_up_that_every_task_gave_up_is_not_sent(shop: Emulator) -> None:
    async def main() -> None:
        async with AsyncOctopusClient(**shop.settings()) as client:
            lookup = AsyncLookup(client)
            task = asyncio.ensure_future(lookup.exists("S-1"))
            await asyncio.sleep(0)
            task.cancel()
            assert await lookup.exists("S-2")
            assert lookup.counts.sent == 1

    asyncio.run(main())


def test_async_errors_reach_their_own_sku(shop: Emulator) -> None:
    shop.script.on("GetItemList", key="S-2").do(Status(500))

    async def main() -> list[object]:
        async with AsyncOctopusClient(**shop.settings()) as client:
            lookup = AsyncLookup(client.with_options(max_attempts=1))
            return await asyncio.gather(*map(lookup.item, SKUS[:4]), return_exceptions=True)

    found = asyncio.run(main())
    assert isinstance(found[2], OctopusError)
    assert [one.sku for index, one in enumerate(found) if index != 2] == ["S-0", "S-1", "S-3"]  # type: ignore[attr-defined]


def test_a_second_loop_is_refused_while_the_first_is_open_and_welcome_after_it(shop: Emulator) -> None:
    async def make() -> AsyncLookup:
        async with AsyncOctopusClient(**shop.settings()) as client:
            lookup = AsyncLookup(client)
            assert await lookup.exists("S-1")

            def other() -> None:
                asyncio.run(lookup.exists("S-1"))

            with pytest.raises(ConfigError, match="event loop"):
                await asyncio.to_thread(other)
            return lookup

    lookup = asyncio.run(make())
    assert asyncio.run(lookup.exists("S-1")), "a kept answer outlives its loop"


def test_a_rejection_names_its_sku() -> None:
    class Rejects:
        def get_item_quantity_list(self, keys: list[str], *, account_id: str | None) -> object:
            del account_id
            return BatchResult([ItemOutcome(0, keys[0], OutcomeStatus.REJECTED, message="no such SKU")])

    with pytest.raises(RejectedError, match="no such SKU") as raised:
        Lookup(Rejects(), gather_seconds=0).quantity("S-1")  # type: ignore[arg-type]
    assert raised.value.key == "S-1"


def test_an_input_without_an_outcome_is_an_error_and_no_absence() -> None:
    class Empty:
        def is_sku_exist_list(self, keys: list[str], *, account_id: str | None) -> object:
            del keys, account_id
            return BatchResult([])

    with pytest.raises(TransportError, match="not answered"):
        Lookup(Empty(), gather_seconds=0).exists("S-1")  # type: ignore[arg-type]
