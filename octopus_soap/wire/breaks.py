"""Breaks between rows: where a thread that decodes lets others have the interpreter.

Python takes the interpreter's lock from a busy thread only after 5 ms, and a thread that waits for sockets has to ask
for it anew after every read: beside one that never pauses, an event loop with a few sockets comes late by some 30 ms,
and so does the next request of a connection.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 8
"""Rows between two breaks: about half a millisecond."""


def _none() -> None:
    """Where nobody waits."""


on_break: ContextVar[Callable[[], object]] = ContextVar("octopus_soap_break", default=_none)
"""What is done at a break. The driver that decodes in a thread sets it there."""


def take_break() -> None:
    """Let others have their turn, where that was asked for."""
    on_break.get()()
