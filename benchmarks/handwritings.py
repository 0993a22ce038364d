"""Write one page of rows as many toolkits would: the same data in other bytes.

`write(rows, HANDS[name])` returns a reply. Hands that leave nulls out, vary or shuffle members decide row by row from a
seed, so each run makes the same bytes. `rows_of` reads the rows of any reply, so that they can be written again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from lxml import etree

from benchmarks.payloads import DATA, SERVICE, SOAP, XSI

if TYPE_CHECKING:
    from collections.abc import Callable

Content: TypeAlias = "str | list[tuple[str, Any]] | None"
"""The content of a member: text, nil, or members of its own."""

SERIALIZATION = "http://schemas.microsoft.com/2003/10/Serialization/"
XSD = "http://www.w3.org/2001/XMLSchema"
_NIL = f"{{{XSI}}}nil"


@dataclass(frozen=True)
class Hand:
    """The form in which a toolkit writes; the defaults are those of .NET's WCF.

    Attributes:
        prefix: of the data contract's namespace; empty for a default namespace.
        xsi: prefix of the schema instance's namespace.
        quote: around attribute values.
        empty: the end of an empty tag; None writes an opening and a closing tag.
        nil: text of the nil attribute.
        line: the text before a tag, by depth; empty for one long line.
        declaration: before the envelope.
        encoding: of the bytes.
        text: writes a member's text.
        attributes: of a member, by its name, its text and a running number.
        row_attributes: of a row, by its running number.
        inner_attributes: of a member with members inside a row, by a running number.
        declares: the place where the data namespace is declared: `result`, `rows` or `members`.
        inside_row: the text after a row's opening tag.
        row_name: of a row; empty for the model's name.
        nulls: share of members that become null, row by row.
        omit: nulls and empty lists are left out.
        shuffle: the members of a row are in any order.
        unknown: an extra member per row that no model has, out of this many names.
        key: an extra member first in each row that no model has, with members of its own, as Entity Framework writes.
        bare: the result is the list itself, without an envelope of its own.
        status_first: Status comes before ResultData.
    """

    prefix: str = "a"
    xsi: str = "i"
    quote: str = '"'
    empty: str | None = "/>"
    nil: str = "true"
    line: Callable[[int], str] = field(default=lambda _: "")
    declaration: str = ""
    encoding: str = "utf-8"
    text: Callable[[str, str], str] = field(default=lambda _, text: escaped(text))
    attributes: Callable[[str, str | None, int], str] = field(default=lambda *_: "")
    row_attributes: Callable[[int], str] = field(default=lambda _: "")
    inner_attributes: Callable[[int], str] = field(default=lambda _: "")
    declares: str = "result"
    inside_row: str = ""
    row_name: str = ""
    nulls: float = 0.0
    omit: bool = False
    shuffle: bool = False
    unknown: int = 0
    key: bool = False
    bare: bool = False
    status_first: bool = False


def escaped(text: str) -> str:
    """Return text escaped as most toolkits do."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _in_cdata(name: str, text: str) -> str:
    special = "&" in text or "<" in text or name in {"Description", "Details"}
    return f"<![CDATA[{text}]]>" if special and "]]>" not in text else escaped(text)


def _referenced(form: str) -> Callable[[str, str], str]:
    def write(_: str, text: str) -> str:
        return "".join(form.format(ord(c)) if ord(c) > 126 or c in "&<>" else c for c in text)

    return write


def _typed(prefix: str) -> Callable[[str, str | None, int], str]:
    def write(_: str, text: str | None, __: int) -> str:
        if text is None:
            return ""
        kind = "boolean" if text in {"true", "false"} else "decimal" if text.replace(".", "", 1).isdigit() else "string"
        return f' {prefix}:type="xsd:{kind}"'

    return write


def _identified(letter: str) -> Callable[[int], str]:
    """Identifiers as .NET writes them for types that are marked `IsReference`."""
    return lambda number: f' z:Id="{letter}{number}" xmlns:z="{SERIALIZATION}"'


def _numbered(number: int) -> str:
    """A type as .NET's XmlSerializer writes it: with a new prefix each time."""
    return f' xmlns:q{number}="{XSD}" i:type="q{number}:any"'


def _indent(newline: str, unit: str) -> Callable[[int], str]:
    return lambda depth: newline + unit * depth


_DECLARED = '<?xml version="1.0" encoding="UTF-8"?>'
_MONO = Hand(prefix="d4p1", empty=" />", declaration='<?xml version="1.0" encoding="utf-8"?>')
_SPRING = Hand(prefix="", xsi="xsi", declaration=_DECLARED)

HANDS: dict[str, Hand] = {
    "wcf": Hand(),
    "mono": _MONO,
    "pretty": Hand(line=_indent("\n", "  "), declaration=_DECLARED),
    "pretty-crlf": Hand(line=_indent("\r\n", "    "), declaration=_DECLARED + "\r\n"),
    "pretty-tabs": replace(_MONO, line=_indent("\n", "\t")),
    "single-quotes": Hand(quote="'"),
    "axis2": Hand(
        prefix="ax21",
        xsi="xsi",
        nil="1",
        attributes=lambda _, text, __: "" if text is not None else f' xmlns:xsi="{XSI}"',
        declaration="<?xml version='1.0' encoding='UTF-8'?>",
    ),
    "pairs": Hand(empty=None),
    "spring": _SPRING,
    "cxf-no-nulls": Hand(prefix="ns2", omit=True, declaration=_DECLARED),
    "namespace-on-rows": replace(_SPRING, declares="rows"),
    "namespace-on-members": replace(_SPRING, declares="members"),
    "php-types": Hand(prefix="ns1", xsi="xsi", attributes=_typed("xsi"), declaration=_DECLARED + "\n"),
    "type-on-rows": Hand(row_attributes=lambda _: ' i:type="a:InventoryItem"'),
    "cdata": Hand(text=_in_cdata),
    "literal-gt": Hand(text=lambda _, text: text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")),
    "comments": Hand(inside_row="<!-- a row -->"),
    "decimal-references": Hand(text=_referenced("&#{};")),
    "hexadecimal-references": Hand(text=_referenced("&#x{:X};")),
    "ascii-declared": Hand(text=_referenced("&#{};"), declaration='<?xml version="1.0" encoding="us-ascii"?>'),
    "utf-16": Hand(encoding="utf-16", declaration='<?xml version="1.0" encoding="utf-16"?>'),
    "byte-order-mark": Hand(encoding="utf-8-sig", declaration=_DECLARED),
    "nulls-vary": Hand(nulls=0.3),
    "nulls-vary-left-out": Hand(nulls=0.3, omit=True),
    "shuffled": Hand(shuffle=True),
    "unknown-members": Hand(unknown=20),
    "row-ids": Hand(row_attributes=lambda number: f' id="r{number}"'),
    "member-ids": Hand(attributes=lambda _, __, number: f' id="m{number}"'),
    "wcf-object-ids": Hand(row_attributes=_identified("r"), inner_attributes=_identified("i")),
    "inner-ids-after-types": Hand(inner_attributes=lambda number: f' i:type="a:Inner" id="i{number}"'),
    "entity-keys": Hand(inner_attributes=_identified("i"), key=True),
    "numbered-types": Hand(
        attributes=lambda _, text, number: "" if text is None else _numbered(number),
        row_attributes=_numbered,
        inner_attributes=_numbered,
    ),
    "space-in-tags": Hand(attributes=lambda *_: " "),
    "other-row-names": Hand(row_name="item"),
    "bare-list": Hand(bare=True),
    "status-first": Hand(status_first=True, prefix="s0", xsi="s1"),
}
"""Every handwriting by its name."""


def rows_of(reply: bytes) -> list[tuple[str, Content]]:
    """Return the rows of a reply: the name and the members of each."""

    def plain(element: Any) -> tuple[str, Content]:
        name = etree.QName(element).localname
        if element.get(_NIL) in {"true", "1"}:
            return name, None
        return name, [plain(child) for child in element] if len(element) else element.text or ""

    root = etree.fromstring(reply)
    listed = next(element for element in root.iter() if etree.QName(element).localname == "ResultData")
    return [plain(row) for row in listed]


def write(rows: list[tuple[str, Content]], hand: Hand, *, operation: str = "GetItemList", seed: int = 1) -> bytes:
    """Return a reply of *operation* with *rows*, in the handwriting *hand*."""
    text = _Writer(hand, random.Random(seed)).page(rows, operation)
    return text.encode(hand.encoding)


class _Writer:
    def __init__(self, hand: Hand, chance: random.Random) -> None:
        self._hand, self._chance, self._number = hand, chance, 0
        self._data = f" xmlns{':' if hand.prefix else ''}{hand.prefix}={hand.quote}{DATA}{hand.quote}"

    def page(self, rows: list[tuple[str, Content]], operation: str) -> str:
        """Return the whole reply."""
        hand, q = self._hand, self._hand.quote
        bound = f" xmlns:{hand.xsi}={q}{XSI}{q} xmlns:xsd={q}{XSD}{q}"
        if hand.declares != "members":
            bound += self._data
        listed = "".join(self._row(name, row, place) for place, (name, row) in enumerate(rows))
        if hand.bare:
            inner = listed
        else:
            status = self._tag("Status", "Success", 4)
            tag = self._name("ResultData")
            listed = f"{hand.line(4)}<{tag}{self._bound()}>{listed}{hand.line(4)}</{tag}>"
            inner = status + listed if hand.status_first else listed + status
            inner = ("" if hand.omit else self._tag("Message", None, 4)) + self._tag("MessageCode", "0", 4) + inner
        result = f"{hand.line(3)}<t:{operation}Result{bound}>{inner}{hand.line(3)}</t:{operation}Result>"
        response = f"<t:{operation}Response xmlns:t={q}{SERVICE}{q}>{result}{hand.line(2)}</t:{operation}Response>"
        body = f"{hand.line(1)}<s:Body>{hand.line(2)}{response}{hand.line(1)}</s:Body>{hand.line(0)}"
        return f"{hand.declaration}<s:Envelope xmlns:s={q}{SOAP}{q}>{body}</s:Envelope>"

    def _name(self, name: str) -> str:
        return f"{self._hand.prefix}:{name}" if self._hand.prefix else name

    def _bound(self) -> str:
        return self._data if self._hand.declares == "members" else ""

    def _row(self, name: str, content: Content, place: int) -> str:
        hand = self._hand
        members = self._varied(content if isinstance(content, list) else [])
        bound = self._data if hand.declares in {"rows", "members"} else ""
        tag, line = self._name(hand.row_name or name), hand.line(5)
        if hand.key:
            listed: Content = [("EntityKeyMember", [("Key", "Id"), ("Value", str(place))])]
            members = [("EntityKey", [("EntityContainerName", "Shop"), ("EntityKeyValues", listed)]), *members]
        inner = "".join(self._member(member, held, 6) for member, held in members)
        return f"{line}<{tag}{bound}{hand.row_attributes(place)}>{hand.inside_row}{inner}{line}</{tag}>"

    def _varied(self, members: list[tuple[str, Content]]) -> list[tuple[str, Content]]:
        hand, chance = self._hand, self._chance
        if hand.nulls:
            members = [
                (name, None if isinstance(held, str) and name != "Sku" and chance.random() < hand.nulls else held)
                for name, held in members
            ]
        if hand.unknown:
            members = list(members)
            members.insert(chance.randrange(len(members) + 1), (f"Unheard{chance.randrange(hand.unknown)}", "new"))
        return chance.sample(members, len(members)) if hand.shuffle else members

    def _member(self, name: str, held: Content, depth: int) -> str:
        hand = self._hand
        if hand.omit and held in (None, []):
            return ""
        if not isinstance(held, list):
            return self._tag(name, held, depth)
        inner = "".join(self._member(member, content, depth + 1) for member, content in held)
        if not inner:
            return self._tag(name, "", depth)
        self._number += 1
        tag = f"{self._name(name)}{self._bound()}{hand.inner_attributes(self._number)}"
        return f"{hand.line(depth)}<{tag}>{inner}{hand.line(depth)}</{self._name(name)}>"

    def _tag(self, name: str, text: str | None, depth: int) -> str:
        """Return a member that has no members of its own."""
        hand, tag = self._hand, self._name(name)
        self._number += 1
        attributes = self._bound() + hand.attributes(name, text, self._number)
        if text is None:
            attributes += f" {hand.xsi}:nil={hand.quote}{hand.nil}{hand.quote}"
        if text:
            return f"{hand.line(depth)}<{tag}{attributes}>{hand.text(name, text)}</{tag}>"
        return hand.line(depth) + (
            f"<{tag}{attributes}></{tag}>" if hand.empty is None else f"<{tag}{attributes}{hand.empty}"
        )
