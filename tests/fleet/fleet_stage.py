"""An emulator with many merchants, and a fleet of them."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet

from octopus_soap.emulator import Emulator, Merchant
from octopus_soap.fleet import Fleet
from octopus_soap.fleet.engines import LocalEngine
from octopus_soap.fleet.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-token-"
SLOTS = {"orders": 4, "push": 4, "changes": 2, "slow": 2}


FUNCTIONS = """
def stock(merchant):
    return [{"sku": f"SKU-{index}", "stock": 7} for index in range(3)]

def orders(merchant, order, delivery):
    with open("journal", "a") as file:
        file.write(f"{merchant.name} {delivery.key} {delivery.redelivered}\\n")
"""
"""The user's module: a stock of 7, and a file `journal` with the orders."""


def names(number: int) -> list[str]:
    return [f"shop-{index:03}" for index in range(number)]


@contextmanager
def shops(number: int, *, items: int = 3, orders: int = 2) -> Iterator[Emulator]:
    """Start a service with that many merchants, each with its own items and orders."""
    merchants = [Merchant(name, f"{CANARY}{name}", f"canary-id-{name}") for name in names(number)]
    with Emulator(merchants=merchants, keep_bodies=False) as service:
        for merchant in merchants:
            for index in range(items):
                service.store.add_item(f"SKU-{index}", merchant=merchant.name, Stock="0", Price="1.00")
            for index in range(orders):
                service.store.add_order(merchant=merchant.name, OrderID=f"{merchant.name}-{index}")
        yield service


class Book:
    """What the handlers of a fleet received."""

    def __init__(self) -> None:
        self.orders: Counter[tuple[str, str]] = Counter()
        self.stock: dict[str, int] = {}
        self._lock = threading.Lock()

    def order(self, merchant: Any, order: Any, delivery: Any) -> None:
        with self._lock:
            self.orders[merchant.name, delivery.key] += 1
        assert order.order_id

    def desired(self, merchant: Any) -> list[dict[str, Any]]:
        return [{"sku": f"SKU-{index}", "stock": self.stock.get(merchant.name, 7)} for index in range(3)]


def enrol(fleet: Fleet, service: Emulator, *, every: dict[str, float], **settings: Any) -> None:
    """Register every merchant of the service."""
    for merchant in service.merchants:
        given = service.settings(merchant.name)
        fleet.registry.add(
            merchant.name,
            endpoint=given["endpoint"],
            merchantname=given["merchantname"],
            authtoken=given["authtoken"],
            accessid=given["accessid"],
            settings={"max_attempts": 1, **settings},
            every=every,
        )


@contextmanager
def fleet_of(place: str, book: Book, **options: Any) -> Iterator[Fleet]:
    options.setdefault("engine", LocalEngine(SLOTS))
    options.setdefault("vault", Vault(Fernet.generate_key().decode()))
    with Fleet(place, stock=book.desired, orders=book.order, tick_seconds=0.05, **options) as made:
        yield made


def merchants_csv(folder: Path, service: Emulator, every: float = 1) -> None:
    lines = ["name,endpoint,merchantname,authtoken,accessid,push_every,orders_every"]
    for merchant in service.merchants:
        given = service.settings(merchant.name)
        lines.append(
            ",".join(
                [
                    merchant.name,
                    *(given[key] for key in ("endpoint", "merchantname", "authtoken", "accessid")),
                    *[str(every)] * 2,
                ]
            )
        )
    (folder / "merchants.csv").write_text("\n".join(lines))


def finished(service: Emulator) -> bool:
    whole = names(len(service.merchants))
    stock = all({item["Stock"] for item in service.store.items(merchant=n).values()} == {"7"} for n in whole)
    return stock and all(order.confirmed for n in whole for order in service.store.orders(merchant=n).values())


def handed_over(folder: Path) -> tuple[set[tuple[str, str]], list[tuple[str, str]]]:
    """Return the orders in the journal, and those handed over twice as if new."""
    lines = [line.split() for line in (folder / "journal").read_text().splitlines()]
    fresh = Counter((name, key) for name, key, redelivered in lines if redelivered == "False")
    return {(name, key) for name, key, _ in lines}, [order for order, times in fresh.items() if times > 1]


def import_merchants(folder: Path, service: Emulator, place: str, keys: str, every: float) -> None:
    """Register every merchant of the service in the fleet at *place*."""
    merchants_csv(folder, service, every)
    with Fleet(place, vault=Vault(keys)) as fleet:
        fleet.registry.import_csv(folder / "merchants.csv")
