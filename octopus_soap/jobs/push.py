"""`StockPush`: bring the service's stock and prices to what the shop says, sending differences only.

Theory. The ledger holds, per SKU, what the service last acknowledged. A run

1. compares the desired states with that and plans the differences (`plan.py`),
2. lets the guard look at the whole plan,
3. accepts it: one transaction makes the differences pending,
4. sends what is pending in batches, and records each batch in one transaction (`sending.py`).

Killed in 1 or 2, nothing has happened. Killed in 3, either. Killed in 4, what was recorded is not sent again; of the
batch under way nobody knows, and it is sent again by the next run, with or without new desired states. As an update
sets values, sending it twice does no harm, and as a SKU is sent by one worker at a time, no older value overtakes a
newer one. (A worker whose machine sleeps longer than its lease, with a request on its way, is the exception no client
can rule out.)

What the service says no to is remembered and told in every run until it is mended. It is tried again when its desired
state changes, and otherwise after a minute, two, four, up to an hour, as it may have been mended on the other side.
What could not be sent stays pending.

A SKU that no longer comes with the desired states is left alone. Nothing is ever deleted.

Others write to the service too, and it may be restored from a backup. A reconciliation reads every SKU the service ever
acknowledged and compares what it tells with what it acknowledged. Where they differ, the ledger is put right, and what
the shop last wanted is to be sent again. What the service tells nothing of (an element left out or nil) is taken as
unchanged: some members may never be told. A SKU it no longer has is to be sent again too, so that its refusal is
reported until the item is back. Nothing is ever deleted.

Nothing is written before the last page was read: a read that fails half-way has changed nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from octopus_soap.errors import ConfigError, PushRefusedError
from octopus_soap.jobs.desired import Desired, actual_values, difference, from_text, merged, read_desired
from octopus_soap.jobs.plan import CHUNK, Plan, PushReport, guard
from octopus_soap.jobs.sending import OPERATION, Sender
from octopus_soap.jobs.tables import STOCK_ITEM
from octopus_soap.results import OutcomeStatus, Progress

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.desired import Values
    from octopus_soap.jobs.leases import RunLock
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.reports import KeyProblem

JOB = "push"
STEPS = (
    "push.locked",
    "push.staged",
    "push.planned",
    "push.accepting",
    "push.accepted",
    "push.claiming",
    "push.claimed",
    "push.sent",
    "push.recording",
    "push.recorded",
    "reconcile.read",
)
"""The names of all steps, as `Ledger(reach=...)` is told; the ones in -ing are inside a transaction, before its end."""

_PAGE = 1_000
_ITEM = STOCK_ITEM.c
_READ: list[ColumnElement[Any]] = [_ITEM.sku, _ITEM.acknowledged, _ITEM.wanted]
_BATCH = 500
_LEASE_SECONDS = 120.0
_NAMED_INVALID = 1_000


class StockPush:
    """Pushes stock and prices.

        with OctopusClient() as client, Ledger("shop.db") as ledger:
            print(StockPush(client, ledger).run("stock.csv"))

    Args:
        client: where to send. It is not closed here.
        ledger: where progress stands. Its channel belongs to the client's account from now on.
        max_change_share: share of the catalogue one push may change, and may set to 0, from 0 to 1; 1 turns the guard
            off.
        batch_size: SKUs per request, 1 to 1000; the settings' `batch_sizes`, or 500, by default.
        lease_seconds: how long a batch of a machine that fell silent is kept from others, at least 10.
        money_digits: decimal places to round the floats of a DataFrame to; without it a float must be exact.

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
        batch_size: int | None = None,
        lease_seconds: float = _LEASE_SECONDS,
        money_digits: int | None = None,
    ) -> None:
        size = client.settings.batch_sizes.get(OPERATION, _BATCH) if batch_size is None else batch_size
        if not 0 <= max_change_share <= 1:
            raise ConfigError(f"max_change_share: {max_change_share} is no share from 0 to 1, such as 0.2")
        if not 1 <= size <= 1000:  # noqa: PLR2004 - the page's limit
            raise ConfigError(f"batch_size: {size} is not from 1 to 1000")
        if lease_seconds < 10:  # noqa: PLR2004 - less would not outlast one slow request
            raise ConfigError(f"lease_seconds: {lease_seconds} is less than 10")
        ledger.bind(client)
        self._client, self._ledger = client, ledger
        self._share, self._size, self._seconds, self._digits = max_change_share, size, lease_seconds, money_digits

    def run(
        self,
        desired: Any,
        *,
        observed_at: datetime | None = None,
        dry_run: bool = False,
        force: bool = False,
        stop: threading.Event | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> PushReport:
        """Compare *desired* with what the service acknowledged, and send the differences and what is still pending.

        Args:
            desired: the path of a CSV file, a pandas or polars DataFrame, or any iterable of `ItemQuantityAndPrice` or
                mappings with its names. It is read once, in the memory of a chunk. What a row leaves unset stays as
                it is. A row that is not right is told as a problem, and the others are sent.
            observed_at: when the states were true; a row's own `observed_at` counts first. A state older than what is
                known of its SKU is passed over. Without any time, a run is newer than all runs before it.
            dry_run: send nothing and change nothing; the report has the plan, and the guard's refusal in `error`.
            force: let a push pass that the guard would refuse.
            stop: once set, the request under way is finished and recorded, and the report is `interrupted`.
            progress: called after each batch that was sent.

        Returns:
            What was done. Work the service kept from being done is in `error`, and waits for the next run.

        Raises:
            PushRefusedError: the guard: too much would change or become 0.
            JobRunningError: another push of this channel is under way.
            InvalidInputError: *desired* as a whole cannot be used.
            AuthenticationError: the credentials were refused.
            LedgerError: the ledger cannot be used.
        """
        with self._planning("push", observed_at) as (lock, plan, report):
            invalid = self._staged(plan, desired, report, stop)
            if not report.interrupted:
                self._carry_out(lock, plan, report, dry_run=dry_run, force=force, stop=stop, progress=progress)
            report.problems += invalid
            report.problem_count += report.counts.get("invalid", 0)
        return report

    def full_reconcile(
        self,
        *,
        dry_run: bool = False,
        force: bool = False,
        stop: threading.Event | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> PushReport:
        """Read every acknowledged SKU back, put the ledger right, and send again what the service lost.

        Args:
            dry_run: change nothing; the report has what differs.
            force: let corrections pass that the guard would refuse.
            stop: as in `run`.
            progress: called after each page that was read, and each batch that was sent.

        Returns:
            What was done; `counts` has `read` and `drifted`.

        Raises:
            PushRefusedError: as in `run`, counted over the corrections.
            BatchError: items could not be read; nothing was changed.
            JobRunningError: another push of this channel is under way.
            AuthenticationError: the credentials were refused.
            LedgerError: the ledger cannot be used.
        """
        with self._planning("reconcile", None) as (lock, plan, report):
            read_back(self._client, self._ledger, plan, report, stop=stop, progress=progress)
            if not report.interrupted:
                self._carry_out(lock, plan, report, dry_run=dry_run, force=force, stop=stop, progress=progress)
        return report

    def work(
        self, *, stop: threading.Event | None = None, progress: Callable[[Progress], object] | None = None
    ) -> PushReport:
        """Send what is pending, beside any number of others who do the same on this ledger.

        `run` plans alone and then sends alike; processes and machines that only `work` take batches off it. What a
        worker that died had claimed is taken over: at once where it ran on this machine, otherwise when its lease has
        run out.

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
    def _planning(self, name: str, observed_at: datetime | None) -> Generator[tuple[RunLock, Plan, PushReport]]:
        with self._ledger.run_lock(JOB) as lock:
            self._ledger.reach("push.locked")
            report = PushReport(name, self._ledger.now())
            plan = Plan(self._ledger, observed_at or report.started, given=observed_at is not None)
            plan.clear()
            try:
                yield lock, plan, report
            finally:
                plan.clear()
            report.finished = self._ledger.now()

    def _staged(self, plan: Plan, desired: Any, report: PushReport, stop: threading.Event | None) -> list[KeyProblem]:
        """Stage all of *desired*; return the first rows that are not right."""
        invalid: list[KeyProblem] = []
        rows = read_desired(desired, money_digits=self._digits)
        while chunk := list(islice(rows, CHUNK)):
            wishes = [row for row in chunk if isinstance(row, Desired)]
            wrong = [row for row in chunk if not isinstance(row, Desired)]
            report.add("read", len(chunk))
            if wrong:
                report.add("invalid", len(wrong))
                invalid += wrong[: _NAMED_INVALID - len(invalid)]
            plan.stage(wishes, report)
            if stop is not None and stop.is_set():
                report.interrupted = True
                break
        return invalid

    def _carry_out(
        self,
        lock: RunLock,
        plan: Plan,
        report: PushReport,
        *,
        dry_run: bool,
        force: bool,
        stop: threading.Event | None,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        extent = plan.extent()
        for name in ("new", "changed", "zeroed"):
            report.counts[name] = getattr(extent, name)
        if dry_run:
            report.plan = plan.changes()
        try:
            guard(extent, 1.0 if force else self._share)
        except PushRefusedError as error:
            if not dry_run:
                raise
            report.error = error.message
        if dry_run:
            return
        self._ledger.reach("push.planned")
        plan.accept(lock)
        self._send(report, stop, progress)

    def _send(
        self, report: PushReport, stop: threading.Event | None, progress: Callable[[Progress], object] | None
    ) -> None:
        sender = Sender(
            self._client, self._ledger, batch_size=self._size, seconds=self._seconds, stop=stop, progress=progress
        )
        sender.run(report)


# -- reconciliation -------------------------------------------------------------------------------------------------


def read_back(
    client: OctopusClient,
    ledger: Ledger,
    plan: Plan,
    report: PushReport,
    *,
    stop: threading.Event | None,
    progress: Callable[[Progress], object] | None,
) -> None:
    """Compare every acknowledged SKU with the service's items, and stage what differs in *plan*.

    Raises:
        BatchError: an item could not be read.
        OctopusError: as any read.
    """
    reader = client if stop is None else client.with_options(stop=stop)
    for pages, page in enumerate(_pages(ledger), 1):
        if stop is not None and stop.is_set():
            report.interrupted = True
            return
        result = reader.get_item_list([row.sku for row in page])
        by_sku = {outcome.key: outcome for outcome in result.outcomes}
        drifted: list[tuple[str, Values, Values | None]] = []
        for row in page:
            outcome = by_sku[row.sku]
            found: tuple[Values, Values | None] | None = None  # where it was refused, nothing is known
            if outcome.ok and outcome.value is not None:
                found = _drift(row, actual_values(outcome.value))
            elif outcome.status is OutcomeStatus.MISSING:
                found = (_wanted(row), None)
            if found is not None:
                wanted, actual = found
                drifted.append((row.sku, wanted, actual))
        report.add("read", len(page))
        report.add("drifted", len(drifted))
        plan.stage_drift(drifted)
        ledger.reach("reconcile.read")
        if progress is not None:
            progress(Progress(report.counts["read"], None, batches=pages))


def _pages(ledger: Ledger) -> Iterator[Sequence[Row[Any]]]:
    """The acknowledged SKUs nobody is sending right now, by SKU."""
    last = ""
    while True:
        with ledger.reading() as connection:
            now = ledger.now(connection)
            free = or_(_ITEM.leased_by.is_(None), _ITEM.leased_until <= now)
            wanted = (
                select(*_READ)
                .where(_ITEM.channel == ledger.channel, _ITEM.acknowledged.is_not(None), free, _ITEM.sku > last)
                .order_by(_ITEM.sku)
                .limit(_PAGE)
            )
            rows = connection.execute(wanted).all()
        if not rows:
            return
        yield rows
        last = rows[-1].sku


def _wanted(row: Row[Any]) -> Values:
    return merged(from_text(row.acknowledged), from_text(row.wanted) or {})


def _drift(row: Row[Any], told: Values) -> tuple[Values, Values | None] | None:
    """What the SKU should hold and what it does; None where that is what was acknowledged."""
    known = from_text(row.acknowledged) or {}
    changes = difference(known, told)
    return (_wanted(row), merged(known, changes)) if changes else None
