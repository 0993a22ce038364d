"""A small made-up shop, as a file of the format `retail` reads: 60 items, 40 invoices, and the dirt of real ones."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta

from octopus_soap.demo.retail import COLUMNS

_THINGS = ("LANTERN", "MUG", "CLOCK", "BASKET", "CANDLE", "NOTEBOOK", "TRAY", "FRAME", "LAMP", "CUSHION")
_KINDS = ("RED", "BLUE ", "OAK & BRASS", '12" GLASS', "CAFÉ", "<SMALL>")
_COUNTRIES = ("United Kingdom", "France", "EIRE", "Deutschland", "日本")
_OPENING = datetime(2024, 3, 29, 8, 30)  # noqa: DTZ001 - the format's times name no zone; the clocks change two days on
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
    """The shop's lines as CSV text; the same every time."""
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
