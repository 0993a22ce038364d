"""Calls the service has no list form of, made one after another, with one outcome per input as a list call has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from octopus_soap.errors import OctopusError, OutcomeUnknownError, RejectedError
from octopus_soap.results import Answer, BatchResult, CallInfo, ItemOutcome, OutcomeStatus, Progress, Removal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def in_turn(
    inputs: Sequence[Any],
    key: Callable[[Any], str],
    call: Callable[[Any], Answer[T]],
    progress: Callable[[Progress], object],
) -> BatchResult[T]:
    """Make *call*, a write, with each of *inputs*; one that is rejected, or not there to be removed, stops no other.

    Args:
        inputs: what to call with.
        key: the SKU or order id of an input.
        call: makes one call, such as `client.delete_item.with_info`.
        progress: called after each.

    Raises:
        BatchError: a call failed, and those after it were not made; its `result` has what became of each, as that of
            Ctrl-C and any other exception has.
    """
    outcomes: list[ItemOutcome[T]] = []
    calls: list[CallInfo] = []
    failure: OctopusError | None = None
    begun = -1
    try:
        for index, given in enumerate(inputs):
            if failure is None:
                begun = index
                outcome = _made(index, given, key(given), call, calls)
                failure = outcome.error
            else:
                outcome = ItemOutcome(index, key(given), OutcomeStatus.NOT_SENT, input=given)
            outcomes.append(outcome)
            progress(Progress(index + 1, len(inputs)))
    except BaseException as error:
        for index in range(len(outcomes), len(inputs)):
            status = OutcomeStatus.UNKNOWN if index == begun else OutcomeStatus.NOT_SENT
            outcomes.append(ItemOutcome(index, key(inputs[index]), status, input=inputs[index]))
        error.result = BatchResult(outcomes, calls)  # type: ignore[attr-defined] # as on what ends a list call
        raise
    return BatchResult(outcomes, calls).raise_for_unfinished(failure)


def _made(index: int, given: Any, key: str, call: Callable[[Any], Answer[T]], calls: list[CallInfo]) -> ItemOutcome[T]:
    try:
        answer = call(given)
    except RejectedError as error:
        calls += [error.info] if error.info else []
        return ItemOutcome(index, key, OutcomeStatus.REJECTED, message=error.message, input=given)
    except OctopusError as error:
        calls += [error.info] if error.info else []
        open_ = isinstance(error, OutcomeUnknownError)
        status = OutcomeStatus.UNKNOWN if open_ else OutcomeStatus.FAILED
        return ItemOutcome(index, key, status, error=error, input=given)
    value = answer.value
    calls.append(answer.info)
    if value is Removal.NOT_FOUND:
        return ItemOutcome(index, key, OutcomeStatus.MISSING, message="the service has no such item", input=given)
    return ItemOutcome(index, key, OutcomeStatus.OK, value, input=given)
