"""The processes of a run: the canned server and one worker per participant."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from benchmarks.peers import Peer

ROOT = Path(__file__).resolve().parent.parent


class _Process:
    """A child that ends when its standard input does."""

    def __init__(self, command: list[str]) -> None:
        self._child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @property
    def _pipes(self) -> tuple[IO[str], IO[str], IO[str]]:
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        return child.stdin, child.stdout, child.stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._pipes[0].close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for pipe in self._pipes[1:]:
            pipe.close()


class Server(_Process):
    """The canned server."""

    def __init__(self) -> None:
        super().__init__([sys.executable, "-m", "benchmarks.server"])
        self.port = int(self._pipes[1].readline())

    def url(self, latency: int = 0, stores: int | None = None, hand: str = "") -> str:
        """Return the server's address for an answer of this kind.

        Args:
            latency: before the answer, in ms.
            stores: of each item.
            hand: the handwriting of the answer.
        """
        wait = f"/latency-{latency}" if latency else ""
        having = f"/stores-{stores}" if stores is not None else ""
        written = f"/hand-{hand}" if hand else ""
        return f"http://127.0.0.1:{self.port}{wait}{having}{written}/OctopusService.svc"


class Worker(_Process):
    """One participant; only one works at a time, because each waits for an order."""

    def __init__(self, peer: Peer) -> None:
        self.name = peer.name
        super().__init__(list(peer.command))

    def ask(self, task: dict[str, Any], runs: int) -> dict[str, Any]:
        """Run *task* *runs* times; return its times, or why it has none."""
        stdin, stdout, stderr = self._pipes
        try:
            stdin.write(json.dumps({**task, "runs": runs}) + "\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = ""
        if not line:
            words = stderr.read().strip().splitlines()
            return {"absent": f"its process ended: {words[-1][:120] if words else 'no message'}"}
        answer: dict[str, Any] = json.loads(line)
        return answer
