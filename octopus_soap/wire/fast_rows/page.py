"""The text of a page, and where its rows are in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from octopus_soap.wire.readers import local_name

if TYPE_CHECKING:
    from octopus_soap.wire.readers import RecordReader

MARK = "octopus-soap-rows"
PAGE = 10_000_000
"""Bytes of a page: libxml2 refuses a longer text, and decides that for whole pages."""
DECLARATION = re.compile(
    r"<\?xml version=(?:\"1\.0\"|'1\.0')(?: encoding=[\"']([\w.-]+)[\"'])?(?: standalone=[\"'](?:yes|no)[\"'])?\s*\?>"
)
_ASCII = frozenset({"us-ascii", "iso-8859-1", "windows-1252"})
"""Encodings that mean the same as UTF-8 for a page of ASCII only."""
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
BEFORE = b"\xef\xbb\xbf \t\r\n"
"""What may stand before a reply; it is taken off every one."""
CONTROLS = bytes(code for code in range(0x20) if chr(code) not in "\t\n\r")
_LIST = re.compile(r"<(?:[^\s<>/:]+:)?ResultData(?:\s[^<>]*)?>(?:\s++|<!--[^<>]*-->)*+<([^\s<>/!?]+)[\s>]")
_NO_ROW_NAMES = frozenset({"status", "resultdata", "messagecode"})


class Page(NamedTuple):
    """A page without its rows.

    Attributes:
        rest: what is to be parsed, with a mark in place of the rows.
        rows: the text from the first row to the end of the last one.
    """

    rest: bytes
    rows: str

    @classmethod
    def of(cls, body: bytes, reader: RecordReader) -> Page | None:
        """Take the rows out of *body*; return None if its text is more than it seems, or no row was found."""
        text = page_text(body)
        if text is None or MARK in text:
            return None
        name = first_row(text, reader)
        if name is None:
            return None
        start, closing = text.find(f"<{name}"), f"</{name}>"
        end = text.rfind(closing) + len(closing)
        if end < start + len(closing):
            return None
        encoding = "utf-16" if body.lstrip(BEFORE)[:2] in BYTE_ORDER_MARKS else "utf-8"
        return cls(f"{text[:start]}<{MARK}/>{text[end:]}".encode(encoding), text[start:end])


def page_text(body: bytes) -> str | None:
    """Return *body* as text that a parser reads as it stands, or None if there may be more to it."""
    body = body.lstrip(BEFORE)
    try:
        if len(body) < PAGE and body[:2] in BYTE_ORDER_MARKS:
            text = body.decode("utf-16")
            body, written = text.encode(), "utf-16"
        else:
            text, written = body.decode("utf-8"), "utf-8"
    except UnicodeError:
        return None
    declared = DECLARATION.match(text)
    encoding = (declared[1] or "").lower() if declared else ""
    if (
        len(body) >= PAGE
        or (declared is None and (text.startswith("<?xml") or written != "utf-8"))
        or not (encoding in ("", written) or (encoding in _ASCII and body.isascii() and written == "utf-8"))
        or len(body.translate(None, CONTROLS)) != len(body)
        or (b"\xef" in body and ("\ufffe" in text or "\uffff" in text))
    ):
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def first_row(text: str, reader: RecordReader) -> str | None:
    """The raw name of the first row in *text*: the first child of ResultData, or an element named after the model."""
    found = _LIST.search(text) if "ResultData" in text else None
    if found is None:
        model = re.escape(reader.name)
        found = re.search(rf"<((?:[^\s<>/:]+:)?{model})[\s>]", text) if reader.name in text else None
    if found is None or local_name(found[1].replace(":", "}")).casefold() in _NO_ROW_NAMES:
        return None
    return found[1]
