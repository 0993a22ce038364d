"""The retry matrix, cell by cell, written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stepping import codec, config, exists, fault, refused, request, reset, sending, status, step

from octopus_soap.engine.effects import FailureKind, SendFailure
from octopus_soap.engine.request import RequestResult
from octopus_soap.engine.retry import MATRIX, RetryPolicy, Verdict, classify, decide
from octopus_soap.errors import (
    ApiStatusError,
    AuthenticationError,
    ConnectFailedError,
    FaultError,
    HttpStatusError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    TimedOutError,
    TransportError,
)
from octopus_soap.models.declarations import Safety
from tests.every import every

R, I, U = Safety.READ, Safety.IDEMPOTENT, Safety.UNSAFE  # noqa: E741 - the columns of the table


def silent() -> SendFailure:
    return SendFailure(FailureKind.AMBIGUOUS, TimedOutError("silent"), 0.1)


def stale() -> SendFailure:
    return SendFailure(FailureKind.STALE, TransportError("closed"), 0.0)


def oversized() -> SendFailure:
    return SendFailure(FailureKind.OVERSIZED, ProtocolError("too large"), 0.1)


# Attempts of 3 made if every attempt fails alike, and the error that the caller gets, by safety class.
TABLE: list[tuple[str, Any, dict[Safety, tuple[int, type[Exception]]]]] = [
    (
        "connect refused",
        refused(),
        {R: (3, ConnectFailedError), I: (3, ConnectFailedError), U: (3, ConnectFailedError)},
    ),
    ("stale socket", stale(), {R: (3, TransportError), I: (3, TransportError), U: (1, OutcomeUnknownError)}),
    ("read timeout", silent(), {R: (3, TimedOutError), I: (3, TimedOutError), U: (1, OutcomeUnknownError)}),
    ("reset", reset(), {R: (3, TransportError), I: (3, TransportError), U: (1, OutcomeUnknownError)}),
    ("502", status(502), {R: (3, HttpStatusError), I: (3, HttpStatusError), U: (1, OutcomeUnknownError)}),
    ("504", status(504), {R: (3, HttpStatusError), I: (3, HttpStatusError), U: (1, OutcomeUnknownError)}),
    ("HTML with 200", status(200), {R: (3, ProtocolError), I: (3, ProtocolError), U: (1, OutcomeUnknownError)}),
    ("nothing with 200", status(200, b""), {R: (3, ProtocolError), I: (3, ProtocolError), U: (1, OutcomeUnknownError)}),
    ("429", status(429), {R: (3, RateLimitedError), I: (3, RateLimitedError), U: (3, RateLimitedError)}),
    (
        "429 with Retry-After",
        status(429, retry_after="2"),
        {R: (3, RateLimitedError), I: (3, RateLimitedError), U: (3, RateLimitedError)},
    ),
    ("503", status(503), {R: (3, HttpStatusError), I: (3, HttpStatusError), U: (1, OutcomeUnknownError)}),
    (
        "503 with Retry-After",
        status(503, retry_after="2"),
        {R: (3, RateLimitedError), I: (3, RateLimitedError), U: (1, OutcomeUnknownError)},
    ),
    ("fault of the server", fault(), {R: (2, FaultError), I: (2, FaultError), U: (1, OutcomeUnknownError)}),
    (
        "500 without a fault",
        status(500),
        {R: (2, HttpStatusError), I: (2, HttpStatusError), U: (1, OutcomeUnknownError)},
    ),
    ("fault with 200", fault(http=200), {R: (2, FaultError), I: (2, FaultError), U: (1, OutcomeUnknownError)}),
    ("fault of the client", fault("s:Client"), {R: (1, FaultError), I: (1, FaultError), U: (1, FaultError)}),
    ("its dotted form", fault("s:Client.Input"), {R: (1, FaultError), I: (1, FaultError), U: (1, FaultError)}),
    (
        "deserialization",
        fault("a:DeserializationFailed"),
        {R: (1, FaultError), I: (1, FaultError), U: (1, FaultError)},
    ),
    ("unknown action", fault("a:ActionNotSupported"), {R: (1, FaultError), I: (1, FaultError), U: (1, FaultError)}),
    ("400 with a page", status(400), {R: (1, HttpStatusError), I: (1, HttpStatusError), U: (1, HttpStatusError)}),
    ("401", status(401), {R: (1, AuthenticationError), I: (1, AuthenticationError), U: (1, AuthenticationError)}),
    ("403", status(403, b""), {R: (1, AuthenticationError), I: (1, AuthenticationError), U: (1, AuthenticationError)}),
    (
        "401 with a fault",
        fault(http=401),
        {R: (1, AuthenticationError), I: (1, AuthenticationError), U: (1, AuthenticationError)},
    ),
    ("404", status(404), {R: (1, HttpStatusError), I: (1, HttpStatusError), U: (1, HttpStatusError)}),
    (
        "302",
        status(302, location="https://x"),
        {R: (1, HttpStatusError), I: (1, HttpStatusError), U: (1, OutcomeUnknownError)},
    ),
    ("413", status(413), {R: (1, HttpStatusError), I: (1, HttpStatusError), U: (1, HttpStatusError)}),
    ("413 with a fault", fault(http=413), {R: (1, HttpStatusError), I: (1, HttpStatusError), U: (1, HttpStatusError)}),
    ("400 with nothing", status(400, b""), {R: (1, HttpStatusError), I: (1, HttpStatusError), U: (1, HttpStatusError)}),
    ("reply too large", oversized(), {R: (1, ProtocolError), I: (1, ProtocolError), U: (1, OutcomeUnknownError)}),
]

CELLS = [(answer, safety, *expected) for _, answer, row in TABLE for safety, expected in row.items()]
NAMES = [f"{name}, {safety.value}" for name, _, row in TABLE for safety in row]


@every(("answer", "safety", "attempts", "error"), CELLS, ids=NAMES)
def test_every_cell_of_the_matrix(answer, safety, attempts, error):
    steps = step(sending(request(safety), config()), [answer] * 9)
    settled = steps.result
    assert len(steps.sends) == attempts
    assert type(settled.error) is error
    assert settled.error.info.attempts == attempts
    assert [exchange.number for exchange in steps.sends] == list(range(1, attempts + 1))
    assert len({exchange.body for exchange in steps.sends}) == 1
    assert len({exchange.request_id for exchange in steps.sends}) == 1


@every("safety", list(Safety))
@every("answer", [row[1] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_retried_succeeds_when_the_service_recovers(answer, safety):
    steps = step(sending(request(safety), config()), [answer, exists()])
    may_repeat = next(row for row in TABLE if row[1] is answer)[2][safety][0] > 1
    assert isinstance(steps.result, RequestResult) is may_repeat
    assert len(steps.sends) == (2 if may_repeat else 1)


def test_the_table_of_the_code_has_no_other_cells():
    split_or_raise = {
        FailureKind.TOO_LARGE: Verdict.SPLIT,
        FailureKind.REFUSED: Verdict.RAISE,
        FailureKind.BUSY: Verdict.RAISE,
    }
    assert {kind for kind, row in MATRIX.items() if set(row) == set(Safety)} == set(FailureKind)
    for kind, row in MATRIX.items():
        if kind in split_or_raise:
            assert set(row.values()) == {split_or_raise[kind]}
        if kind not in {FailureKind.NOT_SENT, FailureKind.THROTTLED, *split_or_raise}:
            assert row[U] is Verdict.UNKNOWN, "an unsafe write that may be done is never repeated"


@every("attempts", [1, 2, 5])
@every("kind", list(FailureKind))
@every("safety", list(Safety))
def test_attempts_are_bounded_by_the_setting(attempts, kind, safety):
    failure = SendFailure(kind, TransportError("no"), 0.0)
    steps = step(sending(request(safety), config(max_attempts=attempts)), [failure] * 9)
    expected = {Verdict.RETRY: attempts, Verdict.RETRY_ONCE: min(attempts, 2)}.get(MATRIX[kind][safety], 1)
    assert len(steps.sends) == expected


def test_attempts_of_different_failures_count_together():
    steps = step(sending(request(R), config()), [status(503), stale(), refused(), exists()])
    assert len(steps.sends) == 3
    assert isinstance(steps.result.error, ConnectFailedError)


def test_a_stale_socket_is_retried_at_once_and_without_a_pause():
    steps = step(sending(request(R), config()), [stale(), exists()])
    assert (len(steps.sends), steps.sleeps) == (2, [])
    assert steps.result.info.attempts == 2


def test_connect_failed_is_not_promised_once_an_attempt_was_sent():
    write = step(sending(request(I), config()), [reset(), refused(), refused()]).result.error
    read = step(sending(request(R), config()), [reset(), refused(), refused()]).result.error
    assert type(write) is TransportError
    assert "earlier attempt" in write.message
    assert type(read) is ConnectFailedError


def test_an_unknown_outcome_carries_what_left_it_open():
    error = step(sending(request(U), config()), [status(502)]).result.error
    assert isinstance(error.__cause__, HttpStatusError)
    assert (error.info.http_status, error.info.attempts) == (502, 1)


# -- pauses --------------------------------------------------------------------------------------------------------


@given(
    attempt=st.integers(1, 30),
    chance=st.floats(0, 1, exclude_max=True),
    base=st.floats(0, 60),
    cap=st.floats(0, 600),
)
def test_full_jitter_stays_between_nothing_and_the_doubling_bound(attempt, chance, base, cap):
    pause = RetryPolicy(base=base, cap=cap).pause(attempt, chance)
    assert 0 <= pause <= min(cap, base * 2.0 ** (attempt - 1))


def test_full_jitter_uses_the_whole_range():
    policy = RetryPolicy(base=1.0, cap=100.0)
    assert [policy.pause(n, 0.0) for n in (1, 2, 3)] == [0, 0, 0]
    assert [policy.pause(n, 1.0) for n in (1, 2, 3)] == [1, 2, 4]
    assert policy.pause(9, 1.0) == 100


def test_pauses_are_effects_and_count_towards_the_total():
    steps = step(sending(request(R), config(base=1.0)), [reset(0.5), reset(0.5), exists()])
    assert steps.sleeps == [1.0, 2.0]
    assert steps.limits == [120.0, 118.5, 116.0]
    assert steps.result.info.elapsed == pytest.approx(4.1)


def test_no_attempt_begins_that_could_not_end_before_the_total_limit():
    steps = step(sending(request(R), config(total=10.0, base=4.0)), [reset(7.0), exists()])
    assert len(steps.sends) == 1
    assert steps.sleeps == []
    assert type(steps.result.error) is TransportError


def test_once_the_total_has_passed_the_error_says_so():
    error = step(sending(request(R), config(total=10.0)), [reset(10.5)]).result.error
    assert isinstance(error, TimedOutError)
    assert "total limit of 10 s" in error.message


@given(
    elapsed=st.lists(st.floats(0, 40), min_size=12, max_size=12),
    total=st.floats(1, 120),
    attempts=st.integers(1, 10),
    chance=st.floats(0, 1),
)
def test_sending_never_begins_after_the_total_limit(elapsed, total, attempts, chance):
    answers = iter(reset(seconds) for seconds in elapsed)
    steps = step(sending(request(R), config(chance=chance, total=total, max_attempts=attempts)), answers)
    assert len(steps.sends) <= attempts
    assert all(0 < limit <= total for limit in steps.limits)


# -- Retry-After ---------------------------------------------------------------------------------------------------


@every("code", [429, 503])
@every(
    ("headers", "pause"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, None),
        ({"retry_after": " 1.5 "}, 1.5),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 9.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry_after": "soon"}, 0.5),
        ({"retry_after": "-3"}, 0.5),
        ({"retry_after": "1e9"}, 0.5),
        ({"retry_after": "\u0663"}, 0.5),
    ],
)
def test_retry_after_is_waited_for_in_both_forms(code, headers, pause):
    steps = step(sending(request(R), config()), [status(code, **headers), exists()])
    assert steps.sleeps == ([] if pause is None else [pause])
    assert isinstance(steps.result, RequestResult)


@every("code", [429, 503])
@every(
    "headers",
    [
        {"retry_after": "31"},
        {"retry_after": "3600"},
        {"retry_after": "Wed, 21 Oct 2026 08:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
        {"retry_after": "999999999"},
    ],
)
def test_beyond_the_cap_it_is_raised_at_once(code, headers):
    steps = step(sending(request(R), config()), [status(code, **headers), exists()])
    error = steps.result.error
    assert (len(steps.sends), steps.sleeps) == (1, [])
    assert isinstance(error, RateLimitedError)
    assert error.retry_after > 30
    assert (error.status, error.retryable) == (code, True)


def test_a_retry_after_that_does_not_fit_the_total_limit_is_raised_at_once():
    steps = step(sending(request(R), config(total=10.0)), [status(429, retry_after="20"), exists()])
    assert (len(steps.sends), steps.sleeps) == (1, [])
    assert steps.result.error.retry_after == 20


def test_after_the_last_attempt_the_services_wish_is_still_told():
    error = step(sending(request(R), config()), [status(503, retry_after="3")] * 3).result.error
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 3


# -- the rest ------------------------------------------------------------------------------------------------------


def test_a_stop_ends_the_attempts():
    steps = step(sending(request(R), config(stopped=lambda: True)), [reset(), exists()])
    assert len(steps.sends) == 1
    assert type(steps.result.error) is TransportError


def test_the_internal_fault_is_suspected_to_be_credentials_until_a_call_succeeded():
    internal = fault("a:InternalServiceFault", "The server was unable to process the request due to an internal error.")
    given_config = config()
    first = step(sending(request(R), given_config), [internal, internal]).result.error
    assert isinstance(first, AuthenticationError)
    assert first.certain is False
    assert isinstance(first.__cause__, FaultError)
    step(sending(request(R), given_config), [exists()])
    assert type(step(sending(request(R), given_config), [internal, internal]).result.error) is FaultError


def test_the_facts_are_those_of_the_last_attempt():
    info = step(sending(request(R), config()), [fault(), reset(), exists()]).result.info
    assert (info.attempts, info.http_status, info.fault_code) == (3, 200, None)
    gone = step(sending(request(R), config()), [fault(), reset(), reset()]).result.error.info
    assert (gone.attempts, gone.http_status, gone.fault_code) == (3, None, None)


def test_only_a_400_with_nothing_in_it_is_taken_for_one_that_is_too_large():
    """An older WCF answers so to a request over its size; others give a reason."""
    kinds = [classify(HttpStatusError("no", status=400, body_excerpt=body)) for body in ("", "<html>no</html>")]
    assert kinds == [FailureKind.TOO_LARGE, FailureKind.REFUSED]


def test_an_error_of_no_known_kind_leaves_it_open():
    assert classify(ProtocolError("half")) is FailureKind.AMBIGUOUS
    assert classify(ApiStatusError("no", status="Failure")) is FailureKind.REFUSED
    assert classify(RateLimitedError("no", status=503)) is FailureKind.UNAVAILABLE


@given(
    kind=st.sampled_from(FailureKind),
    safety=st.sampled_from(Safety),
    attempt=st.integers(1, 25),
    spent=st.floats(0, 1000),
    chance=st.floats(0, 1),
    asked=st.none() | st.floats(0, 1e9),
)
def test_decisions_are_bounded_whatever_comes(kind, safety, attempt, spent, chance, asked):
    policy = RetryPolicy()
    decision = decide(policy, safety, kind, attempt=attempt, spent=spent, chance=chance, retry_after=asked)
    if decision.verdict is Verdict.RETRY:
        assert attempt < policy.max_attempts
        assert spent + decision.pause < policy.total
        assert decision.pause <= max(policy.cap, policy.retry_after_cap)
        assert MATRIX[kind][safety] in {Verdict.RETRY, Verdict.RETRY_ONCE}
    else:
        assert decision.pause == 0


def test_the_codec_used_here_is_the_shipped_contract():
    assert codec().bundled
