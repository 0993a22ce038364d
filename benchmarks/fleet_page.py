"""Store the fleet's measurements, and put them into `docs/fleet-sizing.md`.

`fleet.json` has the rows that `benchmarks.fleet` measured.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEPT = Path(__file__).with_name("fleet.json")
PAGE = Path(__file__).parents[1] / "docs" / "fleet-sizing.md"


@dataclass
class Row:
    """A row of a table: a test, its bound, the measured value, and whether it held."""

    test: str
    must: str
    now: str
    holds: bool = True


def keep(measured: Mapping[str, Sequence[Row]], conditions: str) -> None:
    """Put the rows of scenarios into `fleet.json` and the page.

    The rows of other scenarios stay as they are.
    """
    kept = kept_rows()
    for name, rows in measured.items():
        when = f"{datetime.now(UTC):%Y-%m-%d}, {conditions}"
        kept[name] = {"when": when, "rows": [asdict(row) for row in rows]}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), kept), encoding="utf-8")


def kept_rows() -> dict[str, Any]:
    """Return the stored rows, by scenario."""
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    return found


def with_tables(page: str, kept: Mapping[str, Any]) -> str:
    """Return the page with the kept rows in its two tables."""
    costs = ["| what | measured |", "|---|---|"]
    costs += [f"| {row['test']} | {row['now']} |" for row in kept.get("costs", {}).get("rows", ())]
    tests = ["| test | must | measured | |", "|---|---|---|---|"]
    others = {name: found for name, found in kept.items() if name != "costs"}
    tests += [
        f"| {row['test']} | {row['must']} | {row['now']} | {'holds' if row['holds'] else 'missed'} |"
        for found in others.values()
        for row in found["rows"]
    ]
    for name, lines, of in (("costs", costs, kept.keys() & {"costs"}), ("scenarios", tests, others)):
        conditions: dict[str, list[str]] = {}
        for scenario in of:
            conditions.setdefault(kept[scenario]["when"], []).append(scenario)
        words = "; ".join(
            f"{', '.join(which)}: {when}" if len(conditions) > 1 else when for when, which in conditions.items()
        )
        text = "\n".join([f"<!-- {name} -->", "", *lines, "", f"Measured {words}.", "", f"<!-- end of {name} -->"])
        marks = f"<!-- {name} -->.*?<!-- end of {name} -->"
        page = re.sub(marks, lambda _, text=text: text, page, flags=re.DOTALL)
    return page
