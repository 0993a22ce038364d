"""Writing values as text: cells of CSV, cells that Excel leaves as they are, and JSON. What is read back is the same.

Texts stay as they are, amounts are exact, times are in UTC. Excel reads meaning into plain CSV: `00123` becomes 123,
`1-2` a date, `=1+1` a formula. CSV for Excel opens with a byte order mark and writes each text that Excel would change
as `="00123"`, which it shows as it was; `csv_rows` reads such a file back.
"""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EXCEL_DIGITS = 15  # Excel keeps this many of a number
_EXCEL_COUNT = re.compile("0|-?[1-9][0-9]{0,8}")  # a stock, say: Excel may count with it, and writes it the same
_EXCEL_TEXT = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)
_EXCEL_WORDS = frozenset({"true", "false"})
BYTE_ORDER_MARK = "\ufeff"


def plain(value: Any) -> str:
    """A value JSON has no type for, as text: exact decimals, times in UTC."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def as_json(rows: object, *, indent: int | None = 2) -> str:
    """*rows* as JSON."""
    return json.dumps(rows, indent=indent, ensure_ascii=False, default=plain)


def _given(part: Any) -> Any:
    """A record of a list without the members it has no value for, which would bury the others in a cell."""
    return {name: value for name, value in part.items() if value is not None} if isinstance(part, dict) else part


def as_cell(value: Any) -> str:
    """A value as the text of a CSV cell; None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"  # as XSD writes it, so that it can be uploaded again
    if isinstance(value, (list, tuple)):
        return as_json([_given(part) for part in value], indent=None)
    return plain(value)


def as_excel_cell(value: Any, *, key: bool = False) -> str:
    """A value as a CSV cell that Excel shows as it is: a text it would change is written as a formula that gives it.

    Args:
        value: the value.
        key: it identifies its row, and is a text whatever it looks like.
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
    """True unless *text* opens with a letter and holds no digit: MAR1 is a date to Excel, `Mug, blue` a text."""
    return bool(text) and (not text[0].isalpha() or any(map(str.isdigit, text)) or text.casefold() in _EXCEL_WORDS)


def excel_text(text: str) -> str:
    """*text* as a formula whose value it is."""
    return '="{}"'.format(text.replace('"', '""'))


def from_excel(cell: str) -> str:
    """What a cell such as `="00123"` shows in Excel; any other cell as it is."""
    match = _EXCEL_TEXT.fullmatch(cell)
    return match[1].replace('""', '"') if match else cell


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, excel: bool = False) -> str:
    """CSV with a first row of names.

    Args:
        columns: the names; the first column identifies a row.
        rows: a value per column; None is an empty cell.
        excel: for Excel, as the module says; otherwise plain.
    """
    out = io.StringIO()
    written = csv.writer(out, lineterminator="\r\n" if excel else "\n")
    written.writerow(columns)
    for row in rows:
        written.writerow([as_excel_cell(v, key=not at) if excel else as_cell(v) for at, v in enumerate(row)])
    return (BYTE_ORDER_MARK if excel else "") + out.getvalue()
