"""What goes into a list call and what comes out of a batch, as plain records: the call, its rule, entries, parts.

Matching a reply's rows to a batch's inputs by key: nothing lost, nothing doubled, nothing guessed.

A key matches exactly, or else trimmed, or else trimmed and ignoring case, where only one input reads so. An exact match
stands against inexact ones. Rows missing, doubled or not asked for are told apart and noted.

What a batch's reply means for each of its entries: one outcome per input, and never a better one than is known.

A read without a row is missing. A write without a row, with rows that differ, or with a row that cannot be read, is
unknown: it may have been done. An input that was part of an earlier request whose answer was lost stays in doubt,
whatever befalls it later: unknown, never failed or not sent.

What answers mean: a reply's value, or one row of it, turned into a result or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from octopus_soap.errors import OctopusError, ProtocolError, RejectedError
from octopus_soap.results import BatchResult, CallInfo, ItemOutcome, OutcomeStatus, Removal, item_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from octopus_soap.engine.context import CodecLike
    from octopus_soap.engine.inputs import BatchItem, ListCall
    from octopus_soap.engine.request import RequestResult
    from octopus_soap.models import (
        InventoryItem,
        IsSkuExistResponse,
        QuantityInfoResponse,
        SubmitOrderResponseItem,
        UpdateItemResponse,
    )


T = TypeVar("T")


class ItemVerdict(NamedTuple, Generic[T]):
    """What a reply's row means for its input."""

    status: OutcomeStatus
    value: T | None = None
    message: str = ""


class BatchPart(NamedTuple):
    """How one batch ended.

    Attributes:
        outcomes: one per input of the batch, in input order where no equal inputs lie apart.
        calls: facts of each request made.
        number: which batch it is, from 0.
    """

    outcomes: list[ItemOutcome[Any]]
    calls: list[CallInfo]
    number: int


def outcomes_of(
    entry: BatchItem, judged: ItemVerdict[Any], error: OctopusError | None = None, raw: bytes | None = None
) -> list[ItemOutcome[Any]]:
    """The same outcome for every input an entry stands for."""
    status, value, message = judged
    key, given, filled = entry.key, entry.input, entry.filled
    return [item_outcome(index, key, status, value, message, error, given, raw, filled) for index in entry.indices]


@dataclass(slots=True)
class Matched:
    """Rows by the position of their input.

    Attributes:
        rows: the row of each input; inputs without one are not in it.
        contradicted: inputs that got several rows which differ.
        notes: oddities, for `CallInfo.warnings`.
    """

    rows: dict[int, Any] = field(default_factory=dict)
    contradicted: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def match_rows(keys: Sequence[str], rows: Iterable[Any]) -> Matched:
    """Match *rows* (anything with a `key` and a `value`) to the inputs' *keys*, which are all different."""
    matched = Matched()
    exact = {key: position for position, key in enumerate(keys)}
    doubled, unasked = 0, []
    later = []
    for row in rows:
        position = exact.get(row.key)
        if position is None:
            later.append(row)
        elif position in matched.rows:
            doubled += _place(matched, position, row)
        else:
            matched.rows[position] = row
    certain = set(matched.rows) if later else set()
    trimmed, folded = (_positions(keys, str.strip), _positions(keys, _fold)) if later else ({}, {})
    for row in later:
        readings = trimmed.get(row.key.strip()) or folded.get(_fold(row.key), [])
        if len(readings) != 1:
            unasked.append(row.key)
        elif readings[0] in certain:
            doubled += 1
        else:
            doubled += _place(matched, readings[0], row)
    if doubled:
        matched.notes.append(f"{doubled} rows came twice")
    if unasked:
        shown = ", ".join(repr(key[:50]) for key in unasked[:3])
        matched.notes.append(f"{len(unasked)} rows were not asked for: {shown}{', …' if len(unasked) > 3 else ''}")  # noqa: PLR2004 - three show the kind
    return matched


def _place(matched: Matched, position: int, row: Any) -> int:
    """Put *row* at *position*; 1 where it has one already."""
    if position not in matched.rows:
        matched.rows[position] = row
        return 0
    if matched.rows[position].value != row.value:
        matched.contradicted.add(position)
    return 1


def same_key(one: str, other: str) -> bool:
    """True where two keys read alike: trimmed, ignoring case."""
    return _fold(one) == _fold(other)


def _positions(keys: Sequence[str], reading: Callable[[str], str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(reading(key), []).append(position)
    return found


def _fold(key: str) -> str:
    return key.strip().casefold()


class BatchOutcomes(Generic[T]):
    """Turns replies into outcomes, for one list call.

    Args:
        listing: the call.
        codec: tells an envelope that is not Success.
        reading: the operation changes nothing.
    """

    def __init__(self, listing: ListCall[T], codec: CodecLike, *, reading: bool) -> None:
        self._listing, self._codec, self._reading = listing, codec, reading

    def unknown_if_in_doubt(self, status: OutcomeStatus, *, in_doubt: bool) -> OutcomeStatus:
        """*status*, or unknown for a write that an earlier request may have carried out."""
        return OutcomeStatus.UNKNOWN if in_doubt and not self._reading else status

    def outcomes(
        self, batch: list[BatchItem], decoded: Any, info: CallInfo, *, in_doubt: bool
    ) -> tuple[list[ItemOutcome[Any]], list[str]]:
        """The outcomes of *batch*, in its order, and what was noticed."""
        failure = self._codec.failure(decoded)
        if failure is not None and (self._reading or not decoded.rows):
            return self._refused(batch, failure.with_info(info), in_doubt=in_doubt), []
        if self._listing.judge is None:
            judged = self._listing.verdict(decoded) if self._listing.verdict else ItemVerdict[Any](OutcomeStatus.OK)
            open_end = judged.status is OutcomeStatus.UNKNOWN
            error = ProtocolError(judged.message, info=info) if open_end else None
            return [outcome for entry in batch for outcome in outcomes_of(entry, judged, error)], []
        matched = match_rows([entry.key for entry in batch], decoded.rows)
        outcomes: list[ItemOutcome[Any]] = []
        rows, contradicted = matched.rows, matched.contradicted
        for position, entry in enumerate(batch):
            found = self._judge(entry, rows.get(position), info, contradicted=position in contradicted)
            if failure is not None and found[0].ok:  # the row says done, its envelope says not
                found = outcomes_of(entry, ItemVerdict(OutcomeStatus.UNKNOWN), failure.with_info(info))
            outcomes += found
        return outcomes, matched.notes

    def _judge(self, entry: BatchItem, row: Any, info: CallInfo, *, contradicted: bool) -> list[ItemOutcome[Any]]:
        unsure = OutcomeStatus.FAILED if self._reading else OutcomeStatus.UNKNOWN
        if row is None:
            if self._reading:
                return outcomes_of(
                    entry, ItemVerdict(OutcomeStatus.MISSING, None, "the service's answer has no row for it")
                )
            lost = ProtocolError("the service's answer has no row for this item", info=info)
            return outcomes_of(entry, ItemVerdict(unsure), lost)
        if contradicted:
            doubled = ProtocolError("the service's answer has several rows for this key, and they differ", info=info)
            return outcomes_of(entry, ItemVerdict(unsure), doubled)
        if row.problems:
            unreadable = ProtocolError(f"cannot read the row: {'; '.join(str(p) for p in row.problems[:3])}", info=info)
            return outcomes_of(entry, ItemVerdict(unsure), unreadable, row.raw)
        assert self._listing.judge is not None  # noqa: S101 - `outcomes` asks only where there is one
        judged = self._listing.judge(row.value)
        if judged.status is OutcomeStatus.UNKNOWN:
            return outcomes_of(entry, ItemVerdict(unsure), ProtocolError(judged.message, info=info))
        return outcomes_of(entry, judged)

    def _refused(self, batch: list[BatchItem], failure: OctopusError, *, in_doubt: bool) -> list[ItemOutcome[Any]]:
        # The page: an update's Status is Failure where not one SKU succeeded. Only its own words tell that from a
        # failure of the service.
        if not self._reading and ("all update requests failed" in failure.message.casefold()):
            return same_for_all(batch, OutcomeStatus.REJECTED, None, failure.message)
        return same_for_all(batch, self.unknown_if_in_doubt(OutcomeStatus.FAILED, in_doubt=in_doubt), failure)


def same_for_all(
    batch: list[BatchItem], status: OutcomeStatus, error: OctopusError | None, message: str = ""
) -> list[ItemOutcome[Any]]:
    """The same outcome for every input of a batch."""
    return [outcome for entry in batch for outcome in outcomes_of(entry, ItemVerdict(status, None, message), error)]


def require_value(settled: RequestResult) -> Any:
    """The value; an answer without one is an error."""
    value = settled.decoded.value
    if value is None:
        raise ProtocolError("the service answered with no value", info=settled.info)
    return value


def removal(settled: RequestResult) -> Removal:
    """A delete: 1 means removed; anything else after a lost answer means it may have been removed by that attempt."""
    if require_value(settled) == 1:
        return Removal.REMOVED
    return Removal.REMOVED_OR_GONE if settled.lost_answers else Removal.NOT_FOUND


def accepted(key: str) -> Callable[[RequestResult], bool]:
    """An update of one item: true, or the service's words as an error."""

    def finish(settled: RequestResult) -> bool:
        if require_value(settled) is not True:
            message = settled.decoded.message or "the service answered false without a reason"
            raise RejectedError(f"{key!r} was not updated: {message}", key=key, info=settled.info)
        return True

    return finish


def quantity_info(sku: str) -> Callable[[RequestResult], QuantityInfoResponse]:
    """Quantities of one item, or the error message in their place; an answer about another item is an error."""

    def finish(settled: RequestResult) -> QuantityInfoResponse:
        info: QuantityInfoResponse = require_value(settled)
        if info.model_fields_set.isdisjoint(type(info).model_fields):
            raise ProtocolError("the service answered with an empty record; it may not know the SKU", info=settled.info)
        if info.sku is not None and not same_key(info.sku, sku):
            raise ProtocolError(f"the answer is about {info.sku[:60]!r}, not {sku!r}", info=settled.info)
        if info.error_message:
            raise RejectedError(f"{sku!r}: {info.error_message}", key=sku, info=settled.info)
        return info

    return finish


def submitted(key: str) -> Callable[[RequestResult], SubmitOrderResponseItem]:
    """A new order: its answer, or the reason it was not accepted."""

    def finish(settled: RequestResult) -> SubmitOrderResponseItem:
        answer: SubmitOrderResponseItem = require_value(settled)
        if answer.result is None and not answer.error_message:
            raise ProtocolError("the answer has neither Result nor ErrorMessage", info=settled.info)
        if answer.result is not True:
            message = answer.error_message or settled.decoded.message or "the service gave no reason"
            raise RejectedError(f"order {key!r} was not accepted: {message}", key=key, info=settled.info)
        return answer

    return finish


def collect_rows(settled: RequestResult) -> BatchResult[Any]:
    """A page of records: the readable ones are values, the others failed outcomes with their XML."""
    outcomes: list[ItemOutcome[Any]] = []
    for index, row in enumerate(settled.decoded.rows):
        if row.problems:
            shown = "; ".join(str(problem) for problem in row.problems[:3])
            error = ProtocolError(f"cannot read the record: {shown}", info=settled.info)
            outcomes.append(ItemOutcome(index, row.key, OutcomeStatus.FAILED, error=error, raw=row.raw))
        else:
            outcomes.append(ItemOutcome(index, row.key, OutcomeStatus.OK, row.value, raw=row.raw))
    return BatchResult(outcomes, [settled.info]).raise_for_unfinished()


def exists(row: IsSkuExistResponse) -> ItemVerdict[bool]:
    """One row of an existence check."""
    if row.result is None:
        message = row.error_message or "the row has no result"
        return ItemVerdict(OutcomeStatus.REJECTED if row.error_message else OutcomeStatus.UNKNOWN, None, message)
    return ItemVerdict(OutcomeStatus.OK, row.result, row.error_message or "")


def found(row: InventoryItem) -> ItemVerdict[InventoryItem]:
    """One row of an item list."""
    return ItemVerdict(OutcomeStatus.OK, row)


def quantity(row: QuantityInfoResponse) -> ItemVerdict[QuantityInfoResponse]:
    """One row of a quantity list."""
    if row.error_message:
        return ItemVerdict(OutcomeStatus.REJECTED, None, row.error_message)
    return ItemVerdict(OutcomeStatus.OK, row)


def updated(row: UpdateItemResponse) -> ItemVerdict[UpdateItemResponse]:
    """One row of an update or upload."""
    if row.result is True:
        return ItemVerdict(OutcomeStatus.OK, row, row.error_message or "")
    if row.result is None:
        return ItemVerdict(OutcomeStatus.UNKNOWN, None, row.error_message or "the row has no result")
    return ItemVerdict(OutcomeStatus.REJECTED, None, row.error_message or "the service gave no reason")


def mapped(decoded: Any) -> ItemVerdict[None]:
    """The text answer of CustomFieldMapping: "true" or an error message."""
    text = (decoded.value or "").strip()
    if text.casefold() == "true":
        return ItemVerdict(OutcomeStatus.OK)
    if not text:
        return ItemVerdict(OutcomeStatus.UNKNOWN, None, "the service answered with no text")
    return ItemVerdict(OutcomeStatus.REJECTED, None, text)
