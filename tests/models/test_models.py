"""The models compared with the vendor's page; what a field accepts and keeps."""

from __future__ import annotations

import copy
import inspect
import pickle
import typing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octopus_soap import (
    AddressInfo,
    AttributeInfo,
    CustomFieldMapping,
    InvalidInputError,
    InventoryItem,
    IsSkuExistResponse,
    ItemQuantityAndPrice,
    KitInfo,
    Locks,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderResponseItem,
    OrderSubmit,
    PaymentStatusCode,
    QuantityInfoResponse,
    ShippingStatusCode,
    StoreStockInfo,
    SubmitOrderResponseItem,
    UpdateItemResponse,
    VariationInfo,
)
from octopus_soap import models as all_models
from octopus_soap.models import WireModel
from tests.every import every

# -- the page ------------------------------------------------------------------------------------------------------

# Every table under "Data Models", copied by hand: wire name and type as the page spells them.
PAGE: dict[type[WireModel], str] = {
    StoreStockInfo: """
        StoreID string, StoreStock Float, StorePrice Decimal, StoreListPrice Decimal, StoreBToBPrice Decimal,
        StoreSalesPrice Decimal, StoreCost Decimal, StoreMAP Decimal, StorePriceA Decimal, StorePriceB Decimal,
        StorePriceC Decimal, StoreMSRP Decimal""",
    IsSkuExistResponse: "Sku string, Result bool, ErrorMessage string",
    InventoryItem: """
        Sku string, Category string, Description string, Details string, SUBDescription1 string,
        SUBDescription2 string, SUBDescription3 string, Weight decimal, SupplierCode string, Price decimal,
        Cost Decimal, PriceA Decimal, PriceB Decimal, PriceC Decimal, MSRP Decimal, Applicablestock string,
        Stock string, FormQuantity string, DCSCode string, ItemSID string, Blank string, None string,
        Custom1 string, Custom2 string, Custom3 string, Custom4 string, Custom5 string, Custom6 string,
        Custom7 string, Custom8 string, Custom9 string, Custom10 string, Custom11 string, Custom12 string,
        Custom13 string, Custom14 string, Custom15 string, Custom16 string, Custom17 string, Custom18 string,
        Custom19 string, Custom20 string, Custom21 string, Custom22 string, Custom23 string, Custom24 string,
        Custom25 string, Custom26 string, Custom27 string, Custom28 string, Custom29 string, Custom30 string,
        SaleStartDate Datetime, SaleEndDate Datetime, salesprice Decimal, UPC string, ImageUrl1 string,
        ImageUrl2 string, ImageUrl3 string, ImageUrl4 string, ImageUrl5 string,
        StoreStockInfoList List<StoreStockInfo>, KitList List<KitInfo>, AttributeList List<attributeInfo>,
        VariationInfo variationInfo, FieldLocks Locks""",
    KitInfo: "SKU string, Quantity float",
    # The page types Value as a float of at most 255 characters: text.
    AttributeInfo: "Name string, Value string",
    VariationInfo: "IsParent Bool, ParentSku String",
    Locks: """
        LockParentSKU Bool, LockUPC Bool, LockPrice Bool, LockPriceA Bool, LockPriceB Bool, LockPriceC Bool,
        LockListPrice Bool, LockMSRP Bool, LockSalesPrice Bool, LockCost Bool, LockWeight Bool,
        LockSUBDescription1 Bool, LockSUBDescription2 Bool, LockSUBDescription3 Bool, LockVariations Bool,
        LockImages Bool, LockStock Bool, LockCategory Bool, LockDescription Bool, LockDetails Bool, LockSupplier Bool,
        LockSaleStartDate Bool, LockSaleEndDate Bool""",
    QuantityInfoResponse: "Sku String, Applicablestock Decimal, Stock Int, FormQuantity Int, ErrorMessage String",
    ItemQuantityAndPrice: """
        Sku String, Stock Int, LockStock Bool, Cost Decimal, LockCost Bool, Price Decimal, LockPrice Bool,
        StoreStockInfoList List<StoreStockInfo>, ErrorMessage String""",
    UpdateItemResponse: "Sku String, Result Bool, ErrorMessage String",
    OrderDownloadSubmitRequest: "OrderId String, ThirdPartyOrderNumber String, StoreId String",
    OrderCriteria: """
        OrderCreationFilterBeginTimeGMT Datetime, OrderCreationFilterEndTimeGMT Datetime, OrderIDList Int[],
        PaymentStatusFilter PaymentStatusCode, ShippingStatusFilter ShippingStatusCode""",
    OrderSubmit: """
        OrderID string, OrderDate Datetime, Ship AddressInfo, Bill AddressInfo, Shipping string, CreditCard string,
        orderItems OrderItem[], SubTotal Decimal, ShippingTotal decimal, TaxTotal decimal, Total decimal,
        WebComment String, ErrorMessage string""",
    # The page's row between Phone and CustomerId has no name; Email is the likely one.
    AddressInfo: """
        FirstName string, LastName string, Address1 string, Address2 string, City string, State string,
        Country string, Zip string, Phone string, Email string, CustomerId string""",
    OrderItem: """
        sku string, Quantity Int32, UnitPrice decimal, Description string, ItemTax Decimal, ItemDiscount Decimal""",
    SubmitOrderResponseItem: "idorder string, Result Bool, ErrorMessage string",
    CustomFieldMapping: "Text string, Value string, IsMapping string",
}
ROWS = [
    (model, *row.split()) for model, table in PAGE.items() for row in (part.strip() for part in table.split(",")) if row
]
TYPES: dict[str, Any] = {
    "string": str,
    "decimal": Decimal,
    "float": float,
    "bool": bool,
    "int": int,
    "int32": int,
    "datetime": datetime,
    "attributeinfo": AttributeInfo,
    "variationinfo": VariationInfo,
    "storestockinfo": StoreStockInfo,
    "kitinfo": KitInfo,
    "locks": Locks,
    "addressinfo": AddressInfo,
    "orderitem": OrderItem,
    "paymentstatuscode": PaymentStatusCode,
    "shippingstatuscode": ShippingStatusCode,
}


def bare(annotation: Any) -> Any:
    """The type inside Annotated and Optional."""
    while True:
        if get_origin(annotation) is typing.Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) is not list and (args := [a for a in get_args(annotation) if a is not type(None)]):
            annotation = args[0]
        else:
            return annotation


@every(("model", "wire_name", "kind"), ROWS, ids=[f"{m.__name__}.{n}" for m, n, _ in ROWS])
def test_every_row_of_the_pages_tables_is_a_field_of_its_type(
    model: type[WireModel], wire_name: str, kind: str
) -> None:
    names = model.wire_names()
    assert wire_name in names
    field = model.model_fields[names[wire_name]]
    found = bare(field.annotation)
    kind = kind.casefold()
    if kind.startswith("list<") or kind.endswith("[]"):
        assert get_origin(found) is list
        found, kind = bare(get_args(found)[0]), kind.removeprefix("list<").removesuffix(">").removesuffix("[]")
    assert found is TYPES[kind]
    assert field.default is None
    assert field.validation_alias == field.serialization_alias == wire_name


@every("model", PAGE, ids=lambda model: model.__name__)
def test_no_model_has_a_field_the_page_does_not_have(model: type[WireModel]) -> None:
    assert set(model.wire_names()) == {name for owner, name, _ in ROWS if owner is model}


def test_every_model_is_in_the_table_but_the_one_the_page_never_defines() -> None:
    exported = {getattr(all_models, name) for name in all_models.__all__}
    found = {m for m in exported if isinstance(m, type) and issubclass(m, WireModel)}
    assert found - set(PAGE) == {WireModel, OrderResponseItem}
    assert set(OrderSubmit.wire_names()) < set(OrderResponseItem.wire_names())


def test_the_enumerations_have_the_pages_values() -> None:
    assert [code.value for code in PaymentStatusCode] == [
        "NoChange",
        "NotSubmitted",
        "Submitted",
        "Deposited",
        "Cleared",
        "Failed",
    ]
    assert [code.value for code in ShippingStatusCode] == [
        "NoChange",
        "Unshipped",
        "PendingShipment",
        "PartiallyShipped",
        "Shipped",
    ]


def test_python_names_are_readable_and_wire_names_stay_the_pages() -> None:
    assert InventoryItem.wire_names()["Applicablestock"] == "applicable_stock"
    assert InventoryItem.wire_names()["salesprice"] == "sales_price"
    assert InventoryItem.wire_names()["SUBDescription1"] == "sub_description1"
    assert SubmitOrderResponseItem.wire_names()["idorder"] == "id_order"
    assert all(name == name.lower() for model in PAGE for name in model.model_fields)


# -- amounts -------------------------------------------------------------------------------------------------------


@every(
    ("given_value", "kept"),
    [
        (Decimal("19.90"), "19.90"),
        (Decimal("1E+2"), "1E+2"),
        (19, "19"),
        ("19.90", "19.90"),
        (" 19.9 ", "19.9"),
        ("+.5", "0.5"),
        ("-0.00", "-0.00"),
        (0.5, "0.5"),
        (19.25, "19.25"),
        (-3.0, "-3"),
        (1e15, "1000000000000000"),
        (19.99, "19.99"),
        (0.1, "0.1"),
        (Decimal("9" * 29), "9" * 29),
    ],
    ids=repr,
)
def test_an_amount_takes_exact_numbers_and_keeps_their_scale(given_value: Any, kept: str) -> None:
    price = InventoryItem(price=given_value).price
    assert type(price) is Decimal
    assert str(price) == kept


@every(
    "wrong",
    [
        0.1 + 0.2,
        19.99001,
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("-Infinity"),
        Decimal("sNaN"),
        True,
        "19,99",
        "1E5",
        "1_000",
        "NaN",
        "",
        "\u0661",
        "0x1",
        "$5",
        b"5",
        [5],
        1 + 0j,
        Decimal("9" * 30),
        Decimal("1E+40"),
        10**40,
        datetime(2026, 1, 1, tzinfo=UTC),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_amount_refuses_what_is_not_exactly_a_number(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="price"):
        InventoryItem(price=wrong)


def test_a_refused_float_is_told_what_to_write_instead() -> None:
    with pytest.raises(InvalidInputError, match="round it, or give a Decimal"):
        InventoryItem(price=0.1 + 0.2)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_float_taken_for_money_is_the_same_number(value: float) -> None:
    try:
        price = InventoryItem(price=value).price
    except InvalidInputError:
        return
    assert price is not None
    assert float(price) == value
    assert price in (Decimal(value), Decimal(repr(value)))


# -- integers, booleans, reals ---------------------------------------------------------------------------------------


@every(("value", "kept"), [(0, 0), (-(2**31), -(2**31)), (2**31 - 1, 2**31 - 1), ("12", 12), (" -3 ", -3), ("+4", 4)])
def test_an_int_takes_32_bits(value: Any, kept: int) -> None:
    stock = ItemQuantityAndPrice(stock=value).stock
    assert stock == kept
    assert type(stock) is int


@every(
    "wrong",
    [
        2**31,
        -(2**31) - 1,
        1.0,
        1.5,
        True,
        "1.0",
        "1e3",
        "",
        "x",
        "1_0",
        "\u0661",
        "99999999999",
        Decimal(1),
        [1],
        "9" * 5000,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_int_refuses_what_is_not_one(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="stock"):
        ItemQuantityAndPrice(stock=wrong)


@every(("value", "kept"), [(True, True), ("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_bool_takes_bools_and_their_xsd_texts(value: Any, kept: bool) -> None:
    assert Locks(lock_price=value).lock_price is kept


@every("wrong", [1, 0, "yes", "True", "FALSE", "", "on", 1.0, []], ids=repr)
def test_a_bool_refuses_what_only_looks_like_one(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="lock_price"):
        Locks(lock_price=wrong)


@every(("value", "kept"), [(2, 2.0), (0.1, 0.1), (Decimal("2.5"), 2.5), ("2.5", 2.5)])
def test_a_real_takes_numbers(value: Any, kept: float) -> None:
    quantity = KitInfo(quantity=value).quantity
    assert quantity == kept
    assert type(quantity) is float


@every(
    "wrong",
    [float("nan"), float("inf"), True, "x", "1e5", "", "NaN", Decimal("NaN"), 10**400],
    ids=lambda v: repr(v)[:12],
)
def test_a_real_is_finite_and_a_number(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="quantity"):
        KitInfo(quantity=wrong)


# -- moments -------------------------------------------------------------------------------------------------------


@every(
    "value",
    [
        datetime(2026, 3, 4, 10, 0, tzinfo=UTC),
        datetime(2026, 3, 4, 15, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        "2026-03-04T10:00:00Z",
        "2026-03-04T05:00:00-05:00",
        " 2026-03-04T10:00:00.0000000Z ",
    ],
    ids=str,
)
def test_a_moment_is_held_in_utc(value: Any) -> None:
    moment = InventoryItem(sale_start_date=value).sale_start_date
    assert moment == datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
    assert moment is not None
    assert moment.tzinfo is UTC


@every(
    "wrong",
    [
        datetime(2026, 3, 4),  # noqa: DTZ001 - naive on purpose
        "2026-03-04T10:00:00",
        "20260304",
        20260304,
        1772618400.0,
        "2026-03-04",
        "2026-03-04 10:00:00Z",
        "04/03/2026",
        "1772618400",
        "2026-02-30T00:00:00Z",
        "2026-03-04T24:00:00Z",
        "now",
        "",
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        datetime(2026, 3, 4, tzinfo=UTC).date(),
    ],
    ids=str,
)
def test_a_moment_refuses_naive_times_and_lookalikes(wrong: Any) -> None:
    """`20260304` is a day, or 20 million seconds of 1970 for a lax parser."""
    with pytest.raises(InvalidInputError, match="sale_start_date"):
        InventoryItem(sale_start_date=wrong)


# -- text ----------------------------------------------------------------------------------------------------------


@every("text", ["", " ", "      4630", "00123", "1E5", "nan", "None", "é", "\t\n\r", "\U0001f600", "x" * 9999])
def test_text_is_kept_as_it_is(text: str) -> None:
    item = InventoryItem(sku=text, stock=text, upc=text)
    assert (item.sku, item.stock, item.upc) == (text, text, text)


@every("code", [*range(9), 0xB, 0xC, *range(0xE, 0x20), 0xFFFE, 0xFFFF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_a_character_xml_cannot_carry_is_refused_with_its_place(code: int) -> None:
    with pytest.raises(InvalidInputError, match=r"InventoryItem\.details: character .* at position 2"):
        InventoryItem(details=f"ab{chr(code)}c")


@every("wrong", [123, 1.5, b"A", True, Decimal(1), ["A"], {}], ids=repr)
def test_text_refuses_what_is_not_text(wrong: Any) -> None:
    """SKU 123 as text would be "123", but the shop's may be "00123"."""
    with pytest.raises(InvalidInputError, match="sku"):
        InventoryItem(sku=wrong)


def test_the_pages_misplaced_lengths_are_not_enforced() -> None:
    """From Price downward the page has the lengths in the wrong rows."""
    InventoryItem(applicable_stock="1" * 60, stock="1" * 60, upc="1" * 60, item_sid="1" * 300, custom1="x" * 5000)


# -- open enumerations ---------------------------------------------------------------------------------------------


def test_an_unknown_status_survives_as_itself() -> None:
    code = PaymentStatusCode("Refunded")
    assert (code.value, str(code), code.known) == ("Refunded", "Refunded", False)
    assert code == "Refunded"
    assert code == PaymentStatusCode("Refunded")
    assert hash(code) == hash(PaymentStatusCode("Refunded"))
    assert code != PaymentStatusCode.CLEARED
    assert PaymentStatusCode("Cleared") is PaymentStatusCode.CLEARED
    assert PaymentStatusCode.CLEARED.known
    assert "Refunded" not in {member.value for member in PaymentStatusCode}, "the enumeration itself does not grow"
    assert "Refunded" in repr(code)


@every("wrong", ["", None, 5])
def test_what_is_no_text_is_no_status(wrong: Any) -> None:
    with pytest.raises(ValueError, match="not a valid"):
        PaymentStatusCode(wrong)


@every("code", [PaymentStatusCode.CLEARED, PaymentStatusCode("New"), ShippingStatusCode("New")])
def test_a_status_survives_pickling_and_copying(code: Any) -> None:
    for again in (pickle.loads(pickle.dumps(code)), copy.copy(code), copy.deepcopy(code)):
        assert again == code
        assert type(again) is type(code)
        assert again.known is code.known


def test_a_filter_refuses_a_plain_unknown_text_and_takes_one_made_on_purpose() -> None:
    """A WCF server faults the whole request on an unknown enumeration text."""
    with pytest.raises(InvalidInputError, match=r"unknown status.*Cleared"):
        OrderCriteria(payment_status_filter="paid")
    for spelled in ("Cleared", "cleared"):
        assert OrderCriteria(payment_status_filter=spelled).payment_status_filter is PaymentStatusCode.CLEARED
    made = OrderCriteria(payment_status_filter=PaymentStatusCode("NewOne")).payment_status_filter
    assert made == "NewOne"


# -- criteria ------------------------------------------------------------------------------------------------------

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@every(("begin", "end"), [(None, None), (BEGIN, END), (BEGIN, BEGIN), (BEGIN, None), (None, END)])
def test_a_creation_window_may_be_open(begin: Any, end: Any) -> None:
    OrderCriteria(order_creation_filter_begin_time_gmt=begin, order_creation_filter_end_time_gmt=end)


def test_a_reversed_window_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="creation"):
        OrderCriteria(order_creation_filter_begin_time_gmt=END, order_creation_filter_end_time_gmt=BEGIN)


@every("ids", [["x"], [2**31], [None], [1.0], "12", 12])
def test_order_ids_of_the_criteria_are_numbers(ids: Any) -> None:
    with pytest.raises(InvalidInputError, match="order_id_list"):
        OrderCriteria(order_id_list=ids)


def test_order_ids_of_the_criteria_may_be_given_as_digits() -> None:
    assert OrderCriteria(order_id_list=["7", 8]).order_id_list == [7, 8]


# -- names ---------------------------------------------------------------------------------------------------------


def test_a_model_is_built_from_python_names_or_wire_names() -> None:
    by_wire = InventoryItem.model_validate({"Sku": "A", "SUBDescription1": "x", "salesprice": "1.00"})
    assert by_wire == InventoryItem(sku="A", sub_description1="x", sales_price=Decimal("1.00"))
    assert by_wire.model_dump(by_alias=True, exclude_unset=True) == {
        "Sku": "A",
        "SUBDescription1": "x",
        "salesprice": Decimal("1.00"),
    }


@every(
    ("typo", "meant"),
    [("prise", "price"), ("Prce", "price"), ("stor_stock_info_list", "store_stock_info_list"), ("SKU", "sku")],
)
def test_an_unknown_name_is_refused_with_the_likely_one(typo: str, meant: str) -> None:
    """If it were kept as an extra member, a misspelt price would never be sent."""
    for build in (lambda given: InventoryItem(**given), InventoryItem.model_validate):
        with pytest.raises(ValueError, match=f"no field '{typo}'.*{meant}"):
            build({"sku": "A", typo: "1"})


def test_a_name_like_nothing_is_refused_without_a_guess() -> None:
    with pytest.raises(InvalidInputError, match=r"no field 'qqqq'; if the contract in force has it, give it as extra="):
        InventoryItem(qqqq=1)


def test_a_typo_in_a_nested_record_is_refused_too() -> None:
    with pytest.raises(InvalidInputError, match=r"store_stock.*'store_stok'"):
        InventoryItem(store_stock_info_list=[{"store_id": "S1", "store_stok": 1}])


def test_every_wrong_field_is_named_not_only_the_first() -> None:
    with pytest.raises(InvalidInputError) as caught:
        InventoryItem(sku="A", price="x", cost=0.1 + 0.2, sale_end_date="never")
    assert [problem.field for problem in caught.value.problems] == [
        "InventoryItem.price",
        "InventoryItem.cost",
        "InventoryItem.sale_end_date",
    ]
    assert {problem.key for problem in caught.value.problems} == {"A"}


# -- instances -----------------------------------------------------------------------------------------------------


def test_instances_are_frozen() -> None:
    item = InventoryItem(sku="A")
    with pytest.raises(ValueError, match="frozen"):
        item.sku = "B"  # type: ignore[misc] # what is tested


def test_replace_changes_what_is_named_and_keeps_the_unset_unset() -> None:
    item = InventoryItem(sku="A", price=Decimal(1), cost=None)
    changed = item.replace(price=Decimal(2), stock=None)
    assert changed.model_fields_set == {"sku", "price", "cost", "stock"}
    assert (changed.sku, changed.price, changed.cost) == ("A", Decimal(2), None)
    assert item.price == Decimal(1)
    assert item.replace() == item
    assert item.replace().model_fields_set == item.model_fields_set
    for wrong in ({"price": 0.1 + 0.2}, {"prise": Decimal(1)}):
        with pytest.raises(InvalidInputError):
            item.replace(**wrong)


def test_without_makes_members_unset() -> None:
    item = InventoryItem(sku="A", price=None, cost=Decimal(1)).without("price", "category")
    assert item.model_fields_set == {"sku", "cost"}


def test_unset_and_none_are_different_and_equal_content_is_equal() -> None:
    assert InventoryItem(sku="A").model_fields_set != InventoryItem(sku="A", price=None).model_fields_set
    assert InventoryItem(sku="A") == InventoryItem(sku="A")
    assert InventoryItem(sku="A") != InventoryItem(sku="B")


@every("model", [*PAGE, OrderResponseItem], ids=lambda model: model.__name__)
def test_an_instance_survives_pickling_and_copying_with_what_is_unset(model: type[WireModel]) -> None:
    name = next(iter(model.model_fields))
    for value in (model(), model(**{name: None})):
        for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
            assert again == value
            assert again.model_fields_set == value.model_fields_set
            assert type(again) is model


def test_extra_members_of_a_reply_survive_pickling_and_replace() -> None:
    from octopus_soap.contracts.wsdl import load_contract
    from octopus_soap.models.declarations import RowsOf
    from octopus_soap.wire.codec import Codec
    from octopus_soap.wire.decode import Reply
    from octopus_soap.wire.redact import Redactor

    codec = Codec(load_contract(), Redactor([]), UTC)
    body = (
        b"<Envelope><Body><GetItemTblListResponse><R><Item><Sku>A</Sku><New>n</New></Item></R>"
        b"</GetItemTblListResponse></Body></Envelope>"
    )
    item = codec.decode("GetItemTblList", Reply(200, {}, body), RowsOf(InventoryItem)).rows[0].value
    assert pickle.loads(pickle.dumps(item)).model_extra == {"New": "n"}
    changed = item.replace(sku="B")
    assert (changed.sku, changed.model_extra) == ("B", {"New": "n"})


def test_a_repr_shows_what_is_set_and_hides_the_credit_card() -> None:
    assert repr(InventoryItem(sku="A", price=Decimal("1.50"))) == "InventoryItem(sku='A', price=Decimal('1.50'))"
    for model in (OrderSubmit, OrderResponseItem):
        order = model(order_id="7", credit_card="VISA 4111111111111111")
        for shown in (repr(order), str(order), f"{[order]}"):
            assert "4111" not in shown
            assert "order_id='7'" in shown


def test_a_refused_credit_card_is_not_shown_either() -> None:
    with pytest.raises(InvalidInputError) as caught:
        OrderSubmit(credit_card=4111111111111111)
    assert "4111" not in str(caught.value)
    with pytest.raises(InvalidInputError) as caught:
        OrderSubmit(CreditCard="4111111111111111\x00")
    assert "4111" not in str(caught.value)


def test_lists_and_nested_records_may_be_given_as_dicts() -> None:
    item = InventoryItem(
        store_stock_info_list=[{"StoreID": "S1", "store_stock": "2.5"}], field_locks={"LockPrice": True}
    )
    assert item.stores == [StoreStockInfo(store_id="S1", store_stock=2.5)]
    assert item.field_locks == Locks(lock_price=True)


def test_shortcuts_are_empty_where_the_service_sent_none() -> None:
    for item in (InventoryItem(), InventoryItem(store_stock_info_list=None, kit_list=None, attribute_list=None)):
        assert (item.stores, item.kits, item.attributes) == ([], [], {})
    item = InventoryItem(attribute_list=[AttributeInfo(name="Size", value="L"), AttributeInfo(value="x")])
    assert item.attributes == {"Size": "L"}


def test_models_round_trip_through_json_with_exact_money() -> None:
    item = InventoryItem(sku="00123", price=Decimal("19.90"), sale_end_date=datetime(2026, 3, 4, tzinfo=UTC))
    text = item.model_dump_json(by_alias=True, exclude_unset=True)
    assert '"Price":"19.90"' in text
    assert InventoryItem.model_validate_json(text) == item


def test_a_live_class_shows_the_names_one_writes() -> None:
    """IPython shows this for `InventoryItem?`: no wire names, no internals."""
    before = inspect.signature(InventoryItem)
    InventoryItem(sku="A")  # pydantic completes a class at its first use
    shown = str(inspect.signature(InventoryItem))
    assert str(before) == shown
    assert "price: 'Amount | None' = None" in shown
    assert "sales_price" in shown
    assert "salesprice" not in shown
    assert "0x" not in shown
    assert list(inspect.signature(InventoryItem).parameters) == list(InventoryItem.model_fields)
