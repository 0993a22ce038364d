"""The participants of the benchmark.

Each does the tasks `decode`, `encode`, `call`, `exist`, `bulk` and `construct` in its own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Prepared:
    """A task whose every run needs something new."""

    def __init__(self, prepare: Callable[[], Callable[[], Any]]) -> None:
        self.prepare = prepare

    def __call__(self) -> Any:
        return self.prepare()()
