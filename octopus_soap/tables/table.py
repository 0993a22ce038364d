"""Results and lists of models as one table of named columns.

A scalar member is a column with its name. A nested record gives one column per member, with a dot (`ship.city`).
A list inside a record is JSON text, except the list that a table may be spread over: the store stock of an item, the
lines of an order. Secret members are left out unless the caller asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum, StrEnum
from functools import cache
from operator import attrgetter, itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, get_args, get_origin

from octopus_soap.errors import InvalidInputError, OddTextWarning, Problem, warn_caller
from octopus_soap.models.base import WireModel, inner_type
from octopus_soap.models.orders import OrderResponseItem
from octopus_soap.models.scalars import INT64_MAX, INT64_MIN, is_count, number_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from octopus_soap.results import BatchResult


SPREADABLE = ("store_stock_info_list", "order_items")
"""The lists a table may be spread over; no model has two of them."""


class Kind(StrEnum):
    """The kind of value that a column holds."""

    TEXT = "text"
    INTEGER = "integer"
    COUNT = "count"
    """A number of pieces that the page types as text; a table holds it as a number (see `counted`)."""
    FLAG = "flag"
    REAL = "real"
    AMOUNT = "amount"
    MOMENT = "moment"
    JSON = "json"


_KINDS: tuple[tuple[type[Any], Kind], ...] = (
    (bool, Kind.FLAG),  # before int, because a bool is an int
    (int, Kind.INTEGER),
    (float, Kind.REAL),
    (Decimal, Kind.AMOUNT),
    (datetime, Kind.MOMENT),
)


_SCALARS: tuple[type[Any], ...] = (str, NoneType, *(base for base, _ in _KINDS))


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its kind of value, and the attributes that lead to it."""

    name: str
    kind: Kind
    path: tuple[str, ...]

    def shown(self, values: list[Any]) -> list[Any]:
        """Return the cells of the column for *values* of the member, None for no value."""
        if self.kind is Kind.JSON:
            return [None if value is None else json.dumps(plain(value), ensure_ascii=False) for value in values]
        if any(issubclass(kind, Enum) for kind in set(map(type, values))):
            return [value.value if isinstance(value, Enum) else value for value in values]
        return values


@dataclass(frozen=True, slots=True)
class Spread:
    """The list that a table may be spread over, with the columns of its records."""

    attribute: str
    model: type[WireModel]
    columns: tuple[Column, ...]

    @property
    def by_store(self) -> bool:
        """True for store stock; records of order lines differ by position."""
        return "store_id" in self.model.model_fields

    def rows(self, record: Any) -> list[Any]:
        """Return the records of the list in *record*, empty if it has none."""
        if isinstance(record, OrderResponseItem):
            return record.lines  # reads the older form too
        return getattr(record, self.attribute) or []


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a model, and the list it may be spread over."""

    model: type[WireModel]
    columns: tuple[Column, ...]
    spread: Spread | None


def kind_of(annotation: Any) -> Kind:
    """Return the kind of a column of values of the type *annotation*."""
    if is_count(annotation):
        return Kind.COUNT
    inner = inner_type(annotation)
    if get_origin(inner) is list:
        return Kind.JSON
    return next((kind for base, kind in _KINDS if issubclass(inner, base)), Kind.TEXT)


@cache
def table_schema(model: type[WireModel], *, secrets: bool = False) -> TableSchema:
    """Return the columns of *model*, in the order of its fields."""
    columns: list[Column] = []
    spread: Spread | None = None
    for name, field in model.model_fields.items():
        if name in model.secret_fields and not secrets:
            continue
        inner = inner_type(field.annotation)
        if name in SPREADABLE:
            nested = get_args(inner)[0]
            spread = Spread(name, nested, table_schema(nested, secrets=secrets).columns)
        elif isinstance(inner, type) and issubclass(inner, WireModel):
            columns += [
                Column(f"{name}.{part.name}", part.kind, (name, *part.path))
                for part in table_schema(inner, secrets=secrets).columns
            ]
        else:
            columns.append(Column(name, kind_of(field.annotation), (name,)))
    return TableSchema(model, tuple(columns), spread)


def text_column(name: str) -> str:
    """Return the column for those counts of the column *name* that are no number."""
    return f"{name}_text"


def counted(texts: list[str | None]) -> tuple[Kind, list[int | None] | list[Decimal | None], list[str | None]]:
    """Return the kind and the values of counts, and the texts that are no number.

    The values are integers, or all of them decimals if one is not whole. An empty text is None.
    """
    read = {text: number_of(text) for text in {*texts} if text is not None}
    numbers = [None if text is None else read[text] for text in texts]
    odd = [
        text if number is None and text and text.strip() else None for text, number in zip(texts, numbers, strict=True)
    ]
    if all(
        number is None or (isinstance(number, int) and INT64_MIN <= number <= INT64_MAX) for number in read.values()
    ):
        return Kind.INTEGER, cast("list[int | None]", numbers), odd
    return Kind.AMOUNT, [None if number is None else Decimal(number) for number in numbers], odd


def plain(value: Any) -> Any:
    """Return *value* for JSON, so that models can read it, without secrets."""
    if isinstance(value, WireModel):
        shown = [n for n in type(value).model_fields if n in value.model_fields_set and n not in value.secret_fields]
        return {name: plain(getattr(value, name)) for name in shown}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        return format(value, "f")  # the XSD's lexical form has no exponent
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


_ABSENT: Any = type("_Absent", (dict,), {"__missing__": lambda *_: None})()
"""The members of a record that is None: each is None."""


class Members:
    """The members of many records of one model, some of which may be None.

    Most members of most records are unset, and therefore None. So only members that some record sets are looked up.
    """

    def __init__(self, records: Sequence[WireModel | None]) -> None:
        there = [record for record in records if record is not None]
        # Rows of a reply share their sets, so there are few of them.
        sets = {id(names): names for names in map(attrgetter("__pydantic_fields_set__"), there)}
        self._set: set[str] = set().union(*sets.values())
        self._nothing: list[Any] = [None] * len(records)
        self._held = [_ABSENT if record is None else record.__dict__ for record in records]
        self._inside: dict[str, Members] = {}

    def column(self, column: Column) -> list[Any] | None:
        """Return the values of *column*, one per record; None if no record has a value."""
        values = self.values(column.path)
        return None if values is None else column.shown(values)

    def all_of(self, column: Column) -> list[Any]:
        """Return the values of *column*, one per record."""
        values = self.column(column)
        return self._nothing if values is None else values

    def values(self, path: tuple[str, ...]) -> list[Any] | None:
        """Return the values at *path*, one per record; None if no record has one."""
        first, *rest = path
        if first not in self._set:
            return None
        if rest and first in self._inside:
            return self._inside[first].values(tuple(rest))
        values = list(map(itemgetter(first), self._held))
        if set(map(type, values)) <= {NoneType}:
            self._set.discard(first)
            return None
        if not rest:
            return values
        self._inside[first] = Members(values)
        return self._inside[first].values(tuple(rest))


Which = Literal["values", "outcomes"]
Stores = Literal["rows", "columns", "json"]
Columns = Literal["used", "all"] | Sequence[str]


@dataclass(slots=True)
class Table:
    """Columns by name, each with its kind and one value per row; None for no value."""

    kinds: dict[str, Kind]
    data: dict[str, list[Any]]

    def add(self, name: str, kind: Kind, values: list[Any]) -> None:
        """Add a column at the end."""
        self.kinds[name], self.data[name] = kind, values


def no_table(message: str, **where: Any) -> InvalidInputError:
    """Return the error of a table that cannot be made, with fields of `Problem`."""
    return InvalidInputError([Problem(message, **where)], sent="no table")


def check_choice(value: Any, choices: Any, name: str, other: str = "") -> None:
    """Raise if a *value* is not in *choices*; the message also has *other*."""
    known = get_args(choices)
    if not isinstance(value, str) or value not in known:
        shown = ", ".join(repr(choice) for choice in known) + (f", or {other}" if other else "")
        raise no_table(f"choose one of {shown}", field=name, value=repr(value)[:60])


def _names(columns: Any) -> list[str] | None:
    """Return the chosen column names, or None if none are given."""
    if not isinstance(columns, str) and isinstance(columns, Iterable):
        names = list(columns)
        if all(isinstance(name, str) for name in names):
            return names
        columns = names
    check_choice(columns, Literal["used", "all"], "columns", "a list of names")
    return None


def table_of(
    source: BatchResult[Any] | Iterable[Any],
    *,
    which: Which = "values",
    stores: Stores = "rows",
    columns: Columns = "used",
    secrets: bool = False,
) -> Table:
    """Return the table of a result or of models."""
    check_choice(which, Which, "which")
    check_choice(stores, Stores, "stores")
    names = _names(columns)
    outcomes = getattr(source, "outcomes", None)
    if which == "outcomes":
        if outcomes is None:
            raise no_table("only the result of a list call has outcomes", field="which")
        table = _outcomes(outcomes)
    else:
        keyed = [(o.key, o.value) for o in outcomes if o.ok] if outcomes is not None else _listed(source)
        named = None if names is None else frozenset(names)
        table = _values(keyed, _Choice(stores, columns == "all", named), secrets=secrets)
    return table if names is None else _picked(table, names)


def _listed(source: Any) -> list[tuple[str, Any]]:
    """Return the values of an iterable, each with an empty key."""
    if isinstance(source, (str, bytes, Mapping, WireModel)) or not isinstance(source, Iterable):
        raise no_table(f"expected a result, or a list of models, not a single {type(source).__name__}", field="source")
    if hasattr(source, "columns"):
        raise no_table(f"expected a result, or a list of models, not a {type(source).__name__}", field="source")
    return [("", value) for value in source]


def _picked(table: Table, names: list[str]) -> Table:
    if table.data and (strange := [name for name in names if name not in table.data]):
        problems = []
        for name in strange:
            near = get_close_matches(name, table.data, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(table.data)}"
            problems.append(Problem(f"no column {name!r}; {hint}", field="columns"))
        raise InvalidInputError(problems, sent="no table")
    # A table without rows has no columns yet.
    return Table({n: table.kinds.get(n, Kind.TEXT) for n in names}, {n: table.data.get(n, []) for n in names})


def _outcomes(outcomes: Sequence[Any]) -> Table:
    table = Table({}, {})
    table.add("index", Kind.INTEGER, [o.index for o in outcomes])
    table.add("key", Kind.TEXT, [o.key for o in outcomes])
    table.add("status", Kind.TEXT, [o.status.value for o in outcomes])
    table.add("message", Kind.TEXT, [o.message or None for o in outcomes])
    table.add("error", Kind.TEXT, [None if o.error is None else o.error.message for o in outcomes])
    table.add("filled", Kind.TEXT, [", ".join(o.filled) or None for o in outcomes])
    return table


class _Choice(NamedTuple):
    """The columns and rows that a table shows.

    Attributes:
        stores: how the list it may be spread over is shown.
        everything: all columns, not only those that have a value.
        named: only these columns are filled; the others are empty.
    """

    stores: Stores
    everything: bool = False
    named: frozenset[str] | None = None


def _values(keyed: list[tuple[str, Any]], choice: _Choice, *, secrets: bool) -> Table:
    values = [value for _, value in keyed]
    table = Table({}, {})
    if not values:
        return table
    if not isinstance(values[0], WireModel):
        return _scalars(keyed)
    model = type(values[0])
    if others := {type(value).__name__ for value in values if type(value) is not model}:
        raise no_table(f"a table holds one model; these are {model.__name__} and {', '.join(sorted(others))}")
    shape = table_schema(model, secrets=secrets)
    owners: list[int] = []
    nested: list[Any] | None = None
    if shape.spread is not None and choice.stores == "rows":
        owners, nested = _spread_rows(values, shape.spread)
    for column, found in _kept(shape.columns, values, choice, model.key_field).items():
        for name, kind, cells in _as_numbers(column, found, keyed, choice.named or ()):
            spread_out = bool(cells) and len(owners) > len(values)
            table.add(name, kind, list(map(cells.__getitem__, owners)) if spread_out else cells)
    if shape.spread is not None:
        _add_nested(table, values, nested, shape.spread, choice)
    return table


def _as_numbers(
    column: Column, found: list[Any], keyed: list[tuple[str, Any]], named: Collection[str]
) -> Iterator[tuple[str, Kind, list[Any]]]:
    """Yield a column; counts as numbers, with other texts in a second column.

    The second column is left out if it is empty and not *named*.
    """
    if column.kind is not Kind.COUNT:
        yield column.name, column.kind, found
        return
    kind, numbers, odd = counted(found)
    yield column.name, kind, numbers
    strange = [position for position, text in enumerate(odd) if text is not None]
    if strange or text_column(column.name) in named:
        yield text_column(column.name), Kind.TEXT, odd
    if strange:
        keys = [getattr(value, value.key_field, None) or key for key, value in (keyed[at] for at in strange[:3])]
        shown = ", ".join(f"{odd[at]!r} of {key!r}"[:80] for at, key in zip(strange, keys, strict=False))
        warn_caller(
            f"{column.name}: {len(strange)} of {len(found)} values are texts that are no number ({shown}"
            f"{', …' if len(strange) > len(keys) else ''}). They are in the column {text_column(column.name)!r}, and "
            f"{column.name!r} has no value there",
            OddTextWarning,
        )


def _kept(columns: tuple[Column, ...], records: list[Any], choice: _Choice, key: str = "") -> dict[Column, list[Any]]:
    """Return the values of the chosen columns; those not named have none."""
    members, kept = Members(records), {}
    for column in columns:
        if choice.named is not None:
            asked = column.name in choice.named or text_column(column.name) in choice.named
            kept[column] = members.all_of(column) if asked else []
        elif choice.everything or column.name == key:
            kept[column] = members.all_of(column)
        elif (values := members.column(column)) is not None:
            kept[column] = values
    return kept


def _spread_rows(values: list[Any], spread: Spread) -> tuple[list[int], list[Any]]:
    """Return, for each row, the position of its value, and its record or None."""
    owners: list[int] = []
    nested: list[Any] = []
    for position, value in enumerate(values):
        rows = spread.rows(value) or [None]
        owners += [position] * len(rows)
        nested += rows
    return owners, nested


def _add_nested(table: Table, values: list[Any], nested: list[Any] | None, spread: Spread, choice: _Choice) -> None:
    if choice.stores == "columns":
        _add_labelled(table, values, spread)
        return
    columns: tuple[Column, ...] = spread.columns
    if nested is None:
        columns = (Column(spread.attribute, Kind.JSON, (spread.attribute,)),)
    for column, found in _kept(columns, values if nested is None else nested, choice).items():
        table.add(column.name, column.kind, found)


def _add_labelled(table: Table, values: list[Any], spread: Spread) -> None:
    """Add a column per member and store, or per member and line of an order."""
    labels: dict[str, list[Any]] = {}
    for position, value in enumerate(values):
        for label, record in _labelled(value, position, spread):
            labels.setdefault(label, [None] * len(values))[position] = record
    for label, records in labels.items():
        for column, found in _kept(spread.columns, records, _Choice("columns")).items():
            if not (spread.by_store and column.name == "store_id"):
                table.add(f"{column.name}[{label}]", column.kind, found)


def _labelled(value: Any, position: int, spread: Spread) -> list[tuple[str, Any]]:
    rows = spread.rows(value)
    if not spread.by_store:
        return [(str(number), record) for number, record in enumerate(rows)]
    ids = [record.store_id for record in rows]
    if None in ids or len(set(ids)) != len(ids):
        raise no_table(
            "its stores have no distinct ids, so they cannot be columns; choose stores='rows' or 'json'",
            index=position,
            key=getattr(value, value.key_field, None),
        )
    return list(zip(ids, rows, strict=True))


def _scalars(keyed: list[tuple[str, Any]]) -> Table:
    table = Table({}, {})
    values = [getattr(value, "value", value) for _, value in keyed]  # an enumeration's own value
    if strange := next((value for value in values if not isinstance(value, _SCALARS)), None):
        raise no_table(f"expected models, as a call returns them, not {type(strange).__name__} objects")
    kinds = {kind_of(type(value)) for value in values}
    if len(kinds) > 1:
        raise no_table(f"a column holds one kind, not {', '.join(sorted(kinds))}")
    if any(key for key, _ in keyed):
        table.add("key", Kind.TEXT, [key for key, _ in keyed])
    table.add("value", kinds.pop(), values)
    return table
