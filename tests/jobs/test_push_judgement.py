"""What a push refuses, names or counts, so that exit code 0 means all was done."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import InvalidInputError, PushRefusedError
from octopus_soap.emulator import faults
from octopus_soap.jobs import ChangeFeed, Ledger, OrderInbox, StockPush, every, inspection
from octopus_soap.jobs.reading import SeenRows
from octopus_soap.jobs.reports import Report
from octopus_soap.tables.from_csv import Numbers
from tests.jobs.shops import Clock, sell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator

LOCKS = {"lock_stock": False, "lock_price": False, "lock_cost": False}


def wish(sku: str, stock: int = 5, price: str = "9.90", **more: Any) -> dict[str, Any]:
    return {"sku": sku, "stock": stock, "price": price, "cost": "1", **LOCKS, **more}


def wishes(count: int, **more: Any) -> list[dict[str, Any]]:
    return [wish(f"S{i:03}", **more) for i in range(count)]


def stock(service: Emulator, sku: str) -> str:
    item = service.store.item(sku)
    assert item is not None
    return str(item["Stock"])


@pytest.fixture
def database() -> str:
    """SQLite: what differs between the databases is tested elsewhere."""
    return "sqlite"


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 4, 8, tzinfo=UTC))


@pytest.fixture
def ledger(make_ledger: Callable[..., Ledger], clock: Clock) -> Ledger:
    return make_ledger(clock=clock)


@pytest.fixture
def shop(service: Emulator) -> Emulator:
    """A service with the SKUs S000 to S019, without stock."""
    service.store.add_items({"Sku": f"S{i:03}", "Stock": "0", "Price": Decimal("1.00")} for i in range(20))
    return service


@pytest.fixture
def push(client: OctopusClient, ledger: Ledger) -> StockPush:
    return StockPush(client, ledger, max_change_share=1)


# -- times ---------------------------------------------------------------------------------------------------------


def test_a_time_well_ahead_of_the_clock_is_refused_and_hides_nothing_later(
    shop: Emulator, push: StockPush, clock: Clock
) -> None:
    ahead = datetime(2036, 1, 1, tzinfo=UTC)
    report = push.run([wish("S000", observed_at=ahead), wish("S001", observed_at=clock.now + timedelta(minutes=5))])
    assert [(p.key, p.state) for p in report.problems] == [("S000", "invalid")]
    assert "2036-01-01" in report.problems[0].message
    assert (report.exit_code, stock(shop, "S000"), stock(shop, "S001")) == (1, "0", "5")
    with pytest.raises(InvalidInputError, match="ahead of the ledger's clock"):
        push.run([wish("S000")], observed_at=ahead)
    assert push.run([wish("S000", 0, observed_at=clock.now)]).exit_code == 0


def test_a_time_ahead_that_is_stored_already_makes_nothing_stale(shop: Emulator, push: StockPush, clock: Clock) -> None:
    clock.forward(days=3650)
    push.run([wish("S000", observed_at=clock.now)])
    clock.forward(days=-3650)
    assert push.run([wish("S000", 0, observed_at=clock.now)]).exit_code == 0
    assert stock(shop, "S000") == "0"


def test_stale_rows_that_differ_are_named_with_exit_code_1(shop: Emulator, push: StockPush, clock: Clock) -> None:
    push.run([wish("S000", observed_at=clock.now), wish("S001", observed_at=clock.now)])
    earlier = clock.now - timedelta(hours=1)
    report = push.run([wish("S000", 3, observed_at=earlier), wish("S001", observed_at=earlier)])
    assert [(p.key, p.state) for p in report.problems] == [("S000", "stale")]
    assert (report.exit_code, report.counts["stale"], report.counts["unchanged"]) == (1, 1, 1)


# -- one SKU in two rows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [2, 100])
@pytest.mark.parametrize("known", [False, True])
def test_a_sku_in_two_rows_that_differ_is_a_problem_with_both_rows(
    shop: Emulator, push: StockPush, monkeypatch: pytest.MonkeyPatch, chunk: int, *, known: bool
) -> None:
    if known:
        push.run(wishes(4))
    monkeypatch.setattr("octopus_soap.jobs.push.CHUNK", chunk)
    calls = len(shop.calls)
    report = push.run([wish("S000", 5), wish("S001", 7), wish("S002"), wish("S000", 6), wish("S002"), wish("S000", 5)])
    assert [(p.key, p.state) for p in report.problems] == [("S000", "invalid")]
    assert "rows 0 and 3" in report.problems[0].message
    assert report.exit_code == 1
    sent = {key for call in shop.calls[calls:] for key in call.keys}
    assert sent == ({"S001"} if known else {"S001", "S002"})


@pytest.mark.parametrize("chunk", [2, 100])
def test_the_counts_add_up_to_the_rows_that_were_read(
    shop: Emulator, push: StockPush, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("octopus_soap.jobs.push.CHUNK", chunk)
    push.run(wishes(3))
    rows = [*wishes(5), {"sku": "S010"}, wish("S011", stock=-(2**40)), *wishes(5), wish("S012"), wish("S012", stock=6)]
    counts = push.run(rows).counts
    names = ("unchanged", "new", "empty", "repeated", "invalid")
    assert [counts[name] for name in names] == [3, 2, 1, 6, 2]
    assert counts["read"] == len(rows) == sum(counts[name] for name in names)


def test_a_row_with_a_time_and_one_without_contradict_each_other(shop: Emulator, push: StockPush, clock: Clock) -> None:
    at = clock.now
    rows = [
        *(wish("S001", 1), wish("S001", 2, observed_at=at)),
        *(wish("S002", 1, observed_at=at), wish("S002", 2)),
        *(wish("S003", 1), wish("S003", 1, observed_at=at), wish("S003", 1)),
        wish("S004", 1, observed_at=at - timedelta(hours=1)),
        wish("S004", 2, observed_at=at),
    ]
    report = push.run(rows)
    assert [(p.key, p.state) for p in report.problems] == [("S001", "invalid"), ("S002", "invalid")]
    assert "rows 0 and 1 have different values and no time that shows which is newer" in report.problems[0].message
    assert [stock(shop, f"S00{i}") for i in range(1, 5)] == ["0", "0", "1", "2"]


def test_rows_of_stores_belong_together_if_the_column_is_named(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    service.store.add_items([{"Sku": "A", "Stock": "0"}])
    path = tmp_path / "stock.csv"
    path.write_text("sku,stock,location\nA,3,berlin\nA,4,paris\n")
    report = StockPush(client, ledger, store_column="location").run(path)
    assert report.exit_code == 0, str(report)
    assert b"berlin" in service.calls[-1].request
    assert b"paris" in service.calls[-1].request
    path.write_text("sku,stock,location\nA,3,berlin\nA,4,berlin\nA,5,\n")
    report = StockPush(client, ledger, store_column="location").run(path)
    assert sorted(p.message.partition(" have")[0].partition(":")[0] for p in report.problems) == [
        "row 4",
        "rows 2 and 3",
    ]


def test_seen_rows_find_every_key_again() -> None:
    seen = SeenRows()
    for row in range(20_000):
        assert seen.add(f"S{row}", row, row) == (True, row, True)
    assert seen.add("S77", 9, 77) == (False, 77, True)
    assert seen.add("S78", 9, 77) == (False, 78, False)
    assert (len(seen), "S19999" in seen, "T1" in seen) == (20_000, True, False)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([wish("s001"), wish("S001", 6)], [("S001", "rows 0 and 1 ")]),
        ([wish("S001"), wish("X"), wish("s001", 6)], [("s001", "rows 0 and 2 ")]),
        ([wish("s0a1"), wish("S0a1", 6), wish("s0A1")], [("S0a1", "rows 0 and 1 ")]),
        ([wish("s001"), wish("S001")], []),
        ([wish("S001"), wish("S002", 6)], []),
    ],
)
def test_skus_that_differ_only_in_case_are_named_if_their_values_differ(
    shop: Emulator, push: StockPush, given: list[dict[str, Any]], named: list[tuple[str, str]]
) -> None:
    shop.store.add_items({"Sku": sku} for sku in ("s001", "X", "s0a1", "S0a1", "s0A1"))
    report = push.run(given)
    alike = [problem for problem in report.problems if problem.state == "alike"]
    assert [problem.key for problem in alike] == [sku for sku, _ in named]
    assert all(problem.message.startswith(rows) for problem, (_, rows) in zip(alike, named, strict=True))
    assert report.exit_code == int(bool(named))
    assert report.counts["acknowledged"] == len(given), "all of them are sent"


# -- SKUs that the shop no longer sends ----------------------------------------------------------------------------


def test_a_whole_file_without_a_rejected_sku_is_the_cure(shop: Emulator, push: StockPush) -> None:
    assert push.run([*wishes(4), wish("S000 ")]).exit_code == 1
    assert push.run(wishes(1)).exit_code == 1, "a few rows do not mean that the others are gone"
    report = push.run(wishes(4))
    assert (report.exit_code, report.counts["forgotten"]) == (0, 1)
    assert push.run(wishes(4)).exit_code == 0


def test_a_rejected_sku_is_forgotten_after_a_time(shop: Emulator, push: StockPush, clock: Clock) -> None:
    push.run([*wishes(8), wish("OLD")])
    clock.forward(days=6)
    assert push.run(wishes(1)).exit_code == 1
    clock.forward(days=2)
    assert push.run(wishes(1)).exit_code == 0


def test_a_forgotten_sku_keeps_what_was_acknowledged_of_it(shop: Emulator, push: StockPush, ledger: Ledger) -> None:
    push.run(wishes(1))
    shop.store.remove_item("S000")
    assert push.run([wish("S000", 6)]).exit_code == 1
    assert inspection.forget(ledger, ["S000", "S001"]) == 1
    (row,) = inspection.show(ledger, "S000")
    assert (row["state"], row["wanted"], '"stock":5' in row["acknowledged"]) == ("done", None, True)


def test_absent_skus_are_counted_and_zeroed_only_if_asked_under_the_guard(
    shop: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    push = StockPush(client, ledger)
    push.run(wishes(20))
    report = push.run(wishes(18))
    assert (report.counts["absent"], report.exit_code, stock(shop, "S019")) == (2, 0, "5")
    with pytest.raises(PushRefusedError, match="become 0"):
        push.run(wishes(4), absent="zero")
    report = push.run(wishes(18), absent="zero")
    assert (report.counts["zeroed"], stock(shop, "S019"), stock(shop, "S017")) == (2, "0", "5")
    assert push.run(wishes(18), absent="zero").counts["changed"] == 0


@pytest.mark.parametrize("text", ["", "sku,stock\n", "\n"])
def test_a_file_without_rows_is_no_success(shop: Emulator, push: StockPush, tmp_path: Path, text: str) -> None:
    path = tmp_path / "stock.csv"
    path.write_text(text)
    try:
        report = push.run(path)
    except InvalidInputError:
        return  # without a first row it is not a table
    assert (report.exit_code, "has no rows" in report.error) == (2, True)


# -- prices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_one_price_of_0_is_refused_in_a_first_push_too(shop: Emulator, push: StockPush, *, first: bool) -> None:
    if not first:
        push.run(wishes(20))
    with pytest.raises(PushRefusedError, match=r"price of 1 SKU would become 0.*'S003'") as caught:
        push.run([*wishes(3), wish("S003", price="0.00")])
    assert caught.value.cheaper == 1
    assert push.run([wish("S003", price="0")], force=True).exit_code == 0
    assert push.run([wish("S003", 6, price="0")]).exit_code == 0, "it was 0 before"


def test_prices_that_fall_by_more_than_they_may_are_refused(
    shop: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    push = StockPush(client, ledger, max_change_share=1, max_price_fall=0.5)
    push.run(wishes(2, price="100"))
    with pytest.raises(PushRefusedError, match="'S001'"):
        push.run([wish("S000", price="51"), wish("S001", price="50")])
    assert push.run([wish("S000", price="51")]).exit_code == 0
    assert (
        StockPush(client, ledger, max_change_share=1, max_price_fall=None).run([wish("S000", price="0")]).exit_code == 0
    )


@pytest.mark.parametrize(
    ("text", "numbers", "prices"),
    [
        ('S000,3.00,"12,50"\nS001,4,1.299\n', None, None),
        ("S000,3.00,12.50\nS001,4,1.299\n", None, ["12.5", "1.299"]),
        ("S000,3,1.299\nS001,4,1.299\n", Numbers("."), ["1.299", "1.299"]),
        ('S000,"3,00","12,50"\nS001,4,1.299\n', Numbers(",", "."), ["12.5", "1299"]),
        ('S000,3,"1,299.50"\nS001,4,7\n', Numbers(".", ","), ["1299.5", "7"]),
    ],
)
def test_a_file_has_one_way_of_writing_numbers(
    shop: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path, text: str, numbers: Any, prices: Any
) -> None:
    path = tmp_path / "stock.csv"
    path.write_text(f"sku,stock,price\n{text}")
    push = StockPush(client, ledger, numbers=numbers)
    if prices is None:
        with pytest.raises(InvalidInputError) as caught:
            push.run(path)
        assert "row 3, column price, value '1.299': is it 1299 or 1.299?" in str(caught.value)
        assert shop.calls == []
        return
    assert push.run(path).exit_code == 0
    assert [shop.store.item(f"S00{i}")["Price"] for i in range(2)] == list(map(Decimal, prices))  # type: ignore[index] # they are there
    assert stock(shop, "S000") == "3"


@pytest.mark.parametrize("cell", ["1.29,50", "12.50", "1.2.3"])
def test_a_number_of_another_way_of_writing_is_a_problem_of_its_row(
    shop: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path, cell: str
) -> None:
    path = tmp_path / "stock.csv"
    path.write_text(f"sku;stock;price\nS000;1;{cell}\nS001;2;1.299,5\n")
    report = StockPush(client, ledger, numbers=Numbers(",", ".")).run(path)
    assert [problem.key for problem in report.problems] == ["S000"]
    assert f"row 2, column price, value {cell!r}" in report.problems[0].message
    assert stock(shop, "S001") == "2"


# -- reconciliation ------------------------------------------------------------------------------------------------


def test_a_reconciliation_does_not_put_back_what_was_sold(shop: Emulator, push: StockPush, clock: Clock) -> None:
    morning = clock.now
    push.run(wishes(3, observed_at=morning))
    shop.store.add_item("S001", Stock="4", Price=Decimal("9.9000"), Cost=Decimal(1))  # the web shop sold one
    clock.forward(hours=1)
    report = push.full_reconcile()
    assert [(p.key, p.state) for p in report.problems] == [("S001", "differs")]
    assert (report.exit_code, stock(shop, "S001")) == (1, "4")
    report = push.run(wishes(3, observed_at=morning))
    assert ([p.state for p in report.problems], stock(shop, "S001")) == (["stale"], "4"), "older than that fact"
    assert push.run(wishes(3, observed_at=clock.now)).exit_code == 0
    assert stock(shop, "S001") == "5", "a file of now"


def test_a_reconciliation_restores_stock_if_it_is_asked_to(shop: Emulator, push: StockPush) -> None:
    push.run(wishes(3))
    shop.store.add_item("S001", Stock="0", Price=Decimal("9.9000"), Cost=Decimal(1))
    assert push.full_reconcile(restore=True).exit_code == 0
    assert stock(shop, "S001") == "5"


def test_a_price_is_restored_beside_a_stock_that_was_sold(shop: Emulator, push: StockPush) -> None:
    push.run(wishes(1))
    shop.store.add_item("S000", Stock="4", Price=Decimal("1.0000"), Cost=Decimal(1))
    push.full_reconcile()
    item = shop.store.item("S000")
    assert item is not None
    assert (item["Stock"], item["Price"]) == ("4", Decimal("9.9"))


# -- interruptions and pauses --------------------------------------------------------------------------------------


def test_a_stop_while_the_input_is_read_is_no_success(
    shop: Emulator, push: StockPush, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octopus_soap.jobs.push.CHUNK", 5)
    stop, told = threading.Event(), list[tuple[int, int | None]]()

    def reading(progress: Any) -> None:
        told.append((progress.done, progress.total))
        stop.set()

    report = push.run(wishes(20), stop=stop, reading=reading)
    assert (report.interrupted, report.incomplete, report.exit_code) == (True, True, 130)
    assert told == [(5, 20)]
    assert shop.calls == []
    assert push.run(wishes(20)).exit_code == 0


def test_a_stop_before_orders_or_changes_were_listed_is_no_success(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    stop, came = threading.Event(), list[str]()
    ledger = make_ledger(reach=lambda step: step == "orders.listed" and stop.set())
    service.store.add_items([{"Sku": "A"}], changed=True)
    sold = sell(service, 1)
    report = OrderInbox(client, ledger).run(lambda order, _: came.append(order.id), stop=stop)
    assert (report.exit_code, "interrupted before all orders were listed" in str(report), came) == (130, True, [])
    report = ChangeFeed(client, ledger).run(lambda change: came.append(change.sku), stop=stop)
    assert (report.exit_code, "before the list of changes was read" in str(report), came) == (130, True, [])
    assert OrderInbox(client, make_ledger()).run(lambda order, _: came.append(order.id)).exit_code == 0
    assert ChangeFeed(client, ledger).run(lambda change: came.append(change.sku)).exit_code == 0
    assert came == [sold, "A"]


@pytest.mark.parametrize("job", ["push", "orders", "changes"])
def test_a_pause_the_service_asked_for_is_kept_by_every_later_run(
    shop: Emulator, client: OctopusClient, ledger: Ledger, clock: Clock, job: str
) -> None:
    jobs: dict[str, Callable[[], Report]] = {
        "push": lambda: StockPush(client, ledger).run(wishes(1)),
        "orders": lambda: OrderInbox(client, ledger).run(lambda *_: None),
        "changes": lambda: ChangeFeed(client, ledger).run(lambda _: None),
    }
    shop.script.on().do(faults.Status(429, retry_after=900))
    report = jobs[job]()
    assert (report.exit_code, report.not_before) == (2, clock.now + timedelta(seconds=900))
    shop.script.clear()
    calls = len(shop.calls)
    clock.forward(minutes=10)
    for again in jobs.values():
        report = again()
        assert (report.exit_code, report.not_before) == (2, clock.now + timedelta(minutes=5))
        assert "left alone until" in report.error
    assert len(shop.calls) == calls
    clock.forward(minutes=6)
    assert jobs[job]().exit_code == 0


def test_a_loop_waits_for_the_longer_of_its_pause_and_the_services() -> None:
    waited: list[float] = []

    class Stop(threading.Event):
        """Records the pause, and ends the loop."""

        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            self.set()
            return True

    now = datetime(2026, 3, 4, tzinfo=UTC)
    for asked in (None, now + timedelta(seconds=900)):
        every(2.0, lambda asked=asked: Report("push", now, now, not_before=asked), stop=Stop())  # type: ignore[misc] # bound now
    assert waited[0] <= 2.0
    assert waited[1] == 900.0
