"""The input of commands: arguments, files and standard input; text, CSV or JSON.

The first character of the text decides the format: `[` is a JSON array, `{` one JSON object (or one per line), anything
else CSV, whose rules are in `csv_rows`. JSON numbers are read as exact decimals. All problems of a file are reported
together, with their rows.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import sys
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import typer

from octopus_soap.cli.suggestions import skus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octopus_soap.errors import InvalidInputError, Problem
    from octopus_soap.models.base import WireModel
    from octopus_soap.tables.from_csv import CsvError, Numbers

M = TypeVar("M", bound="WireModel")
STDIN = "-"
_STDIN_NAME = Path("standard input")
_ADDED = ("status", "message")
_BYTE_ORDER_MARK = "\ufeff"
_POSITION = re.compile(r"\[(\d+)\]")  # how a message of the client refers to another input

Skus = Annotated[
    list[str] | None,
    typer.Argument(
        help="SKUs, exactly as they are: 00123 is not 123. - reads a pipe, one per line.",
        metavar="SKU",
        autocompletion=skus,
    ),
]
SkuFile = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="File of SKUs: one per line, or a CSV file with a column sku."),
]

SourceArgument = Annotated[str, typer.Argument(help="A CSV, JSON or JSON lines file; - reads a pipe.", metavar="FILE")]


@dataclass(frozen=True, slots=True)
class CsvItems(Generic[M]):
    """The items of a file.

    Attributes:
        rows: the row of each item as an editor counts, the first row being 1.
    """

    path: Path
    items: list[M]
    rows: list[int]

    def located(self, error: InvalidInputError) -> CsvError:
        """Return the error with rows of the file instead of positions."""
        from octopus_soap.tables.from_csv import CsvError  # noqa: PLC0415 - heavy: only inside a command

        return CsvError(self.path, [self._located(problem) for problem in error.problems], remedy=error.remedy)

    def _located(self, problem: Problem) -> Problem:
        if problem.index is None:
            return problem
        message = _POSITION.sub(lambda match: f"row {self.rows[int(match[1])]}", problem.message)
        return replace(problem, index=self.rows[problem.index], field=problem.field.rpartition(".")[2], message=message)


def read_source(source: str) -> tuple[str, Path]:
    """Return the text of a file, or of standard input for `-`, and its name.

    Raises:
        CsvError: the file is not UTF-8, or was changed while it was read.
        OSError: the file cannot be read.
    """
    from octopus_soap.tables.from_csv import not_utf8, unchanged  # noqa: PLC0415 - heavy: only inside a command

    if source == STDIN:
        path, content = _STDIN_NAME, sys.stdin.buffer.read()
    else:
        path = Path(source)
        with path.open("rb") as file, unchanged(path, file):
            content = file.read()
    try:
        return content.decode(), path
    except UnicodeDecodeError:
        raise not_utf8(path, io.BytesIO(content)) from None


def check_readable(file: Path) -> None:
    """Refuse a file that cannot be read, before any other work.

    Raises:
        OSError: it cannot be read.
    """
    readable = os.access(file, os.R_OK)
    if not readable or file.is_dir():
        wrong = errno.EISDIR if readable else errno.EACCES if file.exists() else errno.ENOENT
        raise OSError(wrong, os.strerror(wrong), str(file))


DecimalOption = Annotated[
    str | None, typer.Option("--decimal", metavar="CHAR", help="Decimal separator of a CSV file: . or ,")
]
ThousandsOption = Annotated[
    str | None, typer.Option("--thousands", metavar="CHAR", help="Thousands separator of a CSV file, such as .")
]


def numbers_of(decimal: str | None, thousands: str | None) -> Numbers | None:
    """Return how a file writes numbers; None if neither option was given.

    Raises:
        BadParameter: the two cannot be separators.
    """
    if decimal is None and thousands is None:
        return None
    from octopus_soap.errors import InvalidInputError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.from_csv import Numbers  # noqa: PLC0415 - heavy: only inside a command

    try:
        return Numbers(decimal or ".", thousands or "")
    except InvalidInputError as error:
        problem = error.problems[0]
        raise typer.BadParameter(f"{problem.message}, not {problem.value}", param_hint=f"--{problem.field}") from None


def skus_of(words: Sequence[str] | None, file: Path | None) -> list[str]:
    """Return the SKUs of the arguments, of a pipe, and of a file; never stripped.

    Raises:
        BadParameter: no SKU was given.
        CsvError: the file is not a list of SKUs.
    """
    found: list[str] = []
    for word in words or ():
        found += lines_of(read_source(STDIN)[0]) if word == STDIN else [word]
    if file is not None:
        found += sku_lines(str(file))
    if file is not None and not found:
        raise typer.BadParameter(f"{file} has no SKU", param_hint="--from")
    if not found and words:
        raise typer.BadParameter("standard input has no SKU", param_hint="SKU")
    if not found:
        raise typer.BadParameter("no SKU given: name SKUs, or - to read a pipe, or --from FILE", param_hint="SKU")
    return found


def sku_lines(source: str) -> list[str]:
    """Return the SKUs of a file or pipe: its lines, or the column sku of a CSV file."""
    text, path = read_source(source)
    if path.suffix.casefold() not in {".csv", ".tsv"}:
        return lines_of(text)
    from octopus_soap.models import IsSkuExistResponse  # noqa: PLC0415 - heavy: only inside a command

    return [str(item.sku) for item in parse_items(text, path, IsSkuExistResponse, others_ignored=True).items]


def lines_of(text: str) -> list[str]:
    """Return the lines that are not empty, unstripped."""
    lines = text.removeprefix(_BYTE_ORDER_MARK).replace("\r\n", "\n").split("\n")
    return [line for line in lines if line]


def read_models(source: str, model: type[M], numbers: Numbers | None = None, *, options: bool = False) -> CsvItems[M]:
    """Read a file, or standard input for `-`, as items.

    *options* is True if the command has options for *numbers*, which the messages may advise.

    Raises:
        CsvError: a part of it is not accepted; the error has every problem.
        OSError: the file cannot be read.
    """
    text, path = read_source(source)
    return parse_models(text, path, model, numbers, options=options)


def parse_models(
    text: str, path: Path, model: type[M], numbers: Numbers | None = None, *, options: bool = False
) -> CsvItems[M]:
    """Read *text* (JSON array, JSON lines or CSV) as items.

    Raises:
        CsvError: it has no rows, or a part of it is not accepted; the error has every problem.
    """
    from octopus_soap.errors import Problem  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.from_csv import CsvError  # noqa: PLC0415 - heavy: only inside a command

    opening = text.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
    if opening in {"[", "{"}:
        read = _parse_json(text, path, model)
    else:
        read = parse_items(text, path, model, numbers=numbers, options=options)
    if not read.items:
        raise CsvError(path, [Problem("it has no rows")])
    return read


def _parse_json(text: str, path: Path, model: type[M]) -> CsvItems[M]:
    from octopus_soap.errors import InvalidInputError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.from_csv import CsvError  # noqa: PLC0415 - heavy: only inside a command

    items: list[M] = []
    rows: list[int] = []
    problems: list[Problem] = []
    for row, data in _json_rows(text.removeprefix(_BYTE_ORDER_MARK), path):
        try:
            items.append(_made(data, model))
        except InvalidInputError as error:
            problems += [replace(p, index=row, field=p.field.rpartition(".")[2]) for p in error.problems]
        else:
            rows.append(row)
    if problems:
        raise CsvError(path, problems)
    return CsvItems(path, items, rows)


def parse_items(
    text: str,
    path: Path,
    model: type[M],
    *,
    others_ignored: bool = False,
    numbers: Numbers | None = None,
    options: bool = False,
) -> CsvItems[M]:
    """Read CSV *text* as items, with the options of `rows_of`.

    The columns that a command adds to items, `status` and `message`, are left out. A row with another status than `ok`
    has no item, and is refused.

    Raises:
        CsvError: a column or cell is not accepted; the error has every problem.
    """
    from octopus_soap.errors import Problem  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.from_csv import CsvError, CsvRow, rows_of  # noqa: PLC0415 - heavy: only inside a command

    items: list[M] = []
    rows: list[int] = []
    problems: list[Problem] = []
    file = io.StringIO(text, newline="")
    added = [name for name in _ADDED if name not in model.model_fields]
    for row in rows_of(file, path, model, also=added, others_ignored=others_ignored, numbers=numbers, options=options):
        if isinstance(row, CsvRow) and (status := row.others.get("status", "ok")) not in {"ok", ""}:
            message = "the row has no item; leave it out"
            key = getattr(row.item, model.key_field)
            problems.append(Problem(message, row.number, key, field="status", value=repr(status)))
        elif isinstance(row, CsvRow):
            items.append(row.item)
            rows.append(row.number)
        else:
            problems += row
    if problems:
        raise CsvError(path, problems)
    return CsvItems(path, items, rows)


def _made(data: Any, model: type[M]) -> M:
    from octopus_soap.errors import InvalidInputError, Problem  # noqa: PLC0415 - heavy: only inside a command

    if not isinstance(data, dict):
        raise InvalidInputError([Problem(f"expected an object, the fields of a {model.__name__} by name")])
    return model(**data)


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """Yield each record with its line, or its position in an array, from 1."""
    from octopus_soap.errors import Problem  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.from_csv import CsvError  # noqa: PLC0415 - heavy: only inside a command

    try:
        whole = _loads(text)
    except json.JSONDecodeError as whole_error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if text.lstrip().startswith("[") or len(lines) == 1:
            raise CsvError(path, [Problem(f"not JSON: {whole_error}")]) from None
        for number, line in lines:
            try:
                yield number, _loads(line)
            except json.JSONDecodeError as error:
                raise CsvError(path, [Problem(f"not JSON: {error.msg} at character {error.pos + 1}", number)]) from None
    else:
        yield from enumerate(whole if isinstance(whole, list) else [whole], 1)


def _loads(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)
