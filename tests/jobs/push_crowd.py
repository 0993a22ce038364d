"""Several processes send what another process planned, and some are killed.

python -m tests.jobs.push_crowd --skus 20000
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from octopus_soap import OctopusClient, OctopusSettings
from octopus_soap.jobs import Ledger, StockPush
from octopus_soap.jobs.tables import STOCK_ITEM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octopus_soap.emulator import Emulator

ROOT = Path(__file__).parents[2]


def plan(service: Emulator, place: str, skus: int) -> None:
    """Plan a push of so many SKUs, which is accepted and not sent."""
    service.store.add_items({"Sku": f"S{i:05}", "Stock": "0", "Price": Decimal(1)} for i in range(skus))
    stop = threading.Event()
    settings = OctopusSettings.load(**service.settings())
    with (
        OctopusClient(settings=settings) as client,
        Ledger(place, reach=lambda step: stop.set() if step == "push.accepted" else None) as ledger,
    ):
        report = StockPush(client, ledger).run(({"sku": f"S{i:05}", "stock": 7} for i in range(skus)), stop=stop)
    assert report.counts["left"] == skus
    assert service.calls == []


def work(service: Emulator, place: str, *, batch: int, die_at: list[int]) -> list[tuple[int, str]]:
    """Run several workers at once; return the exit code and output of each.

    Args:
        service: has the SKUs.
        place: of the ledger.
        batch: SKUs per request.
        die_at: per process, the batch after whose request it is killed, before it is recorded; 0 for none.
    """
    started = []
    for at in die_at:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.push_crowd", "--worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert process.stdin is not None
        order: dict[str, Any] = {"settings": service.settings(), "ledger": place, "batch": batch, "die_at": at}
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        started.append(process)
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [(process.wait(100), process.communicate()[0]) for process in started]


def sent(service: Emulator) -> Counter[str]:
    """Return how often each SKU was sent."""
    return Counter(key for call in service.calls for key in call.keys)


def check_done(place: str, skus: int) -> None:
    """Check that all SKUs are acknowledged."""
    with Ledger(place) as ledger, ledger.reading() as connection:
        rows = connection.execute(select(STOCK_ITEM.c.state, STOCK_ITEM.c.acknowledged)).all()
    assert Counter((row.state, row.acknowledged) for row in rows) == {("done", '{"stock":7}'): skus}


def share(service: Emulator, place: str, *, skus: int, batch: int, processes: int = 4) -> None:
    """Check that several processes send each SKU exactly once, mostly in full batches.

    Two claims at the same moment lock rows in turn. When fewer rows are left than both want, they share them, so each
    process may end with a batch that is not full.
    """
    plan(service, place, skus)
    ended = work(service, place, batch=batch, die_at=[0] * processes)
    assert [code for code, _ in ended] == [0] * processes
    assert sum(json.loads(words)["acknowledged"] for _, words in ended if words) == skus
    assert set(sent(service).values()) == {1}
    short = [len(call.keys) for call in service.calls if len(call.keys) != batch]
    assert len(short) <= processes
    assert max(short, default=0) < batch
    check_done(place, skus)


def share_and_die(
    service: Emulator, place: str, *, skus: int, batch: int, die_at: Sequence[int] = (1, 2, 0, 0)
) -> None:
    """Kill some processes, and check that only their last batches are sent again."""
    plan(service, place, skus)
    ended = work(service, place, batch=batch, die_at=list(die_at))
    assert [code for code, _ in ended] == [-9 if at else 0 for at in die_at]
    settings = OctopusSettings.load(**service.settings())
    with OctopusClient(settings=settings) as client, Ledger(place) as ledger:
        StockPush(client, ledger).work()  # if both died after the others had found nothing left to claim
    times = sent(service)
    assert len(times) == skus
    assert sum(times.values()) <= skus + sum(at > 0 for at in die_at) * batch
    check_done(place, skus)


def _be_a_worker() -> None:
    """Work until nothing is due; die between a batch's request and its record."""
    order = json.loads(sys.stdin.readline())
    batches = 0

    def reach(step: str) -> None:
        nonlocal batches
        batches += step == "push.sent"
        if order["die_at"] and batches == order["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = OctopusSettings.load(**order["settings"])
    with OctopusClient(settings=settings) as client, Ledger(order["ledger"], reach=reach) as ledger:
        push = StockPush(client, ledger, batch_size=order["batch"])
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()  # all start together
        report = push.work()
        sys.stdout.write(json.dumps(report.counts))


def main() -> None:
    """Be a worker, or run several."""
    from octopus_soap.emulator import Emulator
    from tests.jobs.databases import fresh_postgres

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--skus", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=500)
    given = parser.parse_args()
    if given.worker:
        _be_a_worker()
        return
    for shared in (share, share_and_die):
        began = time.monotonic()
        with fresh_postgres() as place, Emulator(keep_bodies=False) as service:
            shared(service, place, skus=given.skus, batch=given.batch)
        sys.stdout.write(f"{shared.__name__}: {given.skus} SKUs in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
