"""Outcomes as values: immutable, comparable, and the same whichever way they were made."""

from __future__ import annotations

import dataclasses
import pickle
from copy import copy

import pytest

from octopus_soap import BatchResult, ItemOutcome, OutcomeStatus
from octopus_soap.results import item_outcome

VALUES = (3, "A", OutcomeStatus.OK, 7, "a note", None, "A", b"<row/>", ("Price",))


def test_an_outcome_made_the_short_way_is_the_constructors() -> None:
    made, constructed = item_outcome(*VALUES), ItemOutcome(*VALUES)
    assert type(made) is ItemOutcome
    assert made == constructed
    assert hash(made) == hash(constructed)
    assert repr(made) == repr(constructed)
    assert dataclasses.astuple(made) == VALUES


def test_an_outcome_made_the_short_way_cannot_be_changed() -> None:
    made = item_outcome(*VALUES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.status = OutcomeStatus.FAILED  # type: ignore[misc] # that is the point
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.key


@pytest.mark.parametrize("again", [copy, lambda outcome: pickle.loads(pickle.dumps(outcome)), dataclasses.replace])
def test_an_outcome_made_the_short_way_survives_copying(again) -> None:
    made = item_outcome(*VALUES)
    assert again(made) == made
    assert type(again(made)) is ItemOutcome


def test_an_outcome_needs_all_its_values() -> None:
    with pytest.raises(TypeError):
        item_outcome(*VALUES[:-1])


def test_the_values_of_a_result_are_those_of_its_good_outcomes() -> None:
    outcomes = [ItemOutcome(index, str(index), status, index) for index, status in enumerate(OutcomeStatus)]
    assert list(BatchResult(outcomes)) == [0]
