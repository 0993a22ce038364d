"""Orders and changes survive SIGKILL.

Quick tests try the steps at which the database matters, the long ones every step. `python -m tests.jobs.crash` kills
both jobs at every step, and at 200 random moments.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.jobs.crash import CrashHost, crash_host, survive
from tests.jobs.order_subject import CHANGES_SUBJECT, FILES_SUBJECT, ORDERS_SUBJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from octopus_soap.emulator import Emulator
    from tests.jobs.crash import Subject

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


@pytest.fixture(scope="module")
def host() -> Iterator[CrashHost]:
    with crash_host() as found:
        yield found


AT_RISK = {"orders.storing", "orders.handled", "orders.confirm_sent", "changes.taken_off", "changes.handled"}
"""Steps within a transaction, and between a request and its record."""
IDS = ["orders", "changes"]
EACH_JOB = pytest.mark.parametrize("subject", [ORDERS_SUBJECT, CHANGES_SUBJECT], ids=IDS)


@pytest.mark.parametrize("subject", [ORDERS_SUBJECT, pytest.param(CHANGES_SUBJECT, marks=pytest.mark.long)], ids=IDS)
def test_killed_within_a_transaction_or_a_request_the_job_ends_as_if_undisturbed(
    host: CrashHost, service: Emulator, tmp_path: Path, subject: Subject
) -> None:
    steps = AT_RISK.intersection(subject.steps)
    tally = survive(host, subject, service, "sqlite", tmp_path, moments=0, steps=sorted(steps))
    assert set(tally.steps) == steps


@pytest.mark.long
@EACH_JOB
def test_killed_at_any_other_step_or_on_a_server_the_job_ends_as_if_undisturbed(
    host: CrashHost, service: Emulator, tmp_path: Path, subject: Subject, database: str
) -> None:
    steps = set(subject.steps) - AT_RISK if database == "sqlite" else AT_RISK.intersection(subject.steps)
    tally = survive(host, subject, service, database, tmp_path, moments=0, steps=sorted(steps))
    assert set(tally.steps) == steps


@pytest.mark.long
def test_killed_at_any_step_every_file_comes_once_although_files_are_taken_away(
    host: CrashHost, service: Emulator, tmp_path: Path
) -> None:
    steps = ["orders.claimed", "orders.handled", "orders.committed", "orders.confirming", "orders.confirm_sent"]
    survive(host, FILES_SUBJECT, service, "sqlite", tmp_path, moments=1, steps=steps)
