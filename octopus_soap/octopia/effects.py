"""The effects that a flow yields, the answers of the driver, and the retry policy.

1. Every operation is written once, as a *flow*: a generator that yields effects and returns a value. A flow does no
   I/O, never sleeps, and is tested by stepping it by hand. A *stream* is a flow that also emits values, a page at a
   time.
2. A driver (`http.py`) carries effects out, in the calling thread or in the running task. ``Send`` is answered with a
   `Reply`, or an `OctopiaTransportError` is thrown into the flow. ``Sleep`` is answered with None. ``Wait`` is answered
   with True if the event is done, with False after the time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from pydantic import SecretStr

from octopus_soap._http import retry_after
from octopus_soap.octopia.errors import OctopiaConfigError, OctopiaTlsError, OctopiaTransportError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pydantic import SecretBytes

T = TypeVar("T")

Clock = Callable[[], float]  # monotonic seconds: `time.monotonic`, or a test's own
Jitter = Callable[[float, float], float]  # a number between two bounds: `random.uniform`, or a test's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One complete HTTP request. Its repr hides what can hold secrets."""

    method: str
    url: str  # with its query; never holds a secret
    call: str  # in words, for messages, such as ``GET /orders``
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    secret_headers: Mapping[str, SecretStr] = field(default_factory=dict[str, SecretStr], repr=False)
    body: SecretBytes | None = field(default=None, repr=False)
    seconds: float | None = None  # the limit of one attempt; None for the settings' own


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One complete HTTP answer, decompressed. Its repr hides what can hold a token."""

    status: int
    # By lower-case name; repeated headers are joined by a comma.
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the driver to send a request."""

    request: Request


@dataclass(frozen=True, slots=True)
class Sleep:
    """Ask the driver to wait for *seconds*."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask the driver to wait until *event* is done, at most *seconds*.

    The awaited work runs in *leader_thread*. A blocking driver in that thread must not wait: it would block the event
    loop that does the work.
    """

    event: Future[None]
    seconds: float
    leader_thread: int


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Hand one page to the caller's loop; a listing can be resumed at *position*."""

    values: tuple[T, ...]
    position: str = ""


Effect: TypeAlias = Send | Sleep | Wait
Answer: TypeAlias = Reply | bool | None
Flow: TypeAlias = Generator[Effect, Answer, T]
Stream: TypeAlias = Generator[Effect | Emit[T], Answer, None]


def send(request: Request) -> Flow[Reply]:
    """Yield a ``Send`` and return its reply; the driver throws in a transport error."""
    answer = yield Send(request)
    assert isinstance(answer, Reply)  # noqa: S101 - a driver answers Send with a reply
    return answer


def next_page(stream: Stream[T]) -> Flow[Emit[T] | None]:
    """Run *stream* until it emits a page, and return that; None if it has ended."""
    try:
        effect = stream.send(None)
        while not isinstance(effect, Emit):
            try:
                answer = yield effect
            except BaseException as error:  # noqa: BLE001 - thrown into the stream, which has the retries
                effect = stream.throw(error)
            else:
                effect = stream.send(answer)
    except StopIteration:
        return None
    return effect


# Statuses that mean "later" or come from a gateway; 500 is not among them (docs/octopia.md).
RETRYABLE_STATUS = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and after which pauses a request is repeated.

    This applies to reads, and to a write that was answered 429, since it was not applied. The pause before attempt n+1
    is uniformly random between 0 and ``base_seconds * 2**(n-1)``, at most ``cap_seconds`` (full jitter, so that callers
    that failed together do not return together).

    Raises:
        OctopiaConfigError: A value is out of its range.
    """

    attempts: int = 4  # at most, including the first; 1 turns repeating off
    base_seconds: float = 0.5  # the upper bound of the first pause
    cap_seconds: float = 20.0  # the upper bound of every random pause
    retry_after_cap: float = 60.0  # the longest ``Retry-After`` to wait for; a longer one is an error at once
    total_seconds: float = 120.0  # the longest time from the first attempt to the end of the last pause

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise OctopiaConfigError("RetryPolicy.attempts must be at least 1")
        # `not (x >= 0)` and not `x < 0`: NaN must fail too.
        if not all(s >= 0 for s in (self.base_seconds, self.cap_seconds, self.retry_after_cap, self.total_seconds)):
            raise OctopiaConfigError("RetryPolicy seconds must not be negative")

    def pause(
        self, attempt: int, elapsed: float, failure: Reply | OctopiaTransportError, jitter: Jitter
    ) -> float | None:
        """Return the seconds to wait after the attempts so far, or None to give up."""
        if isinstance(failure, Reply):
            repeatable, asked = failure.status in RETRYABLE_STATUS, retry_after(failure.headers)
        else:  # an untrusted certificate will not be trusted the next time
            repeatable, asked = not isinstance(failure, OctopiaTlsError), None
        if attempt >= self.attempts or not repeatable or (asked or 0.0) > self.retry_after_cap:
            return None
        # Never earlier than asked; the additional jitter prevents callers from returning together.
        drawn = jitter(0.0, min(self.cap_seconds, self.base_seconds * 2.0 ** (attempt - 1))) + (asked or 0.0)
        return drawn if elapsed + drawn <= self.total_seconds else None
