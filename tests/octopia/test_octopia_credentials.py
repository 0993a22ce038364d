"""Recognise a credential, and what to do with it."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from octopus_soap.octopia import (
    GUIDANCE,
    CredentialKind,
    OctopiaClient,
    OctopiaConfigError,
    OctopiaCredentials,
    OctopiaInputError,
    identify,
)
from octopus_soap.octopia.credentials import TEST_SELLER, WITH_SELLER
from octopus_soap.octopia.fake import FakeOctopia
from octopus_soap.octopia.operation import Declared
from octopus_soap.octopia.operations import Operations
from tests.every import every

K = CredentialKind


@every(
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
    assert found.guidance is GUIDANCE[kind]


def test_a_login_that_ends_in_api_is_certainly_the_closed_soap_api():
    found = identify({"login": "myshop-API", "password": "p", "sellerId": "1"})
    assert (found.kind, found.certain, found.credentials) == (K.LEGACY_SOAP, True, None)
    assert "closed" in found.guidance.can_do


@every("use", WITH_SELLER)
def test_the_use_picks_among_the_kinds_of_three_values(use):
    found = identify({"clientId": "Some Client", "clientSecret": SecretStr("s"), "sellerId": "55501"}, use=use)
    assert (found.kind, found.certain) == (use, True)
    assert found.credentials.kind is use


def test_a_use_that_three_values_cannot_have_is_refused():
    with pytest.raises(OctopiaInputError):
        identify({}, use=K.OCTOPUS)


def test_blank_values_count_as_absent_and_unknown_names_are_told():
    found = identify({"clientId": "abcdefgh", "clientSecret": "s", "sellerId": "  ", "shoe size": "44"})
    assert found.kind == K.INTEGRATOR
    assert isinstance(found.credentials, OctopiaCredentials)
    assert found.unrecognised == ("shoe size",)


def test_odd_values_are_warned_about_and_never_refused():
    found = identify({"clientId": "7 ", "clientSecret": " s", "sellerId": "5"})
    assert isinstance(found.credentials, OctopiaCredentials)
    assert len(found.warnings) == 3
    assert identify({"clientId": "shop-api", "clientSecret": "s"}).warnings[0].startswith("the client id ends in -api")


def test_mixed_values_of_both_companies_are_warned_about():
    found = identify({"authtoken": "t", "clientId": "abcdefgh"})
    assert "two different companies" in found.warnings[0]


def test_renamed_rest_values_build_a_rest_credential():
    found = identify({"login": "Some Client", "password": "s", "sellerId": "5"})
    assert isinstance(found.credentials, OctopiaCredentials)
    assert found.credentials.client_id == "Some Client"


def test_an_octopus_credential_points_to_its_own_client():
    assert "OctopusClient" in GUIDANCE[K.OCTOPUS].next_steps[0]
    assert identify({"authtoken": "a"}).credentials is None


def test_a_client_takes_nothing_but_its_own_credentials():
    with pytest.raises(OctopiaConfigError, match="OctopiaCredentials"):
        OctopiaClient({"client_id": "a"})


@every(
    ("given", "kind"),
    [({}, K.INTEGRATOR), ({"seller_id": "5"}, K.OWN_DEVELOPMENT), ({"seller_id": "5", "kind": K.PLUGIN}, K.PLUGIN)],
)
def test_the_kind_follows_from_the_values_unless_it_is_given(given, kind):
    assert OctopiaCredentials(client_id="a", client_secret=SecretStr("b"), **given).kind is kind


@every("given", [{"kind": K.PLUGIN}, {"seller_id": "5", "kind": K.INTEGRATOR}, {"kind": K.OCTOPUS}])
def test_a_kind_that_the_values_cannot_be_is_refused(given):
    with pytest.raises(OctopiaConfigError, match="does not fit"):
        OctopiaCredentials(client_id="a", client_secret=SecretStr("b"), **given)


@every("name", ["client_id", "client_secret"])
@every("ending", ["\n", "\r\n"])
def test_a_line_break_at_the_end_of_a_value_is_named(name, ending):
    """The token service would only answer "invalid client"; the break is invisible."""
    values = {"client_id": "Some Client", "client_secret": "s3cret"} | {name: f"canary{ending}"}
    with pytest.raises(OctopiaConfigError, match=f"{name} ends with a line break") as raised:
        OctopiaCredentials(**values)
    assert "canary" not in str(raised.value)
    found = identify(values | {"seller_id": "5"})
    assert found.credentials is None
    assert any(f"{name} ends with a line break" in warning for warning in found.warnings)
    env = {"OCTOPIA_CLIENT_ID": values["client_id"], "OCTOPIA_CLIENT_SECRET": values["client_secret"]}
    with pytest.raises(OctopiaConfigError, match="line break"):
        OctopiaClient.from_env(env)


@every("name", ["apiKey", "API_KEY", "OCTOPIA_API_KEY", "long-lived-token"])
def test_an_api_key_is_explained_and_not_just_unknown(name):
    found = identify({name: "x"})
    assert found.unrecognised == ()
    assert "no API key and no long-lived token" in found.warnings[0]


def test_the_subscription_key_is_known_and_no_longer_mandatory():
    found = identify({"clientId": "Some Client", "clientSecret": "s", "sellerId": "5", "OCTOPIA_SUBSCRIPTION_KEY": "k"})
    assert found.unrecognised == ()
    assert any("no longer mandatory" in warning for warning in found.warnings)
    assert found.credentials is not None


def test_the_documented_test_seller_is_named_as_that():
    found = identify({"clientId": "Some Client", "clientSecret": "s", "sellerId": TEST_SELLER})
    assert TEST_SELLER == "98979"
    assert any("test seller" in warning for warning in found.warnings)
    assert FakeOctopia.seller_id != TEST_SELLER


def test_the_guidance_holds_what_the_vendors_pages_say():
    said = {kind: " ".join((row.what, row.obtained, *row.next_steps)) for kind, row in GUIDANCE.items()}
    assert "Several connections" in said[K.OWN_DEVELOPMENT]
    assert "by mail" in said[K.OWN_DEVELOPMENT]
    assert "api-reference" in said[K.OWN_DEVELOPMENT]
    assert "Postman" in said[K.OWN_DEVELOPMENT]
    assert "Older plugins ask for a login and a password only" in said[K.PLUGIN]
    assert "must be registered with Octopia and use the REST API" in said[K.DELEGATED_ACCESS]


@every("kind", list(K))
def test_every_kind_has_its_guidance(kind):
    row = GUIDANCE[kind]
    assert row.kind is kind
    assert all((row.title, row.what, row.can_do, row.obtained, row.next_steps))
    assert row.grade in {"C", "C2", "1", "I"}


def test_secrets_given_as_plain_text_are_wrapped():
    credentials = OctopiaCredentials(client_id="a", client_secret="canary-secret", seller_id="1")
    assert isinstance(credentials.client_secret, SecretStr)
    assert "canary" not in repr(credentials)
    assert "canary" not in repr(identify({"clientId": "a", "clientSecret": "canary", "sellerId": "1"}))


@every("seller_id", ["", "1\r\nX: y", "é", " 1"])
def test_a_seller_id_that_cannot_be_a_header_is_refused(seller_id):
    with pytest.raises(OctopiaConfigError):
        OctopiaCredentials(client_id="a", client_secret=SecretStr("b"), seller_id=seller_id)


@every("empty", [{"client_id": " "}, {"client_secret": SecretStr("")}])
def test_empty_credentials_are_refused(empty):
    with pytest.raises(OctopiaConfigError):
        OctopiaCredentials(**({"client_id": "a", "client_secret": SecretStr("b")} | empty))


SOAP_MAP = re.findall(
    r"^\| `(\w+)` \| (.*?) \| (C|I) \| (.*?) \|$",
    (Path(__file__).parents[2] / "docs" / "octopia.md").read_text(),
    re.MULTILINE,
)


def test_the_soap_map_of_the_page_holds_every_operation_with_a_grade():
    rows = {operation: (calls, grade) for operation, calls, grade, _ in SOAP_MAP}
    assert len(rows) == len(SOAP_MAP) == 47
    assert sum(grade == "C" for _, grade in rows.values()) == 10
    assert rows["GetOrderList"] == ("`GET /orders`", "C")


@every("method", sorted({m for row in SOAP_MAP for m in re.findall(r"`(\w+)\(\)`", row[3])}))
def test_every_method_the_soap_map_names_exists(method):
    assert isinstance(vars(Operations)[method], Declared)
