"""One cell of a DataFrame as a value a model takes, or what is wrong with it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from octopus_soap.frames.columns import Kind

if TYPE_CHECKING:
    from octopus_soap.frames.columns import Column

MISSING = object()
"""The cell holds nothing: None, NaN, NaT or NA."""

_COUNTS = frozenset({"stock", "applicable_stock", "form_quantity"})  # text on the page, whole numbers in every table
_WRITTEN_FLAGS = {"True": "true", "False": "false"}  # as to_csv writes them
_WRITTEN_MOMENT = re.compile(r"^(\d{4}-\d\d-\d\d) (\d\d:)")  # as to_csv writes it
_NOTHING = frozenset({"NAType", "NaTType"})  # pandas' own, told by name: polars users need no pandas


def cell(value: Any, column: Column, money_digits: int | None = None) -> Any:
    """The value of a cell in *column*; MISSING where it holds none.

    Raises:
        ValueError: the cell holds what the column cannot.
    """
    if type(value).__module__ == "numpy":
        value = value.item()
    if _missing(value):
        return MISSING
    kind = column.kind
    if kind is Kind.TEXT:
        return _text(value, column.path[-1])
    if kind is Kind.INTEGER:
        return _integer(value)
    if kind is Kind.FLAG and isinstance(value, str):
        value = _WRITTEN_FLAGS.get(value, value)
    elif kind is Kind.AMOUNT and isinstance(value, float) and money_digits is not None and isfinite(value):
        value = _rounded(value, money_digits)
    if kind is Kind.MOMENT:
        return _moment(value)
    return _nested(value) if kind is Kind.JSON else value


def _missing(value: Any) -> bool:
    if value is None or type(value).__name__ in _NOTHING:
        return True
    return isinstance(value, (float, Decimal)) and value != value  # noqa: PLR0124 - NaN is not equal to itself


def _rounded(value: float, digits: int) -> Decimal:
    try:
        return round(Decimal(repr(value)), digits)
    except ArithmeticError:  # more digits than a Decimal keeps
        raise ValueError("too large for an amount") from None


def _text(value: Any, member: str) -> str:
    if member in _COUNTS and not isinstance(value, bool) and isinstance(_integer(value), int):
        return str(_integer(value))
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ValueError(f"expected text, not {kind}; read the column as text (dtype=str), so that no zero is lost")  # noqa: TRY004 - collected as a problem
    return value


def _integer(value: Any) -> Any:
    # pandas holds integers as floats where one of the column is missing.
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
        raise ValueError("has nanoseconds, and the service's time ends at microseconds; round it (dt.floor('us'))")
    to_datetime = getattr(value, "to_pydatetime", None)
    return value if to_datetime is None else to_datetime()


def _nested(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON: {error.msg} at position {error.pos}") from None
