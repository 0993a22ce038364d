"""Who may send next, and when: requests wait in one line, first come, first served.

Theory. A request needs two things before it may leave: one of the client's connections, and, where
`max_requests_per_second` is set, the next moment that this pace allows. Both are given to the head of one line and to
nobody else, so no request overtakes another. A moment is used up only when a request starts: one that leaves the line
(cancelled, out of time) costs those behind it nothing.

The pace has no burst: starts are at least `1 / per_second` seconds apart, and a moment nobody used is gone. So any
window of T seconds holds at most `T * per_second + 1` starts, however long the client was idle before.

Nothing here waits or reads a clock. The drivers ask, wait as long as they are told, and ask again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pace:
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


class Ticket:
    """A place in the line.

    Args:
        wake: called when its holder should ask again.
    """

    __slots__ = ("wake",)

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake


class Line:
    """The requests of one client that wait for their turn.

    Args:
        most: how many may be under way at once.
        pace: when they may start; lines may share one.
    """

    def __init__(self, most: int, pace: Pace) -> None:
        self.most = most
        self.pace = pace
        self.under_way = 0
        self._waiting: deque[Ticket] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, wake: Callable[[], object]) -> Ticket:
        """Queue at the end."""
        ticket = Ticket(wake)
        self._waiting.append(ticket)
        return ticket

    def ask(self, ticket: Ticket, now: float) -> float | None:
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

    def leave(self, ticket: Ticket) -> None:
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
