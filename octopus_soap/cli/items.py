"""`octopus-soap items`: look up, list, upload and delete items."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.calling import (
    Connection,
    DryRunOption,
    OmittedOption,
    YesOption,
    confirmed,
    connected,
    exit_for,
    in_full,
    one_by_one,
    show_requests,
    show_unsent,
    show_update,
)
from octopus_soap.cli.output import (
    FieldsOption,
    NoNullsOption,
    Output,
    OutputOption,
    Records,
    Selection,
    WhereOption,
    as_data,
    as_row,
    notice,
    show_all,
    show_records,
)
from octopus_soap.cli.sources import SkuFile, Skus, SourceArgument, read_models, skus_of
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from octopus_soap.models import InventoryItem
    from octopus_soap.results import BatchResult

app = Application()
_NAMED = 5  # SKUs in a question


@app.command("get")
@connected
def get(
    connection: Connection,
    *,
    skus: Skus = None,
    file: SkuFile = None,
    where: WhereOption = None,
    fields: FieldsOption = None,
    no_nulls: NoNullsOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show items. Exit code 1: the service does not know some of them."""
    wanted, selection = skus_of(skus, file), Selection(where, fields, no_nulls)
    with connection.client() as client:
        exit_for(
            in_full(
                "reading",
                lambda progress: client.get_item_list(wanted, progress=progress),
                lambda result: _show(result, output, selection),
            )
        )


@app.command("list")
@connected
def list_items(
    connection: Connection,
    *,
    where: WhereOption = None,
    fields: FieldsOption = None,
    no_nulls: NoNullsOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the items that changed recently; the service has no list of all items.

    To take an item off the list: octopus-soap call DeleteTblItem --sku SKU
    """
    selection = Selection(where, fields, no_nulls)
    with connection.client() as client:
        result = in_full(
            "reading", lambda _: client.get_item_tbl_list(), lambda result: _show(result, output, selection)
        )
    if not result and output is Output.TABLE:
        notice("no recent changes; octopus-soap items get SKU... shows an item by its SKU")


def _show(result: BatchResult[InventoryItem], output: Output, selection: Selection) -> None:
    from octopus_soap.models import InventoryItem  # noqa: PLC0415 - heavy: only inside a command

    rows = [as_row(o, "sku", item=as_data(o.value) if o.value else None) for o in result.outcomes]
    kept = selection.kept(Records(rows, "item", InventoryItem))
    outcomes = list(compress(result.outcomes, kept))
    records = selection.shown(Records(list(compress(rows, kept)), "item", InventoryItem))
    if selection.fields is not None:
        show_records(records, output, lambda: show_all(records))
        return

    def table() -> None:
        rows = [
            (o.key, *((i.description, i.category, i.price, i.stock) if (i := o.value) else (f"({o.status.value})",)))
            for o in outcomes
        ]
        show_table("", ["SKU", "?~Description", "?~Category", "#Price", "#Stock"], rows)

    show_records(records, output, table)


@app.command("exists")
@connected
def exists(
    connection: Connection, *, skus: Skus = None, file: SkuFile = None, output: OutputOption = Output.TABLE
) -> None:
    """Show which SKUs exist. Exit code 1: some do not."""
    wanted = skus_of(skus, file)

    def show(result: BatchResult[bool]) -> None:
        words = {True: "yes", False: "no", None: "(no answer)"}
        rows = [as_row(outcome, "sku", exists=outcome.value) for outcome in result.outcomes]
        cells = [(outcome.key, words[outcome.value]) for outcome in result.outcomes]
        show_records(Records(rows), output, lambda: show_table("", ["SKU", "Exists"], cells))

    with connection.client() as client:
        result = in_full("asking", lambda progress: client.is_sku_exist_list(wanted, progress=progress), show)
    exit_for(result)
    if not all(result):
        raise typer.Exit(1)


@app.command("upload")
@connected
def upload(
    connection: Connection,
    *,
    file: SourceArgument,
    omitted_values: OmittedOption = None,
    output: OutputOption = Output.TABLE,
    dry_run: DryRunOption = False,
) -> None:
    """Add or update items from a file. Exit code 1: some were rejected.

    CSV: the first row names the columns: sku and any of description, price,
    cost, upc, … (or the wire names). An empty cell leaves the field as it is.
    JSON or JSON lines: objects with the same names.
    Nothing is sent unless every row is accepted.
    """
    from octopus_soap.errors import InvalidInputError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models import InventoryItem  # noqa: PLC0415 - heavy: only inside a command

    read = read_models(file, InventoryItem)
    with connection.client(omitted_values) as client:
        try:
            if dry_run:
                show_requests(client, output, client.upload_item_list, read.items)
                return
            result = in_full(
                "uploading",
                lambda progress: client.upload_item_list(read.items, progress=progress),
                lambda result: show_update(result, output, "uploaded"),
            )
        except InvalidInputError as error:
            raise read.located(error) from None
    exit_for(result)


@app.command("delete")
@connected
def delete(
    connection: Connection,
    *,
    skus: Skus = None,
    file: SkuFile = None,
    stores: Annotated[bool, typer.Option("--stores", help="Delete their data from the stores too.")] = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
    dry_run: DryRunOption = False,
) -> None:
    """Delete items, one call each. Exit code 1: some did not exist.

    A terminal is asked first; elsewhere, such as in cron, it needs --yes.
    """
    wanted = skus_of(skus, file)
    with connection.client() as client:
        call = client.delete_item_store if stores else client.delete_item
        requests = [
            request for sku in wanted for request in call.dry_run(sku)
        ]  # checks every SKU before the first is sent
        if dry_run:
            show_unsent(client, output, iter(requests), call.operation.wire_name)
            return
        shown = ", ".join(wanted[:_NAMED]) + (f", … ({len(wanted)})" if len(wanted) > _NAMED else "")
        confirmed(f"Delete {shown}{' from the stores too' if stores else ''}?", yes=yes)
        result = in_full(
            "deleting",
            lambda progress: one_by_one(wanted, str, call.with_info, progress),
            lambda result: show_update(result, output, "deleted"),
        )
    exit_for(result)
