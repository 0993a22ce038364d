"""When to repeat a request, and after how long: one pure decision.

Only reads and token requests ever reach this module. A write is not repeated after a failure (docs/sources.md), so
no write path imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from octopus_soap.octopia.effects import Reply
from octopus_soap.octopia.errors import ConfigError, TlsFailedError, TransportError

RETRYABLE_STATUS = frozenset({429, 502, 503, 504})
"""Answers that say "later" or come from a gateway; 500 is not among them (docs/sources.md)."""

Jitter = Callable[[float, float], float]
"""A number between two bounds: `random.uniform`, or a test's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patiently a read is repeated.

    The pause before attempt n+1 is drawn evenly between 0 and ``base_seconds * 2**(n-1)``, capped by ``cap_seconds``
    (full jitter, so that callers who failed together do not come back together).

    Attributes:
        attempts: Requests made at most, the first included; 1 turns repeating off.
        base_seconds: The upper bound of the first pause.
        cap_seconds: The upper bound of any pause drawn by this policy.
        retry_after_cap: The longest ``Retry-After`` that is waited for; a longer one is raised at once.
        total_seconds: The longest a call may spend from its first attempt to the end of its last pause.

    Raises:
        ConfigError: A value is out of its range.
    """

    attempts: int = 4
    base_seconds: float = 0.5
    cap_seconds: float = 20.0
    retry_after_cap: float = 60.0
    total_seconds: float = 120.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigError("RetryPolicy.attempts must be at least 1")
        # `not (x >= 0)` and not `x < 0`: NaN must fail too.
        if not all(s >= 0 for s in (self.base_seconds, self.cap_seconds, self.retry_after_cap, self.total_seconds)):
            raise ConfigError("RetryPolicy seconds must not be negative")

    def pause(self, attempt: int, elapsed: float, failure: Reply | TransportError, jitter: Jitter) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        Args:
            attempt: How many attempts were made, 1 or more.
            elapsed: Seconds since the first attempt began.
            failure: The answer or the error of the last attempt.
            jitter: Draws a number between two bounds.
        """
        if attempt >= self.attempts or not _may_repeat(failure):
            return None
        asked = retry_after(failure.headers) if isinstance(failure, Reply) else None
        drawn = jitter(0.0, min(self.cap_seconds, self.base_seconds * 2.0 ** (attempt - 1)))
        if asked is not None:
            if asked > self.retry_after_cap:
                return None
            drawn += asked  # never earlier than asked; the jitter on top keeps callers from returning in step
        return drawn if elapsed + drawn <= self.total_seconds else None


def _may_repeat(failure: Reply | TransportError) -> bool:
    if isinstance(failure, Reply):
        return failure.status in RETRYABLE_STATUS
    # An untrusted certificate is untrusted the next time too.
    return not isinstance(failure, TlsFailedError)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for, or None if it is absent or unreadable.

    Octopia is not known to send it ([I], docs/sources.md), so both forms of the header are accepted. The date form
    is measured against the answer's own ``Date``, so that a wrong local clock does not matter.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        due, now = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (due - now).total_seconds())
    except (ValueError, TypeError):  # unreadable dates, or one with and one without a time zone
        return None
