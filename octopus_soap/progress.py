"""What `progress=` of a list call may be: a callable, or True for a tqdm bar in the notebook or the terminal."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.extras import needed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from octopus_soap.results import Progress


class Reporter:
    """Takes the stand of one list call after each batch, and shows it or passes it on.

    Args:
        progress: what the caller gave; None and False show nothing.

    Raises:
        InvalidInputError: it is neither a bool nor callable.
        ConfigError: it is True and tqdm is not installed; nothing was sent.
    """

    def __init__(self, progress: Callable[[Progress], object] | bool | None) -> None:  # noqa: FBT001 - as the caller gave it
        given: Any = progress  # callers without a type checker give anything
        self._make_bar: Any = _tqdm() if given is True else None
        self._bar: Any = None
        self._callback: Any = None if isinstance(given, bool) else given
        if not (given is None or isinstance(given, bool) or callable(given)):
            problem = Problem(
                "expected True for a progress bar, or what is called with each Progress",
                field="progress",
                value=repr(progress)[:60],
            )
            raise InvalidInputError([problem])

    @property
    def wanted(self) -> bool:
        """True where somebody looks."""
        return self._make_bar is not None or self._callback is not None

    @contextmanager
    def shown(self, operation: str, total: int | None) -> Generator[None]:
        """While the call runs: the bar stands at 0 from the start, and is closed however the call ends.

        Args:
            operation: wire name, the bar's title.
            total: inputs in all; None for a stream.
        """
        if self._make_bar is None:
            yield
            return
        self._bar = self._make_bar(total=total, desc=operation, unit=" items", **_place(self._make_bar))
        try:
            yield
        finally:
            self._bar.close()

    def report(self, progress: Progress) -> None:
        """Show a stand, or hand it to the caller's own callable, which may raise."""
        if self._bar is not None:
            stand = {"failed": progress.failed, "rejected": progress.rejected, "batches": progress.batches}
            self._bar.set_postfix(stand, refresh=False)
            self._bar.update(progress.done - self._bar.n)
        elif self._callback is not None:
            self._callback(progress)


def _place(bar: Any) -> dict[str, Any]:
    """Return where and how wide *bar* is drawn.

    A notebook colours what is written to stderr like an error, so a bar of text goes to stdout there. With ipywidgets
    the bar is a widget.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    in_notebook = type(shell).__name__ == "ZMQInteractiveShell"
    if in_notebook and not bar.__module__.startswith("tqdm.notebook"):
        return {"file": sys.stdout, "ncols": 100}
    return {"dynamic_ncols": True}


def _tqdm() -> Any:
    with needed("progress=True", "notebook", "tqdm"), warnings.catch_warnings():
        # Without ipywidgets tqdm draws its bar as text in a notebook too, which is what we want and no warning.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm  # type: ignore[import-untyped] # noqa: PLC0415 - tqdm ships no types, and is an extra
    return tqdm
