"""Functions that make valid models for tests.

Each takes fields of its model by either name, and fills in the others. The models are loaded when the first is made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octopus_soap.models import (
        AddressInfo,
        CustomFieldMapping,
        InventoryItem,
        ItemQuantityAndPrice,
        OrderDownloadSubmitRequest,
        OrderItem,
        OrderResponseItem,
        OrderSubmit,
        StoreStockInfo,
    )

NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)
"""The order date of the orders that are made here."""


def make_item(sku: str = "SKU-1", **fields: Any) -> InventoryItem:
    """Return an item to upload, with a description, a price and a stock.

        make_item(sku="00123", price="4.50")

    Args:
        sku: its SKU.
        fields: fields of `InventoryItem`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import InventoryItem  # noqa: PLC0415 - see the module's docstring

    given: dict[str, Any] = {
        "sku": sku,
        "description": f"Item {sku}",
        "price": Decimal("9.99"),
        "stock": "10",
        **fields,
    }
    return InventoryItem(**given)


def make_stock_update(sku: str = "SKU-1", **fields: Any) -> ItemQuantityAndPrice:
    """Return a new stock and price for an item.

        make_stock_update("SKU-1", stock=0)

    Args:
        sku: the item's SKU.
        fields: fields of `ItemQuantityAndPrice`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import ItemQuantityAndPrice  # noqa: PLC0415 - see the module's docstring

    given: dict[str, Any] = {"sku": sku, "stock": 5, "price": Decimal("8.88"), **fields}
    return ItemQuantityAndPrice(**given)


def make_order_line(sku: str = "SKU-1", **fields: Any) -> OrderItem:
    """Return a line of an order.

        make_order_line("SKU-1", quantity=3)

    Args:
        sku: the SKU ordered.
        fields: fields of `OrderItem`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import OrderItem  # noqa: PLC0415 - see the module's docstring

    given: dict[str, Any] = {"sku": sku, "quantity": 1, "unit_price": Decimal("9.99"), **fields}
    return OrderItem(**given)


def make_order(order_id: str = "WEB-1", **fields: Any) -> OrderSubmit:
    """Return an order to submit: one line, its totals, placed 2024-01-15 12:00 UTC.

        make_order("WEB-2", order_items=[make_order_line("A"), make_order_line("B", quantity=2)])

    Args:
        order_id: the shop's own id.
        fields: fields of `OrderSubmit`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import OrderSubmit  # noqa: PLC0415 - see the module's docstring

    given: dict[str, Any] = {
        "order_id": order_id,
        "order_date": NOON,
        "ship": make_address(),
        "order_items": [make_order_line()],
        **fields,
    }
    order = OrderSubmit(**given)
    return order.replace(**_totals(order))


def make_downloaded_order(order_id: str = "1001", **fields: Any) -> OrderResponseItem:
    """Return a downloaded order: one line, its totals, one store, paid, not shipped.

        make_downloaded_order("1002", order_items=[make_order_line("A", quantity=2)])

    Args:
        order_id: the service's id.
        fields: fields of `OrderResponseItem`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import OrderResponseItem, PaymentStatusCode, ShippingStatusCode  # noqa: PLC0415 - see the module's docstring

    given: dict[str, Any] = {
        "order_id": order_id,
        "order_date": NOON,
        "ship": make_address(),
        "bill": make_address(),
        "order_items": [make_order_line()],
        "store_id": "1",
        "payment_status": PaymentStatusCode.CLEARED,
        "shipping_status": ShippingStatusCode.UNSHIPPED,
        **fields,
    }
    order = OrderResponseItem(**given)
    return order.replace(**_totals(order))


def _totals(order: OrderSubmit | OrderResponseItem) -> dict[str, Decimal]:
    lines = order.order_items or []
    total = sum(((line.unit_price or Decimal(0)) * (line.quantity or 0) for line in lines), Decimal(0))
    return {name: total for name in ("sub_total", "total") if name not in order.model_fields_set}


def make_address(**fields: Any) -> AddressInfo:
    """Return a complete address of an invented person.

        make_address(country="NO", zip="0150")

    Args:
        fields: fields of `AddressInfo`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import AddressInfo  # noqa: PLC0415 - see the module's docstring

    given: dict[str, Any] = {
        "first_name": "Ada",
        "last_name": "Example",
        "address1": "1 Example Street",
        "city": "Springfield",
        "state": "IL",
        "zip": "62701",
        "country": "US",
        "phone": "+1 555 0100",
        "email": "ada@example.com",
        **fields,
    }
    return AddressInfo(**given)


def make_store_stock(store_id: str = "1", **fields: Any) -> StoreStockInfo:
    """Return stock and price of an item in one store.

        make_item(store_stock_info_list=[make_store_stock("1", store_stock=3), make_store_stock("2")])

    Args:
        store_id: the store's id.
        fields: fields of `StoreStockInfo`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import StoreStockInfo  # noqa: PLC0415 - see the module's docstring

    given: dict[str, Any] = {"store_id": store_id, "store_stock": 5, "store_price": Decimal("9.99"), **fields}
    return StoreStockInfo(**given)


def make_confirmation(order_id: str = "1001", **fields: Any) -> OrderDownloadSubmitRequest:
    """Return the confirmation of an order, for `set_download_order_confirm`.

        make_confirmation(order.id)

    Args:
        order_id: the order's id.
        fields: fields of `OrderDownloadSubmitRequest`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import OrderDownloadSubmitRequest  # noqa: PLC0415 - see the module's docstring

    return OrderDownloadSubmitRequest(**{"order_id": order_id, **fields})


def make_mapping(text: str = "Colour", **fields: Any) -> CustomFieldMapping:
    """Return a custom field for `custom_field_mapping`.

        make_mapping("Season", value="Custom7")

    Args:
        text: the field's text.
        fields: fields of `CustomFieldMapping`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import CustomFieldMapping  # noqa: PLC0415 - see the module's docstring

    return CustomFieldMapping(**{"text": text, "value": "Custom1", "is_mapping": "true", **fields})
