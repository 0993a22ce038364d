"""Text between tags: white space, references, CDATA and comments, and scalars in their usual forms."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from octopus_soap.models.scalars import FORBIDDEN
from octopus_soap.wire.values import read_bool, read_decimal, read_float, read_text

if TYPE_CHECKING:
    from octopus_soap.wire.readers import Reader

SPACE = " \t\r\n"


class Unread(Exception):  # noqa: N818 - control flow inside this package
    """This row cannot be read this way."""


class Fallback(Exception):  # noqa: N818 - control flow inside this package
    """This page must be parsed as a whole."""


CANNOT = (Unread, ValueError, ArithmeticError, LookupError)
"""What reading a row's text may raise; then the next reader takes the row. (pydantic raises a `ValueError`.)"""


_CONTENT = re.compile(r"[^<]*+(?:<[^<>\"']*+(?:\"[^<\"]*+\"[^<>\"']*+|'[^<']*+'[^<>\"']*+)*+>[^<]*+)*+")
"""Text and whole tags."""


def without_sections(row: str) -> str:
    """*row* with its CDATA as plain text and without its comments.

    Raises:
        Unread: one of them begins inside a tag or a reference, or does not end.
    """
    pieces, kept = [], 0
    while (start := row.find("<!", kept)) >= 0:
        reference = row.rfind("&", kept, start)
        if _CONTENT.fullmatch(row, kept, start) is None or (reference >= 0 and ";" not in row[reference:start]):
            raise Unread
        pieces.append(row[kept:start])
        if row.startswith("<!--", start):
            end = row.find("--", start + 4)
            if end < 0 or not row.startswith("-->", end):
                raise Unread
        elif row.startswith("<![CDATA[", start):
            end = row.find("]]>", start)
            if end < 0:
                raise Unread
            data = row[start + 9 : end]
            pieces.append(data.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
        else:
            raise Unread
        kept = end + 3
    return "".join([*pieces, row[kept:]])


_REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot|apos));")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_LAST_CODE_POINT = 0x10FFFF


def resolve(text: str) -> str:
    """Text with its references resolved; raises `ValueError` for an `&` that begins none, or one XML forbids."""
    resolved, found = _REFERENCE.subn(_character, text)
    if found != text.count("&"):
        raise ValueError("an & that begins no reference")
    return resolved


def _character(reference: re.Match[str]) -> str:
    if reference[3]:
        return _ENTITIES[reference[3]]
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    if number > _LAST_CODE_POINT or FORBIDDEN.match(chr(number)):
        raise ValueError("a reference to a character XML forbids")
    return chr(number)


def _decimal(text: str) -> Decimal | None:
    return read_decimal(text) if text.strip("+-.0123456789") else Decimal(text)


def real(text: str) -> float:
    """Text that is a plain number as a float; raises `ValueError` if it is too large for one."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("too large for a float")
    return value


FLAGS: dict[str, bool | None] = {"true": True, "false": False, "": None}
QUICK: dict[Any, Reader] = {read_decimal: _decimal}
"""Readers that do the same for the usual text, and do it faster."""
SHORT: dict[Any, tuple[str, str]] = {
    read_text: ("[^<]*+", "{0}"),
    _decimal: ("[-+.0-9]*+", "(Decimal({0}) if {0} else {1})"),
    read_float: ("[-+.0-9]*+", "(real({0}) if {0} else {1})"),
    read_bool: ("[a-z]*+", "flags[{0}]"),
}
"""By a scalar's reader: the characters it has nearly always, and the expression that reads them from a group, with the
value of an empty one. Other text does not match, and what the expression refuses goes to the next reader."""
