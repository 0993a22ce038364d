"""Flows: one request with all its attempts, as a generator of effects.

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

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from octopus_soap.engine.course import UNWATCHED, Course, Watch
from octopus_soap.engine.retry import FailureKind, RetryPolicy, Verdict, classify, decide
from octopus_soap.errors import (
    AuthenticationError,
    ConnectFailed,
    FaultError,
    OctopusError,
    OutcomeUnknownError,
    RateLimitedError,
    TimedOut,
    TransportError,
)
from octopus_soap.safety import Safety

if TYPE_CHECKING:
    from octopus_soap.results import CallInfo

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP exchange to make.

    Attributes:
        operation: wire name, for logs.
        action: the SOAPAction, unquoted.
        body: the envelope.
        request_id: our id of the call.
        attempt: 1 for the first.
    """

    operation: str
    action: str
    body: bytes = field(repr=False)
    request_id: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Send:
    """Make an exchange within *limit* seconds.

    Where it has to wait for its turn beside others of its call, *unwanted* is asked at the last moment: the call may
    have been stopped meanwhile, or have ended otherwise.
    """

    exchange: Exchange
    limit: float
    unwanted: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait *seconds*."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Compute:
    """Run *work*; *size* is the bytes it works on, so that a driver can tell a small job from a big one."""

    work: Callable[[], Any]
    size: int


@dataclass(frozen=True, slots=True)
class SendFailure:
    """No answer came.

    Attributes:
        kind: what that says about the request.
        error: the error to raise, were it the last word.
        elapsed: seconds until it failed.
    """

    kind: FailureKind
    error: OctopusError
    elapsed: float = 0.0


Effect: TypeAlias = Send | Sleep | Compute
Flow: TypeAlias = Generator[Effect, Any, T]
Tap: TypeAlias = Callable[[Generator[Effect, Any, Any]], Generator[Effect, Any, Any]]
"""Stands between a flow and its driver: sees every effect and its answer, or gives answers of its own."""


class Trust:
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
class Rules:
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
    trust: Trust
    retry_after: Callable[[Any], float | None]
    stopped: Callable[[], bool] = lambda: False
    watch: Watch = UNWATCHED


class Settled(NamedTuple):
    """How a request ended: its decoded reply, or the error; with the facts of the call."""

    decoded: Any
    error: OctopusError | None
    kind: FailureKind | None
    info: CallInfo
    lost_answers: int
    """Attempts whose answer was lost although the request may have been carried out."""


def first_exchange(flow: Flow[Any]) -> Exchange:
    """The exchange *flow* would begin with; the flow is ended there, and nothing is sent.

    A flow that sends nothing, as of a stopped client, ends by `StopIteration`, and with it what iterates over flows.
    """
    try:
        effect = next(flow)
        if not isinstance(effect, Send):  # an answer is computed on, and a pause made, after something was sent
            raise TypeError(f"a flow begins by sending, not by {effect!r}")
        return effect.exchange
    finally:
        flow.close()


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


def attempt_all(course: Course) -> Flow[Settled]:
    """Send the request of *course* until it is answered, refused, or not worth another attempt."""
    request, rules, info = course.request, course.rules, course.info
    lost = 0
    while True:
        exchange = Exchange(request.operation, request.action, request.body, info.request_id, info.attempts + 1)
        course.begun = exchange.attempt
        answer = yield Send(exchange, max(0.0, rules.policy.total - info.elapsed), rules.stopped)
        info = _noted(course, exchange, answer)
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
                course.info = info = replace(info, drift=dict(decoded.drift), warnings=tuple(decoded.warnings))
                return Settled(decoded, None, None, info, lost)
        if isinstance(error, FaultError):
            course.info = info = replace(info, fault_code=error.fault_code)
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
                course.info = info = replace(info, elapsed=info.elapsed + decision.pause)
            if not rules.stopped():  # a stop cuts the pause short: what it was to wait for has not come
                continue
        final = _final(error, kind, decision.verdict, pause=pause, info=info, rules=rules)
        never_left = kind is FailureKind.BUSY or isinstance(final, ConnectFailed)
        if lost and request.safety is not Safety.READ and never_left:
            final = _perhaps_done(error.with_info(info))
        course.fail(final, kind)
        return Settled(None, final.with_info(info), kind, info, lost)


def _noted(course: Course, exchange: Exchange, answer: Any) -> CallInfo:
    """The facts of the request once an attempt of it was answered, or failed."""
    info, failed = course.info, isinstance(answer, SendFailure)
    if not (failed and answer.kind in _NEVER_LEFT):
        course.sent += len(exchange.body)
    if not failed:
        course.received += len(answer.body)
    course.info = replace(
        info,
        attempts=info.attempts if failed and answer.kind is FailureKind.BUSY else exchange.attempt,
        elapsed=info.elapsed + answer.elapsed,
        http_status=None if failed else answer.status,
        fault_code=None,
        received_bytes=info.received_bytes if failed else len(answer.body),
    )
    return course.info


def _perhaps_done(error: OctopusError) -> TransportError:
    """What stands for an error that promises that nothing was sent, where an earlier attempt was."""
    final = TransportError(f"{error.message}; an earlier attempt may have been carried out")
    final.__cause__ = error
    return final


def _final(
    error: OctopusError, kind: FailureKind, verdict: Verdict, *, pause: float | None, info: CallInfo, rules: Rules
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
    if info.elapsed >= rules.policy.total and not isinstance(error, TimedOut):
        late = TimedOut(f"the total limit of {rules.policy.total:g} s passed; last: {error.message[:400]}")
        late.__cause__ = error.with_info(info)
        return late
    return error
