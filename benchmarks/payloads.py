"""Make the bytes and values that every participant gets.

They are made from counters, so that each run and each machine has the same. Replies have the form that a WCF service
writes: one line, no XML declaration, members in ordinal order, every member without a value as `i:nil`, empty lists as
one tag. They are written by hand here, without this library's own encoder.
"""

from __future__ import annotations

from typing import Any

DATA = "http://schemas.datacontract.org/2004/07/OctopusService"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SERVICE = "http://tempuri.org/"
ACTION = "http://tempuri.org/IOctopusService/"
ACCOUNT = "11111111-2222-3333-4444-555555555555"

STORE_PRICES = ["BToBPrice", "Cost", "ListPrice", "MSRP", "Price", "PriceA", "PriceB", "PriceC", "SalesPrice"]
LOCKED = [
    *["Category", "Cost", "Description", "Details", "Images", "ListPrice", "MSRP", "ParentSKU", "Price", "PriceA"],
    *["PriceB", "PriceC", "SUBDescription1", "SUBDescription2", "SUBDescription3", "SaleEndDate", "SaleStartDate"],
    *["SalesPrice", "Stock", "Supplier", "UPC", "Variations", "Weight"],
]
COLOURS = [{"Name": "Colour", "Value": "Blue &amp; white"}, {"Name": "Size", "Value": "M"}]


def skus(count: int) -> list[str]:
    """Return the SKUs to request."""
    return [f"SKU-{number:06d}" for number in range(count)]


def item_reply(count: int, stores: int | None = None) -> bytes:
    """Return a reply of GetItemList with *count* items of about 125 elements.

    *stores* sets how many stores each item has.
    """
    return envelope("GetItemList", "InventoryItem", [inventory_item(number, stores) for number in range(count)])


def exist_reply(asked: list[str]) -> bytes:
    """Return a reply of IsSkuExistList in which every tenth SKU is missing."""
    rows = (
        f'<a:ErrorMessage i:nil="true"/><a:Result>{"true" if place % 10 else "false"}</a:Result><a:Sku>{sku}</a:Sku>'
        for place, sku in enumerate(asked)
    )
    return envelope("IsSkuExistList", "IsSkuExistResponse", rows)


def quantity_reply(asked: list[str]) -> bytes:
    """Return a reply of GetItemQuantityList."""
    rows = (
        f'<a:Applicablestock>12.0000</a:Applicablestock><a:ErrorMessage i:nil="true"/>'
        f"<a:FormQuantity>3</a:FormQuantity><a:Sku>{sku}</a:Sku><a:Stock>15</a:Stock>"
        for sku in asked
    )
    return envelope("GetItemQuantityList", "QuantityInfoResponse", rows)


def envelope(operation: str, row: str, rows: Any) -> bytes:
    """Return an APIResult that lists *rows*, each the inner XML of one element *row*."""
    listed = "".join(f"<a:{row}>{inner}</a:{row}>" for inner in rows)
    return (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><{operation}Response xmlns="{SERVICE}">'
        f'<{operation}Result xmlns:a="{DATA}" xmlns:i="{XSI}"><a:Data i:nil="true"/><a:Message i:nil="true"/>'
        f"<a:MessageCode>0</a:MessageCode><a:ResultData>{listed}</a:ResultData><a:Status>Success</a:Status>"
        f"</{operation}Result></{operation}Response></s:Body></s:Envelope>"
    ).encode()


def inventory_item(number: int, stores: int | None = None) -> str:
    """Return the inner XML of an InventoryItem with all its members.

    The lists differ in length from item to item.
    """
    customs = {f"Custom{place}": f"value {place} of {number}" if place <= 12 else None for place in range(1, 31)}
    images = {f"ImageUrl{place}": f"img-{number}-{place}.jpg" if place <= 3 else None for place in range(1, 6)}
    members: dict[str, str | None] = {
        "Applicablestock": str(number % 40),
        "AttributeList": _rows("AttributeInfo", COLOURS[: number % 3]),
        "Blank": None,
        "Category": f"Shoes/Running/{number % 17}",
        "Cost": f"{7 + number % 50}.1250",
        **customs,
        "DCSCode": f"D{number % 90:03d}",
        "Description": f"Trail shoe no. {number}, waterproof",
        "Details": f"&lt;p&gt;A shoe for wet trails, article {number}. {'Light and warm. ' * (number % 5)}&lt;/p&gt;",
        "FieldLocks": "".join(
            _leaf(f"Lock{name}", "false" if place % 7 else "true") for place, name in enumerate(LOCKED)
        ),
        "FormQuantity": "0",
        **images,
        "ItemSID": f"{number * 7919 + 100000}",
        "KitList": _rows("KitInfo", [{"Quantity": "2", "SKU": f"PART-{number}"}] if number % 8 == 0 else []),
        "MSRP": f"{20 + number % 60}.9900",
        "None": None,
        "Price": f"{15 + number % 60}.9900",
        "PriceA": f"{14 + number % 60}.9900",
        "PriceB": f"{13 + number % 60}.9900",
        "PriceC": None,
        "SUBDescription1": f"Gore layer {number % 3}",
        "SUBDescription2": "Fédération française",
        "SUBDescription3": None,
        "SaleEndDate": f"2026-0{1 + number % 9}-28T23:59:59.997Z",
        "SaleStartDate": f"2026-0{1 + number % 9}-01T00:00:00",
        "Sku": f"SKU-{number:06d}",
        "Stock": str(number % 55),
        "StoreStockInfoList": _rows(
            "StoreStockInfo",
            [_store(number, place) for place in range((1, 2, 3, 3)[number % 4] if stores is None else stores)],
        ),
        "SupplierCode": f"SUP{number % 12}",
        "UPC": f"{400000000000 + number}",
        "VariationInfo": _leaf("IsParent", "false") + _leaf("ParentSku", f"SKU-{number // 10 * 10:06d}"),
        "Weight": "0.8500",
        "salesprice": None if number % 2 else f"{11 + number % 60}.9900",
    }
    return "".join(_leaf(name, value) for name, value in sorted(members.items()))


def _store(number: int, place: int) -> dict[str, str | None]:
    prices: dict[str, str | None] = {f"Store{name}": f"{10 + (number + place) % 60}.9900" for name in STORE_PRICES}
    others = {"StoreID": str(place + 1), "StoreStock": str((number + place) % 30), "StoreMAP": None}
    return dict(sorted({**prices, **others}.items()))


def _rows(name: str, rows: Any) -> str:
    return "".join(f"<a:{name}>{''.join(_leaf(*leaf) for leaf in row.items())}</a:{name}>" for row in rows)


def _leaf(name: str, value: str | None) -> str:
    if value is None:
        return f'<a:{name} i:nil="true"/>'
    return f"<a:{name}>{value}</a:{name}>" if value else f"<a:{name}/>"


def updates(count: int, stores: int = 2) -> list[dict[str, Any]]:
    """Return the values of *count* ItemQuantityAndPrice by wire name.

    Amounts are text; each participant makes its own type of them.
    """
    return [
        {
            "Cost": f"{7 + number % 50}.1250",
            "Price": f"{15 + number % 60}.99",
            "Sku": f"SKU-{number:06d}",
            "Stock": number % 55,
            "StoreStockInfoList": {
                "StoreStockInfo": [
                    {
                        "StoreID": str(place + 1),
                        "StorePrice": f"{15 + number % 60}.99",
                        "StoreStock": float(number % 30),
                    }
                    for place in range(stores)
                ]
            },
        }
        for number in range(count)
    ]
