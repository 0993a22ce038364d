"""The REST call for each operation of the closed SOAP API.

The SOAP API of Cdiscount's marketplace is decommissioned ([C] for the quoted migration page, docs/sources.md).
Rows graded [C] are the vendor's own map. Rows graded [I] are this project's reading of the list of endpoints: the
endpoint exists there, that it replaces the operation is inferred. A row without calls says that nothing fitting is
known, not that nothing exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RestReplacement:
    """What replaces one SOAP operation.

    Attributes:
        operation: The SOAP operation.
        calls: The REST calls, such as ``GET /orders``; empty if none is known.
        grade: ``C`` for the vendor's map, ``I`` for this project's reading.
        method: The method of `OctopiaClient` that makes the call, if there is one.
        note: What else to know.
    """

    operation: str
    calls: tuple[str, ...]
    grade: str
    method: str | None = None
    note: str = ""


def _row(operation: str, grade: str, calls: str, method: str | None = None, note: str = "") -> RestReplacement:
    return RestReplacement(operation, tuple(c.strip() for c in calls.split("+") if c.strip()), grade, method, note)


_FULFILMENT = "see the fulfillment group of the reference"

_ROWS = (
    # The vendor's own map.
    _row(
        "GetSellerInformation",
        "C",
        "GET /sellers + GET /sellers/addresses + GET /sellers/delivery-modes",
        "seller",
        "delivery-modes is marked deprecated",
    ),
    _row(
        "SubmitOfferPackage",
        "C",
        "POST /offer-integration-packages",
        "send_offer_package",
        "for stock and price the JSON packages (POST /offer-packages) need no public zip file",
    ),
    _row("GetOfferPackageSubmissionResult", "C", "GET /offer-integration-packages/{id}", "offer_package_results"),
    _row("GetOfferListPaginated", "C", "GET /offers", "offers"),
    _row("GetCompetingOffers", "C", "GET /competing-offers", None, "marked deprecated"),
    _row("GetOrderList", "C", "GET /orders", "orders"),
    _row("GetOrderListByIdentifier", "C", "GET /orders/{id}", "order"),
    _row("GetDiscussionList", "C", "GET /discussions"),
    _row("CloseDiscussionList", "C", "PATCH /discussions/{id}"),
    _row("SubmitFulfilmentActivation", "C", "POST /fulfillment-products"),
    # Read from the list of endpoints.
    _row("GetOfferList", "I", "GET /offers", "offers"),
    _row("GetSellerIndicators", "I", "GET /sellers/indicators", "indicators"),
    _row(
        "ValidateOrderList",
        "I",
        "POST /orders/{id}/approval-status + POST /orders/{id}/shipments",
        "ship_order",
        "accepting and shipping are two calls; accepting is `approve_order`",
    ),
    _row("ManageParcel", "I", "POST /orders/{id}/shipments", "ship_order"),
    _row("CreateRefundVoucher", "I", "POST /order-commercial-gesture-requests"),
    _row("CreateRefundVoucherAfterShipment", "I", "POST /order-commercial-gesture-requests"),
    _row("SubmitProductPackage", "I", "POST /products-integration"),
    _row("GetProductPackageSubmissionResult", "I", "GET /products-integration-reports"),
    _row("GetProductPackageProductMatchingFileData", "I", "GET /products-integration-reports"),
    _row("GetProductList", "I", "GET /products"),
    _row("GetProductListByIdentifier", "I", "GET /products", None, "filter by gtin"),
    _row("GetAllowedCategoryTree", "I", "GET /categories"),
    _row("GetAllAllowedCategoryTree", "I", "GET /categories"),
    _row("GetModelList", "I", "GET /categories/{ref}/properties"),
    _row("GetAllModelList", "I", "GET /categories/{ref}/properties"),
    _row("GetBrandList", "I", "GET /brands"),
    _row("GetGlobalConfiguration", "I", "GET /carriers + GET /sellers/delivery-modes", "carriers"),
    _row("GetOrderClaimList", "I", "GET /discussions"),
    _row("GetOrderQuestionList", "I", "GET /discussions"),
    _row("GetOfferQuestionList", "I", "GET /discussions"),
    _row("GetDiscussionMailList", "I", "GET /messages"),
    _row("GenerateDiscussionMailGuid", "I", "", None, "messages are sent by the API itself now"),
    _row("GetProductStockList", "I", "GET /stocks", None, _FULFILMENT),
    _row("SubmitFulfilmentSupplyOrder", "I", "POST /inbound-shipments", None, _FULFILMENT),
    _row("SubmitFulfilmentOnDemandSupplyOrder", "I", "POST /inbound-shipments", None, _FULFILMENT),
    _row("GetFulfilmentSupplyOrder", "I", "GET /inbound-shipments", None, _FULFILMENT),
    _row("GetFulfilmentOrderListToSupply", "I", "", None, _FULFILMENT),
    _row("GetFulfilmentSupplyOrderReportList", "I", "", None, _FULFILMENT),
    _row("GetFulfilmentActivationReportList", "I", "GET /fulfillment-products", None, _FULFILMENT),
    _row("GetFulfilmentDeliveryDocument", "I", "", None, _FULFILMENT),
    _row("CreateExternalOrder", "I", "POST /outbound-shipments", None, _FULFILMENT),
    _row("GetExternalOrderStatus", "I", "GET /outbound-shipments", None, _FULFILMENT),
    _row(
        "SubmitOfferStateAction",
        "I",
        "POST /offer-packages",
        None,
        "an offer's state may not be settable there: ask support",
    ),
    _row("GetServiceOrderList", "I", ""),
    _row("GetParcelShopList", "I", ""),
    _row("SubmitRelaysFile", "I", ""),
    _row("GetRelaysFileSubmissionResult", "I", ""),
)  # fmt: skip - one row, one line: it is read as a table

SOAP_TO_REST: Mapping[str, RestReplacement] = MappingProxyType({row.operation: row for row in _ROWS})
"""What replaces each SOAP operation, by its name: the 44 of the recorded WSDL and three named later."""
