"""Python client for the Octopus Channel API of 24SevenCommerce.

Names are loaded when first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from octopus_soap._version import __version__

if TYPE_CHECKING:
    # isort: off
    from octopus_soap.client import AsyncOctopusClient, OctopusClient
    from octopus_soap.errors import (
        ApiStatusError, AuthenticationError, BatchError, CircuitOpenError, ClientClosedError, ConfigError,
        ConnectFailedError, ContractError, FaultError, HttpStatusError, InvalidInputError, JobRunningError,
        LedgerError, OctopusError, OddTextWarning, OutcomeUnknownError, Problem, ProtocolError, PushRefusedError,
        RateLimitedError, RejectedError, TimedOutError, TransportError, UnverifiedContractError,
    )  # fmt: skip # read as a list of names
    from octopus_soap.models import (
        AddressInfo, AttributeInfo, CustomFieldMapping, InventoryItem, IsSkuExistResponse, ItemQuantityAndPrice,
        KitInfo, Locks, OrderCriteria, OrderDownloadSubmitRequest, OrderItem, OrderResponseItem, OrderSubmit,
        PaymentStatusCode, QuantityInfoResponse, ShippingStatusCode, StoreStockInfo, SubmitOrderResponseItem,
        UpdateItemResponse, VariationInfo,
    )  # fmt: skip # read as a list of names
    from octopus_soap.models.declarations import OmittedChoice, OmittedValues, Safety
    from octopus_soap.observe.events import (
        BatchDone, BreakerClosed, BreakerOpened, DriftSeen, Event, ItemRejected, RateStoreBack, RateStoreLost,
        RequestFinished, RequestStarted, RetryScheduled, log_events,
    )  # fmt: skip # read as a list of names
    from octopus_soap.observe.health import Health, HealthStage
    from octopus_soap.observe.observer import Counters
    from octopus_soap.results import (
        Answer, APIResult, BatchResult, CallInfo, ItemOutcome, Outcomes, OutcomeStatus, Progress, Removal,
        TableOptions,
    )  # fmt: skip # read as a list of names
    from octopus_soap.settings import OctopusSettings
    from octopus_soap.transport.lookup import AsyncLookup, Lookup

_HOMES = {
    "client": "AsyncOctopusClient OctopusClient",
    "observe.observer": "Counters",
    "errors": (
        "ApiStatusError AuthenticationError BatchError CircuitOpenError ClientClosedError ConfigError "
        "ConnectFailedError ContractError FaultError HttpStatusError InvalidInputError JobRunningError LedgerError "
        "OctopusError OddTextWarning OutcomeUnknownError Problem ProtocolError PushRefusedError RateLimitedError "
        "RejectedError TimedOutError TransportError UnverifiedContractError"
    ),
    "observe.events": (
        "BatchDone BreakerClosed BreakerOpened DriftSeen Event ItemRejected RateStoreBack RateStoreLost "
        "RequestFinished RequestStarted RetryScheduled log_events"
    ),
    "observe.health": "Health HealthStage",
    "models": (
        "AddressInfo AttributeInfo CustomFieldMapping InventoryItem IsSkuExistResponse ItemQuantityAndPrice "
        "KitInfo Locks OrderCriteria OrderDownloadSubmitRequest OrderItem OrderResponseItem OrderSubmit "
        "PaymentStatusCode QuantityInfoResponse ShippingStatusCode StoreStockInfo SubmitOrderResponseItem "
        "UpdateItemResponse VariationInfo"
    ),
    "models.declarations": "OmittedChoice OmittedValues Safety",
    "results": "APIResult Answer BatchResult CallInfo ItemOutcome OutcomeStatus Outcomes Progress Removal TableOptions",
    "settings": "OctopusSettings",
    "transport.lookup": "AsyncLookup Lookup",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "APIResult", "AddressInfo", "Answer", "ApiStatusError", "AsyncLookup", "AsyncOctopusClient", "AttributeInfo",
    "AuthenticationError", "BatchDone", "BatchError", "BatchResult", "BreakerClosed", "BreakerOpened", "CallInfo",
    "CircuitOpenError", "ClientClosedError", "ConfigError", "ConnectFailedError", "ContractError", "Counters",
    "CustomFieldMapping", "DriftSeen", "Event", "FaultError", "Health", "HealthStage", "HttpStatusError",
    "InvalidInputError", "InventoryItem", "IsSkuExistResponse", "ItemOutcome", "ItemQuantityAndPrice", "ItemRejected",
    "JobRunningError", "KitInfo", "LedgerError", "Locks", "Lookup", "OctopusClient", "OctopusError", "OctopusSettings",
    "OddTextWarning", "OmittedChoice", "OmittedValues", "OrderCriteria", "OrderDownloadSubmitRequest", "OrderItem",
    "OrderResponseItem", "OrderSubmit", "OutcomeStatus", "OutcomeUnknownError", "Outcomes", "PaymentStatusCode",
    "Problem", "Progress", "ProtocolError", "PushRefusedError", "QuantityInfoResponse", "RateLimitedError",
    "RateStoreBack", "RateStoreLost", "RejectedError", "Removal", "RequestFinished", "RequestStarted", "RetryScheduled",
    "Safety", "ShippingStatusCode", "StoreStockInfo", "SubmitOrderResponseItem", "TableOptions", "TimedOutError",
    "TransportError", "UnverifiedContractError", "UpdateItemResponse", "VariationInfo", "__version__", "log_events",
]  # fmt: skip # read as a list of names


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    if "IPython" in sys.modules and f"{__name__}.notebook" not in sys.modules:
        import_module(f"{__name__}.notebook").complete_here()
    return value


def __dir__() -> list[str]:
    return __all__
