"""`octopus-soap orders pull`: every order into a file of its own, and confirmed once that file is safe."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.output import progress_bar
from octopus_soap.cli.rounds import LEDGER, ChannelOption, EveryOption, LedgerOption, run_job

if TYPE_CHECKING:
    from threading import Event

    from octopus_soap.jobs.reports import Report


class Format(StrEnum):
    """What an order's file holds."""

    JSONL = "jsonl"
    CSV = "csv"


@connected
def pull(
    connection: Connection,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the files go.", file_okay=False)],
    kind: Annotated[
        Format, typer.Option("--format", help="jsonl: a line of JSON; csv: a row per line of the order.")
    ] = Format.JSONL,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Leave out orders created before; a date (UTC) or a time with its zone."),
    ] = None,
    store: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this store's part of the orders; may be repeated.")
    ] = None,
    confirm: Annotated[bool, typer.Option("--confirm/--no-confirm", help="Confirm what is written.")] = True,
    every: EveryOption = None,
    ledger: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Download new orders, one file each, and confirm them.

    A file is complete as soon as it has its name, and may be taken away then.
    Whatever ends the command, the next one goes on: no order is lost, and no
    file comes twice. Exit code 1: some orders cannot be read, written or
    confirmed; they are named, and tried again.
    """
    from octopus_soap.cli.orders import moment_of  # noqa: PLC0415 - it mounts this command
    from octopus_soap.jobs import Ledger, OrderInbox  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs.order_files import OrderFiles  # noqa: PLC0415 - heavy: only inside a command

    begin = moment_of(since, "--since") if since else None
    files = OrderFiles(to, kind.value)
    with connection.client() as client, Ledger(ledger, channel=channel) as books:
        inbox = OrderInbox(client, books, stores=store or (), since=begin, confirm=confirm)

        def once(stop: Event) -> Report:
            books.bind(client)
            with books.run_lock("orders pull"), progress_bar("writing") as progress:
                files.recover(books)
                return inbox.run(files, stop=stop, progress=progress)

        run_job(once, every)
