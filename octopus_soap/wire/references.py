"""Resolve references inside a reply: WCF's `z:Id` and `z:Ref`, and SOAP's `id` and `href`.

A .NET service whose types are marked `IsReference` writes an object once and refers to it from every other place; so do
the multi-reference values of SOAP encoding. The element that refers is empty, and often nil: read as it is, an address
would vanish.

Invariants:

* An element that refers gets a copy of what it refers to. Identifiers count within one reply.
* What cannot be copied (nothing has that identifier, the reference is part of what it refers to, or the reference
  leads outside) is marked with `BROKEN` and is nil no longer: a reader that meets the mark fails its record.
* Copies are bounded: a few bytes of nested references could otherwise become gigabytes.

Failure: `ProtocolError` if the bound is passed.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WCF = "{http://schemas.microsoft.com/2003/10/Serialization/}"
_SOAP12 = "{http://www.w3.org/2003/05/soap-encoding}"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
BROKEN = "{urn:octopus-soap}broken"
"""Attribute of an element whose reference leads nowhere; its value is the reference."""

_REFERS = re.compile(rb"(?<![A-Za-z0-9_.-])(?:Ref|ref|href)\s*=\s*[\"']")
_IDS = (f"{_WCF}Id", "id", f"{_SOAP12}id")
_MOST_WORK = 500_000
"""Elements made by copying, or looked at for it; a reply of the documented size has a tenth of it."""


def has_references(body: bytes) -> bool:
    """True if an element of *body* may refer to another; a quick look, for which text may pass too."""
    return (b"ref" in body or b"Ref" in body) and _REFERS.search(body) is not None


def resolve_references(root: Any) -> None:
    """Put a copy in place of every reference below *root*.

    Raises:
        ProtocolError: The copies would be too many.
    """
    referring = [(element, target) for element in root.iter() if (target := _target(element)) is not None]
    if referring:
        _Resolver(root, dict(referring)).resolve()


class _Resolver:
    def __init__(self, root: Any, waiting: dict[Any, tuple[str, str]]) -> None:
        self._waiting = waiting
        self._under_way: set[Any] = set()
        self._work = 0
        self._by_id: dict[tuple[str, str], Any] = {}
        for element in root.iter():
            for kind, name in _identifiers(element):
                self._by_id.setdefault((kind, name), element)

    def resolve(self) -> None:
        for element in list(self._waiting):
            self._place(element)

    def _place(self, element: Any) -> None:
        # By a stack of its own: a chain of references may be longer than Python's own allows.
        stack = [element]
        while stack:
            current = stack[-1]
            wanted = self._waiting.get(current)
            if wanted is None:
                stack.pop()
                continue
            target = self._by_id.get(wanted)
            if target is None or target is current or _is_below(current, target):
                self._broken(current, wanted)
                stack.pop()
                continue
            before = [part for part in target.iter() if part in self._waiting and part is not current]
            self._count(len(before))
            if not before:
                self._copy(current, target)
                stack.pop()
                continue
            self._under_way.add(current)
            stack += [part for part in before if part not in self._under_way]
            if stack[-1] is current:  # what it needs needs it in turn
                for part in before:
                    self._broken(part, self._waiting[part])

    def _copy(self, element: Any, target: Any) -> None:
        del self._waiting[element]
        self._count(sum(1 for _ in target.iter()))
        _clear(element)
        if target.get(_NIL) is not None:
            element.set(_NIL, target.get(_NIL))
        if target.get(BROKEN) is not None:
            element.set(BROKEN, target.get(BROKEN))
        element.text = target.text
        element.extend([deepcopy(child) for child in target])

    def _count(self, work: int) -> None:
        self._work += work
        if self._work > _MOST_WORK:
            raise ProtocolError("the references in the reply would make more than half a million elements of it")

    def _broken(self, element: Any, wanted: tuple[str, str]) -> None:
        del self._waiting[element]
        _clear(element)
        element.set(BROKEN, wanted[1][:60] or "?")


def _clear(element: Any) -> None:
    """Take from *element* what made it refer."""
    for name in (_NIL, f"{_WCF}Ref", "href", f"{_SOAP12}ref"):
        element.attrib.pop(name, None)


def _is_below(element: Any, ancestor: Any) -> bool:
    return any(parent is ancestor for parent in element.iterancestors())


def _target(element: Any) -> tuple[str, str] | None:
    """What *element* refers to; None if it refers to nothing."""
    attributes = element.attrib
    if not attributes:
        return None
    if (name := attributes.get(f"{_WCF}Ref")) is not None:
        return "wcf", name
    if (name := attributes.get(f"{_SOAP12}ref")) is not None:
        return "soap", name.removeprefix("#")
    if (name := attributes.get("href")) is not None:
        return ("soap", name[1:]) if name.startswith("#") else ("elsewhere", name)
    return None


def _identifiers(element: Any) -> Iterator[tuple[str, str]]:
    attributes = element.attrib
    if attributes:
        for attribute in _IDS:
            if (name := attributes.get(attribute)) is not None:
                yield ("wcf" if attribute.startswith(_WCF) else "soap"), name
