"""Compare single look-ups with look-ups that share requests.

    python -m benchmarks.lookup

There are 2,000 look-ups, 200 in flight, and 5% of the requests fail. Both sides call an emulator in another process
over loopback, several times in turn. It takes 20 ms for an answer, as a distant service would. The table is of whole
look-ups, retries included: look-ups per second, and the slowest 1%.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from octopus_soap import AsyncLookup, AsyncOctopusClient
from octopus_soap.emulator import Emulator
from octopus_soap.settings import IsolatedSettings
from octopus_soap.testing import Latency, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOKUPS, IN_FLIGHT, SKUS, ROUNDS = 2_000, 200, 2_000, 3


async def measure(ask: Callable[[str], Awaitable[object]]) -> tuple[float, float]:
    """Return look-ups per second, and the 99th percentile in ms."""
    times: list[float] = []
    skus = iter([f"S-{number % SKUS}" for number in range(LOOKUPS)])

    async def work() -> None:
        for sku in skus:
            started = time.perf_counter()
            await ask(sku)
            times.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return LOOKUPS / (time.perf_counter() - started), statistics.quantiles(times, n=100)[98] * 1000


def serve() -> None:
    """Print the settings of one measurement's service, and run it until stdin ends."""
    with Emulator(keep_bodies=False) as service:
        for number in range(SKUS):
            service.store.add_item(f"S-{number}", Stock="3")
        service.script.on("*", probability=0.05, seed=7).do(Status(503))
        service.script.on("*").do(Latency(0.02))
        print(json.dumps(service.settings()), flush=True)
        sys.stdin.read()


async def main(settings: IsolatedSettings) -> None:
    rows: dict[str, list[tuple[float, float]]] = {"single calls": [], "look-ups that share requests": []}
    async with AsyncOctopusClient(settings=settings) as client:
        for _ in range(ROUNDS):
            rows["single calls"].append(await measure(client.get_item_quantity))
            rows["look-ups that share requests"].append(await measure(AsyncLookup(client, ttl=0).quantity))
    print(f"| {LOOKUPS} look-ups, {IN_FLIGHT} in flight, 5% faults, 20 ms | per second | p99, ms |\n|---|---|---|")
    medians = {name: [statistics.median(column) for column in zip(*found, strict=True)] for name, found in rows.items()}
    for name, (rate, slowest) in medians.items():
        print(f"| {name} | {rate:.0f} | {slowest:.0f} |")
    single, shared = medians.values()
    print(f"| ratio | {shared[0] / single[0]:.1f}x | {shared[1] / single[1]:.2f}x |")


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve()
    else:
        command = [sys.executable, "-m", "benchmarks.lookup", "--serve"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            given = json.loads(server.stdout.readline())
            asyncio.run(main(IsolatedSettings.load(**given, backoff_base=0.05, max_attempts=6)))
            server.communicate()
