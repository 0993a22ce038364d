"""A stock look-up service with problem documents, health checks and metrics.

    python samples/fastapi_service.py --demo                       against the emulator, no account needed
    uvicorn --factory samples.fastapi_service:create_app           reads OCTOPUS_* variables

    curl localhost:8000/stock/SKU-1
    curl localhost:8000/stock -H 'Content-Type: application/json' -d '["SKU-1", "NO-SUCH-SKU"]'
    curl localhost:8000/health/live localhost:8000/health/ready localhost:8000/metrics

Needs fastapi, uvicorn, opentelemetry-exporter-prometheus and the extras `async` and `otel`; `emulator` for --demo.

One asynchronous client serves the whole process. An error's answer has a status, a title and the id of the request; the
details are only in the log, under the same id. /health/live checks this process, /health/ready also the Octopus service
behind it. If that is down, a load balancer should stop sending requests here, but a restart would not help.
"""

import argparse
import asyncio
import gc
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, NamedTuple

from fastapi import Body, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel

from octopus_soap import (
    AsyncOctopusClient,
    AuthenticationError,
    BatchError,
    ConfigError,
    InvalidInputError,
    OctopusError,
    OctopusSettings,
    RateLimitedError,
    RejectedError,
    TimedOutError,
)
from octopus_soap.observe.health import Health
from octopus_soap.observe.telemetry import OpenTelemetryEvents

PING_EVERY = 10.0
"""Seconds for which the result of a ping is reused, so that frequent probes do not load the service."""
MOST_SKUS = 1_000
"""Most SKUs in one request to this service."""

log = logging.getLogger("stock_service")


class Stock(BaseModel):
    """One item's stock."""

    sku: str
    stock: int


class Stocks(BaseModel):
    """The stock of several items, and the SKUs that the service does not have."""

    found: list[Stock]
    missing: list[str]


# -- errors ---------------------------------------------------------------------------------------------------------


class PublicError(NamedTuple):
    """The part of an error that callers may see."""

    status: int
    title: str


PUBLIC_ERRORS: dict[type[OctopusError], PublicError] = {
    RejectedError: PublicError(404, "no such item"),
    InvalidInputError: PublicError(422, "this cannot be a SKU"),
    RateLimitedError: PublicError(503, "too many requests at the moment"),
    TimedOutError: PublicError(504, "the stock system did not answer in time"),
    AuthenticationError: PublicError(502, "the stock system rejected this service's credentials"),
    ConfigError: PublicError(500, "this service is not configured"),
    OctopusError: PublicError(502, "the stock system failed"),
}
"""The first class that matches is used, so subclasses come before their base classes."""


def public_error(error: OctopusError) -> PublicError:
    """Return the status and title for *error*."""
    return next(public for kind, public in PUBLIC_ERRORS.items() if isinstance(error, kind))


def cause_of(error: OctopusError) -> OctopusError:
    """Return the first failure behind a list call's `BatchError`, or *error* itself."""
    return error.causes[0] if isinstance(error, BatchError) and error.causes else error


def problem(status: int, title: str, **more: Any) -> JSONResponse:
    """Return a problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, **more}
    return JSONResponse(body, status, media_type="application/problem+json")


async def answer_failure(request: Request, error: Exception) -> JSONResponse:
    """Turn an error of the client into a problem document."""
    assert isinstance(error, OctopusError)  # noqa: S101 - registered for nothing else
    cause = cause_of(error)
    public = public_error(cause)
    log.log(logging.INFO if public.status < 500 else logging.WARNING, "%s: %s", request.url.path, error)  # noqa: PLR2004 - 5xx
    answer = problem(public.status, public.title, request_id=cause.info.request_id if cause.info else None)
    if isinstance(cause, RateLimitedError):
        answer.headers["Retry-After"] = str(round(cause.retry_after or PING_EVERY))
    return answer


async def answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """Turn FastAPI's validation error into a problem document."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    return problem(
        422, "this request cannot be read", errors=[{"at": e["loc"], "why": e["msg"]} for e in error.errors()]
    )


# -- health ---------------------------------------------------------------------------------------------------------


class Pulse:
    """The service's health, from at most one ping every `PING_EVERY` seconds."""

    def __init__(self, client: AsyncOctopusClient) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._found: Health | None = None
        self._at = 0.0

    async def health(self) -> Health:
        """Return the result of the last ping; ping first if it is too old."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._at > PING_EVERY:
                self._found, self._at = await self._client.ping(), time.monotonic()
            return self._found


# -- the service ----------------------------------------------------------------------------------------------------


def shop(request: Request) -> AsyncOctopusClient:
    """Return the process's client; tests override it in `app.dependency_overrides`."""
    client: AsyncOctopusClient = request.app.state.client
    return client


def pulse(request: Request) -> Pulse:
    """Return the cached health."""
    found: Pulse = request.app.state.pulse
    return found


Shop = Annotated[AsyncOctopusClient, Depends(shop)]
Skus = Annotated[list[str], Body(min_length=1, max_length=MOST_SKUS)]


async def stock(sku: str, client: Shop) -> Stock:
    """Look up one item."""
    found = (await stocks([sku], client)).found  # the list call has an outcome of its own for an unknown SKU
    if not found:
        raise RejectedError("the service has no stock of it", key=sku)
    return found[0]


async def stocks(skus: Skus, client: Shop) -> Stocks:
    """Look up many items, in the order given.

    If one look-up fails, the request fails: a caller could take half an answer for a whole one.
    """
    result = await client.get_item_quantity_list(skus)
    known = {key: row.stock for key, row in result.by_key().items() if row.stock is not None}
    return Stocks(
        found=[Stock(sku=sku, stock=known[sku]) for sku in skus if sku in known],
        missing=[sku for sku in skus if sku not in known],
    )


async def live() -> dict[str, str]:
    """Answer 200: this process works."""
    return {"status": "up"}


async def ready(client: Shop, found: Annotated[Pulse, Depends(pulse)]) -> JSONResponse:
    """Answer 200 if the service works, or 503 with the layer that failed."""
    health = await found.health()
    last = client.last_success_at
    body = {
        "status": "up" if health else "down",
        "stage": health.stage.value,
        "certain": health.certain,
        "last_success_at": None if last is None else last.isoformat(),
        "counters": asdict(client.counters),
    }
    return JSONResponse(body, 200 if health else 503)


def create_app(settings: OctopusSettings | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: by default from OCTOPUS_* variables, .env and the profile file.

    Raises:
        ConfigError: a setting is missing; raised when the application starts.
    """
    registry = CollectorRegistry()  # one per application: a process may have several

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        meters = MeterProvider([PrometheusMetricReader(registry=registry)])
        events = OpenTelemetryEvents(meter_provider=meters)
        async with AsyncOctopusClient(settings=settings, on_event=events) as client:
            app.state.client, app.state.pulse = client, Pulse(client)
            yield
        meters.shutdown()

    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    app = FastAPI(title="Stock", lifespan=lifespan)
    app.add_exception_handler(OctopusError, answer_failure)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_api_route("/stock/{sku}", stock)
    app.add_api_route("/stock", stocks, methods=["POST"])
    app.add_api_route("/health/live", live)
    app.add_api_route("/health/ready", ready)
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Serve on port 8000 of this machine."""
    import uvicorn  # noqa: PLC0415 - production may run create_app on another server

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="store_true", help="run against the emulator")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args(argv)
    with ExitStack() as stack:
        settings: OctopusSettings | None = None
        if given.demo:
            from octopus_soap.emulator import Emulator  # noqa: PLC0415 - only the demo needs the extra `emulator`
            from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - ignores OCTOPUS_* variables

            service = stack.enter_context(Emulator())
            for number in range(1, 4):
                service.store.add_item(f"SKU-{number}", Stock=number)
            settings = IsolatedSettings.load(**service.settings())
        gc.collect()
        gc.freeze()  # keeps the imported modules out of garbage collections, which would block the event loop
        uvicorn.run(create_app(settings), host="127.0.0.1", port=given.port)


if __name__ == "__main__":
    main()
