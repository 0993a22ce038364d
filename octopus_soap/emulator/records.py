"""Records of calls, and notes on everything in them that WCF would have ignored."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECRET_HEADERS = frozenset({"authtoken", "accessid", "authorization", "proxy-authorization", "cookie"})
_MASK = "***"

LintWhat: TypeAlias = Literal[
    "wrong-namespace",  # a member of the right name in another namespace: ignored
    "out-of-order",  # a member after one that follows it in the contract: ignored
    "repeated",  # a member given twice: the second is ignored
    "unknown",  # not a member: ignored
    "stray-text",  # text between members: ignored
    "schema",  # the XSD validator's complaint
    "ignored-confirm",  # an order confirmation that named no open order
    "omitted",  # a value left out of a write: read as 0
    "may-be-zero",  # the same on a service with plain value types; a hint of the call alone, not in the lint log
    "too-long",  # a text longer than the page's table allows; what the service does with it is unknown
]


@dataclass(frozen=True, slots=True)
class LintNote:
    """Something in a request that a WCF service silently ignores.

    Args:
        operation: The operation called.
        path: The place in the request, such as ``UploadItem/inventoryItem/Price``.
        what: The kind of mistake.
        detail: One sentence.
    """

    operation: str
    path: str
    what: LintWhat
    detail: str


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """One SOAP request as the emulator received it, and its answer.

    Args:
        sequence: The number among all SOAP requests, from 1, in the order they were completely read.
        nth: The number among the requests of this operation, from 1.
        operation: The operation's name, "" if the SOAPAction names none.
        merchant: The merchant's name if the credentials were right, else None.
        items: Number of items in the list parameter; 1 for operations without a list.
        keys: The SKUs or order ids of the request, in its order; see also :attr:`key_set`.
        connection: Number of the TCP connection it came on, from 1.
        headers: Request headers by lower-case name, secrets masked.
        request: The request's body. It has the access id as ``accountID``, so it is kept out of the repr.
        reply: The body bytes sent, as far as the emulator sent them.
        status: The HTTP status sent; None if no reply was sent (yet).
        executed: Whether the operation was carried out, whatever the reply was.
        fault: The injected faults, as text; None if none.
        error: An error of the emulator itself; always None unless the emulator has a bug.
        notes: What a WCF service would have silently ignored in this request.
        at: When it was completely read.
        seconds: Until the reply was written, or the connection was cut; None while it is under way.
        reply_headers: Headers of the reply that describe its body, by lower-case name.
    """

    sequence: int
    nth: int
    operation: str
    merchant: str | None
    items: int
    keys: tuple[str, ...] = field(repr=False)
    connection: int
    headers: Mapping[str, str] = field(repr=False)
    request: bytes = field(repr=False)
    reply: bytes = field(default=b"", repr=False)
    status: int | None = None
    executed: bool = False
    fault: str | None = None
    error: str | None = None
    request_size: int = 0
    reply_size: int = 0
    notes: tuple[LintNote, ...] = field(default=(), repr=False)
    at: datetime = field(default_factory=lambda: datetime.now(UTC), repr=False)
    seconds: float | None = None
    reply_headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    _began: float = field(default_factory=time.monotonic, repr=False)

    @property
    def key_set(self) -> frozenset[str]:
        """The keys without their order."""
        return frozenset(self.keys)


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with the values of the secret ones replaced."""
    return {name: _MASK if name in SECRET_HEADERS else value for name, value in headers.items()}


class Journal:
    """The calls and notes of one emulator: the server's thread writes, others read.

    Args:
        keep_bodies: Whether calls keep request and reply bytes.
        keep_calls: How many of the newest calls, lint notes and metadata requests are kept. None: all, for tests, which
            look at every call of a short run.
        keep_bytes: How many bytes of request and reply bodies are kept. The bodies of the oldest calls are dropped
            first; the calls stay. None: all.
    """

    def __init__(
        self, *, keep_bodies: bool = True, keep_calls: int | None = None, keep_bytes: int | None = None
    ) -> None:
        self.keep_bodies = keep_bodies
        self.calls: deque[CallRecord] = deque(maxlen=keep_calls)
        self.metadata_requests: deque[str] = deque(maxlen=keep_calls)
        self.lint: deque[LintNote] = deque(maxlen=keep_calls)
        self.stale_closes = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self._keep_bytes = keep_bytes
        self._with_bodies: deque[CallRecord] = deque()  # oldest first; kept only if bytes are counted
        self._body_bytes = 0
        self._opened = 0
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._watchers: dict[object, Callable[[], object]] = {}

    def __repr__(self) -> str:
        """Show the sizes only."""
        return f"<Journal calls={len(self.calls)} lint={len(self.lint)}>"

    def open(
        self,
        *,
        operation: str,
        merchant: str | None,
        keys: tuple[str, ...],
        items: int,
        connection: int,
        headers: Mapping[str, str],
        request: bytes,
    ) -> CallRecord:
        """Number a new call and append it, so that it is visible while under way."""
        with self._lock:
            nth = self._counts[operation] = self._counts.get(operation, 0) + 1
            self._opened += 1
            self.bytes_received += len(request)
            record = CallRecord(
                sequence=self._opened,
                nth=nth,
                operation=operation,
                merchant=merchant,
                items=items,
                keys=keys,
                connection=connection,
                headers=masked_headers(headers),
                request=request if self.keep_bodies else b"",
                request_size=len(request),
            )
            self.calls.append(record)
            if self.keep_bodies and self._keep_bytes is not None:
                self._with_bodies.append(record)
                self._count_bytes(len(request))
            self._changed.notify_all()
            self._wake_watchers()
            return record

    def snapshot(self) -> tuple[list[CallRecord], list[LintNote], list[str]]:
        """Return copies of the calls, lint notes and metadata requests."""
        with self._lock:
            return list(self.calls), list(self.lint), list(self.metadata_requests)

    def call(self, sequence: int) -> CallRecord | None:
        """Return a call by its number; None if it is not kept."""
        with self._lock:
            return next((call for call in reversed(self.calls) if call.sequence == sequence), None)

    def watch(self, woken: Callable[[], object]) -> object:
        """Call *woken* once, at the next change.

        Args:
            woken: Runs on the thread that makes the change, so it must not block.

        Returns:
            The key for :meth:`unwatch`.
        """
        with self._lock:
            key = object()
            self._watchers[key] = woken
            return key

    def unwatch(self, key: object) -> None:
        """Remove a watcher that was not called yet."""
        with self._lock:
            self._watchers.pop(key, None)

    def _wake_watchers(self) -> None:
        if self._watchers:
            woken, self._watchers = list(self._watchers.values()), {}
            for wake in woken:
                wake()

    def ended(self, record: CallRecord) -> None:
        """Note that the reply was written, or that there will be none."""
        with self._lock:
            record.seconds = time.monotonic() - record._began  # noqa: SLF001 - the journal makes the records
            self._wake_watchers()

    def _count_bytes(self, added: int) -> None:
        """Count stored bytes, and drop the bodies of the oldest calls above the limit."""
        self._body_bytes += added
        while self._with_bodies and self._body_bytes > (self._keep_bytes or 0):
            oldest = self._with_bodies.popleft()
            self._body_bytes -= len(oldest.request) + len(oldest.reply)
            oldest.request = oldest.reply = b""

    def executed(self, record: CallRecord) -> None:
        """Note that the call was carried out."""
        with self._lock:
            record.executed = True
            self._changed.notify_all()

    def wait(self, count: int, *, executed: bool, seconds: float) -> bool:
        """Wait for *count* calls, or for as many carried out; return False if time is up."""
        with self._changed:
            return self._changed.wait_for(
                lambda: sum(call.executed or not executed for call in self.calls) >= count, seconds
            )

    def sending(
        self, record: CallRecord, status: int | None, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Note a reply, before its first byte is sent.

        The caller never sees a reply that the journal does not have yet.
        """
        with self._lock:
            record.status = status
            record.reply_headers = headers or {}
            self.bytes_sent += len(body) - record.reply_size
            record.reply_size = len(body)
            if self.keep_bodies and (self._keep_bytes is None or record.request):  # its bodies were not dropped yet
                added = len(body) - len(record.reply)
                record.reply = body
                if self._keep_bytes is not None:
                    self._count_bytes(added)

    def asked_for_metadata(self, query: str) -> None:
        """Note a request for metadata."""
        with self._lock:
            self.metadata_requests.append(query)

    def note(self, record: CallRecord, notes: list[LintNote]) -> None:
        """Append lint notes of a call."""
        with self._lock:
            record.notes = tuple(notes)
            self.lint.extend(note for note in notes if note.what != "may-be-zero")

    def clear(self) -> None:
        """Delete everything and count from 1 again."""
        with self._lock:
            self.calls.clear()
            self.metadata_requests.clear()
            self.lint.clear()
            self._with_bodies.clear()
            self._counts.clear()
            self._body_bytes = self._opened = self.bytes_received = self.bytes_sent = self.stale_closes = 0
            self._wake_watchers()
