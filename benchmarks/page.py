"""Puts the last figures into `docs/performance.md`, between its comments: `python -m benchmarks.page`."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from benchmarks import scaling, table
from benchmarks.processes import ROOT
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "performance.md"
BENCH = ROOT / "benchmarks" / "results" / "bench.json"
_SHOWN = len(table.HEAD) - 1
"""Columns shown: the last one, the figures to reach, stands below the table."""


def figures(report: dict[str, Any]) -> str:
    """The machine, the table and the figures to reach, in one fenced block."""
    body = [row[:_SHOWN] for row in table.rows(report["workloads"])]
    whole = [row for row in body if not row[2].startswith("absent")]
    widths = [max(len(row[column]) for row in (table.HEAD, *whole)) for column in range(_SHOWN)]
    machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    lines = [f"{report['when'][:10]}{', a short run' if report['quick'] else ''}", *textwrap.wrap(machine, 110), ""]
    lines += [_line(table.HEAD[:_SHOWN], widths), _line(tuple("-" * width for width in widths), widths)]
    for row in body:
        lines.append(_line(row, widths) if row in whole else f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")
    lines += ["", "figures to reach"]
    for workload in WORKLOADS:
        for target, found in table.judged(workload, report["workloads"].get(workload.name, {})):
            against = f" against {target.against}" if target.against else ""
            lines.append(f"  {workload.name}{against}: {table.verdict(target, found)}")
    return "\n".join(["```text", *(line.replace(str(ROOT), ".") for line in lines), "```"])


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        f"{cell:>{width}}" if column >= 2 else f"{cell:<{width}}"
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def growth(report: dict[str, Any]) -> str:
    """One sentence for each plot."""
    points = [textwrap.fill(f"- {words}", 120, subsequent_indent="  ") for words in scaling.sentences(report["growth"])]
    return "\n".join(points)


def between(text: str, name: str, inner: str) -> str:
    """*text* with *inner* between the comments *name*:begin and *name*:end."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{PAGE.name} must have {begin} and {end} once each")
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n\n{inner}\n\n{end}{rest.partition(end)[2]}"


def _read(path: Path, module: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemExit(f"no {path.name}: run `python -m {module}` first") from None
    return found


def main() -> int:
    """Replace both."""
    text = PAGE.read_text(encoding="utf-8")
    text = between(text, "table", figures(_read(BENCH, "benchmarks.run")))
    text = between(text, "growth", growth(_read(scaling.RESULT, "benchmarks.scaling")))
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
