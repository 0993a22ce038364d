"""``octopus-soap octopia``: what it prints, what it never prints, and how it leaves."""

import pytest
import typer
from typer.testing import CliRunner

from octopus_soap.cli.octopia import app
from octopus_soap.octopia import SOAP_TO_REST, demo

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


def test_the_demo_runs_end_to_end_and_keeps_every_promise(run):
    done = run("demo")
    assert done.exit_code == 0, done.output
    assert "failed" not in done.output
    for name, _ in demo._STEPS:
        assert name in done.output


def test_a_broken_promise_makes_the_demo_fail_and_the_rest_is_still_shown(run, monkeypatch):
    def broken(_):
        return False, "seen [red]this[/]"

    monkeypatch.setattr(demo, "_STEPS", (("broken", broken), *demo._STEPS[:1]))
    done = run("demo")
    assert done.exit_code == 1
    assert "failed" in done.output
    assert "seen [red]this[/]" in done.output
    assert "Shop 98979" in done.output


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--have", "clientId", "--have", "clientSecret", "--have", "sellerId"], "own-development"),
        (
            ["--have", "clientId", "--have", "clientSecret", "--have", "sellerId", "--for", "plugin"],
            "Plugin of your own",
        ),
        (["--seller-id", "98979"], "aggregator-delegated"),
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
    assert "InputError" in done.output


def test_the_soap_map_is_printed_whole(run):
    done = run("whoami", "--have", "login", "--have", "password", "--soap-map")
    assert all(operation in done.output for operation in SOAP_TO_REST)
    assert "GET /sellers/delivery-modes" in done.output


def test_the_first_calls_print_tables(run, env):
    assert "Shop 98979" in run("sellers", env=env).output
    orders = run("orders", "--status", "WaitingAcceptance", "--limit", "3", env=env).output
    assert orders.count("WaitingAcceptance") == 3
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
