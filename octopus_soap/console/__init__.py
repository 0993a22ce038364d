"""A web console for the emulator and for a fleet.

    from octopus_soap.console import emulator_console
    from octopus_soap.emulator import Emulator

    with Emulator(pages=emulator_console) as service:
        ...  # http://127.0.0.1:PORT/ shows its calls live

`octopus-soap serve` does this, and `octopus-soap fleet console` serves `fleet_console`. Needs the extra `console`
(jinja2, starlette, uvicorn), and for a fleet the extra `fleet`.

The pages work without JavaScript, which adds live updates. They load nothing from elsewhere, as a strict
Content-Security-Policy enforces. See `security` for who may see and change what.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octopus_soap.console.emulator_pages import emulator_console
    from octopus_soap.console.fleet_pages import fleet_console

__all__ = ["emulator_console", "fleet_console"]

_HOMES = {"emulator_console": "emulator_pages", "fleet_console": "fleet_pages"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
