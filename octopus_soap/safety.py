"""How careful to be with a write: what a repeat may do, and what happens to values a write leaves out."""

from __future__ import annotations

from enum import StrEnum


class Safety(StrEnum):
    """What a repeat of an operation may do."""

    READ = "read"
    """Changes nothing."""
    IDEMPOTENT = "idempotent"
    """A repeat ends in the same state."""
    UNSAFE = "unsafe"
    """A repeat may do it twice."""


class OmittedValues(StrEnum):
    """What to do about value-type members a write leaves out, where the contract in force says they are not nillable.

    A WCF server reads such a member as 0, false or year 1: a price update without a price would set it to 0.
    """

    REFUSE = "refuse"
    """Refuse the write, naming the members."""
    SEND = "send"
    """Send it as it is: the service is known to leave them alone."""
    READ_FIRST = "read_first"
    """Fill them from the service's current item (one GetItemList per batch); the outcome's `filled` names them.

    A single call has no outcome: `with_info` says it in `info.warnings`.
    """
