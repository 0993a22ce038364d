"""Direct access to the service's state for tests: seed it before, read it after.

Values are Python's here: ``Decimal``, ``int``, ``bool``, aware ``datetime``. Members have their wire names. Input is
checked against the contract in force, so a misspelled member or an impossible value is an error at once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .contract import ListOf, Record, Scalar
from .scalars import LexicalError, canonical_date, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .contract import Contract, Wire, WireRecord, WireType
    from .profile import Profile
    from .state import State

_SEED_DAYS = 30
_SEED_WORDS = ("Lantern", "Mug", "Clock", "Basket", "Candle", "Notebook", "Tray", "Frame", "Lamp", "Cushion")
_SEED_STORES = ("S1", "S2")
_SEED_COLOURS = ("blue", "red", "green", "white", "black", "oak")
_SEED_COSTS = (0.35, 0.4, 0.5, 0.5, 0.55, 0.6, 0.6, 0.65, 0.7, 0.7, 0.75, 0.8, 0.9, 0.95, 1.04)
_SEED_FIRST = ("Ada", "Ben", "Chen", "Dara", "Eva", "Finn", "Grace", "Hugo", "Iris", "Jamal")
_SEED_LAST = ("Okafor", "Smith", "Rossi", "Nguyen", "Keller", "Silva", "Novak", "Haddad")
_SEED_CITIES = ("Springfield", "Portland", "Austin", "Madison", "Denver")


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as the service stores it.

    Args:
        id: The service's id, ``idorder`` of SubmitOrder and ``OrderID`` of GetOrderList.
        given_id: The caller's own ``OrderID`` in SubmitOrder.
        members: The values submitted, by wire name.
        placed: The time that the date filters use.
        payment_status: Such as ``Cleared``.
        shipping_status: Such as ``Shipped``.
        stores: Store ids ("" for an order of no store) and whether the order was confirmed there.
        third_party: The ``ThirdPartyOrderNumber`` of the last confirmation.
        listed: Whether a caller received it since the emulator started.
    """

    id: int
    given_id: str | None
    members: dict[str, Any] = field(repr=False)
    placed: datetime = field(repr=False)
    payment_status: str
    shipping_status: str
    stores: dict[str, bool]
    third_party: str | None
    listed: bool = False

    @property
    def confirmed(self) -> bool:
        """True if every store has confirmed it."""
        return all(self.stores.values())


class Store:
    """The state of every merchant; ``merchant=None`` means the first."""

    def __init__(self, state: State, contract: Contract, profile: Profile, merchants: Sequence[str]) -> None:
        self._state = state
        self._contract = contract
        self._profile = profile
        self._merchants = tuple(merchants)

    def use(self, contract: Contract, profile: Profile) -> None:
        """Read and write by another contract and profile."""
        self._contract, self._profile = contract, profile

    def __repr__(self) -> str:
        """Show the merchants' names."""
        return f"<Store merchants={list(self._merchants)}>"

    def _merchant(self, name: str | None) -> str:
        chosen = name if name is not None else self._merchants[0]
        if chosen not in self._merchants:
            raise KeyError(f"no merchant named {chosen!r}; there are {', '.join(self._merchants)}")
        return chosen

    # Items

    def add_item(self, sku: str, *, merchant: str | None = None, changed: bool = False, **members: Any) -> None:
        """Add or replace an item.

        Args:
            sku: Its SKU.
            merchant: Whose item.
            changed: Whether to put it on the change queue too.
            **members: Members by wire name, as ``Price=Decimal("1.50")``, ``Stock=3``.

        Raises:
            ValueError: A member does not exist in the contract, or has an impossible value.
        """
        self.add_items([{"Sku": sku, **members}], merchant=merchant, changed=changed)

    def add_items(
        self, items: Iterable[Mapping[str, Any]], *, merchant: str | None = None, changed: bool = False
    ) -> None:
        """Add or replace many items at once, each a mapping with ``Sku``."""
        chosen = self._merchant(merchant)
        record = self._contract.record("InventoryItem")
        bodies = {str(item["Sku"]): to_wire(item, record) for item in items}
        with self._state.transaction():
            self._state.save_items(chosen, bodies)
            if changed:
                self._state.mark_changed(chosen, list(bodies))

    def item(self, sku: str, *, merchant: str | None = None) -> dict[str, Any] | None:
        """Return an item's members that have a value, or None if there is no such item."""
        with self._state.transaction():
            found = self._state.items(self._merchant(merchant), [sku]).get(sku)
        return None if found is None else from_wire(found, self._contract.record("InventoryItem"))

    def items(self, *, merchant: str | None = None) -> dict[str, dict[str, Any]]:
        """Return all items by SKU, in the order they were first added."""
        record = self._contract.record("InventoryItem")
        with self._state.transaction():
            found = self._state.all_items(self._merchant(merchant))
        return {sku: from_wire(body, record) for sku, body in found.items()}

    def find_items(
        self, text: str = "", *, merchant: str | None = None, most: int = 50, skip: int = 0
    ) -> tuple[int, dict[str, dict[str, Any]]]:
        """Return the number of items with *text*, and some of them by SKU.

        Args:
            text: A part of the SKU or description, in any case; empty: every item.
            merchant: Whose items.
            most: How many to return.
            skip: How many to leave out first.
        """
        record = self._contract.record("InventoryItem")
        with self._state.transaction():
            count, found = self._state.find_items(self._merchant(merchant), text, most, skip)
        return count, {sku: from_wire(body, record) for sku, body in found.items()}

    def counts(self, *, merchant: str | None = None) -> dict[str, int]:
        """Return the numbers of items, changes, orders, and orders not fully confirmed."""
        with self._state.transaction():
            return self._state.counts(self._merchant(merchant))

    def remove_item(self, sku: str, *, merchant: str | None = None) -> bool:
        """Delete an item; return whether it was there."""
        with self._state.transaction():
            return self._state.delete_item(self._merchant(merchant), sku)

    def change_queue(self, *, merchant: str | None = None) -> list[str]:
        """Return the SKUs that GetItemTblList would return, oldest change first."""
        with self._state.transaction():
            return self._state.changes(self._merchant(merchant))

    def mark_changed(self, *skus: str, merchant: str | None = None) -> None:
        """Put items on the change queue, as a change made in the shop would."""
        with self._state.transaction():
            self._state.mark_changed(self._merchant(merchant), skus)

    # Orders

    def add_order(
        self,
        *,
        merchant: str | None = None,
        stores: Sequence[str] = (),
        payment_status: str | None = None,
        shipping_status: str | None = None,
        **members: Any,
    ) -> int:
        """Add an order as a marketplace would, and return its id.

        Args:
            merchant: Whose order.
            stores: The stores it belongs to; more than one makes it a split order.
            payment_status: The status for PaymentStatusFilter; None: the profile's for a new order.
            shipping_status: The status for ShippingStatusFilter; None: the profile's for a new order.
            **members: Members of OrderSubmit by wire name; the date filters use ``OrderDate``, by default now.

        Raises:
            ValueError: A member does not exist in the contract, or has an impossible value.
        """
        body = to_wire(members, self._contract.record("OrderSubmit"))
        placed, given = body.get("OrderDate"), body.get("OrderID")
        with self._state.transaction():
            return self._state.add_order(
                self._merchant(merchant),
                given_id=given if isinstance(given, str) else None,
                placed=placed if isinstance(placed, str) else canonical_date(text_of(self._profile.clock())),
                payment=payment_status if payment_status is not None else self._profile.new_payment,
                shipping=shipping_status if shipping_status is not None else self._profile.new_shipping,
                stores=stores,
                body=body,
            )

    def orders(self, *, merchant: str | None = None, newest: int | None = None) -> dict[int, StoredOrder]:
        """Return every order by id, also confirmed ones, oldest first.

        Args:
            merchant: Whose orders.
            newest: How many of the orders placed last; None: all.
        """
        record = self._contract.record("OrderSubmit")
        with self._state.transaction():
            rows = self._state.all_orders(self._merchant(merchant), newest)
        made: dict[int, StoredOrder] = {}
        for row in rows:
            members = from_wire(row.body, record)
            made[row.id] = StoredOrder(
                id=row.id,
                given_id=members.get("OrderID"),
                members=members,
                placed=datetime.fromisoformat(row.placed[:26]).replace(tzinfo=UTC),
                payment_status=row.payment,
                shipping_status=row.shipping,
                stores=row.stores,
                third_party=row.third_party,
                listed=row.id in self._state.listed,
            )
        return made

    def mappings(self, *, merchant: str | None = None) -> list[dict[str, Any]]:
        """Return the custom field mappings in the order they were made."""
        record = self._contract.record("CustomFieldMapping")
        with self._state.transaction():
            return [from_wire(body, record) for body in self._state.mappings(self._merchant(merchant))]

    # All of it

    def seed(self, *, items: int = 100, orders: int = 10, merchant: str | None = None, seed: int = 0) -> None:
        """Fill the shop with made-up items (``DEMO-0001``, ...) and orders.

        The same seed gives the same shop. Items have margins of 5 to 65 percent, a few are sold below cost, one in
        twelve is out of stock. Orders are of the 30 days before now (the profile's clock), with more of them lately,
        repeated customers, and all statuses and stores.
        """
        rng = random.Random(seed)  # noqa: S311 - a repeatable shop, not secrets
        skus = [f"DEMO-{number:04d}" for number in range(1, items + 1)]
        rows = [_seed_item(sku, rng) for sku in skus]
        now = self._profile.clock().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        with self._state.transaction():
            self.add_items(rows, merchant=merchant)
            ages = sorted((_SEED_DAYS * 24 * rng.random() ** 1.6 for _ in range(orders if skus else 0)), reverse=True)
            people = [_seed_customer(number, rng) for number in range(max(1, orders * 2 // 5))]
            for number, hours in enumerate(ages):
                made = _seed_order(number, rows, rng.choice(people), now - timedelta(minutes=round(60 * hours)), rng)
                self.add_order(merchant=merchant, **made, **_seed_status(hours, rng))

    def clear(self) -> None:
        """Delete every merchant's state."""
        self._state.clear()


def _seed_item(sku: str, rng: random.Random) -> dict[str, Any]:
    cents = rng.randrange(100, 9900)
    word, colour = rng.choice(_SEED_WORDS), rng.choice(_SEED_COLOURS)
    stock = rng.randrange(0, 250)
    share = rng.choice(_SEED_COSTS) * rng.uniform(0.96, 1.04)
    if rng.random() < 1 / 12:
        stock = 0
    here = stock * rng.randrange(0, 101) // 100
    return {
        "Sku": sku,
        "Description": f"{word}, {colour}, no. {sku[-4:]}",
        "Category": f"{word}s",
        "Price": Decimal(cents) / 100,
        "Cost": Decimal(int(cents * share)) / 100,
        "MSRP": Decimal(cents * rng.choice((100, 100, 110, 125)) // 100) / 100,
        "UPC": f"0{rng.randrange(10**10, 10**11)}",
        "SupplierCode": f"SUP-{rng.randrange(1, 6)}",
        "Stock": str(stock),
        "StoreStockInfoList": [
            {"StoreID": store, "StoreStock": many}
            for store, many in zip(_SEED_STORES, (here, stock - here), strict=True)
        ],
    }


def _seed_customer(number: int, rng: random.Random) -> dict[str, Any]:
    first, last, city = rng.choice(_SEED_FIRST), rng.choice(_SEED_LAST), rng.choice(_SEED_CITIES)
    return {
        "FirstName": first,
        "LastName": last,
        "Address1": f"{rng.randrange(1, 200)} Main Street",
        "City": city,
        "Country": "US",
        "Email": f"{first}.{last}{number}@example.com".casefold(),
        "CustomerId": f"C{number + 1:04d}",
    }


def _seed_order(
    number: int, items: Sequence[Mapping[str, Any]], who: dict[str, Any], placed: datetime, rng: random.Random
) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [
        {"sku": item["Sku"], "Quantity": rng.choice((1, 1, 1, 2, 2, 3, 5)), "UnitPrice": item["Price"]}
        for item in rng.sample(items, min(len(items), rng.randrange(1, 4)))
    ]
    sub_total = sum((line["Quantity"] * line["UnitPrice"] for line in lines), Decimal(0))
    shipping = Decimal(0) if sub_total > 100 else Decimal("4.90")  # noqa: PLR2004 - free above it
    return {
        "OrderID": f"WEB-{number + 1:05d}",
        "OrderDate": placed,
        "Ship": who,
        "Bill": who,
        "orderItems": lines,
        "SubTotal": sub_total,
        "ShippingTotal": shipping,
        "Total": sub_total + shipping,
        "stores": rng.choice([(), ("S1",), ("S1",), ("S2",), _SEED_STORES]),
    }


def _seed_status(hours: float, rng: random.Random) -> dict[str, str]:
    """Return the statuses of an order of that age in hours."""
    payment = rng.choices(("Cleared", "Deposited", "Submitted", "Failed", "NotSubmitted"), (70, 10, 10, 5, 5))[0]
    if payment in {"Failed", "NotSubmitted"}:
        return {"payment_status": payment, "shipping_status": "Unshipped"}
    young = ("Unshipped", "Unshipped", "PendingShipment")
    shipping = rng.choice(young if hours < 48 else ("Shipped", "Shipped", "Shipped", "PartiallyShipped"))  # noqa: PLR2004 - two days
    return {"payment_status": payment, "shipping_status": shipping}


def to_wire(members: Mapping[str, Any], record: Record) -> WireRecord:
    """Return a record of Python values as wire texts, checked against the contract.

    Raises:
        ValueError: A member does not exist, or has an impossible value.
    """
    made: WireRecord = {}
    for name, value in members.items():
        member = record.member(name)
        if member is None:
            raise ValueError(f"{record.name} has no member {name}")
        try:
            made[name] = _wire_value(value, member.type)
        except (LexicalError, TypeError, AttributeError) as error:
            raise ValueError(f"{record.name}.{name} = {value!r}: {error}") from None
    return made


def _wire_value(value: Any, declared: WireType) -> Wire:
    if value is None:
        return None
    if isinstance(declared, ListOf):
        return [_wire_value(row, declared.item.type) for row in value]
    if isinstance(declared, Record):
        return to_wire(value, declared)
    text = text_of(value)
    if declared.values and text not in declared.values:
        raise LexicalError(f"{text!r} is not one of {', '.join(declared.values)}")
    return declared.kind.canonical(text)


def from_wire(body: WireRecord, record: Record) -> dict[str, Any]:
    """Return a record of wire texts in Python values; unknown members stay texts."""
    types = {member.name: member.type for member in record.members}
    return {name: _python_value(value, types.get(name)) for name, value in body.items() if value is not None}


def _python_value(value: Wire, declared: WireType | None) -> Any:
    if isinstance(value, list):
        inner = declared.item.type if isinstance(declared, ListOf) else None
        return [_python_value(row, inner) for row in value]
    if isinstance(value, dict):
        return from_wire(value, declared) if isinstance(declared, Record) else value
    if isinstance(value, str) and isinstance(declared, Scalar) and not declared.values:
        return declared.kind.python(value)
    return value
