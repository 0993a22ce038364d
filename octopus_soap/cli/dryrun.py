"""`--dry-run`: the requests a command would send, redacted, batch by batch, and nothing sent.

The messages come from the same call of the same client, stopped where it would send. On stdout stand the messages, one
after the other; what goes with each (address, SOAPAction, headers, size) is told on stderr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.output import Output, notice, show_records
from octopus_soap.cli.records import Records
from octopus_soap.wire.redact import MASK, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap.client import OctopusClient
    from octopus_soap.engine.effects import Attempt

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the messages that would be sent, without secrets, and send nothing.")
]


def show_requests(client: OctopusClient, output: Output, call: Any, *arguments: Any, **more: Any) -> None:
    """Show what a call would send.

    Args:
        client: whose call it is.
        output: how to print it.
        call: an operation of *client*, such as `client.upload_item_list`.
        arguments: what it would be called with.
        more: the same, by name.
    """
    show_exchanges(client, output, call.dry_run(*arguments, **more), call.operation.wire_name)


def show_exchanges(client: OctopusClient, output: Output, exchanges: Iterator[Attempt], operation: str) -> None:
    """Show requests that are not sent.

    Args:
        client: who would send them.
        output: how to print them.
        exchanges: the requests.
        operation: the wire name of what was asked for.
    """
    shown = Redactor(client.settings.secrets()).body
    if output is Output.TABLE:
        count = _print(client, exchanges, operation, shown)
        notice(f"dry run: {count} {'message' if count == 1 else 'messages'}, nothing was sent")
        return
    rows = [
        {
            "batch": number,
            "operation": exchange.operation,
            "action": exchange.action,
            "bytes": len(exchange.body),
            "message": shown(exchange.body),
        }
        for number, exchange in enumerate(exchanges, 1)
    ]
    show_records(Records(rows), output, lambda: None)


def _print(client: OctopusClient, exchanges: Iterator[Attempt], operation: str, shown: Callable[[bytes], str]) -> int:
    settings, number = client.settings, 0
    for number, exchange in enumerate(exchanges, 1):
        notice(f"# {number}: {exchange.operation}, {len(exchange.body):,} bytes")
        if number == 1:
            notice(f"# POST {settings.endpoint}")
            notice(f"# authtoken: {MASK}, merchantname: {settings.merchantname}, accessid: {MASK}")
        notice(f'# SOAPAction: "{exchange.action}"')
        if exchange.operation != operation:
            notice(f"# omitted_values=read_first: what {operation} then sends depends on the answer to this")
        typer.echo(shown(exchange.body))
    return number
