"""The participants: each does the tasks `decode`, `encode`, `call`, `exist`, `bulk`, `construct` in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Prepared:
    """A task whose runs each need something new."""

    def __init__(self, prepare: Callable[[], Callable[[], Any]]) -> None:
        self.prepare = prepare

    def __call__(self) -> Any:
        return self.prepare()()
