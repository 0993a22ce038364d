"""Types of the Octopia client, checked by mypy and pyright, and never run."""

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from octopus_soap.octopia import (
    AsyncListed,
    AsyncOctopiaClient,
    Carrier,
    Listed,
    Offer,
    OfferFilter,
    OfferPackage,
    OfferPackagePlan,
    OfferPackageReport,
    OfferRequestResult,
    OfferUpdate,
    Order,
    OrderFilter,
    Parcel,
    RawAnswer,
    Seller,
    SellerAddress,
    SellerIndicators,
    Subscription,
)
from octopus_soap.octopia.client import OctopiaClient
from octopus_soap.octopia.operation import Operation


def blocking(client: OctopiaClient, plan: OfferPackagePlan, updates: list[OfferUpdate]) -> None:
    assert_type(client.seller(), Seller)
    assert_type(client.addresses(), tuple[SellerAddress, ...])
    assert_type(client.indicators(), SellerIndicators)
    assert_type(client.subscriptions(), tuple[Subscription, ...])
    assert_type(client.carriers(), tuple[Carrier, ...])
    assert_type(client.orders(OrderFilter(), page_size=5, sort="createdAt"), Listed[Order])
    assert_type(client.order("1"), Order)
    assert_type(client.count_orders(), int)
    client.approve_order("1", "Accepted")
    client.ship_order("1", [Parcel(parcel_number="1", carrier_name="UPS")])
    assert_type(client.offers("CDISFR", OfferFilter()), Listed[Offer])
    assert_type(client.open_offer_package("CDISFR"), str)
    client.upload_offer_requests("1", updates)
    client.close_offer_package("1")
    assert_type(client.offer_package("1"), OfferPackage)
    assert_type(client.offer_package_results("1"), Listed[OfferRequestResult])
    assert_type(client.send_offer_package(plan, wait_seconds=5, on_package=print), OfferPackageReport)
    assert_type(client.get("/categories", {"pageIndex": "1"}), Any)
    assert_type(client.send("POST", "/x", [1]), RawAnswer)
    assert_type(client.for_seller("1"), OctopiaClient)
    with client as entered:
        assert_type(entered, OctopiaClient)
    client.order(5)  # type: ignore[arg-type]  # must be refused: ids are text
    client.order()  # type: ignore[call-arg]  # must be refused: the id is missing
    client.approve_order("1", "accepted")  # type: ignore[arg-type]  # must be refused: not a decision
    client.seller(verbose=True)  # type: ignore[call-arg]  # must be refused: unknown keyword
    client.no_such_call()  # type: ignore[attr-defined]  # must be refused: no such call


async def tasks(client: AsyncOctopiaClient, plan: OfferPackagePlan, updates: list[OfferUpdate]) -> None:
    pending: Coroutine[Any, Any, Seller] = client.seller()
    assert_type(await pending, Seller)
    assert_type(await client.seller(), Seller)
    assert_type(await client.addresses(), tuple[SellerAddress, ...])
    assert_type(await client.indicators(), SellerIndicators)
    assert_type(await client.subscriptions(), tuple[Subscription, ...])
    assert_type(await client.carriers(), tuple[Carrier, ...])
    assert_type(client.orders(OrderFilter(), page_size=5), AsyncListed[Order])
    async for order in client.orders():
        assert_type(order, Order)
    assert_type(await client.order("1"), Order)
    assert_type(await client.count_orders(), int)
    await client.approve_order("1", "Refused")
    await client.ship_order("1", [])
    assert_type(client.offers("CDISFR"), AsyncListed[Offer])
    assert_type(await client.open_offer_package("CDISFR"), str)
    await client.upload_offer_requests("1", updates)
    await client.close_offer_package("1")
    assert_type(await client.offer_package("1"), OfferPackage)
    assert_type(client.offer_package_results("1"), AsyncListed[OfferRequestResult])
    assert_type(await client.send_offer_package(plan), OfferPackageReport)
    assert_type(client.for_seller("1"), AsyncOctopiaClient)
    await client.order(5)  # type: ignore[arg-type]  # must be refused: ids are text


def declared() -> None:
    assert_type(OctopiaClient.seller, Operation[[], Seller])


def bound(client: OctopiaClient) -> Callable[[], Seller]:
    return client.seller
