"""OpenTelemetry spans and metrics, made of a client's events; extra `otel`.

```python
from octopus_soap.observe.telemetry import OpenTelemetryEvents

client = OctopusClient(on_event=OpenTelemetryEvents())
```

Names are those of OpenTelemetry's conventions for RPC, if they have one. Attributes hold neither secrets nor SKUs,
account ids or texts of the service; those of metrics have few values.

| span | `OctopusService/GetItemList`, kind client, around all attempts of one request |
|---|---|
| its attributes | `rpc.system.name` (`soap`), `rpc.method`, `server.address`, `server.port`, `error.type`, |
| | `http.response.status_code`, `octopus_soap.request_id`, `octopus_soap.attempts`, `octopus_soap.client_label` |
| its events | `retry`: `octopus_soap.failure`, `octopus_soap.attempt`, `octopus_soap.pause` (seconds) |

| metric | unit | attributes next to `rpc.method` |
|---|---|---|
| `rpc.client.call.duration`, histogram | s | `rpc.system.name`, `server.address`, `server.port`, `error.type` |
| `octopus_soap.retries` | {retry} | `octopus_soap.failure` |
| `octopus_soap.items`: inputs of list calls | {item} | `octopus_soap.outcome` |
| `octopus_soap.rejections` | {item} | |
| `octopus_soap.drift`: unknown members of answers | {member} | |
| `octopus_soap.breaker_opened`: openings of a circuit breaker | {opening} | |
| `octopus_soap.rate_store_lost`: losses of the store of a shared rate, without `rpc.method` | {loss} | |

The span's parent is the current span of the caller, also in the threads of a call of several batches, and in a task.
While the request runs, its span is the current one: spans of an HTTP instrumentation become its children, and log
records written then belong to it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from octopus_soap._version import __version__
from octopus_soap.observe.events import (
    BatchDone,
    BreakerClosed,
    BreakerOpened,
    DriftSeen,
    ItemRejected,
    RateStoreBack,
    RateStoreLost,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
)

try:
    from opentelemetry import context, metrics, trace
except ModuleNotFoundError as missing:
    if not (missing.name or "").startswith("opentelemetry"):
        raise
    raise ModuleNotFoundError(
        "octopus_soap.observe.telemetry needs OpenTelemetry's API: pip install 'octopus-soap[otel]'", name=missing.name
    ) from None

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context

    from octopus_soap.observe.events import Event

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0)
"""Bounds of the duration's buckets: the conventions' own, and what a slow service needs beyond them."""


class _Open(NamedTuple):
    """A request under way."""

    span: trace.Span
    token: Token[Context]
    began: float
    attributes: dict[str, str | int]


class OpenTelemetryEvents:
    """A hook for `on_event` that makes spans and metrics.

    Threads, tasks and clients may share one object.

    Args:
        tracer_provider: makes the spans; the global one by default.
        meter_provider: makes the metrics; the global one by default.
    """

    def __init__(
        self, tracer_provider: trace.TracerProvider | None = None, meter_provider: metrics.MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer("octopus_soap", __version__, tracer_provider)
        meter = metrics.get_meter("octopus_soap", __version__, meter_provider)
        self._duration = meter.create_histogram(
            "rpc.client.call.duration",
            "s",
            "Measures the duration of an outgoing Remote Procedure Call (RPC).",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._retries = meter.create_counter("octopus_soap.retries", "{retry}", "Repeats of requests.")
        self._items = meter.create_counter("octopus_soap.items", "{item}", "Inputs of list calls, by outcome.")
        self._rejections = meter.create_counter("octopus_soap.rejections", "{item}", "Items the service rejected.")
        self._drift = meter.create_counter(
            "octopus_soap.drift", "{member}", "Members of answers that the models do not have."
        )
        self._breaker = meter.create_counter(
            "octopus_soap.breaker_opened", "{opening}", "Times a circuit breaker opened."
        )
        self._store_lost = meter.create_counter(
            "octopus_soap.rate_store_lost", "{loss}", "Times the store of a shared rate limit could not be reached."
        )
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Turn *event* into spans and metrics."""
        method = f"OctopusService/{event.operation}"
        match event:
            case RequestStarted():
                self._begin(event, method)
            case RetryScheduled():
                self._repeat(event, method)
            case RequestFinished():
                self._end(event)
            case BatchDone():
                for outcome, times in event.counts.items():
                    self._items.add(times, {"rpc.method": method, "octopus_soap.outcome": outcome})
            case ItemRejected():
                self._rejections.add(1, {"rpc.method": method})
            case BreakerOpened() | BreakerClosed():
                self._switched(event, method)
            case RateStoreLost() | RateStoreBack():
                self._store_lost.add(isinstance(event, RateStoreLost))
            case DriftSeen():
                self._drift.add(sum(event.members.values()), {"rpc.method": method})

    def _begin(self, event: RequestStarted, method: str) -> None:
        attributes: dict[str, str | int] = {
            "rpc.system.name": "soap",
            "rpc.method": method,
            "server.address": event.server_address,
            "server.port": event.server_port,
        }
        span = self._tracer.start_span(method, kind=trace.SpanKind.CLIENT, attributes=attributes)
        span.set_attribute("octopus_soap.request_id", event.request_id)
        if event.client_label:  # on spans only: a metric would have a series for each client
            span.set_attribute("octopus_soap.client_label", event.client_label)
        token = context.attach(trace.set_span_in_context(span))
        with self._lock:
            self._open[event.request_id] = _Open(span, token, time.perf_counter(), attributes)

    def _switched(self, event: BreakerOpened | BreakerClosed, method: str) -> None:
        opened = isinstance(event, BreakerOpened)
        if opened:
            self._breaker.add(1, {"rpc.method": method})
        with self._lock:
            open_ = self._open.get(event.request_id)
        if open_ is not None:
            open_.span.add_event("breaker opened" if opened else "breaker closed")

    def _repeat(self, event: RetryScheduled, method: str) -> None:
        self._retries.add(1, {"rpc.method": method, "octopus_soap.failure": event.failure})
        known = self._open.get(event.request_id)
        if known is not None:
            facts: dict[str, str | int | float] = {
                "octopus_soap.failure": event.failure,
                "octopus_soap.attempt": event.attempt,
                "octopus_soap.pause": event.pause,
            }
            known.span.add_event("retry", facts)

    def _end(self, event: RequestFinished) -> None:
        with self._lock:
            known = self._open.pop(event.request_id, None)
        if known is None:
            return
        took = time.perf_counter() - known.began
        # The garbage collector may end a flow in another context, in which its span is not the current one.
        if trace.get_current_span() is known.span:
            context.detach(known.token)
        info, span = event.info, known.span
        span.set_attribute("octopus_soap.attempts", info.attempts)
        if info.http_status is not None:
            span.set_attribute("http.response.status_code", info.http_status)
        attributes = known.attributes
        if not event.ok:
            error = event.error or event.failure or ""
            attributes = {**attributes, "error.type": error}
            span.set_attribute("error.type", error)
            span.set_status(trace.StatusCode.ERROR)
        # Recorded in the context of the span, so that an exemplar leads to it.
        self._duration.record(took, attributes, context=trace.set_span_in_context(span))
        span.end()
