"""The origins that credentials may go to; certificates are always verified."""

import ssl

import certifi
import pytest
from pydantic import SecretStr

from octopus_soap.octopia import API_URL, TOKEN_URL, OctopiaConfigError, OctopiaSettings, RetryPolicy
from tests.every import every


def test_the_defaults_are_the_documented_addresses():
    settings = OctopiaSettings()
    assert settings.token_url == TOKEN_URL
    assert TOKEN_URL == "https://auth.octopia-io.net/auth/realms/maas/protocol/openid-connect/token"
    assert settings.api_url == API_URL == "https://api.octopia-io.net/seller/v2"
    assert settings.verify is True
    assert settings.allow_writes is False
    assert settings.subscription_key is None


@every("off", [False, None, 0, 1, "", "0", "false", " No ", "off", ssl._create_unverified_context()])
def test_verification_cannot_be_turned_off(off):
    with pytest.raises(OctopiaConfigError, match="CA bundle"):
        OctopiaSettings(verify=off)


def test_verification_cannot_be_turned_off_by_the_environment():
    with pytest.raises(OctopiaConfigError, match="cannot be turned off"):
        OctopiaSettings.from_env({"OCTOPIA_CA_BUNDLE": "false"})


def test_a_ca_bundle_makes_a_verifying_context():
    context = OctopiaSettings(verify=certifi.where()).ssl_context()
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_directory_of_authorities_makes_a_verifying_context(tmp_path):
    context = OctopiaSettings(verify=tmp_path).ssl_context()
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_bundle_that_is_missing_or_empty_is_refused(tmp_path):
    with pytest.raises(OctopiaConfigError, match="does not exist"):
        OctopiaSettings(verify=tmp_path / "none.pem")
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(OctopiaConfigError, match="cannot be read"):
        OctopiaSettings(verify=empty).ssl_context()


@every(
    ("url", "right"),
    [
        (
            "https://oauth2.cdiscount.com/auth/realms/maas-international-sellers/protocol/openid-connect/token",
            TOKEN_URL,
        ),
        ("https://OAUTH2.cdiscount.com./auth", TOKEN_URL),
        ("https://sts.cdiscount.com/users/httpIssue.svc/", TOKEN_URL),
        ("https://marketplaceapi.cdiscount.com/OrderManagement", API_URL),
        ("https://wsvc.cdiscount.com/MarketplaceAPIService.svc", API_URL),
    ],
)
def test_a_retired_address_is_refused_with_the_right_one_named(url, right):
    with pytest.raises(OctopiaConfigError) as raised:
        OctopiaSettings(token_url=url)
    assert right in str(raised.value)


@every(
    "url",
    [
        "http://auth.octopia-io.net/token",
        "http://127.0.0.1.example.com/x",
        "ftp://127.0.0.1/",
        "https://user@host/x",
        "https://host/x?secret=1",
        "https://host/x#y",
        "https://",
        "not a url",
        "https://host:port/",
        "https://[::1/",
        "https://host/\r\n",
    ],
)
def test_an_address_that_must_not_see_credentials_is_refused(url):
    with pytest.raises(OctopiaConfigError):
        OctopiaSettings(token_url=url)


@every("url", ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:5/x", "https://auth.octopia.com/x"])
def test_loopback_and_other_https_hosts_are_accepted(url):
    assert OctopiaSettings(token_url=url).token_url == url


def test_the_environment_is_read():
    env = {"OCTOPIA_API_URL": "https://a.example/v2/", "OCTOPIA_SUBSCRIPTION_KEY": "k", "OCTOPIA_LANGUAGE": "fr-FR"}
    settings = OctopiaSettings.from_env(env)
    assert settings.api_url == "https://a.example/v2"
    assert settings.subscription_key == SecretStr("k")
    assert settings.language == "fr-FR"


@every(
    "bad",
    [
        {"connect_seconds": 0},
        {"read_seconds": float("nan")},
        {"max_reply_bytes": -1},
        {"language": "a\r\nb"},
        {"subscription_key": SecretStr("é")},
    ],
)
def test_odd_limits_and_headers_are_refused(bad):
    with pytest.raises(OctopiaConfigError):
        OctopiaSettings(**bad)


def test_a_plain_subscription_key_is_wrapped():
    assert "canary" not in repr(OctopiaSettings(subscription_key="canary"))


@every("bad", [{"attempts": 0}, {"base_seconds": -1}, {"total_seconds": float("nan")}])
def test_an_odd_retry_policy_is_refused(bad):
    with pytest.raises(OctopiaConfigError):
        RetryPolicy(**bad)
