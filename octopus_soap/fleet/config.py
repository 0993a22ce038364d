"""`fleet.toml`: the settings that the processes of a fleet share.

```toml
name = "octopus"                       # the queues at the broker begin with it
ledger = "octopus-fleet.db"            # or postgresql://jobs@db.example.com/shops
module = "fleet_functions"             # your functions: a module next to this file, or any that Python finds
broker = "amqp://guest:guest@127.0.0.1//"
workers = 2                            # how many workers there are on Celery
budget = 60                            # seconds after which a run begins no further request
tick_seconds = 2                       # how often to look for due runs

[slots]                                # how many runs of each queue one worker runs at once
orders = 10
push = 12
changes = 6
slow = 4
```

A command-line option or a variable such as `OCTOPUS_FLEET` takes precedence. An unknown key is refused, because it is
probably a typing error.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import ConfigError
from octopus_soap.fleet.engines import SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from os import PathLike

FILE = "fleet.toml"
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """The contents of a `fleet.toml`; None for a key that it does not have.

    Attributes:
        name: the fleet's name; the names of its queues begin with it.
        ledger: the fleet's database; a relative path is relative to the file's folder.
        module: the module with the user's functions.
        broker: URL of Celery's broker.
        workers: how many workers there are.
        budget: seconds after which a run begins no further request.
        tick_seconds: how often to look for due runs.
        slots: how many runs of each queue one worker runs at once.
        folder: where the file is; modules are looked for there too.
    """

    name: str | None = None
    ledger: str | None = None
    module: str | None = None
    broker: str | None = None
    workers: int | None = None
    budget: float | None = None
    tick_seconds: float | None = None
    slots: Mapping[str, int] = field(default_factory=lambda: SLOTS)
    folder: Path | None = None


def read_config(path: str | PathLike[str]) -> FleetConfig:
    """Return the settings of a `fleet.toml`.

    Raises:
        ConfigError: the file cannot be read, or has an unknown key or a wrong value; the message names the key.
    """
    file = Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not UTF-8, or not TOML: both are ValueErrors
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{file}: cannot be read: {reason}") from None
    _refuse_unknown(file, "", table, [*_KINDS, "slots"])
    values: dict[str, Any] = {key: _KINDS[key](f"{file}: {key}", table[key]) for key in _KINDS if key in table}
    given = table.get("slots", {})
    if not isinstance(given, dict):
        raise ConfigError(f"{file}: slots must be a table: [slots], and below it lines such as push = 12")
    _refuse_unknown(file, "slots.", given, SLOTS)
    slots = {name: _count(f"{file}: slots.{name}", given.get(name, most)) for name, most in SLOTS.items()}
    folder = file.resolve().parent
    if "ledger" in values:
        values["ledger"] = _absolute(folder, values["ledger"])
    return FleetConfig(**values, slots=slots, folder=folder)


def _absolute(folder: Path, place: str) -> str:
    """Return a ledger's place in a form that does not depend on the working directory."""
    return place if "://" in place else str(folder / Path(place).expanduser())


def _refuse_unknown(file: Path, prefix: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    names = list(known)
    for key in table:
        if key not in names:
            near = get_close_matches(key, names, 1)
            meant = f"; did you mean {prefix}{near[0]}?" if near else f"; there are {', '.join(names)}"
            raise ConfigError(f"{file}: there is no {prefix}{key}{meant}")


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where} must be a text in quotation marks, not {_shown(value)}")
    return value


def _secret_text(where: str, value: object) -> str:
    # The value may contain a password, so the message does not show it.
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where} must be a text in quotation marks, such as a file or a URL")
    return value


def _count(where: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise ConfigError(f"{where} must be a whole number from 1 to {_MOST}, not {_shown(value)}")
    return value


def _seconds(where: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 86_400:  # noqa: PLR2004 - a day
        raise ConfigError(f"{where} must be seconds, more than 0 and at most 86400, not {_shown(value)}")
    return float(value)


def _shown(value: object) -> str:
    return repr(value)[:60]


_KINDS: Mapping[str, Callable[[str, object], Any]] = {
    "name": _text,
    "ledger": _secret_text,
    "module": _text,
    "broker": _secret_text,
    "workers": _count,
    "budget": _seconds,
    "tick_seconds": _seconds,
}
