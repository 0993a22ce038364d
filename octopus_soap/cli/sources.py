"""Where a command's input comes from: arguments, a file, or standard input, as text, CSV or JSON.

Items are told apart by how the text opens: `[` is a JSON array, `{` one JSON object (or one per line), anything else
CSV. JSON numbers are read as exact decimals.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.tables.cells import BYTE_ORDER_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octopus_soap.cli.csv_items import CsvItems
    from octopus_soap.models.base import WireModel

M = TypeVar("M", bound="WireModel")
STDIN = "-"
_STDIN_NAME = Path("standard input")

Skus = Annotated[
    list[str] | None,
    typer.Argument(help="SKUs, as they are: 00123 is not 123. - reads them from a pipe, one per line.", metavar="SKU"),
]
SkuFile = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="File of SKUs: one per line, or a CSV file with a column sku."),
]

SourceArgument = Annotated[str, typer.Argument(help="CSV, JSON or JSON lines; - reads a pipe.", metavar="FILE")]


def read_source(source: str) -> tuple[str, Path]:
    """The text of a file, or of standard input for `-`, and what errors call it.

    Raises:
        CsvError: it is not UTF-8.
        OSError: it cannot be read.
    """
    from octopus_soap.cli.csv_items import decoded  # noqa: PLC0415 - heavy: only inside a command

    path = _STDIN_NAME if source == STDIN else Path(source)
    content = sys.stdin.buffer.read() if source == STDIN else path.read_bytes()
    return decoded(content, path), path


def skus_of(words: Sequence[str] | None, file: Path | None) -> list[str]:
    """The SKUs named on the command line, in a pipe, and in a file, in this order; never stripped.

    Raises:
        BadParameter: there are none.
        CsvError: the file is no list of SKUs.
    """
    found: list[str] = []
    for word in words or ():
        found += lines_of(read_source(STDIN)[0]) if word == STDIN else [word]
    if file is not None:
        found += sku_lines(str(file))
    if not found and not (words or file):
        raise typer.BadParameter("which SKUs? name them, or - for a pipe, or --from FILE", param_hint="SKU")
    return found


def sku_lines(source: str) -> list[str]:
    """The SKUs of a file or pipe: its lines, or the column sku of a CSV file."""
    text, path = read_source(source)
    if path.suffix.casefold() not in {".csv", ".tsv"}:
        return lines_of(text)
    from octopus_soap.cli.csv_items import parse_items  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.models import IsSkuExistResponse  # noqa: PLC0415 - heavy: only inside a command

    return [str(item.sku) for item in parse_items(text, path, IsSkuExistResponse, others_ignored=True).items]


def lines_of(text: str) -> list[str]:
    """The lines that are not empty, with their spaces."""
    lines = text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n").split("\n")
    return [line for line in lines if line]


def read_models(source: str, model: type[M]) -> CsvItems[M]:
    """Read a file, or standard input for `-`, as items.

    Raises:
        CsvError: something in it is not accepted; everything that is not is listed.
        OSError: it cannot be read.
    """
    text, path = read_source(source)
    return parse_models(text, path, model)


def parse_models(text: str, path: Path, model: type[M]) -> CsvItems[M]:
    """Read *text* (JSON array, JSON lines or CSV) as items.

    Raises:
        CsvError: something in it is not accepted; everything that is not is listed.
    """
    from octopus_soap.cli.csv_items import CsvItems, parse_items  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.from_csv import CsvError  # noqa: PLC0415 - heavy: only inside a command

    opening = text.removeprefix(BYTE_ORDER_MARK).lstrip()[:1]
    if opening not in {"[", "{"}:
        return parse_items(text, path, model)
    items: list[M] = []
    rows: list[int] = []
    problems: list[Problem] = []
    for row, data in _json_rows(text.removeprefix(BYTE_ORDER_MARK), path):
        try:
            items.append(_made(data, model))
        except InvalidInputError as error:
            problems += [_at(problem, row) for problem in error.problems]
        else:
            rows.append(row)
    if problems:
        raise CsvError(path, problems)
    return CsvItems(path, items, rows)


def _at(problem: Problem, row: int) -> Problem:
    return Problem(problem.message, row, problem.key, problem.field.rpartition(".")[2], problem.value)


def _made(data: Any, model: type[M]) -> M:
    if not isinstance(data, dict):
        raise InvalidInputError([Problem(f"expected an object, the fields of a {model.__name__} by name")])
    return model(**data)


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """Each record with its place: the line, or the position in an array, from 1."""
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
