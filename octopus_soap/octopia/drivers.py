"""The only module that sends, sleeps or waits: one driver for threads, one for tasks.

Both do the same with an effect; what differs is a handful of lines in which one of them awaits. Everything that decides
is in the flow, everything that translates (headers, errors, the limits on an answer) is in the functions they share.

Secrets: an httpx error carries its request, and the request the token. So errors are translated inside the ``except``
and raised outside of it, which leaves no chain; and no local variable here holds a header in the clear.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx

from octopus_soap.octopia.effects import Answer, Effect, Emit, Flow, Reply, Request, Send, Stream, T, Wait
from octopus_soap.octopia.errors import (
    ConfigError,
    ConnectFailedError,
    ConnectionLostError,
    OctopiaError,
    ProtocolError,
    TimedOutError,
    TlsFailedError,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from concurrent.futures import Future

    from octopus_soap.octopia.settings import OctopiaSettings
    from octopus_soap.octopia.tokens import Clock

# As many kept as open: below that, httpcore 1.0 closes idle connections while another thread is just taking them up,
# which fails that thread's request with a bad file descriptor (seen here with 200 threads; a write would be left in
# doubt).
_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=64)
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class BlockingDriver:
    """Carries flows out in the calling thread.

    Args:
        settings: Trust and limits.
        clock: Seconds that only grow.
        sleep: Lets seconds pass.
    """

    def __init__(self, settings: OctopiaSettings, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._settings, self._clock, self._sleep = settings, clock, sleep
        self._http = httpx.Client(
            verify=_trust(settings),
            timeout=_timeout(settings),
            limits=_LIMITS,
            cookies=_no_cookies(),
            follow_redirects=False,
            trust_env=settings.all_tls,  # a proxy must not see what goes to loopback over plain http
        )

    def run(self, flow: Flow[T]) -> T:
        """Carry *flow* out and return its value."""
        try:
            effect = next(flow)
            while True:
                effect = _resume(flow, self._outcome(effect))
        except StopIteration as stop:
            value: T = stop.value
            return value

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Carry *stream* out, yielding what it emits; leaving early closes it."""
        try:
            effect = next(stream)
            while True:
                if isinstance(effect, Emit):
                    yield from effect.values
                    effect = stream.send(None)
                else:
                    effect = _resume(stream, self._outcome(effect))
        except StopIteration:
            return
        finally:
            stream.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _outcome(self, effect: Effect) -> _Outcome:
        try:
            if isinstance(effect, Send):
                return _Outcome(self._send(effect.request))
            if isinstance(effect, Wait):
                return _Outcome(self._wait(effect))
            self._sleep(effect.seconds)
            return _Outcome(None)
        except BaseException as error:  # noqa: BLE001 - thrown into the flow, which lets it through
            return _Outcome(None, error)

    def _wait(self, effect: Wait) -> bool:
        if effect.leader_thread == threading.get_ident():
            return False  # the event loop doing the work runs in this thread: waiting would stop it
        try:
            effect.event.result(effect.seconds)
        except TimeoutError:
            return False
        return True

    def _send(self, request: Request) -> Reply:
        if self._http.is_closed:
            raise ConfigError("the client is closed")
        collector = _Collector(request, self._settings, self._clock)
        try:
            response = self._http.send(_build(self._http, request), stream=True)
            try:
                for chunk in response.iter_bytes():
                    collector.add(chunk)
            finally:
                response.close()
            return collector.reply(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = _translated(request, error)
        raise failure


class AsyncioDriver:
    """Carries flows out as part of the running task; belongs to the event loop it is first used in.

    Args:
        settings: Trust and limits.
        clock: Seconds that only grow.
        sleep: Lets seconds pass.
    """

    def __init__(self, settings: OctopiaSettings, clock: Clock, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._settings, self._clock, self._sleep = settings, clock, sleep
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http = httpx.AsyncClient(
            verify=_trust(settings),
            timeout=_timeout(settings),
            limits=_LIMITS,
            cookies=_no_cookies(),
            follow_redirects=False,
            trust_env=settings.all_tls,  # a proxy must not see what goes to loopback over plain http
        )

    async def run(self, flow: Flow[T]) -> T:
        """Carry *flow* out and return its value."""
        try:
            effect = next(flow)
            while True:
                effect = _resume(flow, await self._outcome(effect))
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry *stream* out, yielding what it emits; leaving early closes it."""
        try:
            effect = next(stream)
            while True:
                if isinstance(effect, Emit):
                    for value in effect.values:
                        yield value
                    effect = stream.send(None)
                else:
                    effect = _resume(stream, await self._outcome(effect))
        except StopIteration:
            return
        finally:
            stream.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _outcome(self, effect: Effect) -> _Outcome:
        try:
            if isinstance(effect, Send):
                return _Outcome(await self._send(effect.request))
            if isinstance(effect, Wait):
                return _Outcome(await _landed(effect.event, effect.seconds))
            await self._sleep(effect.seconds)
            return _Outcome(None)
        except BaseException as error:  # noqa: BLE001 - thrown into the flow, which lets it through
            return _Outcome(None, error)

    async def _send(self, request: Request) -> Reply:
        self._check_usable()
        collector = _Collector(request, self._settings, self._clock)
        try:
            response = await self._http.send(_build(self._http, request), stream=True)
            try:
                async for chunk in response.aiter_bytes():
                    collector.add(chunk)
            finally:
                await response.aclose()
            return collector.reply(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = _translated(request, error)
        raise failure

    def _check_usable(self) -> None:
        if self._http.is_closed:
            raise ConfigError("the client is closed")
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:  # its connections live in the first loop and would fail obscurely in another
            raise ConfigError("an AsyncOctopiaClient belongs to one event loop: make one per asyncio.run")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of an effect: an answer for the flow, or an error to throw into it."""

    answer: Answer
    error: BaseException | None = None


def _resume(flow: Flow[T] | Stream[T], outcome: _Outcome) -> Effect:
    """Hand *outcome* to the flow and return its next effect; `StopIteration` carries its value."""
    # A stream's next effect may be an Emit, too; the two iterate() methods look before they act.
    if outcome.error is not None:
        return flow.throw(outcome.error)  # type: ignore[return-value]  # see above
    return flow.send(outcome.answer)  # type: ignore[return-value]  # see above


async def _landed(event: Future[None], seconds: float) -> bool:
    """Wait for *event*, set in whichever thread, without ever touching it: other tasks wait for it too."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def tell(_: Future[None]) -> None:
        with suppress(RuntimeError):  # this loop has been closed meanwhile; nobody is left to wake
            loop.call_soon_threadsafe(wake)

    event.add_done_callback(tell)
    try:
        async with asyncio.timeout(seconds):
            await waiter
    except TimeoutError:
        return False
    return True


@dataclass(slots=True)
class _Collector:
    """Gathers an answer's body and keeps it within the limits."""

    request: Request
    settings: OctopiaSettings
    clock: Clock
    started: float = 0.0
    body: bytearray = field(default_factory=bytearray, repr=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def add(self, chunk: bytes) -> None:
        call, settings = self.request.call, self.settings
        self.body += chunk
        if len(self.body) > settings.max_reply_bytes:
            raise ProtocolError(f"{call}: the answer is longer than {settings.max_reply_bytes} bytes", call=call)
        if self.clock() - self.started > settings.attempt_seconds:  # each piece in time, but never an end
            raise TimedOutError(f"{call}: the answer did not end within {settings.attempt_seconds:g} s", call=call)

    def reply(self, response: httpx.Response) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}  # repeated ones come joined
        return Reply(status=response.status_code, headers=headers, body=bytes(self.body))


def _build(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    secret = {name: value.get_secret_value() for name, value in request.secret_headers.items()}
    headers = {"User-Agent": "octopus-soap (octopia)", **request.headers, **secret}
    body = request.body.get_secret_value() if request.body is not None else None
    return http.build_request(request.method, request.url, headers=headers, content=body)


@cache
def _public_authorities() -> ssl.SSLContext:
    # Reading them takes tens of milliseconds, more than a call: a service that builds clients per job pays once.
    return httpx.create_ssl_context()


def _trust(settings: OctopiaSettings) -> ssl.SSLContext:
    return settings.ssl_context() or _public_authorities()


def _timeout(settings: OctopiaSettings) -> httpx.Timeout:
    wait = min(settings.read_seconds, settings.attempt_seconds)
    return httpx.Timeout(wait, connect=settings.connect_seconds, pool=settings.attempt_seconds)


def _no_cookies() -> CookieJar:
    # One client serves many sellers: a session cookie set for one must not travel with the next.
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _translated(request: Request, error: httpx.HTTPError | httpx.InvalidURL) -> OctopiaError:
    """Return our error for *error*, with its kind and text as words."""
    call, reason = request.call, f"{type(error).__name__}: {error}"
    if isinstance(error, _NEVER_LEFT):
        if "CERTIFICATE_VERIFY_FAILED" in reason or "SSL" in reason:
            message = (
                f"{call}: the secure connection failed ({reason}). If your network inspects TLS, set `verify` (or "
                "OCTOPIA_CA_BUNDLE) to the CA bundle that holds its root certificate; verification cannot be turned off"
            )
            return TlsFailedError(message, call=call, reason=reason)
        return ConnectFailedError(f"{call}: no connection ({reason}); nothing was sent", call=call, reason=reason)
    if isinstance(error, httpx.TimeoutException):
        return TimedOutError(f"{call}: no answer in time ({reason})", call=call, reason=reason)
    if isinstance(error, httpx.DecodingError):
        return ProtocolError(f"{call}: the answer is wrongly compressed", call=call)
    if isinstance(error, httpx.InvalidURL):
        return ConfigError(f"{call}: the address is not valid ({error})")
    return ConnectionLostError(f"{call}: the connection broke ({reason})", call=call, reason=reason)
