"""`read_first` on a service that replaces whole rows and has plain value types."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from contract_variants import values_not_nillable, variant

from octopus_soap import (
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusSettings,
    OrderItem,
    OrderSubmit,
    StoreStockInfo,
)
from octopus_soap.emulator import Emulator, Profile
from octopus_soap.errors import ConfigError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STRICT = Profile(nillable_values=False, omitted_value_type="zero", uploads="replace", store_rows="replace")


@pytest.fixture(scope="module")
def wsdl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variant(tmp_path_factory.mktemp("plain"), values_not_nillable)


@pytest.fixture(scope="module")
def service(wsdl: Path) -> Iterator[Emulator]:
    with Emulator(wsdl=wsdl, profile=STRICT) as started:
        yield started


@pytest.fixture
def stocked(service: Emulator) -> Emulator:
    service.reset()
    service.store.add_item(
        "A",
        Description="old",
        Category="Shoes",
        Stock="12",
        Price=Decimal("9.90"),
        Cost=Decimal("5.00"),
        StoreStockInfoList=[{"StoreID": s, "StorePrice": Decimal(8), "StoreStock": 2.0} for s in ("S1", "S2")],
        KitList=[{"SKU": "PART", "Quantity": 2.0}],
        FieldLocks={"LockDetails": True},
    )
    return service


def client_of(service: Emulator, wsdl: Path, **given: Any) -> OctopusClient:
    return OctopusClient(settings=OctopusSettings.load(**service.settings(), wsdl=wsdl, **given))


def lost(before: Any, after: Any) -> list[str]:
    """Return the paths of values that are gone or changed."""
    if isinstance(before, dict):
        inner = {name: lost(value, (after or {}).get(name)) for name, value in before.items() if value}
        return [f"{name}{'.' if path else ''}{path}" for name, paths in inner.items() for path in paths]
    if isinstance(before, list):
        return [path for n, value in enumerate(before) for path in lost(value, after[n] if after else None)]
    return [] if before == after else [""]


def item(service: Emulator) -> dict[str, Any]:
    found = service.store.item("A")
    assert found is not None
    return dict(found)


@pytest.mark.parametrize("many", [False, True], ids=["single", "list"])
def test_an_upload_with_one_text_loses_nothing(stocked: Emulator, wsdl: Path, many: bool) -> None:
    before = item(stocked)
    with client_of(stocked, wsdl, omitted_values="read_first") as client:
        upload = InventoryItem(sku="A", description="new")
        if many:
            (outcome,) = client.upload_item_list([upload]).outcomes
            assert {"Category", "Stock", "Price", "StoreStockInfoList", "KitList"} <= set(outcome.filled)
        else:
            client.upload_item(upload)
    after = item(stocked)
    assert after["Description"] == "new"
    assert lost({**before, "Description": "new"}, after) == []


def test_sent_as_it_is_the_same_upload_loses_them(stocked: Emulator, wsdl: Path) -> None:
    """Shows that the test above can fail on this service."""
    before = item(stocked)
    with client_of(stocked, wsdl, omitted_values="send") as client:
        client.upload_item(InventoryItem(sku="A", description="new"))
    assert {"Category", "Stock", "Price"} <= set(lost(before, item(stocked)))


def test_an_upload_with_one_store_keeps_the_others(stocked: Emulator, wsdl: Path) -> None:
    with client_of(stocked, wsdl) as client:
        upload = InventoryItem(sku="A", store_stock_info_list=[StoreStockInfo(store_id="S2", store_stock=7.0)])
        client.upload_item(upload, omitted_values="read_first")
        (read,) = client.get_item_list(["A"])
    stores = {store.store_id: store for store in read.stores}
    assert (stores["S1"].store_stock, stores["S2"].store_stock) == (2.0, 7.0)
    assert stores["S2"].store_price == Decimal(8)


def test_one_client_reads_first_for_updates_and_sends_zeros_with_orders(stocked: Emulator, wsdl: Path) -> None:
    names = ["order_date", "sub_total", "shipping_total", "tax_total", "total"]
    with client_of(stocked, wsdl, omitted_values={"*": "read_first", "SubmitOrder": names}) as client:
        assert client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A", stock=3)) is True
        line = OrderItem(sku="A", quantity=1, unit_price=1, item_tax=0, item_discount=0)
        client.submit_order(OrderSubmit(order_id="1", order_items=[line]))
    assert item(stocked)["Price"] == Decimal("9.90")


def test_the_choice_of_a_view_and_of_the_constructor(stocked: Emulator, wsdl: Path) -> None:
    update = ItemQuantityAndPrice(sku="A", stock=3)
    with OctopusClient(**stocked.settings(), wsdl=wsdl) as client:
        with pytest.raises(InvalidInputError, match="read_first"):
            client.update_item_quantity_and_price_list([update])
        view = client.with_options(omitted_values="read_first")
        assert view.update_item_quantity_and_price_list([update]).counts == {"ok": 1}
        with pytest.raises(InvalidInputError):
            client.update_item_quantity_and_price_list([update])
        with pytest.raises(ConfigError, match="omitted_values"):
            client.with_options(omitted_values="guess")
    with OctopusClient(**stocked.settings(), wsdl=wsdl, omitted_values="read_first") as client:
        assert client.update_item_quantity_and_price(update) is True


def test_an_unknown_sku_in_an_update_is_missing(stocked: Emulator, wsdl: Path) -> None:
    updates = [ItemQuantityAndPrice(sku=sku, stock=3) for sku in ("A", "GONE")]
    with client_of(stocked, wsdl, omitted_values="read_first") as client:
        result = client.update_item_quantity_and_price_list(updates)
    assert result.counts == {"ok": 1, "missing": 1}
    assert result.missing[0].key == "GONE"
