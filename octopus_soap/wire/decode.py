"""Decoding: replies by local name, in any order, namespace and prefix, and never a silent loss.

Rules (each is a test):

1. The parser does not recover, resolves no entity, loads nothing, and refuses a DOCTYPE. A reply cut short raises.
2. The result is the only child of `<Op>Response`, whatever its name. With `Status`, `ResultData` or `MessageCode`
   among its members it is an APIResult envelope; otherwise it is the bare value.
3. Members are matched by local name, then ignoring case, then without .NET's `<Name>k__BackingField` wrapping; unknown
   ones are kept in `model_extra` and counted as drift. `i:type` is ignored.
4. A list is the children of its container whatever they are called; `i:nil` rows are dropped and counted.
5. A scalar that cannot be read fails its record, naming item, field and text; the other records of the page stand.
6. Character references XML forbids, which WCF writes all the same, are read as U+FFFD.

Plans are compiled once per model; each hands pydantic a dict of Python values, and pydantic validates it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, get_args, get_origin

from lxml import etree
from pydantic import ValidationError

from octopus_soap.errors import Problem, ProtocolError
from octopus_soap.models.base import FROM_WIRE, WireModel, problems_of
from octopus_soap.models.replies import Nothing, OneOf, Reads, RowsOf, ScalarOf
from octopus_soap.models.scalars import FORBIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
NIL = f"{XSI}nil"
_BACKING_FIELD = re.compile(r"(?:<|_x003C_)(\w+?)(?:>|_x003E_)k__BackingField")
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_FORBIDDEN_BYTE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ENVELOPE_MEMBERS = frozenset({"status", "resultdata", "messagecode"})
_DEPTH = 64  # libxml2 itself stops at 256; a reply of this service is five deep

Element: TypeAlias = Any
Reader: TypeAlias = "Callable[[str], Any]"


class Row(NamedTuple):
    """One record of a reply: its value, or what is wrong with it and its XML."""

    key: str
    value: Any
    problems: tuple[Problem, ...] = ()
    raw: bytes | None = None


@dataclass(slots=True)
class Decoded:
    """A reply that is no fault.

    Attributes:
        enveloped: the result came in an APIResult.
        status: Status text of the envelope; None where it had none or came bare.
        code, message, data: the envelope's other members.
        value: the result: a model, a scalar, None, or (for lists) see `rows`.
        present: a result element with content came; False where it was nil or absent.
        rows: the records of a list.
        problems: why a single value could not be read.
        drift: unknown members as `Type.Member`, with how often each came.
        warnings: oddities that were tolerated.
    """

    enveloped: bool = False
    status: str | None = None
    code: int | None = None
    message: str = ""
    data: str | None = None
    value: Any = None
    present: bool = False
    rows: list[Row] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    drift: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)


def parse(body: bytes) -> tuple[Element, bool]:
    """Parse a reply strictly; the flag says whether forbidden characters were replaced.

    Raises:
        ProtocolError: not well-formed, truncated, or with a DOCTYPE.
    """
    try:
        return _parse(body), False
    except etree.XMLSyntaxError as error:
        message = str(error.msg)
    cleaned = _FORBIDDEN_BYTE.sub(b"\xef\xbf\xbd", _REFERENCE.sub(_allowed, body))
    if cleaned != body and body[:2] not in {b"\xff\xfe", b"\xfe\xff"}:  # UTF-16 is full of zero bytes
        try:
            return _parse(cleaned), True
        except etree.XMLSyntaxError as error:
            message = str(error.msg)
    raise ProtocolError(f"the reply is not complete, well-formed XML: {message[:200]}")


def _allowed(reference: re.Match[bytes]) -> bytes:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    forbidden = number > 0x10FFFF or FORBIDDEN.match(chr(number)) is not None  # noqa: PLR2004 - the last code point
    return b"&#xFFFD;" if forbidden else reference[0]


def _parse(body: bytes) -> Element:
    if b"<!DOCTYPE" in body[:4096]:
        raise ProtocolError("the reply carries a DOCTYPE, which SOAP forbids; it was not read")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    root = etree.fromstring(body, parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise ProtocolError("the reply carries a DOCTYPE, which SOAP forbids; it was not read")
    return root


def local_name(tag: str) -> str:
    """A tag without its namespace."""
    return tag[tag.rfind("}") + 1 :]


def body_of(root: Element) -> Element | None:
    """The first element in the SOAP body; None where the body is empty.

    Raises:
        ProtocolError: *root* is no SOAP envelope.
    """
    if local_name(root.tag) != "Envelope":
        raise ProtocolError(f"the reply is a <{local_name(root.tag)[:40]}> document, not a SOAP envelope")
    for child in root:
        if local_name(child.tag) == "Body":
            return child[0] if len(child) else None
    raise ProtocolError("the SOAP envelope has no Body")


def is_nil(element: Element) -> bool:
    """True for `xsi:nil="true"`."""
    return element.get(NIL) in ("true", "1")


class Decoder:
    """Decodes replies; plans are compiled once per model.

    Args:
        readers: reader of a scalar's text, by Python type.
    """

    def __init__(self, readers: Mapping[Any, Reader]) -> None:
        self._readers = readers
        self._plans: dict[type[WireModel], _Plan] = {}

    def response(self, response: Element | None, name: str, reads: Reads) -> Decoded:
        """Decode the `<Op>Response` element.

        Args:
            response: the element; None for an empty body, which only an operation without a result may send.
            name: the expected local name.
            reads: what the result is.

        Raises:
            ProtocolError: the element belongs to another operation, or the result is missing or of another shape.
        """
        decoded = Decoded()
        if response is None:
            if isinstance(reads, Nothing):
                return decoded
            raise ProtocolError("the SOAP body is empty")
        if local_name(response.tag).casefold() != name.casefold():
            raise ProtocolError(f"the reply answers another operation: <{local_name(response.tag)[:60]}>, not <{name}>")
        if isinstance(reads, Nothing):
            return self._nothing(response, decoded)
        result = _result_of(response)
        content = self._envelope(result, decoded) if result is not None else None
        if content is None and not decoded.enveloped and result is None:
            raise ProtocolError("the reply has no result element")
        if content is not None and not is_nil(content):
            decoded.present = True
            self._content(content, reads, decoded)
        return decoded

    def _nothing(self, response: Element, decoded: Decoded) -> Decoded:
        # A service that answers a void operation with an envelope all the same may say Failure in it.
        if len(response):
            self._envelope(_result_of(response), decoded)
        return decoded

    def _envelope(self, result: Element, decoded: Decoded) -> Element | None:
        """Read the APIResult members, if *result* is one; return the element that holds the value."""
        members = {local_name(child.tag).casefold(): child for child in result}
        if not _ENVELOPE_MEMBERS & members.keys():
            return result
        decoded.enveloped = True
        decoded.status = _leaf(members.get("status"))
        decoded.message = _leaf(members.get("message")) or ""
        decoded.data = _leaf(members.get("data"))
        code = (_leaf(members.get("messagecode")) or "").strip()
        decoded.code = int(code) if re.fullmatch(r"-?\d{1,10}", code, re.ASCII) else None
        for name, child in members.items():
            if name not in {"status", "message", "data", "messagecode", "resultdata"}:
                decoded.drift[f"APIResult.{local_name(child.tag)}"] += 1
        return members.get("resultdata")

    def _content(self, content: Element, reads: Reads, decoded: Decoded) -> None:
        if isinstance(reads, RowsOf):
            self._rows(content, reads.model, decoded)
        elif isinstance(reads, OneOf):
            row = self._record(content, reads.model, decoded)
            decoded.value, decoded.problems = row.value, row.problems
        elif isinstance(reads, ScalarOf):
            decoded.value, decoded.problems = self._scalar(content, self._readers[reads.type])

    @staticmethod
    def _scalar(content: Element, reader: Reader) -> tuple[Any, tuple[Problem, ...]]:
        field, text = local_name(content.tag), content.text or ""
        if len(content):
            return None, (Problem("a structure where a single value belongs", field=field),)
        try:
            return reader(text), ()
        except ValueError as error:
            return None, (Problem(str(error), field=field, value=repr(text[:60])),)

    def _rows(self, container: Element, model: type[WireModel], decoded: Decoded) -> None:
        dropped = 0
        if (container.text or "").strip():
            raise ProtocolError(f"text where a list of {model.__name__} belongs: {container.text.strip()[:60]!r}")
        for child in container:
            if child.get(NIL) in ("true", "1") and not len(child):
                dropped += 1
            else:
                decoded.rows.append(self._record(child, model, decoded))
        if dropped:
            decoded.warnings.append(f"{dropped} nil rows dropped")

    def _record(self, element: Element, model: type[WireModel], decoded: Decoded) -> Row:
        plan = self.plan(model)
        problems: list[Problem] = []
        data = plan.read(element, problems, decoded.drift)
        key = str(data.get(model.key_field) or "") if model.key_field else ""
        if not problems:
            try:
                return Row(key, plan.validate(data))
            except ValidationError as error:
                problems = problems_of(model, error, data)
        named = tuple(Problem(p.message, key=key or None, field=p.field, value=p.value) for p in problems)
        return Row(key, None, named, etree.tostring(element))

    def plan(self, model: type[WireModel]) -> _Plan:
        """The compiled plan of *model*."""
        plan = self._plans.get(model)
        if plan is None:
            plan = self._plans[model] = _Plan(self, model, self._readers)
        return plan


class _Slot(NamedTuple):
    """Where a member goes, and how it is read: a scalar reader, a nested plan, or a list of plans."""

    attribute: str
    reader: Reader | None = None
    nested: _Plan | None = None
    rows: _Plan | Reader | None = None


class _Plan:
    """How one model is read from an element: slot by tag, filled as tags are met."""

    def __init__(self, decoder: Decoder, model: type[WireModel], readers: Mapping[Any, Reader]) -> None:
        self.name = model.__name__
        self._readers = readers
        if not model.__pydantic_complete__:
            model.model_rebuild()
        self._validator = model.__pydantic_validator__
        self._text_attributes: set[str] = set()
        self._by_name: dict[str, _Slot] = {}
        for wire_name, attribute in {**model.wire_names(), **model.read_aliases}.items():
            annotation = _bare(model.model_fields[attribute].annotation)
            self._by_name[wire_name] = self._slot(decoder, attribute, annotation)
        self._by_folded = {name.casefold(): slot for name, slot in reversed(self._by_name.items())}
        self._by_tag: dict[str, _Slot | None] = {}

    def _slot(self, decoder: Decoder, attribute: str, annotation: Any) -> _Slot:
        if get_origin(annotation) is list:
            inner = _bare(get_args(annotation)[0])
            if isinstance(inner, type) and issubclass(inner, WireModel):
                return _Slot(attribute, rows=decoder.plan(inner))
            return _Slot(attribute, rows=self._readers[inner])
        if issubclass(annotation, WireModel):
            return _Slot(attribute, nested=decoder.plan(annotation))
        return _Slot(attribute, reader=self._readers[str if issubclass(annotation, (str, Enum)) else annotation])

    def validate(self, data: dict[str, Any]) -> Any:
        """Let pydantic validate what was read."""
        return self._validator.validate_python(data, context=FROM_WIRE, by_name=True, by_alias=False)

    def read(self, element: Element, problems: list[Problem], drift: Counter[str], depth: int = 0) -> dict[str, Any]:
        """Read *element*'s members into a dict of attributes; what cannot be read is added to *problems*."""
        data: dict[str, Any] = {}
        slots = self._by_tag
        if element.text is not None and element.text.strip():
            problems.append(
                Problem("text where members belong", field=self.name, value=repr(element.text.strip()[:60]))
            )
        for child in element:
            tag = child.tag
            try:
                slot = slots[tag]
            except KeyError:
                slot = self._find(tag)
            if slot is None:
                drift[f"{self.name}.{local_name(tag)}"] += 1
                data.setdefault(local_name(tag), generic(child))
                continue
            if slot.attribute in data:  # the first one counts
                drift[f"{self.name}.{local_name(tag)} repeated"] += 1
                continue
            text = child.text
            if text is not None and slot.reader is not None and not len(child):
                try:
                    data[slot.attribute] = slot.reader(text)
                except ValueError as error:
                    problems.append(Problem(str(error), field=f"{self.name}.{slot.attribute}", value=repr(text[:60])))
            elif child.get(NIL) in ("true", "1"):
                data[slot.attribute] = None
            else:
                data[slot.attribute] = self._other(child, slot, problems, drift, depth)
        return data

    def _other(self, child: Element, slot: _Slot, problems: list[Problem], drift: Counter[str], depth: int) -> Any:
        """A member that is empty, nested or a list."""
        if depth > _DEPTH:
            raise ProtocolError("the reply is nested too deeply")
        if slot.reader is not None:
            if len(child):
                problems.append(
                    Problem("a structure where a single value belongs", field=f"{self.name}.{slot.attribute}")
                )
                return None
            return slot.reader("")
        if slot.nested is not None:
            return slot.nested.read(child, problems, drift, depth + 1)
        rows = [row for row in child if not (row.get(NIL) in ("true", "1") and not len(row))]
        if isinstance(slot.rows, _Plan):
            return [slot.rows.read(row, problems, drift, depth + 1) for row in rows]
        values: list[Any] = []
        for row in rows:
            try:
                values.append(slot.rows(row.text or ""))  # type: ignore[misc] # a list slot has a plan or a reader
            except ValueError as error:
                problems.append(
                    Problem(str(error), field=f"{self.name}.{slot.attribute}", value=repr((row.text or "")[:60]))
                )
        return values

    def _find(self, tag: str) -> _Slot | None:
        name = local_name(tag)
        if found := _BACKING_FIELD.fullmatch(name):
            name = found[1]
        slot = self._by_name.get(name) or self._by_folded.get(name.casefold())
        if len(self._by_tag) < 1000:  # noqa: PLR2004 - a hostile reply cannot grow the memory
            self._by_tag[tag] = slot
        return slot


def generic(element: Element, depth: int = 0) -> Any:
    """An unknown member as plain Python: text, None for nil, or a dict by local name (repeats become a list)."""
    if is_nil(element):
        return None
    if not len(element) or depth > _DEPTH:
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        name, value = local_name(child.tag), generic(child, depth + 1)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _result_of(response: Element) -> Element | None:
    if len(response) == 1:
        return response[0]
    if _ENVELOPE_MEMBERS & {local_name(child.tag).casefold() for child in response}:
        return response  # the envelope's members stand directly in the response
    for child in response:
        if local_name(child.tag).endswith("Result"):
            return child
    return response[0] if len(response) else None


def _leaf(element: Element | None) -> str | None:
    return None if element is None or is_nil(element) else (element.text or "")


def _bare(annotation: Any) -> Any:
    """The type inside Optional and Annotated."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif inner := [
            part for part in get_args(annotation) if part is not NoneType and get_origin(annotation) is not list
        ]:
            annotation = inner[0]
        else:
            return annotation
