"""What the crash tests kill: a push, and a reconciliation."""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from octopus_soap.jobs import Ledger, StockPush
from octopus_soap.jobs.push import STEPS
from octopus_soap.jobs.tables import STOCK_ITEM

if TYPE_CHECKING:
    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator

KNOWN, COUNT, BATCH = 45, 50, 16  # five SKUs that the service does not have, and several batches
_LOCKS = {"lock_stock": False, "lock_price": False, "lock_cost": False}


def wishes(round_: int) -> list[dict[str, Any]]:
    """Return the wanted state in a round; some SKUs change from one round to the next."""
    return [
        {"sku": f"S{i:02}", "stock": i + (round_ if i % 3 else 0), "price": f"{i}.50", "cost": "1", **_LOCKS}
        for i in range(COUNT)
    ]


def push(client: OctopusClient, ledger: Ledger) -> int:
    return StockPush(client, ledger, batch_size=BATCH, max_change_share=1).run(wishes(2)).exit_code


def reconcile(client: OctopusClient, ledger: Ledger) -> int:
    return StockPush(client, ledger, batch_size=BATCH, max_change_share=1).full_reconcile().exit_code


def push_file(client: OctopusClient, ledger: Ledger) -> int:
    """Push a nameless file in many chunks, so that a killed process leaves no file."""
    from octopus_soap.jobs import push as module

    module.CHUNK = 7
    states = wishes(2)
    names = list(states[0])
    number = os.memfd_create("stock.csv") if sys.platform == "linux" else -1
    file = Path(f"/proc/self/fd/{number}")
    lines = [names, *(state.values() for state in states)]
    cells = [[str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in line] for line in lines]
    file.write_text("\n".join(map(",".join, cells)))
    try:
        return StockPush(client, ledger, batch_size=BATCH, max_change_share=1).run(file).exit_code
    finally:
        os.close(number)


class Before(NamedTuple):
    """The acknowledged SKUs, and the service's number of calls, when the job died."""

    acknowledged: dict[str, str]
    calls: int


def _rows(place: str) -> dict[str, Any]:
    with Ledger(place) as ledger, ledger.reading() as connection:
        return {row.sku: row for row in connection.execute(select(STOCK_ITEM))}


class _Subject:
    done = frozenset({1})  # five SKUs stay rejected

    def __init__(self, job: str, unreached: set[str]) -> None:
        self.job, self.steps, self.unreached = f"tests.jobs.push_subject:{job}", STEPS, frozenset(unreached)

    def prepare(self, service: Emulator, place: str) -> None:
        service.store.add_items({"Sku": f"S{i:02}", "Stock": "7", "Price": Decimal("1.00")} for i in range(KNOWN))

    def state(self, service: Emulator, place: str) -> Any:
        rows = {k: (r.acknowledged, r.wanted, r.state, r.leased_by, r.due_at is None) for k, r in _rows(place).items()}
        return service.store.items(), rows

    def after_crash(self, service: Emulator, place: str) -> Before:
        known = {sku: row.acknowledged for sku, row in _rows(place).items() if row.state == "done"}
        return Before(known, len(service.calls))

    def check(self, service: Emulator, place: str, before: Before) -> None:
        sent = {
            key for call in service.calls[before.calls :] if call.operation.startswith("Update") for key in call.keys
        }
        assert not sent & set(before.acknowledged), "what was acknowledged is not sent again"
        assert service.lint == []


class _Reconcile(_Subject):
    def prepare(self, service: Emulator, place: str) -> None:
        from octopus_soap import OctopusClient, OctopusSettings

        super().prepare(service, place)
        with OctopusClient(settings=OctopusSettings.load(**service.settings())) as client, Ledger(place) as ledger:
            push(client, ledger)
        for i in range(0, KNOWN, 4):
            item = service.store.item(f"S{i:02}")
            assert item is not None
            service.store.add_items([{**item, "Stock": "999"}])

    def check(self, service: Emulator, place: str, before: Before) -> None:
        assert service.lint == []  # what a restore undid was acknowledged before, and is sent again


PUSH = _Subject("push", {"reconcile.read"})
PUSH_FILE = _Subject("push_file", {"reconcile.read"})
RECONCILE = _Reconcile("reconcile", set())
