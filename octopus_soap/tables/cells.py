"""Single values: written as CSV, CSV for Excel or JSON; read from a DataFrame.

A value that was written reads back as the same value. Texts stay as they are, amounts are exact, times are in UTC.
Excel changes plain CSV: `00123` becomes 123, `1-2` a date, `=1+1` a formula. CSV for Excel opens with a byte order mark
and writes each text that Excel would change as `="00123"`, which Excel shows unchanged; `csv_rows` reads it back. Times
have no zone there, and are not read back.
"""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import TYPE_CHECKING, Any

from octopus_soap.models.scalars import from_iso, number_of
from octopus_soap.tables.table import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octopus_soap.tables.table import Column


_EXCEL_DIGITS = 15  # Excel keeps this many digits of a number
_EXCEL_COUNT = re.compile("0|-?[1-9][0-9]{0,8}")  # a stock, say, which Excel does not change
_EXCEL_TEXT = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)
_EXCEL_WORDS = frozenset({"true", "false"})
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
BYTE_ORDER_MARK = "\ufeff"


def plain(value: Any) -> str:
    """Return a value without a JSON type as text: exact decimals, times in UTC."""
    if isinstance(value, Decimal):
        text = str(value)
        return format(value, "f") if "E" in text else text
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def as_json(rows: object, *, indent: int | None = 2) -> str:
    """Return *rows* as JSON that is safe to print on a terminal."""
    text = json.dumps(rows, indent=indent, ensure_ascii=False, default=plain)
    # json escapes only the control characters below a space; a terminal obeys others too.
    return text if text.isascii() else _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _given(part: Any) -> Any:
    """Return a record of a list without its empty members."""
    return {name: value for name, value in part.items() if value is not None} if isinstance(part, dict) else part


def as_cell(value: Any) -> str:
    """Return a value as the text of a CSV cell; None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"  # as XSD writes it, so that it can be uploaded again
    if isinstance(value, (list, tuple)):
        return as_json([_given(part) for part in value], indent=None)
    return plain(value)


def as_excel_cell(value: Any, *, key: bool = False) -> str:
    """Return a value as a CSV cell that Excel shows unchanged.

    A text that Excel would change becomes a formula. A *key* identifies its row, and is always a text.
    """
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    text = as_cell(value)
    if isinstance(value, (int, float, Decimal)):
        return text if sum(map(str.isdigit, text)) <= _EXCEL_DIGITS else excel_text(text)
    if isinstance(value, (list, tuple)) or (_EXCEL_COUNT.fullmatch(text) and not key):
        return text
    return excel_text(text) if _excel_would_change(text) else text


def _excel_would_change(text: str) -> bool:
    """True unless *text* starts with a letter and holds no digit."""
    # To Excel, MAR1 is a date, and `Mug, blue` a text.
    return bool(text) and (not text[0].isalpha() or any(map(str.isdigit, text)) or text.casefold() in _EXCEL_WORDS)


def excel_text(text: str) -> str:
    """Return the formula whose value is *text*."""
    return '="{}"'.format(text.replace('"', '""'))


def from_excel(cell: str) -> str:
    """Return what Excel shows for a cell such as `="00123"`; others unchanged."""
    match = _EXCEL_TEXT.fullmatch(cell)
    return match[1].replace('""', '"') if match else cell


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, excel: bool = False) -> str:
    """Return CSV with a row of names; the first column identifies a row."""
    out = io.StringIO()
    written = csv.writer(out, lineterminator="\r\n" if excel else "\n")
    written.writerow(columns)
    by_column = enumerate(zip(*rows, strict=True))
    cells = [_excel_cells(values, key=not at) if excel else _cells(values) for at, values in by_column]
    written.writerows(zip(*cells, strict=True))
    return (BYTE_ORDER_MARK if excel else "") + out.getvalue()


_AS_THEY_ARE = frozenset({str, int, NoneType})
"""Types that a csv writer writes as `as_cell` does."""


def _cells(values: Sequence[Any]) -> Iterable[Any]:
    """Return a column as CSV cells."""
    return values if set(map(type, values)) <= _AS_THEY_ARE else map(as_cell, values)


def _excel_cells(values: Sequence[Any], *, key: bool) -> Iterable[str]:
    return (as_excel_cell(value, key=key) for value in values)


MISSING = object()
"""The value of an empty cell, which holds None, NaN, NaT or NA."""

_WRITTEN_FLAGS = {"True": "true", "False": "false"}  # as to_csv of pandas writes them
_WRITTEN_MOMENT = re.compile(r"^(\d{4}-\d\d-\d\d) (\d\d:)")  # as to_csv of pandas writes it
_NOTHING = frozenset({"NAType", "NaTType"})  # of pandas; recognised by name, because polars users need no pandas

_EXACT_TYPES = {Kind.TEXT: str, Kind.INTEGER: int, Kind.FLAG: bool, Kind.AMOUNT: Decimal, Kind.MOMENT: datetime}
"""The type that a member of each kind takes unchanged."""


def column_values(
    cells: list[Any], column: Column, money_digits: int | None = None
) -> tuple[list[Any], dict[int, str]]:
    """Return the values of a column's cells, and its problems by position."""
    exact = _EXACT_TYPES.get(column.kind)
    kinds = set(map(type, cells)) - {exact}
    if all(kind is NoneType or kind.__name__ in _NOTHING for kind in kinds):
        amounts = exact is Decimal  # the only one of these types with a NaN
        return [v if type(v) is exact and not (amounts and missing(v)) else MISSING for v in cells], {}
    values, wrong = [], {}
    for position, value in enumerate(cells):
        try:
            values.append(cell(value, column, money_digits))
        except ValueError as error:
            values.append(MISSING)
            wrong[position] = str(error)
    return values, wrong


def cell(value: Any, column: Column, money_digits: int | None = None) -> Any:
    """Return the value of a cell in *column*; MISSING if it is empty.

    Raises:
        ValueError: the cell holds what the column cannot.
    """
    if type(value).__module__ == "numpy":
        value = value.item()
    if missing(value):
        return MISSING
    kind = column.kind
    if kind is Kind.TEXT:
        return _text(value)
    if kind is Kind.INTEGER:
        return _integer(value)
    if kind is Kind.FLAG and isinstance(value, str):
        value = _WRITTEN_FLAGS.get(value, value)
    elif kind is Kind.AMOUNT and isinstance(value, float) and money_digits is not None and isfinite(value):
        value = _rounded(value, money_digits)
    if kind is Kind.MOMENT:
        return _moment(value)
    return _nested(value) if kind is Kind.JSON else value


def missing(value: Any) -> bool:
    """True if a cell of a DataFrame is empty."""
    if value is None or type(value).__name__ in _NOTHING:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float) and value != value  # noqa: PLR0124 - NaN is not equal to itself


def as_number(value: Any) -> float | None:
    """Return the number in a cell or its text; None if it is no finite number."""
    number: Any = number_of(value) if isinstance(value, str) else value
    try:
        return float(number) if not isinstance(number, bool) and isfinite(number) else None
    except (TypeError, OverflowError):
        return None


def as_moment(value: Any) -> datetime | None:
    """Return the time in a cell or its text, in UTC; None if it is no time.

    A time without a zone is in UTC.
    """
    to_datetime = getattr(value, "to_pydatetime", None)
    try:
        moment = from_iso(value) if isinstance(value, str) else to_datetime(warn=False) if to_datetime else value
    except ValueError:
        return None
    if not isinstance(moment, datetime):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _rounded(value: float, digits: int) -> Decimal:
    try:
        return round(Decimal(repr(value)), digits)
    except ArithmeticError:  # more digits than a Decimal keeps
        raise ValueError("too large for an amount") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ValueError(f"expected text, not {kind}; read the column as text (dtype=str), so that no zero is lost")  # noqa: TRY004 - collected as a problem
    return value


def _integer(value: Any) -> Any:
    # pandas holds integers as floats if the column has an empty cell.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        return _WRITTEN_MOMENT.sub(r"\1T\2", value)
    if not isinstance(value, datetime):
        return value
    if getattr(value, "nanosecond", 0):
        raise ValueError("has nanoseconds, but the service has microseconds; round it (dt.floor('us'))")
    to_datetime = getattr(value, "to_pydatetime", None)
    return value if to_datetime is None else to_datetime()


def _nested(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON: {error.msg} at position {error.pos}") from None
