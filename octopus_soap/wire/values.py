"""Reading a scalar's text from a reply: more tolerant than the models, and never a silent None for a bad value.

Each reader takes the element's text and returns the Python value, or raises `ValueError` saying what is wrong.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from octopus_soap.models.scalars import parse_datetime

if TYPE_CHECKING:
    from collections.abc import Callable

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+(?:\.0*)?", re.ASCII)
_JSON_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/", re.ASCII)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d(?:\.\d{3}|\.\d{6})?Z?", re.ASCII)
"""What .NET writes for most times, and Python reads by itself; hour 24 it would read from 3.14 on only."""
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "True": True, "False": False}
_NO_DATE = frozenset({(1, 1, 1), (1753, 1, 1), (1900, 1, 1), (9999, 12, 31)})
"""What .NET and SQL Server write for "no date": DateTime.MinValue, the two SQL epochs, DateTime.MaxValue."""


def read_decimal(text: str) -> Decimal | None:
    """`44.9200` and `1E+2` are numbers, `1,99` is not; empty text is None."""
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    if not (stripped := text.strip()):
        return None
    if _DECIMAL.fullmatch(stripped):
        return Decimal(stripped)
    raise ValueError("not a decimal number")


def read_int(text: str) -> int | None:
    """`12` and `12.0000` are integers; empty text is None."""
    if text.isascii() and text.isdecimal():  # int() alone would also take "1_000"
        return int(text)
    if not (stripped := text.strip()):
        return None
    if _INTEGER.fullmatch(stripped):
        return int(stripped.partition(".")[0])
    raise ValueError("not an integer")


def read_bool(text: str) -> bool | None:
    """`true`, `false`, `1`, `0`, `True`, `False`; empty text is None."""
    value = _BOOLEANS.get(text)
    if value is not None:
        return value
    if not (stripped := text.strip()):
        return None
    value = _BOOLEANS.get(stripped)
    if value is None:
        raise ValueError("not a boolean")
    return value


def read_float(text: str) -> float | None:
    """A finite number; empty text is None."""
    number = read_decimal(text)
    if number is None:
        return None
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("too large for a float")
    return value


def read_text(text: str) -> str:
    """Text as it stands; nothing is stripped."""
    return text


def moment_reader(server_zone: tzinfo = UTC) -> Callable[[str], datetime | None]:
    """A reader of dates and times; one without a zone is in *server_zone*. "No date" values are None."""

    def read_moment(text: str) -> datetime | None:
        if server_zone is UTC and _PLAIN.fullmatch(text):
            try:
                plain = datetime.fromisoformat(text)
            except ValueError:
                raise ValueError("not a date and time") from None
            return None if (plain.year, plain.month, plain.day) in _NO_DATE else plain.replace(tzinfo=UTC)
        stripped = text.strip()
        if not stripped:
            return None
        if found := _JSON_DATE.fullmatch(stripped):
            try:
                return datetime.fromtimestamp(int(found[1]) / 1000, UTC)
            except (OverflowError, OSError):
                raise ValueError("a moment that does not exist in UTC") from None
        moment = parse_datetime(stripped)
        if moment is None:
            raise ValueError("not a date and time")
        if (moment.year, moment.month, moment.day) in _NO_DATE:
            return None
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=server_zone)
        try:
            return aware.astimezone(UTC)
        except OverflowError:
            raise ValueError("a moment that does not exist in UTC") from None

    return lru_cache(maxsize=1024)(read_moment)  # a page names few different moments


def readers(server_zone: tzinfo = UTC) -> dict[Any, Callable[[str], Any]]:
    """Readers by the Python type of a model's field."""
    return {
        str: read_text,
        Decimal: read_decimal,
        int: read_int,
        bool: read_bool,
        float: read_float,
        datetime: moment_reader(server_zone),
    }
