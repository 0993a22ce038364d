"""`--where`, `--fields` and `--no-nulls`: which records are printed, and which of their columns.

A condition is `COLUMN OPERATOR VALUE` with `=`, `!=`, `<`, `<=`, `>`, `>=` or `~` (contains, in any case). Numbers are
compared as numbers, everything else as text; a column without a value meets only `!=`. All conditions must hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.records import Records, kinds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CONDITION = re.compile(r"\s*([A-Za-z_][\w.\[\]-]*)\s*(<=|>=|!=|==|=|<|>|~)\s*(.*?)\s*")

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where", metavar="CONDITION", help="Only these, such as 'stock = 0' or 'price > 9.99'. Can be repeated."
    ),
]
FieldsOption = Annotated[
    str | None,
    typer.Option("--fields", metavar="LIST", help="Only these columns, in this order, such as sku,stock,price."),
]
NoNullsOption = Annotated[bool, typer.Option("--no-nulls", help="Leave out members without a value.")]


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for.

    Attributes:
        where: the conditions.
        fields: the columns, separated by commas.
        no_nulls: whether members without a value are left out.
    """

    where: Sequence[str] | None = None
    fields: str | None = None
    no_nulls: bool = False

    def kept(self, records: Records) -> list[bool]:
        """Return for each record whether it meets every condition.

        Raises:
            typer.BadParameter: a condition is not one, or names a column there is none of.
        """
        tests = [_test(text, records) for text in self.where or ()]
        return [all(test(row) for test in tests) for row in records.flat()]

    def shown(self, records: Records) -> Records:
        """Return the records with the columns that were asked for.

        Raises:
            typer.BadParameter: there is no such column.
        """
        if self.fields is not None:
            names = [_column(name.strip(), records, "--fields") for name in self.fields.split(",") if name.strip()]
            rows: list[Mapping[str, Any]] = [{name: row.get(name) for name in names} for row in records.flat()]
            records = Records(rows)
        return replace(records, rows=[_without_nulls(row) for row in records.rows]) if self.no_nulls else records


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _column(name: str, records: Records, option: str) -> str:
    known = [
        *(kinds_of(records.model) if records.model else ()),
        *dict.fromkeys(k for row in records.flat() for k in row),
    ]
    if name in known or not known:
        return name
    meant = records.model.nearest(name) if records.model else next(iter(get_close_matches(name, known, n=1)), "")
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(known[:12])}, …"
    raise typer.BadParameter(f"no column {name!r}; {hint}", param_hint=option)


def _test(text: str, records: Records) -> Callable[[Mapping[str, Any]], bool]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a condition such as 'stock = 0'", param_hint="--where")
    name, operator, wanted = _column(match[1], records, "--where"), match[2], match[3].strip("'\"")

    def holds(row: Mapping[str, Any]) -> bool:
        cell = row.get(name)
        if cell is None:
            return operator == "!="
        if operator == "~":
            return wanted.casefold() in str(cell).casefold()
        left, right = _comparable(cell, wanted)
        found: dict[str, bool] = {
            "=": left == right, "==": left == right, "!=": left != right,
            "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
        }  # fmt: skip
        return found[operator]

    return holds


def _comparable(cell: Any, wanted: str) -> tuple[Any, Any]:
    """Return both sides as numbers if both are, otherwise as text; a truth value is `true` or `false`."""
    text = str(cell).lower() if isinstance(cell, bool) else str(cell)
    try:
        left, right = Decimal(text), Decimal(wanted)
    except InvalidOperation:
        return text, wanted
    return (left, right) if left.is_finite() and right.is_finite() else (text, wanted)
