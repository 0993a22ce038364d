"""Celery tasks with one client per worker process, repeated only if that is safe.

    python samples/celery_task.py --demo             a worker in this process, against the emulator
    celery --app samples.celery_task worker          a real worker

Reads OCTOPUS_* and CELERY_BROKER_URL. SHOP_DB is the path of the SQLite file with the shop's stock and prices:
`CREATE TABLE stock (sku TEXT PRIMARY KEY, stock INTEGER, price TEXT)`.

* `push_stock` takes SKUs and reads their stock when it runs. A task that waited in the queue, or is repeated, sends
  the current stock, not the stock of the moment it was queued. So it may be repeated after any failure, and it
  acknowledges late.
* `submit_order` is repeated only after a failure that proves that no order was created. It acknowledges early: if a
  worker dies in the middle, the task is lost, but it never runs twice. `OutcomeUnknownError` fails the task: a person
  has to look whether the order exists.
"""

import argparse
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from celery import Celery, Task, signals
from celery.utils.log import get_task_logger

from octopus_soap import (
    BatchError,
    ConnectFailedError,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusError,
    OrderSubmit,
    OutcomeUnknownError,
    RateLimitedError,
)

app = Celery("shop", broker=os.environ.get("CELERY_BROKER_URL", "memory://"), backend="cache+memory://")
app.conf.update(task_serializer="json", broker_connection_retry_on_startup=True, task_time_limit=600)
log = get_task_logger(__name__)

PAUSE = 30
"""Seconds before a task is repeated if the service names none. The client has tried several times by then."""

_client: list[OctopusClient] = []


def shop() -> OctopusClient:
    """Return this process's client."""
    if not _client:  # pools without child processes (solo, threads) send no worker_process_init
        _client.append(OctopusClient())
    return _client[0]


@signals.worker_process_init.connect
def _open(**_: Any) -> None:
    _client.clear()  # a forked process inherits its parent's client, and must not use it
    shop()  # so that no task waits for it; Celery logs an error here, and the first task raises it again


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _close(**_: Any) -> None:
    while _client:
        _client.pop().close()


def numbers_of(skus: Sequence[str]) -> list[ItemQuantityAndPrice]:
    """Read the shop's stock and prices.

    SKUs that the shop does not have are left out: unknown is not zero.
    """
    with closing(sqlite3.connect(os.environ["SHOP_DB"])) as db:
        rows = db.execute(
            "SELECT sku, stock, price FROM stock WHERE sku IN (SELECT value FROM json_each(?)) ORDER BY sku",
            [json.dumps(list(skus))],
        )
        return [ItemQuantityAndPrice(sku=sku, stock=stock, price=price) for sku, stock, price in rows]


@app.task(bind=True, acks_late=True, max_retries=20)
def push_stock(self: Task, skus: list[str]) -> dict[str, str]:
    """Send the current stock and prices; return the rejected SKUs with the reasons."""
    try:
        result = shop().update_item_quantity_and_price_list(numbers_of(skus))
    except BatchError as error:  # some items are done; the others get another task, unless they were rejected
        if not error.retryable:
            raise
        left = [item.sku for item in error.result.retry_inputs()]
        log.warning("%d of %d SKUs are left: %s", len(left), len(skus), error.message)
        raise self.retry(args=[left], exc=error, countdown=error.retry_after or PAUSE) from error
    except RateLimitedError as error:
        raise self.retry(exc=error, countdown=error.retry_after or PAUSE) from error
    except OctopusError as error:
        if error.retryable:
            raise self.retry(exc=error, countdown=PAUSE) from error
        raise
    return {outcome.key: outcome.message or outcome.status.value for outcome in (*result.rejected, *result.missing)}


@app.task(bind=True, acks_late=False, max_retries=20)
def submit_order(self: Task, order: dict[str, Any]) -> str | None:
    """Create an order and return the id that the service gave it.

    Queue it as `order.model_dump(mode="json")`.
    """
    try:
        return shop().submit_order(OrderSubmit(**order)).id_order
    except ConnectFailedError as error:  # nothing left this machine
        raise self.retry(exc=error, countdown=PAUSE) from error
    except RateLimitedError as error:
        if error.status != 429:  # noqa: PLR2004 - Too Many Requests: refused before it was looked at
            raise
        raise self.retry(exc=error, countdown=error.retry_after or PAUSE) from error
    except OutcomeUnknownError:
        log.critical("order %s may or may not have been created: look before you queue it again", order.get("order_id"))
        raise


def demo() -> dict[str, str]:
    """Run a worker in a thread of this process, queue one task, and return its result."""
    from celery.contrib.testing.worker import start_worker  # noqa: PLC0415 - only the demo needs it

    from octopus_soap.emulator import Emulator  # noqa: PLC0415 - only the demo needs the extra `emulator`

    with Emulator() as service, tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "shop.db"
        with closing(sqlite3.connect(database)) as db, db:
            db.execute("CREATE TABLE stock (sku TEXT PRIMARY KEY, stock INTEGER, price TEXT)")
            db.executemany("INSERT INTO stock VALUES (?, ?, ?)", [("SKU-1", 7, "19.90"), ("SKU-2", 0, "5.00")])
        service.store.add_item("SKU-1", Stock=1, Price="1.00")
        os.environ.update({f"OCTOPUS_{name.upper()}": value for name, value in service.settings().items()})
        os.environ["SHOP_DB"] = str(database)
        with start_worker(app, pool="solo", perform_ping_check=False):
            rejected: dict[str, str] = push_stock.delay(["SKU-1", "SKU-2"]).get(timeout=30)
        _close()  # an embedded worker sends no worker_shutdown
        print("SKU-1 is now", service.store.item("SKU-1"))
        return rejected


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--demo", action="store_true", required=True, help="run a worker in this process, against the emulator"
    )
    parser.parse_args()
    print("rejected:", demo())
    sys.exit(0)
