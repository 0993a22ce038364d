"""The text forms of values, as .NET's XmlConvert reads and writes them.

The emulator keeps every value as the text that goes over the wire. Reading checks it and makes it canonical, so writing
only has to escape it.

Grades: the texts that XmlConvert accepts and the wording of its errors are known of WCF. Four decimals on every decimal
(SQL money) are recorded of ChannelAdvisor's service and only likely here. A server clock in UTC is assumed, from names
that end in GMT.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_DATE = "0001-01-01T00:00:00"  # DateTime.MinValue, the value of an unset DateTime
SQL_NO_DATE = "1900-01-01T00:00:00"  # SQL Server's value of an empty date; recorded of ChannelAdvisor's service
_NO_DATES = frozenset({MIN_DATE, SQL_NO_DATE})

_MONEY_DIGITS = 4
_MAX_DECIMAL = 79228162514264337593543950335  # Decimal.MaxValue of .NET
_DECIMAL = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(?:(Z)|([+-])(\d\d):(\d\d))?", re.ASCII)
_XML_SPACE = " \t\r\n"
_SCIENTIFIC_BELOW = -5  # the exponent under which .NET writes a Single in scientific notation


class LexicalError(ValueError):
    """.NET cannot read a text as the wanted type; the message is .NET's."""


@dataclass(frozen=True, slots=True)
class ScalarKind:
    """One simple type."""

    dotnet: str
    canonical: Callable[[str], str]  # raises LexicalError
    default: str | None  # the value of an omitted member in .NET; None: a reference type, which may be null
    python: Callable[[str], object]


_SHORT = 40  # the longest text that is cached; longer texts are rare, and would fill the memory


def _remembered(canonical: Callable[[str], str]) -> Callable[[str], str]:
    """Return *canonical* with a cache of short texts, since prices and stock repeat."""
    known = lru_cache(maxsize=4096)(canonical)
    return lambda text: known(text) if len(text) <= _SHORT else canonical(text)


def canonical_decimal(text: str) -> str:
    """Return a decimal with at least four places, ``44.9`` as ``44.9000``."""
    match = _DECIMAL.fullmatch(text.strip(_XML_SPACE))
    if match is None or not (match[2] or match[3]):
        raise LexicalError(f"The value '{text}' cannot be parsed as the type 'decimal'.")
    whole, places = match[2].lstrip("0") or "0", (match[3] or "").ljust(_MONEY_DIGITS, "0")
    if int(whole) > _MAX_DECIMAL:
        raise LexicalError(f"The value '{text}' cannot be parsed as the type 'decimal'.")
    sign = "-" if match[1] == "-" and (whole + places).strip("0") else ""
    return f"{sign}{whole}.{places}"


def _integer_of(bits: int, dotnet: str) -> Callable[[str], str]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def canonical(text: str) -> str:
        trimmed = text.strip(_XML_SPACE)
        if not _INTEGER.fullmatch(trimmed) or len(trimmed) > bits or not low <= int(trimmed) <= high:
            raise LexicalError(f"The value '{text}' cannot be parsed as the type '{dotnet}'.")
        return str(int(trimmed))

    return canonical


def _canonical_boolean(text: str) -> str:
    try:
        return {"true": "true", "1": "true", "false": "false", "0": "false"}[text.strip(_XML_SPACE)]
    except KeyError:
        raise LexicalError(f"The value '{text}' cannot be parsed as the type 'Boolean'.") from None


def _float_text(trimmed: str) -> str:
    """Return a Single in .NET's round-trip format: seven digits if enough, else nine."""
    try:
        packed = struct.pack("<f", float(trimmed))
    except OverflowError:
        return "-INF" if trimmed.startswith("-") else "INF"
    (single,) = struct.unpack("<f", packed)
    digits = 7 if struct.pack("<f", float(f"{single:.7g}")) == packed else 9
    number = Decimal(f"{single:.{digits}g}")
    exponent = number.adjusted()
    if number and (exponent >= digits or exponent < _SCIENTIFIC_BELOW):
        mantissa = format(number.scaleb(-exponent).normalize(), "f")
        return f"{mantissa}E{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _canonical_float(text: str) -> str:
    trimmed = text.strip(_XML_SPACE)
    if trimmed in {"NaN", "INF", "-INF"}:
        return trimmed
    if not _FLOAT.fullmatch(trimmed):
        raise LexicalError(f"The value '{text}' cannot be parsed as the type 'Single'.")
    return _float_text(trimmed)


def canonical_date(text: str) -> str:
    """Return a dateTime in UTC without a suffix, its fraction trimmed."""
    match = _DATE.fullmatch(text.strip(_XML_SPACE))
    if match is None:
        raise LexicalError(f"The value '{text}' cannot be parsed as the type 'DateTime'.")
    year, month, day, hour, minute, second, fraction, _, sign, off_hours, off_minutes = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
        if sign:
            offset = timedelta(hours=int(off_hours), minutes=int(off_minutes))
            moment = moment + offset if sign == "-" else moment - offset
    except (ValueError, OverflowError):
        raise LexicalError(f"The value '{text}' cannot be parsed as the type 'DateTime'.") from None
    trimmed = (fraction or "")[:7].rstrip("0")  # .NET counts in ticks of 100 ns: seven places
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + (f".{trimmed}" if trimmed else "")


def written_date(text: str, *, kind: str, offset: timedelta) -> str:
    """Return a stored (UTC) dateTime as text of the ``Profile.date_kind`` given."""
    if kind == "unspecified" or text in _NO_DATES:
        return text
    if kind == "utc":
        return f"{text}Z"
    whole, dot, fraction = text.partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC).astimezone(timezone(offset))
    suffix = moment.strftime("%z")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{dot}{fraction}{suffix[:3]}:{suffix[3:]}"


def text_of(value: object) -> str:
    """Return the wire text of a Python value; naive datetimes are taken as UTC."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).replace(tzinfo=None).isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def _python_date(text: str) -> datetime:
    whole, _, fraction = text.partition(".")
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    return datetime.fromisoformat(whole).replace(tzinfo=UTC, microsecond=micro)


_STRING = ScalarKind("String", str, None, str)
_INT32 = ScalarKind("Int32", _integer_of(32, "Int32"), "0", int)
_INT64 = ScalarKind("Int64", _integer_of(64, "Int64"), "0", int)
_SINGLE = ScalarKind("Single", _remembered(_canonical_float), "0", float)

KINDS: dict[str, ScalarKind] = {
    "string": _STRING,
    "boolean": ScalarKind("Boolean", _canonical_boolean, "false", lambda text: text == "true"),
    "short": ScalarKind("Int16", _integer_of(16, "Int16"), "0", int),
    "int": _INT32,
    "long": _INT64,
    "decimal": ScalarKind("Decimal", _remembered(canonical_decimal), "0.0000", Decimal),
    "float": _SINGLE,
    "double": _SINGLE,
    "dateTime": ScalarKind("DateTime", _remembered(canonical_date), MIN_DATE, _python_date),
}


def kind_of(name: str) -> ScalarKind:
    """Return the kind of the XSD built-in ``name``."""
    return KINDS.get(name, _STRING)  # no Octopus model uses another one
