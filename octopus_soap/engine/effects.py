"""The four effects of flows, their drivers' answers, and the deadline of a call.

A flow is a generator that runs one call, or one batch of a list call. It does no I/O itself:

* `Send(attempt, limit, unwanted)` asks for one HTTP exchange. The driver answers with a `Reply`, or with a
  `SendFailure` if none came.
* `Receive(more)` asks for the next part of a reply that is received in parts. The driver answers with bytes, with empty
  bytes at the reply's end, or with a `SendFailure`.
* `Sleep(seconds)` asks for a pause. The answer is True if the whole call has no time for it, and no pause was made.
* `Compute(work, size, limit)` asks for a pure function to be run, perhaps off the event loop. The driver answers with
  its result, or throws its error into the flow; one that takes too long is broken off at its next yield point.

Invariants:

* There is no fifth effect. Only the stream of a reply without a limit receives in parts.
* A flow has no clock. It keeps the total limit by adding up the seconds that replies, failures and pauses report. So a
  test can step every retry by hand with a list of replies.
* A flow's first effect is a `Send`, or it sends nothing at all.

On failure: a driver that stops early closes the flow, and the flow reports its request as abandoned.

A deadline bounds a whole call: all its batches, attempts, pauses and waits together. A flow's own limit bounds one
request. `within` runs between a flow and its driver: it lets nothing begin after the deadline, and limits an exchange
that begins before it to the time that is left.

* A request that was not begun in time is not sent, and fails as `BUSY`: a list call reports it as `not_sent`.
* A request that was under way fails by its kind, so that a write whose answer was cut off is never reported as not
  done.
* The error is a `TimedOutError` that names the deadline; or the last attempt's error, if only a repeat has no time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from math import inf
from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from octopus_soap.errors import ConnectFailedError, OctopusError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class Attempt(NamedTuple):
    """One HTTP exchange to make.

    Attributes:
        operation: wire name, for logs.
        action: the SOAPAction, unquoted.
        body: the envelope.
        request_id: our id of the request; its attempts share it.
        number: 1 for the first attempt of a request.
    """

    operation: str
    action: str
    body: bytes
    request_id: str = ""
    number: int = 1

    def __repr__(self) -> str:  # the body holds the account id
        return f"Attempt({self.operation}, {len(self.body)} bytes, request {self.request_id}, number {self.number})"


class Send(NamedTuple):
    """Ask for one HTTP exchange, within *limit* seconds.

    Attributes:
        unwanted: called before the exchange, after any wait for others of the same call. If it returns True, the call
            was stopped or has failed meanwhile, and nothing is sent.
        whole: False to receive the body of a status 200 in parts: the reply has the first one, and `more` if needed.
        left: returns the seconds that the whole call has left; None if it has no deadline.
        gate: called immediately before the exchange, after any wait for its turn. If it returns a `SendFailure`, that
            is the answer, and nothing is sent.
    """

    attempt: Attempt
    limit: float
    unwanted: Callable[[], bool]
    whole: bool = True
    left: Callable[[], float] | None = None
    gate: Callable[[], SendFailure | None] | None = None

    def time_left(self) -> float:
        """Return the seconds the exchange may take if it begins now."""
        return self.limit if self.left is None else max(0.0, min(self.limit, self.left()))


class Receive(NamedTuple):
    """Ask for the next part of the reply that has *more*."""

    more: Any


class Sleep(NamedTuple):
    """Ask for a pause of *seconds*."""

    seconds: float


@dataclass(eq=False, repr=False)
class Compute:
    """Ask for *work* to be run, which handles *size* bytes.

    A driver may run big work elsewhere. It sets *elapsed* to the seconds the work took, which count into the total
    limit. Work that takes more than *limit* seconds ends in a `TimedOutError`.
    """

    work: Callable[[], Any]
    size: int
    limit: float = inf
    elapsed: float = 0.0


class FailureKind(StrEnum):
    """The meaning of a failure for the request."""

    NOT_SENT = "not_sent"
    """DNS, refused, TLS: nothing was sent."""
    BUSY = "busy"
    """Not sent: the client's limits gave it no turn in time, a stop came first, or the circuit breaker is open."""
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


class SendFailure(NamedTuple):
    """A driver's answer if no reply came.

    Attributes:
        kind: what that means for the request.
        error: the error to raise if there is no further attempt.
        elapsed: seconds until it failed.
        last: True if no other attempt may follow, because the whole call has no time left or the breaker is open.
    """

    kind: FailureKind
    error: OctopusError
    elapsed: float = 0.0
    last: bool = False


Effect: TypeAlias = Send | Receive | Sleep | Compute
Flow: TypeAlias = Generator[Effect, Any, T]
Tap: TypeAlias = Callable[[Generator[Effect, Any, Any]], Generator[Effect, Any, Any]]
"""Wraps a flow: sees every effect and its answer, or answers in place of the driver (recording, replay)."""


def first_attempt(flow: Flow[Any]) -> Attempt:
    """Return the first attempt of *flow* without sending it, and close the flow.

    Raises:
        StopIteration: the flow sends nothing, for example because the client was stopped. It also ends an iterator that
            maps flows to their first attempts.
    """
    try:
        effect = next(flow)
        if not isinstance(effect, Send):
            raise TypeError(f"a flow must begin with Send, not with {effect!r}")
        return effect.attempt
    finally:
        flow.close()


def drive(flow: Flow[T], answered: Callable[[Effect], Flow[Any]]) -> Flow[T]:
    """Run *flow*, and answer each of its effects with the flow that *answered* makes.

    That flow may yield the effect to the driver. An `OctopusError` that it raises is thrown into *flow*, which is
    closed whatever happens.
    """
    answer: Any = None
    error: OctopusError | None = None
    with closing(flow):
        while True:
            try:
                effect = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result
            answer, error = None, None
            try:
                answer = yield from answered(effect)
            except OctopusError as raised:  # a Compute failed
                error = raised


# -- the deadline of a call --------------------------------------------------------------------------------------------


class Deadline:
    """The end of one call's time, so many *seconds* from now by a monotonic *clock*."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._until = clock() + seconds

    def left(self) -> float:
        """Return the seconds left, 0 or less after the deadline."""
        return self._until - self._clock()

    def passed(self) -> bool:
        """True after the deadline."""
        return self.left() <= 0

    def error(self, what: str) -> TimedOutError:
        """Return the error for *what* was not done in time."""
        return TimedOutError(f"the deadline of {self.seconds:g} s for the whole call passed: {what}")


def each_within(flows: Iterator[Flow[T]], deadline: Deadline) -> Generator[Flow[T]]:
    """Yield *flows*, each within *deadline*, and close their generator at the end."""
    try:
        for flow in flows:
            yield within(flow, deadline)
    finally:
        if isinstance(flows, GeneratorType):
            flows.close()


def within(flow: Flow[T], deadline: Deadline) -> Flow[T]:
    """Run *flow* within *deadline*."""
    return drive(flow, partial(_in_time, deadline))


def _in_time(deadline: Deadline, effect: Effect) -> Flow[Any]:
    """Answer *effect* if it cannot begin in time, or pass it on with the time left."""
    match effect:
        case Send():
            return (yield from _send(effect, deadline))
        case Receive() if deadline.passed():
            return SendFailure(FailureKind.AMBIGUOUS, deadline.error("the rest of the answer was not waited for"))
        case Sleep() if deadline.left() <= effect.seconds:
            return True  # the next attempt would begin after the deadline
        case Compute():
            effect.limit = min(effect.limit, max(0.0, deadline.left()))
        case _:
            pass
    return (yield effect)


def _send(effect: Send, deadline: Deadline) -> Flow[Any]:
    if deadline.passed():
        return SendFailure(FailureKind.BUSY, deadline.error("this request was not sent"), last=True)
    unwanted = effect.unwanted
    answer = yield effect._replace(left=deadline.left, unwanted=lambda: deadline.passed() or unwanted())
    if isinstance(answer, SendFailure) and deadline.passed():
        if answer.kind is FailureKind.BUSY:
            return answer._replace(error=deadline.error("this request was not sent"), last=True)
        if isinstance(answer.error, (TimedOutError, ConnectFailedError)):
            late = deadline.error(answer.error.message)
            late.__cause__ = answer.error
            return answer._replace(error=late, last=True)
        return answer._replace(last=True)
    return answer
