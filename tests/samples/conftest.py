"""Import the samples as modules, and set the environment for the test's service."""

from __future__ import annotations

import pytest


@pytest.fixture
def configured(service, monkeypatch, tmp_path):
    """Set OCTOPUS_* variables for `service`, and an empty folder without .env."""
    for name, value in service.settings().items():
        monkeypatch.setenv(f"OCTOPUS_{name.upper()}", value)
    monkeypatch.setenv("OCTOPUS_BACKOFF_BASE", "0")
    monkeypatch.chdir(tmp_path)
    return service
