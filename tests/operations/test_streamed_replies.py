"""`.stream()` of a reply without a limit: bounded memory, strict to the end."""

from __future__ import annotations

import asyncio
import gc
import gzip
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks import payloads
from octopus_soap import (
    ApiStatusError,
    AsyncOctopusClient,
    AuthenticationError,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    ProtocolError,
    TimedOutError,
    TransportError,
)
from octopus_soap.emulator import Emulator
from octopus_soap.wire.codec import ArrivingReply

ROWS = 400


def reply(count: int, status: str = "Success") -> Iterator[bytes]:
    """Yield a reply of GetItemTblList, row by row."""
    whole = payloads.envelope("GetItemTblList", "InventoryItem", ["@"]).replace(b">Success<", f">{status}<".encode())
    before, after = whole.split(b"<a:InventoryItem>@</a:InventoryItem>")
    yield before
    for number in range(count):
        yield f"<a:InventoryItem>{payloads.inventory_item(number)}</a:InventoryItem>".encode()
    yield after


Body = Callable[[], Iterator[bytes]]


@contextmanager
def serving(body: Body, status: int = 200, headers: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Answer every request with *body*, chunk by chunk, and yield a client's settings."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Transfer-Encoding", "chunked")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for part in body():
                    if part is None:
                        self.close_connection = True
                        return
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.write(b"0\r\n\r\n")
            except OSError:  # the client closed the connection
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}/OctopusService.svc"
        yield {
            "endpoint": endpoint,
            "authtoken": "t",
            "merchantname": "m",
            "accessid": payloads.ACCOUNT,
            "max_attempts": 1,
        }
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def streamed(kind: str, settings: dict[str, Any], **more: Any) -> tuple[list[Any], OctopusError | None]:
    """Return all outcomes of a stream, and the error it ended with."""
    found: list[Any] = []

    async def every(client: AsyncOctopusClient) -> None:
        async for part in client.get_item_tbl_list.stream():
            found.extend(part.outcomes)

    async def run() -> None:
        async with AsyncOctopusClient(settings=OctopusSettings.load(**settings, **more)) as client:
            await every(client)

    try:
        if kind == "async":
            asyncio.run(run())
        else:
            with OctopusClient(settings=OctopusSettings.load(**settings, **more)) as client:
                for part in client.get_item_tbl_list.stream():
                    found.extend(part.outcomes)
    except OctopusError as error:
        return found, error
    return found, None


BOTH = pytest.mark.parametrize("kind", ["blocking", "async"])


@BOTH
def test_a_reply_larger_than_the_cap_is_streamed_whole(kind: str) -> None:
    with serving(lambda: reply(ROWS)) as settings:
        found, error = streamed(kind, settings, max_reply_bytes=200_000)
        assert error is None
        assert [outcome.index for outcome in found] == list(range(ROWS))
        with OctopusClient(settings=OctopusSettings.load(**settings)) as client:
            assert [outcome.value for outcome in found] == list(client.get_item_tbl_list())


@BOTH
def test_the_plain_call_keeps_its_cap_and_names_the_stream(kind: str) -> None:
    with serving(lambda: reply(100)) as settings:
        loaded = OctopusSettings.load(**settings, max_reply_bytes=200_000)

        async def run() -> None:
            async with AsyncOctopusClient(settings=loaded) as client:
                await client.get_item_tbl_list()

        with pytest.raises(ProtocolError, match="max_reply_bytes") as caught:
            asyncio.run(run()) if kind == "async" else OctopusClient(settings=loaded).get_item_tbl_list()
        assert "client.get_item_tbl_list.stream()" in caught.value.hint


ROW = b"<a:InventoryItem><a:Sku>A</a:Sku></a:InventoryItem>"
BOMBS = {
    "before the rows": (lambda before, rows, after: before + b" " * 8_000_000 + rows + after, "max_reply_bytes"),
    "among the rows": (lambda before, rows, after: before + rows + b" " * 8_000_000 + rows + after, ""),
    "in a row": (
        lambda before, rows, after: before + rows + b"<a:InventoryItem>" + b" " * 8_000_000 + rows + after,
        "max_reply_bytes",
    ),
    "after the rows": (lambda before, rows, after: before + rows + after + b" " * 8_000_000, "max_reply_bytes"),
}


@BOTH
@pytest.mark.parametrize("place", BOMBS)
def test_a_streamed_bomb_is_inflated_part_by_part(kind: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 MB in 40 kB are never held as a whole, accepted or refused."""
    before, after = b"".join(reply(1)).split(next(itertools.islice(reply(1), 1, 2)))
    make, refused = BOMBS[place]
    body = gzip.compress(make(before, ROW * 200, after), compresslevel=1)
    sizes: list[int] = []
    feed = ArrivingReply.feed
    monkeypatch.setattr(ArrivingReply, "feed", lambda self, part: (sizes.append(len(part)), feed(self, part))[1])
    with serving(lambda: iter([body]), headers={"Content-Encoding": "gzip"}) as settings:
        found, error = streamed(kind, settings, max_reply_bytes=1_000_000)
    assert max(sizes) <= 2 * 64 * 1024
    if refused:
        assert refused in str(error)
    else:
        assert (error, len(found)) == (None, 400)


def cut_short(count: int) -> Iterator[Any]:
    yield from list(reply(ROWS))[: count + 1]
    yield None


@BOTH
def test_a_reply_cut_short_fails_at_its_end_and_says_how_many_rows_came(kind: str) -> None:
    with serving(lambda: cut_short(200)) as settings:
        found, error = streamed(kind, settings)
    assert len(found) == 200 or (len(found) < 200 and isinstance(error, TransportError))
    assert isinstance(error, (TransportError, ProtocolError))
    assert f"{len(found)} rows came before" in str(error)
    assert len(found) > 0


@BOTH
def test_a_reply_that_ends_in_the_middle_of_its_xml_fails(kind: str) -> None:
    with serving(lambda: iter(list(reply(ROWS))[:201])) as settings:
        found, error = streamed(kind, settings)
    assert len(found) == 200
    assert isinstance(error, ProtocolError)
    assert "200 rows came before" in str(error)


@BOTH
def test_rows_of_an_envelope_that_says_failure_at_its_end_are_handed_out_first(kind: str) -> None:
    with serving(lambda: reply(ROWS, "Failure")) as settings:
        found, error = streamed(kind, settings)
    assert len(found) == ROWS
    assert isinstance(error, ApiStatusError)
    assert f"{ROWS} rows came before" in str(error)


@BOTH
def test_one_unreadable_record_fails_alone(kind: str) -> None:
    def body() -> Iterator[bytes]:
        for place, part in enumerate(reply(ROWS)):
            yield part.replace(b".1250</a:Cost>", b",1250</a:Cost>") if place == 50 else part

    with serving(body) as settings:
        found, error = streamed(kind, settings)
    assert error is None
    assert [outcome.index for outcome in found if outcome.error is not None] == [49]
    assert len(found) == ROWS


@BOTH
def test_a_silent_service_is_given_up(kind: str) -> None:
    over = threading.Event()

    def body() -> Iterator[bytes]:
        yield from list(reply(ROWS))[:300]
        over.wait(20)

    with serving(body) as settings:
        try:
            found, error = streamed(kind, settings, read_timeout=1.5)
        finally:
            over.set()
    assert isinstance(error, TimedOutError)
    assert f"{len(found)} rows came before" in str(error)


@BOTH
def test_a_refusal_of_credentials_raises_as_in_a_plain_call(kind: str) -> None:
    with serving(lambda: iter([b"denied"]), status=401) as settings:
        found, error = streamed(kind, settings)
    assert found == []
    assert isinstance(error, AuthenticationError)


@BOTH
def test_a_stream_that_is_left_gives_its_connection_back(kind: str) -> None:
    with serving(lambda: reply(ROWS)) as settings:
        loaded = OctopusSettings.load(**settings, max_connections=1)

        async def leave() -> int:
            async with AsyncOctopusClient(settings=loaded) as client:
                for _ in range(3):
                    parts: Any = client.get_item_tbl_list.stream()
                    async for part in parts:
                        assert part.outcomes
                        break
                    await parts.aclose()
                return len(await client.get_item_tbl_list())

        if kind == "async":
            assert asyncio.run(leave()) == ROWS
            return
        with OctopusClient(settings=loaded) as client:
            for _ in range(3):
                with closing(client.get_item_tbl_list.stream()) as parts:
                    assert next(parts).outcomes
            assert len(client.get_item_tbl_list()) == ROWS


@BOTH
def test_the_emulator_streams_items_and_orders(kind: str) -> None:
    with Emulator() as service:
        for number in range(30):
            service.store.add_item(f"S{number}", Stock="1", changed=True)
        found, error = streamed(kind, service.settings())
    assert error is None
    assert sorted(outcome.key for outcome in found) == sorted(f"S{number}" for number in range(30))


def test_a_stream_of_orders_keeps_their_xml() -> None:
    with Emulator() as service:
        service.store.add_order()
        with OctopusClient(**service.settings()) as client:
            plain = client.get_order_list(keep_raw=True)
            parts = list(client.get_order_list.stream(keep_raw=True))
    assert [o.value for part in parts for o in part.outcomes] == list(plain)
    assert [o.raw for part in parts for o in part.outcomes] == [o.raw for o in plain.outcomes]


def test_what_a_stream_keeps_does_not_grow_with_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    most: list[int] = []
    with serving(lambda: reply(900)) as settings, OctopusClient(settings=OctopusSettings.load(**settings)) as client:
        gc.collect()
        for part in client.get_item_tbl_list.stream():
            most.append(len(part.outcomes))
    assert sum(most) == 900
    assert max(most) <= 100  # more rows are not in a part


def test_a_stream_counts_as_one_request_that_ends_with_the_reply() -> None:
    events: list[Any] = []
    with (
        serving(lambda: reply(ROWS)) as settings,
        OctopusClient(settings=OctopusSettings.load(**settings), on_event=events.append) as client,
    ):
        parts = client.get_item_tbl_list.stream()
        next(parts)
        assert [type(event).__name__ for event in events] == ["RequestStarted"]
        list(parts)
    assert [type(event).__name__ for event in events] == ["RequestStarted", "RequestFinished"]
    assert events[-1].info.received_bytes > 1_000_000
