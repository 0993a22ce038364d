"""How a list call ends: in its result, or in an error that carries what was finished.

List calls: batches of checked inputs sent, split where needed, and put together again.

Theory. An input becomes a `BatchItem`; equal inputs share one (asked once, answered twice). A `BatchCall` hands out one
flow per batch, lazily, so that a million inputs need the memory of a few batches; drivers run the flows side by side
and give back each `BatchPart` in input order. A flow never raises for its items: it returns one outcome per entry.

A batch that fails as a whole is halved where that can help:

* refused for its size (413, empty 400): halved at once, any operation: nothing was done. The size that went through is
  remembered.
* connection lost again and again, a server fault that a repeat did not cure, a request that could not be deserialized:
  halved to find the item that causes it (never for unsafe writes that may have been done). Single items failing one
  after another (two, or four once something went through) are an outage, not poison: the rest is not tried, and later
  batches are not halved until one goes through.

An item that was part of a request whose answer was lost stays in doubt whatever befalls it later: `unknown`, never
`failed` or `not_sent`.

Refused credentials end the whole call: no further batch is sent.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from octopus_soap.engine.inputs import BatchInputs, BatchItem, BatchRule, ListCall, account_problems
from octopus_soap.engine.outcomes import BatchOutcomes, BatchPart, ItemVerdict, outcomes_of, same_for_all
from octopus_soap.engine.read_first import complete, read_current
from octopus_soap.engine.request import Request, RequestResult, RequestTrace, attempt_all
from octopus_soap.engine.retry import FailureKind
from octopus_soap.errors import (
    AuthenticationError,
    FaultError,
    InvalidInputError,
    OctopusError,
    OutcomeUnknownError,
    TimedOutError,
    TransportError,
)
from octopus_soap.progress import Reporter
from octopus_soap.results import BatchResult, CallInfo, ItemOutcome, OutcomeStatus, Progress
from octopus_soap.safety import OmittedValues, Safety

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from contextlib import AbstractContextManager

    from octopus_soap.engine.context import Context
    from octopus_soap.engine.effects import Flow


T = TypeVar("T")


@contextmanager
def attach_partial(job: BatchCall[T], parts: list[BatchResult[T]]) -> Generator[None]:
    """Keep finished work reachable whatever ends the call: Ctrl-C, a cancelled task, a callback's exception.

    It is the exception's `result`: *parts*, and what ended or was under way behind them. Of a stream that is what its
    caller was not given yet.
    """
    try:
        yield
    except GeneratorExit:  # the caller wants no more of a stream
        raise
    except BaseException as error:
        error.result = job.merged(parts, complete=False)  # type: ignore[attr-defined] # documented on the clients
        raise


def finish(job: BatchCall[T], parts: list[BatchResult[T]]) -> BatchResult[T]:
    """The result of a call whose batches all ended, or what it raises."""
    result = job.merged(parts)
    _raise_refused(job, result)
    return result.raise_for_unfinished(job.fatal)


def next_chunk(job: BatchCall[T], part: BatchPart, held: list[BatchResult[T]], *, done: bool) -> BatchResult[T]:
    """The next part of a stream; in *held* until its caller has it."""
    held.append(job.absorb(part))
    job.report(held[-1])
    if not done:
        _raise_refused(job, held[-1])
    return held[-1]


def _raise_refused(job: BatchCall[T], result: BatchResult[T]) -> None:
    """Refused credentials are raised as such where nothing was done; otherwise the result comes first."""
    fatal = job.fatal
    if isinstance(fatal, AuthenticationError) and len(result.unfinished) == len(result.outcomes):
        fatal.result = result  # type: ignore[attr-defined] # as on every exception that ends a list call
        raise fatal


_INDEX = attrgetter("index")


@dataclass(slots=True)
class _Search:
    """State of one batch while it is being split.

    Attributes:
        succeeded: a request went through.
        dead_ends: single items that failed since the last success.
        poisoned: single items that failed.
        too_large: a request was refused for its size, or lost its connection, which may mean the same.
        refused: a request was refused for its size.
        worked: most rows that went through after a larger request was too large, with their bytes.
    """

    succeeded: bool = False
    dead_ends: int = 0
    poisoned: int = 0
    too_large: bool = False
    refused: bool = False
    worked: tuple[int, int] = (0, 0)
    calls: list[CallInfo] = field(default_factory=list)
    outcomes: list[ItemOutcome[Any]] = field(default_factory=list)

    @property
    def hopeless(self) -> bool:
        """Single items fail one after another: an outage, not a poison item."""
        return self.dead_ends > (3 if self.succeeded else 1)


class BatchCall(Generic[T]):
    """One list call under way: hands out flows, takes back parts, and ends in a `BatchResult`.

    Args:
        operation: wire name.
        declared: the operation's safety class as the catalogue declares it.
        rule: how it is cut.
        listing: the call.
        context: what the client's calls share.
        streaming: inputs are taken as they come, checked batch by batch; otherwise all are checked first.

    Raises:
        InvalidInputError: inputs are refused (all of them listed); nothing was sent.
        UnverifiedContractError: see there.
    """

    def __init__(
        self,
        operation: str,
        declared: Safety,
        rule: BatchRule,
        listing: ListCall[T],
        context: Context,
        *,
        streaming: bool,
    ) -> None:
        self.operation = operation
        self.safety = context.safety.get(operation, declared)
        self.fatal: OctopusError | None = None
        self._stopped = context.rules.stopped
        context = replace(context, rules=replace(context.rules, stopped=self._over))
        self._rule, self._listing, self._context = rule, listing, context
        self._reading = declared is Safety.READ
        self._judge = BatchOutcomes(listing, context.codec, reading=self._reading)
        self.parallel = context.parallel_reads if self._reading else context.parallel_writes
        # While some batches are decoded, others have their requests under way. A stream takes no more than it must, as
        # what it has not taken costs no memory; a write goes no further than it must beside one that fails.
        self.ahead = self.parallel if self._reading and not streaming else 0
        self._reporter = Reporter(listing.progress)
        self._intake = BatchInputs(operation, rule, listing, context, reading=self._reading)
        context.guard_contract(operation, declared)
        account = context.account_id if listing.account_id is None else listing.account_id
        if problems := account_problems(account):
            raise InvalidInputError(problems)
        self._account = account
        self._frame = context.codec.frame(operation, {"accountID": account}, rule.listed)
        self._intake.open(len(self._frame.head) + len(self._frame.tail), streaming=streaming)
        self._outage = False
        self._under_way: dict[int, list[BatchItem]] = {}
        self._ended: dict[int, BatchPart] = {}
        self._done = Progress(0, self._intake.total)

    # -- flows -------------------------------------------------------------------------------------------------

    def flows(self) -> Iterator[Flow[BatchPart]]:
        """One flow per batch; after a fatal end or a stop they send nothing."""
        for index, batch in enumerate(self._intake.batches()):
            yield self._told(self._not_sent(index, batch) if self._over() else self._run(index, batch))

    def _over(self) -> bool:
        return self.fatal is not None or self._stopped()

    def _told(self, flow: Flow[BatchPart]) -> Flow[BatchPart]:
        part = yield from flow
        self._context.rules.watch.batch(self.operation, part.number, part.outcomes, part.calls)
        return part

    def _not_sent(self, number: int, batch: list[BatchItem]) -> Flow[BatchPart]:
        yield from ()  # a flow that needs no effect
        return BatchPart(same_for_all(batch, OutcomeStatus.NOT_SENT, self.fatal), [], number)

    def _run(self, number: int, batch: list[BatchItem]) -> Flow[BatchPart]:
        search = _Search()
        self._under_way[number] = batch
        if self._listing.guarded and self._context.omitted_values is OmittedValues.READ_FIRST:
            batch = yield from self._filled(batch, search)
        for piece in self._intake.resplit(batch):
            if self._over():
                search.outcomes += same_for_all(piece, OutcomeStatus.NOT_SENT, self.fatal)
            else:
                yield from self._send(piece, search)
        self._learn(search)
        search.outcomes.sort(key=_INDEX)
        part = self._ended[number] = BatchPart(search.outcomes, search.calls, number)
        return part

    def _learn(self, search: _Search) -> None:
        # A lost connection may mean a reply too large for the service; a poison item found explains it better.
        if search.worked[0] and (search.refused or not search.poisoned):
            self._context.memory.worked(self.operation, *search.worked)
        if search.succeeded or search.hopeless:
            self._outage = search.hopeless

    def _filled(self, batch: list[BatchItem], search: _Search) -> Flow[list[BatchItem]]:
        """Complete what the entries leave out from the service's current items; return those that may be sent."""
        wanting = [
            e for e in batch if self._context.codec.omitted_value_members(self.operation, self._rule.listed, e.value)
        ]
        if not wanting:
            return batch
        fillings, calls = yield from read_current([entry.key for entry in wanting], self._account, self._context)
        search.calls += calls
        refused: dict[str, OctopusError] = {}
        for entry in wanting:
            try:
                filling = complete(self.operation, self._rule.listed, entry.value, fillings[entry.key], self._context)
                entry.value, entry.filled = filling.value, filling.members
                entry.row = self._intake.encoded(entry)
            except OctopusError as error:
                refused[entry.key] = error
                if isinstance(error, AuthenticationError):
                    self.fatal = error
        for entry in batch:
            if entry.key in refused:
                search.outcomes += outcomes_of(entry, ItemVerdict(OutcomeStatus.NOT_SENT), refused[entry.key])
        return [entry for entry in batch if entry.key not in refused]

    def _send(self, batch: list[BatchItem], search: _Search, *, in_doubt: bool = False) -> Flow[None]:
        with RequestTrace(self._request(batch), self._context.rules) as trace:
            settled = yield from attempt_all(trace)
            no = None if settled.error else self._context.codec.failure(settled.decoded)
            if no is not None and (self._reading or not settled.decoded.rows):
                trace.fail(no)
        in_doubt = in_doubt or settled.lost_answers > 0 or isinstance(settled.error, OutcomeUnknownError)
        if settled.error is None:
            search.succeeded, search.dead_ends = True, 0
            if not search.too_large:
                self._context.memory.went_through(self.operation, len(batch), settled.info.sent_bytes)
            else:
                search.worked = max(search.worked, (len(batch), settled.info.sent_bytes))
            outcomes, notes = self._judge.outcomes(batch, settled.decoded, settled.info, in_doubt=in_doubt)
            search.outcomes += outcomes
            search.calls.append(replace(settled.info, warnings=(*settled.info.warnings, *notes)))
            return
        search.calls.append(settled.info)
        if len(batch) > 1 and self._worth_splitting(settled, search):
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                if self._over():
                    status = self._judge.unknown_if_in_doubt(OutcomeStatus.NOT_SENT, in_doubt=in_doubt)
                    search.outcomes += same_for_all(half, status, self.fatal)
                elif search.hopeless:
                    status = self._judge.unknown_if_in_doubt(OutcomeStatus.FAILED, in_doubt=in_doubt)
                    search.outcomes += same_for_all(half, status, settled.error)
                else:
                    yield from self._send(half, search, in_doubt=in_doubt)
            return
        self._gave_up(batch, settled, search, in_doubt=in_doubt)

    def _gave_up(self, batch: list[BatchItem], settled: RequestResult, search: _Search, *, in_doubt: bool) -> None:
        if len(batch) == 1:
            search.dead_ends += 1
            search.poisoned += 1
        if isinstance(settled.error, AuthenticationError):
            # For the call at once, and not when the batches before it were taken back: what follows is begun till then.
            self.fatal = settled.error
        plain, error = OutcomeStatus.FAILED, settled.error
        if settled.kind is FailureKind.BUSY:
            plain, error = OutcomeStatus.NOT_SENT, self.fatal or error
        search.outcomes += same_for_all(batch, self._judge.unknown_if_in_doubt(plain, in_doubt=in_doubt), error)

    def _request(self, batch: list[BatchItem]) -> Request:
        codec, reads = self._context.codec, self._listing.reads
        body = b"".join([self._frame.head, *(entry.row for entry in batch), self._frame.tail])
        return Request(
            self.operation,
            codec.action(self.operation),
            body,
            self.safety,
            lambda reply: codec.decode(self.operation, reply, reads),
        )

    def _worth_splitting(self, settled: RequestResult, search: _Search) -> bool:
        error, kind = settled.error, settled.kind
        if kind is FailureKind.TOO_LARGE:
            search.too_large = search.refused = True
            return True
        if isinstance(error, FaultError) and error.fault_code == "DeserializationFailed":
            return True  # refused before it was processed
        if self.safety is Safety.UNSAFE or self._outage or isinstance(error, (AuthenticationError, TimedOutError)):
            return False
        if kind is FailureKind.AMBIGUOUS and isinstance(error, TransportError):
            search.too_large = True  # a WCF server that finds its reply too big just drops the connection
            return True
        return kind is FailureKind.SERVER

    # -- the end -----------------------------------------------------------------------------------------------

    def absorb(self, part: BatchPart) -> BatchResult[T]:
        """Take back a batch, as a result of its own."""
        self._ended.pop(part.number, None)
        self._under_way.pop(part.number, None)
        return BatchResult[T](part.outcomes, part.calls, repeatable=self.safety is not Safety.UNSAFE)

    def shown(self) -> AbstractContextManager[None]:
        """While the call runs: its progress bar, where one is wanted."""
        return self._reporter.shown(self.operation, self._intake.total)

    def report(self, result: BatchResult[T]) -> None:
        """Report a batch taken back to the caller's `progress`, which may raise: keep the result before."""
        if self._reporter.wanted:
            self._done = Progress(
                self._done.done + len(result.outcomes),
                self._intake.total,
                self._done.failed + len(result.unfinished),
                self._done.rejected + len(result.rejected) + len(result.missing),
                self._done.batches + 1,
            )
            self._reporter.report(self._done)

    def merged(self, parts: Iterable[BatchResult[T]], *, complete: bool = True) -> BatchResult[T]:
        """All parts as one result in input order; unless *complete*, inputs without a part are added.

        Those have their outcome where their batch ended behind one that did not; otherwise they are not sent, or, where
        their request was under way, unknown (failed, for a read). Of a stream, those that were begun.
        """
        outcomes: list[ItemOutcome[T]] = []
        calls: list[CallInfo] = []
        for part in (*parts, *(() if complete else list(self._ended.values()))):
            outcomes += part.outcomes
            calls += part.calls
        if not complete:
            outcomes += self._rest({outcome.index for outcome in outcomes})
        outcomes.sort(key=_INDEX)
        return BatchResult(outcomes, calls, repeatable=self.safety is not Safety.UNSAFE)

    def _rest(self, have: set[int]) -> list[ItemOutcome[Any]]:
        cut_off = TransportError(f"{self.operation} was broken off while this request was under way")
        rest: list[ItemOutcome[Any]] = []
        begun = [entry for batch in list(self._under_way.values()) for entry in batch]
        under_way = {index for entry in begun for index in entry.indices}
        for entry in self._intake.checked or begun:
            if under_way.isdisjoint(entry.indices):
                outcomes = outcomes_of(entry, ItemVerdict(OutcomeStatus.NOT_SENT))
            else:
                outcomes = outcomes_of(
                    entry, ItemVerdict(self._judge.unknown_if_in_doubt(OutcomeStatus.FAILED, in_doubt=True)), cut_off
                )
            rest += [outcome for outcome in outcomes if outcome.index not in have]
        return rest
