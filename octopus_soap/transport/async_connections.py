"""Connect for an asynchronous client, with connections of each event loop.

Invariants:

* Connections belong to an event loop. A client used from a second loop gets connections of its own there, at the same
  pace.
* Every byte of an answer passes `Framing` before h11 reads it, also through a proxy. A connection whose answer is not
  complete, or has bytes behind it, is not used again; nor is one that was idle for longer than `idle_timeout`.
* TLS contexts are made once per process: reading the certificates costs tens of milliseconds.

On failure: the exceptions of httpx, and `FramingError`; the driver judges them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import threading
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
from urllib3.util.wait import wait_for_read

from octopus_soap._http import ca_from_environment, is_loopback, no_cookies, proxy_variables
from octopus_soap.errors import ClientClosedError, ConfigError
from octopus_soap.transport.framing import Framing
from octopus_soap.transport.limiter import RateLimiter, TaskLimiter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from octopus_soap.engine.effects import Tap
    from octopus_soap.settings import OctopusSettings
    from octopus_soap.transport.limiter import Report


def ssl_context(settings: OctopusSettings) -> ssl.SSLContext:
    """Return the TLS context for *settings*: one per process and certificates.

    It trusts `ca_bundle`, else the certificates that the environment names, else those that httpx trusts. A bundle that
    was changed on disk is read again.

    Raises:
        ConfigError: the certificates cannot be read.
    """
    if settings.endpoint.startswith("http:"):
        return _trusting_none()
    bundle, changed = str(settings.ca_bundle or ca_from_environment()), 0
    if bundle:
        with contextlib.suppress(OSError):  # making the context fails too, and that error names the file
            changed = Path(bundle).stat().st_mtime_ns
    return _trusting(bundle, changed)


@lru_cache(maxsize=1)
def _trusting_none() -> ssl.SSLContext:
    """Return the context for plain http, which refuses every certificate."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@lru_cache(maxsize=8)
def _trusting(bundle: str, changed: int) -> ssl.SSLContext:
    del changed  # only a part of the cache's key
    if not bundle:
        return httpx.create_ssl_context(trust_env=False)
    try:
        folder = Path(bundle).is_dir()
        return ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    except OSError as error:  # SSLError is one
        raise ConfigError(f"cannot read the certificates in {bundle}: {error.strerror or error}") from error


class LoopConnections:
    """The connections of one client in one event loop."""

    def __init__(self, settings: OctopusSettings, turns: TaskLimiter) -> None:
        most, trust_env = settings.max_connections, not is_loopback(settings.endpoint)
        self.loop, self.pid = asyncio.get_running_loop(), os.getpid()
        self.turns = turns
        self.endpoint = httpx.URL(settings.endpoint)
        verify = ssl_context(settings)
        try:
            self.http = httpx.AsyncClient(
                limits=httpx.Limits(
                    max_connections=most, max_keepalive_connections=most, keepalive_expiry=settings.idle_timeout
                ),
                follow_redirects=False,
                trust_env=trust_env,
                verify=verify,
                cookies=no_cookies(),
            )
        except ImportError as error:
            raise ConfigError(
                f"the proxy in {proxy_variables()} needs a package that is not installed: "
                "pip install 'octopus-soap[socks]'"
            ) from error
        except (ValueError, httpx.InvalidURL):  # its text may repeat a password
            raise ConfigError(f"{proxy_variables()}: not an address of a proxy or a host that httpx can use") from None
        self.http.headers.clear()
        _guard(self.http)
        # A loop that shuts down closes the asynchronous generators begun in it. So no socket outlives its loop, even if
        # `aclose` was not awaited.
        self._closing = _closes_with_its_loop(self)
        with contextlib.suppress(StopIteration):
            anext(self._closing).send(None)

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()
        await self.turns.close()

    async def drop_idle(self) -> None:
        """Close the idle connections, after the service was found to have closed one."""
        # httpx does not show its pool. If it is elsewhere one day, each dead connection costs an attempt.
        transport = self.http._transport_for_url(self.endpoint)  # noqa: SLF001 - see above
        pooled: Any = getattr(getattr(transport, "_pool", None), "connections", [])
        for connection in list(pooled):
            if connection.is_idle():
                await connection.aclose()


async def _closes_with_its_loop(here: LoopConnections) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await here.close()


class AsyncConnections:
    """The connections of one client, shared by its views."""

    def __init__(self, settings: OctopusSettings, report: Report | None = None) -> None:
        self._settings, self._report = settings, report
        self._loops: dict[int, LoopConnections] = {}
        self._closed = False
        self._begin()
        self.tap: Tap | None = None
        """Wraps the flows of the client and its views: a recording, or a replay of one."""

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pace = RateLimiter(self._settings.max_requests_per_second)

    def here(self) -> LoopConnections:
        """Return the connections of the running loop.

        Raises:
            ClientClosedError: after `close`.
            ConfigError: no event loop runs, or the running one is older than this forked process.
        """
        if self._closed:
            raise ClientClosedError("the client is closed; make a new one")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigError(_no_loop()) from None
        known = self._loops.get(id(loop))
        if known is not None and known.loop is loop:
            if known.pid != os.getpid():
                raise ConfigError(
                    "this process was forked while the event loop ran, and shares its sockets with the parent: make "
                    "the call under an asyncio.run of its own, or fork before the loop starts"
                )
            return known
        if self._pid != os.getpid():
            self._begin()  # the parent's other threads may have held its lock
        with self._lock:
            # Loops that ended took their sockets with them.
            self._loops = {key: other for key, other in self._loops.items() if not other.loop.is_closed()}
            turns = TaskLimiter(self._settings, self._pace, self._lock, report=self._report)
            known = self._loops[id(loop)] = LoopConnections(self._settings, turns)
        return known

    async def close(self) -> None:
        """Close the connections, and refuse further calls."""
        self._closed = True
        loops, self._loops = self._loops, {}
        for known in loops.values():
            if known.pid != os.getpid() or known.loop.is_closed():
                continue
            if known.loop is asyncio.get_running_loop():
                await known.close()
            elif known.loop.is_running():  # in another thread, which closes them soon
                asyncio.run_coroutine_threadsafe(known.close(), known.loop)


def _no_loop() -> str:
    from sniffio import AsyncLibraryNotFoundError, current_async_library  # noqa: PLC0415 - only an error asks

    with contextlib.suppress(AsyncLibraryNotFoundError):
        if (other := current_async_library()) != "asyncio":
            return (
                f"the client needs asyncio, and {other} runs here: call an OctopusClient in a thread "
                "(trio.to_thread.run_sync), or choose asyncio as the backend of anyio"
            )
    return (
        "no asyncio event loop is running here: await the client's calls under asyncio.run; a forked process needs an "
        "asyncio.run of its own"
    )


_REQUEST_LINE = re.compile(rb"([A-Z]+) [^ ]+ HTTP/1\.1\r\n")


class _Stream(httpcore.AsyncNetworkStream):
    """A connection whose answers pass `Framing`; a request leaves in one piece."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._socket: Any = inner.get_extra_info("socket")
        self._framing: Framing | None = None  # None while a SOCKS proxy connects
        self._head = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's interface
        data = await self._inner.read(max_bytes, timeout)
        if self._framing is not None:
            if data:
                self._framing.feed(data)
            else:
                self._framing.end()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's interface
        if self._framing is None or self._framing.ended:
            line = _REQUEST_LINE.match(buffer)
            if line is not None:  # another request begins
                self._framing = Framing(connecting=line[1] == b"CONNECT")
                if line[1] == b"POST":  # httpcore writes its body next
                    self._head = buffer
                    return
        head, self._head = self._head, b""
        await self._inner.write(head + buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        # httpcore drops an idle connection that has something to read.
        if info == "is_readable" and self._framing is not None:
            return not self._framing.reusable or self._socket.fileno() < 0 or wait_for_read(self._socket, 0.0)
        return self._inner.get_extra_info(info)


made_here: ContextVar[list[httpcore.AsyncNetworkStream] | None] = ContextVar("octopus_soap_made_here", default=None)
"""Collects the connections made for the exchange of this task."""


def _noted(inner: httpcore.AsyncNetworkStream) -> _Stream:
    stream, made = _Stream(inner), made_here.get()
    if made is not None:
        made.append(stream)
    return stream


class _Backend(httpcore.AsyncNetworkBackend):
    """Makes connections whose answers pass `Framing`."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        try:
            return _noted(await self._inner.connect_tcp(host, port, *args, **kwargs))
        except RuntimeError as error:
            # asyncio looks up names in a thread, and Python starts none once the main one has returned.
            if "shutdown" not in str(error):
                raise
        failed: Exception = httpcore.ConnectError(f"no address of {host}")
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for entry in addresses:
            try:
                return _noted(await self._inner.connect_tcp(str(entry[4][0]), port, *args, **kwargs))
            except httpcore.ConnectError as error:
                failed = error
        raise failed

    async def connect_unix_socket(self, path: str, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.connect_unix_socket(path, *args, **kwargs))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _guard(http: httpx.AsyncClient) -> None:
    """Let `_Backend` make every connection of *http*, those to proxies too."""
    # httpx passes no backend on to the pool it makes; httpcore's pools take one, and keep it in this attribute.
    for transport in (http._transport, *http._mounts.values()):  # noqa: SLF001 - see above
        pool: Any = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001 - see above
