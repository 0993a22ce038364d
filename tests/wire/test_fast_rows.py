"""Rows read from a page's text equal rows read from the tree, for any writer."""

from __future__ import annotations

import copy
import pickle
import random
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pytest
from handwritten import assert_same, broken_pages, item, new_codec, read, tree_codec
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from benchmarks import payloads
from benchmarks.handwritings import HANDS, Hand, rows_of, write
from octopus_soap import models
from octopus_soap.errors import OctopusError, ProtocolError
from octopus_soap.models import InventoryItem, OrderResponseItem, QuantityInfoResponse
from octopus_soap.models.base import WireModel, member
from octopus_soap.models.declarations import RowsOf
from octopus_soap.models.scalars import Int32, Text
from octopus_soap.wire import fast_rows, row_forms, row_text
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.row_text import is_plain
from tests.every import every

if TYPE_CHECKING:
    from octopus_soap.wire.codec import Codec

EVERY_HAND = pytest.mark.parametrize("hand", HANDS)
TREE = tree_codec()


@pytest.fixture(autouse=True)
def _learn_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile expressions early and let attributes vary early, even on small pages."""
    monkeypatch.setattr(row_forms, "SLOW_ROWS", 2)
    monkeypatch.setattr(fast_rows, "_MANY", fast_rows._QUESTIONS - 15)
    monkeypatch.setattr(fast_rows, "_SECTIONS", 1)


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[int]:
    """Return a list that grows with every call of a function."""
    calls, function = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **named: (calls.append(1), function(*args, **named))[1])
    return calls


# -- every writer's form ---------------------------------------------------------------------------------------------


@every("hand", HANDS)
def test_every_handwriting_reads_as_the_tree_reads_it(hand: str) -> None:
    body = write([item(number) for number in range(12)], HANDS[hand])
    codec, wanted = new_codec(), read(TREE, body)
    assert len(wanted.rows) == 12
    for _ in range(4):  # first by the general reader, then by the expression learned from it
        assert_same(read(codec, body), wanted)


@every("hand", HANDS)
def test_no_row_of_any_handwriting_needs_the_tree(hand: str) -> None:
    """If this fails, the other tests here prove nothing about the fast way."""
    codec = new_codec()
    bodies = [write([item(number) for number in range(part, part + 9)], HANDS[hand]) for part in (0, 9, 18)]
    wanted = [read(TREE, body) for body in bodies]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("octopus_soap.wire.readers.RecordReader.read", lambda *_: pytest.fail("read from the tree"))
        for body, page in zip(bodies, wanted, strict=True):
            assert_same(read(codec, body), page)


ITEMS = rows_of(payloads.item_reply(60))


def assert_read_by_an_expression(codec: Codec, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read *body* as the tree does, and with no row for the general reader."""
    general = counted(monkeypatch, fast_rows, "read_members")
    assert_same(read(codec, body), read(TREE, body))
    assert not general


@every("hand", [name for name in HANDS if name not in {"shuffled", "unknown-members"}])
def test_rows_of_one_handwriting_are_read_by_one_expression(hand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_forms, "SLOW_ROWS", len(ITEMS))
    codec, body = new_codec(), write(ITEMS, HANDS[hand])
    read(codec, body)
    assert_read_by_an_expression(codec, body, monkeypatch)
    assert codec._fast_rows.contexts.compiled == 1


def test_rows_with_members_that_no_model_knows_are_read_by_an_expression_that_leaves_those_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codec, body = new_codec(), write(ITEMS, HANDS["unknown-members"])
    for _ in range(4):
        read(codec, body)
    assert_read_by_an_expression(codec, body, monkeypatch)


def test_a_page_begins_with_the_expression_of_the_last_ones_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(payloads.item_reply(12))
    codec, body, other = new_codec(), write(rows, HANDS["wcf"]), write(rows, HANDS["mono"])
    for _ in range(2):
        read(codec, body)
    alone = counted(monkeypatch, fast_rows.Rows, "_row")
    assert_same(read(codec, body), read(TREE, body))
    assert not alone
    assert_same(read(codec, other), read(TREE, other))
    assert alone, "another writer's rows do not fit, and the first of them is read separately"


@every("hand", ["member-ids", "wcf-object-ids", "unknown-members"])
def test_what_differs_in_every_tag_or_row_and_means_nothing_still_needs_no_tree(hand: str) -> None:
    rows = rows_of(payloads.item_reply(30))
    rows[7] = (rows[7][0], [*rows[7][1], ("Nobody", 'a id="7" b'), ("Category2", 'x > id="8"')])
    codec, body = new_codec(), write(rows, HANDS[hand])
    wanted = read(TREE, body)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("octopus_soap.wire.readers.RecordReader.read", lambda *_: pytest.fail("read from the tree"))
        for _ in range(3):
            assert_same(read(codec, body), wanted)
    doubled = body.replace(b"</a:InventoryItem>", b"<a:Nobody>2</a:Nobody><a:Nobody>3</a:Nobody></a:InventoryItem>")
    varied = body.replace(b"<a:Sku", b'<a:Sku id="1" id="2"')
    for broken in (doubled, varied, body.replace(b' id="m9', b' id="<m9'), body.replace(b' id="m9', b' xmlns="m9')):
        assert_same(read(codec, broken), read(TREE, broken))


@every("name", ["Version", "number", "z:Id", "xmlns:z", "Ref", "z:nil", "z:type", "z:Ref", "xml:id"])
@every("model", [InventoryItem, QuantityInfoResponse])
def test_rows_whose_tags_differ_in_one_value_are_read_alike(name: str, model: Any) -> None:
    """One expression reads them if the value has no meaning: a name without prefix."""
    member = "<a:Category>{}</a:Category>" if model is InventoryItem else ""
    inner = f"{member}<a:Sku>{{}}</a:Sku><a:Stock>{{}}</a:Stock>"
    texts = [inner.format(*[number] * (3 if member else 2)) for number in range(40)]
    rows = [f'<a:q {name}="v{number}">{text}</a:q>' for number, text in enumerate(texts)]
    rows[30] = rows[30].replace("</a:q>", f"<a:Unheard>{name}=</a:Unheard></a:q>")
    body = page("".join(rows), container='<a:ResultData xmlns:z="urn:z">')
    codec, wanted = new_codec(), read(TREE, body, model)
    assert len(wanted.rows) == 40
    for _ in range(2):
        assert_same(read(codec, body, model), wanted)
    alone = 0
    if name in {"Version", "number", "z:Id"}:
        with pytest.MonkeyPatch.context() as patched:
            calls = counted(patched, fast_rows.Rows, "_row")
            assert_same(read(codec, body, model), wanted)
            alone = len(calls)
    assert alone <= 2
    for broken in ('Version="<', f'{name}="1" {name}="', f'{name}="&', "x=v", f"{name}='"):
        other = body.replace(f'{name}="v35'.encode(), broken.encode())
        assert_same(read(codec, other, model), read(TREE, other, model))


@every("hand", ["member-ids", "row-ids", "wcf-object-ids", "cdata", "comments"])
def test_what_means_nothing_costs_no_look_at_each_row(hand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, body = new_codec(), write(rows_of(payloads.item_reply(60)), HANDS[hand])
    read(codec, body)
    alone = counted(monkeypatch, fast_rows.Rows, "_row")
    assert_same(read(codec, body), read(TREE, body))
    assert not alone


@every("hand", HANDS)
def test_whole_items_read_alike_in_every_handwriting(hand: str) -> None:
    codec, body = new_codec(), write(ITEMS[:4], HANDS[hand])
    for _ in range(2):
        assert_same(read(codec, body), read(TREE, body))


@every("hand", HANDS)
def test_orders_read_alike_in_every_handwriting(hand: str) -> None:
    address = [("FirstName", "Zoë"), ("City", None), ("Zip", "00123")]
    rows = [
        ("OrderResponseItem", [
            ("OrderID", str(number)), ("ShippingAddress", None if number % 3 == 2 else address), ("Unheard", "1"),
            ("OrderItems", [("OrderItem", [("sku", f"{line}"), ("Quantity", ["1", "3000000000"][number == 4])]) for line in range(number % 3)]),
            ("PaymentStatus", ["Cleared", "Invented", None][number % 3]), ("CreatedDate", "2026-03-04T10:00:00.5"),
        ])
        for number in range(6)
    ]  # fmt: skip
    codec, body = new_codec(), write(rows, HANDS[hand])
    for _ in range(2):
        assert_same(read(codec, body, OrderResponseItem), read(TREE, body, OrderResponseItem))


def test_a_codec_that_meets_every_handwriting_in_turn_reads_each() -> None:
    codec = new_codec()
    for _ in range(2):
        for hand in HANDS.values():
            body = write([item(number) for number in range(4)], hand)
            assert_same(read(codec, body), read(TREE, body))


def test_rows_of_a_hundred_shapes_are_read_alike() -> None:
    chance, codec = random.Random(3), new_codec()
    rows = [(name, [part for part in members if chance.random() < 0.7]) for name, members in map(item, range(100))]
    body = write(rows, HANDS["wcf"])
    for _ in range(3):
        assert_same(read(codec, body), read(TREE, body))
    assert codec._fast_rows.contexts.compiled <= 12


# -- broken pages ----------------------------------------------------------------------------------------------------


@EVERY_HAND
def test_a_broken_page_reads_as_the_tree_reads_it(hand: str) -> None:
    """`make fuzz` runs this for longer."""
    codec, chance = new_codec(), random.Random(hand)
    for right, broken in broken_pages(hand, 15, chance):
        assert_same(read(codec, right), read(TREE, right))
        assert_same(read(codec, broken), read(TREE, broken))


def page(rows: str, *, before: str = "", after: str = "", container: str = "<a:ResultData>") -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        '<GetItemListResponse xmlns="http://tempuri.org/"><GetItemListResult xmlns:a="urn:a" '
        f'xmlns:i="http://www.w3.org/2001/XMLSchema-instance">{before}{container}{rows}</a:ResultData>{after}'
        "<a:Status>Success</a:Status></GetItemListResult></GetItemListResponse></s:Body></s:Envelope>"
    ).encode()


ROW = (
    "<a:InventoryItem><a:Category>a&amp;b</a:Category><a:Description/><a:FieldLocks><a:LockCost>true</a:LockCost>"
    '</a:FieldLocks><a:Price i:nil="true"/><a:Sku>{}</a:Sku><a:StoreStockInfoList><a:StoreStockInfo><a:StoreID>1'
    "</a:StoreID></a:StoreStockInfo></a:StoreStockInfoList><a:Unheard>x</a:Unheard></a:InventoryItem>"
)
ROWS = "".join(ROW.format(name) for name in "ABCD")


@pytest.fixture
def learned() -> Any:
    """A codec that has compiled an expression for ROW."""
    codec = new_codec()
    read(codec, page(ROWS))
    assert codec._fast_rows.contexts.compiled == 1
    return codec


@every(
    ("old", "new"),
    [
        ("<a:ResultData>", "<a:Other><![CDATA["),  # rows outside ResultData
        ("<a:ResultData>", "<a:ResultData><a:Deeper>"),
        ("<a:InventoryItem>", "<a:InventoryItem><a:InventoryItem>"),
        ("</a:InventoryItem>", "</a:InventoryItem></a:InventoryItem>"),
        ("<a:ResultData>", "<a:ResultData></a:ResultData><a:ResultData>"),
        ("<a:ResultData>", '<a:ResultData i:nil="true">'),
        ("<a:ResultData>", "<a:ResultData>text"),
        ("<a:ResultData>", "<a:ResultData>&#xA0;"),
        ("<a:ResultData>", '<a:ResultData xmlns:i="urn:other">'),
        ("<a:ResultData>", '<a:ResultData xmlns:a="urn:other">'),
        (' xmlns:a="urn:a"', ""),
        ("http://www.w3.org/2001/XMLSchema-instance", "urn:other"),
        (' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"', ""),
        ("a&amp;b", "a&amp;b&#0;"),
        ("a&amp;b", "a&b"),
        ("a&amp;b", "a&nbsp;b"),
        ("a&amp;b", "a&#xD800;b"),
        ("a&amp;b", "a&#x110000;b"),
        ("a&amp;b", "a&#1114112;b"),
        ("a&amp;b", "a]]>b"),
        ("a&amp;b", "a]]<!-- -->>b"),
        ("a&amp;b", "a\x01b"),
        ("a&amp;b", "a\ufffeb"),
        ("a&amp;b", "a\r\nb\rc"),
        ("a&amp;b", "a<![CDATA[\r\n&amp;]]>b"),
        ("a&amp;b", "a<!-- -- -->b"),
        ("a&amp;b", "a&<!-- -->gt;b"),
        ("a&amp;b", "a&g<![CDATA[t;]]>b"),
        ("a&amp;b", "a&#<![CDATA[&]]>65;b"),
        ("a&amp;b", "a<?p <!-- ?>b<?p --> ?>"),
        ("a&amp;b", "a<?p > <![CDATA[x]]> ?>b"),
        ("a&amp;b", "a<![CDATA[<![CDATA[]]>b"),
        ("a&amp;b", "a<![CDATA[]]]]><![CDATA[>]]>b"),
        ("<a:Description/>", '<a:Description x="><![CDATA[y]]>"></a:Description>'),
        ("<a:Description/>", '<a:Description <![CDATA[x="1"]]>></a:Description>'),
        ("<a:Description/>", '<a:Description x="><![CDATA[y]]>"/><a:X'),
        ("a&amp;b", "octopus-soap-rows"),
        ("<a:Description/>", "<a:Description>text/>"),
        ("<a:Description/>", "<a:Description/></a:Description>"),
        ("<a:Description/>", "<a:Description/ >"),
        ("<a:Description/>", '<a:Description x="<!-- -->"/>'),
        ("<a:Description/>", '<a:Description x=">" y="<!-- -->"/>'),
        ("<a:Description/>", '<a:Description x="1" x="2"/>'),
        ("<a:Description/>", "<a:Description/>text"),
        ("<a:Description/>", "<a:Description/>\xa0"),
        ("<a:Description/>", "<a:Description>1>/a:Description<<a:X/>"),
        ("</a:Category>", "</a:Category "),
        ("</a:Category>", "</a:Category >"),
        ("<a:Description/>", "<a:price_a>text</a:price_a>"),
        ("<a:Description/>", "<a:Description/><a:Description>2</a:Description>"),
        ("<a:Unheard>x</a:Unheard>", "<a:Unheard><a:Part>1</a:Part></a:Unheard>"),
        ("<a:Unheard>x</a:Unheard>", "<a:Unheard>x</a:Unheard><a:Unheard>y</a:Unheard>"),
        ("<a:Unheard>x</a:Unheard>", '<a:Unheard i:nil="true">x</a:Unheard>'),
        ("<a:StoreStockInfoList>", "<a:StoreStockInfoList/>"),
        ("<a:StoreStockInfoList>", '<a:StoreStockInfoList i:nil="true">'),
        (
            "<a:StoreStockInfo>",
            '<a:StoreStockInfo i:nil="true"></a:StoreStockInfo><a:StoreStockInfo/><a:StoreStockInfo>',
        ),
        ("<a:FieldLocks>", '<a:FieldLocks i:nil="1">'),
        ("</a:StoreStockInfoList>", "/>"),
        ("<a:InventoryItem>", '<a:InventoryItem i:nil="true"/><a:InventoryItem>'),
        ("<a:InventoryItem>", '<a:InventoryItem i:nil="true"></a:InventoryItem><a:InventoryItem>'),
        ("<a:InventoryItem>", '<a:InventoryItem i:nil="true">'),
        ("<a:InventoryItem>", "<a:InventoryItem/><a:InventoryItem>"),
        ("<a:InventoryItem>", '<a:InventoryItem x="/>">'),
        ("<a:InventoryItem>", "<a:InventoryItem>text"),
        ("<a:InventoryItem>", "text<a:InventoryItem>"),
        ("<a:InventoryItem>", "<!-- c --><?p q?><a:InventoryItem>"),
        ("<a:InventoryItem>", "<a:Other><a:Sku>other</a:Sku></a:Other><a:InventoryItem>"),
        ("<a:Sku>A</a:Sku>", "<a:Sku>A</a:Sku><a:Price>1,5</a:Price>"),
        ("<a:MessageCode>", "<octopus-soap-rows/><a:MessageCode>"),
        ("<a:InventoryItem>", "<octopus-soap-rows/><a:InventoryItem>"),
        ('<a:Price i:nil="true"/>', "<a:Price>1_000</a:Price>"),
        ('<a:Price i:nil="true"/>', '<a:Price i:nil="true">5</a:Price>'),
        ('<a:Price i:nil="true"/>', '<a:Price i:nil="true"> </a:Price>'),
        ('<a:Price i:nil="true"/>', '<a:Price xmlns:i="urn:other" i:nil="true"/>'),
        ('<a:Price i:nil="true"/>', '<a:Price xmlns:i="urn:other">5</a:Price>'),
        ("<a:LockCost>true", "<a:LockCost>perhaps"),
    ],
)
@every("times", [1, -1])
def test_a_page_with_something_odd_around_or_inside_its_rows_reads_the_same(learned, old, new, times):
    text = page(ROWS, before="<a:Message>m</a:Message><a:MessageCode>0</a:MessageCode>").decode()
    assert old in text
    for body in (
        text.replace(old, new, times),
        text.replace(old, new, times).replace("</a:ResultData>", "]]></a:Other>"),
    ):
        assert_same(read(learned, body.encode()), read(TREE, body.encode()))


STRUCTURES = [
    "<a:X><a:Y>1</a:Y><a:Y>2</a:Y><a:Z/></a:X>",
    "<a:X>&amp;</a:X>",
    "<a:X/>",
    "<a:X> <a:Y> &lt;p&gt; </a:Y>\n</a:X>",
    '<a:X><a:Y i:nil="true"/><a:Z i:nil="true">z</a:Z><a:W i:nil="true"><a:V/></a:W></a:X>',
    '<a:X i:nil="true"><a:Y>1</a:Y></a:X>',
    "<a:X><a:X>1</a:X></a:X>",
    "<a:X>text<a:Y>1</a:Y></a:X>",
    "<a:X><a:Y>1</a:Y>text</a:X>",
    "<a:X><a:Y>1</a:Y></a:X >",
    "<a:X><a:Y>1</a:Y ></a:X>",
    "<a:X><a:Y>&#0;</a:Y></a:X>",
    "<a:X><a:Y>&nope;</a:Y></a:X>",
    "<a:X><a:Y>1</a:Z></a:X>",
    "<a:X><a:Y>1</a:Y>",
    "<a:X><b:Y>1</b:Y></a:X>",
    '<a:X xmlns:b="urn:b"><b:Y>1</b:Y><Y xmlns="urn:c"><Z>2</Z></Y></a:X>',
    '<a:X><a:Y p=">">1</a:Y></a:X>',
    '<a:X><a:Y p="/>">1</a:Y></a:X>',
    '<a:X><a:Y p="1" p="2"/></a:X>',
    f"<a:X>{'<a:Y>' * 80}1{'</a:Y>' * 80}</a:X>",
    f"<a:X>{'<a:Y>1</a:Y>' * 300}</a:X>",
    "<a:X><a:Y>1</a:Y></a:X><a:X><a:Z>1</a:Z></a:X>",
    "<a:sku><a:Y>1</a:Y></a:sku>",
    "<a:X><![CDATA[<a:Y>]]><a:Y>1</a:Y></a:X>",
    "<a:X><a:Y>]]></a:Y></a:X>",
]


@every("odd", STRUCTURES)
@every("known", ["<a:Sku>E</a:Sku>", ""])
def test_a_structure_that_no_model_knows_is_read_as_the_tree_reads_it(odd: str, known: str) -> None:
    """The forms are learned from usual rows, and from the odd row alone."""
    usual = f"<a:InventoryItem>{known}{STRUCTURES[0]}</a:InventoryItem>"
    row = usual.replace(STRUCTURES[0], odd)
    for rows in (usual * 4 + row + usual, row * 5, f"{row}<a:InventoryItem/>" * 3):
        codec, body = new_codec(), page(rows)
        for _ in range(3):
            assert_same(read(codec, body), read(TREE, body))


def test_an_end_that_is_written_otherwise_is_not_looked_for_in_the_whole_page(learned: Any) -> None:
    row = "<a:InventoryItem><a:Sku>{}</a:Sku><a:X><a:Y>1</a:Y>{}</a:X{}></a:InventoryItem>"
    read(learned, page(row.format("A", "", "") * 4))
    hostile = page("".join(row.format(number, "<a:Y/>" * 50, " ") for number in range(4000)))
    assert len(read(learned, hostile).rows) == 4000


NUMBERED = "<a:InventoryItem><a:Sku{0}>A</a:Sku><a:Description>{1}</a:Description>{2}</a:InventoryItem>"
NUMBERS_THAT_MEAN_SOMETHING = [
    ('{x} xmlns:q{n}="http://www.w3.org/2001/XMLSchema-instance" q{n}:nil="true"', "d", ""),
    ('{x}\n\tq{n}:nil="true"', "d", ""),
    ("{x}", 'see xmlns:q{n}="urn:a" i:type="q{n}:b"', ""),
    ("{x}", "q_octopus", ""),
    ("{x}", "d", '<q{n}:Price xmlns:q{n}="urn:a">1</q{n}:Price>'),
    ('{x} xmlns:q_octopus="urn:a" q_octopus:nil="true"', "d", ""),
    ("{x}", 'a > xmlns:q{n}="b"', ""),
    ("{x}", "d", "<a:X{x}><a:Y{x}>q{n}</a:Y></a:X>"),
    ("{x}", "d", "<q7:X>1</q7:X>"),
]


@every(("attributes", "text", "more"), NUMBERS_THAT_MEAN_SOMETHING)
def test_numbered_prefixes_are_alike_only_if_nothing_but_types_has_them(attributes: str, text: str, more: str) -> None:
    def row(number: int, parts: tuple[str, str, str]) -> str:
        numbered = f' xmlns:q{number}="urn:x" i:type="q{number}:T"'
        return NUMBERED.format(*(part.format(x=numbered, n=number) for part in parts))

    usual = [row(number, ("{x}", "d", "")) for number in range(9)]
    odd = [row(number, (attributes, text, more)) for number in range(9)]
    for rows in ([*usual, *odd, *usual], odd):
        codec, body = new_codec(), page("".join(rows))
        for _ in range(3):
            assert_same(read(codec, body), read(TREE, body))
        bound = body.replace(b"<a:ResultData>", b'<a:ResultData xmlns:q7="urn:7">')
        assert_same(read(codec, bound), read(TREE, bound))


FORBIDDEN = ["&#x1F;", "&#0;", "\x0b", "\ufffe", "\uffff", "&#xFFFE;", "&#xFFFF;"]


@every("bad", FORBIDDEN)
@every("place", ["<a:Category>a", "<a:Message>m"])
def test_a_forbidden_character_is_replaced_and_needs_no_tree(bad: str, place: str) -> None:
    text = page(ROWS, before="<a:Message>m</a:Message>").decode()
    body = text.replace(place, f"{place}{bad}", 1).encode()
    codec, wanted = new_codec(), read(TREE, body)
    assert "\ufffd" in f"{wanted.message}{wanted.rows[0].value.category}"
    assert wanted.replaced
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("octopus_soap.wire.readers.RecordReader.read", lambda *_: pytest.fail("read from the tree"))
        for _ in range(3):
            found = read(codec, body)
            assert_same(found, wanted)
            assert found.replaced


@every("flags", [("1", "0"), ("True", "False")])
def test_each_spelling_of_a_boolean_is_read_by_an_expression(
    flags: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, body = new_codec(), write(ITEMS, HANDS["wcf"]).replace(b">true<", b">%a<").replace(b">false<", b">%b<")
    body = body.replace(b"%a", flags[0].encode()).replace(b"%b", flags[1].encode())
    for _ in range(3):
        read(codec, body)
    assert_read_by_an_expression(codec, body, monkeypatch)


def test_a_page_of_rows_that_need_a_parser_is_left_to_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = ROW.replace("<a:Description/>", "<a:Description/><a:Description/>")
    bodies = [page("".join(row.format(name) for name in "ABCDEFGH" * 10)) for row in (twice, ROW)]
    codec = new_codec()
    alone = counted(monkeypatch, fast_rows.Rows, "_alone")
    for body in bodies * 2:
        assert_same(read(codec, body), read(TREE, body))
    assert len(alone) == fast_rows._ALONE, "the next pages begin with the tree"


E_ROW = ROW.format("E")


@every(
    "body",
    [
        page(ROWS, before=f"<a:Message>{E_ROW}</a:Message>"),
        page(ROWS, before=f"<!--{E_ROW}-->"),
        page(ROWS, before=f"<a:ResultData>{E_ROW}</a:ResultData>"),
        page(ROWS, after=f"<a:Data>{E_ROW}</a:Data>"),
        page(ROWS, after=f"<a:ResultData>{E_ROW}</a:ResultData>"),
        page(ROWS, after="<a:ResultData/>"),
        page(f'<a:InventoryItem x="">{E_ROW}</a:InventoryItem>{ROWS}'),
        page(f"<!--{ROW.format('--')}-->{ROWS}"),
        page(f"<!--{E_ROW}-->"),
        page("", container=f'<a:ResultData i:nil="true"/><!--{ROW.format("C--D")}--><a:ResultData>'),
        page(f"<![CDATA[{ROWS}]]>"),
        page("<a:Status>A</a:Status><a:Status>B</a:Status>"),
        page(ROWS.replace("a:Category", "b:Category")),
        page(ROWS.replace("a:Category", "b:Category"), container='<a:ResultData xmlns:b="urn:b">'),
        page(ROWS.replace("<a:InventoryItem>", '<a:InventoryItem xmlns:b="urn:b">').replace("a:Category", "b:Category")),
        page(ROWS).replace(b"<a:ResultData>", b"").replace(b"</a:ResultData>", b""),
        page(ROWS).replace(b"<GetItemListResult ", b"<x ").replace(b"</GetItemListResult", b"</x"),
        page(f"{'<a:Deep>' * 249}{'</a:Deep>' * 249}{ROWS}"),
        page(ROWS.replace("<a:Description/>", f"<a:X>{'<a:Deep>' * 248}{'</a:Deep>' * 248}</a:X>")),
    ],
)  # fmt: skip
def test_rows_in_other_places_of_the_reply_read_the_same(learned, body):
    assert_same(read(learned, body), read(TREE, body))


@every(
    "change",
    [
        lambda body: b'<?xml version="1.0" encoding="iso-8859-1"?>' + body,
        lambda body: b"\xef\xbb\xbf" + b'<?xml version="1.0" encoding="iso-8859-1"?>' + body,
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: b' \n<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n' + body,
        lambda body: b'<?xml version="1.1"?>' + body,
        lambda body: b'<?xml version="1.0" encoding="klingon"?>' + body,
        lambda body: b"<!DOCTYPE x [<!ENTITY y 'z'>]>" + body,
        lambda body: b"<!-- " + b" " * 5000 + b" --><!DOCTYPE x>" + body,
        lambda body: body.decode().encode("utf-16"),
        lambda body: ('<?xml version="1.0" encoding="utf-8"?>' + body.decode()).encode("utf-16"),
        lambda body: ('<?xml version="1.0"?>' + body.decode()).encode("utf-16"),
        lambda body: body.decode().encode("utf-16-le"),
        lambda body: body.replace("é".encode(), b"\xe9"),
        lambda body: body.replace("é".encode(), b"\xed\xa0\x80"),
    ],
)
def test_other_encodings_and_declarations_read_the_same(change):
    codec = new_codec()
    body = change(page("<a:InventoryItem><a:Description>é\n</a:Description><a:Sku>A</a:Sku></a:InventoryItem>" * 4))
    for _ in range(2):
        assert_same(read(codec, body), read(TREE, body))


def test_html_with_a_doctype_in_a_description_is_a_text():
    body = page(
        ROW.format("A").replace("<a:Description/>", "<a:Description><![CDATA[<!DOCTYPE html>]]></a:Description>")
    )
    for codec in (new_codec(), TREE):
        assert read(codec, body).rows[0].value.description == "<!DOCTYPE html>"


def test_a_row_forged_inside_cdata_is_never_read_as_a_row():
    codec = new_codec()
    good = "<a:InventoryItem><a:Price>1.50</a:Price><a:Sku>good</a:Sku></a:InventoryItem>"
    forged = "</a:InventoryItem><a:InventoryItem><a:Price>0</a:Price><a:Sku>evil</a:Sku></a:InventoryItem>"
    bad = f"<a:InventoryItem><a:Price>2</a:Price><a:Sku><![CDATA[{forged}]]></a:Sku></a:InventoryItem>"
    for listed in (good * 5, good * 2 + bad + good, good * 2 + bad):
        fast = read(codec, page(listed))
        assert_same(fast, read(TREE, page(listed)))
        assert "evil" not in [row.value.sku for row in fast.rows]


NUMBERS = ["1", "12.0000", "99999999999", "x", "-5", "", "2147483648", "-2147483648", "9" * 5000, " 4 ", "1_0", "٣"]


@given(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=9))
def test_quantities_read_alike(numbers: list[str]) -> None:
    codec = new_codec()
    row = "<q><a:Sku>A</a:Sku><a:Stock>{0}</a:Stock><a:Applicablestock>{0}</a:Applicablestock></q>"
    body = page("".join(row.format(number) for number in numbers))
    for _ in range(3):
        assert_same(read(codec, body, QuantityInfoResponse), read(TREE, body, QuantityInfoResponse))


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_a_service_that_never_repeats_itself_cannot_grow_what_is_remembered():
    codec = new_codec()
    contexts = codec._fast_rows.contexts
    for number in range(2 * row_text._CONTEXTS):
        row = f'<a:InventoryItem xmlns:n{number}="urn:n{number}"><a:X{number}>1</a:X{number}><a:Sku>A</a:Sku></a:InventoryItem>'
        row += "".join(
            f'<a:InventoryItem id="{number}-{place}"><a:Sku y="{number}-{place}">B</a:Sku></a:InventoryItem>'
            for place in range(40)
        )
        assert len(read(codec, page(row)).rows) == 41
        assert len(contexts._known) <= row_text._CONTEXTS
        for context in contexts._known.values():
            assert len(context._openings) <= row_text._OPENINGS
            assert all(len(table) <= row_text._TAGS for table in context._tables.values())
    assert contexts.compiled <= row_forms._COMPILED


def many(count: int) -> str:
    return "".join(f'<a:Sku z{n}="">1</a:Sku>' for n in range(count))


@pytest.mark.parametrize(
    "hostile",
    [
        "<a:InventoryItem>" * 5000,
        "<a:InventoryItem></a:InventoryItem>" * 5000,
        "<a:InventoryItem>" * 2000 + "</a:InventoryItem>" * 2000,
        '<a:InventoryItem i:nil="true"/>' * 5000 + E_ROW,
        f"<a:InventoryItem>{many(5000)}</a:InventoryItem>",
        "".join(f"<a:InventoryItem>{many(3)}</a:InventoryItem>" for _ in range(1000)),
        "".join(f'<a:InventoryItem z{n}="">{E_ROW}</a:InventoryItem>' for n in range(2000)),
        E_ROW * 500 + "<!--" * 5000,
        E_ROW * 500 + "<!-- -->" * 5000,
        E_ROW.replace("a&amp;b", "<![CDATA[" * 5000),
        E_ROW.replace("a&amp;b", "<![CDATA[x]]>" * 5000),
        E_ROW.replace("a&amp;b", "&" * 50_000),
        E_ROW.replace("a&amp;b", "&amp;" * 50_000),
        E_ROW.replace("a&amp;b", ">" * 50_000),
        E_ROW.replace("<a:Description/>", " " * 50_000),
        E_ROW.replace("<a:Description/>", '<a:Description x="' + '"' * 20_000),
        E_ROW.replace("<a:Description/>", "<a:Description " + "x" * 100_000 + "/>"),
        "".join(E_ROW.replace("<a:Description/>", f'<a:D{n} id="{n}"/>') for n in range(900)) + f"<a:Sku{' id=' * 20_000}>",
        E_ROW.replace("<a:Description/>", "<!-- --><a " + "x='>' " * 20_000 + "<!-- -->"),
        " " * 100_000 + E_ROW,
    ],
)  # fmt: skip
def test_a_hostile_page_asks_lxml_no_more_than_its_length_allows(learned, hostile, monkeypatch):
    """Every row, and a limited number of tags, reach lxml at most once each."""
    sizes: list[int] = []
    parse = etree.fromstring
    monkeypatch.setattr(etree, "fromstring", lambda text, *more: (sizes.append(len(text)), parse(text, *more))[1])
    body = page(hostile)
    assert_same(read(learned, body), read(TREE, body))
    monkeypatch.undo()
    around = 600  # the bytes around a row or a tag that is parsed separately
    assert sum(sizes) <= 4 * len(body) + around * (len(sizes) + 1)
    assert len(sizes) <= 2 * (hostile.count("<a:InventoryItem") + fast_rows._QUESTIONS) + 10


def test_a_page_of_ever_new_tags_is_left_to_the_tree_and_so_are_the_next_ones(learned, monkeypatch):
    monkeypatch.setattr(fast_rows, "_QUESTIONS", 20)
    ever_new = page(f"<a:InventoryItem>{many(100)}</a:InventoryItem>" * 2)
    assert_same(read(learned, ever_new), read(TREE, ever_new))
    asked = counted(monkeypatch, fast_rows.Page, "of")
    for _ in range(fast_rows._PASSED_OVER):
        read(learned, page(ROWS))
    assert not asked
    read(learned, page(ROWS))
    assert asked


# -- records ---------------------------------------------------------------------------------------------------------


def test_records_that_have_the_same_members_share_their_names_and_none_can_change_them():
    codec = new_codec()
    lock = "<a:FieldLocks><a:LockCost>true</a:LockCost></a:FieldLocks>"
    store = "<a:StoreStockInfo><a:StoreID>1</a:StoreID></a:StoreStockInfo>"
    body = page(
        "".join(
            f"<a:InventoryItem>{lock}<a:Sku>{i:03d}</a:Sku><a:StoreStockInfoList>{store * 2}</a:StoreStockInfoList>"
            f"<a:Unheard>x</a:Unheard></a:InventoryItem>"
            for i in range(9)
        )
    )
    items = [row.value for row in read(codec, body).rows]
    for records in (items, [i.field_locks for i in items], [s for i in items for s in i.store_stock_info_list]):
        assert len({id(record.model_fields_set) for record in records}) == 1
    names = items[0].model_fields_set
    assert names == {"field_locks", "sku", "store_stock_info_list", "Unheard"}
    for change in (
        lambda: names.add("price"),
        lambda: names.discard("sku"),
        lambda: names.update(["price"]),
        lambda: names.__ior__({"price"}),
        names.clear,
    ):
        with pytest.raises(TypeError, match="without"):
            change()
    changed = [
        items[0].replace(price="1"),
        items[0].without("sku"),
        items[0].model_copy(update={"price": 1}),
        pickle.loads(pickle.dumps(items[0])).model_copy(update={"price": 1}),
        copy.deepcopy(items[0]).model_copy(update={"price": 1}),
    ]
    assert all(item.model_fields_set != names for item in changed)
    assert all(item.model_fields_set == {"field_locks", "sku", "store_stock_info_list", "Unheard"} for item in items)
    assert set(items[1].model_dump(exclude_unset=True)) == names
    assert items[2] == read(TREE, body).rows[2].value


def test_lists_and_extras_of_two_records_are_never_the_same_object():
    codec = new_codec()
    row = "<a:InventoryItem><a:KitList/><a:Sku>A</a:Sku></a:InventoryItem>"
    for _ in range(2):
        first, second = (row.value for row in read(codec, page(row * 2)).rows)
        assert first.kit_list == second.kit_list == []
        assert first.kit_list is not second.kit_list
        assert first.model_extra is not second.model_extra


REPLIES = [
    found
    for name in models.__all__
    if isinstance(found := getattr(models, name), type) and issubclass(found, WireModel) and found is not WireModel
]


@every("model", [m for m in REPLIES if m is not models.OrderCriteria], ids=lambda m: m.__name__)
def test_every_model_of_a_reply_is_checked_by_its_readers_alone(model: type[WireModel]) -> None:
    """A model with a validator is validated by pydantic: is that meant?"""
    assert is_plain(model)


def _shouted(value: str) -> str:
    return value.upper()


class Plain(WireModel):
    """A model with types only."""

    key_field: ClassVar[str] = "sku"
    sku: Text | None = member("Sku")
    stock: Int32 | None = member("Stock")


class ChecksAField(Plain):
    @field_validator("sku")
    @classmethod
    def _check(cls, value: str) -> str:
        return _shouted(value)


class ChecksAll(Plain):
    @model_validator(mode="after")
    def _check(self) -> Any:
        return self


class Annotates(Plain):
    name: Annotated[Text, AfterValidator(_shouted)] | None = member("Name")


class Strips(Plain):
    model_config = ConfigDict(str_strip_whitespace=True)


class Defaults(Plain):
    name: Text | None = "none"


class Requires(Plain):
    name: Text


class Remembers(Plain):
    _seen: int = 0


class Nests(Plain):
    part: ChecksAField | None = member("Part")


class Lists(Plain):
    parts: list[ChecksAField] | None = member("Parts")


@every(
    "model",
    [ChecksAField, ChecksAll, Annotates, Strips, Defaults, Requires, Remembers, Nests, Lists],
    ids=lambda m: m.__name__,
)
def test_a_model_that_checks_more_than_types_is_validated_by_pydantic(model: type[WireModel]) -> None:
    assert is_plain(Plain)
    assert not is_plain(model)
    row = "<a:q><a:Sku>a </a:Sku><a:Stock>{}</a:Stock><a:Part><a:Sku>b</a:Sku></a:Part><a:Parts><a:p><a:Sku>c</a:Sku></a:p></a:Parts><a:Unheard/></a:q>"
    body = page("".join(row.format(number) for number in ("1", "3000000000", "2")))
    codec = new_codec()
    for _ in range(3):
        assert_same(read(codec, body, model), read(TREE, body, model))
        assert_same(read(codec, body, Plain), read(TREE, body, Plain))


@given(st.text(st.sampled_from("\r\n\t x&\x01\ufffe"), max_size=12))
def test_line_ends_are_normalized_as_xml_says_and_forbidden_characters_found(inner: str) -> None:
    normalized = inner.replace("\r\n", "\n").replace("\r", "\n")
    expected = None if {"\x01", "\ufffe"} & set(inner) else f"<a>{normalized}</a>"
    assert fast_rows.page_text(f"<a>{inner}</a>".encode()) == expected
    assert fast_rows.page_text(f'<?xml version="1.0" encoding="utf-16"?><a>{inner}</a>'.encode("utf-16")) == (
        expected and f'<?xml version="1.0" encoding="utf-16"?>{expected}'
    )


_ENDS = ["\r\n", "\n", "\r", "&#13;", "&#xD;&#10;", "<![CDATA[\r\n]]>", "<![CDATA[\r]]>", "\r\r\n", "x"]


@given(
    st.lists(st.sampled_from(_ENDS), min_size=3, max_size=6), st.sampled_from(["\r\n", "\r", "\n", ""]), st.booleans()
)
def test_every_mixture_of_line_ends_is_read_as_the_tree_reads_it(texts: list[str], between: str, failing: bool) -> None:
    wrong = f"<a:Price>no{between}price</a:Price>" if failing else ""
    rows = between.join(
        f"<a:q>{between}<a:Sku>{number}</a:Sku>{between}<a:ErrorMessage>{text}</a:ErrorMessage>{wrong}</a:q>"
        for number, text in enumerate(texts)
    )
    body = page(rows.replace("a:Price", "a:Stock"))
    codec = new_codec()
    for _ in range(2):
        assert_same(read(codec, body, QuantityInfoResponse), read(TREE, body, QuantityInfoResponse))


# -- the judgement, compared with pydantic's schema ----------------------------------------------------------------------

_CONFIG = frozenset(
    ["extra_fields_behavior", "validate_by_name", "validate_by_alias", "hide_input_in_errors", "ser_json_inf_nan"]
)
"""Settings of a model that is still built directly."""
_TYPES = row_text._TYPES
_NOT_CHECKS = frozenset({"metadata", "serialization", "ref"})


def plain_by_schema(model: type[WireModel]) -> dict[str, tuple[int, int] | None] | None:
    """Return fields and ranges by pydantic's schema; None if it checks more."""
    if not model.__pydantic_complete__:
        model.model_rebuild()
    schema: Any = model.__pydantic_core_schema__
    shared: dict[str, Any] = {}
    if schema["type"] == "definitions":
        shared = {part["ref"]: part for part in schema["definitions"]}
        schema = schema["schema"]
    schema = _strict(schema, shared)
    config = schema.get("config", {})
    if (
        schema["type"] != "model"
        or schema.get("custom_init")
        or schema.get("root_model")
        or not schema.keys() <= {"type", "cls", "schema", "config", "custom_init", "root_model"} | _NOT_CHECKS
        or not config.keys() <= _CONFIG | {"title"}
        or config.get("extra_fields_behavior") != "allow"
    ):
        return None
    inner = schema["schema"]
    if inner["type"] != "model-fields" or inner.keys() - _NOT_CHECKS - {
        "type",
        "fields",
        "model_name",
        "computed_fields",
    }:
        return None
    ranges: dict[str, tuple[int, int] | None] = {}
    for name, declared in inner["fields"].items():
        default = declared["schema"]
        nullable = default.get("schema", {})
        if (
            default["type"] != "default"
            or default.get("default", ...) is not None
            or nullable.get("type") != "nullable"
        ):
            return None
        checked = _strict(nullable["schema"], shared)
        if not _is_type(checked, shared):
            return None
        ranges[name] = (checked["ge"], checked["le"]) if "ge" in checked else None
    return ranges


def _strict(schema: Any, shared: dict[str, Any]) -> Any:
    """Return the part of a schema that validates a reader's value."""
    while schema["type"] in {"lax-or-strict", "definition-ref"}:
        schema = shared[schema["schema_ref"]] if schema["type"] == "definition-ref" else schema["strict_schema"]
    return schema


def _is_type(schema: Any, shared: dict[str, Any]) -> bool:
    """True if *schema* checks what a reader guarantees."""
    kind, checks = schema["type"], {name: value for name, value in schema.items() if name not in _NOT_CHECKS | {"type"}}
    if kind == "list":
        inner = _strict(checks.pop("items_schema", {"type": "any"}), shared)
        return not checks.keys() - {"strict"} and inner["type"] == "model" and plain_by_schema(inner["cls"]) is not None
    if kind == "model":
        return plain_by_schema(schema["cls"]) is not None
    if kind == "enum":  # a reader makes a member, which pydantic accepts
        return checks.keys() <= {"cls", "members", "missing", "sub_type", "strict"}
    if kind == "int" and checks.keys() >= {"ge", "le"}:
        checks = {name: value for name, value in checks.items() if name not in {"ge", "le"}}
    return kind in _TYPES and checks == {**_TYPES[kind], "strict": True}


class Overrides(Plain):
    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class FinishesItself(Plain):
    def model_post_init(self, _: Any) -> None:
        """Take part in building."""


class Computes(Plain):
    @computed_field  # type: ignore[prop-decorator] # pydantic's own way
    @property
    def doubled(self) -> int:
        return 2 * (self.stock or 0)


class Serializes(Plain):
    @field_serializer("sku")
    def _write(self, value: str) -> str:
        return value.lower()


class Limits(Plain):
    name: Annotated[Text, Field(max_length=3)] | None = member("Name")


class LimitsTheWhole(Plain):
    name: Annotated[Text | None, Field(max_length=3)] = member("Name")


class Chooses(Plain):
    name: Text | Int32 | None = member("Name")


class TakesAnything(Plain):
    name: Any = None


class ListsTexts(Plain):
    names: list[Text] | None = member("Names")


class OwnSchema(Plain):
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(lambda made: made, handler(source))


class Titled(Plain):
    model_config = ConfigDict(title="Another name")


@every(
    "model",
    [*REPLIES, Plain, ChecksAField, ChecksAll, Annotates, Strips, Defaults, Requires, Remembers, Nests, Lists, Overrides,
     FinishesItself, Computes, Serializes, Limits, LimitsTheWhole, Chooses, TakesAnything, ListsTexts, OwnSchema, Titled],
    ids=lambda model: model.__name__,
)  # fmt: skip
def test_a_model_that_is_built_directly_is_one_whose_schema_checks_nothing_else(model: type[WireModel]) -> None:
    by_schema = plain_by_schema(model)
    judged = row_text._plain_fields(model)
    assert judged == by_schema or judged is None
    if model in REPLIES:
        assert judged == by_schema


@every("model", [Plain, Computes, Serializes, Titled], ids=lambda model: model.__name__)
def test_what_only_writes_does_not_make_a_model_slow(model: type[WireModel]) -> None:
    assert is_plain(model)


def test_the_first_page_does_not_make_pydantic_build_a_schema() -> None:
    """To build one, pydantic looks for plugins in all installed packages."""

    class Fresh(Plain):
        """A model that no test has used."""

    page_of = page("<a:q><a:Sku>a</a:Sku><a:Stock>1</a:Stock></a:q>")
    assert read(new_codec(), page_of, Fresh).rows[0].value.sku == "a"
    assert not Fresh.__pydantic_complete__
    assert Fresh(sku="a", stock=1) == read(new_codec(), page_of, Fresh).rows[0].value


@every("count", [1, 2, 63, 64, 65, 130])
def test_small_rows_are_read_together_as_they_are_read_one_by_one(count: int) -> None:
    """A row that the expression cannot read ends a run, and the rest is read as well."""
    rows = [
        f"<a:q><a:Sku>A&amp;{number}</a:Sku><a:Stock>{number}</a:Stock><a:ErrorMessage i:nil='true'/></a:q>"
        for number in range(count)
    ]
    odd = [
        "<a:q><a:Sku>B</a:Sku><a:Stock>3000000000</a:Stock></a:q>",
        "<a:q><a:Sku>&nothing;</a:Sku></a:q>",
        "<a:q><a:Sku>C</a:Sku><a:Unheard>1</a:Unheard></a:q>",
        "<a:q><a:Stock>1</a:Stock><a:Sku>D</a:Sku></a:q>",
        "<a:q><a:Sku>]]&gt;</a:Sku></a:q>",
        "<a:q/>",
        "<a:q i:nil='true'/>",
        "<!-- between -->",
        "",
    ]
    codec = new_codec()
    read(codec, page("".join(rows * 2)), QuantityInfoResponse)
    for other in odd:
        for at in {0, count // 2, count}:
            body = page("".join([*rows[:at], other, *rows[at:]]))
            assert_same(read(codec, body, QuantityInfoResponse), read(TREE, body, QuantityInfoResponse))


def test_a_member_that_every_row_had_may_be_missing_later() -> None:
    """The general reader reads that row; the next expression has it as optional."""
    codec = new_codec()
    read(codec, page(ROWS))
    for gone in re.findall("<a:([A-Za-z]++)", ROW):
        body = page(ROWS + re.sub(f"<a:{gone}>.*</a:{gone}>|<a:{gone}[^>]*/>", "", ROW.format("E")) + ROWS)
        for _ in range(3):
            assert_same(read(codec, body), read(TREE, body))


def test_a_list_whose_records_have_no_text_is_read_alike() -> None:
    stores = '<a:StoreStockInfo><a:StoreMAP i:nil="true"/></a:StoreStockInfo>'
    for empty in (stores * 2, stores.replace('<a:StoreMAP i:nil="true"/>', "")):
        codec = new_codec()
        body = page(ROWS.replace("<a:StoreStockInfo><a:StoreID>1</a:StoreID></a:StoreStockInfo>", empty))
        for _ in range(3):
            assert_same(read(codec, body), read(TREE, body))


def test_a_row_that_refers_to_another_leaves_its_page_to_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = '<a:ResultData xmlns:z="http://schemas.microsoft.com/2003/10/Serialization/">'
    named = ROWS.replace("<a:InventoryItem>", '<a:InventoryItem z:Id="i1">', 1)
    body = page(f'{named}<a:InventoryItem z:Ref="i1"/>{ROW.format("E")}', container=declared)
    codec = new_codec()
    wanted = read(TREE, body)
    assert [row.value.sku for row in wanted.rows] == ["A", "B", "C", "D", "A", "E"]
    assert_same(read(codec, body), wanted)
    begun = counted(monkeypatch, fast_rows, "page_text")
    assert_same(read(codec, body), wanted)
    assert not begun, "the next page is scanned before it is read"
    assert_same(read(codec, page(ROWS)), read(TREE, page(ROWS)))
    assert begun


def test_a_description_may_speak_of_references() -> None:
    codec, body = new_codec(), page(ROWS.replace("<a:Description/>", '<a:Description>ref="#1"</a:Description>'))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("octopus_soap.wire.readers.RecordReader.read", lambda *_: pytest.fail("read from the tree"))
        found = read(codec, body)
    assert_same(found, read(TREE, body))


@every("before", ['<a:Message>&lt;a href="x"></a:Message>', "<a:Data><![CDATA[<a href='x'>]]></a:Data>"])
def test_a_message_may_speak_of_references(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = b'<?xml version="1.0" encoding="utf-8"?><?xml-stylesheet href="a.xsl" type="text/xsl"?>'
    for body in (page(ROWS, before=before), declared + page(ROWS, before=before)):
        wanted, codec = read(TREE, body), new_codec()
        with monkeypatch.context() as patched:
            patched.setattr("octopus_soap.wire.readers.RecordReader.read", lambda *_: pytest.fail("from the tree"))
            found = codec.decode(
                "GetItemList", Reply(200, {"content-type": "text/xml;charset=UTF-8"}, body), RowsOf(InventoryItem)
            )
        assert_same(found, wanted)


@every("more", [0, 1])
def test_a_page_with_far_more_rows_than_asked_for_is_refused_by_its_reader_too(more: int, learned: Any) -> None:
    body = page(ROW.format("E") * (110 + more))
    for codec in (learned, new_codec(), TREE):
        found = read_one(codec, body)
        assert isinstance(found, ProtocolError) == bool(more)


def read_one(codec: Any, body: bytes) -> Any:
    """Return what *body* decodes to if one item was requested, or the error."""
    try:
        return codec.decode("GetItemList", Reply(200, {}, body), RowsOf(InventoryItem, asked=1))
    except OctopusError as error:
        return error


def test_what_was_read_fast_can_be_changed_and_sent_again() -> None:
    codec, body = new_codec(), write([item(number) for number in range(4)], Hand())
    found, again = ([row.value.replace(price="1") for row in read(which, body).rows] for which in (codec, TREE))
    sent, wanted = (
        codec.requests("UploadItemList").envelope({"accountID": "x", "inventoryItems": items})
        for items in (found, again)
    )
    assert sent == wanted


def test_an_error_is_not_hidden() -> None:
    assert isinstance(read(new_codec(), page(ROWS)[:-20]), OctopusError)


REFERENCES = ["&amp;", "&lt;", "&quot;", "&#38;", "&#x26;", "&#65;", "&#x1F600;", "a", ";", "#38;", "lt;", "amp;"]


@given(
    st.lists(st.sampled_from(REFERENCES), max_size=9), st.integers(1, 12), st.sampled_from(["", "&#0;", "&", "&nbsp;"])
)
def test_few_and_many_references_are_resolved_as_a_parser_does(pieces: list[str], times: int, wrong: str) -> None:
    text = "".join(pieces) * times
    assert row_text.resolve(text) == (etree.fromstring(f"<a>{text}</a>").text or "")
    if wrong:
        with pytest.raises(ValueError, match="reference"):
            row_text.resolve(text + wrong)
