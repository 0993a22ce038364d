"""`client.operations`: the catalogue with a client's settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from octopus_soap import display
from octopus_soap.engine.operation import OPERATIONS

if TYPE_CHECKING:
    from octopus_soap.engine.operation import Operation
    from octopus_soap.engine.request import Context
    from octopus_soap.models.declarations import Safety

_COLUMNS = ("method", "operation", "per request", "safety", "what it does")


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One operation, with a client's settings.

    Attributes:
        wire_name: the service's name, such as `GetItemList`.
        name: the client's method, such as `get_item_list`.
        batch_size: rows per request of a list operation; None for the others.
        documented: True if the vendor's page states the limit of rows per request.
        safety: what a repeat may do: `read`, `idempotent` or `unsafe`.
        summary: what it does, in one line.
    """

    wire_name: str
    name: str
    batch_size: int | None
    documented: bool
    safety: Safety
    summary: str


class Catalogue(Sequence[CatalogueRow], display.Shown):
    """The operations of a client; print it, or loop over its rows."""

    __slots__ = ("_rows",)

    def __init__(self, context: Context) -> None:
        self._rows = tuple(_row(operation, context) for operation in OPERATIONS.values())

    @overload
    def __getitem__(self, index: int) -> CatalogueRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CatalogueRow, ...]: ...
    def __getitem__(self, index: int | slice) -> CatalogueRow | tuple[CatalogueRow, ...]:
        """Return the row at *index*, or the rows of a slice."""
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        rows = [[display.text(cell) for cell in row[:-1]] + [row[-1]] for row in self._cells()]
        return display.columns_of_text([_COLUMNS, *rows])

    def _view(self) -> display.View:
        grid = display.Grid("", _COLUMNS, [list(row) for row in self._cells()])
        return display.View(f"{len(self)} operations", grids=[grid])

    def _cells(self) -> list[tuple[str, str, int | None, str, str]]:
        return [(r.name, r.wire_name, r.batch_size, r.safety.value, r.summary) for r in self._rows]


def _row(operation: Operation, context: Context) -> CatalogueRow:
    rule = operation.rule
    return CatalogueRow(
        operation.wire_name,
        operation.name,
        None if rule is None else context.batch_sizes.get(operation.wire_name, rule.limit),
        rule is not None and rule.documented,
        context.safety.get(operation.wire_name, operation.safety),
        operation.summary,
    )


class NoSuchOperationError(AttributeError):
    """A client has no such attribute.

    The nearest name is looked for when the message is shown, because most of these errors are raised for `hasattr` and
    never shown.
    """

    def __init__(self, kind: str, wanted: str) -> None:
        super().__init__(kind, wanted)

    def __str__(self) -> str:
        kind, wanted = self.args
        hint = ""
        if not wanted.startswith("_"):
            near = meant(wanted)
            hint = f"; did you mean {near}?" if near else "; `.operations` lists what it has"
        return f"{kind} has no {wanted!r}{hint}"


def meant(name: str) -> str:
    """Return the method that *name*, a wire name or a misspelling, means, or ""."""
    folded = {operation.name.replace("_", ""): operation.name for operation in OPERATIONS.values()}
    wanted = name.replace("_", "").casefold()
    if wanted in folded:
        return folded[wanted]
    from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

    found = get_close_matches(wanted, folded, n=1)
    return folded[found[0]] if found else ""
