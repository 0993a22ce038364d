"""Reads and changes of a ledger by people: the commands of `octopus-soap ledger`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, or_, select, update

from octopus_soap.jobs.leases import describe_worker, has_exited, lock_in_order
from octopus_soap.jobs.reports import KeyProblem, held_as, is_held
from octopus_soap.jobs.tables import (
    CHANGED,
    CHANNEL,
    CONFIRMED,
    HANDLED,
    ORDERS,
    RUN_LOCK,
    STOCK_ITEM,
    WORK_TABLES,
    chunks,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement, Table

    from octopus_soap.jobs.ledger import Ledger

_HIDDEN = frozenset({"channel", "leased_by"})


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The state of one work table.

    Attributes:
        states: how many rows are in each state.
        due: rows that are due now.
        leased: rows that a worker holds.
        held: rows that wait for a fix: rejected, quarantined, changed, refused at a later step.
    """

    job: str
    table: str
    states: dict[str, int] = field(default_factory=dict[str, int])
    due: int = 0
    leased: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """A run that is under way: its process, and when it began by the ledger's clock."""

    job: str
    holder: str
    since: datetime


def status(ledger: Ledger) -> list[JobStatus]:
    """Return the state of each work table in which the channel has rows."""
    found: list[JobStatus] = []
    with ledger.reading() as connection:
        now = ledger.now(connection)
        for table in _work_tables():
            mine = table.c.channel == ledger.channel
            counted = select(table.c.state, func.count()).where(mine).group_by(table.c.state).order_by(table.c.state)
            states = {state: count for state, count in connection.execute(counted)}  # noqa: C416 - rows are no pairs to a type checker
            if states:
                conditions = (table.c.due_at <= now, table.c.leased_until > now, is_held(table, ledger.channel))
                counts = [
                    connection.execute(select(func.count()).select_from(table).where(mine, condition)).scalar_one()
                    for condition in conditions
                ]
                found.append(JobStatus(table.info["job"], table.name, states, *counts))
    return found


def running(ledger: Ledger) -> list[Running]:
    """Return the runs that are under way in the channel."""
    with ledger.reading() as connection:
        now = ledger.now(connection)
        held = select(RUN_LOCK).where(RUN_LOCK.c.channel == ledger.channel, RUN_LOCK.c.leased_until > now)
        rows = connection.execute(held.order_by(RUN_LOCK.c.job)).all()
    return [
        Running(row.job, describe_worker(row.leased_by), row.since) for row in rows if not has_exited(row.leased_by)
    ]


def show(ledger: Ledger, key: str) -> list[dict[str, Any]]:
    """Return all rows of the channel about *key*, a SKU or an order id, with the job."""
    found: list[dict[str, Any]] = []
    with ledger.reading() as connection:
        for table in _work_tables():
            mine = table.c.channel == ledger.channel
            for row in connection.execute(select(table).where(mine, _about(table, [key]))):
                cells = {name: value for name, value in row._mapping.items() if name not in _HIDDEN}  # noqa: SLF001 - SQLAlchemy's public name
                if row.leased_by is not None:
                    cells["leased_by"] = describe_worker(row.leased_by)
                found.append({"job": table.info["job"], **cells})
    return found


def held(ledger: Ledger, *, job: str | None = None) -> Iterator[tuple[str, KeyProblem]]:
    """Yield the channel's rejected and quarantined keys, each with its job."""
    with ledger.reading() as connection:
        for table in _work_tables(job):
            key = table.c[table.info["key"]]
            cells = (key, table.c.state, table.c.message, table.c.attempts)
            wanted = select(*cells).where(is_held(table, ledger.channel)).order_by(key)
            for found, state, message, attempts in connection.execute(wanted):
                yield table.info["job"], KeyProblem(found, held_as(table, state), message, attempts)


def retry(ledger: Ledger, keys: Collection[str] | None = None, *, job: str | None = None) -> int:
    """Make rejected and quarantined rows due now, and return how many.

    *keys* are SKUs or order ids, all by default; with *job*, only rows of this job.
    """
    count = 0
    with ledger.transaction() as connection:
        now = ledger.now(connection)
        for table in _work_tables(job):
            # A row without a due time cannot be tried, such as a row of a list without a SKU.
            at_once = table.c.state.in_(table.info.get("retry_at_once", ()))
            condition = and_(is_held(table, ledger.channel), or_(table.c.due_at.is_not(None), at_once))
            if keys is not None:
                condition = and_(condition, _about(table, keys))
            lock_in_order(connection, table, condition)
            # A row that failed at a later step continues from there.
            starts_again: ColumnElement[bool] = table.c.state.in_(table.info["held"])
            if "unfinished" in table.c:
                starts_again = or_(starts_again, table.c.unfinished.is_not(None))
            state = case((starts_again, table.info["retry_state"]), else_=table.c.state)
            changed = update(table).where(condition).values(state=state, due_at=now, attempts=0)
            count += connection.execute(changed).rowcount
    return count


def acknowledge(ledger: Ledger, keys: Collection[str] | None = None) -> int:
    """Keep the handled version of changed orders, and return how many.

    The next run confirms them. *keys* are order ids or keys; by default all changed orders.
    """
    condition = and_(ORDERS.c.channel == ledger.channel, ORDERS.c.state == CHANGED)
    if keys is not None:
        condition = and_(condition, _about(ORDERS, keys))
    with ledger.transaction() as connection:
        lock_in_order(connection, ORDERS, condition)
        values = {"state": HANDLED, "due_at": ledger.now(connection), "attempts": 0, "message": ""}
        changed = update(ORDERS).where(condition).values(handled_content=ORDERS.c.content, **values)
        return connection.execute(changed).rowcount


def forget(ledger: Ledger, skus: Collection[str]) -> int:
    """Withdraw the rejected ones of *skus*, and return how many.

    They are neither tried again nor reported.
    """
    count = 0
    with ledger.transaction() as connection:
        for some in chunks(list(skus)):
            mine = and_(is_held(STOCK_ITEM, ledger.channel), STOCK_ITEM.c.sku.in_(some))
            lock_in_order(connection, STOCK_ITEM, mine)
            nothing_known = and_(mine, STOCK_ITEM.c.acknowledged.is_(None))
            count += connection.execute(delete(STOCK_ITEM).where(nothing_known)).rowcount
            values = {"wanted": None, "state": "done", "due_at": None, "attempts": 0, "message": ""}
            count += connection.execute(update(STOCK_ITEM).where(mine).values(values)).rowcount
    return count


def purge(ledger: Ledger, before: datetime) -> int:
    """Delete the content of orders confirmed and handled *before*; return how many.

    *before* is aware. Key and digest remain, so an order that is listed again is recognised.
    """
    old = and_(ORDERS.c.channel == ledger.channel, ORDERS.c.state == CONFIRMED, ORDERS.c.handled_at < before)
    kept = or_(ORDERS.c.raw != "", ORDERS.c.typed.is_not(None))
    with ledger.transaction() as connection:
        condition = and_(old, kept)
        lock_in_order(connection, ORDERS, condition)
        return connection.execute(update(ORDERS).where(condition).values(raw="", typed=None)).rowcount


def channels(ledger: Ledger) -> list[str]:
    """Return the names of the database's channels."""
    with ledger.reading() as connection:
        return list(connection.execute(select(CHANNEL.c.channel).order_by(CHANNEL.c.channel)).scalars())


def pushed_skus(ledger: Ledger) -> list[str]:
    """Return the SKUs that pushes have recorded in the channel, sorted."""
    wanted = select(STOCK_ITEM.c.sku).where(STOCK_ITEM.c.channel == ledger.channel).order_by(STOCK_ITEM.c.sku)
    with ledger.reading() as connection:
        return list(connection.execute(wanted).scalars())


def _about(table: Table, keys: Collection[str]) -> ColumnElement[bool]:
    """Return the condition for rows with one of *keys* as their key or order id."""
    names = [name for name in (table.info["key"], "order_id") if name in table.c]
    return or_(*(table.c[name].in_(list(keys)) for name in names))


def _work_tables(job: str | None = None) -> list[Table]:
    return [table for table in WORK_TABLES if job in {None, table.info["job"]}]
