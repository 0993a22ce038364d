"""Measure what `rate_limit_store` adds to a call; it needs a Redis.

Run `python -m benchmarks.shared_rate`. Calls with and without the store alternate. Processor time is that of this
process; the emulator runs in another process.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time

from octopus_soap import AsyncOctopusClient, OctopusClient, OctopusSettings

URL = os.environ.get("OCTOPUS_TEST_REDIS", "redis://127.0.0.1:6379/0")
ROUNDS, CALLS = 15, 40
SERVE = """
import sys
from octopus_soap.emulator import Emulator
with Emulator() as service:
    service.store.add_item("A", Stock="7")
    print(*(f"{k}={v}" for k, v in service.settings().items()), sep="\\n", end="\\n\\n", flush=True)
    sys.stdin.readline()
"""


def report(name: str, found: dict[bool, list[tuple[float, float]]]) -> None:
    """Print medians in microseconds per call."""
    wall, cpu = (
        [statistics.median(sample[at] for sample in found[shared]) * 1e6 / CALLS for shared in (False, True)]
        for at in (0, 1)
    )
    print(f"{name:<14} wall {wall[0]:6.0f} -> {wall[1]:6.0f} us   processor {cpu[0]:6.0f} -> {cpu[1]:6.0f} us")


def blocking(settings: dict[bool, OctopusSettings]) -> None:
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    clients = {shared: OctopusClient(settings=one) for shared, one in settings.items()}
    for client in clients.values():
        client.get_item_quantity("A")
    for _ in range(ROUNDS):
        for shared, client in clients.items():
            began, used = time.perf_counter(), time.process_time()
            for _ in range(CALLS):
                client.get_item_quantity("A")
            found[shared].append((time.perf_counter() - began, time.process_time() - used))
    for client in clients.values():
        assert client.counters.rate_store_lost == 0
        client.close()
    report("blocking", found)


async def asynchronous(settings: dict[bool, OctopusSettings]) -> None:
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    clients = {shared: AsyncOctopusClient(settings=one) for shared, one in settings.items()}
    for client in clients.values():
        await client.get_item_quantity("A")
    for _ in range(ROUNDS):
        for shared, client in clients.items():
            began, used = time.perf_counter(), time.process_time()
            for _ in range(CALLS):
                await client.get_item_quantity("A")
            found[shared].append((time.perf_counter() - began, time.process_time() - used))
    for client in clients.values():
        assert client.counters.rate_store_lost == 0
        await client.aclose()
    report("asynchronous", found)


def main() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        given = dict(line.rstrip("\n").split("=", 1) for line in iter(service.stdout.readline, "\n"))
        plain = OctopusSettings.load(**given, max_requests_per_second=10_000)
        settings = {False: plain, True: plain.changed(rate_limit_store=URL)}
        blocking(settings)
        asyncio.run(asynchronous(settings))
        service.stdin.write("\n")


if __name__ == "__main__":
    main()
