"""Reports: what a run did, its exit code, and what is held; and the loop that runs a job again and again.

Invariants:

* A row that failed stays in its table with the reason and the number of tries, and is due again after a pause that
  doubles each time. It stays in every report until it is fixed.
* The reason is the error's type and message, and where it was raised; never a whole traceback, whose lines may hold
  anything, nor a statement and the values that a database quotes.
* No signal is handled here. The owner of the process sets the stop token; then the job finishes the request under way,
  records it, and reports `interrupted`.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import DBAPIError

from octopus_soap._http import clip
from octopus_soap.errors import AuthenticationError, ConfigError, OctopusError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Table

    from octopus_soap.wire.redact import Redactor

ALL_DONE, SOME_HELD, FAILED = 0, 1, 2
"""Exit codes: everything is done; some keys are rejected or quarantined; the run could not do its work."""

_SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """One key that is not done.

    Attributes:
        key: SKU or order id.
        state: such as `rejected` or `quarantined`.
        message: why, in the service's or the handler's words.
        attempts: how often it was tried.
    """

    key: str
    state: str
    message: str
    attempts: int = 0


@dataclass(slots=True)
class Report:
    """What one run of a job did.

    Attributes:
        job: such as `push`.
        started: when, by the ledger's clock.
        finished: when it ended; None while it runs.
        counts: what it counted, in the order it is told.
        problems: keys that are rejected or quarantined, those of earlier runs included, until they are mended.
        problem_count: how many there are; `problems` names the first ones where there are very many.
        interrupted: the stop token was set before all was done.
        error: why work that was due is not done; empty where nothing kept it.
    """

    job: str
    started: datetime
    finished: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[KeyProblem] = field(default_factory=list[KeyProblem])
    problem_count: int = 0
    interrupted: bool = False
    error: str = ""

    def add(self, name: str, count: int = 1) -> None:
        """Count *name* up."""
        self.counts[name] = self.counts.get(name, 0) + count

    @property
    def exit_code(self) -> int:
        """0: all done, or interrupted with nothing wrong; 1: some keys are rejected or quarantined; 2: it failed."""
        if self.error:
            return FAILED
        return SOME_HELD if self.problems or self.problem_count else ALL_DONE

    def __str__(self) -> str:
        seconds = f" in {(self.finished - self.started).total_seconds():.1f} s" if self.finished else ""
        ended = ", interrupted" if self.interrupted else ""
        counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self.counts.items() if count)
        lines = [f"{self.job}{seconds}{ended}: {counts or 'nothing to do'}"]
        if self.error:
            lines.append(f"  not finished: {self.error}")
        shown = self.problems[:_SHOWN_PROBLEMS]
        width = max((len(problem.key) for problem in shown), default=0)
        for problem in shown:
            tries = f" (tried {problem.attempts} times)" if problem.attempts > 1 else ""
            lines.append(f"  {problem.state} {problem.key.ljust(width)}  {problem.message}{tries}")
        if (more := max(self.problem_count, len(self.problems)) - len(shown)) > 0:
            lines.append(f"  and {more} more")
        return "\n".join(lines)


R = TypeVar("R", bound=Report)


def every(
    seconds: float,
    job: Callable[[], R],
    *,
    stop: threading.Event,
    on_report: Callable[[R], None] | None = None,
    on_error: Callable[[OctopusError | OSError], None] | None = None,
) -> int:
    """Run *job* again and again, a run beginning every so many seconds, until *stop* is set.

    A run that takes longer than *seconds* is followed by the next at once; runs never overlap and none is made up for.
    An error that passes, such as a service that is down or a file that is being replaced, does not end the loop; wrong
    settings and refused credentials do, as no later run would fare better.

    Args:
        seconds: from the beginning of one run to that of the next, at least 0.
        job: runs once and returns its report; given *stop* by whoever makes it.
        stop: ends the loop, also between two runs.
        on_report: called with each report.
        on_error: called with each error that is passed over.

    Returns:
        How many runs were begun.

    Raises:
        ConfigError: from the job.
        AuthenticationError: from the job.
    """
    runs = 0
    while not stop.is_set():
        began = time.monotonic()
        runs += 1
        try:
            report = job()
        except (ConfigError, AuthenticationError):
            raise
        except (OctopusError, OSError) as error:
            if on_error is not None:
                on_error(error)
        else:
            if on_report is not None:
                on_report(report)
        stop.wait(max(0.0, seconds - (time.monotonic() - began)))
    return runs


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


def report_held(connection: Connection, table: Table, channel: str, report: Report) -> None:
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
