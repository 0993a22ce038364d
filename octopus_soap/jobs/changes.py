"""The change feed: every item the service says has changed reaches its handler as it is now.

    with OctopusClient() as client, Ledger("shop.db") as ledger:
        report = ChangeFeed(client, ledger).run(lambda change: update_shop(change.sku, change.item))

Theory. `GetItemTblList` lists what has changed until `DeleteTblItem` takes it off, and the two know items, not changes:
taking an item off also takes off a change that came a moment before. So the order of the steps is all that matters:

1. *listed*: the list is read, for its SKUs alone.
2. *stored*: the SKUs are in the ledger, so that nothing is lost once the service has forgotten them.
3. *taken*: each is taken off the list.
4. *fetched*: the item is read as it is now, after it was taken off.
5. *handed over*, and 6. *done*, in the ledger.

Whenever the item changes, it comes right: before 3, the item fetched in 4 has that change; after 3, the service lists
the item again, and everything begins anew with it. A run goes round until the list is empty. An item that turns out to
be as it was handed over last is not handed over again.

After a crash the ledger says for each SKU which step it had come to, and to repeat a step does no harm: an item that is
taken off twice is not on the list, and 4 reads it as it is then. A handler that was interrupted is told so
(`redelivered`); with `transactional=True` what it wrote is undone with its transaction.

An item that is gone is an event of its own (`deleted`). One that cannot be read, or whose handler raises, goes into
quarantine: tried again after pauses that double, named in every report, and in nobody's way.

It does not matter whether the service lists an item once or once per change: all its rows are taken off before it is
fetched.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import delete, select, update

from octopus_soap.errors import (
    AuthenticationError,
    BatchError,
    ConfigError,
    InvalidInputError,
    LedgerError,
    OctopusError,
    Problem,
)
from octopus_soap.jobs.change_tables import CHANGES, DONE, LISTED, QUARANTINED, TAKEN
from octopus_soap.jobs.quarantine import Backoff, name_held, reason_of
from octopus_soap.jobs.running import KeyProblem, Report
from octopus_soap.results import BatchResult, Removal
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.leases import Lease
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.models import InventoryItem
    from octopus_soap.results import ItemOutcome

__all__ = ["Change", "ChangeFeed", "ChangeHandler"]

JOB = "changes"
STEPS = (
    "changes.listed",
    "changes.stored",
    "changes.taking",
    "changes.taken_off",
    "changes.fetched",
    "changes.handled",
    "changes.done",
)
"""The names of all steps, as `Ledger(reach=...)` is told."""

_FETCHED = 100
"""Items fetched together, as many as GetItemList takes."""
_TAKEN = 50
"""Items taken off the list under one lease; each is a request of its own."""
_MOST_REFUSALS = 3
"""Requests that fail one after the other before the service is taken to be down."""
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


class _HandlerFailedError(Exception):
    """Ends the transaction of a handler that failed."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class ChangeFeed:
    """Brings every changed item to a handler. See the module for what survives a crash.

    Args:
        client: of the account the ledger's channel belongs to.
        ledger: where SKUs are stored.
        transactional: the handler gets the ledger's open transaction as `change.connection`: what it writes there is
            committed together with the mark that the change is done, or not at all.
        handler_seconds: how long the handler may take.
        backoff: pauses between tries of what failed.
        most_rounds: how often a run reads the list; items that keep changing are left to the next run.

    Raises:
        InvalidInputError: an argument is not accepted.
    """

    def __init__(
        self,
        client: OctopusClient,
        ledger: Ledger,
        *,
        transactional: bool = False,
        handler_seconds: float = 600.0,
        backoff: Backoff | None = None,
        most_rounds: int = 10,
    ) -> None:
        if not handler_seconds > 0:
            raise InvalidInputError([Problem("must be above 0", field="handler_seconds", value=repr(handler_seconds))])
        if most_rounds < 1:
            raise InvalidInputError([Problem("must be 1 or more", field="most_rounds", value=repr(most_rounds))])
        self._client, self._ledger, self._transactional = client, ledger, transactional
        self._seconds, self._backoff, self._rounds = handler_seconds, backoff or Backoff(), most_rounds
        self._redactor = Redactor(client.settings.secrets())

    def __repr__(self) -> str:
        return f"<ChangeFeed {self._ledger!r}>"

    def run(self, handler: ChangeHandler, *, stop: Event | None = None) -> Report:
        """Hand over what has changed, until the service lists nothing and nothing is due.

        Args:
            handler: called as `handler(change)`. Returning means done; raising means try again later.
            stop: once set, the request and the handler under way end, and nothing new is begun.

        Returns:
            What was done, and every item that is quarantined.

        Raises:
            JobRunningError: another run is under way.
            LedgerError: the ledger cannot be used, or belongs to another account.
            AuthenticationError: the service does not accept the credentials.
            ConfigError: the settings do not allow what is needed, such as an unverified contract.
        """
        stop = stop or Event()
        self._ledger.bind(self._client)
        self._client.delete_tbl_item.dry_run("1")  # refuses now what would be refused with items stored
        report = Report(JOB, self._ledger.now())
        with self._ledger.run_lock(JOB):
            with self._ledger.transaction() as connection:
                self._ledger.take_from_the_dead(connection, CHANGES)
            run = _Run(self._client.with_options(stop=stop), self._ledger, handler, stop, report)
            run.transactional, run.seconds = self._transactional, self._seconds
            run.backoff, run.redactor = self._backoff, self._redactor
            try:
                run.rounds(self._rounds)
            except (AuthenticationError, ConfigError, LedgerError):
                raise
            except OctopusError as error:
                report.error = reason_of(error, self._redactor)
            self._end(report)
        report.interrupted = stop.is_set()
        return report

    def _end(self, report: Report) -> None:
        channel = self._ledger.channel
        with self._ledger.reading() as connection:
            name_held(connection, CHANGES, channel, (QUARANTINED,), report)
            listed = (CHANGES.c.channel == channel, CHANGES.c.state == LISTED, CHANGES.c.attempts > 0)
            rows = select(CHANGES.c.key, CHANGES.c.message, CHANGES.c.attempts).where(*listed).limit(_FETCHED)
            for row in connection.execute(rows):
                report.problems.append(KeyProblem(row.key, "still listed", row.message, row.attempts))
                report.problem_count += 1
            report.finished = self._ledger.now(connection)


class _Run:
    """One run of a feed."""

    transactional: bool
    seconds: float
    backoff: Backoff
    redactor: Redactor

    def __init__(
        self, client: OctopusClient, ledger: Ledger, handler: ChangeHandler, stop: Event, report: Report
    ) -> None:
        self._client, self._ledger, self._handler, self._stop, self._report = client, ledger, handler, stop, report

    def rounds(self, most: int) -> None:
        """Go round until the list is empty; what earlier runs left is done first."""
        for _ in range(most):
            self._take_off()
            self._fetch_and_deliver()
            if self._stop.is_set() or not self._read_list():
                return
        self._take_off()
        self._fetch_and_deliver()

    # -- listing -----------------------------------------------------------------------------------------------

    def _read_list(self) -> int:
        """Read the list and store its SKUs; return how many are to be taken off it."""
        try:
            page: BatchResult[InventoryItem] = self._client.get_item_tbl_list()
        except BatchError as error:
            page = error.result
        self._ledger.reach("changes.listed")
        named = Counter(outcome.key for outcome in page.outcomes if outcome.key)
        nameless = [outcome for outcome in page.outcomes if not outcome.key]
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            self._store_nameless(connection, nameless, now)
            self._store_skus(connection, named, now)
        self._ledger.reach("changes.stored")
        self._report.add("listed", len(named))
        return len(named)

    def _store_skus(self, connection: Connection, named: Counter[str], now: datetime) -> None:
        channel, known = self._ledger.channel, set[str]()
        skus = list(named)
        for start in range(0, len(skus), 500):  # SQLite's historic limit is 999 variables
            mine = (CHANGES.c.channel == channel, CHANGES.c.key.in_(skus[start : start + 500]))
            known |= {key for (key,) in connection.execute(select(CHANGES.c.key).where(*mine))}
        rows = [
            {"channel": channel, "key": sku, "generation": 1, "listed_rows": count, "listed_at": now}
            | {"state": LISTED, "due_at": now}
            for sku, count in named.items()
            if sku not in known
        ]
        if rows:
            connection.execute(CHANGES.insert(), rows)
        for sku in known:
            values = {"listed_rows": named[sku], "listed_at": now, "state": LISTED, "due_at": now, "attempts": 0}
            changed = update(CHANGES).where(CHANGES.c.channel == channel, CHANGES.c.key == sku)
            connection.execute(changed.values(generation=CHANGES.c.generation + 1, message="", **values))

    def _store_nameless(self, connection: Connection, rows: list[ItemOutcome[InventoryItem]], now: datetime) -> None:
        """Rows without a readable SKU cannot be taken off: they are told of for as long as they are listed."""
        channel = self._ledger.channel
        connection.execute(delete(CHANGES).where(CHANGES.c.channel == channel, CHANGES.c.key.startswith("?")))
        kept: dict[str, dict[str, Any]] = {}
        for outcome in rows:
            raw = self.redactor.body(outcome.raw or b"")
            reason = "it is on the list of changes without a readable SKU, and cannot be taken off"
            if outcome.error is not None:
                reason += f": {reason_of(outcome.error, self.redactor)}"
            kept[f"?{hashlib.sha256(raw.encode()).hexdigest()[:16]}"] = {"raw": raw, "message": reason}
        for key, values in kept.items():
            new = {"channel": channel, "key": key, "generation": 1, "listed_rows": 1, "listed_at": now, "attempts": 1}
            connection.execute(CHANGES.insert().values(state=QUARANTINED, due_at=None, **new, **values))

    # -- taking off --------------------------------------------------------------------------------------------

    def _take_off(self) -> None:
        refused = 0
        while not self._stop.is_set() and (lease := self._claimed((LISTED,), _TAKEN)):
            try:
                for row in lease.rows:
                    if self._stop.is_set():
                        break
                    error = self._taken_off(row)
                    refused = refused + 1 if error is not None else 0
                    self._note_taken(lease, row, error)
                    if error is not None and refused >= _MOST_REFUSALS:
                        raise error
            finally:
                self._give_back(lease)

    def _taken_off(self, row: Row[Any]) -> OctopusError | None:
        self._ledger.reach("changes.taking")
        try:
            for _ in range(row.listed_rows):
                if self._client.delete_tbl_item(row.key) is Removal.NOT_FOUND:
                    break
        except (AuthenticationError, ConfigError):
            raise
        except OctopusError as error:
            return error
        self._ledger.reach("changes.taken_off")
        return None

    def _note_taken(self, lease: Lease, row: Row[Any], error: OctopusError | None) -> None:
        this = (lease.holds, CHANGES.c.key == row.key, CHANGES.c.generation == row.generation)
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            values: dict[str, Any] = {"state": TAKEN, "due_at": now, "attempts": 0, "message": ""}
            if error is not None and not self._stop.is_set():
                tries = row.attempts + 1
                reason = f"it cannot be taken off the list of changes: {reason_of(error, self.redactor)}"
                values = {"due_at": now + self.backoff.after(tries), "attempts": tries, "message": reason}
            elif error is not None:
                return
            connection.execute(update(CHANGES).where(*this).values(leased_by=None, leased_until=None, **values))

    # -- fetching and handing over -----------------------------------------------------------------------------

    def _fetch_and_deliver(self) -> None:
        while not self._stop.is_set() and (lease := self._claimed((TAKEN, QUARANTINED), _FETCHED)):
            try:
                outcomes = self._fetched([row.key for row in lease.rows])
                self._ledger.reach("changes.fetched")
                for row in lease.rows:
                    if self._stop.is_set():
                        break
                    self._settle(lease, row, outcomes[row.key])
            finally:
                self._give_back(lease)

    def _fetched(self, skus: Iterable[str]) -> dict[str, ItemOutcome[InventoryItem]]:
        try:
            result = self._client.get_item_list(skus)
        except BatchError as error:
            result = error.result
            unanswered = next((o for o in result.unfinished if o.raw is None), None)
            if unanswered is not None:
                raise (unanswered.error or error) from error
        return {outcome.key: outcome for outcome in result.outcomes}

    def _settle(self, lease: Lease, row: Row[Any], outcome: ItemOutcome[InventoryItem]) -> None:
        if outcome.raw is not None:
            reason = "it cannot be read" if outcome.error is None else reason_of(outcome.error, self.redactor)
            self._failed(lease, row, reason, self.redactor.body(outcome.raw))
            return
        content = _DELETED if outcome.value is None else _content(outcome.value)
        if content == row.handled_content and not row.delivering:
            with self._ledger.transaction() as connection:
                self._finish(connection, lease, row, content)
            self._report.add("unchanged")
            return
        change = Change(row.key, outcome.value, row.deliveries + 1, bool(row.delivering))
        self._report.add("redelivered", int(change.redelivered))
        try:
            done = self._delivered(lease, row, change, content)
        except _HandlerFailedError as failed:
            self._failed(lease, row, reason_of(failed.error, self.redactor), None)
            return
        self._ledger.reach("changes.done")
        self._report.add(("deleted" if change.deleted else "handled") if done else "lease_lost")

    def _delivered(self, lease: Lease, row: Row[Any], change: Change, content: str) -> bool:
        this = (lease.holds, CHANGES.c.key == row.key)
        with self._ledger.transaction() as connection:
            self._ledger.renew(connection, lease, self.seconds)
            begun = {"delivering": 1, "deliveries": CHANGES.c.deliveries + 1}
            if not connection.execute(update(CHANGES).where(*this).values(begun)).rowcount:
                return False
        if not self.transactional:
            self._call(change)
            with self._ledger.transaction() as connection:
                return self._finish(connection, lease, row, content)
        with self._ledger.transaction() as connection:
            # Locks the row: from here to the commit nobody can take the change over.
            if not connection.execute(update(CHANGES).where(*this).values(delivering=1)).rowcount:
                return False
            change.connection = connection
            self._call(change)
            return self._finish(connection, lease, row, content)

    def _call(self, change: Change) -> None:
        try:
            self._handler(change)
        except Exception as error:
            raise _HandlerFailedError(error) from error
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

    def _failed(self, lease: Lease, row: Row[Any], reason: str, raw: str | None) -> None:
        tries = row.attempts + 1
        with self._ledger.transaction() as connection:
            due = self._ledger.now(connection) + self.backoff.after(tries)
            values = {"state": QUARANTINED, "due_at": due, "attempts": tries, "message": reason, "raw": raw}
            this = update(CHANGES).where(lease.holds, CHANGES.c.key == row.key)
            same = this.where(CHANGES.c.generation == row.generation)
            connection.execute(same.values(**values))
            connection.execute(this.values(delivering=0, leased_by=None, leased_until=None))
        self._report.add("failed")

    # -- leases ------------------------------------------------------------------------------------------------

    def _claimed(self, states: tuple[str, ...], limit: int) -> Lease:
        with self._ledger.transaction() as connection:
            due = (CHANGES.c.state.in_(states), CHANGES.c.due_at <= self._ledger.now(connection))
            order = (CHANGES.c.due_at, CHANGES.c.key)
            return self._ledger.claim(connection, CHANGES, where=due, order_by=order, limit=limit, seconds=self.seconds)

    def _give_back(self, lease: Lease) -> None:
        with suppress(LedgerError), self._ledger.transaction() as connection:
            self._ledger.release(connection, lease)


def _content(item: InventoryItem) -> str:
    return hashlib.sha256(item.model_dump_json(exclude_unset=True).encode()).hexdigest()[:32]
