"""Tables for an analyst: low stock, margin, and orders by day, store or customer.

Each function takes the result of a call or a list of models and returns a DataFrame. Amounts are added as decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from octopus_soap.models.inventory import InventoryItem
from octopus_soap.models.orders import OrderResponseItem
from octopus_soap.tables.export import Backend, Decimals, frame, with_amounts
from octopus_soap.tables.table import Kind, Table, check_choice, no_table

if TYPE_CHECKING:
    from datetime import tzinfo

    from octopus_soap.results import BatchResult

_CENT, _TENTH = Decimal("0.01"), Decimal("0.1")
_EXACT = Context(prec=100)  # more digits than two amounts of the service have
OrderGroup = Literal["day", "store", "customer", "status", "shipping", "sku"]


def low_stock(
    items: BatchResult[InventoryItem] | Iterable[InventoryItem],
    at_most: float = 5,
    *,
    by_store: bool = True,
    backend: Backend = "pandas",
) -> Any:
    """Return the items with at most *at_most* pieces, the fewest first.

    Args:
        items: items of `get_item_list`.
        at_most: pieces; 0 for items that are out of stock.
        by_store: a row for each store with low stock, and the item's own stock if it has no store stock; False for the
            item's own stock alone.
        backend: `pandas` or `polars`, an extra each.

    Returns:
        Columns `sku`, `description`, `store_id` (empty for the item's own stock) and `stock`. An item whose stock is
        unknown, or a text that is no number, is not listed.

    Raises:
        ConfigError: the library is not installed.
        InvalidInputError: these are no items.
    """
    rows: list[tuple[str | None, str | None, str | None, float]] = []
    for item in _models(items, InventoryItem):
        stores = [(s.store_id, s.store_stock) for s in item.stores if s.store_stock is not None] if by_store else []
        for store, stock in stores or [(None, _stock(item))]:
            if stock is not None and stock <= at_most:
                rows.append((item.sku, item.description, store, float(stock)))
    rows.sort(key=lambda row: (row[3], row[0] or "", row[2] or ""))
    kinds = {"sku": Kind.TEXT, "description": Kind.TEXT, "store_id": Kind.TEXT, "stock": Kind.REAL}
    return _frame(kinds, rows, backend, "decimal")


def out_of_stock(
    items: BatchResult[InventoryItem] | Iterable[InventoryItem], *, by_store: bool = True, backend: Backend = "pandas"
) -> Any:
    """Return the items that are sold out, by store: `low_stock` of 0 pieces.

    Args:
        items: items of `get_item_list`.
        by_store: a row for each store that has none; False for the item's own stock alone.
        backend: `pandas` or `polars`, an extra each.

    Raises:
        ConfigError: the library is not installed.
        InvalidInputError: these are no items.
    """
    return low_stock(items, 0, by_store=by_store, backend=backend)


def margin(
    items: BatchResult[InventoryItem] | Iterable[InventoryItem],
    *,
    decimals: Decimals = "decimal",
    backend: Backend = "pandas",
) -> Any:
    """Return the margin of each item, price minus cost, the lowest percentage first.

    Args:
        items: items of `get_item_list`.
        decimals: amounts as `decimal`, `float` or `text`.
        backend: `pandas` or `polars`, an extra each.

    Returns:
        Columns `sku`, `description`, `price`, `cost`, `margin` and `margin_percent` (of the price, one decimal place).
        Items without price or cost come last, without a margin. A price of 0 or less has no percentage and comes first.

    Raises:
        ConfigError: the library is not installed.
        InvalidInputError: these are no items, or an option is not known.
    """
    rows: list[tuple[Any, ...]] = []
    for item in _models(items, InventoryItem):
        price, cost = _money(item.price), _money(item.cost)
        earned = None if price is None or cost is None else price - cost
        rows.append((item.sku, item.description, price, cost, earned, _percent(earned, price)))
    rows.sort(key=lambda row: (row[4] is None, row[5] is not None, row[5] or 0, row[0] or ""))
    amounts = dict.fromkeys(("price", "cost", "margin", "margin_percent"), Kind.AMOUNT)
    return _frame({"sku": Kind.TEXT, "description": Kind.TEXT, **amounts}, rows, backend, decimals)


@dataclass(slots=True)
class _Group:
    """Totals of the orders of one group."""

    orders: int = 0
    pieces: int = 0
    revenue: Decimal | None = None
    first: datetime | None = None
    last: datetime | None = None

    def add(self, placed: datetime | None, pieces: int, total: Decimal | None) -> None:
        self.orders += 1
        self.pieces += pieces
        if total is not None:
            self.revenue = total if self.revenue is None else self.revenue + total
        if placed is not None:
            self.first = placed if self.first is None else min(self.first, placed)
            self.last = placed if self.last is None else max(self.last, placed)


def orders_by(
    orders: BatchResult[OrderResponseItem] | Iterable[OrderResponseItem],
    *by: OrderGroup,
    timezone: str = "UTC",
    decimals: Decimals = "decimal",
    backend: Backend = "pandas",
) -> Any:
    """Return orders, pieces and revenue by day, by store, or by other groups.

    Args:
        orders: downloaded orders.
        by: `day`, `store`, `customer` (its id, or its e-mail address, or its name), `status` (of the payment),
            `shipping` or `sku` (then pieces and revenue are those of the lines), or several of these; `day` by default.
        timezone: the time zone of the days, such as `Europe/Zurich`.
        decimals: amounts as `decimal`, `float` or `text`.
        backend: `pandas` or `polars`, an extra each.

    Returns:
        The columns of *by*, then `orders`, `pieces`, `revenue` (empty if no order has a total), `average`, `first` and
        `last` (when the first and the last order was placed). Sorted by day, or by revenue with the most first.

    Raises:
        ConfigError: the library is not installed.
        InvalidInputError: these are no orders, or an option is not known.
    """
    for name in by:
        check_choice(name, OrderGroup, "by")
    chosen: tuple[OrderGroup, ...] = tuple(dict.fromkeys(by)) or ("day",)
    zone = _zone(timezone)
    groups: dict[tuple[str, ...], _Group] = {}
    for order in _models(orders, OrderResponseItem):
        for sku, pieces, total in _parts(order, split="sku" in chosen):
            key = tuple(sku if name == "sku" else _KEYS[name](order, zone) for name in chosen)
            groups.setdefault(key, _Group()).add(order.placed, pieces, total)
    at = chosen.index("day") if "day" in chosen else None
    ordered = sorted(groups.items(), key=lambda g: (g[0][at] if at is not None else "", -(g[1].revenue or 0), g[0]))
    rows = [(*key, g.orders, g.pieces, _money(g.revenue), _average(g), g.first, g.last) for key, g in ordered]
    kinds = dict.fromkeys(chosen, Kind.TEXT) | {"orders": Kind.INTEGER, "pieces": Kind.INTEGER}
    kinds |= {"revenue": Kind.AMOUNT, "average": Kind.AMOUNT, "first": Kind.MOMENT, "last": Kind.MOMENT}
    return _frame(kinds, rows, backend, decimals)


def _parts(order: OrderResponseItem, *, split: bool) -> list[tuple[str, int, Decimal | None]]:
    lines = order.lines
    if not split:
        return [("", sum(line.quantity or 0 for line in lines), order.total)]
    found: dict[str, tuple[int, Decimal | None]] = {}
    for line in lines:
        sku, pieces = line.sku or "", line.quantity or 0
        many, total = found.get(sku, (0, None))
        if line.unit_price is not None:
            total = (total or Decimal(0)) + pieces * line.unit_price
        found[sku] = (many + pieces, total)
    return [(sku, pieces, total) for sku, (pieces, total) in found.items()]


def _money(amount: Decimal | None) -> Decimal | None:
    """Return the amount with two places, if that is exact: 19.9000 is 19.90."""
    if amount is None or amount != (short := amount.quantize(_CENT, context=_EXACT)):
        return amount
    return short


def _percent(earned: Decimal | None, price: Decimal | None) -> Decimal | None:
    """Return what is earned in percent of the price; None if that has no meaning."""
    if earned is None or price is None or price <= 0:
        return None
    return (100 * earned / price).quantize(_TENTH, context=_EXACT)


def _average(group: _Group) -> Decimal | None:
    return None if group.revenue is None else (group.revenue / group.orders).quantize(_CENT, context=_EXACT)


def _day(order: OrderResponseItem, zone: tzinfo) -> str:
    return "" if order.placed is None else order.placed.astimezone(zone).date().isoformat()


def _customer(order: OrderResponseItem, _: tzinfo) -> str:
    people = [person for person in (order.bill, order.ship) if person is not None]
    ids = [person.customer_id for person in people]
    mails = [order.buyer_email_address, *(person.email for person in people)]
    names = [" ".join(filter(None, (person.first_name, person.last_name))) for person in people]
    return next(filter(None, [*ids, *(mail and mail.casefold() for mail in mails), *names]), "")


_KEYS: dict[str, Callable[[OrderResponseItem, tzinfo], str]] = {
    "day": _day,
    "store": lambda order, _: order.store_id or "",
    "customer": _customer,
    "status": lambda order, _: order.payment or "",
    "shipping": lambda order, _: order.delivery or "",
}


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        message = "no time zone of this name; write it as Europe/Zurich"
        raise no_table(message, field="timezone", value=repr(name)[:60]) from None


def _stock(item: InventoryItem) -> float | None:
    try:
        found = item.stock_quantity
    except ValueError:
        return None
    return None if found is None else float(found)


def _models(source: Any, model: type[Any]) -> list[Any]:
    values = list(source) if isinstance(source, Iterable) and not hasattr(source, "dtypes") else [source]
    strange = next((value for value in values if not isinstance(value, model)), None)
    if strange is not None:
        kind = type(strange).__name__
        raise no_table(f"expected {model.__name__} objects, as a call returns them, not {kind}")
    return values


def _frame(kinds: dict[Any, Kind], rows: list[tuple[Any, ...]], backend: Backend, decimals: Decimals) -> Any:
    check_choice(decimals, Decimals, "decimals")
    table = Table({}, {})
    for position, (name, kind) in enumerate(kinds.items()):
        table.add(name, kind, [row[position] for row in rows])
    return frame(with_amounts(table, decimals), backend)
