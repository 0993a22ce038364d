# ruff: noqa: INP001 - mkdocs and the tests load this file by its path
"""Run the notebooks of `samples/` against the emulator and make pages of them.

A page is Markdown: code in fences, outputs as plain HTML with inline pictures. So it has the site's own type, tables
and colours in light and dark, its headings are in the contents, and it fetches nothing. The finished HTML of a
converter would bring its own styles and scripts, some from other hosts. A cell that raises ends the build.
"""

from __future__ import annotations

import asyncio
import os
import re
from functools import cache
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
_QUIET = ["--IPKernelApp.log_level=ERROR", "--InlineBackend.figure_format=retina"]  # pictures with two dots per pixel
_STYLE = re.compile(r"<style[^>]*>.*?</style>\s*", re.DOTALL)
_TABLE = re.compile(r"<table[^>]*>")


def notebooks() -> dict[str, Path]:
    """Return each notebook by the path of its page."""
    return {f"tutorials/{path.stem}.md": path for path in sorted(SAMPLES.glob("*.ipynb"))}


def notebook_pages() -> dict[str, str]:
    """Return every notebook's page.

    The notebooks run at the same time, and again only if one has changed.
    """
    found = notebooks()
    sources = tuple(path.read_text(encoding="utf-8") for path in found.values())
    pages = zip(found.items(), _executed(sources), strict=True)
    return {place: page(notebook, path.name) for (place, path), notebook in pages}


@cache
def _executed(sources: tuple[str, ...]) -> list[Any]:
    async def together() -> list[Any]:
        return await asyncio.gather(*map(_run, sources))

    return asyncio.run(together())


async def _run(source: str) -> Any:
    """Run a notebook, without the user's settings and profiles."""
    notebook = nbformat.reads(source, as_version=4)
    own = {name: value for name, value in os.environ.items() if not name.startswith("OCTOPUS_")}
    with TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": folder}}, extra_arguments=_QUIET)
        await client.async_execute(env={**own, "IPYTHONDIR": folder, "TMPDIR": folder})
    return notebook


def page(notebook: Any, name: str) -> str:
    """Return an executed notebook as Markdown.

    Args:
        notebook: as nbformat reads it, with outputs.
        name: of its file, which the page links to.
    """
    parts = []
    for cell in notebook.cells:
        parts += [cell.source, ""] if cell.cell_type == "markdown" else _code(cell)
    source = f"This page is [{name}]({name}){{ download }}, run against the emulator when the site was built."
    return "\n".join([*parts, "---", "", source, ""])


def _code(cell: Any) -> list[str]:
    shown = [f"```python\n{cell.source}\n```", ""]
    outputs = "\n".join(_outputs(cell))
    return [*shown, f'<div class="output" data-search-exclude>\n{outputs}\n</div>', ""] if outputs else shown


def _outputs(cell: Any) -> list[str]:
    """Return a cell's outputs; progress bars come on stderr, and are no errors."""
    found, said = [], ""
    for output in cell.outputs:
        if output.output_type == "stream":
            said += output.text
            continue
        found += [_text(said), _data(output, cell.source)]
        said = ""
    return [html for html in [*found, _text(said)] if html]


def _data(output: Any, source: str) -> str:
    data = output.data
    if picture := data.get("image/png"):
        width = output.metadata.get("image/png", {}).get("width", "")
        words = escape(f"Chart: {source.splitlines()[-1].rstrip(';')}")
        return f'<p><img class="chart" width="{width}" alt="{words}" src="data:image/png;base64,{picture.strip()}"></p>'
    if html := data.get("text/html"):
        return _TABLE.sub("<table>", _STYLE.sub("", html))  # the site styles tables
    return _text(data.get("text/plain", ""))


def _text(said: str) -> str:
    """Return text as a terminal shows it: of an overwritten line, the last state."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in said.rstrip().split("\n")]
    words = escape("\n".join(lines), quote=False)
    return f"<pre>{words}</pre>" if words else ""
