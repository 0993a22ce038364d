"""The charset of a reply's bytes, and its character and entity references."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from octopus_soap import ProtocolError
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.models import InventoryItem, OrderResponseItem
from octopus_soap.models.declarations import RowsOf
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.redact import Redactor
from tests.every import every

NAMESPACES = (
    'xmlns:z="http://schemas.microsoft.com/2003/10/Serialization/" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:e="http://www.w3.org/2003/05/soap-encoding"'
)


def page(rows: str, operation: str = "GetItemList", encoding: str = "") -> str:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>' if encoding else ""
    return (
        f'{declared}<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><{operation}Response '
        f'xmlns="http://tempuri.org/"><{operation}Result {NAMESPACES}>{rows}</{operation}Result></{operation}Response>'
        "</s:Body></s:Envelope>"
    )


def rows(
    body: bytes,
    content_type: str = "text/xml; charset=utf-8",
    operation: str = "GetItemList",
    model: Any = InventoryItem,
) -> list[Any]:
    codec = Codec(load_contract(), Redactor([]), UTC)
    return codec.decode(operation, Reply(200, {"content-type": content_type}, body), RowsOf(model)).rows


ITEM = "<InventoryItem><Sku>CAFÉ</Sku></InventoryItem>"
UTF8, LATIN = "utf-8", "iso-8859-1"

READ = [
    # bytes, declaration, Content-Type
    (UTF8, LATIN, "text/xml; charset=utf-8"),  # RFC 7303, 3.2: the parameter wins
    (UTF8, LATIN, 'text/xml; charset="UTF-8"'),
    (UTF8, "klingon", "text/xml; charset=utf8"),
    (UTF8, "", "text/xml"),  # RFC 7303 removed us-ascii
    (UTF8, "", ""),
    (UTF8, UTF8, 'application/soap+xml; action="x; charset=iso-8859-1"; charset=utf-8'),
    (LATIN, LATIN, "text/xml"),
    (LATIN, "", "text/xml; charset=ISO-8859-1"),
    (LATIN, "", "text/xml;charset = 'iso-8859-1' ; x=y"),
    (LATIN, UTF8, "text/xml; charset=iso-8859-1"),  # the bytes prove the declaration wrong
    ("cp1252", "windows-1252", "text/xml"),
    ("cp1252", "", "text/xml; charset=windows-1252"),
    ("utf-8-sig", LATIN, "text/xml; charset=iso-8859-1"),  # the byte order mark wins
    ("utf-16", "", "text/xml; charset=utf-8"),
    ("utf-16", "utf-16", "text/xml"),
    ("utf-16-le", "utf-16", "text/xml"),
    ("utf-16-be", "", "text/xml; charset=utf-16"),
    ("utf-16-le", "", "text/xml; charset=utf-16"),
    ("utf-32", "", "text/xml"),
]  # fmt: skip


@every(("bytes_in", "declared", "content_type"), READ)
def test_a_reply_is_read_in_the_charset_it_is_in(bytes_in: str, declared: str, content_type: str) -> None:
    assert [row.value.sku for row in rows(page(ITEM * 3, encoding=declared).encode(bytes_in), content_type)] == [
        "CAFÉ"
    ] * 3


REFUSED = [
    (LATIN, "", "text/xml; charset=utf-8"),
    (LATIN, LATIN, "text/xml; charset=utf-8"),  # the parameter wins, and does not fit the bytes
    (UTF8, UTF8, "text/xml; charset=iso-8859-1"),  # the bytes fit both
    (UTF8, "", "text/xml; charset=iso-8859-1"),  # and here, too: a web server adds its default to what it passes on
    (UTF8, "", "text/xml; charset=windows-1252"),
    (UTF8, "", "text/xml; charset=klingon"),
    (UTF8, "klingon", "text/xml"),
    (UTF8, "utf-16", "text/xml"),
    (UTF8, "", "text/xml; charset=us-ascii"),
    (UTF8, "", "text/xml; charset=utf-7"),
    (UTF8, "", "text/xml; charset=unicode_escape"),
    (UTF8, "", "text/xml; charset=utf-8; charset=iso-8859-1"),
    (UTF8, "", "text/xml; charset=utf-16"),
]  # fmt: skip


@every(("bytes_in", "declared", "content_type"), REFUSED)
def test_a_charset_that_cannot_be_decided_is_never_another_text(
    bytes_in: str, declared: str, content_type: str
) -> None:
    with pytest.raises(ProtocolError):
        rows(page(ITEM, encoding=declared).encode(bytes_in), content_type)


def orders(body: str) -> list[Any]:
    return rows(page(body, "GetOrderList").encode(), operation="GetOrderList", model=OrderResponseItem)


BILL = '<Bill z:Id="i2"><City>Oslo</City></Bill>'
REFERENCES = {
    "wcf, after": f'{BILL}<Ship z:Ref="i2" i:nil="true"/>',
    "wcf, before": f'<Ship z:Ref="i2" i:nil="true"/>{BILL}',
    "href": '<Bill id="b"><City>Oslo</City></Bill><Ship href="#b"/>',
    "SOAP 1.2": '<Bill e:id="b"><City>Oslo</City></Bill><Ship e:ref="b"/>',
    "a chain": '<Bill id="a" href="#b"/><Ship href="#a"/><Elsewhere id="b"><City>Oslo</City></Elsewhere>',
    "a scalar": '<Bill><City id="c">Oslo</City></Bill><Ship><City href="#c"/></Ship>',
}


@every("name", REFERENCES)
def test_references_are_resolved(name: str) -> None:
    found = orders(f"<OrderResponseItem><OrderID>1</OrderID>{REFERENCES[name]}</OrderResponseItem>")
    assert (found[0].value.bill.city, found[0].value.ship.city) == ("Oslo", "Oslo")


def test_a_row_may_refer_to_another_row_and_to_parts_of_it() -> None:
    found = orders(
        f'<OrderResponseItem z:Id="o"><OrderID>1</OrderID>{BILL}</OrderResponseItem><OrderResponseItem z:Ref="o"/>'
        '<OrderResponseItem><OrderID>2</OrderID><Ship z:Ref="i2"/></OrderResponseItem>'
    )
    assert [row.value.order_id for row in found] == ["1", "1", "2"]
    assert found[2].value.ship.city == "Oslo"


PLAIN = "<OrderResponseItem><OrderID>2</OrderID></OrderResponseItem>" * 300
ARRIVING = {
    "rows that are referred to": f'<OrderResponseItem z:Id="o"><OrderID>1</OrderID>{BILL}</OrderResponseItem>{PLAIN}'
    '<OrderResponseItem z:Ref="o"/>',
    "parts of rows": f"<OrderResponseItem><OrderID>1</OrderID>{BILL}</OrderResponseItem>{PLAIN}"
    '<OrderResponseItem><OrderID>1</OrderID><Bill z:Ref="i2" i:nil="true"/></OrderResponseItem>',
    "that begin late": f"{PLAIN}<OrderResponseItem><OrderID>1</OrderID>{BILL}</OrderResponseItem>"
    f'{PLAIN}<OrderResponseItem><OrderID>1</OrderID><Bill z:Ref="i2"/></OrderResponseItem>',
    "of SOAP 1.2": '<OrderResponseItem e:id="o"><OrderID>1</OrderID><Bill><City>Oslo</City></Bill></OrderResponseItem>'
    f'{PLAIN}<OrderResponseItem e:ref="o"/>',
    "of SOAP 1.1": '<OrderResponseItem id="o"><OrderID>1</OrderID><Bill><City>Oslo</City></Bill></OrderResponseItem>'
    f'{PLAIN}<OrderResponseItem href="#o"/>',
}


@every("name", ARRIVING)
@every("size", [700, 5_000])
def test_references_to_what_came_long_before_are_resolved_in_a_stream_too(name: str, size: int) -> None:
    encoding = 'xmlns:c="http://schemas.xmlsoap.org/soap/encoding/" xmlns:z='
    body = page(ARRIVING[name], "GetOrderList").replace("xmlns:z=", encoding).encode()
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    codec = Codec(load_contract(), Redactor([]), UTC)
    reply = codec.arriving("GetOrderList", Reply(200, {}, parts[0]), RowsOf(OrderResponseItem), 10**6)
    found = reply.take()
    for part in (*parts[1:], b""):
        reply.feed(part)
        found += reply.take()
    billed = [row.value.bill.city for row in found if row.value.order_id == "1"]
    assert (len(found), billed) == (ARRIVING[name].count("<OrderResponseItem"), ["Oslo", "Oslo"])


LOST = {
    "nothing has the identifier": '<Ship z:Ref="i9" i:nil="true"/>',
    "another document": '<Ship href="http://elsewhere.example/a"/>',
    "itself": '<Ship z:Id="i1" z:Ref="i1"/>',
    "what contains it": '<Ship z:Id="i1"><City z:Ref="i1"/></Ship>',
    "each other": '<Ship id="a" href="#b"/><Bill id="b" href="#a"/>',
    "a scalar": '<Ship><City href="#x"/></Ship>',
    "a row of a list": '<orderItems><OrderItem z:Ref="x" i:nil="true"/></orderItems>',
}


@every("name", LOST)
def test_a_reference_that_leads_nowhere_fails_its_record_alone(name: str) -> None:
    found = orders(
        f"<OrderResponseItem><OrderID>1</OrderID>{LOST[name]}</OrderResponseItem>"
        "<OrderResponseItem><OrderID>2</OrderID></OrderResponseItem>"
    )
    assert found[0].value is None
    assert "refers to a value that is not in the reply" in str(found[0].problems[0])
    assert found[1].value.order_id == "2"


def test_nested_references_do_not_grow_without_bound() -> None:
    levels = "".join(f'<a id="n{n}">{f"<b href={chr(34)}#n{n + 1}{chr(34)}/>" * 10}</a>' for n in range(9))
    with pytest.raises(ProtocolError, match="references"):
        orders(f'{levels}<a id="n9">x</a>')


@every("space", [" ", "\n  ", ""])
@every("times", [1, 40])  # read from the tree, and by the compiled expressions
def test_white_space_inside_a_nil_member_is_nil(space: str, times: int) -> None:
    row = (
        f'<InventoryItem><Sku>A</Sku><Description i:nil="true">{space}</Description><Price i:nil="1">{space}</Price>'
        "</InventoryItem>"
    )
    for found in rows(page(row * times).encode()):
        assert (found.value.description, found.value.price) == (None, None)
