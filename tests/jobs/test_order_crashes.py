"""Orders and changes survive SIGKILL: at every step, and at some random moments (`python -m tests.jobs.crash`: 200)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.jobs.crash import CrashHost, crash_host, survive
from tests.jobs.databases import KINDS, why_no_postgres
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


@pytest.mark.parametrize("database", KINDS)
@pytest.mark.parametrize("subject", [ORDERS_SUBJECT, CHANGES_SUBJECT], ids=["orders", "changes"])
def test_killed_at_any_step_the_job_ends_as_if_undisturbed(
    host: CrashHost, service: Emulator, tmp_path: Path, subject: Subject, database: str
) -> None:
    if database == "postgresql" and (why := why_no_postgres()):
        pytest.skip(why)
    tally = survive(host, subject, service, database, tmp_path, moments=2)
    assert set(tally.steps) == set(subject.steps)


def test_killed_at_any_step_every_file_comes_once_although_files_are_taken_away(
    host: CrashHost, service: Emulator, tmp_path: Path
) -> None:
    survive(host, FILES_SUBJECT, service, "sqlite", tmp_path, moments=2)
