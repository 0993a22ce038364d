"""What job commands share; `octopus-soap changes` and `octopus-soap init`.

SIGINT and SIGTERM set the stop token: the job finishes the request and the handler under way, records them, and ends. A
second SIGINT ends the process at once, which every job survives too. Every run prints a line about what it did on
stderr, and its problems below; `--output json` prints the whole report on stdout, or the exit code and the error of a
run that ended without one. `init` writes the cron line or the systemd units that run a job again and again.

Exit codes: 0 all is done; 1 some keys are held; 2 it failed; 3 another run is under way; 130 or 143 a signal came
before the input was read, so nothing of it was accepted.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.calling import Connection, connected
from octopus_soap.cli.failures import FAILED, HUNG_UP, masked
from octopus_soap.cli.output import notice
from octopus_soap.cli.suggestions import LEDGER, Words, channels

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from octopus_soap.errors import OctopusError
    from octopus_soap.jobs import Change, Ledger
    from octopus_soap.jobs.reports import Report

changes_app = Application()
init_app = Application()

PAUSES = Words(("30s", "60s", "5m", "15m", "1h", "1d"))
"""Examples of pauses."""
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
ChannelOption = Annotated[
    str, typer.Option("--channel", metavar="NAME", help="The shop's name in the ledger.", autocompletion=channels)
]
EveryOption = Annotated[
    str | None,
    typer.Option(
        "--every",
        metavar="TIME",
        help="Repeat with a pause such as 60s, 5m or 1h, until SIGINT or SIGTERM.",
        autocompletion=PAUSES.like,
    ),
]


class ReportOutput(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"


ReportOption = Annotated[
    ReportOutput, typer.Option("--output", "-o", help="text: a line on stderr; json: the whole report on stdout.")
]


def seconds_of(text: str, option: str = "--every", *, least: float = 0.001) -> float:
    """Return the seconds of a text such as `60s`, `5m`, `1h`, `300ms` or `90`.

    Raises:
        typer.BadParameter: it is not a time, or less than *least* seconds.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smhd]?)", text.strip())
    if found is None or float(found[1]) * _UNITS[found[2]] < least:
        raise typer.BadParameter(f"{text!r} is not a time such as 60s, 5m or 1h", param_hint=option)
    return float(found[1]) * _UNITS[found[2]]


def opened_ledger(place: str, channel: str | None) -> Ledger:
    """Return an existing ledger, and an existing channel of it; create neither.

    Raises:
        LedgerError: there is no such ledger or channel.
    """
    from octopus_soap.errors import LedgerError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs import Ledger, inspection  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs.ledger import file_of  # noqa: PLC0415 - as above

    file = file_of(place)
    if file is not None and not file.exists():
        raise LedgerError(f"no ledger at {place}; name it with --ledger or OCTOPUS_LEDGER")
    ledger = Ledger(place, channel=channel or "main")
    known = inspection.channels(ledger)
    if channel is not None and channel not in known:
        ledger.close()
        there = f"channels there: {', '.join(map(repr, known))}" if known else "it is empty"
        raise LedgerError(f"no channel {channel!r} in the ledger {place}; {there}")
    return ledger


def run_job(
    job: Callable[[Event], Report], every: str | None, output: ReportOutput = ReportOutput.TEXT, *, line: bool = False
) -> None:
    """Run *job* once, or repeatedly until a signal, and end with its exit code.

    Args:
        job: runs once, given the stop token.
        every: the pause as the user wrote it; None to run once.
        output: how each report is printed.
        line: print a report as a line `{"report": ...}`, because stdout has other lines of JSON too.

    Raises:
        typer.Exit: the exit code of the last report is not 0.
    """
    from octopus_soap import errors  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs.reports import INCOMPLETE  # noqa: PLC0415 - heavy: only inside a command

    codes = [0]

    def reported(report: Report) -> None:
        codes.append(report.exit_code)
        if output is ReportOutput.JSON:
            _show(report.as_dict(), line=line or every is not None)  # a loop has a line for each run
        else:
            notice(str(report))

    def failed(error: OctopusError | OSError) -> None:
        codes.append(_without_report(error, output, line=line or every is not None))
        notice(f"octopus-soap: {error}")

    with stopping() as (stop, signals):
        if every is None:
            try:
                report = job(stop)
            except errors.JobRunningError as error:
                failed(error)
            except (errors.OctopusError, OSError) as error:
                _without_report(error, output, line=line)
                raise
            else:
                reported(report)
        else:
            from octopus_soap.jobs import every as again  # noqa: PLC0415 - heavy: only inside a command

            again(seconds_of(every), lambda: job(stop), stop=stop, on_report=reported, on_error=failed)
    code = codes[-1]
    if code == INCOMPLETE and signals:
        code = 128 + signals[-1]  # as shells do
    if code:
        raise typer.Exit(code)


def _without_report(error: OctopusError | OSError, output: ReportOutput, *, line: bool) -> int:
    """Return the exit code of a run that *error* ended, and print both as JSON."""
    from octopus_soap.errors import JobRunningError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs.reports import BUSY  # noqa: PLC0415 - heavy: only inside a command

    code = BUSY if isinstance(error, JobRunningError) else FAILED
    if output is ReportOutput.JSON:
        _show({"exit_code": code, "error": masked(str(error))}, line=line)
    return code


def _show(report: dict[str, Any], *, line: bool) -> None:
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only inside a command

    typer.echo(as_json({"report": report}, indent=None) if line else as_json(report))


@contextmanager
def stopping() -> Generator[tuple[Event, list[int]]]:
    """Yield a stop token that SIGINT and SIGTERM set, and the signals that came.

    A second Ctrl-C raises KeyboardInterrupt.
    """
    stop, came = Event(), list[int]()

    def handle(number: int, frame: object) -> None:
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


# -- changes -----------------------------------------------------------------------------------------------------------


@changes_app.callback()
def changes() -> None:
    """Follow the list of changed items."""  # with it, `follow` stays a sub-command although there is no other


@changes_app.command("follow")
@connected
def follow(
    connection: Connection,
    *,
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="Pause between two reads of the list, such as 60s, 5m or 1h.")
    ] = "60s",
    once: Annotated[bool, typer.Option("--once", help="Print what has changed until now, and end.")] = False,
    output: ReportOption = ReportOutput.TEXT,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Print each changed item as a line of JSON; take it off the service's list.

    An item is printed as it is now; a deleted item has "deleted": true. If the
    command is killed while it writes a line, the line can come again, then with
    "redelivered": true. Reports go to stderr; with --output json they are
    lines of JSON with "report" on stdout. Exit code 1: some items cannot be read.
    3: another run is under way.
    """
    from octopus_soap.jobs import ChangeFeed, Ledger  # noqa: PLC0415 - heavy: only inside a command

    with connection.client() as client, Ledger(place, channel=channel) as ledger:
        feed = ChangeFeed(client, ledger)
        run_job(lambda stop: feed.run(_print_change, stop=stop), None if once else every, output, line=True)


def _print_change(change: Change) -> None:
    from octopus_soap.cli.output import as_data  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs import DestinationError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only inside a command

    row: dict[str, Any] = {"sku": change.sku}
    if change.redelivered:
        row["redelivered"] = True
    row |= {"deleted": True} if change.item is None else {"item": as_data(change.item)}
    try:
        sys.stdout.buffer.write(f"{as_json(row, indent=None)}\n".encode())
        sys.stdout.buffer.flush()  # before the ledger records it as done
    except BrokenPipeError:
        raise SystemExit(HUNG_UP) from None  # another error would count as a failure of this item
    except OSError as error:  # such as a full disk, which is not this item's fault
        raise DestinationError(f"cannot write the item: {error.strerror or error}") from error
    with suppress(OSError):
        os.fsync(sys.stdout.fileno())


# -- init --------------------------------------------------------------------------------------------------------------


_JOBS = (("push",), ("orders", "pull"), ("changes", "follow"))
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_BUSY = 3  # the exit code if another run is under way

JobArgument = Annotated[
    list[str], typer.Argument(metavar="COMMAND...", help="The job after --, such as: -- push stock.csv --profile shop")
]
PauseOption = Annotated[str, typer.Option("--every", metavar="TIME", help="Pause between runs, such as 15m, 1h or 1d.")]


@init_app.command("cron")
def cron(job: JobArgument, *, every: PauseOption = "15m") -> None:
    """Print a line for crontab -e that runs a job.

    The line changes to this folder first, so that relative paths and the ledger
    are the same. A job prints a line for every run, which cron sends by mail: add
    >>jobs.log 2>&1 to keep it in a file instead.
    """
    command = _command(job)
    times = _times(seconds_of(every))
    line = f"cd {shlex.quote(str(Path.cwd()))} && {command}".replace("%", r"\%")  # to cron, % is a line end
    typer.echo(f"{times} {line}")


@init_app.command("systemd")
def systemd(
    job: JobArgument,
    *,
    every: PauseOption = "15m",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the units. Default: from the job.")] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder for the units. Default: your own.", file_okay=False)
    ] = None,
) -> None:
    """Write a systemd service and a timer that run a job, and show how to start them.

    Files that exist already are not overwritten.
    """
    command, seconds = _command(job), seconds_of(every)
    unit = name or "octopus-soap-" + "-".join(_job(job))
    if not re.fullmatch(r"[A-Za-z0-9:_.-]+", unit):
        raise typer.BadParameter(
            f"{unit!r} cannot be the name of a unit: use letters, digits and : _ . -", param_hint="--name"
        )
    folder = to or Path("~/.config/systemd/user").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    literal = command.replace("%", "%%").replace("$", "$$")
    where = str(Path.cwd()).replace("%", "%%")
    files = {
        f"{unit}.service": f"""[Unit]
Description=octopus-soap {" ".join(_job(job))}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={where}
ExecStart={literal}
SuccessExitStatus={_BUSY}
""",
        f"{unit}.timer": f"""[Unit]
Description=Run {unit} every {every}

[Timer]
OnBootSec=2min
OnUnitActiveSec={seconds:g}s
RandomizedDelaySec=30s

[Install]
WantedBy=timers.target
""",
    }
    if there := [file for file in files if (folder / file).exists()]:
        raise typer.BadParameter(f"{folder / there[0]} exists; give another --name, or remove it", param_hint="--name")
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
        typer.echo(str(folder / file))
    notice(f"start it with: systemctl --user daemon-reload && systemctl --user enable --now {unit}.timer")
    notice(f"look at it with: journalctl --user -u {unit}.service")


def _job(words: list[str]) -> tuple[str, ...]:
    """Return the job that a command line names.

    Raises:
        typer.BadParameter: it names no job.
    """
    found = next((job for job in _JOBS if tuple(words[: len(job)]) == job), None)
    if found is None:
        jobs = ", ".join(" ".join(job) for job in _JOBS)
        raise typer.BadParameter(f"{shlex.join(words)!r} is not a job: {jobs}", param_hint="COMMAND")
    return found


def _command(words: list[str]) -> str:
    """Return the command line that runs a job once, with this program's full path."""
    job = _job(words)
    if any(word == "--every" or word.startswith("--every=") for word in words):
        raise typer.BadParameter(
            "the job runs once each time: give --every to init, not to the job", param_hint="--every"
        )
    once = ["--once"] if job[0] == "changes" and "--once" not in words else []
    program = Path(sys.argv[0])
    start = [str(program.resolve())] if program.name == "octopus-soap" else [sys.executable, "-m", "octopus_soap"]
    return shlex.join([*start, *words, *once])


def _times(seconds: float) -> str:
    """Return the five fields of cron for a pause.

    Raises:
        typer.BadParameter: cron has no such pause.
    """
    minutes, hours = seconds / _MINUTE, seconds / _HOUR
    if minutes in range(1, 60) and 60 % minutes == 0:
        return "* * * * *" if minutes == 1 else f"*/{minutes:.0f} * * * *"
    if hours in range(1, 24) and 24 % hours == 0:
        return "0 * * * *" if hours == 1 else f"0 */{hours:.0f} * * *"
    if seconds == _DAY:
        return "0 3 * * *"
    raise typer.BadParameter(
        "cron needs a divisor of an hour or of a day, such as 15m, 1h, 6h or 1d; octopus-soap init systemd takes any",
        param_hint="--every",
    )
