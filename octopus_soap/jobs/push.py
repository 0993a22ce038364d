"""`StockPush`: bring the service's stock and prices to those of the shop.

Purpose. The ledger has, for each SKU, what the service last acknowledged. A run

1. compares the desired states with that and plans the differences (`plan.py`),
2. lets the guard check the whole plan,
3. accepts it: one transaction makes the differences pending,
4. sends what is pending in batches, and records each batch in one transaction (`sending.py`).

On failure:

* Killed in 1: nothing has happened. The next run with the same file continues where this one stopped (`reading.py`).
* Killed in 2 or 3: nothing has happened.
* Killed in 4: what was recorded is not sent again. While we don't know whether the batch under way arrived, the next
  run sends it again, with or without new desired states. An update sets values, so sending it twice does no harm. A SKU
  is sent by one worker at a time, so no older value overtakes a newer one. (No client can rule out a worker whose
  machine sleeps longer than its lease, with a request on its way.)
* A SKU that the service rejects stays in every report until you fix it. It is tried again when its desired state
  changes, and otherwise after a minute, two, four, up to an hour. It is forgotten when the shop no longer sends it.
* A SKU that could not be sent stays pending.

A SKU that is no longer in the desired states keeps its stock and counts as absent, unless a run is asked to set it to
0. Nothing is ever deleted on the service.

Reconciliation. Other programs write to the service too, and it may be restored from a backup. A reconciliation reads
every acknowledged SKU from the service and compares it with the ledger:

* The ledger accepts what the service has, and what the shop last wanted is sent again. The exception is a stock that is
  lower than acknowledged: a web shop may have sold it, and an old observation must not raise it again.
* A member that the service leaves out, or sends as nil, counts as unchanged: it may never send it.
* A SKU that the service no longer has is also sent again, so that its rejection is reported until the item is back.
* Nothing is written before the last page was read: a read that fails half-way has changed nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, bindparam, func, select

from octopus_soap.errors import ConfigError, LedgerError, OctopusError, PushRefusedError
from octopus_soap.jobs.desired import (
    SourceFormat,
    actual_values,
    difference,
    from_text,
    lower_stock,
    merged,
    read_desired,
    rows_in,
)
from octopus_soap.jobs.inspection import forget
from octopus_soap.jobs.plan import CHUNK, Drift, Plan, PlanOptions, PushReport, acknowledged_pages, guard
from octopus_soap.jobs.reading import NAMED
from octopus_soap.jobs.reports import KeyProblem, is_held
from octopus_soap.jobs.sending import OPERATION, Sender
from octopus_soap.jobs.tables import STOCK_ITEM
from octopus_soap.results import OutcomeStatus, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime
    from threading import Event

    from sqlalchemy import Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.desired import Values
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.models import InventoryItem
    from octopus_soap.results import ItemOutcome
    from octopus_soap.tables.from_csv import Numbers

    Watch = Callable[[Progress], object] | None

JOB = "push"
STEPS = (
    "push.locked", "push.staged", "push.planned", "push.accepting", "push.accepted", "push.claiming",
    "push.claimed", "push.sent", "push.recording", "push.recorded", "reconcile.read",
)  # fmt: skip # read as a list of names
"""The names of all steps, as `Ledger(reach=...)` is called with. Those in -ing are inside a transaction."""

_PAGE = 1_000
_ITEM = STOCK_ITEM.c
_REJECTED = select(_ITEM.sku, _ITEM.observed_at).where(is_held(STOCK_ITEM, bindparam("whose")))
_BATCH = 500
_LEASE_SECONDS = 120.0


class StockPush:
    """Pushes stock and prices.

        with OctopusClient() as client, Ledger("shop.db") as ledger:
            print(StockPush(client, ledger).run("stock.csv"))

    Args:
        client: where to send. It is not closed.
        ledger: records progress. Its channel belongs to the client's account from now on.
        max_change_share: share of the catalogue that one push may change, and may set to 0, from 0 to 1; 1 allows all.
        max_price_fall: share of its price that a push may take off a SKU, above 0 and up to 1. With 1 every price may
            fall, but not to 0. If a single SKU falls more, the push is refused, also a first one. None turns this
            guard off.
        batch_size: SKUs per request, 1 to 1000; by default the settings' `batch_sizes`, or 500.
        lease_seconds: how long other machines leave a batch to a machine that fell silent, in seconds, at least 10.
        money_digits: decimal places to round the floats of a DataFrame to; without it a float must be exact.
        last_row_wins: of two rows of one SKU with different values and no time, send the later one; by default both are
            a problem.
        numbers: how a CSV file writes numbers. By default as the wire does; a file with decimal commas whose other
            numbers could be read in two ways is refused.
        store_column: the column of a CSV file with a store's id, if each of its rows has the stock of one store.
        forget_after: how long a rejected SKU that the shop no longer sends stays in the reports. It is forgotten at
            once by a file that has at least half of the acknowledged SKUs.

    Raises:
        ConfigError: a value is out of range.
        LedgerError: the ledger's channel belongs to another account.
    """

    def __init__(
        self,
        client: OctopusClient,
        ledger: Ledger,
        *,
        max_change_share: float = 0.2,
        max_price_fall: float | None = 1.0,
        batch_size: int | None = None,
        lease_seconds: float = _LEASE_SECONDS,
        money_digits: int | None = None,
        last_row_wins: bool = False,
        numbers: Numbers | None = None,
        store_column: str | None = None,
        forget_after: timedelta = timedelta(days=7),
    ) -> None:
        size = client.settings.batch_sizes.get(OPERATION, _BATCH) if batch_size is None else batch_size
        if not 0 <= max_change_share <= 1:
            raise ConfigError(f"max_change_share: {max_change_share} is no share from 0 to 1, such as 0.2")
        if max_price_fall is not None and not 0 < max_price_fall <= 1:
            raise ConfigError(f"max_price_fall: {max_price_fall} is no share above 0 and up to 1, such as 0.5")
        if not 1 <= size <= 1000:  # noqa: PLR2004 - the page's limit
            raise ConfigError(f"batch_size: {size} is not from 1 to 1000")
        if lease_seconds < 10:  # noqa: PLR2004 - less is shorter than one slow request
            raise ConfigError(f"lease_seconds: {lease_seconds} is less than 10")
        ledger.bind(client)
        self._client, self._ledger = client, ledger
        self._share, self._size, self._seconds = max_change_share, size, lease_seconds
        self._options = PlanOptions(last_row_wins=last_row_wins, max_price_fall=max_price_fall)
        self._form = SourceFormat(money_digits=money_digits, numbers=numbers, store_column=store_column)
        self._forget_after = forget_after

    def run(
        self,
        desired: Any,
        *,
        observed_at: datetime | None = None,
        dry_run: bool = False,
        force: bool = False,
        absent: Literal["keep", "zero"] = "keep",
        stop: Event | None = None,
        progress: Callable[[Progress], object] | None = None,
        reading: Callable[[Progress], object] | None = None,
    ) -> PushReport:
        """Send the differences between *desired* and what the service acknowledged.

        Differences of earlier runs that are still pending are sent too.

        Args:
            desired: the path of a CSV file, a pandas or polars DataFrame, or any iterable of `ItemQuantityAndPrice` or
                mappings with its names. It is read once, in chunks. A value that a row leaves out stays as it is. A
                row that is not valid is a problem in the report, and the others are sent.
            observed_at: when the states were true; a row's own `observed_at` takes precedence. A state that is older
                than what is known of its SKU, and differs from it, is skipped and reported as `stale`; one more than 15
                minutes ahead of the ledger's clock is refused. Without any time, a run is newer than all runs before.
            dry_run: send nothing and change nothing; the report has the plan, and the guard's refusal in `error`.
            force: push even if the guard would refuse it.
            absent: `zero`: set the stock of acknowledged SKUs that are not in *desired* to 0, for shops whose feed
                leaves out what is sold out. The guard counts them.
            stop: once set, the request under way is finished and recorded, and the report is `interrupted`.
            progress: called after each batch that was sent.
            reading: called while *desired* is read.

        Returns:
            The report. If work was not sent, `error` has the reason, and the next run sends it.

        Raises:
            PushRefusedError: the guard refused it: too much would change or become 0.
            JobRunningError: another push of this channel is under way.
            InvalidInputError: *desired* as a whole cannot be used.
            AuthenticationError: the credentials were refused.
            LedgerError: the ledger cannot be used.
        """
        with self._planning("push", observed_at, dry_run=dry_run) as (plan, report):
            self._staged(plan, desired, report, stop, reading)
            report.incomplete = report.interrupted
            if not report.interrupted:
                if absent == "zero":
                    plan.stage_absent(report)
                if not dry_run:
                    self._forget(plan, report)
                self._carry_out(plan, report, dry_run=dry_run, force=force, stop=stop, progress=progress)
            report.problems += plan.reading.problems
            report.problem_count += sum(report.counts.get(state, 0) for state in ("invalid", "stale", "alike"))
            if not report.interrupted:
                report.error = report.error or _nothing_in(desired, report)
        return report

    def full_reconcile(
        self,
        *,
        dry_run: bool = False,
        force: bool = False,
        restore: bool = False,
        stop: Event | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> PushReport:
        """Read every acknowledged SKU back, correct the ledger, and send what was lost.

        If the service has less stock than acknowledged, the stock is not sent again, because the difference may have
        been sold since. Such a SKU is a problem in this report, and the next push of a current file sends its stock.

        Args:
            dry_run: change nothing; the report has what differs.
            force: send corrections even if the guard would refuse them.
            restore: send the stock again also if the service has less, such as after it was restored from a backup.
            stop: as in `run`.
            progress: called after each page that was read, and each batch that was sent.

        Returns:
            The report; `counts` has `read`, `drifted` and `listed`.

        Raises:
            PushRefusedError: as in `run`, for the corrections.
            BatchError: items could not be read; nothing was changed.
            JobRunningError: another push of this channel is under way.
            AuthenticationError: the credentials were refused.
            LedgerError: the ledger cannot be used.
        """
        with self._planning("reconcile", None, dry_run=dry_run) as (plan, report):
            plan.begin("")
            if self._ledger.keeps_pause(report):
                return report
            back = ReadBack(self._client, self._ledger, restore=restore, stop=stop, progress=progress)
            try:
                back.run(plan, report)
            except OctopusError as error:
                self._ledger.note_failure(error, report)
                raise
            report.incomplete = report.interrupted
            if not report.interrupted:
                self._carry_out(plan, report, dry_run=dry_run, force=force, stop=stop, progress=progress)
            if not report.counts.get("read") and not report.interrupted:
                report.error = report.error or f"nothing of channel {self._ledger.channel!r} was ever acknowledged"
        return report

    def work(self, *, stop: Event | None = None, progress: Callable[[Progress], object] | None = None) -> PushReport:
        """Send what is pending; any number of workers may do so on one ledger.

        Use it on other processes and machines to share the sending of a `run`. SKUs that a dead worker had claimed are
        taken over: at once if it ran on this machine, otherwise when its lease expires.

        Args:
            stop: as in `run`.
            progress: called after each batch.

        Raises:
            AuthenticationError: the credentials were refused.
            LedgerError: the ledger cannot be used.
        """
        report = PushReport("push", self._ledger.now())
        self._send(report, stop, progress)
        report.finished = self._ledger.now()
        return report

    @contextmanager
    def _planning(
        self, name: str, observed_at: datetime | None, *, dry_run: bool
    ) -> Generator[tuple[Plan, PushReport]]:
        with self._ledger.run_lock(JOB) as lock:
            self._ledger.reach("push.locked")
            report = PushReport(name, self._ledger.now(), dry_run=dry_run)
            plan = Plan(self._ledger, report.started, observed_at, self._options, lock)
            try:
                yield plan, report
            except LedgerError:
                raise  # the plan cannot be discarded; the next run discards it, or continues with it
            except Exception:
                plan.discard()
                raise
            if not report.incomplete:
                plan.discard()
            report.finished = self._ledger.now()

    def _staged(self, plan: Plan, desired: Any, report: PushReport, stop: Event | None, reading: Watch) -> None:
        """Stage all of *desired*, until *stop* is set."""
        rows = read_desired(desired, self._form, lambda source: self._begun(plan, source))
        total = rows_in(desired) if reading is not None else None
        while chunk := list(islice(rows, CHUNK)):
            if stop is not None and stop.is_set():
                report.interrupted = True
                break
            plan.stage(chunk, last=len(chunk) < CHUNK)
            if reading is not None:
                reading(Progress(plan.reading.rows, max(total, plan.reading.rows) if total else None))
        report.counts |= plan.reading.counts

    def _begun(self, plan: Plan, source: str) -> int:
        """Begin to plan an input; return how many of its rows were read before."""
        plan.begin(source and f"{source} {self._form}")
        return plan.reading.rows

    def _forget(self, plan: Plan, report: PushReport) -> None:
        """Withdraw rejected SKUs that the shop no longer sends."""
        with self._ledger.reading() as connection:
            rejected = connection.execute(_REJECTED, {"whose": self._ledger.channel}).all()
            missing = [row for row in rejected if not plan.reading.had(row.sku)]
            if not missing:
                return
            known = and_(_ITEM.channel == self._ledger.channel, _ITEM.acknowledged.is_not(None))
            catalogue = connection.execute(select(func.count()).select_from(STOCK_ITEM).where(known)).scalar_one()
        whole = 2 * plan.reading.known >= catalogue and plan.reading.rows > 0
        long_ago = report.started - self._forget_after
        skus = [row.sku for row in missing if whole or row.observed_at is None or row.observed_at < long_ago]
        if skus:
            report.add("forgotten", forget(self._ledger, skus))

    def _carry_out(
        self, plan: Plan, report: PushReport, *, dry_run: bool, force: bool, stop: Event | None, progress: Watch
    ) -> None:
        extent = plan.extent()
        for name in ("new", "changed", "zeroed", "cheaper"):
            report.counts[name] = getattr(extent, name)
        if plan.reading.rows:
            report.counts["absent"] = max(0, extent.catalogue - plan.reading.known)
        if dry_run:
            report.plan = plan.changes()
        try:
            if not force:
                guard(extent, self._share, plan.cheaper() if extent.cheaper else ())
        except PushRefusedError as error:
            if not dry_run:
                raise
            report.error = error.message
        if dry_run:
            return
        self._ledger.reach("push.planned")
        plan.accept()
        self._send(report, stop, progress)

    def _send(self, report: PushReport, stop: Event | None, progress: Watch) -> None:
        if self._ledger.keeps_pause(report):
            return
        sender = Sender(
            self._client, self._ledger, batch_size=self._size, seconds=self._seconds, stop=stop, progress=progress
        )
        sender.run(report)


def _nothing_in(desired: Any, report: PushReport) -> str:
    """Return an error if the input had nothing to compare; empty if it had."""
    name = fspath(desired) if isinstance(desired, (str, PathLike)) else "the input"
    read = report.counts.get("read", 0)
    if not read:
        return f"{name} has no rows, so nothing was compared" if isinstance(desired, (str, PathLike)) else ""
    if report.counts.get("empty") == read:
        return f"no row of {name} has a stock, a price or another value, so nothing was compared"
    return ""


# -- reconciliation -------------------------------------------------------------------------------------------------


class ReadBack:
    """Compares every acknowledged SKU with the service's items."""

    def __init__(
        self, client: OctopusClient, ledger: Ledger, *, restore: bool, stop: Event | None, progress: Watch
    ) -> None:
        self._client = client if stop is None else client.with_options(stop=stop)
        self._ledger, self._restore, self._stop, self._progress = ledger, restore, stop, progress

    def run(self, plan: Plan, report: PushReport) -> None:
        """Stage the differences in *plan*.

        Raises:
            BatchError: an item could not be read.
            OctopusError: the service does not answer.
        """
        for pages, page in enumerate(acknowledged_pages(self._ledger, _PAGE, idle=True), 1):
            if self._stop is not None and self._stop.is_set():
                report.interrupted = True
                return
            result = self._client.get_item_list([row.sku for row in page])
            by_sku = {outcome.key: outcome for outcome in result.outcomes}
            drifted = [drift for row in page if (drift := self._drift(row, by_sku[row.sku], report)) is not None]
            report.add("read", len(page))
            report.add("drifted", len(drifted))
            plan.stage_drift(drifted)
            self._ledger.reach("reconcile.read")
            if self._progress is not None:
                self._progress(Progress(report.counts["read"], None, batches=pages))

    def _drift(self, row: Row[Any], outcome: ItemOutcome[InventoryItem], report: PushReport) -> Drift | None:
        """Return what to send and what the service has; None if equal or not known."""
        wanted = merged(from_text(row.acknowledged), from_text(row.wanted) or {})
        if outcome.status is OutcomeStatus.MISSING:
            return Drift(row.sku, wanted, None)
        if not outcome.ok or outcome.value is None:
            return None  # the item was rejected, so its state is not known
        known = from_text(row.acknowledged) or {}
        found = actual_values(outcome.value)
        changes = difference(known, found)
        if not changes:
            return None
        actual = merged(known, changes)
        less = {} if self._restore or row.wanted is not None else lower_stock(known, changes)
        if not less:
            return Drift(row.sku, wanted, actual)
        report.add("listed")
        if len(report.problems) < NAMED:
            report.problems.append(KeyProblem(row.sku, "differs", _less(known, less)))
        report.problem_count += 1
        # Other differences, such as a price, are sent again, with the stock that the service has.
        return Drift(row.sku, {} if changes == less else merged(wanted, less), actual)


def _less(known: Values, less: Values) -> str:
    had = {name: known.get(name) for name in less}
    return (
        f"the service has {_worded_stock(less)}, and {_worded_stock(had)} was acknowledged: it may have been sold "
        "since, so it was not sent again. Push a file of now, or send it again with --restore"
    )


def _worded_stock(values: Values) -> str:
    if "stock" in values:
        return f"stock {values['stock']}"
    stores = values.get("stores") or {}
    return ", ".join(f"stock {store.get('store_stock')} in store {name}" for name, store in stores.items())
