"""`keep_raw`: the XML of every order of a listing, to be stored first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator


def test_every_orders_xml_comes_where_it_is_asked_for(service: Emulator, client: OctopusClient) -> None:
    service.store.seed(items=3, orders=5)
    plain, kept = client.get_order_list(), client.get_order_list(keep_raw=True)
    assert plain == list(kept)
    assert [outcome.raw for outcome in plain.outcomes] == [None] * 5
    for outcome in kept.outcomes:
        raw = outcome.raw or b""
        assert raw.startswith(b"<")
        assert f">{outcome.key}<".encode() in raw
        assert raw.count(b"OrderResponseItem>") <= 2, "one order, and nothing behind it"


def test_it_comes_for_a_stores_orders_too(service: Emulator, client: OctopusClient) -> None:
    number = service.store.add_order(stores=("S1",), OrderID="WEB-1", orderItems=[{"sku": "A", "Quantity": 1}])
    (outcome,) = client.get_order_list_store("S1", keep_raw=True).outcomes
    assert str(number).encode() in (outcome.raw or b"")
