"""What is told of a request while it runs: that it began, each repeat, and how it ended, whatever ended it.

A `Course` is entered before the first attempt and left after the last one. It is left also where the flow is closed
under way (a cancelled task, Ctrl-C, an abandoned stream): then the request is abandoned, and that is told too. What is
told goes to the `Watch` in the call's rules, which counts, and may make events of it; the engine knows neither.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from octopus_soap.engine.retry import classify
from octopus_soap.errors import OctopusError, RejectedError
from octopus_soap.results import CallInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octopus_soap.engine.flow import Request, Rules
    from octopus_soap.engine.retry import FailureKind
    from octopus_soap.results import ItemOutcome


class Watch(Protocol):
    """Who is told. None of these may raise an `Exception`, and none may wait."""

    def started(self, info: CallInfo, /) -> None:
        """A request begins; *info* has its operation, id and size."""

    def retrying(self, info: CallInfo, kind: FailureKind, pause: float, /) -> None:
        """An attempt failed with *kind*; another follows after *pause* seconds."""

    def finished(self, course: Course, /) -> None:
        """A request ended."""

    def rejected(self, info: CallInfo, error: RejectedError, /) -> None:
        """A single call was answered with a no to its item."""

    def batch(
        self, operation: str, index: int, outcomes: Sequence[ItemOutcome[Any]], calls: Sequence[CallInfo], /
    ) -> None:
        """Batch *index* of a list call ended."""


class _Unwatched:
    """Nobody is told."""

    def started(self, info: CallInfo, /) -> None:
        del info

    def retrying(self, info: CallInfo, kind: FailureKind, pause: float, /) -> None:
        del info, kind, pause

    def finished(self, course: Course, /) -> None:
        del course

    def rejected(self, info: CallInfo, error: RejectedError, /) -> None:
        del info, error

    def batch(
        self, operation: str, index: int, outcomes: Sequence[ItemOutcome[Any]], calls: Sequence[CallInfo], /
    ) -> None:
        del operation, index, outcomes, calls


UNWATCHED: Watch = _Unwatched()
"""Where nobody listens: a dry run, a flow stepped by hand."""


class Course:
    """One request on its way, from before its first attempt until its answer is understood.

    Args:
        request: what is sent.
        rules: of the call.

    Attributes:
        info: facts so far.
        begun: attempts begun; one more than `info.attempts` where one was under way when the request was abandoned.
        sent: bytes of the request bodies that left or may have left, all attempts together.
        received: bytes of the reply bodies, all attempts together.
        error: what the request failed with; None where it was answered, or abandoned.
        kind: the failure's kind.
        abandoned: it was broken off from outside before it was answered.
    """

    __slots__ = ("abandoned", "begun", "error", "info", "kind", "received", "request", "rules", "sent")

    def __init__(self, request: Request, rules: Rules) -> None:
        self.request, self.rules = request, rules
        self.info = CallInfo(request.operation, request_id=rules.new_id(), sent_bytes=len(request.body))
        self.begun = self.sent = self.received = 0
        self.error: OctopusError | None = None
        self.kind: FailureKind | None = None
        self.abandoned = False

    def fail(self, error: OctopusError, kind: FailureKind | None = None) -> None:
        """Note what the request failed with."""
        self.error, self.kind = error, kind or classify(error)

    def __enter__(self) -> Self:
        self.rules.watch.started(self.info)
        return self

    def __exit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        if isinstance(raised, OctopusError):
            if self.error is None and not isinstance(raised, RejectedError):
                self.fail(raised)  # answered, but the answer is a no, or no answer to what was asked
        elif raised is not None:
            self.abandoned = True
            self.info = replace(self.info, attempts=self.begun)
        self.rules.watch.finished(self)
        if isinstance(raised, RejectedError):
            self.rules.watch.rejected(self.info, raised)
