"""Rules that the tests themselves follow."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
SUITE = sorted([*TESTS.rglob("test_*.py"), *TESTS.rglob("conftest.py")])
CLOCKS = {"sleep", "monotonic", "perf_counter", "process_time", "time", "monotonic_ns", "perf_counter_ns", "time_ns"}


def _asks_the_clock(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name("time"), attr=name)):
            return name in CLOCKS
        case ast.Call(func=ast.Attribute(value=ast.Name("asyncio"), attr="sleep"), args=[ast.Constant(seconds)]):
            return seconds != 0  # 0 lets the others run
    return False


ASKS = re.compile(r"\b(time|asyncio)\s*\.")
"""Found in every file that may use a clock: the others are not parsed."""


def test_no_test_sleeps_or_measures_time() -> None:
    """Wait for an event (`Emulator.wait_for_calls`), or set a `timeout` mark."""
    assert len(SUITE) > 100
    found = [
        f"{path.relative_to(TESTS)}:{node.lineno}"
        for path in SUITE
        if ASKS.search(text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if _asks_the_clock(node)
    ]
    assert found == []
