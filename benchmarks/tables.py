"""Measure the cost of a row on its way to a DataFrame, to CSV and back to models.

Run `python -m benchmarks.tables`. The figures are processor time of this process in microseconds per row, the least of
three runs, next to what pandas needs for the same.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopus_soap.models import (
    AddressInfo,
    InventoryItem,
    ItemQuantityAndPrice,
    OrderItem,
    OrderResponseItem,
    PaymentStatusCode,
    StoreStockInfo,
)
from octopus_soap.tables import items_from_frame, to_csv, to_frame

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS, ORDERS, WRITTEN = 10_000, 4_000, 50_000
RUNS = 3
_START = datetime(2026, 1, 1, tzinfo=UTC)


def items(count: int) -> list[InventoryItem]:
    """Return items of which few members are set."""
    return [
        InventoryItem(
            sku=f"SKU-{number:06d}",
            description=f"Trail shoe no. {number}, waterproof",
            category=f"Shoes/Running/{number % 17}",
            price=Decimal(f"{15 + number % 60}.99"),
            cost=Decimal(f"{7 + number % 50}.1250"),
            stock=str(number % 55),
            upc=f"{400000000000 + number}",
            sale_start_date=_START + timedelta(minutes=number),
        )
        for number in range(count)
    ]


def with_stores(count: int) -> list[InventoryItem]:
    """Return items with two stores each."""
    return [
        item.replace(
            store_stock_info_list=[
                StoreStockInfo(store_id=str(store), store_stock=2.5, store_price=Decimal("9.50")) for store in (1, 2)
            ]
        )
        for item in items(count)
    ]


def orders(count: int) -> list[OrderResponseItem]:
    """Return orders with an address and two lines."""
    address = AddressInfo(first_name="Zoë", last_name="Martin", address1="1 rue Haute", city="Lyon", zip="00123")
    return [
        OrderResponseItem(
            order_id=f"{number}",
            order_date=_START + timedelta(minutes=number),
            ship=address,
            bill=address,
            total=Decimal("19.00"),
            payment_status=PaymentStatusCode.CLEARED,
            order_items=[
                OrderItem(sku=f"SKU-{line}", quantity=line + 1, unit_price=Decimal("9.50")) for line in range(2)
            ],
        )
        for number in range(count)
    ]


def least(work: Callable[[], Any], rows: int) -> float:
    """Return the least processor time per row, in microseconds."""
    found = []
    for _ in range(RUNS):
        gc.collect()
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found) / rows * 1e6


def measure(only: str = "") -> dict[str, dict[str, float]]:
    """Return by workload our cost, and pandas' own for the same if there is any."""
    found: dict[str, dict[str, float]] = {}

    def note(name: str, rows: int, **works: Callable[[], Any]) -> None:
        if only in name:
            found[name] = {who: least(work, rows) for who, work in works.items()}

    few, stores, sold = items(ITEMS), with_stores(ITEMS // 2), orders(ORDERS)
    note("items to pandas", ITEMS, ours=lambda: to_frame(few))
    note("items to polars", ITEMS, ours=lambda: to_frame(few, backend="polars"))
    note("items, three columns", ITEMS, ours=lambda: to_frame(few, columns=["sku", "price", "stock"]))
    note("items with stores", ITEMS, ours=lambda: to_frame(stores))
    note("orders to pandas", 2 * ORDERS, ours=lambda: to_frame(sold))
    flat, spread = to_frame(few), to_frame(sold)
    rows = flat.astype(object).where(flat.notna(), None).to_dict("records")
    note(
        "items from a frame",
        ITEMS,
        ours=lambda: items_from_frame(flat),
        models=lambda: [InventoryItem(**row) for row in rows],
    )
    update = flat[["sku", "price", "cost"]]
    given = update.to_dict("records")
    note(
        "updates from a frame",
        ITEMS,
        ours=lambda: items_from_frame(update, ItemQuantityAndPrice),
        models=lambda: [ItemQuantityAndPrice(**row) for row in given],
    )
    note("orders from a frame", 2 * ORDERS, ours=lambda: items_from_frame(spread, OrderResponseItem))
    if only in "items to CSV":
        many = few * (WRITTEN // ITEMS)
        frame = to_frame(many)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "items.csv")
            note(
                "items to CSV",
                WRITTEN,
                ours=lambda: to_csv(many, path),
                excel=lambda: to_csv(many, path, excel=True),
                pandas=lambda: frame.to_csv(path, index=False),
            )
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.tables", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the values, not the table")
    parser.add_argument("--only", default="", help="the workloads whose names have this text")
    options = parser.parse_args()
    found = measure(options.only)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print("microseconds of processor time a row")
        for name, figures in found.items():
            print(f"{name:24}" + "  ".join(f"{who} {value:6.1f}" for who, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
