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
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from octopus_soap.models.base import WireModel, inner_type
from octopus_soap.models.orders import OrderResponseItem
from octopus_soap.models.scalars import INT64_MAX, INT64_MIN, is_count, number_of

if TYPE_CHECKING:
    from collections.abc import Iterable


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

    def of(self, record: Any) -> Any:
        """The value in *record*, None where there is none."""
        for attribute in self.path:
            if record is None:
                return None
            record = getattr(record, attribute)
        if self.kind is Kind.JSON:
            return None if record is None else json.dumps(plain(record), ensure_ascii=False)
        return record.value if isinstance(record, Enum) else record


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


def used(columns: Iterable[Column], records: list[Any], keep: str) -> dict[Column, list[Any]]:
    """The values of each column, columns without any left out, but for the one named *keep*."""
    found = {column: [column.of(record) for record in records] for column in columns}
    return {c: values for c, values in found.items() if c.name == keep or any(v is not None for v in values)}
