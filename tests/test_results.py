"""Outcomes as values: immutable, comparable, and the same whichever way they were made."""

from __future__ import annotations

import dataclasses
import pickle
from copy import copy

import pytest

from octopus_soap import BatchResult, ItemOutcome, OutcomeStatus

VALUES = (3, "A", OutcomeStatus.OK, 7, "a note", None, "A", b"<row/>", ("Price",))


def test_an_outcome_is_a_value() -> None:
    made = ItemOutcome(*VALUES)
    assert made == ItemOutcome(*VALUES)
    assert hash(made) == hash(ItemOutcome(*VALUES))
    assert dataclasses.astuple(made) == VALUES


@pytest.mark.parametrize("again", [copy, lambda outcome: pickle.loads(pickle.dumps(outcome)), dataclasses.replace])
def test_an_outcome_survives_copying(again) -> None:
    made = ItemOutcome(*VALUES)
    assert again(made) == made
    assert type(again(made)) is ItemOutcome


def test_the_values_of_a_result_are_those_of_its_good_outcomes() -> None:
    outcomes = [ItemOutcome(index, str(index), status, index) for index, status in enumerate(OutcomeStatus)]
    assert list(BatchResult(outcomes)) == [0]
