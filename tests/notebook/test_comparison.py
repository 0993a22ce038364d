"""`tables.compare`: new, missing and changed rows of two tables, by column."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import polars as pl
import pytest

from octopus_soap import InvalidInputError, InventoryItem, StoreStockInfo, tables
from octopus_soap.tables import compare, to_arrow, to_frame, to_records


def item(
    sku: str, stock: str, price: str = "9.90", *, stores: dict[str, float] | None = None, **more: object
) -> InventoryItem:
    listed = [StoreStockInfo(store_id=store, store_stock=many) for store, many in (stores or {}).items()]
    return InventoryItem(sku=sku, stock=stock, price=price, store_stock_info_list=listed or None, **more)


BEFORE = [
    item("A", "3", stores={"S1": 1, "S2": 2}),
    item("B", "7", sale_start_date=datetime(2026, 3, 4, tzinfo=UTC)),
    item("007", "1"),
    item("GONE", "0"),
]
AFTER = [
    item("NEW", "5", description="Tea <b>"),
    item("007", "1", "9.9000"),
    item("B", "4", "10.50", sale_start_date=datetime(2026, 3, 4, tzinfo=UTC)),
    item("A", "3", stores={"S1": 1, "S2": 0}),
]


def test_rows_that_appeared_and_went_and_cells_that_changed_are_found_by_key_and_value() -> None:
    found = compare(BEFORE, AFTER)
    assert repr(found) == "<Comparison by sku: 1 appeared, 1 gone, 2 changed, 1 unchanged>"
    assert found
    assert not compare(BEFORE, BEFORE)
    assert [row["sku"] for row in found.appeared] == ["NEW"]
    assert [row["sku"] for row in found.gone] == ["GONE"]
    assert [(c.key, c.column, c.before, c.after, c.difference) for c in found.changed] == [
        (("B",), "price", Decimal("9.90"), Decimal("10.50"), Decimal("0.60")),
        (("B",), "stock", 7, 4, Decimal(-3)),
        (("A",), "store_stock[S2]", 2.0, 0.0, Decimal("-2.0")),
    ]
    assert found.by_column == {"price": 1, "stock": 1, "store_stock[S2]": 1}
    assert [c.column for c in compare(BEFORE, AFTER, columns=["stock"]).changed] == ["stock"]
    frame = found.to_frame()
    assert frame.columns.tolist() == ["sku", "change", "column", "before", "after", "difference"]
    assert frame[frame.column == "stock"].to_numpy().tolist() == [["B", "changed", "stock", "7", "4", Decimal(-3)]]
    assert found.to_frame("polars").height == len(frame) == 5
    assert compare([], []).to_frame().empty


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_models_frames_files_and_records_say_the_same(tmp_path, backend: str) -> None:
    whole = compare(BEFORE, AFTER).to_records()
    frames = [to_frame(side, backend=backend, stores="columns") for side in (BEFORE, AFTER)]
    if backend == "pandas":
        for number, frame in enumerate(frames):
            frame.to_csv(tmp_path / f"{number}.csv", index=False)
        read = [pd.read_csv(tmp_path / f"{n}.csv", dtype=str) for n in (0, 1)]
    else:
        read = [pl.DataFrame(to_records(side, stores="columns"), strict=False) for side in (BEFORE, AFTER)]
    records = [to_records(side, stores="columns") for side in (BEFORE, AFTER)]
    for before, after in [frames, (read[0], AFTER), (BEFORE, read[1]), records, (frames[0], records[1])]:
        same = [row for row in compare(before, after).to_records() if row["change"] == "changed"]
        assert [(r["sku"], r["column"], Decimal(r["after"])) for r in same] == [
            (r["sku"], r["column"], Decimal(r["after"])) for r in whole if r["change"] == "changed"
        ]


def test_a_column_of_one_side_only_is_named_and_not_taken_for_a_change() -> None:
    stock = pd.DataFrame({"sku": ["A", "B"], "stock": [3, 7], "note": ["x", "y"]})
    found = compare(stock, AFTER)
    assert found.columns == ("stock",)
    assert found.only_before == ("note",)
    assert "price" in found.only_after
    assert [(c.key, c.column) for c in found.changed] == [(("B",), "stock")]
    assert "not compared: note" in found.to_html()


def test_the_page_stands_alone_and_escapes_what_the_service_sent(tmp_path) -> None:
    page = compare(BEFORE, AFTER).to_html(tmp_path / "changes.html")
    assert (tmp_path / "changes.html").read_text(encoding="utf-8") == page
    assert 'content="light dark"' in page
    assert "Tea &lt;b&gt;" in page
    assert "http" not in page
    assert "changed by column: price 1, stock 1" in page
    assert compare(BEFORE, AFTER)._repr_html_() in page


def test_a_key_that_is_a_number_is_the_same_in_every_type() -> None:
    whole, floats = pd.DataFrame({"id": [10, 2], "n": [1, 2]}), pd.DataFrame({"id": [10.0, 2.0], "n": [1, 3]})
    for other in (floats, floats.astype({"id": object}), [{"id": "10", "n": 1}, {"id": Decimal("2.00"), "n": 3}]):
        assert compare(whole, other, "id").counts == {"appeared": 0, "gone": 0, "changed": 1, "unchanged": 1}
    assert compare([{"id": "007"}], [{"id": 7}], "id").counts["gone"] == 1, "a text is compared as it is"


def test_a_nan_that_signals_is_an_empty_cell() -> None:
    assert not compare([{"sku": "A", "price": Decimal("sNaN")}], [{"sku": "A", "price": None}])


def test_arrow_tables_are_compared_too() -> None:
    assert compare(to_arrow(BEFORE, stores="columns"), BEFORE).counts["unchanged"] == len(BEFORE)


def refusal(*sides: object, **options: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        compare(*sides, **options)
    return str(caught.value)


class Shaped:
    """Looks like a table, and is none."""

    columns, shape = ("sku",), (0, 1)


def test_what_cannot_be_compared_is_refused_with_the_remedy() -> None:
    rows = to_frame(BEFORE)  # one per store
    assert "has two rows with the sku 'A'" in refusal(rows, rows)
    assert "key=('sku', 'store_id')" in refusal(rows, rows)
    assert not compare(rows[rows.store_id.notna()], rows[rows.store_id.notna()], ("sku", "store_id"))
    assert "has no column 'upc'" in refusal(BEFORE, AFTER, "upc")
    assert "neither table has the column 'stok'" in refusal(BEFORE, AFTER, columns=["stok"])
    doubled = pd.DataFrame([["A", 1, 2]], columns=["sku", "stock", "stock"])
    assert "after: has the column 'stock' more than once; keep one" in refusal(BEFORE, doubled)
    assert "'sku' is the frame's index: pass frame.reset_index()" in refusal(to_frame(AFTER).set_index("sku"), AFTER)
    assert "nothing was compared: frame: expected a DataFrame" in refusal(Shaped(), AFTER)
    assert "not a str" in refusal("items.csv", AFTER)
    assert "row 0: the sku is the number 7; read the column as text" in refusal([{"sku": 7}], AFTER)
    assert "row 0 has no sku" in refusal([{"sku": ""}], AFTER)
    assert {"compare", "Comparison", "Change"} <= set(tables.__all__)
