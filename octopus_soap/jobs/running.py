"""How jobs run and what they tell: reports with exit codes, loops with a stop token.

A job is run once, as by cron, or again and again by `every`. No signal is handled here: whoever owns the process sets
the stop token, and the job finishes the request under way, writes it down, and says `interrupted`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from octopus_soap.errors import AuthenticationError, ConfigError, OctopusError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

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
