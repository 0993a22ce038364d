"""Fixtures of the jobs' tests: ledgers on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octopus_soap.jobs import Ledger
from tests.jobs.databases import KINDS, fresh, new_sqlite_ledger, quick_hash, why_no_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> str:
    """The kind of the ledger: `sqlite` or `postgresql`; skipped if no server answers."""
    if request.param == "postgresql" and (why := why_no_postgres()):
        pytest.skip(why)
    return request.param


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash accounts quickly, except in the tests of the ledger and other folders."""
    monkeypatch.setattr("octopus_soap.jobs.ledger._hashed", quick_hash)


@pytest.fixture
def new_ledger() -> bytes:
    """The file of an empty ledger; the tests of the ledger itself create its tables."""
    return new_sqlite_ledger()


@pytest.fixture
def place(database: str, tmp_path: Path, new_ledger: bytes) -> Iterator[str]:
    """The place of an empty ledger."""
    with fresh(database, tmp_path, new_ledger) as found:
        yield found


@pytest.fixture
def make_ledger(place: str) -> Iterator[Callable[..., Ledger]]:
    """Open ledgers at `place`, and close them after the test."""
    made: list[Ledger] = []

    def make(**given: object) -> Ledger:
        made.append(Ledger(place, **given))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


@pytest.fixture
def ledger(make_ledger: Callable[..., Ledger]) -> Ledger:
    """An empty ledger."""
    return make_ledger()
