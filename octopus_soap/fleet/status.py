"""The state of a fleet: merchants and jobs, worst first, with totals and alarms.

All of it is read from the schedule's rows, except for the held keys, which are in the ledger. Metrics have no series
per merchant: thousands of them would cost more than the jobs. The status has the worst ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import islice
from shlex import quote
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from octopus_soap.errors import ConfigError
from octopus_soap.fleet.registry import ACTIVE, PAUSED, REFUSED, Merchant, merchant_of
from octopus_soap.fleet.tables import MERCHANT, RUN, SCHEDULE, TICKER
from octopus_soap.jobs import inspection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from prometheus_client.metrics_core import Metric

    from octopus_soap.jobs.ledger import Ledger

TICK_ALARM = timedelta(seconds=30)
_PERIODS = 3
_WORST = 10
_NAMED_AT_ONCE = 500  # far below a database's limit for one statement
_RANKED = select(
    SCHEDULE.c.name,
    SCHEDULE.c.every,
    SCHEDULE.c.next_at,
    SCHEDULE.c.started_at,
    SCHEDULE.c.last_success_at,
    SCHEDULE.c.failures,
    SCHEDULE.c.held,
    SCHEDULE.c.message,
)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job of one merchant.

    Attributes:
        name, job: the merchant and the job.
        state: the merchant's: `active`, `paused` or `refused`.
        every: seconds between runs.
        late: seconds by which it is overdue; 0 if it is not.
        outcome: of the last run; empty before the first.
        message: why it did not go well.
        last_success_at: when a run last ended well.
        failures: runs that failed since.
        backlog: keys left to be done.
        held: keys that are rejected or quarantined.
        duration: seconds of the last run.
        running: a run is under way.
        slow: it runs in the queue `slow`.
        next_at: when it is next due.
        alarm: why it needs a person; empty if it does not.
    """

    name: str
    job: str
    state: str
    every: float
    late: float
    outcome: str
    message: str
    last_success_at: datetime | None
    failures: int
    backlog: int
    held: int
    duration: float | None
    running: bool
    slow: bool
    next_at: datetime
    alarm: str


@dataclass(frozen=True, slots=True)
class MerchantStatus:
    """One merchant with its jobs.

    Attributes:
        merchant: the merchant, without its secrets.
        jobs: its jobs, worst first.
        alarm: why it needs a person; empty if it does not.
    """

    merchant: Merchant
    jobs: list[JobStatus] = field(default_factory=list[JobStatus])
    alarm: str = ""

    @property
    def late(self) -> float:
        """Seconds by which its most overdue job is overdue."""
        return max((job.late for job in self.jobs), default=0.0)

    @property
    def failures(self) -> int:
        """Failed runs since the last success, of the job that failed most."""
        return max((job.failures for job in self.jobs), default=0)

    @property
    def backlog(self) -> int:
        """Keys left to be done."""
        return sum(job.backlog for job in self.jobs)

    @property
    def held(self) -> int:
        """Keys that were rejected or quarantined at the end of the last runs."""
        return sum(job.held for job in self.jobs)

    @property
    def last_success_at(self) -> datetime | None:
        """When a run of any job last succeeded."""
        return max((job.last_success_at for job in self.jobs if job.last_success_at is not None), default=None)


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key of a merchant that waits for a fix.

    Attributes:
        job: such as `push`.
        key: SKU or order id.
        state: such as `rejected` or `quarantined`.
        message: the service's or the handler's message.
        attempts: how often it was tried.
    """

    job: str
    key: str
    state: str
    message: str
    attempts: int


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """The fleet at one moment.

    Attributes:
        at: when.
        jobs: worst first.
        merchants: how many, by state.
        last_tick_at: when a ticker last looked.
        alarms: what needs a person, one line each.
    """

    at: datetime
    jobs: list[JobStatus]
    merchants: dict[str, int]
    last_tick_at: datetime | None
    alarms: list[str]

    @property
    def healthy(self) -> bool:
        """True if nothing needs a person."""
        return not self.alarms

    def as_dict(self, most: int | None = None) -> dict[str, Any]:
        """Return JSON-ready values, with the worst *most* jobs."""

        def plain(values: dict[str, Any]) -> dict[str, Any]:
            return {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in values.items()}

        return plain(
            {
                "at": self.at,
                "healthy": self.healthy,
                "merchants": self.merchants,
                "last_tick_at": self.last_tick_at,
                "alarms": self.alarms,
                "jobs": [plain(asdict(job)) for job in self.jobs[:most]],
            }
        )


def status(ledger: Ledger, names: Iterable[str] | None = None) -> FleetStatus:
    """Return the state of the fleet.

    Args:
        ledger: any ledger on the database.
        names: only these merchants; all by default.
    """
    wanted = None if names is None else set(names)
    with ledger.reading() as connection:
        now = ledger.now(connection)
        states = {row.name: row.state for row in connection.execute(select(MERCHANT.c.name, MERCHANT.c.state))}
        rows = connection.execute(select(SCHEDULE)).all()
        ticks = [at for (at,) in connection.execute(select(TICKER.c.at))]
    jobs = [_job(row, states.get(row.name, ACTIVE), now) for row in rows if wanted is None or row.name in wanted]
    jobs.sort(key=_worst_first)
    counts: dict[str, int] = dict.fromkeys((ACTIVE, PAUSED, REFUSED), 0)
    for state in states.values():
        counts[state] = counts.get(state, 0) + 1
    last = max(ticks, default=None)
    alarms = [f"{job.name} {job.job}: {job.alarm}" for job in jobs if job.alarm]
    if rows and (alarm := _tick_alarm(last, now)):
        alarms.insert(0, alarm)
    return FleetStatus(now, jobs, counts, last, alarms)


def tick_alarm(ledger: Ledger) -> str:
    """Return the alarm that no ticker runs; empty if one does or no job is scheduled."""
    with ledger.reading() as connection:
        if connection.execute(select(SCHEDULE.c.name).limit(1)).first() is None:
            return ""
        last = connection.execute(select(func.max(TICKER.c.at))).scalar_one()
        return _tick_alarm(last, ledger.now(connection))


def _tick_alarm(last: datetime | None, now: datetime) -> str:
    if last is not None and now - last <= TICK_ALARM:
        return ""
    since = "ever" if last is None else f"for {(now - last).total_seconds():.0f} s"
    return f"no tick {since}: start octopus-soap fleet run, or fleet tick"


def _worst_first(job: JobStatus) -> tuple[Any, ...]:
    return (not job.alarm, -job.failures, -job.late, -job.held, job.name, job.job)


def merchants(
    ledger: Ledger, *, find: str = "", state: str = "", only: str = "", most: int | None = None, start: int = 0
) -> tuple[list[MerchantStatus], int]:
    """Return merchants with their jobs, worst first, and the number of all that match.

    Args:
        ledger: any ledger on the database.
        find: only those with this text in the name, in a label or in the header `merchantname`, in any case.
        state: only those in this state.
        only: only those with a job that is `late` by more than its period, `failing`, or has `held` keys.
        most: how many to return; all by default.
        start: how many to skip first.
    """
    wanted = find.casefold()
    with ledger.reading() as connection:
        now = ledger.now(connection)
        query = select(MERCHANT).where(MERCHANT.c.state == state) if state else select(MERCHANT)
        known = [row for row in connection.execute(query) if not wanted or wanted in _searched(merchant_of(row))]
        ranks = {row.name: _Rank(row.state) for row in known}
        for row in connection.execute(_RANKED):  # few columns: whole rows of thousands of merchants take a second
            if row.name in ranks:
                ranks[row.name].count(row, now)
        found = sorted(
            (row for row in known if not only or getattr(ranks[row.name], only)),
            key=lambda row: ranks[row.name].place(row.name),
        )
        page = list(islice(found, start, None if most is None else start + most))
        names = [row.name for row in page]
        jobs = select(SCHEDULE)
        if len(names) <= _NAMED_AT_ONCE:
            jobs = jobs.where(SCHEDULE.c.name.in_(names))
        rows: dict[str, list[Any]] = {name: [] for name in names}
        for row in connection.execute(jobs):
            if row.name in rows:
                rows[row.name].append(row)
    return [_merchant(merchant_of(row), rows[row.name], now) for row in page], len(found)


class _Rank:
    """How bad a merchant is."""

    __slots__ = ("alarm", "failing", "held", "late", "overdue", "state")

    def __init__(self, state: str) -> None:
        self.state = state
        self.alarm = state == REFUSED
        self.late = False
        self.failing = self.held = 0
        self.overdue = 0.0

    def count(self, row: Any, now: datetime) -> None:
        """Add a job."""
        late = _late(row, self.state, now)
        self.alarm = self.alarm or bool(_alarm(row, self.state, late, now))
        self.late = self.late or late > row.every
        self.failing = max(self.failing, row.failures)
        self.held += row.held
        self.overdue = max(self.overdue, late)

    def place(self, name: str) -> tuple[Any, ...]:
        """Return a sort key that puts the worst first."""
        return (not self.alarm, -self.failing, -self.overdue, -self.held, name)


def counts(ledger: Ledger) -> dict[str, int]:
    """Return the number of merchants by state, and of those `late`, `failing`, `held`."""
    jobs = SCHEDULE.c
    with ledger.reading() as connection:
        now = ledger.now(connection)
        states = dict.fromkeys((ACTIVE, PAUSED, REFUSED), 0)
        states.update(
            (state, number)
            for state, number in connection.execute(select(MERCHANT.c.state, func.count()).group_by(MERCHANT.c.state))
        )
        late = {
            row.name
            for row in connection.execute(
                select(jobs.name, jobs.next_at, jobs.every, jobs.started_at, MERCHANT.c.state)
                .join(MERCHANT, MERCHANT.c.name == jobs.name)
                .where(jobs.next_at < now)
            )
            if _late(row, row.state, now) > row.every
        }
        some = {
            what: connection.execute(select(func.count(jobs.name.distinct())).where(column > 0)).scalar_one()
            for what, column in (("failing", jobs.failures), ("held", jobs.held))
        }
    return {**states, "late": len(late), **some}


def merchant(ledger: Ledger, name: str) -> MerchantStatus:
    """Return a merchant with its jobs.

    Raises:
        ConfigError: there is no such merchant.
    """
    with ledger.reading() as connection:
        now = ledger.now(connection)
        row = connection.execute(select(MERCHANT).where(MERCHANT.c.name == name)).one_or_none()
        rows = list(connection.execute(select(SCHEDULE).where(SCHEDULE.c.name == name)))
    if row is None:
        raise ConfigError(f"there is no merchant {name[:80]!r}; octopus-soap fleet list shows those there are")
    return _merchant(merchant_of(row), rows, now)


def held(ledger: Ledger, name: str, *, most: int = 200) -> list[HeldKey]:
    """Return the keys of a merchant that wait for a fix, with the reasons.

    `octopus-soap ledger retry --channel NAME` tries them again.

    Args:
        ledger: any ledger on the database.
        name: the merchant.
        most: how many to return.
    """
    found = inspection.held(ledger.for_channel(name))
    return [HeldKey(job, one.key, one.state, one.message, one.attempts) for job, one in islice(found, most)]


def _searched(merchant: Merchant) -> str:
    words = [merchant.name, merchant.merchantname, *(f"{key}={value}" for key, value in merchant.labels.items())]
    return "\n".join(words).casefold()


def _merchant(merchant: Merchant, rows: Iterable[Any], now: datetime) -> MerchantStatus:
    jobs = sorted((_job(row, merchant.state, now) for row in rows), key=_worst_first)
    alarm = next((job.alarm for job in jobs if job.alarm), _refused(merchant.name) if merchant.state == REFUSED else "")
    return MerchantStatus(merchant, jobs, alarm)


def _job(row: Any, state: str, now: datetime) -> JobStatus:
    late = _late(row, state, now)
    return JobStatus(
        row.name,
        row.job,
        state,
        row.every,
        late,
        row.outcome,
        row.message,
        row.last_success_at,
        row.failures,
        row.backlog,
        row.held,
        row.duration,
        row.started_at is not None,
        bool(row.slow),
        row.next_at,
        _alarm(row, state, late, now),
    )


def _refused(name: str) -> str:
    return f"the service refuses the credentials; fix them, then: octopus-soap fleet resume {quote(name)}"


def _late(row: Any, state: str, now: datetime) -> float:
    if state != ACTIVE or row.started_at is not None or row.next_at >= now:
        return 0.0
    return float((now - row.next_at).total_seconds())


def _alarm(row: Any, state: str, late: float, now: datetime) -> str:
    if state == REFUSED:
        return _refused(row.name)
    if state != ACTIVE:
        return ""
    if late > 2 * row.every:
        return f"overdue by {late:.0f} s"
    ended = row.last_success_at
    if ended is None:
        return f"no run has ended well; last: {row.message}" if row.failures >= _PERIODS else ""
    if row.failures and (now - ended).total_seconds() > _PERIODS * row.every:
        return f"no success for {(now - ended).total_seconds():.0f} s; last: {row.message}"
    return ""


def history(ledger: Ledger, name: str, *, most: int = 50) -> list[dict[str, Any]]:
    """Return the last runs of a merchant, newest first."""
    with ledger.reading() as connection:
        runs = select(RUN).where(RUN.c.name == name).order_by(RUN.c.started_at.desc()).limit(most)
        return [dict(row._mapping) for row in connection.execute(runs)]  # noqa: SLF001 - SQLAlchemy's public way to a dict


def totals(now: FleetStatus) -> dict[str, float]:
    """Return the fleet-wide numbers for metrics."""
    return {
        "late": max((job.late for job in now.jobs), default=0.0),
        "late_jobs": sum(job.late > job.every for job in now.jobs),
        "running": sum(job.running for job in now.jobs),
        "failing": sum(job.failures > 0 for job in now.jobs),
        "backlog": sum(job.backlog for job in now.jobs),
        "held": sum(job.held for job in now.jobs),
        "slow": sum(job.slow for job in now.jobs),
        "alarms": len(now.alarms),
        "tick_age": -1.0 if now.last_tick_at is None else (now.at - now.last_tick_at).total_seconds(),
    }


class FleetMetrics:
    """A Prometheus collector of the fleet, which reads the database at each scrape.

    Args:
        ledger: any ledger on the database.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - only the metrics' page needs it

        now = status(self._ledger)
        family = GaugeMetricFamily("octopus_fleet_merchants", "merchants by state", labels=["state"])
        for state, number in now.merchants.items():
            family.add_metric([state], number)
        yield family
        numbers = totals(now)
        for name, text in (
            ("late_seconds_max", "the longest overdue run"),
            ("late_jobs", "jobs overdue by more than a period"),
            ("running", "runs under way"),
            ("failing", "jobs whose last run failed"),
            ("backlog", "keys left to be done"),
            ("held", "keys rejected or quarantined"),
            ("slow", "jobs in the slow queue"),
            ("alarms", "alarms"),
        ):
            value = numbers["late" if name == "late_seconds_max" else name]
            yield GaugeMetricFamily(f"octopus_fleet_{name}", text, value)
        yield GaugeMetricFamily(
            "octopus_fleet_tick_age_seconds", "seconds since the last tick; -1 before the first", numbers["tick_age"]
        )
        worst = GaugeMetricFamily("octopus_fleet_worst_late_seconds", "the most overdue jobs, by rank", labels=["rank"])
        for rank, job in enumerate(sorted(now.jobs, key=lambda job: -job.late)[:_WORST], 1):
            worst.add_metric([str(rank)], job.late)
        yield worst
