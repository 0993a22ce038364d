"""Compare the service's final state with the input, by item, order and call.

The state is compared twice: as the public client reads it, and as the emulator stores it and logged its calls. A
mistake that the client makes in both directions shows in the second.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from octopus_soap.models import WireModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from octopus_soap.demo.retail import Shop
    from octopus_soap.emulator import CallRecord, LintNote, Store, StoredOrder
    from octopus_soap.models import InventoryItem, OrderResponseItem, OrderSubmit

_DONE = frozenset({200, 202})  # 202: what a one-way operation answers


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between what was expected and what was found.

    Attributes:
        where: what is compared, such as `item read back`.
        key: SKU, invoice or operation.
        field: the field; empty if the whole thing is missing, extra or doubled.
    """

    where: str
    key: str
    field: str
    wanted: object
    found: object

    def __str__(self) -> str:
        field = f" {self.field}" if self.field else ""
        return f"{self.where} {self.key!r}{field}: {self.wanted!r} expected, {self.found!r} found"


def compare_items(
    where: str, wanted: Mapping[str, InventoryItem], found: Iterable[InventoryItem]
) -> Iterator[Difference]:
    """Yield the differences between the items wanted and those found."""
    by_sku = Counter(item.sku or "" for item in found)
    yield from _compare_keys(where, wanted, by_sku)
    for item in found:
        if item.sku is not None and item.sku in wanted:
            yield from compare_fields(where, item.sku, wanted[item.sku], item)


def compare_orders(
    where: str, wanted: Mapping[str, OrderSubmit], ids: Mapping[str, str], found: Iterable[OrderResponseItem]
) -> Iterator[Difference]:
    """Yield the differences between submitted orders, by invoice, and downloaded ones.

    *ids* has the id that the service gave each invoice.
    """
    invoices = {number: invoice for invoice, number in ids.items()}
    by_invoice = [(invoices.get(order.id, f"id {order.id}"), order) for order in found]
    yield from _compare_keys(where, wanted, Counter(invoice for invoice, _ in by_invoice))
    for invoice, order in by_invoice:
        if invoice in wanted:
            # The service replaces our id with its own, and keeps ours as a reference.
            yield from compare_fields(where, invoice, wanted[invoice].without("order_id"), order)
            if order.reference != invoice:
                yield Difference(where, invoice, "reference", invoice, order.reference)


def _compare_keys(where: str, wanted: Iterable[str], found: Counter[str]) -> Iterator[Difference]:
    expected = set(wanted)
    for key in sorted(expected - found.keys()):
        yield Difference(where, key, "", "once", "missing")
    for key, times in sorted(found.items()):
        if key not in expected:
            yield Difference(where, key, "", "nothing", "extra")
        elif times > 1:
            yield Difference(where, key, "", "once", f"{times} times")


def compare_fields(where: str, key: str, wanted: WireModel, found: WireModel, path: str = "") -> Iterator[Difference]:
    """Yield the differences in the fields that *wanted* sets."""
    for name in sorted(wanted.model_fields_set):
        yield from _compare_values(where, key, f"{path}{name}", getattr(wanted, name), getattr(found, name, None))


def _compare_values(where: str, key: str, path: str, wanted: Any, found: Any) -> Iterator[Difference]:
    if isinstance(wanted, WireModel) and isinstance(found, WireModel):
        yield from compare_fields(where, key, wanted, found, f"{path}.")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for position, pair in enumerate(zip(wanted, found, strict=True)):
            yield from _compare_values(where, key, f"{path}[{position}]", *pair)
    elif wanted != found:
        yield Difference(where, key, path, wanted, found)


def compare_store(shop: Shop, ids: Mapping[str, str], store: Store, *, zeros: bool = False) -> Iterator[Difference]:
    """Yield the differences between the input and the data that the emulator stores.

    *ids* has the id that the service gave each invoice. With *zeros*, the service stores 0, false and the year 1 for
    members of an item that were left out.
    """
    where = "item in the store"
    items = store.items()
    yield from _compare_keys(where, shop.final, Counter(items.keys()))
    for sku in shop.final.keys() & items.keys():
        item = shop.final[sku]
        wanted = {"Sku": sku, "Description": item.description, "Price": item.price, "Stock": item.stock}
        found = {name: value for name, value in items[sku].items() if name in wanted or not (zeros and _is_zero(value))}
        yield from _compare_values(where, sku, "members", wanted, found)
    if queue := store.change_queue():
        yield Difference("change list in the store", queue[0], "", "nothing", f"{len(queue)} entries")
    where = "order in the store"
    orders = store.orders()
    yield from _compare_keys(where, shop.orders, Counter(order.given_id or "" for order in orders.values()))
    for number, order in orders.items():
        invoice = order.given_id or ""
        if invoice in shop.orders:
            yield from _compare_stored(where, shop.orders[invoice], order)
            if ids.get(invoice) != str(number):
                yield Difference(where, invoice, "idorder", ids.get(invoice), str(number))


def _is_zero(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_zero, value.values()))
    return value.year == 1 if isinstance(value, datetime) else value == 0  # False too


def _compare_stored(where: str, wanted: OrderSubmit, found: StoredOrder) -> Iterator[Difference]:
    key = wanted.order_id or ""
    if not found.confirmed:
        yield Difference(where, key, "confirmed", wanted=True, found=False)
    if found.third_party != key:
        yield Difference(where, key, "third_party", key, found.third_party)
    if found.placed != wanted.order_date:
        yield Difference(where, key, "placed", wanted.order_date, found.placed)
    lines = [(i.sku, i.quantity, i.unit_price, i.description) for i in wanted.order_items or []]
    names = ("sku", "Quantity", "UnitPrice", "Description")
    kept = [tuple(line.get(name) for name in names) for line in found.members.get("orderItems", [])]
    yield from _compare_values(where, key, "lines", lines, kept)


@dataclass(frozen=True, slots=True)
class Expected:
    """The calls that an operation should need.

    Attributes:
        items: items in all of them.
        limit: most items in one call; 0 for operations on one thing.
        calls: how many; None if it follows from full batches.
        exact: False if the number of calls is unknown, so that only `items` and `limit` are compared.
    """

    items: int
    limit: int = 0
    calls: int | None = None
    exact: bool = True

    @property
    def wanted_calls(self) -> int:
        """The smallest number of calls that is enough."""
        if self.calls is not None:
            return self.calls
        return -(-self.items // self.limit) if self.limit else self.items


def compare_calls(
    expected: Mapping[str, Expected], calls: Iterable[CallRecord], lint: Iterable[LintNote]
) -> Iterator[Difference]:
    """Yield the differences between the calls needed and those the service logged."""
    logged: dict[str, list[CallRecord]] = {}
    for call in calls:
        logged.setdefault(call.operation, []).append(call)
    where = "calls of"
    for operation in sorted(logged.keys() - expected.keys()):
        yield Difference(where, operation, "", 0, len(logged[operation]))
    for operation, plan in expected.items():
        made = logged.get(operation, [])
        if plan.exact and len(made) != plan.wanted_calls:
            yield Difference(where, operation, "", plan.wanted_calls, len(made))
        if (items := sum(call.items for call in made)) != plan.items:
            yield Difference(where, operation, "items", plan.items, items)
        if plan.limit and (largest := max((call.items for call in made), default=0)) > plan.limit:
            yield Difference(where, operation, "largest batch", plan.limit, largest)
        if bad := [call for call in made if call.status not in _DONE or not call.executed]:
            yield Difference(where, operation, "not carried out", 0, len(bad))
    for note in lint:
        yield Difference("request of", note.operation, note.path, "well formed", f"{note.what}: {note.detail}")
