"""The fleet as OpenTelemetry metrics, read when they are collected. Extra `otel`.

```python
from octopus_soap.fleet.telemetry import observe_fleet

observe_fleet(fleet.ledger)
```

They are totals: no attribute is a merchant's name, so their number does not grow with the merchants. The worst jobs are
reported by rank; `octopus-soap fleet status` names them.

| gauge | unit | attribute |
|---|---|---|
| `octopus_fleet.merchants` | {merchant} | `octopus_fleet.state` |
| `octopus_fleet.late_jobs`: overdue by more than a period | {job} | |
| `octopus_fleet.failing`, `.running`, `.slow`: jobs | {job} | |
| `octopus_fleet.backlog`, `.held`: keys | {key} | |
| `octopus_fleet.alarms` | {alarm} | |
| `octopus_fleet.tick_age`: since the last tick; -1 before the first | s | |
| `octopus_fleet.worst_late`: the most overdue jobs | s | `octopus_fleet.rank`, from 1 |

Report them from one process of a fleet, because each reading reads the whole schedule.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from octopus_soap._version import __version__
from octopus_soap.errors import LedgerError, needed
from octopus_soap.fleet.status import FleetStatus, status, totals

with needed("octopus_soap.fleet.telemetry", "otel", "opentelemetry"):
    from opentelemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octopus_soap.jobs.ledger import Ledger

_FRESH_SECONDS = 1.0


class _Reading:
    """One reading of the schedule for all gauges of one collection."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._status: FleetStatus | None = None
        self._at = 0.0

    def now(self) -> FleetStatus | None:
        """Return the status; None if the database is unavailable."""
        if self._status is None or time.monotonic() - self._at > _FRESH_SECONDS:
            try:
                self._status = status(self._ledger)
            except LedgerError:
                self._status = None
            self._at = time.monotonic()
        return self._status


def observe_fleet(ledger: Ledger, meter_provider: metrics.MeterProvider | None = None, *, worst: int = 10) -> None:
    """Report a fleet's metrics to OpenTelemetry.

    Args:
        ledger: any ledger on the fleet's database; it must stay open.
        meter_provider: makes the metrics; the global one by default.
        worst: how many of the most overdue jobs are reported, by rank.
    """
    meter = metrics.get_meter("octopus_soap", __version__, meter_provider)
    reading = _Reading(ledger)

    def gauge(name: str, unit: str, text: str, values: Callable[[FleetStatus], Iterable[metrics.Observation]]) -> None:
        def observe(options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
            del options
            found = reading.now()
            return () if found is None else values(found)

        meter.create_observable_gauge(f"octopus_fleet.{name}", [observe], unit, text)

    def one(name: str) -> Callable[[FleetStatus], Iterable[metrics.Observation]]:
        return lambda now: [metrics.Observation(totals(now)[name])]

    def merchants(now: FleetStatus) -> Iterable[metrics.Observation]:
        return [metrics.Observation(number, {"octopus_fleet.state": state}) for state, number in now.merchants.items()]

    def ranked(now: FleetStatus) -> Iterable[metrics.Observation]:
        late = sorted((job.late for job in now.jobs), reverse=True)[:worst]
        return [metrics.Observation(seconds, {"octopus_fleet.rank": rank}) for rank, seconds in enumerate(late, 1)]

    gauge("merchants", "{merchant}", "Merchants by state.", merchants)
    for name, unit, text in (
        ("late_jobs", "{job}", "Jobs overdue by more than a period."),
        ("failing", "{job}", "Jobs whose last run failed."),
        ("running", "{job}", "Runs under way."),
        ("slow", "{job}", "Jobs in the slow queue."),
        ("backlog", "{key}", "Keys left to be done."),
        ("held", "{key}", "Keys rejected or quarantined."),
        ("alarms", "{alarm}", "What needs a person."),
        ("tick_age", "s", "Seconds since the last tick; -1 before the first."),
    ):
        gauge(name, unit, text, one(name))
    gauge("worst_late", "s", "How late the most overdue jobs are, by rank.", ranked)
