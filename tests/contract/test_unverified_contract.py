"""Writes with the bundled contract to a real endpoint are refused before sending."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import requests
import responses
from contract_variants import everything

from octopus_soap import (
    AsyncOctopusClient,
    OctopusClient,
    OctopusSettings,
    UnverifiedContractError,
)
from octopus_soap.contracts.bundled import contract_path
from octopus_soap.emulator import Emulator
from octopus_soap.models.declarations import Safety
from octopus_soap.operations import OPERATIONS
from tests.catalogue import BY_NAME, seed
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIVE = "https://example.invalid/OctopusService.svc"
WRITES = [name for name, operation in OPERATIONS.items() if operation.safety is not Safety.READ]
READS = [name for name, operation in OPERATIONS.items() if operation.safety is Safety.READ]


def call(client: OctopusClient, operation: str) -> Any:
    return BY_NAME[operation](client)


@pytest.fixture
def internet() -> Iterator[responses.RequestsMock]:
    """A network that never answers and counts what is sent."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def live(internet: responses.RequestsMock) -> Callable[[Emulator], None]:
    """Put an emulator at the address of the live service."""

    def put(service: Emulator) -> None:
        internet.add_passthru("http://127.0.0.1")

        def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
            reply = requests.post(service.url, data=request.body, headers=request.headers, timeout=10)
            return reply.status_code, {"Content-Type": reply.headers["Content-Type"]}, reply.content

        internet.add_callback(responses.POST, LIVE, answer)

    return put


@pytest.fixture
def connect(running_service: Emulator) -> Iterator[Callable[..., OctopusClient]]:
    made: list[OctopusClient] = []

    def make(**settings: Any) -> OctopusClient:
        given = {**running_service.settings(), "endpoint": LIVE, "max_attempts": 1, **settings}
        made.append(OctopusClient(settings=OctopusSettings.load(**given)))
        return made[-1]

    yield make
    for client in made:
        client.close()


@every("operation", WRITES)
def test_every_write_is_refused_and_nothing_is_sent(
    operation: str, connect: Callable[..., OctopusClient], internet: responses.RequestsMock
) -> None:
    with pytest.raises(UnverifiedContractError, match=f"{operation}.*wsdl pin.*wsdl=.*accept_unverified_contract"):
        call(connect(), operation)
    assert len(internet.calls) == 0


@every("operation", [name for name in WRITES if OPERATIONS[name].rule is not None])
def test_a_stream_of_writes_is_refused_too(
    operation: str, connect: Callable[..., OctopusClient], internet: responses.RequestsMock
) -> None:
    with pytest.raises(UnverifiedContractError):
        list(getattr(connect(), OPERATIONS[operation].name).stream(*BY_NAME[operation].arguments))
    assert len(internet.calls) == 0


def test_a_safety_class_changed_in_the_settings_does_not_open_the_guard(
    connect: Callable[..., OctopusClient], internet: responses.RequestsMock
) -> None:
    client = connect(safety=dict.fromkeys(WRITES, "read"))
    for operation in WRITES:
        with pytest.raises(UnverifiedContractError):
            call(client, operation)
    assert len(internet.calls) == 0


def test_options_of_a_view_do_not_open_the_guard(
    connect: Callable[..., OctopusClient], internet: responses.RequestsMock
) -> None:
    with pytest.raises(UnverifiedContractError):
        connect().with_options(max_attempts=2).upload_item(*BY_NAME["UploadItem"].arguments)
    assert len(internet.calls) == 0


@every("operation", READS)
def test_every_read_works_with_the_bundled_contract(
    operation: str, connect: Callable[..., OctopusClient], live: Callable[[Emulator], None], service: Emulator
) -> None:
    live(service)
    service.reset()
    seed(service)
    call(connect(), operation)
    assert [made.operation for made in service.calls] == [operation]


def write_everything(client: OctopusClient, service: Emulator) -> None:
    """Make every write of the catalogue, on items and orders that exist."""
    for operation in WRITES:
        service.reset()
        seed(service)
        call(client, operation)
        assert [made.operation for made in service.calls] == [operation]
        assert service.lint == []


def test_accepting_the_risk_lets_every_write_through(
    connect: Callable[..., OctopusClient], live: Callable[[Emulator], None], service: Emulator
) -> None:
    live(service)
    write_everything(connect(accept_unverified_contract=True), service)


def test_a_contract_of_ones_own_lets_every_write_through(
    connect: Callable[..., OctopusClient], live: Callable[[Emulator], None], tmp_path: Path, running_service: Emulator
) -> None:
    wsdl = everything(tmp_path)
    with Emulator(wsdl=wsdl, merchants=running_service.merchants) as other:
        live(other)
        write_everything(connect(wsdl=wsdl), other)


def test_a_copy_of_the_bundled_contract_counts_as_ones_own_and_the_bundled_file_itself_does_not(
    connect: Callable[..., OctopusClient], live: Callable[[Emulator], None], tmp_path: Path, service: Emulator
) -> None:
    live(service)
    with pytest.raises(UnverifiedContractError):
        connect(wsdl=contract_path()).upload_item(*BY_NAME["UploadItem"].arguments)
    shutil.copytree(contract_path().parent, tmp_path / "wsdl")
    assert connect(wsdl=tmp_path / "wsdl" / contract_path().name).upload_item(*BY_NAME["UploadItem"].arguments) > 0


@pytest.mark.parametrize("endpoint", ["https://127.0.0.1.example.invalid/", "https://localhost.example.invalid/"])
def test_a_host_that_only_looks_like_this_machine_is_not(
    endpoint: str, connect: Callable[..., OctopusClient], internet: responses.RequestsMock
) -> None:
    with pytest.raises(UnverifiedContractError):
        connect(endpoint=endpoint).upload_item(*BY_NAME["UploadItem"].arguments)
    assert len(internet.calls) == 0


@every("operation", WRITES)
def test_the_async_client_refuses_every_write_too(operation: str, running_service: Emulator) -> None:
    async def attempt() -> None:
        settings = OctopusSettings.load(**{**running_service.settings(), "endpoint": LIVE, "max_attempts": 1})
        async with AsyncOctopusClient(settings=settings) as client:
            await getattr(client, OPERATIONS[operation].name)(*BY_NAME[operation].arguments)

    with pytest.raises(UnverifiedContractError):  # a request that was sent would end as ConnectFailed
        asyncio.run(attempt())
