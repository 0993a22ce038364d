"""The contract in force as plain type descriptions, read from its XSDs.

Nothing here is written per operation or per member. The same code reads and serves another WSDL of the same operations,
with other namespaces, another member order or more members.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from . import documents as published
from .documents import WSDL, WSDL_SOAP, ContractError, Documents
from .scalars import ScalarKind, kind_of
from .xmltree import XS, Element, resolve

if TYPE_CHECKING:
    from pathlib import Path

# A value as it travels: text, nothing (xsi:nil or absent), a record, or a list. Scalars stay text (see scalars.py).
Wire: TypeAlias = "str | dict[str, Wire] | list[Wire] | None"
WireRecord: TypeAlias = dict[str, Wire]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A simple type: an XSD built-in, or an enumeration."""

    name: str
    kind: ScalarKind
    values: tuple[str, ...] = ()

    @property
    def default(self) -> str | None:
        """The value that .NET reads if it is omitted; None for strings."""
        return self.values[0] if self.values else self.kind.default


@dataclass(slots=True, eq=False)
class Member:
    """One element inside a record or list."""

    namespace: str
    name: str
    type: WireType = field(repr=False)  # types may be large, and refer to each other
    nillable: bool

    @property
    def is_value(self) -> bool:
        """True if .NET holds it in a value type, which is null only if nillable."""
        return isinstance(self.type, Scalar) and self.type.default is not None


@dataclass(slots=True, eq=False)
class Record:
    """A complex type."""

    namespace: str
    name: str
    members: list[Member] = field(default_factory=list[Member], repr=False)  # in the declared order, base members first

    _places: dict[str, int] = field(default_factory=dict[str, int], repr=False)

    def places(self) -> dict[str, int]:
        """Return each member's position by its tag."""
        if len(self._places) != len(self.members):
            self._places.update({f"{{{m.namespace}}}{m.name}": place for place, m in enumerate(self.members)})
        return self._places

    def member(self, name: str) -> Member | None:
        """Return the member of that name."""
        return next((member for member in self.members if member.name == name), None)


@dataclass(slots=True, eq=False)
class ListOf:
    """An ``ArrayOf...`` type."""

    namespace: str
    name: str
    item: Member


WireType: TypeAlias = "Scalar | Record | ListOf"


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: its action and its two wrapper elements."""

    name: str
    action: str
    request_tag: str
    request: Record
    response_tag: str
    response: Record

    @property
    def result(self) -> Member | None:
        """The only child of the reply's wrapper; None if nothing is returned."""
        return self.response.members[0] if self.response.members else None

    @property
    def data(self) -> Member | None:
        """The ``ResultData`` inside an APIResult, else the result itself."""
        result = self.result
        if result is not None and isinstance(result.type, Record):
            return result.type.member("ResultData") or result
        return result

    @property
    def enveloped(self) -> bool:
        """True if the result is an APIResult."""
        return self.data is not self.result


@dataclass(frozen=True, eq=False)
class Contract:
    """All operations of a WSDL, and its documents."""

    namespace: str
    port_type: str
    service: str
    operations: dict[str, Operation]
    records: dict[str, Record]
    documents: Documents

    def record(self, name: str) -> Record:
        """Return the data contract of that name, in any namespace."""
        try:
            return self.records[name]
        except KeyError:
            raise ContractError(f"the contract declares no type named {name}") from None


class _Types:
    """Builds type descriptions on demand."""

    def __init__(self, documents: Documents) -> None:
        self._found: dict[tuple[str, str], Element] = {}
        self._elements: dict[tuple[str, str], Element] = {}
        self._schemas: dict[Element, Element] = {}
        self._made: dict[tuple[str, str], WireType] = {}
        for schema in documents.schemas:
            target = schema.get("targetNamespace", "")
            for child in schema:
                key = (target, child.get("name", ""))
                if child.tag == f"{{{XS}}}element":
                    self._elements[key] = child
                elif child.tag in {f"{{{XS}}}complexType", f"{{{XS}}}simpleType"}:
                    self._found[key] = child

    def records(self) -> dict[str, Record]:
        """Build every named record and return it by local name."""
        made = (self.named(space, name) for space, name in self._found)
        return {record.name: record for record in made if isinstance(record, Record)}

    def wrapper(self, space: str, name: str) -> Record:
        """Build the record of a global element."""
        element = self._elements.get((space, name))
        if element is None:
            raise ContractError(f"the schemas declare no element {{{space}}}{name}")
        made = self._type_of(element, space)
        if not isinstance(made, Record):
            raise ContractError(f"{name} is not a wrapper element")
        return made

    def named(self, space: str, name: str) -> WireType:
        """Build, or return, the type of that name."""
        if space == XS:
            return Scalar(name, kind_of(name))
        key = (space, name)
        if key not in self._made:
            found = self._found.get(key)
            if found is None:
                raise ContractError(f"the schemas declare no type {{{space}}}{name}")
            self._made[key] = self._build(found, space, name)
        return self._made[key]

    def _build(self, found: Element, space: str, name: str) -> WireType:
        if found.tag == f"{{{XS}}}simpleType":
            return self._simple(found, name)
        repeated = [e for e in found.iter(f"{{{XS}}}element") if e.get("maxOccurs", "1") != "1"]
        if repeated:
            return ListOf(space, name, self._member(repeated[0], space))
        record = Record(space, name)
        self._made[space, name] = record  # before its members, which may refer back to it
        self._fill(record, found, space)
        return record

    def _simple(self, found: Element, name: str) -> Scalar:
        restriction = found.find(f"{{{XS}}}restriction")
        if restriction is None:
            return Scalar(name, kind_of("string"))
        base_space, base = resolve(restriction, restriction.get("base", ""))
        values = tuple(e.get("value", "") for e in restriction.findall(f"{{{XS}}}enumeration"))
        if values or base_space == XS:
            return Scalar(name, kind_of(base), values)
        inner = self.named(base_space, base)
        return Scalar(name, inner.kind, inner.values) if isinstance(inner, Scalar) else Scalar(name, kind_of("string"))

    def _fill(self, record: Record, found: Element, space: str) -> None:
        extension = found.find(f".//{{{XS}}}extension")
        if extension is not None:
            base = self.named(*resolve(extension, extension.get("base", "")))
            if isinstance(base, Record):
                record.members.extend(base.members)  # base members first, in the base's namespace (WCF, known)
        for sequence in found.iter(f"{{{XS}}}sequence"):
            record.members.extend(self._member(e, space) for e in sequence.findall(f"{{{XS}}}element"))
            break

    def _type_of(self, element: Element, space: str) -> WireType:
        named = element.get("type")
        if named:
            return self.named(*resolve(element, named))
        inline = element.find(f"{{{XS}}}complexType")
        if inline is None:
            return Scalar("anyType", kind_of("string"))
        return self._build(inline, space, f"({element.get('name')})")  # brackets: cannot collide with a named type

    def _member(self, element: Element, space: str) -> Member:
        nillable = element.get("nillable", "false") in {"true", "1"}
        return Member(space, element.get("name", ""), self._type_of(element, space), nillable)


def _find(root: Element, kind: str, name: str) -> Element:
    for element in root.findall(f"{{{WSDL}}}{kind}"):
        if element.get("name") == name:
            return element
    raise ContractError(f"the WSDL has no {kind} named {name}")


def _wrapper_of(root: Element, types: _Types, end: Element | None) -> tuple[str, Record]:
    if end is None:
        raise ContractError("every operation needs an input and an output message")
    message = _find(root, "message", resolve(end, end.get("message", ""))[1])
    part = message.find(f"{{{WSDL}}}part")
    if part is None or not part.get("element"):
        raise ContractError(f"message {message.get('name')} is not document/literal wrapped")
    space, name = resolve(part, part.get("element", ""))
    return f"{{{space}}}{name}", types.wrapper(space, name)


def build(documents: Documents) -> Contract:
    """Turn documents into a contract.

    Raises:
        ContractError: A part that WCF always publishes is missing.
    """
    root, types = documents.wsdl, _Types(documents)
    binding = root.find(f"{{{WSDL}}}binding")
    service = root.find(f"{{{WSDL}}}service")
    if binding is None or service is None:
        raise ContractError("the WSDL has no binding or no service")
    port_type = _find(root, "portType", resolve(binding, binding.get("type", ""))[1])
    operations: dict[str, Operation] = {}
    for bound in binding.findall(f"{{{WSDL}}}operation"):
        name = bound.get("name", "")
        soap = bound.find(f"{{{WSDL_SOAP}}}operation")
        declared = next(e for e in port_type.findall(f"{{{WSDL}}}operation") if e.get("name") == name)
        action = soap.get("soapAction", "") if soap is not None else ""
        request = _wrapper_of(root, types, declared.find(f"{{{WSDL}}}input"))
        response = _wrapper_of(root, types, declared.find(f"{{{WSDL}}}output"))
        operations[name] = Operation(name, action, *request, *response)
    return Contract(
        namespace=root.get("targetNamespace", ""),
        port_type=port_type.get("name", ""),
        service=service.get("name", ""),
        operations=operations,
        records=types.records(),
        documents=documents,
    )


@lru_cache(maxsize=16)
def _load(path: Path, stamp: int, *, bare_lists: bool, nillable_values: bool) -> Contract:
    del stamp  # part of the key only: an edited file is read anew
    documents = published.load(path)
    if bare_lists:
        documents = published.with_bare_lists(documents)
    if not nillable_values:
        documents = published.without_nillable_values(documents)
    return build(documents)


def load(path: Path, *, bare_lists: bool = False, nillable_values: bool = True) -> Contract:
    """Load the contract at ``path``, varied by the profile; the result is shared.

    Raises:
        ContractError: The WSDL is not one that can be served.
    """
    resolved = path.resolve()
    return _load(resolved, resolved.stat().st_mtime_ns, bare_lists=bare_lists, nillable_values=nillable_values)
