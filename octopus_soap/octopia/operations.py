"""The catalogue: every call of this package, and the filters of its large lists.

A row is its route, its grade (docs/octopia.md: [C] official, [C2] two implementations agree, [1] one source,
[I] inferred), a typed signature and a docstring; the body returns a flow. Both clients, the CLI, the docs and the tests
use this class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from octopus_soap._http import fits_header
from octopus_soap.octopia import models, packages
from octopus_soap.octopia.effects import Reply
from octopus_soap.octopia.errors import OctopiaInputError, OctopiaProtocolError
from octopus_soap.octopia.exchange import read_json
from octopus_soap.octopia.operation import listing, operation
from octopus_soap.octopia.packages import segment
from octopus_soap.octopia.paging import by_cursor, by_index, by_update, listed, one

if TYPE_CHECKING:
    from octopus_soap.octopia.effects import Flow, Stream
    from octopus_soap.octopia.exchange import Exchange
    from octopus_soap.octopia.packages import OfferDelete, OfferPackagePlan, OfferPackageReport, PackageType

ORDERS_PER_PAGE = 100  # ``pageSize`` of orders, at most ([C2])
OFFERS_PER_PAGE = 1000  # ``limit`` of offers, at most ([C])
Approval: TypeAlias = Literal["Accepted", "Refused"]  # of an order that waits for acceptance
_NOTHING: Mapping[str, str] = MappingProxyType({})
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+")
_OURS = frozenset({"authorization", "sellerid", "ocp-apim-subscription-key", "host", "content-length", "content-type"})


class _Filter:
    """Filters whose set fields become query parameters, with names in camelCase."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for given in fields(self):  # type: ignore[arg-type]  # its subclasses are dataclasses
            value = getattr(self, given.name)
            if isinstance(value, datetime) and value.utcoffset() is None:
                raise OctopiaInputError(f"{given.name} must be an aware datetime", argument=given.name)
            if isinstance(value, str) and given.type.startswith("Sequence"):
                raise OctopiaInputError(f"{given.name} must be a list of texts, not one text", argument=given.name)

    def query(self) -> list[tuple[str, str]]:
        """Return the filters as query parameters."""
        pairs: list[tuple[str, str]] = []
        for given in fields(self):  # type: ignore[arg-type]  # its subclasses are dataclasses
            value, (first, *rest) = getattr(self, given.name), given.name.split("_")
            if value is not None and (not isinstance(value, Sequence) or value):
                pairs.append((first + "".join(word.capitalize() for word in rest), _written(value)))
        return pairs


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return models.written_time(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter(_Filter):
    """Optional filters of orders ([C]; the spelling of their names is [C2]).

    Times are inclusive and must be aware: a wrong guess at the zone of a naive time would skip orders.
    """

    status: Sequence[str] = ()  # states, such as `OrderStatus.WAITING_ACCEPTANCE`; any of them
    reference: str | None = None
    sales_channel_id: str | None = None  # such as ``CDISFR``
    supply_mode: str | None = None  # see `SupplyMode`
    shipping_country: str | None = None  # the country code
    business_order: bool | None = None  # only business orders, or only other orders
    created_at_min: datetime | None = None
    created_at_max: datetime | None = None
    updated_at_min: datetime | None = None
    updated_at_max: datetime | None = None
    shipped_at_min: datetime | None = None  # to be shipped at or after
    shipped_at_max: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferFilter(_Filter):
    """Optional filters of offers [C]; the time must be aware."""

    offer_ids: Sequence[str] = ()
    offer_states: Sequence[str] = ()  # ``Active``, ``Inactive``
    gtins: Sequence[str] = ()
    seller_external_references: Sequence[str] = ()
    updated_at_min: datetime | None = None
    fields: Sequence[str] = ()  # more members than the five that always come
    expand: str | None = None  # ``salesChannelFeedback`` (Cdiscount only; ignored if `fields` is sent too)


EVERY_ORDER, EVERY_OFFER = OrderFilter(), OfferFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One parcel of a shipment ([C2] for the names).

    Raises:
        OctopiaInputError: The number or the carrier is empty.
    """

    parcel_number: str
    carrier_name: str  # as `OctopiaClient.carriers` lists it
    tracking_url: str | None = None
    order_line_ids: tuple[str, ...] = ()  # left out if empty, which ships the whole order ([1])

    def __post_init__(self) -> None:
        if not self.parcel_number.strip() or not self.carrier_name.strip():
            raise OctopiaInputError("a parcel needs its number and its carrier", argument="parcel_number")

    def body(self) -> dict[str, Any]:
        """Return the parcel as JSON data."""
        return packages.given_only({
            "parcelNumber": self.parcel_number, "carrierName": self.carrier_name,
            "trackingUrl": self.tracking_url, "orderLineIds": list(self.order_line_ids) or None,
        })  # fmt: skip # read as the JSON it becomes


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A successful answer to a raw write; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the JSON of the body, or None if it is empty.

        Raises:
            OctopiaProtocolError: It is not JSON. The call was carried out.
        """
        reply = Reply(status=self.status, headers=self.headers, body=self.body)
        return read_json(reply, "a raw call") if self.body.strip() else None


class Operations:
    """Every call of the clients.

    All can raise `OctopiaInputError` (an argument is refused, before anything is sent), `OctopiaConfigError` (no seller
    chosen), `TokenError`, `OctopiaTransportError`, `OctopiaProtocolError` and `ApiError`. Writes can also raise
    `WritesDisabledError` and `OctopiaOutcomeUnknownError`: then read the order or the package back.

    Arguments that mean the same in every call:
        order_id: Octopia's id of the order.
        decision: ``Accepted`` or ``Refused``.
        parcels: One or more parcels.
        sales_channel_id: Such as ``CDISFR`` for Cdiscount France.
        which: A filter of the orders or the offers; all by default.
        page_size: Orders per request, 1 to 100, or offers, 1 to 1000.
        start: The `position` of a listing to resume.
        package_type: ``Update``, ``Upsert`` or ``Delete``; case sensitive [C].
        package_id: The id of the package; for uploading and closing it must be ``WaitingForCompletion``.
        requests: 1 to 100 `OfferUpdate`, `OfferUpsert` or `OfferDelete`, of the package's type.
        path: Below the API's address, such as ``/categories``.
    """

    exchange: Exchange

    @operation("GET /sellers", grade="C")
    def seller(self) -> Flow[models.Seller]:
        """Return the seller's profile; the first call to make, without parameters [C].

        Authentication page, "First API Call". Octopia asks to make it occasionally, not all the time [C].
        """
        return one(self.exchange, "/sellers", models.Seller)

    @operation("GET /sellers/addresses", grade="C")
    def addresses(self) -> Flow[tuple[models.SellerAddress, ...]]:
        """Return the seller's addresses [C]; the form of the list is inferred [I]."""
        return listed(self.exchange, "/sellers/addresses", models.SellerAddress)

    @operation("GET /sellers/indicators", grade="C")
    def indicators(self) -> Flow[models.SellerIndicators]:
        """Return the seller's performance indicators [C]; their form is unknown [I]."""
        return one(self.exchange, "/sellers/indicators", models.SellerIndicators)

    @operation("GET /sellers/subscriptions", grade="C")
    def subscriptions(self) -> Flow[tuple[models.Subscription, ...]]:
        """Return the seller's sales channels [C]; the form of the list is inferred [I]."""
        return listed(self.exchange, "/sellers/subscriptions", models.Subscription)

    @operation("GET /carriers", grade="C")
    def carriers(self) -> Flow[tuple[models.Carrier, ...]]:
        """Return the carriers for shipments [C]; 66 were counted once [1]."""
        return listed(self.exchange, "/carriers", models.Carrier)

    @listing("GET /orders", grade="C")
    def orders(
        self,
        which: OrderFilter = EVERY_ORDER,
        *,
        page_size: int = ORDERS_PER_PAGE,
        sort: str | None = None,
        start: str = "",
        updated_after: datetime | None = None,
    ) -> Stream[models.Order]:
        """List orders, a page at a time; the answer's form is [C], the paging [C2].

        By default pages are numbered. Orders that change place while listing shift the pages. An order met again is
        returned again only if it has changed; an order that moves onto a page already read is missed (for example when
        orders are accepted while waiting ones are listed). With *updated_after*, pages follow the time of the last
        change, and nothing is missed.

        Args:
            which: Which orders; all by default.
            page_size: Orders per request, 1 to 100.
            start: The `position` of a listing to resume: the number of a page.
            sort: Such as ``createdAt`` or ``asc:updatedAt`` [1]; the API's own order by default.
            updated_after: List orders updated at or after this moment, the oldest change first ([1] for the order,
                which is checked). Resume with the `updated_at` of the last order.
        """
        _check_size(page_size, ORDERS_PER_PAGE)
        if updated_after is not None:
            query = OrderFilter(updated_at_min=updated_after).query() and which.query()  # the former checks the time
            if sort or start or which.updated_at_min is not None:
                what = "updated_after replaces sort, start and updated_at_min"
                raise OctopiaInputError(what, argument="updated_after")
            return by_update(self.exchange, "/orders", query, page_size=page_size, since=updated_after)
        if start and not (start.isascii() and start.isdigit() and int(start)):
            what = "start must be the position of a listing of orders: a page number"
            raise OctopiaInputError(what, argument="start")
        query = [*which.query(), *([("sort", sort)] if sort else [])]
        return by_index(self.exchange, "/orders", query, page_size=page_size, first=int(start or "1"))

    @operation("GET /orders/{orderId}", grade="C")
    def order(self, order_id: str) -> Flow[models.Order]:
        """Return one order [C]."""
        return one(self.exchange, f"/orders/{segment(order_id, 'order_id')}", models.Order)

    @operation("GET /orders/count", grade="1")
    def count_orders(self, which: OrderFilter = EVERY_ORDER) -> Flow[int]:
        """Return the number of orders; the answer was a bare number once [1]."""
        return _count(self.exchange, "/orders/count", which.query())

    @operation("POST /orders/{orderId}/approval-status", grade="C2", writes=True)
    def approve_order(self, order_id: str, decision: Approval) -> Flow[None]:
        """WRITES: accept or refuse a waiting order [C2]; Cdiscount only."""
        if decision not in ("Accepted", "Refused"):
            raise OctopiaInputError("decision must be Accepted or Refused", argument="decision")
        path = f"/orders/{segment(order_id, 'order_id')}/approval-status"
        return packages.done(self.exchange, "POST", path, {"approval_status": decision})

    @operation("POST /orders/{orderId}/shipments", grade="C2", writes=True)
    def ship_order(self, order_id: str, parcels: Sequence[Parcel]) -> Flow[None]:
        """WRITES: declare the parcels of an order that the seller is preparing [C2]."""
        if not parcels:
            raise OctopiaInputError("a shipment needs at least one parcel", argument="parcels")
        path = f"/orders/{segment(order_id, 'order_id')}/shipments"
        return packages.done(self.exchange, "POST", path, [parcel.body() for parcel in parcels])

    @listing("GET /offers", grade="C")
    def offers(
        self,
        sales_channel_id: str,
        which: OfferFilter = EVERY_OFFER,
        *,
        page_size: int = OFFERS_PER_PAGE,
        start: str = "",
    ) -> Stream[models.Offer]:
        """List the offers on one sales channel, a page at a time [C]."""
        _check_size(page_size, OFFERS_PER_PAGE)
        query = [("salesChannelId", packages.checked_channel(sales_channel_id)), ("limit", str(page_size))]
        return by_cursor(self.exchange, "/offers", [*query, *which.query()], models.Offer, start)

    @operation("POST /offer-packages", grade="C2", writes=True)
    def open_offer_package(self, sales_channel_id: str, package_type: PackageType = "Update") -> Flow[str]:
        """WRITES: open a package for a sales channel and return its id [C2]."""
        if package_type not in ("Update", "Upsert", "Delete"):
            raise OctopiaInputError("package_type must be Update, Upsert or Delete", argument="package_type")
        return packages.opened(self.exchange, packages.checked_channel(sales_channel_id), package_type)

    @operation("POST /offer-packages/{id}/offer-requests", grade="C2", writes=True)
    def upload_offer_requests(self, package_id: str, requests: Sequence[OfferDelete]) -> Flow[None]:
        """WRITES: add 1 to 100 requests to an open package [C2]."""
        return packages.uploaded(self.exchange, package_id, requests)

    @operation("PATCH /offer-packages/{id}", grade="C2", writes=True)
    def close_offer_package(self, package_id: str) -> Flow[None]:
        """WRITES: close a package, which lets Octopia integrate its requests [C2]."""
        return packages.closed(self.exchange, package_id)

    @operation("GET /offer-packages/{id}", grade="C")
    def offer_package(self, package_id: str) -> Flow[models.OfferPackage]:
        """Return a package and its state [C]."""
        return packages.looked_up(self.exchange, package_id)

    @listing("GET /offer-packages/{id}/offer-requests-results", grade="C")
    def offer_package_results(self, package_id: str, *, start: str = "") -> Stream[models.OfferRequestResult]:
        """List the outcome of each request of a package; Octopia keeps it for 3 days [C]."""
        return packages.results(self.exchange, package_id, start)

    @operation("POST+PATCH+GET /offer-packages", grade="C2", writes=True)
    def send_offer_package(
        self, plan: OfferPackagePlan, *, wait_seconds: float = 600.0, on_package: Callable[[str], None] | None = None
    ) -> Flow[OfferPackageReport]:
        """WRITES: send planned requests as one package and report per item [C2].

        Args:
            plan: From `plan_offer_package`.
            wait_seconds: How long to watch the package once it is closed, 0 or more. If Octopia has not finished then,
                `OfferPackageReport.finished` is False; the results can be read within 3 days [C].
            on_package: Called with the package id as soon as it is known. Store it: without it the package cannot be
                found again if this process dies.
        """
        if not wait_seconds >= 0:  # NaN fails too
            raise OctopiaInputError("wait_seconds must be 0 or more", argument="wait_seconds")
        return packages.sent(self.exchange, plan, wait_seconds, on_package)

    @operation("GET /{path}", grade="I")
    def get(self, path: str, query: Mapping[str, str] = _NOTHING) -> Flow[Any]:
        """Return the JSON of any other call that reads [I].

        Args:
            path: Below the API's address, such as ``/categories``.
            query: The parameters.
        """
        return self.exchange.read_json(_below(path), list(query.items()))

    @operation("POST+PUT+PATCH+DELETE /{path}", grade="I", writes=True)
    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = _NOTHING) -> Flow[RawAnswer]:
        """WRITES: make any other call that changes something [I].

        Args:
            method: ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
            path: Below the API's address.
            body: Sent as JSON; None sends no body.
            headers: More headers; not those that carry credentials.
        """
        if method not in ("POST", "PUT", "PATCH", "DELETE"):
            raise OctopiaInputError("method must be POST, PUT, PATCH or DELETE", argument="method")
        bad = [name for name, value in headers.items() if name.lower() in _OURS or not fits_header(f"{name}={value}")]
        if bad:
            raise OctopiaInputError(f"header {bad[0][:60]!r} cannot be sent", argument="headers")
        return _raw(self.exchange, method, _below(path), body, headers)


def _check_size(size: int, most: int) -> None:
    if not 1 <= size <= most:
        raise OctopiaInputError(f"page_size must be 1 to {most}, not {size}", argument="page_size")


def _below(path: str) -> str:
    plain = path.lower().replace("%2e", ".")
    if not _PATH.fullmatch(path) or any(part in {".", ".."} for part in plain.split("/")):
        raise OctopiaInputError("path must be one below the API's address, such as /categories", argument="path")
    return path


def _count(exchange: Exchange, path: str, query: list[tuple[str, str]]) -> Flow[int]:
    payload = yield from exchange.read_json(path, query)
    if isinstance(payload, Mapping):
        payload = payload.get("count")  # {"count": n} is how another list of this API counts ([1])
    if type(payload) is not int or payload < 0:
        raise OctopiaProtocolError(f"GET {path}: the answer holds no number", call=f"GET {path}")
    return payload


def _raw(exchange: Exchange, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Flow[RawAnswer]:
    reply = yield from exchange.write(method, path, body, headers)
    return RawAnswer(reply.status, reply.headers, reply.body)
