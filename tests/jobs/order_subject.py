"""What the crash tests kill: an order inbox with a transactional handler, a feed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select, text

from octopus_soap.jobs import Change, ChangeFeed, Ledger, OrderInbox
from octopus_soap.jobs.changes import STEPS as CHANGE_STEPS
from octopus_soap.jobs.order_files import MARK, OrderFiles
from octopus_soap.jobs.orders import STEPS as ORDER_STEPS
from octopus_soap.jobs.tables import CHANGES, ORDER_CURSORS, ORDERS
from tests.jobs.shops import book, bookings, confirmed, open_books, sell

if TYPE_CHECKING:
    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator

PLACED = datetime(2024, 3, 1, tzinfo=UTC)
COUNT = 7
_HANDLED = ("handled", "confirmed")


def orders(client: OctopusClient, ledger: Ledger) -> int:
    return OrderInbox(client, ledger, since=PLACED, transactional=True).run(book).exit_code


def files(client: OctopusClient, ledger: Ledger) -> int:
    handler = OrderFiles(folder_of(str(ledger.url.database)))
    handler.recover(ledger)
    return OrderInbox(client, ledger, since=PLACED).run(handler).exit_code


def folder_of(place: str) -> Path:
    return Path(f"{place}-orders")


def changes(client: OctopusClient, ledger: Ledger) -> int:
    return ChangeFeed(client, ledger, transactional=True).run(keep).exit_code


def keep(change: Change) -> None:
    """Copy an item into the shop's tables, with a line in its log."""
    assert change.connection is not None
    stock = "gone" if change.item is None else change.item.stock
    values = {"sku": change.sku, "stock": stock}
    change.connection.execute(text("DELETE FROM copies WHERE sku = :sku"), {"sku": change.sku})
    change.connection.execute(text("INSERT INTO copies VALUES (:sku, :stock)"), values)
    change.connection.execute(text("INSERT INTO log VALUES (:sku, :stock)"), values)


class Before(NamedTuple):
    """The orders' state when the job died."""

    confirmed: set[str]
    handled: set[str]
    booked: list[str]


class _Orders:
    job = "tests.jobs.order_subject:orders"
    steps = ORDER_STEPS
    unreached = frozenset[str]()
    done = frozenset({0})

    def prepare(self, service: Emulator, place: str) -> None:
        for number in range(COUNT):
            stores = ("S1", "S2") if number % 5 == 0 else ()
            sell(service, number, at=PLACED + timedelta(days=10 * number), stores=stores)
        with Ledger(place) as ledger:
            open_books(ledger)
            # As if a reply had been too big: several windows, before the first order is handed over.
            learned = {"channel": ledger.channel, "store": "", "width": 40 * 86_400, "swept_at": ledger.now()}
            with ledger.transaction() as connection:
                connection.execute(ORDER_CURSORS.insert().values(**learned))

    def state(self, service: Emulator, place: str) -> Any:
        with Ledger(place) as ledger, ledger.reading() as connection:
            columns = (ORDERS.c.key, ORDERS.c.state, ORDERS.c.revision, ORDERS.c.reference, ORDERS.c.leased_by)
            rows = sorted(tuple(row) for row in connection.execute(select(*columns)))
            booked = bookings(ledger)
        return rows, booked, confirmed(service), {order.third_party for order in service.store.orders().values()}

    def after_crash(self, service: Emulator, place: str) -> Any:
        with Ledger(place) as ledger:
            with ledger.reading() as connection:
                found = connection.execute(select(ORDERS.c.key).where(ORDERS.c.state.in_(_HANDLED)))
                handled = {key for (key,) in found}
            partly = {str(n) for n, order in service.store.orders().items() if any(order.stores.values())}
            return Before(partly, handled, bookings(ledger))

    def check(self, service: Emulator, place: str, before: Any) -> None:
        assert before.confirmed <= before.handled, "none is confirmed before its commit"
        assert sorted(before.booked) == sorted(before.handled), "booked exactly if handled"
        with Ledger(place) as ledger:
            booked = bookings(ledger)
        assert booked == sorted(str(number) for number in service.store.orders()), "none lost, none twice"


class _Changes:
    job = "tests.jobs.order_subject:changes"
    steps = CHANGE_STEPS
    unreached = frozenset[str]()
    done = frozenset({0})

    def prepare(self, service: Emulator, place: str) -> None:
        items = [{"Sku": f"S{i:02}", "Stock": str(i), "Price": Decimal("1.00")} for i in range(COUNT)]
        service.store.add_items(items, changed=True)
        with Ledger(place) as ledger, ledger.transaction() as connection:
            connection.execute(text("CREATE TABLE copies (sku TEXT PRIMARY KEY, stock TEXT)"))
            connection.execute(text("CREATE TABLE log (sku TEXT, stock TEXT)"))

    def state(self, service: Emulator, place: str) -> Any:
        with Ledger(place) as ledger, ledger.reading() as connection:
            columns = (CHANGES.c.key, CHANGES.c.state, CHANGES.c.leased_by, CHANGES.c.handled_content)
            rows = sorted(tuple(row) for row in connection.execute(select(*columns)))
            copies = dict(tuple(row) for row in connection.execute(text("SELECT sku, stock FROM copies")))
            log = sorted(tuple(row) for row in connection.execute(text("SELECT sku, stock FROM log")))
        return rows, copies, log, service.store.change_queue()

    def after_crash(self, service: Emulator, place: str) -> None:
        """Return nothing: the log at the end has a line per effect."""

    def check(self, service: Emulator, place: str, before: None) -> None:
        rows, copies, log, queue = self.state(service, place)
        assert copies == {sku: item["Stock"] for sku, item in service.store.items().items()}
        assert len(log) == COUNT, "no effect twice"
        assert {state for _, state, *_ in rows} == {"done"}
        assert queue == []


class _Files(_Orders):
    """Orders as files, which a consumer takes away as soon as they appear."""

    job = "tests.jobs.order_subject:files"

    def state(self, service: Emulator, place: str) -> Any:
        kept, _, taken_off, _ = super().state(service, place)
        return [row[:2] for row in kept], taken_off

    def after_crash(self, service: Emulator, place: str) -> list[str]:
        found = [path for path in folder_of(place).glob("*.jsonl") if not path.name.startswith(".")]
        for path in found:
            assert path.read_text(encoding="utf-8").endswith("}\n"), "a file that is seen is complete"
            path.unlink()
        return [path.name for path in found]

    def check(self, service: Emulator, place: str, before: Any) -> None:
        left = [path.name for path in folder_of(place).iterdir() if path.name != MARK]
        assert sorted([*before, *left]) == sorted(f"{number}.jsonl" for number in service.store.orders())


ORDERS_SUBJECT = _Orders()
FILES_SUBJECT = _Files()
CHANGES_SUBJECT = _Changes()
