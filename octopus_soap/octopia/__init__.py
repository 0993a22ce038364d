"""A small, typed client of the Octopia (Cdiscount) seller API.

It is unrelated to Octopus, the rest of this project: company, protocol and credentials differ. If you are not sure
which credentials you have, use ``identify({"clientId": ..., ...})`` or ``octopus-soap octopia whoami``.

Needs the extra ``octopia``. How-to: ``docs/octopia.md``. A fake server for tests: `octopus_soap.octopia.fake`.
"""

# isort: off
from octopus_soap.octopia.client import AsyncOctopiaClient, OctopiaClient
from octopus_soap.octopia.credentials import (
    GUIDANCE, CredentialKind, Guidance, Identification, OctopiaCredentials, identify,
)  # fmt: skip # read as a list of names
from octopus_soap.octopia.effects import RetryPolicy
from octopus_soap.octopia.errors import (
    AccessRefusedError, ApiError, ApiRateLimitedError, ApiRejectedError, ConnectionLostError, GatewayRefusedError,
    NotFoundError, OctopiaConfigError, OctopiaConnectError, OctopiaError, OctopiaInputError,
    OctopiaOutcomeUnknownError, OctopiaProtocolError, OctopiaTimeoutError, OctopiaTlsError, OctopiaTransportError,
    OfferPackageError, SellerNotLinkedError, ServerError, TokenError, TokenQuotaError, TokenRefusedError,
    WritesDisabledError,
)  # fmt: skip # read as a list of names
from octopus_soap.octopia.models import (
    Carrier, IntegrationStatus, Offer, OfferPackage, OfferRequestResult, Order, OrderLine, OrderStatus,
    PackageState, Seller, SellerAddress, SellerIndicators, SellerState, Subscription, SupplyMode,
)  # fmt: skip # read as a list of names
from octopus_soap.octopia.operation import AsyncListed, Listed
from octopus_soap.octopia.operations import OfferFilter, OrderFilter, Parcel, RawAnswer
from octopus_soap.octopia.packages import (
    DeliveryMode, OfferDelete, OfferPackagePlan, OfferPackageReport, OfferUpdate, OfferUpsert, Tax,
    plan_offer_package,
)  # fmt: skip # read as a list of names
from octopus_soap.octopia.settings import API_URL, TOKEN_URL, OctopiaSettings
from octopus_soap.octopia.tokens import TokenCache, TokenStore

__all__ = [
    "API_URL", "GUIDANCE", "TOKEN_URL", "AccessRefusedError", "ApiError", "ApiRateLimitedError", "ApiRejectedError",
    "AsyncListed", "AsyncOctopiaClient", "Carrier", "ConnectionLostError", "CredentialKind", "DeliveryMode",
    "GatewayRefusedError", "Guidance", "Identification", "IntegrationStatus", "Listed", "NotFoundError",
    "OctopiaClient", "OctopiaConfigError", "OctopiaConnectError", "OctopiaCredentials", "OctopiaError",
    "OctopiaInputError", "OctopiaOutcomeUnknownError", "OctopiaProtocolError", "OctopiaSettings",
    "OctopiaTimeoutError", "OctopiaTlsError", "OctopiaTransportError", "Offer", "OfferDelete", "OfferFilter",
    "OfferPackage", "OfferPackageError", "OfferPackagePlan", "OfferPackageReport", "OfferRequestResult",
    "OfferUpdate", "OfferUpsert", "Order", "OrderFilter", "OrderLine", "OrderStatus", "PackageState", "Parcel",
    "RawAnswer", "RetryPolicy", "Seller", "SellerAddress", "SellerIndicators", "SellerNotLinkedError",
    "SellerState", "ServerError", "Subscription", "SupplyMode", "Tax", "TokenCache", "TokenError",
    "TokenQuotaError", "TokenRefusedError", "TokenStore", "WritesDisabledError", "identify", "plan_offer_package",
]  # fmt: skip # read as a list of names
