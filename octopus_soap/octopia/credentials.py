"""The kinds of credentials: how to recognise and how to use each.

Facts of this module (the authentication and credentials pages, [C] unless marked; see docs/octopia.md):

* The REST API needs a client id, a client secret and a seller id. The kinds differ in the owner of each value.
* `_RULES` recognises the kinds by the *names* of the values, never by a secret. Since some connectors call a REST pair
  "login" and "password", two values alone are uncertain.
* `GUIDANCE` has the next step for each kind. `_EXPLAINED` has the names that are no part of a credential.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from pydantic import SecretStr

from octopus_soap.octopia.errors import OctopiaConfigError, OctopiaInputError
from octopus_soap.octopia.settings import checked_header


class CredentialKind(StrEnum):
    """The kind of credential that a set of values is."""

    OWN_DEVELOPMENT = "own-development"
    PLUGIN = "plugin"
    AGGREGATOR_FULL_SET = "aggregator-full-set"
    DELEGATED_ACCESS = "aggregator-delegated"
    INTEGRATOR = "integrator"
    LEGACY_SOAP = "legacy-soap"
    OCTOPUS = "octopus"
    UNKNOWN = "unknown"


K = CredentialKind
# The kinds that three values may be, the likeliest first.
WITH_SELLER = (K.OWN_DEVELOPMENT, K.PLUGIN, K.AGGREGATOR_FULL_SET, K.DELEGATED_ACCESS)

TEST_SELLER = "98979"  # of Octopia's own pages, for tests [C]; valid client credentials are still needed


@dataclass(frozen=True, slots=True, kw_only=True)
class OctopiaCredentials:
    """A client id and its secret, and the seller they act for.

    Raises:
        OctopiaConfigError: A value is empty, ends in a line break, or does not fit a header; or the kind does not fit.
    """

    client_id: str  # the REST login; may hold spaces and ``@``
    client_secret: SecretStr  # shown once by Octopia, when it is created
    # All examples are digits, but that is not promised. None if not chosen yet: see `OctopiaClient.for_seller`.
    seller_id: str | None = None
    kind: CredentialKind = K.UNKNOWN  # the use of the values: it changes advice, not calls

    def __post_init__(self) -> None:
        given: object = self.client_secret
        if isinstance(given, str):  # a plain string would show in reprs
            object.__setattr__(self, "client_secret", SecretStr(given))
        for name, value in (("client_id", self.client_id), ("client_secret", self.client_secret.get_secret_value())):
            if not value.strip():
                raise OctopiaConfigError("client_id and client_secret must not be empty")
            if not value.isprintable():  # the token service would only answer "invalid client"
                what = "ends with a line break" if value.rstrip("\r\n").isprintable() else "holds control characters"
                raise OctopiaConfigError(f"{name} {what}, probably from copying it or reading it from a file: strip it")
        if self.seller_id is not None:
            checked_header(self.seller_id, "seller_id")
        fitting = WITH_SELLER if self.seller_id is not None else (K.INTEGRATOR,)
        if self.kind is K.UNKNOWN:
            object.__setattr__(self, "kind", fitting[0])
        elif self.kind not in fitting:
            raise OctopiaConfigError(f"kind {self.kind} does not fit: with these values it is {' or '.join(fitting)}")


_SITE = "https://developer.octopia-io.net"
CREDENTIALS_PAGE = f"{_SITE}/api-credentials/"  # clients are created and sellers are linked there [C]
REGISTRATION_PAGE = f"{_SITE}/aggregator-registration/"  # integrators and aggregators register there [C]
AUTHENTICATION_PAGE = f"{_SITE}/user-guides/authentification"  # the collection for Postman is downloaded there [C]
REFERENCE_PAGE = f"{_SITE}/api-reference/"  # all calls [C]

LINK_STEP = (
    f"finish with the seller authentication at {CREDENTIALS_PAGE}: a client that is not linked to the seller gets a "
    "token, and its calls are refused"
)
RECOVERY = (
    "a secret is shown once; a lost one is recovered by mail from support only (support.api@octopia.com; older pages "
    "name marketplaceapi@cdiscount.com)"
)


@dataclass(frozen=True, slots=True)
class Guidance:
    """Advice on one kind of credential."""

    kind: CredentialKind
    title: str
    what: str
    can_do: str
    obtained: str
    next_steps: tuple[str, ...]
    grade: str = "C"


_THREE = "Everything: a token, and every call for this one seller."
_SET = "put them into OCTOPIA_CLIENT_ID, OCTOPIA_CLIENT_SECRET and OCTOPIA_SELLER_ID"
_FIRST_CALL = "make the first call: `octopus-soap octopia sellers`, or `OctopiaClient.from_env().seller()`"
_LEARN = f"all calls: {REFERENCE_PAGE}; a collection for Postman: {AUTHENTICATION_PAGE}"

_ROWS = (
    Guidance(
        K.OWN_DEVELOPMENT, "Own development",
        "A client id, a client secret and the seller id they are linked to, for your own software. Several "
        "connections, of one kind or of several, can be made to a single account.", _THREE,
        f'{CREDENTIALS_PAGE}, "Create my clientId and clientSecret"; {RECOVERY}.',
        (LINK_STEP, _SET, _FIRST_CALL, _LEARN)),
    Guidance(
        K.PLUGIN, "Plugin of your own shop",
        "The same three values, given to a shop plugin that connects by itself and is REST compatible. Older plugins "
        "ask for a login and a password only: they use the closed SOAP API, so update them.", _THREE,
        f'{CREDENTIALS_PAGE}, "I\'m using a plugin". A plugin from a third party counts as an aggregator; {RECOVERY}.',
        (LINK_STEP, f"enter the three values in the plugin, or here: {_SET}", _FIRST_CALL)),
    Guidance(
        K.AGGREGATOR_FULL_SET, "Aggregator with the full set",
        "Three values that a seller creates and hands to an aggregator.", _THREE,
        f"{CREDENTIALS_PAGE}, the choice for an aggregator that asks for clientId, clientSecret and sellerId; "
        f"{RECOVERY}.", (LINK_STEP, _SET, _FIRST_CALL), "C2"),
    Guidance(
        K.DELEGATED_ACCESS, "Aggregator with delegated access",
        "A seller id given to an aggregator, which uses its own client id and secret. The seller holds no secret. The "
        "aggregator must be registered with Octopia and use the REST API.",
        "With the aggregator's pair: every call for this seller. With the seller id alone: nothing by itself.",
        f"The seller connects the aggregator at {CREDENTIALS_PAGE}#linkAgreeToSeller (from the list) or "
        f"{CREDENTIALS_PAGE}#linkAgregClientToSeller (by the aggregator's client id).",
        ("as the seller: connect the aggregator on that page and give it the seller id, nothing else",
         "as the aggregator: use your own pair with this seller id: `client.for_seller(seller_id)`")),
    Guidance(
        K.INTEGRATOR, "Integrator or aggregator, no seller yet",
        "A client id and a client secret of a company that serves many sellers, linked to none of them here.",
        "A token. Each call needs a seller id on top.",
        f"{REGISTRATION_PAGE}: stop after retrieving the credentials; {RECOVERY}.",
        ("ask each seller to connect your client id to the seller account",
         "then act for one seller at a time: `client.for_seller(seller_id)`; all of them share one token",
         f"if you are a seller yourself, your own seller id is missing: {LINK_STEP}")),
    Guidance(
        K.LEGACY_SOAP, "Login and password of the closed SOAP API",
        "Two values of the former Cdiscount SOAP API; the login usually ends in -api.",
        "Nothing any more: the SOAP API is closed. docs/octopia.md has the REST call for each operation.",
        "It came from the Seller Portal, Settings, User Rights Management. Do not ask for a new one.",
        (f"create REST credentials at {CREDENTIALS_PAGE}",
         "if a partner asks for two values only, ask whether a seller id is wanted too: some rename the REST values")),
    Guidance(
        K.OCTOPUS, "Not Octopia: an Octopus credential",
        "authtoken, merchantname and accessid belong to 24SevenCommerce's Octopus Channel API, another company.",
        "Nothing at Octopia. Everything with `octopus_soap.OctopusClient`.", "From 24SevenCommerce.",
        ("this is an Octopus credential: use `octopus_soap.OctopusClient`",)),
    Guidance(
        K.UNKNOWN, "Not enough to tell", "The values do not make up a credential of any known kind.", "Nothing yet.",
        f"REST credentials come from {CREDENTIALS_PAGE}.",
        ("look at the names your partner gives the values: the API needs clientId, clientSecret and sellerId",
         "for delegated access to an aggregator, the seller id alone is enough")),
)  # fmt: skip # a table of sentences
GUIDANCE: Mapping[CredentialKind, Guidance] = {row.kind: row for row in _ROWS}  # a test checks that no kind is missing


Given = Mapping[str, str | SecretStr | None]  # values by the name that their owner uses for them

_SYNONYMS: Mapping[str, str] = {
    "clientid": "client_id", "clientsecret": "client_secret", "secret": "client_secret", "sellerid": "seller_id",
    "seller": "seller_id", "login": "login", "apilogin": "login", "username": "login", "user": "login",
    "password": "password", "apipassword": "password", "authtoken": "authtoken", "merchantname": "merchantname",
    "accessid": "accessid",
}  # fmt: skip # read as a table
_NO_KEYS = "Octopia has no API key and no long-lived token: a client id and its secret get a token of about two hours"
_OPTIONAL_KEY = "OCTOPIA_SUBSCRIPTION_KEY is no longer mandatory: it is sent if set, and is no credential by itself"
# Names that are no part of a credential, with an explanation.
_EXPLAINED: Mapping[str, str] = {
    **dict.fromkeys(("apikey", "key", "apitoken", "token", "accesstoken", "longlivedtoken", "longtermtoken"), _NO_KEYS),
    **dict.fromkeys(("subscriptionkey", "ocpapimsubscriptionkey"), _OPTIONAL_KEY),
}
_OCTOPUS = frozenset({"authtoken", "merchantname", "accessid"})
_PAIR = frozenset({"client_id", "client_secret"})
_LOGIN = frozenset({"login", "password"})
_TRIPLE = _PAIR | {"seller_id"}

# The rule of the credentials form as one third-party page gives it [1]: a hint for typos, never a reason to refuse.
_USUAL_CLIENT_ID = re.compile(r"[A-Za-z][A-Za-z0-9 @-]{6,78}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """The kind that a set of values was found to be."""

    kind: CredentialKind  # the most likely one
    certain: bool  # the values can be no other kind
    why: str  # the rule that decided, in a sentence
    candidates: tuple[CredentialKind, ...] = ()  # every kind the values may be, the likeliest first
    missing: tuple[str, ...] = ()  # names of the values still needed to build a client
    warnings: tuple[str, ...] = ()  # odd values, and explanations of names that are no part of a credential
    unrecognised: tuple[str, ...] = ()  # unknown names
    credentials: OctopiaCredentials | None = None  # the values, ready for a client, if they are complete

    @property
    def guidance(self) -> Guidance:
        """The use of this kind, and the next step."""
        return GUIDANCE[self.kind]


_Applies: TypeAlias = Callable[[frozenset[str], str], bool]
_Rule: TypeAlias = tuple[_Applies, CredentialKind, bool, tuple[CredentialKind, ...], frozenset[str], str]
_NONE: frozenset[str] = frozenset()
_OTHER = "authtoken, merchantname and accessid are what 24SevenCommerce's Octopus asks for, another company"
# The rules, by the names present and the login. The first rule that applies decides; the surest signs come first. The
# columns: when it applies, the kind, whether that is certain, other possible kinds, the names needed, and the reason.
_RULES: tuple[_Rule, ...] = (
    (lambda names, _: bool(names & _OCTOPUS) and not names & (_TRIPLE | _LOGIN), K.OCTOPUS, True, (), _NONE, _OTHER),
    (lambda names, _: bool(names & _OCTOPUS), K.OCTOPUS, False, (), _NONE, _OTHER),
    (lambda _, login: login.endswith("-api"), K.LEGACY_SOAP, True, (), _LOGIN,
     "a login that ends in -api is a login of the SOAP API"),
    (lambda names, _: names >= _TRIPLE or names >= _LOGIN | {"seller_id"}, WITH_SELLER[0], False, WITH_SELLER[1:],
     _NONE, "three values are for the REST API; what they are for is not written on them"),
    (lambda names, _: names >= _PAIR, K.INTEGRATOR, False, WITH_SELLER, _TRIPLE,
     "a client id and a secret without a seller id: a token can be had, a call for a seller cannot be made yet"),
    (lambda names, _: bool(names & _LOGIN), K.LEGACY_SOAP, False, (K.INTEGRATOR,), _LOGIN,
     "two values called login and password are what the SOAP API asked for"),
    (lambda names, _: names == frozenset({"seller_id"}), K.DELEGATED_ACCESS, True, (), _TRIPLE,
     "a seller id alone is what a seller gives when access is delegated"),
    (lambda names, _: bool(names), K.UNKNOWN, False, WITH_SELLER, _TRIPLE,
     "only a part of the three values of the REST API is here"),
    (lambda *_: True, K.UNKNOWN, False, WITH_SELLER, _TRIPLE, "no value was recognised"),
)  # fmt: skip # read as a table


def identify(values: Given, *, use: CredentialKind | None = None) -> Identification:
    """Return the kind of credential that *values* are. Nothing is sent.

    Args:
        values: The values by name, in any spelling: ``clientId``, ``client_id``, ``OCTOPIA_CLIENT_ID``. Empty values
            count as absent.
        use: The use of the credential, if known. It decides between own development, plugin and aggregator, whose three
            values have the same names.

    Raises:
        OctopiaInputError: *use* is not one of the kinds that three values can be.
    """
    if use is not None and use not in WITH_SELLER:
        raise OctopiaInputError(f"use must be one of {', '.join(WITH_SELLER)}", argument="use")
    known, unrecognised, warnings = _sort_out(values)
    names, login = frozenset(known), known["login"].get_secret_value().strip().lower() if "login" in known else ""
    _, kind, certain, others, wanted, why = next(rule for rule in _RULES if rule[0](names, login))
    if use is not None and others == WITH_SELLER[1:]:
        kind, certain, others, why = use, True, (), f"three values are for the REST API, and their use is {use}"
    warnings += _warnings(known, kind, certain=certain)
    credentials = None
    try:
        credentials = _built(known, kind)
    except OctopiaConfigError as error:
        warnings.append(error.message)
    return Identification(
        kind=kind, certain=certain, why=why, candidates=(kind, *others), missing=tuple(sorted(wanted - names)),
        warnings=tuple(warnings), unrecognised=tuple(unrecognised), credentials=credentials,
    )  # fmt: skip # read as a record


def _sort_out(values: Given) -> tuple[dict[str, SecretStr], list[str], list[str]]:
    """Return the known values by their usual name, unknown names, and explanations."""
    known, unrecognised, explained = dict[str, SecretStr](), list[str](), list[str]()
    for name, value in values.items():
        text = value if isinstance(value, SecretStr) else SecretStr(value or "")
        if not text.get_secret_value().strip():
            continue
        folded = re.sub(r"[^a-z0-9]", "", name.lower())
        for prefix in ("octopia", "octopus", "cdiscount"):
            folded = folded.removeprefix(prefix)
        if folded in _SYNONYMS:
            known[_SYNONYMS[folded]] = text
        elif folded in _EXPLAINED:
            explained.append(_EXPLAINED[folded])
        else:
            unrecognised.append(name[:60])
    return known, unrecognised, explained


def _warnings(known: Mapping[str, SecretStr], kind: CredentialKind, *, certain: bool) -> list[str]:
    found: list[str] = []
    if known.keys() & _OCTOPUS and known.keys() & (_TRIPLE | _LOGIN):
        found.append("values of two different companies are mixed: Octopus and Octopia share nothing but the sound")
    misnamed = "some connectors call the client id and secret login and password"
    if kind in WITH_SELLER and known.keys() >= _LOGIN:
        found.append(f"{misnamed}; they are read as that here")
    if kind is K.LEGACY_SOAP and not certain:
        found.append(f"{misnamed}: if a seller id is wanted too, it is REST")
    if "seller_id" in known and known["seller_id"].get_secret_value().strip() == TEST_SELLER:
        found.append(f"seller {TEST_SELLER} is the test seller of Octopia's own pages, not a shop")
    client_id = known["client_id"].get_secret_value() if "client_id" in known else ""
    if client_id.lower().endswith("-api"):
        found.append("the client id ends in -api like a login of the closed SOAP API")
    elif client_id and not _USUAL_CLIENT_ID.fullmatch(client_id):
        usual = "8 to 80 letters, digits, spaces, dashes, @"
        found.append(f"the client id does not look as the form usually makes them ({usual})")
    for name, secret in sorted(known.items()):
        value = secret.get_secret_value()
        if value != value.strip():
            what = "a line break" if value.strip(" ") != value.strip() else "a space"
            found.append(f"{name} begins or ends with {what}: a slip of copying?")
    return found


def _built(known: Mapping[str, SecretStr], kind: CredentialKind) -> OctopiaCredentials | None:
    client_id = known.get("client_id") or known.get("login")
    secret = known.get("client_secret") or known.get("password")
    seller = known["seller_id"].get_secret_value().strip() if "seller_id" in known else None
    usable = (kind in WITH_SELLER and seller is not None) or kind is K.INTEGRATOR
    if client_id is None or secret is None or not usable:
        return None
    return OctopiaCredentials(client_id=client_id.get_secret_value(), client_secret=secret, seller_id=seller, kind=kind)


def credentials_in(environ: Mapping[str, str]) -> OctopiaCredentials:
    """Return the credentials in the variables of *environ*.

    Raises:
        OctopiaConfigError: They are no usable credentials; the message names what is missing or wrong.
    """
    found = identify({name: environ.get(f"OCTOPIA_{name}") for name in ("CLIENT_ID", "CLIENT_SECRET", "SELLER_ID")})
    if found.credentials is None:
        missing = ", ".join(f"OCTOPIA_{name.upper()}" for name in found.missing)
        problems = "; ".join([f"missing: {missing}"] * bool(missing) + list(found.warnings))
        raise OctopiaConfigError(f"no usable Octopia credentials in the environment ({found.why}); {problems}")
    return found.credentials
