# ruff: noqa: INP001 - mkdocs loads this file by its path
"""Add the reference, the notebooks and documents outside `docs/` to the site."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))  # mkdocs does not add the folder of its hooks

from commands import commands_page
from notebooks import notebook_pages, notebooks
from reference import PAGES

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[2]
BESIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "wsdl/README.md": "explanation/contract.md",
}
"""Documents outside `docs/`, with their place in the site."""

_LINK = re.compile(r"\[([^\]]+)\]\(([^)#:\s]+)(#[^)\s]*)?\)")
_ROLE = re.compile(r":(?:class|meth|attr|func|mod|data|exc):<code>[~.]*([^<]+)</code>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for place, write in {**PAGES, "reference/commands.md": commands_page}.items():
        files.append(File.generated(config, place, content=write()))
    for place, text in notebook_pages().items():
        files.append(File.generated(config, place, content=text))
    for place, path in notebooks().items():
        beside = posixpath.join(posixpath.dirname(place), path.name)
        files.append(File.generated(config, beside, abs_src_path=str(path)))
    for source, place in BESIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=moved(text, source, place)))
    return files


def on_page_content(html: str, **_: object) -> str:
    """Show Sphinx roles in docstrings as code."""
    return _ROLE.sub(r"<code>\1</code>", html)


def moved(text: str, source: str, place: str) -> str:
    """Return *text* with its relative links corrected for its new place.

    A link to a file outside the site becomes plain text.
    """

    def link(match: re.Match[str]) -> str:
        words, named, anchor = match[1], match[2], match[3] or ""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), named))
        inside = BESIDE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if inside is None:
            return words
        return f"[{words}]({posixpath.relpath(inside, posixpath.dirname(place) or '.')}{anchor})"

    return _LINK.sub(link, text)
