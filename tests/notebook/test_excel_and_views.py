"""Workbooks, displays of pings, counters, settings and outcomes, progress bars."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import openpyxl
import pandas as pd
import pytest

from octopus_soap import InvalidInputError, InventoryItem, OrderResponseItem, tables
from octopus_soap.results import _place
from octopus_soap.tables import items_from_frame, to_excel

MOMENT = datetime(2026, 3, 4, 10, tzinfo=UTC)
ITEMS = [
    InventoryItem(sku="00123", description="=1+1", price="19.90", stock="7", sale_start_date=MOMENT, upc="1e5"),
    InventoryItem(sku="MAR1", description="a\nb", price="12345678901234567.12", variation_info={"is_parent": True}),
]


def test_a_workbook_keeps_skus_as_text_and_has_numbers_with_formats_and_a_fixed_header(tmp_path) -> None:
    to_excel(ITEMS, tmp_path / "items.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "items.xlsx").active
    head = [cell.value for cell in sheet[1]]
    row = dict(zip(head, sheet[2], strict=True))
    assert head[:3] == ["sku", "description", "price"]
    assert all(cell.font.bold for cell in sheet[1])
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("B2", f"A1:{sheet.cell(1, len(head)).column_letter}3")
    assert (row["sku"].value, row["sku"].data_type, row["sku"].number_format) == ("00123", "s", "@")
    assert (row["description"].value, row["description"].data_type) == ("=1+1", "s")
    assert (row["upc"].value, row["upc"].data_type) == ("1e5", "s")
    assert (row["price"].value, row["price"].number_format) == (19.9, "#,##0.00##")
    assert (row["stock"].value, row["stock"].number_format) == (7, "#,##0")
    assert (row["sale_start_date"].value, row["sale_start_date"].is_date) == (MOMENT.replace(tzinfo=None), True)
    assert sheet.cell(3, 3).value == "12345678901234567.12", "Excel would keep 15 digits of the number"
    assert sheet.cell(3, head.index("variation_info.is_parent") + 1).value is True
    assert sheet.column_dimensions["A"].width == 7
    again = pd.read_excel(tmp_path / "items.xlsx", dtype=str)[["sku", "price", "stock"]]
    assert items_from_frame(again)[0] == InventoryItem(sku="00123", price=Decimal("19.9"), stock="7")

    to_excel([], tmp_path / "none.xlsx")
    assert openpyxl.load_workbook(tmp_path / "none.xlsx").active.max_row == 1
    orders = [OrderResponseItem(order_id="7", credit_card="4111-canary", order_items=[])]
    to_excel(orders, tmp_path / "orders.xlsx")
    assert "canary" not in str(list(openpyxl.load_workbook(tmp_path / "orders.xlsx").active.values))
    with pytest.raises(
        InvalidInputError, match=r"\[0\] details: a cell holds 32,767 characters, and this text has 40,000"
    ):
        to_excel([InventoryItem(sku="A", details="x" * 40_000)], tmp_path / "long.xlsx")
    assert "to_excel" in tables.__all__


def test_a_ping_counters_settings_and_missing_items_are_tables_in_a_notebook(client, service) -> None:
    service.store.add_item("A", Stock="1")
    result = client.get_item_list(["A", "nope<b>"])
    shown = result.missing._repr_html_()
    assert "1 outcome" in shown
    assert "nope&lt;b&gt;" in shown
    assert "has no row for it" in shown
    assert result.missing == [result.outcomes[1]]
    assert "<b>ping: ok</b>" in client.ping()._repr_html_()
    counters = client.counters._repr_html_()
    assert "requests" in counters
    assert "ok: 1, missing: 1" in counters
    settings = client.settings._repr_html_()
    assert "read_timeout" in settings
    secrets = (client.settings.authtoken, client.settings.accessid)
    assert not any(secret.get_secret_value() in settings for secret in secrets)


def test_a_bar_of_text_in_a_notebook_is_not_written_where_it_looks_like_an_error(monkeypatch) -> None:
    text = type("tqdm", (), {"__module__": "tqdm.asyncio"})
    widget = type("tqdm_notebook", (), {"__module__": "tqdm.notebook"})
    kernel = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    assert _place(text)["file"] is sys.stdout
    assert "file" not in _place(widget)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert _place(text) == {"dynamic_ncols": True}
