"""`octopus-soap doctor`: one finding per check, with advice, and its exit code."""

from __future__ import annotations

import ssl
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from contract_variants import members_added, members_reversed, values_not_nillable, variant
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from octopus_soap import OctopusClient
from octopus_soap.cli import diagnostics
from octopus_soap.emulator import ApiFailure, Drip, Emulator, Hang, Lie, Profile, Status
from octopus_soap.errors import ConnectFailedError
from octopus_soap.transport import probes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CREDENTIALS = {"authtoken": "t0ken-of-test", "merchantname": "shop", "accessid": "acc355-of-test"}
CHECKS = ["settings", "dns", "tcp", "tls", "contract", "published", "credentials", "clock"]


@pytest.fixture
def doctor(octopus_soap: Callable[..., Any]) -> Callable[..., Any]:
    """Run `doctor`, and return its findings by check."""

    def run(*words: str) -> Any:
        said = octopus_soap("doctor", "--output", "json", *words)
        assert said.err == ""
        return said.code, {finding["check"]: finding for finding in said.data}

    return run


def statuses(found: dict[str, Any]) -> dict[str, str]:
    return {check: finding["status"] for check, finding in found.items()}


# -- a healthy service -----------------------------------------------------------------------------------------------


def test_all_is_well_against_the_embedded_service(
    doctor: Callable[..., Any], configured: Callable[..., None], service: Emulator
) -> None:
    configured(service)
    code, found = doctor()
    assert statuses(found) == dict.fromkeys(CHECKS, "ok") | {"tls": "skip"}
    assert code == 0
    assert [call.operation for call in service.calls] == ["IsSkuExistList"], "one cheap read"
    assert service.lint == []


def test_the_lines_fit_80_columns_and_secrets_are_named_and_not_shown(
    octopus_soap: Callable[..., Any], configured: Callable[..., None], service: Emulator
) -> None:
    configured(service)
    said = octopus_soap("doctor")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("ok    settings     complete")
    assert "authtoken = (secret)  [environment]" in said.out
    assert not [line for line in lines if len(line) > 80 and "[environment]" not in line]
    assert [line.split()[1] for line in lines if not line.startswith(" ")] == CHECKS
    assert not [name for name in ("authtoken", "accessid") if service.settings()[name] in said.out]


def test_it_says_where_each_setting_came_from(
    doctor: Callable[..., Any],
    configured: Callable[..., None],
    service: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = service.settings()
    configured(authtoken=given["authtoken"])
    (tmp_path / ".env").write_text(f"OCTOPUS_ACCESSID={given['accessid']}\nOCTOPUS_AUTHTOKEN=loses\n")
    profiles = tmp_path / "p.toml"
    profiles.write_text(f'[shop]\nendpoint = "{service.url}"\nread_timeout = 5.0\nmerchantname = "loses"\n')
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", str(profiles))
    code, found = doctor("--merchantname", given["merchantname"], "--profile", "shop")
    assert code == 0
    assert found["settings"]["details"] == [
        f"endpoint = {service.url}  [profile shop]",
        "authtoken = (secret)  [environment]",
        f"merchantname = {given['merchantname']}  [command line]",
        "accessid = (secret)  [.env]",
        "read_timeout = 5.0  [profile shop]",
        "profile = shop  [command line]",
    ]
    assert str(profiles) in found["settings"]["text"]


def test_a_pinned_contract_is_named_and_compared_with_what_is_published(
    doctor: Callable[..., Any], configured: Callable[..., None], running_service: Emulator, tmp_path: Path
) -> None:
    wsdl = variant(tmp_path / "v", members_reversed)
    with Emulator(wsdl=wsdl, merchants=running_service.merchants) as service:
        configured(service, wsdl=str(wsdl))
        code, found = doctor()
    assert (code, found["published"]["status"]) == (0, "ok")
    assert str(wsdl) in found["contract"]["text"]


# -- problems --------------------------------------------------------------------------------------------------------


def test_settings_that_are_missing_are_named_and_end_it(doctor: Callable[..., Any], configured: Any) -> None:
    configured(endpoint="http://127.0.0.1:9/x.svc")
    code, found = doctor()
    assert (code, statuses(found)) == (2, {"settings": "fail"})
    assert "missing: authtoken, merchantname, accessid" in found["settings"]["text"]
    assert "profiles" in found["settings"]["advice"] or "null" in found["settings"]["advice"]


def test_nobody_listening_is_told_from_a_wrong_name(doctor: Callable[..., Any], configured: Any) -> None:
    configured(endpoint="http://127.0.0.1:9/x.svc", **CREDENTIALS)
    code, found = doctor()
    assert (code, found["tcp"]["status"]) == (2, "fail")
    assert "refused" in found["tcp"]["text"].lower()
    assert {found[check]["status"] for check in ("published", "credentials", "clock")} == {"skip"}


def test_a_name_nobody_knows_is_a_matter_of_dns(
    doctor: Callable[..., Any], configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise probes.socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(probes.socket, "getaddrinfo", unknown)
    configured(endpoint="https://nobody.invalid/x.svc", **CREDENTIALS)
    code, found = doctor()
    assert (code, statuses(found)["dns"]) == (2, "fail")
    assert "nobody.invalid" in found["dns"]["text"]
    assert found["contract"]["status"] == "warn", "the bundled one, against a real endpoint"
    assert "wsdl pin" in found["contract"]["advice"]


def test_a_resolver_that_never_answers_is_left_within_its_limit(
    doctor: Callable[..., Any], configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes.socket, "getaddrinfo", lambda *_, **__: threading.Event().wait(1) or [])
    monkeypatch.setattr(diagnostics, "NAME_SECONDS", 0.1)
    configured(endpoint="https://slow.invalid/x.svc", **CREDENTIALS)
    code, found = doctor()
    assert (code, found["dns"]["text"]) == (2, "no answer about slow.invalid within 0.1 s")


@pytest.mark.parametrize(
    "failure", ["internal-fault", "fault-exception", "401-html", "403-empty", "apiresult-failure", "fault-200"]
)
def test_refused_credentials_are_told_in_every_form(
    failure: Any, doctor: Callable[..., Any], configured: Callable[..., None], running_service: Emulator
) -> None:
    with Emulator(profile=Profile(auth_failure=failure), merchants=running_service.merchants) as service:
        configured(service, authtoken="an-old-token")
        code, found = doctor()
    assert (code, found["credentials"]["status"]) == (2, "fail")
    assert "reseller" in found["credentials"]["advice"]
    assert "an-old-token" not in str(found)
    assert found["published"]["status"] == "ok"


def test_a_contract_that_differs_from_the_published_one_fails_and_says_how_to_get_it(
    doctor: Callable[..., Any], configured: Callable[..., None], running_service: Emulator, tmp_path: Path
) -> None:
    wsdl = variant(tmp_path / "v", values_not_nillable)
    with Emulator(wsdl=wsdl, profile=Profile(nillable_values=False), merchants=running_service.merchants) as service:
        configured(service)
        code, found = doctor()
    assert (code, found["published"]["status"]) == (2, "fail")
    assert "differs from the one in force" in found["published"]["text"]
    assert "wsdl diff" in found["published"]["advice"]
    assert "--against" not in found["published"]["advice"], "the bundled contract is in force"


def test_with_a_pinned_contract_the_advice_names_it(
    doctor: Callable[..., Any], configured: Callable[..., None], running_service: Emulator, tmp_path: Path
) -> None:
    pinned = variant(tmp_path / "my contracts", members_added)
    with Emulator(wsdl=variant(tmp_path / "v", values_not_nillable), merchants=running_service.merchants) as service:
        configured(service, wsdl=str(pinned))
        _, found = doctor()
    assert f"wsdl diff --against '{pinned}' shows them" in found["published"]["advice"]


def test_a_contract_that_is_not_published_is_a_warning(
    doctor: Callable[..., Any], configured: Callable[..., None], running_service: Emulator
) -> None:
    with Emulator(profile=Profile(metadata="off"), merchants=running_service.merchants) as service:
        configured(service)
        code, found = doctor()
    assert (code, found["published"]["status"]) == (1, "warn")
    assert "--file" in found["published"]["advice"]


def test_a_contract_that_cannot_be_loaded_fails_and_the_network_is_looked_at_all_the_same(
    doctor: Callable[..., Any], configured: Callable[..., None], service: Emulator, tmp_path: Path
) -> None:
    configured(service, wsdl=str(tmp_path / "gone.wsdl"))
    code, found = doctor()
    assert code == 2
    assert statuses(found) == dict.fromkeys(CHECKS, "ok") | {
        "tls": "skip",
        "contract": "fail",
        "published": "warn",
        "credentials": "skip",
    }
    assert "gone.wsdl" in found["contract"]["text"]


@pytest.mark.parametrize(("fault", "words"), [(Status(503), "503"), (Status(302), "302"), (ApiFailure(), "")])
def test_a_service_that_is_out_of_order_is_told_in_its_words(
    fault: Any, words: str, doctor: Callable[..., Any], configured: Callable[..., None], service: Emulator
) -> None:
    configured(service)
    service.script.on("IsSkuExist*").do(fault)
    code, found = doctor()
    assert (code, found["credentials"]["status"]) == (2, "fail")
    assert words in found["credentials"]["text"]


def test_a_service_that_says_no_to_everything_without_a_reason_is_a_warning(
    doctor: Callable[..., Any], configured: Callable[..., None], service: Emulator
) -> None:
    configured(service)
    service.script.on("IsSkuExistList").do(Lie("missing-row"))
    code, found = doctor()
    assert (code, found["credentials"]["status"]) == (1, "warn")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("fault", [Hang(), Drip(1)], ids=["hangs", "drips"])
def test_it_ends_within_its_limits_whatever_hangs(
    fault: Any,
    doctor: Callable[..., Any],
    configured: Callable[..., None],
    service: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = ("NAME_SECONDS", "PORT_SECONDS", "TLS_SECONDS", "CONTRACT_SECONDS", "READ_SECONDS")
    assert sum(getattr(diagnostics, name) for name in limits) < 30
    for name in limits:
        monkeypatch.setattr(diagnostics, name, 0.3)
    configured(service)
    service.script.on("*").do(fault)
    service.script.on("?*").do(fault)
    code, found = doctor()
    assert code == 2
    assert (found["published"]["status"], found["credentials"]["status"]) == ("warn", "fail")


@pytest.mark.parametrize(
    ("seconds", "status", "code"), [(0, "ok", 2), (-90, "warn", 2), (90, "warn", 2), (3600, "fail", 2)]
)
def test_the_clock_is_compared_with_the_date_header(
    seconds: int, status: str, code: int, doctor: Callable[..., Any], configured: Any, open_site: Callable[..., Any]
) -> None:
    site = open_site()  # every answer is a 404, which still has a Date
    site.date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    configured(endpoint=f"{site.url}/x.svc", **CREDENTIALS)
    ended, found = doctor()
    assert (found["clock"]["status"], ended) == (status, code)
    assert seconds == 0 or ("behind" if seconds < 0 else "ahead of") in found["clock"]["text"]


@pytest.mark.parametrize("date", ["yesterday", "Wed, 99 Foo 2026"])
def test_a_date_that_is_none_is_a_warning(
    date: str, doctor: Callable[..., Any], configured: Any, open_site: Callable[..., Any]
) -> None:
    site = open_site()
    site.date = date
    configured(endpoint=f"{site.url}/x.svc", **CREDENTIALS)
    _, found = doctor()
    assert found["clock"]["status"] == "warn"


# -- TLS -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[int], Path]:
    """Make a self-signed certificate for 127.0.0.1, valid for the given days."""

    def make(days: int) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test CA")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=days, hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = tmp_path / f"{days}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
        return path

    return make


def secured(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(("days", "status"), [(365, "ok"), (12, "warn"), (-2, "fail")])
def test_the_certificate_is_looked_at(
    days: int, status: str, certificate: Any, doctor: Callable[..., Any], configured: Any, open_site: Callable[..., Any]
) -> None:
    path = certificate(days)
    site = open_site(secured(path))
    configured(endpoint=f"{site.url}/x.svc", ca_bundle=str(path), **CREDENTIALS)
    _, found = doctor()
    assert found["tls"]["status"] == status, found["tls"]
    words = {"ok": "Test CA", "warn": f"({days} days)", "fail": "expired"}
    assert words[status] in found["tls"]["text"]
    assert statuses(found)["clock"] == ("skip" if status == "fail" else "ok")


def test_a_certificate_nobody_vouches_for_fails_and_says_which_setting_helps(
    certificate: Any, doctor: Callable[..., Any], configured: Any, open_site: Callable[..., Any]
) -> None:
    site = open_site(secured(certificate(365)))
    configured(endpoint=f"{site.url}/x.svc", **CREDENTIALS)
    code, found = doctor()
    assert (code, found["tls"]["status"]) == (2, "fail")
    assert "self-signed" in found["tls"]["text"].replace(" ", "-")
    assert "OCTOPUS_CA_BUNDLE" in found["tls"]["advice"]
    assert site.asked == [], "no credential is sent to a server without a trusted certificate"


@pytest.mark.parametrize("variable", ["OCTOPUS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_only_the_certificates_that_calls_trust_are_trusted_and_not_the_systems(
    variable: str,
    certificate: Any,
    doctor: Callable[..., Any],
    configured: Any,
    open_site: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs, company = certificate(365), certificate(300)
    site = open_site(secured(company))
    monkeypatch.setenv("SSL_CERT_FILE", str(company))  # OpenSSL takes it for the system's certificates
    monkeypatch.setenv(variable, str(theirs))
    configured(endpoint=f"{site.url}/x.svc", **CREDENTIALS)
    with pytest.raises(ConnectFailedError, match="CERTIFICATE_VERIFY_FAILED"), OctopusClient() as client:
        client.is_sku_exist("A")
    _, found = doctor()
    assert found["tls"]["status"] == "fail", found["tls"]
    assert "not trusted" in found["tls"]["text"]
    assert site.asked == []


def test_certificates_that_cannot_be_read_are_named(
    certificate: Any, doctor: Callable[..., Any], configured: Any, open_site: Callable[..., Any], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    site = open_site(secured(certificate(365)))
    configured(endpoint=f"{site.url}/x.svc", ca_bundle=str(empty), **CREDENTIALS)
    code, found = doctor()
    assert (code, found["tls"]["status"]) == (2, "fail")
    assert str(empty) in found["tls"]["text"]


def test_plain_http_on_a_tls_port_is_a_matter_of_tls(
    doctor: Callable[..., Any], configured: Any, service: Emulator
) -> None:
    configured(service, endpoint=service.url.replace("http:", "https:"))
    code, found = doctor()
    assert (code, found["tls"]["status"]) == (2, "fail")


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_of_the_environment_is_named_without_its_password(
    doctor: Callable[..., Any], configured: Any, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}user:pa55word@127.0.0.1:9")
    configured(endpoint="https://example.invalid/x.svc", **CREDENTIALS)
    code, found = doctor()
    assert code == 2
    assert "proxy 127.0.0.1:9," in found["network"]["text"]
    assert "pa55word" not in str(found)
