"""A fake server, a clock, and both clients behind one fixture."""

import logging
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from octopia_stage import Caller, Timer

from octopus_soap.octopia import OctopiaCredentials, OctopiaSettings
from octopus_soap.octopia.fake import FakeOctopia


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def fake(timer: Timer) -> Iterator[FakeOctopia]:
    with FakeOctopia(clock=timer) as server:
        yield server


@pytest.fixture
def service(fake: FakeOctopia) -> Any:
    return fake.service


@pytest.fixture
def credentials(fake: FakeOctopia) -> OctopiaCredentials:
    return OctopiaCredentials(client_id=fake.client_id, client_secret=fake.client_secret, seller_id=fake.seller_id)


@pytest.fixture
def settings(fake: FakeOctopia) -> OctopiaSettings:
    return OctopiaSettings(token_url=fake.token_url, api_url=fake.api_url, allow_writes=True)


@pytest.fixture(params=["sync", "async"])
def call(request, credentials, settings, timer) -> Iterator[Caller]:
    caller = Caller(request.param, credentials, settings, timer)
    yield caller
    caller.close()


@pytest.fixture(autouse=True)
def no_secret_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check in every test, at DEBUG, that the fake's secret and tokens are not logged."""
    with caplog.at_level(logging.DEBUG):
        yield
    logged = "\n".join(record.getMessage() for record in caplog.get_records("call"))
    assert FakeOctopia.client_secret not in logged
    assert "eyJfake" not in logged


@pytest.fixture
def inspected(certificate, timer):
    """A fake behind TLS with the test's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = FakeOctopia(clock=timer)
    # The handshake belongs to the thread of the connection: a client that aborts it must not stop the server.
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True, do_handshake_on_connect=False)
    with server:
        yield server
