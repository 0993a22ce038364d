"""Several processes share one push over one ledger: each SKU is sent once, whoever dies."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from octopus_soap.jobs import Ledger, StockPush
from octopus_soap.jobs.tables import STOCK_ITEM
from tests.jobs.crash import ROOT
from tests.jobs.databases import fresh, why_no_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator

COUNT, BATCH, WORKERS = 20_000, 500, 4


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """A ledger several machines could share."""
    if why := why_no_postgres():
        pytest.skip(why)
    with fresh("postgresql", tmp_path) as found:
        yield found


@pytest.fixture
def planned(service: Emulator, client: OctopusClient, place: str) -> None:
    """A push of many SKUs that was accepted, and of which nothing was sent."""
    service.store.add_items({"Sku": f"S{i:05}", "Stock": "0", "Price": Decimal(1)} for i in range(COUNT))
    stop = threading.Event()
    with Ledger(place, reach=lambda step: stop.set() if step == "push.accepted" else None) as ledger:
        report = StockPush(client, ledger).run(({"sku": f"S{i:05}", "stock": 7} for i in range(COUNT)), stop=stop)
    assert report.counts["left"] == COUNT
    assert service.calls == []


def work(service: Emulator, place: str, *, die_at: list[int]) -> list[tuple[int, str]]:
    """Let as many processes work at once; return the exit code and words of each."""
    started = []
    for at in die_at:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.push_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert process.stdin is not None
        order: dict[str, Any] = {"settings": service.settings(), "ledger": place, "batch": BATCH, "die_at": at}
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
    return Counter(key for call in service.calls for key in call.keys)


def states(place: str) -> Counter[tuple[str, str]]:
    with Ledger(place) as ledger, ledger.reading() as connection:
        rows = connection.execute(select(STOCK_ITEM.c.state, STOCK_ITEM.c.acknowledged)).all()
    return Counter((row.state, row.acknowledged) for row in rows)


DONE = {("done", '{"stock":7}'): COUNT}


@pytest.mark.usefixtures("planned")
def test_four_processes_send_each_sku_exactly_once(service: Emulator, place: str) -> None:
    ended = work(service, place, die_at=[0] * WORKERS)
    assert [code for code, _ in ended] == [0] * WORKERS
    shares = [json.loads(words)["acknowledged"] for _, words in ended if words]
    assert sum(shares) == COUNT
    assert set(sent(service).values()) == {1}
    assert len(service.calls) == COUNT / BATCH
    assert states(place) == DONE


@pytest.mark.usefixtures("planned")
def test_two_of_four_processes_die_and_all_is_done(service: Emulator, client: OctopusClient, place: str) -> None:
    ended = work(service, place, die_at=[1, 2, 0, 0])
    assert sorted(code for code, _ in ended) == [-9, -9, 0, 0]
    with Ledger(place) as ledger:
        StockPush(client, ledger).work()  # in case both died after the others had found nothing left to claim
    times = sent(service)
    assert len(times) == COUNT
    assert sum(times.values()) <= COUNT + 2 * BATCH, "only the two batches that were under way are sent again"
    assert states(place) == DONE
