"""`octopus-soap push`: stock and prices from a file, differences only, over a ledger."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.output import notice, progress_bar
from octopus_soap.cli.rounds import LEDGER, ChannelOption, EveryOption, LedgerOption, run_job
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from threading import Event

    from octopus_soap.jobs.desired import Values
    from octopus_soap.jobs.plan import PlannedChange, PushReport

_SHOWN_CHANGES = 50


def share_of(text: str) -> float:
    """The share a text such as `20%` or `0.2` names.

    Raises:
        typer.BadParameter: it names none from 0 to 1.
    """
    try:
        share = float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r} is no share such as 20% or 0.2", param_hint="--max-change")
    return share


@connected
def push(
    connection: Connection,
    *,
    file: Annotated[Path | None, typer.Argument(metavar="STOCK.CSV", help="What the shop has.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; send nothing, change nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Let a push pass that changes more than --max-change.")
    ] = False,
    max_change: Annotated[
        str, typer.Option("--max-change", metavar="SHARE", help="Share that may change, or become 0, at once.")
    ] = "20%",
    pending: Annotated[
        bool, typer.Option("--pending", help="No file: help to send what a push left, beside other processes.")
    ] = False,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="No file: read everything back, and repair what differs.")
    ] = False,
    every: EveryOption = None,
    ledger: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Bring the service's stock and prices to what a file says, sending differences only.

    The first row names the columns: sku and any of stock, price, cost,
    lock_stock, lock_price, lock_cost, and observed_at, when a row was true. An
    empty cell leaves the value as it is. The ledger remembers what the service
    acknowledged: whatever ends the command, the next one goes on.

    Exit code 0: all is done, or another push is under way. 1: some SKUs are
    rejected; they are named in every run until they are mended. 2: it failed,
    or the push was refused because too much would change.
    """
    if (file is not None) + pending + reconcile != 1:
        raise typer.BadParameter("give one of a file, --pending and --reconcile")
    if pending and (dry_run or force):
        raise typer.BadParameter("--pending sends what was accepted before; --dry-run and --force belong to a file")
    from octopus_soap.jobs import Ledger, StockPush  # noqa: PLC0415 - heavy: only inside a command

    with connection.client() as client, Ledger(ledger, channel=channel) as books:
        job = StockPush(client, books, max_change_share=share_of(max_change))

        def once(stop: Event) -> PushReport:
            with progress_bar("pushing") as progress:
                if pending:
                    report = job.work(stop=stop, progress=progress)
                elif reconcile:
                    report = job.full_reconcile(dry_run=dry_run, force=force, stop=stop, progress=progress)
                else:
                    report = job.run(file, dry_run=dry_run, force=force, stop=stop, progress=progress)
            if dry_run:
                _show_plan(report)
            return report

        run_job(once, every)


def _show_plan(report: PushReport) -> None:
    rows = [(change.sku, *_words(change)) for change in report.plan[:_SHOWN_CHANGES]]
    if rows:
        show_table("", ["SKU", "Acknowledged", "Would become"], rows)
    more = sum(report.counts.get(name, 0) for name in ("new", "changed")) - len(rows)
    notice(f"{f'and {more} more; ' if more else ''}nothing was sent")


def _words(change: PlannedChange) -> tuple[str, str]:
    """What changes, before and after; what stays the same is left out."""
    before = change.before or {}
    names = [name for name in change.after if name not in before or before[name] != change.after[name]]
    return ("" if change.before is None else _told(before, names)), _told(change.after, names)


def _told(values: Values, names: list[str]) -> str:
    return ", ".join(f"{name}={values[name]}" for name in names if name in values)
