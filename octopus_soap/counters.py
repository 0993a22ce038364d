"""`Counters`: what a client did since it was made, as numbers; `Tally` keeps them."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

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
        rejections: items the service said no to, in list calls and in calls of one item.
        drift: members of answers the models do not know, as `Type.Member`, with how often each came.
        sent_bytes: request bodies that left or may have left, each attempt counted.
        received_bytes: reply bodies, decompressed.
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
