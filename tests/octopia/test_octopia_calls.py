"""Every call, over real HTTP, on both clients: headers, paging, refusals, repeats."""

import asyncio
import copy
import gzip
import pickle
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from octopia_stage import Caller
from pydantic import SecretStr

from octopus_soap.octopia import (
    AccessRefusedError,
    ApiError,
    ApiRateLimitedError,
    ApiRejectedError,
    AsyncOctopiaClient,
    ConnectionLostError,
    NotFoundError,
    OctopiaClient,
    OctopiaConfigError,
    OctopiaCredentials,
    OctopiaError,
    OctopiaInputError,
    OctopiaOutcomeUnknownError,
    OctopiaProtocolError,
    OctopiaSettings,
    OctopiaTimeoutError,
    OfferFilter,
    OrderFilter,
    OrderStatus,
    Parcel,
    SellerNotLinkedError,
    ServerError,
    WritesDisabledError,
)
from octopus_soap.octopia.fake import (
    FakeAnswer,
    bad_gateway,
    dropped,
    json_answer,
    problem,
    too_many,
    unauthorized,
)
from tests.every import every

# -- what is sent ---------------------------------------------------------------------------------------------------------


def test_a_call_carries_token_seller_and_accept_and_nothing_optional(call, service):
    call("seller")
    sent = service.recorded[-1]
    assert sent.headers["authorization"].startswith("Bearer eyJfake")
    assert sent.headers["sellerid"] == "55501"
    assert sent.headers["accept"] == "application/json"
    assert "ocp-apim-subscription-key" not in sent.headers
    assert "accept-language" not in sent.headers


def test_the_subscription_key_and_the_language_are_sent_if_set(credentials, fake, service, timer):
    extra = OctopiaSettings(
        token_url=fake.token_url, api_url=fake.api_url, subscription_key=SecretStr("key-1"), language="fr-FR"
    )
    with OctopiaClient(credentials, settings=extra, clock=timer) as client:
        client.carriers()
    assert service.recorded[-1].headers["ocp-apim-subscription-key"] == "key-1"
    assert service.recorded[-1].headers["accept-language"] == "fr-FR"
    assert "ocp-apim-subscription-key" not in service.recorded[0].headers  # not to the token service


def test_no_cookie_of_one_answer_travels_with_the_next(call, service):
    service.fail("GET /sellers", json_answer({"seller_id": "55501"}, headers={"Set-Cookie": "session=1; Path=/"}))
    call("seller")
    call("seller")
    assert "cookie" not in service.recorded[-1].headers


# -- reading --------------------------------------------------------------------------------------------------------------


def test_the_first_call_gives_the_profile(call):
    seller = call("seller")
    assert seller.seller_id == "55501"  # a number on the wire
    assert seller.shop_name == "Shop 55501"
    assert seller.creation_date == datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert seller.raw["seller_id"] == 55501
    assert seller.model_extra["delivery_modes"] == {"href": "/sellers/delivery-modes"}


def test_the_small_lists_are_read(call):
    assert call("addresses")[0].zip_code == "33000"
    assert call("subscriptions")[0].subscription_id == "7"
    assert [carrier.code for carrier in call("carriers")] == ["COL", "UPS"]
    assert call("indicators").product_shipping == {"value": Decimal("98.25")}


@pytest.mark.parametrize(
    "payload", [[{"code": "A"}], {"items": [{"code": "A"}]}, {"count": 1, "items": [{"code": "A"}]}]
)
def test_a_list_is_read_with_or_without_its_envelope(call, service, payload):
    service.fail("GET /carriers", json_answer(payload))
    assert [carrier.code for carrier in call("carriers")] == ["A"]


@every("payload", [{}, {"things": []}, "x", 5, None, [1], {"items": "x"}])
def test_a_list_that_is_none_is_a_protocol_error_and_not_an_empty_list(call, service, payload):
    service.fail("GET /carriers", json_answer(payload))
    with pytest.raises(OctopiaProtocolError):
        call("carriers")


def test_one_object_in_a_list_is_still_one_object(call, service):
    service.fail("GET /sellers", json_answer([{"seller_id": 5}]))
    assert call("seller").seller_id == "5"


@pytest.mark.parametrize("orders_link", [False, True])
@pytest.mark.parametrize(("count", "cap"), [(250, 100), (200, 100), (0, 100), (100, 40), (1, 100)])
def test_orders_are_all_listed_whatever_the_page_size_and_links(call, service, count, cap, orders_link):
    service.add_seller("55501", orders=count)
    service.orders_link, service.order_page_cap = orders_link, cap
    orders = call.listed("orders")
    assert [o.order_id for o in orders] == [f"ORD{n:05d}" for n in range(1, count + 1)]
    assert service.recorded[1].query["pageIndex"] == "1"
    assert service.recorded[1].query["pageSize"] == "100"


def test_a_short_page_ends_the_list_only_if_the_server_says_it_is_not_cut(call, service):
    service.add_seller("55501", orders=150)
    call.listed("orders")
    assert service.count("GET /orders") == 2
    short = {"itemsPerPage": 3, "items": [{"orderId": str(n)} for n in range(3)]}
    service.fail("GET /orders", json_answer(short), json_answer({"itemsPerPage": 0, "items": []}))
    assert len(call.listed("orders")) == 3


def test_an_order_that_shifts_to_the_next_page_is_listed_once(call, service):
    first = {"items": [{"orderId": str(n)} for n in range(100)]}
    second = {"items": [{"orderId": str(n)} for n in range(99, 110)]}
    service.fail("GET /orders", json_answer(first), json_answer(second), json_answer({"items": []}))
    assert len(call.listed("orders")) == 110


def test_a_server_that_ignores_the_page_index_does_not_loop(call, service):
    page = json_answer({"items": [{"orderId": str(n)} for n in range(100)]})
    service.fail("GET /orders", *[page] * 50)
    with pytest.raises(OctopiaProtocolError, match="nothing new"):
        call.listed("orders")
    assert service.count("GET /orders") == 3  # the third request checks whether page 2 is page 1 again


def test_order_filters_are_written_as_documented(call, service):
    which = OrderFilter(
        status=[OrderStatus.WAITING_ACCEPTANCE, "Shipped"],
        business_order=False,
        sales_channel_id="CDISFR",
        updated_at_min=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    )
    orders = call.listed("orders", which, page_size=50, sort="asc:updatedAt")
    assert {order.status for order in orders} == {"WaitingAcceptance"}
    assert service.recorded[-1].query == {
        "status": "WaitingAcceptance,Shipped",
        "salesChannelId": "CDISFR",
        "businessOrder": "false",
        "updatedAtMin": "2026-01-01T00:00:00.000Z",
        "sort": "asc:updatedAt",
        "pageIndex": "3",
        "pageSize": "50",
    }
    assert call("count_orders", which) == 125


@pytest.mark.parametrize(("payload", "count"), [(7, 7), ({"count": 7}, 7), (0, 0)])
def test_the_count_is_read_bare_or_wrapped(call, service, payload, count):
    service.fail("GET /orders/count", json_answer(payload))
    assert call("count_orders") == count


@every("payload", [None, "7", True, -1, {}, [7], 7.5])
def test_a_count_that_is_no_number_is_a_protocol_error(call, service, payload):
    service.fail("GET /orders/count", json_answer(payload))
    with pytest.raises(OctopiaProtocolError):
        call("count_orders")


def test_one_order_is_read_with_its_lines(call):
    order = call("order", "ORD00007")
    assert order.lines[0].offer.product_gtin == "0000000000017"
    assert order.total_price.selling_price == Decimal("24.89")
    assert order.sales_channel.id == "CDISFR"


def test_an_order_id_is_one_path_segment_whatever_it_holds(call, service):
    with pytest.raises(NotFoundError):
        call("order", "../sellers?x=1#y")
    assert service.recorded[-1].path == "/seller/v2/orders/..%2Fsellers%3Fx%3D1%23y"


@pytest.mark.parametrize("link_style", ["relative", "absolute"])
def test_offers_follow_the_cursor_and_never_the_address(call, service, link_style):
    service.link_style = link_style  # the absolute links point to another host
    offers = call.listed("offers", "CDISFR", OfferFilter(offer_states=("Active",)), page_size=100)
    assert [offer.seller_external_reference for offer in offers] == [f"SKU-{n}" for n in range(1, 231)]
    assert [r.query.get("cursor") for r in service.recorded[1:]] == [None, "c+100", "c+200"]
    assert service.recorded[-1].query["salesChannelId"] == "CDISFR"
    assert service.recorded[-1].query["offerStates"] == "Active"


@pytest.mark.parametrize("link", ["</x?cursor=a>; rel=next", "</x?page=2>; rel=next"])
def test_a_cursor_that_leads_nowhere_new_is_an_error_and_not_a_loop(call, service, link):
    page = json_answer({"items": []}, headers={"Link": link})
    service.fail("GET /offers", page, page, page)
    with pytest.raises(OctopiaProtocolError, match="cursor"):
        call.listed("offers", "CDISFR")


def test_a_listing_left_early_asks_for_no_more(credentials, settings, service, timer):
    with OctopiaClient(credentials, settings=settings, clock=timer) as client:
        assert next(client.orders()).order_id == "ORD00001"
    assert service.count("GET /orders") == 1


# -- refusals -------------------------------------------------------------------------------------------------------------


def test_a_401_renews_the_token_once_and_the_call_succeeds(call, service):
    call("seller")
    service.expire_tokens()
    assert call("seller").seller_id == "55501"
    assert service.tokens_issued == 2


def test_a_second_401_is_an_error_that_names_the_link(call, service):
    service.fail("GET /sellers", unauthorized(), unauthorized())
    with pytest.raises(SellerNotLinkedError) as raised:
        call("seller")
    assert (raised.value.status, raised.value.seller_id) == (401, "55501")
    assert service.tokens_issued == 2


def test_a_seller_that_is_always_refused_does_not_eat_the_token_quota(call, service, timer):
    service.fail("GET /sellers", *[unauthorized()] * 1000)
    for _ in range(40):
        with pytest.raises(AccessRefusedError):
            call("seller")
        timer.advance(30)
    assert service.tokens_issued <= 22


def test_a_403_explains_the_missing_link(call, fake, service):
    with pytest.raises(SellerNotLinkedError, match="not linked") as raised:
        call("seller", client=call.client.for_seller(fake.unlinked_seller_id))
    assert raised.value.seller_id == fake.unlinked_seller_id
    assert "https://developer.octopia-io.net/api-credentials/" in str(raised.value)
    assert service.tokens_issued == 1


def test_a_403_with_an_old_token_is_tried_once_with_a_fresh_one(call, fake, service, timer):
    call("seller")
    timer.advance(301)
    service.fail("GET /sellers", problem(403, "Forbidden"))
    assert call("seller").seller_id == fake.seller_id
    assert service.tokens_issued == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ApiRejectedError),
        (404, NotFoundError),
        (406, ApiRejectedError),
        (409, ApiRejectedError),
        (415, ApiRejectedError),
        (418, ApiError),
        (422, ApiRejectedError),
        (500, ServerError),
        (501, ServerError),
    ],
)
def test_every_documented_status_has_its_error(call, service, status, error):
    service.fail("GET /sellers", problem(status, "Short", "Long", errors={"field": ["one", "two"]}))
    with pytest.raises(error, match="Long") as raised:
        call("seller")
    assert type(raised.value) is error
    assert (raised.value.call, raised.value.status) == ("GET /sellers", status)
    assert (raised.value.title, raised.value.detail) == ("Short", "Long")
    assert raised.value.fields == {"field": ("one", "two")}
    assert raised.value.trace_id == f"00-fake-{status}"
    assert service.count("GET /sellers") == 1


def test_a_wrong_path_is_answered_by_the_gateway_and_said_so(call, service):
    service.fail("GET /sellers", FakeAnswer(404, b"<html>no route</html>", {"Content-Type": "text/html"}))
    with pytest.raises(NotFoundError, match="gateway"):
        call("seller")


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize(
    "body", [b"", b"<html>are you a robot?</html>", b'{"seller_id": ', b"\xff\xfe", b"[" * 100_000]
)
def test_a_success_that_is_not_json_is_a_protocol_error(call, service, status, body):
    service.fail("GET /sellers", FakeAnswer(status, body if status == 200 else b""))
    with pytest.raises(OctopiaProtocolError):
        call("seller")


def test_a_redirect_is_not_followed(call, service):
    service.fail("GET /sellers", FakeAnswer(302, b"", {"Location": "http://127.0.0.1:1/steal"}))
    with pytest.raises(OctopiaProtocolError, match="redirects are not followed"):
        call("seller")


def test_an_answer_that_is_too_long_is_not_read_to_its_end(credentials, fake, service, timer, request):
    small = OctopiaSettings(token_url=fake.token_url, api_url=fake.api_url, max_reply_bytes=5000)
    bomb = gzip.compress(b" " * 10_000_000)
    caller = Caller("sync", credentials, small, timer)
    service.fail("GET /sellers", FakeAnswer(200, bomb, {"Content-Encoding": "gzip"}))
    with pytest.raises(OctopiaProtocolError, match="longer than 5000 bytes"):
        caller("seller")
    caller.close()


def test_an_answer_that_is_wrongly_compressed_is_a_protocol_error(call, service):
    service.fail("GET /sellers", FakeAnswer(200, b"not gzip", {"Content-Encoding": "gzip"}))
    with pytest.raises(OctopiaProtocolError, match="compressed"):
        call("seller")


# -- repeats --------------------------------------------------------------------------------------------------------------


def test_reads_are_repeated_with_growing_pauses(call, service, timer):
    service.fail("GET /sellers", bad_gateway(), problem(503, "x"), dropped())
    assert call("seller").seller_id == "55501"
    assert timer.slept == [0.5, 1.0, 2.0]


def test_a_429_without_retry_after_backs_off(call, service, timer):
    service.fail("GET /orders", too_many())
    call.listed("orders")
    assert timer.slept == [0.5]


def test_retry_after_is_honoured_up_to_the_cap_and_then_raised(call, service, timer):
    service.fail("GET /sellers", too_many("60"))
    call("seller")
    assert timer.slept == [60.5]
    service.fail("GET /sellers", too_many("61"))
    with pytest.raises(ApiRateLimitedError) as raised:
        call("seller")
    assert raised.value.retry_after == 61
    assert timer.slept == [60.5]


def test_a_read_that_keeps_failing_is_given_up(call, service, timer):
    service.fail("GET /sellers", *[bad_gateway()] * 9)
    with pytest.raises(ServerError, match="gateway"):
        call("seller")
    assert service.count("GET /sellers") == 4
    service.fail("GET /carriers", *[dropped()] * 9)
    with pytest.raises(ConnectionLostError):
        call("carriers")


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_answer_that_does_not_come_times_out(credentials, settings, fake, timer, mode, monkeypatch):
    release = threading.Event()
    handle = fake.service.handle

    def slow(method, target, headers, body):
        if "carriers" in target:
            release.wait(10)
        return handle(method, target, headers, body)

    monkeypatch.setattr(fake.service, "handle", slow)
    caller = Caller(mode, credentials, replace(settings, read_seconds=0.05), timer)
    with OctopiaClient(credentials, settings=settings, tokens=caller.client.exchange.tokens) as patient:
        patient.seller()  # no short limit for the token: a busy machine may need longer
    try:
        with pytest.raises(OctopiaTimeoutError):
            caller("carriers")
        with pytest.raises(TimeoutError):
            caller("carriers")
    finally:
        release.set()
        caller.close()


# -- writing --------------------------------------------------------------------------------------------------------------


def test_writes_need_leave(credentials, fake, service, timer):
    reading = OctopiaSettings(token_url=fake.token_url, api_url=fake.api_url)
    with OctopiaClient(credentials, settings=reading, clock=timer) as client:
        with pytest.raises(WritesDisabledError, match="allow_writes"):
            client.approve_order("ORD00001", "Accepted")
        with pytest.raises(WritesDisabledError):
            client.open_offer_package("CDISFR")
    assert service.recorded == []


def test_an_order_is_accepted_or_refused(call, service):
    assert call("approve_order", "ORD00001", "Accepted") is None
    assert service.recorded[-1].body == b'{"approval_status": "Accepted"}'
    assert service.recorded[-1].headers["content-type"] == "application/json"
    assert call("order", "ORD00001").status == "InPreparation"
    call("approve_order", "ORD00003", "Refused")
    assert call("order", "ORD00003").status == "Refused"
    with pytest.raises(ApiRejectedError) as raised:
        call("approve_order", "ORD00001", "Accepted")
    assert raised.value.status == 409


def test_an_order_is_shipped_with_its_parcels(call, service):
    parcels = [
        Parcel(parcel_number="P1", carrier_name="UPS", tracking_url="https://t.example/1", order_line_ids=("L2",)),
        Parcel(parcel_number="P2", carrier_name="Colissimo"),
    ]
    call("ship_order", "ORD00002", parcels)
    assert service.recorded[-1].body == (
        b'[{"parcelNumber": "P1", "carrierName": "UPS", "trackingUrl": "https://t.example/1", "orderLineIds": ["L2"]}, '
        b'{"parcelNumber": "P2", "carrierName": "Colissimo"}]'
    )
    assert call("order", "ORD00002").status == "Shipped"


@pytest.mark.parametrize(
    "answer", [bad_gateway(), problem(500, "x"), problem(408, "x"), dropped(), dropped(after=True)]
)
def test_a_write_whose_outcome_is_unknown_is_not_repeated(call, service, timer, answer):
    service.fail("POST /orders", answer)
    with pytest.raises(OctopiaOutcomeUnknownError, match="not repeated"):
        call("approve_order", "ORD00001", "Accepted")
    assert service.count("POST /orders") == 1
    assert timer.slept == []


def test_a_429_on_a_write_means_not_applied_so_it_is_waited_for(call, service, timer):
    service.fail("POST /orders", too_many("1"))
    call("approve_order", "ORD00001", "Accepted")
    assert service.count("POST /orders") == 2
    assert timer.slept == [1.5]
    service.fail("POST /orders", too_many("61"))
    with pytest.raises(ApiRateLimitedError):
        call("approve_order", "ORD00003", "Accepted")
    assert service.count("POST /orders") == 3


def test_a_403_on_a_write_is_never_sent_again(call, service, timer):
    call("seller")
    timer.advance(301)
    service.fail("POST /orders", problem(403, "Forbidden"))
    with pytest.raises(SellerNotLinkedError):
        call("approve_order", "ORD00001", "Accepted")
    assert service.count("POST /orders") == 1


def test_a_401_on_a_write_is_sent_again_because_it_was_not_applied(call, service):
    call("seller")
    service.expire_tokens()
    call("approve_order", "ORD00001", "Accepted")
    assert service.count("POST /orders") == 2


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("approve_order", ("ORD00001", "accepted")),
        ("approve_order", ("", "Accepted")),
        ("ship_order", ("ORD00001", [])),
        ("order", (" ",)),
        ("order", ("..",)),
        ("order", (7,)),
        ("open_offer_package", ("",)),
        ("upload_offer_requests", ("pkg-1", [])),
        ("close_offer_package", ("",)),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(call, service, name, args):
    with pytest.raises(OctopiaInputError) as raised:
        call(name, *args)
    assert raised.value.argument
    assert service.recorded == []


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("orders", (), {"page_size": 101}),
        ("orders", (), {"page_size": 0}),
        ("offers", ("",), {}),
        ("offers", ("C",), {"page_size": 1001}),
    ],
)
def test_bad_listings_are_refused_before_anything_is_sent(call, service, name, args, kwargs):
    with pytest.raises(OctopiaInputError):
        call.listed(name, *args, **kwargs)
    assert service.recorded == []


def test_filters_refuse_naive_times_and_a_text_for_a_list():
    with pytest.raises(OctopiaInputError, match="aware"):
        OrderFilter(created_at_min=datetime(2026, 1, 1))  # noqa: DTZ001 - naive is the point
    with pytest.raises(OctopiaInputError, match="list"):
        OrderFilter(status="Shipped")
    with pytest.raises(OctopiaInputError, match="aware"):
        OfferFilter(updated_at_min=datetime(2026, 1, 1))  # noqa: DTZ001 - naive is the point
    with pytest.raises(OctopiaInputError):
        Parcel(parcel_number="", carrier_name="UPS")


# -- the clients ----------------------------------------------------------------------------------------------------------


def test_an_integrator_must_choose_a_seller(settings, fake, timer):
    pair = OctopiaCredentials(client_id=fake.client_id, client_secret=SecretStr(fake.client_secret))
    with OctopiaClient(pair, settings=settings, clock=timer) as client:
        assert client.seller_id is None
        with pytest.raises(OctopiaConfigError, match="for_seller"):
            client.seller()
        assert client.for_seller("55501").seller().seller_id == "55501"


@every("kind", [OctopiaClient, AsyncOctopiaClient])
def test_a_client_is_not_pickled_or_copied_and_says_what_to_do(kind, credentials, settings, timer):
    client = kind(credentials, settings=settings, clock=timer)
    for carry in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(OctopiaConfigError, match="build one client per process"):
            carry(client)
    assert client.for_seller("222").driver is client.driver


def test_a_closed_client_says_so(credentials, settings, timer):
    client = OctopiaClient(credentials, settings=settings, clock=timer)
    client.close()
    with pytest.raises(OctopiaConfigError, match="closed"):
        client.seller()


def test_an_async_client_says_that_it_belongs_to_one_loop(credentials, settings, timer):
    client = AsyncOctopiaClient(credentials, settings=settings, clock=timer)

    async def use() -> None:
        await client.seller()

    async def use_and_close() -> None:
        try:
            await client.seller()
        finally:
            await client.close()

    with asyncio.Runner() as first:
        first.run(use())
        with asyncio.Runner() as second, pytest.raises(OctopiaConfigError, match="one event loop"):
            second.run(use())
        first.run(use_and_close())


def test_the_environment_builds_a_client(fake):
    env = {
        "OCTOPIA_CLIENT_ID": fake.client_id,
        "OCTOPIA_CLIENT_SECRET": fake.client_secret,
        "OCTOPIA_SELLER_ID": fake.seller_id,
        "OCTOPIA_TOKEN_URL": fake.token_url,
        "OCTOPIA_API_URL": fake.api_url,
    }
    with OctopiaClient.from_env(env) as client:
        assert client.seller().seller_id == fake.seller_id

    async def asynchronous() -> str | None:
        async with AsyncOctopiaClient.from_env(env) as other:
            return (await other.seller()).seller_id

    assert asyncio.run(asynchronous()) == fake.seller_id
    with pytest.raises(OctopiaConfigError, match="OCTOPIA_CLIENT_SECRET"):
        OctopiaClient.from_env({"OCTOPIA_CLIENT_ID": "abcdefgh"})


def test_nothing_but_its_own_errors_escapes(call, service):
    answers = [
        bad_gateway(),
        dropped(),
        FakeAnswer(200, b"x"),
        FakeAnswer(204),
        unauthorized(),
        FakeAnswer(599, b"\x00"),
    ]
    for answer in answers:
        service.fail("GET /sellers", *[answer] * 4)
        with pytest.raises(OctopiaError) as raised:
            call("seller")
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None or isinstance(raised.value.__context__, OctopiaError)
        service._faults.clear()
