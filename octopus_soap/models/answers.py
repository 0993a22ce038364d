"""Answers about single items (vendor's page, Data Models).

They are not in `inventory.py`, so that a process that needs only these does not build the large models.
"""

from __future__ import annotations

from typing import ClassVar

from octopus_soap.models.base import WireModel, member
from octopus_soap.models.scalars import Amount, Flag, Int32, Text


class QuantityInfoResponse(WireModel):
    """Quantities of one item."""

    key_field: ClassVar[str] = "sku"

    sku: Text | None = member("Sku")
    applicable_stock: Amount | None = member("Applicablestock")
    stock: Int32 | None = member("Stock")
    form_quantity: Int32 | None = member("FormQuantity")
    error_message: Text | None = member("ErrorMessage")

    @property
    def stock_quantity(self) -> int | None:
        """`stock`, under the name that its number has in `InventoryItem`."""
        return self.stock


class IsSkuExistResponse(WireModel):
    """Whether one SKU exists."""

    key_field: ClassVar[str] = "sku"

    sku: Text | None = member("Sku")
    result: Flag | None = member("Result")
    error_message: Text | None = member("ErrorMessage")


class UpdateItemResponse(WireModel):
    """The outcome of one item of an update or upload."""

    key_field: ClassVar[str] = "sku"

    sku: Text | None = member("Sku")
    result: Flag | None = member("Result")
    error_message: Text | None = member("ErrorMessage")
