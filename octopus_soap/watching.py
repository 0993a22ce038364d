"""`ClientWatch`: counts what the flows of a client tell, and makes events of it where a hook wants them."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import ConfigError
from octopus_soap.events import BatchDone, DriftSeen, ItemRejected, RequestFinished, RequestStarted, RetryScheduled
from octopus_soap.results import OutcomeStatus
from octopus_soap.settings import server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octopus_soap.counters import Tally
    from octopus_soap.engine.course import Course
    from octopus_soap.engine.retry import FailureKind
    from octopus_soap.errors import RejectedError
    from octopus_soap.events import Event
    from octopus_soap.results import CallInfo, ItemOutcome

logger = logging.getLogger("octopus_soap")
logger.addHandler(logging.NullHandler())  # a library decides nothing about where its log goes

ABANDONED = "abandoned"


class Hook:
    """Calls a user's hook; what it raises is logged once, and goes no further.

    Args:
        call: the hook.

    Raises:
        ConfigError: it cannot be called, or would have to be awaited.
    """

    def __init__(self, call: Callable[[Event], object]) -> None:
        if not callable(call):
            raise ConfigError(f"on_event must be something to call, not a {type(call).__name__}")
        if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None)):  # noqa: B004 - an object's own method, to see whether it is asynchronous
            raise ConfigError("on_event is called and not awaited: pass a plain function, and create tasks in it")
        self._call = call
        self._reported = False

    def __call__(self, event: Event) -> None:
        """Pass *event* on."""
        try:
            self._call(event)
        except Exception as error:
            if not self._reported:
                self._reported = True
                name = getattr(self._call, "__qualname__", type(self._call).__qualname__)
                logger.error(  # noqa: TRY400 - the traceback may show what the hook was given: at DEBUG only
                    "the on_event hook %s raised %s; calls go on, and it is not reported again",
                    name,
                    type(error).__name__,
                )
                logger.debug("what the on_event hook raised", exc_info=True)


class ClientWatch:
    """The `Watch` of one client, or of a view of one.

    Args:
        tally: counts, shared by a client and its views.
        endpoint: URL of the service.
        redact: masks the client's secrets in a text.
        hook: gets the events; None makes none.
    """

    __slots__ = ("_endpoint", "_hook", "_redact", "_server", "tally")

    def __init__(self, tally: Tally, endpoint: str, redact: Callable[[str], str], hook: Hook | None = None) -> None:
        self.tally = tally
        self._endpoint = endpoint
        self._server = server_of(endpoint)
        self._redact = redact
        self._hook = hook

    def telling(self, call: Callable[[Event], object] | None) -> ClientWatch:
        """The same watch with another hook; with its own where *call* is None.

        Raises:
            ConfigError: see `Hook`.
        """
        hook = self._hook if call is None else Hook(call)
        return ClientWatch(self.tally, self._endpoint, self._redact, hook)

    def started(self, info: CallInfo, /) -> None:
        """A request begins."""
        self.tally.started()
        if self._hook is not None:
            self._hook(RequestStarted(info.operation, info.request_id, info.sent_bytes, *self._server))

    def retrying(self, info: CallInfo, kind: FailureKind, pause: float, /) -> None:
        """A repeat was decided on."""
        self.tally.retried()
        if self._hook is not None:
            self._hook(RetryScheduled(info.operation, info.request_id, info.attempts, kind.value, pause, info.elapsed))

    def finished(self, course: Course, /) -> None:
        """A request ended."""
        info = course.info
        failure = ABANDONED if course.abandoned else course.kind.value if course.kind is not None else None
        self.tally.finished(
            attempts=info.attempts, sent=course.sent, received=course.received, failure=failure, drift=info.drift
        )
        if self._hook is None:
            return
        error = None if course.error is None or course.abandoned else type(course.error).__name__
        self._hook(RequestFinished(info.operation, info.request_id, info, failure, error))
        if info.drift:
            members = {self._redact(name): times for name, times in info.drift.items()}
            self._hook(DriftSeen(info.operation, info.request_id, members))

    def rejected(self, info: CallInfo, error: RejectedError, /) -> None:
        """A call of one item was answered with a no."""
        self.tally.rejected()
        if self._hook is not None:
            self._hook(ItemRejected(info.operation, None, error.key, self._redact(error.message)))

    def batch(
        self, operation: str, index: int, outcomes: Sequence[ItemOutcome[Any]], calls: Sequence[CallInfo], /
    ) -> None:
        """A batch ended."""
        counts = _counted(outcomes)
        self.tally.batch(counts)
        if self._hook is None:
            return
        if "rejected" in counts:
            for outcome in outcomes:
                if outcome.status is OutcomeStatus.REJECTED:
                    self._hook(ItemRejected(operation, outcome.index, outcome.key, self._redact(outcome.message)))
        self._hook(BatchDone(operation, index, counts, len(calls), sum(call.elapsed for call in calls)))


def _counted(outcomes: Sequence[ItemOutcome[Any]]) -> dict[str, int]:
    statuses = [outcome.status for outcome in outcomes]
    if statuses and statuses.count(OutcomeStatus.OK) == len(statuses):  # the usual case, at the usual case's price
        return {OutcomeStatus.OK.value: len(statuses)}
    return {status.value: times for status in OutcomeStatus if (times := statuses.count(status))}
