"""Read one row from its text, by what its raw tags mean.

A part of `fast_rows`. Its docstring has the argument why rows may be read so.

Plain models are built directly, several times as fast as by pydantic and equal to what it would build: models of which
pydantic's strict schema checks nothing but types and ranges that the readers guarantee. `is_plain` judges that by the
model's declarations, and tests compare its judgement with the schema.
"""

from __future__ import annotations

import re
from collections import deque
from decimal import Decimal
from enum import Enum
from functools import cache, lru_cache, partial
from itertools import repeat
from threading import Lock
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Union, get_args, get_origin

from lxml import etree
from pydantic import BaseModel

from octopus_soap.models.base import WireModel
from octopus_soap.models.scalars import FORBIDDEN, typed_schema
from octopus_soap.wire.decode import strict_parser
from octopus_soap.wire.plain import has_references
from octopus_soap.wire.readers import (
    FieldReader,
    add_unknown,
    is_model,
    is_nil,
    local_name,
    read_bool,
    read_decimal,
    read_int,
    read_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from octopus_soap.wire.readers import Element, Reader, RecordReader
    from octopus_soap.wire.row_forms import Learned

# -- text ------------------------------------------------------------------------------------------------------------

SPACE = " \t\r\n"


class Unread(Exception):  # noqa: N818 - control flow inside this package
    """The row cannot be read in this way."""


class Fallback(Exception):  # noqa: N818 - control flow inside this package
    """The page must be parsed as a whole."""


class Forbidden(Fallback):
    """The page has characters that XML forbids."""


class Refers(Fallback):
    """An element of the page refers to another one."""


CANNOT = (Unread, ValueError, ArithmeticError, LookupError)
"""Errors of reading a row's text, after which the next reader takes the row. (pydantic raises a `ValueError`.)"""


_REFERENCE = re.compile(r"&(?:#x[0-9A-Fa-f]{1,6}|#[0-9]{1,7}|lt|gt|amp|quot|apos);")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&apos;": "'"}
_LAST_CODE_POINT = 0x10FFFF
_MANY = 24
"""References in a text that are resolved kind by kind, which takes a third less: HTML has many of a few kinds."""


def resolve(text: str) -> str:
    """Resolve the references in *text*, or raise `ValueError`."""
    named, count = text.count("&lt;") + text.count("&gt;") + text.count("&amp;"), text.count("&")
    if named == count:
        return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    references = _REFERENCE.findall(text) if count > _MANY else ()
    kinds = sorted(set(references), key=_is_ampersand)  # an `&` last: it must begin nothing
    if len(references) == count and len(kinds) <= _MANY and not any(map(_is_ampersand, kinds[:-1])):
        for reference in kinds:
            text = text.replace(reference, _character(reference))
        return text
    resolved, found = _REFERENCE.subn(lambda reference: _character(reference[0]), text)
    if found != count:
        raise ValueError("an & that begins no reference")
    return resolved


def _is_ampersand(reference: str) -> bool:
    return _character(reference) == "&"


@lru_cache(maxsize=512)
def _character(reference: str) -> str:
    if reference[1] != "#":
        return _ENTITIES[reference]
    number = int(reference[3:-1], 16) if reference[2] == "x" else int(reference[2:-1])
    if number > _LAST_CODE_POINT or FORBIDDEN.match(chr(number)):
        raise ValueError("a reference to a character XML forbids")
    return chr(number)


# -- models built directly ---------------------------------------------------------------------------------------------

_NAME_SETS = 500


class SharedNames(set[str]):
    """The `model_fields_set` of many records, so it refuses changes."""

    __slots__ = ()

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError("model_fields_set is shared by many records; make a changed copy with replace() or without()")

    add = discard = remove = update = difference_update = intersection_update = symmetric_difference_update = _refuse
    clear = pop = __ior__ = __iand__ = __isub__ = __ixor__ = _refuse

    def copy(self) -> set[str]:
        """Return a set that may be changed."""
        return set(self)

    __copy__ = copy

    def __reduce__(self) -> tuple[type[set[str]], tuple[list[str]]]:
        return set, (list(self),)


_set_dict, _set_names, _set_extra, _set_private = (
    BaseModel.__dict__[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


class Maker(NamedTuple):
    """Functions that make records of a plain model (`is_plain`) as pydantic would.

    Attributes:
        one: makes a record of its members, which have their types already.
        all: makes several. If all have the same members in the same order, nothing is called per record but functions
            in C, which takes half as long.
    """

    one: Callable[[dict[str, Any]], Any]
    all: Callable[[list[dict[str, Any]]], list[Any]]


@cache
def maker(model: type[WireModel]) -> Maker:
    """Return the functions that make records of *model*."""
    fields = frozenset(model.model_fields)
    defaults = dict.fromkeys(model.model_fields)
    # By the members in their order: pages repeat the order, too, and a tuple is made faster than a set.
    known: dict[tuple[str, ...], tuple[SharedNames, tuple[str, ...]]] = {}
    alike: dict[frozenset[str], SharedNames] = {}

    def names_of(order: tuple[str, ...]) -> tuple[SharedNames, tuple[str, ...]]:
        found = known.get(order)
        if found is None:
            if len(known) >= _NAME_SETS:
                known.clear()
                alike.clear()
            names = alike.setdefault(frozenset(order), SharedNames(order))
            found = known[order] = (names, tuple(name for name in order if name not in fields))
        return found

    new = model.__new__

    def make(data: dict[str, Any]) -> WireModel:
        order = tuple(data)
        names, extra = known.get(order) or names_of(order)
        record = new(model)
        if extra:
            _set_extra(record, {name: data.pop(name) for name in extra})
        else:
            _set_extra(record, {})
        _set_dict(record, {**defaults, **data})
        _set_names(record, names)
        _set_private(record, None)
        return record

    def make_all(given: list[dict[str, Any]]) -> list[WireModel]:
        orders = list(map(tuple, given))
        names, extra = known.get(orders[0]) or names_of(orders[0])
        if extra or orders.count(orders[0]) != len(given):
            return list(map(make, given))
        records = list(map(new, repeat(model, len(given))))
        _each(map(_set_extra, records, [{} for _ in given]))
        _each(map(_set_dict, records, [{**defaults, **data} for data in given]))
        _each(map(_set_names, records, repeat(names)))
        _each(map(_set_private, records, repeat(None)))
        return records

    return Maker(make, make_all)


_each: Callable[[Iterable[Any]], object] = deque(maxlen=0).extend
"""Runs through an iterator."""


_TYPES: dict[str, dict[str, Any]] = {
    "str": {},
    "bool": {},
    "decimal": {"allow_inf_nan": False},
    "float": {"allow_inf_nan": False},
    "datetime": {"tz_constraint": "aware", "microseconds_precision": "truncate"},
    "int": {},
}
"""The constraints that each scalar's reader fulfils, by type in pydantic's schema."""


@cache
def is_plain(model: type[WireModel]) -> bool:
    """True if pydantic's strict validation of *model* checks only types and ranges."""
    return _plain_fields(model) is not None


@cache
def _plain_fields(model: type[WireModel]) -> Mapping[str, tuple[int, int] | None] | None:
    """Return a plain model's fields with the range of whole numbers; None for another."""
    # The declarations decide. To ask pydantic means to have it build its schema, and to look for plugins in all
    # installed packages, which takes longer than the first call may.
    if not _is_declared_plainly(model):
        return None
    ranges: dict[str, tuple[int, int] | None] = {}
    for name, declared in model.model_fields.items():
        parts = [part for part in get_args(declared.annotation) if part is not NoneType]
        optional = get_origin(declared.annotation) in {UnionType, Union} and len(get_args(declared.annotation)) == 2  # noqa: PLR2004 - a type and None
        if not optional or len(parts) != 1 or declared.metadata or declared.discriminator is not None:
            return None
        if declared.default is not None or declared.default_factory is not None:
            return None
        typed: Any = typed_schema(parts[0])
        if not (_is_guaranteed(typed) if typed is not None else _is_plain_part(parts[0])):
            return None
        ranges[name] = (typed["ge"], typed["le"]) if typed is not None and "ge" in typed else None
    return ranges


def _is_declared_plainly(model: type[WireModel]) -> bool:
    """True if *model* adds to its base only what takes no part in validation."""
    if not model.__pydantic_fields_complete__:
        model.model_rebuild()
    decorators = model.__pydantic_decorators__
    return (
        {**model.model_config, "title": None} == {**WireModel.model_config, "title": None}
        and not (decorators.validators or decorators.field_validators)
        and not (decorators.root_validators or decorators.model_validators)
        and not model.__private_attributes__
        and not model.__pydantic_root_model__
        and all(getattr(model, name) == getattr(WireModel, name) for name in ("__init__", "__new__", "model_post_init"))
        and _function_of(model) is _function_of(WireModel)
    )


def _function_of(model: type[WireModel]) -> Any:
    return model.__get_pydantic_core_schema__.__func__  # type: ignore[attr-defined] # a method of the class


def _is_guaranteed(typed: Mapping[str, Any]) -> bool:
    """True if a scalar's schema checks a range and what its reader guarantees."""
    checks = {name: value for name, value in typed.items() if name not in {"type", "ge", "le"}}
    return typed["type"] in _TYPES and checks == {**_TYPES[typed["type"]], "strict": True}


def _is_plain_part(kind: Any) -> bool:
    """True for an enumeration, a plain model, and a list of plain models."""
    if get_origin(kind) is list:
        kind = get_args(kind)[0]
        return is_model(kind) and is_plain(kind)
    if is_model(kind):
        return is_plain(kind)
    return isinstance(kind, type) and issubclass(kind, Enum)


def quick_decimal(text: str) -> Decimal | None:
    """Read a decimal number as `read_decimal` does, the usual one faster."""
    return read_decimal(text) if text.strip("+-.0123456789") else Decimal(text)


class _Flags(dict[str, "bool | None"]):
    def __missing__(self, text: str) -> bool | None:
        return read_bool(text)


FLAGS = _Flags({"true": True, "false": False, "": None, "1": True, "0": False, "True": True, "False": False})
quick_flag = FLAGS.__getitem__
QUICK: dict[Any, Reader] = {read_decimal: quick_decimal, read_bool: quick_flag}
"""By reader: one that does the same, and is faster for the usual text."""


def bounded(model: type[WireModel], slot: FieldReader) -> Reader:
    """Return the reader of a scalar member, which checks the range as pydantic would."""
    assert slot.reader is not None  # noqa: S101 - the caller looked
    fields = _plain_fields(model)
    limits = None if fields is None else fields.get(slot.attribute)
    return QUICK.get(slot.reader, slot.reader) if limits is None else _whole(*limits)


@cache
def _whole(least: int, most: int) -> Reader:
    def read(text: str) -> int | None:
        value = read_int(text)
        if value is not None and not least <= value <= most:
            raise ValueError("out of range")
        return value

    return read


# -- what a raw tag means ----------------------------------------------------------------------------------------------

LEAF, EMPTY, RECORD, LIST, CLOSING, REFUSED, STRUCTURE = range(7)


class Tag(NamedTuple):
    """The meaning of a raw tag among the members of a model.

    Attributes:
        kind: a leaf, an empty tag, a record, a list of records, a closing tag, or one that is left to lxml (`REFUSED`).
            A leaf that the model does not know may turn out to be a structure, which `row_forms` notes.
        attribute: the field that gets the value.
        closing: the piece of text that closes it: `/a:Sku>`.
        read: a leaf's reader; None for text.
        empty: a leaf's value if it has no text; of an empty tag, the function that makes its value.
        drift: the name to count if the model does not know the member.
        nil: the tag is nil.
        inner: tags of a record's members, or of the members of a list's records.
        opening: returns the meaning of the opening tags of a list's records.
    """

    kind: int
    attribute: str = ""
    closing: str = ""
    read: Reader | None = None
    empty: Any = None
    drift: str = ""
    nil: bool = False
    inner: Any = None
    opening: Any = None


_CONTEXTS = 32
_TAGS = 2000
"""Raw tags remembered per model and context."""
TAG_LENGTH = 400
_OPENINGS = 500
"""Opening tags of rows remembered per context."""
_DEPTH = 32
"""Structures inside a structure that the model does not know; deeper ones are left to lxml."""
_UNKNOWN = FieldReader("", reader=read_text)
"""Reads members that the model does not know."""
_NAME = re.compile(f"[^{SPACE}/]+")
_QUOTED = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


def declarations(element: Element) -> str:
    """Return the declarations of the namespaces bound inside *element*, in its order."""
    bound = ((prefix, uri or "") for prefix, uri in element.nsmap.items() if prefix != "xml")
    return "".join(f' xmlns{":" if prefix else ""}{prefix or ""}="{uri.translate(_QUOTED)}"' for prefix, uri in bound)


class Contexts:
    """The contexts of one decoder, and what its threads share."""

    def __init__(self) -> None:
        self._known: dict[frozenset[tuple[str | None, str | None]], Context] = {}
        """By the namespaces bound inside an element, each with its prefix."""
        self.questions = 0
        """How many more tags may be asked about. Threads may share the number: it only bounds work."""
        self.varying = ""
        """An attribute with another value in each tag, such as `id="m17"`: its values are left out before reading."""
        self.compiled = 0
        self.learning = Lock()
        self.parser = strict_parser()

    def inside(self, element: Element) -> Context:
        """Return the context of *element*'s children."""
        bound = frozenset(element.nsmap.items())
        context = self._known.get(bound)
        if context is None:
            if sum(len(prefix or "") + len(uri or "") for prefix, uri in bound) > 20 * TAG_LENGTH:
                raise Fallback
            if len(self._known) >= _CONTEXTS:
                self._known.clear()
            context = self._known[bound] = Context(self, element)
        return context


class Opening(NamedTuple):
    """The meaning of the raw opening tag of a row.

    Attributes:
        closing: the piece of text that closes it: `/a:InventoryItem>`; empty for an empty tag.
        nil: the row is nil.
        context: the context of its members.
        name: its local name.
    """

    closing: str
    nil: bool
    context: Context
    name: str


class Context:
    """One set of namespaces in force, and what raw tags mean there."""

    def __init__(self, contexts: Contexts, element: Element) -> None:
        self.contexts = contexts
        self._head = f"<_{declarations(element)}>"
        self._tables: dict[tuple[RecordReader, bool], Tags] = {}
        self.learned: dict[RecordReader, Learned] = {}
        self.usual: dict[RecordReader, tuple[str, str, Learned]] = {}
        """The last row's opening and closing tags, and its forms: the next page begins with such a row."""
        self._openings: dict[str, Opening] = {}

    def element(self, raw: str) -> Element:
        """Let lxml read one raw opening or empty tag, or raise `Unread` or `Refers`."""
        if len(raw) > TAG_LENGTH or self.contexts.questions <= 0 or raw[:1] == "/":
            raise Unread
        if has_references(raw.encode()):
            raise Refers
        self.contexts.questions -= 1
        end = f"<{closing}" if (closing := _closing(raw)) else ""
        try:
            around = etree.fromstring(f"{self._head}<{raw}>{end}</_>", self.contexts.parser)
        except (etree.XMLSyntaxError, ValueError):
            raise Unread from None
        if len(around) != 1 or around.text or around[0].tail:
            raise Unread
        return around[0]

    def tags(self, reader: RecordReader, *, direct: bool) -> Tags:
        """Return what tags mean in *reader*'s model, built directly or by pydantic."""
        tags = self._tables.get((reader, direct))
        if tags is None:
            tags = self._tables[reader, direct] = Tags(self, reader, direct=direct)
        return tags

    def opening(self, raw: str) -> Opening:
        """Return the meaning of a row's raw opening tag."""
        opening = self._openings.get(raw)
        if opening is None:
            element = self.element(raw)
            if len(self._openings) >= _OPENINGS:
                self._openings.clear()
            inside, name = self.contexts.inside(element), local_name(element.tag)
            opening = self._openings[raw] = Opening(_closing(raw), is_nil(element), inside, name)
        return opening


def _closing(raw: str) -> str:
    """Return what closes a raw tag, `/a:Sku>`; empty for an empty tag."""
    if raw[-1:] == "/":
        return ""
    name = _NAME.match(raw)
    if name is None:
        raise Unread
    return f"/{name[0]}>"


class Tags(dict[str, Tag]):
    """The meaning of each raw tag among the members of one model, in one context."""

    def __init__(self, context: Context, reader: RecordReader, *, direct: bool) -> None:
        super().__init__()
        self.context, self.reader, self.direct = context, reader, direct
        self.make, self.make_all = maker(reader.model) if direct else _AS_THEY_ARE

    def at(self, context: Context) -> Tags:
        """Return the tags of the same model in another context."""
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
        tag = Tag(LEAF, slot.attribute, _closing(raw), drift=drift, nil=nil)
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
    """Return the value of nil."""


def _nil_or(read: Reader, text: str) -> Any:
    """Read the text of a nil member; white space is nil."""
    return read(text) if text.strip(SPACE) else None


def _ignored(_: str) -> None:
    """Return the value of an unknown member that is nil, whatever its text."""


def _as_given(data: Any) -> Any:
    return data


_AS_THEY_ARE = Maker(_as_given, _as_given)


# -- the general reader ----------------------------------------------------------------------------------------------


def read_members(  # noqa: C901, PLR0912 - one loop over a row's tags: a call for each would double the time
    tags: Tags, pieces: Iterator[str], closing: str, drift: list[str]
) -> dict[str, Any]:
    """Read members up to *closing*.

    Args:
        tags: what the tags mean here.
        pieces: the row's text, split at each `<`: a raw tag, `>`, and the text after it.
        closing: the piece that ends the members; only white space may follow it.
        drift: the list to which unknown members are added.

    Raises:
        Exception: one of `CANNOT`.
    """
    data: dict[str, Any] = {}
    structured = False
    for count, piece in enumerate(pieces):
        raw, closed, text = piece.partition(">")
        if not closed:
            break
        kind, attribute, ending, read, empty, unknown, nil, inner, opening = tags[raw]
        if kind == LEAF:
            closed = next(pieces, "")
            if closed != ending and not _closes(closed, ending):
                if not unknown or nil or text.strip(SPACE):
                    break
                data[attribute] = structure(tags.context.opening(raw).context, closed, pieces, ending)
                structured = True
            elif not text:
                data[attribute] = empty
            else:
                if "&" in text:
                    text = resolve(text)
                data[attribute] = text if read is None else read(text)
        elif text and text.strip(SPACE):
            break
        elif kind == EMPTY:
            data[attribute] = empty()
        elif kind == CLOSING:
            if len(data) != count or not _closes(piece, closing):
                break
            if structured and data.keys().isdisjoint(tags.reader.model.model_fields):
                break
            return data
        elif kind == REFUSED or (nil and not _closes(next(pieces, ""), ending)):
            break
        elif nil:
            data[attribute] = None
        elif kind == RECORD:
            data[attribute] = inner.make(read_members(inner, pieces, ending, drift))
        else:
            data[attribute] = _records(inner, opening, pieces, ending, drift)
        if unknown:
            drift.append(unknown)
    raise Unread


def _records(
    tags: Tags, opening: Callable[[str], Opening], pieces: Iterator[str], closing: str, drift: list[str]
) -> list[Any]:
    """Read the records of a list inside a row, without nil ones."""
    records: list[Any] = []
    while not _closes(piece := next(pieces, ""), closing):
        raw, closed, text = piece.partition(">")
        if not closed or (text and text.strip(SPACE)):
            raise Unread
        opened = opening(raw)
        inner = tags.at(opened.context)
        data = read_members(inner, pieces, opened.closing, drift) if opened.closing else {}
        if data or not opened.nil:
            records.append(inner.make(data))
    return records


def structure(context: Context, piece: str, pieces: Iterator[str], closing: str, depth: int = 1) -> dict[str, Any]:
    """Read the members of an unknown member as `generic` does, up to *closing*.

    Args:
        context: the namespaces inside it.
        piece: its first member.
        pieces: the text that follows.
        closing: the piece that ends it; only white space may follow it.
        depth: of the member in an unknown member of the record.
    """
    found: dict[str, Any] = {}
    while not _closes(piece, closing):
        raw, closed, text = piece.partition(">")
        if not closed or depth > _DEPTH:
            raise Unread
        ending, nil, inside, name = context.opening(raw)
        first = next(pieces, "") if ending else ""
        value: Any = ""
        if ending and _closes(first, ending):
            value = resolve(text)
        elif text.strip(SPACE):
            raise Unread
        elif ending:
            value = structure(inside, first, pieces, ending, depth + 1)
        add_unknown(found, name, None if nil else value)
        piece = next(pieces, "")
    return found


def _closes(piece: str, closing: str) -> bool:
    return piece.startswith(closing) and not piece[len(closing) :].strip(SPACE)
