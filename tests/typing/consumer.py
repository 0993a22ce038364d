"""A program for type checkers: read by mypy and pyright, and never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from datetime import datetime
from typing import assert_never, assert_type

from octopus_soap import (
    Answer,
    AsyncOctopusClient,
    BatchDone,
    BatchError,
    BatchResult,
    BreakerClosed,
    BreakerOpened,
    CallInfo,
    Counters,
    CustomFieldMapping,
    DriftSeen,
    Event,
    Health,
    HealthStage,
    InventoryItem,
    ItemOutcome,
    ItemQuantityAndPrice,
    ItemRejected,
    OctopusClient,
    OctopusError,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderResponseItem,
    OrderSubmit,
    Progress,
    QuantityInfoResponse,
    RateStoreBack,
    RateStoreLost,
    Removal,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    StoreStockInfo,
    SubmitOrderResponseItem,
    UpdateItemResponse,
    log_events,
)
from octopus_soap.observe.events import combine
from octopus_soap.observe.telemetry import OpenTelemetryEvents

client = OctopusClient("https://shop.example/", authtoken="t", merchantname="m", accessid="a")
items = [InventoryItem(sku="A")]
updates = (ItemQuantityAndPrice(sku="A", stock=n) for n in range(3))
confirms = (OrderDownloadSubmitRequest(order_id=n) for n in ("1", "2"))
mappings = [CustomFieldMapping(text="T", value="V")]


def report(progress: Progress) -> None:
    assert_type(progress.total, int | None)


# existence
assert_type(client.is_sku_exist("A"), bool)
assert_type(client.is_sku_exist.with_info("A"), Answer[bool])
assert_type(client.is_sku_exist_list(["A"]), BatchResult[bool])
assert_type(client.is_sku_exist_list.stream(iter("ABC"), batch_size=2), Generator[BatchResult[bool], None, None])

# items
assert_type(client.get_item_tbl_list(), BatchResult[InventoryItem])
assert_type(client.get_item_tbl_list.with_info(), Answer[BatchResult[InventoryItem]])
assert_type(client.get_item_list(("A", "B"), account_id="x", progress=report), BatchResult[InventoryItem])
assert_type(client.get_item_list.stream({"A": 1}.keys()), Generator[BatchResult[InventoryItem], None, None])

# quantities
assert_type(client.get_item_quantity("A"), int)
assert_type(client.get_item_quantity.with_info("A"), Answer[int])
assert_type(client.get_item_quantity_info("A"), QuantityInfoResponse)
assert_type(client.get_item_quantity_info.with_info("A"), Answer[QuantityInfoResponse])
assert_type(client.get_item_quantity_list(["A"]), BatchResult[QuantityInfoResponse])
assert_type(client.get_item_quantity_list.stream(["A"]), Generator[BatchResult[QuantityInfoResponse], None, None])
assert_type(client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A")), bool)
assert_type(client.update_item_quantity_and_price.with_info(ItemQuantityAndPrice(sku="A")), Answer[bool])
assert_type(client.update_item_quantity_and_price_list(updates), BatchResult[UpdateItemResponse])
assert_type(
    client.update_item_quantity_and_price_list.stream(updates), Generator[BatchResult[UpdateItemResponse], None, None]
)

# uploads
assert_type(client.upload_item(items[0]), int)
assert_type(client.upload_item.with_info(items[0]), Answer[int])
assert_type(client.upload_item_list(items), BatchResult[UpdateItemResponse])
assert_type(client.upload_item_list.stream(items), Generator[BatchResult[UpdateItemResponse], None, None])

# deletions
assert_type(client.delete_item("A", seller_id=1, product_id=2, status=3), Removal)
assert_type(client.delete_item.with_info("A"), Answer[Removal])
assert_type(client.delete_item_store("A", store_stock=[StoreStockInfo(store_id="S")]), Removal)
assert_type(client.delete_item_store.with_info("A"), Answer[Removal])
assert_type(client.delete_tbl_item("A"), Removal)
assert_type(client.delete_tbl_item.with_info("A"), Answer[Removal])

# orders
assert_type(client.get_order_list(), BatchResult[OrderResponseItem])
assert_type(client.get_order_list.with_info(OrderCriteria()), Answer[BatchResult[OrderResponseItem]])
assert_type(client.get_order_list_store("S1", OrderCriteria(order_id_list=[1])), BatchResult[OrderResponseItem])
assert_type(client.get_order_list_store.with_info("S1"), Answer[BatchResult[OrderResponseItem]])
client.set_download_order_confirm(confirms)
assert_type(client.set_download_order_confirm.stream(confirms), Generator[BatchResult[None], None, None])
client.set_download_split_order_confirm(confirms, batch_size=5)
assert_type(client.set_download_split_order_confirm.stream(confirms), Generator[BatchResult[None], None, None])
assert_type(client.submit_order(OrderSubmit()), SubmitOrderResponseItem)
assert_type(client.submit_order.with_info(OrderSubmit()), Answer[SubmitOrderResponseItem])

# custom fields
client.custom_field_mapping(mappings)
assert_type(client.custom_field_mapping.stream(mappings), Generator[BatchResult[None], None, None])

# results
found = client.get_item_list(["A"])
assert_type(found[0], InventoryItem)
assert_type(found[0:1], BatchResult[InventoryItem])
assert_type([item.sku for item in found], list[str | None])
assert_type(found.by_key(), dict[str, InventoryItem])
assert_type(found.outcomes, tuple[ItemOutcome[InventoryItem], ...])
assert_type(found.calls, tuple[CallInfo, ...])
assert_type(found.raise_for_rejected(), BatchResult[InventoryItem])

with client as same:
    assert_type(same, OctopusClient)
assert_type(client.with_options(total_timeout=5), OctopusClient)

try:
    client.is_sku_exist("A")
except BatchError as error:
    assert_type(error.message, str)
except OctopusError as error:
    assert_type(error.info, CallInfo | None)


async def awaiting(many: AsyncOctopusClient) -> None:
    """The same rows on the asynchronous client."""
    assert_type(await many.ping(), Health)
    # existence
    assert_type(await many.is_sku_exist("A"), bool)
    assert_type(await many.is_sku_exist.with_info("A"), Answer[bool])
    assert_type(await many.is_sku_exist_list(["A"]), BatchResult[bool])
    assert_type(many.is_sku_exist_list.stream(iter("ABC"), batch_size=2), AsyncGenerator[BatchResult[bool], None])

    # items
    assert_type(await many.get_item_tbl_list(), BatchResult[InventoryItem])
    assert_type(await many.get_item_tbl_list.with_info(), Answer[BatchResult[InventoryItem]])
    assert_type(await many.get_item_list(("A", "B"), account_id="x", progress=report), BatchResult[InventoryItem])
    assert_type(many.get_item_list.stream(["A"]), AsyncGenerator[BatchResult[InventoryItem], None])

    # quantities
    quantity = ItemQuantityAndPrice(sku="A")
    assert_type(await many.get_item_quantity("A"), int)
    assert_type(await many.get_item_quantity.with_info("A"), Answer[int])
    assert_type(await many.get_item_quantity_info("A"), QuantityInfoResponse)
    assert_type(await many.get_item_quantity_info.with_info("A"), Answer[QuantityInfoResponse])
    assert_type(await many.get_item_quantity_list(["A"]), BatchResult[QuantityInfoResponse])
    assert_type(many.get_item_quantity_list.stream(["A"]), AsyncGenerator[BatchResult[QuantityInfoResponse], None])
    assert_type(await many.update_item_quantity_and_price(quantity), bool)
    assert_type(await many.update_item_quantity_and_price.with_info(quantity), Answer[bool])
    assert_type(await many.update_item_quantity_and_price_list([quantity]), BatchResult[UpdateItemResponse])
    assert_type(
        many.update_item_quantity_and_price_list.stream([quantity]),
        AsyncGenerator[BatchResult[UpdateItemResponse], None],
    )

    # uploads
    assert_type(await many.upload_item(items[0]), int)
    assert_type(await many.upload_item.with_info(items[0]), Answer[int])
    assert_type(await many.upload_item_list(items), BatchResult[UpdateItemResponse])
    assert_type(many.upload_item_list.stream(items), AsyncGenerator[BatchResult[UpdateItemResponse], None])

    # deletions
    assert_type(await many.delete_item("A", seller_id=1, product_id=2, status=3), Removal)
    assert_type(await many.delete_item.with_info("A"), Answer[Removal])
    assert_type(await many.delete_item_store("A", store_stock=[StoreStockInfo(store_id="S")]), Removal)
    assert_type(await many.delete_item_store.with_info("A"), Answer[Removal])
    assert_type(await many.delete_tbl_item("A"), Removal)
    assert_type(await many.delete_tbl_item.with_info("A"), Answer[Removal])

    # orders
    assert_type(await many.get_order_list(), BatchResult[OrderResponseItem])
    assert_type(await many.get_order_list.with_info(OrderCriteria()), Answer[BatchResult[OrderResponseItem]])
    assert_type(await many.get_order_list_store("S1", OrderCriteria()), BatchResult[OrderResponseItem])
    assert_type(await many.get_order_list_store.with_info("S1"), Answer[BatchResult[OrderResponseItem]])
    await many.set_download_order_confirm(confirms)
    assert_type(many.set_download_order_confirm.stream(confirms), AsyncGenerator[BatchResult[None], None])
    await many.set_download_split_order_confirm(confirms, batch_size=5)
    assert_type(many.set_download_split_order_confirm.stream(confirms), AsyncGenerator[BatchResult[None], None])
    assert_type(await many.submit_order(OrderSubmit()), SubmitOrderResponseItem)
    assert_type(await many.submit_order.with_info(OrderSubmit()), Answer[SubmitOrderResponseItem])

    # custom fields
    await many.custom_field_mapping(mappings)
    assert_type(many.custom_field_mapping.stream(mappings), AsyncGenerator[BatchResult[None], None])

    # the rest
    async with many as same_one:
        assert_type(same_one, AsyncOctopusClient)
    assert_type(many.with_options(on_event=hear), AsyncOctopusClient)
    assert_type(many.counters, Counters)
    assert_type(many.last_success_at, datetime | None)

    await many.get_item_list([1])  # type: ignore[list-item]
    await many.is_sku_exist("A", acount_id="x")  # type: ignore[call-arg]


# events
def hear(event: Event) -> None:
    match event:
        case RequestFinished():
            assert_type(event.info, CallInfo)
            assert_type(event.failure, str | None)
        case RequestStarted() | RetryScheduled() | BreakerOpened() | BreakerClosed() | DriftSeen():
            assert_type(event.request_id, str)
        case ItemRejected():
            assert_type(event.index, int | None)
        case RateStoreLost() | RateStoreBack():
            assert_type(event.client_label, str)
        case BatchDone():
            assert_type(event.counts, dict[str, int])
        case _:
            assert_never(event)


OctopusClient(on_event=hear)
OctopusClient(on_event=log_events())
OctopusClient(on_event=OpenTelemetryEvents())
AsyncOctopusClient(on_event=combine(hear, log_events()))
assert_type(client.counters.items, dict[str, int])
assert_type(client.ping(timeout=1), Health)
assert_type(client.ping().stage, HealthStage)
OctopusClient(on_event=lambda: None)  # type: ignore[arg-type, misc, unused-ignore]


# Lines that type checkers must refuse: each is an error in both, or its comment is reported as unused.
client.is_sku_exist(5)  # type: ignore[arg-type]
client.is_sku_exist("A", acount_id="x")  # type: ignore[call-arg]
client.is_sku_exist("A", "x")  # type: ignore[call-arg, misc, arg-type, unused-ignore]
client.is_sku_exist_list([1])  # type: ignore[list-item]
client.get_item_list(["A"], batch_size="5")  # type: ignore[arg-type]
client.upload_item({"Sku": "A"})  # type: ignore[arg-type]
client.upload_item_list([ItemQuantityAndPrice()])  # type: ignore[list-item]
client.submit_order()  # type: ignore[call-arg]
client.set_download_order_confirm(["1"])  # type: ignore[list-item]
client.get_order_list(status="x")  # type: ignore[call-arg]
client.get_itm_list(["A"])  # type: ignore[attr-defined]
client.is_sku_exist.stream(["A"])  # type: ignore[attr-defined]
InventoryItem(prise=1)  # type: ignore[call-arg]
