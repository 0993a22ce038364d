"""All 20 operations, once in each direction, and the values they must have.

*Clients*: a toolkit's program reads the WSDL that the emulator serves, makes the calls of :func:`requests` in their
order, and prints what it got as JSON by operation. :func:`check_answers` compares the values, :func:`check_state` the
emulator's state afterwards.

*Servers*: a toolkit's program serves the WSDL by the rules in ``README.md``; ``ours.py`` calls it with our two clients.

Toolkits shape lists, envelopes and nulls in different ways. :func:`answer` reads all of them, and refuses only wrong
values and wrong types: ``"7"`` for 7 is a failure.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octopus_soap.emulator import Emulator

TEXT = "Größe & <5> “x”"
LOCKS = [
    "LockCategory",
    "LockCost",
    "LockDescription",
    "LockDetails",
    "LockImages",
    "LockListPrice",
    "LockMSRP",
    "LockParentSKU",
    "LockPrice",
    "LockPriceA",
    "LockPriceB",
    "LockPriceC",
    "LockSUBDescription1",
    "LockSUBDescription2",
    "LockSUBDescription3",
    "LockSaleEndDate",
    "LockSaleStartDate",
    "LockSalesPrice",
    "LockStock",
    "LockSupplier",
    "LockUPC",
    "LockVariations",
    "LockWeight",
]
STORE_PRICES = [
    "StoreBToBPrice",
    "StoreCost",
    "StoreListPrice",
    "StoreMAP",
    "StoreMSRP",
    "StorePrice",
    "StorePriceA",
    "StorePriceB",
    "StorePriceC",
    "StoreSalesPrice",
]


def store_row(store: str, stock: float) -> dict[str, Any]:
    """Return a store row with every value type set, so that any service keeps it."""
    return {"StoreID": store, "StoreStock": stock, **dict.fromkeys(STORE_PRICES, "1.25")}


def item(sku: str) -> dict[str, Any]:
    """Return an item with a member of every kind, every value type among them."""
    return {
        "Sku": sku,
        "Description": TEXT,
        "Stock": "6",
        "Price": "12.34",
        "Cost": "5.5",
        "MSRP": "20",
        "PriceA": "1",
        "PriceB": "2",
        "PriceC": "3",
        "salesprice": "11.5",
        "Weight": "0.75",
        "SaleStartDate": "2024-05-01T10:30:00Z",
        "SaleEndDate": "2024-06-01T00:00:00Z",
        "StoreStockInfoList": [store_row("S1", 4.5), store_row("S2", 2)],
        "AttributeList": [{"Name": "Color", "Value": "Red"}],
        "KitList": [{"SKU": "K-1", "Quantity": 2.5}],
        "VariationInfo": {"IsParent": False, "ParentSku": "P-1"},
        "FieldLocks": {name: name == "LockPrice" for name in LOCKS},
    }


def update(sku: str, price: str, stock: int) -> dict[str, Any]:
    """Return a price and stock update with every value type given."""
    locks = {"LockCost": False, "LockPrice": False, "LockStock": False}
    return {
        "Sku": sku,
        "Price": price,
        "Cost": "2",
        "Stock": stock,
        "StoreStockInfoList": [store_row("S1", 3)],
        **locks,
    }


def order(number: str) -> dict[str, Any]:
    """Return an order as SubmitOrder takes it."""
    line = {
        "sku": "A-1",
        "Quantity": 2,
        "UnitPrice": "9.99",
        "ItemTax": "0.5",
        "ItemDiscount": "0",
        "Description": TEXT,
    }
    address = {"FirstName": "Ada", "LastName": "Müller", "City": "Köln", "Country": "DE", "Zip": "50667"}
    return {
        "OrderID": number,
        "OrderDate": "2024-05-02T08:00:00Z",
        "SubTotal": "19.98",
        "ShippingTotal": "4",
        "TaxTotal": "1",
        "Total": "24.98",
        "Ship": address,
        "Bill": address,
        "orderItems": [line, {**line, "sku": "A-2"}],
    }


def criteria(ids: list[int]) -> dict[str, Any]:
    """Return order criteria with every member given."""
    return {
        "OrderCreationFilterBeginTimeGMT": "2024-01-01T00:00:00Z",
        "OrderCreationFilterEndTimeGMT": "2024-12-31T00:00:00Z",
        "OrderIDList": ids,
        "PaymentStatusFilter": "NoChange",
        "ShippingStatusFilter": "NoChange",
    }


def seed(service: Emulator) -> tuple[int, int]:
    """Fill the shop, and return the ids of a plain order and of a split one."""
    rows = [{"StoreID": "S1", "StoreStock": 1}, {"StoreID": "S2", "StoreStock": 2}]
    service.store.add_item("A-1", Description=TEXT, Price="3.39", Cost="1.5", Stock="6", changed=True)
    service.store.add_item("A-2", Price="2", Stock="10", Applicablestock="8", FormQuantity="4", StoreStockInfoList=rows)
    service.store.add_item("A-3", Price="1")
    line = {"sku": "A-1", "Quantity": 2, "UnitPrice": "9.99"}
    address = {"FirstName": "Ada", "LastName": "Müller"}
    plain = service.store.add_order(OrderDate="2024-05-01T00:00:00Z", Total="19.98", Ship=address, orderItems=[line])
    split = service.store.add_order(stores=["S1", "S2"], OrderDate="2024-05-02T00:00:00Z", Total="5", orderItems=[line])
    return plain, split


def requests(plain: int, split: int) -> list[tuple[str, dict[str, Any]]]:
    """Return a client's calls in order: operation, parameters without the account."""
    gone = {"SellerID": 0, "ProductID": 7, "status": 1}
    confirm = {"OrderId": str(plain), "StoreId": "", "ThirdPartyOrderNumber": "T-1"}
    return [
        ("IsSkuExist", {"sku": "A-1"}),
        ("IsSkuExistList", {"skuList": ["A-1", "X-9"]}),
        ("GetItemList", {"skuList": ["A-1", "A-2"]}),
        ("GetItemQuantity", {"sku": "A-1"}),
        ("GetItemQuantityInfo", {"sku": "A-2"}),
        ("GetItemQuantityList", {"skuList": ["A-1", "A-2"]}),
        ("UpdateItemQuantityAndPrice", {"iQP": update("A-1", "4.25", 7)}),
        (
            "UpdateItemQuantityAndPriceList",
            {"itemQuantityAndPriceList": [update("A-2", "4.5", 8), update("X-9", "1", 1)]},
        ),
        ("UploadItem", {"inventoryItem": item("N-1")}),
        ("UploadItemList", {"inventoryItems": [item("N-2"), item("N-3")]}),
        ("GetItemTblList", {}),
        ("DeleteTblItem", {"sku": "A-1"}),
        ("SubmitOrder", {"orderSubmit": order("W-1")}),
        ("GetOrderList", {"orderCriteria": criteria([plain, split])}),
        ("GetOrderListStore", {"orderCriteria": criteria([split]), "StoreIDs": "S1"}),
        ("SetDownloadOrderConfirm", {"orderDownloadSubmitRequests": [confirm]}),
        (
            "SetDownloadSplitOrderConfirm",
            {"orderDownloadSubmitRequests": [{**confirm, "OrderId": str(split), "StoreId": "S1"}]},
        ),
        ("CustomFieldMapping", {"FieldMapping": [{"Text": "Color", "Value": "Custom1", "IsMapping": "true"}]}),
        ("DeleteItemStore", {"SKU": "A-2", **gone, "StorStock": [store_row("S1", 0)]}),
        ("DeleteItem", {"SKU": "A-3", **gone}),
    ]


# -- answers ---------------------------------------------------------------------------------------------------------


def answer(value: Any, operation: str) -> Any:
    """Return the result without the wrapper, envelope or list around it."""
    if isinstance(value, dict) and set(value) == {f"{operation}Result"}:
        value = value[f"{operation}Result"]
    if isinstance(value, dict) and "ResultData" in value:
        if value.get("Status") != "Success":
            raise AssertionError(f"{operation}: Status {value.get('Status')!r}, Message {value.get('Message')!r}")
        value = value["ResultData"]
    return value


def rows(value: Any) -> list[Any]:
    """Return the rows of a list, with or without the element that names them."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def differences(found: Any, wanted: Any, where: str) -> list[str]:
    """Compare the wanted members; only decimals and dates may come as texts."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [f"{where}: {found!r} is no record"]
        return [d for name, inner in wanted.items() for d in differences(found.get(name), inner, f"{where}.{name}")]
    if isinstance(wanted, list):
        given = rows(found)
        if len(given) != len(wanted):
            return [f"{where}: {len(given)} rows, not {len(wanted)}"]
        return [d for n, inner in enumerate(wanted) for d in differences(given[n], inner, f"{where}[{n}]")]
    if isinstance(wanted, Moment):
        same = wanted.matches(found)
    elif isinstance(wanted, Decimal):
        same = not isinstance(found, bool) and found is not None and Decimal(str(found)) == wanted
    else:
        same = type(found) is type(wanted) and found == wanted
    return [] if same else [f"{where}: {found!r}, not {wanted!r}"]


def _quantity(sku: str, stock: int, applicable: str, formed: int) -> dict[str, Any]:
    return {"Sku": sku, "Stock": stock, "Applicablestock": Decimal(applicable), "FormQuantity": formed}


def check_answers(answers: dict[str, Any], plain: int, split: int) -> list[str]:
    """Return the differences between a client's answers and the emulator's."""
    listed = {
        "OrderID": str(plain),
        "Total": Decimal("19.98"),
        "PaymentStatus": "NotSubmitted",
        "ShippingStatus": "Unshipped",
    }
    lines = [{"sku": "A-1", "Quantity": 2, "UnitPrice": Decimal("9.99")}]
    wanted: dict[str, Any] = {
        "IsSkuExist": True,
        "IsSkuExistList": [{"Sku": "A-1", "Result": True}, {"Sku": "X-9", "Result": False}],
        "GetItemList": [
            {"Sku": "A-1", "Description": TEXT, "Price": Decimal("3.39"), "Cost": Decimal("1.5"), "Stock": "6"},
            {
                "Sku": "A-2",
                "Price": Decimal(2),
                "StoreStockInfoList": [
                    {"StoreID": "S1", "StoreStock": Decimal(1)},
                    {"StoreID": "S2", "StoreStock": Decimal(2)},
                ],
            },
        ],
        "GetItemQuantity": 6,
        "GetItemQuantityInfo": _quantity("A-2", 10, "8", 4),
        "GetItemQuantityList": [_quantity("A-1", 6, "6", 0), _quantity("A-2", 10, "8", 4)],
        "UpdateItemQuantityAndPrice": True,
        "UpdateItemQuantityAndPriceList": [
            {"Sku": "A-2", "Result": True},
            {"Sku": "X-9", "Result": False, "ErrorMessage": "The specified Sku does not exist"},
        ],
        "UploadItemList": [{"Sku": "N-2", "Result": True}, {"Sku": "N-3", "Result": True}],
        "GetItemTblList": [
            {"Sku": "A-1", "Price": Decimal("4.25")},
            {"Sku": "A-2", "Price": Decimal("4.5")},
            {
                "Sku": "N-1",
                "Description": TEXT,
                "Price": Decimal("12.34"),
                "AttributeList": [{"Name": "Color", "Value": "Red"}],
                "KitList": [{"SKU": "K-1", "Quantity": Decimal("2.5")}],
                "VariationInfo": {"IsParent": False, "ParentSku": "P-1"},
                "FieldLocks": {"LockPrice": True, "LockStock": False},
            },
            {"Sku": "N-2"},
            {"Sku": "N-3"},
        ],
        "DeleteTblItem": 1,
        "SubmitOrder": {"Result": True, "idorder": str(split + 1)},
        "GetOrderList": [
            {**listed, "Ship": {"FirstName": "Ada", "LastName": "Müller"}, "orderItems": lines},
            {"OrderID": str(split), "StoreId": "S1"},
        ],
        "GetOrderListStore": [{"OrderID": str(split), "StoreId": "S1", "NumberOfMatches": 1}],
        "CustomFieldMapping": "true",
        "DeleteItemStore": 1,
        "DeleteItem": 1,
    }
    found: list[str] = []
    for operation, _ in requests(plain, split):
        if operation not in answers:
            found.append(f"{operation}: not called")
            continue
        try:
            value = answer(answers[operation], operation)
        except AssertionError as error:
            found.append(str(error))
            continue
        if operation == "UploadItem":  # the emulator's id of the item
            found += [] if type(value) is int and value > 0 else [f"UploadItem: {value!r}, not an id"]
        elif operation in wanted:
            found += differences(value, wanted[operation], operation)
    return found


def check_state(service: Emulator, plain: int, split: int) -> list[str]:
    """Return the differences between the emulator's state and the calls' effects."""
    item_of = service.store.item
    found: list[str] = []
    changed = {"Price": Decimal("4.25"), "Cost": Decimal(2), "Stock": "7"}
    found += differences(item_of("A-1"), changed, "A-1")
    left = [{"StoreID": "S2", "StoreStock": Decimal(2)}]
    found += differences(item_of("A-2"), {"Price": Decimal("4.5"), "Stock": "8", "StoreStockInfoList": left}, "A-2")
    for sku in ("N-1", "N-2", "N-3"):
        stored = item(sku)
        wanted: dict[str, Any] = {name: stored[name] for name in ("Sku", "Description", "Stock", "AttributeList")}
        wanted |= {name: Decimal(stored[name]) for name in ("Price", "Cost", "MSRP", "salesprice", "Weight")}
        wanted |= {"KitList": [{"SKU": "K-1", "Quantity": Decimal("2.5")}], "FieldLocks": stored["FieldLocks"]}
        wanted |= {"VariationInfo": stored["VariationInfo"]}
        wanted["StoreStockInfoList"] = [
            {"StoreID": row["StoreID"], "StoreStock": Decimal(str(row["StoreStock"])), "StoreMAP": Decimal("1.25")}
            for row in stored["StoreStockInfoList"]
        ]
        found += differences(item_of(sku), wanted, sku)
        dates = [(item_of(sku) or {}).get(name) for name in ("SaleStartDate", "SaleEndDate")]
        if [date and date.isoformat() for date in dates] != ["2024-05-01T10:30:00+00:00", "2024-06-01T00:00:00+00:00"]:
            found.append(f"{sku}: dates {dates}")
    if item_of("A-3") is not None:
        found.append("A-3 was not deleted")
    if service.store.change_queue() != ["N-1", "N-2", "N-3", "A-2"]:
        found.append(f"change queue {service.store.change_queue()}")
    orders = service.store.orders()
    if not orders[plain].confirmed or orders[plain].third_party != "T-1":
        found.append(f"order {plain} was not confirmed")
    if orders[split].stores != {"S1": True, "S2": False}:
        found.append(f"order {split}: {orders[split].stores}")
    submitted = next((o for o in orders.values() if o.given_id == "W-1"), None)
    if submitted is None:
        found.append("order W-1 was not submitted")
    else:
        line = {
            "sku": "A-1",
            "Quantity": 2,
            "UnitPrice": Decimal("9.99"),
            "ItemTax": Decimal("0.5"),
            "Description": TEXT,
        }
        wanted = {"Total": Decimal("24.98"), "Ship": {"City": "Köln"}, "orderItems": [line, {**line, "sku": "A-2"}]}
        found += differences(submitted.members, wanted, "W-1")
        if submitted.placed.isoformat() != "2024-05-02T08:00:00+00:00":
            found.append(f"W-1: placed {submitted.placed}")
    if [(m["Text"], m["Value"], m["IsMapping"]) for m in service.store.mappings()] != [("Color", "Custom1", "true")]:
        found.append(f"mappings {service.store.mappings()}")
    return found


def check_lint(service: Emulator) -> list[str]:
    """Return what a WCF server would ignore silently: a right client has none."""
    return [f"lint: {note.path}: {note.what}: {note.detail}" for note in service.lint[:5]]


# -- servers ---------------------------------------------------------------------------------------------------------

# The element name of a list's items, by the list's name.
ITEMS = {
    "skuList": "string",
    "OrderIDList": "int",
    "StorStock": "StoreStockInfo",
    "StoreStockInfoList": "StoreStockInfo",
    "AttributeList": "AttributeInfo",
    "KitList": "KitInfo",
    "itemQuantityAndPriceList": "ItemQuantityAndPrice",
    "inventoryItems": "InventoryItem",
    "orderDownloadSubmitRequests": "OrderDownloadSubmitRequest",
    "orderItems": "OrderItem",
    "FieldMapping": "CustomFieldMapping",
}
# The same for ResultData, by operation.
ROWS = {
    "IsSkuExistList": "IsSkuExistResponse",
    "GetItemTblList": "InventoryItem",
    "GetItemList": "InventoryItem",
    "GetItemQuantityList": "QuantityInfoResponse",
    "UpdateItemQuantityAndPriceList": "UpdateInventoryItemResponse",
    "UploadItemList": "UpdateItemResponse",
    "GetOrderList": "OrderResponseItem",
    "GetOrderListStore": "OrderResponseItem",
}


def _envelope(data: Any) -> dict[str, Any]:
    return {"Data": None, "Message": "done", "MessageCode": 0, "ResultData": data, "Status": "Success"}


def _listed_order(number: int) -> dict[str, Any]:
    made = {**order(f"W-{number}"), "OrderID": str(number), "StoreId": "S1", "PaymentStatus": "Cleared"}
    return {**made, "ShippingStatus": "Unshipped", "OrderTimeGMT": "2024-05-02T08:00:00Z", "NumberOfMatches": 1}


def server_answers() -> dict[str, Any]:
    """Return a server's answers by operation; the two confirmations have none."""
    quantity = {"Applicablestock": "8.5", "FormQuantity": 4, "Stock": 10}
    unknown = {"Sku": "X-9", "Result": False, "ErrorMessage": "no such item"}
    return {
        "IsSkuExist": True,
        "IsSkuExistList": _envelope([{"Sku": "A-1", "Result": True}, {"Sku": "X-9", "Result": False}]),
        "GetItemList": _envelope([item("A-1"), item("A-2")]),
        "GetItemTblList": _envelope([item("A-3")]),
        "GetItemQuantity": _envelope(6),
        "GetItemQuantityInfo": _envelope({"Sku": "A-2", **quantity}),
        "GetItemQuantityList": _envelope([{"Sku": "A-1", **quantity}, {"Sku": "A-2", **quantity}]),
        "UpdateItemQuantityAndPrice": _envelope(True),
        "UpdateItemQuantityAndPriceList": _envelope([{"Sku": "A-2", "Result": True}, unknown]),
        "UploadItem": 5000000001,
        "UploadItemList": _envelope([{"Sku": "N-2", "Result": True}, {"Sku": "N-3", "Result": True}]),
        "DeleteTblItem": 1,
        "SubmitOrder": _envelope({"Result": True, "idorder": "43"}),
        "GetOrderList": _envelope([_listed_order(41), _listed_order(42)]),
        "GetOrderListStore": _envelope([_listed_order(42)]),
        "CustomFieldMapping": "true",
        "DeleteItemStore": 1,
        "DeleteItem": 1,
    }


def check_received(lines: list[dict[str, Any]], plain: int, split: int) -> list[str]:
    """Return the differences between received parameters and our client's."""
    received = {line["operation"]: line["parameters"] for line in lines}
    found: list[str] = []
    for operation, parameters in requests(plain, split):
        if operation not in received:
            found.append(f"{operation}: not received")
            continue
        found += differences(received[operation], {"accountID": "the-account", **expected(parameters)}, operation)
    return found


def expected(value: Any, name: str = "") -> Any:
    """Return a request's values as a server must read them: Decimals and Moments."""
    if isinstance(value, dict):
        return {key: expected(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [expected(inner, name) for inner in value]
    if name in DECIMALS:
        return Decimal(str(value))
    return Moment(value) if isinstance(value, str) and value.endswith("Z") and "T" in value else value


DECIMALS = frozenset(
    {
        *STORE_PRICES,
        *[
            "StoreStock",
            "Price",
            "Cost",
            "MSRP",
            "PriceA",
            "PriceB",
            "PriceC",
            "salesprice",
            "Weight",
            "SubTotal",
            "ShippingTotal",
            "TaxTotal",
            "Total",
            "UnitPrice",
        ],
        *["ItemTax", "ItemDiscount", "Applicablestock"],
    }
)


class Moment(str):
    """A time that may have a fraction, an offset or milliseconds."""

    __slots__ = ()

    def matches(self, found: object) -> bool:
        """True if a toolkit's text is the same moment; a text without an offset is UTC."""
        if not isinstance(found, str):
            return False
        moment = datetime.fromisoformat(found)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) == datetime.fromisoformat(self)
