"""suds-community, in the peers' own environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import suds.client
import suds.transport
import suds.transport.http

from benchmarks import payloads
from benchmarks.peers import WSDL

if TYPE_CHECKING:
    from collections.abc import Callable


class _Canned(suds.transport.http.HttpTransport):  # type: ignore[misc] # suds ships no types
    """Reads files as usual and answers every call with the same bytes."""

    body = b""

    def send(self, request: Any) -> Any:
        del request
        return suds.transport.Reply(200, {"Content-Type": "text/xml; charset=utf-8"}, self.body)


def _client(url: str | None = None, **options: Any) -> Any:
    client = suds.client.Client(WSDL.as_uri(), cache=None, **options)
    if url is not None:
        client.set_options(location=url)
    return client


def _strings(client: Any, skus: list[str]) -> Any:
    listed = client.factory.create("{http://schemas.microsoft.com/2003/10/Serialization/Arrays}ArrayOfstring")
    listed.string = skus
    return listed


def _items(client: Any, skus: list[str]) -> Callable[[], Any]:
    listed = _strings(client, skus)

    def work() -> Any:
        rows = client.service.GetItemList(payloads.ACCOUNT, listed).ResultData.InventoryItem
        assert len(rows) == len(skus)
        return rows

    return work


def decode(asked: dict[str, Any]) -> Callable[[], Any]:
    transport = _Canned()
    transport.body = Path(asked["files"], asked["reply"]).read_bytes()
    work = _items(_client(transport=transport), payloads.skus(1))

    def decoded() -> Any:
        try:
            return work()
        except AssertionError:  # it requested one SKU and got all
            return None

    return decoded


def encode(asked: dict[str, Any]) -> Callable[[], bytes]:
    client = _client(nosend=True)
    listed = {"ItemQuantityAndPrice": payloads.updates(asked["count"], asked.get("stores", 2))}
    return lambda: bytes(client.service.UpdateItemQuantityAndPriceList(payloads.ACCOUNT, listed).envelope)


def call(asked: dict[str, Any]) -> Callable[[], Any]:
    return _items(_client(asked["url"]), payloads.skus(asked["count"]))


def exist(asked: dict[str, Any]) -> Callable[[], Any]:
    client, skus = _client(asked["url"]), payloads.skus(asked["count"])
    listed = _strings(client, skus)

    def work() -> Any:
        rows = client.service.IsSkuExistList(payloads.ACCOUNT, listed).ResultData.IsSkuExistResponse
        assert len(rows) == len(skus)
        return rows

    return work


TASKS = {"decode": decode, "encode": encode, "call": call, "exist": exist}
