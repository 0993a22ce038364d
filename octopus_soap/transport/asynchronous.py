"""Run flows over httpx: batches side by side in tasks, big replies decoded off the event loop.

Invariants, the same as the blocking driver's:

* Credentials go to the endpoint and nowhere else; redirects are not followed.
* Every limit is finite, and the total one holds against a service that drips.
* At most `max_connections` exchanges run at once, and no more start per second than `max_requests_per_second` says.
  The only retries are the flow's.
* Every byte of an answer passes `Framing` before h11 reads it, also through a proxy. A connection whose answer is not
  complete, or has bytes behind it, is not used again; nor is one that was idle for longer than `idle_timeout`.
* A reply of `OFF_LOOP` bytes or more is decoded in one thread per process: more threads decode no faster, as decoding
  holds the interpreter's lock, and each would stand between the event loop and its turn.
* Connections belong to an event loop. A client used from a second loop gets connections of its own there, at the same
  pace. TLS contexts are made once per process: reading the certificates costs tens of milliseconds.

Failure: `failure_of` turns an exception of httpx into a `SendFailure`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import httpcore
import httpx

from octopus_soap._http import (
    BodyCodingError,
    BodyTooLongError,
    Inflater,
    ca_from_environment,
    is_loopback,
    no_cookies,
    proxy_variables,
)
from octopus_soap.engine.effects import Attempt, Compute, Effect, Flow, Send, SendFailure, Sleep
from octopus_soap.engine.retry import FailureKind
from octopus_soap.errors import (
    ClientClosedError,
    ConfigError,
    ConnectFailedError,
    OctopusError,
    TimedOutError,
    TransportError,
)
from octopus_soap.transport.framing import Framing, FramingError, oversized, unreadable
from octopus_soap.transport.limiter import RateLimiter, TaskLimiter, stopped, yield_gil
from octopus_soap.wire.faults import Reply
from octopus_soap.wire.readers import yield_hook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from octopus_soap.engine.effects import Tap
    from octopus_soap.settings import OctopusSettings


def ssl_context(settings: OctopusSettings, *, trust_env: bool) -> ssl.SSLContext:
    """The context for *settings*: of `ca_bundle`, or what httpx trusts by default.

    One per process for the same certificates; a bundle that was changed on disk is read anew.

    Args:
        settings: endpoint, `ca_bundle`.
        trust_env: whether httpx's own environment variables count.

    Raises:
        ConfigError: the certificates cannot be read.
    """
    if settings.endpoint.startswith("http:"):
        return _trusting_nobody()
    named = "" if settings.ca_bundle is not None or not trust_env else ca_from_environment()
    bundle = str(settings.ca_bundle or named)
    return _trusting(bundle, _changed(Path(bundle)) if bundle else 0)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # the context's own error names the file


@lru_cache(maxsize=1)
def _trusting_nobody() -> ssl.SSLContext:
    """For plain http, where no certificate is looked at; should one be, it is refused."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@lru_cache(maxsize=8)
def _trusting(bundle: str, changed: int) -> ssl.SSLContext:
    del changed  # it is part of the key only
    if not bundle:
        return httpx.create_ssl_context(trust_env=False)
    try:
        folder = Path(bundle).is_dir()
        return ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    except OSError as error:  # SSLError is one
        raise ConfigError(f"cannot read the certificates in {bundle}: {error.strerror or error}") from error


async def off_loop(work: Callable[[], Any]) -> Any:
    """Run *work* in the decoding thread, after what waits there already."""
    try:
        ended = asyncio.get_running_loop().run_in_executor(_thread(os.getpid()), work)
    except RuntimeError:  # Python starts no thread once the main one has returned
        return work()
    return await ended


@lru_cache(maxsize=1)
def _thread(pid: int) -> ThreadPoolExecutor:
    del pid  # a forked child has none of its parent's threads: it needs one of its own
    return ThreadPoolExecutor(1, thread_name_prefix="octopus_soap.decoding", initializer=_yield_gil)


def _yield_gil() -> None:
    yield_hook.set(yield_gil)


T = TypeVar("T")
OFF_LOOP = 32 * 1024
"""Bytes of a reply from which on it is decoded in a thread; a smaller one takes about a millisecond."""


class _Trace:
    """What httpx tells of one exchange: whether the connection was new, the request had left, an answer had begun."""

    def __init__(self) -> None:
        self.fresh = self.sent = self.answered = False

    async def __call__(self, event: str, _: Any) -> None:
        if event == "connection.connect_tcp.started":
            self.fresh = True
        elif event.endswith("send_request_headers.started"):
            self.sent = True
        elif event.endswith("receive_response_headers.complete"):
            self.answered = True


class _Loop:
    """The connections of one client in one event loop."""

    def __init__(self, settings: OctopusSettings, turns: TaskLimiter) -> None:
        most, trust_env = settings.max_connections, not is_loopback(settings.endpoint)
        self.loop, self.pid = asyncio.get_running_loop(), os.getpid()
        self.turns = turns
        self._endpoint = httpx.URL(settings.endpoint)
        verify = ssl_context(settings, trust_env=trust_env)
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
                f"the proxy in {proxy_variables()} needs a package that is not installed: pip install 'httpx[socks]'"
            ) from error
        except (ValueError, httpx.InvalidURL):  # its text may repeat a password
            raise ConfigError(f"{proxy_variables()}: not an address of a proxy or a host that httpx can use") from None
        self.http.headers.clear()
        _guard(self.http)
        # A loop that shuts down closes the asynchronous generators begun in it: so no socket outlives its loop, where
        # nobody awaited `aclose`.
        self._closing = _closes_with_its_loop(self.http)
        with contextlib.suppress(StopIteration):
            anext(self._closing).send(None)

    async def drop_idle(self) -> None:
        """Close the idle connections: one was found closed by the service, so the others may be closed too."""
        # httpx shows its pool to nobody. Should it be elsewhere one day, each dead connection costs an attempt.
        transport = self.http._transport_for_url(self._endpoint)  # noqa: SLF001 - see above
        pooled: Any = getattr(getattr(transport, "_pool", None), "connections", [])
        for connection in list(pooled):
            if connection.is_idle():
                await connection.aclose()


async def _closes_with_its_loop(http: httpx.AsyncClient) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await http.aclose()


class AsyncConnections:
    """The connections of one client, shared by its views."""

    def __init__(self, settings: OctopusSettings) -> None:
        self._settings = settings
        self._loops: dict[int, _Loop] = {}
        self._closed = False
        self._begin()
        self.tap: Tap | None = None
        """Wraps the flows of the client and its views: a recording, or a replay of one."""

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pace = RateLimiter(self._settings.max_requests_per_second)

    def here(self) -> _Loop:
        """The connections of the running loop.

        Raises:
            ClientClosedError: after `close`.
            ConfigError: no event loop runs, or it is the one of the process this one was forked from.
        """
        if self._closed:
            raise ClientClosedError("the client is closed; make a new one")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigError(
                "no asyncio event loop is running here: await the client's calls under asyncio.run; a forked process "
                "needs an asyncio.run of its own"
            ) from None
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
            known = self._loops[id(loop)] = _Loop(self._settings, TaskLimiter(self._settings, self._pace, self._lock))
        return known

    async def close(self) -> None:
        """Close the connections, and refuse further calls. Those of another running loop are closed there, soon."""
        self._closed = True
        loops, self._loops = self._loops, {}
        for known in loops.values():
            if known.pid != os.getpid() or known.loop.is_closed():
                continue
            if known.loop is asyncio.get_running_loop():
                await known.http.aclose()
            elif known.loop.is_running():
                asyncio.run_coroutine_threadsafe(known.http.aclose(), known.loop)


class AsyncDriver:
    """Sends, sleeps and runs flows for one asynchronous client, or for a view of one.

    Args:
        settings: endpoint, credentials, limits.
        connections: shared with the other views of the client.
        stop: once set, no further exchange is begun.
    """

    def __init__(
        self, settings: OctopusSettings, connections: AsyncConnections, stop: threading.Event | None = None
    ) -> None:
        self._settings = settings
        self._connections = connections
        self._stop = stop
        self._headers = {
            "User-Agent": settings.sent_user_agent,
            "Accept": "text/xml",
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": "text/xml; charset=utf-8",
            **settings.credentials(),  # there are no redirects, so they go to the endpoint and nowhere else
        }

    # -- one exchange ------------------------------------------------------------------------------------------

    async def exchange(self, exchange: Attempt, limit: float) -> Reply | SendFailure:
        """Make one HTTP exchange within *limit* seconds, the wait for its turn included.

        Raises:
            ClientClosedError: the client was closed.
        """
        here = self._connections.here()
        waited = await here.turns.take(limit, self._stop)
        if isinstance(waited, SendFailure):
            return waited
        started = time.monotonic() - waited
        try:
            answer = await self._within(here.http, exchange, limit, started)
        finally:
            here.turns.release()
        if isinstance(answer, SendFailure) and answer.kind is FailureKind.STALE:
            await here.drop_idle()
        return answer

    async def _within(
        self, http: httpx.AsyncClient, exchange: Attempt, limit: float, started: float
    ) -> Reply | SendFailure:
        trace = _Trace()
        try:
            async with asyncio.timeout(max(0.001, started + limit - time.monotonic())):
                return await self._send(http, exchange, trace, started)
        except TimeoutError:
            elapsed = time.monotonic() - started
            # Only a connection that was seen to be made, and no request on it, proves that nothing left.
            kind = FailureKind.NOT_SENT if trace.fresh and not trace.sent else FailureKind.AMBIGUOUS
            return SendFailure(
                kind, TimedOutError(f"no complete answer within the total limit of {limit:.3g} s"), elapsed
            )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, FramingError, OSError) as error:
            return failure_of(error, trace, time.monotonic() - started, self._settings.read_timeout)
        except BodyTooLongError:
            return oversized(self._settings.max_reply_bytes, time.monotonic() - started)
        except BodyCodingError as error:
            return unreadable(error, time.monotonic() - started)

    async def _send(self, http: httpx.AsyncClient, exchange: Attempt, trace: _Trace, started: float) -> Reply:
        settings = self._settings
        request = http.build_request(
            "POST",
            settings.endpoint,
            content=exchange.body,
            headers=httpx.Headers(
                {**self._headers, "SOAPAction": f'"{exchange.action}"', "X-Request-ID": exchange.request_id},
                encoding="latin-1",  # as http.client, which the blocking driver uses
            ),
            timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout, pool=None, write=None),
            extensions={"trace": trace},
        )
        response = await http.send(request, stream=True)
        try:
            body = bytearray()
            inflater = Inflater(response.headers.get("content-encoding", ""), settings.max_reply_bytes)
            async for piece in _raw_pieces(response):
                body += inflater.feed(piece)
            inflater.end()
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, bytes(body), time.monotonic() - started)

    # -- flows -------------------------------------------------------------------------------------------------

    async def run(self, flow: Flow[T], room: asyncio.Semaphore | None = None) -> T:
        """Run one flow to its end; a flow broken off is closed here and now, so that it can tell so.

        Args:
            flow: the flow.
            room: held for each of its exchanges, where others of its call run beside it.
        """
        tapped: Flow[T] = flow if self._connections.tap is None else self._connections.tap(flow)
        with contextlib.closing(tapped):
            return await self._run(tapped, room)

    async def _run(self, flow: Flow[T], room: asyncio.Semaphore | None) -> T:
        answer: Any = None
        error: Exception | None = None
        while True:
            try:
                effect: Effect = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result
            answer, error = None, None
            match effect:
                case Send():
                    # The wait for room is nobody's limit: nothing of this request has begun.
                    async with contextlib.nullcontext() if room is None else room:
                        over = room is not None and effect.unwanted()
                        answer = stopped() if over else await self.exchange(effect.attempt, effect.limit)
                case Sleep():
                    await asyncio.sleep(effect.seconds)
                case Compute():
                    try:
                        answer = effect.work() if effect.size < OFF_LOOP else await off_loop(effect.work)
                    except OctopusError as raised:
                        error = raised
                case _:
                    assert_never(effect)

    async def side_by_side(self, flows: Iterator[Flow[T]], parallel: int, ahead: int) -> AsyncGenerator[T]:
        """Run flows, at most *parallel* exchanges at once, and yield their results in order.

        Once the first has ended, at most *ahead* more flows are begun: those whose answers are being decoded, and those
        that wait for room. Not before, as the first may end the call: refused credentials do.
        """
        running: deque[asyncio.Task[T]] = deque()
        refused: OctopusError | None = None
        at_once = min(parallel, self._settings.max_connections)
        room, most = asyncio.Semaphore(at_once), at_once
        try:
            while True:
                while len(running) < most and refused is None:
                    try:
                        following = next(flows, None)
                    except OctopusError as error:  # a bad input of a stream: what is under way comes first
                        refused = error
                        break
                    if following is None:
                        break
                    running.append(asyncio.create_task(self.run(following, room)))
                if not running:
                    break
                yield await running[0]
                running.popleft()
                most = at_once + (ahead if at_once > 1 else 0)
            if refused is not None:
                raise refused
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def view(self, settings: OctopusSettings, stop: threading.Event | None) -> AsyncDriver:
        """A driver with other settings over the same connections."""
        return AsyncDriver(settings, self._connections, stop)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()


async def _raw_pieces(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The body as it came, still compressed; of a mocked response, whose body is there already, that."""
    if response.is_stream_consumed:
        yield response.content
        return
    async for piece in response.aiter_raw():
        yield piece


_REQUEST_LINE = re.compile(rb"([A-Z]+) [^ ]+ HTTP/1\.1\r\n")


class _Stream(httpcore.AsyncNetworkStream):
    """A connection whose answers pass `Framing` on their way to h11."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._framing: Framing | None = None  # none while a SOCKS proxy is spoken to

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
        await self._inner.write(buffer, timeout)

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
        # httpcore asks an idle connection whether there is something to read, and drops it if so.
        if info == "is_readable" and self._framing is not None and not self._framing.reusable:
            return True
        return self._inner.get_extra_info(info)


class _Backend(httpcore.AsyncNetworkBackend):
    """Makes connections whose answers pass `Framing`."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        try:
            return _Stream(await self._inner.connect_tcp(host, port, *args, **kwargs))
        except RuntimeError as error:
            # asyncio looks names up in a thread, and Python starts none once the main one has returned.
            if "shutdown" not in str(error):
                raise
        failed: Exception = httpcore.ConnectError(f"no address of {host}")
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for entry in addresses:
            try:
                return _Stream(await self._inner.connect_tcp(str(entry[4][0]), port, *args, **kwargs))
            except httpcore.ConnectError as error:
                failed = error
        raise failed

    async def connect_unix_socket(self, path: str, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.connect_unix_socket(path, *args, **kwargs))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _guard(http: httpx.AsyncClient) -> None:
    """Let every connection of *http*, those of its proxies included, be made by `_Backend`."""
    # httpx passes no backend on to the pool it makes; httpcore's pools take one, and keep it in this attribute.
    for transport in (http._transport, *http._mounts.values()):  # noqa: SLF001 - see above
        pool: Any = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001 - see above


_CONNECTING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


def failure_of(error: Exception, trace: _Trace, elapsed: float, read_timeout: float) -> SendFailure:
    """What an exception of httpx means.

    Args:
        error: the exception.
        trace: what was seen of the exchange.
        elapsed: seconds the exchange took.
        read_timeout: seconds of silence it was given.
    """
    reason = f"{type(error).__name__}: {str(error)[:200]}"
    if isinstance(error, (*_CONNECTING, httpx.InvalidURL)):
        timed_out = isinstance(error, httpx.TimeoutException)
        failed: OctopusError = (
            TimedOutError("could not connect in time")
            if timed_out
            else ConnectFailedError(f"could not connect: {reason}")
        )
        return SendFailure(FailureKind.NOT_SENT, failed, elapsed)
    if isinstance(error, httpx.TimeoutException):
        late = TimedOutError(f"no complete answer within the read limit of {read_timeout:g} s")
        return SendFailure(FailureKind.AMBIGUOUS, late, elapsed)
    framing = isinstance(error, FramingError)
    stale = trace.sent and not trace.fresh and not trace.answered and not framing
    kind = FailureKind.STALE if stale else FailureKind.AMBIGUOUS
    what = "the answer broke off" if trace.answered or framing else "the connection was closed without an answer"
    return SendFailure(kind, TransportError(f"{what}: {reason}"), elapsed)
