# ruff: noqa: INP001 - mkdocs and the tests load this file by its path
"""Make the page of commands: the help of each, 80 columns wide."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout
from typing import TYPE_CHECKING
from unittest.mock import patch

import typer

from octopus_soap.cli.commands import PROGRAM, SUB_COMMANDS, run

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def commands_page() -> str:
    """Return the page with every command's help."""
    lines = [
        "# Commands",
        "",
        (
            "Install `octopus-soap` with the extra `cli`. This page has the `--help` of each command. Exit codes: 0 "
            "success, 1 some items rejected, unknown or different, 2 failed, 3 the same job is running, 130 and 143 "
            "ended by Ctrl-C or SIGTERM."
        ),
        "",
        *_block([]),
    ]
    for name, row in SUB_COMMANDS.items():
        lines += [f"## {name}", "", row.summary, ""]
        if row.extra:
            lines += [f"Needs the extra `{row.extra}` too.", ""]
        for words in _words(name):
            if words != [name]:
                lines += [f"### {' '.join(words)}", ""]
            lines += _block(words)
    return "\n".join(lines)


def _words(name: str) -> Iterator[list[str]]:
    """Return the words of every command line under *name*."""
    found = SUB_COMMANDS[name].load()
    if not isinstance(found, typer.Typer):
        yield [name]
        return
    # `call` makes its commands of the catalogue; the page of operations has their arguments.
    yield from [[name, *rest] for rest in _under(found)] or [[name]]


def _under(application: typer.Typer) -> Iterator[list[str]]:
    for command in application.registered_commands:
        yield [command.name or getattr(command.callback, "__name__", "").replace("_", "-")]
    for group in application.registered_groups:
        if isinstance(group.typer_instance, typer.Typer):
            yield from ([str(group.name), *rest] for rest in _under(group.typer_instance))


def _block(words: list[str]) -> list[str]:
    shown = " ".join([PROGRAM, *words, "--help"])
    return ["```text", f"$ {shown}", help_of(words), "```", ""]


def help_of(words: list[str]) -> str:
    """Return what `octopus-soap WORDS --help` prints."""
    printed = io.StringIO()
    with patch.dict(os.environ, _PLAIN), redirect_stdout(printed):
        run([*words, "--help"])
    lines = _ESCAPES.sub("", printed.getvalue()).rstrip().splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")
