"""The options and the loop of commands that run jobs: the ledger, once or repeatedly, until a signal.

SIGINT and SIGTERM set the stop token: the job finishes the request and the handler it is in, records them, and ends. A
second SIGINT ends the process at once, which every job survives too. Every run prints one line about what it did on
stderr, and the problems below it; `--output json` prints the whole report on stdout.

Exit codes: 0 all is done; 1 some keys are held; 2 it failed; 3 another run is under way; 130 or 143 a signal came
before the input was read, so nothing of it was taken over.
"""

from __future__ import annotations

import re
import signal
from contextlib import contextmanager
from enum import StrEnum
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.failures import FAILED
from octopus_soap.cli.output import notice

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from octopus_soap.errors import OctopusError
    from octopus_soap.jobs.reports import Report

LEDGER = "octopus-ledger.db"
_UNITS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

LedgerOption = Annotated[
    str,
    typer.Option(
        "--ledger",
        envvar="OCTOPUS_LEDGER",
        metavar="FILE|URL",
        help="Where progress is recorded: an SQLite file, or postgresql://user@host/database.",
    ),
]
ChannelOption = Annotated[str, typer.Option("--channel", metavar="NAME", help="The shop's name in the ledger.")]
EveryOption = Annotated[
    str | None,
    typer.Option("--every", metavar="TIME", help="Repeat with a pause such as 60s, 5m or 1h, until SIGINT or SIGTERM."),
]


class ReportOutput(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"


ReportOption = Annotated[
    ReportOutput,
    typer.Option("--output", "-o", help="text: a line on stderr; json: the whole report on stdout."),
]


def seconds_of(text: str, option: str = "--every", *, least: float = 0.001) -> float:
    """Return the seconds of a text such as `60s`, `5m`, `1h`, `300ms`, `90`, *least* or more.

    Raises:
        typer.BadParameter: it is not a time.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smhd]?)", text.strip())
    if found is None or float(found[1]) * _UNITS[found[2]] < least:
        raise typer.BadParameter(f"{text!r} is not a time such as 60s, 5m or 1h", param_hint=option)
    return float(found[1]) * _UNITS[found[2]]


def run_job(
    job: Callable[[Event], Report], every: str | None, output: ReportOutput = ReportOutput.TEXT, *, line: bool = False
) -> None:
    """Run *job* once, or repeatedly until a signal, and end with its exit code.

    Args:
        job: runs once, given the stop token.
        every: the pause as the user wrote it; None for once.
        output: how each report is printed.
        line: stdout has other lines of JSON too, so a report is a line `{"report": ...}`.

    Raises:
        typer.Exit: with the exit code of the report, or of the last report if there were several, unless it is 0.
    """
    from octopus_soap.errors import JobRunningError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs.reports import BUSY, INCOMPLETE  # noqa: PLC0415 - heavy: only inside a command

    codes = [0]

    def reported(report: Report) -> None:
        codes.append(report.exit_code)
        if output is ReportOutput.JSON:
            _show(report, line=line or every is not None)  # a loop has a line for each run
        else:
            notice(str(report))

    def failed(error: OctopusError | OSError) -> None:
        codes.append(BUSY if isinstance(error, JobRunningError) else FAILED)
        notice(f"octopus-soap: {error}")

    with _stopping() as (stop, signals):
        if every is None:
            try:
                reported(job(stop))
            except JobRunningError as error:
                failed(error)
        else:
            from octopus_soap.jobs import every as again  # noqa: PLC0415 - heavy: only inside a command

            again(seconds_of(every), lambda: job(stop), stop=stop, on_report=reported, on_error=failed)
    code = codes[-1]
    if code == INCOMPLETE and signals:
        code = 128 + signals[-1]  # as shells have it
    if code:
        raise typer.Exit(code)


def _show(report: Report, *, line: bool) -> None:
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only inside a command

    typer.echo(as_json({"report": report.as_dict()}, indent=None) if line else as_json(report.as_dict()))


@contextmanager
def _stopping() -> Generator[tuple[Event, list[int]]]:
    """Yield a stop token that SIGINT and SIGTERM set while the block runs, and the signals that came."""
    stop, came = Event(), list[int]()

    def handle(number: int, frame: Any) -> None:
        del frame
        came.append(number)
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop, came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
