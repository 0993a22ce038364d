"""Keep the rate of one account in Redis, for all its processes; extra `redis`.

Theory (GCRA). An account has one number: the earliest moment at which its next request may start. A process takes the
moment, and moves the number on by one interval. So each request has a moment of its own, first come, first served, and
no process asks again and again. The script does this in one step, by the clock of Redis: clocks of hosts do not matter.

Invariants:

* A process holds at most one moment, for the head of its queue. If that request is cancelled, the next one has it.
* A moment that was waited for is confirmed before it is used. It is void if the service asked for a pause meanwhile,
  or if it is more than `_LATE` seconds old: then another one is taken.
* A request whose moment would come after its limit takes none.
* The key is a hash of endpoint, merchant name and access id. No secret is stored.

On failure: any error of `STORE_ERRORS`, after half a second at most for each step on the socket. The limiter then keeps
the rate by itself.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from octopus_soap.settings import server_of

if TYPE_CHECKING:
    from octopus_soap.settings import OctopusSettings

STORE_ERRORS = (redis.RedisError, OSError)
_TIMEOUT = 0.5
"""Seconds to connect, and seconds for an answer."""
_LATE = 1.0
"""Seconds after which a moment that was not used is void."""
_LONGEST_PAUSE = 3600.0
_MICRO = 1_000_000

_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, most, longest, moment, late = unpack(ARGV)
local state = redis.call('HMGET', KEYS[1], 'next', 'held')
local next, held = tonumber(state[1] or 0), tonumber(state[2] or 0)
local left = math.max(0, held - now)
if tonumber(moment) > 0 and tonumber(moment) >= held and now - moment <= tonumber(late) then
  return {math.max(0, moment - now), moment, left}
end
local start = math.max(now, next, held)
if start - now > tonumber(most) or left > tonumber(longest) then
  return {start - now, 0, left}
end
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', start + interval))
redis.call('PEXPIRE', KEYS[1], math.ceil((start + interval - now) / 1000) + 1000)
return {start - now, string.format('%.0f', start), left}
"""

_HOLD = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', KEYS[1], 'next', 'held')
local next, held = tonumber(state[1] or 0), tonumber(state[2] or 0)
held = math.max(held, now + ARGV[1])
redis.call('HSET', KEYS[1], 'held', string.format('%.0f', held))
redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(next, held) - now) / 1000) + 1000)
return 0
"""


class Grant(NamedTuple):
    """An answer of the store.

    Attributes:
        wait: seconds until the moment.
        moment: the moment by the clock of Redis; 0 if none was taken, because it would come too late.
        held: seconds left of a pause that the service asked for.
    """

    wait: float
    moment: int
    held: float


def account_key(settings: OctopusSettings) -> str:
    """Return the key of an account: a hash of endpoint, merchant name and access id."""
    url, (host, port) = urlsplit(settings.endpoint), server_of(settings.endpoint)
    parts = (f"{host}:{port}{url.path}", settings.merchantname, settings.accessid.get_secret_value())
    return "octopus-soap:rate:" + sha256("\n".join(parts).encode()).hexdigest()[:32]


class _Account:
    """The key of one account, and the arguments of the scripts."""

    def __init__(self, settings: OctopusSettings) -> None:
        self.key = account_key(settings)
        self._interval = round(_MICRO / (settings.max_requests_per_second or 1))
        self._longest = round(settings.retry_after_cap * _MICRO)

    def wanted(self, most: float, moment: int) -> list[int]:
        """Return the arguments of a reservation."""
        return [self._interval, round(max(0.0, most) * _MICRO), self._longest, moment, round(_LATE * _MICRO)]

    @staticmethod
    def grant(answer: Any) -> Grant:
        """Return the meaning of an answer."""
        wait, moment, held = (int(part) for part in answer)
        return Grant(wait / _MICRO, moment, held / _MICRO)

    @staticmethod
    def pause(seconds: float) -> list[int]:
        """Return the arguments of a pause."""
        return [round(min(seconds, _LONGEST_PAUSE) * _MICRO)]


def _url(settings: OctopusSettings) -> str:
    assert settings.rate_limit_store is not None  # noqa: S101 - there is a store only if it is set
    return settings.rate_limit_store.get_secret_value()


_LIMITS: dict[str, Any] = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
_GONE = (redis.ConnectionError,)
"""Repeated at once: Redis may have closed an idle connection. A timeout is not repeated."""


class ThreadStore:
    """The store for threads."""

    def __init__(self, settings: OctopusSettings) -> None:
        self._account = _Account(settings)
        pool = redis.ConnectionPool.from_url(_url(settings))
        pool.connection_kwargs.update(_LIMITS, retry=Retry(NoBackoff(), 1, _GONE))
        self._redis = redis.Redis(connection_pool=pool)
        self._reserve, self._hold = self._redis.register_script(_RESERVE), self._redis.register_script(_HOLD)

    def reserve(self, most: float, moment: int) -> Grant:
        """Take the next moment, or confirm *moment*, which was taken before (0: none).

        The moment is at most *most* seconds ahead.
        """
        return self._account.grant(self._reserve([self._account.key], self._account.wanted(most, moment)))

    def hold(self, seconds: float) -> None:
        """Hold the account's requests for *seconds*, an hour at most."""
        self._hold([self._account.key], self._account.pause(seconds))

    def close(self) -> None:
        """Close the connections."""
        self._redis.connection_pool.disconnect()


class TaskStore:
    """The store for the tasks of one event loop."""

    def __init__(self, settings: OctopusSettings) -> None:
        self._account = _Account(settings)
        pool = redis.asyncio.ConnectionPool.from_url(_url(settings))
        pool.connection_kwargs.update(_LIMITS, retry=AsyncRetry(NoBackoff(), 1, _GONE))
        self._redis = redis.asyncio.Redis(connection_pool=pool)
        self._reserve, self._hold = self._redis.register_script(_RESERVE), self._redis.register_script(_HOLD)

    async def reserve(self, most: float, moment: int) -> Grant:
        """Take the next moment, or confirm *moment*; see `ThreadStore`."""
        async with asyncio.timeout(2 * _TIMEOUT):  # it also limits the look-up of the name
            answer = await self._reserve([self._account.key], self._account.wanted(most, moment))
        return self._account.grant(answer)

    async def hold(self, seconds: float) -> None:
        """Hold the account's requests for *seconds*, an hour at most."""
        async with asyncio.timeout(2 * _TIMEOUT):
            await self._hold([self._account.key], self._account.pause(seconds))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.connection_pool.disconnect()
