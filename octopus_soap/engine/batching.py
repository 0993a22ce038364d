"""List calls: batches of checked inputs sent, split where needed, and put together again.

Theory. An input becomes an `Entry`; equal inputs share one (asked once, answered twice). A *job* hands out one flow per
batch, lazily, so that a million inputs need the memory of a few batches; drivers run the flows side by side and give
back each `Part` in input order. A flow never raises for its items: it returns one outcome per entry.

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

from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from octopus_soap.engine.checks import account_problems
from octopus_soap.engine.course import Course
from octopus_soap.engine.entries import BatchRule, Entry, Judged, Listing, Part, each
from octopus_soap.engine.filling import fill, read_current
from octopus_soap.engine.flow import Flow, Request, Settled, attempt_all
from octopus_soap.engine.intake import Intake
from octopus_soap.engine.judging import Judge, alike
from octopus_soap.engine.retry import FailureKind
from octopus_soap.errors import (
    AuthenticationError,
    FaultError,
    InvalidInputError,
    OctopusError,
    OutcomeUnknownError,
    TimedOut,
    TransportError,
)
from octopus_soap.progress import Reporter
from octopus_soap.results import BatchResult, CallInfo, ItemOutcome, OutcomeStatus, Progress
from octopus_soap.safety import OmittedValues, Safety

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from octopus_soap.engine.context import Context

T = TypeVar("T")

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


class ListJob(Generic[T]):
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
        listing: Listing[T],
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
        self._judge = Judge(listing, context.codec, reading=self._reading)
        self.parallel = context.parallel_reads if self._reading else context.parallel_writes
        # While some batches are decoded, others have their requests under way. A stream takes no more than it must, as
        # what it has not taken costs no memory; a write goes no further than it must beside one that fails.
        self.ahead = self.parallel if self._reading and not streaming else 0
        self._reporter = Reporter(listing.progress)
        self._intake = Intake(operation, rule, listing, context, reading=self._reading)
        context.guard_contract(operation, declared)
        account = context.account_id if listing.account_id is None else listing.account_id
        if problems := account_problems(account):
            raise InvalidInputError(problems)
        self._account = account
        self._frame = context.codec.frame(operation, {"accountID": account}, rule.listed)
        self._intake.open(len(self._frame.head) + len(self._frame.tail), streaming=streaming)
        self._outage = False
        self._under_way: dict[int, list[Entry]] = {}
        self._ended: dict[int, Part] = {}
        self._done = Progress(0, self._intake.total)

    # -- flows -------------------------------------------------------------------------------------------------

    def flows(self) -> Iterator[Flow[Part]]:
        """One flow per batch; after a fatal end or a stop they send nothing."""
        for index, batch in enumerate(self._intake.batches()):
            yield self._told(self._not_sent(index, batch) if self._over() else self._run(index, batch))

    def _over(self) -> bool:
        return self.fatal is not None or self._stopped()

    def _told(self, flow: Flow[Part]) -> Flow[Part]:
        part = yield from flow
        self._context.rules.watch.batch(self.operation, part.number, part.outcomes, part.calls)
        return part

    def _not_sent(self, number: int, batch: list[Entry]) -> Flow[Part]:
        yield from ()  # a flow that needs no effect
        return Part(alike(batch, OutcomeStatus.NOT_SENT, self.fatal), [], number)

    def _run(self, number: int, batch: list[Entry]) -> Flow[Part]:
        search = _Search()
        self._under_way[number] = batch
        if self._listing.guarded and self._context.omitted_values is OmittedValues.READ_FIRST:
            batch = yield from self._filled(batch, search)
        for piece in self._intake.pieces(batch):
            if self._over():
                search.outcomes += alike(piece, OutcomeStatus.NOT_SENT, self.fatal)
            else:
                yield from self._send(piece, search)
        self._learn(search)
        search.outcomes.sort(key=_INDEX)
        part = self._ended[number] = Part(search.outcomes, search.calls, number)
        return part

    def _learn(self, search: _Search) -> None:
        # A lost connection may mean a reply too large for the service; a poison item found explains it better.
        if search.worked[0] and (search.refused or not search.poisoned):
            self._context.memory.worked(self.operation, *search.worked)
        if search.succeeded or search.hopeless:
            self._outage = search.hopeless

    def _filled(self, batch: list[Entry], search: _Search) -> Flow[list[Entry]]:
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
                filling = fill(self.operation, self._rule.listed, entry.value, fillings[entry.key], self._context)
                entry.value, entry.filled = filling.value, filling.members
                entry.row = self._intake.encoded(entry)
            except OctopusError as error:
                refused[entry.key] = error
                if isinstance(error, AuthenticationError):
                    self.fatal = error
        for entry in batch:
            if entry.key in refused:
                search.outcomes += each(entry, Judged(OutcomeStatus.NOT_SENT), refused[entry.key])
        return [entry for entry in batch if entry.key not in refused]

    def _send(self, batch: list[Entry], search: _Search, *, in_doubt: bool = False) -> Flow[None]:
        with Course(self._request(batch), self._context.rules) as course:
            settled = yield from attempt_all(course)
            no = None if settled.error else self._context.codec.failure(settled.decoded)
            if no is not None and (self._reading or not settled.decoded.rows):
                course.fail(no)
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
                    status = self._judge.open_or(OutcomeStatus.NOT_SENT, in_doubt=in_doubt)
                    search.outcomes += alike(half, status, self.fatal)
                elif search.hopeless:
                    status = self._judge.open_or(OutcomeStatus.FAILED, in_doubt=in_doubt)
                    search.outcomes += alike(half, status, settled.error)
                else:
                    yield from self._send(half, search, in_doubt=in_doubt)
            return
        self._gave_up(batch, settled, search, in_doubt=in_doubt)

    def _gave_up(self, batch: list[Entry], settled: Settled, search: _Search, *, in_doubt: bool) -> None:
        if len(batch) == 1:
            search.dead_ends += 1
            search.poisoned += 1
        if isinstance(settled.error, AuthenticationError):
            # For the call at once, and not when the batches before it were taken back: what follows is begun till then.
            self.fatal = settled.error
        plain, error = OutcomeStatus.FAILED, settled.error
        if settled.kind is FailureKind.BUSY:
            plain, error = OutcomeStatus.NOT_SENT, self.fatal or error
        search.outcomes += alike(batch, self._judge.open_or(plain, in_doubt=in_doubt), error)

    def _request(self, batch: list[Entry]) -> Request:
        codec, reads = self._context.codec, self._listing.reads
        body = b"".join([self._frame.head, *(entry.row for entry in batch), self._frame.tail])
        return Request(
            self.operation,
            codec.action(self.operation),
            body,
            self.safety,
            lambda reply: codec.decode(self.operation, reply, reads),
        )

    def _worth_splitting(self, settled: Settled, search: _Search) -> bool:
        error, kind = settled.error, settled.kind
        if kind is FailureKind.TOO_LARGE:
            search.too_large = search.refused = True
            return True
        if isinstance(error, FaultError) and error.fault_code == "DeserializationFailed":
            return True  # refused before it was processed
        if self.safety is Safety.UNSAFE or self._outage or isinstance(error, (AuthenticationError, TimedOut)):
            return False
        if kind is FailureKind.AMBIGUOUS and isinstance(error, TransportError):
            search.too_large = True  # a WCF server that finds its reply too big just drops the connection
            return True
        return kind is FailureKind.SERVER

    # -- the end -----------------------------------------------------------------------------------------------

    def absorb(self, part: Part) -> BatchResult[T]:
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
                outcomes = each(entry, Judged(OutcomeStatus.NOT_SENT))
            else:
                outcomes = each(entry, Judged(self._judge.open_or(OutcomeStatus.FAILED, in_doubt=True)), cut_off)
            rest += [outcome for outcome in outcomes if outcome.index not in have]
        return rest
