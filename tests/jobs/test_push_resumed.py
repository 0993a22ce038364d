"""A push killed while it reads: the same file resumes, any other starts again."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from octopus_soap import InvalidInputError, LedgerError
from octopus_soap.jobs import Ledger, StockPush
from octopus_soap.jobs.tables import RUN_LOCK, STOCK_ITEM, STOCK_PLAN, STOCK_READING
from tests.jobs.databases import both, one_database  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator
    from octopus_soap.jobs.push import PushReport

CHUNK = 4
HEAD = "sku,stock,price\n"
ROWS = [f"S{number:02},{number},{number}.50" for number in range(30)]
WITH_TIMES = "sku,stock,price,observed_at\n"
NOW = datetime(2026, 3, 5, tzinfo=UTC)


class Killed(BaseException):
    """Ends a run in a way that it cannot handle."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octopus_soap.jobs.push.CHUNK", CHUNK)


@pytest.fixture
def shop(service: Emulator) -> Emulator:
    service.store.add_items({"Sku": f"S{number:02}", "Stock": "7"} for number in range(30))
    return service


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    file = tmp_path / "stock.csv"
    file.write_text(HEAD + "\n".join(ROWS))
    return file


def killed_at(place: str, client: OctopusClient, file: Path, chunk: int, **options: Any) -> None:
    """Push *file*, and kill the push once a chunk is staged."""
    left = chunk

    def reach(step: str) -> None:
        nonlocal left
        left -= step == "push.staged"
        if not left:
            raise Killed

    with Ledger(place, reach=reach, clock=lambda: NOW) as ledger, pytest.raises(Killed):
        pushing(client, ledger, **options).run(file)


def pushing(client: OctopusClient, ledger: Ledger, **options: Any) -> StockPush:
    return StockPush(client, ledger, max_change_share=1.0, **options)


def found(report: PushReport) -> tuple[Any, ...]:
    """Return the facts of the reading in a report, without how often it was resumed."""
    counts = {name: count for name, count in report.counts.items() if name not in {"resumed", "calls"} and count}
    return counts, [(p.key, p.state, p.message) for p in report.problems], report.exit_code


def wanted(ledger: Ledger) -> dict[str, Any]:
    mine = select(STOCK_ITEM).where(STOCK_ITEM.c.channel == ledger.channel)
    with ledger.reading() as connection:
        return {row.sku: (row.acknowledged, row.wanted, row.state) for row in connection.execute(mine)}


def left(ledger: Ledger) -> list[int]:
    with ledger.reading() as connection:
        tables = (STOCK_PLAN, STOCK_READING)
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]


TEXTS = {
    "plain": HEAD + "\n".join(ROWS),
    "wrong rows": HEAD + "\n".join(["S01,1,x", *ROWS, "S29,3,1.50", "S00,8,0.50", ",1,1"]),
    "case": HEAD + "\n".join([*ROWS, "s03,3,1.50", "s04,4,4.50"]),
    "times": WITH_TIMES
    + "\n".join(
        [f"{row},2026-03-04T10:00:00Z" for row in ROWS]
        + [f"{row},2026-03-04T{hour}:00:00Z" for row in ROWS[:9] for hour in ("09", "11")]
        + ["S03,9,1,", "S04,4,1,2026-03-04T10:00:00Z", "S05,4,1,2036-03-04T10:00:00Z"]
    ),
}


@pytest.mark.parametrize(
    ("database", "name", "chunk"),
    [
        *(("sqlite", name, chunk) for name in TEXTS for chunk in (1, 7)),
        ("sqlite", "plain", 3),
        pytest.param("postgresql", "wrong rows", 3, marks=pytest.mark.long),
        pytest.param("postgresql", "times", 7, marks=pytest.mark.long),
    ],
    indirect=["database"],
)
def test_the_end_is_that_of_a_run_that_was_not_killed(
    shop: Emulator, client: OctopusClient, make_ledger: Callable[..., Ledger], place: str, tmp_path: Path,
    name: str, chunk: int,
) -> None:  # fmt: skip
    file = tmp_path / "stock.csv"
    file.write_text(TEXTS[name])
    killed_at(place, client, file, chunk)
    calm, ledger = (make_ledger(channel=channel, clock=lambda: NOW) for channel in ("calm", "main"))
    expected = pushing(client, calm).run(file)
    read: list[int] = []
    report = pushing(client, ledger).run(file, reading=lambda progress: read.append(progress.done))
    assert report.counts["resumed"] == chunk * CHUNK
    assert read[0] == min((chunk + 1) * CHUNK, report.counts["read"])
    assert (found(report), wanted(ledger)) == (found(expected), wanted(calm))
    assert left(ledger) == [0, 0]


def test_a_file_that_was_read_to_its_end_is_not_compared_again(
    shop: Emulator, client: OctopusClient, ledger: Ledger, place: str, stock: Path
) -> None:
    killed_at(place, client, stock, 8)
    report = pushing(client, ledger).run(stock)
    assert (report.counts["read"], report.counts["resumed"], report.counts["acknowledged"]) == (30, 30, 30)


def test_chunks_without_differences_are_noted_too(
    shop: Emulator, client: OctopusClient, ledger: Ledger, place: str, stock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushing(client, ledger).run(stock)
    monkeypatch.setattr("octopus_soap.jobs.plan._CHUNKS_OF_PART", 2)
    killed_at(place, client, stock, 2)
    report = pushing(client, ledger).run(stock)
    assert (report.counts["resumed"], report.counts["unchanged"], report.exit_code) == (4 * CHUNK, 30, 0)
    assert left(ledger) == [0, 0]


def test_a_file_that_was_only_touched_goes_on(
    shop: Emulator, client: OctopusClient, ledger: Ledger, place: str, stock: Path
) -> None:
    killed_at(place, client, stock, 2)
    os.utime(stock, ns=(1, 1))
    assert pushing(client, ledger).run(stock).counts["resumed"] == 2 * CHUNK


@pytest.mark.parametrize("what", ["content", "options", "time", "another input"])
def test_another_input_begins_anew(
    shop: Emulator, client: OctopusClient, ledger: Ledger, place: str, stock: Path, what: str
) -> None:
    killed_at(place, client, stock, 3)
    known = stock.stat()
    options: dict[str, Any] = {}
    given: dict[str, Any] = {}
    desired: Any = stock
    if what == "content":  # with the same length and time
        stock.write_text(stock.read_text().replace("S01,1,", "S01,9,"))
        os.utime(stock, ns=(known.st_atime_ns, known.st_mtime_ns))
        assert stock.stat().st_size == known.st_size
    elif what == "options":
        options["last_row_wins"] = True
    elif what == "time":
        given["observed_at"] = ledger.now()
    else:
        desired = [{"sku": "S01", "stock": 9}]
    report = pushing(client, ledger, **options).run(desired, **given)
    assert "resumed" not in report.counts
    assert report.counts["acknowledged"] == report.counts["read"] == (1 if what == "another input" else 30)
    item = shop.store.item("S01")
    assert item is not None
    assert item["Stock"] == ("9" if what in {"content", "another input"} else "1")
    assert left(ledger) == [0, 0]


def test_a_stop_keeps_what_was_read_for_the_next_run(
    shop: Emulator, client: OctopusClient, ledger: Ledger, stock: Path
) -> None:
    stop = threading.Event()
    push = pushing(client, ledger)
    report = push.run(stock, stop=stop, reading=lambda progress: progress.done > CHUNK and stop.set())
    assert (report.exit_code, wanted(ledger)) == (130, {})
    assert push.run(stock).counts["resumed"] == 2 * CHUNK


def test_rows_that_were_passed_over_still_show_how_the_file_writes_numbers(
    shop: Emulator, client: OctopusClient, ledger: Ledger, place: str, tmp_path: Path
) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("sku;stock;price\n" + "\n".join(["S00;1;1.299", *(f"S{n:02};1;1" for n in range(1, 20))]))
    killed_at(place, client, file, 2)
    with pytest.raises(InvalidInputError, match=r"is it 1299 or 1\.299"):
        pushing(client, ledger).run(file)
    assert (wanted(ledger), left(ledger)) == ({}, [0, 0])


@pytest.mark.parametrize("rows", [CHUNK - 1, 3 * CHUNK])
def test_what_is_no_file_leaves_nothing_of_how_far_it_was_read(
    shop: Emulator, client: OctopusClient, ledger: Ledger, place: str, rows: int
) -> None:
    states: Any = [{"sku": f"S{number:02}", "stock": 1} for number in range(rows)]
    killed_at(place, client, states, 1)
    assert left(ledger)[1] == 0
    assert pushing(client, ledger).run(states).counts["acknowledged"] == rows


@both
def test_a_run_that_lost_its_lock_writes_nothing_into_the_plan_of_another(
    shop: Emulator, client: OctopusClient, place: str, make_ledger: Callable[..., Ledger], stock: Path
) -> None:
    def reach(step: str) -> None:
        if step == "push.staged":
            with make_ledger().transaction() as connection:
                connection.execute(update(RUN_LOCK).values(leased_by="worker/elsewhere/another-boot/1.1#1"))

    with Ledger(place, reach=reach) as ledger, pytest.raises(LedgerError, match="another run took over"):
        pushing(client, ledger).run(stock)
    assert left(make_ledger())[0] == CHUNK
