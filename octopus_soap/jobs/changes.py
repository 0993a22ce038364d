"""The change feed: hands every changed item to a handler, as it is now.

    with OctopusClient() as client, Ledger("shop.db") as ledger:
        report = ChangeFeed(client, ledger).run(lambda change: update_shop(change.sku, change.item))

Purpose. `GetItemTblList` lists changed items until `DeleteTblItem` takes them off. Both operate on items, not changes:
taking an item off also takes off a change that came a moment before. So the order of the steps matters:

1. *listed*: the SKUs of the list are read.
2. *stored*: the SKUs are in the ledger, so that nothing is lost when the service no longer lists them.
3. *taken*: each is taken off the list, several at a time.
4. *fetched*: the item is read as it is now, after it was taken off.
5. *handed over*, and 6. *done*, in the ledger.

Invariants:

* Every change arrives. If it came before 3, the item fetched in 4 has it. If it came after 3, the service lists the
  item again, and all steps are repeated. A run repeats them until the list is empty.
* An item that has not changed since it was last handed over is not handed over again.
* The service may list an item once or once per change: all its rows are taken off before it is fetched.
* A deleted item is handed over as such (`deleted`). An answer without the item is no proof: the service is asked
  whether the item exists.

On failure:

* After a crash the ledger has the step of each SKU, and repeating a step does no harm: an item that is taken off twice
  is not on the list, and 4 reads it as it is then. If a handler was interrupted, the next delivery has `redelivered`;
  with `transactional=True` the handler's writes are rolled back with its transaction.
* An item that cannot be read, or whose handler raises, goes into quarantine: it is tried again after pauses that
  double, and stays in every report. No other item waits for it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import and_, delete, select, tuple_, update

from octopus_soap.errors import (
    ApiStatusError,
    AuthenticationError,
    BatchError,
    ConfigError,
    InvalidInputError,
    LedgerError,
    OctopusError,
    Problem,
)
from octopus_soap.jobs.handlers import HandlerRunner
from octopus_soap.jobs.leases import FREE, lock_in_order
from octopus_soap.jobs.reports import Backoff, Report, reason_of, report_held
from octopus_soap.jobs.tables import CHANGES, DONE, LISTED, QUARANTINED, TAKEN, chunks
from octopus_soap.results import BatchResult, OutcomeStatus, Removal
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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
    "changes.listed", "changes.stored", "changes.taking", "changes.taken_off", "changes.fetched", "changes.handled",
    "changes.done",
)  # fmt: skip # read as a list of names
"""The names of all steps, as `Ledger(reach=...)` is called with."""

_FETCHED = 100
"""Items fetched together, as many as GetItemList takes."""
_TAKEN = 500
"""Items taken off the list under one lease; each is a request of its own."""
_NOTED = 50
"""Items whose removal is recorded in one transaction. After a crash they are taken off again, which does no harm."""
_MOST_REFUSALS = 3
"""Requests in a row without an answer, after which the service is considered down."""
_NOT_SENT = OctopusError("it was not sent")
_DELETED = "deleted"


@dataclass(slots=True)
class Change:
    """An item that has changed, as it is now.

    Attributes:
        sku: its SKU.
        item: the item; None if the service no longer has it.
        attempt: how often this SKU was handed over, including this time.
        redelivered: an earlier handler was interrupted by a crash, so its work may be done already.
        connection: the ledger's open transaction if the feed is transactional; None otherwise.
    """

    sku: str
    item: InventoryItem | None
    attempt: int = 1
    redelivered: bool = False
    connection: Connection | None = field(default=None, repr=False)

    @property
    def deleted(self) -> bool:
        """True if the service no longer has the item."""
        return self.item is None


ChangeHandler: TypeAlias = Callable[[Change], object]


class ChangeDeliverer:
    """Fetches items that were taken off the list, and hands them over one by one."""

    def __init__(self, client: OctopusClient, handlers: HandlerRunner, handler: ChangeHandler, report: Report) -> None:
        self._client, self._handlers, self._handler, self.report = client, handlers, handler, report
        self._ledger = handlers.ledger

    @property
    def handed_over(self) -> int:
        """How many changes of this run were handed over or put into quarantine."""
        return sum(self.report.counts.get(name, 0) for name in ("handled", "deleted", "failed", "lease_lost"))

    def run(self) -> None:
        """Fetch and hand over until nothing is due."""
        while not self._handlers.stop.is_set():
            with self._handlers.claimed((TAKEN, QUARANTINED), _FETCHED) as lease:
                if not lease:
                    return
                outcomes, down = self._fetched([row.key for row in lease.rows])
                self._ledger.reach("changes.fetched")
                for row in lease.rows:
                    if self._handlers.stop.is_set():
                        break
                    if row.key in outcomes:
                        self._settle(lease, row, outcomes[row.key])
                if down is not None:
                    raise down

    def _fetched(self, skus: Iterable[str]) -> tuple[dict[str, ItemOutcome[InventoryItem]], OctopusError | None]:
        """Return the items, and the error if the service failed for the others."""
        try:
            result = self._client.get_item_list(skus)
        except BatchError as error:
            result = error.result
            unanswered = {o.key: o.error or error for o in result.unfinished if o.raw is None}
            if unanswered and not self._fault_of_items(result):
                answered = {o.key: o for o in result.outcomes if o.key not in unanswered}
                return answered, next(iter(unanswered.values()))
        return self._without_doubts({outcome.key: outcome for outcome in result.outcomes})

    def _without_doubts(
        self, found: dict[str, ItemOutcome[InventoryItem]]
    ) -> tuple[dict[str, ItemOutcome[InventoryItem]], OctopusError | None]:
        """Ask whether missing items exist, because an incomplete answer is no deletion."""
        missing = [key for key, outcome in found.items() if outcome.status is OutcomeStatus.MISSING]
        if not missing:
            return found, None
        try:
            answers = self._client.is_sku_exist_list(missing).outcomes
        except (AuthenticationError, ConfigError):
            raise
        except OctopusError as error:
            return {key: outcome for key, outcome in found.items() if key not in missing}, error
        for answer in answers:
            if answer.value is not False:
                left_out = OctopusError("the answer left it out, and the service did not confirm that it is gone")
                found[answer.key] = replace(found[answer.key], status=OutcomeStatus.FAILED, error=left_out)
        return found, None

    def _fault_of_items(self, result: BatchResult[InventoryItem]) -> bool:
        """True if the unanswered items were asked for and the service otherwise works."""
        asked = all(outcome.status is not OutcomeStatus.NOT_SENT for outcome in result.unfinished)
        return asked and not self._handlers.stop.is_set() and self._client.ping().ok

    def _settle(self, lease: Lease, row: Row[Any], outcome: ItemOutcome[InventoryItem]) -> None:
        redactor = self._handlers.redactor
        same = CHANGES.c.generation == row.generation
        if outcome.error is not None or outcome.raw is not None:
            reason = "it cannot be read" if outcome.error is None else reason_of(outcome.error, redactor)
            raw = None if outcome.raw is None else redactor.body(outcome.raw)
            self._handlers.quarantine(lease, row, reason, same, raw=raw)
            self.report.add("failed")
            return
        content = _DELETED if outcome.value is None else _content(outcome.value)
        if content == row.handled_content and not row.delivering:
            with self._ledger.transaction() as connection:
                self._finish(connection, lease, row, content)
            self.report.add("unchanged")
            return
        change = Change(row.key, outcome.value, row.deliveries + 1, bool(row.delivering))
        self.report.add("redelivered", int(change.redelivered))
        ended = "lease_lost"
        if self._handlers.begin(lease, row):
            ended = self._handlers.deliver(
                lease, row, change, lambda: self._call(change), lambda c, _: self._finish(c, lease, row, content)
            )
        self._ledger.reach("changes.done")
        self.report.add(ended if ended != "done" else "deleted" if change.deleted else "handled")

    def _call(self, change: Change) -> None:
        self._handler(change)
        self._ledger.reach("changes.handled")

    def _finish(self, connection: Connection, lease: Lease, row: Row[Any], content: str) -> bool:
        this = self._handlers.change(lease, row)
        known = {"handled_content": content, "handled_at": self._ledger.now(connection), "delivering": 0, "raw": None}
        if not connection.execute(this.values(**known)).rowcount:
            return False
        # If it was listed again meanwhile, the new generation is still to be done.
        settled = this.where(CHANGES.c.generation == row.generation)
        connection.execute(settled.values(state=DONE, due_at=None, attempts=0, message=""))
        connection.execute(this.values(**FREE))
        return True


def _content(item: InventoryItem) -> str:
    return hashlib.sha256(item.model_dump_json(exclude_unset=True).encode()).hexdigest()[:32]


class ChangeFeed:
    """Hands every changed item to a handler. See the module for what survives a crash.

    Args:
        client: the client of the channel's account.
        ledger: stores the SKUs.
        transactional: the handler gets the ledger's open transaction as `change.connection`: its writes there are
            committed together with the mark that the change is done, or not at all. The handler must neither commit
            nor roll back.
        handler_seconds: how long the handler may take.
        backoff: pauses between tries of what failed.
        most_rounds: how often a run reads a list that has no new SKU. Items that keep changing are left to the next
            run.

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
        self._client, self._ledger, self._rounds = client, ledger, most_rounds
        self._transactional, self._seconds, self._backoff = transactional, handler_seconds, backoff or Backoff()
        self._redactor = Redactor(client.settings.secrets())

    def __repr__(self) -> str:
        return f"<ChangeFeed {self._ledger!r}>"

    def run(self, handler: ChangeHandler, *, stop: Event | None = None) -> Report:
        """Hand over what has changed, until the service lists nothing and nothing is due.

        Args:
            handler: called as `handler(change)`. Returning means done; raising means try again later.
            stop: once set, the request and the handler under way end, and nothing new is begun.

        Returns:
            The report, with every item that is quarantined.

        Raises:
            JobRunningError: another run is under way.
            LedgerError: the ledger cannot be used, or belongs to another account.
            AuthenticationError: the service does not accept the credentials.
            ConfigError: the settings do not allow what is needed, such as an unverified contract.
        """
        stop = stop or Event()
        self._ledger.bind(self._client)
        self._client.delete_tbl_item.dry_run("1")  # raises now what it would raise later, after items are stored
        report = Report(JOB, self._ledger.now())
        handlers = HandlerRunner(
            self._ledger, CHANGES, self._transactional, self._seconds, self._backoff, self._redactor, stop
        )
        with self._ledger.run_lock(JOB):
            with self._ledger.transaction() as connection:
                self._ledger.reclaim_dead_leases(connection, CHANGES)
                self._ledger.reset_future_due(connection, CHANGES, self._backoff.longest)
            client = self._client.with_options(stop=stop)
            run = _Run(client, handlers, ChangeDeliverer(client, handlers, handler, report))
            try:
                if not self._ledger.keeps_pause(report):
                    run.rounds(self._rounds)
            except (AuthenticationError, ConfigError, LedgerError):
                raise
            except OctopusError as error:
                self._ledger.note_failure(error, report)
                report.error = reason_of(error, self._redactor)
            with self._ledger.reading() as connection:
                report_held(connection, CHANGES, self._ledger.channel, report)
                report.finished = self._ledger.now(connection)
        report.interrupted = stop.is_set()
        return report


class _Run:
    """One run of a feed."""

    def __init__(self, client: OctopusClient, handlers: HandlerRunner, deliverer: ChangeDeliverer) -> None:
        self._client, self._handlers, self._deliverer = client, handlers, deliverer
        self._ledger, self._stop, self._report = handlers.ledger, handlers.stop, deliverer.report
        self._listed: set[str] = set()
        self._counting, self._refused = Lock(), 0
        self._down: OctopusError | None = None

    def rounds(self, most: int) -> None:
        """Do what earlier runs left, then all steps until the list has nothing new.

        A round whose list has a new SKU is not counted, because a service may list only a part of the changed items.
        """
        rounds, at = 0, 0
        while rounds < most:
            before, known = self._deliverer.handed_over, len(self._listed)
            self._take_off()
            self._deliverer.run()
            self._report.incomplete = self._stop.is_set() and not at
            if self._stop.is_set() or (at and before == self._deliverer.handed_over) or not self._read_list():
                return
            rounds += len(self._listed) == known
            at += 1
        self._take_off()
        self._deliverer.run()

    # -- listing -----------------------------------------------------------------------------------------------

    def _read_list(self) -> int:
        """Read the list and store its SKUs; return how many are to be taken off it.

        The list has no limit, so its rows are read while they arrive, and only the SKUs are kept. A truncated reply
        raises at its end: then nothing of it is stored, and the next run reads it again.
        """
        named: Counter[str] = Counter()
        nameless: list[ItemOutcome[InventoryItem]] = []
        for part in self._client.get_item_tbl_list.stream():
            for outcome in part.outcomes:
                if outcome.key:
                    named[outcome.key] += 1
                else:
                    nameless.append(outcome)
        self._ledger.reach("changes.listed")
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            self._store_nameless(connection, nameless, now)
            waiting = self._store_skus(connection, named, now)
        self._ledger.reach("changes.stored")
        self._listed.update(named)
        self._report.add("listed", len(named))
        return len(named) - waiting

    def _store_skus(self, connection: Connection, named: Counter[str], now: datetime) -> int:
        """Store the SKUs; return how many wait for their next try to be taken off."""
        channel, known, waiting = self._ledger.channel, set[str](), set[str]()
        for some in chunks(list(named)):
            mine = (CHANGES.c.channel == channel, CHANGES.c.key.in_(some))
            rows = connection.execute(select(CHANGES.c.key, CHANGES.c.state, CHANGES.c.due_at).where(*mine)).all()
            known |= {row.key for row in rows}
            waiting |= {row.key for row in rows if row.state == LISTED and row.due_at > now}
        new = [
            {"channel": channel, "key": sku, "generation": 1, "listed_rows": count, "listed_at": now}
            | {"state": LISTED, "due_at": now}
            for sku, count in named.items()
            if sku not in known
        ]
        if new:
            connection.execute(CHANGES.insert(), new)
        afresh: dict[str, Any] = {"state": LISTED, "due_at": now, "attempts": 0, "message": ""}
        for sku in known:
            values = {"listed_rows": named[sku], "listed_at": now} | ({} if sku in waiting else afresh)
            changed = update(CHANGES).where(CHANGES.c.channel == channel, CHANGES.c.key == sku)
            connection.execute(changed.values(generation=CHANGES.c.generation + 1, **values))
        return len(waiting)

    def _store_nameless(self, connection: Connection, rows: list[ItemOutcome[InventoryItem]], now: datetime) -> None:
        """Store rows without a readable SKU, which cannot be taken off, for the reports."""
        channel = self._ledger.channel
        # A SKU may begin with a question mark too, but its row has a due time until it is done.
        these = (CHANGES.c.key.startswith("?"), CHANGES.c.state == QUARANTINED, CHANGES.c.due_at.is_(None))
        connection.execute(delete(CHANGES).where(CHANGES.c.channel == channel, *these))
        kept: dict[str, dict[str, Any]] = {}
        for outcome in rows:
            raw = self._handlers.redactor.body(outcome.raw or b"")
            reason = "it is on the list of changes without a readable SKU, and cannot be taken off"
            if outcome.error is not None:
                reason += f": {reason_of(outcome.error, self._handlers.redactor)}"
            kept[f"?{hashlib.sha256(raw.encode()).hexdigest()[:16]}"] = {"raw": raw, "message": reason}
        for key, values in kept.items():
            new = {"channel": channel, "key": key, "generation": 1, "listed_rows": 1, "listed_at": now, "attempts": 1}
            connection.execute(CHANGES.insert().values(state=QUARANTINED, due_at=None, **new, **values))

    # -- taking off --------------------------------------------------------------------------------------------

    def _take_off(self) -> None:
        """Take the listed SKUs off the list, in any order, over all connections.

        Raises:
            OctopusError: the service is down: three requests in a row had no answer. No request is begun after the
                third, and those under way on other connections end.
        """
        seconds = self._handlers.seconds
        with ThreadPoolExecutor(self._client.settings.max_connections, "octopus-changes") as pool:
            while not self._stop.is_set() and self._down is None:
                with self._handlers.claimed((LISTED,), _TAKEN, seconds=seconds) as lease:
                    if not lease:
                        return
                    with self._ledger.heartbeat(lease, seconds):
                        self._take_off_rows(pool, lease)
                    if self._down is not None:
                        raise self._down

    def _take_off_rows(self, pool: ThreadPoolExecutor, lease: Lease) -> None:
        """Take the rows of a lease off the list, and record which are."""
        noted: list[tuple[Row[Any], OctopusError | None]] = []
        under_way: dict[Future[OctopusError | None], Row[Any]] = {}
        try:
            for row in lease.rows:
                self._ledger.reach("changes.taking")
                under_way[pool.submit(self._taken_off, row)] = row
            for future in as_completed(under_way):
                error = future.result()
                row = under_way.pop(future)
                if error is _NOT_SENT:
                    continue
                if error is None:
                    self._ledger.reach("changes.taken_off")
                noted.append((row, error))
                if len(noted) >= _NOTED:
                    self._note_taken(lease, noted)
                    noted = []
        finally:
            for future in under_way:
                future.cancel()
            self._note_taken(lease, noted)

    def _taken_off(self, row: Row[Any]) -> OctopusError | None:
        """Take one item off the list; return the error if that failed."""
        if self._stop.is_set() or self._down is not None:
            return _NOT_SENT
        error: OctopusError | None = None
        try:
            for _ in range(row.listed_rows):
                if self._client.delete_tbl_item(row.key) is Removal.NOT_FOUND:
                    break
        except (AuthenticationError, ConfigError) as refused:
            self._down = refused
            raise
        except OctopusError as failed:
            error = failed
        with self._counting:
            fault_of_item = isinstance(error, ApiStatusError | InvalidInputError)
            self._refused = 0 if error is None or fault_of_item else self._refused + 1
            if error is not None and self._refused >= _MOST_REFUSALS and self._down is None:
                self._down = error
        return error

    def _note_taken(self, lease: Lease, rows: Sequence[tuple[Row[Any], OctopusError | None]]) -> None:
        """Record in one transaction whether rows were taken off."""
        done = [(row.key, row.generation) for row, error in rows if error is None]
        failed = [] if self._stop.is_set() else [(row, error) for row, error in rows if error is not None]
        if not done and not failed:
            return
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            if done:
                keys = CHANGES.c.key.in_([key for key, _ in done])
                lock_in_order(connection, CHANGES, and_(lease.holds, keys))
                taken: dict[str, Any] = {"state": TAKEN, "due_at": now, "attempts": 0, "message": "", **FREE}
                these = tuple_(CHANGES.c.key, CHANGES.c.generation).in_(done)
                connection.execute(update(CHANGES).where(lease.holds, these).values(**taken))
            for row, error in failed:
                tries = row.attempts + 1
                reason = f"it cannot be taken off the list of changes: {reason_of(error, self._handlers.redactor)}"
                values = {"due_at": now + self._handlers.backoff.after(tries), "attempts": tries, "message": reason}
                this = (lease.holds, CHANGES.c.key == row.key, CHANGES.c.generation == row.generation)
                connection.execute(update(CHANGES).where(*this).values(**values, **FREE))
