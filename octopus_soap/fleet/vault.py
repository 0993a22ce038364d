"""Secrets of merchants, stored as a reference or a ciphertext, never in clear.

* `env:NAME`: an environment variable of the worker.
* `file:/run/secrets/berlin`: the first line of a file.
* another scheme: a function of the entry point group `octopus_soap.fleet.secrets`, called with the text after the
  colon.
* `fernet:...`: encrypted with a key of `OCTOPUS_FLEET_KEYS` (comma-separated; the first encrypts, all decrypt). The
  ciphertext includes the merchant's name: one that is copied to another merchant's row is refused.

Messages have the scheme and the name, never the secret or the ciphertext.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS_VARIABLE = "OCTOPUS_FLEET_KEYS"
FERNET = "fernet"
_GROUP = "octopus_soap.fleet.secrets"


class Vault:
    """Reads, encrypts and decrypts secrets.

    Args:
        keys: Fernet keys, comma-separated; the variable `OCTOPUS_FLEET_KEYS` by default.
    """

    def __init__(self, keys: str | None = None) -> None:
        self._given = os.environ.get(KEYS_VARIABLE, "") if keys is None else keys

    def __repr__(self) -> str:
        return f"<Vault {len(self._names())} keys>"

    def _names(self) -> list[str]:
        return [key.strip() for key in self._given.split(",") if key.strip()]

    def _fernet(self) -> Any:
        try:
            from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - only encrypted secrets need the library
        except ModuleNotFoundError:
            raise ConfigError("encrypted secrets need the extra `fleet`: pip install 'octopus-soap[fleet]'") from None
        if not self._names():
            raise ConfigError(
                f"encrypted secrets need a key: export {KEYS_VARIABLE}=$(octopus-soap fleet new-key), and keep it: "
                "without it they cannot be read again"
            )
        try:
            return MultiFernet([Fernet(key) for key in self._names()])
        except ValueError:
            raise ConfigError(f"{KEYS_VARIABLE}: not a Fernet key; make one with octopus-soap fleet new-key") from None

    def store(self, merchant: str, field: str, value: str) -> str:
        """Return the stored form of a secret: a reference unchanged, or a ciphertext.

        Args:
            merchant: the merchant's name.
            field: such as `authtoken`.
            value: a reference such as `env:BERLIN_TOKEN`, or the secret.

        Raises:
            ConfigError: there is no key to encrypt with, or the secret is empty.
        """
        if not value.strip() or value != value.strip():
            raise ConfigError(f"{merchant}: {field} is empty, or begins or ends with a blank or a newline")
        scheme = value.partition(":")[0]
        if ":" in value and (scheme in {"env", "file"} or scheme in _schemes()):
            return value
        if scheme == FERNET:
            raise ConfigError(f"{merchant}: {field} is a ciphertext; give the secret itself, or a reference")
        sealed = json.dumps([merchant, field, value]).encode()
        return f"{FERNET}:{self._fernet().encrypt(sealed).decode()}"

    def read(self, merchant: str, field: str, stored: str) -> str:
        """Return a secret.

        Raises:
            ConfigError: it cannot be read: the variable, file or key is missing, or it is another merchant's secret.
        """
        scheme, _, rest = stored.partition(":")
        where = f"{merchant}: {field}"
        if scheme == "env":
            found = os.environ.get(rest)
            if not found:
                raise ConfigError(f"{where}: the variable {rest} is not set where this worker runs")
            return found
        if scheme == "file":
            try:
                lines = Path(rest).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"{where}: cannot read {rest}: {getattr(error, 'strerror', None) or 'not text'}"
                ) from None
            if not lines or not lines[0].strip():
                raise ConfigError(f"{where}: {rest} is empty")
            return lines[0].strip()
        if scheme == FERNET:
            return self._decrypted(merchant, field, rest)
        read = _schemes().get(scheme)
        if read is None:
            raise ConfigError(f"{where}: no way to read a secret of the scheme {scheme[:20]!r} is installed")
        try:
            return read(rest)
        except Exception as error:  # noqa: BLE001 - a user's code may raise anything; its message may have the secret
            raise ConfigError(f"{where}: the scheme {scheme!r} raised {type(error).__name__}") from None

    def _decrypted(self, merchant: str, field: str, token: str) -> str:
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - as above

        try:
            whose, what, secret = json.loads(self._fernet().decrypt(token.encode()))
        except (InvalidToken, ValueError):
            raise ConfigError(
                f"{merchant}: {field} was encrypted with a key that {KEYS_VARIABLE} does not have"
            ) from None
        if (whose, what) != (merchant, field):
            raise ConfigError(f"{merchant}: {field} was encrypted for another merchant or field; set it again")
        return str(secret)

    def renew(self, merchant: str, field: str, stored: str) -> str:
        """Return a ciphertext made with the first key; a reference stays as it is."""
        if not stored.startswith(f"{FERNET}:"):
            return stored
        return self.store(merchant, field, self.read(merchant, field, stored))


def new_key() -> str:
    """Return a new Fernet key."""
    from cryptography.fernet import Fernet  # noqa: PLC0415 - only encrypted secrets need the library

    return Fernet.generate_key().decode()


def describe(stored: str) -> str:
    """Return what may be shown of a stored secret: a reference, or `encrypted`."""
    return "encrypted" if stored.startswith(f"{FERNET}:") else stored


def _schemes() -> dict[str, Callable[[str], str]]:
    return {found.name: found.load() for found in entry_points(group=_GROUP)}
