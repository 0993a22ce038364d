"""`client.counters` and `last_success_at` agree with the calls of the service."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from octopus_soap import BatchError, Counters, OctopusError, OctopusSettings
from octopus_soap.emulator import ApiFailure, Fault, Html, Reset, Status, Truncate
from octopus_soap.engine.effects import FailureKind
from octopus_soap.observe.observer import Tally
from octopus_soap.results import CallInfo
from tests.catalogue import ROWS

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator

FAULTS = [Status(503), Status(429), Reset("after"), Fault("internal"), Html(), Truncate(0.5), ApiFailure(1, "no")]


def test_a_new_client_has_done_nothing(watched) -> None:
    client = watched()
    assert client.counters == Counters(0, 0, 0, 0, {}, 0, {}, 0, {}, 0, 0)
    assert client.last_success_at is None


def test_in_a_faulty_run_the_counters_are_what_the_service_saw(shop: Emulator, watched) -> None:
    client = watched()
    for number, fault in enumerate(FAULTS):
        shop.script.on("*", probability=0.2, seed=number).do(fault)
    ended: list[str] = []
    items = 0
    for _ in range(2):
        for call in ROWS:
            try:
                call(client)
            except OctopusError as error:
                ended.append(type(error).__name__)
            items += len(call.keys)
    counters = client.counters
    assert ended, "the faults strike"
    assert counters.attempts == len(shop.calls)
    assert counters.requests == len({record.headers["x-request-id"] for record in shop.calls})
    assert counters.retries == counters.attempts - counters.requests
    assert counters.sent_bytes == sum(len(record.request) for record in shop.calls)
    assert sum(counters.items.values()) == items
    assert counters.under_way == 0
    assert 0 < sum(counters.failures.values()) < counters.requests
    assert {"refused", "server"} <= counters.failures.keys() <= {kind.value for kind in FailureKind}


def test_bytes_are_counted_as_sent_and_read(shop: Emulator, watched) -> None:
    client = watched()
    client.get_item_list(["A", "B"])
    (record,) = shop.calls
    assert (client.counters.sent_bytes, client.counters.received_bytes) == (len(record.request), len(record.reply))


def test_items_are_counted_by_outcome(shop: Emulator, watched) -> None:
    client = watched()
    shop.script.on("GetItemList", key="B").do(Status(400))
    with pytest.raises(BatchError):
        client.get_item_list(["A", "B", "C", "D"], batch_size=1)
    assert client.counters.items == {"ok": 2, "failed": 1, "missing": 1}
    assert (client.counters.batches, client.counters.requests) == (4, 4)


def test_last_success_at_moves_with_successes_only(shop: Emulator, watched) -> None:
    client = watched(max_attempts=1)
    before = datetime.now(UTC)
    client.is_sku_exist("A")
    first = client.last_success_at
    assert before <= first <= datetime.now(UTC)
    assert first.utcoffset().total_seconds() == 0
    shop.script.on("*").do(Status(500))
    with pytest.raises(OctopusError):
        client.is_sku_exist("A")
    assert client.last_success_at == first
    assert client.counters.failures == {"server": 1}


def test_a_snapshot_stays_as_it_was(shop: Emulator, watched) -> None:
    client = watched()
    client.get_item_list(["A"])
    snapshot = client.counters
    snapshot.items["ok"] = 99
    client.get_item_list(["A"])
    assert snapshot.requests == 1
    assert client.counters.items == {"ok": 2}


def test_many_threads_lose_no_count(shop: Emulator, make_client) -> None:
    client = make_client(max_connections=8)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: client.is_sku_exist("A"), range(100)))
    assert (client.counters.requests, client.counters.attempts) == (100, len(shop.calls))


def test_what_zeep_sends_is_not_counted(shop: Emulator, make_client) -> None:
    client = make_client()
    account = OctopusSettings.load(**shop.settings()).sent_account_id
    assert client.zeep.service.IsSkuExist(accountID=account, sku="A") is True
    assert client.counters.requests == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_counts_on_although_another_thread_held_the_lock() -> None:
    tally = Tally(lambda: datetime.now(UTC))
    held, over = threading.Event(), threading.Event()

    def holding() -> None:
        with tally._lock:  # noqa: SLF001 - held as another thread would
            held.set()
            over.wait(30)

    thread = threading.Thread(target=holding)
    thread.start()
    held.wait(30)
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        tally.started(CallInfo("GetItemList"))
        os._exit(tally.snapshot().under_way)
    over.set()
    thread.join(30)
    _, code = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(code) == 1
