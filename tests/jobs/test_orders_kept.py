"""Unusual orders: two with one id, changed, cancelled while they wait, not wanted."""

from __future__ import annotations

import json
import re
import tracemalloc
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import OrderDownloadSubmitRequest
from octopus_soap.emulator.faults import Hang, InjectedFault
from octopus_soap.jobs import DestinationError, OrderInbox, inspection
from octopus_soap.jobs.order_listing import listing_of
from octopus_soap.models import OrderResponseItem
from octopus_soap.results import ItemOutcome, OutcomeStatus
from octopus_soap.wire.redact import Redactor
from tests.jobs.shops import START, BreaksOff, Clock, LeavesOut, confirmed, sell, states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.jobs import Ledger, OrderDelivery


@dataclass(frozen=True)
class SameId(InjectedFault):
    """Lists one order under the id of another."""

    order_id: str = ""
    shown_as: str = ""

    def apply(self, exchange: Any, reply: Any, plan: Any) -> Any:
        """Write the other id."""
        del exchange, plan
        return replace(reply, body=reply.body.replace(f">{self.order_id}<".encode(), f">{self.shown_as}<".encode()))


@dataclass(frozen=True)
class Cancelled(InjectedFault):
    """Lists an order as cancelled."""

    order_id: str = ""

    def apply(self, exchange: Any, reply: Any, plan: Any) -> Any:
        """Write the state into the order's row."""
        del exchange, plan
        state = re.compile(rb"(<\w+:OrderState>)[^<]*<")
        rows = reply.body.split(b"<a:OrderResponseItem>")
        named = [state.sub(rb"\1Cancelled<", row) if f">{self.order_id}<".encode() in row else row for row in rows]
        return replace(reply, body=b"<a:OrderResponseItem>".join(named))


class Handled:
    """A handler that records the orders."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str, str]] = []
        self.error: Exception | None = None

    def __call__(self, order: OrderResponseItem, delivery: OrderDelivery) -> None:
        if self.error is not None:
            raise self.error
        self.came.append((delivery.key, order.reference or "", delivery.notice))

    @property
    def keys(self) -> list[str]:
        return [key for key, _, _ in self.came]


@pytest.fixture
def database() -> str:
    """SQLite: what differs between the databases is tested elsewhere."""
    return "sqlite"


@pytest.mark.parametrize("apart", [timedelta(0), timedelta(days=40)], ids=["same time", "used again"])
def test_two_orders_with_one_id_are_both_handed_over_and_confirmed_only_then(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger], apart: timedelta
) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    stores = (
        {"stores": ("S1",)},
        {"stores": ("S2",)},
    )  # like the parts of a split order, which differ by store if the times are equal
    first, second = (sell(service, at, at=START + at * apart, **given) for at, given in enumerate(stores))
    service.script.on("GetOrderList").do(SameId(second, first))
    came: list[tuple[str, str]] = []

    def handler(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        came.append((delivery.key, order.reference or ""))
        if len(came) == 2:
            assert confirmed(service) == set(), "a confirmation names the id, and would confirm both"
            raise RuntimeError("not yet")

    OrderInbox(client, ledger).run(handler)
    assert came == [(first, "WEB-0"), (f"{first}~2", "WEB-1")]
    assert confirmed(service) == set()
    clock.forward(minutes=5)
    OrderInbox(client, ledger).run(handler)
    assert came[2:] == [(f"{first}~2", "WEB-1")]
    assert first in confirmed(service)


def test_an_order_that_is_listed_twice_alike_is_one_order(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    handled = Handled()
    sold = sell(service, 1, stores=("S1", "S2"))
    assert OrderInbox(client, ledger).run(handled).exit_code == 0
    assert [key for key, *_ in handled.came] == [sold]
    assert confirmed(service) == {sold}


@pytest.mark.parametrize("by", ["acknowledge", "retry"])
def test_an_order_changed_after_it_was_handled_is_held_until_somebody_decides(
    service: Emulator, client: OctopusClient, ledger: Ledger, by: str
) -> None:
    handled = Handled()
    sold = sell(service, 1)
    OrderInbox(client, ledger, confirm=False).run(handled)
    with service._state.transaction():
        service._state._db.execute("UPDATE orders SET payment = 'Cleared'")
    inbox = OrderInbox(client, ledger)
    for _ in range(3):
        report = inbox.run(handled)
        assert [(p.key, p.state) for p in report.problems] == [(sold, "changed")]
        assert report.exit_code == 1
    assert confirmed(service) == set()
    assert len(handled.came) == 1
    assert (inspection.acknowledge if by == "acknowledge" else inspection.retry)(ledger, [sold]) == 1
    assert inbox.run(handled).exit_code == 0
    assert len(handled.came) == (1 if by == "acknowledge" else 2)
    assert confirmed(service) == {sold}


def test_only_orders_with_the_wanted_status_are_handed_over_and_the_others_wait_on_the_service(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    handled, clock = Handled(), Clock()
    ledger = make_ledger(clock=clock)
    unpaid = sell(service, 1, at=START - timedelta(days=30))
    paid = sell(service, 2, payment_status="Cleared")
    inbox = OrderInbox(client, ledger, payment="Cleared", sweep=None)
    report = inbox.run(handled)
    assert (report.exit_code, report.problems) == (0, [])
    assert ([key for key, *_ in handled.came], confirmed(service)) == ([paid], {paid})
    with service._state.transaction():
        service._state._db.execute("UPDATE orders SET payment = 'Cleared'")
    inbox.run(handled)
    assert [key for key, *_ in handled.came] == [paid, unpaid], "however old it is"


def test_a_service_that_ignores_the_filter_hands_over_no_unpaid_order(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    handled = Handled()
    sell(service, 1)
    inbox = OrderInbox(client, ledger, payment="Cleared", shipping=None)
    unfiltered = client.get_order_list.stream

    class Ignoring:
        """A client whose service ignores filters."""

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def with_options(self, **given: Any) -> Any:
            del given
            return self

        @property
        def get_order_list(self) -> Any:
            return self

        def stream(self, criteria: Any, **given: Any) -> Any:
            return unfiltered(criteria.model_copy(update={"payment_status_filter": None}), **given)

    inbox._client = Ignoring()  # type: ignore[assignment] # enough of a client
    report = inbox.run(handled)
    assert (report.exit_code, report.counts["other_status"]) == (0, 1)
    assert (handled.came, states(ledger)) == ([], {})
    paid = sell(service, 2)
    with service._state.transaction():
        service._state._db.execute("UPDATE orders SET payment = ' CLEARED' WHERE id = ?", (paid,))
    assert inbox.run(handled).counts["handled"] == 1, "the case of a status does not matter"


def test_an_order_that_waits_is_looked_at_again_before_it_is_handed_over(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    handled, clock = Handled(), Clock()
    ledger = make_ledger(clock=clock)
    sold, cancelled, elsewhere = (sell(service, number, at=START - timedelta(days=9)) for number in range(3))
    sell(service, 9)  # the newest, so that the old ones are before the range that a run reads
    handled.error = RuntimeError("not yet")
    inbox = OrderInbox(client, ledger, sweep=None)
    inbox.run(handled)
    client.set_download_order_confirm([OrderDownloadSubmitRequest(order_id=elsewhere)])
    service.script.on("GetOrderList").do(Cancelled(cancelled))
    clock.forward(minutes=2)
    handled.error = None
    report = inbox.run(handled)
    assert {key: notice for key, _, notice in handled.came if notice or key == sold} == {
        sold: "",
        cancelled: "cancelled",
        elsewhere: "not listed",
    }
    assert (report.counts["cancelled"], report.counts["not_listed"]) == (1, 1)


def test_a_destination_that_cannot_take_orders_ends_the_run_and_no_order_is_blamed(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    handled = Handled()
    sold = [sell(service, number) for number in range(3)]
    handled.error = DestinationError("cannot write /orders: No space left on device")
    report = OrderInbox(client, ledger).run(handled)
    assert (report.exit_code, report.problems) == (2, [])
    assert "No space left" in report.error
    assert states(ledger) == dict.fromkeys(sold, "waiting")
    handled.error = None
    report = OrderInbox(client, ledger).run(handled)
    assert [key for key, *_ in handled.came] == sold, "at once, without a pause"
    assert report.counts.get("redelivered", 0) == 0


def test_what_failed_after_its_commit_is_held_and_not_confirmed_until_it_is_tried_again(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold, fails = sell(service, 1), [True]

    def finish() -> None:
        if fails:
            raise OSError("the folder is gone")

    inbox = OrderInbox(client, ledger)
    for _ in range(2):
        report = inbox.run(lambda _, delivery: delivery.after_commit(finish))
        assert [problem.key for problem in report.problems] == [sold]
        assert "the folder is gone" in report.problems[0].message
    assert confirmed(service) == set()
    fails.clear()
    assert inspection.retry(ledger) == 1
    assert inbox.run(lambda _, delivery: delivery.after_commit(finish)).exit_code == 0
    assert confirmed(service) == {sold}


def test_a_purge_keeps_what_knows_an_order_again(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    ledger, handled = make_ledger(clock=clock), Handled()
    sold = sell(service, 1, Ship={"FirstName": "Ada"})
    OrderInbox(client, ledger).run(handled)
    clock.forward(days=91)
    assert inspection.purge(ledger, clock.now - timedelta(days=90)) == 1
    assert inspection.purge(ledger, clock.now - timedelta(days=90)) == 0
    (row,) = inspection.show(ledger, sold)
    assert (row["raw"], row["typed"], "Ada" in str(row)) == ("", None, False)
    with service._state.transaction():
        service._state._db.execute("UPDATE order_stores SET confirmed = 0")
    report = OrderInbox(client, ledger, since=datetime(2020, 1, 1, tzinfo=UTC)).run(handled)
    assert (len(handled.came), report.exit_code) == (1, 0)
    assert confirmed(service) == {sold}


def test_a_hung_service_holds_a_run_for_one_read_limit(
    service: Emulator, make_client: Any, make_ledger: Callable[..., Ledger]
) -> None:
    sold, clock = [sell(service, number) for number in range(2)], Clock()
    ledger = make_ledger(clock=clock)
    client = make_client(max_attempts=1, read_timeout=0.5)
    handled = Handled()
    OrderInbox(client, ledger, confirm=False).run(handled)  # leaves something to confirm
    for operation in ("GetOrderList", "SetDownloadOrderConfirm"):
        service.script.on(operation).do(Hang())
    clock.forward(hours=1)
    calls, limits = len(service.calls), list[float]()
    inbox = OrderInbox(client, ledger)
    with_options = type(client).with_options

    def noted(view: Any, **given: Any) -> Any:
        limits.append(given.get("read_timeout") or 0.0)
        return with_options(view, **given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(client), "with_options", noted)
        report = inbox.run(handled)
    assert (report.exit_code, "downloading" in report.error) == (2, True)
    assert [call.operation for call in service.calls[calls:]] == ["GetOrderList", "GetOrderList"]
    assert limits == [0.0, 1.0], "the second one only asks whether the service answers at all, and does not wait long"
    service.script.clear()
    assert inbox.run(handled).exit_code == 0
    assert confirmed(service) == set(sold)


# -- long listings, and incomplete listings ----------------------------------------------------------------------


@pytest.mark.long
def test_a_listing_is_read_in_bounded_memory() -> None:
    count, size = 400, 25_000
    before = "<OrderResponseItem><OrderID>{}</OrderID>"

    def outcomes() -> Iterator[ItemOutcome[OrderResponseItem]]:
        for number in range(count):
            order = OrderResponseItem(order_id=str(number), web_comment="x" * size)
            raw = (before.format(number) + "x" * size).encode()
            yield ItemOutcome(number, str(number), OutcomeStatus.OK, order, raw=raw)

    tracemalloc.start()
    try:
        with listing_of(outcomes(), "", Redactor([])) as listing:
            kept, peak = tracemalloc.get_traced_memory()
            raw, typed = listing.texts(listing.orders[377])
    finally:
        tracemalloc.stop()
    assert len(listing.orders) == count
    assert raw.startswith(before.format(377))
    assert json.loads(typed or "")["order_id"] == "377"
    assert kept < 6_000_000
    assert peak < 12_000_000, "of 20 MB of texts, those of one part and what needs no file"


def test_a_listing_that_is_cut_short_confirms_nothing_and_loses_nothing(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    sold = {sell(service, number, WebComment="x" * 3_000) for number in range(16)}
    handled = Handled()
    service.script.on("GetOrderList").do(BreaksOff(most=400))  # the small query is not answered either
    report = OrderInbox(client, ledger).run(handled)
    assert report.exit_code == 2
    service.script.clear()
    service.script.on("GetOrderList").do(BreaksOff(most=28_000))
    report = OrderInbox(client, ledger).run(handled)
    assert (report.exit_code, report.counts["windows_cut"] > 0) == (0, True)
    assert confirmed(service) == sold == set(handled.keys)
    assert len(handled.keys) == len(sold)


@pytest.mark.parametrize("confirm", [True, False])
def test_orders_that_a_service_leaves_out_are_asked_for_until_it_lists_all(
    service: Emulator, client: OctopusClient, ledger: Ledger, confirm: bool
) -> None:
    # The newest are listed first: if the mark moved, the others would never be listed.
    sold = {sell(service, number, at=START - timedelta(days=3 * number)) for number in range(23)}
    handled = Handled()
    service.script.on("GetOrderList").do(LeavesOut(most=10))
    report = OrderInbox(client, ledger, confirm=confirm, sweep=None).run(handled)
    if confirm:
        assert (report.exit_code, report.counts["handled"]) == (0, 23)
        assert confirmed(service) == sold == set(handled.keys)
        return
    assert report.exit_code == 1
    assert [(p.key, p.state) for p in report.problems] == [("orders", "left out")]
    assert "the service listed 10 orders and counts 23 that match" in report.problems[0].message
    service.script.clear()
    assert OrderInbox(client, ledger, confirm=False, sweep=None).run(handled).exit_code == 0
    assert sold == set(handled.keys)
