"""`octopus-soap doctor`: what is wrong between here and the service, and what to do about it."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from octopus_soap.cli.checkup import Checkup, Finding, Status
from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.output import Output, OutputOption, show_records
from octopus_soap.cli.records import Records
from octopus_soap.cli.tables import terminal
from octopus_soap.errors import ConfigError
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.SKIP: "dim"}
_STATUS, _CHECK = 6, 13  # characters of the two first columns


@connected
def doctor(connection: Connection, *, output: OutputOption = Output.TABLE) -> None:
    """Check settings, network, TLS, contract, credentials and clock; say what to do.

    Reads only: the WSDL, and whether an unlikely SKU exists. Takes less than half a minute whatever hangs.
    Exit code 0: all well; 1: warnings; 2: something fails.
    """
    checkup, console = Checkup(connection), terminal()
    statuses: set[Status] = set()
    shown: list[dict[str, object]] = []
    for finding in checkup.run():
        statuses.add(finding.status)
        known = _masked(finding, checkup)
        shown.append(asdict(known))
        if output is Output.TABLE:
            _show(known, console)
    if output is not Output.TABLE:
        show_records(Records(shown), output, lambda: None)
    raise typer.Exit(2 if Status.FAIL in statuses else 1 if Status.WARN in statuses else 0)


def _masked(finding: Finding, checkup: Checkup) -> Finding:
    """The finding without this client's secrets, which a service may repeat in its words."""
    try:
        mask = Redactor(checkup.settings.secrets()).text
    except ConfigError:
        return finding  # names fields, never values
    details = tuple(mask(line) for line in finding.details)
    return Finding(finding.check, finding.status, mask(finding.text), mask(finding.advice), details)


def _show(finding: Finding, console: Console) -> None:
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
    """*text* in lines; addresses and paths stay whole, to be copied."""
    return textwrap.wrap(text, max(width, 40), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
