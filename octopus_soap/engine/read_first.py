"""`omitted_values="read_first"`: complete an update from the service's current item before it is sent.

Where the contract in force declares a value type not nillable, a WCF server reads an omitted one as 0, false or year 1.
Reading the current item first and sending its values along keeps what the caller did not mention. Another writer may
change the item in between; the outcome's `filled` says which members were completed.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from octopus_soap.engine.outcomes import match_rows
from octopus_soap.engine.request import RequestResult, perform, request_for
from octopus_soap.errors import (
    AuthenticationError,
    ConnectFailedError,
    InvalidInputError,
    OctopusError,
    Problem,
    ProtocolError,
)
from octopus_soap.models.inventory import InventoryItem, ItemQuantityAndPrice, Locks, StoreStockInfo
from octopus_soap.models.replies import RowsOf
from octopus_soap.safety import Safety

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octopus_soap.engine.context import Context
    from octopus_soap.engine.effects import Flow
    from octopus_soap.models.base import WireModel
    from octopus_soap.results import CallInfo


READING = "GetItemList"
FILLABLE = (InventoryItem, ItemQuantityAndPrice)
"""What the service's current item can complete."""
_PER_CALL = 100  # the page's limit of GetItemList
_STORES = "store_stock_info_list"
_DATES = frozenset({"SaleStartDate", "SaleEndDate"})
"""Where the current item has no such date, the service keeps year 1; left out, it reads year 1 again."""


class Current(NamedTuple):
    """The service's current item, or None where it has none, or why that is unknown."""

    item: InventoryItem | None = None
    error: OctopusError | None = None


class Completed(NamedTuple):
    """A completed update, and the wire members that were completed."""

    value: Any
    members: tuple[str, ...]


def read_current(
    keys: Sequence[str], account_id: str, context: Context
) -> Flow[tuple[dict[str, Current], list[CallInfo]]]:
    """Read the current item of each SKU in *keys*, from the account the update goes to."""
    found: dict[str, Current] = {}
    calls: list[CallInfo] = []
    request = request_for(context, READING, Safety.READ, RowsOf(InventoryItem))
    for start in range(0, len(keys), _PER_CALL):
        chunk = list(keys[start : start + _PER_CALL])
        if context.config.stopped():
            stopped = ConnectFailedError("stopped before the current item was read; nothing was sent")
            return found | dict.fromkeys(keys[start:], Current(error=stopped)), calls
        body = context.codec.encode(READING, {"accountID": account_id, "skuList": chunk})
        end = yield from perform(replace(request, body=body), context.config)
        calls.append(end.info)
        error = end.refusal if isinstance(end, RequestResult) else end.error
        if isinstance(error, AuthenticationError):  # the next would be refused too
            return found | dict.fromkeys(keys[start:], Current(error=error)), calls
        if error is not None or not isinstance(end, RequestResult):
            found.update(dict.fromkeys(chunk, Current(error=error)))
            continue
        matched = match_rows(chunk, end.decoded.rows)
        for position, key in enumerate(chunk):
            row = matched.rows.get(position)
            if row is None:
                found[key] = Current()
            elif row.problems or position in matched.contradicted:
                found[key] = Current(error=ProtocolError("the current item cannot be read", info=end.info))
            else:
                found[key] = Current(row.value)
    return found, calls


def complete(operation: str, parameter: str, value: Any, current: Current, context: Context) -> Completed:
    """Complete *value* from the *current* item.

    An upload of an item the service does not have makes a new one, and goes out as it is. An update of quantity and
    price would be turned down there anyway, and is not sent: the row may only have been lost from the answer.

    Raises:
        OctopusError: the current item could not be read, is not there, or does not tell a value that is needed.
    """
    if current.error is not None:
        raise current.error
    if current.item is None:
        if isinstance(value, ItemQuantityAndPrice):
            raise InvalidInputError(
                [
                    Problem(
                        "leaves out values, and the service's answer has no such item to read them from", key=value.sku
                    )
                ]
            )
        return Completed(value, ())
    wanted = context.codec.omitted_value_members(operation, parameter, value)
    filled = _completed(value, current.item, frozenset(wanted))
    left = context.codec.omitted_value_members(operation, parameter, filled)
    if unknown := [name for name in left if name not in _DATES]:
        raise InvalidInputError(
            [
                Problem(
                    f"leaves out {', '.join(unknown)}, and the service's current item does not tell them",
                    key=value.sku,
                )
            ]
        )
    return Completed(filled, tuple(name for name in wanted if name not in left))


def _completed(value: WireModel, item: InventoryItem, wanted: frozenset[str]) -> WireModel:
    """*value* with the *wanted* members, and its nested records, filled from *item*; nothing else is touched."""
    known = _as_update(item) if isinstance(value, ItemQuantityAndPrice) else item
    folded = {name.casefold() for name in wanted}  # the contract in force may spell them in another case
    changes: dict[str, Any] = {
        name: getattr(known, name)
        for wire_name, name in type(value).wire_names().items()
        if wire_name.casefold() in folded and getattr(known, name) is not None
    }
    if _STORES in value.model_fields_set and getattr(value, _STORES):
        by_store = {store.store_id: store for store in item.stores}
        changes[_STORES] = [_store(store, by_store.get(store.store_id)) for store in getattr(value, _STORES)]
    for name in ("variation_info", "field_locks"):  # nested: keep what the caller set, complete the rest
        mine, theirs = getattr(value, name, None), getattr(known, name, None)
        if mine is not None and theirs is not None:
            changes[name] = _merged(mine, theirs)
    return value.replace(**changes)


def _store(mine: StoreStockInfo, theirs: StoreStockInfo | None) -> StoreStockInfo:
    return mine if theirs is None else _merged(mine, theirs)


def _merged(mine: Any, theirs: Any) -> Any:
    known = {name: getattr(theirs, name) for name in type(theirs).model_fields if name not in mine.model_fields_set}
    return mine.replace(**{name: found for name, found in known.items() if found is not None})


def _as_update(item: InventoryItem) -> ItemQuantityAndPrice:
    locks = item.field_locks
    if locks is None and "field_locks" in item.model_fields_set:  # nil: the item has no locks, so none is set
        locks = Locks(lock_stock=False, lock_price=False, lock_cost=False)
    return ItemQuantityAndPrice(
        sku=item.sku,
        stock=_whole(item.stock),
        price=item.price,
        cost=item.cost,
        lock_stock=locks.lock_stock if locks else None,
        lock_price=locks.lock_price if locks else None,
        lock_cost=locks.lock_cost if locks else None,
    )


def _whole(stock: str | None) -> int | None:
    # InventoryItem.Stock is text on the page, ItemQuantityAndPrice.Stock an Int.
    try:
        number = Decimal(stock or "")
    except ArithmeticError:
        return None
    return int(number) if number == number.to_integral_value() else None
