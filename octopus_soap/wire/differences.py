"""What differs between two types in the same place of two contracts, and what it means for whoever calls.

What a difference means depends on how the type is used (`Role`): whether it is sent, and whether it is sent in an
update of items, where a WCF server may read what is left out as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octopus_soap.wire.contract import Member, Shape

_OMITTED = "omitted it would be read as 0: such writes are refused, see omitted_values"


class Effect(StrEnum):
    """What a difference asks of whoever uses the other contract with this library."""

    BREAKS = "breaks"
    """Something cannot be called or sent."""
    CARE = "care"
    """It works, and something has to be decided or looked at."""
    FOLLOWED = "followed"
    """With the other contract in force, the library follows it by itself."""


class Kind(StrEnum):
    """What differs."""

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
        kind: what differs.
        effect: how much it matters.
        where: `Operation`, `Operation.parameter` or `Type.Member`.
        ours: what the contract this library knows says; empty where it has nothing there.
        theirs: what the other one says.
        meaning: what follows for the caller.
    """

    kind: Kind
    effect: Effect
    where: str
    ours: str
    theirs: str
    meaning: str


class Role(Flag):
    """How a type is used."""

    REPLY = auto()
    REQUEST = auto()
    UPDATE = auto()


@dataclass(slots=True)
class Pair:
    """Two types that stand in the same place.

    Attributes:
        label: what their members are named after: a type, or an operation.
        ours: members of the one.
        theirs: members of the other.
        known: members the models know.
        role: how they are used.
        parameters: they are an operation's parameters.
    """

    label: str
    ours: tuple[Member, ...]
    theirs: tuple[Member, ...]
    known: frozenset[str]
    role: Role
    parameters: bool = False


def matched_members(pair: Pair) -> list[tuple[Member, Member]]:
    """Members of both, by name or by name in another case, in our order."""
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
    """What differs between the members of two types."""
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
        meaning = "setting it raises ContractError; nothing is dropped in silence"
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
    """What another type means; None where the wire shows no difference."""
    mine, other = _single(ours), _single(theirs)
    if bool(mine.scalar) != bool(other.scalar) or _listed(ours) != _listed(theirs):
        effect = Effect.BREAKS if Role.REQUEST in pair.role else Effect.CARE
        return effect, "another kind of value: one, many, or a group of members"
    if mine.scalar == other.scalar and ours.many == theirs.many:
        return None
    if Role.REQUEST not in pair.role:
        return Effect.CARE, "read as the models' type; a value that does not fit is reported, never dropped"
    return Effect.CARE, "written as the contract in force says; a value that does not fit is refused before it is sent"


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
    meaning = f"in our order the service would skip {what} without a word"
    if Role.REQUEST not in pair.role:
        meaning = "replies are read in any order"
    before, after = (", ".join(names[first : first + 2]) + ", …" for names in (ours, theirs))
    yield Difference(Kind.ORDER, Effect.FOLLOWED, pair.label, before, after, meaning)


def type_name(member: Member) -> str:
    """A member's type in a word, lists as `X[]`."""
    shape = _single(member)
    name = f"xs:{shape.scalar}" if shape.scalar else shape.name or "a group"
    return f"{name}[]" if _listed(member) else name
