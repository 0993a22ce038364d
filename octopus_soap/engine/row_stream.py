"""Hand out the rows of one reply while it arrives.

Invariants:

* The request is checked, sent and repeated like every other until its reply begins. After the first rows were handed
  out, nothing is repeated, so no row is fetched twice.
* A stream ends without an error only if the reply was complete, well-formed, and a Success.
* The observer gets one call when the request starts, and one when the reply ends, which has how it ended.

On failure: rows that had arrived are handed out first. Then the error is raised, and its message has their number.
A service may write its Status after the rows. If that is a Failure, the rows that were handed out are right as records,
but the list may be incomplete: the stream raises `ApiStatusError`, so that it is not taken as complete.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from octopus_soap.engine.effects import Compute, Effect, Flow, Receive, SendFailure
from octopus_soap.engine.outcomes import outcomes_of_rows
from octopus_soap.engine.request import RequestFailure, RequestTrace, attempts, guarded, request_for
from octopus_soap.engine.retry import classify
from octopus_soap.errors import OctopusError
from octopus_soap.results import BatchResult, CallInfo

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from octopus_soap.engine.request import Context
    from octopus_soap.models.declarations import RowsOf, Safety
    from octopus_soap.wire.codec import ArrivingReply
    from octopus_soap.wire.decode import Decoded, Reply
    from octopus_soap.wire.readers import Row

T = TypeVar("T")
_Steps: TypeAlias = "Generator[Effect | BatchResult[Any], Any, None]"
_TOGETHER = 500
"""Rows per part, if the reply came at once."""


class RowStream(Generic[T]):
    """One call whose rows are handed out part by part."""

    def __init__(self, operation: str, safety: Safety, reads: RowsOf, body: bytes, context: Context) -> None:
        self._operation, self._reads, self._context = operation, reads, context
        request = request_for(context, operation, safety, reads)
        self._request = request._replace(body=body, whole=False)
        self._arriving: ArrivingReply | None = None
        self._more: Any = None
        self._index = 0
        self._ended = False

    def flows(self) -> Iterator[Flow[BatchResult[T]]]:
        """Yield flows to run one after another; each returns the next rows, the last none."""
        steps = self._steps()
        try:
            while not self._ended:
                yield self._next(steps)
        finally:
            steps.close()

    def _next(self, steps: _Steps) -> Flow[BatchResult[T]]:
        answer: Any = None
        error: OctopusError | None = None
        while True:
            try:
                step = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration:
                self._ended = True
                return BatchResult[T](())
            finally:
                answer = error = None  # this frame is in the traceback of a raised error, and must not hold it
            if isinstance(step, BatchResult):
                return step
            try:
                answer = yield step
            except OctopusError as raised:  # a Compute that failed is thrown in
                error = raised

    def _open(self, reply: Reply) -> Decoded:
        """Decode a reply that came at once, or begin to read one that is arriving."""
        self._arriving, self._more = None, reply.more
        if reply.more is None:
            return self._context.codec.decode(self._operation, reply, self._reads)
        self._arriving = self._context.codec.arriving(
            self._operation, reply, self._reads, self._context.max_reply_bytes
        )
        return self._arriving.begun

    def _steps(self) -> _Steps:
        config, request = self._context.config, self._request
        trace = RequestTrace(CallInfo(request.operation, request_id=config.new_id(), sent_bytes=len(request.body)))
        config.observer.started(trace.info)
        try:
            yield from self._answered(trace)
        except OctopusError as error:
            trace.error = error
            trace.kind = trace.kind or classify(error)
            raise
        except BaseException:
            trace.abandoned = True
            raise
        finally:
            config.observer.finished(trace)
            trace.error = None  # its traceback holds frames that hold the trace

    def _answered(self, trace: RequestTrace) -> _Steps:
        # A local variable: kept on the stream, its bound method would be a reference cycle.
        request, config = self._request._replace(decode=self._open), self._context.config
        breaker = config.breaker
        end = yield from (
            attempts(trace, request, config) if breaker is None else guarded(trace, request, config, breaker)
        )
        if isinstance(end, RequestFailure):
            trace.kind, failed = end.kind, end.error
            try:
                raise failed
            finally:
                del end, failed  # the traceback holds this frame, which must not hold the error
        decoded = end.decoded
        if self._arriving is None:
            for start in range(0, len(decoded.rows), _TOGETHER):
                yield self._part(decoded.rows[start : start + _TOGETHER], trace)
        else:
            decoded = yield from self._receive(self._arriving, trace)
        if decoded.refusal is not None:
            raise self._counted(decoded.refusal, trace)

    def _receive(self, arriving: ArrivingReply, trace: RequestTrace) -> Generator[Any, Any, Decoded]:
        """Read the reply to its end."""
        failed: OctopusError | None = None
        while True:
            rows = arriving.take()
            if rows:
                yield self._part(rows, trace)
            if failed is not None:
                raise self._counted(failed, trace)
            if arriving.decoded is not None:
                decoded = arriving.decoded
                trace.info = replace(trace.info, drift=dict(decoded.drift), warnings=tuple(decoded.warnings))
                return decoded
            part = yield Receive(self._more)
            if isinstance(part, SendFailure):
                trace.kind, failed = part.kind, part.error
                trace.info = replace(trace.info, elapsed=trace.info.elapsed + part.elapsed)
                continue
            trace.received += len(part)
            trace.info = replace(trace.info, received_bytes=trace.received)
            try:
                yield Compute(partial(arriving.feed, part), len(part), self._context.config.policy.total)
            except OctopusError as error:
                failed = error

    def _part(self, rows: list[Row], trace: RequestTrace) -> BatchResult[T]:
        outcomes = outcomes_of_rows(rows, trace.info, self._index)
        self._index += len(rows)
        return BatchResult(outcomes, [trace.info])

    def _counted(self, error: OctopusError, trace: RequestTrace) -> OctopusError:
        """Add the number of rows that came before to the message of *error*."""
        error.message = f"{error.message}; {self._index} rows came before"
        error.args = (error.message,)
        return error.with_info(trace.info)
