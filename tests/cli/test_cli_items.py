"""`items`, `stock` and `orders` against the service."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from octopus_soap.emulator import Status


def test_get_shows_known_items_and_names_the_unknown(shell, service):
    service.store.add_item("00123", Description="A [red] mug", Price=Decimal("4.50"), Stock=7)
    ran = shell("items", "get", "00123", "123")
    assert ran.code == 1
    assert "A [red] mug" in ran.out
    assert "(missing)" in ran.out


def test_get_as_json_has_amounts_as_texts_and_times_in_utc(shell, service):
    began = datetime(2024, 5, 1, 12, tzinfo=UTC)
    service.store.add_item("00123", Price=Decimal("4.50"), SaleStartDate=began)
    (row,) = shell("items", "get", "00123", "--output", "json").data
    assert (row["sku"], row["status"]) == ("00123", "ok")
    assert Decimal(row["item"]["price"]) == Decimal("4.50")
    assert isinstance(row["item"]["price"], str)
    assert row["item"]["sale_start_date"] == "2024-05-01T12:00:00Z"


def test_exists_is_0_where_all_exist_and_1_where_one_does_not(shell, service):
    service.store.add_item("A")
    assert shell("items", "exists", "A").code == 0
    ran = shell("items", "exists", "A", "B", "-o", "json")
    assert ran.code == 1
    assert [(row["sku"], row["exists"]) for row in ran.data] == [("A", True), ("B", False)]
    assert "no" in shell("items", "exists", "B").out


def test_upload_keeps_text_as_it_is(shell, service, csv_file):
    path = csv_file("SKU,upc,Description,price", '00123,0012345678905,"Café, 12""",4.50')
    ran = shell("items", "upload", str(path))
    assert (ran.code, ran.out) == (0, "uploaded: 1 of 1; calls: 1\n")
    item = service.store.item("00123")
    assert (item["UPC"], item["Description"], item["Price"]) == ("0012345678905", 'Café, 12"', Decimal("4.50"))


def test_an_empty_cell_leaves_the_value_as_it_is(shell, service, csv_file):
    service.store.add_item("A", Price=Decimal(5), Stock=1)
    assert shell("stock", "push", str(csv_file("sku,stock,price", "A,9,"))).code == 0
    item = service.store.item("A")
    assert (item["Stock"], item["Price"]) == ("9", Decimal(5))
    (call,) = service.calls
    assert b":Price>" not in call.request


def test_push_names_what_the_service_said_no_to(shell, service, csv_file):
    service.store.add_item("A")
    path = csv_file("sku,stock", "A,1", "B,2")
    ran = shell("stock", "push", str(path))
    assert ran.code == 1
    assert "The specified Sku does not exist" in ran.out
    assert "updated: 1 of 2; calls: 1" in ran.out
    rows = shell("stock", "push", str(path), "--output", "json").data
    assert [(row["sku"], row["status"]) for row in rows] == [("A", "ok"), ("B", "rejected")]


def test_a_failed_push_ends_in_2_and_shows_what_is_not_done(shell, service, csv_file):
    service.script.on("UpdateItemQuantityAndPriceList").do(Status(503, execute=False))
    ran = shell("stock", "push", str(csv_file("sku,stock", "A,1")))
    assert ran.code == 2
    assert "updated: 0 of 1" in ran.out


def test_what_only_the_client_notices_is_told_with_the_files_rows(shell, service, csv_file):
    path = csv_file("sku,stock", "A,1", "B,1", "A,2", f"{'x' * 51},1")
    ran = shell("stock", "push", str(path))
    assert ran.code == 2
    assert "row 4: differs from row 2" in ran.err
    assert "row 5, column sku" in ran.err
    assert service.calls == []


@pytest.fixture
def three_orders(service):
    for day, payment, stores in ((1, "Cleared", ()), (2, "NotSubmitted", ("S1",)), (3, "Cleared", ("S1",))):
        service.store.add_order(
            OrderID=f"WEB-{day}",
            OrderDate=datetime(2024, 3, day, 12, tzinfo=UTC),
            orderItems=[{"sku": "A", "Quantity": 2, "UnitPrice": Decimal("1.25")}],
            Total=Decimal("2.50"),
            payment_status=payment,
            stores=stores,
        )


@pytest.mark.usefixtures("three_orders")
@pytest.mark.parametrize(
    ("options", "references"),
    [
        ([], ["WEB-1", "WEB-2", "WEB-3"]),
        (["--since", "2024-03-02", "--until", "2024-03-02T23:00:00Z"], ["WEB-2"]),
        (["--since", "2024-03-02T13:00:00+02:00"], ["WEB-2", "WEB-3"]),
        (["--payment", "cleared"], ["WEB-1", "WEB-3"]),
        (["--shipping", "Shipped"], []),
        (["--store", "S1", "--payment", "Cleared"], ["WEB-3"]),
    ],
)
def test_orders_list_filters(shell, options, references):
    rows = shell("orders", "list", "--output", "json", *options).data
    assert [row["order"]["client_order_identifier"] for row in rows] == references


@pytest.mark.usefixtures("three_orders")
def test_orders_list_shows_a_line_per_order(shell):
    ran = shell("orders", "list", "--since", "2024-03-03")
    assert ran.code == 0
    assert "2024-03-03 12:00" in ran.out
    assert "WEB-3" in ran.out
    assert "WEB-1" not in ran.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--until", "2024-03-01"], "needs --since"),
        (["--since", "2024-03-01T10:00"], "has no time zone"),
        (["--since", "the other day"], "is not a time such as 7d"),
        (["--since", "2024-03-01T24:00:00Z"], "is not a time such as 7d"),
        (["--payment", "paid"], "unknown status"),
    ],
)
def test_orders_list_refuses_what_it_would_have_to_guess(shell, service, options, said):
    ran = shell("orders", "list", *options)
    assert ran.code == 2
    assert said in ran.err
    assert service.calls == []


def test_list_and_search_say_what_is_searched_and_find_what_is_known(shell, service, tmp_path):
    service.store.add_item("A-1", Description="Red mug", changed=True)
    for sku, text in (("B-1", "Blue MUG"), ("MUG-2", "A cup"), ("C-1", "Plate"), ("D", "Mug, not in any list")):
        service.store.add_item(sku, Description=text, StoreStockInfoList=[{"StoreID": "S1", "StoreStock": 2}])

    def skus(ran):
        return [row["sku"] for row in ran.data]

    ran = shell("items", "search", "mug", "-o", "json")
    assert (ran.code, skus(ran)) == (0, ["A-1"])
    assert "recent changes, no ledger at octopus-ledger.db. The service itself cannot search" in ran.err
    assert skus(shell("items", "list", "-o", "json")) == ["A-1"]
    (tmp_path / "stock.csv").write_text("sku,stock\nB-1,1\nMUG-2,2\n")
    assert shell("push", "stock.csv", "--force").code == 0
    for sku in ("B-1", "MUG-2"):
        shell("call", "DeleteTblItem", "--sku", sku)
    ran = shell("items", "search", "mug", "-o", "json")
    assert (skus(ran), "2 SKUs of the ledger" in ran.err) == (["A-1", "MUG-2"], True)
    assert [call.operation for call in service.calls][-2:] == ["GetItemTblList", "GetItemList"]
    assert skus(shell("items", "search", "mug", "--all", "-o", "json")) == ["A-1", "B-1", "MUG-2"]
    assert skus(shell("items", "search", "C-1", "-o", "json")) == ["C-1"], "the SKU itself"
    ran = shell("items", "search", "nothing")
    assert (ran.code, ran.out, ran.err.startswith("no item with 'nothing'")) == (1, "", True)
    (tmp_path / "skus.txt").write_text("C-1\nX\n")
    ran = shell("items", "list", "--all", "--from", "skus.txt", "-o", "json")
    assert (ran.code, skus(ran)) == (1, ["A-1", "C-1", "X", "B-1", "MUG-2"])
    assert "2 SKUs of skus.txt, 2 SKUs of the ledger" in ran.err
    assert shell("items", "list", "--all", "--ledger", "nowhere.db").code == 2
    ran = shell(
        "items", "list", "--all", "--stores", "--where", "store_stock > 1", "--fields", "sku,store_id", "-o", "csv"
    )
    assert ran.out == "sku,store_id\nB-1,S1\nMUG-2,S1\n"
    assert "(missing)" in shell("items", "get", "B-1", "X", "--stores").out


def test_a_search_that_fails_shows_what_was_found_and_ends_in_2(shell, service, tmp_path):
    service.store.add_item("MUG-1", changed=True)
    service.script.on("GetItemList").do(Status(503))
    ran = shell("items", "search", "MUG", "-o", "json")
    assert (ran.code, [(row["sku"], row["status"]) for row in ran.data]) == (2, [("MUG-1", "ok"), ("MUG", "failed")])


def test_columns_and_conditions_of_stock_and_orders(shell, service):
    service.store.seed(items=3, orders=0)
    for number in (1, 2):
        service.store.add_order(OrderID=f"WEB-{number}", Total=Decimal(5))
    ran = shell(
        "stock", "get", "DEMO-0001", "DEMO-0002", "--where", "stock >= 0", "--fields", "sku,stock", "-o", "json"
    )
    assert [sorted(row) for row in ran.data] == [["sku", "stock"]] * 2
    ran = shell("orders", "list", "--where", "total < 0")
    assert (ran.code, ran.out, ran.err) == (0, "", "none of 2 meet the conditions\n")
    for words, found in (
        (["--status", "NotSubmitted"], 2), (["--status", "cleared"], 0), (["--status", "unshipped", "--status", "notsubmitted"], 2)
    ):  # fmt: skip
        assert len(shell("orders", "list", *words, "-o", "json").data) == found
    for words in (
        ["--status", "gone"],
        ["--status", "cleared", "--status", "failed"],
        ["--status", "cleared", "--payment", "failed"],
    ):
        assert shell("orders", "list", *words).code == 2


def test_a_snapshot_compares_with_a_later_one_with_a_csv_file_and_with_the_service(shell, service, tmp_path):
    service.store.seed(items=4, orders=0)
    all_of_them = [f"DEMO-000{n}" for n in range(1, 5)]
    ran = shell("items", "snapshot", "a.jsonl", *all_of_them, "nope")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "wrote 4 items to a.jsonl.\nnot known to the service: nope\n"
    ran = shell("items", "compare", "a.jsonl")
    assert (ran.code, ran.out) == (0, "no differences: 4 unchanged\n")
    for words, said in (
        (["a.jsonl", "DEMO-0001"], "a.jsonl exists"),
        (["a.csv", "DEMO-0001"], "items list --all -o csv > a.csv"),
    ):
        ran = shell("items", "snapshot", *words)
        assert (ran.code, said in ran.err) == (2, True)
    price, stock = (Decimal(service.store.item("DEMO-0002")[name]) for name in ("Price", "Stock"))
    service.store.add_item("DEMO-0002", Price=price + 1, Stock="7")
    service.store.add_item("DEMO-0005", Description="New")
    service.store.remove_item("DEMO-0003")
    assert shell("items", "snapshot", "b.jsonl", *all_of_them, "DEMO-0005").code == 1
    ran = shell("items", "compare", "a.jsonl", "b.jsonl", "--columns", "price,stock", "-o", "json")
    assert (ran.code, ran.err) == (1, "")
    assert [(row["sku"], row["change"], row["column"], row["difference"]) for row in ran.data] == [
        ("DEMO-0005", "appeared", None, None), ("DEMO-0003", "gone", None, None), ("DEMO-0002", "changed", "price", "1.0000"),
        ("DEMO-0002", "changed", "stock", str(7 - stock)),
    ]  # fmt: skip
    ran = shell("items", "compare", "a.jsonl", "b.jsonl")
    assert "1 appeared, 1 gone, 1 changed, 2 unchanged" in ran.out
    (tmp_path / "shop.csv").write_text(f"sku,price,stock\nDEMO-0002,{price + 1:f},7\n")
    assert shell("items", "compare", "shop.csv").out == "no differences: 1 unchanged\n"
    service.script.on("GetItemList").do(Status(503))
    assert shell("items", "snapshot", "c.jsonl", "DEMO-0001").code == 2
    assert not (tmp_path / "c.jsonl").exists()
