"""A gateway in front of the emulator, and a plain HTTP client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from gateway_stage import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap.emulator import Emulator


@pytest.fixture
def gateway(service: Emulator) -> Iterator[str]:
    service.store.add_item("S-1", Description="Mug", Price="7.50", Stock="12")
    service.store.add_item("S-2", Description="Bowl", Price="9.00", Stock="3")
    with running(service) as address:
        yield address


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session
