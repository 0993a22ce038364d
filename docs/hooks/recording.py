# ruff: noqa: INP001 - run as a script: python docs/hooks/recording.py
"""Record `docs/img/push-killed.svg`: a push that is killed and run again.

bash and octopus-soap print everything in a pseudo-terminal of 80 columns; the script only types. The service is the
emulator, slowed down so that the push can be seen. Pauses longer than `LONGEST` are shortened.

The picture is one file without scripts or fonts: the screens are next to each other, and a CSS animation steps through
them. It follows the colours of the reader's system. If animations are off, the last screen is shown.
"""

from __future__ import annotations

import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from octopus_soap.emulator import Emulator, Latency

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

DRAWING = Path(__file__).resolve().parents[1] / "img" / "push-killed.svg"
COLUMNS, ROWS = 80, 9
SKUS, BATCH, CALLS = 2000, 100, 8
"""SKUs in the file, SKUs in a request, and the requests after which the push is killed."""
UPDATE = "UpdateItemQuantityAndPriceList"
KEY, READING, LONGEST, LAST, SHORTEST = 0.035, 0.7, 0.7, 5.0, 0.12
"""Seconds: between two keys, before a command is typed, the longest pause, the last screen, and the shortest screen."""
PATIENCE = 120.0

Style = tuple[str, bool]
"""A colour's name, empty for the default, and whether it is bold."""
Cell = tuple[str, Style]
Screen = tuple[tuple[Cell, ...], ...]

PLAIN: Style = ("", False)
COLOURS = {31: "red", 32: "green", 33: "yellow", 36: "cyan", 90: "dim"}
PALETTE = {197: "red", 70: "green", 106: "green", 237: "dim"}  # of the progress bar
LIGHT = {"": "#24292f", "red": "#cf222e", "green": "#116329", "yellow": "#7d4e00", "cyan": "#1b7c83", "dim": "#afb8c1"}
DARK = {"": "#e6edf3", "red": "#ff7b72", "green": "#56d364", "yellow": "#e3b341", "cyan": "#56d4dd", "dim": "#484f58"}


class Terminal:
    """The part of a terminal that bash and a progress bar use."""

    _TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[=>]|\x1b\][^\x07]*\x07|.", re.DOTALL)

    def __init__(self) -> None:
        self.lines: list[list[Cell]] = [[]]
        self.row = self.column = 0
        self.style = PLAIN

    def feed(self, text: str) -> None:
        """Print *text*, control characters and escapes included."""
        for token in self._TOKEN.finditer(text):
            if token[2]:
                self._escape(token[1], token[2])
            elif token[0] == "\r":
                self.column = 0
            elif token[0] == "\n":
                self.row += 1
                while len(self.lines) <= self.row:
                    self.lines.append([])
            elif token[0] == "\b":
                self.column -= 1
            elif token[0] >= " " and not token[0].startswith("\x1b"):
                line = self.lines[self.row]
                line += [(" ", PLAIN)] * (self.column + 1 - len(line))
                line[self.column] = (token[0], self.style)
                self.column += 1

    def _escape(self, numbers: str, letter: str) -> None:
        if letter == "m":
            self.style = _style(self.style, [int(n or 0) for n in numbers.split(";")])
        elif letter == "A":
            self.row = max(0, self.row - int(numbers or 1))
        elif letter == "K":
            line = self.lines[self.row]
            self.lines[self.row] = [] if numbers == "2" else line[: self.column]

    def screen(self) -> Screen:
        """Return the visible screen: the last lines."""
        shown = self.lines[-ROWS:]
        return tuple(tuple(line) for line in shown)

    def text(self) -> str:
        """Return everything as plain text."""
        return "\n".join("".join(char for char, _ in line) for line in self.lines)


def _style(style: Style, codes: list[int]) -> Style:
    colour, bold = style
    if codes[:2] == [38, 5]:
        return PALETTE.get(codes[2], ""), bold
    for code in codes:
        if code == 0:
            colour, bold = PLAIN
        elif code == 1:
            bold = True
        elif code in COLOURS:
            colour = COLOURS[code]
    return colour, bold


@dataclass
class Recorder:
    """A shell in a pseudo-terminal, and the screens it showed."""

    shell: int
    terminal: Terminal = field(default_factory=Terminal)
    screens: list[tuple[float, Screen]] = field(default_factory=list)
    clock: float = 0.0
    _seen: float = field(default_factory=time.monotonic)

    def read_until(self, ended: Callable[[], bool]) -> None:
        """Record what the shell prints until *ended*.

        Raises:
            TimeoutError: *ended* did not come true in time.
        """
        deadline = time.monotonic() + PATIENCE
        while not ended():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the recording does not go on; the terminal shows:\n{self.terminal.text()}")
            if select.select([self.shell], [], [], 0.05)[0]:
                self.terminal.feed(os.read(self.shell, 65536).decode(errors="replace"))
                self._take()

    def _take(self) -> None:
        now = time.monotonic()
        self.clock += min(now - self._seen, LONGEST)
        self._seen = now
        self.screens.append((self.clock, self.terminal.screen()))

    def pause(self, seconds: float) -> None:
        """Give the reader time to read."""
        self.clock += seconds
        self._seen = time.monotonic()

    def type(self, text: str) -> None:
        """Type a line, key by key."""
        self.pause(READING)
        for char in text:
            before = len(self.terminal.text())
            os.write(self.shell, char.encode())
            self.read_until(lambda before=before: len(self.terminal.text()) > before)  # type: ignore[misc] # bound now
            self.clock = max(self.clock, self.screens[-2][0] + KEY) if len(self.screens) > 1 else self.clock
        os.write(self.shell, b"\n")

    def at_prompt(self) -> bool:
        """True if the shell waits for a command."""
        text = self.terminal.text().rstrip("\n")  # a removed progress bar leaves empty lines below
        return text.endswith("\n$ ") or text == "$ "


@contextmanager
def shell(folder: Path, variables: dict[str, str]) -> Generator[Recorder]:
    """Run bash in a pseudo-terminal; at the end stop it and its children."""
    (folder / "inputrc").write_text("set enable-bracketed-paste off\n")
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    known = {
        "PATH": paths,
        "HOME": str(folder),
        "TERM": "xterm-256color",
        "INPUTRC": str(folder / "inputrc"),
        "PS1": "$ ",
    }
    ours, theirs = pty.openpty()
    import fcntl  # noqa: PLC0415 - with termios, not on Windows
    import termios  # noqa: PLC0415 - as above

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    command = ["bash", "--norc", "--noprofile", "-i"]
    running = subprocess.Popen(  # noqa: S603 - this bash
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=known | variables,
        preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),  # noqa: PLW1509 - before any thread of ours
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Recorder(ours)
    finally:
        running.kill()
        running.wait()
        os.close(ours)


def recorded() -> Recorder:
    """Record the three commands, with the kill between the first and the second.

    Raises:
        RuntimeError: the killed push had sent nothing or everything, or there are differences at the end.
    """
    settings = {"backoff_base": "0", "batch_sizes": f'{{"{UPDATE}": {BATCH}}}'}
    with tempfile.TemporaryDirectory() as temporary, Emulator(keep_bodies=False) as service:
        folder, numbers = Path(temporary), random.Random(7)  # noqa: S311 - a repeatable file, not secrets
        service.store.seed(items=SKUS, orders=0)
        rows = [
            f"DEMO-{n:04d},{numbers.randrange(1, 200)},{numbers.randrange(100, 9900) / 100:.2f}"
            for n in range(1, SKUS + 1)
        ]
        (folder / "stock.csv").write_text("\n".join(["sku,stock,price", *rows, ""]))
        service.script.on(UPDATE).do(Latency(0.2))
        variables = {f"OCTOPUS_{name.upper()}": value for name, value in {**service.settings(), **settings}.items()}

        def sent() -> int:
            return sum(call.operation == UPDATE for call in service.calls)

        with shell(folder, variables) as record:
            record.read_until(record.at_prompt)
            record.type("octopus-soap push stock.csv     # 2,000 SKUs; another terminal: kill -9")
            record.read_until(lambda: sent() >= CALLS)
            os.killpg(os.tcgetpgrp(record.shell), signal.SIGKILL)
            record.read_until(record.at_prompt)
            killed_after = sent()
            record.type("octopus-soap push stock.csv     # again")
            record.read_until(record.at_prompt)
            record.type("octopus-soap items compare stock.csv")
            record.read_until(record.at_prompt)
            shown = record.terminal.text()
    if not 0 < killed_after < SKUS / BATCH or "Killed" not in shown or "no differences" not in shown:
        raise RuntimeError(f"the picture would not show a killed push and its second run:\n{shown}")
    return record


# -- the picture -------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, TOP, EDGE = 8.4, 19, 40, 14
"""Pixels: of a character, of a line, above the first line, and at the side."""


def drawn(screens: list[tuple[float, Screen]]) -> str:
    """Return the screens as an animated SVG."""
    kept = _told_apart(screens)
    wide, high = round(COLUMNS * WIDTH + 2 * EDGE), TOP + ROWS * HEIGHT + EDGE
    lines: dict[tuple[Cell, ...], str] = {}
    frames: list[str] = []
    for number, (_, screen) in enumerate(kept):
        uses = []
        for row, line in enumerate(screen):
            if any(char != " " for char, _ in line):
                name = lines.setdefault(line, f"l{len(lines)}")
                uses.append(f'<use href="#{name}" x="{number * wide}" y="{row * HEIGHT}"/>')
        frames.append("".join(uses))
    whole = kept[-1][0] + LAST
    steps = "".join(
        f"{start / whole * 100:.2f}%{{transform:translateX({-n * wide}px)}}" for n, (start, _) in enumerate(kept)
    )
    last = f"transform:translateX({-(len(kept) - 1) * wide}px)"
    definitions = "".join(f'<g id="{name}">{_line(line)}</g>' for line, name in lines.items())
    size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">
<title>octopus-soap push is killed with -9 in the middle, run again, and there are no differences</title>
<style>
text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}
.b{{font-weight:bold}}
{_colours(LIGHT, "#ffffff", "#d0d7de")}
@media (prefers-color-scheme:dark){{{_colours(DARK, "#0d1117", "#30363d")}}}
#screens{{{last};animation:play {whole:.1f}s step-end infinite}}
@keyframes play{{{steps}100%{{{last}}}}}
@media (prefers-reduced-motion:reduce){{#screens{{animation:none}}}}
</style>
<rect class="w" x=".5" y=".5" width="{wide - 1}" height="{high - 1}" rx="8"/>
<g class="dim"><circle cx="18" cy="16" r="5"/><circle cx="36" cy="16" r="5"/><circle cx="54" cy="16" r="5"/></g>
<defs>{definitions}</defs>
<svg x="0" y="0" width="{wide}" height="{high}"><g id="screens">{"".join(frames)}</g></svg>
</svg>
"""


def _told_apart(screens: list[tuple[float, Screen]]) -> list[tuple[float, Screen]]:
    """Return the screens that differ and are seen for long enough, the first at 0."""
    kept: list[tuple[float, Screen]] = []
    for at, screen in screens:
        if kept and kept[-1][1] == screen:
            continue
        if kept and at - kept[-1][0] < SHORTEST:
            kept[-1] = (kept[-1][0], screen)
        else:
            kept.append((at, screen))
    return [(at - kept[0][0], screen) for at, screen in kept]


def _line(line: tuple[Cell, ...]) -> str:
    """Return the texts of a line, one per style, each as wide as its characters.

    The width is set in the SVG, so that it does not depend on the font.
    """
    made: list[str] = []
    at = 0
    while at < len(line):
        style, end = line[at][1], at
        while end < len(line) and line[end][1] == style:
            end += 1
        text = "".join(char for char, _ in line[at:end])
        if text.strip():
            classes = " ".join(part for part in (style[0], "b" if style[1] else "") if part)
            length = f'textLength="{len(text) * WIDTH:.1f}"'
            x, y = EDGE + at * WIDTH, TOP + HEIGHT - 5
            made.append(
                f'<text{f" class={classes!r}" if classes else ""} x="{x:.1f}" y="{y}" {length}>{escape(text)}</text>'
            )
        at = end
    return "".join(made)


def _colours(colours: dict[str, str], ground: str, border: str) -> str:
    named = "".join(f".{name}{{fill:{value}}}" for name, value in colours.items() if name)
    return f"text{{fill:{colours['']}}}.w{{fill:{ground};stroke:{border}}}{named}"


if __name__ == "__main__":
    made = drawn(recorded().screens)
    DRAWING.write_text(made, encoding="utf-8")
    print(f"wrote {DRAWING}: {len(made) / 1000:.0f} kB")  # noqa: T201 - a script's own words
