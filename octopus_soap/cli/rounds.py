"""Jobs in a shell: which ledger, once or every so often, ended by a signal, and told as a person or cron wants it.

SIGINT and SIGTERM set the stop token: the request and the handler under way end and are written down. A second SIGINT
ends the process at once, as every job survives that too.
"""

from __future__ import annotations

import re
import signal
import sys
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli import FAILED
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
        help="Where progress stands: an SQLite file, or postgresql://user@host/database.",
    ),
]
ChannelOption = Annotated[str, typer.Option("--channel", metavar="NAME", help="The shop's name in the ledger.")]
EveryOption = Annotated[
    str | None,
    typer.Option("--every", metavar="TIME", help="Again and again, such as 60s, 5m or 1h, until SIGINT or SIGTERM."),
]


def seconds_of(text: str, option: str = "--every") -> float:
    """Seconds of a text such as `60s`, `5m`, `1h`, `90`.

    Raises:
        typer.BadParameter: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no time such as 60s, 5m or 1h", param_hint=option)
    return float(found[1]) * _UNITS[found[2]]


def run_job(job: Callable[[Event], Report], every: str | None) -> None:
    """Run *job* once, or every so often until a signal, and end with its exit code.

    A terminal is shown every report; elsewhere only what went wrong is told, so that cron sends no mail for nothing.

    Args:
        job: runs once, given the stop token.
        every: the pause as the user wrote it; None for once.

    Where another run of the job is under way that is said, and the exit code is 0.

    Raises:
        typer.Exit: with 1 or 2, the report's exit code; that of the last run where there were several.
    """
    code = 0

    def told(report: Report) -> None:
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
                told(job(stop))
            except JobRunningError as error:  # the work is being done, so cron's second run has nothing to complain of
                notice(f"octopus-soap: {error}")
        else:
            from octopus_soap.jobs import every as again  # noqa: PLC0415 - heavy: only inside a command

            again(seconds_of(every), lambda: job(stop), stop=stop, on_report=told, on_error=failed)
    if code:
        raise typer.Exit(code)


@contextmanager
def _stopping() -> Generator[Event]:
    """A stop token that SIGINT and SIGTERM set while the block runs."""
    stop = Event()

    def set_it(number: int, frame: Any) -> None:
        del frame
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, set_it) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
