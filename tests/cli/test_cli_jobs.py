"""`orders pull` and `changes follow`: their files, their output, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from octopus_soap import OctopusClient, OctopusSettings
from octopus_soap.cli.ledger import Job
from octopus_soap.emulator import faults
from octopus_soap.jobs import Ledger, OrderInbox
from octopus_soap.jobs.inspection import _work_tables, retry
from octopus_soap.jobs.tables import ORDERS
from tests.jobs.shops import Garbled, sell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap.emulator import Emulator


def test_pull_writes_and_confirms_every_order_and_says_so_in_a_line(
    service: Emulator, shell: Callable[..., Any], tmp_path: Path
) -> None:
    sold = [sell(service, number) for number in range(3)]
    ran = shell("orders", "pull", "--to", "orders")
    assert (ran.code, ran.out, ran.err.count("\n")) == (0, "", 1)
    assert "downloaded 3, windows 1, handled 3, confirmed 3" in ran.err
    written = list((tmp_path / "orders").glob("[!.]*"))
    assert sorted(path.name for path in written) == [f"{order}.jsonl" for order in sold]
    assert all(order.confirmed for order in service.store.orders().values())
    assert (tmp_path / "octopus-ledger.db").exists()
    for path in written:
        path.unlink()
    assert shell("orders", "pull", "--to", "orders").code == 0
    assert list((tmp_path / "orders").glob("[!.]*")) == [], "taken away is taken away"


def test_pull_without_confirming_leaves_the_list_as_it_is(
    service: Emulator, shell: Callable[..., Any], tmp_path: Path
) -> None:
    sell(service, 1)
    for _ in range(2):
        assert shell("orders", "pull", "--to", "csv", "--format", "csv", "--no-confirm").code == 0
    assert len(list((tmp_path / "csv").glob("*.csv"))) == 1
    assert not any(order.confirmed for order in service.store.orders().values())


def test_a_store_whose_orders_were_never_listed_is_no_success(service: Emulator, shell: Callable[..., Any]) -> None:
    words = ("orders", "pull", "--to", "orders", "--store", "berlin", "--store", "pariss")
    sell(service, 1, stores=["berlin"])
    ran = shell(*words)
    assert (ran.code, ran.err.count("never listed store")) == (1, 1)
    assert "never listed store pariss" in ran.err
    sell(service, 2, stores=["pariss"])
    assert [shell(*words).code for _ in range(2)] == [0, 0]


def test_a_list_of_a_store_without_orders_ends_with_1(service: Emulator, shell: Callable[..., Any]) -> None:
    sell(service, 1, stores=["berlin"])
    assert shell("orders", "list", "--store", "berlin").code == 0
    ran = shell("orders", "list", "--store", "pariss")
    assert ran.code == 1
    assert "no order of store 'pariss' is listed" in ran.err


def test_pull_names_what_it_could_not_do_and_ends_with_1(service: Emulator, shell: Callable[..., Any]) -> None:
    bad, _ = sell(service, 1), sell(service, 2)
    service.script.on("GetOrderList").do(Garbled(bad))
    ran = shell("orders", "pull", "--to", "orders")
    assert ran.code == 1
    assert f"quarantined {bad}" in ran.err
    assert "handled 1" in ran.err


def test_pull_ends_with_2_where_the_service_is_down(service: Emulator, shell: Callable[..., Any]) -> None:
    service.script.on("*").do(faults.Status(503))
    ran = shell("orders", "pull", "--to", "orders")
    assert ran.code == 2
    assert "not finished: downloading" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_pull_in_a_loop_ends_at_sigterm_with_what_it_had_begun_written_down(
    service: Emulator, shell: Callable[..., Any], tmp_path: Path
) -> None:
    sell(service, 1)
    before = signal.getsignal(signal.SIGTERM)

    def terminate(call: Any) -> bool:
        del call
        os.kill(os.getpid(), signal.SIGTERM)
        return False

    service.script.on("SetDownloadOrderConfirm", when=terminate).do(faults.Latency(0))
    ran = shell("orders", "pull", "--to", "orders", "--every", "1h")
    assert (ran.code, "interrupted: downloaded 1" in ran.err) == (0, True)
    assert len(list((tmp_path / "orders").glob("*.jsonl"))) == 1
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("time", ["soon", "0s", "-5m", "5 fortnights"])
def test_a_time_that_is_none_is_refused(shell: Callable[..., Any], time: str) -> None:
    ran = shell("orders", "pull", "--to", "orders", f"--every={time}")
    assert ran.code == 2
    assert "not a time such as 60s" in ran.err


def test_follow_prints_a_line_per_item_and_takes_it_off_the_list(service: Emulator, shell: Callable[..., Any]) -> None:
    service.store.add_item("A", Stock="3", Price=Decimal("1.50"), changed=True)
    ran = shell("changes", "follow", "--once")
    (line,) = ran.out.splitlines()
    assert ran.code == 0
    data = json.loads(line)
    assert (data["sku"], data["item"]["stock"], data["item"]["price"]) == ("A", "3", "1.5000")
    assert service.store.change_queue() == []
    assert shell("changes", "follow", "--once").out == ""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_follow_ends_when_its_reader_hangs_up_and_quarantines_nothing(
    service: Emulator, shell: Callable[..., Any], tmp_path: Path
) -> None:
    service.store.add_items([{"Sku": f"S{number}", "Stock": "1"} for number in range(5)], changed=True)
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [sys.executable, "-c", "from octopus_soap.cli import main; main()", "changes", "follow", "--every", "60s", "--ledger", "x.db"],
        stdout=write, stderr=subprocess.PIPE, cwd=tmp_path,
    ) as running:  # fmt: skip
        os.close(write)
        assert running.wait(60) == 141
    ran = shell("ledger", "quarantine", "--ledger", str(tmp_path / "x.db"))
    assert (ran.code, "S0" in ran.out) == (0, False)


def test_the_option_names_the_jobs_that_have_work_in_a_ledger() -> None:
    assert {job.value for job in Job} == {table.info["job"] for table in _work_tables()}


@pytest.mark.parametrize("words", [("quarantine",), ("retry", "--all")])
def test_a_job_the_ledger_does_not_know_is_refused(shell: Callable[..., Any], words: tuple[str, ...]) -> None:
    shell("changes", "follow", "--once", "--ledger", "x.db")
    ran = shell("ledger", *words, "--job", "oders", "--ledger", "x.db")
    assert ran.code == 2
    assert "oders" in ran.err


@pytest.mark.parametrize("place", ["typo.db", "sqlite:///typo.db", "sqlite+pysqlite:///typo.db"])
def test_looking_into_a_ledger_makes_none(shell: Callable[..., Any], tmp_path: Path, place: str) -> None:
    ran = shell("ledger", "status", "--ledger", place)
    assert ran.code == 2
    assert "no ledger at" in ran.err
    assert not (tmp_path / "typo.db").exists()


def test_ctrl_c_in_a_call_per_order_says_what_became_of_each(
    service: Emulator, shell: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps({"order_id": f"W{n}", "order_items": [{"sku": "A", "quantity": 1}]}) for n in range(3)]
    (tmp_path / "new.jsonl").write_text("\n".join(lines))

    def second(call: Any) -> bool:
        if call.nth == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    service.script.on("SubmitOrder", when=second).do(faults.Latency(0))
    ran = shell("orders", "submit", "new.jsonl", "-o", "json")
    assert ran.code == 130
    statuses = [row["status"] for row in json.loads(ran.out)]
    assert (len(statuses), statuses[0]) == (3, "ok")


def test_an_order_of_a_store_is_tried_again_by_its_id(service: Emulator, tmp_path: Path) -> None:
    sold, ledger = sell(service, 1, stores=("S1",)), Ledger(tmp_path / "x.db")

    def fails(order: Any, delivery: Any) -> None:
        raise RuntimeError("not today")

    with OctopusClient(settings=OctopusSettings.load(**service.settings())) as client:
        OrderInbox(client, ledger, stores=("S1",)).run(fails)
    assert retry(ledger, [sold]) == 1
    assert retry(ledger, ["no such order"]) == 0
    ledger.close()


def test_follow_ends_with_its_report_as_a_line_of_json(service: Emulator, shell: Callable[..., Any]) -> None:
    service.store.add_items([{"Sku": "A", "Stock": "1"}], changed=True)
    ran = shell("changes", "follow", "--once", "--output", "json")
    item, report = map(json.loads, ran.out.splitlines())
    assert (ran.code, item["sku"], ran.err) == (0, "A", "")
    assert (report["report"]["job"], report["report"]["counts"]["handled"]) == ("changes", 1)


def test_pull_leaves_unpaid_orders_and_holds_changed_ones_until_they_are_acknowledged(
    service: Emulator, shell: Callable[..., Any], tmp_path: Path
) -> None:
    unpaid, paid = sell(service, 1), sell(service, 2, payment_status="Cleared")
    pull = ("orders", "pull", "--to", "orders", "--format", "json", "--payment", "cleared")
    assert shell(*pull, "--no-confirm").code == 0
    assert [path.name for path in (tmp_path / "orders").glob("[!.]*")] == [f"{paid}.json"]
    with Ledger(tmp_path / "octopus-ledger.db") as ledger, ledger.transaction() as connection:
        connection.execute(update(ORDERS).values(handled_content="another version"))
    held = shell(*pull)
    assert (held.code, f"changed {paid}" in held.err) == (1, True)
    assert shell("ledger", "acknowledge", unpaid).code == 1
    assert shell("ledger", "acknowledge").code == 2
    assert shell("ledger", "acknowledge", paid).out == "acknowledged: 1\n"
    assert shell(*pull).code == 0
    assert {str(number) for number, order in service.store.orders().items() if order.confirmed} == {paid}
    assert shell("ledger", "purge", "--older-than", "1s").code == 0


def test_tail_prints_each_order_once_and_says_when_the_service_is_gone_and_back(
    service: Emulator, shell: Callable[..., Any]
) -> None:
    def order(name: str) -> None:
        service.store.add_order(OrderID=name, orderItems=[{"sku": "A", "Quantity": 1}], Ship={"FirstName": "Ada"})

    for name in ("W1", "W2", "W3"):
        order(name)
    command = [sys.executable, "-c", "from octopus_soap.cli import main; main()", "orders", "tail", "--every", "20ms"]
    with (
        subprocess.Popen(
            [*command, "--last", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OCTOPUS_MAX_ATTEMPTS": "1"},
        ) as running,
        ExitStack() as at_the_end,
    ):  # fmt: skip
        at_the_end.callback(running.kill)
        assert running.stdout is not None
        assert running.stderr is not None
        lines = [running.stdout.readline() for _ in range(2)]
        assert ["100002" in lines[0], "100003" in lines[1]] == [True, True]
        assert "1 line  NotSubmitted  Unshipped  Ada" in lines[0]
        order("W4")
        assert "100004" in running.stdout.readline()
        service.script.on("GetOrderList").do(faults.Status(503))
        assert "503" in running.stderr.readline()
        order("W5")
        service.script.clear()
        assert "the service answers again" in running.stderr.readline()
        assert "100005" in running.stdout.readline()
    assert shell("orders", "tail", "-o", "csv").code == 2
    assert shell("orders", "tail", "--authtoken", "wrong").code == 2
