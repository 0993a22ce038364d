"""Reading a CSV file into items: text stays text, and everything wrong with it is told at once.

The first row names the columns: wire names or Python names, in any case (`Sku`, `sku`, `SUBDescription1`,
`sub_description1`). An empty cell is a field left out, which the service leaves as it is. Columns are separated by
commas, semicolons or tabs, whichever the first row uses. Lists (stores, kits, attributes) and locks do not fit a cell
and are refused.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path  # noqa: TC003 - typer and dataclasses of callers read the annotations
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_origin

from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models import WireModel

if TYPE_CHECKING:
    from collections.abc import Iterator

M = TypeVar("M", bound=WireModel)
_SEPARATORS = ",;\t"
_NOT_OURS = frozenset({"error_message"})  # the service's words, not the shop's
_POSITION = re.compile(r"\[(\d+)\]")  # how the client names another input in a message


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
    return ": ".join([", ".join(where), problem.message] if where else [problem.message])


@dataclass(frozen=True, slots=True)
class CsvItems(Generic[M]):
    """What a file holds.

    Attributes:
        path: the file.
        items: one item per row.
        rows: the row of each item as an editor counts, the first row being 1.
    """

    path: Path
    items: list[M]
    rows: list[int]

    def located(self, error: InvalidInputError) -> CsvError:
        """The same problems with the file's rows instead of positions."""
        return CsvError(self.path, [self._located(problem) for problem in error.problems])

    def _located(self, problem: Problem) -> Problem:
        if problem.index is None:
            return problem
        message = _POSITION.sub(lambda match: f"row {self.rows[int(match[1])]}", problem.message)
        return replace(problem, index=self.rows[problem.index], field=problem.field.rpartition(".")[2], message=message)


def read_items(path: Path, model: type[M]) -> CsvItems[M]:
    """Read *path* as rows of *model*.

    Raises:
        CsvError: a column or cell is not accepted; every one is listed.
        OSError: the file cannot be opened.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            separator = max(_SEPARATORS, key=head.count)
            rows = _rows(csv.reader(file, delimiter=separator, strict=True))
            return _read(path, rows, model)
    except UnicodeDecodeError as error:
        raise CsvError(path, [Problem(f"not UTF-8 at byte {error.start}; save it as 'CSV UTF-8'")]) from None
    except csv.Error as error:
        raise CsvError(path, [Problem(f"not CSV: {error}")]) from None


def _rows(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    before = 0
    for cells in reader:
        # A quoted cell may span lines: a row is where it begins.
        row, before = before + 1, reader.line_num  # type: ignore[attr-defined] # csv's reader has it
        if any(cell.strip() for cell in cells):
            yield row, cells


def _read(path: Path, rows: Iterator[tuple[int, list[str]]], model: type[M]) -> CsvItems[M]:
    _, head = next(rows, (1, []))
    columns = _columns(path, head, model)
    items: list[M] = []
    numbers: list[int] = []
    problems: list[Problem] = []
    for row, cells in rows:
        item = _item(row, cells, columns, model)
        if isinstance(item, list):
            problems += item
        else:
            items.append(item)
            numbers.append(row)
    if problems:
        raise CsvError(path, problems)
    return CsvItems(path, items, numbers)


def _columns(path: Path, head: list[str], model: type[WireModel]) -> dict[str, str]:
    """The column of each attribute, in the file's order."""
    known = {name.casefold(): attribute for name, attribute in _cell_fields(model).items()}
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


def _item(row: int, cells: list[str], columns: dict[str, str], model: type[M]) -> M | list[Problem]:
    """The item of a row, or what is wrong with it."""
    if len(cells) != len(columns):
        return [Problem(f"has {len(cells)} cells, the first row has {len(columns)}", row)]
    given = {attribute: cell for attribute, cell in zip(columns, cells, strict=True) if cell}
    if model.key_field not in given:
        return [Problem("is empty", row, field=columns[model.key_field])]
    try:
        return model(**given)
    except InvalidInputError as error:
        return [replace(p, index=row, field=_column_of(p.field, columns, model)) for p in error.problems]


def _column_of(field: str, columns: dict[str, str], model: type[WireModel]) -> str:
    name = field.rpartition(".")[2]
    return columns.get(model.wire_names().get(name, name), name)
