"""Read a CSV file row by row, and report each problem with the number of its row.

Text stays text. The first row names the columns: wire names or Python names, in any case (`Sku`, `sku`,
`SUBDescription1`, `sub_description1`). An empty cell is a field that is not sent, which the service leaves unchanged.
Columns are separated by commas, semicolons or tabs, whichever the first row uses. Lists (stores, kits, attributes) and
locks do not fit a cell and are refused.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shlex
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path  # noqa: TC003 - typer and dataclasses of callers read the annotations
from typing import IO, TYPE_CHECKING, Annotated, Any, Generic, TextIO, TypeVar, get_args, get_origin

from octopus_soap._http import one_line
from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models import WireModel
from octopus_soap.tables.cells import BYTE_ORDER_MARK, from_excel

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence


M = TypeVar("M", bound=WireModel)
_SEPARATORS = ",;\t"
_GZIP, _ZIP, _UTF_16 = b"\x1f\x8b", b"PK\x03\x04", (b"\xff\xfe", b"\xfe\xff")
"""How files begin that are not UTF-8."""
_NOT_OURS = frozenset({"error_message"})  # the service's text, not the shop's


class CsvError(InvalidInputError):
    """The file cannot be used; `problems` has every problem with its row."""

    def __init__(self, path: Path, problems: list[Problem], *, remedy: str = "") -> None:
        super().__init__(problems, remedy=remedy)
        self.path = path

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.path}: {count} {'problem' if count == 1 else 'problems'}, nothing was sent"
        lines = "\n  ".join([head, *map(shown, self.problems)])
        return f"{lines}\n{self.remedy}" if self.remedy else lines


def shown(problem: Problem) -> str:
    """Return a problem as one line: its row, column and value, and its message."""
    where = [f"row {problem.index}"] if problem.index is not None else []
    where += [f"column {problem.field}"] if problem.field else []
    where += [f"value {problem.value}"] if problem.value else []
    return one_line(": ".join([", ".join(where), problem.message] if where else [problem.message]))


_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+")
_WITH_COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_NAMED = 1_000
"""At most this many ambiguous cells are reported."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """How a file writes numbers.

    Attributes:
        decimal: what separates the decimals, `.` or `,`.
        thousands: what separates the thousands, such as `.` or a space; empty if nothing does.

    Raises:
        InvalidInputError: a character is not allowed, or the two are equal.
    """

    decimal: str = "."
    thousands: str = ""

    def __post_init__(self) -> None:
        """Refuse separators that are not allowed, or that are equal."""
        if self.decimal not in {".", ","}:
            raise InvalidInputError([Problem("expected . or ,", field="decimal", value=repr(self.decimal))])
        if self.thousands not in {"", ".", ",", " ", "'", "\u00a0", "\u202f"} or self.thousands == self.decimal:
            wanted = "expected another character than the decimal one: . , ' or a space"
            raise InvalidInputError([Problem(wanted, field="thousands", value=repr(self.thousands))])

    def read(self, cell: str, *, whole: bool) -> str:
        """Return a cell as the wire writes numbers; text is returned unchanged.

        If the column holds *whole* numbers, `3.00` is a whole number too.

        Raises:
            ValueError: the cell has a number with other separators.
        """
        text = cell
        if self.thousands and self.thousands in text:
            head, separator, tail = text.partition(self.decimal)
            if not re.fullmatch(rf"[+-]?\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}})+", head):
                raise ValueError(
                    f"{self.thousands!r} separates thousands here, and these are not groups of three digits"
                )
            text = head.replace(self.thousands, "") + separator + tail
        if self.decimal == ",":
            if "." in text:
                raise ValueError("the decimal separator is a comma here")
            text = text.replace(",", ".")
        return _WHOLE.sub(r"\1", text) if whole and _WHOLE.fullmatch(text) else text


class _NumberCells:
    """Reads the cells of number columns, and notes those that are ambiguous.

    *kinds* has the columns that hold numbers, and whether these are whole. *numbers* is None if not given, and can be
    given as *options* of the command.
    """

    def __init__(
        self, kinds: dict[str, bool], columns: dict[str, str], numbers: Numbers | None, *, options: bool
    ) -> None:
        self._kinds, self._columns, self._numbers, self._options = kinds, columns, numbers, options
        self._read = (numbers or Numbers()).read
        self._points = False
        self._commas: list[int] = []
        self._unclear: list[tuple[int, str, str]] = []

    def read(self, row: int, given: dict[str, str], key: str) -> list[Problem]:
        """Rewrite the numbers of *given* as the wire does; return the problems."""
        for attribute, whole in self._kinds.items():
            cell = given.get(attribute)
            if cell is None or cell.isdigit():
                continue
            if self._numbers is None:
                if "," in cell or cell[-4:-3] == ".":
                    self._note(row, self._columns[attribute], cell)
                elif not self._points and "." in cell:
                    self._points = True
                if not whole or "." not in cell:
                    continue  # the wire writes it the same
            try:
                given[attribute] = self._read(cell, whole=whole)
            except ValueError as error:
                grouped = self._numbers == Numbers(",") and _WITH_COMMA.fullmatch(cell)
                message = f"{error}; --decimal , --thousands . reads it" if grouped and self._options else str(error)
                return [Problem(message, row, key, self._columns[attribute], repr(cell))]
        return []

    def located(self, problem: Problem, row: int, given: dict[str, str], model: type[WireModel]) -> Problem:
        """Return a problem of a model with its row and column, and a hint."""
        name = problem.field.rpartition(".")[2]
        attribute = model.wire_names().get(name, name)
        message = problem.message
        if self._numbers is None and attribute in self._kinds and _WITH_COMMA.fullmatch(given.get(attribute, "")):
            advice = "write the decimal comma as a point"
            if self._options:
                advice = f"--decimal ,{' --thousands .' if '.' in given[attribute] else ''} reads a decimal comma"
            message = f"{message}; {advice}"
        return replace(problem, index=row, field=self._columns.get(attribute, name), message=message)

    def _note(self, row: int, column: str, cell: str) -> None:
        if _WITH_COMMA.fullmatch(cell):
            self._commas += [row] if len(self._commas) < 4 else []  # noqa: PLR2004 - three are named
        elif _GROUPED.fullmatch(cell):
            self._unclear += [(row, column, cell)] if len(self._unclear) < _NAMED else []
        elif "." in cell:
            self._points = True

    def problems(self) -> list[Problem]:
        """Return the ambiguous cells, which keep the file from being used.

        `1.299` may be 1299, or 1.299. If another cell of the file has a decimal comma, it is 1299. If another cell is a
        number such as `19.90`, it is 1.299. In a file with neither it stays ambiguous.
        """
        if self._numbers is not None or (self._points and not self._commas):
            return []
        rows = ", ".join(map(str, self._commas[:3])) + (" and others" if len(self._commas) > 3 else "")  # noqa: PLR2004 - a readable line
        why = f"rows with decimal commas ({rows}) mean the first" if self._commas else "no other number shows it"
        if not self._options:
            advice = "write {0} or {1}0"
        elif self._commas:
            advice = "--decimal , --thousands . reads it"
        else:
            advice = "--decimal , --thousands . means the first, --decimal . the second"
        found = [(row, column, cell, cell.replace(".", "")) for row, column, cell in self._unclear]
        return [
            Problem(
                f"is it {whole} or {cell}? {why}: {advice.format(whole, cell)}", row, field=column, value=repr(cell)
            )
            for row, column, cell, whole in found
        ]


@dataclass(frozen=True, slots=True)
class CsvRow(Generic[M]):
    """A row without a problem.

    Attributes:
        number: the row as an editor counts, the first row being 1.
        item: made of its cells.
        others: the cells of columns that are not the item's, by name.
    """

    number: int
    item: M
    others: dict[str, str]


def csv_rows(
    path: Path,
    model: type[M],
    *,
    also: Sequence[str] = (),
    needed: Sequence[str] = (),
    numbers: Numbers | None = None,
    passed: Callable[[str], int] | None = None,
) -> Iterator[CsvRow[M] | list[Problem]]:
    """Yield the rows of *path*, or for a wrong row the list of its problems.

    Only one row at a time is in memory.

    Args:
        path: a file in UTF-8.
        model: the model of a row.
        also: columns that a row may have next to the model's.
        needed: those of *also* that the file must have.
        numbers: how the file writes numbers; as the wire does by default.
        passed: called with a digest of the content before it is read, with an empty text if it is a pipe; returns how
            many rows were read before. They are not yielded, and are read only to find out how the file writes numbers.

    Raises:
        CsvError: the file as a whole cannot be used: it is no CSV, a column is unknown, or, at its end, numbers are
            ambiguous, or the file was changed meanwhile.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file, unchanged(path, file):
        before = 0 if passed is None else passed(_digest(file))
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            yield from rows_of(text, path, model, also=also, needed=needed, numbers=numbers, before=before)
        except UnicodeDecodeError:
            raise not_utf8(path, text.detach()) from None


def _digest(file: io.BufferedReader) -> str:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return ""
    found = hashlib.file_digest(file, "blake2b").hexdigest()
    file.seek(0)
    return found


@contextmanager
def unchanged(path: Path, file: IO[Any]) -> Generator[None]:
    """Refuse what the block read if a program changed *file* meanwhile.

    Raises:
        CsvError: it was changed. A pipe is never refused, because changes of it cannot be seen.
    """
    before = os.fstat(file.fileno())
    yield
    after = os.fstat(file.fileno())
    if stat.S_ISREG(after.st_mode) and (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        advice = "write it under another name, and rename it when it is complete"
        raise CsvError(path, [Problem(f"it was changed while it was read, and may be half a file; {advice}")])


def rows_of(
    file: TextIO,
    path: Path,
    model: type[M],
    *,
    also: Sequence[str] = (),
    needed: Sequence[str] = (),
    others_ignored: bool = False,
    numbers: Numbers | None = None,
    before: int = 0,
    options: bool = True,
) -> Iterator[CsvRow[M] | list[Problem]]:
    """Yield the rows of an open *file*, as `csv_rows` does.

    If it opens with a byte order mark, cells such as `="00123"` are read as what Excel shows for them. Without
    *numbers*, a file with a cell such as `1.299` is refused if it has decimal commas too, or no number that shows what
    the point means. With *others_ignored* only the key's column is read. The first *before* rows are not yielded.
    *options* is False if the command has no options for *numbers*, so that no message advises them.

    Raises:
        CsvError: the file as a whole cannot be used.
    """
    head = file.readline()
    excel = head.startswith(BYTE_ORDER_MARK)
    separator = max(_SEPARATORS, key=head.count)
    lines: Iterable[str] = chain([head.removeprefix(BYTE_ORDER_MARK)], file)  # a pipe is read once
    cells = _cells(csv.reader(lines, delimiter=separator, strict=True), path, excel=excel)
    rows = _only_key(cells, model) if others_ignored else cells
    _, names = next(rows, (1, []))
    columns = _columns(path, names, model, also)
    if missing := [name for name in needed if name not in columns]:
        raise CsvError(path, [Problem(f"no column {name}: the first row names the columns", 1) for name in missing])
    foreign = [name for name in also if name in columns]
    reader = _NumberCells(_number_columns(model, columns), columns, numbers, options=options)
    for number, row in islice(rows, before):
        if len(row) == len(columns):
            reader.read(number, dict(zip(columns, row, strict=True)), "")
    for number, row in rows:
        yield _row(number, row, columns, model, foreign=foreign, reader=reader)
    if problems := reader.problems():
        raise CsvError(path, problems)


def not_utf8(path: Path, file: IO[bytes]) -> CsvError:
    """Return the error of a *file* that is not UTF-8, with a row and a remedy.

    The rows of a pipe are gone once they are read, so its error has no row.
    """
    if not file.seekable():
        return CsvError(path, [Problem("not UTF-8; save it as 'CSV UTF-8'")])
    file.seek(0)
    opening = file.read(4)
    file.seek(0)
    name, there = shlex.quote(str(path)), path.is_file()
    if opening.startswith(_GZIP):
        remedy = f"gunzip -k {name}" if there else ""
        return CsvError(path, [Problem("it is compressed with gzip; unpack it first")], remedy=remedy)
    if opening.startswith(_ZIP):
        return CsvError(path, [Problem("it is a workbook or a ZIP file; save it as 'CSV UTF-8'")])
    coding = "UTF-16" if opening.startswith(_UTF_16) else "WINDOWS-1252"
    for row, line in enumerate(file, 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            problem = Problem(f"not UTF-8 at byte {error.start + 1} of the row; save it as 'CSV UTF-8'", row)
            converted = shlex.quote(f"{path.with_suffix('')}.utf8{path.suffix}")
            remedy = f"If it is {coding}: iconv -f {coding} -t UTF-8 {name} > {converted}"
            return CsvError(path, [problem], remedy=remedy if there else "")
    return CsvError(path, [Problem("not UTF-8; save it as 'CSV UTF-8'")])


def _cells(reader: Iterator[list[str]], path: Path, *, excel: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with their numbers.

    Raises:
        CsvError: a row is not CSV.
    """
    before = 0
    try:
        for cells in reader:
            # A quoted cell may span lines: a row has the number of its first line.
            row, before = before + 1, reader.line_num  # type: ignore[attr-defined] # csv's reader has it
            if any(cell.strip() for cell in cells):
                yield row, [from_excel(cell) for cell in cells] if excel else cells
    except csv.Error as error:
        message = f"not CSV: {error}; is a quote in the row not closed, or not written twice?"
        raise CsvError(path, [Problem(message, before + 1)]) from None


def _only_key(rows: Iterator[tuple[int, list[str]]], model: type[WireModel]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows with the key's column only, if there is such a column."""
    row, head = next(rows, (1, []))
    names = [name.strip().casefold() for name in head]
    at = names.index(model.key_field) if model.key_field in names else None
    yield row, head if at is None else [head[at]]
    for number, cells in rows:
        yield number, cells if at is None else cells[at : at + 1]


def _columns(path: Path, head: list[str], model: type[WireModel], also: Sequence[str]) -> dict[str, str]:
    """Return the column of each attribute, in the order of the file."""
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
    near = [model.nearest(name.strip()).casefold(), *get_close_matches(name.strip().casefold(), known, n=1)]
    if meant := next((known[each] for each in near if each in known), ""):
        return f"unknown; did you mean {meant}?"
    everything = {wire.casefold() for wire in model.wire_names()} | set(model.model_fields)
    if name.strip().casefold() in everything:
        return "does not fit a cell; set it with the Python client"
    fields = sorted(set(known.values()))
    return f"unknown; the columns of {model.__name__} are {', '.join(fields[:12])}{' …' if len(fields) > 12 else ''}"  # noqa: PLR2004 - a readable line


def _cell_fields(model: type[WireModel]) -> dict[str, str]:
    """Return the attributes that fit a cell, by wire name and by Python name."""
    found: dict[str, str] = {}
    for wire, attribute in model.wire_names().items():
        kinds = get_args(model.model_fields[attribute].annotation)
        if attribute not in _NOT_OURS and not any(map(_holds_several, kinds)):
            found[wire] = found[attribute] = attribute
    return found


def _holds_several(kind: Any) -> bool:
    return get_origin(kind) is list or (isinstance(kind, type) and issubclass(kind, WireModel))


def _row(
    row: int, cells: list[str], columns: dict[str, str], model: type[M], *, foreign: Sequence[str], reader: _NumberCells
) -> CsvRow[M] | list[Problem]:
    """Return the item of a row, or what is wrong with it."""
    if len(cells) != len(columns):
        return [Problem(f"has {len(cells)} cells, the first row has {len(columns)}", row)]
    given = {attribute: cell for attribute, cell in zip(columns, cells, strict=True) if cell}
    if model.key_field not in given:
        return [Problem("is empty", row, field=columns[model.key_field])]
    others = {name: given.pop(name) for name in foreign if name in given}
    if problems := reader.read(row, given, given[model.key_field]):
        return problems
    try:
        return CsvRow(row, model(**given), others)
    except InvalidInputError as error:
        return [reader.located(problem, row, given, model) for problem in error.problems]


def _number_columns(model: type[WireModel], columns: dict[str, str]) -> dict[str, bool]:
    """Return the columns that hold numbers, and whether these are whole."""
    found: dict[str, bool] = {}
    for attribute in columns:
        field = model.model_fields.get(attribute)
        kinds = [] if field is None else [_bare(kind) for kind in get_args(field.annotation) or (field.annotation,)]
        if bool not in kinds and (int in kinds or Decimal in kinds):
            found[attribute] = int in kinds
    return found


def _bare(kind: Any) -> Any:
    """Return the type inside an `Annotated` type."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
