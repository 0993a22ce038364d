"""What a batch's reply means for each of its entries: one outcome per input, and never a better one than is known.

A read without a row is missing. A write without a row, with rows that differ, or with a row that cannot be read, is
unknown: it may have been done. An input that was part of an earlier request whose answer was lost stays in doubt,
whatever befalls it later: unknown, never failed or not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from octopus_soap.engine.entries import Entry, Judged, Listing, each
from octopus_soap.engine.matching import match_rows
from octopus_soap.errors import OctopusError, ProtocolError
from octopus_soap.results import ItemOutcome, OutcomeStatus

if TYPE_CHECKING:
    from octopus_soap.engine.context import CodecLike
    from octopus_soap.results import CallInfo

T = TypeVar("T")


class Judge(Generic[T]):
    """Turns replies into outcomes, for one list call.

    Args:
        listing: the call.
        codec: tells an envelope that is not Success.
        reading: the operation changes nothing.
    """

    def __init__(self, listing: Listing[T], codec: CodecLike, *, reading: bool) -> None:
        self._listing, self._codec, self._reading = listing, codec, reading

    def open_or(self, status: OutcomeStatus, *, in_doubt: bool) -> OutcomeStatus:
        """*status*, or unknown for a write that an earlier request may have carried out."""
        return OutcomeStatus.UNKNOWN if in_doubt and not self._reading else status

    def outcomes(
        self, batch: list[Entry], decoded: Any, info: CallInfo, *, in_doubt: bool
    ) -> tuple[list[ItemOutcome[Any]], list[str]]:
        """The outcomes of *batch*, in its order, and what was noticed."""
        failure = self._codec.failure(decoded)
        if failure is not None and (self._reading or not decoded.rows):
            return self._refused(batch, failure.with_info(info), in_doubt=in_doubt), []
        if self._listing.judge is None:
            judged = self._listing.verdict(decoded) if self._listing.verdict else Judged[Any](OutcomeStatus.OK)
            open_end = judged.status is OutcomeStatus.UNKNOWN
            error = ProtocolError(judged.message, info=info) if open_end else None
            return [outcome for entry in batch for outcome in each(entry, judged, error)], []
        matched = match_rows([entry.key for entry in batch], decoded.rows)
        outcomes: list[ItemOutcome[Any]] = []
        rows, contradicted = matched.rows, matched.contradicted
        for position, entry in enumerate(batch):
            found = self._judge(entry, rows.get(position), info, contradicted=position in contradicted)
            if failure is not None and found[0].ok:  # the row says done, its envelope says not
                found = each(entry, Judged(OutcomeStatus.UNKNOWN), failure.with_info(info))
            outcomes += found
        return outcomes, matched.notes

    def _judge(self, entry: Entry, row: Any, info: CallInfo, *, contradicted: bool) -> list[ItemOutcome[Any]]:
        unsure = OutcomeStatus.FAILED if self._reading else OutcomeStatus.UNKNOWN
        if row is None:
            if self._reading:
                return each(entry, Judged(OutcomeStatus.MISSING, None, "the service's answer has no row for it"))
            lost = ProtocolError("the service's answer has no row for this item", info=info)
            return each(entry, Judged(unsure), lost)
        if contradicted:
            doubled = ProtocolError("the service's answer has several rows for this key, and they differ", info=info)
            return each(entry, Judged(unsure), doubled)
        if row.problems:
            unreadable = ProtocolError(f"cannot read the row: {'; '.join(str(p) for p in row.problems[:3])}", info=info)
            return each(entry, Judged(unsure), unreadable, row.raw)
        assert self._listing.judge is not None  # noqa: S101 - `outcomes` asks only where there is one
        judged = self._listing.judge(row.value)
        if judged.status is OutcomeStatus.UNKNOWN:
            return each(entry, Judged(unsure), ProtocolError(judged.message, info=info))
        return each(entry, judged)

    def _refused(self, batch: list[Entry], failure: OctopusError, *, in_doubt: bool) -> list[ItemOutcome[Any]]:
        # The page: an update's Status is Failure where not one SKU succeeded. Only its own words tell that from a
        # failure of the service.
        if not self._reading and ("all update requests failed" in failure.message.casefold()):
            return alike(batch, OutcomeStatus.REJECTED, None, failure.message)
        return alike(batch, self.open_or(OutcomeStatus.FAILED, in_doubt=in_doubt), failure)


def alike(
    batch: list[Entry], status: OutcomeStatus, error: OctopusError | None, message: str = ""
) -> list[ItemOutcome[Any]]:
    """The same outcome for every input of a batch."""
    return [outcome for entry in batch for outcome in each(entry, Judged(status, None, message), error)]
