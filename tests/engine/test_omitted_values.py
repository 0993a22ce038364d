"""The omission guard: what an update leaves out never becomes 0 unnoticed."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from stepping import asked, context, ok, reset, rows_reply, run_list, status, statuses, step, update_row

from octopus_soap import (
    AuthenticationError,
    ContractError,
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    Locks,
    OmittedValues,
    OrderCriteria,
    OrderItem,
    OrderSubmit,
    StoreStockInfo,
    VariationInfo,
)
from octopus_soap.contracts.bundled import contract_path
from octopus_soap.errors import Problem, ProtocolError, TransportError
from octopus_soap.operations import OPERATIONS

if TYPE_CHECKING:
    from pathlib import Path

UPDATE, UPLOAD, READ = "UpdateItemQuantityAndPriceList", "UploadItemList", "GetItemList"
_VALUES = re.compile(r' nillable="true"( type="xs:(?:decimal|boolean|int|long|float|double|dateTime)")')


@pytest.fixture(scope="module")
def strict_contract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled contract without nillable value types, as a strict service has it."""
    folder = tmp_path_factory.mktemp("contract")
    bundled = contract_path()
    for path in bundled.parent.glob("*.xsd"):
        text, count = _VALUES.subn(r"\1", path.read_text(encoding="utf-8"))
        assert count or "nillable" not in text or path.name != "DataContracts.xsd"
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder / shutil.copy(bundled, folder)


@pytest.fixture
def strict(strict_contract):
    """Contexts on that contract."""
    return lambda choice=OmittedValues.REFUSE, **given: context(
        wsdl=strict_contract, omitted_values=OmittedValues(choice), **given
    )


def whole(sku: str = "A", **changes) -> ItemQuantityAndPrice:
    values = {"stock": 1, "price": Decimal(2), "cost": Decimal(1)}
    locks = {"lock_stock": False, "lock_price": False, "lock_cost": False}
    return ItemQuantityAndPrice(sku=sku, **{**values, **locks, **changes})


def current(sku: str = "A", **members: str) -> str:
    """The row of an item in the service."""
    inner = "".join(f"<a:{name}>{value}</a:{name}>" for name, value in members.items())
    return f"<a:InventoryItem>{inner}<a:Sku>{sku}</a:Sku></a:InventoryItem>"


def service(*rows: str):
    """Answers GetItemList with *rows* and every write with true."""

    def answer(exchange):
        if exchange.operation == READ:
            return rows_reply(READ, rows)
        return rows_reply(exchange.operation, [update_row(key) for key in dict.fromkeys(asked(exchange))])

    return answer


# -- refuse --------------------------------------------------------------------------------------------------------


def test_under_the_bundled_contract_omission_passes():
    result, steps = run_list(UPDATE, [ItemQuantityAndPrice(sku="A", stock=3)], service())
    assert statuses(result) == ["ok"]
    assert [exchange.operation for exchange in steps[0].sends] == [UPDATE]


def test_an_update_that_leaves_a_value_out_is_refused_naming_index_item_and_members(strict):
    inputs = [whole("A"), whole("B").without("price"), whole("C").without("stock", "lock_cost")]
    with pytest.raises(InvalidInputError) as caught:
        run_list(UPDATE, inputs, service(), strict())
    assert [(p.index, p.key) for p in caught.value.problems] == [(1, "B"), (2, "C")]
    assert "leaves out price," in caught.value.problems[0].message
    assert "lock_cost, stock" in caught.value.problems[1].message
    assert str(caught.value).count("export OCTOPUS_OMITTED_VALUES=read_first") == 1, "once per call, to be pasted"


def test_a_whole_update_passes(strict):
    assert statuses(run_list(UPDATE, [whole()], service(), strict())[0]) == ["ok"]


def test_nested_stores_and_locks_are_watched_too(strict):
    stores = [StoreStockInfo(store_id="S1", store_stock=1.0)]
    with pytest.raises(InvalidInputError, match=r"store_stock_info_list\[0\].store_b_to_b_price"):
        run_list(UPDATE, [whole(store_stock_info_list=stores)], service(), strict())
    item = InventoryItem(sku="A", field_locks=Locks(lock_price=True), variation_info=VariationInfo(parent_sku="P"))
    with pytest.raises(InvalidInputError) as caught:
        run_list(UPLOAD, [item], service(), strict())
    members = strict().codec.omitted_value_members(UPLOAD, "inventoryItems", item)
    assert "FieldLocks.LockCost" in members
    assert "FieldLocks.LockPrice" not in members
    assert "VariationInfo.IsParent" in members
    assert "leaves out cost, field_locks.lock_category" in caught.value.message


def test_an_explicit_null_that_the_contract_does_not_take_is_refused_before_anything_is_sent(strict):
    inputs = [whole("A"), whole("B", price=None), whole("C"), whole("D", cost=None)]
    for choice in OmittedValues:
        with pytest.raises(InvalidInputError) as caught:
            run_list(UPDATE, inputs, pytest.fail, strict(choice, batch_sizes={UPDATE: 1}))
        named = [(p.index, p.key, p.field.partition(".")[2]) for p in caught.value.problems]
        assert named == [(1, "B", "price"), (3, "D", "cost")]


def test_a_member_of_another_case_in_the_contract_counts_as_given(strict_contract, tmp_path):
    for path in strict_contract.parent.iterdir():
        text = path.read_text(encoding="utf-8").replace('name="LockCost"', 'name="Lockcost"')
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    result, steps = run_list(UPDATE, [whole()], service(), context(wsdl=tmp_path / strict_contract.name))
    assert statuses(result) == ["ok"]
    assert b"Lockcost>false<" in steps[0].sends[0].body


def test_a_value_the_contract_has_no_place_for_is_never_dropped(strict_contract, tmp_path):
    for path in strict_contract.parent.iterdir():
        text = re.sub(r'\s*<xs:element minOccurs="0" name="LockCost"[^>]*/>', "", path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match="lock_cost"):
        run_list(UPDATE, [whole()], pytest.fail, context(wsdl=tmp_path / strict_contract.name))


# -- send ----------------------------------------------------------------------------------------------------------


def test_send_sends_it_as_it_is(strict):
    result, steps = run_list(UPDATE, [ItemQuantityAndPrice(sku="A", stock=3)], service(), strict(OmittedValues.SEND))
    assert statuses(result) == ["ok"]
    assert [exchange.operation for exchange in steps[0].sends] == [UPDATE]
    assert b"<Price>" not in steps[0].sends[0].body
    assert b":Price>" not in steps[0].sends[0].body


# -- read first ----------------------------------------------------------------------------------------------------

LOCKS = "<a:LockCost>true</a:LockCost><a:LockPrice>false</a:LockPrice><a:LockStock>true</a:LockStock>"


def test_read_first_fills_what_is_left_out_and_says_so(strict):
    answers = service(current("A", Cost="1.5000", Price="9.9000", Stock="7", FieldLocks=LOCKS, Description="old"))
    update = ItemQuantityAndPrice(sku="A", price=Decimal("8.50"))
    result, steps = run_list(UPDATE, [update], answers, strict(OmittedValues.READ_FIRST))
    body = steps[0].sends[1].body.decode()
    assert [exchange.operation for exchange in steps[0].sends] == [READ, UPDATE]
    for part in ("Price>8.50<", "Cost>1.5000<", "Stock>7<", "LockCost>true<", "LockStock>true<"):
        assert part in body
    assert set(result.outcomes[0].filled) == {"Cost", "LockCost", "LockPrice", "LockStock", "Stock"}
    assert result.outcomes[0].input is update
    assert [info.operation for info in result.calls] == [READ, UPDATE]


def test_read_first_leaves_whole_updates_alone(strict):
    _, steps = run_list(UPDATE, [whole()], service(), strict(OmittedValues.READ_FIRST))
    assert [exchange.operation for exchange in steps[0].sends] == [UPDATE]


def test_read_first_reads_once_per_batch_and_asks_only_for_what_is_wanting(strict):
    inputs = [whole("A"), whole("B").without("price"), whole("C").without("price")]
    _, steps = run_list(UPDATE, inputs, service(current("B", Price="1"), current("C", Price="2")), strict("read_first"))
    assert asked(steps[0].sends[0]) == ["B", "C"]
    assert len(steps[0].sends) == 2


def test_read_first_fills_nested_stores_by_their_id(strict):
    names = [
        "Cost",
        "ListPrice",
        "MSRP",
        "Price",
        "PriceA",
        "PriceB",
        "PriceC",
        "SalesPrice",
        "BToBPrice",
        "MAP",
        "Stock",
    ]
    members = "".join(f"<a:Store{name}>{n}</a:Store{name}>" for n, name in enumerate(names))
    store = f"<a:StoreStockInfo><a:StoreID>S1</a:StoreID>{members}</a:StoreStockInfo>"
    update = whole(store_stock_info_list=[StoreStockInfo(store_id="S1", store_stock=99.0)])
    answers = service(current("A", StoreStockInfoList=store))
    result, steps = run_list(UPDATE, [update], answers, strict("read_first"))
    body = steps[0].sends[1].body.decode()
    assert "StoreStock>99.0<" in body
    assert "StorePrice>3<" in body
    assert "StoreStockInfoList[0].StorePrice" in result.outcomes[0].filled


def test_read_first_of_an_upload_completes_all_of_it(strict):
    """A service that saves the given object would lose texts and lists as well."""
    codec = strict().codec
    needed = codec.omitted_value_members(UPLOAD, "inventoryItems", InventoryItem(sku="A"))
    values = {name: "2026-01-01T00:00:00" if "Date" in name else "5" for name in needed}
    kits = "<a:KitInfo><a:SKU>PART</a:SKU><a:Quantity>2</a:Quantity></a:KitInfo>"
    answers = service(current("A", **values, Description="theirs", Stock="3", KitList=kits, WarehouseCode="W"))
    item = InventoryItem(sku="A", price=Decimal(1), details="mine")
    result, steps = run_list(UPLOAD, [item], answers, strict("read_first"))
    body = steps[0].sends[1].body.decode()
    for part in ("Price>1<", "Cost>5<", "theirs<", "mine<", "Stock>3<", "SKU>PART<", "SaleStartDate>2026"):
        assert part in body
    assert {"Cost", "Description", "Stock", "KitList", "SaleStartDate"} <= set(result.outcomes[0].filled)
    assert not {"Price", "Details", "Sku"} & set(result.outcomes[0].filled)
    assert "WarehouseCode" not in body, "the contract in force has no place for it"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (rows_reply(READ, [current("A", Price="abc", Cost="1", Stock="1")]), ProtocolError),
        (rows_reply(READ, [current("A", Cost="1", Stock="1"), current("A", Cost="2", Stock="1")]), ProtocolError),
        (rows_reply(READ, [current("A", Cost="1", Stock="1.5")]), InvalidInputError),
        (rows_reply(READ, [], "Failure"), Exception),
        (reset(), TransportError),
        (status(404), Exception),
    ],
)
def test_what_cannot_be_filled_is_not_sent(strict, answer, error):
    inputs = [ItemQuantityAndPrice(sku="A", price=Decimal(1)), whole("B")]
    writes = service()
    result, steps = run_list(
        UPDATE, inputs, lambda ex: answer if ex.operation == READ else writes(ex), strict("read_first")
    )
    assert statuses(result) == ["not_sent", "ok"]
    assert isinstance(result.outcomes[0].error, error)
    assert asked(steps[0].sends[-1]) == ["B"]


def test_an_update_of_an_item_the_service_does_not_have_is_missing(strict):
    inputs = [ItemQuantityAndPrice(sku="A", price=Decimal(1)), whole("B")]
    result, steps = run_list(UPDATE, inputs, service(), strict("read_first"))
    assert statuses(result) == ["missing", "ok"]
    assert "no such item" in result.missing[0].message
    assert result.retry_inputs() == []
    assert asked(steps[0].sends[-1]) == ["B"]


def test_refused_credentials_at_the_reading_end_the_whole_call(strict):
    inputs = [*(ItemQuantityAndPrice(sku=f"A{n}", price=Decimal(1)) for n in range(250)), whole("B")]
    result, steps = run_list(UPDATE, inputs, lambda _: status(401), strict("read_first"), batch_size=200)
    assert [exchange.operation for one in steps for exchange in one.sends] == [READ], "read once, and nothing is sent"
    assert set(statuses(result)) == {"not_sent"}
    assert all(isinstance(outcome.error, AuthenticationError) for outcome in result.outcomes)


def test_a_stop_ends_the_reading_too(strict):
    read: list[str] = []

    def answer(exchange):
        read.append(exchange.operation)
        return rows_reply(READ, [current(sku, Stock="1") for sku in asked(exchange)])

    inputs = [ItemQuantityAndPrice(sku=f"A{n}", price=Decimal(1)) for n in range(250)]
    result, _ = run_list(UPDATE, inputs, answer, strict("read_first", stopped=lambda: bool(read)))
    assert read == [READ]
    assert set(statuses(result)) == {"not_sent"}


def test_a_completed_value_the_contract_does_not_take_concerns_its_item_alone(strict, monkeypatch):
    inputs = [ItemQuantityAndPrice(sku="A", price=Decimal(1)), whole("B")]
    given = strict("read_first")
    real = given.codec.requests(UPDATE).row_writer("itemQuantityAndPriceList")

    def write(value):
        if value.stock == 3:
            raise InvalidInputError([Problem("does not fit the contract", field="Stock")])
        return real(value)

    monkeypatch.setattr(given.codec.requests(UPDATE), "row_writer", lambda _: write)
    locks = "".join(f"<a:Lock{name}>false</a:Lock{name}>" for name in ("Cost", "Price", "Stock"))
    items = service(current("A", Stock="3", Cost="1", Price="1", FieldLocks=locks))
    result, _ = run_list(UPDATE, inputs, items, given)
    assert statuses(result) == ["not_sent", "ok"]
    assert "does not fit" in str(result.outcomes[0].error)


def test_a_new_item_gets_zeros_which_are_reported(strict):
    result, steps = run_list(UPLOAD, [InventoryItem(sku="NEW", price=Decimal(1))], service(), strict("read_first"))
    body = steps[0].sends[1].body.decode()
    assert statuses(result) == ["ok"]
    assert {"Cost", "MSRP"} <= set(result.outcomes[0].filled)
    assert "Price" not in result.outcomes[0].filled
    assert "Cost>0<" in body
    assert "SaleStartDate" not in body


def test_a_new_store_row_gets_zeros_and_a_known_one_its_values(strict):
    store = "<a:StoreStockInfo><a:StoreID>S1</a:StoreID>" + "".join(
        f"<a:Store{name}>7</a:Store{name}>"
        for name in (
            "BToBPrice",
            "Cost",
            "ListPrice",
            "MAP",
            "MSRP",
            "Price",
            "PriceA",
            "PriceB",
            "PriceC",
            "SalesPrice",
        )
    )
    stores = [StoreStockInfo(store_id="S1", store_stock=1.0), StoreStockInfo(store_id="S2", store_stock=2.0)]
    answers = service(current("A", StoreStockInfoList=f"{store}</a:StoreStockInfo>"))
    result, steps = run_list(UPDATE, [whole(store_stock_info_list=stores)], answers, strict("read_first"))
    assert statuses(result) == ["ok"]
    known, new = re.findall(r"<StoreStockInfo>.*?</StoreStockInfo>", steps[0].sends[1].body.decode())
    assert ("StoreID>S1<" in known, "StoreCost>7<" in known) == (True, True)
    assert ("StoreID>S2<" in new, "StoreCost>0<" in new) == (True, True)
    assert "StoreStockInfoList[1].StoreCost" in result.outcomes[0].filled


# -- the choice ----------------------------------------------------------------------------------------------------


def test_the_choice_of_a_call_comes_before_that_of_the_operation_and_of_all(strict):
    item = ItemQuantityAndPrice(sku="A", stock=3)
    by_operation = strict()._replace(omitted_values={UPDATE: "send", "*": "read_first"})
    assert len(run_list(UPDATE, [item], service(), by_operation)[1][0].sends) == 1
    with pytest.raises(InvalidInputError, match="leaves out"):
        run_list(UPDATE, [item], pytest.fail, by_operation, omitted_values="refuse")
    upload, _ = run_list(UPLOAD, [InventoryItem(sku="A")], service(current("A")), by_operation)
    assert upload.calls[0].operation == READ


@pytest.mark.parametrize("names", [["price", "cost", "lock_cost"], {"Price", "Cost", "LockCost"}])
def test_named_members_may_be_left_out_and_no_others(strict, names):
    result, _ = run_list(UPDATE, [whole().without("price", "cost")], service(), strict(), omitted_values=names)
    assert statuses(result) == ["ok"]
    with pytest.raises(InvalidInputError, match="leaves out stock, which"):
        run_list(UPDATE, [whole().without("price", "stock")], pytest.fail, strict(), omitted_values=names)


@pytest.mark.parametrize("choice", ["guess", 3, [1, 2]])
def test_a_choice_that_is_none_is_refused(strict, choice):
    with pytest.raises(InvalidInputError, match="omitted_values"):
        run_list(UPDATE, [whole()], pytest.fail, strict(), omitted_values=choice)


def test_an_order_names_the_members_that_may_be_zero(strict):
    order = OrderSubmit(order_id="1", total=Decimal(5), order_items=[OrderItem(sku="A", quantity=1, unit_price=5)])
    for choice in ("refuse", "read_first"):
        refused = single("SubmitOrder", order, [], strict(choice), steps=False)
        assert "name them on the call: omitted_values=[" in str(refused)
        assert "'shipping_total'" in str(refused)
    names = ["shipping_total", "sub_total", "tax_total", "item_tax", "item_discount", "order_date"]
    with pytest.raises(StopIteration):
        single("SubmitOrder", order, [], strict(), omitted_values=names)


def test_half_a_creation_window_is_refused_if_the_server_would_read_the_other_half_as_year_1(strict):
    when = datetime(2026, 1, 1, tzinfo=UTC)
    half = OrderCriteria(order_creation_filter_begin_time_gmt=when)
    assert "order_creation_filter_end_time_gmt" in str(single("GetOrderList", half, [], strict(), steps=False))
    for allowed in (OrderCriteria(), half.replace(order_creation_filter_end_time_gmt=when)):
        with pytest.raises(StopIteration):
            single("GetOrderList", allowed, [], strict())


def test_an_item_without_sale_dates_can_be_uploaded_in_every_mode(strict):
    amounts = ("weight", "price", "cost", "price_a", "price_b", "price_c", "msrp", "sales_price")
    item = InventoryItem(sku="A", **dict.fromkeys(amounts, 1))
    for choice in OmittedValues:
        assert statuses(run_list(UPLOAD, [item], service(), strict(choice))[0]) == ["ok"]


# -- the single operations -----------------------------------------------------------------------------------------


def single(operation: str, value, answers, given_context, *, steps: bool = True, **arguments):
    row = OPERATIONS[operation]
    if not steps:
        with pytest.raises(InvalidInputError) as caught:
            row.flow(None, given_context, value, **arguments)
        return caught.value
    return step(row.flow(None, given_context, value, **arguments), answers)


def test_single_updates_and_uploads_are_guarded_alike(strict):
    when = datetime(2026, 1, 1, tzinfo=UTC)
    for operation, value in (
        ("UpdateItemQuantityAndPrice", ItemQuantityAndPrice(sku="A", stock=1)),
        ("UploadItem", InventoryItem(sku="A", sale_start_date=when)),
    ):
        with pytest.raises(InvalidInputError, match="leaves out"):
            single(operation, value, [], strict())


def test_single_updates_read_first(strict):
    answers = service(current("A", Cost="1.5", Price="9", Stock="7", FieldLocks=LOCKS))
    done = ok(
        '<UpdateItemQuantityAndPriceResponse xmlns="http://tempuri.org/"><UpdateItemQuantityAndPriceResult>true'
        "</UpdateItemQuantityAndPriceResult></UpdateItemQuantityAndPriceResponse>"
    )
    steps = single(
        "UpdateItemQuantityAndPrice",
        ItemQuantityAndPrice(sku="A", stock=1),
        lambda ex: answers(ex) if ex.operation == READ else done,
        strict("read_first"),
    )
    assert steps.result.value is True
    assert b"Price>9<" in steps.sends[1].body
    gone = single("UpdateItemQuantityAndPrice", ItemQuantityAndPrice(sku="Z", stock=1), service(), strict("read_first"))
    assert isinstance(gone.error, InvalidInputError)
    assert len(gone.sends) == 1
