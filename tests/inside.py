"""The one place of the tests that reaches inside: each function says what has no public name, and why a test needs it.

Ruff's rule against private members (SLF001) holds in all other test modules.
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
"""The lazy table: each public name with the module it lives in."""

# -- clients -------------------------------------------------------------------------------------------------------


def codec_of(client: OctopusClient | AsyncOctopusClient) -> Codec:
    """The codec: to ask what a contract makes of a value, without a request."""
    return client._codec


def context_of(client: OctopusClient) -> Context:
    """What the engine is given: it must show no secret."""
    return client._context


def connections_of(client: Any) -> Any:
    """The connections that a client and its views share."""
    return client._driver._connections


def limiter_of(client: Any) -> Any:
    """Who may send next: to see that nobody waits for ever, or holds a turn. Of an async client, in its running loop."""
    connections = connections_of(client)
    return connections.here().turns if hasattr(connections, "here") else connections.turns


def ask_store_again(client: Any) -> None:
    """Let the pause be over after which a rate's store that was away is asked again."""
    limiter_of(client).line.pace._ask_at = 0.0


def pace_by(client: Any, limiter: Callable[..., Any], clock: Any, pause: Any) -> None:
    """Let the client's limiter run on a clock moved by hand."""
    connections = connections_of(client)
    if hasattr(connections, "here"):
        connections.here().turns = limiter(client.settings, connections._pace, connections._lock, clock, pause)
    else:
        connections._turns = limiter(client.settings, clock, pause)


def wait_for_real(limiter: Any, pause: Callable[..., Any]) -> None:
    """Replace how a limiter waits for its next moment."""
    limiter._pause = pause


def secrets_are_in(client: Any) -> list[Any]:
    """The objects that hold the credentials: none may show them."""
    return [client._driver, client._driver._auth, client._codec._redactor]


def exchange_of(client: Any) -> Callable[..., Any]:
    """What makes one HTTP exchange."""
    made: Callable[..., Any] = client._driver.exchange
    return made


def exchange_by(client: Any, exchange: Callable[..., Any]) -> None:
    """Answer the client's exchanges in its stead: no server can be made to answer so."""
    client._driver.exchange = exchange


def prove_credentials(client: Any) -> None:
    """Let the client believe that its credentials were accepted once."""
    client._credentials.proven = True


def forget_batch_sizes(client: Any) -> None:
    """Let a client that serves many tests forget the batch sizes it learned."""
    client._memory._learned.clear()


# -- the emulator --------------------------------------------------------------------------------------------------


def execute(service: Emulator, statement: str, values: Iterable[Any]) -> None:
    """Change the service's state behind its back, as its owner does."""
    with service._state.transaction():
        service._state._db.execute(statement, tuple(values))


def state_of(service: Emulator) -> Any:
    """The state, to let it behave as another service may."""
    return service._state


def repeat_first_call(service: Emulator) -> None:
    """Let the journal hold a call twice that was made once."""
    service._journal.calls.append(service.calls[0])
