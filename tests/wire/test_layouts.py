"""Rows read by a layout and rows read from the tree are the same rows."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octopus_soap.models import InventoryItem, QuantityInfoResponse
from octopus_soap.models.replies import RowsOf
from octopus_soap.wire import layouts
from octopus_soap.wire.decode import Decoder, body_of, parse
from octopus_soap.wire.values import readers

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


def read(decoder: Decoder, body: bytes, *, raw: bool, model=InventoryItem):
    root, replaced = parse(body)
    assert not replaced
    return decoder.response(body_of(root), "GetItemListResponse", RowsOf(model), body if raw else b"")


def same(fast, slow) -> bool:
    assert [row.problems for row in fast.rows] == [row.problems for row in slow.rows]
    assert [row.value for row in fast.rows] == [row.value for row in slow.rows]
    sets = [row.value.model_fields_set if row.value else None for row in fast.rows]
    assert sets == [row.value.model_fields_set if row.value else None for row in slow.rows]
    assert [row.key for row in fast.rows] == [row.key for row in slow.rows]
    assert fast.drift == slow.drift
    return True


@given(st.lists(rows(wild=False), min_size=2, max_size=8), st.lists(rows(wild=True), max_size=4), st.randoms())
def test_both_ways_read_the_same(common, wild, random):
    decoder = Decoder(readers(UTC))
    for _ in range(3):  # layouts are learned on the way
        mixed = common + wild
        random.shuffle(mixed)
        body = page(mixed, random.choice(["", "", "<!-- <a:ResultData> -->"]))
        assert same(read(decoder, body, raw=True), read(decoder, body, raw=False))


def test_a_page_of_one_shape_is_read_by_its_layout(monkeypatch):
    """Otherwise the property above would hold because layouts are never used."""
    decoder = Decoder(readers(UTC))
    body = page(
        [f"<a:InventoryItem><a:Price>{i}.50</a:Price><a:Sku>{i:03d}</a:Sku></a:InventoryItem>" for i in range(9)]
    )
    read(decoder, body, raw=True)
    monkeypatch.setattr("octopus_soap.wire.plans.Plan.read", lambda *_: pytest.fail("read from the tree"))
    found = read(decoder, body, raw=True)
    assert [row.value.sku for row in found.rows] == [f"{i:03d}" for i in range(9)]


def test_a_row_forged_inside_cdata_is_never_read_as_a_row():
    decoder = Decoder(readers(UTC))
    good = "<a:InventoryItem><a:Price>1.50</a:Price><a:Sku>good</a:Sku></a:InventoryItem>"
    forged = "</a:InventoryItem><a:InventoryItem><a:Price>0</a:Price><a:Sku>evil</a:Sku></a:InventoryItem>"
    bad = f"<a:InventoryItem><a:Price>2</a:Price><a:Sku><![CDATA[{forged}]]></a:Sku></a:InventoryItem>"
    for body in (page([good] * 5), page([good, good, bad, good]), page([good, good, bad])):
        fast = read(decoder, body, raw=True)
        assert same(fast, read(decoder, body, raw=False))
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
    decoder = Decoder(readers(UTC))
    row = "<a:InventoryItem><a:Description>é\n</a:Description><a:Sku>A</a:Sku></a:InventoryItem>"
    body = change(page([row] * 4))
    for _ in range(2):
        assert same(read(decoder, body, raw=True), read(decoder, body, raw=False))


def test_layouts_and_shapes_stay_few():
    """A service that never repeats itself cannot make them grow."""
    decoder = Decoder(readers(UTC))
    for i in range(600):
        row = f"<a:InventoryItem><a:X{i}>1</a:X{i}><a:Sku>A</a:Sku></a:InventoryItem>"
        read(decoder, page([row, row, row]), raw=True)
    plan = decoder._plans.of(InventoryItem)
    assert len(plan.layouts) <= layouts._KEPT
    assert len(plan.shapes) <= layouts._NOTED


def test_quantities_read_alike():
    decoder = Decoder(readers(UTC))
    row = "<q><a:Sku>A</a:Sku><a:Stock>{}</a:Stock><a:Applicablestock>1.5</a:Applicablestock></q>"
    body = page([row.format(n) for n in ("1", "12.0000", "99999999999", "x", "-5", "")] * 2)
    for _ in range(2):
        assert same(
            read(decoder, body, raw=True, model=QuantityInfoResponse),
            read(decoder, body, raw=False, model=QuantityInfoResponse),
        )
