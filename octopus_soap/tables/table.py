"""Results and lists of models as one table of named columns, before any library sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, get_args

from octopus_soap.errors import InvalidInputError, OddTextWarning, Problem, warn_caller
from octopus_soap.models.base import WireModel
from octopus_soap.tables.columns import Column, Kind, counted, kind_of, table_schema, text_column, used

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
        wanted, length = list(names), len(next(iter(self.data.values()), []))
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
        table = _values(keyed, stores, everything=columns != "used", secrets=secrets)
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


def _values(keyed: list[tuple[str, Any]], stores: Stores, *, everything: bool, secrets: bool) -> Table:
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
    owners, nested = list(range(len(values))), None
    if shape.spread is not None and stores == "rows":
        owners, nested = _spread_rows(values, shape.spread)
    for column, found in _kept(shape.columns, values, model.key_field, everything=everything).items():
        for name, kind, cells in _as_numbers(column, found, keyed):
            table.add(name, kind, cells if nested is None else [cells[owner] for owner in owners])
    if shape.spread is not None:
        _add_nested(table, values, nested, shape.spread, stores, everything=everything)
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


def _kept(columns: tuple[Column, ...], records: list[Any], key: str, *, everything: bool) -> dict[Column, list[Any]]:
    if everything:
        return {column: [column.of(record) for record in records] for column in columns}
    return used(columns, records, key)


def _spread_rows(values: list[Any], spread: Spread) -> tuple[list[int], list[Any]]:
    """For each row of the table, which value it belongs to, and its record; None for a value that has none."""
    owners: list[int] = []
    nested: list[Any] = []
    for position, value in enumerate(values):
        rows = spread.rows(value) or [None]
        owners += [position] * len(rows)
        nested += rows
    return owners, nested


def _add_nested(
    table: Table, values: list[Any], nested: list[Any] | None, spread: Spread, stores: Stores, *, everything: bool
) -> None:
    if nested is not None:
        for column, found in _kept(spread.columns, nested, "", everything=everything).items():
            table.add(column.name, column.kind, found)
    elif stores == "json":
        text = Column(spread.attribute, Kind.JSON, (spread.attribute,))
        found = [text.of(value) for value in values]
        if everything or any(one is not None for one in found):
            table.add(text.name, text.kind, found)
    else:
        _add_labelled(table, values, spread)


def _add_labelled(table: Table, values: list[Any], spread: Spread) -> None:
    """One column per member and store (or per member and position of an order's line)."""
    found: dict[tuple[str, str], list[Any]] = {}
    kinds = {column.name: column.kind for column in spread.columns}
    labels: dict[str, None] = {}
    for position, value in enumerate(values):
        for label, record in _labelled(value, position, spread):
            labels.setdefault(label)
            for column in spread.columns:
                one = column.of(record)
                if one is not None and not (spread.by_store and column.name == "store_id"):
                    found.setdefault((column.name, label), [None] * len(values))[position] = one
    for label in labels:
        for name, kind in kinds.items():
            if (name, label) in found:
                table.add(f"{name}[{label}]", kind, found[name, label])


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
