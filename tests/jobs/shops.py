"""Shared parts of the tests of orders and changes: a clock, a shop, orders."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from octopus_soap.emulator.faults import InjectedFault
from octopus_soap.jobs.tables import ORDERS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from octopus_soap.emulator import Emulator
    from octopus_soap.jobs import Ledger, OrderDelivery
    from octopus_soap.models import OrderResponseItem

START = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)


class Clock:
    """A ledger's clock, moved by the test."""

    def __init__(self, now: datetime = START + timedelta(days=1)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


def sell(service: Emulator, number: int, *, at: datetime | None = None, **given: Any) -> str:
    """Put an order into the service as a marketplace would; return its id."""
    lines = [{"sku": f"SKU-{number % 7}", "Quantity": 1 + number % 3, "UnitPrice": Decimal("2.50")}]
    members = {"OrderID": f"WEB-{number}", "orderItems": lines, "Total": Decimal("2.50"), **given}
    placed = at if at is not None else START + timedelta(minutes=number)
    return str(service.store.add_order(OrderDate=placed, **members))


def confirmed(service: Emulator) -> set[str]:
    """Return the ids of the orders that every store has confirmed."""
    return {str(number) for number, order in service.store.orders().items() if order.confirmed}


def states(ledger: Ledger) -> dict[str, str]:
    """Return the state of every order in the ledger."""
    with ledger.reading() as connection:
        return {row.key: row.state for row in connection.execute(select(ORDERS.c.key, ORDERS.c.state))}


def open_books(ledger: Ledger) -> None:
    """Create the shop's table, without a key, so that a second booking shows."""
    with ledger.transaction() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS bookings (order_id TEXT NOT NULL, total TEXT)"))


def book(order: OrderResponseItem, delivery: OrderDelivery) -> str:
    """Book the order in the ledger's transaction, as a transactional handler."""
    assert delivery.connection is not None
    insert = text("INSERT INTO bookings VALUES (:order_id, :total)")
    delivery.connection.execute(insert, {"order_id": order.id, "total": str(order.total)})
    return f"POS-{order.id}"


def bookings(ledger: Ledger) -> list[str]:
    """Return the ids of the booked orders, as often as they were booked."""
    with ledger.reading() as connection:
        return sorted(_booked(connection))


def _booked(connection: Connection) -> list[str]:
    return [order_id for (order_id,) in connection.execute(text("SELECT order_id FROM bookings"))]


@dataclass(frozen=True)
class Garbled(InjectedFault):
    """Makes an amount in a row unreadable, or replaces another member's text."""

    key: str = ""
    row: bytes = b"<a:OrderResponseItem>"
    member: bytes = b"Total"
    text: bytes = b"not a number"

    def apply(self, exchange: Any, reply: Any, plan: Any) -> Any:
        """Change the row with the key."""
        del exchange, plan
        rows = reply.body.split(self.row)
        member, changed = re.compile(rb"(<\w+:%s>)[^<]*<" % self.member), rb"\g<1>%b<" % self.text
        marked = [member.sub(changed, row) if f">{self.key}</".encode() in row else row for row in rows]
        return replace(reply, body=self.row.join(marked))


@dataclass(frozen=True)
class BreaksOff(InjectedFault):
    """Sends at most so many bytes of a reply."""

    most: int = 0

    def apply(self, exchange: Any, reply: Any, plan: Any) -> Any:
        """Cut a longer reply."""
        del exchange
        plan.announced = len(reply.body)
        return replace(reply, body=reply.body[: self.most])


@dataclass(frozen=True)
class LeavesOut(InjectedFault):
    """Lists at most so many orders, or items."""

    most: int = 0
    row: bytes = b"OrderResponseItem"

    def apply(self, exchange: Any, reply: Any, plan: Any) -> Any:
        """Remove the others from the reply."""
        del exchange, plan
        rows = re.findall(rb"<a:%s>.*?</a:%s>" % (self.row, self.row), reply.body, re.DOTALL)
        body = reply.body
        for row in rows[self.most :]:
            body = body.replace(row, b"", 1)
        return replace(reply, body=body)
