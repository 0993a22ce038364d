"""List calls under faults: finished work is kept, every input has a right outcome."""

from __future__ import annotations

import pickle
import signal
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import (
    AuthenticationError,
    BatchError,
    ClientClosedError,
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusSettings,
    OrderDownloadSubmitRequest,
    OutcomeStatus,
    OutcomeUnknownError,
    ProtocolError,
    Removal,
    TransportError,
)
from octopus_soap.emulator import Emulator, Fault, Hang, Html, Latency, Lie, Merchant, Profile, Reset, Status
from tests.catalogue import BY_NAME, SKUS
from tests.every import every

if TYPE_CHECKING:
    from octopus_soap import BatchResult

OK, UNKNOWN, FAILED, NOT_SENT = OutcomeStatus.OK, OutcomeStatus.UNKNOWN, OutcomeStatus.FAILED, OutcomeStatus.NOT_SENT


def skus(count: int) -> list[str]:
    return [f"S{number:03d}" for number in range(count)]


def updates(count: int) -> list[ItemQuantityAndPrice]:
    return [ItemQuantityAndPrice(sku=sku, stock=number) for number, sku in enumerate(skus(count))]


def statuses(result: BatchResult[Any]) -> list[OutcomeStatus]:
    return [outcome.status for outcome in result.outcomes]


@pytest.fixture
def stocked(service: Emulator) -> Emulator:
    service.store.add_items([{"Sku": sku, "Stock": "5", "Price": Decimal(1)} for sku in skus(60)])
    return service


def stock(service: Emulator, sku: str) -> str:
    return service.store.item(sku)["Stock"]


# -- one batch fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_failing_batch_leaves_the_others_intact(stocked, make_client, parallel):
    client = make_client(parallel_writes=parallel)
    stocked.script.on(key="S025").do(Status(404))
    with pytest.raises(BatchError) as caught:
        client.update_item_quantity_and_price_list(updates(60), batch_size=10)
    result = caught.value.result
    assert statuses(result) == [OK] * 20 + [FAILED] * 10 + [OK] * 30
    assert [update.sku for update in result.retry_inputs()] == skus(60)[20:30]
    assert [stock(stocked, sku) for sku in skus(60)[19:31]] == ["19", *["5"] * 10, "30"]
    assert len(result) == 50


def test_a_read_in_parallel_keeps_input_order_around_a_failing_batch(stocked, make_client):
    client = make_client(max_connections=8)
    stocked.script.on("GetItemList", key="S010").do(Latency(0.2))
    stocked.script.on("GetItemList", key="S030").do(Status(404))
    with pytest.raises(BatchError) as caught:
        client.get_item_list(skus(60), batch_size=10)
    assert [outcome.key for outcome in caught.value.result.outcomes] == skus(60)
    assert statuses(caught.value.result) == [OK] * 30 + [FAILED] * 10 + [OK] * 20


def test_a_poison_item_is_isolated_and_reported(stocked, client):
    stocked.script.on(key="S007").do(Fault("internal"))
    client.is_sku_exist("S000")
    with pytest.raises(BatchError) as caught:
        client.update_item_quantity_and_price_list(updates(20))
    assert statuses(caught.value.result) == [OK] * 7 + [UNKNOWN] + [OK] * 12
    assert "S007" in caught.value.message
    assert client.learned_batch_sizes == {}


def test_a_service_with_a_size_quota_is_fed_what_it_takes():
    with Emulator(profile=Profile(max_received=4000)) as service, OctopusClient(**service.settings()) as client:
        service.store.add_items([{"Sku": sku} for sku in skus(60)])
        assert len(client.update_item_quantity_and_price_list(updates(60))) == 60
        rows, size = client.learned_batch_sizes["UpdateItemQuantityAndPriceList"]
        assert (rows > 1, size <= 4000) == (True, True)
        refused = len(service.calls)
        client.update_item_quantity_and_price_list(updates(60))
        assert [call.status for call in service.calls[refused:]] == [200] * len(service.calls[refused:])


def test_a_service_whose_reply_is_too_large_for_itself_is_asked_for_less():
    with Emulator(profile=Profile(max_items_in_graph=400)) as service:
        settings = OctopusSettings.load(**service.settings(), backoff_base=0.0)
        with OctopusClient(settings=settings) as client:
            service.store.seed(items=40, orders=0)
            found = client.get_item_list([f"DEMO-{n:04d}" for n in range(1, 41)])
            assert len(found) == 40
            assert client.learned_batch_sizes["GetItemList"][0] < 40


# -- the call is aborted ---------------------------------------------------------------------------------------------


def test_a_raising_progress_callback_loses_no_finished_batch(stocked, client):
    def progress(state: Any) -> None:
        if state.batches == 2:
            raise RuntimeError("the notebook's bar broke")

    with pytest.raises(RuntimeError) as caught:
        client.update_item_quantity_and_price_list(updates(50), batch_size=10, progress=progress)
    result = caught.value.result  # type: ignore[attr-defined] # documented
    assert statuses(result) == [OK] * 20 + [NOT_SENT] * 30
    assert [stock(stocked, sku) for sku in skus(30)] == [str(n) for n in range(20)] + ["5"] * 10


def test_the_same_in_a_stream(stocked, client):
    def progress(_: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError) as caught:
        next(client.update_item_quantity_and_price_list.stream(updates(50), batch_size=10, progress=progress))
    assert statuses(caught.value.result) == [OK] * 10  # type: ignore[attr-defined] # documented


def _interrupt_after(service: Emulator, count: int, *, executed: bool = False) -> threading.Thread:
    def watch() -> None:
        service.wait_for_calls(count, executed=executed)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_ctrl_c_keeps_what_was_done_and_does_not_call_what_was_under_way_not_sent(stocked, client):
    stocked.script.on("UpdateItemQuantityAndPriceList", nth=3).do(Hang(execute=True))
    watcher = _interrupt_after(stocked, 3, executed=True)
    with pytest.raises(KeyboardInterrupt) as caught:
        client.update_item_quantity_and_price_list(updates(50), batch_size=10)
    watcher.join()
    result = caught.value.result  # type: ignore[attr-defined] # documented
    assert statuses(result) == [OK] * 20 + [UNKNOWN] * 10 + [NOT_SENT] * 20
    assert stock(stocked, "S025") == "25", "it was done: 'not_sent' would be wrong"
    assert result.outcomes[25].error is not None
    assert len(result.retry_inputs()) == 30


def test_ctrl_c_during_a_parallel_read_returns_at_once_and_ends_the_attempts(stocked, make_client):
    client = make_client(read_timeout=0.5, max_attempts=20)
    stocked.script.on("GetItemList", after=2).do(Hang())
    watcher = _interrupt_after(stocked, 5)
    with pytest.raises(KeyboardInterrupt) as caught:
        client.get_item_list(skus(60), batch_size=10)
    watcher.join()
    result = caught.value.result  # type: ignore[attr-defined] # documented
    assert len(result.outcomes) == 60
    assert set(statuses(result)) <= {OK, FAILED, NOT_SENT}
    for thread in threading.enumerate():
        if thread.name.startswith("octopus-soap"):
            thread.join(5)
            assert not thread.is_alive()


def test_a_stop_event_ends_the_call_after_the_request_under_way(stocked, client):
    stop = threading.Event()
    view = client.with_options(stop=stop)

    def progress(state: Any) -> None:
        if state.batches == 2:
            stop.set()

    with pytest.raises(BatchError) as caught:
        view.update_item_quantity_and_price_list(updates(50), batch_size=10, progress=progress)
    assert statuses(caught.value.result) == [OK] * 20 + [NOT_SENT] * 30
    assert len(stocked.calls) == 2
    assert len(client.update_item_quantity_and_price_list(updates(50), batch_size=10)) == 50, "only the view stops"


def test_closing_the_client_meanwhile_keeps_the_result(stocked, make_client):
    client = make_client()

    def progress(state: Any) -> None:
        if state.batches == 2:
            client.close()

    with pytest.raises(ClientClosedError) as caught:
        client.update_item_quantity_and_price_list(updates(50), batch_size=10, progress=progress)
    assert statuses(caught.value.result)[:20] == [OK] * 20  # type: ignore[attr-defined] # documented
    assert set(statuses(caught.value.result)[30:]) == {NOT_SENT}  # type: ignore[attr-defined] # documented


def test_a_bad_input_late_in_a_stream_loses_no_answer_under_way(stocked, make_client):
    client = make_client(parallel_writes=4)
    stocked.script.on("UpdateItemQuantityAndPriceList").do(Latency(0.1))

    def inputs() -> Any:
        yield from updates(40)
        yield ItemQuantityAndPrice(sku="x" * 51)

    done: list[BatchResult[Any]] = []
    stream = client.update_item_quantity_and_price_list.stream(inputs(), batch_size=10)
    with pytest.raises(InvalidInputError, match="what follows it was not sent") as caught:
        done.extend(part for part in stream)
    assert caught.value.problems[0].index == 40
    assert sum(len(part) for part in done) == 30 == sum(call.items for call in stocked.calls)


def test_an_abandoned_stream_sends_no_further_batch(stocked, make_client):
    client = make_client(max_connections=2)
    stream = client.get_item_list.stream(iter(skus(60)), batch_size=5)
    next(stream)
    stream.close()
    for thread in threading.enumerate():  # requests under way end, and none follows
        if thread.name.startswith("octopus-soap"):
            thread.join(30)
    assert len(stocked.calls) <= 5


# -- results and errors travel -------------------------------------------------------------------------------------


def test_a_batch_error_travels_with_its_whole_result(stocked, client):
    stocked.script.on(key="S001").do(Status(404))
    with pytest.raises(BatchError) as caught:
        client.get_item_list(skus(4), batch_size=2)
    again = pickle.loads(pickle.dumps(caught.value))
    assert statuses(again.result) == statuses(caught.value.result)
    assert again.result.outcomes[0].error.info == caught.value.result.outcomes[0].error.info
    assert [item.sku for item in again.result] == ["S002", "S003"]


def test_refused_credentials_carry_the_result_and_travel_with_it(stocked, client):
    stocked.script.on("*").do(Status(401))
    with pytest.raises(AuthenticationError) as caught:
        client.update_item_quantity_and_price_list(updates(4), batch_size=2)
    error = caught.value
    assert statuses(error.result) == [FAILED] * 2 + [NOT_SENT] * 2  # type: ignore[attr-defined] # documented
    for one in (error, pickle.loads(pickle.dumps(error))):
        failed = one.result.outcomes[0].error
        assert (type(failed), str(failed), failed.info) == (type(one), str(one), one.info)
        assert failed is not one, "an error in its own result is not freed when it is dropped"


def test_refused_credentials_let_no_batch_leave_that_was_to_be_begun_ahead(stocked, make_client):
    stocked.script.on("*").do(Status(401))
    with pytest.raises(AuthenticationError) as caught:
        make_client(max_connections=3).get_item_list(skus(60), batch_size=2)
    sent = len(stocked.calls)
    assert sent <= 3
    assert statuses(caught.value.result) == [FAILED] * (2 * sent) + [NOT_SENT] * (60 - 2 * sent)  # type: ignore[attr-defined] # documented


# -- wrong replies ---------------------------------------------------------------------------------------------------


def test_rows_missing_doubled_reordered_and_unasked_are_noticed(shop, client):
    shop.script.on("GetItemList", nth=1).do(Lie("duplicate-row", row=1), Lie("reordered-rows"), Lie("unasked-row"))
    result = client.get_item_list(SKUS)
    assert [item.sku for item in result] == list(SKUS)
    warnings = " ".join(result.calls[0].warnings)
    assert "twice" in warnings
    assert "NOBODY-ASKED" in warnings
    shop.script.on("GetItemList", nth=1).do(Lie("missing-row", row=1))
    assert [outcome.key for outcome in client.get_item_list(SKUS).missing] == ["B"]


def test_a_write_whose_row_is_missing_is_unknown(shop, client):
    shop.script.on("UpdateItemQuantityAndPriceList").do(Lie("missing-row", row=0))
    with pytest.raises(BatchError) as caught:
        BY_NAME["UpdateItemQuantityAndPriceList"](client)
    assert statuses(caught.value.result) == [UNKNOWN, OK, OK]


def test_one_bad_record_in_a_page_leaves_the_others(service, client):
    service.store.seed(items=100, orders=0)
    service.store.mark_changed(*[f"DEMO-{n:04d}" for n in range(1, 101)])
    service.script.on("GetItemTblList").do(Lie("bad-scalar", row=42, field="Price", value="1,99"))
    with pytest.raises(BatchError) as caught:
        client.get_item_tbl_list()
    result = caught.value.result
    assert len(result) == 99
    (bad,) = result.failed
    assert (bad.index, bad.key) == (42, "DEMO-0043")
    for part in ("DEMO-0043", "price", "'1,99'"):
        assert part in bad.error.message
    assert b"1,99" in bad.raw


@pytest.mark.parametrize("field", ["Price", "SaleStartDate"])
@pytest.mark.parametrize("value", ["1,99", "abc", "NaN", "0x10", "--1", "1 2", "yesterday"])
def test_bad_values_of_one_row_name_item_field_and_text(service, client, field, value):
    from datetime import UTC, datetime

    service.store.add_item("A", Price=Decimal(1), SaleStartDate=datetime(2026, 1, 1, tzinfo=UTC))
    service.store.add_item("B", Price=Decimal(1))
    service.script.on("GetItemList").do(Lie("bad-scalar", row=0, field=field, value=value))
    with pytest.raises(BatchError) as caught:
        client.get_item_list(["A", "B"])
    assert statuses(caught.value.result) == [FAILED, OK]
    message = caught.value.result.outcomes[0].error.message
    assert all(part in message for part in ("'A'", "InventoryItem.", repr(value)))


def test_nil_rows_are_dropped_and_counted(shop, client):
    shop.script.on("GetItemList").do(Lie("nil-row", row=1))
    result = client.get_item_list(SKUS)
    assert len(result) == 3
    assert "1 nil rows dropped" in result.calls[0].warnings


def test_unknown_members_are_kept_and_counted(shop, client):
    shop.script.on("GetItemList").do(Lie("extra-member", field="NewField", value="7"))
    result = client.get_item_list(SKUS)
    assert result[0].model_extra["NewField"] == "7"
    assert result.calls[0].drift["InventoryItem.NewField"] == 3


def test_an_order_whose_answer_cannot_be_read_is_unknown_not_rejected(shop, client):
    submit = BY_NAME["SubmitOrder"]
    for lie in (
        Lie("bad-scalar", field="Result", value="maybe"),
        Lie("renamed-member", field="Result", value="Outcome"),
    ):
        shop.script.clear()
        shop.script.on("SubmitOrder").do(lie)
        with pytest.raises(OutcomeUnknownError) as caught:
            submit(client)
        assert isinstance(caught.value.__cause__, ProtocolError)
        shop.store.clear()


# -- lost answers --------------------------------------------------------------------------------------------------


def test_a_repeated_delete_that_finds_nothing_says_removed_or_gone(shop, client):
    shop.script.on("DeleteItem", nth=1).do(Reset("after"))
    removal = client.delete_item("A")
    assert removal is Removal.REMOVED_OR_GONE
    assert removal
    assert client.delete_item("A") is Removal.NOT_FOUND
    assert client.delete_item("B") is Removal.REMOVED


def test_a_confirmation_whose_answer_is_lost_is_repeated(shop, client):
    shop.script.on("SetDownloadOrderConfirm", nth=1).do(Reset("after"))
    client.set_download_order_confirm([OrderDownloadSubmitRequest(order_id="100001")])
    assert shop.store.orders()[100001].confirmed
    assert len(shop.calls) == 2


def test_an_order_whose_answer_is_lost_is_never_sent_twice(shop, client):
    for fault in (
        Reset("after"),
        Reset("mid"),
        Html(execute=True),
        Status(502, execute=True),
        Status(503, execute=True),
    ):
        shop.script.clear()
        shop.script.on("SubmitOrder").do(fault)
        orders, calls = len(shop.store.orders()), len(shop.calls)
        with pytest.raises(OutcomeUnknownError):
            client.submit_order(BY_NAME["SubmitOrder"].arguments[0].replace(order_id=f"W-{calls}"))
        assert (len(shop.store.orders()), len(shop.calls)) == (orders + 1, calls + 1)


def test_a_reply_over_the_cap_leaves_a_write_open(shop, make_client):
    client = make_client(max_reply_bytes=2048)
    with pytest.raises(BatchError) as caught:
        client.upload_item_list([InventoryItem(sku=sku) for sku in skus(60)])
    assert set(statuses(caught.value.result)) == {UNKNOWN}
    assert "max_reply_bytes" in caught.value.message


# -- credentials ---------------------------------------------------------------------------------------------------

FORMS = ["internal-fault", "fault-exception", "401-html", "403-empty", "apiresult-failure", "fault-200"]
BARE = {"IsSkuExist", "UpdateItemQuantityAndPrice", "UploadItem", "DeleteItem"}


@every("form", FORMS)
@pytest.mark.parametrize(
    "name", ["GetItemQuantityInfo", "UpdateItemQuantityAndPriceList", "GetItemList", "GetOrderList", "UploadItemList"]
)
@every("wrong", ["authtoken", "accessid", "merchantname"])
def test_refused_credentials_in_all_six_forms(form, name, wrong):
    with Emulator(profile=Profile(auth_failure=form), merchants=[Merchant("shop")]) as service:
        given = {**service.settings(), wrong: "some-wrong-value", "backoff_base": 0.0}
        with OctopusClient(settings=OctopusSettings.load(**given)) as client:
            with pytest.raises(AuthenticationError) as caught:
                BY_NAME[name](client)
            assert caught.value.certain is (form != "internal-fault")
            assert caught.value.info.operation == name
            if BY_NAME[name].is_list:
                assert len(caught.value.result.outcomes) == 3  # type: ignore[attr-defined] # documented
        assert len(service.calls) == (2 if form == "internal-fault" else 1)


def test_an_outage_after_a_success_is_not_taken_for_refused_credentials(shop, client):
    client.is_sku_exist("A")
    shop.script.on("IsSkuExist").do(Fault("internal"))
    with pytest.raises(Exception, match="InternalServiceFault") as caught:
        client.is_sku_exist("A")
    assert not isinstance(caught.value, AuthenticationError)


def test_lost_connections_name_what_happened(shop, client):
    shop.script.on("IsSkuExist").do(Reset("before"))
    with pytest.raises(TransportError, match="closed without an answer"):
        client.is_sku_exist("A")


def test_an_answer_about_another_item_is_no_answer(shop, client):
    shop.script.on("GetItemQuantityInfo", nth=1).do(Lie("bad-scalar", field="Sku", value="B"))
    with pytest.raises(ProtocolError, match="about 'B'"):
        client.get_item_quantity_info("A")
    shop.script.on("GetItemQuantityInfo", nth=1).do(Lie("leading-blanks"))
    assert client.get_item_quantity_info("A").stock == 1
