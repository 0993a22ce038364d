"""The two clients: how they are built and closed. What they can do is declared once, in `operations.py`."""

from __future__ import annotations

import asyncio
import copy
import os
import random
import time
from typing import TYPE_CHECKING, Self

from octopus_soap.octopia.credentials import (
    AggregatorFullSet,
    AnyCredentials,
    DelegatedAccess,
    Integrator,
    OwnDevelopment,
    Plugin,
)
from octopus_soap.octopia.drivers import AsyncioDriver, BlockingDriver
from octopus_soap.octopia.errors import ConfigError
from octopus_soap.octopia.exchange import Exchange
from octopus_soap.octopia.guidance import guidance
from octopus_soap.octopia.identify import identify
from octopus_soap.octopia.operation import AsyncioSide, BlockingSide
from octopus_soap.octopia.operations import Operations
from octopus_soap.octopia.settings import OctopiaSettings
from octopus_soap.octopia.tokens import SHARED_TOKENS, Clock, TokenCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from octopus_soap.octopia.retry import Jitter

ENVIRONMENT = ("OCTOPIA_CLIENT_ID", "OCTOPIA_CLIENT_SECRET", "OCTOPIA_SELLER_ID")
"""The variables `from_env` reads credentials from."""


class _Client(Operations):
    """What both clients share: an exchange, a seller to act for, and a repr without secrets."""

    exchange: Exchange

    @property
    def settings(self) -> OctopiaSettings:
        """The settings this client was built with."""
        return self.exchange.settings

    @property
    def seller_id(self) -> str | None:
        """The seller calls are made for, or None if none was chosen."""
        return self.exchange.seller_id

    def for_seller(self, seller_id: str) -> Self:
        """Return a client for another seller of the same credentials; token and connections are shared.

        Closing either closes both.

        Args:
            seller_id: Octopia's id of the seller; must be linked to this client id.

        Raises:
            ConfigError: The id cannot stand in a header.
        """
        sibling = copy.copy(self)
        sibling.exchange = self.exchange.for_seller(seller_id)
        return sibling

    def __repr__(self) -> str:
        seller = self.seller_id or "no seller yet"
        client_id = self.exchange.credentials.client_id[:40]
        return f"<{type(self).__name__} {client_id!r} for {seller} at {self.settings.api_url}>"


class OctopiaClient(_Client, BlockingSide):
    """A client of the Octopia seller API for threads; safe to share among them.

    Args:
        credentials: A kind that holds a client id and secret; see `identify` if you are not sure what you hold.
        settings: Addresses, trust, limits; the production addresses by default, and no writes.
        tokens: Where tokens are kept; by default one cache for the whole process.
        clock: Seconds that only grow; for tests.
        sleep: Lets seconds pass; for tests.
        jitter: Draws pauses between two bounds; for tests.

    Raises:
        ConfigError: The credential is of a kind that cannot be used here; the message says what to do instead.
    """

    def __init__(
        self,
        credentials: AnyCredentials,
        *,
        settings: OctopiaSettings | None = None,
        tokens: TokenCache | None = None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Jitter = random.uniform,
    ) -> None:
        self.exchange = _exchange(credentials, settings, tokens, clock, jitter)
        self._driver = BlockingDriver(self.exchange.settings, clock, sleep)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, settings: OctopiaSettings | None = None) -> Self:
        """Build a client from ``OCTOPIA_CLIENT_ID``, ``OCTOPIA_CLIENT_SECRET`` and ``OCTOPIA_SELLER_ID``.

        Args:
            environ: The variables; the process's own by default.
            settings: Read from the same variables by default, see `OctopiaSettings.from_env`.

        Raises:
            ConfigError: They do not make up a usable credential; the message says what is missing.
        """
        return cls(credentials_from_env(environ), settings=settings or OctopiaSettings.from_env(environ))

    @property
    def driver(self) -> BlockingDriver:
        """What carries flows out in the calling thread."""
        return self._driver

    def close(self) -> None:
        """Close all connections; a closed client cannot be used again."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncOctopiaClient(_Client, AsyncioSide):
    """A client of the Octopia seller API for asyncio; belongs to the event loop it is first used in.

    Args:
        credentials: A kind that holds a client id and secret; see `identify` if you are not sure what you hold.
        settings: Addresses, trust, limits; the production addresses by default, and no writes.
        tokens: Where tokens are kept; by default one cache for the whole process.
        clock: Seconds that only grow; for tests.
        sleep: Lets seconds pass; for tests.
        jitter: Draws pauses between two bounds; for tests.

    Raises:
        ConfigError: The credential is of a kind that cannot be used here; the message says what to do instead.
    """

    def __init__(
        self,
        credentials: AnyCredentials,
        *,
        settings: OctopiaSettings | None = None,
        tokens: TokenCache | None = None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Jitter = random.uniform,
    ) -> None:
        self.exchange = _exchange(credentials, settings, tokens, clock, jitter)
        self._driver = AsyncioDriver(self.exchange.settings, clock, sleep)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, settings: OctopiaSettings | None = None) -> Self:
        """Build a client from the environment, as `OctopiaClient.from_env` does."""
        return cls(credentials_from_env(environ), settings=settings or OctopiaSettings.from_env(environ))

    @property
    def driver(self) -> AsyncioDriver:
        """What carries flows out in the running task."""
        return self._driver

    async def close(self) -> None:
        """Close all connections; a closed client cannot be used again."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def credentials_from_env(environ: Mapping[str, str] | None = None) -> AnyCredentials:
    """Return the credential in the environment.

    Args:
        environ: The variables; the process's own by default.

    Raises:
        ConfigError: The variables do not make up a credential.
    """
    env = os.environ if environ is None else environ
    found = identify({name: env.get(name) for name in ENVIRONMENT})
    if found.credentials is None:
        missing = ", ".join(f"OCTOPIA_{name.upper()}" for name in found.missing)
        raise ConfigError(f"no usable Octopia credential in the environment ({found.why}); missing: {missing}")
    return found.credentials


def _exchange(
    credentials: AnyCredentials,
    settings: OctopiaSettings | None,
    tokens: TokenCache | None,
    clock: Clock,
    jitter: Jitter,
) -> Exchange:
    if not isinstance(credentials, (OwnDevelopment, Plugin, AggregatorFullSet, DelegatedAccess, Integrator)):
        advice = guidance(credentials.kind)
        raise ConfigError(f"{advice.title}. {advice.can_do} Next: {advice.next_steps[0]}")
    if tokens is None:
        # A test's clock must not stamp tokens in the cache that the rest of the process uses.
        tokens = SHARED_TOKENS if clock is time.monotonic else TokenCache(clock=clock)
    seller_id = None if isinstance(credentials, Integrator) else credentials.seller_id
    return Exchange(credentials, seller_id, settings or OctopiaSettings(), tokens, clock, jitter)
