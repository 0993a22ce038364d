"""A reply with far more rows than were asked for is refused before a record is built of it."""

from __future__ import annotations

from datetime import UTC

import pytest

from octopus_soap import ProtocolError
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.models import InventoryItem
from octopus_soap.models.replies import RowsOf
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.faults import Reply
from octopus_soap.wire.redact import Redactor

CODEC = Codec(load_contract(), Redactor([]), UTC)


def page(rows: str) -> Reply:
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetItemListResponse '
        f'xmlns="http://tempuri.org/"><GetItemListResult>{rows}</GetItemListResult></GetItemListResponse></s:Body></s:Envelope>'
    )
    return Reply(200, {"content-type": "text/xml"}, body.encode())


@pytest.mark.parametrize(
    "row", ["<InventoryItem/>", "<InventoryItem><Sku>A</Sku></InventoryItem>", "<x/>", "<x><Sku>A</Sku></x>"]
)
def test_rows_nobody_asked_for_are_not_built(row: str) -> None:
    with pytest.raises(ProtocolError, match="it was not read"):
        CODEC.decode("GetItemList", page(row * 50_000), RowsOf(InventoryItem, asked=1))


def test_a_few_more_rows_than_asked_for_are_read_and_so_is_a_whole_list() -> None:
    few = CODEC.decode(
        "GetItemList", page("<InventoryItem><Sku>A</Sku></InventoryItem>" * 90), RowsOf(InventoryItem, asked=1)
    )
    assert len(few.rows) == 90
    whole = CODEC.decode(
        "GetItemList", page("<InventoryItem><Sku>A</Sku></InventoryItem>" * 20_000), RowsOf(InventoryItem)
    )
    assert len(whole.rows) == 20_000


def test_a_list_without_keys_has_a_limit_too() -> None:
    with pytest.raises(ProtocolError, match="rows"):
        CODEC.decode("GetItemList", page("<InventoryItem/>" * 500_000), RowsOf(InventoryItem))
