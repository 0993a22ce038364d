"""The pages `/metrics` and `/healthz` of a fleet, served by Python's wsgiref."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app

from octopus_soap.fleet.status import FleetMetrics, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octopus_soap.jobs.ledger import Ledger


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in Python's class
        """Log no requests."""


def pages(ledger: Ledger) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Return the pages as a WSGI application.

    Args:
        ledger: any ledger on the fleet's database.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FleetMetrics(ledger))
    measured: Any = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            found: Iterable[bytes] = measured(environ, start)
            return found
        if path != "/healthz":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics or /healthz\n"]
        now = health(ledger)
        start("200 OK" if now["healthy"] else "503 Service Unavailable", [("Content-Type", "application/json")])
        return [json.dumps(now).encode()]

    return answer


def health(ledger: Ledger) -> dict[str, Any]:
    """Return what `/healthz` shows: health, merchants by state, the first 20 alarms."""
    now = status(ledger)
    return {"healthy": now.healthy, "merchants": now.merchants, "alarms": now.alarms[:20]}


def metrics(ledger: Ledger) -> bytes:
    """Return what `/metrics` shows, in Prometheus' text form."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FleetMetrics(ledger))
    return generate_latest(registry)


def serve(ledger: Ledger, host: str, port: int, stop: threading.Event) -> None:
    """Serve the pages until *stop* is set.

    Args:
        ledger: any ledger on the fleet's database.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        stop: ends it.

    Raises:
        OSError: the port is taken.
    """
    with make_server(host, port, pages(ledger), handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        stop.wait()
        server.shutdown()
        thread.join()
