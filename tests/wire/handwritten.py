"""Pages of items in every writer's form, right and broken, read in both ways."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from benchmarks.handwritings import HANDS, write
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.errors import OctopusError
from octopus_soap.models import InventoryItem
from octopus_soap.models.declarations import RowsOf
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.redact import Redactor

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

CONTRACT = load_contract()


def item(number: int) -> tuple[str, Any]:
    """Return an item with every kind of member, with values chosen by *number*."""
    stores = [
        ("StoreStockInfo", [("StoreID", str(store)), ("StorePrice", f"{number}.50"), ("StoreStock", "2.5")])
        for store in range(number % 3)
    ]
    return "InventoryItem", [
        ("AttributeList", None if number % 4 == 1 else []),
        ("Category", ["Shoes & boots", None, "", " <b> ]] ", "é漢😀"][number % 5]),
        ("Cost", [f"{number}.1250", None, "-0.5"][number % 3]),
        ("Description", f"Shoe > no. {number}"),
        ("FieldLocks", None if number % 3 == 2 else [("LockCost", "true"), ("LockPrice", ["false", "1"][number % 2])]),
        ("Price", ["1E+2", "44.9200", "+7", None, ""][number % 5]),
        ("SaleStartDate", ["2026-03-04T10:00:00", "0001-01-01T00:00:00", None][number % 3]),
        ("Sku", f" 0{number}"),
        ("StoreStockInfoList", stores or None),
        ("Unheard", ["x", None, "a&b"][number % 3]),
    ]


def new_codec() -> Codec:
    """Return a codec that has learned nothing."""
    return Codec(CONTRACT, Redactor([]), UTC)


def tree_codec() -> Codec:
    """Return a codec that reads every row from the tree."""
    codec = new_codec()
    codec._fast_rows.decode = lambda *_: None  # type: ignore[method-assign] # always falls back to the tree
    return codec


def read(codec: Codec, body: bytes, model: Any = InventoryItem) -> Any:
    """Return what *body* decodes to, or the error."""
    try:
        return codec.decode("GetItemList", Reply(200, {}, body), RowsOf(model))
    except OctopusError as error:
        return error


def assert_same(fast: Any, tree: Any) -> None:
    """Check that both ways read the same, or raised the same."""
    if isinstance(tree, OctopusError):
        assert (type(fast), str(fast)) == (type(tree), str(tree))
        return
    assert not isinstance(fast, OctopusError), fast
    for name in ("enveloped", "status", "code", "message", "data", "present", "warnings", "drift", "nil_rows"):
        assert getattr(fast, name) == getattr(tree, name)
    assert [row.value for row in fast.rows] == [row.value for row in tree.rows]
    for got, wanted in zip(fast.rows, tree.rows, strict=True):
        assert (got.key, got.problems, got.raw) == (wanted.key, wanted.problems, wanted.raw)
        if wanted.value is not None:
            assert got.value.model_fields_set == wanted.value.model_fields_set
            assert repr(got.value.__dict__) == repr(wanted.value.__dict__)  # the types and the order of all values
            assert got.value.model_extra == wanted.value.model_extra
            assert got.value.model_dump_json() == wanted.value.model_dump_json()


TOKENS = [
    "", "<", ">", "&", "]]>", "]", "<![CDATA[", "<![CDATA[]]>", "<!--", "-->", "<!-- -->", "--", "<?p", "?>", "<?p <!-- ?>", "&bogus;",
    "&#0;", "&#x1F;", "&#xD800;", "&#x110000;", "&#65;", "\x00", "\x0b", "\r", "\r\n", "\ufffe", "\t", " ", "\xa0", "x", "0", "-", "/", "/>", '"',
    "'", "=", ":", ";", "</a:Sku>", "<a:Sku>", "<a:Sku/>", "</a:InventoryItem>", "<a:InventoryItem>", '<a:InventoryItem i:nil="true"/>',
    "</a:ResultData>", "<a:ResultData>", "<a:Category>", "</a:Category>", "<octopus-soap-rows/>", ' xmlns:i="urn:x"', ' xmlns:a="urn:z"',
    ' xmlns:a=""', ' xmlns=""', "<!DOCTYPE x>", ' i:nil="true"', ' i:nil="1"', ' x="&gt;>"', ' x="<!-- -->"', "<b:Sku>", "<InventoryItem>", "<b/>",
    "<Sku>1</Sku>", "<price_a>1</price_a>", "<Unheard><Part>1</Part></Unheard>", "<a:Status>Failure</a:Status>", "Envelope", "1.5", "é",
]  # fmt: skip
"""Pieces that break a page."""
WHOLE = [
    "<!-- c -->", "<![CDATA[x]]>", "<![CDATA[<a:Sku>]]>", " ", "\n", "\r\n", "\t", "x", "1.5", "-3", "true", "&#65;", "&lt;", "&amp;", ">", "]]&gt;",
    "<b/>", "<b>1</b>", "<Sku>1</Sku>", "<Price>1,5</Price>", "<Stock/>", "<price_a>1</price_a>", "<Unheard><Part>1</Part></Unheard>",
    "<KitList><KitInfo><SKU>k</SKU></KitInfo></KitList>", "<InventoryItem><Sku>n</Sku></InventoryItem>", "<?p q?>",
]  # fmt: skip
"""Pieces that are well-formed between tags."""
ATTRIBUTES = [
    ' x="1"',
    ' x=">"',
    " x='&lt;'",
    ' xmlns="urn:z"',
    ' xmlns:z="urn:z"',
    ' xmlns:i="urn:z"',
    "\n",
    " ",
    ' xml:space="preserve"',
]
"""Pieces that are put into tags."""


def broken_pages(hand: str, count: int, chance: random.Random) -> Iterator[tuple[bytes, bytes]]:
    """Yield pairs of a right page and a broken one, a few changes apart."""
    style = HANDS[hand]
    for _ in range(count):
        rows = [item(chance.randrange(60)) for _ in range(chance.choice((1, 3, 4)))]
        right = write(rows, style, seed=chance.randrange(9))
        text = right.decode(style.encoding)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            text = _changed(text, chance)
        yield right, text.encode(style.encoding, "surrogatepass")


def _changed(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text) + 1)
    start = text.find("<", place)
    end = text.find(">", start) + 1
    if start < 0 or not end:
        return text[:place]
    tag = text[start:end]
    match chance.randrange(10):
        case 0:
            return text[:place] + chance.choice(TOKENS) + text[place:]
        case 1:
            return text[:place] + text[place + chance.randrange(1, 4) :]
        case 2:  # a piece is repeated, near or elsewhere
            piece = text[place : place + chance.randrange(1, 80)]
            other = chance.choice((place, chance.randrange(len(text) + 1)))
            return text[:other] + piece + text[other:]
        case 3:  # a token at a tag, or instead of it
            kept = chance.choice(("", tag, tag[:-1], tag[1:]))
            return (
                text[:start] + chance.choice((chance.choice(TOKENS) + kept, kept + chance.choice(TOKENS))) + text[end:]
            )
        case 4:  # a tag and its content are repeated elsewhere, or moved
            stop = text.find("</" + tag[1:].rstrip(">").split()[0] + ">", end)
            stop = text.find(">", stop) + 1 if stop >= 0 and not tag.endswith("/>") else end
            other = text.find("<", chance.randrange(end, len(text) + 1))
            other = max(other, stop)
            return (
                text[:start]
                + chance.choice(("", text[start:stop]))
                + text[stop:other]
                + text[start:stop]
                + text[other:]
            )
        case 5 | 6:  # an attribute in a tag
            at = end - 2 if tag.endswith("/>") else end - 1
            return text[:at] + chance.choice(ATTRIBUTES) + text[at:]
        case _:  # a complete piece between tags, or in a text
            at = chance.choice((start, end))
            return text[:at] + chance.choice(WHOLE) + text[at:]
