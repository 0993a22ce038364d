"""The ledger: the jobs' progress, in SQLite or PostgreSQL.

Purpose. A job that keeps its progress in memory loses it with its process. If a job calls the service first and records
it afterwards, a crash in between leaves open what it sent. So every step of a job is a transition of a row, made in one
transaction, and the rows alone decide what is done next.

Invariants:

* Killed at any moment, also by SIGKILL: every committed transition remains, and the one under way never happened. A
  request between two transitions is sent again, so only requests that may be repeated are sent.
* Power failure: SQLite runs with `synchronous=FULL` and PostgreSQL with its own default, so a committed transition is
  on the disk. (With a write-ahead log and `NORMAL`, SQLite could lose the last ones.)
* Two processes, or two machines on one PostgreSQL: only one of them works on a row, under a lease (`leases.py`). A
  worker that lost its lease changes nothing.
* Each *channel* belongs to one account at one endpoint: that of the first job that uses it. Later jobs with another
  account are refused. One database serves many shops, each with its own channel, over one pool of connections
  (`Ledger.for_channel`).

Times are the ledger's: the PostgreSQL server's clock, or this machine's for SQLite. So machines whose clocks differ
agree on when a lease ends.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import select as select_module
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Engine, bindparam, create_engine, event, insert, make_url, or_, select, text, update
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from octopus_soap.errors import LedgerError
from octopus_soap.jobs.leases import RUN_SECONDS, Leases, this_worker
from octopus_soap.jobs.reports import asked_wait, has_timed_out
from octopus_soap.jobs.schema import STEPS, migrate, version_of
from octopus_soap.jobs.tables import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from os import PathLike

    from sqlalchemy import URL, Connection

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.reports import Report

_BUSY_SECONDS = 60.0  # how long a transaction waits for another transaction on the same file
_DURABLE = "FULL"
_CONNECTIONS = 15
_CLOCK_SECONDS = 5.0
_LONGEST_WAIT = timedelta(days=1)
"""The longest pause that is observed, whatever the service asks for."""
_SQLITE_CANNOT = ("unable to open database file", "readonly database", "disk I/O error", "disk is full")
_OLDEST_SQLITE = (3, 33)  # the first with UPDATE ... FROM
_MISTYPED = re.compile(r"(?:postgres(?:ql)?|psql|sqlite)(?:\+\w+)?:|[^@]*[^@/]:[^@/]*@")
"""A URL without its `://`, or a file name that contains a password."""
_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "tcp_user_timeout": 60_000}
"""Limits that detect a silent server: in seconds, the last one in milliseconds. A URL may override them."""
_TRUSTED_SECONDS = 5.0
"""A connection that was idle for longer is tested. Testing each time would be a third of all round trips."""
_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"octopus_reading": True},
    # Under READ COMMITTED each statement sees what is committed when it begins, also outside a transaction.
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
}
_NOTICES_DEATH = (
    "SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false), "
    "set_config('tcp_keepalives_count', '3', false)"
)


_CLOCK = text("SELECT clock_timestamp()")
_PAUSED = select(CHANNEL.c.paused_until).where(CHANNEL.c.channel == bindparam("channel"))
# Statements of every run are built once, here and in other modules: building them each time was a fifth of a run.


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class _Database:
    """The engine of one database, which the ledgers of all its channels share."""

    def __init__(self, url: URL, connections: int, worker: str | None) -> None:
        self.url, self.worker, self.closed = url, "", False
        self.bound: set[tuple[str, str]] = set()
        """Channels and their accounts, hashed, that `bind` has checked: to check again would cost a slow hash."""
        self.clock: tuple[datetime, float] | None = None
        """PostgreSQL's time, and `time.monotonic` at that moment."""
        self._connections, self._name = connections, worker
        self._lock = threading.Lock()
        self._inherited: list[Engine] = []
        self._salt = secrets.token_bytes(16)
        self._open()

    def _open(self) -> None:
        self._engine = _engine(self.url, self._connections)
        self._process = os.getpid()
        self.worker = this_worker(self._name)

    def engine(self) -> Engine:
        """Return the engine of this process; a forked process gets a new one.

        Raises:
            LedgerError: the ledger was closed.
        """
        if self.closed:
            raise LedgerError("the ledger was closed; open a new one")
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    # Keep a reference: the connections are the parent's, and closing them here would end them there.
                    self._inherited.append(self._engine)
                    self._open()
        return self._engine

    def fingerprint(self, account: str) -> str:
        """Return a hash of an account, with the salt of this object."""
        return hashlib.blake2b(account.encode(), key=self._salt, digest_size=16).hexdigest()

    def close(self) -> None:
        """Close the connections; does nothing if they are closed."""
        self.closed = True
        if self._process == os.getpid():
            self._engine.dispose()


class Ledger(Leases):
    """A database in which jobs record their progress.

    Threads may share it. A forked process opens its own connections.

        with Ledger("shop.db") as ledger: ...
        Ledger("postgresql://jobs@db.example.com/shops", channel="berlin")

    Args:
        place: path of an SQLite file, created if there is none, or a URL: `sqlite:///shop.db`,
            `postgresql://user:password@host/database` (extra `postgres`).
        channel: the shop's name in it; 1 to 60 characters.
        clock: returns the time, in place of the database's own clock.
        worker: a name for this process in messages.
        reach: called with the name of each step that a job reaches; for tests that interrupt a job there.
        run_seconds: how long the lock of a run outlives a dead process on another machine, in seconds, 1 or more.
        connections: how many threads may use it at once.

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
        run_seconds: float = RUN_SECONDS,
        connections: int = _CONNECTIONS,
    ) -> None:
        _check_channel(channel)
        if run_seconds < 1:
            raise LedgerError(f"run_seconds: {run_seconds} is less than 1")
        self.url = _url(place)
        self.channel = channel
        self.run_seconds = run_seconds
        self.given_up = {}  # shared with the ledgers of other channels
        self._clock, self._reach = clock, reach
        self._database, self._owner = _Database(self.url, connections, worker), True
        try:
            with self.reading() as connection:
                found = version_of(connection)
            if found != len(STEPS):  # only then, so that opening does not wait for a process that writes to it
                with self.transaction() as connection:
                    migrate(connection)
        except BaseException:
            self.close()
            raise

    def for_channel(self, channel: str) -> Ledger:
        """Return the ledger of another shop in this database, over the same connections.

        It need not be closed: the connections are closed with the ledger that opened them.

        Args:
            channel: the shop's name; 1 to 60 characters.

        Raises:
            LedgerError: the name is too long, empty or not printable.
        """
        _check_channel(channel)
        other = object.__new__(Ledger)
        for name, value in vars(self).items():
            setattr(other, name, value)
        other.channel, other._owner = channel, False
        return other

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine of this process, which the ledgers of all channels share."""
        return self._database.engine()

    @property
    def worker(self) -> str:
        """The name of this process in leases."""
        return self._database.worker

    def __repr__(self) -> str:
        return f"Ledger({self.shown!r}, channel={self.channel!r})"

    def __reduce__(self) -> Any:
        raise LedgerError("a ledger holds connections and is not pickled; open one per process with the same place")

    @property
    def shown(self) -> str:
        """The place, without its password."""
        if self.url.drivername == "sqlite":
            return str(self.url.database)
        return self.url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)

    # -- transactions ------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """Open a transaction that may write.

        It is committed when the block ends, and rolled back if the block raises. On SQLite no other transaction may
        write from its first statement on.

        Raises:
            LedgerError: the database cannot be reached, or refused a statement.
        """
        with self._connected() as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Open a transaction that only reads, and blocks no other. See `transaction`."""
        with self._connected() as connection:
            reading = connection.execution_options(**_READING[connection.dialect.name])
            with reading.begin():
                yield reading

    @contextmanager
    def _connected(self) -> Generator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            # Only the driver's own message: SQLAlchemy's message quotes the values of the statement.
            reason = _reason(self.url, error.orig)
            # These are a server or a file that is unavailable, locked or full; a retry does not help with other errors.
            passing = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
            raise LedgerError(f"{self.shown}: {reason}", retryable=passing) from None
        except PoolTimeout:
            raise LedgerError(
                f"{self.shown}: more threads than connections; raise connections, or share it among fewer threads",
                retryable=True,
            ) from None

    def now(self, connection: Connection | None = None) -> datetime:
        """Return the ledger's time, in UTC.

        It is that of the injected clock, of PostgreSQL, or of this machine. PostgreSQL is asked every few seconds, and
        this machine counts in between. If the machine slept, the time is behind by that long: then leases last longer,
        and are never taken over too early.

        Args:
            connection: asks PostgreSQL in this transaction, and otherwise in a new one.
        """
        if self._clock is not None:
            return self._clock()
        if self.url.drivername == "sqlite":
            return utc_now()
        if (known := self._database.clock) is not None and time.monotonic() < known[1] + _CLOCK_SECONDS:
            return known[0] + timedelta(seconds=time.monotonic() - known[1])
        if connection is None:
            with self.reading() as fresh:
                return self.now(fresh)
        before = time.monotonic()
        moment: datetime = connection.execute(_CLOCK).scalar_one()
        self._database.clock = moment.astimezone(UTC), before
        return self._database.clock[0]

    def reach(self, step: str) -> None:
        """Call the ledger's `reach` with *step*."""
        if self._reach is not None:
            self._reach(step)

    # -- the account -------------------------------------------------------------------------------------------

    def bind(self, client: OctopusClient) -> None:
        """Make sure that the channel is of *client*'s account, or give it to the account.

        Raises:
            LedgerError: it belongs to another account or endpoint.
        """
        settings = client.settings
        account = settings.sent_account_id
        known = (self.channel, self._database.fingerprint(f"{settings.endpoint} {settings.merchantname} {account}"))
        if known in self._database.bound:
            return
        self._bind(client, account)
        self._database.bound.add(known)

    def _bind(self, client: OctopusClient, account: str) -> None:
        settings = client.settings
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
                    pass  # another process was first; its row is checked like any other
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

    # -- how the service fares, and pauses it asked for --------------------------------------------------------

    def note_failure(self, error: BaseException, report: Report) -> None:
        """Record a pause that the service asked for with *error*, for all processes.

        The report gets that pause, and whether the service was too slow.
        """
        report.timed_out = report.timed_out or has_timed_out(error)
        seconds = asked_wait(error)
        if seconds is None or seconds <= 0:
            return
        with self.transaction() as connection:
            until = self.now(connection) + min(timedelta(seconds=seconds), _LONGEST_WAIT)
            later = or_(CHANNEL.c.paused_until.is_(None), CHANNEL.c.paused_until < until)
            mine = update(CHANNEL).where(CHANNEL.c.channel == self.channel, later)
            connection.execute(mine.values(paused_until=until, pause_reason=f"{error}"[:400]))
        report.not_before = max(until, report.not_before or until)

    def paused_until(self, connection: Connection) -> datetime | None:
        """Return the end of the pause that the service asked for; None if it is over."""
        row = connection.execute(_PAUSED, {"channel": self.channel}).one_or_none()
        if row is None or row.paused_until is None:
            return None
        # A time further ahead was made while a clock was ahead.
        return row.paused_until if timedelta(0) < row.paused_until - self.now(connection) <= _LONGEST_WAIT else None

    def keeps_pause(self, report: Report) -> bool:
        """True if the service asked for a pause that is not over; notes it in *report*."""
        with self.reading() as connection:
            until = self.paused_until(connection)
            if until is None:
                return False
            report.finished = self.now(connection)
        report.not_before = until
        report.error = (
            f"the service asked to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC, and nothing was sent; the next "
            "run after that continues"
        )
        return True

    def close(self) -> None:
        """Close the connections; does nothing if they are closed."""
        if self._owner:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _hashed(account: str, salt: str) -> str:
    # Slow on purpose: an account id may be a short number, which could be guessed from a fast hash.
    digest = hashlib.scrypt(account.encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=16)
    return f"{salt}${digest.hex()}"


def _check_channel(channel: str) -> None:
    if not 1 <= len(channel) <= 60 or not channel.isprintable():  # noqa: PLR2004 - as the docstring has it
        raise LedgerError(f"channel {channel[:80]!r}: give 1 to 60 printable characters")


def _reason(url: URL, error: BaseException | None) -> str:
    """Return a driver's error; for SQLite, if the folder, file or disk is the cause."""
    first = (str(error).splitlines() or [""])[0]
    words = f"{type(error).__name__}: {first}"
    if url.drivername != "sqlite" or not any(sign in first for sign in _SQLITE_CANNOT):
        return words
    file = Path(url.database or "")
    if not file.parent.is_dir():
        return f"the folder {file.parent} does not exist; make it, or give another file"
    if file.is_dir():
        return "it is a folder; give a file in it"
    if not os.access(file.parent, os.W_OK):
        return f"cannot write in the folder {file.parent}: no permission, or the disk is read-only ({words})"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return f"cannot read and write the file: no permission, or the disk is read-only ({words})"
    return f"{words}; is the disk full or read-only?"


def file_of(place: str | PathLike[str]) -> Path | None:
    """Return the file of a ledger at *place*; None for a database server.

    Raises:
        LedgerError: no ledger can be stored there.
    """
    url = _url(place)
    return Path(url.database or "") if url.drivername == "sqlite" else None


def _url(place: str | PathLike[str]) -> URL:
    given = os.fspath(place)
    if "://" not in given:
        if isinstance(place, str) and _MISTYPED.match(given):
            raise LedgerError("the ledger's URL is incomplete; write it as postgresql://user@host/database")
        if given in {"", ":memory:"}:
            raise LedgerError("a ledger must outlive its process: give the path of a file, or a URL")
        return make_url("sqlite://").set(database=str(Path(given).absolute()))
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise LedgerError("the ledger's URL cannot be read; write it as postgresql://user@host/database") from None
    backend = url.get_backend_name()
    if backend == "postgresql" or url.drivername == "postgres":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise LedgerError(f"a ledger is an SQLite file or a PostgreSQL database, not {backend!r}")
    return _url(url.database or "")


def _engine(url: URL, connections: int) -> Engine:
    try:
        if url.drivername == "sqlite":
            if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
                raise LedgerError(f"a ledger needs SQLite 3.33 or newer, and this Python has {sqlite3.sqlite_version}")
            _make_private(url.database or "")
            engine = create_engine(
                url, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True, max_overflow=max(0, connections - 5)
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        kept = max(5, connections // 2)  # the others are closed after use
        patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
        engine = create_engine(
            url,
            connect_args=patience,
            hide_parameters=True,
            pool_size=kept,
            max_overflow=max(0, connections - kept),
            isolation_level="READ COMMITTED",  # whatever the server's default: see a row as it is after waiting for it
        )
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "checkout", partial(_ask_first, engine.dialect))
        event.listen(engine, "checkin", _note_use)
    except ModuleNotFoundError as error:
        raise LedgerError(f"a ledger on PostgreSQL needs {error.name}: pip install 'octopus-soap[postgres]'") from None
    return engine


def _make_private(path: str) -> None:
    """Create the file of a new ledger for its owner alone; SQLite copies the mode."""
    if path and path != ":memory:" and not path.startswith("file:"):
        with suppress(OSError):  # it exists, or SQLite's error has a better reason
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare_postgresql(connection: Any, record: Any) -> None:
    """Let the server detect a lost client within a minute, and release its row locks."""
    connection.execute(_NOTICES_DEATH)
    connection.commit()
    _note_use(connection, record)


def _note_use(connection: Any, record: Any) -> None:
    del connection
    record.info["used"] = time.monotonic()


def _ask_first(dialect: Any, connection: Any, record: Any, proxy: Any) -> None:
    """Test a connection that was idle; if it fails, all idle ones are opened again."""
    del proxy
    if time.monotonic() - record.info["used"] < _TRUSTED_SECONDS and not _heard_from(connection):
        return
    try:
        dialect.do_ping(connection)
    except dialect.dbapi.Error as error:
        raise InvalidatePoolError from error


def _heard_from(connection: Any) -> bool:
    """True if an idle connection has data, such as its end, or if that is unknown."""
    if not hasattr(select_module, "poll"):  # Windows
        return True
    found = select_module.poll()
    found.register(connection.fileno(), select_module.POLLIN)
    return bool(found.poll(0))


def _prepare_sqlite(connection: Any, record: Any) -> None:
    del record
    connection.isolation_level = None  # `_begin_sqlite` begins transactions, and not sqlite3
    cursor = connection.cursor()
    for pragma in (f"busy_timeout = {int(_BUSY_SECONDS * 1000)}", "journal_mode = WAL", f"synchronous = {_DURABLE}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: otherwise two transactions that read and then write would fail at the write, instead of waiting.
    reading = connection.get_execution_options().get("octopus_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
