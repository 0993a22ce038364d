"""The scheduled function: one client per container, and an answer in time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from octopus_soap import BatchError
from octopus_soap.emulator import Hang, Reset
from samples import scheduled_lambda

ROOT = Path(__file__).parents[2]


class Context:
    """The platform's clock: gives the listed milliseconds, then the last one again."""

    def __init__(self, *milliseconds: int) -> None:
        self._left = list(milliseconds)

    def get_remaining_time_in_millis(self) -> int:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


@pytest.fixture
def container(configured):
    """A fresh container."""
    scheduled_lambda.shop.cache_clear()
    yield configured
    if scheduled_lambda.shop.cache_info().currsize:
        scheduled_lambda.shop().close()
    scheduled_lambda.shop.cache_clear()


def test_what_runs_low_what_is_unknown_and_nothing_else(container):
    for sku, stock in {"A": 12, "B": 3, "C": 0, "D": -1}.items():
        container.store.add_item(sku, Stock=stock)
    event = {"skus": ["A", "B", "C", "D", "X", "B"], "at_most": 3}
    answer = scheduled_lambda.handler(event, Context(30_000))
    assert answer == {"low": {"B": 3, "C": 0, "D": -1}, "unknown": ["X"], "left": []}
    assert json.loads(json.dumps(answer)) == answer


def test_invocations_of_a_container_share_one_client_and_connection(container):
    container.store.add_item("A", Stock=1)
    for _ in range(3):
        scheduled_lambda.handler({"skus": ["A"]}, Context(30_000))
    assert {call.connection for call in container.calls} == {container.calls[0].connection}
    assert scheduled_lambda.shop.cache_info().misses == 1


def test_a_connection_closed_while_the_container_was_frozen_loses_nothing(container):
    container.store.add_item("A", Stock=1)
    event = {"skus": ["A"], "at_most": 1}
    scheduled_lambda.handler(event, Context(30_000))
    container.script.on("*", nth=2).do(Reset("before"))
    assert scheduled_lambda.handler(event, Context(30_000))["low"] == {"A": 1}


def test_what_there_is_no_time_for_is_left_for_the_next_invocation(container, monkeypatch):
    monkeypatch.setattr(scheduled_lambda, "CHUNK", 2)
    for sku in "ABCD":
        container.store.add_item(sku, Stock=0)
    answer = scheduled_lambda.handler({"skus": list("ABCDE")}, Context(30_000, 25_000, 1_900))
    assert answer == {"low": dict.fromkeys("ABCD", 0), "unknown": [], "left": ["E"]}


def test_the_time_that_is_left_bounds_a_service_that_hangs(container):
    container.script.on("*").do(Hang())
    with pytest.raises(BatchError, match=r"total limit of 0\.3 s"):
        scheduled_lambda.handler({"skus": ["A"]}, Context(2_300))


@pytest.mark.long
def test_a_container_builds_its_client_while_it_starts(container, monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "stock-watch")
    code = "from samples import scheduled_lambda as s; print(s.shop.cache_info().currsize)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "1\n"
    monkeypatch.delenv("OCTOPUS_AUTHTOKEN")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "OCTOPUS_AUTHTOKEN" in done.stderr


@pytest.mark.long
def test_the_demo_runs():
    sample = ROOT / "samples" / "scheduled_lambda.py"
    done = subprocess.run([sys.executable, sample, "--demo"], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"low": {"SKU-1": 3, "SKU-2": 0}, "unknown": ["NO-SUCH-SKU"], "left": []}
