"""The table of workloads: the task of each participant, rounds, figures to reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PYTHONS = ("ours", "zeep", "xsdata", "suds")
PEERS = ("zeep", "xsdata", "node-soap", "ext-soap", "suds")
SLOW = frozenset({"suds", "xsdata"})
"""Participants that take part in every third round only: one run of theirs takes as long as a round of the others."""

LATENCY, CONNECTIONS, BATCH = 50, 8, 100


@dataclass(frozen=True)
class Target:
    """A figure to reach.

    Attributes:
        against: the participant that ours is compared with; empty for a plain number.
        must, aim: bounds of *measure*.
        measure: `faster`: so many times faster than the other; `within`: at most so many times the other;
            `bytes`: at most this share of the other's bytes; `below`: a plain number in *unit*.
        unit: of a plain number.
    """

    against: str
    must: float
    aim: float
    measure: str = "faster"
    unit: str = ""

    def reached(self, value: float, bound: float) -> bool:
        """True if *value* is within *bound*."""
        return value >= bound if self.measure == "faster" else value <= bound

    def words(self, bound: float) -> str:
        """Return the bound as text."""
        if self.measure == "faster":
            return f"{bound:g}x faster"
        if self.measure == "bytes":
            return f"{bound:.0%} of the bytes"
        if self.measure == "within":
            return f"within {bound:g}x"
        return f"below {bound:g} {self.unit}"


NO_HTTPX = "zeep, no httpx"
"""zeep in a process that has no httpx: the client of zeep's own that needs it is not loaded."""


@dataclass(frozen=True)
class Workload:
    """One row group of the table.

    Attributes:
        name: for `--only`.
        about: one line for people.
        task: the task of the workers.
        participants: the names of the participants.
        rounds: A B C A B C …, so many times.
        unit: of its figures.
        targets: the figures to reach.
        kind: the module that measures it: `workers`, `writers`, `cold`, `memory` or `derived`.
    """

    name: str
    about: str
    task: dict[str, Any] = field(default_factory=dict)
    participants: tuple[str, ...] = ()
    rounds: int = 15
    unit: str = "ms"
    targets: tuple[Target, ...] = ()
    kind: str = "workers"


ALL = ("ours", "floor", *PEERS)
WORKLOADS = (
    Workload(
        "decode-100",
        "one WCF-form GetItemList reply of 100 items x 125 elements, bytes to models; floor: lxml.etree.fromstring "
        "of the same bytes, in our own process",
        {"task": "decode", "reply": "items-100.xml", "count": 100},
        ALL,
        15,
        targets=(Target("floor", 3.5, 2.5, "within"),),
    ),
    Workload(
        "decode-1000",
        "the same with 1000 items",
        {"task": "decode", "reply": "items-1000.xml", "count": 1000},
        tuple(name for name in ALL if name != "suds"),  # a run of it takes six seconds
        5,
    ),
    Workload(
        "encode-1000",
        "1000 price and stock updates with 2 stores each, models to bytes; floor: joining f-strings, nothing checked",
        {"task": "encode", "updates": "updates-1000.json", "count": 1000},
        ALL,
        9,
        targets=(Target("zeep", 5, 10), Target("zeep", 0.4, 0.4, "bytes")),
    ),
    Workload(
        "call-100",
        "a whole GetItemList call of 100 items over loopback; floor: a bare socket, so the server's own time",
        {"task": "call", "count": 100},
        ALL,
        15,
        targets=(Target("zeep", 6, 8), Target("node-soap", 3.5, 5), Target("ext-soap", 1.5, 1.0, "within")),
    ),
    Workload(
        "writers",
        "call-100 with the page written as many toolkits write it: processor milliseconds, also of decoding alone and "
        "of the first pages of a writer not met before",
        participants=("ours", *PEERS[:1], "node-soap", "ext-soap"),
        rounds=9,
        kind="writers",
    ),
    Workload(
        "exist-500",
        "a whole IsSkuExistList call of 500 SKUs over loopback",
        {"task": "exist", "count": 500},
        ALL,
        15,
    ),
    Workload(
        "bulk-latency",
        f"20,000 SKUs of GetItemQuantityList at {LATENCY} ms latency over {CONNECTIONS} connections; ideal: "
        "calls x latency / connections",
        {"task": "bulk", "count": 20_000, "connections": CONNECTIONS, "warm_up": 1},
        ("ours", "zeep", "node-soap", "ext-soap"),
        5,
        targets=(Target("ideal", 1.3, 1.1, "within"),),
    ),
    Workload(
        "stream-memory",
        "growth of the peak resident memory from 20,000 to 200,000 SKUs through `.stream`, each in a fresh process",
        rounds=1,
        participants=("ours",),
        unit="MB",
        kind="memory",
        targets=(Target("", 15, 5, "below", "MB"),),
    ),
    Workload(
        "cold-import",
        "importing, in a fresh interpreter whose own start is not counted",
        participants=("ours", "ours: OctopusClient", "zeep"),
        rounds=15,
        kind="cold",
        targets=(Target("zeep", 0.7, 0.4, "within"),),
    ),
    Workload(
        "cold-first-call",
        "a whole fresh process: start, construct a client, one IsSkuExistList of one SKU, end",
        participants=("ours", "zeep", NO_HTTPX, "node-soap", "ext-soap"),
        rounds=31,
        kind="cold",
        targets=(Target("zeep", 1.1, 0.9, "within"),),
    ),
    Workload(
        "second-client",
        "constructing a further client in a process that has one",
        {"task": "construct"},
        ("ours", "zeep", "node-soap", "ext-soap"),
        21,
        targets=(Target("", 5, 1, "below", "ms"),),
    ),
    Workload(
        "cpu-per-item",
        "processor time of call-100 in the client's process, per item",
        {"task": "call", "count": 100},
        ALL,
        unit="us",
        kind="derived",
    ),
)


def ideal(task: dict[str, Any]) -> float:
    """Return the milliseconds of a bulk call that only waits.

    They are calls x latency / connections.
    """
    calls = -(-task["count"] // BATCH)
    return -(-calls // task["connections"]) * float(LATENCY)
