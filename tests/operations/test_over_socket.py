"""Every operation over a real socket, with the semantics of the vendor's page.

After each test the service's lint log must be empty: no operation may send anything that WCF would ignore silently.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from octopus_soap import (
    AddressInfo,
    ApiStatusError,
    AttributeInfo,
    BatchResult,
    CustomFieldMapping,
    InventoryItem,
    IsSkuExistResponse,
    ItemQuantityAndPrice,
    KitInfo,
    Locks,
    OctopusClient,
    OctopusError,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderSubmit,
    OutcomeStatus,
    PaymentStatusCode,
    QuantityInfoResponse,
    RejectedError,
    Removal,
    ShippingStatusCode,
    StoreStockInfo,
    UpdateItemResponse,
    VariationInfo,
)
from octopus_soap.emulator import Emulator, Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

UNKNOWN_SKU = "The specified Sku does not exist"
FULL_ITEM = InventoryItem(
    sku="00123",
    category="Mugs & <Cups>",
    description="A mug",
    details="line one\r\nline two",
    sub_description1="sub 1",
    sub_description2="",
    weight=Decimal("0.2500"),
    supplier_code="ACME",
    price=Decimal("19.99"),
    cost=Decimal("7.5"),
    price_a=Decimal(18),
    msrp=Decimal("24.9500"),
    applicable_stock="7",
    stock="9",
    form_quantity="2",
    dcs_code="DCS",
    item_sid="-9223372036854775807",
    custom1="first",
    custom10="tenth",
    custom30="last",
    sale_start_date=datetime(2026, 3, 4, 10, 30, 0, 250000, tzinfo=UTC),
    sale_end_date=datetime(2026, 4, 4, tzinfo=UTC),
    sales_price=Decimal("15.00"),
    upc="0001234567890",
    image_url1="mug.jpg",
    store_stock_info_list=[
        StoreStockInfo(store_id="S1", store_stock=4.5, store_price=Decimal("19.99")),
        StoreStockInfo(store_id="S2", store_stock=0.0),
    ],
    kit_list=[KitInfo(sku="PART-1", quantity=2.0)],
    attribute_list=[AttributeInfo(name="Colour", value="blå 🫖")],
    variation_info=VariationInfo(is_parent=False, parent_sku="PARENT"),
    field_locks=Locks(lock_price=True, lock_stock=False),
)


@pytest.fixture(autouse=True)
def nothing_to_lint(service: Emulator) -> Iterator[None]:
    yield
    assert service.lint == []
    assert [call.error for call in service.calls if call.error] == []


def members_sent(service: Emulator, call: int = 0) -> list[tuple[str, str | None]]:
    """Return every element of a request's operation, in order: its name and its text."""
    operation = etree.fromstring(service.calls[call].request)[0][0]
    return [(etree.QName(element).localname, element.text) for element in operation.iterdescendants()]


def operations_called(service: Emulator) -> list[str]:
    return [call.operation for call in service.calls]


# -- existence -----------------------------------------------------------------------------------------------------


def test_is_sku_exist_is_true_only_for_a_sku_that_exists(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A")
    assert client.is_sku_exist("A") is True
    assert client.is_sku_exist("B") is False
    assert client.is_sku_exist(" A") is False, "a SKU is never stripped"
    assert [(call.operation, call.keys) for call in service.calls] == [
        ("IsSkuExist", ("A",)),
        ("IsSkuExist", ("B",)),
        ("IsSkuExist", (" A",)),
    ]


def test_is_sku_exist_list_answers_each_sku_in_input_order(client: OctopusClient, service: Emulator) -> None:
    service.store.add_items([{"Sku": "A"}, {"Sku": "C"}])
    result = client.is_sku_exist_list(["C", "B", "A"])
    assert result == [True, False, True]
    assert result.by_key() == {"C": True, "B": False, "A": True}
    assert [(o.index, o.key, o.status, o.input) for o in result.outcomes] == [
        (0, "C", OutcomeStatus.OK, "C"),
        (1, "B", OutcomeStatus.OK, "B"),
        (2, "A", OutcomeStatus.OK, "A"),
    ]
    assert [(call.operation, call.keys) for call in service.calls] == [("IsSkuExistList", ("C", "B", "A"))]


# -- items ---------------------------------------------------------------------------------------------------------


def test_get_item_tbl_list_gives_changed_items_until_delete_tbl_item_takes_them_off(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_item("OLD", Price=Decimal("1.00"))
    service.store.add_items([{"Sku": "N1", "Price": Decimal("2.50")}, {"Sku": "N2"}], changed=True)
    result = client.get_item_tbl_list()
    assert [item.sku for item in result] == ["N1", "N2"]
    assert result[0].price == Decimal("2.50")
    assert client.delete_tbl_item("N1") is Removal.REMOVED
    assert [item.sku for item in client.get_item_tbl_list()] == ["N2"]


def test_get_item_list_gives_the_items_found_and_reports_the_others_missing(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_items([{"Sku": "A", "Description": "Äpfel"}, {"Sku": "B", "Stock": "12"}])
    result = client.get_item_list(["B", "NOPE", "A"])
    assert [(item.sku, item.description, item.stock) for item in result] == [("B", None, "12"), ("A", "Äpfel", None)]
    assert [o.key for o in result.missing] == ["NOPE"]
    assert [o.status.value for o in result.outcomes] == ["ok", "missing", "ok"]


# -- quantities ----------------------------------------------------------------------------------------------------


def test_get_item_quantity_is_the_stock_of_a_known_sku_and_an_error_for_an_unknown_one(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_item("A", Stock="41")
    assert client.get_item_quantity("A") == 41
    with pytest.raises(ApiStatusError, match=UNKNOWN_SKU) as caught:
        client.get_item_quantity("B")
    assert caught.value.status == "Failure"
    assert caught.value.message_code == 12
    assert caught.value.data == "B"


def test_get_item_quantity_info_gives_the_detailed_quantities(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", Stock="41", Applicablestock="40", FormQuantity="3")
    info = client.get_item_quantity_info("A")
    assert info == QuantityInfoResponse(
        sku="A", applicable_stock=Decimal("40.0000"), stock=41, form_quantity=3, error_message=None
    )
    with pytest.raises(ApiStatusError, match=UNKNOWN_SKU):
        client.get_item_quantity_info("B")


def test_get_item_quantity_list_gives_quantities_and_rejects_unknown_skus_with_the_services_words(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_items([{"Sku": "A", "Stock": "1"}, {"Sku": "B", "Stock": "2"}])
    result = client.get_item_quantity_list(["A", "NOPE", "B"])
    assert [(row.sku, row.stock) for row in result] == [("A", 1), ("B", 2)]
    assert [(o.index, o.key, o.message) for o in result.rejected] == [(1, "NOPE", UNKNOWN_SKU)]


def test_update_item_quantity_and_price_changes_what_is_set_and_nothing_else(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_item("A", Price=Decimal("5.00"), Cost=Decimal("2.00"), Stock="3")
    assert client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A", price=Decimal("6.49"))) is True
    assert service.store.item("A") == {"Sku": "A", "Price": Decimal("6.49"), "Cost": Decimal("2.00"), "Stock": "3"}
    assert service.store.change_queue() == ["A"]


def test_update_item_quantity_and_price_raises_the_services_no(client: OctopusClient, service: Emulator) -> None:
    with pytest.raises(ApiStatusError, match=UNKNOWN_SKU):
        client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="NOPE", stock=1))
    assert operations_called(service) == ["UpdateItemQuantityAndPrice"]


def test_update_item_quantity_and_price_list_tells_items_done_from_items_refused(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_items([{"Sku": "A", "Stock": "1"}, {"Sku": "B", "Stock": "1"}])
    updates = [ItemQuantityAndPrice(sku=sku, stock=n) for n, sku in enumerate(["B", "NOPE", "A"], 10)]
    result = client.update_item_quantity_and_price_list(updates)
    assert list(result) == [
        UpdateItemResponse(sku="B", result=True, error_message=None),
        UpdateItemResponse(sku="A", result=True, error_message=None),
    ]
    assert [(o.index, o.key, o.message, o.input) for o in result.rejected] == [(1, "NOPE", UNKNOWN_SKU, updates[1])]
    assert {sku: item["Stock"] for sku, item in service.store.items().items()} == {"A": "12", "B": "10"}
    with pytest.raises(RejectedError, match="NOPE"):
        result.raise_for_rejected()


@pytest.mark.parametrize("rows", [True, False], ids=["with rows", "without rows"])
def test_an_update_of_unknown_skus_only_rejects_every_item_whether_failure_comes_with_rows_or_not(rows: bool) -> None:
    with Emulator(profile=Profile(failed_update_rows=rows)) as service:
        with OctopusClient(**service.settings()) as client:
            result = client.update_item_quantity_and_price_list(
                [ItemQuantityAndPrice(sku="X", stock=1), ItemQuantityAndPrice(sku="Y", stock=1)]
            )
        assert [o.status for o in result.outcomes] == [OutcomeStatus.REJECTED] * 2
        assert all(o.message for o in result.outcomes)
        assert service.lint == []


def test_update_of_stores_reaches_each_store_as_it_was_given(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A", StoreStockInfoList=[{"StoreID": "S1", "StoreStock": 1.0, "StorePrice": Decimal("3.5")}])
    stores = [StoreStockInfo(store_id="S1", store_stock=2.5), StoreStockInfo(store_id="S2", store_cost=Decimal("0.10"))]
    client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A", store_stock_info_list=stores))
    item = service.store.item("A")
    assert item is not None
    assert item["StoreStockInfoList"] == [
        {"StoreID": "S1", "StoreStock": 2.5, "StorePrice": Decimal("3.5")},
        {"StoreID": "S2", "StoreCost": Decimal("0.10")},
    ]


# -- uploads -------------------------------------------------------------------------------------------------------


def test_upload_item_adds_an_item_that_reads_back_equal_and_returns_the_services_long(
    client: OctopusClient, service: Emulator
) -> None:
    number = client.upload_item(FULL_ITEM)
    assert type(number) is int
    assert number > 0
    assert client.upload_item(FULL_ITEM) == number, "an update of the same item"
    (found,) = client.get_item_list(["00123"])
    kept = {name: getattr(found, name) for name in FULL_ITEM.model_fields_set}
    for name in ("store_stock_info_list", "field_locks"):  # they come back with their other members nil
        kept.pop(name)
    assert kept == {name: getattr(FULL_ITEM, name) for name in kept}
    assert [(s.store_id, s.store_stock, s.store_price) for s in found.stores] == [
        ("S1", 4.5, Decimal("19.99")),
        ("S2", 0.0, None),
    ]
    assert found.field_locks is not None
    assert (found.field_locks.lock_price, found.field_locks.lock_stock) == (True, False)
    assert service.store.change_queue() == ["00123"]


def test_upload_item_list_adds_and_updates_and_rejects_item_by_item(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("OLD", Price=Decimal("1.00"), Category="kept")
    result = client.upload_item_list(
        [InventoryItem(sku="OLD", price=Decimal("2.00")), InventoryItem(sku="NEW", description="fresh")]
    )
    assert [(row.sku, row.result) for row in result] == [("OLD", True), ("NEW", True)]
    assert service.store.items() == {
        "OLD": {"Sku": "OLD", "Price": Decimal("2.00"), "Category": "kept"},
        "NEW": {"Sku": "NEW", "Description": "fresh"},
    }


# -- deletions -----------------------------------------------------------------------------------------------------


def test_delete_item_removes_it_once(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A")
    assert client.delete_item("A", seller_id=7, product_id=9, status=1) is Removal.REMOVED
    assert client.delete_item("A") is Removal.NOT_FOUND
    assert not client.delete_item("A")
    assert service.store.items() == {}
    assert members_sent(service)[1:] == [("SellerID", "7"), ("SKU", "A"), ("ProductID", "9"), ("status", "1")]


def test_delete_item_store_takes_the_named_stores_or_with_none_the_item(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_item("A", StoreStockInfoList=[{"StoreID": "S1"}, {"StoreID": "S2"}])
    assert client.delete_item_store("A", store_stock=[StoreStockInfo(store_id="S1")])
    item = service.store.item("A")
    assert item is not None
    assert item["StoreStockInfoList"] == [{"StoreID": "S2"}]
    assert client.delete_item_store("A", store_stock=(StoreStockInfo(store_id=s) for s in ["S9"])) is Removal.NOT_FOUND
    assert client.delete_item_store("A") is Removal.REMOVED
    assert service.store.item("A") is None


def test_delete_tbl_item_takes_an_item_off_the_changes_and_leaves_the_item(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_item("A", changed=True)
    assert client.delete_tbl_item("A") is Removal.REMOVED
    assert client.delete_tbl_item("A") is Removal.NOT_FOUND
    assert service.store.change_queue() == []
    assert service.store.item("A") is not None


# -- orders --------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def test_get_order_list_gives_open_orders_filtered_as_the_page_says(client: OctopusClient, service: Emulator) -> None:
    first = service.store.add_order(OrderDate=NOON, payment_status="Cleared", Total=Decimal("12.3400"))
    second = service.store.add_order(OrderDate=NOON + timedelta(hours=1), shipping_status="Shipped")
    third = service.store.add_order(OrderDate=NOON + timedelta(hours=2))
    ids = [str(n) for n in (first, second, third)]

    assert [order.order_id for order in client.get_order_list()] == ids
    window = OrderCriteria(
        order_creation_filter_begin_time_gmt=NOON, order_creation_filter_end_time_gmt=NOON + timedelta(hours=1)
    )
    assert [order.order_id for order in client.get_order_list(window)] == ids[:2]
    assert [o.order_id for o in client.get_order_list(OrderCriteria(order_id_list=[third]))] == ids[2:]
    assert [
        o.order_id for o in client.get_order_list(OrderCriteria(payment_status_filter=PaymentStatusCode.CLEARED))
    ] == ids[:1]
    assert [
        o.order_id for o in client.get_order_list(OrderCriteria(shipping_status_filter=ShippingStatusCode.SHIPPED))
    ] == ids[1:2]
    assert len(client.get_order_list(OrderCriteria(payment_status_filter=PaymentStatusCode.NO_CHANGE))) == 3


def test_get_order_list_reads_an_order_whole_with_no_date_sentinels_as_none(
    client: OctopusClient, service: Emulator
) -> None:
    service.store.add_order(
        OrderID="WEB-1",
        OrderDate=NOON,
        Total=Decimal("20.50"),
        Ship={"FirstName": "Ada", "City": "Springfield"},
        Bill={"Email": "ada@example.org"},
        orderItems=[{"sku": "A", "Quantity": 2, "UnitPrice": Decimal("10.25"), "ItemTax": Decimal("0.0000")}],
        stores=["S1"],
    )
    (order,) = client.get_order_list()
    assert order.placed == NOON
    assert order.last_update_date is None
    assert order.date_cancelled_gmt is None
    assert order.total == Decimal("20.50")
    assert order.ship is not None
    assert (order.ship.first_name, order.ship.city, order.ship.zip) == ("Ada", "Springfield", None)
    assert [(line.sku, line.quantity, line.unit_price, line.item_tax) for line in order.lines] == [
        ("A", 2, Decimal("10.25"), Decimal("0.0000"))
    ]
    assert order.payment is PaymentStatusCode.NOT_SUBMITTED
    assert order.delivery is ShippingStatusCode.UNSHIPPED
    assert order.store_id == "S1"
    assert order.reference == "WEB-1"
    assert order.number_of_matches == 1


def test_get_order_list_store_gives_only_that_stores_orders(client: OctopusClient, service: Emulator) -> None:
    service.store.add_order(stores=["S1"])
    shared = service.store.add_order(stores=["S1", "S2"])
    service.store.add_order()
    assert [(o.id, o.store_id) for o in client.get_order_list_store("S2")] == [(str(shared), "S2")]
    assert len(client.get_order_list_store("S1", OrderCriteria(order_id_list=[shared]))) == 1
    assert list(client.get_order_list_store("S3")) == []


def test_set_download_order_confirm_takes_orders_off_the_list_and_returns_none(
    client: OctopusClient, service: Emulator
) -> None:
    ids = [service.store.add_order() for _ in range(3)]
    confirms = [OrderDownloadSubmitRequest(order_id=str(n), third_party_order_number=f"POS-{n}") for n in ids[:2]]
    result = client.set_download_order_confirm(confirms)
    assert result is None
    assert [order.id for order in client.get_order_list()] == [str(ids[2])]
    assert service.store.orders()[ids[0]].third_party == f"POS-{ids[0]}"


def test_set_download_split_order_confirm_takes_the_order_off_one_stores_list_only(
    client: OctopusClient, service: Emulator
) -> None:
    number = str(service.store.add_order(stores=["S1", "S2"]))
    result = client.set_download_split_order_confirm([OrderDownloadSubmitRequest(order_id=number, store_id="S1")])
    assert result is None
    assert list(client.get_order_list_store("S1")) == []
    assert [order.id for order in client.get_order_list_store("S2")] == [number]
    # Both parts in one call: one order, two stores, two confirmations.
    both = [OrderDownloadSubmitRequest(order_id=number, store_id=store) for store in ("S1", "S2")]
    other = str(service.store.add_order(stores=["S1", "S2"]))
    both = [confirm.replace(order_id=other) for confirm in both]
    client.set_download_split_order_confirm(both)
    assert service.store.orders()[int(other)].confirmed


@pytest.mark.parametrize("void", ["element", "one-way"])
def test_a_confirm_returns_none_whether_void_is_answered_with_an_element_or_with_202(void: str) -> None:
    with Emulator(profile=Profile(void=void)) as service, OctopusClient(**service.settings()) as client:  # type: ignore[arg-type] # one of its literals
        number = service.store.add_order()
        assert client.set_download_order_confirm([OrderDownloadSubmitRequest(order_id=str(number))]) is None
        assert service.store.orders()[number].confirmed
        assert service.calls[0].status == (200 if void == "element" else 202)


def test_submit_order_creates_the_order_whole_and_returns_its_new_id(client: OctopusClient, service: Emulator) -> None:
    order = OrderSubmit(
        order_id="WEB-9",
        order_date=NOON,
        ship=AddressInfo(first_name="Ada", zip="00123", email="ada@example.org"),
        bill=AddressInfo(last_name="Lovelace", state="IL"),
        shipping="Ground",
        credit_card="VISA 4242",
        order_items=[OrderItem(sku="A", quantity=2, unit_price=Decimal("1.10"), item_discount=Decimal("0.05"))],
        sub_total=Decimal("2.20"),
        shipping_total=Decimal(4),
        tax_total=Decimal("0.17"),
        total=Decimal("6.37"),
        web_comment="ring <twice> & wait",
    )
    answer = client.submit_order(order)
    assert answer.result is True
    assert answer.id_order is not None
    stored = service.store.orders()[int(answer.id_order)]
    assert stored.given_id == "WEB-9"
    assert stored.members == {
        "OrderID": "WEB-9",
        "OrderDate": NOON,
        "Ship": {"FirstName": "Ada", "Zip": "00123", "Email": "ada@example.org"},
        "Bill": {"LastName": "Lovelace", "State": "IL"},
        "Shipping": "Ground",
        "CreditCard": "VISA 4242",
        "orderItems": [
            {"sku": "A", "Quantity": 2, "UnitPrice": Decimal("1.10"), "ItemDiscount": Decimal("0.05")},
        ],
        "SubTotal": Decimal("2.20"),
        "ShippingTotal": Decimal(4),
        "TaxTotal": Decimal("0.17"),
        "Total": Decimal("6.37"),
        "WebComment": "ring <twice> & wait",
    }


def test_submit_order_twice_with_one_id_is_the_services_no_and_creates_one_order(
    client: OctopusClient, service: Emulator
) -> None:
    order = OrderSubmit(order_id="WEB-9", order_items=[OrderItem(sku="A", quantity=1)])
    client.submit_order(order)
    with pytest.raises(ApiStatusError, match="already exists"):
        client.submit_order(order)
    assert len(service.store.orders()) == 1
    assert operations_called(service) == ["SubmitOrder", "SubmitOrder"], "a refusal is not repeated"


# -- custom fields -------------------------------------------------------------------------------------------------


def test_custom_field_mapping_creates_fields_and_returns_none(client: OctopusClient, service: Emulator) -> None:
    mapping = CustomFieldMapping(text="Season", value="Custom1", is_mapping="true")
    assert client.custom_field_mapping([mapping]) is None
    assert service.store.mappings() == [{"Text": "Season", "Value": "Custom1", "IsMapping": "true"}]


def test_custom_field_mapping_turns_the_services_error_message_into_an_error(
    client: OctopusClient, service: Emulator
) -> None:
    with pytest.raises(RejectedError, match="Text and Value are required"):
        client.custom_field_mapping([CustomFieldMapping(text="Season")])
    assert service.store.mappings() == []


# -- every operation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bare", [True, False], ids=["bare", "enveloped"])
def test_the_three_ambiguous_operations_read_alike_bare_and_enveloped(bare: bool) -> None:
    with Emulator(profile=Profile(bare_lists=bare)) as service, OctopusClient(**service.settings()) as client:
        service.store.add_item("A", Price=Decimal("1.50"), changed=True)
        assert client.is_sku_exist_list(["A", "B"]) == [True, False]
        assert [item.price for item in client.get_item_list(["A"])] == [Decimal("1.50")]
        assert [item.sku for item in client.get_item_tbl_list()] == ["A"]
        shape = b"<IsSkuExistListResult " in service.calls[0].reply
        assert shape, "the reply is what this test thinks it is"
        assert (b"ResultData" in service.calls[0].reply) is not bare


@pytest.mark.parametrize("nillable", [True, False], ids=["nillable", "plain value types"])
def test_zero_and_absent_stock_are_told_apart_where_the_contract_can(nillable: bool) -> None:
    with Emulator(profile=Profile(nillable_values=nillable)) as service, OctopusClient(**service.settings()) as client:
        service.store.add_item("A", Stock="0")
        (row,) = client.get_item_quantity_list(["A"])
        assert row.stock == 0


def test_a_call_may_name_another_account_and_sends_the_access_id_otherwise(
    client: OctopusClient, service: Emulator
) -> None:
    accessid = client.settings.accessid.get_secret_value()
    client.is_sku_exist("A")
    assert members_sent(service)[0] == ("accountID", accessid)
    with pytest.raises(OctopusError):  # the profile decides how an account is refused
        client.is_sku_exist("A", account_id="another")
    assert members_sent(service, 1)[0] == ("accountID", "another")


def test_an_explicit_none_is_sent_as_nil_and_an_unset_member_is_not_sent(
    client: OctopusClient, service: Emulator
) -> None:
    client.upload_item(InventoryItem(sku="A", price=None, category=""))
    item = etree.fromstring(service.calls[0].request)[0][0][1]
    assert [(etree.QName(member).localname, member.text, dict(member.attrib)) for member in item] == [
        ("Category", None, {}),
        ("Price", None, {"{http://www.w3.org/2001/XMLSchema-instance}nil": "true"}),
        ("Sku", "A", {}),
    ]


def test_results_are_of_the_documented_types(client: OctopusClient, service: Emulator) -> None:
    service.store.add_item("A")
    assert isinstance(client.is_sku_exist_list(["A"]), BatchResult)
    answer = client.is_sku_exist.with_info("A")
    assert answer.value is True
    assert (answer.info.operation, answer.info.attempts, answer.info.http_status) == ("IsSkuExist", 1, 200)
    assert answer.info.received_bytes == service.calls[-1].reply_size
    assert answer.info.sent_bytes == service.calls[-1].request_size
    assert service.calls[-1].headers["x-request-id"] == answer.info.request_id
    assert IsSkuExistResponse.key_field == "sku"
