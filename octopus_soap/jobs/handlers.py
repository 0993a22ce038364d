"""Handlers: the user's code, called with stored orders and changes.

Purpose. A job claims rows, calls a handler with each, and finishes the row.

Invariants:

* The ledger records that a handler begins (`delivering`) before the handler is called. A row that has this mark when it
  is claimed was interrupted by a crash, and its next delivery has `redelivered`.
* With `transactional=True` the handler's statements and the mark that the row is done are one transaction.
* A worker that lost its lease finishes nothing.

On failure:

* If a handler raises, or ends the ledger's transaction, its row goes into quarantine: it is tried again after a pause
  that doubles each time, and no other row waits for it.
* Rows that were claimed and not finished are released, so that the next run need not wait for the lease to expire.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import bindparam, update

from octopus_soap.errors import LedgerError, OctopusError
from octopus_soap.jobs.leases import FREE
from octopus_soap.jobs.reports import Backoff, reason_of
from octopus_soap.jobs.tables import QUARANTINED, Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from threading import Event

    from sqlalchemy import ColumnElement, Connection, Row, Table

    from octopus_soap.jobs.leases import Lease
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.wire.redact import Redactor

    Finish = Callable[[Connection, object], bool]


class HandlerFailedError(Exception):
    """Ends the transaction of a handler that raised *error*."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class DestinationError(OctopusError):
    """A handler cannot store its work, such as on a full disk.

    Raise it in a handler. It ends the run. The order or item does not go into quarantine, because it is not the cause,
    and the next run hands it over again.
    """


class Deliverable(Protocol):
    """The argument of a handler."""

    connection: Connection | None


@dataclass(frozen=True, slots=True)
class HandlerRunner:
    """Claims rows of a work table, calls a handler with each, and records the result.

    Attributes:
        ledger: has the rows.
        table: a work table with the columns `delivering` and `deliveries`.
        transactional: the handler works in the transaction that finishes its row.
        seconds: how long a handler may take.
        backoff: pauses between tries of what failed.
        redactor: masks secrets in reasons.
        stop: once set, claimed rows that are not begun are released.
    """

    ledger: Ledger
    table: Table
    transactional: bool
    seconds: float
    backoff: Backoff
    redactor: Redactor = field(repr=False)
    stop: Event

    @contextmanager
    def claimed(
        self,
        states: Sequence[str],
        limit: int,
        *,
        seconds: float | None = None,
        where: Sequence[ColumnElement[bool]] = (),
        begins: ColumnElement[bool] | None = None,
    ) -> Generator[Lease]:
        """Claim due rows for the block; release them if it raises or is stopped.

        Args:
            states: the states of the rows to claim, such as `waiting`.
            limit: the maximum number of rows.
            seconds: how long the work may take; by default as long as a handler.
            where: further conditions.
            begins: rows that fulfil this condition get the mark `delivering`: their handler is called at once.
        """
        table, ledger = self.table, self.ledger
        with ledger.transaction() as connection:
            due, order = _due(table, tuple(states), tuple(where))
            span = self.seconds if seconds is None else seconds
            lease = ledger.claim(connection, table, where=due, order_by=order, limit=limit, seconds=span)
            if lease and begins is not None:
                connection.execute(update(table).where(lease.holds, begins).values(self._begun()))
        finished = False
        try:
            yield lease
            finished = not self.stop.is_set()
        finally:
            if lease and not finished:
                try:
                    with ledger.transaction() as connection:
                        ledger.release(connection, lease)
                except LedgerError:
                    ledger.give_up(lease.token)

    def begin(self, lease: Lease, row: Row[Any]) -> bool:
        """Record that the handler of *row* begins, and renew the lease; False if lost."""
        with self.ledger.transaction() as connection:
            self.ledger.renew(connection, lease, self.seconds)
            return connection.execute(self.change(lease, row).values(self._begun())).rowcount > 0

    def deliver(
        self, lease: Lease, row: Row[Any], item: Deliverable, call: Callable[[], object], finish: Finish
    ) -> str:
        """Call the handler and finish the row.

        Args:
            lease: holds the row.
            row: as it was claimed.
            item: gets the open transaction of a transactional job.
            call: calls the handler.
            finish: called in a transaction with what the handler returned; marks the row as done, and returns False if
                the lease was lost.

        Returns:
            `done`, `failed`, or `lease_lost` if another worker took the row over.

        Raises:
            DestinationError: the handler raised it.
        """
        try:
            done = self._in_one(lease, row, item, call, finish) if self.transactional else self._apart(call, finish)
        except HandlerFailedError as failed:
            if isinstance(failed.error, DestinationError):
                self._give_back(lease, row)
                raise failed.error from None
            self.quarantine(lease, row, reason_of(failed.error, self.redactor))
            return "failed"
        except LedgerError as error:
            # If the ledger still accepts a write, it was this handler's work in the transaction that it refused.
            if item.connection is None or not self.quarantine(lease, row, error.message):
                raise
            return "failed"
        finally:
            item.connection = None
        return "done" if done else "lease_lost"

    def quarantine(self, lease: Lease, row: Row[Any], reason: str, *same: ColumnElement[bool], **also: Any) -> bool:
        """Put a row into quarantine; False if the lease no longer holds it.

        If the row does not fulfil the conditions *same*, it is only released. *also* are further columns to write.
        """
        tries = row.attempts + 1
        with self.ledger.transaction() as connection:
            due = self.ledger.now(connection) + self.backoff.after(tries)
            this = self.change(lease, row)
            values = {"state": QUARANTINED, "due_at": due, "attempts": tries, "message": reason, **also}
            connection.execute(this.where(*same).values(values))
            return connection.execute(this.values(delivering=0, **FREE)).rowcount > 0

    def change(self, lease: Lease, row: Row[Any]) -> Any:
        """Return an UPDATE of *row* that changes nothing if the lease was lost."""
        return update(self.table).where(lease.holds, self.table.c.key == row.key)

    def _give_back(self, lease: Lease, row: Row[Any]) -> None:
        """Release a row as if its handler had never been called."""
        with self.ledger.transaction() as connection:
            before = {"delivering": row.delivering, "deliveries": row.deliveries}
            connection.execute(self.change(lease, row).values(**before, **FREE))

    def _begun(self) -> dict[str, Any]:
        return {"delivering": 1, "deliveries": self.table.c.deliveries + 1}

    def _in_one(
        self, lease: Lease, row: Row[Any], item: Deliverable, call: Callable[[], object], finish: Finish
    ) -> bool:
        """Run the handler and mark the row as done in one transaction."""
        with self.ledger.transaction() as connection:
            # This locks the row: until the commit no other worker can take it over.
            if not connection.execute(self.change(lease, row).values(delivering=1)).rowcount:
                return False
            item.connection = connection
            returned = _called(call)
            if not connection.in_transaction():
                raise HandlerFailedError(
                    LedgerError("the handler ended the ledger's transaction; leave commit and rollback to the job")
                )
            return finish(connection, returned)

    def _apart(self, call: Callable[[], object], finish: Finish) -> bool:
        returned = _called(call)
        with self.ledger.transaction() as connection:
            return finish(connection, returned)


@lru_cache(maxsize=64)
def _due(
    table: Table, states: tuple[str, ...], where: tuple[ColumnElement[bool], ...]
) -> tuple[tuple[ColumnElement[bool], ...], tuple[ColumnElement[Any], ...]]:
    """Return the conditions of due rows and their order."""
    # Cached, so that SQLAlchemy's statement for them is built once.
    now = bindparam("now", type_=Moment)
    return (table.c.state.in_(states), table.c.due_at <= now, *where), (table.c.due_at, table.c.key)


def _called(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:
        raise HandlerFailedError(error) from error
