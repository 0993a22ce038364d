"""Hold what the calls of one client share: `Context`, and the batch sizes that were found to work.

Invariants:

* A `Context` never changes; a view of a client has one of its own. Only its `SizeMemory` learns, and is shared.
* It holds values and pure functions: the account id and the codec's secrets are the only private ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from octopus_soap.engine.request import NULL_OBSERVER
from octopus_soap.models.declarations import OmittedValues, Safety

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from octopus_soap.engine.request import CallConfig
    from octopus_soap.models.declarations import OmittedChoice
    from octopus_soap.wire.codec import Codec


class _Learned(NamedTuple):
    """A size that worked, and how many requests of it went through since."""

    rows: int
    size: int
    streak: int = 0


class SizeMemory:
    """Remembers, by operation, the batch size that worked after a larger one did not.

    A size is learned from one refusal, or from a lost connection that may have another cause. So it grows again: after
    `PATIENCE` requests of it went through, one twice as large is tried.
    """

    PATIENCE = 32

    def __init__(self) -> None:
        self._learned: dict[str, _Learned] = {}  # changed by one assignment each time, because threads share it

    def limit(self, operation: str, rows: int, size: int) -> None:
        """Learn that *rows* of *size* bytes went through, after a larger batch was refused for its size."""
        self._learned[operation] = _Learned(max(1, rows), size)

    def went_through(self, operation: str, rows: int, size: int) -> None:
        """Note that a batch of *rows* and *size* bytes went through at the first try."""
        learned = self._learned.get(operation)
        if learned is None or rows < learned.rows:
            return
        grows = learned.streak + 1 >= self.PATIENCE
        self._learned[operation] = (
            _Learned(2 * learned.rows, size) if grows else _Learned(learned.rows, size, learned.streak + 1)
        )

    def rows(self, operation: str, most: int) -> int:
        """Return how many rows a batch may have, at most *most*."""
        learned = self._learned.get(operation)
        return most if learned is None else min(most, learned.rows)

    def learned(self) -> dict[str, tuple[int, int]]:
        """Return the learned rows and bytes by operation, for people who look."""
        return {name: (learned.rows, learned.size) for name, learned in self._learned.copy().items()}


@dataclass(frozen=True, slots=True)
class Context:
    """What a call needs besides its arguments.

    Attributes:
        codec: encodes requests and decodes replies, under the contract in force.
        config: retry limits, jitter, request ids, and the observer.
        account_id: sent as accountID, unless a call names another.
        batch_sizes: rows per batch by operation, where the settings change the default.
        max_request_bytes: largest request body.
        max_reply_bytes: most that is kept of a reply read in parts.
        parallel_reads, parallel_writes: batches of one call under way at once.
        safety: safety classes the settings override, by operation.
        omitted_values: a choice for all operations, or by wire name, with `*` for the others; see `OmittedValues`.
        strict_lengths: True if text longer than documented is refused.
        unverified: True if a write would use the bundled contract against a real endpoint.
        memory: batch sizes that worked.
    """

    codec: Codec
    config: CallConfig
    account_id: SecretStr | str = field(repr=False)
    batch_sizes: Mapping[str, int] = field(default_factory=dict)
    max_request_bytes: int = 1_000_000
    max_reply_bytes: int = 64 * 1024 * 1024
    parallel_reads: int = 1
    parallel_writes: int = 1
    safety: Mapping[str, Safety] = field(default_factory=dict)
    omitted_values: OmittedChoice | Mapping[str, OmittedChoice] = OmittedValues.REFUSE
    strict_lengths: bool = False
    unverified: bool = False
    memory: SizeMemory = field(default_factory=SizeMemory)

    def unobserved(self) -> Context:
        """Return the same context for a dry run: nothing of it is counted or reported, and no breaker stops it."""
        return replace(self, config=replace(self.config, observer=NULL_OBSERVER, breaker=None))
