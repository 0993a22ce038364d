"""A table as an Excel workbook: SKUs stay text, numbers are numbers with formats, the header stays in view."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import InvalidInputError, Problem, needed
from octopus_soap.tables.cells import as_cell
from octopus_soap.tables.columns import Kind

if TYPE_CHECKING:
    from os import PathLike

    from octopus_soap.tables.table import Table

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
"""Excel keeps this many of a number; an amount with more is written as text."""
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
    _check_lengths(table)  # first: openpyxl cannot leave a sheet half written
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
    cell.data_type, cell.number_format = "s", _TEXT  # `=1+1` is a text here, and no formula


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
