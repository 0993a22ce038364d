"""Only references and ciphertexts are stored, valid for one merchant and field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from octopus_soap.errors import ConfigError
from octopus_soap.fleet.vault import Vault, describe, new_key
from tests.every import every

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "canary-secret-value"


def test_a_secret_is_encrypted_and_read_again() -> None:
    vault = Vault(new_key())
    stored = vault.store("berlin", "authtoken", SECRET)
    assert SECRET not in stored
    assert describe(stored) == "encrypted"
    assert vault.read("berlin", "authtoken", stored) == SECRET
    assert SECRET not in repr(vault)


@every(("merchant", "field"), [("paris", "authtoken"), ("berlin", "accessid")])
def test_a_ciphertext_copied_elsewhere_is_refused(merchant: str, field: str) -> None:
    vault = Vault(new_key())
    stored = vault.store("berlin", "authtoken", SECRET)
    with pytest.raises(ConfigError, match="another merchant or field") as raised:
        vault.read(merchant, field, stored)
    assert SECRET not in str(raised.value)


def test_keys_rotate_while_both_are_known() -> None:
    old, new = new_key(), new_key()
    stored = Vault(old).store("berlin", "authtoken", SECRET)
    both = Vault(f"{new}, {old}")
    renewed = both.renew("berlin", "authtoken", stored)
    assert renewed != stored
    assert Vault(new).read("berlin", "authtoken", renewed) == SECRET
    with pytest.raises(ConfigError, match="OCTOPUS_FLEET_KEYS"):
        Vault(new).read("berlin", "authtoken", stored)


def test_references_are_read_where_they_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault("")
    monkeypatch.setenv("BERLIN_TOKEN", SECRET)
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    for reference in ("env:BERLIN_TOKEN", f"file:{file}"):
        assert vault.store("berlin", "authtoken", reference) == reference
        assert vault.read("berlin", "authtoken", reference) == SECRET


@every(
    ("stored", "words"),
    [
        ("env:NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE"),
        ("file:/no/such/file", "/no/such/file"),
        ("nowhere:x", "nowhere"),
        ("fernet:garbage", "OCTOPUS_FLEET_KEYS"),
    ],
)
def test_a_secret_that_cannot_be_read_is_an_error_that_says_where(stored: str, words: str) -> None:
    with pytest.raises(ConfigError, match="berlin") as raised:
        Vault(Fernet.generate_key().decode()).read("berlin", "authtoken", stored)
    assert words in str(raised.value)


@every("value", ["", "  ", "token\n", " token", "fernet:abc"])
def test_a_secret_that_cannot_be_one_is_refused(value: str) -> None:
    with pytest.raises(ConfigError):
        Vault(new_key()).store("berlin", "authtoken", value)


def test_a_plain_secret_needs_a_key() -> None:
    with pytest.raises(ConfigError, match="fleet new-key"):
        Vault("").store("berlin", "authtoken", SECRET)
    with pytest.raises(ConfigError, match="not a Fernet key"):
        Vault("short").store("berlin", "authtoken", SECRET)
