"""What a flow may ask for, and what it is answered.

Theory of this package's calls:

1. Every operation is written once, as a *flow*: a generator that yields effects and returns a value. A flow does no
   I/O, never sleeps, and is tested by stepping it by hand.
2. A driver (`drivers.py`) carries effects out: one over `httpx.Client`, one over `httpx.AsyncClient`. Nothing else in
   the package knows whether it runs in a thread or in a task.
3. ``Send`` is answered with a `Reply`, or the driver throws a `TransportError` into the flow. ``Sleep`` is answered
   with None. ``Wait`` is answered with True when the awaited thing happened, False when waiting was given up.
4. A *stream* is a flow that also emits values (``Emit``), a page at a time; the drivers turn it into an iterator.
5. Reprs show no header values and no bodies: an effect may stand in a traceback or a debugger's log.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from pydantic import SecretStr

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pydantic import SecretBytes

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, complete.

    Attributes:
        method: ``GET``, ``POST`` or ``PATCH``.
        url: The absolute URL with its query; never holds a secret.
        call: What this is in words, for messages, such as ``GET /orders``.
        headers: Header values that may be shown.
        secret_headers: Header values that may not.
        body: The body, hidden because a token request's body holds the client secret.
    """

    method: str
    url: str
    call: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    secret_headers: Mapping[str, SecretStr] = field(default_factory=dict[str, SecretStr], repr=False)
    body: SecretBytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer, read to its end.

    Attributes:
        status: The HTTP status.
        headers: Header values by lower-case name; repeated headers are joined by a comma.
        body: The body, decompressed; hidden because a token answer holds the token.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the driver to send a request."""

    request: Request


@dataclass(frozen=True, slots=True)
class Sleep:
    """Ask the driver to let *seconds* pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask the driver to wait until *event* is done, at most *seconds*.

    Attributes:
        event: Set by whoever is being waited for; carries no value.
        seconds: When to give up.
        leader_thread: The thread the awaited work runs in. A blocking driver in that same thread must not wait: it
            would hold up the very event loop that does the work.
    """

    event: Future[None]
    seconds: float
    leader_thread: int


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Hand one page of values to whoever iterates."""

    values: tuple[T, ...]


Effect: TypeAlias = Send | Sleep | Wait
Answer: TypeAlias = Reply | bool | None
Flow: TypeAlias = Generator[Effect, Answer, T]
Stream: TypeAlias = Generator[Effect | Emit[T], Answer, None]


def send(request: Request) -> Flow[Reply]:
    """Yield a ``Send`` and return its reply.

    Raises:
        TransportError: Thrown in by the driver when no answer came.
        TypeError: The driver answered with something else than a reply.
    """
    answer = yield Send(request)
    if not isinstance(answer, Reply):
        raise TypeError("a driver must answer Send with a Reply")
    return answer


def sleep(seconds: float) -> Flow[None]:
    """Yield a ``Sleep`` of *seconds*."""
    yield Sleep(seconds)


def wait(event: Future[None], seconds: float, leader_thread: int) -> Flow[bool]:
    """Yield a ``Wait`` and return whether the awaited thing happened."""
    answer = yield Wait(event, seconds, leader_thread)
    return answer is True
