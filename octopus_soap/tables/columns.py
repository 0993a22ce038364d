"""Which columns a model has in a table, and what stands in them.

A scalar member is a column of its own name. A nested record gives one column per member, with a dot (`ship.city`).
A list inside a record is JSON text, except the one a table may be spread over: the store stock of an item, the lines of
an order. Secret members are left out unless asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cache
from operator import attrgetter, itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from octopus_soap.models.base import WireModel, inner_type
from octopus_soap.models.orders import OrderResponseItem
from octopus_soap.models.scalars import INT64_MAX, INT64_MIN, is_count, number_of

if TYPE_CHECKING:
    from collections.abc import Sequence


SPREADABLE = ("store_stock_info_list", "order_items")
"""The lists a table may be spread over; no model has two of them."""


class Kind(StrEnum):
    """What a column holds."""

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
    (bool, Kind.FLAG),  # before int: a bool is one
    (int, Kind.INTEGER),
    (float, Kind.REAL),
    (Decimal, Kind.AMOUNT),
    (datetime, Kind.MOMENT),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, what it holds, and the attributes that lead to it."""

    name: str
    kind: Kind
    path: tuple[str, ...]

    def shown(self, values: list[Any]) -> list[Any]:
        """What stands in the column for *values* of the member, None where there is none."""
        if self.kind is Kind.JSON:
            return [None if value is None else json.dumps(plain(value), ensure_ascii=False) for value in values]
        if any(issubclass(kind, Enum) for kind in set(map(type, values))):
            return [value.value if isinstance(value, Enum) else value for value in values]
        return values


@dataclass(frozen=True, slots=True)
class Spread:
    """The list a table may be spread over: its attribute, its records' model, and their columns."""

    attribute: str
    model: type[WireModel]
    columns: tuple[Column, ...]

    @property
    def by_store(self) -> bool:
        """True for store stock, whose records differ by store id; order lines differ by position."""
        return "store_id" in self.model.model_fields

    def rows(self, record: Any) -> list[Any]:
        """The records of the list in *record*, empty where there is none."""
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
    """What a column of values of the type *annotation* holds."""
    if is_count(annotation):
        return Kind.COUNT
    inner = inner_type(annotation)
    if get_origin(inner) is list:
        return Kind.JSON
    return next((kind for base, kind in _KINDS if issubclass(inner, base)), Kind.TEXT)


@cache
def table_schema(model: type[WireModel], *, secrets: bool = False) -> TableSchema:
    """The columns of *model*, in the order of its fields."""
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
    """Return the name of the column for what is no number among the counts of the column *name*."""
    return f"{name}_text"


def counted(texts: list[str | None]) -> tuple[Kind, list[int | None] | list[Decimal | None], list[str | None]]:
    """Return a column of counts as numbers: its kind, its values, and the texts that are no number.

    The numbers are integers, or all of them decimals if one is not whole. Nothing and empty text are None.
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
    """*value* as JSON takes it and the models read it back; what is unset or secret is left out."""
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
"""The members of a record that is not there."""


class Members:
    """The members of many records of one model, which may be None, looked up one member at a time.

    Most members of most records are unset, and an unset one is None. So only those are looked at that are set in some
    record.
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
        """What stands in *column*, one value per record; None if no record has a value."""
        values = self.values(column.path)
        return None if values is None else column.shown(values)

    def all_of(self, column: Column) -> list[Any]:
        """What stands in *column*, one value per record."""
        values = self.column(column)
        return self._nothing if values is None else values

    def values(self, path: tuple[str, ...]) -> list[Any] | None:
        """The values at *path*, one per record; None if no record has one."""
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
