"""Fast rows: the rows of a page are read from its text, whoever wrote it, and only the rest of the page is parsed.

Purpose. Building lxml's tree of a page of 100 items and asking it for each member makes Python objects for every tag. A
page repeats itself: a few hundred distinct tags make up thousands of elements. So each distinct tag is given to lxml
once, and the text between tags is read without it. Three readers, each of which falls back to the next one:

1. **One expression** per model and context, for all rows of one handwriting: every member is optional, in the order
   and in the raw forms seen so far. It is compiled after 100 rows that had to be read otherwise, and at most 12 times
   in a decoder's life.
2. **The general reader** learns nothing and needs no order. It splits a row at its tags and looks up what each raw tag
   means in its context: the namespaces bound there.
3. **lxml**, for one row alone, inside the namespaces that its list binds; then the tree's reader reads it.

If the page does not fit at all, `decode` returns None, and the caller parses all of it.

Invariants. A page that is read here is read as the tree's reader would read it. One that lxml refuses is refused:

* The rest of the page, with one mark in place of the rows, is parsed by lxml and decoded like every reply. The mark
  must be a child of the list. So at that place a parser is in the list's content, not in a comment or another element.
* What was taken out is a sequence of elements, with white space and comments between them. Each is well-formed by
  itself in the namespaces bound at the list, so a parser reads all of them and is then in the state it was in before.
* A row's raw opening tag, and every raw tag in it, was parsed by lxml in the context where it stands. lxml decided
  whether it is well-formed, what its namespace is, whether it is nil, and what it binds for the tags inside it.
* A row is opening tags, each followed by its closing tag, and empty tags. Outside leaves there is only white space.
  A leaf's text has no `<` and no `]]>`, and each `&` in it begins a reference XML has, to a character it allows.
* The page has no character that XML forbids, is not as long as the longest text libxml2 accepts, and line ends are
  normalized as XML prescribes. CDATA and comments are replaced by plain text, only where no tag is open.
* A member that comes twice, an unknown member with a structure, text in a wrong place, and a value that its type
  refuses are never decided here: that row goes to lxml.

Models are built directly if pydantic's strict schema of a model checks nothing but types and ranges that the readers
guarantee (`_is_plain`). Otherwise pydantic validates. Records that have the same members share one set of names as
their `model_fields_set`: one set per record would cost a third more memory.

Bounds. Contexts, tags, expressions and sets of names are limited in number and length; a page may ask lxml about a
limited number of tags. Each step reads a row once, so the time is linear in the page's length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octopus_soap.errors import OctopusError
from octopus_soap.wire.decode import read_element
from octopus_soap.wire.fast_rows.arriving import ArrivingRows
from octopus_soap.wire.fast_rows.page import MARK, Page
from octopus_soap.wire.fast_rows.rows import Rows
from octopus_soap.wire.fast_rows.tags import Contexts
from octopus_soap.wire.fast_rows.text import Fallback
from octopus_soap.wire.readers import local_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.wire.decode import Decoded, ReadList
    from octopus_soap.wire.readers import Element, RecordReader

_PASSED_OVER = 10
"""Pages left to the tree after one that had more."""


class FastRows:
    """Reads pages of rows for one decoder."""

    def __init__(self) -> None:
        self._contexts = Contexts()
        self._passed_over = 0
        """Pages still to be left to the tree, after one with more distinct tags than may be asked about."""

    def decode(
        self, body: bytes, reader: RecordReader, decode_rest: Callable[[bytes, ReadList], Decoded]
    ) -> Decoded | None:
        """Decode *body*, a reply that lists rows of *reader*'s model; return None if all of it must be parsed.

        Args:
            body: the reply.
            reader: how the rows are read.
            decode_rest: decodes a reply whose list is read by the function it is given.
        """
        if self._passed_over > 0:
            self._passed_over -= 1
            return None
        page = Page.of(body, reader)
        if page is None:
            return None
        read = False

        def read_list(container: Element, decoded: Decoded) -> None:
            nonlocal read
            for child in container:
                if local_name(child.tag) == MARK:
                    if read:
                        raise Fallback
                    read = True
                    Rows(self._contexts, container, reader, decoded).read(page.rows)
                elif (row := read_element(child, reader, decoded)) is not None:
                    decoded.rows.append(row)

        try:
            decoded = decode_rest(page.rest, read_list)
        except (Fallback, OctopusError):  # parsed as a whole, the page itself says what is wrong with it
            if self._contexts.questions <= 0:
                self._passed_over = _PASSED_OVER
            return None
        return decoded if read else None

    def arriving(self, reader: RecordReader, response_name: str, **how: Any) -> ArrivingRows:
        """What reads a reply while it arrives; see `ArrivingRows`."""
        return ArrivingRows(self._contexts, reader, response_name, **how)
