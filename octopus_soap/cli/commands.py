"""The table of sub-commands, and how a command line runs.

Only the sub-command on the command line is imported; the help of the others is their line in the table. So
`octopus-soap --help` loads neither the client nor the fake server.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

from octopus_soap._version import __version__
from octopus_soap.cli import terminal
from octopus_soap.cli.application import Application
from octopus_soap.cli.failures import PROGRAM, report

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class SubCommand:
    """One row of the table.

    Attributes:
        module: its module in this package; a row whose module does not exist is left out.
        attribute: a typer app, or a function that becomes a command.
        summary: its line in the help.
        extra: the optional dependencies that it needs in addition to `cli`.
    """

    module: str
    attribute: str
    summary: str
    extra: str = ""

    @property
    def path(self) -> str:
        """The full name of the module."""
        return f"octopus_soap.cli.{self.module}"

    def load(self) -> Any:
        """Import the command."""
        return getattr(import_module(self.path), self.attribute)


EXIT_CODES = {
    "0": "All fine.",
    "1": "Some inputs are rejected, or unknown to the service; there are differences; a job holds rows.",
    "2": "Failed: wrong usage, settings, no connection, or items that are not done.",
    "3": "Another run of the job is under way.",
    "130, 143": "Ctrl-C or SIGTERM.",
    "141": "The reader of the output closed it, as head does.",
}

SUB_COMMANDS = {
    "demo": SubCommand("demo", "demo", "Run a shop's whole sync against a local fake server.", "emulator"),
    "serve": SubCommand("serve", "serve", "Run a local fake Octopus server; needs no account.", "emulator"),
    "items": SubCommand("items", "app", "Look up, search, compare, upload and delete items."),
    "stock": SubCommand("stock", "app", "Look up and set stock and prices."),
    "push": SubCommand("stock", "push", "Push a shop's stock and prices, differences only.", "jobs"),
    "orders": SubCommand("orders", "app", "List, pull, show, confirm and submit orders."),
    "changes": SubCommand("jobs", "changes_app", "Follow the list of changed items.", "jobs"),
    "ledger": SubCommand("ledger", "app", "Look into the ledger of push, orders and changes.", "jobs"),
    "call": SubCommand("call", "app", "Call any operation of the service by name."),
    "login": SubCommand("profiles", "login", "Ask for credentials, try them, and store them as a profile."),
    "profiles": SubCommand("profiles", "app", "List, show and remove profiles."),
    "init": SubCommand("jobs", "init_app", "Write a cron line or systemd units for a job."),
    "version": SubCommand("manual", "version", "Show what is installed."),
    "man": SubCommand("manual", "man", "Show the manual: every command with its options."),
    "doctor": SubCommand("doctor", "doctor", "Check settings, connection, contract and credentials."),
    "wsdl": SubCommand("wsdl", "app", "Pin the live contract, compare contracts."),
    "fleet": SubCommand("fleet", "app", "Run the jobs of many merchants.", "fleet"),
    "gateway": SubCommand("serve", "gateway", "Serve the operations as JSON over HTTP.", "gateway"),
    "octopia": SubCommand("octopia", "app", "Use the Octopia (Cdiscount) seller API, another service.", "octopia"),
}


_ANYWHERE = {"--debug", "--no-pager"}


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    words, given = _without_flags(arguments)
    terminal.pager_enabled = "--no-pager" not in given
    chosen = next((word for word in words if not word.startswith("-")), "")
    try:
        command = command_for(chosen if chosen in SUB_COMMANDS else "")
        code = command(args=words or ["--help"], prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()  # fails here if the reader hung up, not while Python shuts down
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer exits because of it
            return report(end.__context__)
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every failure becomes one line and an exit code
        extra = SUB_COMMANDS[chosen].extra if chosen in SUB_COMMANDS else ""
        return report(error, extra=extra, debug="--debug" in given, words=words)
    return code if isinstance(code, int) else 0


def _without_flags(arguments: Sequence[str]) -> tuple[list[str], set[str]]:
    """Return the arguments without `--debug` and `--no-pager`, and which were given."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word not in _ANYWHERE]
    return kept + words[end:], _ANYWHERE & set(words[:end])


@cache
def command_for(chosen: str) -> Any:
    """Return the program's command, in which only the sub-command *chosen* can run.

    The others are lines of its help. It keeps nothing of a run, so it is cached.
    """
    application = Application(
        name=PROGRAM,
        help="24SevenCommerce's Octopus Channel API in the terminal.",
        epilog="Exit codes: 0 fine; 1 some items rejected, unknown or different; 2 failed; 3 the same job is running; "
        "130, 143 ended by Ctrl-C or SIGTERM.",
        invoke_without_command=True,  # for --version; a line without words became --help
        no_args_is_help=False,
    )
    application.callback()(_root)
    for name, row in SUB_COMMANDS.items():
        if find_spec(row.path) is None:
            continue
        found: Any = _placeholder
        if name == chosen:
            found = row.load()
        _mount(application, name, row, found)
    return get_command(application)


def _mount(application: Application, name: str, row: SubCommand, found: Any) -> None:
    if isinstance(found, typer.Typer):
        application.add_typer(found, name=name, help=row.summary)
    else:
        application.command(name, help=row.summary if found is _placeholder else None)(found)


def _placeholder() -> None:
    """Stand in for a command that does not run, as a line of the help."""


def _root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; accepted anywhere.")] = False,
    no_pager: Annotated[
        bool, typer.Option("--no-pager", help="Do not show long output in $PAGER (or less); accepted anywhere.")
    ] = False,
) -> None:
    del debug, no_pager  # removed from the arguments before they are parsed; declared for the help
    if version:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit
