"""The only access of the tests to private members, with the reason for each.

Ruff's rule against private members (SLF001) holds in all other test modules, but for a few folders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import octopus_soap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octopus_soap import AsyncOctopusClient, OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.engine.request import Context
    from octopus_soap.wire.codec import Codec


HOME_OF = octopus_soap._HOME_OF
"""The lazy table: each public name with its module."""

# -- clients -------------------------------------------------------------------------------------------------------


def codec_of(client: OctopusClient | AsyncOctopusClient) -> Codec:
    """Return the codec, to see how a contract encodes a value without a request."""
    return client._codec


def context_of(client: OctopusClient) -> Context:
    """Return the engine's context, which must show no secret."""
    return client._context


def connections_of(client: Any) -> Any:
    """Return the connections that a client and its views share."""
    return client._driver._connections


def limiter_of(client: Any) -> Any:
    """Return the limiter; for an asynchronous client, call it in its running loop."""
    connections = connections_of(client)
    return connections.here().turns if hasattr(connections, "here") else connections.turns


def ask_store_again(client: Any) -> None:
    """End the pause after which a shared rate's store is asked again."""
    limiter_of(client).line.pace._ask_at = 0.0


def pace_by(client: Any, limiter: Callable[..., Any], clock: Any, pause: Any) -> None:
    """Run the client's limiter on a clock that the test moves."""
    connections = connections_of(client)
    if hasattr(connections, "here"):
        connections.here().turns = limiter(client.settings, connections._pace, connections._lock, clock, pause)
    else:
        connections._turns = limiter(client.settings, clock, pause)


def wait_for_real(limiter: Any, pause: Callable[..., Any]) -> None:
    """Replace how a limiter waits for its next moment."""
    limiter._pause = pause


def secrets_are_in(client: Any) -> list[Any]:
    """Return the objects that hold the credentials: none may show them."""
    return [client._driver, client._driver._auth, client._codec._redactor]


def exchange_of(client: Any) -> Callable[..., Any]:
    """Return the method that makes one HTTP exchange."""
    made: Callable[..., Any] = client._driver.exchange
    return made


def exchange_by(client: Any, exchange: Callable[..., Any]) -> None:
    """Replace the client's exchanges, for answers that no server can give."""
    client._driver.exchange = exchange


def prove_credentials(client: Any) -> None:
    """Mark the client's credentials as accepted."""
    client._credentials.proven = True


def forget_batch_sizes(client: Any) -> None:
    """Forget the learned batch sizes of a client that serves many tests."""
    client._memory._learned.clear()


# -- the emulator --------------------------------------------------------------------------------------------------


def execute(service: Emulator, statement: str, values: Iterable[Any]) -> None:
    """Change the service's state directly, as its owner can."""
    with service._state.transaction():
        service._state._db.execute(statement, tuple(values))


def state_of(service: Emulator) -> Any:
    """Return the state, to make it behave like another service."""
    return service._state


def repeat_first_call(service: Emulator) -> None:
    """Repeat a call in the journal that was made once."""
    service._journal.calls.append(service.calls[0])
