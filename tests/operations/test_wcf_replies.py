"""Every operation on hand-written WCF replies: the exact request, and each thing a real service may do to a reply."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree.ElementTree import canonicalize

import pytest
import responses
from lxml import etree

from octopus_soap import (
    AddressInfo,
    ApiStatusError,
    AuthenticationError,
    BatchError,
    BatchResult,
    CustomFieldMapping,
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusError,
    OctopusSettings,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderResponseItem,
    OrderSubmit,
    OutcomeStatus,
    OutcomeUnknownError,
    PaymentStatusCode,
    ProtocolError,
    QuantityInfoResponse,
    RejectedError,
    Removal,
    StoreStockInfo,
    SubmitOrderResponseItem,
    UpdateItemResponse,
)
from octopus_soap.models import WireModel
from octopus_soap.settings import OPERATION_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TEMPURI = "http://tempuri.org/"
DATA = "http://schemas.datacontract.org/2004/07/OctopusService"
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
NIL = f"{{{XSI}}}nil"
URL = "https://shop.example/OctopusService.svc"
CREDENTIALS = {
    "authtoken": "canary-authtoken-5f2c81",
    "merchantname": "canary-shop",
    "accessid": "0badc0de-0000-4000-8000-canary7d31aa",
}


# -- the hand-written replies --------------------------------------------------------------------------------------


def soap(body: str) -> str:
    """A WCF envelope around *body*: no XML declaration, prefix s."""
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'


def bare(operation: str, content: str) -> str:
    """A result that is no APIResult."""
    return soap(
        f'<{operation}Response xmlns="{TEMPURI}"><{operation}Result xmlns:a="{DATA}" xmlns:i="{XSI}">'
        f"{content}</{operation}Result></{operation}Response>"
    )


def api(operation: str, data: str, status: str = "Success", *, code: int = 0, message: str = "") -> str:
    """An APIResult as WCF writes it: ordinal order, explicit nils; *data* is the inside of ResultData."""
    said = f"<a:Message>{message}</a:Message>" if message else '<a:Message i:nil="true"/>'
    return bare(
        operation,
        f'<a:Data i:nil="true"/>{said}<a:MessageCode>{code}</a:MessageCode>'
        f"<a:ResultData>{data}</a:ResultData><a:Status>{status}</a:Status>",
    )


def failure(operation: str, message: str, *, code: int = 1) -> str:
    """An APIResult that says Failure and has no data."""
    return bare(
        operation,
        f"<a:Data>subject</a:Data><a:Message>{message}</a:Message><a:MessageCode>{code}</a:MessageCode>"
        '<a:ResultData i:nil="true"/><a:Status>Failure</a:Status>',
    )


EXIST_ROWS = (
    '<a:IsSkuExistResponse><a:ErrorMessage i:nil="true"/><a:Result>true</a:Result><a:Sku>A</a:Sku>'
    "</a:IsSkuExistResponse>"
    '<a:IsSkuExistResponse><a:ErrorMessage i:nil="true"/><a:Result>false</a:Result><a:Sku>B</a:Sku>'
    "</a:IsSkuExistResponse>"
)
ITEM_ROWS = (
    "<a:InventoryItem><a:Cost>7.5000</a:Cost><a:Custom1/><a:Custom10>ten</a:Custom10>"
    '<a:MSRP i:nil="true"/><a:Price>44.9200</a:Price><a:SaleStartDate>2013-01-02T03:04:05.678</a:SaleStartDate>'
    "<a:Sku>A</a:Sku><a:Stock>12</a:Stock><a:StoreStockInfoList><a:StoreStockInfo>"
    "<a:StoreID>S1</a:StoreID><a:StorePrice>1.0000</a:StorePrice><a:StoreStock>2.5</a:StoreStock>"
    "</a:StoreStockInfo></a:StoreStockInfoList></a:InventoryItem>"
    "<a:InventoryItem><a:Description>second</a:Description><a:Sku>B</a:Sku></a:InventoryItem>"
)
ITEMS = [
    InventoryItem(
        cost=Decimal("7.5000"),
        custom1="",
        custom10="ten",
        msrp=None,
        price=Decimal("44.9200"),
        sale_start_date=datetime(2013, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        sku="A",
        stock="12",
        store_stock_info_list=[StoreStockInfo(store_id="S1", store_price=Decimal("1.0000"), store_stock=2.5)],
    ),
    InventoryItem(description="second", sku="B"),
]
QUANTITY = (
    '<a:Applicablestock>40.0000</a:Applicablestock><a:ErrorMessage i:nil="true"/>'
    "<a:FormQuantity>0</a:FormQuantity><a:Sku>A</a:Sku><a:Stock>41</a:Stock>"
)
UPDATE_ROWS = (
    '<a:UpdateItemResponse><a:ErrorMessage i:nil="true"/><a:Result>true</a:Result><a:Sku>A</a:Sku>'
    "</a:UpdateItemResponse><a:UpdateItemResponse><a:ErrorMessage>The specified Sku does not exist</a:ErrorMessage>"
    "<a:Result>false</a:Result><a:Sku>B</a:Sku></a:UpdateItemResponse>"
)
ORDER_ROWS = (
    "<a:OrderResponseItem><a:Bill><a:Email>a@example.org</a:Email></a:Bill>"
    "<a:DateCancelledGMT>1900-01-01T00:00:00</a:DateCancelledGMT><a:NumberOfMatches>2</a:NumberOfMatches>"
    "<a:OrderDate>2026-03-04T10:00:00.5</a:OrderDate><a:OrderID>7</a:OrderID>"
    "<a:PaymentStatus>Cleared</a:PaymentStatus><a:Total>12.3400</a:Total><a:orderItems><a:OrderItem>"
    "<a:Quantity>2</a:Quantity><a:UnitPrice>6.1700</a:UnitPrice><a:sku>A</a:sku></a:OrderItem></a:orderItems>"
    '</a:OrderResponseItem><a:OrderResponseItem><a:OrderID>8</a:OrderID><a:orderItems i:nil="true"/>'
    "</a:OrderResponseItem>"
)
ORDERS = [
    OrderResponseItem(
        bill=AddressInfo(email="a@example.org"),
        date_cancelled_gmt=None,
        number_of_matches=2,
        order_date=datetime(2026, 3, 4, 10, 0, 0, 500000, tzinfo=UTC),
        order_id="7",
        payment_status=PaymentStatusCode.CLEARED,
        total=Decimal("12.3400"),
        order_items=[OrderItem(quantity=2, unit_price=Decimal("6.1700"), sku="A")],
    ),
    OrderResponseItem(order_id="8", order_items=None),
]
NEW_ORDER = OrderSubmit(
    total=Decimal("12.34"),
    order_id="W-1",
    order_items=[OrderItem(sku="A", quantity=2, description="d")],
    ship=AddressInfo(zip="00123", address1="Road 1"),
    order_date=datetime(2026, 3, 4, 10, 0, tzinfo=UTC),
)
NEW_ORDER_XML = (
    "<d:OrderDate>2026-03-04T10:00:00Z</d:OrderDate><d:OrderID>W-1</d:OrderID>"
    "<d:Ship><d:Address1>Road 1</d:Address1><d:Zip>00123</d:Zip></d:Ship><d:Total>12.34</d:Total>"
    "<d:orderItems><d:OrderItem><d:Description>d</d:Description><d:Quantity>2</d:Quantity><d:sku>A</d:sku>"
    "</d:OrderItem></d:orderItems>"
)


class Case(NamedTuple):
    """One operation: how it is called, what must be on the wire, what comes back, what it must be read as."""

    operation: str
    call: Callable[[OctopusClient], Any]
    request: str
    reply: str
    value: Any


UPDATES = [ItemQuantityAndPrice(price=Decimal("1.50"), sku="A", stock=3), ItemQuantityAndPrice(sku="B", cost=None)]
UPDATES_XML = (
    "<d:Price>1.50</d:Price><d:Sku>A</d:Sku><d:Stock>3</d:Stock>",
    '<d:Cost i:nil="true"/><d:Sku>B</d:Sku>',
)
UPLOAD = InventoryItem(sku="A", sales_price=Decimal("9.90"), upc="007", custom2="two", custom10="ten", blank="")
UPLOAD_XML = (
    "<d:Blank/><d:Custom10>ten</d:Custom10><d:Custom2>two</d:Custom2><d:Sku>A</d:Sku><d:UPC>007</d:UPC>"
    "<d:salesprice>9.90</d:salesprice>"
)
CONFIRMS = [OrderDownloadSubmitRequest(order_id="7", third_party_order_number="T", store_id="S1")]
CONFIRMS_XML = (
    "<t:orderDownloadSubmitRequests><d:OrderDownloadSubmitRequest><d:OrderId>7</d:OrderId><d:StoreId>S1</d:StoreId>"
    "<d:ThirdPartyOrderNumber>T</d:ThirdPartyOrderNumber></d:OrderDownloadSubmitRequest></t:orderDownloadSubmitRequests>"
)
SKUS_XML = "<t:skuList><r:string>A</r:string><r:string>B</r:string></t:skuList>"
CRITERIA = OrderCriteria(
    shipping_status_filter="Unshipped",
    order_id_list=[7, 8],
    order_creation_filter_begin_time_gmt=datetime(2026, 1, 1, tzinfo=UTC),
    order_creation_filter_end_time_gmt=datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC),
)
CRITERIA_XML = (
    "<t:orderCriteria><d:OrderCreationFilterBeginTimeGMT>2026-01-01T00:00:00Z</d:OrderCreationFilterBeginTimeGMT>"
    "<d:OrderCreationFilterEndTimeGMT>2026-01-02T03:04:05.600000Z</d:OrderCreationFilterEndTimeGMT>"
    "<d:OrderIDList><r:int>7</r:int><r:int>8</r:int></d:OrderIDList>"
    "<d:ShippingStatusFilter>Unshipped</d:ShippingStatusFilter></t:orderCriteria>"
)
QUANTITIES = [QuantityInfoResponse(applicable_stock=40, error_message=None, form_quantity=0, sku="A", stock=41)]

CASES = [
    Case(
        "DeleteItemStore",
        lambda c: c.delete_item_store("A", seller_id=1, status=2, store_stock=[StoreStockInfo(store_id="S")]),
        "<t:SellerID>1</t:SellerID><t:SKU>A</t:SKU><t:ProductID>0</t:ProductID><t:status>2</t:status>"
        "<t:StorStock><d:StoreStockInfo><d:StoreID>S</d:StoreID></d:StoreStockInfo></t:StorStock>",
        bare("DeleteItemStore", "1"),
        Removal.REMOVED,
    ),
    Case(
        "DeleteItem",
        lambda c: c.delete_item("A", seller_id=-1, product_id=3),
        "<t:SellerID>-1</t:SellerID><t:SKU>A</t:SKU><t:ProductID>3</t:ProductID><t:status>0</t:status>",
        bare("DeleteItem", "0"),
        Removal.NOT_FOUND,
    ),
    Case(
        "DeleteTblItem",
        lambda c: c.delete_tbl_item(" A "),
        "<t:sku> A </t:sku>",
        bare("DeleteTblItem", "1"),
        Removal.REMOVED,
    ),
    Case("IsSkuExist", lambda c: c.is_sku_exist("A"), "<t:sku>A</t:sku>", bare("IsSkuExist", "true"), True),
    Case(
        "IsSkuExistList",
        lambda c: c.is_sku_exist_list(["A", "B"]),
        SKUS_XML,
        api("IsSkuExistList", EXIST_ROWS),
        [True, False],
    ),
    Case("GetItemTblList", lambda c: c.get_item_tbl_list(), "", api("GetItemTblList", ITEM_ROWS), ITEMS),
    Case("GetItemList", lambda c: c.get_item_list(["A", "B"]), SKUS_XML, api("GetItemList", ITEM_ROWS), ITEMS),
    Case(
        "GetItemQuantity",
        lambda c: c.get_item_quantity("A"),
        "<t:sku>A</t:sku>",
        api("GetItemQuantity", "12"),
        12,
    ),
    Case(
        "GetItemQuantityInfo",
        lambda c: c.get_item_quantity_info("A"),
        "<t:sku>A</t:sku>",
        api("GetItemQuantityInfo", QUANTITY),
        QUANTITIES[0],
    ),
    Case(
        "GetItemQuantityList",
        lambda c: c.get_item_quantity_list(["A"]),
        "<t:skuList><r:string>A</r:string></t:skuList>",
        api("GetItemQuantityList", f"<a:QuantityInfoResponse>{QUANTITY}</a:QuantityInfoResponse>"),
        QUANTITIES,
    ),
    Case(
        "UpdateItemQuantityAndPrice",
        lambda c: c.update_item_quantity_and_price(UPDATES[0]),
        f"<t:iQP>{UPDATES_XML[0]}</t:iQP>",
        api("UpdateItemQuantityAndPrice", "true"),
        True,
    ),
    Case(
        "UpdateItemQuantityAndPriceList",
        lambda c: c.update_item_quantity_and_price_list(UPDATES),
        "<t:itemQuantityAndPriceList>"
        + "".join(f"<d:ItemQuantityAndPrice>{row}</d:ItemQuantityAndPrice>" for row in UPDATES_XML)
        + "</t:itemQuantityAndPriceList>",
        api("UpdateItemQuantityAndPriceList", UPDATE_ROWS),
        [UpdateItemResponse(error_message=None, result=True, sku="A")],
    ),
    Case(
        "UploadItemList",
        lambda c: c.upload_item_list([UPLOAD]),
        f"<t:inventoryItems><d:InventoryItem>{UPLOAD_XML}</d:InventoryItem></t:inventoryItems>",
        api("UploadItemList", UPDATE_ROWS[: UPDATE_ROWS.index("</a:UpdateItemResponse>") + 23]),
        [UpdateItemResponse(error_message=None, result=True, sku="A")],
    ),
    Case(
        "UploadItem",
        lambda c: c.upload_item(UPLOAD),
        f"<t:inventoryItem>{UPLOAD_XML}</t:inventoryItem>",
        bare("UploadItem", "9223372036854775807"),
        2**63 - 1,
    ),
    Case(
        "SetDownloadOrderConfirm",
        lambda c: c.set_download_order_confirm(CONFIRMS),
        CONFIRMS_XML,
        soap(f'<SetDownloadOrderConfirmResponse xmlns="{TEMPURI}"/>'),
        None,
    ),
    Case(
        "SetDownloadSplitOrderConfirm",
        lambda c: c.set_download_split_order_confirm(CONFIRMS),
        CONFIRMS_XML,
        soap(f'<SetDownloadSplitOrderConfirmResponse xmlns="{TEMPURI}"/>'),
        None,
    ),
    Case("GetOrderList", lambda c: c.get_order_list(CRITERIA), CRITERIA_XML, api("GetOrderList", ORDER_ROWS), ORDERS),
    Case(
        "GetOrderListStore",
        lambda c: c.get_order_list_store("S1"),
        "<t:orderCriteria/><t:StoreIDs>S1</t:StoreIDs>",
        api("GetOrderListStore", ORDER_ROWS),
        ORDERS,
    ),
    Case(
        "SubmitOrder",
        lambda c: c.submit_order(NEW_ORDER),
        f"<t:orderSubmit>{NEW_ORDER_XML}</t:orderSubmit>",
        api(
            "SubmitOrder",
            '<a:ErrorMessage i:nil="true"/><a:Result>true</a:Result><a:idorder>0042</a:idorder>',
        ),
        SubmitOrderResponseItem(error_message=None, result=True, id_order="0042"),
    ),
    Case(
        "CustomFieldMapping",
        lambda c: c.custom_field_mapping([CustomFieldMapping(text="T", value="V", is_mapping="1")]),
        "<t:FieldMapping><d:CustomFieldMapping><d:IsMapping>1</d:IsMapping><d:Text>T</d:Text><d:Value>V</d:Value>"
        "</d:CustomFieldMapping></t:FieldMapping>",
        bare("CustomFieldMapping", "true"),
        None,
    ),
]
BY_NAME = {case.operation: case for case in CASES}
EVERY_OPERATION = pytest.mark.parametrize("case", CASES, ids=[case.operation for case in CASES])


class Wire:
    """The other end: answers with given bytes, keeps the requests."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self._mock = mock

    def answers(self, body: str | bytes, status: int = 200, **headers: str) -> None:
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
    """A call's value without what a reply may add to it: unknown members."""
    if isinstance(value, BatchResult):
        return [plain(part) for part in value]
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, WireModel):
        known = {n: plain(getattr(value, n)) for n in value.model_fields_set if n in type(value).model_fields}
        return type(value)(**known)
    return value


def test_the_table_below_has_every_operation() -> None:
    assert set(BY_NAME) == OPERATION_NAMES
    assert len(CASES) == 20


# -- the request ---------------------------------------------------------------------------------------------------


@EVERY_OPERATION
def test_the_request_is_exactly_what_the_contract_wants(case: Case, client: OctopusClient, wire: Wire) -> None:
    """Names, namespaces, member order, nil and empty members: a WCF service ignores what differs, without a word."""
    wire.answers(case.reply)
    case.call(client)
    (request,) = wire.requests
    expected = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:t="{TEMPURI}" xmlns:d="{DATA}" xmlns:r="{ARRAYS}" xmlns:i="{XSI}">'
        f"<s:Body><t:{case.operation}><t:accountID>{CREDENTIALS['accessid']}</t:accountID>{case.request}"
        f"</t:{case.operation}></s:Body></s:Envelope>"
    )
    assert canonicalize(request.body.decode(), rewrite_prefixes=True) == canonicalize(expected, rewrite_prefixes=True)


@EVERY_OPERATION
def test_the_request_carries_action_type_and_the_three_credential_headers(
    case: Case, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(case.reply)
    case.call(client)
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


# -- the reply, in every shape a service may give it -----------------------------------------------------------------


@EVERY_OPERATION
def test_the_reply_of_the_contract_is_read(case: Case, client: OctopusClient, wire: Wire) -> None:
    wire.answers(case.reply)
    assert case.call(client) == case.value


def _records(root: Any) -> list[Any]:
    """Elements whose members may be shuffled: the envelope and the records, not the lists."""
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
def test_the_reply_is_read_alike_in_every_shape(case: Case, variant: str, client: OctopusClient, wire: Wire) -> None:
    root = etree.fromstring(case.reply)
    VARIANTS[variant](root)
    wire.answers(etree.tostring(root))
    assert case.call(client) == case.value


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
    case: Case, variant: str, client: OctopusClient, wire: Wire
) -> None:
    body = TEXTUAL[variant](case.reply)
    assert body != case.reply.encode()
    wire.answers(body)
    assert case.call(client) == case.value


ENVELOPED_TOO = {
    "IsSkuExist": "true",
    "UploadItem": "9223372036854775807",
    "DeleteItem": "0",
    "DeleteItemStore": "1",
    "DeleteTblItem": "1",
    "CustomFieldMapping": "true",
}
BARE_TOO = {
    "IsSkuExistList": EXIST_ROWS,
    "GetItemTblList": ITEM_ROWS,
    "GetItemList": ITEM_ROWS,
    "GetItemQuantity": "12",
    "GetItemQuantityInfo": QUANTITY,
    "GetItemQuantityList": f"<a:QuantityInfoResponse>{QUANTITY}</a:QuantityInfoResponse>",
    "UpdateItemQuantityAndPrice": "true",
    "UpdateItemQuantityAndPriceList": UPDATE_ROWS,
    "UploadItemList": UPDATE_ROWS[: UPDATE_ROWS.index("</a:UpdateItemResponse>") + 23],
    "GetOrderList": ORDER_ROWS,
    "GetOrderListStore": ORDER_ROWS,
    "SubmitOrder": '<a:ErrorMessage i:nil="true"/><a:Result>true</a:Result><a:idorder>0042</a:idorder>',
}


@pytest.mark.parametrize("operation", BARE_TOO)
def test_a_bare_result_is_read_like_an_enveloped_one(operation: str, client: OctopusClient, wire: Wire) -> None:
    """The page types three operations as bare lists and describes Status and ResultData all the same."""
    wire.answers(bare(operation, BARE_TOO[operation]))
    assert BY_NAME[operation].call(client) == BY_NAME[operation].value


@pytest.mark.parametrize("operation", ENVELOPED_TOO)
def test_an_enveloped_result_is_read_like_a_bare_one(operation: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(api(operation, ENVELOPED_TOO[operation]))
    assert BY_NAME[operation].call(client) == BY_NAME[operation].value


@pytest.mark.parametrize("operation", [*BARE_TOO, *ENVELOPED_TOO])
def test_an_envelope_directly_in_the_response_is_read(operation: str, client: OctopusClient, wire: Wire) -> None:
    """The result element left out: APIResult's members stand in the response itself."""
    body = api(operation, {**BARE_TOO, **ENVELOPED_TOO}[operation])
    body = re.sub(rf"<{operation}Result [^>]*>|</{operation}Result>", "", body)
    wire.answers(body.replace(f'xmlns="{TEMPURI}"', f'xmlns="{TEMPURI}" xmlns:a="{DATA}" xmlns:i="{XSI}"'))
    assert BY_NAME[operation].call(client) == BY_NAME[operation].value


# -- drift ---------------------------------------------------------------------------------------------------------


def _model_value(value: Any) -> WireModel | None:
    first = value[0] if isinstance(value, (list, BatchResult)) and len(value) else value
    return first if isinstance(first, WireModel) else None


WITH_MODELS = [case for case in CASES if _model_value(case.value) is not None]


@pytest.mark.parametrize("case", WITH_MODELS, ids=[case.operation for case in WITH_MODELS])
def test_unknown_members_are_kept_under_their_wire_names_and_counted(
    case: Case, client: OctopusClient, wire: Wire
) -> None:
    root = etree.fromstring(case.reply)
    model = type(_model_value(case.value)).__name__
    data = next(root.iter(f"{{{DATA}}}ResultData"))
    records = [data] if etree.QName(data[0]).localname != model else list(data)
    for record in records:
        etree.SubElement(record, f"{{{DATA}}}AddedLater").text = " new "
        etree.SubElement(record, f"{{{DATA}}}Dropped", {NIL: "true"})
        record.insert(0, etree.fromstring('<x:Deep xmlns:x="urn:x"><x:N>1</x:N><x:N>2</x:N><x:M/></x:Deep>'))
    etree.SubElement(root[0][0][0], f"{{{DATA}}}TraceId").text = "t"
    wire.answers(etree.tostring(root))

    value = case.call(client)

    assert plain(value) == plain(case.value), "the known members are read all the same"
    first = _model_value(value)
    assert first is not None
    assert first.model_extra == {"Deep": {"N": ["1", "2"], "M": ""}, "AddedLater": " new ", "Dropped": None}
    info = value.calls[0] if isinstance(value, BatchResult) else None
    if info is None:
        wire.answers(etree.tostring(root))
        method = getattr(
            client, {"GetItemQuantityInfo": "get_item_quantity_info", "SubmitOrder": "submit_order"}[case.operation]
        )
        info = method.with_info(NEW_ORDER if case.operation == "SubmitOrder" else "A").info
    rows = len(records)
    assert info.drift == {
        f"{model}.AddedLater": rows,
        f"{model}.Dropped": rows,
        f"{model}.Deep": rows,
        "APIResult.TraceId": 1,
    }


def test_a_reply_without_drift_reports_none(client: OctopusClient, wire: Wire) -> None:
    wire.answers(BY_NAME["GetItemList"].reply)
    (info,) = client.get_item_list(["A", "B"]).calls
    assert (info.drift, info.warnings) == ({}, ())


def test_a_renamed_member_is_unset_not_guessed(client: OctopusClient, wire: Wire) -> None:
    wire.answers(BY_NAME["GetItemList"].reply.replace("a:Price>", "a:UnitPrice>"))
    item = client.get_item_list(["A", "B"])[0]
    assert "price" not in item.model_fields_set
    assert item.model_extra == {"UnitPrice": "44.9200"}


def test_a_renamed_key_loses_the_row_and_says_so(client: OctopusClient, wire: Wire) -> None:
    """A row that names no SKU cannot be matched: its input is missing, and the row is noted."""
    wire.answers(BY_NAME["GetItemList"].reply.replace("<a:Sku>A</a:Sku>", "<a:Code>A</a:Code>"))
    result = client.get_item_list(["A", "B"])
    assert [o.status.value for o in result.outcomes] == ["missing", "ok"]
    assert any("not asked for" in note for note in result.calls[0].warnings)


def test_a_member_that_comes_twice_counts_once_and_is_reported(client: OctopusClient, wire: Wire) -> None:
    wire.answers(BY_NAME["GetItemList"].reply.replace("<a:Sku>A</a:Sku>", "<a:Sku>A</a:Sku><a:Price>0</a:Price>"))
    result = client.get_item_list(["A", "B"])
    assert result[0].price == Decimal("44.9200")
    assert result.calls[0].drift == {"InventoryItem.Price repeated": 1}


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


@pytest.mark.parametrize("form", NOTHING)
@pytest.mark.parametrize("operation", ["GetItemTblList", "GetOrderList", "GetOrderListStore"])
def test_a_list_without_rows_is_empty_whether_nil_empty_or_absent(
    operation: str, form: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(bare(operation, f"{NOTHING[form]}<a:Status>Success</a:Status>"))
    result = BY_NAME[operation].call(client)
    assert result == []
    assert result.outcomes == ()


@pytest.mark.parametrize("form", NOTHING)
@pytest.mark.parametrize("operation", ["IsSkuExistList", "GetItemList", "GetItemQuantityList"])
def test_a_batch_answered_without_rows_is_all_missing(
    operation: str, form: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(bare(operation, f"{NOTHING[form]}<a:Status>Success</a:Status>"))
    result = BY_NAME[operation].call(client)
    assert {o.status for o in result.outcomes} == {OutcomeStatus.MISSING}


@pytest.mark.parametrize("form", NOTHING)
@pytest.mark.parametrize("operation", ["UpdateItemQuantityAndPriceList", "UploadItemList"])
def test_a_write_answered_success_without_rows_is_unknown_never_done(
    operation: str, form: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(bare(operation, f"{NOTHING[form]}<a:Status>Success</a:Status>"))
    with pytest.raises(BatchError) as caught:
        BY_NAME[operation].call(client)
    assert {o.status for o in caught.value.result.outcomes} == {OutcomeStatus.UNKNOWN}


@pytest.mark.parametrize("form", NOTHING)
@pytest.mark.parametrize(
    "operation", ["GetItemQuantity", "GetItemQuantityInfo", "UpdateItemQuantityAndPrice", "SubmitOrder"]
)
def test_success_without_a_value_is_no_success(operation: str, form: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare(operation, f"{NOTHING[form]}<a:Status>Success</a:Status>"))
    expected = OutcomeUnknownError if operation == "SubmitOrder" else ProtocolError
    with pytest.raises(expected):
        BY_NAME[operation].call(client)


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
    """Called rejected, it would be sent again, and perhaps be created twice."""
    wire.answers(api("SubmitOrder", members))
    with pytest.raises(OutcomeUnknownError):
        client.submit_order(NEW_ORDER)
    assert len(wire.requests) == 1


@pytest.mark.parametrize("content", ["", "   ", "<x/>", "maybe", "1.5"])
@pytest.mark.parametrize("operation", ["IsSkuExist", "UploadItem", "DeleteItem", "DeleteItemStore", "DeleteTblItem"])
def test_a_bare_value_that_is_none_raises(operation: str, content: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare(operation, content))
    with pytest.raises(ProtocolError):
        BY_NAME[operation].call(client)


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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize("text", ["12", "12.0000", " 12 ", "+12", "012"])
def test_an_int_is_read_from_what_a_decimal_column_gives(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("GetItemQuantity", text))
    assert client.get_item_quantity("A") == 12


@pytest.mark.parametrize("text", ["12.5", "1,200", "0x12", "1_2", "١٢", "NaN", "1e2"])
def test_an_int_that_is_none_raises_and_is_named(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(api("GetItemQuantity", text).encode())
    with pytest.raises(ProtocolError, match="ResultData") as caught:
        client.get_item_quantity("A")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
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


@pytest.mark.parametrize("text", ["true", "1", "True", " true "])
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


@pytest.mark.parametrize("text", ["  00123", "1E5", "00123", " ", "a\tb", "ß", "\N{FACE WITH TEARS OF JOY}"])
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

SINGLES = [
    "GetItemQuantity",
    "GetItemQuantityInfo",
    "UpdateItemQuantityAndPrice",
    "SubmitOrder",
    "GetItemTblList",
    "GetOrderList",
    "GetOrderListStore",
    "IsSkuExist",
    "UploadItem",
    "DeleteItem",
    "DeleteItemStore",
    "DeleteTblItem",
]
LISTS = [
    "IsSkuExistList",
    "GetItemList",
    "GetItemQuantityList",
    "UpdateItemQuantityAndPriceList",
    "UploadItemList",
    "SetDownloadOrderConfirm",
    "SetDownloadSplitOrderConfirm",
    "CustomFieldMapping",
]


@pytest.mark.parametrize("status", ["Failure", "failure", "false", "SomethingNew"])
@pytest.mark.parametrize("operation", SINGLES)
def test_a_status_other_than_success_raises_with_its_facts(
    operation: str, status: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(failure(operation, "No good.", code=12).replace("Failure", status))
    with pytest.raises(ApiStatusError) as caught:
        BY_NAME[operation].call(client)
    error = caught.value
    assert (error.status, error.message_code, error.data) == (status, 12, "subject")
    assert "No good." in str(error)
    assert error.info is not None
    assert error.info.operation == operation
    assert len(wire.requests) == 1, "a refusal is not repeated"


@pytest.mark.parametrize("operation", LISTS)
def test_a_failed_batch_is_a_failed_outcome_for_each_item(operation: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(failure(operation, "No good.", code=12))
    with pytest.raises(BatchError) as caught:
        BY_NAME[operation].call(client)
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
    """The page: Status is Failure where not one SKU succeeded; the rows say why, each."""
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


@pytest.mark.parametrize("operation", sorted(OPERATION_NAMES))
def test_a_failure_that_names_the_credentials_is_an_authentication_error(
    operation: str, client: OctopusClient, wire: Wire
) -> None:
    wire.answers(failure(operation, "Authentication failed.", code=3))
    with pytest.raises(AuthenticationError):
        BY_NAME[operation].call(client)


@pytest.mark.parametrize("text", ["false", "Field exists already"])
def test_custom_field_mapping_raises_whatever_is_not_true(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare("CustomFieldMapping", text))
    with pytest.raises(RejectedError, match=text):
        BY_NAME["CustomFieldMapping"].call(client)


@pytest.mark.parametrize("content", ["", "<x/>", "  "])
def test_custom_field_mapping_answered_with_no_text_is_unknown(content: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare("CustomFieldMapping", content))
    with pytest.raises(BatchError) as caught:
        BY_NAME["CustomFieldMapping"].call(client)
    assert [o.status for o in caught.value.result.outcomes] == [OutcomeStatus.UNKNOWN]


@pytest.mark.parametrize("text", ["true", "True", " TRUE\n"])
def test_custom_field_mapping_takes_true_in_any_case(text: str, client: OctopusClient, wire: Wire) -> None:
    wire.answers(bare("CustomFieldMapping", text))
    assert BY_NAME["CustomFieldMapping"].call(client) is None


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


@pytest.mark.parametrize("operation", ["SetDownloadOrderConfirm", "SetDownloadSplitOrderConfirm"])
@pytest.mark.parametrize(
    ("body", "status"), [("", 202), ("", 200), (soap(""), 200)], ids=["202 empty", "200 empty", "empty body"]
)
def test_void_is_none_in_every_form(operation: str, body: str, status: int, client: OctopusClient, wire: Wire) -> None:
    wire.answers(body, status)
    assert BY_NAME[operation].call(client) is None


@EVERY_OPERATION
def test_another_operations_reply_is_refused(case: Case, client: OctopusClient, wire: Wire) -> None:
    """A proxy or a cache that mixes up replies must not turn one shop's answer into another's."""
    other = "IsSkuExist" if case.operation != "IsSkuExist" else "UploadItem"
    wire.answers(BY_NAME[other].reply)
    with pytest.raises(OctopusError) as caught:
        case.call(client)
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
