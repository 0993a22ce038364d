"""`StockPush`: sends differences only, records each outcome, and refuses mistakes."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from octopus_soap import (
    AuthenticationError,
    ConfigError,
    InvalidInputError,
    ItemQuantityAndPrice,
    JobRunningError,
    LedgerError,
    PushRefusedError,
    StoreStockInfo,
)
from octopus_soap.emulator import MutateReply, faults
from octopus_soap.jobs import Ledger, StockPush
from octopus_soap.jobs.desired import (
    OBSERVED,
    Desired,
    as_item,
    as_text,
    covers,
    difference,
    merged,
    read_desired,
    values_of,
)
from octopus_soap.jobs.reports import Backoff
from octopus_soap.jobs.tables import RUN_LOCK, STOCK_ITEM, STOCK_PLAN
from tests.contract.contract_variants import values_not_nillable, variant
from tests.jobs.databases import both, both_at_once, one_database  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from octopus_soap import OctopusClient, Progress
    from octopus_soap.emulator import Emulator

LOCKS = {"lock_stock": False, "lock_price": False, "lock_cost": False}
MORNING = datetime(2026, 3, 4, 8, tzinfo=UTC)


def wish(sku: str, stock: int = 5, price: str = "9.90", **more: Any) -> dict[str, Any]:
    return {"sku": sku, "stock": stock, "price": price, "cost": "1", **LOCKS, **more}


def wishes(count: int, **more: Any) -> list[dict[str, Any]]:
    return [wish(f"S{i:03}", **more) for i in range(count)]


def stock(service: Emulator, sku: str) -> str:
    item = service.store.item(sku)
    assert item is not None
    return item["Stock"]


def sent(service: Emulator, since: int = 0) -> list[str]:
    calls = [c for c in service.calls[since:] if c.operation == "UpdateItemQuantityAndPriceList"]
    return [key for call in calls for key in call.keys]


def rows(ledger: Ledger) -> dict[str, Any]:
    with ledger.reading() as connection:
        return {row.sku: row for row in connection.execute(select(STOCK_ITEM))}


@pytest.fixture
def shop(service: Emulator) -> Emulator:
    """A service with the SKUs S000 to S019, without stock."""
    service.store.add_items({"Sku": f"S{i:03}", "Stock": "0", "Price": Decimal("1.00")} for i in range(20))
    return service


@pytest.fixture
def push(client: OctopusClient, ledger: Ledger) -> StockPush:
    return StockPush(client, ledger, batch_size=8)


# -- differences ---------------------------------------------------------------------------------------------------


@both_at_once
def test_only_differences_are_sent(shop: Emulator, push: StockPush) -> None:
    first = push.run(wishes(20))
    assert (first.counts["new"], first.counts["acknowledged"], first.exit_code) == (20, 20, 0)
    assert stock(shop, "S007") == "5"
    calls = len(shop.calls)
    again = push.run(wishes(20))
    assert (again.counts["unchanged"], again.exit_code, len(shop.calls)) == (20, 0, calls)
    third = push.run([*wishes(19), wish("S019", stock=6)])
    assert third.counts["changed"] == 1
    assert sent(shop, calls) == ["S019"]
    assert shop.lint == []


def test_equal_values_written_otherwise_are_no_difference(shop: Emulator, push: StockPush) -> None:
    stores = [StoreStockInfo(store_id=str(i), store_stock=i) for i in (1, 2)]
    push.run([wish("S000", price="9.90", store_stock_info_list=stores)])
    calls = len(shop.calls)
    push.run([wish("S000", price="9.9", store_stock_info_list=stores[::-1])])
    push.run([wish("S000", price=Decimal("9.9000"))])
    push.run([{"Sku": "S000", "Stock": 5}])
    assert len(shop.calls) == calls


@both
def test_a_partial_state_is_compared_and_sent_as_given(shop: Emulator, make_client: Any, ledger: Ledger) -> None:
    push = StockPush(make_client(omitted_values="send"), ledger)
    push.run([wish("S000")])
    push.run([{"sku": "S000", "stock": 7}], force=True)
    assert b"<Price>" not in shop.calls[-1].request
    assert '"price":"9.9"' in rows(ledger)["S000"].acknowledged
    assert '"stock":7' in rows(ledger)["S000"].acknowledged


def test_a_sku_that_no_longer_comes_is_left_alone(shop: Emulator, push: StockPush) -> None:
    push.run(wishes(20))
    report = push.run(wishes(3))
    assert report.counts["unchanged"] == 3
    assert len(shop.store.items()) == 20
    assert stock(shop, "S010") == "5"


def test_desired_states_come_as_models_mappings_files_and_generators(
    shop: Emulator, push: StockPush, tmp_path: Path
) -> None:
    push.run(ItemQuantityAndPrice(**wish(f"S{i:03}", stock=2)) for i in range(3))
    assert stock(shop, "S002") == "2"
    file = tmp_path / "stock.csv"
    head = "sku;stock;price;cost;lock_stock;lock_price;lock_cost\n"
    file.write_text(f"{head}S000;30;1.5;1;false;false;false\nS001;31;1.5;1;0;0;0\n", encoding="utf-8")
    report = push.run(file, force=True)
    assert (report.counts["read"], stock(shop, "S001")) == (2, "31")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_desired_states_come_as_frames(shop: Emulator, push: StockPush, library: str) -> None:
    frames = pytest.importorskip(library)
    frame = frames.DataFrame(wishes(3, stock=3))
    assert push.run(frame).counts["acknowledged"] == 3
    frame = frames.DataFrame([{**row, OBSERVED: MORNING} for row in wishes(3, stock=4)])
    assert push.run(frame).counts["stale"] == 3


@both
def test_a_row_that_is_not_right_is_told_and_the_others_are_sent(
    shop: Emulator, push: StockPush, tmp_path: Path
) -> None:
    report = push.run([wish("S000"), wish("S001", stock="many"), {"stock": 1}, "S002", wish("S003")])
    assert (report.counts["acknowledged"], report.counts["invalid"], report.exit_code) == (2, 3, 1)
    assert [problem.key for problem in report.problems] == ["S001", "row 2", "row 3"]
    assert "expected an int" in report.problems[0].message
    file = tmp_path / "stock.csv"
    file.write_text("sku,stock,price\nS000,5,free\nS001\n", encoding="utf-8")
    problems = push.run(file).problems
    assert [(problem.key, problem.state) for problem in problems] == [("S000", "invalid"), ("row 3", "invalid")]


@pytest.mark.parametrize(("source", "said"), [(7, "not one int"), ({"sku": "A"}, "not one dict"), (None, "NoneType")])
def test_what_is_no_source_is_refused(push: StockPush, source: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        push.run(source)


# -- the newest observation wins -----------------------------------------------------------------------------------


@both
def test_the_newest_observation_of_a_sku_wins_whatever_the_order(
    shop: Emulator, push: StockPush, ledger: Ledger
) -> None:
    later = MORNING + timedelta(hours=1)
    push.run([wish("S000", stock=9, observed_at=later), wish("S000", stock=3, observed_at=MORNING)])
    assert stock(shop, "S000") == "9"
    old = push.run([wish("S000", stock=3)], observed_at=MORNING, force=True)
    assert (old.counts["stale"], stock(shop, "S000")) == (1, "9")
    push.run([wish("S000", stock=9)], observed_at=later + timedelta(hours=1))
    between = push.run([wish("S000", stock=4)], observed_at=later + timedelta(minutes=30), force=True)
    assert between.counts["stale"] == 1, "that nothing had changed was an observation too"
    assert rows(ledger)["S000"].observed_at == later + timedelta(hours=1)


def test_without_times_the_last_run_wins_and_the_last_row_if_it_is_asked_for(
    shop: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    push = StockPush(client, ledger, last_row_wins=True)
    push.run([wish("S000", stock=1), wish("S000", stock=2)])
    assert stock(shop, "S000") == "2"
    push.run([wish("S000", stock=1)], force=True)
    assert stock(shop, "S000") == "1"


@both
def test_a_sku_in_two_chunks_is_sent_once_with_its_last_state(
    shop: Emulator, client: OctopusClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = StockPush(client, ledger, last_row_wins=True)
    monkeypatch.setattr("octopus_soap.jobs.push.CHUNK", 2)
    push.run(wishes(4))
    calls = len(shop.calls)
    states = [wish("S000", stock=8), wish("S001"), wish("S000", stock=9), wish("S002", stock=6), wish("S002")]
    report = push.run(states, force=True)
    assert sent(shop, calls) == ["S000"]
    assert (report.counts["changed"], stock(shop, "S000")) == (1, "9")


# -- the guard -----------------------------------------------------------------------------------------------------


@both
def test_a_push_that_would_zero_too_much_is_refused(shop: Emulator, push: StockPush, ledger: Ledger) -> None:
    push.run(wishes(20))
    before, calls = rows(ledger), len(shop.calls)
    with pytest.raises(PushRefusedError, match=r"20 SKUs .*5 \(25%\) would become 0 .*--force") as caught:
        push.run(wishes(5, stock=0))
    assert (caught.value.zeroed, caught.value.changed, caught.value.catalogue) == (5, 5, 20)
    assert (rows(ledger), len(shop.calls)) == (before, calls)
    assert push.run(wishes(5, stock=0), force=True).counts["acknowledged"] == 5


def test_what_is_staged_is_left_to_the_guard_of_its_own_channel(
    shop: Emulator, client: OctopusClient, make_ledger: Any
) -> None:
    def meanwhile(step: str) -> None:
        if step == "push.staged":
            StockPush(client, make_ledger(channel="other")).run([wish("S000")])

    ledger = make_ledger(reach=meanwhile)
    with pytest.raises(PushRefusedError):
        StockPush(client, ledger).run(wishes(20, stock=0))
    assert list(rows(ledger)) == ["S000"]


def test_what_a_run_had_staged_that_was_killed_is_not_carried_out_by_the_next(
    shop: Emulator, client: OctopusClient, make_ledger: Any
) -> None:
    def killed(step: str) -> None:
        if step == "push.planned":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StockPush(client, make_ledger(reach=killed)).run(wishes(3))
    StockPush(client, make_ledger()).run([wish("S009")])
    assert sent(shop) == ["S009"]


def test_a_push_that_would_change_too_much_is_refused(shop: Emulator, push: StockPush) -> None:
    push.run(wishes(20))
    assert push.run(wishes(4, stock=6)).exit_code == 0
    with pytest.raises(PushRefusedError, match=r"5 \(25%\) would change"):
        push.run(wishes(5, stock=7))


def test_the_share_is_the_callers(shop: Emulator, client: OctopusClient, ledger: Ledger) -> None:
    push = StockPush(client, ledger, max_change_share=1)
    push.run(wishes(20))
    assert push.run(wishes(20, stock=0)).counts["zeroed"] == 20
    with pytest.raises(PushRefusedError):
        StockPush(client, ledger, max_change_share=0).run(wishes(1, stock=3))


def test_a_first_push_changes_nothing_but_zeros_count(shop: Emulator, push: StockPush) -> None:
    states = [*wishes(14), *(wish(f"S{i:03}", stock=0) for i in range(14, 20))]
    with pytest.raises(PushRefusedError, match=r"20 SKUs of a first push, 6 \(30%\) would become 0"):
        push.run(states)
    assert push.run(states[:17]).exit_code == 0
    assert push.run([wish(f"N{i}", stock=0) for i in range(9)]).counts["new"] == 9, "new items take nothing away"


@both
def test_work_that_was_accepted_is_not_guarded_again(shop: Emulator, push: StockPush) -> None:
    push.run(wishes(20))
    shop.script.on("Update*").do(faults.Status(503))
    assert push.run(wishes(20, stock=0), force=True).exit_code == 2
    shop.script.clear()
    report = push.run(wishes(20, stock=0))
    assert (report.counts["acknowledged"], report.counts["left"]) == (20, 0)


@both
def test_a_dry_run_tells_the_plan_and_changes_nothing(shop: Emulator, push: StockPush, ledger: Ledger) -> None:
    push.run(wishes(20))
    before, calls = rows(ledger), len(shop.calls)
    report = push.run([wish("S003", stock=0), wish("S004"), wish("N1")], dry_run=True)
    assert [(c.sku, c.before and c.before["stock"], c.after["stock"]) for c in report.plan] == [
        ("N1", None, 5),
        ("S003", 5, 0),
    ]
    refused = push.run(wishes(20, stock=0), dry_run=True)
    assert "would become 0" in refused.error
    assert (refused.exit_code, len(refused.plan)) == (2, 20)
    assert (rows(ledger), len(shop.calls)) == (before, calls)
    with ledger.reading() as connection:
        assert connection.execute(select(STOCK_PLAN)).all() == []


# -- failures -------------------------------------------------------------------------------------------------------


@both
def test_what_is_rejected_is_told_in_every_run_until_it_is_mended(
    shop: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    now = [datetime(2026, 3, 4, 12, tzinfo=UTC)]
    ledger = make_ledger(clock=lambda: now[0])
    push = StockPush(client, ledger)
    states = [*wishes(3), wish("NEW")]
    assert push.run(states).exit_code == 1
    for _ in range(2):
        now[0] += timedelta(seconds=10)
        report = push.run(states)
        assert [(p.key, p.state, p.message) for p in report.problems] == [
            ("NEW", "rejected", "The specified Sku does not exist")
        ]
    assert sent(shop).count("NEW") == 1, "not asked again at once"
    now[0] += timedelta(minutes=1)
    assert push.run(states).problems[0].attempts == 2
    shop.store.add_item("NEW", Stock="0")
    now[0] += timedelta(minutes=1)
    assert push.run(states).exit_code == 1, "the second pause is two minutes"
    now[0] += timedelta(minutes=1)
    fixed = push.run(states)
    assert (fixed.exit_code, fixed.problems, stock(shop, "NEW")) == (0, [], "5")


@both
def test_what_is_rejected_is_tried_again_when_its_wish_changes(shop: Emulator, push: StockPush) -> None:
    push.run([wish("NEW")])
    shop.store.add_item("NEW", Stock="0")
    assert push.run([wish("NEW", stock=6)]).exit_code == 0
    assert stock(shop, "NEW") == "6"


def test_values_the_client_will_not_leave_out_are_problems_of_their_skus(
    shop: Emulator, make_client: Any, ledger: Ledger, tmp_path: Path
) -> None:
    push = StockPush(make_client(wsdl=variant(tmp_path, values_not_nillable)), ledger)
    report = push.run([{"sku": "S000", "stock": 7}, wish("S001"), wish("S" * 51)])
    assert report.counts["acknowledged"] == 1
    assert {p.key[:4]: p.state for p in report.problems} == {"S000": "rejected", "SSSS": "rejected"}
    assert "leaves out" in report.problems[0].message
    assert "at most 50 characters" in report.problems[1].message
    assert stock(shop, "S000") == "0"


@both
def test_a_service_that_is_down_leaves_the_work_for_the_next_run(shop: Emulator, push: StockPush) -> None:
    shop.script.on("Update*").do(faults.Status(503))
    down = push.run(wishes(20))
    assert (down.exit_code, down.counts["left"]) == (2, 20)
    assert down.error.startswith("20 SKUs are still to be sent (S000, S001, S002 …): ")
    assert len({call.headers["x-request-id"] for call in shop.calls}) == 1, "an outage is met once, not batch by batch"
    shop.script.clear()
    assert push.run([]).counts["acknowledged"] == 20
    assert stock(shop, "S019") == "5"


def test_what_was_left_is_not_tried_again_in_the_same_run_not_even_if_the_clock_stands_still(
    shop: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    push = StockPush(client, make_ledger(clock=lambda: MORNING + timedelta(days=1)), batch_size=8)
    shop.script.on("Update*").do(MutateReply("missing-row", row=0))
    report = push.run(wishes(8))
    assert (report.counts["acknowledged"], report.counts["left"], report.counts["calls"]) == (7, 1, 1)


def test_skus_that_an_answer_leaves_out_are_named(shop: Emulator, push: StockPush) -> None:
    shop.script.on("Update*").do(MutateReply("missing-row", row=1))
    report = push.run(wishes(16))
    why = "the service's answer has no row for this item"
    assert report.error == f"2 SKUs are still to be sent (S001, S009): {why}"
    assert push.run([]).error == f"1 SKU is still to be sent (S009): {why}"


def test_the_rows_of_a_request_are_renewed_while_it_runs(
    shop: Emulator, push: StockPush, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[Any] = []
    seen: list[int] = []
    heartbeat = Ledger.heartbeat

    @contextmanager
    def noted(ledger: Ledger, lease: Any, seconds: float) -> Iterator[None]:
        with heartbeat(ledger, lease, seconds):
            renewed.append(lease)
            yield
            renewed.remove(lease)

    monkeypatch.setattr(Ledger, "heartbeat", noted)
    shop.script.on("Update*", when=lambda _: seen.append(len(renewed)) or False).do(faults.Latency(0))
    push.run(wishes(3))
    assert seen == [1]


def test_a_run_that_lost_its_lock_carries_out_no_plan(
    shop: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    thief = make_ledger(worker="thief")

    def stolen(step: str) -> None:
        if step == "push.planned":
            with thief.transaction() as connection:
                connection.execute(RUN_LOCK.update().values(leased_by="thief"))

    with pytest.raises(LedgerError, match="another run took over"):
        StockPush(client, make_ledger(reach=stolen)).run(wishes(3))
    assert shop.calls == []
    with thief.transaction() as connection:
        assert connection.execute(select(STOCK_ITEM.c.due_at).where(STOCK_ITEM.c.due_at.is_not(None))).all() == []


@pytest.mark.parametrize(("failures", "minutes"), [(1, 1), (2, 2), (6, 32), (7, 60), (400, 60)])
def test_the_pause_of_what_fails_doubles_up_to_its_limit(failures: int, minutes: int) -> None:
    assert Backoff(longest=timedelta(hours=1)).after(failures) == timedelta(minutes=minutes)


def test_refused_credentials_end_the_run_and_release_the_work(
    shop: Emulator, make_client: Callable[..., OctopusClient], ledger: Ledger
) -> None:
    good = make_client()
    StockPush(good, ledger)
    shop.script.on("Update*").do(faults.Status(401))
    with pytest.raises(AuthenticationError):
        StockPush(good, ledger).run(wishes(3))
    assert {(row.state, row.leased_by) for row in rows(ledger).values()} == {("pending", None)}
    shop.script.clear()
    assert StockPush(good, ledger).run([]).counts["acknowledged"] == 3


@both
def test_one_poison_sku_does_not_keep_the_others(shop: Emulator, make_client: Any, ledger: Ledger) -> None:
    shop.script.on("Update*", key="S013").do(faults.Reset())
    report = StockPush(make_client(), ledger).run(wishes(20))
    assert (report.counts["acknowledged"], report.counts["left"], report.exit_code) == (19, 1, 2)
    shop.script.clear()
    assert StockPush(make_client(), ledger).run(wishes(20)).exit_code == 0


def test_a_stop_ends_after_the_request_under_way(shop: Emulator, client: OctopusClient, make_ledger: Any) -> None:
    stop = threading.Event()
    ledger = make_ledger(reach=lambda step: stop.set() if step == "push.sent" else None)
    report = StockPush(client, ledger, batch_size=8).run(wishes(20), stop=stop)
    assert (report.interrupted, report.counts["acknowledged"], report.counts["left"]) == (True, 8, 12)
    assert report.error == ""
    assert StockPush(client, make_ledger(), batch_size=8).run([]).counts["acknowledged"] == 12


@both
def test_a_newer_wish_that_comes_while_a_batch_is_under_way_is_sent_too(
    shop: Emulator, client: OctopusClient, make_ledger: Any
) -> None:
    other = StockPush(client, make_ledger(worker="other"), max_change_share=1)

    def meanwhile(step: str) -> None:
        if step == "push.sent":
            assert other.run([wish("S000", stock=77)]).counts.get("acknowledged", 0) == 0, "S000 is under way"

    StockPush(client, make_ledger(), max_change_share=1).run(wishes(3))
    with make_ledger().transaction() as connection:
        connection.execute(
            STOCK_ITEM.update().values(
                due_at=MORNING, state="pending", wanted=as_text({"stock": 6, **LOCKS, "price": "9.9", "cost": "1"})
            )
        )
    report = StockPush(client, make_ledger(reach=meanwhile)).work()
    assert report.counts["left"] == 1, "the newer wish, which counts as not sent"
    assert (stock(shop, "S000"), stock(shop, "S001")) == ("6", "6")
    StockPush(client, make_ledger()).work()
    assert stock(shop, "S000") == "77"


@both
def test_two_runs_do_not_overlap(shop: Emulator, client: OctopusClient, make_ledger: Any) -> None:
    first, second = make_ledger(), make_ledger()
    with first.run_lock("push"), pytest.raises(JobRunningError, match="another run of push is under way"):
        StockPush(client, second).run(wishes(3))
    assert shop.calls == []


def test_progress_is_told_after_each_batch(shop: Emulator, push: StockPush) -> None:
    told: list[Progress] = []
    push.run(wishes(20), progress=told.append)
    assert [(p.done, p.total) for p in told] == [(8, 20), (16, 20), (20, 20)]


@pytest.mark.parametrize(
    "wrong", [{"max_change_share": 1.5}, {"batch_size": 0}, {"batch_size": 1001}, {"lease_seconds": 1}]
)
def test_settings_out_of_range_are_refused(client: OctopusClient, ledger: Ledger, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        StockPush(client, ledger, **wrong)


def test_a_ledger_of_another_account_is_refused(make_client: Any, ledger: Ledger) -> None:
    StockPush(make_client(), ledger)
    with pytest.raises(LedgerError, match="belongs to another account"):
        StockPush(make_client(account_id="4711"), ledger)


# -- reconciliation ------------------------------------------------------------------------------------------------


@both
def test_a_reconciliation_finds_and_repairs_what_others_changed(
    shop: Emulator, push: StockPush, ledger: Ledger
) -> None:
    push.run(wishes(20))
    shop.store.add_item("S003", Stock="99", Price=Decimal("9.9000"), Cost=Decimal(1))
    shop.store.remove_item("S004")
    seen = push.full_reconcile(dry_run=True)
    assert [(c.sku, c.before and c.before["stock"], c.after["stock"]) for c in seen.plan] == [
        ("S003", 99, 5),
        ("S004", None, 5),
    ]
    assert stock(shop, "S003") == "99"
    report = push.full_reconcile()
    assert (report.counts["read"], report.counts["drifted"], report.exit_code) == (20, 2, 1)
    assert stock(shop, "S003") == "5"
    assert [problem.key for problem in report.problems] == ["S004"]
    assert push.full_reconcile().counts.get("drifted", 0) == 0


def test_a_reconciliation_is_guarded(shop: Emulator, push: StockPush, ledger: Ledger) -> None:
    push.run(wishes(20))
    before = rows(ledger)
    shop.store.add_items({"Sku": f"S{i:03}", "Stock": "1"} for i in range(20))
    with pytest.raises(PushRefusedError):
        push.full_reconcile(restore=True)
    assert rows(ledger) == before
    assert push.full_reconcile(force=True, restore=True).counts["acknowledged"] == 20


def test_a_reconciliation_that_cannot_read_all_changes_nothing(
    shop: Emulator, make_client: Any, ledger: Ledger
) -> None:
    push = StockPush(make_client(max_attempts=1), ledger)
    push.run(wishes(20))
    shop.store.add_items({"Sku": f"S{i:03}", "Stock": "1"} for i in range(20))
    before = rows(ledger)
    shop.script.on("GetItemList").do(faults.Status(503))
    with pytest.raises(Exception, match="503"):
        push.full_reconcile(force=True)
    assert rows(ledger) == before


# -- values --------------------------------------------------------------------------------------------------------


def test_values_survive_the_way_to_the_ledger_and_back() -> None:
    stores = [StoreStockInfo(store_id="2", store_stock=Decimal("1.50")), StoreStockInfo(store_id="1")]
    item = ItemQuantityAndPrice(sku="A", stock=0, price=None, cost=Decimal("10.00"), lock_cost=True,
                                store_stock_info_list=stores)  # fmt: skip
    values = values_of(item)
    assert values["cost"] == "10"
    assert values["price"] is None
    assert as_item("A", values) == item
    assert values_of(as_item("A", values)) == values


def test_two_entries_for_one_store_are_refused() -> None:
    stores = [StoreStockInfo(store_id="1"), StoreStockInfo(store_id="1")]
    with pytest.raises(InvalidInputError, match="two entries for store '1'"):
        values_of(ItemQuantityAndPrice(sku="A", store_stock_info_list=stores))


def test_states_are_compared_member_by_member() -> None:
    known = {"stock": 5, "stores": {"1": {"store_stock": "2"}}}
    assert covers(known, {"stores": {"1": {"store_stock": "2"}}})
    assert not covers(known, {"stores": {"2": {"store_stock": "2"}}})
    assert not covers(known, {"price": None})
    assert merged(known, {"stores": {"2": {}}})["stores"] == {"1": {"store_stock": "2"}, "2": {}}
    assert difference(known, {"stock": 6, "price": "1", "stores": {"1": {"store_stock": "3"}}}) == {
        "stock": 6,
        "stores": {"1": {"store_stock": "3"}},
    }


def test_a_generator_is_read_once_and_as_it_comes() -> None:
    read: list[int] = []

    def source() -> Iterator[dict[str, Any]]:
        for i in range(3):
            read.append(i)
            yield wish(f"S{i}")

    rows = read_desired(source())
    assert isinstance(next(rows), Desired)
    assert read == [0]
