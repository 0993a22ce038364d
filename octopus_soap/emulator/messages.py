"""Requests read, and replies written, as WCF's DataContractSerializer does.

The rules of reading (known of WCF):

1. Members are expected in the contract's order. The reader only moves forward: it skips an element that matches no
   *later* member without an error, so a member out of order, repeated, misspelled or in another namespace arrives as
   null or 0.
2. A value that cannot be read as its type faults the whole call (DeserializationFailed): bad numbers, dates and
   enumeration texts, an empty element for a value type, ``i:nil`` on a value type that is not nillable.
3. Strings are kept as they are, spaces included.

Everything skipped goes to the lint log: showing it is the purpose of the emulator.

Replies have the prefixes s, a, b and i, the contract's member order, explicit ``i:nil``, and one line; the form is
recorded of a tempuri.org WCF service. Writers are compiled once per type, because a reply of 100 items has some 7,000
elements, and tests must not wait for the emulator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from .contract import ListOf, Operation, Record, Scalar
from .records import LintNote, LintWhat
from .replies import SoapFaultError, deserialization_fault
from .scalars import LexicalError, written_date
from .xmltree import NIL, SOAP_ENVELOPE, XSI, XSI_TYPE, Element, local, namespace, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contract import Member, Wire, WireRecord, WireType
    from .profile import Profile

    Writer: TypeAlias = Callable[["Wire", list[str]], None]

_HEAD = f'<s:Envelope xmlns:s="{SOAP_ENVELOPE}"><s:Body>'
_TAIL = "</s:Body></s:Envelope>"
# Control characters are written as references, as WCF does; XML 1.0 forbids them, and clients fail on them.
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#xD;"} | {
    code: f"&#x{code:X};" for code in range(32) if chr(code) not in "\t\n\r"
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an operation, before it is put into the contract's envelope.

    Args:
        data: The result: the content of ``ResultData``, or the bare result.
        ok: Whether ``Status`` is Success.
        code: ``MessageCode``.
        message: ``Message``.
        subject: ``Data``: "operation specific data which caused the failure" (recorded).
    """

    data: Wire = None
    ok: bool = True
    code: int = 0
    message: str | None = None
    subject: str | None = None


class ReplyWriter:
    """Writes the replies of one contract under one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._compiled: dict[tuple[int, tuple[str, ...]], Writer] = {}
        self._kept: list[WireType] = []  # keeps the types alive whose id() are keys above

    def reply(self, operation: Operation, outcome: Outcome) -> bytes:
        """Return the envelope of a reply.

        Raises:
            SoapFaultError: A failure of an operation whose bare list has no place for one.
        """
        space, name = operation.response_tag[1:].split("}")
        parts = [_HEAD, f'<{name} xmlns="{space}"']
        result = operation.result
        if result is None:
            parts.append("/>")
        else:
            parts.append(">")
            self._result(result, self._content(operation, result, outcome), parts)
            parts.append(f"</{name}>")
        parts.append(_TAIL)
        return "".join(parts).encode()

    def _content(self, operation: Operation, result: Member, outcome: Outcome) -> Wire:
        if operation.enveloped:
            code = outcome.code if outcome.ok or self._profile.message_codes else 1
            return {
                "Status": "Success" if outcome.ok else "Failure",
                "MessageCode": str(code),
                "Message": outcome.message,
                "Data": outcome.subject,
                "ResultData": outcome.data,
            }
        if not outcome.ok and outcome.data is None:
            if isinstance(result.type, ListOf):
                raise SoapFaultError("client-text", outcome.message or "")
            # CustomFieldMapping "will return true or error message" (documented); the others cannot hold a text.
            return outcome.message if isinstance(result.type, Scalar) and result.type.default is None else None
        return outcome.data

    def _result(self, result: Member, value: Wire, parts: list[str]) -> None:
        name, declared = result.name, result.type
        if isinstance(declared, Scalar):
            text = value if isinstance(value, str) else declared.default
            if text is None:
                parts.append(f'<{name} i:nil="true" xmlns:i="{XSI}"/>')
            else:
                parts.append(f"<{name}>{self._text(declared)(text)}</{name}>")
            return
        space = _content_namespace(declared)
        parts.append(f"<{name}")
        attributes = f' xmlns:a="{space}" xmlns:i="{XSI}"'
        if value is None:
            parts.append(f' i:nil="true"{attributes}/>')
            return
        parts.append(attributes)
        if value:
            parts.append(">")
            self._writer(declared, (space,))(value, parts)
            parts.append(f"</{name}>")
        else:
            parts.append("/>")

    def _writer(self, declared: WireType, spaces: tuple[str, ...]) -> Writer:
        key = (id(declared), spaces)
        if key not in self._compiled:
            self._kept.append(declared)
            members = declared.members if isinstance(declared, Record) else []
            if isinstance(declared, ListOf):
                self._compiled[key] = self._list_writer(declared.item, spaces)
            else:
                self._compiled[key] = self._record_writer(members, spaces)
        return self._compiled[key]

    def _list_writer(self, item: Member, spaces: tuple[str, ...]) -> Writer:
        write_item = self._member_writer(item, spaces)

        def write(value: Wire, parts: list[str]) -> None:
            for row in value if isinstance(value, list) else ():
                write_item(row, parts)

        return write

    def _record_writer(self, members: list[Member], spaces: tuple[str, ...]) -> Writer:
        table = [(member.name, self._member_writer(member, spaces)) for member in members]

        def write(value: Wire, parts: list[str]) -> None:
            record: WireRecord = value if isinstance(value, dict) else {}
            for name, write_member in table:
                write_member(record.get(name), parts)

        return write

    def _member_writer(self, member: Member, spaces: tuple[str, ...]) -> Writer:
        """Return the writer of one element: null, empty or full."""
        spaces, own_prefix, declare = _prefixed(member.namespace, spaces)
        name = f"{own_prefix}:{member.name}"
        declared = member.type
        nothing = f'<{name}{declare} i:nil="true"/>'
        if isinstance(declared, Scalar):
            text_of, opening, closing = self._text(declared), f"<{name}{declare}>", f"</{name}>"
            if member.is_value and not member.nillable:
                nothing = f"{opening}{text_of(declared.default or '')}{closing}"

            def write_scalar(value: Wire, parts: list[str]) -> None:
                parts.append(f"{opening}{text_of(value)}{closing}" if isinstance(value, str) else nothing)

            return write_scalar
        inner_spaces, _, inner_declare = _prefixed(_content_namespace(declared), spaces)
        head, empty = f"<{name}{declare}{inner_declare}>", f"<{name}{declare}{inner_declare}/>"
        lazily: list[Writer] = []  # compiled on first use: types may be recursive

        def write_complex(value: Wire, parts: list[str]) -> None:
            if value is None:
                parts.append(nothing)
            elif not value and isinstance(declared, ListOf):
                parts.append(empty)
            else:
                if not lazily:
                    lazily.append(self._writer(declared, inner_spaces))
                parts.append(head)
                lazily[0](value, parts)
                parts.append(f"</{name}>")

        return write_complex

    def _text(self, declared: Scalar) -> Callable[[str], str]:
        kind, offset = self._profile.date_kind, self._profile.server_offset
        if declared.kind.dotnet == "DateTime" and kind != "unspecified":
            return lambda text: written_date(text, kind=kind, offset=offset)
        return _escaped if declared.kind.dotnet == "String" else str


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _content_namespace(declared: Record | ListOf) -> str:
    if isinstance(declared, ListOf):
        return declared.item.namespace
    return declared.members[-1].namespace if declared.members else declared.namespace


def _prefixed(space: str, spaces: tuple[str, ...]) -> tuple[tuple[str, ...], str, str]:
    """Return the namespaces in scope, the prefix of ``space``, and its declaration."""
    if space in spaces:
        return spaces, chr(ord("a") + spaces.index(space)), ""
    prefix = chr(ord("a") + len(spaces))
    return (*spaces, space), prefix, f' xmlns:{prefix}="{space}"'


def count_elements(reply: bytes) -> int:
    """Return the number of elements, about what WCF counts as items of the graph."""
    return reply.count(b"</") + reply.count(b"/>")


MAX_SKU = 50  # documented

# Documented: "Maximum ... characters", by type and member, for members that hold text. The page's lengths of Price,
# Cost, PriceB, MSRP and salesprice are left out: they belong to other members, those of another API's table.
LENGTHS: dict[str, dict[str, int]] = {
    "InventoryItem": {
        "Sku": MAX_SKU,
        "Description": 255,
        "Details": 1000,
        "SUBDescription1": 1000,
        "SupplierCode": 50,
        "Applicablestock": 14,
        "Stock": 20,
        "FormQuantity": 20,
        "DCSCode": 50,
        "ItemSID": 255,
        "UPC": 20,
        **{f"Custom{number}": 255 for number in range(1, 31)},
        **{f"ImageUrl{number}": 255 for number in range(1, 6)},
    },
    "ItemQuantityAndPrice": {"Sku": MAX_SKU},
    "KitInfo": {"SKU": MAX_SKU},
    "AttributeInfo": {"Name": 255, "Value": 255},
}
_NO_LENGTHS: dict[str, int] = {}
# The path of the parent, the element's name, and its number in a list (0: not in a list). Joined only for a note.
_Path: TypeAlias = "tuple[_Path | None, str, int]"


class _UnreadableError(Exception):
    """.NET cannot read a value; the message is the inner exception's."""


@dataclass
class RequestReader:
    """Reads the parameters of one request."""

    operation: Operation
    max_string: int | None = None
    max_items: int | None = None  # objects and members
    notes: list[LintNote] = field(default_factory=list[LintNote])
    _count: int = 0
    _parameter: Member | None = None  # the parameter that is being read, for the fault

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
            declared = member.type
            if path[0] is None:
                self._parameter = member
            if isinstance(declared, Scalar) and not child.attrib:  # nearly every member
                self._counted()
                read[member.name] = self._scalar(child, declared)
            else:
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

    def _counted(self) -> None:
        self._count += 1
        if self.max_items is not None and self._count > self.max_items:
            raise _UnreadableError(
                "Maximum number of items that can be serialized or deserialized in an object graph is "
                f"'{self.max_items}'. Change the object graph or increase the MaxItemsInObjectGraph quota."
            )

    def _value(self, element: Element, member: Member, path: _Path) -> Wire:
        self._counted()
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
