"""Values that cannot be sent are refused before the first byte, all at once."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from octopus_soap import (
    CustomFieldMapping,
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderSubmit,
    StoreStockInfo,
)
from tests.catalogue import ROWS
from tests.every import every

NAIVE = datetime(2026, 1, 1, 12)  # noqa: DTZ001 - what is refused here

WRONG_FIELDS: list[tuple[type[Any], dict[str, Any], str]] = [
    (ItemQuantityAndPrice, {"price": 0.1 + 0.2}, "price"),
    (ItemQuantityAndPrice, {"price": float("nan")}, "price"),
    (ItemQuantityAndPrice, {"price": float("inf")}, "price"),
    (ItemQuantityAndPrice, {"price": Decimal("NaN")}, "price"),
    (ItemQuantityAndPrice, {"price": Decimal("sNaN")}, "price"),
    (ItemQuantityAndPrice, {"price": Decimal("-Infinity")}, "price"),
    (ItemQuantityAndPrice, {"price": Decimal(10) ** 40}, "price"),
    (ItemQuantityAndPrice, {"price": 10**400}, "price"),
    (ItemQuantityAndPrice, {"price": "1,99"}, "price"),
    (ItemQuantityAndPrice, {"price": "1e3"}, "price"),
    (ItemQuantityAndPrice, {"price": ""}, "price"),
    (ItemQuantityAndPrice, {"price": True}, "price"),
    (ItemQuantityAndPrice, {"price": b"1"}, "price"),
    (ItemQuantityAndPrice, {"stock": 2**31}, "stock"),
    (ItemQuantityAndPrice, {"stock": -(2**31) - 1}, "stock"),
    (ItemQuantityAndPrice, {"stock": 1.5}, "stock"),
    (ItemQuantityAndPrice, {"stock": 5.0}, "stock"),
    (ItemQuantityAndPrice, {"stock": True}, "stock"),
    (ItemQuantityAndPrice, {"stock": "12.0"}, "stock"),
    (ItemQuantityAndPrice, {"stock": "9" * 5000}, "stock"),
    (ItemQuantityAndPrice, {"lock_price": "False"}, "lock_price"),
    (ItemQuantityAndPrice, {"lock_price": "yes"}, "lock_price"),
    (ItemQuantityAndPrice, {"lock_price": 1}, "lock_price"),
    (ItemQuantityAndPrice, {"sku": 123}, "sku"),
    (ItemQuantityAndPrice, {"sku": b"A"}, "sku"),
    (ItemQuantityAndPrice, {"Price": "abc"}, "price"),
    (StoreStockInfo, {"store_stock": 10**400}, "store_stock"),
    (StoreStockInfo, {"store_stock": float("nan")}, "store_stock"),
    (StoreStockInfo, {"store_stock": float("-inf")}, "store_stock"),
    (StoreStockInfo, {"store_stock": "1e5"}, "store_stock"),
    (StoreStockInfo, {"store_stock": Decimal("1e999")}, "store_stock"),
    (InventoryItem, {"sale_start_date": NAIVE}, "sale_start_date"),
    (InventoryItem, {"sale_start_date": "2026-01-01T00:00:00"}, "sale_start_date"),
    (InventoryItem, {"sale_start_date": "20260101"}, "sale_start_date"),
    (InventoryItem, {"sale_start_date": "yesterday"}, "sale_start_date"),
    (InventoryItem, {"sale_start_date": 1767225600}, "sale_start_date"),
    (InventoryItem, {"description": "a\x00b"}, "description"),
    (InventoryItem, {"description": "a\x1fb"}, "description"),
    (InventoryItem, {"description": "\ud800"}, "description"),
    (InventoryItem, {"description": "\ufffe"}, "description"),
    (InventoryItem, {"store_stock_info_list": [{"store_stock": float("nan")}]}, "store_stock_info_list"),
    (InventoryItem, {"store_stock_info_list": StoreStockInfo(store_id="1")}, "store_stock_info_list"),
    (OrderItem, {"quantity": 2**31}, "quantity"),
    (OrderSubmit, {"order_date": NAIVE}, "order_date"),
    (OrderCriteria, {"order_id_list": [1, 2**31]}, "order_id_list"),
    (OrderCriteria, {"payment_status_filter": "clear"}, "payment_status_filter"),
]


@every(("model", "given", "field"), WRONG_FIELDS, ids=lambda value: None)
def test_a_value_that_cannot_be_sent_is_refused_naming_the_field(model, given, field):
    with pytest.raises(InvalidInputError) as caught:
        model(**given)
    problem = caught.value.problems[0]
    named = problem.field.split(".")
    wire = {str(info.serialization_alias): name for name, info in model.model_fields.items()}
    assert named[0] == model.__name__
    assert wire.get(named[1], named[1]) == field
    assert len(str(caught.value)) < 1000


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(InvalidInputError) as caught:
        ItemQuantityAndPrice(sku=5, price=float("nan"), stock=2**40, cost="1,99", lock_cost="no")
    assert len(caught.value.problems) == 5


@every("character", [chr(code) for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, 0xD800)])
def test_no_character_that_xml_forbids_leaves(character, client, service):
    with pytest.raises(InvalidInputError, match="position 1"):
        client.is_sku_exist(f"a{character}")
    with pytest.raises(InvalidInputError):
        client.get_item_list(["fine", f"a{character}"])
    assert service.calls == []


@pytest.mark.parametrize(
    "text", [" a", "a ", "\ta\n", "a\rb", "00123", "1E5", "<a&b>", "]]>", "é😀", "\u2028", "\x7f\x85", "x" * 50]
)
def test_what_xml_can_carry_arrives_as_it_is(text, client, service):
    service.store.add_item(text, Stock=3)
    assert client.get_item_quantity(text) == 3
    assert [item.sku for item in client.get_item_list([text])] == [text]
    assert service.calls[0].keys == (text,)


def test_bad_skus_are_refused_together(client, service):
    inputs = ["fine", "x" * 51, "", 5, None, "a\x00", "fine too", ["A"], b"A", 1.5]
    for method in (client.get_item_list, client.is_sku_exist_list, client.get_item_quantity_list):
        with pytest.raises(InvalidInputError) as caught:
            method(inputs)
        assert [problem.index for problem in caught.value.problems] == [1, 2, 3, 4, 5, 7, 8, 9]
        assert len(str(caught.value)) < 1000
    assert service.calls == []


def test_bad_items_are_refused_together(client, service):
    good = ItemQuantityAndPrice(sku="A", stock=1)
    inputs = [
        good,
        ItemQuantityAndPrice(sku="x" * 51),
        ItemQuantityAndPrice(stock=1),
        {"sku": "B", "prise": "1"},
        InventoryItem(sku="C"),
    ]
    with pytest.raises(InvalidInputError) as caught:
        client.update_item_quantity_and_price_list([*inputs, good.replace(stock=2)])
    assert [(p.index, p.key) for p in caught.value.problems] == [
        (1, "x" * 51),
        (2, None),
        (3, "B"),
        (4, None),
        (5, "A"),
    ]
    assert "did you mean 'price'" in caught.value.problems[2].message
    assert service.calls == []


@pytest.mark.parametrize(
    ("method", "one", "other"),
    [
        ("update_item_quantity_and_price_list", ItemQuantityAndPrice(sku="A", stock=1), ItemQuantityAndPrice(sku="A", stock=2)),
        ("upload_item_list", InventoryItem(sku="A"), InventoryItem(sku="A", description="x")),
        ("set_download_order_confirm", OrderDownloadSubmitRequest(order_id="1"), OrderDownloadSubmitRequest(order_id="1", third_party_order_number="9")),
        ("custom_field_mapping", CustomFieldMapping(text="T", value="1"), CustomFieldMapping(text="T", value="2")),
    ],
)  # fmt: skip
def test_duplicates_that_differ_are_refused_and_equal_ones_sent_once(method, one, other, client, service):
    service.store.add_item("A")
    with pytest.raises(InvalidInputError, match=r"\[2\] .* differs from \[0\]"):
        getattr(client, method)([one, one, other])
    assert service.calls == []
    getattr(client, method)([one, one])
    assert [call.items for call in service.calls] == [1]


@every("wrong", ["AB", b"AB", {"A": 1}, 5, None, InventoryItem(sku="A")])
def test_a_single_thing_in_place_of_a_list_is_refused(wrong, client, service):
    for call in ROWS:
        if call.is_list:
            with pytest.raises(InvalidInputError):
                call.method(client)(wrong)
    assert service.calls == []


@pytest.mark.parametrize("wrong", [2**31, 1.0, "1", True, None])
def test_numbers_of_deletions_are_checked(wrong, client, service):
    with pytest.raises(InvalidInputError, match="seller_id"):
        client.delete_item("A", seller_id=wrong)
    with pytest.raises(InvalidInputError) as caught:
        client.delete_item_store("x" * 51, seller_id=wrong, store_stock=[5])
    assert len(caught.value.problems) == 3
    assert service.calls == []


def test_wrong_arguments_of_single_operations_are_refused(client, service):
    for method, argument in (
        (client.update_item_quantity_and_price, {"sku": "A", "prise": "1"}),
        (client.update_item_quantity_and_price, ItemQuantityAndPrice(stock=1)),
        (client.upload_item, ItemQuantityAndPrice(sku="A")),
        (client.upload_item, None),
        (client.submit_order, None),
        (client.submit_order, InventoryItem(sku="A")),
        (client.get_order_list, "2026-01-01"),
        (client.get_order_list_store, ""),
        (client.get_order_list_store, 5),
        (client.is_sku_exist, None),
        (client.get_item_quantity_info, "x" * 51),
    ):
        with pytest.raises(InvalidInputError):
            method(argument)
    assert service.calls == []


@pytest.mark.parametrize("size", [0, -1, 101, 1.5, "10"])
def test_a_batch_size_that_is_none_is_refused(size, client, service):
    with pytest.raises(InvalidInputError, match="batch_size"):
        client.get_item_list(["A"], batch_size=size)
    assert service.calls == []


def test_an_account_that_is_no_text_is_refused(client, service):
    for wrong in (5, b"x", "\x00"):
        with pytest.raises(InvalidInputError, match="account"):
            client.is_sku_exist("A", account_id=wrong)
        with pytest.raises(InvalidInputError, match="account"):
            client.get_item_list(["A"], account_id=wrong)
    assert service.calls == []


def test_a_generator_that_raises_sends_nothing(client, service):
    def broken() -> Any:
        yield "A"
        raise RuntimeError("the file broke")

    with pytest.raises(RuntimeError, match="the file broke"):
        client.get_item_list(broken())
    assert service.calls == []
