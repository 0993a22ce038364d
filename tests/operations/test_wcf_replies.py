"""Every operation on hand-written WCF replies: requests, and variants of replies."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import canonicalize

import pytest
import responses
from lxml import etree

from octopus_soap import (
    ApiStatusError,
    AuthenticationError,
    BatchError,
    BatchResult,
    InventoryItem,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    OutcomeStatus,
    OutcomeUnknownError,
    PaymentStatusCode,
    ProtocolError,
    RejectedError,
)
from octopus_soap.models import WireModel
from tests.catalogue import (
    ARRAYS,
    BY_NAME,
    DATA,
    EXIST_ROWS,
    ITEM_ROWS,
    ITEMS,
    NEW_ORDER,
    ROWS,
    SOAP,
    TEMPURI,
    UPDATE_ROWS,
    UPDATES,
    XSI,
    Row,
    api,
    bare,
    failure,
    soap,
)
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NIL = f"{{{XSI}}}nil"
URL = "https://shop.example/OctopusService.svc"
CREDENTIALS = {
    "authtoken": "canary-authtoken-5f2c81",
    "merchantname": "canary-shop",
    "accessid": "0badc0de-0000-4000-8000-canary7d31aa",
}


EVERY_OPERATION = every("case", ROWS, ids=str)


class Wire:
    """Answers with given bytes, and keeps the requests."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self._mock = mock

    def answers(self, body: str | bytes, status: int = 200, **headers: str) -> None:
        """Answer with *body* from now on, and forget the requests so far."""
        self._mock.reset()
        self._mock.add(responses.POST, URL, body=body, status=status, content_type="text/xml", headers=headers)

    @property
    def requests(self) -> list[Any]:
        return [call.request for call in self._mock.calls]


@pytest.fixture
def wire() -> Iterator[Wire]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield Wire(mock)


@pytest.fixture
def client() -> Iterator[OctopusClient]:
    settings = OctopusSettings(
        endpoint=URL,
        **CREDENTIALS,  # type: ignore[arg-type] # pydantic makes secrets of them
        accept_unverified_contract=True,
        max_attempts=1,
    )
    with OctopusClient(settings=settings) as client:
        yield client


def plain(value: Any) -> Any:
    """Return a call's value without unknown members."""
    if isinstance(value, BatchResult):
        return [plain(part) for part in value]
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, WireModel):
        known = {n: plain(getattr(value, n)) for n in value.model_fields_set if n in type(value).model_fields}
        return type(value)(**known)
    return value


# -- the request ---------------------------------------------------------------------------------------------------


@EVERY_OPERATION
def test_the_request_is_exactly_what_the_contract_wants(case: Row, client: OctopusClient, wire: Wire) -> None:
    """A WCF service silently ignores wrong names, namespaces, orders and nils."""
    wire.answers(case.body)
    case.example(client)
    (request,) = wire.requests
    expected = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:t="{TEMPURI}" xmlns:d="{DATA}" xmlns:r="{ARRAYS}" xmlns:i="{XSI}">'
        f"<s:Body><t:{case.operation}><t:accountID>{CREDENTIALS['accessid']}</t:accountID>{case.request}"
        f"</t:{case.operation}></s:Body></s:Envelope>"
    )
    assert canonicalize(request.body.decode(), rewrite_prefixes=True) == canonicalize(expected, rewrite_prefixes=True)


@EVERY_OPERATION
def test_the_request_carries_action_type_and_the_three_credential_headers(
    case: Row, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(case.body)
    case.example(client)
    (request,) = wire.requests
    headers = request.headers
    assert request.method == "POST"
    assert request.url == URL
    assert headers["SOAPAction"] == f'"http://tempuri.org/IOctopusService/{case.operation}"'
    assert headers["Content-Type"] == "text/xml; charset=utf-8"
    assert {name: headers[name] for name in CREDENTIALS} == CREDENTIALS
    assert re.fullmatch(r"[0-9a-f]{16}", headers["X-Request-ID"])
    assert headers["User-Agent"].startswith("octopus-soap/")
    assert int(headers["Content-Length"]) == len(request.body)
    assert "Cookie" not in headers
    assert "Authorization" not in headers


# -- the reply, in every possible form -------------------------------------------------------------------------------


@EVERY_OPERATION
def test_the_reply_of_the_contract_is_read(case: Row, client: OctopusClient, wire: Wire) -> None:
    wire.answers(case.body)
    assert case.example(client) == case.value


def _records(root: Any) -> list[Any]:
    """Return elements whose members may be shuffled: envelope and records, not lists."""
    return [e for e in root[0][0].iter() if len({child.tag for child in e}) > 1]


def _reversed_members(root: Any) -> None:
    for element in _records(root):
        element[:] = list(element)[::-1]


def _other_namespaces(root: Any) -> None:
    for element in root[0].iter():
        if etree.QName(element).namespace in {DATA, TEMPURI}:
            element.tag = f"{{urn:elsewhere:{etree.QName(element).namespace}}}{etree.QName(element).localname}"


def _no_namespaces(root: Any) -> None:
    for element in root[0][0].iter():
        element.tag = etree.QName(element).localname


def _other_case(root: Any) -> None:
    for element in root[0][0].iterdescendants():
        name = etree.QName(element)
        element.tag = f"{{{name.namespace}}}{name.localname.upper()}"


def _backing_fields(root: Any) -> None:
    for element in root[0][0].iterdescendants():
        name = etree.QName(element)
        if name.namespace == DATA and name.localname not in {"Status", "ResultData", "MessageCode", "Message", "Data"}:
            element.tag = f"{{{DATA}}}_x003C_{name.localname}_x003E_k__BackingField"


def _types(root: Any) -> None:
    for element in root[0][0].iterdescendants():
        if len(element):
            element.set(f"{{{XSI}}}type", "q1:SomethingDerived")


def _renamed_result(root: Any) -> None:
    if len(root[0][0]):
        root[0][0][0].tag = f"{{{TEMPURI}}}UpdateInventoryItemQuantityAndPriceResult"


def _renamed_rows(root: Any) -> None:
    for data in root.iter(f"{{{DATA}}}ResultData", f"{{{DATA}}}StoreStockInfoList", f"{{{DATA}}}orderItems"):
        if len(data) and (len(data) == 1 or data[0].tag == data[1].tag) and len(data[0]):
            for row in data:
                row.tag = f"{{{DATA}}}anyType"


def _nil_rows(root: Any) -> None:
    for data in root.iter(f"{{{DATA}}}ResultData"):
        if len(data) and len(data[0]):
            data.insert(0, etree.Element(data[0].tag, {NIL: "true"}))
            data.append(etree.Element(data[1].tag, {NIL: "1"}))


def _pretty(root: Any) -> None:
    etree.indent(root)


VARIANTS: dict[str, Callable[[Any], None]] = {
    "members reversed": _reversed_members,
    "other namespaces": _other_namespaces,
    "no namespaces": _no_namespaces,
    "names in capitals": _other_case,
    "backing fields": _backing_fields,
    "i:type everywhere": _types,
    "result element renamed": _renamed_result,
    "row elements renamed": _renamed_rows,
    "nil rows": _nil_rows,
    "indented": _pretty,
}


@pytest.mark.parametrize("variant", VARIANTS)
@EVERY_OPERATION
def test_the_reply_is_read_alike_in_every_shape(case: Row, variant: str, client: OctopusClient, wire: Wire) -> None:
    root = etree.fromstring(case.body)
    VARIANTS[variant](root)
    wire.answers(etree.tostring(root))
    assert case.example(client) == case.value


def _renamed_prefixes(reply: str) -> bytes:
    for old, new in (("s", "soapenv"), ("a", "ns-1.x"), ("i", "xsi")):
        reply = re.sub(rf"(</?|xmlns:|\s){old}(?=[:=])", rf"\g<1>{new}", reply)
    return reply.encode()


def _utf16(reply: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-16"?>{reply}'.encode("utf-16")


def _with_comments(reply: str) -> bytes:
    return re.sub(r"(<a:\w+>|<\w+Response [^>]*>)", r"<!-- c -->\1", reply).encode()


TEXTUAL: dict[str, Callable[[str], bytes]] = {
    "other prefixes": _renamed_prefixes,
    "declaration": lambda r: b'<?xml version="1.0" encoding="utf-8"?>\n' + r.encode(),
    "byte order mark": lambda r: b"\xef\xbb\xbf" + r.encode(),
    "utf-16": _utf16,
    "comments": _with_comments,
    "soap 1.2 namespace": lambda r: r.replace(SOAP, "http://www.w3.org/2003/05/soap-envelope").encode(),
    "headers": lambda r: r.replace("<s:Body>", "<s:Header><x xmlns='urn:x'/></s:Header><s:Body>").encode(),
}


@pytest.mark.parametrize("variant", TEXTUAL)
@EVERY_OPERATION
def test_the_reply_is_read_alike_however_it_is_written(
    case: Row, variant: str, client: OctopusClient, wire: Wire
) -> None:
    body = TEXTUAL[variant](case.body)
    assert body != case.body.encode()
    wire.answers(body)
    assert case.example(client) == case.value


ENVELOPED_TOO = {row.operation: row.reply for row in ROWS if row.answers and not row.enveloped}
BARE_TOO = {row.operation: row.reply for row in ROWS if row.enveloped}


@every("operation", BARE_TOO)
def test_a_bare_result_is_read_like_an_enveloped_one(operation: str, client: OctopusClient, wire: Wire) -> None:
    """The page types three results as bare lists, and still describes an envelope."""
    wire.answers(bare(operation, BARE_TOO[operation]))
    assert BY_NAME[operation].example(client) == BY_NAME[operation].value


@every("operation", ENVELOPED_TOO)
def test_an_enveloped_result_is_read_like_a_bare_one(operation: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(api(operation, ENVELOPED_TOO[operation]))
    assert BY_NAME[operation].example(client) == BY_NAME[operation].value


@every("operation", [*BARE_TOO, *ENVELOPED_TOO])
def test_an_envelope_directly_in_the_response_is_read(operation: str, client: OctopusClient, wire: Wire) -> None:
    """The result element is missing: APIResult's members are in the response itself."""
    body = api(operation, {**BARE_TOO, **ENVELOPED_TOO}[operation])
    body = re.sub(rf"<{operation}Result [^>]*>|</{operation}Result>", "", body)
    wire.answers(body.replace(f'xmlns="{TEMPURI}"', f'xmlns="{TEMPURI}" xmlns:a="{DATA}" xmlns:i="{XSI}"'))
    assert BY_NAME[operation].example(client) == BY_NAME[operation].value


# -- drift ---------------------------------------------------------------------------------------------------------


def _model_value(value: Any) -> WireModel | None:
    first = value[0] if isinstance(value, (list, BatchResult)) and len(value) else value
    return first if isinstance(first, WireModel) else None


WITH_MODELS = [case for case in ROWS if _model_value(case.value) is not None]


@every("case", WITH_MODELS, ids=[case.operation for case in WITH_MODELS])
def test_unknown_members_are_kept_under_their_wire_names_and_counted(
    case: Row, client: OctopusClient, wire: Wire
) -> None:
    root = etree.fromstring(case.body)
    model = type(_model_value(case.value)).__name__
    data = next(root.iter(f"{{{DATA}}}ResultData"))
    records = [data] if etree.QName(data[0]).localname != model else list(data)
    for record in records:
        etree.SubElement(record, f"{{{DATA}}}AddedLater").text = " new "
        etree.SubElement(record, f"{{{DATA}}}Dropped", {NIL: "true"})
        record.insert(0, etree.fromstring('<x:Deep xmlns:x="urn:x"><x:N>1</x:N><x:N>2</x:N><x:M/></x:Deep>'))
    etree.SubElement(root[0][0][0], f"{{{DATA}}}TraceId").text = "t"
    wire.answers(etree.tostring(root))

    value = case.example(client)

    assert plain(value) == plain(case.value), "the known members are read all the same"
    first = _model_value(value)
    assert first is not None
    assert first.model_extra == {"Deep": {"N": ["1", "2"], "M": ""}, "AddedLater": " new ", "Dropped": None}
    info = value.calls[0] if isinstance(value, BatchResult) else None
    if info is None:
        wire.answers(etree.tostring(root))
        info = case.method(client).with_info(*case.arguments).info
    rows = len(records)
    assert info.drift == {
        f"{model}.AddedLater": rows,
        f"{model}.Dropped": rows,
        f"{model}.Deep": rows,
        "APIResult.TraceId": 1,
    }


def test_a_reply_without_drift_reports_none(client: OctopusClient, wire: Wire) -> None:
    wire.answers(BY_NAME["GetItemList"].body)
    (info,) = client.get_item_list(["A", "B"]).calls
    assert (info.drift, info.warnings) == ({}, ())


def test_a_renamed_member_is_unset_not_guessed(client: OctopusClient, wire: Wire) -> None:
    wire.answers(BY_NAME["GetItemList"].body.replace("a:Price>", "a:UnitPrice>"))
    item = client.get_item_list(["A", "B"])[0]
    assert "price" not in item.model_fields_set
    assert item.model_extra == {"UnitPrice": "44.9200"}


def test_a_renamed_key_loses_the_row_and_says_so(client: OctopusClient, wire: Wire) -> None:
    """A row without a SKU cannot be matched: its input is missing, the row is noted."""
    wire.answers(BY_NAME["GetItemList"].body.replace("<a:Sku>A</a:Sku>", "<a:Code>A</a:Code>"))
    result = client.get_item_list(["A", "B"])
    assert [o.status.value for o in result.outcomes] == ["missing", "ok"]
    assert any("not asked for" in note for note in result.calls[0].warnings)


@pytest.mark.parametrize("again", ["44.92", "", " "])
def test_a_member_that_comes_twice_counts_once_and_is_reported(client: OctopusClient, wire: Wire, again: str) -> None:
    twice = f"<a:Sku>A</a:Sku><a:Price>{again}</a:Price>"
    wire.answers(BY_NAME["GetItemList"].body.replace("<a:Sku>A</a:Sku>", twice))
    result = client.get_item_list(["A", "B"])
    assert result[0].price == Decimal("44.9200")
    assert result.calls[0].drift == {"InventoryItem.Price repeated": 1}


def test_a_member_that_comes_twice_with_two_values_fails_its_record(client: OctopusClient, wire: Wire) -> None:
    wire.answers(BY_NAME["GetItemList"].body.replace("<a:Sku>A</a:Sku>", "<a:Sku>A</a:Sku><a:Price>0</a:Price>"))
    with pytest.raises(BatchError, match=r"price.*comes twice, with different values.*44\.92.*'0'") as caught:
        client.get_item_list(["A", "B"])
    assert [outcome.status.value for outcome in caught.value.result.outcomes] == ["failed", "ok"]


STORE = "<a:StoreStockInfo><a:StoreID>%d</a:StoreID></a:StoreStockInfo>"
LOSING = {
    "a list twice": f"<a:StoreStockInfoList>{STORE % 1}</a:StoreStockInfoList>"
    f"<a:StoreStockInfoList>{STORE % 2}</a:StoreStockInfoList>",
    "a structure twice": "<a:FieldLocks><a:LockCost>true</a:LockCost></a:FieldLocks>"
    "<a:FieldLocks><a:LockCost>false</a:LockCost></a:FieldLocks>",
    "nil, and then a value": '<a:Cost i:nil="true"/><a:Cost>5</a:Cost>',
    "rows in one more list": f"<a:StoreStockInfoList><a:Stores>{STORE % 1}{STORE % 2}</a:Stores></a:StoreStockInfoList>",
    "text in place of rows": "<a:StoreStockInfoList>1,2</a:StoreStockInfoList>",
}


@every("form", LOSING)
def test_a_record_of_which_a_part_would_get_lost_fails_alone(form: str, client: OctopusClient, wire: Wire) -> None:
    row = "<a:InventoryItem><a:Sku>%s</a:Sku>%s</a:InventoryItem>"
    wire.answers(api("GetItemList", row % ("A", LOSING[form]) + row % ("B", "")))
    with pytest.raises(BatchError, match="cannot read the row") as caught:
        client.get_item_list(["A", "B"])
    assert [outcome.status.value for outcome in caught.value.result.outcomes] == ["failed", "ok"]


def test_a_structure_that_comes_twice_alike_counts_once(client: OctopusClient, wire: Wire) -> None:
    stores = f"<a:StoreStockInfoList>{STORE % 1}</a:StoreStockInfoList>"
    row = f"<a:InventoryItem><a:Sku>A</a:Sku>{stores}{stores}<a:StoreStockInfoList/></a:InventoryItem>"
    wire.answers(api("GetItemList", row))
    (item,) = client.get_item_list(["A"])
    assert [store.store_id for store in item.store_stock_info_list or []] == ["1"]


def test_an_unknown_member_that_comes_twice_is_kept_twice(client: OctopusClient, wire: Wire) -> None:
    row = "<a:InventoryItem><a:Sku>A</a:Sku><a:Tag>new</a:Tag><a:Tag>red</a:Tag></a:InventoryItem>"
    wire.answers(api("GetItemList", row))
    (item,) = client.get_item_list(["A"])
    assert item.model_extra == {"Tag": ["new", "red"]}


DEEPER = {
    "in one more list": "<a:ArrayOfInventoryItem>%s%s</a:ArrayOfInventoryItem>",
    "each in an element": "<a:Item>%s</a:Item><a:Item>%s</a:Item>",
}


@every("form", DEEPER)
def test_rows_that_are_one_level_too_deep_are_neither_missing_nor_empty(
    form: str, client: OctopusClient, wire: Wire
) -> None:
    rows = DEEPER[form] % tuple(f"<a:InventoryItem><a:Sku>{sku}</a:Sku></a:InventoryItem>" for sku in "AB")
    wire.answers(api("GetItemList", rows))
    with pytest.raises(BatchError, match="InventoryItem: has none of its members") as caught:
        client.get_item_list(["A", "B"])
    assert [outcome.status.value for outcome in caught.value.result.outcomes] == ["failed", "failed"]
    wire.answers(api("GetItemTblList", rows))
    with pytest.raises(BatchError, match="InventoryItem: has none of its members"):
        client.get_item_tbl_list()


REPEATED = "<{0}Response xmlns='http://tempuri.org/'><return><Sku>A</Sku></return>{1}</{0}Response>"


@every("more", ["", "<return><Sku>B</Sku></return>"])
def test_rows_without_a_list_around_them_are_refused(more: str, client: OctopusClient, wire: Wire) -> None:
    """JAX-WS writes so: the first row is not the list, and its members are no rows."""
    wire.answers(soap(REPEATED.format("GetItemList", more)))
    with pytest.raises(BatchError) as caught:
        client.get_item_list(["A", "B"])
    assert [outcome.status.value for outcome in caught.value.result.outcomes] == ["failed", "failed"]
    wire.answers(soap(REPEATED.format("GetItemTblList", more)))
    with pytest.raises((BatchError, ProtocolError)):
        client.get_item_tbl_list()


def test_what_is_nil_and_has_something_in_it_is_not_nil(client: OctopusClient, wire: Wire) -> None:
    row = "<a:InventoryItem><a:Sku>A</a:Sku><a:StoreStockInfoList{0}>%s</a:StoreStockInfoList></a:InventoryItem>"
    body = api("GetItemList", row % (STORE % 1))
    nil = ' i:nil="true"'
    wire.answers(body.replace("<a:ResultData>", f"<a:ResultData{nil}>").format(nil))
    (item,) = client.get_item_list(["A"])
    assert [store.store_id for store in item.store_stock_info_list or []] == ["1"]


def test_nil_rows_are_dropped_and_counted(client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("GetItemTblList", f'<a:InventoryItem i:nil="true"/>{ITEM_ROWS}<a:InventoryItem i:nil="true"/>'))
    result = client.get_item_tbl_list()
    assert result == ITEMS
    assert result.calls[0].warnings == ("2 nil rows dropped",)


def test_an_older_forms_names_are_read_through_aliases(client: OctopusClient, wire: Wire) -> None:
    wire.answers(
        api(
            "GetOrderList",
            "<a:OrderResponseItem><a:OrderID>7</a:OrderID><a:TotalOrderAmount>3.50</a:TotalOrderAmount>"
            "<a:ShippingInfo><a:AddressLine1>Road 1</a:AddressLine1><a:PostalCode>00123</a:PostalCode>"
            "<a:Region>IL</a:Region></a:ShippingInfo>"
            "<a:OrderStatus><a:PaymentStatus>Cleared</a:PaymentStatus><a:ShippingStatus>Mislaid</a:ShippingStatus>"
            "</a:OrderStatus><a:ShoppingCart><a:LineItemSKUList><a:OrderLineItemItem><a:SKU>A</a:SKU>"
            "<a:Title>mug</a:Title><a:Quantity>2</a:Quantity><a:UnitPrice>1.5000</a:UnitPrice></a:OrderLineItemItem>"
            "</a:LineItemSKUList><a:LineItemInvoiceList><a:OrderLineItemInvoice><a:LineItemType>SalesTax</a:LineItemType>"
            "<a:UnitPrice>0.50</a:UnitPrice></a:OrderLineItemInvoice></a:LineItemInvoiceList></a:ShoppingCart>"
            "</a:OrderResponseItem>",
        )
    )
    (order,) = client.get_order_list()
    assert order.total == Decimal("3.50")
    assert order.ship is not None
    assert (order.ship.address1, order.ship.zip, order.ship.state) == ("Road 1", "00123", "IL")
    assert order.payment is PaymentStatusCode.CLEARED
    assert order.delivery is not None
    assert (order.delivery.value, order.delivery.known) == ("Mislaid", False)
    assert [(line.sku, line.description, line.quantity) for line in order.lines] == [("A", "mug", 2)]
    assert order.tax == Decimal("0.50")


# -- nil, empty, absent --------------------------------------------------------------------------------------------

NOTHING = {
    "nil": '<a:ResultData i:nil="true"/>',
    "empty": "<a:ResultData/>",
    "absent": "",
}


@every("form", NOTHING)
@every("operation", ["GetItemTblList", "GetOrderList", "GetOrderListStore"])
def test_a_list_without_rows_is_empty_whether_nil_empty_or_absent(
    operation: str, form: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(bare(operation, f"{NOTHING[form]}<a:Status>Success</a:Status>"))
    result = BY_NAME[operation].example(client)
    assert result == []
    assert result.outcomes == ()


@every("operation", ["GetItemQuantity", "GetItemQuantityInfo", "SubmitOrder"])
def test_a_single_answer_that_says_success_and_nothing_else_is_refused(
    operation: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(bare(operation, "<a:Status>Success</a:Status>"))
    with pytest.raises(OctopusError, match="is Success and has no ResultData"):
        BY_NAME[operation].example(client)


@every("form", NOTHING)
@every("operation", ["IsSkuExistList", "GetItemList", "GetItemQuantityList"])
def test_a_batch_answered_without_rows_is_all_missing(
    operation: str, form: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(bare(operation, f"{NOTHING[form]}<a:Status>Success</a:Status>"))
    result = BY_NAME[operation].example(client)
    assert {o.status for o in result.outcomes} == {OutcomeStatus.MISSING}


@every("form", NOTHING)
@every("operation", ["UpdateItemQuantityAndPriceList", "UploadItemList"])
def test_a_write_answered_success_without_rows_is_unknown_never_done(
    operation: str, form: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(bare(operation, f"{NOTHING[form]}<a:Status>Success</a:Status>"))
    with pytest.raises(BatchError) as caught:
        BY_NAME[operation].example(client)
    assert {o.status for o in caught.value.result.outcomes} == {OutcomeStatus.UNKNOWN}


@every("form", NOTHING)
@every("operation", ["GetItemQuantity", "GetItemQuantityInfo", "UpdateItemQuantityAndPrice", "SubmitOrder"])
def test_success_without_a_value_is_no_success(operation: str, form: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare(operation, f"{NOTHING[form]}<a:Status>Success</a:Status>"))
    expected = OutcomeUnknownError if operation == "SubmitOrder" else ProtocolError
    with pytest.raises(expected):
        BY_NAME[operation].example(client)


@pytest.mark.parametrize(
    "members",
    [
        "",
        "<a:idorder>77</a:idorder>",
        '<a:Result i:nil="true"/>',
        "<a:Outcome>true</a:Outcome>",
        "<a:Result>ja</a:Result>",
    ],
)
def test_an_order_answered_with_neither_yes_nor_no_is_unknown_not_rejected(
    members: str, client: OctopusClient, wire: Wire
) -> None:
    """If it were called rejected, it would be sent again, and perhaps created twice."""
    wire.answers(api("SubmitOrder", members))
    with pytest.raises(OutcomeUnknownError):
        client.submit_order(NEW_ORDER)
    assert len(wire.requests) == 1


@every("content", ["", "   ", "<x/>", "maybe", "1.5"])
@every("operation", ["IsSkuExist", "UploadItem", "DeleteItem", "DeleteItemStore", "DeleteTblItem"])
def test_a_bare_value_that_is_none_raises(operation: str, content: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare(operation, content))
    with pytest.raises(ProtocolError):
        BY_NAME[operation].example(client)


def test_unset_nil_and_empty_members_stay_three_different_things(client: OctopusClient, wire: Wire) -> None:
    wire.answers(
        api(
            "GetItemTblList",
            '<a:InventoryItem><a:Category i:nil="true"/><a:Description/><a:Sku>A</a:Sku><a:StoreStockInfoList/>'
            '<a:KitList i:nil="true"/><a:VariationInfo/><a:FieldLocks i:nil="true"/></a:InventoryItem>',
        )
    )
    (item,) = client.get_item_tbl_list()
    assert item.model_fields_set == {
        "category",
        "description",
        "sku",
        "store_stock_info_list",
        "kit_list",
        "variation_info",
        "field_locks",
    }
    assert (item.category, item.description) == (None, "")
    assert (item.store_stock_info_list, item.kit_list) == ([], None)
    assert item.variation_info is not None
    assert item.variation_info.model_fields_set == set()
    assert item.field_locks is None
    assert (item.details, item.attribute_list) == (None, None)
    assert (item.stores, item.kits, item.attributes) == ([], [], {})


# -- scalars -------------------------------------------------------------------------------------------------------


def item_with(client: OctopusClient, wire: Wire, members: str) -> InventoryItem:
    wire.answers(api("GetItemTblList", f"<a:InventoryItem><a:Sku>A</a:Sku>{members}</a:InventoryItem>"))
    return client.get_item_tbl_list()[0]


@every(
    ("text", "value"),
    [
        ("44.9200", "44.9200"),
        ("1E+2", "1E+2"),
        ("1e-3", "0.001"),
        ("-0.00", "-0.00"),
        ("+5", "5"),
        (" 7 ", "7"),
        (".5", "0.5"),
    ],
)
def test_a_decimal_is_read_with_its_scale(text: str, value: str, client: OctopusClient, wire: Wire) -> None:
    price = item_with(client, wire, f"<a:Price>{text}</a:Price>").price
    assert price == Decimal(value)
    assert str(price) == str(Decimal(value)), "the scale too"


@every("text", ["12", "12.0000", " 12 ", "+12", "012"])
def test_an_int_is_read_from_what_a_decimal_column_gives(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("GetItemQuantity", text))
    assert client.get_item_quantity("A") == 12


@every("text", ["12.5", "1,200", "0x12", "1_2", "١٢", "NaN", "1e2"])
def test_an_int_that_is_none_raises_and_is_named(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("GetItemQuantity", text).encode())
    with pytest.raises(ProtocolError, match="ResultData") as caught:
        client.get_item_quantity("A")
    assert repr(text) in str(caught.value)


@every(
    ("text", "moment"),
    [
        ("2013-01-02T03:04:05", datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2013-01-02T03:04:05Z", datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2013-01-02T03:04:05+05:30", datetime(2013, 1, 1, 21, 34, 5, tzinfo=UTC)),
        ("2013-01-02T03:04:05.1234567", datetime(2013, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2013-01-02T03:04:05.4", datetime(2013, 1, 2, 3, 4, 5, 400000, tzinfo=UTC)),
        ("2013-01-02T03:04:05.9999999Z", datetime(2013, 1, 2, 3, 4, 5, 999999, tzinfo=UTC)),
        ("/Date(1357095845000)/", datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("/Date(1357095845000+0530)/", datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("/Date(-1000)/", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("1753-01-01T00:00:00", None),
        ("1900-01-01T00:00:00", None),
        ("9999-12-31T23:59:59.9999999", None),
    ],
)
def test_a_date_is_read_in_every_form_dotnet_writes(
    text: str, moment: datetime | None, client: OctopusClient, wire: Wire
) -> None:
    item = item_with(client, wire, f"<a:SaleEndDate>{text}</a:SaleEndDate>")
    assert item.sale_end_date == moment
    assert "sale_end_date" in item.model_fields_set
    assert moment is None or item.sale_end_date.tzinfo is UTC  # type: ignore[union-attr] # it equals a datetime


def test_a_date_without_a_zone_is_in_the_servers_zone(client: OctopusClient, wire: Wire) -> None:
    view = client.settings.changed(server_timezone="America/New_York")
    with OctopusClient(settings=view) as eastern:
        item = item_with(eastern, wire, "<a:SaleEndDate>2013-07-02T03:04:05</a:SaleEndDate>")
    assert item.sale_end_date == datetime(2013, 7, 2, 7, 4, 5, tzinfo=UTC)


@every("text", ["true", "1", "True", " true "])
def test_a_bool_is_read_in_every_form(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare("IsSkuExist", text))
    assert client.is_sku_exist("A") is True


def test_empty_value_type_elements_are_none_and_stay_apart_from_zero(client: OctopusClient, wire: Wire) -> None:
    item = item_with(
        client,
        wire,
        "<a:Price/><a:Cost></a:Cost><a:SaleEndDate/><a:FieldLocks><a:LockPrice/></a:FieldLocks><a:PriceA>0</a:PriceA>",
    )
    assert (item.price, item.cost, item.sale_end_date, item.price_a) == (None, None, None, Decimal(0))
    assert item.field_locks is not None
    assert item.field_locks.lock_price is None


def test_text_in_pieces_is_read_whole(client: OctopusClient, wire: Wire) -> None:
    item = item_with(client, wire, "<a:Details>a<!-- c -->b<![CDATA[<c>&]]>d<?pi?>&amp;e&#13;</a:Details>")
    assert item.details == "ab<c>&d&e\r"


@every("text", ["  00123", "1E5", "00123", " ", "a\tb", "ß", "\N{FACE WITH TEARS OF JOY}"])
def test_text_is_never_stripped_or_interpreted(text: str, client: OctopusClient, wire: Wire) -> None:
    item = item_with(client, wire, f"<a:Stock>{text}</a:Stock><a:UPC>{text}</a:UPC>")
    assert (item.stock, item.upc) == (text, text)


def test_a_control_character_wcf_should_not_have_written_is_read_as_the_replacement_character(
    client: OctopusClient, wire: Wire
) -> None:
    wire.answers(
        api("GetItemTblList", "<a:InventoryItem><a:Sku>A</a:Sku><a:Details>x&#x1F;y</a:Details></a:InventoryItem>")
    )
    result = client.get_item_tbl_list()
    assert result[0].details == "x\ufffdy"
    assert any("U+FFFD" in warning for warning in result.calls[0].warnings)


def test_a_bad_scalar_fails_its_record_alone_and_names_item_field_and_text(client: OctopusClient, wire: Wire) -> None:
    rows = "".join(
        f"<a:InventoryItem><a:Price>{'1,99' if n == 1 else n}</a:Price><a:Sku>S{n}</a:Sku></a:InventoryItem>"
        for n in range(3)
    )
    wire.answers(api("GetItemList", rows))
    with pytest.raises(BatchError) as caught:
        client.get_item_list(["S0", "S1", "S2"])
    result = caught.value.result
    assert [item.sku for item in result] == ["S0", "S2"]
    (bad,) = result.failed
    assert bad.key == "S1"
    assert all(part in str(bad.error) for part in ("'S1'", "InventoryItem.price", "'1,99'"))
    assert bad.raw is not None
    assert b"1,99" in bad.raw


# -- failures ------------------------------------------------------------------------------------------------------

SINGLES = [row.operation for row in ROWS if row.answers and not row.is_list]
LISTS = [row.operation for row in ROWS if row.is_list]


@every("status", ["Failure", "failure", "false", "SomethingNew"])
@every("operation", SINGLES)
def test_a_status_other_than_success_raises_with_its_facts(
    operation: str, status: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(failure(operation, "No good.", code=12).replace("Failure", status))
    with pytest.raises(ApiStatusError) as caught:
        BY_NAME[operation].example(client)
    error = caught.value
    assert (error.status, error.message_code, error.data) == (status, 12, "subject")
    assert "No good." in str(error)
    assert error.info is not None
    assert error.info.operation == operation
    assert len(wire.requests) == 1, "a refusal is not repeated"


@every("operation", LISTS)
def test_a_failed_batch_is_a_failed_outcome_for_each_item(operation: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(failure(operation, "No good.", code=12))
    with pytest.raises(BatchError) as caught:
        BY_NAME[operation].example(client)
    outcomes = caught.value.result.outcomes
    assert {o.status for o in outcomes} == {OutcomeStatus.FAILED}
    assert all(isinstance(o.error, ApiStatusError) and o.error.message_code == 12 for o in outcomes)


@pytest.mark.parametrize("status", ["Success", "success", "SUCCESS", "true", " Success "])
def test_success_is_read_whatever_its_case(status: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("GetItemQuantity", "12", status))
    assert client.get_item_quantity("A") == 12


def test_a_missing_status_with_data_is_read_and_noted(client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare("GetItemQuantity", "<a:MessageCode>0</a:MessageCode><a:ResultData>12</a:ResultData>"))
    answer = client.get_item_quantity.with_info("A")
    assert answer.value == 12
    assert any("no Status" in warning for warning in answer.info.warnings)


def test_failure_with_rows_is_judged_row_by_row(client: OctopusClient, wire: Wire) -> None:
    """The page: Status is Failure if no SKU succeeded; each row has its reason."""
    rows = UPDATE_ROWS.replace("<a:Result>true", "<a:Result>false")
    wire.answers(api("UpdateItemQuantityAndPriceList", rows, "Failure", message="All Update requests failed"))
    result = client.update_item_quantity_and_price_list(UPDATES)
    assert [(o.status.value, o.message) for o in result.outcomes] == [
        ("rejected", "the service gave no reason"),
        ("rejected", "The specified Sku does not exist"),
    ]


def test_success_with_only_refused_rows_is_no_success(client: OctopusClient, wire: Wire) -> None:
    rows = UPDATE_ROWS.replace("<a:Result>true", "<a:Result>false")
    wire.answers(api("UpdateItemQuantityAndPriceList", rows))
    result = client.update_item_quantity_and_price_list(UPDATES)
    assert len(result) == 0
    assert len(result.rejected) == 2


@pytest.mark.parametrize("result", ['<a:Result i:nil="true"/>', "<a:Result/>", "", "<a:Outcome>true</a:Outcome>"])
def test_a_row_that_says_neither_yes_nor_no_is_unknown_never_done(
    result: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(api("UpdateItemQuantityAndPriceList", UPDATE_ROWS.replace("<a:Result>true</a:Result>", result)))
    with pytest.raises(BatchError) as caught:
        client.update_item_quantity_and_price_list(UPDATES)
    assert [o.status.value for o in caught.value.result.outcomes] == ["unknown", "rejected"]


def test_all_update_requests_failed_without_rows_rejects_every_item(client: OctopusClient, wire: Wire) -> None:
    message = "All Update requests failed for the SKU list specified!"
    wire.answers(failure("UpdateItemQuantityAndPriceList", message))
    result = client.update_item_quantity_and_price_list(UPDATES)
    assert [o.status for o in result.outcomes] == [OutcomeStatus.REJECTED] * 2
    assert all(message in o.message for o in result.outcomes)


def test_rows_with_words_like_permission_do_not_end_the_call_as_refused_credentials(
    client: OctopusClient, wire: Wire
) -> None:
    rows = UPDATE_ROWS.replace("<a:Result>true", "<a:Result>false")
    wire.answers(api("UpdateItemQuantityAndPriceList", rows, "Failure", message="Changes not permitted: locked"))
    result = client.update_item_quantity_and_price_list(UPDATES)
    assert len(result.rejected) == 2


@every("operation", BY_NAME)
def test_a_failure_that_names_the_credentials_is_an_authentication_error(
    operation: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(failure(operation, "Authentication failed.", code=3))
    with pytest.raises(AuthenticationError):
        BY_NAME[operation].example(client)


@pytest.mark.parametrize("text", ["false", "Field exists already"])
def test_custom_field_mapping_raises_whatever_is_not_true(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare("CustomFieldMapping", text))
    with pytest.raises(RejectedError, match=text):
        BY_NAME["CustomFieldMapping"].example(client)


@pytest.mark.parametrize("content", ["", "<x/>", "  "])
def test_custom_field_mapping_answered_with_no_text_is_unknown(content: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare("CustomFieldMapping", content))
    with pytest.raises(BatchError) as caught:
        BY_NAME["CustomFieldMapping"].example(client)
    assert [o.status for o in caught.value.result.outcomes] == [OutcomeStatus.UNKNOWN]


@pytest.mark.parametrize("text", ["true", "True", " TRUE\n"])
def test_custom_field_mapping_takes_true_in_any_case(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare("CustomFieldMapping", text))
    assert BY_NAME["CustomFieldMapping"].example(client) is None


def test_an_update_answered_false_is_rejected(client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("UpdateItemQuantityAndPrice", "false", message="locked"))
    with pytest.raises(RejectedError, match="locked") as caught:
        client.update_item_quantity_and_price(UPDATES[0])
    assert caught.value.key == "A"


def test_an_order_answered_with_result_false_is_rejected(client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("SubmitOrder", "<a:ErrorMessage>no stock</a:ErrorMessage><a:Result>false</a:Result>"))
    with pytest.raises(RejectedError, match="no stock") as caught:
        client.submit_order(NEW_ORDER)
    assert caught.value.key == "W-1"


def test_an_order_answered_with_a_message_alone_is_rejected(client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("SubmitOrder", "<a:ErrorMessage>no stock</a:ErrorMessage>"))
    with pytest.raises(RejectedError, match="no stock"):
        client.submit_order(NEW_ORDER)


@every("operation", ["SetDownloadOrderConfirm", "SetDownloadSplitOrderConfirm"])
@every(("body", "status"), [("", 202), ("", 200), (soap(""), 200)], ids=["202 empty", "200 empty", "empty body"])
def test_void_is_none_in_every_form(operation: str, body: str, status: int, client: OctopusClient, wire: Wire) -> None:
    wire.answers(body, status)
    assert BY_NAME[operation].example(client) is None


@EVERY_OPERATION
def test_another_operations_reply_is_refused(case: Row, client: OctopusClient, wire: Wire) -> None:
    """A proxy or a cache may mix up replies."""
    other = "IsSkuExist" if case.operation != "IsSkuExist" else "UploadItem"
    wire.answers(BY_NAME[other].body)
    with pytest.raises(OctopusError) as caught:
        case.example(client)
    chain = [caught.value, caught.value.__cause__]
    if isinstance(caught.value, BatchError):
        chain += [o.error for o in caught.value.result.outcomes]
        chain += [o.error.__cause__ for o in caught.value.result.outcomes if o.error]
    assert any(isinstance(part, ProtocolError) for part in chain)


def test_rows_are_matched_by_sku_whatever_their_order_and_padding(client: OctopusClient, wire: Wire) -> None:
    rows = (
        "<a:IsSkuExistResponse><a:Result>true</a:Result><a:Sku>      C</a:Sku></a:IsSkuExistResponse>"
        "<a:IsSkuExistResponse><a:Result>false</a:Result><a:Sku>b</a:Sku></a:IsSkuExistResponse>"
        "<a:IsSkuExistResponse><a:Result>true</a:Result><a:Sku>Z</a:Sku></a:IsSkuExistResponse>"
    )
    wire.answers(bare("IsSkuExistList", rows))
    result = client.is_sku_exist_list(["A", "B", "C"])
    assert [(o.key, o.status.value, o.value) for o in result.outcomes] == [
        ("A", "missing", None),
        ("B", "ok", False),
        ("C", "ok", True),
    ]
    assert any("'Z'" in note for note in result.calls[0].warnings)


def test_rows_that_contradict_each_other_are_not_trusted(client: OctopusClient, wire: Wire) -> None:
    rows = EXIST_ROWS + "<a:IsSkuExistResponse><a:Result>false</a:Result><a:Sku>A</a:Sku></a:IsSkuExistResponse>"
    wire.answers(api("IsSkuExistList", rows))
    with pytest.raises(BatchError) as caught:
        client.is_sku_exist_list(["A", "B"])
    assert [o.status.value for o in caught.value.result.outcomes] == ["failed", "ok"]
