"""`octopus-soap version` and `octopus-soap man`: versions, and the manual page."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from octopus_soap._version import __version__
from octopus_soap.cli import terminal
from octopus_soap.cli.application import command_under
from octopus_soap.cli.failures import PROGRAM
from octopus_soap.cli.output import Records, Selection, selecting
from octopus_soap.cli.terminal import show_table

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?([^;]*)(?:;.*?extra == ['\"]([^'\"]+)['\"])?")
_PLATFORM = "sys_platform"


@selecting()
def version(*, selection: Selection) -> None:
    """Show the versions of this package, Python and libraries, for a bug report."""
    rows: list[dict[str, object]] = [
        {"package": "octopus-soap", "version": __version__, "extras": None},
        {"package": platform.python_implementation(), "version": platform.python_version(), "extras": None},
        {"package": platform.system(), "version": platform.release(), "extras": None},
    ]
    packages: list[dict[str, object]] = [
        {"package": name, "version": _installed(name), "extras": ", ".join(extras) or None}
        for name, extras in _wanted().items()
    ]
    rows += packages

    def table() -> None:
        cells = [(row["package"], row["version"] or "(not installed)", row["extras"]) for row in rows]
        show_table("", ["Package", "Version", "?Comes with the extra"], cells)

    selection.show_whole(Records(rows), table)


def _wanted() -> dict[str, list[str]]:
    """Return the required packages with the extras that bring them, the core first."""
    found: dict[str, list[str]] = {}
    for line in requires("octopus-soap") or ():
        match = _REQUIREMENT.match(line)
        if match is None or (_PLATFORM in line and f'"{sys.platform}"' not in line and f"'{sys.platform}'" not in line):
            continue
        extras = found.setdefault(match[1], [])
        if match[3] not in {None, "all", *extras}:
            extras.append(match[3])
    return dict(sorted(found.items(), key=lambda entry: (bool(entry[1]), entry[0].casefold())))


def _installed(name: str) -> str | None:
    try:
        return version_of(name)
    except PackageNotFoundError:
        return None


# -- the manual page ---------------------------------------------------------------------------------------------------

_COMMON = "Connection"
"""The start of the panel whose options are described once for all commands."""
_EVERYWHERE = {"--help", "--install-completion", "--show-completion"}


def man() -> None:
    """Show this manual: every command with its options.

    A pipe or a file gets the source of the page. To install it:
    octopus-soap man > ~/.local/share/man/man1/octopus-soap.1
    """
    page = manual()
    program = shutil.which("man") if sys.stdout.isatty() else None
    if program is None:
        typer.echo(page, nl=False)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "octopus-soap.1")
        path.write_text(page, encoding="utf-8")
        chosen = {} if terminal.pager_enabled else {"MANPAGER": "cat"}
        subprocess.run([program, str(path)], check=False, env={**os.environ, **chosen})  # noqa: S603 - the system's own


def manual() -> str:
    """Return the manual page, in roff, made of the help texts."""
    from octopus_soap.cli.commands import EXIT_CODES, SUB_COMMANDS  # noqa: PLC0415 - it lists this module

    lines = [
        f'.TH OCTOPUS-SOAP 1 "" "octopus-soap {__version__}" "User Commands"',
        ".SH NAME",
        r"octopus-soap \- 24SevenCommerce's Octopus Channel API in the terminal",
        ".SH SYNOPSIS",
        ".B octopus-soap",
        "[options] command [arguments]",
        ".SH DESCRIPTION",
        *_paragraphs(
            "Looks up items, pushes stock and prices, downloads and confirms orders, and calls any operation of the "
            "service. Each command has its --help.\n\nResults go to stdout, notices and progress to stderr."
        ),
        ".SH OPTIONS",
        *_option("--version", "Show the version and exit."),
        *_option("--debug", "Show the traceback of an error; accepted anywhere on the line."),
        *_option("--no-pager", "Do not show long output in $PAGER (or less); accepted anywhere on the line."),
        *_option("--install-completion, --show-completion", "Install completion for the shell, or print its script."),
        ".SH COMMANDS",
    ]
    common: dict[str, str] = {}
    for name, row in SUB_COMMANDS.items():
        if find_spec(row.path) is None:
            continue
        for words, command, context in command_under(row.load(), [PROGRAM, name], row.summary):
            lines += _command(words, command, context, common)
        if row.extra:
            lines += [".PP", _text(f"{name} needs the extra {row.extra}: pip install 'octopus-soap[cli,{row.extra}]'")]
    lines += [".SH CONNECTION OPTIONS"]
    lines += _paragraphs("Every command that talks to the service takes these.")
    for names, about in common.items():
        lines += _option(names, about)
    lines += [".SH ENVIRONMENT", *_paragraphs(_VARIABLES), ".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        lines += [".TP", f".B {code}", _text(meaning)]
    return "\n".join(lines) + "\n"


_VARIABLES = (
    "OCTOPUS_ENDPOINT, OCTOPUS_AUTHTOKEN, OCTOPUS_MERCHANTNAME, OCTOPUS_ACCESSID and the other settings, each as "
    "OCTOPUS_ and its name; OCTOPUS_PROFILE names a table of the profile file, and OCTOPUS_LEDGER the ledger.\n\n"
    "NO_COLOR turns colours off, COLUMNS gives the width of tables in a pipe, PAGER names the pager."
)


def _command(words: list[str], command: Any, context: Any, common: dict[str, str]) -> Iterator[str]:
    yield f".SS {_text(' '.join(words))}"
    if getattr(command, "list_commands", None) is None:
        usage = command.get_usage(context).split(":", 1)[1].strip()
        yield _text(usage)
    yield from _paragraphs(command.help or "", first=".PP")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or _EVERYWHERE & set(parameter.opts):
            continue
        if str(getattr(parameter, "rich_help_panel", None) or "").startswith(_COMMON):
            common.setdefault(*record)
        else:
            yield from _option(*record)


def _option(names: str, about: str) -> list[str]:
    return [".TP", f".B {_text(names)}", _text(about) or r"\&"]


def _paragraphs(text: str, first: str = "") -> list[str]:
    lines = [first] if first and text else []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip()) if text.strip() else []):
        lines += [".PP"] if number else []
        lines.append(_text(" ".join(paragraph.split())))
    return lines


def _text(text: str) -> str:
    """Return *text* with the characters escaped that are commands to man."""
    shown = re.sub(r"\s+", " ", text).strip().replace("\\", r"\e").replace("-", r"\-")
    shown = shown.replace("→", r"\(->").replace("…", "...").replace("—", r"\(em")
    return rf"\&{shown}" if shown.startswith((".", "'")) else shown
