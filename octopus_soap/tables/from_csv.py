"""Reading a CSV file row by row: text stays text, and what is wrong with a row is told with its number.

The first row names the columns: wire names or Python names, in any case (`Sku`, `sku`, `SUBDescription1`,
`sub_description1`). An empty cell is a field left out, which the service leaves as it is. Columns are separated by
commas, semicolons or tabs, whichever the first row uses. Lists (stores, kits, attributes) and locks do not fit a cell
and are refused.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path  # noqa: TC003 - typer and dataclasses of callers read the annotations
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar, get_args, get_origin

from octopus_soap._http import one_line
from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models import WireModel
from octopus_soap.tables.cells import BYTE_ORDER_MARK, from_excel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


M = TypeVar("M", bound=WireModel)
_SEPARATORS = ",;\t"
_NOT_OURS = frozenset({"error_message"})  # the service's words, not the shop's


class CsvError(InvalidInputError):
    """The file cannot be used; nothing was sent. Every problem is in `problems`, with its row in the file."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.path = path

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.path}: {count} {'problem' if count == 1 else 'problems'}, nothing was sent"
        return "\n  ".join([head, *map(_shown, self.problems)])


def _shown(problem: Problem) -> str:
    where = [f"row {problem.index}"] if problem.index is not None else []
    where += [f"column {problem.field}"] if problem.field else []
    where += [f"value {problem.value}"] if problem.value else []
    return one_line(": ".join([", ".join(where), problem.message] if where else [problem.message]))


@dataclass(frozen=True, slots=True)
class CsvRow(Generic[M]):
    """One row that is right.

    Attributes:
        number: the row as an editor counts, the first row being 1.
        item: what it says.
        others: the cells of columns that are not the item's, by name.
    """

    number: int
    item: M
    others: dict[str, str]


def csv_rows(path: Path, model: type[M], *, also: Sequence[str] = ()) -> Iterator[CsvRow[M] | list[Problem]]:
    """Read *path* row by row, in the memory of one row; a row that is not right comes as the list of its problems.

    Args:
        path: a file in UTF-8.
        model: what a row is.
        also: columns a row may have besides the model's.

    Raises:
        CsvError: the file as a whole cannot be used: no CSV, or a column that is not known.
        OSError: the file cannot be opened.
    """
    with path.open(encoding="utf-8", newline="") as file:
        try:
            yield from rows_of(file, path, model, also=also)
        except UnicodeDecodeError as error:
            raise not_utf8(path, error) from None


def rows_of(
    file: TextIO, path: Path, model: type[M], *, also: Sequence[str] = (), others_ignored: bool = False
) -> Iterator[CsvRow[M] | list[Problem]]:
    """Read an open *file* row by row. See `csv_rows`.

    Args:
        file: text that can be read again from its beginning. Where it opens with a byte order mark, cells such as
            `="00123"` are read as what Excel shows for them.
        path: what errors call it.
        model: what a row is.
        also: columns a row may have besides the model's.
        others_ignored: read the key's column alone, whatever else there is.

    Raises:
        CsvError: the file as a whole cannot be used.
    """
    head = file.readline()
    excel = head.startswith(BYTE_ORDER_MARK)
    file.seek(0)
    if excel:
        file.read(1)
    separator = max(_SEPARATORS, key=head.count)
    try:
        cells = _cells(csv.reader(file, delimiter=separator, strict=True), excel=excel)
        rows = _only_key(cells, model) if others_ignored else cells
        _, names = next(rows, (1, []))
        columns = _columns(path, names, model, also)
        foreign = [name for name in also if name in columns]
        for number, row in rows:
            yield _row(number, row, columns, model, foreign)
    except csv.Error as error:
        raise CsvError(path, [Problem(f"not CSV: {error}")]) from None


def not_utf8(path: Path, error: UnicodeDecodeError) -> CsvError:
    """What to say of a file that is not UTF-8."""
    return CsvError(path, [Problem(f"not UTF-8 at byte {error.start}; save it as 'CSV UTF-8'")])


def from_text(
    text: str, path: Path, model: type[M], *, others_ignored: bool = False
) -> Iterator[CsvRow[M] | list[Problem]]:
    """Read CSV *text* row by row. See `rows_of`."""
    return rows_of(io.StringIO(text, newline=""), path, model, others_ignored=others_ignored)


def _cells(reader: Iterator[list[str]], *, excel: bool) -> Iterator[tuple[int, list[str]]]:
    before = 0
    for cells in reader:
        # A quoted cell may span lines: a row is where it begins.
        row, before = before + 1, reader.line_num  # type: ignore[attr-defined] # csv's reader has it
        if any(cell.strip() for cell in cells):
            yield row, [from_excel(cell) for cell in cells] if excel else cells


def _only_key(rows: Iterator[tuple[int, list[str]]], model: type[WireModel]) -> Iterator[tuple[int, list[str]]]:
    """The rows cut down to the column of the key, where there is one."""
    row, head = next(rows, (1, []))
    names = [name.strip().casefold() for name in head]
    at = names.index(model.key_field) if model.key_field in names else None
    yield row, head if at is None else [head[at]]
    for number, cells in rows:
        yield number, cells if at is None else cells[at : at + 1]


def _columns(path: Path, head: list[str], model: type[WireModel], also: Sequence[str]) -> dict[str, str]:
    """The column of each attribute, in the file's order."""
    known = {name.casefold(): attribute for name, attribute in _cell_fields(model).items()}
    known.update({name.casefold(): name for name in also})
    columns: dict[str, str] = {}
    problems: list[Problem] = []
    for name in head:
        attribute = known.get(name.strip().casefold())
        if attribute is None:
            problems.append(Problem(_unknown(name, model, known), 1, field=name.strip() or "(no name)"))
        elif attribute in columns:
            problems.append(Problem(f"means the same as column {columns[attribute]}", 1, field=name.strip()))
        else:
            columns[attribute] = name.strip()
    if not problems and model.key_field not in columns:
        problems.append(Problem(f"no column {model.key_field}: the first row names the columns", 1))
    if problems:
        raise CsvError(path, problems)
    return columns


def _unknown(name: str, model: type[WireModel], known: dict[str, str]) -> str:
    near = get_close_matches(name.strip().casefold(), known, n=1)
    if near:
        return f"unknown; did you mean {known[near[0]]}?"
    everything = {wire.casefold() for wire in model.wire_names()} | set(model.model_fields)
    if name.strip().casefold() in everything:
        return "does not fit a cell; set it with the Python client"
    fields = sorted(set(known.values()))
    return f"unknown; the columns of {model.__name__} are {', '.join(fields[:12])}{' …' if len(fields) > 12 else ''}"  # noqa: PLR2004 - a readable line


def _cell_fields(model: type[WireModel]) -> dict[str, str]:
    """The attributes that fit a cell, by wire name and by Python name."""
    found: dict[str, str] = {}
    for wire, attribute in model.wire_names().items():
        kinds = get_args(model.model_fields[attribute].annotation)
        if attribute not in _NOT_OURS and not any(map(_holds_several, kinds)):
            found[wire] = found[attribute] = attribute
    return found


def _holds_several(kind: Any) -> bool:
    return get_origin(kind) is list or (isinstance(kind, type) and issubclass(kind, WireModel))


def _row(
    row: int, cells: list[str], columns: dict[str, str], model: type[M], foreign: Sequence[str]
) -> CsvRow[M] | list[Problem]:
    """The item of a row, or what is wrong with it."""
    if len(cells) != len(columns):
        return [Problem(f"has {len(cells)} cells, the first row has {len(columns)}", row)]
    given = {attribute: cell for attribute, cell in zip(columns, cells, strict=True) if cell}
    if model.key_field not in given:
        return [Problem("is empty", row, field=columns[model.key_field])]
    others = {name: given.pop(name) for name in foreign if name in given}
    try:
        return CsvRow(row, model(**given), others)
    except InvalidInputError as error:
        return [replace(p, index=row, field=_column_of(p.field, columns, model)) for p in error.problems]


def _column_of(field: str, columns: dict[str, str], model: type[WireModel]) -> str:
    name = field.rpartition(".")[2]
    return columns.get(model.wire_names().get(name, name), name)
