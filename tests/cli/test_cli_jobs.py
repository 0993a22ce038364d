"""`orders pull` and `changes follow`: what they write, what they say, and how they end."""

from __future__ import annotations

import json
import os
import signal
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap.emulator import faults
from tests.jobs.shops import Garbled, sell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octopus_soap.emulator import Emulator


def test_pull_writes_and_confirms_every_order_and_is_quiet_in_cron(
    service: Emulator, shell: Callable[..., Any], tmp_path: Path
) -> None:
    sold = [sell(service, number) for number in range(3)]
    ran = shell("orders", "pull", "--to", "orders")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert sorted(path.name for path in (tmp_path / "orders").iterdir()) == [f"{order}.jsonl" for order in sold]
    assert all(order.confirmed for order in service.store.orders().values())
    assert (tmp_path / "octopus-ledger.db").exists()
    for path in (tmp_path / "orders").iterdir():
        path.unlink()
    assert shell("orders", "pull", "--to", "orders").code == 0
    assert list((tmp_path / "orders").iterdir()) == [], "taken away is taken away"


def test_pull_without_confirming_leaves_the_list_as_it_is(
    service: Emulator, shell: Callable[..., Any], tmp_path: Path
) -> None:
    sell(service, 1)
    for _ in range(2):
        assert shell("orders", "pull", "--to", "csv", "--format", "csv", "--no-confirm").code == 0
    assert len(list((tmp_path / "csv").glob("*.csv"))) == 1
    assert not any(order.confirmed for order in service.store.orders().values())


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
    assert (ran.code, ran.err) == (0, "")
    assert len(list((tmp_path / "orders").glob("*.jsonl"))) == 1
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("time", ["soon", "0s", "-5m", "5 fortnights"])
def test_a_time_that_is_none_is_refused(shell: Callable[..., Any], time: str) -> None:
    ran = shell("orders", "pull", "--to", "orders", f"--every={time}")
    assert ran.code == 2
    assert "no time such as 60s" in ran.err


def test_follow_prints_a_line_per_item_and_takes_it_off_the_list(service: Emulator, shell: Callable[..., Any]) -> None:
    service.store.add_item("A", Stock="3", Price=Decimal("1.50"), changed=True)
    ran = shell("changes", "follow", "--once")
    (line,) = ran.out.splitlines()
    assert ran.code == 0
    data = json.loads(line)
    assert (data["sku"], data["item"]["stock"], data["item"]["price"]) == ("A", "3", "1.5000")
    assert service.store.change_queue() == []
    assert shell("changes", "follow", "--once").out == ""
