"""Several processes share one push: each SKU is sent once, even if processes die.

`python -m tests.jobs.push_crowd --skus 20000` does the same with four processes, two of which are killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.databases import fresh, why_no_postgres
from tests.jobs.push_crowd import share, share_and_die

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from octopus_soap.emulator import Emulator

pytestmark = pytest.mark.long

COUNT, BATCH = 2_000, 100


@pytest.fixture
def quick_hashes() -> None:
    """Change nothing: the workers hash accounts as in a shop."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """A ledger that several hosts could share."""
    if why := why_no_postgres():
        pytest.skip(why)
    with fresh("postgresql", tmp_path) as found:
        yield found


def test_processes_beside_each_other_send_each_sku_exactly_once(service: Emulator, place: str) -> None:
    share(service, place, skus=COUNT, batch=BATCH, processes=3)


def test_processes_die_and_all_is_done(service: Emulator, place: str) -> None:
    share_and_die(service, place, skus=COUNT, batch=BATCH, die_at=[1, 0])
