"""The events of flows in their order, stepped by hand with a list of answers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    BatchDone,
    DriftSeen,
    InventoryItem,
    ItemRejected,
    OctopusError,
    RejectedError,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    Safety,
)
from octopus_soap.engine.request import RequestTrace
from octopus_soap.observe.events import EventObserver, Hook
from octopus_soap.observe.observer import Tally
from octopus_soap.operations import OPERATIONS
from octopus_soap.results import CallInfo
from tests.engine.stepping import (
    DATA,
    TEMPURI,
    asked,
    config,
    context,
    exists,
    fault,
    honest,
    ok,
    refused,
    request,
    reset,
    rows_reply,
    run_list,
    sending,
    status,
    step,
    update_row,
)
from tests.every import every

if TYPE_CHECKING:
    from octopus_soap.engine.request import Context

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Told:
    """An observer, and the events that its hook received."""

    def __init__(self, redact: Any = str) -> None:
        self.events: list[Any] = []
        self.tally = Tally(lambda: NOON)
        hook = Hook(self.events.append)
        self.observer = EventObserver(self.tally, "https://shop.example/OctopusService.svc", redact, hook)

    def config(self, **given: Any) -> Any:
        return config(**given)._replace(observer=self.observer)

    def context(self, **given: Any) -> Context:
        made = context(**given)
        return made._replace(config=made.config._replace(observer=self.observer))

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


def call(operation: str, told: Told, answers: Any, *arguments: Any) -> Any:
    row = OPERATIONS[operation]
    return step(row.flow(None, told.context(), *arguments), answers)


def test_a_request_is_started_repeated_and_finished_in_that_order() -> None:
    told = Told()
    step(sending(request(Safety.READ), told.config(base=1.0)), [status(503, elapsed=0.2), reset(0.3), exists()])
    started, first, second, finished = told.events
    assert started == RequestStarted("IsSkuExist", "id-1", started.sent_bytes, "shop.example", 443)
    assert first == RetryScheduled("IsSkuExist", "id-1", 1, "unavailable", 1.0, 0.2)
    assert second == RetryScheduled("IsSkuExist", "id-1", 2, "ambiguous", 2.0, pytest.approx(1.5))
    assert (finished.ok, finished.failure, finished.error) == (True, None, None)
    assert (finished.info.attempts, finished.info.elapsed) == (3, pytest.approx(3.6))


def test_a_request_that_fails_tells_the_kind_and_the_class() -> None:
    told = Told()
    steps = step(sending(request(Safety.READ), told.config()), [refused(), refused(), refused()])
    finished = told.events[-1]
    assert (finished.ok, finished.failure, finished.error) == (False, "not_sent", "ConnectFailedError")
    assert finished.info == steps.result.info
    assert told.names == ["RequestStarted", "RetryScheduled", "RetryScheduled", "RequestFinished"]


def test_an_unsafe_write_whose_answer_was_lost_ends_in_the_class_its_caller_sees() -> None:
    told = Told()
    step(sending(request(Safety.UNSAFE), told.config()), [reset()])
    assert told.events[-1].error == "OutcomeUnknownError"
    assert told.events[-1].failure == "ambiguous"


@every("under_way", [1, 2, 3])
def test_a_flow_closed_under_way_tells_that_its_request_was_abandoned(under_way: int) -> None:
    told = Told()
    flow = sending(request(Safety.READ), told.config(base=1.0))
    next(flow)
    for answer in [reset(), None, reset()][: under_way - 1]:
        flow.send(answer)
    flow.close()
    finished = told.events[-1]
    assert isinstance(finished, RequestFinished)
    assert (finished.ok, finished.failure, finished.error) == (False, "abandoned", None)
    assert finished.info.attempts == {1: 1, 2: 1, 3: 2}[under_way], "the attempt under way counts"
    assert told.tally.snapshot().failures == {"abandoned": 1}


def test_an_exception_from_outside_abandons_the_request() -> None:
    told = Told()
    flow = sending(request(Safety.READ), told.config())
    next(flow)
    with pytest.raises(KeyboardInterrupt):
        flow.throw(KeyboardInterrupt())
    assert told.events[-1].failure == "abandoned"


def test_a_flow_that_never_began_tells_nothing() -> None:
    told = Told()
    sending(request(Safety.READ), told.config()).close()
    assert told.events == []
    assert told.tally.snapshot().requests == 0


def drifted(*members: str) -> Any:
    more = "".join(f"<a:{member}>x</a:{member}>" for member in members)
    row = f"<a:InventoryItem>{more}<a:Sku>A</a:Sku></a:InventoryItem>"
    return rows_reply("GetItemList", [row])


def test_unknown_members_are_told_after_their_request() -> None:
    told = Told()
    run_list("GetItemList", ["A"], [drifted("Colour", "Size")], told.context())
    assert told.names == ["RequestStarted", "RequestFinished", "DriftSeen", "BatchDone"]
    drift = told.events[2]
    assert drift == DriftSeen("GetItemList", "id-1", {"InventoryItem.Colour": 1, "InventoryItem.Size": 1})
    assert told.tally.snapshot().drift == drift.members


def test_the_memory_for_names_of_unknown_members_is_bounded() -> None:
    tally = Tally(lambda: NOON)
    for number in range(3000):
        tally.finished(RequestTrace(CallInfo("GetItemList", drift={f"Item.M{number}": 1})))
    drift = tally.snapshot().drift
    assert len(drift) == 1001
    assert sum(drift.values()) == 3000
    assert drift["(others)"] == 2000


def test_rejected_items_are_told_before_their_batch() -> None:
    told = Told(redact=lambda text: text.replace("hidden", "***"))

    def answer(exchange: Any) -> Any:
        keys = asked(exchange)
        return rows_reply(
            exchange.operation,
            [update_row(key, "false", "no hidden item") if key in {"1", "3"} else update_row(key) for key in keys],
        )

    items = [InventoryItem(sku=str(number)) for number in range(5)]
    run_list("UploadItemList", items, answer, told.context(batch_sizes={"UploadItemList": 2}))
    assert [event for event in told.events if isinstance(event, ItemRejected)] == [
        ItemRejected("UploadItemList", 1, "1", "no *** item"),
        ItemRejected("UploadItemList", 3, "3", "no *** item"),
    ]
    assert [(e.batch, e.counts, e.requests) for e in told.events if isinstance(e, BatchDone)] == [
        (0, {"ok": 1, "rejected": 1}, 1),
        (1, {"ok": 1, "rejected": 1}, 1),
        (2, {"ok": 1}, 1),
    ]
    assert told.names[:4] == ["RequestStarted", "RequestFinished", "ItemRejected", "BatchDone"]
    counters = told.tally.snapshot()
    assert (counters.items, counters.rejections, counters.batches) == ({"ok": 3, "rejected": 2}, 2, 3)


def test_a_call_of_one_item_tells_its_rejection_and_that_the_request_went_well() -> None:
    told = Told()
    inner = (
        f'<UpdateItemQuantityAndPriceResponse xmlns="{TEMPURI}"><UpdateItemQuantityAndPriceResult xmlns:a="{DATA}">'
        "<a:Message>the price is odd</a:Message><a:ResultData>false</a:ResultData><a:Status>Success</a:Status>"
        "</UpdateItemQuantityAndPriceResult></UpdateItemQuantityAndPriceResponse>"
    )
    from octopus_soap import ItemQuantityAndPrice

    row = OPERATIONS["UpdateItemQuantityAndPrice"]
    whole = ItemQuantityAndPrice(sku="A", stock=1, price=1, cost=1, lock_stock=False, lock_price=False, lock_cost=False)
    steps = step(row.flow(None, told.context(omitted_values="send"), whole), [ok(inner)])
    assert isinstance(steps.error, RejectedError)
    assert told.names == ["RequestStarted", "RequestFinished", "ItemRejected"]
    assert told.events[1].ok
    rejected = told.events[2]
    assert (rejected.index, rejected.key) == (None, "A")
    assert "the price is odd" in rejected.message
    assert told.tally.snapshot().rejections == 1


def refusing(operation: str) -> Any:
    return rows_reply(operation, [], "Failure", "the service is in maintenance")


@every("operation", ["GetItemList", "UploadItemList"])
def test_a_list_whose_envelope_says_failure_is_a_failed_request(operation: str) -> None:
    told = Told()
    inputs = ["A"] if operation == "GetItemList" else [InventoryItem(sku="A")]
    run_list(operation, inputs, [refusing(operation)], told.context())
    assert (told.events[1].failure, told.events[1].error) == ("refused", "ApiStatusError")
    assert told.events[-1].counts == {"failed": 1}
    assert told.tally.last_success_at is None


@every(
    ("result", "error"),
    [("<IsSkuExistResult>maybe</IsSkuExistResult>", "ProtocolError"), ("", "ProtocolError")],
    ids=["unreadable", "empty"],
)
def test_an_answer_that_does_not_answer_is_a_failed_request(result: str, error: str) -> None:
    told = Told()
    steps = call(
        "IsSkuExist", told, [ok(f'<IsSkuExistResponse xmlns="{TEMPURI}">{result}</IsSkuExistResponse>')] * 3, "A"
    )
    assert isinstance(steps.error, OctopusError)
    assert told.events[-1].error == type(steps.error).__name__ == error
    assert told.tally.last_success_at is None


def test_a_batch_tells_the_requests_of_its_halves() -> None:
    told = Told()
    skus = [f"S{number}" for number in range(4)]
    run_list("GetItemList", skus, lambda e: fault() if "S2" in asked(e) else honest(e), told.context())
    done = told.events[-1]
    finished = [event for event in told.events if isinstance(event, RequestFinished)]
    assert (done.counts, done.requests) == ({"ok": 3, "failed": 1}, len(finished))
    assert done.elapsed == pytest.approx(sum(event.info.elapsed for event in finished))
    assert sum(not event.ok for event in finished) == 3, "the whole, its second half, and the item itself"


def test_batches_that_were_not_sent_are_told_too() -> None:
    told = Told()
    given = told.context(batch_sizes={"GetItemList": 1}, stopped=lambda: len(told.events) > 2)
    run_list("GetItemList", ["A", "B", "C"], honest, given)
    done = [event.counts for event in told.events if isinstance(event, BatchDone)]
    assert done == [{"ok": 1}, {"not_sent": 1}, {"not_sent": 1}]


def test_counters_count_bytes_of_every_attempt_that_may_have_left() -> None:
    told = Told()
    asked_for, last = request(Safety.READ), exists()
    broken = status(502, b"<html/>")
    step(sending(asked_for, told.config(max_attempts=4)), [refused(), reset(), broken, last])
    counters = told.tally.snapshot()
    assert (counters.requests, counters.attempts, counters.retries, counters.under_way) == (1, 4, 3, 0)
    assert counters.sent_bytes == 3 * len(asked_for.body), "the first never left"
    assert counters.received_bytes == len(broken.body) + len(last.body)
    assert told.tally.last_success_at == NOON


def test_a_request_under_way_is_seen_as_such() -> None:
    told = Told()
    flow = sending(request(Safety.READ), told.config())
    next(flow)
    assert told.tally.snapshot().under_way == 1
    flow.close()
    assert told.tally.snapshot().under_way == 0


def test_without_a_hook_no_event_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally(lambda: NOON)
    made = context()
    quiet = made._replace(config=made.config._replace(observer=tally))
    for name in ["BatchDone", "DriftSeen", "ItemRejected", "RequestFinished", "RequestStarted", "RetryScheduled"]:
        monkeypatch.setattr(f"octopus_soap.observe.events.{name}", None)
    run_list("GetItemList", ["A"], [reset(), drifted("Colour")], quiet)
    assert tally.snapshot().requests == 1


def test_events_cannot_be_changed() -> None:
    event = BatchDone("GetItemList", 0, {"ok": 1}, 1, 0.1)
    with pytest.raises(FrozenInstanceError):
        event.batch = 1  # type: ignore[misc] # that is the point
