"""What a write may not leave out under a contract: said in advance, before the first write is refused.

A WCF server reads a value type that is not nillable and was left out as 0, false or the year 1. The client refuses such
a write until the user chose (`omitted_values`). Here the parameters of those writes are walked, so that `wsdl pin` and
`doctor` can say what will be asked, what we recommend, and what it costs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from octopus_soap import models
from octopus_soap.contracts.diff import GUARDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap.contracts.compiled import Member, Shape
    from octopus_soap.contracts.wsdl import Contract

_DATES = frozenset({"SaleStartDate", "SaleEndDate"})
"""Never counted: without one, the service has the year 1 already (see `engine.omitted`)."""
_ZERO_IN_ORDERS = ("ShippingTotal", "SubTotal", "TaxTotal", "ItemTax", "ItemDiscount")
"""Members that orders often lack. Quantities and prices of lines are none: a line without one would be an error."""
_FIRST = frozenset({"Price", "Cost", "Stock", "Total"})
"""Members that people look for first."""
_SHOWN = 8
_DEEPEST = 4


class Omission(NamedTuple):
    """Writes that would lose the same members.

    Attributes:
        operations: their wire names.
        members: wire names of what they may not leave out, those of records inside behind the record's name.
    """

    operations: tuple[str, ...]
    members: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.members) - _SHOWN} more" if len(self.members) > _SHOWN else ""
        return f"{', '.join(self.operations)}: {', '.join(self.members[:_SHOWN])}{more}"


def omissions(contract: Contract) -> list[Omission]:
    """Return what the writes of *contract* may not leave out; none if everything that may be left out can be null."""
    found: dict[tuple[str, ...], list[str]] = {}
    for operation, parameter in sorted(GUARDED.items(), key=lambda each: not each[0].startswith("Up")):
        shape = _written(contract, operation, parameter)
        if shape is not None:
            lost = _lost(shape)
            members = tuple(sorted(lost, key=lambda name: ("." in name, name not in _FIRST)))
            found.setdefault(members, []).append(operation)
    return [Omission(tuple(operations), members) for members, operations in found.items() if members]


def written_members(contract: Contract, operation: str) -> set[str]:
    """Return the wire names of all members that *operation* writes, those of records inside too."""
    found: set[str] = set()
    waiting = [_written(contract, operation, GUARDED[operation])]
    while waiting:
        for member in getattr(waiting.pop(), "members", ()):
            if member.name not in found:
                found.add(member.name)
                waiting.append(_single(member))
    return found


def _written(contract: Contract, operation: str, parameter: str) -> Shape | None:
    """Return what *operation* writes; None if the contract does not have it."""
    known = contract.operations.get(operation)
    member = next((m for m in known.request.shape.members if m.name == parameter), None) if known else None
    return None if member is None else _single(member)


def _single(member: Member) -> Shape:
    return member.shape.items.shape if member.shape.items is not None else member.shape


def _lost(shape: Shape, path: str = "") -> Iterator[str]:
    for member in shape.members:
        if member.is_value_type and not member.nillable and member.name not in _DATES:
            yield path + member.name
        elif path.count(".") < _DEEPEST:
            yield from _lost(_single(member), f"{path}{member.name}.")


def refused(found: list[Omission], chosen: Any) -> list[Omission]:
    """Return those of *found* that nothing was chosen for.

    Args:
        found: what writes may not leave out.
        chosen: the setting `omitted_values`.
    """

    def choice(operation: str) -> Any:
        return chosen.get(operation, chosen.get("*", "refuse")) if isinstance(chosen, Mapping) else chosen

    left = [Omission(tuple(op for op in each.operations if choice(op) == "refuse"), each.members) for each in found]
    return [each for each in left if each.operations]


def recommended(found: list[Omission]) -> str:
    """Return the line that we recommend for *found*, ready to be pasted into a shell."""
    order = next((each.members for each in found if "SubmitOrder" in each.operations), ())
    names = {**models.OrderItem.wire_names(), **models.OrderSubmit.wire_names()}
    last = {member.rpartition(".")[2] for member in order}
    zero = [names[name] for name in _ZERO_IN_ORDERS if name in last and name in names]
    chosen = json.dumps({"*": "read_first", "SubmitOrder": zero}) if zero else "read_first"
    return f"export OCTOPUS_OMITTED_VALUES={shlex.quote(chosen)}"


COST = (
    "read_first reads the current items before a write, one GetItemList per 100 items, and keeps what you leave out. "
    "A change in between is overwritten. An order has no current values: members named for SubmitOrder are sent as 0."
)
"""What the recommended choice costs."""
