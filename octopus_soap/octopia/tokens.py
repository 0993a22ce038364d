"""Access tokens: requested once, shared by all callers, renewed ahead.

The rules (docs/octopia.md; the authentication page, "Generate a token"):

1. One token serves every seller of a client. The cache is keyed by token URL, client id and a keyed digest of the
   secret, so that a client id is not enough to get its token in the same process.
2. Single flight. The first caller that finds no usable token is the *leader* and asks; all others, in any thread and
   any event loop, *follow*: they wait for the leader's flight to end, then look again. A leader that dies (cancelled
   task, killed thread) ends or loses its flight, and one follower takes over.
3. A token is renewed ahead: `MARGIN_SECONDS` before it expires, or a fifth of its life if that is less. During the
   margin one caller asks, once and for a short time; the others use the old token, which is still valid. If renewing
   ahead fails, or the token service hangs, the leader uses it too.
4. No failure loop. The error of a failed request is raised again without asking, for 60 s if the credentials were
   refused, for 1 s doubling to 60 s otherwise.
5. This process sends at most 500 requests an hour per token URL and client id ([C2]); then `TokenQuotaError` is raised.
   Other processes share Octopia's quota: with one `TokenStore` they share the token too.
6. A refused token (401) is dropped once, however many callers report it. A token that itself replaced a refused one is
   not replaced again within `REFUSAL_SECONDS`, since the token is then not the cause.
7. A forked child keeps the tokens, and none of its parent's locks and flights, which would never end there.

The request itself is a flow in `exchange.py`. Time is the `clock` given.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import SecretStr

from octopus_soap.octopia.errors import OctopiaError, TokenError, TokenQuotaError, TokenRefusedError
from octopus_soap.octopia.http import reset_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.octopia.effects import Clock

MARGIN_SECONDS = 120.0  # how long before its end a long-lived token is renewed
UNKNOWN_LIFETIME_SECONDS = 300.0  # assumed when `expires_in` is missing or odd: the shortest on record ([C]), not 2 h
LONGEST_LIFETIME_SECONDS = 86_400.0  # a longer `expires_in` is cut: an absurd value must not keep a token for ever
SHORTEST_USE_SECONDS = 10.0  # a token is used at least this long: 360 requests an hour stay under the quota
HOURLY_LIMIT = 500  # token requests an hour, per client ([C2])
REFUSAL_SECONDS = 60.0  # how long refused credentials, and a refused replacement token, are not tried again
T = TypeVar("T")
_HOUR = 3600.0
_DIGEST_KEY = secrets.token_bytes(32)
_log = logging.getLogger("octopus_soap.octopia")


class TokenStore(Protocol):
    """Stores tokens for other processes, such as a job that cron starts often.

    The methods run in the thread that needs a token, so they must be quick. If one raises, that is logged and ignored.
    A store has bearer tokens: protect it like a password. docs/octopia.md has one in a file and one in Redis.
    """

    def load(self, name: str) -> tuple[str, float] | None:
        """Return the token stored under *name* and the Unix time of its end, or None."""

    def save(self, name: str, token: str, ends_at: float) -> None:
        """Store a token under *name* until the Unix time *ends_at*."""

    def drop(self, name: str) -> None:
        """Delete the token stored under *name*, which was refused."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """The owner of a token: token service, client id and (as digests) secret."""

    url: str
    client_id: str
    secret_mark: bytes = field(repr=False)  # distinguishes secrets within this process
    name: str = field(repr=False, compare=False)  # the same in every process, for a `TokenStore`

    @classmethod
    def of(cls, url: str, client_id: str, secret: SecretStr) -> TokenKey:
        """Return the key for these credentials."""
        plain = secret.get_secret_value().encode()
        name = hmac.new(plain, f"{url}\n{client_id}".encode(), hashlib.sha256).hexdigest()
        return cls(url, client_id, hmac.new(_DIGEST_KEY, plain, hashlib.sha256).digest(), name)


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer of the token service."""

    value: SecretStr
    lifetime: float | None  # ``expires_in`` in seconds; None if it was missing or not a positive number


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token in use. Times are of the cache's clock."""

    value: SecretStr
    obtained_at: float
    renew_at: float  # from then on the next caller renews it
    expires_at: float  # from then on it is no longer used


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """One token request under way; `done` is set at its end, also after a failure."""

    key: TokenKey
    done: Future[None] = field(default_factory=Future[None], repr=False)
    thread: int = field(default_factory=threading.get_ident)


@dataclass(frozen=True, slots=True)
class Lead:
    """The caller must ask for a token; `fallback` is the old one if still valid."""

    flight: Flight
    fallback: Token | None


@dataclass(slots=True)
class _Entry:
    token: Token | None = None
    flight: Flight | None = None
    error: OctopiaError | None = None
    error_until: float = float("-inf")
    failures: int = 0
    refused_at: float = float("-inf")


class TokenCache:
    """Tokens by client, safe to share among threads, tasks, clients and forks.

    Args:
        clock: Returns monotonic seconds.
        hourly_limit: Token requests an hour, per token URL and client id.
        store: Shares tokens with other processes; None: they are not shared.
        wall: Returns the Unix time, for the tokens of a store.
    """

    def __init__(
        self,
        *,
        clock: Clock = time.monotonic,
        hourly_limit: int = HOURLY_LIMIT,
        store: TokenStore | None = None,
        wall: Clock = time.time,
    ) -> None:
        self.clock = clock
        self.hourly_limit = hourly_limit
        self._store, self._wall = store, wall
        self._lock = threading.Lock()
        self._entries: dict[TokenKey, _Entry] = {}
        self._requests: dict[tuple[str, str], deque[float]] = {}
        reset_after_fork(self)

    def __repr__(self) -> str:
        return f"<TokenCache of {len(self._entries)} client(s)>"

    def after_fork(self) -> None:
        """Keep the tokens; drop the parent's lock and its flights (rule 7)."""
        self._lock = threading.Lock()
        for key, entry in list(self._entries.items()):
            self._entries[key] = replace(entry, flight=None)

    def claim(self, key: TokenKey, *, supersede: Flight | None = None) -> Token | Lead | Flight:
        """Return a usable token, or the lead to get one, or another caller's flight.

        After a flight is done, claim again. If *supersede*, a flight that the caller no longer waits for, is still the
        current one, the caller leads. The error of a failed request is raised again (rule 4).
        """
        with self._lock:
            now = self.clock()
            entry = self._entries.setdefault(key, _Entry())
            token = entry.token if entry.token is not None and now < entry.token.expires_at else None
            busy = entry.flight is not None and entry.flight is not supersede
            if token is not None and (now < token.renew_at or busy or now < entry.error_until):
                return token
            if busy and entry.flight is not None:
                return entry.flight
            if entry.error is not None and now < entry.error_until:
                # A copy: one exception object raised in many threads would collect all their tracebacks.
                raise copy.copy(entry.error)
            entry.flight = Flight(key)
            return Lead(entry.flight, token)

    def note_request(self, key: TokenKey) -> None:
        """Count a token request about to be sent, or raise `TokenQuotaError` (rule 5)."""
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

    def stored(self, key: TokenKey, fallback: Token | None) -> Grant | None:
        """Return the token in the store, if it is fresh and not *fallback*."""
        kept = self._asked_store(lambda store: store.load(key.name))
        if kept is None or (fallback is not None and kept[0] == fallback.value.get_secret_value()):
            return None
        left = kept[1] - self._wall()
        return Grant(SecretStr(kept[0]), left) if left > MARGIN_SECONDS / 2 else None

    def fulfil(self, flight: Flight, grant: Grant, *, share: bool = True) -> Token:
        """End *flight* with a token for all followers; with *share*, store it too."""
        with self._lock:
            token = _timed(grant, self.clock())
            entry = self._entries.setdefault(flight.key, _Entry())
            entry.token, entry.error, entry.failures = token, None, 0
            self._land(entry, flight)
        if share:
            ends_at = self._wall() + token.expires_at - token.obtained_at
            self._asked_store(lambda store: store.save(flight.key.name, grant.value.get_secret_value(), ends_at))
        return token

    def fail(self, flight: Flight, error: OctopiaError) -> None:
        """End *flight* with an error, which is raised again for some time (rule 4)."""
        with self._lock:
            entry = self._entries.setdefault(flight.key, _Entry())
            entry.failures += 1
            entry.error = copy.copy(error)  # without the traceback, which would keep every frame alive
            entry.error_until = self.clock() + _cooling(error, entry.failures)
            self._land(entry, flight)

    def abandon(self, flight: Flight) -> None:
        """End *flight* of a cancelled leader without an outcome; a follower takes over."""
        with self._lock:
            self._land(self._entries.setdefault(flight.key, _Entry()), flight)

    def refuse(self, key: TokenKey, token: Token, *, minimum_age: float = 0.0) -> bool:
        """Note that the API refused *token*; return True if a newer one may help.

        A token younger than *minimum_age* seconds is kept.
        """
        with self._lock:
            now = self.clock()
            entry = self._entries.setdefault(key, _Entry())
            if entry.token is not token:
                return True  # reported already; there is, or will be, a newer one
            if now - token.obtained_at < minimum_age or now - entry.refused_at < REFUSAL_SECONDS:
                return False
            entry.token, entry.refused_at = None, now
        kept = self._asked_store(lambda store: store.load(key.name))
        if kept is not None and kept[0] == token.value.get_secret_value():
            self._asked_store(lambda store: store.drop(key.name))
        return True

    def _asked_store(self, ask: Callable[[TokenStore], T]) -> T | None:
        try:
            return ask(self._store) if self._store is not None else None
        except Exception as error:  # noqa: BLE001 - a broken store must not stop calls
            _log.warning("the token store failed (%s); the token is not shared", type(error).__name__)
            return None

    def forget(self) -> None:
        """Drop all tokens and failures; the count of requests is kept."""
        with self._lock:
            for entry in self._entries.values():
                entry.token, entry.error, entry.failures = None, None, 0

    @staticmethod
    def _land(entry: _Entry, flight: Flight) -> None:
        if entry.flight is flight:
            entry.flight = None
        if not flight.done.done():
            flight.done.set_result(None)


SHARED_TOKENS = TokenCache()  # of every client that is not given its own


def _timed(grant: Grant, now: float) -> Token:
    lifetime = min(grant.lifetime or UNKNOWN_LIFETIME_SECONDS, LONGEST_LIFETIME_SECONDS)
    use = max(lifetime - min(MARGIN_SECONDS, lifetime / 5), SHORTEST_USE_SECONDS)
    return Token(grant.value, now, now + use, now + max(lifetime, use))


def _cooling(error: OctopiaError, failures: int) -> float:
    """Return the seconds for which *error* is raised again without asking."""
    if isinstance(error, TokenQuotaError):
        return 0.0  # no request was sent; the next caller gets the current time to wait
    if isinstance(error, TokenError) and error.retry_after is not None:
        return min(max(1.0, error.retry_after), _HOUR)
    if isinstance(error, TokenRefusedError):
        return REFUSAL_SECONDS
    return min(REFUSAL_SECONDS, 2.0 ** min(failures - 1, 10))
