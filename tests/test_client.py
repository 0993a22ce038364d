"""The blocking client in a notebook's running loop, and next to other clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from octopus_soap import OctopusClient
from octopus_soap.contracts.wsdl import load_contract
from tests.inside import codec_of

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator


def test_it_works_inside_a_running_event_loop(client: OctopusClient, service: Emulator) -> None:
    """In Jupyter a loop always runs: many batches, so threads, must work there."""
    skus = [f"{number:04d}" for number in range(350)]
    service.store.add_items({"Sku": sku, "Stock": "1"} for sku in skus)

    async def cell() -> list[int | None]:
        assert client.get_item_quantity("0001") == 1
        return [row.stock for row in client.get_item_quantity_list(skus)]

    assert asyncio.run(cell()) == [1] * 350


def test_clients_share_one_parsed_contract(service: Emulator) -> None:
    with OctopusClient(**service.settings()) as one, OctopusClient(**service.settings()) as other:
        assert codec_of(one).contract is codec_of(other).contract is load_contract()
