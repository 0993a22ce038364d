"""The retry decision, as a pure function."""

from octopus_soap._http import retry_after
from octopus_soap.octopia import OctopiaConnectError, OctopiaTlsError, RetryPolicy
from octopus_soap.octopia.effects import Reply
from tests.every import every


def most(low: float, high: float) -> float:
    return high


def reply(status: int, **headers: str) -> Reply:
    return Reply(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_pauses_are_drawn_up_to_a_doubling_bound_and_a_cap():
    policy = RetryPolicy(attempts=9, base_seconds=1, cap_seconds=5)
    assert [policy.pause(n, 0, reply(503), most) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert policy.pause(1, 0, reply(503), lambda low, high: low) == 0


@every("status", [400, 401, 403, 404, 409, 422, 500, 200])
def test_answers_that_will_not_change_are_not_repeated(status):
    assert RetryPolicy().pause(1, 0, reply(status), most) is None


@every("status", [429, 502, 503, 504])
def test_answers_that_say_later_are_repeated(status):
    assert RetryPolicy().pause(1, 0, reply(status), most) == 0.5


def test_it_gives_up_after_the_attempts_and_after_the_time():
    policy = RetryPolicy(attempts=3, total_seconds=10)
    assert policy.pause(3, 0, reply(503), most) is None
    assert policy.pause(1, 9.6, reply(503), most) is None


def test_retry_after_is_waited_for_and_beyond_the_cap_is_not():
    policy = RetryPolicy(retry_after_cap=30)
    assert policy.pause(1, 0, reply(429, retry_after="30"), most) == 30.5
    assert policy.pause(1, 0, reply(429, retry_after="31"), most) is None


def test_an_untrusted_certificate_is_not_tried_again():
    assert RetryPolicy().pause(1, 0, OctopiaTlsError("x"), most) is None
    assert RetryPolicy().pause(1, 0, OctopiaConnectError("x"), most) == 0.5


@every(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "Wed, 01 Jan 2025 10:00:30 GMT", "date": "Wed, 01 Jan 2025 10:00:00 GMT"}, 30.0),
        ({"retry_after": "Wed, 01 Jan 2025 09:00:00 GMT", "date": "Wed, 01 Jan 2025 10:00:00 GMT"}, 0.0),
        ({"retry_after": "Wed, 01 Jan 2025 10:00:30 GMT"}, 0.0),
        ({"retry_after": "Wed, 01 Jan 2025 10:00:30", "date": "Wed, 01 Jan 2025 10:00:00 GMT"}, 30.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "²"}, None),
        ({}, None),
    ],
)
def test_both_forms_of_retry_after_are_read(headers, seconds):
    assert retry_after(reply(429, **headers).headers) == seconds
