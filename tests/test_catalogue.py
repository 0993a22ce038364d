"""Each row of the catalogue against the vendor's page, the contract and our rules."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from lxml import etree

from octopus_soap import (
    CustomFieldMapping,
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusClient,
    OrderDownloadSubmitRequest,
    Safety,
    StoreStockInfo,
    errors,
    operations,
)
from octopus_soap.contracts.bundled import contract_path, operation_names
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.engine.operation import ListOperation, PageOperation, SingleOperation
from octopus_soap.operations import OPERATIONS, Operations
from tests.catalogue import BY_NAME, ROWS, seed
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.emulator import Emulator
    from octopus_soap.engine.operation import Operation

EVERY_ROW = every("row", OPERATIONS.values(), ids=list(OPERATIONS))


def parameters_of(row: Operation) -> list[inspect.Parameter]:
    return list(row.signature.parameters.values())


# -- names ---------------------------------------------------------------------------------------------------------


def test_the_catalogue_has_exactly_the_pages_operations_in_settings_and_contract_too() -> None:
    assert set(OPERATIONS) == set(BY_NAME) == operation_names() == set(load_contract().operations)


def test_each_wire_name_is_declared_once() -> None:
    source = inspect.getsource(operations)
    declared = re.findall(r'@(?:single|page|listing|confirming)\(\s*"(\w+)"', source)
    assert len(declared) == len(set(declared)) == len(ROWS)
    assert declared == list(OPERATIONS), "the table keeps the order of the catalogue"


def test_no_operation_lives_outside_the_catalogue() -> None:
    """An operation written by hand would miss retries, limits and tests."""
    rows = {name for name, value in vars(Operations).items() if isinstance(value, (SingleOperation, ListOperation))}
    assert rows == {row.name for row in OPERATIONS.values()}
    public = {name for name in vars(OctopusClient) if not name.startswith("_")}
    assert public.isdisjoint(rows)


@EVERY_ROW
def test_the_method_is_the_wire_name_in_snake_case(row: Operation) -> None:
    assert row.name == BY_NAME[row.wire_name].name
    assert getattr(OctopusClient, row.name) is row


@EVERY_ROW
def test_the_operation_is_in_the_wsdl_with_the_pages_parameters(row: Operation) -> None:
    wsdl = etree.parse(contract_path())
    names = {e.get("name") for e in wsdl.iter("{http://schemas.xmlsoap.org/wsdl/}operation")}
    assert row.wire_name in names
    declared = [member.name for member in load_contract().operation(row.wire_name).request.shape.members]
    assert declared == BY_NAME[row.wire_name].parameters


# -- safety and batches ----------------------------------------------------------------------------------------------


@EVERY_ROW
def test_the_safety_class_is_the_operations_nature(row: Operation) -> None:
    assert row.safety is BY_NAME[row.wire_name].safety
    assert (row.safety is Safety.READ) is row.wire_name.startswith(("Get", "Is"))


@EVERY_ROW
def test_the_batch_rule_is_the_pages(row: Operation) -> None:
    limit = BY_NAME[row.wire_name].limit
    shapes = {member.name: member.shape for member in load_contract().operation(row.wire_name).request.shape.members}
    lists = [name for name, shape in shapes.items() if shape.items is not None and name != "StorStock"]
    if row.rule is None:
        assert limit is None
        assert lists == [], "an operation on a list needs a rule"
        assert isinstance(row, SingleOperation)
        return
    assert isinstance(row, ListOperation)
    assert [row.rule.listed] == lists
    assert row.rule.documented is (limit is not None)
    assert row.rule.limit == (limit or 100), "if the page has no limit, ours is 100"


@every("row", [row for row in OPERATIONS.values() if row.rule is not None])
def test_a_limit_of_ours_says_so_and_a_documented_one_quotes_the_page(row: Operation) -> None:
    assert row.rule is not None
    text = " ".join((row.__doc__ or "").split())
    if row.rule.documented:
        assert re.search(rf'\("Limited to a (MAX|maximum) of {row.rule.limit} \w+ at a time"\)', text)
        assert f"1 to {row.rule.limit}" in text
    else:
        assert f"The page states no limit; {row.rule.limit} is ours" in text


# -- signatures ------------------------------------------------------------------------------------------------------


@EVERY_ROW
def test_the_signature_is_typed_and_closed(row: Operation) -> None:
    """No `*args` or `**kwargs`, at most one positional argument, types for all."""
    for parameter in inspect.signature(row.body).parameters.values():
        assert parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        assert parameter.name == "self" or parameter.annotation is not parameter.empty
    parameters = parameters_of(row)
    options = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    assert all(p.default is not p.empty for p in options)
    assert options[0].name == "account_id" if row.rule else "account_id" in [p.name for p in options]
    assert len(parameters) - len(options) <= 2
    account = row.signature.parameters["account_id"]
    assert account.default is None
    if row.rule is not None:
        assert [p.name for p in options[:3]] == ["account_id", "batch_size", "progress"]
        assert [p.name for p in options[3:]] in ([], ["omitted_values"])
        assert all(p.default is None for p in options)


@EVERY_ROW
def test_the_return_annotation_is_the_natural_python_result(row: Operation) -> None:
    assert row.signature.return_annotation == BY_NAME[row.wire_name].returns


@EVERY_ROW
def test_every_annotation_resolves(row: Operation) -> None:
    """`typing.get_type_hints`, pydantic, FastAPI and the command line read them."""
    hints = get_type_hints(row.body)
    assert set(hints) == {*row.signature.parameters, "return"}


@EVERY_ROW
def test_a_bound_operation_shows_its_own_name_signature_and_documentation(
    row: Operation, client: OctopusClient
) -> None:
    bound = getattr(client, row.name)
    assert inspect.signature(bound) == row.signature
    assert "self" not in inspect.signature(bound).parameters
    assert bound.__name__ == row.name
    assert bound.__qualname__ == f"OctopusClient.{row.name}"
    assert bound.__doc__ == row.body.__doc__
    assert inspect.getdoc(bound)
    assert repr(bound) == f"<{row.name}{row.signature}>"
    assert callable(bound)
    assert hasattr(bound, "stream") is (row.rule is not None or isinstance(row, PageOperation))
    assert hasattr(bound, "with_info") is (row.rule is None)


@EVERY_ROW
def test_tab_completion_offers_the_operation(row: Operation, client: OctopusClient) -> None:
    assert row.name in dir(client)
    assert row.name in dir(OctopusClient)


# -- parameters on the wire ------------------------------------------------------------------------------------------


def sent_parameters(service: Emulator) -> list[str]:
    envelope = etree.fromstring(service.calls[-1].request)
    return [etree.QName(child).localname for child in envelope[0][0]]


@EVERY_ROW
def test_every_parameter_of_the_contract_can_be_given(row: Operation, service: Emulator, client: OctopusClient) -> None:
    """All arguments of the method together reach all parameters of the operation."""
    service.reset()
    seed(service)
    known = BY_NAME[row.wire_name]
    given = row.signature.bind(*known.arguments, account_id=client.settings.sent_account_id, **known.all_options)
    assert set(given.arguments) == set(row.signature.parameters), "the row of the table names every argument"
    getattr(client, row.name)(*given.args, **given.kwargs)
    declared = [member.name for member in load_contract().operation(row.wire_name).request.shape.members]
    assert sent_parameters(service) == declared


@EVERY_ROW
def test_the_required_arguments_alone_reach_every_required_parameter(
    row: Operation, service: Emulator, client: OctopusClient
) -> None:
    service.reset()
    seed(service)
    required = [p for p in parameters_of(row) if p.default is p.empty]
    BY_NAME[row.wire_name].method(client)(*BY_NAME[row.wire_name].arguments[: len(required)])
    assert BY_NAME[row.wire_name].required <= set(sent_parameters(service))


WRONG: list[tuple[str, Callable[[OctopusClient], Any]]] = [
    ("IsSkuExist", lambda c: c.is_sku_exist(5)),  # type: ignore[arg-type] # what is tested
    ("IsSkuExist", lambda c: c.is_sku_exist("")),
    ("IsSkuExist", lambda c: c.is_sku_exist("x" * 51)),
    ("GetItemQuantity", lambda c: c.get_item_quantity("a\x00")),
    ("GetItemQuantityInfo", lambda c: c.get_item_quantity_info(None)),  # type: ignore[arg-type] # what is tested
    ("DeleteItem", lambda c: c.delete_item("A", seller_id=2**31)),
    ("DeleteItem", lambda c: c.delete_item("A", status=True)),
    ("DeleteItem", lambda c: c.delete_item("A", product_id="1")),  # type: ignore[arg-type] # what is tested
    ("DeleteItemStore", lambda c: c.delete_item_store("A", store_stock=["S1"])),  # type: ignore[list-item] # what is tested
    ("DeleteItemStore", lambda c: c.delete_item_store("A", store_stock="S1")),  # type: ignore[arg-type] # what is tested
    ("DeleteItemStore", lambda c: c.delete_item_store("A", store_stock=StoreStockInfo())),  # type: ignore[arg-type] # what is tested
    ("DeleteTblItem", lambda c: c.delete_tbl_item("")),
    ("UploadItem", lambda c: c.upload_item({"Skuu": "A"})),  # type: ignore[arg-type] # what is tested
    ("UploadItem", lambda c: c.upload_item(InventoryItem())),
    ("UpdateItemQuantityAndPrice", lambda c: c.update_item_quantity_and_price(InventoryItem(sku="A"))),  # type: ignore[arg-type] # what is tested
    ("UpdateItemQuantityAndPrice", lambda c: c.update_item_quantity_and_price(ItemQuantityAndPrice(stock=1))),
    ("GetOrderList", lambda c: c.get_order_list({"paid": True})),  # type: ignore[arg-type] # what is tested
    ("GetOrderListStore", lambda c: c.get_order_list_store("")),
    ("GetOrderListStore", lambda c: c.get_order_list_store(["S1"])),  # type: ignore[arg-type] # what is tested
    ("SubmitOrder", lambda c: c.submit_order(None)),  # type: ignore[arg-type] # what is tested
    ("CustomFieldMapping", lambda c: c.custom_field_mapping([CustomFieldMapping(value="V")])),
    ("SetDownloadOrderConfirm", lambda c: c.set_download_order_confirm([OrderDownloadSubmitRequest(store_id="S")])),
]


@every(("operation", "call"), WRONG, ids=[f"{name}-{n}" for n, (name, _) in enumerate(WRONG)])
def test_a_wrong_argument_is_refused_before_anything_is_sent(
    operation: str, call: Callable[[OctopusClient], Any], service: Emulator, client: OctopusClient
) -> None:
    with pytest.raises(InvalidInputError, match="nothing was sent"):
        call(client)
    assert service.calls == []


# -- documentation -------------------------------------------------------------------------------------------------


def sections_of(row: Operation) -> dict[str, str]:
    """The docstring's Google sections by name."""
    found = re.split(r"^(Args|Returns|Raises):$", inspect.cleandoc(row.__doc__ or ""), flags=re.MULTILINE)
    return {
        name: re.split(r"^\S", text, maxsplit=1, flags=re.MULTILINE)[0]
        for name, text in zip(found[1::2], found[2::2], strict=True)
    }


@EVERY_ROW
def test_the_docstring_opens_with_one_sentence(row: Operation) -> None:
    first, _, rest = (row.__doc__ or "").partition("\n")
    assert re.fullmatch(r"[A-Z][^.]*(\d\.\d[^.]*)*\.", first), first
    assert len(first) <= 80
    assert rest.startswith("\n"), "a blank line follows"
    assert row.summary == first


@EVERY_ROW
def test_the_docstring_explains_every_argument_in_order_and_no_other(row: Operation) -> None:
    documented = re.findall(r"^    (\w+): \S", sections_of(row)["Args"], flags=re.MULTILINE)
    assert documented == list(row.signature.parameters)


@EVERY_ROW
def test_the_docstring_says_what_comes_back_and_what_is_raised(row: Operation) -> None:
    sections = sections_of(row)
    assert ("Returns" in sections) is (row.signature.return_annotation != "None")
    raised = re.findall(r"^    (\w+): \S", sections["Raises"], flags=re.MULTILINE)
    assert raised
    assert all(issubclass(getattr(errors, name), errors.OctopusError) for name in raised)
    assert ("UnverifiedContractError" in raised) is (row.safety is not Safety.READ)


@EVERY_ROW
def test_the_docstring_ends_with_the_pages_section(row: Operation) -> None:
    last = " ".join(inspect.cleandoc(row.__doc__ or "").rpartition("\n\n")[2].split())
    assert re.fullmatch(rf'Vendor\'s page: {row.wire_name}( \("[^"]+"\))?\.', last), last
