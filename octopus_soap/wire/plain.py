"""Make a reply UTF-8 without references between its elements, before it is read.

Charset. The rules of RFC 7303 decide, in this order: a byte order mark, the `charset` of the Content-Type header, the
XML declaration, UTF-8. All other modules read UTF-8 only.

* Bytes are never read as another text than the sender's. A charset that is unknown or does not fit the bytes is an
  error, and so is a header that names two.
* If header and declaration disagree, the header decides only if the bytes confirm it: valid UTF-8 proves itself, a
  single-byte charset fits any bytes and proves nothing. A document without a declaration counts as one that declares
  UTF-8.
* Only charsets are read: a codec such as `zlib` or `unicode_escape` is no charset, and a charset that shifts its state
  by plain ASCII text (UTF-7, HZ) could hide markup.

References. A .NET service whose types are marked `IsReference`, or that uses SOAP encoding, writes an object once and
refers to it from every other place, with WCF's `z:Id` and `z:Ref` or SOAP's `id` and `href`. The element that refers is
empty, and often nil: read as it is, an address would vanish.

* An element that refers gets a copy of what it refers to. Identifiers count within one reply.
* An element that cannot get a copy (nothing has that identifier, the reference is part of what it refers to, or the
  reference leads outside) is marked with `BROKEN` and is no longer nil: a reader that meets the mark fails its record.
* Copies are bounded: a few bytes of nested references could otherwise become gigabytes.

Failure: `ProtocolError`.
"""

from __future__ import annotations

import codecs
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

# -- references --------------------------------------------------------------------------------------------------------

_WCF = "{http://schemas.microsoft.com/2003/10/Serialization/}"
_SOAP12 = "{http://www.w3.org/2003/05/soap-encoding}"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
BROKEN = "{urn:octopus-soap}broken"
"""Attribute of an element whose reference cannot be resolved; its value is the reference."""

_REFERS = re.compile(rb"(?<![A-Za-z0-9_.-])(?:Ref|ref|href)\s*=\s*[\"']")
_WCF_ID = re.compile(rb"[\w.-]:Id\s*=\s*[\"']")
_SOAP_ID = re.compile(rb"(?<![A-Za-z0-9_.-])id\s*=\s*[\"']")
_ENCODED = (b"http://schemas.xmlsoap.org/soap/encoding/", b"http://www.w3.org/2003/05/soap-encoding")
_IDS = (f"{_WCF}Id", "id", f"{_SOAP12}id")
_MOST_WORK = 500_000
"""Elements copied, or looked at for it; a reply of the documented size has a tenth of them."""


def has_references(body: bytes) -> bool:
    """True if an element of *body* may refer to another; text may look like it."""
    return (b"ref" in body or b"Ref" in body) and _REFERS.search(body) is not None


def has_identifiers(body: bytes, head: bytes) -> bool:
    """True if an element of *body*, a part after *head*, may be referred to."""
    if b"Id" in body and _WCF_ID.search(body) is not None:
        return True
    return any(name in head for name in _ENCODED) and b"id" in body and _SOAP_ID.search(body) is not None


def refers(root: Any) -> bool:
    """True if an element in *root* refers to another."""
    return any(_target(element) is not None for element in root.iter())


def resolve_references(root: Any) -> None:
    """Put a copy in place of every reference below *root*.

    Raises:
        ProtocolError: The copies would be too many.
    """
    referring = [(element, target) for element in root.iter() if (target := _target(element)) is not None]
    if referring:
        _Resolver(root, dict(referring)).resolve()


class _Resolver:
    def __init__(self, root: Any, waiting: dict[Any, tuple[str, str]]) -> None:
        self._waiting = waiting
        self._under_way: set[Any] = set()
        self._work = 0
        self._by_id: dict[tuple[str, str], Any] = {}
        for element in root.iter():
            for kind, name in _identifiers(element):
                self._by_id.setdefault((kind, name), element)

    def resolve(self) -> None:
        for element in list(self._waiting):
            self._place(element)

    def _place(self, element: Any) -> None:
        # With its own stack: a chain of references may be longer than Python's stack allows.
        stack = [element]
        while stack:
            current = stack[-1]
            wanted = self._waiting.get(current)
            if wanted is None:
                stack.pop()
                continue
            target = self._by_id.get(wanted)
            if target is None or target is current or _is_below(current, target):
                self._broken(current, wanted)
                stack.pop()
                continue
            before = [part for part in target.iter() if part in self._waiting and part is not current]
            self._count(len(before))
            if not before:
                self._copy(current, target)
                stack.pop()
                continue
            self._under_way.add(current)
            stack += [part for part in before if part not in self._under_way]
            if stack[-1] is current:  # the references need each other
                for part in before:
                    self._broken(part, self._waiting[part])

    def _copy(self, element: Any, target: Any) -> None:
        del self._waiting[element]
        self._count(sum(1 for _ in target.iter()))
        _clear(element)
        if target.get(NIL) is not None:
            element.set(NIL, target.get(NIL))
        if target.get(BROKEN) is not None:
            element.set(BROKEN, target.get(BROKEN))
        element.text = target.text
        element.extend([deepcopy(child) for child in target])

    def _count(self, work: int) -> None:
        self._work += work
        if self._work > _MOST_WORK:
            raise ProtocolError("the references in the reply would make more than half a million elements of it")

    def _broken(self, element: Any, wanted: tuple[str, str]) -> None:
        del self._waiting[element]
        _clear(element)
        element.set(BROKEN, wanted[1][:60] or "?")


def _clear(element: Any) -> None:
    """Remove the attributes by which *element* refers to another."""
    for name in (NIL, f"{_WCF}Ref", "href", f"{_SOAP12}ref"):
        element.attrib.pop(name, None)


def _is_below(element: Any, ancestor: Any) -> bool:
    return any(parent is ancestor for parent in element.iterancestors())


def _target(element: Any) -> tuple[str, str] | None:
    """Return the identifier that *element* refers to; None if it refers to nothing."""
    attributes = element.attrib
    if not attributes:
        return None
    if (name := attributes.get(f"{_WCF}Ref")) is not None:
        return "wcf", name
    if (name := attributes.get(f"{_SOAP12}ref")) is not None:
        return "soap", name.removeprefix("#")
    if (name := attributes.get("href")) is not None:
        return ("soap", name[1:]) if name.startswith("#") else ("elsewhere", name)
    return None


def _identifiers(element: Any) -> Iterator[tuple[str, str]]:
    attributes = element.attrib
    if attributes:
        for attribute in _IDS:
            if (name := attributes.get(attribute)) is not None:
                yield ("wcf" if attribute.startswith(_WCF) else "soap"), name


# -- the charset -------------------------------------------------------------------------------------------------------

_PARAMETER = r";\s*([^\s;=\"]+)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^;]*)"
_HEADERS = r",\s*(?=[\w.+-]+/[\w.+-]+\s*(?:[;,]|$))"
"""Between two media types: requests and httpx join headers of one name by a comma."""
_DECLARATION = rb"\s*+<\?xml(?=\s)[^>]*+>"
_ENCODING = rb"[\s\"']encoding\s*=\s*(?:\"([^\"]*)\"|'([^']*)')"
_MARKS = (  # the longer ones first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_READ = (
    r"utf-(8|16|32)(-[bl]e)?|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|gb2312|gbk|gb18030|big5(hkscs)?|shift_jis"
    r"|euc_(jp|kr)|johab"
)
"""Charsets that are read, by the names Python's codecs have."""
_SINGLE_BYTE = r"iso8859-\d+|cp(125\d|437|85\d|866)|koi8-[rtu]|mac-\w+"
"""Charsets that fit nearly any bytes, and of which no text but UTF-8 that was named wrongly is also UTF-8."""
_SHOWN = 40


def as_utf8(body: bytes, content_type: str) -> bytes:
    """Return an XML document in UTF-8, without a mark or declaration of another one.

    *content_type* is the header's value; empty if there was none.

    Raises:
        ProtocolError: The charset is unknown, does not fit the bytes, or cannot be decided.
    """
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return _declared_no_more(_recoded(body[len(mark) :], codec, f"its byte order mark is that of {codec[:6]}"))
    wide = _without_mark(body)
    declared = "" if wide else _declared(body)
    named = _charset(content_type)
    if not named:
        if wide:
            return _declared_no_more(_recoded(body, wide, f"it looks like {wide}"))
        codec = _codec(declared, "declaration") if declared else "utf-8"
        if codec.startswith(("utf-16", "utf-32")):
            raise ProtocolError(f"the reply declares {declared[:_SHOWN]!r}, and its bytes are not: it cannot be read")
        return body if codec == "utf-8" else _declared_no_more(_recoded(body, codec, f"its declaration names {codec}"))
    codec = _codec(named, "charset")
    if codec in {"utf-16", "utf-32"}:  # without a mark; big-endian unless the bytes show otherwise
        codec = wide if wide.startswith(codec) else f"{codec}-be"
    text = _recoded(body, codec, f"its Content-Type names {codec}")
    if not codec.startswith("utf-") and (declared or re.fullmatch(_SINGLE_BYTE, codec)):
        _agree(body, text, codec, declared or "utf-8")
    return text if codec == "utf-8" and not declared else _declared_no_more(text)


def is_utf8(content_type: str) -> bool:
    """True if the header names UTF-8 or no charset."""
    try:
        named = _charset(content_type)
        return not named or _codec(named, "charset") == "utf-8"
    except ProtocolError:
        return False


def _agree(body: bytes, text: bytes, codec: str, declared: str) -> None:
    """Refuse bytes that fit both charsets and read differently."""
    try:
        other = codecs.lookup(declared).name
        if other == codec or not re.fullmatch(_READ, other):
            return
        differs = body.decode(other).encode() != text
    except (LookupError, UnicodeDecodeError):
        return  # the declaration is proven wrong
    if differs:
        raise ProtocolError(
            f"the reply's Content-Type names {codec}, its declaration {other} (utf-8 if it has none), and its bytes "
            "fit both: which one is right cannot be decided"
        )


def _without_mark(body: bytes) -> str:
    """Return the charset that zero bytes around the first `<` show; empty if none."""
    for start, codec in (
        (b"<\0\0\0", "utf-32-le"),
        (b"\0\0\0<", "utf-32-be"),
        (b"<\0", "utf-16-le"),
        (b"\0<", "utf-16-be"),
    ):
        if body.startswith(start):
            return codec
    return ""


def _declared(body: bytes) -> str:
    found = re.match(_DECLARATION, body[:1024])
    encoding = re.search(_ENCODING, found[0]) if found else None
    return (encoding[1] or encoding[2] or b"").decode("latin-1") if encoding else ""


def _charset(content_type: str) -> str:
    """Return the header's charset, which is empty if it names none."""
    named = [
        value.strip().strip("\"'").strip()
        for header in re.split(_HEADERS, content_type)
        for name, value in re.findall(_PARAMETER, f";{header.partition(';')[2]}")
        if name.lower() == "charset"
    ]
    named = [name for name in named if name]
    if len({name.lower() for name in named}) > 1:
        shown = " and ".join(name[:_SHOWN] for name in named[:2])
        raise ProtocolError(f"the reply's Content-Type names two charsets, {shown}: it cannot be read")
    return named[0] if named else ""


def _codec(name: str, where: str) -> str:
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):  # ValueError: a zero byte in the name
        found = ""
    if not re.fullmatch(_READ, found):
        raise ProtocolError(f"the reply's {where} is {name[:_SHOWN]!r}, which is not read")
    return found


def _recoded(body: bytes, codec: str, why: str) -> bytes:
    """Return *body* in UTF-8, or raise if it is not *codec*."""
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the reply is not {codec}, though {why}: byte {error.start} does not fit") from None
    return body if codec == "utf-8" else text.encode("utf-8", "surrogatepass")


def _declared_no_more(body: bytes) -> bytes:
    """Return *body* without its XML declaration; XML without a declaration is UTF-8."""
    found = re.match(_DECLARATION, body[:4096])
    return body[found.end() :] if found else body
