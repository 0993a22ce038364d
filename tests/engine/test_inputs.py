"""A list of SKUs is checked and encoded at once, as it would be one by one."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from stepping import context

from octopus_soap.engine import inputs
from octopus_soap.engine.inputs import BatchInputs
from octopus_soap.errors import InvalidInputError
from octopus_soap.operations import OPERATIONS

SKUS = st.one_of(
    st.text(st.sampled_from("aB1 -&<>\r\té€\U0001f600\x01\x00\ud800\uffff"), max_size=6),
    st.text("x", min_size=49, max_size=51),
    st.from_regex(r"[A-Z]{3}-\d{1,6}", fullmatch=True),
)


def taken(skus: list[Any], most: int, *, alone: bool) -> object:
    """Return the batches of a call, or its refusal; *alone* checks SKU by SKU."""
    row = OPERATIONS["IsSkuExistList"]
    asked = row.body(None, skus, batch_size=3)
    assert row.rule is not None
    if alone:
        asked = asked._replace(check=partial(inputs.sku))  # another function with the same result
    try:
        made = BatchInputs(
            "IsSkuExistList", row.rule, asked, SecretStr("a"), context(max_request_bytes=most), guard=None, reading=True,
            streaming=False,
        )  # fmt: skip
    except InvalidInputError as error:
        return error.problems
    return made.total, [(made.body(batch), batch) for batch in made.batches()]


@given(st.lists(SKUS, max_size=9), st.sampled_from([1, 420, 470, 10_000]))
def test_skus_taken_at_once_are_those_taken_one_by_one(skus: list[str], most: int) -> None:
    assert taken(skus, most, alone=False) == taken(skus, most, alone=True)


def test_what_is_no_list_of_plain_texts_is_looked_at_one_by_one() -> None:
    text = type("Text", (str,), {})("B")
    for skus in (["A", text], ["A", 5], ["A", "A"], ["A", ""], [], [None]):
        assert taken(skus, 10_000, alone=False) == taken(skus, 10_000, alone=True)


def test_a_batch_is_cut_by_bytes_exactly() -> None:
    skus = [f"S{number:03}" for number in range(5)]
    total, batches = taken(skus, 10_000, alone=False)  # type: ignore[misc] # they are accepted
    whole = len(batches[0][0])
    assert (total, [len(batch) for _, batch in batches]) == (5, [3, 2])
    for most, sizes in ((whole, [3, 2]), (whole - 1, [2, 2, 1]), (len(batches[1][0]), [2, 2, 1])):
        assert [len(batch) for _, batch in taken(skus, most, alone=False)[1]] == sizes  # type: ignore[index] # the same
        assert taken(skus, most, alone=False) == taken(skus, most, alone=True)
