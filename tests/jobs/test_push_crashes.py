"""A push and a reconciliation, killed with SIGKILL, end as if undisturbed.

Quick tests try the steps at which the database matters, the long ones every step. `python -m tests.jobs.crash --moments
200` kills both at every step, and at more moments.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from octopus_soap.emulator import faults
from octopus_soap.jobs import Ledger, StockPush
from tests.jobs.crash import crash_host, survive
from tests.jobs.push_subject import COUNT, KNOWN, PUSH, PUSH_FILE, RECONCILE, wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator
    from tests.jobs.crash import CrashHost, Subject

AT_RISK = {"push.accepting", "push.sent", "push.recording"}
"""Steps within a transaction, and between a request and its record."""
RECONCILING = {"reconcile.read", "push.accepted"}
"""Steps of a reconciliation; it sends as a push does."""


@pytest.fixture(scope="module")
def host() -> Iterator[CrashHost]:
    with crash_host() as found:
        yield found


linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="forks, and takes dead processes' leases at once"
)


@linux
@pytest.mark.parametrize(("subject", "steps"), [(PUSH, AT_RISK), (RECONCILE, RECONCILING)], ids=["push", "reconcile"])
def test_killed_within_a_transaction_or_a_request_it_loses_nothing(
    host: CrashHost, subject: Subject, steps: set[str], service: Emulator, tmp_path: Path
) -> None:
    tally = survive(host, subject, service, "sqlite", tmp_path, moments=0, steps=sorted(steps))
    assert set(tally.steps) == steps


@pytest.mark.long
@linux
def test_killed_at_any_other_step_or_on_a_server_it_loses_nothing(
    host: CrashHost, service: Emulator, database: str, tmp_path: Path
) -> None:
    steps = set(PUSH.steps) - PUSH.unreached - AT_RISK if database == "sqlite" else AT_RISK
    tally = survive(host, PUSH, service, database, tmp_path, moments=0, steps=sorted(steps))
    assert set(tally.steps) == steps


@pytest.mark.long
@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and pushes a file without a name")
def test_a_file_is_pushed_whole_wherever_its_reading_is_killed(
    host: CrashHost, service: Emulator, chunks: int, tmp_path: Path
) -> None:
    tally = survive(host, PUSH_FILE, service, "sqlite", tmp_path, moments=0, visits=chunks, steps=["push.staged"])
    assert tally.at_steps == chunks


@pytest.mark.long
def test_under_faults_in_a_fifth_of_the_calls_the_end_is_the_same(
    service: Emulator, make_client: Callable[..., OctopusClient], make_ledger: Callable[..., Ledger]
) -> None:
    PUSH.prepare(service, "")
    failing = [
        faults.Status(503),
        faults.Reset("after"),
        faults.Truncate(0.5),
        faults.Fault(),
        faults.Reset("before"),
        faults.Status(502),
        faults.Html(),
    ]
    for seed, fault in enumerate(failing):
        service.script.on("*", probability=0.2 / len(failing), seed=seed).do(fault)
    ledger = make_ledger()
    push = StockPush(make_client(max_attempts=2), ledger, batch_size=4, max_change_share=1)
    for round_ in range(6):
        while push.run(wishes(round_)).exit_code == 2:
            pass
    hit = [call for call in service.calls if call.fault]
    assert len(hit) > len(service.calls) / 20, "faults did happen"
    service.script.clear()
    report = push.full_reconcile()
    assert report.counts.get("drifted", 0) == 0, "what was acknowledged is what the service has"
    wanted = {row["sku"]: (str(row["stock"]), row["price"]) for row in wishes(5)[:KNOWN]}
    found = {sku: (item["Stock"], f"{item['Price']:.2f}") for sku, item in service.store.items().items()}
    assert found == wanted
    assert report.problem_count == COUNT - KNOWN
