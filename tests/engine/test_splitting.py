"""Batches that fail: halved if that helps, within limits, every outcome kept."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stepping import (
    asked,
    context,
    fault,
    honest,
    keys_of,
    refused,
    reset,
    rows_reply,
    run_list,
    status,
    statuses,
    update_row,
)

from octopus_soap import CustomFieldMapping, ItemQuantityAndPrice, OrderDownloadSubmitRequest
from octopus_soap.engine.effects import FailureKind, SendFailure
from octopus_soap.engine.request import SizeMemory
from octopus_soap.errors import (
    AuthenticationError,
    ConnectFailedError,
    FaultError,
    HttpStatusError,
    OutcomeUnknownError,
    TimedOutError,
    TransportError,
)
from tests.every import every

UPDATE, READ, MAPPING = "UpdateItemQuantityAndPriceList", "GetItemList", "CustomFieldMapping"
TOO_LARGE = [pytest.param(status(413), id="413"), pytest.param(status(400, b""), id="empty 400")]


def updates(count: int) -> list[ItemQuantityAndPrice]:
    return [ItemQuantityAndPrice(sku=f"S{number}", price=Decimal(number)) for number in range(count)]


def poisoned(bad, answer):
    """Fail if the request has a bad key."""
    return lambda exchange: answer if bad & set(asked(exchange)) else honest(exchange)


def above(rows, answer):
    return lambda exchange: answer if len(asked(exchange)) > rows else honest(exchange)


# -- refused for its size ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", TOO_LARGE)
def test_a_batch_refused_for_its_size_is_halved_at_once_until_it_fits(answer):
    result, steps = run_list(UPDATE, updates(8), above(2, answer))
    assert statuses(result) == ["ok"] * 8
    assert [len(keys) for keys in keys_of(steps)] == [8, 4, 2, 2, 4, 2, 2]
    assert steps[0].sleeps == []


def test_unsafe_writes_are_halved_too_where_nothing_was_done():
    mappings = [CustomFieldMapping(text=f"T{n}", value="v") for n in range(4)]
    result, steps = run_list(MAPPING, mappings, above(2, status(413)))
    assert statuses(result) == ["ok"] * 4
    assert [len(keys) for keys in keys_of(steps)] == [4, 2, 2]


def test_one_item_too_large_by_itself_fails_alone():
    result, steps = run_list(UPDATE, updates(4), poisoned({"S2"}, status(413)))
    assert statuses(result) == ["ok", "ok", "failed", "ok"]
    assert isinstance(result.outcomes[2].error, HttpStatusError)
    assert [len(keys) for keys in keys_of(steps)] == [4, 2, 2, 1, 1]


def test_the_size_that_worked_is_remembered_for_later_batches_and_calls():
    given_context = context(batch_sizes={UPDATE: 8})
    run_list(UPDATE, updates(8), above(3, status(413)), given_context)
    assert given_context.memory.learned()[UPDATE][0] == 2
    result, steps = run_list(UPDATE, updates(6), above(3, status(413)), given_context)
    assert statuses(result) == ["ok"] * 6
    assert [len(keys) for keys in keys_of(steps)] == [2, 2, 2]
    assert given_context.memory.rows(READ, 100) == 100, "sizes of other operations are their own"


def test_the_largest_size_that_worked_is_remembered_not_the_last():
    given_context = context(batch_sizes={UPDATE: 7})
    run_list(UPDATE, updates(7), above(4, status(413)), given_context)  # 7 -> 3, 4
    assert given_context.memory.learned()[UPDATE][0] == 4


def test_a_learned_size_grows_again_once_it_went_through_often_enough():
    given_context = context(batch_sizes={UPDATE: 8})
    run_list(UPDATE, updates(8), above(1, status(413)), given_context)
    assert given_context.memory.learned()[UPDATE][0] == 1
    for expected in (2, 4, 8):
        rows = given_context.memory.learned()[UPDATE][0]
        run_list(UPDATE, updates(rows * SizeMemory.PATIENCE), honest, given_context)
        assert given_context.memory.learned()[UPDATE][0] == expected


def test_a_size_that_is_too_large_again_is_learned_again_at_the_cost_of_one_request():
    given_context = context(batch_sizes={UPDATE: 8})
    run_list(UPDATE, updates(8), above(4, status(413)), given_context)
    _, steps = run_list(UPDATE, updates(4 * SizeMemory.PATIENCE + 16), above(4, status(413)), given_context)
    sizes = [len(keys) for keys in keys_of(steps)]
    assert sizes.count(8) == 1
    assert set(sizes) == {4, 8}


# -- connection lost -----------------------------------------------------------------------------------------------


def test_a_connection_lost_again_and_again_halves_the_batch():
    result, steps = run_list(READ, [f"S{n}" for n in range(4)], above(2, reset()))
    assert statuses(result) == ["ok"] * 4
    assert [len(keys) for keys in keys_of(steps)] == [4, 4, 4, 2, 2]


def test_a_write_whose_connection_is_lost_is_halved_and_its_size_learned():
    given_context = context(batch_sizes={UPDATE: 8})
    result, _ = run_list(UPDATE, updates(8), above(4, reset()), given_context)
    assert statuses(result) == ["ok"] * 8
    assert given_context.memory.learned()[UPDATE][0] == 4


@every("place", range(8))
def test_a_poison_item_is_found_reported_and_does_not_shrink_later_batches(place):
    given_context = context(batch_sizes={UPDATE: 8})
    result, steps = run_list(UPDATE, updates(8), poisoned({f"S{place}"}, reset()), given_context)
    assert statuses(result) == ["unknown" if n == place else "ok" for n in range(8)]
    assert given_context.memory.learned() == {}
    assert len(steps[0].sends) <= 3 * 4 + 3


def test_a_poison_item_of_a_read_is_failed():
    result, _ = run_list(READ, [f"S{n}" for n in range(8)], poisoned({"S5"}, fault()))
    assert statuses(result) == ["ok"] * 5 + ["failed"] + ["ok"] * 2
    assert isinstance(result.outcomes[5].error, FaultError)


@every("bad", [{"S0", "S7"}, {"S3", "S4"}, {"S5", "S6", "S7"}])
def test_several_poison_items_are_found_once_something_went_through(bad):
    bad_keys = bad if "S0" not in bad else {"S1", "S7"}
    result, _ = run_list(READ, [f"S{n}" for n in range(8)], poisoned(bad_keys, fault()))
    assert statuses(result) == ["failed" if f"S{n}" in bad_keys else "ok" for n in range(8)]


def test_a_request_that_cannot_be_deserialized_is_halved_for_unsafe_writes_too():
    mappings = [CustomFieldMapping(text=f"T{n}", value="v") for n in range(4)]
    result, steps = run_list(MAPPING, mappings, poisoned({"T1"}, fault("a:DeserializationFailed")))
    assert statuses(result) == ["ok", "failed", "ok", "ok"]
    assert [len(keys) for keys in keys_of(steps)] == [4, 2, 1, 1, 2]


def test_unsafe_writes_that_may_have_been_done_are_neither_repeated_nor_halved():
    mappings = [CustomFieldMapping(text=f"T{n}", value="v") for n in range(4)]
    result, steps = run_list(MAPPING, mappings, lambda _: reset())
    assert statuses(result) == ["unknown"] * 4
    assert len(steps[0].sends) == 1
    assert isinstance(result.outcomes[0].error, OutcomeUnknownError)
    assert result.retry_inputs() == []


# -- outages: bounded ----------------------------------------------------------------------------------------------

OUTAGES = {
    "reset": (reset(), TransportError, 3 * 9),
    "fault": (fault(), AuthenticationError, 2),
    "500": (status(500), HttpStatusError, 2 * 9),
    "502": (status(502), HttpStatusError, 3),
    "504": (status(504), HttpStatusError, 3),
    "503": (status(503), HttpStatusError, 3),
    "refused": (refused(), ConnectFailedError, 3),
    "timeout": (SendFailure(FailureKind.AMBIGUOUS, TimedOutError("silent"), 0.1), TimedOutError, 3),
}


@every("name", OUTAGES)
@every("operation", [READ, UPDATE])
def test_an_outage_costs_a_bounded_number_of_requests(name, operation):
    answer, error, most = OUTAGES[name]
    if name == "fault":
        answer = fault("a:InternalServiceFault")
    inputs = updates(100) if operation == UPDATE else [f"S{n}" for n in range(100)]
    given_context = context(batch_sizes={operation: 100})
    result, steps = run_list(operation, inputs, lambda _: answer, given_context)
    assert sum(len(one.sends) for one in steps) <= most
    assert len(result.outcomes) == 100
    open_end = operation == UPDATE and name != "refused"
    assert set(statuses(result)) == {"unknown" if open_end else "failed"}
    assert all(isinstance(outcome.error, error) for outcome in result.outcomes)
    assert given_context.memory.learned() == {}


@every("answer", [reset(), status(500)])
def test_an_outage_that_begins_within_a_batch_is_bounded_too(answer):
    given_context = context(batch_sizes={READ: 100})
    given_context.config.credentials.proven = True
    calls = 0

    def service(exchange):
        nonlocal calls
        calls += 1
        return honest(exchange) if len(asked(exchange)) == 50 and "S0" in asked(exchange) else answer

    result, _ = run_list(READ, [f"S{n}" for n in range(100)], service, given_context)
    assert statuses(result)[:50] == ["ok"] * 50
    assert set(statuses(result)[50:]) == {"failed"}
    assert calls <= 3 * 14


def test_batches_after_an_outage_are_not_halved_until_one_goes_through():
    given_context = context(batch_sizes={READ: 10})
    sent: list[int] = []
    down = True

    def service(exchange):
        sent.append(len(asked(exchange)))
        return reset() if down else honest(exchange)

    result, _ = run_list(READ, [f"S{n}" for n in range(50)], service, given_context)
    assert set(statuses(result)) == {"failed"}
    assert sent[-12:] == [10] * 12


def test_when_it_comes_back_the_rest_is_done():
    given_context = context(batch_sizes={READ: 10})
    result, _ = run_list(
        READ,
        [f"S{n}" for n in range(40)],
        lambda exchange: honest(exchange) if "S20" in asked(exchange) or "S30" in asked(exchange) else reset(),
        given_context,
    )
    assert statuses(result)[20:] == ["ok"] * 20


# -- an unknown outcome stays unknown --------------------------------------------------------------------------------


def test_halves_of_a_request_whose_answer_was_lost_stay_in_doubt():
    answers = [reset(), reset(), reset(), status(401)]
    result, _ = run_list(UPDATE, updates(4), answers)
    assert statuses(result) == ["unknown"] * 4, (
        "the whole was sent three times: 'failed' and 'not_sent' would be guesses"
    )


def test_refused_after_a_lost_answer_is_unknown():
    result, _ = run_list(UPDATE, updates(1), [reset(), refused(), refused()])
    assert statuses(result) == ["unknown"]


def test_a_failure_envelope_after_a_lost_answer_is_unknown():
    answers = [reset(), rows_reply(UPDATE, [], "Failure", "Database is down")]
    assert statuses(run_list(UPDATE, updates(1), answers)[0]) == ["unknown"]
    assert statuses(run_list(UPDATE, updates(1), answers[1:])[0]) == ["failed"]


def test_reads_are_never_in_doubt():
    result, _ = run_list(READ, ["A", "B"], [reset()] * 12)
    assert set(statuses(result)) == {"failed"}


def test_refused_credentials_end_the_whole_call():
    given_context = context(batch_sizes={UPDATE: 2})
    sends = 0

    def service(exchange):
        nonlocal sends
        sends += 1
        return honest(exchange) if sends == 1 else status(401)

    result, _ = run_list(UPDATE, updates(8), service, given_context)
    assert statuses(result) == ["ok", "ok", "failed", "failed"] + ["not_sent"] * 4
    assert sends == 2


def test_a_stop_ends_the_halving():
    stop = False
    given_context = context(stopped=lambda: stop)

    def service(exchange):
        nonlocal stop
        if len(asked(exchange)) == 2:
            stop = True
        return above(2, status(413))(exchange)

    result, _ = run_list(UPDATE, updates(8), service, given_context)
    assert statuses(result) == ["ok", "ok"] + ["not_sent"] * 6


# -- wrong envelopes -------------------------------------------------------------------------------------------------


@every("said", ["Failure", "Pending", "false"])
def test_a_read_whose_envelope_is_not_success_fails_whatever_rows_it_has(said):
    result, _ = run_list(READ, ["A"], [rows_reply(READ, [honest_row("A")], said, "Database is down")])
    assert statuses(result) == ["failed"]


def honest_row(sku: str) -> str:
    return f"<a:InventoryItem><a:Sku>{sku}</a:Sku></a:InventoryItem>"


def test_a_row_that_says_done_in_an_envelope_that_says_not_is_unknown():
    rows = [update_row("S0"), update_row("S1", "false", "too cheap")]
    result, _ = run_list(UPDATE, updates(2), [rows_reply(UPDATE, rows, "Failure")])
    assert statuses(result) == ["unknown", "rejected"]


def test_an_answer_without_the_text_it_owes_leaves_a_mapping_open():
    empty = honest_mapping("")
    result, _ = run_list(MAPPING, [CustomFieldMapping(text="T", value="v")], [empty])
    assert statuses(result) == ["unknown"]
    words, _ = run_list(MAPPING, [CustomFieldMapping(text="T", value="v")], [honest_mapping("No such field")])
    assert (statuses(words), words.outcomes[0].message) == (["rejected"], "No such field")


def honest_mapping(text: str):
    from stepping import TEMPURI, ok

    inner = f"<CustomFieldMappingResult>{text}</CustomFieldMappingResult>"
    return ok(f'<CustomFieldMappingResponse xmlns="{TEMPURI}">{inner}</CustomFieldMappingResponse>')


# -- any sequence of answers -----------------------------------------------------------------------------------------

ANSWERS = st.sampled_from(
    ["honest", reset(), status(413), status(503), status(500), fault("a:DeserializationFailed"), refused(), status(200)]
)


@settings(max_examples=150)
@given(count=st.integers(1, 24), size=st.integers(1, 12), script=st.lists(ANSWERS, max_size=60), writing=st.booleans())
def test_every_input_has_exactly_one_true_outcome_whatever_the_service_does(count, size, script, writing):
    operation = "SetDownloadOrderConfirm" if writing else READ
    keys = [str(n) for n in range(count)]
    inputs = [OrderDownloadSubmitRequest(order_id=key) for key in keys] if writing else keys
    waiting, answered, tried = iter(script), set(), set()

    def service(exchange):
        answer = next(waiting, "honest")
        if not (isinstance(answer, SendFailure) and answer.kind is FailureKind.NOT_SENT):
            tried.update(asked(exchange))
        if answer != "honest":
            return answer
        answered.update(asked(exchange))
        return honest(exchange)

    result, steps = run_list(operation, inputs, service, context(batch_sizes={operation: size}))
    assert [outcome.index for outcome in result.outcomes] == list(range(count))
    assert [outcome.key for outcome in result.outcomes] == keys
    for outcome in result.outcomes:
        assert (outcome.status.value == "ok") == (outcome.key in answered)
        if outcome.status.value == "not_sent":
            assert outcome.key not in tried
        if outcome.status.value != "ok":
            assert outcome.error is not None or outcome.status.value == "not_sent"
    assert len(result.calls) <= sum(len(one.sends) for one in steps)
