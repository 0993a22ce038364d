"""Connections of a blocking client: credentials bound to one origin, and a total limit that holds.

requests and urllib3 bound the silence between two bytes; a service that drips a byte a second would hold a caller for
ever. The connection classes here give each read only the time that is left, through a reader put between the socket and
http.client. They also mark a failure with what only they know: whether the request had left, and whether the connection
had been used before.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from contextvars import ContextVar
from functools import partial
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from queue import Empty
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from octopus_soap._http import is_loopback, proxy_variables
from octopus_soap.engine.effects import SendFailure
from octopus_soap.engine.retry import FailureKind
from octopus_soap.errors import ClientClosedError, ConnectFailedError, TimedOutError, TransportError
from octopus_soap.transport.limiter import ThreadLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from octopus_soap.engine.effects import Tap
    from octopus_soap.settings import OctopusSettings


deadline: ContextVar[float | None] = ContextVar("octopus_soap_deadline", default=None)
"""Monotonic time at which the exchange of this thread must be over."""


class OriginAuth(AuthBase):
    """Adds the credentials to requests for one origin, and to no other."""

    def __init__(self, endpoint: str, credentials: Mapping[str, str]) -> None:
        self._origin = _origin(endpoint)
        self._credentials = dict(credentials)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers where the request goes to our origin."""
        if _origin(request.url or "") == self._origin:
            request.headers.update(self._credentials)
        return request

    def __repr__(self) -> str:
        return f"OriginAuth({self._origin[1]!r}, ***)"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class Connections:
    """The connections of one client, shared by its views.

    Args:
        settings: limits and certificates.
        session: the caller's session, or None for one of our own per process.
    """

    def __init__(self, settings: OctopusSettings, session: requests.Session | None) -> None:
        self.given, self._given_pid = session, os.getpid()
        self._settings = settings
        self._lock, self._lock_pid = threading.Lock(), os.getpid()
        self._session: requests.Session | None = None
        self._pid = 0
        self._closed = False
        self._turns = ThreadLimiter(settings)
        self._turns_pid = os.getpid()
        self.tap: Tap | None = None
        """Wraps the flows of the client and its views: a recording, or a replay of one."""

    @property
    def turns(self) -> ThreadLimiter:
        """Who may send next, in this process."""
        if self._turns_pid != os.getpid():
            # In a forked child: turns that the parent's other threads held never come back, nor does a held lock.
            self._turns, self._turns_pid = ThreadLimiter(self._settings), os.getpid()
        return self._turns

    def _guard(self) -> threading.Lock:
        if self._lock_pid != os.getpid():  # as the turns
            self._lock, self._lock_pid = threading.Lock(), os.getpid()
        return self._lock

    def session(self) -> requests.Session:
        """The session of this process.

        Raises:
            ClientClosedError: after `close`.
        """
        if self._closed:
            raise ClientClosedError("the client is closed; make a new one")
        if self.given is not None:
            if self._given_pid != os.getpid():
                with self._guard():
                    self._leave_parents_connections()
            return self.given
        if self._session is None or self._pid != os.getpid():
            with self._guard():
                if self._session is None or self._pid != os.getpid():
                    self._open()
        assert self._session is not None  # noqa: S101 - opened above
        return self._session

    def _leave_parents_connections(self) -> None:
        """Give a caller's session fresh pools in a forked child, which would read its siblings' answers else."""
        adapters: list[Any] = [] if self.given is None else list(self.given.adapters.values())
        for adapter in adapters:
            if isinstance(adapter, HTTPAdapter):
                unpickled: Any = adapter
                unpickled.__setstate__(unpickled.__getstate__())  # how requests itself makes new pools
        self._given_pid = os.getpid()

    def _open(self) -> None:
        session = requests.Session()
        adapter = DeadlineAdapter(self._settings.max_connections)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers.clear()
        if is_loopback(self._settings.endpoint):
            session.trust_env = False  # a proxy of the environment cannot reach this machine's loopback
        self._session, self._pid = session, os.getpid()

    def drop_idle(self) -> None:
        """Close our idle connections: one was found closed by the service, so the others may be closed too."""
        if self._session is not None and self._pid == os.getpid():
            adapter = self._session.get_adapter(self._settings.endpoint)
            if isinstance(adapter, DeadlineAdapter):
                adapter.drop_idle()

    def close(self) -> None:
        """Close our own session; a caller's stays open."""
        with self._guard():
            self._closed = True
            self.drop_idle()  # requests would leave them to the garbage collector
            if self._session is not None and self._pid == os.getpid():
                self._session.close()
            self._session = None


_CONNECT_TIMEOUTS = frozenset({"ConnectTimeoutError", "ConnectTimeout"})
_NEVER_SENT = frozenset(
    [
        "NewConnectionError",
        "NameResolutionError",
        "SSLCertVerificationError",
        "ProxyError",
        "InvalidURL",
        "MissingSchema",
        "InvalidSchema",
        "LocationParseError",
        "InvalidHeader",
    ]
)
_PROXY_REFUSED = frozenset(["InvalidSchema", "InvalidProxyURL", "InvalidURL", "ProxySchemeUnknown"])
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
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
    """What an exception of requests, urllib3 or the socket means.

    Args:
        error: the exception.
        elapsed: seconds the exchange took.
        limit: seconds it was given.
        read_timeout: seconds of silence it was given.
        connecting: no answer had begun, and our own connections would have marked one that was sent.
        handled: what the caller was handling when it called us. Python chains it to ours, and it says nothing about
            this exchange: a "connection refused" in it must not pass for ours.
    """
    chain = list(_chain(error, handled))
    names = {type(part).__name__ for part in chain}
    reason = _reason(chain)
    sent = any(getattr(part, "octopus_sent", False) for part in chain)
    if names & _CONNECT_TIMEOUTS:
        return SendFailure(FailureKind.NOT_SENT, TimedOutError("could not connect in time"), elapsed)
    # What requests raises itself, of certificates it cannot find, is a bare OSError.
    if names & _NEVER_SENT or (connecting and not sent and ("SSLError" in names or type(error) is OSError)):
        return SendFailure(
            FailureKind.NOT_SENT, ConnectFailedError(f"could not connect: {reason}{_from(names)}"), elapsed
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


def _from(names: set[str]) -> str:
    """The variables that a failure is about, which came before any connection; empty if it is about none."""
    if names & _PROXY_REFUSED:
        return f" (from {proxy_variables()})"
    if names == {"OSError"}:  # requests' own, of certificates that are not there
        return next((f" (from {name})" for name in _CERTIFICATES if os.environ.get(name)), " (from ca_bundle)")
    return ""


def _chain(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """The exception with everything it wraps: requests and urllib3 nest theirs in arguments."""
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
    return f"{type(innermost).__name__}: {text[:200]}"


class _DeadlineReader(RawIOBase):
    """A socket's reading end that gives each read only the time that is left."""

    def __init__(self, sock: Any, silence: float | None, until: float) -> None:
        self._sock, self._silence, self._until = sock, silence, until
        self._raw = sock.makefile("rb", buffering=0)  # holds the socket open as http.client expects
        self.answered = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the total limit passed")
        self._sock.settimeout(left if self._silence is None else min(self._silence, left))
        count: int | None = self._raw.readinto(buffer)
        self.answered = self.answered or bool(count)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _SocketWithDeadline:
    """What http.client's response needs of a socket: `makefile`."""

    def __init__(self, reader: _DeadlineReader) -> None:
        self._reader = reader

    def makefile(self, *_: Any, **__: Any) -> BufferedReader:
        return BufferedReader(self._reader, 64 * 1024)


class _DeadlineMixin:
    """Connections whose responses keep the deadline, and that know whether they were used before."""

    sock: Any
    timeout: Any
    response_class: Any
    _exchanges = 0

    def getresponse(self) -> Any:
        until = deadline.get()
        reader: _DeadlineReader | None = None
        reused = self._exchanges > 0
        self._exchanges += 1
        if until is not None and self.sock is not None:
            silence = self.timeout if isinstance(self.timeout, (int, float)) else None
            reader = _DeadlineReader(self.sock, silence, until)
            self.response_class = partial(_response_over, _SocketWithDeadline(reader))
        try:
            return super().getresponse()  # type: ignore[misc] # urllib3's connection stands behind this mixin
        except Exception as error:
            self._mark(error, stale=reused and (reader is None or not reader.answered))
            raise

    def connect(self) -> None:
        super().connect()  # type: ignore[misc] # urllib3's connection stands behind this mixin
        self._allow_what_is_left()

    def _allow_what_is_left(self) -> None:
        # urllib3 gives sending the connect limit; a big batch over a slow line may take longer.
        until = deadline.get()
        if until is not None and self.sock is not None:
            self.timeout = max(0.001, until - time.monotonic())
            self.sock.settimeout(self.timeout)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        connected = self.sock is not None
        self._allow_what_is_left()
        try:
            return super().request(*args, **kwargs)  # type: ignore[misc] # urllib3's connection stands behind this mixin
        except OSError as error:
            if connected or self.sock is not None:
                self._mark(error, stale=self._exchanges > 0)
            raise

    @staticmethod
    def _mark(error: Exception, *, stale: bool) -> None:
        error.octopus_sent = True  # type: ignore[attr-defined] # read by failure_of
        error.octopus_stale = stale  # type: ignore[attr-defined] # read by failure_of

    def close(self) -> None:
        self._exchanges = 0
        super().close()  # type: ignore[misc] # urllib3's connection stands behind this mixin


def _response_over(sock: _SocketWithDeadline, _: Any, **kwargs: Any) -> HTTPResponse:
    return HTTPResponse(sock, **kwargs)  # type: ignore[arg-type] # http.client only calls makefile


class _DeadlineHTTPConnection(_DeadlineMixin, HTTPConnection):
    pass


class _DeadlineHTTPSConnection(_DeadlineMixin, HTTPSConnection):
    pass


class _DeadlineHTTPPool(HTTPConnectionPool):
    ConnectionCls = _DeadlineHTTPConnection  # pyright: ignore[reportAssignmentType] # urllib3's own class fails the same check


class _DeadlineHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineHTTPSConnection  # pyright: ignore[reportAssignmentType] # urllib3's own class fails the same check


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter that keeps the total limit, retries nothing, and blocks instead of discarding connections."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=2, pool_maxsize=connections, max_retries=0, pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use our connection classes."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _DeadlineHTTPPool, "https": _DeadlineHTTPSPool}

    def drop_idle(self) -> None:
        """Close the connections that wait in the pools; they connect anew when they are used."""
        for key in self.poolmanager.pools.keys():  # noqa: SIM118 - no mapping: it has keys(), and no iterator
            pool = self.poolmanager.pools.get(key)
            queue = None if pool is None else pool.pool
            if queue is None:
                continue
            waiting: list[Any] = []
            with contextlib.suppress(Empty):
                while True:
                    waiting.append(queue.get_nowait())
            for connection in waiting:
                if connection is not None:
                    connection.close()
                queue.put(connection)
