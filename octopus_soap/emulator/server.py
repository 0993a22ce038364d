"""The HTTP side: a socket on loopback, and an event loop in its own thread.

uvicorn's own ``Server`` is not used: it polls ten times a second and waits for open connections when it stops, while an
emulator has to stop at once, hanging requests included. uvicorn's protocol is subclassed to give faults access to the
transport. What HTTP allows goes through uvicorn. What it does not allow (half a reply, a reset, a dripping header) is
written to the transport directly, and the connection is then always closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import socket
import struct
import sys
import threading
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .documents import metadata_reply
from .records import CallRecord, masked_headers
from .replies import Reply, Request, SoapFaultError, empty_reply, fault_reply, html_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.requests import Request as StarletteRequest
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .faults import Script
    from .records import Journal
    from .service import Service

PATH = "/OctopusService.svc"
_FOREIGN_HOST = (
    "Bad Request - Invalid Hostname. The emulator answers requests whose Host header is localhost or a loopback "
    "address; name others in allowed_hosts, or with octopus-soap serve --allow-host NAME."
)
_READY_WITHIN = 10.0  # seconds; it takes milliseconds
_STOP_WITHIN = 5.0
_LAST_TURNS = 12  # more turns than the event loop needs to accept a connection and take a request, or to abort it
_KEEP_ALIVE = 120  # seconds, IIS's default
_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # close by RST


class Connection(H11Protocol):
    """One TCP connection, whose socket faults may take over."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self.access_log = False
        self.endpoint: Endpoint = app_state["endpoint"]
        self.number = next(app_state["numbers"])
        self.lost = asyncio.Event()
        self.stale = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake a reply that is paused."""
        super().connection_lost(exc)
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a stale connection is closed instead."""
        if self.stale:
            self.endpoint.service.journal.stale_closes += 1
            self.transport.close()
            return
        super().data_received(data)

    def seize(self) -> asyncio.Transport:
        """Take the socket from uvicorn until it is closed."""
        self.cycle.disconnected = True  # uvicorn then neither answers nor logs that there was no answer
        return self.transport

    def reset(self) -> None:
        """Close with RST."""
        raw: socket.socket | None = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self.transport.abort()

    def close(self) -> None:
        """Close with FIN once written bytes are out."""
        self.transport.close()


class Endpoint:
    """The ASGI application at the service's address."""

    def __init__(self, service: Service, script: Script, address: str, allowed_hosts: Collection[str] = ()) -> None:
        self.service = service
        self.script = script
        self.address = address
        self.allowed_hosts = frozenset(name.lower() for name in allowed_hosts)
        self.closing = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        connection: Connection = scope["state"]["connection"]
        parts: list[bytes] = []  # joined once: adding bytes to bytes would copy the whole body every 64 KiB
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(
            scope["method"], scope["query_string"].decode("latin-1"), headers, b"".join(parts), connection.number
        )
        if not self._is_own_host(headers.get("host", "")):
            record, reply, plan = None, html_reply(400, _FOREIGN_HOST), Delivery()
        elif request.method == "POST":
            record, reply, plan = self._call(request)
        else:
            record = None
            reply, plan = self._metadata(request)
        journal = self.service.journal
        try:
            await ResponseWriter(connection, send, self.closing, journal, record).deliver(reply, plan)
        finally:
            if record is not None:
                journal.ended(record)

    def _is_own_host(self, host: str) -> bool:
        """True if the Host header names this machine, or is missing (HTTP/1.0)."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.strip("[]").lower()
        if not name or name == "localhost" or name in self.allowed_hosts:
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(name).is_loopback
        return False

    def _own_address(self, request: Request) -> str:
        """Return the address that the caller used."""
        host = request.headers.get("host")  # not ours behind a forwarded port; WCF can do that too
        return f"http://{host}{PATH}" if host else self.address

    def _call(self, request: Request) -> tuple[CallRecord, Reply, Delivery]:
        """Carry out a SOAP call, and apply the faults of the script."""
        exchange = self.service.receive(request)
        faults = self.script.match(exchange.record)
        plan = Delivery()
        if all(fault.executes for fault in faults):
            reply = exchange.execute()
        else:
            reply = fault_reply(SoapFaultError("internal"))  # sent only if no fault has a reply of its own
        for fault in faults:
            reply = fault.apply(exchange, reply, plan)
        exchange.record.fault = ", ".join(map(repr, faults)) or None
        return exchange.record, reply, plan

    def _metadata(self, request: Request) -> tuple[Reply, Delivery]:
        """Answer a GET, and apply the faults of the script."""
        service, plan = self.service, Delivery()
        if request.method not in {"GET", "HEAD"}:
            return empty_reply(405), plan
        service.journal.asked_for_metadata(request.query)
        access = service.profile.metadata
        if access == "authorized" and service.authorised(request) is None:
            reply = html_reply(401)
        else:
            reply = metadata_reply(
                service.contract.documents,
                service=service.contract.service,
                address=self._own_address(request),
                query=request.query,
                published=access != "off",
            )
        for fault in self.script.match(self._metadata_record(request)):
            reply = fault.apply(None, reply, plan)
        return reply, plan

    @staticmethod
    def _metadata_record(request: Request) -> CallRecord:
        """Return a record for the script's conditions; it is not kept."""
        return CallRecord(
            sequence=0,
            nth=0,
            operation=f"?{request.query}",
            merchant=None,
            items=0,
            keys=(),
            connection=request.connection,
            headers=masked_headers(request.headers),
            request=request.body,
        )


class LatePages:
    """The pages at every other address, made at the first request for one of them.

    The application is made in a thread, because its imports would delay the calls.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            made = self._made
        await made(scope, receive, send)


async def _not_found(request: StarletteRequest, error: Exception) -> Response:
    del request, error
    page = html_reply(
        404, "The resource you are looking for has been removed, had its name changed, or is unavailable."
    )
    return Response(page.body, page.status, media_type="text/html")


async def _stop_accepting(listener: socket.socket) -> None:
    """Stop accepting, and finish accepting connections that have just arrived."""
    with contextlib.suppress(NotImplementedError):  # Windows' loop has no readers to remove
        asyncio.get_running_loop().remove_reader(listener)
    await _last_turns()  # asyncio loses a connection if the listener is closed while it is being accepted


async def _last_turns() -> None:
    for _ in range(_LAST_TURNS):
        await asyncio.sleep(0)


async def _hang_up(server_state: ServerState) -> None:
    """Abort every connection, and let the requests under way notice."""
    for _ in range(_LAST_TURNS):
        for connection in list(server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
    if server_state.tasks:
        await asyncio.wait(list(server_state.tasks), timeout=_STOP_WITHIN / 2)


class HttpServer:
    """Serves one endpoint on loopback until stopped."""

    def __init__(
        self,
        service: Service,
        script: Script,
        allowed_hosts: Collection[str] = (),
        pages: Callable[[], ASGIApp] | None = None,
    ) -> None:
        self._service = service
        self._script = script
        self._pages = pages
        self._endpoint: Endpoint | None = None
        self._allowed_hosts = allowed_hosts
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self.port = 0

    def use(self, service: Service) -> None:
        """Use another service from the next request on."""
        self._service = service
        if self._endpoint is not None:
            self._endpoint.service = service

    @property
    def running(self) -> bool:
        """True if it takes requests."""
        return self._thread is not None

    def start(self, port: int) -> None:
        """Bind, start the thread, and return when requests are taken.

        Raises:
            OSError: The port is taken.
        """
        # asyncio sets TCP_NODELAY only if the protocol is named; without it every reply waits 40 ms for an ACK.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if sys.platform != "win32":  # there the option would let two servers share a port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._ready.clear()
        self._error = None
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name=f"octopus-emulator-{self.port}", daemon=True
        )
        self._thread.start()
        if not self._ready.wait(_READY_WITHIN) or self._error is not None:
            raise RuntimeError("the emulator's server did not start") from self._error

    def stop(self) -> None:
        """Close every connection at once, and wait for the thread."""
        if self._thread is None:
            return
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_WITHIN)
        self._thread = self._loop = self._stop = None

    def settle(self) -> None:
        """Handle the requests that have arrived, up to where they pause."""
        if self._loop is not None and threading.current_thread() is not self._thread:
            asyncio.run_coroutine_threadsafe(_last_turns(), self._loop).result(_STOP_WITHIN)

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:  # noqa: BLE001 - start() raises it
            self._error = error
        finally:
            listener.close()
            self._ready.set()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        endpoint = self._endpoint = Endpoint(
            self._service, self._script, f"http://127.0.0.1:{self.port}{PATH}", self._allowed_hosts
        )
        routes: list[BaseRoute] = [Route(PATH, endpoint)]
        if self._pages is not None:
            routes.append(Mount("/", LatePages(self._pages)))
        config = uvicorn.Config(
            Starlette(routes=routes, exception_handlers={404: _not_found}),
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        config.load()
        server_state, numbers = ServerState(), itertools.count(1)
        app_state: dict[str, Any] = {"endpoint": endpoint, "numbers": numbers}
        server = await self._loop.create_server(
            lambda: Connection(config, server_state, app_state), sock=listener, backlog=256
        )
        self._ready.set()
        await self._stop.wait()
        endpoint.closing.set()
        await _stop_accepting(listener)
        server.close()
        await _hang_up(server_state)


ResetWhen: TypeAlias = Literal["before", "mid", "after"]
DripPart: TypeAlias = Literal["headers", "body"]

_SETTLE = 0.02  # seconds between the last bytes and a reset: the client may otherwise never see the bytes
_TICK = 0.02  # seconds between two writes of a drip; slower drips write single bytes
_CHUNK = 1000  # bytes per chunk of a chunked reply: small, so that even short replies have several


@dataclass(slots=True)
class Delivery:
    """The plan for one reply; faults change it.

    Args:
        delay: Seconds to wait first.
        hang: Whether never to answer.
        reset: Reset the connection ``before`` or ``after`` executing (no byte is sent), or in ``mid`` reply.
        reset_at: Fraction of the body sent before a reset in mid reply.
        drip: Bytes per second; None for all at once.
        drip_part: Where dripping starts.
        announced: A Content-Length that is not the body's; the connection is then closed early.
        chunked: Whether to send chunks, without a Content-Length.
        after: Whether the connection is kept, closed at once, or closed when the next request arrives on it.
    """

    delay: float = 0.0
    hang: bool = False
    reset: ResetWhen | None = None
    reset_at: float = 0.5
    drip: float | None = None
    drip_part: DripPart = "body"
    announced: int | None = None
    chunked: bool = False
    after: Literal["keep", "close", "close-on-reuse"] = "keep"


@dataclass(frozen=True, slots=True)
class ResponseWriter:
    """Delivers one reply over one connection."""

    connection: Connection
    send: Send
    closing: asyncio.Event
    journal: Journal
    record: CallRecord | None

    async def deliver(self, reply: Reply, plan: Delivery) -> None:
        """Carry the plan out."""
        if plan.hang or (plan.delay and not await self._pause(plan.delay)):
            await self._hang(plan)
        elif reply.dropped or plan.reset in {"before", "after"}:
            self._noted(reply, None, b"")
            self.connection.seize()
            if reply.dropped:
                self.connection.close()
            else:
                self.connection.reset()
        elif plan.reset == "mid":
            await self._reset_mid(reply, plan)
        elif plan.drip is not None:
            await self._drip(reply, plan)
        elif plan.announced is not None or reply.reason is not None:
            self._raw(reply, plan)
        else:
            await self._plain(reply, plan)

    async def _hang(self, plan: Delivery) -> None:
        """Wait until the caller closes the connection or the emulator stops."""
        if plan.hang:  # otherwise a delay ended because of that
            await self._pause(None)
        self.connection.seize()
        self.connection.close()

    async def _plain(self, reply: Reply, plan: Delivery) -> None:
        self._noted(reply, reply.status, reply.body)
        self.connection.stale = plan.after == "close-on-reuse"
        headers = _headers(reply, None if plan.chunked else len(reply.body))
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await self.send({"type": "http.response.start", "status": reply.status, "headers": raw})
        pieces = [reply.body]
        if plan.chunked:
            pieces = [reply.body[start : start + _CHUNK] for start in range(0, len(reply.body), _CHUNK)] or [b""]
        for number, piece in enumerate(pieces, 1):
            await self.send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})
        if plan.after == "close":
            self.connection.close()

    def _raw(self, reply: Reply, plan: Delivery) -> None:
        self._noted(reply, reply.status, reply.body)
        transport = self.connection.seize()
        transport.write(_head(reply, plan) + (_chunk(reply.body) if plan.chunked else reply.body))
        self.connection.close()

    async def _reset_mid(self, reply: Reply, plan: Delivery) -> None:
        part = reply.body[: int(len(reply.body) * plan.reset_at)]
        self._noted(reply, reply.status, part)
        transport = self.connection.seize()
        transport.write(_head(reply, plan) + (_chunk(part) if plan.chunked else part))
        await self._pause(_SETTLE)
        self.connection.reset()

    async def _drip(self, reply: Reply, plan: Delivery) -> None:
        self._noted(reply, reply.status, reply.body)
        transport = self.connection.seize()
        head = _head(reply, plan)
        waiting = reply.body
        if plan.drip_part == "headers":
            waiting = head + reply.body
        else:
            transport.write(head)
        rate = plan.drip or 1.0
        size = max(1, int(rate * _TICK))
        for start in range(0, len(waiting), size):
            if not await self._pause(size / rate):
                break
            transport.write(waiting[start : start + size])
        self.connection.close()

    async def _pause(self, seconds: float | None) -> bool:
        """Wait; return False at once if the emulator stops or the caller closes."""
        watched = [asyncio.ensure_future(event.wait()) for event in (self.closing, self.connection.lost)]
        try:
            done, _ = await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in watched:
                task.cancel()
        return not done

    def _noted(self, reply: Reply, status: int | None, body: bytes) -> None:
        if self.record is not None:
            headers = {name.lower(): value for name, value in (("Content-Type", reply.content_type), *reply.headers)}
            self.journal.sending(self.record, status, body, headers)


def _headers(reply: Reply, length: int | None) -> list[tuple[str, str]]:
    """Return the header lines."""
    # Cache-Control and Server are recorded of ChannelAdvisor's gateway.
    headers = [("Cache-Control", "private, max-age=0"), ("Server", "Microsoft-IIS/10.0"), ("X-Powered-By", "ASP.NET")]
    headers.append(("Date", formatdate(usegmt=True)))
    if reply.content_type:
        headers.append(("Content-Type", reply.content_type))
    if length is not None:
        headers.append(("Content-Length", str(length)))
    return headers + list(reply.headers)


def _head(reply: Reply, plan: Delivery) -> bytes:
    reason = reply.reason or HTTPStatus(reply.status).phrase
    length = None if plan.chunked else len(reply.body) if plan.announced is None else plan.announced
    headers = [*_headers(reply, length), ("Connection", "close")]
    if plan.chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    lines = [f"HTTP/1.1 {reply.status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


def _chunk(body: bytes) -> bytes:
    """Return one chunk without the closing empty chunk, as in a reply cut short."""
    return b"%x\r\n%b\r\n" % (len(body), body)
