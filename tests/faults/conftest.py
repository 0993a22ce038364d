"""Fixtures of the tests under faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.catalogue import seed

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator


@pytest.fixture
def shop(service: Emulator) -> Emulator:
    """The emulated service with a shop in which the call of every row succeeds."""
    seed(service)
    return service
