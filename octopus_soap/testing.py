"""Test support for programs that use this package: fixtures, fault scripts, factories.

With the package installed, pytest has the fixtures below; nothing needs to be imported or registered. They need the
extra `emulator`. Everything here loads the client and the emulator only when used.

    from octopus_soap.testing import Reset, make_order

    def test_my_sync_repeats_no_order(octopus_emulator, octopus_client):
        octopus_emulator.script.on("SubmitOrder", nth=1).do(Reset(when="after"))
        my_sync.submit(octopus_client, make_order())
        assert len(octopus_emulator.store.orders()) == 1

The classes of `octopus_soap.emulator` (`Emulator`, `Profile`, `Merchant`, and the faults a script injects) can be
imported from here too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from octopus_soap.client import OctopusClient
    from octopus_soap.emulator import (
        ApiFailure,
        Bom,
        CallRecord,
        Chunked,
        CloseIdle,
        ControlCharacters,
        Drip,
        Emulator,
        Fault,
        Gzip,
        Hang,
        Html,
        InjectedFault,
        Latency,
        Lie,
        LintNote,
        Merchant,
        Profile,
        Reset,
        Status,
        StoredOrder,
        Truncate,
    )
    from octopus_soap.models import InventoryItem, ItemQuantityAndPrice, OrderItem, OrderSubmit

__all__ = [
    "ApiFailure",
    "Bom",
    "CallRecord",
    "Chunked",
    "CloseIdle",
    "ControlCharacters",
    "Drip",
    "Emulator",
    "Fault",
    "Gzip",
    "Hang",
    "Html",
    "InjectedFault",
    "Latency",
    "Lie",
    "LintNote",
    "Merchant",
    "Profile",
    "Reset",
    "Status",
    "StoredOrder",
    "Truncate",
    "make_item",
    "make_order",
    "make_order_line",
    "make_stock_update",
    "octopus_client",
    "octopus_emulator",
]
_OWN = frozenset(
    {"make_item", "make_order", "make_order_line", "make_stock_update", "octopus_client", "octopus_emulator"}
)
_EMULATED = frozenset(__all__) - _OWN


def __getattr__(name: str) -> object:
    # Loaded when asked for: this module is imported by every pytest run of every project that has the package.
    if name in _EMULATED:
        return getattr(import_module("octopus_soap.emulator"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


@pytest.fixture
def octopus_emulator() -> Generator[Emulator]:
    """An embedded service of the test's own, with an empty state.

    def test_reads_stock(octopus_emulator):
        octopus_emulator.store.add_item("SKU-1", Price="1.50", Stock=3)
        ...
        assert [call.operation for call in octopus_emulator.calls] == ["GetItemQuantity"]
    """
    try:
        from octopus_soap.emulator import Emulator  # noqa: PLC0415 - see __getattr__
    except ImportError as error:
        raise pytest.UsageError(
            f"the fixture octopus_emulator needs the module {error.name}: pip install 'octopus-soap[emulator]'"
        ) from None
    with Emulator() as service:
        yield service


@pytest.fixture
def octopus_client(octopus_emulator: Emulator) -> Generator[OctopusClient]:
    """A client of `octopus_emulator`, whatever OCTOPUS_* variables and profiles the machine has.

    def test_uploads(octopus_client, octopus_emulator):
        octopus_client.upload_item(make_item(sku="SKU-1"))
        assert octopus_emulator.store.item("SKU-1")["Price"] == Decimal("9.99")
    """
    from octopus_soap.client import OctopusClient  # noqa: PLC0415 - see __getattr__
    from octopus_soap.settings import IsolatedSettings  # noqa: PLC0415 - see __getattr__

    with OctopusClient(settings=IsolatedSettings.load(**octopus_emulator.settings())) as client:
        yield client


def make_item(sku: str = "SKU-1", **fields: Any) -> InventoryItem:
    """An item to upload, with a description, a price and a stock unless *fields* say otherwise.

        make_item(sku="00123", price="4.50")

    Args:
        sku: its SKU.
        fields: fields of `InventoryItem`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import InventoryItem  # noqa: PLC0415 - see __getattr__

    given: dict[str, Any] = {
        "sku": sku,
        "description": f"Item {sku}",
        "price": Decimal("9.99"),
        "stock": "10",
        **fields,
    }
    return InventoryItem(**given)


def make_stock_update(sku: str = "SKU-1", **fields: Any) -> ItemQuantityAndPrice:
    """A new stock and price for an item.

        make_stock_update("SKU-1", stock=0)

    Args:
        sku: the item's SKU.
        fields: fields of `ItemQuantityAndPrice`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import ItemQuantityAndPrice  # noqa: PLC0415 - see __getattr__

    given: dict[str, Any] = {"sku": sku, "stock": 5, "price": Decimal("8.88"), **fields}
    return ItemQuantityAndPrice(**given)


def make_order_line(sku: str = "SKU-1", **fields: Any) -> OrderItem:
    """A line of an order.

        make_order_line("SKU-1", quantity=3)

    Args:
        sku: the SKU ordered.
        fields: fields of `OrderItem`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import OrderItem  # noqa: PLC0415 - see __getattr__

    given: dict[str, Any] = {"sku": sku, "quantity": 1, "unit_price": Decimal("9.99"), **fields}
    return OrderItem(**given)


def make_order(order_id: str = "WEB-1", **fields: Any) -> OrderSubmit:
    """An order to submit: one line, placed at noon of 15 January 2024 UTC, with the totals of its lines.

        make_order("WEB-2", order_items=[make_order_line("A"), make_order_line("B", quantity=2)])

    Args:
        order_id: the shop's own id.
        fields: fields of `OrderSubmit`, by either name.

    Raises:
        InvalidInputError: a name or value is not accepted.
    """
    from octopus_soap.models import AddressInfo, OrderSubmit  # noqa: PLC0415 - see __getattr__

    given: dict[str, Any] = {
        "order_id": order_id,
        "order_date": datetime(2024, 1, 15, 12, tzinfo=UTC),
        "ship": AddressInfo(first_name="Ada", last_name="Example", city="Springfield", country="US"),
        "order_items": [make_order_line()],
        **fields,
    }
    order = OrderSubmit(**given)
    lines = order.order_items or []
    total = sum(((line.unit_price or Decimal(0)) * (line.quantity or 0) for line in lines), Decimal(0))
    totals: dict[str, Any] = {n: total for n in ("sub_total", "total") if n not in order.model_fields_set}
    return order.replace(**totals)
