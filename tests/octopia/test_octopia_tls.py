"""Certificates are verified, and a CA bundle is the right answer to a proxy that inspects TLS."""

import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from octopia_stage import Caller

from octopus_soap.octopia import OctopiaSettings, OctopiaTlsError
from octopus_soap.octopia.fake import FakeOctopia


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that is its own authority, as (certificate, key) files."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "octopia test authority")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file.write_bytes(private)
    return cert_file, key_file


@pytest.fixture
def inspected(certificate, timer):
    """A fake behind TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = FakeOctopia(clock=timer)
    # The handshake belongs to the thread of the connection: a client that breaks it off must not stop the server.
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True, do_handshake_on_connect=False)
    with server:
        yield server


def settings(server: FakeOctopia, **more) -> OctopiaSettings:
    def secure(url: str) -> str:
        return url.replace("http:", "https:")

    return OctopiaSettings(token_url=secure(server.token_url), api_url=secure(server.api_url), **more)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_unknown_authority_is_refused_once_with_the_right_remedy_named(credentials, inspected, timer, mode):
    caller = Caller(mode, credentials, settings(inspected), timer)
    with pytest.raises(OctopiaTlsError, match="CA bundle") as raised:
        caller("seller")
    caller.close()
    assert "cannot be turned off" in str(raised.value)
    assert timer.slept == []
    assert inspected.service.recorded == []


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_ca_bundle_makes_it_work(credentials, inspected, timer, mode, certificate):
    caller = Caller(mode, credentials, settings(inspected, verify=certificate[0]), timer)
    assert caller("seller").seller_id == "55501"
    caller.close()
