"""Records in formats for programs: JSON, JSON lines, CSV, CSV for Excel, Parquet. Nothing is lost or guessed.

Ids are text and stay text. Amounts are exact: texts in JSON (a JSON number is read as a float by most readers),
plain decimals in CSV, decimals in Parquet. Times are in UTC. A member the service did not send is left out of JSON and
empty in a table. CSV and Parquet are flat: a record inside a record becomes columns such as `ship.city`, a list becomes
JSON in its cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octopus_soap.models.base import WireModel
    from octopus_soap.tables.columns import Kind
    from octopus_soap.tables.table import Table


@dataclass(frozen=True, slots=True)
class Records:
    """The result of a command, one row per record.

    Attributes:
        rows: as JSON shows them.
        nested: the member of a row that is a record; flat formats show its fields as columns of the row.
        model: the type of that record, for the columns that no row has a value for.
    """

    rows: Sequence[Mapping[str, Any]]
    nested: str = ""
    model: type[WireModel] | None = None

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
        """Return the columns of *flat* that are not empty, and the keys; those of the model in its order.

        Args:
            flat: the flat rows.
            all_of_model: include all columns of the model.
        """
        seen = dict.fromkeys(name for row in flat for name, cell in row.items() if cell is not None)
        own = list(dict.fromkeys(name for row in self.rows for name in row))
        known = [name for name in (kinds_of(self.model) if self.model else ()) if name not in own]
        extra = [name for name in seen if name not in known and name not in own]
        at = own.index(self.nested) if self.nested in own else len(own)
        placed = [*own[: at + 1], *known, *extra, *own[at + 1 :]]
        key = own[:1] or ([self.model.key_field] if self.model else [])  # names, also if there are no rows
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
    """Return the kind of each flat column of *model*, in its order; lists of records come last, as JSON."""
    from octopus_soap.tables.columns import Kind, table_schema  # noqa: PLC0415 - heavy: only inside a command

    shape = table_schema(model)
    kinds = {column.name: column.kind for column in shape.columns}
    return kinds if shape.spread is None else {**kinds, shape.spread.attribute: Kind.JSON}


# -- formats -------------------------------------------------------------------------------------------------------


def as_json_lines(records: Records) -> str:
    """Return one JSON object per line."""
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only to print

    return "".join(f"{as_json(row, indent=None)}\n" for row in records.rows)


def as_csv(records: Records, *, excel: bool = False) -> str:
    """Return CSV with a first row of names; empty columns are left out."""
    from octopus_soap.tables.cells import csv_text  # noqa: PLC0415 - heavy: only to print

    flat = records.flat()
    columns = records.columns(flat)
    return csv_text(columns, ([row.get(name) for name in columns] for row in flat), excel=excel)


def as_parquet(records: Records) -> bytes:
    """Return a Parquet file with all columns of the model; amounts have as many decimal places as the longest.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    from octopus_soap.tables.export import parquet_file  # noqa: PLC0415 - only for this format
    from octopus_soap.tables.table import Table  # noqa: PLC0415 - only for this format

    flat = records.flat()
    known = kinds_of(records.model) if records.model else {}
    table = Table({}, {})
    for name in records.columns(flat, all_of_model=True):
        _add(table, name, [row.get(name) for row in flat], known.get(name))
    return parquet_file(table, "--output parquet")


def _add(table: Table, name: str, values: list[Any], declared: Kind | None) -> None:
    """Add a column; counts as numbers, and those that are no number in a column of their own."""
    from octopus_soap.tables.columns import Kind, counted, text_column  # noqa: PLC0415 - only for this format

    if declared is not Kind.COUNT or not all(value is None or isinstance(value, str) for value in values):
        table.add(name, *_column(values, None if declared is Kind.COUNT else declared))
        return
    kind, numbers, odd = counted(values)
    table.add(name, kind, numbers)
    if any(text is not None for text in odd):
        table.add(text_column(name), Kind.TEXT, odd)


def _column(values: list[Any], declared: Kind | None) -> tuple[Kind, list[Any]]:
    """Return a column and its kind: text if it has none, or if a value is of another kind."""
    from octopus_soap.tables.cells import as_cell  # noqa: PLC0415 - only for this format
    from octopus_soap.tables.columns import Kind, kind_of  # noqa: PLC0415 - only for this format

    found = {kind_of(type(value)) for value in values if value is not None and not isinstance(value, list)}
    kind = declared or (found.pop() if len(found) == 1 else Kind.TEXT)
    if kind in {Kind.TEXT, Kind.JSON} or found - {kind}:
        return Kind.TEXT, [None if value is None else as_cell(value) for value in values]
    return kind, values
