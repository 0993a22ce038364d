"""The samples as modules, and an environment in which they find the service of the test."""

from __future__ import annotations

import pytest


@pytest.fixture
def configured(service, monkeypatch, tmp_path):
    """OCTOPUS_* variables that lead to `service`; the working folder is empty, so that no .env is found."""
    for name, value in service.settings().items():
        monkeypatch.setenv(f"OCTOPUS_{name.upper()}", value)
    monkeypatch.setenv("OCTOPUS_BACKOFF_BASE", "0")
    monkeypatch.chdir(tmp_path)
    return service
