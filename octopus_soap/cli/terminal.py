"""Output for people: tables that fit the terminal, and a pager.

Marks before a column's name decide what happens to it in a narrow terminal:

* the first column is the key of a row and stays whole, and so does a column of numbers (`#Price`); `%Where` is a first
  column of words, which wraps;
* `~Description` is shortened with an ellipsis;
* `?Category` is left out, the last such column first, and also if it is empty in every row;
* any other column wraps.

A pipe or a file has no width to fit, unless COLUMNS is set.

The pager is `$PAGER`, or `less` if it is installed; a pipe or a file gets everything at once. `--no-pager`, `PAGER=cat`
and `TERM=dumb` turn it off. The output of a `paged` block is collected first, because its length decides.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from octopus_soap._http import one_line

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_PIPED_WIDTH = 200  # characters; a pipe or a file has no width
_SHORT, _WRAPPED = 16, 24  # characters that a shortened or wrapped column keeps
_BETWEEN = 2  # characters that a column takes in addition to its text
_NAMED = 5  # columns named in a notice
_CENTS = Decimal("0.01")
STYLES = {"ok": "green", "rejected": "red", "missing": "yellow", "failed": "bold red", "unknown": "bold yellow",
          "not_sent": "dim"}  # fmt: skip
"""The style of each outcome status."""


def terminal(*, errors: bool = False) -> Console:
    """Return a console that prints texts unchanged, also `[red]`."""
    from rich.console import Console  # noqa: PLC0415 - rich is loaded only to print: help and completion do not need it

    console = Console(stderr=errors, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:  # noqa: SLF001 - rich's own rule for a given width
        console.width = _PIPED_WIDTH
    return console


@dataclass(slots=True)
class _Column:
    name: str
    number: bool
    short: bool
    optional: bool
    key: bool
    width: int
    filled: bool

    @property
    def least(self) -> int:
        """The least characters that it needs."""
        if self.key or self.number:
            return self.width
        return min(self.width, _SHORT if self.short else _WRAPPED)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, and name the columns that did not fit on stderr.

    Args:
        title: the line above the table; none if empty.
        columns: names, with the marks that the module describes.
        rows: a cell per column; missing cells are empty. A status is coloured in a terminal. Control characters of a
            text are shown as escapes; only a `Text` can have several lines.
    """
    from rich import box  # noqa: PLC0415 - see `terminal`
    from rich.table import Table  # noqa: PLC0415 - see `terminal`
    from rich.text import Text  # noqa: PLC0415 - see `terminal`

    cells = [[_cell(cell) for cell in row] for row in rows]
    made = [_column(mark, position, cells) for position, mark in enumerate(columns)]
    console = terminal()
    kept = _fitting(made, console.width)
    widths = _widths([made[position] for position in kept], console.width - _BETWEEN * len(kept))
    # If even that is too wide, the terminal wraps the lines: a shortened number is a wrong number.
    console.width = max(console.width, sum(widths) + _BETWEEN * len(kept))
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_header=any(columns),
    )
    for position, width in zip(kept, widths, strict=True):
        _add(table, made[position], width)
    for row in cells:
        table.add_row(*(row[position] if position < len(row) else Text() for position in kept))
    console.print(table, crop=False)
    if left_out := [column.name for position, column in enumerate(made) if position not in kept and column.filled]:
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        names = ", ".join(left_out[:_NAMED])
        typer.echo(f"no room for {names}{more}: a wider terminal or --output json shows them", err=True)


def _cell(cell: object) -> Text:
    from rich.text import Text  # noqa: PLC0415 - see `terminal`

    if isinstance(cell, Text):
        return cell
    text = shown(cell)
    return Text(text, style=STYLES.get(text.strip("()"), ""))


def shown(cell: object) -> str:
    """Return a value as readable text on one line."""
    return "" if cell is None else _amount(cell) if isinstance(cell, Decimal) else one_line(str(cell))


def _amount(number: Decimal) -> str:
    """Return an amount without trailing zeros beyond two places: 64.1100 is 64.11."""
    text = format(number, "f")
    return format(number.quantize(_CENTS), "f") if number == round(number, 2) else text.rstrip("0")


def _column(mark: str, position: int, cells: list[list[Text]]) -> _Column:
    from rich.cells import cell_len  # noqa: PLC0415 - see `terminal`

    name = mark.lstrip("#~?%")
    marks = mark[: len(mark) - len(name)]
    widths = [cell_len(line) for row in cells if position < len(row) for line in row[position].plain.split("\n")]
    key = position == 0 and "%" not in marks
    filled = any(widths) or not cells
    return _Column(
        name, "#" in marks, "~" in marks, "?" in marks and not key, key, max([cell_len(name), *widths]), filled
    )


def _fitting(columns: list[_Column], width: int) -> list[int]:
    kept = [position for position, column in enumerate(columns) if column.filled or not column.optional]
    while sum(columns[position].least + _BETWEEN for position in kept) > width:
        optional = [position for position in kept if columns[position].optional]
        if not optional:
            break
        kept.remove(optional[-1])
    return kept


def _widths(columns: list[_Column], room: int) -> list[int]:
    """Return the column widths; the room left goes to the smallest needs first."""
    widths = [column.least for column in columns]
    spare = room - sum(widths)
    for position in sorted(range(len(columns)), key=lambda position: columns[position].width - widths[position]):
        more = max(0, min(columns[position].width - widths[position], spare))
        widths[position] += more
        spare -= more
    return widths


def _add(table: Table, column: _Column, width: int) -> None:
    cut = column.short and not (column.key or column.number)
    table.add_column(
        column.name,
        justify="right" if column.number else "left",
        overflow="ellipsis" if cut else "fold",
        no_wrap=cut or column.key or column.number,
        min_width=width,
        max_width=width,
    )


_LESS = {"LESS": "FRX", "LESSCHARSET": "utf-8"}
"""End at once if all fits, show colours, and leave the text on the screen; `$LESS` overrides it."""
pager_enabled = True
"""False after `--no-pager`."""


class _Collected(io.TextIOWrapper):
    """Collects standard output, and reports that it is a terminal."""

    def __init__(self) -> None:
        self.content = io.BytesIO()
        super().__init__(self.content, encoding="utf-8", newline="\n", write_through=True)

    def isatty(self) -> bool:
        return True


@contextmanager
def paged() -> Generator[None]:
    """Show the output of the block in a pager, if it is longer than the screen."""
    command = _pager()
    if not command:
        yield
        return
    collected = _Collected()
    try:
        with redirect_stdout(collected):
            yield
    finally:
        content = collected.content.getvalue()
        if not (_is_longer(content.decode()) and _run(command, content)):
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()


def _pager() -> list[str]:
    """Return the pager's command line; empty if no pager is wanted."""
    if not (sys.stdout.isatty() and sys.stdin.isatty()) or isinstance(sys.stdout, _Collected):
        return []
    if not pager_enabled or os.environ.get("TERM", "") in {"", "dumb"}:
        return []
    with suppress(ValueError):  # $PAGER has an open quote
        words = shlex.split(os.environ.get("PAGER", "less"))
        if words and words[0] != "cat" and shutil.which(words[0]):
            return words
    return []


def _is_longer(text: str) -> bool:
    """True if *text*, with its long lines wrapped, has more lines than the screen."""
    from rich.text import Text  # noqa: PLC0415 - rich is loaded only to print

    width, height = shutil.get_terminal_size()
    lines = text.count("\n")
    if lines < height and len(text) > width:
        lines = sum(max(1, -(-Text.from_ansi(line).cell_len // width)) for line in text.split("\n")[:-1])
    return lines >= height  # the prompt takes a line too


def _run(command: list[str], content: bytes) -> bool:
    """Run the pager; return False if it cannot start."""
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, env=_LESS | dict(os.environ))  # noqa: S603 - the user chose it
    except OSError:
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the pager
    try:
        with suppress(BrokenPipeError):  # the user left before the end
            pager.communicate(content)
        pager.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return True
