"""`octopus-soap call`: every operation of the catalogue, made from its row.

The name is the wire name or the Python name, in any case: `GetItemList`, `get_item_list`, `getitemlist`. The options,
checks and results of a command follow from the row; there is no code per operation here.
"""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.markup import escape
from typer.main import get_command_from_info
from typer.models import CommandInfo

from octopus_soap.cli.application import Application, Command, Group
from octopus_soap.cli.arguments import arguments_of, call_arguments, described
from octopus_soap.cli.calling import DryRunOption, in_full, show_requests
from octopus_soap.cli.connection import Connection, connected
from octopus_soap.cli.output import Output, OutputOption, as_data, as_row, show_all, show_json, show_records
from octopus_soap.cli.records import Records
from octopus_soap.cli.tables import show_table
from octopus_soap.errors import InvalidInputError
from octopus_soap.models.base import WireModel
from octopus_soap.operations import OPERATIONS
from octopus_soap.results import BatchResult, Removal
from octopus_soap.safety import Safety
from octopus_soap.tables.cells import as_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.cli.arguments import Argument
    from octopus_soap.engine.operation import Operation

_VALUE = "value"


def operation_named(word: str, context: Any = None) -> Operation:
    """Return the operation called *word*.

    Args:
        word: the word that was typed.
        context: typer's, for the hint of an error.

    Raises:
        BadParameter: there is no such operation; the message names the nearest.
    """
    names = _names()
    found = names.get(word.casefold())
    if found is None:
        near = get_close_matches(word.casefold(), names, n=1)
        spelled = "" if not near else names[near[0]].name if "_" in word else names[near[0]].wire_name
        hint = f"did you mean {spelled}?" if spelled else "octopus-soap call lists them"
        raise typer.BadParameter(f"no operation {word!r}; {hint}", ctx=context, param_hint="OPERATION")
    return found


@cache
def _names() -> dict[str, Operation]:
    """Each operation by its two names, in small letters."""
    return {name.casefold(): row for row in OPERATIONS.values() for name in (row.wire_name, row.name)}


class _Catalogue(Group):
    """A group with a command per row, each made when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's interface
        """Return the wire names, in the order of the catalogue."""
        return list(OPERATIONS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's interface
        """Return the command of an operation, by either name."""
        row = _names().get(cmd_name.casefold())
        return None if row is None else _command(row)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; the error for an unknown one knows both names."""
        row = operation_named(args[0], ctx)
        return row.wire_name, _command(row), args[1:]

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete names in either spelling and any case."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        make: Any = type(super().shell_complete(ctx, "")[0])  # of whichever click the installed typer holds
        python = "_" in incomplete or (incomplete != "" and incomplete.islower())
        names = {row.name if python else row.wire_name: row for row in OPERATIONS.values()}
        typed = incomplete.casefold()
        return [make(name, help=row.summary) for name, row in names.items() if name.casefold().startswith(typed)]


app = Application(
    cls=_Catalogue, invoke_without_command=True, no_args_is_help=False, subcommand_metavar="OPERATION [OPTIONS]..."
)


@app.callback()
def call(
    context: typer.Context,
    *,
    listed: Annotated[bool, typer.Option("--list", help="Print the catalogue. The same as no operation.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Call any operation of the catalogue: octopus-soap call IsSkuExistList --sku A --sku B.

    OPERATION is the service's name or the Python client's, in any case.
    Exit code 1: the service rejected some inputs, or does not know them.
    """
    if listed or context.invoked_subcommand is None:
        _show_catalogue(output)
        raise typer.Exit


def _show_catalogue(output: Output) -> None:
    rows = [
        {
            "operation": row.wire_name,
            "python": row.name,
            "limit": row.rule.limit if row.rule else None,
            "documented": row.rule.documented if row.rule else None,
            "safety": row.safety.value,
            "summary": row.summary,
        }
        for row in OPERATIONS.values()
    ]

    def table() -> None:
        cells = [(r["operation"], r["python"], r["limit"], r["safety"], r["summary"]) for r in rows]
        show_table("", ["Operation", "?In Python", "#Limit", "Safety", "Summary"], cells)
        typer.echo("octopus-soap call OPERATION --help shows the options of one.")

    show_records(Records(rows), output, table)


@cache
def _command(row: Operation) -> Any:
    about = escape(described(row.__doc__ or ""))
    made = get_command_from_info(
        CommandInfo(cls=Command, name=row.wire_name, callback=_callback(row), help=about),
        pretty_exceptions_short=False,
        rich_markup_mode="rich",
    )
    made.short_help = row.summary
    return made


def _callback(row: Operation) -> Callable[..., None]:
    arguments = arguments_of(row)

    def run(connection: Connection, /, *, output: Output, dry_run: bool, **given: Any) -> None:
        _run(row, arguments, connection, given, output, dry_run=dry_run)

    keyword = inspect.Parameter.KEYWORD_ONLY
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # what typer reads
        [
            inspect.Parameter("connection", inspect.Parameter.POSITIONAL_ONLY, annotation=Connection),
            *(option for argument in arguments for option in argument.options),
            inspect.Parameter("output", keyword, default=Output.TABLE, annotation=OutputOption),
            inspect.Parameter("dry_run", keyword, default=False, annotation=DryRunOption),
        ]
    )
    return connected(run)


def _run(
    row: Operation,
    arguments: list[Argument],
    connection: Connection,
    given: Mapping[str, Any],
    output: Output,
    *,
    dry_run: bool,
) -> None:
    values, read = call_arguments(arguments, given)
    with connection.client() as client:
        bound = getattr(client, row.name)
        try:
            if dry_run:
                show_requests(client, output, bound, **values)
                return
            made: Any = (lambda progress: bound(**values, progress=progress)) if row.rule else lambda _: bound(**values)
            result = in_full(row.wire_name, made, lambda found: _show(row, found, output))
        except InvalidInputError as error:
            raise (read.located(error) if read and error.problems[0].index is not None else error) from None
    if _is_rejected(result):
        raise typer.Exit(1)


def _is_rejected(result: Any) -> bool:
    """True if an input was rejected or is unknown, a SKU does not exist, or there was nothing to remove."""
    if isinstance(result, BatchResult):
        return bool(result.rejected or result.missing) or any(value is False for value in result)
    return isinstance(result, (bool, Removal)) and not result


# -- results -------------------------------------------------------------------------------------------------------


def _show(row: Operation, result: Any, output: Output) -> None:
    if isinstance(result, BatchResult):
        _show_outcomes(row, result, output)
        return
    data = as_data(result) if isinstance(result, WireModel) else result
    if output is Output.JSON:
        show_json({_VALUE: data})
        return
    records = Records([{_VALUE: data}], _VALUE, _model_of(row))
    words = "done" if result is None else as_cell(result) if data is result else ""
    show_records(records, output, lambda: typer.echo(words) if words else show_all(records))


def _show_outcomes(row: Operation, result: BatchResult[Any], output: Output) -> None:
    model = _model_of(row)
    key = model.key_field if model else "sku" if row.safety is Safety.READ else "key"
    rows = [
        as_row(outcome, key, **{_VALUE: as_data(value) if isinstance(value := outcome.value, WireModel) else value})
        for outcome in result.outcomes
    ]
    records = Records(rows, _VALUE, model)
    show_records(records, output, lambda: show_all(records))


@cache
def _model_of(row: Operation) -> type[WireModel] | None:
    """Return the model of a row's result; None if the result is plain values."""
    kind = inspect.signature(row.body, eval_str=True).return_annotation
    while get_args(kind):
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, WireModel) else None
