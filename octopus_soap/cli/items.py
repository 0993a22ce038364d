"""`octopus-soap items`: look up and upload items."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.output import (
    Output,
    OutputOption,
    as_data,
    as_row,
    exit_for,
    in_full,
    show_json,
    show_table,
    show_update,
)

if TYPE_CHECKING:
    from octopus_soap.models import InventoryItem
    from octopus_soap.results import BatchResult

app = typer.Typer(no_args_is_help=True)
Skus = Annotated[list[str], typer.Argument(help="SKUs, as they are: 00123 is not 123.", metavar="SKU...")]


@app.command("get")
@connected
def get(connection: Connection, *, skus: Skus, output: OutputOption = Output.TABLE) -> None:
    """Show items. Exit code 1: the service does not know some of them."""

    def show(result: BatchResult[InventoryItem]) -> None:
        if output is Output.JSON:
            show_json([as_row(o, "sku", item=as_data(o.value) if o.value else None) for o in result.outcomes])
            return
        rows = [
            (o.key, *((i.description, i.category, i.price, i.stock) if (i := o.value) else (f"({o.status.value})",)))
            for o in result.outcomes
        ]
        show_table("", ["SKU", "Description", "Category", "#Price", "#Stock"], rows)

    with connection.client() as client:
        exit_for(in_full("reading", lambda progress: client.get_item_list(skus, progress=progress), show))


@app.command("exists")
@connected
def exists(connection: Connection, *, skus: Skus, output: OutputOption = Output.TABLE) -> None:
    """Tell which SKUs exist. Exit code 1: some do not."""

    def show(result: BatchResult[bool]) -> None:
        if output is Output.JSON:
            show_json([as_row(outcome, "sku", exists=outcome.value) for outcome in result.outcomes])
            return
        words = {True: "yes", False: "no", None: "(no answer)"}
        show_table("", ["SKU", "Exists"], [(outcome.key, words[outcome.value]) for outcome in result.outcomes])

    with connection.client() as client:
        result = in_full("asking", lambda progress: client.is_sku_exist_list(skus, progress=progress), show)
    exit_for(result)
    if not all(result):
        raise typer.Exit(1)


@app.command("upload")
@connected
def upload(
    connection: Connection,
    *,
    file: Annotated[Path, typer.Argument(help="CSV file.", metavar="ITEMS.CSV")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Add or update items from a CSV file. Exit code 1: some were rejected.

    The first row names the columns: sku and any of description, price, cost,
    upc, … (or the wire names). An empty cell leaves the field as it is.
    Nothing is sent unless every row is right.
    """
    from octopus_soap.cli.csv_items import read_items  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.errors import InvalidInputError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models import InventoryItem  # noqa: PLC0415 - heavy: only inside a command

    read = read_items(file, InventoryItem)
    with connection.client() as client:
        try:
            result = in_full(
                "uploading",
                lambda progress: client.upload_item_list(read.items, progress=progress),
                lambda result: show_update(result, output, "uploaded"),
            )
        except InvalidInputError as error:
            raise read.located(error) from None
    exit_for(result)
