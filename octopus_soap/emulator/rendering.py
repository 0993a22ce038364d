"""Writes replies as WCF does: prefixes s, a, b and i, the contract's member order, explicit ``i:nil``, one line.

Writers are compiled once per type: a reply of 100 items has some 7,000 elements, and the emulator must not be what a
test waits for. The shape is recorded of a tempuri.org WCF service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .contract import ListOf, Record, Scalar
from .scalars import written_date
from .soapfaults import SoapFaultError
from .xmltree import SOAP_ENVELOPE, XSI

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contract import Member, Operation, Wire, WireRecord, WireType
    from .profile import Profile

    Writer: TypeAlias = Callable[["Wire", list[str]], None]

_HEAD = f'<s:Envelope xmlns:s="{SOAP_ENVELOPE}"><s:Body>'
_TAIL = "</s:Body></s:Envelope>"
# Control characters come out as references, which XML 1.0 forbids: WCF does that, and clients choke on it.
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#xD;"} | {
    code: f"&#x{code:X};" for code in range(32) if chr(code) not in "\t\n\r"
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation came to, before it is put into the contract's envelope.

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
            # CustomFieldMapping "will return true or error message" (documented); the other bare results have no room
            # for it.
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
    """Return the namespaces in scope with ``space`` among them, its prefix, and the declaration if it is new."""
    if space in spaces:
        return spaces, chr(ord("a") + spaces.index(space)), ""
    prefix = chr(ord("a") + len(spaces))
    return (*spaces, space), prefix, f' xmlns:{prefix}="{space}"'


def count_elements(reply: bytes) -> int:
    """Return how many elements a reply has: about what WCF counts as items of the object graph."""
    return reply.count(b"</") + reply.count(b"/>")
