"""The service's state in SQLite, per merchant.

It has items, the change queue, orders and field mappings. Records are stored as JSON of their wire texts (see
scalars.py), because their members depend on the contract in force, which may be any WSDL. Members that the service
searches by have columns of their own.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping, Sequence

    from .contract import WireRecord

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, merchant TEXT NOT NULL, sku TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (merchant, sku));
CREATE TABLE IF NOT EXISTS changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, merchant TEXT NOT NULL, sku TEXT NOT NULL, UNIQUE (merchant, sku));
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, merchant TEXT NOT NULL, given_id TEXT, placed TEXT NOT NULL, payment TEXT NOT
    NULL, shipping TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS orders_given ON orders (merchant, given_id);
CREATE INDEX IF NOT EXISTS orders_placed ON orders (merchant, placed);
CREATE TABLE IF NOT EXISTS order_stores (
    order_id INTEGER NOT NULL, store TEXT NOT NULL, confirmed INTEGER NOT NULL DEFAULT 0, third_party TEXT,
    PRIMARY KEY (order_id, store)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mappings (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, merchant TEXT NOT NULL, text TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (merchant, text));
"""
_TABLES = ("items", "changes", "orders", "order_stores", "mappings")
_FIRST_IDS = {"items": 5000, "orders": 100000}  # ids that cannot be mistaken for positions or quantities
_AT_ONCE = 500  # SKUs in one query, under SQLite's historic limit of 999 variables


@dataclass(slots=True, kw_only=True)
class OrderRow:
    """One order."""

    id: int
    placed: str
    payment: str
    shipping: str
    body: WireRecord
    stores: dict[str, bool]  # store ids ("" for none), and whether the order was confirmed there
    third_party: str | None = None

    @property
    def split(self) -> bool:
        """True if the order was split over several stores."""
        return len(self.stores) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """A filter of open orders; None means no filter. Dates are inclusive."""

    begin: str | None = None
    end: str | None = None
    ids: Sequence[int] = ()
    payment: str | None = None
    shipping: str | None = None
    stores: Collection[str] | None = None


class State:
    """The state of all merchants; use it inside :meth:`transaction` only."""

    def __init__(self, location: str) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self.listed: set[int] = set()  # ids of orders that a caller received; only for display, so not stored
        _make_private(location)
        # One connection, guarded by the lock: the server's thread and the test's both use it.
        self._db = sqlite3.connect(location, check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._db.close)  # nothing else closes the state of a service that could not start
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")  # an emulator's data need not survive a power cut
        self._db.executescript(_SCHEMA)
        self._number()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Hold the state alone; roll back if the block raises."""
        with self._lock:
            self._depth += 1
            outermost = self._depth == 1
            try:
                if outermost:
                    self._db.execute("BEGIN IMMEDIATE")
                yield
            except BaseException:
                if outermost:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if outermost:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1

    def close(self) -> None:
        """Close the database; a state in memory is gone."""
        with self._lock:
            self._db.close()

    def clear(self) -> None:
        """Delete everything, and count ids anew."""
        with self.transaction():
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the table names are constants
            self._db.execute("DELETE FROM sqlite_sequence")
            self.listed.clear()
            self._number()

    def _number(self) -> None:
        for table, first in _FIRST_IDS.items():
            if not self._db.execute("SELECT 1 FROM sqlite_sequence WHERE name = ?", (table,)).fetchone():
                self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, first))

    # Items

    def items(self, merchant: str, skus: Sequence[str]) -> dict[str, WireRecord]:
        """Return the named items that exist."""
        return {sku: json.loads(body) for sku, body in self._picked("sku, body", merchant, skus)}

    def existing(self, merchant: str, skus: Sequence[str]) -> dict[str, int]:
        """Return the ids of the named items that exist."""
        return {sku: number for sku, number in self._picked("sku, id", merchant, skus)}  # noqa: C416 - a row is no pair to mypy

    def _picked(self, columns: str, merchant: str, skus: Sequence[str]) -> Iterator[tuple[str, Any]]:
        for start in range(0, len(skus), _AT_ONCE):
            some = skus[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT {columns} FROM items WHERE merchant = ? AND sku IN ({marks})"  # noqa: S608 - placeholders only
            yield from self._db.execute(query, (merchant, *some))

    def all_items(self, merchant: str) -> dict[str, WireRecord]:
        """Return every item in the order they were first added."""
        rows = self._db.execute("SELECT sku, body FROM items WHERE merchant = ? ORDER BY id", (merchant,))
        return {sku: json.loads(body) for sku, body in rows}

    def find_items(self, merchant: str, text: str, most: int, skip: int) -> tuple[int, dict[str, WireRecord]]:
        """Return the number of items with the text, and one page of them."""
        where, values = "merchant = ?", cast("list[object]", [merchant])
        if text:
            like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            where += r" AND (sku LIKE ? ESCAPE '\' OR json_extract(body, '$.Description') LIKE ? ESCAPE '\')"
            values += [like, like]
        (count,) = self._db.execute(f"SELECT count(*) FROM items WHERE {where}", values).fetchone()  # noqa: S608 - placeholders only
        page = f"SELECT sku, body FROM items WHERE {where} ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608 - as above
        rows = self._db.execute(page, [*values, most, skip])
        return count, {sku: json.loads(body) for sku, body in rows}

    def counts(self, merchant: str) -> dict[str, int]:
        """Return the numbers of items, changes, orders and open orders."""
        counts = {
            table: self._db.execute(f"SELECT count(*) FROM {table} WHERE merchant = ?", (merchant,)).fetchone()[0]  # noqa: S608 - the table names are constants
            for table in ("items", "changes", "orders")
        }
        open_ones = (
            "SELECT count(DISTINCT o.id) FROM orders o JOIN order_stores s ON s.order_id = o.id "
            "WHERE o.merchant = ? AND s.confirmed = 0"
        )
        return {**counts, "open": self._db.execute(open_ones, (merchant,)).fetchone()[0]}

    def save_items(self, merchant: str, bodies: Mapping[str, WireRecord]) -> None:
        """Insert or replace items."""
        self._db.executemany(
            "INSERT INTO items (merchant, sku, body) VALUES (?, ?, ?) "
            "ON CONFLICT (merchant, sku) DO UPDATE SET body = excluded.body",
            [(merchant, sku, _dumped(body)) for sku, body in bodies.items()],
        )

    def delete_item(self, merchant: str, sku: str) -> bool:
        """Delete an item and its place in the change queue; return whether it was there."""
        self.forget_change(merchant, sku)
        return self._db.execute("DELETE FROM items WHERE merchant = ? AND sku = ?", (merchant, sku)).rowcount > 0

    # The change queue

    def mark_changed(self, merchant: str, skus: Sequence[str]) -> None:
        """Put items at the end of the change queue, each once."""
        self._db.executemany(
            "INSERT OR REPLACE INTO changes (merchant, sku) VALUES (?, ?)", [(merchant, s) for s in skus]
        )

    def changes(self, merchant: str) -> list[str]:
        """Return the change queue, oldest change first."""
        return [
            sku for (sku,) in self._db.execute("SELECT sku FROM changes WHERE merchant = ? ORDER BY seq", (merchant,))
        ]

    def forget_change(self, merchant: str, sku: str) -> bool:
        """Take an item off the change queue; return whether it was on it."""
        return self._db.execute("DELETE FROM changes WHERE merchant = ? AND sku = ?", (merchant, sku)).rowcount > 0

    # Orders

    def add_order(
        self,
        merchant: str,
        *,
        given_id: str | None,
        placed: str,
        payment: str,
        shipping: str,
        stores: Sequence[str],
        body: WireRecord,
    ) -> int:
        """Insert an order and return its id."""
        cursor = self._db.execute(
            "INSERT INTO orders (merchant, given_id, placed, payment, shipping, body) VALUES (?, ?, ?, ?, ?, ?)",
            (merchant, given_id, placed, payment, shipping, _dumped(body)),
        )
        number = cast("int", cursor.lastrowid)
        rows = [(number, store) for store in (stores or [""])]
        self._db.executemany("INSERT INTO order_stores (order_id, store) VALUES (?, ?)", rows)
        return number

    def has_order(self, merchant: str, given_id: str) -> bool:
        """True if an order with the caller's own id was submitted before."""
        found = self._db.execute(
            "SELECT 1 FROM orders WHERE merchant = ? AND given_id = ? LIMIT 1", (merchant, given_id)
        )
        return found.fetchone() is not None

    def open_orders(self, merchant: str, query: OrderQuery) -> list[OrderRow]:
        """Return the orders that still have a store to be confirmed, by time."""
        unconfirmed = "EXISTS (SELECT 1 FROM order_stores x WHERE x.order_id = o.id AND x.confirmed = 0)"
        clauses, values = ["merchant = ?", unconfirmed], cast("list[object]", [merchant])
        for column, operator, value in (
            ("placed", ">=", query.begin),
            ("placed", "<=", query.end),
            ("payment", "=", query.payment),
            ("shipping", "=", query.shipping),
        ):
            if value is not None:
                clauses.append(f"{column} {operator} ?")
                values.append(value)
        rows = self._orders(" AND ".join(clauses), values)
        if query.ids:
            wanted = set(query.ids)
            rows = [row for row in rows if row.id in wanted]
        if query.stores is None:
            return rows
        return [row for row in rows if any(row.stores.get(store) is False for store in query.stores)]

    def all_orders(self, merchant: str, newest: int | None = None) -> list[OrderRow]:
        """Return every order, also confirmed ones, or only the ``newest``."""
        if newest is None:
            return self._orders("merchant = ?", [merchant])
        last = "o.id IN (SELECT id FROM orders WHERE merchant = ? ORDER BY placed DESC, id DESC LIMIT ?)"
        return self._orders(last, [merchant, newest])

    def _orders(self, where: str, values: Sequence[object]) -> list[OrderRow]:
        query = (
            "SELECT o.id, o.placed, o.payment, o.shipping, o.body, s.store, s.confirmed, s.third_party FROM orders o "  # noqa: S608 - columns and placeholders only
            f"JOIN order_stores s ON s.order_id = o.id WHERE {where} ORDER BY o.placed, o.id, s.store"
        )
        found: dict[int, OrderRow] = {}
        for number, placed, payment, shipping, body, store, confirmed, third_party in self._db.execute(query, values):
            row = found.get(number)
            if row is None:
                row = found[number] = OrderRow(
                    id=number, placed=placed, payment=payment, shipping=shipping, body=json.loads(body), stores={}
                )
            row.stores[store] = bool(confirmed)
            row.third_party = row.third_party or third_party
        return list(found.values())

    def order_stores(self, merchant: str, number: int) -> dict[str, bool]:
        """Return an order's stores and whether each is confirmed; empty if no order."""
        rows = self._db.execute(
            "SELECT s.store, s.confirmed FROM orders o JOIN order_stores s ON s.order_id = o.id WHERE o.merchant = ? "
            "AND o.id = ?",
            (merchant, number),
        )
        return {store: bool(confirmed) for store, confirmed in rows}

    def confirm(self, number: int, store: str, third_party: str | None) -> None:
        """Mark an order as downloaded by a store."""
        self._db.execute(
            "UPDATE order_stores SET confirmed = 1, third_party = coalesce(?, third_party) WHERE order_id = ? AND "
            "store = ?",
            (third_party, number, store),
        )

    # Field mappings

    def save_mapping(self, merchant: str, text: str, body: WireRecord) -> None:
        """Insert or replace a custom field mapping."""
        self._db.execute(
            "INSERT INTO mappings (merchant, text, body) VALUES (?, ?, ?) ON CONFLICT (merchant, text) DO UPDATE SET "
            "body = excluded.body",
            (merchant, text, _dumped(body)),
        )

    def mappings(self, merchant: str) -> list[WireRecord]:
        """Return the custom field mappings in the order they were made."""
        rows = self._db.execute("SELECT body FROM mappings WHERE merchant = ? ORDER BY seq", (merchant,))
        return [json.loads(body) for (body,) in rows]


def _make_private(location: str) -> None:
    """Create the state's file for its owner alone: it has addresses and orders.

    SQLite gives its journal files the mode of the database. A file that exists keeps its mode.
    """
    if location != ":memory:":
        with suppress(FileExistsError):
            os.close(os.open(location, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


_dumped = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # dumps() makes an encoder for each record
