"""The ledger's tables, as the steps in `schema.py` create them.

A *work table* has a row for each thing to do. It has these columns (`work_columns`) and some of its own:

* `channel`: the shop. One database serves several shops, so every statement names the channel.
* `state`: one of the job's states.
* `due_at`: when there is something to do; NULL if there is nothing. Only due rows are claimed.
* `leased_by`, `leased_until`: the worker that holds the row, and when that lease ends (see `leases.py`).
* `attempts`, `message`: how often it failed, and the last reason.

Moments are whole microseconds since 1970, which both databases compare and index in the same way.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Dialect, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.schema import SchemaItem

METADATA = MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's interface
        """Return a datetime as a number."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's interface
        """Return a number as a datetime in UTC."""
        return None if value is None else _EPOCH + int(value) * _MICROSECOND


def chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield *keys* 500 at a time, far below a database's limit for one statement."""
    return (keys[start : start + 500] for start in range(0, len(keys), 500))


def work_columns() -> list[Column[Any]]:
    """Return the columns that every work table has after its key and its own columns."""
    return [
        Column("state", Text, nullable=False),
        Column("due_at", Moment),
        Column("leased_by", Text),
        Column("leased_until", Moment),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("message", Text, nullable=False, server_default=""),
    ]


def work_indexes(name: str, *then: str) -> list[Index]:
    """Return the indexes for claims and reports, which leave out rows that are done.

    The columns *then* order rows that are due at the same moment. Rows that came together are due together, and a claim
    of one row would otherwise sort all of them.
    """
    return [
        Index(f"{name}_due", "channel", "due_at", *then, **_where("due_at IS NOT NULL")),
        Index(f"{name}_leased", "channel", "leased_by", **_where("leased_by IS NOT NULL")),
        Index(f"{name}_failed", "channel", "state", **_where("attempts > 0")),
    ]


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _table(name: str, *parts: SchemaItem, info: dict[str, Any] | None = None) -> Table:
    return Table(name, METADATA, Column("channel", Text, primary_key=True), *parts, info=info)


def _work_table(name: str, *parts: SchemaItem, then: tuple[str, ...] = (), info: dict[str, Any]) -> Table:
    return _table(name, *parts, *work_columns(), *work_indexes(name, *then), info=info)


CHANNEL = _table(
    "channel",
    Column("endpoint", Text, nullable=False),
    Column("merchantname", Text, nullable=False),
    Column("account_hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("paused_until", Moment),
    Column("pause_reason", Text),
)
"""The account that each channel belongs to (see `Ledger.bind`), and the pause that its service asked for."""

RUN_LOCK = _table(
    "run_lock",
    Column("job", Text, primary_key=True),
    Column("leased_by", Text),
    Column("leased_until", Moment),
    Column("since", Moment),
)
"""The run of each job that is under way."""

STOCK_ITEM = _work_table(
    "stock_item",
    Column("sku", Text, primary_key=True),
    Column("acknowledged", Text),
    Column("acknowledged_at", Moment),
    Column("wanted", Text),
    Column("observed_at", Moment),
    info={"job": "push", "key": "sku", "held": ("rejected",), "retry_state": "pending"},
)
"""One SKU: what the service last acknowledged, and what is to be sent if that differs (`wanted`)."""

STOCK_PLAN = _table(
    "stock_plan",
    Column("sku", Text, primary_key=True),
    Column("wanted", Text, nullable=False),
    Column("observed_at", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("zeroed", Integer, nullable=False),
    Column("actual", Text),
    Column("cheaper", Integer, nullable=False, server_default="0"),
)
"""The differences that a run has found so far. They become work when the guard has let all of them pass."""

STOCK_READING = _table(
    "stock_reading",
    Column("part", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("seen", Text, nullable=False),
)
"""How far the input of a push was read, in parts. Each part is written in one transaction with its differences.

* `source`: a digest of the input and of how it is read. Only a run with the same digest continues.
* `facts`: what was counted up to the end of the part, and the problems of its rows, as JSON.
* `seen`: the keys of its rows, as `SeenRows` stores them, in base64.
"""

# -- orders ---------------------------------------------------------------------------------------------------------
WAITING = "waiting"
"""Stored, and handed to the handler when due."""
QUARANTINED = "quarantined"
"""It cannot be read, or its handler failed. It is tried again when due, reported until then, and never confirmed."""
HANDLED = "handled"
"""The handler's work is committed; the order is confirmed when due."""
CONFIRMED = "confirmed"
"""The service no longer lists it."""
CHANGED = "changed"
"""Changed on the service after it was handled: held, and not confirmed, until the change is acknowledged or handed
over."""
KEPT = "kept"
"""Handled by a run that confirms nothing."""
UNREAD = "unread"
"""A span of creation times that cannot be listed."""

ORDERS = _work_table(
    "orders",
    Column("key", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("store", Text, nullable=False),
    Column("placed", Moment),
    Column("raw", Text, nullable=False),
    Column("typed", Text),
    Column("content", Text, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("stores", Text, nullable=False),
    Column("reference", Text),
    Column("delivering", Integer, nullable=False, server_default="0"),
    Column("deliveries", Integer, nullable=False, server_default="0"),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("handled_content", Text),
    Column("handled_at", Moment),
    Column("listed_at", Moment),
    Column("unfinished", Text),
    Column("notice", Text),
    Index("orders_order_id", "channel", "order_id"),
    Index("orders_kept", "channel", **_where("state = 'kept'")),
    then=("key",),
    info={
        "job": "orders",
        "key": "key",
        "held": (QUARANTINED, CHANGED),
        "retry_at_once": (CHANGED,),
        "stuck": {HANDLED: "unconfirmed"},
        "retry_state": WAITING,
    },
)
"""One order, or one store's part of it.

* `key`: the order's id, with `@store` if the inbox reads store by store.
* `raw`, `typed`: its XML and its decoded form, both without card numbers; `typed` is NULL if it cannot be read.
* `content`: a hash of its version; `handled_content`: the same for the version that was handled last.
* `stores`: the store ids it was listed with, as JSON.
* `reference`: the number that its handler returned, for the confirmation.
* `delivering`: 1 while its handler runs, and so after a crash of the handler. `deliveries`: how often it was called.
* `revision`: how many versions were handled.
* `listed_at`: when the service last listed it.
* `unfinished`: what is left to do after the commit, such as a file to rename; NULL if nothing is. The order is not
  confirmed before that is done.
* `notice`: a remark for the handler, such as that the service no longer lists the order.

If the service lists two orders with one id, there are two rows: the second one's key is `id~2`. Neither is confirmed
before both are handled, because a confirmation names only the id.
"""

ORDER_GAPS = _work_table(
    "order_gaps",
    Column("key", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("begins", Moment, nullable=False),
    Column("ends", Moment, nullable=False),
    info={"job": "orders", "key": "key", "held": (UNREAD,), "retry_state": UNREAD},
)
"""Spans of a second whose orders the service cannot list."""

ORDER_CURSORS = _table(
    "order_cursors",
    Column("store", Text, primary_key=True),
    Column("watermark", Moment),
    Column("width", BigInteger),
    Column("swept_at", Moment),
)
"""How far each store's orders were read, and the window's width in seconds. `store` is empty for the whole account."""

ORDER_FOLDERS = _table("order_folders", Column("folder", Text, primary_key=True))
"""Folders that orders were written to, as absolute paths."""

# -- changes of items -----------------------------------------------------------------------------------------------
LISTED = "listed"
"""On the service's list of changes; it is taken off when due."""
TAKEN = "taken"
"""Off the list; the item as it is now is fetched and handed over when due."""
DONE = "done"
"""Handed over."""

CHANGES = _work_table(
    "changes",
    Column("key", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("listed_rows", Integer, nullable=False),
    Column("raw", Text),
    Column("listed_at", Moment, nullable=False),
    Column("delivering", Integer, nullable=False, server_default="0"),
    Column("deliveries", Integer, nullable=False, server_default="0"),
    Column("handled_content", Text),
    Column("handled_at", Moment),
    then=("key",),
    info={
        "job": "changes",
        "key": "key",
        "held": (QUARANTINED,),
        "stuck": {LISTED: "still listed"},
        "retry_state": TAKEN,
    },
)
"""One item that was ever on the list of changes.

* `key`: its SKU; a row without a readable SKU has `?` and a hash of its XML.
* `generation`: how often it was found on the list. What is done for one generation does not complete the next.
* `listed_rows`: how many rows of the list named it: a service may list every change, and not every item.
* `raw`: the XML that cannot be read.
* `handled_content`: a hash of the item as it was last handed over.
"""

WORK_TABLES = (STOCK_ITEM, ORDERS, ORDER_GAPS, CHANGES)
