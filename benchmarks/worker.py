"""Run one participant in a separate process: `python -m benchmarks.worker NAME`.

It gets its tasks over standard input. The protocol is a line of JSON each way, the same for the workers in other
languages:

    {"task": "call", "runs": 3, "url": "http://…", "count": 100, "files": "…"}
    {"ms": [9.1, 9.0, 9.2], "cpu": [8.8, 8.7, 8.9], "bytes": 435717}

`cpu` is the process's own processor time. A task is a function, or a function that prepares each run without being
timed and returns the timed part (`Prepared`). A participant that has no such task answers {"absent": "reason"}. The
first request for a task prepares it and warms it up, without measuring.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.participants import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = {
    "ours": "benchmarks.participants.ours",
    "zeep": "benchmarks.participants.raw_zeep",
    "floor": "benchmarks.participants.floors",
    "xsdata": "benchmarks.participants.xsdata_peer",
    "suds": "benchmarks.participants.suds_peer",
}
_WARM_UP = 3


class Absent(Exception):  # noqa: N818 - it is an answer, not a failure
    """The participant has no such task."""


def _timed(work: Callable[[], Any], runs: int) -> dict[str, Any]:
    walls, cpus, size = [], [], None
    for _ in range(runs):
        run = work.prepare() if isinstance(work, Prepared) else work
        cpu, wall = time.process_time(), time.perf_counter()
        result = run()
        walls.append((time.perf_counter() - wall) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
        size = len(result) if isinstance(result, bytes) else None
        del result  # frees its memory outside the measured time
    return {"ms": walls, "cpu": cpus, "bytes": size}


def main(name: str) -> None:
    tasks = import_module(MODULES[name]).TASKS
    ready: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        key = json.dumps({**asked, "runs": 0}, sort_keys=True)
        try:
            if key not in ready:
                if asked["task"] not in tasks:
                    raise Absent("it has no such call")  # noqa: TRY301 - one place answers
                ready[key] = tasks[asked["task"]](asked)
                for _ in range(asked.get("warm_up", _WARM_UP)):
                    ready[key]()
            answer = _timed(ready[key], asked["runs"])
        except Absent as reason:
            answer = {"absent": str(reason)}
        except Exception as error:  # noqa: BLE001 - a peer's failure is shown in the table
            answer = {"absent": f"{type(error).__name__}: {str(error)[:160]}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
