"""The HTTP side: a socket on loopback, an event loop in a thread of its own, and uvicorn's protocol on each connection.

uvicorn's own ``Server`` is not used: it polls ten times a second and waits for open connections when it stops, while an
emulator has to stop at once, hanging requests included. Its protocol is subclassed so that faults can get at the
transport.
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
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .delivery import Delivery, ResponseWriter
from .metadata import metadata_reply
from .records import CallRecord, masked_headers
from .replies import Reply, Request, empty_reply, fault_reply, html_reply
from .soapfaults import SoapFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.requests import Request as StarletteRequest
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .script import Script
    from .service import Service

PATH = "/OctopusService.svc"
_FOREIGN_HOST = (
    "Bad Request - Invalid Hostname. The emulator answers requests whose Host header is localhost or a loopback "
    "address; name others in allowed_hosts, or with octopus-soap serve --allow-host NAME."
)
_READY_WITHIN = 10.0  # seconds; it takes milliseconds
_STOP_WITHIN = 5.0
_LAST_TURNS = 5  # turns the event loop needs to finish accepting, or aborting, a connection, and some
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
        """Wake a reply that is being sent slowly."""
        super().connection_lost(exc)
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        """Take bytes, unless the connection is to be found closed by its next use."""
        if self.stale:
            self.endpoint.service.journal.stale_closes += 1
            self.transport.close()
            return
        super().data_received(data)

    def seize(self) -> asyncio.Transport:
        """Take the socket from uvicorn for the rest of its life."""
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
        parts: list[bytes] = []  # joined once: adding bytes to bytes would copy all that is there, every 64 KiB
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
        """Return whether the Host header names this machine; a request of HTTP/1.0 may have none."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.strip("[]").lower()
        if not name or name == "localhost" or name in self.allowed_hosts:
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(name).is_loopback
        return False

    def _own_address(self, request: Request) -> str:
        """Return the address the caller used, which differs from ours behind a forwarded port (WCF can do that too)."""
        host = request.headers.get("host")
        return f"http://{host}{PATH}" if host else self.address

    def _call(self, request: Request) -> tuple[CallRecord, Reply, Delivery]:
        """Carry out a SOAP call, with what the script makes of it."""
        exchange = self.service.receive(request)
        faults = self.script.match(exchange.record)
        plan = Delivery()
        if all(fault.executes for fault in faults):
            reply = exchange.execute()
        else:
            reply = fault_reply(SoapFaultError("internal"))  # shown only where no fault brings a reply of its own
        for fault in faults:
            reply = fault.apply(exchange, reply, plan)
        exchange.record.fault = ", ".join(map(repr, faults)) or None
        return exchange.record, reply, plan

    def _metadata(self, request: Request) -> tuple[Reply, Delivery]:
        """Answer a GET, with what the script makes of it."""
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
        """Return a record for the script to look at; it is not kept."""
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
    """The pages at every other address: an ASGI application that is made at the first request for one of them.

    It is made in a thread, because its imports would hold up the calls.
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
    """Take no more connections, and see those through that were just taken: asyncio loses them if closed under it."""
    with contextlib.suppress(NotImplementedError):  # Windows' loop has no readers to remove
        asyncio.get_running_loop().remove_reader(listener)
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
        """Answer by another service from the next request on; requests under way end as they began."""
        self._service = service
        if self._endpoint is not None:
            self._endpoint.service = service

    @property
    def running(self) -> bool:
        """Whether it takes requests."""
        return self._thread is not None

    def start(self, port: int) -> None:
        """Bind, start the thread, and return when requests are taken.

        Raises:
            OSError: The port is taken.
        """
        # The protocol is named because asyncio sets TCP_NODELAY only then; without it every reply waits 40 ms for an
        # ACK.
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

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:  # noqa: BLE001 - handed to start(), which raises it
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
