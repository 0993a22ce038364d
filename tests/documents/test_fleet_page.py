"""The fleet's pages: systemd units and a compose file whose commands exist."""

from __future__ import annotations

import re
import shlex
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from benchmarks import fleet_page
from octopus_soap.cli.commands import run
from octopus_soap.fleet.config import read_config

if TYPE_CHECKING:
    import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "fleet-celery.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def check_command(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that the program has the command and its options, by their help."""
    program, *words = shlex.split(line)
    assert Path(program).name == "octopus-soap"
    words.append("--help")
    monkeypatch.setattr(sys, "argv", [program, *words])
    assert run(words) == 0, line


def test_the_units_and_the_compose_file_can_be_read_and_their_commands_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    units = []
    for text in blocks("ini"):
        unit = ConfigParser(interpolation=None)
        unit.optionxform = str  # systemd's names have capitals
        unit.read_string(text)
        assert unit["Service"]["Restart"] == "always"
        units.append(unit["Service"]["ExecStart"])
    compose = yaml.safe_load(blocks("yaml")[0])
    services = compose["services"]
    assert set(services["tick"]["depends_on"]) <= set(services)
    assert {volume.partition(":")[0] for one in services.values() for volume in one.get("volumes", ())} == {
        *compose["volumes"]
    }
    commands = [*units, *(one["command"] for one in services.values() if "command" in one)]
    assert len(commands) == 6
    for line in commands:
        check_command(line, monkeypatch)
    file = tmp_path / "fleet.toml"
    file.write_text(blocks("toml")[0])
    assert read_config(file).workers == 2


def test_the_sizing_pages_tables_are_what_was_measured() -> None:
    page = fleet_page.PAGE.read_text(encoding="utf-8")
    assert fleet_page.with_tables(page, fleet_page.kept_rows()) == page, "run benchmarks.fleet --page, and edit no row"
    assert page.count("| holds |") > 5
