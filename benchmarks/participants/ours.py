"""This library."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxml import etree

from benchmarks import payloads
from benchmarks.participants import Prepared
from octopus_soap import AsyncOctopusClient, OctopusClient, OctopusSettings
from octopus_soap.models import InventoryItem, ItemQuantityAndPrice, StoreStockInfo
from octopus_soap.models.declarations import RowsOf
from octopus_soap.wire.decode import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

UPDATE = "UpdateItemQuantityAndPriceList"


def client(url: str = "http://127.0.0.1:9/OctopusService.svc", **settings: Any) -> OctopusClient:
    """Return a client of the canned server."""
    return OctopusClient(settings=_settings(url, **settings))


def _settings(url: str, **settings: Any) -> OctopusSettings:
    given = {"endpoint": url, "authtoken": "token-1", "merchantname": "shop", "accessid": payloads.ACCOUNT}
    return OctopusSettings.load(**given, **settings)


def _checked(result: Any, count: int) -> Any:
    assert len(result) == count, f"{len(result)} of {count}"
    return result


def decode(asked: dict[str, Any]) -> Callable[[], Any]:
    """Decode the bytes of a reply to models."""
    codec, body, count = client()._codec, Path(asked["files"], asked["reply"]).read_bytes(), asked["count"]  # noqa: SLF001 - decoding alone has no public door

    def work() -> Any:
        return _checked(codec.decode("GetItemList", Reply(200, {}, body), RowsOf(InventoryItem)).rows, count)

    return work


def new_hand(asked: dict[str, Any]) -> Prepared:
    """Decode a page with a decoder that has only read *seen* such pages."""
    body = Path(asked["files"], asked["reply"]).read_bytes()

    def prepare() -> Callable[[], Any]:
        codec = client()._codec  # noqa: SLF001 - as above
        for _ in range(asked["seen"]):
            codec.decode("GetItemList", Reply(200, {}, body), RowsOf(InventoryItem))
        return lambda: codec.decode("GetItemList", Reply(200, {}, body), RowsOf(InventoryItem))

    return Prepared(prepare)


def parse(asked: dict[str, Any]) -> Callable[[], Any]:
    """Parse the same bytes by `lxml.etree.fromstring` alone, in this process.

    A process with little memory returns it after each tree and requests it again. There the parser would look slower
    than it is here.
    """
    body = Path(asked["files"], asked["reply"]).read_bytes()
    return lambda: etree.fromstring(body)


def updates(count: int, stores: int = 2) -> list[ItemQuantityAndPrice]:
    """Return the models that encode-1000 writes."""
    return [
        ItemQuantityAndPrice(
            sku=row["Sku"],
            stock=row["Stock"],
            price=Decimal(row["Price"]),
            cost=Decimal(row["Cost"]),
            store_stock_info_list=[
                StoreStockInfo(
                    store_id=store["StoreID"], store_price=Decimal(store["StorePrice"]), store_stock=store["StoreStock"]
                )
                for store in row["StoreStockInfoList"]["StoreStockInfo"]
            ],
        )
        for row in payloads.updates(count, stores)
    ]


def encode(asked: dict[str, Any]) -> Callable[[], bytes]:
    """Encode models to the bytes of a request."""
    codec, models = client()._codec, updates(asked["count"], asked.get("stores", 2))  # noqa: SLF001 - encoding alone has no public door
    return lambda: codec.requests(UPDATE).envelope({"accountID": payloads.ACCOUNT, "itemQuantityAndPriceList": models})


def call(asked: dict[str, Any]) -> Callable[[], Any]:
    """Call GetItemList over loopback."""
    ours, skus = client(asked["url"], **asked.get("settings", {})), payloads.skus(asked["count"])
    return lambda: _checked(ours.get_item_list(skus), len(skus))


def call_async(asked: dict[str, Any]) -> Callable[[], Any]:
    """Call GetItemList over loopback, with the client for asyncio."""
    runner, skus = asyncio.Runner(), payloads.skus(asked["count"])
    ours = AsyncOctopusClient(settings=_settings(asked["url"]))
    return lambda: _checked(runner.run(_awaited(ours, skus)), len(skus))


async def _awaited(ours: AsyncOctopusClient, skus: list[str]) -> Any:
    return await ours.get_item_list(skus)


def exist(asked: dict[str, Any]) -> Callable[[], Any]:
    """Call IsSkuExistList over loopback."""
    ours, skus = client(asked["url"]), payloads.skus(asked["count"])
    return lambda: _checked(ours.is_sku_exist_list(skus), len(skus))


def bulk(asked: dict[str, Any]) -> Callable[[], Any]:
    """Call GetItemQuantityList for many SKUs, batches in parallel."""
    ours, skus = client(asked["url"], max_connections=asked["connections"]), payloads.skus(asked["count"])
    return lambda: _checked(ours.get_item_quantity_list(skus), len(skus))


def construct(asked: dict[str, Any]) -> Callable[[], None]:
    """Construct a further client."""
    del asked

    def work() -> None:
        client().close()

    return work


TASKS = {
    "decode": decode,
    "parse": parse,
    "encode": encode,
    "new_hand": new_hand,
    "call": call,
    "call_async": call_async,
    "exist": exist,
    "bulk": bulk,
    "construct": construct,
}
