"""A reply read while it arrives gives the same as the whole reply, errors too."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from handwritten import assert_same, broken_pages, item, new_codec, read, tree_codec

from benchmarks.handwritings import HANDS, write
from octopus_soap.errors import OctopusError
from octopus_soap.models import InventoryItem
from octopus_soap.models.declarations import RowsOf
from octopus_soap.wire import row_forms
from octopus_soap.wire.decode import Reply
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octopus_soap.wire.codec import Codec
    from octopus_soap.wire.decode import Decoded

TREE = tree_codec()
EVERY_HAND = pytest.mark.parametrize("hand", HANDS)


@pytest.fixture(autouse=True)
def _learn_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_forms, "SLOW_ROWS", 2)


def arrive(codec: Codec, parts: Iterable[bytes], *, raw: bool = False, most: int = 10**7) -> Decoded | OctopusError:
    """Return what a reply in *parts* decodes to, with all its rows, or its error."""
    waiting = iter(parts)
    try:
        reply = codec.arriving("GetItemList", Reply(200, {}, next(waiting)), RowsOf(InventoryItem, raw=raw), most)
        rows = reply.take()
        for part in (*waiting, b""):
            reply.feed(part)
            rows += reply.take()
    except OctopusError as error:
        return error
    assert reply.decoded is not None
    assert reply.count == len(rows)
    reply.decoded.rows = rows
    return reply.decoded


def cut(body: bytes, chance: random.Random) -> list[bytes]:
    """Split *body* into parts of any size."""
    places = sorted(chance.randrange(len(body) + 1) for _ in range(chance.choice((0, 1, 3, 20))))
    return [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True) if a != b or not a] or [b""]


@EVERY_HAND
def test_every_handwriting_arrives_in_parts_of_any_size(hand: str) -> None:
    few, many = (write([item(number) for number in range(count)], HANDS[hand]) for count in (3, 12))
    codec, chance = new_codec(), random.Random(hand)
    wanted = {body: read(TREE, body) for body in (few, many)}
    byte_by_byte = [few[i : i + 1] for i in range(len(few))]
    for body, parts in ((many, [many]), (few, byte_by_byte), *((many, cut(many, chance)) for _ in range(4))):
        assert_same(arrive(codec, parts), wanted[body])


@EVERY_HAND
def test_a_broken_reply_that_arrives_reads_as_the_whole_one(hand: str) -> None:
    codec, chance = new_codec(), random.Random(hand)
    for right, broken in broken_pages(hand, 8, chance):
        assert_same(arrive(codec, cut(right, chance)), read(TREE, right))
        found, wanted = arrive(codec, cut(broken, chance)), read(TREE, broken)
        if isinstance(wanted, OctopusError):
            assert isinstance(found, OctopusError), broken
        elif isinstance(found, OctopusError):
            pytest.fail(f"{found} for {broken!r}")
        else:
            assert_same(found, wanted)


@pytest.mark.parametrize("hand", ["wcf", "utf-16"])
def test_a_character_that_xml_forbids_is_replaced_in_every_encoding(hand: str) -> None:
    encoding = HANDS[hand].encoding
    right = write([item(number) for number in range(12)], HANDS[hand])
    body = right.decode(encoding).replace("no. 9", "no\x01 9").encode(encoding)
    wanted = read(TREE, body)
    assert wanted.rows[9].value.description == "Shoe > no\ufffd 9"
    parts = [body[start : start + 400] for start in range(0, len(body), 400)]
    found = arrive(new_codec(), parts)
    assert_same(found, wanted)
    assert not isinstance(found, OctopusError)
    assert found.replaced


LINKED = '<![CDATA[<!DOCTYPE html><a href="x"> octopus-soap-rows]]> and href="y", z:Ref=\'i1\''


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("hand", ["wcf", "wcf-object-ids", "pretty", "shuffled"])
def test_identifiers_and_links_in_texts_let_a_reply_be_as_long_as_it_likes(hand: str, raw: bool) -> None:
    body = write([item(number) for number in range(60)], HANDS[hand]).replace(b"no. 0", LINKED.encode())
    wanted = read(TREE, body)
    assert LINKED.replace("<![CDATA[", "").replace("]]>", "") in wanted.rows[0].value.description
    parts = [body[start : start + 3000] for start in range(0, len(body), 3000)]
    found = arrive(new_codec(), parts, raw=raw, most=len(body) // 4)
    assert not isinstance(found, OctopusError)
    assert [row.value for row in found.rows] == [row.value for row in wanted.rows]


REFERRING = b'<a:InventoryItem z:Ref="r1" xmlns:z="http://schemas.microsoft.com/2003/10/Serialization/"/>'


@pytest.mark.parametrize("raw", [False, True])
def test_a_row_that_refers_to_one_already_read_is_read_if_that_was_kept(raw: bool) -> None:
    body = write([item(number) for number in range(60)], HANDS["wcf-object-ids"])
    referring = body.replace(b"</a:ResultData>", REFERRING + b"</a:ResultData>")
    wanted = read(TREE, referring)
    assert wanted.rows[60].value.sku == wanted.rows[1].value.sku
    parts = [referring[start : start + 700] for start in range(0, len(referring), 700)]
    found = arrive(new_codec(), parts, raw=raw, most=len(body))
    assert not isinstance(found, OctopusError)
    assert [row.value for row in found.rows] == [row.value for row in wanted.rows]
    lost = arrive(new_codec(), parts, raw=raw, most=len(body) // 2)
    assert "refers to another one" in str(lost)


MESSAGE = b"<a:Message>&lt;!DOCTYPE html>&lt;a href=\"x\"> or id='1'</a:Message>"
UTF_8 = ["", "text/xml", "text/xml;charset=UTF-8", 'text/xml; charset="utf-8"', "text/xml; charset=utf8",
    'application/soap+xml; charset=utf-8; action="urn:a"']  # fmt: skip


@every("kind", UTF_8)
@every("hand", ["wcf-object-ids", "pretty", "status-first"])
@every("last", [False, True])
def test_a_reply_in_utf_8_with_links_in_its_message_is_as_long_as_it_likes(kind: str, hand: str, last: bool) -> None:
    written = write([item(number) for number in range(60)], HANDS[hand]).replace(b"s0:", b"a:").replace(b":s0", b":a")
    nil = b'<a:Message i:nil="true"/>' if hand != "status-first" else b'<a:Message s1:nil="true"/>'
    place = b"</a:ResultData>" if last else b"<a:ResultData>"
    body = written.replace(nil, b"").replace(place, place + MESSAGE if last else MESSAGE + place)
    wanted = read(TREE, body)
    assert wanted.message.startswith("<!DOCTYPE")
    codec = new_codec()
    reads = RowsOf(InventoryItem)
    parts = [body[start : start + 3000] for start in range(0, len(body), 3000)]
    reply = codec.arriving("GetItemList", Reply(200, {"content-type": kind}, parts[0]), reads, len(body) // 4)
    rows = reply.take()
    for part in (*parts[1:], b""):
        reply.feed(part)
        rows += reply.take()
    assert [row.value for row in rows] == [row.value for row in wanted.rows]
    assert reply.decoded is not None
    assert reply.decoded.message == wanted.message
