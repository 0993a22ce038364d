"""Put the last figures into `docs/performance.md` and draw its chart.

Run `python -m benchmarks.page`. `benchmarks/figures.json` has the figures of the page. Each workload of the last run
replaces its own figures there: `python -m benchmarks.run --only exist-500 && python -m benchmarks.page`.
"""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from benchmarks import scaling, table, writers
from benchmarks.processes import ROOT
from benchmarks.run import RESULTS
from benchmarks.workloads import NO_HTTPX, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "img" / "performance.svg"
FIGURES = ROOT / "benchmarks" / "figures.json"
_SHOWN = len(table.HEAD) - 1
"""Columns shown: the last one, the figures to reach, has a table of its own below."""
_DIGITS = 3


def merged(known: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """Return the figures, replaced by those of *run* if it has them."""
    return {
        "machine": run["machine"],
        "quick": run["quick"],
        "measured": known.get("measured", {}) | run["measured"],
        "workloads": known.get("workloads", {}) | _rounded(run["workloads"]),
    }


def _rounded(found: Any) -> Any:
    if isinstance(found, float):
        return round(found, _DIGITS)
    if isinstance(found, dict):
        return {name: _rounded(value) for name, value in found.items()}
    return [_rounded(value) for value in found] if isinstance(found, list) else found


# -- the sentences ---------------------------------------------------------------------------------------------------


def sentences(workloads: dict[str, Any]) -> str:
    """Return the page's opening: the ratios to other clients, and the slower work."""
    found = workloads["writers"]
    zeep, php, node = (writers.ratios(found, name) for name in ("zeep / ours", "ours / ext-soap", "node-soap / ours"))
    first = (
        f"A call that returns 100 items is **{statistics.median(zeep):.0f} times as fast as with zeep**, and at least "
        f"{zeep[0]:.0f} times as fast, whichever of {len(found)} toolkits wrote the service's XML."
    )
    middle = statistics.median(php)
    second = (
        f"It is **{statistics.median(node):.0f} times as fast as with node-soap**, and takes "
        f"**{middle:.1f} times as long as with PHP's C extension**: {php[0]:.1f} to {php[-1]:.1f} times, by toolkit."
    )
    slower = []
    for name, others in _NOT_FASTER.items():
        ratios = {other: _over(workloads.get(name, {}), other) for other in others}
        words = [f"{ratio:.1f} times as long as {_NAMES[other]}" for other, ratio in ratios.items() if ratio > _NOTED]
        if words:
            slower.append(f"- {_DOINGS[name]} takes {' and '.join(filter(None, (', '.join(words[:-1]), words[-1])))}.")
    third = (
        "Some work takes longer than with another client:\n\n" + "\n".join(slower)
        if slower
        else "None of the workloads below takes longer than with another client."
    )
    return "\n\n".join([textwrap.fill(first, 120), textwrap.fill(second, 120), third])


_NAMES = {
    "ext-soap": "with PHP",
    "node-soap": "with node-soap",
    "zeep": "with zeep",
    NO_HTTPX: "with zeep if httpx is not installed",
}
_DOINGS = {
    "exist-500": "Checking whether 500 SKUs exist",
    "encode-1000": "Encoding 1000 updates",
    "cold-first-call": "A whole process that makes one call",
}
_NOT_FASTER = {
    "exist-500": ("ext-soap", "node-soap"),
    "encode-1000": ("ext-soap",),
    "cold-first-call": ("zeep", NO_HTTPX, "node-soap", "ext-soap"),
}
_NOTED = 1.05


def _over(records: dict[str, Any], other: str) -> float:
    """Return our median divided by that of *other*, or 0 if one is absent.

    Processor times are compared if both have them, otherwise wall times.
    """
    ours, theirs = (table.figure(records.get(name, {"absent": ""})) for name in ("ours", other))
    if ours is None or theirs is None:
        return 0.0
    if ours.processor and theirs.processor:
        return statistics.median(ours.processor) / statistics.median(theirs.processor)
    return ours.median / theirs.median


# -- the chart -------------------------------------------------------------------------------------------------------

_BARS = {
    "ours": "octopus_soap",
    "async": "its asyncio client",
    "ext-soap": "PHP's ext-soap (C)",
    "node-soap": "node-soap",
    "zeep": "zeep",
}
_WIDTH, _LEFT, _BAR, _STEP, _TOP = 480, 176, 22, 38, 54
_OURS, _OTHERS, _TEXT = "#5c6bc0", "#9a9a9a", "#808080"
"""Colours that can be read on white and on dark: the page has both."""


def chart(found: dict[str, Any]) -> str:
    """Draw the processor time of a call of 100 items.

    A bar is the median of all writers; its line goes from the least to the most.
    """
    values = {name: times for name in _BARS if (times := writers.milliseconds(found, name))}
    scale = (_WIDTH - _LEFT - 64) / max(times[-1] for times in values.values())
    height = _TOP + _STEP * len(values) + 6
    words = ", ".join(f"{_BARS[name]} {statistics.median(times):.0f} ms" for name, times in values.items())
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
            f'font-family="system-ui, sans-serif" font-size="15" font-weight="600" fill="{_TEXT}">'
        ),
        f"<title>Processor time of a call that returns 100 items, median of {len(found)} writers: {words}</title>",
        '<text x="0" y="18">Processor time of a call of 100 items, ms</text>',
        (
            f'<text x="0" y="38" font-size="13" font-weight="400">median of {len(found)} writers\' XML; '
            "line: least to most</text>"
        ),
    ]
    for place, (name, times) in enumerate(values.items()):
        y, middle = _TOP + place * _STEP, statistics.median(times)
        line, (least, most) = y + _BAR / 2, (_LEFT + times[at] * scale for at in (0, -1))
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 16}" text-anchor="end" font-size="14">{_BARS[name]}</text>',
            (
                f'<rect x="{_LEFT}" y="{y}" width="{middle * scale:.1f}" height="{_BAR}" rx="3" '
                f'fill="{_OURS if name in {"ours", "async"} else _OTHERS}"/>'
            ),
            (
                f'<path d="M{least:.1f} {line}H{most:.1f}M{least:.1f} {line - 5}v10M{most:.1f} {line - 5}v10" '
                f'stroke="{_TEXT}" stroke-width="1.6"/>'
            ),
            f'<text x="{most + 8:.1f}" y="{y + 16}">{middle:.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


# -- the tables ------------------------------------------------------------------------------------------------------


def by_writer(report: dict[str, Any]) -> str:
    """Return the table of all writers, and the figures to reach."""
    found = report["workloads"]["writers"]
    rows = [writers.HEAD, ("---", *["--:"] * (len(writers.HEAD) - 1)), *writers.lines(found)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", "The figures to reach:", "", *_reach(writers.targets(found))])


def _reach(rows: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """Return figures to reach as the lines of a table."""
    head = ("figure", "measured", "must", "aim")
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def figures(report: dict[str, Any]) -> str:
    """Return the machine, the table of the other workloads, and the figures to reach.

    The machine and the table are in a fenced block, the figures to reach below it.
    """
    body = [row[:_SHOWN] for row in table.rows(report["workloads"])]
    whole = [row for row in body if not row[2].startswith("absent")]
    widths = [max(len(row[column]) for row in (table.HEAD, *whole)) for column in range(_SHOWN)]
    days = sorted({when[:10] for when in report["measured"].values()})
    machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    lines = [f"{' to '.join(dict.fromkeys((days[0], days[-1])))}{', a short run' if report['quick'] else ''}"]
    lines += textwrap.wrap(machine, 110)
    if float(report["machine"]["load before"]) > float(report["machine"]["cores"]):
        lines.append("The machine was busy with other work: read the column cpu, not the wall time.")
    lines.append("")
    lines += [_line(table.HEAD[:_SHOWN], widths), _line(tuple("-" * width for width in widths), widths)]
    for row in body:
        lines.append(_line(row, widths) if row in whole else f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")
    reach = [
        (f"`{workload.name}`{f' against {target.against}' if target.against else ''}", *table.verdict(target, found))
        for workload in WORKLOADS
        for target, found in table.judged(workload, report["workloads"].get(workload.name, {}))
    ]
    block = ["```text", *(line.replace(str(ROOT), ".") for line in lines), "```"]
    return "\n".join([*block, "", "The figures to reach:", "", *_reach(reach)])


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        f"{cell:>{width}}" if column >= 2 else f"{cell:<{width}}"
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def growth(report: dict[str, Any]) -> str:
    """Return when the growth was measured, and a sentence for each plot."""
    machine = report["machine"]
    busy = float(machine["load before"]) > float(machine["cores"])
    head = f"Measured on {report['when'][:10]}{', on a machine busy with other work' if busy else ''}:"
    points = [textwrap.fill(f"- {words}", 120, subsequent_indent="  ") for words in scaling.sentences(report["growth"])]
    return "\n".join([head, "", *points])


def between(text: str, name: str, inner: str) -> str:
    """Return *text* with *inner* between the comments *name*:begin and *name*:end."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{PAGE.name} must have {begin} and {end} once each")
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n\n{inner}\n\n{end}{rest.partition(end)[2]}"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def main() -> int:
    """Renew the figures, the page and the chart."""
    report, run = _read(FIGURES), _read(RESULTS / "bench.json")
    if run:
        report = merged(report, run)
        FIGURES.write_text(json.dumps(report, separators=(",", ":")) + "\n", encoding="utf-8")
    if "writers" not in report.get("workloads", {}):
        raise SystemExit("no figures: run `make bench` first")
    text = PAGE.read_text(encoding="utf-8")
    text = between(text, "summary", sentences(report["workloads"]))
    text = between(text, "writers", by_writer(report))
    text = between(text, "table", figures(report))
    if grown := _read(scaling.RESULT):
        text = between(text, "growth", growth(grown))
    PAGE.write_text(text, encoding="utf-8")
    CHART.write_text(chart(report["workloads"]["writers"]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
