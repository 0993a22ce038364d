"""The queue of waiting requests, stepped by hand: no threads, no clock."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octopus_soap.transport.limiter import FairQueue, RateLimiter, Waiter


class Waiting:
    """Requests in a queue, by name; `woken` has those called to ask again."""

    def __init__(self, most: int = 100, per_second: float | None = None) -> None:
        self.line = FairQueue(most, RateLimiter(per_second))
        self.woken: list[str] = []
        self.tickets: dict[str, Waiter] = {}

    def join(self, *names: str) -> None:
        for name in names:
            self.tickets[name] = self.line.join(lambda name=name: self.woken.append(name))  # type: ignore[misc] # bound now

    def ask(self, name: str, now: float = 0.0) -> float | None:
        return self.line.ask(self.tickets[name], now)


def test_without_a_limit_everybody_goes_at_once() -> None:
    waiting = Waiting()
    waiting.join("a", "b", "c")
    assert [waiting.ask(name) for name in "abc"] == [0.0, 0.0, 0.0]


def test_nobody_overtakes_and_who_is_next_is_woken() -> None:
    waiting = Waiting(most=1)
    waiting.join("a", "b", "c")
    assert waiting.ask("c") is None
    assert waiting.ask("b") is None
    assert waiting.ask("a") == 0.0
    assert waiting.ask("b") is None, "its turn has come, a connection has not"
    waiting.woken.clear()
    waiting.line.done()
    assert waiting.woken == ["b"]
    assert waiting.ask("c") is None
    assert waiting.ask("b") == 0.0


def test_starts_are_an_interval_apart_and_idle_time_is_not_saved_up() -> None:
    waiting = Waiting(per_second=0.5)
    waiting.join(*"abcd")
    assert waiting.ask("a", 100.0) == 0.0
    assert waiting.ask("b", 100.5) == pytest.approx(1.5)
    assert waiting.ask("b", 102.0) == 0.0
    assert waiting.ask("c", 1000.0) == 0.0
    assert waiting.ask("d", 1000.0) == pytest.approx(2.0), "no burst after a rest"


def test_who_leaves_gives_its_turn_to_those_behind() -> None:
    waiting = Waiting(per_second=1)
    waiting.join(*"abcd")
    assert waiting.ask("a", 0.0) == 0.0
    waiting.line.leave(waiting.tickets["c"])
    waiting.woken.clear()
    waiting.line.leave(waiting.tickets["b"])
    assert waiting.woken == ["d"]
    assert waiting.ask("d", 1.0) == 0.0, "the moment that b and c would have had is not lost"


def test_lines_of_one_client_keep_one_pace() -> None:
    pace = RateLimiter(1.0)
    lines = [FairQueue(10, pace), FairQueue(10, pace)]
    tickets = [line.join(lambda: None) for line in lines]
    assert lines[0].ask(tickets[0], 0.0) == 0.0
    assert lines[1].ask(tickets[1], 0.0) == pytest.approx(1.0)


def test_the_wait_is_known_before_it_is_begun() -> None:
    pace = RateLimiter(4.0)
    assert pace.wait(0.0) == 0.0
    assert pace.reserve(0.0) == 0.0
    assert [pace.wait(0.0, ahead) for ahead in range(3)] == pytest.approx([0.25, 0.5, 0.75])
    assert RateLimiter(None).wait(0.0, 1000) == 0.0


@given(
    per_second=st.sampled_from([0.1, 0.5, 1.0, 3.0, 7.0, 250.0]),
    arrivals=st.lists(st.floats(0, 50), min_size=2, max_size=40).map(sorted),
)
def test_any_window_holds_at_most_its_share_of_starts(per_second: float, arrivals: list[float]) -> None:
    line, starts, now = FairQueue(1000, RateLimiter(per_second)), [], 0.0
    for arrival in arrivals:
        ticket = line.join(lambda: None)
        now = max(now, arrival)
        while seconds := line.ask(ticket, now):
            now += seconds
        starts.append(now)
    assert starts == sorted(starts)
    assert all(later - earlier >= 1 / per_second - 1e-9 for earlier, later in pairwise(starts))
    assert all(start >= arrival for start, arrival in zip(starts, arrivals, strict=True))
