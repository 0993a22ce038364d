"""All 20 operations under other contracts, with a service that follows each.

WCF ignores wrong members silently, so the service's lint log shows whether a request was right and not only accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from contract_variants import (
    VARIANTS,
    everything,
    members_added,
    members_reversed,
    moved,
    renamed,
    values_not_nillable,
    variant,
)

from octopus_soap import (
    AddressInfo,
    AttributeInfo,
    ContractError,
    CustomFieldMapping,
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    KitInfo,
    Locks,
    OctopusClient,
    OctopusSettings,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderSubmit,
    PaymentStatusCode,
    Removal,
    StoreStockInfo,
    UpdateItemResponse,
    VariationInfo,
)
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.emulator import Emulator, Profile
from octopus_soap.models.base import member
from octopus_soap.operations import OPERATIONS
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.redact import Redactor
from tests.catalogue import ROWS, Row, seed
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MONEY = Decimal("3.50")


@dataclass(frozen=True)
class Stage:
    """A service and its client, both with one contract."""

    service: Emulator
    client: OctopusClient
    wsdl: Path


@pytest.fixture(scope="module", params=VARIANTS)
def opened(
    request: pytest.FixtureRequest, running_service: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    wsdl = VARIANTS[request.param](tmp_path_factory.mktemp("contract"))
    with Emulator(wsdl=wsdl, merchants=running_service.merchants) as service:
        settings = OctopusSettings.load(**service.settings(), wsdl=wsdl)
        with OctopusClient(settings=settings) as client:
            yield Stage(service, client, wsdl)


@pytest.fixture
def stage(opened: Stage) -> Iterator[Stage]:
    opened.service.reset()
    yield opened
    assert opened.service.lint == []
    assert [call.error for call in opened.service.calls if call.error] == []


def whole_item(sku: str) -> InventoryItem:
    """Return an item with all value types set, so that any contract accepts it."""
    prices = [
        name for name in InventoryItem.model_fields if name.endswith(("price", "cost", "msrp")) or "price_" in name
    ]
    store = [name for name in StoreStockInfo.model_fields if name not in {"store_id", "store_stock"}]
    return InventoryItem(
        sku=sku,
        description="Mug & <Cup>",
        stock="12",
        weight=Decimal("0.25"),
        sale_start_date=NOON,
        sale_end_date=NOON,
        custom10="tenth",
        **dict.fromkeys(prices, MONEY),
        store_stock_info_list=[StoreStockInfo(store_id="S1", store_stock=4.5, **dict.fromkeys(store, MONEY))],
        kit_list=[KitInfo(sku="PART", quantity=2.0)],
        attribute_list=[AttributeInfo(name="Colour", value="blå")],
        variation_info=VariationInfo(is_parent=True, parent_sku="P"),
        field_locks=Locks(**{name: name == "lock_upc" for name in Locks.model_fields}),
    )


def whole_update(sku: str, stock: int) -> ItemQuantityAndPrice:
    return ItemQuantityAndPrice(
        sku=sku, stock=stock, price=MONEY, cost=MONEY, lock_stock=False, lock_price=False, lock_cost=False
    )


# -- one scene per operation -------------------------------------------------------------------------------------------


def is_sku_exist(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A")
    assert client.is_sku_exist("A") is True
    assert client.is_sku_exist("B") is False


def is_sku_exist_list(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A")
    assert client.is_sku_exist_list(["B", "A"]) == [False, True]


def get_item_tbl_list(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", changed=True, Price=MONEY)
    assert [(item.sku, item.price) for item in client.get_item_tbl_list()] == [("A", MONEY)]


def get_item_list(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", Price=MONEY, StoreStockInfoList=[{"StoreID": "S1", "StorePrice": MONEY}])
    result = client.get_item_list(["A", "B"])
    assert [(item.price, item.stores[0].store_price) for item in result] == [(MONEY, MONEY)]
    assert [outcome.key for outcome in result.missing] == ["B"]


def get_item_quantity(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", Stock="41")
    assert client.get_item_quantity("A") == 41


def get_item_quantity_info(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", Stock="41", FormQuantity="3")
    found = client.get_item_quantity_info("A")
    assert (found.sku, found.stock, found.form_quantity) == ("A", 41, 3)


def get_item_quantity_list(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", Stock="41")
    result = client.get_item_quantity_list(["A", "B"])
    assert [(row.sku, row.stock) for row in result] == [("A", 41)]
    assert [outcome.key for outcome in result.rejected] == ["B"]


def update_item_quantity_and_price(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", Price=Decimal(9), Stock="1")
    assert client.update_item_quantity_and_price(whole_update("A", 7)) is True
    item = service.store.item("A")
    assert item is not None
    assert (item["Price"], item["Cost"], item["Stock"]) == (MONEY, MONEY, "7")


def update_item_quantity_and_price_list(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", Stock="1")
    result = client.update_item_quantity_and_price_list([whole_update("A", 7), whole_update("B", 8)])
    assert [row.sku for row in result if isinstance(row, UpdateItemResponse)] == ["A"]
    assert [outcome.key for outcome in result.rejected] == ["B"]
    item = service.store.item("A")
    assert item is not None
    assert (item["Price"], item["Cost"], item["Stock"]) == (MONEY, MONEY, "7")


def assert_whole(item: InventoryItem, stored: dict[str, Any] | None) -> None:
    """Check that the stored item has the values of *item*, by wire name."""
    assert stored is not None
    said = item.model_dump(by_alias=True, exclude_unset=True)
    assert {name: stored[name] for name in said} == said


def upload_item(client: OctopusClient, service: Emulator) -> None:
    item = whole_item("A")
    assert client.upload_item(item) > 0
    assert_whole(item, service.store.item("A"))
    (found,) = client.get_item_list(["A"])
    flat = [name for name in item.model_fields_set if not name.endswith(("_list", "_info", "_locks"))]
    assert {name: getattr(found, name) for name in flat} == {name: getattr(item, name) for name in flat}
    assert found.field_locks is not None
    assert (found.field_locks.lock_upc, found.field_locks.lock_price) == (True, False)


def upload_item_list(client: OctopusClient, service: Emulator) -> None:
    items = [whole_item("A"), whole_item("B")]
    assert [row.sku for row in client.upload_item_list(items)] == ["A", "B"]
    for item in items:
        assert_whole(item, service.store.item(item.sku or ""))


def delete_item(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A")
    assert client.delete_item("A", seller_id=7, product_id=9, status=1) is Removal.REMOVED
    assert client.delete_item("A") is Removal.NOT_FOUND


def delete_item_store(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", StoreStockInfoList=[{"StoreID": "S1"}, {"StoreID": "S2"}])
    stores = [StoreStockInfo(store_id="S1")]
    assert client.delete_item_store("A", seller_id=7, product_id=9, status=1, store_stock=stores) is Removal.REMOVED
    item = service.store.item("A")
    assert item is not None
    assert [store["StoreID"] for store in item["StoreStockInfoList"]] == ["S2"]


def delete_tbl_item(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", changed=True)
    assert client.delete_tbl_item("A") is Removal.REMOVED
    assert service.store.change_queue() == []


def get_order_list(client: OctopusClient, service: Emulator) -> None:
    ids = [service.store.add_order(OrderDate=NOON, payment_status=status) for status in ("Cleared", "Failed")]
    criteria = OrderCriteria(
        order_creation_filter_begin_time_gmt=NOON,
        order_creation_filter_end_time_gmt=NOON,
        order_id_list=ids,
        payment_status_filter=PaymentStatusCode.CLEARED,
    )
    (order,) = client.get_order_list(criteria)
    assert (order.id, order.placed, order.payment) == (str(ids[0]), NOON, PaymentStatusCode.CLEARED)
    assert len(client.get_order_list()) == 2


def get_order_list_store(client: OctopusClient, service: Emulator) -> None:
    shared = service.store.add_order(stores=["S1", "S2"])
    service.store.add_order(stores=["S1"])
    criteria = OrderCriteria(order_id_list=[shared])
    assert [(o.id, o.store_id) for o in client.get_order_list_store("S2", criteria)] == [(str(shared), "S2")]


def set_download_order_confirm(client: OctopusClient, service: Emulator) -> None:
    number = service.store.add_order()
    confirm = OrderDownloadSubmitRequest(order_id=str(number), third_party_order_number="POS-1")
    client.set_download_order_confirm([confirm])
    order = service.store.orders()[number]
    assert (order.confirmed, order.third_party) == (True, "POS-1")


def set_download_split_order_confirm(client: OctopusClient, service: Emulator) -> None:
    number = service.store.add_order(stores=["S1", "S2"])
    client.set_download_split_order_confirm([OrderDownloadSubmitRequest(order_id=str(number), store_id="S1")])
    assert service.store.orders()[number].stores == {"S1": True, "S2": False}


def submit_order(client: OctopusClient, service: Emulator) -> None:
    line = OrderItem(sku="A", quantity=2, unit_price=MONEY, description="mug", item_tax=MONEY, item_discount=MONEY)
    order = OrderSubmit(
        order_id="WEB-1",
        order_date=NOON,
        ship=AddressInfo(first_name="Ada", zip="00123"),
        order_items=[line],
        sub_total=MONEY,
        shipping_total=MONEY,
        tax_total=MONEY,
        total=MONEY,
        web_comment="ring",
    )
    answer = client.submit_order(order)
    assert answer.result is True
    stored = service.store.orders()[int(answer.id_order or 0)].members
    assert_whole_order = order.model_dump(by_alias=True, exclude_unset=True)
    assert {name: stored[name] for name in assert_whole_order} == assert_whole_order


def custom_field_mapping(client: OctopusClient, service: Emulator) -> None:
    client.custom_field_mapping([CustomFieldMapping(text="Season", value="Custom1", is_mapping="true")])
    assert service.store.mappings() == [{"Text": "Season", "Value": "Custom1", "IsMapping": "true"}]


SCENES: dict[str, Callable[[OctopusClient, Emulator], None]] = {
    scene.__name__: scene
    for scene in (
        is_sku_exist,
        is_sku_exist_list,
        get_item_tbl_list,
        get_item_list,
        get_item_quantity,
        get_item_quantity_info,
        get_item_quantity_list,
        update_item_quantity_and_price,
        update_item_quantity_and_price_list,
        upload_item,
        upload_item_list,
        delete_item,
        delete_item_store,
        delete_tbl_item,
        get_order_list,
        get_order_list_store,
        set_download_order_confirm,
        set_download_split_order_confirm,
        submit_order,
        custom_field_mapping,
    )
}


TELLING = ["is_sku_exist", "get_item_list", "get_item_quantity_info", "update_item_quantity_and_price_list", "upload_item",
           "delete_item_store", "get_order_list", "set_download_split_order_confirm", "submit_order", "custom_field_mapping"]  # fmt: skip
"""Scenes that together send and read every type of the contract."""


@pytest.mark.parametrize("name", TELLING)
def test_operations_work_on_another_contract_and_leave_nothing_to_lint(stage: Stage, name: str) -> None:
    SCENES[name](stage.client, stage.service)
    called = {call.operation for call in stage.service.calls}
    assert name in {OPERATIONS[operation].name for operation in called}


@pytest.fixture(scope="module")
def everything_at_once(tmp_path_factory: pytest.TempPathFactory, running_service: Emulator) -> Iterator[Stage]:
    """A contract with every change at once."""
    wsdl = everything(tmp_path_factory.mktemp("everything"))
    with Emulator(wsdl=wsdl, merchants=running_service.merchants) as service:
        settings = OctopusSettings.load(**service.settings(), wsdl=wsdl, omitted_values="send")
        with OctopusClient(settings=settings) as client:
            yield Stage(service, client, wsdl)


@every("row", ROWS, ids=str)
def test_every_operation_works_on_a_contract_with_every_change_at_once(everything_at_once: Stage, row: Row) -> None:
    service = everything_at_once.service
    service.reset()
    if scene := SCENES.get(row.name):
        scene(everything_at_once.client, service)
    else:
        seed(service)
        row(everything_at_once.client)
    assert row.operation in {call.operation for call in service.calls}
    assert service.lint == []


# -- members that the models do not have -------------------------------------------------------------------------


@pytest.fixture
def extended(tmp_path: Path, running_service: Emulator) -> Iterator[Stage]:
    """A contract with more members in every type."""
    wsdl = variant(tmp_path, members_added)
    with (
        Emulator(wsdl=wsdl, merchants=running_service.merchants) as service,
        OctopusClient(settings=OctopusSettings.load(**service.settings(), wsdl=wsdl)) as client,
    ):
        yield Stage(service, client, wsdl)
        assert service.lint == []


EXTRA = {"AaaExtra": "W7 & <co>", "MidExtra": Decimal("1.50"), "ZzzExtra": NOON}


def test_members_the_models_do_not_know_survive_reading_changing_and_writing_back(extended: Stage) -> None:
    store = {"StoreID": "S1", "StoreStock": 2.0, **EXTRA}
    extended.service.store.add_item("A", Price=MONEY, StoreStockInfoList=[store], **EXTRA)
    (item,) = extended.client.get_item_list(["A"])
    assert (item.model_extra or {}).keys() == EXTRA.keys()
    changed = item.replace(price=Decimal("9.99"))
    assert extended.client.upload_item(changed) > 0
    assert [row.sku for row in extended.client.upload_item_list([changed])] == ["A"]
    stored = extended.service.store.item("A")
    assert stored == {"Sku": "A", "Price": Decimal("9.99"), "StoreStockInfoList": [store], **EXTRA}
    body = extended.service.calls[-1].request
    assert (
        body.index(b"AaaExtra>W7 &amp; &lt;co&gt;<") < body.index(b"MidExtra>1.50") < body.index(b"ZzzExtra>2026-03-04")
    )


class OurItem(InventoryItem):
    """An item with members that only the extended contract has."""

    aaa_extra: str | None = member("AaaExtra")
    mid_extra: Decimal | None = member("MidExtra")


def test_members_of_a_contract_are_written_by_a_subclass_and_by_extra(extended: Stage) -> None:
    client, store = extended.client, extended.service.store
    client.upload_item(OurItem(sku="A", aaa_extra="typed", mid_extra=Decimal(2)))
    client.upload_item_list(
        [OurItem(sku="B", aaa_extra="typed"), InventoryItem(sku="C", extra={"AaaExtra": "by name"})]
    )
    assert store.item("A") == {"Sku": "A", "AaaExtra": "typed", "MidExtra": Decimal(2)}
    assert [store.item(sku)["AaaExtra"] for sku in "BC"] == ["typed", "by name"]
    store.add_item("A", **EXTRA)
    changed = OurItem(sku="A", aaa_extra="new")
    client.with_options(omitted_values="read_first").upload_item(changed)
    assert store.item("A") == {"Sku": "A", **EXTRA, "AaaExtra": "new"}, "read_first keeps what the subclass left out"
    with pytest.raises(ContractError, match="no place for aaa_extra"), plain_client(extended) as plain:
        plain.upload_item(changed)


def plain_client(stage: Stage) -> OctopusClient:
    """A client with the bundled contract."""
    return OctopusClient(settings=OctopusSettings.load(**stage.service.settings()))


def test_members_the_models_do_not_know_are_counted_as_drift(extended: Stage) -> None:
    extended.service.store.add_item("A", **EXTRA)
    result = extended.client.get_item_list(["A"])
    assert {name: result.calls[0].drift[f"InventoryItem.{name}"] for name in EXTRA} == dict.fromkeys(EXTRA, 1)


def test_the_zeep_client_of_another_contract_speaks_it(extended: Stage) -> None:
    extended.service.store.add_item("A")
    account = extended.client.settings.sent_account_id
    assert extended.client.zeep.service.IsSkuExist(tenant="t", accountID=account, sku="A", culture="en") is True


# -- the bundled contract while another one is in force --------------------------------------------------------------


def ignored(service: Emulator) -> list[tuple[str, str]]:
    """Return what the service ignored silently, without its schema errors."""
    return [(note.what, note.path.rpartition("/")[2]) for note in service.lint if note.what != "schema"]


def served(wsdl: Path, running_service: Emulator, **profile: Any) -> Emulator:
    return Emulator(wsdl=wsdl, merchants=running_service.merchants, profile=Profile(**profile))


def test_with_the_bundled_contract_a_member_out_of_order_is_ignored_without_a_word(
    tmp_path: Path, running_service: Emulator
) -> None:
    wsdl = variant(tmp_path, lambda documents: moved(documents, "ItemQuantityAndPrice", "Cost", "Stock"))
    with served(wsdl, running_service) as service, OctopusClient(**service.settings()) as client:
        service.store.add_item("A", Stock="7", Price=Decimal(5))
        assert client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A", stock=3, price=MONEY)) is True
        item = service.store.item("A")
        assert item is not None
        assert (item["Stock"], item["Price"]) == ("7", MONEY), "the answer was Success, and the stock is unchanged"
        assert ignored(service) == [("out-of-order", "Stock")]


def test_with_the_bundled_contract_a_service_of_plain_value_types_zeroes_what_it_ignored(
    tmp_path: Path, running_service: Emulator
) -> None:
    wsdl = variant(
        tmp_path, values_not_nillable, lambda documents: moved(documents, "ItemQuantityAndPrice", "Cost", "Stock")
    )
    with served(wsdl, running_service, omitted_value_type="zero") as service:
        with OctopusClient(**service.settings()) as client:
            service.store.add_item("A", Stock="7", Price=Decimal(5))
            assert client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A", stock=3, price=MONEY)) is True
        item = service.store.item("A")
        assert item is not None
        assert (item["Stock"], item["Cost"]) == ("0", Decimal(0)), (
            "this is why the bundled contract may not write there"
        )


def test_with_the_bundled_contract_members_in_another_namespace_are_ignored_without_a_word(
    tmp_path: Path, running_service: Emulator
) -> None:
    def only_the_data(text: str) -> str:
        return text.replace("2004/07/OctopusService", "2004/07/Octo.Data")

    wsdl = variant(tmp_path, text=only_the_data)
    with served(wsdl, running_service, upload_failure="zero") as service:
        with OctopusClient(**service.settings()) as client:
            service.store.add_item("A", Price=Decimal(5))
            client.upload_item(InventoryItem(sku="A", price=MONEY))
        item = service.store.item("A")
        assert item is not None
        assert item["Price"] == Decimal(5)
        assert ignored(service) == [("wrong-namespace", "Price"), ("wrong-namespace", "Sku")]


@pytest.mark.parametrize("change", [members_reversed, renamed], ids=["reversed", "renamed"])
def test_the_pinned_contract_is_what_makes_the_difference(
    tmp_path: Path, running_service: Emulator, change: Any
) -> None:
    wsdl = variant(tmp_path, text=change) if change is renamed else variant(tmp_path, change)
    with served(wsdl, running_service) as service:
        service.store.add_item("A", Price=Decimal(5))
        with OctopusClient(settings=OctopusSettings.load(**service.settings(), wsdl=wsdl)) as client:
            assert client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A", price=MONEY)) is True
        item = service.store.item("A")
        assert item is not None
        assert item["Price"] == MONEY
        assert service.lint == []


# -- a contract that differs where the page is ambiguous: other rows, Status as text ----------------------------------


def test_rows_of_an_update_are_read_under_either_name_and_status_as_text_too(
    tmp_path: Path, running_service: Emulator
) -> None:
    """The page has two types for these rows; ChannelAdvisor types Status as an enum."""

    def changed(text: str) -> str:
        return text.replace("UpdateInventoryItemResponse", "UpdateItemRow").replace("tns:ResultStatus", "xs:string")

    wsdl = variant(tmp_path, text=changed)
    assert "UpdateItemRow" in (wsdl.parent / "DataContracts.xsd").read_text()
    for contract in (None, wsdl):
        with Emulator(wsdl=wsdl, merchants=running_service.merchants) as service:
            service.store.add_item("A")
            settings = OctopusSettings.load(**service.settings(), wsdl=contract)
            with OctopusClient(settings=settings) as client:
                updates = [ItemQuantityAndPrice(sku="A", stock=1), ItemQuantityAndPrice(sku="X", stock=1)]
                result = client.update_item_quantity_and_price_list(updates)
            assert b":UpdateItemRow>" in service.calls[-1].reply
            assert [(o.key, o.status.value) for o in result.outcomes] == [("A", "ok"), ("X", "rejected")]


def test_the_value_of_a_secret_that_only_this_contract_has_is_in_no_refusal(tmp_path: Path) -> None:
    wsdl = variant(tmp_path, text=lambda text: text.replace('"SellerID"', '"Card_Number"'))
    requests = Codec(load_contract(wsdl), Redactor([]), UTC).requests("DeleteItem")
    with pytest.raises(InvalidInputError) as caught:
        requests.envelope({"Card_Number": "4111x"})
    assert caught.value.problems[0].field == "Card_Number"
    assert "4111" not in f"{caught.value!r} {caught.value} {caught.value.problems}"
