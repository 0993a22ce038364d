"""Answers are read with tolerance; pages and links as they come."""

import pickle
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octopus_soap.octopia import Offer, Order, OrderStatus, Seller, SellerState, Subscription
from octopus_soap.octopia.effects import Reply
from octopus_soap.octopia.errors import OctopiaProtocolError
from octopus_soap.octopia.exchange import problem_of, read_json, scrubber
from octopus_soap.octopia.paging import cursor_in, next_link
from tests.every import every

PLAIN = scrubber(())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@every("name", ["subscription-id", "subscription_id", "subscriptionId", "SubscriptionID"])
def test_names_are_read_in_every_spelling(name):
    assert Subscription.model_validate({name: "7"}).subscription_id == "7"


def test_everything_is_optional_and_the_unknown_is_kept():
    seller = Seller.model_validate({"newMember": {"a": [1]}, "seller_state": "Dreaming"})
    assert seller.seller_id is None
    assert seller.seller_state == "Dreaming"
    assert seller.model_extra == {"newMember": {"a": [1]}}
    assert seller.raw == {"newMember": {"a": [1]}, "seller_state": "Dreaming"}
    assert Seller.model_validate({"seller_state": "Activated"}).seller_state == SellerState.ACTIVATED


def test_a_value_that_does_not_fit_is_left_out_and_named():
    order = Order.model_validate(
        {"orderId": 12, "createdAt": "yesterday", "lines": [{"quantity": "two"}], "totalPrice": 5, "status": ["x"]}
    )
    assert order.order_id == "12"
    assert order.created_at is None
    assert set(order.unread) == {"created_at", "total_price", "status"}
    assert order.lines[0].quantity is None
    assert order.lines[0].unread == ("quantity",)
    assert order.raw["createdAt"] == "yesterday"


def test_a_line_that_is_no_object_empties_the_lines_and_is_named():
    assert Order.model_validate({"lines": ["x"]}).unread == ("lines",)


@every("when", [7200, "7200", "2026", "1700000000", True])
def test_a_number_is_never_read_as_a_time(when):
    assert Offer.model_validate({"createdAt": when}).created_at is None


def test_times_are_aware():
    assert Offer.model_validate({"createdAt": "2026-01-01T10:00:00"}).created_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    offset = Offer.model_validate({"createdAt": "2026-01-01T10:00:00+02:00"}).created_at
    assert offset == datetime(2026, 1, 1, 8, tzinfo=UTC)


def test_money_is_exact():
    payload = read_json(Reply(status=200, body=b'{"totalPrice": {"offerPrice": 19.90, "sellingPrice": 0.1}}'), "x")
    order = Order.model_validate(payload)
    assert str(order.total_price.offer_price) == "19.90"
    assert order.total_price.selling_price == Decimal("0.1")


def test_a_known_state_compares_with_its_name():
    assert Order.model_validate({"status": "Shipped"}).status == OrderStatus.SHIPPED


@given(st.dictionaries(st.sampled_from(["orderId", "lines", "status", "createdAt", "totalPrice", "offer", "x"]), JSON))
def test_no_json_object_is_too_odd_to_be_an_order(payload):
    order = Order.model_validate(payload)
    assert order.raw == payload
    assert pickle.loads(pickle.dumps(order)) == order
    repr(order)


def test_a_repr_shows_only_what_is_there():
    assert repr(Offer.model_validate({"offerId": "a"})) == "Offer(offer_id='a')"


@every(
    ("link", "address"),
    [
        ('</x?cursor=a>; rel="next"', "/x?cursor=a"),
        ("<x?cursor=a>;rel=next", "x?cursor=a"),
        ('<https://h/x?Cursor=a>; title="a, b; c"; REL="prev NEXT"', "https://h/x?Cursor=a"),
        ('</1>; rel="first", </2>; rel="next"', "/2"),
        ('</1>; rel="first"', None),
        ('</1>; rel="nextish"', None),
        ("</1>", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_next_link_is_found(link, address):
    assert next_link(Reply(status=200, headers={"link": link})) == address


@every(
    ("address", "cursor"),
    [
        ("/x?limit=5&cursor=abc", "abc"),
        ("?Cursor=a%2Bb%3D%3D", "a+b=="),
        ("/x?CURSOR=a+b", "a+b"),
        ("https://elsewhere.example/x?cursor=z#f", "z"),
        ("/x?cursor=", None),
        ("/x?mycursor=a", None),
        ("/x", None),
        ("http://[x", None),
    ],
)
def test_the_cursor_is_taken_from_any_address(address, cursor):
    assert cursor_in(address) == cursor


@every(
    ("body", "text"),
    [
        (b'{"title": "T", "detail": "D"}', "D"),
        (b'{"title": "T", "errors": {"a": ["x", "y"], "b": "z"}}', "a: x y; b: z"),
        (b'{"title": "T"}', "T"),
        (b'{"errors": ["one"]}', "0: one"),
        (b'{"message": "M"}', "M"),
        (b'{"error": "E", "error_description": "ED"}', "ED"),
        (b"{}", "no explanation given"),
        (b"[]", "the answer is JSON, but no problem document"),
        (b"", "the answer is empty"),
        (b"oops", "4 bytes that are not JSON"),
        (b"  <html>", "an HTML page of 8 bytes, so a gateway and not the API answered"),
        (b'{"detail": "a\\nforged log line\\u001b[31m"}', "a forged log line [31m"),
        (b'{"detail": {"nested": 1}, "errors": 5}', "no explanation given"),
    ],
)
def test_any_error_answer_is_put_in_a_line(body, text):
    assert problem_of(Reply(status=400, body=body), PLAIN).text == text


def test_a_flood_of_field_errors_is_cut():
    errors = ",".join(f'"{n}": ["{"x" * 999}"]' for n in range(999))
    found = problem_of(Reply(status=400, body=f'{{"errors": {{{errors}}}}}'.encode()), PLAIN)
    assert len(found.facts["fields"]) == 20
    assert all(len(message) <= 300 for messages in found.facts["fields"].values() for message in messages)


@every("body", [b"", b"{", b"\xff", b"[" * 99_999, b"1" + b"0" * 5000])
def test_what_is_not_json_is_a_protocol_error_without_its_text(body):
    with pytest.raises(OctopiaProtocolError) as raised:
        read_json(Reply(status=200, body=body), "GET /x")
    assert len(str(raised.value)) < 200
    assert raised.value.__context__ is None
