"""Leases: how several workers share rows, and several runs a job.

Theory. A worker claims rows in one short transaction: they get its token and a time until which nobody else may claim
them. Then it works without any transaction, and writes what came of it under the condition that the rows still bear
its token (`Lease.holds`). Where the time ran out, another worker may have taken them over; then the condition fails,
and the late worker's write changes nothing. A claim is made of rows nobody holds: on PostgreSQL with `FOR UPDATE SKIP
LOCKED`, so that workers pass by each other; on SQLite in the one transaction that may write.

A run lock is a lease on a job, kept up by a thread while the block runs.

Leases of processes that are seen to be dead (`workers.py`) are taken over at once. So are those that end later than any
lease does: a clock that ran ahead when they were made was set back since, and they would hold for as long.

On PostgreSQL two transactions that lock the same rows in different orders end in a deadlock, and one of them fails. So
whoever changes several rows locks them first, in the order of their keys (`lock_in_order`).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import and_, func, or_, select, text, tuple_, update

from octopus_soap.errors import JobRunningError, LedgerError
from octopus_soap.jobs.tables import RUN_LOCK
from octopus_soap.jobs.workers import is_gone, new_token, shown

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Connection, Row, Table

RUN_SECONDS = 120.0
"""How long a run lock holds after its process was last heard of."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Lease:
    """Rows one worker holds.

    Attributes:
        table: the work table.
        channel: the shop.
        token: what the rows bear in `leased_by`.
        until: when it runs out, by the ledger's clock.
        rows: the rows as they were before; a `leased_by` there is of a worker that never finished.
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
        """The condition every finishing write needs: the rows are still this lease's."""
        return and_(self.table.c.channel == self.channel, self.table.c.leased_by == self.token)


class _Books(Protocol):
    """What the leases need of the ledger they are part of."""

    channel: str
    worker: str

    def transaction(self) -> AbstractContextManager[Connection]: ...
    def now(self, connection: Connection | None = None) -> datetime: ...


class Leases:
    """The ledger's part that hands out work."""

    def claim(
        self: _Books,
        connection: Connection,
        table: Table,
        *,
        where: Sequence[ColumnElement[bool]] = (),
        order_by: Sequence[ColumnElement[Any]] = (),
        limit: int,
        seconds: float,
    ) -> Lease:
        """Take up to *limit* free rows of the channel for *seconds*, inside the running write transaction.

        Args:
            connection: of `Ledger.transaction`.
            table: a work table.
            where: further conditions, such as `table.c.due_at <= now`.
            order_by: which first; by key otherwise.
            limit: rows at most, 1 to 10,000.
            seconds: how long the work may take.

        Returns:
            The lease; false where there was nothing to take.
        """
        now = self.now(connection)
        keys = _keys(table)
        until = table.c.leased_until
        free = or_(table.c.leased_by.is_(None), until <= now, until > now + _longest(seconds))
        chosen = (
            select(table)
            .where(table.c.channel == self.channel, free, *where)
            .order_by(*(order_by or keys))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(chosen).all()
        lease = Lease(table, self.channel, new_token(self.worker), now + timedelta(seconds=seconds), rows)
        if rows:
            values = {"leased_by": lease.token, "leased_until": lease.until}
            connection.execute(update(table).where(_these(lease, keys)).values(values))
        return lease

    def renew(self: _Books, connection: Connection, lease: Lease, seconds: float) -> int:
        """Keep the lease's rows for *seconds* from now; return how many it still holds."""
        condition = and_(_these(lease, _keys(lease.table)), lease.holds) if lease.rows else lease.holds
        if len(lease.rows) != 1:
            lock_in_order(connection, lease.table, condition)
        until = self.now(connection) + timedelta(seconds=seconds)
        return connection.execute(update(lease.table).where(condition).values(leased_until=until)).rowcount

    def release(self: _Books, connection: Connection, lease: Lease) -> int:
        """Give back what the lease still holds, unchanged; return how many rows that were."""
        condition = and_(_these(lease, _keys(lease.table)), lease.holds) if lease.rows else lease.holds
        lock_in_order(connection, lease.table, condition)
        changed = {"leased_by": None, "leased_until": None}
        return connection.execute(update(lease.table).where(condition).values(changed)).rowcount

    @contextmanager
    def kept(self: _Books, lease: Lease, seconds: float) -> Generator[None]:
        """Keep the lease alive while the block runs, however long it takes."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(seconds / 4):
                with suppress(LedgerError), self.transaction() as connection:  # the next turn tries again
                    lock_in_order(connection, lease.table, lease.holds)
                    until = self.now(connection) + timedelta(seconds=seconds)
                    connection.execute(update(lease.table).where(lease.holds).values(leased_until=until))

        thread = threading.Thread(target=keep, name="octopus-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def take_from_the_dead(self: _Books, connection: Connection, table: Table) -> int:
        """Free the rows of workers of this machine that are no more; return how many.

        The rows keep the name of who held them, so that the next claim can tell an interrupted row from a new one.
        """
        held = select(table.c.leased_by).where(table.c.channel == self.channel, table.c.leased_by.is_not(None))
        gone = [token for (token,) in connection.execute(held.distinct()) if is_gone(token)]
        if not gone:
            return 0
        theirs = and_(table.c.channel == self.channel, table.c.leased_by.in_(gone))
        lock_in_order(connection, table, theirs)
        ended = update(table).where(theirs).values(leased_until=self.now(connection))
        return connection.execute(ended).rowcount

    def mend_times(self: _Books, connection: Connection, table: Table, longest: timedelta) -> int:
        """Make due what is due only in a future no pause reaches: a clock that ran ahead was set back. Return how much.

        Args:
            connection: of `Ledger.transaction`.
            table: a work table.
            longest: the longest pause its job makes.
        """
        now = self.now(connection)
        astray = and_(table.c.channel == self.channel, table.c.due_at > now + max(_DAY, 2 * longest))
        lock_in_order(connection, table, astray)
        return connection.execute(update(table).where(astray).values(due_at=now)).rowcount

    @contextmanager
    def run_lock(self: _Books, job: str, *, seconds: float = RUN_SECONDS) -> Generator[RunLock]:
        """Make sure that no other run of *job* is under way in this channel while the block runs.

        Args:
            job: such as `push`.
            seconds: how long the lock outlives a process that can no longer be heard of.

        Raises:
            JobRunningError: another run is under way; says whose and since when.
        """
        lock = RunLock(self, job, seconds)
        try:
            lock.acquire()  # inside: Ctrl-C right after it must not leave a lock that its own thread keeps up
            yield lock
        finally:
            lock.release()


class RunLock:
    """A job's lock while it is held."""

    def __init__(self, books: _Books, job: str, seconds: float) -> None:
        self._books, self._job, self._seconds = books, job, seconds
        self._token = new_token(books.worker)
        self._ended = threading.Event()
        self._mine = and_(RUN_LOCK.c.channel == books.channel, RUN_LOCK.c.job == job)
        self._thread = threading.Thread(target=self._keep, name=f"octopus-lock-{job}", daemon=True)

    def acquire(self) -> None:
        """Take the lock. See `Leases.run_lock`."""
        new = text("INSERT INTO run_lock (channel, job) VALUES (:channel, :job) ON CONFLICT DO NOTHING")
        with self._books.transaction() as connection:
            connection.execute(new, {"channel": self._books.channel, "job": self._job})
            row = connection.execute(select(RUN_LOCK).where(self._mine).with_for_update()).one()
            now = self._books.now(connection)
            holder: str | None = row.leased_by
            longest = now + _longest(self._seconds)
            if holder is not None and now < row.leased_until <= longest and not is_gone(holder):
                raise JobRunningError(self._job, shown(holder), row.since)
            until = now + timedelta(seconds=self._seconds)
            values = {"leased_by": self._token, "leased_until": until, "since": now}
            connection.execute(update(RUN_LOCK).where(self._mine).values(values))
        self._thread.start()

    def check(self, connection: Connection) -> None:
        """Make sure inside the running transaction that the lock is still held, as after a machine slept for long.

        Raises:
            LedgerError: another run took it over, as this one was not heard of for too long.
        """
        holder = connection.execute(select(RUN_LOCK.c.leased_by).where(self._mine).with_for_update()).scalar_one()
        if holder != self._token:
            raise LedgerError(f"this run of {self._job} was not heard of for too long, and another one took over")

    def release(self) -> None:
        """Let go; does nothing where the lock was never had, or lost.

        Where the ledger is away the lock runs out by itself: what the run did, or what ended it, matters more.
        """
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(LedgerError), self._books.transaction() as connection:
            mine = update(RUN_LOCK).where(self._mine, RUN_LOCK.c.leased_by == self._token)
            connection.execute(mine.values(leased_by=None, leased_until=None, since=None))

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            try:
                with self._books.transaction() as connection:
                    until = self._books.now(connection) + timedelta(seconds=self._seconds)
                    mine = update(RUN_LOCK).where(self._mine, RUN_LOCK.c.leased_by == self._token)
                    connection.execute(mine.values(leased_until=until))
            except LedgerError:
                continue  # the database is away for a moment; the next turn tries again, until the lock runs out


def lock_in_order(connection: Connection, table: Table, where: ColumnElement[bool]) -> None:
    """Lock the rows the transaction is about to change, by key; does nothing on SQLite, where only one may write."""
    if connection.dialect.name == "postgresql":
        keys = list(table.primary_key.columns)
        rows = select(*keys).where(where).order_by(*keys).with_for_update().subquery()
        connection.execute(select(func.count()).select_from(rows))


def _longest(seconds: float) -> timedelta:
    """Leases that end later than this from now were made by a clock that ran ahead."""
    return max(_DAY, 2 * timedelta(seconds=seconds))


def _keys(table: Table) -> list[Column[Any]]:
    return [column for column in table.primary_key.columns if column.name != "channel"]


def _these(lease: Lease, keys: list[Column[Any]]) -> ColumnElement[bool]:
    values = [tuple(getattr(row, key.name) for key in keys) for row in lease.rows]
    channel = lease.table.c.channel == lease.channel
    if len(keys) == 1:
        return and_(channel, keys[0].in_([value for (value,) in values]))
    return and_(channel, tuple_(*keys).in_(values))
