"""Scalars of numpy and pandas follow Python's rules; tables are refused as SKUs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from octopus_soap import InvalidInputError, InventoryItem, ItemQuantityAndPrice, OrderCriteria, StoreStockInfo


def refusal(model: Any, **members: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        model(sku="A", **members)
    [problem] = caught.value.problems
    return str(problem).partition(": ")[2]


def test_a_scalar_of_numpy_or_pandas_becomes_the_python_value_that_it_is() -> None:
    moment = datetime(2026, 3, 4, 10, tzinfo=UTC)
    item = InventoryItem(
        sku=np.str_("A"),
        price=np.float64(9.99),
        cost=np.int64(3),
        stock=np.int32(4),
        form_quantity=np.float64(2.0),
        sale_start_date=pd.Timestamp(moment),
        store_stock_info_list=[StoreStockInfo(store_id="S", store_stock=np.float32(2.5))],
    )
    assert item == InventoryItem(
        sku="A",
        price=Decimal("9.99"),
        cost=Decimal(3),
        stock="4",
        form_quantity="2",
        sale_start_date=moment,
        store_stock_info_list=[StoreStockInfo(store_id="S", store_stock=2.5)],
    )
    assert type(item.sale_start_date) is datetime
    assert type(item.price) is Decimal
    update = ItemQuantityAndPrice(sku="A", stock=np.int64(4), lock_stock=np.bool_(True))
    assert (update.stock, type(update.stock), update.lock_stock) == (4, int, True)
    assert OrderCriteria(order_id_list=[np.int64(7)]).order_id_list == [7]


def test_what_is_refused_of_them_is_refused_as_pythons_own_with_advice_that_works() -> None:
    for value in (0.1 + 0.2, np.float64(0.1) + np.float64(0.2)):
        assert refusal(InventoryItem, price=value) == (
            "the float 0.30000000000000004 has more than 4 decimals; round it, or give a Decimal or text "
            "(got 0.30000000000000004)"
        )
        assert InventoryItem(sku="A", price=round(value, 2)).price == Decimal("0.3")
    for value in (4.0, np.float64(4.0)):
        assert refusal(ItemQuantityAndPrice, stock=value) == (
            "expected an int, or text such as '12'; int(4.0) makes one of a float (got 4.0)"
        )
    for value in (pd.NA, pd.NaT):
        for member in ("price", "sale_start_date", "description", "stock"):
            assert refusal(InventoryItem, **{member: value}) == (
                f"{value!r} has no value; leave the member out, or give None, which is sent as null (got {value!r})"
            )
    for nan in (float("nan"), np.float64("nan")):
        assert "leave the member out if there is none (got nan)" in refusal(InventoryItem, price=nan)
    assert "add one, such as tzinfo=datetime.UTC" in refusal(InventoryItem, sale_start_date=pd.Timestamp("2026-03-04"))
    nanos = pd.Timestamp("2026-03-04T10:00:00.000000001Z")
    assert "use value.floor('us')" in refusal(InventoryItem, sale_start_date=nanos)
    assert InventoryItem(sku="A", sale_start_date=nanos.floor("us")).sale_start_date is not None
