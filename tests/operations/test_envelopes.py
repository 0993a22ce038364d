"""The APIResult is typed and reachable, for successes and rejections."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    APIResult,
    ItemQuantityAndPrice,
    OctopusClient,
    OrderSubmit,
    RejectedError,
    Removal,
    RequestFinished,
)
from octopus_soap.emulator import MutateReply
from octopus_soap.errors import ApiStatusError
from octopus_soap.operations import OPERATIONS
from tests.engine.stepping import DATA, TEMPURI, Steps, context, ok, step
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.emulator import Emulator


def answered(operation: str, argument: Any, content: str, status: str = "Success", data: str = "") -> Steps:
    """Return the result of a call for an envelope, stepped by hand."""
    inner = (
        f"<a:Data>{data}</a:Data><a:Message>as asked</a:Message><a:MessageCode>7</a:MessageCode>"
        f"<a:ResultData>{content}</a:ResultData><a:Status>{status}</a:Status>"
    )
    result = f'<{operation}Result xmlns:a="{DATA}">{inner}</{operation}Result>'
    reply = ok(f'<{operation}Response xmlns="{TEMPURI}">{result}</{operation}Response>')
    row: Any = OPERATIONS[operation]
    return step(row.flow(None, context(max_attempts=1), argument), [reply])


def rejection(operation: str, argument: Any, content: str, status: str = "Success", data: str = "") -> RejectedError:
    error = answered(operation, argument, content, status, data).error
    assert isinstance(error, RejectedError)
    return error


def test_a_successful_single_call_has_its_envelope() -> None:
    answer = answered("GetItemQuantity", "A", "12", data="D").result
    assert answer.value == 12
    assert answer.envelope == APIResult("Success", "as asked", 7, "D")
    assert answer.envelope is answer.info.envelope


def test_a_bare_answer_has_none(make_client: Callable[..., Any]) -> None:
    assert make_client().is_sku_exist.with_info("A").envelope is None


def test_a_list_has_one_per_request(service: Emulator, make_client: Callable[..., Any]) -> None:
    service.store.add_item("A", Price=Decimal(1))
    result = make_client(batch_sizes={"GetItemList": 1}).get_item_list(["A", "B"])
    assert [envelope.status for envelope in result.envelopes] == ["Success", "Success"]
    assert [call.envelope for call in result.calls] == result.envelopes


def test_an_event_of_a_request_has_it(service: Emulator) -> None:
    seen: list[Any] = []
    with OctopusClient(**service.settings(), on_event=seen.append) as client:
        client.get_item_list(["A"])
    (finished,) = [event for event in seen if isinstance(event, RequestFinished)]
    assert finished.info.envelope == APIResult("Success", "", 0)


@every("status", ["Success", "Failure"])
def test_a_rejection_keeps_what_its_answer_carried(status: str) -> None:
    row = "<a:ErrorMessage>card refused</a:ErrorMessage><a:Result>false</a:Result>"
    error = rejection("SubmitOrder", OrderSubmit(order_id="1"), row, status, data="the card")
    assert "card refused" in error.message
    assert (error.key, error.status, error.message_code, error.data) == ("1", status, 7, "the card")
    assert (error.row.result, error.row.error_message) == (False, "card refused")


def test_an_order_answered_with_a_message_alone_is_not_accepted() -> None:
    row = "<a:ErrorMessage>no such SKU</a:ErrorMessage>"
    assert "no such SKU" in rejection("SubmitOrder", OrderSubmit(order_id="1"), row).message


def test_an_update_answered_false_keeps_it_too() -> None:
    item = ItemQuantityAndPrice(sku="A", stock=1)
    error = rejection("UpdateItemQuantityAndPrice", item, "false", data="D")
    assert (error.message_code, error.data, error.row) == (7, "D", False)
    assert "as asked" in error.message


def test_a_raised_envelope_is_in_the_facts_as_well() -> None:
    error = answered("GetItemQuantity", "A", "", "Failure", data="D").error
    assert isinstance(error, ApiStatusError)
    assert error.info is not None
    assert error.info.envelope == APIResult("Failure", "as asked", 7, "D")


DELETES = [
    ("delete_item", "DeleteItem"),
    ("delete_item_store", "DeleteItemStore"),
    ("delete_tbl_item", "DeleteTblItem"),
]


@pytest.mark.parametrize(("method", "operation"), DELETES)
@pytest.mark.parametrize("number", [-1, 2])
def test_a_delete_that_answers_another_number_is_rejected_and_keeps_it(
    service: Emulator, make_client: Callable[..., Any], method: str, operation: str, number: int
) -> None:
    service.script.on(operation).do(MutateReply("bad-scalar", value=str(number)))
    with pytest.raises(RejectedError, match=f"the service answered {number} to the delete") as caught:
        getattr(make_client(), method)("A")
    assert (caught.value.key, caught.value.row) == ("A", number)


def test_the_two_numbers_that_are_known_mean_what_they_did(service: Emulator, make_client: Callable[..., Any]) -> None:
    service.store.add_item("A", Price=Decimal(1))
    client = make_client()
    assert client.delete_item("A") is Removal.REMOVED
    assert client.delete_item("A") is Removal.NOT_FOUND
