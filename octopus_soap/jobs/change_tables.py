"""The ledger's table of item changes. A step in `schema.py` makes it."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text

from octopus_soap.jobs.tables import METADATA, Moment, work_columns, work_indexes

LISTED = "listed"
"""On the service's list of changes, and to be taken off it when due."""
TAKEN = "taken"
"""Off the list; the item as it is now is to be fetched and handed over when due."""
QUARANTINED = "quarantined"
"""The item cannot be read, or its handler failed: tried again when due, reported until then."""
DONE = "done"
"""Handed over."""

CHANGES = Table(
    "changes",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("listed_rows", Integer, nullable=False),
    Column("raw", Text),
    Column("listed_at", Moment, nullable=False),
    Column("delivering", Integer, nullable=False, server_default="0"),
    Column("deliveries", Integer, nullable=False, server_default="0"),
    Column("handled_content", Text),
    Column("handled_at", Moment),
    *work_columns(),
    *work_indexes("changes"),
    info={
        "job": "changes",
        "key": "key",
        "held": (QUARANTINED,),
        "stuck": {LISTED: "still listed"},
        "retry_state": TAKEN,
    },
)
"""One item that was ever on the list of changes.

* `key`: its SKU; a row without a readable one is kept under `?` and a hash of its XML.
* `generation`: how often it was found on the list: what is done for one generation does not settle the next.
* `listed_rows`: how many rows of the list named it, where a service lists every change and not every item.
* `raw`: the XML that cannot be read.
* `handled_content`: a hash of the item as it was handed over last.
"""
