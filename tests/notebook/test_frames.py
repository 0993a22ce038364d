"""Results and models as tables, and models from tables, without loss."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octopus_soap import (
    BatchResult,
    InvalidInputError,
    InventoryItem,
    ItemOutcome,
    ItemQuantityAndPrice,
    OddTextWarning,
    OrderItem,
    OrderResponseItem,
    OutcomeStatus,
    StoreStockInfo,
    VariationInfo,
)
from octopus_soap.models import WireModel
from octopus_soap.models.scalars import is_count, number_of
from octopus_soap.tables import items_from_frame, to_arrow, to_frame, to_records
from tests.every import every
from tests.wire.model_strategies import MODELS, instances

ITEM = InventoryItem(
    sku="00123",
    price=Decimal("19.90"),
    stock="3",
    sale_start_date=datetime(2026, 3, 4, 10, 0, 0, 123456, tzinfo=UTC),
    variation_info=VariationInfo(is_parent=True),
    store_stock_info_list=[
        StoreStockInfo(store_id="S1", store_stock=2.5, store_price=Decimal("18.00")),
        StoreStockInfo(store_id="0002", store_stock=0.0),
    ],
)
ORDER = OrderResponseItem(
    order_id="0077",
    order_date=datetime(2026, 3, 4, tzinfo=UTC),
    total=Decimal("30.00"),
    credit_card="4111-canary",
    order_items=[OrderItem(sku="A", quantity=1), OrderItem(sku="B", quantity=2, unit_price=Decimal("5.5"))],
)


def result_of(*values: object) -> BatchResult[object]:
    outcomes = [ItemOutcome(i, f"K{i}", OutcomeStatus.OK, value, input=f"K{i}") for i, value in enumerate(values)]
    missing = ItemOutcome(len(values), "00404", OutcomeStatus.MISSING, input="00404")
    return BatchResult([*outcomes, missing])


# -- round trip ----------------------------------------------------------------------------------------------------


def filled(model: WireModel) -> WireModel:
    """Return *model* without None, empty lists and records: a table cannot show them."""
    kept = {}
    for name in model.model_fields_set:
        value = getattr(model, name)
        if isinstance(value, WireModel):
            value = filled(value)
            value = value if value.model_fields_set else None
        if isinstance(value, list):
            value = [filled(v) if isinstance(v, WireModel) else v for v in value]
            value = [v for v in value if not isinstance(v, WireModel) or v.model_fields_set] or None
        if is_count(type(model).model_fields[name].annotation) and value is not None:
            number = number_of(value)  # a table has the number, not its spelling
            value = str(number) if isinstance(number, int) else format(number, "f") if number is not None else value
            value = value if value.strip() else None
        if value is not None:
            kept[name] = value
    return type(model)(**kept)


def distinct(models: list[WireModel]) -> list[WireModel]:
    """Return the models with different keys, and stores with different ids."""
    made = []
    for number, model in enumerate(filled(m) for m in models):
        key = {model.key_field: f"00{number}"} if model.key_field else {}
        if stores := getattr(model, "store_stock_info_list", None):
            key["store_stock_info_list"] = [s.replace(store_id=f"0{n}", store_cost=1) for n, s in enumerate(stores)]
        made.append(model.replace(**key))
    return made


KEYED = [model for model in MODELS if model.key_field]


@pytest.mark.parametrize("backend", ["pandas", "polars"])
@pytest.mark.parametrize("stores", ["rows", "columns", "json"])
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::octopus_soap.errors.OddTextWarning")
def test_what_goes_through_a_frame_comes_back_the_same(data: st.DataObject, backend: str, stores: str) -> None:
    model = data.draw(st.sampled_from(KEYED))
    models = distinct(data.draw(st.lists(instances(model), min_size=1, max_size=4)))
    decimals = "decimal" if backend == "pandas" else "text"  # polars' decimals end at 38 digits
    frame = to_frame(models, backend=backend, stores=stores, decimals=decimals, secrets=True)
    assert items_from_frame(frame, model) == models


@given(data=st.data())
@pytest.mark.filterwarnings("ignore::octopus_soap.errors.OddTextWarning")
def test_arrow_and_records_hold_the_same_values(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(KEYED))
    models = distinct(data.draw(st.lists(instances(model), min_size=1, max_size=4)))
    assert to_arrow(models).to_pylist() == to_records(models)


@every("backend", ["pandas", "polars"])
def test_decimals_of_a_frame_equal_the_amounts_as_given(backend: str) -> None:
    frame = to_frame([ITEM, ITEM.replace(sku="2", price=Decimal("0.0001"))], backend=backend, stores="json")
    assert list(frame["price"]) == [Decimal("19.90"), Decimal("0.0001")]


def test_pandas_keeps_the_very_decimal() -> None:
    assert str(to_frame([ITEM])["price"][0]) == "19.90"


def test_csv_keeps_leading_zeros_when_read_as_text(tmp_path) -> None:
    to_frame([ITEM], stores="columns").to_csv(tmp_path / "items.csv", index=False)
    assert items_from_frame(pd.read_csv(tmp_path / "items.csv", dtype=str)) == [ITEM]


def test_parquet_comes_back_the_same(tmp_path) -> None:
    to_frame([ITEM], backend="polars").write_parquet(tmp_path / "items.parquet")
    assert items_from_frame(pl.read_parquet(tmp_path / "items.parquet")) == [ITEM]


def test_stock_that_the_page_types_as_text_is_a_number_in_every_table_and_what_is_none_is_kept_and_warned_of() -> None:
    texts = ["7", " 3 ", "12.0000", "-1", "", None]
    items = [InventoryItem(sku=str(n), stock=text, form_quantity="1") for n, text in enumerate(texts)]
    frame = to_frame(items)
    assert str(frame.stock.dtype) == "Int64"
    assert frame.stock.tolist() == [7, 3, 12, -1, pd.NA, pd.NA]
    assert int(frame.stock.sum()) == 21
    assert frame[frame.stock < 0].sku.tolist() == ["3"]
    assert "stock_text" not in frame
    assert to_frame(items, backend="polars").schema["stock"] == pl.Int64()
    assert [row["stock"] for row in to_records(items)] == [7, 3, 12, -1, None, None]
    assert [item.stock_quantity for item in items] == [7, 3, 12, -1, None, None]
    assert items[0].form_quantity_number == 1
    assert items[0].applicable_stock_quantity is None

    odd = [*items, InventoryItem(sku="A-1", stock="12 pcs"), InventoryItem(sku="A-2", stock="2.5")]
    with pytest.warns(OddTextWarning) as warned:
        frame = to_frame(odd)
    assert str(warned[0].message) == (
        "stock: 1 of 8 values are texts that are no number ('12 pcs' of 'A-1'). They are in the column 'stock_text', "
        "and 'stock' has no value there"
    )
    assert warned[0].filename == __file__
    assert frame.stock.dropna().tolist() == [Decimal(n) for n in ("7", "3", "12", "-1", "2.5")]
    assert frame[frame.stock_text.notna()].sku.tolist() == ["A-1"]
    assert [item.stock for item in items_from_frame(frame)] == ["7", "3", "12", "-1", None, None, "12 pcs", "2.5"]
    with pytest.raises(ValueError, match=r"stock of 'A-1' is the text '12 pcs', which is no number; read \.stock"):
        _ = odd[6].stock_quantity
    frame.loc[6, "stock"] = 12
    [problem] = problems(frame, InventoryItem)
    assert problem == "[6] 'A-1' stock_text: stock has a value in this row too; keep one of them (got '12 pcs')"


# -- columns -----------------------------------------------------------------------------------------------------------


def test_columns_have_types_that_know_nothing_is_there() -> None:
    frame = to_frame([ITEM, InventoryItem(sku="2")], stores="columns")
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert types["sku"] == "string"
    assert types["price"] == "object"
    assert types["sale_start_date"] == "datetime64[us, UTC]"
    assert types["variation_info.is_parent"] == "boolean"
    assert types["store_stock[0002]"] == "Float64"
    assert frame["sku"].tolist() == ["00123", "2"]
    assert frame["sale_start_date"][0].to_pydatetime() == ITEM.sale_start_date
    assert pd.isna(frame["price"][1])


def test_integers_with_a_gap_stay_integers() -> None:
    frame = to_frame([ItemQuantityAndPrice(sku="1", stock=7), ItemQuantityAndPrice(sku="2")])
    assert str(frame["stock"].dtype) == "Int64"
    assert frame["stock"].tolist() == [7, pd.NA]


def test_stores_as_rows_repeat_the_item() -> None:
    records = to_records([ITEM, InventoryItem(sku="2")])
    assert [(r["sku"], r["store_id"], r["store_stock"]) for r in records] == [
        ("00123", "S1", 2.5),
        ("00123", "0002", 0.0),
        ("2", None, None),
    ]


def test_stores_as_json_are_one_column_of_text() -> None:
    [record] = to_records([ITEM], stores="json")
    assert json.loads(record["store_stock_info_list"])[0] == {
        "store_id": "S1",
        "store_stock": 2.5,
        "store_price": "18.00",
    }


def test_the_lines_of_an_order_are_spread_by_the_same_rule() -> None:
    assert [(r["order_id"], r["sku"], r["quantity"]) for r in to_records([ORDER])] == [
        ("0077", "A", 1),
        ("0077", "B", 2),
    ]
    [record] = to_records([ORDER], stores="columns")
    assert (record["sku[0]"], record["sku[1]"], record["unit_price[1]"]) == ("A", "B", Decimal("5.5"))


def test_a_card_number_stays_out_unless_asked_for() -> None:
    assert "canary" not in str(to_records([ORDER]))
    assert to_records([ORDER], secrets=True)[0]["credit_card"] == "4111-canary"


def test_members_nobody_set_are_no_columns_unless_asked_for() -> None:
    assert list(to_frame([InventoryItem(sku="1", price=2)])) == ["sku", "price"]
    assert {"sku", "msrp", "custom30", "store_price_a"} <= set(to_frame([InventoryItem(sku="1")], columns="all"))


def test_named_columns_come_in_their_order_also_where_there_is_no_row() -> None:
    assert list(to_frame([ITEM], columns=["price", "sku"])) == ["price", "sku"]
    empty = to_frame(BatchResult([]), columns=["sku", "price"])
    assert (list(empty), len(empty)) == (["sku", "price"], 0)


def test_a_flag_per_sku_keeps_its_key() -> None:
    frame = result_of(True, False).to_frame()
    assert frame["key"].tolist() == ["K0", "K1"]
    assert str(frame["value"].dtype) == "boolean"


def test_outcomes_have_a_row_for_every_input() -> None:
    frame = result_of(ITEM).to_frame(which="outcomes")
    assert frame["key"].tolist() == ["K0", "00404"]
    assert frame["status"].tolist() == ["ok", "missing"]


@every("backend", ["pandas", "polars"])
def test_amounts_as_floats_where_chosen(backend: str) -> None:
    assert to_frame([ITEM], backend=backend, decimals="float")["price"].sum() == pytest.approx(39.8)


# -- what is refused ---------------------------------------------------------------------------------------------------


@every("choice", [{"backend": "dask"}, {"which": "all"}, {"decimals": "int"}, {"stores": "lists"}, {"columns": "some"}])
def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(choice) -> None:
    with pytest.raises(InvalidInputError, match="choose one of '"):
        to_frame([ITEM], **choice)


@every(("name", "hint"), [("store", "did you mean stores?"), ("index", "there are which, decimals, stores, columns")])
def test_an_option_that_is_not_known_is_refused_with_those_that_are(name: str, hint: str) -> None:
    for make in (to_frame, to_records, to_arrow, BatchResult.to_frame, BatchResult.to_records):
        with pytest.raises(TypeError) as caught:
            make(result_of(ITEM), **{name: "rows"})
        assert str(caught.value).startswith(f"no option {name!r}; {hint}")


def test_a_column_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'price'"):
        to_frame([ITEM], columns=["sku", "prize"])


@every("names", [None, 7, ["sku", 7]])
def test_columns_that_are_no_names_are_refused(names: Any) -> None:
    with pytest.raises(InvalidInputError, match="columns: choose one of 'used', 'all', or a list of names"):
        to_frame([ITEM], columns=names)


def test_names_of_columns_may_be_any_iterable() -> None:
    assert list(to_frame([ITEM], columns=(name for name in ("price", "sku")))) == ["price", "sku"]


def test_the_column_of_odd_counts_can_be_named_also_when_there_are_none() -> None:
    rows = to_records([InventoryItem(sku="1", stock="3")], columns=["sku", "stock", "stock_text"])
    assert rows == [{"sku": "1", "stock": 3, "stock_text": None}]


@every("source", [ITEM, "00123", {"sku": "1"}, 7, pd.DataFrame({"sku": ["1"]}), [{"sku": "1"}]])
def test_what_is_no_list_of_models_is_no_table(source: Any) -> None:
    with pytest.raises(InvalidInputError, match="expected"):
        to_frame(source)


def test_stores_without_ids_are_no_columns() -> None:
    item = InventoryItem(sku="1", store_stock_info_list=[StoreStockInfo(store_stock=1), StoreStockInfo(store_stock=2)])
    with pytest.raises(InvalidInputError, match="choose stores='rows' or 'json'"):
        to_frame([item], stores="columns")


def test_amounts_too_long_for_the_library_are_refused_not_cut() -> None:
    items = [InventoryItem(sku="1", price="1" * 29), InventoryItem(sku="2", price="0." + "1" * 28)]
    with pytest.raises(InvalidInputError, match="decimals='text'"):
        to_frame(items, backend="polars")
    assert to_frame(items, backend="polars", decimals="text")["price"][0] == "1" * 29


def test_two_models_are_no_table() -> None:
    with pytest.raises(InvalidInputError, match="InventoryItem and OrderResponseItem"):
        to_frame([ITEM, ORDER])


# -- models from a frame -----------------------------------------------------------------------------------------------


def problems(frame: object, model: type[WireModel] = ItemQuantityAndPrice, **options) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        items_from_frame(frame, model, **options)
    return [str(problem) for problem in caught.value.problems]


def test_every_wrong_cell_is_named_by_row_label_and_column() -> None:
    frame = pd.DataFrame(
        {"sku": ["A", 12, None, "D"], "price": ["1.50", "x", "2", 1.99001], "stock": [1, 2, "many", 2.5]},
        index=["r1", "r2", "r3", "r4"],
    )
    found = problems(frame)
    assert len(found) == 6
    assert found[0].startswith("[1] sku: expected text, not int")
    assert "(row 'r2') (got 12)" in found[0]
    assert found[1].startswith("[1] price: expected a Decimal")
    assert found[2] == "[2] sku: every row needs one (row 'r3') (got None)"
    assert found[3].startswith("[2] stock: expected an int")
    assert "'D' price: the float 1.99001" in found[4]
    assert "money_digits=2" in found[4]
    assert found[5].startswith("[3] 'D' stock: expected an int")


@every("nothing", [None, float("nan"), pd.NA, pd.NaT, Decimal("NaN"), Decimal("sNaN")])
def test_a_cell_with_nothing_leaves_the_member_unset(nothing) -> None:
    frame = pd.DataFrame({"sku": ["A"], "price": pd.Series([nothing], dtype=object)})
    [item] = items_from_frame(frame, ItemQuantityAndPrice)
    assert item.model_fields_set == {"sku"}


def test_integers_that_pandas_turned_into_floats_are_read() -> None:
    frame = pd.DataFrame({"Sku": ["A", "B"], "Stock": [3, None]})
    assert frame["Stock"].dtype == "float64"
    assert items_from_frame(frame, ItemQuantityAndPrice)[0].stock == 3
    assert items_from_frame(frame)[0].stock == "3"  # the page types it as text


def test_floats_of_money_are_rounded_only_where_asked() -> None:
    frame = pd.DataFrame({"sku": ["A"], "price": [19.99]})
    assert items_from_frame(frame, ItemQuantityAndPrice, money_digits=2)[0].price == Decimal("19.99")


@every("value", [float("inf"), 1e300])
@every("digits", [2, None])
def test_an_amount_no_service_could_hold_is_named_by_its_row_and_the_others_are_read(
    value: float, digits: int | None
) -> None:
    frame = pd.DataFrame({"sku": ["A", "B"], "price": [1.5, value]})
    with pytest.raises(InvalidInputError) as caught:
        items_from_frame(frame, ItemQuantityAndPrice, money_digits=digits)
    assert [(problem.index, problem.field) for problem in caught.value.problems] == [(1, "price")]


@every("value", [Decimal("Infinity"), Decimal("1e40"), float("inf")])
def test_a_count_that_is_none_is_named_by_its_row(value: Any) -> None:
    frame = pd.DataFrame({"sku": ["A", "B"], "stock": [1, value]}, dtype=object)
    with pytest.raises(InvalidInputError) as caught:
        items_from_frame(frame, ItemQuantityAndPrice)
    assert [problem.index for problem in caught.value.problems] == [1]


def test_a_column_that_is_not_known_is_refused_with_the_nearest() -> None:
    found = problems(pd.DataFrame({"SKU": ["A"], "prise": [1]}))
    assert any("did you mean 'sku'" in each for each in found)
    assert any("did you mean 'price'" in each for each in found)
    assert any(each.startswith("sku: the column is missing") for each in found)


def test_two_columns_for_one_member_are_refused() -> None:
    assert problems(pd.DataFrame([["A", "B"]], columns=["sku", "Sku"])) == [
        "sku: more than one column holds it; keep one"
    ]


def test_rows_of_one_item_may_differ_in_their_stores_only() -> None:
    frame = pd.DataFrame({"sku": ["A", "A"], "price": ["1", "2"], "store_id": ["S1", "S2"], "store_stock": [1.0, 2.0]})
    assert problems(frame) == ["[1] 'A' price: differs from row 0, which has the same key (got '2')"]
    [item] = items_from_frame(frame.assign(price="1"), ItemQuantityAndPrice)
    assert [(s.store_id, s.store_stock) for s in item.store_stock_info_list or []] == [("S1", 1.0), ("S2", 2.0)]


def test_a_wrong_store_cell_is_named_where_it_stands() -> None:
    frame = pd.DataFrame({"sku": ["A", "B"], "store_stock[S1]": ["1", "x"], "store_stock[S2]": ["1", "2"]})
    [found] = problems(frame)
    assert found.startswith("[1] 'B' store_stock[S1]: expected a number")


def test_a_wrong_record_inside_json_is_named() -> None:
    frame = pd.DataFrame({"sku": ["A"], "store_stock_info_list": ['[{"store_id": "S1", "store_price": "x"}]']})
    [found] = problems(frame)
    assert found.startswith("[0] 'A' store_stock_info_list: [0] store_price: expected a Decimal")
    [found] = problems(pd.DataFrame({"sku": ["A"], "store_stock_info_list": ["[{"]}))
    assert "expected JSON" in found


def test_times_without_a_zone_or_finer_than_the_wire_are_refused() -> None:
    naive = pd.DataFrame({"sku": ["A"], "sale_start_date": pd.to_datetime(["2026-01-01"])})
    assert "add one" in problems(naive, InventoryItem)[0]
    fine = pd.DataFrame({"sku": ["A"], "sale_start_date": pd.to_datetime(["2026-01-01T00:00:00.000000001Z"])})
    assert "nanoseconds" in problems(fine, InventoryItem)[0]


def test_a_secret_cell_is_not_shown_in_its_problem() -> None:
    frame = pd.DataFrame({"order_id": ["1"], "credit_card": [4111000011110000]})
    [found] = problems(frame, OrderResponseItem)
    assert "4111" not in found
    assert found.startswith("[0] '1' credit_card: expected text")


def test_what_is_no_dataframe_is_refused() -> None:
    assert "expected a DataFrame of pandas or polars" in problems([{"sku": "A"}])[0]


def test_a_key_that_is_the_index_is_named_with_the_remedy() -> None:
    frame = pd.DataFrame({"sku": ["A"], "stock": [1]}).set_index("sku")
    [found] = problems(frame)
    assert found.startswith("sku: the column is missing")
    assert found.endswith("'sku' is the frame's index: pass frame.reset_index()")
    assert items_from_frame(frame.reset_index(), ItemQuantityAndPrice) == [ItemQuantityAndPrice(sku="A", stock=1)]


def test_items_of_an_arrow_table_are_those_it_was_made_of() -> None:
    assert items_from_frame(to_arrow([ITEM, InventoryItem(sku="2")])) == [ITEM, InventoryItem(sku="2")]
    twice = to_arrow([InventoryItem(sku="1", stock=2, price=3)]).rename_columns(["sku", "price", "price"])
    assert problems(twice) == ["price: more than one column holds it; keep one"]


def test_items_of_a_polars_frame() -> None:
    frame = pl.DataFrame({"sku": ["001", "002"], "stock": [1, None]})
    assert items_from_frame(frame, ItemQuantityAndPrice) == [
        ItemQuantityAndPrice(sku="001", stock=1),
        ItemQuantityAndPrice(sku="002"),
    ]


def test_the_table_options_are_shown_one_by_one() -> None:
    taken = {"which": "values", "decimals": "decimal", "stores": "rows", "columns": "used", "secrets": False}
    for method in (BatchResult.to_records, BatchResult.to_frame, BatchResult.to_arrow, BatchResult.to_csv):
        shown = list(inspect.signature(method).parameters.values())[-len(taken) :]
        assert {p.name: p.default for p in shown} == taken
        assert [p.annotation for p in shown] == ["Which", "Decimals", "Stores", "Columns", "bool"]
    assert to_records([ITEM], **taken) == to_records([ITEM])
    with pytest.raises(TypeError, match="colums"):
        BatchResult([]).to_records(colums="all")
