"""Events of real calls, of both clients: hooks, views, threads, tasks, dry runs."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    AsyncOctopusClient,
    BatchDone,
    BatchError,
    ConfigError,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    RequestFinished,
    RequestStarted,
    log_events,
)
from octopus_soap.emulator import Hang, Latency, Reset, Status
from octopus_soap.observe.events import combine
from tests.catalogue import KINDS, Row
from tests.conftest import SECRETS
from tests.inside import exchange_by

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("call", KINDS, ids=str)
def test_every_kind_of_operation_tells_of_its_requests(call: Row, shop: Emulator, watched) -> None:
    events: list[Any] = []
    call(watched(events.append))
    record = shop.calls[-1]
    expected = ["RequestStarted", "RequestFinished", *(["BatchDone"] if call.is_list else [])]
    assert names(events) == expected
    started, finished = events[:2]
    assert started.operation == finished.operation == call.operation
    assert started.request_id == finished.request_id == record.headers["x-request-id"]
    assert (started.server_address, started.sent_bytes) == ("127.0.0.1", len(record.request))
    assert (finished.ok, finished.info.http_status) == (True, 200)


def test_repeats_are_told_between_start_and_end(shop: Emulator, watched) -> None:
    events: list[Any] = []
    shop.script.on("GetItemList").times(2).do(Status(503))
    watched(events.append).get_item_list(["A"])
    assert names(events) == ["RequestStarted", "RetryScheduled", "RetryScheduled", "RequestFinished", "BatchDone"]


def test_a_hook_that_raises_breaks_nothing_and_is_reported_once(shop: Emulator, watched, caplog) -> None:
    def broken(event: Any) -> None:
        raise RuntimeError(f"no room for {event.operation}")

    client = watched(broken)
    with caplog.at_level(logging.INFO, "octopus_soap"):
        assert client.is_sku_exist("A") is True
        assert len(client.get_item_list(["A", "B"])) == 2
        assert client.with_options(total_timeout=30).is_sku_exist("A") is True
    assert [record.getMessage() for record in caplog.records if record.name == "octopus_soap"] == [
        f"the on_event hook {broken.__qualname__} raised RuntimeError; calls go on, and it is not reported again"
    ]
    assert client.counters.requests == 3


def test_the_traceback_of_a_hook_is_for_debug(shop: Emulator, client_of, caplog) -> None:
    def broken(event: Any) -> None:
        raise RuntimeError("no room")

    with caplog.at_level(logging.DEBUG, "octopus_soap"):
        client_of(on_event=broken).is_sku_exist("A")
    assert [r.levelname for r in caplog.records if r.name == "octopus_soap"] == ["ERROR", "DEBUG"]
    assert "no room" in caplog.text


def test_ctrl_c_in_a_hook_is_not_swallowed(shop: Emulator, client_of) -> None:
    def interrupted(event: Any) -> None:
        if isinstance(event, RequestFinished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client_of(on_event=interrupted).is_sku_exist("A")


@pytest.fixture
def client_of(service: Emulator):
    made: list[OctopusClient] = []

    def make(on_event: Any = None, **given: Any) -> OctopusClient:
        settings = OctopusSettings.load(**{**service.settings(), "backoff_base": 0.0, **given})
        made.append(OctopusClient(settings=settings, on_event=on_event))
        return made[-1]

    yield make
    for client in made:
        client.close()


async def _later(event: Any) -> None:
    del event


class _Later:
    async def __call__(self, event: Any) -> None: ...


@pytest.mark.parametrize("hook", [_later, _Later(), 5], ids=["function", "object", "number"])
def test_what_is_no_hook_is_refused_where_it_is_given(hook: Any, client_of) -> None:
    with pytest.raises(ConfigError, match="on_event"):
        client_of(on_event=hook)
    with pytest.raises(ConfigError, match="on_event"):
        client_of().with_options(on_event=hook)


def test_a_views_hook_hears_the_views_calls_alone(shop: Emulator, watched) -> None:
    own, views = [], []
    client = watched(own.append)
    view = client.with_options(on_event=views.append)
    view.is_sku_exist("A")
    assert (names(own), names(views)) == ([], ["RequestStarted", "RequestFinished"])
    client.with_options(total_timeout=20).is_sku_exist("A")
    assert names(own) == ["RequestStarted", "RequestFinished"], "a view without a hook keeps its client's"
    assert client.counters == view.counters, "they are counted together"
    assert client.counters.requests == 2


def test_what_is_only_looked_at_tells_and_counts_nothing(shop: Emulator, watched) -> None:
    events: list[Any] = []
    client = watched(events.append)
    surface = getattr(client, "_client", client)
    assert len(list(surface.get_item_list.dry_run(["A"], batch_size=1))) == 1
    assert len(list(surface.is_sku_exist.dry_run("A"))) == 1
    assert events == []
    assert client.counters.requests == client.counters.under_way == 0


def test_batches_in_threads_tell_from_there_and_see_the_callers_context(shop: Emulator, client_of) -> None:
    asking: ContextVar[str] = ContextVar("asking", default="nobody")
    seen: list[tuple[str, bool]] = []
    lock = threading.Lock()
    here = threading.current_thread()

    def hook(event: Any) -> None:
        if isinstance(event, RequestStarted):
            with lock:
                seen.append((asking.get(), threading.current_thread() is here))

    client = client_of(on_event=hook)
    token = asking.set("the till")
    try:
        client.get_item_quantity_list([f"S{n}" for n in range(5)], batch_size=1)
        parts = client.get_item_quantity_list.stream((f"S{n}" for n in range(3)), batch_size=1)
        assert len(list(parts)) == 3
    finally:
        asking.reset(token)
    assert seen == [("the till", False)] * 8


def test_a_stream_closed_under_way_tells_the_end_of_each_request_it_began(shop: Emulator, client_of) -> None:
    """A worker thread ends its request after the caller left, and reports it then."""
    events: list[Any] = []
    both = threading.Condition()

    def hook(event: Any) -> None:
        with both:
            events.append(event)
            both.notify_all()

    shop.script.on("GetItemQuantityList", after=1).do(Latency(0.1))
    client = client_of(on_event=hook, max_connections=2)
    parts = client.get_item_quantity_list.stream((f"S{n}" for n in range(20)), batch_size=1)
    next(parts)
    parts.close()

    def open_requests() -> set[str]:
        begun = {event.request_id for event in events if isinstance(event, RequestStarted)}
        return begun - {event.request_id for event in events if isinstance(event, RequestFinished)}

    with both:
        assert both.wait_for(lambda: not open_requests(), 20)
    assert len([event for event in events if isinstance(event, RequestStarted)]) < 20


def test_a_cancelled_call_tells_that_its_request_was_abandoned(shop: Emulator) -> None:
    events: list[Any] = []
    shop.script.on("IsSkuExist").do(Hang())

    async def work() -> Any:
        begun = asyncio.Event()

        def hook(event: Any) -> None:
            events.append(event)
            begun.set()

        settings = OctopusSettings.load(**shop.settings())
        async with AsyncOctopusClient(settings=settings, on_event=hook) as client:
            call = asyncio.create_task(client.is_sku_exist("A"))
            await begun.wait()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert names(events) == ["RequestStarted", "RequestFinished"], "reported before the canceller continues"
            return client.counters

    counters = asyncio.run(asyncio.wait_for(work(), 30))
    finished = events[-1]
    assert (finished.failure, finished.error, finished.info.attempts) == ("abandoned", None, 1)
    assert (counters.failures, counters.under_way) == ({"abandoned": 1}, 0)


def test_ctrl_c_under_way_tells_that_the_request_was_abandoned(shop: Emulator, client_of, monkeypatch) -> None:
    events: list[Any] = []
    client = client_of(on_event=events.append)

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    exchange_by(client, interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        client.is_sku_exist("A")
    # The traceback still holds the frames: the end was reported without garbage collection.
    assert caught.tb is not None
    assert events[-1].failure == "abandoned"


@pytest.mark.parametrize("fault", [Status(401), Status(500, "html"), Reset("after"), Status(503)], ids=repr)
def test_no_event_holds_a_secret(fault: Any, shop: Emulator, watched) -> None:
    events: list[Any] = []
    client = watched(combine(events.append, log_events()))
    shop.script.on("*").do(fault)
    for call in KINDS:
        with pytest.raises(OctopusError):
            call(client)
    shown = repr(events)
    assert len(events) >= 2 * len(KINDS)
    assert not any(secret in shown for secret in SECRETS)


def test_combined_hooks_hear_all_whatever_the_others_do(shop: Emulator, client_of, caplog) -> None:
    first, second = [], []

    def broken(event: Any) -> None:
        raise ValueError("no")

    client_of(on_event=combine(first.append, broken, second.append)).is_sku_exist("A")
    assert names(first) == names(second) == ["RequestStarted", "RequestFinished"]
    assert "raised ValueError" in caplog.text


def test_batch_done_is_told_for_each_batch_of_a_failing_call(shop: Emulator, watched) -> None:
    events: list[Any] = []
    shop.script.on("GetItemList", key="B").do(Status(400))
    with pytest.raises(BatchError):
        watched(events.append).get_item_list(["A", "B", "C"], batch_size=1)
    done = {event.batch: event.counts for event in events if isinstance(event, BatchDone)}
    assert done == {0: {"ok": 1}, 1: {"failed": 1}, 2: {"ok": 1}}
