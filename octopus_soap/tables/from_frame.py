"""Models made from a DataFrame, or a report of every cell that cannot be used.

A column is found by attribute (`store_stock`, `ship.city`, `store_stock[S1]`) or, for the model's own members, by wire
name. An empty cell (None, NaN, NaT, NA) leaves the member unset, so that it is not sent; use `replace(price=None)` to
send an `xsi:nil`. An empty text is sent as an empty text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models.base import WireModel, inner_type
from octopus_soap.models.inventory import InventoryItem
from octopus_soap.tables.cells import MISSING, column_values
from octopus_soap.tables.table import Column, Kind, Spread, TableSchema, table_schema, text_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


M = TypeVar("M", bound=WireModel)

_REFUSED = "no model was made from the frame"
_LABELLED = re.compile(r"(\w+)\[(.*)\]", re.DOTALL)
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class _Target:
    """The member that a column fills; *label* is the store of a spread column."""

    column: Column
    spread: bool = False
    label: str | None = None


@dataclass(slots=True)
class _Record:
    """The values for one model so far, with the number of its first row."""

    row: int
    own: dict[str, Any] = field(default_factory=dict)
    nested: dict[str, dict[str, Any]] = field(default_factory=dict)
    spread: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


def items_from_frame(frame: Any, model: type[M] = InventoryItem, *, money_digits: int | None = None) -> list[M]:  # type: ignore[assignment] # the default is the most common M
    """Return models from the rows of a DataFrame, for uploads and updates.

    Args:
        frame: a DataFrame of pandas or polars, or a pyarrow Table. If it has columns of stores (or order lines), rows
            with the same key become one model.
        model: the model to make, such as `ItemQuantityAndPrice` for a stock update.
        money_digits: decimal places to round floats in columns of money to; without it a float must be exact, since
            19.99 as a float is another number.

    Returns:
        The models, in the order of the rows.

    Raises:
        InvalidInputError: `.problems` lists every cell that cannot be used, by row and column, and every unknown
            column.
    """
    return _Reader(frame, model, money_digits).models()


class _Reader:
    def __init__(self, frame: Any, model: type[WireModel], money_digits: int | None) -> None:
        self._model, self._layout, self._digits = model, table_schema(model, secrets=True), money_digits
        self._problems: list[Problem] = []
        self._marked: set[tuple[int, Any]] = set()  # cells that have a problem
        names, self._cells, self._labels = contents_of(frame, _REFUSED)
        self._targets = self._known(names, frame)
        self._key_column = next((n for n, t in self._targets.items() if t.column.name == model.key_field), None)
        self._names = {(t.spread, t.label, t.column.name): name for name, t in self._targets.items()}
        outer = {target.column.path[0] for target in self._targets.values() if not target.spread}
        self._kinds = {name: inner_type(model.model_fields[name].annotation) for name in outer}
        self._lists = {
            name: record
            for name, kind in self._kinds.items()
            if get_origin(kind) is list and issubclass(record := get_args(kind)[0], WireModel)
        }
        """Members that are lists of records, with their models."""

    def models(self) -> list[Any]:
        if self._problems:  # an unknown column, so the cells cannot be read
            raise InvalidInputError(self._problems, sent=_REFUSED)
        made = [self._made(record) for record in self._records()]
        if self._problems:
            positions = {name: position for position, name in enumerate(self._cells)}
            self._problems.sort(key=lambda problem: (problem.index or 0, positions.get(problem.field, -1)))
            raise InvalidInputError(self._problems, sent=_REFUSED)
        return made

    # -- columns -----------------------------------------------------------------------------------------------

    def _known(self, names: list[Any], frame: Any) -> dict[str, _Target]:
        accepted = _accepted(self._layout)
        targets: dict[str, _Target] = {}
        for name in names:
            target = _target(name, accepted, self._layout.spread)
            if target is None:
                self._problems.append(
                    Problem(f"{self._model.__name__} has no such column{_hint(name, accepted)}", field=str(name))
                )
            else:
                targets[name] = target
        taken = Counter((t.spread, t.label, t.column.name) for t in map(targets.get, names) if t is not None)
        doubles = [name for (_, _, name), count in taken.items() if count > 1]
        self._problems += [Problem("more than one column holds it; keep one", field=name) for name in doubles]
        key = self._model.key_field
        if key and not any(t.column.name == key and not t.spread for t in targets.values()):
            message = f"the column is missing: without it the records cannot be distinguished{if_index(frame, key)}"
            self._problems.append(Problem(message, field=key))
        return targets

    # -- rows --------------------------------------------------------------------------------------------------

    def _records(self) -> Iterator[_Record]:
        gathered: dict[Any, _Record] = {}
        gathering = any(t.spread and t.label is None for t in self._targets.values())
        for record, spread in self._rows():
            key = record.own.get(self._model.key_field)
            if self._model.key_field and not key and (record.row, self._key_column) not in self._marked:
                self._problem(record.row, self._model.key_field, "every row needs one", spread=False)
            record.spread += [(record.row, members) for members in spread]
            first = gathered.setdefault(key if gathering and key else record.row, record)
            if first is not record:
                self._join(first, record)
        yield from gathered.values()

    def _rows(self) -> Iterable[tuple[_Record, Iterable[dict[str, Any]]]]:
        """Return the values of each row, and the records of its stores or lines."""
        records = [_Record(row) for row in range(len(self._labels))]
        spreads: list[dict[str | None, dict[str, Any]]] = [{} for _ in records]
        for name, target in self._targets.items():
            values, wrong = column_values(self._cells[name], target.column, self._digits)
            for row, message in wrong.items():
                self._mark(row, name, message)
            outer, *inner = target.column.path
            member = inner[0] if inner else outer
            for record, spread, value in zip(records, spreads, values, strict=True):
                if value is MISSING:
                    continue
                if target.spread:
                    members = spread.setdefault(target.label, {})
                else:
                    members = record.nested.setdefault(outer, {}) if inner else record.own
                if members is record.own and member in members:
                    self._mark(record.row, name, f"{member} has a value in this row too; keep one of them")
                else:
                    members[member] = value
        if self._layout.spread is not None and self._layout.spread.by_store:
            labelled = ((label, members) for spread in spreads for label, members in spread.items())
            for label, members in labelled:
                if label is not None:
                    members["store_id"] = label
        return ((record, spread.values()) for record, spread in zip(records, spreads, strict=True))

    def _join(self, first: _Record, record: _Record) -> None:
        """Add *record* to *first*; their rows may differ in store or line only."""
        for name, target in self._targets.items():
            path = target.column.path
            if not target.spread and _at_path(first, path) != _at_path(record, path):
                at = self._label(first.row)
                self._mark(record.row, name, f"differs from row {at}, which has the same key")
        first.spread += record.spread

    # -- models ------------------------------------------------------------------------------------------------

    def _made(self, record: _Record) -> Any:
        own = record.own
        for name, kind in self._lists.items():
            if isinstance(own.get(name), list):
                own[name] = self._listed(record.row, name, kind, own[name])
        for outer, members in record.nested.items():
            if (made := self._built(self._kinds[outer], members, record.row, prefix=f"{outer}.")) is not None:
                own[outer] = made
        spread = self._layout.spread
        if spread is not None and record.spread:
            built = [self._built(spread.model, members, row, spread=True) for row, members in record.spread]
            own[spread.attribute] = [made for made in built if made is not None]
        return self._built(self._model, own, record.row)

    def _listed(self, row: int, name: str, kind: type[WireModel], value: list[Any]) -> list[Any]:
        """Return the records of a list from JSON; a problem names its record."""
        made: list[Any] = []
        for position, each in enumerate(value):
            try:
                made.append(kind(**each) if isinstance(each, dict) else each)
            except InvalidInputError as error:
                for problem in error.problems:
                    inside = problem.field.rpartition(".")[2]
                    self._problem(row, name, f"[{position}] {inside}: {problem.message}", problem.value, spread=False)
        return made

    def _built(
        self, kind: type[WireModel], members: dict[str, Any], row: int, *, prefix: str = "", spread: bool = False
    ) -> Any:
        try:
            return kind(**members)
        except InvalidInputError as error:
            wire = kind.wire_names()
            for problem in error.problems:
                first = problem.field.removeprefix(f"{kind.__name__}.").split(".")[0]
                name = prefix + wire.get(first, first)
                label = members.get("store_id") if spread else None
                self._problem(row, name, problem.message, problem.value, spread=spread, label=label)
            return None

    # -- problems ----------------------------------------------------------------------------------------------

    def _problem(
        self, row: int, member: str, message: str, value: str = "", *, spread: bool, label: Any = None
    ) -> None:
        column = self._names.get((spread, label, member)) or self._names.get((spread, None, member)) or member
        if column in self._cells and isinstance(self._cells[column][row], float) and "the float" in message:
            message = f"{message}, or money_digits=2 to round the column"
        self._mark(row, column, message, value)

    def _mark(self, row: int, column: Any, message: str, value: str = "") -> None:
        self._marked.add((row, column))
        self._problems.append(self._at(row, column, message, value))

    def _at(self, row: int, column: str, message: str, value: str = "") -> Problem:
        target = self._targets.get(column)
        secret = target is not None and not self._model.secret_fields.isdisjoint(target.column.path)
        if not value and column in self._cells and not secret:
            value = repr(self._cells[column][row])
        key = self._cells[self._key_column][row] if self._key_column is not None else None
        label = self._label(row)
        where = "" if label == str(row) else f" (row {label})"
        return Problem(
            f"{message}{where}",
            index=row,
            key=key if isinstance(key, str) else None,
            field=str(column),
            value="" if secret else value if len(value) <= _SHOWN else f"{value[: _SHOWN - 1]}…",
        )

    def _label(self, row: int) -> str:
        return repr(self._labels[row])


def _at_path(record: _Record, path: tuple[str, ...]) -> Any:
    return record.own.get(path[0]) if len(path) == 1 else record.nested.get(path[0], {}).get(path[1])


def contents_of(frame: Any, sent: str) -> tuple[list[Any], dict[Any, list[Any]], list[Any]]:
    """Return the column names, the cells of each column, and the rows' labels.

    Raises:
        InvalidInputError: it is no frame; its message begins with *sent*.
    """
    library = type(frame).__module__.partition(".")[0]
    if library == "pandas" and hasattr(frame, "columns"):
        names = frame.columns.tolist()
        cells = {name: frame.iloc[:, position].tolist() for position, name in enumerate(names)}
        return names, cells, frame.index.tolist()
    if library == "polars" and hasattr(frame, "to_dict"):
        return frame.columns, frame.to_dict(as_series=False), list(range(frame.height))
    if library == "pyarrow" and hasattr(frame, "column_names"):
        cells = {name: frame.column(position).to_pylist() for position, name in enumerate(frame.column_names)}
        return frame.column_names, cells, list(range(frame.num_rows))
    kind = f"{type(frame).__module__}.{type(frame).__name__}"
    problem = Problem(f"expected a DataFrame of pandas or polars, or a pyarrow Table, not {kind}", field="frame")
    raise InvalidInputError([problem], sent=sent)


def if_index(frame: Any, name: str) -> str:
    """Return what to do if the index of a pandas DataFrame has the *name*, or nothing."""
    names = getattr(getattr(frame, "index", None), "names", None) or ()
    return f"; {name!r} is the frame's index: pass frame.reset_index()" if name in names else ""


def _accepted(shape: TableSchema) -> dict[str, _Target]:
    """Return every name that a column may have, with its target."""
    accepted = {column.name: _Target(column) for column in shape.columns}
    for column in shape.columns:
        if column.kind is Kind.COUNT:  # for the counts that are no number
            name = text_column(column.name)
            accepted[name] = _Target(Column(name, Kind.TEXT, column.path))
    if shape.spread is not None:
        text = Column(shape.spread.attribute, Kind.JSON, (shape.spread.attribute,))
        accepted[text.name] = _Target(text)
        accepted |= {column.name: _Target(column, spread=True) for column in shape.spread.columns}
        for wire, name in shape.spread.model.wire_names().items():
            accepted.setdefault(wire, accepted[name])
    for wire, name in shape.model.wire_names().items():
        if name in accepted:
            accepted[wire] = accepted[name]
    return accepted


def _target(name: Any, accepted: dict[str, _Target], spread: Spread | None) -> _Target | None:
    if not isinstance(name, str):
        return None
    if name in accepted:
        return accepted[name]
    labelled = _LABELLED.fullmatch(name)
    found = accepted.get(labelled[1]) if labelled is not None and spread is not None else None
    if labelled is None or found is None or not found.spread or found.column.name == "store_id":
        return None
    return _Target(found.column, spread=True, label=labelled[2])


def _hint(name: Any, accepted: dict[str, _Target]) -> str:
    folded = {known.casefold(): known for known in reversed(accepted)}  # attributes before wire names
    near = get_close_matches(str(name).casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else "; leave it out of the frame"
