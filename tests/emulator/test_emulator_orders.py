"""Orders: submitting, listing by criteria, confirming; custom field mapping."""

from datetime import UTC, datetime

import pytest

from octopus_soap.emulator import Profile

LINES = "<d:orderItems><d:OrderItem><d:Quantity>2</d:Quantity><d:UnitPrice>1.5</d:UnitPrice><d:sku>A-1</d:sku></d:OrderItem></d:orderItems>"


def order(number="W-1", day=1):
    return (
        f"<orderSubmit><d:Bill><d:Email>a@example.com</d:Email></d:Bill><d:OrderDate>2024-01-{day:02d}T10:00:00Z</d:OrderDate>"
        f"<d:OrderID>{number}</d:OrderID><d:Total>3</d:Total>{LINES}</orderSubmit>"
    )


def criteria(begin=None, end=None, ids=(), payment=None, shipping=None):
    def element(name, value):
        return f"<d:{name}>{value}</d:{name}>" if value is not None else ""

    listed = "".join(f"<r:int>{number}</r:int>" for number in ids)
    return (
        "<orderCriteria>"
        + element("OrderCreationFilterBeginTimeGMT", begin)
        + element("OrderCreationFilterEndTimeGMT", end)
        + (f"<d:OrderIDList>{listed}</d:OrderIDList>" if ids else "")
        + element("PaymentStatusFilter", payment)
        + element("ShippingStatusFilter", shipping)
        + "</orderCriteria>"
    )


def confirms(*rows):
    made = "".join(
        "<d:OrderDownloadSubmitRequest>"
        + "".join(
            f"<d:{name}>{row[name]}</d:{name}>"
            for name in ("OrderId", "StoreId", "ThirdPartyOrderNumber")
            if name in row
        )
        + "</d:OrderDownloadSubmitRequest>"
        for row in rows
    )
    return f"<orderDownloadSubmitRequests>{made}</orderDownloadSubmitRequests>"


def listed(shop, *args, **kwargs):
    rows = shop.call("GetOrderList", criteria(*args, **kwargs)).rows
    return [row["OrderID"] for row in rows or []]


def test_submit_order_answers_a_new_id_and_the_order_can_be_read_back(shop):
    answer = shop.call("SubmitOrder", order())
    assert answer.result["Status"] == "Success"
    assert answer.rows["Result"] == "true"
    (row,) = shop.call("GetOrderList", criteria()).rows
    assert row["OrderID"] == answer.rows["idorder"]
    assert row["ClientOrderIdentifier"] == "W-1"
    assert (row["OrderDate"], row["Total"]) == ("2024-01-01T10:00:00", "3.0000")
    assert row["BuyerEmailAddress"] == "a@example.com"
    assert row["orderItems"][0] == row["orderItems"][0] | {"sku": "A-1", "Quantity": "2", "UnitPrice": "1.5000"}
    assert (row["DateCancelledGMT"], row["LastUpdateDate"]) == ("1900-01-01T00:00:00", "0001-01-01T00:00:00")
    assert (row["PaymentStatus"], row["ShippingStatus"]) == ("NotSubmitted", "Unshipped")


def test_the_same_order_id_twice_is_rejected_unless_the_profile_duplicates(shop, emulate):
    shop.call("SubmitOrder", order())
    again = shop.call("SubmitOrder", order())
    assert (again.result["Status"], again.rows["Result"], again.rows["idorder"]) == ("Failure", "false", None)
    assert "W-1" in again.rows["ErrorMessage"]
    assert len(shop.service.store.orders()) == 1
    careless = emulate(profile=Profile(duplicate_orders="duplicate"))
    ids = {careless.call("SubmitOrder", order()).rows["idorder"] for _ in range(2)}
    assert len(ids) == len(careless.service.store.orders()) == 2


def test_an_order_without_lines_is_refused(shop):
    answer = shop.call("SubmitOrder", "<orderSubmit><d:OrderID>X</d:OrderID></orderSubmit>")
    assert (answer.result["Status"], answer.result["MessageCode"]) == ("Failure", "1")
    assert shop.service.store.orders() == {}


def test_stock_is_reduced_only_in_that_profile(shop, emulate):
    shop.call("SubmitOrder", order())
    assert shop.service.store.item("A-1")["Stock"] == "6"
    reducing = emulate(profile=Profile(reduce_stock=True))
    reducing.service.store.add_item("A-1", Stock="6")
    reducing.call("SubmitOrder", order())
    assert reducing.service.store.item("A-1")["Stock"] == "4"


def test_date_filters_are_inclusive_and_read_in_utc(shop):
    ids = [shop.call("SubmitOrder", order(f"W-{day}", day)).rows["idorder"] for day in (1, 2, 3)]
    assert listed(shop, "2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z") == ids[:2]
    assert listed(shop, "2024-01-01T10:00:00.001Z", "2024-01-02T09:59:59.999Z") == []
    assert listed(shop, "2024-01-02T12:00:00+02:00", None) == ids[1:]
    assert listed(shop, None, "2024-01-01T23:00:00") == ids[:1]


def test_id_and_status_filters_and_no_change_means_all(shop):
    add = shop.service.store.add_order
    paid = add(payment_status="Cleared", shipping_status="Shipped", OrderDate=datetime(2024, 1, 1, tzinfo=UTC))
    unpaid = add(OrderDate=datetime(2024, 1, 2, tzinfo=UTC))
    assert listed(shop, payment="Cleared") == [str(paid)]
    assert listed(shop, shipping="Unshipped") == [str(unpaid)]
    assert listed(shop, payment="NoChange", shipping="NoChange") == [str(paid), str(unpaid)]
    assert listed(shop, ids=[unpaid, 999999]) == [str(unpaid)]
    answer = shop.call("GetOrderList", criteria())
    assert [row["NumberOfMatches"] for row in answer.rows] == ["2", "2"]


def test_missing_criteria_are_a_failure(shop):
    assert shop.call("GetOrderList").result["Status"] == "Failure"
    assert shop.call("GetOrderListStore", criteria()).result["Status"] == "Failure"


def test_an_omitted_end_date_matches_nothing_where_it_cannot_be_null(emulate):
    shop = emulate(profile=Profile(nillable_values=False))
    number = shop.service.store.add_order(OrderDate=datetime(2024, 1, 1, tzinfo=UTC))
    assert listed(shop, "2023-01-01T00:00:00Z", None) == []
    assert listed(shop) == [str(number)]


def test_confirmed_orders_are_listed_no_more_and_unknown_ids_are_ignored(shop):
    first, second = shop.service.store.add_order(), shop.service.store.add_order(stores=["S1"])
    answer = shop.call(
        "SetDownloadOrderConfirm",
        confirms({"OrderId": first, "ThirdPartyOrderNumber": "POS-7"}, {"OrderId": 999999}, {"OrderId": "abc"}),
    )
    assert answer.text.endswith('<SetDownloadOrderConfirmResponse xmlns="http://tempuri.org/"/></s:Body></s:Envelope>')
    assert listed(shop) == [str(second)]
    assert shop.service.store.orders()[first].third_party == "POS-7"
    assert shop.service.store.orders()[first].confirmed
    assert [note.what for note in shop.service.lint] == ["ignored-confirm"] * 2
    shop.call("SetDownloadOrderConfirm", confirms({"OrderId": second, "StoreId": "S9"}))
    assert listed(shop) == [str(second)]
    shop.call("SetDownloadOrderConfirm", confirms({"OrderId": second, "StoreId": "S1"}))
    assert listed(shop) == []
    assert shop.service.calls[-1].keys == ()  # GetOrderList without ids
    assert shop.service.calls[-2].keys == (str(second),)


def test_split_orders_are_confirmed_store_by_store(shop):
    number = shop.service.store.add_order(stores=["S1", "S2"])

    def of_store(store):
        rows = shop.call("GetOrderListStore", criteria() + f"<StoreIDs>{store}</StoreIDs>").rows
        return [(row["OrderID"], row["StoreId"]) for row in rows or []]

    assert of_store("S1") == [(str(number), "S1")]
    assert of_store("S2") == [(str(number), "S2")]
    assert of_store("S3") == []
    shop.call("SetDownloadOrderConfirm", confirms({"OrderId": number, "StoreId": "S1"}))
    assert of_store("S1") == [(str(number), "S1")]
    shop.call("SetDownloadSplitOrderConfirm", confirms({"OrderId": number, "StoreId": "S1"}))
    assert of_store("S1") == []
    assert of_store("S1,S2") == [(str(number), "S2")]
    assert listed(shop) == [str(number)]
    shop.call("SetDownloadSplitOrderConfirm", confirms({"OrderId": number, "StoreId": "S2"}))
    assert listed(shop) == []


def test_one_way_confirmations_answer_202_with_nothing(emulate):
    shop = emulate(profile=Profile(void="one-way"))
    number = shop.service.store.add_order()
    answer = shop.call("SetDownloadOrderConfirm", confirms({"OrderId": number}))
    assert (answer.status, answer.response.content) == (202, b"")
    assert shop.service.store.orders()[number].confirmed


@pytest.mark.parametrize(
    ("row", "result"),
    [
        ("<d:IsMapping>true</d:IsMapping><d:Text>Colour</d:Text><d:Value>Custom1</d:Value>", "true"),
        ("<d:Text>Colour</d:Text>", "Text and Value are required for every field mapping"),
    ],
)
def test_custom_field_mapping_answers_true_or_an_error_text(shop, row, result):
    inner = f"<FieldMapping><d:CustomFieldMapping>{row}</d:CustomFieldMapping></FieldMapping>"
    assert shop.call("CustomFieldMapping", inner).result == result
    kept = [{"IsMapping": "true", "Text": "Colour", "Value": "Custom1"}] if result == "true" else []
    assert shop.service.store.mappings() == kept
