"""Spans and metrics of real calls, collected by OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from octopus_soap import (
    AsyncOctopusClient,
    ConfigError,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    log_events,
)
from octopus_soap.emulator import ApiFailure, Fault, Hang, Html, Lie, Reset, Status, Truncate
from octopus_soap.observe.events import combine
from octopus_soap.observe.telemetry import OpenTelemetryEvents
from tests.catalogue import BY_NAME
from tests.conftest import SECRETS
from tests.inside import exchange_by, exchange_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap.emulator import Emulator


class Collected:
    """Its own providers, and the data they collected."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.traces, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.traces.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.hook = OpenTelemetryEvents(self.traces, self.meters)
        self.tracer = self.traces.get_tracer("test")

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def points(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else []:
            for scope in resource.scope_metrics:
                assert scope.scope.name == "octopus_soap"
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).extend(metric.data.data_points)
        return found

    def sums(self, name: str, by: str) -> dict[Any, int]:
        return {point.attributes.get(by): point.value for point in self.points()[name]}


@pytest.fixture
def otel() -> Iterator[Collected]:
    collected = Collected()
    yield collected
    collected.traces.shutdown()
    collected.meters.shutdown()


def test_a_request_is_a_client_span_named_by_the_conventions(shop: Emulator, otel: Collected, watched) -> None:
    (call,) = watched(otel.hook).get_item_list(["A", "B"]).calls
    (span,) = otel.spans
    assert (span.name, span.kind) == ("OctopusService/GetItemList", trace.SpanKind.CLIENT)
    port = int(shop.url.split(":")[2].split("/")[0])
    assert dict(span.attributes) == {
        "rpc.system.name": "soap",
        "rpc.method": "OctopusService/GetItemList",
        "server.address": "127.0.0.1",
        "server.port": port,
        "octopus_soap.request_id": shop.calls[0].headers["x-request-id"],
        "octopus_soap.attempts": 1,
        "http.response.status_code": 200,
    }
    assert span.status.status_code is trace.StatusCode.UNSET
    (point,) = otel.points()["rpc.client.call.duration"]
    assert (point.count, dict(point.attributes)) == (
        1,
        {
            "rpc.system.name": "soap",
            "rpc.method": "OctopusService/GetItemList",
            "server.address": "127.0.0.1",
            "server.port": port,
        },
    )
    # In seconds, however slow the machine is: the span includes the duration, which includes the request.
    assert call.elapsed * 0.9 <= point.sum <= (span.end_time - span.start_time) / 1e9 + 0.05
    assert otel.sums("octopus_soap.items", "octopus_soap.outcome") == {"ok": 2}


def test_a_clients_label_is_on_its_spans_events_and_log_lines_and_in_no_metric(
    shop: Emulator, otel: Collected, watched, caplog
) -> None:
    shop.script.on("GetItemList", nth=1).do(Status(503))
    shop.script.on("GetItemList", nth=2).do(Lie("reject"))
    events: list[Any] = []
    with caplog.at_level("DEBUG", "octopus_soap.events"):
        client = watched(combine(otel.hook, log_events(), events.append), client_label="berlin")
        client.get_item_list(["A", "B"])
    assert {event.client_label for event in events} == {"berlin"}
    assert {span.attributes["octopus_soap.client_label"] for span in otel.spans} == {"berlin"}
    assert "berlin" not in str(otel.points())
    lines = [record for record in caplog.records if record.name == "octopus_soap.events"]
    assert len(lines) == len(events)
    assert {(line.getMessage().partition(": ")[0], line.octopus_client_label) for line in lines} == {
        ("berlin", "berlin")
    }
    assert not any("berlin" in str(call.headers) + str(call.request) for call in shop.calls)
    with OctopusClient(**shop.settings(), client_label="hamburg") as one:
        assert one.settings.client_label == "hamburg"
    with pytest.raises(ConfigError, match="client_label"):
        OctopusClient(**shop.settings(), client_label="a\nb")


def test_all_attempts_of_a_request_are_one_span_with_its_repeats_as_events(shop: Emulator, otel, watched) -> None:
    shop.script.on("IsSkuExist").times(2).do(Status(503))
    watched(otel.hook).is_sku_exist("A")
    (span,) = otel.spans
    assert [(event.name, event.attributes["octopus_soap.attempt"]) for event in span.events] == [
        ("retry", 1),
        ("retry", 2),
    ]
    assert span.events[0].attributes["octopus_soap.failure"] == "unavailable"
    assert span.attributes["octopus_soap.attempts"] == 3
    assert otel.sums("octopus_soap.retries", "octopus_soap.failure") == {"unavailable": 2}


def test_a_failed_request_names_the_class_of_its_error(shop: Emulator, otel, watched) -> None:
    shop.script.on("IsSkuExist").do(Status(404))
    with pytest.raises(OctopusError):
        watched(otel.hook).is_sku_exist("A")
    (span,) = otel.spans
    assert span.attributes["error.type"] == "HttpStatusError"
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, None)
    (point,) = otel.points()["rpc.client.call.duration"]
    assert point.attributes["error.type"] == "HttpStatusError"


def test_rejected_items_and_drift_are_counted(shop: Emulator, otel, watched) -> None:
    client = watched(otel.hook)
    shop.script.on("GetItemList").do(Lie("extra-member"))
    client.get_item_list(["A"])
    updates = [ItemQuantityAndPrice(sku=sku, stock=1, price=1, cost=1) for sku in ("A", "no such SKU")]
    assert len(client.update_item_quantity_and_price_list(updates).rejected) == 1
    points = otel.points()
    assert points["octopus_soap.drift"][0].value >= 1
    assert [(point.value, dict(point.attributes)) for point in points["octopus_soap.rejections"]] == [
        (1, {"rpc.method": "OctopusService/UpdateItemQuantityAndPriceList"})
    ]


@pytest.mark.parametrize("many", [False, True], ids=["one batch", "batches in threads or tasks"])
def test_the_callers_span_is_the_parent(shop: Emulator, otel: Collected, make_client, many) -> None:
    client = make_client().with_options(on_event=otel.hook)
    skus = [f"S{number}" for number in range(6 if many else 1)]
    with otel.tracer.start_as_current_span("job") as job:
        client.get_item_quantity_list(skus, batch_size=1)
        list(client.get_item_quantity_list.stream(skus, batch_size=1))
        assert trace.get_current_span() is job, "the caller's own span is the current one again"
    requests = [span for span in otel.spans if span.name != "job"]
    assert len(requests) == 2 * len(skus)
    assert {span.parent.span_id for span in requests} == {job.get_span_context().span_id}


def test_tasks_keep_their_own_parents(shop: Emulator, otel: Collected) -> None:
    async def work() -> dict[int, str]:
        parents: dict[int, str] = {}
        settings = OctopusSettings.load(**shop.settings())
        async with AsyncOctopusClient(settings=settings, on_event=otel.hook) as client:

            async def one(name: str) -> None:
                with otel.tracer.start_as_current_span(name) as span:
                    parents[span.get_span_context().span_id] = name
                    await client.is_sku_exist("A")
                    await client.get_item_quantity_list(["A", "B", "C"], batch_size=1)
                    assert trace.get_current_span() is span

            await asyncio.gather(*(one(f"task-{number}") for number in range(10)))
        return parents

    parents = asyncio.run(asyncio.wait_for(work(), 60))
    by_parent: dict[int, list[str]] = {}
    for span in otel.spans:
        if span.parent is not None:
            by_parent.setdefault(span.parent.span_id, []).append(span.name)
    assert by_parent.keys() == parents.keys()
    assert {tuple(sorted(names)) for names in by_parent.values()} == {
        ("OctopusService/GetItemQuantityList",) * 3 + ("OctopusService/IsSkuExist",)
    }


def test_while_a_request_runs_its_span_is_the_current_one(shop: Emulator, otel: Collected, make_client) -> None:
    """So spans of an HTTP instrumentation become its children."""
    client = make_client().with_options(on_event=otel.hook)
    seen: list[Any] = []
    exchange = exchange_of(client)

    def watching(*args: Any, **given: Any) -> Any:
        seen.append(trace.get_current_span().get_span_context().span_id)
        return exchange(*args, **given)

    exchange_by(client, watching)
    client.is_sku_exist("A")
    assert seen == [otel.spans[0].context.span_id]
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_cancelled_call_ends_its_span(shop: Emulator, otel: Collected) -> None:
    shop.script.on("IsSkuExist").do(Hang())

    async def work() -> None:
        settings = OctopusSettings.load(**shop.settings())
        async with AsyncOctopusClient(settings=settings, on_event=otel.hook) as client:
            with otel.tracer.start_as_current_span("job") as job:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.is_sku_exist("A"), 0.2)
                assert trace.get_current_span() is job
            assert client.counters.under_way == 0

    asyncio.run(asyncio.wait_for(work(), 30))
    (span,) = [span for span in otel.spans if span.name != "job"]
    assert span.attributes["error.type"] == "abandoned"
    assert otel.hook._open == {}  # noqa: SLF001 - spans left open are seen nowhere else


SOME = [BY_NAME[name] for name in ["GetItemTblList", "UpdateItemQuantityAndPrice", "UploadItemList", "SubmitOrder"]]
FAULTS = [
    Status(401),
    Status(500, "html"),
    Status(503, retry_after=3600),
    Fault("client-text", text="no such SKU canary-sku-77"),
    Reset("after"),
    Html(),
    Truncate(0.5),
    ApiFailure(8, "canary-sku-77 does not exist"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_no_attribute_holds_a_secret_or_a_sku(fault: Any, shop: Emulator, otel: Collected, watched) -> None:
    client = watched(otel.hook)
    sku = "canary-sku-77"
    shop.store.add_item(sku, Stock=1)
    shop.script.on("*", after=1).do(fault)
    client.is_sku_exist(sku)
    for call in (*SOME, lambda client: client.get_item_list([sku, "A"]), lambda client: client.get_item_quantity(sku)):
        with suppress(OctopusError):
            call(client)
    shown = [repr((span.name, dict(span.attributes), span.status.description)) for span in otel.spans]
    shown += [repr(dict(event.attributes)) for span in otel.spans for event in span.events]
    shown += [repr(dict(point.attributes)) for points in otel.points().values() for point in points]
    assert len(otel.spans) == client.counters.requests > len(SOME)
    for text in shown:
        assert not any(hidden in text for hidden in (*SECRETS, sku, "canary-shop")), text


def test_metrics_have_few_values(shop: Emulator, otel: Collected, watched) -> None:
    """One series per operation and outcome; request ids and items make no series."""
    client = watched(otel.hook)
    for number in range(30):
        client.get_item_quantity_list([f"S{number}"])
    assert {len(points) for points in otel.points().values()} == {1}


def test_without_opentelemetry_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import octopus_soap, octopus_soap.client\n"
        "try:\n    import octopus_soap.observe.telemetry\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'octopus-soap[otel]'" in done.stdout
