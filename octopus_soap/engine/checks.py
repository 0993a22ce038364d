"""What arguments must be: every check made before the first byte is sent, each naming what is wrong and where."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from octopus_soap.engine.entries import Checked
from octopus_soap.errors import Problem
from octopus_soap.models import OrderDownloadSubmitRequest
from octopus_soap.models.scalars import FORBIDDEN, INT32_MAX, INT32_MIN, SKU_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap.models import InventoryItem, ItemQuantityAndPrice, WireModel


def text_problems(value: Any, name: str) -> list[Problem]:
    """What is wrong with a text argument: not text, empty, or with characters XML forbids."""
    if not isinstance(value, str):
        return [Problem(f"expected text, not {type(value).__name__}", field=name, value=repr(value)[:60])]
    if not value:
        return [Problem("must not be empty", field=name)]
    if found := FORBIDDEN.search(value):
        where = f"character {found[0]!r} at position {found.start()} cannot be sent in XML; remove it"
        return [Problem(where, field=name, value=repr(value[:60]))]
    return []


def account_problems(value: Any) -> list[Problem]:
    """What is wrong with an account id; its value is a secret and not shown."""
    return [replace(problem, value="") for problem in text_problems(value, "account_id")]


def sku_problems(value: Any, name: str = "") -> list[Problem]:
    """What is wrong with a SKU: as text, or longer than 50 characters."""
    problems = text_problems(value, name)
    if not problems and len(value) > SKU_LENGTH:
        message = f"a SKU has at most {SKU_LENGTH} characters, this one has {len(value)}"
        problems = [Problem(message, field=name, value=repr(value[:60]))]
    return problems


def sku(value: Any) -> Checked:
    """Examine one SKU of a list."""
    if type(value) is str and 0 < len(value) <= SKU_LENGTH and FORBIDDEN.search(value) is None:
        return Checked(value, value, [])  # at a glance: lists of SKUs are long, and nearly all of them are right
    return Checked(value if isinstance(value, str) else "", value, sku_problems(value))


def model_problems(value: Any, model: type[WireModel], *, required: bool = False) -> list[Problem]:
    """What is wrong with an argument that should be a *model*."""
    if isinstance(value, model) or (value is None and not required):
        return []
    hint = f"; {model.__name__}.model_validate(...) makes one" if isinstance(value, dict) else ""
    return [Problem(f"expected a {model.__name__}, not {type(value).__name__}{hint}")]


def item(model: type[InventoryItem | ItemQuantityAndPrice]) -> Callable[[Any], Checked]:
    """A check of items: the right model, with a SKU that can be one."""

    def check(value: Any) -> Checked:
        problems = model_problems(value, model, required=True)
        if problems:
            return Checked("", value, problems)
        return Checked(value.sku or "", value, sku_problems(value.sku or "", f"{model.__name__}.sku"))

    return check


def keyed(model: type[WireModel], attribute: str) -> Callable[[Any], Checked]:
    """A check of anything with a key: the right *model*, with *attribute* set."""

    def check(value: Any) -> Checked:
        problems = model_problems(value, model, required=True)
        if problems:
            return Checked("", value, problems)
        key = getattr(value, attribute) or ""
        return Checked(key, value, text_problems(key, f"{model.__name__}.{attribute}"))

    return check


def confirmation(value: Any) -> Checked:
    """Examine one confirmation."""
    checked = keyed(OrderDownloadSubmitRequest, "order_id")(value)
    if checked.problems or not value.store_id:
        return checked
    # A split order is confirmed once per store, so the store is part of what makes two confirmations different.
    return checked._replace(key=f"{value.order_id}@{value.store_id}")


def number_problems(**numbers: Any) -> list[Problem]:
    """What is wrong with numbers that are xs:int on the wire."""
    return [
        Problem("expected an int of 32 bits", field=name, value=repr(value)[:60])
        for name, value in numbers.items()
        if not isinstance(value, int) or isinstance(value, bool) or not INT32_MIN <= value <= INT32_MAX
    ]
