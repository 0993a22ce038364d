"""Output formats: nothing lost, ids as text, amounts exact, CSV safe for Excel."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octopus_soap.tables.cells import as_excel_cell, excel_text, from_excel
from tests.every import every

TRICKY = '=1+1;"quoted", 00123\nsecond line'


@pytest.fixture
def shop(service):
    began = datetime(2024, 5, 1, 12, tzinfo=UTC)
    stores = [{"StoreID": "0001", "StoreStock": 2.5, "StorePrice": Decimal("4.10")}]
    service.store.add_item(
        "00123", Description=TRICKY, Price=Decimal("4.50"), SaleStartDate=began, StoreStockInfoList=stores
    )
    service.store.add_item("1E5", Description="Café, blue", UPC="012345678905")
    return service


def items(shell, output, *skus):
    ran = shell("items", "get", *(skus or ("00123", "1E5", "nope")), "--output", output)
    assert (ran.code, ran.err) == (0 if skus else 1, "")
    return ran.out


@pytest.mark.usefixtures("shop")
def test_json_lines_are_the_rows_of_json(shell):
    lines = items(shell, "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == json.loads(items(shell, "json"))
    assert len(lines) == 3


@pytest.mark.usefixtures("shop")
def test_csv_keeps_texts_and_amounts_as_they_are(shell):
    rows = list(csv.DictReader(io.StringIO(items(shell, "csv"), newline="")))
    assert [(row["sku"], row["status"]) for row in rows] == [("00123", "ok"), ("1E5", "ok"), ("nope", "missing")]
    assert rows[0]["description"] == TRICKY
    assert Decimal(rows[0]["price"]) == Decimal("4.50")
    assert rows[0]["sale_start_date"] == "2024-05-01T12:00:00Z"
    assert json.loads(rows[0]["store_stock_info_list"]) == [
        {"store_id": "0001", "store_stock": 2.5, "store_price": "4.1000"}
    ]
    assert rows[1]["upc"] == "012345678905"
    assert "custom1" not in rows[0]  # no row has a value for it


@pytest.mark.usefixtures("shop")
def test_csv_for_excel_has_a_byte_order_mark_and_no_cell_excel_would_change(shell):
    text = items(shell, "excel")
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [row["sku"] for row in rows] == ['="00123"', '="1E5"', "nope"]
    assert rows[0]["description"] == excel_text(TRICKY)
    assert rows[1]["upc"] == '="012345678905"'
    assert rows[1]["description"] == "Café, blue"
    assert rows[0]["sale_start_date"] == "2024-05-01 12:00:00"
    assert all(not cell.startswith(("+", "-", "@", "\t")) for row in rows for cell in row.values())
    assert all(not cell.startswith("=") or cell.startswith('="') for row in rows for cell in row.values())


@every("text", ["=1+1", "+1", "-1+2", "@SUM(A1)", "00123", "1E5", "1-2", "MAR1", "TRUE", "\t=1", " 1"])
def test_a_text_excel_would_change_is_a_formula_that_gives_it(text):
    assert as_excel_cell(text) == excel_text(text)
    assert from_excel(as_excel_cell(text)) == text


@every(
    ("value", "cell"),
    [("66", "66"), (7, "7"), (Decimal("4.50"), "4.50"), (Decimal("1E+2"), "100"), ("Mug", "Mug"), ("", "")],
)
def test_what_excel_reads_as_it_is_stays_bare(value, cell):
    assert as_excel_cell(value) == cell


@given(st.text(), st.booleans())
def test_no_text_is_lost_on_its_way_through_a_cell_for_excel(text, key):
    cell = as_excel_cell(text, key=key)
    assert from_excel(cell) == text
    assert not cell.startswith(("+", "@", "\t", "\r", "\n", "=1")) or cell == text == ""


def test_what_excel_holds_no_more_than_15_digits_of_is_text():
    assert as_excel_cell(Decimal("1234567890123.4567")) == '="1234567890123.4567"'
    assert as_excel_cell("66", key=True) == '="66"'


@pytest.mark.usefixtures("shop")
def test_what_was_written_for_excel_is_read_back_as_it_was(shell, service, tmp_path):
    out = items(shell, "excel", "00123", "1E5")
    kept = [[row["sku"], row["description"]] for row in csv.DictReader(io.StringIO(out.removeprefix("\ufeff")))]
    file = io.StringIO()
    csv.writer(file).writerows([["sku", "description"], *kept])
    (tmp_path / "excel.csv").write_text("\ufeff" + file.getvalue(), encoding="utf-8", newline="")
    service.reset()
    assert shell("items", "upload", "excel.csv").code == 0
    assert service.store.item("00123")["Description"] == TRICKY
    assert service.store.item("1E5")["Description"] == "Café, blue"


@every("output", ["csv", "excel"])
def test_a_file_of_items_get_is_uploaded_again_unless_an_item_was_missing(shell, service, tmp_path, output):
    service.store.add_item("00123", Description=TRICKY, Price=Decimal("4.50"), Stock="3")
    (tmp_path / "back.csv").write_text(items(shell, output, "00123"), encoding="utf-8", newline="")
    service.reset()
    assert shell("items", "upload", "back.csv").code == 0
    assert [service.store.item("00123")[name] for name in ("Description", "Price", "Stock")] == [TRICKY, 4.5, "3"]
    (tmp_path / "back.csv").write_text(items(shell, output, *()), encoding="utf-8", newline="")
    ran = shell("items", "upload", "back.csv")
    assert ran.code == 2
    assert "row 4, column status, value 'missing': the row has no item; leave it out" in " ".join(ran.err.split())


def test_parquet_has_the_models_columns_with_exact_types(shell, shop, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    written = []
    monkeypatch.setattr("octopus_soap.cli.output._write", written.append)
    assert shell("items", "get", "00123", "1E5", "-o", "parquet").code == 0
    table = parquet.read_table(io.BytesIO(written[0]))
    first, second = table.to_pylist()
    assert first["sku"] == "00123"
    assert first["description"] == TRICKY
    assert first["price"] == Decimal("4.50")
    assert first["sale_start_date"] == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert second["price"] is None
    assert str(table.schema.field("custom1").type) == "string"
    assert str(table.schema.field("price").type).startswith("decimal")


def test_parquet_is_not_written_to_a_terminal(shell, shop, monkeypatch):
    monkeypatch.setattr("octopus_soap.cli.output._is_terminal", lambda: True)
    ran = shell("items", "get", "00123", "-o", "parquet")
    assert (ran.code, ran.out) == (2, "")
    assert "> records.parquet" in ran.err


def test_parquet_without_pyarrow_says_what_to_install(shell, shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = shell("items", "get", "00123", "-o", "parquet")
    assert (ran.code, ran.out) == (2, "")
    assert "pip install 'octopus-soap[arrow]'" in ran.err


@pytest.mark.parametrize("output", ["json", "jsonl", "csv", "excel", "table"])
def test_a_card_number_is_in_no_output(shell, service, output):
    service.store.add_order(OrderID="WEB-1", CreditCard="4111111111111111")
    for words in (["orders", "list"], ["orders", "show", "100001"], ["call", "GetOrderList"]):
        ran = shell(*words, "--output", output)
        assert "100001" in ran.out
        assert "4111111111111111" not in ran.out


@pytest.mark.parametrize(
    "words",
    [
        ["items", "get", "A"],
        ["items", "list"],
        ["items", "exists", "A"],
        ["stock", "get", "A"],
        ["stock", "set", "A", "--stock", "2"],
        ["orders", "list"],
        ["orders", "show", "100001"],
        ["orders", "confirm", "100001"],
        ["call", "--list"],
        ["call", "GetItemQuantityList", "--sku", "A"],
        ["doctor"],
        ["wsdl", "diff"],
    ],
    ids=" ".join,
)
def test_every_command_that_prints_records_prints_them_in_every_text_format(shell, service, words):
    service.store.add_item("A", changed=True)
    service.store.add_order(OrderID="WEB-1")
    read = {"json": json.loads, "jsonl": lambda text: [json.loads(line) for line in text.splitlines()],
            "csv": lambda text: list(csv.DictReader(io.StringIO(text)))}  # fmt: skip
    found = {output: read[output](shell(*words, "-o", output).out) for output in read}
    assert len(found["jsonl"]) == len(found["csv"])
    if isinstance(found["json"], list):
        assert len(found["json"]) == len(found["csv"])


@pytest.mark.parametrize(
    "words", [["items", "list"], ["orders", "list"], ["call", "GetItemTblList"], ["call", "GetOrderList"]]
)
def test_nothing_is_an_empty_result_in_every_format(shell, monkeypatch, words):
    assert shell(*words).code == 0
    assert shell(*words, "-o", "json").data == []
    assert shell(*words, "-o", "jsonl").out == ""
    assert shell(*words, "-o", "csv").out in {"sku\n", "order_id\n"}
    pytest.importorskip("pyarrow")
    written = []
    monkeypatch.setattr("octopus_soap.cli.output._write", written.append)
    assert shell(*words, "-o", "parquet").code == 0
    assert written[0][:4] == b"PAR1"


def test_at_40_columns_nothing_that_matters_is_lost(shell, service, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    service.store.seed(items=2, orders=2)
    assert "(missing)" in shell("items", "get", "DEMO-0001", "nope").out
    assert "(missing)" in shell("items", "get", "DEMO-0001", "nope", "--stores").out
    for words in (
        ["items", "get", "DEMO-0001", "nope"],
        ["orders", "list"],
        ["stock", "get", "DEMO-0001"],
        ["version"],
    ):
        assert max(map(len, shell(*words).out.splitlines())) <= 42, words
    for words in ([], ["items"], ["items", "list"], ["orders", "pull"], ["call", "GetItemList"]):
        text = shell(*words, "--help").out
        assert "…" not in text.replace("html …", ""), words
        assert "--help" in text


def test_a_column_that_may_be_left_out_is_if_it_is_empty(shell, service):
    service.store.add_item("A", Price=Decimal(1))
    ran = shell("items", "get", "A")
    assert ran.out.split()[:3] == ["SKU", "Price", "Stock"]
    assert ran.err == ""


def test_xlsx_is_a_workbook_with_skus_as_text_and_amounts_as_numbers(shell, service, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    service.store.add_item("00123", Price=Decimal("4.50"), Stock="7")
    written: list[bytes] = []
    monkeypatch.setattr("octopus_soap.cli.output._write", written.append)
    assert shell("items", "get", "00123", "--fields", "sku,price,stock", "-o", "xlsx").code == 0
    sheet = openpyxl.load_workbook(io.BytesIO(written[0])).active
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [["sku", "price", "stock"], ["00123", 4.5, 7]]
    monkeypatch.setattr("octopus_soap.cli.output._is_terminal", lambda: True)
    ran = shell("items", "get", "00123", "-o", "xlsx")
    assert (ran.code, "> records.xlsx" in ran.err) == (2, True)
