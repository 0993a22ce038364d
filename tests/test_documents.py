"""Links and anchors of the documents, and the pages of the site."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.every import every

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
DOCUMENTS = [*ROOT.glob("*.md"), ROOT / "wsdl" / "README.md", *DOCS.rglob("*.md")]
GENERATED = {"operations", "models", "settings", "errors", "commands"}
BESIDE = {"changelog.md", "contributing.md", "security.md", "explanation/contract.md"}
NOTEBOOKS = {f"tutorials/{path.stem}.md" for path in (ROOT / "samples").glob("*.ipynb")}
"""Pages of the site that are not in `docs/`; `docs/hooks/site.py` adds them."""

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
_WORD = re.compile(r"[^\w\- ]")
_LONG_LINE = re.compile(r'^ *r?""".{81}', re.MULTILINE)
"""Found in every file that may have a long docstring line: the others are not parsed."""


def _links(path: Path) -> list[tuple[Path, str]]:
    """Return each link to a file, with its anchor."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    found = [link.partition("#") for link in _LINK.findall(text) if "://" not in link and not link.startswith("mailto")]
    return [((path.parent / name).resolve() if name else path, anchor) for name, _, anchor in found]


def _anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", _WORD.sub("", title.strip().lower()).strip()) for title in titles}


def _is_made(target: Path) -> bool:
    place = target.relative_to(DOCS).as_posix() if target.is_relative_to(DOCS) else ""
    return place in BESIDE | NOTEBOOKS or (target.parent == DOCS / "reference" and target.stem in GENERATED)


@every("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    for target, anchor in _links(path):
        if _is_made(target):
            continue  # mkdocs checks those, anchors included: make docs
        assert target.exists(), f"{path.relative_to(ROOT)} links to {target}, which does not exist"
        if anchor and target.suffix == ".md" and not anchor.startswith("octopus_soap."):
            assert anchor in _anchors(target), f"{path.relative_to(ROOT)}: {target.name} has no heading #{anchor}"


def test_the_links_are_read_as_intended() -> None:
    assert (DOCS / "how-to" / "real-account.md", "6-write-one-thing") in _links(DOCS / "how-to" / "pin-the-contract.md")
    assert "6-write-one-thing" in _anchors(DOCS / "how-to" / "real-account.md")


def test_every_page_is_in_the_sites_navigation_and_every_entry_exists() -> None:
    listed = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert listed == pages | BESIDE | NOTEBOOKS | {f"reference/{name}.md" for name in GENERATED}


def test_the_site_fetches_nothing_from_elsewhere() -> None:
    """It can be read offline: no font, script or picture comes from another host."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings
    assert "https://" not in settings
    pictures = [path for path in DOCS.rglob("*") if path.suffix in {".svg", ".css", ".js"}]
    assert pictures
    fetched = re.compile(r"url\(['\"]?https?:|@import|<image[^>]+href=['\"]https?:|src=['\"]https?:|fetch\(")
    assert [path.name for path in pictures if fetched.search(path.read_text(encoding="utf-8"))] == []
    assert not any(re.search(r"!\[[^\]]*\]\(https?:", path.read_text(encoding="utf-8")) for path in DOCUMENTS)


def test_the_changelog_speaks_of_this_version_or_the_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    from octopus_soap import __version__

    assert "## Unreleased" in text or f"## {__version__}" in text


def _long_docstrings(source: str) -> list[int]:
    """Return the lines of docstrings whose first line has more than 80 characters."""
    if not _LONG_LINE.search(source):
        return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    return [node.body[0].lineno for node in nodes if len((ast.get_docstring(node) or "").partition("\n")[0]) > 80]


def test_the_first_line_of_a_docstring_has_at_most_80_characters() -> None:
    short, long = (f'def f():\n    """{"x" * length}\n\n    y\n    """\n' for length in (80, 81))
    assert (_long_docstrings(short), _long_docstrings(long)) == ([], [2])
    places = ("octopus_soap/**/*.py", "tests/**/*.py", "samples/**/*.py", "benchmarks/*.py", "benchmarks/[!.]*/*.py")
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for place in places
        for path in sorted(ROOT.glob(place))
        for line in _long_docstrings(path.read_text(encoding="utf-8"))
    ]
    assert found == []
