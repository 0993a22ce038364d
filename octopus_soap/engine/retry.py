"""The retry matrix and the circuit breaker: when to try, and when to try again.

The matrix decides from the failure, the safety of the operation, and the attempts and seconds spent so far. The circuit
breaker sends nothing for a while after several failures in a row.

A failure either proves that nothing was done (`NOT_SENT`, `BUSY`, `REFUSED`), or leaves it open (`AMBIGUOUS`). Reads
may always be repeated. Idempotent writes (absolute quantities and prices, uploads by SKU, confirms, deletes) end in the
same state however often they are sent. Unsafe writes (a new order) may only be repeated if nothing was done. An
ambiguous failure of an unsafe write is an unknown outcome, and is never repeated.

The matrix is the whole policy, and a test checks every cell. There is no other retry anywhere: adapters, pools and zeep
retry nothing.

The breaker of a client and its views is in one of three states:

* Closed: everything is sent. `failures` failures in a row open the breaker; any other answer starts the count again.
* Open: nothing is sent for `seconds`. A request fails as `BUSY` with `CircuitOpenError`.
* Half-open, after that: one request is sent. Its answer closes the breaker, its failure opens it again.

Invariants of the breaker:

* Each attempt counts, repeats included. A failure that shows nothing of the service (`sign_of`) does not count.
* The driver asks the gate of an attempt immediately before it sends, after any wait for its turn: so a request that
  waited while the breaker opened is not sent either, and only one is sent to try.
* While the breaker is not closed, only the attempt that was let through to try changes it.

On failure: an attempt that was broken off gives its place up, and the next one may try.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, NamedTuple, Self

from octopus_soap.engine.effects import FailureKind, SendFailure
from octopus_soap.errors import (
    ApiStatusError,
    AuthenticationError,
    CircuitOpenError,
    FaultError,
    HttpStatusError,
    OctopusError,
)
from octopus_soap.models.declarations import Safety

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from octopus_soap.wire.decode import Reply


class Verdict(StrEnum):
    """The reaction to a failure."""

    RETRY = "retry"
    RETRY_ONCE = "retry_once"
    SPLIT = "split"
    UNKNOWN = "unknown"
    RAISE = "raise"


MATRIX: dict[FailureKind, dict[Safety, Verdict]] = {
    kind: dict(zip(Safety, row, strict=True))
    for kind, row in {
        #                          READ                IDEMPOTENT          UNSAFE
        FailureKind.NOT_SENT:    (Verdict.RETRY,      Verdict.RETRY,      Verdict.RETRY),
        FailureKind.BUSY:        (Verdict.RAISE,      Verdict.RAISE,      Verdict.RAISE),
        FailureKind.STALE:       (Verdict.RETRY,      Verdict.RETRY,      Verdict.UNKNOWN),
        FailureKind.AMBIGUOUS:   (Verdict.RETRY,      Verdict.RETRY,      Verdict.UNKNOWN),
        FailureKind.THROTTLED:   (Verdict.RETRY,      Verdict.RETRY,      Verdict.RETRY),
        FailureKind.UNAVAILABLE: (Verdict.RETRY,      Verdict.RETRY,      Verdict.UNKNOWN),
        FailureKind.TOO_LARGE:   (Verdict.SPLIT,      Verdict.SPLIT,      Verdict.SPLIT),
        FailureKind.SERVER:      (Verdict.RETRY_ONCE, Verdict.RETRY_ONCE, Verdict.UNKNOWN),
        FailureKind.OVERSIZED:   (Verdict.RAISE,      Verdict.RAISE,      Verdict.UNKNOWN),
        FailureKind.UNPROVEN:    (Verdict.RAISE,      Verdict.RAISE,      Verdict.UNKNOWN),
        FailureKind.SUSPECTED:   (Verdict.RAISE,      Verdict.RAISE,      Verdict.UNKNOWN),
        FailureKind.REFUSED:     (Verdict.RAISE,      Verdict.RAISE,      Verdict.RAISE),
    }.items()
}  # fmt: skip

_CLIENT_FAULTS = frozenset(
    {"Client", "Sender", "DeserializationFailed", "ActionNotSupported", "MustUnderstand", "VersionMismatch"}
)


def classify(error: OctopusError) -> FailureKind:
    """Return the failure kind of an *error* that was read from a reply."""
    if isinstance(error, HttpStatusError):
        return _classify_status(error.status, empty=not error.body_excerpt)
    if isinstance(error, FaultError):
        return FailureKind.REFUSED if error.fault_code.partition(".")[0] in _CLIENT_FAULTS else FailureKind.SERVER
    if isinstance(error, AuthenticationError):
        return FailureKind.REFUSED if error.nothing_done else FailureKind.SUSPECTED
    return FailureKind.REFUSED if isinstance(error, ApiStatusError) else FailureKind.AMBIGUOUS


_PROVES_NOTHING_DONE = (
    400, 401, 402, 403, 404, 405, 407, 409, 410, 411, 412, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 431,
    451, 501, 505, 511,
)  # fmt: skip
"""Statuses that RFC 9110 and its registry define as "not carried out". 406 is not among them: the server may have
carried the request out before it found that no answer suits. 408 and 499 come from proxies of a slow server."""

_STATUSES = {
    **dict.fromkeys(_PROVES_NOTHING_DONE, FailureKind.REFUSED),
    408: FailureKind.AMBIGUOUS,
    413: FailureKind.TOO_LARGE,
    429: FailureKind.THROTTLED,
    499: FailureKind.AMBIGUOUS,
    502: FailureKind.AMBIGUOUS,
    503: FailureKind.UNAVAILABLE,
    504: FailureKind.AMBIGUOUS,
}


def _classify_status(status: int, *, empty: bool) -> FailureKind:
    if status == 400 and empty:  # noqa: PLR2004 - an older WCF's answer to a request that is too large; newer ones send 413
        return FailureKind.TOO_LARGE
    if status < 300:  # noqa: PLR2004 - a 1xx or 2xx that is no answer
        return FailureKind.AMBIGUOUS
    server = status >= 500  # noqa: PLR2004 - server errors
    return _STATUSES.get(status, FailureKind.SERVER if server else FailureKind.UNPROVEN)


class RetryPolicy(NamedTuple):
    """The limits of retries.

    Attributes:
        max_attempts: exchanges per request, the first included.
        total: seconds for one request with all its attempts and pauses.
        base, cap: seconds; the pause before attempt n+1 is drawn from 0 to min(cap, base * 2**(n-1)): full jitter.
        retry_after_cap: longest `Retry-After` that is waited for, in seconds.
    """

    max_attempts: int = 3
    total: float = 120.0
    base: float = 0.5
    cap: float = 20.0
    retry_after_cap: float = 30.0

    def pause(self, attempt: int, chance: float) -> float:
        """Return the seconds to pause after *attempt*, for a *chance* from 0 to 1."""
        return chance * min(self.cap, self.base * 2.0 ** (attempt - 1))


class Decision(NamedTuple):
    """The reaction to a failure: its verdict, and the seconds before a retry."""

    verdict: Verdict
    pause: float = 0.0


def decide(
    policy: RetryPolicy,
    safety: Safety,
    kind: FailureKind,
    *,
    attempt: int,
    spent: float,
    chance: float,
    retry_after: float | None = None,
) -> Decision:
    """Decide what to do after *attempt* attempts, which took *spent* seconds.

    *spent* includes pauses. *chance* is a random number from 0 to 1, for the jitter. *retry_after* is the pause in
    seconds that the service asked for, if it did.
    """
    verdict = MATRIX[kind][safety]
    if verdict not in {Verdict.RETRY, Verdict.RETRY_ONCE}:
        return Decision(verdict)
    limit = min(policy.max_attempts, 2) if verdict is Verdict.RETRY_ONCE else policy.max_attempts
    if retry_after is not None and retry_after > policy.retry_after_cap:
        return Decision(Verdict.RAISE)
    pause = policy.pause(attempt, chance) if retry_after is None else retry_after
    if kind is FailureKind.STALE:
        pause = 0.0  # the next connection is a fresh one
    if attempt >= limit or spent + pause >= policy.total:
        return Decision(Verdict.RAISE)
    return Decision(Verdict.RETRY, pause)


# -- the circuit breaker -----------------------------------------------------------------------------------------------

_TRYING = 1.0
"""Longest `retry_after` while another request tries, in seconds."""


class Sign(Enum):
    """The state of the service, as an attempt shows it."""

    ANSWERED = auto()
    FAILED = auto()
    NOTHING = auto()


class Breaker:
    """The circuit breaker that all calls of a client share, in any thread.

    Args:
        failures: how many in a row open it.
        seconds: how long it stays open, by a monotonic *clock*.
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
        """Close it and make a new lock: a forked child needs both."""
        self._lock = self._make_lock()
        self._in_a_row = 0
        self._until: float | None = None  # None: closed
        self._trying: Passage | None = None
        self._reason = ""

    def is_open(self) -> bool:
        """True if it is open or half-open."""
        return self._until is not None

    def refusal(self, passage: Passage, *, enter: bool) -> SendFailure | None:
        """Return why *passage* is not sent now; None if it may be sent.

        With *enter*, it becomes the request that tries if the breaker is half-open.
        """
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
        """Note how an attempt ended; True if it opened the breaker, False if it closed it."""
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
    """One request at a breaker; each attempt calls `refusal`, `gate` and `ended`."""

    __slots__ = ("_breaker",)

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._breaker.learn(self, Sign.NOTHING, "")  # if an attempt was broken off, the next one may try

    def is_open(self) -> bool:
        """True if no other attempt may follow."""
        return self._breaker.is_open()

    def refusal(self) -> SendFailure | None:
        """Return why the attempt cannot be sent now, before it waits for its turn."""
        return self._breaker.refusal(self, enter=False)

    def gate(self) -> SendFailure | None:
        """Return why the attempt is not sent, immediately before it would be sent."""
        return self._breaker.refusal(self, enter=True)

    def ended(self, sign: Sign, reason: str) -> bool | None:
        """Note how an attempt ended, as `Breaker.learn` does."""
        return self._breaker.learn(self, sign, reason)


def sign_of(answer: Reply | SendFailure, kind: FailureKind) -> Sign:
    """Return what a failed attempt shows of the service's state.

    A refusal, a rejected item and 429 are answers. The client's own limits, a stop, the deadline of a call and an idle
    connection that was closed show nothing.
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
