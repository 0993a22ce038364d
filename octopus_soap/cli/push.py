"""`octopus-soap push`: bring stock and prices to the values of a file, sending only differences."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.calling import Connection, OmittedOption, connected, progress_bar, progress_bars
from octopus_soap.cli.jobs import (
    ChannelOption,
    EveryOption,
    LedgerOption,
    ReportOption,
    ReportOutput,
    run_job,
)
from octopus_soap.cli.output import notice
from octopus_soap.cli.sources import DecimalOption, ThousandsOption, numbers_of
from octopus_soap.cli.suggestions import LEDGER
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from threading import Event

    from octopus_soap.jobs.desired import Values
    from octopus_soap.jobs.plan import PlannedChange, PushReport

_SHOWN_CHANGES = 50


class Absent(StrEnum):
    """What a push does with SKUs that the file does not have."""

    KEEP = "keep"
    ZERO = "zero"


def share_of(text: str, option: str = "--max-change") -> float:
    """Return the share that a text such as `20%` or `0.2` names.

    Raises:
        typer.BadParameter: it is not a share from 0 to 1.
    """
    try:
        share = float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r} is not a share such as 20% or 0.2", param_hint=option)
    return share


@connected
def push(
    connection: Connection,
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="CSV file of the shop's stock and prices.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Allow a push that --max-change or --max-price-fall would refuse.")
    ] = False,
    max_change: Annotated[
        str,
        typer.Option("--max-change", metavar="SHARE", help="Largest share of SKUs that may change, or become 0."),
    ] = "20%",
    max_price_fall: Annotated[
        str,
        typer.Option(
            "--max-price-fall", metavar="SHARE", help="Refuse if a price falls by so much; 100% is a price of 0."
        ),
    ] = "100%",
    absent: Annotated[
        Absent, typer.Option("--absent", help="Stock of SKUs that the file does not have: keep it, or set it to 0.")
    ] = Absent.KEEP,
    last_row_wins: Annotated[
        bool, typer.Option("--last-row-wins", help="Of two different rows of a SKU without times, send the later one.")
    ] = False,
    store_column: Annotated[
        str | None, typer.Option("--store-column", metavar="NAME", help="Column of store ids: a row per SKU and store.")
    ] = None,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    pending: Annotated[
        bool,
        typer.Option("--pending", help="Without a file: send what earlier pushes left. Several processes may."),
    ] = False,
    reconcile: Annotated[
        bool,
        typer.Option("--reconcile", help="Without a file: read all values back, and correct differences."),
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="With --reconcile: send stock again that the service has less of.")
    ] = False,
    omitted_values: OmittedOption = None,
    output: ReportOption = ReportOutput.TEXT,
    every: EveryOption = None,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Bring stock and prices of the service to the values of a file; send only differences.

    The first row names the columns: sku and any of stock, price, cost,
    lock_stock, lock_price, lock_cost, and observed_at, the time of the values.
    An empty cell leaves the value as it is. The ledger records what the service
    acknowledged: if a push is interrupted, the next one continues.

    Exit code 0: all is done. 1: some rows or SKUs are not done: rejected, stale
    or invalid; they are named. 2: it failed, or the push was refused because too
    much would change. 3: another push is running. 130, 143: a signal came before
    the file was read; nothing of it was taken over.
    """
    if (file is not None) + pending + reconcile != 1:
        raise typer.BadParameter("give a file, --pending or --reconcile, one of them")
    if pending and (dry_run or force):
        raise typer.BadParameter("--dry-run and --force need a file: --pending sends what was accepted before")
    if restore and not reconcile:
        raise typer.BadParameter("--restore needs --reconcile")
    from octopus_soap.jobs import Ledger, StockPush  # noqa: PLC0415 - heavy: only inside a command

    with (
        connection.client(omitted_values, "UpdateItemQuantityAndPriceList") as client,
        Ledger(place, channel=channel) as ledger,
    ):
        job = StockPush(
            client,
            ledger,
            max_change_share=share_of(max_change),
            max_price_fall=share_of(max_price_fall, "--max-price-fall"),
            last_row_wins=last_row_wins,
            store_column=store_column,
            numbers=numbers_of(decimal, thousands),
        )

        def once(stop: Event) -> PushReport:
            if pending:
                with progress_bar("pushing") as progress:
                    return job.work(stop=stop, progress=progress)
            if reconcile:
                with progress_bar("reading") as progress:
                    report = job.full_reconcile(
                        dry_run=dry_run, force=force, restore=restore, stop=stop, progress=progress
                    )
            else:
                with progress_bars("reading", "pushing") as (reading, progress):
                    report = job.run(
                        file,
                        dry_run=dry_run,
                        force=force,
                        absent=absent.value,
                        stop=stop,
                        progress=progress,
                        reading=reading,
                    )
            if dry_run and output is ReportOutput.TEXT:
                _show_plan(report)
            return report

        run_job(once, every, output)


def _show_plan(report: PushReport) -> None:
    rows = [(change.sku, *_before_and_after(change)) for change in report.plan[:_SHOWN_CHANGES]]
    if rows:
        show_table("", ["SKU", "Acknowledged", "Would become"], rows)
    more = sum(report.counts.get(name, 0) for name in ("new", "changed")) - len(rows)
    if more > 0:
        notice(f"and {more} more")


def _before_and_after(change: PlannedChange) -> tuple[str, str]:
    """Return the values that change, before and after."""
    before = change.before or {}
    names = [name for name in change.after if name not in before or before[name] != change.after[name]]
    return ("" if change.before is None else _shown(before, names)), _shown(change.after, names)


def _shown(values: Values, names: list[str]) -> str:
    return ", ".join(f"{name}={values[name]}" for name in names if name in values)
