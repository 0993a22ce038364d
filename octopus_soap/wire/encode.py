"""Encode requests exactly as the contract in force defines them.

A WCF server silently ignores members that are out of order or in another namespace; in a price update that is money.
So member order, names, namespaces and types come from the contract alone, and a value that the contract has no place
for is an error. It is never dropped.

Encoders are compiled once per contract type and model, with their tags. Namespaces are declared once, at the top. A
member has three states: unset is left out, None is `xsi:nil`, empty is an empty element.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from octopus_soap.errors import ContractError, InvalidInputError, Problem
from octopus_soap.models.base import GivenName, WireModel
from octopus_soap.models.scalars import FORBIDDEN
from octopus_soap.wire.redact import is_secret_member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.contracts.compiled import Member, OperationContract, Shape

    Write = Callable[[Any, list[str]], None]
    """Appends a value's XML to a list of pieces."""

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
_ROWS = "\0"  # marks the place of a list's rows; no text on the wire can have it
_PREFIXES = "abcdefghjklmnopqrtuvwxyz"  # s and i are taken
_SPECIAL = re.compile("[&<>\r]|" + FORBIDDEN.pattern)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}  # a raw CR would be read back as LF
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_INTEGERS = frozenset(
    ["byte", "int", "integer", "long", "short", "unsignedByte", "unsignedInt", "unsignedLong", "unsignedShort", "char"]
)


def escape(text: str) -> str:
    """Escape *text* for an element, or raise `ValueError` if XML forbids a character."""
    return _SPECIAL.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    try:
        return _ESCAPES[match[0]]
    except KeyError:
        raise ValueError(f"character {match[0]!r} cannot be sent in XML") from None


class EnvelopeParts(NamedTuple):
    """The bytes before and after the rows of a list parameter."""

    head: bytes
    tail: bytes

    def __repr__(self) -> str:  # without the head, which has the account id
        return f"EnvelopeParts({len(self.head)} bytes, {len(self.tail)} bytes)"


class RequestEncoder:
    """Encodes the requests of one operation of one contract."""

    def __init__(self, operation: OperationContract, utc_suffix: str = "Z") -> None:
        self._operation = operation
        self.action = operation.action
        """The SOAPAction, unquoted."""
        self._steps = cache(self._argument_steps)
        self.row_writer = cache(self._row_writer)
        self.text_rows = cache(self._text_rows)
        self._prefixes = _prefixes(operation.request)
        self._formats = scalar_formats(utc_suffix)
        self._writers: dict[int, Write] = {}
        self._plans: dict[tuple[int, type[WireModel]], ModelEncoder] = {}
        declared = "".join(f' xmlns{":" if prefix else ""}{prefix}="{uri}"' for uri, prefix in self._prefixes.items())
        tag = self._tag(operation.request)
        self._open = f'<s:Envelope xmlns:s="{ENVELOPE}" xmlns:i="{XSI}"{declared}><s:Body><{tag}>'
        self._close = f"</{tag}></s:Body></s:Envelope>"

    def envelope(self, arguments: Mapping[str, Any]) -> bytes:
        """Return the envelope of a call with *arguments*, by wire parameter."""
        out = [self._open]
        for name, write in self._steps(tuple(arguments)):
            write(arguments[name], out)
        out.append(self._close)
        return "".join(out).encode()

    def frame(self, arguments: Mapping[str, Any], listed: str) -> EnvelopeParts:
        """Return the envelope around the rows of *listed*, with other *arguments*."""
        out = [self._open]
        for name, write in self._steps((*arguments, listed), listed):
            write(arguments.get(name), out)
        out.append(self._close)
        head, _, tail = "".join(out).partition(_ROWS)
        return EnvelopeParts(head.encode(), tail.encode())

    def _row_writer(self, listed: str) -> Callable[[Any], bytes]:
        """Return the function that encodes one row of the list parameter *listed*."""
        write = self._writer(self._repeated(listed), one=True)

        def row(value: Any) -> bytes:
            out: list[str] = []
            write(value, out)
            return "".join(out).encode()

        return row

    def _text_rows(self, listed: str) -> Callable[[list[str]], list[bytes] | None]:
        """Return the function that encodes many texts at once, as `row_writer` does one.

        It returns None for texts that must be encoded one by one.
        """
        repeated = self._repeated(listed)
        if not repeated.shape.scalar or self._formats.get(repeated.shape.scalar, _text) is not _text:
            return lambda _: None
        tag = self._tag(repeated)
        between = f"</{tag}>{_ROWS}<{tag}>"

        def rows(texts: list[str]) -> list[bytes] | None:
            joined = "".join(texts)
            plain = joined.isascii() and joined.isprintable() and not ("<" in joined or "&" in joined or ">" in joined)
            if not plain and _SPECIAL.search(joined) is not None:
                return None
            return f"<{tag}>{between.join(texts)}</{tag}>".encode().split(_ROWS.encode())

        return rows

    def _repeated(self, listed: str) -> Member:
        """Return the element that is repeated in the list parameter *listed*."""
        member = self._operation.parameter(listed)
        repeated = member if member.many else member.shape.items
        if repeated is None:
            raise ContractError(f"the contract in force does not declare {member.name} as a list")
        return repeated

    def _argument_steps(self, names: tuple[str, ...], listed: str = "") -> list[tuple[str, Write]]:
        """Return the writers of the arguments *names*, in the contract's order."""
        given = {self._operation.parameter(name).name: name for name in names}
        members = [member for member in self._operation.request.shape.members if member.name in given]
        return [
            (given[member.name], self._mark(member) if given[member.name] == listed else self._writer(member))
            for member in members
        ]

    def _mark(self, member: Member) -> Write:
        """Return the function that writes the place of a list's rows."""
        tag = self._tag(member)
        place = _ROWS if member.many else f"<{tag}>{_ROWS}</{tag}>"
        return lambda _, out: out.append(place)

    def _tag(self, member: Member) -> str:
        prefix = self._prefixes.get(member.namespace)
        return f"{prefix}:{member.name}" if prefix else member.name

    def _writer(self, member: Member, *, one: bool = False) -> Write:
        # Members live as long as their contract, so their identity is a safe key; `one` writes a single row of it.
        key = id(member) * 2 + one
        write = self._writers.get(key)
        if write is None:
            write = self._many(member) if member.many and not one else self._one(member)
            self._writers[key] = write
        return write

    def _many(self, member: Member) -> Write:
        write_row = self._writer(member, one=True)

        def write(values: Any, out: list[str]) -> None:
            for value in values or ():
                write_row(value, out)

        return write

    def _one(self, member: Member) -> Write:
        tag = self._tag(member)
        return self._scalar(member, tag) if member.shape.scalar else self._complex(member, tag)

    @staticmethod
    def _nil(member: Member, tag: str) -> Callable[[], str]:
        """Return the function that writes None, or refuses it."""
        if member.nillable:
            nil = f'<{tag} i:nil="true"/>'
            return lambda: nil

        def refuse() -> str:
            raise _refused(member, "the contract in force does not let it be null; leave it unset instead")

        return refuse

    def _scalar(self, member: Member, tag: str) -> Write:
        start, end, nil = f"<{tag}>", f"</{tag}>", self._nil(member, tag)
        form = self._formats.get(member.shape.scalar, _text)

        def write(value: Any, out: list[str]) -> None:
            if value is None:
                out.append(nil())
                return
            try:
                out.append(start + form(value) + end)
            except ValueError as error:
                raise _refused(member, str(error), value) from None

        return write

    def _complex(self, member: Member, tag: str) -> Write:
        shape, items, nil = member.shape, member.shape.items, self._nil(member, tag)

        def write(value: Any, out: list[str]) -> None:
            if value is None:
                out.append(nil())
            elif isinstance(value, WireModel):
                self._plan(shape, type(value)).write(value, tag, out)
            elif isinstance(value, dict):  # a member of a pinned contract only, as it was read from a reply
                self._mapping(shape, value, tag, out)
            elif items is not None and isinstance(value, (list, tuple)):
                out.append(f"<{tag}>")
                write_row = self._writer(items, one=True)
                for row in value:
                    write_row(row, out)
                out.append(f"</{tag}>")
            else:
                raise _refused(member, f"expected a {shape.name}", value)

        return write

    def _mapping(self, shape: Shape, value: Mapping[str, Any], tag: str, out: list[str]) -> None:
        out.append(f"<{tag}>")
        for member in shape.members:
            if member.name in value:
                found = value[member.name]
                self._writer(member)([found] if member.many and not isinstance(found, list) else found, out)
        out.append(f"</{tag}>")

    def _plan(self, shape: Shape, model: type[WireModel]) -> ModelEncoder:
        key = (id(shape), model)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = ModelEncoder(shape, model, self._writer)
        return plan


class ModelEncoder:
    """Writes one model as one contract type, with its members in the contract's order."""

    def __init__(self, shape: Shape, model: type[WireModel], writer: Callable[[Member], Write]) -> None:
        names = model.wire_names()
        folded = {name.casefold(): attribute for name, attribute in names.items()}
        self._shape, self._called = shape, model.__name__
        # (name in model_fields_set, is in model_extra, writer): pydantic lists extra members in model_fields_set too
        self._steps: list[tuple[str, bool, Write]] = []
        for member in shape.members:
            attribute = names.get(member.name) or folded.get(member.name.casefold())
            self._steps.append((attribute or member.name, attribute is None, writer(member)))
        self._covered = frozenset(name for name, _, _ in self._steps)

    def write(self, value: WireModel, tag: str, out: list[str]) -> None:
        """Append *value* as the element *tag*."""
        given, values = value.__pydantic_fields_set__, value.__dict__
        if not given <= self._covered:
            self._refuse_unplaced(value)
        out.append(f"<{tag}>")
        name = ""
        try:
            for name, foreign, write in self._steps:
                if name in given:
                    write((value.__pydantic_extra__ or {})[name] if foreign else values[name], out)
        except InvalidInputError as error:
            raise self._located(error, name) from None
        out.append(f"</{tag}>")

    def _located(self, error: InvalidInputError, name: str) -> InvalidInputError:
        """Return *error* with Python's name of the member; a deeper one has its name."""
        own = f"{self._called}.{name}"
        return InvalidInputError([p if "." in p.field else replace(p, field=own) for p in error.problems])

    def _refuse_unplaced(self, value: WireModel) -> None:
        # A member that this contract does not have is left out if it came with a reply, refused if the caller set it.
        received = {name for name in value.model_extra or {} if not isinstance(name, GivenName)}
        unplaced = sorted(value.model_fields_set - self._covered - received)
        if unplaced:
            raise ContractError(f"the contract in force has no place for {', '.join(unplaced)} in {self._shape.name}")


def _refused(member: Member, message: str, value: Any = None) -> InvalidInputError:
    shown = "" if value is None or is_secret_member(member.name) else repr(value)[:60]
    return InvalidInputError([Problem(message, field=member.name, value=shown)])


def _prefixes(request: Member) -> dict[str, str]:
    """Return each namespace with its prefix; the most used one goes without."""
    members: Counter[str] = Counter()
    seen: set[int] = set()
    waiting = [request]
    while waiting:
        member = waiting.pop(0)
        members[member.namespace] += 1
        if id(member.shape) not in seen:
            seen.add(id(member.shape))
            waiting += member.shape.members
    # An element of no namespace must not get a default namespace.
    default = "" if members[""] else members.most_common(1)[0][0]
    named = [uri for uri in members if uri and uri != default]
    prefixes = [*_PREFIXES, *(f"n{number}" for number in range(len(named)))]
    return {**({default: ""} if default else {}), **dict(zip(named, prefixes, strict=False))}


def scalar_formats(utc_suffix: str) -> dict[str, Callable[[Any], str]]:
    """Return the writers of values by XSD type; another type is written as text.

    *utc_suffix* is added to a UTC time: `Z`, or nothing for a service that expects none.
    """

    def moment(value: Any) -> str:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError("a datetime without a time zone is ambiguous")
            return value.astimezone(UTC).replace(tzinfo=None).isoformat() + utc_suffix
        return _text(value)

    numbers = dict.fromkeys(_INTEGERS, _integer)
    return {**numbers, "decimal": _decimal, "float": _real, "double": _real, "boolean": _flag, "dateTime": moment}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value if _SPECIAL.search(value) is None else escape(value)
    if isinstance(value, SecretStr):  # wrapped up to here, so that no traceback shows it
        return _text(value.get_secret_value())
    return _flag(value) if isinstance(value, bool) else escape(str(value))


def _integer(value: Any) -> str:
    if type(value) is int:
        return str(value)
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return str(int(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value) and "." not in value:
        return value
    raise ValueError("the contract in force requires an integer")


def _decimal(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if type(value) is int:
        return str(value)
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return value
    raise ValueError("the contract in force requires a decimal number")


def _real(value: Any) -> str:
    if isinstance(value, float):
        return repr(value).upper()
    return _decimal(value)


def _flag(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value in ("true", "false", "1", "0"):
        return str(value)
    raise ValueError("the contract in force requires true or false")
