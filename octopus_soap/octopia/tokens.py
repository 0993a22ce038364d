"""Access tokens: who asks for one, who waits, how long one is used.

The rules (docs/sources.md; the authentication page, "Generate a token"):

1. One token serves every seller of a client. The cache is keyed by token URL and client id. The secret's keyed digest
   is part of the key, so that knowing somebody's client id is not enough to be handed their token in the same process.
2. Single flight. Whoever finds no usable token first becomes the *leader* and asks; all others, in any thread and any
   event loop, *follow*: they wait for the leader's flight to end, then look again. A leader that dies (cancelled task,
   killed thread, forked child) ends or loses its flight, and one follower takes over.
3. A token is renewed ahead: `MARGIN_SECONDS` before it expires, or a fifth of its life if that is less, so that a
   token of 300 s still works for 240 s. During the margin one caller renews; the others go on with the old token,
   which is still good. If renewing ahead fails, so does the leader.
4. No failure loop. A failed request is remembered for a while and raised again without asking: 60 s if the credentials
   were refused, 1 s doubling to 60 s otherwise.
5. At most 500 requests an hour per token URL and client id ([C2]) leave this process; then `TokenQuotaError` is raised
   with the seconds to wait. Other processes with the same client share Octopia's quota, and cannot be seen from here.
6. A refused token (401) is dropped once, however many callers report it. A token that itself replaced a refused one is
   not replaced again within `REFUSAL_SECONDS`: then the token is not what is wrong.

This module decides and remembers; the request itself is a flow in `grant.py`. Time is the `clock` given.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from octopus_soap.octopia.errors import OctopiaError, TokenError, TokenQuotaError, TokenRefusedError

if TYPE_CHECKING:
    from pydantic import SecretStr

MARGIN_SECONDS = 120.0
"""How long before its end a long-lived token is renewed."""

UNKNOWN_LIFETIME_SECONDS = 300.0
"""The lifetime assumed when `expires_in` is missing or odd: the shortest recorded for this address ([C]), not 2 h."""

LONGEST_LIFETIME_SECONDS = 86_400.0
"""A longer `expires_in` is cut to a day: an absurd value must not pin a token for ever."""

SHORTEST_USE_SECONDS = 10.0
"""A token is used at least this long, even if it claims to die sooner: 360 requests an hour stay under the quota."""

HOURLY_LIMIT = 500
"""Token requests an hour, per client ([C2])."""

REFUSAL_SECONDS = 60.0
"""How long refused credentials, and a refused replacement token, are left alone."""

_HOUR = 3600.0
_DIGEST_KEY = secrets.token_bytes(32)

Clock = Callable[[], float]
"""Seconds that only grow: `time.monotonic`, or a test's own."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What a token belongs to: the address, the client id and (as a keyed digest) the secret."""

    url: str
    client_id: str
    secret_mark: bytes = field(repr=False)

    @classmethod
    def of(cls, url: str, client_id: str, secret: SecretStr) -> TokenKey:
        """Return the key for these credentials."""
        mark = hmac.new(_DIGEST_KEY, secret.get_secret_value().encode(), hashlib.sha256).digest()
        return cls(url, client_id, mark)


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token service answered.

    Attributes:
        value: The access token.
        lifetime: ``expires_in`` in seconds, or None if it was missing or not a positive number.
    """

    value: SecretStr
    lifetime: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token in use. Times are of the cache's clock.

    Attributes:
        value: The access token; hidden in reprs.
        obtained_at: When it came.
        renew_at: From when on the next caller renews it.
        expires_at: From when on it is not used any more.
    """

    value: SecretStr
    obtained_at: float
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """One token request on its way; `done` is set when it ended, however it ended."""

    key: TokenKey
    done: Future[None] = field(default_factory=Future[None], repr=False)
    thread: int = field(default_factory=threading.get_ident)
    process: int = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True)
class Lead:
    """The caller must ask for a token; `fallback` is the old one if it is still good."""

    flight: Flight
    fallback: Token | None


@dataclass(frozen=True, slots=True)
class Follow:
    """Someone is asking already: wait for that flight, then claim again."""

    flight: Flight


@dataclass(slots=True)
class _Entry:
    token: Token | None = None
    flight: Flight | None = None
    error: OctopiaError | None = None
    error_until: float = float("-inf")
    failures: int = 0
    refused_at: float = float("-inf")


class TokenCache:
    """Tokens by client, with single flight; safe to share among threads, tasks and clients.

    Args:
        clock: Seconds that only grow.
        hourly_limit: Token requests an hour, per token URL and client id.
    """

    def __init__(self, *, clock: Clock = time.monotonic, hourly_limit: int = HOURLY_LIMIT) -> None:
        self.clock = clock
        self.hourly_limit = hourly_limit
        self._lock = threading.Lock()
        self._entries: dict[TokenKey, _Entry] = {}
        self._requests: dict[tuple[str, str], deque[float]] = {}

    def __repr__(self) -> str:
        return f"<TokenCache of {len(self._entries)} client(s)>"

    def claim(self, key: TokenKey, *, supersede: Flight | None = None) -> Token | Lead | Follow:
        """Return a usable token, or who has to get one.

        Args:
            key: Whose token.
            supersede: A flight the caller has given up waiting for; if it is still the current one, the caller leads.

        Raises:
            OctopiaError: The last request failed a moment ago; the same error, without asking again.
        """
        with self._lock:
            now = self.clock()
            entry = self._entries.setdefault(key, _Entry())
            token = entry.token if entry.token is not None and now < entry.token.expires_at else None
            busy = entry.flight is not None and entry.flight is not supersede and entry.flight.process == os.getpid()
            if token is not None and (now < token.renew_at or busy or now < entry.error_until):
                return token
            if busy and entry.flight is not None:
                return Follow(entry.flight)
            if entry.error is not None and now < entry.error_until:
                # A copy: one exception object raised in many threads would collect all their tracebacks.
                raise copy.copy(entry.error)
            entry.flight = Flight(key)
            return Lead(entry.flight, token)

    def note_request(self, key: TokenKey) -> None:
        """Count one token request about to be sent.

        Raises:
            TokenQuotaError: The hour's requests are spent.
        """
        with self._lock:
            now = self.clock()
            sent = self._requests.setdefault((key.url, key.client_id), deque())
            while sent and sent[0] <= now - _HOUR:
                sent.popleft()
            if len(sent) >= self.hourly_limit:
                wait = sent[0] + _HOUR - now
                raise TokenQuotaError(
                    f"this process has asked for {self.hourly_limit} tokens within the hour, the documented limit; "
                    f"the next request is due in {wait:.0f} s",
                    retry_after=wait,
                )
            sent.append(now)

    def fulfil(self, flight: Flight, grant: Grant) -> Token:
        """End *flight* with a token and hand it to all followers."""
        with self._lock:
            token = _timed(grant, self.clock())
            entry = self._entries.setdefault(flight.key, _Entry())
            entry.token, entry.error, entry.failures = token, None, 0
            self._land(entry, flight)
        return token

    def fail(self, flight: Flight, error: OctopiaError) -> None:
        """End *flight* with an error, which is remembered for a while (rule 4)."""
        with self._lock:
            entry = self._entries.setdefault(flight.key, _Entry())
            entry.failures += 1
            entry.error = copy.copy(error)  # without the traceback, which would keep every frame alive
            entry.error_until = self.clock() + _cooling(error, entry.failures)
            self._land(entry, flight)

    def abandon(self, flight: Flight) -> None:
        """End *flight* without an outcome: its leader was cancelled. A follower takes over."""
        with self._lock:
            self._land(self._entries.setdefault(flight.key, _Entry()), flight)

    def refuse(self, key: TokenKey, token: Token, *, minimum_age: float = 0.0) -> bool:
        """Note that the API refused *token*; return whether asking again with a newer one makes sense.

        Args:
            key: Whose token.
            token: The token that was refused.
            minimum_age: Keep a token younger than this, in seconds.
        """
        with self._lock:
            now = self.clock()
            entry = self._entries.setdefault(key, _Entry())
            if entry.token is not token:
                return True  # somebody has reported it already; there is, or will be, a newer one
            if now - token.obtained_at < minimum_age or now - entry.refused_at < REFUSAL_SECONDS:
                return False
            entry.token, entry.refused_at = None, now
            return True

    def forget(self) -> None:
        """Drop all tokens and remembered failures; the count of requests is kept."""
        with self._lock:
            for entry in self._entries.values():
                entry.token, entry.error, entry.failures = None, None, 0

    @staticmethod
    def _land(entry: _Entry, flight: Flight) -> None:
        if entry.flight is flight:
            entry.flight = None
        if not flight.done.done():
            flight.done.set_result(None)


SHARED_TOKENS = TokenCache()
"""The cache every client uses unless it is given its own: clients of one process share tokens."""


def _timed(grant: Grant, now: float) -> Token:
    lifetime = min(grant.lifetime or UNKNOWN_LIFETIME_SECONDS, LONGEST_LIFETIME_SECONDS)
    use = max(lifetime - min(MARGIN_SECONDS, lifetime / 5), SHORTEST_USE_SECONDS)
    return Token(grant.value, now, now + use, now + max(lifetime, use))


def _cooling(error: OctopiaError, failures: int) -> float:
    """Return the seconds for which *error* is raised again without asking."""
    if isinstance(error, TokenQuotaError):
        return 0.0  # found out without asking; the next caller gets fresh numbers
    if isinstance(error, TokenError) and error.retry_after is not None:
        return min(max(1.0, error.retry_after), _HOUR)
    if isinstance(error, TokenRefusedError):
        return REFUSAL_SECONDS
    return min(REFUSAL_SECONDS, 2.0 ** min(failures - 1, 10))
