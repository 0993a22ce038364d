"""Inventory: items, quantities, custom fields (vendor's page, Data Models).

Field names are the wire names in snake_case, without the wire's misspellings (`Applicablestock` is `applicable_stock`).
The page's lengths and notes from `Price` downward belong to other fields of the page it was derived from, and are left
out. The other lengths are in the fields' descriptions. Only the SKU's is enforced before a call is sent, unless
`strict_lengths` is set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from octopus_soap.models.base import WireModel, member
from octopus_soap.models.scalars import Amount, Count, Flag, FlagText, Int32, Moment, Real, Text, number_of, refused

if TYPE_CHECKING:
    from decimal import Decimal


class StoreStockInfo(WireModel):
    """Stock and prices of one item in one store."""

    key_field: ClassVar[str] = "store_id"

    store_id: Text | None = member("StoreID")
    store_stock: Real | None = member("StoreStock", "documented as Float")
    store_price: Amount | None = member("StorePrice")
    store_list_price: Amount | None = member("StoreListPrice")
    store_b_to_b_price: Amount | None = member("StoreBToBPrice")
    store_sales_price: Amount | None = member("StoreSalesPrice")
    store_cost: Amount | None = member("StoreCost")
    store_map: Amount | None = member("StoreMAP")
    store_price_a: Amount | None = member("StorePriceA")
    store_price_b: Amount | None = member("StorePriceB")
    store_price_c: Amount | None = member("StorePriceC")
    store_msrp: Amount | None = member("StoreMSRP")


class KitInfo(WireModel):
    """A product inside a kit."""

    key_field: ClassVar[str] = "sku"

    sku: Text | None = member("SKU", most=50)
    quantity: Real | None = member("Quantity", "documented as float")


class AttributeInfo(WireModel):
    """An attribute such as colour or size."""

    key_field: ClassVar[str] = "name"

    name: Text | None = member("Name", most=255)
    value: Text | None = member("Value", "the page says float; read as text", most=255)


class VariationInfo(WireModel):
    """The place of an item in a matrix of variations."""

    is_parent: Flag | None = member("IsParent")
    parent_sku: Text | None = member("ParentSku")


class Locks(WireModel):
    """Fields that a POS sync may not update."""

    lock_parent_sku: Flag | None = member("LockParentSKU")
    lock_upc: Flag | None = member("LockUPC")
    lock_price: Flag | None = member("LockPrice")
    lock_price_a: Flag | None = member("LockPriceA")
    lock_price_b: Flag | None = member("LockPriceB")
    lock_price_c: Flag | None = member("LockPriceC")
    lock_list_price: Flag | None = member("LockListPrice")
    lock_msrp: Flag | None = member("LockMSRP")
    lock_sales_price: Flag | None = member("LockSalesPrice")
    lock_cost: Flag | None = member("LockCost")
    lock_weight: Flag | None = member("LockWeight")
    lock_sub_description1: Flag | None = member("LockSUBDescription1")
    lock_sub_description2: Flag | None = member("LockSUBDescription2")
    lock_sub_description3: Flag | None = member("LockSUBDescription3")
    lock_variations: Flag | None = member("LockVariations")
    lock_images: Flag | None = member("LockImages")
    lock_stock: Flag | None = member("LockStock")
    lock_category: Flag | None = member("LockCategory")
    lock_description: Flag | None = member("LockDescription")
    lock_details: Flag | None = member("LockDetails")
    lock_supplier: Flag | None = member("LockSupplier")
    lock_sale_start_date: Flag | None = member("LockSaleStartDate")
    lock_sale_end_date: Flag | None = member("LockSaleEndDate")


class InventoryItem(WireModel):
    """An item of the shop's catalogue.

    `applicable_stock`, `stock` and `form_quantity` are text here, as on the page, and numbers in
    `QuantityInfoResponse`; `stock_quantity` and the properties next to it read them as numbers, and so do tables.
    `blank` and `none` are in the page's table and may not be real members.
    """

    key_field: ClassVar[str] = "sku"

    sku: Text | None = member("Sku", most=50)
    category: Text | None = member("Category")
    description: Text | None = member("Description", "product title", most=255)
    details: Text | None = member("Details", "product description", most=1000)
    sub_description1: Text | None = member("SUBDescription1", most=1000)
    sub_description2: Text | None = member("SUBDescription2")
    sub_description3: Text | None = member("SUBDescription3")
    weight: Amount | None = member("Weight", "twice on the page, as decimal and as string; read as decimal")
    supplier_code: Text | None = member("SupplierCode", most=50)
    price: Amount | None = member("Price")
    cost: Amount | None = member("Cost")
    price_a: Amount | None = member("PriceA")
    price_b: Amount | None = member("PriceB")
    price_c: Amount | None = member("PriceC")
    msrp: Amount | None = member("MSRP")
    applicable_stock: Count | None = member("Applicablestock", most=14)
    stock: Count | None = member("Stock", most=20)
    form_quantity: Count | None = member("FormQuantity", most=20)
    dcs_code: Text | None = member("DCSCode", most=50)
    item_sid: Text | None = member("ItemSID", most=255)
    blank: Text | None = member("Blank")
    none: Text | None = member("None")
    custom1: Text | None = member("Custom1", most=255)
    custom2: Text | None = member("Custom2", most=255)
    custom3: Text | None = member("Custom3", most=255)
    custom4: Text | None = member("Custom4", most=255)
    custom5: Text | None = member("Custom5", most=255)
    custom6: Text | None = member("Custom6", most=255)
    custom7: Text | None = member("Custom7", most=255)
    custom8: Text | None = member("Custom8", most=255)
    custom9: Text | None = member("Custom9", most=255)
    custom10: Text | None = member("Custom10", most=255)
    custom11: Text | None = member("Custom11", most=255)
    custom12: Text | None = member("Custom12", most=255)
    custom13: Text | None = member("Custom13", most=255)
    custom14: Text | None = member("Custom14", most=255)
    custom15: Text | None = member("Custom15", most=255)
    custom16: Text | None = member("Custom16", most=255)
    custom17: Text | None = member("Custom17", most=255)
    custom18: Text | None = member("Custom18", most=255)
    custom19: Text | None = member("Custom19", most=255)
    custom20: Text | None = member("Custom20", most=255)
    custom21: Text | None = member("Custom21", most=255)
    custom22: Text | None = member("Custom22", most=255)
    custom23: Text | None = member("Custom23", most=255)
    custom24: Text | None = member("Custom24", most=255)
    custom25: Text | None = member("Custom25", most=255)
    custom26: Text | None = member("Custom26", most=255)
    custom27: Text | None = member("Custom27", most=255)
    custom28: Text | None = member("Custom28", most=255)
    custom29: Text | None = member("Custom29", most=255)
    custom30: Text | None = member("Custom30", most=255)
    sale_start_date: Moment | None = member("SaleStartDate")
    sale_end_date: Moment | None = member("SaleEndDate")
    sales_price: Amount | None = member("salesprice")
    upc: Text | None = member("UPC", most=20)
    image_url1: Text | None = member("ImageUrl1", "product image name", most=255)
    image_url2: Text | None = member("ImageUrl2", "product image name", most=255)
    image_url3: Text | None = member("ImageUrl3", "product image name", most=255)
    image_url4: Text | None = member("ImageUrl4", "product image name", most=255)
    image_url5: Text | None = member("ImageUrl5", "product image name", most=255)
    store_stock_info_list: list[StoreStockInfo] | None = member("StoreStockInfoList")
    kit_list: list[KitInfo] | None = member("KitList")
    attribute_list: list[AttributeInfo] | None = member("AttributeList")
    variation_info: VariationInfo | None = member("VariationInfo")
    field_locks: Locks | None = member("FieldLocks")

    @property
    def stock_quantity(self) -> int | Decimal | None:
        """The stock as a number, a Decimal unless it is whole; None if none was sent.

        Raises:
            ValueError: `stock` is a text that is no number.
        """
        return self._number("stock")

    @property
    def applicable_stock_quantity(self) -> int | Decimal | None:
        """The applicable stock as a number, as in `stock_quantity`.

        Raises:
            ValueError: `applicable_stock` is a text that is no number.
        """
        return self._number("applicable_stock")

    @property
    def form_quantity_number(self) -> int | Decimal | None:
        """`form_quantity` as a number, as in `stock_quantity`.

        Raises:
            ValueError: `form_quantity` is a text that is no number.
        """
        return self._number("form_quantity")

    def _number(self, name: str) -> int | Decimal | None:
        text: str | None = getattr(self, name)
        if text is None or not text.strip():
            return None
        number = number_of(text)
        if number is None:
            raise refused(f"{name} of {self.sku!r} is the text {text[:60]!r}, which is no number; read .{name} instead")
        return number

    @property
    def stores(self) -> list[StoreStockInfo]:
        """Store stock, empty if the service sent none."""
        return self.store_stock_info_list or []

    @property
    def kits(self) -> list[KitInfo]:
        """Kit parts, empty if the service sent none."""
        return self.kit_list or []

    @property
    def attributes(self) -> dict[str, str | None]:
        """Attribute values by name, empty if the service sent none."""
        return {a.name: a.value for a in self.attribute_list or [] if a.name is not None}


class ItemQuantityAndPrice(WireModel):
    """New stock and prices of one item.

    Unset members are left out of a write; the setting `omitted_values` decides whether that is safe.
    """

    key_field: ClassVar[str] = "sku"

    sku: Text | None = member("Sku", most=50)
    stock: Int32 | None = member("Stock")
    lock_stock: Flag | None = member("LockStock")
    cost: Amount | None = member("Cost")
    lock_cost: Flag | None = member("LockCost")
    price: Amount | None = member("Price")
    lock_price: Flag | None = member("LockPrice")
    store_stock_info_list: list[StoreStockInfo] | None = member("StoreStockInfoList")
    error_message: Text | None = member("ErrorMessage")


class CustomFieldMapping(WireModel):
    """One custom field and its mapping (vendor's page, CustomFieldMapping).

    The page types `IsMapping` as string; which texts the service expects is unknown. A bool is written as
    `true` or `false`.
    """

    key_field: ClassVar[str] = "text"

    text: Text | None = member("Text")
    value: Text | None = member("Value")
    is_mapping: FlagText | None = member("IsMapping")
