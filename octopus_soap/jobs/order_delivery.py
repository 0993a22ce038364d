"""Delivering: one stored order to the handler, and what came of it into the ledger."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import select, update

from octopus_soap._http import clip
from octopus_soap.errors import LedgerError, OctopusError
from octopus_soap.jobs.order_download import CHANGED, list_orders
from octopus_soap.jobs.order_records import Listed, listed, restored
from octopus_soap.jobs.order_tables import HANDLED, KEPT, ORDERS, QUARANTINED, WAITING
from octopus_soap.jobs.quarantine import HandlerFailedError, reason_of, still_open
from octopus_soap.jobs.running import KeyProblem
from octopus_soap.models import OrderCriteria, OrderResponseItem
from octopus_soap.models.scalars import is_int32

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.leases import Lease
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.order_options import InboxOptions
    from octopus_soap.jobs.running import Report

NOT_READABLE = "it cannot be read"
_MOST_REFERENCE = 200


@dataclass(slots=True)
class Delivery:
    """How an order comes to its handler.

    Attributes:
        key: what tells this order from all others of the channel: its id, with `@store` where the inbox reads store by
            store. The same in every delivery.
        attempt: how often it was handed over, this time included.
        redelivered: an earlier handler was interrupted by a crash, so its work may be there already. Never with a
            transactional inbox whose handler works on `connection` alone: then that work was undone.
        revision: 1; more where the order was changed on the service after it was handled (`on_change="deliver"`).
        raw: its XML, with card numbers masked.
        connection: of a transactional inbox, the ledger's open transaction; None otherwise.
    """

    key: str
    attempt: int
    redelivered: bool
    revision: int
    raw: str = field(repr=False)
    connection: Connection | None = field(default=None, repr=False)
    _afterwards: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]], repr=False)

    def after_commit(self, call: Callable[[], object]) -> None:
        """Have *call* made once the ledger has committed that the order is handled, and before it is confirmed.

        A crash in between loses the call: it should only finish what can be finished later as well, such as giving a
        file its final name. If it raises, the report of this run says so; the order is handled all the same.
        """
        self._afterwards.append(call)


Handler: TypeAlias = Callable[[OrderResponseItem, Delivery], object]
"""What is called with each order. A text it returns is its own number for the order, and goes into the confirmation as
`ThirdPartyOrderNumber`, without what does not print."""


class Deliverer:
    """Hands over what is due, one order at a time, under a lease.

    Args:
        client: asks again for orders that could not be read.
        ledger: has the orders.
        handler: the user's.
        options: of the inbox.
    """

    def __init__(self, client: OctopusClient, ledger: Ledger, handler: Handler, options: InboxOptions) -> None:
        self._client, self._ledger, self._handler, self._options = client, ledger, handler, options
        self._next_state = HANDLED if options.confirm else KEPT

    def deliver_one(self, report: Report) -> bool:
        """Hand over the next order that is due; False where there is none."""
        lease = self._claimed()
        if not lease:
            return False
        self._ledger.reach("orders.claimed")
        row = lease.rows[0]
        try:
            if row.typed is None or not row.order_id:
                self._read_again(lease, row, report)
            else:
                self._deliver(lease, row, report)
        except BaseException:
            # Ctrl-C in the handler, or a ledger that was away: nobody waits for the lease to run out, and the next
            # delivery says that this one was interrupted.
            with suppress(LedgerError), self._ledger.transaction() as connection:
                self._ledger.release(connection, lease)
            raise
        return True

    def _claimed(self) -> Lease:
        with self._ledger.transaction() as connection:
            due = (ORDERS.c.state.in_((WAITING, QUARANTINED)), ORDERS.c.due_at <= self._ledger.now(connection))
            order = (ORDERS.c.due_at, ORDERS.c.key)
            lease = self._ledger.claim(
                connection, ORDERS, where=due, order_by=order, limit=1, seconds=self._options.handler_seconds
            )
            if lease and lease.rows[0].typed is not None and lease.rows[0].order_id:
                begun = {"delivering": 1, "deliveries": ORDERS.c.deliveries + 1}
                connection.execute(update(ORDERS).where(lease.holds).values(begun))
            return lease

    # -- handing over ------------------------------------------------------------------------------------------

    def _deliver(self, lease: Lease, row: Row[Any], report: Report) -> None:
        delivery = Delivery(row.key, row.deliveries + 1, bool(row.delivering), row.revision + 1, row.raw)
        try:
            order = restored(row.typed)
        except ValueError as error:  # stored by a version that read orders otherwise: the next try asks for it again
            self._failed(lease, row, f"as stored {NOT_READABLE}: {type(error).__name__}", report, typed=None)
            return
        report.add("redelivered", int(delivery.redelivered))
        try:
            mine = (
                self._in_one(lease, row, order, delivery)
                if self._options.transactional
                else self._apart(lease, row, order, delivery)
            )
        except HandlerFailedError as failed:
            self._failed(lease, row, reason_of(failed.error, self._options.redactor), report)
            return
        except LedgerError as error:
            # Where the ledger answers otherwise, it is what this handler did in the transaction that it refuses.
            if delivery.connection is None or not self._failed(lease, row, error.message, report):
                raise
            return
        delivery.connection = None
        self._ledger.reach("orders.committed")
        if not mine:
            report.add("lease_lost")
            return
        report.add("handled")
        for call in delivery._afterwards:  # noqa: SLF001 - the delivery is ours; the user only adds to it
            try:
                call()
            except Exception as error:  # noqa: BLE001 - the order is handled, whatever is left to finish
                reason = f"after its commit: {reason_of(error, self._options.redactor)}"
                report.problems.append(KeyProblem(row.key, "handled", reason))
                report.problem_count += 1
        self._look_for_changes(row, report)

    def _in_one(self, lease: Lease, row: Row[Any], order: OrderResponseItem, delivery: Delivery) -> bool:
        """The handler's work and the mark that it is done, in one transaction."""
        with self._ledger.transaction() as connection:
            # Locks the row: from here to the commit nobody can take the order over.
            if not self._ledger.renew(connection, lease, self._options.handler_seconds):
                return False
            delivery.connection = connection
            reference = self._called(order, delivery)
            still_open(connection)
            return self._finish(connection, lease, row, reference)

    def _apart(self, lease: Lease, row: Row[Any], order: OrderResponseItem, delivery: Delivery) -> bool:
        reference = self._called(order, delivery)
        with self._ledger.transaction() as connection:
            return self._finish(connection, lease, row, reference)

    def _called(self, order: OrderResponseItem, delivery: Delivery) -> str | None:
        try:
            returned = self._handler(order, delivery)
        except Exception as error:
            raise HandlerFailedError(error) from error
        self._ledger.reach("orders.handled")
        if not isinstance(returned, str):
            return None
        plain = "".join(letter for letter in returned if letter.isprintable())  # what a message could not carry
        return clip(plain, _MOST_REFERENCE) or None

    def _finish(self, connection: Connection, lease: Lease, row: Row[Any], reference: str | None) -> bool:
        now = self._ledger.now(connection)
        values: dict[str, Any] = {
            "state": self._next_state,
            "due_at": now if self._next_state == HANDLED else None,
            "handled_content": row.content,
            "handled_at": now,
            "revision": row.revision + 1,
            "reference": reference or row.reference,
            "delivering": 0,
            "attempts": 0,
            "message": "",
            "leased_by": None,
            "leased_until": None,
        }
        if not connection.execute(update(ORDERS).where(lease.holds).values(values)).rowcount:
            return False
        if self._options.deliver_changes:
            # A download may have brought another version while the handler had this one. In the same transaction, or a
            # crash would leave it confirmed and never handed over.
            again = {"state": WAITING, "due_at": now}
            connection.execute(update(ORDERS).where(*self._this(row), ORDERS.c.content != row.content).values(again))
        return True

    def _this(self, row: Row[Any]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return ORDERS.c.channel == self._ledger.channel, ORDERS.c.key == row.key

    def _failed(self, lease: Lease, row: Row[Any], reason: str, report: Report, **also: None) -> bool:
        """Note why the order is not handled; False where the lease is lost, or the order was handled after all."""
        with self._ledger.transaction() as connection:
            tries = row.attempts + 1
            values: dict[str, Any] = {
                "state": QUARANTINED,
                "due_at": self._ledger.now(connection) + self._options.backoff.after(tries),
                "attempts": tries,
                "message": reason,
                "delivering": 0,
                "leased_by": None,
                "leased_until": None,
                **also,
            }
            mine = connection.execute(update(ORDERS).where(lease.holds).values(values)).rowcount > 0
        report.add("failed")
        return mine

    def _look_for_changes(self, row: Row[Any], report: Report) -> None:
        """Report another version that a download brought while the handler had this one."""
        with self._ledger.reading() as connection:
            content = connection.execute(select(ORDERS.c.content).where(*self._this(row))).scalar_one()
        if content == row.content:
            return
        report.add("changed")
        if not self._options.deliver_changes:
            report.problems.append(KeyProblem(row.key, "changed", CHANGED))
            report.problem_count += 1

    # -- orders that cannot be read ----------------------------------------------------------------------------

    def _read_again(self, lease: Lease, row: Row[Any], report: Report) -> None:
        """Ask for the order once more; one that can be read now waits for the handler like any other."""
        found: Listed | None = None
        reason = row.message or NOT_READABLE
        if is_int32(row.order_id):
            try:
                outcomes = list_orders(
                    self._client, row.store, OrderCriteria(order_id_list=[int(row.order_id)])
                ).outcomes
                rows = [listed(outcome, row.store, self._options.redactor) for outcome in outcomes]
                found = next((order for order in rows if order.key == row.key), None)
            except OctopusError as error:
                reason = reason_of(error, self._options.redactor)
        if found is None or found.problem:
            self._failed(lease, row, found.problem if found is not None else reason, report)
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
                "leased_by": None,
                "leased_until": None,
            }
            connection.execute(update(ORDERS).where(lease.holds).values(values))
