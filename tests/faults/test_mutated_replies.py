"""Any mutation of a valid reply ends in a well-formed result or one of our errors."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octopus_soap import BatchError, BatchResult, OctopusClient, OctopusError, OctopusSettings
from octopus_soap.emulator import Emulator
from octopus_soap.wire.decode import Reply
from tests.catalogue import BY_NAME, KINDS, ROWS, Row, seed
from tests.every import every
from tests.inside import exchange_by, prove_credentials

READ_AS = [
    *KINDS,
    *(row for row in ROWS if row.operation in {"IsSkuExist", "GetOrderList", "UploadItem", "DeleteItem"}),
]
"""A reply of each form: a value, a record, rows of a batch, a page of records."""
TOKENS = [
    b"<", b">", b"</", b"/>", b'"', b"&", b";", b"&#0;", b"&#x1F;", b"&amp;", b"<!DOCTYPE x>", b"<![CDATA[", b"]]>", b"<!--", b"-->",
    b"<?x ?>", b' i:nil="true"', b' xmlns="u"', b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"NaN", b"-INF", b"1e999", b"9" * 400,
    b"/Date(99999999999999999999)/", b"/Date(-1)/", b"0001-01-01T00:00:00", b"9999-12-31T23:59:59.9999999+14:00", b"24:00:00",
    b"<a:Status>Failure</a:Status>", b"<s:Fault/>", b"true", b"\xed\xa0\x80", b"<x>" * 300, b"k__BackingField", "٣".encode(),
]  # fmt: skip


@functools.cache
def replies() -> dict[str, bytes]:
    """Return the emulator's valid reply of each operation."""
    with Emulator() as service, OctopusClient(**service.settings()) as client:
        seed(service)
        service.store.add_item(
            "A",
            Price=Decimal("1.5"),
            Stock=3,
            StoreStockInfoList=[{"StoreID": "S1", "StoreStock": 2}],
            FieldLocks={"LockPrice": True},
        )
        found: dict[str, bytes] = {}
        for call in ROWS:
            service.store.mark_changed("A")
            call(client)
            found[call.operation] = service.calls[-1].reply
    return found


@functools.cache
def client() -> OctopusClient:
    made = OctopusClient(
        settings=OctopusSettings.load(
            endpoint="http://127.0.0.1:9/x",
            authtoken="t",
            merchantname="m",
            accessid="a",
            max_attempts=1,
            backoff_base=0.0,
        )
    )
    prove_credentials(made)
    return made


def answered_with(call: Row, body: bytes) -> Any:
    """Return the result or the error of a call that is answered with *body*."""
    view = client().with_options()
    exchange_by(view, lambda *_, **__: Reply(200, {"content-type": "text/xml"}, body, 0.0))
    try:
        return call(view)
    except OctopusError as error:
        return ours(error)


def ours(error: OctopusError) -> OctopusError:
    assert type(error).__module__ == "octopus_soap.errors"
    assert len(str(error)) < 1000
    return error


def check(call: Row, answer: Any) -> None:
    result = answer.result if isinstance(answer, BatchError) else answer
    if call.is_list and isinstance(result, BatchResult):
        assert [outcome.key for outcome in result.outcomes] == list(call.keys), "each input has exactly one outcome"
        for outcome in result.outcomes:
            value_key = getattr(outcome.value, "sku", None)
            if outcome.ok and value_key is not None:
                assert value_key.strip().casefold() == outcome.key.casefold()


@st.composite
def mutations(draw: Any, body: bytes) -> bytes:
    for _ in range(draw(st.integers(1, 3))):
        size = len(body)
        place = draw(st.integers(0, size))
        other = min(size, place + draw(st.integers(1, 120)))
        kind = draw(st.sampled_from(["flip", "delete", "double", "cut", "insert", "replace", "move"]))
        if kind == "flip" and place < size:
            body = body[:place] + bytes([body[place] ^ (1 << draw(st.integers(0, 7)))]) + body[place + 1 :]
        elif kind == "delete":
            body = body[:place] + body[other:]
        elif kind == "double":
            body = body[:other] + body[place:other] + body[other:]
        elif kind == "cut":
            body = body[:place]
        elif kind == "insert":
            body = body[:place] + draw(st.sampled_from(TOKENS)) + body[place:]
        elif kind == "replace":
            body = body[:place] + draw(st.sampled_from(TOKENS)) + body[other:]
        else:
            piece, rest = body[place:other], body[:place] + body[other:]
            target = draw(st.integers(0, len(rest)))
            body = rest[:target] + piece + rest[target:]
    return body


@pytest.mark.parametrize("call", READ_AS, ids=str)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_mutation_ends_in_a_result_or_one_of_our_errors(call, data):
    check(call, answered_with(call, data.draw(mutations(replies()[call.operation]))))


@every("call", READ_AS, ids=str)
def test_swapped_values_and_tags_end_in_a_result_or_one_of_our_errors(call):
    """The text of every fourth element is replaced once by each odd token."""
    import re

    body = replies()[call.operation]
    for found in list(re.finditer(rb">([^<]+)<", body))[:12:4]:
        for token in TOKENS:
            check(call, answered_with(call, body[: found.start(1)] + token + body[found.end(1) :]))


@every("call", [*READ_AS, BY_NAME["SetDownloadOrderConfirm"]], ids=str)
def test_a_reply_cut_at_any_byte_is_an_error(call):
    body = replies()[call.operation]
    step = max(1, len(body) // 40)
    for end in {*range(1, len(body), step), *range(max(1, len(body) - 30), len(body))}:
        assert isinstance(answered_with(call, body[:end]), OctopusError), f"cut to {end} of {len(body)} bytes"


@every("call", [*READ_AS, BY_NAME["SetDownloadOrderConfirm"]], ids=str)
def test_the_reply_of_any_other_operation_is_an_error(call):
    for name, body in replies().items():
        if name != call.operation:
            assert isinstance(answered_with(call, body), OctopusError), name


def test_the_replies_mutated_here_are_answers():
    for call in ROWS:
        assert not isinstance(answered_with(call, replies()[call.operation]), OctopusError), call
