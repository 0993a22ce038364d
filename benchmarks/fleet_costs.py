"""Measure what a fleet's runs cost.

Measured are the worker's processor time, statements, rows in the database, and messages at the broker.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from sqlalchemy import insert, text

from benchmarks.fleet_page import Row
from octopus_soap.emulator import Emulator, Merchant
from octopus_soap.fleet import Fleet
from octopus_soap.fleet.celery_engine import CeleryEngine, queue_name
from octopus_soap.fleet.schedule import Due
from octopus_soap.fleet.tables import RUN
from octopus_soap.fleet.vault import Vault, new_key
from octopus_soap.jobs.tables import STOCK_ITEM
from tests.fleet.crew import BROKER, Crew
from tests.jobs.databases import fresh_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

_MERCHANTS, _ROUNDS, _ROWS, _MESSAGES = 20, 5, 50_000, 3_000
_WORKER = """
import json, sys, threading, time
import psutil
from sqlalchemy import event, text
from octopus_soap.fleet import Fleet
from octopus_soap.fleet.vault import Vault

place, keys, merchants, rounds, skus = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
wanted = [{"sku": f"SKU-{number}", "stock": 7} for number in range(skus)]

def of_database(ledger):
    with ledger.reading() as connection:
        ours = text("SELECT pid FROM pg_stat_activity WHERE application_name = 'octopus-costs'")
        pids = connection.execute(ours).scalars().all()
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids) * 1000

stop, found = threading.Event(), {}
with Fleet(place, vault=Vault(keys), stock=lambda _: wanted, orders=lambda *_: None, connections=10) as fleet:
    for turn in range(rounds + 1):
        for job in ("push", "orders"):
            for number in range(merchants):
                fleet.registry.run_now(f"shop-{number}", job)
            due = fleet.schedule.take_due({"push": merchants, "orders": merchants})
            before = of_database(fleet.ledger)
            for run in due:
                began = time.process_time()
                assert fleet.deliver(run.name, run.job, stop).outcome == "ok"
                took = (time.process_time() - began) * 1000
                found.setdefault(job if turn else f"first {job}", []).append(took)
            if turn:
                spent = (of_database(fleet.ledger) - before) / merchants
                found.setdefault(f"{job} database", []).append(spent)
    for job in ("push", "orders"):
        fleet.registry.run_now("shop-0", job)
        (run,) = fleet.schedule.take_due({"push": 1, "orders": 1})
        count = found.setdefault(f"{job} statements", [])
        event.listen(fleet.ledger.engine, "before_cursor_execute", lambda *_, count=count: count.append(1))
        fleet.deliver(run.name, run.job, stop)
        found[f"{job} statements"] = list(count)
print(json.dumps(found))
"""
_IDLE_APP = """
import os
from celery import Celery
from octopus_soap.fleet.celery_engine import register

app = Celery("idle", broker=os.environ["OCTOPUS_FLEET_BROKER"])
app.conf.update(worker_prefetch_multiplier=1, task_create_missing_queues=True, broker_connection_retry_on_startup=True)
register(app, lambda *_: None, name=os.environ["OCTOPUS_FLEET_NAME"])
"""


def costs() -> Iterator[Row]:
    """Yield a row for each measured cost."""
    found = _runs()
    for job, words in (("push", "a push with nothing to do"), ("orders", "an orders run, none new")):
        count, database = len(found[f"{job} statements"]), statistics.mean(found[f"{job} database"])
        cost = f"{statistics.median(found[job]):.0f} ms of processor time"
        yield Row(words, "", f"{cost}; {count} statements, {database:.1f} ms of PostgreSQL's")
    big = _runs(skus=2_000, merchants=4)
    yield Row("the same push with 2,000 SKUs", "", f"{statistics.median(big['push']):.0f} ms of processor time")
    first = [*found["first push"], *found["first orders"]]
    yield Row("the first run of a merchant", "", f"{statistics.median(first):.0f} ms")
    yield from _rows()
    yield from _messages()


def _runs(*, skus: int = 20, merchants: int = _MERCHANTS) -> dict[str, list[float]]:
    names = [f"shop-{number}" for number in range(merchants)]
    accounts, keys = [Merchant(name, f"token-of-{name}", f"id-of-{name}") for name in names], new_key()
    with Emulator(merchants=accounts, keep_bodies=False) as service, fresh_postgres() as place:
        with Fleet(place, vault=Vault(keys)) as fleet:
            for name in names:
                items = ({"Sku": f"SKU-{number}", "Stock": "7", "Price": "1.00"} for number in range(skus))
                service.store.add_items(items, merchant=name)
                fleet.registry.add(name, every={"push": 86_400, "orders": 86_400}, **service.settings(name))
        command = [sys.executable, "-c", _WORKER, f"{place}&application_name=octopus-costs", keys]
        command += [str(number) for number in (merchants, _ROUNDS, skus)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _rows() -> Iterator[Row]:
    """Measure the size of the database's rows, indexes included."""
    with fresh_postgres() as place, Fleet(place) as fleet, fleet.ledger.transaction() as connection:
        now = fleet.ledger.now(connection)
        states = [
            {
                "channel": "shop-0001",
                "sku": f"SKU-{number:08}",
                "acknowledged": '{"price":"19.9","stock":7}',
                "acknowledged_at": now,
                "observed_at": now,
                "state": "done",
            }
            for number in range(_ROWS)
        ]
        runs: list[dict[str, Any]] = [
            {"name": f"shop-{number % 1000:04}", "job": "push", "started_at": now, "ended_at": now, "outcome": "ok"}
            for number in range(_ROWS)
        ]
        for table, rows, what in ((STOCK_ITEM, states, "a SKU's row"), (RUN, runs, "a run in the history")):
            connection.execute(insert(table), rows)
            size = connection.execute(text(f"SELECT pg_total_relation_size('{table.name}')")).scalar_one()
            yield Row(what, "", f"{size / _ROWS:.0f} bytes, with its part of the indexes")


def _messages() -> Iterator[Row]:
    """Measure how many runs a second a ticker hands over and a worker takes.

    The worker's messages have nothing to run.
    """
    with tempfile.TemporaryDirectory() as name, Crew(Path(name), {}) as crew:
        (Path(name) / "idle_app.py").write_text(_IDLE_APP)
        engine = CeleryEngine(BROKER, name=crew.name)
        engine.submit(Due("nobody", "push", "push"))
        began, used = time.perf_counter(), time.process_time()
        for _ in range(_MESSAGES):
            engine.submit(Due("nobody", "push", "push"))
        took, used = time.perf_counter() - began, time.process_time() - used
        now = f"{1000 * used / _MESSAGES:.2f} ms of processor time; one ticker does {_MESSAGES / took:,.0f} a second"
        yield Row("to hand over a run to RabbitMQ", "", now)
        queue = queue_name(crew.name, "push")
        words = ["-A", "idle_app", "worker", "-Q", queue, "--pool=threads", "--concurrency=32"]
        worker = crew.start_python("-m", "celery", *words, "--without-gossip", "--without-mingle")
        process = psutil.Process(worker.pid)
        with engine.app.connection_for_write() as connection:
            channel, seen = connection.channel(), list[tuple[float, int, float]]()
            while not seen or seen[-1][1]:
                left = channel.queue_declare(queue, passive=True).message_count
                seen.append((time.perf_counter(), left, sum(process.cpu_times()[:2])))
                time.sleep(0.1)
        first = next(one for one in seen if one[1] < _MESSAGES)
        seconds, messages, used = seen[-1][0] - first[0], first[1], seen[-1][2] - first[2]
        engine.stop(1)
        now = f"{1000 * used / messages:.2f} ms of processor time; one worker does {messages / seconds:,.0f} a second"
        yield Row("to take a run from RabbitMQ, and acknowledge it", "", now)
