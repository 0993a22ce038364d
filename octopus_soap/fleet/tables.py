"""The fleet's tables, in the same database as the ledger's.

* `fleet_merchant`: the merchants, their settings, and whether their jobs run. The `name` is the merchant's channel in
  the ledger.
* `fleet_schedule`: one row per job of a merchant: when it is next due, and how its last run ended. All that a status
  shows is in this row, so that it need not count the ledger's rows.
* `fleet_run`: a short history.
* `fleet_ticker`: when each ticker last looked for due runs, and for how many slots.

Their version is in a table of their own: `fleet_version`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Float, Index, Integer, MetaData, Table, Text, inspect, text

from octopus_soap.errors import LedgerError
from octopus_soap.jobs.tables import Moment

if TYPE_CHECKING:
    from octopus_soap.jobs.ledger import Ledger

METADATA = MetaData()
VERSION = 1
_LOCK = 0x0C70_F1EE  # any number, but never changed

MERCHANT = Table(
    "fleet_merchant",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("merchantname", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("settings", Text, nullable=False, server_default="{}"),
    Column("labels", Text, nullable=False, server_default="{}"),
    Column("state", Text, nullable=False, server_default="active"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("changed_at", Moment, nullable=False),
)
"""`secrets` is a JSON object of references and ciphertexts, never of plain secrets."""

SCHEDULE = Table(
    "fleet_schedule",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("job", Text, primary_key=True),
    Column("every", Float, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("slow", Integer, nullable=False, server_default="0"),
    Column("enqueued_at", Moment),
    Column("enqueued_by", Text),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("last_success_at", Moment),
    Column("outcome", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("refusals", Integer, nullable=False, server_default="0"),
    Column("duration", Float),
    Column("lateness", Float),
    Column("backlog", Integer, nullable=False, server_default="0"),
    Column("held", Integer, nullable=False, server_default="0"),
    Index("fleet_schedule_next", "next_at"),
    Index(
        "fleet_schedule_enqueued",
        "enqueued_at",
        sqlite_where=text("enqueued_at IS NOT NULL"),
        postgresql_where=text("enqueued_at IS NOT NULL"),
    ),
)

RUN = Table(
    "fleet_run",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    Index("fleet_run_merchant", "name", "started_at"),
    Index("fleet_run_started", "started_at"),
)

TICKER = Table(
    "fleet_ticker",
    METADATA,
    Column("worker", Text, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("slots", Integer, nullable=False),
)


def prepare(ledger: Ledger) -> None:
    """Make the fleet's tables if they are not there.

    Raises:
        LedgerError: they were made by a newer version of this library, or cannot be made.
    """
    with ledger.reading() as connection:
        there = inspect(connection).has_table("fleet_version")
        found = connection.execute(text("SELECT MAX(version) FROM fleet_version")).scalar_one() if there else 0
    if (found or 0) > VERSION:
        raise LedgerError(f"the fleet's tables have version {found}, and this octopus-soap has {VERSION}: upgrade it")
    if found == VERSION:
        return
    with ledger.transaction() as connection:
        if connection.dialect.name == "postgresql":  # two workers that start together make them once
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        METADATA.create_all(connection)
        connection.execute(text("CREATE TABLE IF NOT EXISTS fleet_version (version INTEGER NOT NULL)"))
        if connection.execute(text("SELECT COUNT(*) FROM fleet_version")).scalar_one() == 0:
            connection.execute(text("INSERT INTO fleet_version VALUES (:version)"), {"version": VERSION})
