"""Which credential is this, and what then?."""

import pytest
from pydantic import SecretStr

from octopus_soap.octopia import (
    SOAP_TO_REST,
    ConfigError,
    CredentialKind,
    InputError,
    Integrator,
    LegacySoapLogin,
    OctopiaClient,
    OctopusCredential,
    OwnDevelopment,
    guidance,
    identify,
)
from octopus_soap.octopia.credentials import WITH_SELLER
from octopus_soap.octopia.operation import Declared
from octopus_soap.octopia.operations import Operations

K = CredentialKind


@pytest.mark.parametrize(
    ("names", "kind", "certain", "missing"),
    [
        (["clientId", "clientSecret", "sellerId"], K.OWN_DEVELOPMENT, False, ()),
        (["OCTOPIA_CLIENT_ID", "client-secret", "Seller Id"], K.OWN_DEVELOPMENT, False, ()),
        (["login", "password", "sellerId"], K.OWN_DEVELOPMENT, False, ()),
        (["clientId", "clientSecret"], K.INTEGRATOR, False, ("seller_id",)),
        (["sellerId"], K.DELEGATED_ACCESS, True, ("client_id", "client_secret")),
        (["login", "password"], K.LEGACY_SOAP, False, ()),
        (["login"], K.LEGACY_SOAP, False, ("password",)),
        (["authtoken", "merchantname", "accessid"], K.OCTOPUS, True, ()),
        (["authtoken"], K.OCTOPUS, True, ()),
        (["AuthToken", "clientId"], K.OCTOPUS, False, ()),
        (["clientId", "sellerId"], K.UNKNOWN, False, ("client_secret",)),
        (["token"], K.UNKNOWN, False, ("client_id", "client_secret", "seller_id")),
        ([], K.UNKNOWN, False, ("client_id", "client_secret", "seller_id")),
    ],
)
def test_the_names_of_the_values_tell_the_kind(names, kind, certain, missing):
    found = identify(dict.fromkeys(names, "some-value"))
    assert (found.kind, found.certain, found.missing) == (kind, certain, missing)
    assert found.candidates[0] == kind
    assert found.guidance is guidance(kind)


def test_a_login_that_ends_in_api_is_certainly_the_closed_soap_api():
    found = identify({"login": "myshop-API", "password": "p", "sellerId": "1"})
    assert (found.kind, found.certain) == (K.LEGACY_SOAP, True)
    assert isinstance(found.credentials, LegacySoapLogin)


@pytest.mark.parametrize("use", list(WITH_SELLER))
def test_the_use_picks_among_the_kinds_of_three_values(use):
    found = identify({"clientId": "Some Client", "clientSecret": SecretStr("s"), "sellerId": "98979"}, use=use)
    assert (found.kind, found.certain) == (use, True)
    assert type(found.credentials) is WITH_SELLER[use]


def test_a_use_that_three_values_cannot_have_is_refused():
    with pytest.raises(InputError):
        identify({}, use=K.OCTOPUS)


def test_blank_values_count_as_absent_and_unknown_names_are_told():
    found = identify({"clientId": "abcdefgh", "clientSecret": "s", "sellerId": "  ", "shoe size": "44"})
    assert found.kind == K.INTEGRATOR
    assert isinstance(found.credentials, Integrator)
    assert found.unrecognised == ("shoe size",)


def test_odd_values_are_warned_about_and_never_refused():
    found = identify({"clientId": "7 ", "clientSecret": " s", "sellerId": "5"})
    assert isinstance(found.credentials, OwnDevelopment)
    assert len(found.warnings) == 3
    assert identify({"clientId": "shop-api", "clientSecret": "s"}).warnings[0].startswith("the client id ends in -api")


def test_mixed_values_of_both_companies_are_warned_about():
    found = identify({"authtoken": "t", "clientId": "abcdefgh"})
    assert "two different companies" in found.warnings[0]


def test_renamed_rest_values_build_a_rest_credential():
    found = identify({"login": "Some Client", "password": "s", "sellerId": "5"})
    assert isinstance(found.credentials, OwnDevelopment)
    assert found.credentials.client_id == "Some Client"


def test_an_octopus_credential_points_to_its_own_client():
    assert "OctopusClient" in guidance(K.OCTOPUS).next_steps[0]
    with pytest.raises(ConfigError, match="OctopusClient"):
        OctopiaClient(OctopusCredential(authtoken=SecretStr("a")))


def test_a_soap_login_explains_that_the_api_is_closed():
    with pytest.raises(ConfigError, match="closed"):
        OctopiaClient(LegacySoapLogin(login="a-api", password=SecretStr("b")))


@pytest.mark.parametrize("kind", list(K))
def test_every_kind_has_its_guidance(kind):
    row = guidance(kind)
    assert row.kind is kind
    assert all((row.title, row.what, row.can_do, row.obtained, row.next_steps))
    assert row.grade in {"C", "C2", "1", "I"}


def test_secrets_given_as_plain_text_are_wrapped():
    credentials = OwnDevelopment(client_id="a", client_secret="canary-secret", seller_id="1")
    assert isinstance(credentials.client_secret, SecretStr)
    assert "canary" not in repr(credentials)
    assert "canary" not in repr(identify({"clientId": "a", "clientSecret": "canary", "sellerId": "1"}))


@pytest.mark.parametrize("seller_id", ["", "1\r\nX: y", "é", " 1"])
def test_a_seller_id_that_cannot_be_a_header_is_refused(seller_id):
    with pytest.raises(ConfigError):
        OwnDevelopment(client_id="a", client_secret=SecretStr("b"), seller_id=seller_id)


@pytest.mark.parametrize("empty", [{"client_id": " "}, {"client_secret": SecretStr("")}])
def test_empty_credentials_are_refused(empty):
    with pytest.raises(ConfigError):
        Integrator(**({"client_id": "a", "client_secret": SecretStr("b")} | empty))


def test_the_soap_map_holds_every_operation_with_a_grade():
    assert len(SOAP_TO_REST) == 47
    assert sum(row.grade == "C" for row in SOAP_TO_REST.values()) == 10
    assert {row.grade for row in SOAP_TO_REST.values()} == {"C", "I"}
    assert SOAP_TO_REST["GetOrderList"].calls == ("GET /orders",)


@pytest.mark.parametrize("row", [r for r in SOAP_TO_REST.values() if r.method], ids=lambda r: r.operation)
def test_every_method_the_soap_map_names_exists(row):
    assert isinstance(vars(Operations)[row.method], Declared)
