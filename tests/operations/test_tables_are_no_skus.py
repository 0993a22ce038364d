"""A table, a column of something else, a dict or a model where SKUs belong is refused with what to pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from octopus_soap import InvalidInputError, InventoryItem, ItemQuantityAndPrice

ITEM = InventoryItem(sku="A", price="1", stock=1)
FRAME = pd.DataFrame({"sku": ["A", "B"], "price": [1.0, 2.0], "description": ["x", "y"], "Item No": [1, 2]})


def test_what_is_no_list_of_skus_is_refused_and_what_is_one_is_taken(service, make_client):
    client = make_client()

    def refused(call: Any, *args: Any) -> str:
        with pytest.raises(InvalidInputError) as caught:
            call(*args)
        return str(caught.value.problems[0])

    of_list = client.get_item_list
    wanted = "skuList: expected an iterable of SKUs, not a"
    rows: list[tuple[Any, str]] = [
        (FRAME, f"{wanted} DataFrame; pass df['sku']"),
        (FRAME.rename(columns={"sku": "Item SKU"}), f"{wanted} DataFrame; pass df['Item SKU']"),
        (pl.DataFrame({"sku": ["A"]}), f"{wanted} DataFrame; pass df['sku']"),
        (
            FRAME["description"],
            f"{wanted} Series of the column 'description'; pass df['sku'], or list(series) if it holds SKUs",
        ),
        (
            pl.Series("title", ["A"]),
            f"{wanted} Series of the column 'title'; pass df['sku'], or list(series) if it holds SKUs",
        ),
        ({"sku": "A"}, f"{wanted} dict; pass list(d) for its keys, or [d['sku']] for one item"),
        (ITEM, f"{wanted} InventoryItem; pass [item.sku]"),
        ("A", f"{wanted} str; for one SKU pass [sku]"),
        ([ITEM], "[0] expected text, not InventoryItem; pass its sku (got InventoryItem("),
        ([{"sku": "A"}], "[0] expected text, not dict (got "),
        (
            [7],
            "[0] expected text, not int; read the column as text (dtype=str), so that no leading zero is lost (got 7)",
        ),
        (
            [np.int64(7)],
            "[0] expected text, not int64; read the column as text (dtype=str), so that no leading zero is lost",
        ),
        ([pd.NA], "[0] expected text, not NAType; it holds nothing: leave such rows out, as df['sku'].dropna() does"),
        ([float("nan")], "[0] expected text, not float; it holds nothing: leave such rows out, as df['sku'].dropna()"),
    ]
    for given, message in rows:
        for call in (of_list, client.is_sku_exist_list):
            assert refused(call, given).startswith(message), refused(call, given)
    single = "sku: expected text, not "
    assert refused(client.get_item_quantity, ITEM).startswith(f"{single}InventoryItem; pass its sku")
    assert refused(client.get_item_quantity, FRAME["sku"]).startswith(f"{single}Series; pass one of its values, or use")
    assert refused(client.get_item_quantity, np.int64(7)).startswith(f"{single}int64; read the column as text")
    update = refused(client.update_item_quantity_and_price_list, FRAME)
    assert update == (
        "itemQuantityAndPriceList: expected an iterable of items, not a DataFrame; "
        "pass items_from_frame(df, ItemQuantityAndPrice), of octopus_soap.tables"
    )
    assert "pass items_from_frame(df, OrderDownloadSubmitRequest)" in refused(client.set_download_order_confirm, FRAME)
    one = ItemQuantityAndPrice(sku="A", stock=1)
    assert "for one item pass [item]" in refused(client.update_item_quantity_and_price_list, one)
    assert len(service.calls) == 0

    service.store.add_item("A", Stock="1")
    named = [FRAME["sku"], FRAME["sku"].rename("Item SKU"), FRAME["sku"].rename(None), pd.Index(["A", "B"])]
    for given in [*named, np.array(["A", "B"]), pl.Series("sku", ["A", "B"]), {"A": 1, "B": 2}.keys()]:
        assert [item.sku for item in client.get_item_list(given, batch_size=np.int64(1))] == ["A"]
