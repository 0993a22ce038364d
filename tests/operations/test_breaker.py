"""A circuit breaker: failures in a row open it, then one request tries."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    BatchError,
    BreakerClosed,
    BreakerOpened,
    CircuitOpenError,
    ConnectFailedError,
    HttpStatusError,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusError,
    TransportError,
)
from octopus_soap.emulator import Fault, Hang, Reset, Status
from octopus_soap.engine.effects import FailureKind, SendFailure
from octopus_soap.engine.retry import Breaker, Passage, Sign, sign_of
from octopus_soap.wire.decode import Reply

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the clients' breakers only."""
    clock = Clock()
    monkeypatch.setattr(
        "octopus_soap.client.Breaker", lambda failures, seconds, _, lock: Breaker(failures, seconds, clock, lock)
    )
    return clock


def failure(call: Callable[[], Any]) -> OctopusError:
    with pytest.raises(OctopusError) as caught:
        call()
    return caught.value


def test_after_failures_in_a_row_nothing_is_sent_then_one_request_tries(service, make_client, clock):
    service.store.add_item("A", Stock="1")
    events: list[Any] = []
    plain = make_client(breaker_failures=3, breaker_seconds=20, max_attempts=2, client_label="shop")
    client = plain.with_options(on_event=events.append)

    def ask() -> OctopusError:
        return failure(lambda: client.get_item_quantity("A"))

    service.script.on("*").do(Status(503))
    assert type(ask()) is HttpStatusError
    last = ask()
    assert (type(last), last.info.attempts) == (HttpStatusError, 1), "the third failure opens it: no repeat"
    assert len(service.calls) == 3, "each attempt counts"
    clock.now += 5
    refused = ask()
    assert type(refused) is CircuitOpenError
    assert isinstance(refused, ConnectFailedError), "code that handles 'nothing was sent' handles it"
    assert (refused.retryable, refused.retry_after, refused.info.attempts) == (True, 15.0, 0)
    assert refused.message == (
        "not sent: the circuit breaker is open after 3 failures in a row (breaker_failures); the next one may be sent "
        f"in 15 s (breaker_seconds=20). The last failure: {last.message}"
    )
    updates = [ItemQuantityAndPrice(sku="A", stock=7), ItemQuantityAndPrice(sku="B", stock=7)]
    error = failure(lambda: plain.update_item_quantity_and_price_list(updates, batch_size=1))
    assert isinstance(error, BatchError)
    assert error.result.counts == {"not_sent": 2}
    assert (error.retryable, error.retry_after) == (True, 15.0)
    assert type(failure(lambda: list(plain.get_order_list.stream()))) is CircuitOpenError
    if isinstance(plain, OctopusClient):
        assert plain.get_item_quantity.dry_run("A"), "a dry run sends nothing and is not refused"
    assert len(service.calls) == 3, "none of these was sent"
    assert client.ping().stage.value == "service", "a ping asks"
    assert len(service.calls) == 4

    clock.now += 15
    assert type(ask()) is HttpStatusError, "one tries, without a repeat"
    assert type(ask()) is CircuitOpenError, "and its failure opened the breaker again"
    assert len(service.calls) == 5
    service.script.clear()
    clock.now += 19.9
    assert type(ask()) is CircuitOpenError
    clock.now += 0.1
    assert client.get_item_quantity("A") == 1
    assert plain.get_item_quantity("A") == 1
    assert plain.counters.breaker_opened == 2
    switched = [event for event in events if isinstance(event, BreakerOpened | BreakerClosed)]
    assert [type(event).__name__ for event in switched] == ["BreakerOpened", "BreakerOpened", "BreakerClosed"]
    assert (switched[0].operation, switched[0].error, switched[0].client_label) == (
        "GetItemQuantity", "HttpStatusError", "shop"
    )  # fmt: skip


def test_refusals_rejections_and_throttling_are_answers_and_it_is_off_by_default(service, make_client, clock):
    client = make_client(breaker_failures=2, max_attempts=1)
    answers = [Status(429, retry_after=90), Status(404), Fault("action")]
    for answer in answers:
        service.script.clear()
        service.script.on("*").do(answer)
        for _ in range(3):
            assert not isinstance(failure(lambda: client.get_item_quantity("A")), CircuitOpenError)
    service.script.clear()
    for _ in range(3):
        updates = [ItemQuantityAndPrice(sku="no such SKU", stock=1)]
        assert client.update_item_quantity_and_price_list(updates).counts == {"rejected": 1}
    for fault in (Reset(), Status(504)):  # not in a row
        service.script.on("*").times(1).do(fault)
        failure(lambda: client.get_item_quantity("A"))
        client.is_sku_exist("A")
    assert client.counters.breaker_opened == 0
    service.script.on("*").do(Reset())
    for _ in range(3):  # the first request fails on the idle connection, which proves nothing
        assert not isinstance(failure(lambda: client.get_item_quantity("A")), CircuitOpenError)
    assert type(failure(lambda: client.get_item_quantity("A"))) is CircuitOpenError
    default = make_client(max_attempts=1)
    for _ in range(12):
        assert type(failure(lambda: default.get_item_quantity("A"))) is TransportError


def test_a_request_that_waits_for_its_turn_while_the_breaker_opens_is_not_sent(service, make_client, clock):
    client = make_client(breaker_failures=1, max_attempts=1, max_connections=1, read_timeout=0.5)
    service.script.on("*").do(Hang())
    with ThreadPoolExecutor(4) as pool:
        errors = list(pool.map(lambda _: failure(lambda: client.is_sku_exist("A")), range(4)))
    names = [type(error).__name__ for error in errors]
    assert set(names) == {"CircuitOpenError", "TimedOutError"}
    sent = names.count("TimedOutError")
    assert sent <= 2, "at most the next in line had its turn before the failure was judged"
    assert len(service.calls) == client.counters.attempts == sent
    service.script.clear()
    clock.now += 30
    assert client.is_sku_exist("A") is False, "those that were refused gave their turns back"


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_only_one_request_tries_also_among_threads_and_a_broken_off_one_gives_its_place_up():
    clock = Clock()
    breaker = Breaker(2, 30.0, clock, threading.Lock)
    waiting, late = Passage(breaker), Passage(breaker)
    assert waiting.refusal() is None
    for number in range(2):
        assert late.gate() is None
        assert late.ended(Sign.FAILED, "down") is (True if number else None)
    assert waiting.gate().kind is FailureKind.BUSY, "it waited for its turn while the breaker opened"
    assert Passage(breaker).ended(Sign.ANSWERED, "") is None, "an answer to what was sent before changes nothing"
    assert Passage(breaker).ended(Sign.FAILED, "x") is None
    clock.now += 30
    passages = [Passage(breaker) for _ in range(64)]
    with ThreadPoolExecutor(8) as pool:
        refusals = list(pool.map(Passage.gate, passages))
    assert refusals.count(None) == 1
    refused = next(refusal for refusal in refusals if refusal is not None)
    assert refused.error.retry_after == 1.0
    assert "one request is trying now" in refused.error.message
    with passages[refusals.index(None)]:
        pass  # aborted
    tries = Passage(breaker)
    assert tries.gate() is None
    assert waiting.gate() is not None
    assert tries.ended(Sign.NOTHING, "") is None, "an idle connection that was closed: it may try again"
    assert tries.gate() is None
    assert tries.ended(Sign.ANSWERED, "") is False
    assert (breaker.is_open(), waiting.gate()) == (False, None)
    late.ended(Sign.FAILED, "x")
    breaker.reset()
    assert late.ended(Sign.FAILED, "x") is None, "a forked child starts again"


def test_what_an_attempt_shows_of_the_service():
    error = TransportError("x")
    for answer, kind, sign in [
        (SendFailure(FailureKind.NOT_SENT, error), FailureKind.NOT_SENT, Sign.FAILED),
        (SendFailure(FailureKind.AMBIGUOUS, error), FailureKind.AMBIGUOUS, Sign.FAILED),
        (
            SendFailure(FailureKind.AMBIGUOUS, error, last=True),
            FailureKind.AMBIGUOUS,
            Sign.NOTHING,
        ),  # the deadline ended it
        (SendFailure(FailureKind.BUSY, error), FailureKind.BUSY, Sign.NOTHING),
        (SendFailure(FailureKind.STALE, error), FailureKind.STALE, Sign.NOTHING),
        (SendFailure(FailureKind.OVERSIZED, error), FailureKind.OVERSIZED, Sign.ANSWERED),
        (Reply(500, {}, b"", 0.1), FailureKind.SERVER, Sign.FAILED),
        (Reply(503, {}, b"", 0.1), FailureKind.UNAVAILABLE, Sign.FAILED),
        (Reply(504, {}, b"", 0.1), FailureKind.AMBIGUOUS, Sign.FAILED),
        (Reply(408, {}, b"", 0.1), FailureKind.AMBIGUOUS, Sign.FAILED),
        (Reply(200, {}, b"", 0.1), FailureKind.AMBIGUOUS, Sign.ANSWERED),
        (Reply(500, {}, b"", 0.1), FailureKind.REFUSED, Sign.ANSWERED),
        (Reply(429, {}, b"", 0.1), FailureKind.THROTTLED, Sign.ANSWERED),
    ]:
        assert sign_of(answer, kind) is sign, (answer, kind)
