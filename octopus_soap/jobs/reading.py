"""The rows of a push's input that were read: their keys, problems and counts.

Purpose. To read and compare 300,000 rows takes longer than some schedulers let a process live. A run that always began
at the first row would never come to its end. So the progress of reading is stored in parts.

Invariants:

* A part is written in the transaction that stores the differences of its rows. So the plan in the ledger is always the
  plan of whole parts, and the next run begins after the last of them.
* A run continues only with the same input: the same content, read and compared with the same options and version.
  Otherwise it begins from the first row.
* A run considers the input complete only if it came to the end itself. It skips rows that were read before one by one,
  so a file with an ambiguous number is refused as always.
* An input of one chunk, or that is not a file, stores nothing here.
"""

from __future__ import annotations

import json
from array import array
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING
from zlib import crc32

from sqlalchemy import insert, select

from octopus_soap.jobs.desired import as_text
from octopus_soap.jobs.reports import KeyProblem
from octopus_soap.jobs.tables import STOCK_READING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from octopus_soap.jobs.desired import Desired

NAMED = 1_000
"""The maximum number of problems that a report of a push names."""
_ALIKE = (
    "rows {} and {} have SKUs that differ only in upper and lower case, and other values. Both were taken as they are; "
    "the vendor does not document whether the service takes them for one item. Use other SKUs if it does"
)
_CONTRADICTION = (
    "rows {} and {} have different values {}; send one of them, or use --last-row-wins, or --store-column if each is "
    "the stock of a store"
)
_NO_TIME = "and no time that shows which is newer"
_HALF = (1 << 32) - 1
_from_bytes = int.from_bytes


class SeenRows:
    """The keys of one input, each with the number and a digest of its first row.

    A key takes 16 bytes. It is identified by a hash of 64 bits, which is the same in every process. *pairs* are what
    `saved` returned.
    """

    def __init__(self, pairs: bytes = b"") -> None:
        self._size = 1 << 12
        self._count = 0
        self._keys = array("Q", bytes(8 * self._size))
        self._rows = array("Q", bytes(8 * self._size))
        self._new = array("Q")
        stored = array("Q", pairs)
        for hashed, row in zip(stored[::2], stored[1::2], strict=True):
            self._put(self._slot(hashed), hashed, row)

    def __contains__(self, key: str) -> bool:
        return self._keys[self._slot(_hash(key))] != 0

    def __len__(self) -> int:
        return self._count

    def find(self, key: str) -> tuple[int, int] | None:
        """Return the first row with a key, and its digest; None if there is none."""
        slot = self._slot(_hash(key))
        found = self._rows[slot]
        return (found >> 32, found & _HALF) if self._keys[slot] else None

    def add(self, key: str, row: int, digest: int) -> tuple[bool, int, bool]:
        """Add a row; return if its key is new, the key's first row, and if both are equal."""
        # `_hash` and `_slot` are written out, because it is called for a million rows.
        hashed = _from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1
        keys, mask = self._keys, self._size - 1
        slot = hashed & mask
        while (there := keys[slot]) and there != hashed:
            slot = (slot + 1) & mask
        if there:
            found = self._rows[slot]
            return False, found >> 32, (found & _HALF) == digest
        noted = (row & _HALF) << 32 | digest
        self._put(slot, hashed, noted)
        self._new.append(hashed)
        self._new.append(noted)
        return True, row, True

    def saved(self) -> bytes:
        """Return what was added since the last call."""
        new, self._new = self._new, array("Q")
        return new.tobytes()

    def _put(self, slot: int, hashed: int, row: int) -> None:
        self._keys[slot], self._rows[slot] = hashed, row
        self._count += 1
        if 3 * self._count > 2 * self._size:
            self._grow()

    def _slot(self, hashed: int) -> int:
        keys, mask = self._keys, self._size - 1
        slot = hashed & mask
        while (found := keys[slot]) and found != hashed:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, rows = self._keys, self._rows
        self._size *= 2
        self._keys, self._rows = array("Q", bytes(8 * self._size)), array("Q", bytes(8 * self._size))
        for hashed, row in zip(keys, rows, strict=True):
            if hashed:
                slot = self._slot(hashed)
                self._keys[slot], self._rows[slot] = hashed, row


def _hash(key: str) -> int:
    # Not `hash`, whose values differ from process to process.
    found = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return _from_bytes(found, "little") or 1  # 0 is an empty slot


def digest_of(text: str) -> int:
    """Return a digest of 32 bits, which differs if two texts differ in few letters."""
    return crc32(text.encode("utf-8", "surrogatepass"))


@dataclass(slots=True)
class Reading:
    """The record of the rows that a run has read.

    Attributes:
        rows: how many there are.
        counts: the report's counters for them.
        problems: the first problems.
        contradicted: SKUs that have different values in two rows.
        any_timed: a row has a time of its own.
        any_small: a SKU has a lower-case letter.
        known: how many of the SKUs the service has acknowledged.
        seen: the keys of the rows.
    """

    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[KeyProblem] = field(default_factory=list[KeyProblem])
    contradicted: dict[str, None] = field(default_factory=dict[str, None])
    any_timed: bool = False
    any_small: bool = False
    known: int = 0
    seen: SeenRows = field(default_factory=SeenRows)
    _parts: int = 0
    _saved_problems: int = 0
    _saved_contradicted: int = 0

    def add(self, name: str, count: int = 1) -> None:
        """Add *count* to the counter *name*."""
        self.counts[name] = self.counts.get(name, 0) + count

    def had(self, sku: str) -> bool:
        """True if the input has *sku*."""
        return sku in self.seen or _timed(sku) in self.seen

    def note(self, wish: Desired, text: str, problems: list[KeyProblem], *, last_row_wins: bool) -> tuple[bool, bool]:
        """Add a row; return whether its SKU is new, and whether rows contradict it.

        *text* is its values, as the ledger stores them. With *last_row_wins* the later of two rows without times
        counts, so they do not contradict each other.
        """
        timed = wish.observed_at is not None
        if not timed and not self.any_timed and "stores" not in wish.values:  # most rows, so it is quick
            digest = digest_of(text)
            new, _, same = self.seen.add(wish.sku, wish.row, digest)
            if new:
                self._look_at_case(wish, digest, problems)
                return True, False
            if same or last_row_wins:
                return False, wish.sku in self.contradicted
        self.any_timed = self.any_timed or timed
        new = not self.had(wish.sku)
        if new:
            self._look_at_case(wish, digest_of(text), problems)
        for key, digest in _parts(wish):
            other = self._other_row(key, wish, digest)
            if other is not None and not last_row_wins:
                if wish.sku not in self.contradicted:
                    problems.append(
                        KeyProblem(wish.sku, "invalid", _CONTRADICTION.format(other[0], wish.row, other[1]))
                    )
                self.contradicted[wish.sku] = None
                break
        return new, wish.sku in self.contradicted

    def _look_at_case(self, wish: Desired, digest: int, problems: list[KeyProblem]) -> None:
        """Add a problem if a SKU differs only in case from one with other values.

        Whether the service takes the two for one item is unknown. If it does, the later one wins.
        """
        seen, capital = self.seen, wish.sku.upper()
        other: tuple[int, int] | None = None
        if capital == wish.sku:  # most SKUs, so it is quick
            other = seen.find(_in_capitals(capital)) if self.any_small else None
        else:
            self.any_small = True
            other = seen.find(_in_capitals(capital)) or seen.find(capital) or seen.find(_timed(capital))
            seen.add(_in_capitals(capital), wish.row, digest)
        if other is not None and other[1] != digest:
            problems.append(KeyProblem(wish.sku, "alike", _ALIKE.format(other[0], wish.row)))

    def _other_row(self, key: str, wish: Desired, digest: int) -> tuple[int, str] | None:
        """Add a part of a row; return an earlier row that contradicts it, and the reason."""
        timed = wish.observed_at is not None
        # Rows with different times do not contradict each other, so the time is part of the key.
        _, row, same = self.seen.add(f"{key}\0{wish.observed_at}" if timed else key, wish.row, digest)
        if not same:
            return row, "at the same time" if timed else _NO_TIME
        if timed:
            self.seen.add(_timed(key), wish.row, digest)
        mixed = self.seen.find(key if timed else _timed(key)) if self.any_timed else None
        return (mixed[0], _NO_TIME) if mixed is not None and mixed[1] != digest else None

    @property
    def saved(self) -> bool:
        """True if the ledger has a part of it."""
        return self._parts > 0

    def save(self, connection: Connection, channel: str, source: str) -> None:
        """Write the rows since the last part as the next part, in the running transaction."""
        facts = {
            "rows": self.rows,
            "counts": self.counts,
            "any_timed": self.any_timed,
            "any_small": self.any_small,
            "known": self.known,
            "problems": [[p.key, p.state, p.message] for p in self.problems[self._saved_problems :]],
            "contradicted": list(self.contradicted)[self._saved_contradicted :],
        }
        values = {"channel": channel, "part": self._parts, "source": source, "facts": json.dumps(facts)}
        connection.execute(insert(STOCK_READING).values(**values, seen=b64encode(self.seen.saved()).decode()))
        self._parts += 1
        self._saved_problems, self._saved_contradicted = len(self.problems), len(self.contradicted)


def stored_reading(connection: Connection, channel: str) -> Reading:
    """Return what an earlier run stored of the same input."""
    mine = select(STOCK_READING.c.facts, STOCK_READING.c.seen).where(STOCK_READING.c.channel == channel)
    parts = connection.execute(mine.order_by(STOCK_READING.c.part)).all()
    reading = Reading(seen=SeenRows(b"".join(b64decode(part.seen) for part in parts)), _parts=len(parts))
    for part in parts:
        facts = json.loads(part.facts)
        reading.problems += [KeyProblem(*problem) for problem in facts["problems"]]
        reading.contradicted |= dict.fromkeys(facts["contradicted"])
        reading.rows, reading.counts = facts["rows"], facts["counts"]
        reading.any_timed, reading.any_small = facts["any_timed"], facts["any_small"]
        reading.known = facts["known"]
    reading._saved_problems, reading._saved_contradicted = len(reading.problems), len(reading.contradicted)  # noqa: SLF001 - made here
    return reading


def _parts(wish: Desired) -> list[tuple[str, int]]:
    """Return the keys that a row occupies in its input, with digests of their values.

    The stores of an item may be in separate rows, so each has a key.
    """
    stores = wish.values.get("stores")
    if not isinstance(stores, dict):
        return [(wish.sku, digest_of(as_text(wish.values)))]
    others = {name: value for name, value in wish.values.items() if name != "stores"}
    each = ((f"{wish.sku}\0{store}", digest_of(as_text(values))) for store, values in stores.items())
    return [(wish.sku, digest_of(as_text(others))), *each]


def _timed(sku: str) -> str:
    return f"{sku}\0@"


def _in_capitals(capital: str) -> str:
    return f"\0{capital}"
