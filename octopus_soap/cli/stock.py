"""`octopus-soap stock`: look up and set stock and prices."""

from __future__ import annotations

from itertools import compress
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
    show_requests,
    show_update,
)
from octopus_soap.cli.output import Records, Selection, as_data, as_row, selecting
from octopus_soap.cli.sources import (
    DecimalOption,
    SkuFile,
    Skus,
    SourceArgument,
    ThousandsOption,
    numbers_of,
    read_models,
    skus_of,
)
from octopus_soap.cli.suggestions import skus
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from decimal import Decimal

    from octopus_soap.client import OctopusClient
    from octopus_soap.models import ItemQuantityAndPrice, QuantityInfoResponse
    from octopus_soap.results import BatchResult

app = Application()


@app.command("get")
@connected
@selecting("QuantityInfoResponse")
def get(connection: Connection, *, skus: Skus = None, file: SkuFile = None, selection: Selection) -> None:
    """Show quantities. Exit code 1: the service does not know some of the SKUs."""
    wanted = skus_of(skus, file)
    with connection.client() as client:
        exit_for(
            in_full(
                "reading",
                lambda progress: client.get_item_quantity_list(wanted, progress=progress),
                lambda result: _show(result, selection),
            )
        )


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
    """Set stock, price or cost of one item; the others stay as they are. Exit code 1: rejected."""
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
def push(
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
    the value as it is. JSON or JSON lines: objects with the same names.
    Nothing is sent unless every row is accepted.
    """
    from octopus_soap.errors import InvalidInputError, Problem  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models import ItemQuantityAndPrice  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.from_csv import CsvError  # noqa: PLC0415 - heavy: only inside a command

    read = read_models(file, ItemQuantityAndPrice, numbers_of(decimal, thousands))
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
    exit_for(
        in_full(
            "pushing",
            lambda progress: client.update_item_quantity_and_price_list(items, progress=progress),
            lambda result: show_update(result, selection, "updated"),
        )
    )
