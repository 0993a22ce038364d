"""The Celery engine: workers on any number of machines.

Of Celery we use delivery, slots, redelivery when a worker dies, signals and graceful stop, and not its retries,
results, schedule and priorities. A message has only the merchant's name and the job.

RabbitMQ redelivers a run as soon as the dead worker's connection closes. Redis redelivers it after its visibility
timeout, and may lose waiting runs when it restarts. The schedule covers both: it hands lost runs over again after
`lost_seconds`.

The names of a fleet's queues begin with the fleet's name (`octopus.push`): two fleets on one broker need two names.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from octopus_soap._http import without_logins
from octopus_soap.errors import ConfigError, LedgerError, OctopusError
from octopus_soap.fleet.engines import FLEET_NAME, SLOTS
from octopus_soap.fleet.schedule import QUEUES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from octopus_soap.fleet.schedule import Due

log = logging.getLogger("octopus_soap.fleet")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_VISIBILITY_SECONDS = 300
_REACH_SECONDS = 4
_HEARTBEAT_SECONDS = 10
"""A broker that falls silent is noticed after about twice this time."""
_PAUSES = {"interval_start": 1.0, "interval_step": 1.0, "interval_max": 3.0}
"""Seconds between two attempts to reach an unavailable broker; Celery's own pauses grow to 30."""


def task_name(name: str) -> str:
    """Return the name of a fleet's task in Celery."""
    return f"{name}.run"


def queue_name(name: str, queue: str) -> str:
    """Return the name of a fleet's queue at the broker.

    Raises:
        ConfigError: the fleet's name cannot be part of a queue's name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"the fleet's name {name[:60]!r}: give 1 to 40 letters, digits, - and _; its queues begin with it"
        )
    return f"{name}.{queue}"


def register(app: Any, run: Callable[[str, str, threading.Event], object], *, name: str = FLEET_NAME) -> Any:
    """Add the fleet's task to your Celery application, and return the task.

    Args:
        app: the Celery application.
        run: `Fleet.deliver`.
        name: the fleet's name.

    Raises:
        ConfigError: the name cannot be used, or another fleet of this name is registered.
    """
    queue_name(name, "push")
    if task_name(name) in app.tasks:
        raise ConfigError(f"a fleet {name!r} is registered with this Celery application already; give it another name")
    stop = threading.Event()
    _when_worker_stops(stop)

    from celery.exceptions import Reject  # noqa: PLC0415 - an extra

    def octopus_fleet_run(merchant: str, job: str) -> None:
        try:
            run(merchant, job, stop)
        except LedgerError as error:  # the database is away and this worker stops: another worker may run it
            raise Reject(error.message, requeue=error.retryable) from None

    options = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True, "max_retries": 0}
    return app.task(name=task_name(name), **options)(octopus_fleet_run)


def _when_worker_stops(stop: threading.Event) -> None:
    """Set *stop* when a signal asks this process' worker to stop."""
    from celery.signals import worker_shutting_down  # noqa: PLC0415 - an extra

    worker_shutting_down.connect(lambda **_: stop.set(), weak=False)


def make_app(broker: str, *, name: str = FLEET_NAME) -> Any:
    """Return a Celery application for the fleet alone.

    Args:
        broker: URL of the broker, such as `amqp://guest:guest@127.0.0.1//`.
        name: the fleet's name.

    Raises:
        ConfigError: Celery is not installed, or the name cannot be used.
    """
    names = [queue_name(name, queue) for queue in QUEUES]
    try:
        from celery import Celery  # noqa: PLC0415 - an extra
        from kombu.entity import Exchange, Queue  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        raise ConfigError("the Celery engine needs the extra `fleet`: pip install 'octopus-soap[fleet]'") from None
    make_queue: Any = Queue  # kombu has no types
    make_exchange: Any = Exchange
    exchange = make_exchange(name, type="direct", durable=True)
    app = Celery(f"{name}-fleet", broker=broker, set_as_current=False)
    app.amqp.Connection = _patient(app.amqp.Connection)
    app.conf.update(
        task_queues=[make_queue(queue, exchange, routing_key=queue, durable=True) for queue in names],
        task_default_queue=queue_name(name, "push"),
        task_default_exchange=name,
        task_create_missing_queues=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=_REACH_SECONDS,
        broker_heartbeat=_HEARTBEAT_SECONDS,
        broker_transport_options=(
            {"visibility_timeout": _VISIBILITY_SECONDS, "global_keyprefix": f"{name}."}
            if _is_redis(broker)
            else {"confirm_publish": True}
        ),
    )
    return app


def _patient(connection: Any) -> Any:
    """Return a connection class that tries an unavailable broker every few seconds."""

    class Patient(connection):  # type: ignore[misc] # it has no types
        def ensure_connection(self, *given: Any, **options: Any) -> Any:
            return super().ensure_connection(*given, **{**_PAUSES, **options})

    return Patient


def reach(app: Any) -> str:
    """Connect to an application's broker once, and return why that failed.

    Returns:
        The reason; empty if the broker was reached.

    Raises:
        ConfigError: the broker refused the user, the password or the virtual host, or no installed library speaks its
            protocol.
    """
    with _shown_errors(app), app.connection_for_write(connect_timeout=_REACH_SECONDS) as connection:
        try:
            connection.connect()
        except (OSError, *connection.recoverable_connection_errors) as error:
            if type(error).__name__ == "AuthenticationError":  # in Redis' client it is a kind of ConnectionError
                raise
            return f"{connection.as_uri()}: {getattr(error, 'strerror', None) or error}"
    return ""


@contextmanager
def _shown_errors(app: Any) -> Generator[None]:
    """Turn errors of a broker's client into a ConfigError."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - each broker's client has its own exception classes
        raise ConfigError(f"the broker {_shown(app)} cannot be used: {_reason(error)}") from None


def _shown(app: Any) -> str:
    """Return the broker's URL without its password."""
    from kombu.utils.url import maybe_sanitize_url  # noqa: PLC0415 - an extra

    return str(maybe_sanitize_url(app.conf.broker_url))


def _reason(error: Exception) -> str:
    if "redis" in str(error).casefold() and isinstance(error, AttributeError | ImportError):
        return "Redis needs its client: pip install 'octopus-soap[fleet-redis]'"
    return without_logins(str(getattr(error, "reply_text", None) or error)) or type(error).__name__


def delete_queues(broker: str, *, name: str = FLEET_NAME) -> int:
    """Delete a fleet's queues at the broker, and return how many there were.

    A later tick finds the runs that waited there. On Redis all keys of the fleet are deleted and counted.

    Args:
        broker: URL of the broker.
        name: the fleet's name.

    Raises:
        ConfigError: Celery is not installed, the name cannot be used, or the broker cannot be reached.
    """
    app = make_app(broker, name=name)
    if why := reach(app):
        raise ConfigError(f"the broker {why}")
    with _shown_errors(app), app.connection_for_write() as connection:
        if _is_redis(broker):
            # This client adds the prefix to the keys that it deletes, but not to the pattern that it scans for.
            client = connection.default_channel.client
            keys = [key.decode() for key in client.scan_iter(match=f"{name}.*")]
            deleted: int = sum(client.delete(key.removeprefix(f"{name}.")) for key in keys)
        else:
            deleted = sum(_deleted(connection, queue) for queue in app.conf.task_queues)
            connection.channel().exchange_delete(name)
    app.close()
    return deleted


def _deleted(connection: Any, queue: Any) -> bool:
    """Delete a queue; True if there was one."""
    channel = connection.channel()  # of its own, because a missing queue closes the channel
    try:
        queue(channel).queue_declare(passive=True)
        queue(channel).delete()
    except connection.channel_errors:
        return False
    return True


def _is_redis(broker: str) -> bool:
    return broker.startswith(("redis", "sentinel"))


class CeleryEngine:
    """Sends runs to Celery's queues; workers run them.

    Args:
        broker: URL of the broker.
        workers: how many workers there are, each with `slots`.
        slots: of each queue and worker.
        name: the fleet's name.

    Raises:
        ConfigError: Celery is not installed, or the name cannot be used.
    """

    own = False

    def __init__(
        self, broker: str, *, workers: int = 1, slots: Mapping[str, int] = SLOTS, name: str = FLEET_NAME
    ) -> None:
        self.app = make_app(broker, name=name)
        self.name = name
        self.slots: Mapping[str, int] = {name: most * workers for name, most in slots.items()}

    def start(self, run: Callable[[str, str, threading.Event], object]) -> None:
        """Do nothing: workers deliver."""

    def submit(self, due: Due) -> None:
        """Send a run to its queue."""
        self.app.send_task(
            task_name(self.name),
            (due.name, due.job),
            queue=queue_name(self.name, due.queue),
            retry=False,  # an unavailable broker must not hold up the ticker
            delivery_mode=2,  # persistent
        )

    def stop(self, seconds: float) -> None:
        """Close the connections to the broker."""
        del seconds
        self.app.close()


def work(
    broker: str,
    run: Callable[[str, str, threading.Event], object],
    *,
    queues: Sequence[str] = (),
    slots: int = 32,
    name: str = FLEET_NAME,
) -> None:
    """Run a Celery worker in this process until it is stopped.

    On SIGTERM it finishes the runs under way.

    Args:
        broker: URL of the broker.
        run: `Fleet.deliver`.
        queues: such as `["orders", "push"]`; all by default.
        slots: the number of threads.
        name: the fleet's name.

    Raises:
        ConfigError: a queue does not exist, or the broker refuses the user, the password or the virtual host.
        OctopusError: the worker ended without a signal.
    """
    wanted = list(queues or QUEUES)
    if unknown := sorted(set(wanted) - set(QUEUES)):
        raise ConfigError(f"there is no queue {', '.join(unknown)}; there are {', '.join(QUEUES)}")
    app = make_app(broker, name=name)
    register(app, run, name=name)
    if why := reach(app):
        log.warning("the broker is unavailable, waiting for it: %s", why)
    asked = threading.Event()
    _when_worker_stops(asked)
    with suppress(SystemExit):
        app.worker_main(
            [
                "worker",
                # Two workers with the same name on one host lock each other out of the broker.
                f"--hostname={name}-{os.getpid()}-{secrets.token_hex(3)}@%h",
                "--pool=threads",
                f"--concurrency={slots}",
                "--without-gossip",
                "--without-mingle",
                "--loglevel=WARNING",
                "-Q",
                ",".join(queue_name(name, queue) for queue in wanted),
            ]
        )
    if not asked.is_set():
        raise OctopusError(
            "the worker ended by itself, as Celery's does if Redis goes away at the wrong moment; let the service "
            "manager restart it (systemd: Restart=always)"
        )
