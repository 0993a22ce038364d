"""A reply with far too many rows is refused early; decoding ends at its limit."""

from __future__ import annotations

from datetime import UTC
from functools import partial

import pytest

from octopus_soap import ProtocolError, TimedOutError
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.engine.effects import Compute, Send
from octopus_soap.engine.omitted import read_current
from octopus_soap.models import InventoryItem, StoreStockInfo
from octopus_soap.models.declarations import RowsOf, Safety
from octopus_soap.observe.health import HealthStage, ping
from octopus_soap.transport.limiter import timed
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.decode import Reply
from octopus_soap.wire.readers import yield_hook
from octopus_soap.wire.redact import Redactor
from tests.engine.stepping import config, context, exists, later, request, rows_reply, run_list, sending, statuses, step
from tests.every import every

CODEC = Codec(load_contract(), Redactor([]), UTC)


def page(rows: str) -> Reply:
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetItemListResponse '
        f'xmlns="http://tempuri.org/"><GetItemListResult>{rows}</GetItemListResult></GetItemListResponse></s:Body></s:Envelope>'
    )
    return Reply(200, {"content-type": "text/xml"}, body.encode())


@every("row", ["<InventoryItem/>", "<InventoryItem><Sku>A</Sku></InventoryItem>", "<x/>", "<x><Sku>A</Sku></x>"])
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


def test_an_item_may_have_two_thousand_stores() -> None:
    store = "".join(f"<{name}>1</{name}>" for name in StoreStockInfo.wire_names())
    stores = f"<StoreStockInfo>{store}</StoreStockInfo>" * 2_000
    item = f"<InventoryItem><Sku>{{}}</Sku><StoreStockInfoList>{stores}</StoreStockInfoList></InventoryItem>"
    found = CODEC.decode("GetItemList", page("".join(map(item.format, "AB"))), RowsOf(InventoryItem, asked=2))
    assert [len(row.value.store_stock_info_list) for row in found.rows] == [2_000, 2_000]


def test_a_list_without_keys_has_a_limit_too() -> None:
    with pytest.raises(ProtocolError, match="rows"):
        CODEC.decode("GetItemList", page("<InventoryItem/>" * 500_000), RowsOf(InventoryItem))


@every("row", ["<a:InventoryItem/>", "<a:InventoryItem><a:Sku>A</a:Sku></a:InventoryItem>"])
def test_a_short_reply_is_no_exception_nor_are_the_reads_of_a_write_and_a_ping(row: str) -> None:
    short = rows_reply("GetItemList", [row] * 300)
    assert len(short.body) < 20_000
    result, _ = run_list("GetItemList", ["A"], lambda _: short, context(max_attempts=1))
    assert statuses(result) == ["failed"]
    assert "were asked for" in str(result.outcomes[0].error)
    found, _ = step(read_current(["A"], "account", context(max_attempts=1)), lambda _: short).result  # type: ignore[arg-type] # a plain account
    assert "were asked for" in str(found["A"].error)
    pinged = rows_reply("IsSkuExistList", ["<a:IsSkuExistResponse/>"] * 300)
    health = step(ping(context(max_attempts=1)), lambda _: pinged).result
    assert health.stage is HealthStage.CONTRACT
    assert "1 were asked for" in health.message


@every("row", ["<a:InventoryItem><a:Sku>A</a:Sku></a:InventoryItem>", "<a:x><a:Sku>A</a:Sku></a:x>",
    "<a:InventoryItem><a:StoreStockInfoList>" + "<a:x/>" * 2_000 + "</a:StoreStockInfoList></a:InventoryItem>"])  # fmt: skip
def test_decoding_is_broken_off_at_its_limit_and_the_next_one_is_not(row: str) -> None:
    many = rows_reply("GetItemTblList", [row] * 40)
    work = partial(CODEC.decode, "GetItemTblList", many, RowsOf(InventoryItem))
    before = yield_hook.get()
    for _ in range(3):
        late = Compute(work, len(many.body), limit=0.0)
        with pytest.raises(TimedOutError, match=r"decoding it \(\d+ bytes\) took longer than the 0 s"):
            timed(late)
        assert late.elapsed > 0
    assert yield_hook.get() is before
    assert len(timed(Compute(work, len(many.body))).rows) == 40


def test_decoding_gets_what_is_left_of_the_total_limit_and_a_moment_in_any_case() -> None:
    limits: list[float] = []
    for elapsed in (0.1, 29.95, 31.0):
        flow = sending(request(Safety.READ), config(total=30.0, max_attempts=1))
        assert isinstance(next(flow), Send)
        effect = flow.send(later(exists(), elapsed))
        assert isinstance(effect, Compute)
        limits.append(effect.limit)
        flow.close()
    assert limits == pytest.approx([29.9, 1.0, 1.0])
