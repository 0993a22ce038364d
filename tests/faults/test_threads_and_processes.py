"""One client in many threads, two accounts at once, forks, and nothing left open."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import re
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import ClientClosedError, ItemQuantityAndPrice, OctopusClient, OctopusError, OctopusSettings
from octopus_soap.emulator import CloseIdle, Emulator, Latency, Merchant, Status
from tests.inside import codec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS, EACH = 24, 8
ONE, TWO = Merchant("one", "token-one", "access-one"), Merchant("two", "token-two", "access-two")


@pytest.fixture
def both() -> Iterator[Emulator]:
    with Emulator(merchants=[ONE, TWO]) as service:
        yield service


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


def side_by_side(work: Any, threads: int = THREADS) -> list[Any]:
    start = threading.Barrier(threads)

    def begin(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def test_one_client_in_many_threads_mixes_nothing_up(service, make_client, caplog):
    client = make_client(max_connections=8)
    service.store.add_items([{"Sku": f"T{n}", "Stock": str(n)} for n in range(THREADS)])

    def work(number: int) -> int:
        sku, wrong = f"T{number}", 0
        for turn in range(EACH):
            if turn % 4:
                wrong += client.get_item_quantity(sku) != number
            else:
                wrong += [item.sku for item in client.get_item_list([sku, "none", f"T{(number + 1) % THREADS}"])] != [
                    sku,
                    f"T{(number + 1) % THREADS}",
                ]
        return wrong

    assert sum(side_by_side(work)) == 0
    assert len(service.calls) == THREADS * EACH
    assert len({call.connection for call in service.calls}) <= 8
    assert "pool is full" not in caplog.text
    assert len({call.headers["x-request-id"] for call in service.calls}) == THREADS * EACH


def test_two_accounts_interleaved_never_cross(both):
    for merchant, price in ((ONE, 1), (TWO, 2)):
        both.store.add_item("A", Price=Decimal(price), Stock=price, merchant=merchant.name)
    clients = [OctopusClient(**both.settings(merchant.name)) for merchant in (ONE, TWO)]

    def work(number: int) -> list[int]:
        return [clients[(number + turn) % 2].get_item_quantity("A") - (number + turn) % 2 for turn in range(10)]

    assert {value for found in side_by_side(work, 16) for value in found} == {1}
    for call in both.calls:
        merchant = {"one": ONE, "two": TWO}[call.merchant]
        assert re.search(rb"accountID>([^<]*)<", call.request)[1].decode() == merchant.accessid
    by_connection: dict[int, set[str]] = {}
    for call in both.calls:
        by_connection.setdefault(call.connection, set()).add(call.merchant)
    assert all(len(merchants) == 1 for merchants in by_connection.values()), "clients share no connection"
    for client in clients:
        client.close()


def test_an_account_named_per_call_is_that_calls_alone(both):
    both.store.add_item("A", Stock=1, merchant="one")
    with OctopusClient(**both.settings("one")) as client:
        accounts = [None if n % 2 else "someone-else" for n in range(16)]

        def work(number: int) -> None:
            try:
                client.get_item_quantity("A", account_id=accounts[number])
            except OctopusError:
                assert accounts[number] is not None

        side_by_side(work, 16)
    sent = [re.search(rb"accountID>([^<]*)<", call.request)[1] for call in both.calls]
    assert sent.count(b"someone-else") == 2 * 8 or sent.count(b"someone-else") == 8
    assert sent.count(b"access-one") == 8


def test_the_pool_blocks_instead_of_opening_more_sockets(service, make_client):
    client = make_client(max_connections=3)
    service.script.on("*").do(Latency(0.01))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        side_by_side(lambda _: [client.is_sku_exist("A") for _ in range(5)], 16)
    assert len(service.calls) == 80
    assert len({call.connection for call in service.calls}) <= 3


def test_parallel_batches_keep_to_the_limit_too(service, make_client):
    client = make_client(max_connections=4)
    service.script.on("*").do(Latency(0.01))
    client.is_sku_exist_list([f"S{n}" for n in range(100)], batch_size=5)
    assert len({call.connection for call in service.calls}) <= 4
    assert len(service.calls) == 20


def test_the_next_request_does_not_wait_until_an_answer_is_decoded(service, make_client, monkeypatch):
    client = make_client(max_connections=2)
    decode, first_ended, more = codec_of(client).decode, threading.Event(), threading.Event()

    def held(*given: Any, **named: Any) -> Any:
        if first_ended.is_set():
            assert more.wait(30), "no request came while answers were not decoded"
        answer = decode(*given, **named)
        if b">S0<" in given[1].body:  # no more batches begin before: the first may end the call
            first_ended.set()
        return answer

    def watch() -> None:
        # Without the places that answered batches free, four at most: two that ended, two that are held.
        while len(service.calls) < 5 and not more.wait(0.01):
            pass
        more.set()

    monkeypatch.setattr(codec_of(client), "decode", held)
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        assert client.is_sku_exist_list([f"S{n}" for n in range(40)], batch_size=5) == [False] * 40
    finally:
        more.set()
        watching.join()
    assert len({call.connection for call in service.calls}) <= 2


def test_a_stop_lets_no_batch_leave_that_was_begun_ahead(service, make_client):
    stop = threading.Event()
    service.script.on("*").do(Latency(0.2))
    client = make_client(max_connections=2).with_options(stop=stop)
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    with pytest.raises(OctopusError) as caught:
        client.is_sku_exist_list([f"S{n}" for n in range(40)], batch_size=5)
    timer.join()
    assert len(service.calls) <= 2
    assert len(caught.value.result.outcomes) == 40
    assert sum(outcome.status == "not_sent" for outcome in caught.value.result.outcomes) >= 30


def test_writes_go_one_batch_after_another_unless_told_otherwise(service, client):
    service.store.add_items([{"Sku": f"S{n}"} for n in range(40)])
    client.update_item_quantity_and_price_list(
        [ItemQuantityAndPrice(sku=f"S{n}", stock=n) for n in range(40)], batch_size=10
    )
    assert [call.keys[0] for call in service.calls] == ["S0", "S10", "S20", "S30"]
    assert len({call.connection for call in service.calls}) == 1


def test_no_thread_is_left_after_a_parallel_call(service, make_client):
    client = make_client()
    client.is_sku_exist_list([f"S{n}" for n in range(100)], batch_size=5)
    for thread in threading.enumerate():
        if thread.name.startswith("octopus-soap"):
            thread.join(30)
            assert not thread.is_alive()


# -- processes -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_calls_of_its_own(service, make_client):
    client = make_client(max_connections=2)
    service.store.add_item("A", Stock=7)
    assert client.get_item_quantity("A") == 7
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if [client.get_item_quantity("A") for _ in range(3)] == [7, 7, 7] else 2
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert client.get_item_quantity("A") == 7
    by_connection: dict[int, int] = {}
    for call in service.calls:
        by_connection[call.connection] = by_connection.get(call.connection, 0) + 1
    assert sorted(by_connection.values()) == [2, 3, 3, 3], "no child used its parent's socket"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_every_connection_is_taken_is_not_starved(service, make_client):
    client = make_client(max_connections=1, total_timeout=5.0)
    service.store.add_item("A", Stock=7)
    service.script.on("IsSkuExist").do(Latency(1.0))
    busy = threading.Thread(target=lambda: client.is_sku_exist("A"))
    busy.start()
    service.wait_for_calls()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if client.with_options(total_timeout=0.8).get_item_quantity("A") == 7 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    busy.join()


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_client_refuses_to_be_copied_and_says_what_to_do(client, travel):
    with pytest.raises(OctopusError, match="one client per process"):
        travel(client)


# -- closing -------------------------------------------------------------------------------------------------------


def test_close_is_idempotent_and_final(service):
    client = OctopusClient(**service.settings())
    view = client.with_options(read_timeout=1.0)
    client.is_sku_exist("A")
    for _ in range(3):
        client.close()
    for other in (client, view):
        with pytest.raises(ClientClosedError):
            other.is_sku_exist("A")
        with pytest.raises(ClientClosedError):
            other.get_item_list(["A"])
        with pytest.raises(ClientClosedError):
            other.zeep.service.IsSkuExist(accountID="x", sku="A")
    assert len(service.calls) == 1
    with client:
        pass


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_many_clients_leave_no_descriptor(service):
    settings = OctopusSettings.load(**service.settings())
    service.store.add_item("A")
    OctopusClient(settings=settings).close()
    gc.collect()
    before = descriptors()
    for number in range(60):
        with OctopusClient(settings=settings) as client:
            if number % 10 == 0:
                assert client.is_sku_exist("A")
    wait_for(before)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_clients_nobody_closed_leave_no_descriptor_either(service):
    settings = OctopusSettings.load(**service.settings())
    gc.collect()
    before = descriptors()
    for _ in range(20):
        OctopusClient(settings=settings).is_sku_exist("A")
    wait_for(before)


def wait_for(before: int) -> None:
    """Wait until the service has closed its ends, a moment after the client."""
    moment = threading.Event()
    for _ in range(200):
        gc.collect()
        if descriptors() <= before + 5:
            return
        moment.wait(0.02)
    pytest.fail(f"{descriptors() - before} descriptors are left")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_failures_leave_no_descriptor(service, make_client):
    client = make_client()
    service.script.on("*", every=2).do(Status(503))
    service.script.on("*", every=3).do(CloseIdle())
    client.is_sku_exist("A")
    before = descriptors()
    for _ in range(60):
        client.is_sku_exist("A")
    assert descriptors() <= before + 5
