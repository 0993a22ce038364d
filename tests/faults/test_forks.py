"""Forked children of a client in use: each gets the answers to its own questions."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
import requests

from octopus_soap import AsyncOctopusClient, OctopusClient
from octopus_soap.emulator import Emulator
from tests.forks import answers_in_children

if TYPE_CHECKING:
    from collections.abc import Iterator

CHILDREN, CALLS = 4, 6
NUMBERS = range(1, CHILDREN + 1)
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture
def stocked() -> Iterator[Emulator]:
    with Emulator() as service:
        for number in range(CHILDREN + 1):
            service.store.add_item(f"SKU-{number}", Stock=number)
        yield service


def connections_used(service: Emulator) -> int:
    return len({call.connection for call in service.calls})


@pytest.mark.parametrize(
    "given", [False, pytest.param(True, marks=pytest.mark.long)], ids=["own session", "given session"]
)
def test_children_of_a_blocking_client_never_share_its_connections(stocked: Emulator, *, given: bool) -> None:
    session = requests.Session() if given else None
    with OctopusClient(**stocked.settings(), session=session) as client:
        assert client.get_item_quantity("SKU-0") == 0
        codes = answers_in_children(
            NUMBERS, lambda number: all(client.get_item_quantity(f"SKU-{number}") == number for _ in range(CALLS))
        )
        assert codes == [0] * CHILDREN
        assert client.get_item_quantity("SKU-0") == 0
    if session is not None:
        session.close()
    assert connections_used(stocked) == 1 + CHILDREN, "one for the parent, and one for each child"


def test_children_of_an_asyncio_client_never_share_its_connections(stocked: Emulator) -> None:
    client = AsyncOctopusClient(**stocked.settings())

    async def ask(number: int) -> bool:
        return all([await client.get_item_quantity(f"SKU-{number}") == number for _ in range(CALLS)])

    async def ask_and_close(number: int) -> bool:
        try:
            return await ask(number)
        finally:
            await client.aclose()

    with asyncio.Runner() as runner:
        assert runner.run(ask(0))
        codes = answers_in_children(NUMBERS, lambda number: asyncio.run(ask(number)))
        assert codes == [0] * CHILDREN
        assert runner.run(ask_and_close(0))
    assert connections_used(stocked) == 1 + CHILDREN, "one for the parent, and one for each child"
