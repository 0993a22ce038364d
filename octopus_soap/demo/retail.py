"""A retailer's order lines, from a file or invented, and the shop made of them.

The format is that of the UCI "Online Retail" data set: a CSV file, plain or gzipped, with the columns InvoiceNo,
StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID and Country, one row per line of an invoice.

Reading:

* Every line is in exactly one bucket: sold, or the first `Reason` that applies to it. `Reading.check` proves that the
  buckets add up. The report has a line's further reasons too.
* Nothing is corrected: codes and descriptions keep spaces, case and leading zeros.
* A time without a zone is UK local time. In the hour that the clocks repeat in autumn, it means the first of the two.
* Lines are numbered as in an editor: the column names are line 1.

The shop:

* The catalogue has every code that was sold, described as on its last line. Codes that differ only by case are
  different items.
* It is uploaded with its first price and a stock of 0; the last price and the stock are pushed afterwards, so that a
  push that the service ignores shows.
* The stock of an item is the number of pieces that the file sells.
* An order is an invoice with its sold lines in the file's order, placed when its earliest line was. Lines that were set
  aside (postage, write-offs) are not part of it or of its total.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models import AddressInfo, InventoryItem, ItemQuantityAndPrice, OrderItem, OrderSubmit
from octopus_soap.models.scalars import FORBIDDEN, SKU_LENGTH, from_iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
_ITEM_COLUMNS = {"sku": "StockCode", "quantity": "Quantity", "unit_price": "UnitPrice", "description": "Description"}
LONDON = ZoneInfo("Europe/London")
# Five digits and perhaps letters; the gift shop's own range; and a pad that fits all cushions. The other codes are
# postage, fees, discounts, vouchers, samples and manual entries.
_GOODS = re.compile(r"\d{5}\w*|DCGS\w+|PADS", re.ASCII)
_GZIP = b"\x1f\x8b"


class Reason(StrEnum):
    """Why a line is set aside; its bucket is the first reason that applies."""

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
        item: stock code, quantity, price and description, as in an order.
        placed: when, in UTC.
        customer: the customer's number; empty for guests.
        country: the destination.
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
        reasons: every reason that applies, its bucket first.
        detail: what was found, as readable text.
        code: its stock code; empty if the line is unreadable.
        cells: the line as it is in the file.
    """

    number: int
    reasons: tuple[Reason, ...]
    detail: str
    code: str
    cells: tuple[str, ...]


@dataclass(slots=True)
class Reading:
    """A file's lines: how many were read, those sold, and those set aside."""

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
            AssertionError: a line is in no bucket or in two.
        """
        numbers = Counter([line.number for line in self.sold] + [line.number for line in self.dirty])
        twice = [number for number, times in numbers.items() if times > 1]
        if len(numbers) != self.total or twice:
            raise AssertionError(f"{self.total} lines were read, {len(numbers)} are in a bucket; in two: {twice[:10]}")


def read_retail(path: Path) -> Reading:
    """Read and sort the lines of a file, plain or gzipped.

    Raises:
        InvalidInputError: the file has another format.
        OSError: it cannot be read.
    """
    with path.open("rb") as raw:
        zipped = raw.read(len(_GZIP)) == _GZIP
    try:
        # A byte that is not UTF-8 becomes a character that no text may have: only its line is unreadable, not the file.
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
        # A quoted cell may span lines: a record has the number of its first line.
        number, before = before + 1, reader.line_num  # type: ignore[attr-defined] # csv's reader has it
        yield number, cells


def _sorted(number: int, cells: list[str], order: list[int], width: int) -> Line | DirtyLine:
    if len(cells) != width:
        detail = f"{len(cells)} cells instead of {width}"
        return DirtyLine(number, (Reason.UNREADABLE,), detail, "", tuple(cells))
    try:
        line = _line(number, dict(zip(COLUMNS, (cells[position] for position in order), strict=True)))
    except ValueError as error:  # InvalidInputError is a ValueError
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
    """Return a line; raise `ValueError` if a cell has no possible value."""
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
        yield Reason.STOCK_ADJUSTMENT  # written off, found, or given away, and not sold
    if not (item.description or "").strip():
        yield Reason.NO_DESCRIPTION
    if item.unit_price is not None and item.unit_price <= 0:
        yield Reason.NO_PRICE


def as_lines(text: str) -> io.StringIO:
    """Return text as a file of lines, with its line ends as they are."""
    return io.StringIO(text, newline="")


_THINGS = ("LANTERN", "MUG", "CLOCK", "BASKET", "CANDLE", "NOTEBOOK", "TRAY", "FRAME", "LAMP", "CUSHION")
_KINDS = ("RED", "BLUE ", "OAK & BRASS", '12" GLASS', "CAFÉ", "<SMALL>")
_COUNTRIES = ("United Kingdom", "France", "EIRE", "Deutschland", "日本")
_OPENING = datetime(2024, 3, 29, 8, 30)  # noqa: DTZ001 - the format's times have no zone; the clocks change two days later
_ITEMS, _INVOICES, _LINES_EACH = 60, 40, 4

_DIRT = (
    ("C536379", "00107", "RED BASKET", "-1", "2024-04-02T09:41:00", "3.75", "14527", "United Kingdom"),
    ("C536391", "D", "Discount", "-1", "2024-04-02T09:49:00", "27.50", "14527", "United Kingdom"),
    ("536403", "POST", "POSTAGE", "1", "2024-04-02T11:27:00", "15", "12791", "France"),
    ("536404", "M", "Manual", "1", "2024-04-02T11:29:00", "0", "", "United Kingdom"),
    ("536405", "00112", "", "56", "2024-04-02T12:03:00", "0", "", "United Kingdom"),
    ("536406", "00113", "damaged", "-10", "2024-04-02T12:05:00", "0.00", "", "United Kingdom"),
    ("536407", "00114", "amazon adjustment", "4", "2024-04-02T12:10:00", "-11062.06", "", "United Kingdom"),
    ("536408", "00115", "OAK & BRASS FRAME", "a dozen", "2024-04-02T12:12:00", "4.10", "17850", "United Kingdom"),
    ("536409", "00116", "CAFÉ \x07 TRAY", "2", "2024-04-02T12:14:00", "4.10", "17850", "United Kingdom"),
    ("536410", "00117", "LAMP", "2"),
)


def small_shop() -> str:
    """Return the lines of a small shop as CSV text, always the same."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for number in range(_INVOICES):
        rows.writerows(_invoice(number))
        if number % _LINES_EACH == 0:
            rows.writerow(_DIRT[number // _LINES_EACH])
    return text.getvalue()


def _invoice(number: int) -> list[tuple[str, ...]]:
    placed = _OPENING + timedelta(hours=7 * number)
    customer = "" if number % 3 == 0 else str(17850 + number % 7)
    rows: list[tuple[str, ...]] = []
    for position in range(_LINES_EACH):
        item = (number * _LINES_EACH + position) * 7 % _ITEMS  # 7 and 60 share no factor: every item is sold
        letter = "A" if item % 9 == 0 else ""
        rows.append(
            (
                f"{536365 + number}",
                f"{100 + item:05d}{letter}",
                f"{_KINDS[item % len(_KINDS)]} {_THINGS[item // len(_KINDS)]}",
                str(1 + (number + position) % 12),
                placed.isoformat(),
                f"{(item * 37 + number // 10 * 5 + 85) / 100:.2f}",
                customer,
                _COUNTRIES[number % len(_COUNTRIES)],
            )
        )
    return rows


@dataclass(frozen=True, slots=True)
class Shop:
    """The data to send to the service, and the data it must have afterwards.

    Attributes:
        catalogue: items as they are uploaded, by SKU.
        updates: stock and price of each item, by SKU.
        final: items as they must be in the end, by SKU.
        orders: orders by invoice.
        strangers: codes that must not exist.
    """

    catalogue: Mapping[str, InventoryItem]
    updates: Mapping[str, ItemQuantityAndPrice]
    final: Mapping[str, InventoryItem]
    orders: Mapping[str, OrderSubmit]
    strangers: tuple[str, ...]

    @property
    def case_twins(self) -> int:
        """The number of codes that differ from another code only by case."""
        folded: dict[str, int] = defaultdict(int)
        for sku in self.catalogue:
            folded[sku.casefold()] += 1
        return sum(times for times in folded.values() if times > 1)


def build_shop(lines: Iterable[Line], other_codes: Iterable[str] = ()) -> Shop:
    """Build the shop that sold *lines*, in the file's order.

    *other_codes* are the codes of lines that were set aside; a code without sales must not exist in the service.
    """
    by_code: dict[str, list[Line]] = defaultdict(list)
    by_invoice: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_code[line.item.sku or ""].append(line)
        by_invoice[line.invoice].append(line)
    catalogue: dict[str, InventoryItem] = {}
    updates: dict[str, ItemQuantityAndPrice] = {}
    final: dict[str, InventoryItem] = {}
    for sku, sales in by_code.items():
        by_time = sorted(sales, key=lambda line: line.placed)  # stable: lines of one minute keep their order
        first, last = by_time[0].item, by_time[-1].item
        stock = sum(line.item.quantity or 0 for line in sales)
        catalogue[sku] = InventoryItem(sku=sku, description=last.description, price=first.unit_price, stock="0")
        updates[sku] = ItemQuantityAndPrice(sku=sku, stock=stock, price=last.unit_price)
        final[sku] = catalogue[sku].replace(price=last.unit_price, stock=str(stock))
    orders = {invoice: _order(invoice, sales) for invoice, sales in by_invoice.items()}
    strangers = sorted({code for code in other_codes if code and code not in by_code})
    return Shop(catalogue, updates, final, orders, tuple(strangers))


def _order(invoice: str, lines: list[Line]) -> OrderSubmit:
    total = sum(((line.item.unit_price or Decimal(0)) * (line.item.quantity or 0) for line in lines), Decimal(0))
    address = AddressInfo(country=lines[0].country)
    if lines[0].customer:  # a guest has no number: the member is left out, not sent empty
        address = address.replace(customer_id=lines[0].customer)
    return OrderSubmit(
        order_id=invoice,
        order_date=min(line.placed for line in lines),
        ship=address,
        bill=address,
        order_items=[line.item for line in lines],
        sub_total=total,
        total=total,
    )
