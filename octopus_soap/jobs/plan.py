"""What a push would do: desired states compared with what the service last acknowledged, and the guard over the whole.

Desired states come in chunks and are compared chunk by chunk, so that a catalogue of any size needs the memory of one.
Differences are kept in a table of their own. Only when all of them are known, and the guard has let them pass, does one
transaction turn them into work: a push that is refused, fails at its last row, or is killed while it reads has changed
nothing.

Within one input and across runs the newest observation of a SKU wins. Values an older one gives and the newer one
leaves unset are kept, where both are of one input. A state without a time is newer than all that is known of its SKU,
whatever the clock says: a clock that ran ahead once must not make every later state an old one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Row, Select, Table, and_, bindparam, delete, func, select, text, type_coerce, update

from octopus_soap.errors import PushRefusedError
from octopus_soap.jobs.desired import Desired, Values, as_text, covers, from_text, merged, zeroes
from octopus_soap.jobs.leases import lock_in_order
from octopus_soap.jobs.reports import Report
from octopus_soap.jobs.tables import STOCK_ITEM, STOCK_PLAN, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from octopus_soap.jobs.leases import RunLock
    from octopus_soap.jobs.ledger import Ledger

CHUNK = 5_000
_SHOWN_CHANGES = 10_000

_STAGE = text(
    "INSERT INTO stock_plan (channel, sku, wanted, observed_at, kind, zeroed, actual) "
    "VALUES (:channel, :sku, :wanted, :observed_at, :kind, :zeroed, :actual) ON CONFLICT (channel, sku) DO UPDATE SET "
    "wanted = excluded.wanted, observed_at = excluded.observed_at, kind = excluded.kind, zeroed = excluded.zeroed, "
    "actual = excluded.actual"
)
_ACCEPT = text(
    "INSERT INTO stock_item (channel, sku, wanted, observed_at, state, due_at, attempts, message) "
    "SELECT channel, sku, wanted, observed_at, 'pending', :now, 0, '' FROM stock_plan "
    "WHERE channel = :channel AND kind IN ('new', 'change') ON CONFLICT (channel, sku) DO UPDATE SET "
    "wanted = excluded.wanted, observed_at = excluded.observed_at, state = excluded.state, due_at = excluded.due_at, "
    "attempts = 0, message = ''"
)
_MOMENT = Moment()


def _of_skus(table: Table, *columns: str) -> Select[Any]:
    cells = [table.c[name] for name in columns]
    ours = (table.c.channel == bindparam("mine"), table.c.sku.in_(bindparam("skus", expanding=True)))
    # The time as it is kept: a million of them are compared and none is shown.
    return select(*cells, type_coerce(table.c.observed_at, BigInteger).label("observed")).where(*ours)


_KNOWN = _of_skus(STOCK_ITEM, "sku", "acknowledged", "wanted")
_STAGED = _of_skus(STOCK_PLAN, "sku", "wanted", "kind")


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One SKU a push would change.

    Attributes:
        sku: the SKU.
        before: what the service last acknowledged; None where it never did.
        after: what it would be told.
    """

    sku: str
    before: Values | None
    after: Values


@dataclass(slots=True)
class PushReport(Report):
    """What a push did, or would do.

    `counts` has `read`, `unchanged`, `stale` (older than what is known), `invalid`, `new`, `changed`, `zeroed`,
    `acknowledged`, `rejected`, `left` (still to be sent), `calls`, `drifted` and `lease_lost` (taken over by another
    worker).

    Attributes:
        plan: the changes of a dry run, 10,000 at most; `counts` has them all.
    """

    plan: list[PlannedChange] = field(default_factory=list[PlannedChange])


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a plan touches.

    Attributes:
        catalogue: SKUs the service has acknowledged something of.
        new: SKUs it has not.
        changed: known SKUs that would change.
        zeroed: SKUs whose stock would become 0: known ones, and in a first push all.
    """

    catalogue: int
    new: int
    changed: int
    zeroed: int


class Plan:
    """The differences of one run, in the ledger.

    Args:
        ledger: the ledger.
        observed_at: when the desired states were true; where a row says so itself, that counts.
        given: *observed_at* is the caller's own, and not just the time of the run.
    """

    def __init__(self, ledger: Ledger, observed_at: datetime, *, given: bool) -> None:
        self._ledger, self._observed_at, self._given = ledger, observed_at, given
        self._mine = STOCK_PLAN.c.channel == ledger.channel
        self._staged = False
        self._now = _number(observed_at)

    def clear(self) -> None:
        """Forget what an earlier run staged."""
        with self._ledger.transaction() as connection:
            connection.execute(delete(STOCK_PLAN).where(self._mine))

    # -- staging -----------------------------------------------------------------------------------------------

    def stage(self, chunk: Sequence[Desired], report: Report) -> None:
        """Compare a chunk with the ledger and keep the differences."""
        newest = self._newest(chunk)
        rows, unchanged = [], []
        with self._ledger.reading() as connection:
            known = self._rows(connection, _KNOWN, newest)
            staged = self._rows(connection, _STAGED, newest) if self._staged else {}
        for sku, wish in newest.items():
            row = self._compared(wish, known.get(sku), staged.get(sku), report)
            if row is not None:
                rows.append(row)
            elif sku in staged and staged[sku].kind != "seen":
                unchanged.append(sku)
        if rows or unchanged:
            self._keep(rows, unchanged)

    def _rows(self, connection: Connection, wanted: Select[Any], skus: Iterable[str]) -> dict[str, Row[Any]]:
        rows = connection.execute(wanted, {"mine": self._ledger.channel, "skus": list(skus)})
        return {row[0]: row for row in rows}

    def _newest(self, chunk: Iterable[Desired]) -> dict[str, Desired]:
        found: dict[str, Desired] = {}
        for wish in chunk:
            before = found.get(wish.sku)
            found[wish.sku] = wish if before is None else self._over(before, wish)
        return found

    def _over(self, before: Desired, wish: Desired) -> Desired:
        """Both observations of one SKU, the newer one over the older; of equals, and without a time, the later one."""
        timed = self._given or wish.observed_at is not None
        if timed and self._time(wish) < self._time(before):
            return Desired(wish.sku, merged(wish.values, before.values), before.observed_at)
        at = wish.observed_at if timed or self._time(before) < self._observed_at else before.observed_at
        return Desired(wish.sku, merged(before.values, wish.values), at)

    def _time(self, wish: Desired) -> datetime:
        return wish.observed_at or self._observed_at

    def _compared(
        self, wish: Desired, known: Row[Any] | None, staged: Row[Any] | None, report: Report
    ) -> dict[str, Any] | None:
        """The row to stage; None where the SKU needs nothing."""
        if staged is not None and staged.kind != "seen":
            before = Desired(wish.sku, from_text(staged.wanted) or {}, _moment(staged.observed))
            wish = self._over(before, wish)
        elif (floor := _latest(known, staged)) is not None and self._number_of(wish) < floor:
            if self._given or wish.observed_at is not None:
                report.add("stale")
                return None
            wish = wish._replace(observed_at=_moment(floor))
        timed = self._given or wish.observed_at is not None
        acknowledged, waiting = (None, None) if known is None else (known.acknowledged, known.wanted)
        if waiting is not None:
            wanted = merged(from_text(waiting), wish.values)
            text = as_text(wanted)
            needless = text == waiting
        else:
            wanted, text = wish.values, as_text(wish.values)
            needless = acknowledged is not None and (text == acknowledged or covers(from_text(acknowledged), wanted))
        if needless:
            report.add("unchanged")
            newer = timed and known is not None and self._number_of(wish) > (known.observed or 0)
            return self._row(wish, "", "seen", zeroed=False) if newer else None
        before_it = from_text(acknowledged)
        kind = "new" if before_it is None else "change"
        return self._row(wish, text, kind, zeroed=zeroes(before_it, merged(before_it, wanted)))

    def _number_of(self, wish: Desired) -> int:
        return self._now if wish.observed_at is None else _number(wish.observed_at)

    def _row(self, wish: Desired, wanted: str, kind: str, *, zeroed: bool, actual: str | None = None) -> dict[str, Any]:
        return {
            "channel": self._ledger.channel,
            "sku": wish.sku,
            "wanted": wanted,
            "observed_at": self._number_of(wish),
            "kind": kind,
            "zeroed": int(zeroed),
            "actual": actual,
        }

    def _keep(self, rows: list[dict[str, Any]], unchanged: list[str]) -> None:
        with self._ledger.transaction() as connection:
            if unchanged:
                connection.execute(delete(STOCK_PLAN).where(self._mine, STOCK_PLAN.c.sku.in_(unchanged)))
            if rows:
                connection.execute(_STAGE, rows)
        self._staged = True
        self._ledger.reach("push.staged")

    def stage_drift(self, drifted: Sequence[tuple[str, Values, Values | None]]) -> None:
        """Keep what the service was found to hold otherwise: SKU, what it should hold, what it does hold."""
        rows = [
            self._row(
                Desired(sku, wanted),
                as_text(wanted),
                "drift",
                zeroed=zeroes(actual, merged(actual, wanted)),
                actual=None if actual is None else as_text(actual),
            )
            for sku, wanted, actual in drifted
        ]
        if rows:
            self._keep(rows, [])

    # -- judging -----------------------------------------------------------------------------------------------

    def extent(self) -> Extent:
        """How much the plan touches."""
        plan = STOCK_PLAN.c
        with self._ledger.reading() as connection:
            known = and_(STOCK_ITEM.c.channel == self._ledger.channel, STOCK_ITEM.c.acknowledged.is_not(None))
            catalogue = connection.execute(select(func.count()).select_from(STOCK_ITEM).where(known)).scalar_one()
            found = select(plan.kind, func.count(), func.sum(plan.zeroed)).where(self._mine).group_by(plan.kind)
            kinds = {kind: (count, zeroed) for kind, count, zeroed in connection.execute(found)}
        new, empty = kinds.get("new", (0, 0))
        changed, zeroed = kinds.get("change", (0, 0))
        drifted, dropped = kinds.get("drift", (0, 0))
        # An item that comes to a known catalogue without stock takes nothing away.
        return Extent(catalogue, new, changed + drifted, zeroed + dropped + (0 if catalogue else empty))

    def changes(self, limit: int = _SHOWN_CHANGES) -> list[PlannedChange]:
        """The changes, by SKU."""
        item, plan = STOCK_ITEM.c, STOCK_PLAN.c
        joined = STOCK_PLAN.outerjoin(STOCK_ITEM, and_(item.channel == plan.channel, item.sku == plan.sku))
        wanted = (
            select(plan.sku, item.acknowledged, plan.wanted, plan.kind, plan.actual)
            .select_from(joined)
            .where(self._mine, plan.kind != "seen")
            .order_by(plan.sku)
            .limit(limit)
        )
        with self._ledger.reading() as connection:
            rows = connection.execute(wanted).all()
        return [
            PlannedChange(
                r.sku, from_text(r.actual if r.kind == "drift" else r.acknowledged), from_text(r.wanted) or {}
            )
            for r in rows
        ]

    def accept(self, lock: RunLock) -> None:
        """Turn the plan into work, in one transaction, if *lock* is still held."""
        item, plan, channel = STOCK_ITEM.c, STOCK_PLAN.c, self._ledger.channel
        mine = (item.channel == channel, item.sku == plan.sku, self._mine)
        with self._ledger.transaction() as connection:
            lock.check(connection)
            concerned = item.sku.in_(select(plan.sku).where(self._mine))
            lock_in_order(connection, STOCK_ITEM, and_(item.channel == channel, concerned))
            now = self._ledger.now(connection)
            connection.execute(_ACCEPT, {"channel": channel, "now": _number(now)})
            seen = update(STOCK_ITEM).where(*mine, plan.kind == "seen")
            connection.execute(seen.values(observed_at=plan.observed_at))
            # What was acknowledged or is being sent since the service was asked is newer than what it told.
            untouched = (item.leased_by.is_(None), item.acknowledged_at <= plan.observed_at)
            drifted = update(STOCK_ITEM).where(*mine, plan.kind == "drift", *untouched)
            connection.execute(
                drifted.values(
                    acknowledged=plan.actual, wanted=plan.wanted, state="pending", due_at=now, attempts=0, message=""
                )
            )
            connection.execute(delete(STOCK_PLAN).where(self._mine))
            self._ledger.reach("push.accepting")
        self._ledger.reach("push.accepted")


def guard(extent: Extent, share: float) -> None:
    """Let a plan pass, or not.

    Args:
        extent: how much it touches.
        share: of the catalogue that may change, and that may become 0, at once; from 0 to 1. In a first push all is
            new and nothing changes, but what is 0 counts: a table that was read wrongly is often all zeros.

    Raises:
        PushRefusedError: it touches more.
    """
    whole = extent.catalogue or extent.new
    most = share * whole
    if extent.changed <= most and extent.zeroed <= most:
        return
    known = (
        f"the {whole} SKUs the service has acknowledged" if extent.catalogue else f"the {whole} SKUs of a first push"
    )
    raise PushRefusedError(
        f"refused, and nothing was sent: of {known}, {extent.zeroed} ({extent.zeroed / whole:.0%}) would become 0 and "
        f"{extent.changed} ({extent.changed / whole:.0%}) would change, and at most {share:.0%} may at once. Look at "
        "the plan with a dry run; where it is meant, repeat it with force=True (--force)",
        zeroed=extent.zeroed,
        changed=extent.changed,
        catalogue=whole,
    )


def _latest(known: Row[Any] | None, staged: Row[Any] | None) -> int | None:
    """The newest time known of a SKU, as the ledger keeps times."""
    first = None if known is None else known.observed
    second = None if staged is None else staged.observed
    return second if first is None else first if second is None else max(first, second)


def _number(moment: datetime) -> int:
    # Statements written out as text know no column types.
    return _MOMENT.process_bind_param(moment, None) or 0  # type: ignore[arg-type] # the dialect does not matter to it


def _moment(number: int) -> datetime | None:
    return _MOMENT.process_result_value(number, None)  # type: ignore[arg-type] # the dialect does not matter to it
