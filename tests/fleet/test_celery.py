"""Fleets on Celery with a real broker: separation, killed workers, no queue left."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from octopus_soap.errors import ConfigError
from octopus_soap.fleet.celery_engine import CeleryEngine, delete_queues, make_app, queue_name, register
from octopus_soap.fleet.schedule import QUEUES, Due
from octopus_soap.fleet.vault import new_key
from octopus_soap.jobs import Ledger
from tests.fleet.crew import BROKER, REDIS, Crew, why_no_broker
from tests.fleet.fleet_stage import CANARY, FUNCTIONS, finished, handed_over, import_merchants, names, shops
from tests.fleet.proxy import Proxy
from tests.jobs.databases import fresh_postgres, why_no_postgres

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from octopus_soap.emulator import Emulator


@pytest.fixture(autouse=True)
def broker() -> None:
    if why := why_no_broker():
        pytest.skip(f"no broker to test on: {why}")


def waiting(name: str) -> dict[str, int]:
    """Return the number of waiting messages in each existing queue of a fleet."""
    app, found = make_app(BROKER, name=name), {}
    with app.connection_for_write() as connection:
        for queue in QUEUES:
            channel = connection.channel()
            try:
                declared = channel.queue_declare(queue_name(name, queue), passive=True)
            except connection.channel_errors:
                continue
            found[queue] = declared.message_count
    return found


def test_two_fleets_on_one_broker_keep_their_messages_apart_and_a_message_holds_two_names(tmp_path: Path) -> None:
    with Crew(tmp_path, {}) as north, Crew(tmp_path, {}) as south:
        for name in (north.name, south.name):
            engine = CeleryEngine(BROKER, name=name)
            engine.submit(Due("berlin", "orders", "slow"))
            engine.stop(1)
        CeleryEngine(BROKER, name=north.name).submit(Due("hamburg", "push", "push"))
        assert waiting(north.name) == {"push": 1, "slow": 1}
        assert waiting(south.name) == {"slow": 1}
        with make_app(BROKER, name=south.name).connection_for_write() as connection:
            message = connection.channel().basic_get(queue_name(south.name, "slow"), no_ack=True)
            assert '[["berlin", "orders"], {}' in message.body
            assert message.properties["delivery_mode"] == 2, "it outlives the broker"
        assert delete_queues(BROKER, name=north.name) == 2
        assert waiting(north.name) == {}
        assert delete_queues(BROKER, name=north.name) == 0


def test_what_cannot_start_says_why_without_the_password() -> None:
    wrong = BROKER.replace("guest:guest@", "guest:canary-password@")
    with pytest.raises(ConfigError, match="ACCESS_REFUSED") as caught:
        delete_queues(wrong)
    assert "canary" not in str(caught.value)
    for name in ("", "a b", "a.b", "x" * 41):
        with pytest.raises(ConfigError, match="letters"):
            make_app(BROKER, name=name)
    app = make_app(BROKER)
    register(app, lambda *_: None)
    with pytest.raises(ConfigError, match="registered"):
        register(app, lambda *_: None)


OWN_APP = """
import os
from celery import Celery
import fleet_functions
from octopus_soap.fleet import Fleet
from octopus_soap.fleet.celery_engine import register

app = Celery("own", broker=os.environ["OCTOPUS_FLEET_BROKER"])
app.conf.update(worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
fleet = Fleet(os.environ["OCTOPUS_FLEET"], stock=fleet_functions.stock, orders=fleet_functions.orders)
register(app, fleet.deliver, name=os.environ["OCTOPUS_FLEET_NAME"])
"""


@contextmanager
def staffed(
    folder: Path,
    service: Emulator,
    *,
    broker: str = BROKER,
    place: str | None = None,
    through: str | None = None,
    every: float = 1,
) -> Iterator[Crew]:
    """Make a crew for the service's merchants; *through* is another database URL."""
    keys, where = new_key(), place or str(folder / "octopus-fleet.db")
    (folder / "fleet_functions.py").write_text(FUNCTIONS)
    (folder / "journal").touch()
    (folder / "fleet.toml").write_text('module = "fleet_functions"\nworkers = 2\ntick_seconds = 0.5\n')
    import_merchants(folder, service, where, keys, every)
    with Crew(folder, {"OCTOPUS_FLEET_KEYS": keys, "OCTOPUS_FLEET": through or where}, broker=broker) as crew:
        yield crew


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_celery_application_of_ones_own_runs_the_fleet_in_forked_processes(tmp_path: Path) -> None:
    (tmp_path / "own_app.py").write_text(OWN_APP)
    with shops(6) as service, staffed(tmp_path, service) as crew:
        queues = ",".join(queue_name(crew.name, queue) for queue in QUEUES)
        crew.start("tick")
        worker = ["-A", "own_app", "worker", "-Q", queues, "--concurrency=3", f"--hostname={crew.name}@%h"]
        crew.start_python("-m", "celery", *worker, "--without-gossip", "--without-mingle")
        crew.wait_until(lambda: finished(service))
        orders, doubled = handed_over(tmp_path)
        assert (len(orders), doubled) == (12, [])
        assert CANARY not in crew.written()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_redis_as_the_broker_and_workers_go_on_after_it_was_away(tmp_path: Path) -> None:
    if why := why_no_broker(REDIS):
        pytest.skip(f"no Redis to test on: {why}")
    with shops(4) as service, Proxy(REDIS, 6379) as proxy, staffed(tmp_path, service, broker=proxy.url) as crew:
        crew.start("tick")
        crew.keep("worker", "--slots", "8")
        crew.wait_until(lambda: finished(service))
        proxy.cut()
        for name in names(4):
            service.store.add_order(merchant=name, OrderID=f"{name}-later")
        threading.Event().wait(2)
        proxy.restore()
        crew.wait_until(lambda: finished(service))
        orders, doubled = handed_over(tmp_path)
        assert (len(orders), doubled) == (12, [])


LOCK_TAKEN = """
CREATE TABLE lock_taken (former TEXT, later TEXT);
CREATE FUNCTION note_taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO lock_taken VALUES (OLD.leased_by, NEW.leased_by);
    RETURN NEW;
END $$;
CREATE TRIGGER note_taken AFTER UPDATE ON run_lock FOR EACH ROW WHEN (OLD.leased_by <> NEW.leased_by)
    EXECUTE FUNCTION note_taken();
"""
"""Records each run lock that a run takes from another that has not released it."""

RUN_STEPS = """
CREATE TABLE run_step (id BIGSERIAL PRIMARY KEY, name TEXT, job TEXT, started_at BIGINT, ended BOOLEAN);
CREATE FUNCTION note_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO run_step (name, job, started_at, ended) VALUES (NEW.name, NEW.job, NEW.started_at, TG_OP = 'INSERT');
    RETURN NEW;
END $$;
CREATE TRIGGER note_start AFTER UPDATE ON fleet_schedule FOR EACH ROW
    WHEN (NEW.started_at IS NOT NULL AND NEW.started_at IS DISTINCT FROM OLD.started_at) EXECUTE FUNCTION note_step();
CREATE TRIGGER note_end AFTER INSERT ON fleet_run FOR EACH ROW EXECUTE FUNCTION note_step();
"""
"""Records the starts and the recorded ends of runs, in the order in which the database accepts them."""


def overlapping(steps: Iterable[Any]) -> list[tuple[str, str]]:
    """Return the jobs with a run that started before an earlier one had ended.

    A run without a recorded end was killed, or its worker lost the database while it committed the start.
    """
    found: list[tuple[str, str]] = []
    begun: dict[tuple[str, str], list[int]] = {}
    for step in steps:
        starts = begun.setdefault((step.name, step.job), [])
        if not step.ended:
            starts.append(step.started_at)
        elif step.started_at != starts[-1]:
            found.append((step.name, step.job))
    return found


def process_of(token: str) -> int:
    return int(token.split("/")[3].partition(".")[0])


@pytest.mark.long
@pytest.mark.timeout(900)
def test_kills_and_outages_of_broker_and_database_lose_and_double_nothing(tmp_path: Path) -> None:
    """New orders arrive between six kills, while the broker or the database is away."""
    if why := why_no_postgres():
        pytest.skip(why)
    count = 30

    def more_orders(word: str) -> None:
        for name in names(count):
            service.store.add_order(merchant=name, OrderID=f"{name}-{word}")

    with ExitStack() as stack:
        service = stack.enter_context(shops(count, orders=1))
        place = stack.enter_context(fresh_postgres())
        database = stack.enter_context(Proxy(place, 5432))
        broker = stack.enter_context(Proxy(BROKER, 5672))
        crew = stack.enter_context(
            staffed(tmp_path, service, broker=broker.url, place=place, through=database.url, every=4)
        )
        with Ledger(place) as ledger, ledger.transaction() as connection:
            connection.execute(text(LOCK_TAKEN + RUN_STEPS))
        ticker, workers = crew.start("tick"), deque(crew.start("worker") for _ in range(2))
        pause, killed = threading.Event(), set[int]()
        for kill in range(6):
            seen = len(service.calls)
            more_orders(f"kill-{kill}")
            crew.wait_until(lambda seen=seen: len(service.calls) > seen + 10)  # type: ignore[misc] # runs are under way
            if kill % 3 == 2:
                crew.kill(ticker)
                ticker = crew.start("tick")
            else:
                killed.add(workers[0].pid)
                crew.kill(workers.popleft())
                workers.append(crew.start("worker"))
        for part in (broker, database):
            part.cut()
            more_orders("away" if part is broker else "gone")
            pause.wait(3)
            part.restore()
            crew.wait_until(lambda: finished(service))
        orders, doubled = handed_over(tmp_path)
        assert len(orders) == count * 9
        assert doubled == []
        with Ledger(place) as ledger, ledger.reading() as connection:
            steps = connection.execute(text("SELECT * FROM run_step ORDER BY id")).all()
            taken = connection.execute(text("SELECT former, later FROM lock_taken")).all()
        assert overlapping(steps) == []
        # A lock was only ever taken from a killed process, or by the process that released it.
        assert [row for row in taken if process_of(row.former) not in {*killed, process_of(row.later)}] == []
        assert CANARY not in crew.written()
