"""The sender of pending stock and prices: it claims, sends and records batches.

Between claim and record a batch is under a lease. If the process dies in between, its rows stay pending. Whether its
request arrived is not known, so they are sent again, which does no harm: an update sets values and adds nothing. A row
that gets a newer state meanwhile stays pending with that state, because only what was sent is acknowledged. It is not
claimed before the request under way has ended or its lease has expired, so that two updates of one SKU do not overtake
each other.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, bindparam, case, func, null, select, update

from octopus_soap._http import clip
from octopus_soap.errors import BatchError, InvalidInputError, LedgerError
from octopus_soap.jobs.desired import as_item, as_text, from_text, merged
from octopus_soap.jobs.leases import FREE
from octopus_soap.jobs.reading import NAMED
from octopus_soap.jobs.reports import Backoff, report_held, shown_key
from octopus_soap.jobs.tables import STOCK_ITEM, Moment
from octopus_soap.results import BatchResult, ItemOutcome, OutcomeStatus, Progress

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.leases import Lease
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.plan import PushReport

    Outcomes = dict[str, ItemOutcome[Any]]  # by SKU

OPERATION = "UpdateItemQuantityAndPriceList"
_BACKOFF = Backoff(longest=timedelta(hours=1))
_MOST_WORDS = 400
_NAMED_LEFT = 3
_MOMENT = timedelta(microseconds=1)
_ITEM = STOCK_ITEM.c

# The values that each kind of outcome writes. `sent` is the state that was wanted at the claim, and may have changed.
_KEY: BindParameter[str] = bindparam("key")
_MINE = _ITEM.channel == bindparam("whose")
_DUE = (_ITEM.due_at <= bindparam("started", type_=Moment),)
_OLDEST_FIRST = (_ITEM.due_at,)
_LEFT_OVER = (
    select(func.count()).select_from(STOCK_ITEM).where(_MINE, _ITEM.due_at.is_not(None), _ITEM.state == "pending")
)
_SAME = _ITEM.wanted == bindparam("sent")
_DONE: dict[str, Any] = {
    "acknowledged": bindparam("new_acknowledged"),
    "acknowledged_at": bindparam("now", type_=Moment),
    "wanted": case((_SAME, null()), else_=_ITEM.wanted),
    "state": case((_SAME, "done"), else_="pending"),
    "due_at": case((_SAME, null()), else_=_ITEM.due_at),
    "attempts": 0,
    "message": "",
    **FREE,
}
_HELD: dict[str, Any] = {
    "state": case((_SAME, "rejected"), else_="pending"),
    "due_at": case((_SAME, bindparam("due", type_=Moment)), else_=_ITEM.due_at),
    "attempts": case((_SAME, _ITEM.attempts + 1), else_=0),
    "message": case((_SAME, bindparam("new_message")), else_=""),
    **FREE,
}
_LEFT: dict[str, Any] = {
    "due_at": bindparam("due", type_=Moment),
    "attempts": bindparam("new_attempts"),
    "message": bindparam("new_message"),
    **FREE,
}


class Sender:
    """Sends pending rows until none is due, nothing is accepted, or *stop* is set.

    A lease expires *seconds* after its last renewal.
    """

    def __init__(
        self,
        client: OctopusClient,
        ledger: Ledger,
        *,
        batch_size: int,
        seconds: float,
        stop: threading.Event | None,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        self._client = client if stop is None else client.with_options(stop=stop)
        self._ledger, self._size, self._seconds, self._stop = ledger, batch_size, seconds, stop
        self._progress = progress
        self._mine = _ITEM.channel == ledger.channel
        self._not_taken: list[str] = []

    def run(self, report: PushReport) -> None:
        """Send until nothing is due, and count the results in *report*."""
        with self._ledger.transaction() as connection:
            self._ledger.reset_future_due(connection, STOCK_ITEM, _BACKOFF.longest)
            started = self._ledger.now(connection)
            total = 0
            if self._progress is not None:
                due = select(func.count()).select_from(STOCK_ITEM).where(self._mine, _ITEM.due_at <= started)
                total = connection.execute(due).scalar_one()
        batches = 0
        while not self._stopped():
            lease = self._claim(started)
            if not lease:
                break
            going_on = self._send(lease, started, report)
            batches += 1
            self._show_progress(report, total, batches)
            if not going_on:
                break
        self._conclude(report)

    def _stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _claim(self, started: datetime) -> Lease:
        limit = min(10_000, self._size * self._client.settings.parallel_writes)
        with self._ledger.transaction() as connection:
            lease = self._take(connection, started, limit)
            if not lease and self._ledger.reclaim_dead_leases(connection, STOCK_ITEM):
                lease = self._take(connection, started, limit)
            self._ledger.reach("push.claiming")
        if lease:
            self._ledger.reach("push.claimed")
        return lease

    def _take(self, connection: Connection, started: datetime, limit: int) -> Lease:
        which = {"where": _DUE, "order_by": _OLDEST_FIRST}
        return self._ledger.claim(connection, STOCK_ITEM, **which, limit=limit, seconds=self._seconds, started=started)

    # -- one batch ---------------------------------------------------------------------------------------------

    def _send(self, lease: Lease, started: datetime, report: PushReport) -> bool:
        """Send one batch and record it; False if the service took nothing."""
        outcomes: Outcomes = {}
        refused: dict[str, str] = {}
        try:
            with self._ledger.heartbeat(lease, self._seconds):
                outcomes = self._called(lease.rows, refused, report)
            self._ledger.reach("push.sent")
        except BaseException as error:
            with suppress(LedgerError):  # the error of the call matters more
                self._keep(lease, _outcomes(getattr(error, "result", None)), refused, started, report)
            raise
        self._keep(lease, outcomes, refused, started, report)
        if any(outcome.ok or outcome.status is OutcomeStatus.REJECTED for outcome in outcomes.values()) or refused:
            return True
        return not outcomes

    def _keep(
        self, lease: Lease, outcomes: Outcomes, refused: dict[str, str], started: datetime, report: PushReport
    ) -> None:
        """Record a batch, or give its rows up if the ledger is unavailable."""
        try:
            self._record(lease, outcomes, refused, started, report)
        except LedgerError:
            self._ledger.give_up(lease.token)  # the next run sends them again, as after a crash
            raise

    def _called(self, rows: Sequence[Row[Any]], refused: dict[str, str], report: PushReport) -> Outcomes:
        """Send rows, and return the outcomes; what the client refuses goes to *refused*."""
        items = [as_item(row.sku, from_text(row.wanted) or {}) for row in rows]
        while items:
            try:
                result = self._client.update_item_quantity_and_price_list(items, batch_size=self._size)
            except BatchError as error:
                result = error.result
                self._ledger.note_failure(error, report)
            except InvalidInputError as error:
                wrong = {p.index: p for p in error.problems if p.index is not None}
                if not wrong:
                    raise
                refused.update({items[at].sku or "": problem.message for at, problem in wrong.items()})
                items = [item for at, item in enumerate(items) if at not in wrong]
                continue
            report.add("calls", sum(1 for call in result.calls if call.operation == OPERATION))
            return _outcomes(result)
        return {}

    def _record(
        self, lease: Lease, outcomes: Outcomes, refused: dict[str, str], started: datetime, report: PushReport
    ) -> None:
        """Record a batch in one transaction, except for rows that the lease has lost."""
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            mine = select(_ITEM.sku).where(lease.holds).order_by(_ITEM.sku).with_for_update()  # see lock_in_order
            held = set(connection.execute(mine).scalars())
            good: list[dict[str, Any]] = []
            bad: list[dict[str, Any]] = []
            left: list[dict[str, Any]] = []
            for row in lease.rows:
                if row.sku not in held:
                    continue
                outcome = outcomes.get(row.sku)
                if row.sku in refused:
                    bad.append(_rejected_row(row, refused[row.sku], now))
                elif outcome is not None and outcome.ok:
                    good.append(_acknowledged(row, now))
                elif outcome is not None and outcome.status is OutcomeStatus.REJECTED:
                    bad.append(_rejected_row(row, outcome.message, now))
                else:
                    left.append(_left(row, outcome, max(now, started)))
            for rows, values in ((good, _DONE), (bad, _HELD), (left, _LEFT)):
                if rows:
                    connection.execute(update(STOCK_ITEM).where(lease.holds, _ITEM.sku == _KEY).values(values), rows)
            self._ledger.reach("push.recording")
        report.add("acknowledged", len(good))
        report.add("rejected", len(bad))
        if len(held) < len(lease.rows):
            report.add("lease_lost", len(lease.rows) - len(held))
        self._not_taken += [shown_key(row["key"]) for row in left[: _NAMED_LEFT - len(self._not_taken)]]
        if left and not report.error and not self._stopped():
            report.error = f"{left[0]['new_message']}" or "the service did not take everything"
        self._ledger.reach("push.recorded")

    # -- the end -----------------------------------------------------------------------------------------------

    def _show_progress(self, report: PushReport, total: int, batches: int) -> None:
        if self._progress is not None:
            done = report.counts.get("acknowledged", 0) + report.counts.get("rejected", 0)
            self._progress(Progress(done, max(total, done), 0, report.counts.get("rejected", 0), batches))

    def _conclude(self, report: PushReport) -> None:
        with self._ledger.reading() as connection:
            left = connection.execute(_LEFT_OVER, {"whose": self._ledger.channel}).scalar_one()
            report_held(connection, STOCK_ITEM, self._ledger.channel, report, most=NAMED)
        report.counts["left"] = left
        report.interrupted = self._stopped() and left > 0
        if left and report.error:
            names = ", ".join(self._not_taken) + (" …" if left > len(self._not_taken) else "")
            which = f" ({names})" if self._not_taken else ""
            report.error = f"{left} {'SKU is' if left == 1 else 'SKUs are'} still to be sent{which}: {report.error}"


def _outcomes(result: Any) -> Outcomes:
    return {outcome.key: outcome for outcome in result.outcomes} if isinstance(result, BatchResult) else {}


def _why(outcome: ItemOutcome[Any] | None) -> str:
    if outcome is None:
        return ""
    return clip(outcome.error.message if outcome.error is not None else outcome.message, _MOST_WORDS)


def _acknowledged(row: Row[Any], now: datetime) -> dict[str, Any]:
    known = merged(from_text(row.acknowledged), from_text(row.wanted) or {})
    return {"key": row.sku, "sent": row.wanted, "new_acknowledged": as_text(known), "now": now}


def _rejected_row(row: Row[Any], message: str, now: datetime) -> dict[str, Any]:
    due = now + _BACKOFF.after(row.attempts + 1)
    return {"key": row.sku, "sent": row.wanted, "new_message": clip(message, _MOST_WORDS), "due": due}


def _left(row: Row[Any], outcome: ItemOutcome[Any] | None, now: datetime) -> dict[str, Any]:
    failed = outcome is not None and outcome.status is OutcomeStatus.FAILED
    # Due a moment after the run began, so that the next run tries it again, and not this run.
    due = now + _MOMENT
    return {"key": row.sku, "new_message": _why(outcome), "new_attempts": row.attempts + failed, "due": due}
