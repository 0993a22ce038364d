"""The two drivers: the only module that sends, sleeps or waits.

Invariants:

* One attempt, from looking up the host to the last byte of the answer, takes at most its limit, even if the server
  sends byte by byte. A TLS handshake is bounded per message only.
* A forked child never uses a connection of its parent: two processes on one socket would read each other's answers.
* An answer is inflated within `OctopiaSettings.max_reply_bytes`, and one coding deep.
* No cookie is kept, no redirect is followed; both would need code that is not here.
* An error of httpcore has its request, and the request has the token. So errors are translated inside the ``except``
  and raised outside of it, which leaves no chain. No local variable here holds a header in the clear.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

import httpcore

from octopus_soap._http import BodyCodingError, BodyTooLongError, Inflater, without_logins
from octopus_soap.octopia import errors
from octopus_soap.octopia.effects import Answer, Effect, Flow, Reply, Request, Send, T, Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

    from octopus_soap.octopia.settings import OctopiaSettings

_log = logging.getLogger("octopus_soap.octopia")

CONNECTIONS = 64  # the most of one client, all of which may be kept open
IDLE_SECONDS = 50.0  # the longest time a connection stays unused: load balancers drop it silently after a minute


_INHERITED: WeakSet[Any] = WeakSet()


def reset_after_fork(thing: Any) -> None:
    """Register ``thing.after_fork()``, to be called first in every forked child."""
    _INHERITED.add(thing)


def _in_child() -> None:
    for thing in list(_INHERITED):
        thing.after_fork()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_in_child)

_deadline: ContextVar[float] = ContextVar("octopus_soap_octopia_deadline", default=float("inf"))


def _left(timeout: float | None) -> float:
    """Return the seconds left of the attempt, at most *timeout*."""
    left = _deadline.get() - time.monotonic()
    return max(0.001, left if timeout is None else min(left, timeout))  # 0 would mean not to wait at all


class _BoundedBackend(httpcore.NetworkBackend):
    """Makes connections whose every wait fits into the time left of the attempt."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        # One limit for all addresses together: six dead ones must not take six times as long.
        until, failure = time.monotonic() + _left(timeout), httpcore.ConnectError(f"{host}: no address")
        for address in _addresses(host, port):
            left = until - time.monotonic()
            if left <= 0:
                raise httpcore.ConnectTimeout("no address answered in time")
            try:
                return _BoundedStream(self._inner.connect_tcp(address, port, left, *args, **options))
            except httpcore.ConnectError as error:
                failure = error
        raise failure


class _BoundedStream(httpcore.NetworkStream):
    """A stream whose every wait fits into the time left of the attempt."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """Looks names up in the loop's thread if the interpreter is shutting down."""

    def __init__(self) -> None:
        self._inner: Any = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        try:
            stream: httpcore.AsyncNetworkStream = await self._inner.connect_tcp(host, port, *args, **options)
        except RuntimeError as error:
            if "shutdown" not in str(error):  # of asyncio's thread pool, which then takes no look-up
                raise
            stream = await self._inner.connect_tcp(_addresses(host, port)[0], port, *args, **options)
        return stream


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host}: {error}") from None
    return list(dict.fromkeys(str(row[4][0]) for row in found))


Pool = TypeVar("Pool", httpcore.ConnectionPool, httpcore.AsyncConnectionPool)


class _Pools(Generic[Pool]):
    """The connection pools of one driver, by proxy, made at their first use."""

    def __init__(self, settings: OctopiaSettings, make: Callable[..., Pool]) -> None:
        self._settings = settings
        self._make: Callable[..., Pool] = make
        self.closed = False
        self._proxies = {url: settings.proxy_of(url) for url in (settings.token_url, settings.api_url)}
        self._trust = settings.ssl_context()
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's connections, which does not close them for the parent."""
        self._lock = threading.Lock()
        self._made: dict[str | None, Pool] = {}
        self.loop: asyncio.AbstractEventLoop | None = None

    def of(self, url: str) -> Pool:
        """Return the pool for *url*."""
        if self.closed:
            raise errors.OctopiaConfigError("the client is closed; make a new one")
        settings = self._settings
        proxy = self._proxies[settings.token_url if url == settings.token_url else settings.api_url]
        with self._lock:
            if proxy not in self._made:
                # All may stay open: with fewer, httpcore 1.0 closes idle ones that another thread is about to use.
                self._made[proxy] = self._make(
                    ssl_context=self._trust,
                    proxy=None if proxy is None else _proxy(proxy),
                    max_connections=CONNECTIONS,
                    max_keepalive_connections=CONNECTIONS,
                    keepalive_expiry=IDLE_SECONDS,
                )
            return self._made[proxy]

    def taken(self) -> list[Pool]:
        """Return the pools to close; no more are made."""
        self.closed = True
        with self._lock:
            pools, self._made = list(self._made.values()), {}
        return pools


def _proxy(url: str) -> httpcore.Proxy:
    parts = urlsplit(url)
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return httpcore.Proxy(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), auth)


async def _carried_out(flow: Flow[T], done: Callable[[Effect], Awaitable[Answer]]) -> T:
    """Run *flow*, let *done* carry its effects out, and return its value."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = await done(effect)
            except BaseException as error:  # noqa: BLE001 - the flow raises what it does not handle
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        value: T = stop.value
        return value


class BlockingDriver:
    """Carries flows out in the calling thread."""

    def __init__(self, settings: OctopiaSettings, sleep: Callable[[float], None]) -> None:
        self._settings, self._sleep = settings, sleep
        self._pools = _Pools(settings, partial(httpcore.ConnectionPool, network_backend=_BoundedBackend()))

    def run(self, flow: Flow[T]) -> T:
        """Carry *flow* out and return its value."""
        try:
            _carried_out(flow, self._done).send(None)  # its first step is its last: nothing it awaits suspends
        except StopIteration as stop:
            value: T = stop.value
            return value
        raise AssertionError("a blocking driver awaited something")

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.taken():
            pool.close()

    async def _done(self, effect: Effect) -> Answer:
        if isinstance(effect, Send):
            return self._send(effect.request)
        if not isinstance(effect, Wait):
            self._sleep(effect.seconds)
            return None
        if effect.leader_thread == threading.get_ident():
            return False  # the event loop doing the work runs in this thread: waiting would stop it
        with suppress(TimeoutError):
            effect.event.result(effect.seconds)
            return True
        return False

    def _send(self, request: Request) -> Reply:
        pool, exchange = self._pools.of(request.url), _Exchange(request, self._settings)
        before = _deadline.set(exchange.until)
        try:
            with pool.stream(**exchange.arguments()) as response:
                exchange.began(response)
                for chunk in response.iter_stream():
                    exchange.add(chunk)
            return exchange.reply()
        except Exception as error:  # noqa: BLE001 - sorted out below, and raised again if it is none of the known
            failure = exchange.failure(error)
        finally:
            _deadline.reset(before)
        raise failure


class AsyncioDriver:
    """Carries flows out in the running task, for the event loop of its first call."""

    def __init__(self, settings: OctopiaSettings, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._settings, self._sleep = settings, sleep
        self._pools = _Pools(settings, partial(httpcore.AsyncConnectionPool, network_backend=_AsyncBackend()))

    async def run(self, flow: Flow[T]) -> T:
        """Carry *flow* out and return its value."""
        return await _carried_out(flow, self._done)

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.taken():
            await pool.aclose()

    async def _done(self, effect: Effect) -> Answer:
        if isinstance(effect, Send):
            return await self._send(effect.request)
        if isinstance(effect, Wait):
            return await _landed(effect.event, effect.seconds)
        await self._sleep(effect.seconds)
        return None

    async def _send(self, request: Request) -> Reply:
        pool, exchange = self._pools.of(request.url), _Exchange(request, self._settings)
        loop = asyncio.get_running_loop()
        self._pools.loop = self._pools.loop or loop
        if self._pools.loop is not loop:  # connections of another loop would fail with an obscure error
            raise errors.OctopiaConfigError("an AsyncOctopiaClient belongs to one event loop: make one per asyncio.run")
        try:
            async with asyncio.timeout(exchange.limit), pool.stream(**exchange.arguments()) as response:
                exchange.began(response)
                async for chunk in response.aiter_stream():
                    exchange.add(chunk)
            return exchange.reply()
        except Exception as error:  # noqa: BLE001 - sorted out below, and raised again if it is none of the known
            failure = exchange.failure(error)
        raise failure


async def _landed(event: Future[None], seconds: float) -> bool:
    """Wait for *event*, set in any thread; leave it alone, since other tasks wait too."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def notify(_: Future[None]) -> None:
        with suppress(RuntimeError):  # this loop is closed: no task is left to wake
            loop.call_soon_threadsafe(wake)

    event.add_done_callback(notify)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await waiter
            return True
    return False


class _Exchange:
    """One request: the arguments for httpcore, the growing answer, the failure."""

    def __init__(self, request: Request, settings: OctopiaSettings) -> None:
        self._request, self._settings = request, settings
        self.limit = settings.attempt_seconds if request.seconds is None else request.seconds
        self._started = time.monotonic()
        self.until = self._started + self.limit
        self._status, self._headers = 0, dict[str, str]()
        self._inflater = Inflater("", settings.max_reply_bytes)
        self._body = bytearray()

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``pool.stream``; they hold secrets and must not be kept."""
        request, settings = self._request, self._settings
        shown = {"User-Agent": "octopus-soap (octopia)", "Accept-Encoding": "gzip, deflate", **request.headers}
        secret = {name: value.get_secret_value() for name, value in request.secret_headers.items()}
        silence = min(settings.read_seconds, self.limit)
        seconds = {"pool": self.limit, "connect": min(settings.connect_seconds, self.limit)}
        seconds |= {"read": silence, "write": silence}
        return {
            "method": request.method,
            "url": request.url,
            "headers": [(name.encode("ascii"), value.encode("ascii")) for name, value in (shown | secret).items()],
            "content": request.body.get_secret_value() if request.body is not None else None,
            "extensions": {"timeout": seconds},
        }

    def began(self, response: httpcore.Response) -> None:
        """Take the head of the answer."""
        self._status = response.status
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
            self._headers[name] = f"{self._headers[name]}, {value}" if name in self._headers else value
        self._inflater = Inflater(self._headers.get("content-encoding", ""), self._settings.max_reply_bytes)

    def add(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._body += self._inflater.feed(chunk)

    def reply(self) -> Reply:
        """Return the complete answer."""
        self._inflater.end()
        _log.debug("%s: %d after %.3f s", self._request.call, self._status, time.monotonic() - self._started)
        return Reply(status=self._status, headers=self._headers, body=bytes(self._body))

    def failure(self, error: Exception) -> Exception:
        """Return the error of this package for *error*, or *error* itself if unknown."""
        call, reason = self._request.call, f"{type(error).__name__}: {without_logins(str(error))}".rstrip(": ")
        _log.debug("%s: failed after %.3f s: %s", call, time.monotonic() - self._started, type(error).__name__)
        if isinstance(error, _NEVER_LEFT):
            return _not_connected(call, error, reason)
        if isinstance(error, (httpcore.TimeoutException, TimeoutError)):
            late = time.monotonic() >= self.until - 0.05  # timers and clocks differ slightly
            what = f"the answer did not end within {self.limit:g} s" if late else f"no answer in time ({reason})"
            return errors.OctopiaTimeoutError(f"{call}: {what}", call=call, reason=reason)
        if isinstance(error, (BodyCodingError, BodyTooLongError)):
            message = f"{call}: the answer cannot be read: {error}"
            return errors.OctopiaProtocolError(message, call=call, status=self._status)
        if isinstance(error, (httpcore.NetworkError, httpcore.ProtocolError, OSError)):
            return errors.ConnectionLostError(f"{call}: the connection broke ({reason})", call=call, reason=reason)
        return error


_NEVER_LEFT = (
    httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout, httpcore.ProxyError,
    httpcore.UnsupportedProtocol, httpcore.LocalProtocolError,
)  # fmt: skip # a plain list of classes
# OpenSSL's codes for a chain without a trusted root, which a proxy that inspects TLS causes.
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21, 24})


def _not_connected(call: str, error: Exception, reason: str) -> errors.OctopiaConnectError:
    untrusted: BaseException | None = error
    while untrusted is not None and not isinstance(untrusted, ssl.SSLCertVerificationError):
        untrusted = untrusted.__cause__ or untrusted.__context__
    if untrusted is None:  # a handshake that was cut shows nothing about the certificate, and may be tried again
        message = f"{call}: no connection ({reason}); nothing was sent"
        return errors.OctopiaConnectError(message, call=call, reason=reason)
    message = f"{call}: the server's certificate was not accepted ({untrusted.verify_message}); nothing was sent"
    if untrusted.verify_code in _UNKNOWN_ISSUER:
        message += (
            ". If your network inspects TLS, set `verify` (or OCTOPIA_CA_BUNDLE) to the CA bundle that holds its root "
            "certificate; verification cannot be turned off"
        )
    return errors.OctopiaTlsError(message, call=call, reason=reason)
