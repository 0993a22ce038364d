"""`every`: runs a test over a table, if it needs no service for each row."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def every(names: str | tuple[str, ...], values: Iterable[Any], ids: Any = repr) -> Callable[..., Any]:
    """Run the test for each value, as one case, and name every value that fails.

    `pytest.mark.parametrize` makes a case of each value, with its own fixtures and report: worth it if a case does
    much, and most of the test's time if it does little.

    Args:
        names: of the test's arguments, as for `parametrize`.
        values: one for each run; tuples for several names.
        ids: how a value is shown if its run fails.
    """
    given = tuple(part.strip() for part in names.split(",")) if isinstance(names, str) else tuple(names)
    table = [(value,) if len(given) == 1 else tuple(value) for value in values]
    shown = list(ids) if not callable(ids) else [", ".join(str(ids(part)) for part in row) for row in table]
    assert table, "a table of nothing tests nothing"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            failed: list[BaseException] = []
            for row, name in zip(table, shown, strict=True):
                try:
                    test(*args, **kwargs, **dict(zip(given, row, strict=True)))
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - raised below, with the others
                    error.add_note(f"with {', '.join(given)} = {name[:200]}")
                    failed.append(error)
            if failed:
                raise BaseExceptionGroup(f"{len(failed)} of {len(table)} fail", failed)

        signature = inspect.signature(test)
        wanted = [parameter for name, parameter in signature.parameters.items() if name not in given]
        run.__signature__ = signature.replace(parameters=wanted)  # type: ignore[attr-defined] # what pytest looks at
        return run

    return decorate
