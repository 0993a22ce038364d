"""The schedule, with the test's clock: due jobs, waiting jobs, the next run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import event, text

from octopus_soap.errors import ConfigError, LedgerError
from octopus_soap.fleet import Registry
from octopus_soap.fleet.schedule import REFUSALS, WAITING_PER_SLOT, Due, Ended, Schedule
from octopus_soap.fleet.status import history, merchant, merchants, status
from octopus_soap.fleet.vault import Vault, new_key
from octopus_soap.jobs import Ledger
from tests.jobs.databases import fresh_postgres, why_no_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOTS = {"orders": 5, "push": 5, "changes": 5, "slow": 2}
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Desk:
    """A ledger with merchants, and a clock that the test sets."""

    def __init__(self, place: str) -> None:
        self.now = START
        self.ledger = Ledger(place, clock=lambda: self.now, run_seconds=30)
        self.registry = Registry(self.ledger, Vault(Fernet.generate_key().decode()))
        self.schedule = Schedule(self.ledger)

    def add(self, name: str, every: float = 60, job: str = "push") -> None:
        self.registry.add(
            name,
            endpoint="https://a.example/s.svc",
            merchantname="m",
            authtoken="env:T",
            accessid="env:I",
            every={job: every},
        )

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def take(self) -> list[Due]:
        return self.schedule.take_due(SLOTS)

    def run(self, due: Due, ended: Ended, seconds: float = 1) -> None:
        started = self.schedule.start(due.name, due.job)
        assert started is not None
        self.later(seconds)
        self.schedule.end(due.name, due.job, started, ended)

    def wait(self, name: str) -> float:
        """Seconds until the next run."""
        with self.ledger.reading() as connection:
            query = text("SELECT MIN(next_at) FROM fleet_schedule WHERE name = :name")
            moment = connection.execute(query, {"name": name}).scalar_one()
        return moment / 1e6 - self.now.timestamp()


@pytest.fixture
def desk(place: str) -> Iterator[Desk]:
    made = Desk(place)
    yield made
    made.ledger.close()


def test_a_run_is_handed_over_once_however_many_look(desk: Desk) -> None:
    desk.add("a")
    desk.later(61)
    assert desk.take() == [Due("a", "push", "push")]
    assert Schedule(desk.ledger).take_due(SLOTS) == []


def test_longest_due_first_and_no_more_than_four_times_the_slots_wait(desk: Desk) -> None:
    for index in range(30):
        desk.add(f"shop-{index}")
    desk.later(200)
    taken = desk.take()
    assert len(taken) == WAITING_PER_SLOT * SLOTS["push"]
    assert desk.take() == []
    waiting = {due.name for due in taken}
    with desk.ledger.reading() as connection:
        rows = connection.execute(text("SELECT name, next_at FROM fleet_schedule ORDER BY next_at")).all()
    assert {row.name for row in rows[: len(taken)]} == waiting
    desk.run(taken[0], Ended("ok"))
    assert len(desk.take()) == 1


def test_after_an_outage_one_run_is_due_and_not_all_that_were_missed(desk: Desk) -> None:
    desk.add("a", every=60)
    desk.later(6_000)
    (due,) = desk.take()
    desk.run(due, Ended("ok"))
    assert 0 < desk.wait("a") <= 60
    assert desk.take() == []


def test_a_failing_job_waits_twice_as_long_each_time_up_to_an_hour(desk: Desk) -> None:
    desk.add("a", every=60)
    desk.later(61)
    waits = []
    for _ in range(9):
        (due,) = desk.take()
        desk.run(due, Ended("failed", "down"))
        waits.append(desk.wait("a"))
        desk.later(waits[-1] + 1)
    assert waits[0] >= 120
    assert all(later >= earlier for earlier, later in pairwise(waits))
    assert 3_600 <= waits[-1] <= 3_660
    (due,) = desk.take()
    desk.run(due, Ended("ok"))
    assert desk.wait("a") <= 60


def test_a_wait_the_service_asked_for_is_kept(desk: Desk) -> None:
    desk.add("a", every=60)
    desk.later(61)
    (due,) = desk.take()
    desk.run(due, Ended("failed", "429", retry_after=900))
    assert desk.wait("a") >= 900


def test_refused_credentials_end_after_three_calls_until_resume(desk: Desk) -> None:
    desk.add("a", every=60)
    runs = 0
    for _ in range(20):
        desk.later(3_700)
        for due in desk.take():
            runs += 1
            desk.run(due, Ended("refused", "wrong token"))
    assert runs == REFUSALS
    assert desk.registry.get("a").state == "refused"
    assert "wrong token" in desk.registry.get("a").reason
    assert "fleet resume" in status(desk.ledger).alarms[-1]
    desk.registry.resume("a")
    assert len(desk.take()) == 1


def test_refusals_count_over_all_jobs_and_after_the_first_they_run_one_at_a_time(desk: Desk) -> None:
    desk.add("a", every=60)
    desk.registry.schedule("a", "orders", every=60)
    desk.later(61)
    first = {due.job: due for due in desk.take()}
    began = {job: desk.schedule.start("a", job) for job in first}
    for job, started in began.items():
        assert started is not None, "before the first refusal both jobs run"
        desk.schedule.end("a", job, started, Ended("refused", "wrong token"))
    desk.later(3_700)
    assert len(desk.take()) == 2
    started = desk.schedule.start("a", "push")
    assert started is not None
    assert desk.schedule.start("a", "orders") is None
    assert desk.wait("a") <= 60
    desk.schedule.end("a", "push", started, Ended("refused", "wrong token"))
    assert desk.registry.get("a").state == "refused"


def test_a_time_out_moves_both_jobs_to_the_slow_queue_until_a_quick_run(desk: Desk) -> None:
    desk.add("a", every=60)
    desk.registry.schedule("a", "orders", every=60)
    desk.later(61)
    first = {due.job: due for due in desk.take()}
    desk.run(first["push"], Ended("failed", "late", timed_out=True))
    desk.run(first["orders"], Ended("failed", "late", timed_out=True))
    desk.later(4_000)
    again = desk.take()
    assert {due.queue for due in again} == {"slow"}
    for due in again:
        desk.run(due, Ended("ok"))
    desk.later(100)
    assert {due.queue for due in desk.take()} == {"push", "orders"}


def test_what_the_budget_cut_off_goes_on_soon(desk: Desk) -> None:
    desk.add("a", every=3_600)
    desk.later(3_601)
    (due,) = desk.take()
    desk.run(due, Ended("interrupted"))
    assert desk.wait("a") <= 5


def test_a_run_the_engine_lost_before_it_started_is_due_again(desk: Desk) -> None:
    desk.add("a")
    desk.later(61)
    assert len(desk.take()) == 1
    desk.later(119)
    assert desk.take() == []
    desk.later(2)
    assert len(desk.take()) == 1


def test_what_a_ticker_took_and_had_not_handed_over_when_it_died_is_due_at_once(desk: Desk) -> None:
    desk.add("a")
    desk.add("b")
    desk.later(61)
    taken = desk.take()
    assert len(taken) == 2
    assert desk.schedule.start("b", "push") is not None, "a worker is quicker than the ticker's note"
    desk.schedule.note_handed_over([due for due in taken if due.name == "b"])
    others, _, process = desk.ledger.worker.rpartition("/")
    number, _, began = process.partition(".")
    dead = f"{others}/{number}.{int(began) - 100}"  # the process id belonged to an earlier process
    with desk.ledger.transaction() as connection:
        gone = text("UPDATE fleet_schedule SET enqueued_by = :dead WHERE name = 'a'")
        connection.execute(gone, {"dead": dead})
    assert desk.take() == [Due("a", "push", "push")]
    desk.schedule.note_handed_over([Due("a", "push", "push")])
    with desk.ledger.reading() as connection:
        rows = connection.execute(text("SELECT name, enqueued_by FROM fleet_schedule ORDER BY name")).all()
    assert [tuple(row) for row in rows] == [("a", None), ("b", desk.ledger.worker)]


def test_a_run_whose_process_died_is_due_again_when_its_lock_is_free(desk: Desk) -> None:
    desk.add("a")
    desk.later(61)
    (due,) = desk.take()
    assert desk.schedule.start(due.name, due.job) is not None
    with desk.ledger.transaction() as connection:  # a process on another machine holds the lock, and stops
        until = int((desk.now + timedelta(seconds=60)).timestamp() * 1e6)
        connection.execute(
            text(
                "INSERT INTO run_lock (channel, job, leased_by, leased_until) VALUES ('a', 'push', 'elsewhere', :until)"
            ),
            {"until": until},
        )
    desk.later(59)
    assert desk.take() == []
    desk.later(2)
    assert len(desk.take()) == 1


def test_a_second_delivery_is_skipped_while_the_first_runs_and_a_run_elsewhere_ends_it_as_busy(desk: Desk) -> None:
    desk.add("a")
    desk.later(61)
    desk.take()
    first = desk.schedule.start("a", "push")
    desk.later(1)
    assert first is not None
    assert desk.schedule.start("a", "push") is None, "its process is there, and began it a second ago"
    desk.later(30)
    second = desk.schedule.start("a", "push")  # as if the first process were on a machine that is gone
    assert second is not None
    desk.schedule.end("a", "push", second, Ended("busy"))
    desk.schedule.end("a", "push", first, Ended("ok"))
    (job,) = status(desk.ledger).jobs
    assert (job.outcome, job.failures) == ("ok", 0)


def due_now(ledger: Ledger, *jobs: str) -> None:
    """Add the merchant `a` with these jobs, which are due."""
    registry = Registry(ledger, Vault(new_key()))
    registry.add(
        "a",
        endpoint="https://a.example/s.svc",
        merchantname="m",
        authtoken="env:T",
        accessid="env:I",
        every=dict.fromkeys(jobs, 3_600),
    )
    registry.run_now("a")


@pytest.mark.long
@pytest.mark.parametrize("job", ["push", "orders"])
def test_of_two_starts_at_the_same_moment_the_second_waits_and_sees_the_first(job: str) -> None:
    """A broker that lost a worker's connection may deliver a run while it starts."""
    if why := why_no_postgres():  # on SQLite only one transaction may write
        pytest.skip(why)
    with fresh_postgres() as place, Ledger(place) as ledger, Ledger(f"{place}%20-clock_timeout%3D1") as other:
        schedule, there = Schedule(ledger), Schedule(other)
        due_now(ledger, "push", "orders")
        assert len(schedule.take_due(SLOTS)) == 2
        with ledger.transaction() as connection:  # while credentials are in doubt, jobs run one at a time
            connection.execute(text("UPDATE fleet_schedule SET refusals = 1 WHERE job = 'push'"))
        second: list[str] = []

        def start_there(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("UPDATE fleet_schedule") and not second:
                second.append("begun")
                with pytest.raises(LedgerError, match="lock timeout"):
                    there.start("a", job)
                second.append("waited")

        event.listen(ledger.engine, "before_cursor_execute", start_there)
        assert schedule.start("a", "push") is not None
        assert second == ["begun", "waited"]
        assert there.start("a", job) is None


@pytest.mark.long
def test_a_run_that_starts_while_a_tick_takes_it_for_lost_stays_under_way() -> None:
    if why := why_no_postgres():  # on SQLite only one transaction may write
        pytest.skip(why)
    with fresh_postgres() as place, Ledger(place) as ledger, Ledger(place) as other:
        schedule, there = Schedule(ledger), Schedule(other)
        due_now(ledger, "push")
        assert len(schedule.take_due(SLOTS)) == 1
        with ledger.transaction() as connection:
            connection.execute(text("UPDATE fleet_schedule SET enqueued_at = enqueued_at - 200000000"))
        started: list[datetime | None] = []

        def start_there(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("UPDATE fleet_schedule") and not started:
                started.append(there.start("a", "push"))

        event.listen(ledger.engine, "before_cursor_execute", start_there)
        assert schedule.take_due(SLOTS) == []
        assert started != [None]
        assert status(ledger).jobs[0].running


def test_the_late_record_of_a_run_taken_for_lost_leaves_the_second_one_under_way(desk: Desk) -> None:
    desk.add("a")
    desk.later(61)
    desk.take()
    first = desk.schedule.start("a", "push")
    desk.later(31)
    assert desk.schedule.take_due({}) == [], "found lost"
    assert len(desk.take()) == 1
    second = desk.schedule.start("a", "push")
    assert first is not None
    assert second is not None
    desk.schedule.end("a", "push", first, Ended("ok", seconds=2))
    (job,) = status(desk.ledger).jobs
    assert (job.running, job.outcome, job.duration) == (True, "ok", 2)
    assert desk.take() == []
    desk.schedule.end("a", "push", second, Ended("ok"))
    assert not status(desk.ledger).jobs[0].running
    (_, run) = history(desk.ledger, "a")
    assert (run["ended_at"] - run["started_at"]).total_seconds() == 2


def test_paused_merchants_are_not_run_and_a_delivered_run_of_one_is_skipped(desk: Desk) -> None:
    desk.add("a")
    desk.later(61)
    (due,) = desk.take()
    desk.registry.pause("a", "moving house")
    assert desk.schedule.start(due.name, due.job) is None
    desk.later(1_000)
    assert desk.take() == []
    assert status(desk.ledger).alarms == []
    desk.registry.resume("a")
    assert len(desk.take()) == 1


def test_a_run_that_was_not_taken_is_due_at_once(desk: Desk) -> None:
    desk.add("a")
    desk.later(61)
    (due,) = desk.take()
    desk.schedule.give_back(due)
    assert desk.take() == [due]


def test_a_run_of_an_unknown_merchant_is_skipped_and_the_log_names_the_likely_cause(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    assert desk.schedule.start("of-another-fleet", "push") is None
    assert "OCTOPUS_FLEET_NAME" in caplog.text


def test_a_run_may_be_asked_for_and_what_is_under_way_or_paused_is_left_alone(desk: Desk) -> None:
    desk.add("a", every=3_600)
    desk.registry.schedule("a", "orders", every=3_600)
    assert desk.registry.run_now("a", "push") == 1
    assert desk.take() == [Due("a", "push", "push")]
    assert desk.registry.run_now("a") == 1, "push waits in the engine"
    assert desk.take() == [Due("a", "orders", "orders")]
    for name, job, message in (("b", None, "no merchant 'b'"), ("a", "changes", "fleet schedule a")):
        with pytest.raises(ConfigError, match=message):
            desk.registry.run_now(name, job)
    desk.registry.pause("a", "stocktaking")
    with pytest.raises(ConfigError, match="paused: stocktaking; first: octopus-soap fleet resume a"):
        desk.registry.run_now("a")


def test_a_removed_merchants_run_ends_without_a_word(desk: Desk) -> None:
    desk.add("a")
    desk.later(61)
    (due,) = desk.take()
    started = desk.schedule.start(due.name, due.job)
    assert started is not None
    desk.registry.remove("a")
    desk.schedule.end(due.name, due.job, started, Ended("ok"))
    assert status(desk.ledger).jobs == []


def test_alarms_name_what_needs_a_person_and_worst_comes_first(desk: Desk) -> None:
    for name in ("fine", "late", "failing"):
        desk.add(name, every=60)
    desk.later(61)
    runs = {due.name: due for due in desk.take()}
    desk.run(runs["fine"], Ended("ok"))
    desk.run(runs["failing"], Ended("ok"))
    desk.run(runs["late"], Ended("ok"))
    for _ in range(4):
        desk.later(61)
        for due in desk.take():
            desk.run(due, Ended("failed", "the service is down") if due.name == "failing" else Ended("ok"))
    desk.registry.schedule("late", "push", every=60)
    desk.later(300)
    for due in desk.take():
        if due.name == "fine":
            desk.run(due, Ended("ok"))
        else:
            desk.schedule.give_back(due)
    now = status(desk.ledger)
    assert now.jobs[-1].name == "fine"
    assert not now.healthy
    assert any("failing push" in alarm for alarm in now.alarms)
    assert any("late push: overdue" in alarm for alarm in now.alarms)
    desk.later(31)
    assert "no tick for" in status(desk.ledger).alarms[0]


def test_merchants_come_worst_first_and_are_found_by_name_label_and_state(desk: Desk) -> None:
    for name in ("fine", "refused", "failing", "paused"):
        desk.add(name, every=60)
    desk.registry.schedule("fine", "orders", every=60)
    desk.registry.set("fine", labels={"region": "North"})
    desk.registry.pause("paused", "stocktaking")
    for _ in range(REFUSALS):
        desk.later(3_700)
        for due in desk.take():
            kind = {"refused": "refused", "failing": "failed"}.get(due.name, "held")
            desk.run(due, Ended(kind, "why", backlog=2, held=3))
    found, count = merchants(desk.ledger)
    assert ([one.merchant.name for one in found], count) == (["failing", "refused", "fine", "paused"], 4)
    assert [one.merchant.reason for one in found if one.merchant.name == "paused"] == ["stocktaking"]
    assert "octopus-soap fleet resume" in found[1].alarm
    fine = merchant(desk.ledger, "fine")
    assert (fine.backlog, fine.held, fine.failures, len(fine.jobs)) == (4, 6, 0, 2)
    assert fine.last_success_at is not None
    assert "env:T" in fine.merchant.secrets.values()
    for options, names in (
        ({"find": "REGION=north"}, ["fine"]),
        ({"find": "AI"}, ["failing"]),
        ({"state": "paused"}, ["paused"]),
        ({"most": 2, "start": 1}, ["refused", "fine"]),
    ):
        assert [one.merchant.name for one in merchants(desk.ledger, **options)[0]] == names
    with pytest.raises(ConfigError, match="fleet list"):
        merchant(desk.ledger, "nobody")


def test_the_history_is_kept_for_seven_days_and_what_went_well_for_one(desk: Desk) -> None:
    desk.add("a", every=3_600)
    for outcome in ("failed", "held", "ok", "failed", "ok"):
        desk.later(86_400 * 2)
        for due in desk.take():
            desk.run(due, Ended(outcome))
    assert len(history(desk.ledger, "a")) == 5
    assert desk.schedule.purge() == 2
    assert [run["outcome"] for run in history(desk.ledger, "a")] == ["ok", "failed", "held"]


def test_ten_thousand_schedules_cost_a_tick_one_statement_for_each_queue(desk: Desk) -> None:
    from sqlalchemy import event

    desk.add("a")
    with desk.ledger.transaction() as connection:
        rows = [
            {"name": f"m-{index}", "job": "push", "every": 60.0, "next_at": int(START.timestamp() * 1e6)}
            for index in range(10_000)
        ]
        connection.execute(
            text("INSERT INTO fleet_schedule (name, job, every, next_at) VALUES (:name, :job, :every, :next_at)"), rows
        )
    statements: list[str] = []
    event.listen(desk.ledger.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    desk.later(10)
    assert desk.take() == [], "none has a merchant"
    assert len([one for one in statements if one.startswith("SELECT")]) <= len(SLOTS) + 3
