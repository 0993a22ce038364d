"""The asynchronous client: cancellation, event loops, many tasks at once.

What it shares with the blocking client is tested in `tests/operations` and `tests/faults`, which run for both.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from sniffio import current_async_library_cvar

from octopus_soap import (
    AsyncOctopusClient,
    ClientClosedError,
    ConfigError,
    HttpStatusError,
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusSettings,
    OrderItem,
    OrderSubmit,
    OutcomeStatus,
    OutcomeUnknownError,
    TimedOutError,
    TransportError,
)
from octopus_soap.emulator import CloseIdle, Emulator, Hang, Latency, Merchant, Reset, Status
from octopus_soap.wire.codec import Codec
from tests.faults.raw_servers import CREDENTIALS, EXISTS, http, raw_server

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine


def settings(service: Emulator, **given: Any) -> OctopusSettings:
    return OctopusSettings.load(**{**service.settings(), "backoff_base": 0.0, **given})


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


def stock(service: Emulator, count: int) -> list[str]:
    skus = [f"{number:05d}" for number in range(count)]
    service.store.add_items({"Sku": sku, "Stock": str(number)} for number, sku in enumerate(skus))
    return skus


@pytest.mark.long
def test_a_thousand_calls_at_once_share_the_connections(service: Emulator) -> None:
    skus = stock(service, 1000)

    async def work() -> list[int]:
        async with AsyncOctopusClient(settings=settings(service, max_connections=8)) as client:
            return await asyncio.gather(*(client.get_item_quantity(sku) for sku in skus))

    assert run(work()) == list(range(1000))
    assert len({call.connection for call in service.calls}) <= 8


def test_two_accounts_in_fifty_tasks_never_mix() -> None:
    shops = [Merchant(f"shop-{n}", f"async-token-{n}-aaaa", f"async-access-{n}-aaaa") for n in range(2)]
    with Emulator(merchants=shops) as service:
        for number, shop in enumerate(shops):
            service.store.add_item("A", Stock=str(number), merchant=shop.name)

        async def work() -> list[int]:
            clients = [AsyncOctopusClient(settings=OctopusSettings.load(**service.settings(s.name))) for s in shops]
            try:
                return await asyncio.gather(*(clients[task % 2].get_item_quantity("A") for task in range(50)))
            finally:
                for client in clients:
                    await client.aclose()

        assert run(work()) == [0, 1] * 25
        assert Counter(call.merchant for call in service.calls) == {"shop-0": 25, "shop-1": 25}


def test_cancelling_keeps_the_finished_part_and_the_client(service: Emulator) -> None:
    skus = stock(service, 250)
    service.script.on("GetItemQuantityList", key=["00100", "00200"]).do(Hang())

    async def work() -> Any:
        async with AsyncOctopusClient(settings=settings(service)) as client:
            first = asyncio.Event()
            call = asyncio.create_task(_ask(client, skus, first))
            await first.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await call
            assert await client.get_item_quantity("00007") == 7, "the connections are still good"
            return caught.value

    async def _ask(client: AsyncOctopusClient, skus: list[str], first: asyncio.Event) -> None:
        await client.get_item_quantity_list(skus, progress=lambda _: first.set())

    result = run(work()).result
    assert [outcome.status for outcome in result.outcomes[:100]] == [OutcomeStatus.OK] * 100
    assert len(result.outcomes) == 250
    assert not any(outcome.ok for outcome in result.outcomes[100:])


def test_an_abandoned_stream_ends_its_requests(service: Emulator) -> None:
    skus = stock(service, 1000)

    async def work() -> int:
        async with AsyncOctopusClient(settings=settings(service, max_connections=2)) as client:
            before = len(asyncio.all_tasks())
            parts = client.get_item_list.stream(skus)
            async for part in parts:
                assert len(part) == 100
                break
            await parts.aclose()
            return len(asyncio.all_tasks()) - before

    assert run(work()) == 0, "no task is left"
    assert len(service.calls) <= 4, "only the batches under way"


def test_a_hanging_service_ends_in_timed_out(service: Emulator) -> None:
    service.script.on("IsSkuExist").do(Hang())

    async def work(**limits: float) -> None:
        async with AsyncOctopusClient(settings=settings(service, max_attempts=1, **limits)) as client:
            await client.is_sku_exist("A")

    with pytest.raises(TimedOutError, match="read limit"):
        run(work(read_timeout=0.2))
    with pytest.raises(TimedOutError, match="total limit"):
        run(work(total_timeout=0.2))


def test_a_view_with_other_limits_leaks_nothing_back(service: Emulator) -> None:
    stock(service, 1)
    service.script.on("GetItemQuantity").do(Latency(0.4))

    async def work() -> int:
        async with AsyncOctopusClient(settings=settings(service, max_attempts=1)) as client:
            with pytest.raises(TimedOutError):
                await client.with_options(total_timeout=0.1).get_item_quantity("00000")
            return await client.get_item_quantity("00000")

    assert run(work()) == 0


def test_a_stale_connection_is_tried_once_more(service: Emulator) -> None:
    stock(service, 2)
    service.script.on("IsSkuExist", nth=1).do(CloseIdle())

    async def work() -> tuple[bool, Any]:
        async with AsyncOctopusClient(settings=settings(service)) as client:
            await client.is_sku_exist("00000")
            answer = await client.is_sku_exist.with_info("00001")
            return answer.value, answer.info.attempts

    value, attempts = run(work())
    assert value is True
    assert attempts in {1, 2}, "httpx may notice the closed connection by itself"


def test_an_order_whose_answer_was_lost_is_not_sent_again(service: Emulator) -> None:
    service.script.on("SubmitOrder").do(Reset("after"))

    async def work() -> None:
        async with AsyncOctopusClient(settings=settings(service)) as client:
            line = OrderItem(sku="A", quantity=1, unit_price="1")
            await client.submit_order(OrderSubmit(order_id="1", order_items=[line]))

    with pytest.raises(OutcomeUnknownError) as caught:
        run(work())
    assert isinstance(caught.value.__cause__, TransportError)
    assert len(service.store.orders()) == 1


SEVERAL_LOOPS = """
import asyncio, json, sys
from octopus_soap import AsyncOctopusClient
client = AsyncOctopusClient(**json.loads(sys.argv[1]))
print([asyncio.run(client.get_item_quantity(f"0000{number}")) for number in range(3)])
"""


@pytest.mark.long
def test_one_client_serves_several_event_loops_one_after_the_other(service: Emulator) -> None:
    """It runs in a process: the collector warns of sockets that asyncio.run leaves."""
    stock(service, 3)
    words = [sys.executable, "-c", SEVERAL_LOOPS, json.dumps(service.settings())]
    assert subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "[0, 1, 2]"


def test_without_an_event_loop_of_asyncio_the_error_names_what_runs_instead(service: Emulator) -> None:
    def begin() -> None:
        with closing(AsyncOctopusClient(settings=settings(service)).ping().__await__()) as steps:
            next(steps)

    with pytest.raises(ConfigError, match=r"no asyncio event loop is running here.*asyncio\.run"):
        begin()
    token = current_async_library_cvar.set("trio")  # trio's tasks set this
    try:
        with pytest.raises(ConfigError, match=r"needs asyncio, and trio runs here.*trio\.to_thread\.run_sync"):
            begin()
    finally:
        current_async_library_cvar.reset(token)


def test_after_aclose_the_client_says_so(service: Emulator) -> None:
    async def work() -> None:
        client = AsyncOctopusClient(settings=settings(service))
        await client.aclose()
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await client.is_sku_exist("A")

    run(work())


def test_big_answers_are_decoded_off_the_loop(service: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    skus = stock(service, 500)
    moved: list[str] = []
    decode = Codec.decode

    def watching(*args: Any, **named: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            moved.append(threading.current_thread().name)
        return decode(*args, **named)

    monkeypatch.setattr(Codec, "decode", watching)

    async def work() -> None:
        async with AsyncOctopusClient(settings=settings(service)) as client:
            await client.get_item_quantity("00001")
            assert not moved, "a small answer is not worth a thread"
            await client.get_item_list(skus)

    run(work())
    assert len(moved) == 5
    assert len(set(moved)) == 1, "more threads would not decode faster, and would block the loop"


def test_the_next_requests_leave_before_an_answer_is_decoded(
    service: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, ended, batches = Codec.decode, list[int](), 8

    def held(*given: Any, **named: Any) -> Any:
        delivered = next(number for number in range(batches + 1) if number not in ended)
        # Two connections are busy, and at most four batches begin before the caller takes one.
        wanted = min(len(ended) + 3, delivered + 4, batches) if delivered else 2
        service.wait_for_calls(wanted)  # the event loop is blocked: only requests that were already sent arrive
        ended.append(next(number for number in range(batches) if b">S%02d<" % (5 * number) in given[2].body))
        return decode(*given, **named)

    monkeypatch.setattr(Codec, "decode", held)

    async def work() -> list[bool]:
        async with AsyncOctopusClient(settings=settings(service, max_connections=2)) as client:
            return await client.is_sku_exist_list([f"S{number:02d}" for number in range(40)], batch_size=5)

    assert run(work()) == [False] * 40
    assert len({call.connection for call in service.calls}) == 2


def test_head_and_body_of_a_request_leave_in_one_piece() -> None:
    pieces: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
            if piece.endswith(b"Envelope>"):
                connection.sendall(http(EXISTS))

    async def work(url: str) -> None:
        async with AsyncOctopusClient(settings=OctopusSettings.load(endpoint=url, **CREDENTIALS)) as client:
            assert [await client.is_sku_exist("A"), await client.is_sku_exist("A")] == [True, True]

    with raw_server(answer) as server:
        run(work(server.url))
    assert [piece.partition(b" ")[0] for piece in pieces] == [b"POST", b"POST"]


def test_writes_stay_one_after_the_other(service: Emulator) -> None:
    service.script.on("*").do(Latency(0.01))

    async def work() -> Any:
        async with AsyncOctopusClient(settings=settings(service, batch_sizes={"UploadItemList": 5})) as client:
            await client.upload_item_list([InventoryItem(sku=f"A{n}") for n in range(20)])
            return await client.update_item_quantity_and_price_list(
                [ItemQuantityAndPrice(sku=f"A{n}", stock=n) for n in range(20)], batch_size=5
            )

    assert len(run(work())) == 20
    assert len({call.connection for call in service.calls}) == 1


def test_without_httpx_the_error_names_the_extra(service: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "octopus_soap.transport.asynchronous", raising=False)
    with pytest.raises(ConfigError, match=r"octopus-soap\[async\]"):
        AsyncOctopusClient(settings=settings(service))


def test_credentials_go_with_every_request_and_only_to_the_endpoint(service: Emulator) -> None:
    with Emulator() as other:
        service.script.on("IsSkuExist").do(Status(302, location=other.url))

        async def work() -> None:
            async with AsyncOctopusClient(settings=settings(service)) as client:
                await client.is_sku_exist("A")

        with pytest.raises(HttpStatusError, match="never followed"):
            run(work())
        assert other.calls == []


REPLY = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    '<IsSkuExistResponse xmlns="http://tempuri.org/"><IsSkuExistResult>true</IsSkuExistResult></IsSkuExistResponse>'
    "</s:Body></s:Envelope>"
)


def test_users_may_mock_it_with_respx(service: Emulator) -> None:
    async def work() -> None:
        async with AsyncOctopusClient(settings=settings(service)) as client:
            with respx.mock:
                route = respx.post(service.url).respond(200, text=REPLY, content_type="text/xml; charset=utf-8")
                assert await client.is_sku_exist("A") is True
                sent = route.calls.last.request
        assert sent.headers["SOAPAction"] == '"http://tempuri.org/IOctopusService/IsSkuExist"'
        assert sent.headers["merchantname"] == "canary-shop"

    run(work())


@pytest.mark.parametrize("failure", [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])
def test_a_failure_nobody_traced_is_never_taken_for_not_sent(service: Emulator, failure: type[Exception]) -> None:
    """A mock does not report whether it sent: an order must not be sent twice."""

    async def work() -> int:
        async with AsyncOctopusClient(settings=settings(service)) as client:
            with respx.mock:
                route = respx.post(service.url).mock(side_effect=failure("gone"))
                with pytest.raises(OutcomeUnknownError):
                    await client.submit_order(OrderSubmit(order_id="1"))
                return route.call_count

    assert run(work()) == 1
