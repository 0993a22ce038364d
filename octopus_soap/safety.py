"""Define how careful a write is: what a repeat may do, and what happens to values it leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias


class Safety(StrEnum):
    """What a repeat of an operation may do."""

    READ = "read"
    """Changes nothing."""
    IDEMPOTENT = "idempotent"
    """A repeat ends in the same state."""
    UNSAFE = "unsafe"
    """A repeat may do it twice."""


class OmittedValues(StrEnum):
    """What to do about value-type members a write leaves out, if the contract in force does not declare them nillable.

    A WCF server reads such a member as 0, false or year 1: a price update without a price would set the price to 0.
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
