"""Who may send next, and when: requests wait in one line, first come, first served.

Theory. A request needs two things before it may leave: one of the client's connections, and, where
`max_requests_per_second` is set, the next moment that this pace allows. Both are given to the head of one line and to
nobody else, so no request overtakes another. A moment is used up only when a request starts: one that leaves the line
(cancelled, out of time) costs those behind it nothing.

The pace has no burst: starts are at least `1 / per_second` seconds apart, and an unused moment is gone. So any
window of T seconds holds at most `T * per_second + 1` starts, however long the client was idle before.

`FairQueue` and `RateLimiter` neither wait nor read a clock. `ThreadLimiter` and `TaskLimiter` ask them, wait as long as
the answer says, and ask again.

A request that cannot have its turn within its total limit fails before it is sent: at once where the pace alone makes
that certain, so that no call waits for nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from octopus_soap.engine.effects import FailureKind, SendFailure
from octopus_soap.errors import ConnectFailedError, TimedOutError
from octopus_soap.wire.readers import yield_hook

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Generator

    from octopus_soap.engine.effects import Compute
    from octopus_soap.settings import OctopusSettings

    Pause: TypeAlias = Callable[[threading.Event, float], object]
    AsyncPause: TypeAlias = Callable[[asyncio.Event, float], Awaitable[object]]


def timed(effect: Compute) -> Any:
    """Run the work of *effect*, and note how long it took.

    Raises:
        TimedOutError: it took too long, and was broken off at a yield point.
    """
    started, give_way = time.monotonic(), yield_hook.get()
    until = started + effect.limit

    def go_on() -> None:
        if time.monotonic() > until:
            raise TimedOutError(
                f"the answer came, and decoding it ({effect.size} bytes) took longer than the {effect.limit:.3g} s "
                "left of the total limit (total_timeout)"
            )
        give_way()

    token = yield_hook.set(go_on)
    try:
        return effect.work()
    finally:
        yield_hook.reset(token)
        effect.elapsed = time.monotonic() - started


class RateLimiter:
    """Moments at which requests may start.

    Args:
        per_second: how many a second, such as 0.5; None for no limit.
    """

    __slots__ = ("_next", "interval")

    def __init__(self, per_second: float | None) -> None:
        self.interval = 0.0 if per_second is None else 1.0 / per_second
        self._next = float("-inf")

    def wait(self, now: float, ahead: int = 0) -> float:
        """Seconds from *now* until a request with *ahead* others before it may start."""
        return max(0.0, self._next - now) + ahead * self.interval

    def reserve(self, now: float) -> float:
        """Take the next moment if it has come: 0.0, or the seconds to wait before asking again."""
        if (seconds := self.wait(now)) > 0.0:
            return seconds
        self._next = now + self.interval
        return 0.0


class Waiter:
    """A place in the line.

    Args:
        wake: called when its holder should ask again.
    """

    __slots__ = ("wake",)

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake


class FairQueue:
    """The requests of one client that wait for their turn.

    Args:
        most: how many may be under way at once.
        pace: when they may start; lines may share one.
    """

    def __init__(self, most: int, pace: RateLimiter) -> None:
        self.most = most
        self.pace = pace
        self.under_way = 0
        self._waiting: deque[Waiter] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def start_at_once(self, now: float) -> bool:
        """Return True if no request waits and the limits allow a start, which is then taken; `done` must follow."""
        if self._waiting or self.under_way >= self.most or self.pace.reserve(now):
            return False
        self.under_way += 1
        return True

    def join(self, wake: Callable[[], object]) -> Waiter:
        """Queue at the end."""
        ticket = Waiter(wake)
        self._waiting.append(ticket)
        return ticket

    def ask(self, ticket: Waiter, now: float) -> float | None:
        """Ask whether it is *ticket*'s turn.

        Returns:
            0.0: it is, the ticket has left the line, and `done` must follow. Seconds: ask again after them. None: ask
            again when woken.
        """
        if self._waiting[0] is not ticket or self.under_way >= self.most:
            return None
        if seconds := self.pace.reserve(now):
            return seconds
        self._waiting.popleft()
        self.under_way += 1
        self._wake_head()
        return 0.0

    def leave(self, ticket: Waiter) -> None:
        """Give the place up; those behind move up."""
        was_head = self._waiting[0] is ticket
        self._waiting.remove(ticket)
        if was_head:
            self._wake_head()

    def done(self) -> None:
        """A request that had its turn is over."""
        self.under_way -= 1
        self._wake_head()

    def wake_all(self) -> None:
        """Let all who wait ask again, perhaps to leave."""
        for ticket in self._waiting:
            ticket.wake()

    def _wake_head(self) -> None:
        if self._waiting:
            self._waiting[0].wake()


POLL_SECONDS = 0.5
"""Seconds after which one who waits looks whether Ctrl-C or a stop came, or his call was abandoned."""


def yield_gil() -> None:
    """Let another thread have the interpreter now: from a busy one, Python takes it only after 5 ms."""
    time.sleep(0)


def stopped(waited: float = 0.0) -> SendFailure:
    """What a request meets that was stopped before it left."""
    error = ConnectFailedError("stopped before this request had its turn; it was not sent")
    return SendFailure(FailureKind.BUSY, error, waited)


class _Wait(NamedTuple):
    """Wait to be woken, at most *seconds*; *paced* where only time brings the moment."""

    seconds: float
    paced: bool


class _Limiter:
    """What threads and tasks have in common: the line, and the steps of one who waits in it."""

    def __init__(
        self, settings: OctopusSettings, pace: RateLimiter, lock: threading.Lock, clock: Callable[[], float]
    ) -> None:
        self.line = FairQueue(settings.max_connections, pace)
        self._per_second = settings.max_requests_per_second
        self._lock = lock
        self._clock = clock

    def release(self) -> None:
        """Give the turn back: the exchange is over."""
        with self._lock:
            self.line.done()

    def wake_all(self) -> None:
        """Let all who wait look whether they still want their turn."""
        with self._lock:
            self.line.wake_all()

    def _steps(
        self, woken: threading.Event | asyncio.Event, limit: float, unwanted: Callable[[], bool]
    ) -> Generator[_Wait, None, float | SendFailure]:
        """Wait in the line; the end gives the seconds waited, or why there is no turn."""
        started = self._clock()
        with self._lock:
            ahead = len(self.line)
            if (soonest := self.line.pace.wait(started, ahead)) and soonest >= limit:
                return self._too_slow(limit, 0.0)
            ticket = self.line.join(woken.set)
        granted = queued = False
        try:
            while True:
                woken.clear()
                waited = self._clock() - started
                if queued and unwanted():
                    return stopped(waited)
                with self._lock:
                    pause = self.line.ask(ticket, started + waited)
                if pause == 0.0:
                    granted = True
                    return waited
                if waited + (pause or 0.0) >= limit:
                    return self._late(limit, waited)
                queued = True
                yield _Wait(limit - waited, paced=False) if pause is None else _Wait(pause, paced=True)
        finally:
            if not granted:
                with self._lock:
                    self.line.leave(ticket)

    def _late(self, limit: float, waited: float) -> SendFailure:
        if self.line.under_way < self.line.most:
            return self._too_slow(limit, waited)
        full = ConnectFailedError(f"no connection became free within {limit:g} s; see max_connections")
        return SendFailure(FailureKind.BUSY, full, waited)

    def _too_slow(self, limit: float, waited: float) -> SendFailure:
        error = TimedOutError(
            f"max_requests_per_second ({self._per_second or 0:g}) leaves this request no turn within its total limit "
            f"of {limit:.3g} s, since others came first; it was not sent"
        )
        return SendFailure(FailureKind.BUSY, error, waited)


class ThreadLimiter(_Limiter):
    """Turns among threads.

    Args:
        settings: `max_connections`, `max_requests_per_second`.
        clock: monotonic seconds.
        pause: waits for an event, at most a number of seconds, while the pace allows no start.
    """

    def __init__(
        self,
        settings: OctopusSettings,
        clock: Callable[[], float] = time.monotonic,
        pause: Pause = threading.Event.wait,
    ) -> None:
        super().__init__(settings, RateLimiter(settings.max_requests_per_second), threading.Lock(), clock)
        self._pause = pause

    def take(
        self, limit: float, stop: threading.Event | None = None, abandoned: threading.Event | None = None
    ) -> float | SendFailure:
        """Wait for a turn; once it is given, `release` must follow.

        Args:
            limit: most seconds to wait.
            stop: once set, no turn is wanted.
            abandoned: the same; the code that sets it calls `wake_all`.

        Returns:
            The seconds waited, or why there is no turn.
        """
        with self._lock:
            if self.line.start_at_once(self._clock()):
                return 0.0
        events = [event for event in (stop, abandoned) if event is not None]
        woken = threading.Event()
        with closing(self._steps(woken, limit, lambda: any(event.is_set() for event in events))) as steps:
            while True:
                try:
                    wait = next(steps)
                except StopIteration as end:
                    turn: float | SendFailure = end.value
                    return turn
                if not wait.paced:
                    woken.wait(wait.seconds)
                elif stop is None:
                    self._pause(woken, wait.seconds)
                else:  # a stop wakes no waiter; abandoning does
                    self._pause(stop, wait.seconds if abandoned is None else min(wait.seconds, POLL_SECONDS))


async def _woken(event: asyncio.Event, seconds: float) -> None:
    import asyncio  # noqa: PLC0415 - threads do not need it, and it is slow to load

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class TaskLimiter(_Limiter):
    """Turns among the tasks of one event loop.

    Args:
        settings: `max_connections`, `max_requests_per_second`.
        pace: shared with the client's other event loops, as *lock* is.
        lock: held for moments only.
        clock: monotonic seconds.
        pause: waits for an event, at most a number of seconds, while the pace allows no start.
    """

    def __init__(
        self,
        settings: OctopusSettings,
        pace: RateLimiter,
        lock: threading.Lock,
        clock: Callable[[], float] = time.monotonic,
        pause: AsyncPause = _woken,
    ) -> None:
        super().__init__(settings, pace, lock, clock)
        self._pause = pause

    async def take(self, limit: float, stop: threading.Event | None = None) -> float | SendFailure:
        """Wait for a turn; once it is given, `release` must follow.

        Args:
            limit: most seconds to wait.
            stop: once set, no turn is wanted; looked at when a turn or the limit comes.

        Returns:
            The seconds waited, or why there is no turn.
        """
        with self._lock:
            if self.line.start_at_once(self._clock()):
                return 0.0
        import asyncio  # noqa: PLC0415 - see `_woken`

        woken = asyncio.Event()
        with closing(self._steps(woken, limit, lambda: stop is not None and stop.is_set())) as steps:
            while True:
                try:
                    wait = next(steps)
                except StopIteration as end:
                    turn: float | SendFailure = end.value
                    return turn
                await (self._pause if wait.paced else _woken)(woken, wait.seconds)
