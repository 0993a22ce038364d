"""`octopus-soap call`: every operation of the catalogue, made from its row."""

from __future__ import annotations

from decimal import Decimal

import pytest

from octopus_soap.cli.operation_command import arguments_of
from octopus_soap.models import WireModel
from octopus_soap.operations import OPERATIONS
from tests.catalogue import ROWS, Row, seed
from tests.every import every


def words_of(row: Row) -> list[str]:
    """The command line that makes the call of the table."""
    words: list[str] = []
    for argument, value in zip(arguments_of(OPERATIONS[row.operation]), row.arguments, strict=False):
        option = f"--{argument.options[0].name.replace('_', '-')}"
        for one in value if row.is_list else [value]:
            shown = one.model_dump_json(by_alias=False, exclude_unset=True) if isinstance(one, WireModel) else str(one)
            words += [option, shown]
    return words


@pytest.fixture
def shop(service):
    """The shop in which every call of the table succeeds."""
    seed(service)
    return service


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_operation_is_reachable(shell, shop, row):
    ran = shell("call", row.operation, *words_of(row), "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    assert [call.operation for call in shop.calls] == [row.operation]
    if row.is_list and row.returns != "None":
        assert [(next(iter(found.values())), found["status"]) for found in ran.data] == [
            (key, "ok") for key in row.keys
        ]
    elif not row.returns.startswith("BatchResult"):
        assert (ran.data["value"] is None) is (row.returns == "None")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["IsSkuExist", "--sku", "A"], True),
        (["GetItemQuantity", "--sku", "B"], 2),
        (["DeleteItemStore", "--sku", "A", "--status", "1"], "removed"),
        (["DeleteTblItem", "--sku", "A"], "removed"),
    ],
)
def test_a_single_value_is_shown_as_json(shell, shop, words, answer):
    assert shell("call", *words, "--output", "json").data == {"value": answer}


@every("name", OPERATIONS)
def test_help_has_the_rows_words_and_an_option_for_each_argument(shell, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "200")
    row = OPERATIONS[name]
    text = " ".join(shell("call", name, "--help").out.split())
    assert row.summary in text
    assert f"Vendor's page: {name}" in text
    for argument in arguments_of(row):
        assert argument.options


@every("name", OPERATIONS)
def test_no_option_is_cut_short_in_a_terminal_of_80_columns(shell, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    text = shell("call", name, "--help").out
    assert "…" not in text


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


def test_the_envelope_of_each_answer_instead_of_the_result(shell, service):
    service.store.add_item("A")
    (row,) = shell("call", "GetItemList", "--sku", "A", "--envelope", "--output", "json").data
    assert (row["status"], row["http_status"], row["enveloped"]) == ("Success", 200, True)
    ran = shell("call", "GetItemQuantity", "--sku", "A", "--envelope")
    assert "Success" in ran.out
    (row,) = shell("call", "IsSkuExist", "--sku", "A", "--envelope", "--output", "json").data
    assert row["enveloped"] is False
    ran = shell("call", "GetItemQuantity", "--sku", "no such", "--envelope", "--output", "json")
    assert (ran.code, ran.data[0]["status"]) == (2, "Failure")
    assert "Sku" in ran.data[0]["message"]
