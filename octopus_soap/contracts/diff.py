"""Compare two contracts, and find the members that writes may not leave out.

`compare` returns every difference that matters on the wire, with its consequence for the caller. Types are not matched
by name but by place: from the parameters and the result of each operation downwards, member by member. So a type that
was renamed, moved to another namespace or inlined is still compared with its counterpart. Each pair of types is judged
once, for all its uses (`Role`): replies, requests, and updates of items, for which a WCF server may read an omitted
value as 0. Differences that repeat (a namespace, the stem of the actions) become one record each.

`omissions` returns the members that writes may not leave out, before the first write is refused. A WCF server reads an
omitted value type that is not nillable as 0, false or the year 1, and the client refuses such a write until the user
decides (`omitted_values`). `wsdl pin` and `doctor` list those members, with the recommended choice and its cost.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Flag, StrEnum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from octopus_soap import models
from octopus_soap.contracts.wsdl import Contract
from octopus_soap.errors import ContractError, OctopusError
from octopus_soap.models.base import WireModel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from octopus_soap.contracts.compiled import Member, OperationContract, Shape


_OMITTED = "omitted it would be read as 0: such writes are refused, see omitted_values"


class Effect(StrEnum):
    """The consequence of a difference for a user of the other contract."""

    BREAKS = "breaks"
    """Something cannot be called or sent."""
    CARE = "care"
    """It works, but the user has to check or decide something."""
    FOLLOWED = "followed"
    """The library adapts to the other contract by itself."""


class Kind(StrEnum):
    """The kind of a difference."""

    OPERATION = "operation"
    ACTION = "action"
    ELEMENT = "element"
    PARAMETER = "parameter"
    MEMBER = "member"
    SPELLING = "spelling"
    TYPE = "type"
    NILLABLE = "nillable"
    NAMESPACE = "namespace"
    ORDER = "order"
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes:
        kind: The kind of the difference.
        effect: Its consequence for the user.
        where: `Operation`, `Operation.parameter` or `Type.Member`.
        ours: The text in the contract of this library; empty if it has none.
        theirs: The text in the other contract.
        meaning: The consequence, as a sentence.
    """

    kind: Kind
    effect: Effect
    where: str
    ours: str
    theirs: str
    meaning: str


class Role(Flag):
    """The uses of a type."""

    REPLY = auto()
    REQUEST = auto()
    UPDATE = auto()


@dataclass(slots=True)
class Pair:
    """Two types in the same place, with their members.

    Attributes:
        label: The first part of their members' names: a type, or an operation.
        known: Members that the models have.
        role: Their uses.
        parameters: True for the parameters of an operation.
    """

    label: str
    ours: tuple[Member, ...]
    theirs: tuple[Member, ...]
    known: frozenset[str]
    role: Role
    parameters: bool = False


def matched_members(pair: Pair) -> list[tuple[Member, Member]]:
    """Return the members of both, in our order; names may differ in case."""
    exact = {member.name: member for member in pair.theirs}
    ours = {member.name for member in pair.ours}
    folded = {member.name.casefold(): member for member in pair.theirs if member.name not in ours}
    found: list[tuple[Member, Member]] = []
    for member in pair.ours:
        other = exact.get(member.name) or folded.get(member.name.casefold())
        if other is not None:
            found.append((member, other))
    return found


def differences(pair: Pair) -> Iterator[Difference]:
    """Yield the differences between the members of two types."""
    matched = matched_members(pair)
    kind = Kind.PARAMETER if pair.parameters else Kind.MEMBER
    have = {mine.name for mine, _ in matched}
    there = {other.name for _, other in matched}
    for member in pair.ours:
        if member.name not in have:
            yield _missing(pair, kind, member.name, member.name)
    declared = {member.name.casefold() for member in (*pair.ours, *pair.theirs)}
    for name in sorted(name for name in pair.known if name.casefold() not in declared):
        yield _missing(pair, kind, name, f"{name} (models only)")
    for member in pair.theirs:
        if member.name not in there:
            yield _extra(pair, kind, member)
    for mine, other in matched:
        yield from _pair_of_members(pair, mine, other)
    yield from _order(pair, matched)


def _missing(pair: Pair, kind: Kind, name: str, ours: str) -> Difference:
    effect = Effect.CARE
    if pair.parameters:
        effect, meaning = Effect.BREAKS, "calls that give it raise ContractError"
    elif Role.REQUEST in pair.role:
        meaning = "setting it raises ContractError; nothing is dropped silently"
    else:
        meaning = "stays unset in what is read"
    return Difference(kind, effect, f"{pair.label}.{name}", ours, "", meaning)


def _extra(pair: Pair, kind: Kind, member: Member) -> Difference:
    zero = member.is_value_type and not member.nillable
    effect, meaning = Effect.FOLLOWED, "kept in model_extra, and sent back with an item that was read"
    if pair.parameters:
        effect = Effect.CARE
        meaning = f"never sent by this library: the service reads {'0, false or year 1' if zero else 'null'}"
    elif Role.UPDATE in pair.role and zero:
        effect, meaning = Effect.CARE, f"no attribute of its own, and {_OMITTED}"
    elif Role.REQUEST in pair.role and zero:
        effect, meaning = Effect.CARE, "no attribute of its own: the service reads 0, false or year 1"
    elif member.name in pair.known:
        meaning = "the models know it"
    elif Role.REQUEST not in pair.role:
        meaning = "kept in model_extra"
    shown = f"{type_name(member)}{', not nillable' if zero else ''}"
    return Difference(kind, effect, f"{pair.label}.{member.name}", "", shown, meaning)


def _pair_of_members(pair: Pair, ours: Member, theirs: Member) -> Iterator[Difference]:
    where = f"{pair.label}.{ours.name}"
    if ours.name != theirs.name:
        meaning = "written and read as the contract in force spells it"
        yield Difference(Kind.SPELLING, Effect.FOLLOWED, where, ours.name, theirs.name, meaning)
    if (changed := _changed_type(pair, ours, theirs)) is not None:
        yield Difference(Kind.TYPE, changed[0], where, type_name(ours), type_name(theirs), changed[1])
    if ours.nillable != theirs.nillable:
        effect, meaning = _changed_nillable(pair, theirs)
        before, after = ("nillable" if member.nillable else "not nillable" for member in (ours, theirs))
        yield Difference(Kind.NILLABLE, effect, where, before, after, meaning)


def _changed_type(pair: Pair, ours: Member, theirs: Member) -> tuple[Effect, str] | None:
    """Return the consequence of another type; None if the wire form is the same."""
    mine, other = _single(ours), _single(theirs)
    if bool(mine.scalar) != bool(other.scalar) or _listed(ours) != _listed(theirs):
        effect = Effect.BREAKS if Role.REQUEST in pair.role else Effect.CARE
        return effect, "another kind of value: one, many, or a group of members"
    if mine.scalar == other.scalar and ours.many == theirs.many:
        return None
    if Role.REQUEST not in pair.role:
        return Effect.CARE, "read as the models' type; a value that does not fit is reported, never dropped"
    return Effect.CARE, "written by the contract in force; a value that does not fit is refused before it is sent"


def _single(member: Member) -> Shape:
    return member.shape if member.shape.items is None else member.shape.items.shape


def _listed(member: Member) -> bool:
    return member.many or member.shape.items is not None


def _changed_nillable(pair: Pair, theirs: Member) -> tuple[Effect, str]:
    if theirs.nillable:
        return Effect.FOLLOWED, "may be None"
    if not theirs.is_value_type:
        return Effect.FOLLOWED, "None is refused: leave it unset instead"
    if Role.UPDATE in pair.role:
        return Effect.CARE, f"not nillable value type: {_OMITTED}"
    if Role.REQUEST in pair.role:
        return Effect.CARE, "not nillable value type: omitted, the service reads 0, false or year 1; set it"
    return Effect.CARE, "not nillable value type: the service cannot say that it has none, and sends 0 or false"


def _order(pair: Pair, matched: Iterable[tuple[Member, Member]]) -> Iterator[Difference]:
    places = {id(member): place for place, member in enumerate(pair.theirs)}
    ours = [other.name for _, other in matched]
    theirs = [other.name for _, other in sorted(matched, key=lambda both: places[id(both[1])])]
    if ours == theirs:
        return
    first = next(place for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)) if mine != other)
    what = "parameters" if pair.parameters else "members"
    meaning = f"in our order the service would silently skip {what}"
    if Role.REQUEST not in pair.role:
        meaning = "replies are read in any order"
    before, after = (", ".join(names[first : first + 2]) + ", …" for names in (ours, theirs))
    yield Difference(Kind.ORDER, Effect.FOLLOWED, pair.label, before, after, meaning)


def type_name(member: Member) -> str:
    """Return a member's type in a word, lists as `X[]`."""
    shape = _single(member)
    name = f"xs:{shape.scalar}" if shape.scalar else shape.name or "a group"
    return f"{name}[]" if _listed(member) else name


GUARDED = {
    "SubmitOrder": "orderSubmit",
    "UpdateItemQuantityAndPrice": "iQP",
    "UpdateItemQuantityAndPriceList": "itemQuantityAndPriceList",
    "UploadItem": "inventoryItem",
    "UploadItemList": "inventoryItems",
}
"""Operations whose omitted value types the client guards, with the parameter; a test compares it with the catalogue."""


def examined(path: Path) -> Contract:
    """Return the contract in the file *path*, with every operation read.

    Raises:
        ContractError: It cannot be used.
    """
    try:
        contract = Contract(path, bundled=False)
        described = len(contract.operations)
    except OctopusError:
        raise
    except Exception as error:  # of any class, from zeep on a schema that it does not understand
        raise ContractError(f"cannot use the contract {path}: {type(error).__name__}: {str(error)[:300]}") from error
    if not described:
        raise ContractError(f"the contract {path} describes no operation")
    return contract


def known_members() -> dict[str, frozenset[str]]:
    """Return the wire names of each model, by type name."""
    found: dict[str, frozenset[str]] = {}
    for name in models.__all__:
        model = getattr(models, name)
        if isinstance(model, type) and issubclass(model, WireModel):
            found[name] = frozenset(model.wire_names())
    return found


def compare(ours: Contract, theirs: Contract, known: Mapping[str, Collection[str]] | None = None) -> list[Difference]:
    """Return every difference between two contracts, the most serious first.

    Args:
        ours: The contract that this library was written for, or the one in force.
        theirs: The other contract.
        known: Members by type name that *theirs* should have too; by default those of the models.
    """
    members = {name: frozenset(names) for name, names in (known_members() if known is None else known).items()}
    walk = _Walk(members)
    for mine, other in walk.operations(ours.operations, theirs.operations):
        walk.operation(mine, other)
    found = dict.fromkeys([*walk.found, *walk.judged(), *walk.repeated()])  # a list type occurs in several places
    return sorted(found, key=lambda d: (list(Effect).index(d.effect), list(Kind).index(d.kind)))


class _Walk:
    """Visits the operations and types of two contracts side by side."""

    def __init__(self, known: Mapping[str, frozenset[str]]) -> None:
        self.found: list[Difference] = []
        self._known = known
        self._pairs: dict[tuple[int, int], Pair] = {}
        self._results: list[Pair] = []
        self._namespaces: dict[tuple[str, str], dict[int, str]] = {}
        self._actions: dict[tuple[str, str], list[str]] = {}
        self._renamed: dict[str, str] = {}

    # -- operations ------------------------------------------------------------------------------------------------

    def operations(
        self, ours: Mapping[str, OperationContract], theirs: Mapping[str, OperationContract]
    ) -> Iterator[tuple[OperationContract, OperationContract]]:
        """Yield the operations of both; the others are differences."""
        folded = {name.casefold(): name for name in theirs if name not in ours}
        for name in ours:
            if name in theirs:
                yield ours[name], theirs[name]
                continue
            renamed = folded.pop(name.casefold(), "")
            why = f"the service spells it {renamed}" if renamed else "the service has no such operation"
            meaning = f"{why}: calling it raises ContractError"
            self.found.append(Difference(Kind.OPERATION, Effect.BREAKS, name, name, renamed, meaning))
        for name in folded.values():
            meaning = "new to this library: client.zeep.service reaches it"
            self.found.append(Difference(Kind.OPERATION, Effect.FOLLOWED, name, "", name, meaning))

    def operation(self, ours: OperationContract, theirs: OperationContract) -> None:
        """Note the differences of one operation, and the types below it."""
        name = ours.name
        if ours.action != theirs.action:
            stems = ours.action.removesuffix(name), theirs.action.removesuffix(name)
            self._actions.setdefault(stems, []).append(name)
        for mine, other in ((ours.request.name, theirs.request.name), (ours.response_name, theirs.response_name)):
            if mine != other:
                meaning = "written and expected as the contract in force names it"
                self.found.append(Difference(Kind.ELEMENT, Effect.FOLLOWED, name, mine, other, meaning))
        self._namespace(ours.request, theirs.request, name)
        parameters = ours.request.shape.members, theirs.request.shape.members
        request = Pair(name, *parameters, frozenset(), Role.REQUEST, parameters=True)
        self._pairs[id(ours.request.shape), id(theirs.request.shape)] = request
        for parameter, counterpart in matched_members(request):
            guarded = GUARDED.get(name) == parameter.name
            role = Role.REQUEST | Role.UPDATE if guarded else Role.REQUEST
            self._visit(parameter, counterpart, f"{name}.{parameter.name}", role)
        self._result(ours, theirs)

    def _result(self, ours: OperationContract, theirs: OperationContract) -> None:
        mine, other = _only(ours.response), _only(theirs.response)
        where = f"{ours.name}Response"
        if mine is None or other is None:
            if mine is not other:
                meaning = "a value that is missing is an error, an additional value is ignored"
                before, after = ("nothing" if member is None else type_name(member) for member in (mine, other))
                self.found.append(Difference(Kind.RESULT, Effect.CARE, where, before, after, meaning))
            return
        inner, outer = _data(mine), _data(other)
        if (inner is mine) != (outer is other):
            before, after = ("bare" if bare else "in an APIResult" for bare in (inner is mine, outer is other))
            meaning = "replies are read either way"
            self.found.append(Difference(Kind.RESULT, Effect.FOLLOWED, where, before, after, meaning))
            mine, other = inner, replace(outer, namespace=inner.namespace)
        # The result's own name does not matter: a reply is read with any name.
        self._results.append(Pair(where, (mine,), (replace(other, name=mine.name),), frozenset(), Role.REPLY))
        self._visit(mine, other, where, Role.REPLY)

    # -- types -----------------------------------------------------------------------------------------------------

    def _visit(self, ours: Member, theirs: Member, where: str, role: Role) -> None:
        """Note the pair of types of two members, and visit the types below."""
        self._namespace(ours, theirs, where)
        mine, other = ours.shape, theirs.shape
        if mine.scalar or other.scalar or (mine.items is None) != (other.items is None):
            return  # judged as a part of these two members
        if mine.name != other.name:
            self._renamed[mine.name] = other.name
        if mine.items is not None and other.items is not None:
            if mine.items.name != other.items.name:
                shown = f"{mine.name}[]", mine.items.name, other.items.name
                meaning = "written as the contract in force names it; read with any name"
                self.found.append(Difference(Kind.ELEMENT, Effect.FOLLOWED, *shown, meaning))
            self._visit(mine.items, other.items, where, role)
            return
        pair = self._pairs.get((id(mine), id(other)))
        if pair is not None and role in pair.role:
            return
        if pair is None:
            pair = Pair(mine.name or where, mine.members, other.members, self._known.get(mine.name, frozenset()), role)
            self._pairs[id(mine), id(other)] = pair
        pair.role |= role
        for member, counterpart in matched_members(pair):
            self._visit(member, counterpart, f"{pair.label}.{member.name}", role)

    def _namespace(self, ours: Member, theirs: Member, where: str) -> None:
        if ours.namespace != theirs.namespace:
            self._namespaces.setdefault((ours.namespace, theirs.namespace), {})[id(ours)] = where

    def judged(self) -> Iterator[Difference]:
        """Yield the differences within the pairs of types that were visited."""
        for pair in (*self._pairs.values(), *self._results):
            yield from differences(pair)

    # -- differences that repeat -------------------------------------------------------------------------------------

    def repeated(self) -> Iterator[Difference]:
        """Yield one difference for each group that repeats."""
        for (mine, other), names in self._actions.items():
            one = names[0] if len(names) == 1 else ""
            before, after = (f"{stem}{one or '…'}" for stem in (mine, other))
            meaning = "with our actions the service would answer ActionNotSupported"
            yield Difference(Kind.ACTION, Effect.FOLLOWED, one or f"{len(names)} operations", before, after, meaning)
        for (mine, other), found in self._namespaces.items():
            places = list(found.values())
            where = places[0] if len(places) == 1 else f"{len(places)} elements, such as {places[0]}"
            meaning = "in our namespace the service would silently ignore them: null, 0 or false"
            yield Difference(Kind.NAMESPACE, Effect.FOLLOWED, where, mine, other, meaning)
        if self._renamed:
            mine, other = next(iter(self._renamed.items()))
            where = mine if len(self._renamed) == 1 else f"{mine} and {len(self._renamed) - 1} more"
            yield Difference(Kind.TYPE, Effect.FOLLOWED, where, mine, other, "a type's name is not on the wire")


def _only(response: Member | None) -> Member | None:
    return response.shape.members[0] if response is not None and response.shape.members else None


def _data(result: Member) -> Member:
    """Return the data of an APIResult, or *result* itself if it is bare."""
    members = {member.name: member for member in result.shape.members}
    return members.get("ResultData", result) if "Status" in members else result


_DATES = frozenset({"SaleStartDate", "SaleEndDate"})
"""Never counted: without a date, the service has the year 1 already (see `engine.omitted`)."""
_ZERO_IN_ORDERS = ("ShippingTotal", "SubTotal", "TaxTotal", "ItemTax", "ItemDiscount")
"""Members that orders often lack, without quantity and price: a line that lacks one of these is an error."""
_FIRST = frozenset({"Price", "Cost", "Stock", "Total"})
"""Members listed first."""
_SHOWN = 8
_DEEPEST = 4


class Omission(NamedTuple):
    """Writes that would lose the same members.

    Attributes:
        operations: Their wire names.
        members: Wire names of the members that they may not leave out, with a record's name and a dot for inner ones.
    """

    operations: tuple[str, ...]
    members: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.members) - _SHOWN} more" if len(self.members) > _SHOWN else ""
        return f"{', '.join(self.operations)}: {', '.join(self.members[:_SHOWN])}{more}"


def omissions(contract: Contract) -> list[Omission]:
    """Return the members that the writes of *contract* may not leave out."""
    found: dict[tuple[str, ...], list[str]] = {}
    for operation, parameter in sorted(GUARDED.items(), key=lambda each: not each[0].startswith("Up")):
        shape = _written(contract, operation, parameter)
        if shape is not None:
            lost = _lost(shape)
            members = tuple(sorted(lost, key=lambda name: ("." in name, name not in _FIRST)))
            found.setdefault(members, []).append(operation)
    return [Omission(tuple(operations), members) for members, operations in found.items() if members]


def written_members(contract: Contract, operation: str) -> set[str]:
    """Return the wire names of all members that *operation* writes, also inner ones."""
    found: set[str] = set()
    waiting = [_written(contract, operation, GUARDED[operation])]
    while waiting:
        for member in getattr(waiting.pop(), "members", ()):
            if member.name not in found:
                found.add(member.name)
                waiting.append(_single(member))
    return found


def _written(contract: Contract, operation: str, parameter: str) -> Shape | None:
    """Return the type that *operation* writes; None if the contract does not have it."""
    known = contract.operations.get(operation)
    member = next((m for m in known.request.shape.members if m.name == parameter), None) if known else None
    return None if member is None else _single(member)


def _lost(shape: Shape, path: str = "") -> Iterator[str]:
    for member in shape.members:
        if member.is_value_type and not member.nillable and member.name not in _DATES:
            yield path + member.name
        elif path.count(".") < _DEEPEST:
            yield from _lost(_single(member), f"{path}{member.name}.")


def refused(found: list[Omission], chosen: Any) -> list[Omission]:
    """Return those of *found* that the setting `omitted_values` (*chosen*) refuses."""

    def choice(operation: str) -> Any:
        return chosen.get(operation, chosen.get("*", "refuse")) if isinstance(chosen, Mapping) else chosen

    left = [Omission(tuple(op for op in each.operations if choice(op) == "refuse"), each.members) for each in found]
    return [each for each in left if each.operations]


def recommended(found: list[Omission]) -> str:
    """Return the line recommended for *found*, to be pasted into a shell."""
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
"""The cost of the recommended choice."""
