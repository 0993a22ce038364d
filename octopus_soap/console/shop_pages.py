"""The emulator's data: merchants, items, changes, orders, a form to place one."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from octopus_soap.console.security import form_of
from octopus_soap.console.site import back, money, page_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from octopus_soap.console.site import Site
    from octopus_soap.emulator import Emulator, StoredOrder

ROWS = 50
ORDERS = 200
LINES = 3
"""The number of lines in the form to place an order."""
BUSY_ORDERS, BUSY_CHANGES = 40, 25
_BUSY_STORES: tuple[tuple[str, ...], ...] = ((), ("S1",), ("S2",), ("S1", "S2"))
_FIRST_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Tim")
_CITIES = ("Springfield", "Riverside", "Fairview", "Salem", "Madison", "Georgetown")
STATES = {
    "submitted": "not returned to a caller yet",
    "listed": "returned to a caller, not confirmed",
    "split": "confirmed for some of its stores",
    "confirmed": "confirmed for every store",
}


def state_of(order: StoredOrder) -> str:
    """Return the state of an order, as a key of `STATES`."""
    if order.confirmed:
        return "confirmed"
    if any(order.stores.values()):
        return "split"
    return "listed" if order.listed else "submitted"


class ShopPages:
    """The pages `/merchants`, `/items` and `/orders`."""

    def __init__(self, emulator: Emulator, site: Site) -> None:
        self._emulator, self._site = emulator, site
        self._names = [merchant.name for merchant in emulator.merchants]

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/merchants", self._merchants),
            Route("/items", self._items),
            Route("/items/changed", self._mark_changed, methods=["POST"]),
            Route("/orders", self._orders),
            Route("/orders", self._place_order, methods=["POST"]),
            Route("/orders/busy-day", self._busy_day, methods=["POST"]),
        ]

    def _merchant(self, given: str | None) -> str:
        return given if given in self._names else self._names[0]

    def _merchants(self, request: Request) -> Response:
        rows = [(name, self._emulator.store.counts(merchant=name)) for name in self._names[:500]]
        return self._site.page(request, "merchants.html", rows=rows, more=len(self._names) - len(rows))

    # -- items -------------------------------------------------------------------------------------------------

    def _items(self, request: Request) -> Response:
        asked, store = request.query_params, self._emulator.store
        merchant, text, sku = self._merchant(asked.get("merchant")), asked.get("q", "").strip(), asked.get("sku")
        queue = store.change_queue(merchant=merchant)
        page = page_of(request)
        if asked.get("only") == "changed":
            chosen = [name for name in queue if text.lower() in name.lower()]
            found = {name: store.item(name, merchant=merchant) for name in chosen[(page - 1) * ROWS : page * ROWS]}
            count, items = len(chosen), {name: item or {"Sku": name} for name, item in found.items()}
        else:
            count, items = store.find_items(text, merchant=merchant, most=ROWS, skip=(page - 1) * ROWS)
        chosen_item = store.item(sku, merchant=merchant) if sku is not None else None
        return self._site.page(
            request,
            "items.html",
            merchant=merchant,
            merchants=self._names,
            q=text,
            only=asked.get("only", ""),
            items=items,
            total=count,
            page=page,
            pages=-(-count // ROWS) or 1,
            queue=queue,
            queued=frozenset(queue),
            sku=sku,
            item=chosen_item,
            members=_flat(chosen_item) if chosen_item else [],
        )

    def _mark_changed(self, request: Request) -> Response:
        form = form_of(request.scope)
        merchant, sku = self._merchant(form.get("merchant")), form.get("sku", "")
        if self._emulator.store.item(sku, merchant=merchant) is None:
            return self._site.refusal(404, f"{merchant} has no item {sku[:80]!r}.")
        self._emulator.store.mark_changed(sku, merchant=merchant)
        return back(request, "/items")

    # -- orders ------------------------------------------------------------------------------------------------

    def _orders(self, request: Request, problem: str = "") -> Response:
        asked = request.query_params
        merchant = self._merchant(form_of(request.scope).get("merchant") or asked.get("merchant"))
        wanted = asked.get("state", "")
        orders = list(self._emulator.store.orders(merchant=merchant, newest=ORDERS).values())[::-1]
        shown = [(order, state_of(order)) for order in orders]
        counts = {name: sum(state == name for _, state in shown) for name in STATES}
        number = asked.get("order", "")
        return self._site.page(
            request,
            "orders.html",
            status=400 if problem else 200,
            merchant=merchant,
            merchants=self._names,
            orders=[(order, state) for order, state in shown if wanted in {"", state}],
            states=STATES,
            counts=counts,
            wanted=wanted,
            most=ORDERS,
            chosen=next((order for order in orders if str(order.id) == number), None),
            flat=_flat,
            problem=problem,
            form=form_of(request.scope),
            line_numbers=range(1, LINES + 1),
            proposed=f"WEB-{len(orders) + 1:05d}",
            skus=list(self._emulator.store.find_items(merchant=merchant, most=ROWS)[1]),
        )

    def _place_order(self, request: Request) -> Response:
        form = form_of(request.scope)
        try:
            self._add(form)
        except ValueError as error:
            return self._orders(request, str(error))
        return back(request, "/orders")

    def _add(self, form: dict[str, str]) -> None:
        lines: list[dict[str, Any]] = []
        for number in range(1, LINES + 1):
            sku = form.get(f"sku{number}", "").strip()
            if not sku:
                continue
            quantity = form.get(f"quantity{number}", "1").strip() or "1"
            if not quantity.isascii() or not quantity.isdigit() or not 0 < int(quantity[:6]) <= 99_999:  # noqa: PLR2004 - one shop's order
                raise ValueError(f"Line {number}, {sku}: {quantity[:20]!r} is not a quantity from 1 to 99999.")
            lines.append({"sku": sku, "Quantity": int(quantity), "UnitPrice": _price(form, number, sku)})
        if not lines:
            raise ValueError("The order has no line: give at least one SKU.")
        total = sum((line["Quantity"] * line["UnitPrice"] for line in lines), Decimal(0))
        merchant = self._merchant(form.get("merchant"))
        given = form.get("order_id", "").strip()
        if given and any(order.given_id == given for order in self._emulator.store.orders(merchant=merchant).values()):
            raise ValueError(f"{merchant} has an order {given} already.")
        ship = {name: form[key].strip() for name, key in _SHIP.items() if form.get(key, "").strip()}
        self._emulator.store.add_order(
            merchant=merchant,
            stores=[store.strip() for store in form.get("stores", "").split(",") if store.strip()],
            OrderID=given or None,
            Ship=ship or None,
            orderItems=lines,
            SubTotal=total,
            Total=total,
        )

    def _busy_day(self, request: Request) -> Response:
        """Add the orders of a day, and changes of stock."""
        merchant = self._merchant(form_of(request.scope).get("merchant"))
        store = self._emulator.store
        if not store.counts(merchant=merchant)["items"]:
            store.seed(items=100, orders=0, merchant=merchant)
        items = store.find_items(merchant=merchant, most=2000)[1]
        known = [order.given_id or "" for order in store.orders(merchant=merchant).values()]
        day = 1 + max((int(text[4:7]) for text in known if text.startswith("DAY-") and text[4:7].isdigit()), default=0)
        rng = random.Random(f"{merchant} {day}")  # noqa: S311 - a repeatable shop, not secrets
        now = self._emulator.profile.clock()
        for number in range(BUSY_ORDERS, 0, -1):
            skus = rng.sample(list(items), min(len(items), rng.randrange(1, 4)))
            lines: list[dict[str, Any]] = [
                {"sku": sku, "Quantity": rng.randrange(1, 5), "UnitPrice": items[sku].get("Price") or Decimal(10)}
                for sku in skus
            ]
            total = sum((line["Quantity"] * line["UnitPrice"] for line in lines), Decimal(0))
            ship = {
                "FirstName": rng.choice(_FIRST_NAMES),
                "LastName": f"Number {number}",
                "City": rng.choice(_CITIES),
                "Country": "US",
            }
            store.add_order(
                merchant=merchant,
                stores=rng.choice(_BUSY_STORES),
                OrderID=f"DAY-{day:03d}-{BUSY_ORDERS - number + 1:03d}",
                OrderDate=now - timedelta(minutes=number * 24 * 60 / BUSY_ORDERS),
                Ship=ship,
                orderItems=lines,
                SubTotal=total,
                Total=total,
            )
        changed = [
            {**items[sku], "Stock": str(rng.randrange(0, 250))}
            for sku in rng.sample(list(items), min(len(items), BUSY_CHANGES))
        ]
        store.add_items(changed, merchant=merchant, changed=True)
        return back(request, "/orders")


_SHIP = {"FirstName": "first_name", "LastName": "last_name", "City": "city", "Country": "country"}


def _price(form: dict[str, str], number: int, sku: str) -> Decimal:
    text = form.get(f"price{number}", "").strip() or "1.00"
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal(-1)
    if not price.is_finite() or not 0 <= price < 10_000_000:  # noqa: PLR2004 - one shop's price
        raise ValueError(f"Line {number}, {sku}: {text[:20]!r} is not a price such as 12.50.")
    return price


def _flat(members: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return the members of a record as paths and texts."""
    made: list[tuple[str, str]] = []
    for name, value in members.items():
        path = f"{before}{name}"
        if isinstance(value, dict):
            made += _flat(value, f"{path}.")
        elif isinstance(value, list):
            for number, row in enumerate(value, 1):
                inner = {f"{path}[{number}]": row}
                made += _flat(row, f"{path}[{number}].") if isinstance(row, dict) else _flat(inner)
        else:
            made.append((path, f"{value:g}" if isinstance(value, float) else money(value)))
    return made
