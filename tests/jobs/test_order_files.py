"""Orders as files: complete, once, and under names that stay in the folder."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import ConfigError
from octopus_soap.jobs import DestinationError, Ledger, OrderDelivery, OrderInbox, order_files
from octopus_soap.jobs.order_files import COLUMNS, MARK, OrderFiles
from octopus_soap.models import OrderResponseItem
from tests.jobs.shops import sell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from octopus_soap import OctopusClient
    from octopus_soap.emulator import Emulator


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != MARK)


def test_a_line_of_json_per_order_without_card_numbers(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    sold = [sell(service, number, CreditCard="4111111111111111") for number in range(3)]
    OrderInbox(client, ledger).run(OrderFiles(tmp_path / "orders"))
    assert names(tmp_path / "orders") == [f"{order}.jsonl" for order in sold]
    (line,) = (tmp_path / "orders" / f"{sold[0]}.jsonl").read_text(encoding="utf-8").splitlines()
    data = json.loads(line)
    assert (data["order_id"], data["total"], data["order_items"][0]["sku"]) == (sold[0], "2.5000", "SKU-0")
    assert "4111" not in line


def test_a_csv_row_per_line_of_an_order_under_the_same_names(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    lines = [{"sku": "007", "Quantity": 1}, {"sku": "A,B", "Quantity": 2}]
    sold = [sell(service, 1, orderItems=lines, Ship={"City": "Orléans"}), sell(service, 2, orderItems=[])]
    OrderInbox(client, ledger).run(OrderFiles(tmp_path, "csv"))
    with (tmp_path / f"{sold[0]}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["order_id"], row["sku"], row["quantity"], row["ship.city"]) for row in rows] == [
        (sold[0], "007", "1", "Orléans"),
        (sold[0], "A,B", "2", "Orléans"),
    ]
    heads = {path.read_text(encoding="utf-8").splitlines()[0] for path in tmp_path.glob("*.csv")}
    assert heads == {",".join(COLUMNS)}
    assert len((tmp_path / f"{sold[1]}.csv").read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b@S/1", "..", ".hidden", "-rf", "50% off", "ünï", "x" * 400])
def test_a_name_stays_in_the_folder_and_tells_the_key(ledger: Ledger, tmp_path: Path, key: str) -> None:
    folder = tmp_path / "orders"
    delivery = OrderDelivery(key, 1, redelivered=False, revision=1, raw="")
    files = OrderFiles(folder)
    files(OrderResponseItem(order_id="1"), delivery)
    (hidden,) = folder.iterdir()
    assert hidden.name.startswith(".")
    for call in delivery._afterwards:
        call()
    (seen,) = folder.iterdir()
    assert list(folder.glob("[!-]*.jsonl")) == [seen]
    assert not seen.name.endswith(".part")


def test_what_a_crash_left_is_named_if_the_order_is_handled_and_thrown_away_if_not(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    handled = sell(service, 1)
    OrderInbox(client, ledger).run(lambda *_: None)
    unhandled = sell(service, 2)
    OrderInbox(client, ledger).run(lambda *_: 1 / 0)
    for key in (handled, unhandled, "999"):
        (tmp_path / f".{key}.jsonl.part").write_text("{}\n", encoding="utf-8")
    assert OrderFiles(tmp_path).recover(ledger) == 1
    left = [name for name in names(tmp_path) if "ledger" not in name]
    assert left == [".999.jsonl.part", f"{handled}.jsonl"], "the other one is of another channel"


def test_a_file_of_another_shop_is_not_overwritten_and_the_order_waits_until_it_is_taken_away(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold, folder = sell(service, 1), tmp_path / "orders"
    other = ledger.for_channel("other shop")
    shops = [(OrderFiles(folder), OrderInbox(client, channel)) for channel in (other, ledger)]
    other.bind(client)
    ledger.bind(client)
    with monkeypatch.context() as patched:
        patched.setattr(order_files, "_publish", lambda _: 1 / 0)
        for (files, inbox), channel in zip(shops, (other, ledger), strict=True):
            files.recover(channel)
            assert inbox.run(files).exit_code == 1
    assert len(names(folder)) == 2, "hidden files of two channels have two names"
    shops[0][0].recover(other)
    theirs = folder / f"{sold}.jsonl"
    theirs.write_text("the other shop's order")
    files, inbox = shops[1]
    for _ in range(2):
        assert files.recover(ledger) == 0
        report = inbox.run(files)
        assert (report.exit_code, [p.key for p in report.problems]) == (1, [sold])
        assert theirs.read_text() == "the other shop's order"
    assert not service.store.orders()[int(sold)].confirmed
    theirs.unlink()
    assert files.recover(ledger) == 1
    assert inbox.run(files).exit_code == 0
    assert (names(folder), service.store.orders()[int(sold)].confirmed) == ([f"{sold}.jsonl"], True)
    late = sell(service, 2)
    (folder / f"{late}.jsonl").mkdir()
    report = inbox.run(files)
    assert (report.exit_code, "another file has this name; take it away" in report.problems[0].message) == (1, True)


def test_a_file_without_its_name_is_named_in_its_own_folder_before_its_order_is_confirmed(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold, yesterday, today = sell(service, 1), tmp_path / "yesterday", tmp_path / "today"

    def power_cut(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(order_files, "_publish", power_cut)
    with pytest.raises(KeyboardInterrupt):
        OrderInbox(client, ledger).run(OrderFiles(yesterday))
    monkeypatch.undo()
    assert names(yesterday) == [f".{sold}.jsonl.part"]
    OrderInbox(client, ledger).run(lambda *_: None)  # a run of another handler does not use files
    assert not service.store.orders()[int(sold)].confirmed
    files = OrderFiles(today)
    assert files.recover(ledger) == 1
    assert OrderInbox(client, ledger).run(files).exit_code == 0
    assert (names(yesterday), names(today)) == ([f"{sold}.jsonl"], [])
    assert service.store.orders()[int(sold)].confirmed


def test_a_file_whose_folder_is_gone_is_written_again_before_its_order_is_confirmed(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold, yesterday, today = sell(service, 1), tmp_path / "yesterday", tmp_path / "today"
    monkeypatch.setattr(order_files, "_publish", lambda hidden: hidden.rename(hidden / "nowhere"))
    report = OrderInbox(client, ledger).run(OrderFiles(yesterday))
    assert [problem.key for problem in report.problems] == [sold]
    monkeypatch.undo()
    shutil.rmtree(yesterday)
    files = OrderFiles(today)
    files.recover(ledger)
    assert OrderInbox(client, ledger).run(files).exit_code == 0
    assert names(today) == [f"{sold}.jsonl"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_no_file_is_the_runs_failure_and_no_orders(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    sold = sell(service, 1)
    files = OrderFiles(tmp_path / "orders")

    def full(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        report = OrderInbox(client, ledger).run(files)
    assert (report.exit_code, report.problems) == (2, [])
    assert os.strerror(code) in report.error
    assert OrderInbox(client, ledger).run(files).exit_code == 0, "at once, without a pause"
    assert names(tmp_path / "orders") == [f"{sold}.jsonl"]


def test_every_scalar_the_service_sends_has_a_column(tmp_path: Path) -> None:
    order = OrderResponseItem.model_validate(
        {
            "OrderID": "1",
            "Shipping": "DHL",
            "OrderState": "Cancelled",
            "DateCancelledGMT": "2026-03-04T10:00:00Z",
            "BuyerEmailAddress": "ada@example.com",
            "CreditCard": "4111",
        }
    )
    object.__setattr__(order, "__pydantic_extra__", {"Gift": "yes"})  # as the decoder keeps unknown members
    (row,) = rows_of(order, tmp_path, "csv")
    assert (row["shipping"], row["order_state"], row["date_cancelled_gmt"]) == (
        "DHL",
        "Cancelled",
        "2026-03-04T10:00:00Z",
    )
    assert (row["buyer_email_address"], row["others"]) == ("ada@example.com", '{"Gift": "yes"}')
    assert "4111" not in str(row)


def test_a_spreadsheet_runs_nothing_a_customer_wrote(tmp_path: Path) -> None:
    texts = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "\tx", "-1+1", "+49 30 1234", "Mug = good"]
    for text in texts:
        (row,) = rows_of(OrderResponseItem(order_id="1", web_comment=text), tmp_path, "csv")
        shown = row["web_comment"]
        assert shown == (text if text in texts[-2:] else f"'{text}")
    (row,) = rows_of(OrderResponseItem(order_id="1", web_comment="=1+1"), tmp_path, "excel")
    assert row["web_comment"] == '="=1+1"'


def test_json_is_one_document(tmp_path: Path) -> None:
    files = OrderFiles(tmp_path / "orders", "json")
    delivery = OrderDelivery("7", 1, redelivered=False, revision=2, raw="", notice="cancelled")
    files(OrderResponseItem(order_id="7"), delivery)
    for call in delivery._afterwards:
        call()
    (path,) = (tmp_path / "orders").iterdir()
    assert path.name == "7.r2.json"
    assert json.loads(path.read_text(encoding="utf-8")) == {"order_id": "7", "notice": "cancelled"}


def rows_of(order: OrderResponseItem, folder: Path, kind: Any) -> list[dict[str, str]]:
    delivery = OrderDelivery("1", 1, redelivered=False, revision=1, raw="")
    OrderFiles(folder / kind, kind)(order, delivery)
    for call in delivery._afterwards:
        call()
    path = folder / kind / "1.csv"
    text = path.read_text(encoding="utf-8-sig")
    path.unlink()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_file_that_cannot_be_written_leaves_its_order_unconfirmed(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    sold = sell(service, 1)
    files = OrderFiles(tmp_path / "orders")
    (tmp_path / "orders" / f".{sold}.jsonl.part").mkdir()
    report = OrderInbox(client, ledger).run(files)
    assert [problem.state for problem in report.problems] == ["quarantined"]
    assert not service.store.orders()[int(sold)].confirmed


def test_another_kind_is_refused(tmp_path: Path) -> None:
    kind: Any = "xml"
    with pytest.raises(ConfigError, match="xml"):
        OrderFiles(tmp_path, kind)


# -- shares that are not mounted -----------------------------------------------------------------------------------


def test_an_empty_mount_point_where_orders_were_written_before_gets_none(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    share, inbox = tmp_path / "share", OrderInbox(client, ledger)
    first = sell(service, 1)
    files = OrderFiles(share)
    files.recover(ledger)
    assert inbox.run(files).exit_code == 0
    share.rename(tmp_path / "elsewhere")
    share.mkdir()
    sold = sell(service, 2)
    files = OrderFiles(share)
    with pytest.raises(DestinationError, match=r"Is a share not mounted there\?.*mkdir .*\.octopus-orders"):
        files.recover(ledger)
    assert list(share.iterdir()) == []
    assert not service.store.orders()[int(sold)].confirmed
    share.rmdir()
    (tmp_path / "elsewhere").rename(share)
    files.recover(ledger)
    assert inbox.run(files).exit_code == 0
    assert names(share) == [f"{first}.jsonl", f"{sold}.jsonl"]


def test_a_share_that_goes_while_orders_are_written_ends_the_run_with_none_confirmed(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    sold, share = [sell(service, number) for number in range(2)], tmp_path / "share"
    files = OrderFiles(share)
    files.recover(ledger)

    def unmounted(order: OrderResponseItem, delivery: OrderDelivery) -> None:
        if order.id == sold[1]:
            share.rename(tmp_path / "elsewhere")
            share.mkdir()
        files(order, delivery)

    report = OrderInbox(client, ledger).run(unmounted)
    assert (report.exit_code, report.counts["handled"], report.problem_count) == (2, 1, 0)
    assert "Is a share not mounted there" in report.error
    assert not service.store.orders()[int(sold[1])].confirmed
    assert list(share.iterdir()) == []


def test_a_folder_that_was_made_anew_on_purpose_is_accepted_with_one_command(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    folder = tmp_path / "my orders"
    OrderFiles(folder).recover(ledger)
    shutil.rmtree(folder)
    with pytest.raises(DestinationError) as raised:
        OrderFiles(folder).recover(ledger)
    (folder / MARK).mkdir()
    assert raised.value.message.endswith(f"mkdir '{folder / MARK}'")
    assert OrderFiles(folder).recover(ledger) == 0
    sell(service, 1)
    assert OrderInbox(client, ledger).run(OrderFiles(folder)).exit_code == 0


def test_a_file_without_its_name_on_a_share_that_is_not_mounted_is_written_again(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold, share, today = sell(service, 1), tmp_path / "share", tmp_path / "today"
    files = OrderFiles(share)
    files.recover(ledger)
    with monkeypatch.context() as patched:
        patched.setattr(order_files, "_publish", lambda _: 1 / 0)
        assert OrderInbox(client, ledger).run(files).exit_code == 1
    share.rename(tmp_path / "elsewhere")
    share.mkdir()
    files = OrderFiles(today)
    files.recover(ledger)
    assert OrderInbox(client, ledger).run(files).exit_code == 0
    assert (names(share), names(today)) == ([], [f"{sold}.jsonl"])
