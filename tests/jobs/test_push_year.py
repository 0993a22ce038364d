"""Half a year of a shop: each week the service agrees, and nothing is sent twice."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from benchmarks.replay_year import replay
from octopus_soap.demo.retail import COLUMNS, as_lines, sort_lines

if TYPE_CHECKING:
    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.jobs import Ledger


@pytest.fixture
def database() -> str:
    """SQLite: what is compared does not depend on the database."""
    return "sqlite"


def half_a_year(skus: int, lines: int) -> str:
    """Make half a year of sales: new SKUs, a few price changes, cancellations."""
    rng = random.Random(7)
    rows = [",".join(COLUMNS)]
    for number in range(lines):
        known = 5 + skus * number // lines
        placed = datetime(2026, 1, 1, 9) + timedelta(minutes=number * 262_000 // lines)  # noqa: DTZ001 - the shop's own time
        invoice = f"{'C' if rng.random() < 0.05 else ''}{500000 + number}"
        sku = f"{10000 + rng.randrange(known)}"
        price = f"{int(sku) % 50 + 1 + (rng.random() < 0.1)}.50"
        rows.append(f"{invoice},{sku},THING {sku},{rng.randint(1, 60)},{placed.isoformat()},{price},1,United Kingdom")
    return "\n".join(rows)


@pytest.mark.long
def test_after_each_week_service_and_shop_agree_and_a_second_push_sends_nothing(
    service: Emulator, client: OctopusClient, ledger: Ledger
) -> None:
    reading = sort_lines(as_lines(half_a_year(skus=80, lines=300)))
    weeks = list(replay(reading.sold, service, client, ledger))
    assert len(weeks) >= 26
    assert [week.number for week in weeks if not week.agree] == []
    assert [week.number for week in weeks if week.again] == []
    assert sum(week.new for week in weeks) == weeks[-1].skus
    assert sum(week.rows for week in weeks) == sum(week.new + week.changed for week in weeks)
    assert sum(week.rows for week in weeks) < sum(week.skus for week in weeks) / 3
    assert service.lint == []
