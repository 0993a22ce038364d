"""`DryRun`: the requests that a call would send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from octopus_soap import display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octopus_soap.engine.effects import Attempt
    from octopus_soap.models.base import WireModel
    from octopus_soap.results import BatchResult
    from octopus_soap.tables import Comparison


class DryRun(Sequence["Attempt"], display.Shown):
    """The requests that a call would send first, checked and encoded.

    Its length is the number of requests. Printed, or as the last line of a notebook's cell, it shows the items that
    would be sent; `changes` compares them with the current ones, and `message` shows a request's XML, masked.

    Attributes:
        operation: wire name of the operation.
        items: the models that would be sent, in input order, equal ones once; empty if the call sends none.
        keys: SKUs or order ids of what would be asked or written, each once.
    """

    __slots__ = ("_requests", "_shown", "items", "keys", "operation")

    def __init__(
        self,
        operation: str,
        requests: Iterable[Attempt],
        items: Iterable[WireModel],
        keys: Iterable[str],
        shown: Callable[[bytes], str],
    ) -> None:
        self.operation = operation
        self.items = tuple(items)
        self.keys = tuple(dict.fromkeys(key for key in keys if key))
        self._requests = tuple(requests)
        self._shown = shown

    @overload
    def __getitem__(self, index: int) -> Attempt: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Attempt, ...]: ...
    def __getitem__(self, index: int | slice) -> Attempt | tuple[Attempt, ...]:
        """Return the request at *index*; its body contains the secret account id."""
        return self._requests[index]

    def __len__(self) -> int:
        return len(self._requests)

    def message(self, index: int = 0) -> str:
        """Return the XML of the request at *index*, with secrets masked."""
        return self._shown(self._requests[index].body)

    def changes(self, current: BatchResult[Any] | Iterable[Any]) -> Comparison:
        """Compare the items that would be written with the *current* ones.

        A member that is not sent is not compared. Rows that `appeared` are items the service does not have: an upload
        adds them, an update of them is rejected.

        Args:
            current: the items of the service now: `client.get_item_list(dry_run.keys)`, which is a read.

        Raises:
            InvalidInputError: the call writes no items.
        """
        from octopus_soap.tables.comparison import planned_changes  # noqa: PLC0415 - few ask

        return planned_changes(current, self.items)

    @property
    def _title(self) -> str:
        count, size = len(self._requests), sum(len(request.body) for request in self._requests)
        parts = [f"{count:,} request{'' if count == 1 else 's'}"]
        many = len(self.items) or len(self.keys)
        if many:
            parts.append(f"{many:,} {'item' if self.items else 'key'}{'' if many == 1 else 's'}")
        return f"{self.operation}: {', '.join(parts)}, {size:,} bytes, nothing was sent"

    def _view(self) -> display.View:
        view = display.View(f"Dry run of {self._title}")
        first = next((request.operation for request in self._requests), self.operation)
        if first != self.operation:
            view.lines.append(f"{first} is asked first; what {self.operation} then sends depends on its answer")
        if self.items:
            view.grids.append(display.grid_of_models("would be sent", self.items))
            view.quiet.append("before and after: .changes(client.get_item_list(dry_run.keys)), which reads the items")
        elif self.keys:
            shown = [[key] for key in self.keys[: display.MOST_ROWS]]
            view.grids.append(display.Grid("", ("key",), shown, len(self.keys) - len(shown)))
        if self._requests:
            view.quiet.append("the first request, masked: print(dry_run.message(0))")
        return view

    def __repr__(self) -> str:
        return f"<DryRun {self._title}>"

    def __str__(self) -> str:
        return display.plain(self._view())
