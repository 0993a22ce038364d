"""Read the rows of a reply that is still arriving, in bounded memory.

How it works. The text before the first row is kept. From the text that follows, complete rows are read and then
forgotten. The text after the last row is kept again. At the end both are one document, with a mark in place of the
rows, and it is decoded like the rest of a page (see `fast_rows`).

Invariants:

* A reply that is cut short, or is wrong at its last byte, raises at its end, however many rows were read before: the
  kept text must be a complete, well-formed document, and each row was well-formed by itself.
* The rows are the result of the reply: at the end the mark must be in the list that the decoder finds, and that list
  must bind the namespaces in which the rows were read.
* A row that refers to another element (WCF's `z:Ref`, SOAP's `href`) is kept to the end with all that follows. The
  rows before it to which it may refer (those with `z:Id` or `id`) are kept too, as long as they fit into the limit. If
  they did not fit, such a reference raises.
* The kept text may not be longer than the given limit, nor may a row be longer than a page.

On failure: `feed` and `end` raise; `take` still returns the rows read before.
"""

from __future__ import annotations

import codecs
import io
from contextlib import suppress
from typing import TYPE_CHECKING

from lxml import etree

from octopus_soap.errors import ProtocolError
from octopus_soap.wire.decode import Decoded, not_well_formed, read_element, strict_parser, without_forbidden
from octopus_soap.wire.fast_rows import (
    BEFORE,
    BYTE_ORDER_MARKS,
    CONTROLS,
    DECLARATION,
    DECLARED,
    MARK,
    PAGE,
    Rows,
    first_row,
)
from octopus_soap.wire.plain import has_identifiers, has_references, refers
from octopus_soap.wire.readers import is_nil, local_name
from octopus_soap.wire.row_text import SPACE, Fallback

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.wire.decode import ReadList
    from octopus_soap.wire.readers import Element, RecordReader, Row
    from octopus_soap.wire.row_text import Context, Contexts

_HEAD = 1_000_000
"""Bytes in which the first row must begin; a longer reply without a row is kept as a whole, up to the limit."""
_DEPTHS = (4, 5)
"""Elements that are open around rows: Envelope, Body, the response, the result and perhaps its ResultData."""


class ArrivingRows:
    """Reads one reply part by part.

    Args:
        contexts: the contexts of the decoder's pages.
        reader: the reader of the rows' model.
        response_name: local name of the element in the SOAP body.
        most: bytes that may be kept.
        raw: every row keeps its XML.
        whole: nothing is read before the reply's end, because its text is in another encoding.
        decode_whole: decodes a reply that does not look like a list of rows.
        decode_rest: decodes a reply whose list is read by the function it is given.

    Attributes:
        count: rows taken so far.
    """

    def __init__(
        self,
        contexts: Contexts,
        reader: RecordReader,
        response_name: str,
        *,
        most: int,
        raw: bool,
        whole: bool = False,
        decode_whole: Callable[[bytes], Decoded],
        decode_rest: Callable[[bytes, ReadList], Decoded],
    ) -> None:
        self._contexts, self._reader, self._response_name = contexts, reader, response_name
        self._most, self._raw = most, raw
        self._decode_whole, self._decode_rest = decode_whole, decode_rest
        self._decoded = Decoded()
        """Gets the rows, and what is noticed in them."""
        self._first: list[bytes] = []
        """The reply until its first row is found."""
        self._whole = whole
        """The reply does not look like a list of rows, and is kept to its end."""
        self._size = 0
        self._decode: io.IncrementalNewlineDecoder | None = None
        self._encoding = ""
        self._head = self._text = self._closing = ""
        self._tail: list[str] = []
        self._rows: Rows | None = None
        self._ended = False
        """The list ended, or has something in it that cannot be read row by row: the rest is kept."""
        self._identified: list[str] | None = []
        """The rows read so far to which others may refer; None if they are longer than the limit."""
        self._identified_size = 0
        self._context: Context | None = None
        self.count = 0

    def take(self) -> list[Row]:
        """Return the rows read since the last call."""
        rows = self._decoded.rows
        self.count += len(rows)
        self._decoded.rows = []
        return rows

    def feed(self, part: bytes) -> None:
        """Read the next part of the reply.

        Raises:
            ProtocolError: the text is not in its encoding, or more than the limit would have to be kept.
        """
        if self._rows is not None:
            self._add(self._decoded_part(part))
            return
        self._first.append(part)
        self._keep(len(part))
        if self._size <= _HEAD and not self._whole:
            self._begin(b"".join(self._first).lstrip(BEFORE))

    def end(self) -> Decoded:
        """Return the reply without its rows; `take` returns the last of them.

        Raises:
            OctopusError: the reply is cut short, is not well-formed, is a fault, or answers another operation.
        """
        if self._rows is None:
            decoded = self._decode_whole(b"".join(self._first))
            self._decoded.rows = decoded.rows
            return decoded
        self._add(self._decoded_part(b"", final=True))
        tail = "".join([*self._tail, self._text])
        again = self._rows_referred_to(tail)
        rest = f"{self._head}<{MARK}/>{again and f'{again}<{MARK}/>'}{tail}"
        found = False

        def read_list(container: Element, decoded: Decoded) -> None:
            nonlocal found
            children = list(container)
            marks = [place for place, child in enumerate(children) if local_name(child.tag) == MARK]
            found = len(marks) == 1 + bool(again) and self._contexts.inside(container) is self._context
            decoded.drift.update(self._decoded.drift)
            decoded.nil_rows, decoded.replaced = self._decoded.nil_rows, decoded.replaced or self._decoded.replaced
            if found:
                del children[marks[0] : marks[-1] + 1]
            for child in children:
                if (row := read_element(child, self._reader, decoded, raw=self._raw)) is not None:
                    decoded.rows.append(row)

        decoded = self._decode_rest(rest.encode(self._encoding), read_list)
        if not found:
            raise ProtocolError("the rows that came are not the reply's result")
        self._decoded.rows += decoded.rows
        return decoded

    def _rows_referred_to(self, tail: str) -> str:
        """Return the rows that were read and to which *tail* may refer."""
        if self._identified == [] or not (has_references(tail.encode()) and self._refers(tail)):
            return ""
        if self._identified is None:
            raise ProtocolError(
                "an element of the reply refers to another one, and the rows before it were not kept: they have more "
                f"than max_reply_bytes ({self._most} bytes)"
            )
        return "".join(self._identified)

    def _refers(self, tail: str) -> bool:
        """True if an element in *tail* refers to another; a text may look like it."""
        try:
            return refers(etree.fromstring(f"{self._head}<{MARK}/>{tail}".encode(self._encoding), strict_parser()))
        except etree.XMLSyntaxError:
            return False  # which the reply's decoder will name

    # -- the beginning -----------------------------------------------------------------------------------------

    def _begin(self, body: bytes) -> None:
        """Look for the first row and its list."""
        text = self._readable(body)
        name = None if text is None else first_row(text, self._reader)
        if text is None or name is None:
            self._whole = text is None
            return
        head = text[: text.find(f"<{name}")]
        container: Element = None
        if not ("<!DOCTYPE" in head or MARK in head):
            with suppress(ValueError, Fallback):  # what a recovering parser makes of broken text may be no text at all
                container = self._list_after(head)
                self._context = None if container is None else self._contexts.inside(container)
        if self._context is None:
            self._whole = True
            return
        self._first.clear()
        self._head, self._closing = head, f"</{name}>"
        self._size = len(head)
        self._rows = Rows(self._contexts, container, self._reader, self._decoded, whole_page=False, raw=self._raw)
        self._add(text[len(head) :])

    def _readable(self, body: bytes) -> str | None:
        """Return *body* as text that a parser would read as it is, or None."""
        utf_16 = body[:2] in BYTE_ORDER_MARKS
        self._encoding = "utf-16" if utf_16 else "utf-8"
        decoder = codecs.getincrementaldecoder(self._encoding)("strict")
        self._decode = io.IncrementalNewlineDecoder(decoder, translate=True)
        try:
            text = self._decoded_part(body)
        except ProtocolError:
            return None
        declared = DECLARATION.match(text)
        if declared is None:
            return None if utf_16 or text.startswith(DECLARED) else text
        return text if (declared[1] or self._encoding).lower() == self._encoding else None

    def _list_after(self, head: str) -> Element | None:
        """Return the list that is open after *head*, if a parser finds one."""
        declared = DECLARATION.match(head)
        opened = f"{head[declared.end() :] if declared else head}<{MARK}/>"
        root = etree.fromstring(opened.encode(), strict_parser(recover=True))
        if root is not None and has_references(head.encode()) and refers(root):
            return None
        mark = None if root is None else next((e for e in root.iter("{*}*") if local_name(e.tag) == MARK), None)
        container: Element = None if mark is None else mark.getparent()
        if mark is None or container is None:
            return None
        names = [local_name(element.tag) for element in reversed(list(mark.iterancestors()))]
        if (
            len(names) not in _DEPTHS
            or names[:2] != ["Envelope", "Body"]
            or names[2].casefold() != self._response_name.casefold()
            or is_nil(container)
            or (container.text or "").strip()
        ):
            return None
        return container

    # -- rows --------------------------------------------------------------------------------------------------

    def _decoded_part(self, part: bytes, *, final: bool = False) -> str:
        assert self._decode is not None  # noqa: S101 - made with the first part
        try:
            text: str = self._decode.decode(part, final=final)
        except UnicodeError as error:
            raise not_well_formed(error) from None
        read = part if self._encoding == "utf-8" else text.encode()
        if len(read.translate(None, CONTROLS)) != len(read) or "\ufffe" in text or "\uffff" in text:
            self._decoded.replaced = True
            return without_forbidden(text)
        return text

    def _keep(self, size: int) -> None:
        self._size += size
        if self._size > self._most:
            raise ProtocolError(
                f"more than max_reply_bytes ({self._most} bytes) of the reply are no rows, or refer to other rows; the "
                "rest was not read"
            )

    def _add(self, text: str) -> None:
        """Read the complete rows of the text at hand and *text*."""
        if self._ended:
            self._tail.append(text)
            self._keep(len(text))
            return
        before = len(self._text)
        self._text += text
        last = self._text.rfind(self._closing, max(0, before - len(self._closing)))
        end = 0 if last < 0 else last + len(self._closing)
        if end >= PAGE:
            self._end_rows(0)
            return
        assert self._rows is not None  # noqa: S101 - made with the first row
        try:
            self._rows.read(self._text[:end])
        except Fallback:
            self._identify(self._text[: self._rows.position])
            self._end_rows(self._rows.position)
            return
        self._identify(self._text[:end])
        rest = self._text[end:].lstrip(SPACE)
        if rest[:2] == "</" or len(rest) >= PAGE:
            self._end_rows(end)
        else:
            self._text = rest

    def _identify(self, rows: str) -> None:
        """Keep *rows*, which were read, if others may refer to them."""
        if self._identified is None or not has_identifiers(rows.encode(), self._head.encode()):
            return
        self._identified.append(rows)
        self._identified_size += len(rows)
        if self._identified_size > self._most:
            self._identified = None

    def _end_rows(self, end: int) -> None:
        self._ended = True
        self._tail.append(self._text[end:])
        self._keep(len(self._text) - end)
        self._text = ""
