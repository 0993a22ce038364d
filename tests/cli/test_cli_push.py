"""`octopus-soap push` and `octopus-soap ledger`: differences over a ledger, its exit codes, and a look into it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from octopus_soap.jobs import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap.emulator import Emulator

HEAD = "sku,stock,price"


@pytest.fixture
def stock(service: Emulator, csv_file: Callable[..., Path]) -> Path:
    """Ten SKUs the service has, and one it has not."""
    service.store.add_items({"Sku": f"S{i}", "Stock": "0", "Price": Decimal(1)} for i in range(10))
    return csv_file(HEAD, *(f"S{i},{i + 1},9.90" for i in range(10)))


def test_a_push_is_quiet_in_cron_and_sends_differences_only(shell, service: Emulator, stock: Path) -> None:
    first = shell("push", str(stock))
    assert (first.code, first.out, first.err) == (0, "", "")
    calls = len(service.calls)
    assert shell("push", str(stock)).code == 0
    assert len(service.calls) == calls
    stock.write_text(f"{HEAD}\nS0,1,9.90\nS1,7,9.90\n")
    assert shell("push", str(stock)).code == 0
    assert service.calls[-1].keys == ("S1",)


def test_what_is_rejected_is_told_with_exit_code_1(shell, stock: Path) -> None:
    stock.write_text(f"{HEAD}\nS0,1,9.90\nNEW,7,9.90\nS1,many,9.90\n")
    ran = shell("push", str(stock))
    assert ran.code == 1
    assert "rejected NEW  The specified Sku does not exist" in ran.err
    assert "invalid S1   stock: expected an int" in ran.err


def test_a_push_that_changes_too_much_is_refused_with_exit_code_2(shell, service: Emulator, stock: Path) -> None:
    shell("push", str(stock))
    stock.write_text(f"{HEAD}\n" + "".join(f"S{i},0,9.90\n" for i in range(10)))
    refused = shell("push", str(stock))
    assert refused.code == 2
    assert "10 (100%) would become 0" in refused.err
    assert "--force" in refused.err
    dry = shell("push", str(stock), "--dry-run")
    assert dry.code == 2
    assert "stock=10" in dry.out
    assert "nothing was sent" in dry.err
    item = service.store.item("S9")
    assert item is not None
    assert item["Stock"] == "10"
    assert shell("push", str(stock), "--max-change", "100%").code == 0
    assert shell("push", str(stock), "--force").code == 0


def test_a_reconciliation_repairs_what_others_changed(shell, service: Emulator, stock: Path) -> None:
    shell("push", str(stock))
    service.store.add_item("S3", Stock="99", Price=Decimal("9.90"))
    assert shell("push", "--reconcile").code == 0
    item = service.store.item("S3")
    assert item is not None
    assert item["Stock"] == "4"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give a file, --pending or --reconcile, one of them"),
        (["--pending", "--reconcile"], "one of them"),
        (["--pending", "--dry-run"], "--pending sends what was accepted before"),
        (["--reconcile", "--max-change", "2"], "'2' is not a share"),
        (["--reconcile", "--max-change", "much"], "'much' is not a share"),
        (["none.csv"], "none.csv: No such file"),
        (["--reconcile", "--ledger", "mysql://u:geheim@h/d"], "not 'mysql'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(shell, words: list[str], said: str) -> None:
    ran = shell("push", *words)
    assert ran.code == 2
    assert said in ran.err
    assert "geheim" not in ran.err


def test_a_second_push_at_once_ends_with_0_and_says_who_is_at_it(shell, stock: Path, service: Emulator) -> None:
    with Ledger("octopus-ledger.db") as ledger, ledger.run_lock("push"):
        ran = shell("push", str(stock))
    assert ran.code == 0
    assert "another run of push is under way" in ran.err
    assert service.calls == []


def test_pushing_every_so_often_ends_at_sigterm(shell, service: Emulator, stock: Path) -> None:
    environment = {**os.environ, **{f"OCTOPUS_{name.upper()}": value for name, value in service.settings().items()}}
    code = "import sys; from octopus_soap.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "push", str(stock), "--every", "0.05s"]
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    service.wait_for_calls(seconds=60)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "")


def test_a_ledger_is_looked_into_and_what_is_held_is_tried_again(shell, stock: Path, service: Emulator) -> None:
    stock.write_text(f"{HEAD}\nS0,1,9.90\nNEW,7,9.90\n")
    shell("push", str(stock))
    status = shell("ledger", "status", "--output", "json")
    assert (status.code, status.data) == (
        1,
        [{"job": "push", "table": "stock_item", "states": {"done": 1, "rejected": 1}, "due": 0, "leased": 0}],
    )
    assert "done 1, rejected 1" in shell("ledger", "status").out
    shown = shell("ledger", "show", "NEW")
    assert (shown.code, "The specified Sku does not exist" in shown.out) == (0, True)
    assert shell("ledger", "show", "NONE").code == 1
    held = shell("ledger", "quarantine", "--output", "json")
    assert [(row["job"], row["key"], row["state"]) for row in held.data] == [("push", "NEW", "rejected")]
    assert shell("ledger", "quarantine", "--job", "orders").code == 0
    service.store.add_item("NEW", Stock="0")
    assert shell("ledger", "retry", "NEW").out == "released for the next run: 1\n"
    assert shell("ledger", "retry", "NEW").code == 1
    assert shell("push", "--pending").code == 0
    assert shell("ledger", "status").code == 0
    assert shell("ledger", "quarantine").out == "nothing is held\n"


def test_looking_into_a_ledger_that_is_not_there_makes_none(shell, tmp_path: Path) -> None:
    ran = shell("ledger", "status")
    assert (ran.code, "no ledger at octopus-ledger.db" in ran.err) == (2, True)
    assert list(tmp_path.iterdir()) == []
    assert shell("ledger", "retry").code == 2
