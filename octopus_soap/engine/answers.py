"""What answers mean: a reply's value, or one row of it, turned into a result or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octopus_soap.engine.entries import Judged
from octopus_soap.engine.matching import same_key
from octopus_soap.errors import ProtocolError, RejectedError
from octopus_soap.results import BatchResult, ItemOutcome, OutcomeStatus, Removal

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.engine.flow import Settled
    from octopus_soap.models import (
        InventoryItem,
        IsSkuExistResponse,
        QuantityInfoResponse,
        SubmitOrderResponseItem,
        UpdateItemResponse,
    )


def present(settled: Settled) -> Any:
    """The value; an answer without one is an error."""
    value = settled.decoded.value
    if value is None:
        raise ProtocolError("the service answered with no value", info=settled.info)
    return value


def removal(settled: Settled) -> Removal:
    """A delete: 1 means removed; anything else after a lost answer means it may have been removed by that attempt."""
    if present(settled) == 1:
        return Removal.REMOVED
    return Removal.REMOVED_OR_GONE if settled.lost_answers else Removal.NOT_FOUND


def accepted(key: str) -> Callable[[Settled], bool]:
    """An update of one item: true, or the service's words as an error."""

    def finish(settled: Settled) -> bool:
        if present(settled) is not True:
            message = settled.decoded.message or "the service answered false without a reason"
            raise RejectedError(f"{key!r} was not updated: {message}", key=key, info=settled.info)
        return True

    return finish


def quantity_info(sku: str) -> Callable[[Settled], QuantityInfoResponse]:
    """Quantities of one item, or the error message in their place; an answer about another item is an error."""

    def finish(settled: Settled) -> QuantityInfoResponse:
        info: QuantityInfoResponse = present(settled)
        if info.model_fields_set.isdisjoint(type(info).model_fields):
            raise ProtocolError("the service answered with an empty record; it may not know the SKU", info=settled.info)
        if info.sku is not None and not same_key(info.sku, sku):
            raise ProtocolError(f"the answer is about {info.sku[:60]!r}, not {sku!r}", info=settled.info)
        if info.error_message:
            raise RejectedError(f"{sku!r}: {info.error_message}", key=sku, info=settled.info)
        return info

    return finish


def submitted(key: str) -> Callable[[Settled], SubmitOrderResponseItem]:
    """A new order: its answer, or the reason it was not accepted."""

    def finish(settled: Settled) -> SubmitOrderResponseItem:
        answer: SubmitOrderResponseItem = present(settled)
        if answer.result is None and not answer.error_message:
            raise ProtocolError("the answer has neither Result nor ErrorMessage", info=settled.info)
        if answer.result is not True:
            message = answer.error_message or settled.decoded.message or "the service gave no reason"
            raise RejectedError(f"order {key!r} was not accepted: {message}", key=key, info=settled.info)
        return answer

    return finish


def page(settled: Settled) -> BatchResult[Any]:
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


def exists(row: IsSkuExistResponse) -> Judged[bool]:
    """One row of an existence check."""
    if row.result is None:
        message = row.error_message or "the row has no result"
        return Judged(OutcomeStatus.REJECTED if row.error_message else OutcomeStatus.UNKNOWN, None, message)
    return Judged(OutcomeStatus.OK, row.result, row.error_message or "")


def found(row: InventoryItem) -> Judged[InventoryItem]:
    """One row of an item list."""
    return Judged(OutcomeStatus.OK, row)


def quantity(row: QuantityInfoResponse) -> Judged[QuantityInfoResponse]:
    """One row of a quantity list."""
    if row.error_message:
        return Judged(OutcomeStatus.REJECTED, None, row.error_message)
    return Judged(OutcomeStatus.OK, row)


def updated(row: UpdateItemResponse) -> Judged[UpdateItemResponse]:
    """One row of an update or upload."""
    if row.result is True:
        return Judged(OutcomeStatus.OK, row, row.error_message or "")
    if row.result is None:
        return Judged(OutcomeStatus.UNKNOWN, None, row.error_message or "the row has no result")
    return Judged(OutcomeStatus.REJECTED, None, row.error_message or "the service gave no reason")


def mapped(decoded: Any) -> Judged[None]:
    """The text answer of CustomFieldMapping: "true" or an error message."""
    text = (decoded.value or "").strip()
    if text.casefold() == "true":
        return Judged(OutcomeStatus.OK)
    if not text:
        return Judged(OutcomeStatus.UNKNOWN, None, "the service answered with no text")
    return Judged(OutcomeStatus.REJECTED, None, text)
