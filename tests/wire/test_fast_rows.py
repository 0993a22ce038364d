"""Rows read by a layout from the text, and rows read from the tree, are the same rows; also of pages that are broken."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.errors import OctopusError
from octopus_soap.models import InventoryItem, QuantityInfoResponse
from octopus_soap.models.replies import RowsOf
from octopus_soap.wire import fast_rows
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.faults import Reply
from octopus_soap.wire.redact import Redactor

TEXTS = [
    "",
    "plain",
    " 00123 ",
    "a&amp;b",
    "&#x41;&#66;",
    "&lt;tag&gt;",
    "1.50",
    "12",
    "-3",
    "true",
    "false",
    "é漢😀",
    "a/>b",
    "/>",
    ">",
]
ODD = [
    "<![CDATA[x]]>",
    "a<!-- c -->b",
    "x<?pi y?>",
    "<b/>",
    "t/><b>u</b>",
    "<b/>tail",
    "1_000",
    "1,5",
    "NaN",
    "31",
    "2026-02-31T00:00:00",
]
DATES = ["2026-03-04T10:00:00", "0001-01-01T00:00:00", "2026-03-04T10:00:00.1234567Z", "nonsense"]
NUMBERS = ["1", "1.50", "44.9200", "1E+2", "+7", "-0.5", ".", "1.2.3", " 4 ", "", "&#49;"]


def leaf(name: str, text: str | None, extra: str = "") -> str:
    if text is None:
        return f'<a:{name}{extra} i:nil="true"/>'
    return f"<a:{name}{extra}>{text}</a:{name}>" if text else f"<a:{name}{extra}/>"


STORE = st.fixed_dictionaries(
    {
        "StoreID": st.sampled_from(TEXTS),
        "StorePrice": st.sampled_from(NUMBERS) | st.none(),
        "StoreStock": st.just("2.5"),
    }
)


@st.composite
def rows(draw, *, wild):
    """One row: nearly always of the common shape, sometimes not."""
    members = {
        "Category": draw(st.sampled_from(TEXTS) | st.none()),
        "Description": draw(st.sampled_from(TEXTS + (ODD if wild else []))),
        "FieldLocks": draw(st.none() | st.sampled_from(["true", "false", "1", "maybe"])),
        "Price": draw(st.sampled_from(NUMBERS if wild else ["1", "1.50", "44.9200"]) | st.none()),
        "SaleStartDate": draw(st.sampled_from(DATES) if wild else st.just(DATES[0])),
        "Sku": draw(st.sampled_from(["A", "B&amp;C", " 00123"])),
        "StoreStockInfoList": draw(st.none() | st.lists(STORE, max_size=3)),
        "Unheard": draw(st.sampled_from(["x", "&amp;"]) | st.none()),
    }
    names = list(members)
    if wild:
        names = draw(st.permutations(names)) if draw(st.booleans()) else names
        names = [name for name in names if draw(st.integers(0, 9))]
        names += draw(st.lists(st.sampled_from(names), max_size=1)) if names else []
    parts = []
    for name in names:
        value = members[name]
        if name == "FieldLocks" and value is not None:
            parts.append(f"<a:FieldLocks>{leaf('LockCost', value)}{leaf('LockPrice', 'true')}</a:FieldLocks>")
        elif name == "StoreStockInfoList" and value is not None:
            stores = "".join(
                "<a:StoreStockInfo>" + "".join(leaf(n, v) for n, v in store.items()) + "</a:StoreStockInfo>"
                for store in value
            )
            parts.append(f"<a:StoreStockInfoList>{stores}</a:StoreStockInfoList>")
        else:
            parts.append(leaf(name, value, ' x="&gt;>"' if wild and not draw(st.integers(0, 19)) else ""))
    between = draw(st.sampled_from(["", "", "", "\n ", "<!-- </a:InventoryItem><a:InventoryItem> -->"])) if wild else ""
    return f"<a:InventoryItem>{between.join(parts)}</a:InventoryItem>"


def page(items: list[str], junk: str = "") -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<GetItemListResponse xmlns="http://tempuri.org/">{junk}<GetItemListResult xmlns:a="urn:a" '
        'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><a:MessageCode>0</a:MessageCode>'
        f"<a:ResultData>{''.join(items)}</a:ResultData><a:Status>Success</a:Status>"
        "</GetItemListResult></GetItemListResponse></s:Body></s:Envelope>"
    ).encode()


def new_codec() -> Codec:
    return Codec(load_contract(), Redactor([]), UTC)


def read(codec: Codec, body: bytes, *, cut: bool, model=InventoryItem):
    """What *body* decodes to, or the error it raises."""
    decoder = codec._decoder
    decoder.cut = type(decoder).cut.__get__(decoder) if cut else (lambda *_: None)
    try:
        return codec.decode("GetItemList", Reply(200, {}, body), RowsOf(model))
    except OctopusError as error:
        return error


def same(fast, slow) -> bool:
    if isinstance(slow, OctopusError):
        assert (type(fast), str(fast)) == (type(slow), str(slow))
        return True
    assert not isinstance(fast, OctopusError), fast
    assert (fast.status, fast.message, fast.present, fast.warnings) == (
        slow.status, slow.message, slow.present, slow.warnings,
    )  # fmt: skip
    assert [row.problems for row in fast.rows] == [row.problems for row in slow.rows]
    assert [row.value for row in fast.rows] == [row.value for row in slow.rows]
    sets = [row.value.model_fields_set if row.value else None for row in fast.rows]
    assert sets == [row.value.model_fields_set if row.value else None for row in slow.rows]
    assert [row.key for row in fast.rows] == [row.key for row in slow.rows]
    assert fast.drift == slow.drift
    return True


@given(st.lists(rows(wild=False), min_size=2, max_size=8), st.lists(rows(wild=True), max_size=4), st.randoms())
def test_both_ways_read_the_same(common, wild, random):
    codec = new_codec()
    for _ in range(3):  # layouts are learned on the way
        mixed = common + wild
        random.shuffle(mixed)
        body = page(mixed, random.choice(["", "", "<!-- <a:ResultData> -->"]))
        assert same(read(codec, body, cut=True), read(codec, body, cut=False))


TOKENS = [
    "", "<", ">", "&", "]]>", "<![CDATA[", "<!--", "-->", "--", "<?p", "?>", "&bogus;", "&#0;", "&#x1F;", "&#xD800;", "&#x110000;", "&#65;",
    "\x00", "\x0b", "\r", "\r\n", "\ufffe", "\t", " ", "x", "/", "/>", "</a:Sku>", "<a:Sku>", "<a:Sku/>", "</a:InventoryItem>",
    "<a:InventoryItem>", "</a:ResultData>", "<a:ResultData>", "<a:Category>", "</a:Category>", "<octopus-soap-cut/>", 'xmlns:i="urn:x"',
    'xmlns:a=""', "<!DOCTYPE x>", ' i:nil="true"', "<b:Sku>", "<InventoryItem>", "<a:Status>Failure</a:Status>", "Envelope",
]  # fmt: skip
"""What is put into a page to break it."""
ANCHORS = [
    "<a:InventoryItem>", "</a:InventoryItem>", "<a:Sku>", "</a:Sku>", "<a:ResultData>", "</a:ResultData>", "xmlns:i=", "xmlns:a=", "<s:Body>",
    'i:nil="true"', "</s:Envelope>", "http://www.w3.org/2001/XMLSchema-instance", "/>", ">", "<a:Category",
]  # fmt: skip
"""Where it is put, and what it may replace."""


def broken(text: str, anchor: str, nth: int, token: str, way: int) -> str:
    """*token* put before, after, in place of, or a little into the *nth* *anchor* of *text*."""
    parts = text.split(anchor)
    place = 1 + nth % (len(parts) - 1)
    before, after = anchor.join(parts[:place]), anchor.join(parts[place:])
    changed = [token + anchor, anchor + token, token, anchor[:2] + token + anchor[2:]][way]
    return before + changed + after


ROW = (
    "<a:InventoryItem><a:Category>a&amp;b</a:Category><a:Description/><a:FieldLocks><a:LockCost>true</a:LockCost>"
    '</a:FieldLocks><a:Price i:nil="true"/><a:Sku>{}</a:Sku><a:StoreStockInfoList><a:StoreStockInfo><a:StoreID>1'
    "</a:StoreID></a:StoreStockInfo></a:StoreStockInfoList><a:Unheard>x</a:Unheard></a:InventoryItem>"
)


@pytest.fixture(scope="module")
def learned() -> tuple[Codec, str]:
    """A codec that knows ROW's shape, and a page of four such rows."""
    codec, body = new_codec(), page([ROW.format(n) for n in "ABCD"])
    read(codec, body, cut=True)
    return codec, body.decode()


def read_alike(codec: Codec, body: bytes) -> None:
    plan = codec._decoder._plans.of(InventoryItem)
    known, plan.shapes = plan.layouts, {}  # what a broken page teaches is forgotten again
    assert known
    fast = read(codec, body, cut=True)
    assert same(fast, read(codec, body, cut=False))
    plan.layouts = known


@pytest.mark.parametrize("anchor", ANCHORS)
def test_a_broken_page_reads_the_same_whether_rows_are_cut_out_or_not(learned, anchor):
    codec, text = learned
    assert anchor in text
    for token in TOKENS:
        for nth in (0, 1, -1):
            for way in range(4):
                read_alike(codec, broken(text, anchor, nth, token, way).encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<a:ResultData>", "<a:Other><![CDATA["),  # rows where none are
        ("<a:ResultData>", "<a:ResultData><a:Deeper>"),
        ("<a:InventoryItem>", "<a:InventoryItem><a:InventoryItem>"),
        ("</a:InventoryItem>", "</a:InventoryItem></a:InventoryItem>"),
        ("<a:ResultData>", "<a:ResultData></a:ResultData><a:ResultData>"),
        ("<a:ResultData>", '<a:ResultData i:nil="true">'),
        ("<a:ResultData>", "<a:ResultData>text"),
        ("<a:ResultData>", '<a:ResultData xmlns:i="urn:other">'),
        ("<a:ResultData>", '<a:ResultData xmlns:a="urn:other">'),
        (' xmlns:a="urn:a"', ""),
        (' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"', ' xmlns:i="urn:other"'),
        (' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"', ""),
        ("a&amp;b", "a&amp;b&#0;"),
        ("a&amp;b", "a&b"),
        ("a&amp;b", "a&nbsp;b"),
        ("a&amp;b", "a&#xD800;b"),
        ("a&amp;b", "a&#x110000;"),
        ("a&amp;b", "a&#1114112;b"),
        ("a&amp;b", "a]]>b"),
        ("a&amp;b", "a\x01b"),
        ("a&amp;b", "a\ufffeb"),
        ("a&amp;b", "a\r\nb"),
        ("<a:Description/>", "<a:Description>text/>"),
        ("<a:Description/>", "<a:Description/></a:Description>"),
        ("<a:StoreStockInfoList>", "<a:StoreStockInfoList/>"),
        ("</a:StoreStockInfoList>", "/>"),
        ("<a:Message", "<octopus-soap-cut/><a:Message"),
        ("<a:InventoryItem>", "<octopus-soap-cut/><a:InventoryItem>"),
        ("a&amp;b", "octopus-soap-cut"),
    ],
)
@pytest.mark.parametrize("times", [1, -1])
def test_a_page_with_something_odd_around_or_inside_its_rows_reads_the_same(learned, old, new, times):
    codec, text = learned
    text = text.replace("<a:MessageCode>", "<a:Message>m</a:Message><a:MessageCode>")
    assert old in text
    read_alike(codec, text.replace(old, new, times).encode())
    read_alike(codec, text.replace(old, new, times).replace("</a:ResultData>", "]]></a:Other>").encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<a:Message>m</a:Message>", "<a:Message>" + ROW.format("E") + "</a:Message>"),
        ("<a:Message>m</a:Message>", "<!--" + ROW.format("E") + "-->"),
        ("<a:Message>m</a:Message>", "<a:Mark/><octopus-soap-cut/>" + ROW.format("E")),
        ("<a:ResultData>", "<a:ResultData>" + '<a:InventoryItem x="">' + ROW.format("E") + "</a:InventoryItem>"),
        ("<a:ResultData>", "<a:ResultData><octopus-soap-cut/>"),
        ("<a:ResultData>", "<a:ResultData><!--" + ROW.format("--") + "-->"),
        ("</a:ResultData>", "</a:ResultData><a:ResultData/>"),
        ("</a:ResultData>", "</a:ResultData><a:ResultData>" + ROW.format("E") + "</a:ResultData>"),
    ],
)
def test_rows_in_other_places_of_the_reply_read_the_same(learned, old, new):
    codec, text = learned
    text = text.replace("<a:MessageCode>", "<a:Message>m</a:Message><a:MessageCode>")
    assert old in text
    read_alike(codec, text.replace(old, new).encode())


def test_rows_in_a_comment_are_still_parsed_as_one():
    """A comment may hold no `--`; with its rows cut out it would hold none."""
    codec = new_codec()
    read(codec, page([ROW.format(n) for n in "AB"]), cut=True)
    for sku in ("C", "C--D"):
        read_alike(codec, page([]).replace(b"<a:ResultData>", f"<a:ResultData><!--{ROW.format(sku)}-->".encode()))
        nil = b'<a:ResultData i:nil="true"/><!--' + ROW.format(sku).encode() + b"--><a:Status>"
        read_alike(codec, page([]).replace(b"<a:ResultData></a:ResultData><a:Status>", nil))


def test_a_prefix_only_the_rows_have_must_be_bound_where_they_stand():
    codec = new_codec()
    body = page([ROW.format(n).replace("a:Category", "b:Category") for n in "AB"])
    bound = body.replace(b"<a:ResultData>", b'<a:ResultData xmlns:b="urn:b">')
    assert len(read(codec, bound, cut=True).rows) == 2
    assert codec._decoder.cut(bound, RowsOf(InventoryItem))
    read_alike(codec, bound)
    assert isinstance(read(codec, body, cut=True), OctopusError)
    read_alike(codec, body)


@given(
    st.lists(
        st.tuples(st.sampled_from(ANCHORS), st.integers(0, 6), st.sampled_from(TOKENS), st.integers(0, 3)),
        min_size=2,
        max_size=3,
    )
)
def test_a_page_broken_in_several_places_reads_the_same(learned, changes):
    codec, text = learned
    for anchor, nth, token, way in changes:
        text = broken(text, anchor, nth, token, way) if anchor in text else text
    read_alike(codec, text.encode())


def test_a_page_of_one_shape_is_read_by_its_layout(monkeypatch):
    """Otherwise the property above would hold because layouts are never used."""
    codec = new_codec()
    body = page(
        [f"<a:InventoryItem><a:Price>{i}.50</a:Price><a:Sku>{i:03d}</a:Sku></a:InventoryItem>" for i in range(9)]
    )
    read(codec, body, cut=True)
    monkeypatch.setattr("octopus_soap.wire.readers.RecordReader.read", lambda *_: pytest.fail("read from the tree"))
    found = read(codec, body, cut=True)
    assert [row.value.sku for row in found.rows] == [f"{i:03d}" for i in range(9)]


def test_records_of_one_layout_share_the_names_that_came_and_none_can_change_them():
    codec = new_codec()
    lock = "<a:FieldLocks><a:LockCost>true</a:LockCost></a:FieldLocks>"
    store = "<a:StoreStockInfo><a:StoreID>1</a:StoreID></a:StoreStockInfo>"
    body = page(
        [
            f"<a:InventoryItem>{lock}<a:Sku>{i:03d}</a:Sku><a:StoreStockInfoList>{store * 2}</a:StoreStockInfoList>"
            f"<a:Unheard>x</a:Unheard></a:InventoryItem>"
            for i in range(9)
        ]
    )
    read(codec, body, cut=True)
    items = [row.value for row in read(codec, body, cut=True).rows]
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
    assert items[2] == read(codec, body, cut=False).rows[2].value


def test_a_row_forged_inside_cdata_is_never_read_as_a_row():
    codec = new_codec()
    good = "<a:InventoryItem><a:Price>1.50</a:Price><a:Sku>good</a:Sku></a:InventoryItem>"
    forged = "</a:InventoryItem><a:InventoryItem><a:Price>0</a:Price><a:Sku>evil</a:Sku></a:InventoryItem>"
    bad = f"<a:InventoryItem><a:Price>2</a:Price><a:Sku><![CDATA[{forged}]]></a:Sku></a:InventoryItem>"
    for body in (page([good] * 5), page([good, good, bad, good]), page([good, good, bad])):
        fast = read(codec, body, cut=True)
        assert same(fast, read(codec, body, cut=False))
        assert "evil" not in [row.value.sku for row in fast.rows]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b"<a:Sku>", b"\r\n<a:Sku>"),
        lambda body: b'<?xml version="1.0" encoding="iso-8859-1"?>' + body,
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: b'<?xml version="1.0" encoding="utf-8"?>\n' + body,
        lambda body: body.decode().encode("utf-16"),
    ],
)
def test_text_a_parser_changes_is_read_from_the_tree(change):
    codec = new_codec()
    row = "<a:InventoryItem><a:Description>é\n</a:Description><a:Sku>A</a:Sku></a:InventoryItem>"
    body = change(page([row] * 4))
    for _ in range(2):
        assert same(read(codec, body, cut=True), read(codec, body, cut=False))


def test_layouts_and_shapes_stay_few():
    """A service that never repeats itself cannot make them grow."""
    codec = new_codec()
    for i in range(600):
        row = f"<a:InventoryItem><a:X{i}>1</a:X{i}><a:Sku>A</a:Sku></a:InventoryItem>"
        read(codec, page([row, row, row]), cut=True)
    plan = codec._decoder._plans.of(InventoryItem)
    assert len(plan.layouts) <= fast_rows._KEPT
    assert len(plan.shapes) <= fast_rows._NOTED


def test_quantities_read_alike():
    codec = new_codec()
    row = "<q><a:Sku>A</a:Sku><a:Stock>{}</a:Stock><a:Applicablestock>1.5</a:Applicablestock></q>"
    body = page([row.format(n) for n in ("1", "12.0000", "99999999999", "x", "-5", "")] * 2)
    for _ in range(2):
        assert same(
            read(codec, body, cut=True, model=QuantityInfoResponse),
            read(codec, body, cut=False, model=QuantityInfoResponse),
        )
