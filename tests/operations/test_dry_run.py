"""A dry run shows a call's requests and their effect, and sends nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from octopus_soap import InvalidInputError, InventoryItem, ItemQuantityAndPrice, OrderSubmit, StoreStockInfo
from octopus_soap.engine.dry_run import DryRun


def test_a_dry_run_is_sized_and_printable_and_compares_with_the_items_as_they_are(service, make_client):
    service.store.add_item("A", Stock="5", Price="9.90")
    service.store.add_item("B", Stock="2", Price="1.00")
    client = make_client()
    updates = [
        ItemQuantityAndPrice(sku="A", stock=0, price="9.9000"),
        ItemQuantityAndPrice(sku="B", price="1.25"),
        ItemQuantityAndPrice(sku="NEW", stock=7),
    ]
    options = {"batch_size": 2, "omitted_values": "send"}
    # The asynchronous client's dry run sends nothing, so it needs no await.
    dry = bound(client.update_item_quantity_and_price_list).dry_run(updates, **options)
    size = sum(len(request.body) for request in dry)
    title = f"UpdateItemQuantityAndPriceList: 2 requests, 3 items, {size:,} bytes, nothing was sent"
    assert repr(dry) == f"<DryRun {title}>"
    assert (len(dry), dry[1].operation, len(dry[:1])) == (2, "UpdateItemQuantityAndPriceList", 1)
    assert (dry.keys, dry.items) == (("A", "B", "NEW"), tuple(updates))
    assert str(dry).splitlines()[:5] == [
        f"Dry run of {title}",
        "would be sent:",
        "sku  price  stock",
        "A    9.90   0",
        "B    1.25",
    ]
    assert f"Dry run of {title}" in dry._repr_html_()
    assert ">NEW</td>" in dry._repr_html_()
    message = dry.message(1)
    assert "<a:Sku>NEW</a:Sku>" in message or "NEW" in message
    assert client.settings.accessid.get_secret_value() not in message + str(dry) + dry._repr_html_()
    assert client.settings.accessid.get_secret_value() in dry[1].body.decode()
    assert len(service.calls) == 0

    changes = dry.changes(client.get_item_list(dry.keys))
    assert [(c.key, c.column, c.before, c.after) for c in changes.changed] == [
        (("A",), "stock", 5, 0),
        (("B",), "price", Decimal("1.00"), Decimal("1.25")),
    ]
    assert [row["sku"] for row in changes.appeared] == ["NEW"]
    assert service.store.item("A")["Stock"] == "5"


def bound(call):
    """Return the operation itself, which the asynchronous client's stand-in wraps."""
    return getattr(call, "_bound", call)


def test_null_locks_and_stores_are_compared_and_what_is_not_sent_is_not(service, make_client):
    client = make_client()
    now = [
        InventoryItem(
            sku="A",
            price="3",
            cost="2",
            description="tea",
            field_locks={"lock_stock": False},
            store_stock_info_list=[
                StoreStockInfo(store_id="S1", store_stock=4),
                StoreStockInfo(store_id="S2", store_stock=1),
            ],
        )
    ]
    update = ItemQuantityAndPrice(
        sku="A", price=None, lock_stock=True, store_stock_info_list=[StoreStockInfo(store_id="S1", store_stock=0)]
    )
    dry = bound(client.update_item_quantity_and_price_list).dry_run([update], omitted_values="send")
    assert [(c.column, c.before, c.after) for c in dry.changes(now).changed] == [
        ("lock_stock", False, True),
        ("store_stock[S1]", 4.0, 0.0),
        ("price", Decimal(3), None),
    ]
    assert not bound(client.upload_item).dry_run(now[0], omitted_values="send").changes(now)
    reading = DryRun("UploadItemList", bound(client.get_item_list).dry_run(["A"]), [update], ["A"], bytes.decode)
    assert "GetItemList is asked first; what UploadItemList then sends depends on its answer" in str(reading)


def test_reads_deletions_and_orders_have_one_too(service, make_client):
    client = make_client()
    dry_run = lambda name, *args, **options: bound(getattr(client, name)).dry_run(*args, **options)  # noqa: E731 - short
    assert repr(dry_run("get_order_list")).startswith("<DryRun GetOrderList: 1 request, 1 item, ")
    deletion = dry_run("delete_item", "A")
    assert (deletion.keys, len(deletion)) == (("A",), 1)
    with pytest.raises(InvalidInputError, match="the call writes no items; there is nothing to compare"):
        deletion.changes([])
    skus = dry_run("is_sku_exist_list", ["A", "B", "A"])
    assert str(skus).splitlines()[1:4] == ["key", "A", "B"]
    with_card = OrderSubmit(order_id="7", credit_card="4111111111111111", total=1)
    order = dry_run("submit_order", with_card, omitted_values="send")
    assert order.keys == ("7",)
    assert "4111111111111111" not in str(order) + order._repr_html_() + order.message() + repr(order)
    assert len(service.calls) == 0
