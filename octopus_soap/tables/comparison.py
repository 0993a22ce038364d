"""Compare two tables of the same things, and list the differences.

Rows are matched by a key, not by position. Two values are the same if they mean the same: 19.9 and 19.90, the number 7
and the text `7` of a CSV file, an empty cell and an empty text. Two texts are the same only if they are equal, so that
`007` is not `7`.

A column that one side does not have is listed and not compared. A side of models has every column of its model; if no
model has a value for a column, its cells are empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopus_soap import display
from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models.base import WireModel
from octopus_soap.models.scalars import from_iso, number_of
from octopus_soap.tables.cells import as_cell, as_json, missing
from octopus_soap.tables.export import Backend, frame
from octopus_soap.tables.from_frame import contents_of, if_index
from octopus_soap.tables.table import Kind, Table, table_of, table_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from octopus_soap.results import BatchResult
    from octopus_soap.tables.table import TableSchema

_NO_TABLE = "nothing was compared"
_PAGE_ROWS = 5_000
_PAGE_BYTES = 4_000_000
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One cell that differs between the two tables.

    Attributes:
        key: the values of the key's columns.
        column: the column.
        before: its value in the first table; None if it is empty.
        after: its value in the second.
    """

    key: tuple[Any, ...]
    column: str
    before: Any
    after: Any

    @property
    def difference(self) -> Decimal | None:
        """The later number minus the earlier one; None unless both are numbers."""
        before, after = _number(self.before), _number(self.after)
        return None if before is None or after is None else after - before


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(display.Shown):
    """The differences between two tables; true if there are any.

    Attributes:
        key: the columns that identify a row.
        columns: the columns that were compared.
        appeared: rows that only the second table has, as dictionaries.
        gone: rows that only the first table has.
        changed: the cells that differ, in the order of the second table.
        unchanged: rows that are the same in both.
        only_before: columns that only the first table has; they were not compared.
        only_after: columns that only the second table has; they were not compared.
    """

    key: tuple[str, ...]
    columns: tuple[str, ...]
    appeared: list[dict[str, Any]] = field(default_factory=list)
    gone: list[dict[str, Any]] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    unchanged: int = 0
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.appeared or self.gone or self.changed)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows appeared, are gone, changed and stayed the same."""
        changed = len({change.key for change in self.changed})
        return {"appeared": len(self.appeared), "gone": len(self.gone), "changed": changed, "unchanged": self.unchanged}

    @property
    def by_column(self) -> dict[str, int]:
        """How many rows changed in each column, the most first."""
        return dict(Counter(change.column for change in self.changed).most_common())

    def to_records(self) -> list[dict[str, Any]]:
        """Return a dictionary for each row that appeared or is gone, and each change.

        The members are the key's columns, then `change` (`appeared`, `gone` or `changed`), `column`, `before`, `after`
        and `difference`; the last four are None for a whole row, `difference` also unless both values are numbers.
        """
        whole = {"column": None, "before": None, "after": None, "difference": None}
        records = [self._keyed(row) | {"change": "appeared"} | whole for row in self.appeared]
        records += [self._keyed(row) | {"change": "gone"} | whole for row in self.gone]
        for change in self.changed:
            record = dict(zip(self.key, change.key, strict=True))
            cells = {"column": change.column, "before": change.before, "after": change.after}
            records.append(record | {"change": "changed"} | cells | {"difference": change.difference})
        return records

    def to_frame(self, backend: Backend = "pandas") -> Any:
        """Return the rows of `to_records` as a DataFrame.

        `before` and `after` are text, `difference` is a Decimal.

        Args:
            backend: `pandas` or `polars`, an extra each.

        Raises:
            ConfigError: the library is not installed.
        """
        records = self.to_records()
        names = [*self.key, "change", "column", "before", "after", "difference"]
        table = Table({}, {})
        for name in names:
            cells = [record[name] for record in records]
            if name == "difference":
                table.add(name, Kind.AMOUNT, cells)
            else:
                table.add(name, Kind.TEXT, [None if cell is None else as_cell(cell) for cell in cells])
        return frame(table, backend)

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """Return the comparison as a whole HTML page, which fetches nothing.

        Args:
            path: a file to write the page to; an existing one is overwritten.

        Raises:
            OSError: the file cannot be written.
        """
        page = display.page(self._view(_PAGE_ROWS), most_bytes=_PAGE_BYTES)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def _keyed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in self.key}

    def _title(self) -> str:
        return ", ".join(f"{count:,} {what}" for what, count in self.counts.items())

    def __repr__(self) -> str:
        return f"<Comparison by {', '.join(self.key)}: {self._title()}>"

    def _view(self, most: int = display.MOST_ROWS) -> display.View:
        view = display.View(f"Comparison by {', '.join(self.key)}: {self._title()}")
        if self.by_column:
            view.lines.append("changed by column: " + ", ".join(f"{n} {many:,}" for n, many in self.by_column.items()))
        for side, alone in (("first", self.only_before), ("second", self.only_after)):
            if alone:
                view.quiet.append(f"only in the {side} table, not compared: {', '.join(alone)}")
        heads = (*self.key, "column", "before", "after", "difference")
        cells = [[*c.key, c.column, c.before, c.after, c.difference] for c in self.changed[:most]]
        view.grids.append(display.Grid("changed", heads, cells, len(self.changed) - len(cells)))
        for heading, rows in (("appeared", self.appeared), ("gone", self.gone)):
            if rows:
                names: list[str] = [
                    *self.key,
                    *(n for n in rows[0] if n not in self.key and any(r[n] is not None for r in rows)),
                ]
                shown = [[row[name] for name in names[: display.MOST_COLUMNS]] for row in rows[:most]]
                view.grids.append(display.Grid(heading, names[: display.MOST_COLUMNS], shown, len(rows) - len(shown)))
        return view


def compare(
    before: BatchResult[Any] | Iterable[Any],
    after: BatchResult[Any] | Iterable[Any],
    key: str | Sequence[str] = "sku",
    *,
    columns: Sequence[str] | None = None,
) -> Comparison:
    """Compare two tables, and return the rows and cells that differ.

    Each side is the result of a list call, models of one type, a DataFrame, a pyarrow Table, or rows as dictionaries.
    The store stock of models is compared by store, in columns such as `store_stock[S1]`.

    Args:
        before: the earlier table.
        after: the later one.
        key: the column that identifies a row, or several, such as `("sku", "store_id")`.
        columns: the columns to compare; those that both sides have by default.

    Raises:
        InvalidInputError: a side is no table, has no such key or column, or has one key or column twice.
    """
    names = (key,) if isinstance(key, str) else tuple(key)
    first, second = _Side(before, "before", names), _Side(after, "after", names)
    known = dict.fromkeys([*first.columns, *second.columns])
    if columns is not None and (strange := [name for name in columns if name not in known]):
        raise _refused(f"neither table has the column {strange[0]!r}; there are {', '.join(known)}", "columns")
    compared = [n for n in (columns or known) if n not in names and (columns or (first.has(n) and second.has(n)))]
    changed: list[Change] = []
    unchanged = 0
    for at in (at for at in second.rows if at in first.rows):
        old, new = first.rows[at], second.rows[at]
        cells = [(name, old.get(name), new.get(name)) for name in compared]
        found = [Change(tuple(new[n] for n in names), name, a, b) for name, a, b in cells if not _same(a, b)]
        changed += found
        unchanged += not found
    return Comparison(
        names,
        tuple(compared),
        appeared=[row for at, row in second.rows.items() if at not in first.rows],
        gone=[row for at, row in first.rows.items() if at not in second.rows],
        changed=changed,
        unchanged=unchanged,
        only_before=() if columns else tuple(n for n in first.columns if not second.has(n)),
        only_after=() if columns else tuple(n for n in second.columns if not first.has(n)),
    )


def planned_changes(current: BatchResult[Any] | Iterable[Any], planned: Sequence[WireModel]) -> Comparison:
    """Compare items with those members that a write would send.

    Raises:
        InvalidInputError: a side has no items.
    """
    if not planned or "sku" not in type(planned[0]).model_fields:
        raise _refused("the call writes no items; there is nothing to compare", "planned")
    old, new = _Side(current, "current", ("sku",)), _Side(planned, "planned", ("sku",))
    nils = {model.sku: _sent_as_null(model) for model in planned}  # type: ignore[attr-defined] # checked above
    changed: list[Change] = []
    unchanged = 0
    for at, row in new.rows.items():
        before = old.rows.get(at)
        if before is None:
            continue
        sent = {name: value for name, value in row.items() if name not in _NOT_SENT and value is not None}
        sent |= dict.fromkeys(nils[row["sku"]])
        found = [(name, before.get(_AS_READ.get(name, name)), value) for name, value in sent.items()]
        changes = [Change((row["sku"],), name, was, value) for name, was, value in found if not _same(was, value)]
        changed += changes
        unchanged += not changes
    return Comparison(
        ("sku",),
        tuple(name for name in new.columns if name not in _NOT_SENT),
        appeared=[row for at, row in new.rows.items() if at not in old.rows],
        changed=changed,
        unchanged=unchanged,
    )


_NOT_SENT = frozenset({"sku", "error_message"})
_AS_READ = {name: f"field_locks.{name}" for name in ("lock_stock", "lock_cost", "lock_price")}
"""The column of an item as it is read, for a member that has another name in an update."""


def _sent_as_null(model: WireModel) -> list[str]:
    names = [name for name in type(model).model_fields if name in model.model_fields_set]
    return [name for name in names if name not in _NOT_SENT and getattr(model, name) is None]


class _Side:
    """One of the two tables: its rows by key."""

    def __init__(self, source: Any, name: str, key: tuple[str, ...]) -> None:
        self.name = name
        rows, self.columns, self._shape = _read(source, name)
        if rows and (absent := [part for part in key if part not in self.columns]):
            there = f"there are {', '.join(self.columns)}{if_index(source, absent[0])}"
            raise _refused(f"has no column {absent[0]!r} for the key; {there}", name)
        self.rows: dict[tuple[str, ...], dict[str, Any]] = {}
        for position, row in enumerate(rows):
            if "sku" in key and _number(row["sku"]) is not None:
                what = f"row {position}: the sku is the number {row['sku']}"
                raise _refused(f"{what}; read the column as text (dtype=str), so that no zero is lost", name)
            parts = tuple(_key_text(row.get(part)) for part in key)
            if not all(parts):
                raise _refused(f"row {position} has no {key[parts.index('')]}", name)
            if parts in self.rows:
                shown = ", ".join(f"{part} {value!r}" for part, value in zip(key, parts, strict=True))
                more = ", such as key=('sku', 'store_id')" if "store_id" in self.columns else ""
                raise _refused(f"has two rows with the {shown}; choose a key that is unique{more}", name)
            self.rows[parts] = row

    def has(self, column: str) -> bool:
        """True if this side has the column; models have all of their model's."""
        if column in self.columns or self._shape is None:
            return column in self.columns
        spread = () if self._shape.spread is None else self._shape.spread.columns
        return column.partition("[")[0].removesuffix("_text") in {c.name for c in (*self._shape.columns, *spread)}


def _read(source: Any, name: str) -> tuple[list[dict[str, Any]], list[str], TableSchema | None]:
    """Return the rows of a side, its columns, and the schema of its models."""
    if hasattr(source, "columns") and hasattr(source, "shape"):
        names, cells, _ = contents_of(source, _NO_TABLE)
        columns = [str(column) for column in names]
        if doubles := [column for column, count in Counter(columns).items() if count > 1]:
            raise _refused(f"has the column {doubles[0]!r} more than once; keep one", name)
        rows = zip(*([_plain(cell) for cell in cells[column]] for column in names), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows], columns, None
    if isinstance(source, (str, bytes, Mapping, WireModel, Path)) or not isinstance(source, Iterable):
        raise _refused(
            f"expected a result, models, a DataFrame or rows as dictionaries, not a {type(source).__name__}", name
        )
    values = list(source)
    if values and all(isinstance(row, Mapping) for row in values):
        columns = list(dict.fromkeys(str(column) for row in values for column in row))
        return [{column: _plain(row.get(column)) for column in columns} for row in values], columns, None
    table = table_of(source if hasattr(source, "outcomes") else values, stores="columns")
    shape = table_schema(type(values[0])) if values and isinstance(values[0], WireModel) else None
    rows = zip(*table.data.values(), strict=True)
    return [dict(zip(table.data, row, strict=True)) for row in rows], list(table.data), shape


def _plain(value: Any) -> Any:
    """Return a cell as a Python value; None if it is empty."""
    if type(value).__module__ == "numpy":
        value = value.item()
    if isinstance(value, (list, dict)):
        return as_json(value, indent=None)
    if missing(value):
        return None
    to_datetime = getattr(value, "to_pydatetime", None)
    return value if to_datetime is None else to_datetime(warn=False)


def _key_text(value: Any) -> str:
    """Return a value of the key as text, a number without zeros at its end."""
    number = _number(value)
    if number is None:
        return "" if value is None else as_cell(value)
    return str(int(number)) if number == number.to_integral_value() else as_cell(number.normalize())


def _same(before: Any, after: Any) -> bool:
    before, after = (None if value == "" else value for value in (before, after))
    if before is None or after is None:
        return before is after
    if isinstance(before, str) and isinstance(after, str):
        return before == after
    if isinstance(after, str):
        before, after = after, before
    if isinstance(before, str):
        return _is_text_of(before, after)
    first, second = _number(before), _number(after)
    if first is not None and second is not None:
        return first == second
    return as_cell(before) == as_cell(after)


def _is_text_of(text: str, value: Any) -> bool:
    """True if a CSV file may hold *value* as *text*."""
    if isinstance(value, bool):
        return text.casefold() == str(value).casefold()
    if (number := _number(value)) is not None:
        return number_of(text) == number
    if isinstance(value, datetime):
        try:
            moment = from_iso(text)
        except ValueError:
            return False
        return _aware(moment) == _aware(value)
    return text == as_cell(value)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def _refused(message: str, side: str) -> InvalidInputError:
    return InvalidInputError([Problem(message, field=side)], sent=_NO_TABLE)
