"""`octopus-soap changes`: follow the service's list of changed items."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.failures import HUNG_UP
from octopus_soap.cli.job_options import LEDGER, ChannelOption, LedgerOption, ReportOption, ReportOutput, run_job

if TYPE_CHECKING:
    from octopus_soap.jobs import Change

app = Application()


@app.callback()
def changes() -> None:
    """Follow the list of changed items."""  # keeps `follow` a sub-command although it is the only one


@app.command("follow")
@connected
def follow(
    connection: Connection,
    *,
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="Pause between two looks at the list, such as 60s, 5m or 1h.")
    ] = "60s",
    once: Annotated[bool, typer.Option("--once", help="Print what has changed until now, and end.")] = False,
    output: ReportOption = ReportOutput.TEXT,
    place: LedgerOption = LEDGER,
    channel: ChannelOption = "main",
) -> None:
    """Print every item that changes, a line of JSON each, and take it off the service's list.

    An item is printed as it is now; a deleted one has "deleted": true. If the
    command is killed while it writes a line, the line can come again, and has
    "redelivered": true then. Reports go to stderr; with --output json they are
    lines of JSON with "report" on stdout. Exit code 1: some items cannot be read.
    3: another run is under way.
    """
    from octopus_soap.jobs import ChangeFeed, Ledger  # noqa: PLC0415 - heavy: only inside a command

    with connection.client() as client, Ledger(place, channel=channel) as ledger:
        feed = ChangeFeed(client, ledger)
        run_job(lambda stop: feed.run(_print, stop=stop), None if once else every, output, line=True)


def _print(change: Change) -> None:
    from octopus_soap.cli.output import as_data  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs import DestinationError  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.tables.cells import as_json  # noqa: PLC0415 - heavy: only inside a command

    row: dict[str, Any] = {"sku": change.sku}
    if change.redelivered:
        row["redelivered"] = True
    row |= {"deleted": True} if change.item is None else {"item": as_data(change.item)}
    try:
        sys.stdout.buffer.write(f"{as_json(row, indent=None)}\n".encode())
        sys.stdout.buffer.flush()  # before the ledger records it as done; if it is a file, on the disk too
    except BrokenPipeError:
        raise SystemExit(HUNG_UP) from None  # any other error would count as a failure of this item
    except OSError as error:  # such as a full disk, which is not this item's fault
        raise DestinationError(f"cannot write the item: {error.strerror or error}") from error
    with suppress(OSError):
        os.fsync(sys.stdout.fileno())
