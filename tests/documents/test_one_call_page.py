"""A real call passes through the steps of the page about one call, in their order."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import octopus_soap
from octopus_soap import OctopusClient
from octopus_soap.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(octopus_soap.__file__).parent
STEP = re.compile(r"^\| \d+ \| `([\w/]+\.py)`, `([\w.]+)` \|", re.MULTILINE)
STEPS = STEP.findall((ROOT / "docs" / "one-call.md").read_text(encoding="utf-8"))
SKUS = [f"S-{number}" for number in range(100)]

MOST_FILES, MOST_FUNCTIONS = 20, 120
MOST_FILES_OF_ONE, MOST_FUNCTIONS_OF_ONE = 14, 75
"""Of a warm call. Before you raise a number, check whether two steps belong together."""


@pytest.fixture(scope="module")
def client() -> Iterator[OctopusClient]:
    with Emulator() as service, OctopusClient(**service.settings()) as made:
        for sku in SKUS:
            service.store.add_item(sku, Stock="1")
        for _ in range(3):  # lazy imports and learned forms are not part of the page
            made.get_item_list(SKUS)
            made.is_sku_exist("S-1")
        yield made


def passed_through(call: Callable[[], object]) -> list[tuple[str, str, int]]:
    """Return the library's functions that a call enters, as file, name and line."""
    seen: dict[tuple[str, str, int], None] = {}

    def profile(frame: Any, event: str, _: object) -> None:
        code = frame.f_code
        path = Path(code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            place = path.relative_to(PACKAGE).as_posix()
            if not place.startswith("emulator/"):
                seen.setdefault((place, code.co_qualname, code.co_firstlineno))

    threading.setprofile(profile)
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)  # type: ignore[arg-type] # which is how it is taken off
    return list(seen)


def test_a_call_passes_through_the_steps_of_the_page_in_their_order(client: OctopusClient) -> None:
    assert len(STEPS) == 12
    entered = [(place, name) for place, name, _ in passed_through(lambda: client.get_item_list(SKUS))]
    assert [step for step in STEPS if step not in entered] == [], "docs/one-call.md names what a call does not enter"
    assert sorted(STEPS, key=entered.index) == STEPS


def test_a_call_is_short_to_read(client: OctopusClient) -> None:
    many = passed_through(lambda: client.get_item_list(SKUS))
    assert len({place for place, _, _ in many}) <= MOST_FILES
    assert len(many) <= MOST_FUNCTIONS
    one = passed_through(lambda: client.is_sku_exist("S-1"))
    assert len({place for place, _, _ in one}) <= MOST_FILES_OF_ONE
    assert len(one) <= MOST_FUNCTIONS_OF_ONE
