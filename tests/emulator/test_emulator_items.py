"""The fourteen item operations, called with hand-written XML."""

from decimal import Decimal

import pytest

from octopus_soap.emulator import Profile

NO_SKU = "The specified Sku does not exist"
ALL_FAILED = "All Update requests failed for the SKU list specified!"


def iqp(sku, members="", name="d:ItemQuantityAndPrice", after=""):
    return f"<{name}>{members}<d:Sku>{sku}</d:Sku>{after}</{name}>"


def updates(*rows):
    return f"<itemQuantityAndPriceList>{''.join(rows)}</itemQuantityAndPriceList>"


def test_is_sku_exist_is_a_bare_boolean(shop):
    assert shop.call("IsSkuExist", "<sku>A-1</sku>").result == "true"
    assert shop.call("IsSkuExist", "<sku>a-1</sku>").result == "false"


def test_is_sku_exist_keeps_blanks(shop):
    shop.service.store.add_item("      4630")
    assert shop.call("IsSkuExist", "<sku>      4630</sku>").result == "true"
    assert shop.call("IsSkuExist", "<sku>4630</sku>").result == "false"


def test_is_sku_exist_list_answers_every_sku_in_order(shop):
    answer = shop.call("IsSkuExistList", shop.skus("A-2", "nope", "A-1", "A-2"))
    assert answer.result["Status"] == "Success"
    assert [(row["Sku"], row["Result"]) for row in answer.rows] == [
        ("A-2", "true"),
        ("nope", "false"),
        ("A-1", "true"),
        ("A-2", "true"),
    ]


def test_get_item_list_leaves_out_what_is_unknown_and_keeps_the_order(shop):
    answer = shop.call("GetItemList", shop.skus("A-2", "nope", "A-1"))
    assert [row["Sku"] for row in answer.rows] == ["A-2", "A-1"]
    assert answer.rows[1]["Price"] == "3.3900"
    assert answer.rows[1]["MSRP"] is None
    assert answer.result == answer.result | {"Status": "Success", "MessageCode": "0", "Message": None, "Data": None}


def test_no_match_is_an_empty_list_and_success(shop):
    answer = shop.call("GetItemList", shop.skus("nope"))
    assert (answer.result["Status"], answer.rows) == ("Success", "")


def test_quantities(shop):
    assert shop.call("GetItemQuantity", "<sku>A-2</sku>").rows == "10"
    info = shop.call("GetItemQuantityInfo", "<sku>A-2</sku>").rows
    assert info == {"Sku": "A-2", "Applicablestock": "8.0000", "Stock": "10", "FormQuantity": "4", "ErrorMessage": None}
    rows = shop.call("GetItemQuantityList", shop.skus("nope", "A-1")).rows
    assert [(row["Sku"], row["ErrorMessage"], row["Stock"]) for row in rows] == [
        ("nope", NO_SKU, None),
        ("A-1", None, "6"),
    ]


@pytest.mark.parametrize(("operation", "data"), [("GetItemQuantity", "0"), ("GetItemQuantityInfo", None)])
def test_an_unknown_sku_is_a_failure_of_the_single_forms(shop, operation, data):
    answer = shop.call(operation, "<sku>nope</sku>")
    assert (answer.status, answer.result["Status"], answer.rows) == (200, "Failure", data)
    assert answer.result["Message"] == NO_SKU


LIMITS = [("IsSkuExistList", 500), ("GetItemList", 100), ("GetItemQuantityList", 100)]


@pytest.mark.parametrize(("operation", "limit"), LIMITS)
def test_limits_of_the_sku_lists(shop, operation, limit):
    full = shop.call(operation, shop.skus(*(f"X{n}" for n in range(limit))))
    assert full.result["Status"] == "Success"
    over = shop.call(operation, shop.skus(*(f"X{n}" for n in range(limit + 1))))
    assert (over.status, over.result["Status"], over.result["MessageCode"], over.rows) == (200, "Failure", "8", None)
    none = shop.call(operation, shop.skus())
    assert (none.result["MessageCode"], none.result["Message"]) == ("1", "No Items were specified!")
    assert [call.executed for call in shop.service.calls] == [True, False, False]


def test_limit_of_the_update_list(shop):
    answer = shop.call("UpdateItemQuantityAndPriceList", updates(*[iqp("A-1")] * 1001))
    assert (answer.result["Status"], answer.result["MessageCode"]) == ("Failure", "8")
    answer = shop.call("UpdateItemQuantityAndPriceList", updates(*[iqp("A-1")] * 1000))
    assert (answer.result["Status"], len(answer.rows)) == ("Success", 1000)


def test_update_of_one_item(shop):
    answer = shop.call(
        "UpdateItemQuantityAndPrice", iqp("A-1", "<d:Price>4.5</d:Price>", "iQP", "<d:Stock>9</d:Stock>")
    )
    assert (answer.result["Status"], answer.rows) == ("Success", "true")
    item = shop.service.store.item("A-1")
    assert (item["Price"], item["Stock"], item["Cost"]) == (Decimal("4.5"), "9", Decimal("1.5"))
    unknown = shop.call("UpdateItemQuantityAndPrice", iqp("nope", name="iQP"))
    assert (unknown.result["Status"], unknown.rows, unknown.result["Message"]) == ("Failure", "false", NO_SKU)


def test_update_list_is_a_success_if_one_row_is(shop):
    rows = updates(iqp("nope"), iqp("A-1", "<d:Cost>2</d:Cost>"), iqp("x" * 51), "<d:ItemQuantityAndPrice/>")
    answer = shop.call("UpdateItemQuantityAndPriceList", rows)
    assert answer.result["Status"] == "Success"
    assert [(row["Sku"], row["Result"], row["ErrorMessage"]) for row in answer.rows] == [
        ("nope", "false", NO_SKU),
        ("A-1", "true", None),
        ("x" * 51, "false", "The specified Sku is longer than 50 characters"),
        (None, "false", "No Sku value was specified"),
    ]


def test_update_list_fails_as_a_whole_when_all_rows_do(shop, emulate):
    answer = shop.call("UpdateItemQuantityAndPriceList", updates(iqp("nope")))
    assert (answer.result["Status"], answer.result["Message"]) == ("Failure", ALL_FAILED)
    assert [row["ErrorMessage"] for row in answer.rows] == [NO_SKU]
    terse = emulate(profile=Profile(failed_update_rows=False))
    assert terse.call("UpdateItemQuantityAndPriceList", updates(iqp("nope"))).rows is None


def test_locks_hold_until_a_row_lifts_them(shop):
    store = shop.service.store
    store.add_item("L", Price="1", Stock="1", FieldLocks={"LockPrice": True})
    update = updates(iqp("L", "<d:Price>9</d:Price>", after="<d:Stock>9</d:Stock>"))
    assert shop.call("UpdateItemQuantityAndPriceList", update).rows[0]["Result"] == "true"
    assert (store.item("L")["Price"], store.item("L")["Stock"]) == (Decimal(1), "9")
    lift = updates(iqp("L", "<d:LockPrice>false</d:LockPrice><d:Price>9</d:Price>"))
    shop.call("UpdateItemQuantityAndPriceList", lift)
    assert store.item("L")["Price"] == Decimal(9)
    assert store.item("L")["FieldLocks"] == {"LockPrice": False}


def test_upload_adds_and_updates_only_what_is_given(shop):
    members = "<d:Cost>1</d:Cost><d:Description>Mug</d:Description><d:Price>2</d:Price><d:Sku>N</d:Sku>"
    first = shop.call("UploadItem", f"<inventoryItem>{members}</inventoryItem>").result
    again = shop.call(
        "UploadItem", '<inventoryItem><d:Price>3</d:Price><d:Sku>N</d:Sku><d:UPC i:nil="true"/></inventoryItem>'
    )
    assert int(first) > 0
    assert again.result == first
    item = shop.service.store.item("N")
    assert (item["Price"], item["Cost"], item["Description"]) == (Decimal(3), Decimal(1), "Mug")


def test_omitted_value_types_become_zero_in_that_profile(emulate):
    shop = emulate(profile=Profile(omitted_value_type="zero"))
    shop.service.store.add_item("A", Description="Lantern", Price="3.39", Stock="6", FieldLocks={"LockCost": True})
    shop.call("UpdateItemQuantityAndPriceList", updates(iqp("A", after="<d:Stock>7</d:Stock>")))
    item = shop.service.store.item("A")
    assert (item["Price"], item["Stock"], item["FieldLocks"]["LockCost"]) == (0, "7", False)
    shop.service.store.add_item("B", Price="3.39", Description="Lantern")
    shop.call("UploadItem", "<inventoryItem><d:Sku>B</d:Sku></inventoryItem>")
    assert (shop.service.store.item("B")["Price"], shop.service.store.item("B")["Description"]) == (0, "Lantern")


def test_upload_list_reports_each_row_and_has_no_limit(shop):
    good = "".join(f"<d:InventoryItem><d:Sku>U{n}</d:Sku></d:InventoryItem>" for n in range(1500))
    bad = f"<d:InventoryItem><d:Sku>{'x' * 51}</d:Sku></d:InventoryItem>"
    answer = shop.call("UploadItemList", f"<inventoryItems>{good}{bad}</inventoryItems>")
    assert answer.result["Status"] == "Success"
    assert [row["Result"] for row in answer.rows] == ["true"] * 1500 + ["false"]
    assert len(shop.service.store.items()) == 1502
    assert shop.service.calls[-1].items == 1501


@pytest.mark.parametrize(("style", "result"), [("zero", "0"), ("minus-one", "-1"), ("fault", None)])
def test_a_refused_upload(emulate, style, result):
    shop = emulate(profile=Profile(upload_failure=style))
    answer = shop.call("UploadItem", "<inventoryItem/>")
    assert answer.result == result
    assert (answer.fault is not None) is (style == "fault")


def test_lists_records_and_stores_are_merged(shop):
    def store(number, stock):
        row = f"<d:StoreID>{number}</d:StoreID><d:StoreStock>{stock}</d:StoreStock>"
        return f"<d:StoreStockInfo>{row}</d:StoreStockInfo>"

    def upload(stores, parent=""):
        return (
            "<inventoryItem><d:KitList><d:KitInfo><d:Quantity>2.5</d:Quantity><d:SKU>A-1</d:SKU></d:KitInfo></d:KitList>"
            f"<d:Sku>K</d:Sku><d:StoreStockInfoList>{stores}</d:StoreStockInfoList><d:VariationInfo>"
            f"<d:IsParent>true</d:IsParent>{parent}</d:VariationInfo></inventoryItem>"
        )

    shop.call("UploadItem", upload(store("S1", 1) + store("S2", 2.5), "<d:ParentSku>P</d:ParentSku>"))
    shop.call("UploadItem", upload(store("S2", 3)))
    item = shop.service.store.item("K")
    assert item["StoreStockInfoList"] == [{"StoreID": "S1", "StoreStock": 1.0}, {"StoreID": "S2", "StoreStock": 3.0}]
    assert item["KitList"] == [{"Quantity": 2.5, "SKU": "A-1"}]
    assert item["VariationInfo"] == {"IsParent": True, "ParentSku": "P"}
    gone = "<SellerID>0</SellerID><SKU>K</SKU><status>0</status><StorStock>{}</StorStock>"
    assert shop.call("DeleteItemStore", gone.format(store("S1", 0))).result == "1"
    assert [row["StoreID"] for row in shop.service.store.item("K")["StoreStockInfoList"]] == ["S2"]
    assert shop.call("DeleteItemStore", gone.format("")).result == "1"
    assert shop.service.store.item("K") is None
    assert shop.service.lint == []


def test_delete_item(shop):
    inner = "<SellerID>0</SellerID><SKU>A-1</SKU><ProductID>0</ProductID><status>0</status>"
    assert [shop.call("DeleteItem", inner).result for _ in range(2)] == ["1", "0"]
    assert shop.service.store.item("A-1") is None


def test_change_queue_until_it_is_cleared(shop):
    assert shop.call("GetItemTblList").rows == ""
    shop.call("UploadItem", "<inventoryItem><d:Sku>New</d:Sku></inventoryItem>")
    shop.call("UpdateItemQuantityAndPrice", iqp("A-1", name="iQP"))
    shop.service.store.mark_changed("A-2")
    assert [row["Sku"] for row in shop.call("GetItemTblList").rows] == ["New", "A-1", "A-2"]
    assert [shop.call("DeleteTblItem", "<sku>New</sku>").result for _ in range(2)] == ["1", "0"]
    assert shop.service.store.change_queue() == ["A-1", "A-2"]
    shop.service.store.remove_item("A-1")
    assert [row["Sku"] for row in shop.call("GetItemTblList").rows] == ["A-2"]


@pytest.mark.parametrize(
    ("operation", "result"),
    [("IsSkuExist", "false"), ("DeleteTblItem", "0"), ("UploadItem", "0"), ("CustomFieldMapping", "No Account")],
)
def test_a_missing_account_where_the_bare_result_has_no_place_for_a_failure(shop, operation, result):
    answer = shop.call(operation, "<sku>A-1</sku>", account=None)
    assert answer.status == 200
    assert answer.result.startswith(result)
    assert not shop.service.calls[-1].executed


def test_a_missing_account_or_sku_has_its_code(shop):
    assert shop.call("GetItemQuantity", "<sku>A-1</sku>", account=None).result["MessageCode"] == "3"
    assert shop.call("GetItemQuantity", "<sku/>").result["MessageCode"] == "5"
