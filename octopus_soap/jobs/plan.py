"""The plan of a push: the differences to what the service last acknowledged.

Purpose. Desired states are compared in chunks, so that a catalogue of any size needs the memory of one chunk and 16
bytes for each SKU. Differences are stored in a table of their own, with how far the input was read (`reading.py`). When
all of them are known, and the guard has let them pass, one transaction turns them into work.

Invariants:

* A push that is refused, fails at its last row, or is killed while it reads has changed nothing.
* Only the run that holds the lock writes to the plan.
* The newest observation of a SKU wins, within one input and across runs. If both are in one input, values that only the
  older one sets are kept. An older observation that differs from what is known is a problem.
* A state without a time is newer than all that is known of its SKU, whatever the clocks were. Two states of one SKU in
  one input that differ are a problem if one of them has no time: they are often the stock of two locations.
* A row without a value changes nothing, and is not sent.
* A time ahead of the ledger's clock is refused, because everything later would count as older. If such a time is stored
  already, it is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Row, and_, bindparam, delete, func, or_, select, text, update

from octopus_soap._version import __version__
from octopus_soap.errors import InvalidInputError, Problem, PushRefusedError
from octopus_soap.jobs.desired import (
    Desired,
    Values,
    as_text,
    cheapens,
    covers,
    from_text,
    merged,
    without_stock,
    zeroes,
)
from octopus_soap.jobs.leases import lock_in_order
from octopus_soap.jobs.reading import NAMED, Reading, stored_reading
from octopus_soap.jobs.reports import KeyProblem, Report
from octopus_soap.jobs.tables import STOCK_ITEM, STOCK_PLAN, STOCK_READING, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from octopus_soap.jobs.leases import RunLock
    from octopus_soap.jobs.ledger import Ledger

CHUNK = 5_000
MOST_AHEAD = timedelta(minutes=15)
"""How far ahead of the ledger's clock a time may be."""
_CHUNKS_OF_PART = 10
"""After this many chunks without a difference, a part of the reading is stored."""
_SHOWN_CHANGES = 10_000
_NAMED = 5

_Staged = tuple[str, str, str, int, str, int, str | None, int]
_STAGE = (
    "INSERT INTO stock_plan (channel, sku, wanted, observed_at, kind, zeroed, actual, cheaper) VALUES ({}) "
    "ON CONFLICT (channel, sku) DO UPDATE SET wanted = excluded.wanted, observed_at = excluded.observed_at, "
    "kind = excluded.kind, zeroed = excluded.zeroed, "
    "actual = excluded.actual, cheaper = excluded.cheaper"
)
_ACCEPT = text(
    "INSERT INTO stock_item (channel, sku, wanted, observed_at, state, due_at, attempts, message) "
    "SELECT channel, sku, wanted, observed_at, 'pending', :now, 0, '' FROM stock_plan "
    "WHERE channel = :channel AND kind IN ('new', 'change') ON CONFLICT (channel, sku) DO UPDATE SET "
    "wanted = excluded.wanted, observed_at = excluded.observed_at, state = excluded.state, due_at = excluded.due_at, "
    "attempts = 0, message = ''"
)
_MOMENT = Moment()
_ITEM, _PLAN = STOCK_ITEM.c, STOCK_PLAN.c

# Statements of every run, built once.
_BEFORE = select(
    select(_PLAN.sku).where(_PLAN.channel == bindparam("whose")).limit(1).scalar_subquery(),
    select(STOCK_READING.c.source)
    .where(STOCK_READING.c.channel == bindparam("whose"), STOCK_READING.c.part == 0)
    .scalar_subquery(),
)
"""Any SKU that is staged, and the source of which a part was read."""
_ACKNOWLEDGED = (
    select(func.count())
    .select_from(STOCK_ITEM)
    .where(_ITEM.channel == bindparam("whose"), _ITEM.acknowledged.is_not(None))
)
_EXTENT = (
    select(_PLAN.kind, func.count(), func.sum(_PLAN.zeroed), func.sum(_PLAN.cheaper))
    # For a SKU that a reconciliation only lists, nothing is sent.
    .where(_PLAN.channel == bindparam("whose"), _PLAN.kind != "seen", or_(_PLAN.kind != "drift", _PLAN.wanted != ""))
    .group_by(_PLAN.kind)
)


_KNOWN = "SELECT sku, acknowledged, wanted, observed_at AS observed FROM stock_item WHERE channel = {} AND sku IN ({})"
_STAGED = "SELECT sku, wanted, kind, observed_at AS observed FROM stock_plan WHERE channel = {} AND sku IN ({})"
# Written out, with the times as stored: a million rows are read and compared, and none is shown.


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One SKU that a push would change.

    Attributes:
        sku: the SKU.
        before: what the service last acknowledged; None if it never did.
        after: what would be sent.
    """

    sku: str
    before: Values | None
    after: Values


@dataclass(slots=True)
class PushReport(Report):
    """The report of a push or of its dry run.

    `counts` has `read`, `resumed` (those of them that a killed run read), `empty` (rows without a value), `repeated`
    (other rows of a SKU that an earlier row has), `unchanged`, `stale` (older than what is known, and different),
    `invalid`, `alike` (SKUs that differ from another SKU only in case, with other values), `new`, `changed`, `zeroed`,
    `cheaper`, `absent` (acknowledged, but not in the input), `acknowledged`, `rejected`, `forgotten`, `left` (still to
    be sent), `calls`, `drifted`, `listed` (drifted, but not sent) and `lease_lost` (taken over by another worker).

    Attributes:
        plan: the changes of a dry run, 10,000 at most; `counts` has them all.
    """

    plan: list[PlannedChange] = field(default_factory=list[PlannedChange])


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a plan changes.

    Attributes:
        catalogue: SKUs of which the service has acknowledged something.
        new: SKUs of which it has not.
        changed: known SKUs that would change.
        zeroed: SKUs whose stock would become 0: only known ones, except in a first push.
        cheaper: SKUs whose price would become 0, or fall by more than is allowed.
    """

    catalogue: int
    new: int
    changed: int
    zeroed: int
    cheaper: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """How a plan compares its input.

    Attributes:
        last_row_wins: of two rows of one SKU without times, the later one counts.
        max_price_fall: share of its price that one push may take off a SKU; 1 allows every price but 0, and None allows
            all.
    """

    last_row_wins: bool = False
    max_price_fall: float | None = 1.0


class Drift(NamedTuple):
    """A SKU whose state on the service is not the one in the ledger.

    Attributes:
        sku: the SKU.
        wanted: what to send again; empty to accept what the service has.
        actual: what the service has; None if it does not have the SKU.
    """

    sku: str
    wanted: Values
    actual: Values | None


class Plan:
    """The differences that one run, which holds *lock*, has stored in the ledger.

    Args:
        started: when the run began, by the ledger's clock.
        observed_at: when the desired states were true, if the caller gave that; a row's own time takes precedence.
    """

    def __init__(
        self, ledger: Ledger, started: datetime, observed_at: datetime | None, options: PlanOptions, lock: RunLock
    ) -> None:
        self._ledger, self._given, self._lock = ledger, observed_at is not None, lock
        self._options = options
        self._mine = STOCK_PLAN.c.channel == ledger.channel
        self._source = ""
        """A digest of the input and of how it is compared; empty if another run cannot continue with it."""
        self.reading = Reading()
        self.staged = False
        self._observed_at = observed_at or started
        self._now, self._latest = _number(self._observed_at), started + MOST_AHEAD
        self._newest_believed = _number(self._latest)
        self._texts: dict[str, str] = {}
        """The states of the current chunk, as the ledger stores them."""
        self._unsaved = 0
        """Chunks read since the last part was stored."""
        if observed_at is not None and observed_at > self._latest:
            raise InvalidInputError([Problem(self._ahead(observed_at), field="observed_at")])

    def begin(self, source: str) -> None:
        """Begin with an input, or continue where the last run stopped reading it.

        Args:
            source: a digest of the input and of how it is read; empty if it cannot be read a second time.
        """
        if source:
            compared = f"{source} {self._options} {self._observed_at if self._given else ''} {__version__}"
            self._source = blake2b(compared.encode(), digest_size=16).hexdigest()
        channel = self._ledger.channel
        with self._ledger.reading() as connection:
            left = connection.execute(_BEFORE, {"whose": channel}).one()
            if source and left[1] == self._source:
                self.reading = stored_reading(connection, channel)
                self.reading.counts["resumed"] = self.reading.rows
                self.staged = left[0] is not None
                return
        if left[0] is not None or left[1] is not None:
            self.clear()  # a run with another input left it

    def clear(self) -> None:
        """Discard what is staged, and how far the input was read."""
        with self._ledger.transaction() as connection:
            self._lock.check(connection)
            self._clear(connection)
        self.staged = False

    def discard(self) -> None:
        """Discard what is staged, if anything is."""
        if self.staged or self.reading.saved:
            self.clear()

    def _clear(self, connection: Connection) -> None:
        connection.execute(delete(STOCK_PLAN).where(self._mine))
        connection.execute(delete(STOCK_READING).where(STOCK_READING.c.channel == self._ledger.channel))

    # -- staging -----------------------------------------------------------------------------------------------

    def stage(self, chunk: Sequence[Desired | KeyProblem], *, last: bool = False) -> None:
        """Compare a chunk of rows with the ledger, and store the differences.

        Args:
            chunk: rows of the input, in its order.
            last: no row follows, so how far the input was read need not be stored.
        """
        reading = self.reading
        wishes = [row for row in chunk if isinstance(row, Desired)]
        problems = [row for row in chunk if not isinstance(row, Desired)]
        reading.add("read", len(chunk))
        reading.add("empty", sum(1 for wish in wishes if not wish.values))
        newest, first_seen = self._newest(wishes, problems)
        fresh = set(first_seen)
        rows: list[_Staged] = []
        dropped: list[str] = []
        with self._ledger.reading() as connection:
            known = self._rows(connection, _KNOWN, list(newest))
            earlier = newest.keys() - fresh if self.staged else ()
            staged = self._rows(connection, _STAGED, list(earlier)) if earlier else {}
        reading.known += sum(1 for sku in first_seen if sku in known and known[sku].acknowledged is not None)
        for sku, wish in newest.items():
            before = staged.get(sku)
            row = None
            if sku not in reading.contradicted:
                row = self._compared(wish, known.get(sku), before, problems, first=sku in fresh)
            if row is not None:
                rows.append(row)
            elif before is not None and before.kind != "seen":
                dropped.append(sku)
        reading.rows += len(chunk)
        for state in ("invalid", "alike"):
            reading.add(state, sum(problem.state == state for problem in problems))
        reading.problems += problems[: NAMED - len(reading.problems)]
        self._unsaved += 1
        if rows or dropped or (self._source and not last and self._unsaved >= _CHUNKS_OF_PART):
            self._keep(rows, dropped, last=last)

    def _rows(self, connection: Connection, wanted: str, skus: Sequence[str]) -> dict[str, Row[Any]]:
        if not skus:
            return {}
        mark = _mark(connection)
        statement = wanted.format(mark, ", ".join([mark] * len(skus)))
        return {row[0]: row for row in connection.exec_driver_sql(statement, (self._ledger.channel, *skus))}

    def _newest(self, chunk: Iterable[Desired], problems: list[KeyProblem]) -> tuple[dict[str, Desired], list[str]]:
        """Return a chunk's newest state of each SKU, and the SKUs new in this chunk."""
        found: dict[str, Desired] = {}
        first_seen: list[str] = []
        self._texts = {}
        for wish in chunk:
            if wish.observed_at is not None and wish.observed_at > self._latest:
                problems.append(KeyProblem(wish.sku, "invalid", f"row {wish.row}: {self._ahead(wish.observed_at)}"))
                continue
            text = self._texts[wish.sku] = as_text(wish.values)
            new, contradicts = self.reading.note(wish, text, problems, last_row_wins=self._options.last_row_wins)
            if new:
                first_seen.append(wish.sku)
            elif wish.values:
                self.reading.add("repeated")
            if contradicts:
                found.pop(wish.sku, None)
                found[wish.sku] = wish  # so that `stage` drops what an earlier chunk staged
                continue
            if (before := found.get(wish.sku)) is not None:
                self._texts.pop(wish.sku, None)
                wish = self._over(before, wish)  # noqa: PLW2901 - the row over the earlier one
            found[wish.sku] = wish
        return found, first_seen

    def _over(self, before: Desired, wish: Desired) -> Desired:
        """Merge two observations of a SKU: the newer one over the older one."""
        # If the times are equal or missing, the later row is the newer one.
        timed = self._given or wish.observed_at is not None
        if timed and self._time(wish) < self._time(before):
            return wish._replace(values=merged(wish.values, before.values), observed_at=before.observed_at)
        at = wish.observed_at if timed or self._time(before) < self._observed_at else before.observed_at
        return wish._replace(values=merged(before.values, wish.values), observed_at=at)

    def _time(self, wish: Desired) -> datetime:
        return wish.observed_at or self._observed_at

    def _ahead(self, moment: datetime) -> str:
        return (
            f"observed_at {moment:%Y-%m-%dT%H:%M:%SZ} is ahead of the ledger's clock "
            f"({self._latest - MOST_AHEAD:%Y-%m-%dT%H:%M:%SZ}): everything later would count as older; correct the time"
        )

    def _compared(
        self,
        wish: Desired,
        known: Row[Any] | None,
        staged: Row[Any] | None,
        problems: list[KeyProblem],
        *,
        first: bool,
    ) -> _Staged | None:
        """Return the row to stage; None if nothing is to be sent for the SKU.

        *first* is True if no earlier chunk has the SKU, which is then counted.
        """
        acknowledged, waiting = (None, None) if known is None else (known.acknowledged, known.wanted)
        if staged is not None and staged.kind != "seen":
            before = wish._replace(values=from_text(staged.wanted) or {}, observed_at=_moment(staged.observed))
            wish = self._over(before, wish)
            self._texts.pop(wish.sku, None)
        elif (floor := self._latest_known(known, staged)) is not None and self._number_of(wish) < floor:
            if self._given or wish.observed_at is not None:
                if covers(merged(from_text(acknowledged), from_text(waiting) or {}), wish.values):
                    self.reading.add("unchanged", int(first))
                else:
                    self.reading.add("stale")
                    problems.append(KeyProblem(wish.sku, "stale", self._stale(wish, floor)))
                return None
            wish = wish._replace(observed_at=_moment(floor))
        timed = self._given or wish.observed_at is not None
        if waiting is not None:
            wanted = merged(from_text(waiting), wish.values)
            text = as_text(wanted)
            needless = text == waiting
        else:
            wanted, text = wish.values, self._texts.get(wish.sku) or as_text(wish.values)
            needless = acknowledged is not None and (text == acknowledged or covers(from_text(acknowledged), wanted))
        if needless or not wish.values:
            dropped = staged is not None and staged.kind != "seen"
            self.reading.add("unchanged", int(bool(wish.values) and (first or dropped)))
            newer = timed and known is not None and self._number_of(wish) > (known.observed or 0)
            return self._row(wish, "", "seen", None, {}) if newer else None
        before_it = from_text(acknowledged)
        if before_it is None:
            return self._row(wish, text, "new", None, wanted)
        return self._row(wish, text, "change", before_it, merged(before_it, wanted))

    def _latest_known(self, known: Row[Any] | None, staged: Row[Any] | None) -> int | None:
        """Return the newest time known of a SKU; one ahead of the clock is ignored."""
        first = None if known is None else known.observed
        if first is not None and first > self._newest_believed:
            first = None
        second = None if staged is None else staged.observed
        return second if first is None else first if second is None else max(first, second)

    def _stale(self, wish: Desired, floor: int) -> str:
        newer = _moment(floor)
        return (
            f"row {wish.row} was true at {self._time(wish):%Y-%m-%dT%H:%M:%SZ}, and a newer state of "
            f"{newer:%Y-%m-%dT%H:%M:%SZ} is known; it was skipped"
        )

    def _number_of(self, wish: Desired) -> int:
        return self._now if wish.observed_at is None else _number(wish.observed_at)

    def _row(
        self, wish: Desired, wanted: str, kind: str, before: Values | None, after: Values, *, actual: str | None = None
    ) -> _Staged:
        fall = self._options.max_price_fall
        zeroed = int(bool(after) and zeroes(before, after))
        cheaper = int(fall is not None and cheapens(before, after, fall))
        return self._ledger.channel, wish.sku, wanted, self._number_of(wish), kind, zeroed, actual, cheaper

    def _keep(self, rows: list[_Staged], unchanged: list[str], *, last: bool = False) -> None:
        """Store differences and how far the input was read."""
        with self._ledger.transaction() as connection:
            self._lock.check(connection)
            if unchanged:
                connection.execute(delete(STOCK_PLAN).where(self._mine, STOCK_PLAN.c.sku.in_(unchanged)))
            if rows:
                marks = ", ".join([_mark(connection)] * 8)
                connection.exec_driver_sql(_STAGE.format(marks), rows)
            if self._source and (self.reading.saved or not last):
                self.reading.save(connection, self._ledger.channel, self._source)
                self._unsaved = 0
        self.staged = self.staged or bool(rows)
        self._ledger.reach("push.staged")

    def stage_drift(self, drifted: Sequence[Drift]) -> None:
        """Stage SKUs whose state on the service is not the one in the ledger."""
        rows = [
            self._row(
                Desired(drift.sku, drift.wanted),
                as_text(drift.wanted) if drift.wanted else "",
                "drift",
                drift.actual,
                merged(drift.actual, drift.wanted),
                actual=None if drift.actual is None else as_text(drift.actual),
            )
            for drift in drifted
        ]
        if rows:
            self._keep(rows, [])

    def stage_absent(self, report: Report) -> None:
        """Stage a stock of 0 for acknowledged SKUs that are not in the input."""
        for rows in acknowledged_pages(self._ledger, CHUNK):
            found: list[_Staged] = []
            for row in rows:
                known = merged(from_text(row.acknowledged), from_text(row.wanted) or {})
                empty = None if self.reading.had(row.sku) else without_stock(known)
                if empty is not None:
                    before = from_text(row.acknowledged)
                    found.append(self._row(Desired(row.sku, empty), as_text(empty), "change", before, empty))
            if found:
                self._keep(found, [])
                report.add("absent_zeroed", len(found))

    # -- the plan as a whole -----------------------------------------------------------------------------------

    def extent(self) -> Extent:
        """Return how much the plan changes."""
        mine = {"whose": self._ledger.channel}
        with self._ledger.reading() as connection:
            catalogue = connection.execute(_ACKNOWLEDGED, mine).scalar_one()
            kinds = {kind: numbers for kind, *numbers in connection.execute(_EXTENT, mine)}
        new, empty, cheaper_new = kinds.get("new", (0, 0, 0))
        changed, zeroed, cheaper = kinds.get("change", (0, 0, 0))
        drifted, dropped, cheaper_drift = kinds.get("drift", (0, 0, 0))
        # A new item without stock takes nothing away from a known catalogue.
        emptied = int(zeroed + dropped + (0 if catalogue else empty))
        return Extent(catalogue, new, changed + drifted, emptied, int(cheaper_new + cheaper + cheaper_drift))

    def cheaper(self) -> list[str]:
        """Return some SKUs whose price would become 0, or fall by more than is allowed."""
        wanted = select(STOCK_PLAN.c.sku).where(self._mine, STOCK_PLAN.c.cheaper > 0).order_by(STOCK_PLAN.c.sku)
        with self._ledger.reading() as connection:
            return list(connection.execute(wanted.limit(_NAMED)).scalars())

    def changes(self) -> list[PlannedChange]:
        """Return the first 10,000 changes, sorted by SKU."""
        item, plan = STOCK_ITEM.c, STOCK_PLAN.c
        joined = STOCK_PLAN.outerjoin(STOCK_ITEM, and_(item.channel == plan.channel, item.sku == plan.sku))
        wanted = (
            select(plan.sku, item.acknowledged, plan.wanted, plan.kind, plan.actual)
            .select_from(joined)
            .where(self._mine, plan.kind != "seen", plan.wanted != "")
            .order_by(plan.sku)
            .limit(_SHOWN_CHANGES)
        )
        with self._ledger.reading() as connection:
            rows = connection.execute(wanted).all()
        return [
            PlannedChange(
                r.sku, from_text(r.actual if r.kind == "drift" else r.acknowledged), from_text(r.wanted) or {}
            )
            for r in rows
        ]

    def accept(self) -> None:
        """Turn the plan into work, in one transaction, if the lock is still held."""
        item, plan, channel = STOCK_ITEM.c, STOCK_PLAN.c, self._ledger.channel
        if not self.staged and not self.reading.saved:  # there is nothing to accept
            return
        mine = (item.channel == channel, item.sku == plan.sku, self._mine)
        with self._ledger.transaction() as connection:
            self._lock.check(connection)
            concerned = item.sku.in_(select(plan.sku).where(self._mine))
            lock_in_order(connection, STOCK_ITEM, and_(item.channel == channel, concerned))
            now = self._ledger.now(connection)
            connection.execute(_ACCEPT, {"channel": channel, "now": _number(now)})
            seen = update(STOCK_ITEM).where(*mine, plan.kind == "seen")
            connection.execute(seen.values(observed_at=plan.observed_at))
            # A state that was acknowledged, or is under way, since the service was asked is newer than its answer.
            untouched = (item.leased_by.is_(None), item.acknowledged_at <= plan.observed_at)
            drifted = update(STOCK_ITEM).where(*mine, plan.kind == "drift", *untouched)
            again = {"wanted": plan.wanted, "state": "pending", "due_at": now, "attempts": 0, "message": ""}
            connection.execute(drifted.where(plan.wanted != "").values(acknowledged=plan.actual, **again))
            # The service's own value, which only a newer state may replace.
            fact = {"acknowledged": plan.actual, "acknowledged_at": now, "observed_at": plan.observed_at}
            connection.execute(drifted.where(plan.wanted == "").values(**fact))
            self._clear(connection)
            self._ledger.reach("push.accepting")
        self.staged = False
        self._ledger.reach("push.accepted")


def acknowledged_pages(ledger: Ledger, size: int, *, idle: bool = False) -> Iterator[Sequence[Row[Any]]]:
    """Yield the acknowledged SKUs in pages, sorted; with *idle* those not under way."""
    item, last = STOCK_ITEM.c, ""
    columns: list[ColumnElement[Any]] = [item.sku, item.acknowledged, item.wanted]
    while True:
        with ledger.reading() as connection:
            mine = [item.channel == ledger.channel, item.acknowledged.is_not(None), item.sku > last]
            if idle:
                mine.append(or_(item.leased_by.is_(None), item.leased_until <= ledger.now(connection)))
            rows = connection.execute(select(*columns).where(*mine).order_by(item.sku).limit(size)).all()
        if not rows:
            return
        yield rows
        last = rows[-1].sku


def guard(extent: Extent, share: float, cheaper: Sequence[str] = ()) -> None:
    """Refuse a plan that changes too much.

    Args:
        extent: how much it changes.
        share: share of the catalogue that may change, and that may become 0, from 0 to 1. In a first push all SKUs are
            new and none changes, but zeros count: a table that was read wrongly is often all zeros.
        cheaper: some SKUs whose price falls by more than is allowed. Not even one may.

    Raises:
        PushRefusedError: it changes more.
    """
    whole = extent.catalogue or extent.new
    most = share * whole
    if extent.changed <= most and extent.zeroed <= most and not extent.cheaper:
        return
    known = (
        f"the {whole} SKUs the service has acknowledged" if extent.catalogue else f"the {whole} SKUs of a first push"
    )
    reasons: list[str] = []
    if extent.changed > most or extent.zeroed > most:
        reasons.append(
            f"of {known}, {extent.zeroed} ({extent.zeroed / whole:.0%}) would become 0 and {extent.changed} "
            f"({extent.changed / whole:.0%}) would change, and at most {share:.0%} may at once"
        )
    if extent.cheaper:
        more = " and others" if extent.cheaper > len(cheaper) else ""
        reasons.append(
            f"the price of {extent.cheaper} {'SKU' if extent.cheaper == 1 else 'SKUs'} would become 0, or fall by more "
            f"than is allowed ({', '.join(map(repr, cheaper))}{more})"
        )
    reason = "; ".join(reasons)
    raise PushRefusedError(
        f"refused, and nothing was sent: {reason}. Look at the plan with a dry run; if it is meant, repeat "
        "it with force=True (--force)",
        zeroed=extent.zeroed,
        changed=extent.changed,
        catalogue=whole,
        cheaper=extent.cheaper,
        reason=reason,
    )


def _mark(connection: Connection) -> str:
    """Return the parameter mark for a statement that goes unchanged to the driver."""
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


def _number(moment: datetime) -> int:
    # Statements written out as text have no column types.
    return _MOMENT.process_bind_param(moment, None) or 0  # type: ignore[arg-type] # the dialect does not matter to it


def _moment(number: int) -> datetime | None:
    return _MOMENT.process_result_value(number, None)  # type: ignore[arg-type] # the dialect does not matter to it
