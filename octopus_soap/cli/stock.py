"""`octopus-soap stock`: look up and set values; `octopus-soap push`: sync a file."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from itertools import compress
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.calling import (
    Connection,
    DryRunOption,
    OmittedOption,
    connected,
    exit_for,
    in_full,
    progress_bar,
    progress_bars,
    show_requests,
    show_update,
)
from octopus_soap.cli.jobs import ChannelOption, EveryOption, LedgerOption, ReportOption, ReportOutput, run_job
from octopus_soap.cli.output import Records, Selection, as_data, as_row, notice, selecting
from octopus_soap.cli.sources import (
    STDIN,
    DecimalOption,
    SkuFile,
    Skus,
    SourceArgument,
    ThousandsOption,
    check_readable,
    numbers_of,
    read_models,
    skus_of,
)
from octopus_soap.cli.suggestions import LEDGER, skus
from octopus_soap.cli.terminal import show_table

if TYPE_CHECKING:
    from decimal import Decimal
    from threading import Event

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.desired import Values
    from octopus_soap.jobs.plan import PlannedChange, PushReport
    from octopus_soap.models import ItemQuantityAndPrice, QuantityInfoResponse
    from octopus_soap.results import BatchResult

app = Application()


@app.command("get")
@connected
@selecting("QuantityInfoResponse")
def get(connection: Connection, *, skus: Skus = None, file: SkuFile = None, selection: Selection) -> None:
    """Show quantities. Exit code 1: some SKUs are unknown to the service."""
    wanted = skus_of(skus, file)
    with connection.client() as client:
        reading = partial(client.get_item_quantity_list, wanted)
        exit_for(in_full("reading", reading, lambda result: _show(result, selection)))


def _show(result: BatchResult[QuantityInfoResponse], selection: Selection) -> None:
    from octopus_soap.models import QuantityInfoResponse  # noqa: PLC0415 - heavy: only inside a command

    def table(kept: list[bool]) -> None:
        rows = [
            (o.key, v.stock, _count(v.applicable_stock), v.form_quantity, None)
            if (v := o.value)
            else (o.key, None, None, None, f"({o.status.value})" if not o.message else o.message)
            for o in compress(result.outcomes, kept)
        ]
        show_table("", ["SKU", "#Stock", "?#Applicable", "?#On forms", ""], rows)

    rows = [as_row(o, "sku", quantity=as_data(o.value) if o.value else None) for o in result.outcomes]
    selection.show(Records(rows, "quantity", QuantityInfoResponse), table)


def _count(pieces: Decimal | None) -> str | None:
    return None if pieces is None else f"{pieces.normalize():f}"  # an amount on the wire: 66.0000


@app.command("set")
@connected
@selecting()
def set_(
    connection: Connection,
    *,
    sku: Annotated[str, typer.Argument(help="The SKU, exactly as it is.", metavar="SKU", autocompletion=skus)],
    stock: Annotated[str | None, typer.Option(help="Pieces in stock.", metavar="COUNT")] = None,
    price: Annotated[str | None, typer.Option(help="The price, such as 19.90.", metavar="AMOUNT")] = None,
    cost: Annotated[str | None, typer.Option(help="The cost.", metavar="AMOUNT")] = None,
    omitted_values: OmittedOption = None,
    dry_run: DryRunOption = False,
    selection: Selection,
) -> None:
    """Set stock, price or cost of an item; the others stay. Exit code 1: rejected."""
    from octopus_soap.models import ItemQuantityAndPrice  # noqa: PLC0415 - heavy: only inside a command

    given: dict[str, Any] = {"stock": stock, "price": price, "cost": cost}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("nothing to set: give at least one", param_hint="--stock, --price or --cost")
    with connection.client(omitted_values, "UpdateItemQuantityAndPriceList") as client:
        _update(client, [ItemQuantityAndPrice(sku=sku, **changes)], selection, dry_run=dry_run)


@app.command("push")
@connected
@selecting()
def push_all(
    connection: Connection,
    *,
    file: SourceArgument,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    omitted_values: OmittedOption = None,
    dry_run: DryRunOption = False,
    selection: Selection,
) -> None:
    """Set stock and prices from a file. Exit code 1: some were rejected.

    CSV: the first row names the columns: sku and any of stock, price, cost,
    lock_stock, lock_price, lock_cost (or the wire names). An empty cell leaves
    the value unchanged. JSON or JSON lines: objects with the same names.
    Nothing is sent unless every row is accepted.
    """
    from octopus_soap.errors import InvalidInputError, Problem  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models import ItemQuantityAndPrice  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.from_csv import CsvError  # noqa: PLC0415 - heavy: only inside a command

    read = read_models(file, ItemQuantityAndPrice, numbers_of(decimal, thousands), options=True)
    if not any(item.model_fields_set - {"sku"} for item in read.items):
        raise CsvError(read.path, [Problem("no row has a stock, a price or another value")])
    with connection.client(omitted_values, "UpdateItemQuantityAndPriceList") as client:
        try:
            _update(client, read.items, selection, dry_run=dry_run)
        except InvalidInputError as error:
            raise read.located(error) from None


def _update(client: OctopusClient, items: list[ItemQuantityAndPrice], selection: Selection, *, dry_run: bool) -> None:
    if dry_run:
        show_requests(client, selection, client.update_item_quantity_and_price_list, items)
        return
    selection.check("sku", "status", "message")
    pushing = partial(client.update_item_quantity_and_price_list, items)
    exit_for(in_full("pushing", pushing, lambda result: show_update(result, selection, "updated")))


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
        str, typer.Option("--max-change", metavar="SHARE", help="Largest share of SKUs that may change, or become 0.")
    ] = "20%",
    max_price_fall: Annotated[
        str,
        typer.Option(
            "--max-price-fall", metavar="SHARE", help="Refuse if a price falls by this much; 100% is a price of 0."
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
        bool, typer.Option("--pending", help="Without a file: send what earlier pushes left. Several processes may.")
    ] = False,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="Without a file: read all values back, and correct differences.")
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
    """Update stock and prices at the service from a file; send only differences.

    The first row names the columns: sku and any of stock, price, cost,
    lock_stock, lock_price, lock_cost, and observed_at, the time of the values.
    An empty cell leaves the value unchanged. The ledger records what the service
    acknowledged: if a push is interrupted, the next one continues.

    Exit code 0: all is done. 1: some rows or SKUs are not done; they are named:
    rejected, stale, invalid, or different from another SKU only by case. 2: it
    failed, or the push was refused because too much would change. 3: another push
    is running. 130, 143: a signal came before the file was read; nothing of it was
    accepted.
    """
    if (file is not None) + pending + reconcile != 1:
        raise typer.BadParameter("give a file, --pending or --reconcile, one of them")
    if pending and (dry_run or force):
        raise typer.BadParameter("--dry-run and --force need a file: --pending sends what was accepted before")
    if restore and not reconcile:
        raise typer.BadParameter("--restore needs --reconcile")
    if str(file) == STDIN:
        raise typer.BadParameter("- is no file; to read a pipe: octopus-soap push /dev/stdin", param_hint="FILE")
    if file is not None and every is None:  # in a loop, the file may appear later
        check_readable(file)
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
                show_plan(report)
            return report

        run_job(once, every, output)


def show_plan(report: PushReport) -> None:
    """Print what a push would change."""
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
