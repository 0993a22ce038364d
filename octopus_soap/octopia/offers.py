"""A stock and price update, planned before anything is sent.

A plan is data: it is checked, split and printed without a client, which is what a dry run is. Sending it is a decision
of its own, `OctopiaClient.send_offer_package`.

Facts (docs/sources.md, "Offers, JSON packages"): up to 100 requests per upload, up to 50,000 per package [C]; an
*Update* carries ``sellerExternalReference`` and the changed fields [C], so stock alone is reference and quantity [I]; a
price must come with its full list of taxes [C]; a reference that stands twice in one package has both rejected [1].
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from octopus_soap.octopia.errors import InputError
from octopus_soap.octopia.models import IntegrationStatus, OfferRequestResult, PackageState

if TYPE_CHECKING:
    from collections.abc import Iterable

UPLOAD_SIZE = 100
"""Offer requests per upload, at most ([C])."""

PACKAGE_SIZE = 50_000
"""Offer requests per package, at most ([C])."""

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax of a price.

    Attributes:
        code: As your account expects it: the sources disagree (``VAT``/``Ecotax`` or ``vat``/``ecoTax``/``deaTax``), so
            it is yours to choose.
        value: The value, in the unit your account expects; not negative.
    """

    code: str
    value: Decimal

    def __post_init__(self) -> None:
        if not self.code.strip():
            raise InputError("a tax needs a code", argument="code")
        _number(self.value, "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferUpdate:
    """New stock, new price, or both, of one offer.

    Attributes:
        seller_external_reference: Your reference of the offer.
        quantity: The stock, 0 or more; None leaves it as it is.
        price: Above 0; None leaves it as it is. A price of 0 is refused here: it is a slip far more often than a gift.
        taxes: The full tax list of the price ([C]: a price without it is incomplete). Needed with a price; an empty
            tuple says that there is none.
        origin_price: The price before a reduction, if any.
        currency_code: Such as ``EUR``; left out if None.

    Raises:
        InputError: A value is refused, or there is nothing to update. Floats are refused: money is exact.
    """

    seller_external_reference: str
    quantity: int | None = None
    price: Decimal | None = None
    taxes: tuple[Tax, ...] | None = None
    origin_price: Decimal | None = None
    currency_code: str | None = None

    def __post_init__(self) -> None:
        reference: Any = self.seller_external_reference  # callers without a type checker pass numbers
        if not isinstance(reference, str) or not reference.strip():
            raise InputError(
                "an offer update needs the seller's reference, as text", argument="seller_external_reference"
            )
        if self.quantity is None and self.price is None:
            raise InputError(f"{reference[:80]}: neither quantity nor price is given", argument="quantity")
        if self.quantity is not None and (type(self.quantity) is not int or self.quantity < 0):
            raise InputError(f"{reference[:80]}: quantity must be a whole number, 0 or more", argument="quantity")
        if self.price is None:
            if self.taxes is not None or self.origin_price is not None or self.currency_code is not None:
                raise InputError(
                    f"{reference[:80]}: taxes, origin_price and currency_code go with a price", argument="price"
                )
            return
        if _number(self.price, "price") <= 0:
            raise InputError(f"{reference[:80]}: price must be above 0", argument="price")
        if self.origin_price is not None:
            _number(self.origin_price, "origin_price")
        if self.taxes is None:
            raise InputError(
                f"{reference[:80]}: a price needs its full list of taxes, () if there are none", argument="taxes"
            )

    def body(self) -> dict[str, Any]:
        """Return the offer request as it is sent ([C2] for the names)."""
        body: dict[str, Any] = {"sellerExternalReference": self.seller_external_reference}
        if self.price is not None:
            price: dict[str, Any] = {"price": _number(self.price, "price")}
            if self.origin_price is not None:
                price["originPrice"] = _number(self.origin_price, "origin_price")
            if self.currency_code is not None:
                price["currencyCode"] = self.currency_code
            price["taxes"] = [{"code": tax.code, "value": _number(tax.value, "value")} for tax in self.taxes or ()]
            body["price"] = price
        if self.quantity is not None:
            body["quantity"] = self.quantity
        return body


def _number(value: Any, name: str) -> int | float:
    """Return *value* as the JSON number that reads back as exactly the same decimal.

    Raises:
        InputError: It is not a Decimal or int, not finite, negative, or too long to be exact.
    """
    if not isinstance(value, (Decimal, int)) or isinstance(value, bool):
        raise InputError(f"{name} must be a Decimal, not {type(value).__name__}: money is exact", argument=name)
    exact = Decimal(value)
    if not exact.is_finite() or exact < 0:
        raise InputError(f"{name} must be a finite number, 0 or more", argument=name)
    number = int(exact) if exact == exact.to_integral_value() and abs(exact) < 10**15 else float(exact)
    if Decimal(repr(number)) != exact:
        raise InputError(f"{name} has more digits than a JSON number carries exactly", argument=name)
    return number


@dataclass(frozen=True, slots=True)
class OfferPackagePlan:
    """An offer package before it is sent: checked and split, nothing else.

    Attributes:
        updates: What will be sent, in the order given.
        sales_channel_id: The sales channel, such as ``CDISFR`` for Cdiscount France.
    """

    updates: tuple[OfferUpdate, ...]
    sales_channel_id: str

    @property
    def uploads(self) -> tuple[tuple[OfferUpdate, ...], ...]:
        """The updates by upload, at most `UPLOAD_SIZE` each."""
        return tuple(self.updates[start : start + UPLOAD_SIZE] for start in range(0, len(self.updates), UPLOAD_SIZE))

    def __str__(self) -> str:
        stock = sum(update.quantity is not None for update in self.updates)
        price = sum(update.price is not None for update in self.updates)
        return (
            f"{len(self.updates)} offer updates ({stock} stock, {price} price) for {self.sales_channel_id} "
            f"in {len(self.uploads)} upload(s)"
        )


def plan_offer_package(updates: Iterable[OfferUpdate], *, sales_channel_id: str) -> OfferPackagePlan:
    """Check *updates* as one package and plan its uploads; nothing is sent.

    Args:
        updates: 1 to 50,000 updates, each reference once.
        sales_channel_id: The sales channel, such as ``CDISFR``.

    Raises:
        InputError: There are none or too many, or a reference stands twice (Octopia would reject both [1]).
    """
    every = tuple(updates)
    if not 1 <= len(every) <= PACKAGE_SIZE:
        raise InputError(f"a package holds 1 to {PACKAGE_SIZE} updates, not {len(every)}", argument="updates")
    counted = Counter(update.seller_external_reference for update in every)
    twice = [reference[:80] for reference, count in counted.items() if count > 1]
    if twice:
        raise InputError(
            f"{len(twice)} reference(s) stand more than once: {', '.join(twice[:_SHOWN])}; Octopia would reject them",
            argument="updates",
        )
    if not sales_channel_id.strip() or not sales_channel_id.isascii() or not sales_channel_id.isprintable():
        raise InputError("sales_channel_id must be printable ASCII, such as CDISFR", argument="sales_channel_id")
    return OfferPackagePlan(every, sales_channel_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferPackageReport:
    """What became of a package. A package that was accepted is not an offer that was changed: judge per item.

    Attributes:
        package_id: The id Octopia gave it.
        state: The last state seen; see `PackageState`.
        sent: The references sent, in order.
        results: One result per request, as far as Octopia has given them.
    """

    package_id: str
    state: str
    sent: tuple[str, ...] = field(repr=False)
    results: tuple[OfferRequestResult, ...] = field(default=(), repr=False)

    @property
    def finished(self) -> bool:
        """Whether Octopia has finished with the package."""
        return self.state in {PackageState.INTEGRATED, PackageState.REJECTED}

    @property
    def integrated(self) -> tuple[str, ...]:
        """References whose update took effect."""
        return tuple(str(r.seller_external_reference) for r in self.results if _took_effect(r))

    @property
    def refused(self) -> tuple[OfferRequestResult, ...]:
        """Results of the updates that did not take effect, with the reasons."""
        return tuple(r for r in self.results if not _took_effect(r))

    @property
    def unreported(self) -> tuple[str, ...]:
        """References sent for which no result came."""
        reported = {r.seller_external_reference for r in self.results}
        return tuple(reference for reference in self.sent if reference not in reported)


def _took_effect(result: OfferRequestResult) -> bool:
    return result.integration_status == IntegrationStatus.INTEGRATED
