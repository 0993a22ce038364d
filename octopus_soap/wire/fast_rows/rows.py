"""Rows of one list, each read by the first of the three readers that can."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from lxml import etree

from octopus_soap.wire.decode import read_element, strict_parser, without_forbidden
from octopus_soap.wire.fast_rows.records import is_plain
from octopus_soap.wire.fast_rows.tags import declarations, read_members
from octopus_soap.wire.fast_rows.text import CANNOT, SPACE, Fallback, Unread, resolve, without_sections
from octopus_soap.wire.readers import ROWS, Row, yield_point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octopus_soap.wire.decode import Decoded
    from octopus_soap.wire.fast_rows.tags import Contexts, Tags
    from octopus_soap.wire.readers import Element, RecordReader

_QUESTIONS = 400
"""Raw tags that a page may ask lxml about, besides one for each row."""
_SPACES = re.compile(f"[{SPACE}]*+")


class _Hints(NamedTuple):
    """What occurs in a text at all: comments or CDATA, references, `]]>`."""

    sections: bool
    references: bool
    forbidden: bool


class Rows:
    """Reads the rows of one list from text, and adds them to what was decoded.

    Args:
        contexts: what is known of the decoder's pages.
        container: the list.
        reader: how its rows are read.
        decoded: takes the rows, and what was noticed.
        whole_page: the page can still be parsed as a whole.
        raw: every row is parsed by lxml, and keeps its XML.

    Attributes:
        position: where the text that was read ends.
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
    ) -> None:
        self._whole_page, self._raw = whole_page, raw
        self.position = 0
        self._contexts, self._reader, self._decoded = contexts, reader, decoded
        self._outside = contexts.inside(container)
        self._direct = is_plain(reader.model)
        self._container = container
        self._count = 0
        self._hints = _Hints(sections=True, references=True, forbidden=True)
        self._opening = self._closing = ""
        """The last row's opening and closing tags, and what is known of such a row's members."""
        self._tags: Tags | None = None

    def read(self, text: str) -> None:
        """Read *text*: rows, and what a list ignores between them.

        Raises:
            Fallback: at `position` it is something else.
        """
        position, end, rows = 0, len(text), self._decoded.rows
        self._contexts.questions = _QUESTIONS
        # The single characters are looked for at ten times the speed, and most pages do not have them.
        self._hints = hints = _Hints("!" in text and "<!" in text, "&" in text, "]" in text and "]]>" in text)
        while True:
            if position < end and text[position] in SPACE:
                position = _after_space(text, position)
            if self._tags is not None and self._tags.learned.form is not None and not hints.sections:
                position = self._by_expression(self._tags, text, position, hints)
            self.position = position
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
            self._pause()

    def _pause(self) -> None:
        self._count += 1
        if not self._count % ROWS:
            yield_point()

    def _by_expression(self, tags: Tags, text: str, position: int, hints: _Hints) -> int:
        """Read rows as long as they match, and return where they end."""
        form, opening, closing = tags.learned.form, self._opening, self._closing
        assert form is not None  # noqa: S101 - the caller looked
        match_members, build, resolved, length, room = (
            form.pattern.match,
            form.build,
            form.resolved,
            len(opening),
            len(closing),
        )
        rows, counted, record, end = self._decoded.rows, self._decoded.drift, self._record, len(text)
        _, references, forbidden = hints
        while text.startswith(opening, position):
            match = match_members(text, position + length)
            if match is None:
                break
            stop = match.end()
            if not text.startswith(closing, stop) or (forbidden and text.find("]]>", position, stop) >= 0):
                break
            drift: list[str] = []
            try:
                groups: Sequence[Any] = match.groups()
                if references and text.find("&", position, stop) >= 0:
                    groups = resolved(groups)
                row = record(tags, build(groups, drift))
            except CANNOT:
                break
            rows.append(row)
            for name in drift:
                counted[name] += 1
            position = stop + room
            if position < end and text[position] in SPACE:
                position = _after_space(text, position)
            self._pause()
        return position

    def _record(self, tags: Tags, data: dict[str, Any]) -> Row:
        if not self._direct:
            return self._reader.record(data)
        key = data.get(self._reader.model.key_field)
        return Row(key if type(key) is str else self._reader.key(data), tags.make(data))

    def _row(self, text: str) -> Row | None:
        """Read the row that is *text*; return None if it is nil."""
        self._contexts.questions += 1
        if self._raw:
            return self._alone(text)
        drift: list[str] = []
        try:
            row = self._from_text(without_sections(text) if self._hints.sections else text, drift)
        except CANNOT:
            if self._contexts.questions <= 0 and self._whole_page:
                raise Fallback from None
            return self._alone(text)
        for name in drift:
            self._decoded.drift[name] += 1
        return row

    def _from_text(self, text: str, drift: list[str]) -> Row:
        """Read the row that is *text*, in which a `<` always begins a tag; raises one of `CANNOT`."""
        if (self._hints.sections or self._hints.forbidden) and "]]>" in text:
            raise Unread
        raw = text[1 : text.find(">")]
        opened = self._outside.opening(raw)
        if opened.nil:
            raise Unread
        tags = self._outside.tags(self._reader, direct=self._direct).at(opened.context)
        if not opened.closing:
            return self._record(tags, {})
        self._opening, self._closing, self._tags = f"<{raw}>", f"<{opened.closing}", tags
        if tags.learned.form is not None:
            with suppress(*CANNOT):
                return self._record(tags, tags.learned.form.read(text, raw, opened.closing, drift))
            drift.clear()
        pieces = text.split("<")
        members = iter(pieces)
        if next(members) or next(members)[len(raw) + 1 :].strip(SPACE):
            raise Unread
        row = self._record(tags, read_members(tags, members, opened.closing, drift))
        if next(members, None) is not None:
            raise Unread
        tags.learned.note(pieces)
        return row

    def _alone(self, text: str) -> Row | None:
        """Let lxml parse the row that is *text*, where it stands."""
        depth = sum(1 for _ in self._container.iterancestors())  # as deep as it is: lxml limits that
        head = "<_>" * depth + f"<_{declarations(self._container)}>"
        try:
            around = etree.fromstring(f"{head}{text}{'</_>' * (depth + 1)}", strict_parser())
        except etree.XMLSyntaxError:
            cleaned = text if self._whole_page else without_forbidden(text)
            if cleaned == text:
                raise Fallback from None
            self._decoded.replaced = True
            return self._alone(cleaned)
        for _ in range(depth):
            around = around[0]
        if len(around) != 1 or around.text or around[0].tail:
            raise Fallback
        row = read_element(around[0], self._reader, self._decoded)
        return row if row is None or not self._raw else row._replace(raw=etree.tostring(around[0]))


def _after_space(text: str, position: int) -> int:
    found = _SPACES.match(text, position)
    return position if found is None else found.end()


def _after_other(text: str, position: int) -> int:
    """Where what is no row ends: a comment, a processing instruction, or text, which a list ignores between rows.

    Raises:
        Fallback: it does not end, or is not well-formed.
    """
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
    """Where the element at *position* ends, as far as its raw tags say; raises `Fallback` if there is none."""
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
