"""Run flows over requests, batches side by side in threads: the blocking driver.

Invariants:

* Credentials go on each request through an auth hook bound to the endpoint's origin; redirects are not followed.
* Every limit is finite. Connect and read limits are the socket's; the total limit also holds against a service that
  drips a byte a second, because each read of the connection is given only the time that is left.
* A caller's session is used and never changed: its adapters (and so mocks such as `responses`), hooks, proxies and
  certificates apply, its headers and cookies stay as they are. With it, the total limit holds between reads of the
  body, and each read is bounded by the read limit.
* At most `max_connections` exchanges run at once, and at most `max_requests_per_second` start per second;
  further ones wait in a line, up to the total limit.
* A forked child gets a session of its own.

On failure: `failure_of` turns an exception into a `SendFailure`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import closing, nullcontext
from contextvars import copy_context
from functools import partial
from http.client import HTTPException
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import requests
import urllib3

from octopus_soap._http import (
    CA_VARIABLES,
    BodyCodingError,
    BodyTooLongError,
    Inflater,
    proxy_variables,
    without_logins,
)
from octopus_soap.engine.effects import Compute, Effect, FailureKind, Flow, Receive, Send, SendFailure, Sleep
from octopus_soap.errors import ConnectFailedError, OctopusError, TimedOutError, TransportError
from octopus_soap.transport.connections import Connections, OriginAuth, Until, deadline, merged_options, through_proxy
from octopus_soap.transport.framing import oversized, unreadable
from octopus_soap.transport.limiter import PAUSING, POLL_SECONDS, stopped, timed, until_refused, yield_gil
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.readers import yield_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from octopus_soap.settings import OctopusSettings


T = TypeVar("T")
_PART = 64 * 1024
"""Least size of a part of a reply, unless it is the last one."""
_CHUNK = 256 * 1024
_OK = 200
_LOGINS = frozenset({401, 407})
_ONE_AT_A_TIME: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
"""True unless Python is free-threaded: that one decodes as many pages at once as it has processors."""


def _ended(future: Future[T]) -> Future[T]:
    """Return the future once it is done."""
    while not future.done():
        wait((future,), POLL_SECONDS)  # short: Python notices a Ctrl-C from just before a wait only after it
    return future


class _Siblings:
    """The state shared by the flows of one call, which run side by side.

    A flow that has its answer makes room for the next request before it decodes, so that no connection waits for us.
    One answer is decoded at a time, with yield points between rows: Python code runs in one thread at a time anyway,
    and the threads that send and receive get their turn far sooner from one computing thread than from several.

    Attributes:
        abandoned: once set, the answers are no longer wanted.
        room: held for each exchange, of which *parallel* may be under way at once.
        decoding: held to decode.
    """

    def __init__(self, parallel: int) -> None:
        self.abandoned = threading.Event()
        self.room = threading.BoundedSemaphore(parallel)
        self.decoding = threading.Lock() if _ONE_AT_A_TIME else nullcontext()


def _pieces_of(response: requests.Response) -> Iterator[bytes] | None:
    """Return the undecoded pieces of a body; None if it was read already."""
    raw: Any = response.raw
    if raw is None or getattr(response, "_content_consumed", False):  # by a hook of the caller's session
        return None
    return raw.stream(_CHUNK, decode_content=False) if hasattr(raw, "stream") else iter(partial(raw.read, _CHUNK), b"")


def read_body(response: requests.Response, limit: int, until: float) -> bytes:
    """Return the body of *response*, decompressed as it comes.

    Raises:
        BodyTooLongError: It has more than *limit* bytes, once decompressed.
        BodyCodingError: It is compressed in a way that is not read, or breaks off.
        TimeoutError: It is not complete at *until* (monotonic).
    """
    pieces = _pieces_of(response)
    if pieces is None:
        if len(response.content) > limit:
            raise BodyTooLongError
        return response.content
    body = bytearray()
    coding = response.headers.get("Content-Encoding", "")
    inflater = Inflater(coding, limit) if coding else None
    for piece in pieces:
        body += piece if inflater is None else inflater.feed(piece)
        if len(body) > limit:
            raise BodyTooLongError
        if time.monotonic() > until:
            raise TimeoutError
    if inflater is not None:
        inflater.end()
    return bytes(body)


class _OpenBody:
    """A body received in parts, in *left* seconds; it holds its connection and turn.

    *until* is moved on before each part, so that only the time spent on receiving counts.
    """

    def __init__(self, response: requests.Response, until: Until, left: float, release: Callable[[], object]) -> None:
        self._response, self._until, self.left, self._release = response, until, left, release
        pieces = _pieces_of(response)
        self._inflater = Inflater("" if pieces is None else response.headers.get("Content-Encoding", ""))
        self._pieces = iter((response.content,)) if pieces is None else pieces
        self.ended = False

    def receive(self) -> bytes:
        """Return the next part, and no bytes at the end."""
        began, part, complete = time.monotonic(), bytearray(), False
        self._until.moment = began + self.left
        try:
            while len(part) < _PART and not complete:
                if made := self._inflater.take(_PART):  # in parts too: a few bytes may inflate to megabytes
                    part += made
                    continue
                piece = next(self._pieces, None)
                complete = piece is None
                if piece is not None:
                    self._inflater.hold(piece)
                else:
                    self._inflater.end()
        except BaseException:
            self.close()
            raise
        finally:
            self.left -= time.monotonic() - began
        if complete:
            self.close()
        return bytes(part)

    def close(self) -> None:
        """Give back the connection and the turn."""
        if not self.ended:
            self.ended = True
            self._response.close()
            self._release()


class BlockingDriver:
    """Sends, sleeps and runs flows for one client, or for a view of it.

    Once *stop* is set, pauses end and no further exchange is begun.
    """

    def __init__(
        self, settings: OctopusSettings, connections: Connections, stop: threading.Event | None = None
    ) -> None:
        self._settings = settings
        self._connections = connections
        inner = None if connections.given is None else connections.given.auth
        self._auth = OriginAuth(settings.endpoint, settings.credentials(), inner)
        self._template: requests.PreparedRequest | None = None
        self._stop = stop
        self._sleep: Callable[[float], object] = time.sleep if stop is None else stop.wait
        self._headers = {
            "User-Agent": settings.sent_user_agent,
            "Accept": "text/xml",
            "Accept-Encoding": "gzip, deflate",
        }

    # -- one exchange ------------------------------------------------------------------------------------------

    def exchange(  # noqa: PLR0912 - a branch for each way an exchange can end
        self, asked: Send, opened: list[_OpenBody] | None = None, abandoned: threading.Event | None = None
    ) -> Reply | SendFailure:
        """Make the HTTP exchange *asked* for; its limit includes the wait for a turn.

        A body that is wanted in parts is added to *opened*, if that is given. Once *abandoned* is set, the answer is no
        longer wanted.

        Raises:
            ClientClosedError: the client was closed.
        """
        headers = {
            **self._headers,
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"{asked.attempt.action}"',
            "X-Request-ID": asked.attempt.request_id,
        }
        limit = asked.limit if asked.left is None else asked.time_left()
        session, turns, handled = self._connections.session(), self._connections.turns, sys.exception()
        waited = turns.take(limit, self._stop, abandoned)
        if isinstance(waited, SendFailure):
            return waited
        if asked.gate is not None and (refused := asked.gate()) is not None:
            turns.release()
            return refused
        started = time.monotonic() - waited
        until, more = Until(started + limit), None
        token = deadline.set(until)
        answered = False
        try:
            response = self._send(session, asked.attempt.body, headers, max(0.001, started + limit - time.monotonic()))
            answered = True
            if opened is not None and not asked.whole and response.status_code == _OK:
                more = _OpenBody(response, until, started + limit - time.monotonic(), turns.release)
                opened.append(more)
                content = more.receive()
            else:
                try:
                    content = read_body(response, self._settings.max_reply_bytes, started + limit)
                finally:
                    response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            own = self._connections.given is None
            elapsed = time.monotonic() - started
            silence, connecting = self._settings.read_timeout, own and not answered
            failure = failure_of(error, elapsed, limit, silence, connecting=connecting, handled=handled)
            if failure.kind is FailureKind.STALE:
                self._connections.drop_idle()
            try:
                return through_proxy(failure, self._settings.endpoint) if own else failure
            finally:
                del failure  # the traceback of its cause holds this frame, so the frame must not hold it
        except BodyTooLongError:
            return oversized(self._settings.max_reply_bytes, time.monotonic() - started)
        except BodyCodingError as error:
            return unreadable(error, time.monotonic() - started)
        finally:
            deadline.reset(token)
            if more is None:  # an open body gives its turn back when it is closed
                turns.release()
        named = dict(zip(map(str.lower, response.headers), response.headers.values(), strict=True))
        if turns.shared and response.status_code in PAUSING:
            turns.hold(named)
        rest = None if more is None or more.ended else more
        return Reply(response.status_code, named, content, time.monotonic() - started, rest)

    def _receive(self, body: _OpenBody) -> bytes | SendFailure:
        """Return the next part of a reply, or the reason why it does not come."""
        began, limit, handled = time.monotonic(), body.left, sys.exception()
        try:
            return b"" if body.ended else body.receive()
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            silence = self._settings.read_timeout
            return failure_of(error, time.monotonic() - began, limit, silence, connecting=False, handled=handled)
        except BodyCodingError as error:
            return unreadable(error, time.monotonic() - began)

    def _send(
        self, session: requests.Session, body: bytes | None, headers: Mapping[str, str], left: float, url: str = ""
    ) -> requests.Response:
        """Send through the session's adapter, and run the response hooks."""
        settings = self._settings
        target = url or settings.endpoint
        prepared = self._prepared(session, body, headers, target)
        options = merged_options(session, settings, target)
        timeout = (min(settings.connect_timeout, left), min(settings.read_timeout, left))
        until = time.monotonic() + left
        # Not by `Session.send`, which would change the session's cookies.
        response: requests.Response = session.get_adapter(target).send(prepared, timeout=timeout, **options)
        for hook in prepared.hooks.get("response", ()):  # such as the second leg of a gateway's login
            if response.status_code in _LOGINS and response.raw is not None:
                # The hook reads the body before it answers, without our limits: a bomb would fill the memory.
                response._content = self._read_raw(response, until)  # noqa: SLF001 - requests keeps a body here
                response._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001 - as above
                response.raw.release_conn()
            left = max(0.001, until - time.monotonic())
            timeout = (min(settings.connect_timeout, left), min(settings.read_timeout, left))
            another = hook(response, timeout=timeout, **options)
            response = response if another is None else another  # a response with an error status is falsy
        return response

    def _prepared(
        self, session: requests.Session, body: bytes | None, headers: Mapping[str, str], target: str
    ) -> requests.PreparedRequest:
        if session is self._connections.given or target != self._settings.endpoint:
            return session.prepare_request(
                requests.Request("POST", target, headers=dict(headers), data=body, auth=self._auth)
            )
        # Our own session prepares all requests to the endpoint alike: only body and headers differ.
        if self._template is None:
            self._template = session.prepare_request(requests.Request("POST", target, auth=self._auth))
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.hooks = "POST", self._template.url, self._template.hooks
        prepared.headers = self._template.headers.copy()
        prepared.headers.update(headers)
        prepared.prepare_body(body, None)
        return prepared

    def _read_raw(self, response: requests.Response, until: float) -> bytes:
        try:
            return read_body(response, self._settings.max_reply_bytes, until)
        except BodyTooLongError:
            raise oversized(self._settings.max_reply_bytes, 0.0).error from None
        except BodyCodingError as error:
            raise requests.exceptions.ContentDecodingError(str(error)) from None

    def raw(self, url: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
        """Make one exchange for `client.zeep`, with the errors of requests."""
        session, turns = self._connections.session(), self._connections.turns
        limit = self._settings.total_timeout
        waited = turns.take(limit, self._stop)
        if isinstance(waited, SendFailure):
            raise requests.ConnectTimeout(waited.error.message)
        until = time.monotonic() - waited + limit
        token = deadline.set(Until(until))
        try:
            left = max(0.001, until - time.monotonic())
            response = self._send(session, body, {**self._headers, **headers}, left, url)
            try:
                response._content = self._read_raw(response, until)  # noqa: SLF001 - requests keeps a body here
            finally:
                response.close()
            return response
        finally:
            deadline.reset(token)
            turns.release()

    # -- flows -------------------------------------------------------------------------------------------------

    def run(  # noqa: C901 - one branch for each effect, and no call for each of them
        self, flow: Flow[T], siblings: _Siblings | None = None, opened: list[_OpenBody] | None = None
    ) -> T:
        """Run one flow to its end, alone or with others of its call.

        Bodies it receives in parts are added to *opened*. A flow that is broken off is closed at once, so that its end
        is reported.
        """
        if self._connections.tap is not None:
            flow, opened = self._connections.tap(flow), None
        answer: Any = None
        error: Exception | None = None
        with closing(flow):
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
                            answer = stopped() if effect.unwanted() else self.exchange(effect, opened)
                            continue
                        with siblings.room:  # no limit includes this wait: nothing of the request has begun
                            if siblings.abandoned.is_set():
                                raise CancelledError
                            over = effect.unwanted()
                            answer = stopped() if over else self.exchange(effect, opened, siblings.abandoned)
                    case Receive():
                        answer = self._receive(effect.more)
                    case Sleep():
                        self._pause(effect.seconds, siblings)
                    case Compute():
                        try:
                            with nullcontext() if siblings is None else siblings.decoding:
                                answer = timed(effect)
                        except OctopusError as raised:
                            error = raised
                    case _:
                        assert_never(effect)

    def _pause(self, seconds: float, siblings: _Siblings | None) -> None:
        if siblings is None:
            self._sleep(seconds)
            return
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not (self._stop is not None and self._stop.is_set()):
            if siblings.abandoned.wait(min(left, POLL_SECONDS)):
                return

    def one_by_one(self, flows: Iterator[Flow[T]]) -> Generator[T]:
        """Run flows one after another and yield their results; close their bodies."""
        opened: list[_OpenBody] = []
        try:
            for flow in flows:
                yield self.run(flow, opened=opened)
        finally:
            for body in opened:
                body.close()
            if isinstance(flows, GeneratorType):
                flows.close()

    def side_by_side(self, flows: Iterator[Flow[T]], parallel: int, ahead: int) -> Generator[T]:
        """Run flows, *parallel* exchanges at once, and yield their results in order.

        Once the first flow has ended, at most *ahead* more flows are begun, and at least one: their answers are being
        decoded, or they wait for room. Not before, as the first may end the call, for example with refused credentials.
        A single flow runs in the caller's thread: a call of one batch starts no thread.
        """
        first = next(flows, None)
        if first is None:
            return
        second: Flow[T] | None = None
        if parallel > 1:
            try:
                second = next(flows, None)
            except OctopusError:  # a bad input of a stream: the batch before it comes first
                yield self.run(first)
                raise
        if second is None:
            yield self.run(first)
            for flow in flows:
                yield self.run(flow)
            return
        yield from self._threads([first, second], flows, min(parallel, self._settings.max_connections), ahead)

    def _threads(self, opening: list[Flow[T]], flows: Iterator[Flow[T]], parallel: int, ahead: int) -> Generator[T]:
        running: deque[Future[T]] = deque()
        refused: list[OctopusError] = []
        following = until_refused(flows, refused)
        siblings, most = _Siblings(parallel), parallel
        pool = ThreadPoolExecutor(parallel + max(1, ahead), thread_name_prefix="octopus-soap")
        try:
            running.extend(self._begun(pool, flow, siblings) for flow in opening)
            while running:
                while len(running) < most and (flow := next(following, None)) is not None:
                    running.append(self._begun(pool, flow, siblings))
                yield _ended(running.popleft()).result()
                most = parallel + max(1, ahead)
            if refused:
                raise refused[0]
        finally:
            # After Ctrl-C, an error or an abandoned stream, the caller must not wait for answers that are not read, and
            # the running flows must not go on with repeats and halves.
            siblings.abandoned.set()
            self._connections.turns.wake_all()
            pool.shutdown(wait=False, cancel_futures=True)

    def _begun(self, pool: ThreadPoolExecutor, flow: Flow[T], siblings: _Siblings) -> Future[T]:
        context = copy_context()
        context.run(yield_hook.set, yield_gil)
        claim = threading.Lock()

        def work() -> T:
            if not claim.acquire(blocking=False):
                raise CancelledError
            return context.run(self.run, flow, siblings)

        try:
            return pool.submit(work)
        except RuntimeError:
            # Python starts no thread once the main one has returned. If the pool queued the work nevertheless, it finds
            # the claim taken.
            ended: Future[T] = Future()
            try:
                ended.set_result(work())
            except BaseException as error:  # noqa: BLE001 - a future passes it on, as one of the pool would
                ended.set_exception(error)
            return ended

    def view(self, settings: OctopusSettings, stop: threading.Event | None) -> BlockingDriver:
        """Return a driver with other settings over the same connections."""
        return BlockingDriver(settings, self._connections, stop)

    def close(self) -> None:
        """Close the connections; a caller's session stays open."""
        self._connections.close()


_CONNECT_TIMEOUTS = frozenset({"ConnectTimeoutError", "ConnectTimeout"})
_NEVER_SENT = frozenset({
    "NewConnectionError", "NameResolutionError", "SSLCertVerificationError", "ProxyError", "InvalidURL",
    "MissingSchema", "InvalidSchema", "LocationParseError", "InvalidHeader",
})  # fmt: skip # read as a list of names
_PROXY_REFUSED = frozenset(["InvalidSchema", "InvalidProxyURL", "InvalidURL", "ProxySchemeUnknown"])
_CLOSED = frozenset(["RemoteDisconnected", "ConnectionResetError", "BrokenPipeError", "ConnectionAbortedError"])


def failure_of(
    error: Exception,
    elapsed: float,
    limit: float,
    read_timeout: float,
    *,
    connecting: bool,
    handled: BaseException | None = None,
) -> SendFailure:
    """Return the meaning of an exception of requests, urllib3 or the socket.

    Args:
        error: the exception.
        elapsed: seconds the exchange took.
        limit: the total limit of the exchange, in seconds.
        read_timeout: the limit of one silence, in seconds.
        connecting: no answer had begun, and our own connections would have marked one that was sent.
        handled: the exception in whose handling we were called. Python chains it to ours, but it has nothing to do with
            this exchange: a "connection refused" in it must not pass for ours.
    """
    chain = list(_chain(error, handled))
    names = {type(part).__name__ for part in chain}
    reason = _reason(chain)
    sent = any(getattr(part, "octopus_sent", False) for part in chain)
    if names & _CONNECT_TIMEOUTS:
        return SendFailure(FailureKind.NOT_SENT, TimedOutError("could not connect in time"), elapsed)
    # requests itself raises a bare OSError, for certificates that it cannot find.
    if names & _NEVER_SENT or (connecting and not sent and ("SSLError" in names or type(error) is OSError)):
        return SendFailure(
            FailureKind.NOT_SENT, ConnectFailedError(f"could not connect: {reason}{_from(names, reason)}"), elapsed
        )
    if any(isinstance(part, TimeoutError) for part in chain) or names & {"ReadTimeoutError", "ReadTimeout"}:
        late = elapsed >= limit - 0.05  # timers and clocks differ by a little
        what = f"the total limit of {limit:.3g} s" if late else f"the read limit of {read_timeout:g} s"
        return SendFailure(FailureKind.AMBIGUOUS, TimedOutError(f"no complete answer within {what}"), elapsed)
    if names & _CLOSED:
        stale = any(getattr(part, "octopus_stale", False) for part in chain)
        kind = FailureKind.STALE if stale else FailureKind.AMBIGUOUS
        return SendFailure(kind, TransportError(f"the connection was closed without an answer: {reason}"), elapsed)
    return SendFailure(FailureKind.AMBIGUOUS, TransportError(f"the answer broke off: {reason}"), elapsed)


def _from(names: set[str], reason: str) -> str:
    """Name the variables behind a failure before any connection; empty if none."""
    if "InvalidSchema" in names and reason.endswith("for SOCKS support."):
        return f" (from {proxy_variables()}): pip install 'octopus-soap[socks]'"
    if names & _PROXY_REFUSED:
        return f" (from {proxy_variables()})"
    if names == {"OSError"}:  # requests raises it for missing certificates
        return next((f" (from {name})" for name in CA_VARIABLES if os.environ.get(name)), " (from ca_bundle)")
    return ""


def _chain(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception and all it wraps; urllib3 puts some into the arguments."""
    seen: set[int] = {id(handled)}
    waiting: list[Any] = [error]
    while waiting and len(seen) < 20:  # noqa: PLR2004 - a bound against cycles
        part = waiting.pop(0)
        if isinstance(part, BaseException) and id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting += [*part.args, getattr(part, "reason", None), part.__cause__, part.__context__]


def _reason(chain: list[BaseException]) -> str:
    innermost = next((part for part in reversed(chain) if isinstance(part, OSError)), chain[-1])
    text = innermost.strerror if isinstance(innermost, OSError) and innermost.strerror else str(innermost)
    return f"{type(innermost).__name__}: {without_logins(text)[:200]}"
