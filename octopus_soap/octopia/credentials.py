"""The kinds of credential people hold, and how to tell which one it is.

What this module knows (docs/sources.md; the credentials page, [C] unless marked):

1. The REST API needs a client id, a client secret and a seller id. Who owns which of them is what makes the kinds.
2. *One* value, a seller id, means delegated access: the aggregator's own client does the asking.
3. *Three* values mean REST, even where a connector calls the first two "login" and "password".
4. *Two* values called login and password mean the SOAP API, which is closed. But since rule 3 has connectors misname
   the pair, two values alone stay uncertain, unless the login ends in ``-api`` as SOAP logins did.
5. ``authtoken``, ``merchantname`` and ``accessid`` belong to another company: 24SevenCommerce's Octopus.

The kinds are told apart by the *names* of the values; a secret is never looked at, only carried.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from pydantic import SecretStr

from octopus_soap.octopia.errors import ConfigError
from octopus_soap.octopia.settings import checked_header

if TYPE_CHECKING:
    from collections.abc import Mapping


class CredentialKind(StrEnum):
    """Which kind of credential a set of values is."""

    OWN_DEVELOPMENT = "own-development"
    PLUGIN = "plugin"
    AGGREGATOR_FULL_SET = "aggregator-full-set"
    DELEGATED_ACCESS = "aggregator-delegated"
    INTEGRATOR = "integrator"
    LEGACY_SOAP = "legacy-soap"
    OCTOPUS = "octopus"
    UNKNOWN = "unknown"


def _hide(holder: object, name: str) -> None:
    """Turn a plain string given for a secret into a `SecretStr`, so that a repr of *holder* stays safe."""
    value: object = getattr(holder, name)
    if isinstance(value, str):
        object.__setattr__(holder, name, SecretStr(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPair:
    """A client id and its secret: what a token is granted for.

    Attributes:
        client_id: The REST login; may hold spaces and ``@``.
        client_secret: Shown once by Octopia, when it is created.

    Raises:
        ConfigError: One of them is empty.
    """

    kind: ClassVar[CredentialKind]
    client_id: str
    client_secret: SecretStr

    def __post_init__(self) -> None:
        _hide(self, "client_secret")
        if not self.client_id.strip() or not self.client_secret.get_secret_value().strip():
            raise ConfigError("client_id and client_secret must not be empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrator(ClientPair):
    """An integrator's or aggregator's own client, with no seller chosen yet.

    A token can be had. Calls need a seller: see `OctopiaClient.for_seller`.
    """

    kind: ClassVar[CredentialKind] = CredentialKind.INTEGRATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class _WithSeller(ClientPair):
    """A client pair and the seller it acts for.

    Attributes:
        seller_id: Any non-empty text; all examples are digits, but that is not promised anywhere.

    Raises:
        ConfigError: The seller id cannot stand in a header, or the pair is refused.
    """

    seller_id: str

    def __post_init__(self) -> None:
        # super() without arguments fails in a slots dataclass: the decorator builds a second class.
        ClientPair.__post_init__(self)
        checked_header(self.seller_id, "seller_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDevelopment(_WithSeller):
    """A seller who writes the software, or has it written: the pair is linked to the one seller account."""

    kind: ClassVar[CredentialKind] = CredentialKind.OWN_DEVELOPMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin(_WithSeller):
    """A seller's shop plugin that connects by itself."""

    kind: ClassVar[CredentialKind] = CredentialKind.PLUGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatorFullSet(_WithSeller):
    """A seller who gives an aggregator all three values."""

    kind: ClassVar[CredentialKind] = CredentialKind.AGGREGATOR_FULL_SET


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegatedAccess(_WithSeller):
    """An aggregator's own pair, acting for a seller who delegated access by seller id alone."""

    kind: ClassVar[CredentialKind] = CredentialKind.DELEGATED_ACCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacySoapLogin:
    """A login and password of the closed SOAP API. It can only explain itself; see `guidance` and `SOAP_TO_REST`."""

    kind: ClassVar[CredentialKind] = CredentialKind.LEGACY_SOAP
    login: str
    password: SecretStr

    def __post_init__(self) -> None:
        _hide(self, "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class OctopusCredential:
    """What 24SevenCommerce's Octopus asks for. Not Octopia's: use `octopus_soap.OctopusClient`."""

    kind: ClassVar[CredentialKind] = CredentialKind.OCTOPUS
    authtoken: SecretStr | None = None
    merchantname: str | None = None
    accessid: SecretStr | None = None

    def __post_init__(self) -> None:
        _hide(self, "authtoken")
        _hide(self, "accessid")


ApiCredentials: TypeAlias = OwnDevelopment | Plugin | AggregatorFullSet | DelegatedAccess | Integrator
"""What a client can be built with."""

AnyCredentials: TypeAlias = ApiCredentials | LegacySoapLogin | OctopusCredential
"""Every kind that can be told apart."""

WITH_SELLER: Mapping[CredentialKind, type[OwnDevelopment | Plugin | AggregatorFullSet | DelegatedAccess]] = {
    CredentialKind.OWN_DEVELOPMENT: OwnDevelopment,
    CredentialKind.PLUGIN: Plugin,
    CredentialKind.AGGREGATOR_FULL_SET: AggregatorFullSet,
    CredentialKind.DELEGATED_ACCESS: DelegatedAccess,
}
"""The kinds that three values may be, in the order they are offered."""
