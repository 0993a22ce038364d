"""The input of an operation, and the checks that operations share.

Limits are the page's (documented). MessageCodes 1, 3, 5, 8 and their texts, and both texts about SKUs below, are
recorded of ChannelAdvisor's service. It is unknown whether Octopus uses them. The profile's ``message_codes`` turns the
codes off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .contract import Record, Scalar
from .messages import MAX_SKU, Outcome
from .records import LintNote
from .scalars import canonical_date, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .contract import Contract, Operation, Wire, WireRecord
    from .profile import Profile
    from .records import LintWhat
    from .state import State

UNEXPECTED, NO_ACCOUNT, NO_SKU, TOO_MANY, NOT_VALID = 1, 3, 5, 8, 12
NO_SUCH_SKU = "The specified Sku does not exist"
ALL_FAILED = "All Update requests failed for the SKU list specified!"
SOME_FAILED = "Some Update requests failed for the SKU list specified!"  # a guess, under a switch of the profile

# Documented: "Limited to a MAX of ...". The page gives no limit for UploadItemList, the confirmations and
# CustomFieldMapping.
LIMITS = {"IsSkuExistList": 500, "GetItemList": 100, "GetItemQuantityList": 100, "UpdateItemQuantityAndPriceList": 1000}

_NOTHING = (None, "0", "false")


class RefusedError(Exception):
    """The operation was not carried out; :attr:`outcome` is the answer."""

    def __init__(self, code: int, message: str, subject: str | None = None) -> None:
        super().__init__(message)
        self.outcome = Outcome(ok=False, code=code, message=message, subject=subject)


@dataclass
class Call:
    """One authorised request with its parameters read."""

    operation: Operation
    parameters: WireRecord
    merchant: str
    state: State
    contract: Contract
    profile: Profile
    notes: list[LintNote] = field(default_factory=list[LintNote])
    _omitted: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def zero(self) -> bool:
        """True if omitted value types overwrite the stored values."""
        return self.profile.omitted_value_type == "zero"

    def now(self) -> str:
        """Return the service's time as wire text."""
        return canonical_date(text_of(self.profile.clock()))  # as stored times are: filters compare texts

    def text(self, name: str) -> str | None:
        """Return a string parameter."""
        value = self.parameters.get(name)
        return value if isinstance(value, str) else None

    def sku(self) -> str:
        """Return the SKU of a call on a single item.

        Raises:
            RefusedError: It is missing or empty.
        """
        sku = self.text("sku") or self.text("SKU")
        if not sku:
            raise RefusedError(NO_SKU, "No Sku value was specified")
        return sku

    def record(self, name: str) -> WireRecord | None:
        """Return a record parameter."""
        value = self.parameters.get(name)
        return value if isinstance(value, dict) else None

    def rows(self, name: str) -> list[Wire]:
        """Return the items of a list parameter, at least one and not above the limit.

        Raises:
            RefusedError: None were given, or too many.
        """
        value = self.parameters.get(name)
        rows = value if isinstance(value, list) else []
        if not rows:
            raise RefusedError(UNEXPECTED, "No Items were specified!")
        limit = LIMITS.get(self.operation.name)
        if limit is not None and len(rows) > limit:
            raise RefusedError(
                TOO_MANY,
                "The number of Sku values specified was greater than the maximum amount allowed by the method "
                "definition",
                str(len(rows)),
            )
        return rows

    def skus(self) -> list[str | None]:
        """Return the SKUs of a list parameter; nil items stay None."""
        return [row if isinstance(row, str) else None for row in self.rows("skuList")]

    def note_omitted(self, row: WireRecord, item: WireRecord, names: Iterable[str]) -> None:
        """Keep the values of the item that a row of a write leaves out."""
        for name in names:
            if row.get(name) is None and item.get(name) not in _NOTHING:  # a value that is 0 already is not lost
                self._omitted.setdefault(name, []).append(str(row.get("Sku") or ""))

    def close_notes(self) -> None:
        """Note what was left out; members that the same rows lack are in one note."""
        same: dict[tuple[str, ...], list[str]] = {}
        for member, skus in self._omitted.items():
            same.setdefault(tuple(skus), []).append(member)
        for lacking, names in same.items():
            name = ", ".join(names)
            verb = "is" if len(names) == 1 else "are"
            rows = f"of {lacking[0]}" if len(lacking) == 1 else f"of {len(lacking)} rows, the first is {lacking[0]}"
            if self.zero:
                self.note(name, "omitted", f"{name} {rows} {verb} left out, and read as 0")
            else:
                text = f"{name} {rows} {verb} left out: kept here, and read as 0 by a service with plain value types"
                self.note(name, "may-be-zero", text)

    def note(self, path: str, what: LintWhat, detail: str) -> None:
        """Add a lint note."""
        self.notes.append(LintNote(self.operation.name, f"{self.operation.name}/{path}", what, detail))


def sku_complaint(sku: str | None) -> str | None:
    """Return what is wrong with the SKU of a row, if anything."""
    if not sku:
        return "No Sku value was specified"
    if len(sku) > MAX_SKU:
        return f"The specified Sku is longer than {MAX_SKU} characters"
    return None


def answered_by_contract(call: Call) -> Outcome:
    """Return the emptiest result the contract allows, such as 0, false or no rows.

    This answers the operations that have no function in the emulator. They change nothing.
    """
    data = call.operation.data
    if data is None:
        return Outcome()
    if isinstance(data.type, Scalar):
        return Outcome(data.type.default or "")
    return Outcome({} if isinstance(data.type, Record) else [])


def zero_filled(row: WireRecord, record: Record) -> WireRecord:
    """Return ``row`` with 0, false or 0001-01-01 for value types omitted or null."""
    filled = dict(row)
    for member in record.members:
        if isinstance(member.type, Scalar) and member.type.default is not None and filled.get(member.name) is None:
            filled[member.name] = member.type.default
    return filled
