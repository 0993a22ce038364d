"""Our two clients against another toolkit's service: results of all operations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from octopus_soap import AsyncOctopusClient, BatchResult, OctopusClient, OctopusSettings, Removal
from octopus_soap.models import (
    CustomFieldMapping,
    InventoryItem,
    ItemQuantityAndPrice,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderSubmit,
    StoreStockInfo,
)
from tests.interop import scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAIN, SPLIT = 41, 42


def _all(model: Any, rows: list[Any]) -> list[Any]:
    return [model.model_validate(row) for row in rows]


# One line per operation: how our client makes the scenario's call.
CALLS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "IsSkuExist": lambda c, p: c.is_sku_exist(p["sku"]),
    "IsSkuExistList": lambda c, p: c.is_sku_exist_list(p["skuList"]),
    "GetItemList": lambda c, p: c.get_item_list(p["skuList"]),
    "GetItemQuantity": lambda c, p: c.get_item_quantity(p["sku"]),
    "GetItemQuantityInfo": lambda c, p: c.get_item_quantity_info(p["sku"]),
    "GetItemQuantityList": lambda c, p: c.get_item_quantity_list(p["skuList"]),
    "UpdateItemQuantityAndPrice": lambda c, p: c.update_item_quantity_and_price(
        ItemQuantityAndPrice.model_validate(p["iQP"])
    ),
    "UpdateItemQuantityAndPriceList": lambda c, p: c.update_item_quantity_and_price_list(
        _all(ItemQuantityAndPrice, p["itemQuantityAndPriceList"])
    ),
    "UploadItem": lambda c, p: c.upload_item(InventoryItem.model_validate(p["inventoryItem"])),
    "UploadItemList": lambda c, p: c.upload_item_list(_all(InventoryItem, p["inventoryItems"])),
    "GetItemTblList": lambda c, _: c.get_item_tbl_list(),
    "DeleteTblItem": lambda c, p: c.delete_tbl_item(p["sku"]),
    "SubmitOrder": lambda c, p: c.submit_order(OrderSubmit.model_validate(p["orderSubmit"])),
    "GetOrderList": lambda c, p: c.get_order_list(OrderCriteria.model_validate(p["orderCriteria"])),
    "GetOrderListStore": lambda c, p: c.get_order_list_store(
        p["StoreIDs"], OrderCriteria.model_validate(p["orderCriteria"])
    ),
    "SetDownloadOrderConfirm": lambda c, p: c.set_download_order_confirm(
        _all(OrderDownloadSubmitRequest, p["orderDownloadSubmitRequests"])
    ),
    "SetDownloadSplitOrderConfirm": lambda c, p: c.set_download_split_order_confirm(
        _all(OrderDownloadSubmitRequest, p["orderDownloadSubmitRequests"])
    ),
    "CustomFieldMapping": lambda c, p: c.custom_field_mapping(_all(CustomFieldMapping, p["FieldMapping"])),
    "DeleteItemStore": lambda c, p: c.delete_item_store(
        p["SKU"], seller_id=0, product_id=7, status=1, store_stock=_all(StoreStockInfo, p["StorStock"])
    ),
    "DeleteItem": lambda c, p: c.delete_item(p["SKU"], seller_id=0, product_id=7, status=1),
}


def settings(url: str, wsdl: Path) -> OctopusSettings:
    """Return settings that send what is left out as it is, for a service at ``url``."""
    return OctopusSettings.load(
        endpoint=url,
        wsdl=str(wsdl),
        authtoken="t",
        merchantname="m",
        accessid="a",
        account_id="the-account",
        omitted_values="send",
        max_attempts=1,
    )


def answers_of_both(url: str, wsdl: Path) -> dict[str, dict[str, Any]]:
    """Return answers, or errors, of the scenario's calls, by client and operation."""
    asked = scenario.requests(PLAIN, SPLIT)
    blocking: dict[str, Any] = {}
    with OctopusClient(settings=settings(url, wsdl)) as client:
        for operation, given in asked:
            try:
                blocking[operation] = CALLS[operation](client, given)
            except Exception as error:  # noqa: BLE001 - shown in the table
                blocking[operation] = error

    async def asynchronous() -> dict[str, Any]:
        answers: dict[str, Any] = {}
        async with AsyncOctopusClient(settings=settings(url, wsdl)) as client:
            for operation, given in asked:
                try:
                    answers[operation] = await CALLS[operation](client, given)
                except Exception as error:  # noqa: BLE001 - shown in the table
                    answers[operation] = error
        return answers

    return {"blocking": blocking, "asyncio": asyncio.run(asynchronous())}


def check(answers: dict[str, Any]) -> list[str]:
    """Return the differences between a client's answers and the server's script."""
    found: list[str] = []
    for operation, value in answers.items():
        wanted = scenario.expected(scenario.answer(scenario.server_answers().get(operation), operation))
        if isinstance(value, Exception):
            found.append(f"{operation}: {type(value).__name__}: {value}")
        else:
            found += scenario.differences(_plain(value), _as_typed(operation, wanted), operation)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, BatchResult):
        return [_outcome(outcome) for outcome in value.outcomes]
    return value.model_dump(mode="json", by_alias=True) if hasattr(value, "model_dump") else value


def _outcome(outcome: Any) -> Any:
    """Return a row as on the wire; a rejected row has no value but a message."""
    value = outcome.value
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    return {
        "Sku": outcome.key,
        "Result": value if isinstance(value, bool) else outcome.ok,
        "ErrorMessage": outcome.message,
    }


def _as_typed(operation: str, wanted: Any) -> Any:
    if operation in {"DeleteTblItem", "DeleteItem", "DeleteItemStore"}:
        return Removal.REMOVED
    return None if operation == "CustomFieldMapping" else wanted
