"""The ledger: transactions, leases, run locks, its account, and schema migrations."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from sqlalchemy import Engine, create_engine, insert, inspect, select, text, update

from octopus_soap import JobRunningError, LedgerError, jobs
from octopus_soap.jobs import Ledger
from octopus_soap.jobs.leases import describe_worker, has_exited, new_token, this_worker
from octopus_soap.jobs.ledger import _url
from octopus_soap.jobs.schema import STEPS, migrate, version_of
from octopus_soap.jobs.tables import METADATA, RUN_LOCK, STOCK_ITEM
from tests.every import every
from tests.jobs.databases import LONG_ON_POSTGRES

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap import OctopusClient

for _tables in Path(jobs.__file__).parent.glob("*_tables.py"):
    import_module(f"octopus_soap.jobs.{_tables.stem}")  # other jobs' tables are part of the schema

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Clock:
    """A clock that moves only when the test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def quick_hashes() -> None:
    """Change nothing: accounts are hashed as in a shop."""


@pytest.fixture
def new_ledger() -> bytes:
    """Return nothing: a ledger creates its tables as in a shop."""
    return b""


def add_rows(ledger: Ledger, count: int) -> None:
    with ledger.transaction() as connection:
        rows = [
            {"channel": ledger.channel, "sku": f"S{i:03}", "state": "pending", "due_at": NOON} for i in range(count)
        ]
        connection.execute(insert(STOCK_ITEM), rows)


def states(ledger: Ledger) -> dict[str, str]:
    with ledger.reading() as connection:
        return dict(connection.execute(select(STOCK_ITEM.c.sku, STOCK_ITEM.c.state)).all())


# -- transactions --------------------------------------------------------------------------------------------------


def test_a_block_that_raises_changes_nothing(ledger: Ledger) -> None:
    def write_and_fail() -> None:
        with ledger.transaction() as connection:
            connection.execute(insert(STOCK_ITEM).values(channel="main", sku="A", state="pending"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert states(ledger) == {}


def test_threads_share_a_ledger_and_lose_no_write(ledger: Ledger) -> None:
    add_rows(ledger, 1)

    def count() -> None:
        for _ in range(10):
            with ledger.transaction() as connection:
                row = connection.execute(select(STOCK_ITEM.c.attempts).with_for_update()).scalar_one()
                connection.execute(update(STOCK_ITEM).values(attempts=row + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.reading() as connection:
        assert connection.execute(select(STOCK_ITEM.c.attempts)).scalar_one() == 40


def test_sqlite_keeps_committed_transitions_through_a_power_cut(tmp_path: Path) -> None:
    """WAL, and every commit waits for the disk."""
    with Ledger(tmp_path / "a.db") as ledger, ledger.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2


def test_a_failing_statement_is_told_without_its_values(ledger: Ledger) -> None:
    with pytest.raises(LedgerError) as caught, ledger.transaction() as connection:
        connection.execute(insert(STOCK_ITEM).values(channel="main", sku="customer-7", state=None))
    assert "customer-7" not in str(caught.value).partition("DETAIL")[0]
    assert "state" in str(caught.value)


@pytest.mark.long
def test_a_forked_process_opens_connections_of_its_own(tmp_path: Path) -> None:
    code = f"""
import os
from octopus_soap.jobs import Ledger
from octopus_soap.jobs.tables import STOCK_ITEM
from sqlalchemy import insert, select
ledger = Ledger({str(tmp_path / "a.db")!r})
name = ledger.worker
child = os.fork()
with ledger.transaction() as connection:
    connection.execute(insert(STOCK_ITEM).values(channel="main", sku="child" if child == 0 else "parent", state="x"))
if child == 0:
    os._exit(0 if ledger.worker != name else 1)
assert os.waitpid(child, 0)[1] == 0
with ledger.reading() as connection:
    assert sorted(connection.execute(select(STOCK_ITEM.c.sku)).scalars()) == ["child", "parent"]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_closed_ledger_says_so_and_is_not_pickled(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="not pickled"):
        pickle.dumps(ledger)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="was closed"), ledger.transaction():
        pass


# -- its place ----------------------------------------------------------------------------------------------------


def test_a_password_is_never_shown() -> None:
    url = _url("postgresql://jobs:geheim-5f2c81@127.0.0.1:1/shops?connect_timeout=1")
    ledger = object.__new__(Ledger)
    ledger.url, ledger.channel = url, "main"
    assert "geheim" not in repr(ledger)
    assert "jobs:***@127.0.0.1:1/shops" in ledger.shown


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerError) as caught:
        Ledger("postgresql://jobs:geheim-5f2c81@127.0.0.1:1/shops?connect_timeout=2")
    assert "geheim" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


@every(
    ("place", "said"),
    [
        (":memory:", "must outlive its process"),
        ("", "must outlive its process"),
        ("sqlite://", "must outlive its process"),
        ("mysql://host/db", "SQLite file or a PostgreSQL database, not 'mysql'"),
        ("://", "cannot be read"),
    ],
)
def test_a_place_that_cannot_hold_a_ledger_is_refused(place: str, said: str) -> None:
    with pytest.raises(LedgerError, match=said):
        Ledger(place)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"the folder .* does not exist; make it"):
        Ledger(tmp_path / "none" / "a.db")


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"octopus-soap\[postgres\]"):
        Ledger("postgresql://host/db")


# -- its account --------------------------------------------------------------------------------------------------


def test_a_channel_belongs_to_the_first_account_and_refuses_others(
    make_ledger: Callable[..., Ledger], make_client: Callable[..., OctopusClient]
) -> None:
    mine = make_client()
    make_ledger().bind(mine)
    make_ledger().bind(mine)
    other = make_client(account_id="471108154711")
    with pytest.raises(LedgerError, match=r"another account id .*use another channel") as caught:
        make_ledger().bind(other)
    assert "471108154711" not in str(caught.value)
    make_ledger(channel="second").bind(other)
    with pytest.raises(LedgerError, match="belongs to another account"):
        make_ledger().bind(make_client(endpoint="http://127.0.0.1:9/Other.svc"))


def test_no_secret_is_written_to_the_ledger(tmp_path: Path, client: OctopusClient) -> None:
    with Ledger(tmp_path / "a.db") as ledger:
        ledger.bind(client)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in client.settings.secrets():
        assert secret.encode() not in content


def test_channels_do_not_see_each_others_work(make_ledger: Callable[..., Ledger]) -> None:
    one, two = make_ledger(channel="one"), make_ledger(channel="two")
    add_rows(one, 3)
    with two.transaction() as connection:
        assert not two.claim(connection, STOCK_ITEM, limit=10, seconds=60)
    with one.run_lock("push"), two.run_lock("push"):
        pass


# -- leases --------------------------------------------------------------------------------------------------------


def test_a_row_is_held_by_one_worker_until_its_lease_runs_out(make_ledger: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    add_rows(ledger, 5)
    with ledger.transaction() as connection:
        first = ledger.claim(connection, STOCK_ITEM, limit=3, seconds=60)
        second = ledger.claim(connection, STOCK_ITEM, limit=10, seconds=60)
        assert [row.sku for row in first.rows] == ["S000", "S001", "S002"]
        assert [row.sku for row in second.rows] == ["S003", "S004"]
        assert not ledger.claim(connection, STOCK_ITEM, limit=10, seconds=60)
    clock.move(seconds=61)
    with ledger.transaction() as connection:
        assert len(ledger.claim(connection, STOCK_ITEM, limit=10, seconds=60).rows) == 5


def test_a_worker_that_lost_its_lease_changes_nothing(make_ledger: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    add_rows(ledger, 1)
    with ledger.transaction() as connection:
        late = ledger.claim(connection, STOCK_ITEM, limit=1, seconds=60)
    clock.move(seconds=61)
    with ledger.transaction() as connection:
        assert ledger.claim(connection, STOCK_ITEM, limit=1, seconds=60)
    with ledger.transaction() as connection:
        assert connection.execute(update(STOCK_ITEM).where(late.holds).values(state="done")).rowcount == 0
        assert ledger.renew(connection, late, 60) == 0
        assert ledger.release(connection, late) == 0
    assert states(ledger) == {"S000": "pending"}


def test_what_a_living_process_gave_up_is_held_for_others_until_it_releases_it(
    make_ledger: Callable[..., Ledger],
) -> None:
    one, other = make_ledger(), make_ledger()
    add_rows(one, 1)
    with one.transaction() as connection:
        lease = one.claim(connection, STOCK_ITEM, limit=1, seconds=60)
    with pytest.MonkeyPatch.context() as patch:
        with one.run_lock("push"):
            patch.setattr(one, "transaction", Mock(side_effect=LedgerError("away")))
        one.give_up(lease.token)
    assert len(one.given_up) == 2
    with pytest.raises(JobRunningError), other.run_lock("push"):
        pass
    with other.transaction() as connection:
        assert not other.claim(connection, STOCK_ITEM, limit=1, seconds=60)
    one.for_channel("another").release_given_up()
    assert lease.token in one.given_up
    one.release_given_up()
    assert one.given_up == {}
    with other.transaction() as connection:
        (row,) = other.claim(connection, STOCK_ITEM, limit=1, seconds=60).rows
        assert row.leased_by == lease.token, "it shows that its work was interrupted"
    with other.run_lock("push"):
        pass


def test_a_lease_is_kept_while_its_block_runs(make_ledger: Callable[..., Ledger]) -> None:
    ledger = make_ledger()
    add_rows(ledger, 1)
    with ledger.transaction() as connection:
        lease = ledger.claim(connection, STOCK_ITEM, limit=1, seconds=0.2)
    until = lease.until
    with ledger.heartbeat(lease, 0.2):
        while until <= lease.until:  # until the keeper has renewed it
            with ledger.reading() as connection:
                until = connection.execute(select(STOCK_ITEM.c.leased_until)).scalar_one()
    assert until > lease.until


def test_claims_at_once_never_share_a_row(make_ledger: Callable[..., Ledger]) -> None:
    ledgers = [make_ledger() for _ in range(4)]
    add_rows(ledgers[0], 100)
    taken: list[str] = []

    def work(ledger: Ledger) -> None:
        while True:
            with ledger.transaction() as connection:
                lease = ledger.claim(connection, STOCK_ITEM, limit=7, seconds=60)
            if not lease:
                return
            taken.extend(row.sku for row in lease.rows)

    threads = [threading.Thread(target=work, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"S{i:03}" for i in range(100)]


_HOLDER = """
import os, signal, sys
from octopus_soap.jobs import Ledger
from octopus_soap.jobs.tables import STOCK_ITEM
ledger = Ledger(sys.argv[1])
with ledger.transaction() as connection:
    assert len(ledger.claim(connection, STOCK_ITEM, limit=2, seconds=3600).rows) == 2
lock = ledger.run_lock("push", seconds=3600)
lock.__enter__()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("database", LONG_ON_POSTGRES, indirect=True)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux a process can be recognised later")
def test_what_a_dead_process_held_is_taken_over_at_once(ledger: Ledger, place: str) -> None:
    add_rows(ledger, 3)
    ended = subprocess.run([sys.executable, "-c", _HOLDER, place], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    with ledger.transaction() as connection:
        assert len(ledger.claim(connection, STOCK_ITEM, limit=9, seconds=60).rows) == 1
        assert ledger.reclaim_dead_leases(connection, STOCK_ITEM) == 2
        assert len(ledger.claim(connection, STOCK_ITEM, limit=9, seconds=60).rows) == 2
    with ledger.run_lock("push"):
        pass


def test_only_processes_of_this_machine_are_ever_taken_for_dead() -> None:
    assert not has_exited(new_token(this_worker()))
    name, host, machine, process = this_worker("till 3").split("/")
    assert not has_exited(f"{name}/{host}/another-machine/{process}9")
    assert not has_exited("something else")
    assert (name, "process" in describe_worker(this_worker("till 3"))) == ("till_3", True)
    if sys.platform.startswith("linux"):
        assert has_exited(f"{name}/{host}/{machine}/{process}9"), "the same number, but a process that began later"


# -- run locks -----------------------------------------------------------------------------------------------------


def test_a_second_run_is_told_who_runs_since_when(make_ledger: Callable[..., Ledger]) -> None:
    first, second = make_ledger(worker="till-1", clock=Clock()), make_ledger(clock=Clock())
    with first.run_lock("push"), second.run_lock("orders"):
        said = r"push is under way: till-1 on .*2026-03-04 12:00:00"
        with pytest.raises(JobRunningError, match=said) as caught, second.run_lock("push"):
            pass
        assert caught.value.since == NOON
    with second.run_lock("push"):
        pass


def test_a_run_lock_of_a_silent_machine_runs_out(make_ledger: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    with ledger.run_lock("push") as silent:
        clock.move(seconds=121)
        taken_over = pytest.raises(LedgerError, match="another run took over")
        with ledger.run_lock("push"), ledger.transaction() as connection, taken_over:
            silent.check(connection)
    with ledger.reading() as connection:
        assert connection.execute(select(RUN_LOCK.c.leased_by)).scalar_one() is None


def test_a_lock_is_released_where_its_block_raises(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.run_lock("push"):
        raise ZeroDivisionError
    with ledger.run_lock("push"):
        pass


# -- time ----------------------------------------------------------------------------------------------------------


def test_the_ledgers_time_is_the_databases(ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts whose clocks differ agree on the end of a lease if they share a server."""
    monkeypatch.setattr("octopus_soap.jobs.ledger.utc_now", lambda: NOON)
    found = ledger.now()
    assert (found == NOON) is (database == "sqlite")
    assert found.utcoffset() == timedelta(0)


# -- the schema ----------------------------------------------------------------------------------------------------


def _engine(ledger: Ledger) -> Engine:
    return create_engine(ledger.url)


def test_the_steps_make_the_tables_the_code_uses(ledger: Ledger) -> None:
    engine = _engine(ledger)
    with engine.connect() as connection:
        look = inspect(connection)
        assert set(look.get_table_names()) == {*METADATA.tables, "schema_version"}
        for table in METADATA.sorted_tables:
            look_of = look.get_columns(table.name)
            found = {c["name"]: (c["nullable"], c["type"].compile(engine.dialect)) for c in look_of}
            assert found == {c.name: (c.nullable, c.type.compile(engine.dialect)) for c in table.columns}, table.name
            keys = look.get_pk_constraint(table.name)["constrained_columns"]
            assert keys == [c.name for c in table.primary_key], table.name
            assert {i["name"] for i in look.get_indexes(table.name)} == {i.name for i in table.indexes}, table.name
    engine.dispose()


def test_a_ledger_of_version_1_is_migrated_with_what_is_in_it(ledger: Ledger, place: str) -> None:
    """The first version is created instead of today's, with a row, and opened."""
    with ledger.transaction() as connection:
        for name in [*METADATA.tables, "schema_version"]:
            connection.execute(text(f"DROP TABLE {name}"))
    with ledger.transaction() as connection:
        assert version_of(connection) == 0
        migrate(connection, steps=STEPS[:1])
        assert version_of(connection) == 1
    add_rows(ledger, 2)
    ledger.close()
    with Ledger(place) as today:
        with today.reading() as connection:
            assert version_of(connection) == len(STEPS)
        assert states(today) == {"S000": "pending", "S001": "pending"}


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(ledger: Ledger) -> None:
    steps = (*STEPS, ("CREATE TABLE later (a TEXT)", "CREATE NONSENSE"))
    with pytest.raises(LedgerError), ledger.transaction() as connection:
        migrate(connection, steps=steps)
    with ledger.reading() as connection:
        assert version_of(connection) == len(STEPS)
        assert "later" not in inspect(connection).get_table_names()


def test_a_ledger_of_a_newer_version_is_refused(ledger: Ledger, place: str) -> None:
    with ledger.transaction() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    with pytest.raises(LedgerError, match=r"schema version 99.*upgrade octopus-soap"):
        Ledger(place)


@pytest.mark.long
def test_processes_that_open_a_new_ledger_at_once_make_it_once(place: str) -> None:
    code = "import sys; from octopus_soap.jobs import Ledger; Ledger(sys.argv[1]).close()"
    started = [subprocess.Popen([sys.executable, "-c", code, place], env=os.environ) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
