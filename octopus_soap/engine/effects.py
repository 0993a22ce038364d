"""Define the four effects a flow yields, and what its driver answers.

A flow is a generator that runs one call, or one batch of a list call. It does no I/O itself:

* `Send(attempt, limit, unwanted)` asks for one HTTP exchange. The driver answers with a `Reply`, or with a
  `SendFailure` when none came.
* `Receive(more)` asks for the next part of a reply that was sent for in parts. The driver answers with bytes, with none
  at the reply's end, or with a `SendFailure`.
* `Sleep(seconds)` asks for a pause. The answer is True if the whole call has no time for it, and no pause was made.
* `Compute(work, size, limit)` asks for a pure function to be run, perhaps off the event loop. The driver answers with
  its result, or throws its error into the flow; one that takes too long is broken off at its next yield point.

Invariants:

* There is no fifth effect. Only the stream of a reply without a limit receives in parts.
* A flow holds no clock. It adds up the seconds that replies, failures and pauses report, which is how the total limit
  is kept, and why a test can step every retry by hand with a list of replies.
* A flow's first effect is a `Send`, or it sends nothing at all.

On failure: a driver that stops early closes the flow, and the flow reports its request as abandoned.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from octopus_soap.engine.retry import FailureKind
    from octopus_soap.errors import OctopusError


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
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
    body: bytes = field(repr=False)
    request_id: str = ""
    number: int = 1


@dataclass(frozen=True, slots=True)
class Send:
    """Ask for one HTTP exchange, within *limit* seconds.

    When the exchange has to wait for others of the same call, the driver asks *unwanted* at the last moment: the call
    may have been stopped or have failed meanwhile, and then nothing is sent.

    *left*, if it is given, says how many seconds the whole call has left; `time_left` minds both limits.

    *gate*, if it is given, is asked immediately before the exchange, after any wait for its turn. A `SendFailure` it
    returns is the answer, and nothing is sent.

    Unless *whole*, the driver answers a status of 200 with the first part of the body, and with `more` in the reply if
    that is not all of it.
    """

    attempt: Attempt
    limit: float
    unwanted: Callable[[], bool]
    whole: bool = True
    left: Callable[[], float] | None = None
    gate: Callable[[], SendFailure | None] | None = None

    def time_left(self) -> float:
        """Return the seconds the exchange may take, asked when it begins."""
        return self.limit if self.left is None else max(0.0, min(self.limit, self.left()))


@dataclass(frozen=True, slots=True)
class Receive:
    """Ask for the next part of the reply that has *more*."""

    more: Any


@dataclass(frozen=True, slots=True)
class Sleep:
    """Ask for a pause of *seconds*."""

    seconds: float


@dataclass(slots=True)
class Compute:
    """Ask for *work* to be run; it handles *size* bytes, so a driver can tell a small job from a big one.

    The driver sets *elapsed* to the seconds the work took: they count into the total limit. Work that takes more than
    *limit* seconds ends in a `TimedOutError`.
    """

    work: Callable[[], Any]
    size: int
    limit: float = inf
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class SendFailure:
    """Report that no reply came.

    Attributes:
        kind: what that means for the request.
        error: the error to raise if there is no further attempt.
        elapsed: seconds until it failed.
        last: no other attempt may follow: the whole call has no time left.
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
    """Return the attempt *flow* would begin with, and close the flow; nothing is sent.

    Raises:
        StopIteration: the flow sends nothing, for example because the client was stopped. An iterator that maps flows
            to their first attempts ends with it.
    """
    try:
        effect = next(flow)
        if not isinstance(effect, Send):
            raise TypeError(f"a flow must begin with Send, not with {effect!r}")
        return effect.attempt
    finally:
        flow.close()
