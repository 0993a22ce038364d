"""Run a list call: send its batches, split those that fail, and merge the results.

A `BatchCall` makes one flow per batch, lazily, so that a million inputs need the memory of a few batches. Drivers run
the flows side by side, and return each `BatchPart` in input order.

Invariants:

* A flow never raises for its items: it returns one outcome per input.
* Finished work is never lost: whatever ends the call, its exception carries the result so far.
* An item that was part of a request whose answer was lost stays in doubt: a write of it ends as `unknown`, never as
  `failed` or `not_sent`.
* Refused credentials end the whole call: no further batch is sent.

On failure, a batch that fails as a whole is halved if that can help:

* It was refused for its size (413, or an empty 400). It is halved at once, for any operation, because nothing was done.
  The size that went through is remembered.
* The connection was lost again and again, the server's fault survived a repeat, or the request could not be
  deserialized. It is halved to find the item that causes it; never for an unsafe write that may have been done. If
  single items fail one after another (two, or four once something went through), that is an outage, and no item is the
  cause: the rest is not tried, and later batches are not halved until one goes through.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from octopus_soap.engine.effects import FailureKind
from octopus_soap.engine.inputs import BatchInputs, BatchItem, ListCall, check_call
from octopus_soap.engine.omitted import complete, omission_guard, read_current
from octopus_soap.engine.outcomes import BatchPart, ItemVerdict, outcomes_of, same_for_all, unknown_if
from octopus_soap.engine.request import RequestFailure, RequestResult, perform, request_for
from octopus_soap.errors import (
    AuthenticationError,
    FaultError,
    OctopusError,
    OutcomeUnknownError,
    TimedOutError,
    TransportError,
)
from octopus_soap.models.declarations import OmittedValues, RowsOf, Safety
from octopus_soap.results import BatchResult, CallInfo, ItemOutcome, OutcomeStatus, Progress, Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from octopus_soap.engine.effects import Flow
    from octopus_soap.engine.omitted import OmissionGuard
    from octopus_soap.engine.operation import ListOperation
    from octopus_soap.engine.request import Context

T = TypeVar("T")
R = TypeVar("R")
_INDEX = attrgetter("index")


@dataclass(eq=False, repr=False)
class _Split:
    """The state of one batch while it is sent, and split if needed.

    Attributes:
        succeeded: a request went through.
        dead_ends: single items that failed since the last success.
        poisoned: single items that failed.
        too_large: a request was refused for its size, or lost its connection, which may have the same cause.
        refused: a request was refused for its size.
        worked: most rows that went through after a larger request was too large, with their bytes.
        calls: the facts of each request.
        outcomes: the outcomes found so far.
    """

    succeeded: bool = False
    dead_ends: int = 0
    poisoned: int = 0
    too_large: bool = False
    refused: bool = False
    worked: tuple[int, int] = (0, 0)
    calls: list[CallInfo] = field(default_factory=list)
    outcomes: list[ItemOutcome[Any]] = field(default_factory=list)

    def hopeless(self) -> bool:
        """True if single items fail one after another, which is an outage."""
        return self.dead_ends > (3 if self.succeeded else 1)


@dataclass(eq=False, repr=False)
class _Over:
    """Returns True if a call is over; its requests call this before they begin.

    Requests refer to this and not to the call, which refers to them: a cycle would keep all inputs in memory until the
    garbage collector runs.

    Attributes:
        stopped_by_caller: returns True if the caller stopped the call.
        fatal: the error that ended the call for all of its batches; None so far.
    """

    stopped_by_caller: Callable[[], bool]
    fatal: OctopusError | None = None

    def __call__(self) -> bool:
        return self.fatal is not None or self.stopped_by_caller()


class BatchCall(Generic[T, R]):
    """One list call: makes flows, takes their parts, and ends in a result or an error.

    Args:
        streaming: True to take inputs as they come, checked batch by batch; otherwise all are checked first.

    Attributes:
        parallel: batches under way at once.
        ahead: further batches that may be begun while answers are decoded.

    Raises:
        InvalidInputError: inputs are refused (all of them are listed); nothing was sent.
        UnverifiedContractError: a write would use the bundled contract against a real endpoint.
    """

    def __init__(
        self, operation: ListOperation[..., T, R], call: ListCall[T], context: Context, *, streaming: bool
    ) -> None:
        name = operation.wire_name
        self._is_over = _Over(context.config.stopped)
        context = context._replace(config=context.config._replace(stopped=self._is_over))
        self._operation, self._call, self._context = operation, call, context
        self._reading = operation.safety is Safety.READ
        self.parallel = context.parallel_reads if self._reading else context.parallel_writes
        # While some batches are decoded, the requests of others are under way. A stream begins no batch ahead, to need
        # less memory; nor does a write, in case a batch fails.
        self.ahead = self.parallel if self._reading and not streaming else 0
        self._reporter = None if call.progress is None or call.progress is False else Reporter(call.progress)
        self._account = check_call(context, name, operation.safety, call.account_id, [])
        self._guard: OmissionGuard | None = None
        if call.guarded:
            self._guard = omission_guard(context, name, operation.rule.listed, call.omitted_values)
        self._request = request_for(context, name, operation.safety, call.reads)

        self._inputs = BatchInputs(
            name,
            operation.rule,
            call,
            self._account,
            context,
            guard=self._guard,
            reading=self._reading,
            streaming=streaming,
        )
        self._outage = False
        self._any_done = False
        self._under_way: dict[int, list[BatchItem]] = {}
        self._ended: dict[int, BatchPart] = {}
        self._progress = Progress(0, self._inputs.total)

    # -- flows -------------------------------------------------------------------------------------------------

    def flows(self) -> Iterator[Flow[BatchPart]]:
        """Return one flow per batch; after a fatal error or a stop they send nothing."""
        return map(self._run, count(), self._inputs.batches())

    @property
    def checked(self) -> list[BatchItem]:
        """The inputs, equal ones once, checked before any is sent; none for a stream."""
        return self._inputs.checked

    def _run(self, number: int, batch: list[BatchItem]) -> Flow[BatchPart]:
        split = _Split()
        self._under_way[number] = batch
        pieces: Iterable[list[BatchItem]] = (batch,)
        if self._guard is not None and self._guard.mode is OmittedValues.READ_FIRST and not self._is_over():
            pieces = self._inputs.resplit((yield from self._fill(batch, self._guard, split)))
        for piece in pieces:
            if self._is_over():
                split.outcomes += same_for_all(piece, ItemVerdict(OutcomeStatus.NOT_SENT, error=self._is_over.fatal))
            else:
                yield from self._send(piece, split)
        # A lost connection may mean that the reply was too large, unless a single item was found to be the cause.
        if split.worked[0] and (split.refused or not split.poisoned):
            self._context.memory.limit(self._request.operation, *split.worked)
        if split.hopeless():
            self._outage = True
        elif split.succeeded:
            self._outage = False
        split.outcomes.sort(key=_INDEX)
        part = self._ended[number] = BatchPart(split.outcomes, split.calls, number)
        self._context.config.observer.batch(self._request.operation, number, part.outcomes, part.calls)
        return part

    def _fill(self, batch: list[BatchItem], guard: OmissionGuard, split: _Split) -> Flow[list[BatchItem]]:
        """Complete items from the service's current ones; return those that may be sent."""
        wanting = [entry for entry in batch if guard.needs_current(entry.value)]
        if not wanting:
            return batch
        current, calls = yield from read_current([entry.key for entry in wanting], self._account, self._context)
        split.calls += calls
        dropped: dict[str, ItemVerdict[Any]] = {}
        for entry in wanting:
            try:
                completed = complete(guard, entry.value, current[entry.key])
                if completed is None:
                    message = "the service has no such item to update"
                    dropped[entry.key] = ItemVerdict(OutcomeStatus.MISSING, None, message)
                    continue
                entry.value, entry.filled = completed
                self._inputs.encode(entry)
            except OctopusError as error:
                dropped[entry.key] = ItemVerdict(OutcomeStatus.NOT_SENT, error=error)
                if isinstance(error, AuthenticationError):
                    self._is_over.fatal = error
        for entry in wanting:
            if entry.key in dropped:
                split.outcomes += same_for_all([entry], dropped[entry.key])
        return [entry for entry in batch if entry.key not in dropped]

    def _send(self, batch: list[BatchItem], split: _Split, *, in_doubt: bool = False) -> Flow[None]:
        request = self._request._replace(body=self._inputs.body(batch))
        if isinstance(self._call.reads, RowsOf):
            reads = self._call.reads._replace(asked=len(batch))
            request = request._replace(decode=partial(self._context.codec.decode, request.operation, reads=reads))
        end = yield from perform(request, self._context.config)
        in_doubt = in_doubt or end.lost_answers > 0
        if isinstance(end, RequestResult):
            split.succeeded, split.dead_ends = True, 0
            size = (len(batch), end.info.sent_bytes)
            if not split.too_large:
                self._context.memory.went_through(self._request.operation, *size)
            else:
                split.worked = max(split.worked, size)
            outcomes, notes = outcomes_of(batch, end, self._call, reading=self._reading, in_doubt=in_doubt)
            split.outcomes += outcomes
            split.calls.append(replace(end.info, warnings=(*end.info.warnings, *notes)) if notes else end.info)
            return
        split.calls.append(end.info)
        in_doubt = in_doubt or isinstance(end.error, OutcomeUnknownError)
        if len(batch) > 1 and self._worth_splitting(end, split):
            yield from self._halve(batch, end, split, in_doubt=in_doubt)
        else:
            self._give_up(batch, end, split, in_doubt=in_doubt)

    def _halve(self, batch: list[BatchItem], failed: RequestFailure, split: _Split, *, in_doubt: bool) -> Flow[None]:
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if self._is_over():
                split.outcomes += same_for_all(
                    half, self._undone(OutcomeStatus.NOT_SENT, self._is_over.fatal, in_doubt)
                )
            elif split.hopeless():
                split.outcomes += same_for_all(half, self._undone(OutcomeStatus.FAILED, failed.error, in_doubt))
            else:
                yield from self._send(half, split, in_doubt=in_doubt)

    def _give_up(self, batch: list[BatchItem], failed: RequestFailure, split: _Split, *, in_doubt: bool) -> None:
        if len(batch) == 1:
            split.dead_ends += 1
            split.poisoned += 1
        if isinstance(failed.error, AuthenticationError):
            # Set at once: other batches may begin before this one is absorbed.
            self._is_over.fatal = failed.error
        if failed.kind is FailureKind.BUSY:
            verdict = self._undone(OutcomeStatus.NOT_SENT, self._is_over.fatal or failed.error, in_doubt)
        else:
            verdict = self._undone(OutcomeStatus.FAILED, failed.error, in_doubt)
        split.outcomes += same_for_all(batch, verdict)

    def _undone(self, status: OutcomeStatus, error: OctopusError | None, in_doubt: bool) -> ItemVerdict[Any]:  # noqa: FBT001 - private
        return ItemVerdict(unknown_if(status, in_doubt=in_doubt and not self._reading), error=error)

    def _worth_splitting(self, failed: RequestFailure, split: _Split) -> bool:
        error, kind = failed.error, failed.kind
        if kind is FailureKind.TOO_LARGE:
            split.too_large = split.refused = True
            return True
        if isinstance(error, FaultError) and error.fault_code == "DeserializationFailed":
            return True  # refused before it was processed
        if self._request.safety is Safety.UNSAFE or self._outage:
            return False
        if isinstance(error, (AuthenticationError, TimedOutError)):
            return False
        if kind is FailureKind.AMBIGUOUS and isinstance(error, TransportError):
            split.too_large = True  # a WCF server that finds its reply too big drops the connection
            return True
        return kind is FailureKind.SERVER

    # -- the end -----------------------------------------------------------------------------------------------

    @contextmanager
    def running(self, parts: list[BatchResult[T]]) -> Generator[None]:
        """Show the progress bar while the call runs, and attach the result to any error.

        Whatever is raised (Ctrl-C, a cancelled task, a callback's exception) gets the result so far as its attribute
        `result`: *parts*, and the batches after them that ended or were under way. For a stream, these are the batches
        that its caller did not get yet.
        """
        bar = nullcontext() if self._reporter is None else self._reporter.shown(
            self._request.operation, self._inputs.total
        )  # fmt: skip
        try:
            with bar:
                yield
        except GeneratorExit:  # the caller has left the stream
            raise
        except BaseException as error:
            error.result = self.merged(parts, complete=False)  # type: ignore[attr-defined] # documented on the clients
            raise

    def absorb(self, part: BatchPart, parts: list[BatchResult[T]]) -> BatchResult[T]:
        """Add *part* to *parts* as a result, then report progress, which may raise."""
        self._ended.pop(part.number, None)
        self._under_way.pop(part.number, None)
        result = BatchResult[T](part.outcomes, part.calls, repeatable=self._request.safety is not Safety.UNSAFE)
        parts.append(result)
        if self._reporter is not None:
            before = self._progress
            self._progress = Progress(
                before.done + len(result.outcomes),
                self._inputs.total,
                before.failed + len(result.unfinished),
                before.rejected + len(result.rejected) + len(result.missing),
                before.batches + 1,
            )
            self._reporter.report(self._progress)
        return result

    def next_chunk(self, part: BatchPart, held: list[BatchResult[T]]) -> BatchResult[T]:
        """Return the next part of a stream, and keep it in *held* until its caller has it.

        Raises:
            AuthenticationError: the credentials were refused, and nothing was done so far.
        """
        result = self.absorb(part, held)
        if not self._any_done:
            self._raise_if_refused(result)
        self._any_done = self._any_done or len(result) > 0
        return result

    def finish(self, parts: list[BatchResult[T]]) -> R:
        """Return the result of a call whose batches all ended.

        Raises:
            AuthenticationError: the credentials were refused, and nothing was done.
            OctopusError: items are not done; its `result` has all outcomes.
        """
        result = parts[0] if len(parts) == 1 else self.merged(parts)
        if self._is_over.fatal is not None:
            self._raise_if_refused(result)
        return self._operation.finish(result, self._is_over.fatal)

    def _raise_if_refused(self, result: BatchResult[T]) -> None:
        fatal = self._is_over.fatal
        if not isinstance(fatal, AuthenticationError) or len(result.unfinished) < len(result.outcomes):
            return
        raised = copy(fatal)  # its result's outcomes have *fatal*: the same error would be a reference cycle
        raised.result = result  # type: ignore[attr-defined] # as on every exception that ends a list call
        try:
            raise raised
        finally:
            del raised  # its traceback holds this frame

    def merged(self, parts: Iterable[BatchResult[T]], *, complete: bool = True) -> BatchResult[T]:
        """Return *parts* as one result in input order.

        Unless *complete*, inputs without a part are added, with their outcome if their batch ended. Otherwise they are
        not sent or, if their request was under way, unknown (failed, for a read). Of a stream, only inputs that were
        begun are added.
        """
        outcomes: list[ItemOutcome[T]] = []
        calls: list[CallInfo] = []
        for part in (*parts, *(() if complete else list(self._ended.values()))):
            outcomes += part.outcomes
            calls += part.calls
        if not complete:
            outcomes += self._outcomes_besides({outcome.index for outcome in outcomes})
        outcomes.sort(key=_INDEX)
        return BatchResult(outcomes, calls, repeatable=self._request.safety is not Safety.UNSAFE)

    def _outcomes_besides(self, known: set[int]) -> list[ItemOutcome[Any]]:
        cut_off = TransportError(f"{self._request.operation} was broken off while this request was under way")
        begun = [entry for batch in list(self._under_way.values()) for entry in batch]
        under_way = {index for entry in begun for index in entry.indices}
        waiting = [entry for entry in self._inputs.checked if under_way.isdisjoint(entry.indices)]
        outcomes = same_for_all(waiting, ItemVerdict(OutcomeStatus.NOT_SENT))
        outcomes += same_for_all(begun, self._undone(OutcomeStatus.FAILED, cut_off, in_doubt=True))
        return [outcome for outcome in outcomes if outcome.index not in known]
