"""A process that takes part in a push: `python -m tests.jobs.push_worker`, with a JSON order on standard input."""

from __future__ import annotations

import json
import os
import signal
import sys

from octopus_soap import OctopusClient, OctopusSettings
from octopus_soap.jobs import Ledger, StockPush


def main() -> None:
    """Work until nothing is due; die at the batch that was ordered, after it was sent and before it is recorded."""
    order = json.loads(sys.stdin.readline())
    sent = 0

    def reach(step: str) -> None:
        nonlocal sent
        sent += step == "push.sent"
        if order["die_at"] and sent == order["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = OctopusSettings.load(**order["settings"])
    with OctopusClient(settings=settings) as client, Ledger(order["ledger"], reach=reach) as ledger:
        push = StockPush(client, ledger, batch_size=order["batch"])
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()  # all begin at once
        report = push.work()
        sys.stdout.write(json.dumps(report.counts))


if __name__ == "__main__":
    main()
