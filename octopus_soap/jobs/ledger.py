"""The ledger: what the jobs know, in SQLite or PostgreSQL.

Theory. A job that keeps its progress in memory loses it with its process; one that tells the service first and writes
it down afterwards does not know, after a crash, what it told. So every step of a job is a transition of a row, made in
one transaction, and what is done next follows from the rows alone.

What survives what:

* Killed at any moment, also by SIGKILL: every transition that was committed stands, the one under way never happened.
  What the service was told between two transitions is told again: so only what may be repeated is told.
* Power lost: SQLite runs with `synchronous=FULL` and PostgreSQL with its own default, so a committed transition is on
  the disk. (With a write-ahead log and `NORMAL`, SQLite could lose the last ones.)
* Two processes, or two machines on one PostgreSQL: a row is worked on by one of them, under a lease (`leases.py`).
  A worker that lost its lease changes nothing any more.
* Another account: each *channel* belongs to one account at one endpoint. The first job that uses it settles that; later
  ones are refused under another account. One database serves several shops, each under a channel of its own.

Times are the ledger's: the PostgreSQL server's clock, or this machine's for SQLite, so that machines whose clocks
differ agree on when a lease ends.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Engine, create_engine, event, insert, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from octopus_soap.errors import LedgerError
from octopus_soap.jobs.leases import Leases
from octopus_soap.jobs.schema import STEPS, migrate, version_of
from octopus_soap.jobs.tables import CHANNEL
from octopus_soap.jobs.workers import this_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from os import PathLike

    from sqlalchemy import URL, Connection

    from octopus_soap.client import OctopusClient

_BUSY_SECONDS = 60.0  # how long a transaction waits for another one on the same file
_DURABLE = "FULL"
_OLDEST_SQLITE = (3, 33)  # the first with UPDATE ... FROM
_MISTYPED = re.compile(r"(?:postgres(?:ql)?|psql|sqlite)(?:\+\w+)?:|[^@]*[^@/]:[^@/]*@")
"""A URL without its `://`, or a password in what would be the name of a file."""
_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "tcp_user_timeout": 60_000}
"""So that a server that falls silent is noticed; seconds, the last one milliseconds. A URL may say otherwise."""


def utc_now() -> datetime:
    """Now, by this machine's clock."""
    return datetime.now(UTC)


class Ledger(Leases):
    """Where jobs write down what they did. Threads may share it; a forked process opens connections of its own.

        with Ledger("shop.db") as ledger: ...
        Ledger("postgresql://jobs@db.example.com/shops", channel="berlin")

    Args:
        place: path of an SQLite file, made where there is none, or a URL: `sqlite:///shop.db`,
            `postgresql://user:password@host/database` (extra `postgres`).
        channel: the shop's name in it; 1 to 60 characters.
        clock: tells the time, in place of the database's own clock.
        worker: a name for this process in messages.
        reach: called with the name of each step a job reaches; for tests that interrupt a job there.

    Raises:
        LedgerError: it cannot be opened, or was written by a newer version of this library.
    """

    def __init__(
        self,
        place: str | PathLike[str],
        *,
        channel: str = "main",
        clock: Callable[[], datetime] | None = None,
        worker: str | None = None,
        reach: Callable[[str], None] | None = None,
    ) -> None:
        if not 1 <= len(channel) <= 60 or not channel.isprintable():  # noqa: PLR2004 - as the docstring has it
            raise LedgerError(f"channel {channel[:80]!r}: give 1 to 60 printable characters")
        self.url = _url(place)
        self.channel = channel
        self._clock, self._name, self._reach = clock, worker, reach
        self._lock = threading.Lock()
        self._inherited: list[Engine] = []
        self._closed = False
        self._open()
        try:
            with self.reading() as connection:
                found = version_of(connection)
            if found != len(STEPS):  # only then: opening a ledger must not wait for whoever writes to it
                with self.transaction() as connection:
                    migrate(connection)
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._engine = _engine(self.url)
        self._process = os.getpid()
        self.worker = this_worker(self._name)

    def __repr__(self) -> str:
        return f"Ledger({self.shown!r}, channel={self.channel!r})"

    def __reduce__(self) -> Any:
        raise LedgerError("a ledger holds connections and is not pickled; open one per process with the same place")

    @property
    def shown(self) -> str:
        """Where it is, without its password."""
        if self.url.drivername == "sqlite":
            return str(self.url.database)
        return self.url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)

    # -- transactions ------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """A transaction that may write; committed where the block ends well, undone where it raises.

        On SQLite it is the only one that may write from its first statement on.

        Raises:
            LedgerError: the database cannot be reached, or refused a statement.
        """
        with self._connected() as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A transaction that only reads and keeps nobody waiting. See `transaction`."""
        with self._connected() as connection:
            reading = connection.execution_options(octopus_reading=True)
            with reading.begin():
                yield reading

    @contextmanager
    def _connected(self) -> Generator[Connection]:
        try:
            with self._current().connect() as connection:
                yield connection
        except DBAPIError as error:
            # The driver's own words only: SQLAlchemy's message quotes the values of the statement.
            raise LedgerError(f"{self.shown}: {type(error.orig).__name__}: {_first_line(error.orig)}") from None
        except PoolTimeout:
            raise LedgerError(f"{self.shown}: more threads than its connections serve; share it among fewer") from None

    def _current(self) -> Engine:
        if self._closed:
            raise LedgerError("the ledger was closed; open a new one")
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    # Neither used nor closed here: the connections are the parent's, and closing them would end them.
                    self._inherited.append(self._engine)
                    self._open()
        return self._engine

    def now(self, connection: Connection | None = None) -> datetime:
        """The ledger's time, in UTC: the injected clock's, PostgreSQL's, or this machine's.

        Args:
            connection: asks within this transaction; otherwise in one of its own.
        """
        if self._clock is not None:
            return self._clock()
        if self.url.drivername == "sqlite":
            return utc_now()
        if connection is None:
            with self.reading() as fresh:
                return self.now(fresh)
        moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return moment.astimezone(UTC)

    def reach(self, step: str) -> None:
        """Tell who is listening that a job has come to *step*."""
        if self._reach is not None:
            self._reach(step)

    # -- whose it is -------------------------------------------------------------------------------------------

    def bind(self, client: OctopusClient) -> None:
        """Make sure that the channel belongs to *client*'s account; the first use settles it.

        Raises:
            LedgerError: it belongs to another account or endpoint.
        """
        settings = client.settings
        account = settings.sent_account_id
        with self.transaction() as connection:
            row = connection.execute(select(CHANNEL).where(CHANNEL.c.channel == self.channel)).one_or_none()
            if row is None:
                try:
                    with connection.begin_nested():
                        connection.execute(
                            insert(CHANNEL).values(
                                channel=self.channel,
                                endpoint=settings.endpoint,
                                merchantname=settings.merchantname,
                                account_hash=_hashed(account, secrets.token_hex(8)),
                                created_at=self.now(connection),
                            )
                        )
                except IntegrityError:
                    pass  # another process was first; its entry is examined like any other
                else:
                    return
                row = connection.execute(select(CHANNEL).where(CHANNEL.c.channel == self.channel)).one()
        here = (settings.endpoint, settings.merchantname)
        same = secrets.compare_digest(row.account_hash, _hashed(account, row.account_hash.partition("$")[0]))
        if (row.endpoint, row.merchantname) != here or not same:
            what = "another account id" if (row.endpoint, row.merchantname) == here else "another account"
            raise LedgerError(
                f"channel {self.channel!r} of {self.shown} belongs to {what} (merchant {row.merchantname!r} at "
                f"{row.endpoint}); use another channel, or another ledger"
            )

    def close(self) -> None:
        """Close the connections; calling it again does nothing."""
        self._closed = True
        if self._process == os.getpid():
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _hashed(account: str, salt: str) -> str:
    # Slow on purpose: an account id may be a short number, which a plain hash would give away.
    digest = hashlib.scrypt(account.encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=16)
    return f"{salt}${digest.hex()}"


def _first_line(error: BaseException | None) -> str:
    return (str(error).splitlines() or [""])[0]


def file_of(place: str | PathLike[str]) -> Path | None:
    """The file a ledger at *place* lies in; None for a database server.

    Raises:
        LedgerError: no ledger can lie there.
    """
    url = _url(place)
    return Path(url.database or "") if url.drivername == "sqlite" else None


def _url(place: str | PathLike[str]) -> URL:
    given = os.fspath(place)
    if "://" not in given:
        if isinstance(place, str) and _MISTYPED.match(given):
            raise LedgerError("the ledger is given as half a URL; postgresql://user@host/database is a whole one")
        if given in {"", ":memory:"}:
            raise LedgerError("a ledger outlives its process: give the path of a file, or a URL")
        return make_url("sqlite://").set(database=str(Path(given).absolute()))
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise LedgerError("the ledger's URL cannot be read; postgresql://user@host/database is one") from None
    backend = url.get_backend_name()
    if backend == "postgresql" or url.drivername == "postgres":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise LedgerError(f"a ledger is an SQLite file or a PostgreSQL database, not {backend!r}")
    return _url(url.database or "")


def _engine(url: URL) -> Engine:
    try:
        if url.drivername == "sqlite":
            if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
                raise LedgerError(f"a ledger needs SQLite 3.33 or newer, and this Python has {sqlite3.sqlite_version}")
            engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
        engine = create_engine(
            url,
            connect_args=patience,
            hide_parameters=True,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",  # whatever the server's default: who waited for a row sees it as it is
        )
    except ModuleNotFoundError as error:
        raise LedgerError(f"a ledger on PostgreSQL needs {error.name}: pip install 'octopus-soap[postgres]'") from None
    return engine


def _prepare_sqlite(connection: Any, record: Any) -> None:
    del record
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, not where sqlite3 guesses
    cursor = connection.cursor()
    for pragma in (f"busy_timeout = {int(_BUSY_SECONDS * 1000)}", "journal_mode = WAL", f"synchronous = {_DURABLE}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: two transactions that read first and then write would otherwise fail at the write, not wait.
    reading = connection.get_execution_options().get("octopus_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
