"""The frame around the commands: help, errors, exit codes, and what is loaded."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from octopus_soap import __version__, console
from octopus_soap.cli import commands, completion, main
from octopus_soap.cli.failures import HINTS
from octopus_soap.emulator import Html, Status
from tests.every import every

HEAVY = {"zeep", "lxml", "requests", "httpx", "starlette", "uvicorn", "octopus_soap.client", "octopus_soap.octopia"}


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environment or None
    )


def test_help_loads_nothing_heavy():
    done = python(
        "import sys; from octopus_soap.cli.commands import run; code = run(['--help']);"
        f"print(sorted({HEAVY!r} & set(sys.modules)), code)"
    )
    assert done.stdout.endswith("[] 0\n"), done.stderr


@pytest.mark.long
@every("words", [["items", "--help"], ["orders", "list", "--help"], ["call"], ["call", "x", "--help"]])
def test_what_asks_no_service_loads_no_client(words):
    done = python(
        f"import sys; from octopus_soap.cli.commands import run; run({words!r});"
        f"print(sorted({HEAVY | {'pandas', 'polars', 'pyarrow'}!r} & set(sys.modules)))"
    )
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_help_lists_every_command_of_the_table_that_exists(shell):
    text = shell("--help").out
    assert all(f" {name} " in text for name in ("demo", "serve", "items", "stock", "orders", "octopia"))


def test_no_words_show_the_help(shell):
    assert shell() == shell("--help")
    assert shell().code == 0


@pytest.mark.parametrize("name", list(commands.SUB_COMMANDS))
def test_each_sub_command_has_help(shell, name):
    ran = shell(name, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"octopus-soap {name}" in ran.out


def test_the_commands_that_hints_and_console_pages_name_exist():
    pages = Path(console.__file__).parent.joinpath("templates").glob("*.html")
    text = " ".join([*HINTS.values(), *(page.read_text(encoding="utf-8") for page in pages)])
    known = json.loads(Path(completion.TABLE).read_text(encoding="utf-8"))["commands"]
    named = re.findall(r"octopus-soap ([a-z]+)(?: ([a-z-]+))?", text)
    assert ("doctor", "checks") in named, "the first word after a command may be a sentence's"
    assert {group for group, _ in named} <= set(known)
    below = [(group, name) for group, name in named if "commands" in known[group]]
    assert [pair for pair in below if pair[1] not in known[pair[0]]["commands"]] == []


def test_version(shell):
    assert shell("--version").out == f"octopus-soap {__version__}\n"


def test_a_sub_command_whose_module_does_not_exist_is_left_out(shell, monkeypatch):
    monkeypatch.setitem(commands.SUB_COMMANDS, "nowhere", commands.SubCommand("nowhere", "app", "Not there."))
    assert "nowhere" not in shell("--help").out
    assert shell("nowhere").code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'. Hint: octopus-soap --help"),
        (["items", "gte"], "Did you mean 'get'? Hint: octopus-soap items --help"),
        (
            ["items", "get"],
            "no SKU given: name SKUs, or - to read a pipe, or --from FILE. Hint: octopus-soap items get --help",
        ),
        (["items", "get", "A", "--output", "xml"], "'xml' is not one of 'table', 'json'"),
        (["items", "get", "A", "--nope"], "No such option: --nope"),
    ],
)
def test_wrong_usage_is_one_line_on_stderr(shell, words, said):
    ran = shell(*words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_missing_settings_are_one_line_that_names_the_variables(shell, monkeypatch):
    monkeypatch.delenv("OCTOPUS_AUTHTOKEN")
    ran = shell("items", "get", "A")
    assert ran.code == 2
    assert "OCTOPUS_AUTHTOKEN" in ran.err
    assert "octopus-soap serve" in ran.err
    assert ran.err.count("\n") == 1


def test_wrong_credentials_end_in_2_with_a_hint_and_without_the_secret(shell):
    ran = shell("items", "get", "A", "--authtoken", "wrong-secret-77", "--output", "json")
    assert ran.code == 2
    assert "check OCTOPUS_AUTHTOKEN" in ran.err
    assert "wrong-secret-77" not in ran.err + ran.out
    assert ran.err.count("\n") == 1


def test_a_failing_service_ends_in_2_and_shows_what_became_of_each_item(shell, service):
    service.script.on("GetItemList").do(Status(503))
    ran = shell("items", "get", "A", "B", "--output", "json")
    assert ran.code == 2
    assert [(row["sku"], row["status"]) for row in ran.data] == [("A", "failed"), ("B", "failed")]
    assert ran.err.startswith("octopus-soap: 2 of 2 items are not done")


def test_a_refused_connection_has_a_hint(shell):
    ran = shell("items", "get", "A", "--endpoint", "http://127.0.0.1:1/OctopusService.svc")
    assert ran.code == 2
    assert "is the endpoint right" in ran.err


def test_the_traceback_is_shown_only_with_debug_which_may_stand_last(shell, service):
    service.script.on("*").do(Html(200))
    words = ["orders", "list"]
    assert "Traceback" not in shell(*words).err
    debugged = shell(*words, "--debug")
    assert debugged.code == 2
    assert "Traceback" in debugged.err
    assert debugged.err.splitlines()[-1].startswith("octopus-soap: ")


@pytest.mark.parametrize("given", [["--authtoken", "typed-secret-1"], ["--authtoken=typed-secret-1"]])
def test_secrets_are_masked_even_in_the_traceback_of_a_bug(shell, monkeypatch, given):
    def breaks(self):
        raise KeyError(self.authtoken)

    monkeypatch.setattr("octopus_soap.cli.calling.Connection.client", breaks)
    ran = shell("items", "get", "A", *given, "--debug")
    assert ran.code == 2
    assert "unexpected KeyError" in ran.err
    assert "typed-secret-1" not in ran.err


def test_debug_after_two_dashes_is_a_value(shell):
    ran = shell("items", "exists", "--output", "json", "--", "--debug")
    assert [row["sku"] for row in ran.data] == ["--debug"]


def test_ctrl_c_is_one_line_and_130(shell, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("octopus_soap.cli.calling.Connection.client", interrupted)
    ran = shell("items", "get", "A")
    assert ran.code == 130
    assert "Traceback" not in ran.err


@pytest.mark.long
def test_a_missing_extra_is_named_after_the_module_and_the_command():
    account = "'--endpoint', 'http://127.0.0.1:1/x', '--authtoken', 'a', '--merchantname', 'b', '--accessid', 'c'"
    for module, words, extra in (
        ("uvicorn", "'serve'", "emulator"),
        ("sqlalchemy", f"'orders', 'pull', '--to', 'x', {account}", "jobs"),
    ):
        done = python(
            f"import sys; sys.modules[{module!r}] = None; from octopus_soap.cli.commands import run; sys.exit(run([{words}]))"
        )
        assert done.returncode == 2
        assert f"{module} is missing. Hint: pip install 'octopus-soap[cli,{extra}]'" in done.stderr


def test_a_missing_cli_extra_is_named():
    done = python("import sys; sys.modules['typer'] = None; from octopus_soap.cli import main; main()")
    assert done.returncode == 2
    assert done.stderr == "octopus-soap: the command line needs the extra 'cli': pip install 'octopus-soap[cli]'\n"


def test_main_exits_with_the_commands_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["octopus-soap", "frobnicate"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2
    assert "frobnicate" in capsys.readouterr().err
