"""Time windows: how a list without paging is read in pieces that fit.

Theory. `GetOrderList` has no paging, only a creation time from and to. So a span of time is read window by window,
oldest first. Windows share their borders, as whether the service counts a border in is not documented, and the orders'
ids show doubles. A window that fails for what is in it (too many orders for one reply, one order the service cannot
write) is cut to a part, down to one second; the parts that work are kept, and a second that does not is a gap, which
is written down and read again later. After a cut, windows grow again while replies stay small.

No clock is read here, and none is needed: the open end is a date that lies after every order.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before every order."""
LATEST = datetime(2079, 1, 1, tzinfo=UTC)
"""After every order, and a date that even SQL Server's smalldatetime holds: the open end of a window."""
SHORTEST = timedelta(seconds=1)

_LONG = timedelta(days=28)
_PARTS_OF_LONG, _PARTS = 8, 4
"""What a window is cut to: a reply that is too big costs more than some that are small."""
_SMALL = 50
"""Orders in a reply that is small whatever the limits are."""
_PATIENCE = 16
"""Windows in a row that went through before a longer one is tried against the evidence."""


class Window(NamedTuple):
    """Creation times from and to, both inclusive."""

    begin: datetime
    end: datetime

    @property
    def span(self) -> timedelta:
        """How long it is."""
        return self.end - self.begin

    @property
    def open(self) -> bool:
        """True if it ends at `LATEST`: everything from its begin on."""
        return self.end >= LATEST

    def __str__(self) -> str:
        return f"{self.begin:%Y-%m-%dT%H:%M:%SZ} to {'the newest' if self.open else f'{self.end:%Y-%m-%dT%H:%M:%SZ}'}"


class Windows:
    """The windows that cover a span of time, one after the other: take `current`, read it, and call `read` or `failed`.

    Args:
        begin: where the span begins; an inclusive time of the service's.
        end: where it ends; `LATEST` for no end.
        width: length of a window that is known to fit; None to try the whole span first.
        skip: windows that are read by somebody else; the span is read around them, their borders included.
    """

    def __init__(
        self,
        begin: datetime,
        end: datetime = LATEST,
        width: timedelta | None = None,
        skip: Iterable[Window] = (),
    ) -> None:
        self.width = width
        self._left = list(reversed(_around(Window(begin, end), skip))) if begin <= end else []
        self._most = 0
        self._streak = 0

    @property
    def current(self) -> Window | None:
        """The window to read next; None at the end of the span."""
        if not self._left:
            return None
        window = self._left[-1]
        if self.width is None or window.span <= self.width:
            return window
        border = window.begin + self.width
        self._left[-1:] = [Window(border, window.end), Window(window.begin, border)]
        return self._left[-1]

    def read(self, orders: int) -> None:
        """The current window was read and had *orders* orders."""
        self._left.pop()
        if self.width is None:
            return
        self._most, self._streak = max(self._most, orders), self._streak + 1
        if 2 * orders <= max(self._most, _SMALL) or self._streak >= _PATIENCE:
            self._streak = 0
            self.width *= 2
            if self.width >= LATEST - EARLIEST:
                self.width = None

    def failed(self) -> Window | None:
        """The current window failed for what is in it: it is cut; one that is too short for that is left out.

        Returns:
            The window left out; None if it was cut.
        """
        window = self._left[-1]
        self._most, self._streak = 0, 0
        if window.span <= SHORTEST:
            return self._left.pop()
        parts = _PARTS_OF_LONG if window.span > _LONG else _PARTS
        self.width = timedelta(seconds=-(-window.span // (parts * SHORTEST)))  # whole seconds, rounded up
        return None


def _around(span: Window, skip: Iterable[Window]) -> list[Window]:
    """What is left of *span* without *skip*, oldest first."""
    left: list[Window] = []
    begin = span.begin
    for gap in sorted(skip):
        if gap.begin >= span.end or gap.end <= begin:
            continue
        if gap.begin > begin:
            left.append(Window(begin, gap.begin))
        begin = max(begin, gap.end)
    return [*left, Window(begin, span.end)] if begin < span.end or not left else left
