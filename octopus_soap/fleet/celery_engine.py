"""Celery as the engine: workers on any number of machines, over RabbitMQ (or Redis, with its caveats).

Used of Celery: delivery, slots, redelivery when a worker dies, signals, graceful stop. Not used: its retries,
results, schedule and priorities. A message holds the merchant's name and the job, and nothing else.

RabbitMQ redelivers a run as soon as the dead worker's connection closes. Redis does after its visibility timeout, and
may lose what waits when it restarts; both are covered by the schedule, which hands lost runs over again after
`lost_seconds`.
"""

from __future__ import annotations

import os
import secrets
import threading
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import ConfigError
from octopus_soap.fleet.engines import SLOTS
from octopus_soap.fleet.schedule import QUEUES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.fleet.schedule import Due

TASK = "octopus_soap.fleet.run"
_VISIBILITY_SECONDS = 300
_SUBMIT_SECONDS = 3


def register(app: Any, run: Callable[[str, str, threading.Event], object]) -> Any:
    """Add the fleet's task to your Celery application, and return the task.

    Args:
        app: the Celery application.
        run: `Fleet.deliver`.
    """
    stop = threading.Event()
    from celery.signals import worker_shutting_down  # type: ignore[import-untyped] # noqa: PLC0415 - no types; an extra

    worker_shutting_down.connect(lambda **_: stop.set(), weak=False)

    def octopus_fleet_run(name: str, job: str) -> None:
        run(name, job, stop)

    options = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True, "max_retries": 0}
    return app.task(name=TASK, **options)(octopus_fleet_run)


def make_app(broker: str) -> Any:
    """Return a Celery application for the fleet alone.

    Args:
        broker: URL of the broker, such as `amqp://guest:guest@127.0.0.1//`.

    Raises:
        ConfigError: Celery is not installed.
    """
    try:
        from celery import Celery  # type: ignore[import-untyped] # noqa: PLC0415 - no types; an extra
        from kombu.entity import Queue  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        raise ConfigError("the Celery engine needs the extra `fleet`: pip install 'octopus-soap[fleet]'") from None
    make_queue: Any = Queue  # it has no types
    app = Celery("octopus-soap-fleet", broker=broker, set_as_current=False)
    app.conf.update(
        task_queues=[make_queue(f"octopus.{name}", durable=True) for name in QUEUES],
        task_default_queue="octopus.push",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=(
            {"visibility_timeout": _VISIBILITY_SECONDS} if broker.startswith("redis") else {"confirm_publish": True}
        ),
    )
    return app


class CeleryEngine:
    """Sends runs to Celery's queues; workers run them.

    Args:
        broker: URL of the broker.
        workers: how many workers there are, each with `slots`.
        slots: of each queue and worker.
    """

    own = False

    def __init__(self, broker: str, *, workers: int = 1, slots: Mapping[str, int] = SLOTS) -> None:
        self.app = make_app(broker)
        self.slots: Mapping[str, int] = {name: most * workers for name, most in slots.items()}

    def start(self, run: Callable[[str, str, threading.Event], object]) -> None:
        """Do nothing: workers deliver."""

    def submit(self, due: Due) -> None:
        """Send a run to its queue."""
        self.app.send_task(
            TASK,
            (due.name, due.job),
            queue=f"octopus.{due.queue}",
            retry=False,
            expires=None,
            delivery_mode=2,
            # A broker that is away must not hold up the ticker.
            connection=None,
        )

    def stop(self, seconds: float) -> None:
        """Close the connections to the broker."""
        del seconds
        self.app.close()


def work(broker: str, run: Callable[[str, str, threading.Event], object], *, queues: str = "", slots: int = 32) -> None:
    """Run a Celery worker in this process until it is stopped: SIGTERM finishes the runs under way.

    Args:
        broker: URL of the broker.
        run: `Fleet.deliver`.
        queues: comma-separated, such as `orders,push`; all by default.
        slots: threads.

    Raises:
        ConfigError: a queue does not exist.
    """
    wanted = [name.strip() for name in queues.split(",") if name.strip()] or list(QUEUES)
    if unknown := sorted(set(wanted) - set(QUEUES)):
        raise ConfigError(f"there is no queue {', '.join(unknown)}; there are {', '.join(QUEUES)}")
    app = make_app(broker)
    register(app, run)
    app.worker_main(
        [
            "worker",
            # Two workers of one name on one host lock each other out of the broker.
            f"--hostname=octopus-{os.getpid()}-{secrets.token_hex(3)}@%h",
            "--pool=threads",
            f"--concurrency={slots}",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=WARNING",
            "-Q",
            ",".join(f"octopus.{name}" for name in wanted),
        ]
    )
