"""Stock and price by offer packages."""

import json
import pickle
from decimal import Decimal

import pytest

from octopus_soap.octopia import (
    OctopiaInputError,
    OctopiaOutcomeUnknownError,
    OfferPackageError,
    OfferUpdate,
    PackageState,
    ServerError,
    Tax,
    plan_offer_package,
)
from octopus_soap.octopia.fake import FakeAnswer, bad_gateway, dropped, json_answer, problem
from tests.every import every


def stock(*numbers: int) -> list[OfferUpdate]:
    return [OfferUpdate(seller_external_reference=f"SKU-{n}", quantity=n) for n in numbers]


def plan(*numbers: int):
    return plan_offer_package(stock(*numbers), sales_channel_id="CDISFR")


# -- planning -------------------------------------------------------------------------------------------------------------


def test_a_plan_splits_by_100_and_sends_nothing():
    planned = plan(*range(250))
    assert [len(upload) for upload in planned.uploads] == [100, 100, 50]
    assert str(planned) == "250 offer updates (250 stock, 0 price) for CDISFR in 3 upload(s)"


def test_an_update_carries_only_what_changes():
    assert stock(5)[0].body() == {"sellerExternalReference": "SKU-5", "quantity": 5}
    priced = OfferUpdate(
        seller_external_reference="A",
        price=Decimal("19.90"),
        origin_price=Decimal(25),
        currency_code="EUR",
        taxes=(Tax("VAT", Decimal(20)), Tax("Ecotax", Decimal("0.15"))),
    )
    assert json.dumps(priced.body()) == (
        '{"sellerExternalReference": "A", "price": {"price": 19.9, "originPrice": 25, "currencyCode": "EUR", '
        '"taxes": [{"code": "VAT", "value": 20}, {"code": "Ecotax", "value": 0.15}]}}'
    )
    assert OfferUpdate(seller_external_reference="A", price=Decimal(1), taxes=()).body()["price"]["taxes"] == []


@every(
    "bad",
    [
        {},
        {"quantity": -1},
        {"quantity": True},
        {"quantity": 1.0},
        {"price": Decimal(1)},
        {"price": Decimal(0), "taxes": ()},
        {"price": Decimal(-1), "taxes": ()},
        {"price": 19.9, "taxes": ()},
        {"price": Decimal("NaN"), "taxes": ()},
        {"price": Decimal("Infinity"), "taxes": ()},
        {"price": Decimal("0.12345678901234567890"), "taxes": ()},
        {"price": Decimal(1), "taxes": (), "origin_price": 2.5},
        {"quantity": 1, "taxes": ()},
        {"quantity": 1, "currency_code": "EUR"},
        {"seller_external_reference": " ", "quantity": 1},
        {"seller_external_reference": 7, "quantity": 1},
    ],
)
def test_an_update_that_could_do_harm_is_refused(bad):
    with pytest.raises(OctopiaInputError):
        OfferUpdate(**({"seller_external_reference": "A"} | bad))


@every(
    ("bad", "message"),
    [
        ({"quantity": 2.5}, "A: quantity must be an int, 0 or more (got 2.5)"),
        ({"price": 19.9, "taxes": ()}, "A: price must be a Decimal, as money is exact (got 19.9)"),
        ({"price": Decimal(-1), "taxes": ()}, "A: price must be a finite number, 0 or more (got Decimal('-1'))"),
        ({"price": Decimal(0), "taxes": ()}, "A: price must be above 0 (got 0)"),
        (
            {"price": Decimal(1), "taxes": (), "origin_price": "2"},
            "A: origin_price must be a Decimal, as money is exact (got '2')",
        ),
        (
            {"seller_external_reference": 7, "quantity": 1},
            "an offer needs a reference, as text (got 7)",
        ),
    ],
)
def test_a_refused_update_names_its_offer_its_member_and_the_value(bad, message):
    with pytest.raises(OctopiaInputError) as raised:
        OfferUpdate(**({"seller_external_reference": "A"} | bad))
    assert raised.value.message == message


@every(("code", "value"), [("", Decimal(1)), ("VAT", Decimal(-1)), ("VAT", 0.2)])
def test_a_tax_that_could_do_harm_is_refused(code, value):
    with pytest.raises(OctopiaInputError):
        Tax(code, value)


def test_a_reference_that_stands_twice_is_refused_because_both_would_be_rejected():
    with pytest.raises(OctopiaInputError, match="SKU-1"):
        plan(1, 2, 1)


@every(("numbers", "channel"), [((), "CDISFR"), (range(50_001), "CDISFR"), ((1,), ""), ((1,), "a\nb")])
def test_a_package_of_no_or_too_many_updates_or_no_channel_is_refused(numbers, channel):
    with pytest.raises(OctopiaInputError):
        plan_offer_package(stock(*numbers), sales_channel_id=channel)


# -- sending --------------------------------------------------------------------------------------------------------------


def test_a_package_goes_through_its_four_calls_and_is_judged_per_item(call, service, timer):
    noted: list[str] = []
    report = call("send_offer_package", plan(*range(1, 241)), on_package=noted.append)
    assert noted == ["pkg-1"]
    assert (report.package_id, report.state, report.finished) == ("pkg-1", PackageState.INTEGRATED, True)
    assert report.integrated == tuple(f"SKU-{n}" for n in range(1, 231))
    assert [r.seller_external_reference for r in report.refused] == [f"SKU-{n}" for n in range(231, 241)]
    assert report.refused[0].results[0].result_code == "OfferNotFound"
    assert report.unreported == ()
    assert service.offers["55501"][4]["quantity"] == 5
    writes = [r.route for r in service.recorded if r.method != "GET" and r.route != "POST token"]
    upload = "POST /offer-packages/pkg-1/offer-requests"
    assert writes == ["POST /offer-packages", upload, upload, upload, "PATCH /offer-packages/pkg-1"]
    opening = next(r for r in service.recorded if r.route == "POST /offer-packages")
    assert opening.headers["saleschannelid"] == "CDISFR"
    assert json.loads(opening.body) == {"packageType": "Update"}
    assert timer.slept  # it waited until the uploads had an effect


def test_the_four_calls_can_be_made_one_by_one(call, service):
    service.settle_looks = service.integrate_looks = 0
    package_id = call("open_offer_package", "CDISFR")
    call("upload_offer_requests", package_id, stock(1, 2))
    assert call("offer_package", package_id).state == PackageState.WAITING_FOR_COMPLETION
    call("close_offer_package", package_id)
    assert call("offer_package", package_id).state == PackageState.INTEGRATED
    results = call.listed("offer_package_results", package_id)
    assert [r.integration_status for r in results] == ["Integrated", "Integrated"]


def test_a_package_octopia_has_not_finished_is_reported_as_that(call, service):
    service.settle_looks, service.integrate_looks = 0, 100
    report = call("send_offer_package", plan(2), wait_seconds=0)
    assert (report.state, report.finished) == ("Ready", False)
    assert report.results == ()
    assert report.unreported == ("SKU-2",)


def test_watching_looks_ever_less_often_and_ends_in_time(call, service, timer):
    service.settle_looks, service.integrate_looks = 0, 100
    report = call("send_offer_package", plan(1), wait_seconds=100)
    assert report.finished is False
    assert timer.slept == [1, 2, 4, 8, 16, 30, 30, 9]


def test_reads_within_a_package_are_repeated_and_writes_are_not(call, service):
    service.fail("GET /offer-packages/pkg-1/offer-requests-results", bad_gateway(), dropped())
    service.fail("GET /offer-packages/pkg-1", bad_gateway())
    assert call("send_offer_package", plan(1)).integrated == ("SKU-1",)


@pytest.mark.parametrize(
    ("route", "answer", "stage", "uploaded"),
    [
        ("POST /offer-packages/pkg-1/offer-requests", bad_gateway(), "uploading", 0),
        ("POST /offer-packages/pkg-1/offer-requests", problem(409, "Conflict"), "uploading", 0),
        ("GET /offer-packages/pkg-1", problem(500, "x"), "settling", 100),
        ("GET /offer-packages/pkg-1", json_answer({"state": "Rejected"}), "settling", 100),
        ("PATCH /offer-packages/pkg-1", dropped(after=True), "closing", 150),
        ("GET /offer-packages/pkg-1/offer-requests-results", problem(500, "x"), "results", 150),
    ],
)
def test_a_package_that_stops_tells_its_id_its_stage_and_how_far_it_came(call, service, route, answer, stage, uploaded):
    service.fail(route, answer)
    service.settle_looks = 0
    with pytest.raises(OfferPackageError) as raised:
        call("send_offer_package", plan(*range(1, 151)))
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.package_id, error.stage, error.uploaded) == ("pkg-1", stage, uploaded)
    assert service.count("PATCH") <= 1
    if answer.deed == "drop-after":
        assert isinstance(error.cause, OctopiaOutcomeUnknownError)
    if stage == "results":
        assert isinstance(error.cause, ServerError)


def test_an_opening_that_does_not_tell_the_id_is_an_unknown_outcome(call, service):
    service.fail("POST /offer-packages", FakeAnswer(201))
    with pytest.raises(OctopiaOutcomeUnknownError, match="does not have its id"):
        call("send_offer_package", plan(1))
    assert service.count("POST /offer-packages") == 1


def test_a_negative_wait_is_refused_before_anything_is_sent(call, service):
    for wait in (-1, float("nan")):
        with pytest.raises(OctopiaInputError):
            call("send_offer_package", plan(1), wait_seconds=wait)
    assert service.recorded == []
