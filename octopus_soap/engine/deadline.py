"""Bound a whole call by a deadline: all its batches, attempts, pauses and waits together.

A flow holds no clock, and its own limit bounds one request. `within` stands between a flow and its driver: it lets
nothing begin after the deadline, and gives what begins before it the time that is left.

Invariants:

* What was not begun in time is not sent, and fails as `BUSY`: a list call reports it as `not_sent`.
* What was under way fails as its kind says, so that a write whose answer was cut off is never called not done.
* The error is a `TimedOutError` that names the deadline; or what the last attempt met, if only a repeat has no time.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar

from octopus_soap.engine.effects import Compute, Flow, Receive, Send, SendFailure, Sleep
from octopus_soap.engine.retry import FailureKind
from octopus_soap.errors import ConnectFailedError, OctopusError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

T = TypeVar("T")


class Deadline:
    """The end of one call's time.

    Args:
        seconds: how long the call may take, from now.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._until = clock() + seconds

    def left(self) -> float:
        """Return the seconds left, 0 or less after the deadline."""
        return self._until - self._clock()

    def passed(self) -> bool:
        """Return True after the deadline."""
        return self.left() <= 0

    def error(self, what: str) -> TimedOutError:
        """Return the error of what did not happen in time."""
        return TimedOutError(f"the deadline of {self.seconds:g} s for the whole call passed: {what}")


def each_within(flows: Iterator[Flow[T]], deadline: Deadline) -> Generator[Flow[T]]:
    """Yield *flows*, each within *deadline*, and close what makes them at the end."""
    try:
        for flow in flows:
            yield within(flow, deadline)
    finally:
        if isinstance(flows, GeneratorType):
            flows.close()


def within(flow: Flow[T], deadline: Deadline) -> Flow[T]:
    """Run *flow* within *deadline*."""
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
                match effect:
                    case Send():
                        answer = yield from _send(effect, deadline)
                    case Receive():
                        late = deadline.error("the rest of the answer was not waited for")
                        answer = SendFailure(FailureKind.AMBIGUOUS, late) if deadline.passed() else (yield effect)
                    case Sleep():
                        if deadline.left() > effect.seconds:
                            yield effect
                        else:
                            answer = True  # what the pause is for would begin after the deadline
                    case Compute():
                        effect.limit = min(effect.limit, max(0.0, deadline.left()))
                        answer = yield effect
            except OctopusError as raised:  # of a Compute
                error = raised


def _send(effect: Send, deadline: Deadline) -> Flow[Any]:
    if deadline.passed():
        return SendFailure(FailureKind.BUSY, deadline.error("this request was not sent"), last=True)
    unwanted = effect.unwanted
    answer = yield replace(effect, left=deadline.left, unwanted=lambda: deadline.passed() or unwanted())
    if isinstance(answer, SendFailure) and deadline.passed():
        if answer.kind is FailureKind.BUSY:
            return replace(answer, error=deadline.error("this request was not sent"), last=True)
        if isinstance(answer.error, (TimedOutError, ConnectFailedError)):
            late = deadline.error(answer.error.message)
            late.__cause__ = answer.error
            return replace(answer, error=late, last=True)
        return replace(answer, last=True)
    return answer
