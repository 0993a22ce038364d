"""Measure what the emulator's console costs, and how soon it shows a call.

    python -m benchmarks.console [RETAIL.csv]

Latency: from the end of a call to the arrival of its row at a browser's connection. Cost: processor time of this
process in the demo's main job, alternating with the log open in a browser (curl reads its events) and without; the
least of each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from unittest.mock import patch

from octopus_soap import OctopusClient
from octopus_soap.console import emulator_console
from octopus_soap.demo import run
from octopus_soap.demo.retail import as_lines, build_shop, read_retail, small_shop, sort_lines
from octopus_soap.emulator import Emulator

ROUNDS = 5
CALLS = 40


def latency() -> None:
    """Print the time from the end of a call to the arrival of its row."""
    with Emulator(pages=emulator_console) as service, OctopusClient(**service.settings()) as client:
        service.store.seed(items=10, orders=0)
        base = service.url.rpartition("/")[0]
        taken = []
        with urllib.request.urlopen(f"{base}/events") as events:
            events.readline()
            for number in range(1, CALLS + 1):
                client.is_sku_exist("DEMO-0001")
                ended = time.perf_counter()
                while f'id="call-{number}"'.encode() not in events.readline():
                    pass
                taken.append(time.perf_counter() - ended)
                time.sleep(0.4)  # a person's pace; a burst comes as one batch each quarter of a second
    print(f"a row arrives after {statistics.median(taken) * 1000:.0f} ms (median), {max(taken) * 1000:.0f} ms (most)")


def once(shop: object, *, watched: bool) -> float:
    """Return the processor time of one demo."""
    readers = []

    class Watched(Emulator):
        def __init__(self, **options: object) -> None:
            super().__init__(pages=emulator_console if watched else None, **{**options, "keep_bodies": True})

        def start(self) -> Emulator:
            super().start()
            if watched:
                base = self.url.rpartition("/")[0]
                urllib.request.urlopen(base).read()
                readers.append(subprocess.Popen(["curl", "-sN", f"{base}/events"], stdout=subprocess.DEVNULL))
            return self

    with patch.object(run, "Emulator", Watched):
        before = time.process_time()
        run.run_demo(shop, lambda *_: None)
        taken = time.process_time() - before
    for reader in readers:
        reader.wait(10)
    return taken


def cost(retail: str) -> None:
    """Print what the open console costs in the demo, with a shop's data if given."""
    reading = read_retail(Path(retail)) if retail else sort_lines(as_lines(small_shop()))
    shop = build_shop(reading.sold, (line.code for line in reading.dirty))
    once(shop, watched=True)
    plain, watched = [], []
    for _ in range(ROUNDS):
        plain.append(once(shop, watched=False))
        watched.append(once(shop, watched=True))
    ratio = min(watched) / min(plain) - 1
    print(
        f"demo without {min(plain):.3f} s, with the console open {min(watched):.3f} s of processor time: {ratio:+.1%}"
    )


if __name__ == "__main__":
    latency()
    cost(sys.argv[1] if len(sys.argv) > 1 else "")
