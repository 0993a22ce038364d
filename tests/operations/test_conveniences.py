"""A reader's first tries are accepted if nothing is lost by it, and else refused."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    ContractError,
    CustomFieldMapping,
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    KitInfo,
    OctopusClient,
    OctopusSettings,
    OrderCriteria,
    StoreStockInfo,
    UnverifiedContractError,
)
from octopus_soap.errors import ConfigError
from tests.awaited import AwaitedClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.emulator import Emulator


def test_a_float_is_an_amount_as_it_is_written() -> None:
    assert InventoryItem(sku="A", price=9.99).price == Decimal("9.99")
    with pytest.raises(InvalidInputError, match="more than 4 decimals"):
        InventoryItem(sku="A", price=0.1 + 0.2)


def test_whole_numbers_and_flags_become_the_text_the_page_types() -> None:
    assert InventoryItem(sku="A", stock=5, form_quantity=0).stock == "5"
    assert [CustomFieldMapping(text="T", is_mapping=flag).is_mapping for flag in (True, False)] == ["true", "false"]
    with pytest.raises(InvalidInputError, match="expected text"):
        InventoryItem(sku="A", stock=True)
    with pytest.raises(InvalidInputError, match="expected text"):
        InventoryItem(sku="A", description=5)


def test_a_dict_is_taken_for_the_model(service: Emulator, make_client: Callable[..., Any]) -> None:
    client = make_client()
    client.upload_item({"sku": "A", "price": 9.99})
    assert client.upload_item_list([{"sku": "B", "stock": 3, "store_stock_info_list": [{"store_id": "S"}]}])
    client.submit_order({"order_id": "1", "order_items": [{"sku": "A", "quantity": 1}]})
    assert len(client.get_order_list({"order_id_list": []})) == 1
    assert service.store.item("A") is not None
    with pytest.raises(InvalidInputError, match="did you mean 'price'"):
        client.upload_item_list([{"sku": "A", "pricee": 1}])


def test_an_empty_list_of_stores_deletes_nothing(service: Emulator, make_client: Callable[..., Any]) -> None:
    service.store.add_item("A")
    with pytest.raises(InvalidInputError, match="use delete_item for that"):
        make_client().delete_item_store("A", store_stock=[])
    assert service.calls == []
    assert service.store.item("A") is not None


def test_a_product_id_may_be_null(service: Emulator, make_client: Callable[..., Any]) -> None:
    service.store.add_item("A")
    make_client().delete_item("A", product_id=None)
    assert b'ProductID i:nil="true"' in service.calls[-1].request


def test_a_creation_window_may_be_open_at_one_side(service: Emulator, make_client: Callable[..., Any]) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    make_client().get_order_list(OrderCriteria(order_creation_filter_begin_time_gmt=begin))
    assert b"EndTimeGMT" not in service.calls[-1].request


def test_rows_for_one_sku_with_different_stores_are_sent_as_one(
    service: Emulator, make_client: Callable[..., Any]
) -> None:
    service.store.add_item("A", StoreStockInfoList=[{"StoreID": "S1"}, {"StoreID": "S2"}])
    rows = [
        ItemQuantityAndPrice(sku="A", stock=3, store_stock_info_list=[StoreStockInfo(store_id=s, store_stock=1)])
        for s in ("S1", "S2")
    ]
    result = make_client().update_item_quantity_and_price_list(rows)
    assert [(outcome.index, outcome.status.value) for outcome in result.outcomes] == [(0, "ok"), (1, "ok")]
    assert len(service.calls) == 1
    assert service.calls[0].request.count(b"<StoreStockInfo>") == 2
    with pytest.raises(InvalidInputError, match="same key"):
        make_client().update_item_quantity_and_price_list([rows[0], rows[1].replace(stock=4)])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_merges_the_stores_of_one_sku_as_a_call_does(service: Emulator, asynchronous: bool) -> None:
    service.store.add_item("A", StoreStockInfoList=[{"StoreID": "S1"}, {"StoreID": "S2"}])
    rows = [
        ItemQuantityAndPrice(sku="A", stock=3, store_stock_info_list=[StoreStockInfo(store_id=s, store_stock=1)])
        for s in ("S1", "S2")
    ]
    settings = OctopusSettings.load(**service.settings())
    client: Any = AwaitedClient(settings) if asynchronous else OctopusClient(settings=settings)
    try:
        (part,) = client.update_item_quantity_and_price_list.stream(iter(rows))
        assert [(outcome.index, outcome.status.value) for outcome in part.outcomes] == [(0, "ok"), (1, "ok")]
        assert [call.request.count(b"<StoreStockInfo>") for call in service.calls] == [2]
        with pytest.raises(InvalidInputError, match="same key"):
            list(client.update_item_quantity_and_price_list.stream(iter([rows[0], rows[1].replace(stock=4)])))
    finally:
        client.close()


def test_a_text_longer_than_documented_is_refused_only_if_asked_for(service: Emulator) -> None:
    long = InventoryItem(sku="A", description="x" * 256, kit_list=[KitInfo(sku="y" * 51)])
    assert InventoryItem.documented_lengths()["description"] == 255
    assert "at most 255 characters" in str(InventoryItem.model_fields["description"].description)
    with OctopusClient(settings=OctopusSettings.load(**service.settings())) as client:
        client.upload_item(long)
    calls = len(service.calls)
    with OctopusClient(settings=OctopusSettings.load(**service.settings(), strict_lengths=True)) as client:
        for call in (client.upload_item, lambda item: client.upload_item_list([item])):
            with pytest.raises(InvalidInputError) as caught:
                call(long)
            shown = [(problem.field, problem.message[:18]) for problem in caught.value.problems]
            assert shown == [("description", "has 256 characters"), ("kit_list[0].sku", "has 51 characters,")]
        client.upload_item(long.replace(description="x" * 255, kit_list=None))
    assert len(service.calls) == calls + 1


# -- members the model does not know -------------------------------------------------------------------------------


def test_a_member_in_extra_is_checked_against_the_contract_in_force(
    service: Emulator, make_client: Callable[..., Any]
) -> None:
    item = InventoryItem(sku="A", extra={"WarehouseLocation": "B7"})
    for again in (item, item.replace(price=1), pickle.loads(pickle.dumps(item))):
        with pytest.raises(ContractError, match="no place for WarehouseLocation in InventoryItem"):
            make_client().upload_item(again)
    assert service.calls == []
    assert item.without("WarehouseLocation") == InventoryItem(sku="A")


def test_a_name_in_extra_that_the_model_has_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="give it by name"):
        InventoryItem(sku="A", extra={"Price": 1})
    with pytest.raises(InvalidInputError, match="extra must be a dict"):
        InventoryItem(sku="A", extra=["Price"])
    with pytest.raises(InvalidInputError, match="give it as extra="):
        InventoryItem(sku="A", Qqqqq=1)


# -- access to raw calls --------------------------------------------------------------------------------------------

FAR = {"endpoint": "https://shop.example/x.svc", "authtoken": "t", "merchantname": "m", "accessid": "a"}


def test_the_zeep_client_does_not_write_with_the_bundled_contract_either() -> None:
    with (
        OctopusClient(settings=OctopusSettings.load(**FAR)) as client,
        pytest.raises(UnverifiedContractError, match="DeleteItem"),
    ):
        client.zeep.service.DeleteItem(accountID="a", SellerID=0, SKU="A", ProductID=0, status=0)


def test_a_url_for_the_contract_is_answered_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"octopus-soap wsdl pin https://shop\.example/x\.svc\?wsdl"):
        OctopusSettings.load(**FAR, wsdl="https://shop.example/x.svc?wsdl")
