"""Big replies are decoded in a thread that yields to the event loop between rows."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import AsyncOctopusClient, OctopusClient, OctopusSettings
from octopus_soap.emulator import Lie
from octopus_soap.transport.asynchronous import off_loop
from octopus_soap.wire.readers import ROWS, yield_hook, yield_point

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator


def stock(service: Emulator, count: int) -> list[str]:
    skus = [f"{number:05d}" for number in range(count)]
    service.store.add_items({"Sku": sku, "Stock": "1"} for sku in skus)
    return skus


@pytest.mark.parametrize("form", ["as layouts read it", "as only the tree reads it"])
def test_a_page_is_decoded_with_breaks_at_least_every_few_rows(
    form: str, service: Emulator, client: OctopusClient
) -> None:
    names = ["Category", "Description", "Details", *(f"Custom{number}" for number in range(1, 15))]
    skus = [f"{number:05d}" for number in range(100)]
    # Rows with fewer members are small, and more of them are read at once.
    service.store.add_items({"Sku": sku, "Stock": "1"} | dict.fromkeys(names, f"1{sku}") for sku in skus)
    client.get_item_list(skus)  # layouts are learned
    if form == "as only the tree reads it":
        service.script.on("GetItemList").do(Lie("extra-member", row=50))
    breaks: list[int] = []

    def call() -> int:
        yield_hook.set(lambda: breaks.append(1))
        return len(client.get_item_list(skus))

    assert contextvars.copy_context().run(call) == 100
    assert len(breaks) >= 100 // ROWS


def test_breaks_are_taken_beside_a_loop_and_nowhere_else() -> None:
    here = yield_hook.get()

    async def work() -> tuple[Any, Any, str]:
        return await off_loop(yield_hook.get), yield_hook.get(), await off_loop(lambda: threading.current_thread().name)

    there, on_the_loop, name = asyncio.run(work())
    assert on_the_loop is here
    assert there is not here
    assert name.startswith("octopus_soap.decoding")
    yield_point()  # costs nothing and does nothing here


def test_all_clients_and_loops_of_a_process_share_the_thread(service: Emulator) -> None:
    skus = stock(service, 100)

    async def work() -> str:
        async with AsyncOctopusClient(settings=OctopusSettings.load(**service.settings())) as client:
            assert len(await client.get_item_list(skus)) == 100
        return str(await off_loop(lambda: threading.current_thread().name))

    assert asyncio.run(work()) == asyncio.run(work())
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("octopus_soap.decoding")]
    assert len(names) == 1


def test_what_decoding_raises_reaches_the_caller() -> None:
    def broken() -> None:
        raise LookupError("gone")

    async def work() -> None:
        with pytest.raises(LookupError, match="gone"):
            await off_loop(broken)

    asyncio.run(work())
