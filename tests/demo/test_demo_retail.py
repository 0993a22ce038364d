"""Reading and sorting a retailer's lines."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from octopus_soap.demo.retail import COLUMNS, Reading, Reason, as_lines, build_shop, read_retail, small_shop, sort_lines
from octopus_soap.errors import InvalidInputError
from tests.every import every

HEAD = ",".join(COLUMNS)


def line(**cells):
    given = dict(
        zip(COLUMNS, ("536365", "00123", "MUG", "2", "2024-01-15T12:00:00", "1.25", "17850", "France"), strict=True)
    )
    return ",".join({**given, **cells}.values())


def sort(*lines):
    reading = sort_lines(as_lines("\r\n".join([HEAD, *lines, ""])))
    reading.check()
    return reading


@every(
    ("cells", "reasons"),
    [
        ({"InvoiceNo": "C536365", "Quantity": "-2"}, [Reason.CANCELLATION]),
        ({"InvoiceNo": "C536365", "Quantity": "-2", "StockCode": "POST"}, [Reason.CANCELLATION, Reason.NOT_GOODS]),
        ({"StockCode": "POST"}, [Reason.NOT_GOODS]),
        ({"StockCode": "BANK CHARGES"}, [Reason.NOT_GOODS]),
        ({"StockCode": "gift_0001_40"}, [Reason.NOT_GOODS]),
        ({"Quantity": "-2"}, [Reason.STOCK_ADJUSTMENT]),
        ({"Quantity": "0"}, [Reason.STOCK_ADJUSTMENT]),
        ({"Description": " ", "UnitPrice": "0.0"}, [Reason.NO_DESCRIPTION, Reason.NO_PRICE]),
        ({"UnitPrice": "-11062.06"}, [Reason.NO_PRICE]),
        ({"Quantity": "two"}, [Reason.UNREADABLE]),
        ({"Quantity": "99999999999"}, [Reason.UNREADABLE]),
        ({"UnitPrice": "NaN"}, [Reason.UNREADABLE]),
        ({"InvoiceDate": "15/01/2024"}, [Reason.UNREADABLE]),
        ({"InvoiceNo": ""}, [Reason.UNREADABLE]),
        ({"StockCode": ""}, [Reason.UNREADABLE]),
        ({"StockCode": "1" * 51}, [Reason.UNREADABLE]),
        ({"Country": "\x01"}, [Reason.UNREADABLE]),
        ({"Description": "A,B"}, [Reason.UNREADABLE]),
    ],
)
def test_a_dirty_line_is_set_aside_by_number_with_every_reason(cells, reasons):
    reading = sort(line(), line(**cells))
    assert [sold.number for sold in reading.sold] == [2]
    (dirty,) = reading.dirty
    assert (dirty.number, list(dirty.reasons)) == (3, reasons)
    assert reading.buckets == {reasons[0]: [dirty]}
    assert dirty.detail


@every("code", ["00123", "85123A", "15056bl", "DCGS0070", "PADS"])
def test_goods_keep_their_code(code):
    (sold,) = sort(line(StockCode=code)).sold
    assert sold.item.sku == code


@every(
    ("text", "moment"),
    [
        ("2024-01-15T12:00:00", datetime(2024, 1, 15, 12, tzinfo=UTC)),
        ("2024-07-15T12:00:00", datetime(2024, 7, 15, 11, tzinfo=UTC)),
        ("2024-10-27T01:30:00", datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
        ("2024-07-15T12:00:00Z", datetime(2024, 7, 15, 12, tzinfo=UTC)),
    ],
)
def test_times_without_a_zone_are_uk_local_time(text, moment):
    assert sort(line(InvoiceDate=text)).sold[0].placed == moment


def test_columns_may_stand_in_another_order_beside_others():
    reading = sort_lines(
        as_lines(
            "Extra,Country,CustomerID,UnitPrice,InvoiceDate,Quantity,Description,StockCode,InvoiceNo\n"
            "x,France,,1.25,2024-01-15T12:00:00,2,MUG,POST,5\n"
        )
    )  # fmt: skip - one cell per column
    assert [(dirty.code, dirty.reasons) for dirty in reading.dirty] == [("POST", (Reason.NOT_GOODS,))]


def test_missing_columns_are_all_named():
    with pytest.raises(InvalidInputError) as raised:
        sort_lines(as_lines("InvoiceNo,StockCode\n"))
    assert [problem.field for problem in raised.value.problems] == list(COLUMNS[2:])


def test_a_quoted_cell_over_two_lines_moves_the_numbers_on():
    reading = sort(line(Description='"TWO\nLINES"'), "", line(Quantity="x"))
    assert ([sold.number for sold in reading.sold], [dirty.number for dirty in reading.dirty]) == ([2], [4, 5])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_may_be_gzipped_whatever_its_name(tmp_path, pack):
    path = tmp_path / "lines"
    path.write_bytes(pack(small_shop().encode()))
    assert read_retail(path).total == sort_lines(as_lines(small_shop())).total


def test_bytes_that_are_no_utf8_make_their_line_unreadable_not_the_file(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_bytes("\n".join([HEAD, line(), line(Description="CAFÉ"), ""]).encode("latin-1"))
    reading = read_retail(path)
    assert (len(reading.sold), reading.dirty[0].reasons) == (1, (Reason.UNREADABLE,))


def test_a_broken_gzip_file_is_refused(tmp_path):
    path = tmp_path / "lines.csv.gz"
    path.write_bytes(gzip.compress(small_shop().encode())[:200])
    with pytest.raises(InvalidInputError):
        read_retail(path)


@every("spoil", [lambda r: r.sold.pop(), lambda r: r.sold.append(r.sold[0])])
def test_a_line_in_no_bucket_or_in_two_is_noticed(spoil):
    reading = sort(line(), line())
    spoil(reading)
    with pytest.raises(AssertionError, match="lines were read"):
        reading.check()


def test_the_small_shop_has_dirt_of_every_kind():
    reading = sort_lines(as_lines(small_shop()))
    reading.check()
    assert set(reading.buckets) == set(Reason)
    shop = build_shop(reading.sold)
    assert (len(shop.catalogue), len(shop.orders)) == (60, 40)


def test_an_item_is_uploaded_with_its_first_price_and_pushed_with_its_last():
    shop = build_shop(
        sort(
            line(InvoiceDate="2024-02-01T10:00:00", UnitPrice="3", Description="NEW"),
            line(InvoiceNo="2", InvoiceDate="2024-01-01T10:00:00", UnitPrice="2", Description="OLD", Quantity="5"),
        ).sold
    )
    uploaded, pushed, final = (which["00123"] for which in (shop.catalogue, shop.updates, shop.final))
    assert (uploaded.price, uploaded.stock, uploaded.description) == (2, "0", "NEW")
    assert (pushed.price, pushed.stock) == (3, 7)
    assert (final.price, final.stock, final.description) == (3, "7", "NEW")


def test_an_order_is_placed_with_its_earliest_line_and_holds_only_sold_lines():
    reading = sort(
        line(InvoiceDate="2024-01-15T12:01:00"), line(StockCode="POST", UnitPrice="9"), line(StockCode="00124")
    )
    shop = build_shop(reading.sold, (dirty.code for dirty in reading.dirty))
    (order,) = shop.orders.values()
    assert (order.total, [item.sku for item in order.order_items]) == (Decimal("5.00"), ["00123", "00124"])
    assert order.order_date == datetime(2024, 1, 15, 12, tzinfo=UTC)
    assert shop.strangers == ("POST",)


def test_a_guest_has_no_customer_number_and_codes_of_other_case_are_other_items():
    shop = build_shop(sort(line(CustomerID="", StockCode="85123A"), line(StockCode="85123a", InvoiceNo="2")).sold)
    assert "customer_id" not in shop.orders["536365"].ship.model_fields_set
    assert shop.orders["2"].ship.customer_id == "17850"
    assert (len(shop.catalogue), shop.case_twins) == (2, 2)


def test_an_empty_reading_adds_up():
    Reading().check()
