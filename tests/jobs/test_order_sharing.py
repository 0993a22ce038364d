"""Several processes share the orders of one ledger, also while the service fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octopus_soap.emulator import faults
from octopus_soap.jobs import ChangeFeed, OrderInbox
from tests.jobs.databases import both, one_database  # noqa: F401 - a fixture
from tests.jobs.order_crowd import share
from tests.jobs.shops import Clock, book, bookings, confirmed, open_books, sell

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.jobs import Change, Ledger


@pytest.mark.long
@both
def test_three_processes_share_the_orders_and_two_are_killed(service: Emulator, place: str) -> None:
    crowd = share(service, place, orders=60, processes=3, kill_after={1: 15, 0: 30})
    assert sorted(crowd.killed) == [0, 1]


FAULTS = (
    faults.Status(503),
    faults.Reset(when="after"),
    faults.Truncate(0.6),
    faults.Fault("internal"),
    faults.Html(),
)


def fail_every_fifth(service: Emulator) -> None:
    for seed, fault in enumerate(FAULTS):
        service.script.on("*", probability=0.045, seed=seed).do(fault)


def test_with_every_fifth_call_failing_orders_end_as_if_undisturbed(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock = Clock()
    ledger = make_ledger(clock=clock)
    open_books(ledger)
    sold = [sell(service, number, stores=("S1", "S2") if number % 9 == 0 else ()) for number in range(40)]
    client.get_order_list()  # proves the credentials, so that a fault does not count as a refusal
    fail_every_fifth(service)
    inbox = OrderInbox(client, ledger, transactional=True)
    for _ in range(6):
        inbox.run(book)
        clock.forward(hours=7)
    service.script.clear()
    assert inbox.run(book).exit_code == 0
    assert bookings(ledger) == sold
    assert confirmed(service) == set(sold)


def test_with_every_fifth_call_failing_changes_end_as_if_undisturbed(
    service: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger]
) -> None:
    clock, copies = Clock(), dict[str, str | None]()

    def keep(change: Change) -> None:
        copies[change.sku] = None if change.item is None else change.item.stock

    stock = {f"S{number:02}": str(number) for number in range(40)}
    service.store.add_items([{"Sku": sku, "Stock": pieces} for sku, pieces in stock.items()], changed=True)
    client.get_item_tbl_list()
    fail_every_fifth(service)
    feed = ChangeFeed(client, make_ledger(clock=clock))
    for _ in range(6):
        feed.run(keep)
        clock.forward(hours=7)
    service.script.clear()
    assert feed.run(keep).exit_code == 0
    assert copies == stock
    assert service.store.change_queue() == []
