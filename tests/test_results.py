"""Outcomes as values: immutable, comparable, and the same however they were made."""

from __future__ import annotations

import dataclasses
import pickle
from copy import copy
from decimal import Decimal

import pytest

from octopus_soap import (
    BatchResult,
    CallInfo,
    InvalidInputError,
    InventoryItem,
    ItemOutcome,
    OrderResponseItem,
    OutcomeStatus,
)
from tests.every import every

VALUES = (3, "A", OutcomeStatus.OK, 7, "a note", None, "A", b"<row/>", ("Price",))


def test_an_outcome_is_a_value() -> None:
    made = ItemOutcome(*VALUES)
    assert made == ItemOutcome(*VALUES)
    assert hash(made) == hash(ItemOutcome(*VALUES))
    assert dataclasses.astuple(made) == VALUES


@every("again", [copy, lambda outcome: pickle.loads(pickle.dumps(outcome)), dataclasses.replace])
def test_an_outcome_survives_copying(again) -> None:
    made = ItemOutcome(*VALUES)
    assert again(made) == made
    assert type(again(made)) is ItemOutcome


def test_the_values_of_a_result_are_those_of_its_good_outcomes() -> None:
    outcomes = [ItemOutcome(index, str(index), status, index) for index, status in enumerate(OutcomeStatus)]
    assert list(BatchResult(outcomes)) == [0]


# -- parts of a result -------------------------------------------------------------------------------------------------


def test_slices_and_filters_are_results_and_a_key_finds_its_value() -> None:
    items = [InventoryItem(sku=f"S{n}", stock=str(n), price="2.50") for n in range(4)]
    outcomes = [ItemOutcome(n, item.sku or "", OutcomeStatus.OK, item) for n, item in enumerate(items)]
    rejected = ItemOutcome(4, "R", OutcomeStatus.REJECTED, message="not for sale")
    calls = [CallInfo("GetItemList", received_bytes=7)]
    result = BatchResult([*outcomes, rejected, ItemOutcome(5, "M", OutcomeStatus.MISSING)], calls, repeatable=False)
    for part, expected in [
        (result[1:3], items[1:3]),
        (result[::-2], items[::-2]),
        (result.where(lambda item: item.sku > "S1"), items[2:]),
        (result.where(stock=0), items[:1]),
        (result.where(stock="2", price=Decimal("2.5")), items[2:3]),
        (result.where(description=None), items),
        (result.where(), items),
        (result.where(stock=9), []),
    ]:
        assert isinstance(part, BatchResult)
        assert part == expected
        assert (part.calls, part.repeatable, part.unfinished) == (tuple(calls), False, [])
        assert "BatchResult: " in part._repr_html_()
    assert [row["stock"] for row in result[1:3].to_records()] == [1, 2]
    assert (result["S2"], result[0], result[-1]) == (items[2], items[0], items[3])
    for key, words in {
        "R": "'R' is rejected: not for sale; see .outcomes",
        "M": "'M' is missing; see .outcomes",
        "x": "no input or row has the key 'x'",
    }.items():
        with pytest.raises(KeyError) as caught:
            _ = result[key]
        assert str(caught.value) == words
    twice = BatchResult([*outcomes[:1], ItemOutcome(1, "S0", OutcomeStatus.OK, items[1])])
    with pytest.raises(KeyError, match="2 rows have the key 'S0', and they differ"):
        _ = twice["S0"]
    with pytest.raises(InvalidInputError, match="InventoryItem has no member 'qty'; did you mean 'stock'"):
        result.where(qty=1)
    cleared = OrderResponseItem(order_id="1", payment_status="Cleared")
    orders = BatchResult([ItemOutcome(0, "1", OutcomeStatus.OK, cleared)])
    assert orders.where(payment="cleared") == [cleared]
    exist = BatchResult([ItemOutcome(0, "A", OutcomeStatus.OK, True), ItemOutcome(1, "B", OutcomeStatus.OK, False)])
    assert (exist["A"], exist["B"]) == (True, False)
    assert ["A" in exist, "B" in exist, "C" in exist, False in exist] == [True, False, False, True]
    assert ["S2" in result, "R" in result, "M" in result, items[2] in result] == [True, False, False, True]
