"""The tests of operations run on both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import OctopusClient, OctopusSettings
from tests.awaited import AwaitedClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap.emulator import Emulator


@pytest.fixture(params=["blocking", "asyncio"])
def make_client(service: Emulator, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Make clients of both kinds for `service`, and close them after the test."""
    made: list[Any] = []

    def make(**settings: Any) -> Any:
        given = OctopusSettings.load(**{**service.settings(), "backoff_base": 0.0, **settings})
        client = OctopusClient(settings=given) if request.param == "blocking" else AwaitedClient(given)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
