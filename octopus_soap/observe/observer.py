"""`Counters`: what a client did since it was made, as numbers; `Tally` keeps them.

`ClientObserver`: counts what the flows of a client tell, and makes events of it where a hook wants them.
"""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from octopus_soap.errors import ConfigError
from octopus_soap.results import OutcomeStatus
from octopus_soap.settings import server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from octopus_soap.engine.effects import FailureKind
    from octopus_soap.engine.request import RequestTrace
    from octopus_soap.errors import OctopusError, RejectedError
    from octopus_soap.observe.events import Event
    from octopus_soap.results import CallInfo, ItemOutcome


_MOST_MEMBERS = 1_000
_OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Counters:
    """What a client and its views did since it was made. A copy: it does not go on counting.

    A request is one SOAP request with all its attempts; a list call makes one or more per batch. Exchanges of
    `client.zeep` are not counted.

    Attributes:
        requests: requests that ended.
        under_way: requests begun that have not ended.
        attempts: attempts of the requests that ended, the first ones included, and those that could not connect too.
        retries: repeats that were decided on.
        failures: requests that failed, by kind, as in `RequestFinished.failure`.
        batches: batches of list calls that ended.
        items: inputs of those batches by outcome, such as `{"ok": 98, "rejected": 2}`.
        rejections: items the service rejected, in list calls and in calls of one item.
        drift: members of answers the models do not know, as `Type.Member`, with how often each came.
        sent_bytes: request bodies that left or may have left, each attempt counted.
        received_bytes: reply bodies, decompressed.
        breaker_opened: times the circuit breaker opened.
        rate_store_lost: times the store of the shared rate limit could no longer be reached.
    """

    requests: int
    under_way: int
    attempts: int
    retries: int
    failures: dict[str, int]
    batches: int
    items: dict[str, int]
    rejections: int
    drift: dict[str, int]
    sent_bytes: int
    received_bytes: int
    breaker_opened: int = 0
    rate_store_lost: int = 0

    def _repr_html_(self) -> str:
        from octopus_soap import display  # noqa: PLC0415 - only a notebook asks

        return display.html(display.view_of_members("Counters", self))

    def __rich__(self) -> Any:
        from octopus_soap import display  # noqa: PLC0415 - only rich asks

        return display.rich(display.view_of_members("Counters", self))


class Tally:
    """Counts, from any thread, for one client and its views.

    Args:
        clock: gives the time now, aware and in UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._begun = self._requests = self._attempts = self._retries = 0
        self._batches = self._rejections = self._sent = self._received = 0
        self._breaker_opened = self._store_lost = 0
        self._failures: Counter[str] = Counter()
        self._items: Counter[str] = Counter()
        self._drift: Counter[str] = Counter()
        self.last_success_at: datetime | None = None
        _tallies.add(self)

    def started(self) -> None:
        """A request begins."""
        with self._lock:
            self._begun += 1

    def retried(self) -> None:
        """A repeat was decided on."""
        with self._lock:
            self._retries += 1

    def opened(self) -> None:
        """The circuit breaker opened."""
        with self._lock:
            self._breaker_opened += 1

    def lost_store(self) -> None:
        """The store of the rate limit cannot be reached."""
        with self._lock:
            self._store_lost += 1

    def finished(
        self, *, attempts: int, sent: int, received: int, failure: str | None, drift: Mapping[str, int]
    ) -> None:
        """A request ended; *failure* is None where it went well."""
        with self._lock:
            self._requests += 1
            self._attempts += attempts
            self._sent += sent
            self._received += received
            if failure is None:
                self.last_success_at = self._clock()
            else:
                self._failures[failure] += 1
            for member, times in drift.items():
                # The names are the service's: one that makes up new ones for ever must not fill the memory.
                known = member in self._drift or len(self._drift) < _MOST_MEMBERS
                self._drift[member if known else _OTHERS] += times

    def rejected(self) -> None:
        """An item of a call of one was rejected."""
        with self._lock:
            self._rejections += 1

    def batch(self, counts: Mapping[str, int]) -> None:
        """A batch ended with these outcomes."""
        with self._lock:
            self._batches += 1
            self._items.update(counts)
            self._rejections += counts.get("rejected", 0)

    def snapshot(self) -> Counters:
        """The numbers as they are now."""
        with self._lock:
            return Counters(
                requests=self._requests,
                under_way=self._begun - self._requests,
                attempts=self._attempts,
                retries=self._retries,
                failures=dict(self._failures),
                batches=self._batches,
                items=dict(self._items),
                rejections=self._rejections,
                drift=dict(self._drift),
                sent_bytes=self._sent,
                received_bytes=self._received,
                breaker_opened=self._breaker_opened,
                rate_store_lost=self._store_lost,
            )

    def after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock, and is not here to release it."""
        self._lock = threading.Lock()


_tallies: WeakSet[Tally] = WeakSet()


def _after_fork() -> None:
    for tally in _tallies:
        tally.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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


class ClientObserver:
    """The `Observer` of one client, or of a view of one.

    Args:
        tally: counts, shared by a client and its views.
        endpoint: URL of the service.
        redact: masks the client's secrets in a text.
        hook: gets the events; None makes none.
        label: the client's label, which every event has.
    """

    __slots__ = ("_endpoint", "_hook", "_label", "_redact", "_server", "tally")

    def __init__(
        self, tally: Tally, endpoint: str, redact: Callable[[str], str], hook: Hook | None = None, label: str = ""
    ) -> None:
        self.tally = tally
        self._endpoint = endpoint
        self._server = server_of(endpoint)
        self._redact = redact
        self._hook = hook
        self._label = label

    def with_hook(self, call: Callable[[Event], object] | None) -> ClientObserver:
        """The same watch with another hook; with its own where *call* is None.

        Raises:
            ConfigError: see `Hook`.
        """
        hook = self._hook if call is None else Hook(call)
        return ClientObserver(self.tally, self._endpoint, self._redact, hook, self._label)

    def started(self, info: CallInfo, /) -> None:
        """A request begins."""
        self.tally.started()
        if self._hook is not None:
            from octopus_soap.observe.events import RequestStarted  # noqa: PLC0415 - only a hook needs events

            self._hook(RequestStarted(info.operation, info.request_id, info.sent_bytes, *self._server, self._label))

    def retrying(self, info: CallInfo, kind: FailureKind, pause: float, /) -> None:
        """A repeat was decided on."""
        self.tally.retried()
        if self._hook is not None:
            from octopus_soap.observe.events import RetryScheduled  # noqa: PLC0415 - only a hook needs events

            facts = (info.operation, info.request_id, info.attempts, kind.value, pause, info.elapsed)
            self._hook(RetryScheduled(*facts, self._label))

    def breaker(self, info: CallInfo, error: OctopusError | None, /) -> None:
        """The circuit breaker opened because of *error*, or closed."""
        if error is not None:
            self.tally.opened()
        if self._hook is not None:
            from octopus_soap.observe.events import BreakerClosed, BreakerOpened  # noqa: PLC0415 - only a hook needs events

            if error is None:
                self._hook(BreakerClosed(info.operation, info.request_id, self._label))
            else:
                self._hook(BreakerOpened(info.operation, info.request_id, type(error).__name__, self._label))

    def rate_store(self, error: Exception | None) -> None:
        """The store of the rate limit cannot be reached because of *error*, or can be again."""
        if error is not None:
            self.tally.lost_store()
            reason = self._redact(f"{type(error).__name__}: {error}")
            logger.warning(
                "rate_limit_store cannot be reached, so this process keeps max_requests_per_second by itself: %s",
                reason,
            )
        if self._hook is not None:
            from octopus_soap.observe.events import RateStoreBack, RateStoreLost  # noqa: PLC0415 - only a hook needs events

            self._hook(
                RateStoreBack(client_label=self._label)
                if error is None
                else RateStoreLost(type(error).__name__, client_label=self._label)
            )

    def finished(self, trace: RequestTrace, /) -> None:
        """A request ended."""
        info = trace.info
        failure = ABANDONED if trace.abandoned else trace.kind.value if trace.kind is not None else None
        self.tally.finished(
            attempts=info.attempts, sent=trace.sent, received=trace.received, failure=failure, drift=info.drift
        )
        if self._hook is None:
            return
        from octopus_soap.observe.events import DriftSeen, RequestFinished  # noqa: PLC0415 - only a hook needs events

        error = None if trace.error is None or trace.abandoned else type(trace.error).__name__
        self._hook(RequestFinished(info.operation, info.request_id, info, failure, error, self._label))
        if info.drift:
            members = {self._redact(name): times for name, times in info.drift.items()}
            self._hook(DriftSeen(info.operation, info.request_id, members, self._label))

    def rejected(self, info: CallInfo, error: RejectedError, /) -> None:
        """A call of one item was answered with a no."""
        self.tally.rejected()
        if self._hook is not None:
            from octopus_soap.observe.events import ItemRejected  # noqa: PLC0415 - only a hook needs events

            self._hook(ItemRejected(info.operation, None, error.key, self._redact(error.message), self._label))

    def batch(
        self, operation: str, index: int, outcomes: Sequence[ItemOutcome[Any]], calls: Sequence[CallInfo], /
    ) -> None:
        """A batch ended."""
        counts = _counted(outcomes)
        self.tally.batch(counts)
        if self._hook is None:
            return
        from octopus_soap.observe.events import BatchDone, ItemRejected  # noqa: PLC0415 - only a hook needs events

        if "rejected" in counts:
            for outcome in outcomes:
                if outcome.status is OutcomeStatus.REJECTED:
                    message = self._redact(outcome.message)
                    self._hook(ItemRejected(operation, outcome.index, outcome.key, message, self._label))
        elapsed = sum(call.elapsed for call in calls)
        self._hook(BatchDone(operation, index, counts, len(calls), elapsed, self._label))


def _counted(outcomes: Sequence[ItemOutcome[Any]]) -> dict[str, int]:
    statuses = [outcome.status for outcome in outcomes]
    if statuses and statuses.count(OutcomeStatus.OK) == len(statuses):  # the usual case, at the usual case's price
        return {OutcomeStatus.OK.value: len(statuses)}
    return {status.value: times for status in OutcomeStatus if (times := statuses.count(status))}
