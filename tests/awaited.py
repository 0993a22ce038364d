"""The asynchronous client with the blocking interface: a test runs on both.

Each call runs in the event loop of another thread. Arguments, results and exceptions pass through unchanged.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from octopus_soap import AsyncOctopusClient

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from octopus_soap import OctopusSettings


class Loop:
    """An event loop running in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="awaited", daemon=True)
        self._thread.start()

    def wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class _Call:
    def __init__(self, bound: Any, loop: Loop) -> None:
        self._bound, self._loop = bound, loop

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._loop.wait_for(self._bound(*args, **kwargs))

    def with_info(self, *args: Any, **kwargs: Any) -> Any:
        return self._loop.wait_for(self._bound.with_info(*args, **kwargs))

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        parts = self._bound.stream(
            *args, **kwargs
        )  # checks before the first batch raise here, as in the blocking client
        return self._pull(parts)

    def _pull(self, parts: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._loop.wait_for(anext(parts))
                except StopAsyncIteration:
                    return
        finally:
            self._loop.wait_for(parts.aclose())


class AwaitedClient:
    """An `AsyncOctopusClient` that can be called like an `OctopusClient`."""

    def __init__(self, settings: OctopusSettings, loop: Loop | None = None) -> None:
        self._loop = loop or Loop()
        self._client = AsyncOctopusClient(settings=settings)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return _Call(found, self._loop) if hasattr(found, "operation") else found

    def with_options(self, **options: Any) -> AwaitedClient:
        view = object.__new__(AwaitedClient)
        view._loop, view._client = self._loop, self._client.with_options(**options)
        return view

    def ping(self, **options: Any) -> Any:
        return self._loop.wait_for(self._client.ping(**options))

    def close(self) -> None:
        self._loop.wait_for(self._client.aclose())
        if not self._loop.loop.is_closed():
            self._loop.stop()
