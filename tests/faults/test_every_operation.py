"""Every operation under every failure over a real socket, compared with the table."""

from __future__ import annotations

import socket
import ssl
import threading
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from failures import EACH_FAILURE, OTHERS, SOME_FAILURES, Failure, catch, check_failure, check_hygiene

from octopus_soap import (
    ApiStatusError,
    ConnectFailedError,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    OutcomeUnknownError,
    RejectedError,
    Safety,
)
from octopus_soap.emulator import (
    ApiFailure,
    Bom,
    Chunked,
    CloseIdle,
    ControlCharacters,
    Gzip,
    Lie,
)
from octopus_soap.transport import blocking
from tests.catalogue import BY_NAME, KINDS, Row, seed
from tests.every import every
from tests.faults.raw_servers import CREDENTIALS
from tests.inside import exchange_by

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator

UNSAFE = Safety.UNSAFE


@pytest.fixture
def proven(shop: Emulator):
    """A client whose credentials the service has accepted."""
    made: list[OctopusClient] = []

    def make(**settings: Any) -> OctopusClient:
        given = {**shop.settings(), "backoff_base": 0.0, **settings}
        client = OctopusClient(settings=OctopusSettings.load(**given))
        made.append(client)
        client.is_sku_exist("A")
        return client

    yield make
    for client in made:
        client.close()


@EACH_FAILURE
@every("call", KINDS, ids=str)
def test_every_kind_of_operation_under_every_failure(call: Row, failure: Failure, shop: Emulator, proven):
    check_failure(call, failure, shop, proven)


@SOME_FAILURES
@every("call", OTHERS, ids=str)
def test_every_other_operation_under_a_lost_answer_and_a_fault(call: Row, failure: Failure, shop: Emulator, proven):
    check_failure(call, failure, shop, proven)


@every("call", KINDS, ids=str)
def test_a_service_that_is_not_there(call: Row):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}/OctopusService.svc"
        settings = OctopusSettings.load(endpoint=endpoint, backoff_base=0.0, **CREDENTIALS)
        with OctopusClient(settings=settings) as client:
            error = catch(call, client)
    check_hygiene(error)
    if call.is_list:
        assert {outcome.status.value for outcome in error.result.outcomes} == {"failed"}  # type: ignore[attr-defined]
        error = error.result.outcomes[0].error  # type: ignore[attr-defined]
    assert type(error) is ConnectFailedError
    assert error.info.attempts == 3
    assert error.info.http_status is None


@pytest.mark.parametrize("call", KINDS, ids=str)
def test_a_name_that_does_not_resolve(call: Row, monkeypatch):
    def no_name(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    settings = OctopusSettings.load(
        endpoint="https://no-such-host.invalid/x", backoff_base=0.0, accept_unverified_contract=True, **CREDENTIALS
    )
    with OctopusClient(settings=settings) as client:
        error = catch(call, client)
    error = error.result.outcomes[0].error if call.is_list else error  # type: ignore[attr-defined]
    assert type(error) is ConnectFailedError


@pytest.mark.parametrize("call", KINDS, ids=str)
def test_a_stale_socket_is_retried_once_where_a_repeat_does_no_harm(call: Row, shop: Emulator, proven):
    client = proven()
    shop.script.on("IsSkuExist", nth=1).do(CloseIdle())
    client.is_sku_exist("A")
    before = len(shop.calls)
    if call.safety is UNSAFE:
        error = catch(call, client)
        error = error.result.outcomes[0].error if call.is_list else error  # type: ignore[attr-defined]
        assert type(error) is OutcomeUnknownError
        assert len(shop.calls) == before
    else:
        call(client)
        assert [record.operation for record in shop.calls[before:]] == [call.operation]
    assert shop.stale_closes == 1


def test_one_stale_socket_takes_the_other_idle_ones_with_it(shop: Emulator, proven, monkeypatch):
    """What closed one affects all: a repeat must not run into the next dead one."""
    client, read, all_answered = proven(), blocking.read_body, threading.Barrier(4)

    def held(*given: Any) -> bytes:
        all_answered.wait(30)  # so each of the four calls has its own connection
        return read(*given)

    def four_calls() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(blocking, "read_body", held)
            threads = [threading.Thread(target=client.is_sku_exist, args=("A",)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    shop.script.on("IsSkuExist").times(4).do(CloseIdle())
    four_calls()
    assert len({call.connection for call in shop.calls[-4:]}) == 4
    assert client.with_options(max_attempts=2).is_sku_exist.with_info("A").info.attempts == 2
    four_calls()
    assert shop.stale_closes == 1, "one dead connection was met, not all four"


def test_an_order_that_tls_cuts_off_while_it_is_sent_is_unknown(shop: Emulator, proven, monkeypatch):
    """The error looks like a failed handshake, but the order may have been sent."""
    client, sent = proven(), list[bytes]()

    def cut_off(connection: HTTPConnection, data: bytes) -> None:
        sent.append(data)
        if connection.sock is None:
            connection.connect()
        raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "EOF occurred in violation of protocol")

    with monkeypatch.context() as patch:
        patch.setattr(HTTPConnection, "send", cut_off)
        error = catch(BY_NAME["SubmitOrder"], client)
    assert type(error) is OutcomeUnknownError
    assert (error.info.attempts, len(sent)) == (1, 1), "urllib3 did not send it again either"


ENVELOPED = ["GetItemTblList", "GetItemList", "UpdateItemQuantityAndPriceList"]
"""Some operations whose reply has an envelope under the emulator's default profile."""
BARE = [
    "GetItemQuantityInfo",
    "UpdateItemQuantityAndPrice",
    "SubmitOrder",
    "CustomFieldMapping",
    "SetDownloadOrderConfirm",
]
"""Some whose reply has none there: a value, a record, and nothing at all."""


@pytest.mark.parametrize("call", [BY_NAME[name] for name in ENVELOPED], ids=str)
def test_a_failure_envelope(call: Row, shop: Emulator, proven):
    client = proven()
    shop.script.on(call.operation).do(ApiFailure(code=1, message="Database is down"))
    seen = len(shop.calls)
    error = catch(call, client)
    check_hygiene(error)
    if call.is_list:
        assert {outcome.status.value for outcome in error.result.outcomes} == {"failed"}  # type: ignore[attr-defined]
        error = error.result.outcomes[0].error  # type: ignore[attr-defined]
    assert type(error) is ApiStatusError
    assert "Database is down" in error.message
    assert (error.status, error.message_code) == ("Failure", 1)
    assert error.info.operation == call.operation
    assert len(shop.calls) == seen + 1


@pytest.mark.parametrize("call", [BY_NAME[name] for name in BARE], ids=str)
def test_a_failure_envelope_where_none_is_expected_is_understood_too(call: Row, proven, monkeypatch):
    """The page leaves open which operations have an envelope, even without a result."""
    from octopus_soap.wire.decode import Reply

    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<{call}Response xmlns="http://tempuri.org/"><{call}Result><Message>Database is down</Message>'
        f"<Status>Failure</Status></{call}Result></{call}Response></s:Body></s:Envelope>"
    )
    client = proven()
    exchange_by(client, lambda *_, **__: Reply(200, {}, body.encode(), 0.1))
    error = catch(call, client)
    if call.is_list:
        assert {outcome.status.value for outcome in error.result.outcomes} == {"failed"}  # type: ignore[attr-defined]
        error = error.result.outcomes[0].error  # type: ignore[attr-defined]
    assert type(error) is ApiStatusError
    assert "Database is down" in error.message


@pytest.mark.parametrize(
    "kind",
    ["unknown-status", "missing-status", "renamed-result", "bad-scalar", "reordered-members", "other-namespace"],
)
@every("call", [*KINDS, BY_NAME["GetOrderList"], BY_NAME["DeleteItem"]], ids=str)
def test_lies_end_in_a_right_answer_or_one_of_our_errors(call: Row, kind, shop: Emulator, proven):
    shop.reset()
    seed(shop)
    client = proven()
    honest = call(proven()) if call.safety is Safety.READ else None
    shop.script.on(call.operation).do(Lie(kind))
    error: OctopusError | None = None
    answer = None
    try:
        answer = call(client)
    except OctopusError as raised:
        error = raised
    check_hygiene(error)
    if error is None:
        assert honest is None or answer == honest
    elif call.operation == "SubmitOrder":
        assert isinstance(error, (OutcomeUnknownError, ApiStatusError))
    elif (call.operation, kind) != ("CustomFieldMapping", "bad-scalar"):  # for it any text but "true" is a refusal
        assert not isinstance(error, RejectedError)


@pytest.mark.parametrize("faults", [(Gzip(),), (Chunked(),), (Bom(),), (Gzip(), Chunked())], ids=str)
@every("call", KINDS, ids=str)
def test_what_http_and_wcf_do_to_a_good_reply_does_no_harm(call: Row, faults, shop: Emulator, proven):
    shop.script.clear()
    client = proven()
    shop.script.on(call.operation).do(*faults)
    before = len(shop.calls)
    call(client)
    assert [record.operation for record in shop.calls[before:]] == [call.operation]


@pytest.mark.parametrize("raw", [False, True])
def test_forbidden_characters_are_replaced_and_noted(raw, shop: Emulator, proven):
    shop.script.on("GetItemList").do(ControlCharacters(raw=raw, field="Description"))
    result = proven().get_item_list(["A"])
    assert result[0].description == "\ufffdx"
    assert any("U+FFFD" in warning for warning in result.calls[0].warnings)
