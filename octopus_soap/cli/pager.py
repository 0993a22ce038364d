"""A pager for what is longer than the screen: on a terminal only, so that a pipe or a file gets everything at once.

The pager is `$PAGER`, or `less` if it is there. `--no-pager`, `PAGER=cat` and `TERM=dumb` turn it off. What a command
prints in a `paged` block is collected first: it is in memory anyway, and only then is its length known.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_LESS = {"LESS": "FRX", "LESSCHARSET": "utf-8"}
"""End at once if all fits after all, show colours, and leave the text on the screen; `$LESS` goes before."""
enabled = True
"""False after `--no-pager`."""


class _Collected(io.TextIOWrapper):
    """Standard output that is collected, of a terminal for everyone who asks."""

    def __init__(self) -> None:
        self.content = io.BytesIO()
        super().__init__(self.content, encoding="utf-8", newline="\n", write_through=True)

    def isatty(self) -> bool:
        return True


@contextmanager
def paged() -> Generator[None]:
    """Show what the block prints in a pager, if it is longer than the screen of a terminal."""
    command = _pager()
    if not command:
        yield
        return
    collected = _Collected()
    try:
        with redirect_stdout(collected):
            yield
    finally:
        content = collected.content.getvalue()
        if not (_is_longer(content.decode()) and _run(command, content)):
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()


def _pager() -> list[str]:
    """Return the pager's command line; nothing if there is to be none."""
    if not (sys.stdout.isatty() and sys.stdin.isatty()) or isinstance(sys.stdout, _Collected):
        return []
    if not enabled or os.environ.get("TERM", "") in {"", "dumb"}:
        return []
    with suppress(ValueError):  # a quotation mark that is not closed
        words = shlex.split(os.environ.get("PAGER", "less"))
        if words and words[0] != "cat" and shutil.which(words[0]):
            return words
    return []


def _is_longer(text: str) -> bool:
    """Return whether *text* has more lines than the screen, long lines counted as often as they wrap."""
    from rich.text import Text  # noqa: PLC0415 - rich is loaded only to print

    width, height = shutil.get_terminal_size()
    lines = text.count("\n")
    if lines < height and len(text) > width:
        lines = sum(max(1, -(-Text.from_ansi(line).cell_len // width)) for line in text.split("\n")[:-1])
    return lines >= height  # the prompt needs a line too


def _run(command: list[str], content: bytes) -> bool:
    """Run the pager; return False if it cannot be started."""
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, env=_LESS | dict(os.environ))  # noqa: S603 - the user's own
    except OSError:
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's
    try:
        with suppress(BrokenPipeError):  # left before the end
            pager.communicate(content)
        pager.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return True
