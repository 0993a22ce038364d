"""Read the rows of a page from its text, and let lxml parse only the rest.

Purpose. Building lxml's tree of a page of 100 items and asking it for each member makes Python objects for every tag. A
page repeats itself: a few hundred distinct tags make up thousands of elements. So each distinct tag is given to lxml
once, and the text between tags is read without it. There are three readers. Each falls back to the next one:

1. **One expression** per model and context, for all rows of one handwriting (`row_forms`): members in the order and in
   the raw forms seen so far, each of them optional if a row was seen without it. It is compiled after 100 rows that had
   to be read otherwise, and at most 12 times in a decoder's life.
2. **The general reader** learns nothing and needs no order (`row_text`). It splits a row at its tags and looks up what
   each raw tag means in its context: the namespaces bound there.
3. **lxml** parses one row alone, inside the namespaces that its list binds; then the tree's reader reads it.

On failure, if the page does not fit at all, `decode` returns None, and the caller parses all of it.

Invariants. A page that is read here is read as the tree's reader would read it. One that lxml refuses is refused:

* The rest of the page, with one mark in place of the rows, is parsed by lxml and decoded like every reply. The mark
  must be a child of the list. So a parser that meets it is in the list's content, not in a comment or another element.
* The text taken out is a sequence of elements, with white space and comments between them. Each is well-formed by
  itself in the namespaces bound at the list, so a parser reads all of them and is then in the state it was in before.
* A row's raw opening tag, and every raw tag in it, was parsed by lxml in its own context. lxml decided
  whether it is well-formed, what its namespace is, whether it is nil, and what it binds for the tags inside it.
* A row is opening tags, each followed by its closing tag, and empty tags. Outside leaves there is only white space.
  That holds inside a member that the model does not know, too.
  A leaf's text has no `<` and no `]]>`, and each `&` in it begins a reference XML has, to a character it allows.
* The page has no character that XML forbids, is not as long as the longest text libxml2 accepts, and line ends are
  normalized as XML prescribes. CDATA and comments are replaced by plain text, and only outside tags.
* Prefixes that are numbered, such as `xmlns:q12="urn:a" i:type="q12:T"`, get one name, if no name of an element or an
  attribute has such a prefix: types are never read.
* An attribute with another value in each tag, such as WCF's `z:Id`, is read without its value if its name shows that
  it declares nothing, refers to nothing and is not nil. Its prefix stays, so lxml still looks for the declaration.
* Members that the model does not know may be cut out of a row, each as a whole element between two members. The rest
  is read as if they were not there.
* If an element refers to another one (`wire.plain`), the page is read from the tree.
* A member that comes twice, a record with a structure and without any member of its model, text in a wrong place, and
  a value that its type refuses are never decided here: such a row goes to lxml.

Models are built directly if pydantic's strict schema of a model checks nothing but types and ranges that the readers
guarantee (see `row_text`). Otherwise pydantic validates. Records that have the same members share one set of names as
their `model_fields_set`: one set per record would cost a third more memory.

Bounds. Contexts, tags, expressions and sets of names are limited in number and length; a page may ask lxml about a
limited number of tags. Each step reads a row once, so the time is linear in the page's length.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from io import BytesIO, TextIOWrapper
from itertools import repeat
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple

from lxml import etree

from octopus_soap.errors import OctopusError, TimedOutError
from octopus_soap.wire.decode import (
    has_forbidden,
    read_element,
    replaced_forbidden,
    strict_parser,
    without_forbidden,
)
from octopus_soap.wire.plain import has_references, refers
from octopus_soap.wire.readers import ROWS, Row, local_name, yield_point
from octopus_soap.wire.row_forms import (
    ANY_NUMBER,
    SMALL,
    Learned,
    escaped,
    varying_attribute,
    without_numbers,
    without_values,
)
from octopus_soap.wire.row_text import (
    CANNOT,
    SPACE,
    Contexts,
    Fallback,
    Forbidden,
    Refers,
    Unread,
    declarations,
    is_plain,
    read_members,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from octopus_soap.wire.decode import Decoded, ReadList
    from octopus_soap.wire.readers import Element, RecordReader
    from octopus_soap.wire.row_forms import Form
    from octopus_soap.wire.row_text import Context, Tags

_PASSED_OVER = 10
"""Pages left to the tree after a page with more distinct tags than may be asked about."""
_KEPT = 4_000_000
"""Bytes of a block that, once freed, makes glibc keep twice as much free memory."""


class FastRows:
    """Reads pages of rows for one decoder."""

    def __init__(self) -> None:
        # glibc returns the memory of every page to the system and asks for it again, which takes up to a quarter of a
        # call. It keeps as much as the largest block that was freed: this one, of which no page is touched.
        bytes(_KEPT)
        self.contexts = Contexts()
        self._passed_over = 0
        """Pages still to be left to the tree."""
        self._refers = False
        """A page had a row that refers to another element, so the next pages are searched for references first."""

    def decode(
        self,
        body: bytes,
        reader: RecordReader,
        decode_rest: Callable[[bytes, ReadList], Decoded],
        most: int,
        *,
        replaced: bool = False,
    ) -> Decoded | None:
        """Decode a reply that lists rows; return None if all of it must be parsed.

        Args:
            body: the reply.
            reader: the reader of the rows' model.
            decode_rest: decodes a reply whose list is read by the function it is given.
            most: rows that are read; a page with more is left to the tree.
            replaced: characters that XML forbids were replaced in *body*.
        """
        if self._passed_over > 0:
            self._passed_over -= 1
            return None
        if self._refers and has_references(body):
            return None
        page = Page.of(body, reader)
        if page is None:
            return self._cleaned(body, reader, decode_rest, most) if has_forbidden(body) else None
        read = False

        def read_list(container: Element, decoded: Decoded) -> None:
            nonlocal read
            decoded.replaced = replaced
            for child in container:
                if local_name(child.tag) == MARK:
                    if read:
                        raise Fallback
                    read = True
                    Rows(self.contexts, container, reader, decoded, most=most).read(page.rows)
                elif (row := read_element(child, reader, decoded)) is not None:
                    decoded.rows.append(row)

        try:
            decoded = decode_rest(page.rest, read_list)
        except (Fallback, OctopusError) as error:  # parsed as a whole, the page shows what is wrong with it
            self._pass_over(error)
            return self._cleaned(body, reader, decode_rest, most) if isinstance(error, Forbidden) else None
        return decoded if read else None

    def _cleaned(self, body: bytes, *rest: Any) -> Decoded | None:
        """Decode *body* with U+FFFD for what XML forbids, as `parse` does if it must."""
        cleaned = replaced_forbidden(body)
        return None if cleaned is None else self.decode(cleaned, *rest, replaced=True)

    def _pass_over(self, error: Fallback | OctopusError) -> None:
        """Leave a page to the tree, or raise if the time for it is over."""
        if isinstance(error, TimedOutError):
            raise error
        self._refers = self._refers or isinstance(error, Refers)
        if self.contexts.questions <= 0:
            self._passed_over = _PASSED_OVER


# -- the page --------------------------------------------------------------------------------------------------------

MARK = "octopus-soap-rows"
PAGE = 10_000_000
"""Bytes of a page: libxml2 refuses a longer text, and decides that for whole pages."""
DECLARATION = re.compile(
    r"<\?xml version=(?:\"1\.0\"|'1\.0')(?: encoding=[\"']([\w.-]+)[\"'])?(?: standalone=[\"'](?:yes|no)[\"'])?\s*\?>"
)
DECLARED = tuple(f"<?xml{space}" for space in SPACE)
"""The beginning of any declaration; `<?xml-stylesheet` is none."""
_ASCII = frozenset({"us-ascii", "iso-8859-1", "windows-1252"})
"""Encodings that mean the same as UTF-8 for a page of ASCII only."""
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
BEFORE = b"\xef\xbb\xbf \t\r\n"
"""Bytes that may come before a reply; they are taken off every one."""
CONTROLS = bytes(code for code in range(0x20) if chr(code) not in "\t\n\r")
_LIST = re.compile(r"<(?:[^\s<>/:]+:)?ResultData(?:\s[^<>]*)?>(?:\s++|<!--[^<>]*-->)*+<([^\s<>/!?]+)[\s>]")
_NO_ROW_NAMES = frozenset({"status", "resultdata", "messagecode"})


class Page(NamedTuple):
    """A page without its rows.

    Attributes:
        rest: the bytes to parse, with a mark in place of the rows.
        rows: the text from the first row to the end of the last one.
    """

    rest: bytes
    rows: str

    @classmethod
    def of(cls, body: bytes, reader: RecordReader) -> Page | None:
        """Take the rows out of *body*; return None if no row is found, or it is not plain."""
        text = page_text(body)
        if text is None:
            return None
        name = first_row(text, reader)
        if name is None:
            return None
        start, closing = text.find(f"<{name}"), f"</{name}>"
        end = text.rfind(closing) + len(closing)
        if end < start + len(closing):
            return None
        rest = f"{text[:start]}<{MARK}/>{text[end:]}"
        if rest.count(MARK) > 1:
            return None
        encoding = "utf-16" if body.lstrip(BEFORE)[:2] in BYTE_ORDER_MARKS else "utf-8"
        parsed = rest.encode(encoding)
        if ("ref" in rest or "Ref" in rest) and has_references(rest.encode()) and _refers(parsed):
            return None
        return cls(parsed, text[start:end])


def _refers(rest: bytes) -> bool:
    """True if an element refers to another; a text may look like it."""
    try:
        return refers(etree.fromstring(rest, strict_parser()))
    except etree.XMLSyntaxError:
        return True


def page_text(body: bytes) -> str | None:
    """Return *body* as text that a parser would read as it is, or None."""
    body = body.lstrip(BEFORE)
    if len(body) >= PAGE:
        return None
    written = "utf-16" if body[:2] in BYTE_ORDER_MARKS else "utf-8"
    try:
        if written == "utf-16":
            body = body.decode("utf-16").encode()
        if len(body) >= PAGE or len(body.translate(None, CONTROLS)) != len(body):
            return None
        text = _decoded(body)
    except UnicodeError:
        return None
    declared = DECLARATION.match(text)
    encoding = (declared[1] or "").lower() if declared else ""
    if (
        (declared is None and (text.startswith(DECLARED) or written != "utf-8"))
        or not (encoding in ("", written) or (encoding in _ASCII and body.isascii() and written == "utf-8"))
        or (b"\xef" in body and ("\ufffe" in text or "\uffff" in text))
    ):
        return None
    return text


def _decoded(body: bytes) -> str:
    """Return UTF-8 as text with LF for CRLF and a lone CR, as XML prescribes."""
    # A text file's universal newlines are the same rule, in a third of the time of two `replace`.
    if b"\r" not in body:
        return body.decode("utf-8")
    return TextIOWrapper(BytesIO(body), encoding="utf-8", newline=None).read()


def first_row(text: str, reader: RecordReader) -> str | None:
    """Return the raw name of ResultData's first child, or of an element of the model."""
    found = _LIST.search(text) if "ResultData" in text else None
    if found is None:
        model = re.escape(reader.name)
        found = re.search(rf"<((?:[^\s<>/:]+:)?{model})[\s>]", text) if reader.name in text else None
    if found is None or local_name(found[1].replace(":", "}")).casefold() in _NO_ROW_NAMES:
        return None
    return found[1]


# -- rows ------------------------------------------------------------------------------------------------------------

_QUESTIONS = 400
"""Raw tags that a page may ask lxml about, besides one for each row."""
_MANY = _QUESTIONS // 2
"""A page that has asked about so many has tags that differ in an attribute's value."""
_ALONE = 24
"""Rows that lxml may read alone. If those are most rows of a page, a tree of the whole page takes half the time."""
_LOOKED_AT = 20_000
_SECTIONS = 100
"""CDATA sections in the first `_LOOKED_AT` characters; if there are more, they are taken out in half the time."""
_SPACES = re.compile(f"[{SPACE}]*+")
_ATTRIBUTE = re.compile(
    r"""<[^\s<>/"'=]++(?:\ xmlns[:\w.-]*+="[^"<>]*+"|\ [\w.-]++:type="[^"<>&]*+")*+
    \ (?!xml|href=|ref=)((?:[A-Za-z_][\w.-]*+:)?(?!nil=|type=|href=|ref=|Ref=)[A-Za-z_][\w.-]*+)="[^"<>&]*+"[^<>]*+>""",
    re.ASCII | re.VERBOSE,
)
"""A tag whose first attribute, but for declarations and types, refers to nothing and is not nil."""


class _Hints(NamedTuple):
    """Constructs that a text has: comments or CDATA, character references, `]]>`."""

    sections: bool
    references: bool
    forbidden: bool


class Rows:
    """Reads the rows of one list from text.

    Args:
        contexts: the contexts of the decoder's pages.
        container: the list.
        reader: the reader of the rows' model.
        decoded: gets the rows and the drift.
        whole_page: the page can still be parsed as a whole.
        raw: every row is parsed by lxml, and keeps its XML.
        most: rows that are read.

    Attributes:
        position: the end of the text that was read.
    """

    def __init__(
        self,
        contexts: Contexts,
        container: Element,
        reader: RecordReader,
        decoded: Decoded,
        *,
        whole_page: bool = True,
        raw: bool = False,
        most: int | None = None,
    ) -> None:
        self._whole_page, self._raw, self._most = whole_page, raw, most
        self.position = 0
        self._contexts, self._reader, self._decoded = contexts, reader, decoded
        self._outside = contexts.inside(container)
        self._direct = is_plain(reader.model)
        self._container = container
        self._count = self._count_alone = 0
        self._hints = _Hints(sections=True, references=True, forbidden=True)
        unknown: tuple[str, str, Learned | None] = ("", "", None)
        self._opening, self._closing, self._learned = unknown if raw else self._outside.usual.get(reader, unknown)
        """The last row's opening and closing tags, and the forms of its members."""
        self._varying = ""
        """The attribute of the opening tag whose value does not count; empty if it has none."""

    def read(self, text: str) -> None:
        """Read *text*: rows, and what a list ignores between them.

        Raises:
            Fallback: there is something else at `position`.
        """
        # A single character is found at ten times the speed, and most pages do not have these.
        sections = "!" in text and "<!" in text
        if sections and self._whole_page:
            plain = _plain(text)
            sections, text = plain is None, plain or text
        position, end, rows = 0, len(text), self._decoded.rows
        self._contexts.questions = _QUESTIONS
        self._hints = hints = _Hints(sections, "&" in text, "]" in text and "]]>" in text)
        while True:
            if position < end and text[position] in SPACE:
                position = _after_space(text, position)
            learned = self._learned
            if learned is not None and learned.form is not None and not hints.sections:
                position = self._by_expression(learned.form, learned.tags, text, position, hints)
            self.position = position
            if self._most is not None and len(rows) > self._most:
                raise Fallback
            if position >= end:
                return
            if text[position] != "<" or text[position + 1 : position + 2] in "!?":
                position = _after_other(text, position)
                continue
            stop = _end_of_row(text, position)
            row = self._row(text[position:stop])
            if row is not None:
                rows.append(row)
            position = stop
            self._count += 1
            if not self._count % ROWS:
                yield_point()

    def _by_expression(self, form: Form, tags: Tags, text: str, position: int, hints: _Hints) -> int:
        """Read rows as long as they match, and return their end."""
        self._varying = self._contexts.varying
        if f' {self._varying}=""' not in self._opening:
            self._varying = ""
            if ANY_NUMBER not in self._opening and not text.startswith(self._opening, position):
                return position
        small = form.pattern.groups <= SMALL and not hints.forbidden
        most = ROWS
        while True:
            drift: list[str] = []
            try:
                if small:
                    found, end = form.run(text, position, self._opening, self._closing, self._varying)
                else:
                    found, end = self._matching(form, text, position, hints, most)
                if not found:
                    return position
                rows = self._records(tags, form.build(found, drift))
            except CANNOT:
                if most == 1:
                    return position
                small, most = False, 1  # the rows before the one that cannot be read so
                continue
            self._decoded.rows += rows
            for name in drift:
                self._decoded.drift[name] += 1
            position = end
            if self._most is not None and len(self._decoded.rows) > self._most:
                return position
            yield_point()

    def _matching(
        self, form: Form, text: str, position: int, hints: _Hints, most: int
    ) -> tuple[list[Sequence[Any]], int]:
        """Return the groups of at most *most* rows that match, and their end."""
        closing, match_members, end = self._closing, form.pattern.match, len(text)
        match_opening, room = re.compile(escaped(self._opening, self._varying)).match, len(closing)
        _, references, forbidden = hints
        found: list[Sequence[Any]] = []
        while len(found) < most and (opened := match_opening(text, position)) is not None:
            match = match_members(text, opened.end())
            if match is None:
                break
            stop = match.end()
            if not text.startswith(closing, stop) or (forbidden and text.find("]]>", position, stop) >= 0):
                break
            groups: Sequence[Any] = match.groups()
            if references and text.find("&", position, stop) >= 0:
                try:
                    groups = form.resolved(groups)
                except CANNOT:
                    break
            found.append(groups)
            position = stop + room
            if position < end and text[position] in SPACE:
                position = _after_space(text, position)
        return found, position

    def _records(self, tags: Tags, found: list[dict[str, Any]]) -> list[Row]:
        if not self._direct:
            return list(map(self._reader.record, found))
        field = self._reader.model.key_field
        keys: list[Any] = list(map(methodcaller("get", field), found))
        if set(map(type, keys)) != {str}:
            keys = list(map(self._reader.key, found))
        return list(map(_row_of, zip(keys, tags.make_all(found), repeat(()), repeat(None), strict=False)))

    def _record(self, tags: Tags, data: dict[str, Any]) -> Row:
        if not self._direct:
            return self._reader.record(data)
        key = data.get(self._reader.model.key_field)
        return Row(key if type(key) is str else self._reader.key(data), tags.make(data))

    def _row(self, text: str) -> Row | None:
        """Read the row *text*; return None if it is nil."""
        self._contexts.questions += 1
        if self._raw:
            return self._alone(text)
        drift: list[str] = []
        try:
            row = self._from_text(_without_sections(text) if self._hints.sections else text, drift)
        except CANNOT:
            self._count_alone += 1
            if self._count_alone > _ALONE and self._count_alone > len(self._decoded.rows) // 2:
                self._contexts.questions = 0
            if self._contexts.questions <= 0 and self._whole_page:
                raise Fallback from None
            return self._alone(text)
        for name in drift:
            self._decoded.drift[name] += 1
        return row

    def _from_text(self, text: str, drift: list[str]) -> Row:
        """Read the row *text*, in which each `<` begins a tag, or raise one of `CANNOT`."""
        if (self._hints.sections or self._hints.forbidden) and "]]>" in text:
            raise Unread
        given, (text, found) = text, self._without_differences(text)
        changed = self._hints.sections or found > 0 or text != given
        raw = text[1 : text.find(">")]
        if not found and (name := _differs_in(f"<{raw}>", self._opening)) not in {"", self._contexts.varying}:
            self._contexts.varying = name
            return self._from_text(given, drift)
        opened = self._outside.opening(raw)
        if opened.nil:
            raise Unread
        learned = opened.context.learned.get(self._reader) or self._begun(opened.context)
        tags = learned.tags
        if not opened.closing:
            return self._record(tags, {})
        start, closing = f"<{raw}>", f"<{opened.closing}"
        tried = not changed and learned is self._learned and start == self._opening and not learned.leaves_out
        self._opening, self._closing, self._learned = self._outside.usual[self._reader] = start, closing, learned
        if learned.form is not None and not tried:
            with suppress(*CANNOT):
                return self._record(tags, learned.form.read(text, len(start), closing, learned, drift))
            drift.clear()
        pieces = iter(text.split("<"))
        if next(pieces) or next(pieces)[len(raw) + 1 :].strip(SPACE):
            raise Unread
        row = self._record(tags, read_members(tags, pieces, opened.closing, drift))
        if next(pieces, None) is not None:
            raise Unread
        self._learn(learned, text)
        return row

    def _without_differences(self, text: str) -> tuple[str, int]:
        """Return a row without what differs in each, and how many values that took."""
        varying, numbered = self._contexts.varying, "xmlns:q" in text
        if numbered and ANY_NUMBER in text:
            raise Unread
        if not (varying or numbered) or text.count("<") != text.count(">"):  # a `>` may be in a text
            return text, 0
        if numbered:
            text = without_numbers(text)
        return without_values(text, varying) if varying else (text, 0)

    def _learn(self, learned: Learned, text: str) -> None:
        """Learn from a row that was read.

        If the page has asked about many tags, look for an attribute that differs in each.
        """
        learned.note(text)
        if self._contexts.questions < _MANY and (tag := _ATTRIBUTE.search(text)) is not None:
            if tag[1] != self._contexts.varying:
                learned.begin_again()
            self._contexts.varying = tag[1]

    def _begun(self, context: Context) -> Learned:
        """Begin to learn from the rows in *context*."""
        learned = context.learned[self._reader] = Learned(context.tags(self._reader, direct=self._direct))
        return learned

    def _alone(self, text: str) -> Row | None:
        """Let lxml parse the row *text* in its place."""
        depth = sum(1 for _ in self._container.iterancestors())  # as deep as in the page: lxml limits the depth
        head = "<_>" * depth + f"<_{declarations(self._container)}>"
        try:
            around = etree.fromstring(f"{head}{text}{'</_>' * (depth + 1)}", strict_parser())
        except etree.XMLSyntaxError:
            cleaned = without_forbidden(text)
            if cleaned == text:
                raise Fallback from None
            if self._whole_page:
                raise Forbidden from None
            self._decoded.replaced = True
            return self._alone(cleaned)
        for _ in range(depth):
            around = around[0]
        if len(around) != 1 or around.text or around[0].tail:
            raise Fallback
        if has_references(text.encode()) and refers(around):
            raise Refers
        return read_element(around[0], self._reader, self._decoded, raw=self._raw)


def _differs_in(tag: str, other: str) -> str:
    """Return the attribute whose value is all that two tags differ in; empty if none."""
    if tag == other or (found := _ATTRIBUTE.match(tag)) is None:
        return ""
    attribute = varying_attribute(found[1])
    return found[1] if re.sub(attribute, "", tag) == re.sub(attribute, "", other) else ""


def _plain(text: str) -> str | None:
    """Return rows without CDATA and comments; None if it must be done row by row."""
    if "<?" in text:  # what looks like a comment may be part of an instruction
        return None
    try:
        plain = _without_sections(text)
    except Unread:
        return None
    return None if "]]>" in plain else plain


_TAG_AND_TEXT = re.compile(r"<[^<>\"']*+(?:\"[^<\"]*+\"[^<>\"']*+|'[^<']*+'[^<>\"']*+)*+>[^<]*+")
"""A whole tag, and the text after it."""


def _without_sections(row: str) -> str:
    """Return *row* with CDATA as plain text, without comments, or raise `Unread`."""
    if row.count("<!", 0, _LOOKED_AT) > _SECTIONS and "<!--" not in row:
        plain = _without_cdata(row)
        if plain.count("<") == plain.count(">") and "<!" not in plain:  # so no `>` is in an attribute, or in a text
            return plain
    # In a row that can be read each `<` begins a tag, so the last one before a section shows if a tag is open there.
    pieces, kept = [], 0
    while (start := row.find("<!", kept)) >= 0:
        tag, reference = row.rfind("<", kept, start), row.rfind("&", kept, start)
        if tag >= 0 and _TAG_AND_TEXT.fullmatch(row, tag, start) is None:
            raise Unread
        if reference >= 0 and row.find(";", reference, start) < 0:
            raise Unread
        pieces.append(row[kept:start])
        if row.startswith("<!--", start):
            end = row.find("--", start + 4)
            if end < 0 or not row.startswith("-->", end):
                raise Unread
        elif row.startswith("<![CDATA[", start):
            end = row.find("]]>", start)
            if end < 0:
                raise Unread
            data = row[start + 9 : end]
            pieces.append(data.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
        else:
            raise Unread
        kept = end + 3
    return "".join([*pieces, row[kept:]])


def _without_cdata(row: str) -> str:
    """Return *row* with CDATA as plain text as long as that is between tags."""
    before, *sections = row.split("<![CDATA[")
    pieces = [before]
    for section in sections:
        data, end, after = section.partition("]]>")
        inside = before[-1:] != ">" and (before.rfind("<") > before.rfind(">") or before.rfind("&") > before.rfind(";"))
        if inside or not end:
            return row
        if "&" in data or "<" in data or ">" in data:
            data = data.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        pieces += data, after
        before = after
    return "".join(pieces)


_row_of: Callable[[Iterable[Any]], Row] = partial(tuple.__new__, Row)
"""Makes a row of its members without a call into Python."""


def _after_space(text: str, position: int) -> int:
    found = _SPACES.match(text, position)
    return position if found is None else found.end()


def _after_other(text: str, position: int) -> int:
    """Return the end of a comment, instruction or text, or raise `Fallback`."""
    if text.startswith("<!--", position):
        end = text.find("--", position + 4)
        if end < 0 or not text.startswith("-->", end):
            raise Fallback
        return end + 3
    if text[position] == "<":
        instruction = _INSTRUCTION.match(text, position)
        if instruction is None or instruction[1].casefold() == "xml":
            raise Fallback
        return instruction.end()
    end = text.find("<", position)
    try:
        resolve(text[position:end])
    except ValueError:
        raise Fallback from None
    if end < 0 or "]]>" in text[position:end]:
        raise Fallback
    return end


_INSTRUCTION = re.compile(r"<\?([A-Za-z_][\w.-]*+)(?:\s[^?<>]*+)?\?>", re.ASCII)


def _end_of_row(text: str, position: int) -> int:
    """Return the end of the element at *position*, or raise `Fallback`."""
    name, stop = _ROW.match(text, position), text.find(">", position)
    if name is None or stop < 0:
        raise Fallback
    if text[stop - 1] == "/":
        return stop + 1
    closing = f"</{name[1]}>"
    end = text.find(closing, stop)
    if end < 0:
        raise Fallback
    return end + len(closing)


_ROW = re.compile(f"<([^{SPACE}<>/!?]+)")
