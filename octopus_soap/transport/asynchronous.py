"""Run flows over httpx, batches side by side in tasks: the asynchronous driver.

Invariants, the same as the blocking driver's:

* Credentials go to the endpoint and nowhere else; redirects are not followed.
* Every limit is finite, and the total one holds against a service that drips.
* At most `max_connections` exchanges run at once, and at most `max_requests_per_second` start per second.
  The only retries are the flow's.

A reply of `OFF_LOOP` bytes or more is decoded in one thread per process: more threads decode no faster, as decoding
holds the interpreter's lock, and each would keep the event loop from its turn.

On failure: `failure_of` turns an exception of httpx into a `SendFailure`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import httpx

from octopus_soap._http import BodyCodingError, BodyTooLongError, Inflater, without_logins
from octopus_soap.engine.effects import Attempt, Compute, Effect, FailureKind, Flow, Receive, Send, SendFailure, Sleep
from octopus_soap.errors import ConnectFailedError, OctopusError, TimedOutError, TransportError
from octopus_soap.transport.async_connections import made_here
from octopus_soap.transport.connections import through_proxy
from octopus_soap.transport.framing import FramingError, oversized, unreadable
from octopus_soap.transport.limiter import PAUSING, POLL_SECONDS, stopped, timed, until_refused, yield_gil
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.readers import yield_hook

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncGenerator, Callable, Iterator

    import httpcore

    from octopus_soap.settings import OctopusSettings
    from octopus_soap.transport.async_connections import AsyncConnections, LoopConnections


async def off_loop(work: Callable[[], Any]) -> Any:
    """Run *work* in the decoding thread, after the work that waits there."""
    try:
        ended = asyncio.get_running_loop().run_in_executor(_thread(os.getpid()), work)
    except RuntimeError:  # Python starts no thread once the main one has returned
        return work()
    return await ended


@lru_cache(maxsize=1)
def _thread(pid: int) -> ThreadPoolExecutor:
    del pid  # a forked child needs a thread of its own: it has none of its parent's
    return ThreadPoolExecutor(1, "octopus_soap.decoding", yield_hook.set, (yield_gil,))


T = TypeVar("T")
OFF_LOOP = 32 * 1024
"""Least bytes of a reply that is decoded in a thread; a smaller one takes about a millisecond."""
_TURNS = 8
"""Turns of the event loop that httpx needs to write a request to an open connection."""


class _Siblings:
    """The state shared by the flows of one call, which run side by side.

    A flow that has its answer makes room for the next request, which leaves before the answer is decoded, so that no
    connection waits for us. One answer is decoded at a time, and the event loop gets its turns between two.

    Attributes:
        ahead: True if requests may be about to leave.
        room: held for each exchange, of which *parallel* may be under way at once.
        decoding: held to decode.
    """

    def __init__(self, parallel: int) -> None:
        self.ahead = False
        self.room = asyncio.Semaphore(parallel)
        self.decoding = asyncio.Lock()


async def _computed(effect: Compute, siblings: _Siblings | None) -> Any:
    if siblings is not None and siblings.ahead:
        async with siblings.decoding:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            return await _computed(effect, None)
    return timed(effect) if effect.size < OFF_LOOP else await off_loop(partial(timed, effect))


class _Trace:
    """The progress of one exchange: new connection, request sent, answer begun."""

    def __init__(self) -> None:
        self.fresh = self.sent = self.answered = False

    async def __call__(self, event: str, _: Any) -> None:
        if event == "connection.connect_tcp.started":
            self.fresh = True
        elif event.endswith("send_request_headers.started"):
            self.sent = True
        elif event.endswith("receive_response_headers.complete"):
            self.answered = True


_PART = 64 * 1024
"""Least size of a part of a reply, unless it is the last one."""
_OK = 200


class _OpenBody:
    """A body received in parts, in *left* seconds; it holds its connection and turn."""

    def __init__(self, response: httpx.Response, left: float, release: Callable[[], object]) -> None:
        self._response, self.left, self._release = response, left, release
        self._pieces = _raw_pieces(response)
        self._inflater = Inflater(response.headers.get("content-encoding", ""))
        self.ended = False

    async def receive(self) -> bytes:
        """Return the next part, and no bytes at the end."""
        began, part, complete = time.monotonic(), bytearray(), False
        try:
            async with asyncio.timeout(max(0.001, self.left)):
                while len(part) < _PART and not complete:
                    if made := self._inflater.take(_PART):  # in parts too: a few bytes may inflate to megabytes
                        part += made
                        continue
                    piece = await anext(self._pieces, None)
                    complete = piece is None
                    if piece is None:
                        self._inflater.end()
                    else:
                        self._inflater.hold(piece)
        except BaseException:
            await self.close()
            raise
        finally:
            self.left -= time.monotonic() - began
        if complete:
            await self.close()
        return bytes(part)

    async def close(self) -> None:
        """Give back the connection and the turn."""
        if not self.ended:
            self.ended = True
            try:
                await self._response.aclose()
            finally:
                self._release()


class AsyncDriver:
    """Sends, sleeps and runs flows for one asynchronous client, or for a view of it.

    Once *stop* is set, pauses end and no further exchange is begun.
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
        self._limits = httpx.Timeout(
            settings.read_timeout, connect=settings.connect_timeout, pool=None, write=None
        ).as_dict()

    # -- one exchange ------------------------------------------------------------------------------------------

    async def exchange(self, asked: Send, opened: list[_OpenBody] | None = None) -> Reply | SendFailure:
        """Make the HTTP exchange *asked* for; its limit includes the wait for a turn.

        A body that is wanted in parts is added to *opened*, if that is given.

        Raises:
            ClientClosedError: the client was closed.
        """
        here, limit = self._connections.here(), asked.limit if asked.left is None else asked.time_left()
        opened = None if asked.whole else opened
        waited = await here.turns.take(limit, self._stop)
        if isinstance(waited, SendFailure):
            return waited
        if asked.gate is not None and (refused := asked.gate()) is not None:
            here.turns.release()
            return refused
        started = time.monotonic() - waited
        before = len(opened or ())
        made: list[httpcore.AsyncNetworkStream] = []
        token = made_here.set(made)
        try:
            answer = await self._within(here, asked.attempt, limit, started, opened)
        finally:
            made_here.reset(token)
            if len(opened or ()) == before:  # an open body gives its turn back when it is closed
                here.turns.release()
        if isinstance(answer, SendFailure):
            for stream in made:  # httpcore does not close one that a SOCKS proxy refused
                await stream.aclose()
            if answer.kind is FailureKind.STALE:
                await here.drop_idle()
        elif here.turns.shared and answer.status in PAUSING:
            await here.turns.hold(answer.headers)
        return answer

    async def _within(
        self, here: LoopConnections, exchange: Attempt, limit: float, started: float, opened: list[_OpenBody] | None
    ) -> Reply | SendFailure:
        trace = _Trace()
        try:
            async with asyncio.timeout(max(0.001, started + limit - time.monotonic())):
                if opened is None:
                    return await self._whole(await self._answer(here, exchange, trace), started)
                return await self._send_for_parts(here, exchange, trace, started + limit, opened)
        except TimeoutError:
            elapsed = time.monotonic() - started
            # Only a connection that was seen to be made, and no request on it, proves that nothing left.
            kind = FailureKind.NOT_SENT if trace.fresh and not trace.sent else FailureKind.AMBIGUOUS
            return SendFailure(
                kind, TimedOutError(f"no complete answer within the total limit of {limit:.3g} s"), elapsed
            )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, FramingError, OSError) as error:
            failure = failure_of(error, trace, time.monotonic() - started, self._settings.read_timeout)
            return through_proxy(failure, self._settings.endpoint)
        except BodyTooLongError:
            return oversized(self._settings.max_reply_bytes, time.monotonic() - started)
        except BodyCodingError as error:
            return unreadable(error, time.monotonic() - started)

    async def _send_for_parts(
        self, here: LoopConnections, exchange: Attempt, trace: _Trace, until: float, opened: list[_OpenBody]
    ) -> Reply:
        began = time.monotonic()
        response = await self._answer(here, exchange, trace)
        if response.status_code != _OK:
            return await self._whole(response, began)
        body = _OpenBody(response, until - time.monotonic(), here.turns.release)
        opened.append(body)
        first = await body.receive()
        rest = None if body.ended else body
        return Reply(_OK, dict(response.headers.items()), first, time.monotonic() - began, rest)

    async def _receive(self, body: _OpenBody) -> bytes | SendFailure:
        """Return the next part of a reply, or the reason why it does not come."""
        began, limit, trace = time.monotonic(), body.left, _Trace()
        trace.sent = trace.answered = True
        try:
            return b"" if body.ended else await body.receive()
        except TimeoutError:
            late = TimedOutError(f"no complete answer within the total limit; {limit:.3g} s of it were left")
            return SendFailure(FailureKind.AMBIGUOUS, late, time.monotonic() - began)
        except (httpx.HTTPError, httpx.StreamError, FramingError, OSError) as error:
            return failure_of(error, trace, time.monotonic() - began, self._settings.read_timeout)
        except BodyCodingError as error:
            return unreadable(error, time.monotonic() - began)

    async def _answer(self, here: LoopConnections, exchange: Attempt, trace: _Trace) -> httpx.Response:
        """Send, and return the answer before its body is read."""
        request = httpx.Request(
            "POST",
            here.endpoint,
            content=exchange.body,
            headers=httpx.Headers(
                {**self._headers, "SOAPAction": f'"{exchange.action}"', "X-Request-ID": exchange.request_id},
                encoding="latin-1",  # as http.client, which the blocking driver uses
            ),
            extensions={"trace": trace, "timeout": self._limits},
        )
        return await here.http.send(request, stream=True)

    async def _whole(self, response: httpx.Response, started: float) -> Reply:
        try:
            body = bytearray()
            coding, limit = response.headers.get("content-encoding", ""), self._settings.max_reply_bytes
            inflater = Inflater(coding, limit) if coding else None
            async for piece in _raw_pieces(response):
                body += piece if inflater is None else inflater.feed(piece)
                if len(body) > limit:
                    raise BodyTooLongError
            if inflater is not None:
                inflater.end()
        finally:
            await response.aclose()
        headers = dict(response.headers.items())  # httpx has the names in lower case
        return Reply(response.status_code, headers, bytes(body), time.monotonic() - started)

    # -- flows -------------------------------------------------------------------------------------------------

    async def run(self, flow: Flow[T], siblings: _Siblings | None = None, opened: list[_OpenBody] | None = None) -> T:
        """Run one flow to its end, alone or with others of its call.

        Bodies it receives in parts are added to *opened*. A flow that is broken off is closed at once, so that its end
        is reported.
        """
        if self._connections.tap is not None:
            flow, opened = self._connections.tap(flow), None
        answer: Any = None
        error: Exception | None = None
        with contextlib.closing(flow):
            while True:
                try:
                    effect: Effect = flow.send(answer) if error is None else flow.throw(error)
                except StopIteration as end:
                    result: T = end.value
                    return result
                finally:
                    answer = error = None  # no frame may hold an error that is raised: the traceback holds the frame
                match effect:
                    case Send():
                        if siblings is None:
                            answer = stopped() if effect.unwanted() else await self.exchange(effect, opened)
                            continue
                        # No limit includes the wait for room: nothing of the request has begun.
                        async with siblings.room:
                            answer = stopped() if effect.unwanted() else await self.exchange(effect, opened)
                    case Receive():
                        answer = await self._receive(effect.more)
                    case Sleep():
                        await self._pause(effect.seconds)
                    case Compute():
                        try:
                            answer = await _computed(effect, siblings)
                        except OctopusError as raised:
                            error = raised
                    case _:
                        assert_never(effect)

    async def _pause(self, seconds: float) -> None:
        if self._stop is None:
            await asyncio.sleep(seconds)
            return
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stop.is_set():  # noqa: ASYNC110 - an event of threads
            await asyncio.sleep(min(left, POLL_SECONDS))

    async def one_by_one(self, flows: Iterator[Flow[T]]) -> AsyncGenerator[T]:
        """Run flows one after another and yield their results; close their bodies."""
        opened: list[_OpenBody] = []
        try:
            for flow in flows:
                yield await self.run(flow, opened=opened)
        finally:
            for body in opened:
                await body.close()
            if isinstance(flows, GeneratorType):
                flows.close()

    async def side_by_side(self, flows: Iterator[Flow[T]], parallel: int, ahead: int) -> AsyncGenerator[T]:
        """Run flows, *parallel* exchanges at once, and yield their results in order.

        Once the first flow has ended, at most *ahead* more flows are begun: their answers are being decoded, or they
        wait for room. Not before, as the first may end the call, for example with refused credentials.
        """
        running: deque[asyncio.Task[T]] = deque()
        refused: list[OctopusError] = []
        following = until_refused(flows, refused)
        at_once = min(parallel, self._settings.max_connections)
        siblings, most = _Siblings(at_once), at_once
        try:
            while True:
                while len(running) < most and (flow := next(following, None)) is not None:
                    running.append(asyncio.create_task(self.run(flow, siblings)))
                siblings.ahead = ahead > 0 and len(running) > 1
                if not running:
                    break
                yield await running[0]
                running.popleft()
                most = at_once + (ahead if at_once > 1 else 0)
            if refused:
                raise refused[0]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def view(self, settings: OctopusSettings, stop: threading.Event | None) -> AsyncDriver:
        """Return a driver with other settings over the same connections."""
        return AsyncDriver(settings, self._connections, stop)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()


async def _raw_pieces(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Yield the body as it came, still compressed."""
    if response.is_stream_consumed:  # a mocked response
        yield response.content
        return
    async for piece in response.aiter_raw():
        yield piece


_CONNECTING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


def failure_of(error: Exception, trace: _Trace, elapsed: float, read_timeout: float) -> SendFailure:
    """Return the meaning of an exception of httpx; times in seconds."""
    reason = f"{type(error).__name__}: {without_logins(str(error))[:200]}"
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
