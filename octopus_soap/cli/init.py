"""`octopus-soap init`: the cron line or the systemd units that run a job again and again."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.job_options import seconds_of
from octopus_soap.cli.output import notice

app = Application()

_JOBS = (("push",), ("orders", "pull"), ("changes", "follow"))
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_BUSY = 3  # the exit code of a run that finds another one at work

JobArgument = Annotated[
    list[str], typer.Argument(metavar="COMMAND...", help="The job after --, such as: -- push stock.csv --profile shop")
]
EveryOption = Annotated[str, typer.Option("--every", metavar="TIME", help="Pause between runs, such as 15m, 1h or 1d.")]


@app.command("cron")
def cron(job: JobArgument, *, every: EveryOption = "15m") -> None:
    """Print a line for crontab -e that runs a job.

    The line changes to this folder first, so that relative paths and the ledger
    are the same. Jobs print nothing unless there is a problem, so cron sends no
    needless mail.
    """
    command = _command(job)
    times = _times(seconds_of(every))
    line = f"cd {shlex.quote(str(Path.cwd()))} && {command}".replace("%", r"\%")  # cron's own line end
    typer.echo(f"{times} {line}")


@app.command("systemd")
def systemd(
    job: JobArgument,
    *,
    every: EveryOption = "15m",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the units. Default: from the job.")] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder for them. Default: your own units.", file_okay=False)
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
        typer.BadParameter: it names none.
    """
    found = next((job for job in _JOBS if tuple(words[: len(job)]) == job), None)
    if found is None:
        jobs = ", ".join(" ".join(job) for job in _JOBS)
        raise typer.BadParameter(f"{shlex.join(words)!r} is not a job: {jobs}", param_hint="COMMAND")
    return found


def _command(words: list[str]) -> str:
    """Return the command line of a job that runs once, with the full path of this program."""
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
        "cron can do a divisor of an hour or of a day, such as 15m, 1h, 6h or 1d; octopus-soap init systemd does any",
        param_hint="--every",
    )
