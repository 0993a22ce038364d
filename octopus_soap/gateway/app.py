"""The gateway as an application: routes, who may call, limits, health and metrics.

* Without an API key only this machine may call, and only under a loopback name: a web page that reaches the port
  through a host name of its own (DNS rebinding) is refused. With a key every request but the health checks needs it.
* A body larger than `max_body_bytes` is refused while it arrives.
* `/health/live` answers without asking the service. `/health/ready` reports a ping that is at most 10 seconds old.
* `/metrics` has the client's counters and those of the look-ups, in Prometheus' text form; no SKU, account or secret.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from octopus_soap._http import is_loopback
from octopus_soap._version import __version__
from octopus_soap.client import AsyncOctopusClient
from octopus_soap.errors import ConfigError
from octopus_soap.gateway.problems import Problem, of_validation, problem
from octopus_soap.gateway.routes import make_router
from octopus_soap.transport.lookup import AsyncLookup

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from fastapi import Request
    from prometheus_client.metrics_core import Metric
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from octopus_soap.observe.health import Health

_OPEN = ("/health/live", "/health/ready")
"""Paths that need no key, because load balancers call them."""
_PING_SECONDS = 10.0
_SHORTEST_KEY = 16


class _Guard:
    """Checks the caller and the body's size before the application reads anything."""

    def __init__(self, app: ASGIApp, api_key: str | None, max_body_bytes: int) -> None:
        self._app, self._most = app, max_body_bytes
        self._key = None if api_key is None else api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        body = await self._body(receive)
        if body is None:
            await self._too_large()(scope, receive, send)
            return
        read = False

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _body(self, receive: Receive) -> bytes | None:
        """Return the request's body; None as soon as it is larger than allowed."""
        chunks, size = [], 0
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._most:
                return None
            if not message.get("more_body"):
                return b"".join(chunks)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        if self._key is None:
            host = (scope.get("client") or ("", 0))[0]
            name = headers.get(b"host", b"").decode("latin-1")
            if not _is_here(host) or not _is_here(
                name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() else name
            ):
                title = "Only this machine may call a gateway without an API key"
                return problem(403, "loopback-only", title, "start it with an API key")
        elif scope["path"] not in _OPEN and not self._knows(headers):
            answer = problem(401, "api-key", "The API key is missing or wrong", "send it as `X-API-Key`")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        length = headers.get(b"content-length", b"0")
        return self._too_large() if length.isdigit() and int(length) > self._most else None

    def _knows(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        given = headers.get(b"x-api-key") or (bearer.strip() if scheme.lower() == b"bearer" else b"")
        return hmac.compare_digest(given, self._key or b"")

    def _too_large(self) -> JSONResponse:
        return problem(413, "too-large", f"The body is larger than {self._most} bytes")


def _is_here(host: str) -> bool:
    bare = host.strip("[]")
    return bool(bare) and is_loopback(f"http://[{bare}]/" if ":" in bare else f"http://{bare}/")


class _Pulse:
    """The last ping's result, renewed by at most one ping at a time."""

    def __init__(self, client: AsyncOctopusClient) -> None:
        self._client, self._lock = client, asyncio.Lock()
        self._found: Health | None = None
        self._at = 0.0

    async def health(self) -> Health:
        """Return a ping's result that is at most 10 seconds old."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._at > _PING_SECONDS:
                self._found, self._at = await self._client.ping(), time.monotonic()
            return self._found


class _Metrics:
    """The counters of the client and the look-ups, read when Prometheus asks."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        counters = self._app.state.client.counters
        yield GaugeMetricFamily("octopus_soap_requests_under_way", "SOAP requests under way", counters.under_way)
        for name, text in (
            ("requests", "SOAP requests that ended"),
            ("attempts", "attempts of those requests"),
            ("retries", "retries"),
            ("batches", "batches of list calls"),
            ("rejections", "items the service rejected"),
            ("sent_bytes", "bytes of request bodies"),
            ("received_bytes", "bytes of reply bodies"),
        ):
            yield CounterMetricFamily(f"octopus_soap_{name}", text, getattr(counters, name))
        for name, label, found in (("failures", "kind", counters.failures), ("items", "outcome", counters.items)):
            family = CounterMetricFamily(f"octopus_soap_{name}", f"{name} by {label}", labels=[label])
            for value, number in found.items():
                family.add_metric([value], number)
            yield family
        counts = self._app.state.lookup.counts
        for name in ("asked", "cached", "joined", "requests", "sent"):
            yield CounterMetricFamily(f"octopus_soap_lookup_{name}", f"look-ups: {name}", getattr(counts, name))


def create_app(
    client: AsyncOctopusClient | None = None,
    *,
    api_key: str | None = None,
    lookup_ttl: float = 5.0,
    max_body_bytes: int = 10_000_000,
) -> FastAPI:
    """Return the gateway as a FastAPI application.

    Args:
        client: the client to call through; it stays open. By default one is made from the settings when the
            application starts, and closed when it ends.
        api_key: the key that callers send as `X-API-Key` or as a bearer token, at least 16 characters; None lets only
            this machine call.
        lookup_ttl: how long the answer of a look-up is kept, in seconds.
        max_body_bytes: largest request body.

    Raises:
        ConfigError: the key is too short, or a number is out of range; at the start, a setting is missing.
    """
    if api_key is not None and len(api_key) < _SHORTEST_KEY:
        raise ConfigError(f"the API key needs at least {_SHORTEST_KEY} characters; make one: openssl rand -hex 24")
    if max_body_bytes < 1:
        raise ConfigError(f"max_body_bytes must be 1 or more, not {max_body_bytes}")
    registry = CollectorRegistry(auto_describe=False)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        own = AsyncOctopusClient() if client is None else None
        app.state.client = used = client or own
        assert used is not None  # noqa: S101 - for the type checker: one of the two is a client
        app.state.lookup, app.state.pulse = AsyncLookup(used, ttl=lookup_ttl), _Pulse(used)
        metrics = _Metrics(app)
        registry.register(metrics)
        try:
            yield
        finally:
            registry.unregister(metrics)
            if own is not None:
                await own.aclose()

    async def live() -> dict[str, str]:
        return {"status": "up"}

    async def ready() -> JSONResponse:
        health = await app.state.pulse.health()
        last = app.state.client.last_success_at
        body = {
            "status": "up" if health else "down",
            "stage": health.stage.value,
            "message": health.message,
            "last_success_at": None if last is None else last.isoformat(),
        }
        return JSONResponse(body, 200 if health else 503)

    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
        return of_validation(error)

    app = FastAPI(
        title="Octopus Channel API",
        version=__version__,
        description="The operations of the Octopus Channel API (SOAP) as JSON over HTTP, by octopus-soap.",
        lifespan=lifespan,
    )
    app.add_exception_handler(RequestValidationError, invalid)
    app.include_router(make_router(lambda: app.state.client, lambda: app.state.lookup))
    app.add_api_route("/health/live", live, tags=["health"], summary="Return whether this process answers.")
    app.add_api_route(
        "/health/ready", ready, tags=["health"], summary="Return whether the service answers.", response_model=None
    )
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    app.add_middleware(_Guard, api_key=api_key, max_body_bytes=max_body_bytes)
    _describe(app, api_key)
    return app


def _describe(app: FastAPI, api_key: str | None) -> None:
    """Add the schema of problems and the API key to the OpenAPI document."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = make()
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            if api_key is not None:
                components["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
                schema["security"] = [{"key": []}]
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the document
