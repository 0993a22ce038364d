"""Desired states: stock and prices from a file, a frame or Python values.

A state is stored as plain values, numbers without trailing zeros and stores by their id. So `19.9` and `19.90`, or the
same stores in another order, are the same state. A state may be partial: unset values stay as they are. `None` is sent
as `xsi:nil` if the caller wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.jobs.reports import KeyProblem
from octopus_soap.models import InventoryItem, ItemQuantityAndPrice, StoreStockInfo
from octopus_soap.models.scalars import parse_datetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap.tables.from_csv import Numbers

Values = dict[str, Any]
"""A state as plain values, by attribute; `stores` by store id."""

OBSERVED = "observed_at"
"""The key or column with the time at which a row was true."""

_STORES = "store_stock_info_list"
_NOT_STATE = frozenset({"sku", "error_message"})
_FRAME_ROWS = 5_000
_ENCODED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


class Desired(NamedTuple):
    """The state that one SKU should have.

    Attributes:
        sku: the SKU.
        values: its state.
        observed_at: when that was true; None if the source has no time.
        row: its row in a file as an editor counts; in other sources its position, from 0.
    """

    sku: str
    values: Values
    observed_at: datetime | None = None
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFormat:
    """How a source writes states.

    Attributes:
        money_digits: decimal places to round a frame's floats to; without it a float must be exact.
        numbers: how a CSV file writes numbers; as the wire does by default.
        store_column: the column of a CSV file with a store's id, if each row has the stock of one store.
    """

    money_digits: int | None = None
    numbers: Numbers | None = None
    store_column: str | None = None


def read_desired(
    source: Any, form: SourceFormat | None = None, passed: Callable[[str], int] | None = None
) -> Iterator[Desired | KeyProblem]:
    """Read desired states one by one; yield a problem for each row that is not valid.

    Args:
        source: a CSV file's path, a pandas or polars DataFrame, or any iterable of `ItemQuantityAndPrice` and of
            mappings with its names. Mappings, frames and files may have a time for each row (`observed_at`).
        form: how the source writes states.
        passed: called before the first row with a digest of the file's content, or an empty text for any other source;
            returns how many rows of a file were read before and are skipped.

    Raises:
        InvalidInputError: the source as a whole cannot be used.
        OSError: the file cannot be opened.
    """
    form = form or SourceFormat()
    if isinstance(source, (str, PathLike)):
        yield from _of_file(Path(fspath(source)), form, passed)
        return
    if passed is not None:
        passed("")
    if type(source).__module__.partition(".")[0] in {"pandas", "polars"} and hasattr(source, "columns"):
        yield from _of_frame(source, form.money_digits)
    elif isinstance(source, (Mapping, ItemQuantityAndPrice)) or not isinstance(source, Iterable):
        kind = type(source).__name__
        message = f"expected an iterable of items, a DataFrame or the path of a CSV file, not one {kind}"
        raise InvalidInputError([Problem(message)])
    else:
        for index, row in enumerate(source):
            yield _of_row(index, row)


def rows_in(source: Any) -> int | None:
    """Return about how many rows a source has; None if it would have to be read."""
    if isinstance(source, (str, PathLike)):
        path = Path(fspath(source))
        if not path.is_file():  # a pipe can be read once
            return None
        with path.open("rb") as file:
            return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)
    return len(source) if hasattr(source, "__len__") else None


def _of_row(index: int, row: Any) -> Desired | KeyProblem:
    try:
        if isinstance(row, ItemQuantityAndPrice):
            return _of_model(row, None, index)
        if isinstance(row, Mapping):
            given = {str(name): value for name, value in row.items()}
            observed = _moment(given.pop(OBSERVED, None))
            return _of_model(ItemQuantityAndPrice(**given), observed, index)
    except InvalidInputError as error:
        return _problem_of(error, index)
    kind = type(row).__name__
    return KeyProblem(f"row {index}", "invalid", f"expected an ItemQuantityAndPrice or a mapping, not {kind}")


def _of_model(item: ItemQuantityAndPrice, observed_at: datetime | None, row: int) -> Desired:
    if not item.sku:
        raise InvalidInputError([Problem("every item needs a SKU", field="sku")])
    return Desired(item.sku, values_of(item), observed_at, row)


def _problem_of(error: InvalidInputError, row: int) -> KeyProblem:
    sku = next((problem.key for problem in error.problems if problem.key), None)
    return KeyProblem(sku or f"row {row}", "invalid", _worded(error))


def _worded(error: InvalidInputError) -> str:
    return "; ".join(f"{p.field.rpartition('.')[2]}: {p.message}" if p.field else p.message for p in error.problems[:3])


def _moment(given: Any) -> datetime | None:
    if given is None or given == "":
        return None
    to_datetime = getattr(given, "to_pydatetime", None)  # pandas' own timestamps
    moment = (
        parse_datetime(given.strip()) if isinstance(given, str) else given if to_datetime is None else to_datetime()
    )
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        wanted = "expected a datetime with a time zone, or text such as '2026-03-04T10:00:00Z'"
        raise InvalidInputError([Problem(wanted, field=OBSERVED, value=repr(given)[:60])])
    return moment.astimezone(UTC)


# -- files and frames ----------------------------------------------------------------------------------------------


def _of_file(path: Path, form: SourceFormat, passed: Callable[[str], int] | None) -> Iterator[Desired | KeyProblem]:
    from octopus_soap.tables.from_csv import CsvRow, csv_rows, shown  # noqa: PLC0415 - only if a file is given

    store = form.store_column
    needed = () if store is None else (store,)
    for row in csv_rows(
        path, ItemQuantityAndPrice, also=(OBSERVED, *needed), needed=needed, numbers=form.numbers, passed=passed
    ):
        if isinstance(row, CsvRow):
            try:
                wish = _of_model(row.item, _moment(row.others.get(OBSERVED)), row.number)
                yield wish if store is None else _of_store(wish, row.others.get(store), store)
            except InvalidInputError as error:
                yield KeyProblem(row.item.sku or f"row {row.number}", "invalid", f"row {row.number}: {_worded(error)}")
        else:
            first = row[0]
            yield KeyProblem(first.key or f"row {first.index}", "invalid", "; ".join(map(shown, row[:3])))


def _of_store(wish: Desired, store: str | None, column: str) -> Desired:
    """Return a state with the row's stock as the stock of *store*."""
    if not store:
        raise InvalidInputError([Problem("the row names no store", field=column)])
    values = dict(wish.values)
    if "stock" in values:
        values["stores"] = {store: {"store_id": store, "store_stock": values.pop("stock")}}
    return wish._replace(values=values)


def _of_frame(frame: Any, money_digits: int | None) -> Iterator[Desired | KeyProblem]:
    # With a row per store, several rows belong together: such a frame is read as a whole.
    whole = any("store" in str(name).casefold() for name in frame.columns)
    step = max(1, len(frame)) if whole else _FRAME_ROWS
    for start in range(0, len(frame), step):
        piece = frame[start : start + step]
        try:
            yield from _of_piece(piece, money_digits, start)
        except InvalidInputError as error:
            if whole or any(problem.index is None for problem in error.problems):
                raise
            for at in range(len(piece)):
                yield from _of_frame_row(piece[at : at + 1], start + at, money_digits)


def _of_frame_row(piece: Any, row: int, money_digits: int | None) -> Iterator[Desired | KeyProblem]:
    try:
        yield from _of_piece(piece, money_digits, row)
    except InvalidInputError as error:
        yield _problem_of(error, row)


def _of_piece(piece: Any, money_digits: int | None, start: int) -> list[Desired]:
    from octopus_soap.tables import items_from_frame  # noqa: PLC0415 - only if a frame is given

    observed: list[Any] = []
    if OBSERVED in piece.columns:
        observed = piece[OBSERVED].to_list()
        piece = piece.drop(columns=[OBSERVED]) if hasattr(piece, "iloc") else piece.drop(OBSERVED)
    items = items_from_frame(piece, ItemQuantityAndPrice, money_digits=money_digits)
    if not observed:
        return [_of_model(item, None, start + at) for at, item in enumerate(items)]
    if len(items) != len(observed):
        raise InvalidInputError([Problem("rows of stores cannot each have a time of their own", field=OBSERVED)])
    times = [None if moment != moment else _moment(moment) for moment in observed]  # noqa: PLR0124 - NaT is not equal to itself
    both = zip(items, times, strict=True)
    return [_of_model(item, moment, start + at) for at, (item, moment) in enumerate(both)]


# -- values --------------------------------------------------------------------------------------------------------


def values_of(item: ItemQuantityAndPrice | StoreStockInfo) -> Values:
    """Return the state of a model: its set values, in comparable form.

    Raises:
        InvalidInputError: two of its stores have one id.
    """
    values: Values = {}
    held = item.__dict__  # getattr would take seconds for a million items
    for name in item.model_fields_set:
        if name in _NOT_STATE:
            continue
        value = held[name]
        if type(value) is Decimal:
            values[name] = _plain(value)
        elif name == _STORES:
            values["stores"] = None if value is None else _stores(value)
        else:
            values[name] = value
    return values


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _stores(stores: list[StoreStockInfo]) -> Values:
    found: Values = {}
    for store in stores:
        key = str(store.store_id or "")
        if key in found:
            raise InvalidInputError([Problem(f"two entries for store {key!r}", field=_STORES)])
        found[key] = values_of(store)
    return found


def as_text(values: Values) -> str:
    """Return a state as the ledger stores it; equal states are equal texts."""
    return _ENCODED(values)


def from_text(text: str | None) -> Values | None:
    """Return the state of a text of `as_text`."""
    return None if text is None else json.loads(text)


def as_item(sku: str, values: Values) -> ItemQuantityAndPrice:
    """Return the update that sets *values*."""
    given = {name: value for name, value in values.items() if name != "stores"}
    if "stores" in values:
        stores = values["stores"]
        given[_STORES] = None if stores is None else [StoreStockInfo(**store) for store in stores.values()]
    return ItemQuantityAndPrice(sku=sku, **given)


def actual_values(item: InventoryItem) -> Values:
    """Return the stock and prices that the service sent for an item."""
    locks = item.field_locks
    found = {
        "stock": _whole(item.stock),
        "price": item.price,
        "cost": item.cost,
        "lock_stock": locks.lock_stock if locks else None,
        "lock_price": locks.lock_price if locks else None,
        "lock_cost": locks.lock_cost if locks else None,
    }
    values: Values = {
        name: _plain(value) if isinstance(value, Decimal) else value
        for name, value in found.items()
        if value is not None
    }
    if item.stores:
        values["stores"] = {
            str(store.store_id or ""): {name: value for name, value in values_of(store).items() if value is not None}
            for store in item.stores
        }
    return values


def _whole(stock: str | None) -> int | None:
    # InventoryItem.Stock is text on the vendor's page, and ItemQuantityAndPrice.Stock an Int.
    try:
        number = Decimal((stock or "").strip())
    except ArithmeticError:
        return None
    return int(number) if number.is_finite() and number == number.to_integral_value() else None


def merged(older: Values | None, newer: Values) -> Values:
    """Return *older* updated with the values of *newer*, store by store."""
    result = dict(older or {})
    for name, value in newer.items():
        known = result.get(name)
        result[name] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result


def covers(known: Values | None, wanted: Values) -> bool:
    """True if *known* already has all values of *wanted*."""
    if known is None:
        return False
    for name, value in wanted.items():
        if name not in known:
            return False
        mine = known[name]
        if mine != value and not (isinstance(mine, dict) and isinstance(value, dict) and covers(mine, value)):
            return False
    return True


def difference(known: Values, found: Values) -> Values:
    """Return the values of *found* that *known* has too, but with another value."""
    changes: Values = {}
    for name, mine in known.items():
        if name not in found or found[name] == mine:
            continue
        theirs = found[name]
        if isinstance(mine, dict) and isinstance(theirs, dict):
            if inner := difference(mine, theirs):
                changes[name] = inner
        else:
            changes[name] = theirs
    return changes


def lower_stock(known: Values, changes: Values) -> Values:
    """Return the stocks of *changes* that are lower than those of *known*."""
    lower: Values = {}
    if isinstance(changes.get("stock"), int) and changes["stock"] < (known.get("stock") or 0):
        lower["stock"] = changes["stock"]
    stores: Values = {}
    for store, inner in (changes.get("stores") or {}).items():
        had = (known.get("stores") or {}).get(store) or {}
        if inner.get("store_stock") is not None and inner["store_stock"] < (had.get("store_stock") or 0):
            stores[store] = {"store_stock": inner["store_stock"]}
    return lower | ({"stores": stores} if stores else {})


def zeroes(before: Values | None, after: Values) -> bool:
    """True if the stock of *after* is 0, and that of *before* is not known to be 0."""
    return _is_empty(after) and not (before is not None and _is_empty(before))


def cheapens(before: Values | None, after: Values, share: float) -> bool:
    """True if the price of *after* is 0, or at least *share* below that of *before*."""
    price, known = after.get("price"), None if before is None else before.get("price")
    if price is None or price == known:
        return False
    if price == "0" or price[0] == "-":  # as `values_of` writes amounts
        return True
    if known is None or share >= 1:
        return False
    old, new = Decimal(known), Decimal(price)
    return old > new and float((old - new) / old) >= share


def without_stock(known: Values) -> Values | None:
    """Return *known* with a stock of 0; None if it has no stock, or none is known."""
    values = dict(known)
    if values.get("stock") is not None:
        values["stock"] = 0
    if values.get("stores"):
        values["stores"] = {
            store: {name: 0 if name == "store_stock" and value is not None else value for name, value in inner.items()}
            for store, inner in values["stores"].items()
        }
    return values if values != known and zeroes(known, values) else None


def _is_empty(values: Values) -> bool:
    if values.get("stock") is not None:
        return bool(values["stock"] <= 0)
    stores: Values = values.get("stores") or {}
    stocks = [store.get("store_stock") for store in stores.values() if store.get("store_stock") is not None]
    return bool(stocks) and all(Decimal(str(stock)) <= 0 for stock in stocks)
