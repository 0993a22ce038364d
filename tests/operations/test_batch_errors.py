"""The causes in a `BatchError`; one error for no free connection. Both clients."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    BatchError,
    ConnectFailedError,
    CustomFieldMapping,
    FaultError,
    HttpStatusError,
    ItemQuantityAndPrice,
    Lookup,
    OctopusClient,
    OctopusError,
    RateLimitedError,
    TimedOutError,
)
from octopus_soap.emulator import Fault, Hang, Status

if TYPE_CHECKING:
    from collections.abc import Callable

SKUS = ["A", "B", "C", "D"]


def batch_error(call: Callable[[], Any]) -> BatchError:
    with pytest.raises(BatchError) as caught:
        call()
    return caught.value


def test_a_batch_error_says_what_its_items_failed_with_and_whether_to_come_back(service, make_client):
    for sku in SKUS:
        service.store.add_item(sku, Stock="1")
    once = make_client(max_attempts=1, retry_after_cap=5)
    rows: list[tuple[Any, dict[str, Any], type[OctopusError], bool, float | None]] = [
        (Hang(), {"read_timeout": 0.1}, TimedOutError, True, None),
        (Status(503), {}, HttpStatusError, True, None),
        (Status(429, retry_after=40), {}, RateLimitedError, True, 40.0),
        (Status(404), {}, HttpStatusError, False, None),
        (Fault("action"), {}, FaultError, False, None),
    ]
    for fault, options, kind, retryable, after in rows:
        service.script.clear()
        service.script.on("GetItemList", after=1).do(fault)
        error = batch_error(lambda: once.with_options(**options).get_item_list(SKUS, batch_size=2))  # noqa: B023 - called at once
        assert [type(cause) for cause in error.causes] == [kind], fault
        assert (error.retryable, error.retry_after) == (retryable, after), fault
        again = pickle.loads(pickle.dumps(error))
        assert (again.retryable, again.retry_after, len(again.causes)) == (retryable, after, 1)

    service.script.clear()
    service.script.on(key="A").do(Status(404))
    service.script.on(key="C").do(Status(503))
    error = batch_error(lambda: once.get_item_list(SKUS, batch_size=2))
    assert [cause.info.http_status for cause in error.causes if cause.info] == [404, 503]
    assert error.retryable, "some of the items may go through"


def test_a_stop_is_worth_a_repeat_and_an_unsafe_write_is_none_once_something_was_done(service, make_client):
    client = make_client(max_attempts=1)
    stop = threading.Event()
    stop.set()
    updates = [ItemQuantityAndPrice(sku=sku, stock=1) for sku in SKUS]
    error = batch_error(lambda: client.with_options(stop=stop).update_item_quantity_and_price_list(updates))
    assert (error.causes, error.retryable) == ((), True)

    mappings = [CustomFieldMapping(text=sku, value="v") for sku in SKUS]
    service.script.on("CustomFieldMapping", after=1).do(Status(429))
    error = batch_error(lambda: client.custom_field_mapping(mappings, batch_size=2))
    assert [o.status.value for o in error.result.outcomes] == ["ok", "ok", "failed", "failed"]
    assert error.causes[0].retryable
    assert not error.retryable, "the same call would create the first two once more"
    assert error.result.retry_inputs() == mappings[2:]
    service.script.clear()
    service.script.on("CustomFieldMapping").do(Status(429))
    assert batch_error(lambda: client.custom_field_mapping(mappings, batch_size=2)).retryable


def test_no_free_connection_is_one_error_in_every_form_of_call(service, make_client):
    client = make_client(max_connections=1, max_attempts=1)
    service.script.on("GetItemQuantity").do(Hang())
    hanging = threading.Thread(target=lambda: quiet(lambda: client.with_options(read_timeout=3).get_item_quantity("A")))
    hanging.start()
    service.wait_for_calls()
    hasty = client.with_options(total_timeout=0.1)
    forms: dict[str, Callable[[], Any]] = {
        "single": lambda: hasty.is_sku_exist("A"),
        "page": hasty.get_order_list,
        "rows": lambda: next(iter(hasty.get_order_list.stream())),
        "list": lambda: hasty.get_item_list(["A"]),
        "batches": lambda: hasty.get_item_list(SKUS, batch_size=2),
        "stream": lambda: next(iter(hasty.get_item_list.stream(["A"]))).raise_for_unfinished(),
    }
    if isinstance(client, OctopusClient):
        forms["look-up"] = lambda: Lookup(hasty).quantity("A")
    for form, call in forms.items():
        with pytest.raises(OctopusError) as caught:
            call()
        causes = caught.value.causes if isinstance(caught.value, BatchError) else [caught.value]
        for error in causes:
            assert type(error) is ConnectFailedError, form
            assert error.message == "no connection became free within 0.1 s; see max_connections", form
        assert caught.value.retryable, form
        assert caught.value.info is not None, form
        assert caught.value.info.attempts == 0, form
    service.script.clear()
    hanging.join()


def quiet(call: Callable[[], Any]) -> None:
    with pytest.raises(TimedOutError):
        call()
