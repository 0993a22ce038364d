"""Stop sending for a while after several failures in a row: the circuit breaker of a client and its views.

* Closed: everything is sent. `failures` failures in a row open the breaker; any other answer starts the count again.
* Open: nothing is sent for `seconds`. A request fails as `BUSY` with `CircuitOpenError`.
* Half-open, after that: one request is sent. Its answer closes the breaker, its failure opens it again.

Invariants:

* Each attempt counts, repeats included. What shows nothing of the service (`sign_of`) does not count.
* The driver asks the gate of an attempt immediately before it sends, after any wait for its turn: so a request that
  waited while the breaker opened is not sent either, and only one is sent to try.
* While the breaker is not closed, only the attempt that was let through to try changes it.

On failure: an attempt that was broken off gives its place up, and the next one may try.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from octopus_soap.engine.effects import SendFailure
from octopus_soap.engine.retry import FailureKind
from octopus_soap.errors import CircuitOpenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from octopus_soap.wire.faults import Reply

_TRYING = 1.0
"""Most seconds after which to ask again while another request tries."""


class Sign(Enum):
    """What an attempt shows of the service."""

    ANSWERED = auto()
    FAILED = auto()
    NOTHING = auto()


class Breaker:
    """The state that the calls of a client share. Threads may use it at once.

    Args:
        failures: how many in a row open it.
        seconds: how long it stays open.
        clock: monotonic seconds.
        make_lock: makes a lock, such as `threading.Lock`.
    """

    def __init__(
        self,
        failures: int,
        seconds: float,
        clock: Callable[[], float],
        make_lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.failures, self.seconds = failures, seconds
        self._clock, self._make_lock = clock, make_lock
        self.reset()

    def reset(self) -> None:
        """Close it, and forget everything: in a forked child too, which has none of its parent's threads."""
        self._lock = self._make_lock()
        self._in_a_row = 0
        self._until: float | None = None  # None: closed
        self._trying: Passage | None = None
        self._reason = ""

    def is_open(self) -> bool:
        """Return True unless everything is sent."""
        return self._until is not None

    def refusal(self, passage: Passage, *, enter: bool) -> SendFailure | None:
        """Return why *passage* is not sent now; to *enter* is to take the place of the request that tries."""
        with self._lock:
            if self._until is None or self._trying is passage:
                return None
            left = self._until - self._clock()
            if left <= 0 and self._trying is None:
                if enter:
                    self._trying = passage
                return None
            wait = left if left > 0 else min(_TRYING, self.seconds)
            when = f"the next one may be sent in {wait:.3g} s" if left > 0 else "one request is trying now"
            error = CircuitOpenError(
                f"not sent: the circuit breaker is open after {self.failures} failures in a row (breaker_failures); "
                f"{when} (breaker_seconds={self.seconds:g}). The last failure: {self._reason}",
                retry_after=wait,
            )
        return SendFailure(FailureKind.BUSY, error, last=True)

    def learn(self, passage: Passage, sign: Sign, reason: str) -> bool | None:
        """Note how an attempt ended; return True if that opened the breaker, False if it closed it."""
        with self._lock:
            tried, was_open = self._trying is passage, self._until is not None
            if tried:
                self._trying = None
            if sign is Sign.NOTHING or (was_open and not tried):
                return None
            if sign is Sign.ANSWERED:
                self._in_a_row, self._until = 0, None
                return False if was_open else None
            self._in_a_row += 1
            if not was_open and self._in_a_row < self.failures:
                return None
            self._in_a_row, self._until = 0, self._clock() + self.seconds
            self._reason = reason[:200]
            return True


class Passage:
    """The way of one request through a breaker: of each attempt `refusal`, `gate`, `ended`."""

    __slots__ = ("_breaker",)

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._breaker.learn(self, Sign.NOTHING, "")  # of an attempt that was broken off

    def is_open(self) -> bool:
        """Return True if no other attempt may follow."""
        return self._breaker.is_open()

    def refusal(self) -> SendFailure | None:
        """Return why the attempt cannot be sent now, before it waits for its turn."""
        return self._breaker.refusal(self, enter=False)

    def gate(self) -> SendFailure | None:
        """Enter, or return why the attempt is not sent."""
        return self._breaker.refusal(self, enter=True)

    def ended(self, sign: Sign, reason: str) -> bool | None:
        """Note how an attempt ended: True if that opened the breaker, False if it closed it, None otherwise."""
        return self._breaker.learn(self, sign, reason)


def sign_of(answer: Reply | SendFailure, kind: FailureKind) -> Sign:
    """Return what a failed attempt shows of the service.

    A refusal, a rejected item and 429 are answers. The client's own limits, a stop, the deadline of a call and an idle
    connection that was closed show nothing.

    Args:
        answer: what came.
        kind: of the failure.
    """
    if isinstance(answer, SendFailure):
        if answer.last or kind in {FailureKind.BUSY, FailureKind.STALE}:
            return Sign.NOTHING
        failed = kind is not FailureKind.OVERSIZED
    elif kind is FailureKind.AMBIGUOUS:
        failed = answer.status >= 300  # noqa: PLR2004 - 408, 499, 502, 504; below, an answer that cannot be read
    else:
        failed = kind in {FailureKind.SERVER, FailureKind.UNAVAILABLE}
    return Sign.FAILED if failed else Sign.ANSWERED
