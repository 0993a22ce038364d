"""Failures that sellers meet: paging, uploads, token renewal, diagnoses."""

import stat
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from octopia_stage import in_memory, step
from pydantic import SecretStr

from octopus_soap.octopia import (
    DeliveryMode,
    GatewayRefusedError,
    NotFoundError,
    OctopiaClient,
    OctopiaInputError,
    OctopiaProtocolError,
    OctopiaTimeoutError,
    OfferDelete,
    OfferPackageError,
    OfferUpdate,
    OfferUpsert,
    Tax,
    TokenCache,
    TokenError,
    TokenRefusedError,
    plan_offer_package,
)
from octopus_soap.octopia.effects import Send, Sleep
from octopus_soap.octopia.exchange import Exchange
from octopus_soap.octopia.fake import FakeAnswer, bad_gateway, json_answer, problem, too_many
from octopus_soap.octopia.operations import Operations
from tests.every import every


def ids(orders) -> list[str]:
    return [found.order_id for found in orders]


# -- a token service that hangs while the current token is valid -------------------------------------------------------


@pytest.fixture
def exchange(credentials, settings, timer) -> Exchange:
    return Exchange(
        credentials, credentials.seller_id, settings, TokenCache(clock=timer), timer, lambda low, high: high
    )


def test_a_hanging_token_service_costs_one_short_attempt_while_the_token_is_good(exchange, service, timer):
    memory = in_memory(service, timer)
    first = step(exchange.token(), memory)
    timer.advance(7200 - 119)
    limits: list[float | None] = []

    def hanging(effect):
        assert isinstance(effect, Send), "no pause, no second attempt"
        limits.append(effect.request.seconds)
        return OctopiaTimeoutError("no answer in time")

    assert step(exchange.token(), hanging) is first
    assert limits == [exchange.settings.renew_seconds]
    assert exchange.settings.renew_seconds <= 5
    assert step(exchange.token(), hanging) is first, "and the next call does not even ask"
    assert len(limits) == 1
    timer.advance(119)
    with pytest.raises(OctopiaTimeoutError):
        step(exchange.token(), lambda effect: None if isinstance(effect, Sleep) else OctopiaTimeoutError("no answer"))


def test_others_use_the_good_token_while_one_asks_a_hanging_service(exchange, service, timer):
    first = step(exchange.token(), in_memory(service, timer))
    timer.advance(7100)
    leader = exchange.token()
    assert isinstance(next(leader), Send)
    other = exchange.token()
    with pytest.raises(StopIteration) as done:
        next(other)
    assert done.value.value is first
    leader.close()


# -- paging ---------------------------------------------------------------------------------------------------------------

PRELOAD = '</app.css>; rel="preload"; as="style", <https://cdn.example>; rel=preconnect'


@pytest.mark.parametrize(
    "link", [PRELOAD, '</seller/v2/orders?pageIndex=1>; rel="first"', '<x>; rel="prev last"', "junk"]
)
def test_a_link_that_is_not_next_says_nothing_about_the_listing(call, service, link):
    first = {"items": [{"orderId": str(n)} for n in range(100)]}
    service.fail("GET /orders", json_answer(first, headers={"Link": link}))
    orders = call.listed("orders")
    assert len(orders) == 100 + 150, "page 2 and 3 of the fake's 250 orders follow"


def test_a_preload_link_does_not_end_a_listing_of_offers_with_an_error(call, service):
    service.fail("GET /offers", json_answer({"items": [{"offerId": "1"}]}, headers={"Link": PRELOAD}))
    assert len(call.listed("offers", "CDISFR")) == 1


def test_a_record_that_changed_and_comes_again_is_given_again(call, service):
    old, new = ({"orderId": "7", "status": state} for state in ("WaitingAcceptance", "InPreparation"))
    first = {"items": [{"orderId": str(n)} for n in range(100, 199)] + [old]}
    service.fail("GET /orders", json_answer(first), json_answer({"items": [new, first["items"][0]]}), FakeAnswer(204))
    orders = call.listed("orders")
    assert [o.status for o in orders if o.order_id == "7"] == ["WaitingAcceptance", "InPreparation"]
    assert len(orders) == 101, "an unchanged one is not"


@pytest.mark.parametrize(
    "end", [FakeAnswer(204), FakeAnswer(200), FakeAnswer(200, b" \n"), problem(404, "Not Found"), FakeAnswer(404)]
)
def test_past_the_end_204_an_empty_body_and_404_are_an_end(call, service, end):
    service.fail("GET /orders", json_answer({"items": [{"orderId": str(n)} for n in range(100)]}), end)
    assert len(call.listed("orders")) == 100


@pytest.mark.parametrize("empty", [FakeAnswer(204), FakeAnswer(200)])
def test_an_empty_first_page_is_an_empty_list(call, service, empty):
    service.fail("GET /orders", empty)
    service.fail("GET /offers", empty)
    service.fail("GET /carriers", empty)
    assert call.listed("orders") == call.listed("offers", "CDISFR") == []
    assert call("carriers") == ()


def test_a_404_is_no_end_where_a_page_must_be(call, service):
    page = json_answer({"items": [{"orderId": "1"}]}, headers={"Link": '<?pageIndex=2>; rel="next"'})
    for answers in (
        [problem(404, "x")],
        [page, problem(404, "promised")],
        [json_answer({"items": [{}]}), bad_gateway(404)],
    ):
        service.fail("GET /orders", *answers)
        with pytest.raises(NotFoundError):
            call.listed("orders")


def test_new_orders_that_push_a_whole_page_back_are_no_error(call, service):
    pages = [[{"orderId": f"{page}-{n}"} for n in range(100)] for page in range(3)]
    fresh = [{"orderId": f"new-{n}"} for n in range(100)]
    answers = [
        pages[0],
        pages[0],
        fresh,
        pages[1],
        pages[2],
        [],
    ]  # page 1, page 2 is page 1 again, page 1 now, page 3 ...
    service.fail("GET /orders", *(json_answer({"items": items}) for items in answers))
    assert len(call.listed("orders")) == 300
    assert [r.query["pageIndex"] for r in service.recorded[1:]] == ["1", "2", "1", "3", "4", "5"]


@pytest.mark.parametrize("mode", ["orders", "offers"])
def test_a_listing_can_be_resumed_where_it_was(credentials, settings, timer, mode):
    arguments = () if mode == "orders" else ("CDISFR",)
    with OctopiaClient(credentials, settings=settings, clock=timer) as client:
        listing = getattr(client, mode)(*arguments, page_size=50)
        assert listing.position == ""
        taken = [next(listing) for _ in range(120)]
        resumed = list(getattr(client, mode)(*arguments, page_size=50, start=listing.position))
        whole = list(getattr(client, mode)(*arguments, page_size=50))
    assert taken[:100] + resumed == whole, "the values of the last page come again"


def test_an_async_listing_has_a_position_too(call):
    if call.runner is None:
        return
    listing = call.client.orders()

    async def take() -> str:
        await anext(listing)
        return listing.position

    assert call.runner.run(take()) == "1"


@pytest.mark.parametrize("start", ["0", "x", "-1", "²"])
def test_a_start_that_is_no_page_is_refused(call, start):
    with pytest.raises(OctopiaInputError):
        call.listed("orders", start=start)


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("page_size", [1, 7, 100])
def test_pages_that_follow_updates_give_every_order_once(call, service, page_size):
    service.add_seller("55501", orders=60)  # several orders share one moment
    orders = call.listed("orders", updated_after=LONG_AGO, page_size=page_size)
    assert sorted(ids(orders)) == [f"ORD{n:05d}" for n in range(1, 61)]
    assert [o.updated_at for o in orders] == sorted(o.updated_at for o in orders)


def test_accepting_orders_while_listing_them_loses_none_when_pages_follow_updates(
    credentials, settings, service, timer
):
    """By index, each accepted order moves the rest forward, so a page is skipped."""
    service.add_seller("55501", orders=250)
    waiting = [o["orderId"] for o in service.orders["55501"] if o["status"] == "WaitingAcceptance"]
    from octopus_soap.octopia import OrderFilter

    which = OrderFilter(status=["WaitingAcceptance"])
    with OctopiaClient(credentials, settings=settings, clock=timer) as client:
        seen = []
        for found in client.orders(which, updated_after=LONG_AGO, page_size=20):
            client.approve_order(found.order_id, "Accepted")
            seen.append(found.order_id)
    assert sorted(seen) == sorted(waiting)


def test_an_order_updated_meanwhile_comes_again_at_the_end(credentials, settings, service, timer):
    service.add_seller("55501", orders=40)
    with OctopiaClient(credentials, settings=settings, clock=timer) as client:
        listing = client.orders(updated_after=LONG_AGO, page_size=10)
        first = next(listing)
        changed = next(o for o in service.orders["55501"] if o["orderId"] == first.order_id)
        changed |= {"status": "Shipped", "updatedAt": "2026-06-01T00:00:00.000Z"}
        rest = list(listing)
    assert [o.status for o in rest if o.order_id == first.order_id] == ["Shipped"]
    assert len(rest) == 40


@pytest.mark.parametrize(
    "items",
    [
        [{"orderId": "1"}],
        [{"orderId": "1", "updatedAt": t} for t in ("2026-02-01T00:00:00Z",)]
        + [{"orderId": "2", "updatedAt": "2026-01-01T00:00:00Z"}],
    ],
)
def test_orders_that_are_not_in_the_order_of_updates_are_an_error_and_not_a_loss(call, service, items):
    service.fail("GET /orders", json_answer({"items": items}))
    with pytest.raises(OctopiaProtocolError, match="by index"):
        call.listed("orders", updated_after=LONG_AGO)


def test_updated_after_stands_alone_and_is_aware(call):
    from octopus_soap.octopia import OrderFilter

    for options in ({"sort": "createdAt"}, {"start": "2"}, {"which": OrderFilter(updated_at_min=LONG_AGO)}):
        with pytest.raises(OctopiaInputError):
            call.listed("orders", updated_after=LONG_AGO, **options)
    with pytest.raises(OctopiaInputError, match="aware"):
        call.listed("orders", updated_after=datetime(2026, 1, 1))  # noqa: DTZ001 - naive is the point


# -- uploads --------------------------------------------------------------------------------------------------------------


def plan(count: int, first: int = 1):
    updates = [OfferUpdate(seller_external_reference=f"SKU-{n}", quantity=n) for n in range(first, first + count)]
    return plan_offer_package(updates, sales_channel_id="CDISFR")


@pytest.mark.parametrize(
    "route", ["POST /offer-packages", "POST /offer-packages/pkg-1/offer-requests", "PATCH /offer-packages/pkg-1"]
)
def test_429_on_a_package_means_not_applied_so_it_waits_and_goes_on(call, service, timer, route):
    if route.endswith("requests"):
        service.fail(route, FakeAnswer(202), too_many("3"))  # the fake ignores the first upload
        service.fail("GET /offer-packages/pkg-1", json_answer({"state": "WaitingForCompletion"}))
    else:
        service.fail(route, too_many("3"))
    report = call("send_offer_package", plan(150))
    assert report.finished
    assert 3.5 in timer.slept
    assert len(service.packages) == 1


def test_a_429_that_does_not_end_names_the_package(call, service):
    service.fail("POST /offer-packages/pkg-1/offer-requests", *[too_many("5")] * 9)
    with pytest.raises(OfferPackageError, match="pkg-1") as raised:
        call("send_offer_package", plan(5))
    assert (raised.value.package_id, raised.value.stage, raised.value.uploaded) == ("pkg-1", "uploading", 0)


def test_10000_updates_with_slow_uploads_are_all_sent(exchange, service, timer):
    """The wait for the result begins when the package is closed."""
    service.settle_looks = 2  # 3 s for each of 100 uploads
    service.add_seller("55501", offers=10_000)
    flow = Operations.send_offer_package.body(type("Client", (), {"exchange": exchange}), plan(10_000), wait_seconds=60)
    service._integrated = lambda seller_id, request, package: request | {"integrationStatus": "Integrated"}
    began = timer.now
    report = step(flow, in_memory(service, timer))
    assert timer.now - began > 200
    assert len(report.integrated) == 10_000


def test_an_upload_that_never_settles_is_given_up_with_the_package_named(exchange, service, timer):
    service.settle_looks = 10**9
    flow = Operations.send_offer_package.body(type("Client", (), {"exchange": exchange}), plan(5))
    with pytest.raises(OfferPackageError) as raised:
        step(flow, in_memory(service, timer))
    assert (raised.value.stage, raised.value.uploaded) == ("settling", 5)


def test_an_unknown_end_state_ends_the_wait_and_its_results_are_read(call, service, timer):
    service.end_state = "IntegratedWithErrors"
    report = call("send_offer_package", plan(3))
    assert (report.state, report.finished) == ("IntegratedWithErrors", True)
    assert report.integrated == ("SKU-1", "SKU-2", "SKU-3")
    assert sum(timer.slept) < 10


@pytest.mark.parametrize("wait_seconds", [0, 600])
def test_results_that_lag_get_a_second_look(call, service, wait_seconds):
    service.settle_looks = service.integrate_looks = 0
    empty = json_answer({"itemsPerPage": 100, "items": []})
    service.fail("GET /offer-packages/pkg-1/offer-requests-results", empty)
    report = call("send_offer_package", plan(2), wait_seconds=wait_seconds)
    assert report.integrated == ("SKU-1", "SKU-2")
    assert report.unreported == ()


def test_results_that_never_come_are_reported_as_that_in_the_end(call, service, timer):
    service._integrated = lambda seller_id, request, package: {"sellerExternalReference": "other"}
    report = call("send_offer_package", plan(2))
    assert report.unreported == ("SKU-1", "SKU-2")
    assert service.count("GET /offer-packages/pkg-1/offer-requests-results") == 5


# -- packages of other types ----------------------------------------------------------------------------------------------


def upsert(**changes) -> OfferUpsert:
    given = {"gtin": "0123456789012", "price": Decimal("9.99"), "taxes": (Tax("VAT", Decimal(20)),), "quantity": 3}
    return OfferUpsert(**{"seller_external_reference": "NEW-1", **given, **changes})


def test_an_upsert_makes_an_offer_and_a_delete_takes_it_out(call, service):
    modes = (DeliveryMode("TRK", Decimal("4.90"), Decimal(1)), DeliveryMode("REG", Decimal(0)))
    made = call(
        "send_offer_package",
        plan_offer_package([upsert(preparation_time=2, delivery_modes=modes)], sales_channel_id="CDISFR"),
    )
    assert made.integrated == ("NEW-1",)
    offer = service.offers["55501"][-1]
    assert offer["product"] == {"gtin": "0123456789012"}
    assert offer["condition"] == "New"
    assert offer["price"] == {"price": 9.99, "taxes": [{"code": "VAT", "value": 20}]}
    assert offer["preparationTime"] == 2
    assert offer["deliveryModes"] == [{"code": "TRK", "cost": 4.9, "additionalCost": 1}, {"code": "REG", "cost": 0}]
    gone = call(
        "send_offer_package",
        plan_offer_package([OfferDelete(seller_external_reference="NEW-1")], sales_channel_id="CDISFR"),
    )
    assert gone.integrated == ("NEW-1",)
    assert all(o["sellerExternalReference"] != "NEW-1" for o in service.offers["55501"])
    assert [p.kind for p in service.packages.values()] == ["Upsert", "Delete"]


@every(
    "changes",
    [
        {"gtin": None},
        {"condition": " "},
        {"quantity": None},
        {"price": None, "taxes": None},
        {"preparation_time": -1},
        {"preparation_time": True},
        {"delivery_modes": ()},
        {"price": 9.99},
    ],
)
def test_an_upsert_that_is_not_whole_is_refused_before_anything_is_sent(changes):
    with pytest.raises(OctopiaInputError):
        upsert(**changes)


def test_a_delivery_mode_is_checked():
    for bad in (("", Decimal(1)), ("TRK", 4.9), ("TRK", Decimal(-1)), ("TRK", Decimal(1), 0.5)):
        with pytest.raises(OctopiaInputError):
            DeliveryMode(*bad)


def test_preparation_time_and_delivery_modes_alone_are_an_update():
    update = OfferUpdate(seller_external_reference="A", preparation_time=3)
    assert update.body() == {"sellerExternalReference": "A", "preparationTime": 3}


def test_a_package_is_of_one_kind():
    mixed = [OfferUpdate(seller_external_reference="A", quantity=1), OfferDelete(seller_external_reference="B")]
    with pytest.raises(OctopiaInputError, match="of one kind"):
        plan_offer_package(mixed, sales_channel_id="CDISFR")
    deletion = plan_offer_package([OfferDelete(seller_external_reference="B")], sales_channel_id="CDISFR")
    assert str(deletion) == "1 offer deletes for CDISFR in 1 upload(s)"


def test_a_package_type_that_is_none_is_refused(call, service):
    with pytest.raises(OctopiaInputError):
        call("open_offer_package", "CDISFR", "upsert")
    assert service.recorded == []


# -- diagnoses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_web_page_that_refuses_is_a_gateways_word_and_not_a_missing_link(call, service, status):
    call("seller")
    service.fail("GET /sellers", bad_gateway(status))
    with pytest.raises(GatewayRefusedError, match="firewall") as raised:
        call("seller")
    assert "not linked" not in str(raised.value)
    assert service.tokens_issued == 1, "the token is not the cause"


@pytest.mark.parametrize("status", [401, 403])
def test_a_web_page_at_the_token_address_says_nothing_of_the_secret(call, service, status):
    service.fail("POST token", bad_gateway(status))
    with pytest.raises(TokenError, match="firewall") as raised:
        call("seller")
    assert not isinstance(raised.value, TokenRefusedError)
    assert "secret" not in str(raised.value)


def test_a_refusal_of_the_token_service_itself_names_the_secret_and_how_a_lost_one_is_recovered(call, service):
    service.clients.clear()
    with pytest.raises(TokenRefusedError, match="by mail"):
        call("seller")


# -- a token store --------------------------------------------------------------------------------------------------------


class Store:
    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, float]] = {}

    def load(self, name):
        return self.kept.get(name)

    def save(self, name, token, ends_at):
        self.kept[name] = (token, ends_at)

    def drop(self, name):
        self.kept.pop(name, None)


@pytest.fixture
def processes(credentials, settings, timer):
    """Call like a new process, with its own token cache and the shared store."""
    store = Store()

    def call_once() -> None:
        tokens = TokenCache(clock=timer, store=store, wall=timer)
        with OctopiaClient(credentials, settings=settings, tokens=tokens, clock=timer, sleep=timer.sleep) as client:
            client.seller()

    call_once.store = store
    return call_once


def test_processes_that_cron_starts_every_half_minute_share_one_token(processes, service, timer):
    for _ in range(100):  # within an hour
        processes()
        timer.advance(35)
    assert service.tokens_issued == 1
    timer.advance(4000)
    processes()
    assert service.tokens_issued == 2, "an old token is not used to its last second"


def test_a_stored_token_that_is_refused_is_dropped_for_all(processes, service):
    processes()
    service.expire_tokens()
    processes()
    processes()
    assert service.tokens_issued == 2


def test_a_store_that_fails_is_logged_and_calls_go_on(processes, service, caplog):
    def broken(*_):
        raise OSError("disk full of canary-token")

    processes.store.load = processes.store.save = broken
    processes()
    assert "the token store failed (OSError)" in caplog.text
    assert "canary" not in caplog.text


def test_the_name_of_a_stored_token_says_nothing_of_the_secret_and_differs_by_it(processes, credentials):
    processes()
    (name,) = processes.store.kept
    assert credentials.client_secret.get_secret_value() not in name
    assert len(name) == 64
    from octopus_soap.octopia.tokens import TokenKey

    other = TokenKey.of("https://x.example/token", credentials.client_id, SecretStr("other"))
    assert other.name != name


def test_the_store_in_a_file_of_the_page_keeps_tokens_for_their_owner_alone(tmp_path):
    """The recipe is from docs/octopia.md."""
    import re
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "octopia.md").read_text(encoding="utf-8")
    recipe = next(
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class FileTokenStore" in block
    )
    scope: dict = {}
    exec(recipe.split("\nclient = ")[0], scope)
    store = scope["FileTokenStore"](tmp_path / "tokens")
    assert store.load("a") is None
    store.save("a", "t", 5.0)
    assert store.load("a") == ("t", 5.0)
    assert stat.S_IMODE((tmp_path / "tokens" / "a").stat().st_mode) == 0o600
    store.drop("a")
    store.drop("a")
    assert store.load("a") is None
