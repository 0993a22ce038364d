"""Clients of both kinds with an event hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import AsyncOctopusClient, OctopusClient, OctopusSettings
from tests.awaited import AwaitedClient, Loop
from tests.catalogue import seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap.emulator import Emulator


class AwaitedWatchedClient(AwaitedClient):
    """An `AwaitedClient` with a hook."""

    def __init__(self, settings: OctopusSettings, on_event: Any) -> None:
        self._loop = Loop()
        self._client = AsyncOctopusClient(settings=settings, on_event=on_event)


@pytest.fixture
def shop(service: Emulator) -> Emulator:
    """A shop in which the call of every row of `tests.catalogue` succeeds."""
    seed(service)
    return service


@pytest.fixture(params=["blocking", "asyncio"])
def watched(service: Emulator, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Make clients of both kinds with a hook, and close them after the test."""
    made: list[Any] = []

    def make(on_event: Any = None, **settings: Any) -> Any:
        given = OctopusSettings.load(**{**service.settings(), "backoff_base": 0.0, **settings})
        kind = OctopusClient if request.param == "blocking" else AwaitedWatchedClient
        client = kind(settings=given, on_event=on_event)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
