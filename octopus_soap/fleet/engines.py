"""What delivers runs to slots: the seam, and the engine of one process.

An engine has three functions: `start`, `submit` and `stop`, and reports how many slots each queue has. It need not be
exact: a run that it loses is found by the next tick, and one that it delivers twice ends as `busy`. Another engine is
one small module.
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
"""The name of a fleet that was given none: its queues at a broker begin with it."""

SLOTS: Mapping[str, int] = {"orders": 10, "push": 12, "changes": 6, "slow": 4}
"""How many runs of each queue one worker runs at once. They mostly wait for the service, so slots are cheap."""


class Engine(Protocol):
    """Delivers runs."""

    own: bool
    """True if runs wait in this process, and are lost with it."""

    @property
    def slots(self) -> Mapping[str, int]:
        """Slots of each queue, all workers together."""
        ...

    def start(self, run: Callable[[str, str, threading.Event], object]) -> None:
        """Begin to deliver; *run* is called with a merchant, a job and the stop of the worker."""

    def submit(self, due: Due) -> None:
        """Deliver a run to a slot of its queue; raises what the engine raises if it cannot."""

    def stop(self, seconds: float) -> None:
        """Deliver nothing more, and wait for the runs under way, at most *seconds*."""


class LocalEngine:
    """Threads of this process: no broker, and each queue has slots of its own.

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
        """Begin to deliver."""
        self._run = run
        self._stop.clear()
        self._pools = {name: ThreadPoolExecutor(most, f"fleet-{name}") for name, most in self.slots.items()}

    def submit(self, due: Due) -> None:
        """Deliver a run to a thread of its queue."""
        self._pools[due.queue].submit(self._deliver, due)

    def _deliver(self, due: Due) -> None:
        if self._stop.is_set() or self._run is None:
            return  # left in the table: it is due again when this process has ended
        try:
            self._run(due.name, due.job, self._stop)
        except LedgerError as error:
            log.warning("%s %s: %s; it is found again by a later tick", due.name, due.job, error.message)
        except Exception:
            log.exception("%s %s: the run could not be recorded", due.name, due.job)

    def stop(self, seconds: float) -> None:
        """Deliver nothing more, and wait for the runs under way, at most *seconds*."""
        self._stop.set()
        closing = [
            threading.Thread(target=pool.shutdown, kwargs={"wait": True, "cancel_futures": True}, daemon=True)
            for pool in self._pools.values()
        ]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(max(0.1, seconds))
