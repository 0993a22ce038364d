"""Downloading: from the service's list into the ledger, window by window, before anybody sees an order.

The watermark is the newest creation time seen in an order of the service's, and is written in the transaction that
stores the orders it stands for. Each run reads from an overlap before it to the open end, so neither this machine's
clock nor a wrong time zone of up to the overlap hides an order. A *sweep* reads what lies before that too, now and
then: orders with an older time than some that came earlier. Both are cheap, as the service lists only what is not
confirmed.

A window that fails is cut smaller only where the service answers another question well: where it does not, the service
is down, and no window would do. A second that cannot be listed is a gap: written down, read around, tried again later.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, select, update

from octopus_soap.errors import (
    AuthenticationError,
    BatchError,
    ConfigError,
    ConnectFailedError,
    HttpStatusError,
    InvalidInputError,
    OctopusError,
    RateLimitedError,
)
from octopus_soap.jobs.leases import lock_in_order
from octopus_soap.jobs.order_records import NAMELESS, OrderRecord, record_of
from octopus_soap.jobs.reports import KeyProblem, reason_of
from octopus_soap.jobs.tables import (
    CONFIRMED,
    HANDLED,
    KEPT,
    ORDER_CURSORS,
    ORDER_GAPS,
    ORDERS,
    QUARANTINED,
    UNREAD,
    WAITING,
)
from octopus_soap.jobs.windows import EARLIEST, LATEST, Window, Windows
from octopus_soap.models import OrderCriteria

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.order_records import InboxOptions
    from octopus_soap.jobs.reports import Report
    from octopus_soap.models import OrderResponseItem
    from octopus_soap.results import BatchResult

CHANGED = "it was changed on the service after it was handled; the newer version is in the ledger"

_EMPTY_WINDOW = Window(datetime(1999, 12, 31, tzinfo=UTC), datetime(1999, 12, 31, 0, 0, 1, tzinfo=UTC))
"""A window no order lies in: asked to see whether the service answers at all."""
_AHEAD = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_SERVER_ERROR = 500


def list_orders(client: OctopusClient, store: str, criteria: OrderCriteria) -> BatchResult[OrderResponseItem]:
    """List the whole account's orders, or a store's; rows that cannot be read are failed outcomes, not an error."""
    try:
        if store:
            return client.get_order_list_store(store, criteria, keep_raw=True)
        return client.get_order_list(criteria, keep_raw=True)
    except BatchError as error:
        return error.result


class Download:
    """One run's download for one store, or for the whole account.

    Args:
        client: lists the orders.
        ledger: stores them.
        store: the store's id; empty for the whole account.
        options: of the inbox.
        stopped: true once the run should end.
    """

    def __init__(
        self, client: OctopusClient, ledger: Ledger, store: str, options: InboxOptions, stopped: Callable[[], bool]
    ) -> None:
        self._client, self._ledger, self._store = client, ledger, store
        self._options, self._stopped = options, stopped
        self._since = options.since or EARLIEST
        self._nameless: set[str] = set()
        self._mine = (ORDER_CURSORS.c.channel == ledger.channel, ORDER_CURSORS.c.store == store)

    def run(self, report: Report) -> None:
        """Read what is new, what is late where that is due, and the gaps that are due.

        Raises:
            OctopusError: the service does not answer, or not to us; what was read until then is stored.
        """
        cursor, gaps = self._opened()
        watermark, width = cursor.watermark, None if cursor.width is None else timedelta(seconds=cursor.width)
        begin = self._since if watermark is None else max(self._since, watermark - self._options.overlap)
        self._read(Windows(begin, LATEST, width, gaps), report)
        now = self._ledger.now()
        pause = self._options.sweep
        # A time of the last sweep that lies ahead is of a clock that was set back since.
        late = watermark is not None and pause is not None and not now - pause < cursor.swept_at <= now
        if late and begin > self._since and not self._stopped():
            self._read(Windows(self._since, begin, width, gaps), report)
        if (late or watermark is None) and not self._stopped():
            with self._ledger.transaction() as connection:
                connection.execute(update(ORDER_CURSORS).where(*self._mine).values(swept_at=now))
        self._read_gaps(report)
        if late and not self._stopped():
            self._forget_nameless()

    def _opened(self) -> tuple[Row[Any], list[Window]]:
        channel = self._ledger.channel
        with self._ledger.transaction() as connection:
            cursor = connection.execute(select(ORDER_CURSORS).where(*self._mine)).one_or_none()
            if cursor is None:
                now = self._ledger.now(connection)
                values = {"channel": channel, "store": self._store, "swept_at": now}
                connection.execute(ORDER_CURSORS.insert().values(values))
                cursor = connection.execute(select(ORDER_CURSORS).where(*self._mine)).one()
            known = select(ORDER_GAPS.c.begins, ORDER_GAPS.c.ends).where(
                ORDER_GAPS.c.channel == channel, ORDER_GAPS.c.store == self._store
            )
            return cursor, [Window(row.begins, row.ends) for row in connection.execute(known)]

    # -- windows -----------------------------------------------------------------------------------------------

    def _read(self, windows: Windows, report: Report) -> None:
        while (window := windows.current) is not None and not self._stopped():
            try:
                found = self._list(window)
            except OctopusError as error:
                if not self._fault_of_window(error):
                    raise
                gap = windows.failed()
                report.add("windows_cut", int(gap is None))
                if gap is not None:
                    self._note_gap(gap, error)
                continue
            self._ledger.reach("orders.listed")
            self._store_page(found, report)
            report.add("windows")
            windows.read(len(found))
        self._note_width(windows.width)

    def _list(self, window: Window) -> list[OrderRecord]:
        criteria = OrderCriteria(
            order_creation_filter_begin_time_gmt=window.begin, order_creation_filter_end_time_gmt=window.end
        )
        result = list_orders(self._client, self._store, criteria)
        return [record_of(outcome, self._store, self._options.redactor) for outcome in result.outcomes]

    def _fault_of_window(self, error: OctopusError) -> bool:
        """Whether a smaller window may do better; asks the service something small to tell."""
        if isinstance(error, ConfigError | ConnectFailedError | InvalidInputError | RateLimitedError):
            return False
        if isinstance(error, AuthenticationError) and error.certain:
            return False
        if isinstance(error, HttpStatusError) and error.status < _SERVER_ERROR:
            return False
        if self._stopped():
            return False
        try:
            self._list(_EMPTY_WINDOW)
        except OctopusError:
            return False
        return True

    def _note_width(self, width: timedelta | None) -> None:
        seconds = None if width is None else int(width.total_seconds())
        with self._ledger.transaction() as connection:
            connection.execute(update(ORDER_CURSORS).where(*self._mine).values(width=seconds))

    # -- gaps --------------------------------------------------------------------------------------------------

    def _note_gap(self, gap: Window, error: OctopusError) -> None:
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
                found = self._list(window)
            except OctopusError as error:
                if not self._fault_of_window(error):
                    raise
                tries = gap.attempts + 1
                values = {"attempts": tries, "due_at": now + self._options.backoff.after(tries)}
                with self._ledger.transaction() as connection:
                    changed = update(ORDER_GAPS).where(*this)
                    connection.execute(changed.values(message=reason_of(error, self._options.redactor), **values))
                continue
            self._ledger.reach("orders.listed")
            self._store_page(found, report)
            with self._ledger.transaction() as connection:
                connection.execute(delete(ORDER_GAPS).where(*this))

    # -- orders ------------------------------------------------------------------------------------------------

    def _forget_nameless(self) -> None:
        """After a sweep: orders without an id that are listed no more came under their id, or never will."""
        mine = (ORDERS.c.channel == self._ledger.channel, ORDERS.c.store == self._store)
        gaps = (ORDER_GAPS.c.channel == self._ledger.channel, ORDER_GAPS.c.store == self._store)
        with self._ledger.transaction() as connection:
            if connection.execute(select(ORDER_GAPS.c.key).where(*gaps).limit(1)).first() is None:
                gone = (ORDERS.c.key.startswith(NAMELESS), ORDERS.c.order_id == "")
                known = connection.execute(select(ORDERS.c.key).where(*mine, *gone)).scalars().all()
                for key in set(known) - self._nameless:
                    connection.execute(delete(ORDERS).where(*mine, ORDERS.c.key == key))

    def _store_page(self, found: Sequence[OrderRecord], report: Report) -> None:
        """Store what a window brought, and the watermark with it, in one transaction."""
        new = {order.key: order for order in found}
        self._nameless.update(order.key for order in found if not order.order_id)
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            known = _known(connection, self._ledger.channel, list(new))
            fresh = [order for key, order in new.items() if key not in known]
            fresh.sort(key=lambda order: order.placed or EARLIEST)
            # Due one microsecond after the other, so that what is due first is the oldest order.
            rows = [self._row(order, now - (len(fresh) - at) * _MICROSECOND) for at, order in enumerate(fresh)]
            if rows:
                connection.execute(ORDERS.insert(), rows)
            for key, row in known.items():
                self._seen_again(connection, row, new[key], report, now)
            self._move_watermark(connection, found, now)
            self._ledger.reach("orders.storing")
        self._ledger.reach("orders.stored")
        report.add("downloaded", len(rows))

    def _row(self, order: OrderRecord, now: datetime) -> dict[str, Any]:
        return {
            "channel": self._ledger.channel,
            "key": order.key,
            "order_id": order.order_id,
            "store": self._store,
            "placed": order.placed,
            "raw": order.raw,
            "typed": order.typed,
            "content": order.content,
            "first_seen_at": now,
            "stores": json.dumps([order.store_id] if order.store_id else []),
            "state": QUARANTINED if order.problem else WAITING,
            "due_at": now + self._options.backoff.after(1) if order.problem else now,
            "attempts": int(bool(order.problem)),
            "message": order.problem,
        }

    def _move_watermark(self, connection: Connection, found: Sequence[OrderRecord], now: datetime) -> None:
        seen = [order.placed for order in found if order.placed is not None]
        if not seen:
            return
        # One order with a date years ahead must not hide the ones after it. This clock only ever holds the mark back.
        mark = min(max(seen), now + _AHEAD)
        behind = (ORDER_CURSORS.c.watermark.is_(None)) | (ORDER_CURSORS.c.watermark < mark)
        connection.execute(update(ORDER_CURSORS).where(*self._mine, behind).values(watermark=mark))

    def _seen_again(
        self, connection: Connection, row: Row[Any], order: OrderRecord, report: Report, now: datetime
    ) -> None:
        """What a listing says about an order that is stored already."""
        stores = json.loads(row.stores)
        values: dict[str, Any] = {}
        if order.store_id and order.store_id not in stores:
            values["stores"] = json.dumps([*stores, order.store_id])
        if order.content != row.content:
            values |= {"raw": order.raw, "typed": order.typed, "content": order.content, "placed": order.placed}
        if row.state in {WAITING, QUARANTINED}:
            values |= self._fixed(row, order, now) if order.content != row.content else {}
        elif order.content not in {row.handled_content, row.content}:
            report.add("changed")
            if self._options.deliver_changes and not order.problem:
                values |= {"state": WAITING, "due_at": now, "attempts": 0, "message": ""}
            else:
                report.problems.append(KeyProblem(row.key, "changed", CHANGED))
                report.problem_count += 1
        if values.get("state", row.state) == CONFIRMED or (row.state == KEPT and self._options.confirm):
            # It is listed, so it is not confirmed, whatever was answered.
            values |= {"state": HANDLED, "due_at": now}
        if values:
            this = (ORDERS.c.channel == self._ledger.channel, ORDERS.c.key == row.key)
            connection.execute(update(ORDERS).where(*this).values(values))

    def _fixed(self, row: Row[Any], order: OrderRecord, now: datetime) -> dict[str, Any]:
        """A new version of an order that waits is given another chance at once."""
        if order.problem:
            return {
                "state": QUARANTINED,
                "message": order.problem,
                "due_at": now + self._options.backoff.after(row.attempts),
            }
        return {"state": WAITING, "due_at": now}


def _known(connection: Connection, channel: str, keys: list[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    if keys:  # all at once, as databases order keys otherwise than Python does
        lock_in_order(connection, ORDERS, and_(ORDERS.c.channel == channel, ORDERS.c.key.in_(keys)))
    for start in range(0, len(keys), 500):  # far under what a database takes in one statement
        some = keys[start : start + 500]
        query = select(ORDERS).where(ORDERS.c.channel == channel, ORDERS.c.key.in_(some))
        found.update((row.key, row) for row in connection.execute(query))
    return found
