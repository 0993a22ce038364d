"""Whole fleets on the emulator: every merchant is served, no work lost or doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap.emulator import Emulator, Merchant
from octopus_soap.errors import ConfigError
from octopus_soap.fleet.fleet import load_functions
from octopus_soap.fleet.status import FleetMetrics, held, history
from octopus_soap.fleet.vault import Vault, new_key
from octopus_soap.observe.events import RetryScheduled
from octopus_soap.testing import Hang, Status
from tests.fleet.fleet_stage import CANARY, SLOTS, Book, enrol, fleet_of, names, shops
from tests.fleet.proxy import Proxy
from tests.jobs.databases import fresh_postgres, why_no_postgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap.fleet import Fleet


def run_until(fleet: Fleet, done: Callable[[], bool], seconds: float = 60) -> None:
    """Run the fleet until *done*."""
    stop = threading.Event()
    thread = threading.Thread(target=fleet.run, kwargs={"stop": stop, "grace_seconds": 10})
    thread.start()
    try:
        pause, left = threading.Event(), seconds
        while not done() and left > 0:
            pause.wait(0.05)
            left -= 0.05
        assert done(), fleet.status()
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def stock_of(service: Emulator, name: str) -> set[Any]:
    return {item["Stock"] for item in service.store.items(merchant=name).values()}


def open_orders(service: Emulator) -> int:
    return sum(
        not order.confirmed for name in service.merchants for order in service.store.orders(merchant=name.name).values()
    )


def test_every_merchant_is_served_once_and_nothing_is_left(place: str) -> None:
    book = Book()
    with shops(5) as service, fleet_of(place, book) as fleet:
        enrol(fleet, service, every={"push": 1, "orders": 1})
        run_until(fleet, lambda: open_orders(service) == 0 and all(stock_of(service, n) == {"7"} for n in names(5)))
        assert len(book.orders) == 10
        assert set(book.orders.values()) == {1}
        assert {job.outcome for job in fleet.status().jobs} <= {"ok", "interrupted", ""}
        assert "ok" in {run["outcome"] for run in history(fleet.ledger, "shop-000")}


def test_what_is_held_is_listed_with_the_reasons(place: str) -> None:
    book = Book()

    def broken(merchant: Any, order: Any, delivery: Any) -> None:
        raise ValueError(f"no warehouse for {delivery.key}")

    with shops(1) as service, fleet_of(place, book) as fleet:
        fleet._runner._orders = broken
        enrol(fleet, service, every={"orders": 1})
        run_until(fleet, lambda: len(held(fleet.ledger, "shop-000")) == 2)
        first, _ = held(fleet.ledger, "shop-000")
        assert (first.job, first.key, first.state, first.attempts) == ("orders", "100001", "quarantined", 1)
        assert "no warehouse for 100001" in first.message
        assert len(held(fleet.ledger, "shop-000", most=1)) == 1


def test_a_merchant_that_hangs_and_one_that_is_refused_hold_up_nobody(place: str) -> None:
    book = Book()
    refused = Merchant("refused-shop", "right-token", "canary-id-refused")
    with shops(3) as service, Emulator(merchants=[refused, Merchant("hung-shop", "t" * 8, "canary-id-hung")]) as bad:
        bad.script.on("*").do(Hang())
        with fleet_of(place, book) as fleet:
            enrol(fleet, service, every={"push": 1, "orders": 1})
            enrol(fleet, bad, every={"push": 1, "orders": 1}, read_timeout=0.5, total_timeout=1)
            fleet.registry.set("refused-shop", authtoken="wrong-token", endpoint=service.url)
            run_until(fleet, lambda: open_orders(service) == 0 and all(stock_of(service, n) == {"7"} for n in names(3)))
            jobs = {(job.name, job.job): job for job in fleet.status().jobs}
            assert jobs["hung-shop", "orders"].outcome in {"failed", "interrupted", ""}
            assert all(jobs[name, "push"].failures == 0 for name in names(3))
            assert not any(call.merchant == "refused-shop" for call in bad.calls)


def handed_over(fleet: Fleet, job: str) -> str:
    """Hand over the job of the only merchant now, and return its queue."""
    fleet.registry.run_now("shop-000", job)
    (due,) = fleet.schedule.take_due(SLOTS)
    return due.queue


@pytest.mark.parametrize("job", ["push", "orders", "changes"])
def test_a_merchant_whose_service_is_too_slow_gets_the_slow_queue_until_a_quick_run(job: str, place: str) -> None:
    book, stop = Book(), threading.Event()
    with shops(1) as service, fleet_of(place, book, changes=lambda merchant, change: None) as fleet:
        enrol(fleet, service, every={job: 3_600}, read_timeout=0.2)
        service.script.on("*").do(Hang())
        assert handed_over(fleet, job) == job
        ended = fleet.deliver("shop-000", job, stop)
        assert (ended.outcome, ended.timed_out) == ("failed", True), ended
        assert handed_over(fleet, job) == "slow"
        fleet.registry.set("shop-000", settings={"read_timeout": 30})
        service.script.clear()
        ended = fleet.deliver("shop-000", job, stop)
        assert (ended.outcome, ended.timed_out) == ("ok", False), ended
        assert handed_over(fleet, job) == job


def test_a_run_that_was_stopped_may_have_timed_out_too(place: str) -> None:
    stop = threading.Event()

    def stop_after_one_attempt(name: str, event: object) -> None:
        if isinstance(event, RetryScheduled):
            stop.set()

    with shops(1) as service, fleet_of(place, Book(), on_event=stop_after_one_attempt) as fleet:
        enrol(fleet, service, every={"orders": 3_600}, read_timeout=0.2, max_attempts=2)
        service.script.on("*").do(Hang())
        handed_over(fleet, "orders")
        ended = fleet.deliver("shop-000", "orders", stop)
        assert (ended.outcome, ended.timed_out) == ("interrupted", True), ended


def test_confirmations_that_time_out_show_a_slow_service(place: str) -> None:
    with shops(1) as service, fleet_of(place, book := Book()) as fleet:
        enrol(fleet, service, every={"orders": 3_600}, read_timeout=2)
        service.script.on("SetDownloadOrderConfirm").do(Hang())
        handed_over(fleet, "orders")
        ended = fleet.deliver("shop-000", "orders", threading.Event())
        assert (len(book.orders), ended.timed_out) == (2, True), ended


@pytest.mark.parametrize("job", ["push", "orders"])
def test_the_next_run_waits_as_long_as_the_service_asks(job: str, place: str) -> None:
    with shops(1) as service, fleet_of(place, Book()) as fleet:
        enrol(fleet, service, every={job: 1})
        service.script.on("*").do(Status(429, retry_after=3_000))
        handed_over(fleet, job)
        ended = fleet.deliver("shop-000", job, threading.Event())
        assert (ended.outcome, ended.timed_out) == ("failed", False), ended
        assert ended.retry_after is not None
        assert 2_000 < ended.retry_after <= 3_000
        (row,) = fleet.status().jobs
        assert (row.next_at - fleet.ledger.now()).total_seconds() > 2_000


def test_a_source_that_raises_is_that_merchants_failure_and_says_nothing_of_its_words(place: str) -> None:
    book = Book()

    def broken(merchant: Any) -> Any:
        if merchant.name == "shop-001":
            raise RuntimeError("canary-customer-data")
        return book.desired(merchant)

    with shops(3, orders=0) as service, fleet_of(place, book) as fleet:
        fleet._runner._stock = broken
        enrol(fleet, service, every={"push": 1})
        run_until(fleet, lambda: all(stock_of(service, n) == {"7"} for n in ("shop-000", "shop-002")))
        run_until(fleet, lambda: any(job.failures for job in fleet.status().jobs))
        (bad,) = [job for job in fleet.status().jobs if job.failures]
        assert bad.name == "shop-001"
        assert "RuntimeError" in bad.message
        assert "canary-customer-data" not in bad.message


@pytest.mark.long
def test_a_database_that_was_away_is_waited_for_and_is_no_failure_of_the_merchant() -> None:
    if why := why_no_postgres():
        pytest.skip(why)
    book, away = Book(), threading.Event()
    with shops(2) as service, fresh_postgres() as place, Proxy(place, 5432) as proxy, ExitStack() as stack:
        with fleet_of(place, book, vault=(vault := Vault(new_key()))) as direct:
            enrol(direct, service, every={"push": 1, "orders": 1})

        def cut_once(merchant: Any, order: Any, delivery: Any) -> None:
            if not away.is_set():
                away.set()
                proxy.cut()
                threading.Timer(1.5, proxy.restore).start()
            book.order(merchant, order, delivery)

        fleet = stack.enter_context(fleet_of(proxy.url, book, vault=vault))
        fleet._runner._orders = cut_once
        run_until(fleet, lambda: open_orders(service) == 0 and all(stock_of(service, n) == {"7"} for n in names(2)))
        runs = [run for name in names(2) for run in history(fleet.ledger, name)]
        assert {run["outcome"] for run in runs} <= {"ok", "interrupted"}
        assert all(job.failures == 0 for job in fleet.status().jobs)


def test_a_change_of_the_registry_reaches_running_workers(place: str) -> None:
    book = Book()
    with shops(2, orders=0) as service, fleet_of(place, book) as fleet:
        enrol(fleet, service, every={"push": 1})
        fleet.registry.pause("shop-001")
        run_until(fleet, lambda: stock_of(service, "shop-000") == {"7"})
        assert stock_of(service, "shop-001") == {"0"}
        fleet.registry.resume("shop-001")
        run_until(fleet, lambda: stock_of(service, "shop-001") == {"7"})


@pytest.mark.long
def test_keys_are_rotated_while_runs_read_secrets(place: str) -> None:
    book, old, new = Book(), new_key(), new_key()
    with shops(3) as service, fleet_of(place, book, vault=Vault(old)) as before:
        enrol(before, service, every={"push": 1, "orders": 1})
        rotated: list[int] = []

        def done() -> bool:
            rotated.append(fleet.registry.rotate_keys())
            return open_orders(service) == 0

        with fleet_of(place, book, vault=Vault(f"{new},{old}")) as fleet:
            run_until(fleet, done)
            assert max(rotated) == 3
            assert all(job.failures == 0 for job in fleet.status().jobs)
        with fleet_of(place, book, vault=Vault(new)) as after:
            given = service.settings("shop-001")["authtoken"]
            assert after.registry.settings_of("shop-001")[1].authtoken.get_secret_value() == given


def test_no_secret_in_status_metrics_rows_logs_or_representations(place: str, caplog: pytest.LogCaptureFixture) -> None:
    book = Book()
    with shops(2) as service, fleet_of(place, book) as fleet:
        enrol(fleet, service, every={"push": 1, "orders": 1})
        with caplog.at_level("DEBUG"):
            run_until(fleet, lambda: open_orders(service) == 0)
        from sqlalchemy import inspect, text

        with fleet.ledger.reading() as connection:
            tables = inspect(connection).get_table_names()
            rows = "".join(repr(connection.execute(text(f'SELECT * FROM "{table}"')).all()) for table in tables)
        shown = [
            rows,
            json.dumps(fleet.status().as_dict()),
            "".join(str(family) for family in FleetMetrics(fleet.ledger).collect()),
            caplog.text,
            repr(fleet) + repr(fleet.registry.all()),
        ]
        assert not [index for index, words in enumerate(shown) if CANARY in words]


WORKER = """
import os, sys, threading
from octopus_soap.fleet import Fleet, LocalEngine
from octopus_soap.fleet.vault import Vault

place, keys, journal = sys.argv[1:]

def order(merchant, order, delivery):
    with open(journal, "a") as file:
        file.write(f"{merchant.name} {delivery.key} {delivery.redelivered}\\n")

def desired(merchant):
    return [{"sku": f"SKU-{i}", "stock": 7} for i in range(3)]

with Fleet(place, stock=desired, orders=order, engine=LocalEngine({"orders": 4, "push": 4, "changes": 1, "slow": 1}),
           vault=Vault(keys), tick_seconds=0.1) as fleet:
    print("ready", flush=True)
    fleet.run(stop=threading.Event())
"""


@pytest.mark.long
def test_killed_again_and_again_nothing_is_lost_and_a_handed_over_order_is_known(place: str, tmp_path: Path) -> None:
    """Four kills of the only worker at different moments; the fifth may finish."""
    keys, journal = new_key(), tmp_path / "journal"
    journal.touch()
    with shops(6, orders=3) as service:
        with fleet_of(place, Book(), vault=Vault(keys)) as fleet:
            enrol(fleet, service, every={"push": 1, "orders": 1})
        for moment in (0.3, 0.1, 0.7, 0.4, 0):
            command = [sys.executable, "-c", WORKER, place, keys, str(journal)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, text=True) as worker:
                assert worker.stdout is not None
                assert worker.stdout.readline() == "ready\n"
                pause = threading.Event()
                if moment:
                    pause.wait(moment)
                else:
                    for _ in range(1_200):
                        if open_orders(service) == 0 and all(stock_of(service, name) == {"7"} for name in names(6)):
                            break
                        pause.wait(0.05)
                worker.send_signal(signal.SIGKILL)
        assert open_orders(service) == 0
        assert all(stock_of(service, name) == {"7"} for name in names(6))
        handed = [line.split() for line in journal.read_text().splitlines()]
        # A kill between the note that an order is handed over and the handler leaves an order whose first hand-over is
        # already marked as possibly repeated.
        assert len({(name, key) for name, key, _ in handed}) == 18
        fresh = [(name, key) for name, key, redelivered in handed if redelivered == "False"]
        assert len(fresh) == len(set(fresh)), "a second hand-over is marked as possibly repeated"
        assert len(fresh) >= 18 - 4 * 4, "at most one order of each slot is under way at a kill"


def test_the_users_functions_are_loaded_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_shops.py").write_text("def stock(merchant):\n    return None\n")
    (tmp_path / "my_nothing.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(load_functions("my_shops")) == ["stock"]
    for name in ("my_nothing", "no_such_module"):
        with pytest.raises(ConfigError, match=name):
            load_functions(name)
