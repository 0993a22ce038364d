"""fleet.toml: its values, and an error that names each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octopus_soap.errors import ConfigError
from octopus_soap.fleet.config import FleetConfig, read_config
from octopus_soap.fleet.engines import SLOTS

if TYPE_CHECKING:
    from pathlib import Path

MISTAKES = [
    ('nam = "x"', "there is no nam; did you mean name?"),
    ("[slots]\npus = 2", "there is no slots.pus; did you mean slots.push?"),
    ("colour = 1", "there is no colour; there are name, ledger"),
    ('workers = "2"', "workers must be a whole number from 1 to 10000, not '2'"),
    ("workers = true", "workers must be a whole number"),
    ("slots = 3", r"slots must be a table: \[slots\]"),
    ("[slots]\npush = 0", "slots.push must be a whole number from 1"),
    ("budget = 0", "budget must be seconds, more than 0"),
    ("tick_seconds = 'soon'", "tick_seconds must be seconds"),
    ("module = 7", "module must be a text in quotation marks, not 7"),
    ("ledger = ['canary']", "ledger must be a text in quotation marks, such as a file or a URL"),
    ('name = "x', "cannot be read: Unterminated"),
    ("\udcff", "cannot be read: .*utf-8"),
]


def test_what_it_gives_and_what_it_leaves_out(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text('ledger = "shops.db"\nname = "north"\nbudget = 5\n[slots]\npush = 3\n')
    found = read_config(file)
    assert (found.ledger, found.name, found.budget) == (str(tmp_path / "shops.db"), "north", 5.0)
    assert (found.module, found.broker, found.workers) == (None, None, None)
    assert found.slots == {**SLOTS, "push": 3}
    assert found.folder == tmp_path
    file.write_text('ledger = "postgresql://jobs@db/shops"')
    assert read_config(file).ledger == "postgresql://jobs@db/shops"
    assert FleetConfig().slots == SLOTS


def test_a_mistake_is_refused_with_the_file_and_the_key(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    for written, message in MISTAKES:
        file.write_text(written, errors="surrogateescape")
        with pytest.raises(ConfigError, match=message) as caught:
            read_config(file)
        assert str(file) in caught.value.message
        assert "canary" not in caught.value.message
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "none.toml")
