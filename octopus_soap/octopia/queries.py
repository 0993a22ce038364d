"""The filters of the two lists that can be filtered, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from octopus_soap.octopia.errors import InputError

ORDERS_PER_PAGE = 100
"""``pageSize`` of orders, at most ([C2])."""

OFFERS_PER_PAGE = 1000
"""``limit`` of offers, at most ([C])."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders to list or count; every filter is optional.

    docs/sources.md: the filters are official in kind [C], their spelling is [C2].

    Attributes:
        status: States, such as `OrderStatus.WAITING_ACCEPTANCE`; any of them.
        reference: The order's reference.
        sales_channel_id: Such as ``CDISFR``.
        supply_mode: See `SupplyMode`.
        shipping_country: The country code.
        business_order: Only business orders, or only others.
        created_at_min: Created at or after; aware.
        created_at_max: Created at or before; aware.
        updated_at_min: Updated at or after; aware.
        updated_at_max: Updated at or before; aware.
        shipped_at_min: To be shipped at or after; aware.
        shipped_at_max: To be shipped at or before; aware.

    Raises:
        InputError: A time is naive: a wrong guess at its zone would skip orders.
    """

    status: Sequence[str] = ()
    reference: str | None = None
    sales_channel_id: str | None = None
    supply_mode: str | None = None
    shipping_country: str | None = None
    business_order: bool | None = None
    created_at_min: datetime | None = None
    created_at_max: datetime | None = None
    updated_at_min: datetime | None = None
    updated_at_max: datetime | None = None
    shipped_at_min: datetime | None = None
    shipped_at_max: datetime | None = None

    def __post_init__(self) -> None:
        _check(self)

    def query(self) -> list[tuple[str, str]]:
        """Return the filters as query parameters."""
        return _query(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferFilter:
    """Which offers to list (docs/sources.md, [C]); every filter is optional.

    Attributes:
        offer_ids: Octopia's ids.
        offer_states: ``Active``, ``Inactive``.
        gtins: Product codes.
        seller_external_references: Your references.
        updated_at_min: Updated at or after; aware.
        fields: The members wanted besides the five that always come.
        expand: ``salesChannelFeedback`` (Cdiscount only; ignored by the API if `fields` is sent too).

    Raises:
        InputError: A time is naive.
    """

    offer_ids: Sequence[str] = ()
    offer_states: Sequence[str] = ()
    gtins: Sequence[str] = ()
    seller_external_references: Sequence[str] = ()
    updated_at_min: datetime | None = None
    fields: Sequence[str] = ()
    expand: str | None = None

    def __post_init__(self) -> None:
        _check(self)

    def query(self) -> list[tuple[str, str]]:
        """Return the filters as query parameters."""
        return _query(self)


def checked_size(size: int, most: int, argument: str) -> int:
    """Return *size* if it is 1 to *most*.

    Raises:
        InputError: It is not.
    """
    if not 1 <= size <= most:
        raise InputError(f"{argument} must be 1 to {most}, not {size}", argument=argument)
    return size


def _check(given: OrderFilter | OfferFilter) -> None:
    for field in fields(given):
        value = getattr(given, field.name)
        if isinstance(value, datetime) and value.utcoffset() is None:
            raise InputError(f"{field.name} must be an aware datetime", argument=field.name)
        if isinstance(value, str) and field.type.startswith("Sequence"):
            raise InputError(f"{field.name} must be a list of texts, not one text", argument=field.name)


def _query(given: OrderFilter | OfferFilter) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for field in fields(given):
        value = getattr(given, field.name)
        if value is None or (isinstance(value, Sequence) and not value):
            continue
        first, *rest = field.name.split("_")
        pairs.append((first + "".join(word.capitalize() for word in rest), _written(value)))
    return pairs


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, str):
        return str(value)
    return ",".join(map(str, value)) if isinstance(value, Sequence) else str(value)


EVERY_ORDER = OrderFilter()
EVERY_OFFER = OfferFilter()
