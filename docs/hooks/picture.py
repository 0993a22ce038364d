# ruff: noqa: INP001 - run as a script: python docs/hooks/picture.py
"""Make `docs/img/demo.svg` from what `octopus-soap demo` prints in 80 columns."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

DRAWING = Path(__file__).resolve().parents[1] / "img" / "demo.svg"
COLUMNS = 80


def printed() -> str:
    """Return what the demo prints, colours included."""
    given = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    command = [sys.executable, "-c", "from octopus_soap.cli import main; main()", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **given})  # noqa: S603 - this interpreter
    return done.stdout


def drawn(text: str) -> str:
    """Return *text* as an SVG picture of a terminal that fetches no font."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text.rstrip()), soft_wrap=True)
    picture = console.export_svg(title="octopus-soap demo", theme=MONOKAI, unique_id="demo")
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    return picture.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


if __name__ == "__main__":
    DRAWING.write_text(drawn(printed()), encoding="utf-8")
    print(f"wrote {DRAWING}")  # noqa: T201 - a script's own words
