"""Every operation with a call that succeeds against a seeded shop, and raw servers for what no emulator should do."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from octopus_soap import (
    CustomFieldMapping,
    InventoryItem,
    ItemQuantityAndPrice,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderSubmit,
    Safety,
)
from octopus_soap.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator

SKUS = ("A", "B", "C")


@dataclass(frozen=True)
class Call:
    """One operation with arguments that succeed in the shop of `seed`.

    Attributes:
        operation: wire name.
        arguments: the method's arguments.
        keys: for list operations, the keys of its inputs.
    """

    operation: str
    arguments: tuple[Any, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def safety(self) -> Safety:
        return OPERATIONS[self.operation].safety

    @property
    def is_list(self) -> bool:
        return bool(self.keys)

    def method(self, client: OctopusClient) -> Callable[..., Any]:
        return getattr(client, OPERATIONS[self.operation].name)

    def __call__(self, client: OctopusClient) -> Any:
        return self.method(client)(*self.arguments)

    def __str__(self) -> str:
        return self.operation


def _updates() -> list[ItemQuantityAndPrice]:
    return [ItemQuantityAndPrice(sku=sku, price=Decimal("1.25"), stock=7) for sku in SKUS]


def _uploads() -> list[InventoryItem]:
    return [InventoryItem(sku=sku, description=f"Item {sku}") for sku in SKUS]


def _confirms() -> list[OrderDownloadSubmitRequest]:
    return [OrderDownloadSubmitRequest(order_id=str(number)) for number in (100001, 100002, 100003)]


ORDER = OrderSubmit(order_id="WEB-1", order_items=[OrderItem(sku="A", quantity=1, unit_price=Decimal(2))])
_IDS = ("100001", "100002", "100003")

CALLS = [
    Call("IsSkuExist", ("A",)),
    Call("IsSkuExistList", (SKUS,), SKUS),
    Call("GetItemTblList"),
    Call("GetItemList", (SKUS,), SKUS),
    Call("GetItemQuantity", ("A",)),
    Call("GetItemQuantityInfo", ("A",)),
    Call("GetItemQuantityList", (SKUS,), SKUS),
    Call("UpdateItemQuantityAndPrice", (_updates()[0],)),
    Call("UpdateItemQuantityAndPriceList", (_updates(),), SKUS),
    Call("UploadItem", (_uploads()[0],)),
    Call("UploadItemList", (_uploads(),), SKUS),
    Call("DeleteItem", ("A",)),
    Call("DeleteItemStore", ("A",)),
    Call("DeleteTblItem", ("A",)),
    Call("GetOrderList"),
    Call("GetOrderListStore", ("S1",)),
    Call("SetDownloadOrderConfirm", (_confirms(),), _IDS),
    Call("SetDownloadSplitOrderConfirm", (_confirms(),), _IDS),
    Call("SubmitOrder", (ORDER,)),
    Call("CustomFieldMapping", ([CustomFieldMapping(text="Colour", value="red")],), ("Colour",)),
]
BY_NAME = {call.operation: call for call in CALLS}


def seed(service: Emulator, merchant: str | None = None) -> None:
    """A shop in which every call of `CALLS` succeeds."""
    for number, sku in enumerate(SKUS, 1):
        service.store.add_item(sku, Price=Decimal(number), Stock=number, Description="x", merchant=merchant)
        service.store.mark_changed(sku, merchant=merchant)
        service.store.add_order(OrderID=f"OLD-{sku}", stores=("S1",), merchant=merchant)


# -- raw servers ---------------------------------------------------------------------------------------------------


class RawServer:
    """A TCP server on loopback whose every connection is handled by one function in a thread of its own."""

    def __init__(self, handle: Callable[[socket.socket], None], receive_buffer: int | None = None) -> None:
        self._handle = handle
        self._listener = socket.socket()
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self.closing = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/OctopusService.svc"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._handle(connection)
            except OSError:
                return  # the client went away, as it should

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed already
        for thread in [self._accepting, *self._threads]:
            thread.join(5)


@contextmanager
def raw_server(handle: Callable[[socket.socket], None], receive_buffer: int | None = None) -> Iterator[RawServer]:
    server = RawServer(handle, receive_buffer)
    try:
        yield server
    finally:
        server.close()


def read_request(connection: socket.socket) -> bytes:
    """Read one HTTP request; empty when the client closed the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    ).encode() + body


def envelope(inner: str) -> bytes:
    return f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


EXISTS = envelope(
    '<IsSkuExistResponse xmlns="http://tempuri.org/"><IsSkuExistResult>true</IsSkuExistResult></IsSkuExistResponse>'
)
CREDENTIALS = {"authtoken": "not-a-real-token", "merchantname": "shop", "accessid": "not-a-real-id"}
