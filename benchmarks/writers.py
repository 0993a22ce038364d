"""Measure one page of 100 items as every toolkit writes it.

Measured are whole calls, decoding, and the first pages of an unknown writer. The handwritings are those of
`handwritings.py`. A peer that cannot read a page is absent there, with the reason. The participants of a writer run in
turn, like those of all workloads, so their ratios are better than their milliseconds.
"""

from __future__ import annotations

import statistics
from operator import truediv
from typing import TYPE_CHECKING, Any

from benchmarks import payloads
from benchmarks.handwritings import HANDS, rows_of, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.processes import Server

COUNT = 100
ROUNDS = 9
PARTICIPANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ours": ("ours", {"task": "call"}),
    "async": ("ours", {"task": "call_async"}),
    "ext-soap": ("ext-soap", {"task": "call"}),
    "node-soap": ("node-soap", {"task": "call"}),
    "zeep": ("zeep", {"task": "call"}),
    "decode: ours": ("ours", {"task": "decode"}),
    "decode: ext-soap": ("ext-soap", {"task": "decode"}),
    "first page": ("ours", {"task": "new_hand", "seen": 0, "warm_up": 1}),
    "second page": ("ours", {"task": "new_hand", "seen": 1, "warm_up": 1}),
}
"""By the name in the table: the participant and its task."""
Records = dict[str, dict[str, Any]]


def measure(ask: Callable[[str, dict[str, Any]], dict[str, Any]], server: Server, files: Path, *, rounds: int) -> Any:
    """Measure every handwriting, and return its records by participant.

    A record has `values` and `cpu`, or `absent`. Every round goes through all handwritings and participants, so that a
    minute in which the machine is slower falls on all of them.
    """
    rows = rows_of(payloads.item_reply(COUNT))
    for hand, style in HANDS.items():
        (files / f"{hand}.xml").write_bytes(write(rows, style))
    found: dict[str, Records] = {hand: {name: {"values": [], "cpu": []} for name in PARTICIPANTS} for hand in HANDS}
    for _ in range(rounds):
        for hand, records in found.items():
            shared = {"count": COUNT, "files": str(files), "reply": f"{hand}.xml"}
            _round(ask, shared | {"url": server.url(hand=hand), "warm_up": 2}, records)
    return found


def _round(ask: Callable[[str, dict[str, Any]], dict[str, Any]], shared: dict[str, Any], records: Records) -> None:
    for name, (who, task) in PARTICIPANTS.items():
        if "absent" in records[name]:
            continue
        answer = ask(who, shared | task)
        if "absent" in answer:
            records[name] = answer
            continue
        records[name]["values"] += answer["ms"]
        records[name]["cpu"] += answer["cpu"]


# -- ratios and tables ----------------------------------------------------------------------------------------------

RATIOS = {
    "ours / ext-soap": ("ours", "ext-soap"),
    "async / ext-soap": ("async", "ext-soap"),
    "node-soap / ours": ("node-soap", "ours"),
    "zeep / ours": ("zeep", "ours"),
    "decode: ours / ext-soap": ("decode: ours", "decode: ext-soap"),
}
"""Ratios of two participants, by processor time: it waits for no other process of the machine."""


def processor(record: dict[str, Any]) -> float | None:
    """Return the median of a participant's processor time, in milliseconds.

    None if it is absent.
    """
    return statistics.median(record["cpu"]) if record.get("cpu") else None


def ratio(records: Records, name: str) -> float | None:
    """Return one of `RATIOS` for one writer, the median of its rounds.

    None if either participant is absent. Both run within a second of each round, so a slow moment of the machine slows
    both.
    """
    upper, lower = (records[who].get("cpu") for who in RATIOS[name])
    return statistics.median(map(truediv, upper, lower)) if upper and lower else None


def ratios(found: dict[str, Records], name: str) -> list[float]:
    """Return one of `RATIOS` for all writers that both can read, ascending."""
    return sorted(value for records in found.values() if (value := ratio(records, name)) is not None)


def milliseconds(found: dict[str, Records], name: str) -> list[float]:
    """Return a participant's processor time for all writers it can read, ascending."""
    return sorted(value for records in found.values() if (value := processor(records[name])) is not None)


HEAD = ("writer", "ours", "async", "first", "second", "PHP", "node-soap", "zeep", "ours / PHP", "zeep / ours")


def lines(found: dict[str, Records]) -> Iterator[tuple[str, ...]]:
    """Return the table's rows, with the median of all writers first."""
    shown = ("ours", "async", "first page", "second page", "ext-soap", "node-soap", "zeep")
    across = ("ours / ext-soap", "zeep / ours")
    every = [_shown(statistics.median(milliseconds(found, name) or [0])) for name in shown]
    yield ("all: median", *every, *(f"{statistics.median(ratios(found, name) or [0]):.2f}" for name in across))
    for hand, records in found.items():
        cells = [_shown(processor(records[name])) for name in shown]
        yield (hand, *cells, *(f"{value:.2f}" if (value := ratio(records, name)) else "" for name in across))


def _shown(value: float | None) -> str:
    return "cannot" if value is None else f"{value:.1f}"


def targets(found: dict[str, Records]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the figures to reach: name, measured value, must, and aim."""
    calls, others = ratios(found, "ours / ext-soap"), ratios(found, "zeep / ours")
    if calls:
        yield _target("a call, ours / PHP, median of all writers", statistics.median(calls), 1.2, 0.9)
        yield _target("a call, ours / PHP, worst writer", calls[-1], 1.7, 1.3)
    if others:
        yield _target("a call, zeep / ours, worst writer", others[0], 8, 10, more=True)
    for page, must, aim in (("first page", 35, 20), ("second page", 20, 12)):
        if pages := milliseconds(found, page):
            yield _target(f"decoding the {page} of a writer not met before, worst writer, ms", pages[-1], must, aim)


def _target(name: str, value: float, must: float, aim: float, *, more: bool = False) -> tuple[str, str, str, str]:
    words = "at least" if more else "at most"
    first, second = (
        f"{words} {bound:g}: {'yes' if (value >= bound if more else value <= bound) else 'NO'}" for bound in (must, aim)
    )
    return name, f"{value:.2f}", first, second
