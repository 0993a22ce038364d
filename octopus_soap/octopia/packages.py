"""Offer packages: planned as data, then sent in four calls.

A plan is checked, split and printed without a client (a dry run), and sent by a call of its own.

Facts (docs/octopia.md): up to 100 requests per upload, up to 50,000 per package [C]. A package is of one type:
*Update* has ``sellerExternalReference`` and the changed fields [C], so stock alone is reference and quantity [I];
*Upsert* needs product, price and quantity [C], and the first request for an offer must be an upsert [1]; *Delete* has
the reference alone [1]. A price must come with its full list of taxes [C]. If a reference occurs twice in a package,
both requests are rejected [1].

The order of calls ([C] for the workflow, [C2] for the bodies): open; upload 100 requests at a time, each time waiting
until the package is ``WaitingForCompletion`` again; close with ``Ready``; watch until it has ended; read one result per
request. A write is repeated only if it was certainly not applied. Once the package id is known, every error has it:
the requests uploaded stay in the package, and a package that was never closed is not integrated ([I]).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote, urlsplit

from octopus_soap._http import fits_header
from octopus_soap.octopia.effects import Flow, Sleep, Stream, next_page
from octopus_soap.octopia.errors import OctopiaError, OctopiaInputError, OctopiaOutcomeUnknownError, OfferPackageError
from octopus_soap.octopia.models import IntegrationStatus, OfferPackage, OfferRequestResult, PackageState
from octopus_soap.octopia.paging import by_cursor, one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from octopus_soap.octopia.exchange import Exchange

UPLOAD_SIZE = 100  # offer requests per upload, at most ([C])
PACKAGE_SIZE = 50_000  # offer requests per package, at most ([C])
SETTLE_SECONDS = 600.0  # how long one upload may take to settle before the package is given up
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 1.0, 30.0
RESULT_LOOKS = 5  # how often the results of an ended package are read at most, because some may come late

PackageType: TypeAlias = Literal["Update", "Upsert", "Delete"]
_PATH = "/offer-packages"
_OPEN = PackageState.WAITING_FOR_COMPLETION
# States after closing that are not the last; any other, known or not, is an end.
_UNDER_WAY = frozenset({"", PackageState.WAITING_FOR_COMPLETION, PackageState.READY, PackageState.INTEGRATION_PENDING})
_SETTLED = frozenset({_OPEN, PackageState.INTEGRATED, PackageState.REJECTED})


def _refused(message: str, argument: str) -> OctopiaInputError:
    return OctopiaInputError(message, argument=argument)


def segment(value: Any, argument: str) -> str:
    """Return *value* as one path segment; refuse what would change the path."""
    if not isinstance(value, str) or not value.strip() or value in {".", ".."}:
        raise _refused(f"{argument} must be a non-empty text", argument)
    return quote(value, safe="")


def checked_channel(value: Any) -> str:
    """Return *value* if it can be sent as a sales channel, in a header or a query."""
    if not isinstance(value, str) or not fits_header(value):
        raise _refused("sales_channel_id must be printable ASCII; Cdiscount France is CDISFR", "sales_channel_id")
    return value


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax of a price."""

    code: str  # as your account expects it: the sources disagree (``VAT``/``Ecotax`` or ``vat``/``ecoTax``/``deaTax``)
    value: Decimal  # in the unit that your account expects, not negative

    def __post_init__(self) -> None:
        self.body()

    def body(self) -> dict[str, Any]:
        """Return the tax as JSON data."""
        return {"code": _code(self.code), "value": _number(self.value, "value")}


@dataclass(frozen=True, slots=True)
class DeliveryMode:
    """One way to deliver an offer, and its cost to the customer."""

    code: str  # as ``GET /sellers/delivery-modes`` lists it: the codes differ per account [1]
    cost: Decimal  # of the first unit
    additional_cost: Decimal | None = None  # of each further unit

    def __post_init__(self) -> None:
        self.body()

    def body(self) -> dict[str, Any]:
        """Return the delivery mode as JSON data."""
        more = None if self.additional_cost is None else _number(self.additional_cost, "additional_cost")
        return given_only({"code": _code(self.code), "cost": _number(self.cost, "cost"), "additionalCost": more})


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferDelete:
    """The deletion of one offer, by your reference ([1] for the body)."""

    seller_external_reference: str

    def __post_init__(self) -> None:
        reference: Any = self.seller_external_reference  # callers without a type checker pass numbers
        if not isinstance(reference, str) or not reference.strip():
            raise _refused(f"an offer needs a reference, as text (got {reference!r:.80})", "seller_external_reference")

    def body(self) -> dict[str, Any]:
        """Return the offer request as JSON data."""
        return {"sellerExternalReference": self.seller_external_reference}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferUpdate(OfferDelete):
    """New values of one existing offer; None leaves a value unchanged.

    Raises:
        OctopiaInputError: A value is refused, or there is nothing to update. Floats are refused: money is exact.
    """

    quantity: int | None = None  # the stock
    price: Decimal | None = None  # above 0: a price of 0 is almost always a mistake
    taxes: tuple[Tax, ...] | None = None  # the full tax list, needed with a price ([C]); () if there are none
    origin_price: Decimal | None = None  # the price before a reduction
    currency_code: str | None = None  # such as ``EUR``
    preparation_time: int | None = None  # days until the goods leave
    delivery_modes: tuple[DeliveryMode, ...] | None = None  # the whole list

    def __post_init__(self) -> None:
        OfferDelete.__post_init__(self)  # super() without arguments fails in a slots dataclass
        named = self.seller_external_reference[:80]
        if all(v is None for v in (self.quantity, self.price, self.preparation_time, self.delivery_modes)):
            raise _refused(f"{named}: neither quantity nor price nor anything else is given", "quantity")
        for argument, count in (("quantity", self.quantity), ("preparation_time", self.preparation_time)):
            if count is not None and (type(count) is not int or count < 0):
                raise _refused(f"{named}: {argument} must be an int, 0 or more (got {count!r:.60})", argument)
        if self.delivery_modes is not None and not self.delivery_modes:
            raise _refused(f"{named}: an empty list of delivery modes would leave no way to deliver", "delivery_modes")
        if self.price is None:
            if self.taxes is not None or self.origin_price is not None or self.currency_code is not None:
                raise _refused(f"{named}: taxes, origin_price and currency_code go with a price", "price")
            return
        if _number(self.price, "price", f"{named}: ") <= 0:
            raise _refused(f"{named}: price must be above 0 (got {self.price})", "price")
        if self.origin_price is not None:
            _number(self.origin_price, "origin_price", f"{named}: ")
        if self.taxes is None:
            raise _refused(f"{named}: a price needs its full list of taxes, () if there are none", "taxes")

    def body(self) -> dict[str, Any]:
        """Return the offer request as it is sent ([C2] for the names)."""
        price = None if self.price is None else {
            "price": _number(self.price, "price"),
            "originPrice": None if self.origin_price is None else _number(self.origin_price, "origin_price"),
            "currencyCode": self.currency_code,
            "taxes": [tax.body() for tax in self.taxes or ()],
        }  # fmt: skip # read as the JSON it becomes
        body = {
            "price": price and given_only(price), "quantity": self.quantity, "preparationTime": self.preparation_time,
            "deliveryModes": None if self.delivery_modes is None else [mode.body() for mode in self.delivery_modes],
        }  # fmt: skip # read as the JSON it becomes
        return OfferDelete.body(self) | given_only(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferUpsert(OfferUpdate):
    """A whole offer: created if the reference is new, replaced otherwise.

    It needs price, taxes, quantity, and the product by its `gtin` or by Octopia's `product_reference` [C].
    """

    gtin: str | None = None
    product_reference: str | None = None
    condition: str = "New"

    def __post_init__(self) -> None:
        OfferUpdate.__post_init__(self)
        named = self.seller_external_reference[:80]
        if self.price is None or self.quantity is None:
            raise _refused(f"{named}: an upsert needs price, taxes and quantity", "price")
        if not (self.gtin or self.product_reference) or not self.condition.strip():
            raise _refused(f"{named}: an upsert needs gtin or product_reference, and a condition", "gtin")

    def body(self) -> dict[str, Any]:
        """Return the offer request as it is sent ([C2] for the names)."""
        product = given_only({"gtin": self.gtin or None, "reference": self.product_reference or None})
        return {**OfferUpdate.body(self), "product": product, "condition": self.condition}


def given_only(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of *body* that are not None."""
    return {name: value for name, value in body.items() if value is not None}


def _code(value: str) -> str:
    if not value.strip():
        raise _refused("a tax and a delivery mode need a code", "code")
    return value


def _number(value: Any, name: str, of: str = "") -> int | float:
    """Return *value* as a JSON number that is read back as exactly the same decimal."""
    if not isinstance(value, (Decimal, int)) or isinstance(value, bool):
        raise _refused(f"{of}{name} must be a Decimal, as money is exact (got {value!r:.60})", name)
    exact = Decimal(value)
    if not exact.is_finite() or exact < 0:
        raise _refused(f"{of}{name} must be a finite number, 0 or more (got {value!r:.60})", name)
    number = int(exact) if exact == exact.to_integral_value() and abs(exact) < 10**15 else float(exact)
    if Decimal(repr(number)) != exact:
        raise _refused(f"{of}{name} has more digits than a JSON number carries exactly (got {value})", name)
    return number


@dataclass(frozen=True, slots=True)
class OfferPackagePlan:
    """An offer package before it is sent: checked requests, in the order given."""

    requests: tuple[OfferDelete, ...]
    sales_channel_id: str
    package_type: PackageType = "Update"

    @property
    def uploads(self) -> tuple[tuple[OfferDelete, ...], ...]:
        """The requests by upload, at most `UPLOAD_SIZE` each."""
        return tuple(self.requests[start : start + UPLOAD_SIZE] for start in range(0, len(self.requests), UPLOAD_SIZE))

    def __str__(self) -> str:
        updates = [request for request in self.requests if isinstance(request, OfferUpdate)]
        stock, price = (sum(getattr(u, name) is not None for u in updates) for name in ("quantity", "price"))
        what = f"{self.package_type.lower()}s" + (f" ({stock} stock, {price} price)" if updates else "")
        return f"{len(self.requests)} offer {what} for {self.sales_channel_id} in {len(self.uploads)} upload(s)"


def plan_offer_package(requests: Iterable[OfferDelete], *, sales_channel_id: str) -> OfferPackagePlan:
    """Check *requests* as one package and plan its uploads; nothing is sent.

    Args:
        requests: 1 to 50,000 `OfferUpdate`, `OfferUpsert` or `OfferDelete`, all of one kind, each reference once.
        sales_channel_id: The sales channel, such as ``CDISFR``.

    Raises:
        OctopiaInputError: The requests are none, too many or of several kinds, or a reference occurs twice (Octopia
            would reject both [1]).
    """
    every = tuple(requests)
    if not 1 <= len(every) <= PACKAGE_SIZE:
        raise _refused(f"a package holds 1 to {PACKAGE_SIZE} requests, not {len(every)}", "requests")
    kinds: dict[type[OfferDelete], PackageType] = {OfferUpdate: "Update", OfferUpsert: "Upsert", OfferDelete: "Delete"}
    if len({type(request) for request in every}) > 1:
        raise _refused("a package is of one kind: plan updates, upserts and deletions apart", "requests")
    counted = Counter(request.seller_external_reference for request in every)
    if twice := [reference[:80] for reference, count in counted.items() if count > 1]:
        shown = ", ".join(twice[:5])
        raise _refused(f"{len(twice)} reference(s) occur more than once: {shown}; they would be rejected", "requests")
    return OfferPackagePlan(every, checked_channel(sales_channel_id), kinds[type(every[0])])


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferPackageReport:
    """The outcome of a package; in an accepted one, single requests may be refused."""

    package_id: str
    state: str  # the last state read; see `PackageState`
    sent: tuple[str, ...] = field(repr=False)  # the references, in order
    results: tuple[OfferRequestResult, ...] = field(default=(), repr=False)  # those that Octopia has returned so far

    @property
    def finished(self) -> bool:
        """True if Octopia has finished with the package, in a known or unknown state."""
        return self.state not in _UNDER_WAY

    @property
    def integrated(self) -> tuple[str, ...]:
        """References whose request took effect."""
        return tuple(str(r.seller_external_reference) for r in self.results if _took_effect(r))

    @property
    def refused(self) -> tuple[OfferRequestResult, ...]:
        """Results of the requests that did not take effect, with the reasons."""
        return tuple(r for r in self.results if not _took_effect(r))

    @property
    def unreported(self) -> tuple[str, ...]:
        """References sent that have no result."""
        reported = {r.seller_external_reference for r in self.results}
        return tuple(reference for reference in self.sent if reference not in reported)


def _took_effect(result: OfferRequestResult) -> bool:
    return result.integration_status == IntegrationStatus.INTEGRATED


def opened(exchange: Exchange, sales_channel_id: str, package_type: PackageType) -> Flow[str]:
    """Open a package and return its id."""
    body, headers = {"packageType": package_type}, {"SalesChannelId": sales_channel_id}
    reply = yield from exchange.write("POST", _PATH, body, headers)
    # The last segment of ``Content-Location`` ([C]).
    package_id = urlsplit(reply.headers.get("content-location", "")).path.rstrip("/").rpartition("/")[2]
    if not package_id:
        message = f"POST {_PATH}: a package was opened, but the answer does not have its id"
        raise OctopiaOutcomeUnknownError(message, call=f"POST {_PATH}", status=reply.status)
    return package_id


def done(exchange: Exchange, method: str, path: str, body: object) -> Flow[None]:
    """Make a write whose answer is not needed."""
    yield from exchange.write(method, path, body)


def uploaded(exchange: Exchange, package_id: str, requests: Sequence[OfferDelete]) -> Flow[None]:
    """Upload 1 to 100 offer requests to an open package."""
    if not 1 <= len(requests) <= UPLOAD_SIZE:
        raise _refused(f"an upload holds 1 to {UPLOAD_SIZE} requests, not {len(requests)}", "requests")
    return done(exchange, "POST", _path(package_id, "/offer-requests"), [request.body() for request in requests])


def closed(exchange: Exchange, package_id: str) -> Flow[None]:
    """Close a package, which lets Octopia integrate it."""
    return done(exchange, "PATCH", _path(package_id), {"state": str(PackageState.READY)})


def looked_up(exchange: Exchange, package_id: str) -> Flow[OfferPackage]:
    """Return a package and its state."""
    return one(exchange, _path(package_id), OfferPackage)


def results(exchange: Exchange, package_id: str, start: str = "") -> Stream[OfferRequestResult]:
    """Emit the outcome of each offer request."""
    query = [("limit", str(UPLOAD_SIZE))]
    return by_cursor(exchange, _path(package_id, "/offer-requests-results"), query, OfferRequestResult, start)


def _path(package_id: str, rest: str = "") -> str:
    return f"{_PATH}/{segment(package_id, 'package_id')}{rest}"


@dataclass(slots=True)
class _Journey:
    """The progress of a package, for its error."""

    package_id: str
    stage: str = "uploading"
    uploaded: int = 0

    def stopped(self, why: str, cause: OctopiaError | None = None) -> OfferPackageError:
        return OfferPackageError(
            f"offer package {self.package_id} stopped while {self.stage}, {self.uploaded} request(s) uploaded: {why}",
            package_id=self.package_id, stage=self.stage, uploaded=self.uploaded, cause=cause,
        )  # fmt: skip # the facts in one line


def sent(
    exchange: Exchange, plan: OfferPackagePlan, wait_seconds: float, on_package: Callable[[str], None] | None
) -> Flow[OfferPackageReport]:
    """Make all calls of *plan* in order; see `Operations.send_offer_package`."""
    package_id = yield from opened(exchange, plan.sales_channel_id, plan.package_type)
    if on_package is not None:
        on_package(package_id)  # before anything else can fail: the package cannot be found again without its id
    journey = _Journey(package_id)
    try:
        return (yield from _carried_through(exchange, plan, wait_seconds, journey))
    except OfferPackageError:
        raise  # it has the id already
    except OctopiaError as error:
        raise journey.stopped(error.message, error) from error


def _carried_through(
    exchange: Exchange, plan: OfferPackagePlan, wait_seconds: float, journey: _Journey
) -> Flow[OfferPackageReport]:
    package_id, done = journey.package_id, tuple[OfferRequestResult, ...]()
    for upload in plan.uploads:
        journey.stage = "uploading"
        yield from uploaded(exchange, package_id, upload)
        journey.uploaded += len(upload)
        journey.stage, settled = "settling", exchange.clock() + SETTLE_SECONDS
        state = yield from _watched(exchange, package_id, settled, lambda state: state in _SETTLED)
        if state != _OPEN:
            raise journey.stopped(f"the package is {state or 'in no state'} instead of open for more")
    journey.stage = "closing"
    yield from closed(exchange, package_id)
    journey.stage, deadline = "integrating", exchange.clock() + wait_seconds
    state = yield from _watched(exchange, package_id, deadline, lambda state: state not in _UNDER_WAY)
    journey.stage = "results"
    references = tuple(request.seller_external_reference for request in plan.requests)
    if state not in _UNDER_WAY:
        done = yield from _all_results(exchange, package_id, set(references), deadline)
    return OfferPackageReport(package_id=package_id, state=state, sent=references, results=done)


def _watched(exchange: Exchange, package_id: str, deadline: float, wanted: Callable[[str], bool]) -> Flow[str]:
    """Read a package until its state is *wanted* or *deadline*, and return its state."""
    pause = FIRST_LOOK_SECONDS
    while True:
        state = (yield from looked_up(exchange, package_id)).state or ""
        remaining = deadline - exchange.clock()
        if wanted(state) or remaining <= 0:
            return state
        yield Sleep(min(pause, remaining))
        pause = min(pause * 2, LONGEST_LOOK_SECONDS)


def _all_results(
    exchange: Exchange, package_id: str, references: set[str], deadline: float
) -> Flow[tuple[OfferRequestResult, ...]]:
    """Read the results until none is missing, at most 5 times, or 2 after *deadline*."""
    found: list[OfferRequestResult] = []
    for look in range(RESULT_LOOKS):
        stream, found = results(exchange, package_id), []
        while (page := (yield from next_page(stream))) is not None:
            found.extend(page.values)
        missing = references - {result.seller_external_reference for result in found}
        remaining = deadline - exchange.clock()
        if not missing or look == RESULT_LOOKS - 1 or (look and remaining <= 0):
            break
        yield Sleep(min(2.0 ** (look + 1), max(remaining, 2.0)))
    return tuple(found)
