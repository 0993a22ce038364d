"""Every snippet of the README and of every page runs, and shows its real result."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from snippets import Block, Page, blocks_of, matches

from tests.every import every

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): blocks_of(path.read_text(encoding="utf-8"))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
RUN = {name: blocks for name, blocks in PAGES.items() if any(b.language == "python" or b.commands() for b in blocks)}


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `octopus-soap` in this process, as its entry point would."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NO_COLOR", "1")
    from octopus_soap.cli.commands import run

    return run


@pytest.mark.parametrize("name", RUN)
def test_what_a_document_shows_is_what_happens(
    name: str,
    service: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    command_line: Any,
) -> None:
    for key, value in {**service.settings(), "backoff_base": "0"}.items():
        monkeypatch.setenv(f"OCTOPUS_{key.upper()}", value)
    for folder in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(folder, str(tmp_path / folder))
    monkeypatch.syspath_prepend(str(ROOT / "samples"))
    monkeypatch.chdir(tmp_path)
    page = Page(name, {"__name__": "page", "service": service}, request.getfixturevalue, command_line)
    try:
        page.run(RUN[name])
    finally:
        for value in page.namespace.values():
            if type(value).__name__ == "OctopusClient":
                value.close()


def test_the_readme_shows_values() -> None:
    shown = "\n".join(block.source for block in PAGES["README.md"] if block.language == "python")
    assert shown.count("  # ") >= 4
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 79] == [], "it is read in terminals of 80 columns too"


@every("name", [n for n, blocks in PAGES.items() if any(b.reason for b in blocks)])
def test_a_snippet_that_is_not_run_says_why(name: str) -> None:
    assert [b.line for b in PAGES[name] if b.reason and len(b.reason) < 15] == []


# -- the runner itself -------------------------------------------------------------------------------------------------


def _run(text: str) -> Page:
    page = Page("here", {}, lambda name: name, len)
    page.run(blocks_of(text))
    return page


def test_a_wrong_value_in_a_comment_fails() -> None:
    assert _run("```python\n1 + 1  # 2\n```\n").compared == 1
    with pytest.raises(AssertionError, match="line 2: shows 3, is 2"):
        _run("```python\n1 + 1  # 3\n```\n")


def test_a_wrong_output_fails() -> None:
    assert _run("```python\nprint('a b')\n```\n\n```text\na …\n```\n").compared == 1
    with pytest.raises(AssertionError, match="prints"):
        _run("```python\nprint('a')\n```\n\n```text\nb\n```\n")


def test_setups_run_and_excused_blocks_do_not() -> None:
    page = _run("<!-- setup\nx = 1\n-->\n\n<!-- not run: the reader fills it in -->\n```python\nx = 2\n```\n")
    assert page.namespace["x"] == 1


def test_tests_are_called_and_awaits_awaited() -> None:
    page = _run(
        "```python\nimport asyncio\nseen = []\nawait asyncio.sleep(0)\n\n\ndef test_x(thing):\n    seen.append(thing)\n```\n"
    )
    assert page.namespace["seen"] == ["thing"]


def test_commands_are_run_and_a_failing_one_fails() -> None:
    assert Block(1, "console", "pip install x\n$ octopus-soap a \\\n  b\n").commands() == ["octopus-soap a    b"]
    with pytest.raises(AssertionError, match="ended with 2"):
        _run("```console\noctopus-soap a b  # why\n```\n")


def test_an_ellipsis_stands_for_anything() -> None:
    assert matches("a … c", "a bbb c")
    assert not matches("a … c", "a bbb d")
