"""What goes into a list call and what comes out of a batch, as plain records: the call, its rule, entries, parts.

What arguments must be: every check made before the first byte is sent, each naming what is wrong and where.

The way into a list call: inputs checked, equal ones joined, encoded, and cut into batches by count and by bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from octopus_soap._http import clip
from octopus_soap.engine.read_first import FILLABLE
from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models import OrderDownloadSubmitRequest
from octopus_soap.models.base import WireModel
from octopus_soap.models.scalars import FORBIDDEN, INT32_MAX, INT32_MIN, SKU_LENGTH
from octopus_soap.safety import OmittedValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap.engine.context import Context
    from octopus_soap.engine.outcomes import ItemVerdict
    from octopus_soap.models import InventoryItem, ItemQuantityAndPrice
    from octopus_soap.results import Progress


T = TypeVar("T")


class CheckedInput(NamedTuple):
    """One input, examined before anything is sent."""

    key: str
    value: Any
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class BatchRule:
    """How a list operation is cut.

    Attributes:
        listed: wire name of the list parameter.
        limit: most rows per call.
        documented: True where the vendor's page states the limit, False where it is ours.
    """

    listed: str
    limit: int
    documented: bool


@dataclass(frozen=True, slots=True)
class ListCall(Generic[T]):
    """A list call as its row of the catalogue describes it.

    Attributes:
        inputs: what the caller passed.
        check: examines one input.
        reads: what the reply is, for the codec.
        judge: what a row means; None where the reply has no rows.
        verdict: what a whole reply means for every entry, where it has no rows.
        account_id: overrides the client's.
        batch_size: overrides the rule's limit, downwards or (where the limit is ours) upwards.
        progress: called after each batch; True for a progress bar.
        guarded: omitted value types are watched (updates of items).
    """

    inputs: Iterable[Any]
    check: Callable[[Any], CheckedInput]
    reads: Any
    judge: Callable[[Any], ItemVerdict[T]] | None = None
    verdict: Callable[[Any], ItemVerdict[T]] | None = None
    account_id: str | None = None
    batch_size: int | None = None
    progress: Callable[[Progress], object] | bool | None = None
    guarded: bool = False


@dataclass(slots=True)
class BatchItem:
    """One distinct input on its way.

    Attributes:
        key: SKU or order id.
        input: as the caller passed it.
        value: what goes on the wire.
        indices: positions in the input, more than one for equal inputs.
        row: the encoded row.
        filled: members completed from the service's current item.
    """

    key: str
    input: Any
    value: Any
    indices: tuple[int, ...]
    row: bytes = b""
    filled: tuple[str, ...] = ()


def text_problems(value: Any, name: str) -> list[Problem]:
    """What is wrong with a text argument: not text, empty, or with characters XML forbids."""
    if not isinstance(value, str):
        return [Problem(f"expected text, not {type(value).__name__}", field=name, value=repr(value)[:60])]
    if not value:
        return [Problem("must not be empty", field=name)]
    if found := FORBIDDEN.search(value):
        where = f"character {found[0]!r} at position {found.start()} cannot be sent in XML; remove it"
        return [Problem(where, field=name, value=repr(value[:60]))]
    return []


def account_problems(value: Any) -> list[Problem]:
    """What is wrong with an account id; its value is a secret and not shown."""
    return [replace(problem, value="") for problem in text_problems(value, "account_id")]


def sku_problems(value: Any, name: str = "") -> list[Problem]:
    """What is wrong with a SKU: as text, or longer than 50 characters."""
    problems = text_problems(value, name)
    if not problems and len(value) > SKU_LENGTH:
        message = f"a SKU has at most {SKU_LENGTH} characters, this one has {len(value)}"
        problems = [Problem(message, field=name, value=repr(value[:60]))]
    return problems


def sku(value: Any) -> CheckedInput:
    """Examine one SKU of a list."""
    if type(value) is str and 0 < len(value) <= SKU_LENGTH and FORBIDDEN.search(value) is None:
        return CheckedInput(value, value, [])  # at a glance: lists of SKUs are long, and nearly all of them are right
    return CheckedInput(value if isinstance(value, str) else "", value, sku_problems(value))


def model_problems(value: Any, model: type[WireModel], *, required: bool = False) -> list[Problem]:
    """What is wrong with an argument that should be a *model*."""
    if isinstance(value, model) or (value is None and not required):
        return []
    hint = f"; {model.__name__}.model_validate(...) makes one" if isinstance(value, dict) else ""
    return [Problem(f"expected a {model.__name__}, not {type(value).__name__}{hint}")]


def item(model: type[InventoryItem | ItemQuantityAndPrice]) -> Callable[[Any], CheckedInput]:
    """A check of items: the right model, with a SKU that can be one."""

    def check(value: Any) -> CheckedInput:
        problems = model_problems(value, model, required=True)
        if problems:
            return CheckedInput("", value, problems)
        return CheckedInput(value.sku or "", value, sku_problems(value.sku or "", f"{model.__name__}.sku"))

    return check


def keyed(model: type[WireModel], attribute: str) -> Callable[[Any], CheckedInput]:
    """A check of anything with a key: the right *model*, with *attribute* set."""

    def check(value: Any) -> CheckedInput:
        problems = model_problems(value, model, required=True)
        if problems:
            return CheckedInput("", value, problems)
        key = getattr(value, attribute) or ""
        return CheckedInput(key, value, text_problems(key, f"{model.__name__}.{attribute}"))

    return check


def confirmation(value: Any) -> CheckedInput:
    """Examine one confirmation."""
    checked = keyed(OrderDownloadSubmitRequest, "order_id")(value)
    if checked.problems or not value.store_id:
        return checked
    # A split order is confirmed once per store, so the store is part of what makes two confirmations different.
    return checked._replace(key=f"{value.order_id}@{value.store_id}")


def number_problems(**numbers: Any) -> list[Problem]:
    """What is wrong with numbers that are xs:int on the wire."""
    return [
        Problem("expected an int of 32 bits", field=name, value=repr(value)[:60])
        for name, value in numbers.items()
        if not isinstance(value, int) or isinstance(value, bool) or not INT32_MIN <= value <= INT32_MAX
    ]


class BatchInputs:
    """The inputs of one list call, as batches of entries.

    Args:
        operation: wire name.
        rule: how it is cut.
        listing: the call.
        context: what the client's calls share.
        reading: two values of one key may be asked for in two batches; a write sends one of them.

    Attributes:
        total: inputs in all; None for a stream.
        checked: what was checked before anything is sent; empty for a stream.

    Raises:
        InvalidInputError: the batch size is refused.
    """

    def __init__(
        self, operation: str, rule: BatchRule, listing: ListCall[Any], context: Context, *, reading: bool
    ) -> None:
        self.total: int | None = None
        self.checked: list[BatchItem] = []
        self._operation, self._rule, self._listing, self._context = operation, rule, listing, context
        self._reading = reading
        self._size = batch_size(operation, rule, listing.batch_size, context)
        self._around = 0
        self._entries: Iterator[BatchItem] = iter(())

    def open(self, around: int, *, streaming: bool) -> None:
        """Begin with the inputs.

        Args:
            around: bytes of a request besides its rows.
            streaming: check inputs as they come, batch by batch; otherwise all are checked now.

        Raises:
            InvalidInputError: inputs are refused (all of them listed).
        """
        self._around = around
        self._write_row = self._context.codec.row_writer(self._operation, self._rule.listed)
        inputs = several(self._listing.inputs, self._rule.listed)
        self._entries = self._as_they_come(inputs) if streaming else iter(self._all_checked(inputs))

    def batches(self) -> Iterator[list[BatchItem]]:
        """The entries, batch by batch, each as large as is known to work when it is taken."""
        pending: BatchItem | None = None
        while True:
            batch, pending = self._next(pending)
            if not batch:
                return
            yield batch

    def resplit(self, batch: list[BatchItem]) -> Iterator[list[BatchItem]]:
        """*batch*, cut again by bytes: rows completed by `read_first` are longer than when it was first cut."""
        piece: list[BatchItem] = []
        size = self._around
        for entry in batch:
            if piece and size + len(entry.row) > self._context.max_request_bytes:
                yield piece
                piece, size = [], self._around
            piece.append(entry)
            size += len(entry.row)
        if piece:
            yield piece

    def encoded(self, entry: BatchItem) -> bytes:
        """The row of *entry*.

        Raises:
            InvalidInputError: it has a value that only the contract in force does not take.
        """
        try:
            return self._write_row(entry.value)
        except InvalidInputError as error:
            raise InvalidInputError(
                [replace(p, index=entry.indices[0], key=entry.key) for p in error.problems]
            ) from None

    def _all_checked(self, inputs: Iterable[Any]) -> list[BatchItem]:
        entries: dict[str, BatchItem] = {}
        problems: list[Problem] = []
        index = -1
        for index, item in enumerate(inputs):
            self._take(index, item, entries, problems)
        self.total = index + 1
        if problems:
            raise InvalidInputError(problems)
        self.checked = list(entries.values())
        return self.checked

    def _as_they_come(self, inputs: Iterable[Any]) -> Iterator[BatchItem]:
        for index, item in enumerate(inputs):
            alone: dict[str, BatchItem] = {}
            problems: list[Problem] = []
            self._take(index, item, alone, problems)
            if problems:
                raise InvalidInputError(problems, sent=f"the batch of input {index} and what follows it was not sent")
            yield from alone.values()

    def _take(self, index: int, item: Any, entries: dict[str, BatchItem], problems: list[Problem]) -> None:
        checked = self._listing.check(item)
        if checked.problems:
            problems += [replace(p, index=index, key=p.key or checked.key or None) for p in checked.problems]
            return
        same = entries.get(checked.key)
        if same is not None:
            if same.value == checked.value:
                same.indices += (index,)
            else:
                problems.append(_twice(same, index))
            return
        if self._listing.guarded and (problem := self._omission(checked)) is not None:
            problems.append(replace(problem, index=index))
            return
        entry = BatchItem(checked.key, item, checked.value, (index,))
        try:
            entry.row = self.encoded(entry)
        except InvalidInputError as error:
            problems += error.problems
        else:
            entries[checked.key] = entry

    def _omission(self, checked: CheckedInput) -> Problem | None:
        return omission_problem(self._operation, self._rule.listed, checked.key, checked.value, self._context)

    def _next(self, first: BatchItem | None) -> tuple[list[BatchItem], BatchItem | None]:
        """Take entries up to the limits; the entry that did not fit opens the next batch."""
        limit = self._context.memory.rows(self._operation, self._size)
        batch: dict[str, BatchItem] = {}
        size = self._around
        while True:
            entry, first = first or next(self._entries, None), None
            if entry is None:
                return list(batch.values()), None
            same = batch.get(entry.key)
            if same is not None and same.value == entry.value:
                same.indices += entry.indices
                continue
            if same is not None and not self._reading:
                raise InvalidInputError([_twice(same, entry.indices[0])])
            if (
                same is not None
                or len(batch) >= limit
                or (batch and size + len(entry.row) > self._context.max_request_bytes)
            ):
                return list(batch.values()), entry
            batch[entry.key] = entry
            size += len(entry.row)


def _twice(same: BatchItem, index: int) -> Problem:
    return Problem(f"differs from [{same.indices[0]}], which has the same key; send one of them", index, same.key)


def batch_size(operation: str, rule: BatchRule, wanted: int | None, context: Context) -> int:
    """Rows per call: the caller's, the settings' or the rule's.

    Raises:
        InvalidInputError: *wanted* is no int, below 1 or above a documented limit.
    """
    size = context.batch_sizes.get(operation, rule.limit) if wanted is None else wanted
    if type(size) is not int or size < 1 or (rule.documented and size > rule.limit):
        most = f" to {rule.limit}, the documented limit of {operation}" if rule.documented else " up"
        raise InvalidInputError([Problem(f"must be from 1{most}", field="batch_size", value=repr(size)[:60])])
    return size


def omission_problem(operation: str, parameter: str, key: str, value: Any, context: Context) -> Problem | None:
    """The problem of a call that leaves out value types a WCF server would read as 0; None where it is allowed."""
    fillable = isinstance(value, FILLABLE)
    if context.omitted_values is OmittedValues.SEND or (
        context.omitted_values is OmittedValues.READ_FIRST and fillable
    ):
        return None
    names = context.codec.omitted_value_members(operation, parameter, value)
    if not names:
        return None
    way_out = "'read_first' or 'send'" if fillable else "'send'"
    return Problem(
        f"leaves out {clip(', '.join(names), 200)}: not nillable in the contract in force, so the service would "
        f"read 0, false or year 1; set them, or choose omitted_values={way_out}",
        key=key,
    )


def several(inputs: Any, name: str) -> Iterable[Any]:
    """Refuse what is one item where many belong."""
    # A model is an iterable too, of its fields.
    if isinstance(inputs, (str, bytes, dict, WireModel)) or not isinstance(inputs, Iterable):
        kind = type(inputs).__name__
        raise InvalidInputError(
            [Problem(f"expected an iterable of items, not a {kind}; for one item pass [item]", field=name)]
        )
    return inputs
