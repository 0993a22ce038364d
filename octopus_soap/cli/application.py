"""Typer applications whose `--help` looks the same in every version of typer.

A flag shows no value, a value shows its kind in capitals (`FILE`, `TEXT`, `a|b`), and an argument shows its name only.
"""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

_KINDS = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "path": "PATH", "file": "FILE", "directory": "FOLDER"}
_KIND = re.compile(r"<(?:list\[)?(.*?)\]?>")
_FRAMED = 60
"""Columns that the frames of a help text need."""
_BRACED = re.compile(r"\{([^{}]*)\}")


class _Alike:
    """The look of the help of commands and groups."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, each with the name of its value in the help."""
        return _labelled(super().get_params(ctx), ctx)  # type: ignore[misc] # typer's class is behind this one

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help in frames, or plainly in a narrow terminal."""
        with _plain_if_narrow(self):
            super().format_help(ctx, formatter)  # type: ignore[misc] # as above


class Command(_Alike, TyperCommand):
    """A command."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the usage line in pieces; a required argument is its bare name."""
        return [_BRACED.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


class Group(_Alike, TyperGroup):
    """A group of commands."""


class Application(typer.Typer):
    """A group whose commands look alike, and that shows its help by default."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("cls", Group)
        options.setdefault("no_args_is_help", True)
        super().__init__(pretty_exceptions_enable=False, **options)  # typer's tracebacks show values

    def command(self, name: str | None = None, **options: Any) -> Callable[..., Any]:
        """Register a command."""
        return super().command(name, cls=Command, **options)


@contextmanager
def _plain_if_narrow(command: Any) -> Generator[None]:
    """Leave the frames out of a help if they would cut the names of options."""
    before = command.rich_markup_mode
    if shutil.get_terminal_size().columns < _FRAMED:
        command.rich_markup_mode = None
    try:
        yield
    finally:
        command.rich_markup_mode = before


def _labelled(parameters: Iterable[Any], context: Any) -> list[Any]:
    found = list(parameters)
    for parameter in found:
        parameter.process_value = partial(_value_of, parameter)
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = _no_type
        elif parameter.metavar is None:
            parameter.metavar = "" if _is_flag(parameter) else _label(parameter, context)
    return found


def _value_of(parameter: Any, ctx: Any, value: Any) -> Any:
    """Return the value of a parameter; no value is None, whatever its type."""
    # typer would load pydantic to find that out.
    several = parameter.nargs != 1 or getattr(parameter, "multiple", False)
    if value is None and not several and not parameter.required:
        return None if parameter.callback is None else parameter.callback(ctx, parameter, None)
    return type(parameter).process_value(parameter, ctx, value)


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False) or getattr(parameter, "count", False))


def _label(parameter: Any, context: Any) -> str | None:
    """Return the kind of a value in capitals; None if typer has a name for it."""
    kind_of = getattr(parameter, "display_type", None)
    if kind_of is None:
        return None
    kind = _KIND.sub(r"\1", kind_of(context))
    return kind if "|" in kind else _KINDS.get(kind, kind.upper())


def _no_type(ctx: Any) -> None:
    """Show no type, because the name of an argument, such as FILE, is enough."""
    del ctx


def command_under(found: Any, words: list[str], summary: str) -> Iterator[tuple[list[str], Any, Any]]:
    """Yield every command below *found*: its words, the command, and a context for it.

    *found* is an application or a function. *words* are typed before it; *summary* is the help of a group without one.
    """
    if isinstance(found, typer.Typer):
        made: Any = typer.main.get_command(found)
        made.help = summary
    else:
        application = Application()
        application.command(words[-1])(found)
        made = typer.main.get_command(application)
    yield from _walked(made, words)


def _walked(command: Any, words: list[str]) -> Iterator[tuple[list[str], Any, Any]]:
    context = command.context_class(command, info_name=" ".join(words))
    yield words, command, context
    for name in getattr(command, "commands", {}):
        yield from _walked(command.commands[name], [*words, name])
