"""The lower bounds: joining strings, and a bare socket that reads canned answers.

The third, the parser alone, is `ours.parse`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks import payloads

if TYPE_CHECKING:
    from collections.abc import Callable


def encode(asked: dict[str, Any]) -> Callable[[], bytes]:
    """Write the same rows with one f-string each, without checks or escaping."""
    rows = payloads.updates(asked["count"], asked.get("stores", 2))

    def store(values: dict[str, Any]) -> str:
        return (
            f"<b:StoreStockInfo><b:StoreID>{values['StoreID']}</b:StoreID><b:StorePrice>{values['StorePrice']}"
            f"</b:StorePrice><b:StoreStock>{values['StoreStock']}</b:StoreStock></b:StoreStockInfo>"
        )

    def row(values: dict[str, Any]) -> str:
        stores = "".join([store(inner) for inner in values["StoreStockInfoList"]["StoreStockInfo"]])
        return (
            f"<b:ItemQuantityAndPrice><b:Cost>{values['Cost']}</b:Cost><b:Price>{values['Price']}</b:Price><b:Sku>"
            f"{values['Sku']}</b:Sku><b:Stock>{values['Stock']}</b:Stock><b:StoreStockInfoList>{stores}"
            f"</b:StoreStockInfoList></b:ItemQuantityAndPrice>"
        )

    return lambda: "".join([row(values) for values in rows]).encode()


def _exchange(url: str, action: str, skus: list[str]) -> Callable[[], Any]:
    """Send ready bytes and read the answer: the cost of server and loopback alone."""
    parts = urlsplit(url)
    body = "".join(f"<string>{sku}</string>" for sku in skus).encode()
    head = (
        f'POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nSOAPAction: "{payloads.ACTION}{action}"\r\n'
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def work() -> bytearray:
        connection.sendall(request)
        received = bytearray(connection.recv(1 << 20))
        start = received.index(b"\r\n\r\n") + 4
        size = start + int(received[:start].lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(received) < size:
            received += connection.recv(1 << 20)
        return received

    return work


def call(asked: dict[str, Any]) -> Callable[[], Any]:
    return _exchange(asked["url"], "GetItemList", payloads.skus(asked["count"]))


def exist(asked: dict[str, Any]) -> Callable[[], Any]:
    return _exchange(asked["url"], "IsSkuExistList", payloads.skus(asked["count"]))


TASKS = {"encode": encode, "call": call, "exist": exist}
