"""Decide which request may be sent next, and when: first come, first served.

Theory. A request needs two things before it may leave: one of the client's connections, and, if
`max_requests_per_second` is set, the next moment that this pace allows. Only the head of one line gets them, so no
request overtakes another. A moment is used up only when a request starts: a request that leaves the line (cancelled,
out of time) costs those behind it nothing.

The pace has no burst: starts are at least `1 / per_second` seconds apart, and an unused moment is gone. So any
window of T seconds holds at most `T * per_second + 1` starts, however long the client was idle before.

`FairQueue` and `RateLimiter` neither wait nor read a clock. `ThreadLimiter` and `TaskLimiter` ask them, wait for the
seconds they return, and ask again.

With a store, all processes of an account share one pace: `SharedRate` decides when the head of the line has to ask the
store, and what the answer means. Only the head asks, outside the lock.

A request that cannot have its turn within its total limit fails before it is sent. It fails at once if the pace alone
makes that certain.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from octopus_soap._http import retry_after
from octopus_soap.engine.effects import FailureKind, SendFailure
from octopus_soap.errors import ConnectFailedError, OctopusError, RateLimitedError, TimedOutError, needed
from octopus_soap.wire.readers import yield_hook

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping

    from octopus_soap.engine.effects import Compute, Flow
    from octopus_soap.settings import OctopusSettings
    from octopus_soap.transport.rate_store import Grant, TaskStore, ThreadStore

    Pause: TypeAlias = Callable[[threading.Event, float], object]
    AsyncPause: TypeAlias = Callable[[asyncio.Event, float], Awaitable[object]]
    Report: TypeAlias = Callable[[Exception | None], object]

T = TypeVar("T")


def until_refused(flows: Iterator[Flow[T]], refused: list[OctopusError]) -> Iterator[Flow[T]]:
    """Yield *flows* until making one fails, and append that error to *refused*.

    Such an error is a bad input of a stream. The caller raises it once the flows under way have ended.
    """
    try:
        yield from flows
    except OctopusError as error:
        refused.append(error)


def timed(effect: Compute) -> Any:
    """Run the work of *effect*, and set its `elapsed`.

    Raises:
        TimedOutError: it took longer than its limit, and was broken off at a yield point.
    """
    started, give_way = time.monotonic(), yield_hook.get()
    until = started + effect.limit

    def go_on() -> None:
        if time.monotonic() > until:
            raise TimedOutError(
                f"the answer came, and decoding it ({effect.size} bytes) took longer than the {effect.limit:.3g} s "
                "left of the total limit (total_timeout)"
            )
        if give_way is not None:
            give_way()

    token = yield_hook.set(go_on)
    try:
        return effect.work()
    finally:
        yield_hook.reset(token)
        effect.elapsed = time.monotonic() - started


class RateLimiter:
    """The moments at which requests may start.

    Args:
        per_second: how many, such as 0.5; None for no limit.
    """

    __slots__ = ("_next", "interval")

    def __init__(self, per_second: float | None) -> None:
        self.interval = 0.0 if per_second is None else 1.0 / per_second
        self._next = float("-inf")

    def wait(self, now: float, ahead: int = 0) -> float:
        """Return the seconds until a request with *ahead* others before it may start."""
        return max(0.0, self._next - now) + ahead * self.interval

    def reserve(self, now: float) -> float:
        """Take the next moment and return 0.0, or return the seconds until it comes."""
        if self._next > now:
            return self._next - now
        self._next = now + self.interval
        return 0.0


ASK = -1.0
"""`SharedRate.reserve` returns it if the store has to be asked."""
AWAY_SECONDS = 5.0
"""Seconds until an unreachable store is asked again."""
_UNUSED = 1.0
"""Seconds after which an unused moment is void."""
PAUSING = frozenset({429, 503})
"""Statuses whose `Retry-After` applies to the account, and so to its other processes."""


class SharedRate(RateLimiter):
    """The moments that a store gives to all processes of an account.

    While the store is away, the process keeps the rate by itself.

    Attributes:
        moment: the store's stamp of the moment it gave us; 0 for none.
        away: True if the store could not be reached.
    """

    __slots__ = ("_ask_at", "_go_until", "away", "moment")

    def __init__(self, per_second: float | None) -> None:
        super().__init__(per_second)
        self.moment, self.away = 0, False
        self._ask_at = self._go_until = float("-inf")

    def wait(self, now: float, ahead: int = 0) -> float:
        """Return the least seconds until a request with *ahead* others may start."""
        return max(super().wait(now, ahead), self._ask_at - now + ahead * self.interval if not self.away else 0.0)

    def reserve(self, now: float) -> float:
        """Take the next moment and return 0.0, or the seconds until it comes, or `ASK`."""
        if now < self._go_until:
            self.moment, self._go_until = 0, float("-inf")
            self._next = now + self.interval  # so that the rate goes on evenly if the store goes away
            return 0.0
        if now < self._ask_at:
            return super().reserve(now) if self.away else self._ask_at - now
        return ASK

    def learn(self, grant: Grant, now: float) -> None:
        """Note the moment that the store gave; one still to come is confirmed then."""
        self.away, self.moment = False, grant.moment
        if grant.wait <= 0.0:
            self._go_until = now + _UNUSED
        else:
            self._ask_at = now + grant.wait

    def lose(self, now: float) -> None:
        """Note that the store cannot be reached."""
        self.away, self.moment = True, 0
        self._ask_at = now + AWAY_SECONDS


class Waiter:
    """A place in the line; *wake* is called when the request should ask again."""

    __slots__ = ("wake",)

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake


class FairQueue:
    """The requests of one client that wait for their turn.

    Args:
        most: requests that may be under way at once.
        pace: when they may start; queues may share one.
    """

    def __init__(self, most: int, pace: RateLimiter) -> None:
        self.most = most
        self.pace = pace
        self.under_way = 0
        self._waiting: deque[Waiter] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def start_at_once(self, now: float) -> bool:
        """Start a request if none waits and the limits allow it; return True if so.

        `done` must follow a start.
        """
        if self._waiting or self.under_way >= self.most or self.pace.reserve(now):
            return False
        self.under_way += 1
        return True

    def join(self, wake: Callable[[], object]) -> Waiter:
        """Add a waiter at the end, and return it."""
        ticket = Waiter(wake)
        self._waiting.append(ticket)
        return ticket

    def ask(self, ticket: Waiter, now: float) -> float | None:
        """Ask if it is *ticket*'s turn.

        Returns:
            0.0: it is, the ticket has left the line, and `done` must follow. `ASK`: ask the store first. Other seconds:
            ask again after them. None: ask again when woken.
        """
        if self._waiting[0] is not ticket or self.under_way >= self.most:
            return None
        if seconds := self.pace.reserve(now):
            return seconds
        self._waiting.popleft()
        self.under_way += 1
        if self._waiting:
            self._wake_head()
        return 0.0

    def leave(self, ticket: Waiter) -> None:
        """Remove *ticket*; the waiters behind it move up."""
        was_head = self._waiting[0] is ticket
        self._waiting.remove(ticket)
        if was_head and self._waiting:
            self._wake_head()

    def done(self) -> None:
        """Note that a request that had its turn is over."""
        self.under_way -= 1
        if self._waiting:
            self._wake_head()

    def wake_all(self) -> None:
        """Let all waiters ask again, perhaps to leave."""
        for ticket in self._waiting:
            ticket.wake()

    def _wake_head(self) -> None:
        self._waiting[0].wake()


POLL_SECONDS = 0.5
"""How often a waiting thread checks for Ctrl-C, a stop, or an abandoned call, in seconds."""


def yield_gil() -> None:
    """Let another thread run now; Python itself switches only every 5 ms."""
    time.sleep(0)


def stopped(waited: float = 0.0) -> SendFailure:
    """Return the failure of a request that was stopped before it left."""
    error = ConnectFailedError("stopped before this request had its turn; it was not sent")
    return SendFailure(FailureKind.BUSY, error, waited)


class _Wait(NamedTuple):
    """Wait to be woken, at most *seconds*; *paced* if only time brings the moment."""

    seconds: float
    paced: bool


class _Ask(NamedTuple):
    """Ask the store for a moment at most *seconds* ahead, or to confirm *moment*."""

    seconds: float
    moment: int


class _Limiter:
    """The line of waiters, and the steps of one of them, for threads and tasks.

    Attributes:
        shared: True if the rate is kept in a store, which also keeps the pauses that the service asks for.
    """

    _store_errors: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        settings: OctopusSettings,
        pace: RateLimiter,
        lock: threading.Lock,
        clock: Callable[[], float],
        report: Report | None,
    ) -> None:
        self.line = FairQueue(settings.max_connections, pace)
        self.shared = isinstance(pace, SharedRate)
        self._longest_pause = settings.retry_after_cap
        self._report = report
        self._per_second = settings.max_requests_per_second
        self._lock = lock
        self._clock = clock

    def release(self) -> None:
        """Give the turn back: the exchange is over."""
        with self._lock:
            self.line.done()

    def wake_all(self) -> None:
        """Let all waiters check if they still want their turn."""
        with self._lock:
            self.line.wake_all()

    def _steps(
        self, woken: threading.Event | asyncio.Event, limit: float, unwanted: Callable[[], bool]
    ) -> Generator[_Wait | _Ask, Grant | Exception | None, float | SendFailure]:
        """Wait in the line, and return the seconds waited, or why there is no turn."""
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
                if pause == ASK and waited < limit:
                    pace = self.line.pace
                    assert isinstance(pace, SharedRate)  # noqa: S101 - no other pace answers so
                    answer = yield _Ask(limit - waited, pace.moment)
                    if (failure := self._learned(pace, answer, limit, started)) is not None:
                        return failure
                    continue
                if waited + (pause or 0.0) >= limit:
                    return self._late(limit, waited)
                queued = True
                yield _Wait(limit - waited, paced=False) if pause is None else _Wait(pause, paced=True)
        finally:
            if not granted:
                with self._lock:
                    self.line.leave(ticket)

    def _learned(
        self, pace: SharedRate, answer: Grant | Exception | None, limit: float, started: float
    ) -> SendFailure | None:
        """Note the store's answer; return a failure if there is no moment in time."""
        now, was_away = self._clock(), pace.away
        if answer is None or isinstance(answer, Exception):
            with self._lock:
                pace.lose(now)
        elif answer.moment == 0:
            if answer.held > self._longest_pause or answer.held >= answer.wait > 0.0:
                return _held(answer.held, now - started)
            return self._too_slow(limit, now - started)
        else:
            with self._lock:
                pace.learn(answer, now)
        if pace.away is not was_away and self._report is not None:
            self._report(answer if isinstance(answer, Exception) else None)
        return None

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


def _held(seconds: float, waited: float) -> SendFailure:
    error = RateLimitedError(
        f"the service asked for a pause of this account, of which {seconds:.0f} s are left; it was not sent",
        retry_after=seconds,
    )
    return SendFailure(FailureKind.BUSY, error, waited)


class ThreadLimiter(_Limiter):
    """The turns among threads.

    Args:
        settings: `max_connections`, `max_requests_per_second`, `rate_limit_store`.
        clock: monotonic seconds.
        pause: waits for an event, at most a number of seconds, while the pace allows no start.
        report: called with the error if the store cannot be reached any longer, with None once it can be.

    Raises:
        ConfigError: the store needs a package that is not installed.
    """

    def __init__(
        self,
        settings: OctopusSettings,
        clock: Callable[[], float] = time.monotonic,
        pause: Pause = threading.Event.wait,
        *,
        report: Report | None = None,
    ) -> None:
        self._store: ThreadStore | None = None
        pace = RateLimiter
        if settings.rate_limit_store is not None:
            with needed("rate_limit_store", "redis", "redis"):
                from octopus_soap.transport.rate_store import STORE_ERRORS, ThreadStore  # noqa: PLC0415 - needs the extra
            self._store, self._store_errors, pace = ThreadStore(settings), STORE_ERRORS, SharedRate
        super().__init__(settings, pace(settings.max_requests_per_second), threading.Lock(), clock, report)
        self._pause = pause

    def _asked(self, ask: _Ask) -> Grant | Exception | None:
        try:
            return None if self._store is None else self._store.reserve(*ask)
        except self._store_errors as error:
            error.__traceback__ = None  # of frames that hold the error
            return error

    def hold(self, headers: Mapping[str, str]) -> None:
        """Let all processes of the account make the pause that an answer asks for."""
        if self._store is not None and (seconds := retry_after(headers)):
            with suppress(*self._store_errors):  # the next request finds it away, and reports it
                self._store.hold(seconds)

    def close(self) -> None:
        """Close the connections to the store."""
        if self._store is not None:
            self._store.close()

    def take(
        self, limit: float, stop: threading.Event | None = None, abandoned: threading.Event | None = None
    ) -> float | SendFailure:
        """Wait for a turn, at most *limit* seconds; `release` must follow it.

        The turn is no longer wanted once *stop* or *abandoned* is set; the code that sets the latter calls `wake_all`.

        Returns:
            The seconds waited, or why there is no turn.
        """
        with self._lock:
            if self.line.start_at_once(self._clock()):
                return 0.0
        events = [event for event in (stop, abandoned) if event is not None]
        woken = threading.Event()
        with closing(self._steps(woken, limit, lambda: any(event.is_set() for event in events))) as steps:
            answer: Grant | Exception | None = None
            while True:
                try:
                    wait = steps.send(answer)
                except StopIteration as end:
                    turn: float | SendFailure = end.value
                    return turn
                answer = None
                if isinstance(wait, _Ask):
                    answer = self._asked(wait)
                elif not wait.paced:
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
    """The turns among the tasks of one event loop.

    Args:
        settings, clock, pause, report: as in `ThreadLimiter`.
        pace: shared with the client's other event loops, like *lock*; unused if there is a store, which they share.
        lock: held for moments only.

    Raises:
        ConfigError: the store needs a package that is not installed.
    """

    def __init__(
        self,
        settings: OctopusSettings,
        pace: RateLimiter,
        lock: threading.Lock,
        clock: Callable[[], float] = time.monotonic,
        pause: AsyncPause = _woken,
        *,
        report: Report | None = None,
    ) -> None:
        self._store: TaskStore | None = None
        if settings.rate_limit_store is not None:
            with needed("rate_limit_store", "redis", "redis"):
                from octopus_soap.transport.rate_store import STORE_ERRORS, TaskStore  # noqa: PLC0415 - needs the extra
            self._store, self._store_errors = TaskStore(settings), STORE_ERRORS
            pace = SharedRate(settings.max_requests_per_second)
        super().__init__(settings, pace, lock, clock, report)
        self._pause = pause

    async def _asked(self, ask: _Ask) -> Grant | Exception | None:
        try:
            return None if self._store is None else await self._store.reserve(*ask)
        except self._store_errors as error:
            error.__traceback__ = None  # of frames that hold the error
            return error

    async def hold(self, headers: Mapping[str, str]) -> None:
        """Let all processes of the account make the pause that an answer asks for."""
        if self._store is not None and (seconds := retry_after(headers)):
            with suppress(*self._store_errors):  # the next request finds it away, and reports it
                await self._store.hold(seconds)

    async def close(self) -> None:
        """Close the connections to the store."""
        if self._store is not None:
            await self._store.close()

    async def take(self, limit: float, stop: threading.Event | None = None) -> float | SendFailure:
        """Wait for a turn, at most *limit* seconds; `release` must follow it.

        The turn is no longer wanted once *stop* is set, which is checked when a turn or the limit comes.

        Returns:
            The seconds waited, or why there is no turn.
        """
        with self._lock:
            if self.line.start_at_once(self._clock()):
                return 0.0
        import asyncio  # noqa: PLC0415 - see `_woken`

        woken = asyncio.Event()
        with closing(self._steps(woken, limit, lambda: stop is not None and stop.is_set())) as steps:
            answer: Grant | Exception | None = None
            while True:
                try:
                    wait = steps.send(answer)
                except StopIteration as end:
                    turn: float | SendFailure = end.value
                    return turn
                answer = None
                if isinstance(wait, _Ask):
                    answer = await self._asked(wait)
                else:
                    await (self._pause if wait.paced else _woken)(woken, wait.seconds)
