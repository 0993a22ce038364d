"""Custom fields (vendor's page, CustomFieldMapping)."""

from __future__ import annotations

from typing import ClassVar

from octopus_soap.models.base import WireModel, member
from octopus_soap.models.scalars import Text


class CustomFieldMapping(WireModel):
    """One custom field: its text, the value it maps to, and whether it is mapped.

    The page types `IsMapping` as string; which texts the service expects is unknown.
    """

    key_field: ClassVar[str] = "text"

    text: Text | None = member("Text")
    value: Text | None = member("Value")
    is_mapping: Text | None = member("IsMapping")
