"""The connection options of commands, and how commands make calls.

A command that calls the service is declared with `connected`, which adds the connection options:

```python
@app.command()
@connected
def get(connection: Connection, skus: ...) -> None:
    with connection.client() as client: ...
```

Calls are made under a progress bar, one by one if the service has no list form, or as a dry run. If an error, Ctrl-C or
SIGTERM leaves part of the work undone, the result is shown all the same. A dry run makes the same call with the same
client, but stops before it sends: it prints each message on stdout, and its address, SOAPAction, headers and size on
stderr.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from octopus_soap._http import one_line
from octopus_soap.cli.failures import TERMINATED
from octopus_soap.cli.output import Output, Records, Selection, as_row, notice, with_options
from octopus_soap.cli.suggestions import Words, profiles
from octopus_soap.cli.terminal import show_table, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from octopus_soap.client import OctopusClient
    from octopus_soap.engine.effects import Attempt
    from octopus_soap.errors import OctopusError
    from octopus_soap.models.declarations import OmittedValues
    from octopus_soap.results import Answer, BatchResult, CallInfo, ItemOutcome, Progress
    from octopus_soap.settings import OctopusSettings

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")
OmittedOption = Annotated[
    str | None,
    typer.Option(
        "--omitted-values",
        metavar="MODE|MEMBERS",
        help="What to do about values left out that the service would read as 0: refuse, send or read_first; "
        "or the members that may be left out, such as shipping_total,tax_total.",
        show_default=False,
        autocompletion=Words(("refuse", "send", "read_first")).like,
    ),
]
_PANEL = "Connection (by default from OCTOPUS_* variables, .env or the profile file)"


_option: Any = partial(typer.Option, rich_help_panel=_PANEL, show_default=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection options of a command; None for an option that was not given."""

    endpoint: Annotated[str | None, _option(metavar="URL", help="Address of the service.")] = None
    authtoken: Annotated[
        str | None, _option(metavar="TEXT", help="Secret. Others can see it here; prefer OCTOPUS_AUTHTOKEN.")
    ] = None
    merchantname: Annotated[str | None, _option(metavar="TEXT", help="The merchant's name.")] = None
    accessid: Annotated[
        str | None, _option(metavar="TEXT", help="Secret. Others can see it here; prefer OCTOPUS_ACCESSID.")
    ] = None
    profile: Annotated[
        str | None, _option(metavar="NAME", help="Table of the profile file to use.", autocompletion=profiles)
    ] = None

    def __repr__(self) -> str:
        return f"Connection({self.endpoint!r}, profile={self.profile!r})"  # the rest is secret

    def settings(self) -> OctopusSettings:
        """Return the settings, completed from the other sources.

        Raises:
            ConfigError: a setting is missing or not accepted.
        """
        from octopus_soap.settings import OctopusSettings  # noqa: PLC0415 - heavy: only inside a command

        return OctopusSettings.load(
            endpoint=self.endpoint,
            authtoken=self.authtoken,
            merchantname=self.merchantname,
            accessid=self.accessid,
            profile=self.profile,
        )

    def client(self, omitted_values: str | None = None, operation: str = "") -> OctopusClient:
        """Return a client; close it, or use it as a context manager.

        *omitted_values*, the value of `--omitted-values`, overrides the settings. It may name members of *operation*.

        Raises:
            ConfigError: a setting is missing or not accepted.
            typer.BadParameter: *omitted_values* is neither a mode nor names.
        """
        settings = self.settings()  # first, because the client takes longer to import
        chosen = None if omitted_values is None else _choice_of(omitted_values, operation, settings.wsdl)
        from octopus_soap.client import OctopusClient  # noqa: PLC0415 - heavy: only inside a command

        return OctopusClient(settings=settings, omitted_values=chosen)


def _choice_of(text: str, operation: str, wsdl: Path | None) -> OmittedValues | dict[str, OmittedValues | list[str]]:
    """Return the mode, or the members that *operation* may leave out, from *text*.

    Raises:
        typer.BadParameter: *text* names neither.
    """
    from octopus_soap.models.declarations import OmittedValues  # noqa: PLC0415 - heavy: only inside a command

    if text in set(OmittedValues):
        return OmittedValues(text)
    from octopus_soap.contracts.diff import written_members  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.contracts.wsdl import load_contract  # noqa: PLC0415 - heavy: only inside a command

    names = [name.strip() for name in text.split(",")]
    known = {name.casefold(): name for name in written_members(load_contract(wsdl), operation)}
    if unknown := [name for name in names if name.replace("_", "").casefold() not in known]:
        near = get_close_matches(unknown[0].replace("_", "").casefold(), known, n=1)
        hint = f"; did you mean {known[near[0]]}?" if near else ""
        raise typer.BadParameter(
            f"{unknown[0]!r} is neither one of {', '.join(OmittedValues)}, nor a member that {operation} writes{hint}",
            param_hint="--omitted-values",
        )
    return {"*": list(names)}


def connected(command: Callable[Concatenate[Connection, P], R]) -> Callable[..., R]:
    """Add the options of `Connection` to *command*, and pass one as its argument."""
    return with_options("connection", Connection)(command)


# -- the calls of a command --------------------------------------------------------------------------------------------


DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the messages that would be sent, without secrets; send nothing.")
]

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirmed(question: str, *, yes: bool) -> None:
    """Ask *question* on a terminal, unless *yes* answers it.

    Raises:
        typer.Abort: the answer is no.
        typer.BadParameter: there is no terminal to ask.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter("this cannot be undone, and there is no terminal to ask: give --yes")
    typer.confirm(one_line(question), abort=True, err=True)


def in_full(label: str, call: Callable[..., T], show: Callable[[Any], object]) -> T:
    """Make a call under a progress bar and show its result, also a partial one.

    An error, Ctrl-C or SIGTERM may leave part of it undone. *call* gets `progress`, the callback that moves the bar.
    """
    from octopus_soap.results import BatchResult  # noqa: PLC0415 - heavy: only inside a command

    try:
        with _terminable(), progress_bar(label) as progress:
            result = call(progress=progress)
    except BaseException as error:
        partial = getattr(error, "result", None)
        if isinstance(partial, BatchResult):
            show(partial)
        if isinstance(error, _TerminatedError):
            notice("octopus-soap: ended by SIGTERM")
            raise typer.Exit(TERMINATED) from None  # typer ends every KeyboardInterrupt with 130
        raise
    show(result)
    return result


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM came during a call, which ends as after Ctrl-C."""


@contextmanager
def _terminable() -> Generator[None]:
    """Raise `_TerminatedError` if SIGTERM comes, unless the process ignores it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        yield
        return

    def handle(number: int, frame: object) -> None:
        del number, frame
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def progress_bar(label: str) -> Generator[Callable[[Progress], None]]:
    """Show a progress bar in a terminal's stderr; yield the callback that moves it."""
    with progress_bars(label) as (move,):
        yield move


@contextmanager
def progress_bars(*labels: str) -> Generator[list[Callable[[Progress], None]]]:
    """Show a progress bar per phase, from its first step on; yield their callbacks."""
    if not sys.stderr.isatty():
        yield [lambda _: None for _ in labels]
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - see below
    from rich.progress import Progress as Bar  # noqa: PLC0415 - costs as much as all of --help

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=terminal(errors=True), transient=True) as bar:

        def mover(label: str, *, visible: bool) -> Callable[[Progress], None]:
            task = bar.add_task(label, total=None, visible=visible)
            return lambda progress: bar.update(task, visible=True, completed=progress.done, total=progress.total)

        yield [mover(label, visible=not at) for at, label in enumerate(labels)]


def show_update(result: BatchResult[Any], selection: Selection, done: str, key: str = "sku") -> None:
    """Show the result of an update; as a table, only the inputs that are not ok.

    *done* is the word for the others, such as `uploaded`; *key* is the name of the inputs' key.
    """

    def table() -> None:
        bad = [outcome for outcome in result.outcomes if not outcome.ok]
        if bad:
            rows = [(o.key, o.status.value, o.error.message if o.error is not None else o.message) for o in bad]
            show_table(f"not {done}", ["SKU" if key == "sku" else key, "Status", "Message"], rows)
        typer.echo(f"{done}: {len(result)} of {len(result.outcomes)}; calls: {len(result.calls)}")

    selection.show_whole(Records([as_row(outcome, key) for outcome in result.outcomes]), table)


def exit_for(result: BatchResult[Any]) -> None:
    """End the command with exit code 1 if an item is rejected or missing."""
    if result.rejected or result.missing:
        raise typer.Exit(1)


# -- one call per input ------------------------------------------------------------------------------------------------


def one_by_one(
    inputs: Sequence[Any],
    key: Callable[[Any], str],
    call: Callable[[Any], Answer[T]],
    progress: Callable[[Progress], object],
) -> BatchResult[T]:
    """Make *call*, a write, with each of *inputs*, until a call fails.

    A rejected input, or an input that is not there to remove, does not end it.

    Raises:
        BatchError: a call failed, and those after it were not made. Its `result` has one outcome per input. Ctrl-C and
            any other exception get the same `result`.
    """
    from octopus_soap.results import BatchResult, ItemOutcome, OutcomeStatus, Progress  # noqa: PLC0415 - heavy

    outcomes: list[ItemOutcome[T]] = []
    calls: list[CallInfo] = []
    failure: OctopusError | None = None
    begun = -1
    try:
        for index, given in enumerate(inputs):
            if failure is None:
                begun = index
                outcome = _outcome(index, given, key(given), call, calls)
                failure = outcome.error
            else:
                outcome = ItemOutcome(index, key(given), OutcomeStatus.NOT_SENT, input=given)
            outcomes.append(outcome)
            progress(Progress(index + 1, len(inputs)))
    except BaseException as error:
        for index in range(len(outcomes), len(inputs)):
            status = OutcomeStatus.UNKNOWN if index == begun else OutcomeStatus.NOT_SENT
            outcomes.append(ItemOutcome(index, key(inputs[index]), status, input=inputs[index]))
        error.result = BatchResult(outcomes, calls)  # type: ignore[attr-defined] # as on what ends a list call
        raise
    return BatchResult(outcomes, calls).raise_for_unfinished(failure)


def _outcome(
    index: int, given: Any, key: str, call: Callable[[Any], Answer[T]], calls: list[CallInfo]
) -> ItemOutcome[T]:
    from octopus_soap.errors import OctopusError, OutcomeUnknownError, RejectedError  # noqa: PLC0415 - heavy
    from octopus_soap.results import ItemOutcome, OutcomeStatus, Removal  # noqa: PLC0415 - heavy

    try:
        answer = call(given)
    except RejectedError as error:
        calls += [error.info] if error.info else []
        return ItemOutcome(index, key, OutcomeStatus.REJECTED, message=error.message, input=given)
    except OctopusError as error:
        calls += [error.info] if error.info else []
        status = OutcomeStatus.UNKNOWN if isinstance(error, OutcomeUnknownError) else OutcomeStatus.FAILED
        return ItemOutcome(index, key, status, error=error, input=given)
    value = answer.value
    calls.append(answer.info)
    if value is Removal.NOT_FOUND:
        return ItemOutcome(index, key, OutcomeStatus.MISSING, message="the service has no such item", input=given)
    return ItemOutcome(index, key, OutcomeStatus.OK, value, input=given)


# -- dry runs ----------------------------------------------------------------------------------------------------------


def show_requests(client: OctopusClient, selection: Selection, call: Any, *arguments: Any, **more: Any) -> None:
    """Show what *call*, such as `client.upload_item_list`, would send."""
    show_unsent(client, selection, call.dry_run(*arguments, **more), call.operation.wire_name)


def show_unsent(client: OctopusClient, selection: Selection, requests: Iterable[Attempt], operation: str) -> None:
    """Show requests that are not sent; *operation* is a wire name."""
    from octopus_soap.wire.redact import Redactor  # noqa: PLC0415 - heavy: only inside a command

    shown = Redactor(client.settings.secrets()).body
    if selection.output is Output.TABLE and not selection.narrowed:
        count = _print(client, requests, operation, shown)
        notice(f"dry run: {count} {'message' if count == 1 else 'messages'}, nothing was sent")
        return
    rows = [
        {
            "batch": number,
            "operation": request.operation,
            "action": request.action,
            "bytes": len(request.body),
            "message": shown(request.body),
        }
        for number, request in enumerate(requests, 1)
    ]
    selection.show_whole(Records(rows), lambda: None)


def _print(client: OctopusClient, requests: Iterable[Attempt], operation: str, shown: Callable[[bytes], str]) -> int:
    from octopus_soap.wire.redact import MASK  # noqa: PLC0415 - heavy: only inside a command

    settings, number = client.settings, 0
    for number, request in enumerate(requests, 1):
        notice(f"# {number}: {request.operation}, {len(request.body):,} bytes")
        if number == 1:
            notice(f"# POST {settings.endpoint}")
            notice(f"# authtoken: {MASK}, merchantname: {settings.merchantname}, accessid: {MASK}")
        notice(f'# SOAPAction: "{request.action}"')
        if request.operation != operation:
            notice(f"# omitted_values=read_first: what {operation} then sends depends on the answer to this request")
        typer.echo(shown(request.body))
    return number
