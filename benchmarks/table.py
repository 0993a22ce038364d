"""Put a run's figures into one table, with the figures to reach."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import writers
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from benchmarks.workloads import Target, Workload

HEAD = ("workload", "participant", "median", "p25..p75", "min", "cpu", "/ ours", "bytes", "to reach")


@dataclass(frozen=True)
class Figure:
    """The measurements of one participant for one workload."""

    values: tuple[float, ...]
    size: int | None = None
    processor: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.values) < 3:
            return min(self.values), max(self.values)
        low, _, high = statistics.quantiles(self.values, n=4)
        return low, high


def figure(found: dict[str, Any]) -> Figure | None:
    """Return the figure of a participant's record, or None if it is absent."""
    return (
        None if "absent" in found else Figure(tuple(found["values"]), found.get("bytes"), tuple(found.get("cpu", ())))
    )


def judge(target: Target, ours: Figure, other: Figure | None) -> dict[str, Any] | None:
    """Return the measured value of a target, and whether it is reached.

    None if its counterpart is absent.
    """
    if target.measure == "below":
        value = ours.median
    elif other is None:
        return None
    elif target.measure == "bytes":
        if not ours.size or not other.size:
            return None
        value = ours.size / other.size
    else:
        value = _ratio(target, ours.median, other.median)
    by_processor = None
    if other is not None and ours.processor and other.processor and target.measure in {"faster", "within"}:
        by_processor = _ratio(target, statistics.median(ours.processor), statistics.median(other.processor))
    return {
        "against": target.against,
        "measure": target.measure,
        "unit": target.unit,
        "value": value,
        "value_by_processor_time": by_processor,
        "must": target.must,
        "aim": target.aim,
        "must_reached": target.reached(value, target.must),
        "aim_reached": target.reached(value, target.aim),
    }


def _ratio(target: Target, ours: float, other: float) -> float:
    return other / ours if target.measure == "faster" else ours / other


def verdict(target: Target, found: dict[str, Any] | None) -> tuple[str, str, str]:
    """Return the measured value of a target, and its must and aim with yes or NO."""
    if found is None:
        return "not measurable: the counterpart is absent", "", ""
    value = found["value"]
    shown = (
        f"{value:.0%}" if target.measure == "bytes" else f"{value:.2f}{'x' if not target.unit else ' ' + target.unit}"
    )
    if found["value_by_processor_time"]:
        shown += f" (cpu {found['value_by_processor_time']:.2f}x)"
    must, aim = ("yes" if found[key] else "NO" for key in ("must_reached", "aim_reached"))
    return shown, f"{target.words(target.must)}: {must}", f"{target.words(target.aim)}: {aim}"


def phrase(value: str, must: str, aim: str) -> str:
    """Return a verdict as one phrase, for a terminal."""
    return f"{value}; must {must}; aim {aim}" if must else value


def judged(workload: Workload, records: dict[str, Any]) -> list[tuple[Target, dict[str, Any] | None]]:
    """Return every target of a workload with its measured value."""
    ours = figure(records["ours"]) if "ours" in records else None
    if ours is None:
        return [(target, None) for target in workload.targets]
    return [(t, judge(t, ours, figure(records[t.against]) if t.against in records else None)) for t in workload.targets]


def rows(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the table's rows, workload by workload."""
    lines: list[tuple[str, ...]] = []
    for workload in WORKLOADS:
        records = results.get(workload.name)
        if not records or workload.kind == "writers":
            continue
        ours = figure(records.get("ours", {"absent": ""}))
        targets = judged(workload, records)
        for place, (name, record) in enumerate(records.items()):
            label = workload.name if place == 0 else ""
            reach = " | ".join(phrase(*verdict(t, found)) for t, found in targets if (t.against or "ours") == name)
            lines.append((label, name, *_cells(workload, figure(record), record, ours), reach))
    return lines


def _cells(workload: Workload, found: Figure | None, record: dict[str, Any], ours: Figure | None) -> tuple[str, ...]:
    if found is None:
        return f"absent: {record['absent']}", "", "", "", "", ""
    low, high = found.quartiles
    ratio = f"{found.median / ours.median:.2f}" if ours and ours.median else ""
    size = "" if found.size is None else f"{found.size:,}"
    median = f"{found.median:.2f} {workload.unit}"
    processor = f"{statistics.median(found.processor):.2f}" if found.processor else ""
    return median, f"{low:.2f}..{high:.2f}", f"{min(found.values):.2f}", processor, ratio, size


def text(report: dict[str, Any]) -> str:
    """Return the whole report for a terminal."""
    body = rows(report["workloads"])
    short = [row for row in body if not row[2].startswith("absent")]
    widths = [max(len(row[column]) for row in (HEAD, *short)) for column in range(len(HEAD))]
    lines = [", ".join(f"{name} {value}" for name, value in report["machine"].items()), ""]
    lines += [_line(HEAD, widths), _line(tuple("-" * width for width in widths), widths)]
    for row in body:
        if row[2].startswith("absent"):
            lines.append(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}  {row[8]}".rstrip())
        else:
            lines.append(_line(row, widths))
    if found := report["workloads"].get("writers"):
        lines += ["", "writers: processor milliseconds of a call of 100 items", *by_writer(found)]
        lines += ["", *(f"{name}: {phrase(*rest)}" for name, *rest in writers.targets(found))]
    about = {workload.name: workload.about for workload in WORKLOADS}
    lines += ["", *(f"{name}: {about[name]}." for name in report["workloads"])]
    return "\n".join(lines)


def by_writer(found: dict[str, Any]) -> list[str]:
    """Return a line for each writer."""
    body = [writers.HEAD, *writers.lines(found)]
    widths = [max(len(row[column]) for row in body) for column in range(len(writers.HEAD))]
    return [
        "  ".join(
            f"{cell:>{w}}" if at else f"{cell:<{w}}" for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in body
    ]


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        f"{cell:>{width}}" if 2 <= column <= 7 else f"{cell:<{width}}"
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
