"""`Context`: what the calls of one client share, as plain values and pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from octopus_soap.engine.request import NULL_OBSERVER
from octopus_soap.errors import UnverifiedContractError
from octopus_soap.safety import OmittedValues, Safety

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.engine.request import CallConfig
    from octopus_soap.errors import ApiStatusError
    from octopus_soap.models.base import WireModel


class EnvelopePartsLike(Protocol):
    """The bytes around the rows of a list call."""

    @property
    def head(self) -> bytes: ...
    @property
    def tail(self) -> bytes: ...


class CodecLike(Protocol):
    """What the engine asks of the wire; `wire.codec.Codec` documents each."""

    def action(self, operation: str, /) -> str: ...
    def encode(self, operation: str, arguments: Mapping[str, Any], /) -> bytes: ...
    def frame(self, operation: str, arguments: Mapping[str, Any], listed: str, /) -> EnvelopePartsLike: ...
    def row_writer(self, operation: str, listed: str, /) -> Callable[[Any], bytes]: ...
    def decode(self, operation: str, reply: Any, reads: Any, /) -> Any: ...
    def failure(self, decoded: Any, /) -> ApiStatusError | None: ...
    def omitted_value_members(self, operation: str, parameter: str, value: WireModel, /) -> list[str]: ...


class _Learned(NamedTuple):
    """A size that worked, and how many requests of it went through since."""

    rows: int
    size: int
    streak: int = 0


class SizeMemory:
    """The batch sizes that worked after a larger one did not, by operation. Shared by all calls of a client.

    A size is learned from one refusal, or from a lost connection that only may have meant it. So it grows again: once
    `PATIENCE` requests of it went through, one twice as large is tried.
    """

    PATIENCE = 32

    def __init__(self) -> None:
        self._learned: dict[str, _Learned] = {}  # changed by one assignment each time: threads share it

    def worked(self, operation: str, rows: int, size: int) -> None:
        """A batch of *rows* and *size* bytes went through after a larger one was refused for its size."""
        self._learned[operation] = _Learned(max(1, rows), size)

    def went_through(self, operation: str, rows: int, size: int) -> None:
        """A batch of *rows* and *size* bytes went through at the first try."""
        learned = self._learned.get(operation)
        if learned is None or rows < learned.rows:
            return
        grows = learned.streak + 1 >= self.PATIENCE
        self._learned[operation] = (
            _Learned(2 * learned.rows, size) if grows else _Learned(learned.rows, size, learned.streak + 1)
        )

    def rows(self, operation: str, limit: int) -> int:
        """How many rows a batch may have."""
        learned = self._learned.get(operation)
        return limit if learned is None else min(limit, learned.rows)

    def learned(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes by operation, for people who look."""
        return {name: (learned.rows, learned.size) for name, learned in self._learned.copy().items()}


@dataclass(frozen=True, slots=True)
class Context:
    """What a call needs beside its arguments.

    Attributes:
        codec: the wire.
        rules: retry limits, jitter, ids.
        account_id: sent as accountID where a call names none.
        batch_sizes: rows per batch by operation, where settings lower or raise the default.
        max_request_bytes: largest request body.
        parallel_reads, parallel_writes: batches of one call under way at once.
        safety: classes overridden by settings, by operation.
        omitted_values: see `OmittedValues`.
        unverified: writes would use the bundled contract against a real endpoint.
        memory: batch sizes that worked.
    """

    codec: CodecLike
    rules: CallConfig
    account_id: str = field(repr=False)
    batch_sizes: Mapping[str, int] = field(default_factory=dict)
    max_request_bytes: int = 1_000_000
    parallel_reads: int = 1
    parallel_writes: int = 1
    safety: Mapping[str, Safety] = field(default_factory=dict)
    omitted_values: OmittedValues = OmittedValues.REFUSE
    unverified: bool = False
    memory: SizeMemory = field(default_factory=SizeMemory)

    def unobserved(self) -> Context:
        """The same for a call that is only looked at: nothing of it is counted or told."""
        return replace(self, rules=replace(self.rules, watch=NULL_OBSERVER))

    def guard_contract(self, operation: str, declared: Safety) -> None:
        """Refuse a write under a contract nobody verified.

        Raises:
            UnverifiedContractError: it is one.
        """
        if self.unverified and declared is not Safety.READ:
            raise UnverifiedContractError(
                f"{operation} would write with the bundled contract, which is a reconstruction: a WCF server ignores "
                "members in the wrong order or namespace without a word, and a price could become 0. Pin the live "
                "contract (octopus-soap wsdl pin), pass wsdl=..., or set accept_unverified_contract=True"
            )
