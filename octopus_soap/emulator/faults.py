"""The faults a script can inject, from a slow reply to a carried-out order whose answer is lost.

Every fault defines whether the operation is carried out: ``execute=True`` is "did it, then failed",
``execute=False`` is "failed before doing it". Several faults given to one rule are applied in their order:
``do(Gzip(), Truncate(0.5))``.

    service.script.on("SubmitOrder", nth=1).do(Reset(when="after"))
    service.script.on("GetItemList", every=5).times(3).do(Status(503, retry_after=1))
    service.script.on("*", key="SKU-7").do(Fault("internal"))
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from .messages import Outcome
from .replies import FaultKind, Reply, SoapFaultError, empty_reply, fault_reply, html_reply, sample_fault

if TYPE_CHECKING:
    from .server import Delivery, DripPart, ResetWhen
    from .service import Exchange

_LEAF = re.compile(rb"<(?:\w+:)?(\w+)(?:\s[^>]*)?>([^<]+)</")
_DULL = re.compile(rb"[-+0-9.]+|true|false|Success|Failure")

StatusBody: TypeAlias = Literal["html", "xhtml", "empty", "fault"]


@dataclass(frozen=True)
class InjectedFault:
    """Base of all faults.

    Args:
        execute: Whether the operation is carried out; None: as is natural for the fault, see each class.
    """

    execute: bool | None = field(default=None, kw_only=True)
    natural: ClassVar[bool] = True

    @property
    def executes(self) -> bool:
        """Whether the operation is carried out."""
        return self.natural if self.execute is None else self.execute

    def apply(self, exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Change the plan of delivery, and return the reply to send instead.

        Args:
            exchange: The request; None for one of metadata, such as ``?wsdl``.
            reply: The unchanged reply, or what an earlier fault made of it.
            plan: How the reply will be sent.
        """
        del exchange, plan
        return reply


@dataclass(frozen=True)
class Latency(InjectedFault):
    """Answer late.

    Args:
        seconds: How late. Other connections are not held up.
    """

    seconds: float

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Delay the reply."""
        plan.delay += self.seconds
        return reply


@dataclass(frozen=True)
class Hang(InjectedFault):
    """Take the request and never answer, until the caller or the emulator goes away. Not executed unless asked."""

    natural: ClassVar[bool] = False

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Keep the reply back."""
        plan.hang = True
        return reply


@dataclass(frozen=True)
class Drip(InjectedFault):
    """Answer byte by byte: every single read succeeds in time, the reply as a whole does not.

    Args:
        bytes_per_second: The rate.
        part: ``headers``: from the first byte on; ``body``: headers at once, the body slowly.
    """

    bytes_per_second: float = 1.0
    part: DripPart = "body"

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Slow the reply down."""
        plan.drip, plan.drip_part = self.bytes_per_second, self.part
        return reply


@dataclass(frozen=True)
class Reset(InjectedFault):
    """Reset the connection (TCP RST).

    Args:
        when: ``before``: nothing was done, nothing is sent. ``mid``: done, part of the reply is sent. ``after``: done,
            and no byte of the reply is sent: the caller cannot know.
        at: For ``mid``: the fraction of the body that is sent.
    """

    when: ResetWhen = "before"
    at: float = 0.5

    @property
    def executes(self) -> bool:
        """Whether the operation is carried out."""
        return self.when != "before" if self.execute is None else self.execute

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Plan the reset."""
        plan.reset, plan.reset_at = self.when, self.at
        return reply


@dataclass(frozen=True)
class CloseIdle(InjectedFault):
    """Answer properly, then close the kept-alive connection without announcing it.

    Args:
        when: ``on-reuse``: the next request on the connection finds it closed, as in the race every pooled client
            meets; that request is not carried out and not recorded (see ``Emulator.stale_closes``). ``now``: right
            after the reply, which a pool may notice in time.
    """

    when: Literal["on-reuse", "now"] = "on-reuse"

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Plan the closing."""
        plan.after = "close" if self.when == "now" else "close-on-reuse"
        return reply


@dataclass(frozen=True)
class Truncate(InjectedFault):
    """Send only the beginning of the reply.

    Args:
        at: How much: a float is a fraction of the body, an int a number of bytes.
        honest: Whether Content-Length states the shortened length (a proxy cut it) or the full one (the connection
            broke).
    """

    at: float | int = 0.5
    honest: bool = False

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Cut the body."""
        full = len(reply.body)
        kept = int(full * self.at) if isinstance(self.at, float) else min(self.at, full)
        if not self.honest:
            plan.announced = full
        return reply.with_body(reply.body[:kept])


@dataclass(frozen=True)
class Status(InjectedFault):
    """Answer with an HTTP status, as a proxy, a load balancer or IIS would. Not executed unless asked.

    Args:
        status: Such as 429, 500, 502, 503, 504, 413, 400, 401, 403, 404, or 302 with ``location``.
        body: ``html`` page, ``xhtml`` (well-formed XML), ``empty``, or a SOAP ``fault``.
        retry_after: The Retry-After header: seconds, or an HTTP date.
        location: The Location header.
    """

    status: int
    body: StatusBody = "html"
    retry_after: float | str | None = None
    location: str | None = None
    natural: ClassVar[bool] = False

    def apply(self, _exchange: Exchange | None, reply: Reply, _plan: Delivery, /) -> Reply:
        """Replace the reply."""
        if self.body == "empty":
            reply = empty_reply(self.status)
        elif self.body == "fault":
            reply = fault_reply(SoapFaultError("internal", status=self.status))
        else:
            reply = html_reply(self.status, xhtml=self.body == "xhtml")
        extra = [("Retry-After", str(self.retry_after))] if self.retry_after is not None else []
        if self.location is not None:
            extra.append(("Location", self.location))
        return replace(reply, headers=(*reply.headers, *extra))


@dataclass(frozen=True)
class Fault(InjectedFault):
    """Answer with a SOAP fault as WCF writes it. Not executed unless asked.

    Args:
        kind: Which of WCF's faults.
        text: The faultstring; empty: WCF's own.
        language: ``xml:lang``; ``tr-TR`` and ``it-IT`` have the internal fault's text translated.
        http: The HTTP status: 500 (WCF), or 200 (recorded of ChannelAdvisor's service).
    """

    kind: FaultKind = "internal"
    text: str = ""
    language: str = "en-US"
    http: int = 500
    natural: ClassVar[bool] = False

    def apply(self, _exchange: Exchange | None, _reply: Reply, _plan: Delivery, /) -> Reply:
        """Replace the reply."""
        return fault_reply(sample_fault(self.kind, text=self.text, language=self.language, status=self.http))


@dataclass(frozen=True)
class Html(InjectedFault):
    """Answer with a web page where XML is expected: a login portal or a maintenance page. Not executed unless asked.

    Args:
        status: The HTTP status, 200 by default.
        xhtml: Whether the page is well-formed XML.
    """

    status: int = 200
    xhtml: bool = False
    natural: ClassVar[bool] = False

    def apply(self, _exchange: Exchange | None, _reply: Reply, _plan: Delivery, /) -> Reply:
        """Replace the reply."""
        return html_reply(self.status, "We are down for maintenance.", xhtml=self.xhtml)


@dataclass(frozen=True)
class Gzip(InjectedFault):
    """Compress the reply, as IIS does when it likes."""

    def apply(self, _exchange: Exchange | None, reply: Reply, _plan: Delivery, /) -> Reply:
        """Compress the body."""
        body = gzip.compress(reply.body, mtime=0)
        return replace(reply, body=body, headers=(*reply.headers, ("Content-Encoding", "gzip")))


@dataclass(frozen=True)
class Chunked(InjectedFault):
    """Send the reply in chunks, without a Content-Length."""

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Plan the chunks."""
        plan.chunked = True
        return reply


@dataclass(frozen=True)
class Bom(InjectedFault):
    """Put a UTF-8 byte order mark before the reply."""

    def apply(self, _exchange: Exchange | None, reply: Reply, _plan: Delivery, /) -> Reply:
        """Prefix the body."""
        return reply.with_body(b"\xef\xbb\xbf" + reply.body)


@dataclass(frozen=True)
class ControlCharacters(InjectedFault):
    """Put a character that XML 1.0 forbids into a text of the reply; WCF writes such references.

    Args:
        code: The character.
        raw: Whether as a raw byte instead of a reference such as ``&#x1F;``.
        field: The member to put it in; None: the first text that is no number, boolean or status, else the Status.
    """

    code: int = 0x1F
    raw: bool = False
    field: str | None = None

    def apply(self, _exchange: Exchange | None, reply: Reply, _plan: Delivery, /) -> Reply:
        """Insert the character."""
        leaves = list(_LEAF.finditer(reply.body))
        if self.field is not None:
            chosen = [leaf for leaf in leaves if leaf[1] == self.field.encode()]
        else:
            chosen = [leaf for leaf in leaves if not _DULL.fullmatch(leaf[2])] or leaves[-1:]
        if not chosen:
            return reply
        place = chosen[0].start(2)
        character = bytes([self.code]) if self.raw else f"&#x{self.code:X};".encode()
        return reply.with_body(reply.body[:place] + character + reply.body[place:])


@dataclass(frozen=True)
class ApiFailure(InjectedFault):
    """Answer with an APIResult whose Status is Failure. Not executed unless asked.

    Args:
        code: The MessageCode; 1, 3, 5, 8 and 12 are recorded of ChannelAdvisor's service.
        message: The Message.
    """

    code: int = 1
    message: str = "Input string was not in a correct format."
    natural: ClassVar[bool] = False

    def apply(self, exchange: Exchange | None, reply: Reply, _plan: Delivery, /) -> Reply:
        """Replace the reply."""
        if exchange is None or exchange.operation is None:
            return reply
        return exchange.service.answer(exchange.operation, Outcome(ok=False, code=self.code, message=self.message))


NAMED: dict[str, InjectedFault] = {
    "fault": Fault("internal"),
    "failure": ApiFailure(),
    "reset": Reset(when="before"),
    "lost": Reset(when="after"),
    "hang": Hang(),
    "truncate": Truncate(0.5),
    "html": Html(),
    "drip": Drip(),
}
"""Faults by a short name, for `Script.add`. ``reset``: nothing was done; ``lost``: done, and the answer never came."""
_LEAST_STATUS, _MOST_STATUS, _SLOW_DOWN = 300, 599, 429


def named_fault(name: str) -> InjectedFault:
    """Return the fault of a name such as ``503`` or ``lost``.

    Raises:
        ValueError: There is no such fault; the message lists them.
    """
    if name.isascii() and name.isdigit() and _LEAST_STATUS <= int(name) <= _MOST_STATUS:
        return Status(int(name), retry_after=1 if int(name) == _SLOW_DOWN else None)
    if name not in NAMED:
        raise ValueError(f"no fault {name!r}: an HTTP status from 300 to 599, or one of {', '.join(NAMED)}")
    return NAMED[name]
