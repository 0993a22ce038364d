"""What goes into a list call and what comes out of a batch, as plain records: the call, its rule, entries, parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from octopus_soap.results import CallInfo, ItemOutcome, OutcomeStatus, Progress, item_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octopus_soap.errors import OctopusError, Problem

T = TypeVar("T")


class Judged(NamedTuple, Generic[T]):
    """What a reply's row means for its input."""

    status: OutcomeStatus
    value: T | None = None
    message: str = ""


class Checked(NamedTuple):
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
class Listing(Generic[T]):
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
    check: Callable[[Any], Checked]
    reads: Any
    judge: Callable[[Any], Judged[T]] | None = None
    verdict: Callable[[Any], Judged[T]] | None = None
    account_id: str | None = None
    batch_size: int | None = None
    progress: Callable[[Progress], object] | bool | None = None
    guarded: bool = False


@dataclass(slots=True)
class Entry:
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


class Part(NamedTuple):
    """How one batch ended.

    Attributes:
        outcomes: one per input of the batch, in input order where no equal inputs lie apart.
        calls: facts of each request made.
        number: which batch it is, from 0.
    """

    outcomes: list[ItemOutcome[Any]]
    calls: list[CallInfo]
    number: int


def each(
    entry: Entry, judged: Judged[Any], error: OctopusError | None = None, raw: bytes | None = None
) -> list[ItemOutcome[Any]]:
    """The same outcome for every input an entry stands for."""
    status, value, message = judged
    key, given, filled = entry.key, entry.input, entry.filled
    return [item_outcome(index, key, status, value, message, error, given, raw, filled) for index in entry.indices]
