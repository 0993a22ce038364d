"""The moving picture of the README can be recorded again, and shows a real push."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

HOOK = Path(__file__).resolve().parents[2] / "docs" / "hooks" / "recording.py"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def hook() -> Any:
    pytest.importorskip("pty")
    spec = importlib.util.spec_from_file_location("recording", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["recording"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(text: str) -> list[str]:
    """Return the texts of each screen of a picture, and check its properties."""
    picture = ET.fromstring(text)
    lines = {found.get("id"): "".join(found.itertext()) for found in picture.iter(f"{SVG}g") if found.get("id")}
    assert len(text) < 200_000
    assert "prefers-color-scheme:dark" in text
    assert re.findall(r"(?:src|url|href)=?[\"(](?!#)", text) == [], "it fetches nothing"
    (screens,) = (found for found in picture.iter(f"{SVG}g") if found.get("id") == "screens")
    return [lines[str(use.get("href"))[1:]] for use in screens.iter(f"{SVG}use")]


def test_the_picture_shows_a_push_that_is_killed_and_run_again(hook: Any) -> None:
    for text in ("Killed", "again", "no differences"):
        assert any(text in line for line in shown(hook.DRAWING.read_text(encoding="utf-8"))), text
    screen = hook.Terminal()
    screen.feed("\x1b[31mone\x1b[0m\r\ntwo\r\x1b[2Kthree\x1b[1A\rO")
    assert screen.text() == "One\nthree"
    assert screen.screen()[0][1] == ("n", ("red", False))


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("bash") is None, reason="records a bash")
def test_the_picture_can_be_recorded_anew(hook: Any) -> None:
    lines = shown(hook.drawn(hook.recorded().screens))
    assert any("pushing" in line for line in lines), "the bar moves"
    assert any("acknowledged" in line for line in lines)
