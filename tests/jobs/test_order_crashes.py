"""Orders and changes survive SIGKILL at every step.

On PostgreSQL they are killed inside transactions and between a request and its record, where the database matters.
`python -m tests.jobs.crash` kills both at every step, and at 200 random moments.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.jobs.crash import CrashHost, crash_host, survive
from tests.jobs.databases import each_database  # noqa: F401 - a fixture
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


ON_POSTGRES = {"orders.storing", "orders.claimed", "orders.handled", "orders.confirm_sent"} | {
    "changes.taken_off",
    "changes.handled",
    "changes.done",
}


@pytest.mark.parametrize("subject", [ORDERS_SUBJECT, CHANGES_SUBJECT], ids=["orders", "changes"])
def test_killed_at_any_step_the_job_ends_as_if_undisturbed(
    host: CrashHost, service: Emulator, tmp_path: Path, subject: Subject, database: str
) -> None:
    steps = [step for step in subject.steps if database == "sqlite" or step in ON_POSTGRES]
    tally = survive(host, subject, service, database, tmp_path, moments=0, steps=steps)
    assert set(tally.steps) == set(steps)


@pytest.mark.long
def test_killed_at_any_step_every_file_comes_once_although_files_are_taken_away(
    host: CrashHost, service: Emulator, tmp_path: Path
) -> None:
    steps = ["orders.claimed", "orders.handled", "orders.committed", "orders.confirming", "orders.confirm_sent"]
    survive(host, FILES_SUBJECT, service, "sqlite", tmp_path, moments=1, steps=steps)
