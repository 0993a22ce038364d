"""Reading everything back: what the service really holds, against what the ledger believes it does.

Others write to the service too, and it may be restored from a backup. A reconciliation reads every SKU the service ever
acknowledged and compares what it tells with what it acknowledged. Where they differ, the ledger is put right, and what
the shop last wanted is to be sent again. What the service tells nothing of (an element left out or nil) is taken as
unchanged: some members may never be told. A SKU it no longer has is to be sent again too, so that its refusal is
reported until the item is back. Nothing is ever deleted.

Nothing is written before the last page was read: a read that fails half-way has changed nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from octopus_soap.jobs.desired import actual_values, difference, from_text, merged
from octopus_soap.jobs.tables import STOCK_ITEM
from octopus_soap.results import OutcomeStatus, Progress

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.desired import Values
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.plan import Plan, PushReport

_PAGE = 1_000
_ITEM = STOCK_ITEM.c
_READ: list[ColumnElement[Any]] = [_ITEM.sku, _ITEM.acknowledged, _ITEM.wanted]


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
