"""Tables, dicts and models are refused as SKUs, with what to pass instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from octopus_soap import (
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusClient,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderSubmit,
    StoreStockInfo,
)
from octopus_soap.operations import OPERATIONS

ITEM = InventoryItem(sku="A", price="1", stock=1)
FRAME = pd.DataFrame({"sku": ["A", "B"], "price": [1.0, 2.0], "description": ["x", "y"], "Item No": [1, 2]})


def test_what_is_no_list_of_skus_is_refused_and_what_is_one_is_taken(service, make_client):
    client = make_client()

    def refused(call: Any, *args: Any) -> str:
        with pytest.raises(InvalidInputError) as caught:
            call(*args)
        return str(caught.value.problems[0])

    of_list = client.get_item_list
    wanted = "skus: expected an iterable of SKUs, not a"
    order = OrderSubmit(order_id="1", order_items=[OrderItem(sku="A")])
    confirmation = OrderDownloadSubmitRequest(order_id="1")
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
        (ITEM, f"{wanted}n InventoryItem; pass [item.sku]"),
        (order, f"{wanted}n OrderSubmit; pass [line.sku for line in order.order_items]"),
        (confirmation, f"{wanted}n OrderDownloadSubmitRequest; it has no SKU; pass SKUs as texts, such as ['00123']"),
        (
            [confirmation],
            "[0] expected text, not OrderDownloadSubmitRequest; it has no SKU; pass a text, such as '00123'",
        ),
        ([order], "[0] expected text, not OrderSubmit; it has one in each of its order_items: [line.sku for line in"),
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
        ([pd.NA], "[0] expected text, not NAType; it has no value: leave such rows out, as df['sku'].dropna() does"),
        ([float("nan")], "[0] expected text, not float; it has no value: leave such rows out, as df['sku'].dropna()"),
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
        "items: expected an iterable of items, not a DataFrame; "
        "pass items_from_frame(df, ItemQuantityAndPrice), of octopus_soap.tables"
    )
    assert "pass items_from_frame(df, OrderDownloadSubmitRequest)" in refused(client.set_download_order_confirm, FRAME)
    one = ItemQuantityAndPrice(sku="A", stock=1)
    assert "for one item pass [item]" in refused(client.update_item_quantity_and_price_list, one)
    for given, message in (
        ("5", "orders: expected an iterable of items, not a str; pass a list of OrderDownloadSubmitRequest"),
        (["5"], "[0] expected an OrderDownloadSubmitRequest or a dict, not str; pass OrderDownloadSubmitRequest(order_id='5')"),
        ([order], ("[0] expected an OrderDownloadSubmitRequest or a dict, not OrderSubmit; "
                   "pass OrderDownloadSubmitRequest(order_id=order.order_id)")),
    ):  # fmt: skip
        assert refused(client.set_download_order_confirm, given) == message
    store = StoreStockInfo(store_id="7")
    assert "pass its store_id" in refused(client.get_order_list_store, store)
    assert "it has no SKU" in refused(client.delete_item, store)
    assert refused(client.get_order_list, 5) == "criteria: expected an OrderCriteria or a dict, not int"
    assert len(service.calls) == 0

    service.store.add_item("A", Stock="1")
    named = [FRAME["sku"], FRAME["sku"].rename("Item SKU"), FRAME["sku"].rename(None), pd.Index(["A", "B"])]
    for given in [*named, np.array(["A", "B"]), pl.Series("sku", ["A", "B"]), {"A": 1, "B": 2}.keys()]:
        assert [item.sku for item in client.get_item_list(given, batch_size=np.int64(1))] == ["A"]


WIRE = ("skuList", "itemQuantityAndPriceList", "inventoryItem", "orderDownloadSubmitRequests", "FieldMapping:", "iQP",
        "orderCriteria", "orderSubmit", "StoreIDs", "SellerID", "ProductID", "StorStock", "accountID")  # fmt: skip


def test_what_is_refused_is_named_as_in_python_for_every_argument_of_every_operation():
    client = OctopusClient("http://127.0.0.1:1/OctopusService.svc", authtoken="a", merchantname="m", accessid="i")
    plain = {"sku": "A", "store_ids": "1"}
    wrong: list[Any] = [None, 5, 5.5, "", b"A", True, {}, {"no such": 1}, [], [None], [5], [{}], ITEM, [ITEM], FRAME,
                        OrderDownloadSubmitRequest(order_id="1"), object()]  # fmt: skip
    for row in OPERATIONS.values():
        parameters = [p for p in row.signature.parameters.values() if p.name != "progress"]
        for name in [p.name for p in parameters]:
            needed = {p.name: plain.get(p.name, ["A"]) for p in parameters if p.default is p.empty}
            for value in wrong:
                try:
                    getattr(client, row.name).dry_run(**{**needed, name: value})
                except InvalidInputError as error:
                    said = str(error)
                    assert not [word for word in WIRE if word in said], (row.name, name, value, said)


def test_a_value_that_the_contract_refuses_is_named_as_in_python(make_client):
    with pytest.raises(InvalidInputError, match="product_id: expected an int of 32 bits"):
        make_client().delete_item("A", product_id="5.5")
