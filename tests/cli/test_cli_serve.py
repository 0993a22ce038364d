"""`octopus-soap serve` in its own process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests

from octopus_soap import HttpStatusError, OctopusClient, OctopusError

COMMAND = [sys.executable, "-c", "from octopus_soap.cli import main; main()", "serve"]


@contextmanager
def serving(*options):
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            lines = [process.stdout.readline() for _ in range(6)]
            yield process, dict(line.split(maxsplit=1)[1].strip().split("=", 1) for line in lines[2:])
        finally:
            process.kill()


def client_of(variables):
    return OctopusClient(**{name.removeprefix("OCTOPUS_").lower(): value for name, value in variables.items()})


@pytest.mark.parametrize("ending", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
def test_the_printed_variables_reach_it_and_a_signal_stops_it(ending):
    with serving("--port", "0", "--seed", "3") as (process, variables):
        with client_of(variables) as client:
            assert client.is_sku_exist("DEMO-0003")
        process.send_signal(ending)
        assert process.wait(30) == 0
        assert process.stderr.read() == "stopped\n"


@pytest.mark.long
def test_a_state_file_keeps_the_state_between_runs(tmp_path):
    options = ["--port", "0", "--state", str(tmp_path / "shop.sqlite")]
    with serving(*options, "--seed", "2") as (_, variables), client_of(variables) as client:
        assert client.is_sku_exist("DEMO-0002")
        client.delete_item("DEMO-0001")
        orders = len(client.get_order_list())
    with serving(*options, "--seed", "2") as (_, variables), client_of(variables) as client:
        assert client.is_sku_exist("DEMO-0002")
        assert not client.is_sku_exist("DEMO-0001"), "existing data is kept"
        assert len(client.get_order_list()) == orders


def test_a_taken_port_is_one_line(shell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = shell("serve", "--port", str(port))
    assert ran.code == 2
    assert ran.err == f"octopus-soap: 127.0.0.1:{port}: Address already in use; --port 0 uses any free port\n"


def test_a_strict_service_publishes_plain_values_and_takes_the_hosts_it_is_given():
    with serving("--port", "0", "--strict", "--allow-host", "host.docker.internal") as (_, variables):
        schema = f"{variables['OCTOPUS_ENDPOINT']}?xsd=xsd2"
        allowed, foreign = (
            requests.get(schema, headers={"Host": host}, timeout=10)
            for host in ("host.docker.internal:1", "evil.example")
        )
    assert b'name="Price" type="xs:decimal"' in allowed.content
    assert foreign.status_code == 400


@pytest.mark.long
def test_faults_and_latency_are_given_on_the_command_line():
    options = [
        "--port",
        "0",
        "--seed",
        "3",
        "--fault",
        "IsSkuExist=404",
        "--fault",
        "GetItem*=fault:100%",
        "--latency",
        "1ms",
    ]
    with serving(*options) as (_, variables), client_of(variables) as client:
        with pytest.raises(HttpStatusError):
            client.is_sku_exist("DEMO-0003")
        with pytest.raises(OctopusError):
            client.get_item_list(["DEMO-0001"])
        assert len(client.get_order_list()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fault", "999"], "no fault '999': an HTTP status from 300 to 599, or one of fault, failure, reset, lost"),
        (["--fault", "oops:5%"], "no fault 'oops'"),
        (["--fault", "503:lots"], "the rate is not a share such as 5%, 0.05 or 1/20"),
        (["--fault", "503:200%"], "the rate is not a share"),
        (["--fault", "503:1/0"], "the rate is not a share"),
        (
            ["--token", "short"],
            "it has 5 characters, and needs 16: export OCTOPUS_CONSOLE_TOKEN=$(openssl rand -hex 24)",
        ),
        (["--latency", "soon"], "'soon' is not a time such as 60s"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(shell, words, said):
    ran = shell("serve", "--port", "0", *words)
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_the_same_rules_in_a_test(service, make_client):
    service.script.add("GetItemQuantity=lost:1/1")
    service.script.add("IsSkuExist=503:0%")
    with make_client(max_attempts=1) as client:
        assert client.is_sku_exist("A") is False
        with pytest.raises(OctopusError, match="closed without an answer"):
            client.get_item_quantity("A")
