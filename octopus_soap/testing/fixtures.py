"""The pytest plugin with the fixtures.

Every pytest run of every project with this package loads it, so it imports only pytest until a fixture is used.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from octopus_soap.client import AsyncOctopusClient, OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.testing.recording import Recording


@pytest.fixture
def octopus_emulator() -> Generator[Emulator]:
    """Yield an emulator of the test's own, with an empty state.

    def test_reads_stock(octopus_emulator):
        octopus_emulator.store.add_item("SKU-1", Price="1.50", Stock=3)
        ...
        assert [call.operation for call in octopus_emulator.calls] == ["GetItemQuantity"]
    """
    try:
        from octopus_soap.emulator import Emulator  # noqa: PLC0415 - see the module's docstring
    except ImportError as error:
        raise pytest.UsageError(
            f"the fixture octopus_emulator needs the module {error.name}: pip install 'octopus-soap[emulator]'"
        ) from None
    with Emulator() as service:
        yield service


@pytest.fixture
def octopus_client(octopus_emulator: Emulator) -> Generator[OctopusClient]:
    """Yield a client of `octopus_emulator` that ignores variables and profiles.

    def test_uploads(octopus_client, octopus_emulator):
        octopus_client.upload_item(make_item(sku="SKU-1"))
        assert octopus_emulator.store.item("SKU-1")["Price"] == Decimal("9.99")
    """
    from octopus_soap.client import OctopusClient  # noqa: PLC0415 - see the module's docstring
    from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - see the module's docstring

    with OctopusClient(settings=IsolatedSettings.load(**octopus_emulator.settings())) as client:
        yield client


@pytest.fixture
def octopus_async_client(octopus_emulator: Emulator) -> AsyncOctopusClient:
    """Return an asynchronous client of `octopus_emulator`, like `octopus_client`.

    @pytest.mark.anyio  # or pytest-asyncio's mark, or asyncio.run in a plain test
    async def test_reads(octopus_async_client, octopus_emulator):
        octopus_emulator.store.add_item("SKU-1", Stock=3)
        assert await octopus_async_client.get_item_quantity("SKU-1") == 3

    It needs no running loop and no plugin: connections are made in the loop of the first call, and are closed when that
    loop shuts down (`asyncio.run`, pytest-asyncio and anyio do that). `async with octopus_async_client:` closes them
    earlier.
    """
    from octopus_soap.client import AsyncOctopusClient  # noqa: PLC0415 - see the module's docstring
    from octopus_soap.errors import ConfigError  # noqa: PLC0415 - see the module's docstring
    from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - see the module's docstring

    try:
        return AsyncOctopusClient(settings=IsolatedSettings.load(**octopus_emulator.settings()))
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture
def octopus_recorder() -> Generator[Callable[[OctopusClient | AsyncOctopusClient], Recording]]:
    """Yield a function that records a client's traffic, as `record_traffic` does.

    def test_my_sync_asks_once(octopus_recorder, octopus_client):
        recording = octopus_recorder(octopus_client)
        my_sync.pull(octopus_client)
        assert [exchange.operation for exchange in recording.exchanges] == ["GetItemList"]
        recording.save("tests/recordings/pull")
    """
    from octopus_soap.testing.recording import record_traffic  # noqa: PLC0415 - see the module's docstring

    with ExitStack() as recorders:
        yield lambda client: recorders.enter_context(record_traffic(client))
