"""Test a fleet under traffic, kills, bad neighbours, outages and overload.

    python -m benchmarks.fleet --page                   # everything, half an hour; puts it into docs/fleet-sizing.md
    python -m benchmarks.fleet traffic --seconds 600    # or costs, tick, kills, neighbours, outages, overload, embedded
    python -m benchmarks.fleet kills --kills 50

The emulator and the new orders are in this process. Ticker and workers are separate processes, on the PostgreSQL of
`OCTOPUS_TEST_POSTGRES` and the RabbitMQ of `OCTOPUS_TEST_BROKER`. Each scenario has its own schema and queues and
removes them. An outage cuts the connections of a proxy that only the scenario uses: the servers run on. Only Redis is
the scenario's own server, which is killed, loses its data, and is started again.

A run's lateness is the time between its due time and its start. Due times are computed from the history (`next_time`),
not taken from the fleet's own reports.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import func, insert, select

from benchmarks import fleet_page, machine
from benchmarks.fleet_costs import costs
from benchmarks.fleet_page import Row
from octopus_soap.emulator import Emulator, Merchant
from octopus_soap.fleet import Fleet
from octopus_soap.fleet.registry import next_time
from octopus_soap.fleet.schedule import WAITING_PER_SLOT, Schedule
from octopus_soap.fleet.tables import MERCHANT, RUN, SCHEDULE, prepare
from octopus_soap.fleet.vault import Vault, new_key
from octopus_soap.jobs import Ledger
from octopus_soap.jobs.tables import RUN_LOCK
from octopus_soap.testing import Hang, Latency
from tests.fleet.crew import BROKER, Crew
from tests.fleet.proxy import Proxy
from tests.jobs.databases import fresh_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SKUS = 20
_KILL_EVERY = 8.0
"""Seconds from one kill to the next: more than a process takes to start."""
_NEIGHBOURS_SECONDS = 240.0
"""Enough for a refused merchant's third call, after pauses of 40 and 80 seconds."""
FUNCTIONS = """
from pathlib import Path

HERE = Path(__file__).parent

def stock(merchant):
    number = int((HERE / "stock").read_text())  # of three in twenty: the guard refuses more
    return [{"sku": f"SKU-{index}", "stock": number if index < 3 else 1} for index in range(20)]

def orders(merchant, order, delivery):
    with (HERE / "journal").open("a") as file:
        file.write(f"{merchant.name} {delivery.key} {delivery.redelivered}\\n")
"""


@dataclass
class Late:
    """The lateness of runs, in seconds."""

    late: list[float] = field(default_factory=list[float])
    done: list[float] = field(default_factory=list[float])
    overlapping: int = 0

    def __str__(self) -> str:
        most = max(self.late, default=0)
        return f"{len(self.late)} runs, late p50 {self.at(50):.1f}, p99 {self.at(99):.1f}, max {most:.1f} s"

    def at(self, percent: int) -> float:
        """Return a percentile."""
        return statistics.quantiles(self.late, n=100, method="inclusive")[percent - 1] if len(self.late) > 1 else 0.0


class Stage:
    """A service with merchants, a database, a fleet, and a stream of orders and stock."""

    def __init__(self, given: argparse.Namespace, **options: Any) -> None:
        self.given, self.options = given, options
        self.names = [f"shop-{number:03}" for number in range(given.merchants)]
        self.orders: set[tuple[str, str]] = set()
        self._stack = ExitStack()
        self._ended = threading.Event()
        self.stock = 1

    def __enter__(self) -> Self:
        enter = self._stack.enter_context
        self.folder = Path(enter(tempfile.TemporaryDirectory()))
        self.service = enter(_shops(self.names))
        self.bad = enter(_shops(["unused", *self.options.get("bad", ())]))
        place = enter(fresh_postgres())
        broker = self.options.get("broker", BROKER)
        variables = {"OCTOPUS_FLEET": place}
        if self.options.get("cuts"):  # only then: a proxy in this process takes a quarter of a core
            self.database = enter(Proxy(place, 5432))
            self.broker = enter(Proxy(broker, 5672))
            variables, broker = {"OCTOPUS_FLEET": self.database.url}, self.broker.url
        (self.folder / "fleet_functions.py").write_text(FUNCTIONS)
        (self.folder / "journal").touch()
        self._write_stock()
        slots = "".join(f"{name} = {most}\n" for name, most in self.options.get("slots", {}).items())
        (self.folder / "fleet.toml").write_text(
            f'module = "fleet_functions"\nworkers = {self.options.get("workers", 2)}\n[slots]\n{slots}'
        )
        self.keys = new_key()
        self.fleet = enter(Fleet(place, vault=Vault(self.keys), connections=10))
        self.ledger = self.fleet.ledger
        for service in (self.service, self.bad):
            for merchant in service.merchants:
                self._register(service, merchant.name)
        variables["OCTOPUS_FLEET_KEYS"] = self.keys
        self.crew = enter(Crew(self.folder, variables, broker=broker))
        return self

    def _register(self, service: Emulator, name: str) -> None:
        if name == "unused":
            return
        one: dict[str, Any] = dict(service.settings(name))
        if name in self.options.get("refused", ()):
            one["authtoken"] = "a-wrong-token"
        every = self.options.get("every") or {"push": self.given.every, "orders": self.given.every}
        self.fleet.registry.add(name, every=every, settings={"max_attempts": 1, "read_timeout": 30}, **one)

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._stack.close()

    def traffic(self, *, per_second: float = 5) -> None:
        """Add orders at random merchants and change the stock, until `settle`."""

        def go_on() -> None:
            draw, number = random.Random(1), 0
            while not self._ended.wait(1 / per_second):
                name, number = draw.choice(self.names), number + 1
                self.orders.add((name, str(self.service.store.add_order(merchant=name))))
                if number % 200 == 0:
                    self.stock += 1
                    self._write_stock()

        threading.Thread(target=go_on, daemon=True).start()

    def begun(self) -> None:
        """Wait until the workers work: an earlier kill or outage would prove nothing."""
        self.wait(lambda: self.count(RUN.c.outcome == "ok") > 20, 120)

    def _write_stock(self) -> None:
        fresh = self.folder / "stock.new"
        fresh.write_text(str(self.stock))
        fresh.replace(self.folder / "stock")

    def settle(self, seconds: float = 120) -> str:
        """End the traffic, wait until service and shops agree, and return the differences."""
        self._ended.set()
        until = time.monotonic() + seconds
        while (wrong := self.wrong()) and time.monotonic() < until:
            time.sleep(1)
        return wrong

    def wrong(self) -> str:
        """Return what is lost, doubled or different."""
        lines = [line.split() for line in (self.folder / "journal").read_text().splitlines()]
        taken = {(name, key) for name, key, _ in lines}
        fresh = [(name, key) for name, key, redelivered in lines if redelivered == "False"]
        lost, doubled = len(self.orders - taken), len(fresh) - len(set(fresh))
        stock = sum(
            item["Stock"] != str(self.stock if sku in {"SKU-0", "SKU-1", "SKU-2"} else 1)
            for name in self.names
            for sku, item in self.service.store.items(merchant=name).items()
        )
        found = {"orders lost": lost, "doubled": doubled, "stock wrong": stock}
        return ", ".join(f"{name} {number}" for name, number in found.items() if number)

    def late(self, *, since: datetime | None = None) -> Late:
        """Return how late the runs of the good merchants were."""
        query = select(RUN).where(RUN.c.name.in_(self.names)).order_by(RUN.c.name, RUN.c.job, RUN.c.started_at)
        with self.ledger.reading() as connection:
            rows = connection.execute(query).all()
        found = Late()
        every = self.options.get("every") or dict.fromkeys(("push", "orders"), float(self.given.every))
        for before, run in pairwise(rows):
            if (before.name, before.job) != (run.name, run.job):
                continue
            found.overlapping += run.started_at < before.ended_at
            if before.outcome in {"ok", "held"} and (since is None or run.started_at > since):
                turn = next_time(run.name, run.job, every[run.job], before.ended_at)
                found.late.append(max(0.0, (run.started_at - turn).total_seconds()))
                found.done.append(max(0.0, (run.ended_at - turn).total_seconds()))
        return found

    def count(self, *conditions: Any) -> int:
        """Return how many runs had this outcome."""
        with self.ledger.reading() as connection:
            query = select(func.count()).select_from(RUN).where(*conditions)
            return int(connection.execute(query).scalar_one())

    def wait(self, done: Callable[[], bool], seconds: float) -> float:
        """Wait for *done*, and return the time it took, or *seconds* if it did not come."""
        began = time.monotonic()
        while not done() and time.monotonic() - began < seconds:
            time.sleep(0.2)
        return time.monotonic() - began


@contextmanager
def _shops(names: list[str]) -> Iterator[Emulator]:
    merchants = [Merchant(name, f"token-of-{name}", f"id-of-{name}") for name in names]
    with Emulator(merchants=merchants, keep_bodies=False, keep_calls=100_000) as service:
        for name in names:
            items = ({"Sku": f"SKU-{number}", "Stock": "0", "Price": "1.00"} for number in range(SKUS))
            service.store.add_items(items, merchant=name)
        yield service


def _staff(stage: Stage, workers: int = 2) -> list[subprocess.Popen[bytes]]:
    return [stage.crew.start("tick"), *(stage.crew.start("worker") for _ in range(workers))]


def traffic(given: argparse.Namespace) -> Iterator[Row]:
    """Plain traffic."""
    with Stage(given) as stage:
        _staff(stage)
        stage.traffic()
        time.sleep(given.seconds)
        wrong, late = stage.settle(), stage.late()
        test = f"{given.merchants} merchants x push and orders every {given.every} s, {given.seconds} s, 2 workers"
        holds = late.at(99) < 5 and max(late.late) < 20 and not wrong
        yield Row(
            test, "p99 late < 5 s, max < 20 s; nothing lost or doubled", f"{late}; {wrong or 'nothing lost'}", holds
        )


def kills(given: argparse.Namespace) -> Iterator[Row]:
    """Kill workers and tickers, every second time a process that holds a run's lock."""
    with Stage(given) as stage:
        processes = _staff(stage)
        words = [("tick",), ("worker",), ("worker",)]
        stage.traffic()
        draw, holding = random.Random(2), 0
        stage.begun()
        for number in range(given.kills):
            time.sleep(_KILL_EVERY)
            victim = draw.randrange(3)
            if number % 2:
                victim = draw.randrange(1, 3)
                holding += _caught(stage, processes[victim])
            stage.crew.kill(processes[victim])
            processes[victim] = stage.crew.start(*words[victim])
        wrong, late = stage.settle(), stage.late()
        now = (
            f"{given.kills} kills, {holding} holding a lock; {wrong or '0 lost, 0 doubled'}, "
            f"{late.overlapping} overlapping, done at most {max(late.done):.1f} s after their turn ({late})"
        )
        must = "0 lost, 0 doubled, 0 overlapping runs, each overdue run done < 45 s"
        yield Row(f"{given.kills} SIGKILLs", must, now, not wrong and not late.overlapping and max(late.done) < 45)


def _caught(stage: Stage, process: subprocess.Popen[bytes], seconds: float = 30) -> bool:
    """Stop a process while it holds a run's lock; return False if that never occurred."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        process.send_signal(signal.SIGSTOP)  # its locks are held until it is killed
        with stage.ledger.reading() as connection:
            held = select(RUN_LOCK.c.leased_by).where(RUN_LOCK.c.leased_by.is_not(None))
            if any(f"/{process.pid}." in token for token in connection.execute(held).scalars()):
                return True
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    return False


def neighbours(given: argparse.Namespace) -> Iterator[Row]:
    """Merchants that hang, and merchants whose credentials are refused."""
    hung = [f"hung-{number}" for number in range(given.merchants // 10)]
    refused = [f"refused-{number}" for number in range(given.merchants // 20)]
    with Stage(given, bad=[*hung, *refused], refused=refused) as stage:
        for name in hung:
            stage.bad.script.on("*", merchant=name).do(Hang())
        _staff(stage)
        stage.traffic()
        time.sleep(min(given.seconds, _NEIGHBOURS_SECONDS))
        wrong, late = stage.settle(), stage.late()
        calls = [stage.count(RUN.c.name == name, RUN.c.outcome == "refused") for name in refused]
        now = f"{late}; {wrong or 'nothing lost'}; at most {max(calls)} refusals of a merchant"
        must = "p99 of the others < 5 s; a refused merchant gets at most 3 calls"
        yield Row("10% of merchants hang, 5% are refused", must, now, late.at(99) < 5 and max(calls) <= 3 and not wrong)


def outages(given: argparse.Namespace) -> Iterator[Row]:
    """Cut off the database and the broker."""
    must = "working again < 10 s after it is back, no restart by hand, nothing lost"
    cuts = [("PostgreSQL", 5), ("PostgreSQL", 15), ("PostgreSQL", 40), ("RabbitMQ", 15)]
    with Stage(given, cuts=True) as stage:
        _staff(stage)
        stage.traffic()
        stage.begun()
        for name, seconds in cuts:
            took = _cut(stage, stage.database if name == "PostgreSQL" else stage.broker, seconds)
            yield Row(f"{name} away {seconds} s", must, f"10 runs ended well {took:.1f} s after it was back", took < 10)
            time.sleep(5)
        wrong = stage.settle()
        yield Row("after all of them", "nothing lost or doubled", wrong or "nothing lost or doubled", not wrong)
    with _Redis() as redis, Stage(given, broker=redis.url) as stage:
        stage.crew.start("tick")
        for _ in range(2):
            stage.crew.keep("worker")
        stage.traffic()
        stage.begun()
        redis.kill()
        time.sleep(5)
        redis.start()
        took = _working(stage)
        wrong = stage.settle(240)  # runs that waited in it are handed over again after two minutes
        now = f"10 runs ended well {took:.1f} s after it was back; {wrong or 'nothing lost or doubled'}"
        yield Row("Redis killed, and started again without its data after 5 s", must, now, took < 10 and not wrong)


class _Redis:
    """A Redis of its own that keeps nothing on the disk."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        program = shutil.which("redis-server") or sys.exit("no redis-server is installed")
        words = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.05)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()


def _cut(stage: Stage, part: Proxy, seconds: float) -> float:
    part.cut()
    time.sleep(seconds)
    part.restore()
    return _working(stage)


def _working(stage: Stage) -> float:
    """Wait until ten runs that begin from now on have succeeded; return the time."""
    began = datetime.now(UTC)

    def working() -> bool:
        stage.crew.revive()
        return stage.count(RUN.c.started_at > began, RUN.c.outcome == "ok") >= 10

    return stage.wait(working, 120)


def overload(given: argparse.Namespace) -> Iterator[Row]:
    """Create three times as much work as the slots can do: each call takes a second."""
    slots = {"orders": 3, "push": 4, "changes": 2, "slow": 1}
    rate = sum(slots.values()) * 3  # runs a second, if each took a second
    every = {"orders": 1.5 * given.merchants / rate, "push": 3 * given.merchants / rate}
    with Stage(given, slots=slots, workers=1, every=every) as stage:
        stage.service.script.on("*").do(Latency(1))
        _staff(stage, 1)
        stage.begun()
        running, waiting = [], []
        until = time.monotonic() + min(given.seconds, 60)
        while time.monotonic() < until:
            time.sleep(0.5)
            with stage.ledger.reading() as connection:
                mine = SCHEDULE.c.enqueued_at.is_not(None)
                rows = connection.execute(
                    select(SCHEDULE.c.job, SCHEDULE.c.started_at, SCHEDULE.c.slow).where(mine)
                ).all()
            running.append(sum(row.job == "push" and row.started_at is not None for row in rows))
            waiting.append(sum(row.started_at is None for row in rows))
        share, most = statistics.mean(running) / slots["push"], max(waiting)
        limit = WAITING_PER_SLOT * sum(slots.values())
        now = f"push ran in {share:.0%} of its slots; at most {most} waited ({limit} = 4x the slots)"
        must = "push keeps at least 40% of its slots; never more than 4x the slots wait in the broker"
        yield Row("overload by three times", must, now, share >= 0.4 and most <= limit)


def tick(given: argparse.Namespace) -> Iterator[Row]:
    """Measure a tick over 10,000 schedules that are all due."""
    del given
    with fresh_postgres() as place, Ledger(place) as ledger:
        prepare(ledger)
        now = ledger.now()
        with ledger.transaction() as connection:
            rows = [
                {"name": f"m-{number}", "endpoint": "", "merchantname": "", "secrets": "{}"} for number in range(5_000)
            ]
            connection.execute(insert(MERCHANT).values(changed_at=now), rows)
            due = [
                {"name": row["name"], "job": job, "every": 60.0, "next_at": now}
                for row in rows
                for job in ("push", "orders")
            ]
            connection.execute(insert(SCHEDULE), due)
        schedule, took = Schedule(ledger), []
        slots = {"orders": 20, "push": 24, "changes": 12, "slow": 8}
        handed = 0
        for _ in range(30):
            began = time.perf_counter()
            found = schedule.take_due(slots)
            schedule.note_handed_over(found)
            took.append((time.perf_counter() - began) * 1000)
            handed += len(found)
            for one in found[::2]:
                schedule.give_back(one)
        yield Row(
            "10,000 schedules", "a tick < 200 ms",
            f"median {statistics.median(took):.0f} ms, most {max(took):.0f} ms; {handed} runs handed over in 30 ticks",
            statistics.median(took) < 200,
        )  # fmt: skip


def embedded(given: argparse.Namespace) -> Iterator[Row]:
    """Kill the embedded engine's process repeatedly."""
    number = max(1, given.kills // 2)
    with Stage(given, workers=1) as stage:
        process = stage.crew.start("run")
        stage.traffic()
        stage.begun()
        for _ in range(number):
            time.sleep(_KILL_EVERY)
            stage.crew.kill(process)
            process = stage.crew.start("run")
        wrong, late = stage.settle(), stage.late()
        now = f"{number} kills: {wrong or 'nothing lost or doubled'}, {late.overlapping} overlapping ({late})"
        yield Row("the embedded engine, its process killed", "nothing lost or doubled", now, not wrong)


SCENARIOS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "costs": lambda _: costs(),
    "tick": tick,
    "traffic": traffic,
    "kills": kills,
    "neighbours": neighbours,
    "outages": outages,
    "overload": overload,
    "embedded": embedded,
}


def main() -> int:
    """Run scenarios and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--merchants", type=int, default=200)
    parser.add_argument("--every", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--page", action="store_true", help="put the rows into docs/fleet-sizing.md, too")
    given = parser.parse_args()
    if unknown := set(given.scenarios) - set(SCENARIOS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    rows: dict[str, list[Row]] = {}
    found = machine.describe()
    conditions = f"{found['processor']}, {found['cores']} cores, {found['system']}, {found['python']}"
    load = os.getloadavg()[0]
    print(f"load before: {load:.1f}; {conditions}")
    print("| test | must | now | |\n|---|---|---|---|", flush=True)
    for name in given.scenarios or SCENARIOS:
        for row in SCENARIOS[name](given):
            rows.setdefault(name, []).append(row)
            print(f"| {row.test} | {row.must} | {row.now} | {'holds' if row.holds else 'MISSED'} |", flush=True)
    print(f"load after: {os.getloadavg()[0]:.1f}")
    if given.page:
        fleet_page.keep(rows, f"{conditions}, load before {load:.1f}")
    return 0 if all(row.holds for some in rows.values() for row in some) else 1


if __name__ == "__main__":
    sys.exit(main())
