"""A warm process that runs a job in a fork and kills it: Python starts only once.

It reads a JSON object per line and answers each with another. It is single-threaded, as a process that forks should be,
and separate from the tests, which host the emulator and its threads.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from octopus_soap import OctopusClient, OctopusSettings
from octopus_soap.jobs import Ledger
from octopus_soap.jobs import ledger as ledger_module
from tests.jobs.databases import quick_hash


def main() -> None:
    """Obey orders from standard input until it ends."""
    _warm()
    for line in sys.stdin:
        order = json.loads(line)
        sys.stdout.write(f"{json.dumps(_obey(order))}\n")
        sys.stdout.flush()


def _warm() -> None:
    ledger_module._hashed = quick_hash  # as in the tests and in `crash`
    # Load lazy modules of a client and a ledger here, once for all forks.
    for job in ("push", "orders", "order_files", "changes"):
        import_module(f"octopus_soap.jobs.{job}")
    settings = {"endpoint": "http://127.0.0.1:9/", "authtoken": "a", "merchantname": "m", "accessid": "i"}
    OctopusClient(settings=OctopusSettings.load(**settings)).close()


def _obey(order: dict[str, Any]) -> dict[str, Any]:
    if order.get("warm"):  # loads the job's lazy modules here, and not in each fork
        with Path(os.devnull).open("wb") as nobody:
            return {"killed": False, "code": _run(order, nobody.fileno()), "seconds": 0.0, "steps": [], "error": ""}
    reading, writing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.close(reading)
            code = _run(order, writing)
        except BaseException as error:  # noqa: BLE001 - reported to the tests
            os.write(writing, f"!{type(error).__name__}: {error}\n".encode()[:4000])
        finally:
            os._exit(code)
    os.close(writing)
    if order.get("after") is not None:
        _kill_after(child, order["after"])
    with os.fdopen(reading) as told:
        lines = told.read().splitlines()
    _, status = os.waitpid(child, 0)
    return {
        "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        "seconds": time.monotonic() - began,
        "steps": [line for line in lines if not line.startswith("!")],
        "error": "\n".join(line[1:] for line in lines if line.startswith("!")),
    }


def _kill_after(child: int, seconds: float) -> None:
    time.sleep(seconds)  # the moment is random: there is nothing to wait for
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:  # pragma: no cover - it is our child, and not waited for yet
        return


def _run(order: dict[str, Any], told: int) -> int:
    """Run the job in this forked process, and kill it at the ordered step."""
    left = order.get("nth", 1)

    def reach(step: str) -> None:
        nonlocal left
        os.write(told, f"{step}\n".encode())
        if step == order.get("step"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    module, _, name = order["job"].partition(":")
    job = getattr(import_module(module), name)
    settings = OctopusSettings.load(**{"backoff_base": 0.0, **order["settings"]})
    with OctopusClient(settings=settings) as client, Ledger(order["ledger"], reach=reach) as ledger:
        code: int = job(client, ledger)
    return code


if __name__ == "__main__":
    main()
