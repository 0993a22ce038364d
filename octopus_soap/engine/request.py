"""What is told of a request while it runs: that it began, each repeat, and how it ended, whatever ended it.

A `RequestTrace` is entered before the first attempt and left after the last one. It is left also if the flow is closed
under way (a cancelled task, Ctrl-C, an abandoned stream): then the request is abandoned, and that is told too. What is
told goes to the `Observer` in the call's rules, which counts, and may make events of it; the engine knows neither.

Flows: one request with all its attempts, as a generator of effects.

A flow yields three effects and nothing else:

* `Send(exchange, limit, unwanted)`: make one HTTP exchange; the driver sends back its reply, or a `SendFailure` if none
  came;
* `Sleep(seconds)`: wait;
* `Compute(work, size)`: run a pure function, perhaps off the event loop; the driver sends back its result or throws its
  error.

A flow holds no clock: it adds up the seconds that replies, failures and pauses report. That is how the total limit is
kept, and why a test can step every retry by hand with a list of replies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeVar

from octopus_soap.engine.effects import Attempt, Compute, Flow, Send, SendFailure, Sleep
from octopus_soap.engine.retry import FailureKind, RetryPolicy, Verdict, classify, decide
from octopus_soap.errors import (
    AuthenticationError,
    ConnectFailedError,
    FaultError,
    OctopusError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    TimedOutError,
    TransportError,
)
from octopus_soap.results import CallInfo
from octopus_soap.safety import Safety

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octopus_soap.results import ItemOutcome


class Observer(Protocol):
    """Who is told. None of these may raise an `Exception`, and none may wait."""

    def started(self, info: CallInfo, /) -> None:
        """A request begins; *info* has its operation, id and size."""

    def retrying(self, info: CallInfo, kind: FailureKind, pause: float, /) -> None:
        """An attempt failed with *kind*; another follows after *pause* seconds."""

    def finished(self, trace: RequestTrace, /) -> None:
        """A request ended."""

    def rejected(self, info: CallInfo, error: RejectedError, /) -> None:
        """A single call was answered with a no to its item."""

    def batch(
        self, operation: str, index: int, outcomes: Sequence[ItemOutcome[Any]], calls: Sequence[CallInfo], /
    ) -> None:
        """Batch *index* of a list call ended."""


class _NullObserver:
    """Nobody is told."""

    def started(self, info: CallInfo, /) -> None:
        del info

    def retrying(self, info: CallInfo, kind: FailureKind, pause: float, /) -> None:
        del info, kind, pause

    def finished(self, trace: RequestTrace, /) -> None:
        del trace

    def rejected(self, info: CallInfo, error: RejectedError, /) -> None:
        del info, error

    def batch(
        self, operation: str, index: int, outcomes: Sequence[ItemOutcome[Any]], calls: Sequence[CallInfo], /
    ) -> None:
        del operation, index, outcomes, calls


NULL_OBSERVER: Observer = _NullObserver()
"""Where nobody listens: a dry run, a flow stepped by hand."""


class RequestTrace:
    """One request on its way, from before its first attempt until its answer is understood.

    Args:
        request: what is sent.
        rules: of the call.

    Attributes:
        info: facts so far.
        begun: attempts begun; one more than `info.attempts` where one was under way when the request was abandoned.
        sent: bytes of the request bodies that left or may have left, all attempts together.
        received: bytes of the reply bodies, all attempts together.
        error: what the request failed with; None where it was answered, or abandoned.
        kind: the failure's kind.
        abandoned: it was broken off from outside before it was answered.
    """

    __slots__ = ("abandoned", "begun", "error", "info", "kind", "received", "request", "rules", "sent")

    def __init__(self, request: Request, rules: CallConfig) -> None:
        self.request, self.rules = request, rules
        self.info = CallInfo(request.operation, request_id=rules.new_id(), sent_bytes=len(request.body))
        self.begun = self.sent = self.received = 0
        self.error: OctopusError | None = None
        self.kind: FailureKind | None = None
        self.abandoned = False

    def fail(self, error: OctopusError, kind: FailureKind | None = None) -> None:
        """Note what the request failed with."""
        self.error, self.kind = error, kind or classify(error)

    def __enter__(self) -> Self:
        self.rules.watch.started(self.info)
        return self

    def __exit__(self, kind: object, raised: BaseException | None, traceback: object) -> None:
        if isinstance(raised, OctopusError):
            if self.error is None and not isinstance(raised, RejectedError):
                self.fail(raised)  # answered, but the answer is a no, or no answer to what was asked
        elif raised is not None:
            self.abandoned = True
            self.info = replace(self.info, attempts=self.begun)
        self.rules.watch.finished(self)
        if isinstance(raised, RejectedError):
            self.rules.watch.rejected(self.info, raised)


T = TypeVar("T")


class CredentialState:
    """Whether the service ever accepted this client's credentials: it tells a refusal from an outage."""

    __slots__ = ("proven",)

    def __init__(self) -> None:
        self.proven = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to be made.

    Attributes:
        operation, action, body: what is sent.
        safety: of the operation, settings considered.
        decode: turns a reply into a result, or raises.
    """

    operation: str
    action: str
    body: bytes
    safety: Safety
    decode: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class CallConfig:
    """What a flow needs to know beside its request.

    Attributes:
        policy: retry limits.
        chance: gives random numbers from 0 to 1.
        new_id: gives request ids.
        trust: shared by all calls of a client.
        retry_after: reads a reply's `Retry-After` as seconds.
        stopped: True once the caller wants no further batch or attempt.
        watch: is told of requests and batches.
    """

    policy: RetryPolicy
    chance: Callable[[], float]
    new_id: Callable[[], str]
    trust: CredentialState
    retry_after: Callable[[Any], float | None]
    stopped: Callable[[], bool] = lambda: False
    watch: Observer = NULL_OBSERVER


class RequestResult(NamedTuple):
    """How a request ended: its decoded reply, or the error; with the facts of the call."""

    decoded: Any
    error: OctopusError | None
    kind: FailureKind | None
    info: CallInfo
    lost_answers: int
    """Attempts whose answer was lost although the request may have been carried out."""


_LEAVES_OPEN = frozenset(
    [
        FailureKind.AMBIGUOUS,
        FailureKind.STALE,
        FailureKind.SERVER,
        FailureKind.UNAVAILABLE,
        FailureKind.OVERSIZED,
    ]
)
"""Failures after which the request may have been carried out."""


_NEVER_LEFT = frozenset([FailureKind.NOT_SENT, FailureKind.BUSY])
"""Failures before the first byte of a request."""


def attempt_all(trace: RequestTrace) -> Flow[RequestResult]:
    """Send the request of *course* until it is answered, refused, or not worth another attempt."""
    request, rules, info = trace.request, trace.rules, trace.info
    lost = 0
    while True:
        exchange = Attempt(request.operation, request.action, request.body, info.request_id, info.attempts + 1)
        trace.begun = exchange.attempt
        answer = yield Send(exchange, max(0.0, rules.policy.total - info.elapsed), rules.stopped)
        info = _noted(trace, exchange, answer)
        pause: float | None = None
        if isinstance(answer, SendFailure):
            error, kind = answer.error, answer.kind
        else:
            try:
                decoded = yield Compute(lambda reply=answer: request.decode(reply), len(answer.body))  # type: ignore[misc] # bound now, not at the next attempt
            except OctopusError as failed:
                error, kind, pause = failed, classify(failed), rules.retry_after(answer)
            else:
                rules.trust.proven = True
                trace.info = info = replace(info, drift=dict(decoded.drift), warnings=tuple(decoded.warnings))
                return RequestResult(decoded, None, None, info, lost)
        if isinstance(error, FaultError):
            trace.info = info = replace(info, fault_code=error.fault_code)
        decision = decide(
            rules.policy,
            request.safety,
            kind,
            attempt=info.attempts,
            spent=info.elapsed,
            chance=rules.chance(),
            retry_after=pause,
        )
        lost += kind in _LEAVES_OPEN
        if decision.verdict is Verdict.RETRY and not rules.stopped():
            rules.watch.retrying(info, kind, decision.pause)
            if decision.pause > 0:
                yield Sleep(decision.pause)
                trace.info = info = replace(info, elapsed=info.elapsed + decision.pause)
            if not rules.stopped():  # a stop cuts the pause short: what it was to wait for has not come
                continue
        final = _final(error, kind, decision.verdict, pause=pause, info=info, rules=rules)
        never_left = kind is FailureKind.BUSY or isinstance(final, ConnectFailedError)
        if lost and request.safety is not Safety.READ and never_left:
            final = _perhaps_done(error.with_info(info))
        trace.fail(final, kind)
        return RequestResult(None, final.with_info(info), kind, info, lost)


def _noted(trace: RequestTrace, exchange: Attempt, answer: Any) -> CallInfo:
    """The facts of the request once an attempt of it was answered, or failed."""
    info, failed = trace.info, isinstance(answer, SendFailure)
    if not (failed and answer.kind in _NEVER_LEFT):
        trace.sent += len(exchange.body)
    if not failed:
        trace.received += len(answer.body)
    trace.info = replace(
        info,
        attempts=info.attempts if failed and answer.kind is FailureKind.BUSY else exchange.attempt,
        elapsed=info.elapsed + answer.elapsed,
        http_status=None if failed else answer.status,
        fault_code=None,
        received_bytes=info.received_bytes if failed else len(answer.body),
    )
    return trace.info


def _perhaps_done(error: OctopusError) -> TransportError:
    """What stands for an error that promises that nothing was sent, where an earlier attempt was."""
    final = TransportError(f"{error.message}; an earlier attempt may have been carried out")
    final.__cause__ = error
    return final


def _final(
    error: OctopusError, kind: FailureKind, verdict: Verdict, *, pause: float | None, info: CallInfo, rules: CallConfig
) -> OctopusError:
    """The error a caller sees."""
    if verdict is Verdict.UNKNOWN:
        unknown = OutcomeUnknownError(
            f"{info.operation} may or may not have been carried out, and was not repeated: {error.message[:400]}"
        )
        unknown.__cause__ = error.with_info(info)
        return unknown
    if isinstance(error, FaultError) and error.fault_code == "InternalServiceFault" and not rules.trust.proven:
        # WCF hides why its own authentication threw. Before any call succeeded, wrong credentials are the usual cause.
        suspected = AuthenticationError(
            "the service answered with its internal fault before any call of this client had succeeded: wrong "
            "authtoken, merchantname or accessid is the usual cause, though an outage looks the same; "
            "octopus-soap doctor tells more",
            certain=False,
        )
        suspected.__cause__ = error.with_info(info)
        return suspected
    if pause is not None and kind in {FailureKind.THROTTLED, FailureKind.UNAVAILABLE}:
        if isinstance(error, RateLimitedError):
            return error
        return RateLimitedError(
            f"{error.message}; it asks for {pause:.0f} s",
            status=getattr(error, "status", 503),
            retry_after=pause,
            body_excerpt=getattr(error, "body_excerpt", ""),
        )
    if info.elapsed >= rules.policy.total and not isinstance(error, TimedOutError):
        late = TimedOutError(f"the total limit of {rules.policy.total:g} s passed; last: {error.message[:400]}")
        late.__cause__ = error.with_info(info)
        return late
    return error
