"""An idle run makes few statements: a fleet makes hundreds of such runs a minute."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from octopus_soap.jobs import Ledger, OrderInbox, StockPush
from tests.jobs.shops import sell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator

BEFORE = {"push": 57, "orders": 66}
"""Statements of an idle run, opening the ledger and its connections included, when each run opened its own."""


@contextmanager
def statements() -> Iterator[list[str]]:
    """Record every statement that SQLAlchemy sends while the block runs."""
    found: list[str] = []

    def note(*given: Any) -> None:
        found.append(given[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_an_idle_push_asks_the_ledger_less_than_half_of_what_it_did(
    service: Emulator, client: OctopusClient, place: str
) -> None:
    service.store.add_items({"Sku": f"S{number:02}", "Stock": "7"} for number in range(20))
    wishes = [{"sku": f"S{number:02}", "stock": 5} for number in range(20)]
    with Ledger(place) as ledger:
        assert StockPush(client, ledger).run(wishes).counts["acknowledged"] == 20
    calls = len(service.calls)
    with statements() as found, Ledger(place) as ledger:
        report = StockPush(client, ledger).run(wishes)
    assert (report.exit_code, report.counts["unchanged"], len(service.calls)) == (0, 20, calls)
    assert 2 * len(found) <= BEFORE["push"], found


def test_an_idle_orders_run_asks_the_ledger_less_than_half_of_what_it_did(
    service: Emulator, client: OctopusClient, place: str
) -> None:
    sell(service, 1)
    with Ledger(place) as ledger:
        assert OrderInbox(client, ledger).run(lambda *_: None).counts["confirmed"] == 1
    with statements() as found, Ledger(place) as ledger:
        report = OrderInbox(client, ledger).run(lambda *_: None)
    assert (report.exit_code, report.counts) == (
        0,
        {"downloaded": 0, "other_status": 0, "same_id": 0, "windows": 1}
        | {name: count for name, count in report.counts.items() if not count},
    )
    assert 2 * len(found) <= BEFORE["orders"], found
