"""The catalogue: every call this package makes, declared once.

A row is its route, its grade (docs/octopia.md: [C] official, [C2] two implementations agree, [1] one source,
[I] inferred), a typed signature and a docstring; the body returns a flow. Both clients, the CLI, the docs and the tests
read this class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from octopus_soap.octopia import packages
from octopus_soap.octopia.errors import InputError, ProtocolError
from octopus_soap.octopia.models import (
    Carrier,
    Offer,
    OfferPackage,
    OfferRequestResult,
    Order,
    Seller,
    SellerAddress,
    SellerIndicators,
    Subscription,
)
from octopus_soap.octopia.operation import listing, operation
from octopus_soap.octopia.packages import segment
from octopus_soap.octopia.paging import M, as_model, by_cursor, by_index, listed
from octopus_soap.octopia.queries import (
    EVERY_OFFER,
    EVERY_ORDER,
    OFFERS_PER_PAGE,
    ORDERS_PER_PAGE,
    OfferFilter,
    OrderFilter,
    checked_size,
)

if TYPE_CHECKING:
    from octopus_soap.octopia.effects import Flow, Stream
    from octopus_soap.octopia.exchange import Exchange
    from octopus_soap.octopia.offers import OfferPackagePlan, OfferPackageReport, OfferUpdate

Approval: TypeAlias = Literal["Accepted", "Refused"]
"""What can be said to an order that waits for acceptance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One parcel of a shipment ([C2] for the names).

    Attributes:
        parcel_number: The carrier's number.
        carrier_name: As `OctopiaClient.carriers` lists it.
        tracking_url: Where the customer follows it; left out if None.
        order_line_ids: The lines in it; left out if empty, which ships the whole order ([1]).

    Raises:
        InputError: The number or the carrier is empty.
    """

    parcel_number: str
    carrier_name: str
    tracking_url: str | None = None
    order_line_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.parcel_number.strip() or not self.carrier_name.strip():
            raise InputError("a parcel needs its number and its carrier", argument="parcel_number")

    def body(self) -> dict[str, Any]:
        """Return the parcel as it is sent."""
        body: dict[str, Any] = {"parcelNumber": self.parcel_number, "carrierName": self.carrier_name}
        if self.tracking_url is not None:
            body["trackingUrl"] = self.tracking_url
        if self.order_line_ids:
            body["orderLineIds"] = list(self.order_line_ids)
        return body


class Operations:
    """Every call, as the clients offer it.

    All of them can raise `ConfigError` (no seller chosen), `TokenError`, `TransportError`, `ProtocolError` and
    `ApiError`; the docstrings name what they raise besides.
    """

    exchange: Exchange

    # -- the seller ------------------------------------------------------------------------------------------------

    @operation("GET /sellers", grade="C")
    def seller(self) -> Flow[Seller]:
        """Return the seller's profile: the first call to make, it needs no parameters [C].

        Authentication page, "First API Call". Octopia asks to make it occasionally, not all the time [C].

        Raises:
            SellerNotLinkedError: The credentials work, but the seller is not linked to them.
        """
        return _one(self.exchange, "/sellers", Seller)

    @operation("GET /sellers/addresses", grade="C")
    def addresses(self) -> Flow[tuple[SellerAddress, ...]]:
        """Return the seller's addresses: the call is official [C], the form of the list is inferred [I]."""
        return listed(self.exchange, "/sellers/addresses", SellerAddress)

    @operation("GET /sellers/indicators", grade="C")
    def indicators(self) -> Flow[SellerIndicators]:
        """Return the seller's performance indicators [C]; the form of the values is not known [I]."""
        return _one(self.exchange, "/sellers/indicators", SellerIndicators)

    @operation("GET /sellers/subscriptions", grade="C")
    def subscriptions(self) -> Flow[tuple[Subscription, ...]]:
        """Return the sales channels the seller has subscribed to [C]; the form of the list is inferred [I]."""
        return listed(self.exchange, "/sellers/subscriptions", Subscription)

    @operation("GET /carriers", grade="C")
    def carriers(self) -> Flow[tuple[Carrier, ...]]:
        """Return the carriers a shipment may name [C]; 66 were measured once [1]."""
        return listed(self.exchange, "/carriers", Carrier)

    # -- orders ----------------------------------------------------------------------------------------------------

    @listing("GET /orders", grade="C")
    def orders(
        self, which: OrderFilter = EVERY_ORDER, *, page_size: int = ORDERS_PER_PAGE, sort: str | None = None
    ) -> Stream[Order]:
        """List orders, each once, a page at a time: the answer's form is official [C], the paging [C2].

        Do not change, while listing, what the filter asks for: accepting orders while listing those that wait for
        acceptance moves the rest forward, and a page is skipped. Collect the list first.

        Args:
            which: Which orders; all by default.
            page_size: Orders per request, 1 to 100.
            sort: Such as ``createdAt`` or ``asc:updatedAt`` [1]; the API's own order by default.

        Raises:
            InputError: The page size is out of range.
        """
        checked_size(page_size, ORDERS_PER_PAGE, "page_size")
        query = [*which.query(), *([("sort", sort)] if sort else [])]
        return by_index(self.exchange, "/orders", query, page_size=page_size, model=Order, key="order_id")

    @operation("GET /orders/{orderId}", grade="C")
    def order(self, order_id: str) -> Flow[Order]:
        """Return one order [C].

        Args:
            order_id: Octopia's id of the order.

        Raises:
            InputError: The id is empty.
            NotFoundError: There is no such order for this seller.
        """
        return _one(self.exchange, f"/orders/{segment(order_id, 'order_id')}", Order)

    @operation("GET /orders/count", grade="1")
    def count_orders(self, which: OrderFilter = EVERY_ORDER) -> Flow[int]:
        """Return how many orders there are [1]: the answer was measured to be a bare number.

        Args:
            which: Which orders; all by default.

        Raises:
            ProtocolError: The answer holds no number.
        """
        return _count(self.exchange, "/orders/count", which.query())

    @operation("POST /orders/{orderId}/approval-status", grade="C2", writes=True)
    def approve_order(self, order_id: str, decision: Approval) -> Flow[None]:
        """WRITES: accept or refuse an order that waits for acceptance [C2]; Cdiscount only, never repeated.

        Args:
            order_id: Octopia's id of the order.
            decision: ``Accepted`` or ``Refused``.

        Raises:
            InputError: The id is empty or the decision is neither of the two.
            WritesDisabledError: The settings do not allow writes.
            RejectedError: The order is in another state.
            OutcomeUnknownError: Nobody can say whether it was done: read the order back.
        """
        if decision not in ("Accepted", "Refused"):
            raise InputError("decision must be Accepted or Refused", argument="decision")
        path = f"/orders/{segment(order_id, 'order_id')}/approval-status"
        return _written(self.exchange, path, {"approval_status": decision})

    @operation("POST /orders/{orderId}/shipments", grade="C2", writes=True)
    def ship_order(self, order_id: str, parcels: Sequence[Parcel]) -> Flow[None]:
        """WRITES: declare the parcels of an order in preparation that the seller ships [C2]; never repeated.

        Args:
            order_id: Octopia's id of the order.
            parcels: One or more parcels.

        Raises:
            InputError: The id is empty or there is no parcel.
            WritesDisabledError: The settings do not allow writes.
            RejectedError: The order is in another state, or a carrier or line is unknown.
            OutcomeUnknownError: Nobody can say whether it was done: read the order back.
        """
        if not parcels:
            raise InputError("a shipment needs at least one parcel", argument="parcels")
        path = f"/orders/{segment(order_id, 'order_id')}/shipments"
        return _written(self.exchange, path, [parcel.body() for parcel in parcels])

    # -- offers ----------------------------------------------------------------------------------------------------

    @listing("GET /offers", grade="C")
    def offers(
        self, sales_channel_id: str, which: OfferFilter = EVERY_OFFER, *, page_size: int = OFFERS_PER_PAGE
    ) -> Stream[Offer]:
        """List the offers on one sales channel, a page at a time [C].

        Args:
            sales_channel_id: Such as ``CDISFR`` for Cdiscount France.
            which: Which offers; all by default.
            page_size: Offers per request, 1 to 1000.

        Raises:
            InputError: The page size is out of range or the channel is empty.
        """
        checked_size(page_size, OFFERS_PER_PAGE, "page_size")
        if not sales_channel_id.strip():
            raise InputError(
                "sales_channel_id must not be empty; Cdiscount France is CDISFR", argument="sales_channel_id"
            )
        query = [("salesChannelId", sales_channel_id), ("limit", str(page_size)), *which.query()]
        return by_cursor(self.exchange, "/offers", query, Offer)

    @operation("POST /offer-packages", grade="C2", writes=True)
    def open_offer_package(self, sales_channel_id: str) -> Flow[str]:
        """WRITES: open an Update package and return its id [C2]; never repeated.

        Args:
            sales_channel_id: Such as ``CDISFR``; sent as a header here.

        Raises:
            InputError: The channel is empty.
            WritesDisabledError: The settings do not allow writes.
            OutcomeUnknownError: A package may have been opened; an open one has no effect on offers [I].
        """
        segment(sales_channel_id, "sales_channel_id")
        return packages.opened(self.exchange, sales_channel_id)

    @operation("POST /offer-packages/{id}/offer-requests", grade="C2", writes=True)
    def upload_offer_requests(self, package_id: str, updates: Sequence[OfferUpdate]) -> Flow[None]:
        """WRITES: add 1 to 100 stock and price updates to an open package [C2]; never repeated.

        Args:
            package_id: The id of a package that is ``WaitingForCompletion``.
            updates: 1 to 100 updates.

        Raises:
            InputError: The number of updates is out of range or the id is empty.
            WritesDisabledError: The settings do not allow writes.
            RejectedError: The package is in another state, or an update is refused.
            OutcomeUnknownError: Nobody can say whether they were added.
        """
        return packages.uploaded(self.exchange, package_id, updates)

    @operation("PATCH /offer-packages/{id}", grade="C2", writes=True)
    def close_offer_package(self, package_id: str) -> Flow[None]:
        """WRITES: close a package, which lets Octopia integrate its requests [C2]; never repeated.

        Args:
            package_id: The id of a package that is ``WaitingForCompletion``.

        Raises:
            InputError: The id is empty.
            WritesDisabledError: The settings do not allow writes.
            RejectedError: The package is in another state.
            OutcomeUnknownError: Nobody can say whether it was closed: look the package up.
        """
        return packages.closed(self.exchange, package_id)

    @operation("GET /offer-packages/{id}", grade="C")
    def offer_package(self, package_id: str) -> Flow[OfferPackage]:
        """Return a package and its state [C].

        Args:
            package_id: The id of the package.

        Raises:
            InputError: The id is empty.
        """
        return packages.looked_up(self.exchange, package_id)

    @listing("GET /offer-packages/{id}/offer-requests-results", grade="C")
    def offer_package_results(self, package_id: str) -> Stream[OfferRequestResult]:
        """List what became of each request of a package; Octopia keeps it for 3 days [C].

        Args:
            package_id: The id of the package.

        Raises:
            InputError: The id is empty.
        """
        return packages.results(self.exchange, package_id)

    @operation("POST+PATCH+GET /offer-packages", grade="C2", writes=True)
    def send_offer_package(
        self,
        plan: OfferPackagePlan,
        *,
        wait_seconds: float = 600.0,
        on_package: Callable[[str], None] | None = None,
    ) -> Flow[OfferPackageReport]:
        """WRITES: send planned stock and price updates as one package and report per item [C2]; no write is repeated.

        Args:
            plan: From `plan_offer_package`.
            wait_seconds: How long to watch the package, 0 or more. If Octopia has not finished then, the report says so
                (`OfferPackageReport.finished`) and the results can be read later, within 3 days [C].
            on_package: Called with the package id the moment it is known. Write it down: it is how the package is found
                again if this process dies.

        Raises:
            WritesDisabledError: The settings do not allow writes.
            OfferPackageError: The package could not be brought to its end; carries its id and how far it came.
        """
        if not wait_seconds >= 0:  # NaN fails too
            raise InputError("wait_seconds must be 0 or more", argument="wait_seconds")
        return packages.sent(self.exchange, plan, wait_seconds, on_package)


def _one(exchange: Exchange, path: str, model: type[M]) -> Flow[M]:
    payload = yield from exchange.read_json(path)
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]  # one object in a list is still one object ([I])
    return as_model(model, payload, f"GET {path}")


def _count(exchange: Exchange, path: str, query: list[tuple[str, str]]) -> Flow[int]:
    payload = yield from exchange.read_json(path, query)
    if isinstance(payload, Mapping):
        payload = payload.get("count")  # {"count": n} is how another list of this API counts ([1])
    if type(payload) is not int or payload < 0:
        raise ProtocolError(f"GET {path}: the answer holds no number", call=f"GET {path}")
    return payload


def _written(exchange: Exchange, path: str, body: object) -> Flow[None]:
    yield from exchange.write("POST", path, body)
