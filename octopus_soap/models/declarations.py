"""Declarations of a catalogue row: its safety class, omitted values and result."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from octopus_soap.models.base import WireModel


class Safety(StrEnum):
    """The effect that repeating an operation may have."""

    READ = "read"
    """Changes nothing."""
    IDEMPOTENT = "idempotent"
    """A repeat ends in the same state."""
    UNSAFE = "unsafe"
    """A repeat may do it twice."""


class OmittedValues(StrEnum):
    """How a write treats the value types that it leaves out.

    A WCF server reads them as 0, false or year 1, if the contract in force does not declare them nillable: a price
    update without a price would set the price to 0.
    """

    REFUSE = "refuse"
    """Refuse the write, naming the members."""
    SEND = "send"
    """Send it as it is: for a service that is known to leave such members alone."""
    READ_FIRST = "read_first"
    """Complete the write from the service's current item (one GetItemList per 100 items); `filled` names the members.

    An upload is completed in full, its texts and lists too: the service may save the object as it comes. An item or a
    store row that the service does not have gets zeros. A single call has no outcome: `with_info(...).info.warnings`
    names what was completed.
    """


OmittedChoice: TypeAlias = OmittedValues | str | Iterable[str]
"""A choice for one call: a mode of `OmittedValues`, or the names of the members that may be left out."""


class RowsOf(NamedTuple):
    """A list of *model*.

    Attributes:
        raw: keep the XML of every row, not only of those that cannot be read.
        asked: how many rows were asked for; None if that is unknown.
    """

    model: type[WireModel]
    raw: bool = False
    asked: int | None = None


class OneOf(NamedTuple):
    """One *model*."""

    model: type[WireModel]


class ScalarOf(NamedTuple):
    """A scalar of *type*: int, bool or str."""

    type: type[Any]


class Nothing:
    """Nothing: the operation is void."""


Reads: TypeAlias = RowsOf | OneOf | ScalarOf | Nothing
