"""Answers of the API as tolerant models.

Rules (docs/octopia.md: no full field list is public):

1. Every field is optional. A missing one is None, or an empty tuple for lists.
2. A value that does not fit its field is not an error: the field stays empty, `unread` names it, `raw` has the value.
3. Unknown members are kept in `model_extra`. Unknown values of enumerations such as the order states stay text: the
   `StrEnum` classes below have the known values, for comparing, and no field is typed with them.
4. Names are compared by their letters and digits alone, because the API spells members in snake_case (sellers),
   camelCase (orders, offers) and with hyphens (the docs of subscriptions): ``subscription-id``, ``subscription_id`` and
   ``subscriptionId`` are one field.
5. Ids are `str`, also if a number is sent: the seller id is a number in one place and a header in another. Money is
   `Decimal`. Times are aware; a time without an offset is taken as UTC ([I]), and `raw` has the text sent.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Self

import pydantic

_UNWANTED = re.compile(r"[^a-z0-9]")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def _fold(name: object) -> str:
    return _UNWANTED.sub("", str(name).lower())


def _written_as_date(value: Any) -> Any:
    # pydantic would also read 7200, as two o'clock on the first of January 1970.
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("not a date and time")


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def written_time(value: datetime) -> str:
    """Return *value* as the API's queries need it: UTC, cut to milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# A point in time, always aware.
Instant = Annotated[datetime, pydantic.BeforeValidator(_written_as_date), pydantic.AfterValidator(_aware)]


class OctopiaModel(pydantic.BaseModel):
    """Base of all answers; see the rules at the top of the module."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True, protected_namespaces=())
    _raw: Mapping[str, Any] = pydantic.PrivateAttr(default_factory=dict[str, Any])

    @property
    def raw(self) -> Mapping[str, Any]:
        """The JSON object as it came; numbers with a point are `Decimal`."""
        return self._raw

    @property
    def unread(self) -> tuple[str, ...]:
        """Names of the fields whose value was sent but does not fit."""
        given = {_fold(name) for name, value in self._raw.items() if value not in (None, [], {}, "")}
        return tuple(f for f in type(self).model_fields if _fold(f) in given and getattr(self, f) in (None, ()))

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Leave out the empty fields, which most fields are."""
        return [(name, value) for name, value in super().__repr_args__() if value not in (None, ())]

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _keep_raw(cls, data: Any, handler: pydantic.ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(data, Mapping):
            return handler(data)
        names, renamed = _names_of(cls), dict[str, Any]()
        for name, value in data.items():
            renamed.setdefault(names.get(_fold(name), str(name)), value)
        made = handler(renamed)
        made._raw = data  # noqa: SLF001 - its own private attribute
        return made

    @pydantic.field_validator("*", mode="wrap")
    @classmethod
    def _tolerate(
        cls, value: Any, handler: pydantic.ValidatorFunctionWrapHandler, info: pydantic.ValidationInfo
    ) -> Any:
        default = cls.model_fields[info.field_name or ""].get_default()
        if value is None:
            return default
        try:
            return handler(value)
        except (ValueError, TypeError, ArithmeticError):  # pydantic's error is a ValueError
            return default


class SellerState(StrEnum):
    """Known values of `Seller.seller_state` ([C])."""

    ACTIVATED = "Activated"
    DEACTIVATED = "Deactivated"
    PUT_ON_NOTICE = "PutOnNotice"


class Seller(OctopiaModel):
    """A seller's profile (docs/octopia.md; the pages' "first call")."""

    seller_id: str | None = None
    login: str | None = None
    api_login: str | None = None
    creation_date: Instant | None = None
    last_update_date: Instant | None = None
    shop_name: str | None = None
    shop_url: str | None = None
    siret_number: str | None = None
    email: str | None = None
    sales_advices_email: str | None = None
    seller_state: str | None = None
    seller_sub_state: str | None = None
    subscription_step: str | None = None
    auto_accept_order: bool | None = None
    fulfillment_profile_id: str | None = None
    language: str | None = None


class SellerAddress(OctopiaModel):
    """One of a seller's addresses."""

    type: str | None = None
    address: str | None = None
    zip_code: str | None = None
    city: str | None = None
    country: str | None = None


class SellerIndicators(OctopiaModel):
    """A seller's performance, as sent: the form of the indicators is not documented."""

    order_acceptation: Any = None
    product_shipping: Any = None
    deadline_compliance: Any = None
    order_claims: Any = None
    order_refunds: Any = None


class Subscription(OctopiaModel):
    """A seller's subscription to a sales channel (not a webhook)."""

    subscription_id: str | None = None
    sales_channel_id: str | None = None
    status: str | None = None
    action: str | None = None
    offer_submission_currency: str | None = None
    seller_payment_currency: str | None = None


class Carrier(OctopiaModel):
    """A carrier for shipments."""

    code: str | None = None
    label: str | None = None
    additional_parameters_required: Any = None


class OrderStatus(StrEnum):
    """Known order states ([C] up to SHIPPED; the rest [1])."""

    PROCESSING = "Processing"
    WAITING_ACCEPTANCE = "WaitingAcceptance"
    REFUSED = "Refused"
    ACCEPTED = "Accepted"
    IN_PREPARATION = "InPreparation"
    SHIPPED = "Shipped"
    DELIVERED = "Delivered"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"


class SupplyMode(StrEnum):
    """The party that sends the goods ([C])."""

    SELLER = "Seller"
    FULFILLMENT = "Fulfillment"
    XDOCK = "Xdock"


class Reference(OctopiaModel):
    """A sales channel, a seller or a customer, by its id, its reference or both."""

    id: str | None = None
    name: str | None = None
    reference: str | None = None


class Details(OctopiaModel):
    """A payment or an address; unconfirmed members are in `model_extra`."""

    method: str | None = None
    civility: str | None = None


class TotalPrice(OctopiaModel):
    """The totals of an order or a line ([1])."""

    offer_price: Decimal | None = None
    selling_price: Decimal | None = None


class OrderedOffer(OctopiaModel):
    """The offer an order line was made from ([1])."""

    id: str | None = None
    seller_product_id: str | None = None
    supply_mode: str | None = None
    product_id: str | None = None
    product_title: str | None = None
    condition: str | None = None
    product_gtin: str | None = None


class Delivery(OctopiaModel):
    """When and how a line is to be delivered ([1])."""

    mode: str | None = None
    promised_at_min: Instant | None = None
    promised_at_max: Instant | None = None
    shipped_at_max: Instant | None = None


class OrderLine(OctopiaModel):
    """One line of an order ([1]); the price blocks vary and are left as sent."""

    order_line_id: str | None = None
    status: str | None = None
    quantity: int | None = None
    total_price: Any = None
    offer_price: Any = None
    selling_price: Any = None
    offer: OrderedOffer | None = None
    delivery: Delivery | None = None
    shipping_address: Details | None = None
    parcels: Any = None


class Order(OctopiaModel):
    """An order ([C] for the head, [1] for totals and lines)."""

    order_id: str | None = None
    reference: str | None = None
    business_order: bool | None = None
    sales_channel: Reference | None = None
    seller: Reference | None = None
    customer: Reference | None = None
    purchased_at: Instant | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None
    shipped_at_max: Instant | None = None
    status: str | None = None
    payment: Details | None = None
    currency_code: str | None = None
    billing_address: Details | None = None
    total_price: TotalPrice | None = None
    service_fees: Any = None
    status_events: Any = None
    lines: tuple[OrderLine, ...] = ()


class Offer(OctopiaModel):
    """An offer; other members than the five always sent ([C]) are in `model_extra`."""

    offer_id: str | None = None
    seller_external_reference: str | None = None
    offer_state: str | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class PackageState(StrEnum):
    """Known states of an offer package ([C])."""

    WAITING_FOR_COMPLETION = "WaitingForCompletion"
    READY = "Ready"
    INTEGRATION_PENDING = "IntegrationPending"
    INTEGRATED = "Integrated"
    REJECTED = "Rejected"


class OfferPackage(OctopiaModel):
    """An offer package and its state."""

    package_id: str | None = None
    state: str | None = None
    package_type: str | None = None


class IntegrationStatus(StrEnum):
    """Known outcomes of one offer request ([C])."""

    INTEGRATED = "Integrated"
    REJECTED = "Rejected"
    DUPLICATED = "Duplicated"


class ResultMessage(OctopiaModel):
    """A reason for the outcome of an offer request."""

    result_code: str | None = None
    message: str | None = None


class OfferRequestResult(OctopiaModel):
    """The outcome of one offer request; kept by Octopia for 3 days ([C])."""

    seller_external_reference: str | None = None
    integration_status: str | None = None
    results: tuple[ResultMessage, ...] = ()


@cache
def _names_of(model: type[OctopiaModel]) -> Mapping[str, str]:
    """Return the field names of *model* by their folded form."""
    return {_fold(name): name for name in model.model_fields}
