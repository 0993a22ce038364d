"""Matching a reply's rows to a batch's inputs by key: nothing lost, nothing doubled, nothing guessed.

A key matches exactly, or else trimmed and ignoring case where only one input reads so. Rows missing, doubled or not
asked for are told apart and noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(slots=True)
class Matched:
    """Rows by the position of their input.

    Attributes:
        rows: the row of each input; inputs without one are not in it.
        contradicted: inputs that got several rows which differ.
        notes: oddities, for `CallInfo.warnings`.
    """

    rows: dict[int, Any] = field(default_factory=dict)
    contradicted: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def match_rows(keys: Sequence[str], rows: Iterable[Any]) -> Matched:
    """Match *rows* (anything with a `key` and a `value`) to the inputs' *keys*, which are all different."""
    matched = Matched()
    exact = {key: position for position, key in enumerate(keys)}
    folded: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        folded.setdefault(_fold(key), []).append(position)
    doubled, unasked = 0, []
    later = []
    for row in rows:
        if row.key in exact:
            doubled += _place(matched, exact[row.key], row)
        else:
            later.append(row)
    for row in later:  # exact matches first: they leave fewer inputs open
        open_positions = [p for p in folded.get(_fold(row.key), []) if p not in matched.rows]
        if len(open_positions) == 1:
            _place(matched, open_positions[0], row)
        elif _fold(row.key) in folded and not open_positions:
            doubled += 1
        else:
            unasked.append(row.key)
    if doubled:
        matched.notes.append(f"{doubled} rows came twice")
    if unasked:
        shown = ", ".join(repr(key[:50]) for key in unasked[:3])
        matched.notes.append(f"{len(unasked)} rows were not asked for: {shown}{', …' if len(unasked) > 3 else ''}")  # noqa: PLR2004 - three show the kind
    return matched


def _place(matched: Matched, position: int, row: Any) -> int:
    """Put *row* at *position*; 1 where it has one already."""
    if position not in matched.rows:
        matched.rows[position] = row
        return 0
    if matched.rows[position].value != row.value:
        matched.contradicted.add(position)
    return 1


def _fold(key: str) -> str:
    return key.strip().casefold()
