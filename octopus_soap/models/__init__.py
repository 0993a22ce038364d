"""The service's data contracts as pydantic models, loaded when first used."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # isort: off
    from collections.abc import Iterable

    from octopus_soap.models.answers import IsSkuExistResponse, QuantityInfoResponse, UpdateItemResponse
    from octopus_soap.models.base import WireModel
    from octopus_soap.models.inventory import (
        AttributeInfo, CustomFieldMapping, InventoryItem, ItemQuantityAndPrice, KitInfo, Locks, StoreStockInfo,
        VariationInfo,
    )  # fmt: skip # read as a list of names
    from octopus_soap.models.orders import (
        AddressInfo, OrderCriteria, OrderDownloadSubmitRequest, OrderItem, OrderResponseItem, OrderSubmit,
        PaymentStatusCode, ShippingStatusCode, SubmitOrderResponseItem,
    )  # fmt: skip # read as a list of names

_HOMES = {
    "answers": "IsSkuExistResponse QuantityInfoResponse UpdateItemResponse",
    "base": "WireModel",
    "inventory": (
        "AttributeInfo CustomFieldMapping InventoryItem ItemQuantityAndPrice KitInfo Locks StoreStockInfo VariationInfo"
    ),
    "orders": (
        "AddressInfo OrderCriteria OrderDownloadSubmitRequest OrderItem OrderResponseItem OrderSubmit "
        "PaymentStatusCode ShippingStatusCode SubmitOrderResponseItem"
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "AddressInfo", "AttributeInfo", "CustomFieldMapping", "InventoryItem", "IsSkuExistResponse", "ItemQuantityAndPrice",
    "KitInfo", "Locks", "OrderCriteria", "OrderDownloadSubmitRequest", "OrderItem", "OrderResponseItem", "OrderSubmit",
    "PaymentStatusCode", "QuantityInfoResponse", "ShippingStatusCode", "StoreStockInfo", "SubmitOrderResponseItem",
    "UpdateItemResponse", "VariationInfo", "WireModel",
]  # fmt: skip # read as a list of names


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def named_in(annotations: Iterable[str]) -> dict[str, object]:
    """Return the models that *annotations* name."""
    words = {word for annotation in annotations for word in re.findall(r"\w+", annotation)}
    return {word: __getattr__(word) for word in words & _HOME_OF.keys()}


def __dir__() -> list[str]:
    return __all__
