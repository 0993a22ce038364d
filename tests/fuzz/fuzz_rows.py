"""Fuzz pages of rows: what is read from the text must be what the tree reads.

    python tests/fuzz/fuzz_rows.py [PAGES] [SEED]

A page that differs is written to `build/fuzz/rows-PAGE.xml`, and the run stops.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "wire")]

from handwritten import assert_same, broken_pages, new_codec, read, tree_codec  # noqa: E402 - see the line above

from benchmarks.handwritings import HANDS  # noqa: E402 - as above
from octopus_soap.errors import OctopusError  # noqa: E402 - as above
from octopus_soap.wire import fast_rows, row_forms  # noqa: E402 - as above
from octopus_soap.wire.fast_rows import FastRows  # noqa: E402 - as above

WORK = ROOT / "build" / "fuzz"
PAGES = 100_000
ROUND = 60


def main(pages: int = PAGES, seed: int = 0) -> None:
    """Read *pages* broken pages both ways."""
    row_forms.SLOW_ROWS, fast_rows._SECTIONS = 3, 6  # noqa: SLF001 - as below
    fast_rows._MANY = fast_rows._QUESTIONS - 15  # noqa: SLF001 - these pages are small
    chance, tree, seen = random.Random(seed), tree_codec(), Counter[str]()
    fast = counted(FastRows)
    for hand in itertools.cycle(HANDS):
        codec = new_codec()
        for right, broken in broken_pages(hand, ROUND, chance):
            read(codec, right)
            fast.clear()
            found, wanted = read(codec, broken), read(tree, broken)
            try:
                assert_same(found, wanted)
            except AssertionError:
                WORK.mkdir(parents=True, exist_ok=True)
                place = WORK / f"rows-{sum(seen.values())}.xml"
                place.write_bytes(broken)
                print(f"{hand}: {place} is read in two ways")  # noqa: T201 - a script that prints
                raise
            seen[
                "refused" if isinstance(wanted, OctopusError) else "from the text" if any(fast) else "from the tree"
            ] += 1
        if sum(seen.values()) >= pages:
            break
    print(f"{sum(seen.values())} broken pages in {len(HANDS)} handwritings, none read in two ways: {dict(seen)}")  # noqa: T201 - as above


def counted(owner: type[FastRows]) -> list[bool]:
    """Return for every page whether it was read fast."""
    found: list[bool] = []
    decode = owner.decode

    def wrapped(*args: object, **named: object) -> object:
        decoded = decode(*args, **named)  # type: ignore[arg-type] # handed on as they came
        found.append(decoded is not None)
        return decoded

    owner.decode = wrapped  # type: ignore[method-assign,assignment] # only counts
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
