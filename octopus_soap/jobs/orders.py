"""The order inbox: hands every order to a handler, and then confirms it.

    with OctopusClient() as client, Ledger("shop.db") as ledger:
        report = OrderInbox(client, ledger).run(lambda order, delivery: book(order))

Purpose. A confirmed order is never listed again, so a confirmation destroys the service's copy. It is the last step of
an order, and each step is recorded before the next begins:

1. *listed*: a window of creation times is read (`order_download.py`).
2. *stored*: its orders, as XML and decoded, and the watermark are stored in one transaction. State `waiting`.
3. *claimed*: one worker takes the order under a lease, and records in the same transaction that its handler begins.
4. *handled*: the handler has returned.
5. *committed*: the ledger has recorded that. State `handled`.
6. *confirmed*: the service got the confirmation, and no longer lists the order (`order_confirm.py`). State `confirmed`.

Invariants:

* An order that is changed on the service before it was handled is handed over as it is now. An order that is changed
  afterwards is held and not confirmed (state `changed`), unless `on_change="deliver"`.
* Two orders with one id are two rows, and the id is confirmed when both are handled.
* An order that waited is listed again before it is handed over.
* Several processes may share the work: one calls `run`, the others `work`; all hand over and confirm, under leases.

On failure, if the process is killed or the power fails:

* before 2: the ledger does not have the order, and nothing was confirmed. The next run lists it again.
* between 2 and 3: it waits in the ledger, whatever the service lists.
* between 3 and 5: how far the handler came is not known. The order is handed over again, and the delivery has
  `redelivered`. With `transactional=True` the handler's own statements are part of the transaction of 5 and are rolled
  back with it, so they take effect exactly once.
* between 5 and 6: it is not handed over again. It is confirmed, perhaps twice, which does no harm.
* after 6: it is done. If it is listed all the same, its key is found and it is confirmed again.

An order whose handler raises, or that cannot be read, goes into quarantine: it is tried again after pauses that double,
stays in every report, and is never confirmed. No other order waits for it. If the service does not answer, the rest of
the run asks it nothing more.
"""

from __future__ import annotations

import json
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, bindparam, exists, func, literal_column, or_, select, update

from octopus_soap.errors import AuthenticationError, ConfigError, LedgerError, OctopusError, TransportError
from octopus_soap.jobs.handlers import DestinationError, HandlerRunner
from octopus_soap.jobs.leases import FREE, has_exited, lock_in_order
from octopus_soap.jobs.order_confirm import STILL_LISTED, Confirmation, OrderConfirmer
from octopus_soap.jobs.order_delivery import OrderDeliverer, OrderDelivery, OrderHandler
from octopus_soap.jobs.order_download import Download
from octopus_soap.jobs.order_listing import InboxOptions
from octopus_soap.jobs.reports import Backoff, KeyProblem, Report, reason_of, report_held
from octopus_soap.jobs.tables import (
    CHANGED,
    CONFIRMED,
    HANDLED,
    KEPT,
    ORDER_CURSORS,
    ORDER_GAPS,
    ORDERS,
    QUARANTINED,
    RUN_LOCK,
    WAITING,
    Moment,
)
from octopus_soap.models import OrderDownloadSubmitRequest
from octopus_soap.models.scalars import is_int32
from octopus_soap.results import Progress
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.leases import Lease
    from octopus_soap.jobs.ledger import Ledger

    Watch = Callable[[Progress], object] | None

__all__ = ["OrderDelivery", "OrderHandler", "OrderInbox"]

JOB = "orders"
STEPS = (
    "orders.listed", "orders.storing", "orders.stored", "orders.claimed", "orders.handled", "orders.committed",
    "orders.confirming", "orders.confirm_sent", "orders.confirmed",
)  # fmt: skip # read as a list of names
"""The names of all steps, as `Ledger(reach=...)` is called with. `storing` is inside its transaction, and so is
`handled` in a transactional inbox."""

_AT_ONCE = 100
"""Orders that are handled, and then confirmed together."""
_NO_SUCH_STORE = (
    "the service has never listed an order of this store, and cannot be asked whether it exists: check the id. This "
    "problem ends with the store's first order"
)
_CONFIRM_SECONDS = 300.0
_IDLE_SECONDS = 0.2
_LISTED_LATELY = timedelta(minutes=15)
"""An order that was listed longer ago is listed again before it is handed over."""
_TWIN = ORDERS.alias("twin")
_CONFIRMABLE = (
    ORDERS.c.unfinished.is_(None),
    # A confirmation has only the id, so it would also confirm another order with that id.
    ~exists().where(
        _TWIN.c.channel == ORDERS.c.channel,
        _TWIN.c.order_id == ORDERS.c.order_id,
        _TWIN.c.store == ORDERS.c.store,
        _TWIN.c.key != ORDERS.c.key,
        or_(_TWIN.c.state.in_((WAITING, QUARANTINED, CHANGED)), _TWIN.c.unfinished.is_not(None)),
    ),
)

_MINE = ORDERS.c.channel == bindparam("whose")
_IS_KEPT = ORDERS.c.state == literal_column(f"'{KEPT}'")  # a literal, so that the index is used
_ANY_KEPT = select(ORDERS.c.key).where(_MINE, _IS_KEPT).limit(1)
_CURSORS = select(ORDER_CURSORS.c.store).where(ORDER_CURSORS.c.channel == bindparam("whose")).limit(1)
_ANY_WHOLE, _ANY_STORE = _CURSORS.where(ORDER_CURSORS.c.store == ""), _CURSORS.where(ORDER_CURSORS.c.store != "")
_WAITED = (
    select(ORDERS.c.store, ORDERS.c.order_id)
    .where(
        _MINE,
        ORDERS.c.state.in_((WAITING, QUARANTINED)),
        ORDERS.c.due_at <= bindparam("now", type_=Moment),
        ORDERS.c.typed.is_not(None),
        or_(ORDERS.c.listed_at.is_(None), ORDERS.c.listed_at < bindparam("before", type_=Moment)),
        ORDERS.c.leased_by.is_(None),
    )
    .order_by(ORDERS.c.due_at, ORDERS.c.key)
    .limit(_AT_ONCE)
)


class OrderInbox:
    """Hands every order to a handler, and then confirms it. The module has the steps.

    Args:
        client: the client of the channel's account.
        ledger: stores the orders.
        stores: store ids, to download each store's part of the orders by `GetOrderListStore`; by default the whole
            account's orders. A channel of a ledger cannot change from one to the other.
        since: orders created before are not downloaded; aware. By default every order that is not confirmed is.
        overlap: how far before the newest known order each run begins. It must exceed the error of clocks and time
            zones.
        sweep: how often everything from *since* on is listed too, for orders that appear later than others with a later
            time; None for never.
        transactional: the handler gets the ledger's open transaction as `delivery.connection`: its writes there are
            committed together with the mark that the order is handled, or not at all. On SQLite no other process can
            write meanwhile. The handler must neither commit nor roll back.
        confirm: False to confirm nothing; the service then lists the same orders again, and their keys are recognised.
        on_change: what to do if an order was changed after it was handled. `hold`: it stays in every report, and is
            not confirmed, until the change is acknowledged (`octopus-soap ledger acknowledge`) or handed over
            (`octopus-soap ledger retry`). `deliver`: hand the new version over, with `delivery.revision` 2.
        payment: hand over only orders with this payment status, such as `Cleared`. Other orders stay on the service,
            and are handed over when they have this status.
        shipping: the same for the shipping status, such as `Unshipped`.
        handler_seconds: how long the handler may take before another process takes the order over.
        backoff: pauses between tries of what failed.

    Raises:
        InvalidInputError: an argument is not accepted.
    """

    def __init__(
        self,
        client: OctopusClient,
        ledger: Ledger,
        *,
        stores: Sequence[str] = (),
        since: datetime | None = None,
        overlap: timedelta = timedelta(days=1),
        sweep: timedelta | None = timedelta(hours=1),
        transactional: bool = False,
        confirm: bool = True,
        on_change: Literal["hold", "deliver"] = "hold",
        payment: str | None = None,
        shipping: str | None = None,
        handler_seconds: float = 600.0,
        backoff: Backoff | None = None,
    ) -> None:
        given = (stores,) if isinstance(stores, str) else tuple(stores)
        self._options = InboxOptions(
            stores=given,
            since=since,
            overlap=overlap,
            sweep=sweep,
            transactional=transactional,
            confirm=confirm,
            on_change=on_change,
            payment=payment,
            shipping=shipping,
            handler_seconds=handler_seconds,
            backoff=backoff or Backoff(),
            redactor=Redactor(client.settings.secrets()),
        )
        self._client, self._ledger = client, ledger

    def __repr__(self) -> str:
        whose = f" stores={list(self._options.stores)}" if self._options.stores else ""
        return f"<OrderInbox {self._ledger!r}{whose}>"

    def run(
        self, handler: OrderHandler, *, stop: Event | None = None, progress: Callable[[Progress], object] | None = None
    ) -> Report:
        """Download, hand over and confirm orders until nothing is due.

        Args:
            handler: called as `handler(order, delivery)`. Returning means done; raising means try again later. A text
                that it returns is sent in the confirmation as the order's `ThirdPartyOrderNumber`.
            stop: once set, the request and the handler under way end, nothing new is begun, and the report is
                `interrupted`.
            progress: called after each order that was handed over.

        Returns:
            The report, with every order that is quarantined or not confirmed.

        Raises:
            JobRunningError: another run is under way.
            LedgerError: the ledger cannot be used, or belongs to another account.
            AuthenticationError: the service does not accept the credentials.
            ConfigError: the settings do not allow what is needed, such as an unverified contract.
        """
        self._check_beforehand()
        with self._ledger.run_lock(JOB):
            run = self._begun(handler, stop, progress)
            if not self._ledger.keeps_pause(run.report):
                run.all_of_it()
            return self._ended(run)

    def work(
        self, handler: OrderHandler, *, stop: Event | None = None, progress: Callable[[Progress], object] | None = None
    ) -> Report:
        """Hand over and confirm stored orders; any number of workers may do so.

        It downloads nothing, and returns when no run is under way and nothing is due. Orders that a dead worker had
        claimed are taken over: at once if it ran on this machine, otherwise when its lease expires.

        Args:
            handler: as in `run`.
            stop: as in `run`.
            progress: as in `run`.

        Raises:
            LedgerError: the ledger cannot be used, or belongs to another account.
            AuthenticationError: the service does not accept the credentials.
            ConfigError: the settings do not allow what is needed, such as an unverified contract.
        """
        self._check_beforehand()
        run = self._begun(handler, stop, progress)
        if not self._ledger.keeps_pause(run.report):
            run.work(alone=False)
        return self._ended(run)

    # -- beginning and end -------------------------------------------------------------------------------------

    def _check_beforehand(self) -> None:
        """Raise now what would otherwise be raised after orders were handled."""
        self._ledger.bind(self._client)
        if self._options.confirm:
            self._client.set_download_order_confirm.dry_run([OrderDownloadSubmitRequest(order_id="1")])

    def _begun(self, handler: OrderHandler, stop: Event | None, progress: Watch) -> _Run:
        channel, options = self._ledger.channel, self._options
        with self._ledger.transaction() as connection:
            self._keep_to_scope(connection)
            self._ledger.reclaim_dead_leases(connection, ORDERS)
            for table in (ORDERS, ORDER_GAPS):
                self._ledger.reset_future_due(connection, table, options.backoff.longest)
            if options.confirm and connection.execute(_ANY_KEPT, {"whose": channel}).first() is not None:
                mine = and_(ORDERS.c.channel == channel, _IS_KEPT)
                lock_in_order(connection, ORDERS, mine)
                now = self._ledger.now(connection)
                connection.execute(update(ORDERS).where(mine).values(state=HANDLED, due_at=now))
        handlers = HandlerRunner(
            self._ledger,
            ORDERS,
            options.transactional,
            options.handler_seconds,
            options.backoff,
            options.redactor,
            stop or Event(),
        )
        return _Run(self._client, handlers, options, handler, progress)

    def _keep_to_scope(self, connection: Connection) -> None:
        other = _ANY_WHOLE if self._options.stores else _ANY_STORE
        if connection.execute(other, {"whose": self._ledger.channel}).first() is not None:
            began, asked = ("the whole account", "stores") if self._options.stores else ("stores", "the whole account")
            raise LedgerError(
                f"channel {self._ledger.channel!r} downloads orders for {began}, and would hand over the same orders "
                f"again for {asked}; use another channel of the ledger for that"
            )

    def _ended(self, run: _Run) -> Report:
        report = run.report
        with self._ledger.reading() as connection:
            for table in (ORDERS, ORDER_GAPS):
                report_held(connection, table, self._ledger.channel, report)
            report.finished = self._ledger.now(connection)
        report.interrupted = run.stop.is_set()
        return report


class _Run:
    """One run of an inbox."""

    def __init__(
        self, client: OctopusClient, handlers: HandlerRunner, options: InboxOptions, handler: OrderHandler, watch: Watch
    ) -> None:
        self.stop, self._handlers, self._ledger = handlers.stop, handlers, handlers.ledger
        self.report = Report(JOB, self._ledger.now())
        self._total: int | None = None
        self._progress = watch
        self._blocked = self._unanswered = self._silent = False
        self._downloads: dict[str, Download] = {}
        self._client, self._options = client.with_options(stop=handlers.stop), options
        self._deliverer = OrderDeliverer(self._client, handlers, handler, options)

    def work(self, *, alone: bool) -> None:
        """Hand over and confirm until nothing is due; not *alone*: also elsewhere."""
        while not self.stop.is_set():
            if self._hand_over() + self._confirm_due():
                continue
            if alone or self._blocked or self._silent or not self._others_work():
                return
            self.stop.wait(_IDLE_SECONDS)

    # -- downloading -------------------------------------------------------------------------------------------

    def all_of_it(self) -> None:
        """Download, hand over and confirm; repeat while the service leaves orders out."""
        confirmed = -1
        while self.report.counts.get("confirmed", 0) > confirmed:
            confirmed = self.report.counts.get("confirmed", 0)
            self.download()
            self.report.incomplete = self.stop.is_set()
            self.work(alone=True)
            if self.stop.is_set():
                return
            if not any(download.short for download in self._downloads.values()):
                break  # otherwise the service may list the others, now that these are confirmed
        for store, download in self._downloads.items():
            if download.short is not None:
                message = f"the service listed {download.short[0]} orders and counts {download.short[1]} that match"
                name = f"orders of store {store}" if store else "orders"
                self._note_problem(name, "left out", message)
            if store and download.never_listed and not self._unanswered:
                self._note_problem(f"store {store}", "never listed", _NO_SUCH_STORE)

    def _note_problem(self, key: str, state: str, message: str) -> None:
        self.report.problems.append(KeyProblem(key, state, message))
        self.report.problem_count += 1

    def download(self) -> None:
        """Download the whole account's orders, or those of each store."""
        for store in self._options.stores or ("",):
            if not self.stop.is_set() and not self._silent:
                self._download_store(store)

    def _download_store(self, store: str) -> None:
        try:
            self._download(store).run(self.report)
        except (AuthenticationError, ConfigError, LedgerError):
            raise
        except OctopusError as error:
            # Orders that are in the ledger are still handed over. If the service does not answer, this run asks it
            # nothing else, because each request would wait for the read timeout.
            self._unanswered = True
            self._silent = isinstance(error, TransportError)
            self._ledger.note_failure(error, self.report)
            self.report.error = f"downloading: {reason_of(error, self._options.redactor)}"

    def _others_work(self) -> bool:
        """True if another process has work, or work is due; releases dead workers' rows."""
        with self._ledger.transaction() as connection:
            self._ledger.reclaim_dead_leases(connection, ORDERS)
            now = self._ledger.now(connection)
            lock = select(RUN_LOCK).where(RUN_LOCK.c.channel == self._ledger.channel, RUN_LOCK.c.job == JOB)
            run = connection.execute(lock).one_or_none()
            if (
                run is not None
                and run.leased_by is not None
                and run.leased_until > now
                and not has_exited(run.leased_by)
            ):
                return True
            leased = and_(ORDERS.c.leased_by.is_not(None), ORDERS.c.leased_until > now)
            free = and_(ORDERS.c.due_at <= now, or_(ORDERS.c.leased_by.is_(None), ORDERS.c.leased_until <= now))
            ours: ColumnElement[bool] = ORDERS.c.state.in_((WAITING, QUARANTINED))
            if self._options.confirm:
                ours = or_(ours, and_(ORDERS.c.state == HANDLED, *_CONFIRMABLE))
            mine = (ORDERS.c.channel == self._ledger.channel, ours)
            busy = select(ORDERS.c.key).where(*mine, or_(leased, free)).limit(1)
            return connection.execute(busy).first() is not None

    # -- handing over and confirming ---------------------------------------------------------------------------

    def _hand_over(self) -> int:
        done = 0
        if not self._blocked and not self._unanswered:
            self._look_again()
        try:
            while done < _AT_ONCE and not self._blocked and not self.stop.is_set():
                if not self._deliverer.deliver_one(self.report):
                    break
                done += 1
                self._show_progress()
        except DestinationError as error:
            # Orders that were handled are still confirmed.
            self._blocked = True
            self.report.error = f"handing over: {reason_of(error, self._options.redactor)}"
        finally:
            self._deliverer.note_finished()
        return done

    def _look_again(self) -> None:
        """List orders that waited again: they may be cancelled, or confirmed elsewhere."""
        with self._ledger.reading() as connection:
            now = self._ledger.now(connection)
            before = max(self.report.started, now - _LISTED_LATELY)
            rows = connection.execute(_WAITED, {"whose": self._ledger.channel, "now": now, "before": before}).all()
        for store in sorted({row.store for row in rows}):
            ids = sorted({row.order_id for row in rows if row.store == store and is_int32(row.order_id)})
            if not ids or self.stop.is_set():
                continue
            try:
                self._download(store).look_again(ids, self.report)
            except (AuthenticationError, ConfigError, LedgerError):
                raise
            except OctopusError as error:
                self._unanswered, self._silent = True, isinstance(error, TransportError)
                self._ledger.note_failure(error, self.report)
                # As after a download that failed, orders in the ledger are still handed over.
                self.report.error = self.report.error or (
                    f"asking again for orders that waited: {reason_of(error, self._options.redactor)}"
                )

    def _download(self, store: str) -> Download:
        if store not in self._downloads:
            self._downloads[store] = Download(self._client, self._ledger, store, self._options, self.stop.is_set)
        return self._downloads[store]

    def _show_progress(self) -> None:
        if self._progress is None:
            return
        if self._total is None:  # what was due when the first one was done, that one included
            due = (ORDERS.c.state.in_((WAITING, QUARANTINED)), ORDERS.c.due_at <= self._ledger.now())
            mine = select(func.count()).select_from(ORDERS).where(ORDERS.c.channel == self._ledger.channel, *due)
            with self._ledger.reading() as connection:
                self._total = 1 + connection.execute(mine).scalar_one()
        handled, failed = (self.report.counts.get(name, 0) for name in ("handled", "failed"))
        self._progress(Progress(handled + failed, max(self._total, handled + failed), failed))

    def _confirm_due(self) -> int:
        if self.stop.is_set() or self._silent or not self._options.confirm:
            return 0
        with self._handlers.claimed((HANDLED,), _AT_ONCE, seconds=_CONFIRM_SECONDS, where=_CONFIRMABLE) as lease:
            for store in sorted({row.store for row in lease.rows}):
                rows = [row for row in lease.rows if row.store == store]
                self._note(lease, OrderConfirmer(self._client, store, self._ledger.reach).run(rows))
            if lease:
                self._ledger.reach("orders.confirmed")
        return len(lease.rows)

    def _note(self, lease: Lease, confirmations: list[Confirmation]) -> None:
        failures: dict[OctopusError, None] = {}
        with self._ledger.transaction() as connection:
            keys = ORDERS.c.key.in_([one.row.key for one in confirmations])
            lock_in_order(connection, ORDERS, and_(ORDERS.c.channel == lease.channel, keys))
            now = self._ledger.now(connection)
            for one in confirmations:
                this = update(ORDERS).where(lease.holds, ORDERS.c.key == one.row.key)
                connection.execute(this.values(stores=json.dumps(one.stores), **FREE))
                same = (ORDERS.c.channel == lease.channel, ORDERS.c.key == one.row.key)
                still = update(ORDERS).where(*same, ORDERS.c.state == HANDLED, ORDERS.c.leased_by.is_(None))
                if one.done:
                    values: dict[str, Any] = {"state": CONFIRMED, "due_at": None, "attempts": 0, "message": ""}
                    self.report.add("confirmed", connection.execute(still.values(**values)).rowcount)
                    continue
                if one.error is not None and self.stop.is_set():
                    continue  # the stop ended the request; the next run confirms the order
                if one.error is not None:
                    failures[one.error] = None
                tries = one.row.attempts + 1
                reason = STILL_LISTED if one.error is None else reason_of(one.error, self._options.redactor)
                pause = self._options.backoff.after(tries)
                connection.execute(still.values(attempts=tries, due_at=now + pause, message=reason))
        for failure in failures:
            self._ledger.note_failure(failure, self.report)
