"""A deadline for a call: all batches, attempts, pauses and waits. Both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import BatchError, HttpStatusError, ItemQuantityAndPrice, OctopusError, TimedOutError, TransportError
from octopus_soap.emulator import Hang, Latency, Status
from octopus_soap.engine.effects import Attempt, Compute, Deadline, FailureKind, Receive, Send, Sleep, within

if TYPE_CHECKING:
    from collections.abc import Callable

SKUS = [f"S{number}" for number in range(6)]
LATE = "the deadline of 0.5 s for the whole call passed"


@pytest.fixture
def stocked(service):
    for sku in SKUS:
        service.store.add_item(sku, Stock="1")
    return service


def failure(call: Callable[[], Any]) -> OctopusError:
    with pytest.raises(OctopusError) as caught:
        call()
    return caught.value


def test_a_deadline_ends_single_calls_their_repeats_and_pauses(stocked, make_client):
    client = make_client(max_attempts=20, backoff_base=5.0, read_timeout=60)
    hasty = client.with_options(deadline=0.5)
    stocked.script.on("GetItemQuantity").do(Hang())
    error = failure(lambda: hasty.get_item_quantity("S0"))
    assert type(error) is TimedOutError
    assert error.message.startswith(LATE)
    assert (error.retryable, error.info.attempts) == (True, 1)
    error = failure(lambda: hasty.with_options(total_timeout=0.1).get_item_quantity("S0"))
    assert "total limit" in error.message, "the smaller limit ends it"
    stocked.script.clear()
    stocked.script.on("GetItemQuantity").do(Status(503))
    error = failure(lambda: hasty.get_item_quantity("S0"))
    assert type(error) is HttpStatusError, "only a repeat had no time"
    assert error.info.attempts < 20
    stocked.script.clear()
    stocked.script.on("GetItemQuantityList").do(Hang())
    error = failure(lambda: hasty.get_item_quantity_list(["S0"]))
    assert error.result.counts == {"failed": 1}, "it was sent"
    stocked.script.clear()
    assert hasty.get_item_quantity("S0") == 1, "the next call has its own deadline"
    assert make_client(deadline=30).get_item_quantity("S0") == 1
    assert client.settings.deadline is None


def test_batches_that_are_not_sent_by_then_are_not_sent_and_what_was_done_is_kept(stocked, make_client):
    updates = [ItemQuantityAndPrice(sku=sku, stock=7) for sku in SKUS]
    client = make_client(max_attempts=3, read_timeout=60, parallel_writes=1).with_options(deadline=0.5)
    stocked.script.on("UpdateItemQuantityAndPriceList", after=1).do(Hang())
    error = failure(lambda: client.update_item_quantity_and_price_list(updates, batch_size=2))
    assert isinstance(error, BatchError)
    assert [o.status.value for o in error.result.outcomes] == ["ok"] * 2 + ["unknown"] * 2 + ["not_sent"] * 2
    assert error.retryable
    assert error.result.outcomes[5].error.message == f"{LATE}: this request was not sent"
    assert type(error.result.outcomes[5].error) is TimedOutError
    assert isinstance(error.result.outcomes[2].error, TransportError), "it may have been carried out"
    assert error.result.retry_inputs() == updates[2:]


def test_reads_side_by_side_streams_and_rows_end_in_time(stocked, make_client):
    client = make_client(max_connections=2, max_attempts=1, read_timeout=60).with_options(deadline=0.5)
    stocked.script.on("*").do(Latency(0.35))
    error = failure(lambda: client.get_item_list(SKUS, batch_size=1))
    statuses = [outcome.status.value for outcome in error.result.outcomes]
    assert "not_sent" in statuses
    assert {outcome.error.message[: len(LATE)] for outcome in error.result.unfinished} == {LATE}
    stocked.script.clear()
    stocked.script.on("*").do(Hang())
    parts = list(client.get_item_list.stream(SKUS, batch_size=3))
    assert [part.counts for part in parts] in ([{"failed": 3}] * 2, [{"failed": 3}, {"not_sent": 3}])
    assert failure(lambda: list(client.get_order_list.stream())).message.startswith(LATE)


# -- by hand -----------------------------------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_begins_before_the_deadline_gets_the_time_that_is_left_and_nothing_begins_after_it():
    clock, seen = Clock(), []

    def inner():
        for effect in (
            Send(Attempt("Op", "a", b""), 60.0, lambda: False), Sleep(1.0), Receive(None), Compute(bool, 1),
            Sleep(9.0), Send(Attempt("Op", "a", b"", number=2), 60.0, lambda: False), Receive(None),
        ):  # fmt: skip
            seen.append((yield effect))
        return "done"

    flow = within(inner(), Deadline(5.0, clock))
    sent = next(flow)
    assert sent.time_left() == 5.0
    assert not sent.unwanted()
    clock.now += 2
    assert (sent.time_left(), sent.unwanted()) == (3.0, False)
    assert flow.send("reply") == Sleep(1.0)
    assert flow.send(None) == Receive(None)
    computing = flow.send(b"part")
    assert computing.limit == 3.0
    clock.now += 3.5
    with pytest.raises(StopIteration) as end:  # no pause of 9 s, no second request, no further part
        flow.send("decoded")
    assert end.value.value == "done"
    assert [getattr(answer, "kind", answer) for answer in seen] == [
        "reply", None, b"part", "decoded", True, FailureKind.BUSY, FailureKind.AMBIGUOUS
    ]  # fmt: skip
    assert sent.unwanted()
    assert sent.time_left() == 0.0
