"""Run the command line in this process, against the emptied service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap.cli.commands import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap.emulator import Emulator


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def shell(
    service: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Ran]:
    """Run `octopus-soap WORDS...` with the service's variables, in an empty folder."""
    for name, value in service.settings().items():
        monkeypatch.setenv(f"OCTOPUS_{name.upper()}", value)
    monkeypatch.setenv("OCTOPUS_BACKOFF_BASE", "0")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(tmp_path)

    def ran(*words: str) -> Ran:
        capsys.readouterr()
        code = run(words)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return ran


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file of the given lines."""

    def write(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "file.csv"
        path.write_bytes("\n".join([*lines, ""]).encode(encoding))
        return path

    return write
