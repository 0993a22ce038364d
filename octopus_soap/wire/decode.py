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
from typing import TYPE_CHECKING, Any

from lxml import etree
from pydantic import ValidationError

from octopus_soap.errors import Problem, ProtocolError
from octopus_soap.models.base import problems_of
from octopus_soap.models.declarations import Nothing, OneOf, Reads, RowsOf, ScalarOf
from octopus_soap.models.scalars import FORBIDDEN
from octopus_soap.wire.plain import BROKEN, has_references, resolve_references
from octopus_soap.wire.readers import (
    Element,
    Findings,
    Reader,
    RecordReader,
    RecordReaders,
    Row,
    is_nil,
    local_name,
    yield_point,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    ReadList = Callable[[Element, "Decoded"], None]
    """Reads the rows of a list, the children of an element, into what was decoded."""

    from octopus_soap.errors import ApiStatusError

_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_FORBIDDEN_BYTE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ROOT = "{http://schemas.xmlsoap.org/soap/encoding/}root"
_MOST_ELEMENTS = 8_000_000
_ENVELOPE_MEMBERS = frozenset({"status", "resultdata", "messagecode"})


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
        refusal: the error of an envelope that is not Success; None if it is, or the value came bare.
        nil_rows: rows of a list that were nil, and dropped.
        replaced: characters that XML forbids were replaced by U+FFFD.
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
    refusal: ApiStatusError | None = None
    nil_rows: int = 0
    replaced: bool = False


DOCTYPE = "the reply carries a DOCTYPE, which SOAP forbids; it was not read"
_WITH_DOCTYPE = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s++|<\?(?>.*?\?>)|<!--(?>.*?-->))*+<!DOCTYPE", re.DOTALL)
"""A document with a DOCTYPE, which comes before the root. A text may have the word too: the HTML of a description."""


def not_well_formed(error: Exception) -> ProtocolError:
    """The error of a reply that lxml refuses."""
    return ProtocolError(f"the reply is not complete, well-formed XML: {str(getattr(error, 'msg', error))[:200]}")


def parse(body: bytes) -> tuple[Element, bool]:
    """Parse a reply strictly; the flag says whether forbidden characters were replaced.

    Raises:
        ProtocolError: not well-formed, truncated, or with a DOCTYPE.
    """
    try:
        return _parse(body), False
    except etree.XMLSyntaxError as error:
        refused = not_well_formed(error)
    cleaned = _FORBIDDEN_BYTE.sub(b"\xef\xbf\xbd", _REFERENCE.sub(_allowed, body))
    if cleaned != body and body[:2] not in {b"\xff\xfe", b"\xfe\xff"}:  # UTF-16 is full of zero bytes
        try:
            return _parse(cleaned), True
        except etree.XMLSyntaxError as error:
            refused = not_well_formed(error)
    raise refused


def _allowed(reference: re.Match[bytes]) -> bytes:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    forbidden = number > 0x10FFFF or FORBIDDEN.match(chr(number)) is not None  # noqa: PLR2004 - the last code point
    return b"&#xFFFD;" if forbidden else reference[0]


def without_forbidden(text: str) -> str:
    """*text*, a part of a reply, with U+FFFD in place of characters that XML forbids, as a whole reply is read."""
    return _FORBIDDEN_BYTE.sub(b"\xef\xbf\xbd", _REFERENCE.sub(_allowed, text.encode())).decode()


def strict_parser(*, recover: bool = False) -> etree.XMLParser:
    """A parser for one reply, or for a part of one: it resolves no entity and loads nothing.

    Args:
        recover: make the best of what is not well-formed. Never for what is decoded.
    """
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=recover,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def _parse(body: bytes) -> Element:
    if b"<!DOCTYPE" in body[:4096] and _WITH_DOCTYPE.match(body):
        raise ProtocolError(DOCTYPE)
    root = etree.fromstring(body, strict_parser())
    if root.getroottree().docinfo.internalDTD is not None:
        raise ProtocolError(DOCTYPE)
    if (b"ref" in body or b"Ref" in body) and has_references(body):
        resolve_references(root)
    return root


def body_of(root: Element) -> Element | None:
    """The element in the SOAP body; None where the body is empty.

    Raises:
        ProtocolError: *root* is no SOAP envelope, or there are several answers in it.
    """
    if local_name(root.tag) != "Envelope":
        raise ProtocolError(f"the reply is a <{local_name(root.tag)[:40]}> document, not a SOAP envelope")
    bodies = [child for child in root if local_name(child.tag) == "Body"]
    if len(bodies) != 1:
        raise ProtocolError(f"the SOAP envelope has {len(bodies) or 'no'} {'bodies' if bodies else 'Body'}")
    # A value that others refer to may be written next to the answer: it is marked as no root, or has an id.
    parts = [part for part in bodies[0] if part.get(_ROOT) != "0"]
    answers = [part for part in parts if part.get("id") is None] if len(parts) > 1 else parts
    if len(answers) > 1:
        names = " and ".join(f"<{local_name(part.tag)[:40]}>" for part in answers[:2])
        raise ProtocolError(f"the SOAP body has {len(answers)} answers, such as {names}: which one counts is open")
    return (answers or parts or [None])[0]


class Decoder:
    """Decodes replies; plans are compiled once per model.

    Args:
        readers: reader of a scalar's text, by Python type.
    """

    def __init__(self, readers: Mapping[Any, Reader]) -> None:
        self.readers = RecordReaders(readers)

    def response(self, response: Element | None, name: str, reads: Reads, read_list: ReadList | None = None) -> Decoded:
        """Decode the `<Op>Response` element.

        Args:
            response: the element; None for an empty body, which only an operation without a result may send.
            name: the expected local name.
            reads: what the result is.
            read_list: reads the rows of a list; without it they are read from the tree.

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
            _whole(content)
            decoded.present = True
            self._content(content, reads, decoded, read_list)
        return decoded

    def _nothing(self, response: Element, decoded: Decoded) -> Decoded:
        # A service that answers a void operation with an envelope all the same may say Failure in it.
        if len(response):
            self._envelope(_result_of(response), decoded)
        return decoded

    def _envelope(self, result: Element, decoded: Decoded) -> Element | None:
        """Read the APIResult members, if *result* is one; return the element that holds the value."""
        _whole(result)
        members: dict[str, Element] = {}
        for child in result:
            members.setdefault(local_name(child.tag).casefold(), child)
        if not _ENVELOPE_MEMBERS & members.keys():
            return result
        for child in result:
            _refuse_another(members[local_name(child.tag).casefold()], child)
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

    def _content(self, content: Element, reads: Reads, decoded: Decoded, read_list: ReadList | None) -> None:
        if isinstance(reads, RowsOf):
            self._rows(content, reads, decoded, read_list)
        elif isinstance(reads, OneOf):
            self._one(content, self.readers.of(reads.model), decoded)
        elif isinstance(reads, ScalarOf):
            decoded.value, decoded.problems = self._scalar(content, self.readers.reader(reads.type))

    @staticmethod
    def _scalar(content: Element, reader: Reader) -> tuple[Any, tuple[Problem, ...]]:
        field_name, text = local_name(content.tag), content.text or ""
        if len(content):
            return None, (Problem("a structure where a single value belongs", field=field_name),)
        try:
            return reader(text), ()
        except ValueError as error:
            return None, (Problem(str(error), field=field_name, value=repr(text[:60])),)

    def _rows(self, container: Element, reads: RowsOf, decoded: Decoded, read_list: ReadList | None) -> None:
        reader = self.readers.of(reads.model)
        if (container.text or "").strip():
            raise ProtocolError(f"text where a list of {reader.name} belongs: {container.text.strip()[:60]!r}")
        if read_list is None:
            if len(container) > reads.most:
                raise _too_many(len(container), reads)
            for element in container:
                row = read_element(element, reader, decoded)
                yield_point()
                if row is not None:
                    raw = etree.tostring(element, with_tail=False) if reads.raw else row.raw
                    decoded.rows.append(row._replace(raw=raw))
        else:
            read_list(container, decoded)
        if decoded.nil_rows:
            decoded.warnings.append(f"{decoded.nil_rows} nil rows dropped")

    def _one(self, content: Element, reader: RecordReader, decoded: Decoded) -> None:
        row = _record(content, reader, decoded)
        decoded.value, decoded.problems = row.value, row.problems


def refuse_too_many(body: bytes, reads: RowsOf) -> None:
    """Refuse a reply with far more rows than were asked for, before anything is made of it.

    It counts the names of rows and the tags, which is quick; rows of another name are counted in the tree.

    Raises:
        ProtocolError: There are too many.
    """
    elements = body.count(b"<")
    if elements <= reads.most:
        return
    named = body.count(reads.model.__name__.encode())  # twice for a row with members
    if named > 2 * reads.most + 50:
        raise _too_many(named // 2, reads)
    if elements > (_MOST_ELEMENTS if reads.asked is None else 20_000 + 4_000 * reads.asked):
        raise ProtocolError(
            f"the reply has {elements} tags, far more than what was asked for can need; it was not read"
        )


def _too_many(rows: int, reads: RowsOf) -> ProtocolError:
    asked = "" if reads.asked is None else f", and {reads.asked} were asked for"
    return ProtocolError(f"the reply has {rows} rows or more{asked}; it was not read")


def read_element(element: Element, reader: RecordReader, decoded: Decoded) -> Row | None:
    """Read one row of a list from the tree; return None if it is nil."""
    if len(element) or not is_nil(element):
        return _record(element, reader, decoded)
    decoded.nil_rows += 1
    return None


def _record(element: Element, reader: RecordReader, decoded: Decoded) -> Row:
    """One record, from the tree."""
    problems: list[Problem] = []
    data = reader.read(element, Findings(problems, decoded.drift))
    if not problems:
        try:
            return reader.record(data)
        except ValidationError as error:
            problems = problems_of(reader.model, error, data)
    key = reader.key(data)
    named = tuple(Problem(p.message, key=key or None, field=p.field, value=p.value) for p in problems)
    return Row(key, None, named, etree.tostring(element, with_tail=False))


def _result_of(response: Element) -> Element | None:
    if len(response) == 1:
        return response[0]
    if _ENVELOPE_MEMBERS & {local_name(child.tag).casefold() for child in response}:
        return response  # the envelope's members stand directly in the response
    results = [child for child in response if local_name(child.tag).endswith("Result")]
    for child in results[1:]:
        if child.tag == results[0].tag:
            _refuse_another(results[0], child)
    return next(iter(results), response[0] if len(response) else None)


def _refuse_another(first: Element, child: Element) -> None:
    """Refuse a member that comes twice, unless it is a single value and the same both times."""
    if first is not child and (len(first) or len(child) or first.text != child.text):
        raise ProtocolError(f"<{local_name(child.tag)[:60]}> comes twice in the reply: which one counts is open")


def _whole(element: Element) -> None:
    """Refuse an element that stands for a value which is not in the reply."""
    if element.get(BROKEN) is not None:
        raise ProtocolError(
            f"<{local_name(element.tag)[:60]}> refers to {element.get(BROKEN)!r}, which the reply does not hold"
        )


def _leaf(element: Element | None) -> str | None:
    if element is not None:
        _whole(element)
    return None if element is None or is_nil(element) else (element.text or "")
