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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from octopus_soap.engine.retry import FailureKind
    from octopus_soap.errors import (
        OctopusError,
    )


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
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

    exchange: Attempt
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


def first_attempt(flow: Flow[Any]) -> Attempt:
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
