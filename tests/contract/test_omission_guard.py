"""No default setting zeroes what an update leaves out, on the strictest service.

Its value types are not nillable, and an omitted one reads as 0, like plain .NET value types. "send" shows that it does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from contract_variants import members_added, values_not_nillable, variant
from hypothesis import example, given, settings
from hypothesis import strategies as st

from octopus_soap import (
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    KitInfo,
    Locks,
    OctopusClient,
    OctopusSettings,
    StoreStockInfo,
    VariationInfo,
)
from octopus_soap.emulator import Emulator, Profile
from octopus_soap.engine.omitted import python_path
from tests.inside import codec_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from octopus_soap.models import WireModel

WHEN, LATER = datetime(2026, 3, 4, 12, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
STORE_VALUES = tuple(sorted(set(StoreStockInfo.model_fields) - {"store_id"}))
LOCKS = tuple(sorted(Locks.model_fields))
AMOUNTS = ("weight", "price", "cost", "price_a", "price_b", "price_c", "msrp", "sales_price")
DATES = ("sale_start_date", "sale_end_date")
ITEM_VALUES = (*AMOUNTS, *DATES)
UPDATE_VALUES = ("stock", "price", "cost", "lock_stock", "lock_price", "lock_cost")
KNOWN = Decimal("7.25")  # every amount before the update
OPEN = ("lock_price", "lock_stock")  # the other locks are set, so that an omitted one is noticed


class Shop:
    """The service with one whole item, and a client per choice."""

    def __init__(self, service: Emulator, wsdl: Any) -> None:
        self.service = service
        self.clients = {
            choice: OctopusClient(
                settings=OctopusSettings.load(**service.settings(), wsdl=wsdl, omitted_values=choice, backoff_base=0)
            )
            for choice in (None, "send", "read_first")
        }

    def stocked(self) -> dict[str, Any]:
        """Store an item with a value in every value type, and return its state."""
        self.service.reset()
        names = InventoryItem.wire_names()
        wire = {attribute: name for name, attribute in names.items()}
        stores = {attribute: name for name, attribute in StoreStockInfo.wire_names().items()}
        locks = {attribute: name for name, attribute in Locks.wire_names().items()}
        values = {stores[name]: 4.5 if name == "store_stock" else KNOWN for name in STORE_VALUES}
        self.service.store.add_item(
            "A",
            Stock="12",
            Description="kept",
            **{wire[name]: KNOWN for name in AMOUNTS},
            **dict.fromkeys((wire[name] for name in DATES), WHEN),
            StoreStockInfoList=[{"StoreID": store, **values} for store in ("S1", "S2")],
            VariationInfo={"IsParent": True, "ParentSku": "P"},
            FieldLocks={locks[name]: name not in OPEN for name in LOCKS},
        )
        return self.state()

    def state(self) -> dict[str, Any]:
        """Return every value of the item, by its path."""
        found: dict[str, Any] = {}

        def flatten(value: Any, path: str) -> None:
            if isinstance(value, dict):
                for name, inner in value.items():
                    flatten(inner, f"{path}.{name}" if path else name)
            elif isinstance(value, list):
                for row in value:
                    flatten(row, f"{path}[{row.get('StoreID')}]")
            else:
                found[path] = value

        flatten(self.service.store.item("A"), "")
        return found

    def send(self, choice: str | None, operation: str, update: WireModel) -> Any:
        sent = getattr(self.clients[choice], operation)([update] if operation.endswith("list") else update)
        if operation.endswith("list"):
            assert [outcome.status.value for outcome in sent.outcomes] == ["ok"]
        return sent


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, running_service: Emulator) -> Iterator[Shop]:
    wsdl = variant(tmp_path_factory.mktemp("plain"), values_not_nillable)
    profile = Profile(omitted_value_type="zero", nillable_values=False)
    with Emulator(wsdl=wsdl, profile=profile, merchants=running_service.merchants) as service:
        made = Shop(service, wsdl)
        yield made
        for client in made.clients.values():
            client.close()


# -- updates with anything left out ------------------------------------------------------------------------------------


def subset(names: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    """Any of *names*; often all of them, or all but one."""
    everything = frozenset(names)
    one_less = st.sampled_from(names).map(lambda name: everything - {name})
    return st.just(everything) | one_less | st.frozensets(st.sampled_from(names))


def new(name: str) -> Any:
    if name in DATES:
        return LATER
    if name.startswith("lock_"):
        return name in OPEN  # the opposite of the stored value
    return 3 if name in {"stock", "store_stock"} else Decimal("1.50")


stores_left = st.one_of(
    st.none(),
    st.just([]),
    st.lists(st.tuples(st.sampled_from(["S1", "S2"]), subset(STORE_VALUES)), max_size=2, unique_by=lambda row: row[0]),
)


def made_stores(rows: list[tuple[str, frozenset[str]]]) -> list[StoreStockInfo]:
    return [StoreStockInfo(store_id=store, **{name: new(name) for name in names}) for store, names in rows]


@st.composite
def updates(draw: st.DrawFn) -> ItemQuantityAndPrice:
    # Locks are only ever opened here: a closed one would hide what happens to a price.
    values = {name: False if name.startswith("lock_") else new(name) for name in draw(subset(UPDATE_VALUES))}
    rows = draw(stores_left)
    more = {} if rows is None else {"store_stock_info_list": made_stores(rows)}
    return ItemQuantityAndPrice(sku="A", **values, **more)


@st.composite
def uploads(draw: st.DrawFn) -> InventoryItem:
    values: dict[str, Any] = {name: new(name) for name in draw(subset(ITEM_VALUES))}
    if (rows := draw(stores_left)) is not None:
        values["store_stock_info_list"] = made_stores(rows)
    if draw(st.booleans()):
        values["variation_info"] = VariationInfo(**({"is_parent": True} if draw(st.booleans()) else {}), parent_sku="Q")
    if draw(st.booleans()):
        values["field_locks"] = Locks(**{name: new(name) for name in draw(subset(LOCKS))})
    return InventoryItem(sku="A", **values)


def touched(update: WireModel) -> set[str]:
    """Return the paths of the stored item that *update* sets, as in `Shop.state`."""
    said = update.model_dump(by_alias=True, exclude_unset=True)
    paths = {
        name for name, value in said.items() if not isinstance(value, (dict, list)) and not name.startswith("Lock")
    }
    paths |= {f"FieldLocks.{name}" for name in said if name.startswith("Lock")}
    for nested in ("VariationInfo", "FieldLocks"):
        paths |= {f"{nested}.{name}" for name in said.get(nested) or ()}
    for store in said.get("StoreStockInfoList") or ():
        paths |= {f"StoreStockInfoList[{store['StoreID']}].{name}" for name in store}
    return paths


def assert_only_what_was_set_changed(before: dict[str, Any], after: dict[str, Any], update: WireModel) -> None:
    changed = {path for path in before if after.get(path) != before[path]}
    assert changed <= touched(update)
    assert Decimal(0) not in [value for value in after.values() if isinstance(value, Decimal)]


UPDATES = ["update_item_quantity_and_price", "update_item_quantity_and_price_list"]
UPLOADS = ["upload_item", "upload_item_list"]
GUARDED = {
    "update_item_quantity_and_price": ("UpdateItemQuantityAndPrice", "iQP"),
    "update_item_quantity_and_price_list": ("UpdateItemQuantityAndPriceList", "itemQuantityAndPriceList"),
    "upload_item": ("UploadItem", "inventoryItem"),
    "upload_item_list": ("UploadItemList", "inventoryItems"),
}
COMPLETE = ItemQuantityAndPrice(sku="A", stock=3, price=1, cost=1, lock_stock=False, lock_price=False, lock_cost=False)
LEFT_OUT = ItemQuantityAndPrice(sku="A", stock=3)


def left_out(shop: Shop, operation: str, update: WireModel) -> list[str]:
    """Return what the guard counts, without dates: the service has year 1 anyway."""
    members = codec_of(shop.clients[None]).omitted_value_members(*GUARDED[operation], update)
    return [name for name in members if name not in ("SaleStartDate", "SaleEndDate")]


def refused_or_harmless(shop: Shop, operation: str, update: WireModel) -> None:
    before = shop.stocked()
    missing = left_out(shop, operation, update)
    if missing:
        with pytest.raises(InvalidInputError, match="omitted_values"):
            shop.send(None, operation, update)
        assert shop.service.calls == [], "refused before anything was sent"
        assert shop.state() == before
    elif update.model_fields_set >= set(DATES) or operation in UPDATES:
        shop.send(None, operation, update)
        assert_only_what_was_set_changed(before, shop.state(), update)


@pytest.mark.parametrize("operation", UPDATES)
@given(update=updates())
@example(update=COMPLETE)
@example(update=LEFT_OUT)
@settings(max_examples=25, deadline=None)
def test_by_default_no_update_zeroes_what_it_leaves_out(shop: Shop, operation: str, update: WireModel) -> None:
    refused_or_harmless(shop, operation, update)


@pytest.mark.parametrize("operation", UPLOADS)
@given(update=uploads())
@settings(max_examples=25, deadline=None)
def test_by_default_no_upload_zeroes_what_it_leaves_out(shop: Shop, operation: str, update: WireModel) -> None:
    refused_or_harmless(shop, operation, update)


def preserved(shop: Shop, operation: str, update: WireModel) -> None:
    before = shop.stocked()
    sent = shop.send("read_first", operation, update)
    assert_only_what_was_set_changed(before, shop.state(), update)
    missing = left_out(shop, operation, update)
    reads = bool(missing) or operation in UPLOADS  # an upload may replace the row, so the whole item is completed
    calls = [call.operation for call in shop.service.calls]
    assert calls == (["GetItemList"] if reads else []) + [GUARDED[operation][0]]
    if operation.endswith("list"):
        filled = sent.outcomes[0].filled
        assert list(filled[: len(missing)]) == missing
        assert operation in UPLOADS or len(filled) == len(missing)


@pytest.mark.parametrize("operation", UPDATES)
@given(update=updates())
@example(update=LEFT_OUT)
@settings(max_examples=25, deadline=None)
def test_read_first_preserves_what_an_update_leaves_out(shop: Shop, operation: str, update: WireModel) -> None:
    preserved(shop, operation, update)


@pytest.mark.parametrize("operation", UPLOADS)
@given(update=uploads())
@settings(max_examples=25, deadline=None)
def test_read_first_preserves_what_an_upload_leaves_out(shop: Shop, operation: str, update: WireModel) -> None:
    preserved(shop, operation, update)


# -- proof that these tests can fail -------------------------------------------------------------------------------------

STORE_ONLY = [StoreStockInfo(store_id="S1", store_stock=1.0)]
ZEROED = [
    ("update_item_quantity_and_price", LEFT_OUT, {"Price": Decimal(0), "Cost": Decimal(0)}),
    ("update_item_quantity_and_price_list", ItemQuantityAndPrice(sku="A", price=1), {"Stock": "0"}),
    ("upload_item", InventoryItem(sku="A", description="new"), {"Price": Decimal(0), "MSRP": Decimal(0)}),
    (
        "upload_item_list",
        InventoryItem(sku="A", store_stock_info_list=STORE_ONLY, field_locks=Locks(lock_price=True)),
        {"StoreStockInfoList[S1].StorePrice": Decimal(0), "FieldLocks.LockUPC": False, "Price": Decimal(0)},
    ),
    (
        "update_item_quantity_and_price",
        COMPLETE.replace(store_stock_info_list=STORE_ONLY),
        {"StoreStockInfoList[S1].StoreCost": Decimal(0)},
    ),
]


@pytest.mark.parametrize(("operation", "update", "zeroes"), ZEROED)
def test_send_lets_this_service_zero_what_is_left_out(
    shop: Shop, operation: str, update: WireModel, zeroes: dict[str, Any]
) -> None:
    before = shop.stocked()
    shop.send("send", operation, update)
    after = shop.state()
    assert {path: after[path] for path in zeroes} == zeroes
    assert all(before[path] not in (0, False, "0") for path in zeroes)


@pytest.mark.parametrize(("operation", "update", "zeroes"), ZEROED)
def test_the_same_updates_are_refused_by_default_naming_every_member(
    shop: Shop, operation: str, update: WireModel, zeroes: dict[str, Any]
) -> None:
    shop.stocked()
    with pytest.raises(InvalidInputError) as caught:
        shop.send(None, operation, update)
    (problem,) = caught.value.problems
    assert problem.key == "A"
    missing = left_out(shop, operation, update)
    assert {path.replace("[S1]", "[0]") for path in zeroes} <= set(missing)
    assert problem.message.startswith(f"leaves out {python_path(type(update), missing[0])}")
    assert "export OCTOPUS_OMITTED_VALUES=read_first" in str(caught.value)
    assert shop.service.calls == []


# -- special cases ---------------------------------------------------------------------------------------------------


def test_one_refused_item_of_a_list_stops_the_whole_list_before_anything_is_sent(shop: Shop) -> None:
    shop.stocked()
    with pytest.raises(InvalidInputError) as caught:
        shop.clients[None].update_item_quantity_and_price_list([COMPLETE, LEFT_OUT.replace(sku="B")])
    assert [(problem.index, problem.key) for problem in caught.value.problems] == [(1, "B")]
    assert shop.service.calls == []


def test_an_explicit_none_does_not_pass_for_a_value(shop: Shop) -> None:
    before = shop.stocked()
    for choice in (None, "send", "read_first"):
        for operation in UPDATES:
            with pytest.raises(InvalidInputError, match=r"\w\.price: .*does not let it be null"):
                shop.send(choice, operation, COMPLETE.replace(price=None))
    assert shop.state() == before


def test_read_first_states_the_filled_members_of_nested_records_too(shop: Shop) -> None:
    shop.stocked()
    update = COMPLETE.replace(store_stock_info_list=[StoreStockInfo(store_id="S2", store_stock=9.0)])
    (outcome,) = shop.send("read_first", "update_item_quantity_and_price_list", update).outcomes
    stores = {attribute: name for name, attribute in StoreStockInfo.wire_names().items()}
    wanted = {f"StoreStockInfoList[0].{stores[name]}" for name in STORE_VALUES if name != "store_stock"}
    assert set(outcome.filled) == wanted
    assert outcome.input is update


def test_read_first_does_not_send_what_the_current_item_cannot_complete(shop: Shop) -> None:
    before = shop.stocked()
    new_store = InventoryItem(sku="A", kit_list=[KitInfo(sku="PART")], **{name: new(name) for name in ITEM_VALUES})
    with pytest.raises(InvalidInputError, match="quantity"):
        shop.send("read_first", "upload_item", new_store)
    assert [call.operation for call in shop.service.calls] == ["GetItemList"]
    assert shop.state() == before


def test_read_first_does_not_send_where_the_current_item_cannot_be_read(shop: Shop) -> None:
    from octopus_soap.emulator import Status

    before = shop.stocked()
    shop.service.script.on("GetItemList").do(Status(503))
    for operation in UPDATES + UPLOADS:
        update = LEFT_OUT if operation in UPDATES else InventoryItem(sku="A", description="x")
        with pytest.raises(Exception, match="503"):
            shop.send("read_first", operation, update)
    assert {call.operation for call in shop.service.calls} == {"GetItemList"}
    assert shop.state() == before


def test_a_single_call_states_what_was_completed_in_its_facts(shop: Shop) -> None:
    shop.stocked()
    answer = shop.clients["read_first"].update_item_quantity_and_price.with_info(LEFT_OUT)
    assert answer.info.warnings == ("completed from the current item: Cost, LockCost, LockPrice, LockStock, Price",)
    assert shop.clients["read_first"].update_item_quantity_and_price.with_info(COMPLETE).info.warnings == ()


def test_read_first_works_for_an_item_without_sale_dates_and_leaves_it_without(shop: Shop) -> None:
    shop.stocked()
    shop.clients["send"].upload_item(InventoryItem(sku="A", **dict.fromkeys(AMOUNTS, KNOWN)))  # zeroes the dates
    (item,) = shop.clients[None].get_item_list(["A"])
    assert (item.sale_start_date, item.sale_end_date) == (None, None)
    before = shop.state()
    update = InventoryItem(sku="A", price=Decimal(2))
    (outcome,) = shop.send("read_first", "upload_item_list", update).outcomes
    assert_only_what_was_set_changed(before, shop.state(), update)
    assert "SaleStartDate" not in outcome.filled
    assert "Cost" in outcome.filled


def test_an_update_takes_over_nothing_but_what_would_be_zeroed(shop: Shop) -> None:
    shop.stocked()
    shop.clients["read_first"].update_item_quantity_and_price(LEFT_OUT)
    body = shop.service.calls[-1].request
    assert b"Cost" in body
    assert b"StoreStockInfoList" not in body, "another writer may have changed it meanwhile"


def test_only_what_was_left_out_is_linted(shop: Shop) -> None:
    for choice, noted in (("read_first", set()), ("send", {"omitted"})):
        shop.stocked()
        shop.send(choice, "upload_item_list", InventoryItem(sku="A", price=Decimal(2)))
        shop.send(choice, "update_item_quantity_and_price", LEFT_OUT)
        assert {note.what for note in shop.service.lint} == noted


# -- a contract with more value types and other spellings -----------------------------------------------------------


def test_value_types_the_models_do_not_know_are_guarded_too_and_pass_with_an_item_that_was_read(
    tmp_path: Path, running_service: Emulator
) -> None:
    wsdl = variant(tmp_path, members_added, values_not_nillable)
    profile = Profile(omitted_value_type="zero", nillable_values=False)
    with (
        Emulator(wsdl=wsdl, profile=profile, merchants=running_service.merchants) as service,
        OctopusClient(settings=OctopusSettings.load(**service.settings(), wsdl=wsdl)) as client,
    ):
        amounts = {str(InventoryItem.model_fields[name].serialization_alias): KNOWN for name in AMOUNTS}
        service.store.add_item("A", MidExtra=KNOWN, ZzzExtra=WHEN, SaleStartDate=WHEN, SaleEndDate=WHEN, **amounts)
        known = InventoryItem(sku="A", **dict.fromkeys(AMOUNTS, KNOWN), **dict.fromkeys(DATES, WHEN))
        with pytest.raises(InvalidInputError, match="leaves out MidExtra, ZzzExtra"):
            client.upload_item(known)
        (item,) = client.get_item_list(["A"])
        client.upload_item(item.replace(price=Decimal(2)))
        stored = service.store.item("A")
        assert stored is not None
        assert (stored["MidExtra"], stored["ZzzExtra"], stored["Price"]) == (KNOWN, WHEN, Decimal(2))


def test_the_guard_sees_members_the_contract_spells_in_another_case(tmp_path: Path) -> None:
    def shouting(text: str) -> str:
        return text.replace('name="Price"', 'name="PRICE"').replace('name="Cost"', 'name="COST"')

    wsdl = variant(tmp_path, values_not_nillable, text=shouting)
    given = {"authtoken": "t", "merchantname": "m", "accessid": "a", "endpoint": "http://127.0.0.1:9/x.svc"}
    with OctopusClient(settings=OctopusSettings.load(**given, wsdl=wsdl)) as client:
        members = codec_of(client).omitted_value_members
        assert members("UpdateItemQuantityAndPrice", "iQP", COMPLETE.without("cost")) == ["COST"]
        assert members("UpdateItemQuantityAndPrice", "iQP", COMPLETE) == []


@pytest.mark.parametrize("many", [False, True], ids=["single", "list"])
def test_read_first_reads_from_the_account_the_update_goes_to(tmp_path: Path, many: bool) -> None:
    """Another account's prices must never be filled in."""
    wsdl = variant(tmp_path, values_not_nillable)
    profile = Profile(account_must_equal_accessid=False, nillable_values=False)
    with (
        Emulator(wsdl=wsdl, profile=profile) as service,
        OctopusClient(
            settings=OctopusSettings.load(**service.settings(), wsdl=wsdl, omitted_values="read_first")
        ) as client,
    ):
        service.store.add_item("A", **dict.fromkeys(["Price", "Cost"], KNOWN), Stock="1")
        update = COMPLETE.without("cost").replace(sku="A")
        if many:
            client.update_item_quantity_and_price_list([update], account_id="other-account")
        else:
            client.update_item_quantity_and_price(update, account_id="other-account")
        assert service.calls[0].operation == "GetItemList"
        assert all("other-account" in str(call.request) for call in service.calls)


def test_an_item_without_locks_has_none_set(shop: Shop) -> None:
    """FieldLocks of such an item is nil: read_first reads that as three open locks."""
    shop.service.reset()
    shop.service.store.add_item("A", Price=Decimal(1), Cost=Decimal(2), Stock="3")
    assert shop.send("read_first", "update_item_quantity_and_price", ItemQuantityAndPrice(sku="A", stock=9)) is True
    stored = shop.service.store.item("A")
    assert stored is not None
    assert (stored["Price"], stored["Cost"], stored["Stock"]) == (1, 2, "9")
    assert not any(stored["FieldLocks"].values())
