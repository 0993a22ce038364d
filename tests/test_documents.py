"""What the documents show is what happens."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SNIPPETS = re.compile(r"```python\n(.*?)```", re.DOTALL)


def first_snippet(name: str) -> str:
    return SNIPPETS.findall((ROOT / name).read_text(encoding="utf-8"))[0]


class _Watched(ast.NodeTransformer):
    """Turns each bare expression into a note of its value."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        noted = ast.parse(f"seen.append(({node.end_lineno}, repr(0)))", mode="eval").body
        noted.args[0].elts[1].args[0] = node.value
        return ast.copy_location(ast.Expr(noted), node)


@pytest.mark.parametrize("name", ["README.md", "docs/index.md"])
def test_the_first_snippet_does_what_its_comments_say(name: str) -> None:
    source = first_snippet(name)
    seen: list[tuple[int, str]] = []
    tree = ast.fix_missing_locations(_Watched().visit(ast.parse(source)))
    exec(compile(tree, name, "exec"), {"seen": seen})
    lines = source.splitlines()
    shown = {line: comment for line, text in enumerate(lines, 1) if (comment := text.partition("  # ")[2].strip())}
    compared = 0
    for line, value in seen:
        if line in shown:
            compared += 1
            assert value == shown[line], f"{name}, line {line} of the snippet"
    assert compared >= (4 if name == "README.md" else 0)


def test_every_linked_file_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_changelog_speaks_of_this_version_or_the_next() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
