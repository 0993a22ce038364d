"""Several processes share the orders of one ledger, and some are killed.

python -m tests.jobs.order_crowd --orders 5000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

from octopus_soap import OctopusClient, OctopusSettings
from octopus_soap.jobs import Ledger, OrderDelivery, OrderInbox
from tests.jobs.shops import book, bookings, confirmed, open_books, sell

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator
    from octopus_soap.models import OrderResponseItem

ROOT = Path(__file__).parents[2]


@dataclass
class Crowd:
    """The orders and the time of the processes.

    Attributes:
        handled: orders handed over, by process, also those of a killed process that were rolled back.
        killed: the processes killed.
        seconds: duration of the run.
    """

    handled: dict[int, int] = field(default_factory=dict)
    killed: list[int] = field(default_factory=list)
    seconds: float = 0.0


def share(service: Emulator, place: str, *, orders: int, processes: int, kill_after: dict[int, int]) -> Crowd:
    """Let *processes* share *orders*, kill some of them, and check the end.

    Args:
        service: empty.
        place: of an empty ledger.
        orders: how many.
        processes: how many; number 0 downloads.
        kill_after: by process, the number of orders handed over by all after which it is killed.
    """
    sold = [sell(service, number) for number in range(orders)]
    crowd, told, began = Crowd(dict.fromkeys(range(processes), 0)), Queue[tuple[int, str]](), time.monotonic()
    with Ledger(place) as ledger:
        open_books(ledger)
    running: list[subprocess.Popen[str]] = []
    readers: list[Thread] = []
    ended = 0
    while ended < max(1, len(running)):
        # The others start when the first has begun: workers that find no running job end at once.
        while len(running) < (processes if any(crowd.handled.values()) else 1):
            running.append(_started(len(running), service, place))
            readers.append(Thread(target=_listen, args=(len(running) - 1, running[-1], told)))
            readers[-1].start()
        number, line = told.get(timeout=300)
        if not line:
            ended += 1
            continue
        crowd.handled[number] += 1
        for victim, after in kill_after.items():
            if victim not in crowd.killed and victim < len(running) and sum(crowd.handled.values()) >= after:
                running[victim].kill()
                crowd.killed.append(victim)
    for reader, process in zip(readers, running, strict=True):
        reader.join()
        process.wait()
    crowd.seconds = time.monotonic() - began
    codes = {process.returncode for number, process in enumerate(running) if number not in crowd.killed}
    assert codes == {0}, codes
    with Ledger(place) as ledger:
        assert bookings(ledger) == sorted(sold), "each exactly once"
    assert confirmed(service) == set(sold)
    return crowd


def _started(number: int, service: Emulator, place: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.order_crowd", "--worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    order = {"settings": service.settings(), "ledger": place, "download": number == 0}
    process.stdin.write(json.dumps(order))
    process.stdin.close()
    return process


def _listen(number: int, process: subprocess.Popen[str], told: Queue[tuple[int, str]]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            told.put((number, line.strip()))
    told.put((number, ""))


def _work() -> int:
    order: dict[str, Any] = json.load(sys.stdin)

    def handler(sold: OrderResponseItem, delivery: OrderDelivery) -> str:
        sys.stdout.write(f"{sold.id}\n")
        sys.stdout.flush()
        return book(sold, delivery)

    with OctopusClient(settings=OctopusSettings.load(**order["settings"])) as client, Ledger(order["ledger"]) as ledger:
        inbox = OrderInbox(client, ledger, transactional=True)
        return (inbox.run(handler) if order["download"] else inbox.work(handler)).exit_code


def main() -> int:
    """Be a worker, or run a crowd of them."""
    from octopus_soap.emulator import Emulator
    from tests.jobs.databases import fresh_postgres

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--orders", type=int, default=5000)
    given = parser.parse_args()
    if given.worker:
        return _work()
    with fresh_postgres() as place, Emulator(keep_bodies=False) as service:
        after = {1: given.orders // 4, 0: given.orders // 2}
        crowd = share(service, place, orders=given.orders, processes=4, kill_after=after)
    told = (
        f"{given.orders} orders, each once, in {crowd.seconds:.0f} s; handed over by {crowd.handled}; {crowd.killed=}"
    )
    sys.stdout.write(f"{told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
