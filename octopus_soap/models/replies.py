"""What the result of an operation is, as the catalogue declares it and the decoder reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from octopus_soap.models.base import WireModel


_MOST_ROWS = 200_000
"""Rows of a list that is not asked for by key; the largest reply that is read has room for as many items."""


@dataclass(frozen=True, slots=True)
class RowsOf:
    """A list of *model*.

    Attributes:
        model: of a row.
        raw: keep the XML of every row, not only of those that cannot be read.
        asked: how many rows were asked for; None if the call does not say.
    """

    model: type[WireModel]
    raw: bool = False
    asked: int | None = None

    @property
    def most(self) -> int:
        """The most rows that are read: far more than were asked for would only fill the memory."""
        return _MOST_ROWS if self.asked is None else 10 * self.asked + 100


@dataclass(frozen=True, slots=True)
class OneOf:
    """One *model*."""

    model: type[WireModel]


@dataclass(frozen=True, slots=True)
class ScalarOf:
    """A scalar of *type*: int, bool or str."""

    type: type[Any]


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing: the operation is void."""


Reads: TypeAlias = RowsOf | OneOf | ScalarOf | Nothing
