"""The models of orders and their filters (vendor's page, Data Models).

The page never defines `OrderResponseItem`. The model here is reconstructed: the members of `OrderSubmit`, those that
the filters and confirmations need, and those of the API this one descends from. Every member is optional, unknown
members are kept in `model_extra`, and the properties (`id`, `placed`, `lines`, …) read either form that a service may
send.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BeforeValidator, ValidationError, model_validator

from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models.base import WireModel, member
from octopus_soap.models.scalars import Amount, Flag, Int32, Moment, OpenEnum, Text, moment_of, refused

if TYPE_CHECKING:
    from datetime import date, timedelta

M = TypeVar("M", bound=WireModel)


class PaymentStatusCode(OpenEnum):
    """Payment status of an order (vendor's page, PaymentStatusCode).

    An unknown text of a reply is kept.
    """

    NO_CHANGE = "NoChange"
    NOT_SUBMITTED = "NotSubmitted"
    SUBMITTED = "Submitted"
    DEPOSITED = "Deposited"
    CLEARED = "Cleared"
    FAILED = "Failed"


class ShippingStatusCode(OpenEnum):
    """Shipping status of an order (vendor's page, ShippingStatusCode).

    An unknown text of a reply is kept.
    """

    NO_CHANGE = "NoChange"
    UNSHIPPED = "Unshipped"
    PENDING_SHIPMENT = "PendingShipment"
    PARTIALLY_SHIPPED = "PartiallyShipped"
    SHIPPED = "Shipped"


def _filter(codes: type[OpenEnum]) -> BeforeValidator:
    # A WCF server answers an unknown text with a fault, so a plain one is refused. A member that was made on purpose,
    # PaymentStatusCode("NewOne"), is accepted.
    def check(value: Any) -> Any:
        if isinstance(value, str) and not isinstance(value, codes) and not codes(value).known:
            spelled = next((code for code in codes if code.casefold() == value.casefold()), None)
            if spelled is None:
                raise refused(f"unknown status; the page lists {', '.join(codes)}")
            return spelled
        return value

    return BeforeValidator(check)


class OrderCriteria(WireModel):
    """A filter for orders; unset members filter nothing.

    A creation window may be open at one side if the contract in force lets the other time be left out. Otherwise the
    server would read it as year 1, which matches no order, and the call is refused.
    """

    order_creation_filter_begin_time_gmt: Moment | None = member("OrderCreationFilterBeginTimeGMT")
    order_creation_filter_end_time_gmt: Moment | None = member("OrderCreationFilterEndTimeGMT")
    order_id_list: list[Int32] | None = member("OrderIDList", "Int[] on the page")
    payment_status_filter: Annotated[PaymentStatusCode, _filter(PaymentStatusCode)] | None = member(
        "PaymentStatusFilter"
    )
    shipping_status_filter: Annotated[ShippingStatusCode, _filter(ShippingStatusCode)] | None = member(
        "ShippingStatusFilter"
    )

    @classmethod
    def since(
        cls,
        when: str | date | timedelta,
        until: str | date | timedelta | None = None,
        *,
        status: PaymentStatusCode | str | None = None,
        shipping: ShippingStatusCode | str | None = None,
    ) -> Self:
        """Return the criteria of orders created since a moment, such as `since("7d")`.

        Args:
            when: `7d`, `4w`, `12h`, `30m` or a timedelta: that long ago; `today`, `yesterday` or a date: its beginning
                in UTC; or a time with its zone.
            until: the same, for the end; now by default.
            status: payment status, in any case.
            shipping: shipping status, in any case.

        Raises:
            InvalidInputError: a time or a status is not valid, or *when* is after *until*.
        """
        now = datetime.now(UTC)
        problems: list[Problem] = []
        members: dict[str, Any] = {}
        for name, field, given in (("when", "begin", when), ("until", "end", now if until is None else until)):
            try:
                members[f"order_creation_filter_{field}_time_gmt"] = moment_of(given, now)
            except ValueError as error:
                problems.append(Problem(str(error), field=name))
        if problems:
            raise InvalidInputError(problems)
        if status is not None:
            members["payment_status_filter"] = status
        if shipping is not None:
            members["shipping_status_filter"] = shipping
        return cls(**members)

    @model_validator(mode="after")
    def _times_in_order(self) -> Self:
        begin, end = self.order_creation_filter_begin_time_gmt, self.order_creation_filter_end_time_gmt
        if begin is not None and end is not None and begin > end:
            raise refused("the begin of the creation window is after its end")
        return self


class AddressInfo(WireModel):
    """A shipping or billing address.

    The page's table has a row without a name between Phone and CustomerId; `email` is the likely one.
    """

    first_name: Text | None = member("FirstName")
    last_name: Text | None = member("LastName")
    address1: Text | None = member("Address1")
    address2: Text | None = member("Address2")
    city: Text | None = member("City")
    state: Text | None = member("State")
    country: Text | None = member("Country")
    zip: Text | None = member("Zip")
    phone: Text | None = member("Phone")
    email: Text | None = member("Email", "reconstructed: the page's row has no name")
    customer_id: Text | None = member("CustomerId")

    read_aliases: ClassVar[dict[str, str]] = {
        "AddressLine1": "address1",
        "AddressLine2": "address2",
        "Region": "state",
        "PostalCode": "zip",
        "CountryCode": "country",
        "PhoneNumberDay": "phone",
    }


class OrderItem(WireModel):
    """A line of an order."""

    key_field: ClassVar[str] = "sku"

    sku: Text | None = member("sku")
    quantity: Int32 | None = member("Quantity")
    unit_price: Amount | None = member("UnitPrice", "base price per unit")
    description: Text | None = member("Description")
    item_tax: Amount | None = member("ItemTax")
    item_discount: Amount | None = member("ItemDiscount")

    read_aliases: ClassVar[dict[str, str]] = {"Title": "description", "TaxCost": "item_tax"}


class _Order(WireModel):
    """The members that a submitted and a downloaded order share."""

    key_field: ClassVar[str] = "order_id"
    secret_fields: ClassVar[frozenset[str]] = frozenset({"credit_card"})

    order_id: Text | None = member("OrderID")
    order_date: Moment | None = member("OrderDate")
    ship: AddressInfo | None = member("Ship")
    bill: AddressInfo | None = member("Bill")
    shipping: Text | None = member("Shipping")
    credit_card: Text | None = member("CreditCard")
    order_items: list[OrderItem] | None = member("orderItems")
    sub_total: Amount | None = member("SubTotal")
    shipping_total: Amount | None = member("ShippingTotal")
    tax_total: Amount | None = member("TaxTotal")
    total: Amount | None = member("Total")
    web_comment: Text | None = member("WebComment")
    error_message: Text | None = member("ErrorMessage")


class OrderSubmit(_Order):
    """A new order for the Channel."""


class OrderResponseItem(_Order):
    """A downloaded order (reconstructed; every member is optional)."""

    store_id: Text | None = member("StoreId")
    third_party_order_number: Text | None = member("ThirdPartyOrderNumber")
    payment_status: PaymentStatusCode | None = member("PaymentStatus")
    shipping_status: ShippingStatusCode | None = member("ShippingStatus")
    number_of_matches: Int32 | None = member("NumberOfMatches")
    order_time_gmt: Moment | None = member("OrderTimeGMT")
    last_update_date: Moment | None = member("LastUpdateDate")
    date_cancelled_gmt: Moment | None = member("DateCancelledGMT")
    order_state: Text | None = member("OrderState")
    client_order_identifier: Text | None = member("ClientOrderIdentifier")
    seller_order_id: Text | None = member("SellerOrderID")
    buyer_email_address: Text | None = member("BuyerEmailAddress")

    read_aliases: ClassVar[dict[str, str]] = {
        "idorder": "order_id",
        "Id": "order_id",
        "TotalOrderAmount": "total",
        "ShippingInfo": "ship",
        "BillingInfo": "bill",
    }

    @property
    def id(self) -> str:
        """The order's id as text; empty if the service sent none."""
        return self.order_id or ""

    @property
    def placed(self) -> datetime | None:
        """When the order was placed."""
        return self.order_date or self.order_time_gmt

    @property
    def lines(self) -> list[OrderItem]:
        """The order's lines, empty if the service sent none.

        Raises:
            ValueError: a line of the older form (`ShoppingCart`) cannot be read.
        """
        if self.order_items is not None:
            return self.order_items
        return [_read(OrderItem, row) for row in _rows(self._extra("ShoppingCart", "LineItemSKUList"))]

    @property
    def tax(self) -> Decimal | None:
        """The order's tax: `TaxTotal`, or the sum of the older form's SalesTax lines.

        Raises:
            ValueError: an amount of the older form cannot be read.
        """
        if self.tax_total is not None:
            return self.tax_total
        rows = _rows(self._extra("ShoppingCart", "LineItemInvoiceList"))
        texts = [row.get("UnitPrice") or "" for row in rows if row.get("LineItemType") == "SalesTax"]
        amounts = [_read(OrderItem, {"UnitPrice": text}).unit_price for text in texts if str(text).strip()]
        return sum((amount for amount in amounts if amount is not None), Decimal(0)) if amounts else None

    @property
    def payment(self) -> PaymentStatusCode | None:
        """Payment status, from either form."""
        text = self._extra("OrderStatus", "PaymentStatus")
        return self.payment_status or (PaymentStatusCode(text) if isinstance(text, str) and text else None)

    @property
    def delivery(self) -> ShippingStatusCode | None:
        """Shipping status, from either form."""
        text = self._extra("OrderStatus", "ShippingStatus")
        return self.shipping_status or (ShippingStatusCode(text) if isinstance(text, str) and text else None)

    @property
    def reference(self) -> str | None:
        """The marketplace's own number of the order."""
        return self.third_party_order_number or self.client_order_identifier or self.seller_order_id

    def _extra(self, *path: str) -> Any:
        found: Any = self.model_extra or {}
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found


def _rows(container: Any) -> list[dict[str, Any]]:
    if not isinstance(container, dict):
        return []
    found: list[dict[str, Any]] = []
    for value in container.values():
        found += [row for row in (value if isinstance(value, list) else [value]) if isinstance(row, dict)]
    return found


def _read(model: type[M], row: dict[str, Any]) -> M:
    names = {**model.wire_names(), **model.read_aliases}
    folded = {name.casefold(): attribute for name, attribute in names.items()}
    known = {folded[name.casefold()]: value for name, value in row.items() if name.casefold() in folded}
    try:
        return model.model_validate(known)
    except ValidationError as error:
        raise refused(f"a {model.__name__} cannot be read: {error.errors()[0]['msg']}") from None


class OrderDownloadSubmitRequest(WireModel):
    """A downloaded order, as a confirmation names it."""

    key_field: ClassVar[str] = "order_id"

    order_id: Text | None = member("OrderId")
    third_party_order_number: Text | None = member("ThirdPartyOrderNumber")
    store_id: Text | None = member("StoreId")


class SubmitOrderResponseItem(WireModel):
    """The outcome of a submitted order."""

    key_field: ClassVar[str] = "id_order"

    id_order: Text | None = member("idorder", "the Octopus identifier of the order record")
    result: Flag | None = member("Result")
    error_message: Text | None = member("ErrorMessage")
