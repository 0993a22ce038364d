"""Reply mutations: well-formed replies with wrong content.

Contract drift, lost rows and odd data make such replies. Each mutation is a function in a table and changes the reply's
tree. A kind that is recorded of ChannelAdvisor's service is marked as such; the others can happen with any service.
"""

from __future__ import annotations

import copy
import re
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from lxml import etree

from .contract import ListOf, Record
from .faults import InjectedFault
from .xmltree import NIL, XSI_TYPE, Element, local, namespace, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contract import Operation
    from .replies import Reply
    from .server import Delivery
    from .service import Exchange

MutationKind: TypeAlias = Literal[
    "reordered-members",
    "extra-member",
    "renamed-member",
    "other-namespace",
    "other-prefix",
    "derived-type",
    "nil-row",
    "duplicate-row",
    "missing-row",
    "reordered-rows",
    "unasked-row",
    "leading-blanks",
    "unknown-status",
    "bad-scalar",
    "missing-status",
    "renamed-result",
]

_KEYS = ("Sku", "SKU", "sku", "OrderID", "idorder")
_ELSEWHERE = "http://schemas.datacontract.org/2004/07/Elsewhere"
_PREFIXES = {b"s": b"soapenv", b"a": b"q1", b"b": b"q2", b"i": b"xsi"}


@dataclass(frozen=True)
class MutateReply(InjectedFault):
    """Change the reply's content. Executed unless ``execute=False``.

    Args:
        kind: What is wrong with the reply:
            ``reordered-members``: envelope and rows have their members in reverse.
            ``extra-member``: unknown members at the start and the end of envelope and rows (``field``, ``value``).
            ``renamed-member``: ``field`` (default: the key) is called ``value``.
            ``other-namespace``: the data is in the namespace ``value``.
            ``other-prefix``: the same namespaces under other prefixes.
            ``derived-type``: rows carry ``i:type`` and a member in another namespace (recorded).
            ``nil-row``: an ``i:nil`` item comes before row ``row``.
            ``duplicate-row``: row ``row`` comes twice; ``missing-row``: not at all; ``reordered-rows``: rows in
            reverse. ``unasked-row``: a row that was not asked for, its key ``value``.
            ``leading-blanks``: the keys of row ``row``, or of all, padded with blanks (seen in the vendor's REST
            sample). ``unknown-status``: the envelope's Status, or ``field`` in row ``row``, is a text no document
            lists. ``bad-scalar``: ``field`` in row ``row`` is ``value``; without ``field``, the bare result or
            ResultData is. ``missing-status``: the envelope has no Status. ``renamed-result``: the result element is
            called ``value``.
        row: Which row, from 0; None: the first, or all for kinds that change several.
        field: Which member.
        value: The wrong text; each kind has its own default.
    """

    kind: MutationKind
    _: KW_ONLY
    row: int | None = None
    field: str | None = None
    value: str | None = None

    def apply(self, exchange: Exchange | None, reply: Reply, _plan: Delivery, /) -> Reply:
        """Change the reply, unless it is a fault or empty."""
        operation = exchange.operation if exchange is not None else None
        if operation is None or operation.result is None or not reply.body.endswith(b"Envelope>"):
            return reply
        if self.kind == "other-prefix":
            return reply.with_body(_with_other_prefixes(reply.body))
        anatomy = _dissect(parse(reply.body), operation)
        if anatomy is None:
            return reply
        _MUTATIONS[self.kind](anatomy, self)
        return reply.with_body(etree.tostring(anatomy.root))


@dataclass(frozen=True)
class _Anatomy:
    """The parts of a reply."""

    root: Element
    result: Element
    data: Element
    enveloped: bool
    rows: list[Element]
    records: list[Element]  # rows, or the only record, that have members

    def row(self, number: int | None) -> Element | None:
        rows = self.rows or self.records
        place = number or 0
        return rows[place] if place < len(rows) else None


def _dissect(root: Element, operation: Operation) -> _Anatomy | None:
    body = root[-1]
    if not len(body) or not len(body[0]) or local(body[0]) == "Fault":
        return None
    result = body[0][0]
    data = result
    if operation.enveloped:
        data = next((child for child in result if local(child) == "ResultData"), result)
    declared = operation.data.type if operation.data is not None else None
    rows = list(data) if isinstance(declared, ListOf) and data.get(NIL) is None else []
    records = [row for row in rows if len(row)]
    if isinstance(declared, Record) and len(data):
        records = [data]
    return _Anatomy(root, result, data, operation.enveloped, rows, records)


def _member(record: Element | None, name: str | None) -> Element | None:
    """Return the member of that name, or the record's key."""
    if record is None:
        return None
    wanted = (name,) if name is not None else _KEYS
    return next((child for child in record if local(child) in wanted), None)


def _rename(element: Element, name: str) -> None:
    element.tag = f"{{{namespace(element)}}}{name}"


def _containers(anatomy: _Anatomy) -> list[Element]:
    return [*anatomy.records, *([anatomy.result] if anatomy.enveloped else [])]


def _reordered_members(anatomy: _Anatomy, mutation: MutateReply) -> None:
    del mutation
    for container in _containers(anatomy):
        container[:] = list(container)[::-1]


def _extra_member(anatomy: _Anatomy, mutation: MutateReply) -> None:
    for container in _containers(anatomy):
        space = namespace(container[0]) if len(container) else namespace(container)
        for place, suffix in ((0, ""), (len(container) + 1, "2")):
            added = etree.Element(f"{{{space}}}{mutation.field or 'AddedLater'}{suffix}")
            added.text = mutation.value or "new"
            container.insert(place, added)


def _renamed_member(anatomy: _Anatomy, mutation: MutateReply) -> None:
    for record in _containers(anatomy):
        found = _member(record, mutation.field)
        if found is not None:
            _rename(found, mutation.value or ("SKU" if local(found) == "Sku" else "Renamed"))


def _other_namespace(anatomy: _Anatomy, mutation: MutateReply) -> None:
    for element in anatomy.result.iterdescendants():
        element.tag = f"{{{mutation.value or _ELSEWHERE}}}{local(element)}"


def _derived_type(anatomy: _Anatomy, mutation: MutateReply) -> None:
    space = mutation.value or _ELSEWHERE
    for record in anatomy.records:
        derived = etree.Element(record.tag, nsmap={"q1": space})
        derived.set(XSI_TYPE, f"q1:{local(record)}DetailHigh")
        derived.extend(list(record))
        etree.SubElement(derived, f"{{{space}}}ShoppingCart").text = None
        parent = cast("Element", record.getparent())
        parent.replace(record, derived)


def _nil_row(anatomy: _Anatomy, mutation: MutateReply) -> None:
    if anatomy.rows:
        made = etree.Element(anatomy.rows[0].tag)
        made.set(NIL, "true")
        anatomy.data.insert(mutation.row or 0, made)


def _duplicate_row(anatomy: _Anatomy, mutation: MutateReply) -> None:
    row = anatomy.row(mutation.row)
    if row is not None and anatomy.rows:
        row.addnext(copy.deepcopy(row))


def _missing_row(anatomy: _Anatomy, mutation: MutateReply) -> None:
    row = anatomy.row(mutation.row)
    if row is not None and anatomy.rows:
        anatomy.data.remove(row)


def _reordered_rows(anatomy: _Anatomy, mutation: MutateReply) -> None:
    del mutation
    if anatomy.rows:
        anatomy.data[:] = list(anatomy.data)[::-1]


def _unasked_row(anatomy: _Anatomy, mutation: MutateReply) -> None:
    if anatomy.rows:
        made = copy.deepcopy(anatomy.rows[0])
        anatomy.data.append(made)
        found = _member(made, None)
        if found is not None:
            found.text = mutation.value or "NOBODY-ASKED"


def _leading_blanks(anatomy: _Anatomy, mutation: MutateReply) -> None:
    chosen = anatomy.records if mutation.row is None else [anatomy.row(mutation.row)]
    for record in chosen:
        found = _member(record, mutation.field)
        if found is not None and found.text:
            found.text = "      " + found.text


def _unknown_status(anatomy: _Anatomy, mutation: MutateReply) -> None:
    record = anatomy.result if mutation.field is None else anatomy.row(mutation.row)
    found = _member(record, mutation.field or "Status")
    if found is not None:
        _set_text(found, mutation.value or "Pending")


def _bad_scalar(anatomy: _Anatomy, mutation: MutateReply) -> None:
    found = anatomy.data if mutation.field is None else _member(anatomy.row(mutation.row), mutation.field)
    if found is not None:
        _set_text(found, "not-a-value" if mutation.value is None else mutation.value)


def _missing_status(anatomy: _Anatomy, mutation: MutateReply) -> None:
    del mutation
    found = _member(anatomy.result, "Status") if anatomy.enveloped else None
    if found is not None:
        anatomy.result.remove(found)


def _renamed_result(anatomy: _Anatomy, mutation: MutateReply) -> None:
    _rename(anatomy.result, mutation.value or "UpdateInventoryItemQuantityAndPriceResult")


def _set_text(element: Element, text: str) -> None:
    element.attrib.pop(NIL, "")
    element[:] = []
    element.text = text


def _with_other_prefixes(body: bytes) -> bytes:
    """Rename the prefixes inside tags only."""

    def renamed(tag: re.Match[bytes]) -> bytes:
        text = tag[0]
        for old, new in _PREFIXES.items():
            text = re.sub(rb"(</?|\s)" + old + rb":(?=[A-Za-z])", rb"\g<1>" + new + b":", text)
            text = text.replace(b"xmlns:" + old + b"=", b"xmlns:" + new + b"=")
        return text

    return re.sub(rb"<[^>]+>", renamed, body)


_MUTATIONS: dict[MutationKind, Callable[[_Anatomy, MutateReply], None]] = {
    "reordered-members": _reordered_members,
    "extra-member": _extra_member,
    "renamed-member": _renamed_member,
    "other-namespace": _other_namespace,
    "derived-type": _derived_type,
    "nil-row": _nil_row,
    "duplicate-row": _duplicate_row,
    "missing-row": _missing_row,
    "reordered-rows": _reordered_rows,
    "unasked-row": _unasked_row,
    "leading-blanks": _leading_blanks,
    "unknown-status": _unknown_status,
    "bad-scalar": _bad_scalar,
    "missing-status": _missing_status,
    "renamed-result": _renamed_result,
}

# The name before 1.0, kept for scripts that use it.
Lie = MutateReply
