"""Find a document's snippets, and run them.

A page's `python` blocks run from top to bottom in one namespace, as a reader would type them. The page may say more in
comments that the site does not show:

* `<!-- setup` … `-->` holds Python that runs at that place: the stock a snippet reads, a folder it needs.
* `<!-- not run: why -->` before a block leaves it out.

What is compared: a bare expression whose line ends in a comment that looks like a value, with its `repr`; and what a
block prints, with the `text` block that follows it at once. `…` stands for any text. Functions named `test_*` are
called with pytest's fixtures. In `console` blocks the lines that begin with `octopus-soap` are run.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import shlex
import subprocess
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = re.compile(
    r"^<!-- setup\n(?P<setup>.*?)^-->"
    r"|^<!-- not run: (?P<reason>[^\n]*?) -->"
    r"|^(?P<indent> *)```(?P<language>[a-z]*)[^\n]*\n(?P<source>.*?)^(?P=indent)```",
    re.DOTALL | re.MULTILINE,
)
_VALUE = re.compile(r"['\"\[({<]|-?\d|(True|False|None)\b|\w+\(")
_SHELLS = {"console", "bash", "sh", "shell", ""}
_NO_COMMAND = re.compile(r"octopus-soap (serve|--install-completion)\b| --every |…")


@dataclass(frozen=True)
class Block:
    """One fenced block, or one hidden setup."""

    line: int
    language: str
    source: str
    reason: str = ""
    expected: str | None = None

    def commands(self) -> list[str]:
        """The command lines of a console block that are run."""
        if self.language not in _SHELLS or self.reason:
            return []
        joined = self.source.replace("\\\n", " ")
        lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
        return [line for line in lines if line.startswith("octopus-soap ") and not _NO_COMMAND.search(line)]


def blocks_of(text: str) -> list[Block]:
    """The blocks of a document in their order."""
    found: list[Block] = []
    reason, ended = "", -1
    for match in _PIECE.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        if match["reason"]:
            reason = match["reason"]
            continue
        if match["setup"] is not None:
            found.append(Block(line, "python", match["setup"]))
            continue
        language, source = match["language"], textwrap.dedent(match["source"])
        follows = found and not text[ended : match.start()].strip() and found[-1].language == "python"
        if language == "text" and follows and not found[-1].reason:
            last = found.pop()
            found.append(Block(last.line, "python", last.source, last.reason, expected=source))
        found.append(Block(line, language, source, reason))
        reason, ended = "", match.end()
    return found


def matches(shown: str, real: str) -> bool:
    """True if *real* is what is *shown*, in which `…` stands for any text."""
    lines = [" ".join(line.split()) for line in shown.strip().splitlines()]
    got = "\n".join(" ".join(line.split()) for line in real.strip().splitlines())
    return re.fullmatch(".*?".join(map(re.escape, "\n".join(lines).split("…"))), got, re.DOTALL) is not None


class _Watched(ast.NodeTransformer):
    """Records the value of each bare expression."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        noted: Any = ast.parse(f"__seen__({node.end_lineno}, 0)", mode="eval").body
        noted.args[1] = node.value
        return ast.copy_location(ast.Expr(noted), node)


class Page:
    """One document being run.

    Args:
        name: for messages.
        namespace: what its snippets see.
        fixture: gives a fixture's value by name, for `test_*` functions.
        command: runs the words of a command line and returns its exit code.
    """

    def __init__(
        self, name: str, namespace: dict[str, Any], fixture: Callable[[str], Any], command: Callable[[list[str]], int]
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.compared = 0
        self._fixture = fixture
        self._command = command

    def run(self, blocks: list[Block]) -> None:
        """Run all blocks; an AssertionError names the block and the difference."""
        with asyncio.Runner() as runner:
            for block in blocks:
                if block.language == "python" and not block.reason:
                    self._run_python(block, runner)
                for line in block.commands():
                    self._run_command(line, block)

    def _run_python(self, block: Block, runner: asyncio.Runner) -> None:
        values: list[tuple[int, Any]] = []
        self.namespace["__seen__"] = lambda line, value: values.append((line, repr(value))) or value
        before = dict(self.namespace)
        printed = io.StringIO()
        where = f"{self.name}, line {block.line}"
        tree = ast.fix_missing_locations(_Watched().visit(ast.parse("\n" * (block.line - 1) + block.source)))
        code = compile(tree, self.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(printed):
            running = eval(code, self.namespace)
            if inspect.iscoroutine(running):
                runner.run(running)
            self._run_tests([v for k, v in self.namespace.items() if k.startswith("test_") and v is not before.get(k)])
        self._compare(block, values, printed.getvalue(), where)

    def _run_tests(self, found: list[Any]) -> None:
        for test in found:
            done = test(**{name: self._fixture(name) for name in inspect.signature(test).parameters})
            if inspect.iscoroutine(done):
                asyncio.run(done)

    def _compare(self, block: Block, values: list[tuple[int, Any]], printed: str, where: str) -> None:
        lines = block.source.splitlines()
        for line, value in values:
            if not block.line <= line < block.line + len(lines):
                continue  # called by this block, and defined in an earlier one
            comment = lines[line - block.line].partition("  # ")[2].strip()
            if _VALUE.match(comment):
                assert matches(comment, value), f"{where}: shows {comment}, is {value}"
                self.compared += 1
        if block.expected is not None:
            assert matches(block.expected, printed), f"{where}: shows\n{block.expected}\nprints\n{printed}"
            self.compared += 1

    def _run_command(self, line: str, block: Block) -> None:
        line = re.sub(r"\s+#\s.*$", "", line)
        words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
        if "$" in line or any(set(word) <= set("|<>&;()") for word in words):  # outside of quotes
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
            code, said = done.returncode, done.stderr
        else:
            code, said = self._command(shlex.split(line)[1:]), ""
        assert code in {0, 1}, f"{self.name}, line {block.line}: `{line}` ended with {code} {said}"
