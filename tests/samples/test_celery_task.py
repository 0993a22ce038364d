"""The Celery sample: one client per worker process, and no forbidden repeats."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Retry

from octopus_soap import BatchError, OutcomeUnknownError, RejectedError
from octopus_soap.emulator import Fault, Reset, Status
from octopus_soap.testing import make_order, make_order_line
from samples import celery_task

SAMPLE = Path(__file__).parents[2] / "samples" / "celery_task.py"


@pytest.fixture
def shop(configured, monkeypatch, tmp_path):
    """A shop's database, and tasks that run in the caller and raise there."""
    monkeypatch.setenv("SHOP_DB", str(tmp_path / "shop.db"))
    monkeypatch.setenv("OCTOPUS_MAX_ATTEMPTS", "1")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as db, db:
        db.execute("CREATE TABLE stock (sku TEXT PRIMARY KEY, stock INTEGER, price TEXT)")
        db.executemany("INSERT INTO stock VALUES (?, ?, ?)", [("A", 7, "19.90"), ("B", 0, "5.00"), ("C", 1, "1.00")])
    for sku in "AB":
        configured.store.add_item(sku, Stock=1, Price="1.00")
    celery_task.app.conf.task_always_eager = True
    yield configured
    celery_task.app.conf.task_always_eager = False
    celery_task._close()  # noqa: SLF001 - the sample's own state


def order():
    return make_order("WEB-1", order_items=[make_order_line("A")]).model_dump(mode="json", exclude_unset=True)


def only_order(shop):
    (number,) = shop.store.orders()
    return str(number)


def test_stock_is_sent_as_the_shop_has_it_now(shop):
    assert celery_task.push_stock.delay(["A", "B", "C", "X"]).get() == {"C": "The specified Sku does not exist"}
    assert (shop.store.item("A")["Stock"], shop.store.item("B")["Stock"]) == ("7", "0")


@pytest.mark.parametrize(
    "fault", [Reset("after"), Reset("before"), Status(503), Status(429), Status(429, retry_after=900)]
)
def test_stock_is_repeated_after_any_passing_failure(shop, fault):
    shop.script.on("UpdateItemQuantityAndPriceList", nth=1).do(fault)
    celery_task.push_stock.delay(["A"]).get()
    assert len(shop.calls) == 2
    assert shop.store.item("A")["Stock"] == "7"


def test_only_what_is_left_is_repeated(shop, monkeypatch):
    monkeypatch.setenv("OCTOPUS_BATCH_SIZES", '{"UpdateItemQuantityAndPriceList": 1}')
    shop.script.on("UpdateItemQuantityAndPriceList", key="B", nth=1).do(Status(503))
    shop.script.on("UpdateItemQuantityAndPriceList", nth=2).do(Status(503))
    celery_task.push_stock.delay(["A", "B"]).get()
    assert [call.keys for call in shop.calls] == [("A",), ("B",), ("B",)]


def test_the_pause_is_the_one_the_service_asks_for(shop, monkeypatch):
    pauses = []
    monkeypatch.setattr(
        celery_task.submit_order, "retry", lambda *, exc, countdown: pauses.append(countdown) or Retry(exc=exc)
    )
    shop.script.on("SubmitOrder").do(Status(429, retry_after=900))
    with pytest.raises(Retry):
        celery_task.submit_order(order())
    assert pauses == [900]


def test_an_order_is_created_once(shop):
    assert celery_task.submit_order.delay(order()).get() == only_order(shop)
    with pytest.raises(RejectedError):
        celery_task.submit_order.delay(order()).get()


@pytest.mark.parametrize("fault", [Reset("after"), Reset("before"), Reset("mid"), Status(502), Status(503)])
def test_an_order_that_may_have_been_created_is_never_repeated(shop, fault):
    shop.script.on("SubmitOrder", nth=1).do(fault)
    with pytest.raises(OutcomeUnknownError):
        celery_task.submit_order.delay(order()).get()
    assert len(shop.calls) == 1


def test_an_order_that_was_refused_unseen_is_repeated(shop):
    shop.script.on("SubmitOrder", nth=1).do(Status(429))
    assert celery_task.submit_order.delay(order()).get()
    assert [call.executed for call in shop.calls] == [False, True]


def test_a_refusal_is_not_repeated(shop):
    shop.script.on("UpdateItemQuantityAndPriceList").do(Fault("client-text"))
    with pytest.raises(BatchError, match="could not be carried out"):
        celery_task.push_stock.delay(["A"]).get()
    assert len(shop.calls) == 1


@pytest.mark.parametrize("ends", ["worker_process_shutdown", "worker_shutdown"])  # prefork; solo and threads
def test_each_worker_process_has_a_client_of_its_own_and_closes_it(shop, ends):
    parents = celery_task.shop()
    celery_task.signals.worker_process_init.send(sender=None)
    assert celery_task.shop() is not parents
    assert celery_task.shop() is celery_task.shop()
    getattr(celery_task.signals, ends).send(sender=None)
    assert celery_task._client == []  # noqa: SLF001 - the sample's own state
    parents.close()


def test_a_real_worker_does_it(shop):
    celery_task.app.conf.task_always_eager = False
    with start_worker(celery_task.app, pool="solo", perform_ping_check=False):
        assert celery_task.push_stock.delay(["A", "C"]).get(timeout=30) == {"C": "The specified Sku does not exist"}
        assert celery_task.submit_order.delay(order()).get(timeout=30) == only_order(shop)


@pytest.mark.long
def test_the_demo_runs():
    done = subprocess.run([sys.executable, SAMPLE, "--demo"], capture_output=True, text=True, timeout=60, check=True)
    assert "'Stock': '7'" in done.stdout
    assert "'SKU-2': 'The specified Sku does not exist'" in done.stdout
