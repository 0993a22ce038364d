"""zeep as its documentation uses it: dicts in, zeep objects out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import zeep
from lxml import etree

from benchmarks import payloads
from benchmarks.peers import WSDL

if TYPE_CHECKING:
    from collections.abc import Callable

BINDING = "{http://tempuri.org/}BasicHttpBinding_IOctopusService"


class _Answer:
    """The part of a requests response that zeep reads."""

    status_code, encoding = 200, "utf-8"
    headers: dict[str, str] = {"Content-Type": "text/xml; charset=utf-8"}  # noqa: RUF012 - never changed

    def __init__(self, content: bytes) -> None:
        self.content = content


def decode(asked: dict[str, Any]) -> Callable[[], Any]:
    client, answer = zeep.Client(str(WSDL)), _Answer(Path(asked["files"], asked["reply"]).read_bytes())
    binding = client.service._binding  # noqa: SLF001 - zeep has no public door for decoding alone
    operation = binding.get("GetItemList")

    def work() -> Any:
        rows = binding.process_reply(client, operation, answer).ResultData.InventoryItem
        assert len(rows) == asked["count"]
        return rows

    return work


def encode(asked: dict[str, Any]) -> Callable[[], bytes]:
    client, rows = zeep.Client(str(WSDL)), payloads.updates(asked["count"], asked.get("stores", 2))

    def work() -> bytes:
        message = client.create_message(
            client.service,
            "UpdateItemQuantityAndPriceList",
            accountID=payloads.ACCOUNT,
            itemQuantityAndPriceList={"ItemQuantityAndPrice": rows},
        )
        return bytes(etree.tostring(message, xml_declaration=True, encoding="utf-8"))

    return work


def _service(url: str, pool: int = 10) -> Any:
    session = requests.Session()
    session.headers.update({"authtoken": "token-1", "merchantname": "shop", "accessid": payloads.ACCOUNT})
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=pool))
    session.trust_env = False
    client = zeep.Client(str(WSDL), transport=zeep.Transport(session=session))
    return client.create_service(BINDING, url)


def call(asked: dict[str, Any]) -> Callable[[], Any]:
    service, skus = _service(asked["url"]), payloads.skus(asked["count"])

    def work() -> Any:
        rows = service.GetItemList(accountID=payloads.ACCOUNT, skuList={"string": skus}).ResultData.InventoryItem
        assert len(rows) == len(skus)
        return rows

    return work


def exist(asked: dict[str, Any]) -> Callable[[], Any]:
    service, skus = _service(asked["url"]), payloads.skus(asked["count"])

    def work() -> Any:
        reply = service.IsSkuExistList(accountID=payloads.ACCOUNT, skuList={"string": skus})
        assert len(reply.ResultData.IsSkuExistResponse) == len(skus)
        return reply

    return work


def bulk(asked: dict[str, Any]) -> Callable[[], Any]:
    """Call batches of 100 in a pool of threads, as a user would write it."""
    service, skus = _service(asked["url"], asked["connections"]), payloads.skus(asked["count"])
    batches = [skus[start : start + 100] for start in range(0, len(skus), 100)]

    def one(batch: list[str]) -> Any:
        return service.GetItemQuantityList(accountID=payloads.ACCOUNT, skuList={"string": batch}).ResultData

    def work() -> Any:
        with ThreadPoolExecutor(asked["connections"]) as pool:
            rows = [row for part in pool.map(one, batches) for row in part.QuantityInfoResponse]
        assert len(rows) == len(skus)
        return rows

    return work


def construct(asked: dict[str, Any]) -> Callable[[], None]:
    del asked

    def work() -> None:
        zeep.Client(str(WSDL))

    return work


TASKS = {"decode": decode, "encode": encode, "call": call, "exist": exist, "bulk": bulk, "construct": construct}
