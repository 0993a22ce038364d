"""The output of commands: tables for people, and records for programs.

Every input has a row, whatever its outcome. Results go to stdout, notices and progress to stderr, so that a pipe holds
nothing but the result. Colours are for terminals only; rich honours NO_COLOR.

In the formats for programs nothing is lost or guessed. Ids are text and stay text. Amounts are exact: texts in JSON (a
JSON number is read as a float by most readers), plain decimals in CSV, decimals in Parquet; in a workbook they are
numbers, as Excel has them. Times are in UTC. A member that the service did not send is left out of JSON and empty in a
table. CSV, workbooks and Parquet are flat: a record inside a record becomes columns such as `ship.city`, a list becomes
JSON in its cell.

`--where` takes `COLUMN OPERATOR VALUE` with `=`, `!=`, `<`, `<=`, `>`, `>=` or `~` (contains, in any case). Numbers are
compared as numbers, times as times (with a date: their days in UTC), everything else as text; an empty cell meets only
`!=`. All conditions must hold. A value that a column of numbers or times cannot have is refused.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import StrEnum
from functools import cache, wraps
from itertools import compress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from octopus_soap._http import one_line
from octopus_soap.cli.suggestions import Words
from octopus_soap.cli.terminal import paged, show_table, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from octopus_soap.models.base import WireModel
    from octopus_soap.results import ItemOutcome
    from octopus_soap.tables.table import Kind, Table

R = TypeVar("R")


class Output(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    EXCEL = "excel"
    XLSX = "xlsx"
    PARQUET = "parquet"


OutputOption = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        metavar="FORMAT",
        help="table, json, jsonl, csv, excel (CSV that Excel opens unchanged), xlsx (a workbook) or parquet.",
        show_default=True,
    ),
]


def notice(text: str) -> None:
    """Print a line on stderr, and go on if that fails, as on a full disk."""
    try:
        typer.echo("\n".join(map(one_line, text.split("\n"))), err=True)
    except BrokenPipeError:
        raise
    except OSError:
        pass


def show_json(rows: object) -> None:
    """Print *rows* as JSON."""
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only to print

    with paged():
        _write(f"{as_json(rows)}\n")


def show_line(row: object) -> None:
    """Print a line at once: a record as JSON, or a text cut to the terminal's width."""
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only to print

    if not isinstance(row, str):
        _write(f"{as_json(row, indent=None)}\n")
        return
    text = one_line(row)
    if _is_terminal():
        from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - rich is loaded only to print

        width = terminal().width
        text = text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"
    _write(f"{text}\n")


def show_records(records: Records, output: Output, table: Callable[[], object]) -> None:
    """Print *records* in the format *output*; *table* prints a table for people.

    Raises:
        ConfigError: the format needs pyarrow or openpyxl, which is not installed.
        InvalidInputError: the records do not fit a sheet of a workbook.
    """
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only to print

    match output:
        case Output.TABLE:
            with paged():
                table()
        case Output.JSON:
            show_json(records.rows)
        case Output.JSONL:
            with paged():
                _write("".join(f"{as_json(row, indent=None)}\n" for row in records.rows))
        case Output.CSV | Output.EXCEL:
            with paged():
                _write(as_csv(records, excel=output is Output.EXCEL))
        case Output.PARQUET | Output.XLSX:
            if _is_terminal():
                raise typer.BadParameter(
                    f"{output} is binary; write it to a file: > records.{output}", param_hint="--output"
                )
            _write(as_parquet(records) if output is Output.PARQUET else as_xlsx(records))


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def show_all(records: Records) -> None:
    """Print *records* as a table of the columns with values, as many as fit."""
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
    """Write to stdout in UTF-8, with unchanged line ends on every system."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content.encode() if isinstance(content, str) else content)
    sys.stdout.buffer.flush()


def as_row(outcome: ItemOutcome[Any], key: str, **more: object) -> dict[str, object]:
    """Return an outcome as a row: *key*, such as `sku`, status, *more*, message."""
    message = outcome.error.message if outcome.error is not None else outcome.message
    row: dict[str, object] = {key: outcome.key, "status": outcome.status.value, **more}
    return {**row, "message": message} if message else row


def as_data(model: Any) -> Any:
    """Return a model's data by Python names, without secrets such as card numbers."""
    return model.model_dump(exclude_unset=True, exclude=set(model.secret_fields))


# -- records, and their formats ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Records:
    """The result of a command, one row per record.

    Attributes:
        rows: as JSON shows them.
        nested: the member of a row that is a record; flat formats show its fields as columns of the row.
        model: the type of that record, for the columns that no row has a value for.
        chosen: True if the rows have only those of the model's columns that the user chose.
    """

    rows: Sequence[Mapping[str, Any]]
    nested: str = ""
    model: type[WireModel] | None = None
    chosen: bool = False

    def flat(self) -> list[dict[str, Any]]:
        """Return the rows with the fields of their records as columns."""
        return [self._opened(row) for row in self.rows]

    def _opened(self, row: Mapping[str, Any]) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        for name, value in row.items():
            inner = _cells(value) if name == self.nested and isinstance(value, dict) else {}
            if name == self.nested and (inner or value is None):
                cells.update({column: cell for column, cell in inner.items() if column not in row})
            else:
                cells.update(_cells({name: value}))
        return cells

    def columns(self, flat: Sequence[Mapping[str, Any]], *, all_of_model: bool = False) -> list[str]:
        """Return the columns of *flat* with values, and the key, in the model's order.

        With *all_of_model*, the model's empty columns are included.
        """
        seen = dict.fromkeys(name for row in flat for name, cell in row.items() if cell is not None)
        own = list(dict.fromkeys(name for row in self.rows for name in row))
        whole = kinds_of(self.model) if self.model and not self.chosen else ()
        known = [name for name in whole if name not in own]
        extra = [name for name in seen if name not in known and name not in own]
        at = own.index(self.nested) if self.nested in own else len(own)
        placed = [*own[: at + 1], *known, *extra, *own[at + 1 :]]
        key = own[:1] or ([self.model.key_field] if self.model else [])  # also if there are no rows
        return [name for name in placed if name in seen or name in key or (all_of_model and name in known)]


def _cells(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            cells.update(_cells(value, f"{prefix}{name}."))
        else:
            cells[f"{prefix}{name}"] = value
    return cells


@cache
def kinds_of(model: type[WireModel]) -> dict[str, Kind]:
    """Return the kind of each flat column of *model*; lists of records come last."""
    from octopus_soap.tables.table import Kind, table_schema  # noqa: PLC0415 - heavy: only inside a command

    shape = table_schema(model)
    kinds = {column.name: column.kind for column in shape.columns}
    return kinds if shape.spread is None else {**kinds, shape.spread.attribute: Kind.JSON}


def as_csv(records: Records, *, excel: bool = False) -> str:
    """Return CSV with a row of names; empty columns are left out."""
    from octopus_soap.tables.cells import csv_text  # noqa: PLC0415 - heavy: only to print

    flat = records.flat()
    columns = records.columns(flat)
    return csv_text(columns, ([row.get(name) for name in columns] for row in flat), excel=excel)


def as_parquet(records: Records) -> bytes:
    """Return a Parquet file with all columns of the model."""
    from octopus_soap.tables.export import parquet_file  # noqa: PLC0415 - only for this format

    return parquet_file(_table(records, all_of_model=True), "--output parquet")


def as_xlsx(records: Records) -> bytes:
    """Return an Excel workbook; empty columns are left out."""
    from octopus_soap.tables.export import excel_file  # noqa: PLC0415 - only for this format

    with TemporaryDirectory() as folder:
        path = Path(folder, "records.xlsx")
        excel_file(_table(records, all_of_model=False), path)
        return path.read_bytes()


def _table(records: Records, *, all_of_model: bool) -> Table:
    from octopus_soap.tables.table import Table  # noqa: PLC0415 - only for these formats

    flat = records.flat()
    known = kinds_of(records.model) if records.model else {}
    table = Table({}, {})
    for name in records.columns(flat, all_of_model=all_of_model):
        _add(table, name, [row.get(name) for row in flat], known.get(name))
    return table


def _add(table: Table, name: str, values: list[Any], declared: Kind | None) -> None:
    """Add a column; counts as numbers, with other texts in a second column."""
    from octopus_soap.tables.table import Kind, counted, text_column  # noqa: PLC0415 - only for this format

    if declared is not Kind.COUNT or not all(value is None or isinstance(value, str) for value in values):
        table.add(name, *_typed(values, None if declared is Kind.COUNT else declared))
        return
    kind, numbers, odd = counted(values)
    table.add(name, kind, numbers)
    if any(text is not None for text in odd):
        table.add(text_column(name), Kind.TEXT, odd)


def _typed(values: list[Any], declared: Kind | None) -> tuple[Kind, list[Any]]:
    """Return a column's kind and values; text if the kinds of values differ."""
    from octopus_soap.tables.cells import as_cell  # noqa: PLC0415 - only for this format
    from octopus_soap.tables.table import Kind, kind_of  # noqa: PLC0415 - only for this format

    found = {kind_of(type(value)) for value in values if value is not None and not isinstance(value, list)}
    kind = declared or (found.pop() if len(found) == 1 else Kind.TEXT)
    if kind in {Kind.TEXT, Kind.JSON} or found - {kind}:
        return Kind.TEXT, [None if value is None else as_cell(value) for value in values]
    return kind, values


# -- which records, and which of their columns -------------------------------------------------------------------------


_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CONDITION = re.compile(r"\s*([A-Za-z_][\w.\[\]-]*)\s*(<=|>=|!=|==|=|<|>|~)\s*(.*?)\s*")


@dataclass(frozen=True, slots=True)
class Selection:
    """The options that choose records and columns, and the output format."""

    where: Sequence[str] | None = None
    fields: str | None = None
    no_nulls: bool = False
    output: Output = Output.TABLE

    def show(
        self, records: Records, table: Callable[[list[bool]], object] | None, *, empty: str = "nothing to show"
    ) -> None:
        """Print the records that meet the conditions.

        Args:
            records: all records.
            table: prints the table for people, from a flag per record, true if it is shown. None for a plain table.
            empty: the notice instead of a table without rows.

        Raises:
            typer.BadParameter: as in `kept` and `shown`.
        """
        kept = self.kept(records)
        shown = self.shown(replace(records, rows=list(compress(records.rows, kept))))
        if self.output is Output.TABLE and not shown.rows:
            total = len(records.rows)
            notice(f"none of {total} {'meets' if total == 1 else 'meet'} the conditions" if total else empty)
            return
        show_records(
            shown, self.output, lambda: show_all(shown) if table is None or self.fields is not None else table(kept)
        )

    def check(self, *columns: str, model: type[WireModel] | None = None) -> None:
        """Refuse unknown columns before a write is sent, not after it.

        Raises:
            typer.BadParameter: as in `kept` and `shown`.
        """
        row = Records([dict.fromkeys(columns)], model=model)
        self.kept(row)
        self.shown(row)

    @property
    def narrowed(self) -> bool:
        """True if the user chose only some of the records or columns."""
        return bool(self.where) or self.fields is not None

    def show_whole(self, records: Records, table: Callable[[], object]) -> None:
        """Print the records that meet the conditions.

        *table* prints all of them for people. If the user chose only some records or columns, a plain table is printed.

        Raises:
            typer.BadParameter: as in `kept` and `shown`.
        """
        if self.narrowed:
            self.show(records, None)
        else:
            show_records(self.shown(records), self.output, table)

    def trimmed(self, value: Any) -> Any:
        """Return *value* for JSON, with `--no-nulls` without its empty members."""
        return _without_nulls(value) if self.no_nulls else value

    def kept(self, records: Records) -> list[bool]:
        """Return, for each record, whether it meets every condition.

        Raises:
            typer.BadParameter: a condition cannot be read, or has an unknown column.
        """
        tests = [_test(text, records) for text in self.where or ()]
        return [all(test(row) for test in tests) for row in records.flat()]

    def shown(self, records: Records) -> Records:
        """Return the records with the chosen columns.

        Raises:
            typer.BadParameter: there is no such column.
        """
        if self.fields is not None:
            names = [_column(name.strip(), records, "--fields") for name in self.fields.split(",") if name.strip()]
            rows: list[Mapping[str, Any]] = [{name: row.get(name) for name in names} for row in records.flat()]
            records = Records(rows, model=records.model, chosen=True)
        return replace(records, rows=[_without_nulls(row) for row in records.rows]) if self.no_nulls else records


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _column(name: str, records: Records, option: str) -> str:
    known = [
        *(kinds_of(records.model) if records.model else ()),
        *dict.fromkeys(k for row in records.flat() for k in row),
    ]
    if name in known or not known:
        return name
    meant = records.model.nearest(name) if records.model else next(iter(get_close_matches(name, known, n=1)), "")
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(known[:12])}, …"
    raise typer.BadParameter(f"no column {name!r}; {hint}", param_hint=option)


def _test(text: str, records: Records) -> Callable[[Mapping[str, Any]], bool]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a condition such as 'stock = 0'", param_hint="--where")
    name, operator, wanted = _column(match[1], records, "--where"), match[2], match[3].strip("'\"")
    comparable = (
        _comparable if operator == "~" else _comparing(text, name, wanted, records, ordered=operator[0] in "<>")
    )

    def holds(row: Mapping[str, Any]) -> bool:
        cell = row.get(name)
        if cell is None:
            return operator == "!="
        if operator == "~":
            return wanted.casefold() in _text(cell).casefold()
        left, right = comparable(cell, wanted)
        found: dict[str, bool] = {
            "=": left == right, "==": left == right, "!=": left != right,
            "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
        }  # fmt: skip
        return found[operator]

    return holds


def _comparing(
    text: str, name: str, wanted: str, records: Records, *, ordered: bool
) -> Callable[[Any, str], tuple[Any, Any]]:
    """Return what makes cells of the column *name* comparable with *wanted*.

    Raises:
        typer.BadParameter: the column has numbers or times, and *wanted* is neither.
    """
    from octopus_soap.models.scalars import moment_of  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.table import Kind  # noqa: PLC0415 - heavy: only inside a command

    kind = kinds_of(records.model).get(name) if records.model else None
    # A stock may be a text too, but only numbers have an order.
    numbers = kind in {Kind.AMOUNT, Kind.INTEGER, Kind.REAL} or (kind is Kind.COUNT and ordered)
    if numbers and not _is_number(wanted):
        raise typer.BadParameter(f"{text!r}: {name} is a number, such as 9.99", param_hint="--where")
    if kind is not Kind.MOMENT:
        return _comparable
    try:
        moment = moment_of(wanted)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint="--where") from None
    if _DATE.fullmatch(wanted):
        return lambda cell, _: (cell.astimezone(UTC).date(), moment.date())
    return lambda cell, _: (cell, moment)


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _text(cell: Any) -> str:
    from octopus_soap.tables.cells import as_cell  # noqa: PLC0415 - heavy: only inside a command

    return as_cell(cell) if isinstance(cell, datetime) else str(cell)


def _comparable(cell: Any, wanted: str) -> tuple[Any, Any]:
    """Return both sides as numbers if both are numbers, otherwise as text."""
    text = str(cell).lower() if isinstance(cell, bool) else str(cell)
    try:
        left, right = Decimal(text), Decimal(wanted)
    except InvalidOperation:
        return text, wanted
    return (left, right) if left.is_finite() and right.is_finite() else (text, wanted)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the model with this name, for the Tab key; none if empty."""

    model: str

    def words(self) -> Words:
        """Return the columns as words of a list."""
        from octopus_soap import models  # noqa: PLC0415 - heavy: only inside a command

        return Words(tuple(kinds_of(getattr(models, self.model))) if self.model else (), listed=True)

    def like(self, incomplete: str) -> list[str]:
        """Return the columns that start with the typed text."""
        return self.words().like(incomplete)


def selecting(model: str = "") -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Return a decorator that passes a `Selection` of options as `selection`.

    The Tab key completes the columns of *model*, the name of a row's model; empty for none.
    """
    columns = Columns(model)
    keyword = inspect.Parameter.KEYWORD_ONLY
    where = typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only these, such as 'stock = 0' or 'price > 9.99'. Can be repeated.",
        autocompletion=columns.like,
    )
    fields = typer.Option(
        "--fields",
        metavar="LIST",
        help="Only these columns, in this order, such as sku,stock,price.",
        autocompletion=columns.like,
    )
    no_nulls = typer.Option("--no-nulls", help="Leave out members without a value.")
    options = [
        inspect.Parameter("where", keyword, default=None, annotation=Annotated[list[str] | None, where]),
        inspect.Parameter("fields", keyword, default=None, annotation=Annotated[str | None, fields]),
        inspect.Parameter("no_nulls", keyword, default=False, annotation=Annotated[bool, no_nulls]),
        inspect.Parameter("output", keyword, default=Output.TABLE, annotation=OutputOption),
    ]

    return with_options("selection", Selection, options)


def with_options(
    name: str, made: Callable[..., object], options: Iterable[inspect.Parameter] = ()
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Return a decorator that passes what is *made* of options as an argument *name*.

    Without *options*, the parameters of *made* are the options.
    """
    added = list(options) or list(inspect.signature(made, eval_str=True).parameters.values())

    def decorated(command: Callable[..., R]) -> Callable[..., R]:
        @wraps(command)
        def call(**given: Any) -> R:
            return command(**{name: made(**{option.name: given.pop(option.name) for option in added})}, **given)

        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != name]
        keyworded = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*own, *added]]
        call.__signature__ = inspect.Signature(keyworded)  # type: ignore[attr-defined] # what typer reads
        return call

    return decorated
