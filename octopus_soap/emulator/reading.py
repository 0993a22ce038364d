"""Reads a request the way WCF's DataContractSerializer does, which forgives too much.

The rules (known of WCF):

1. Members are expected in the contract's order. The reader only moves forward: an element that matches no *later*
   member is skipped without a word, so a member out of order, repeated, misspelled or in another namespace arrives as
   null or 0.
2. What cannot be read as its type faults the whole call (DeserializationFailed): bad numbers, dates and enumeration
   texts, an empty element for a value type, ``i:nil`` on a value type that is not nillable.
3. Strings are kept as they are, spaces included.

Every skipped thing goes to the lint log: that is what the emulator is for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from .calls import LENGTHS
from .contract import ListOf, Operation, Record, Scalar
from .records import LintNote, LintWhat
from .scalars import LexicalError
from .soapfaults import SoapFaultError, deserialization_fault
from .xmltree import NIL, XSI_TYPE, Element, local, namespace, resolve

if TYPE_CHECKING:
    from .contract import Member, Wire, WireRecord, WireType


_NO_LENGTHS: dict[str, int] = {}
# Where an element is: the path of its parent, its name, and its number in a list (0: in none). Joined only for a note.
_Path: TypeAlias = "tuple[_Path | None, str, int]"


class _UnreadableError(Exception):
    """A value .NET cannot read; the message is the inner exception's."""


@dataclass
class RequestReader:
    """Reads the parameters of one request.

    Args:
        operation: The operation, as the contract in force declares it.
        max_string: Longest text allowed; None for no limit.
        max_items: Largest number of objects and members allowed; None for no limit.
    """

    operation: Operation
    max_string: int | None = None
    max_items: int | None = None
    notes: list[LintNote] = field(default_factory=list[LintNote])
    _count: int = 0
    _parameter: Member | None = None  # the one being read: a fault names it

    def parameters(self, wrapper: Element) -> WireRecord:
        """Return the parameters that were given; those left out, or ignored, are missing.

        Raises:
            SoapFaultError: A value could not be read.
        """
        try:
            return self._record(wrapper, self.operation.request, (None, self.operation.name, 0))
        except _UnreadableError as error:
            member = self._parameter
            kind = _described(member.type) if member is not None else ""
            raise deserialization_fault(
                f"{self.operation.request.namespace}:{member.name if member is not None else ''}",
                f"There was an error deserializing the object of type {kind}. {error}",
            ) from None

    def _record(self, element: Element, record: Record, path: _Path) -> WireRecord:
        """Read the children that are members, moving forward only."""
        places, members = record.places(), record.members
        read: WireRecord = {}
        position = -1
        if element.text and element.text.strip():
            self._note(path, "stray-text", "text between members is ignored")
        for child in element:
            place = places.get(child.tag)
            if place is None or place <= position:
                is_repeated = place is not None and members[place].name in read
                self._skipped(child, record, place, (path, local(child), 0), repeated=is_repeated)
                continue
            position = place
            member = members[place]
            if path[0] is None:
                self._parameter = member
            read[member.name] = self._value(child, member, (path, member.name, 0))
        for name, longest in LENGTHS.get(record.name, _NO_LENGTHS).items():
            value = read.get(name)
            if isinstance(value, str) and len(value) > longest:
                self._note((path, name, 0), "too-long", f"{name} has {len(value)} characters; documented are {longest}")
        return read

    def _skipped(self, child: Element, record: Record, place: int | None, path: _Path, *, repeated: bool) -> None:
        name = local(child)
        if place is not None:
            what: LintWhat = "repeated" if repeated else "out-of-order"
            detail = "given twice" if repeated else f"must come before what it follows; {record.name}'s order is fixed"
            self._note(path, what, f"{name} is ignored: {detail}")
        elif (member := record.member(name)) is not None:
            where = namespace(child) or "no namespace"
            self._note(path, "wrong-namespace", f"{name} is ignored: it is in {where}, not in {member.namespace}")
        else:
            twin = next((member.name for member in record.members if member.name.lower() == name.lower()), "")
            meant = f"; did you mean {twin}?" if twin else ""
            self._note(path, "unknown", f"{name} is ignored: {record.name} has no such member{meant}")

    def _value(self, element: Element, member: Member, path: _Path) -> Wire:
        self._count += 1
        if self.max_items is not None and self._count > self.max_items:
            raise _UnreadableError(
                "Maximum number of items that can be serialized or deserialized in an object graph is "
                f"'{self.max_items}'. Change the object graph or increase the MaxItemsInObjectGraph quota."
            )
        if element.attrib and self._is_nil(element, member):
            return None
        if isinstance(member.type, Scalar):
            return self._scalar(element, member.type)
        if isinstance(member.type, ListOf):
            return self._list(element, member.type, path)
        return self._record(element, member.type, path)

    @staticmethod
    def _is_nil(element: Element, member: Member) -> bool:
        named = element.get(XSI_TYPE)
        if named is not None and not isinstance(member.type, Scalar):
            space, name = resolve(element, named)
            if (space, name) != (member.type.namespace, member.type.name):
                raise _UnreadableError(
                    f"Element '{namespace(element)}:{local(element)}' contains data of the '{space}:{name}' data "
                    "contract. The deserializer has no knowledge of any type that maps to this contract."
                )
        if element.get(NIL, "false").strip() not in {"true", "1"}:
            return False
        if member.is_value and not member.nillable:
            raise _UnreadableError(f"ValueType '{_described(member.type)}' cannot be null.")
        return True

    def _scalar(self, element: Element, scalar: Scalar) -> str:
        if len(element):
            raise _UnreadableError(
                f"End element '{local(element)}' from namespace '{namespace(element)}' expected. Found element "
                f"'{local(element[0])}' from namespace '{namespace(element[0])}'."
            )
        text = element.text or ""
        if self.max_string is not None and len(text) > self.max_string:
            raise _UnreadableError(
                f"The maximum string content length quota ({self.max_string}) has been exceeded while reading XML "
                "data. This quota may be increased by changing the MaxStringContentLength property on the "
                "XmlDictionaryReaderQuotas object used when creating the XML reader."
            )
        if scalar.values:
            if text not in scalar.values:
                raise _UnreadableError(
                    f"Invalid enum value '{text}' cannot be deserialized into type 'OctopusService.{scalar.name}'. "
                    "Ensure that the necessary enum values are present and are marked with EnumMemberAttribute "
                    "attribute if the type has DataContractAttribute attribute."
                )
            return text
        try:
            return scalar.kind.canonical(text)
        except LexicalError as error:
            raise _UnreadableError(str(error)) from None

    def _list(self, element: Element, declared: ListOf, path: _Path) -> list[Wire]:
        wanted = f"{{{declared.item.namespace}}}{declared.item.name}"
        read: list[Wire] = []
        for child in element:
            if child.tag == wanted:
                read.append(self._value(child, declared.item, (path, declared.item.name, len(read) + 1)))
                continue
            here = (path, local(child), len(read) + 1)
            if local(child) == declared.item.name:
                self._note(here, "wrong-namespace", f"the item is ignored: it is not in {declared.item.namespace}")
            else:
                self._note(
                    here, "unknown", f"the item is ignored: items of {declared.name} are named {declared.item.name}"
                )
        return read

    def _note(self, path: _Path, what: LintWhat, detail: str) -> None:
        self.notes.append(LintNote(self.operation.name, _written(path), what, detail))


def _written(path: _Path) -> str:
    parent, name, number = path
    own = f"{name}[{number}]" if number else name
    return own if parent is None else f"{_written(parent)}/{own}"


def _described(declared: WireType) -> str:
    if isinstance(declared, Scalar):
        return f"System.{declared.kind.dotnet}"
    if isinstance(declared, ListOf):
        return f"{_described(declared.item.type)}[]"
    return f"OctopusService.{declared.name}"


def find_wrapper(body: Element | None, operation: Operation) -> Element:
    """Return the request's wrapper element.

    Raises:
        SoapFaultError: The body does not start with it.
    """
    child = body[0] if body is not None and len(body) else None
    expected = operation.request_tag
    if child is None or child.tag != expected:
        found = "an empty body" if child is None else f"'{local(child)}' and namespace '{namespace(child)}'"
        space, name = expected[1:].split("}")
        raise SoapFaultError(
            "deserialization",
            f"Error in deserializing body of request message for operation '{operation.name}'. OperationFormatter "
            f"encountered an invalid Message body. Expected to find node type 'Element' with name '{name}' and "
            f"namespace '{space}'. Found node type 'Element' with name {found}",
        )
    return child
