"""The command line as a process: pipes, terminals, colours, exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from octopus_soap.cli.call import python_name
from octopus_soap.operations import OPERATIONS

COMMAND = [sys.executable, "-c", "from octopus_soap.cli import main; main()"]
COMMANDS = [
    sys.executable,
    "-c",
    (
        "import json, os, sys; from octopus_soap.cli.commands import run; before = dict(os.environ)\n"
        "for words, more in json.loads(sys.argv[1]):\n"
        "    os.environ.clear(); os.environ.update(before | more); run(words); print('\\f', end='', flush=True)"
    ),
]
"""Runs commands in order, each with its variables, and a form feed after its output."""
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def variables(service, tmp_path):
    """The environment of a shell with the service's settings and no forced colours."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "HOME", "LANG"}}
    ours = {f"OCTOPUS_{name.upper()}": value for name, value in service.settings().items()}
    return {**kept, **ours, "OCTOPUS_PROFILES_FILE": os.devnull, "TERM": "xterm-256color", "PYTHONWARNINGS": "error"}


@pytest.fixture
def process(variables, tmp_path):
    def run(*words, given=None, **more):
        return subprocess.run(
            [*COMMAND, *words], input=given, capture_output=True, timeout=60, check=False, cwd=tmp_path,
            env={**variables, **more},
        )  # fmt: skip

    return run


def test_skus_come_from_a_pipe_and_results_go_to_one(process, service):
    service.store.add_item("00123", Stock=7)
    done = process("stock", "get", "-", "--output", "jsonl", given=b"00123\r\nnope\n\n")
    assert (done.returncode, done.stderr) == (1, b"")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["sku"], row["status"]) for row in rows] == [("00123", "ok"), ("nope", "rejected")]


def test_an_empty_pipe_of_skus_is_an_error_as_an_empty_file_is(shell, service, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    done = shell("items", "exists", "-")
    assert (done.code, done.out) == (2, "")
    assert "Invalid value for SKU: standard input has no SKU" in done.err
    (tmp_path / "none.txt").write_text("\n")
    assert shell("items", "exists", "--from", "none.txt").code == 2
    called = shell("call", "IsSkuExistList", "--skus", "none.txt")
    assert (called.code, "none.txt has no SKU" in called.err) == (2, True)
    for words in (("call", "IsSkuExistList", "--skus", "-"), ("orders", "confirm", "-")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
        done = shell(*words)
        assert (done.code, "standard input has no" in done.err) == (2, True)
    assert service.calls == []


@pytest.mark.long
def test_what_one_command_writes_another_reads(process, shell, service):
    service.store.add_item("A", changed=True)
    listed = shell("items", "list", "--output", "csv").out
    assert listed.startswith("sku,status")
    updates = process("stock", "push", "-", given=b'[{"sku": "A", "stock": 3}]')
    assert updates.stdout == b"updated: 1 of 1; calls: 1\n"
    assert service.store.item("A")["Stock"] == "3"


def test_skus_come_from_the_column_of_a_csv_file(shell, tmp_path):
    (tmp_path / "sheet.csv").write_text("name;sku;shelf\nMug;00123;4\nTray;B;5\n")
    done = shell("items", "exists", "--from", "sheet.csv", "-o", "csv")
    assert done.out == "sku,status,exists\n00123,ok,false\nB,ok,false\n"


def test_notices_are_no_part_of_the_result(shell):
    done = shell("items", "list")
    assert "no recent changes" in done.err
    assert "no recent changes" not in done.out


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_a_reader_that_hangs_up_is_no_error(variables, service, tmp_path):
    service.store.seed(items=400, orders=0)
    skus = "".join(f"DEMO-{number:04d}\n" for number in range(1, 401))
    (tmp_path / "skus").write_text(skus)
    read, write = os.pipe()
    with subprocess.Popen(
        [*COMMAND, "items", "get", "--from", "skus", "-o", "json"],
        stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, env=variables,
    ) as running:  # fmt: skip
        os.close(write)
        os.read(read, 10)
        os.close(read)
        assert running.stderr.read() == b""
        assert running.wait(60) == 141


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["items", "exists", "A"], 0),
        pytest.param(["items", "exists", "A", "--endpoint", "http://127.0.0.1:1/"], 2, marks=pytest.mark.long),
    ],
)
def test_exit_codes(process, service, words, code):
    service.store.add_item("A")
    assert process(*words).returncode == code


# -- terminals -----------------------------------------------------------------------------------------------------


@pytest.fixture
def in_terminal(variables, tmp_path):
    """Run (variables, words) pairs in a terminal of *width*, and return their output."""
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    def run(*commands, width=80):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        with subprocess.Popen(
            [*COMMANDS, json.dumps(commands)], stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=variables
        ) as running:
            os.close(theirs)
            seen = b""
            while True:
                try:
                    chunk = os.read(ours, 4096)
                except OSError:  # on Linux this means that the other side is closed
                    break
                if not chunk:
                    break
                seen += chunk
            running.wait(60)
        os.close(ours)
        *shown, rest = seen.decode().split("\f")
        assert (len(shown), rest) == (len(commands), "")
        return shown

    return run


@pytest.mark.long
def test_a_pager_shows_what_is_longer_than_the_screen_of_a_terminal_and_nothing_else(
    in_terminal, shell, monkeypatch, service
):
    service.store.seed(items=60, orders=0)
    words, pager = ["items", "get", *(f"DEMO-{n:04d}" for n in range(1, 61))], {"PAGER": "sed s/^/PAGED/"}
    short = [[*words, "--no-pager"], words[:10], ["call", "IsSkuExist", "--sku", "A"]]
    others = [{"PAGER": "cat"}, {"PAGER": "no-such-pager"}, {"PAGER": '"'}, {**pager, "TERM": "dumb"}]
    table, lines, *seen = in_terminal(
        (words, pager),
        ([*words, "-o", "jsonl"], pager),
        *((given, pager) for given in short),
        *((words, other) for other in others),
    )
    assert (table.count("PAGED"), lines.count("PAGED")) == (64, 60)
    assert ["PAGED" in shown for shown in seen] == [False] * 7
    assert ["DEMO-0060" in shown for shown in seen[3:]] == [True] * 4
    monkeypatch.setenv("PAGER", pager["PAGER"])
    assert "PAGED" not in shell(*words).out


@pytest.mark.long
def test_colours_are_for_terminals_and_no_color_turns_them_off(in_terminal, shell, service):
    service.store.add_item("A")
    words = ["call", "GetItemList", "--sku", "A", "--sku", "nope"]
    coloured, plain = in_terminal((words, {}), (words, {"NO_COLOR": "1"}))
    assert "\x1b[32mok" in coloured
    assert "\x1b[32m" not in plain
    assert "\x1b[" not in shell(*words).out


LONG = "S" * 45 + "-0001"


@pytest.fixture
def wide_item(service):
    words = {"Description": "A description of quite some length " * 3, "Category": "Category " * 6}
    service.store.add_item(LONG, **words, Price=Decimal("1234567.89"), Stock=123456)


@pytest.mark.usefixtures("wide_item")
@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("words", [["items", "get"], ["call", "GetItemList", "--sku"], ["stock", "get"]], ids=" ".join)
def test_a_table_cuts_no_sku_and_no_number_at_any_width(shell, monkeypatch, words, width):
    monkeypatch.setenv("COLUMNS", str(width))
    ran = shell(*words, LONG)
    lines = ran.out.splitlines()
    assert any(LONG in line for line in lines)
    assert width < len(LONG) or max(map(len, lines)) <= width
    assert all(number in ("1234567.89", "123456") for number in re.findall(r"(?<=\s)[0-9.]{5,}", ran.out))


@pytest.mark.long
@pytest.mark.usefixtures("wide_item")
def test_a_terminal_tells_its_width(in_terminal):
    (seen,) = in_terminal((["items", "get", LONG], {}), width=80)
    lines = ANSI.sub("", seen).replace("\r", "\n").splitlines()
    assert any(LONG in line for line in lines)
    assert "no room for Description, Category: a wider terminal or --output json shows them" in lines


def test_parquet_is_refused_in_a_terminal(in_terminal):
    (seen,) = in_terminal((["call", "--list", "-o", "parquet"], {}), width=200)
    assert "parquet is binary" in " ".join(seen.split())


def test_the_script_for_the_shell_can_be_shown(process):
    done = process("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert b"_OCTOPUS_SOAP_COMPLETE" in done.stdout


def test_the_python_name_of_every_operation_follows_from_its_wire_name():
    assert {wire: row.name for wire, row in OPERATIONS.items()} == {wire: python_name(wire) for wire in OPERATIONS}


# -- streams that take nothing -------------------------------------------------------------------------------------

shell_only = pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the stream")


@pytest.fixture
def pushed(shell, service, tmp_path):
    """A folder with a ledger, in which a file was pushed."""
    service.store.add_item("A", Stock=1)
    (tmp_path / "stock.csv").write_text("sku,stock\nA,5\n")
    assert shell("push", "stock.csv").code == 0
    service.store.mark_changed("A")


@pytest.fixture
def redirected_to(variables, tmp_path):
    """Run a command in a shell that redirects its streams."""

    def run(words, redirected):
        line = ["sh", "-c", f'exec "$@" {redirected}', "sh", *COMMAND, *words.split()]
        return subprocess.run(line, capture_output=True, timeout=60, check=False, cwd=tmp_path, env=variables)

    return run


@shell_only
@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize(
    "words",
    [
        "stock get A",
        *(
            pytest.param(words, marks=pytest.mark.long)
            for words in ("push stock.csv -o json", "changes follow --once", "ledger status")
        ),
    ],
)
def test_an_output_that_is_closed_is_a_failure_in_a_line(redirected_to, shell, words):
    done = redirected_to(words, ">&-")
    assert done.returncode == 2
    assert b"Bad file descriptor" in done.stderr
    assert b"unexpected" not in done.stderr
    if words.startswith("changes"):
        assert b"quarantined" not in done.stderr
        assert shell(*words.split()).out.startswith('{"sku": "A"'), "the item is printed by the next run"


@pytest.mark.long
@shell_only
@pytest.mark.parametrize(
    "redirected",
    [
        "2>&-",
        pytest.param(
            "2>/dev/full",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device"),
        ),
    ],
)
def test_a_log_that_takes_nothing_keeps_no_work_from_being_done(redirected_to, service, tmp_path, redirected):
    service.store.add_item("A", Stock=1)
    (tmp_path / "stock.csv").write_text("sku,stock\nA,5\n")
    done = redirected_to("push stock.csv", redirected)
    assert (done.returncode, done.stdout, service.store.item("A")["Stock"]) == (0, b"", "5")
    assert redirected_to("items gte", redirected).returncode == 2
