"""Every guess is a switch: each test shows both answers of a switch."""

import pytest

from octopus_soap.emulator import Profile

STORES = (
    "<d:StoreStockInfoList><d:StoreStockInfo><d:StoreID>S1</d:StoreID><d:StoreStock>4</d:StoreStock></d:StoreStockInfo>"
    "</d:StoreStockInfoList>"
)


@pytest.fixture
def other(emulate):
    """Start an emulator with the given switches and an item."""

    def start(**switches):
        shop = emulate(profile=Profile(**switches))
        rows = [{"StoreID": "S1", "StoreStock": 1}, {"StoreID": "S2", "StoreStock": 2}]
        shop.service.store.add_item(
            "A", Description="Lamp", Price="2", Stock="6", Category="Light", StoreStockInfoList=rows
        )
        return shop

    return start


def upload(shop, inner):
    return shop.call("UploadItem", f"<inventoryItem>{inner}</inventoryItem>")


def stores(shop):
    return {row["StoreID"]: row["StoreStock"] for row in shop.service.store.item("A").get("StoreStockInfoList", ())}


def test_an_upload_merges_or_replaces_the_row(other):
    shop = other()
    upload(shop, "<d:Description>New</d:Description><d:Sku>A</d:Sku>")
    assert shop.service.store.item("A")["Category"] == "Light"
    shop = other(uploads="replace")
    assert upload(shop, "<d:Description>New</d:Description><d:Sku>A</d:Sku>").result != "0"
    assert shop.service.store.item("A") == {"Sku": "A", "Description": "New"}


def test_the_strict_profile_zeroes_what_is_left_out_and_can_replace_the_row_too(emulate):
    shop = emulate(profile=Profile.strict(uploads="replace"))
    shop.service.store.add_item("A", Price="2", Category="Light")
    upload(shop, "<d:Sku>A</d:Sku>")
    item = shop.service.store.item("A")
    assert (item["Price"], item.get("Category")) == (0, None)


def test_store_rows_are_merged_or_replaced(other):
    shop = other()
    upload(shop, f"<d:Sku>A</d:Sku>{STORES}")
    assert stores(shop) == {"S1": 4, "S2": 2}
    shop = other(store_rows="replace")
    upload(shop, f"<d:Sku>A</d:Sku>{STORES}")
    assert stores(shop) == {"S1": 4}


def test_a_row_s_own_lock_opens_a_lock_or_does_not(emulate):
    row = "<iQP><d:LockPrice>false</d:LockPrice><d:Price>9</d:Price><d:Sku>A</d:Sku></iQP>"
    for own_lock, price in ((True, 9), (False, 2)):
        shop = emulate(profile=Profile(own_lock=own_lock))
        shop.service.store.add_item("A", Price="2", FieldLocks={"LockPrice": True})
        shop.call("UpdateItemQuantityAndPrice", row)
        assert shop.service.store.item("A")["Price"] == price


def test_one_bad_row_makes_an_upload_list_a_success_or_a_failure(other):
    rows = (
        "<inventoryItems><d:InventoryItem><d:Sku>B</d:Sku></d:InventoryItem><d:InventoryItem><d:Sku></d:Sku>"
        "</d:InventoryItem></inventoryItems>"
    )
    for switch, status in (("success", "Success"), ("failure", "Failure")):
        answer = other(partial_uploads=switch).call("UploadItemList", rows)
        assert answer.result["Status"] == status
        assert [row["Result"] for row in answer.rows] == ["true", "false"]


def test_unknown_skus(other):
    assert other().call("GetItemList", other().skus("A", "X")).rows[0]["Sku"] == "A"
    shop = other(unknown_items="nil-row", unknown_quantities="out")
    assert [row and row["Sku"] for row in shop.call("GetItemList", shop.skus("X", "A")).rows] == [None, "A"]
    assert [row["Sku"] for row in shop.call("GetItemQuantityList", shop.skus("X", "A")).rows] == ["A"]
    shop = other(unknown_quantities="zeros")
    (row,) = shop.call("GetItemQuantityList", shop.skus("X")).rows
    assert (row["Sku"], row["Stock"], row["ErrorMessage"]) == ("X", "0", None)


DELETE = "<SellerID>0</SellerID><SKU>A</SKU><status>0</status>"


def test_delete_item_store_takes_stores_or_the_product(other):
    listed = f"{DELETE}<StorStock><d:StoreStockInfo><d:StoreID>S1</d:StoreID></d:StoreStockInfo></StorStock>"
    shop = other()
    assert shop.call("DeleteItemStore", listed).result == "1"
    assert stores(shop) == {"S2": 2}
    shop = other(delete_item_store="product")
    assert shop.call("DeleteItemStore", listed).result == "1"
    assert shop.service.store.item("A") is None


def test_what_deletes_return_for_what_is_not_there(other):
    for number in (0, -1, 2):
        shop = other(not_removed=number)
        assert shop.call("DeleteItem", DELETE).result == "1"
        assert shop.call("DeleteItem", DELETE).result == str(number)
        assert shop.call("DeleteItemStore", DELETE).result == str(number)
        assert shop.call("DeleteTblItem", "<sku>A</sku>").result == str(number)


def test_what_an_upload_returns(other):
    assert int(upload(other(), "<d:Sku>B</d:Sku>").result) > 5000
    assert upload(other(upload_result="one"), "<d:Sku>B</d:Sku>").result == "1"


def test_what_a_new_order_starts_with(other):
    shop = other(new_payment="Cleared", new_shipping="PendingShipment")
    shop.service.store.add_order()
    shop.call("SubmitOrder", "<orderSubmit><d:orderItems><d:OrderItem/></d:orderItems></orderSubmit>")
    for order in shop.service.store.orders().values():
        assert (order.payment_status, order.shipping_status) == ("Cleared", "PendingShipment")


def test_store_ids_are_several_or_one(other):
    for switch, count in (("several", 2), ("one", 0)):
        shop = other(store_ids=switch)
        shop.service.store.add_order(stores=["S1"])
        shop.service.store.add_order(stores=["S2"])
        rows = shop.call("GetOrderListStore", "<orderCriteria/><StoreIDs>S1, S2</StoreIDs>").rows
        assert len(rows or ()) == count


def confirmation(number, store=""):
    return (
        "<orderDownloadSubmitRequests><d:OrderDownloadSubmitRequest>"
        f"<d:OrderId>{number}</d:OrderId><d:StoreId>{store}</d:StoreId>"
        "</d:OrderDownloadSubmitRequest></orderDownloadSubmitRequests>"
    )


def test_a_confirmation_of_no_order_is_passed_over_or_a_fault(other):
    assert other().call("SetDownloadOrderConfirm", confirmation(7)).fault is None
    fault = other(unknown_confirm="fault").call("SetDownloadOrderConfirm", confirmation(7)).fault
    assert fault == {"faultcode": "s:Client", "faultstring": "there is no order 7"}


def test_a_confirmation_s_store_is_exact_or_loose(other):
    for switch, confirmed in (("loose", True), ("exact", False)):
        shop = other(confirm_store=switch)
        number = shop.service.store.add_order()
        shop.call("SetDownloadOrderConfirm", confirmation(number, "S9"))
        assert shop.service.store.orders()[number].confirmed is confirmed
        shop.call("SetDownloadOrderConfirm", confirmation(number))
        assert shop.service.store.orders()[number].confirmed


def test_texts_longer_than_the_page_allows_are_in_the_lint_log_and_kept(other):
    shop = other()
    long = "x" * 256
    upload(
        shop,
        f"<d:AttributeList><d:AttributeInfo><d:Value>{long}</d:Value></d:AttributeInfo></d:AttributeList>"
        f"<d:Description>{long}</d:Description><d:Details>{long}</d:Details><d:Sku>A</d:Sku>",
    )
    assert [(note.what, note.path.rpartition("/")[2]) for note in shop.service.lint] == [
        ("too-long", "Value"),
        ("too-long", "Description"),
    ]
    assert shop.service.store.item("A")["Description"] == long
