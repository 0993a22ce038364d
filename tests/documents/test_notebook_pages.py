"""Executed notebooks as pages of the site; `tests/notebook` tests what they do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]


def hook() -> Any:
    sys.path.insert(0, str(ROOT / "docs" / "hooks"))
    try:
        return __import__("notebooks")
    finally:
        sys.path.pop(0)


def page(source: str, *outputs: Any) -> str:
    notebook = new_notebook(cells=[new_markdown_cell("# A title"), new_code_cell(source, outputs=list(outputs))])
    return str(hook().page(notebook, "a.ipynb"))


def said(text: str, name: str = "stdout") -> Any:
    return new_output("stream", name=name, text=text)


def shown(**data: str) -> Any:
    return new_output("display_data", data={name.replace("_", "/"): value for name, value in data.items()})


def test_code_is_a_fence_and_a_cell_without_output_has_no_box() -> None:
    text = page("client.close()")
    assert "# A title\n\n```python\nclient.close()\n```\n" in text
    assert "<div" not in text
    assert "[a.ipynb](a.ipynb)" in text


def test_a_progress_bar_is_its_last_state_and_no_error() -> None:
    bar = [said("\rA:  0%", "stderr"), said("\rA: 50%", "stderr"), said("\rA: 100%", "stderr"), said("\n", "stderr")]
    text = page("run()", said("before\n"), *bar)
    assert "<pre>before\nA: 100%</pre>" in text
    assert "50%" not in text


def test_text_is_escaped_and_outputs_keep_their_order() -> None:
    text = page("x", said("<first>\n"), shown(text_plain="second & more"), said("third"))
    places = [text.index(words) for words in ("&lt;first&gt;", "second &amp; more", "third")]
    assert places == sorted(places)


def test_a_table_takes_the_sites_style_and_a_picture_is_inline() -> None:
    html = (
        '<div><style scoped>\n td {color: black}\n</style><table border="1" class="dataframe"><tr></tr></table></div>'
    )
    text = page("frame", shown(text_html=html, text_plain="frame"))
    assert "<div><table><tr></tr></table></div>" in text
    text = page('plots.draw(a, currency="EUR");', shown(image_png="aGVsbG8=\n", text_plain="<Figure>"))
    assert 'src="data:image/png;base64,aGVsbG8="' in text
    assert 'alt="Chart: plots.draw(a, currency=&quot;EUR&quot;)"' in text
    assert "Figure" not in text


def test_each_notebook_has_a_page_whose_markdown_the_site_can_render() -> None:
    places = hook().notebooks()
    assert set(places.values()) == set((ROOT / "samples").glob("*.ipynb"))
    for path in places.values():
        text = hook().page(nbformat.read(path, as_version=4), path.name)
        assert text.startswith("# ")
        assert "src=" not in text, "a notebook's own words fetch nothing"
