"""Quarantine: what is done with work that fails, so that it is neither lost nor in the way of other work.

A row that failed stays in its table with the reason and the number of tries, and is due again after a pause that
doubles each time. Every report names it until it is mended. The reason is the error's type and words, and where it was
raised; never a whole traceback, whose lines may hold anything, nor a statement and the values a database quotes.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import DBAPIError

from octopus_soap._http import clip
from octopus_soap.errors import LedgerError, OctopusError
from octopus_soap.jobs.running import KeyProblem

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Table

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


class HandlerFailedError(Exception):
    """Ends the transaction of a handler that failed.

    Attributes:
        error: what it raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def still_open(connection: Connection) -> None:
    """See that a handler left the ledger's transaction to the ledger.

    Raises:
        HandlerFailedError: it committed, or rolled back: its work and the mark that it is done are apart now.
    """
    if not connection.in_transaction():
        raise HandlerFailedError(
            LedgerError("the handler ended the ledger's transaction; leave commit and rollback to the job")
        )


def reason_of(error: BaseException, redactor: Redactor) -> str:
    """What failed, in one line without secrets."""
    if isinstance(error, OctopusError):
        words = error.message
    else:
        told = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        # Of a database's words the first line: the others quote whole rows, and so whoever ordered.
        said = (str(told).splitlines() or [""])[0] if told is not error else str(error)
        words = f"{type(told).__name__}: {said}" if said else type(told).__name__
        frames = traceback.extract_tb(error.__traceback__)
        if frames:
            words += f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})"
    # A handler's words may be anything, such as half a surrogate pair, which no database takes.
    plain = "".join(letter if letter.isprintable() else "?" for letter in " ".join(words.split()))
    return clip(redactor.text(plain), _REASON)


def name_held(connection: Connection, table: Table, channel: str, report: Report) -> None:
    """Add the rows of *table* that are held to the report, those of earlier runs included."""
    mine = is_held(table, channel)
    report.problem_count += connection.execute(select(func.count()).select_from(table).where(mine)).scalar_one()
    rows = select(table.c.key, table.c.state, table.c.message, table.c.attempts).where(mine)
    for row in connection.execute(rows.order_by(table.c.key).limit(_MOST_NAMED)):
        report.problems.append(KeyProblem(row.key, held_as(table, row.state), row.message, row.attempts))


def is_held(table: Table, channel: str) -> ColumnElement[bool]:
    """The condition for rows of *channel* that wait for somebody to mend something.

    A table's `info` names the states that mean so (`held`), and those that do where a row was tried in vain, with a
    word for people (`stuck`).
    """
    stuck = and_(table.c.state.in_(table.info.get("stuck", {})), table.c.attempts > 0)
    return and_(table.c.channel == channel, or_(table.c.state.in_(table.info["held"]), stuck))


def held_as(table: Table, state: str) -> str:
    """What people are told of a row that is held in *state*."""
    words: dict[str, str] = table.info.get("stuck", {})
    return words.get(state, state)
