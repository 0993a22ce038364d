"""Quarantine: what is done with work that fails, so that it is neither lost nor in the way of other work.

A row that failed stays in its table with the reason and the number of tries, and is due again after a pause that
doubles each time. Every report names it until it is mended. The reason is the error's type and words, and where it was
raised; never a whole traceback, whose lines may hold anything.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from octopus_soap.errors import OctopusError, clip
from octopus_soap.jobs.running import KeyProblem

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Table

    from octopus_soap.jobs.running import Report
    from octopus_soap.wire.redact import Redactor

_MOST_NAMED = 200
_REASON = 400  # characters


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long work that failed waits for its next try.

    Attributes:
        first: after the first failure.
        longest: the most; in between it doubles each time.
    """

    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=6)

    def after(self, attempts: int) -> timedelta:
        """The pause after *attempts* failures, 1 or more."""
        doubled: timedelta = self.first * 2 ** min(max(attempts, 1) - 1, 40)
        return min(self.longest, doubled)


def reason_of(error: BaseException, redactor: Redactor) -> str:
    """What failed, in one line without secrets."""
    if isinstance(error, OctopusError):
        words = error.message
    else:
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        if frames:
            words += f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})"
    return clip(redactor.text(" ".join(words.split())), _REASON)


def name_held(connection: Connection, table: Table, channel: str, held: Collection[str], report: Report) -> None:
    """Add the rows of *table* that are held to the report, those of earlier runs included."""
    mine = (table.c.channel == channel, table.c.state.in_(held))
    report.problem_count += connection.execute(select(func.count()).select_from(table).where(*mine)).scalar_one()
    rows = select(table.c.key, table.c.state, table.c.message, table.c.attempts).where(*mine)
    for row in connection.execute(rows.order_by(table.c.key).limit(_MOST_NAMED)):
        report.problems.append(KeyProblem(row.key, row.state, row.message, row.attempts))
