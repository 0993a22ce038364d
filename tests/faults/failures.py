"""The table of failures, with attempts, outcomes, classes and facts of each."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    AuthenticationError,
    BatchError,
    FaultError,
    HttpStatusError,
    OctopusError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    Safety,
    TimedOutError,
    TransportError,
)
from octopus_soap.emulator import Fault, Hang, Html, InjectedFault, Reset, Status, Truncate
from tests.catalogue import KINDS, ROWS, Row, seed

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.emulator import Emulator

READ, IDEMPOTENT, UNSAFE = Safety.READ, Safety.IDEMPOTENT, Safety.UNSAFE


@dataclass(frozen=True)
class Failure:
    """A failure that occurs on every attempt, and its consequences.

    Attributes:
        name: for the test's id.
        faults: what the script injects; `None` if there is no service at the address.
        attempts: exchanges of one request, by safety class (read, idempotent write, unsafe write).
        errors: class of the error of a single call, and of each item's outcome, by safety class.
        written: status of a list write's items, by whether it may be repeated (idempotent, unsafe).
        splits: lists are halved (their number of exchanges is then only bounded).
        status, fault_code: facts the error must carry.
        read_status: status of a list read's items.
        only: the operations it concerns; all by default.
        settings: of the client.
    """

    name: str
    faults: tuple[InjectedFault, ...]
    attempts: tuple[int, int, int]
    errors: tuple[type[OctopusError], type[OctopusError], type[OctopusError]]
    written: tuple[str, str] = ("unknown", "unknown")
    splits: bool = False
    status: int | None = None
    fault_code: str | None = None
    read_status: str = "failed"
    settings: tuple[tuple[str, Any], ...] = ()

    def at(self, safety: Safety) -> tuple[int, type[OctopusError]]:
        place = list(Safety).index(safety)
        return self.attempts[place], self.errors[place]


def all_of(error: type[OctopusError]) -> tuple[type[OctopusError], type[OctopusError], type[OctopusError]]:
    return error, error, error


def unless_unsafe(error: type[OctopusError]) -> tuple[type[OctopusError], type[OctopusError], type[OctopusError]]:
    return error, error, OutcomeUnknownError


REFUSED = ("failed", "failed")
AGAIN = (3, 3, 1)
ONCE = (2, 2, 1)
NEVER = (1, 1, 1)

FAILURES = [
    Failure("reset-before", (Reset("before"),), AGAIN, unless_unsafe(TransportError), splits=True),
    Failure("reset-mid", (Reset("mid"),), AGAIN, unless_unsafe(TransportError), splits=True, status=None),
    Failure("reset-after", (Reset("after"),), AGAIN, unless_unsafe(TransportError), splits=True),
    Failure("broken-off", (Truncate(0.5),), AGAIN, unless_unsafe(TransportError), splits=True),
    Failure("truncated", (Truncate(0.5, honest=True),), AGAIN, unless_unsafe(ProtocolError), status=200),
    Failure("truncated-by-one", (Truncate(0.999, honest=True),), AGAIN, unless_unsafe(ProtocolError), status=200),
    Failure("silent", (Hang(),), NEVER, unless_unsafe(TimedOutError), settings=(("read_timeout", 0.2), ("max_attempts", 1))),
    Failure("429", (Status(429),), (3, 3, 3), all_of(RateLimitedError), REFUSED, status=429),
    Failure("429-empty", (Status(429, "empty"),), (3, 3, 3), all_of(RateLimitedError), REFUSED, status=429),
    Failure("429-soon", (Status(429, retry_after=0),), (3, 3, 3), all_of(RateLimitedError), REFUSED, status=429),
    Failure("429-late", (Status(429, retry_after=3600),), NEVER, all_of(RateLimitedError), REFUSED, status=429),
    Failure("429-fault", (Status(429, "fault"),), (3, 3, 3), all_of(RateLimitedError), REFUSED, status=429),
    Failure("503", (Status(503),), AGAIN, unless_unsafe(HttpStatusError), status=503),
    Failure("503-xhtml", (Status(503, "xhtml"),), AGAIN, unless_unsafe(HttpStatusError), status=503),
    Failure("503-soon", (Status(503, retry_after=0),), AGAIN, unless_unsafe(RateLimitedError), status=503),
    Failure("503-late", (Status(503, retry_after=3600),), NEVER, unless_unsafe(RateLimitedError), status=503),
    Failure("502", (Status(502),), AGAIN, unless_unsafe(HttpStatusError), status=502),
    Failure("504", (Status(504, "empty"),), AGAIN, unless_unsafe(HttpStatusError), status=504),
    Failure("500-html", (Status(500),), ONCE, unless_unsafe(HttpStatusError), splits=True, status=500),
    Failure("500-empty", (Status(500, "empty"),), ONCE, unless_unsafe(HttpStatusError), splits=True, status=500),
    Failure(
        "500-fault",
        (Fault("internal"),),
        ONCE,
        unless_unsafe(FaultError),
        splits=True,
        status=500,
        fault_code="InternalServiceFault",
    ),
    Failure(
        "fault-localized",
        (Fault("internal", language="tr-TR"),),
        ONCE,
        unless_unsafe(FaultError),
        splits=True,
        status=500,
        fault_code="InternalServiceFault",
    ),
    Failure(
        "fault-200",
        (Fault("internal", http=200),),
        ONCE,
        unless_unsafe(FaultError),
        splits=True,
        status=200,
        fault_code="InternalServiceFault",
    ),
    Failure(
        "fault-deserialization",
        (Fault("deserialization"),),
        NEVER,
        all_of(FaultError),
        REFUSED,
        splits=True,
        status=500,
        fault_code="DeserializationFailed",
    ),
    Failure(
        "fault-client",
        (Fault("client-text", text="Column 'Price' was not found"),),
        NEVER,
        all_of(FaultError),
        REFUSED,
        status=500,
        fault_code="Client",
    ),
    Failure("413", (Status(413, "empty"),), NEVER, all_of(HttpStatusError), REFUSED, splits=True, status=413),
    Failure("413-fault", (Status(413, "fault"),), NEVER, all_of(HttpStatusError), REFUSED, splits=True, status=413),
    Failure("400-empty", (Status(400, "empty"),), NEVER, all_of(HttpStatusError), REFUSED, splits=True, status=400),
    Failure("400-html", (Status(400),), NEVER, all_of(HttpStatusError), REFUSED, status=400),
    Failure("404", (Status(404),), NEVER, all_of(HttpStatusError), REFUSED, status=404),
    Failure("302", (Status(302, "empty", location="https://elsewhere.example/x"),), NEVER, unless_unsafe(HttpStatusError), status=302),
    Failure("401", (Status(401),), NEVER, all_of(AuthenticationError), REFUSED, status=401),
    Failure("401-fault", (Status(401, "fault"),), NEVER, all_of(AuthenticationError), REFUSED, status=401),
    Failure("403", (Status(403, "empty"),), NEVER, all_of(AuthenticationError), REFUSED, status=403),
    Failure("html-200", (Html(),), AGAIN, unless_unsafe(ProtocolError), status=200),
    Failure("xhtml-200", (Html(xhtml=True),), AGAIN, unless_unsafe(ProtocolError), status=200),
]  # fmt: skip

LOST_OR_FAULT = [failure for failure in FAILURES if failure.name in {"reset-after", "500-fault"}]
"""Failures tried on every operation: a lost answer and a server fault. The others are tried on one operation of each
kind, because the engine treats all of a kind alike."""
OTHERS = [row for row in ROWS if row not in KINDS]
EACH_FAILURE = pytest.mark.parametrize("failure", FAILURES, ids=[failure.name for failure in FAILURES])
SOME_FAILURES = pytest.mark.parametrize("failure", LOST_OR_FAULT, ids=[failure.name for failure in LOST_OR_FAULT])


def catch(call: Row, client: Any) -> OctopusError:
    with pytest.raises(OctopusError) as caught:
        call(client)
    return caught.value


def check_error(error: OctopusError, call: Row, failure: Failure, attempts: int) -> None:
    """Check an error's facts and size, and that it holds no object of another library."""
    info = error.info
    assert info is not None
    assert (info.operation, info.attempts) == (call.operation, attempts)
    if failure.status is not None:
        assert info.http_status == failure.status
    assert info.fault_code == failure.fault_code
    assert len(info.request_id) == 16
    assert 0 < info.elapsed < 10
    check_hygiene(error)


def check_hygiene(error: BaseException | None) -> None:
    while error is not None:
        assert type(error).__module__.startswith("octopus_soap"), f"{type(error)} escaped"
        assert len(str(error)) < 1000
        assert len(repr(error)) < 1100
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
        assert vars(again).keys() == vars(error).keys()
        error = error.__cause__


def check_failure(call: Row, failure: Failure, shop: Emulator, make_client: Callable[..., Any]) -> None:
    """Make the call under the failure, and compare everything with the table.

    The shop is filled again, because some tests make the calls of several rows.
    """
    shop.reset()
    seed(shop)
    client = make_client(**dict(failure.settings))
    shop.script.on(call.operation).do(*failure.faults)
    attempts, expected = failure.at(call.safety)
    before = len(shop.calls)
    error = catch(call, client)
    seen = shop.calls[before:]
    if not call.is_list:
        assert type(error) is expected
        assert len(seen) == attempts
        check_error(error, call, failure, attempts)
        return
    result = error.result  # type: ignore[attr-defined] # BatchError has it, and so has every error that ends a list call
    assert type(error) is (AuthenticationError if expected is AuthenticationError else BatchError)
    check_hygiene(error)
    assert [outcome.key for outcome in result.outcomes] == list(call.keys)
    items = {outcome.status.value for outcome in result.outcomes}
    written = failure.written[0 if call.safety is IDEMPOTENT else 1]
    assert items == {failure.read_status if call.safety is READ else written}
    for outcome in result.outcomes:
        assert type(outcome.error) is expected
        assert outcome.input is not None
        check_error(outcome.error, call, failure, attempts)
    if failure.splits and len(call.keys) > 1 and (call.safety is not UNSAFE or failure.written == REFUSED):
        assert attempts < len(seen) <= 5 * attempts, "halved, and bounded"
    else:
        assert len(seen) == attempts
    assert len({record.headers["x-request-id"] for record in seen}) == len(result.calls)
