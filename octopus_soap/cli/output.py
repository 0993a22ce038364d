"""What commands print: a table for people, records for programs; one row per input, whatever became of it.

Results go to stdout, notices and progress to stderr, so that a pipe holds nothing but the result. Colours are for
terminals only; rich honours NO_COLOR.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from octopus_soap.cli.records import Records, as_csv, as_json_lines, as_parquet
from octopus_soap.cli.tables import show_table, terminal
from octopus_soap.tables.cells import as_cell, as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from octopus_soap.results import BatchResult, ItemOutcome, Progress

T = TypeVar("T")


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
        help="table, json, jsonl, csv, excel (CSV that Excel leaves as it is) or parquet.",
        show_default=True,
    ),
]


def notice(text: str) -> None:
    """Say something that is no part of the result."""
    typer.echo(text, err=True)


def show_json(rows: object) -> None:
    """Print *rows* as JSON."""
    _write(f"{as_json(rows)}\n")


def show_records(records: Records, output: Output, table: Callable[[], object]) -> None:
    """Print *records* as *output* says.

    Args:
        records: what there is.
        output: the format.
        table: prints the table for people.

    Raises:
        ConfigError: Parquet without pyarrow.
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
                    "parquet is binary: send it to a file or a pipe, as in > records.parquet", param_hint="--output"
                )
            _write(as_parquet(records))


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def show_all(records: Records) -> None:
    """Print *records* as a table of all their columns that hold something, as many as fit."""
    flat = records.flat()
    names = records.columns(flat)
    cells = [[_for_people(row.get(name)) for name in names] for row in flat]
    show_table("", [_marked(name, [row.get(name) for row in flat]) for name in names], cells)


def _for_people(cell: Any) -> object:
    return cell if cell is None or isinstance(cell, Decimal) else as_cell(cell)


def _marked(name: str, cells: list[Any]) -> str:
    """The name of a column with the marks `show_table` reads."""
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
    """An outcome as a row.

    Args:
        outcome: the outcome.
        key: what its key is called, such as `sku`.
        more: members besides key, status and message.
    """
    message = outcome.error.message if outcome.error is not None else outcome.message
    row: dict[str, object] = {key: outcome.key, "status": outcome.status.value, **more}
    return {**row, "message": message} if message else row


def as_data(model: Any) -> Any:
    """A model as data: what the service sent, under the Python names, but for secrets such as a card's number."""
    return model.model_dump(exclude_unset=True, exclude=set(model.secret_fields))


def in_full(label: str, call: Callable[[Callable[[Progress], None]], T], show: Callable[[Any], object]) -> T:
    """Make a call under a progress bar, and show its result, also where an error or Ctrl-C left part of it undone.

    Args:
        label: stands before the bar.
        call: makes the call; given the callback that moves the bar.
        show: prints a result.
    """
    from octopus_soap.results import BatchResult  # noqa: PLC0415 - heavy: only inside a command

    try:
        with progress_bar(label) as progress:
            result = call(progress)
    except BaseException as error:
        partial = getattr(error, "result", None)
        if isinstance(partial, BatchResult):
            show(partial)
        raise
    show(result)
    return result


def show_update(result: BatchResult[Any], output: Output, done: str, key: str = "sku") -> None:
    """Show what became of an update: everything as records; as a table only what did not go well.

    Args:
        result: the result of an upload or update.
        output: how to print it.
        done: what the good ones are, such as `uploaded`.
        key: what the inputs' key is called.
    """

    def table() -> None:
        bad = [outcome for outcome in result.outcomes if not outcome.ok]
        if bad:
            rows = [(o.key, o.status.value, o.error.message if o.error is not None else o.message) for o in bad]
            show_table(f"not {done}", ["SKU" if key == "sku" else key, "Status", "Message"], rows)
        typer.echo(f"{done}: {len(result)} of {len(result.outcomes)}; calls: {len(result.calls)}")

    show_records(Records([as_row(outcome, key) for outcome in result.outcomes]), output, table)


def exit_for(result: BatchResult[Any]) -> None:
    """End the command with exit code 1 where the service said no to an item or does not know it."""
    if result.rejected or result.missing:
        raise typer.Exit(1)


@contextmanager
def progress_bar(label: str) -> Generator[Callable[[Progress], None]]:
    """A progress bar on stderr while the block runs, in a terminal only; yields the callback that moves it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - see below
    from rich.progress import Progress as Bar  # noqa: PLC0415 - costs as much as all of --help

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=terminal(errors=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def move(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)

        yield move
