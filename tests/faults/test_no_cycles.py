"""What a call raises and returns is freed when it is dropped: no reference cycles."""

from __future__ import annotations

import asyncio
import gc
import weakref
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    AsyncOctopusClient,
    AuthenticationError,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusError,
    OctopusSettings,
)
from octopus_soap.emulator import Fault, Reset, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap.emulator import Emulator


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


CALLS: list[Callable[[Any], Any]] = [
    lambda client: client.is_sku_exist("A"),
    lambda client: client.is_sku_exist_list(["A", "B"]),
    lambda client: client.get_item_tbl_list(),
    lambda client: client.update_item_quantity_and_price_list([ItemQuantityAndPrice(sku="A", price=Decimal(1))]),
]


def settings(service: Emulator) -> OctopusSettings:
    return OctopusSettings.load(
        **{**service.settings(), "max_attempts": 2, "backoff_base": 0.0, "omitted_values": "send"}
    )


def dropped(raised: BaseException) -> weakref.ref[BaseException]:
    return weakref.ref(raised)


FAILURES = [Fault("client-text"), Fault("internal"), Status(401), Status(503), Reset()]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_an_error_is_freed_when_it_is_dropped(failure: Any, service: Emulator) -> None:
    service.script.on("*").do(failure)
    left = []
    with OctopusClient(settings=settings(service)) as client:
        for call in CALLS:
            try:
                call(client)
            except OctopusError as error:
                left.append(dropped(error))
    assert [ref() for ref in left] == [None] * len(CALLS)

    async def awaited() -> None:
        left.clear()
        async with AsyncOctopusClient(settings=settings(service)) as client:
            for call in CALLS:
                try:
                    await call(client)
                except OctopusError as error:
                    left.append(dropped(error))
        assert [ref() for ref in left] == [None] * len(CALLS)

    asyncio.run(awaited())


def test_refused_credentials_are_freed_with_the_result_they_carry_in_every_form_of_call(service: Emulator) -> None:
    service.script.on("*").do(Status(401))
    calls: list[Callable[[Any], Any]] = [
        lambda client: client.get_item_list.stream(["A", "B"], batch_size=1),
        lambda client: client.get_order_list.stream(),
        lambda client: client.get_item_list(["A", "B", "C"], batch_size=1),
    ]
    with OctopusClient(settings=settings(service)) as client:
        for call in calls:
            seen: list[weakref.ref[BaseException]] = []
            try:
                list(call(client))
            except AuthenticationError as error:
                seen.append(dropped(error))
            assert [ref() for ref in seen] == [None]


def test_a_list_calls_inputs_are_freed_with_its_result(service: Emulator) -> None:
    items = [ItemQuantityAndPrice(sku="A", price=Decimal(1))]
    seen = weakref.ref(items[0])
    with OctopusClient(settings=settings(service)) as client:
        result = client.update_item_quantity_and_price_list(items)
        assert len(result.outcomes) == 1
        del result, items
        assert seen() is None
