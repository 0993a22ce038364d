"""Forked children of a test, which ask at the same time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def answers_in_children(questions: Iterable[T], ask: Callable[[T], bool]) -> list[int]:
    """Fork a child per question; return exit codes, 0 if *ask* returned True."""
    ready, go = os.pipe()
    children = []
    for question in questions:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(go)
                os.read(ready, 1)  # returns in all of them when the parent closes its end
                code = 0 if ask(question) else 2
            finally:
                os._exit(code)
        children.append(child)
    os.close(go)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(ready)
    return codes
