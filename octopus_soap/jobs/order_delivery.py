"""Delivers stored orders to the handler, and records the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import and_, func, update

from octopus_soap._http import clip
from octopus_soap.errors import OctopusError
from octopus_soap.jobs.leases import FREE, lock_in_order
from octopus_soap.jobs.order_download import CHANGED_AFTERWARDS
from octopus_soap.jobs.order_listing import OrderRecord, list_orders, order_of, record_of
from octopus_soap.jobs.reports import reason_of
from octopus_soap.jobs.tables import CHANGED, HANDLED, KEPT, ORDERS, QUARANTINED, WAITING
from octopus_soap.models import OrderCriteria, OrderResponseItem
from octopus_soap.models.scalars import is_int32

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.handlers import HandlerRunner
    from octopus_soap.jobs.leases import Lease
    from octopus_soap.jobs.order_listing import InboxOptions
    from octopus_soap.jobs.reports import Report

NOT_READABLE = "it cannot be read"
CANCELLED = "cancelled"
_CANCELLED_STATES = frozenset({"cancelled", "canceled"})
_MOST_REFERENCE = 200
_READABLE = and_(ORDERS.c.typed.is_not(None), ORDERS.c.order_id != "")


@dataclass(slots=True)
class OrderDelivery:
    """The circumstances of a delivery, which a handler gets with its order.

    Attributes:
        key: the order's key in the channel: its id, with `@store` if the inbox reads store by store. The same in every
            delivery.
        attempt: how often it was handed over, including this time.
        redelivered: an earlier handler was interrupted by a crash, so its work may be done already. If the inbox is
            transactional, what it wrote with `connection` was rolled back.
        revision: 1; more if the order was changed on the service after it was handled (`on_change="deliver"`).
        raw: its XML, with card numbers masked.
        notice: `cancelled`, or `not listed`: the service stopped listing it while it waited, because it was confirmed
            elsewhere or is gone. Empty for any other order.
        connection: the ledger's open transaction if the inbox is transactional; None otherwise.
    """

    key: str
    attempt: int
    redelivered: bool
    revision: int
    raw: str = field(repr=False)
    notice: str = ""
    connection: Connection | None = field(default=None, repr=False)
    _afterwards: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]], repr=False)
    _unfinished: str | None = field(default=None, repr=False)

    def after_commit(self, call: Callable[[], object]) -> None:
        """Run *call* after the ledger's commit and before the order is confirmed.

        A crash in between loses the call, so it should only do what can also be done later, such as giving a file its
        final name. If it raises, the order stays in every report, and is not confirmed, until `octopus-soap ledger
        retry` hands it over again, or a later run finishes it with the text of `remember`.
        """
        self._afterwards.append(call)

    def remember(self, text: str) -> None:
        """Store *text* with the order until all calls of `after_commit` have returned.

        It is what a later run needs to finish them after a crash. The order is not confirmed before.
        """
        self._unfinished = text


OrderHandler: TypeAlias = Callable[[OrderResponseItem, OrderDelivery], object]
"""The function that is called with each order. If it returns a text, its number for the order, the confirmation has
that as `ThirdPartyOrderNumber`, without unprintable characters."""


class OrderDeliverer:
    """Hands over due orders, one at a time, under a lease."""

    def __init__(
        self, client: OctopusClient, handlers: HandlerRunner, handler: OrderHandler, options: InboxOptions
    ) -> None:
        self._client, self._handlers, self._handler, self._options = client, handlers, handler, options
        self._ledger = handlers.ledger
        self._next_state = HANDLED if options.confirm else KEPT
        self._finished: list[str] = []

    def deliver_one(self, report: Report) -> bool:
        """Hand over the next due order; False if there is none."""
        with self._handlers.claimed((WAITING, QUARANTINED), 1, begins=_READABLE) as lease:
            if not lease:
                return False
            self._ledger.reach("orders.claimed")
            row = lease.rows[0]
            if row.typed is None or not row.order_id:
                self._read_again(lease, row, report)
            else:
                self._deliver(lease, row, report)
        return True

    # -- handing over ------------------------------------------------------------------------------------------

    def _deliver(self, lease: Lease, row: Row[Any], report: Report) -> None:
        revision = row.revision + (row.content != row.handled_content)
        delivery = OrderDelivery(row.key, row.deliveries + 1, bool(row.delivering), revision, row.raw)
        try:
            order = order_of(row.typed)
            delivery.notice = CANCELLED if is_cancelled(order) else row.notice or ""
        except ValueError as error:  # another version stored it in another form: the next try lists it again
            reason = f"as stored {NOT_READABLE}: {type(error).__name__}"
            self._handlers.quarantine(lease, row, reason, typed=None)
            report.add("failed")
            return
        report.add("redelivered", int(delivery.redelivered))
        ended = self._handlers.deliver(
            lease,
            row,
            delivery,
            lambda: self._call(order, delivery),
            lambda connection, reference: self._finish(connection, lease, row, delivery, reference),
        )
        if ended != "done":
            report.add(ended)
            return
        self._ledger.reach("orders.committed")
        report.add("handled")
        if delivery.notice:
            report.add(delivery.notice.replace(" ", "_"))
        try:
            for call in delivery._afterwards:  # noqa: SLF001 - the delivery is ours; the user only adds to it
                call()
        except Exception as error:  # noqa: BLE001 - the order is handled, whatever is left to finish
            self._note_unfinished(row, f"after its commit: {reason_of(error, self._options.redactor)}")
        else:
            if delivery._unfinished is not None:  # noqa: SLF001 - as above
                self._finished.append(row.key)

    def note_finished(self) -> None:
        """Record that orders are finished, so that they can be confirmed."""
        keys, self._finished = self._finished, []
        if keys:
            with self._ledger.transaction() as connection:
                mine = and_(ORDERS.c.channel == self._ledger.channel, ORDERS.c.key.in_(keys))
                lock_in_order(connection, ORDERS, mine)
                connection.execute(update(ORDERS).where(mine).values(unfinished=None))

    def _note_unfinished(self, row: Row[Any], reason: str) -> None:
        with self._ledger.transaction() as connection:
            left = func.coalesce(ORDERS.c.unfinished, "")
            values = {"unfinished": left, "attempts": 1, "message": reason}
            connection.execute(update(ORDERS).where(*self._this(row)).values(values))

    def _call(self, order: OrderResponseItem, delivery: OrderDelivery) -> str | None:
        returned = self._handler(order, delivery)
        self._ledger.reach("orders.handled")
        if not isinstance(returned, str):
            return None
        plain = "".join(letter for letter in returned if letter.isprintable())  # XML does not allow some others
        return clip(plain, _MOST_REFERENCE) or None

    def _finish(
        self, connection: Connection, lease: Lease, row: Row[Any], delivery: OrderDelivery, reference: object
    ) -> bool:
        now = self._ledger.now(connection)
        values: dict[str, Any] = {
            "state": self._next_state,
            "due_at": now if self._next_state == HANDLED else None,
            "handled_content": row.content,
            "handled_at": now,
            "revision": delivery.revision,
            "reference": reference or row.reference,
            "unfinished": delivery._unfinished,  # noqa: SLF001 - the delivery is ours
            "notice": None,
            "delivering": 0,
            "attempts": 0,
            "message": "",
            **FREE,
        }
        if not connection.execute(self._handlers.change(lease, row).values(values)).rowcount:
            return False
        # A download may have stored another version while the handler ran. This is in the same transaction: otherwise
        # after a crash that version would be confirmed and never handed over.
        again: dict[str, Any] = {"state": WAITING, "due_at": now}
        if not self._options.deliver_changes:
            again = {"state": CHANGED, "due_at": None, "attempts": 1, "message": CHANGED_AFTERWARDS}
        connection.execute(update(ORDERS).where(*self._this(row), ORDERS.c.content != row.content).values(again))
        return True

    def _this(self, row: Row[Any]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return ORDERS.c.channel == self._ledger.channel, ORDERS.c.key == row.key

    # -- orders that cannot be read ----------------------------------------------------------------------------

    def _read_again(self, lease: Lease, row: Row[Any], report: Report) -> None:
        """List an unreadable order again; if it can be read now, it waits for the handler."""
        found: OrderRecord | None = None
        reason = row.message or NOT_READABLE
        if is_int32(row.order_id):
            try:
                outcomes = list_orders(self._client, row.store, OrderCriteria(order_id_list=[int(row.order_id)]))
                rows = [record_of(outcome, row.store, self._options.redactor) for outcome in outcomes]
                found = next((order for order in rows if order.key == row.key), None)
            except OctopusError as error:
                reason = reason_of(error, self._options.redactor)
        if found is None or found.problem:
            self._handlers.quarantine(lease, row, found.problem if found is not None else reason)
            report.add("failed")
            return
        with self._ledger.transaction() as connection:
            values: dict[str, Any] = {
                "state": WAITING,
                "due_at": self._ledger.now(connection),
                "raw": found.raw,
                "typed": found.typed,
                "content": found.content,
                "placed": found.placed,
                "attempts": 0,
                "message": "",
                **FREE,
            }
            connection.execute(self._handlers.change(lease, row).values(values))


def is_cancelled(order: OrderResponseItem) -> bool:
    """True if the order was cancelled on the service."""
    return order.date_cancelled_gmt is not None or (order.order_state or "").casefold() in _CANCELLED_STATES
