"""The order inbox: each order handed over once, then confirmed, and none lost."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, text, update

from octopus_soap import InvalidInputError, JobRunningError, LedgerError, UnverifiedContractError
from octopus_soap.emulator import faults
from octopus_soap.jobs import ChangeFeed, OrderInbox
from octopus_soap.jobs.tables import ORDER_CURSORS, ORDERS
from tests.conftest import SECRETS
from tests.inside import execute
from tests.jobs.databases import both, both_at_once, one_database  # noqa: F401 - a fixture
from tests.jobs.shops import START, BreaksOff, Clock, Garbled, book, bookings, confirmed, open_books, sell, states

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.jobs import Ledger, OrderDelivery
    from octopus_soap.models import OrderResponseItem


class Handled:
    """A handler that records the orders, and fails if it should."""

    def __init__(self, **failing: Exception) -> None:
        self.orders: list[OrderResponseItem] = []
        self.deliveries: list[OrderDelivery] = []
        self.failing = failing

    def __call__(self, order: OrderResponseItem, delivery: OrderDelivery) -> str | None:
        self.orders.append(order)
        self.deliveries.append(delivery)
        if (error := self.failing.get(order.reference or "")) is not None:
            raise error
        return None

    @property
    def ids(self) -> list[str]:
        return [order.id for order in self.orders]


@both
def test_every_order_is_handed_over_once_and_confirmed(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold = [sell(service, number) for number in range(25)]
    handled = Handled()
    report = OrderInbox(client, ledger).run(handled)
    assert handled.ids == sold, "oldest first"
    assert confirmed(service) == set(sold)
    assert (report.exit_code, report.problems, report.interrupted) == (0, [], False)
    assert {name: report.counts[name] for name in ("downloaded", "handled", "confirmed")} == {
        "downloaded": 25,
        "handled": 25,
        "confirmed": 25,
    }
    again = OrderInbox(client, ledger).run(handled)
    assert len(handled.ids) == 25
    assert again.counts.get("handled", 0) == 0


def test_the_handler_gets_the_order_as_the_client_reads_it(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sell(service, 1, Ship={"FirstName": "Ada", "City": "Paris"}, WebComment="ring twice & wait")
    (read,) = client.get_order_list()
    handled = Handled()
    OrderInbox(client, ledger).run(handled)
    assert handled.orders == [read]
    assert handled.orders[0].model_fields_set == read.model_fields_set
    delivery = handled.deliveries[0]
    assert (delivery.attempt, delivery.redelivered, delivery.revision) == (1, False, 1)
    assert delivery.connection is None
    assert "ring twice &amp; wait" in delivery.raw


def test_xml_and_decoded_order_are_in_the_ledger_before_the_handler_is_called(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    numbers = [sell(service, number) for number in range(3)]

    def look(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        del delivery
        with ledger.reading() as connection:
            stored = {row.key: row for row in connection.execute(select(ORDERS))}
        assert set(stored) == set(numbers), "all of the window, not only this one"
        assert f">{order.id}</" in stored[order.id].raw
        assert order.id in (stored[order.id].typed or "")
        assert confirmed(service) == set()

    assert OrderInbox(client, ledger).run(look).exit_code == 0


def test_nothing_is_confirmed_while_a_handler_has_not_returned(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    good, bad = sell(service, 1), sell(service, 2)
    report = OrderInbox(client, ledger).run(Handled(**{"WEB-2": RuntimeError("no room")}))
    assert confirmed(service) == {good}
    assert states(ledger) == {good: "confirmed", bad: "quarantined"}
    assert report.exit_code == 1
    (problem,) = report.problems
    assert (problem.key, problem.state, problem.attempts) == (bad, "quarantined", 1)
    assert problem.message.startswith("RuntimeError: no room (test_order_inbox.py:")


def test_a_failed_order_is_tried_again_after_pauses_that_double_and_named_until_it_is_mended(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    inbox = OrderInbox(client, make_ledger(clock=clock))
    sell(service, 1)
    handled = Handled(**{"WEB-1": ValueError("unknown SKU")})
    inbox.run(handled)
    for minutes, tries in [(1, 2), (2, 3), (4, 4)]:
        clock.forward(minutes=minutes, seconds=-1)
        report = inbox.run(handled)
        assert len(handled.orders) == tries - 1, "not due yet"
        assert report.exit_code == 1, "still named"
        clock.forward(seconds=2)
        assert inbox.run(handled).problems[0].attempts == tries
    handled.failing.clear()
    clock.forward(hours=7)
    assert inbox.run(handled).exit_code == 0
    assert handled.deliveries[-1].attempt == 5
    assert not handled.deliveries[-1].redelivered, "a handler that raised was not interrupted"
    assert len(confirmed(service)) == 1


def test_a_reason_holds_no_secret(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    sell(service, 1)
    report = OrderInbox(client, ledger).run(Handled(**{"WEB-1": ValueError(f"refused for {SECRETS[0]}\nand more")}))
    assert "refused for *** and more" in report.problems[0].message


def test_card_numbers_and_credentials_are_not_stored(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    sell(service, 1, CreditCard="4111 of another form", WebComment=f"echo {SECRETS[1]}")
    handled = Handled()
    OrderInbox(client, ledger).run(handled)
    with ledger.reading() as connection:
        row = connection.execute(select(ORDERS)).one()
    stored = f"{row.raw}{row.typed}"
    assert "4111" not in stored
    assert SECRETS[1] not in stored
    assert handled.orders[0].credit_card == "***"


def test_one_order_that_cannot_be_read_is_kept_named_and_in_nobodys_way(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    numbers = [sell(service, number) for number in range(4)]
    service.script.on("GetOrderList").do(Garbled(numbers[1]))
    handled = Handled()
    report = OrderInbox(client, ledger).run(handled)
    assert handled.ids == [numbers[0], *numbers[2:]]
    assert confirmed(service) == {numbers[0], *numbers[2:]}
    (problem,) = report.problems
    assert (problem.key, problem.state) == (numbers[1], "quarantined")
    assert ".total: not a decimal number" in problem.message
    with ledger.reading() as connection:
        row = connection.execute(select(ORDERS).where(ORDERS.c.key == numbers[1])).one()
    assert "not a number" in row.raw
    assert row.typed is None
    service.script.clear()
    clock.forward(hours=7)
    assert OrderInbox(client, ledger).run(handled).exit_code == 0
    assert handled.ids[-1] == numbers[1]
    assert confirmed(service) == set(numbers)


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_this_machines_clock_hides_no_order(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger], hours: int
) -> None:
    clock = Clock(START + timedelta(hours=hours))
    inbox = OrderInbox(client, make_ledger(clock=clock), overlap=timedelta(0), sweep=None)
    handled = Handled()
    placed = START
    for number in range(6):
        placed += timedelta(seconds=number % 2)  # every second order has the same second as the one before
        sold = sell(service, number, at=placed)
        assert inbox.run(handled).exit_code == 0
        assert handled.ids[-1] == sold
        assert len(handled.ids) == number + 1


def test_windows_are_of_the_services_times(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    placed = datetime(2019, 5, 5, 12, 0, tzinfo=UTC)
    sell(service, 1, at=placed)
    OrderInbox(client, ledger).run(Handled())
    with ledger.reading() as connection:
        assert connection.execute(select(ORDER_CURSORS.c.watermark)).scalar_one() == placed


def test_one_date_years_ahead_does_not_hide_the_orders_after_it(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    inbox = OrderInbox(client, make_ledger(clock=Clock(START)), sweep=None)
    handled = Handled()
    sell(service, 1, at=START + timedelta(days=9000))
    inbox.run(handled)
    sold = sell(service, 2, at=START + timedelta(minutes=1))
    inbox.run(handled)
    assert handled.ids[-1] == sold


def test_an_order_that_appears_late_is_caught_by_the_overlap_or_the_next_sweep(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock, handled = Clock(START + timedelta(days=30)), Handled()
    inbox = OrderInbox(client, make_ledger(clock=clock), overlap=timedelta(hours=2), sweep=timedelta(hours=1))
    sell(service, 1, at=START + timedelta(days=20))
    inbox.run(handled)
    late = sell(service, 2, at=START + timedelta(days=20, hours=-1))
    later = sell(service, 3, at=START + timedelta(days=3))
    clock.forward(minutes=30)
    inbox.run(handled)
    assert handled.ids[1:] == [late]
    clock.forward(minutes=31)
    inbox.run(handled)
    assert handled.ids[2:] == [later]


def test_orders_before_since_are_left_alone(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    sell(service, 1, at=START - timedelta(days=1))
    new = sell(service, 2, at=START)
    handled = Handled()
    OrderInbox(client, ledger, since=START).run(handled)
    assert handled.ids == [new], "a time that is exactly the beginning counts"


def test_replies_that_are_too_big_are_asked_for_in_smaller_windows(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold = [sell(service, number, at=START + timedelta(minutes=17 * number)) for number in range(60)]
    service.script.on("GetOrderList").do(BreaksOff(most=30_000))
    handled = Handled()
    report = OrderInbox(client, ledger, since=START - timedelta(days=3)).run(handled)
    assert handled.ids == sold
    assert report.exit_code == 0
    assert report.counts["windows_cut"] > 0
    assert confirmed(service) == set(sold)


@both
def test_one_order_the_service_cannot_list_becomes_a_gap_and_comes_when_it_can(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    inbox = OrderInbox(client, make_ledger(clock=clock))
    sold = [sell(service, number, at=START + timedelta(hours=number, milliseconds=500)) for number in range(24)]
    poisoned = START + timedelta(hours=7, milliseconds=500)
    service.script.on("GetOrderList", when=lambda call: _asks_for(call, poisoned)).do(faults.Fault("internal"))
    handled = Handled()
    report = inbox.run(handled)
    assert sorted(handled.ids) == [order for order in sold if order != sold[7]]
    (problem,) = report.problems
    assert problem.state == "unread"
    assert problem.key == "2024-03-01T16:00:00Z to 2024-03-01T16:00:01Z"
    assert report.exit_code == 1
    clock.forward(minutes=10)
    report = inbox.run(handled)
    assert [problem.attempts for problem in report.problems] == [3], (
        "in its window, at the end of the first run, and now"
    )
    service.script.clear()
    clock.forward(hours=7)
    assert inbox.run(handled).exit_code == 0
    assert handled.ids[-1] == sold[7]


def _asks_for(call: Any, moment: datetime) -> bool:
    found = re.findall(rb"Filter(?:Begin|End)TimeGMT>([^<]+)<", call.request)
    if len(found) != 2:
        return False
    begin, end = sorted(datetime.fromisoformat(text.decode()) for text in found)
    begin, end = (t if t.tzinfo else t.replace(tzinfo=UTC) for t in (begin, end))
    return begin <= moment <= end


def test_a_service_that_is_down_is_no_poisoned_window(
    service: Emulator, make_client: Callable[..., OctopusClient], ledger: Ledger
) -> None:
    waiting = sell(service, 1)
    handled = Handled(**{"WEB-1": RuntimeError("later")})
    inbox = OrderInbox(make_client(max_attempts=1), ledger)
    service.script.on("GetOrderList*").do(faults.Status(502))
    report = inbox.run(handled)
    assert report.exit_code == 2
    assert "downloading" in report.error
    assert len([call for call in service.calls if call.operation == "GetOrderList"]) == 2, "the window and one question"
    service.script.clear()
    assert inbox.run(handled).problems[0].key == waiting


def test_what_is_stored_is_handed_over_although_the_service_cannot_be_listed(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    inbox = OrderInbox(client, make_ledger(clock=clock))
    sold, handled = sell(service, 1), Handled(**{"WEB-1": RuntimeError("not now")})
    inbox.run(handled)
    handled.failing.clear()
    clock.forward(hours=1)
    service.script.on("GetOrderList").do(faults.Status(503))
    report = inbox.run(handled)
    assert report.exit_code == 2
    assert report.counts["handled"] == 1
    assert confirmed(service) == {sold}, "a confirmation that cannot be checked in the list counts as answered"


def test_a_split_order_is_confirmed_for_every_store(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    split, plain = sell(service, 1, stores=("S1", "S2", "S3")), sell(service, 2)
    handled = Handled()
    assert OrderInbox(client, ledger).run(handled).exit_code == 0
    assert handled.ids == [split, plain]
    assert confirmed(service) == {split, plain}


def test_each_stores_part_is_handed_over_and_confirmed_for_itself(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    split, single = sell(service, 1, stores=("S1", "S2")), sell(service, 2, stores=("S2",))
    handled = Handled()
    assert OrderInbox(client, ledger, stores=("S1",)).run(handled).exit_code == 0
    assert [delivery.key for delivery in handled.deliveries] == [f"{split}@S1"]
    assert service.store.orders()[int(split)].stores == {"S1": True, "S2": False}, "the other store's part is its own"
    assert OrderInbox(client, ledger, stores=("S1", "S2")).run(handled).exit_code == 0
    assert [delivery.key for delivery in handled.deliveries[1:]] == [f"{split}@S2", f"{single}@S2"]
    assert confirmed(service) == {split, single}


def test_a_channel_does_not_change_from_account_to_stores(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sell(service, 1, stores=("S1",))
    OrderInbox(client, ledger).run(Handled())
    with pytest.raises(LedgerError, match="use another channel"):
        OrderInbox(client, ledger, stores=("S1",)).run(Handled())


@pytest.mark.parametrize("when", ["after", "before"])
def test_a_confirmation_whose_answer_is_lost_is_settled_without_a_second_delivery(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger], when: str
) -> None:
    clock, handled = Clock(), Handled()
    inbox = OrderInbox(make_client(max_attempts=1), make_ledger(clock=clock))
    sold = [sell(service, number) for number in range(5)]
    service.script.on("SetDownloadOrderConfirm").times(1).do(faults.Reset(when=when))
    report = inbox.run(handled)
    if when == "after":  # it was carried out, and the list shows it
        assert report.exit_code == 0
    else:
        assert [problem.state for problem in report.problems] == ["unconfirmed"] * 5
        clock.forward(minutes=2)
        assert inbox.run(handled).exit_code == 0
    assert confirmed(service) == set(sold)
    assert handled.ids == sold


def test_a_confirmation_that_failed_is_not_taken_for_done_because_its_order_came_with_a_store(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger]
) -> None:
    clock, handled = Clock(), Handled()
    inbox = OrderInbox(make_client(max_attempts=1), make_ledger(clock=clock))
    sold = sell(service, 1, stores=("S1",))
    service.script.on("SetDownload*").do(faults.Reset(when="before"))
    service.script.on("GetOrderList", after=1).do(faults.Status(404))  # and the list cannot be read to check
    report = inbox.run(handled)
    assert [(problem.key, problem.state) for problem in report.problems] == [(sold, "unconfirmed")]
    assert report.counts.get("confirmed", 0) == 0
    service.script.clear()
    clock.forward(minutes=2)
    assert inbox.run(handled).exit_code == 0
    assert confirmed(service) == {sold}


def test_another_version_that_comes_while_the_handler_runs_survives_a_crash_right_after_its_commit(
    service: Emulator, client: OctopusClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(service, 1)

    def changed_meanwhile(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        if delivery.revision == 1:
            with ledger.transaction() as connection:  # like another process's download
                connection.execute(update(ORDERS).values(content="another"))

    def crash(step: str) -> None:
        if step == "orders.committed":
            raise KeyboardInterrupt

    inbox = OrderInbox(client, ledger, on_change="deliver")
    monkeypatch.setattr(ledger, "reach", crash)
    with pytest.raises(KeyboardInterrupt):
        inbox.run(changed_meanwhile)
    assert list(states(ledger).values()) == ["waiting"], "it is to be handed over again, not only confirmed"


def test_an_order_that_is_listed_after_it_was_confirmed_is_confirmed_again_and_not_handed_over(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold, handled = sell(service, 1), Handled()
    service.script.on("SetDownloadOrderConfirm").times(1).do(faults.Status(202, body="empty", execute=False))
    # It is neither confirmed nor listed by id, so it must be listed again.
    service.script.on("GetOrderList", nth=2).do(faults.Status(500))
    service.script.on("GetOrderList", nth=3).do(faults.Status(500))
    assert OrderInbox(client, ledger).run(handled).exit_code == 0
    assert confirmed(service) == set()
    service.script.clear()
    assert OrderInbox(client, ledger).run(handled).exit_code == 0
    assert confirmed(service) == {sold}
    assert handled.ids == [sold]


def test_the_number_a_handler_returns_goes_into_the_confirmation(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold = sell(service, 1)
    OrderInbox(client, ledger).run(lambda order, delivery: f"POS-{order.id}")
    assert service.store.orders()[int(sold)].third_party == f"POS-{sold}"


def test_without_confirming_nothing_is_confirmed_until_a_run_that_does(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold, handled = [sell(service, number) for number in range(3)], Handled()
    for _ in range(2):
        assert OrderInbox(client, ledger, confirm=False).run(handled).exit_code == 0
    assert handled.ids == sold
    assert confirmed(service) == set()
    assert OrderInbox(client, ledger).run(handled).exit_code == 0
    assert handled.ids == sold
    assert confirmed(service) == set(sold)


def test_an_order_changed_before_it_is_handled_comes_as_it_is_now(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    inbox = OrderInbox(client, make_ledger(clock=clock))
    sold, handled = sell(service, 1), Handled(**{"WEB-1": RuntimeError("not paid")})
    inbox.run(handled)
    _pay(service, sold)
    handled.failing.clear()
    assert inbox.run(handled).exit_code == 0, "a new version is tried at once"
    assert handled.orders[-1].payment == "Cleared"


@both
@pytest.mark.parametrize("on_change", ["hold", "deliver"])
def test_an_order_changed_after_it_was_handled_is_held_or_delivered_as_a_revision(
    service: Emulator, client: OctopusClient, ledger: Ledger, on_change: Any
) -> None:
    sold, handled = sell(service, 1), Handled()
    OrderInbox(client, ledger, confirm=False).run(handled)
    _pay(service, sold)
    inbox = OrderInbox(client, ledger, on_change=on_change)
    report = inbox.run(handled)
    assert report.counts["changed"] == 1
    if on_change == "hold":
        assert [(problem.key, problem.state) for problem in report.problems] == [(sold, "changed")]
        assert handled.ids == [sold]
        with ledger.reading() as connection:
            assert '"Cleared"' in connection.execute(select(ORDERS.c.typed)).scalar_one()
        assert confirmed(service) == set()
    else:
        assert [delivery.revision for delivery in handled.deliveries] == [1, 2]
        assert handled.orders[-1].payment == "Cleared"
        assert confirmed(service) == {sold}
        assert inbox.run(handled).exit_code == 0


def test_an_order_that_only_says_it_was_updated_has_not_changed(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    """The service may note each reading and confirming in LastUpdateDate."""
    sold, handled = sell(service, 1), Handled()
    inbox = OrderInbox(client, ledger, confirm=False)
    for day in (b"01", b"02"):
        updated = Garbled(sold, member=b"LastUpdateDate", text=b"2024-05-%bT10:00:00" % day)
        service.script.clear()
        service.script.on("GetOrderList").do(updated)
        report = inbox.run(handled)
    assert (report.exit_code, report.counts.get("changed", 0), handled.ids) == (0, 0, [sold])
    assert str(client.get_order_list()[0].last_update_date).startswith("2024-05-02")


def _pay(service: Emulator, order_id: str) -> None:
    execute(service, "UPDATE orders SET payment = 'Cleared' WHERE id = ?", (int(order_id),))


@both_at_once
def test_a_transactional_handlers_work_is_there_exactly_if_the_order_is_handled(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    open_books(ledger)
    sold = [sell(service, number) for number in range(4)]

    def half(order: OrderResponseItem, delivery: OrderDelivery) -> str:
        number = book(order, delivery)
        if order.id == sold[2]:
            raise RuntimeError("after the booking")
        return number

    inbox = OrderInbox(client, ledger, transactional=True)
    assert inbox.run(half).exit_code == 1
    assert bookings(ledger) == [sold[0], sold[1], sold[3]]
    clock.forward(hours=1)
    assert inbox.run(book).exit_code == 0
    assert bookings(ledger) == sold


def test_a_transactional_handlers_work_and_the_mark_are_one_commit(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold = sell(service, 1)
    open_books(ledger)
    commits: list[tuple[bool, str]] = []

    def look(connection: Any) -> None:
        booked = connection.exec_driver_sql("SELECT COUNT(*) FROM bookings").scalar_one() > 0
        state = connection.exec_driver_sql("SELECT MAX(state) FROM orders").scalar_one()
        commits.append((booked, state or ""))

    event.listen(ledger.engine, "commit", look)
    OrderInbox(client, ledger, transactional=True, confirm=False).run(book)
    assert bookings(ledger) == [sold]
    assert {state for booked, state in commits if booked} == {"kept"}
    assert {state for booked, state in commits if not booked} == {"", "waiting"}


def test_an_order_that_another_worker_took_over_is_not_booked_a_second_time(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    def taken_over(step: str) -> None:
        if step == "orders.claimed":
            with ledger.transaction() as connection:
                connection.execute(update(ORDERS).values(leased_by="another worker"))

    ledger = make_ledger(reach=taken_over)
    sell(service, 1)
    open_books(ledger)
    report = OrderInbox(client, ledger, transactional=True).run(book)
    assert (report.counts["lease_lost"], bookings(ledger)) == (1, [])


@both
def test_a_handlers_own_database_error_is_a_quarantine_and_not_the_end(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    bad, good = sell(service, 1), sell(service, 2)
    open_books(ledger)

    def stumble(order: OrderResponseItem, delivery: OrderDelivery) -> str:
        if order.id == bad:
            assert delivery.connection is not None
            delivery.connection.execute(text("INSERT INTO no_such_table VALUES (1)"))
        return book(order, delivery)

    report = OrderInbox(client, ledger, transactional=True).run(stumble)
    assert bookings(ledger) == [good]
    assert [problem.key for problem in report.problems] == [bad]


@both
def test_a_handler_that_was_interrupted_is_told_so_the_next_time(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold = sell(service, 1)

    def interrupted(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        raise KeyboardInterrupt

    inbox = OrderInbox(client, ledger)
    with pytest.raises(KeyboardInterrupt):
        inbox.run(interrupted)
    assert confirmed(service) == set()
    handled = Handled()
    report = inbox.run(handled)
    assert [(d.key, d.attempt, d.redelivered) for d in handled.deliveries] == [(sold, 2, True)]
    assert report.counts["redelivered"] == 1


def test_what_is_due_after_the_commit_is_called_then_and_before_the_confirmation(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold = sell(service, 1)
    seen: list[tuple[str, set[str]]] = []

    def handler(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        delivery.after_commit(lambda: seen.append((states(ledger)[order.id], confirmed(service))))

    OrderInbox(client, ledger).run(handler)
    assert seen == [("handled", set())]
    assert confirmed(service) == {sold}


def test_a_stop_ends_the_run_after_the_handler_under_way(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold = [sell(service, number) for number in range(5)]
    stop = threading.Event()
    handled: list[str] = []

    def handler(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        del delivery
        handled.append(order.id)
        if len(handled) == 2:
            stop.set()

    report = OrderInbox(client, ledger).run(handler, stop=stop)
    assert (report.interrupted, handled) == (True, sold[:2])
    assert confirmed(service) == set()
    assert OrderInbox(client, ledger).run(handler).exit_code == 0
    assert handled == sold
    assert confirmed(service) == set(sold)


def test_a_contract_nobody_verified_is_refused_before_anything_is_asked(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger]
) -> None:
    far = make_client(endpoint="https://shop.invalid/OctopusService.svc")
    ledger = make_ledger()
    with pytest.raises(UnverifiedContractError):
        OrderInbox(far, ledger).run(Handled())
    with pytest.raises(UnverifiedContractError):
        ChangeFeed(far, ledger).run(print)
    with ledger.reading() as connection:
        assert connection.execute(select(ORDER_CURSORS)).first() is None


def test_progress_counts_what_was_due(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    for number in range(4):
        sell(service, number)
    told: list[tuple[int, int | None, int]] = []
    OrderInbox(client, ledger).run(
        Handled(**{"WEB-2": RuntimeError("no")}), progress=lambda p: told.append((p.done, p.total, p.failed))
    )
    assert told == [(1, 4, 0), (2, 4, 0), (3, 4, 1), (4, 4, 1)]


def test_two_runs_do_not_overlap(service: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    sell(service, 1)
    inbox = OrderInbox(client, ledger)

    def handler(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        with pytest.raises(JobRunningError):
            inbox.run(handler)

    assert inbox.run(handler).exit_code == 0


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"since": datetime(2024, 1, 1)}, "since"),  # noqa: DTZ001 - a naive one is what is refused
        ({"overlap": timedelta(seconds=-1)}, "overlap"),
        ({"on_change": "ignore"}, "on_change"),
        ({"handler_seconds": 0}, "handler_seconds"),
        ({"stores": ["S1", ""]}, "stores"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    client: OctopusClient, ledger: Ledger, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInputError, match=named):
        OrderInbox(client, ledger, **given)
