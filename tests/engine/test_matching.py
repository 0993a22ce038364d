"""Matching by key: each input has one outcome and never another input's value."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from stepping import asked, item_row, rows_reply, run_list, statuses, update_row

from octopus_soap.engine.outcomes import match_rows
from octopus_soap.models import ItemQuantityAndPrice
from tests.every import every

READ, UPDATE = "GetItemList", "UpdateItemQuantityAndPriceList"


class Row(NamedTuple):
    key: str
    value: str


KEYS = st.text(st.sampled_from("aAbB1 "), min_size=1, max_size=4).filter(str.strip)


@st.composite
def lying_replies(draw):
    """Inputs, and a right reply permuted, thinned, doubled and mixed with other rows."""
    keys = draw(st.lists(KEYS, min_size=1, max_size=8, unique=True))
    rows = [Row(key, f"value of {key!r}") for key in keys if draw(st.integers(0, 4))]
    rows += [row for row in rows if not draw(st.integers(0, 4))]
    rows += [Row(key, "twisted") for key in keys if not draw(st.integers(0, 9))]
    rows += [Row(key, f"value of {key!r}") for key in draw(st.lists(KEYS, max_size=4))]
    return keys, draw(st.permutations(rows))


@given(lying_replies())
def test_no_input_ever_gets_a_wrong_value(case):
    keys, rows = case
    matched = match_rows(keys, rows)
    for position, key in enumerate(keys):
        exact = [row for row in rows if row.key == key]
        if position not in matched.rows:
            assert not exact, "a row with exactly this key is never overlooked"
            continue
        found = matched.rows[position]
        if exact:
            assert found in exact
            if len({row.value for row in exact}) > 1:
                assert position in matched.contradicted
        else:
            readings = [other for other in keys if other.strip() == found.key.strip()] or [
                other for other in keys if other.strip().casefold() == found.key.strip().casefold()
            ]
            assert readings == [key], "an inexact match is only made for a single input"
    extra = len(rows) - len(matched.rows)
    assert bool(extra) == bool(matched.notes), "other rows are noted"


@given(st.data())
def test_a_permuted_honest_reply_is_matched_completely(data):
    keys = data.draw(st.lists(KEYS, min_size=1, max_size=12, unique=True))
    rows = data.draw(st.permutations([Row(key, key) for key in keys]))
    matched = match_rows(keys, rows)
    assert {position: row.key for position, row in matched.rows.items()} == dict(enumerate(keys))
    assert (matched.notes, matched.contradicted) == ([], set())


@every(
    ("keys", "rows", "found"),
    [
        (["a"], ["      a"], {0: "      a"}),
        (["a"], ["A"], {0: "A"}),
        (["a", "A"], ["a", "A"], {0: "a", 1: "A"}),
        (["a", "A"], [" A"], {1: " A"}),
        (["a", "A"], ["a", " a"], {0: "a"}),
        (["ab", "AB"], ["Ab"], {}),
        (["a", " a"], ["a "], {}),
    ],
)
def test_inexact_keys(keys, rows, found):
    matched = match_rows(keys, [Row(key, key) for key in rows])
    assert {position: row.key for position, row in matched.rows.items()} == found


def test_two_inexact_rows_that_differ_are_a_contradiction():
    assert match_rows(["a"], [Row(" a", "1"), Row("A", "2")]).contradicted == {0}


def test_an_exact_row_stands_against_inexact_ones():
    matched = match_rows(["a"], [Row("A", "2"), Row("a", "1")])
    assert matched.rows[0].value == "1"
    assert matched.contradicted == set()
    assert matched.notes == ["1 rows came twice: 'A'"]


# -- through a whole list call -------------------------------------------------------------------------------------


def test_rows_missing_doubled_and_unasked_are_noticed():
    rows = [item_row("C"), item_row("A"), item_row("A"), item_row("X")]
    result, _ = run_list(READ, ["A", "B", "C"], [rows_reply(READ, rows)])
    assert statuses(result) == ["ok", "missing", "ok"]
    assert [item.sku for item in result] == ["A", "C"]
    assert any("twice" in warning for warning in result.calls[0].warnings)
    assert any("'X'" in warning for warning in result.calls[0].warnings)


def test_rows_that_contradict_each_other_are_no_answer():
    result, _ = run_list(READ, ["A"], [rows_reply(READ, [item_row("A", "1"), item_row("A", "2")])])
    assert statuses(result) == ["failed"]
    assert "differ" in result.outcomes[0].error.message


def test_a_write_without_a_row_or_with_contradicting_rows_is_unknown():
    rows = [update_row("B"), update_row("B", "false", "no")]
    inputs = [ItemQuantityAndPrice(sku=sku, stock=1) for sku in "AB"]
    result, _ = run_list(UPDATE, inputs, [rows_reply(UPDATE, rows)])
    assert statuses(result) == ["unknown", "unknown"]


def test_equal_inputs_are_asked_once_and_answered_each():
    result, steps = run_list(READ, ["A", "B", "A"], [rows_reply(READ, [item_row("B", "2"), item_row("A", "1")])])
    assert [item.sku for item in result] == ["A", "B", "A"]
    assert asked(steps[0].sends[0]) == ["A", "B"]
    assert [outcome.index for outcome in result.outcomes] == [0, 1, 2]


@given(st.data())
def test_values_come_back_in_input_order_and_with_their_own_input(data):
    keys = data.draw(st.lists(st.sampled_from([f"S{n}" for n in range(9)]), min_size=1, max_size=15))
    asked_once = list(dict.fromkeys(keys))
    price = {key: str(number) for number, key in enumerate(asked_once)}
    rows = data.draw(st.permutations([item_row(key, price[key]) for key in asked_once]))
    result, _ = run_list(READ, keys, [rows_reply(READ, rows)])
    assert [(item.sku, str(item.price)) for item in result] == [(key, price[key]) for key in keys]
