"""The service's data contracts as pydantic models, by domain."""

from __future__ import annotations

from octopus_soap.models.base import WireModel
from octopus_soap.models.inventory import (
    AttributeInfo,
    InventoryItem,
    IsSkuExistResponse,
    ItemQuantityAndPrice,
    KitInfo,
    Locks,
    QuantityInfoResponse,
    StoreStockInfo,
    UpdateItemResponse,
    VariationInfo,
)
from octopus_soap.models.mapping import CustomFieldMapping
from octopus_soap.models.orders import (
    AddressInfo,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderResponseItem,
    OrderSubmit,
    PaymentStatusCode,
    ShippingStatusCode,
    SubmitOrderResponseItem,
)

__all__ = [
    "AddressInfo",
    "AttributeInfo",
    "CustomFieldMapping",
    "InventoryItem",
    "IsSkuExistResponse",
    "ItemQuantityAndPrice",
    "KitInfo",
    "Locks",
    "OrderCriteria",
    "OrderDownloadSubmitRequest",
    "OrderItem",
    "OrderResponseItem",
    "OrderSubmit",
    "PaymentStatusCode",
    "QuantityInfoResponse",
    "ShippingStatusCode",
    "StoreStockInfo",
    "SubmitOrderResponseItem",
    "UpdateItemResponse",
    "VariationInfo",
    "WireModel",
]
