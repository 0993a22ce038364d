"""Tab completion: its table fits the commands, and it offers what typer offers.

The table is renewed together with the snapshots: SNAPSHOTS=renew pytest -n 0 tests/cli/test_cli_completion.py
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import pytest
from rich.text import Text

from octopus_soap.cli import commands, completion, suggestions
from octopus_soap.cli.call import python_name
from octopus_soap.cli.output import Columns
from octopus_soap.operations import OPERATIONS
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Iterator

# -- the table, made of the commands -----------------------------------------------------------------------------------


def described(command: Any, about: str) -> dict[str, Any]:
    """A command as the table has it."""
    context = command.context_class(command, info_name="command")
    offered = suggestions_of(command)
    found: dict[str, Any] = {"about": plain(about), "options": []}
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            many = {"many": True} if parameter.nargs == -1 else {}
            found.setdefault("arguments", []).append({"value": value_of(parameter, context, offered), **many})
        elif not parameter.hidden:
            option = {"names": [*parameter.opts, *parameter.secondary_opts], "about": plain(parameter.help or "")}
            option |= {"many": True} if parameter.multiple else {}
            if not (parameter.is_flag or parameter.count):
                assert parameter.nargs == 1, "the reader of the table passes over one word for a value"
                option["value"] = value_of(parameter, context, offered)
            found["options"].append(option)
    if hasattr(command, "list_commands"):
        found["commands"] = {}
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            found["commands"][name] = described(inner, inner.get_short_help_str(limit=200))
    return found


def suggestions_of(command: Any) -> dict[str, Any]:
    """Return the `autocompletion=` of each parameter, by its name."""
    found = {}
    callback = command.callback
    for parameter in inspect.signature(callback, eval_str=True).parameters.values() if callback else ():
        if get_origin(parameter.annotation) is Annotated:
            for part in get_args(parameter.annotation)[1:]:
                if getattr(part, "autocompletion", None) is not None:
                    found[parameter.name] = part.autocompletion
    return found


def value_of(parameter: Any, context: Any, offered: dict[str, Any]) -> dict[str, Any]:
    function = offered.get(parameter.name)
    if function is None:
        items = [item.value for item in parameter.shell_complete(context, "") if item.type == "plain"]
        kind = getattr(parameter, "type_descriptor", None) or parameter.type  # typer and click name it differently
        folded = getattr(kind, "case_sensitive", True) is False
        return {"words": items} | ({"folded": True} if folded else {}) if items else {}
    words = getattr(function, "__self__", None)
    if words is None:
        assert getattr(suggestions, function.__name__) is function, "a suggestion is Words, Columns or in suggestions"
        return {"from": function.__name__}
    words = words.words() if isinstance(words, Columns) else words
    assert isinstance(words, suggestions.Words)
    return {"words": list(words.words)} | {name: True for name in ("listed", "folded") if getattr(words, name)}


def plain(text: str) -> str:
    return " ".join(Text.from_markup(text).plain.split())


@cache
def table() -> dict[str, Any]:
    root = commands.command_for("")
    whole = described(root, "")
    for name, row in commands.SUB_COMMANDS.items():
        run = commands.command_for(name)
        whole["commands"][name] = described(run.get_command(None, name), row.summary)
    call = whole["commands"]["call"]
    call["spellings"] = {name: python_name(name) for name in sorted(call["commands"])}
    return whole


def as_text(command: dict[str, Any]) -> str:
    """Return the command as JSON with a line per option, so that changes merge well."""
    parts = {name: json.dumps(part, ensure_ascii=False) for name, part in command.items()}
    parts["options"] = ",\n".join(json.dumps(option, ensure_ascii=False) for option in command["options"])
    parts["options"] = f"[\n{parts['options']}\n]"
    if "commands" in command:
        inner = ",\n".join(f'"{name}": {as_text(part)}' for name, part in command["commands"].items())
        parts["commands"] = f"{{\n{inner}\n}}"
    return "{" + ", ".join(f'"{name}": {part}' for name, part in parts.items()) + "}"


def test_the_table_that_the_tab_key_reads_is_that_of_the_commands() -> None:
    text = as_text(table()) + "\n"
    if os.environ.get("SNAPSHOTS") == "renew":
        Path(completion.TABLE).write_text(text, encoding="utf-8")
    assert Path(completion.TABLE).read_text(encoding="utf-8") == text, (
        "renew it: SNAPSHOTS=renew pytest -n 0 tests/cli/test_cli_completion.py"
    )


# -- what is offered ---------------------------------------------------------------------------------------------------


def lines() -> Iterator[str]:
    """Yield lines to complete: each command's name, arguments, options and values."""
    waiting = [((), table())]
    while waiting:
        words, command = waiting.pop()
        yield " ".join(["octopus-soap", *words])
        begun = " ".join(["octopus-soap", *words, ""])
        if "spellings" not in command:  # typer cannot complete other spellings
            yield begun
        yield f"{begun}-"
        for option in command["options"]:
            if option.get("value"):
                yield f"{begun}{option['names'][-1]} "
        for option in command["options"][:2]:
            yield f"{begun}{option['names'][0]} {'x ' if 'value' in option else ''}-"
        for name, inner in command.get("commands", {}).items():
            waiting.append(((*words, name), inner))


@pytest.fixture
def by_typer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What typer offers for a line."""
    made: dict[str, Any] = {}

    def run(variables: dict[str, str], line: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        word = [*line.split(), ""][1]
        chosen = word if word in commands.SUB_COMMANDS else ""
        if chosen not in made:
            made[chosen] = commands.command_for(chosen)
        with pytest.raises(SystemExit):
            made[chosen].main([], prog_name="octopus-soap")
        return capsys.readouterr().out.rstrip("\n")

    return run


def asked(shell: str, line: str) -> dict[str, str]:
    """The variables in which a shell's script passes a line."""
    variables = {completion.VARIABLE: f"complete_{shell}"}
    if shell == "bash":
        return variables | {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    variables |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return variables | {"_TYPER_COMPLETE_WORD_TO_COMPLETE": line.rsplit(" ", maxsplit=1)[-1]}


@pytest.mark.long
def test_every_line_is_completed_as_typer_completes_it(by_typer: Any, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)  # a folder without a ledger
    tried = [line for line in lines() if line != "octopus-soap"]
    assert len(tried) > 300
    asking = {line: asked("bash", line) for line in tried}
    ours = {line: completion.answer("complete_bash", variables)[0] for line, variables in asking.items()}
    assert ours == {line: by_typer(variables, line) for line, variables in asking.items()}


@every("shell", ["zsh", "fish", "powershell", "pwsh"])
def test_every_shell_gets_the_form_that_its_script_expects(shell: str, by_typer: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # typer wraps a help text at the terminal's width
    for line in ("octopus-soap items get -", "octopus-soap doctor --o", "octopus-soap items get --output js"):
        variables = asked(shell, line)
        assert completion.answer(f"complete_{shell}", variables)[0] == by_typer(variables, line)


@pytest.fixture
def completed() -> Any:
    """What bash offers for a line, whose last word is being typed."""

    def run(line: str) -> list[str]:
        return completion.answer("complete_bash", asked("bash", line))[0].split()

    return run


@every(
    ("line", "offered"),
    [
        ("octopus-soap it", ["items"]),
        ("octopus-soap items ", ["get", "list", "search", "exists", "upload", "delete", "snapshot", "compare"]),
        ("octopus-soap items list --fields sku,pri", ["sku,price", "sku,price_a", "sku,price_b", "sku,price_c"]),
        ("octopus-soap items list --where stoc", ["stock"]),
        ("octopus-soap orders list --since y", ["yesterday"]),
        ("octopus-soap orders list --status u", ["unshipped"]),
        ("octopus-soap orders pull --every 1", ["15m", "1h", "1d"]),
        ("octopus-soap stock push x.csv --omitted-values r", ["refuse", "read_first"]),
        ("octopus-soap items get --prof", ["--profile"]),
        ("octopus-soap call ", sorted(OPERATIONS)),
        ("octopus-soap call GetItemL", ["GetItemList"]),
        ("octopus-soap call IsSku", ["IsSkuExist", "IsSkuExistList"]),
        ("octopus-soap call is_sku_exist_", ["is_sku_exist_list"]),
        ("octopus-soap call GetOrderList --payment", ["--payment-status"]),
        ("octopus-soap call get_item_list --batch", ["--batch-size"]),
        ("octopus-soap call getitemlist --batch", ["--batch-size"]),
        ("octopus-soap call GetNothing --", []),
        ("octopus-soap items get --output js", ["json", "jsonl"]),
        ("octopus-soap items get --output = js", ["json", "jsonl"]),
        ("octopus-soap items get --output =", ["table", "json", "jsonl", "csv", "excel", "xlsx", "parquet"]),
        ("octopus-soap items get --output=js", ["json", "jsonl"]),
        ("octopus-soap items get -ojson --out", []),
        ("octopus-soap items get -- --out", []),
        ("octopus-soap nothing ", []),
        ("octopus-soap octopia whoami --for Own", []),
        ("octopus-soap octopia whoami --for own", ["own-development"]),
        ("octopus-soap items get 'A B", []),
    ],
)
def test_completion(completed: Any, line: str, offered: list[str], tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert completed(line) == offered


def test_a_shell_that_lists_help_gets_that_of_each_operation() -> None:
    line = "octopus-soap call GetItemT"
    assert completion.answer("complete_fish", asked("fish", line)) == (
        f"GetItemTblList\t{OPERATIONS['GetItemTblList'].summary}",
        0,
    )


@every(("line", "code"), [("octopus-soap items get --output ", 0), ("octopus-soap stock push ", 1)])
def test_fish_completes_files_where_nothing_is_offered(line: str, code: int) -> None:
    variables = asked("fish", line) | {"_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    assert completion.answer("complete_fish", variables) == ("", code)


def test_an_unknown_shell_gets_nothing() -> None:
    assert completion.answer("complete_ash", asked("ash", "octopus-soap it")) == ("", 1)


def test_profiles_are_completed_by_name(completed: Any, monkeypatch: Any, tmp_path: Any) -> None:
    (tmp_path / "profiles.toml").write_text("top = 1\n[shop]\n[shop-test]\n[other]\n")
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", str(tmp_path / "profiles.toml"))
    assert completed("octopus-soap items get --profile sh") == ["shop", "shop-test"]
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", str(tmp_path / "nowhere.toml"))
    assert completed("octopus-soap items get --profile sh") == []


def test_skus_and_channels_are_completed_from_the_ledger(
    completed: Any, shell: Any, service: Any, monkeypatch: Any, tmp_path: Any
) -> None:
    service.store.seed(items=3, orders=0)
    (tmp_path / "stock.csv").write_text("sku,stock\nDEMO-0001,1\nDEMO-0002,2\n")
    assert shell("push", "stock.csv", "--force", "--channel", "shop").code == 0
    assert completed("octopus-soap items get DEMO-000") == ["DEMO-0001", "DEMO-0002"]
    assert completed("octopus-soap items snapshot x.csv DEMO-000") == ["DEMO-0001", "DEMO-0002"]
    assert completed("octopus-soap ledger show demo") == []
    (tmp_path / "octopus-ledger.db").rename(tmp_path / "other.db")
    assert completed("octopus-soap items get D") == []
    monkeypatch.setenv("OCTOPUS_LEDGER", "other.db")
    assert completed("octopus-soap push --channel s") == ["shop"]


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("octopus-soap it", "items"),
        ("octopus-soap items list --fields sk", "sku"),
        ("octopus-soap call GetItemL", "GetItemList"),
        ("octopus-soap call GetOrderList --pay", "--payment-status"),
        ("octopus-soap octopia --", "--help"),
        ("octopus-soap items get ", ""),
    ],
)
def test_a_shell_asks_in_a_process_of_its_own_which_loads_only_the_table(line: str, first: str, tmp_path: Any) -> None:
    code = (
        "import sys; sys.argv[1:] = []; from octopus_soap.cli import main\n"
        "try: main()\n"
        "finally: print('loaded', sorted({'typer', 'click', 'rich', 'pydantic', 'zeep', 'lxml', 'dataclasses'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked("bash", line)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[0] == first
    assert done.stdout.splitlines()[-1] == "loaded []"
    assert done.stderr == ""
