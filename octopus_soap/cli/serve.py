"""`octopus-soap serve`: the embedded service in the foreground."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator

DEFAULT_PORT = 8765
_KEEP_CALLS = 200  # of a service that runs for days; a call on 500 SKUs is 35 KB


def serve(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on 127.0.0.1; 0 takes a free one.")
    ] = DEFAULT_PORT,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="SQLite file that keeps the state; in memory by default.")
    ] = None,
    wsdl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Another contract to read and write by.", exists=True)
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name besides localhost that callers reach this machine by. May be repeated.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Value types cannot be null, and are 0 where they are left out: as plain .NET members."
        ),
    ] = False,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="COUNT", help="Make up this many items and a tenth as many orders, where there are none."
        ),
    ] = 0,
) -> None:
    """Run the embedded service until Ctrl-C: real SOAP on this machine, no account needed.

    Its credentials are made up, and printed as variables for another terminal.
    """
    from octopus_soap.emulator import Emulator, Profile  # noqa: PLC0415 - heavy: only inside a command

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    emulator = Emulator(
        port=port,
        state=":memory:" if state is None else state,
        wsdl=wsdl,
        profile=Profile.strict() if strict else None,
        keep_bodies=False,
        keep_calls=_KEEP_CALLS,
        allowed_hosts=allow_host or (),
    )
    try:
        emulator.start()
    except OSError as error:
        emulator.close()
        raise OSError(error.errno, f"{error.strerror}; --port 0 takes a free port", f"127.0.0.1:{port}") from None
    with emulator:
        if seed and emulator.store.items():  # a state that was kept, with what happened in it since
            seed = 0
        elif seed:
            emulator.store.seed(items=seed, orders=-(-seed // 10))
        _announce(emulator, seed)
        while not stop.wait(1):  # a wait without a limit would hold back signals on Windows
            pass
    typer.echo("stopped", err=True)


def _announce(emulator: Emulator, seed: int) -> None:
    # The lines can be pasted as they are, and eval'ed: what is not an assignment is a comment.
    form = '$env:{}="{}"' if os.name == "nt" else "export {}={}"
    typer.echo(f"# octopus-soap: serving {emulator.url} (?wsdl for its contract). Ctrl-C stops it.")
    typer.echo("# The credentials are made up. In another terminal:")
    for name, value in emulator.settings().items():
        typer.echo(form.format(f"OCTOPUS_{name.upper()}", value))
    if seed:
        typer.echo(f"# Items DEMO-0001 to DEMO-{seed:04d} are there. Try: octopus-soap items get DEMO-0001")
    elif not emulator.store.items():
        typer.echo("# --seed 100 makes up items to look at; octopus-soap items upload FILE brings your own.")
    sys.stdout.flush()  # into a file or pipe too, where whoever started it waits for these lines
