"""Writes with the bundled, reconstructed contract against a real endpoint: refused before anything is sent."""

from __future__ import annotations

import asyncio
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests
import responses
from contract_variants import everything

from octopus_soap import (
    AsyncOctopusClient,
    CustomFieldMapping,
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusSettings,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderSubmit,
    UnverifiedContractError,
)
from octopus_soap.contracts.bundled import contract_path
from octopus_soap.emulator import Emulator
from octopus_soap.operations import OPERATIONS
from octopus_soap.safety import Safety

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIVE = "https://example.invalid/OctopusService.svc"
UPDATE, ITEM = ItemQuantityAndPrice(sku="A", price=Decimal("3.50")), InventoryItem(sku="A", price=Decimal("3.50"))
ARGUMENTS: dict[str, Any] = {
    "IsSkuExist": "A",
    "IsSkuExistList": ["A"],
    "GetItemList": ["A"],
    "GetItemQuantity": "A",
    "GetItemQuantityInfo": "A",
    "GetItemQuantityList": ["A"],
    "GetOrderListStore": "S1",
    "UpdateItemQuantityAndPrice": UPDATE,
    "UpdateItemQuantityAndPriceList": [UPDATE],
    "UploadItem": ITEM,
    "UploadItemList": [ITEM],
    "DeleteItem": "A",
    "DeleteItemStore": "A",
    "DeleteTblItem": "A",
    "SetDownloadOrderConfirm": [OrderDownloadSubmitRequest(order_id="1")],
    "SetDownloadSplitOrderConfirm": [OrderDownloadSubmitRequest(order_id="1", store_id="S1")],
    "SubmitOrder": OrderSubmit(order_id="WEB-1", order_items=[OrderItem(sku="A", quantity=1)]),
    "CustomFieldMapping": [CustomFieldMapping(text="Season", value="Custom1")],
}
"""One good argument each; the two operations that are not here take none."""

WRITES = [name for name, operation in OPERATIONS.items() if operation.safety is not Safety.READ]
READS = [name for name, operation in OPERATIONS.items() if operation.safety is Safety.READ]


def call(client: OctopusClient, operation: str) -> Any:
    arguments = [ARGUMENTS[operation]] if operation in ARGUMENTS else []
    return getattr(client, OPERATIONS[operation].name)(*arguments)


@pytest.fixture
def internet() -> Iterator[responses.RequestsMock]:
    """A network that answers nothing and counts what is sent."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def live(internet: responses.RequestsMock) -> Callable[[Emulator], None]:
    """Put an emulator where the live service would be."""

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


def stocked(service: Emulator) -> None:
    service.store.add_item("A", Price=Decimal(5), Stock="7", changed=True)


def test_the_lists_of_reads_and_writes_cover_the_catalogue() -> None:
    assert len(READS) + len(WRITES) == 20
    assert {"UpdateItemQuantityAndPriceList", "SubmitOrder", "SetDownloadOrderConfirm"} <= set(WRITES)


@pytest.mark.parametrize("operation", WRITES)
def test_every_write_is_refused_and_nothing_is_sent(
    operation: str, connect: Callable[..., OctopusClient], internet: responses.RequestsMock
) -> None:
    with pytest.raises(UnverifiedContractError, match=f"{operation}.*wsdl pin.*wsdl=.*accept_unverified_contract"):
        call(connect(), operation)
    assert len(internet.calls) == 0


@pytest.mark.parametrize("operation", [name for name in WRITES if OPERATIONS[name].rule is not None])
def test_a_stream_of_writes_is_refused_too(
    operation: str, connect: Callable[..., OctopusClient], internet: responses.RequestsMock
) -> None:
    with pytest.raises(UnverifiedContractError):
        list(getattr(connect(), OPERATIONS[operation].name).stream(ARGUMENTS[operation]))
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
        connect().with_options(max_attempts=2).upload_item(ITEM)
    assert len(internet.calls) == 0


@pytest.mark.parametrize("operation", READS)
def test_every_read_works_with_the_bundled_contract(
    operation: str, connect: Callable[..., OctopusClient], live: Callable[[Emulator], None], service: Emulator
) -> None:
    live(service)
    stocked(service)
    call(connect(), operation)
    assert [made.operation for made in service.calls] == [operation]


def write_everything(client: OctopusClient, service: Emulator) -> None:
    """Every write of the catalogue, on things that are there."""
    for operation in WRITES:
        service.reset()
        stocked(service)
        service.store.add_order(stores=["S1"])
        call(client, operation)
        assert [made.operation for made in service.calls] == [operation]
        assert [note for note in service.lint if note.what != "ignored-confirm"] == []  # there is no order 1


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
        connect(wsdl=contract_path()).upload_item(ITEM)
    shutil.copytree(contract_path().parent, tmp_path / "wsdl")
    assert connect(wsdl=tmp_path / "wsdl" / contract_path().name).upload_item(ITEM) > 0


@pytest.mark.parametrize("endpoint", ["https://127.0.0.1.example.invalid/", "https://localhost.example.invalid/"])
def test_a_host_that_only_looks_like_this_machine_is_not(
    endpoint: str, connect: Callable[..., OctopusClient], internet: responses.RequestsMock
) -> None:
    with pytest.raises(UnverifiedContractError):
        connect(endpoint=endpoint).upload_item(ITEM)
    assert len(internet.calls) == 0


@pytest.mark.parametrize("operation", WRITES)
def test_the_async_client_refuses_every_write_too(operation: str, running_service: Emulator) -> None:
    async def attempt() -> None:
        settings = OctopusSettings.load(**{**running_service.settings(), "endpoint": LIVE, "max_attempts": 1})
        async with AsyncOctopusClient(settings=settings) as client:
            await getattr(client, OPERATIONS[operation].name)(ARGUMENTS[operation])

    with pytest.raises(UnverifiedContractError):  # anything sent would end as ConnectFailed
        asyncio.run(attempt())
