"""xsdata's generated dataclasses, in the peers' own environment.

Its SOAP client sends through requests.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import payloads
from benchmarks.peers import GENERATED

sys.path.insert(0, str(GENERATED))
import octopus_wsdl as wsdl
from xsdata.formats.dataclass.client import Client, Config
from xsdata.formats.dataclass.context import XmlContext
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.serializers import XmlSerializer

if TYPE_CHECKING:
    from collections.abc import Callable


def decode(asked: dict[str, Any]) -> Callable[[], Any]:
    body = Path(asked["files"], asked["reply"]).read_bytes()
    parser = XmlParser(context=XmlContext())

    def work() -> Any:
        reply = parser.from_bytes(body, wsdl.IoctopusServiceGetItemListOutput)
        rows = reply.body.get_item_list_response.get_item_list_result.result_data.inventory_item
        assert len(rows) == asked["count"]
        return rows

    return work


def encode(asked: dict[str, Any]) -> Callable[[], bytes]:
    rows = [
        wsdl.ItemQuantityAndPrice(
            cost=Decimal(row["Cost"]),
            price=Decimal(row["Price"]),
            sku=row["Sku"],
            stock=row["Stock"],
            store_stock_info_list=wsdl.ArrayOfStoreStockInfo(
                store_stock_info=[
                    wsdl.StoreStockInfo(
                        store_id=store["StoreID"],
                        store_price=Decimal(store["StorePrice"]),
                        store_stock=store["StoreStock"],
                    )
                    for store in row["StoreStockInfoList"]["StoreStockInfo"]
                ]
            ),
        )
        for row in payloads.updates(asked["count"], asked.get("stores", 2))
    ]
    request = wsdl.UpdateItemQuantityAndPriceList(
        account_id=payloads.ACCOUNT,
        item_quantity_and_price_list=wsdl.ArrayOfItemQuantityAndPrice(item_quantity_and_price=rows),
    )
    envelope = wsdl.IoctopusServiceUpdateItemQuantityAndPriceListInput
    message = envelope(body=envelope.Body(update_item_quantity_and_price_list=request))
    serializer = XmlSerializer(context=XmlContext())
    return lambda: serializer.render(message).encode()


def _client(service: Any, url: str) -> Client:
    return Client(Config.from_service(service, location=url))


def call(asked: dict[str, Any]) -> Callable[[], Any]:
    client, skus = _client(wsdl.IoctopusServiceGetItemList, asked["url"]), payloads.skus(asked["count"])
    envelope = wsdl.IoctopusServiceGetItemListInput
    request = wsdl.GetItemList(account_id=payloads.ACCOUNT, sku_list=wsdl.ArrayOfstring(string=skus))
    message = envelope(body=envelope.Body(get_item_list=request))

    def work() -> Any:
        reply = client.send(message)
        rows = reply.body.get_item_list_response.get_item_list_result.result_data.inventory_item
        assert len(rows) == len(skus)
        return rows

    return work


def exist(asked: dict[str, Any]) -> Callable[[], Any]:
    client, skus = _client(wsdl.IoctopusServiceIsSkuExistList, asked["url"]), payloads.skus(asked["count"])
    envelope = wsdl.IoctopusServiceIsSkuExistListInput
    request = wsdl.IsSkuExistList(account_id=payloads.ACCOUNT, sku_list=wsdl.ArrayOfstring(string=skus))
    message = envelope(body=envelope.Body(is_sku_exist_list=request))

    def work() -> Any:
        result = client.send(message).body.is_sku_exist_list_response.is_sku_exist_list_result
        rows = result.result_data.is_sku_exist_response
        assert len(rows) == len(skus)
        return rows

    return work


TASKS = {"decode": decode, "encode": encode, "call": call, "exist": exist}
