"""What an order inbox was told, as its parts share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from octopus_soap.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from datetime import datetime

    from octopus_soap.jobs.quarantine import Backoff
    from octopus_soap.wire.redact import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxOptions:
    """The options of `OrderInbox`, which documents them, and what masks secrets.

    Raises:
        InvalidInputError: one is not accepted.
    """

    stores: tuple[str, ...]
    since: datetime | None
    overlap: timedelta
    sweep: timedelta | None
    transactional: bool
    confirm: bool
    on_change: str
    handler_seconds: float
    backoff: Backoff
    redactor: Redactor = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what makes no sense, before anything is sent."""
        problems: list[Problem] = []
        if not all(self.stores):
            problems.append(
                Problem("expected store ids, such as ['S1', 'S2']", field="stores", value=repr(self.stores))
            )
        if self.since is not None and self.since.utcoffset() is None:
            problems.append(Problem("has no time zone; add one, such as tzinfo=datetime.UTC", field="since"))
        if self.overlap < timedelta(0):
            problems.append(Problem("must not be negative", field="overlap", value=str(self.overlap)))
        if self.on_change not in {"report", "deliver"}:
            problems.append(Problem("must be 'report' or 'deliver'", field="on_change", value=repr(self.on_change)))
        if not self.handler_seconds > 0:
            problems.append(Problem("must be above 0", field="handler_seconds", value=repr(self.handler_seconds)))
        if problems:
            raise InvalidInputError(problems)

    @property
    def deliver_changes(self) -> bool:
        """Versions other than the handled one are handed over, too."""
        return self.on_change == "deliver"
