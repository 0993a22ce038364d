"""The bridge sample: reads Octopus, plans an Octopia package, sends it if asked."""

import importlib.util
from pathlib import Path

import pytest

from octopus_soap.octopia import fake

SAMPLE = Path(__file__).parents[2] / "samples" / "octopus_to_octopia.py"


@pytest.fixture
def bridge():
    spec = importlib.util.spec_from_file_location("octopus_to_octopia", SAMPLE)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look up their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def octopia_saw(monkeypatch):
    seen: list[str] = []
    handle = fake.FakeService.handle

    def recording(self, method, target, headers, body):
        seen.append(method)
        return handle(self, method, target, headers, body)

    monkeypatch.setattr(fake.FakeService, "handle", recording)
    return seen


def test_it_is_a_dry_run_by_default(bridge, capsys, octopia_saw):
    assert bridge.main(["--demo"]) == 1  # one SKU is unknown
    shown = capsys.readouterr().out
    assert "SKU-1: stock 7" in shown
    assert "SKU-2: stock 0" in shown  # oversold in the shop, sold out in the marketplace
    assert "NO-SUCH-SKU: not sent" in shown  # unknown is not zero
    assert "dry run" in shown
    assert octopia_saw == []


def test_it_sends_only_if_asked_and_reports_per_offer(bridge, capsys, octopia_saw):
    assert bridge.main(["--demo", "--send", "--prices", "--tax", "VAT=20", "SKU-1", "SKU-2", "SKU-1"]) == 0
    shown = capsys.readouterr().out
    assert "SKU-1: stock 7  price 19.90" in shown
    assert "package pkg-1: Integrated, 2 of 2 integrated" in shown
    assert "PATCH" in octopia_saw


def test_a_missing_price_is_said_and_never_sent_as_zero(bridge, capsys):
    assert bridge.main(["--demo", "--prices", "--tax", "VAT=20", "SKU-3"]) == 1
    assert "SKU-3: price is None, so only its stock is sent" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--prices", "X"], ["--tax", "VAT=20", "X"], ["--prices", "--tax", "VAT", "X"]])
def test_a_command_line_that_cannot_be_meant_is_refused(bridge, words):
    with pytest.raises(SystemExit) as raised:
        bridge.main(words)
    assert raised.value.code == 2


def test_a_missing_configuration_is_one_line(bridge, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ENDPOINT", "AUTHTOKEN", "MERCHANTNAME", "ACCESSID"):
        monkeypatch.delenv(f"OCTOPUS_{name}", raising=False)
    assert bridge.main(["SKU-1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
