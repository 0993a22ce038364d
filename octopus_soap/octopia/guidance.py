"""What to do with each kind of credential: the table the CLI, the docs and the error messages read.

Facts and addresses are from docs/sources.md (the authentication and credentials pages). Each row carries its
grade: [C] official text, [C2] several independent implementations, [1] one unofficial source, [I] inferred here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from octopus_soap.octopia.credentials import CredentialKind

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS_PAGE = "https://developer.octopia-io.net/api-credentials/"
"""Where clients are created and sellers are linked [C]."""

REGISTRATION_PAGE = "https://developer.octopia-io.net/aggregator-registration/"
"""Where integrators and aggregators register [C]."""

LINK_STEP = (
    f"finish with the seller authentication at {CREDENTIALS_PAGE}: a client that is not linked to the seller gets a "
    "token, and its calls are refused"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What one kind of credential is, can do, and needs next.

    Attributes:
        kind: The kind this is about.
        title: A few words for a heading.
        what: What it is.
        can_do: What it can do with this package.
        obtained: Where it comes from.
        next_steps: What to do now, in order.
        grade: How sure the facts are.
    """

    kind: CredentialKind
    title: str
    what: str
    can_do: str
    obtained: str
    next_steps: tuple[str, ...]
    grade: str


_THREE = "Everything: a token, and every call for this one seller."
_FIRST_CALL = "make the first call: `octopus-soap octopia sellers`, or `OctopiaClient.from_env().seller()`"
_SET_THREE = "put them into OCTOPIA_CLIENT_ID, OCTOPIA_CLIENT_SECRET and OCTOPIA_SELLER_ID"

_ROWS = (
    Guidance(
        kind=CredentialKind.OWN_DEVELOPMENT,
        title="Own development",
        what="A client id, a client secret and the seller id they are linked to, for your own software.",
        can_do=_THREE,
        obtained=f'{CREDENTIALS_PAGE}, "Create my clientId and clientSecret"; the secret is shown once.',
        next_steps=(LINK_STEP, _SET_THREE, _FIRST_CALL),
        grade="C",
    ),
    Guidance(
        kind=CredentialKind.PLUGIN,
        title="Plugin of your own shop",
        what="The same three values, given to a shop plugin that connects by itself and is REST compatible.",
        can_do=_THREE,
        obtained=f'{CREDENTIALS_PAGE}, "I\'m using a plugin". A plugin from a third party counts as an aggregator.',
        next_steps=(LINK_STEP, "enter the three values in the plugin, or here: " + _SET_THREE, _FIRST_CALL),
        grade="C",
    ),
    Guidance(
        kind=CredentialKind.AGGREGATOR_FULL_SET,
        title="Aggregator with the full set",
        what="Three values that a seller creates and hands to an aggregator.",
        can_do=_THREE,
        obtained=f"{CREDENTIALS_PAGE}, the choice for an aggregator that asks for clientId, clientSecret and sellerId.",
        next_steps=(LINK_STEP, _SET_THREE, _FIRST_CALL),
        grade="C2",
    ),
    Guidance(
        kind=CredentialKind.DELEGATED_ACCESS,
        title="Aggregator with delegated access",
        what="A seller id given to an aggregator, which uses its own client id and secret. The seller holds no secret.",
        can_do="With the aggregator's pair: every call for this seller. With the seller id alone: nothing by itself.",
        obtained=(
            f"The seller connects the aggregator at {CREDENTIALS_PAGE}#linkAgreeToSeller (from the list) or "
            f"{CREDENTIALS_PAGE}#linkAgregClientToSeller (by the aggregator's client id)."
        ),
        next_steps=(
            "as the seller: connect the aggregator on that page and give it the seller id, nothing else",
            "as the aggregator: use your own pair with this seller id, `DelegatedAccess(...)` or `for_seller(...)`",
        ),
        grade="C",
    ),
    Guidance(
        kind=CredentialKind.INTEGRATOR,
        title="Integrator or aggregator, no seller yet",
        what="A client id and a client secret of a company that serves many sellers, linked to none of them here.",
        can_do="A token. Each call needs a seller id on top.",
        obtained=f"{REGISTRATION_PAGE}: stop after retrieving the credentials.",
        next_steps=(
            "ask each seller to connect your client id to the seller account",
            "then act for one seller at a time: `client.for_seller(seller_id)`; all of them share one token",
            f"if you are a seller yourself, your own seller id is missing: {LINK_STEP}",
        ),
        grade="C",
    ),
    Guidance(
        kind=CredentialKind.LEGACY_SOAP,
        title="Login and password of the closed SOAP API",
        what="Two values of the former Cdiscount SOAP API; the login usually ends in -api.",
        can_do="Nothing any more: the SOAP API is closed. The migration table has the REST call for each operation.",
        obtained="It came from the Seller Portal, Settings, User Rights Management. Do not ask for a new one.",
        next_steps=(
            f"create REST credentials at {CREDENTIALS_PAGE}",
            "see `octopus-soap octopia whoami --soap-map` or `SOAP_TO_REST` for the call that replaces each operation",
            "if a partner asks for two values only, ask whether a seller id is wanted too: some rename the REST values",
        ),
        grade="C",
    ),
    Guidance(
        kind=CredentialKind.OCTOPUS,
        title="Not Octopia: an Octopus credential",
        what="authtoken, merchantname and accessid belong to 24SevenCommerce's Octopus Channel API, another company.",
        can_do="Nothing at Octopia. Everything with `octopus_soap.OctopusClient`.",
        obtained="From 24SevenCommerce.",
        next_steps=("this is an Octopus credential: use `octopus_soap.OctopusClient`",),
        grade="C",
    ),
    Guidance(
        kind=CredentialKind.UNKNOWN,
        title="Not enough to tell",
        what="The values do not make up a credential of any known kind.",
        can_do="Nothing yet.",
        obtained=f"REST credentials come from {CREDENTIALS_PAGE}.",
        next_steps=(
            "look at the names your partner gives the values; the REST API needs clientId, clientSecret and sellerId",
            "for delegated access to an aggregator, the seller id alone is enough",
        ),
        grade="C",
    ),
)

GUIDANCE: Mapping[CredentialKind, Guidance] = {row.kind: row for row in _ROWS}
"""The table, by kind; a test checks that every kind has its row."""


def guidance(kind: CredentialKind) -> Guidance:
    """Return what is known about *kind*: what it can do, where it is obtained, what to do next."""
    return GUIDANCE[kind]
