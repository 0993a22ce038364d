"""The ledger's schema, created and changed step by step.

A released step never changes, so its statements are written out and do not follow `tables.py`. They use what SQLite and
PostgreSQL have in common. All missing steps run in one transaction, under a lock that makes other processes wait: a
crash leaves the schema as it was.

To change the schema, change `tables.py`, and add a step at the end of `STEPS`. A test compares both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from octopus_soap.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_LOCK = 0x0C70_9005  # any number, but never changed
_POSTGRESQL = "postgresql: "
"""Begins a statement that SQLite leaves out."""

_PUSH = (
    """CREATE TABLE channel (
        channel TEXT NOT NULL PRIMARY KEY, endpoint TEXT NOT NULL, merchantname TEXT NOT NULL,
        account_hash TEXT NOT NULL, created_at BIGINT NOT NULL)""",
    """CREATE TABLE run_lock (
        channel TEXT NOT NULL, job TEXT NOT NULL, leased_by TEXT, leased_until BIGINT, since BIGINT,
        PRIMARY KEY (channel, job))""",
    """CREATE TABLE stock_item (
        channel TEXT NOT NULL, sku TEXT NOT NULL, acknowledged TEXT, acknowledged_at BIGINT, wanted TEXT,
        observed_at BIGINT, state TEXT NOT NULL, due_at BIGINT, leased_by TEXT, leased_until BIGINT,
        attempts INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '', PRIMARY KEY (channel, sku))""",
    "CREATE INDEX stock_item_due ON stock_item (channel, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX stock_item_leased ON stock_item (channel, leased_by) WHERE leased_by IS NOT NULL",
    """CREATE TABLE stock_plan (
        channel TEXT NOT NULL, sku TEXT NOT NULL, wanted TEXT NOT NULL, observed_at BIGINT NOT NULL,
        kind TEXT NOT NULL, zeroed INTEGER NOT NULL, actual TEXT, PRIMARY KEY (channel, sku))""",
)

_WORK = """state TEXT NOT NULL, due_at BIGINT, leased_by TEXT, leased_until BIGINT,
        attempts INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT ''"""

_ORDERS = (
    f"""CREATE TABLE orders (
        channel TEXT NOT NULL, key TEXT NOT NULL, order_id TEXT NOT NULL, store TEXT NOT NULL, placed BIGINT,
        raw TEXT NOT NULL, typed TEXT, content TEXT NOT NULL, first_seen_at BIGINT NOT NULL, stores TEXT NOT NULL,
        reference TEXT, delivering INTEGER NOT NULL DEFAULT 0, deliveries INTEGER NOT NULL DEFAULT 0,
        revision INTEGER NOT NULL DEFAULT 0, handled_content TEXT, handled_at BIGINT, {_WORK},
        PRIMARY KEY (channel, key))""",
    "CREATE INDEX orders_due ON orders (channel, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX orders_leased ON orders (channel, leased_by) WHERE leased_by IS NOT NULL",
    f"""CREATE TABLE order_gaps (
        channel TEXT NOT NULL, key TEXT NOT NULL, store TEXT NOT NULL, begins BIGINT NOT NULL, ends BIGINT NOT NULL,
        {_WORK}, PRIMARY KEY (channel, key))""",
    "CREATE INDEX order_gaps_due ON order_gaps (channel, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX order_gaps_leased ON order_gaps (channel, leased_by) WHERE leased_by IS NOT NULL",
    """CREATE TABLE order_cursors (
        channel TEXT NOT NULL, store TEXT NOT NULL, watermark BIGINT, width BIGINT, swept_at BIGINT,
        PRIMARY KEY (channel, store))""",
)

_CHANGES = (
    f"""CREATE TABLE changes (
        channel TEXT NOT NULL, key TEXT NOT NULL, generation INTEGER NOT NULL, listed_rows INTEGER NOT NULL,
        raw TEXT, listed_at BIGINT NOT NULL, delivering INTEGER NOT NULL DEFAULT 0,
        deliveries INTEGER NOT NULL DEFAULT 0, handled_content TEXT, handled_at BIGINT, {_WORK},
        PRIMARY KEY (channel, key))""",
    "CREATE INDEX changes_due ON changes (channel, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX changes_leased ON changes (channel, leased_by) WHERE leased_by IS NOT NULL",
)

_WORK_TABLES = ("stock_item", "orders", "order_gaps", "changes")

_HELD = (
    "ALTER TABLE orders ADD COLUMN listed_at BIGINT",
    "ALTER TABLE orders ADD COLUMN unfinished TEXT",
    "ALTER TABLE orders ADD COLUMN notice TEXT",
    "CREATE INDEX orders_order_id ON orders (channel, order_id)",
    "CREATE INDEX orders_kept ON orders (channel) WHERE state = 'kept'",
    *(f"CREATE INDEX {table}_failed ON {table} (channel, state) WHERE attempts > 0" for table in _WORK_TABLES),
    "ALTER TABLE channel ADD COLUMN paused_until BIGINT",
    "ALTER TABLE channel ADD COLUMN pause_reason TEXT",
    "ALTER TABLE stock_plan ADD COLUMN cheaper INTEGER NOT NULL DEFAULT 0",
    # Rows change state often, a few at a time. With PostgreSQL's default, a fifth of a big table would be dead rows
    # before they are removed, and every claim would read past them.
    *(f"{_POSTGRESQL}ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01)" for table in _WORK_TABLES),
)

_READING = (
    """CREATE TABLE stock_reading (
        channel TEXT NOT NULL, part INTEGER NOT NULL, source TEXT NOT NULL, facts TEXT NOT NULL, seen TEXT NOT NULL,
        PRIMARY KEY (channel, part))""",
)

_FOLDERS = ("CREATE TABLE order_folders (channel TEXT NOT NULL, folder TEXT NOT NULL, PRIMARY KEY (channel, folder))",)

_IN_ORDER = tuple(
    statement
    for table in ("orders", "changes")
    for statement in (
        f"DROP INDEX {table}_due",
        f"CREATE INDEX {table}_due ON {table} (channel, due_at, key) WHERE due_at IS NOT NULL",
    )
)

STEPS: tuple[Sequence[str], ...] = (_PUSH, _ORDERS, _CHANGES, _HELD, _READING, _FOLDERS, _IN_ORDER)
"""The statements from each version to the next. A ledger's version is the number of steps that it has had."""


def migrate(connection: Connection, *, steps: Sequence[Sequence[str]] = STEPS) -> int:
    """Update the schema in the running write transaction, and return the old version.

    Raises:
        LedgerError: the ledger was written by a newer version of this library.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"))
    found: int = connection.execute(text("SELECT COALESCE(MAX(version), 0) FROM schema_version")).scalar_one()
    if found > len(steps):
        raise LedgerError(
            f"the ledger has schema version {found}, and this version of octopus-soap has {len(steps)}: it was "
            "written by a newer one; upgrade octopus-soap, or use another ledger"
        )
    for statements in steps[found:]:
        for statement in statements:
            if not statement.startswith(_POSTGRESQL) or connection.dialect.name == "postgresql":
                connection.execute(text(statement.removeprefix(_POSTGRESQL)))
    if found < len(steps):
        connection.execute(text("DELETE FROM schema_version"))
        connection.execute(text("INSERT INTO schema_version VALUES (:version)"), {"version": len(steps)})
    return found


def version_of(connection: Connection) -> int:
    """Return the schema's version; 0 if there is no schema yet."""
    if not inspect(connection).has_table("schema_version"):
        return 0
    version: int = connection.execute(text("SELECT COALESCE(MAX(version), 0) FROM schema_version")).scalar_one()
    return version
