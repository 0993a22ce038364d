"""`octopus-soap push` and `octopus-soap ledger`: differences and exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import typer

from octopus_soap.cli.jobs import run_job
from octopus_soap.jobs import Ledger, Report
from octopus_soap.jobs.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap.emulator import Emulator

HEAD = "sku,stock,price"


@pytest.fixture
def stock(service: Emulator, csv_file: Callable[..., Path]) -> Path:
    """Ten SKUs that the service has, and one that it does not have."""
    service.store.add_items({"Sku": f"S{i}", "Stock": "0", "Price": Decimal(1)} for i in range(10))
    return csv_file(HEAD, *(f"S{i},{i + 1},9.90" for i in range(10)))


def test_a_push_says_in_a_line_what_it_did_and_sends_differences_only(shell, service: Emulator, stock: Path) -> None:
    first = shell("push", str(stock))
    assert (first.code, first.out, first.err.count("\n")) == (0, "", 1)
    assert re.fullmatch(r"push in [\d.]+ s: read 10, new 10, calls 1, acknowledged 10\n", first.err)
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
    assert "invalid S1   row 4, column stock, value 'many': expected an int" in ran.err


def test_a_push_that_changes_too_much_is_refused_with_exit_code_2(shell, service: Emulator, stock: Path) -> None:
    shell("push", str(stock))
    stock.write_text(f"{HEAD}\n" + "".join(f"S{i},0,9.90\n" for i in range(10)))
    refused = shell("push", str(stock))
    assert refused.code == 2
    assert refused.err.count("10 (100%) would become 0") == 1
    assert "--force" in refused.err
    as_json = shell("push", str(stock), "--output", "json")
    assert (as_json.code, as_json.data["exit_code"], as_json.err) == (2, 2, refused.err)
    assert refused.err == f"octopus-soap: {as_json.data['error']}\n"
    dry = shell("push", str(stock), "--dry-run")
    assert dry.code == 2
    assert "stock=10" in dry.out
    assert "(dry run, nothing was sent)" in dry.err
    assert dry.err.count("would become 0") == 1
    item = service.store.item("S9")
    assert item is not None
    assert item["Stock"] == "10"
    assert shell("push", str(stock), "--max-change", "100%").code == 0
    report = shell("push", str(stock), "--output", "json").data
    assert (report["exit_code"], report["counts"]["unchanged"], report["problems"]) == (0, 10, [])
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


@pytest.mark.parametrize("given", ["none.csv", "folder", "folder/none.csv"])
def test_a_file_that_cannot_be_read_makes_no_ledger(shell, tmp_path: Path, given: str) -> None:
    (tmp_path / "folder").mkdir()
    ran = shell("push", given)
    assert (ran.code, ran.err.startswith(f"octopus-soap: {given}: ")) == (2, True)
    assert not (tmp_path / "octopus-ledger.db").exists()


def test_a_pipe_for_a_push_has_a_name(shell) -> None:
    ran = shell("push", "-")
    assert (ran.code, "octopus-soap push /dev/stdin" in ran.err) == (2, True)


def test_a_column_of_stores_that_is_not_there_is_one_problem(shell, stock: Path) -> None:
    ran = shell("push", str(stock), "--store-column", "location")
    assert (ran.code, ran.err.count("no column location")) == (2, 1)


def test_a_second_push_at_once_ends_with_3_and_says_which_process_runs(shell, stock: Path, service: Emulator) -> None:
    with Ledger("octopus-ledger.db") as ledger, ledger.run_lock("push"):
        ran = shell("push", str(stock))
        as_json = shell("push", str(stock), "--output", "json")
    assert ran.code == 3
    assert (as_json.code, as_json.data["exit_code"], ran.err) == (3, 3, f"octopus-soap: {as_json.data['error']}\n")
    assert "another run of push is under way" in ran.err
    assert service.calls == []


@pytest.mark.long
def test_pushing_every_so_often_ends_at_sigterm(shell, service: Emulator, stock: Path) -> None:
    environment = {**os.environ, **{f"OCTOPUS_{name.upper()}": value for name, value in service.settings().items()}}
    code = "import sys; from octopus_soap.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "push", str(stock), "--every", "0.05s"]
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    service.wait_for_calls(seconds=60)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert {line.partition(" in ")[0] for line in told.splitlines()} == {"push"}


def test_a_ledger_is_looked_into_and_what_is_held_is_tried_again(shell, stock: Path, service: Emulator) -> None:
    stock.write_text(f"{HEAD}\nS0,1,9.90\nNEW,7,9.90\n")
    shell("push", str(stock))
    status = shell("ledger", "status", "--output", "json")
    assert (status.code, status.data) == (
        1,
        [
            {
                "job": "push",
                "table": "stock_item",
                "states": {"done": 1, "rejected": 1},
                "due": 0,
                "leased": 0,
                "held": 1,
            }
        ],
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_input_was_read_does_not_look_like_success(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def job(stop: threading.Event) -> Report:
        os.kill(os.getpid(), number)
        assert stop.is_set()
        return Report("push", datetime.now(UTC), interrupted=True, incomplete=True)

    with pytest.raises(typer.Exit) as ended:
        run_job(job, None)
    assert ended.value.exit_code == 128 + number
    assert "before all of the input was read: nothing of it was taken over" in capsys.readouterr().err


def test_decimal_commas_are_read_if_they_are_asked_for(shell, service: Emulator, csv_file: Callable[..., Path]) -> None:
    service.store.add_items({"Sku": f"S{i}", "Stock": "0", "Price": Decimal(1)} for i in range(2))
    stock = csv_file("sku;stock;price", "S0;3,00;12,50", "S1;4;1.299")
    refused = shell("push", str(stock))
    assert refused.code == 2
    assert "row 3, column price, value '1.299': is it 1299 or 1.299?" in refused.err
    assert service.calls == []
    assert shell("stock", "push", str(stock)).code == 2
    assert shell("push", str(stock), "--decimal", ",", "--thousands", ".").code == 0
    assert [service.store.item(f"S{i}")["Price"] for i in range(2)] == [Decimal("12.5"), Decimal(1299)]
    assert shell("stock", "push", str(stock), "--decimal", ",", "--thousands", ".").code == 0
    assert shell("push", str(stock), "--decimal", ";").code == 2


def test_advice_about_numbers_names_only_options_that_the_command_has(
    shell, service: Emulator, csv_file: Callable[..., Path], tmp_path: Path
) -> None:
    unclear = csv_file("sku,price", "A,1.299").rename(tmp_path / "unclear.csv")
    commas = csv_file("sku;price", "A;12,50")
    for words in (("items", "upload"), ("stock", "push"), ("push",)):
        assert "--decimal , --thousands . means the first, --decimal . the second" in shell(*words, str(unclear)).err
        shown = shell(*words, str(commas))
        assert "--decimal , reads a decimal comma" in shown.out + shown.err
    for call in ("UploadItemList", "UpdateItemQuantityAndPriceList"):
        assert "no other number shows it: write 1299 or 1.2990" in shell("call", call, "--items", f"@{unclear}").err
        assert "write the decimal comma as a point" in shell("call", call, "--items", f"@{commas}").err
    assert service.calls == []
    assert shell("items", "upload", str(unclear), "--decimal", ".").code == 0
    assert service.store.item("A")["Price"] == Decimal("1.299")
    assert shell("items", "upload", str(commas), "--decimal", ",").code == 0
    assert service.store.item("A")["Price"] == Decimal("12.5")
    grouped = csv_file("sku;price", "A;1.234,50")
    for options in ((), ("--decimal", ",")):
        shown = shell("stock", "push", str(grouped), *options)
        assert "--decimal , --thousands . reads" in shown.out + shown.err
    assert shell("stock", "push", str(grouped), "--decimal", ",", "--thousands", ".").code == 0


def test_every_channel_of_a_ledger_is_shown(shell, stock: Path) -> None:
    shell("push", str(stock))
    shell("push", str(stock), "--channel", "berlin")
    rows = shell("ledger", "status", "--all", "--output", "json").data
    assert [(row["channel"], row["job"], row["states"]) for row in rows] == [
        ("berlin", "push", {"done": 10}),
        ("main", "push", {"done": 10}),
    ]


def test_a_rejected_sku_with_a_blank_is_quoted_and_can_be_forgotten(shell, stock: Path) -> None:
    stock.write_text(f"{HEAD}\nS0,1,9.90\nS1 ,1,9.90\n")
    assert "rejected 'S1 '" in shell("push", str(stock)).err
    assert shell("ledger", "forget", "S1 ").code == 0
    assert shell("ledger", "status").code == 0
    assert shell("ledger", "forget", "S1 ").code == 1


def test_a_channel_that_is_not_there_is_an_error_that_names_those_there_are(shell, stock: Path) -> None:
    shell("push", str(stock), "--channel", "shop")
    for words in (("status",), ("quarantine",), ("retry", "--all"), ("purge", "--older-than", "90d")):
        ran = shell("ledger", *words, "--channel", "shp")
        assert ran.code == 2
        assert "no channel 'shp' in the ledger octopus-ledger.db; channels there: 'shop'" in ran.err
    assert shell("ledger", "status", "--channel", "shop").code == 0
    ran = shell("push", "--reconcile", "--channel", "shp")
    assert (ran.code, "nothing of channel 'shp' was ever acknowledged" in ran.err) == (2, True)


NOTHING = [
    (f"{HEAD}\n", "no rows"),
    ("", "no column sku"),
    ("sku\nS0\nS1\n", "no row"),
    (f"{HEAD}\nS0,,\nS1,,\n", "no row"),
    ("sku;stock\nS0;1.000\nS1;5\n", "is it 1000 or 1.000?"),
    ("sku;price\nS0;1.299\n", "is it 1299 or 1.299?"),
]
"""Files of a spreadsheet or a failed export, with their error messages."""


@pytest.mark.parametrize("command", ["push", "stock push"])
def test_a_file_that_has_nothing_or_could_mean_two_things_is_no_success(
    shell, service: Emulator, stock: Path, command: str
) -> None:
    for text, said in NOTHING:
        stock.write_text(text)
        ran = shell(*command.split(), str(stock))
        assert (ran.code, said in ran.err, service.calls) == (2, True, []), text
    stock.write_text("sku\n")
    assert shell("items", "exists", "--from", str(stock)).code == 2
    stock.write_text("sku;stock;price\nS0;1.000;1.299\nS1;5;0.499\n")
    assert shell(*command.split(), str(stock)).code == 0, "0.499 shows that the point is a decimal point"
    assert service.store.item("S0")["Stock"] == "1"
    stock.write_text(f"{HEAD}\nS0,,\nS1,5,\n")
    assert shell(*command.split(), str(stock)).code == 0, "an empty cell leaves the value as it is"


def test_a_pipe_is_pushed_and_a_file_that_grows_while_it_is_read_is_refused(
    shell, service: Emulator, stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=["\ufeffsku,stock\nS0,4\n".encode()])
    writer.start()
    assert shell("push", str(pipe)).code == 0
    writer.join()
    assert service.store.item("S0")["Stock"] == "4"
    calls = len(service.calls)
    stage = Plan.stage

    def grow(plan: Plan, *given: Any, **named: Any) -> Any:
        with stock.open("a") as file:
            file.write("S9,0\n")
        return stage(plan, *given, **named)

    monkeypatch.setattr("octopus_soap.jobs.push.CHUNK", 5)
    monkeypatch.setattr(Plan, "stage", grow)
    ran = shell("push", str(stock))
    assert (ran.code, len(service.calls)) == (2, calls)
    assert "changed while it was read, and may be half a file" in ran.err
