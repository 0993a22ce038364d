"""Push a retailer's year week by week, and compare with sending everything.

    python -m benchmarks.replay_year online_retail.csv.gz [--ledger URL]

The file is one of UCI's "Online Retail" (see `octopus_soap.demo.retail`). Each week new SKUs come to the shop and are
uploaded, stock falls with the week's sales and is refilled if little is left, and prices are the last ones paid.
Then the shop's whole state is pushed with `StockPush`. After every week the service must have what the shop has, and a
second push must send nothing. The service is the emulator.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopus_soap import InventoryItem, OctopusClient, OctopusSettings
from octopus_soap.demo.retail import read_retail
from octopus_soap.emulator import Emulator
from octopus_soap.jobs import Ledger, StockPush

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octopus_soap.demo.retail import Line

FIRST_STOCK, REFILL_BELOW = 500, 20
BATCH = 500
_UPDATE = "UpdateItemQuantityAndPriceList"


@dataclass
class Shop:
    """The shop's stock and price by SKU."""

    stock: dict[str, int] = field(default_factory=dict)
    price: dict[str, Decimal] = field(default_factory=dict)

    def live(self, week: Iterable[Line]) -> list[str]:
        """Sell the items of the lines; return the SKUs that are new."""
        new: list[str] = []
        for line in week:
            sku = line.item.sku or ""
            if sku not in self.stock:
                new.append(sku)
                self.stock[sku] = FIRST_STOCK
            self.stock[sku] -= line.item.quantity or 0
            self.price[sku] = line.item.unit_price or Decimal(0)
            if self.stock[sku] < REFILL_BELOW:
                self.stock[sku] = FIRST_STOCK
        return new

    def states(self) -> Iterator[dict[str, Any]]:
        """Return the shop's whole state, as its database would return it."""
        for sku, stock in self.stock.items():
            yield {"sku": sku, "stock": stock, "price": self.price[sku]}


@dataclass
class Week:
    """The effect of one week's push, and that of a push of everything."""

    number: int
    skus: int
    new: int
    changed: int
    calls: int
    rows: int
    again: int
    agree: bool

    @property
    def naive_calls(self) -> int:
        """Return the number of requests that the whole catalogue takes."""
        return -(-self.skus // BATCH)


def by_week(lines: Iterable[Line]) -> list[list[Line]]:
    """Return the lines of each week that has any, oldest first."""
    weeks: dict[tuple[int, int], list[Line]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: line.placed):
        weeks[line.placed.isocalendar()[:2]].append(line)
    return [weeks[week] for week in sorted(weeks)]


def replay(lines: Iterable[Line], service: Emulator, client: OctopusClient, ledger: Ledger) -> Iterator[Week]:
    """Replay the weeks one after another."""
    shop = Shop()
    # A week changes far more than a fifth of this catalogue, so the guard is off.
    push = StockPush(client, ledger, batch_size=BATCH, max_change_share=1)
    for number, week in enumerate(by_week(lines), 1):
        if new := shop.live(week):
            client.upload_item_list([InventoryItem(sku=sku, description="") for sku in new]).raise_for_rejected()
        before = len(service.calls)
        report = push.run(shop.states())
        updates = [call for call in service.calls[before:] if call.operation == _UPDATE]
        after = len(service.calls)
        push.run(shop.states())
        again = sum(call.operation == _UPDATE for call in service.calls[after:])
        yield Week(
            number, len(shop.stock), report.counts["new"], report.counts["changed"], len(updates),
            sum(call.items for call in updates), again, _held(service) == _wanted(shop),
        )  # fmt: skip


def _held(service: Emulator) -> dict[str, tuple[int, Decimal]]:
    return {sku: (int(item["Stock"]), item["Price"]) for sku, item in service.store.items().items()}


def _wanted(shop: Shop) -> dict[str, tuple[int, Decimal]]:
    return {sku: (stock, shop.price[sku]) for sku, stock in shop.stock.items()}


def main() -> None:
    """Replay a file and print the savings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--ledger", help="a ledger's URL; a temporary file by default")
    given = parser.parse_args()
    reading = read_retail(given.file)
    reading.check()
    print(f"{reading.total:,} lines, {len(reading.sold):,} of them sold goods")
    with tempfile.TemporaryDirectory() as folder, Emulator(keep_bodies=False) as service:
        settings = OctopusSettings.load(**service.settings())
        place = given.ledger or str(Path(folder) / "ledger.db")
        began = time.perf_counter()
        weeks: list[Week] = []
        with OctopusClient(settings=settings) as client, Ledger(place) as ledger:
            for week in replay(reading.sold, service, client, ledger):
                weeks.append(week)
                print(f"week {week.number:2}: {week.skus:5,} SKUs, {week.new:4} new, {week.changed:5,} changed, "
                      f"{week.calls} calls; again: {week.again}; agree: {week.agree}")  # fmt: skip
        seconds = time.perf_counter() - began
    rows, naive_rows = sum(w.rows for w in weeks), sum(w.skus for w in weeks)
    calls, naive = sum(w.calls for w in weeks), sum(w.naive_calls for w in weeks)
    print(f"{len(weeks)} weeks in {seconds:.0f} s")
    print(f"rows sent: {rows:,} of {naive_rows:,} of a full push every week: {1 - rows / naive_rows:.0%} saved")
    print(f"calls: {calls:,} of {naive:,}: {1 - calls / naive:.0%} saved")
    print(f"with the second push each week: {calls:,} of {2 * naive:,}: {1 - calls / (2 * naive):.0%} saved")
    if not all(week.agree and not week.again for week in weeks):
        sys.exit("service and shop do not agree, or a push without changes sent something")


if __name__ == "__main__":
    main()
