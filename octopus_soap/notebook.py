"""Completion in IPython and Jupyter, for result items and argument values.

It is set up when the first name of the package is used in a running IPython, or by `%load_ext octopus_soap.notebook`.
Nothing here is needed outside of IPython. IPython is not imported: the running shell provides what is needed.
"""

from __future__ import annotations

import re
import sys
from ast import literal_eval
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

_ARGUMENT = re.compile(r"""([A-Za-z_][\w.]*)\((?:[^()]|\([^()]*\))*?\b(\w+)\s*=\s*(["'])(\w*)$""")
"""The end of a line such as `result.to_frame(stores="ro`: the callable, the argument, the quote, the text so far."""

_INDEX = r"""\[\s*(?:-?\d+|"[^"\\\\]*"|'[^'\\\\]*')\s*\]"""
_MEMBER = re.compile(rf"""(?<![\w.\])])([A-Za-z_]\w*)((?:\.\w+)*{_INDEX}(?:\.\w+|{_INDEX})*)\.(\w*)$""")
"""The end of a line such as `items[0].stores[1].sto`: the name, the steps from it, the text so far."""
_STEP = re.compile(r"""\.(\w+)|\[([^\]]*)\]""")


def complete_here() -> None:
    """Set up completion in the running IPython, if there is one."""
    found = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = found() if found is not None else None
    if shell is not None:
        load_ipython_extension(shell)


def load_ipython_extension(shell: Any) -> None:
    """Set up completion in *shell*, unless it is set up already."""
    completer = getattr(shell, "Completer", None)
    matchers: Any = getattr(completer, "custom_matchers", None)
    if completer is None or matchers is None or any(getattr(one, "of_octopus_soap", False) for one in matchers):
        return

    module: Any = sys.modules.get("IPython.core.completer")
    if not hasattr(module, "context_matcher"):
        return

    def completions(context: Any, written: str, texts: list[str], **kind: str) -> dict[str, Any]:
        # IPython completes the token, which may begin before the quote.
        head = context.token.removesuffix(written)
        found = [module.SimpleCompletion(f"{head}{text}", **kind) for text in texts]
        return {"completions": found, "suppress": bool(found)}

    @module.context_matcher()  # type: ignore[untyped-decorator] # IPython is not imported, so it has no types here
    def values(context: Any) -> dict[str, Any]:
        """Return the values that the argument being written may have."""
        begun = _ARGUMENT.search(context.text_until_cursor)
        if begun is None or not _is_ours(begun[1], shell.user_ns):
            return {"completions": []}
        written = begun[4]
        fitting = [value for value in choices(begun[2]) if value.casefold().startswith(written.casefold())]
        return completions(context, written, fitting, type="value")

    @module.context_matcher()  # type: ignore[untyped-decorator] # as above
    def members(context: Any) -> dict[str, Any]:
        """Return the members of a result's item, which IPython does not evaluate."""
        begun = _MEMBER.search(context.text_until_cursor)
        value = None if begun is None else _item_at(begun[1], begun[2], shell.user_ns)
        if begun is None or value is None:
            return {"completions": []}
        written = begun[3]
        fitting = [name for name in dir(value) if name.startswith(written) and (written or not name.startswith("_"))]
        return completions(context, written, fitting)

    values.of_octopus_soap = True  # how a second call finds it
    matchers += [values, members]


def _item_at(path: str, steps: str, names: dict[str, Any]) -> Any:
    """Return the object at *steps* from *path*, such as `[0].stores[1]` from `items`.

    Only members of this package's objects and positions or keys of results and lists are read, which has no side
    effect. For anything else, None is returned.
    """
    found: Any = names.get(path)
    if not _of_package(found):
        return None
    try:
        for attribute, index in _STEP.findall(steps):
            if not (_of_package(found) or isinstance(found, (list, tuple))):
                return None
            found = getattr(found, attribute) if attribute else found[literal_eval(index)]
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
    return found if _of_package(found) else None


def _of_package(value: Any) -> bool:
    return type(value).__module__.startswith("octopus_soap.")


def _is_ours(path: str, names: dict[str, Any]) -> bool:
    """True if *path*, such as `result.to_frame`, belongs to this package."""
    first, *rest = path.split(".")
    found = names.get(first)
    for name in rest:
        if found is None or isinstance(vars(type(found)).get(name), property):
            return False  # reading a property may have a side effect
        found = getattr(found, name, None)
    module = getattr(found, "__module__", None) or type(found).__module__
    return found is not None and (str(module) + ".").startswith("octopus_soap.")


def choices(argument: str) -> list[str]:
    """Return the known values of arguments of this name; an empty list if none."""
    from octopus_soap import models, tables  # noqa: PLC0415 - needed only when Tab is pressed
    from octopus_soap.models.declarations import OmittedValues  # noqa: PLC0415 - as above

    payment, shipping = models.PaymentStatusCode, models.ShippingStatusCode
    known: dict[str, Any] = {
        "which": tables.Which,
        "stores": tables.Stores,
        "decimals": tables.Decimals,
        "columns": ("used", "all"),
        "backend": tables.Backend,
        "by": tables.OrderGroup,
        "omitted_values": OmittedValues,
        "status": payment,
        "payment_status": payment,
        "payment_status_filter": payment,
        "shipping": shipping,
        "shipping_status": shipping,
        "shipping_status_filter": shipping,
    }
    return list(_values(known.get(argument, ())))


def _values(kind: Any) -> Iterable[str]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    return [str(value) for value in kind or ()] if isinstance(kind, tuple) else map(str, get_args(kind))
