"""`octopus-soap stock`: push stock and prices."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.output import Output, OutputOption, exit_for, in_full, show_update

app = typer.Typer(no_args_is_help=True)


@app.callback()
def stock() -> None:
    """Push stock and prices."""  # a callback keeps `push` a sub-command while it is the only one


@app.command("push")
@connected
def push(
    connection: Connection,
    *,
    file: Annotated[Path, typer.Argument(help="CSV file.", metavar="STOCK.CSV")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Set stock and prices from a CSV file. Exit code 1: some were rejected.

    The first row names the columns: sku and any of stock, price, cost,
    lock_stock, lock_price, lock_cost (or the wire names). An empty cell leaves
    the value as it is. Nothing is sent unless every row is right.
    """
    from octopus_soap.cli.csv_items import read_items  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.errors import InvalidInputError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models import ItemQuantityAndPrice  # noqa: PLC0415 - heavy: only inside a command

    read = read_items(file, ItemQuantityAndPrice)
    with connection.client() as client:
        try:
            result = in_full(
                "pushing",
                lambda progress: client.update_item_quantity_and_price_list(read.items, progress=progress),
                lambda result: show_update(result, output, "updated"),
            )
        except InvalidInputError as error:
            raise read.located(error) from None
    exit_for(result)
