"""The cron sample: differences only, open SKUs named, exit codes for schedulers."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from octopus_soap.emulator import Hang, Reset, Status
from samples import cron_job
from tests.every import every

SAMPLE = Path(__file__).parents[2] / "samples" / "cron_job.py"
UPDATE = "UpdateItemQuantityAndPriceList"


@pytest.fixture
def shop(configured, caplog):
    caplog.set_level(logging.INFO)
    for sku in ("A", "B"):
        configured.store.add_item(sku, Stock=1, Price="1.00", Cost="0.50")
    write("A,7,19.90", "B,3,")
    return configured


def write(*lines):
    Path("stock.csv").write_text("\n".join(["sku,stock,price", *lines, ""]), encoding="utf-8")


def job(*words, **env):
    return subprocess.Popen(
        [sys.executable, SAMPLE, *words], env={**os.environ, **env}, stderr=subprocess.PIPE, text=True
    )


def test_it_sends_the_file_once_and_then_only_what_changed(shop):
    assert cron_job.main(["stock.csv"]) == 0
    assert (shop.store.item("A")["Stock"], shop.store.item("A")["Price"]) == ("7", Decimal("19.9"))
    assert (shop.store.item("B")["Stock"], shop.store.item("B")["Price"]) == ("3", Decimal(1))
    assert cron_job.main(["stock.csv"]) == 0
    assert [call.keys for call in shop.calls if call.operation == UPDATE] == [("A", "B")]
    write("A,7,19.90", "B,4,")
    assert cron_job.main(["stock.csv", "--force"]) == 0
    assert [call.keys for call in shop.calls if call.operation == UPDATE] == [("A", "B"), ("B",)]
    assert shop.lint == []


def test_what_is_wrong_with_a_sku_is_named_in_every_run_and_keeps_no_other(shop, caplog):
    write("A,7,19.90", "NO-SUCH-SKU,1,1.00", "B,many,1.00")
    for _ in range(2):
        caplog.clear()
        assert cron_job.main(["stock.csv"]) == 1
        assert "rejected NO-SUCH-SKU" in caplog.text
        assert "invalid B" in caplog.text
    assert shop.store.item("A")["Stock"] == "7"


def test_a_run_that_broke_off_is_finished_by_the_next(shop):
    shop.script.on(UPDATE, nth=1).do(Reset("after"))
    assert cron_job.main(["stock.csv"]) == 0  # the client repeats what may be repeated
    write("A,8,19.90", "B,3,")
    shop.script.clear()
    shop.script.on(UPDATE).do(Status(503))
    assert cron_job.main(["stock.csv", "--force"]) == cron_job.FAILED
    shop.script.clear()
    assert cron_job.main(["stock.csv", "--force"]) == 0
    assert shop.store.item("A")["Stock"] == "8"


def test_half_an_export_is_refused(shop, caplog):
    assert cron_job.main(["stock.csv"]) == 0
    write("A,0,19.90", "B,0,")
    assert cron_job.main(["stock.csv"]) == cron_job.FAILED
    assert "would become 0" in caplog.text
    assert shop.store.item("A")["Stock"] == "7"
    assert cron_job.main(["stock.csv", "--force"]) == 0
    assert shop.store.item("A")["Stock"] == "0"


@pytest.mark.parametrize("content", ["stock,price\n7,19.90\n", "", None])
def test_a_file_that_cannot_be_meant_sends_nothing(shop, content):
    if content is None:
        Path("stock.csv").unlink()
    else:
        Path("stock.csv").write_text(content, encoding="utf-8")
    assert cron_job.main(["stock.csv"]) == cron_job.FAILED
    assert shop.calls == []


def test_wrong_credentials_are_said_and_not_shown(shop, monkeypatch, caplog):
    monkeypatch.setenv("OCTOPUS_AUTHTOKEN", "not-the-token")
    shop.script.on("*").do(Status(401))
    assert cron_job.main(["stock.csv"]) == cron_job.FAILED
    assert "AuthenticationError" in caplog.text
    assert "not-the-token" not in caplog.text


def test_a_missing_setting_is_named(shop, monkeypatch, caplog):
    monkeypatch.delenv("OCTOPUS_ENDPOINT")
    assert cron_job.main(["stock.csv"]) == cron_job.FAILED
    assert "OCTOPUS_ENDPOINT" in caplog.text


@pytest.mark.long
def test_while_a_run_is_at_it_another_does_nothing_and_sigterm_ends_the_first(shop):
    """The first run's request hangs until its limit; its second batch never begins."""
    shop.script.on(UPDATE, nth=1).do(Hang())
    sizes = {"OCTOPUS_BATCH_SIZES": f'{{"{UPDATE}": 1}}', "OCTOPUS_READ_TIMEOUT": "4", "OCTOPUS_MAX_ATTEMPTS": "1"}
    first = job("stock.csv", **sizes)
    while not shop.calls:
        assert first.poll() is None
    assert cron_job.main(["stock.csv"]) == cron_job.STILL_RUNNING
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=60)
    assert "push" in said
    assert len(shop.calls) == 1
    assert cron_job.main(["stock.csv"]) == 0
    assert (shop.store.item("A")["Stock"], shop.store.item("B")["Stock"]) == ("7", "3")


@pytest.mark.long
def test_the_demo_runs():
    demo = job("--demo")
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "rejected NO-SUCH-SKU" in said
    assert "acknowledged 2" in said


@every("words", [[], ["--demo", "file.csv"]])
def test_a_command_line_that_cannot_be_meant_is_refused(words):
    with pytest.raises(SystemExit) as raised:
        cron_job.main(words)
    assert raised.value.code == 2
