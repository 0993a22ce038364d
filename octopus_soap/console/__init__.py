"""A web console: what callers did to the emulator and what it holds, and how a fleet is.

    from octopus_soap.console import emulator_console
    from octopus_soap.emulator import Emulator

    with Emulator(pages=emulator_console) as service:
        ...  # http://127.0.0.1:PORT/ shows its calls while they come

`octopus-soap serve` does this, and `octopus-soap fleet console` serves the fleet's pages. Needs the extra `console`
(jinja2, starlette, uvicorn).

The pages work without JavaScript; ours adds live updates. They load nothing from elsewhere, and a strict
Content-Security-Policy holds them to that. See `security` for who may see and change what.
"""

from octopus_soap.console.emulator_pages import emulator_console

__all__ = ["emulator_console"]
