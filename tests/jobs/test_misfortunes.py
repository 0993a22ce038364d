"""Wrong clocks, dead connections, mistyped addresses: mishaps of a ledger."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from sqlalchemy import insert, select, text

from octopus_soap import LedgerError
from octopus_soap.emulator import faults
from octopus_soap.jobs import ChangeFeed, Ledger, OrderInbox, StockPush, every, inspection
from octopus_soap.jobs.leases import has_exited, this_worker
from octopus_soap.jobs.reports import Report
from octopus_soap.jobs.tables import ORDER_CURSORS, RUN_LOCK, STOCK_ITEM
from tests.jobs.databases import both, one_database  # noqa: F401 - a fixture
from tests.jobs.shops import Clock, confirmed, sell, states

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator

on_postgres = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@dataclass(frozen=True)
class SaysNo(faults.InjectedFault):
    """Refuses a SKU in other words."""

    words: str

    def apply(self, exchange: Any, reply: Any, plan: Any) -> Any:
        """Replace the words."""
        del exchange, plan
        return reply.with_body(re.sub(rb"(<a:ErrorMessage>)[^<]*", rb"\1" + self.words.encode(), reply.body))


def stock(service: Emulator) -> dict[str, str]:
    return {sku: item["Stock"] for sku, item in service.store.items().items()}


# -- clocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 100])
def test_a_push_after_the_clock_was_set_back_is_still_the_newest(
    service: Emulator,
    client: OctopusClient,
    make_ledger: Callable[..., Ledger],
    monkeypatch: pytest.MonkeyPatch,
    chunk: int,
) -> None:
    monkeypatch.setattr("octopus_soap.jobs.push.CHUNK", chunk)
    clock = Clock()
    service.store.add_items({"Sku": sku, "Stock": "0"} for sku in ("A", "B"))
    push = StockPush(client, make_ledger(clock=clock), max_change_share=1, last_row_wins=True)
    clock.forward(days=3650)
    push.run([{"sku": "A", "stock": 5}, {"sku": "B", "stock": 5}])
    clock.forward(days=-3650)
    report = push.run([{"sku": "A", "stock": 4}, {"sku": "B", "stock": 5}])
    assert report.counts.get("stale", 0) == 0
    assert stock(service) == {"A": "4", "B": "5"}
    report = push.run([{"sku": "A", "stock": 3}, {"sku": "A", "stock": 2}])
    assert stock(service) == {"A": "2", "B": "5"}


def test_work_that_is_due_in_another_year_is_done_once_the_clock_is_right(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    service.store.add_items([{"Sku": "A", "Stock": "0"}], changed=True)
    sold = sell(service, 1)

    def fail(*given: Any) -> None:
        raise RuntimeError(f"no room for {len(given)}")

    stop = threading.Event()
    clock.forward(days=3650)
    OrderInbox(client, ledger).run(fail)
    ChangeFeed(client, ledger).run(fail)
    planning = Ledger(str(ledger.url.database), clock=clock, reach=lambda step: step == "push.accepted" and stop.set())
    with planning:
        StockPush(client, planning).run([{"sku": "A", "stock": 5}], stop=stop)
    clock.forward(days=-3650)
    came: list[object] = []
    OrderInbox(client, ledger).run(lambda order, delivery: came.append((order.id, delivery.attempt)))
    ChangeFeed(client, ledger).run(lambda change: came.append((change.sku, change.attempt)))
    StockPush(client, ledger).work()
    assert came == [(sold, 2), ("A", 2)]
    assert stock(service) == {"A": "5"}


def test_a_lease_of_another_year_holds_nobody_up_once_the_clock_is_right(make_ledger: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    elsewhere = "worker/till-2/another-boot/1.1#1"
    far = clock.now + timedelta(days=3650)
    with ledger.transaction() as connection:
        held = {"channel": "main", "leased_by": elsewhere, "leased_until": far}
        connection.execute(insert(STOCK_ITEM).values(sku="A", state="pending", due_at=clock.now, **held))
        connection.execute(insert(RUN_LOCK).values(job="push", since=far, **held))
    with ledger.run_lock("push"), ledger.transaction() as connection:
        assert len(ledger.claim(connection, STOCK_ITEM, limit=5, seconds=60).rows) == 1


def test_late_orders_are_swept_for_after_the_clock_was_set_back(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    inbox = OrderInbox(client, ledger)
    clock.forward(days=3650)
    sell(service, 1)
    inbox.run(lambda order, delivery: None)
    clock.forward(days=-3650)
    late = sell(service, 2, at=datetime(2024, 1, 1, tzinfo=UTC))
    inbox.run(lambda order, delivery: None)
    assert late in confirmed(service)
    with ledger.reading() as connection:
        assert connection.execute(select(ORDER_CURSORS.c.swept_at)).scalar_one() == clock.now


# -- databases -----------------------------------------------------------------------------------------------------


@on_postgres
def test_a_server_that_defaults_to_stricter_transactions_makes_no_difference(
    service: Emulator, client: OctopusClient, place: str
) -> None:
    strict = place.replace("options=", "options=-cdefault_transaction_isolation%3Dserializable%20")
    sold = sell(service, 1)
    with Ledger(strict) as ledger, ledger.transaction() as connection:
        assert connection.execute(text("SHOW default_transaction_isolation")).scalar_one() == "serializable"
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
        OrderInbox(client, ledger).run(lambda order, delivery: None)
        assert states(ledger) == {sold: "confirmed"}


@on_postgres
@pytest.mark.parametrize("what", ["release", "retry", "take from the dead"])
def test_rows_are_locked_by_their_keys_so_that_nobody_waits_in_a_ring(
    make_ledger: Callable[..., Ledger], place: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    other = make_ledger()
    as_stored = (
        "options=-cenable_indexscan%3Doff%20-cenable_bitmapscan%3Doff%20"  # rows come in their order on the disk
    )
    ledger = Ledger(place.replace("options=", as_stored))
    now = ledger.now()
    with ledger.transaction() as connection:
        for sku in "CBA":  # the opposite order on the disk
            values = {"channel": "main", "sku": sku, "state": "rejected", "due_at": now, "attempts": 1}
            connection.execute(insert(STOCK_ITEM).values(values))
        lease = ledger.claim(connection, STOCK_ITEM, order_by=[STOCK_ITEM.c.sku.desc()], limit=3, seconds=60)
    monkeypatch.setattr("octopus_soap.jobs.leases.has_exited", lambda token: True)

    def change() -> None:
        if what == "retry":
            inspection.retry(ledger)
            return
        with ledger.transaction() as connection:
            if what == "release":
                ledger.release(connection, lease)
            else:
                ledger.reclaim_dead_leases(connection, STOCK_ITEM)

    row = "SELECT sku FROM stock_item WHERE sku = :sku FOR UPDATE"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE :mine = ANY(pg_blocking_pids(pid))"
    thread = threading.Thread(target=change)
    with other.transaction() as connection:
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.execute(text(row), {"sku": "B"})
        thread.start()
        while not connection.execute(text(waiting), {"mine": mine}).scalar_one():
            assert thread.is_alive()
        locked = f"{row} SKIP LOCKED"
        free = [sku for sku in "ABC" if connection.execute(text(locked), {"sku": sku}).first() is not None]
        assert free == ["B", "C"], "A is locked by who waits for B, and C is not yet"
    thread.join()
    ledger.close()


@on_postgres
@pytest.mark.parametrize(
    ("step", "transactional"),
    [("orders.listed", False), ("orders.handled", False), ("orders.handled", True), ("orders.confirm_sent", True)],
)
def test_connections_that_are_cut_at_any_step_lose_nothing(
    service: Emulator,
    client: OctopusClient,
    make_ledger: Callable[..., Ledger],
    place: str,
    step: str,
    transactional: bool,
) -> None:
    clock, cut, came = Clock(), list[str](), list[tuple[str, bool]]()
    other = make_ledger()

    def reach(at: str) -> None:
        if at == step and not cut:
            cut.append(at)
            with other.transaction() as connection:
                end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut'"
                connection.execute(text(end))

    ledger = Ledger(f"{place}&application_name=cut", clock=clock, reach=reach)
    sold = [sell(service, number) for number in range(3)]
    inbox = OrderInbox(client, ledger, transactional=transactional)
    for _ in range(3):
        with suppress(LedgerError):
            inbox.run(lambda order, delivery: came.append((order.id, delivery.redelivered)))
        clock.forward(hours=1)
    assert cut == [step]
    assert states(ledger) == dict.fromkeys(sold, "confirmed")
    assert confirmed(service) == set(sold)
    again = [order_id for order_id, _ in came]
    assert sorted(set(again)) == sold
    assert len(again) <= 4, "only the order under way comes twice"
    ledger.close()


@on_postgres
def test_a_server_that_was_restarted_between_two_transactions_is_met_with_new_connections(
    make_ledger: Callable[..., Ledger], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, other, asked = Ledger(f"{place}&application_name=cut"), make_ledger(), list[object]()
    ask = ledger.engine.dialect.do_ping
    monkeypatch.setattr(
        ledger.engine.dialect, "do_ping", lambda connection: asked.append(connection) or ask(connection)
    )

    def works() -> bool:
        with ledger.transaction() as writing, ledger.reading() as reading:  # two connections
            return all(connection.execute(text("SELECT 1")).scalar_one() == 1 for connection in (writing, reading))

    assert works()
    assert works()
    assert asked == [], "both were used a moment ago"
    end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'cut'"
    with other.transaction() as connection:
        assert connection.execute(text(end)).scalars().all() == [True, True]
    assert works()
    assert len(asked) == 1, "the first one that has ended drops the others"
    monkeypatch.setattr("octopus_soap.jobs.ledger._TRUSTED_SECONDS", 0)
    assert works()
    assert len(asked) == 3
    ledger.close()


def test_a_lock_that_cannot_be_given_back_hides_neither_the_work_nor_its_error(
    make_ledger: Callable[..., Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = make_ledger()

    def work() -> str:
        with ledger.run_lock("push"):
            monkeypatch.setattr(ledger._database, "closed", True)
            return "done"

    assert work() == "done"
    monkeypatch.undo()
    with make_ledger().transaction() as connection:
        connection.execute(text("DELETE FROM run_lock"))

    def fail() -> None:
        with ledger.run_lock("push"):
            monkeypatch.setattr(ledger._database, "closed", True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux a process can be recognised later")
def test_a_process_the_system_hides_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hidepid` hides other users' processes like this."""
    worker = this_worker()

    def hidden(process: psutil.Process) -> str:
        raise psutil.NoSuchProcess(process.pid)

    def anothers(*given: Any) -> None:
        raise PermissionError(given)

    def no_more(*given: Any) -> None:
        raise ProcessLookupError(given)

    monkeypatch.setattr(psutil.Process, "status", hidden)
    assert not has_exited(worker)
    monkeypatch.setattr(os, "kill", anothers)
    assert not has_exited(worker)
    monkeypatch.setattr(os, "kill", no_more)
    assert has_exited(worker)


@pytest.mark.parametrize(
    "place",
    [
        "postgresql:/jobs:geheim-5f2c81@host/db",
        "postgres:jobs:geheim-5f2c81@host/db",
        "postgresql//jobs:geheim-5f2c81@host/db",
        "jobs:geheim-5f2c81@host/db",
        "sqlite:shop.db",
    ],
)
def test_a_mistyped_url_is_no_file_and_shows_no_password(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LedgerError, match="postgresql://user@host/database") as caught:
        Ledger(place)
    assert "geheim" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_sqlite_that_is_too_old_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 26, 0))
    with pytest.raises(LedgerError, match=r"needs SQLite 3\.33 or newer"):
        Ledger(tmp_path / "a.db")


# -- loops ---------------------------------------------------------------------------------------------------------


def test_a_file_that_is_away_for_a_moment_does_not_end_a_loop(tmp_path: Path) -> None:
    stop, told = threading.Event(), list[object]()

    def job() -> Report:
        if not told:
            (tmp_path / "stock.csv").read_text()
        stop.set()
        return Report("push", datetime.now(UTC))

    assert every(0, job, stop=stop, on_error=told.append, on_report=told.append) == 2
    assert [type(one).__name__ for one in told] == ["FileNotFoundError", "Report"]


def test_a_cancelled_task_stops_its_job_as_the_page_about_jobs_shows_it(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text(encoding="utf-8")
    recipe = next(code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def run_job" in code)
    names: dict[str, Any] = {"threading": threading}
    exec(recipe.partition("report = ")[0], names)
    ledger, seen = make_ledger(), list[bool]()
    push = StockPush(client, ledger)

    async def cancelled() -> None:
        loop = asyncio.get_running_loop()

        def run(rows: list[dict[str, Any]], stop: threading.Event) -> Report:
            loop.call_soon_threadsafe(task.cancel)
            seen.append(stop.wait(30))
            return push.run(rows, stop=stop)

        task = asyncio.create_task(names["run_job"](run, [{"sku": "A", "stock": 5}]))
        with pytest.raises(asyncio.CancelledError):
            await task
        seen.append(True)

    service.store.add_item("A", Stock="1")
    asyncio.run(cancelled())
    assert seen == [True, True], "the stop token was set, and the task ended after its job"
    assert stock(service) == {"A": "1"}
    report = asyncio.run(names["run_job"](push.run, [{"sku": "A", "stock": 5}]))
    assert (report.exit_code, stock(service)) == (0, {"A": "5"}), "the next run is not locked out"


def test_a_worker_that_confirms_nothing_does_not_wait_for_confirmations(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    stop = threading.Event()
    ledger = make_ledger(reach=lambda step: step == "orders.committed" and stop.set())
    sold = sell(service, 1)
    OrderInbox(client, ledger).run(lambda order, delivery: None, stop=stop)
    assert states(ledger) == {sold: "handled"}
    ended = threading.Timer(20, stop.set)
    stop.clear()
    ended.start()
    OrderInbox(client, ledger, confirm=False).work(lambda order, delivery: None, stop=stop)
    ended.cancel()
    assert not stop.is_set(), "it ended by itself"


# -- what is reported ---------------------------------------------------------------------------------------------


def test_an_order_that_stays_unconfirmed_is_held_and_can_be_tried_again(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    ledger = make_ledger(clock=Clock())
    inbox = OrderInbox(client, ledger)
    sold = sell(service, 1)
    service.script.on("SetDownload*").do(faults.Status(500))
    report = inbox.run(lambda order, delivery: None)
    assert [(problem.key, problem.state) for problem in report.problems] == [(sold, "unconfirmed")]
    assert [(problem.key, problem.state) for _, problem in inspection.held(ledger)] == [(sold, "unconfirmed")]
    service.script.clear()
    assert inbox.run(lambda order, delivery: None).counts.get("confirmed", 0) == 0, "not before its pause"
    assert inspection.retry(ledger, [sold]) == 1
    assert inbox.run(lambda order, delivery: None).exit_code == 0
    assert confirmed(service) == {sold}
    assert list(inspection.held(ledger)) == []


def test_what_a_service_says_of_a_sku_is_told_without_secrets(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    words = f"account {client.settings.secrets()[0]} may not " + "x" * 5000
    service.script.on("UpdateItemQuantityAndPriceList").do(SaysNo(words))
    report = StockPush(client, ledger).run([{"sku": "A", "stock": 1}])
    assert report.problems[0].state == "rejected"
    assert "***" in report.problems[0].message
    assert len(report.problems[0].message) <= 400
