"""`Counters`: what a client did since it was made, as numbers.

`Tally` counts: it is the observer of a client without a hook.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from octopus_soap import display
from octopus_soap.results import OutcomeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from octopus_soap.engine.effects import FailureKind
    from octopus_soap.engine.request import RequestTrace
    from octopus_soap.errors import OctopusError, RejectedError
    from octopus_soap.results import CallInfo, ItemOutcome


_MOST_MEMBERS = 1_000
_OTHERS = "(others)"
_STATUS = attrgetter("status")


@dataclass(frozen=True, slots=True)
class Counters(display.Shown):
    """What a client and its views did since the client was made, as numbers.

    It is a copy and does not go on counting. A request is one SOAP request with all its attempts; a list call makes
    one or more per batch. Calls of `client.zeep` are not counted.

    Attributes:
        requests: requests that ended.
        under_way: requests begun that have not ended.
        attempts: attempts of the requests that ended, the first ones included, and those that could not connect too.
        retries: repeats that were scheduled.
        failures: requests that failed, by kind, as in `RequestFinished.failure`.
        batches: batches of list calls that ended.
        items: inputs of those batches by outcome, such as `{"ok": 98, "rejected": 2}`.
        rejections: items the service rejected, in list calls and in calls of one item.
        drift: members of answers that the models do not have, as `Type.Member`, with how often each came.
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

    def _view(self) -> display.View:
        return display.view_of_members("Counters", self)


class Tally:
    """The `Observer` that counts, from any thread, for one client and its views.

    *clock* gives the time now, aware and in UTC; *redact* masks the client's secrets in a text.
    """

    def __init__(self, clock: Callable[[], datetime], redact: Callable[[str], str] = str) -> None:
        self._clock, self._redact = clock, redact
        self._lock = threading.Lock()
        self._begun = self._requests = self._attempts = self._retries = 0
        self._batches = self._rejections = self._sent = self._received = 0
        self._breaker_opened = self._store_lost = 0
        self._failures: Counter[str] = Counter()
        self._items: Counter[str] = Counter()
        self._drift: Counter[str] = Counter()
        self.last_success_at: datetime | None = None
        _tallies.add(self)

    def started(self, _info: CallInfo, /) -> None:
        """Count a request that begins."""
        with self._lock:
            self._begun += 1

    def retrying(self, _info: CallInfo, _kind: FailureKind, _pause: float, /) -> None:
        """Count a request that will be repeated."""
        with self._lock:
            self._retries += 1

    def breaker(self, _info: CallInfo, error: OctopusError | None, /) -> None:
        """Count an opening of the circuit breaker."""
        with self._lock:
            self._breaker_opened += error is not None

    def rate_store(self, error: Exception | None) -> None:
        """Count and log a loss of the rate limit store; None if it is back."""
        if error is not None:
            with self._lock:
                self._store_lost += 1
            _logger.warning(
                "rate_limit_store cannot be reached, so this process keeps max_requests_per_second by itself: %s",
                self._redact(f"{type(error).__name__}: {error}"),
            )

    def finished(self, trace: RequestTrace, /) -> None:
        """Count a request that ended."""
        with self._lock:
            self._requests += 1
            self._attempts += trace.info.attempts
            self._sent += trace.sent
            self._received += trace.received
            if trace.kind is None and not trace.abandoned:
                self.last_success_at = self._clock()
            elif trace.failure is not None:
                self._failures[trace.failure] += 1
            for member, times in trace.info.drift.items():
                # The service chooses the names: endless new ones must not fill the memory.
                known = member in self._drift or len(self._drift) < _MOST_MEMBERS
                self._drift[member if known else _OTHERS] += times

    def rejected(self, _info: CallInfo, _error: RejectedError, /) -> None:
        """Count a rejection of the item of a single call."""
        with self._lock:
            self._rejections += 1

    def batch(
        self, _operation: str, _index: int, outcomes: Sequence[ItemOutcome[Any]], _calls: Sequence[CallInfo], /
    ) -> None:
        """Count a batch that ended, and its inputs by outcome."""
        counts = counted(outcomes)
        with self._lock:
            self._batches += 1
            self._items.update(counts)
            self._rejections += counts.get("rejected", 0)

    def snapshot(self) -> Counters:
        """Return the numbers as they are now."""
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
        """Replace the lock, which a thread that exists only in the parent may hold."""
        self._lock = threading.Lock()


def counted(outcomes: Sequence[ItemOutcome[Any]]) -> dict[str, int]:
    """Return how many inputs have each outcome."""
    statuses = list(map(_STATUS, outcomes))
    if statuses and statuses.count(OutcomeStatus.OK) == len(statuses):  # the usual case, counted faster
        return {OutcomeStatus.OK.value: len(statuses)}
    return {status.value: times for status in OutcomeStatus if (times := statuses.count(status))}


_tallies: WeakSet[Tally] = WeakSet()


def _after_fork() -> None:
    for tally in _tallies:
        tally.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


_logger = logging.getLogger("octopus_soap")
_logger.addHandler(logging.NullHandler())  # a library decides nothing about where its log goes
