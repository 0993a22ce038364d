"""Results of calls: `BatchResult`, `ItemOutcome`, `CallInfo`, the progress bar."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, overload

from octopus_soap import display
from octopus_soap.errors import BatchError, InvalidInputError, OctopusError, Problem, RejectedError, needed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from os import PathLike
    from typing import Unpack

    from octopus_soap.tables import Backend, Columns, Decimals, Stores, Which

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class APIResult:
    """The envelope of an answer, without its ResultData (vendor's page, APIResult).

    Attributes:
        status: the Status text, such as `Success` or `Failure`; empty if the envelope had none.
        message: the service's Message; empty if there is none.
        message_code: the service's MessageCode; the vendor publishes no table of them.
        data: "operation specific data which caused the failure", if sent.
    """

    status: str
    message: str = ""
    message_code: int | None = None
    data: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Facts of one call, for logs and for the vendor's support.

    Attributes:
        operation: wire name, such as `GetItemList`.
        attempts: HTTP exchanges made, the last one included.
        http_status: status of the last answer; None if there was none.
        fault_code: local name of the SOAP fault's code, if one came.
        request_id: our own id of the call, sent as the `X-Request-ID` header.
        elapsed: seconds spent sending, waiting for answers and pausing between attempts.
        sent_bytes: size of the last request body.
        received_bytes: size of the last reply body.
        drift: members of the reply that the models do not have, as `Type.Member`, with how often each came.
        warnings: other oddities that were tolerated.
        envelope: the APIResult the answer came in; None if it came bare, or there was no answer.
    """

    operation: str
    attempts: int = 0
    http_status: int | None = None
    fault_code: str | None = None
    request_id: str = ""
    elapsed: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0
    drift: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    envelope: APIResult | None = None

    def brief(self) -> str:
        """Return one short line for messages and logs."""
        parts = [self.operation]
        if self.attempts:
            parts.append(f"attempt {self.attempts}")
        if self.http_status is not None:
            parts.append(f"HTTP {self.http_status}")
        if self.fault_code:
            parts.append(self.fault_code)
        if self.request_id:
            parts.append(f"request {self.request_id}")
        parts.append(f"{self.elapsed:.2f} s")
        return ", ".join(parts)


class OutcomeStatus(StrEnum):
    """The result of one input."""

    OK = "ok"
    """The service did it, or answered it."""
    REJECTED = "rejected"
    """The service rejected it; repeating it unchanged gives the same answer."""
    MISSING = "missing"
    """A read's answer has no row for it: the service does not have the key."""
    FAILED = "failed"
    """It was not done, or its answer could not be read; `.error` has the reason."""
    UNKNOWN = "unknown"
    """It may or may not have been done."""
    NOT_SENT = "not_sent"
    """It was never sent: an earlier failure, a stop or Ctrl-C came first."""


_UNFINISHED = frozenset({OutcomeStatus.FAILED, OutcomeStatus.UNKNOWN, OutcomeStatus.NOT_SENT})


@dataclass(slots=True, repr=False, unsafe_hash=True)  # not frozen: a big call makes one per input, four times as fast
class ItemOutcome(Generic[T_co]):
    """The outcome of one input of a list call, or of one row of a page.

    Outcomes are read-only, although nothing enforces it.

    Attributes:
        index: position in the input (or in the page), counted from 0.
        key: SKU or order id.
        status: see `OutcomeStatus`.
        value: the answer, if status is ok.
        message: the service's words on a rejection, or a note.
        error: the reason, if it is failed, unknown or not sent.
        input: the input as it was passed; None for rows of a page.
        raw: the row's XML, if it could not be decoded or was asked for.
        filled: members completed from the service's current item (`omitted_values="read_first"`).
    """

    index: int
    key: str
    status: OutcomeStatus
    value: T_co | None = None
    message: str = ""
    error: OctopusError | None = None
    input: Any = None
    raw: bytes | None = field(default=None, repr=False)
    filled: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Short, because lists of outcomes are printed when something went wrong.
        shown = [f"index={self.index}", f"key={self.key!r}", f"status={self.status.value!r}"]
        if self.value is not None:
            shown.append(f"value={self.value!r}")
        shown += [f"{name}={value!r}" for name in ("message", "error", "filled") if (value := getattr(self, name))]
        return f"ItemOutcome({', '.join(shown)})"

    @property
    def ok(self) -> bool:
        """True if the service did it, or answered it."""
        return self.status is OutcomeStatus.OK


class Outcomes(list[ItemOutcome[T]], display.Shown):
    """A list of outcomes, such as the rejected ones; notebooks show it as a table."""

    __slots__ = ()

    def _view(self) -> display.View:
        return display.view_of_outcomes(self)


class TableOptions(TypedDict, total=False):
    """Options of `to_records`, `to_frame`, `to_arrow` and `to_csv`.

    Attributes:
        which: `values` (by default), or `outcomes`: one row per input with its index, key, status, message and error.
        decimals: amounts as `decimal` (by default), `float` or `text`.
        stores: the store stock of an item (or the lines of an order) as `rows` (by default), one per store, with the
            item's own members repeated; as `columns`, such as `store_stock[S1]`; or as `json` text in one column.
        columns: `used` (by default) leaves out columns without any value, `all` keeps every member; or their names.
        secrets: True keeps secret members, such as an order's card number; False by default.
    """

    which: Which
    decimals: Decimals
    stores: Stores
    columns: Columns
    secrets: bool


_TABLE_DEFAULTS = {"which": "values", "decimals": "decimal", "stores": "rows", "columns": "used", "secrets": False}


def _shows_table_options(method: M) -> M:
    """Replace `**options` in the signature of *method* with each table option."""
    shown = inspect.signature(method)
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_TABLE_DEFAULTS[name],
            annotation=getattr(kind, "__forward_arg__", kind),  # a name, such as Stores
        )
        for name, kind in TableOptions.__annotations__.items()
    ]
    method.__signature__ = shown.replace(  # type: ignore[attr-defined] # what inspect looks at first
        parameters=[*list(shown.parameters.values())[:-1], *options]
    )
    return method


class _NoValueError(KeyError):
    """A key that has no value."""

    def __str__(self) -> str:
        return str(self.args[0])  # a plain KeyError would show the repr of the sentence


def _matches(value: Any, name: str, wanted: Any) -> bool:
    """True if the member *name* of *value* equals *wanted*."""
    if not hasattr(value, name):
        near = value.nearest(name) if hasattr(value, "nearest") else ""
        hint = f"; did you mean {near!r}?" if near else "; give a function for anything else"
        problem = Problem(f"{type(value).__name__} has no member {name!r}{hint}", field="where")
        raise InvalidInputError([problem], sent="nothing was selected")
    found = getattr(value, name)
    if found == wanted or found is None or wanted is None:
        return bool(found == wanted)
    try:  # texts that are numbers, as the stock of an item, and numbers given as text
        return Decimal(str(found).strip()) == Decimal(str(wanted).strip())
    except ArithmeticError:
        return str(found).casefold() == str(wanted).casefold() if isinstance(found, Enum) else False


class BatchResult(Sequence[T], display.Shown):
    """The good values of a list call, in input order, with one outcome per input.

    Iterating, indexing and `len` see the good values. `.outcomes` sees everything: it has exactly one entry per
    input (per row for a page), in input order.

    Attributes:
        outcomes: one `ItemOutcome` per input.
        calls: facts of each request, all its attempts together, in the order of the batches; halves of a batch and what
            `read_first` reads are requests of their own.
        repeatable: sending an input again does no harm (a read or an idempotent write).
    """

    __slots__ = ("_values", "calls", "outcomes", "repeatable")

    def __init__(
        self, outcomes: Iterable[ItemOutcome[T]], calls: Iterable[CallInfo] = (), *, repeatable: bool = True
    ) -> None:
        self.outcomes: tuple[ItemOutcome[T], ...] = tuple(outcomes)
        self.calls: tuple[CallInfo, ...] = tuple(calls)
        self.repeatable = repeatable
        self._values: list[T] = [o.value for o in self.outcomes if o.status is OutcomeStatus.OK]  # type: ignore[misc] # ok outcomes hold a T

    @overload
    def __getitem__(self, index: int | str) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> BatchResult[T]: ...
    def __getitem__(self, index: int | str | slice) -> T | BatchResult[T]:
        """Return the good value at a position or of a key; for a slice, a result.

        Raises:
            KeyError: there is no good value of that key, or there are several that differ.
        """
        if isinstance(index, slice):
            return self._of(self._good()[index])
        return self._at_key(index) if isinstance(index, str) else self._values[index]

    def _at_key(self, key: str) -> T:
        found = [outcome for outcome in self.outcomes if outcome.key == key]
        values = [outcome.value for outcome in found if outcome.ok]
        if not values:
            if not found:
                raise _NoValueError(f"no input or row has the key {key!r}")
            first = found[0]
            why = first.message or (first.error.message if first.error is not None else "")
            raise _NoValueError(f"{key!r} is {first.status.value}{': ' if why else ''}{why}; see .outcomes")
        if any(value != values[0] for value in values):
            raise _NoValueError(f"{len(values)} rows have the key {key!r}, and they differ; see .outcomes")
        return values[0]  # type: ignore[return-value] # ok outcomes hold a T

    def _good(self) -> list[ItemOutcome[T]]:
        return [outcome for outcome in self.outcomes if outcome.ok]

    def _of(self, outcomes: Iterable[ItemOutcome[T]]) -> BatchResult[T]:
        return BatchResult(outcomes, self.calls, repeatable=self.repeatable)

    def where(self, condition: Callable[[T], object] | None = None, /, **members: Any) -> BatchResult[T]:
        """Return the good values that meet all conditions, as a `BatchResult`.

        Args:
            condition: called with each value; values for which it returns something true are kept.
            members: the value that a member must have, such as `stock=0` or `payment="Cleared"`; texts that are
                numbers compare as numbers.

        Raises:
            InvalidInputError: the values have no such member.
        """
        kept = self._good() if condition is None else [o for o in self._good() if condition(o.value)]  # type: ignore[arg-type] # ok outcomes hold a T
        for name, wanted in members.items():
            kept = [o for o in kept if _matches(o.value, name, wanted)]
        return self._of(kept)

    def _ipython_key_completions_(self) -> list[str]:
        return list(dict.fromkeys(outcome.key for outcome in self.outcomes if outcome.ok))

    def __contains__(self, value: object) -> bool:
        """True if *value* is a good value, or the key of one that is not False."""
        # Of a SKU that does not exist, `is_sku_exist_list` has the good value False.
        keyed = (o.value for o in self.outcomes if o.ok and o.key == value) if isinstance(value, str) else ()
        return any(found is not False for found in keyed) or value in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[T]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, BatchResult):
            return self.outcomes == other.outcomes
        return self._values == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # holds values that compare by content

    def __repr__(self) -> str:
        shown = ", ".join(f"{status}={count}" for status, count in self.counts.items())
        return f"<BatchResult {shown or 'empty'}>"

    def _view(self) -> display.View:
        return display.view_of_result(self)

    def _with(self, *statuses: OutcomeStatus) -> Outcomes[T]:
        return Outcomes(o for o in self.outcomes if o.status in statuses)

    @property
    def rejected(self) -> Outcomes[T]:
        """Outcomes of inputs that the service rejected."""
        return self._with(OutcomeStatus.REJECTED)

    @property
    def missing(self) -> Outcomes[T]:
        """Outcomes of keys that the service does not have."""
        return self._with(OutcomeStatus.MISSING)

    @property
    def failed(self) -> Outcomes[T]:
        """Outcomes of inputs that were not done, or whose answer cannot be read."""
        return self._with(OutcomeStatus.FAILED)

    @property
    def unknown(self) -> Outcomes[T]:
        """Outcomes of inputs that may or may not have been done."""
        return self._with(OutcomeStatus.UNKNOWN)

    @property
    def not_sent(self) -> Outcomes[T]:
        """Outcomes of inputs that were never sent."""
        return self._with(OutcomeStatus.NOT_SENT)

    @property
    def unfinished(self) -> Outcomes[T]:
        """Outcomes that are failed, unknown or not sent."""
        return self._with(*_UNFINISHED)

    @property
    def counts(self) -> dict[str, int]:
        """The number of outcomes of each status that occurs."""
        counts = Counter(o.status.value for o in self.outcomes)
        return {status.value: counts[status.value] for status in OutcomeStatus if counts[status.value]}

    @property
    def envelopes(self) -> list[APIResult]:
        """The APIResult envelopes the answers came in, in the order of `calls`."""
        return [call.envelope for call in self.calls if call.envelope is not None]

    def by_key(self) -> dict[str, T]:
        """Return the good values by SKU or order id.

        Raises:
            ValueError: Two values of one key differ, and one of them would be lost; look at `.outcomes`.
        """
        found: dict[str, T] = {}
        for outcome in self.outcomes:
            if outcome.ok:
                value: T = outcome.value  # type: ignore[assignment] # ok outcomes hold a T
                if found.setdefault(outcome.key, value) != value:
                    raise ValueError(f"several rows have the key {outcome.key!r}, and they differ: look at .outcomes")
        return found

    def retry_inputs(self) -> list[Any]:
        """Return the inputs worth sending again, in input order, each once.

        These are the inputs that failed or were not sent, and the unknown ones if a repeat does no harm.
        """
        wanted = {OutcomeStatus.FAILED, OutcomeStatus.NOT_SENT}
        if self.repeatable:
            wanted.add(OutcomeStatus.UNKNOWN)
        seen: set[str] = set()
        inputs: list[Any] = []
        for outcome in self.outcomes:
            if outcome.status in wanted and outcome.key not in seen:
                seen.add(outcome.key)
                inputs.append(outcome.input)
        return inputs

    @_shows_table_options
    def to_records(self, **options: Unpack[TableOptions]) -> list[dict[str, Any]]:
        """Return the good values as rows of a table, one dictionary each.

        Args:
            options: see `TableOptions`.

        Raises:
            InvalidInputError: an option is not known, or the table cannot be made as chosen.
        """
        from octopus_soap import tables  # noqa: PLC0415 - loads the models, which a result does not need

        return tables.to_records(self, **options)

    @_shows_table_options
    def to_frame(self, backend: Backend = "pandas", **options: Unpack[TableOptions]) -> Any:
        """Return the good values as a DataFrame.

        Ids are text, integers and flags are nullable, times are in UTC.

        Args:
            backend: `pandas` or `polars`, an extra each.
            options: see `TableOptions`.

        Raises:
            ConfigError: the library is not installed.
            InvalidInputError: an option is not known, or the table cannot be made as chosen.
        """
        from octopus_soap import tables  # noqa: PLC0415 - loads the models, which a result does not need

        return tables.to_frame(self, backend=backend, **options)

    @_shows_table_options
    def to_arrow(self, **options: Unpack[TableOptions]) -> Any:
        """Return the good values as a pyarrow Table; extra `arrow`.

        Args:
            options: see `TableOptions`.

        Raises:
            ConfigError: pyarrow is not installed.
            InvalidInputError: an option is not known, or the table cannot be made as chosen.
        """
        from octopus_soap import tables  # noqa: PLC0415 - loads the models, which a result does not need

        return tables.to_arrow(self, **options)

    @_shows_table_options
    def to_csv(self, path: str | PathLike[str], *, excel: bool = False, **options: Unpack[TableOptions]) -> None:
        """Write the good values as a CSV file in UTF-8.

        Args:
            path: the file; an existing one is overwritten.
            excel: True for a file that Excel opens without changing it: with a byte order mark, and with texts such as
                `00123` written so that they stay text.
            options: see `TableOptions`.

        Raises:
            InvalidInputError: an option is not known, or the table cannot be made as chosen.
            OSError: the file cannot be written.
        """
        from octopus_soap import tables  # noqa: PLC0415 - loads the models, which a result does not need

        tables.to_csv(self, path, excel=excel, **options)

    @_shows_table_options
    def to_excel(self, path: str | PathLike[str], **options: Unpack[TableOptions]) -> None:
        """Write the good values as an Excel workbook (xlsx); extra `excel`.

        SKUs stay text, amounts and stock are numbers with formats, times are in UTC, and the header stays in view.

        Args:
            path: the file; an existing one is overwritten.
            options: see `TableOptions`.

        Raises:
            ConfigError: openpyxl is not installed.
            InvalidInputError: an option is not known, or the table does not fit a sheet.
            OSError: the file cannot be written.
        """
        from octopus_soap import tables  # noqa: PLC0415 - loads the models, which a result does not need

        tables.to_excel(self, path, **options)

    def raise_for_rejected(self) -> BatchResult[T]:
        """Raise `RejectedError` naming the rejected items, or return self."""
        if rejected := self.rejected:
            shown = "; ".join(f"[{o.index}] {o.key!r}: {o.message}" for o in rejected[:5])
            more = f"; and {len(rejected) - 5} more" if len(rejected) > 5 else ""  # noqa: PLR2004 - five fit a log line
            envelope = next(iter(self.envelopes), APIResult("Success"))
            raise RejectedError(
                f"{len(rejected)} of {len(self.outcomes)} rejected: {shown}{more}",
                key=rejected[0].key,
                status=envelope.status,
                message_code=envelope.message_code,
                data=envelope.data,
            )
        return self

    def raise_for_unfinished(self, cause: BaseException | None = None) -> BatchResult[T]:
        """Raise `BatchError` with this result if inputs are unfinished, or return self."""
        if len(self._values) == len(self.outcomes) or not (unfinished := self.unfinished):
            return self
        first = next((o for o in unfinished if o.error is not None), unfinished[0])
        why = f"; first: [{first.index}] {first.key!r}: {first.error.message}" if first.error else ""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        error = BatchError(f"{len(unfinished)} of {len(self.outcomes)} items are not done ({counts}){why}", result=self)
        if first.error and first.error.info:
            error.with_info(first.error.info)
        try:
            raise error from cause or first.error
        finally:
            del error  # the traceback holds this frame, which must not hold the error


class Removal(StrEnum):
    """The effect of a delete; True if the item is gone because of this call.

    A delete that answers neither 1 nor 0 raises `RejectedError`: no other number is documented.
    """

    REMOVED = "removed"
    """The service answered 1."""
    NOT_FOUND = "not_found"
    """The service answered 0 to the first attempt: it was not there."""
    REMOVED_OR_GONE = "removed_or_gone"
    """An earlier attempt lost its answer, and the repeat found nothing to remove: gone either way."""

    def __bool__(self) -> bool:
        return self is not Removal.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a list call, passed to its `progress` after each batch.

    Attributes:
        done: inputs that have an outcome by now.
        total: inputs in all; None while a stream has not ended.
        failed: inputs so far that are failed, unknown or not sent.
        rejected: inputs so far that the service rejected or does not have.
        batches: batches finished.
    """

    done: int
    total: int | None
    failed: int = 0
    rejected: int = 0
    batches: int = 0


class Reporter:
    """Shows the progress of one list call after each batch, or passes it on.

    Args:
        progress: what the caller gave; None and False show nothing.

    Raises:
        InvalidInputError: it is neither a bool nor callable.
        ConfigError: it is True and tqdm is not installed; nothing was sent.
    """

    def __init__(self, progress: Callable[[Progress], object] | bool | None) -> None:  # noqa: FBT001 - as the caller gave it
        given: Any = progress  # callers without a type checker give anything
        self._make_bar: Any = _tqdm() if given is True else None
        self._bar: Any = None
        self._callback: Any = None if isinstance(given, bool) else given
        if not (given is None or isinstance(given, bool) or callable(given)):
            problem = Problem(
                "expected True for a progress bar, or a function to call with each Progress",
                field="progress",
                value=repr(progress)[:60],
            )
            raise InvalidInputError([problem])

    @property
    def wanted(self) -> bool:
        """True if there is a bar or a callable."""
        return self._make_bar is not None or self._callback is not None

    @contextmanager
    def shown(self, operation: str, total: int | None) -> Generator[None]:
        """Show the bar while the call runs, and close it however the call ends.

        Args:
            operation: wire name, the bar's title.
            total: inputs in all; None for a stream.
        """
        if self._make_bar is None:
            yield
            return
        self._bar = self._make_bar(total=total, desc=operation, unit=" items", **_place(self._make_bar))
        try:
            yield
        finally:
            self._bar.close()

    def report(self, progress: Progress) -> None:
        """Show *progress*, or pass it to the caller's own callable, which may raise."""
        if self._bar is not None:
            counts = {"failed": progress.failed, "rejected": progress.rejected, "batches": progress.batches}
            self._bar.set_postfix(counts, refresh=False)
            self._bar.update(progress.done - self._bar.n)
        elif self._callback is not None:
            self._callback(progress)


def _place(bar: Any) -> dict[str, Any]:
    """Return the options that set the stream and the width of *bar*.

    A notebook colours stderr like an error, so a bar of text goes to stdout there. With ipywidgets the bar is a widget.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    in_notebook = type(shell).__name__ == "ZMQInteractiveShell"
    if in_notebook and not bar.__module__.startswith("tqdm.notebook"):
        return {"file": sys.stdout, "ncols": 100}
    return {"dynamic_ncols": True}


def _tqdm() -> Any:
    with needed("progress=True", "notebook", "tqdm"), warnings.catch_warnings():
        # Without ipywidgets, tqdm warns that it draws its bar as text. That is fine here.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm  # type: ignore[import-untyped] # noqa: PLC0415 - tqdm ships no types, and is an extra
    return tqdm


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A value with the facts of the call that returned it."""

    value: T
    info: CallInfo

    @property
    def envelope(self) -> APIResult | None:
        """The APIResult the answer came in; None if it came bare."""
        return self.info.envelope
