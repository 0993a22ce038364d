"""What the result of an operation is, as the catalogue declares it and the decoder reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from octopus_soap.models.base import WireModel


@dataclass(frozen=True, slots=True)
class RowsOf:
    """A list of *model*; *raw* asks for the XML of every row, not only of those that cannot be read."""

    model: type[WireModel]
    raw: bool = False


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
