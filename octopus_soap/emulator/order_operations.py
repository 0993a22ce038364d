"""The five operations on orders, and the custom field mapping.

It is documented that confirmed orders are no longer listed, and that split orders are confirmed store by store. The
form of an order that is read back is reconstructed. Every guess is a switch of the profile.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from .calls import NOT_VALID, UNEXPECTED, RefusedError
from .messages import Outcome
from .replies import SoapFaultError
from .scalars import MIN_DATE, SQL_NO_DATE
from .state import OrderQuery

if TYPE_CHECKING:
    from .calls import Call
    from .contract import Wire, WireRecord
    from .state import OrderRow


def submit_order(call: Call) -> Outcome:
    """Make an order and return its id; the profile decides about a repeated OrderID."""
    order = call.record("orderSubmit")
    lines = order.get("orderItems") if order is not None else None
    if order is None or not isinstance(lines, list) or not lines:
        raise RefusedError(UNEXPECTED, "No Items were specified!")
    given = order.get("OrderID")
    given_id = given if isinstance(given, str) and given else None
    if given_id and call.profile.duplicate_orders == "reject" and call.state.has_order(call.merchant, given_id):
        message = f"An order with the OrderID {given_id} already exists"
        rejected: WireRecord = {"Result": "false", "ErrorMessage": message}
        return Outcome(rejected, ok=False, code=NOT_VALID, message=message, subject=given_id)
    placed = order.get("OrderDate")
    number = call.state.add_order(
        call.merchant,
        given_id=given_id,
        placed=placed if isinstance(placed, str) else call.now(),
        payment=call.profile.new_payment,
        shipping=call.profile.new_shipping,
        stores=(),
        body=order,
    )
    if call.profile.reduce_stock:
        _reduce_stock(call, lines)
    return Outcome({"idorder": str(number), "Result": "true"})


def _reduce_stock(call: Call, lines: list[Wire]) -> None:
    wanted: dict[str, int] = {}
    for line in lines:
        if isinstance(line, dict) and isinstance(sku := line.get("sku"), str):
            quantity = line.get("Quantity")
            wanted[sku] = wanted.get(sku, 0) + (int(quantity) if isinstance(quantity, str) else 0)
    items = call.state.items(call.merchant, list(wanted))
    for sku, item in items.items():
        stock = item.get("Stock")
        item["Stock"] = str(int(Decimal(stock if isinstance(stock, str) else "0")) - wanted[sku])
    call.state.save_items(call.merchant, items)


def get_order_list(call: Call) -> Outcome:
    """Return the orders matching the criteria that are not yet confirmed."""
    return _listed(call, None)


def get_order_list_store(call: Call) -> Outcome:
    """Return the unconfirmed orders of one store, or of several with commas between."""
    given = call.text("StoreIDs") or ""
    listed = given.split(",") if call.profile.store_ids == "several" else [given]
    stores = [store.strip() for store in listed if store.strip()]
    if not stores:
        raise RefusedError(UNEXPECTED, "No Store ID value was specified")
    return _listed(call, stores)


def _listed(call: Call, stores: list[str] | None) -> Outcome:
    criteria = call.record("orderCriteria")
    if criteria is None:
        raise RefusedError(UNEXPECTED, "No order criteria were specified!")
    rows = call.state.open_orders(call.merchant, _query(call, criteria, stores))
    call.state.listed.update(row.id for row in rows)
    return Outcome([_response_item(call, row, stores, len(rows)) for row in rows])


def _query(call: Call, criteria: WireRecord, stores: list[str] | None) -> OrderQuery:
    begin, end = (_date(call, criteria, f"OrderCreationFilter{which}TimeGMT") for which in ("Begin", "End"))
    if begin == end == MIN_DATE:  # both left out, and not nillable: no date filter
        begin = end = None
    listed = criteria.get("OrderIDList")
    ids = [int(number) for number in listed if isinstance(number, str)] if isinstance(listed, list) else []
    return OrderQuery(
        begin=begin,
        end=end,
        ids=ids,
        payment=_status(criteria.get("PaymentStatusFilter")),
        shipping=_status(criteria.get("ShippingStatusFilter")),
        stores=stores,
    )


def _date(call: Call, criteria: WireRecord, name: str) -> str | None:
    """Return a date filter; DateTime.MinValue if left out and not nillable (WCF)."""
    value = criteria.get(name)
    if isinstance(value, str):
        return value
    member = call.contract.record("OrderCriteria").member(name)
    return MIN_DATE if member is not None and not member.nillable else None


def _status(value: Wire) -> str | None:
    """Return a status filter; NoChange, the "default value" (documented), means none."""
    return value if isinstance(value, str) and value != "NoChange" else None


def _response_item(call: Call, row: OrderRow, stores: list[str] | None, matches: int) -> WireRecord:
    store = next((s for s, confirmed in row.stores.items() if not confirmed and (stores is None or s in stores)), "")
    bill = row.body.get("Bill")
    sentinels = call.profile.no_dates == "sentinels"
    made: WireRecord = {
        "LastUpdateDate": MIN_DATE if sentinels else None,
        "DateCancelledGMT": SQL_NO_DATE if sentinels else None,
        "OrderState": "Active",
        "BuyerEmailAddress": bill.get("Email") if isinstance(bill, dict) else None,
        "ClientOrderIdentifier": row.body.get("OrderID"),
        "OrderTimeGMT": row.placed,
        "OrderDate": row.placed,
    }
    made.update({name: value for name, value in row.body.items() if value is not None})
    made.update(
        {
            "OrderID": str(row.id),
            "NumberOfMatches": str(matches),
            "StoreId": store or None,
            "ThirdPartyOrderNumber": row.third_party,
            "PaymentStatus": row.payment,
            "ShippingStatus": row.shipping,
        }
    )
    return made


def set_download_order_confirm(call: Call) -> Outcome:
    """Take downloaded orders off the list; split ones need the next operation."""
    return _confirm(call, split=False)


def set_download_split_order_confirm(call: Call) -> Outcome:
    """Take split orders off the list of the store named (documented)."""
    return _confirm(call, split=True)


def _confirm(call: Call, *, split: bool) -> Outcome:
    """Confirm each row that names an open order; the profile decides about the others."""
    rows = call.parameters.get("orderDownloadSubmitRequests")
    for number, row in enumerate(rows if isinstance(rows, list) else [], 1):
        if isinstance(row, dict):
            complaint = _confirm_one(call, row, split=split)
            if complaint and call.profile.unknown_confirm == "fault":
                raise SoapFaultError("client-text", complaint)
            if complaint:
                path = f"orderDownloadSubmitRequests/OrderDownloadSubmitRequest[{number}]"
                call.note(path, "ignored-confirm", complaint)
    return Outcome()


def _confirm_one(call: Call, row: WireRecord, *, split: bool) -> str | None:
    text, store, third_party = (row.get(name) for name in ("OrderId", "StoreId", "ThirdPartyOrderNumber"))
    if not isinstance(text, str) or not text.strip().isdecimal():
        return f"OrderId {text!r} is not the id of an order"
    stores = call.state.order_stores(call.merchant, int(text))
    if not stores:
        return f"there is no order {text}"
    if len(stores) > 1 and not split:
        return f"order {text} is split over {len(stores)} stores: it needs SetDownloadSplitOrderConfirm"
    named = store if isinstance(store, str) and store else None
    if len(stores) > 1 and named is None:
        return f"order {text} is split: StoreId must name the store"
    is_loose = call.profile.confirm_store == "loose" and (named is None or "" in stores)
    chosen = (named or "") if (named or "") in stores else next(iter(stores)) if is_loose else None
    if chosen is None:
        return f"order {text} is not in store {named}"
    call.state.confirm(int(text), chosen, third_party if isinstance(third_party, str) else None)
    return None


def custom_field_mapping(call: Call) -> Outcome:
    """Store the mappings and return "true", or an error text (documented)."""
    rows = call.rows("FieldMapping")
    for row in rows:
        text = row.get("Text") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(text, str) or not text or not row.get("Value"):
            raise RefusedError(NOT_VALID, "Text and Value are required for every field mapping")
    for row in rows:
        if isinstance(row, dict):
            call.state.save_mapping(call.merchant, str(row["Text"]), row)
    return Outcome("true")
