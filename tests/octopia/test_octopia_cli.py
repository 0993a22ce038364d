"""``octopus-soap octopia``: its output, its exit codes, and no secrets."""

import importlib.util
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from octopus_soap.cli import octopia
from octopus_soap.cli.octopia import app

SAMPLE = Path(__file__).parents[2] / "samples" / "octopia_demo.py"
CANARY = "canary-secret-value"


@pytest.fixture
def run(monkeypatch):
    for name in ("CLIENT_ID", "CLIENT_SECRET", "SELLER_ID", "LOGIN", "PASSWORD", "TOKEN_URL", "API_URL", "CA_BUNDLE"):
        monkeypatch.delenv(f"OCTOPIA_{name}", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*args: str, env: dict[str, str] | None = None):
        return CliRunner().invoke(app, list(args), env=env)

    return invoke


@pytest.fixture
def env(fake):
    return {
        "OCTOPIA_CLIENT_ID": fake.client_id,
        "OCTOPIA_CLIENT_SECRET": fake.client_secret,
        "OCTOPIA_SELLER_ID": fake.seller_id,
        "OCTOPIA_TOKEN_URL": fake.token_url,
        "OCTOPIA_API_URL": fake.api_url,
    }


def test_the_demo_keeps_its_three_promises(run):
    done = run("demo")
    assert done.exit_code == 0, done.output
    assert "failed" not in done.output
    assert all(name in done.output for name, _ in octopia._STEPS)


def test_a_broken_promise_makes_the_demo_fail_and_the_rest_is_still_shown(run, monkeypatch):
    def broken(_):
        return False, "seen [red]this[/]"

    monkeypatch.setattr(octopia, "_STEPS", (("broken", broken), *octopia._STEPS[:1]))
    done = run("demo")
    assert done.exit_code == 1
    assert "failed" in done.output
    assert "seen [red]this[/]" in done.output
    assert "Shop 55501" in done.output


@pytest.mark.long
def test_the_demo_of_the_samples_keeps_every_promise(capsys):
    spec = importlib.util.spec_from_file_location("octopia_demo", SAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module
    try:
        spec.loader.exec_module(module)
        assert module.main() == 0
    finally:
        del sys.modules[spec.name]
    shown = capsys.readouterr().out
    assert shown.count("ok ") == len(module.STEPS) == 12


def test_no_control_character_of_the_service_reaches_the_terminal(run, env, service):
    service.sellers["55501"]["shop_name"] = "Shop\x1b[2J\u202e\x9b\nnext"
    shown = run("sellers", env=env).output
    assert "Shop" in shown
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--have", "clientId", "--have", "clientSecret", "--have", "sellerId"], "own-development"),
        (
            ["--have", "clientId", "--have", "clientSecret", "--have", "sellerId", "--for", "plugin"],
            "Plugin of your own",
        ),
        (["--seller-id", "55501"], "aggregator-delegated"),
        (["--client-id", "My Client Name", "--client-secret", CANARY], "Integrator or aggregator"),
        (["--login", "shop-api", "--password", CANARY], "closed SOAP API"),
        (["--authtoken", CANARY, "--merchantname", "m", "--accessid", CANARY], "octopus_soap.OctopusClient"),
    ],
)
def test_whoami_tells_the_kind_and_never_a_secret(run, args, text):
    done = run("whoami", *args)
    assert done.exit_code == 0, done.output
    assert text in done.output
    assert "Next 1" in done.output
    assert CANARY not in done.output


def test_whoami_reads_the_environment_and_never_shows_it(run):
    env = {"OCTOPIA_CLIENT_ID": "My Client Name", "OCTOPIA_CLIENT_SECRET": CANARY, "OCTOPIA_SELLER_ID": "5"}
    done = run("whoami", env=env)
    assert "own-development" in done.output
    assert CANARY not in done.output
    assert CANARY not in run("whoami", "--help", env=env).output


def test_whoami_of_nothing_says_what_is_needed_and_fails(run):
    done = run("whoami")
    assert done.exit_code == 1
    assert "client_id, client_secret, seller_id" in done.output


def test_whoami_refuses_a_use_that_cannot_be(run):
    done = run("whoami", "--for", "octopus")
    assert done.exit_code == 2
    assert "OctopiaInputError" in done.output


def test_whoami_explains_an_api_key(run):
    done = run("whoami", "--have", "apiKey")
    assert "no API key and no long-lived token" in done.output


def test_the_first_calls_print_tables(run, env):
    assert "Shop 55501" in run("sellers", env=env).output
    orders = run("orders", "--status", "WaitingAcceptance", "--limit", "3", env=env).output
    assert orders.count("WaitingAcceptance") == 3
    listed = run("orders", "--limit", "3", "-o", "jsonl", env=env).output.splitlines()
    assert [line.startswith('{"order_id": "') for line in listed] == [True] * 3
    assert "SKU-2" in run("offers", "CDISFR", "--limit", "2", env=env).output


def test_a_failure_is_one_line_without_secrets_and_without_a_traceback(run, env):
    done = run("sellers", env=env | {"OCTOPIA_CLIENT_SECRET": CANARY})
    assert done.exit_code == 2
    assert "TokenRefusedError" in done.output
    assert "Traceback" not in done.output
    assert CANARY not in done.output


def test_missing_credentials_are_named(run):
    done = run("sellers")
    assert done.exit_code == 2
    assert "OCTOPIA_CLIENT_SECRET" in done.output


def test_it_can_be_mounted_in_a_larger_app():
    main = typer.Typer()
    main.add_typer(app)
    assert "whoami" in CliRunner().invoke(main, ["octopia", "--help"]).output
