"""Guard the values that a write leaves out: refuse it, send it, or complete it.

A WCF server reads a value type that was left out as 0, false or year 1, if the contract does not declare it nillable.
An update without a price would set the price to 0. And a service that saves an upload as it is loses every text and
list that the upload leaves out. The caller chooses what to do (see `OmittedValues`), per client, per operation or per
call.

Invariants:

* Nothing is overwritten with 0 unless the caller chose that: `refuse` is the default.
* `read_first` fills an update's value types, and everything an upload leaves out. A value that the caller set stays.
* A creation loses nothing: an item or a store row that the service does not have is sent with zeros, which are reported
  in `filled` like values that were read.
* Dates of a sale may always be left out: without one, the service has year 1 already, and reads year 1 again.

On failure: `refuse` raises before anything is sent. If the current item cannot be read, or lacks a value that is
needed, the write of that item is not sent. An update of an item that the service does not have is `missing`.

Another writer may change the item between the read and the write; `filled` names what could be affected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from octopus_soap import models
from octopus_soap._http import clip
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
from octopus_soap.models.base import WireModel, inner_type
from octopus_soap.models.declarations import OmittedValues, RowsOf, Safety

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

    from octopus_soap.engine.effects import Flow
    from octopus_soap.engine.request import Context
    from octopus_soap.models import InventoryItem, ItemQuantityAndPrice, StoreStockInfo
    from octopus_soap.models.declarations import OmittedChoice
    from octopus_soap.results import CallInfo
    from octopus_soap.wire.codec import Codec

READING = "GetItemList"
_PER_CALL = 100  # the page's limit of GetItemList
_MOST_NAMES = 6  # in a message
_STORES = "store_stock_info_list"
_DATES = frozenset({"salestartdate", "saleenddate"})
_WINDOW = ("order_creation_filter_begin_time_gmt", "order_creation_filter_end_time_gmt")
_PART = re.compile(r"([^.\[]+)(?:\[(\d+)\])?\.")


def _fillable() -> tuple[type[WireModel], ...]:
    """Return the models that the service's current item can complete."""
    return models.InventoryItem, models.ItemQuantityAndPrice


# -- the choice --------------------------------------------------------------------------------------------------------


class OmissionGuard(NamedTuple):
    """Decides what one call may leave out.

    Attributes:
        parameter: wire name of the parameter to guard.
        mode: what to do about values that are left out.
        excused: folded names of members that may be left out, whatever the mode.
    """

    operation: str
    parameter: str
    mode: OmittedValues
    excused: frozenset[str]
    codec: Codec

    def omitted(self, value: WireModel) -> list[str]:
        """Return the paths of omitted members that the service would read as 0 or false."""
        names = self.codec.omitted_value_members(self.operation, self.parameter, value)
        return [name for name in names if _folded(name) not in self.excused]

    def refused(self, value: Any) -> list[str]:
        """Return the paths of members that *value* leaves out although it may not."""
        if self.mode is OmittedValues.SEND or not isinstance(value, WireModel):
            return []
        if self.mode is OmittedValues.READ_FIRST and isinstance(value, _fillable()):
            return []
        if isinstance(value, models.OrderCriteria):  # a filter: only half of a window would change its meaning
            given = [name for name in _WINDOW if getattr(value, name) is not None]
            return [n for n in self.omitted(value) if len(given) == 1 and _attribute(type(value), n) in _WINDOW]
        return self.omitted(value)

    def needs_current(self, value: Any) -> bool:
        """True if *value* is completed from the service's current item."""
        if self.mode is not OmittedValues.READ_FIRST:
            return False
        if isinstance(value, models.InventoryItem):  # an upload may replace the whole item, its texts and lists too
            return not type(value).model_fields.keys() <= value.model_fields_set
        return isinstance(value, _fillable()) and bool(self.omitted(value))

    def remedy(self, model: type[WireModel], names: Iterable[str]) -> str:
        """Return what to do about omitted members, as lines that can be pasted."""
        if issubclass(model, _fillable()):
            return (
                "Set them, or let each write be completed from the service's current item, with "
                "omitted_values='read_first' on the call or for all calls: export OCTOPUS_OMITTED_VALUES=read_first"
            )
        members = list(dict.fromkeys(python_path(model, name).rpartition(".")[2] for name in names))
        return (
            f"Set them, or, if 0 is right for them in {self.operation}, name them on the call: "
            f"omitted_values={clip(repr(members), 300)}"
        )


def omission_guard(context: Context, operation: str, parameter: str, given: OmittedChoice | None) -> OmissionGuard:
    """Return the guard for the choice of a call, *given*, or else of the settings.

    Raises:
        InvalidInputError: *given* is not a valid choice.
    """
    choice: Any = context.omitted_values if given is None else given
    if isinstance(choice, Mapping):
        choice = choice.get(operation, choice.get("*", OmittedValues.REFUSE))
    if isinstance(choice, str) and choice in set(OmittedValues):
        return OmissionGuard(operation, parameter, OmittedValues(choice), _DATES, context.codec)
    if isinstance(choice, Iterable) and not isinstance(choice, str):
        names: list[Any] = list(choice)
        if all(isinstance(name, str) for name in names):
            excused = _DATES | set(map(_folded, names))
            return OmissionGuard(operation, parameter, OmittedValues.REFUSE, excused, context.codec)
    message = f"choose one of {', '.join(OmittedValues)}, or list the members that may be left out"
    raise InvalidInputError([Problem(message, field="omitted_values", value=repr(choice)[:60])])


def _folded(name: str) -> str:
    """Return the last part of a path, in one form for names of Python and the wire."""
    return name.rpartition(".")[2].replace("_", "").casefold()


def omission_problem(model: type[WireModel], names: Sequence[str], key: str, index: int | None = None) -> Problem:
    """Return the problem of a write that leaves out *names*."""
    return Problem(
        f"leaves out {_listed(model, names)}, which the service would read as 0 or false", index, key or None
    )


def _listed(model: type[WireModel], names: Sequence[str]) -> str:
    shown = [python_path(model, name) for name in names[:_MOST_NAMES]]
    more = len(names) - len(shown)
    return f"{', '.join(shown)} and {more} more" if more else ", ".join(shown)


def python_path(model: type[WireModel], path: str) -> str:
    """Return a path such as `StoreStockInfoList[0].StoreCost` in the names of Python."""
    part = _PART.match(path)
    if part is None:
        return _attribute(model, path) or path
    attribute = _attribute(model, part[1])
    if not attribute:
        return path
    position = "" if part[2] is None else f"[{part[2]}]"
    nested = nested_model(model, attribute)
    rest = path[part.end() :]
    return f"{attribute}{position}.{rest if nested is None else python_path(nested, rest)}"


def nested_model(model: type[WireModel], attribute: str) -> type[WireModel] | None:
    """Return the model of an attribute or of the rows in it; None for plain values."""
    kind = inner_type(model.model_fields[attribute].annotation)
    kind = inner_type(kind.__args__[0]) if getattr(kind, "__args__", ()) else kind
    return kind if isinstance(kind, type) and issubclass(kind, WireModel) else None


# -- reading the current item ------------------------------------------------------------------------------------------


class Current(NamedTuple):
    """The service's current item; None if it has none, or if reading it failed."""

    item: InventoryItem | None = None
    error: OctopusError | None = None


def read_current(
    keys: Sequence[str], account_id: SecretStr, context: Context
) -> Flow[tuple[dict[str, Current], list[CallInfo]]]:
    """Read the current item of each SKU in *keys*, from the account of the write."""
    found: dict[str, Current] = {}
    calls: list[CallInfo] = []
    for start in range(0, len(keys), _PER_CALL):
        chunk = list(keys[start : start + _PER_CALL])
        if context.config.stopped():
            stopped = ConnectFailedError("stopped before the current item was read; nothing was sent")
            return found | dict.fromkeys(keys[start:], Current(error=stopped)), calls
        request = request_for(context, READING, Safety.READ, RowsOf(models.InventoryItem, asked=len(chunk)))
        body = context.codec.requests(READING).envelope({"accountID": account_id, "skuList": chunk})
        end = yield from perform(request._replace(body=body), context.config)
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


# -- completing a write ------------------------------------------------------------------------------------------------


class Completed(NamedTuple):
    """A completed write, and the wire members that were completed."""

    value: WireModel
    members: tuple[str, ...]


def complete(guard: OmissionGuard, value: WireModel, current: Current) -> Completed | None:
    """Complete *value* from the *current* item; None if there is no item to update.

    Raises:
        OctopusError: the current item could not be read, or lacks a value that is needed.
    """
    if current.error is not None:
        raise current.error
    item = current.item
    if item is None:
        if isinstance(value, models.ItemQuantityAndPrice):
            return None
        names = guard.omitted(value)
        return Completed(_with_zeros(value, names), tuple(names))
    wanted = guard.omitted(value)
    known: WireModel = item
    unset = set(type(value).model_fields) - value.model_fields_set
    if isinstance(value, models.ItemQuantityAndPrice):
        known, unset = _as_update(item), {_attribute(type(value), name) for name in wanted}
    changes = {name: found for name in unset if name and (found := getattr(known, name, None)) is not None}
    changes |= _nested_changes(value, item, known)
    filled = _with_unknown_members(value.replace(**changes), value, item)
    left = guard.omitted(filled)
    created = [name for name in left if _is_creation(name, value, item, known)]
    if lacking := [name for name in left if name not in created]:
        message = (
            f"leaves out {_listed(type(value), lacking)}, and the service's current item has no value for it; set it"
        )
        raise InvalidInputError([Problem(message, key=getattr(value, value.key_field, None))])
    members = [name for name in wanted if name not in left or name in created]
    known_members = {name.casefold() for name in members}
    wire = {attribute: name for name, attribute in type(value).wire_names().items()}
    more = [wire[name] for name in wire if name in changes and name not in value.model_fields_set]
    members += [name for name in more if name.casefold() not in known_members]
    return Completed(_with_zeros(filled, created), tuple(members))


def _attribute(model: type[WireModel], wire_name: str) -> str:
    """Return the attribute of a wire name, in any case, as contracts spell it."""
    names = {name.casefold(): attribute for name, attribute in model.wire_names().items()}
    return names.get(wire_name.casefold(), "")


def _nested_changes(value: WireModel, item: InventoryItem, known: WireModel) -> dict[str, Any]:
    """Return the records inside *value*, completed from those of the current item."""
    changes: dict[str, Any] = {}
    given: list[StoreStockInfo] | None = getattr(value, _STORES, None)
    if given:
        by_store = {store.store_id: store for store in item.stores}
        changes[_STORES] = [_merged(store, by_store.pop(store.store_id, None)) for store in given]
        if isinstance(value, models.InventoryItem):  # an upload's list may replace the service's, with the other stores
            changes[_STORES] += by_store.values()
    for name in ("variation_info", "field_locks"):
        mine, theirs = getattr(value, name, None), getattr(known, name, None)
        if mine is not None and theirs is not None:
            changes[name] = _merged(mine, theirs)
    return changes


def _merged(mine: Any, theirs: Any) -> Any:
    if theirs is None:
        return mine
    known = {name: getattr(theirs, name) for name in type(theirs).model_fields if name not in mine.model_fields_set}
    return mine.replace(**{name: found for name, found in known.items() if found is not None})


def _with_unknown_members(filled: WireModel, value: WireModel, item: InventoryItem) -> WireModel:
    """Add the current item's members that the model does not have, for an upload."""
    unknown = item.model_extra or {}
    if not isinstance(value, models.InventoryItem) or not unknown:
        return filled
    names = type(value).wire_names()  # a subclass may have some of them
    typed = {names[name]: found for name, found in unknown.items() if name in names and found is not None}
    filled = filled.replace(**{name: found for name, found in typed.items() if name not in filled.model_fields_set})
    rest = {name: found for name, found in unknown.items() if name not in names and name not in filled.model_fields_set}
    return filled.with_received(rest)


def _is_creation(path: str, value: WireModel, item: InventoryItem, known: WireModel) -> bool:
    """True if *path* is in a record that the service does not have yet."""
    part = _PART.match(path)
    if part is None:
        return False
    attribute = _attribute(type(value), part[1])
    if attribute == _STORES and part[2] is not None:
        return getattr(value, _STORES)[int(part[2])].store_id not in {store.store_id for store in item.stores}
    return attribute in {"variation_info", "field_locks"} and getattr(known, attribute, None) is None


def _with_zeros(value: Any, paths: Iterable[str]) -> Any:
    """Return *value* with 0 or false at *paths*, as the service would read it."""
    changes: dict[str, Any] = {}
    inner: dict[tuple[str, int | None], list[str]] = {}
    for path in paths:
        part = _PART.match(path)
        if part is not None:
            position = None if part[2] is None else int(part[2])
            inner.setdefault((_attribute(type(value), part[1]), position), []).append(path[part.end() :])
        elif attribute := _attribute(type(value), path):
            zero = _zero(inner_type(type(value).model_fields[attribute].annotation))
            changes |= {} if zero is None else {attribute: zero}
    for (attribute, position), rest in inner.items():
        mine = changes.get(attribute, getattr(value, attribute))
        if position is None:
            changes[attribute] = _with_zeros(mine, rest)
        else:
            changes[attribute] = [*mine[:position], _with_zeros(mine[position], rest), *mine[position + 1 :]]
    return value.replace(**changes) if changes else value


def _zero(kind: type[Any]) -> Any:
    return kind(0) if issubclass(kind, (int, float, Decimal)) else None


def _as_update(item: InventoryItem) -> ItemQuantityAndPrice:
    locks = item.field_locks
    return models.ItemQuantityAndPrice(
        sku=item.sku,
        stock=_whole(item.stock),
        price=item.price,
        cost=item.cost,
        lock_stock=locks.lock_stock if locks else False,
        lock_price=locks.lock_price if locks else False,
        lock_cost=locks.lock_cost if locks else False,
    )


def _whole(stock: str | None) -> int | None:
    # On the page, InventoryItem.Stock is text and ItemQuantityAndPrice.Stock an Int.
    try:
        number = Decimal(stock or "")
    except ArithmeticError:
        return None
    return int(number) if number == number.to_integral_value() else None
