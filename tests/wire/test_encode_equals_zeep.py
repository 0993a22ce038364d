"""The encoder writes the same canonical messages as zeep, for every operation."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import canonicalize

import pytest
import zeep
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from model_strategies import INT32, MODELS, TEXT, instances

from octopus_soap import ContractError, InvalidInputError, InventoryItem, ItemQuantityAndPrice, StoreStockInfo
from octopus_soap.contracts.bundled import contract_path
from octopus_soap.contracts.wsdl import load_contract
from octopus_soap.models import WireModel
from octopus_soap.operations import OPERATIONS
from octopus_soap.wire.codec import Codec
from octopus_soap.wire.encode import scalar_formats
from octopus_soap.wire.redact import Redactor
from tests.every import every

CONTRACT = load_contract()
CODEC = Codec(CONTRACT, Redactor([]), UTC)
ZEEP = zeep.Client(str(contract_path()))
SCHEMA = etree.XMLSchema(etree.parse(contract_path().parent / "OctopusService.xsd"))
BY_NAME = {model.__name__: model for model in MODELS}
XS = "{http://www.w3.org/2001/XMLSchema}"
HEADER = "{http://schemas.xmlsoap.org/soap/envelope/}Header"
BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"


# -- generated arguments, from the contract's own parameters ---------------------------------------------------------


def parameter_values(member: Any) -> st.SearchStrategy[Any]:
    """Return values of a parameter or list item; None too if it may be nil."""
    shape = member.shape
    if shape.items is not None:
        made: st.SearchStrategy[Any] = st.lists(_item(shape.items), max_size=3)
    elif shape.scalar:
        made = {"string": TEXT, "int": INT32}[shape.scalar]
    else:
        made = instances(BY_NAME[shape.name])
    return made | st.none() if member.nillable else made


def _item(member: Any) -> st.SearchStrategy[Any]:
    if member.shape.scalar:
        return {"string": TEXT, "int": INT32}[member.shape.scalar]
    return instances(BY_NAME[member.shape.name])


def arguments_of(operation: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return arguments by wire name; any of them may be left out."""
    members = CONTRACT.operation(operation).request.shape.members
    return st.fixed_dictionaries({}, optional={member.name: parameter_values(member) for member in members})


# -- the same arguments for zeep -----------------------------------------------------------------------------------


def for_zeep(value: Any, member: Any) -> Any:
    """Return *value* for zeep: Nil for None, its factories, a wrapper for lists."""
    if value is None:
        return zeep.xsd.Nil
    shape = member.shape
    if shape.items is not None:
        return _made(shape)(**{shape.items.name: [for_zeep(row, shape.items) for row in value]})
    if isinstance(value, WireModel):
        names = {attribute: name for name, attribute in type(value).wire_names().items()}
        members = {inner.name: inner for inner in shape.members}
        return _made(shape)(
            **{names[a]: for_zeep(getattr(value, a), members[names[a]]) for a in value.model_fields_set}
        )
    return value


def _made(shape: Any) -> Any:
    return ZEEP.get_type(f"{{{shape.namespace}}}{shape.name}")


def zeeps_message(operation: str, arguments: dict[str, Any]) -> bytes:
    members = {member.name: member for member in CONTRACT.operation(operation).request.shape.members}
    given = {name: for_zeep(value, members[name]) for name, value in arguments.items()}
    message = ZEEP.create_message(ZEEP.service, operation, **given)
    # The contract names wsaw:Action, like every WCF contract, and zeep then adds WS-Addressing headers. A
    # basicHttpBinding does not use them, so our messages have none.
    for header in message.findall(HEADER):
        assert {etree.QName(part).localname for part in header} <= {"Action", "MessageID", "To"}
        message.remove(header)
    return bytes(etree.tostring(message))


def canonical(message: bytes) -> str:
    return canonicalize(message.decode(), rewrite_prefixes=True)


# -- the tests -----------------------------------------------------------------------------------------------------


def of_records(operation: str) -> bool:
    """True if a request has records, and not only texts, numbers and lists of them."""
    shapes = [member.shape for member in CONTRACT.operation(operation).request.shape.members]
    return any((shape.items.shape if shape.items else shape).members for shape in shapes)


@pytest.mark.parametrize("operation", sorted(filter(of_records, OPERATIONS)))
@settings(max_examples=25)
@given(data=st.data())
def test_the_envelope_equals_zeeps_own_message_and_is_valid_in_the_schemas_order(
    operation: str, data: st.DataObject
) -> None:
    assert_equal_to_zeeps(operation, data)


@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() - set(filter(of_records, OPERATIONS))))
@settings(max_examples=10)
@given(data=st.data())
def test_so_does_the_envelope_of_plain_values(operation: str, data: st.DataObject) -> None:
    assert_equal_to_zeeps(operation, data)


def assert_equal_to_zeeps(operation: str, data: st.DataObject) -> None:
    arguments = data.draw(arguments_of(operation))
    encoded = CODEC.requests(operation).envelope(arguments)
    assert canonical(encoded) == canonical(zeeps_message(operation, arguments))
    (request,) = etree.fromstring(encoded).find(BODY)
    SCHEMA.assertValid(request)
    assert_in_order(request, CONTRACT.operation(operation).request.shape)


def assert_in_order(element: Any, shape: Any) -> None:
    """Check that children follow the contract's order, and name what differs."""
    names = [etree.QName(child).localname for child in element]
    declared = [member.name for member in shape.members]
    if shape.items is None:
        assert names == [name for name in declared if name in names], etree.QName(element).localname
    for child in element:
        (member,) = [m for m in shape.members if m.name == etree.QName(child).localname]
        assert etree.QName(child).namespace == member.namespace
        assert_in_order(child, member.shape)


LISTED = [name for name, operation in OPERATIONS.items() if operation.rule is not None]


@pytest.mark.parametrize("operation", LISTED)
@given(data=st.data())
def test_a_frame_around_rows_is_the_envelope_of_the_list(operation: str, data: st.DataObject) -> None:
    """Batches are made of pieces that are encoded separately."""
    rule = OPERATIONS[operation].rule
    assert rule is not None
    items = CONTRACT.operation(operation).parameter(rule.listed).shape.items
    assert items is not None
    rows = data.draw(st.lists(_item(items), max_size=4))
    account = data.draw(TEXT)
    frame = CODEC.requests(operation).frame({"accountID": account}, rule.listed)
    pieces = [CODEC.requests(operation).row_writer(rule.listed)(row) for row in rows]
    whole = CODEC.requests(operation).envelope({"accountID": account, rule.listed: rows})
    assert b"".join([frame.head, *pieces, frame.tail]) == whole


def test_namespaces_are_declared_once_at_the_top() -> None:
    """Zeep repeats them on every leaf: 500 SKUs would be 57 kB, near WCF's 64 KiB."""
    body = CODEC.requests("IsSkuExistList").envelope({"accountID": "a", "skuList": [f"SKU-{n:08}" for n in range(500)]})
    assert body.count(b"xmlns") == body[: body.index(b"<s:Body>")].count(b"xmlns")
    assert len(body) < 20_000


def every_member(model: type[WireModel]) -> WireModel:
    """Return an instance with every member set."""
    samples = {
        "str": "x",
        "Decimal": Decimal("1.0"),
        "int": 1,
        "bool": True,
        "float": 1.5,
        "datetime": datetime(2026, 1, 1, tzinfo=UTC),
    }
    made: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        text = str(field.annotation)
        nested = next(
            (BY_NAME[m] for m in BY_NAME if f".{m} " in f"{text} " or f".{m}]" in text or text.endswith(m)), None
        )
        if nested is not None:
            made[name] = [every_member(nested)] if "list[" in text else every_member(nested)
        elif "StatusCode" in text:
            made[name] = "NoChange"
        elif "list[" in text:
            made[name] = [1]
        else:
            made[name] = next(value for kind, value in samples.items() if kind in text)
    return model(**made)


@every(
    ("operation", "parameter", "model"),
    [
        (name, member.name, BY_NAME[inner.name])
        for name in sorted(OPERATIONS)
        for member in CONTRACT.operation(name).request.shape.members
        if (inner := (member.shape.items or member).shape).name in BY_NAME
    ],
)
def test_every_member_of_every_request_model_is_sent(operation: str, parameter: str, model: type[WireModel]) -> None:
    full = every_member(model)
    assert full.model_fields_set == set(model.model_fields)
    many = CONTRACT.operation(operation).parameter(parameter).shape.items is not None
    envelope = etree.fromstring(CODEC.requests(operation).envelope({parameter: [full] if many else full}))
    SCHEMA.assertValid(envelope[0][0])
    sent = {etree.QName(element).localname for element in envelope.iter()}
    assert set(model.wire_names()) <= sent


# -- the three states, by hand ---------------------------------------------------------------------------------------


def row(value: WireModel, operation: str = "UploadItemList", listed: str = "inventoryItems") -> str:
    return without_prefixes(CODEC.requests(operation).row_writer(listed)(value))


def without_prefixes(encoded: bytes) -> str:
    return re.sub(r"(</?)\w+:", r"\1", encoded.decode())


def test_unset_none_and_empty_are_three_different_things_on_the_wire() -> None:
    assert row(InventoryItem()) == "<InventoryItem></InventoryItem>"
    assert row(InventoryItem(sku=None)) == '<InventoryItem><Sku i:nil="true"/></InventoryItem>'
    assert row(InventoryItem(sku="")) == "<InventoryItem><Sku></Sku></InventoryItem>"
    assert "StoreStockInfoList" not in row(InventoryItem(sku="A"))
    assert '<StoreStockInfoList i:nil="true"/>' in row(InventoryItem(store_stock_info_list=None))
    assert "<StoreStockInfoList></StoreStockInfoList>" in row(InventoryItem(store_stock_info_list=[]))
    assert "<StoreStockInfo></StoreStockInfo>" in row(InventoryItem(store_stock_info_list=[StoreStockInfo()]))


@every(
    ("value", "text"),
    [
        (Decimal("1E+2"), "100"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("44.9200"), "44.9200"),
        (Decimal("-0.00"), "-0.00"),
        (5, "5"),
        (0.5, "0.5"),
        ("00.10", "0.10"),
    ],
)
def test_money_is_written_plain_with_its_scale(value: Any, text: str) -> None:
    """xs:decimal knows no exponent; .NET faults the whole call on one."""
    assert f"<Price>{text}</Price>" in row(InventoryItem(price=value))


@every(("suffix", "text"), [("Z", "2026-03-04T04:30:00.250000Z"), ("", "2026-03-04T04:30:00.250000")])
def test_times_are_written_in_utc_never_with_an_offset(suffix: str, text: str) -> None:
    codec = Codec(CONTRACT, Redactor([]), UTC, suffix)
    item = InventoryItem(sale_start_date=datetime.fromisoformat("2026-03-04T10:00:00.250+05:30"))
    encoded = codec.requests("UploadItemList").row_writer("inventoryItems")(item)
    assert f"<SaleStartDate>{text}</SaleStartDate>" in without_prefixes(encoded)


def test_text_is_escaped_so_that_it_reads_back_equal() -> None:
    text = "a&b<c>d\"e'f\rg\r\nh\ti\N{GRINNING FACE}]]>"
    read = etree.fromstring(CODEC.requests("IsSkuExist").envelope({"sku": text}))
    assert read[0][0][0].text == text


# -- members that the contract does not have -----------------------------------------------------------------------


def test_a_member_the_contract_does_not_have_is_refused_never_dropped() -> None:
    """IsSkuExist takes no status: if it were dropped, the caller would not notice."""
    with pytest.raises(ContractError, match="status"):
        CODEC.requests("IsSkuExist").envelope({"sku": "A", "status": 1})
    with pytest.raises(ContractError, match="no operation"):
        CODEC.requests("Nope").envelope({})


def test_nil_for_a_value_type_that_may_not_be_nil_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="SellerID"):
        CODEC.requests("DeleteItem").envelope({"SellerID": None})


@every(("suffix", "written"), [("Z", "2026-03-01T22:30:00Z"), ("", "2026-03-01T22:30:00")])
def test_a_time_of_any_zone_is_written_in_utc(suffix: str, written: str) -> None:
    """A model would have made it UTC already; the encoder must do it alone."""
    moment = datetime(2026, 3, 2, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert scalar_formats(suffix)["dateTime"](moment) == written
    with pytest.raises(ValueError, match="time zone"):
        scalar_formats(suffix)["dateTime"](moment.replace(tzinfo=None))


@every(
    "arguments",
    [{"SellerID": "x"}, {"SellerID": 1.5}, {"SellerID": True}, {"SKU": "a\x00"}, {"SKU": "a\ud800"}, {"status": "1.0"}],
    ids=ascii,
)
def test_a_value_the_type_does_not_take_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        CODEC.requests("DeleteItem").envelope(arguments)


def test_another_model_where_one_belongs_is_refused_for_what_it_holds() -> None:
    """ItemQuantityAndPrice.Stock is not a member of StoreStockInfo."""
    with pytest.raises(ContractError, match="no place for"):
        CODEC.requests("DeleteItemStore").envelope({"StorStock": [ItemQuantityAndPrice(sku="A", stock=1)]})
