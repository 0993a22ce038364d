"""The stop token of a view, with both clients: single calls, streams and pauses."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import ConnectFailedError, HttpStatusError, RetryScheduled
from octopus_soap.emulator import Status
from octopus_soap.testing import make_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap import Event


@pytest.fixture
def stopped(make_client: Callable[..., Any]) -> Any:
    stop = threading.Event()
    stop.set()
    return make_client().with_options(stop=stop)


def test_after_a_stop_no_call_with_a_single_answer_is_sent(service, stopped):
    for call in (
        lambda: stopped.get_item_quantity("S1"),
        lambda: stopped.submit_order(make_order()),
        lambda: stopped.delete_item("S1"),
        stopped.get_order_list,
        lambda: list(stopped.get_order_list.stream()),
    ):
        with pytest.raises(ConnectFailedError, match="stopped before this request had its turn; it was not sent"):
            call()
    assert service.calls == []
    assert stopped.ping(), "a ping checks the service, whatever was stopped"


@pytest.mark.timeout(15)
def test_a_stop_cuts_the_pause_of_a_single_call_short(service, make_client):
    stop = threading.Event()

    def hook(event: Event) -> None:
        if isinstance(event, RetryScheduled):  # immediately before the pause
            stop.set()

    client = make_client(backoff_base=60.0, backoff_cap=60.0).with_options(stop=stop, on_event=hook)
    service.script.on("IsSkuExist").do(Status(503, retry_after=20))
    with pytest.raises(HttpStatusError, match="503"):  # the full pause is 20 s, longer than this test may take
        client.is_sku_exist("A")
    assert stop.is_set()
    assert len(service.calls) == 1, "the request after the pause was not sent"
