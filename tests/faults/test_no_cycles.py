"""What a call raises and returns is freed when it is dropped: no reference cycle waits for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import weakref
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import AsyncOctopusClient, ItemQuantityAndPrice, OctopusClient, OctopusError, OctopusSettings
from octopus_soap.emulator import Fault, Reset, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap.emulator import Emulator


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


# Credentials refused in a list call are not among them: such an error has the call's `result`, whose outcomes name it.
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


@pytest.mark.parametrize("failure", [Fault("client-text"), Status(503), Reset()], ids=lambda f: type(f).__name__)
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


def test_a_list_calls_inputs_are_freed_with_its_result(service: Emulator) -> None:
    items = [ItemQuantityAndPrice(sku="A", price=Decimal(1))]
    seen = weakref.ref(items[0])
    with OctopusClient(settings=settings(service)) as client:
        result = client.update_item_quantity_and_price_list(items)
        assert len(result.outcomes) == 1
        del result, items
        assert seen() is None
