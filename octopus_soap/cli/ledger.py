"""`octopus-soap ledger`: look into a ledger, and let what is held be tried again. Needs no account."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.output import Output, OutputOption, notice, show_records
from octopus_soap.cli.records import Records
from octopus_soap.cli.rounds import LEDGER, ChannelOption, LedgerOption
from octopus_soap.cli.tables import show_table

if TYPE_CHECKING:
    from octopus_soap.jobs.ledger import Ledger

app = typer.Typer(no_args_is_help=True)


class Job(StrEnum):
    """The jobs a ledger knows."""

    PUSH = "push"
    ORDERS = "orders"
    CHANGES = "changes"


JobOption = Annotated[Job | None, typer.Option("--job", metavar="NAME", help="Only push, orders or changes.")]


def _opened(place: str, channel: str) -> Ledger:
    """The ledger, which must be there: looking into it does not make one."""
    from octopus_soap.errors import LedgerError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs import Ledger  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs.ledger import file_of  # noqa: PLC0415 - as above

    file = file_of(place)
    if file is not None and not file.exists():
        raise LedgerError(f"no ledger at {place}; --ledger or OCTOPUS_LEDGER says where it is")
    return Ledger(place, channel=channel)


@app.command("status")
def status(
    *, ledger: LedgerOption = LEDGER, channel: ChannelOption = "main", output: OutputOption = Output.TABLE
) -> None:
    """Show how each job is doing. Exit code 1: something is rejected, quarantined or not confirmed."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with _opened(ledger, channel) as books:
        found, runs = inspection.status(books), inspection.running(books)

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
            typer.echo(f"{run.job} is under way: {run.holder}, since {run.since:%Y-%m-%d %H:%M:%S} UTC")

    records = [{"job": s.job, "table": s.table, "states": s.states, "due": s.due, "leased": s.leased} for s in found]
    show_records(Records(records), output, table)
    if any(job.held for job in found):
        raise typer.Exit(1)


@app.command("show")
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A SKU or an order's id.")],
    *,
    ledger: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what is known of one SKU or order. Exit code 1: nothing is."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with _opened(ledger, channel) as books:
        found = inspection.show(books, key)

    def table() -> None:
        for row in found:
            cells = [(name, value) for name, value in row.items() if value not in (None, "") and name != "job"]
            show_table(row["job"], ["Column", "Value"], cells)

    show_records(Records(found), output, table)
    if not found:
        notice(f"nothing is known of {key!r} in channel {channel!r}")
        raise typer.Exit(1)


@app.command("quarantine")
def quarantine(
    *,
    job: JobOption = None,
    ledger: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
    output: OutputOption = Output.TABLE,
) -> None:
    """List what is rejected, quarantined or not confirmed, with the reason. Exit code 1: something is."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with _opened(ledger, channel) as books:
        found = list(inspection.held(books, job=job))

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
    everything: Annotated[bool, typer.Option("--all", help="All that is held.")] = False,
    job: JobOption = None,
    ledger: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Let the next run try again what is rejected, quarantined or not confirmed, without waiting for its pause."""
    if bool(keys) is everything:
        raise typer.BadParameter("name keys, or give --all")
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with _opened(ledger, channel) as books:
        count = inspection.retry(books, keys or None, job=job)
    typer.echo(f"to be tried by the next run: {count}")
    if keys and not count:
        raise typer.Exit(1)
