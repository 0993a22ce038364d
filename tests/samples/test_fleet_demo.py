"""The fleet's demo ends with no differences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_the_fleets_demo_ends_with_no_differences() -> None:
    command = [sys.executable, ROOT / "samples" / "fleet_demo.py", "--merchants", "5", "--seconds", "100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=115, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no differences" in done.stdout
