"""The help of every command: values have names people expect, flags have none."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import __version__
from octopus_soap.cli.commands import SUB_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOK = Path(__file__).resolve().parents[2] / "docs" / "hooks" / "commands.py"


@pytest.fixture(scope="module")
def hook() -> Any:
    """The script of the reference's page of commands; it makes each help once."""
    spec = importlib.util.spec_from_file_location("commands_page", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    of_words = cache(lambda *words: help_of(list(words)))
    help_of, module.help_of = module.help_of, lambda words: of_words(*words)
    return module


@pytest.fixture(scope="module")
def helps(hook: Any) -> dict[str, str]:
    """The help of every command, by its words."""
    return dict(_helps(hook))


def _helps(hook: Any) -> Iterator[tuple[str, str]]:
    for words in [
        [],
        ["call", "UploadItemList"],
        ["call", "GetOrderList"],
        *(w for n in SUB_COMMANDS for w in hook._words(n)),  # noqa: SLF001 - the reference's own list of commands
    ]:
        yield " ".join(words), hook.help_of(words)


@pytest.mark.long
def test_no_python_type_is_shown(helps: dict[str, str]) -> None:
    shown = {words: re.findall(r"<[a-z|\[\]]+>|\{[A-Z]+\}", text) for words, text in helps.items()}
    assert len(shown) > 30
    assert {words: types for words, types in shown.items() if types} == {}


@pytest.mark.long
def test_the_reference_shows_every_commands_help(hook: Any) -> None:
    page = hook.commands_page()
    for name in SUB_COMMANDS:
        assert f"\n## {name}\n" in page
    assert page.count(" Usage: octopus-soap") == page.count("$ octopus-soap")


@pytest.mark.long
def test_a_flag_shows_no_value(helps: dict[str, str]) -> None:
    for words, text in helps.items():
        for flag in ("--help", "--dry-run", "--force", "--debug"):
            for line in text.splitlines():
                if line.startswith(f"│ {flag} "):
                    assert re.match(rf"│ {flag} {{2,}}[A-Z][a-z]", line), f"{words}: {line}"


def test_python_m_is_the_command() -> None:
    for words, first in (
        (["--version"], f"octopus-soap {__version__}"),
        (["items", "get", "--help"], "Usage: octopus-soap"),
    ):
        command = [sys.executable, "-m", "octopus_soap", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.strip().startswith(first)


def test_the_version_is_answered_without_typer() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--version']; from octopus_soap.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'typer', 'rich', 'pydantic', 'dataclasses', 'inspect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"octopus-soap {__version__}\n[]\n"


@pytest.mark.long
def test_the_manual_page_has_every_command_once_and_man_reads_it_without_a_warning(hook: Any, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "octopus_soap", "man"], capture_output=True, text=True, timeout=60, check=True
    )
    heads = [
        line.removeprefix(".SS ").replace("\\-", "-") for line in done.stdout.splitlines() if line.startswith(".SS")
    ]
    assert len(heads) == len(set(heads))
    for name in SUB_COMMANDS:
        assert f"octopus-soap {name}" in heads
        for words in hook._words(name):  # noqa: SLF001 - the reference's own list of commands
            assert " ".join(["octopus-soap", *words]) in heads
    assert done.stdout.count(".B \\-\\-profile NAME") == 3, "once for all, and those of login and gateway"
    if program := shutil.which("man"):
        path = tmp_path / "octopus-soap.1"
        path.write_text(done.stdout, encoding="utf-8")
        command = [program, "--warnings", "-l", str(path)] if sys.platform == "linux" else [program, str(path)]
        read = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=os.environ | {"MANWIDTH": "80"})  # fmt: skip
        assert read.stderr == ""
        assert "octopus-soap items search" in read.stdout


def test_help_in_a_narrow_terminal_leaves_the_next_one_as_it_was(shell: Any, monkeypatch: Any) -> None:
    words = ("call", "GetItemList", "--help")
    monkeypatch.setenv("COLUMNS", "80")
    framed = shell(*words).out
    monkeypatch.setenv("COLUMNS", "40")
    assert shell(*words).out != framed
    monkeypatch.setenv("COLUMNS", "80")
    assert shell(*words).out == framed
