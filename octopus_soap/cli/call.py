"""`octopus-soap call`: call any operation of the catalogue by its name.

The name is the wire name or the Python name, in any case: `GetItemList`, `get_item_list`, `getitemlist`. The command of
an operation is made from its row by `operation_command`.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.application import Application, Group
from octopus_soap.cli.output import Records, Selection, selecting
from octopus_soap.cli.terminal import show_table
from octopus_soap.contracts.bundled import operation_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octopus_soap.engine.operation import Operation

_WORD = re.compile("(?<!^)(?=[A-Z])")


def python_name(wire_name: str) -> str:
    """Return the name of an operation's method in Python."""
    return _WORD.sub("_", wire_name).lower()


def operation_named(word: str, context: Any = None) -> str:
    """Return the wire name of the operation called *word*.

    Raises:
        BadParameter: there is no such operation; the message suggests the nearest.
    """
    names = _names()
    found = names.get(word.casefold())
    if found is None:
        near = get_close_matches(word.casefold(), names, n=1)
        spelled = "" if not near else python_name(names[near[0]]) if "_" in word else names[near[0]]
        hint = f"did you mean {spelled}?" if spelled else "octopus-soap call lists them"
        raise typer.BadParameter(f"no operation {word!r}; {hint}", ctx=context, param_hint="OPERATION")
    return found


@cache
def _names() -> dict[str, str]:
    """Return each wire name by the two names of its operation, in lower case."""
    return {name.casefold(): wire for wire in operation_names() for name in (wire, python_name(wire))}


def _operations() -> Mapping[str, Operation]:
    from octopus_soap.operations import OPERATIONS  # noqa: PLC0415 - heavy: not for --help

    return OPERATIONS


class _Catalogue(Group):
    """A group with a command per row, each made when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's interface
        """Return the wire names, in the order of the catalogue."""
        return list(_operations())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's interface
        """Return the command of an operation, by either name."""
        from octopus_soap.cli.operation_command import command_of  # noqa: PLC0415 - heavy: not for --help

        wire = _names().get(cmd_name.casefold())
        return None if wire is None else command_of(_operations()[wire])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command; an error suggests the name in the spelling used."""
        wire = operation_named(args[0], ctx)
        return wire, self.get_command(ctx, wire), args[1:]


app = Application(
    cls=_Catalogue, invoke_without_command=True, no_args_is_help=False, subcommand_metavar="OPERATION [OPTIONS]..."
)


@app.callback()
@selecting()
def call(
    context: typer.Context,
    *,
    listed: Annotated[bool, typer.Option("--list", help="Print the catalogue, as without an operation.")] = False,
    selection: Selection,
) -> None:
    """Call any operation: octopus-soap call IsSkuExistList --sku A --sku B.

    OPERATION is the service's name or the Python client's, in any case.
    Exit code 1: some inputs are rejected, or unknown to the service.
    """
    if listed or context.invoked_subcommand is None:
        _show_catalogue(selection)
        raise typer.Exit


def _show_catalogue(selection: Selection) -> None:
    rows = [
        {
            "operation": row.wire_name,
            "python": row.name,
            "limit": row.rule.limit if row.rule else None,
            "documented": row.rule.documented if row.rule else None,
            "safety": row.safety.value,
            "summary": row.summary,
        }
        for row in _operations().values()
    ]

    def table() -> None:
        cells = [(r["operation"], r["python"], r["limit"], r["safety"], r["summary"]) for r in rows]
        show_table("", ["Operation", "?In Python", "#Limit", "Safety", "Summary"], cells)
        typer.echo("octopus-soap call OPERATION --help shows the options of an operation.")

    selection.show_whole(Records(rows), table)
