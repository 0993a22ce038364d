"""Completion in IPython and Jupyter: items of a result, their keys, and the values of arguments that have a few.

It is set up when the first name of the package is used in a running IPython, or by `%load_ext octopus_soap.notebook`.
Nothing here is needed outside of IPython, and IPython is not imported: all is done through the shell that runs.
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
"""The end of a line such as `result.to_frame(stores="ro`: what is called, the argument, the quote, what is there."""


_INDEX = r"""\[\s*(?:-?\d+|"[^"\\\\]*"|'[^'\\\\]*')\s*\]"""
_MEMBER = re.compile(rf"""(?<![\w.\])])([A-Za-z_]\w*)((?:\.\w+)*{_INDEX}(?:\.\w+|{_INDEX})*)\.(\w*)$""")
"""The end of a line such as `items[0].stores[1].sto`: the name, the steps from it, and what is there of a member."""
_STEP = re.compile(r"""\.(\w+)|\[([^\]]*)\]""")


def complete_here() -> None:
    """Set up completion in the IPython that runs; do nothing if none does."""
    found = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = found() if found is not None else None
    if shell is not None:
        load_ipython_extension(shell)


def load_ipython_extension(shell: Any) -> None:
    """Set up completion in *shell*; once is enough, and twice does no harm."""
    completer = getattr(shell, "Completer", None)
    matchers: Any = getattr(completer, "custom_matchers", None)
    if completer is None or matchers is None or any(getattr(one, "of_octopus_soap", False) for one in matchers):
        return

    module: Any = sys.modules.get("IPython.core.completer")
    if not hasattr(module, "context_matcher"):
        return

    @module.context_matcher()  # type: ignore[untyped-decorator] # IPython is used if it runs, and not imported
    def values(context: Any) -> dict[str, Any]:
        """Return the values that the argument being written may have."""
        begun = _ARGUMENT.search(context.text_until_cursor)
        if begun is None or not _is_ours(begun[1], shell.user_ns):
            return {"completions": []}
        written = begun[4]
        # IPython completes the token, which may begin before the quote.
        token = context.token
        head = token[: len(token) - len(written)] if token.endswith(written) else ""
        fitting = [value for value in choices(begun[2]) if value.casefold().startswith(written.casefold())]
        found = [module.SimpleCompletion(f"{head}{value}", type="value") for value in fitting]
        return {"completions": found, "suppress": bool(found)}

    @module.context_matcher()  # type: ignore[untyped-decorator] # as above
    def members(context: Any) -> dict[str, Any]:
        """Return the members of an item of a result, which IPython itself does not look at."""
        begun = _MEMBER.search(context.text_until_cursor)
        value = None if begun is None else _item_at(begun[1], begun[2], shell.user_ns)
        if begun is None or value is None:
            return {"completions": []}
        token, written = context.token, begun[3]
        head = token[: len(token) - len(written)] if token.endswith(written) else ""
        fitting = [name for name in dir(value) if name.startswith(written) and (written or not name.startswith("_"))]
        return {
            "completions": [module.SimpleCompletion(f"{head}{name}") for name in fitting],
            "suppress": bool(fitting),
        }

    values.of_octopus_soap = True  # how a second call finds it
    matchers += [values, members]


def _item_at(path: str, steps: str, names: dict[str, Any]) -> Any:
    """Return what *path* with its *steps* is, such as `items` with `[0].stores[1]`; None if it is not ours to look at.

    Only members of this package's objects and positions or keys of results and lists are read: that has no effect.
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
    """Return whether *path*, such as `result.to_frame`, is something of this package."""
    first, *rest = path.split(".")
    found = names.get(first)
    for name in rest:
        if found is None or isinstance(vars(type(found)).get(name), property):
            return False  # a property may do something
        found = getattr(found, name, None)
    module = getattr(found, "__module__", None) or type(found).__module__
    return found is not None and (str(module) + ".").startswith("octopus_soap.")


def choices(argument: str) -> list[str]:
    """Return the values an argument of this name may have, anywhere in the package; empty if there is no list."""
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
