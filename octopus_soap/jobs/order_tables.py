"""The ledger's tables of orders. Steps in `schema.py` make them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from octopus_soap.jobs.tables import METADATA, Moment, work_columns, work_indexes

WAITING = "waiting"
"""Stored, and to be handled when due."""
QUARANTINED = "quarantined"
"""Not readable, or its handler failed: tried again when due, reported until then, never confirmed."""
HANDLED = "handled"
"""The handler's work is committed; to be confirmed when due."""
CONFIRMED = "confirmed"
"""The service lists it no longer."""
KEPT = "kept"
"""Handled by a run that confirms nothing."""
UNREAD = "unread"
"""A span of creation times that cannot be listed."""

ORDERS = Table(
    "orders",
    METADATA,
    Column("channel", Text, primary_key=True),
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
    *work_columns(),
    *work_indexes("orders"),
    info={
        "job": "orders",
        "key": "key",
        "held": (QUARANTINED,),
        "stuck": {HANDLED: "unconfirmed"},
        "retry_state": WAITING,
    },
)
"""One order, or one store's part of it.

* `key`: the order's id, with `@store` where the inbox reads store by store.
* `raw`, `typed`: its XML and its decoded form, both without card numbers; `typed` is NULL where it cannot be read.
* `content`: a hash of what matters in it; `handled_content`: the same of the version that was handled last.
* `stores`: the store ids it was listed with, as JSON.
* `reference`: the number its handler gave, for the confirmation.
* `delivering`: 1 while its handler runs, and so after a crash in it. `deliveries`: how often it was called.
* `revision`: how many versions were handled.
"""

ORDER_GAPS = Table(
    "order_gaps",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("begins", Moment, nullable=False),
    Column("ends", Moment, nullable=False),
    *work_columns(),
    *work_indexes("order_gaps"),
    info={"job": "orders", "key": "key", "held": (UNREAD,), "retry_state": UNREAD},
)
"""Spans of a second whose orders the service cannot list."""

ORDER_CURSORS = Table(
    "order_cursors",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("store", Text, primary_key=True),
    Column("watermark", Moment),
    Column("width", BigInteger),
    Column("swept_at", Moment),
)
"""How far each store's orders were read (`store` is empty for the whole account), in windows of how many seconds."""
