"""The command of an operation, made from its row of the catalogue.

A scalar is an option; a list of SKUs is `--sku`, repeated, or `--skus` for a file or pipe; a record is JSON; an
optional record of plain fields, such as an order's criteria, is one option per field, as in `--payment-status`. No
operation has its own code here.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer
from rich.markup import escape
from typer.main import get_command_from_info
from typer.models import CommandInfo

from octopus_soap.cli.application import Command
from octopus_soap.cli.calling import Connection, DryRunOption, connected, in_full, show_requests
from octopus_soap.cli.output import Output, Records, Selection, as_data, as_row, selecting, show_all, show_json
from octopus_soap.cli.sources import STDIN, CsvItems, parse_models, read_models, sku_lines
from octopus_soap.errors import InvalidInputError, OctopusError
from octopus_soap.models.base import WireModel, inner_type
from octopus_soap.models.declarations import Safety
from octopus_soap.results import APIResult, BatchResult, CallInfo, Removal
from octopus_soap.tables.cells import as_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from octopus_soap.engine.operation import Operation

_VALUE = "value"
_EnvelopeOption = Annotated[
    bool,
    typer.Option("--envelope", help="Print the envelope of each answer (Status, MessageCode, ...), not the result."),
]
Given = dict[str, Any]
_FILE = "@"
_DRIVEN = frozenset({"progress", "keep_raw"})  # the command line sets or ignores these
_FILLER = re.compile("_filter|_gmt|_list")  # left out of options, which would be too long for 80 columns
_SECTION = re.compile(r"^ *(Args|Returns|Raises):$", re.MULTILINE)
_ARGUMENT = re.compile(r"^ {4}(\w+): ")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call.

    Attributes:
        name: the row's parameter.
        options: what typer parses.
        gather: returns the argument from the given options; None if none was given.
        single: True for one record, not a list of records.
    """

    name: str
    options: list[inspect.Parameter]
    gather: Callable[[Given], Any]
    single: bool = False


def arguments_of(operation: Operation) -> list[Argument]:
    """Return the arguments of a row as options."""
    parameters = list(inspect.signature(operation.body, eval_str=True).parameters.values())[1:]
    words = {name: f"{text[:1].upper()}{text[1:]}" for name, text in argument_words(operation.__doc__ or "").items()}
    return [_argument(parameter, words.get(parameter.name, "")) for parameter in parameters
            if parameter.name not in _DRIVEN]  # fmt: skip


def argument_words(docstring: str) -> dict[str, str]:
    """Return the text about each argument in a docstring."""
    found: dict[str, str] = {}
    name = ""
    for line in _section(docstring, "Args").splitlines():
        if match := _ARGUMENT.match(line):
            name = match[1]
            found[name] = line[match.end() :]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def described(docstring: str) -> str:
    """Return a docstring as help, without its arguments, which are options there."""
    opening = inspect.cleandoc(docstring)
    first = _SECTION.search(opening)
    paragraphs = [opening[: first.start()].rstrip() if first else opening]
    if returns := _section(docstring, "Returns"):
        paragraphs.append(f"Returns: {_joined(returns)}")
    if raises := _section(docstring, "Raises"):
        paragraphs.append(f"Fails with: {_joined(raises)}")
    if first and (page := re.search(r"^Vendor's page: .*$", opening, re.MULTILINE)):
        paragraphs.append(page[0])
    return "\n\n".join(paragraphs)


def _section(docstring: str, title: str) -> str:
    lines = inspect.cleandoc(docstring).splitlines()
    if f"{title}:" not in lines:
        return ""
    kept: list[str] = []
    for line in lines[lines.index(f"{title}:") + 1 :]:
        if line and not line.startswith(" "):
            break
        kept.append(line)
    return "\n".join(kept).rstrip()


def _joined(section: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\.?\n {4}(?=\w+: )", "; ", section)).strip()


# -- one kind of argument each -------------------------------------------------------------------------------------


def _argument(parameter: inspect.Parameter, words: str) -> Argument:
    kind = inner_type(parameter.annotation)
    required = parameter.default is inspect.Parameter.empty
    if get_origin(kind) is not None:  # Iterable[...], the only generic type in a row
        item = get_args(kind)[0]
        return _skus(parameter.name, words) if item is str else _models(parameter.name, item, words, required=required)
    if issubclass(kind, WireModel):
        return _model(parameter.name, kind, words) if required else _fields(parameter.name, kind)
    return _scalar(parameter, kind, words, required=required)


def _parameter(name: str, kind: Any, option: Any, default: Any = None) -> inspect.Parameter:
    annotation = Annotated[kind, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


# A separate panel, so that long names do not narrow the other options.
_option: Any = partial(typer.Option, rich_help_panel="Arguments of the call")


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _scalar(parameter: inspect.Parameter, kind: type, words: str, *, required: bool) -> Argument:
    name = parameter.name
    option = _option(_dashed(name), help=words, show_default=bool(parameter.default) or parameter.default == 0)
    default = inspect.Parameter.empty if required else parameter.default
    annotation = kind if required or default is not None else kind | None
    return Argument(name, [_parameter(name, annotation, option, default)], lambda given: given[name])


def _skus(name: str, words: str) -> Argument:
    one = name.removesuffix("s")
    options = [
        _parameter(one, list[str] | None, _option(_dashed(one), help=f"Can be repeated. {words}", metavar="SKU")),
        _parameter(
            name, str | None, _option(_dashed(name), help="File of SKUs: one per line, or a CSV file with a "
                                           "column sku. - reads a pipe.", metavar="FILE")
        ),
    ]  # fmt: skip

    def gather(given: Given) -> list[str]:
        if given[one] is None and given[name] is None:
            raise typer.BadParameter(f"give at least one, or {_dashed(name)} FILE", param_hint=_dashed(one))
        source = given[name]
        found = [*(given[one] or ()), *(sku_lines(source.removeprefix(_FILE)) if source else ())]
        if not found:
            place = "standard input" if source == STDIN else source
            raise typer.BadParameter(f"{place} has no SKU", param_hint=_dashed(name))
        return found

    return Argument(name, options, gather)


def _models(name: str, model: type[WireModel], words: str, *, required: bool) -> Argument:
    one = _dashed(name).removesuffix("s")
    spellings = list(dict.fromkeys([one, _dashed(name)]))
    about = f"{words} JSON, can be repeated; @FILE or - reads JSON, JSON lines or CSV. Fields: {_fields_of(model)}"
    option = _option(*spellings, help=about, metavar="JSON|@FILE|-")

    def gather(given: Given) -> CsvItems[Any] | None:
        if given[name] is None:
            if required:
                raise typer.BadParameter("give at least one", param_hint=spellings[-1])
            return None
        read = [_read(text, model, one) for text in given[name]]
        if len(read) == 1:
            return read[0]
        items = [item for part in read for item in part.items]
        return CsvItems(Path("the command line"), items, list(range(1, len(items) + 1)))

    return Argument(name, [_parameter(name, list[str] | None, option)], gather)


def _model(name: str, model: type[WireModel], words: str) -> Argument:
    about = f"{words} JSON; @FILE or - reads it. Fields: {_fields_of(model)}"
    option = _option(_dashed(name), help=about, metavar="JSON|@FILE|-")

    def gather(given: Given) -> CsvItems[Any]:
        read = _read(given[name], model, _dashed(name))
        if len(read.items) != 1:
            raise typer.BadParameter(f"takes one {model.__name__}, not {len(read.items)}", param_hint=_dashed(name))
        return read

    return Argument(name, [_parameter(name, str, option, inspect.Parameter.empty)], gather, single=True)


def _fields(name: str, model: type[WireModel]) -> Argument:
    """Return an optional record of plain fields, with an option per field."""
    options: list[inspect.Parameter] = []
    for field, info in model.model_fields.items():
        kind = inner_type(info.annotation)
        many = get_origin(kind) is list
        about = "Can be repeated." if many else _accepts(kind)
        option = _option(_dashed(_FILLER.sub("", field)), help=about, metavar="VALUE")
        options.append(_parameter(field, (list[str] if many else str) | None, option))

    def gather(given: Given) -> Any:
        found = {option.name: given[option.name] for option in options if given[option.name] is not None}
        return model(**found) if found else None

    return Argument(name, options, gather)


def _accepts(kind: Any) -> str:
    inner = inner_type(kind)
    if issubclass(inner, Enum):
        return f"{', '.join(member.value for member in inner)}."
    return "2026-03-04T10:00:00Z: a time with its zone." if inner is datetime else ""


def _fields_of(model: type[WireModel]) -> str:
    names = [name for name in model.model_fields if name != "error_message"]
    return f"{', '.join(names[:8])}{' and more' if len(names) > 8 else ''}."  # noqa: PLR2004 - a line or two of help


def _read(text: str, model: type[WireModel], option: str) -> CsvItems[Any]:
    if text == STDIN:
        return read_models(STDIN, model)
    if text.startswith(_FILE):
        return read_models(text.removeprefix(_FILE), model)
    if not text.lstrip().startswith(("{", "[")):
        hint = f"; to read a file, write {option} {_FILE}{text}" if Path(text).is_file() else ""
        raise typer.BadParameter(f"{text[:60]!r} is not a JSON object{hint}", param_hint=option)
    return parse_models(text, Path(option), model)


def call_arguments(arguments: list[Argument], given: Mapping[str, Any]) -> tuple[dict[str, Any], CsvItems[Any] | None]:
    """Return the arguments of a call, and the source of its records."""
    values: dict[str, Any] = {}
    read: CsvItems[Any] | None = None
    for argument in arguments:
        value = argument.gather(dict(given))
        if isinstance(value, CsvItems):
            read = value
            value = value.items[0] if argument.single else value.items
        if value is not None:
            values[argument.name] = value
    return values, read


# -- the command -------------------------------------------------------------------------------------------------------


@cache
def command_of(row: Operation) -> Any:
    """Return the command of an operation."""
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

    def run(*, connection: Connection, selection: Selection, dry_run: bool, envelope: bool, **given: Any) -> None:
        _run(row, arguments, connection, given, selection, dry_run=dry_run, envelope=envelope)

    keyword = inspect.Parameter.KEYWORD_ONLY
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # what typer reads
        [
            inspect.Parameter("connection", keyword, annotation=Connection),
            *(option for argument in arguments for option in argument.options),
            inspect.Parameter("dry_run", keyword, default=False, annotation=DryRunOption),
            inspect.Parameter("envelope", keyword, default=False, annotation=_EnvelopeOption),
        ]
    )
    model = _model_of(row)
    return connected(selecting(model.__name__ if model else "")(run))


def _run(
    row: Operation,
    arguments: list[Argument],
    connection: Connection,
    given: Mapping[str, Any],
    selection: Selection,
    *,
    dry_run: bool,
    envelope: bool,
) -> None:
    values, read = call_arguments(arguments, given)
    with connection.client() as client:
        bound = getattr(client, row.name)
        try:
            if dry_run:
                show_requests(client, selection, bound, **values)
                return
            if row.safety is not Safety.READ and not envelope:
                selection.check(
                    *((_key_of(row), "status", _VALUE, "message") if row.rule else (_VALUE,)), model=_model_of(row)
                )
            if envelope:
                result = _with_envelopes(row, bound, values, selection)
            else:
                made = partial(bound, **values)
                result = in_full(
                    row.wire_name, made if row.rule else lambda **_: made(), lambda found: _show(row, found, selection)
                )
        except InvalidInputError as error:
            raise (read.located(error) if read and error.problems[0].index is not None else error) from None
    if _is_rejected(result):
        raise typer.Exit(1)


def _with_envelopes(row: Operation, bound: Any, values: dict[str, Any], selection: Selection) -> Any:
    """Make the call, print the envelopes of its answers, and return the result."""
    try:
        answer: Any = bound(**values) if row.rule else bound.with_info(**values)
    except OctopusError as error:
        partly = getattr(error, "result", None)
        _show_envelopes(partly.calls if isinstance(partly, BatchResult) else [error.info], selection)
        raise
    _show_envelopes(getattr(answer, "calls", ()) if row.rule else [answer.info], selection)
    return answer if row.rule else answer.value


def _show_envelopes(calls: Iterable[CallInfo | None], selection: Selection) -> None:
    rows = [
        {
            "call": number,
            "http_status": call.http_status,
            "enveloped": call.envelope is not None,
            **asdict(call.envelope or APIResult("")),
        }
        for number, call in enumerate(calls, 1)
        if call is not None
    ]
    records = Records(rows)
    selection.show_whole(records, lambda: show_all(records))


def _is_rejected(result: Any) -> bool:
    """True if an input is rejected, missing or false, or nothing was removed."""
    if isinstance(result, BatchResult):
        return bool(result.rejected or result.missing) or any(value is False for value in result)
    return isinstance(result, (bool, Removal)) and not result


# -- results -------------------------------------------------------------------------------------------------------


def _show(row: Operation, result: Any, selection: Selection) -> None:
    if isinstance(result, BatchResult):
        _show_outcomes(row, result, selection)
        return
    data = as_data(result) if isinstance(result, WireModel) else result
    if selection.output is Output.JSON and not selection.narrowed:
        show_json(selection.trimmed({_VALUE: data}))
        return
    records = Records([{_VALUE: data}], _VALUE, _model_of(row))
    words = "done" if result is None else as_cell(result) if data is result else ""
    selection.show_whole(records, lambda: typer.echo(words) if words else show_all(records))


def _show_outcomes(row: Operation, result: BatchResult[Any], selection: Selection) -> None:
    model = _model_of(row)
    key = _key_of(row)
    rows = [
        as_row(outcome, key, **{_VALUE: as_data(value) if isinstance(value := outcome.value, WireModel) else value})
        for outcome in result.outcomes
    ]
    records = Records(rows, _VALUE, model)
    selection.show_whole(records, lambda: show_all(records))


def _key_of(row: Operation) -> str:
    model = _model_of(row)
    return model.key_field if model else "sku" if row.safety is Safety.READ else "key"


@cache
def _model_of(row: Operation) -> type[WireModel] | None:
    """Return the model of a row's result; None if the result is plain values."""
    kind = inspect.signature(row.body, eval_str=True).return_annotation
    while get_args(kind):
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, WireModel) else None
