"""`octopus-soap ledger`: show a ledger and release held rows, without an account."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.jobs import ChannelOption, LedgerOption, opened_ledger, seconds_of
from octopus_soap.cli.output import Records, Selection, notice, selecting
from octopus_soap.cli.suggestions import LEDGER, skus
from octopus_soap.cli.terminal import show_table

app = Application()


class Job(StrEnum):
    """The jobs that a ledger records."""

    PUSH = "push"
    ORDERS = "orders"
    CHANGES = "changes"


JobOption = Annotated[Job | None, typer.Option("--job", metavar="NAME", help="Only push, orders or changes.")]


@app.command("status")
@selecting()
def status(
    *,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
    everything: Annotated[bool, typer.Option("--all", help="Every channel of the ledger.")] = False,
    selection: Selection,
) -> None:
    """Show the state of each job. Exit code 1: some rows are held."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with opened_ledger(place, None if everything else channel) as ledger:
        names = inspection.channels(ledger) if everything else [channel]
        found = [
            (name, inspection.status(shop := ledger.for_channel(name)), inspection.running(shop)) for name in names
        ]

    def table() -> None:
        for name, jobs, runs in found:
            rows = [
                (s.job, s.table, ", ".join(f"{state} {count}" for state, count in s.states.items()), s.due, s.leased)
                for s in jobs
            ]
            if rows:
                show_table(name if everything else "", ["Job", "Table", "Rows", "#Due", "#Leased"], rows)
            else:
                typer.echo(f"nothing in channel {name!r}")
            for run in runs:
                typer.echo(f"{run.job} is running: {run.holder}, since {run.since:%Y-%m-%d %H:%M:%S} UTC")

    records = [
        ({"channel": name} if everything else {})
        | {"job": s.job, "table": s.table, "states": s.states, "due": s.due, "leased": s.leased, "held": s.held}
        for name, jobs, _ in found
        for s in jobs
    ]
    selection.show_whole(Records(records), table)
    if any(job.held for _, jobs, _ in found for job in jobs):
        raise typer.Exit(1)


@app.command("acknowledge")
def acknowledge(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[ORDER]...", help="Ids of orders.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All changed orders.")] = False,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Accept that orders were changed after they were handled.

    The next run confirms them. The newer version is in the ledger (octopus-soap
    ledger show ORDER). To write it to a file too, use octopus-soap ledger retry
    ORDER instead. Exit code 1: no such order was changed.
    """
    if bool(keys) is everything:
        raise typer.BadParameter("name orders, or give --all")
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with opened_ledger(place, channel) as ledger:
        count = inspection.acknowledge(ledger, keys or None)
    typer.echo(f"acknowledged: {count}")
    if keys and not count:
        raise typer.Exit(1)


@app.command("forget")
def forget(
    skus: Annotated[
        list[str], typer.Argument(metavar="SKU...", help="SKUs, as the report quotes them.", autocompletion=skus)
    ],
    *,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Drop rejected SKUs that the shop no longer sends. Exit code 1: none is rejected."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with opened_ledger(place, channel) as ledger:
        count = inspection.forget(ledger, skus)
    typer.echo(f"forgotten: {count}")
    if not count:
        raise typer.Exit(1)


@app.command("purge")
def purge(
    *,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Orders handled longer ago than this, such as 90d.")
    ],
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Remove the content of confirmed orders: names, addresses and lines.

    The id and a digest stay, so that an order that is listed again is recognised.
    """
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    span = timedelta(seconds=seconds_of(older_than, "--older-than"))
    with opened_ledger(place, channel) as ledger:
        count = inspection.purge(ledger, ledger.now() - span)
    typer.echo(f"orders emptied: {count}")


@app.command("show")
@selecting()
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A SKU or an order's id.", autocompletion=skus)],
    *,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
    selection: Selection,
) -> None:
    """Show the ledger's rows of one SKU or order. Exit code 1: there are none."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with opened_ledger(place, channel) as ledger:
        found = inspection.show(ledger, key)

    def table() -> None:
        for row in found:
            cells = [(name, value) for name, value in row.items() if value not in (None, "") and name != "job"]
            show_table(row["job"], ["Column", "Value"], cells)

    selection.show_whole(Records(found), table)
    if not found:
        notice(f"the ledger has nothing about {key!r} in channel {channel!r}")
        raise typer.Exit(1)


@app.command("quarantine")
@selecting()
def quarantine(
    *, job: JobOption = None, place: LedgerOption = LEDGER, channel: ChannelOption = "main", selection: Selection
) -> None:
    """List rows that are rejected, quarantined or not confirmed. Exit code 1: some."""
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with opened_ledger(place, channel) as ledger:
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
    selection.show_whole(Records(rows), table)
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
    """Let the next run retry rejected, quarantined or unconfirmed rows at once."""
    if bool(keys) is everything:
        raise typer.BadParameter("give keys, or --all")
    from octopus_soap.jobs import inspection  # noqa: PLC0415 - heavy: only inside a command

    with opened_ledger(place, channel) as ledger:
        count = inspection.retry(ledger, keys or None, job=job)
    typer.echo(f"released for the next run: {count}")
    if keys and not count:
        raise typer.Exit(1)
