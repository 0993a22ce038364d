"""Reports of runs, and the loop that runs a job again and again.

Invariants:

* A row that failed stays in its table with the reason and the number of tries, and is due again after a pause that
  doubles each time. It stays in every report until it is fixed.
* The reason is the error's type and message, and the place where it was raised. It is never a whole traceback, whose
  lines may contain anything, nor a statement with the values that a database quotes.
* No signal is handled here. The owner of the process sets the stop token. Then the job finishes and records the request
  under way, and reports `interrupted`.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import and_, bindparam, func, literal_column, select
from sqlalchemy.exc import DBAPIError

from octopus_soap._http import clip
from octopus_soap.errors import (
    AuthenticationError,
    BatchError,
    ConfigError,
    OctopusError,
    RateLimitedError,
    TimedOutError,
)
from octopus_soap.wire.redact import mask_card_numbers

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sqlalchemy import BindParameter, ColumnElement, Connection, Executable, Table

    from octopus_soap.wire.redact import Redactor

ALL_DONE, SOME_HELD, FAILED, BUSY, INCOMPLETE = 0, 1, 2, 3, 130
"""Exit codes: everything is done; some keys are rejected or quarantined; the run could not do its work; another run is
under way; a signal came before all of the input was read (130 after Ctrl-C; a command that SIGTERM ended has 143)."""

_SHOWN_PROBLEMS = 20
_NOTHING_TAKEN = " before all of the input was read: nothing of it was taken over"
_INCOMPLETE = {
    "orders": " before all orders were listed: the next run lists the others",
    "changes": " before the list of changes was read: the next run reads it",
}
_SHOWN_KEY = 200  # bytes


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """One key that is not done.

    Attributes:
        key: SKU or order id.
        state: such as `rejected` or `quarantined`.
        message: the service's or the handler's message.
        attempts: how often it was tried.
    """

    key: str
    state: str
    message: str
    attempts: int = 0


@dataclass(slots=True)
class Report:
    """The report of one run of a job.

    Attributes:
        job: such as `push`.
        started: when, by the ledger's clock.
        finished: when it ended; None while it runs.
        counts: the counters, in the order they are shown.
        problems: keys that are rejected or quarantined, in this run or earlier ones, until they are fixed.
        problem_count: how many there are; `problems` has only the first ones if there are very many.
        interrupted: the stop token was set before all was done.
        incomplete: the stop token was set before all of the input was read. A push has then accepted nothing; orders
            and changes that were stored wait for the next run.
        error: why work that was due is not done; empty if all of it is.
        dry_run: nothing was sent or changed.
        not_before: when the service may be called again, by the ledger's clock; None if it asked for no pause.
        timed_out: the service was too slow: a request failed with a `TimedOutError`.
    """

    job: str
    started: datetime
    finished: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[KeyProblem] = field(default_factory=list[KeyProblem])
    problem_count: int = 0
    interrupted: bool = False
    incomplete: bool = False
    error: str = ""
    dry_run: bool = False
    not_before: datetime | None = None
    timed_out: bool = False

    def add(self, name: str, count: int = 1) -> None:
        """Add *count* to the counter *name*."""
        self.counts[name] = self.counts.get(name, 0) + count

    @property
    def exit_code(self) -> int:
        """The exit code of a command that did only this run.

        0: all is done, or what is left waits in the ledger. 1: some keys are rejected or quarantined. 2: it failed.
        130: it was interrupted before all of its input was read.
        """
        if self.error:
            return FAILED
        if self.incomplete:
            return INCOMPLETE
        return SOME_HELD if self.problems or self.problem_count else ALL_DONE

    def __str__(self) -> str:
        seconds = f" in {(self.finished - self.started).total_seconds():.1f} s" if self.finished else ""
        ended = " (dry run, nothing was sent)" if self.dry_run else ""
        ended += ", interrupted" if self.interrupted else ""
        ended += _INCOMPLETE.get(self.job, _NOTHING_TAKEN) if self.incomplete else ""
        counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self.counts.items() if count)
        lines = [f"{self.job}{seconds}{ended}: {counts or 'nothing to do'}"]
        if self.error:
            lines.append(f"  not finished: {self.error}")
        shown = self.problems[:_SHOWN_PROBLEMS]
        keys = [shown_key(problem.key) for problem in shown]
        width = max(map(len, keys), default=0)
        for key, problem in zip(keys, shown, strict=True):
            tries = f" (tried {problem.attempts} times)" if problem.attempts > 1 else ""
            lines.append(f"  {problem.state} {key.ljust(width)}  {problem.message}{tries}")
        if (more := max(self.problem_count, len(self.problems)) - len(shown)) > 0:
            lines.append(f"  and {more} more")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, such as for JSON."""
        return {
            "job": self.job,
            "started": self.started,
            "finished": self.finished,
            "exit_code": self.exit_code,
            "dry_run": self.dry_run,
            "interrupted": self.interrupted,
            "incomplete": self.incomplete,
            "error": self.error,
            "not_before": self.not_before,
            "timed_out": self.timed_out,
            "counts": dict(self.counts),
            "problem_count": max(self.problem_count, len(self.problems)),
            "problems": [asdict(problem) for problem in self.problems],
        }


def shown_key(key: str) -> str:
    """Return a key for display: shortened if long, quoted if blanks would not show."""
    key = clip(key, _SHOWN_KEY)
    return key if key == key.strip() and key.isprintable() and key else repr(key)


R = TypeVar("R", bound=Report)


def every(
    seconds: float,
    job: Callable[[], R],
    *,
    stop: threading.Event,
    on_report: Callable[[R], None] | None = None,
    on_error: Callable[[OctopusError | OSError], None] | None = None,
) -> int:
    """Run *job* again and again, at an interval, until *stop* is set.

    Runs never overlap: if one takes longer than *seconds*, the next begins at once, and missed runs are skipped. If the
    service asked for a longer pause (`Retry-After`), the next run waits for that. A temporary error, such as a service
    that is down or a file that is being replaced, does not end the loop. Wrong settings and refused credentials end it,
    because no later run would succeed.

    Args:
        seconds: from the start of one run to the start of the next, at least 0.
        job: runs once and returns its report; the caller passes *stop* to it.
        stop: ends the loop, also between two runs.
        on_report: called with each report.
        on_error: called with each temporary error.

    Returns:
        How many runs were begun.

    Raises:
        ConfigError: from the job.
        AuthenticationError: from the job.
    """
    runs = 0
    while not stop.is_set():
        began, asked = time.monotonic(), 0.0
        runs += 1
        try:
            report = job()
        except (ConfigError, AuthenticationError):
            raise
        except (OctopusError, OSError) as error:
            asked = asked_wait(error) or 0.0
            if on_error is not None:
                on_error(error)
        else:
            if report.not_before is not None and report.finished is not None:
                asked = (report.not_before - report.finished).total_seconds()
            if on_report is not None:
                on_report(report)
        stop.wait(max(0.0, asked, seconds - (time.monotonic() - began)))
    return runs


def asked_wait(error: BaseException) -> float | None:
    """Return the pause that the service asked for, in seconds; None if it did not."""
    waits = [one.retry_after for one in _causes(error) if isinstance(one, RateLimitedError)]
    return max((wait for wait in waits if wait is not None), default=None)


def has_timed_out(error: BaseException) -> bool:
    """True if *error* is a `TimedOutError` or was caused by one."""
    return any(isinstance(one, TimedOutError) for one in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, the errors of its unfinished items, and all their causes."""
    yield error
    if isinstance(error, BatchError):
        for failed in dict.fromkeys(outcome.error for outcome in error.result.unfinished if outcome.error is not None):
            yield from _causes(failed)
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)


_REASON = 400  # characters


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long work that failed waits for its next try.

    Attributes:
        first: the pause after the first failure; it doubles each time.
        longest: the longest pause.
    """

    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=6)

    def after(self, attempts: int) -> timedelta:
        """Return the pause after *attempts* failures, 1 or more."""
        doubled: timedelta = self.first * 2 ** min(max(attempts, 1) - 1, 40)
        return min(self.longest, doubled)


def reason_of(error: BaseException, redactor: Redactor) -> str:
    """Return why something failed, in one line without secrets."""
    if isinstance(error, OctopusError):
        words = error.message
    else:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        # Only the first line of a database's message: the others quote whole rows, and so customers' data.
        text = (str(cause).splitlines() or [""])[0] if cause is not error else str(error)
        words = f"{type(cause).__name__}: {text}" if text else type(cause).__name__
        frames = traceback.extract_tb(error.__traceback__)
        if frames:
            words += f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})"
    # A handler's message may contain anything, such as half a surrogate pair, which no database accepts.
    plain = "".join(letter if letter.isprintable() else "?" for letter in " ".join(words.split()))
    return clip(redactor.text(mask_card_numbers(plain)), _REASON)


def report_held(connection: Connection, table: Table, channel: str, report: Report, *, most: int = 200) -> None:
    """Add the held rows of *table* to the report; name *most* of them."""
    first, number = _held_rows(table, most)
    rows = connection.execute(first, {"whose": channel}).all()
    count = len(rows)
    if count == most:
        count = connection.execute(number, {"whose": channel}).scalar_one()
    report.problem_count += count
    for row in rows:
        report.problems.append(KeyProblem(row.key, held_as(table, row.state), row.message, row.attempts))


@cache
def _held_rows(table: Table, most: int) -> tuple[Executable, Executable]:
    """Return the statements for the first *most* held rows and for the number of all."""
    mine, key = is_held(table, bindparam("whose")), table.c[table.info["key"]]
    first = select(key.label("key"), table.c.state, table.c.message, table.c.attempts).where(mine).order_by(key)
    return first.limit(most), select(func.count()).select_from(table).where(mine)


def is_held(table: Table, channel: str | BindParameter[str]) -> ColumnElement[bool]:
    """Return the condition for rows of *channel* that failed and wait for a fix.

    A table's `info` has the states of held rows (`held`), and those in which a row that failed is held, with the word
    that reports show (`stuck`).
    """
    states = (*table.info["held"], *table.info.get("stuck", {}))
    # The number is part of the statement: with a parameter the index of failed rows could not be used.
    return and_(table.c.channel == channel, table.c.attempts > literal_column("0"), table.c.state.in_(states))


def held_as(table: Table, state: str) -> str:
    """Return the word that reports show for a row held in *state*."""
    words: dict[str, str] = table.info.get("stuck", {})
    return words.get(state, state)
