"""Each kind of difference between contracts is found, named and graded."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest
from contract_variants import (
    DATA,
    MAIN,
    VARIANTS,
    WRAPPERS,
    XS,
    element,
    inlined,
    members_added,
    members_reversed,
    parameters_reversed,
    renamed,
    requests_of,
    sequences,
    values_not_nillable,
    variant,
)

from octopus_soap.contracts.diff import GUARDED, Difference, Effect, Kind, compare, examined, known_members
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.models.declarations import Safety
from octopus_soap.operations import OPERATIONS
from tests.catalogue import ROWS
from tests.inside import codec_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap import OctopusClient


def differences(folder: Path, *changes: Callable[[Any], None], text: Callable[[str], str] = str) -> list[Difference]:
    return compare(load_contract(), examined(variant(folder, *changes, text=text)))


def member(documents: Any, kind: str, name: str) -> Any:
    sequence = dict(sequences(documents[DATA], lists=True))[kind]
    return next(child for child in sequence if child.get("name") == name)


def parameter(documents: Any, operation: str, name: str) -> Any:
    sequence = dict(requests_of(documents[WRAPPERS]))[operation]
    return next(child for child in sequence if child.get("name") == name)


def test_a_contract_equals_itself_and_its_inlined_form(tmp_path: Path) -> None:
    assert compare(load_contract(), load_contract()) == []
    assert differences(tmp_path, inlined) == []


def test_the_bundled_contract_has_every_member_the_models_know() -> None:
    known = known_members()
    assert len(known) > 15
    assert compare(load_contract(), load_contract(), known) == []
    extended = {**known, "InventoryItem": known["InventoryItem"] | {"Season"}}
    (found,) = compare(load_contract(), load_contract(), extended)
    assert (found.kind, found.where, found.ours) == (Kind.MEMBER, "InventoryItem.Season", "Season (models only)")


def test_the_guarded_parameters_are_those_the_catalogue_guards(client: OctopusClient) -> None:
    assert GUARDED.keys() <= OPERATIONS.keys()
    asked: list[tuple[str, str]] = []
    codec = codec_of(client)

    def ask(operation: str, name: str, value: Any) -> list[str]:
        asked.append((operation, name))
        return []

    codec.omitted_value_members = ask  # type: ignore[method-assign] # a spy
    for row in ROWS:
        if row.safety is not Safety.READ:
            with contextlib.suppress(Exception):  # only the request is checked here
                row(client)
    assert dict(asked) == GUARDED


def removed(documents: Any) -> None:
    found = member(documents, "InventoryItem", "UPC")
    found.getparent().remove(found)


def parameter_removed(documents: Any) -> None:
    found = parameter(documents, "DeleteItem", "ProductID")
    found.getparent().remove(found)


def parameter_added(documents: Any) -> None:
    dict(requests_of(documents[WRAPPERS]))["IsSkuExist"].append(element("tenant", "int", nillable=False))


def reply_member_added(documents: Any) -> None:
    dict(sequences(documents[DATA]))["QuantityInfoResponse"].append(element("Reserved", "int"))


def value_added(documents: Any) -> None:
    dict(sequences(documents[DATA]))["ItemQuantityAndPrice"].append(element("FloorPrice", "decimal", nillable=False))


def order_value_plain(documents: Any) -> None:
    member(documents, "OrderSubmit", "Total").attrib.pop("nillable")


def reply_value_plain(documents: Any) -> None:
    member(documents, "QuantityInfoResponse", "Stock").attrib.pop("nillable")


def update_value_plain(documents: Any) -> None:
    member(documents, "StoreStockInfo", "StoreCost").attrib.pop("nillable")


def text_plain(documents: Any) -> None:
    member(documents, "InventoryItem", "UPC").attrib.pop("nillable")


def number_as_double(documents: Any) -> None:
    member(documents, "ItemQuantityAndPrice", "Price").set("type", "xs:double")


def reply_as_text(documents: Any) -> None:
    member(documents, "UpdateItemResponse", "Result").set("type", "xs:string")


def list_as_one(documents: Any) -> None:
    member(documents, "InventoryItem", "KitList").set("type", "tns:KitInfo")


def bare_result_changed(documents: Any) -> None:
    for found in documents[WRAPPERS].iter(f"{XS}element"):
        if found.get("name") == "IsSkuExistResult":
            found.set("type", "xs:int")


def result_bare(documents: Any) -> None:
    for found in documents[WRAPPERS].iter(f"{XS}element"):
        if found.get("name") == "GetItemListResult":
            found.set("type", f"{found.get('type').partition(':')[0]}:ArrayOfInventoryItem")


def spelled(documents: Any) -> None:
    member(documents, "InventoryItem", "salesprice").set("name", "SalesPrice")
    parameter(documents, "DeleteItem", "status").set("name", "Status")


def item_element_renamed(documents: Any) -> None:
    member(documents, "ArrayOfKitInfo", "KitInfo").set("name", "Kit")


def operation_removed(text: str) -> str:
    return text.replace('wsdl:operation name="SubmitOrder"', 'wsdl:operation name="PlaceOrder"')


def operation_spelled(text: str) -> str:
    return text.replace('wsdl:operation name="SubmitOrder"', 'wsdl:operation name="submitOrder"')


def one_action(text: str) -> str:
    return text.replace("IOctopusService/SubmitOrder", "IOrders/SubmitOrder")


CASES: list[tuple[Any, tuple[Kind, Effect, str, str, str], str]] = [
    (removed, (Kind.MEMBER, Effect.CARE, "InventoryItem.UPC", "UPC", ""), "setting it raises ContractError"),
    (parameter_removed, (Kind.PARAMETER, Effect.BREAKS, "DeleteItem.ProductID", "ProductID", ""), "ContractError"),
    (parameter_added, (Kind.PARAMETER, Effect.CARE, "IsSkuExist.tenant", "", "xs:int, not nillable"), "0, false"),
    (reply_member_added, (Kind.MEMBER, Effect.FOLLOWED, "QuantityInfoResponse.Reserved", "", "xs:int"), "model_extra"),
    (
        value_added,
        (Kind.MEMBER, Effect.CARE, "ItemQuantityAndPrice.FloorPrice", "", "xs:decimal, not nillable"),
        "see omitted_values",
    ),
    (
        update_value_plain,
        (Kind.NILLABLE, Effect.CARE, "StoreStockInfo.StoreCost", "nillable", "not nillable"),
        "not nillable value type: omitted it would be read as 0: such writes are refused, see omitted_values",
    ),
    (
        order_value_plain,
        (Kind.NILLABLE, Effect.CARE, "OrderSubmit.Total", "nillable", "not nillable"),
        "such writes are refused",
    ),
    (
        reply_value_plain,
        (Kind.NILLABLE, Effect.CARE, "QuantityInfoResponse.Stock", "nillable", "not nillable"),
        "cannot say that it has none",
    ),
    (text_plain, (Kind.NILLABLE, Effect.FOLLOWED, "InventoryItem.UPC", "nillable", "not nillable"), "leave it unset"),
    (
        number_as_double,
        (Kind.TYPE, Effect.CARE, "ItemQuantityAndPrice.Price", "xs:decimal", "xs:double"),
        "refused before it is sent",
    ),
    (
        reply_as_text,
        (Kind.TYPE, Effect.CARE, "UpdateItemResponse.Result", "xs:boolean", "xs:string"),
        "reported, never dropped",
    ),
    (list_as_one, (Kind.TYPE, Effect.BREAKS, "InventoryItem.KitList", "KitInfo[]", "KitInfo"), "another kind of value"),
    (
        bare_result_changed,
        (Kind.TYPE, Effect.CARE, "IsSkuExistResponse.IsSkuExistResult", "xs:boolean", "xs:int"),
        "reported, never dropped",
    ),
    (result_bare, (Kind.RESULT, Effect.FOLLOWED, "GetItemListResponse", "in an APIResult", "bare"), "either way"),
    (
        item_element_renamed,
        (Kind.ELEMENT, Effect.FOLLOWED, "ArrayOfKitInfo[]", "KitInfo", "Kit"),
        "as the contract in force names it",
    ),
]


@pytest.mark.parametrize(("change", "expected", "meaning"), CASES, ids=[case[0].__name__ for case in CASES])
def test_one_change_is_one_difference(
    tmp_path: Path, change: Any, expected: tuple[Kind, Effect, str, str, str], meaning: str
) -> None:
    (found,) = differences(tmp_path, change)
    assert (found.kind, found.effect, found.where, found.ours, found.theirs) == expected
    assert meaning in found.meaning


def test_names_in_another_case_are_a_spelling_and_not_a_loss(tmp_path: Path) -> None:
    found = differences(tmp_path, spelled)
    assert {(d.kind, d.where, d.theirs) for d in found} == {
        (Kind.SPELLING, "InventoryItem.salesprice", "SalesPrice"),
        (Kind.SPELLING, "DeleteItem.status", "Status"),
    }


def test_a_missing_operation_breaks_and_a_new_one_does_not(tmp_path: Path) -> None:
    missing, new = differences(tmp_path, text=operation_removed)
    assert (missing.kind, missing.effect, missing.where) == (Kind.OPERATION, Effect.BREAKS, "SubmitOrder")
    assert (new.kind, new.effect, new.theirs) == (Kind.OPERATION, Effect.FOLLOWED, "PlaceOrder")


def test_an_operation_in_another_case_breaks_and_says_how_it_is_spelled(tmp_path: Path) -> None:
    (found,) = [d for d in differences(tmp_path, text=operation_spelled) if d.kind is Kind.OPERATION]
    assert (found.effect, found.ours, found.theirs) == (Effect.BREAKS, "SubmitOrder", "submitOrder")


def test_one_other_action_is_named_and_many_are_one_difference(tmp_path: Path) -> None:
    (found,) = differences(tmp_path / "one", text=one_action)
    assert (found.kind, found.where) == (Kind.ACTION, "SubmitOrder")
    assert found.theirs.endswith("IOrders/SubmitOrder")
    many = differences(tmp_path / "many", text=renamed)
    assert [d.kind for d in many] == [Kind.ACTION, Kind.TYPE, Kind.NAMESPACE, Kind.NAMESPACE]
    assert many[0].where.partition(",")[0] == f"{len(ROWS)} operations"
    assert re.fullmatch(r"APIResultOfArrayOfIsSkuExistResponse\w+ and \d+ more", many[1].where)
    assert all(re.match(r"\d{2,} elements", d.where) for d in many[2:])
    assert {d.effect for d in many} == {Effect.FOLLOWED}


def test_order_is_one_difference_per_type_or_operation(tmp_path: Path) -> None:
    found = differences(tmp_path / "members", members_reversed)
    assert {d.kind for d in found} == {Kind.ORDER}
    by_type = {d.where: d for d in found}
    assert by_type["ItemQuantityAndPrice"].ours == "Cost, ErrorMessage, …"
    assert by_type["ItemQuantityAndPrice"].theirs == "StoreStockInfoList, Stock, …"
    assert "would silently skip members" in by_type["ItemQuantityAndPrice"].meaning
    assert by_type["OrderResponseItem"].meaning == "replies are read in any order"
    parameters = differences(tmp_path / "parameters", parameters_reversed)
    assert {d.where for d in parameters} >= {"DeleteItem", "UploadItem", "SubmitOrder"}
    assert all("skip parameters" in d.meaning for d in parameters)


def test_members_of_a_type_used_both_ways_are_judged_by_the_gravest_use(tmp_path: Path) -> None:
    found = {d.where: d for d in differences(tmp_path, values_not_nillable)}
    assert "omitted_values" in found["InventoryItem.Price"].meaning, "read by GetItemList, sent by UploadItem"
    assert "omitted_values" in found["Locks.LockPrice"].meaning
    assert "omitted_values" in found["KitInfo.Quantity"].meaning
    assert "such writes are refused" in found["OrderItem.UnitPrice"].meaning
    assert "set it" in found["DeleteItem.ProductID"].meaning


def test_the_gravest_come_first(tmp_path: Path) -> None:
    effects = [d.effect for d in differences(tmp_path, list_as_one, removed, members_added)]
    assert effects == sorted(effects, key=list(Effect).index)
    assert set(effects) == set(Effect)


@pytest.mark.parametrize("name", VARIANTS)
def test_both_directions_find_something_or_neither(tmp_path: Path, name: str) -> None:
    ours, theirs = load_contract(), examined(VARIANTS[name](tmp_path))
    assert bool(compare(ours, theirs)) == bool(compare(theirs, ours)) == (name != "inlined")
    assert compare(theirs, theirs, {}) == []


def test_a_wsdl_without_operations_or_that_zeep_cannot_read_is_a_contract_error(tmp_path: Path) -> None:
    from octopus_soap import ContractError

    empty = tmp_path / MAIN
    empty.write_text('<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="x"/>')
    with pytest.raises(ContractError, match=r"SOAP 1\.1"):
        examined(empty)
    broken = variant(tmp_path / "b", text=lambda text: text.replace('type="tns:ArrayOfKitInfo"', 'type="tns:Nope"'))
    with pytest.raises(ContractError, match="Nope"):
        examined(broken)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            '<xs:import namespace="http://schemas.microsoft.com/2003/10/Serialization/Arrays" schemaLocation="Arrays.xsd"/>',
            "<xs:include/>",
        ),
        ('maxOccurs="unbounded"', 'maxOccurs="lots"'),
        ('schemaLocation="Arrays.xsd"', 'schemaLocation="Nope.xsd"'),
        ('schemaLocation="Arrays.xsd"', 'schemaLocation="http://example.invalid/Arrays.xsd"'),
    ],
    ids=["include of nothing", "odd number", "missing file", "over the network"],
)
def test_no_error_of_zeep_escapes_from_an_odd_contract(tmp_path: Path, old: str, new: str) -> None:
    from octopus_soap import ContractError

    wsdl = variant(tmp_path, text=lambda text: text.replace(old, new))
    for load in (load_contract, examined):
        with pytest.raises(ContractError):
            load(wsdl)
