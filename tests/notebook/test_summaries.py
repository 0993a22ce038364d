"""Summary tables: low stock, margin, orders by group; and `OrderCriteria.since`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from octopus_soap import (
    AddressInfo,
    InvalidInputError,
    InventoryItem,
    OrderCriteria,
    OrderItem,
    OrderResponseItem,
    StoreStockInfo,
)
from octopus_soap.models.scalars import moment_of
from octopus_soap.tables import low_stock, margin, orders_by, out_of_stock


def rows(frame) -> list[tuple]:
    return [tuple(row) for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False)]


ITEMS = [
    InventoryItem(
        sku="A", description="tea", price="10", cost="4", stock="9",
        store_stock_info_list=[StoreStockInfo(store_id="S1", store_stock=0), StoreStockInfo(store_id="S2", store_stock=9)],
    ),
    InventoryItem(sku="B", price="3.00", cost="3.50", stock="0"),
    InventoryItem(sku="C", stock="5", price="1"),
    InventoryItem(sku="D", stock="some", price="0", cost="1"),
]  # fmt: skip


def test_low_stock_is_found_by_store_and_margin_in_percent_of_the_price() -> None:
    assert rows(out_of_stock(ITEMS)) == [("A", "tea", "S1", 0.0), ("B", None, None, 0.0)]
    assert rows(low_stock(ITEMS)) == [("A", "tea", "S1", 0.0), ("B", None, None, 0.0), ("C", None, None, 5.0)]
    assert rows(low_stock(ITEMS, by_store=False)) == [("B", None, None, 0.0), ("C", None, None, 5.0)]
    assert low_stock(ITEMS, 9, backend="polars").rows() == [
        ("A", "tea", "S1", 0.0), ("B", None, None, 0.0), ("C", None, None, 5.0), ("A", "tea", "S2", 9.0)
    ]  # fmt: skip
    assert rows(margin(ITEMS)) == [
        ("D", None, Decimal(0), Decimal(1), Decimal(-1), None),
        ("B", None, Decimal("3.00"), Decimal("3.50"), Decimal("-0.50"), Decimal("-16.7")),
        ("A", "tea", Decimal(10), Decimal(4), Decimal(6), Decimal("60.0")),
        ("C", None, Decimal(1), None, None, None),
    ]
    assert str(margin(ITEMS, decimals="float").margin.dtype) == "Float64"
    assert low_stock([]).columns.tolist() == ["sku", "description", "store_id", "stock"]


def test_margins_of_any_two_amounts_are_computed_and_a_negative_price_has_no_percentage() -> None:
    most = "79228162514264337593543950335"
    found = margin([
        InventoryItem(sku="A", price="0.0001", cost=most),
        InventoryItem(sku="B", price=most, cost="0." + "0" * 27 + "1"),
        InventoryItem(sku="C", price="-5", cost="1"),
    ])  # fmt: skip
    assert found.sku.tolist() == ["C", "A", "B"]
    assert found.margin_percent.tolist() == [None, Decimal(-79228162514264337593543950330000000), Decimal(100)]


def order(number: int, day: int, total: str, **members: object) -> OrderResponseItem:
    placed = datetime(2026, 3, day, 23, 30, tzinfo=UTC)
    lines = [OrderItem(sku="A", quantity=number, unit_price="2"), OrderItem(sku="B", quantity=1)]
    return OrderResponseItem(order_id=str(number), order_date=placed, total=total, order_items=lines, **members)


ORDERS = [
    order(1, 4, "10.00", store_id="S1", payment_status="Cleared", bill=AddressInfo(customer_id="77")),
    order(2, 4, "5.50", store_id="S2", payment_status="Failed", buyer_email_address="Ann@x.example"),
    order(3, 5, "4.50", store_id="S1", payment_status="Cleared", ship=AddressInfo(email="ann@X.example")),
]


def test_orders_are_added_up_by_day_store_customer_status_and_sku() -> None:
    first, last = datetime(2026, 3, 4, 23, 30, tzinfo=UTC), datetime(2026, 3, 5, 23, 30, tzinfo=UTC)
    frame = orders_by(ORDERS)
    assert frame.columns.tolist() == ["day", "orders", "pieces", "revenue", "average", "first", "last"]
    assert rows(frame) == [
        ("2026-03-04", 2, 5, Decimal("15.50"), Decimal("7.75"), first, first),
        ("2026-03-05", 1, 4, Decimal("4.50"), Decimal("4.50"), last, last),
    ]
    assert orders_by(ORDERS, timezone="Europe/Zurich").day.tolist() == ["2026-03-05", "2026-03-06"]
    assert orders_by(ORDERS, "store", "status").iloc[:, :4].to_numpy().tolist() == [
        ["S1", "Cleared", 2, 6],
        ["S2", "Failed", 1, 3],
    ]
    assert orders_by(ORDERS, "store", "store").equals(orders_by(ORDERS, "store"))
    by_customer = orders_by(ORDERS, "customer")
    assert by_customer.iloc[:, :2].to_numpy().tolist() == [["77", 1], ["ann@x.example", 2]]
    assert by_customer.iloc[1]["last"] == last
    by_sku = orders_by(ORDERS, "sku", backend="polars")
    assert by_sku.select("sku", "orders", "pieces", "revenue").rows() == [
        ("A", 3, 6, Decimal("12.00")),
        ("B", 3, 3, None),
    ]
    with pytest.raises(InvalidInputError, match="choose one of 'day', 'store', 'customer'"):
        orders_by(ORDERS, "week")
    with pytest.raises(InvalidInputError, match="no time zone of this name"):
        orders_by(ORDERS, timezone="Zurich")
    with pytest.raises(
        InvalidInputError, match="expected InventoryItem objects, as a call returns them, not DataFrame"
    ):
        low_stock(frame)


def test_a_period_is_said_in_words_and_becomes_criteria() -> None:
    now = datetime(2026, 3, 4, 10, tzinfo=UTC)
    said = {
        "7d": datetime(2026, 2, 25, 10, tzinfo=UTC),
        "12h": datetime(2026, 3, 3, 22, tzinfo=UTC),
        "today": datetime(2026, 3, 4, tzinfo=UTC),
        "yesterday": datetime(2026, 3, 3, tzinfo=UTC),
        "2026-03-01": datetime(2026, 3, 1, tzinfo=UTC),
        "2026-03-01T10:00:00+01:00": datetime(2026, 3, 1, 9, tzinfo=UTC),
        timedelta(hours=1): datetime(2026, 3, 4, 9, tzinfo=UTC),
        date(2026, 3, 1): datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1, tzinfo=UTC): datetime(2026, 3, 1, tzinfo=UTC),
    }
    assert {when: moment_of(when, now) for when in said} == said

    found = OrderCriteria.since("2026-03-01", "2026-03-02", status="cleared", shipping="Unshipped")
    assert found == OrderCriteria(
        order_creation_filter_begin_time_gmt="2026-03-01T00:00:00Z",
        order_creation_filter_end_time_gmt="2026-03-02T00:00:00Z",
        payment_status_filter="Cleared",
        shipping_status_filter="Unshipped",
    )
    week = OrderCriteria.since("7d")
    begin, end = week.order_creation_filter_begin_time_gmt, week.order_creation_filter_end_time_gmt
    assert begin is not None
    assert end is not None
    assert end - begin == timedelta(days=7)
    for wrong in ("soon", "7", "2026-13-01", None):
        with pytest.raises(InvalidInputError, match="is not a time such as 7d, yesterday, 2026-03-04 or"):
            OrderCriteria.since(wrong)
    with pytest.raises(InvalidInputError, match="until: '2026-03-04T10:00' has no time zone; append Z"):
        OrderCriteria.since("7d", "2026-03-04T10:00")
    with pytest.raises(InvalidInputError, match="unknown status; the page lists"):
        OrderCriteria.since("7d", status="paid")
    with pytest.raises(InvalidInputError, match="the begin of the creation window is after its end"):
        OrderCriteria.since("2026-03-02", "2026-03-01")
