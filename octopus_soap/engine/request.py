"""Run one request: send it, repeat it if the retry matrix allows, report its end.

`perform` is the only place that runs a request. Single calls, batches, the reads of `read_first` and the ping differ in
how they use the result, and may pass a function for it. The calls of one client share a `Context`.

Invariants:

* A `Context` never changes, and a view of a client has its own. Only its `SizeMemory` changes, and is shared.
* Every request that began is reported to the observer once as started and once as finished, whatever ended it: a
  reply, an error, a cancelled task, Ctrl-C or an abandoned stream.
* `CallInfo` counts all attempts of a request: their number, seconds and pauses.
* No attempt begins after the total time limit, or after the caller asked the call to stop. Decoding counts into the
  limit, and is broken off at it.
* `lost_answers` counts the attempts whose answer did not arrive although the service may have carried the request out.

On failure: `perform` returns a `RequestFailure`, and raises nothing itself. An exception of the function it was given
goes to the caller, after the observer was called.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, overload

from octopus_soap.engine.effects import Attempt, Compute, FailureKind, Flow, Send, SendFailure, Sleep
from octopus_soap.engine.retry import Passage, RetryPolicy, Sign, Verdict, classify, decide, sign_of
from octopus_soap.errors import (
    ApiStatusError,
    AuthenticationError,
    ConnectFailedError,
    FaultError,
    OctopusError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    RejectedError,
    TimedOutError,
    TransportError,
)
from octopus_soap.models.declarations import OmittedValues, Safety
from octopus_soap.results import APIResult, CallInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import SecretStr

    from octopus_soap.engine.retry import Breaker
    from octopus_soap.models.declarations import OmittedChoice, Reads
    from octopus_soap.results import ItemOutcome
    from octopus_soap.wire.codec import Codec
    from octopus_soap.wire.decode import Decoded, Reply

T = TypeVar("T")


class Request(NamedTuple):
    """A request ready to be sent.

    Attributes:
        operation: wire name.
        action: the SOAPAction, unquoted.
        safety: what a repeat may do, with the settings' overrides applied.
        decode: turns a reply into its contents, or raises.
        body: the envelope.
        whole: False to decode the reply while it arrives.
    """

    operation: str
    action: str
    safety: Safety
    decode: Callable[[Reply], Decoded]
    body: bytes = b""
    whole: bool = True

    def __repr__(self) -> str:  # the body holds the account id
        return f"Request({self.operation}, {self.safety.value}, {len(self.body)} bytes)"


class Observer(Protocol):
    """Gets a report of each request and batch; its methods may not raise or block."""

    def started(self, info: CallInfo, /) -> None:
        """Note that a request begins; *info* has its operation, id and size."""

    def retrying(self, info: CallInfo, kind: FailureKind, pause: float, /) -> None:
        """Note that an attempt failed, and another follows after *pause* seconds."""

    def breaker(self, info: CallInfo, error: OctopusError | None, /) -> None:
        """Note that an attempt failed with *error* and opened the breaker, or closed it."""

    def finished(self, trace: RequestTrace, /) -> None:
        """Note that a request ended."""

    def rejected(self, info: CallInfo, error: RejectedError, /) -> None:
        """Note that the service rejected the item of a single call."""

    def batch(
        self, operation: str, index: int, outcomes: Sequence[ItemOutcome[Any]], calls: Sequence[CallInfo], /
    ) -> None:
        """Note that batch *index* of a list call ended."""


class _NullObserver:
    """Ignores every report."""

    def _ignore(self, *report: object) -> None:
        del report

    started = retrying = breaker = finished = rejected = batch = _ignore


NULL_OBSERVER: Observer = _NullObserver()
"""For a dry run, or a flow that is stepped by hand: nothing is counted or reported."""


class CredentialState:
    """Records whether the service ever accepted this client's credentials."""

    __slots__ = ("proven",)

    def __init__(self) -> None:
        self.proven = False


class CallConfig(NamedTuple):
    """The settings and functions that a request needs.

    Attributes:
        chance: returns a random number from 0 to 1.
        credentials, breaker: shared by all calls of a client; no breaker if None.
        retry_after: reads a reply's `Retry-After` header as seconds.
        stopped: returns True once no further batch or attempt may begin.
        observer: gets a report of each request and batch.
    """

    policy: RetryPolicy
    chance: Callable[[], float]
    new_id: Callable[[], str]
    credentials: CredentialState
    retry_after: Callable[[Reply], float | None]
    stopped: Callable[[], bool] = lambda: False
    observer: Observer = NULL_OBSERVER
    breaker: Breaker | None = None


# -- what the calls of one client share --------------------------------------------------------------------------------


class _Learned(NamedTuple):
    """A size that worked, and how many requests of it went through since."""

    rows: int
    size: int
    streak: int = 0


class SizeMemory:
    """Remembers, by operation, the batch size that worked after a larger one failed.

    One refusal sets a size, or a lost connection that may have another cause. So a size grows again: after `PATIENCE`
    requests of that size went through, the next may be twice as large.
    """

    PATIENCE = 32

    def __init__(self) -> None:
        self._learned: dict[str, _Learned] = {}  # changed by one assignment each time, because threads share it

    def limit(self, operation: str, rows: int, size: int) -> None:
        """Limit batches to *rows*, of *size* bytes, after a larger batch failed."""
        self._learned[operation] = _Learned(max(1, rows), size)

    def went_through(self, operation: str, rows: int, size: int) -> None:
        """Note that a batch of *rows* and *size* bytes went through at once."""
        learned = self._learned.get(operation)
        if learned is None or rows < learned.rows:
            return
        grows = learned.streak + 1 >= self.PATIENCE
        self._learned[operation] = (
            _Learned(2 * learned.rows, size) if grows else _Learned(learned.rows, size, learned.streak + 1)
        )

    def rows(self, operation: str, most: int) -> int:
        """Return how many rows a batch may have, at most *most*."""
        learned = self._learned.get(operation)
        return most if learned is None else min(most, learned.rows)

    def learned(self) -> dict[str, tuple[int, int]]:
        """Return the learned rows and bytes by operation."""
        return {name: (learned.rows, learned.size) for name, learned in self._learned.copy().items()}


class Context(NamedTuple):
    """The settings and functions that a call needs.

    Attributes:
        codec: encodes requests and decodes replies, under the contract in force.
        config: retry limits, jitter, request ids, and the observer.
        account_id: sent as accountID, unless a call names another.
        memory: batch sizes that worked.
        batch_sizes: rows per batch by operation, if the settings change the default.
        safety: safety classes the settings override, by operation.
        max_request_bytes: largest request body.
        max_reply_bytes: most bytes kept at a time of a reply that is received in parts.
        parallel_reads, parallel_writes: batches of one call under way at once.
        omitted_values: a choice for all operations, or by wire name, with `*` for the others; see `OmittedValues`.
        strict_lengths: True if text longer than documented is refused.
        unverified: True if a write would use the bundled contract against a real endpoint.
    """

    codec: Codec
    config: CallConfig
    account_id: SecretStr
    memory: SizeMemory
    batch_sizes: Mapping[str, int]
    safety: Mapping[str, Safety]
    max_request_bytes: int = 1_000_000
    max_reply_bytes: int = 64 * 1024 * 1024
    parallel_reads: int = 1
    parallel_writes: int = 1
    omitted_values: OmittedChoice | Mapping[str, OmittedChoice] = OmittedValues.REFUSE
    strict_lengths: bool = False
    unverified: bool = False

    def unobserved(self) -> Context:
        """Return this context for a dry run: without observer and circuit breaker."""
        return self._replace(config=self.config._replace(observer=NULL_OBSERVER, breaker=None))


def request_for(context: Context, operation: str, declared: Safety, reads: Reads) -> Request:
    """Return the request of an operation, without its body: `_replace` adds one.

    The settings may override the *declared* safety class.
    """
    codec = context.codec
    safety = context.safety.get(operation, declared)
    return Request(operation, codec.requests(operation).action, safety, partial(codec.decode, operation, reads=reads))


# -- one request -------------------------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class RequestTrace:
    """The facts of one request, for the observer.

    Attributes:
        info: the facts so far.
        begun: attempts begun; one more than `info.attempts` if one was under way when the request was abandoned.
        sent: bytes of the request bodies that left or may have left, all attempts together.
        received: bytes of the reply bodies, all attempts together.
        error: what the request failed with; None if it was answered, or abandoned.
        kind: the failure's kind.
        abandoned: the request was broken off from outside before it was answered.
    """

    info: CallInfo
    begun: int = 0
    sent: int = 0
    received: int = 0
    error: OctopusError | None = None
    kind: FailureKind | None = None
    abandoned: bool = False

    @property
    def failure(self) -> str | None:
        """Return the failure's kind, or `abandoned`; None if it was answered."""
        if self.abandoned:
            return "abandoned"
        return None if self.kind is None else self.kind.value


class RequestResult(NamedTuple):
    """A request that was answered.

    Attributes:
        decoded: the reply's contents.
        refusal: the error that its envelope means; None if the envelope is Success, or there was none.
        info: the facts of the request.
        lost_answers: earlier attempts whose answer was lost although they may have been carried out.
    """

    decoded: Decoded
    refusal: ApiStatusError | None
    info: CallInfo
    lost_answers: int

    def require_value(self) -> Any:
        """Return the reply's value.

        Raises:
            ProtocolError: the reply has none, or it cannot be read.
        """
        if self.decoded.problems:
            shown = "; ".join(str(problem) for problem in self.decoded.problems[:3])
            raise ProtocolError(f"cannot read the result: {shown}", info=self.info)
        value = self.decoded.value
        if value is None:
            raise ProtocolError("the service answered with no value", info=self.info)
        return value

    def rejected(self, message: str, key: str, row: Any) -> RejectedError:
        """Return the error for an item that the service rejected with *row*."""
        decoded = self.decoded
        return RejectedError(
            message,
            key=key,
            status=(decoded.status or "Success").strip(),
            message_code=decoded.code,
            data=decoded.data,
            row=row,
            info=self.info,
        )


class RequestFailure(NamedTuple):
    """A request that was not answered as it should be, after its last attempt.

    Attributes:
        lost_answers: attempts whose answer was lost although they may have been carried out.
    """

    error: OctopusError
    kind: FailureKind
    info: CallInfo
    lost_answers: int


RequestEnd: TypeAlias = RequestResult | RequestFailure

_MAYBE_DONE = frozenset(
    [
        FailureKind.AMBIGUOUS,
        FailureKind.STALE,
        FailureKind.SERVER,
        FailureKind.UNAVAILABLE,
        FailureKind.OVERSIZED,
        FailureKind.UNPROVEN,
        FailureKind.SUSPECTED,
    ]
)
"""Failures after which the request may have been carried out."""

_LEAST_DECODING = 1.0
"""Least seconds for decoding a late answer; a tenth of the total limit if that is less."""

_NEVER_LEFT = frozenset([FailureKind.NOT_SENT, FailureKind.BUSY])
"""Failures before the first byte of a request was sent."""


@overload
def perform(request: Request, config: CallConfig) -> Flow[RequestEnd]: ...
@overload
def perform(request: Request, config: CallConfig, conclude: Callable[[RequestEnd], T]) -> Flow[T]: ...
def perform(request: Request, config: CallConfig, conclude: Callable[[RequestEnd], Any] | None = None) -> Flow[Any]:
    """Run *request*, and return its end, or what *conclude* returns for it.

    An envelope that is a refusal counts as a failed request, except for a write that answers its items one by one.
    *conclude* is called while the request is under way for the observer: its exception is reported as the request's
    failure, a `RejectedError` as a rejection.
    """
    trace = RequestTrace(CallInfo(request.operation, request_id=config.new_id(), sent_bytes=len(request.body)))
    rejected: RejectedError | None = None
    end: RequestEnd | None = None
    config.observer.started(trace.info)
    try:
        breaker = config.breaker
        end = yield from (
            attempts(trace, request, config) if breaker is None else guarded(trace, request, config, breaker)
        )
        if isinstance(end, RequestFailure):
            trace.error, trace.kind = end.error, end.kind
        elif end.refusal is not None and (request.safety is Safety.READ or not end.decoded.rows):
            trace.error, trace.kind = end.refusal, classify(end.refusal)
        return end if conclude is None else conclude(end)
    except RejectedError as error:  # the request was answered, and only its item rejected
        rejected, trace.error, trace.kind = error, None, None
        raise
    except OctopusError as error:
        if trace.error is None:  # a reply came, and does not answer the request
            trace.error, trace.kind = error, classify(error)
        raise
    except BaseException:
        trace.abandoned = True
        trace.info = replace(trace.info, attempts=trace.begun)
        raise
    finally:
        config.observer.finished(trace)
        if rejected is not None:
            config.observer.rejected(trace.info, rejected)
        del trace, end, rejected  # a raised error's traceback holds this frame, which must not hold the error


def guarded(trace: RequestTrace, request: Request, config: CallConfig, breaker: Breaker) -> Flow[RequestEnd]:
    """Run `attempts`, as far as *breaker* allows."""
    with Passage(breaker) as passage:
        end = yield from attempts(trace, request, config, passage)
        if isinstance(end, RequestResult):
            _learn(passage, trace, config, Sign.ANSWERED)
        return end


def attempts(
    trace: RequestTrace, request: Request, config: CallConfig, passage: Passage | None = None
) -> Flow[RequestEnd]:
    """Send *request* until it is answered, refused, or not worth another attempt."""
    policy, info, lost = config.policy, trace.info, 0
    while True:
        attempt = Attempt(request.operation, request.action, request.body, info.request_id, info.attempts + 1)
        trace.begun = attempt.number
        gate = None if passage is None else passage.gate
        answer: Reply | SendFailure = (None if passage is None else passage.refusal()) or (
            yield Send(attempt, max(0.0, policy.total - info.elapsed), config.stopped, request.whole, gate=gate)
        )
        info = _note_answer(trace, attempt, answer)
        retry_after: float | None = None
        if isinstance(answer, SendFailure):
            error, kind = answer.error, answer.kind
        else:
            left = max(policy.total - info.elapsed, min(_LEAST_DECODING, policy.total / 10))
            decoding = Compute(partial(request.decode, answer), len(answer.body), left)
            try:
                decoded: Decoded = yield decoding
            except OctopusError as failed:
                failed.__traceback__ = None  # it has this flow's frame, which holds the error: a reference cycle
                trace.info = info = replace(info, elapsed=info.elapsed + decoding.elapsed)
                error, kind, retry_after = failed, classify(failed), config.retry_after(answer)
            else:
                info = replace(info, elapsed=info.elapsed + decoding.elapsed)
                config.credentials.proven = True
                trace.info = info = replace(
                    info,
                    drift=dict(decoded.drift),
                    warnings=tuple(decoded.warnings),
                    envelope=APIResult((decoded.status or "").strip(), decoded.message, decoded.code, decoded.data)
                    if decoded.enveloped
                    else None,
                )
                return RequestResult(decoded, decoded.refusal, info, lost)
        if isinstance(error, FaultError):
            trace.info = info = replace(info, fault_code=error.fault_code)
        lost += kind in _MAYBE_DONE
        decision = decide(
            policy,
            request.safety,
            kind,
            attempt=info.attempts,
            spent=info.elapsed,
            chance=config.chance(),
            retry_after=retry_after,
        )
        opened = passage is not None and _learn(passage, trace, config, sign_of(answer, kind), error)
        last = opened or (isinstance(answer, SendFailure) and answer.last)
        if decision.verdict is Verdict.RETRY and not last and not config.stopped():
            config.observer.retrying(info, kind, decision.pause)
            if decision.pause > 0:
                last = (yield Sleep(decision.pause)) is True
                trace.info = info = replace(info, elapsed=info.elapsed + (0.0 if last else decision.pause))
            # A stop cuts the pause short, before the service is ready for another attempt.
            if not last and not config.stopped():
                continue
        final = _final_error(error, kind, decision.verdict, retry_after=retry_after, info=info, config=config)
        never_left = kind is FailureKind.BUSY or isinstance(final, ConnectFailedError)
        if lost and request.safety is not Safety.READ and never_left:
            # The error promises that nothing was sent, which holds for its own attempt only.
            final = TransportError(f"{error.message}; an earlier attempt may have been carried out")
            final.__cause__ = error.with_info(info)
        return RequestFailure(final.with_info(info), kind, info, lost)


def _learn(
    passage: Passage, trace: RequestTrace, config: CallConfig, sign: Sign, error: OctopusError | None = None
) -> bool:
    """Note in the breaker how an attempt ended; True if no other may follow."""
    changed = passage.ended(sign, "" if error is None else error.message)
    if changed is not None:
        config.observer.breaker(trace.info, error if changed else None)
    return passage.is_open()


def _note_answer(trace: RequestTrace, attempt: Attempt, answer: Reply | SendFailure) -> CallInfo:
    """Add an attempt that was answered, or failed, to the facts of its request."""
    info = trace.info
    if isinstance(answer, SendFailure):
        if answer.kind not in _NEVER_LEFT:
            trace.sent += len(attempt.body)
        attempts = info.attempts if answer.kind is FailureKind.BUSY else attempt.number
        status, received = None, info.received_bytes
    else:
        trace.sent += len(attempt.body)
        trace.received += len(answer.body)
        attempts, status, received = attempt.number, answer.status, len(answer.body)
    trace.info = replace(
        info,
        attempts=attempts,
        elapsed=info.elapsed + answer.elapsed,
        http_status=status,
        fault_code=None,
        received_bytes=received,
    )
    return trace.info


def _final_error(
    error: OctopusError,
    kind: FailureKind,
    verdict: Verdict,
    *,
    retry_after: float | None,
    info: CallInfo,
    config: CallConfig,
) -> OctopusError:
    """Return the error a caller sees when there is no further attempt."""
    if verdict is Verdict.UNKNOWN:
        unknown = OutcomeUnknownError(
            f"{info.operation} may or may not have been carried out, and was not repeated: {error.message[:400]}"
        )
        unknown.__cause__ = error.with_info(info)
        return unknown
    if isinstance(error, FaultError) and error.fault_code == "InternalServiceFault" and not config.credentials.proven:
        # WCF hides why its own authentication threw. Before any call succeeded, wrong credentials are the usual cause.
        suspected = AuthenticationError(
            "the service answered with an internal fault before any call of this client had succeeded. Wrong "
            "authtoken, merchantname or accessid is the usual cause; an outage looks the same. To find out, run: "
            "octopus-soap doctor",
            certain=False,
        )
        suspected.__cause__ = error.with_info(info)
        return suspected
    if retry_after is not None and kind in {FailureKind.THROTTLED, FailureKind.UNAVAILABLE}:
        if isinstance(error, RateLimitedError):
            return error
        return RateLimitedError(
            f"{error.message}; it asks for a pause of {retry_after:.0f} s",
            status=getattr(error, "status", 503),
            retry_after=retry_after,
            body_excerpt=getattr(error, "body_excerpt", ""),
        )
    if kind is not FailureKind.BUSY and info.elapsed >= config.policy.total and not isinstance(error, TimedOutError):
        late = TimedOutError(
            f"the total limit of {config.policy.total:g} s (total_timeout) passed; last error: {error.message[:400]}"
        )
        late.__cause__ = error.with_info(info)
        return late
    return error
