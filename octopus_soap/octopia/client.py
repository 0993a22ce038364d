"""The two clients; their calls are declared once, in `operations.py`."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING, Any, Self

from octopus_soap.octopia.credentials import OctopiaCredentials, credentials_in
from octopus_soap.octopia.errors import OctopiaConfigError
from octopus_soap.octopia.exchange import Exchange
from octopus_soap.octopia.http import AsyncioDriver, BlockingDriver
from octopus_soap.octopia.operation import AsyncioSide, BlockingSide
from octopus_soap.octopia.operations import Operations
from octopus_soap.octopia.settings import OctopiaSettings
from octopus_soap.octopia.tokens import SHARED_TOKENS, TokenCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.octopia.effects import Clock, Jitter


class _Client(Operations):
    """The parts that both clients share.

    Args:
        credentials: Client id, client secret and seller id; see `identify` if you are not sure what you have.
        settings: Addresses, trust, limits; by default the production addresses, and no writes.
        tokens: The cache of tokens; by default one for the whole process.
        clock: Returns monotonic seconds; for tests.
        sleep: Waits for that many seconds, awaited by the asyncio client; for tests.
        jitter: Returns a random pause between two bounds; for tests.
    """

    def __init__(
        self,
        credentials: OctopiaCredentials,
        *,
        settings: OctopiaSettings | None = None,
        tokens: TokenCache | None = None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Any] | None = None,
        jitter: Jitter = random.uniform,
    ) -> None:
        given: Any = credentials  # callers without a type checker pass a dictionary
        if not isinstance(given, OctopiaCredentials):
            raise OctopiaConfigError("credentials must be OctopiaCredentials; `identify` makes them of named values")
        if tokens is None:
            # A test's clock must not stamp tokens in the cache that the rest of the process uses.
            tokens = SHARED_TOKENS if clock is time.monotonic else TokenCache(clock=clock)
        self.exchange = Exchange(
            credentials, credentials.seller_id, settings or OctopiaSettings(), tokens, clock, jitter
        )
        self._open(sleep)

    def _open(self, sleep: Callable[[float], Any] | None) -> None:
        """Make the driver."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """Build a client from environment variables.

        Args:
            environ: The variables ``OCTOPIA_CLIENT_ID``, ``OCTOPIA_CLIENT_SECRET`` and ``OCTOPIA_SELLER_ID``, and for
                the settings those of `OctopiaSettings.from_env`; the process's own by default.
            options: As for the client; `settings` given here are used as they are.

        Raises:
            OctopiaConfigError: The variables are no usable credentials; the message names what is missing.
        """
        options = {"settings": OctopiaSettings.from_env(environ)} | options
        return cls(credentials_in(os.environ if environ is None else environ), **options)

    @property
    def settings(self) -> OctopiaSettings:
        """The settings of this client."""
        return self.exchange.settings

    @property
    def seller_id(self) -> str | None:
        """The seller of the calls, or None if none was chosen."""
        return self.exchange.seller_id

    def for_seller(self, seller_id: str) -> Self:
        """Return a client for another seller, which shares token and connections.

        Closing either closes both.

        Args:
            seller_id: Octopia's id of the seller; must be linked to this client id.

        Raises:
            OctopiaConfigError: The id does not fit a header.
        """
        sibling = object.__new__(type(self))
        vars(sibling).update(vars(self), exchange=self.exchange.for_seller(seller_id))
        return sibling

    def __reduce__(self) -> Any:
        raise OctopiaConfigError("a client has connections, and cannot be copied; build one client per process")

    def __repr__(self) -> str:
        client_id, seller = self.exchange.credentials.client_id[:40], self.seller_id or "no seller yet"
        return f"<{type(self).__name__} {client_id!r} for {seller} at {self.settings.api_url}>"


class OctopiaClient(_Client, BlockingSide):
    """A blocking client of the Octopia API, for threads and forked children too."""

    def _open(self, sleep: Callable[[float], Any] | None) -> None:
        self.driver = BlockingDriver(self.settings, sleep or time.sleep)

    def close(self) -> None:
        """Close all connections; a closed client cannot be used again."""
        self.driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncOctopiaClient(_Client, AsyncioSide):
    """An asyncio client of the Octopia API, for the event loop of its first call."""

    def _open(self, sleep: Callable[[float], Any] | None) -> None:
        self.driver = AsyncioDriver(self.settings, sleep or asyncio.sleep)

    async def close(self) -> None:
        """Close all connections; a closed client cannot be used again."""
        await self.driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
