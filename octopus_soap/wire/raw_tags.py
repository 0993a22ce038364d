"""What a raw tag means in its context: the namespaces bound where it stands. Each is asked of lxml once.

Part of the fast rows: the opening of `fast_rows` holds the argument why rows may be read so.
"""

from __future__ import annotations

import re
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from xml.sax.saxutils import quoteattr

from lxml import etree

from octopus_soap.wire.built_models import bounded, maker
from octopus_soap.wire.decode import strict_parser
from octopus_soap.wire.readers import FieldReader, is_nil, local_name
from octopus_soap.wire.row_forms import (
    CLOSING,
    EMPTY,
    LEAF,
    LIST,
    RECORD,
    REFUSED,
    SPACE,
    Fallback,
    Learned,
    Tag,
    Unread,
)
from octopus_soap.wire.values import read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.wire.readers import Element, Reader, RecordReader

_CONTEXTS = 32
_TAGS = 2000
"""Raw tags remembered per model and context."""
TAG_LENGTH = 400
_OPENINGS = 500
"""Opening tags of rows remembered per context."""
_UNKNOWN = FieldReader("", reader=read_text)
"""How a member is read that the model does not know."""
_Bindings: TypeAlias = tuple[tuple[str, str], ...]
_NAME = re.compile(f"[^{SPACE}/]+")


def _bindings(element: Element) -> _Bindings:
    """The namespaces bound inside *element*, by prefix."""
    bound = [(prefix or "", uri or "") for prefix, uri in element.nsmap.items() if prefix != "xml" and (prefix or uri)]
    return tuple(sorted(bound))


def declarations(element: Element) -> str:
    """The declarations of the namespaces bound inside *element*, in its own order."""
    bound = ((prefix, uri or "") for prefix, uri in element.nsmap.items() if prefix != "xml")
    return "".join(f" xmlns{':' if prefix else ''}{prefix or ''}={quoteattr(uri)}" for prefix, uri in bound)


class Contexts:
    """The contexts of one decoder."""

    def __init__(self) -> None:
        self._known: dict[_Bindings, Context] = {}
        self.questions = 0
        """How many more tags may be asked about. Threads may share the number: it only bounds work."""
        self.varying = ""
        """An attribute with another value in each tag, such as `id="m17"`: its values are left out before reading."""
        self.compiled = 0
        self.learning = Lock()
        self.parser = strict_parser()

    def inside(self, element: Element) -> Context:
        """The context of *element*'s children."""
        bound = _bindings(element)
        context = self._known.get(bound)
        if context is None:
            if sum(len(prefix) + len(uri) for prefix, uri in bound) > 20 * TAG_LENGTH:
                raise Fallback
            if len(self._known) >= _CONTEXTS:
                self._known.clear()
            context = self._known[bound] = Context(self, element)
        return context


class Opening(NamedTuple):
    """What the raw opening tag of a row means.

    Attributes:
        closing: the piece of text that closes it: `/a:InventoryItem>`; empty for an empty tag.
        nil: the row is nil.
        context: that of its members.
    """

    closing: str
    nil: bool
    context: Context


class Context:
    """One set of namespaces in force, and what raw tags mean there."""

    def __init__(self, contexts: Contexts, element: Element) -> None:
        self.contexts = contexts
        self._head = f"<_{declarations(element)}>"
        self._tables: dict[tuple[RecordReader, bool], Tags] = {}
        self._openings: dict[str, Opening] = {}

    def element(self, raw: str) -> Element:
        """The element of one raw opening or empty tag, as lxml reads it here; raises `Unread` if it does not."""
        if len(raw) > TAG_LENGTH or self.contexts.questions <= 0 or raw[:1] == "/":
            raise Unread
        self.contexts.questions -= 1
        closing = "" if raw[-1:] == "/" else f"<{closing_tag(raw)}>"
        try:
            around = etree.fromstring(f"{self._head}<{raw}>{closing}</_>", self.contexts.parser)
        except (etree.XMLSyntaxError, ValueError):
            raise Unread from None
        if len(around) != 1 or around.text or around[0].tail:
            raise Unread
        return around[0]

    def tags(self, reader: RecordReader, *, direct: bool) -> Tags:
        """What tags mean among the members of *reader*'s model; *direct*: models are built here, not by pydantic."""
        tags = self._tables.get((reader, direct))
        if tags is None:
            tags = self._tables[reader, direct] = Tags(self, reader, direct=direct)
        return tags

    def opening(self, raw: str) -> Opening:
        """What the raw opening tag of a row means; an empty one has no closing tag."""
        opening = self._openings.get(raw)
        if opening is None:
            element = self.element(raw)
            if len(self._openings) >= _OPENINGS:
                self._openings.clear()
            closing = "" if raw[-1:] == "/" else f"{closing_tag(raw)}>"
            opening = self._openings[raw] = Opening(closing, is_nil(element), self.contexts.inside(element))
        return opening


def closing_tag(raw: str) -> str:
    """The closing tag of a raw opening one, without its brackets; raises `Unread` if it has no name."""
    name = _NAME.match(raw)
    if name is None:
        raise Unread
    return f"/{name[0]}"


class Tags(dict[str, Tag]):
    """What each raw tag means among the members of one model, in one context."""

    def __init__(self, context: Context, reader: RecordReader, *, direct: bool) -> None:
        super().__init__()
        self.context, self.reader, self.direct = context, reader, direct
        self.make: Callable[[dict[str, Any]], Any] = maker(reader.model) if direct else _as_it_is
        self.learned = Learned(self)

    def at(self, context: Context) -> Tags:
        """The tags of the same model in another context."""
        return self if context is self.context else context.tags(self.reader, direct=self.direct)

    def __missing__(self, raw: str) -> Tag:
        if raw[:1] == "/":
            return Tag(CLOSING)
        element = self.context.element(raw)
        if len(self) >= _TAGS:
            self.clear()
        try:
            tag = self._tag(raw, element)
        except Unread:
            tag = Tag(REFUSED)
        self[raw] = tag
        return tag

    def _tag(self, raw: str, element: Element) -> Tag:
        slot, name, nil = self.reader.find(element.tag), local_name(element.tag), is_nil(element)
        if slot is None:
            if name in self.reader.model.model_fields:  # pydantic would take it for that field
                raise Unread
            slot, drift = _UNKNOWN._replace(attribute=name), f"{self.reader.name}.{name}"
        else:
            drift = ""
        if raw[-1:] == "/":
            return Tag(EMPTY, slot.attribute, empty=_nothing if nil else self._empty(slot), drift=drift, nil=nil)
        tag = Tag(LEAF, slot.attribute, f"{closing_tag(raw)}>", drift=drift, nil=nil)
        if slot.reader is not None:
            reader = _ignored if drift and nil else bounded(self.reader.model, slot)
            if nil and not drift:
                reader = partial(_nil_or, reader)
            return tag._replace(read=None if reader is read_text else reader, empty=None if nil else slot.reader(""))
        inside = self.context.contexts.inside(element)
        if slot.nested is not None:
            return tag._replace(kind=RECORD, inner=inside.tags(slot.nested, direct=self.direct))
        if slot.rows is not None:
            inner = inside.tags(slot.rows, direct=self.direct)
            return tag._replace(kind=LIST, inner=inner, opening=inside.opening)
        raise Unread

    def _empty(self, slot: FieldReader) -> Callable[[], Any]:
        if slot.reader is not None:
            value = slot.reader("")
            return lambda: value
        if slot.nested is not None:
            make = self.context.tags(slot.nested, direct=self.direct).make
            return lambda: make({})
        return list


def _nothing() -> None:
    """The value of nil."""


def _nil_or(read: Reader, text: str) -> Any:
    """Read the text of a nil member, which may hold white space and is nil then."""
    return read(text) if text.strip(SPACE) else None


def _ignored(_: str) -> None:
    """The value of an unknown member that is nil: its text does not count."""


def _as_it_is(data: dict[str, Any]) -> dict[str, Any]:
    return data
