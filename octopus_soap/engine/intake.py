"""The way into a list call: inputs checked, equal ones joined, encoded, and cut into batches by count and by bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from octopus_soap._http import clip
from octopus_soap.engine.entries import Entry
from octopus_soap.engine.filling import FILLABLE
from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models.base import WireModel
from octopus_soap.safety import OmittedValues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap.engine.context import Context
    from octopus_soap.engine.entries import BatchRule, Checked, Listing


class Intake:
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
        self, operation: str, rule: BatchRule, listing: Listing[Any], context: Context, *, reading: bool
    ) -> None:
        self.total: int | None = None
        self.checked: list[Entry] = []
        self._operation, self._rule, self._listing, self._context = operation, rule, listing, context
        self._reading = reading
        self._size = batch_size(operation, rule, listing.batch_size, context)
        self._around = 0
        self._entries: Iterator[Entry] = iter(())

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

    def batches(self) -> Iterator[list[Entry]]:
        """The entries, batch by batch, each as large as is known to work when it is taken."""
        pending: Entry | None = None
        while True:
            batch, pending = self._next(pending)
            if not batch:
                return
            yield batch

    def pieces(self, batch: list[Entry]) -> Iterator[list[Entry]]:
        """*batch*, cut again by bytes: rows completed by `read_first` are longer than when it was first cut."""
        piece: list[Entry] = []
        size = self._around
        for entry in batch:
            if piece and size + len(entry.row) > self._context.max_request_bytes:
                yield piece
                piece, size = [], self._around
            piece.append(entry)
            size += len(entry.row)
        if piece:
            yield piece

    def encoded(self, entry: Entry) -> bytes:
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

    def _all_checked(self, inputs: Iterable[Any]) -> list[Entry]:
        entries: dict[str, Entry] = {}
        problems: list[Problem] = []
        index = -1
        for index, item in enumerate(inputs):
            self._take(index, item, entries, problems)
        self.total = index + 1
        if problems:
            raise InvalidInputError(problems)
        self.checked = list(entries.values())
        return self.checked

    def _as_they_come(self, inputs: Iterable[Any]) -> Iterator[Entry]:
        for index, item in enumerate(inputs):
            alone: dict[str, Entry] = {}
            problems: list[Problem] = []
            self._take(index, item, alone, problems)
            if problems:
                raise InvalidInputError(problems, sent=f"the batch of input {index} and what follows it was not sent")
            yield from alone.values()

    def _take(self, index: int, item: Any, entries: dict[str, Entry], problems: list[Problem]) -> None:
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
        entry = Entry(checked.key, item, checked.value, (index,))
        try:
            entry.row = self.encoded(entry)
        except InvalidInputError as error:
            problems += error.problems
        else:
            entries[checked.key] = entry

    def _omission(self, checked: Checked) -> Problem | None:
        return omission_problem(self._operation, self._rule.listed, checked.key, checked.value, self._context)

    def _next(self, first: Entry | None) -> tuple[list[Entry], Entry | None]:
        """Take entries up to the limits; the entry that did not fit opens the next batch."""
        limit = self._context.memory.rows(self._operation, self._size)
        batch: dict[str, Entry] = {}
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


def _twice(same: Entry, index: int) -> Problem:
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
