"""Reading CSV files into items."""

from __future__ import annotations

import gzip
import shlex

import pytest

from octopus_soap.cli.sources import read_models
from octopus_soap.models import InventoryItem, ItemQuantityAndPrice
from octopus_soap.tables.from_csv import CsvError, csv_rows


@pytest.mark.parametrize("head", ["Sku,SUBDescription1", "sku,sub_description1", "SKU , subdescription1"])
def test_columns_go_by_wire_names_or_python_names_in_any_case(csv_file, head):
    (item,) = read_models(str(csv_file(head, "00123, two ")), InventoryItem).items
    assert (item.sku, item.sub_description1) == ("00123", " two ")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_first_row_tells_the_separator(csv_file, separator):
    path = csv_file(separator.join(["sku", "stock"]), separator.join(["A", "1"]))
    assert read_models(str(path), ItemQuantityAndPrice).items == [ItemQuantityAndPrice(sku="A", stock=1)]


def test_a_byte_order_mark_and_blank_rows_do_no_harm(csv_file):
    read = read_models(str(csv_file("sku,stock", "", "A,1", " , ", encoding="utf-8-sig")), ItemQuantityAndPrice)
    assert (read.items, read.rows) == ([ItemQuantityAndPrice(sku="A", stock=1)], [3])


def problems_of(path, model=ItemQuantityAndPrice):
    with pytest.raises(CsvError) as raised:
        read_models(str(path), model)
    return raised.value


def test_every_wrong_cell_is_told_at_once_with_row_column_and_value(csv_file):
    error = problems_of(csv_file("SKU,Stock,price", 'A,1,"1\n2"', "B,1.5,x", ",1,1", "C,1", 'D,1,"1,50"'))
    assert [(p.index, p.field, p.value) for p in error.problems] == [
        (2, "price", r"'1\n2'"),
        (4, "Stock", "'1.5'"),
        (4, "price", "'x'"),
        (5, "SKU", ""),
        (6, "", ""),
        (7, "price", "'1,50'"),
    ]
    lines = str(error).splitlines()
    assert lines[0].endswith("6 problems, nothing was sent")
    assert lines[2] == "  row 4, column Stock, value '1.5': expected an int, or text such as '12'"


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("sku,stok", "column stok: unknown; did you mean stock?"),
        ("sku,zzz", "column zzz: unknown; the columns of ItemQuantityAndPrice are"),
        ("sku,StoreStockInfoList", "does not fit a cell"),
        ("sku,Sku", "means the same as column sku"),
        ("stock,price", "no column sku"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(csv_file, head, said):
    assert said in str(problems_of(csv_file(head, "A,1")))


def read_by_push(path):
    with pytest.raises(CsvError) as raised:
        list(csv_rows(path, ItemQuantityAndPrice))
    return raised.value


READERS = pytest.mark.parametrize("failed", [problems_of, read_by_push])


@READERS
def test_a_file_that_is_not_utf8_says_which_row_and_how_to_save_it(csv_file, failed):
    rows = [f"A{n},1" for n in range(5_000)]  # more than one block of the decoder
    path = csv_file("sku,stock", *rows, "Aé,1", *rows, encoding="cp1252")
    error = failed(path)
    assert [(p.index, p.message) for p in error.problems] == [
        (5_002, "not UTF-8 at byte 2 of the row; save it as 'CSV UTF-8'")
    ]
    words = shlex.split(error.remedy.partition(": ")[2])
    assert words[:-2] == ["iconv", "-f", "WINDOWS-1252", "-t", "UTF-8", str(path)]
    assert words[-1] == str(path.with_suffix(".utf8.csv"))


@READERS
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"sku,stock"), "unpack it first\ngunzip -k "),
        (b"PK\x03\x04\xff", "it is a workbook or a ZIP file"),
        ("sku,stock".encode("utf-16"), "iconv -f UTF-16 -t UTF-8 "),
    ],
    ids=["gzip", "xlsx", "utf-16"],
)
def test_a_file_of_another_kind_is_recognised(tmp_path, failed, content, said):
    path = tmp_path / "stock.csv"
    path.write_bytes(content)
    assert said in str(failed(path))


@READERS
@pytest.mark.parametrize("row", ['"A"x,1', '"A,1', f'"{"A" * 140_000}",1'], ids=["quote", "open", "long"])
def test_a_row_that_is_not_csv_is_named(csv_file, failed, row):
    error = failed(csv_file("sku,stock", "B,1", '"C\nC",1', row, "D,1"))
    assert [p.index for p in error.problems] == [5]
    assert "not CSV" in str(error)


def test_an_empty_file_has_no_columns(csv_file):
    assert "no column sku" in str(problems_of(csv_file()))
