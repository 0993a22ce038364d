"""The compiled form of a contract, stored as JSON next to the WSDL.

Reading a WSDL with zeep takes longer than everything else in a first call. The encoder needs only the operations, as
plain records. They are stored once: in the package for the bundled contract, by `wsdl pin` for a pinned one.

* A compiled contract is used only if this version of the library made it from exactly the present WSDL and schemas
  (their SHA-256 is compared), and if its own SHA-256 is right.
* In any other case (absent, cut short, edited, stale) `read_compiled` returns None, and the caller reads the WSDL. Next
  to a pinned contract, the file is then replaced.
* It is data. Nothing in it is executed or imported, and it names no file outside the WSDL's folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from octopus_soap._version import __version__
from octopus_soap.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUFFIX = ".compiled.json"
_HEAD = b'{"sha256": "%s",\n"contract": '
_HEAD_BYTES = len(_HEAD % (b"0" * 64))
_TAIL = b"}\n"
_MOST_BYTES = 16 * 1024 * 1024
_VALUE_TYPES = frozenset({
    "boolean", "byte", "date", "dateTime", "decimal", "double", "duration", "float", "int", "integer", "long", "short",
    "time", "unsignedByte", "unsignedInt", "unsignedLong", "unsignedShort", "char", "guid",
})  # fmt: skip # read as a list of names
"""Value types in .NET: a WCF server reads an omitted one as 0, false or year 1, unless it is nillable."""


@dataclass(frozen=True, slots=True)
class Member:
    """One element of a sequence."""

    name: str
    namespace: str
    nillable: bool
    many: bool
    shape: Shape = field(repr=False, compare=False)

    @property
    def is_value_type(self) -> bool:
        """True if .NET has it as a value type: a number, a date or an enumeration."""
        return self.shape.scalar in _VALUE_TYPES or self.shape.enumeration


@dataclass(slots=True, eq=False)
class Shape:
    """A type: a scalar or a sequence of members."""

    name: str
    namespace: str
    scalar: str = ""  # the name of the XSD base type; empty for a sequence
    members: tuple[Member, ...] = ()
    enumeration: bool = False

    @property
    def items(self) -> Member | None:
        """The repeated member, if the type is a list (`ArrayOfX`)."""
        return self.members[0] if len(self.members) == 1 and self.members[0].many else None


class OperationContract(NamedTuple):
    """One operation of the service: its action and the shape of its request."""

    name: str
    action: str
    request: Member
    response_name: str
    response: Member | None

    def parameter(self, name: str) -> Member:
        """Return the request's parameter *name*, or raise `ContractError`."""
        for member in self.request.shape.members:
            if member.name == name:
                return member
        found = [m for m in self.request.shape.members if m.name.casefold() == name.casefold()]
        if len(found) == 1:
            return found[0]
        raise ContractError(f"the contract in force has no parameter {name!r} in {self.name}")


class CompiledContract(NamedTuple):
    """The parts of a contract that are stored.

    Attributes:
        files: SHA-256 of the WSDL and of each schema, by its path relative to the WSDL's folder.
        operations: The operations by wire name.
    """

    files: Mapping[str, str]
    operations: Mapping[str, OperationContract]


def compiled_path(wsdl: Path) -> Path:
    """Return the path of the compiled form of the contract in *wsdl*."""
    return wsdl.with_name(f"{wsdl.stem}{_SUFFIX}")


def to_bytes(compiled: CompiledContract) -> bytes:
    """Return *compiled* as the content of its file; equal contracts give equal bytes."""
    content = {
        "version": __version__,
        "files": dict(sorted(compiled.files.items())),
        **_Writer().written(compiled.operations),
    }
    body = json.dumps(content, indent=0, ensure_ascii=True).encode()
    return _HEAD % hashlib.sha256(body).hexdigest().encode() + body + _TAIL


def from_bytes(stored: bytes) -> CompiledContract | None:
    """Return the contract in *stored*, or None if `to_bytes` did not write it."""
    head, body, tail = stored[:_HEAD_BYTES], stored[_HEAD_BYTES : -len(_TAIL)], stored[-len(_TAIL) :]
    if head != _HEAD % hashlib.sha256(body).hexdigest().encode() or tail != _TAIL:
        return None
    try:
        content = json.loads(body)
        if content["version"] != __version__:
            return None
        return CompiledContract(content["files"], _read(content))
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):  # written by other software
        return None


def read_compiled(wsdl: Path) -> CompiledContract | None:
    """Return the compiled form of the contract in *wsdl*, or None if it is not usable."""
    try:
        path = compiled_path(wsdl)
        if path.stat().st_size > _MOST_BYTES:
            return None
        compiled = from_bytes(path.read_bytes())
        if compiled is None or wsdl.name not in compiled.files:
            return None
        fresh = all(_is_inside(name) and _digest(wsdl.parent / name) == sha for name, sha in compiled.files.items())
    except (OSError, ValueError):
        return None
    return compiled if fresh else None


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replace_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write *content* into the file *path*, which appears whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    import tempfile  # noqa: PLC0415 - slow to import, and a first call writes nothing

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)  # with mkstemp's 0600 the account of a job could not read a contract
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class _Writer:
    """Numbers the shapes, so that types may refer to themselves."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._shapes: list[Shape] = []

    def written(self, operations: Mapping[str, OperationContract]) -> dict[str, Any]:
        found = {
            name: [op.action, op.response_name, self._member(op.request), op.response and self._member(op.response)]
            for name, op in operations.items()
        }
        # The list of shapes grows in this loop: each shape's members may add further ones.
        shapes = [
            [s.name, s.namespace, s.scalar, s.enumeration, [self._member(member) for member in s.members]]
            for s in self._shapes
        ]
        return {"operations": found, "shapes": shapes}

    def _member(self, member: Member) -> list[Any]:
        number = self._numbers.setdefault(id(member.shape), len(self._shapes))
        if number == len(self._shapes):
            self._shapes.append(member.shape)
        return [member.name, member.namespace, member.nillable, member.many, number]


def _read(content: Any) -> dict[str, OperationContract]:
    shapes = [Shape(name, namespace, scalar, (), enum) for name, namespace, scalar, enum, _ in content["shapes"]]

    def member(written: Any) -> Member:
        name, namespace, nillable, many, number = written
        return Member(name, namespace, nillable, many, shapes[number])

    for shape, (*_, members) in zip(shapes, content["shapes"], strict=True):
        shape.members = tuple(map(member, members))
    return {
        name: OperationContract(name, action, member(request), response_name, response and member(response))
        for name, (action, response_name, request, response) in content["operations"].items()
    }
