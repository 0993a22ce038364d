"""The look-up service: its answers to callers, probes and Prometheus."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvicorn

from octopus_soap import ConfigError, OctopusSettings
from octopus_soap.emulator import Drip, Fault, Hang, Html, Reset, Status
from samples import fastapi_service

ROOT = Path(__file__).parents[2]


class Running:
    """The application on a real socket, in a thread."""

    def __init__(self, app):
        listening = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]})
        self._thread.start()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30, trust_env=False)

    def close(self):
        self.http.close()
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture
def serve(service):
    """Start the sample with given settings, and return an HTTP client of it."""
    running = []

    def start(**settings):
        given = {**service.settings(), "backoff_base": 0.0, **settings}
        running.append(Running(fastapi_service.create_app(OctopusSettings.load(**given))))
        return running[-1].http

    yield start
    for each in running:
        each.close()


@pytest.fixture
def http(serve):
    return serve()


def metric(http, name, **labels):
    """Return the sum of a metric's samples with the given labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = [line for line in http.get("/metrics").text.splitlines() if re.match(rf"{name}[{{ ]", line)]
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(part in line for part in wanted))


# -- look-ups ------------------------------------------------------------------------------------------------------


def test_an_item_is_looked_up(http, service):
    assert service.calls == []
    assert http.get("/stock/SKU-9").status_code == 404
    service.store.add_item("SKU-9", Stock=7)
    answer = http.get("/stock/SKU-9")
    assert (answer.status_code, answer.json()) == (200, {"sku": "SKU-9", "stock": 7})


def test_many_items_keep_their_order_and_unknown_ones_are_named(http, service):
    for sku, stock in {"A": 1, "B": 0}.items():
        service.store.add_item(sku, Stock=stock)
    answer = http.post("/stock", json=["B", "X", "A", "A"])
    assert answer.json() == {
        "found": [{"sku": "B", "stock": 0}, {"sku": "A", "stock": 1}, {"sku": "A", "stock": 1}],
        "missing": ["X"],
    }


def test_all_requests_share_one_client_and_its_connections(serve, service):
    service.store.add_item("A", Stock=1)
    http = serve(max_connections=3)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: http.get("/stock/A").json(), range(60)))
    assert answers == [{"sku": "A", "stock": 1}] * 60
    assert len({call.connection for call in service.calls}) <= 3


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "title"),
    [
        (Status(429, retry_after=900), 503, "too many requests at the moment"),
        (Status(503, retry_after=900), 503, "too many requests at the moment"),
        (Status(401), 502, "the stock system rejected this service's credentials"),
        (Hang(), 504, "the stock system did not answer in time"),
        (Drip(1), 504, "the stock system did not answer in time"),
        (Fault("internal-with-details"), 502, "the stock system failed"),
        (Status(500, body="html"), 502, "the stock system failed"),
        (Html(), 502, "the stock system failed"),
        (Reset("mid"), 502, "the stock system failed"),
    ],
    ids=str,
)
def test_a_failure_is_a_problem_document_that_says_what_to_do(serve, service, caplog, fault, status, title):
    http = serve(total_timeout=0.5, max_attempts=1)
    service.store.add_item("A", Stock=1)
    assert http.get("/stock/A").status_code == 200  # the credentials are accepted
    service.script.on("GetItemQuantityList").do(fault)
    with caplog.at_level(logging.INFO, "stock_service"):
        answer = http.get("/stock/A")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["title"]) == (status, status, title)
    assert problem["request_id"] in caplog.text
    assert set(problem) == {"type", "title", "status", "request_id"}  # no text of the service is passed on
    assert answer.headers.get("retry-after") == ("900" if "too many" in title else None)


def test_nothing_listening_is_a_bad_gateway(serve, service):
    http = serve(max_attempts=1)
    service.stop()
    assert http.get("/stock/A").status_code == 502
    service.start()


@pytest.mark.parametrize("path", ["/stock/" + "x" * 51, "/stock/%01"])
def test_what_cannot_be_a_sku_is_refused_before_it_is_sent(http, service, path):
    answer = http.get(path)
    assert (answer.status_code, answer.json()["title"]) == (422, "this cannot be a SKU")
    assert service.calls == []


@pytest.mark.parametrize("body", [[], ["x"] * 1_001, [1], "A", None])
def test_a_body_that_cannot_be_meant_is_a_problem_document_too(http, service, body):
    answer = http.post("/stock", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]
    assert service.calls == []


def test_a_subclass_comes_before_its_base_class():
    assert list(fastapi_service.PUBLIC_ERRORS)[-1].__name__ == "OctopusError", "the general one comes last"
    kinds = list(fastapi_service.PUBLIC_ERRORS)
    assert not [(a, b) for i, a in enumerate(kinds) for b in kinds[i + 1 :] if issubclass(b, a)], "it would never win"


def test_without_settings_it_does_not_start(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    app = fastapi_service.create_app()

    async def start():
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(ConfigError, match="OCTOPUS_ENDPOINT"):
        asyncio.run(start())


# -- health and metrics --------------------------------------------------------------------------------------------


def test_liveness_asks_nobody_and_readiness_asks_the_service_now_and_then(http, service):
    assert http.get("/health/live").json() == {"status": "up"}
    assert service.calls == []
    first = http.get("/health/ready")
    assert (first.status_code, first.json()["stage"]) == (200, "ok")
    assert first.json()["last_success_at"] is not None
    assert first.json()["counters"]["requests"] == 1
    for _ in range(5):
        http.get("/health/ready")
    assert len(service.calls) == 1


def test_a_service_that_is_down_makes_it_unready_and_not_dead(serve, service, monkeypatch):
    monkeypatch.setattr(fastapi_service, "PING_EVERY", -1.0)  # every probe pings
    http = serve()
    assert http.get("/health/ready").status_code == 200
    service.script.on("*").do(Status(503))
    down = http.get("/health/ready")
    assert (down.status_code, down.json()["status"], down.json()["stage"]) == (503, "down", "service")
    assert http.get("/health/live").status_code == 200
    service.script.clear()
    assert http.get("/health/ready").status_code == 200


def test_metrics_count_what_was_asked_and_name_no_item(http, service):
    service.store.add_item("SECRET-SKU", Stock=1)
    http.post("/stock", json=["SECRET-SKU", "X"])
    service.script.on("*", nth=1).do(Status(503))
    http.get("/stock/SECRET-SKU")
    method = "OctopusService/GetItemQuantityList"
    assert metric(http, "rpc_client_call_duration_seconds_count", rpc_method=method) == 2
    assert metric(http, "octopus_soap_items_total", octopus_soap_outcome="ok") == 2
    assert metric(http, "octopus_soap_retries_total", rpc_method=method) == 1
    assert "SECRET-SKU" not in http.get("/metrics").text


def test_two_applications_in_one_process_count_apart(serve, service):
    service.store.add_item("A", Stock=1)
    one, other = serve(), serve()
    one.get("/stock/A")
    assert metric(one, "rpc_client_call_duration_seconds_count") == 1
    assert metric(other, "rpc_client_call_duration_seconds_count") == 0


@pytest.mark.long
def test_the_demo_serves():
    """In a process, because uvicorn takes over the signals of its process."""
    code = (
        "import asyncio, httpx, uvicorn; from samples import fastapi_service as s\n"
        "async def ask(app):\n"
        "    async with app.router.lifespan_context(app), httpx.AsyncClient(\n"
        "        transport=httpx.ASGITransport(app), base_url='http://shop'\n"
        "    ) as http:\n"
        "        print((await http.get('/stock/SKU-2')).json())\n"
        "uvicorn.run = lambda app, **_: asyncio.run(ask(app)); s.main(['--demo'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "{'sku': 'SKU-2', 'stock': 2}\n"
