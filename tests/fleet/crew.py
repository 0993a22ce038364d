"""Fleets on Celery: a broker, a name for each fleet, and workers with kept output."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Self

from octopus_soap.errors import ConfigError
from octopus_soap.fleet.celery_engine import delete_queues, make_app, reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

BROKER = os.environ.get("OCTOPUS_TEST_BROKER", "amqp://guest:guest@127.0.0.1:5672//")
"""A broker for the tests' queues. It is read before fixtures hide such variables."""
REDIS = os.environ.get("OCTOPUS_TEST_REDIS", "redis://127.0.0.1:6379/0")
_LINES = 40


@cache
def why_no_broker(broker: str = BROKER) -> str:
    """Return why there is no broker to test on; empty if there is one."""
    try:
        return reach(make_app(broker))
    except ConfigError as error:
        return error.message


class Crew:
    """Processes of one fleet, whose output is shown if a wait fails."""

    def __init__(self, folder: Path, variables: dict[str, str], *, broker: str = BROKER) -> None:
        self.name = f"test-{secrets.token_hex(6)}"
        self.broker = broker
        self._folder = folder
        own = {"OCTOPUS_FLEET_NAME": self.name, "OCTOPUS_FLEET_BROKER": broker, "PYTHONPATH": str(folder)}
        self._environment = os.environ | own | variables
        self._processes: dict[subprocess.Popen[bytes], Path] = {}
        self._kept: dict[subprocess.Popen[bytes], tuple[str, ...]] = {}
        self._stack = ExitStack()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `octopus-soap fleet WORDS...`."""
        return self.start_python("-m", "octopus_soap", "fleet", *words)

    def keep(self, *words: str) -> None:
        """Start `octopus-soap fleet WORDS...`, and restart it whenever it fails."""
        self._kept[self.start(*words)] = words

    def start_python(self, *words: str) -> subprocess.Popen[bytes]:
        """Start Python with these arguments."""
        path = self._folder / f"written-{secrets.token_hex(4)}.txt"
        file = self._stack.enter_context(path.open("wb"))
        command = [sys.executable, *words]
        process = subprocess.Popen(command, cwd=self._folder, env=self._environment, stdout=file, stderr=file)
        self._processes[process] = path
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process by SIGKILL."""
        process.kill()
        process.wait()
        del self._processes[process]

    def wait_until(self, done: Callable[[], bool], seconds: float = 180) -> None:
        """Wait for *done*; a process that ends by itself fails the test."""
        pause = threading.Event()
        for _ in range(int(seconds * 10)):
            if done():
                return
            self.revive()
            ended = [process for process in self._processes if process.poll() is not None]
            assert not ended, f"a process ended by itself\n{self.written()}"
            pause.wait(0.1)
        raise AssertionError(f"not done\n{self.written()}")

    def revive(self) -> None:
        """Restart the processes of `keep` that have failed."""
        for process in [process for process in self._kept if process.poll()]:
            del self._processes[process]
            self.keep(*self._kept.pop(process))

    def written(self) -> str:
        """Return the last lines of every process."""
        shown = []
        for process, path in self._processes.items():
            lines = path.read_text(errors="replace").splitlines()[-_LINES:]
            words = " ".join(map(str, list(process.args)[1:]))  # type: ignore[arg-type] # a list, as given above
            shown.append("\n".join([f"-- {words} ({process.poll()})", *lines]))
        return "\n".join(shown)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for process in self._processes:
                process.terminate()
            for process in self._processes:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        finally:
            self._stack.close()
            delete_queues(self.broker, name=self.name)
