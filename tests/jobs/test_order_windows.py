"""Windows cover a span of time, for any reply size and with unreadable orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from octopus_soap.jobs.order_download import EARLIEST, LATEST, SHORTEST, Window, Windows
from tests.every import every

START = datetime(2024, 1, 1, tzinfo=UTC)


class Shop:
    """A service that refuses replies of more than *most* orders, or with poison."""

    def __init__(self, seconds: list[int], most: int, poison: set[int] | None = None) -> None:
        self.placed = {START + timedelta(seconds=second) for second in seconds}
        self.poison = {START + timedelta(seconds=second) for second in poison or ()}
        self.everything = self.placed | self.poison
        self.most = most
        self.asked: list[Window] = []
        self.refused = 0

    def list(self, window: Window) -> set[datetime] | None:
        self.asked.append(window)
        found = {moment for moment in self.everything if window.begin <= moment <= window.end}
        if len(found) > self.most or found & self.poison:
            self.refused += 1
            return None
        return found


def read_all(shop: Shop, windows: Windows) -> tuple[set[datetime], list[Window]]:
    found: set[datetime] = set()
    gaps: list[Window] = []
    while (window := windows.current) is not None:
        orders = shop.list(window)
        if orders is not None:
            found |= orders
            windows.read(len(orders))
        elif (gap := windows.failed()) is not None:
            gaps.append(gap)
        assert len(shop.asked) < 5000, "the windows do not end"
    return found, gaps


def test_a_span_that_fits_is_read_at_once_to_its_open_end() -> None:
    shop = Shop([0, 60, 3600], most=100)
    found, gaps = read_all(shop, Windows(START))
    assert found == shop.placed
    assert gaps == []
    assert shop.asked == [Window(START, LATEST)]


@given(
    st.lists(st.integers(0, 40_000_000), max_size=120, unique=True),
    st.integers(1, 40),
    st.sets(st.integers(0, 40_000_000), max_size=2),
)
def test_every_order_that_can_be_read_is_read_or_lies_in_a_gap(seconds: list[int], most: int, poison: set[int]) -> None:
    shop = Shop(seconds, most, poison)
    found, gaps = read_all(shop, Windows(START))
    missing = shop.placed - found
    assert all(any(gap.begin <= moment <= gap.end for gap in gaps) for moment in missing | shop.poison)
    assert all(gap.span <= SHORTEST for gap in gaps)


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=60, unique=True))
def test_without_poison_and_with_room_for_neighbours_nothing_is_left_out(seconds: list[int]) -> None:
    shop = Shop(seconds, most=3)  # a second and its two borders have at most three
    found, gaps = read_all(shop, Windows(START))
    assert (found, gaps) == (shop.placed, [])


def test_neighbours_share_their_border_so_that_no_time_lies_between_two_windows() -> None:
    shop = Shop(list(range(0, 900_000, 1000)), most=100)
    read_all(shop, Windows(START))
    good = [window for window in list(shop.asked) if shop.list(window) is not None]
    assert good[0].begin == START
    assert good[-1].end == LATEST
    assert all(before.end == after.begin for before, after in pairwise(good))


def test_windows_grow_again_after_a_dense_time() -> None:
    dense = list(range(0, 86_400, 20))  # 4,320 orders in a day
    shop = Shop(dense, most=500)
    windows = Windows(START)
    found, gaps = read_all(shop, windows)
    assert (found, gaps) == (shop.placed, [])
    assert windows.width is None or windows.width > timedelta(days=3650), "the open end is asked for in large pieces"
    assert len(shop.asked) < 80


def test_a_width_that_was_learned_is_used_from_the_start() -> None:
    shop = Shop(list(range(0, 86_400, 20)), most=500)
    read_all(shop, Windows(START, START + timedelta(days=1), timedelta(hours=2)))
    assert shop.refused == 0


def test_one_poisoned_second_is_isolated_in_few_requests() -> None:
    shop = Shop(list(range(0, 3_000_000, 5000)), most=10_000, poison={1_234_567})
    found, gaps = read_all(shop, Windows(START))
    assert found == shop.placed
    assert len(gaps) <= 2, "the second, or the two that share it as a border"
    assert len(shop.asked) < 120


def test_a_known_gap_is_read_around_with_its_borders() -> None:
    gap = Window(START + timedelta(seconds=10), START + timedelta(seconds=11))
    shop = Shop([9, 10, 11, 12], most=10)
    found, _ = read_all(shop, Windows(START, skip=[gap]))
    assert found == shop.placed
    assert not any(window.begin < gap.end and gap.begin < window.end for window in shop.asked)


@every(("begin", "end"), [(0, 1), (-5, 0), (-5, 50), (10, 20), (49, 60)])
def test_a_gap_at_the_edge_of_the_span_leaves_the_rest(begin: int, end: int) -> None:
    shop = Shop(list(range(51)), most=1000)
    gap = Window(START + timedelta(seconds=begin), START + timedelta(seconds=end))
    found, _ = read_all(shop, Windows(START, START + timedelta(seconds=50), skip=[gap]))
    assert all(gap.begin <= moment <= gap.end for moment in shop.placed - found)


def test_a_span_of_one_moment_is_still_asked() -> None:
    shop = Shop([0], most=1)
    found, gaps = read_all(shop, Windows(START, START))
    assert (found, gaps) == (shop.placed, [])


def test_the_open_end_is_a_date_services_can_hold() -> None:
    assert datetime(2079, 6, 6, tzinfo=UTC) > LATEST, "SQL Server's smalldatetime"
    assert datetime(1900, 1, 1, tzinfo=UTC) < EARLIEST
