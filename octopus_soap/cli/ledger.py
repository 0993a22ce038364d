"""`octopus-soap ledger`: look into a ledger, and release held rows for another try. Needs no account."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.job_options import LEDGER, ChannelOption, LedgerOption
from octopus_soap.cli.output import Output, OutputOption, notice, show_records
from octopus_soap.cli.records import Records
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from octopus_soap.jobs.ledger import Ledger

app = Application()


class Job(StrEnum):
    """The jobs a ledger knows."""

    PUSH = "push"
    ORDERS = "orders"
    CHANGES = "changes"


JobOption = Annotated[Job | None, typer.Option("--job", metavar="NAME", help="Only push, orders or changes.")]


def _opened(place: str, channel: str) -> Ledger:
    """Return the ledger, which must exist: looking into it does not create one."""
    from octopus_soap.errors import LedgerError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs import Ledger  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs.ledger import file_of  # noqa: PLC0415 - as above

    file = file_of(place)
    if file is not None and not file.exists():
        raise LedgerError(f"no ledger at {place}; name it with --ledger or OCTOPUS_LEDGER")
    return Ledger(place, channel=channel)


@app.command("status")
def status(
    *, place: LedgerOption = LEDGER, channel: ChannelOption = "main", output: OutputOption = Output.TABLE
) -> None:
    """Show the state of each job. Exit code 1: a row is rejected, quarantined or not confirmed."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with _opened(place, channel) as ledger:
        found, runs = inspection.status(ledger), inspection.running(ledger)

    def table() -> None:
        if found:
            rows = [
                (s.job, s.table, ", ".join(f"{state} {count}" for state, count in s.states.items()), s.due, s.leased)
                for s in found
            ]
            show_table("", ["Job", "Table", "Rows", "#Due", "#Leased"], rows)
        else:
            typer.echo(f"nothing in channel {channel!r}")
        for run in runs:
            typer.echo(f"{run.job} is running: {run.holder}, since {run.since:%Y-%m-%d %H:%M:%S} UTC")

    records = [{"job": s.job, "table": s.table, "states": s.states, "due": s.due, "leased": s.leased} for s in found]
    show_records(Records(records), output, table)
    if any(job.held for job in found):
        raise typer.Exit(1)


@app.command("show")
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A SKU or an order's id.")],
    *,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what the ledger knows of one SKU or order. Exit code 1: nothing."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with _opened(place, channel) as ledger:
        found = inspection.show(ledger, key)

    def table() -> None:
        for row in found:
            cells = [(name, value) for name, value in row.items() if value not in (None, "") and name != "job"]
            show_table(row["job"], ["Column", "Value"], cells)

    show_records(Records(found), output, table)
    if not found:
        notice(f"the ledger knows nothing of {key!r} in channel {channel!r}")
        raise typer.Exit(1)


@app.command("quarantine")
def quarantine(
    *,
    job: JobOption = None,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
    output: OutputOption = Output.TABLE,
) -> None:
    """List rows that are rejected, quarantined or not confirmed. Exit code 1: there are some."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with _opened(place, channel) as ledger:
        found = list(inspection.held(ledger, job=job))

    def table() -> None:
        rows = [(name, problem.key, problem.state, problem.attempts, problem.message) for name, problem in found]
        if rows:
            show_table("", ["Job", "Key", "State", "#Tried", "Message"], rows)
        else:
            typer.echo("nothing is held")

    rows = [
        {"job": name, "key": p.key, "state": p.state, "attempts": p.attempts, "message": p.message} for name, p in found
    ]
    show_records(Records(rows), output, table)
    if found:
        raise typer.Exit(1)


@app.command("retry")
def retry(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="SKUs or order ids.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every held row.")] = False,
    job: JobOption = None,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Let the next run try rejected, quarantined or unconfirmed rows again, without a pause."""
    if bool(keys) is everything:
        raise typer.BadParameter("give keys, or --all")
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with _opened(place, channel) as ledger:
        count = inspection.retry(ledger, keys or None, job=job)
    typer.echo(f"released for the next run: {count}")
    if keys and not count:
        raise typer.Exit(1)
