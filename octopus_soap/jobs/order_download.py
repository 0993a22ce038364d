"""Downloads orders into the ledger, window by window, before any is handed over.

Windows. `GetOrderList` has no paging, only a first and a last creation time. So a span of time is read window by
window, oldest first. Windows share their borders, because it is not documented whether the service includes them; the
orders' ids show duplicates. If a window fails because of its content (too many orders for one reply, or an order that
the service cannot write), it is cut into parts, down to one second; the parts that succeed are stored. A second that
cannot be listed is a gap: it is recorded, read around, and tried again later. After a cut, windows grow again while
replies stay small. A window is cut only if the service answers another request; if it does not, the service is down,
and no window would succeed. No clock is needed: the open end is a date after every order.

The watermark is the newest creation time of all orders that the service has listed. It is written in the transaction
that stores the orders up to it. Each run reads from an overlap before it to the open end. So neither this machine's
clock nor a time zone that is wrong by less than the overlap hides an order. From time to time, a *sweep* also reads
what is before that, for orders that appear late with an older time. Both are cheap, because the service lists only
orders that are not confirmed.

A service may list fewer orders than it counts. Then the watermark is not moved, so that the next listing, after these
are confirmed, has the others.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, or_, select, update

from octopus_soap.errors import (
    AuthenticationError,
    ConfigError,
    ConnectFailedError,
    HttpStatusError,
    InvalidInputError,
    LedgerError,
    OctopusError,
    RateLimitedError,
)
from octopus_soap.jobs.leases import lock_in_order
from octopus_soap.jobs.order_listing import ANOTHER, NAMELESS, list_orders, listing_of, merge_equal, pair
from octopus_soap.jobs.reports import reason_of
from octopus_soap.jobs.tables import (
    CHANGED,
    CONFIRMED,
    HANDLED,
    KEPT,
    ORDER_CURSORS,
    ORDER_GAPS,
    ORDERS,
    QUARANTINED,
    UNREAD,
    WAITING,
    chunks,
)
from octopus_soap.models import OrderCriteria

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import ColumnElement, Connection, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.order_listing import InboxOptions, Listing, OrderRecord
    from octopus_soap.jobs.reports import Report

CHANGED_AFTERWARDS = (
    "it was changed on the service after it was handled; octopus-soap ledger retry hands the newer version over, "
    "octopus-soap ledger acknowledge keeps the one that was handled"
)
NOT_LISTED = "not listed"
"""The notice of an order that the service no longer lists: it was confirmed elsewhere, or deleted."""

_PROBE_SECONDS = 1.0
_AHEAD = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_AT_ONCE = 500
"""Rows in one INSERT."""
_MOST_LOCKED = 10_000
"""Ids in one statement that locks them together."""
_SERVER_ERROR = 500
_KNOWN = [column for column in ORDERS.c if column.name not in {"raw", "typed"}]
"""The columns that are read of orders that are listed again: nearly all orders of a long listing."""
_CURSOR = select(ORDER_CURSORS).where(
    ORDER_CURSORS.c.channel == bindparam("whose"), ORDER_CURSORS.c.store == bindparam("which")
)
_GAPS = select(ORDER_GAPS.c.begins, ORDER_GAPS.c.ends).where(
    ORDER_GAPS.c.channel == bindparam("whose"), ORDER_GAPS.c.store == bindparam("which")
)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before every order."""
LATEST = datetime(2079, 1, 1, tzinfo=UTC)
"""After every order: the open end of a window. Even SQL Server's smalldatetime includes it."""
SHORTEST = timedelta(seconds=1)

_LONG = timedelta(days=28)
_PARTS_OF_LONG, _PARTS = 8, 4
"""Parts that a window is cut into. A long window has more, because a reply that is too big costs most."""
_SMALL = 50
"""A reply with no more than this many orders always counts as small."""
_PATIENCE = 16
"""After this many successful windows in a row, a longer one is tried although replies are not small."""


# -- windows ----------------------------------------------------------------------------------------------------------


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
    """The windows of a span of time: list `current`, and then call `read` or `failed`.

    Args:
        begin: the first creation time, inclusive.
        end: the last creation time; `LATEST` for no end.
        width: length of a window that is known to succeed; None to try the whole span first.
        skip: windows that are read elsewhere; the span is read around them, including their borders.
    """

    def __init__(
        self, begin: datetime, end: datetime = LATEST, width: timedelta | None = None, skip: Iterable[Window] = ()
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
        """Continue after the current window, which had *orders* orders."""
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
        """Cut the current window, which failed because of its content.

        Returns:
            The window, if it is too short to be cut and is left out; None if it was cut.
        """
        window = self._left[-1]
        self._most, self._streak = 0, 0
        if window.span <= SHORTEST:
            return self._left.pop()
        parts = _PARTS_OF_LONG if window.span > _LONG else _PARTS
        self.width = timedelta(seconds=-(-window.span // (parts * SHORTEST)))  # whole seconds, rounded up
        return None


def _around(span: Window, skip: Iterable[Window]) -> list[Window]:
    """Return the parts of *span* without *skip*, oldest first."""
    left: list[Window] = []
    begin = span.begin
    for gap in sorted(skip):
        if gap.begin >= span.end or gap.end <= begin:
            continue
        if gap.begin > begin:
            left.append(Window(begin, gap.begin))
        begin = max(begin, gap.end)
    return [*left, Window(begin, span.end)] if begin < span.end or not left else left


_EMPTY_WINDOW = Window(datetime(1999, 12, 31, tzinfo=UTC), datetime(1999, 12, 31, 0, 0, 1, tzinfo=UTC))
"""A window without any order, which tests whether the service answers at all."""


# -- one run ----------------------------------------------------------------------------------------------------------


class Download:
    """A run's download for one store, or for the whole account if *store* is empty."""

    def __init__(
        self, client: OctopusClient, ledger: Ledger, store: str, options: InboxOptions, stopped: Callable[[], bool]
    ) -> None:
        self._client, self._ledger, self._store = client, ledger, store
        self._options, self._stopped = options, stopped
        self._since = options.since or EARLIEST
        self._nameless: set[str] = set()
        self._new_gaps = False
        self.short: tuple[int, int] | None = None
        """How many orders a listing had, and how many match, if the service left some out."""
        self.never_listed = False
        """True if no order of the store was ever listed."""
        self._mine = (ORDER_CURSORS.c.channel == ledger.channel, ORDER_CURSORS.c.store == store)
        self._filters: dict[str, Any] = {}
        if options.payment is not None:
            self._filters["payment_status_filter"] = options.payment
        if options.shipping is not None:
            self._filters["shipping_status_filter"] = options.shipping

    def run(self, report: Report) -> None:
        """Read new orders, and if they are due, the sweep and the gaps.

        Raises:
            OctopusError: the service does not answer, or refuses; what was read before is stored.
        """
        self.short = None
        cursor, gaps = self._opened()
        self.never_listed = cursor.watermark is None
        watermark, width = cursor.watermark, None if cursor.width is None else timedelta(seconds=cursor.width)
        begin = self._since
        if watermark is not None and not self._options.filtered:  # a status may change long after the order was made
            begin = max(begin, watermark - self._options.overlap)
        self._read(Windows(begin, LATEST, width, gaps), report)
        now = self._ledger.now()
        pause = self._options.sweep
        # A last sweep in the future was recorded while a clock was ahead.
        late = watermark is not None and pause is not None and not now - pause < cursor.swept_at <= now
        if late and begin > self._since and not self._stopped():
            self._read(Windows(self._since, begin, width, gaps), report)
        if (late or watermark is None) and not self._stopped() and self.short is None:
            with self._ledger.transaction() as connection:
                connection.execute(update(ORDER_CURSORS).where(*self._mine).values(swept_at=now))
        if gaps or self._new_gaps:
            self._read_gaps(report)
        if late and not self._stopped() and self.short is None:
            self._forget_nameless()

    def _opened(self) -> tuple[Row[Any], list[Window]]:
        channel = self._ledger.channel
        with self._ledger.transaction() as connection:
            whose = {"whose": channel, "which": self._store}
            cursor = connection.execute(_CURSOR, whose).one_or_none()
            if cursor is None:
                now = self._ledger.now(connection)
                values = {"channel": channel, "store": self._store, "swept_at": now}
                connection.execute(ORDER_CURSORS.insert().values(values))
                cursor = connection.execute(_CURSOR, whose).one()
            return cursor, [Window(row.begins, row.ends) for row in connection.execute(_GAPS, whose)]

    # -- windows -----------------------------------------------------------------------------------------------

    def _read(self, windows: Windows, report: Report) -> None:
        width = windows.width
        while (window := windows.current) is not None and not self._stopped():
            try:
                found = self._read_window(window, report)
            except OctopusError as error:
                if not self._fault_of_window(error):
                    raise
                gap = windows.failed()
                report.add("windows_cut", int(gap is None))
                if gap is not None:
                    self._note_gap(gap, error)
                continue
            report.add("windows")
            windows.read(found)
        if windows.width != width:
            self._note_width(windows.width)

    def _read_window(self, window: Window, report: Report) -> int:
        """List a window, store its orders, and return how many there were."""
        with self._listing(self._client, self._criteria(window)) as listing:
            self._ledger.reach("orders.listed")
            self._keep(listing, report)
            if listing.short:
                self.short = (len(listing.orders), listing.matches)
            return len(listing.orders)

    def _criteria(self, window: Window) -> OrderCriteria:
        return OrderCriteria(
            order_creation_filter_begin_time_gmt=window.begin,
            order_creation_filter_end_time_gmt=window.end,
            **self._filters,
        )

    def _listing(self, client: OctopusClient, criteria: OrderCriteria) -> AbstractContextManager[Listing]:
        return listing_of(list_orders(client, self._store, criteria), self._store, self._options.redactor)

    def look_again(self, order_ids: Sequence[str], report: Report) -> None:
        """List orders by their ids, of 32 bits, and record which are no longer listed.

        Raises:
            OctopusError: the service does not answer.
        """
        criteria = OrderCriteria(order_id_list=[int(order_id) for order_id in order_ids])
        with self._listing(self._client, criteria) as listing:
            self._keep(listing, report, looked_for=order_ids)

    def _fault_of_window(self, error: OctopusError) -> bool:
        """True if a smaller window may succeed; sends a small request to find out."""
        if isinstance(error, ConfigError | ConnectFailedError | InvalidInputError | LedgerError | RateLimitedError):
            return False
        if isinstance(error, AuthenticationError) and error.certain:
            return False
        if isinstance(error, HttpStatusError) and error.status < _SERVER_ERROR:
            return False
        if self._stopped():
            return False
        # A service that hangs has already held up the run for one read timeout; an empty window needs little time.
        seconds = max(_PROBE_SECONDS, self._client.settings.read_timeout / 20)
        quick = self._client.with_options(read_timeout=seconds, total_timeout=2 * seconds, max_attempts=1)
        try:
            for _ in list_orders(quick, self._store, self._criteria(_EMPTY_WINDOW)):
                pass
        except OctopusError:
            return False
        return True

    def _note_width(self, width: timedelta | None) -> None:
        seconds = None if width is None else int(width.total_seconds())
        with self._ledger.transaction() as connection:
            connection.execute(update(ORDER_CURSORS).where(*self._mine).values(width=seconds))

    # -- gaps --------------------------------------------------------------------------------------------------

    def _note_gap(self, gap: Window, error: OctopusError) -> None:
        self._new_gaps = True
        key = f"{gap}{f' of store {self._store}' if self._store else ''}"
        with self._ledger.transaction() as connection:
            mine = (ORDER_GAPS.c.channel == self._ledger.channel, ORDER_GAPS.c.key == key)
            known = connection.execute(select(ORDER_GAPS.c.key).where(*mine)).one_or_none()
            if known is None:
                values = {
                    "channel": self._ledger.channel,
                    "key": key,
                    "store": self._store,
                    "begins": gap.begin,
                    "ends": gap.end,
                    "state": UNREAD,
                    "due_at": self._ledger.now(connection),  # once more at the end of this run
                    "attempts": 1,
                    "message": reason_of(error, self._options.redactor),
                }
                connection.execute(ORDER_GAPS.insert().values(values))

    def _read_gaps(self, report: Report) -> None:
        now = self._ledger.now()
        mine = (ORDER_GAPS.c.channel == self._ledger.channel, ORDER_GAPS.c.store == self._store)
        with self._ledger.reading() as connection:
            due = connection.execute(select(ORDER_GAPS).where(*mine, ORDER_GAPS.c.due_at <= now)).all()
        for gap in due:
            if self._stopped():
                return
            this = (ORDER_GAPS.c.channel == self._ledger.channel, ORDER_GAPS.c.key == gap.key)
            window = Window(gap.begins, gap.ends)
            try:
                self._read_window(window, report)
            except OctopusError as error:
                if not self._fault_of_window(error):
                    raise
                tries = gap.attempts + 1
                values = {"attempts": tries, "due_at": now + self._options.backoff.after(gap.attempts)}
                with self._ledger.transaction() as connection:
                    changed = update(ORDER_GAPS).where(*this)
                    connection.execute(changed.values(message=reason_of(error, self._options.redactor), **values))
                continue
            with self._ledger.transaction() as connection:
                connection.execute(delete(ORDER_GAPS).where(*this))

    # -- orders ------------------------------------------------------------------------------------------------

    def _forget_nameless(self) -> None:
        """Delete orders without an id that a sweep no longer listed: they now have one."""
        mine = (ORDERS.c.channel == self._ledger.channel, ORDERS.c.store == self._store)
        gaps = (ORDER_GAPS.c.channel == self._ledger.channel, ORDER_GAPS.c.store == self._store)
        with self._ledger.transaction() as connection:
            if connection.execute(select(ORDER_GAPS.c.key).where(*gaps).limit(1)).first() is None:
                gone = (ORDERS.c.key.startswith(NAMELESS), ORDERS.c.order_id == "")
                known = connection.execute(select(ORDERS.c.key).where(*mine, *gone)).scalars().all()
                for key in set(known) - self._nameless:
                    connection.execute(delete(ORDERS).where(*mine, ORDERS.c.key == key))

    def _keep(self, listing: Listing, report: Report, looked_for: Sequence[str] = ()) -> None:
        """Store the orders of a listing and the watermark in one transaction."""
        orders = merge_equal(listing.orders)
        self.never_listed = self.never_listed and not orders
        self._nameless.update(order.key for order in orders if not order.order_id)
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            ids = {*(order.order_id for order in orders if order.order_id), *looked_for}
            nameless = [order.key for order in orders if not order.order_id]
            known = _known(connection, self._ledger.channel, self._store, sorted(ids), nameless)
            fresh, again = pair(orders, known)
            unwanted = [row.key for row, order in again if not self._options.wants(order) and _never_handled(row)]
            others = len(fresh)
            fresh = [order for order in fresh if self._options.wants(order)]
            others -= len(fresh)
            fresh.sort(key=lambda order: order.placed or EARLIEST)
            for start in range(0, len(fresh), _AT_ONCE):
                # Due one microsecond after another, so that the oldest order is due first.
                due = now - (len(fresh) - start) * _MICROSECOND
                some = enumerate(fresh[start : start + _AT_ONCE])
                rows = [self._row(listing, order, now, due + at * _MICROSECOND) for at, order in some]
                connection.execute(ORDERS.insert(), rows)
            for row, order in again:
                if row.key not in unwanted:
                    values = self._seen_again(row, order, listing, now)
                    afterwards = row.state not in {WAITING, QUARANTINED} and order.content != row.handled_content
                    report.add("changed", int(afterwards and order.content != row.content))
                    if values:
                        connection.execute(update(ORDERS).where(*self._this(row.key)).values(values))
            listed = [row.key for row, _ in again]
            self._note_listed(connection, listed, {"listed_at": now, "notice": None})
            if looked_for and not listing.short:
                gone = [row.key for row in known if row.key not in set(listed) and _never_handled(row)]
                self._note_listed(connection, gone, {"listed_at": now, "notice": NOT_LISTED})
            for key in unwanted:  # its status is no longer the wanted one: the service lists it again when it is
                connection.execute(delete(ORDERS).where(*self._this(key), ORDERS.c.leased_by.is_(None)))
            if not looked_for and not listing.short:  # an order that was left out may have any time
                self._move_watermark(connection, listing.orders, now)
            self._ledger.reach("orders.storing")
        self._ledger.reach("orders.stored")
        report.add("downloaded", len(fresh))
        report.add("other_status", others + len(unwanted))
        report.add("same_id", sum(1 for order in fresh if ANOTHER in order.key))

    def _this(self, key: str) -> tuple[ColumnElement[bool], ...]:
        return ORDERS.c.channel == self._ledger.channel, ORDERS.c.key == key

    def _note_listed(self, connection: Connection, keys: Sequence[str], values: dict[str, Any]) -> None:
        for some in chunks(keys):
            mine = (ORDERS.c.channel == self._ledger.channel, ORDERS.c.key.in_(some))
            connection.execute(update(ORDERS).where(*mine).values(values))

    def _row(self, listing: Listing, order: OrderRecord, now: datetime, due: datetime) -> dict[str, Any]:
        raw, typed = listing.texts(order)
        return {
            "channel": self._ledger.channel,
            "key": order.key,
            "order_id": order.order_id,
            "store": self._store,
            "placed": order.placed,
            "raw": raw,
            "typed": typed,
            "content": order.content,
            "first_seen_at": now,
            "stores": json.dumps(order.stores),
            "listed_at": now,
            "state": QUARANTINED if order.problem else WAITING,
            "due_at": now + self._options.backoff.after(1) if order.problem else due,
            "attempts": int(bool(order.problem)),
            "message": order.problem,
        }

    def _move_watermark(self, connection: Connection, found: Sequence[OrderRecord], now: datetime) -> None:
        seen = [order.placed for order in found if order.placed is not None]
        if not seen:
            return
        # An order with a date years ahead must not hide the orders after it. The clock can only lower the watermark.
        mark = min(max(seen), now + _AHEAD)
        behind = (ORDER_CURSORS.c.watermark.is_(None)) | (ORDER_CURSORS.c.watermark < mark)
        connection.execute(update(ORDER_CURSORS).where(*self._mine, behind).values(watermark=mark))

    def _seen_again(self, row: Row[Any], order: OrderRecord, listing: Listing, now: datetime) -> dict[str, Any]:
        """Return the new values of a row whose order was listed again."""
        stores = json.loads(row.stores)
        values: dict[str, Any] = {}
        if new := [store for store in order.stores if store not in stores]:
            values["stores"] = json.dumps([*stores, *new])
        if order.content != row.content:
            raw, typed = listing.texts(order)
            values |= {"raw": raw, "typed": typed, "content": order.content, "placed": order.placed}
        if row.state in {WAITING, QUARANTINED}:
            values |= self._fixed(row, order, now) if order.content != row.content else {}
        elif order.content != row.handled_content:
            if self._options.deliver_changes and not order.problem:
                values |= {"state": WAITING, "due_at": now, "attempts": 0, "message": ""}
            elif row.state != CHANGED or order.content != row.content:
                values |= {"state": CHANGED, "due_at": None, "attempts": 1, "message": CHANGED_AFTERWARDS}
        elif row.state in {CONFIRMED, CHANGED} or (row.state == KEPT and self._options.confirm):
            # It is listed, so it is not confirmed, whatever the answer was; or it is again as it was handled.
            values |= {"state": HANDLED, "due_at": now, "attempts": 0, "message": ""}
        return values

    def _fixed(self, row: Row[Any], order: OrderRecord, now: datetime) -> dict[str, Any]:
        """Return the values that make the new version of a waiting order due at once."""
        if order.problem:
            tries = max(1, row.attempts)
            return {
                "state": QUARANTINED,
                "message": order.problem,
                "attempts": tries,
                "due_at": now + self._options.backoff.after(tries),
            }
        return {"state": WAITING, "due_at": now}


def _never_handled(row: Row[Any]) -> bool:
    return row.state in {WAITING, QUARANTINED} and not row.revision


def _known(
    connection: Connection, channel: str, store: str, ids: Sequence[str], nameless: Sequence[str]
) -> list[Row[Any]]:
    """Return the stored rows with these ids or keys, which are locked on PostgreSQL."""
    mine = and_(ORDERS.c.channel == channel, ORDERS.c.store == store)
    found: list[Row[Any]] = []
    if len(ids) > _MOST_LOCKED:  # more than a statement takes
        lock_in_order(connection, ORDERS, mine)
    elif ids or nameless:  # in one statement, because databases do not order keys as Python does
        named = or_(ORDERS.c.order_id.in_(ids), ORDERS.c.key.in_(nameless)) if nameless else ORDERS.c.order_id.in_(ids)
        lock_in_order(connection, ORDERS, and_(mine, named))
    for column, names in ((ORDERS.c.order_id, ids), (ORDERS.c.key, nameless)):
        for some in chunks(names):
            found += connection.execute(select(*_KNOWN).where(mine, column.in_(some)).order_by(ORDERS.c.key)).all()
    return found
