"""Engines, which deliver runs to slots: their protocol, and one for one process.

An engine has `start`, `submit` and `stop`, and reports how many slots each queue has. It need not be exact: the next
tick finds a run that it lost, and a run that it delivers twice ends as `busy`.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from octopus_soap.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.fleet.schedule import Due

log = logging.getLogger("octopus_soap.fleet")

FLEET_NAME = "octopus"
"""The default name of a fleet; the names of its queues at a broker begin with it."""

SLOTS: Mapping[str, int] = {"orders": 10, "push": 12, "changes": 6, "slow": 4}
"""How many runs of each queue a worker runs at once. Runs mostly wait for the service, so slots are cheap."""


class Engine(Protocol):
    """Delivers runs."""

    own: bool
    """True if waiting runs are in this process's memory, and are lost with it."""

    @property
    def slots(self) -> Mapping[str, int]:
        """The slots of each queue, over all workers."""
        ...

    def start(self, run: Callable[[str, str, threading.Event], object]) -> None:
        """Begin to deliver runs.

        *run* is called with a merchant's name, a job, and the event that stops the worker.
        """

    def submit(self, due: Due) -> None:
        """Deliver a run to a slot of its queue; any exception means that it was not taken."""

    def stop(self, seconds: float) -> None:
        """Deliver nothing more, and wait for running jobs, at most *seconds*."""


class LocalEngine:
    """Delivers runs to threads of this process, without a broker.

    Args:
        slots: threads for each queue.
    """

    own = True

    def __init__(self, slots: Mapping[str, int] = SLOTS) -> None:
        self.slots: Mapping[str, int] = dict(slots)
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._stop = threading.Event()
        self._run: Callable[[str, str, threading.Event], object] | None = None

    def start(self, run: Callable[[str, str, threading.Event], object]) -> None:
        """Begin to deliver runs."""
        self._run = run
        self._stop.clear()
        self._pools = {name: ThreadPoolExecutor(most, f"fleet-{name}") for name, most in self.slots.items()}

    def submit(self, due: Due) -> None:
        """Deliver a run to a thread of its queue."""
        self._pools[due.queue].submit(self._deliver, due)

    def _deliver(self, due: Due) -> None:
        if self._stop.is_set() or self._run is None:
            return  # its row stays in the table, and is due again when this process has ended
        try:
            self._run(due.name, due.job, self._stop)
        except LedgerError as error:
            log.warning("%s %s: %s; a later tick finds the run again", due.name, due.job, error.message)
        except Exception:
            log.exception("%s %s: the run could not be recorded", due.name, due.job)

    def stop(self, seconds: float) -> None:
        """Deliver nothing more, and wait for running jobs, at most *seconds*."""
        self._stop.set()
        closing = [
            threading.Thread(target=pool.shutdown, kwargs={"wait": True, "cancel_futures": True}, daemon=True)
            for pool in self._pools.values()
        ]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(max(0.1, seconds))
