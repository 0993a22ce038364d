"""The architecture page names every module, and its picture shows the imports."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.every import every

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "octopus_soap"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LAYOUT = PAGE.partition("```\noctopus_soap/\n")[2].partition("```")[0]
NOT_NAMED = {"__main__.py", "_version.py", "py.typed"}
WHOLE = {"emulator", "octopia", "demo", "cli", "testing", "models", "tables"}
"""Packages whose row describes all their modules at once."""


def rows() -> list[tuple[str, str]]:
    """Return each row of the layout as its folder and text, continuation lines joined."""
    found: list[tuple[str, str]] = []
    folder = ""
    for line in LAYOUT.splitlines():
        match = re.match(r"^( {2}| {4})(\S+)( .*|$)", line)
        if match is None:
            if found and line.startswith(" "):
                found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
            continue
        if len(match[1]) == 2:
            folder = match[2].rstrip("/") if match[2].endswith("/") else ""
        found.append((folder, line.strip()))
    return found


def named() -> dict[str, set[str]]:
    """Return the modules named in each folder's rows; the package's own under ""."""
    modules: dict[str, set[str]] = {}
    for folder, text in rows():
        modules.setdefault(folder, set()).update(re.findall(r"\b(\w+\.py)\b", text))
    return modules


def real(folder: str) -> set[str]:
    return {path.name for path in (PACKAGE / folder).glob("*.py")} - {"__init__.py"} - NOT_NAMED


def test_the_layout_is_read_as_intended() -> None:
    assert "client.py" in named()[""]
    assert {"codec.py", "readers.py"} <= named()["wire"]


@every("folder", sorted({"", *(p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists())}))
def test_the_layout_names_what_there_is(folder: str) -> None:
    assert folder in named(), f"docs/architecture.md: the layout has no row for {folder}/"
    there = {name for name in named()[folder] if "/" not in name} - {"__init__.py"}
    assert there - real(folder) == set(), "docs/architecture.md names modules that do not exist"
    if folder not in WHOLE:
        assert real(folder) - there == set(), f"docs/architecture.md: the layout lacks these modules of {folder or '.'}"


@pytest.fixture(scope="module")
def diagram() -> Any:
    """The script that draws the picture; it reads the package and draws once."""
    spec = importlib.util.spec_from_file_location("diagram", ROOT / "docs" / "hooks" / "diagram.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.arrows, module.svg = cache(module.arrows), cache(module.svg)
    return module


def test_the_picture_is_drawn_from_the_imports_as_they_are(diagram: Any) -> None:
    same = diagram.DRAWING.read_text(encoding="utf-8") == diagram.svg()
    assert same, "the imports changed: run `python docs/hooks/diagram.py` and look at docs/img/architecture.svg"


def test_the_picture_shows_every_part_once(diagram: Any) -> None:
    texts = [e.text for e in ET.fromstring(diagram.svg()).iter("{http://www.w3.org/2000/svg}text")]
    shown = [text for text in texts if text not in diagram.WORDS.values()]
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(map(str, shown)) == sorted(parts - diagram.LEFT_OUT)


def test_every_arrow_of_the_picture_runs_downward(diagram: Any) -> None:
    graph = diagram.drawn(diagram.arrows())
    found, _ = diagram.rows(graph)
    level = {name: n for n, row in enumerate(found) for name in row}
    assert [(a, b) for a, targets in graph.items() for b in targets if level[a] >= level[b]] == []


def test_leaving_out_arrows_loses_none_that_does_not_follow(diagram: Any) -> None:
    assert diagram.drawn({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}
