"""Measure how long the fleet's first page takes.

    python -m benchmarks.console_fleet [MERCHANTS]

There are 5,000 merchants by default, with three jobs each. Processor time of the page as a browser gets it, and of its
parts; the best of several.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert

from octopus_soap.console import fleet_console
from octopus_soap.fleet import Registry, status
from octopus_soap.fleet.tables import MERCHANT, RUN, SCHEDULE, TICKER
from octopus_soap.jobs import Ledger

ROUNDS = 7


def fill(ledger: Ledger, merchants: int) -> None:
    """Put made-up merchants, schedules and runs into a ledger's database."""
    rng = random.Random(1)
    with ledger.transaction() as connection:
        now = ledger.now(connection)
        names = [f"shop-{number:05}" for number in range(merchants)]
        connection.execute(
            insert(MERCHANT),
            [
                {
                    "name": name,
                    "endpoint": "https://api.example.com/OctopusService.svc",
                    "merchantname": name,
                    "secrets": json.dumps({"authtoken": "env:TOKEN", "accessid": "env:ID"}),
                    "labels": json.dumps({"region": rng.choice(["north", "south"])}),
                    "state": rng.choices(["active", "paused", "refused"], [95, 3, 2])[0],
                    "changed_at": now,
                }
                for name in names
            ],
        )
        rows = [
            {
                "name": name,
                "job": job,
                "every": every,
                "next_at": now + timedelta(seconds=rng.uniform(-every * (rng.random() < 0.05) * 4, every)),
                "last_success_at": now - timedelta(seconds=rng.uniform(1, every)),
                "ended_at": now,
                "outcome": "ok",
                "failures": int(rng.random() < 0.02) * rng.randrange(1, 6),
                "backlog": rng.randrange(0, 50),
                "held": int(rng.random() < 0.03) * 4,
                "duration": rng.uniform(0.1, 4),
            }
            for name in names
            for job, every in (("push", 300.0), ("orders", 60.0), ("changes", 600.0))
        ]
        connection.execute(insert(SCHEDULE), rows)
        connection.execute(
            insert(RUN),
            [
                {
                    "name": names[0],
                    "job": "push",
                    "started_at": now - timedelta(seconds=300 * number + 3),
                    "ended_at": now - timedelta(seconds=300 * number),
                    "outcome": "ok",
                }
                for number in range(50)
            ],
        )
        connection.execute(insert(TICKER).values(worker="benchmark", at=now, slots=32))


def best(what: str, work: object) -> float:
    """Print and return the least processor time of several rounds."""
    taken = []
    for _ in range(ROUNDS):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    print(f"{what:<44} {min(taken) * 1000:8.1f} ms")
    return min(taken)


def get(app: object, path: str) -> int:
    """Request a page from the application, and return its status."""
    sent = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    address, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": address,
        "query_string": query.encode(),
        "scheme": "http",
        "headers": [(b"host", b"localhost")],
        "server": ("127.0.0.1", 80),
        "root_path": "",
        "raw_path": path.encode(),
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"]


def main(merchants: int) -> None:
    """Fill a database, and measure."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "fleet.db", channel="fleet") as ledger:
        Registry(ledger)
        fill(ledger, merchants)
        print(f"{merchants:,} merchants, {3 * merchants:,} jobs")
        best("status.merchants, the first 100", lambda: status.merchants(ledger, most=100))
        best("status.status", lambda: status.status(ledger))
        app = fleet_console(ledger)
        for path in ("/", "/?show=refused", "/?q=shop-0123", "/?show=late&page=2", "/merchant?name=shop-00000"):
            assert get(app, path) == 200
            best(f"GET {path}", lambda path=path: get(app, path))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
