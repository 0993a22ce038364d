"""The change feed: after any change, the shop has the item's current state."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from octopus_soap import InvalidInputError
from octopus_soap.emulator import faults
from octopus_soap.jobs import Change, ChangeFeed
from octopus_soap.jobs.changes import STEPS
from octopus_soap.jobs.tables import CHANGES
from tests.inside import state_of
from tests.jobs.databases import both_at_once, one_database  # noqa: F401 - a fixture
from tests.jobs.shops import Clock, Garbled, LeavesOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.jobs import Ledger


class Copies:
    """A handler that keeps a shop's copies of the items."""

    def __init__(self) -> None:
        self.stock: dict[str, str | None] = {}
        self.changes: list[Change] = []
        self.failing: set[str] = set()

    def __call__(self, change: Change) -> None:
        self.changes.append(change)
        if change.sku in self.failing:
            raise RuntimeError(f"no shelf for {change.sku}")
        self.stock[change.sku] = None if change.item is None else change.item.stock


def stock_up(service: Emulator, **stock: int) -> None:
    for sku, pieces in stock.items():
        service.store.add_item(sku, Stock=str(pieces), Price=Decimal("1.00"), changed=True)


@both_at_once
def test_every_changed_item_is_handed_over_and_taken_off_the_list(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    stock_up(service, A=1, B=2, C=3)
    copies = Copies()
    report = ChangeFeed(client, ledger).run(copies)
    assert copies.stock == {"A": "1", "B": "2", "C": "3"}
    assert service.store.change_queue() == []
    assert (report.exit_code, report.counts["handled"]) == (0, 3)
    assert [change.attempt for change in copies.changes] == [1, 1, 1]
    assert ChangeFeed(client, ledger).run(copies).counts == {"listed": 0}


MOMENTS = [(step, nth) for step in STEPS for nth in (1, 2) if (step, nth) != ("changes.fetched", 2)]


@pytest.mark.parametrize(("step", "nth"), MOMENTS)
def test_an_item_that_changes_between_any_two_steps_ends_as_it_is(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger], step: str, nth: int
) -> None:
    stock_up(service, A=1, B=2)
    reached: list[str] = []

    def change_now(name: str) -> None:
        reached.append(name)
        if name == step and reached.count(name) == nth:
            stock_up(service, A=100, B=200)

    copies = Copies()
    feed = ChangeFeed(client, make_ledger(reach=change_now))
    report = feed.run(copies)
    assert reached.count(step) >= nth
    if copies.stock["A"] == "1":  # it changed after the last read of this run
        report = feed.run(copies)
    assert copies.stock == {"A": "100", "B": "200"}
    assert service.store.change_queue() == []
    assert report.exit_code == 0


@pytest.mark.parametrize("step", STEPS)
def test_an_item_that_is_deleted_between_any_two_steps_ends_as_deleted_or_was_handed_over_before(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger], step: str
) -> None:
    stock_up(service, A=1)
    gone = threading.Event()

    def delete_now(name: str) -> None:
        if name == step and not gone.is_set():
            gone.set()
            service.store.remove_item("A")

    copies = Copies()
    assert ChangeFeed(client, make_ledger(reach=delete_now)).run(copies).exit_code == 0
    fetched_before = step in {"changes.fetched", "changes.handled", "changes.done"}
    assert copies.stock == {"A": "1" if fetched_before else None}
    assert copies.changes[-1].deleted is not fetched_before


def test_a_change_while_the_handler_runs_is_another_change(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    stock_up(service, A=1)
    copies = Copies()

    def handler(change: Change) -> None:
        if not copies.changes:
            stock_up(service, A=2)
        copies(change)

    ChangeFeed(client, ledger).run(handler)
    assert [change.item.stock for change in copies.changes if change.item] == ["1", "2"]


def test_an_item_listed_again_as_it_was_is_not_handed_over_again(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    stock_up(service, A=1)
    copies = Copies()
    ChangeFeed(client, ledger).run(copies)
    service.store.mark_changed("A")
    report = ChangeFeed(client, ledger).run(copies)
    assert report.counts["unchanged"] == 1
    assert len(copies.changes) == 1
    assert service.store.change_queue() == []


def test_an_item_whose_handler_was_interrupted_is_handed_over_again_also_as_it_was_before(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    """The handler may have stored a part of the state in between."""
    copies = Copies()
    feed = ChangeFeed(client, ledger)
    stock_up(service, A=1)
    feed.run(copies)

    def interrupted(change: Change) -> None:
        copies(change)
        raise KeyboardInterrupt

    stock_up(service, A=2)
    with pytest.raises(KeyboardInterrupt):
        feed.run(interrupted)
    stock_up(service, A=1)
    feed.run(copies)
    assert copies.stock == {"A": "1"}
    assert copies.changes[-1].redelivered


def test_a_failed_item_is_tried_again_after_a_pause_and_keeps_nobody_waiting(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock, copies = Clock(), Copies()
    feed = ChangeFeed(client, make_ledger(clock=clock))
    stock_up(service, A=1, B=2, C=3)
    copies.failing = {"B"}
    report = feed.run(copies)
    assert copies.stock == {"A": "1", "C": "3"}
    (problem,) = report.problems
    assert (problem.key, problem.state, problem.attempts) == ("B", "quarantined", 1)
    assert "no shelf for B" in problem.message
    assert service.store.change_queue() == [], "the ledger remembers it"
    clock.forward(seconds=59)
    assert feed.run(copies).exit_code == 1
    assert len(copies.changes) == 3
    service.store.add_item(
        "B", Stock="22", Price=Decimal(1)
    )  # changed without a mark in the change list: it is still fetched again
    copies.failing.clear()
    clock.forward(seconds=2)
    assert feed.run(copies).exit_code == 0
    assert copies.stock["B"] == "22"


def test_a_new_change_of_a_quarantined_item_is_tried_at_once(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    copies = Copies()
    feed = ChangeFeed(client, make_ledger(clock=Clock()))
    stock_up(service, A=1)
    copies.failing = {"A"}
    feed.run(copies)
    copies.failing.clear()
    stock_up(service, A=5)
    assert feed.run(copies).exit_code == 0
    assert copies.stock == {"A": "5"}


def test_an_item_that_cannot_be_read_is_quarantined_with_its_xml(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    stock_up(service, A=1, B=2)
    service.script.on("GetItemList").do(Garbled("B", row=b"<a:InventoryItem>", member=b"Price"))
    copies = Copies()
    report = ChangeFeed(client, ledger).run(copies)
    assert copies.stock == {"A": "1"}
    assert [problem.key for problem in report.problems] == ["B"]
    with ledger.reading() as connection:
        raw = connection.execute(select(CHANGES.c.raw).where(CHANGES.c.key == "B")).scalar_one()
    assert "not a number" in (raw or "")


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_lost_while_taking_off_loses_nothing(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger], when: Any
) -> None:
    clock, copies = Clock(), Copies()
    feed = ChangeFeed(make_client(max_attempts=1), make_ledger(clock=clock))
    stock_up(service, A=1, B=2)
    service.script.on("DeleteTblItem", nth=1).do(faults.Reset(when=when))
    first = feed.run(copies)
    assert [problem.state for problem in first.problems] in ([], ["still listed"])
    clock.forward(hours=1)
    assert feed.run(copies).exit_code == 0
    assert copies.stock == {"A": "1", "B": "2"}
    assert service.store.change_queue() == []


def test_a_service_that_is_down_ends_the_run_and_the_next_one_goes_on(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger]
) -> None:
    clock, copies = Clock(), Copies()
    feed = ChangeFeed(make_client(max_attempts=1, max_connections=1), make_ledger(clock=clock))
    stock_up(service, **{f"S{number}": number for number in range(8)})
    service.script.on("DeleteTblItem", after=2).do(faults.Status(503))
    report = feed.run(copies)
    assert report.exit_code == 2
    asked = len([call for call in service.calls if call.operation == "DeleteTblItem"])
    assert asked == 5, "three in vain are enough"
    service.script.clear()
    clock.forward(hours=1)
    assert feed.run(copies).exit_code == 0
    assert copies.stock == {f"S{number}": str(number) for number in range(8)}


def test_items_are_taken_off_side_by_side(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    copies, meeting = Copies(), threading.Barrier(3)
    stock_up(service, A=1, B=2, C=3)
    delete = type(client).delete_tbl_item
    taken: list[str] = []

    class Meeting:
        """Removes an item only when three removals run at a time."""

        def __get__(self, instance: Any, owner: Any) -> Any:
            call = delete.__get__(instance, owner)

            def meet(sku: str) -> Any:
                meeting.wait(60)
                taken.append(sku)
                return call(sku)

            meet.dry_run = call.dry_run  # type: ignore[attr-defined] # as the real one has it
            return meet

    monkeypatch.setattr(type(client), "delete_tbl_item", Meeting())
    assert ChangeFeed(client, make_ledger()).run(copies).exit_code == 0
    assert (sorted(taken), copies.stock) == (["A", "B", "C"], {"A": "1", "B": "2", "C": "3"})


def test_a_service_that_lists_a_part_at_a_time_is_asked_until_all_have_come(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    copies = Copies()
    stock_up(service, **{f"S{number:02}": number for number in range(25)})
    service.script.on("GetItemTblList").do(LeavesOut(most=2, row=b"InventoryItem"))
    assert ChangeFeed(client, make_ledger(), most_rounds=3).run(copies).exit_code == 0
    assert len(copies.stock) == 25


def test_an_item_that_an_answer_leaves_out_is_not_taken_for_deleted(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    copies, clock = Copies(), Clock()
    feed = ChangeFeed(client, make_ledger(clock=clock))
    stock_up(service, A=1, B=2, C=3)
    service.script.on("GetItemList").do(LeavesOut(most=1, row=b"InventoryItem"))
    report = feed.run(copies)
    assert (report.exit_code, report.counts.get("deleted", 0)) == (1, 0)
    assert {problem.key for problem in report.problems} == {"B", "C"}
    assert "the answer left it out, and the service did not confirm that it is gone" in report.problems[0].message
    service.script.clear()
    service.store.remove_item("C")
    clock.forward(hours=1)
    report = feed.run(copies)
    assert (report.exit_code, report.counts["deleted"]) == (0, 1)


def test_an_item_of_which_the_service_says_nothing_is_not_taken_for_deleted(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    copies = Copies()
    stock_up(service, A=1)
    service.script.on("GetItemList").do(LeavesOut(row=b"InventoryItem"))
    service.script.on("IsSkuExistList").do(LeavesOut(row=b"IsSkuExistResponse"))
    report = ChangeFeed(client, ledger).run(copies)
    assert ([problem.key for problem in report.problems], copies.changes) == (["A"], [])


def test_one_item_that_cannot_be_taken_off_is_named_and_in_nobodys_way(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger]
) -> None:
    copies = Copies()
    feed = ChangeFeed(make_client(max_attempts=1), make_ledger(clock=Clock()))
    stock_up(service, A=1, B=2, C=3)
    service.script.on("DeleteTblItem", key="B").do(faults.Fault("internal"))
    report = feed.run(copies)
    assert copies.stock == {"A": "1", "C": "3"}
    assert {(problem.key, problem.state) for problem in report.problems} == {("B", "still listed")}


def test_a_transactional_handlers_work_is_undone_with_its_failure(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    stock_up(service, A=1, B=2)
    with ledger.transaction() as connection:
        connection.execute(text("CREATE TABLE copies (sku TEXT)"))

    def handler(change: Change) -> None:
        assert change.connection is not None
        change.connection.execute(text("INSERT INTO copies VALUES (:sku)"), {"sku": change.sku})
        if change.sku == "A":
            raise RuntimeError("after the insert")

    assert ChangeFeed(client, ledger, transactional=True).run(handler).exit_code == 1
    with ledger.reading() as connection:
        assert connection.execute(text("SELECT sku FROM copies")).scalars().all() == ["B"]


def test_a_stop_ends_the_run_and_the_next_one_does_the_rest(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    stock_up(service, A=1, B=2, C=3)
    stop, copies = threading.Event(), Copies()

    def handler(change: Change) -> None:
        copies(change)
        stop.set()

    report = ChangeFeed(client, ledger).run(handler, stop=stop)
    assert (report.interrupted, len(copies.changes)) == (True, 1)
    assert ChangeFeed(client, ledger).run(copies).exit_code == 0
    assert copies.stock == {"A": "1", "B": "2", "C": "3"}


def test_a_service_that_lists_every_change_and_takes_one_off_at_a_time_comes_right_too(
    service: Emulator, client: OctopusClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[str] = []

    def mark_changed(merchant: str, skus: Any) -> None:
        del merchant
        rows.extend(skus)

    def forget_change(merchant: str, sku: str) -> bool:
        del merchant
        if sku in rows:
            rows.remove(sku)
            return True
        return False

    monkeypatch.setattr(state_of(service), "mark_changed", mark_changed)
    monkeypatch.setattr(state_of(service), "forget_change", forget_change)
    monkeypatch.setattr(state_of(service), "changes", lambda merchant: list(rows))
    stock_up(service, A=1)
    stock_up(service, A=2, B=1)
    stock_up(service, A=3)
    copies = Copies()
    report = ChangeFeed(client, ledger).run(copies)
    assert copies.stock == {"A": "3", "B": "1"}
    assert (rows, report.exit_code) == ([], 0)
    assert len(copies.changes) == 2, "one round, and one delivery each"


@pytest.mark.parametrize("given", [{"handler_seconds": 0}, {"most_rounds": 0}])
def test_options_of_a_feed_that_make_no_sense_are_refused(
    client: OctopusClient, ledger: Ledger, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(given))):
        ChangeFeed(client, ledger, **given)
