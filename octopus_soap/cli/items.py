"""`octopus-soap items`: look up, list, search, compare, upload and delete items."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    progress_bar,
    show_requests,
    show_unsent,
    show_update,
)
from octopus_soap.cli.jobs import ChannelOption, opened_ledger
from octopus_soap.cli.output import Columns, Records, Selection, as_data, as_row, notice, selecting, with_options
from octopus_soap.cli.sources import (
    DecimalOption,
    SkuFile,
    Skus,
    SourceArgument,
    ThousandsOption,
    numbers_of,
    read_models,
    sku_lines,
    skus_of,
)
from octopus_soap.cli.suggestions import LEDGER
from octopus_soap.cli.suggestions import skus as known_skus
from octopus_soap.cli.terminal import show_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from octopus_soap.client import OctopusClient
    from octopus_soap.models import InventoryItem
    from octopus_soap.results import BatchResult, ItemOutcome, Progress

app = Application()
_NAMED = 5  # SKUs named in a question
_LONGEST_SKU = 50
_NO_CHANGES = "no recent changes; octopus-soap items list --all shows all known items, items get SKU... one by its SKU"

StoresOption = Annotated[bool, typer.Option("--stores", help="A row per item and store.")]
KnownOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        envvar="OCTOPUS_LEDGER",
        metavar="FILE|URL",
        help=f"The ledger of push, which has SKUs. Default: {LEDGER}, if it exists.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class _Sought:
    """The options that `list` and `search` share."""

    file: SkuFile = None
    stores: StoresOption = False
    place: KnownOption = None
    channel: ChannelOption = "main"


@app.command("get")
@connected
@selecting("InventoryItem")
def get(
    connection: Connection,
    *,
    skus: Skus = None,
    file: SkuFile = None,
    stores: StoresOption = False,
    selection: Selection,
) -> None:
    """Show items. Exit code 1: some are unknown to the service."""
    wanted = skus_of(skus, file)
    with connection.client() as client:
        reading = partial(client.get_item_list, wanted)
        exit_for(in_full("reading", reading, lambda result: _show(result, selection, stores=stores)))


@app.command("list")
@connected
@selecting("InventoryItem")
@with_options("sought", _Sought)
def list_items(
    connection: Connection,
    *,
    everything: Annotated[
        bool,
        typer.Option(
            "--all/--recent", help="All items that can be found, or those that changed recently.", show_default="recent"
        ),
    ] = False,
    sought: _Sought,
    selection: Selection,
) -> None:
    """List the items that changed recently, or all that can be found.

    The service has no list of all items. --all reads its list of recent changes,
    the SKUs that push has recorded in the ledger, and those of --from FILE.
    To take an item off the list of changes:
    octopus-soap call DeleteTblItem --sku SKU
    """
    known = _known(sought.file, sought.place, sought.channel) if everything or sought.file is not None else None
    with connection.client() as client:
        result = in_full(
            "reading",
            partial(_recent_and, client, known.skus if known else []),
            lambda result: _show(
                result, selection, stores=sought.stores, empty=_NO_CHANGES if known is None else "no items"
            ),
        )
    if known is not None:
        notice(f"searched: {known.words}. The service has no list of all items")
        exit_for(result)


@app.command("search")
@connected
@selecting("InventoryItem")
@with_options("sought", _Sought)
def search(
    connection: Connection,
    *,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Part of a SKU, UPC or description, in any case.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Read the descriptions of all known SKUs too, 100 per request.")
    ] = False,
    sought: _Sought,
    selection: Selection,
) -> None:
    """Find items by a part of their SKU, UPC or description. Exit code 1: none.

    The service cannot search. This reads its list of recent changes, the item
    whose SKU is TEXT, and of the SKUs in the ledger and in --from FILE those that
    contain TEXT, or all of them with --all.
    """
    if not text:
        raise typer.BadParameter("an empty text is in every item; octopus-soap items list --all", param_hint="TEXT")
    known = _known(sought.file, sought.place, sought.channel)
    asked = [sku for sku in known.skus if everything or text.casefold() in sku.casefold()]
    if text.strip() == text and len(text) <= _LONGEST_SKU and text not in asked:
        asked.append(text)

    def found(result: BatchResult[InventoryItem]) -> BatchResult[InventoryItem]:
        from octopus_soap.results import BatchResult  # noqa: PLC0415 - heavy: only inside a command

        return BatchResult([o for o in result.outcomes if _matches(o, text)], result.calls)

    with connection.client() as client:
        result = found(
            in_full(
                "searching",
                partial(_recent_and, client, asked),
                lambda result: _show(found(result), selection, stores=sought.stores, empty=f"no item with {text!r}"),
            )
        )
    how = " (those by SKU; --all reads their descriptions too)" if known.skus and not everything else ""
    notice(f"searched: {known.words}{how}. The service itself cannot search")
    if not result:
        raise typer.Exit(1)


def _matches(outcome: ItemOutcome[InventoryItem], text: str) -> bool:
    """True if the item has the text, or if that is unknown."""
    if outcome.value is None:
        return outcome.status.value != "missing"
    cells = (outcome.key, outcome.value.upc, outcome.value.description)
    return any(text.casefold() in cell.casefold() for cell in cells if cell)


@dataclass(frozen=True, slots=True)
class _Known:
    """Known SKUs, in addition to the recent changes, and a text about their sources."""

    skus: list[str]
    words: str


def _known(file: Path | None, place: str | None, channel: str) -> _Known:
    """Return the SKUs of a file, and those that `push` recorded in the ledger."""
    found: dict[str, None] = {}
    words = ["recent changes"]
    if file is not None:
        lines = sku_lines(str(file))
        found.update(dict.fromkeys(lines))
        words.append(f"{len(lines):,} SKUs of {file}")
    if place is None and not Path(LEDGER).exists():
        words.append(f"no ledger at {LEDGER}")
    else:
        with opened_ledger(place or LEDGER, channel) as ledger:
            from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

            pushed = inspection.pushed_skus(ledger)
        found.update(dict.fromkeys(pushed))
        words.append(f"{len(pushed):,} SKUs of the ledger, channel {channel!r}")
    return _Known(list(found), ", ".join(words))


def _recent_and(
    client: OctopusClient, skus: Sequence[str], *, progress: Callable[[Progress], None]
) -> BatchResult[InventoryItem]:
    """Read the recent changes, and the other items of *skus*."""
    from octopus_soap.errors import BatchError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.results import BatchResult  # noqa: PLC0415 - heavy: only inside a command

    recent = client.get_item_tbl_list()
    listed = {outcome.key for outcome in recent.outcomes}
    others = [sku for sku in skus if sku not in listed]
    if not others:
        return recent

    def joined(result: BatchResult[InventoryItem]) -> BatchResult[InventoryItem]:
        return BatchResult([*recent.outcomes, *result.outcomes], [*recent.calls, *result.calls])

    try:
        return joined(client.get_item_list(others, progress=progress))
    except BatchError as error:
        error.result = joined(error.result)
        raise


def _show(result: BatchResult[InventoryItem], selection: Selection, *, stores: bool, empty: str = "no items") -> None:
    from octopus_soap.models import InventoryItem  # noqa: PLC0415 - heavy: only inside a command

    outcomes = list(result.outcomes)
    if stores:
        _show_stores(outcomes, selection, empty)
        return

    def by_item(kept: list[bool]) -> None:
        # The status of an item without a value is in a column of numbers, which is never left out.
        cells = [
            (o.key, *((i.description, i.category, i.price, i.stock) if (i := o.value) else (None, None, _noted(o))))
            for o in compress(outcomes, kept)
        ]
        show_table("", ["SKU", "?~Description", "?~Category", "#Price", "#Stock"], cells)

    rows = [as_row(o, "sku", item=as_data(o.value) if o.value else None) for o in outcomes]
    selection.show(Records(rows, "item", InventoryItem), by_item, empty=empty)


def _show_stores(outcomes: Sequence[ItemOutcome[InventoryItem]], selection: Selection, empty: str) -> None:
    """Print a row per item and store; a single row for an item without stores."""
    from octopus_soap.models import StoreStockInfo  # noqa: PLC0415 - heavy: only inside a command

    rows: list[dict[str, object]] = []
    cells: list[tuple[object, ...]] = []
    for outcome in outcomes:
        item = outcome.value
        text = item.description if item else None
        for store in (item.store_stock_info_list if item else None) or [StoreStockInfo()]:
            where = store.store_id if item else _noted(outcome)
            rows.append(as_row(outcome, "sku", description=text, store=as_data(store)))
            pieces = None if store.store_stock is None else f"{store.store_stock:g}"
            cells.append((outcome.key, where, pieces, store.store_price, text))

    def table(kept: list[bool]) -> None:
        show_table("", ["SKU", "Store", "#Stock", "?#Price", "?~Description"], compress(cells, kept))

    selection.show(Records(rows, "store", StoreStockInfo), table, empty=empty)


def _noted(outcome: ItemOutcome[InventoryItem]) -> str:
    return f"({outcome.status.value})"


@app.command("exists")
@connected
@selecting()
def exists(connection: Connection, *, skus: Skus = None, file: SkuFile = None, selection: Selection) -> None:
    """Show which SKUs exist. Exit code 1: some do not."""
    wanted = skus_of(skus, file)

    def show(result: BatchResult[bool]) -> None:
        words = {True: "yes", False: "no", None: "(no answer)"}
        rows = [as_row(outcome, "sku", exists=outcome.value) for outcome in result.outcomes]
        cells = [(outcome.key, words[outcome.value]) for outcome in result.outcomes]
        selection.show_whole(Records(rows), lambda: show_table("", ["SKU", "Exists"], cells))

    with connection.client() as client:
        result = in_full("asking", partial(client.is_sku_exist_list, wanted), show)
    exit_for(result)
    if not all(result):
        raise typer.Exit(1)


@app.command("upload")
@connected
@selecting()
def upload(
    connection: Connection,
    *,
    file: SourceArgument,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    omitted_values: OmittedOption = None,
    dry_run: DryRunOption = False,
    selection: Selection,
) -> None:
    """Add or update items from a file. Exit code 1: some were rejected.

    CSV: the first row names the columns: sku and any of description, price,
    cost, upc, … (or the wire names). An empty cell leaves the field unchanged.
    JSON or JSON lines: objects with the same names.
    Nothing is sent unless every row is accepted.
    """
    from octopus_soap.errors import InvalidInputError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models import InventoryItem  # noqa: PLC0415 - heavy: only inside a command

    read = read_models(file, InventoryItem, numbers_of(decimal, thousands), options=True)
    with connection.client(omitted_values, "UploadItemList") as client:
        try:
            if dry_run:
                show_requests(client, selection, client.upload_item_list, read.items)
                return
            selection.check("sku", "status", "message")
            uploading = partial(client.upload_item_list, read.items)
            result = in_full("uploading", uploading, lambda result: show_update(result, selection, "uploaded"))
        except InvalidInputError as error:
            raise read.located(error) from None
    exit_for(result)


@app.command("delete")
@connected
@selecting()
def delete(
    connection: Connection,
    *,
    skus: Skus = None,
    file: SkuFile = None,
    stores: Annotated[bool, typer.Option("--stores", help="Delete their data from the stores too.")] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    selection: Selection,
) -> None:
    """Delete items, one call each. Exit code 1: some did not exist.

    In a terminal it asks first; elsewhere, such as in cron, it needs --yes.
    """
    wanted = skus_of(skus, file)
    with connection.client() as client:
        call = client.delete_item_store if stores else client.delete_item
        # A dry run checks every SKU before the first is sent.
        requests = [request for sku in wanted for request in call.dry_run(sku)]
        if dry_run:
            show_unsent(client, selection, iter(requests), call.operation.wire_name)
            return
        selection.check("sku", "status", "message")
        shown = ", ".join(wanted[:_NAMED]) + (f", … ({len(wanted)})" if len(wanted) > _NAMED else "")
        confirmed(f"Delete {shown}{' from the stores too' if stores else ''}?", yes=yes)
        deleting = partial(one_by_one, wanted, str, call.with_info)
        result = in_full("deleting", deleting, lambda result: show_update(result, selection, "deleted"))
    exit_for(result)


# -- snapshots ---------------------------------------------------------------------------------------------------------


@app.command("snapshot")
@connected
def snapshot(
    connection: Connection,
    *,
    to: Annotated[Path, typer.Argument(metavar="FILE", help="File to write, a line of JSON per item.")],
    skus: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SKU]...", help="Only these. - reads a pipe.", autocompletion=known_skus),
    ] = None,
    file: SkuFile = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file if there is one.")] = False,
    place: KnownOption = None,
    channel: ChannelOption = "main",
) -> None:
    """Write items as they are now to a file, to compare them later.

    Without SKUs: all that can be found, as items list --all does. The file is
    written as a whole or not at all. Exit code 1: some SKUs are unknown to the
    service; they are not in the file.
    """
    if to.exists() and not replace:
        raise typer.BadParameter(f"{to} exists; choose another name, or give --replace", param_hint="FILE")
    if to.suffix.casefold() in {".csv", ".tsv", ".xlsx", ".parquet"}:
        raise typer.BadParameter(
            f"a snapshot is JSON lines, such as {to.with_suffix('.jsonl')}; "
            f"for a table: octopus-soap items list --all -o csv > {shlex.quote(str(to))}",
            param_hint="FILE",
        )
    wanted = skus_of(skus, file) if skus or file else None
    known = _known(None, place, channel) if wanted is None else None
    with connection.client() as client, progress_bar("reading") as progress:
        if known is None:
            result = client.get_item_list(wanted or [], progress=progress)
        else:
            result = _recent_and(client, known.skus, progress=progress)
    # After an error no file is written, because the missing items would later be shown as gone.
    _write_whole(to, [_as_snapshot(item) for item in result])
    searched = f" Searched: {known.words}" if known else ""
    notice(f"wrote {len(result):,} items to {to}.{searched}")
    for outcome in result.missing[:_NAMED]:
        notice(f"not known to the service: {outcome.key}")
    if len(result.missing) > _NAMED:
        notice(f"and {len(result.missing) - _NAMED:,} more")
    exit_for(result)


def _as_snapshot(item: InventoryItem) -> dict[str, Any]:
    """Return an item as it reads back: without members that the model does not have."""
    return {name: value for name, value in as_data(item).items() if name not in (item.model_extra or {})}


def _write_whole(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only to print

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{as_json(row, indent=None)}\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@app.command("compare")
@connected
@selecting()
def compare(
    connection: Connection,
    *,
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A snapshot, or a CSV file with a column sku.")],
    after: Annotated[
        Path | None,
        typer.Argument(metavar="[AFTER]", help="Another. Default: the same SKUs, read from the service now."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Compare only these columns, such as stock,price.",
            autocompletion=Columns("InventoryItem").like,
        ),
    ] = None,
    selection: Selection,
) -> None:
    """Show which items appeared, are gone or changed. Exit code 0: none, 1: some.

    Numbers are compared as numbers: 19.9 is 19.90. Of a CSV file, only the columns
    that it has are compared. Without AFTER the items are read from the service,
    which has no list of the items that appeared.
    """
    from octopus_soap.tables import compare as compared  # noqa: PLC0415 - heavy: only inside a command

    first, narrow = _read_items(before)
    if after is not None:
        second, other = _read_items(after)
        narrow = [name for name in narrow if name in other] if narrow and other else narrow or other
    else:
        with connection.client() as client, progress_bar("reading") as progress:
            second = list(client.get_item_list([item.sku or "" for item in first], progress=progress))
    names = [name.strip() for name in columns.split(",")] if columns else narrow
    found = compared(first, second, columns=names or None)
    counts = ", ".join(f"{count:,} {what}" for what, count in found.counts.items() if count)

    def table() -> None:
        if not found:
            typer.echo(f"no differences: {counts or 'no items'}")
            return
        cells = [(c["sku"], c["column"] or f"({c['change']})", c["before"], c["after"]) for c in rows]
        show_table("", ["SKU", "Column", "~Before", "~After"], cells)
        by_column = ", ".join(f"{name} {count:,}" for name, count in found.by_column.items())
        typer.echo(f"{counts}{f' ({by_column})' if by_column else ''}")

    rows = found.to_records()
    selection.show_whole(Records(rows), table)
    if found:
        raise typer.Exit(1)


def _read_items(path: Path) -> tuple[list[InventoryItem], list[str]]:
    """Return the items of a file, and the columns to compare; none means all."""
    from octopus_soap.models import InventoryItem  # noqa: PLC0415 - heavy: only inside a command

    items = read_models(str(path), InventoryItem).items
    if path.suffix.casefold() not in {".csv", ".tsv"}:
        return items, []
    given = {name for item in items for name in item.model_fields_set if getattr(item, name) is not None}
    return items, [name for name in InventoryItem.model_fields if name in given and name != "sku"]
