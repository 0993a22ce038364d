"""`Fleet`: registry, schedule, runner and an engine, put together.

A worker is this object with the user's functions. In one process it ticks and runs jobs (`run`). On Celery, tickers
call `tick`, and workers call `deliver`.
"""

from __future__ import annotations

import logging
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from octopus_soap.errors import ConfigError, LedgerError
from octopus_soap.fleet.engines import LocalEngine
from octopus_soap.fleet.registry import Registry
from octopus_soap.fleet.runner import BUDGET_SECONDS, Runner
from octopus_soap.fleet.schedule import Schedule
from octopus_soap.fleet.status import FleetStatus, status
from octopus_soap.fleet.tables import prepare
from octopus_soap.jobs.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from octopus_soap.fleet.engines import Engine
    from octopus_soap.fleet.runner import ChangeHandler, OrderHandler, StockSource
    from octopus_soap.fleet.schedule import Ended
    from octopus_soap.fleet.vault import Vault
    from octopus_soap.jobs.plan import PushReport
    from octopus_soap.observe.events import Event

log = logging.getLogger("octopus_soap.fleet")

TICK_SECONDS = 2.0
RUN_SECONDS = 30.0
"""How long the lock of a run outlives a dead worker on another machine, in seconds."""
_SPARE_CONNECTIONS = 10
_PURGE_EVERY = 3_600.0


class Fleet:
    """The jobs of many merchants on one database.

    Args:
        place: an SQLite file or a PostgreSQL URL, as for a `Ledger`.
        stock: returns a merchant's desired stock and prices: a path, a DataFrame or rows; None if there is nothing new.
        orders: called as `orders(merchant, order, delivery)`; see `OrderInbox`.
        changes: called as `changes(merchant, change)`; see `ChangeFeed`.
        engine: delivers runs; threads of this process by default.
        vault: reads secrets; by default with the keys of `OCTOPUS_FLEET_KEYS`.
        budget: seconds after which a run begins no further request.
        tick_seconds: how often to look for due runs.
        on_event: called as `on_event(merchant_name, event)` with the events of all clients, from many threads.
        ledger: an open ledger to use, in place of *place*.
        connections: the maximum number of connections to the database; by default 10 more than there are slots.

    Raises:
        LedgerError: the database cannot be used.
    """

    def __init__(
        self,
        place: str | PathLike[str] = "",
        *,
        stock: StockSource | None = None,
        orders: OrderHandler | None = None,
        changes: ChangeHandler | None = None,
        engine: Engine | None = None,
        vault: Vault | None = None,
        budget: float = BUDGET_SECONDS,
        tick_seconds: float = TICK_SECONDS,
        on_event: Callable[[str, Event], object] | None = None,
        ledger: Ledger | None = None,
        connections: int | None = None,
    ) -> None:
        self.engine: Engine = engine or LocalEngine()
        most = connections or sum(self.engine.slots.values()) + _SPARE_CONNECTIONS
        self._own = ledger is None
        self.ledger = ledger or Ledger(place, channel="fleet", run_seconds=RUN_SECONDS, connections=most)
        prepare(self.ledger)
        self.registry = Registry(self.ledger, vault)
        self.schedule = Schedule(self.ledger)
        self._runner = Runner(
            self.ledger,
            self.registry,
            self.schedule,
            stock=stock,
            orders=orders,
            changes=changes,
            budget=budget,
            on_event=on_event,
        )
        self._tick_seconds = tick_seconds

    def __repr__(self) -> str:
        return f"<Fleet {self.ledger.shown!r}>"

    def deliver(self, name: str, job: str, stop: threading.Event) -> Ended:
        """Run a job that an engine delivered; see `Runner.run`."""
        return self._runner.run(name, job, stop)

    def push(
        self, name: str, *, dry_run: bool = False, force: bool = False, stop: threading.Event | None = None
    ) -> PushReport:
        """Push a merchant's stock and prices now, in this process.

        Use it for a push that the guard refused, for example. The result is recorded as that of the merchant's last
        push, which ends a back-off. Nothing is recorded for a dry run or a push that raises.

        Args:
            name: the merchant.
            dry_run: send nothing and change nothing; the report has the plan, and the guard's refusal in `error`.
            force: push even if the guard would refuse it.
            stop: once set, the request under way is finished and recorded, and the report is `interrupted`.

        Raises:
            ConfigError: there is no such merchant, it is not active, or the fleet has no stock source.
            PushRefusedError: the guard refused it: too much would change or become 0.
            JobRunningError: another push of the merchant is under way.
            OctopusError: as `StockPush.run`, or the stock source raised.
        """
        return self._runner.push(name, dry_run=dry_run, force=force, stop=stop or threading.Event())

    def tick(self) -> int:
        """Hand the due runs to the engine, and return how many.

        Raises:
            LedgerError: the database is unavailable.
        """
        handed = 0
        due = self.schedule.take_due(self.engine.slots)
        for run in due:
            try:
                self.engine.submit(run)
            except Exception as error:  # noqa: BLE001 - any engine's error means that it did not take the run
                log.warning("the engine did not take %d runs: %s", len(due) - handed, type(error).__name__)
                for left in due[handed:]:
                    self.schedule.give_back(left)
                break
            handed += 1
        if not self.engine.own:
            self.schedule.note_handed_over(due[:handed])
        return handed

    def run(self, *, stop: threading.Event, once: bool = False, grace_seconds: float = 30.0) -> None:
        """Tick until *stop* is set, and run jobs if the engine is of this process.

        It waits for a database or a broker that is unavailable. After *stop*, runs finish their current request.

        Args:
            stop: ends it.
            once: also end when nothing is due any more.
            grace_seconds: how long runs under way may take to end.
        """
        self.engine.start(self.deliver)
        purged = time.monotonic()
        try:
            while not stop.is_set():
                try:
                    handed = self.tick()
                    if once and not handed and self.schedule.idle():
                        break
                    if time.monotonic() - purged > _PURGE_EVERY:
                        self.schedule.purge()
                        purged = time.monotonic()
                except LedgerError as error:
                    log.warning("the tick failed, trying again: %s", error.message)
                stop.wait(min(0.05, self._tick_seconds) if once else self._tick_seconds)
        finally:
            self.engine.stop(grace_seconds)

    def status(self) -> FleetStatus:
        """Return the state of the fleet, worst job first."""
        return status(self.ledger)

    def close(self) -> None:
        """Close the connections to the database."""
        if self._own:
            self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def load_functions(module: str) -> dict[str, Any]:
    """Return which of the functions `stock`, `orders` and `changes` a module has.

    Args:
        module: its dotted name, such as `shops.fleet`.

    Raises:
        ConfigError: it cannot be imported, or has none of them.
    """
    try:
        found = import_module(module)
    except ImportError as error:
        raise ConfigError(f"cannot import {module}: {error}; is its folder in PYTHONPATH?") from None
    functions = {
        name: getattr(found, name) for name in ("stock", "orders", "changes") if callable(getattr(found, name, None))
    }
    if not functions:
        raise ConfigError(
            f"{module} has no function stock, orders or changes; octopus-soap fleet init writes one to fill in"
        )
    return functions
