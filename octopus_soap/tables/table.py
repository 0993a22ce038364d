"""Results and lists of models as one table of named columns, before any library sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from octopus_soap.errors import InvalidInputError, OddTextWarning, Problem, warn_caller
from octopus_soap.models.base import WireModel
from octopus_soap.tables.columns import Column, Kind, Members, counted, kind_of, table_schema, text_column

if TYPE_CHECKING:
    from octopus_soap.results import BatchResult
    from octopus_soap.tables.columns import Spread


Which = Literal["values", "outcomes"]
Stores = Literal["rows", "columns", "json"]
Columns = Literal["used", "all"] | Sequence[str]


@dataclass(slots=True)
class Table:
    """Columns by name, each with what it holds and one value per row; None where there is none."""

    kinds: dict[str, Kind]
    data: dict[str, list[Any]]

    def add(self, name: str, kind: Kind, values: list[Any]) -> None:
        """Add a column at the end."""
        self.kinds[name], self.data[name] = kind, values

    def chosen(self, names: Iterable[str]) -> Table:
        """These columns only, in this order; one that no row has a value for is empty text."""
        wanted, length = list(names), max(map(len, self.data.values()), default=0)
        empty: list[Any] = [None] * length
        return Table(
            {name: self.kinds.get(name, Kind.TEXT) for name in wanted},
            {name: self.data.get(name, empty) for name in wanted},
        )


def check_choice(value: Any, choices: Any, name: str) -> None:
    """Refuse a *value* that is none of the *choices* of the argument *name*."""
    known = get_args(choices)
    if value not in known:
        shown = ", ".join(repr(choice) for choice in known)
        raise InvalidInputError(
            [Problem(f"choose one of {shown}", field=name, value=repr(value)[:60])], sent="no table"
        )


def table_of(
    source: BatchResult[Any] | Iterable[Any],
    *,
    which: Which = "values",
    stores: Stores = "rows",
    columns: Columns = "used",
    secrets: bool = False,
) -> Table:
    """The table of a result or of models."""
    check_choice(which, Which, "which")
    check_choice(stores, Stores, "stores")
    if isinstance(columns, str):
        check_choice(columns, Literal["used", "all"], "columns")
    outcomes = getattr(source, "outcomes", None)
    if which == "outcomes":
        if outcomes is None:
            problem = Problem("only the result of a list call has outcomes", field="which")
            raise InvalidInputError([problem], sent="no table")
        table = _outcomes(outcomes)
    else:
        keyed = [(o.key, o.value) for o in outcomes if o.ok] if outcomes is not None else [("", v) for v in source]
        named = None if isinstance(columns, str) else frozenset(columns)
        table = _values(keyed, _Choice(stores, columns == "all", named), secrets=secrets)
    return table if isinstance(columns, str) else _picked(table, list(columns))


def _picked(table: Table, names: list[str]) -> Table:
    if table.data and (strange := [name for name in names if name not in table.data]):
        problems = []
        for name in strange:
            near = get_close_matches(name, table.data, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(table.data)}"
            problems.append(Problem(f"no column {name!r}; {hint}", field="columns"))
        raise InvalidInputError(problems, sent="no table")
    return table.chosen(names)


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
    """What a table shows.

    Attributes:
        stores: how the list it may be spread over is shown.
        everything: all columns, not only those that have a value.
        named: these columns are filled; the others are there and hold nothing.
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
        raise InvalidInputError(
            [Problem(f"a table holds one model; these are {model.__name__} and {', '.join(sorted(others))}")],
            sent="no table",
        )
    shape = table_schema(model, secrets=secrets)
    owners: list[int] = []
    nested: list[Any] | None = None
    if shape.spread is not None and choice.stores == "rows":
        owners, nested = _spread_rows(values, shape.spread)
    for column, found in _kept(shape.columns, values, choice, model.key_field).items():
        for name, kind, cells in _as_numbers(column, found, keyed):
            spread_out = bool(cells) and len(owners) > len(values)
            table.add(name, kind, list(map(cells.__getitem__, owners)) if spread_out else cells)
    if shape.spread is not None:
        _add_nested(table, values, nested, shape.spread, choice)
    return table


def _as_numbers(
    column: Column, found: list[Any], keyed: list[tuple[str, Any]]
) -> Iterator[tuple[str, Kind, list[Any]]]:
    """Yield a column as it is; one of counts as numbers, with what is no number in a column of its own."""
    if column.kind is not Kind.COUNT:
        yield column.name, column.kind, found
        return
    kind, numbers, odd = counted(found)
    yield column.name, kind, numbers
    strange = [position for position, text in enumerate(odd) if text is not None]
    if strange:
        yield text_column(column.name), Kind.TEXT, odd
        keys = [getattr(value, value.key_field, None) or key for key, value in (keyed[at] for at in strange[:3])]
        shown = ", ".join(f"{odd[at]!r} of {key!r}"[:80] for at, key in zip(strange, keys, strict=False))
        warn_caller(
            f"{column.name}: {len(strange)} of {len(found)} values are texts that are no number ({shown}"
            f"{', …' if len(strange) > len(keys) else ''}). They are in the column {text_column(column.name)!r}, and "
            f"{column.name!r} has no value there",
            OddTextWarning,
        )


def _kept(columns: tuple[Column, ...], records: list[Any], choice: _Choice, key: str = "") -> dict[Column, list[Any]]:
    """What stands in the columns chosen; one that is only named, and not chosen, holds nothing."""
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
    """For each row of the table, which value it belongs to, and its record; None for a value that has none."""
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
    """One column per member and store (or per member and position of an order's line)."""
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
        problem = Problem(
            "its stores have no ids that tell them apart, so they cannot be columns; choose stores='rows' or 'json'",
            index=position,
            key=getattr(value, value.key_field, None),
        )
        raise InvalidInputError([problem], sent="no table")
    return list(zip(ids, rows, strict=True))


def _scalars(keyed: list[tuple[str, Any]]) -> Table:
    table = Table({}, {})
    values = [getattr(value, "value", value) for _, value in keyed]  # an enumeration's own value
    kinds = {kind_of(type(value)) for value in values}
    if len(kinds) > 1:
        raise InvalidInputError([Problem(f"a column holds one kind, not {', '.join(sorted(kinds))}")], sent="no table")
    if any(key for key, _ in keyed):
        table.add("key", Kind.TEXT, [key for key, _ in keyed])
    table.add("value", kinds.pop(), values)
    return table
