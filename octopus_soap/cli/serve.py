"""`octopus-soap serve` and `octopus-soap gateway`: run a server in the foreground.

The first runs a local fake Octopus server, the second the Channel API as JSON over HTTP.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.jobs import seconds_of, stopping

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp

    from octopus_soap.emulator import Emulator

DEFAULT_PORT = 8765
GATEWAY_PORT = 8766
_KEEP_CALLS = 500  # the server may run for days, and a call with 500 SKUs has 35 KB
_KEEP_BYTES = 16_000_000
_LEAST_TOKEN = 16


def serve(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on 127.0.0.1; 0 for any free port.")
    ] = DEFAULT_PORT,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="SQLite file to keep the state in. Default: in memory.")
    ] = None,
    wsdl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Contract to serve instead of the bundled one.", exists=True)
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A name of this machine, next to localhost, that callers use. Can be repeated."
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Value types cannot be null, and are 0 if they are left out, as plain .NET members are."
        ),
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="Fail on purpose: 503:5%, SubmitOrder=lost:1/20, hang, fault, reset, html … Can be repeated.",
        ),
    ] = None,
    latency: Annotated[
        str, typer.Option(metavar="TIME", help="Delay every answer by this time, such as 300ms or 2s.")
    ] = "0s",
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="COUNT", help="Invent this many items and a tenth as many orders, if there are none."
        ),
    ] = 0,
    console: Annotated[
        bool, typer.Option("--console/--no-console", help="Serve the web console at the server's root.")
    ] = True,
    open_it: Annotated[bool, typer.Option("--open", help="Open the web console in a browser.")] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            envvar="OCTOPUS_CONSOLE_TOKEN",
            help="The token of the web console, 16 characters or more. Without it the console answers to localhost "
            "only. Other users can see command-line arguments; prefer the variable.",
        ),
    ] = None,
) -> None:
    """Run a local fake Octopus server until Ctrl-C.

    It speaks real SOAP and needs no account. Its invented credentials are printed as variables to paste into another
    terminal. In a browser, its root shows every call live, the data of the server, and switches for faults.
    """
    from octopus_soap.emulator import Emulator, Profile  # noqa: PLC0415 - heavy: only inside a command

    _check_token(token)
    late = seconds_of(latency, "--latency", least=0.0)
    emulator = Emulator(
        port=port,
        state=":memory:" if state is None else state,
        wsdl=wsdl,
        profile=Profile.strict() if strict else None,
        keep_bodies=console,
        keep_calls=_KEEP_CALLS,
        keep_bytes=_KEEP_BYTES if console else None,
        allowed_hosts=allow_host or (),
        pages=(lambda served: _console(served, token)) if console else None,
    )
    try:
        emulator.start()
    except OSError as error:
        emulator.close()
        raise OSError(error.errno, f"{error.strerror}; --port 0 uses any free port", f"127.0.0.1:{port}") from None
    with emulator, stopping() as (stop, _):
        seed = _prepare(emulator, seed, fault or (), late)
        _announce(emulator, seed, console=console)
        if open_it and console:
            import webbrowser  # noqa: PLC0415 - rarely needed

            webbrowser.open(_root(emulator))
        while not stop.wait(1):  # on Windows, an endless wait blocks signals
            pass
    typer.echo("stopped", err=True)


def _check_token(token: str | None) -> None:
    if token is not None and len(token) < _LEAST_TOKEN:
        raise typer.BadParameter(
            f"it has {len(token)} characters, and needs {_LEAST_TOKEN}: "
            "export OCTOPUS_CONSOLE_TOKEN=$(openssl rand -hex 24)",
            param_hint="--token",
        )


def _prepare(emulator: Emulator, seed: int, faults: Iterable[str], late: float) -> int:
    """Invent items and orders if there are none, and set faults; return the items."""
    from octopus_soap.emulator import Latency  # noqa: PLC0415 - heavy: only inside a command

    if seed and emulator.store.items():  # from the state file
        seed = 0
    elif seed:
        emulator.store.seed(items=seed, orders=-(-seed // 10))
    for nth, rule in enumerate(faults):
        try:
            emulator.script.add(rule, latency=late, seed=nth)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--fault") from None
    if late:
        emulator.script.on("*").do(Latency(late))
    return seed


def _console(emulator: Emulator, token: str | None) -> ASGIApp:
    """Return the web console, which is made when a browser first requests it."""
    from octopus_soap.console import emulator_console  # noqa: PLC0415 - only if a browser requests it

    return emulator_console(emulator, token=token)


def _root(emulator: Emulator) -> str:
    return emulator.url.rpartition("/")[0] + "/"


def _announce(emulator: Emulator, seed: int, *, console: bool) -> None:
    # The lines can be pasted or eval'ed, so every line is an assignment or a comment.
    form = '$env:{}="{}"' if os.name == "nt" else "export {}={}"
    typer.echo(f"# octopus-soap: serving {emulator.url} (its contract: ?wsdl). Ctrl-C stops it.")
    typer.echo("# The credentials are invented. Paste into another terminal:")
    for name, value in emulator.settings().items():
        typer.echo(form.format(f"OCTOPUS_{name.upper()}", value))
    if seed:
        typer.echo(f"# It has items DEMO-0001 to DEMO-{seed:04d}. Try: octopus-soap items get DEMO-0001")
    elif not emulator.store.items():
        typer.echo("# It has no items. --seed 100 invents some; octopus-soap items upload FILE adds yours.")
    if console and find_spec("jinja2") is None:
        typer.echo("# The web console needs jinja2: pip install 'octopus-soap[console]'")
    elif console:
        typer.echo(f"# In a browser, its calls while they come: {_root(emulator)}")
    sys.stdout.flush()  # also into a file or pipe, because the process that started it waits for these lines


# -- the gateway -------------------------------------------------------------------------------------------------------


def gateway(
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port; 0 takes a free one.")
    ] = GATEWAY_PORT,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            envvar="OCTOPUS_GATEWAY_API_KEY",
            help="Key that callers send as X-API-Key, 16 characters or more. Other users can see command-line "
            "arguments; prefer the variable.",
        ),
    ] = None,
    lookup_ttl: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long the answer of a look-up is cached.")
    ] = 5.0,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Table of the profile file.")] = None,
) -> None:
    """Serve the 20 operations as JSON over HTTP until Ctrl-C.

    The page /docs lists them. Settings and credentials come from OCTOPUS_* variables, .env and the profile file.
    Without an API key only this machine may call.
    """
    import uvicorn  # noqa: PLC0415 - heavy: only inside a command

    from octopus_soap.client import AsyncOctopusClient  # noqa: PLC0415 - as above
    from octopus_soap.errors import ConfigError  # noqa: PLC0415 - as above
    from octopus_soap.gateway import create_app  # noqa: PLC0415 - as above

    if api_key is None and host not in {"127.0.0.1", "localhost", "::1"}:
        raise ConfigError(
            f"--host {host} lets other machines call: set a key, export OCTOPUS_GATEWAY_API_KEY=$(openssl rand -hex 24)"
        )
    app = create_app(AsyncOctopusClient(profile=profile), api_key=api_key, lookup_ttl=lookup_ttl)
    uvicorn.run(app, host=host, port=port, server_header=False)
