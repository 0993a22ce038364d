"""The page on notebooks: its snippets run, in order."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notebook.md"


def test_the_snippets_of_the_page_run_in_order(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for source in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(source, PAGE.name, "exec"), names)
    plt.close("all")
    said = capsys.readouterr()
    assert "[0] 'DEMO-0001' stock: expected an int" in said.out
    assert "[1] sku: expected text" in said.out
    assert "update_item_quantity_and_price_list  UpdateItemQuantityAndPriceList" in said.out
    assert "IsSkuExistList: 100%" in said.err
    assert (tmp_path / "stock.png").stat().st_size > 1000
