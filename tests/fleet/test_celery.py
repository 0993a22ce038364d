"""Fleets on Celery, at a real broker: fleets keep apart, a killed worker's runs are done, and no queue is left behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from octopus_soap.cli.commands import run
from octopus_soap.errors import ConfigError
from octopus_soap.fleet.celery_engine import CeleryEngine, delete_queues, make_app, queue_name, register
from octopus_soap.fleet.schedule import QUEUES, Due
from octopus_soap.fleet.vault import new_key
from tests.fleet.crew import BROKER, Crew, why_no_broker
from tests.fleet.fleet_stage import CANARY, FUNCTIONS, finished, merchants_csv, shops

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def broker() -> None:
    if why := why_no_broker():
        pytest.skip(f"no broker to test on: {why}")


def waiting(name: str) -> dict[str, int]:
    """How many messages wait in each of a fleet's queues that exist."""
    app, found = make_app(BROKER, name=name), {}
    with app.connection_for_write() as connection:
        for queue in QUEUES:
            channel = connection.channel()
            try:
                declared = channel.queue_declare(queue_name(name, queue), passive=True)
            except connection.channel_errors:
                continue
            found[queue] = declared.message_count
    return found


def test_two_fleets_on_one_broker_keep_their_messages_apart_and_a_message_holds_two_names(tmp_path: Path) -> None:
    with Crew(tmp_path, {}) as north, Crew(tmp_path, {}) as south:
        for name in (north.name, south.name):
            engine = CeleryEngine(BROKER, name=name)
            engine.submit(Due("berlin", "orders", "slow"))
            engine.stop(1)
        CeleryEngine(BROKER, name=north.name).submit(Due("hamburg", "push", "push"))
        assert waiting(north.name) == {"push": 1, "slow": 1}
        assert waiting(south.name) == {"slow": 1}
        with make_app(BROKER, name=south.name).connection_for_write() as connection:
            message = connection.channel().basic_get(queue_name(south.name, "slow"), no_ack=True)
            assert '[["berlin", "orders"], {}' in message.body
            assert message.properties["delivery_mode"] == 2, "it outlives the broker"
        assert delete_queues(BROKER, name=north.name) == 2
        assert waiting(north.name) == {}
        assert delete_queues(BROKER, name=north.name) == 0


def test_what_cannot_start_says_why_without_the_password() -> None:
    wrong = BROKER.replace("guest:guest@", "guest:canary-password@")
    with pytest.raises(ConfigError, match="ACCESS_REFUSED") as caught:
        delete_queues(wrong)
    assert "canary" not in str(caught.value)
    for name in ("", "a b", "a.b", "x" * 41):
        with pytest.raises(ConfigError, match="letters"):
            make_app(BROKER, name=name)
    app = make_app(BROKER)
    register(app, lambda *_: None)
    with pytest.raises(ConfigError, match="registered"):
        register(app, lambda *_: None)


@pytest.mark.long
def test_celery_workers_run_the_fleet_and_survive_a_kill(tmp_path: Path) -> None:
    keys = new_key()
    (tmp_path / "fleet_functions.py").write_text(FUNCTIONS)
    variables = {"OCTOPUS_FLEET_KEYS": keys, "OCTOPUS_FLEET_MODULE": "fleet_functions"}
    place = str(tmp_path / "octopus-fleet.db")
    with shops(6) as service, Crew(tmp_path, {**variables, "OCTOPUS_FLEET": place}) as crew:
        merchants_csv(tmp_path, service)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OCTOPUS_FLEET_KEYS", keys)
            assert run(["fleet", "import", os.fspath(tmp_path / "merchants.csv"), "--ledger", place]) == 0
        crew.start("tick", "--workers", "2")
        first = crew.start("worker", "--slots", "8")
        crew.wait_until(lambda: any(call.merchant for call in service.calls))
        crew.start("worker", "--slots", "8")
        crew.kill(first)
        crew.wait_until(lambda: finished(service))
        assert len(set((tmp_path / "journal").read_text().splitlines())) == 12
        assert CANARY not in crew.written()
