"""`octopus-soap doctor`: check everything between this machine and the service."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from octopus_soap.cli.calling import Connection, connected
from octopus_soap.cli.output import Output, Records, Selection, selecting
from octopus_soap.cli.terminal import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from octopus_soap.cli.diagnostics import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
_STATUS, _CHECK = 6, 13  # characters of the first two columns


@connected
@selecting()
def doctor(connection: Connection, *, selection: Selection) -> None:
    """Check settings, network, TLS, contract, credentials and clock; show advice.

    It only reads: the WSDL, and whether an unlikely SKU exists. It takes less
    than half a minute. Exit code 0: no problem, 1: warnings, 2: a check failed.
    """
    from octopus_soap.cli.diagnostics import Diagnostics, Status  # noqa: PLC0415 - heavy: only inside a command

    console = terminal()
    findings: list[Finding] = []
    live = selection.output is Output.TABLE and not selection.narrowed
    for finding in Diagnostics(connection).run():
        findings.append(finding)
        if live:
            _show(finding, console)
    if not live:
        selection.show_whole(Records([asdict(finding) for finding in findings]), lambda: None)
    statuses = {finding.status for finding in findings}
    raise typer.Exit(2 if Status.FAIL in statuses else 1 if Status.WARN in statuses else 0)


def _show(finding: Finding, console: Console) -> None:
    from rich.text import Text  # noqa: PLC0415 - heavy: only to print

    indent = " " * (_STATUS + _CHECK)
    lines = _wrapped(f"{finding.check:<{_CHECK}}{finding.text}", console.width - _STATUS, " " * _CHECK)
    status = Text(f"{finding.status.value:<{_STATUS}}", style=_STYLES[finding.status])
    console.print(status + Text(f"\n{' ' * _STATUS}".join(lines)), soft_wrap=True)
    for line in finding.details:
        console.print(Text(f"{indent}{line}", style="dim"), soft_wrap=True)
    if finding.advice:
        console.print(
            Text("\n".join(_wrapped(f"{indent}→ {finding.advice}", console.width, f"{indent}  "))), soft_wrap=True
        )


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """Return *text* in lines that do not cut addresses and paths."""
    return textwrap.wrap(text, max(width, 40), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
