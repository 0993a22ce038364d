"""The output of commands: a table for people, records for programs; one row per input, whatever its outcome.

Results go to stdout, notices and progress to stderr, so that a pipe holds nothing but the result. Colours are for
terminals only; rich honours NO_COLOR.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap._http import one_line
from octopus_soap.cli.records import Records, as_csv, as_json_lines, as_parquet
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.results import ItemOutcome


class Output(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    EXCEL = "excel"
    PARQUET = "parquet"


OutputOption = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        metavar="FORMAT",
        help="table, json, jsonl, csv, excel (CSV that Excel opens unchanged) or parquet.",
        show_default=True,
    ),
]


def notice(text: str) -> None:
    """Print a line that is not part of the result."""
    typer.echo("\n".join(map(one_line, text.split("\n"))), err=True)


def show_json(rows: object) -> None:
    """Print *rows* as JSON."""
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only to print

    _write(f"{as_json(rows)}\n")


def show_records(records: Records, output: Output, table: Callable[[], object]) -> None:
    """Print *records* in the format *output*.

    Args:
        records: the records.
        output: the format.
        table: prints the table for people.

    Raises:
        ConfigError: the format is Parquet and pyarrow is not installed.
    """
    match output:
        case Output.TABLE:
            table()
        case Output.JSON:
            show_json(records.rows)
        case Output.JSONL:
            _write(as_json_lines(records))
        case Output.CSV | Output.EXCEL:
            _write(as_csv(records, excel=output is Output.EXCEL))
        case Output.PARQUET:
            if _is_terminal():
                raise typer.BadParameter(
                    "parquet is binary; write it to a file: > records.parquet", param_hint="--output"
                )
            _write(as_parquet(records))


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def show_all(records: Records) -> None:
    """Print *records* as a table of their columns that are not empty, as many as fit."""
    flat = records.flat()
    names = records.columns(flat)
    cells = [[_for_people(row.get(name)) for name in names] for row in flat]
    show_table("", [_marked(name, [row.get(name) for row in flat]) for name in names], cells)


def _for_people(cell: Any) -> object:
    from octopus_soap.tables.cells import as_cell  # noqa: PLC0415 - heavy: only to print

    return cell if cell is None or isinstance(cell, Decimal) else as_cell(cell)


def _marked(name: str, cells: list[Any]) -> str:
    """Return the name of a column with the marks of `show_table`."""
    if name in {"status", "message", "error_message"}:
        return name
    numbers = all(
        cell is None or (isinstance(cell, (int, float, Decimal)) and type(cell) is not bool) for cell in cells
    )
    return f"?#{name}" if numbers else f"?~{name}"


def _write(content: str | bytes) -> None:
    """Write to stdout byte for byte: UTF-8 and the format's own line ends on every system."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content.encode() if isinstance(content, str) else content)
    sys.stdout.buffer.flush()


def as_row(outcome: ItemOutcome[Any], key: str, **more: object) -> dict[str, object]:
    """Return an outcome as a row.

    Args:
        outcome: the outcome.
        key: the name of its key, such as `sku`.
        more: members besides key, status and message.
    """
    message = outcome.error.message if outcome.error is not None else outcome.message
    row: dict[str, object] = {key: outcome.key, "status": outcome.status.value, **more}
    return {**row, "message": message} if message else row


def as_data(model: Any) -> Any:
    """Return a model as data under the Python names, without secrets such as a card's number."""
    return model.model_dump(exclude_unset=True, exclude=set(model.secret_fields))
