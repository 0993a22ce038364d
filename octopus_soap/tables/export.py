"""A table as a DataFrame, a pyarrow Table, a Parquet file or an Excel workbook.

Ids are text and stay text. Integers, flags and reals are nullable types, moments are UTC in microseconds. An amount is
a `Decimal`, unless floats or texts are chosen. In a workbook, numbers have formats and the header stays in view.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Literal

from octopus_soap.errors import InvalidInputError, Problem, needed
from octopus_soap.tables.cells import as_cell
from octopus_soap.tables.table import Kind, Table, check_choice, no_table

if TYPE_CHECKING:
    from os import PathLike

Backend = Literal["pandas", "polars"]
Decimals = Literal["decimal", "float", "text"]

_PANDAS = {
    Kind.TEXT: "string",
    Kind.JSON: "string",
    Kind.INTEGER: "Int64",
    Kind.FLAG: "boolean",
    Kind.REAL: "Float64",
    Kind.MOMENT: "datetime64[us, UTC]",
    Kind.AMOUNT: "object",
}
_POLARS_DIGITS, _ARROW_DIGITS = 38, 76
_EXACT = Context(prec=_ARROW_DIGITS)


def with_amounts(table: Table, decimals: Decimals) -> Table:
    """Return the table with its amounts as decimals, floats or texts."""
    if decimals == "decimal":
        return table
    made = Table({}, {})
    for name, kind in table.kinds.items():
        values = table.data[name]
        if kind is not Kind.AMOUNT:
            made.add(name, kind, values)
        elif decimals == "float":
            made.add(name, Kind.REAL, [None if value is None else float(value) for value in values])
        else:
            made.add(name, Kind.TEXT, [None if value is None else format(value, "f") for value in values])
    return made


def frame(table: Table, backend: Backend) -> Any:
    """Return the table as a DataFrame of *backend*."""
    check_choice(backend, Backend, "backend")
    return _polars_frame(table) if backend == "polars" else _pandas_frame(table)


def _pandas_frame(table: Table) -> Any:
    with needed("to_frame()", "pandas", "pandas"):
        import pandas as pd  # type: ignore[import-untyped] # noqa: PLC0415 - pandas ships no types, and is an extra
    return pd.DataFrame(
        {name: pd.Series(values, dtype=_PANDAS[table.kinds[name]]) for name, values in table.data.items()}
    )


def _polars_frame(table: Table) -> Any:
    with needed("to_frame(backend='polars')", "polars", "polars"):
        import polars as pl  # noqa: PLC0415 - an extra
    types: dict[Kind, Any] = {
        Kind.TEXT: pl.String(),
        Kind.JSON: pl.String(),
        Kind.INTEGER: pl.Int64(),
        Kind.FLAG: pl.Boolean(),
        Kind.REAL: pl.Float64(),
        Kind.MOMENT: pl.Datetime("us", "UTC"),
    }
    data, schema = {}, {}
    for name, kind in table.kinds.items():
        if kind is Kind.AMOUNT:
            data[name], scale, _ = _fixed(name, table.data[name], _POLARS_DIGITS)
            schema[name] = pl.Decimal(_POLARS_DIGITS, scale)
        else:
            data[name], schema[name] = table.data[name], types[kind]
    return pl.DataFrame(data, schema=schema)


def arrow_table(table: Table) -> Any:
    """Return the table as a pyarrow Table."""
    with needed("to_arrow()", "arrow", "pyarrow"):
        import pyarrow as pa  # type: ignore[import-untyped] # noqa: PLC0415 - pyarrow ships no types, and is an extra
    types = {
        Kind.TEXT: pa.string(),
        Kind.JSON: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.FLAG: pa.bool_(),
        Kind.REAL: pa.float64(),
        Kind.MOMENT: pa.timestamp("us", "UTC"),
    }
    arrays = {}
    for name, kind in table.kinds.items():
        if kind is Kind.AMOUNT:
            values, scale, digits = _fixed(name, table.data[name], _ARROW_DIGITS)
            made = pa.decimal128(38, scale) if digits <= _POLARS_DIGITS else pa.decimal256(76, scale)
            arrays[name] = pa.array(values, type=made)
        else:
            arrays[name] = pa.array(table.data[name], type=types[kind])
    return pa.table(arrays)


def parquet_file(table: Table, for_what: str) -> bytes:
    """Return the table as a Parquet file; *for_what* names the feature in errors."""
    with needed(for_what, "arrow", "pyarrow"):
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    out = io.BytesIO()
    parquet.write_table(arrow_table(table), out)
    return out.getvalue()


def _fixed(name: str, values: list[Decimal | None], most: int) -> tuple[list[Decimal | None], int, int]:
    """Return the amounts with equal decimal places, that number, and their digits.

    A column of polars or arrow has one number of places, so a Decimal keeps its value and not its trailing zeros.
    """
    parts = [value.as_tuple() for value in values if value is not None]
    scale = max([0, *(-int(part.exponent) for part in parts)])
    whole = max([1, *(len(part.digits) + int(part.exponent) for part in parts)])
    if whole + scale > most:
        message = f"needs {whole + scale} digits and the library holds {most}; choose decimals='text' or 'float'"
        raise no_table(message, field=name)
    unit = Decimal(1).scaleb(-scale)
    return [None if value is None else value.quantize(unit, context=_EXACT) for value in values], scale, whole + scale


_FORMATS = {
    Kind.INTEGER: "#,##0",
    Kind.AMOUNT: "#,##0.00##",
    Kind.REAL: "#,##0.####",
    Kind.MOMENT: "yyyy-mm-dd hh:mm:ss",
    Kind.FLAG: "General",
}
_TEXT = "@"
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384
_MOST_CHARACTERS = 32_767
_MOST_DIGITS = 15
"""Excel keeps this many digits of a number; an amount with more is written as text."""
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_WIDEST, _MEASURED = 60, 200


def excel_file(table: Table, path: str | PathLike[str]) -> None:
    """Write the table as a workbook of one sheet.

    Raises:
        ConfigError: openpyxl is not installed.
        InvalidInputError: it does not fit a sheet.
        OSError: the file cannot be written.
    """
    with needed("to_excel()", "excel", "openpyxl"):
        from openpyxl import Workbook  # type: ignore[import-untyped] # noqa: PLC0415 - no types, and an extra
        from openpyxl.cell import WriteOnlyCell  # type: ignore[import-untyped] # noqa: PLC0415 - as above
        from openpyxl.styles import Font  # type: ignore[import-untyped] # noqa: PLC0415 - as above
        from openpyxl.utils import get_column_letter  # type: ignore[import-untyped] # noqa: PLC0415 - as above
    names = list(table.data)
    rows = len(next(iter(table.data.values()), []))
    if rows >= _MOST_ROWS or len(names) > _MOST_COLUMNS:
        what = f"{rows:,} rows and {len(names):,} columns"
        raise _refused(f"{what} do not fit a sheet of {_MOST_ROWS:,} rows; use to_csv")
    _check_lengths(table)  # first, because openpyxl cannot abandon a sheet that is half written
    book = Workbook(write_only=True)
    sheet = book.create_sheet("octopus-soap")
    sheet.freeze_panes = "B2"
    for position, name in enumerate(names, 1):
        sheet.column_dimensions[get_column_letter(position)].width = _width(name, table.data[name])
    if names:
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(names))}{rows + 1}"
    head = [WriteOnlyCell(sheet, name) for name in names]
    for made in head:
        made.font = Font(bold=True)
    sheet.append(head)
    for values in zip(*table.data.values(), strict=True):
        cells = [WriteOnlyCell(sheet) for _ in names]
        for made, name, value in zip(cells, names, values, strict=True):
            if value is not None:
                _fill(made, table.kinds[name], value)
        sheet.append(cells)
    book.save(path)


def _fill(cell: Any, kind: Kind, value: Any) -> None:
    """Write *value* into a cell, with the format of its kind."""
    if kind in _FORMATS and not _too_long(value):
        moment = isinstance(value, datetime)
        cell.value = value.astimezone(UTC).replace(tzinfo=None) if moment else value
        cell.number_format = _FORMATS[kind]
        return
    cell.value = _FORBIDDEN.sub("\ufffd", as_cell(value))
    cell.data_type, cell.number_format = "s", _TEXT  # otherwise `=1+1` would be a formula


def _check_lengths(table: Table) -> None:
    for name, values in table.data.items():
        for row, value in enumerate(values):
            if isinstance(value, str) and len(value) > _MOST_CHARACTERS:
                problem = f"a cell holds {_MOST_CHARACTERS:,} characters, and this text has {len(value):,}"
                raise _refused(f"{problem}; leave the column out with columns=[...], or use to_csv", row, name)


def _too_long(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and len(Decimal(value).as_tuple().digits) > _MOST_DIGITS


def _width(name: str, values: list[Any]) -> int:
    return min(_WIDEST, 2 + max(len(name), *(len(as_cell(value)) for value in [None, *values[:_MEASURED]])))


def _refused(message: str, row: int | None = None, column: str = "") -> InvalidInputError:
    return InvalidInputError([Problem(message, index=row, field=column)], sent="no file")
