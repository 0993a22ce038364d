"""How a reply goes out over the socket: at once, late, byte by byte, in part, or not at all.

Whatever HTTP allows goes through uvicorn. What HTTP does not allow (half a reply, a reset, a dripping header) is
written to the transport directly, after which the connection is always closed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from starlette.types import Send

    from .records import CallRecord, Journal
    from .replies import Reply

ResetWhen: TypeAlias = Literal["before", "mid", "after"]
DripPart: TypeAlias = Literal["headers", "body"]

_SETTLE = 0.02  # seconds between the last bytes and a reset: a client may otherwise never see the bytes
_TICK = 0.02  # seconds between two writes of a drip fast enough to need no single bytes
_CHUNK = 1000  # bytes per chunk of a chunked reply: small, so that even short replies have several


class Wire(Protocol):
    """What delivering needs of a connection; see :class:`octopus_soap.emulator.server.Connection`."""

    lost: asyncio.Event
    stale: bool

    def seize(self) -> asyncio.Transport:
        """Take the socket from uvicorn for the rest of its life."""
        ...

    def reset(self) -> None:
        """Close with RST."""
        ...

    def close(self) -> None:
        """Close with FIN once written bytes are out."""
        ...


@dataclass(slots=True)
class Delivery:
    """The plan for one reply; faults change it.

    Args:
        delay: Seconds to wait first.
        hang: Never answer.
        reset: Reset the connection ``before`` or ``after`` executing (no byte is sent), or in ``mid`` reply.
        reset_at: Fraction of the body sent before a reset in mid reply.
        drip: Bytes per second; None for all at once.
        drip_part: Where dripping starts.
        announced: The Content-Length announced where it is not the body's: the connection is then closed early.
        chunked: Send without a Content-Length, in chunks.
        after: What becomes of the connection: kept, closed at once, or closed when the next request comes in on it.
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

    connection: Wire
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
        """Wait until the caller goes away or the emulator stops; a delay that was cut short ended that way already."""
        if plan.hang:
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
        """Wait; return False at once if the emulator stops or the caller goes away."""
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
    """Return the header lines; server and cache control as recorded of ChannelAdvisor's gateway."""
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
    """Return one chunk without the closing empty one: a chunked reply that is cut short."""
    return b"%x\r\n%b\r\n" % (len(body), body)
