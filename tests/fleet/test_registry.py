"""The registry: changes are whole, take effect at once, and show no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from octopus_soap import InvalidInputError
from octopus_soap.errors import ConfigError
from octopus_soap.fleet import Registry
from octopus_soap.fleet.registry import JOBS, next_time
from octopus_soap.fleet.vault import Vault
from octopus_soap.jobs import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "canary-token"
GIVEN: dict[str, Any] = {
    "endpoint": "https://shop.example/OctopusService.svc",
    "merchantname": "berlin-shop",
    "authtoken": TOKEN,
    "accessid": "canary-id",
}


@pytest.fixture
def ledger(place: str) -> Iterator[Ledger]:
    with Ledger(place) as made:
        yield made


@pytest.fixture
def registry(ledger: Ledger) -> Registry:
    return Registry(ledger, Vault(Fernet.generate_key().decode()))


def test_a_merchant_is_added_shown_without_secrets_and_its_settings_are_whole(
    registry: Registry, ledger: Ledger
) -> None:
    made = registry.add(
        "berlin", **GIVEN, settings={"max_attempts": 2}, labels={"region": "north"}, every={"push": 300}
    )
    assert (made.state, made.labels, made.secrets["authtoken"]) == ("active", {"region": "north"}, "encrypted")
    assert TOKEN not in repr(made)
    _, settings = registry.settings_of("berlin")
    assert settings.authtoken.get_secret_value() == TOKEN
    assert settings.max_attempts == 2
    with ledger.reading() as connection:
        rows = connection.execute(text("SELECT * FROM fleet_merchant")).all()
    assert TOKEN not in repr(rows)
    assert "canary-id" not in repr(rows)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"endpoint": "not a url"}, "endpoint"),
        ({"settings": {"max_attempts": 0}}, "max_attempts"),
        ({"settings": {"nonsense": 1}}, "nonsense"),
        ({"settings": {"authtoken": "x"}}, "authtoken"),
        ({"authtoken": ""}, "authtoken"),
        ({"every": {"nothing": 60}}, "nothing"),
        ({"every": {"push": 0}}, "7 days"),
    ],
)
def test_what_no_client_could_use_is_refused_and_nothing_is_stored(
    registry: Registry, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        registry.add("berlin", **{**GIVEN, **change})
    assert words in str(raised.value)
    assert registry.all() == []


@pytest.mark.parametrize("name", ["", "x" * 61, "tab\tname", " berlin"])
def test_a_name_that_cannot_be_one_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(ConfigError):
        registry.add(name, **GIVEN)


def test_a_name_is_taken_once_and_unknown_ones_are_named(registry: Registry) -> None:
    registry.add("berlin", **GIVEN)
    with pytest.raises(ConfigError, match="already"):
        registry.add("berlin", **GIVEN)
    for call in (registry.get, registry.pause, registry.resume, registry.remove, registry.settings_of):
        with pytest.raises(ConfigError, match="'paris'"):
            call("paris")


def test_set_changes_what_is_given_and_nothing_else(registry: Registry) -> None:
    registry.add("berlin", **GIVEN, labels={"a": "1"})
    changed = registry.set("berlin", authtoken="new-canary", labels={"b": "2"})
    assert (changed.merchantname, changed.labels) == ("berlin-shop", {"b": "2"})
    _, settings = registry.settings_of("berlin")
    assert settings.authtoken.get_secret_value() == "new-canary"
    assert settings.accessid.get_secret_value() == "canary-id"


def test_keys_are_rotated_for_all(ledger: Ledger) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    Registry(ledger, Vault(old)).add("berlin", **GIVEN)
    assert Registry(ledger, Vault(f"{new},{old}")).rotate_keys() == 1
    _, settings = Registry(ledger, Vault(new)).settings_of("berlin")
    assert settings.authtoken.get_secret_value() == TOKEN


def test_a_file_is_imported_whole_or_not_at_all(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "merchants.csv"
    head = "name,endpoint,merchantname,authtoken,accessid,push_every,orders_every,label:region,setting:max_attempts\n"
    good = "berlin,https://a.example/s.svc,b,env:B_TOKEN,env:B_ID,300,60,north,2\n"
    file.write_text(
        f"{head}{good}paris,not a url,p,env:P,env:Q,,,,\nberlin,https://a.example/s.svc,b,env:B,env:C,,,,\n"
    )
    with pytest.raises(InvalidInputError) as raised:
        registry.import_csv(file)
    assert [problem.index for problem in raised.value.problems] == [1, 2]
    assert registry.all() == []
    file.write_text(head + good)
    assert registry.import_csv(file) == 1
    assert registry.import_csv(file) == 1, "again: changed, not doubled"
    (berlin,) = registry.all()
    assert (berlin.labels, berlin.settings) == ({"region": "north"}, {"max_attempts": 2})
    assert berlin.secrets["authtoken"] == "env:B_TOKEN"


def test_removing_with_purge_empties_the_merchants_ledger_and_no_other(registry: Registry, ledger: Ledger) -> None:
    for name in ("berlin", "paris"):
        registry.add(name, **GIVEN, every={"push": 60})
        with ledger.transaction() as connection:
            connection.execute(text("INSERT INTO run_lock (channel, job) VALUES (:name, 'push')"), {"name": name})
    registry.remove("berlin", purge=True)
    with ledger.reading() as connection:
        assert connection.execute(text("SELECT channel FROM run_lock")).scalars().all() == ["paris"]
        assert connection.execute(text("SELECT name FROM fleet_schedule")).scalars().all() == ["paris"]


def test_turns_are_spread_over_the_period_and_never_in_the_past(ledger: Ledger) -> None:
    now = ledger.now()
    for job in JOBS:
        waits = [(next_time(f"shop-{index}", job, 60, now) - now).total_seconds() for index in range(400)]
        assert all(0 < wait <= 60 for wait in waits)
        assert max(sum(low <= wait < low + 6 for wait in waits) for low in range(0, 60, 6)) < 80, "no herd"
    first = next_time("shop-1", "push", 60, now)
    assert (next_time("shop-1", "push", 60, first) - first).total_seconds() == pytest.approx(60)
