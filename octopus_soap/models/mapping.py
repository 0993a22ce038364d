"""Custom fields (vendor's page, CustomFieldMapping)."""

from __future__ import annotations

from typing import ClassVar

from octopus_soap.models.base import WireModel, member
from octopus_soap.models.scalars import FlagText, Text


class CustomFieldMapping(WireModel):
    """One custom field: its text, the value it maps to, and whether it is mapped.

    The page types `IsMapping` as string; which texts the service expects is unknown. A bool is written as
    `true` or `false`.
    """

    key_field: ClassVar[str] = "text"

    text: Text | None = member("Text")
    value: Text | None = member("Value")
    is_mapping: FlagText | None = member("IsMapping")
