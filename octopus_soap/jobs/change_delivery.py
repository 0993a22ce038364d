"""Fetching changed items as they are now, and handing them over: steps 4 to 6 of a change (see `changes.py`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import update

from octopus_soap.errors import BatchError, LedgerError
from octopus_soap.jobs.change_tables import CHANGES, DONE, QUARANTINED, TAKEN
from octopus_soap.jobs.quarantine import HandlerFailedError, reason_of, still_open
from octopus_soap.results import OutcomeStatus

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from threading import Event

    from sqlalchemy import Connection, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.errors import OctopusError
    from octopus_soap.jobs.leases import Lease
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.quarantine import Backoff
    from octopus_soap.jobs.running import Report
    from octopus_soap.models import InventoryItem
    from octopus_soap.results import BatchResult, ItemOutcome
    from octopus_soap.wire.redact import Redactor

_FETCHED = 100
"""Items fetched together, as many as GetItemList takes."""
_DELETED = "deleted"


@dataclass(slots=True)
class Change:
    """An item that has changed, as it is now.

    Attributes:
        sku: its SKU.
        item: the item; None where the service has it no more.
        attempt: how often this SKU was handed over, this time included.
        redelivered: an earlier handler was interrupted by a crash, so its work may be there already.
        connection: of a transactional feed, the ledger's open transaction; None otherwise.
    """

    sku: str
    item: InventoryItem | None
    attempt: int = 1
    redelivered: bool = False
    connection: Connection | None = field(default=None, repr=False)

    @property
    def deleted(self) -> bool:
        """Whether the service has the item no more."""
        return self.item is None


ChangeHandler: TypeAlias = Callable[[Change], object]


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What a feed was told (see `ChangeFeed`), and what masks secrets."""

    handler: ChangeHandler
    transactional: bool
    seconds: float
    backoff: Backoff
    redactor: Redactor = field(repr=False)


@contextmanager
def claimed(ledger: Ledger, states: tuple[str, ...], limit: int, seconds: float) -> Generator[Lease]:
    """Due changes in one of *states*, under a lease while the block runs; what it left undone is given back."""
    with ledger.transaction() as connection:
        due = (CHANGES.c.state.in_(states), CHANGES.c.due_at <= ledger.now(connection))
        order = (CHANGES.c.due_at, CHANGES.c.key)
        lease = ledger.claim(connection, CHANGES, where=due, order_by=order, limit=limit, seconds=seconds)
    try:
        yield lease
    finally:
        if lease:
            with suppress(LedgerError), ledger.transaction() as connection:
                ledger.release(connection, lease)


class ChangeDeliverer:
    """Fetches what was taken off the list, and hands it over item by item.

    Args:
        client: fetches.
        ledger: has the changes.
        options: of the feed.
        stop: once set, nothing new is begun.
        report: counts.
    """

    def __init__(
        self, client: OctopusClient, ledger: Ledger, options: FeedOptions, *, stop: Event, report: Report
    ) -> None:
        self._client, self._ledger = client, ledger
        self.options, self.stop, self.report = options, stop, report

    @property
    def handed_over(self) -> int:
        """How many changes came to the handler in this run, and to quarantine."""
        return sum(self.report.counts.get(name, 0) for name in ("handled", "deleted", "failed", "lease_lost"))

    def run(self) -> None:
        """Fetch and hand over until nothing is due."""
        while not self.stop.is_set():
            with claimed(self._ledger, (TAKEN, QUARANTINED), _FETCHED, self.options.seconds) as lease:
                if not lease:
                    return
                outcomes, down = self._fetched([row.key for row in lease.rows])
                self._ledger.reach("changes.fetched")
                for row in lease.rows:
                    if self.stop.is_set():
                        break
                    if row.key in outcomes:
                        self._settle(lease, row, outcomes[row.key])
                if down is not None:
                    raise down

    def _fetched(self, skus: Iterable[str]) -> tuple[dict[str, ItemOutcome[InventoryItem]], OctopusError | None]:
        """The items, and why others got no answer, where that is the service and not they."""
        try:
            result = self._client.get_item_list(skus)
        except BatchError as error:
            result = error.result
            unanswered = {o.key: o.error or error for o in result.unfinished if o.raw is None}
            if unanswered and not self._lies_in_the_items(result):
                answered = {o.key: o for o in result.outcomes if o.key not in unanswered}
                return answered, next(iter(unanswered.values()))
        return {outcome.key: outcome for outcome in result.outcomes}, None

    def _lies_in_the_items(self, result: BatchResult[InventoryItem]) -> bool:
        """Whether those without an answer were asked for, and the service is well otherwise."""
        asked = all(outcome.status is not OutcomeStatus.NOT_SENT for outcome in result.unfinished)
        return asked and not self.stop.is_set() and self._client.ping().ok

    def _settle(self, lease: Lease, row: Row[Any], outcome: ItemOutcome[InventoryItem]) -> None:
        if outcome.error is not None or outcome.raw is not None:
            reason = "it cannot be read" if outcome.error is None else reason_of(outcome.error, self.options.redactor)
            raw = None if outcome.raw is None else self.options.redactor.body(outcome.raw)
            self._failed(lease, row, reason, raw)
            return
        content = _DELETED if outcome.value is None else _content(outcome.value)
        if content == row.handled_content and not row.delivering:
            with self._ledger.transaction() as connection:
                self._finish(connection, lease, row, content)
            self.report.add("unchanged")
            return
        change = Change(row.key, outcome.value, row.deliveries + 1, bool(row.delivering))
        self.report.add("redelivered", int(change.redelivered))
        try:
            done = self._delivered(lease, row, change, content)
        except HandlerFailedError as failed:
            self._failed(lease, row, reason_of(failed.error, self.options.redactor), None)
            return
        except LedgerError as error:
            # Where the ledger answers otherwise, it is what this handler did in the transaction that it refuses.
            if change.connection is None or not self._failed(lease, row, error.message, None):
                raise
            return
        self._ledger.reach("changes.done")
        self.report.add(("deleted" if change.deleted else "handled") if done else "lease_lost")

    def _delivered(self, lease: Lease, row: Row[Any], change: Change, content: str) -> bool:
        this = (lease.holds, CHANGES.c.key == row.key)
        with self._ledger.transaction() as connection:
            self._ledger.renew(connection, lease, self.options.seconds)
            begun = {"delivering": 1, "deliveries": CHANGES.c.deliveries + 1}
            if not connection.execute(update(CHANGES).where(*this).values(begun)).rowcount:
                return False
        if not self.options.transactional:
            self._call(change)
            with self._ledger.transaction() as connection:
                return self._finish(connection, lease, row, content)
        with self._ledger.transaction() as connection:
            # Locks the row: from here to the commit nobody can take the change over.
            if not connection.execute(update(CHANGES).where(*this).values(delivering=1)).rowcount:
                return False
            change.connection = connection
            self._call(change)
            still_open(connection)
            return self._finish(connection, lease, row, content)

    def _call(self, change: Change) -> None:
        try:
            self.options.handler(change)
        except Exception as error:
            raise HandlerFailedError(error) from error
        self._ledger.reach("changes.handled")

    def _finish(self, connection: Connection, lease: Lease, row: Row[Any], content: str) -> bool:
        this = (lease.holds, CHANGES.c.key == row.key)
        known = {"handled_content": content, "handled_at": self._ledger.now(connection), "delivering": 0, "raw": None}
        free = {"leased_by": None, "leased_until": None}
        if not connection.execute(update(CHANGES).where(*this).values(**known)).rowcount:
            return False
        # Where it was listed again meanwhile, that generation is still to be done.
        settled = update(CHANGES).where(*this, CHANGES.c.generation == row.generation)
        connection.execute(settled.values(state=DONE, due_at=None, attempts=0, message=""))
        connection.execute(update(CHANGES).where(*this).values(**free))
        return True

    def _failed(self, lease: Lease, row: Row[Any], reason: str, raw: str | None) -> bool:
        """Note why the change is not done; False where the lease is lost, or the change was done after all."""
        tries = row.attempts + 1
        with self._ledger.transaction() as connection:
            due = self._ledger.now(connection) + self.options.backoff.after(tries)
            values = {"state": QUARANTINED, "due_at": due, "attempts": tries, "message": reason, "raw": raw}
            this = update(CHANGES).where(lease.holds, CHANGES.c.key == row.key)
            same = this.where(CHANGES.c.generation == row.generation)
            connection.execute(same.values(**values))
            mine = connection.execute(this.values(delivering=0, leased_by=None, leased_until=None)).rowcount > 0
        self.report.add("failed")
        return mine


def _content(item: InventoryItem) -> str:
    return hashlib.sha256(item.model_dump_json(exclude_unset=True).encode()).hexdigest()[:32]
