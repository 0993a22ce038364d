"""Connect for a blocking client, within its limits and to one origin.

requests and urllib3 limit the silence between two bytes only, so a service that drips a byte a second would hold a
caller for ever. The classes here are between the socket and http.client.

Invariants, directly and through an HTTP, HTTPS or SOCKS proxy:

* The connect limit is one limit for the name look-up, all addresses and the TLS handshake: each address gets its share
  of the time that is left. A resolver that hangs cannot be stopped, nor can a SOCKS proxy that drips: the thread that
  waits for it goes on, and ends with the process at the latest.
* Each read and write gets only the time that is left of the total limit, the answer of a proxy to CONNECT included.
* Every byte of an answer passes `Framing` first. A connection whose answer is not complete, or has bytes behind it, is
  closed and never used again; so is one that was idle for longer than `idle_timeout`.
* Credentials go to the endpoint's origin and to no other; both are compared as requests writes them, so that an
  international name equals its ASCII form.

On failure: the exceptions of requests, urllib3 and sockets; the driver judges them. A connection marks an exception if
the request had left (`octopus_sent`), and if the connection had been used before (`octopus_stale`).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sys
import threading
import time
from concurrent.futures import Future, wait
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from queue import Empty
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from octopus_soap._http import ca_from_environment, is_loopback, proxy_variables
from octopus_soap.engine.effects import FailureKind, SendFailure
from octopus_soap.errors import ClientClosedError
from octopus_soap.transport.framing import Framing
from octopus_soap.transport.limiter import ThreadLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.engine.effects import Tap
    from octopus_soap.settings import OctopusSettings
    from octopus_soap.transport.limiter import Report


T = TypeVar("T")


@dataclass(eq=False, repr=False)
class Until:
    """The monotonic end of an exchange; moved on before each part of a reply."""

    moment: float


deadline: ContextVar[Until | None] = ContextVar("octopus_soap_deadline", default=None)
"""The end of the time of this thread's exchange."""


class OriginAuth(AuthBase):
    """Adds the credentials to requests for one origin, and to no other.

    Args:
        endpoint: The URL whose origin gets the credentials.
        credentials: The headers to add.
        inner: The `auth` of a caller's session, such as the login of a gateway; applied first, to the same origin.
    """

    def __init__(self, endpoint: str, credentials: Mapping[str, str], inner: Any = None) -> None:
        self._origin = _origin(_as_sent(endpoint))
        self._credentials = dict(credentials)
        self._inner: Any = HTTPBasicAuth(*inner) if isinstance(inner, tuple) else inner

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers if the request goes to our origin."""
        if _origin(request.url or "") == self._origin:
            if self._inner is not None:
                request = self._inner(request)
            request.headers.update(self._credentials)
        return request

    def __repr__(self) -> str:
        return f"OriginAuth({self._origin[1]!r}, ***)"


def _as_sent(url: str) -> str:
    """Return *url* as requests sends it: the host in ASCII and lower case."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, None)
    except requests.RequestException:
        return url  # sending it fails in the same way, with an error that has the reason
    return prepared.url or url


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class Connections:
    """The connections of one client, shared by its views.

    Args:
        settings: limits and certificates.
        session: the caller's session, or None for one of our own per process.
        report: called with the error if the store of the rate cannot be reached any longer, with None once it can be.
    """

    def __init__(
        self, settings: OctopusSettings, session: requests.Session | None, report: Report | None = None
    ) -> None:
        self.given, self._settings, self._report = session, settings, report
        self._closed = False
        self._begin()
        self.tap: Tap | None = None
        """Wraps the flows of the client and its views: a recording, or a replay of one."""

    def _begin(self) -> None:
        """Begin in a process: a forked child shares nothing with its parent.

        Turns and locks that the parent's other threads held are never released there. Over the parent's connections the
        child would read the answers to other requests.
        """
        self._lock = threading.Lock()
        self._session: requests.Session | None = None
        self._turns = ThreadLimiter(self._settings, report=self._report)
        self._pid = os.getpid()

    @property
    def turns(self) -> ThreadLimiter:
        """The limiter of this process, which decides what may be sent next."""
        if self._pid != os.getpid():
            self._leave_parent()
        return self._turns

    def session(self) -> requests.Session:
        """Return the session of this process.

        Raises:
            ClientClosedError: after `close`.
        """
        if self._closed:
            raise ClientClosedError("the client is closed; make a new one")
        if self._pid != os.getpid():
            self._leave_parent()
        if self.given is not None:
            return self.given
        session = self._session
        if session is None:
            with self._lock:
                session = self._session = self._session or self._opened()
        return session

    def _leave_parent(self) -> None:
        adapters: list[Any] = [] if self.given is None else list(self.given.adapters.values())
        for adapter in adapters:
            if isinstance(adapter, HTTPAdapter):
                unpickled: Any = adapter
                unpickled.__setstate__(unpickled.__getstate__())  # how requests itself makes new pools
        self._begin()

    def _opened(self) -> requests.Session:
        session = requests.Session()
        adapter = DeadlineAdapter(self._settings.max_connections, self._settings.idle_timeout)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers.clear()
        if is_loopback(self._settings.endpoint):
            session.trust_env = False  # a proxy of the environment cannot reach this machine's loopback
        return session

    def drop_idle(self) -> None:
        """Close our idle connections, after the service was found to have closed one."""
        if self._session is not None and self._pid == os.getpid():
            adapter = self._session.get_adapter(self._settings.endpoint)
            if isinstance(adapter, DeadlineAdapter):
                adapter.drop_idle()

    def close(self) -> None:
        """Close our own session; a caller's session stays open."""
        turns = self.turns  # first: a forked child gets its own
        with self._lock:
            self._closed = True
            self.drop_idle()  # requests would leave them to the garbage collector
            if self._session is not None:
                self._session.close()
            self._session = None
            turns.close()


def merged_options(session: requests.Session, settings: OctopusSettings, url: str) -> Any:
    """Return the proxies and certificates of session, settings and environment."""
    verify = None if settings.ca_bundle is None else str(settings.ca_bundle)
    from_environment = session.trust_env or (url.startswith("https:") and is_loopback(settings.endpoint))
    if verify is None and session.verify is True and from_environment:
        verify = ca_from_environment() or None
    return session.merge_environment_settings(url, {}, stream=True, verify=verify, cert=None)


_UNREADABLE = "(its address cannot be read)"


def proxy_for(endpoint: str) -> str:
    """Return the host of the environment's proxy for *endpoint*; empty if none.

    A name and password in its address are left out.
    """
    if is_loopback(endpoint):
        return ""
    session = requests.Session()
    options: Any = session.merge_environment_settings(endpoint, {}, stream=None, verify=None, cert=None)
    chosen = select_proxy(endpoint, options["proxies"])
    if not chosen:
        return ""
    try:
        parts = urlsplit(chosen if "://" in chosen else f"//{chosen}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # its text may repeat a part of the password
        return _UNREADABLE
    return f"{parts.hostname}{port}" if parts.hostname else _UNREADABLE


def through_proxy(failure: SendFailure, endpoint: str) -> SendFailure:
    """Name the environment's proxy, if any, in a *failure* to connect; return it."""
    if (
        failure.kind is FailureKind.NOT_SENT
        and "(from " not in failure.error.message
        and (proxy := proxy_for(endpoint))
    ):
        failure.error.message += f" (through the proxy {proxy}, from {proxy_variables()})"
    return failure


class _DeadlineReader(RawIOBase):
    """A socket's reading end that keeps the deadline and follows the framing."""

    def __init__(self, sock: Any, silence: float | None, until: Until | None, framing: Framing | None) -> None:
        self._sock, self._silence, self._until, self._framing = sock, silence, until, framing
        self._raw = sock.makefile("rb", buffering=0)  # holds the socket open as http.client expects

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None:
            left = self._until.moment - time.monotonic()
            if left <= 0:
                raise TimeoutError("the total limit passed")
            self._sock.settimeout(left if self._silence is None else min(self._silence, left))
        count: int | None = self._raw.readinto(buffer)
        if self._framing is not None:
            if count:
                self._framing.feed(bytes(memoryview(buffer)[:count]))
            else:
                self._framing.end()
        return count

    def makefile(self, *_: Any, **__: Any) -> BufferedReader:
        """Return a buffered reader: http.client's response needs no more of a socket."""
        return BufferedReader(self, 64 * 1024)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """http.client's response, which skips every interim answer and not only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc] # the method that `begin` calls
            if not 100 <= found[1] < 200:  # noqa: PLR2004 - interim answers; `Framing` has checked them
                return found
            while self.fp.readline(_LINE) not in {b"\r\n", b"\n", b""}:
                pass


_LINE = 64 * 1024 + 1


class _DeadlineMixin:
    """Connections whose reads and writes keep the deadline and the framing.

    Attributes:
        framing: Follows the answer that is being read, or was read last; None before the first.
        idle_since: When the connection went into its pool, in monotonic seconds.
    """

    sock: Any
    timeout: Any
    response_class: Any
    framing: Framing | None = None
    idle_since = 0.0
    _exchanges = 0

    def _over(self, framing: Framing | None, sock: Any, *_: Any, **kwargs: Any) -> HTTPResponse:
        """Make http.client's response, which reads *sock* through our reader."""
        silence = self.timeout if isinstance(self.timeout, (int, float)) else None
        reader = _DeadlineReader(sock, silence, deadline.get(), framing)
        return _Response(reader, **kwargs)  # type: ignore[arg-type] # http.client only calls makefile

    def getresponse(self) -> Any:
        reused = self._exchanges > 0
        self._exchanges += 1
        self.framing = framing = Framing()
        self.response_class = partial(self._over, framing)
        try:
            return super().getresponse()  # type: ignore[misc] # urllib3's connection is behind this mixin
        except Exception as error:
            self._mark(error, stale=reused and not framing.begun)
            raise

    def connect(self) -> None:
        self.response_class = partial(self._over, None)  # for a proxy's answer to CONNECT
        super().connect()  # type: ignore[misc] # urllib3's connection is behind this mixin
        self._allow_what_is_left()

    def _allow_what_is_left(self) -> None:
        # urllib3 limits sending by the connect limit; a big batch over a slow line may take longer.
        until = deadline.get()
        if until is not None and self.sock is not None:
            self.timeout = max(0.001, until.moment - time.monotonic())
            self.sock.settimeout(self.timeout)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        connected = self.sock is not None
        if connected:
            self._allow_what_is_left()
        try:
            return super().request(*args, **kwargs)  # type: ignore[misc] # urllib3's connection is behind this mixin
        except OSError as error:
            if connected or self.sock is not None:
                self._mark(error, stale=self._exchanges > 0)
            raise

    def _connect_until(self) -> float | None:
        """Return the latest time for the connection (monotonic); None for no limit."""
        ends = [time.monotonic() + self.timeout] if isinstance(self.timeout, (int, float)) else []
        until = deadline.get()
        return min(ends if until is None else [*ends, until.moment], default=None)

    @staticmethod
    def _mark(error: Exception, *, stale: bool) -> None:
        error.octopus_sent = True  # type: ignore[attr-defined] # read by failure_of
        error.octopus_stale = stale  # type: ignore[attr-defined] # read by failure_of

    def close(self) -> None:
        self._exchanges = 0
        super().close()  # type: ignore[misc] # urllib3's connection is behind this mixin


class _SharedConnectMixin(_DeadlineMixin):
    """Connections with one connect limit for the look-up and all addresses."""

    port: int
    source_address: Any
    socket_options: Any
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        host: str = self.host  # type: ignore[attr-defined] # a property of urllib3's connection
        until = self._connect_until()
        try:
            addresses = resolve(self._dns_host, self.port, until)
            sock = connect_to(addresses, until, self.source_address, self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error  # type: ignore[arg-type] # a connection
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {host} timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error  # type: ignore[arg-type] # a connection
        sys.audit("http.client.connect", self, host, self.port)
        if until is not None:
            sock.settimeout(max(0.001, until - time.monotonic()))  # the TLS handshake gets the time that is left
        return sock


class _LimitedConnectMixin(_DeadlineMixin):
    """Connections made by a library that limits only single reads, within our limit."""

    def _new_conn(self) -> Any:
        connect: Callable[[], Any] = super()._new_conn  # type: ignore[misc] # urllib3's connection is behind this mixin
        try:
            return _ended_by(self._connect_until(), connect, "octopus-soap-socks", lambda late: late.close())
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "the proxy did not connect in time") from error


def _ended_by(
    until: float | None, work: Callable[[], T], name: str, too_late: Callable[[T], object] | None = None
) -> T:
    """Return the result of *work*, which has no limit of its own.

    After a `TimeoutError` it goes on in a daemon thread, and its result is given to *too_late*.

    Raises:
        TimeoutError: It has not ended at *until* (monotonic).
        Exception: raised by *work*.
    """
    if until is None:
        return work()
    ended: Future[T] = Future()

    def run() -> None:
        try:
            made = work()
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            if ended.set_running_or_notify_cancel():
                ended.set_exception(error)
            return
        if ended.set_running_or_notify_cancel():
            ended.set_result(made)
        elif too_late is not None:
            too_late(made)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:  # the interpreter shuts down, or has as many threads as it may have
        run()
    wait([ended], max(0.0, until - time.monotonic()))
    if ended.cancel():
        raise TimeoutError("it took too long")
    return ended.result()


def resolve(host: str, port: int, until: float | None = None) -> list[Any]:
    """Return the addresses of *host*, as `socket.getaddrinfo` does.

    Raises:
        socket.gaierror: There is no such name.
        TimeoutError: The resolver has not answered at *until* (monotonic). It goes on in a daemon thread.
    """
    look_up = partial(socket.getaddrinfo, host.strip("[]"), port, allowed_gai_family(), socket.SOCK_STREAM)
    if until is None or _is_address(host):
        return look_up()
    try:
        return _ended_by(until, look_up, "octopus-soap-dns")
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def connect_to(
    addresses: list[Any], until: float | None, source: tuple[str, int] | None = None, options: Any = None
) -> socket.socket:
    """Return a connection to the first of *addresses* that accepts one.

    Raises:
        OSError: None does before *until* (monotonic); a `TimeoutError` if the last one did not answer.
    """
    failed: OSError = OSError("the name has no address")
    for place, (family, kind, protocol, _, address) in enumerate(addresses):
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("the connect limit passed")
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            for option in options or ():
                sock.setsockopt(*option)
            sock.settimeout(None if left is None else left / (len(addresses) - place))  # an equal share for each
            if source:
                sock.bind(source)
            sock.connect(address)
        except OSError as error:
            failed = error
            if sock is not None:
                sock.close()
        else:
            return sock
    raise failed


class _DeadlineHTTPConnection(_SharedConnectMixin, HTTPConnection):
    pass


class _DeadlineHTTPSConnection(_SharedConnectMixin, HTTPSConnection):
    pass


class _PoolMixin:
    """Pools that reuse no connection after a long pause or an unfinished exchange."""

    idle_limit: float

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)  # type: ignore[misc] # urllib3's pool is behind this mixin
        if connection.sock is not None and time.monotonic() - connection.idle_since > self.idle_limit:
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
            if conn.framing is not None and not conn.framing.reusable:
                conn.close()
        super()._put_conn(conn)  # type: ignore[misc] # urllib3's pool is behind this mixin


class _DeadlineHTTPPool(_PoolMixin, HTTPConnectionPool):
    ConnectionCls = _DeadlineHTTPConnection  # pyright: ignore[reportAssignmentType] # urllib3's own class fails the same check


class _DeadlineHTTPSPool(_PoolMixin, HTTPSConnectionPool):
    ConnectionCls = _DeadlineHTTPSConnection  # pyright: ignore[reportAssignmentType] # urllib3's own class fails the same check


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter that keeps the deadline and retries nothing.

    At most *connections* lead to one host, and a further request waits for one of them. A connection that was idle for
    *idle_limit* seconds is not used again.
    """

    def __init__(self, connections: int, idle_limit: float) -> None:
        self._idle_limit = idle_limit
        super().__init__(pool_connections=2, pool_maxsize=connections, max_retries=0, pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use our connection classes."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools(_DeadlineHTTPPool, _DeadlineHTTPSPool)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Use our connection classes through a proxy too."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not known:
            socks = proxy.lower().startswith("socks")
            pools = _socks_pools() if socks else (_DeadlineHTTPPool, _DeadlineHTTPSPool)
            manager.pool_classes_by_scheme = self._pools(*pools)
        return manager

    def _pools(self, plain: type[Any], secure: type[Any]) -> dict[str, type[Any]]:
        limit = {"idle_limit": self._idle_limit}
        return {"http": type(plain.__name__, (plain,), limit), "https": type(secure.__name__, (secure,), limit)}

    def drop_idle(self) -> None:
        """Close the idle connections; they connect again when they are used."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - no mapping: it has keys(), and no iterator
                pool = manager.pools.get(key)
                if pool is not None and pool.pool is not None:
                    _empty(pool.pool)


def _empty(queue: Any) -> None:
    waiting: list[Any] = []
    with contextlib.suppress(Empty):
        while True:
            waiting.append(queue.get_nowait())
    for connection in waiting:
        if connection is not None:
            connection.close()
        queue.put(connection)


def _socks_pools() -> tuple[type[Any], type[Any]]:
    """Return the pools for a SOCKS proxy, which connect by the SOCKS library."""
    from urllib3.contrib import socks  # noqa: PLC0415 - needs PySocks

    def pool(base: type[Any], connection: type[Any]) -> type[Any]:
        made = type(connection.__name__, (_LimitedConnectMixin, connection), {})
        return type(base.__name__, (_PoolMixin, base), {"ConnectionCls": made})

    return (
        pool(socks.SOCKSHTTPConnectionPool, socks.SOCKSConnection),
        pool(socks.SOCKSHTTPSConnectionPool, socks.SOCKSHTTPSConnection),
    )
