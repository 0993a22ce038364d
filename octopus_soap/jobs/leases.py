"""Leases, with which several workers share rows, and several runs share a job.

Purpose. A worker claims rows in one short transaction: they get its token and a time until which no other worker may
claim them. Then it works without a transaction, and writes the result under the condition that the rows still have its
token (`Lease.holds`).

Invariants:

* Only free rows are claimed. On PostgreSQL `FOR UPDATE SKIP LOCKED` keeps workers from waiting for each other; on
  SQLite only one transaction may write.
* A worker whose lease expired and was taken over changes nothing: the condition `Lease.holds` is false.
* A run lock is a lease on a job. A thread renews it while the block runs (`Heartbeat`).
* Transactions that change several rows lock them first, in the order of their keys (`lock_in_order`): on PostgreSQL two
  transactions that lock the same rows in different orders deadlock, and one of them fails.

On failure:

* A process that was killed holds its rows until the lease expires. On the machine that it ran on, other processes
  detect its exit (`has_exited`), and its rows are free at once.
* A process that could not release its rows, because the database was unavailable, gives them up (`Leases.give_up`): it
  treats them as those of a process that exited. Others wait until it released them (`Leases.release_given_up`), or the
  lease expires.
* A lease that ends later than any lease can was made while a clock was ahead. It counts as expired.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import uuid
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from sqlalchemy import Integer, and_, bindparam, func, or_, select, text, tuple_, update

from octopus_soap.errors import JobRunningError, LedgerError
from octopus_soap.jobs.tables import RUN_LOCK, WORK_TABLES, Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table

FREE: dict[str, Any] = {"leased_by": None, "leased_until": None}
"""The columns of a row that no worker holds."""

RUN_SECONDS = 120.0
"""How long a run lock outlives its process by default, in seconds."""
_DAY = timedelta(days=1)
_TAKE = text(
    "INSERT INTO run_lock (channel, job, leased_by, leased_until, since) "
    "VALUES (:channel, :job, :leased_by, :leased_until, :since) ON CONFLICT (channel, job) DO UPDATE SET "
    "leased_by = excluded.leased_by, leased_until = excluded.leased_until, since = excluded.since "
    "WHERE run_lock.leased_by IS NULL OR run_lock.leased_until <= :now OR run_lock.leased_until > :longest"
).bindparams(*(bindparam(name, type_=Moment()) for name in ("leased_until", "since", "now", "longest")))
"""Takes a run lock that is free."""
_RUN_ROW = and_(RUN_LOCK.c.channel == bindparam("whose"), RUN_LOCK.c.job == bindparam("which"))
_RUN_HELD = select(RUN_LOCK).where(_RUN_ROW).with_for_update()
_RUN_TAKEN = update(RUN_LOCK).where(_RUN_ROW)
_RUN_OWN = update(RUN_LOCK).where(_RUN_ROW, RUN_LOCK.c.leased_by == bindparam("token"))
"""Set the columns that are given: of a run lock, and of a run lock that has this token."""
_PARTS = 4
"""Parts of a worker's name (`this_worker`)."""
_SAME_START = 2.0
"""Maximum difference of two readings of a process's start, in seconds: the boot time is exact to a second."""


# -- workers -------------------------------------------------------------------------------------------------------


def this_worker(name: str | None = None) -> str:
    """Return the name of this process: `name/host/machine/process`."""
    return "/".join([_plain(name or "worker"), _plain(socket.gethostname()), _machine(), _process(psutil.Process())])


def new_token(worker: str) -> str:
    """Return a new, unique token for one claim of *worker*."""
    return f"{worker}#{uuid.uuid4().hex[:12]}"


def describe_worker(token: str) -> str:
    """Return a worker or token in readable form."""
    parts = token.partition("#")[0].split("/")
    return f"{parts[0]} on {parts[1]} (process {parts[3].partition('.')[0]})" if len(parts) == _PARTS else token


def has_exited(token: str) -> bool:
    """True if the process of a worker or token is known to have exited."""
    parts = token.partition("#")[0].split("/")
    if len(parts) != _PARTS or parts[2] != _machine():
        return False
    pid, _, start = parts[3].partition(".")
    if not pid.isdigit():
        return False
    try:
        process = psutil.Process(int(pid))
        if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return True
        return abs(_started(process) - float(start)) > _SAME_START  # process numbers are reused
    except psutil.NoSuchProcess:
        return not _hidden(int(pid))
    except (psutil.Error, ValueError):
        return False


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)[:60] or "_"


@lru_cache(maxsize=1)
def _machine() -> str:
    """Return a name for the set of processes that can see each other.

    On Linux it is this boot of the machine and the container's process namespace. Elsewhere it is the network address;
    without one it is random, and no process is ever considered dead.
    """
    if not sys.platform.startswith("linux"):
        return f"{uuid.getnode():x}"
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return uuid.uuid4().hex[:8]
    return f"{boot}-{namespace}"


def _process(process: psutil.Process) -> str:
    return f"{process.pid}.{_started(process):.0f}"


def _started(process: psutil.Process) -> float:
    """Return when a process began, in seconds since the boot."""
    return process.create_time() - psutil.boot_time()  # setting the clock does not change the difference


def _hidden(pid: int) -> bool:
    """True if a process exists although `/proc` hides it, as other users' may be."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


# -- leases --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """Rows that one worker holds.

    Attributes:
        table: the work table.
        channel: the shop.
        token: the rows' `leased_by`.
        until: when it expires, by the ledger's clock.
        rows: the rows as they were before. If `leased_by` is set there, that worker never finished.
    """

    table: Table
    channel: str
    token: str
    until: datetime
    rows: Sequence[Row[Any]]

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def holds(self) -> ColumnElement[bool]:
        """The condition of every write that finishes a row: this lease still holds it."""
        return and_(self.table.c.channel == self.channel, self.table.c.leased_by == self.token)


class Heartbeat:
    """A thread that repeats a short transaction, four times in *seconds*.

    After *seconds* without one, other workers may take over what the heartbeat renews.
    """

    def __init__(self, ledger: Leases, beat: Callable[[Connection], object], seconds: float, name: str) -> None:
        self._ledger, self._beat, self._pause = ledger, beat, seconds / 4
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            # If the database is unavailable for a moment, the next beat tries again, until the lease expires.
            with suppress(LedgerError), self._ledger.transaction() as connection:
                self._beat(connection)


class Leases(ABC):
    """The part of the ledger that hands out work."""

    channel: str
    run_seconds: float
    given_up: dict[str, str]
    """Tokens that this process no longer works under and could not remove from their rows, with their channels."""

    def give_up(self, token: str) -> None:
        """Note that a lease or lock could not be released; this process may take it over."""
        self.given_up[token] = self.channel

    def release_given_up(self) -> None:
        """Release what this process gave up in the channel.

        Rows keep the token, as those of a process that exited do.
        """
        mine = [token for token, channel in list(self.given_up.items()) if channel == self.channel]
        if not mine:
            return
        with self.transaction() as connection:
            ended = {"leased_until": self.now(connection)}
            for table in WORK_TABLES:
                theirs = and_(table.c.channel == self.channel, table.c.leased_by.in_(mine))
                lock_in_order(connection, table, theirs)
                connection.execute(update(table).where(theirs).values(ended))
            locks = and_(RUN_LOCK.c.channel == self.channel, RUN_LOCK.c.leased_by.in_(mine))
            connection.execute(update(RUN_LOCK).where(locks).values(leased_by=None, leased_until=None, since=None))
        for token in mine:
            self.given_up.pop(token, None)

    def has_exited(self, token: str) -> bool:
        """True if the worker of a token is known to have exited, or gave its leases up."""
        return token in self.given_up or has_exited(token)

    @property
    @abstractmethod
    def worker(self) -> str:
        """The name of this process in leases."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """Open a transaction that may write."""

    @abstractmethod
    def now(self, connection: Connection | None = None) -> datetime:
        """Return the ledger's time."""

    def claim(
        self,
        connection: Connection,
        table: Table,
        *,
        where: Sequence[ColumnElement[bool]] = (),
        order_by: Sequence[ColumnElement[Any]] = (),
        limit: int,
        seconds: float,
        **parameters: Any,
    ) -> Lease:
        """Claim free rows of the channel in the running write transaction.

        Args:
            connection: of `Ledger.transaction`.
            table: a work table.
            where: further conditions, such as `table.c.due_at <= bindparam("now", type_=Moment)`. The statement is
                built once for each sequence of conditions, so pass the same objects each time.
            order_by: the order in which rows are claimed; by default by key.
            limit: the maximum number of rows, 1 to 10,000.
            seconds: how long the work may take.
            parameters: values for the conditions; `now` is provided.

        Returns:
            The lease; it is false if no row was free.
        """
        now = self.now(connection)
        chosen = _free_rows(table, tuple(where), tuple(order_by))
        given = {"now": now, "longest": now + _longest(seconds), "whose": self.channel, "most": limit, **parameters}
        rows = connection.execute(chosen, given).all()
        lease = Lease(table, self.channel, new_token(self.worker), now + timedelta(seconds=seconds), rows)
        if rows:
            values = {"leased_by": lease.token, "leased_until": lease.until}
            connection.execute(update(table).where(_these(lease)).values(values))
        return lease

    def renew(self, connection: Connection, lease: Lease, seconds: float) -> int:
        """Extend the lease to *seconds* from now; return how many rows it still holds."""
        condition = _still_held(lease)
        if len(lease.rows) != 1:
            lock_in_order(connection, lease.table, condition)
        until = self.now(connection) + timedelta(seconds=seconds)
        return connection.execute(update(lease.table).where(condition).values(leased_until=until)).rowcount

    def release(self, connection: Connection, lease: Lease) -> int:
        """Release the rows that the lease still holds, and return how many."""
        condition = _still_held(lease)
        lock_in_order(connection, lease.table, condition)
        return connection.execute(update(lease.table).where(condition).values(FREE)).rowcount

    @contextmanager
    def heartbeat(self, lease: Lease, seconds: float) -> Generator[None]:
        """Renew the lease while the block runs, however long it takes."""
        whole = replace(lease, rows=())  # by its token alone
        heartbeat = Heartbeat(self, lambda connection: self.renew(connection, whole, seconds), seconds, "octopus-lease")
        heartbeat.start()
        try:
            yield
        finally:
            heartbeat.stop()

    def reclaim_dead_leases(self, connection: Connection, table: Table) -> int:
        """Release rows whose process exited or gave them up; return how many.

        They keep the process's token: it shows the next claim that a row was interrupted.
        """
        held = connection.execute(_held_tokens(table), {"whose": self.channel}).scalars()
        exited = [token for token in held if self.has_exited(token)]
        if not exited:
            return 0
        theirs = and_(table.c.channel == self.channel, table.c.leased_by.in_(exited))
        lock_in_order(connection, table, theirs)
        ended = update(table).where(theirs).values(leased_until=self.now(connection))
        return connection.execute(ended).rowcount

    def reset_future_due(self, connection: Connection, table: Table, longest: timedelta) -> int:
        """Make rows due that are due later than any pause allows; return how many.

        Such a time was made while a clock was ahead. *longest* is the longest pause of the job.
        """
        now = self.now(connection)
        latest = now + max(_DAY, 2 * longest)
        if connection.execute(_any_due_after(table), {"whose": self.channel, "latest": latest}).first() is None:
            return 0
        astray = and_(table.c.channel == self.channel, table.c.due_at > latest)
        lock_in_order(connection, table, astray)
        return connection.execute(update(table).where(astray).values(due_at=now)).rowcount

    @contextmanager
    def run_lock(self, job: str, *, seconds: float | None = None) -> Generator[RunLock]:
        """Hold the lock of *job* in this channel, so that no other run is under way.

        Args:
            job: such as `push`.
            seconds: how long the lock outlives a process that no longer renews it; by default the ledger's
                `run_seconds`.

        Raises:
            JobRunningError: another run is under way. The error has its process and its start.
        """
        lock = RunLock(self, job, self.run_seconds if seconds is None else seconds)
        try:
            lock.acquire()  # inside the block: Ctrl-C right after it must not leave a lock that its thread renews
            yield lock
        finally:
            lock.release()


class RunLock:
    """A job's lock while it is held."""

    def __init__(self, ledger: Leases, job: str, seconds: float) -> None:
        self._ledger, self._job, self._seconds = ledger, job, seconds
        self._token = new_token(ledger.worker)
        self._row = {"whose": ledger.channel, "which": job}
        self._heartbeat = Heartbeat(ledger, self._renew, seconds, f"octopus-lock-{job}")

    def acquire(self) -> None:
        """Take the lock. See `Leases.run_lock`."""
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            longest, until = now + _longest(self._seconds), now + timedelta(seconds=self._seconds)
            values = {"leased_by": self._token, "leased_until": until, "since": now}
            given = {"channel": self._ledger.channel, "job": self._job, **values, "now": now, "longest": longest}
            if not connection.execute(_TAKE, given).rowcount:
                row = connection.execute(_RUN_HELD, self._row).one()
                holder: str | None = row.leased_by
                if holder is not None and now < row.leased_until <= longest and not self._ledger.has_exited(holder):
                    raise JobRunningError(self._job, describe_worker(holder), row.since)
                connection.execute(_RUN_TAKEN, {**self._row, **values})
        self._heartbeat.start()

    def check(self, connection: Connection) -> None:
        """Make sure, in the running transaction, that the lock is still held.

        Raises:
            LedgerError: another run took it over, because it was not renewed in time: the machine slept, for example.
        """
        found: str | None = connection.execute(_RUN_HELD, self._row).one().leased_by
        if found != self._token:
            raise LedgerError(
                f"this run of {self._job} did not renew its lock for {self._seconds:.0f} s, and another run took over; "
                "start it again"
            )

    def release(self) -> None:
        """Release the lock, if it is held.

        If the ledger is unavailable, the lock is given up: the run's own result or error matters more.
        """
        self._heartbeat.stop()
        try:
            with self._ledger.transaction() as connection:
                free = {"leased_by": None, "leased_until": None, "since": None}
                connection.execute(_RUN_OWN, {**self._row, "token": self._token, **free})
        except LedgerError:
            self._ledger.give_up(self._token)

    def _renew(self, connection: Connection) -> None:
        until = self._ledger.now(connection) + timedelta(seconds=self._seconds)
        connection.execute(_RUN_OWN, {**self._row, "token": self._token, "leased_until": until})


def lock_in_order(connection: Connection, table: Table, where: ColumnElement[bool]) -> None:
    """Lock the rows that the transaction is about to change, ordered by key.

    On SQLite it does nothing, because only one transaction may write.
    """
    if connection.dialect.name == "postgresql":
        keys = list(table.primary_key.columns)
        rows = select(*keys).where(where).order_by(*keys).with_for_update().subquery()
        connection.execute(select(func.count()).select_from(rows))


@lru_cache(maxsize=64)
def _free_rows(
    table: Table, where: tuple[ColumnElement[bool], ...], order_by: tuple[ColumnElement[Any], ...]
) -> Select[Any]:
    """Return the statement that reads and locks free rows."""
    now, longest = bindparam("now", type_=Moment), bindparam("longest", type_=Moment)
    until = table.c.leased_until
    free = or_(table.c.leased_by.is_(None), until <= now, until > longest)
    return (
        select(table)
        .where(table.c.channel == bindparam("whose"), free, *where)
        .order_by(*(order_by or _keys(table)))
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
    )


@lru_cache(maxsize=64)
def _held_tokens(table: Table) -> Select[Any]:
    mine = (table.c.channel == bindparam("whose"), table.c.leased_by.is_not(None))
    return select(table.c.leased_by).where(*mine).distinct()


@lru_cache(maxsize=64)
def _any_due_after(table: Table) -> Select[Any]:
    latest = bindparam("latest", type_=Moment)
    return select(table.c.channel).where(table.c.channel == bindparam("whose"), table.c.due_at > latest).limit(1)


def _longest(seconds: float) -> timedelta:
    """Return how far ahead a lease of *seconds* may end."""
    return max(_DAY, 2 * timedelta(seconds=seconds))


def _keys(table: Table) -> list[Column[Any]]:
    return [column for column in table.primary_key.columns if column.name != "channel"]


def _still_held(lease: Lease) -> ColumnElement[bool]:
    return and_(_these(lease), lease.holds) if lease.rows else lease.holds


def _these(lease: Lease) -> ColumnElement[bool]:
    keys = _keys(lease.table)
    values = [tuple(getattr(row, key.name) for key in keys) for row in lease.rows]
    channel = lease.table.c.channel == lease.channel
    if len(keys) == 1:
        return and_(channel, keys[0].in_([value for (value,) in values]))
    return and_(channel, tuple_(*keys).in_(values))
