"""Kill a job at every named step and at random moments, and check the result.

A job to be killed is described by a `Subject`. `survive` runs it undisturbed once, then again and again with a crash in
the middle, each time from the same start, and compares the ends.

    python -m tests.jobs.crash --moments 200 --database sqlite postgresql
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from octopus_soap.jobs import ledger
from tests.jobs.databases import KINDS, fresh, new_sqlite_ledger, quick_hash, why_no_postgres

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from octopus_soap.emulator import Emulator

ROOT = Path(__file__).parents[2]
MOST_RUNS = 6
"""The number of runs after a crash within which the job must be done."""

SUBJECTS = [
    "tests.jobs.push_subject:PUSH",
    "tests.jobs.push_subject:PUSH_FILE",
    "tests.jobs.push_subject:RECONCILE",
    "tests.jobs.order_subject:ORDERS_SUBJECT",
    "tests.jobs.order_subject:CHANGES_SUBJECT",
]
"""The jobs that `python -m tests.jobs.crash` kills."""


class Subject(Protocol):
    """A job, with the state it starts from and the state it should end in.

    Attributes:
        job: `module:function` that runs it once in the child: `(client, ledger) -> exit code`.
        steps: the names of all its steps, as the ledger's `reach` receives them.
        unreached: steps that an undisturbed run need not reach.
        done: exit codes of a run after which no work is left.
    """

    job: str
    steps: tuple[str, ...]
    unreached: frozenset[str]
    done: frozenset[int]

    def prepare(self, service: Emulator, ledger: str) -> None:
        """Prepare service and ledger; the service was reset, the ledger is empty."""

    def state(self, service: Emulator, ledger: str) -> Any:
        """Return what must be equal at the end, with or without a crash."""

    def after_crash(self, service: Emulator, ledger: str) -> Any:
        """Return what `check` needs of the moment after the crash."""

    def check(self, service: Emulator, ledger: str, before: Any) -> None:
        """Assert what must hold between the crash and the end."""


@dataclass
class Told:
    """The host's report on a run."""

    killed: bool
    code: int | None
    seconds: float
    steps: list[str]
    error: str


@dataclass
class Tally:
    """The number of crashes."""

    at_steps: int = 0
    at_moments: int = 0
    ended_before: int = 0
    seconds: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.at_steps} crashes at {len(self.steps)} steps, {self.at_moments} at random moments "
            f"({self.ended_before} came after its end) in {self.seconds:.0f} s"
        )


class CrashHost:
    """The warm process of `crash_host.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.crash_host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def run(self, subject: Subject, service: Emulator, ledger: str, **crash: Any) -> Told:
        """Run the job once, with a *crash* or without.

        *crash* is nothing, `step` (and `nth`), `after` seconds, or `warm`: in the host itself.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"job": subject.job, "settings": service.settings(), "ledger": ledger, **crash}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return Told(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate("")


@contextmanager
def crash_host() -> Iterator[CrashHost]:
    """Run a host while the block runs."""
    host = CrashHost()
    try:
        yield host
    finally:
        host.close()


def survive(
    host: CrashHost,
    subject: Subject,
    service: Emulator,
    database: str,
    folder: Path,
    *,
    moments: int,
    visits: int = 1,
    seed: int = 1,
    steps: Collection[str] = (),
) -> Tally:
    """Kill the job at its steps and at random moments, and compare the ends.

    At each step it is killed the first *visits* times that it gets there. *steps* are all steps by default.
    """
    began, tally = time.monotonic(), Tally()
    with _beginning(subject, service, database, folder) as ledger:
        assert host.run(subject, service, ledger, warm=True).code in subject.done
    with _beginning(subject, service, database, folder) as ledger:
        calm = host.run(subject, service, ledger)
        assert calm.code in subject.done, calm
        wanted = subject.state(service, ledger)
        assert set(subject.steps) - set(calm.steps) <= subject.unreached, "an undisturbed run reaches every step"
        assert set(calm.steps) <= set(subject.steps), "every step that is reached is in the public list"
    for step in steps or subject.steps:
        times = calm.steps.count(step)
        for nth in range(1, min(times, visits) + 1):
            told = _crash(host, subject, service, database, folder, wanted, step=step, nth=nth)
            assert told.killed, (step, nth, calm, told)
            tally.at_steps += 1
            tally.steps[step] = tally.steps.get(step, 0) + 1
    rng = random.Random(seed)
    for _ in range(moments):
        told = _crash(host, subject, service, database, folder, wanted, after=rng.uniform(0, calm.seconds))
        tally.at_moments += 1
        tally.ended_before += not told.killed
    tally.seconds = time.monotonic() - began
    return tally


@contextmanager
def _beginning(subject: Subject, service: Emulator, database: str, folder: Path) -> Iterator[str]:
    service.reset()
    with fresh(database, folder, new_sqlite_ledger()) as ledger:
        subject.prepare(service, ledger)
        yield ledger


def _crash(
    host: CrashHost, subject: Subject, service: Emulator, database: str, folder: Path, wanted: Any, **crash: Any
) -> Told:
    with _beginning(subject, service, database, folder) as ledger:
        told = host.run(subject, service, ledger, **crash)
        assert told.killed or told.code in subject.done, told
        before = subject.after_crash(service, ledger)
        for _ in range(MOST_RUNS):
            again = host.run(subject, service, ledger)
            assert not again.killed, again
            if again.code in subject.done:
                break
        else:
            raise AssertionError(f"not done after {MOST_RUNS} runs: {again}")
        assert subject.state(service, ledger) == wanted, f"killed: {crash}"
        subject.check(service, ledger, before)
    return told


def subject_of(name: str) -> Subject:
    """Return the subject named `module:attribute`."""
    module, _, attribute = name.partition(":")
    found: Subject = getattr(import_module(module), attribute)
    return found


def main() -> None:
    """Kill every given subject on every given database."""
    from octopus_soap.emulator import Emulator

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=200, help="random moments per job and database")
    parser.add_argument("--database", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subject", nargs="+", default=SUBJECTS, metavar="MODULE:NAME")
    given = parser.parse_args()
    ledger._hashed = quick_hash  # as in the host and in the tests
    if "postgresql" in given.database and (why := why_no_postgres()):
        parser.error(why)
    # A killed process loses nothing that it gave to the system, so a disk in memory proves as much, and is faster.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with crash_host() as host, Emulator() as service, tempfile.TemporaryDirectory(dir=memory) as folder:
        for name in given.subject:
            for database in given.database:
                tally = survive(
                    host,
                    subject_of(name),
                    service,
                    database,
                    Path(folder),
                    moments=given.moments,
                    visits=3,
                    seed=given.seed,
                )
                sys.stdout.write(f"{name.partition(':')[2]:10} {database:10} {tally}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
