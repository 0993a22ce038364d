"""An order, item or handler that always fails delays no other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from octopus_soap.emulator import faults
from octopus_soap.jobs import Change, ChangeFeed, OrderDelivery, OrderInbox, inspection
from octopus_soap.jobs.tables import ORDERS
from tests.jobs.databases import both, one_database  # noqa: F401 - a fixture
from tests.jobs.shops import Clock, Garbled, book, bookings, confirmed, open_books, sell, states

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.jobs import Ledger
    from octopus_soap.models import OrderResponseItem


@dataclass(frozen=True)
class Nameless(faults.InjectedFault):
    """Removes the id from an order of a list."""

    key: str
    member: bytes = b"OrderID"

    def apply(self, exchange: Any, reply: Any, plan: Any) -> Any:
        """Remove it."""
        del exchange, plan
        return reply.with_body(
            reply.body.replace(b"<a:%s>%s</a:%s>" % (self.member, self.key.encode(), self.member), b"")
        )


def nothing(order: OrderResponseItem, delivery: OrderDelivery) -> None:
    del order, delivery


# -- orders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["POS\x0b7", "POS\ud800", "P" * 5000])
def test_a_number_that_fits_no_message_keeps_no_order_from_being_confirmed(
    service: Emulator, client: OctopusClient, ledger: Ledger, number: str
) -> None:
    sold = [sell(service, at) for at in range(3)]
    report = OrderInbox(client, ledger).run(lambda order, delivery: number if order.id == sold[1] else None)
    assert confirmed(service) == set(sold), str(report)


@both
@pytest.mark.parametrize("words", ["a NUL \x00 byte", "half a pair \ud800"])
def test_a_handlers_words_may_be_what_no_database_holds(
    service: Emulator, client: OctopusClient, ledger: Ledger, words: str
) -> None:
    sold = [sell(service, at) for at in range(3)]

    def fail(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        del delivery
        if order.id == sold[0]:
            raise ValueError(words)

    report = OrderInbox(client, ledger).run(fail)
    assert [(problem.key, problem.state) for problem in report.problems] == [(sold[0], "quarantined")]
    assert confirmed(service) == set(sold[1:])


def test_a_stored_order_that_can_no_longer_be_decoded_is_asked_for_again(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    sold = [sell(service, at) for at in range(3)]

    def away(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        del order, delivery
        raise ConnectionError("the shop's database is away")

    OrderInbox(client, ledger).run(away)
    with ledger.transaction() as connection:  # as if another version of the package had stored it
        connection.execute(update(ORDERS).where(ORDERS.c.key == sold[0]).values(typed='{"total": "a lot"}'))
    clock.forward(hours=1)
    report = OrderInbox(client, ledger).run(nothing)
    assert [problem.key for problem in report.problems] == [sold[0]]
    assert confirmed(service) == set(sold[1:])
    clock.forward(hours=7)
    assert OrderInbox(client, ledger).run(nothing).exit_code == 0
    assert confirmed(service) == set(sold)


@both
def test_a_handler_that_leaves_the_transaction_broken_is_in_nobodys_way(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    open_books(ledger)
    with ledger.transaction() as connection:
        connection.execute(text("CREATE UNIQUE INDEX once ON bookings (order_id)"))
    sold = [sell(service, at) for at in range(3)]

    def swallow(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        if order.id == sold[0]:
            for _ in range(2):
                with suppress(IntegrityError):  # PostgreSQL then aborts the whole transaction
                    book(order, delivery)
        else:
            book(order, delivery)

    report = OrderInbox(client, ledger, transactional=True).run(swallow)
    on_postgres = ledger.url.drivername.startswith("postgresql")
    assert bookings(ledger) == (sold[1:] if on_postgres else sold)
    assert confirmed(service) == set(sold[1:] if on_postgres else sold)
    assert [problem.key for problem in report.problems] == (sold[:1] if on_postgres else [])
    assert OrderInbox(client, ledger, transactional=True).run(swallow).error == ""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_commit_the_database_refuses_is_its_orders_quarantine(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    with ledger.transaction() as connection:
        connection.execute(
            text("CREATE TABLE bookings (order_id TEXT, UNIQUE (order_id) DEFERRABLE INITIALLY DEFERRED)")
        )
    sold = [sell(service, at) for at in range(3)]

    def twice(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        assert delivery.connection is not None
        for _ in range(2 if order.id == sold[0] else 1):
            delivery.connection.execute(text("INSERT INTO bookings VALUES (:id)"), {"id": order.id})

    report = OrderInbox(client, ledger, transactional=True).run(twice)
    assert bookings(ledger) == sold[1:]
    assert [problem.key for problem in report.problems] == sold[:1]
    assert confirmed(service) == set(sold[1:])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_errors_details_are_not_told(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        connection.execute(text("CREATE TABLE bookings (order_id TEXT NOT NULL, name TEXT, total TEXT NOT NULL)"))
    sell(service, 1, Ship={"FirstName": "Ada", "City": "Paris"})

    def forget(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        assert delivery.connection is not None
        assert order.ship is not None
        values = {"id": order.id, "name": order.ship.first_name}
        delivery.connection.execute(text("INSERT INTO bookings VALUES (:id, :name, NULL)"), values)

    report = OrderInbox(client, ledger, transactional=True).run(forget)
    assert "NotNullViolation" in report.problems[0].message
    assert "Ada" not in report.problems[0].message


@pytest.mark.parametrize("also", [(), (Garbled(key="WEB-1"),)], ids=["readable", "garbled"])
def test_an_order_without_an_id_is_one_problem_until_it_has_one(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger], also: tuple[Garbled, ...]
) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    inbox = OrderInbox(client, ledger)
    nameless = sell(service, 1)
    service.script.on("GetOrderList").do(Nameless(nameless), *also)
    for number in range(2, 6):
        for more in range(number):  # so NumberOfMatches differs between listings
            sell(service, 10 * number + more)
        report = inbox.run(nothing)
        assert [problem.key[:1] for problem in report.problems] == ["?"]
        clock.forward(hours=2)
    service.script.clear()
    assert inbox.run(nothing).exit_code == 0
    assert confirmed(service) >= {nameless}
    assert set(states(ledger).values()) == {"confirmed"}


# -- changes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_change_whose_handler_breaks_the_transaction_is_in_nobodys_way(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    with ledger.transaction() as connection:
        connection.execute(text("CREATE TABLE shelf (sku TEXT PRIMARY KEY)"))
    service.store.add_items([{"Sku": sku, "Stock": "1"} for sku in "ABC"], changed=True)

    def swallow(change: Change) -> None:
        assert change.connection is not None
        for _ in range(2 if change.sku == "A" else 1):
            with suppress(IntegrityError):
                change.connection.execute(text("INSERT INTO shelf VALUES (:sku)"), {"sku": change.sku})

    report = ChangeFeed(client, ledger, transactional=True).run(swallow)
    assert [(problem.key, problem.state) for problem in report.problems] == [("A", "quarantined")]
    with ledger.reading() as connection:
        assert sorted(connection.execute(text("SELECT sku FROM shelf")).scalars()) == ["B", "C"]


@both
@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_a_handler_that_ends_the_ledgers_transaction_is_told_so_and_in_nobodys_way(
    service: Emulator, client: OctopusClient, ledger: Ledger, ending: str
) -> None:
    sold = [sell(service, at) for at in range(2)]
    service.store.add_items([{"Sku": sku, "Stock": "1"} for sku in "AB"], changed=True)
    came: list[str] = []

    def meddle(connection: Any, key: str, bad: str) -> None:
        came.append(key)
        if key == bad:
            getattr(connection, ending)()

    orders = OrderInbox(client, ledger, transactional=True).run(
        lambda order, delivery: meddle(delivery.connection, order.id, sold[0])
    )
    changes = ChangeFeed(client, ledger, transactional=True).run(
        lambda change: meddle(change.connection, change.sku, "A")
    )
    assert came == [*sold, "A", "B"]
    for report, bad in ((orders, sold[0]), (changes, "A")):
        ((key, reason),) = [(problem.key, problem.message) for problem in report.problems]
        assert key == bad
        assert "leave commit and rollback to the job" in reason


def test_one_item_the_service_cannot_answer_for_is_named_and_in_nobodys_way(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger]
) -> None:
    clock, came = Clock(), list[str]()
    feed = ChangeFeed(make_client(max_attempts=1), make_ledger(clock=clock))
    service.store.add_items([{"Sku": sku, "Stock": "1"} for sku in ["A1", "A2", "A3"]], changed=True)
    service.script.on("GetItemList", key="A2").do(faults.Fault("internal"))
    report = feed.run(lambda change: came.append(change.sku))
    assert came == ["A1", "A3"]
    assert [(problem.key, problem.state) for problem in report.problems] == [("A2", "quarantined")]
    service.store.add_items([{"Sku": "B", "Stock": "1"}], changed=True)
    clock.forward(hours=1)
    feed.run(lambda change: came.append(change.sku))
    assert came == ["A1", "A3", "B"], "alone it does not delay the others either"
    service.script.clear()
    clock.forward(hours=12)
    assert feed.run(lambda change: came.append(change.sku)).exit_code == 0
    assert came == ["A1", "A3", "B", "A2"]


def test_a_service_that_cannot_be_read_quarantines_no_item(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger]
) -> None:
    clock, came = Clock(), list[str]()
    feed = ChangeFeed(make_client(max_attempts=1), make_ledger(clock=clock))
    service.store.add_items([{"Sku": sku, "Stock": "1"} for sku in "ABC"], changed=True)
    service.script.on("GetItemList").do(faults.Status(503))
    service.script.on("IsSkuExist*").do(faults.Status(503))
    report = feed.run(lambda change: came.append(change.sku))
    assert report.exit_code == 2
    assert report.problems == []
    service.script.clear()
    assert feed.run(lambda change: came.append(change.sku)).exit_code == 0
    assert came == ["A", "B", "C"]


def test_items_that_cannot_be_taken_off_wait_longer_each_time_and_keep_no_others(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger]
) -> None:
    clock, came = Clock(), list[str]()
    feed = ChangeFeed(make_client(max_attempts=1), make_ledger(clock=clock))
    stuck = ["A1", "A2", "A3", "A4"]
    service.script.on("DeleteTblItem", key=stuck).do(faults.Fault("internal"))
    service.store.add_items([{"Sku": sku, "Stock": "1"} for sku in [*stuck, "B"]], changed=True)
    for _ in range(3):
        feed.run(lambda change: came.append(change.sku))
    assert came == ["B"]
    tried = [call.operation for call in service.calls].count("DeleteTblItem")
    report = feed.run(lambda change: came.append(change.sku))
    assert [call.operation for call in service.calls].count("DeleteTblItem") == tried, "none is due before its pause"
    assert [problem.key for problem in report.problems] == stuck
    service.script.clear()
    clock.forward(hours=1)
    assert feed.run(lambda change: came.append(change.sku)).exit_code == 0
    assert sorted(came) == ["A1", "A2", "A3", "A4", "B"]


def test_a_list_nothing_is_taken_off_is_not_read_over_and_over(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    came: list[str] = []
    service.script.on("DeleteTblItem").do(faults.ApiFailure())  # it answers 0: there is no such row
    service.store.add_items([{"Sku": sku, "Stock": "1"} for sku in "AB"], changed=True)
    report = ChangeFeed(client, ledger).run(lambda change: came.append(change.sku))
    assert came == ["A", "B"]
    assert [call.operation for call in service.calls].count("GetItemTblList") == 2
    assert report.counts["unchanged"] == 2


def test_a_row_without_a_sku_is_never_handed_over_as_a_deleted_item(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    came: list[str] = []
    service.store.add_items([{"Sku": "A", "Stock": "1"}], changed=True)
    service.script.on("GetItemTblList").do(Nameless("A", b"Sku"))
    feed = ChangeFeed(client, ledger)
    assert feed.run(lambda change: came.append(change.sku)).exit_code == 1
    assert inspection.retry(ledger) == 0, "there is nothing to try: it cannot be taken off the list"
    assert feed.run(lambda change: came.append(change.sku)).exit_code == 1
    assert came == []


def test_a_sku_may_look_like_a_row_without_one(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    def fail(change: Change) -> None:
        raise RuntimeError(change.sku)

    service.store.add_items([{"Sku": "?what", "Stock": "1"}], changed=True)
    feed = ChangeFeed(client, ledger)
    for _ in range(2):
        assert [problem.key for problem in feed.run(fail).problems] == ["?what"]
