"""One row per operation, written from the vendor's page and not from the code.

A row has the page's parameters and limit, the safety class, the result, a call that succeeds in the shop of `seed`, and
one exchange written by hand as a WCF service writes it. Tests of every operation run through `ROWS`; a new operation
needs a row here, and nothing else below `tests/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from octopus_soap import (
    AddressInfo,
    CustomFieldMapping,
    InventoryItem,
    ItemQuantityAndPrice,
    OrderCriteria,
    OrderDownloadSubmitRequest,
    OrderItem,
    OrderResponseItem,
    OrderSubmit,
    PaymentStatusCode,
    QuantityInfoResponse,
    Removal,
    Safety,
    StoreStockInfo,
    SubmitOrderResponseItem,
    UpdateItemResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TEMPURI = "http://tempuri.org/"
DATA = "http://schemas.datacontract.org/2004/07/OctopusService"
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

READ, IDEMPOTENT, UNSAFE = Safety.READ, Safety.IDEMPOTENT, Safety.UNSAFE
ORDERS_FROM = 100001
"""Number of an emulator's first order."""


@dataclass(frozen=True)
class Row:
    """The facts of one operation.

    Attributes:
        operation: wire name.
        page: parameters in the page's order; `*` required, `!` a value type that cannot be nil.
        answers: type of the result in the contract; `#` for WCF's digest, empty for none.
        safety: what a repeat may do.
        returns: what the method returns, as its annotation says.
        sample: arguments of a call that succeeds in the shop of `seed`; those of a list operation are made by `entry`.
        options: the method's other arguments, all but `account_id`, so that none is forgotten.
        limit: most items per call that the page documents.
        entry: of a list operation, makes the input for a key.
        example: the call of the exchange written by hand.
        request: its parameters on the wire, after accountID; `t`, `d`, `r` for the three namespaces.
        reply: its result; what is inside of ResultData if the result is an APIResult.
        value: what the reply must be read as.
    """

    operation: str
    page: str
    answers: str
    safety: Safety
    returns: str
    example: Callable[[OctopusClient], Any]
    request: str
    reply: str
    value: Any
    sample: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None
    entry: Callable[[str], Any] | None = None

    def __str__(self) -> str:
        return self.operation

    def __call__(self, client: Any) -> Any:
        """Make the call that succeeds in the shop of `seed`."""
        return self.method(client)(*self.arguments)

    def method(self, client: Any) -> Callable[..., Any]:
        """Return the operation of *client*."""
        found: Callable[..., Any] = getattr(client, self.name)
        return found

    @property
    def name(self) -> str:
        """The method's name: the wire name in snake_case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.operation).lower()

    @property
    def is_list(self) -> bool:
        """True if it takes a list, which is split into batches."""
        return self.entry is not None

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the inputs of a list operation."""
        if self.entry is None:
            return ()
        return tuple(str(ORDERS_FROM + n) for n in range(3)) if self.confirms else SKUS

    @property
    def confirms(self) -> bool:
        """True if its inputs are orders."""
        return "Confirm" in self.operation

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Positional arguments of the call that succeeds."""
        return self.sample if self.entry is None else ([self.entry(key) for key in self.keys],)

    @property
    def all_options(self) -> dict[str, Any]:
        """Every keyword argument but `account_id`."""
        return self.options if self.entry is None else {"batch_size": 1, "progress": repr, **self.options}

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters on the wire."""
        return [word.rstrip("*!") for word in self.page.split()]

    @property
    def required(self) -> set[str]:
        """Names of the parameters that the page marks as required."""
        return {word.rstrip("*!") for word in self.page.split() if "*" in word}

    @property
    def enveloped(self) -> bool:
        """True if the result comes in an APIResult."""
        return self.answers.startswith("APIResult")

    @property
    def body(self) -> str:
        """The reply of the exchange, whole."""
        if not self.answers:
            return soap(f'<{self.operation}Response xmlns="{TEMPURI}"/>')
        return (api if self.enveloped else bare)(self.operation, self.reply)


SKUS = ("A", "B", "C")


def seed(service: Emulator, merchant: str | None = None) -> None:
    """Fill a shop in which the call of every row succeeds."""
    for number, sku in enumerate(SKUS, 1):
        service.store.add_item(sku, Price=Decimal(number), Stock=number, Description="x", merchant=merchant)
        service.store.mark_changed(sku, merchant=merchant)
        service.store.add_order(OrderID=f"OLD-{sku}", stores=("S1",), merchant=merchant)


# -- replies as WCF writes them -------------------------------------------------------------------------------------


def soap(body: str) -> str:
    """A WCF envelope around *body*: no XML declaration, prefix s."""
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'


def bare(operation: str, content: str) -> str:
    """A result that is not an APIResult."""
    return soap(
        f'<{operation}Response xmlns="{TEMPURI}"><{operation}Result xmlns:a="{DATA}" xmlns:i="{XSI}">'
        f"{content}</{operation}Result></{operation}Response>"
    )


def api(operation: str, data: str, status: str = "Success", *, code: int = 0, message: str = "") -> str:
    """An APIResult as WCF writes it, with *data* inside of ResultData."""
    said = f"<a:Message>{message}</a:Message>" if message else '<a:Message i:nil="true"/>'
    return bare(
        operation,
        f'<a:Data i:nil="true"/>{said}<a:MessageCode>{code}</a:MessageCode>'
        f"<a:ResultData>{data}</a:ResultData><a:Status>{status}</a:Status>",
    )


def failure(operation: str, message: str, *, code: int = 1) -> str:
    """An APIResult with the status Failure and no data."""
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

_ORDER = OrderSubmit(order_id="WEB-1", order_items=[OrderItem(sku="A", quantity=1, unit_price=Decimal(2))])
_STORES = [StoreStockInfo(store_id="S")]


def _sku(key: str) -> str:
    return key


def _update(key: str) -> ItemQuantityAndPrice:
    return ItemQuantityAndPrice(sku=key, price=Decimal("1.25"), stock=7)


def _upload(key: str) -> InventoryItem:
    return InventoryItem(sku=key, description=f"Item {key}")


def _mapping(key: str) -> CustomFieldMapping:
    return CustomFieldMapping(text=key, value="Custom1")


ROWS = [
    Row(
        "IsSkuExist", "accountID* sku*", "boolean", READ, "bool",
        lambda c: c.is_sku_exist("A"), "<t:sku>A</t:sku>", "true", True,
        ("A",),
    ),
    Row(
        "IsSkuExistList", "accountID* skuList*", "APIResultOfArrayOfIsSkuExistResponse#", READ, "BatchResult[bool]",
        lambda c: c.is_sku_exist_list(["A", "B"]), SKUS_XML, EXIST_ROWS, [True, False],
        limit=500, entry=_sku,
    ),
    Row(
        "GetItemTblList", "accountID*", "APIResultOfArrayOfInventoryItem#", READ, "BatchResult[InventoryItem]",
        lambda c: c.get_item_tbl_list(), "", ITEM_ROWS, ITEMS,
    ),
    Row(
        "GetItemList", "accountID* skuList*", "APIResultOfArrayOfInventoryItem#", READ, "BatchResult[InventoryItem]",
        lambda c: c.get_item_list(["A", "B"]), SKUS_XML, ITEM_ROWS, ITEMS,
        limit=100, entry=_sku,
    ),
    Row(
        "GetItemQuantity", "accountID* sku*", "APIResultOfint", READ, "int",
        lambda c: c.get_item_quantity("A"), "<t:sku>A</t:sku>", "12", 12,
        ("A",),
    ),
    Row(
        "GetItemQuantityInfo", "accountID* sku*", "APIResultOfQuantityInfoResponse#", READ, "QuantityInfoResponse",
        lambda c: c.get_item_quantity_info("A"), "<t:sku>A</t:sku>", QUANTITY, QUANTITIES[0],
        ("A",),
    ),
    Row(
        "GetItemQuantityList", "accountID* skuList*", "APIResultOfArrayOfQuantityInfoResponse#", READ,
        "BatchResult[QuantityInfoResponse]",
        lambda c: c.get_item_quantity_list(["A"]), "<t:skuList><r:string>A</r:string></t:skuList>",
        f"<a:QuantityInfoResponse>{QUANTITY}</a:QuantityInfoResponse>", QUANTITIES,
        limit=100, entry=_sku,
    ),
    Row(
        "UpdateItemQuantityAndPrice", "accountID* iQP*", "APIResultOfboolean", IDEMPOTENT, "bool",
        lambda c: c.update_item_quantity_and_price(UPDATES[0]), f"<t:iQP>{UPDATES_XML[0]}</t:iQP>", "true", True,
        (_update("A"),), {"omitted_values": "send"},
    ),
    Row(
        "UpdateItemQuantityAndPriceList", "accountID* itemQuantityAndPriceList*",
        "APIResultOfArrayOfUpdateInventoryItemResponse#", IDEMPOTENT, "BatchResult[UpdateItemResponse]",
        lambda c: c.update_item_quantity_and_price_list(UPDATES),
        "<t:itemQuantityAndPriceList>"
        + "".join(f"<d:ItemQuantityAndPrice>{row}</d:ItemQuantityAndPrice>" for row in UPDATES_XML)
        + "</t:itemQuantityAndPriceList>",
        UPDATE_ROWS, [UpdateItemResponse(error_message=None, result=True, sku="A")],
        options={"omitted_values": "send"}, limit=1000, entry=_update,
    ),
    Row(
        "UploadItem", "accountID* inventoryItem*", "long", IDEMPOTENT, "int",
        lambda c: c.upload_item(UPLOAD), f"<t:inventoryItem>{UPLOAD_XML}</t:inventoryItem>",
        "9223372036854775807", 2**63 - 1,
        (_upload("A"),), {"omitted_values": "send"},
    ),
    Row(
        "UploadItemList", "accountID* inventoryItems*", "APIResultOfArrayOfUpdateItemResponse#", IDEMPOTENT,
        "BatchResult[UpdateItemResponse]",
        lambda c: c.upload_item_list([UPLOAD]),
        f"<t:inventoryItems><d:InventoryItem>{UPLOAD_XML}</d:InventoryItem></t:inventoryItems>",
        UPDATE_ROWS[: UPDATE_ROWS.index("</a:UpdateItemResponse>") + 23],
        [UpdateItemResponse(error_message=None, result=True, sku="A")],
        options={"omitted_values": "send"}, entry=_upload,
    ),
    Row(
        "DeleteItem", "accountID* SellerID*! SKU* ProductID status*!", "int", IDEMPOTENT, "Removal",
        lambda c: c.delete_item("A", seller_id=-1, product_id=3),
        "<t:SellerID>-1</t:SellerID><t:SKU>A</t:SKU><t:ProductID>3</t:ProductID><t:status>0</t:status>",
        "0", Removal.NOT_FOUND,
        ("A",), {"seller_id": 1, "product_id": 2, "status": 3},
    ),
    Row(
        "DeleteItemStore", "accountID* SellerID*! SKU* ProductID status*! StorStock", "int", IDEMPOTENT, "Removal",
        lambda c: c.delete_item_store("A", seller_id=1, status=2, store_stock=_STORES),
        "<t:SellerID>1</t:SellerID><t:SKU>A</t:SKU><t:ProductID>0</t:ProductID><t:status>2</t:status>"
        "<t:StorStock><d:StoreStockInfo><d:StoreID>S</d:StoreID></d:StoreStockInfo></t:StorStock>",
        "1", Removal.REMOVED,
        ("A",), {"seller_id": 1, "product_id": 2, "status": 3, "store_stock": _STORES},
    ),
    Row(
        "DeleteTblItem", "accountID* sku*", "int", IDEMPOTENT, "Removal",
        lambda c: c.delete_tbl_item(" A "), "<t:sku> A </t:sku>", "1", Removal.REMOVED,
        ("A",),
    ),
    Row(
        "GetOrderList", "accountID* orderCriteria*", "APIResultOfArrayOfOrderResponseItem#", READ,
        "BatchResult[OrderResponseItem]",
        lambda c: c.get_order_list(CRITERIA), CRITERIA_XML, ORDER_ROWS, ORDERS,
        options={"criteria": OrderCriteria(), "keep_raw": True},
    ),
    Row(
        "GetOrderListStore", "accountID* orderCriteria* StoreIDs*", "APIResultOfArrayOfOrderResponseItem#", READ,
        "BatchResult[OrderResponseItem]",
        lambda c: c.get_order_list_store("S1"), "<t:orderCriteria/><t:StoreIDs>S1</t:StoreIDs>", ORDER_ROWS, ORDERS,
        ("S1",), {"criteria": OrderCriteria(), "keep_raw": True},
    ),
    Row(
        "SetDownloadOrderConfirm", "accountID* orderDownloadSubmitRequests*", "", IDEMPOTENT, "None",
        lambda c: c.set_download_order_confirm(CONFIRMS), CONFIRMS_XML, "", None,
        entry=lambda key: OrderDownloadSubmitRequest(order_id=key),
    ),
    Row(
        "SetDownloadSplitOrderConfirm", "accountID* orderDownloadSubmitRequests*", "", IDEMPOTENT, "None",
        lambda c: c.set_download_split_order_confirm(CONFIRMS), CONFIRMS_XML, "", None,
        entry=lambda key: OrderDownloadSubmitRequest(order_id=key),
    ),
    Row(
        "SubmitOrder", "accountID* orderSubmit*", "APIResultOfSubmitOrderResponseItem#", UNSAFE,
        "SubmitOrderResponseItem",
        lambda c: c.submit_order(NEW_ORDER), f"<t:orderSubmit>{NEW_ORDER_XML}</t:orderSubmit>",
        '<a:ErrorMessage i:nil="true"/><a:Result>true</a:Result><a:idorder>0042</a:idorder>',
        SubmitOrderResponseItem(error_message=None, result=True, id_order="0042"),
        (_ORDER,), {"omitted_values": "send"},
    ),
    Row(
        "CustomFieldMapping", "accountID* FieldMapping*", "string", UNSAFE, "None",
        lambda c: c.custom_field_mapping([CustomFieldMapping(text="T", value="V", is_mapping="1")]),
        "<t:FieldMapping><d:CustomFieldMapping><d:IsMapping>1</d:IsMapping><d:Text>T</d:Text><d:Value>V</d:Value>"
        "</d:CustomFieldMapping></t:FieldMapping>",
        "true", None,
        entry=_mapping,
    ),
]  # fmt: skip
BY_NAME = {row.operation: row for row in ROWS}
LISTS = [row for row in ROWS if row.entry is not None]

# The engine has six kinds of operation: one item or a list, in three classes of safety. What holds for a kind is tested
# on its first operation here.
KINDS = [
    BY_NAME[name]
    for name in (
        "GetItemQuantityInfo", "UpdateItemQuantityAndPrice", "SubmitOrder",
        "GetItemList", "UpdateItemQuantityAndPriceList", "CustomFieldMapping",
    )
]  # fmt: skip
