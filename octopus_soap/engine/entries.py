"""What goes into a list call and what comes out of a batch: inputs, entries, rules, and the checks of inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from octopus_soap.engine.filling import FILLABLE
from octopus_soap.errors import InvalidInputError, OctopusError, Problem, clip
from octopus_soap.models.base import WireModel
from octopus_soap.results import CallInfo, ItemOutcome, OutcomeStatus, Progress
from octopus_soap.safety import OmittedValues

if TYPE_CHECKING:
    from octopus_soap.engine.context import Context

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
        arguments: the other wire parameters.
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
    arguments: dict[str, Any] = field(default_factory=dict)
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
    indices: list[int]
    row: bytes = b""
    filled: tuple[str, ...] = ()


class Part(NamedTuple):
    """How one batch ended.

    Attributes:
        outcomes: one per input of the batch, in input order where no equal inputs lie apart.
        calls: facts of each request made.
        fatal: the error that ends the whole call.
    """

    outcomes: list[ItemOutcome[Any]]
    calls: list[CallInfo]
    fatal: OctopusError | None = None


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


def each(
    entry: Entry, judged: Judged[Any], error: OctopusError | None = None, raw: bytes | None = None
) -> list[ItemOutcome[Any]]:
    """The same outcome for every input an entry stands for."""
    return [
        ItemOutcome(
            index, entry.key, judged.status, judged.value, judged.message, error, entry.input, raw, entry.filled
        )
        for index in entry.indices
    ]
