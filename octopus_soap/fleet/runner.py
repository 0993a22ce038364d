"""The runner: runs one merchant's job within its budget, and records the result.

* Every result is recorded, whatever a handler raises. Only if the process dies does a row have no result, and the next
  tick finds it.
* A run has a budget. When it is used up, no new request begins, and the rest waits for the next run.
* A run waits in its slot for a database that is unavailable: no other run could do more. A run that the outage ended
  does not count as a failure of the merchant, and continues soon.
* If the merchant's settings limit its requests per second, its jobs run one after another on all machines, because two
  clients do not share that limit.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from octopus_soap.client import OctopusClient
from octopus_soap.errors import (
    AuthenticationError,
    ConfigError,
    JobRunningError,
    LedgerError,
    OctopusError,
    PushRefusedError,
)
from octopus_soap.fleet.registry import ACTIVE, not_active
from octopus_soap.fleet.schedule import Ended
from octopus_soap.jobs.changes import ChangeFeed
from octopus_soap.jobs.orders import OrderInbox
from octopus_soap.jobs.plan import PushReport
from octopus_soap.jobs.push import StockPush
from octopus_soap.jobs.reports import ALL_DONE, FAILED, Report, asked_wait, has_timed_out

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime

    from octopus_soap.fleet.registry import Merchant, Registry
    from octopus_soap.fleet.schedule import Schedule
    from octopus_soap.jobs.changes import Change
    from octopus_soap.jobs.ledger import Ledger
    from octopus_soap.jobs.order_delivery import OrderDelivery
    from octopus_soap.models import OrderResponseItem
    from octopus_soap.observe.events import Event

    StockSource = Callable[[Merchant], Any]
    OrderHandler = Callable[[Merchant, OrderResponseItem, OrderDelivery], str | None]
    ChangeHandler = Callable[[Merchant, Change], object]

log = logging.getLogger("octopus_soap.fleet")

T = TypeVar("T")

BUDGET_SECONDS = 60.0
_AGAIN_SECONDS = 1.0
_NO_BUDGET = 7 * 86_400.0
_RATE_LOCK = "fleet-rate"


class StopToken(threading.Event):
    """An event that is set when a run's budget is used up, or *parent* is set.

    Args:
        parent: the worker's stop.
        seconds: the budget.
    """

    def __init__(self, parent: threading.Event, seconds: float) -> None:
        super().__init__()
        self._parent, self._until = parent, time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """True if the budget is used up."""
        return time.monotonic() >= self._until

    def is_set(self) -> bool:
        """True if the run must stop."""
        return super().is_set() or self._parent.is_set() or self.over

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run must stop, at most *timeout* seconds."""
        left = max(0.0, self._until - time.monotonic())
        self._parent.wait(left if timeout is None else min(timeout, left))
        return self.is_set()


class Runner:
    """Runs the jobs of merchants.

    Args:
        ledger: any ledger on the database.
        registry: the merchants.
        schedule: records how runs end.
        stock: returns a merchant's desired stock and prices, as `StockPush.run` takes them; None if nothing is new.
        orders: called with the merchant, the order and its delivery, as a handler of `OrderInbox` is.
        changes: called with the merchant and the change, as a handler of `ChangeFeed` is.
        budget: seconds after which a run begins no further request.
        on_event: called with the merchant's name and each event of its client.
    """

    def __init__(
        self,
        ledger: Ledger,
        registry: Registry,
        schedule: Schedule,
        *,
        stock: StockSource | None = None,
        orders: OrderHandler | None = None,
        changes: ChangeHandler | None = None,
        budget: float = BUDGET_SECONDS,
        on_event: Callable[[str, Event], object] | None = None,
    ) -> None:
        self._ledger, self._registry, self._schedule = ledger, registry, schedule
        self._stock, self._orders, self._changes = stock, orders, changes
        self._budget, self._on_event = budget, on_event

    def run(self, name: str, job: str, stop: threading.Event) -> Ended:
        """Run a job that an engine delivered, and return how it ended.

        Errors of the job are part of the result.

        Raises:
            LedgerError: the database is unavailable, and the worker stops. The run is delivered or found again.
        """
        started = self._patiently(lambda: self._schedule.start(name, job), stop)
        if started is None:
            return Ended("skipped")
        began = time.monotonic()
        ended = self._run(name, job, StopToken(stop, self._budget))
        ended = replace(ended, seconds=time.monotonic() - began)
        self._patiently(lambda: self._recorded(name, job, started, ended), stop)
        log.log(
            logging.INFO if ended.outcome in {"ok", "held", "busy", "interrupted"} else logging.WARNING,
            "%s %s: %s%s", name, job, ended.outcome, f": {ended.message}" if ended.message else "",
            extra={"octopus_merchant": name, "octopus_job": job, "octopus_outcome": ended.outcome},
        )  # fmt: skip
        return ended

    def _recorded(self, name: str, job: str, started: datetime, ended: Ended) -> None:
        # Release first what the run could not release in an outage: the merchant's next run may be another worker's.
        self._ledger.for_channel(name).release_given_up()
        self._schedule.end(name, job, started, ended)

    def _patiently(self, step: Callable[[], T], stop: threading.Event) -> T:
        """Do *step*; while the database is unavailable, try again until the worker stops."""
        waited = False
        while True:
            last = stop.is_set()
            try:
                return step()
            except LedgerError as error:
                if last or not error.retryable:
                    raise
                if not waited:
                    log.warning("waiting for the database: %s", error.message)
            waited = True
            stop.wait(_AGAIN_SECONDS)

    def _run(self, name: str, job: str, stop: StopToken) -> Ended:
        try:
            with self._opened(name, stop) as (merchant, client, ledger):
                report = self._job(job, merchant, client, ledger, stop)
        except JobRunningError as error:
            return Ended("busy", error.message)
        except PushRefusedError as error:
            return Ended("failed", _refused(name, error))
        except OctopusError as error:
            return _after_error(error)
        except Exception as error:  # noqa: BLE001 - a user's source may raise anything, and only this merchant fails
            return Ended("failed", f"{type(error).__name__} in the {job} source or handler")
        return Ended("ok") if report is None else _ended(report, stop)

    @contextmanager
    def _opened(self, name: str, stop: threading.Event) -> Generator[tuple[Merchant, OctopusClient, Ledger]]:
        """Yield a merchant, its client and its ledger."""
        merchant, settings = self._registry.settings_of(name)
        hook = None if self._on_event is None else partial(self._on_event, name)
        ledger = self._ledger.for_channel(name)
        alone = ledger.run_lock(_RATE_LOCK) if settings.max_requests_per_second else nullcontext()
        with alone, OctopusClient(settings=settings, on_event=hook) as client:
            yield merchant, client.with_options(stop=stop), ledger

    def push(self, name: str, *, dry_run: bool, force: bool, stop: threading.Event) -> PushReport:
        """Push a merchant's stock and prices now. See `Fleet.push`."""
        if self._stock is None:
            raise ConfigError("the fleet has no stock source: give it a function stock")
        token, began = StopToken(stop, _NO_BUDGET), time.monotonic()
        with self._opened(name, token) as (merchant, client, ledger):
            if merchant.state != ACTIVE and not dry_run:
                raise ConfigError(not_active(merchant.name, merchant.state, merchant.reason))
            started = ledger.now()
            try:
                desired = self._stock(merchant)
            except Exception as error:
                raise OctopusError(f"{name}: {type(error).__name__} in the stock source") from error
            push = StockPush(client, ledger)
            if desired is not None:
                report = push.run(desired, dry_run=dry_run, force=force, stop=token)
            else:
                report = PushReport("push", started, started, dry_run=True) if dry_run else push.work(stop=token)
        if not dry_run:
            ended = replace(_ended(report, token), seconds=time.monotonic() - began)
            by_hand = "pushed by hand" + (", with --force" if force else "")
            self._schedule.end(name, "push", started, replace(ended, message=ended.message or by_hand))
        return report

    def _job(
        self, job: str, merchant: Merchant, client: OctopusClient, ledger: Ledger, stop: threading.Event
    ) -> Report | None:
        if job == "push" and self._stock is not None:
            desired = self._stock(merchant)
            push = StockPush(client, ledger)
            return push.work(stop=stop) if desired is None else push.run(desired, stop=stop)
        if job == "orders" and self._orders is not None:
            return OrderInbox(client, ledger).run(partial(self._orders, merchant), stop=stop)
        if job == "changes" and self._changes is not None:
            return ChangeFeed(client, ledger).run(partial(self._changes, merchant), stop=stop)
        raise OctopusError(
            f"no code for the job {job}: give the fleet a {'stock source' if job == 'push' else 'handler'}"
        )


def _ended(report: Report, stop: StopToken) -> Ended:
    backlog = sum(report.counts.get(name, 0) for name in ("left", "waiting"))
    held = max(report.problem_count, len(report.problems))
    if report.interrupted and stop.is_set():
        outcome, message = "interrupted", "the budget of the run is used up" if stop.over else "stopped"
    elif report.exit_code == FAILED:
        outcome, message = "failed", report.error
    else:
        outcome, message = "ok" if report.exit_code == ALL_DONE else "held", ""
    wait: float | None = None
    if report.not_before is not None and report.finished is not None:
        wait = (report.not_before - report.finished).total_seconds()
    return Ended(outcome, message, wait, report.timed_out, backlog, held)


def _refused(name: str, error: PushRefusedError) -> str:
    # The command comes first, because a long message is cut.
    push = f"octopus-soap fleet push {shlex.quote(name)}"
    return (
        f"refused, and nothing was sent. See the plan: {push} --dry-run. If it is meant: {push} --force. {error.reason}"
    )


def _after_error(error: OctopusError) -> Ended:
    if isinstance(error, AuthenticationError):
        return Ended("refused", error.message)
    if isinstance(error, LedgerError) and error.retryable:
        return Ended("interrupted", f"the database was away: {error.message}")
    return Ended("failed", error.message, asked_wait(error), has_timed_out(error))
