"""The schedule: which runs are due, and when the next one is.

Invariants:

* Any number of tickers may run: only one of them hands a due run to an engine (`FOR UPDATE SKIP LOCKED` on PostgreSQL,
  one writer at a time on SQLite).
* A run that was delivered twice starts once: each start locks the merchant's jobs before it reads them.
* The backlog stays in the table. At most four times as many runs as there are slots wait in the engine. So a change of
  the registry takes effect at once, and the run that is overdue longest comes first.
* After an outage, one run of a job is due, and not each one that was missed.
* A run that was handed over and never ended is due again: at once if its process was on this machine and exited; when
  its run lock expires if it was on another machine; after `lost_seconds` if the engine lost it before it started.
* A run that a ticker took but did not hand over before it died is due again: at once if the ticker was on this machine,
  and otherwise after `lost_seconds`.
* A job that fails waits `every` x 2^failures, at most an hour, and never less than the service asked for.
* If the credentials are refused three times in a row, over all jobs of the merchant, nothing runs until `resume`. After
  the first refusal its jobs run one at a time, so that there is no fourth.
* If a run times out, the merchant's jobs go to the queue `slow`, with slots of its own, until a run is quick again. The
  engine gets no more of them than `slow` has slots, because a worker's threads are not divided among the queues.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, delete, func, insert, or_, select, text, update

from octopus_soap.fleet.registry import ACTIVE, REFUSED, next_time
from octopus_soap.fleet.tables import MERCHANT, RUN, SCHEDULE, TICKER
from octopus_soap.jobs.tables import RUN_LOCK, Moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from octopus_soap.jobs.ledger import Ledger

log = logging.getLogger("octopus_soap.fleet")

SLOW = "slow"
QUEUES = ("orders", "push", "changes", SLOW)
WAITING_PER_SLOT = 4
"""How many runs may wait in the engine for each of its slots."""
REFUSALS = 3
"""After this many refusals of the credentials in a row, nothing more is sent."""
LONGEST_PAUSE = timedelta(hours=1)
HISTORY, HISTORY_OF_GOOD = timedelta(days=7), timedelta(days=1)
"""How long runs stay in the history, and successful ones: at 100 runs a second, a day has 9 million rows."""
_ONE_AT_A_TIME_SECONDS = 5
_MESSAGE = 400
_DONE = frozenset({"ok", "held"})

# Statements of every run, built once.
_MINE = and_(SCHEDULE.c.name == bindparam("whose"), SCHEDULE.c.job == bindparam("which"))
_CHANGED = update(SCHEDULE).where(_MINE)
"""Sets the columns that are given next to `whose` and `which`."""
_LOCK = and_(
    RUN_LOCK.c.channel == SCHEDULE.c.name,
    RUN_LOCK.c.job == SCHEDULE.c.job,
    RUN_LOCK.c.leased_until > bindparam("now", type_=Moment),
)
_BEGINNING = (
    select(
        SCHEDULE.c.enqueued_at,
        SCHEDULE.c.enqueued_by,
        SCHEDULE.c.started_at,
        SCHEDULE.c.next_at,
        MERCHANT.c.state,
        RUN_LOCK.c.leased_by,
    )
    .join(MERCHANT, MERCHANT.c.name == SCHEDULE.c.name)
    .outerjoin(RUN_LOCK, _LOCK)
    .where(_MINE)
)
_JOBS = select(SCHEDULE).where(SCHEDULE.c.name == bindparam("whose")).order_by(SCHEDULE.c.job).with_for_update()
"""Reads and locks the jobs of a merchant: each start and end sees the ones before it."""
_NOTED = insert(RUN)


@dataclass(frozen=True, slots=True)
class Due:
    """One run that is handed to an engine."""

    name: str
    job: str
    queue: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        outcome: `ok`, `held` (some keys are rejected or quarantined), `failed`, `refused` (credentials), `busy`
            (another run was under way), `interrupted` (its budget or a stop came first) or `skipped`.
        message: why, without secrets.
        retry_after: seconds the service asked to wait; None if it did not.
        timed_out: the service was too slow.
        backlog: keys left to be done.
        held: keys that are rejected or quarantined.
        seconds: how long it took; None if only its end was recorded.
    """

    outcome: str
    message: str = ""
    retry_after: float | None = None
    timed_out: bool = False
    backlog: int = 0
    held: int = 0
    seconds: float | None = None


class Schedule:
    """The due runs of a fleet.

    Args:
        ledger: any ledger on the database.
        lost_seconds: seconds after which a run that the engine has not started is handed over again.
    """

    def __init__(self, ledger: Ledger, *, lost_seconds: float = 120.0) -> None:
        self._ledger, self._lost = ledger, timedelta(seconds=lost_seconds)

    def take_due(self, slots: Mapping[str, int]) -> list[Due]:
        """Take the due runs for this process to hand over; the longest overdue come first.

        If the process ends before `note_handed_over`, they are due again.

        Args:
            slots: how many runs of each queue the engine can run at once.
        """
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            self._note_tick(connection, now, sum(slots.values()))
            self._free_lost(connection, now)
            room = self._room(connection, slots)
            due: list[Due] = []
            for queue, most in room.items():
                if most > 0:
                    due += self._select(connection, queue, most, now)
            if due:
                taken = {"enqueued_at": now, "enqueued_by": self._ledger.worker, "started_at": None}
                connection.execute(_CHANGED, [{"whose": run.name, "which": run.job, **taken} for run in due])
        return due

    def note_handed_over(self, due: Sequence[Due]) -> None:
        """Record that runs wait outside this process, and are not lost with it."""
        if not due:
            return
        with self._ledger.transaction() as connection:
            mine = and_(SCHEDULE.c.enqueued_by == self._ledger.worker, SCHEDULE.c.started_at.is_(None))
            rows = [{"whose": run.name, "which": run.job, "enqueued_by": None} for run in due]
            connection.execute(_CHANGED.where(mine), rows)

    def _select(self, connection: Connection, queue: str, most: int, now: datetime) -> list[Due]:
        mine = SCHEDULE.c.slow == 1 if queue == SLOW else and_(SCHEDULE.c.slow == 0, SCHEDULE.c.job == queue)
        rows = (
            select(SCHEDULE.c.name, SCHEDULE.c.job)
            .join(MERCHANT, MERCHANT.c.name == SCHEDULE.c.name)
            .where(mine, SCHEDULE.c.next_at <= now, SCHEDULE.c.enqueued_at.is_(None), MERCHANT.c.state == ACTIVE)
            .order_by(SCHEDULE.c.next_at)
            .limit(most)
            .with_for_update(of=SCHEDULE, skip_locked=True)
        )
        return [Due(row.name, row.job, queue) for row in connection.execute(rows)]

    def _room(self, connection: Connection, slots: Mapping[str, int]) -> dict[str, int]:
        """Return how many more runs of each queue may wait in the engine."""
        queue = case((SCHEDULE.c.slow == 1, SLOW), else_=SCHEDULE.c.job)
        waiting = select(queue, func.count()).where(SCHEDULE.c.enqueued_at.is_not(None)).group_by(queue)
        found: dict[str, int] = {row[0]: row[1] for row in connection.execute(waiting)}
        return {
            name: number * (1 if name == SLOW else WAITING_PER_SLOT) - found.get(name, 0)
            for name, number in slots.items()
        }

    def _free_lost(self, connection: Connection, now: datetime) -> None:
        """Make runs due again that were handed over and lost."""
        lock = and_(RUN_LOCK.c.channel == SCHEDULE.c.name, RUN_LOCK.c.job == SCHEDULE.c.job)
        rows = (
            select(
                SCHEDULE.c.name,
                SCHEDULE.c.job,
                SCHEDULE.c.enqueued_at,
                SCHEDULE.c.enqueued_by,
                SCHEDULE.c.started_at,
                RUN_LOCK.c.leased_by,
                RUN_LOCK.c.leased_until,
            )
            .select_from(SCHEDULE.outerjoin(RUN_LOCK, lock))
            .where(SCHEDULE.c.enqueued_at.is_not(None))
            .order_by(SCHEDULE.c.name, SCHEDULE.c.job)  # in which other transactions lock them too
        )
        exited = cache(self._ledger.has_exited)  # one system call per worker
        for row in connection.execute(rows).all():
            worker: str = row.enqueued_by or ""
            dead = bool(worker) and exited(worker)
            if row.started_at is None:
                lost = dead or row.enqueued_at < now - self._lost
            else:
                holder: str = row.leased_by or ""
                held = bool(holder) and row.leased_until > now and not exited(holder)
                # A run that has just started or ended has no lock, but records itself in a moment.
                lost = not held and (dead or row.started_at < now - timedelta(seconds=self._ledger.run_seconds))
            if lost:
                mine = and_(SCHEDULE.c.name == row.name, SCHEDULE.c.job == row.job)
                same = SCHEDULE.c.enqueued_at == row.enqueued_at
                not_begun = SCHEDULE.c.started_at.is_not_distinct_from(row.started_at)  # by a worker, meanwhile
                values = {"enqueued_at": None, "enqueued_by": None, "started_at": None}
                connection.execute(update(SCHEDULE).where(mine, same, not_begun).values(values))

    def _note_tick(self, connection: Connection, now: datetime, slots: int) -> None:
        row = {
            "worker": self._ledger.worker,
            "at": Moment().process_bind_param(now, connection.dialect),
            "slots": slots,
        }
        connection.execute(
            text(
                "INSERT INTO fleet_ticker (worker, at, slots) VALUES (:worker, :at, :slots) "
                "ON CONFLICT (worker) DO UPDATE SET at = excluded.at, slots = excluded.slots"
            ),
            row,
        )
        connection.execute(delete(TICKER).where(TICKER.c.at < now - timedelta(days=1)))

    def give_back(self, due: Due) -> None:
        """Make a run that the engine did not take due again."""
        with self._ledger.transaction() as connection:
            mine = and_(SCHEDULE.c.name == due.name, SCHEDULE.c.job == due.job, SCHEDULE.c.started_at.is_(None))
            connection.execute(update(SCHEDULE).where(mine).values(enqueued_at=None, enqueued_by=None))

    def start(self, name: str, job: str) -> datetime | None:
        """Record that a run begins, and return when.

        Returns:
            The time; None if there is nothing to run, because the merchant is not active, the run has ended, or it is
            under way. (A broker that lost a worker's connection delivers its runs again, although they continue.)
        """
        with self._ledger.transaction() as connection:
            this = {"whose": name, "which": job}
            jobs = connection.execute(_JOBS, {"whose": name}).all()
            now = self._ledger.now(connection)
            row = connection.execute(_BEGINNING, {**this, "now": now}).one_or_none()
            if row is None:
                log.warning(
                    "a run of %r, %s was delivered, and there is none in %s: it was removed, or two fleets share a "
                    "broker under one name; then give each its own: OCTOPUS_FLEET_NAME=...",
                    name, job, self._ledger.shown,
                )  # fmt: skip
                return None
            if row.enqueued_at is None:
                return None
            if row.started_at is not None:
                recent = row.started_at > now - timedelta(seconds=self._ledger.run_seconds)
                if any(
                    worker and not self._ledger.has_exited(worker)
                    for worker in (row.leased_by, recent and row.enqueued_by)
                ):
                    return None
            if row.state != ACTIVE:
                connection.execute(_CHANGED, {**this, "enqueued_at": None, "enqueued_by": None})
                return None
            if _refused_elsewhere(jobs, job, now):
                again = now + timedelta(seconds=_ONE_AT_A_TIME_SECONDS)
                connection.execute(_CHANGED, {**this, **_free(again)})
                return None
            late = max(0.0, (now - row.next_at).total_seconds())
            begun = {"started_at": now, "enqueued_by": self._ledger.worker, "lateness": late}
            connection.execute(_CHANGED, {**this, **begun})
        return now

    def end(self, name: str, job: str, started: datetime, ended: Ended) -> None:
        """Record how a run ended, and when the next is due."""
        with self._ledger.transaction() as connection:
            this = {"whose": name, "which": job}
            jobs = connection.execute(_JOBS, {"whose": name}).all()
            now = self._ledger.now(connection)
            row = next((each for each in jobs if each.job == job), None)
            if row is None:  # removed meanwhile
                return
            if ended.outcome == "busy":  # a second delivery: the first one records the result
                if row.started_at == started:
                    again = now + timedelta(seconds=5)
                    connection.execute(_CHANGED, {**this, "outcome": "busy", **_free(again)})
                return
            if ended.seconds is None:
                ended = replace(ended, seconds=(now - started).total_seconds())
            values = _after(row, ended, now)
            if row.started_at is not None and row.started_at != started:  # it was considered lost, and runs again
                values = {key: value for key, value in values.items() if key not in _free(now)}
            connection.execute(_CHANGED, {**this, **values})
            noted = {
                "name": name,
                "job": job,
                "started_at": started,
                "ended_at": started + timedelta(seconds=ended.seconds or 0),
                "outcome": ended.outcome,
                "message": ended.message[:_MESSAGE],
            }
            connection.execute(_NOTED, noted)
            if ended.timed_out != bool(row.slow):
                connection.execute(update(SCHEDULE).where(SCHEDULE.c.name == name).values(slow=int(ended.timed_out)))
            others = sum(each.refusals for each in jobs if each.job != job)
            if values["refusals"] and values["refusals"] + others >= REFUSALS:
                reason = f"the service refused the credentials {REFUSALS} times: {ended.message}"[:_MESSAGE]
                connection.execute(
                    update(MERCHANT)
                    .where(MERCHANT.c.name == name, MERCHANT.c.state == ACTIVE)
                    .values(state=REFUSED, reason=reason, changed_at=now)
                )

    def purge(self) -> int:
        """Delete runs after 7 days, and successful ones after one; return how many."""
        with self._ledger.transaction() as connection:
            now = self._ledger.now(connection)
            good = and_(RUN.c.outcome == "ok", RUN.c.started_at < now - HISTORY_OF_GOOD)
            return connection.execute(delete(RUN).where(or_(good, RUN.c.started_at < now - HISTORY))).rowcount

    def idle(self) -> bool:
        """True if no run is due, waiting or under way."""
        with self._ledger.reading() as connection:
            now = self._ledger.now(connection)
            due = and_(SCHEDULE.c.next_at <= now, MERCHANT.c.state == ACTIVE)
            found = (
                select(SCHEDULE.c.name)
                .join(MERCHANT, MERCHANT.c.name == SCHEDULE.c.name)
                .where(or_(SCHEDULE.c.enqueued_at.is_not(None), due))
                .limit(1)
            )
            return connection.execute(found).first() is None


def _refused_elsewhere(jobs: Sequence[Row[Any]], job: str, now: datetime) -> bool:
    """True if the credentials were refused, and another job is trying them now."""
    if not any(row.refusals for row in jobs):
        return False
    return any(row.job != job and row.started_at is not None and row.started_at <= now for row in jobs)


def _free(next_at: datetime) -> dict[str, Any]:
    return {"enqueued_at": None, "enqueued_by": None, "started_at": None, "next_at": next_at}


def _after(row: Any, ended: Ended, now: datetime) -> dict[str, Any]:
    """Return the row of a job after a run ended."""
    done = ended.outcome in _DONE
    failures = 0 if done else row.failures + (ended.outcome in {"failed", "refused"})
    next_at = next_time(row.name, row.job, row.every, now)
    if failures:
        next_at = max(next_at, now + min(LONGEST_PAUSE, timedelta(seconds=row.every) * 2 ** min(failures, 20)))
    elif ended.outcome == "interrupted":  # there is more to do: continue soon
        next_at = min(next_at, now + timedelta(seconds=min(row.every, 5.0)))
    if ended.retry_after is not None:
        next_at = max(next_at, now + timedelta(seconds=ended.retry_after))
    values = _free(next_at) | {
        "ended_at": now,
        "outcome": ended.outcome,
        "message": ended.message[:_MESSAGE],
        "failures": failures,
        "refusals": row.refusals + 1 if ended.outcome == "refused" else 0,
        "duration": ended.seconds,
        "backlog": ended.backlog,
        "held": ended.held,
    }
    return values | {"last_success_at": now} if done else values
