"""The ledger's tables as they are today: one `METADATA`, to which every job's tables belong.

Tables of the push stand here; those of orders and changes stand in modules of their own, which make them with this
`METADATA`. `schema.py` creates all of them, step by step; a test holds the two against each other.

A *work table* has one row per thing to do, and these columns besides its own (`work_columns`):

* `channel`: whose it is. One database serves several shops; every statement names the channel.
* `state`: a word of the job's own.
* `due_at`: from when on there is something to do; NULL where there is nothing. Only due rows are claimed.
* `leased_by`, `leased_until`: who works on it, and until when nobody else may (see `leases.py`).
* `attempts`, `message`: how often it was tried in vain, and the last reason.

Moments are kept as whole microseconds since 1970, which both databases compare and index alike.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.types import TypeDecorator

METADATA = MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's interface
        """Turn a datetime into a number."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's interface
        """Turn a number into a datetime in UTC."""
        return None if value is None else _EPOCH + int(value) * _MICROSECOND


def work_columns() -> list[Column[Any]]:
    """The columns every work table has besides its key and its own; `channel` is made by the table, before its key."""
    return [
        Column("state", Text, nullable=False),
        Column("due_at", Moment),
        Column("leased_by", Text),
        Column("leased_until", Moment),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("message", Text, nullable=False, server_default=""),
    ]


def work_indexes(name: str) -> list[Index]:
    """The two indexes that keep claiming fast however many rows are done: both leave those out."""
    return [
        Index(f"{name}_due", "channel", "due_at", **_where("due_at IS NOT NULL")),
        Index(f"{name}_leased", "channel", "leased_by", **_where("leased_by IS NOT NULL")),
    ]


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


CHANNEL = Table(
    "channel",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("merchantname", Text, nullable=False),
    Column("account_hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)
"""Which account each channel belongs to (see `Ledger.bind`)."""

RUN_LOCK = Table(
    "run_lock",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("job", Text, primary_key=True),
    Column("leased_by", Text),
    Column("leased_until", Moment),
    Column("since", Moment),
)
"""Which run of a job is under way."""

STOCK_ITEM = Table(
    "stock_item",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("acknowledged", Text),
    Column("acknowledged_at", Moment),
    Column("wanted", Text),
    Column("observed_at", Moment),
    *work_columns(),
    *work_indexes("stock_item"),
    info={"job": "push", "key": "sku", "held": ("rejected",), "retry_state": "pending"},
)
"""One SKU: what the service last acknowledged, and what it should be told where that differs (`wanted`)."""

STOCK_PLAN = Table(
    "stock_plan",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("wanted", Text, nullable=False),
    Column("observed_at", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("zeroed", Integer, nullable=False),
    Column("actual", Text),
)
"""The differences a run has found so far; they become work only once the guard has seen all of them."""
