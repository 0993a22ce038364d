"""Measure replies without a limit: time and peak memory.

    python -m benchmarks.long_replies [--items 200000] [--changed 30000]

A server in a separate process streams a list of items, made row by row. One process reads all of it with `.stream()`,
another runs `changes follow --once` over a list of changed items. Peak memory is the system's count (`getrusage`); the
time is each process's own processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import payloads
from benchmarks.processes import ROOT

_SKU = re.compile(rb"SKU-(\d{6})")
_LIMIT = 1800  # seconds for one process
_MEGABYTE = 1 << 20 if sys.platform == "darwin" else 1 << 10
"""Units of `ru_maxrss` in a megabyte."""


class Service:
    """The canned service: a list of changed items, removed one by one."""

    def __init__(self, count: int) -> None:
        self._waiting = dict.fromkeys(range(count))

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"content-length:\s*(\d+)", head, re.IGNORECASE)
                await self._answer(head, await reader.readexactly(int(size[1]) if size else 0), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        numbers = [int(number) for number in _SKU.findall(body)]
        if b"GetItemTblList" in head:
            await self._list(writer)
            return
        if b"DeleteTblItem" in head:
            removed = sum(self._waiting.pop(number, 0) is None for number in numbers)
            reply = (
                f'<s:Envelope xmlns:s="{payloads.SOAP}"><s:Body><DeleteTblItemResponse xmlns="{payloads.SERVICE}">'
                f"<DeleteTblItemResult>{removed}</DeleteTblItemResult></DeleteTblItemResponse></s:Body></s:Envelope>"
            ).encode()
        else:
            rows = (payloads.inventory_item(number) for number in numbers)
            reply = payloads.envelope("GetItemList", "InventoryItem", rows)
        writer.write(_head(f"Content-Length: {len(reply)}") + reply)
        await writer.drain()

    async def _list(self, writer: asyncio.StreamWriter) -> None:
        whole = payloads.envelope("GetItemTblList", "InventoryItem", ["@"])
        before, after = whole.split(b"<a:InventoryItem>@</a:InventoryItem>")
        writer.write(_head("Transfer-Encoding: chunked"))
        part = bytearray(before)
        for number in list(self._waiting):
            part += b"<a:InventoryItem>%b</a:InventoryItem>" % payloads.inventory_item(number).encode()
            if len(part) > 1 << 16:
                writer.write(b"%x\r\n%b\r\n" % (len(part), bytes(part)))
                part.clear()
                await writer.drain()
        part += after
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(part), bytes(part)))
        await writer.drain()


def _head(length: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\n{length}\r\n\r\n".encode()


async def serve(count: int) -> None:
    """Serve on a free port until standard input ends."""
    server = await asyncio.start_server(Service(count).connected, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # connections that are still open end with it


def read_all(url: str) -> None:
    """Read the list; print the memory near the start and at the end, and the time.

    The first memory is after 2000 items; the time is per item.
    """
    from benchmarks.participants import ours

    client = ours.client(url, total_timeout=_LIMIT)
    count, early, started = 0, 0.0, time.process_time()
    for part in client.get_item_tbl_list.stream():
        count += len(part)
        if not early and count >= 2000:
            early = _peak()
    spent = time.process_time() - started
    print(json.dumps({"items": count, "early": early, "peak": _peak(), "us": spent / count * 1e6}))


def _peak(who: int = resource.RUSAGE_SELF) -> float:
    return resource.getrusage(who).ru_maxrss / _MEGABYTE


def _with_server(count: int, *command: str) -> dict[str, Any]:
    """Run *command*, with `URL` replaced by the address of a server of *count* items."""
    served = [sys.executable, "-m", "benchmarks.long_replies", "--serve", str(count)]
    with subprocess.Popen(served, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/OctopusService.svc"
        named = [word.replace("URL", url) for word in command]
        done = subprocess.run(named, cwd=ROOT, capture_output=True, text=True, timeout=_LIMIT, check=False)
        server.stdin.close()
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    last = done.stdout.strip().splitlines()[-1]
    return {"lines": done.stdout.count("\n"), "last": json.loads(last)}


def main() -> int:
    """Measure both, or be one of the processes."""
    parser = argparse.ArgumentParser(prog="benchmarks.long_replies", description=__doc__)
    parser.add_argument("--items", type=int, default=200_000, help="of the streamed reply; 0 leaves it out")
    parser.add_argument("--changed", type=int, default=30_000, help="items to follow; 0 leaves it out")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        asyncio.run(serve(options.serve))
    elif options.read:
        read_all(options.read)
    else:
        if options.items:
            read = [sys.executable, "-m", "benchmarks.long_replies", "--read", "URL"]
            found = _with_server(options.items, *read)["last"]
            print(
                f"stream: {found['items']:,} items, {found['us']:.0f} us each, peak {found['peak']:.0f} MB, "
                f"{found['peak'] - found['early']:.1f} MB more than after 2,000",
                flush=True,
            )
        if options.changed:
            with tempfile.TemporaryDirectory() as folder:
                follow = [sys.executable, "-m", "octopus_soap", "changes", "follow", "--once", "--endpoint", "URL"]
                follow += ["--authtoken", "t", "--merchantname", "m", "--accessid", "i", "--output", "json"]
                found = _with_server(options.changed, *follow, "--ledger", str(Path(folder, "ledger.db")))
            peak = _peak(
                resource.RUSAGE_CHILDREN
            )  # of the largest child: the `changes follow` process, or the stream's
            print(f"changes follow --once: {found['lines']:,} lines for {options.changed:,} items, peak {peak:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
