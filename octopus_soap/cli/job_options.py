"""The options and the loop of commands that run jobs: the ledger, once or repeatedly, until a signal.

SIGINT and SIGTERM set the stop token: the job finishes the request and the handler it is in, records them, and ends. A
second SIGINT ends the process at once, which every job survives too. A terminal shows every report; elsewhere only
problems are printed, so that cron sends no needless mail.
"""

from __future__ import annotations

import re
import signal
import sys
from contextlib import contextmanager
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
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

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


def seconds_of(text: str, option: str = "--every") -> float:
    """Return the seconds of a text such as `60s`, `5m`, `1h`, `90`.

    Raises:
        typer.BadParameter: it is not a time.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is not a time such as 60s, 5m or 1h", param_hint=option)
    return float(found[1]) * _UNITS[found[2]]


def run_job(job: Callable[[Event], Report], every: str | None) -> None:
    """Run *job* once, or repeatedly until a signal, and end with its exit code.

    If another run of the job is under way, print that and end with exit code 0.

    Args:
        job: runs once, given the stop token.
        every: the pause as the user wrote it; None for once.

    Raises:
        typer.Exit: with 1 or 2, the exit code of the report, or of the last report if there were several.
    """
    code = 0

    def reported(report: Report) -> None:
        nonlocal code
        code = report.exit_code
        if sys.stderr.isatty() or code:
            notice(str(report))

    from octopus_soap.errors import JobRunningError  # noqa: PLC0415 - heavy: only inside a command

    def failed(error: OctopusError | OSError) -> None:
        nonlocal code
        code = 0 if isinstance(error, JobRunningError) else FAILED
        notice(f"octopus-soap: {error}")

    with _stopping() as stop:
        if every is None:
            try:
                reported(job(stop))
            except JobRunningError as error:  # the work is being done, which is not a failure of this run
                notice(f"octopus-soap: {error}")
        else:
            from octopus_soap.jobs import every as again  # noqa: PLC0415 - heavy: only inside a command

            again(seconds_of(every), lambda: job(stop), stop=stop, on_report=reported, on_error=failed)
    if code:
        raise typer.Exit(code)


@contextmanager
def _stopping() -> Generator[Event]:
    """Yield a stop token that SIGINT and SIGTERM set while the block runs."""
    stop = Event()

    def handle(number: int, frame: Any) -> None:
        del frame
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
