"""Which kind of credential is this? See the rules at the top of `credentials.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from octopus_soap.octopia.credentials import (
    WITH_SELLER,
    AnyCredentials,
    CredentialKind,
    Integrator,
    LegacySoapLogin,
    OctopusCredential,
)
from octopus_soap.octopia.errors import InputError
from octopus_soap.octopia.guidance import Guidance, guidance

Given = Mapping[str, str | SecretStr | None]
"""Values by the name the holder knows them under."""

_SYNONYMS: Mapping[str, str] = {
    "clientid": "client_id",
    "clientsecret": "client_secret",
    "secret": "client_secret",
    "sellerid": "seller_id",
    "seller": "seller_id",
    "login": "login",
    "apilogin": "login",
    "username": "login",
    "user": "login",
    "password": "password",
    "apipassword": "password",
    "authtoken": "authtoken",
    "merchantname": "merchantname",
    "accessid": "accessid",
}
_PREFIXES = ("octopia", "octopus", "cdiscount")
_OCTOPUS = frozenset({"authtoken", "merchantname", "accessid"})
_PAIR = frozenset({"client_id", "client_secret"})
_LOGIN = frozenset({"login", "password"})
_TRIPLE = _PAIR | {"seller_id"}

# The rule of the credentials form as one third-party page gives it [1]: a hint for typos, never a reason to refuse.
_USUAL_CLIENT_ID = re.compile(r"[A-Za-z][A-Za-z0-9 @-]{6,78}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What a set of values was found to be.

    Attributes:
        kind: The most likely kind.
        certain: Whether the values leave no other reading.
        candidates: Every kind the values may be, the likeliest first.
        why: The rule that decided, in a sentence.
        missing: Names of the values still to be obtained before a client can be built.
        warnings: What looks odd; nothing here is a refusal.
        unrecognised: Names that mean nothing here.
        credentials: The values as their typed kind, if they are complete.
    """

    kind: CredentialKind
    certain: bool
    candidates: tuple[CredentialKind, ...]
    why: str
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unrecognised: tuple[str, ...] = ()
    credentials: AnyCredentials | None = None

    @property
    def guidance(self) -> Guidance:
        """What this kind can do and what to do next."""
        return guidance(self.kind)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The outcome of one rule, before warnings are added."""

    kind: CredentialKind
    why: str
    certain: bool = False
    others: tuple[CredentialKind, ...] = ()
    missing: tuple[str, ...] = ()


def identify(values: Given, *, use: CredentialKind | None = None) -> Identification:
    """Tell which kind of credential *values* are.

    Args:
        values: The values by name. Names are read in any spelling people use: ``clientId``, ``client_id``,
            ``OCTOPIA_CLIENT_ID``; empty values count as absent.
        use: What the credential is for, if known. Three values are named alike for an own development, a plugin and an
            aggregator: this picks among them.

    Raises:
        InputError: *use* is not one of the kinds that three values can be.
    """
    if use is not None and use not in WITH_SELLER:
        raise InputError(f"use must be one of {', '.join(WITH_SELLER)}", argument="use")
    known, unrecognised = _sort_out(values)
    reading = _read(frozenset(known), _login_of(known), use)
    return Identification(
        kind=reading.kind,
        certain=reading.certain,
        candidates=(reading.kind, *reading.others),
        why=reading.why,
        missing=reading.missing,
        warnings=_warnings(known, reading),
        unrecognised=unrecognised,
        credentials=_build(known, reading),
    )


def _sort_out(values: Given) -> tuple[dict[str, SecretStr], tuple[str, ...]]:
    known: dict[str, SecretStr] = {}
    unrecognised: list[str] = []
    for name, value in values.items():
        text = value if isinstance(value, SecretStr) else SecretStr(value or "")
        if not text.get_secret_value().strip():
            continue
        folded = re.sub(r"[^a-z0-9]", "", name.lower())
        for prefix in _PREFIXES:
            folded = folded.removeprefix(prefix)
        if folded in _SYNONYMS:
            known[_SYNONYMS[folded]] = text
        else:
            unrecognised.append(name[:60])
    return known, tuple(unrecognised)


def _login_of(known: Mapping[str, SecretStr]) -> str:
    return known["login"].get_secret_value().strip().lower() if "login" in known else ""


def _octopus(names: frozenset[str], _: CredentialKind | None) -> _Reading:
    why = "authtoken, merchantname and accessid are what 24SevenCommerce's Octopus asks for, another company"
    return _Reading(CredentialKind.OCTOPUS, why, certain=not names & (_TRIPLE | _LOGIN))


def _soap_login(names: frozenset[str], _: CredentialKind | None) -> _Reading:
    why = "a login that ends in -api is a login of the SOAP API"
    return _Reading(CredentialKind.LEGACY_SOAP, why, certain=True, missing=_lacking(names, _LOGIN))


def _three_values(_: frozenset[str], use: CredentialKind | None) -> _Reading:
    if use is not None:
        return _Reading(use, "three values are for the REST API, and you said what for", certain=True)
    first, *others = WITH_SELLER
    why = "three values are for the REST API; what they are for is not written on them"
    return _Reading(first, why, others=tuple(others))


def _pair(_: frozenset[str], __: CredentialKind | None) -> _Reading:
    why = "a client id and a secret without a seller id: a token can be had, a call for a seller cannot be made yet"
    return _Reading(CredentialKind.INTEGRATOR, why, others=tuple(WITH_SELLER), missing=("seller_id",))


def _login_pair(names: frozenset[str], _: CredentialKind | None) -> _Reading:
    why = "two values called login and password are what the SOAP API asked for"
    others = (CredentialKind.INTEGRATOR,)
    return _Reading(CredentialKind.LEGACY_SOAP, why, others=others, missing=_lacking(names, _LOGIN))


def _seller_alone(_: frozenset[str], __: CredentialKind | None) -> _Reading:
    why = "a seller id alone is what a seller gives when access is delegated"
    return _Reading(CredentialKind.DELEGATED_ACCESS, why, certain=True, missing=("client_id", "client_secret"))


def _part(names: frozenset[str], _: CredentialKind | None) -> _Reading:
    why = "only a part of the three values of the REST API is here" if names else "no value was recognised"
    return _Reading(CredentialKind.UNKNOWN, why, others=tuple(WITH_SELLER), missing=_lacking(names, _TRIPLE))


_RULES: tuple[
    tuple[Callable[[frozenset[str], str], bool], Callable[[frozenset[str], CredentialKind | None], _Reading]], ...
] = (
    (lambda names, _: bool(names & _OCTOPUS), _octopus),
    (lambda _, login: login.endswith("-api"), _soap_login),
    (lambda names, _: names >= _TRIPLE or names >= _LOGIN | {"seller_id"}, _three_values),
    (lambda names, _: names >= _PAIR, _pair),
    (lambda names, _: bool(names & _LOGIN), _login_pair),
    (lambda names, _: names == frozenset({"seller_id"}), _seller_alone),
    (lambda *_: True, _part),
)
"""What decides, by the names present and the login; the first rule that applies wins, the surest signs come first."""


def _read(names: frozenset[str], login: str, use: CredentialKind | None) -> _Reading:
    return next(read for applies, read in _RULES if applies(names, login))(names, use)


def _lacking(names: frozenset[str], wanted: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(wanted - names))


def _warnings(known: Mapping[str, SecretStr], reading: _Reading) -> tuple[str, ...]:
    found: list[str] = []
    if known.keys() & _OCTOPUS and known.keys() & (_TRIPLE | _LOGIN):
        found.append("values of two different companies are mixed: Octopus and Octopia share nothing but the sound")
    if reading.kind in WITH_SELLER and known.keys() >= _LOGIN:
        found.append("some connectors call the client id and secret login and password; they are read as that here")
    if reading.kind is CredentialKind.LEGACY_SOAP and not reading.certain:
        found.append(
            "some connectors call the client id and secret login and password: if a seller id is wanted too, it is REST"
        )
    client_id = known["client_id"].get_secret_value() if "client_id" in known else ""
    if client_id.lower().endswith("-api"):
        found.append("the client id ends in -api like a login of the closed SOAP API")
    elif client_id and not _USUAL_CLIENT_ID.fullmatch(client_id):
        found.append(
            "the client id does not look as the form usually makes them (8 to 80 letters, digits, spaces, dashes, @)"
        )
    found.extend(
        f"{name} begins or ends with a space: a slip of copying?"
        for name, value in sorted(known.items())
        if value.get_secret_value() != value.get_secret_value().strip()
    )
    return tuple(found)


def _build(known: Mapping[str, SecretStr], reading: _Reading) -> AnyCredentials | None:
    if reading.kind is CredentialKind.OCTOPUS:
        merchant = known.get("merchantname")
        return OctopusCredential(
            authtoken=known.get("authtoken"),
            merchantname=merchant.get_secret_value() if merchant else None,
            accessid=known.get("accessid"),
        )
    if reading.kind is CredentialKind.LEGACY_SOAP:
        complete = known.keys() >= _LOGIN
        return (
            LegacySoapLogin(login=known["login"].get_secret_value(), password=known["password"]) if complete else None
        )
    client_id = known.get("client_id") or known.get("login")
    secret = known.get("client_secret") or known.get("password")
    if client_id is None or secret is None:
        return None
    if reading.kind is CredentialKind.INTEGRATOR:
        return Integrator(client_id=client_id.get_secret_value(), client_secret=secret)
    if reading.kind in WITH_SELLER and "seller_id" in known:
        seller_id = known["seller_id"].get_secret_value().strip()
        cls = WITH_SELLER[reading.kind]
        return cls(client_id=client_id.get_secret_value(), client_secret=secret, seller_id=seller_id)
    return None
