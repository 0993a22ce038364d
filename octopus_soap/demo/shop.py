"""From sold lines to a shop: the catalogue, its stock and prices, and the orders.

* The catalogue holds every code that was sold, described as on its last line.
* It is uploaded with its first price and a stock of 0; the last price and the stock are pushed afterwards, so that a
  push the service ignored would show.
* The stock of an item is the number of pieces the file sells: what the shop must have had.
* An order is an invoice with its sold lines in the file's order, placed when its earliest line was. Lines that were set
  aside (postage, write-offs) are no part of it, nor of its total.
* Codes that differ only by case are different items, as they are different texts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from octopus_soap.models import AddressInfo, InventoryItem, ItemQuantityAndPrice, OrderSubmit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from octopus_soap.demo.retail import Line


@dataclass(frozen=True, slots=True)
class Shop:
    """What goes into the service, and what must be in it afterwards.

    Attributes:
        catalogue: items as they are uploaded, by SKU.
        updates: stock and price of each, by SKU.
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
        """How many codes differ only by case from another."""
        folded: dict[str, int] = defaultdict(int)
        for sku in self.catalogue:
            folded[sku.casefold()] += 1
        return sum(times for times in folded.values() if times > 1)


def build_shop(lines: Iterable[Line], other_codes: Iterable[str] = ()) -> Shop:
    """Build the shop that sold *lines*.

    Args:
        lines: the sold lines, in the file's order.
        other_codes: codes of lines that were set aside; those nothing was sold of must not exist in the service.
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
        by_time = sorted(sales, key=lambda line: line.placed)  # stable: the file's order within a minute
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
