"""When to try again: one pure decision from what failed, how safe the operation is, and what was spent so far.

Theory. A failure either proves that nothing was done (`NOT_SENT`, `BUSY`, `REFUSED`), or leaves it open (`AMBIGUOUS`).
Reads may always be repeated. Idempotent writes (absolute quantities and prices, uploads by SKU, confirms, deletes) end
in the same state however often they are sent. Unsafe writes (a new order) may only be repeated where nothing was done;
an ambiguous failure of one is an unknown outcome and is never repeated.

The table is the whole policy; a test holds every cell against it. There is no other retry anywhere: adapters, pools and
zeep retry nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from octopus_soap.errors import ApiStatusError, AuthenticationError, FaultError, HttpStatusError, OctopusError
from octopus_soap.models.declarations import Safety


class FailureKind(StrEnum):
    """What a failure says about the request."""

    NOT_SENT = "not_sent"
    """DNS, refused, TLS: nothing left."""
    BUSY = "busy"
    """This client's limits gave it no turn in time, a stop came first, or its circuit breaker is open: nothing left."""
    STALE = "stale"
    """A reused connection was closed and not one byte came back."""
    AMBIGUOUS = "ambiguous"
    """Read timeout, reset, incomplete or unreadable answer, 502, 504: it may have been done."""
    THROTTLED = "throttled"
    """429: refused before processing."""
    UNAVAILABLE = "unavailable"
    """503."""
    TOO_LARGE = "too_large"
    """413, or 400 with no answer in it: refused for its size."""
    SERVER = "server"
    """A SOAP fault of the server, or 500."""
    OVERSIZED = "oversized"
    """The answer is larger than `max_reply_bytes` and was not read: it may have been done."""
    UNPROVEN = "unproven"
    """A redirect, or another status that a repeat would meet again and that does not prove that nothing was done."""
    SUSPECTED = "suspected"
    """A fault of the server whose words are about credentials, perhaps those of another system."""
    REFUSED = "refused"
    """A SOAP fault of the client, a status that proves that nothing was done, an envelope with Failure."""


class Verdict(StrEnum):
    """What to do about a failure."""

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
    """What *error*, read from a reply, says about the request."""
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
"""Statuses that RFC 9110 and its registry define as "not carried out". 406 is none: the answer may have been made
before the server found that it does not suit. 408 and 499 are a proxy's words for a server that was slow."""

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
    if status == 400 and empty:  # noqa: PLR2004 - what an older WCF says to a request over its size, newer ones say 413
        return FailureKind.TOO_LARGE
    if status < 300:  # noqa: PLR2004 - a 1xx or 2xx that is no answer
        return FailureKind.AMBIGUOUS
    server = status >= 500  # noqa: PLR2004 - server errors
    return _STATUSES.get(status, FailureKind.SERVER if server else FailureKind.UNPROVEN)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, how long and how patiently.

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
        """Seconds to pause after *attempt* attempts; *chance* is a random number from 0 to 1."""
        return chance * min(self.cap, self.base * 2.0 ** (attempt - 1))


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows a failure: another attempt after `pause` seconds, or the end with `verdict`."""

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
    """Decide what to do after *attempt* attempts took *spent* seconds.

    Args:
        policy: the limits.
        safety: of the operation.
        kind: of the last failure.
        attempt: attempts made so far.
        spent: seconds since the request began, pauses included.
        chance: a random number from 0 to 1, for the jitter.
        retry_after: seconds the service asked for, where it did.
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
