"""The fourteen operations on items.

The results are documented. How partial input changes an item follows the page's Notes (null or left out) and
ChannelAdvisor's sentence "for existing items the field will not be modified". Every guess is a switch of the profile.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from .calls import ALL_FAILED, NO_SUCH_SKU, NOT_VALID, SOME_FAILED, RefusedError, sku_complaint, zero_filled
from .contract import ListOf, Record
from .messages import Outcome
from .replies import SoapFaultError

if TYPE_CHECKING:
    from .calls import Call
    from .contract import Wire, WireRecord

_REFUSED_ID = {"zero": "0", "minus-one": "-1"}


# Existence


def is_sku_exist(call: Call) -> Outcome:
    """Return bare true or false (documented)."""
    found = call.state.existing(call.merchant, [call.sku()])
    return Outcome("true" if found else "false")


def is_sku_exist_list(call: Call) -> Outcome:
    """Return one row per SKU asked, in the order asked."""
    skus = call.skus()
    found = call.state.existing(call.merchant, [sku for sku in skus if sku])
    return Outcome([_row(sku, ok=sku in found, error=None if sku else "No Sku value was specified") for sku in skus])


# Reading


def get_item_list(call: Call) -> Outcome:
    """Return the items that exist, in the order asked; nil rows for others if asked."""
    skus = [sku for sku in call.skus() if sku]
    found = call.state.items(call.merchant, skus)
    has_nil_rows = call.profile.unknown_items == "nil-row"
    return Outcome([found.get(sku) for sku in skus if has_nil_rows or sku in found])


def get_item_tbl_list(call: Call) -> Outcome:
    """Return the items of the change queue, oldest change first.

    An item stays on it until DeleteTblItem takes it off (documented).
    """
    skus = call.state.changes(call.merchant)
    found = call.state.items(call.merchant, skus)
    return Outcome([found[sku] for sku in skus if sku in found])


def get_item_quantity(call: Call) -> Outcome:
    """Return the stock of one item."""
    return Outcome(_quantities(*_one_item(call))["Stock"])


def get_item_quantity_info(call: Call) -> Outcome:
    """Return the quantities of one item."""
    return Outcome(_quantities(*_one_item(call)))


def get_item_quantity_list(call: Call) -> Outcome:
    """Return one row per SKU asked; the profile decides about unknown ones."""
    skus = call.skus()
    found = call.state.items(call.merchant, [sku for sku in skus if sku])
    rows: list[Wire] = []
    for sku in skus:
        if sku and sku in found:
            rows.append(_quantities(sku, found[sku]))
        elif call.profile.unknown_quantities == "error-row":
            rows.append({"Sku": sku, "ErrorMessage": NO_SUCH_SKU if sku else "No Sku value was specified"})
        elif call.profile.unknown_quantities == "zeros":
            rows.append(_quantities(sku or "", {}))
    return Outcome(rows)


def _one_item(call: Call) -> tuple[str, WireRecord]:
    sku = call.sku()
    found = call.state.items(call.merchant, [sku])
    if sku not in found:
        raise RefusedError(NOT_VALID, NO_SUCH_SKU, sku)
    return sku, found[sku]


def _quantities(sku: str, item: WireRecord) -> WireRecord:
    stock = _number(item.get("Stock"))
    applicable = item.get("Applicablestock")
    return {
        "Sku": sku,
        "Applicablestock": f"{_number(applicable) if applicable else stock:.4f}",
        "Stock": str(int(stock)),
        "FormQuantity": str(int(_number(item.get("FormQuantity")))),
    }


def _number(text: Wire) -> Decimal:
    """Read a quantity, which InventoryItem keeps as a string; 0 if it is no number."""
    try:
        value = Decimal(text) if isinstance(text, str) else Decimal(0)
    except InvalidOperation:
        return Decimal(0)
    return value if value.is_finite() else Decimal(0)


# Quantity and price


def update_item_quantity_and_price(call: Call) -> Outcome:
    """Change one item; return Success with true (documented), or Failure with false."""
    row = call.record("iQP")
    if row is None:
        raise RefusedError(NOT_VALID, "No Items were specified!")
    (error,) = _update(call, [row])
    if error is not None:
        sku = row.get("Sku")
        return Outcome("false", ok=False, code=NOT_VALID, message=error, subject=sku if isinstance(sku, str) else None)
    return Outcome("true")


def update_item_quantity_and_price_list(call: Call) -> Outcome:
    """Change many items; return Success if at least one succeeded (documented)."""
    rows = call.rows("itemQuantityAndPriceList")
    return _rows_outcome(call, rows, _update(call, rows))


def _update(call: Call, rows: list[Wire]) -> list[str | None]:
    """Apply the rows in order and return the complaint of each."""
    skus = [sku for row in rows if (sku := _sku_of(row))]
    items = call.state.items(call.merchant, skus)
    changed: dict[str, WireRecord] = {}
    complaints: list[str | None] = []
    for row in rows:
        sku = _sku_of(row)
        complaint = sku_complaint(sku) or (None if sku in items else NO_SUCH_SKU)
        complaints.append(complaint)
        if complaint is None and sku is not None and isinstance(row, dict):
            _apply_update(call, items[sku], row)
            changed[sku] = items[sku]
    call.state.save_items(call.merchant, changed)
    call.state.mark_changed(call.merchant, list(changed))
    return complaints


def _apply_update(call: Call, item: WireRecord, row: WireRecord) -> None:
    """Change price, cost and stock, unless locked.

    A lock in force prevents the change of a value ("lock any field to update from POS Sync", documented). A row's own
    lock member sets the lock; false also lets the values of the same row through, unless ``own_lock`` is off.
    """
    record = call.contract.record("ItemQuantityAndPrice")
    call.note_omitted(row, item, ("Cost", "Price", "Stock"))
    if call.zero:
        row = zero_filled(row, record)
    kept = item.get("FieldLocks")
    locks = dict(kept) if isinstance(kept, dict) else {}
    for name in ("Cost", "Price", "Stock"):
        lock, value, wanted = f"Lock{name}", row.get(name), row.get(f"Lock{name}")
        if value is not None and (locks.get(lock) != "true" or (wanted == "false" and call.profile.own_lock)):
            item[name] = value
            if name == "Stock" and item.get("Applicablestock") is not None:
                item["Applicablestock"] = value
        if wanted is not None:
            locks[lock] = wanted
    if locks:
        item["FieldLocks"] = locks
    stores = record.member("StoreStockInfoList")
    if stores is not None and isinstance(stores.type, ListOf) and locks.get("LockStock") != "true":
        given = row.get("StoreStockInfoList")
        if isinstance(given, list):
            item["StoreStockInfoList"] = _merged_stores(call, item.get("StoreStockInfoList"), given, stores.type)


# Uploading


def upload_item(call: Call) -> Outcome:
    """Add or update one item and return a long (documented): the item's id, or 1."""
    row = call.record("inventoryItem")
    (error,) = _upload(call, [row])
    sku = _sku_of(row)
    if error is None and sku is not None:
        if call.profile.upload_result == "one":
            return Outcome("1")
        return Outcome(str(call.state.existing(call.merchant, [sku])[sku]))
    if call.profile.upload_failure == "fault":
        raise SoapFaultError("client-text", error or "")
    return Outcome(_REFUSED_ID[call.profile.upload_failure], ok=False)


def upload_item_list(call: Call) -> Outcome:
    """Add or update many items; no limit is documented.

    It is documented only of UpdateItemQuantityAndPriceList that one good row makes the call a Success.
    """
    rows = call.rows("inventoryItems")
    return _rows_outcome(call, rows, _upload(call, rows), whole=call.profile.partial_uploads == "failure")


def _upload(call: Call, rows: list[Wire]) -> list[str | None]:
    skus = [sku for row in rows if (sku := _sku_of(row))]
    items = call.state.items(call.merchant, skus)
    record = call.contract.record("InventoryItem")
    changed: dict[str, WireRecord] = {}
    complaints: list[str | None] = []
    for row in rows:
        sku = _sku_of(row)
        complaint = sku_complaint(sku)
        complaints.append(complaint)
        if complaint is None and sku is not None and isinstance(row, dict):
            kept: WireRecord = items.get(sku, {}) if call.profile.uploads == "merge" else {}
            call.note_omitted(row, kept, (member.name for member in record.members if member.is_value))
            items[sku] = changed[sku] = merged(call, kept, row, record)
    call.state.save_items(call.merchant, changed)
    call.state.mark_changed(call.merchant, list(changed))
    return complaints


def merged(call: Call, kept: WireRecord, row: WireRecord, record: Record) -> WireRecord:
    """Return ``kept`` with the members that have a value in ``row``."""
    if call.zero:
        row = zero_filled(row, record)
    made = dict(kept)
    for name, value in row.items():
        if value is None:  # null and left out are the same to a WCF service
            continue
        made[name] = value
        if isinstance(value, str) or (member := record.member(name)) is None:
            continue
        old = kept.get(name)
        if isinstance(member.type, Record) and isinstance(value, dict):
            made[name] = merged(call, old if isinstance(old, dict) else {}, value, member.type)
        elif name == "StoreStockInfoList" and isinstance(member.type, ListOf) and isinstance(value, list):
            made[name] = _merged_stores(call, old, value, member.type)
    return made


def _merged_stores(call: Call, kept: Wire, given: list[Wire], declared: ListOf) -> list[Wire]:
    """Merge store rows by StoreID, or replace them, as the profile decides."""
    if call.profile.store_rows == "replace":
        kept = None
    rows = {_store_of(row): row for row in (kept if isinstance(kept, list) else []) if isinstance(row, dict)}
    for row in given:
        if isinstance(row, dict) and isinstance(declared.item.type, Record):
            store = _store_of(row)
            rows[store] = merged(call, rows.get(store, {}), row, declared.item.type)
    return list(rows.values())


# Deleting


def delete_item(call: Call) -> Outcome:
    """Delete an item; return 1 (documented), or ``not_removed`` if there was none."""
    return _removed(call, was_there=call.state.delete_item(call.merchant, call.sku()))


def delete_item_store(call: Call) -> Outcome:
    """Remove the item from the stores listed, or delete it.

    It is deleted with all its stores if none is listed, or if the profile's ``delete_item_store`` is ``product``: the
    operation "will allow you to delete a specific product from your account and it will clear all the data from their
    stores also", but its list is "for store stock data from where you want to delete" (both documented).
    """
    listed = call.parameters.get("StorStock")
    stores = {_store_of(row) for row in listed if isinstance(row, dict)} if isinstance(listed, list) else set[str]()
    if not stores or call.profile.delete_item_store == "product":
        return delete_item(call)
    sku = call.sku()
    item = call.state.items(call.merchant, [sku]).get(sku, {})
    kept = item.get("StoreStockInfoList")
    rows = kept if isinstance(kept, list) else []
    left = [row for row in rows if not (isinstance(row, dict) and _store_of(row) in stores)]
    if len(left) == len(rows):
        return _removed(call, was_there=False)
    item["StoreStockInfoList"] = left
    call.state.save_items(call.merchant, {sku: item})
    call.state.mark_changed(call.merchant, [sku])
    return _removed(call, was_there=True)


def delete_tbl_item(call: Call) -> Outcome:
    """Take an item off the change queue; return 1 (documented), or ``not_removed``."""
    return _removed(call, was_there=call.state.forget_change(call.merchant, call.sku()))


def _removed(call: Call, *, was_there: bool) -> Outcome:
    return Outcome("1" if was_there else str(call.profile.not_removed))


# Rows


def _sku_of(row: Wire) -> str | None:
    value = row.get("Sku") if isinstance(row, dict) else None
    return value if isinstance(value, str) else None


def _store_of(row: WireRecord) -> str:
    value = row.get("StoreID")
    return value if isinstance(value, str) else ""


def _row(sku: str | None, *, ok: bool, error: str | None) -> WireRecord:
    return {"Sku": sku, "Result": "true" if ok else "false", "ErrorMessage": error}


def _rows_outcome(call: Call, rows: list[Wire], complaints: list[str | None], *, whole: bool = False) -> Outcome:
    """Return the rows' results; with ``whole``, one bad row makes the call a Failure."""
    results: list[Wire] = [
        _row(_sku_of(row), ok=complaint is None, error=complaint)
        for row, complaint in zip(rows, complaints, strict=True)
    ]
    good = sum(complaint is None for complaint in complaints)
    if good == len(rows) or (good and not whole):
        return Outcome(results)
    if good:
        return Outcome(results, ok=False, code=NOT_VALID, message=SOME_FAILED)
    kept = results if call.profile.failed_update_rows else None
    return Outcome(kept, ok=False, code=NOT_VALID, message=ALL_FAILED)
