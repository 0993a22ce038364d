"""A canned service in a separate process: it answers with bytes made in advance.

It uses keep-alive and answers by SOAPAction. The path sets how it answers: `/latency-50/stores-2/OctopusService.svc`
waits 50 ms and gives each item 2 stores, `/hand-mono/OctopusService.svc` writes items and quantities as Mono does (see
`handwritings.py`). The rows are those of the requested SKUs. An answer is made once and cached, so that it costs almost
nothing in a measurement. `python -m benchmarks.server` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from functools import lru_cache

from benchmarks import payloads
from benchmarks.handwritings import HANDS, rows_of, write

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_ACTION = re.compile(rb'soapaction:\s*"?[^"\r\n]*?(\w+)"?\r\n', re.IGNORECASE)
_SETTING = re.compile(rb"/(latency|stores)-(\d+)")
_HAND = re.compile(rb"/hand-([\w-]+)/")
_SKU = re.compile(rb"SKU-(\d{6})")


@lru_cache(maxsize=1024)
def answer(action: str, first: int, count: int, stores: int | None, hand: str = "") -> bytes:
    """Return the whole HTTP answer to *action* for *count* SKUs from number *first*.

    Its rows are written in *hand*.
    """
    if hand and first and (shifted := _shifted(answer(action, 0, count, stores, hand), first, count)):
        return shifted
    asked = [f"SKU-{number:06d}" for number in range(first, first + count)]
    if action == "GetItemList":
        rows = (payloads.inventory_item(number, stores) for number in range(first, first + count))
        body = payloads.envelope(action, "InventoryItem", rows)
        if hand:
            body = write(rows_of(body), HANDS[hand])
    elif action == "IsSkuExistList":
        body = payloads.exist_reply(asked)
    elif action == "GetItemQuantityList":
        body = payloads.quantity_reply(asked)
        if hand:
            body = write(rows_of(body), HANDS[hand], operation=action)
    else:
        return b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
    charset = "utf-16" if hand and HANDS[hand].encoding == "utf-16" else "utf-8"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset={charset}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _shifted(reply: bytes, first: int, count: int) -> bytes | None:
    """Return a reply for SKUs from *first* on, made of the reply for SKUs from 0 on.

    None if that reply has its SKUs in another form. Writing a page in a hand takes ten times as long as reading it.
    """
    head, _, body = reply.partition(b"\r\n\r\n")
    body, found = _SKU.subn(lambda number: b"SKU-%06d" % (int(number[1]) + first), body)
    return None if found < count else head + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One keep-alive connection, which answers its requests one after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._waiting = b""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=1 << 24)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        end = self._waiting.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._waiting[: end + 2]
        if b"100-continue" in head:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        found = _LENGTH.search(head)
        size = end + 4 + (int(found[1]) if found else 0)
        if len(self._waiting) < size:
            return
        body, self._waiting = self._waiting[end + 4 : size], self._waiting[size:]
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        settings = {name.decode(): int(value) for name, value in _SETTING.findall(head.partition(b"\r\n")[0])}
        action, hand = _ACTION.search(head), _HAND.search(head)
        first = _SKU.search(body)
        reply = answer(
            action[1].decode() if action else "",
            int(first[1]) if first else 0,
            body.count(b"SKU-"),
            settings.get("stores"),
            hand[1].decode() if hand else "",
        )
        latency = settings.get("latency", 0)
        if latency:
            asyncio.get_running_loop().call_later(latency / 1000, self._transport.write, reply)
        else:
            self._transport.write(reply)


async def serve() -> None:
    """Serve on a free port until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=256)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
