"""Measure 20,000 SKUs at 50 ms latency over 8 connections, for both clients.

    python -m benchmarks.bulk [--rounds 1] [--operation GetItemQuantityList] [HAND ...]

A HAND is the form of another toolkit's XML. Each run is a separate process, which makes a tenth of the call to warm
up. The table has the time of the call as a multiple of the ideal (calls x latency / connections), and the client's
processor time as a share of the ideal. If that share is near 1, the call cannot be near the ideal. On a busy machine
only the second figure can be compared. The load of the machine is printed below the table. It takes about a minute on
a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time

from benchmarks import payloads
from benchmarks.processes import ROOT, Server

SKUS, LATENCY, CONNECTIONS = 20_000, 50, 8
METHODS = {"GetItemQuantityList": "get_item_quantity_list", "GetItemList": "get_item_list"}
HANDS = ("wcf", "mono", "pretty", "axis2", "php-types", "cxf-no-nulls", "nulls-vary-left-out", "shuffled")
MUST = 1.15
"""Multiples of the ideal that a call may take."""
IDEAL = SKUS / 100 * LATENCY / CONNECTIONS
"""Milliseconds of a call that only waits."""


def run(side: str, operation: str, url: str) -> dict[str, float]:
    """Be one client: make a small call to warm up, then the measured call."""
    from octopus_soap import AsyncOctopusClient, OctopusClient, OctopusSettings

    given = {"endpoint": url, "authtoken": "token-1", "merchantname": "shop", "accessid": payloads.ACCOUNT}
    settings = OctopusSettings.load(**given, max_connections=CONNECTIONS)
    skus, method = payloads.skus(SKUS), METHODS[operation]
    if side == "blocking":
        with OctopusClient(settings=settings) as client:
            getattr(client, method)(skus[: SKUS // 10])
            wall, own = time.perf_counter(), time.process_time()
            found = len(getattr(client, method)(skus))
            took = time.perf_counter() - wall, time.process_time() - own
    else:

        async def work() -> tuple[int, float, float]:
            async with AsyncOctopusClient(settings=settings) as client:
                await getattr(client, method)(skus[: SKUS // 10])
                wall, own = time.perf_counter(), time.process_time()
                found = len(await getattr(client, method)(skus))
                return found, time.perf_counter() - wall, time.process_time() - own

        found, *took = asyncio.run(work())  # type: ignore[assignment] # two seconds
    if found != SKUS:
        raise SystemExit(f"{found} of {SKUS}")
    return {"wall": took[0] * 1000, "own": took[1] * 1000}


def load() -> str:
    """Return how many processes wanted a core, averaged over the last minute."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.bulk", description=__doc__)
    parser.add_argument("hands", nargs="*", default=HANDS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--operation", choices=METHODS, default="GetItemQuantityList")
    parser.add_argument("--participant", nargs=2, metavar=("SIDE", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.participant:
        print(json.dumps(run(options.participant[0], options.operation, options.participant[1])))
        return
    worst, before = 0.0, load()
    print(
        f"ideal {IDEAL:.0f} ms; multiples of it\n| hand | client | whole call | own processor time |\n|---|---|---|---|"
    )
    with Server() as server:
        for hand in options.hands:
            url = server.url(LATENCY, hand=hand)
            for side in ("blocking", "asyncio"):
                command = [sys.executable, "-m", "benchmarks.bulk", "--operation", options.operation]
                command += ["--participant", side, url]
                found = [
                    json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
                    for _ in range(options.rounds)
                ]
                wall, own = (statistics.median(one[name] for one in found) / IDEAL for name in ("wall", "own"))
                print(f"| {hand} | {side} | {wall:.2f} | {own:.2f} |", flush=True)
                worst = max(worst, wall)
    reached = "yes" if worst <= MUST else "NO"
    print(f"worst: {worst:.2f}; must at most {MUST}: {reached}; load {before} before, {load()} after")


if __name__ == "__main__":
    main()
