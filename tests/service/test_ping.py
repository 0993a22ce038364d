"""`ping` tests network, contract, authentication and service, and raises nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    AsyncOctopusClient,
    ClientClosedError,
    ConfigError,
    ConnectFailedError,
    Health,
    HealthStage,
    OctopusClient,
    OctopusSettings,
)
from octopus_soap.contracts.bundled import contract_path
from octopus_soap.emulator import ApiFailure, Drip, Emulator, Fault, Hang, Html, Lie, Profile, Reset, Status, Truncate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(params=["blocking", "async"])
def ping(request: pytest.FixtureRequest, service: Emulator) -> Callable[..., Health]:
    """Ping once with a new client of either kind and changed settings."""

    def once(first: str = "", timeout: float | None = None, **given: Any) -> Health:
        settings = OctopusSettings.load(**{**service.settings(), **given})
        if request.param == "blocking":
            with OctopusClient(settings=settings) as client:
                if first:
                    client.is_sku_exist(first)
                return client.ping(timeout=timeout)

        async def work() -> Health:
            async with AsyncOctopusClient(settings=settings) as client:
                if first:
                    await client.is_sku_exist(first)
                return await client.ping(timeout=timeout)

        return asyncio.run(asyncio.wait_for(work(), 30))

    return once


def test_all_is_well(ping: Callable[..., Health], service: Emulator) -> None:
    health = ping()
    assert health
    assert (health.ok, health.stage, health.certain, health.advice, health.error) == (
        True, HealthStage.OK, True, "", None,
    )  # fmt: skip
    assert "a read was answered in" in str(health)
    assert health.elapsed == health.info.elapsed > 0
    assert (health.info.http_status, health.info.attempts) == (200, 1)
    assert [(call.operation, call.executed) for call in service.calls] == [("IsSkuExistList", True)]
    assert service.calls[0].reply_size < 2_000
    assert service.lint == []


@pytest.mark.parametrize(
    ("fault", "stage"),
    [
        (Reset("before"), HealthStage.NETWORK),
        (Reset("after"), HealthStage.NETWORK),
        (Reset("mid"), HealthStage.NETWORK),
        (Truncate(0.5), HealthStage.NETWORK),
        (Status(407), HealthStage.NETWORK),
        (Html(), HealthStage.CONTRACT),
        (Status(404), HealthStage.CONTRACT),
        (Status(302, location="https://login.example/"), HealthStage.CONTRACT),
        (Status(415), HealthStage.CONTRACT),
        (Status(413), HealthStage.CONTRACT),
        (Fault("action"), HealthStage.CONTRACT),
        (Fault("deserialization"), HealthStage.CONTRACT),
        (Lie("bad-scalar"), HealthStage.CONTRACT),
        (Status(401), HealthStage.AUTHENTICATION),
        (Status(403), HealthStage.AUTHENTICATION),
        (Status(500), HealthStage.SERVICE),
        (Status(502), HealthStage.SERVICE),
        (Status(503, retry_after=600), HealthStage.SERVICE),
        (Status(429), HealthStage.SERVICE),
        (ApiFailure(), HealthStage.SERVICE),
    ],
    ids=str,
)
def test_each_layer_is_told_apart_by_one_attempt(
    fault: Any, stage: HealthStage, ping: Callable[..., Health], service: Emulator
) -> None:
    service.script.on("IsSkuExistList").do(fault)
    health = ping(max_attempts=5)
    assert (health.stage, bool(health)) == (stage, False), str(health)
    assert health.advice
    assert "\n" not in health.message
    assert health.error is not None
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    "failure", ["internal-fault", "fault-exception", "401-html", "403-empty", "apiresult-failure", "fault-200"]
)
def test_refused_credentials_are_told_in_every_form(
    failure: Any, ping: Callable[..., Health], running_service: Emulator
) -> None:
    with Emulator(profile=Profile(auth_failure=failure), merchants=running_service.merchants) as service:
        health = ping(**{**service.settings(), "authtoken": "an-old-token"})
    assert health.stage is HealthStage.AUTHENTICATION
    assert health.certain is (failure != "internal-fault"), "an outage looks the same as that one"
    assert "an-old-token" not in f"{health!r} {health}"


def test_an_internal_fault_is_the_services_own_once_a_call_had_succeeded(
    ping: Callable[..., Health], service: Emulator
) -> None:
    service.script.on("IsSkuExistList").do(Fault("internal"))
    before, after = ping(), ping(first="A")
    assert (before.stage, before.certain) == (HealthStage.AUTHENTICATION, False)
    assert "outage looks the same" in before.message
    assert (after.stage, after.certain) == (HealthStage.SERVICE, True)


def test_an_answer_without_a_row_proves_little_and_says_so(ping: Callable[..., Health], service: Emulator) -> None:
    service.script.on("IsSkuExistList").do(Lie("missing-row"))
    health = ping()
    assert (health.ok, health.certain) == (True, False)
    assert "nothing in it shows" in health.message
    assert health.advice


def test_nobody_listening_is_a_matter_of_the_network(ping: Callable[..., Health]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    health = ping(endpoint=f"http://127.0.0.1:{port}/OctopusService.svc")
    assert health.stage is HealthStage.NETWORK
    assert isinstance(health.error, ConnectFailedError)
    assert "doctor" in health.advice


def test_plain_http_where_tls_belongs_is_a_matter_of_the_network(
    ping: Callable[..., Health], service: Emulator
) -> None:
    health = ping(endpoint=service.url.replace("http:", "https:"))
    assert health.stage is HealthStage.NETWORK


@pytest.mark.parametrize("fault", [Hang(), Drip(1)], ids=["hangs", "drips"])
@pytest.mark.parametrize("given", [{"timeout": 0.2}, {"ping_timeout": 0.2}], ids=["argument", "setting"])
def test_its_own_limit_holds_and_not_the_calls(
    fault: Any, given: dict[str, float], ping: Callable[..., Health], service: Emulator
) -> None:
    service.script.on("*").do(fault)
    health = ping(**given, max_attempts=5)
    assert health.stage is HealthStage.NETWORK
    assert "total limit of 0.2 s" in health.message
    assert health.elapsed < 5
    assert len(service.calls) == 1


def test_a_contract_without_the_operation_is_a_matter_of_the_contract(
    ping: Callable[..., Health], service: Emulator, tmp_path: Path
) -> None:
    wsdl = tmp_path / "small.wsdl"
    text = contract_path().read_text(encoding="utf-8")
    wsdl.write_text(text.replace('operation name="IsSkuExistList"', 'operation name="SomethingElse"'), encoding="utf-8")
    for schema in contract_path().parent.glob("*.xsd"):
        (tmp_path / schema.name).write_bytes(schema.read_bytes())
    health = ping(wsdl=str(wsdl))
    assert health.stage is HealthStage.CONTRACT
    assert "IsSkuExistList" in health.message
    assert service.calls == []


def test_a_wrong_timeout_and_a_closed_client_are_the_callers_mistakes(client: OctopusClient, service: Emulator) -> None:
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="ping_timeout"):
            client.ping(timeout=wrong)
    client.close()
    with pytest.raises(ClientClosedError):
        client.ping()
    assert service.calls == []


def test_a_stopped_view_may_still_be_pinged(client: OctopusClient) -> None:
    stop = threading.Event()
    stop.set()
    assert client.with_options(stop=stop).ping(), "a job that was stopped can still be pinged"


def test_health_is_a_frozen_record_that_goes_into_json(client: OctopusClient) -> None:
    health = client.ping()
    with pytest.raises(dataclasses.FrozenInstanceError):
        health.message = "fine"  # type: ignore[misc] # what is tested
    shown = json.loads(json.dumps({"ok": health.ok, "stage": health.stage, "elapsed": health.elapsed}))
    assert shown["stage"] == "ok"
    assert set(HealthStage) == {"client", "network", "contract", "authentication", "service", "ok"}
