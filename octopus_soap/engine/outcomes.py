"""Turn replies into results: match rows to inputs, and find each input's outcome.

Invariants:

* Every input gets exactly one outcome, and never a better one than the answer proves.
* A row belongs to the input whose key it has: exactly, or else trimmed, or else trimmed and ignoring case, and only if
  no second input matches so. An exact match wins over the others. Rows that came twice or were not asked for are noted.
* A read without a row is missing, or failed if the answer has a row without a key that cannot be read: it may be the
  one. A write without a row, with rows that contradict each other, or with a row that cannot be read, is unknown: it
  may have been done.
* An input that was part of an earlier request whose answer was lost stays in doubt: a write of it is unknown, never
  failed or not sent.

On failure: a list call's problems become outcomes, and nothing is raised. The functions for single calls raise.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from octopus_soap.errors import OctopusError, ProtocolError
from octopus_soap.models.declarations import RowsOf
from octopus_soap.results import BatchResult, CallInfo, ItemOutcome, OutcomeStatus, Removal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from octopus_soap.engine.inputs import BatchItem, ListCall
    from octopus_soap.engine.request import RequestResult
    from octopus_soap.models import (
        IsSkuExistResponse,
        QuantityInfoResponse,
        SubmitOrderResponseItem,
        UpdateItemResponse,
    )
    from octopus_soap.wire.decode import Decoded
    from octopus_soap.wire.readers import Row

T = TypeVar("T")
_KEY = attrgetter("key")


# -- list calls --------------------------------------------------------------------------------------------------------


class ItemVerdict(NamedTuple, Generic[T]):
    """The part of an `ItemOutcome` that an answer decides, for one input."""

    status: OutcomeStatus
    value: T | None = None
    message: str = ""
    error: OctopusError | None = None
    raw: bytes | None = None


class BatchPart(NamedTuple):
    """The results of one batch.

    Attributes:
        outcomes: one per input of the batch, in input order.
        calls: the facts of each request made.
        number: the batch's position, counted from 0.
    """

    outcomes: list[ItemOutcome[Any]]
    calls: list[CallInfo]
    number: int


def same_for_all(batch: Iterable[BatchItem], verdict: ItemVerdict[Any]) -> list[ItemOutcome[Any]]:
    """Return the same outcome for every input of *batch*."""
    status, value, message, error, raw = verdict
    return [
        ItemOutcome(index, entry.key, status, value, message, error, entry.input, raw, entry.filled)
        for entry in batch
        for index in entry.indices
    ]


def outcomes_of(
    batch: list[BatchItem], result: RequestResult, call: ListCall[Any], *, reading: bool, in_doubt: bool
) -> tuple[list[ItemOutcome[Any]], list[str]]:
    """Return the outcomes of *batch*, in its order, and notes on oddities.

    Args:
        batch: what was asked.
        result: the answer.
        call: judges rows, or the reply.
        reading: True if the operation changes nothing.
        in_doubt: True if an earlier request for these items lost its answer.
    """
    decoded, refusal, info, _ = result
    if refusal is not None and (reading or not decoded.rows):
        refused = _refused(refusal.with_info(info), reading=reading, in_doubt=in_doubt)
        return same_for_all(batch, refused), []
    if not isinstance(call.reads, RowsOf):
        verdict = ItemVerdict[Any](OutcomeStatus.OK) if call.judge_reply is None else call.judge_reply(decoded)
        if verdict.status is OutcomeStatus.UNKNOWN:
            verdict = verdict._replace(error=ProtocolError(verdict.message, info=info))
        return same_for_all(batch, verdict), []
    if refusal is None and (usual := _in_order(batch, decoded.rows, call.judge_row)) is not None:
        return usual, []
    matched = match_rows(list(map(_KEY, batch)), decoded.rows)
    rows, contradicted = matched.rows, matched.contradicted
    row_is_answer = call.judge_row is None and refusal is None and not contradicted
    outcomes: list[ItemOutcome[Any]] = []
    for position, entry in enumerate(batch):
        row = rows.get(position, matched.unreadable)
        if row_is_answer and row is not None and not row.problems:  # the usual case of a read, without a verdict
            status, value, message, error, raw = OutcomeStatus.OK, row.value, "", None, None
        else:
            verdict = _row_verdict(row, call, info, reading=reading, rivals=matched.rivals.get(position))
            if refusal is not None and verdict.status is OutcomeStatus.OK:  # the row is Success, its envelope is not
                verdict = ItemVerdict(OutcomeStatus.UNKNOWN, error=refusal.with_info(info))
            status, value, message, error, raw = verdict
        for index in entry.indices:
            outcomes.append(  # noqa: PERF401 - one index is the usual case, and a comprehension costs a call per item
                ItemOutcome(index, entry.key, status, value, message, error, entry.input, raw, entry.filled)
            )
    return outcomes, matched.notes


def _in_order(
    batch: list[BatchItem], rows: list[Row], judge: Callable[[Any], ItemVerdict[Any] | None] | None
) -> list[ItemOutcome[Any]] | None:
    """Return the outcomes of *batch* if its items have one row each, in order, all ok.

    Nearly every answer is like that, and needs no matching. None for any other answer.
    """
    if len(rows) != len(batch):
        return None
    ok = OutcomeStatus.OK
    outcomes: list[ItemOutcome[Any]] = []
    add = outcomes.append
    for entry, (key, value, problems, _) in zip(batch, rows, strict=True):
        if key != entry.key or problems or len(entry.indices) != 1:
            return None
        verdict = None if judge is None else judge(value)
        if verdict is None:
            add(ItemOutcome(entry.indices[0], key, ok, value, "", None, entry.input, None, entry.filled))
        elif verdict[0] is ok:
            add(ItemOutcome(entry.indices[0], key, ok, verdict[1], verdict[2], None, entry.input, None, entry.filled))
        else:
            return None
    return outcomes


def _row_verdict(
    row: Row | None, call: ListCall[T], info: CallInfo, *, reading: bool, rivals: list[Row] | None
) -> ItemVerdict[T]:
    unsure = OutcomeStatus.FAILED if reading else OutcomeStatus.UNKNOWN
    if row is None:
        if reading:
            return ItemVerdict(OutcomeStatus.MISSING, None, "the service's answer has no row for it")
        lost = ProtocolError("the service's answer has no row for this item", info=info)
        return ItemVerdict(unsure, error=lost)
    if rivals:
        doubled = ProtocolError(
            f"the service's answer has {len(rivals)} rows for this key, and they differ: {_differences(rivals)}",
            info=info,
        )
        return ItemVerdict(unsure, error=doubled, raw=b"\n".join(rival.raw for rival in rivals if rival.raw) or None)
    if row.problems:
        unreadable = ProtocolError(f"cannot read the row: {'; '.join(str(p) for p in row.problems[:3])}", info=info)
        return ItemVerdict(unsure, error=unreadable, raw=row.raw)
    verdict = (call.judge_row and call.judge_row(row.value)) or ItemVerdict(OutcomeStatus.OK, row.value)
    if verdict.status is OutcomeStatus.UNKNOWN:
        return ItemVerdict(unsure, error=ProtocolError(verdict.message, info=info))
    return verdict


def _refused(refusal: OctopusError, *, reading: bool, in_doubt: bool) -> ItemVerdict[Any]:
    # The page: an update's Status is Failure if no SKU succeeded. Only the message distinguishes that from a failure of
    # the service.
    if not reading and "all update requests failed" in refusal.message.casefold():
        return ItemVerdict(OutcomeStatus.REJECTED, None, refusal.message)
    return ItemVerdict(unknown_if(OutcomeStatus.FAILED, in_doubt=in_doubt and not reading), error=refusal)


def unknown_if(status: OutcomeStatus, *, in_doubt: bool) -> OutcomeStatus:
    """Return *status*, or unknown if an earlier request may have done the write."""
    return OutcomeStatus.UNKNOWN if in_doubt else status


class Matched:
    """Rows by the position of their input.

    Attributes:
        rows: the row of each input; inputs without one are not in it.
        contradicted: inputs with several rows that differ.
        rivals: all rows of those inputs.
        unreadable: a row that cannot be read, not even its key: it may belong to any input that has no row.
        notes: oddities, for `CallInfo.warnings`.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.contradicted: set[int] = set()
        self.rivals: dict[int, list[Row]] = {}
        self.unreadable: Row | None = None
        self.notes: list[str] = []


def match_rows(keys: Sequence[str], rows: Iterable[Row]) -> Matched:
    """Match *rows* to the *keys* of inputs, which are all different."""
    matched = Matched()
    exact = dict(zip(keys, range(len(keys)), strict=True))
    doubled: list[str] = []
    unasked: list[str] = []
    later = []
    for row in rows:
        position = exact.get(row.key)
        if position is None:
            later.append(row)
        elif position in matched.rows:
            _place(matched, position, row, doubled)
        else:
            matched.rows[position] = row
    certain = set(matched.rows) if later else set[int]()
    trimmed, folded = (_positions(keys, str.strip), _positions(keys, _fold)) if later else ({}, {})
    for row in later:
        problems = getattr(row, "problems", ())
        if problems and not row.key:
            matched.unreadable = matched.unreadable or row
        readings = trimmed.get(row.key.strip()) or folded.get(_fold(row.key), [])
        if len(readings) != 1:
            unasked.append(row.key)
        elif readings[0] in certain:  # an exact match is kept, and the other row noted
            doubled.append(row.key)
        else:
            _place(matched, readings[0], row, doubled)
    if doubled:
        matched.notes.append(f"{len(doubled)} rows came twice: {_first_of(doubled)}")
    if unasked:
        matched.notes.append(f"{len(unasked)} rows were not asked for: {_first_of(unasked)}")
    return matched


def _place(matched: Matched, position: int, row: Row, doubled: list[str]) -> None:
    """Put *row* at *position*; if another row is there and differs, keep both."""
    if position not in matched.rows:
        matched.rows[position] = row
        return
    first = matched.rows[position]
    doubled.append(row.key)
    unreadable = getattr(first, "problems", ()) or getattr(row, "problems", ())
    if unreadable or first.value != _with_key_of(first.value, row.value):
        matched.contradicted.add(position)
        matched.rivals.setdefault(position, [first]).append(row)


def _with_key_of(first: Any, second: Any) -> Any:
    """Return *second* with the key of *first*, which may differ in case or spaces."""
    name = getattr(type(first), "key_field", "")
    if not name or type(first) is not type(second):
        return second
    return second.model_copy(update={name: getattr(first, name)})


def _differences(rows: list[Row]) -> str:
    """Return the differences between rows of one key, for a message."""
    if any(row.problems for row in rows):
        return "one of them cannot be read"
    values: list[dict[str, Any]] = [row.value.model_dump() for row in rows]
    names = [name for name in values[0] if any(other.get(name) != values[0][name] for other in values[1:])]
    names += [name for other in values[1:] for name in other if name not in values[0]]
    shown = [f"{name}: {', '.join(repr(value.get(name))[:40] for value in values[:3])}" for name in names[:3]]
    return "; ".join(shown) or "they differ"


def _first_of(keys: list[str]) -> str:
    return f"{', '.join(repr(key[:50]) for key in keys[:3])}{', …' if len(keys) > 3 else ''}"  # noqa: PLR2004 - three show the kind


def _positions(keys: Sequence[str], reading: Callable[[str], str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(reading(key), []).append(position)
    return found


def _fold(key: str) -> str:
    return key.strip().casefold()


# -- the meaning of a row, by operation --------------------------------------------------------------------------------


_EXISTS = {answer: ItemVerdict(OutcomeStatus.OK, answer) for answer in (True, False)}


def exists(row: IsSkuExistResponse) -> ItemVerdict[bool]:
    """Judge one row of an existence check."""
    if not row.error_message and row.result is not None:
        return _EXISTS[row.result]
    if row.result is None:
        message = row.error_message or "the row has no result"
        return ItemVerdict(OutcomeStatus.REJECTED if row.error_message else OutcomeStatus.UNKNOWN, None, message)
    return ItemVerdict(OutcomeStatus.OK, row.result, row.error_message or "")


def quantity(row: QuantityInfoResponse) -> ItemVerdict[QuantityInfoResponse] | None:
    """Judge one row of a quantity list; None if it is the answer."""
    return ItemVerdict(OutcomeStatus.REJECTED, None, row.error_message) if row.error_message else None


def updated(row: UpdateItemResponse) -> ItemVerdict[UpdateItemResponse] | None:
    """Judge one row of an update or upload; None if it is the answer."""
    if row.result is True:
        if not row.error_message:
            return None
        return ItemVerdict(OutcomeStatus.OK, row, row.error_message or "")
    if row.result is None:
        return ItemVerdict(OutcomeStatus.UNKNOWN, None, row.error_message or "the row has no result")
    return ItemVerdict(OutcomeStatus.REJECTED, None, row.error_message or "the service gave no reason")


def mapped(decoded: Decoded) -> ItemVerdict[None]:
    """Judge the text that CustomFieldMapping answers: "true" or an error message."""
    text = (decoded.value or "").strip()
    if text.casefold() == "true":
        return ItemVerdict(OutcomeStatus.OK)
    if not text:
        return ItemVerdict(OutcomeStatus.UNKNOWN, None, "the service answered with no text")
    return ItemVerdict(OutcomeStatus.REJECTED, None, text)


# -- the result of a single call ---------------------------------------------------------------------------------------


_DELETED, _NOT_THERE = 1, 0


def removal(sku: str) -> Callable[[RequestResult], Removal]:
    """Return a function that reads the number a delete answers.

    1 means deleted, 0 not there; no other number is documented. A 0 after a lost answer may be the effect of that
    earlier attempt.
    """

    def finish(result: RequestResult) -> Removal:
        number: int = result.require_value()
        if number == _DELETED:
            return Removal.REMOVED
        if number == _NOT_THERE:
            return Removal.REMOVED_OR_GONE if result.lost_answers else Removal.NOT_FOUND
        doubt = "; an earlier attempt, whose answer was lost, may have deleted it" if result.lost_answers else ""
        raise result.rejected(
            f"{sku!r}: the service answered {number} to the delete, and only 1 (deleted) and 0 (not there) are "
            f"known; it may still be there{doubt}",
            sku,
            number,
        )

    return finish


def accepted(key: str) -> Callable[[RequestResult], bool]:
    """Return a function that returns True for an accepted update, or raises."""

    def finish(result: RequestResult) -> bool:
        if result.require_value() is not True:
            message = result.decoded.message or "the service answered false without a reason"
            raise result.rejected(f"{key!r} was not updated: {message}", key, row=False)
        return True

    return finish


def quantity_info(sku: str) -> Callable[[RequestResult], QuantityInfoResponse]:
    """Return a function that returns an item's quantities, or raises."""

    def finish(result: RequestResult) -> QuantityInfoResponse:
        answer: QuantityInfoResponse = result.require_value()
        if answer.model_fields_set.isdisjoint(type(answer).model_fields):
            raise ProtocolError("the service answered with an empty record; it may not have the SKU", info=result.info)
        if answer.sku is not None and _fold(answer.sku) != _fold(sku):
            raise ProtocolError(f"the answer is about {answer.sku[:60]!r}, not {sku!r}", info=result.info)
        if answer.error_message:
            raise result.rejected(f"{sku!r}: {answer.error_message}", sku, answer)
        return answer

    return finish


def submitted(key: str) -> Callable[[RequestResult], SubmitOrderResponseItem]:
    """Return a function that returns the answer to a new order, or raises."""

    def finish(result: RequestResult) -> SubmitOrderResponseItem:
        answer: SubmitOrderResponseItem = result.require_value()
        if answer.result is None and not answer.error_message:
            raise ProtocolError("the answer has neither Result nor ErrorMessage", info=result.info)
        if answer.result is not True:
            message = answer.error_message or result.decoded.message or "the service gave no reason"
            raise result.rejected(f"order {key!r} was not accepted: {message}", key, answer)
        return answer

    return finish


def collect_rows(result: RequestResult) -> BatchResult[Any]:
    """Return all records of a reply; any that cannot be read raise `BatchError`."""
    outcomes = outcomes_of_rows(result.decoded.rows, result.info)
    return BatchResult(outcomes, [result.info]).raise_for_unfinished()


def outcomes_of_rows(rows: Iterable[Row], info: CallInfo, first: int = 0) -> list[ItemOutcome[Any]]:
    """Return an outcome for each record; *first* is the index of the first one."""
    outcomes: list[ItemOutcome[Any]] = []
    for index, row in enumerate(rows, first):
        if row.problems:
            shown = "; ".join(str(problem) for problem in row.problems[:3])
            error = ProtocolError(f"cannot read the record: {shown}", info=info)
            outcomes.append(ItemOutcome(index, row.key, OutcomeStatus.FAILED, error=error, raw=row.raw))
        else:
            outcomes.append(ItemOutcome(index, row.key, OutcomeStatus.OK, row.value, raw=row.raw))
    return outcomes
