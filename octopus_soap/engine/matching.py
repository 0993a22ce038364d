"""Matching a reply's rows to a batch's inputs by key: nothing lost, nothing doubled, nothing guessed.

A key matches exactly, or else trimmed, or else trimmed and ignoring case, where only one input reads so. An exact match
stands against inexact ones. Rows missing, doubled or not asked for are told apart and noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


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
    doubled, unasked = 0, []
    later = []
    for row in rows:
        position = exact.get(row.key)
        if position is None:
            later.append(row)
        elif position in matched.rows:
            doubled += _place(matched, position, row)
        else:
            matched.rows[position] = row
    certain = set(matched.rows) if later else set()
    trimmed, folded = (_positions(keys, str.strip), _positions(keys, _fold)) if later else ({}, {})
    for row in later:
        readings = trimmed.get(row.key.strip()) or folded.get(_fold(row.key), [])
        if len(readings) != 1:
            unasked.append(row.key)
        elif readings[0] in certain:
            doubled += 1
        else:
            doubled += _place(matched, readings[0], row)
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


def same_key(one: str, other: str) -> bool:
    """True where two keys read alike: trimmed, ignoring case."""
    return _fold(one) == _fold(other)


def _positions(keys: Sequence[str], reading: Callable[[str], str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(reading(key), []).append(position)
    return found


def _fold(key: str) -> str:
    return key.strip().casefold()
