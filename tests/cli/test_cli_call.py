"""`octopus-soap call`: every operation of the catalogue, made from its row."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from octopus_soap.cli.operation_command import arguments_of
from octopus_soap.operations import OPERATIONS

ORDER = {"order_id": "WEB-9", "order_items": [{"sku": "A", "quantity": 1, "unit_price": 2.50}], "total": 2.5}
PUSH = '{"sku": "A", "stock": 3, "price": 4.50}'

# What each operation is called with, and what it answers.
CALLS = {
    "IsSkuExist": (["--sku", "A"], {"value": True}),
    "IsSkuExistList": (["--sku", "A", "--sku", "B"], [("A", "ok"), ("B", "ok")]),
    "GetItemTblList": ([], [("A", "ok")]),
    "GetItemList": (["--sku", "A"], [("A", "ok")]),
    "GetItemQuantity": (["--sku", "A"], {"value": 7}),
    "GetItemQuantityInfo": (["--sku", "A"], "A"),
    "GetItemQuantityList": (["--sku", "A"], [("A", "ok")]),
    "UpdateItemQuantityAndPrice": (["--item", PUSH], {"value": True}),
    "UpdateItemQuantityAndPriceList": (["--item", PUSH], [("A", "ok")]),
    "UploadItem": (["--item", '{"sku": "00123"}'], int),
    "UploadItemList": (["--items", '[{"sku": "00123"}, {"Sku": "124"}]'], [("00123", "ok"), ("124", "ok")]),
    "DeleteItem": (["--sku", "A"], {"value": "removed"}),
    "DeleteItemStore": (["--sku", "A", "--store-stock", '{"store_id": "S1"}'], {"value": "removed"}),
    "DeleteTblItem": (["--sku", "A"], {"value": "removed"}),
    "GetOrderList": ([], [("100001", "ok")]),
    "GetOrderListStore": (["--store-ids", "S1"], [("100001", "ok")]),
    "SetDownloadOrderConfirm": (["--order", '{"order_id": "100001"}'], {"value": None}),
    "SetDownloadSplitOrderConfirm": (["--order", '{"order_id": "100001", "store_id": "S1"}'], {"value": None}),
    "SubmitOrder": (["--order", json.dumps(ORDER)], dict),
    "CustomFieldMapping": (["--mapping", '{"text": "Colour", "value": "Custom1"}'], {"value": None}),
}


@pytest.fixture
def shop(service):
    """One item, on the list of changes, and one order of store S1."""
    service.store.add_item("A", Price=Decimal(5), Stock=7, StoreStockInfoList=[{"StoreID": "S1"}], changed=True)
    service.store.add_order(OrderID="WEB-1", stores=("S1",))
    return service


def test_every_operation_is_called_below():
    assert list(CALLS) == list(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_reachable(shell, shop, name):
    words, answer = CALLS[name]
    ran = shell("call", name, *words, "--output", "json")
    assert ran.err == ""
    assert [call.operation for call in shop.calls] == [name]
    assert ran.code == (1 if name == "IsSkuExistList" else 0)  # B does not exist
    if isinstance(answer, list):
        assert [(next(iter(row.values())), row["status"]) for row in ran.data] == answer
    elif isinstance(answer, type):
        assert isinstance(ran.data["value"], answer)
    else:
        assert ran.data == answer or ran.data["value"]["sku"] == answer


@pytest.mark.parametrize("name", OPERATIONS)
def test_help_has_the_rows_words_and_an_option_for_each_argument(shell, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "200")
    row = OPERATIONS[name]
    text = " ".join(shell("call", name, "--help").out.split())
    assert row.summary in text
    assert f"Vendor's page: {name}" in text
    for argument in arguments_of(row):
        assert argument.options


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_option_is_cut_short_in_a_terminal_of_80_columns(shell, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    text = shell("call", name, "--help").out
    assert "…" not in text.replace(", ….", "")


@pytest.mark.parametrize("word", ["IsSkuExist", "isskuexist", "is_sku_exist", "IS_SKU_EXIST"])
def test_either_name_in_any_case(shell, shop, word):
    assert shell("call", word, "--sku", "A").out == "true\n"


@pytest.mark.parametrize(
    ("word", "meant"), [("IsSkuExst", "IsSkuExist?"), ("get_item_lst", "get_item_list?"), ("zzz", "octopus-soap call")]
)
def test_a_typo_is_answered_with_a_suggestion(shell, word, meant):
    ran = shell("call", word)
    assert ran.code == 2
    assert meant in ran.err
    assert ran.err.count("\n") == 1


def test_without_an_operation_it_prints_the_catalogue(shell):
    ran = shell("call")
    assert ran == shell("call", "--list")
    assert all(name in ran.out for name in OPERATIONS)
    rows = shell("call", "--list", "--output", "json").data
    assert [row["operation"] for row in rows] == list(OPERATIONS)
    assert {row["operation"]: row["limit"] for row in rows}["GetItemList"] == 100


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("items.json", '[{"sku": "001", "price": 4.10}, {"sku": "002", "price": 0.1}]'),
        ("items.jsonl", '{"sku": "001", "price": 4.10}\n\n{"sku": "002", "price": 0.1}\n'),
        ("items.csv", "Sku,Price\n001,4.10\n002,0.1\n"),
        ("items", '\ufeff{"Sku": "001", "Price": "4.10"}\n{"sku": "002", "price": 0.1}'),
    ],
)
def test_records_are_read_from_a_file_and_amounts_stay_exact(shell, shop, tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert shell("call", "UploadItemList", "--items", f"@{name}").code == 0
    assert [shop.store.item(sku)["Price"] for sku in ("001", "002")] == [Decimal("4.10"), Decimal("0.1")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--items", "items.csv"], "to read a file, write --item @items.csv"),
        (["--item", '{"sku": "A", "prise": 1}'], "has no field 'prise'; did you mean 'price'?"),
        (["--item", '{"sku": "A"'], "not JSON"),
        (["--item", "[1]"], "expected an object"),
        (["--items", "@nowhere.csv"], "nowhere.csv: No such file"),
        ([], "Invalid value for --items: give at least one"),
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_is_sent(shell, service, tmp_path, words, said):
    (tmp_path / "items.csv").write_text("sku\nA\n")
    ran = shell("call", "UploadItemList", *words)
    assert ran.code == 2
    assert said in ran.err
    assert service.calls == []


def test_a_problem_is_told_with_the_row_of_the_file(shell, service, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"sku": "A", "stock": 1}\n\n{"sku": "A", "stock": 2}\n')
    ran = shell("call", "UpdateItemQuantityAndPriceList", "--items", "@rows.jsonl")
    assert "rows.jsonl: 1 problem, nothing was sent\n  row 3: differs from row 1" in ran.err
    assert service.calls == []


def test_criteria_are_options(shell, service):
    service.store.add_order(OrderID="WEB-1", payment_status="Cleared")
    service.store.add_order(OrderID="WEB-2")
    words = ["call", "GetOrderList", "--output", "jsonl"]
    assert len(shell(*words, "--payment-status", "Cleared").out.splitlines()) == 1
    assert len(shell(*words, "--order-id", "100002", "--order-id", "100001").out.splitlines()) == 2
    ran = shell(*words, "--payment-status", "paid")
    assert ran.code == 2
    assert "the page lists NoChange" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["IsSkuExist", "--sku", "nope"],
        ["GetItemList", "--sku", "nope"],
        ["DeleteItem", "--sku", "nope"],
        ["UpdateItemQuantityAndPriceList", "--item", '{"sku": "nope", "stock": 1}'],
    ],
)
def test_a_no_of_the_service_is_exit_code_1(shell, service, words):
    service.store.add_item("A")
    assert shell("call", *words).code == 1


def test_skus_are_read_from_a_file(shell, service, tmp_path):
    service.store.add_item(" a")
    (tmp_path / "skus.txt").write_bytes("\ufeff a\r\n\r\nB\r\n".encode())
    rows = shell("call", "IsSkuExistList", "--skus", "skus.txt", "--sku", "C", "-o", "json").data
    assert [(row["sku"], row["value"]) for row in rows] == [("C", False), (" a", True), ("B", False)]
