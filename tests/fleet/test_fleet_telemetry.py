"""The fleet's OpenTelemetry metrics: totals and ranks, without merchants' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from octopus_soap.fleet import telemetry
from octopus_soap.fleet.telemetry import observe_fleet
from tests.fleet.test_schedule import Desk

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def collected(reader: InMemoryMetricReader) -> dict[str, dict[object, float]]:
    found: dict[str, dict[object, float]] = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else []:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = {next(iter(point.attributes.values()), ""): point.value for point in metric.data.data_points}
                found[metric.name.removeprefix("octopus_fleet.")] = points
    return found


def test_totals_and_the_worst_by_rank_and_no_series_per_merchant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "_FRESH_SECONDS", -1.0)
    desk, reader = Desk(str(tmp_path / "fleet.db")), InMemoryMetricReader()
    provider = MeterProvider([reader])
    observe_fleet(desk.ledger, provider, worst=2)
    for name in ("berlin", "hamburg", "munich"):
        desk.add(name)
    desk.registry.pause("munich")
    assert collected(reader)["tick_age"] == {"": -1.0}
    desk.later(300)
    desk.schedule.take_due({})
    found = collected(reader)
    assert found["merchants"] == {"active": 2, "paused": 1, "refused": 0}
    assert (found["late_jobs"], found["alarms"], found["tick_age"]) == ({"": 2}, {"": 2}, {"": 0})
    assert list(found["worst_late"]) == [1, 2]
    assert found["worst_late"][1] >= found["worst_late"][2] > 200
    assert "berlin" not in str(found)
    desk.ledger.close()
    assert collected(reader) == {}
    provider.shutdown()
