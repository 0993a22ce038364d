"""Scalar types of the models, and the values that they accept.

Values are strict. A SKU is text and is never stripped. Money is `Decimal`; a float is accepted if it is written with at
most four decimals (9.99, but not 0.1 + 0.2). Datetimes are aware and stored in UTC. Text may not contain characters
that XML 1.0 forbids. Text from a CSV or JSON file is accepted in the XSD's lexical form only (`"12"`, `"true"`,
`"2026-03-04T10:00:00Z"`), so that `"20260304"` never becomes a date.

Reading a reply is more tolerant, in `wire/readers.py`. The values that it makes are validated here in pydantic's strict
mode.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args, get_origin

from pydantic import Field
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SKU_LENGTH = 50
"""Longest SKU, in characters (vendor's page, Data Models: "Maximum 50 characters")."""

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
"""Characters that XML 1.0 forbids."""

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_DATETIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(?!24)(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_HOUR_24 = re.compile(r"[\dW-]++.24")
_DAYS = {"today": 0, "yesterday": 1}
_AGO = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_LENGTHS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_DOTNET_DIGITS = 29  # System.Decimal holds 28 to 29 significant digits
_EXACT_SCALE = 4  # SQL Server money
_FLOAT_DIGITS = 15  # a float keeps this many of a number


def refused(message: str) -> PydanticCustomError:
    """Return a validator's `ValueError` that pydantic shows without a prefix."""
    return PydanticCustomError("value_refused", "{message}", {"message": message})


def own_form(value: Any) -> Any:
    """Return `python_value` of *value* for a message; *value* if it is refused."""
    try:
        return python_value(value)
    except ValueError:
        return value


_PYTHONS_OWN = frozenset({str, int, float, bool, Decimal, datetime, type(None)})


def python_value(value: Any) -> Any:
    """Return a scalar of numpy or pandas as Python's own; other values unchanged.

    Raises:
        ValueError: it has no value (NA, NaT), or one that Python's own type cannot have (nanoseconds).
    """
    kind = type(value)
    if kind in _PYTHONS_OWN:
        return value
    if kind.__name__ in {"NAType", "NaTType"}:  # of pandas, recognised by name, so that pandas is not imported
        raise refused(f"{value!r} has no value; leave the member out, or give None, which is sent as null")
    if getattr(value, "nanosecond", 0):
        raise refused("has nanoseconds, and the service's time ends at microseconds; use value.floor('us')")
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    to_datetime = getattr(value, "to_pydatetime", None)
    return value if to_datetime is None else to_datetime()


def is_int32(text: str) -> bool:
    """True if *text* is an xs:int of 0 or more without leading zeros."""
    short = text.isascii() and text.isdigit() and len(text) <= len(str(INT32_MAX))  # int() refuses very long texts
    return short and str(int(text)) == text and int(text) <= INT32_MAX


def from_iso(text: str) -> datetime:
    """Parse an ISO date and time; naive if it names no zone.

    Raises:
        ValueError: it is not valid. Hour 24 is not, on every Python; 3.14 would read it as the next midnight.
    """
    if _HOUR_24.match(text):
        raise ValueError(f"{text[:40]!r} has an hour 24")
    return datetime.fromisoformat(text)


def moment_of(when: str | date | timedelta, now: datetime | None = None) -> datetime:
    """Return the moment that *when* names, aware and in UTC.

    Args:
        when: `7d`, `4w`, `12h` or `30m`, or a timedelta: that long ago; `today`, `yesterday` or a date: its beginning
            in UTC; a time with its zone, as a datetime or as text.
        now: the current time; the system's by default.

    Raises:
        ValueError: it is none of these, has no zone, or is before the first moment of the calendar.
    """
    now = now or datetime.now(UTC)
    try:
        if isinstance(when, timedelta):
            return now - when
        if isinstance(when, date):
            return _aware(when, str(when)) if isinstance(when, datetime) else datetime.combine(when, time(), UTC)
        text = when.strip()
        if text in _DAYS:
            return datetime.combine(now.astimezone(UTC), time(), UTC) - timedelta(days=_DAYS[text])
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_LENGTHS[ago[2]]: int(ago[1])})
        if len(text) == len("2026-03-04"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        moment = from_iso(text)
    except OverflowError:
        raise refused(f"{when!r} is too long ago") from None
    except PydanticCustomError:  # from below, with its own words
        raise
    except (ValueError, AttributeError, TypeError):
        raise refused(f"{when!r} is not a time such as 7d, yesterday, 2026-03-04 or 2026-03-04T10:00:00Z") from None
    return _aware(moment, when)


def _aware(moment: datetime, shown: str) -> datetime:
    if moment.utcoffset() is None:
        raise refused(f"{shown!r} has no time zone; append Z for UTC, or an offset such as +01:00")
    return moment.astimezone(UTC)


def parse_datetime(text: str) -> datetime | None:
    """Parse an xs:dateTime, naive if it names no zone; None if *text* is not one.

    Fractions of any length are accepted (.NET writes seven digits) and cut to microseconds. Hour 24 is refused: only
    XSD, and Python from 3.14 on, read it as the next midnight.
    """
    match = _DATETIME.fullmatch(text)
    if match is None:
        return None
    fraction = (match[7] or "")[:6].ljust(6, "0")
    zone = "" if match[8] is None else "+00:00" if match[8] == "Z" else match[8]
    try:
        return datetime.fromisoformat(f"{text[:19]}.{fraction}{zone}")
    except ValueError:
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise refused("expected text")
    if found := FORBIDDEN.search(value):
        raise refused(f"character {found[0]!r} at position {found.start()} cannot be sent in XML; remove it")
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, bool):
        raise refused("a bool is not an amount")
    elif isinstance(value, int):
        number = Decimal(value)
    elif isinstance(value, float):
        number = _exact(value)
    elif isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        number = Decimal(value.strip())
    else:
        raise refused("expected a Decimal, an int, or text such as '19.99'")
    if not number.is_finite():
        raise refused("NaN and Infinity are not amounts; leave the member out if there is none")
    if not _fits(number):
        raise refused(f"more than {_DOTNET_DIGITS} digits do not fit the service's decimal type")
    return number


def _fits(number: Decimal) -> bool:
    return len(number.as_tuple().digits) <= _DOTNET_DIGITS and abs(number.adjusted()) <= _DOTNET_DIGITS


def _exact(value: float) -> Decimal:
    """Return the number a float was written as, which has at most four decimals."""
    exact, written = Decimal(value), Decimal(repr(value))
    if not exact.is_finite() or -int(exact.normalize().as_tuple().exponent) <= _EXACT_SCALE:
        return exact
    digits, exponent = written.as_tuple().digits, int(written.as_tuple().exponent)
    if -exponent > _EXACT_SCALE or len(digits) > _FLOAT_DIGITS:
        raise refused(f"the float {value!r} has more than {_EXACT_SCALE} decimals; round it, or give a Decimal or text")
    return written


def number_of(text: str) -> int | Decimal | None:
    """Return the number in *text*, an int if it is whole; None if it is no number.

    Only the forms of xs:decimal count, with spaces around them: `7`, `-3`, `7.0000`, `2.5`.
    """
    stripped = text.strip()
    if stripped.isdigit() and stripped.isascii() and len(stripped) <= _DOTNET_DIGITS:
        return int(stripped)
    if not _DECIMAL.fullmatch(stripped) or not _fits(number := Decimal(stripped)):
        return None
    return int(number) if number == number.to_integral_value() else number


def _count(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    number = _decimal(value)
    return str(int(number)) if number == number.to_integral_value() else format(number, "f")


def _flag_text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else _text(value)


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        raise refused(f"expected an int, or text such as '12'; int({value!r}) makes one of a float")
    raise refused("expected an int, or text such as '12'")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip() in _BOOLEANS:
        return _BOOLEANS[value.strip()]
    raise refused("expected a bool, or the text true, false, 1 or 0")


def _real(value: Any) -> float:
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise refused("too large for a float") from None
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return float(value)
    raise refused("expected a number, or text such as '12.5'")


def _utc(value: Any) -> datetime:
    moment = parse_datetime(value.strip()) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise refused("expected a datetime with a time zone, or text such as '2026-03-04T10:00:00Z'")
    if moment.utcoffset() is None:
        raise refused("a datetime without a time zone is ambiguous; add one, such as tzinfo=datetime.UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise refused("this moment does not exist in UTC") from None


class _Scalar:
    """How pydantic validates a scalar.

    *parse* checks and converts a caller's value. A value of a reply has its type already, and pydantic-core validates
    it with *typed*, in strict mode, without a call into Python.
    """

    def __init__(self, parse: Callable[[Any], Any], typed: CoreSchema) -> None:
        self._parse, self.typed = parse, typed

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        parse = self._parse
        own = core_schema.no_info_before_validator_function(lambda value: parse(python_value(value)), handler(source))
        return core_schema.lax_or_strict_schema(lax_schema=own, strict_schema=self.typed)


def typed_schema(annotation: Any) -> CoreSchema | None:
    """Return the schema for values of a reply; None if *annotation* is no type below."""
    last = get_args(annotation)[-1] if get_origin(annotation) is Annotated else None
    return last.typed if isinstance(last, _Scalar) else None


_INT32 = core_schema.int_schema(strict=True, ge=INT32_MIN, le=INT32_MAX)
_INT64 = core_schema.int_schema(strict=True, ge=INT64_MIN, le=INT64_MAX)

Text = Annotated[str, _Scalar(_text, core_schema.str_schema(strict=True))]
"""Text that XML allows; never stripped."""

Count = Annotated[str, _Scalar(_count, core_schema.str_schema(strict=True))]
"""A number of pieces that the page types as text; an int is written as one. `number_of` reads it."""


def is_count(annotation: Any) -> bool:
    """True if *annotation* is `Count`, or `Count | None`."""
    return annotation == Count or Count in get_args(annotation)


FlagText = Annotated[str, _Scalar(_flag_text, core_schema.str_schema(strict=True))]
"""A flag the page types as text; a bool is written as true or false."""

Amount = Annotated[Decimal, _Scalar(_decimal, core_schema.decimal_schema(strict=True, allow_inf_nan=False))]
"""Money or another exact decimal: finite, and from a caller at most 29 digits, as the service's type has."""

Int32 = Annotated[int, Field(ge=INT32_MIN, le=INT32_MAX), _Scalar(_integer, _INT32)]
"""xs:int."""

Int64 = Annotated[int, Field(ge=INT64_MIN, le=INT64_MAX), _Scalar(_integer, _INT64)]
"""xs:long."""

Flag = Annotated[bool, _Scalar(_boolean, core_schema.bool_schema(strict=True))]
"""xs:boolean."""

Real = Annotated[
    float, Field(allow_inf_nan=False), _Scalar(_real, core_schema.float_schema(strict=True, allow_inf_nan=False))
]
"""xs:float."""

Moment = Annotated[datetime, _Scalar(_utc, core_schema.datetime_schema(strict=True, tz_constraint="aware"))]
"""xs:dateTime: an aware datetime, stored in UTC."""


class OpenEnum(StrEnum):
    """An enumeration that accepts other texts too; `.known` is False for those."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str) or not value:
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    @property
    def known(self) -> bool:
        """True for a value of the vendor's page."""
        return self.value in type(self)._value2member_map_

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        # By value, because an unknown member has no name to find it by.
        return type(self), (self.value,)
