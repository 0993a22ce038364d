"""Scripted faults: which calls they hit, and what each of them does.

Every fault defines whether the operation is carried out: ``execute=True`` is "did it, then failed",
``execute=False`` is "failed before doing it". Several faults given to one rule are applied in their order:
``do(Gzip(), Truncate(0.5))``.

    service.script.on("SubmitOrder", nth=1).do(Reset(when="after"))
    service.script.on("GetItemList", every=5).times(3).do(Status(503, retry_after=1))
    service.script.on("*", key="SKU-7").do(Fault("internal"))
"""

from __future__ import annotations

import gzip
import random
import re
import threading
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from .messages import Outcome
from .replies import FaultKind, Reply, SoapFaultError, empty_reply, fault_reply, html_reply, sample_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .records import CallRecord
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
        """True if the operation is carried out."""
        return self.natural if self.execute is None else self.execute

    def apply(self, exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Change the plan of delivery, and return the reply to send instead.

        *exchange* is None for a request of metadata, such as ``?wsdl``. Earlier faults may have changed *reply*.
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
    """Take the request and never answer it.

    The connection closes when the caller or the emulator closes it. Not executed unless asked.
    """

    natural: ClassVar[bool] = False

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Hold the reply back."""
        plan.hang = True
        return reply


@dataclass(frozen=True)
class Drip(InjectedFault):
    """Answer byte by byte.

    Every single read succeeds in time, the reply as a whole does not.

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
        """True if the operation is carried out."""
        return self.when != "before" if self.execute is None else self.execute

    def apply(self, _exchange: Exchange | None, reply: Reply, plan: Delivery, /) -> Reply:
        """Plan the reset."""
        plan.reset, plan.reset_at = self.when, self.at
        return reply


@dataclass(frozen=True)
class CloseIdle(InjectedFault):
    """Answer properly, then close the kept-alive connection without announcing it.

    Args:
        when: ``on-reuse``: the next request on the connection finds it closed, a race that every pooled client meets.
            That request is not carried out and not recorded (see ``Emulator.stale_closes``). ``now``: right after the
            reply, which a pool may notice in time.
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
    """Answer with an HTTP status, as a proxy or IIS would. Not executed unless asked.

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
    """Answer with a web page, such as a login portal. Not executed unless asked.

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
    """Compress the reply, as IIS may do."""

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
    """Put a character that XML 1.0 forbids into a text of the reply, as WCF does.

    Args:
        code: The character.
        raw: Whether to write a raw byte instead of a reference such as ``&#x1F;``, which WCF writes.
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
"""Faults by a short name, for `Script.add`. ``reset``: not executed; ``lost``: executed, and the answer never comes."""
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


@dataclass(eq=False)
class Rule:
    """Faults and the conditions to inject them; made by :meth:`Script.on`."""

    operation: str
    nth: frozenset[int] | None = None
    every: int | None = None
    after: int | None = None
    probability: float | None = None
    seed: int = 0
    keys: frozenset[str] | None = None
    merchant: str | None = None
    when: Callable[[CallRecord], bool] | None = None
    faults: tuple[InjectedFault, ...] = ()
    limit: int | None = None
    seen: int = 0
    hits: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Seed the rule's own random numbers, so that rules are independent."""
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable faults, not secrets

    def times(self, limit: int) -> Rule:
        """Inject the faults at most ``limit`` times."""
        self.limit = limit
        return self

    def do(self, *faults: InjectedFault) -> Rule:
        """Inject these faults, applied in their order."""
        self.faults = faults
        return self

    def is_due(self, record: CallRecord) -> bool:
        """True if the faults are due; counts the call if it is one of the rule's."""
        if not self._concerns(record):
            return False
        self.seen += 1
        if self.limit is not None and self.hits >= self.limit:
            return False
        return (
            (self.nth is None or self.seen in self.nth)
            and (self.every is None or self.seen % self.every == 0)
            and (self.after is None or self.seen > self.after)
            and (self.probability is None or self._random.random() < self.probability)
        )

    def _concerns(self, record: CallRecord) -> bool:
        is_metadata = record.operation.startswith("?")
        if is_metadata != self.operation.startswith("?"):
            return False
        pattern = self.operation.replace("?", "[?]", 1) if is_metadata else self.operation
        return (
            fnmatchcase(record.operation, pattern)
            and (self.merchant is None or self.merchant == record.merchant)
            and (self.keys is None or not self.keys.isdisjoint(record.keys))
            and (self.when is None or self.when(record))
        )


def _share(rate: str, text: str) -> float | None:
    """Return the share of calls, None for all."""
    if not rate:
        return None
    try:
        share = float(rate[:-1]) / 100 if rate.endswith("%") else float(Fraction(rate))
    except (ValueError, ZeroDivisionError):
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r}: the rate is not a share such as 5%, 0.05 or 1/20")
    return share


class Script:
    """The faults in force.

    The faults of the first rule that is due are injected, in the order the rules were added. Every rule counts its
    calls from the moment it was added, also those that get the faults of another rule.
    """

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        """Show the number of rules."""
        return f"<Script rules={len(self._rules)}>"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return tuple(self._rules)

    def on(
        self,
        operation: str = "*",
        *,
        nth: int | Collection[int] | None = None,
        every: int | None = None,
        after: int | None = None,
        probability: float | None = None,
        seed: int = 0,
        key: str | Collection[str] | None = None,
        merchant: str | None = None,
        when: Callable[[CallRecord], bool] | None = None,
    ) -> Rule:
        """Add a rule; follow it with ``.do(...)``. All conditions given must hold.

        Args:
            operation: The operation's name, or a pattern such as ``Get*``; ``*`` is every SOAP call. ``?wsdl`` and
                ``?singleWsdl`` (patterns that start with a question mark) are requests for metadata instead.
            nth: The nth of the rule's calls, from 1, or several such numbers.
            every: Every so many calls.
            after: Every call after this many.
            probability: Chance per call, from the rule's own random generator.
            seed: That generator's seed.
            key: A SKU or order id, or several: calls whose request names one of them.
            merchant: Calls authorised as this merchant.
            when: A predicate on the call as recorded so far.
        """
        rule = Rule(
            operation=operation,
            nth=frozenset([nth] if isinstance(nth, int) else nth) if nth is not None else None,
            every=every,
            after=after,
            probability=probability,
            seed=seed,
            keys=frozenset([key] if isinstance(key, str) else key) if key is not None else None,
            merchant=merchant,
            when=when,
        )
        with self._lock:
            self._rules.append(rule)
        return rule

    def add(self, text: str, *, latency: float = 0.0, seed: int = 0) -> Rule:
        """Add a rule from a text such as ``503:5%`` or ``SubmitOrder=lost:1/20``.

        Args:
            text: The rule, ``[OPERATION=]FAULT[:RATE]``. FAULT is an HTTP status, or one of `faults.NAMED`. RATE is the
                share of calls: ``5%``, ``0.05`` or ``1/20``; every call without one.
            latency: Seconds by which the failing answers come late.
            seed: Seed of the rule's random numbers.

        Raises:
            ValueError: The text is not such a rule; the message has the form of one.
        """
        target, _, rest = text.rpartition("=")
        name, _, rate = rest.partition(":")
        fault = named_fault(name.strip())
        share = _share(rate.strip(), text)
        late = (Latency(latency),) if latency else ()
        return self.on(target.strip() or "*", probability=share, seed=seed).do(*late, fault)

    def match(self, record: CallRecord) -> tuple[InjectedFault, ...]:
        """Return the faults for a call; empty if none is due."""
        with self._lock:
            due = [rule for rule in self._rules if rule.faults and rule.is_due(record)]
            if not due:
                return ()
            due[0].hits += 1
            return due[0].faults

    def remove(self, rule: Rule) -> None:
        """Remove a rule; does nothing if it is not in force."""
        with self._lock:
            if rule in self._rules:
                self._rules.remove(rule)

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()
