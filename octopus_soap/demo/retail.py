"""Reading a retailer's order lines, and setting the dirty ones aside by number and reason.

The format is that of the UCI "Online Retail" data set: a CSV file, plain or gzipped, with the columns InvoiceNo,
StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID and Country, one row per line of an invoice.

* Every line ends in exactly one bucket: sold, or the first reason of `Reason` that applies to it, in the order they
  stand there. `Reading.check` proves that the buckets add up. A line's further reasons stand in the report too.
* Nothing is corrected: codes and descriptions stay as they are, spaces, case and leading zeros included.
* A time without a zone is the retailer's, so UK local time. In the hour that the clocks repeat in autumn it is taken as
  the first of the two.
* A line is numbered as an editor numbers it: the column names are line 1.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models import OrderItem
from octopus_soap.models.scalars import FORBIDDEN, SKU_LENGTH, from_iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
_ITEM_COLUMNS = {
    "sku": "StockCode",
    "quantity": "Quantity",
    "unit_price": "UnitPrice",
    "description": "Description",
}
LONDON = ZoneInfo("Europe/London")
# Five digits and perhaps letters; the gift shop's own range; and one pad that matches all cushions. The other codes are
# postage, fees, discounts, vouchers, samples and manual entries.
_GOODS = re.compile(r"\d{5}\w*|DCGS\w+|PADS", re.ASCII)
_GZIP = b"\x1f\x8b"


class Reason(StrEnum):
    """Why a line is set aside. The first that applies names its bucket."""

    UNREADABLE = "unreadable"
    CANCELLATION = "cancellation"
    NOT_GOODS = "not goods"
    STOCK_ADJUSTMENT = "stock adjustment"
    NO_DESCRIPTION = "no description"
    NO_PRICE = "price of zero or less"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be read.

    Attributes:
        number: its number in the file.
        invoice: the invoice's number.
        item: stock code, quantity, price and description, as an order carries them.
        placed: when, in UTC.
        customer: the customer's number; empty for guests.
        country: where the goods go.
    """

    number: int
    invoice: str
    item: OrderItem
    placed: datetime
    customer: str
    country: str


@dataclass(frozen=True, slots=True)
class DirtyLine:
    """A line that is set aside.

    Attributes:
        number: its number in the file.
        reasons: every reason that applies, the one of its bucket first.
        detail: what was found, for a person.
        code: its stock code; empty where the line is unreadable.
        cells: the line as it stands in the file.
    """

    number: int
    reasons: tuple[Reason, ...]
    detail: str
    code: str
    cells: tuple[str, ...]


@dataclass(slots=True)
class Reading:
    """A file's lines, sorted.

    Attributes:
        total: lines read, the column names not counted.
        sold: the lines that are items of an order.
        dirty: the others.
    """

    total: int = 0
    sold: list[Line] = field(default_factory=list[Line])
    dirty: list[DirtyLine] = field(default_factory=list[DirtyLine])

    @property
    def buckets(self) -> dict[Reason, list[DirtyLine]]:
        """The dirty lines by their first reason, in the order of `Reason`."""
        found: dict[Reason, list[DirtyLine]] = {reason: [] for reason in Reason}
        for line in self.dirty:
            found[line.reasons[0]].append(line)
        return {reason: lines for reason, lines in found.items() if lines}

    def check(self) -> None:
        """Make sure that every line is in exactly one bucket.

        Raises:
            AssertionError: one is in none or in two.
        """
        numbers = Counter([line.number for line in self.sold] + [line.number for line in self.dirty])
        twice = [number for number, times in numbers.items() if times > 1]
        if len(numbers) != self.total or twice:
            raise AssertionError(f"{self.total} lines were read, {len(numbers)} are in a bucket; in two: {twice[:10]}")


def read_retail(path: Path) -> Reading:
    """Read and sort the lines of a file, plain or gzipped.

    Raises:
        InvalidInputError: it is no file of this format.
        OSError: it cannot be read.
    """
    with path.open("rb") as raw:
        zipped = raw.read(len(_GZIP)) == _GZIP
    try:
        # A byte that is no UTF-8 becomes a character no text may hold: it makes its line unreadable, not the file.
        with _opened(path, zipped=zipped) as file:
            return sort_lines(file)
    except (csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise InvalidInputError([Problem(f"{path}: {error}")]) from None


def _opened(path: Path, *, zipped: bool) -> IO[str]:
    if zipped:
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def sort_lines(text: Iterable[str]) -> Reading:
    """Read and sort lines of CSV text, column names first.

    Raises:
        InvalidInputError: a column is missing.
    """
    rows = _numbered(csv.reader(text))
    _, names = next(rows, (1, []))
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InvalidInputError([Problem("no such column in the first line", field=name) for name in missing])
    order = [names.index(name) for name in COLUMNS]
    reading = Reading()
    for number, cells in rows:
        reading.total += 1
        line = _sorted(number, cells, order, len(names))
        if isinstance(line, Line):
            reading.sold.append(line)
        else:
            reading.dirty.append(line)
    return reading


def _numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    before = 0
    for cells in reader:
        # A quoted cell may span lines: a record is numbered where it begins.
        number, before = before + 1, reader.line_num  # type: ignore[attr-defined] # csv's reader has it
        yield number, cells


def _sorted(number: int, cells: list[str], order: list[int], width: int) -> Line | DirtyLine:
    if len(cells) != width:
        detail = f"{len(cells)} cells instead of {width}"
        return DirtyLine(number, (Reason.UNREADABLE,), detail, "", tuple(cells))
    try:
        line = _line(number, dict(zip(COLUMNS, (cells[position] for position in order), strict=True)))
    except ValueError as error:  # InvalidInputError is one
        detail = _explained(error) if isinstance(error, InvalidInputError) else str(error)
        return DirtyLine(number, (Reason.UNREADABLE,), detail, "", tuple(cells))
    reasons = tuple(_reasons(line))
    if not reasons:
        return line
    item = line.item
    detail = f"{item.quantity} of {item.sku} at {item.unit_price}"
    return DirtyLine(number, reasons, detail, item.sku or "", tuple(cells))


def _explained(error: InvalidInputError) -> str:
    columns = {f"OrderItem.{field}": column for field, column in _ITEM_COLUMNS.items()}
    return "; ".join(str(replace(p, key=None, field=columns.get(p.field, p.field))) for p in error.problems)


def _line(number: int, cells: dict[str, str]) -> Line:
    """Build a line.

    Raises:
        ValueError: a cell cannot be what it should be.
    """
    for name in ("InvoiceNo", "StockCode"):
        if not cells[name]:
            raise ValueError(f"no {name}")
    if len(cells["StockCode"]) > SKU_LENGTH:
        raise ValueError(f"StockCode has {len(cells['StockCode'])} characters, the service takes {SKU_LENGTH}")
    for name in ("InvoiceNo", "CustomerID", "Country"):
        if FORBIDDEN.search(cells[name]):
            raise ValueError(f"{name} holds a character that cannot be sent in XML")
    named: dict[str, Any] = {field: cells[column] for field, column in _ITEM_COLUMNS.items()}
    item = OrderItem(**named)
    moment = from_iso(cells["InvoiceDate"])
    placed = (moment if moment.utcoffset() is not None else moment.replace(tzinfo=LONDON)).astimezone(UTC)
    return Line(number, cells["InvoiceNo"], item, placed, cells["CustomerID"], cells["Country"])


def _reasons(line: Line) -> Iterator[Reason]:
    item = line.item
    if line.invoice.startswith("C"):
        yield Reason.CANCELLATION
    if not _GOODS.fullmatch(item.sku or ""):
        yield Reason.NOT_GOODS
    if item.quantity is not None and item.quantity <= 0 and not line.invoice.startswith("C"):
        yield Reason.STOCK_ADJUSTMENT  # written off, found, or given away: nobody bought it
    if not (item.description or "").strip():
        yield Reason.NO_DESCRIPTION
    if item.unit_price is not None and item.unit_price <= 0:
        yield Reason.NO_PRICE


def as_lines(text: str) -> io.StringIO:
    """Text as a file of lines, with its line ends as they are."""
    return io.StringIO(text, newline="")
