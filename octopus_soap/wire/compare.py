"""Comparing two contracts: every difference that matters on the wire, and what it means for whoever calls.

Theory. Types are not matched by name but by where they stand: from the parameters and the result of each operation
downwards, member by member. So a type that was renamed, moved to another namespace or inlined is still compared with
its counterpart. Each pair of types is judged once, with all the ways that lead to it in mind (see `differences`).

Differences that repeat (a namespace, the stem of the actions) become one record each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from octopus_soap import models
from octopus_soap.errors import ContractError, OctopusError
from octopus_soap.models.base import WireModel
from octopus_soap.wire.contract import Contract
from octopus_soap.wire.differences import Difference, Effect, Kind, Pair, Role, differences, matched_members, type_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from octopus_soap.wire.contract import Member, OperationContract

GUARDED = {
    "SubmitOrder": "orderSubmit",
    "UpdateItemQuantityAndPrice": "iQP",
    "UpdateItemQuantityAndPriceList": "itemQuantityAndPriceList",
    "UploadItem": "inventoryItem",
    "UploadItemList": "inventoryItems",
}
"""Operations whose omitted value types the client guards, with the parameter; a test holds it against the catalogue."""


def examined(path: Path) -> Contract:
    """The contract in the file *path*, read to the last operation, so that nothing is left to fail later.

    Raises:
        ContractError: it cannot be used.
    """
    try:
        contract = Contract(path, bundled=False)
        described = len(contract.operations)
    except OctopusError:
        raise
    except Exception as error:  # what zeep raises on a schema it does not understand is of any class
        raise ContractError(f"cannot use the contract {path}: {type(error).__name__}: {str(error)[:300]}") from error
    if not described:
        raise ContractError(f"the contract {path} describes no operation")
    return contract


def known_members() -> dict[str, frozenset[str]]:
    """Wire names each model of this library knows, by type name."""
    found: dict[str, frozenset[str]] = {}
    for name in models.__all__:
        model = getattr(models, name)
        if isinstance(model, type) and issubclass(model, WireModel):
            found[name] = frozenset(model.wire_names())
    return found


def compare(ours: Contract, theirs: Contract, known: Mapping[str, Collection[str]] | None = None) -> list[Difference]:
    """Every difference between two contracts, the gravest first.

    Args:
        ours: the contract this library was written for, or the one in force.
        theirs: the other one.
        known: members the models know by type name, to be found in *theirs* too; by default this library's.
    """
    members = {name: frozenset(names) for name, names in (known_members() if known is None else known).items()}
    walk = _Walk(members)
    for mine, other in walk.operations(ours.operations, theirs.operations):
        walk.operation(mine, other)
    found = dict.fromkeys([*walk.found, *walk.judged(), *walk.repeated()])  # a list type is met in several places
    return sorted(found, key=lambda d: (list(Effect).index(d.effect), list(Kind).index(d.kind)))


class _Walk:
    """Two contracts, gone through side by side."""

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
        """The operations both have; the others are differences."""
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
        """Note what differs in one operation, and the types below it."""
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
                meaning = "a value that is missing is an error, a value too many is passed over"
                before, after = ("nothing" if member is None else type_name(member) for member in (mine, other))
                self.found.append(Difference(Kind.RESULT, Effect.CARE, where, before, after, meaning))
            return
        inner, outer = _data(mine), _data(other)
        if (inner is mine) != (outer is other):
            before, after = ("bare" if bare else "in an APIResult" for bare in (inner is mine, outer is other))
            meaning = "replies are read either way"
            self.found.append(Difference(Kind.RESULT, Effect.FOLLOWED, where, before, after, meaning))
            mine, other = inner, replace(outer, namespace=inner.namespace)
        # The result's own name says nothing: it is whatever the reply holds.
        self._results.append(Pair(where, (mine,), (replace(other, name=mine.name),), frozenset(), Role.REPLY))
        self._visit(mine, other, where, Role.REPLY)

    # -- types -----------------------------------------------------------------------------------------------------

    def _visit(self, ours: Member, theirs: Member, where: str, role: Role) -> None:
        """Note the pair of types two members have, and go on below them."""
        self._namespace(ours, theirs, where)
        mine, other = ours.shape, theirs.shape
        if mine.scalar or other.scalar or (mine.items is None) != (other.items is None):
            return  # judged with the members that hold them
        if mine.name != other.name:
            self._renamed[mine.name] = other.name
        if mine.items is not None and other.items is not None:
            if mine.items.name != other.items.name:
                shown = f"{mine.name}[]", mine.items.name, other.items.name
                meaning = "written as the contract in force names it; read whatever it is called"
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
        """What differs within the pairs of types that were met."""
        for pair in (*self._pairs.values(), *self._results):
            yield from differences(pair)

    # -- differences that repeat -------------------------------------------------------------------------------------

    def repeated(self) -> Iterator[Difference]:
        """One difference for each that repeats."""
        for (mine, other), names in self._actions.items():
            one = names[0] if len(names) == 1 else ""
            before, after = (f"{stem}{one or '…'}" for stem in (mine, other))
            meaning = "with our actions the service would answer ActionNotSupported"
            yield Difference(Kind.ACTION, Effect.FOLLOWED, one or f"{len(names)} operations", before, after, meaning)
        for (mine, other), found in self._namespaces.items():
            places = list(found.values())
            where = places[0] if len(places) == 1 else f"{len(places)} elements, such as {places[0]}"
            meaning = "in our namespace the service would ignore them without a word: null, 0 or false"
            yield Difference(Kind.NAMESPACE, Effect.FOLLOWED, where, mine, other, meaning)
        if self._renamed:
            mine, other = next(iter(self._renamed.items()))
            where = mine if len(self._renamed) == 1 else f"{mine} and {len(self._renamed) - 1} more"
            yield Difference(Kind.TYPE, Effect.FOLLOWED, where, mine, other, "a type's name is not on the wire")


def _only(response: Member | None) -> Member | None:
    return response.shape.members[0] if response is not None and response.shape.members else None


def _data(result: Member) -> Member:
    """What an APIResult carries, or *result* itself where it is bare."""
    members = {member.name: member for member in result.shape.members}
    return members.get("ResultData", result) if "Status" in members else result
