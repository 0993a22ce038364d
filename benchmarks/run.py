"""Run the benchmark: `python -m benchmarks.run [--only WORKLOAD] [--quick]`.

`--json FILE` sets the file of the results. Every participant has a separate process and runs in turn, A B C A B C …, so
that a busy moment of the machine slows all of them: read the ratios first, the milliseconds second.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import fresh, machine, payloads, table, writers
from benchmarks.peers import NAMES, Peer, set_up
from benchmarks.processes import Server, Worker
from benchmarks.workloads import LATENCY, SLOW, WORKLOADS, Workload, ideal

RESULTS = Path(__file__).resolve().parent / "results"


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


class Run:
    """One run: its processes and their results so far."""

    def __init__(self, stack: ExitStack, *, quick: bool) -> None:
        self._stack, self._quick = stack, quick
        self._server = stack.enter_context(Server())
        self._files = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._peers: dict[str, Peer] = {}
        self._workers: dict[str, Worker] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self._measured: dict[str, str] = {}
        for count in (100, 1000):
            (self._files / f"items-{count}.xml").write_bytes(payloads.item_reply(count))
        (self._files / "updates-1000.json").write_text(json.dumps(payloads.updates(1000)))

    def peer(self, name: str) -> Peer:
        """Return a participant, which is set up at its first use."""
        if name not in self._peers:
            _say(f"  setting up {name} …")
            self._peers[name] = set_up(name)
        return self._peers[name]

    def _worker(self, name: str) -> Worker:
        if name not in self._workers:
            self._workers[name] = self._stack.enter_context(Worker(self.peer(name)))
        return self._workers[name]

    def measure(self, workload: Workload) -> None:
        """Measure one workload and store its records by participant."""
        _say(f"{workload.name} …")
        rounds = max(3, workload.rounds // 5) if self._quick else workload.rounds
        if workload.kind == "workers":
            records = self._by_workers(workload, rounds)
        elif workload.kind == "memory":
            pairs = [fresh.memory(self._server) for _ in range(1 if self._quick else rounds)]
            records = {"ours": {"values": [many - few for few, many in pairs], "peaks": pairs}}
        elif workload.kind == "writers":
            records = writers.measure(self._asked, self._server, self._files, rounds=rounds)
        elif workload.kind == "derived":
            records = self._per_item(workload)
        else:
            records = self._cold(workload, rounds)
        self.results[workload.name] = records
        self._measured[workload.name] = datetime.now(UTC).isoformat(timespec="seconds")

    def _by_workers(self, workload: Workload, rounds: int) -> dict[str, Any]:
        latency = LATENCY if workload.task["task"] == "bulk" else 0
        task = {**workload.task, "files": str(self._files), "url": self._server.url(latency)}
        records: dict[str, Any] = {}
        for name in workload.participants:
            absent = self.peer(name).absent
            records[name] = {"absent": absent} if absent else {"values": [], "cpu": []}
        for turn in range(rounds):
            for name, record in records.items():
                if "absent" in record or (name in SLOW and turn % 3):
                    continue
                answer = self._ask(name, task | {"warm_up": 1} if name in SLOW else task)
                if "absent" in answer:
                    records[name] = answer
                    continue
                record["values"] += answer["ms"]
                record["cpu"] += answer["cpu"]
                record["bytes"] = answer["bytes"]
        if workload.task["task"] == "bulk":
            records["ideal"] = {"values": [ideal(workload.task)]}
        return records

    def _asked(self, name: str, task: dict[str, Any]) -> dict[str, Any]:
        absent = self.peer(name).absent
        return {"absent": absent} if absent else self._worker(name).ask(task, 1)

    def _ask(self, name: str, task: dict[str, Any]) -> dict[str, Any]:
        if name == "floor" and task["task"] == "decode":  # the parser alone is timed in our worker
            return self._worker("ours").ask({**task, "task": "parse"}, 1)
        return self._worker(name).ask(task, 1)

    def _per_item(self, workload: Workload) -> dict[str, Any]:
        if "call-100" not in self.results:
            call = next(w for w in WORKLOADS if w.name == "call-100")
            self.measure(call)
        items = workload.task["count"]
        return {
            name: record if "absent" in record else {"values": [ms * 1000 / items for ms in record["cpu"]]}
            for name, record in self.results["call-100"].items()
        }

    def _cold(self, workload: Workload, rounds: int) -> dict[str, Any]:
        fresh.compile_all()
        ways = fresh.measure(workload.name, self._server)
        records: dict[str, Any] = {}
        for name in ways:
            absent = self.peer(name).absent if name in NAMES else ""
            records[name] = {"absent": absent} if absent else {"values": [], "cpu": []}
        for turn in range(rounds + 1):
            for name, record in records.items():
                if "absent" in record:
                    continue
                try:
                    wall, processor = ways[name]()
                except RuntimeError as error:
                    records[name] = {"absent": str(error)}
                    continue
                if turn:  # the first round fills the disk's and Python's caches
                    record["values"].append(wall)
                    record["cpu"].append(processor)
        return records

    def report(self, description: dict[str, str]) -> dict[str, Any]:
        """Return everything, for JSON."""
        targets = {
            workload.name: [found for _, found in table.judged(workload, self.results[workload.name]) if found]
            for workload in WORKLOADS
            if workload.name in self.results and workload.kind != "writers"
        }
        return {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "measured": self._measured,
            "quick": self._quick,
            "machine": description,
            "workloads": self.results,
            "targets": targets,
        }


def main() -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.run", description="Measure this library next to its peers.")
    parser.add_argument("--only", action="append", choices=[w.name for w in WORKLOADS], help="may be repeated")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds")
    parser.add_argument("--json", type=Path, default=RESULTS / "bench.json", help="the file to write the figures to")
    options = parser.parse_args()
    with ExitStack() as stack:
        run = Run(stack, quick=options.quick)
        for workload in WORKLOADS:
            if not options.only or workload.name in options.only:
                run.measure(workload)
        report = run.report(machine.describe())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=1))
    print(table.text(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
