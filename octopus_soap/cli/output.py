"""What commands print: a table for people, JSON for programs; one row per input, whatever became of it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from octopus_soap.results import BatchResult, ItemOutcome, Progress

T = TypeVar("T")
_PIPED_WIDTH = 200  # characters; a table in a pipe or a file has no terminal to fit


class Output(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="JSON has amounts as texts and times in UTC.", show_default=True)
]


def terminal(*, errors: bool = False) -> Console:
    """A console that prints texts as they are: a description such as `[red]` is no colour."""
    console = Console(stderr=errors, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:  # noqa: SLF001 - rich's own rule for a given width
        console.width = _PIPED_WIDTH
    return console


def show_json(rows: object) -> None:
    """Print *rows* as JSON."""
    typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose name starts with `#` hold numbers and stand to the right."""
    look: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}
    table = Table(title=title or None, title_justify="left", title_style="bold", **look)
    for column in columns:
        number = column.startswith("#")
        table.add_column(column.removeprefix("#"), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    terminal().print(table)


def as_row(outcome: ItemOutcome[Any], key: str, **more: object) -> dict[str, object]:
    """An outcome as a JSON row.

    Args:
        outcome: the outcome.
        key: what its key is called, such as `sku`.
        more: members besides key, status and message.
    """
    message = outcome.error.message if outcome.error is not None else outcome.message
    row: dict[str, object] = {key: outcome.key, "status": outcome.status.value, **more}
    return {**row, "message": message} if message else row


def as_data(model: Any) -> Any:
    """A model as JSON data: what the service sent, under the Python names."""
    return model.model_dump(mode="json", exclude_unset=True)


def in_full(
    label: str, call: Callable[[Callable[[Progress], None]], BatchResult[T]], show: Callable[[BatchResult[T]], None]
) -> BatchResult[T]:
    """Make a call under a progress bar, and show its result, also where an error or Ctrl-C left part of it undone.

    Args:
        label: stands before the bar.
        call: makes the call; given the callback that moves the bar.
        show: prints a result.
    """
    from octopus_soap.results import BatchResult  # noqa: PLC0415 - heavy: only inside a command

    try:
        with _progress_bar(label) as progress:
            result = call(progress)
    except BaseException as error:
        partial = getattr(error, "result", None)
        if isinstance(partial, BatchResult):
            show(partial)
        raise
    show(result)
    return result


def show_update(result: BatchResult[Any], output: Output, done: str) -> None:
    """Show what became of an update: everything as JSON; as a table only what did not go well.

    Args:
        result: the result of an upload or update.
        output: how to print it.
        done: what the good ones are, such as `uploaded`.
    """
    if output is Output.JSON:
        show_json([as_row(outcome, "sku") for outcome in result.outcomes])
        return
    bad = [outcome for outcome in result.outcomes if not outcome.ok]
    if bad:
        rows = [(o.key, o.status.value, o.error.message if o.error is not None else o.message) for o in bad]
        show_table(f"not {done}", ["SKU", "Status", "Message"], rows)
    typer.echo(f"{done}: {len(result)} of {len(result.outcomes)}; calls: {len(result.calls)}")


def exit_for(result: BatchResult[Any]) -> None:
    """End the command with exit code 1 where the service said no to an item or does not know it."""
    if result.rejected or result.missing:
        raise typer.Exit(1)


@contextmanager
def _progress_bar(label: str) -> Generator[Callable[[Progress], None]]:
    """A progress bar on stderr while the block runs, in a terminal only; yields the callback that moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - see below
    from rich.progress import Progress as Bar  # noqa: PLC0415 - costs as much as all of --help

    console = terminal(errors=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        def move(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)

        yield move
