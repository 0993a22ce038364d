"""Orders as files: complete, once, and under names that cannot leave the folder."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest

from octopus_soap import ConfigError
from octopus_soap.jobs import Ledger, OrderDelivery, OrderInbox
from octopus_soap.jobs.order_files import COLUMNS, OrderFiles
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
    return sorted(path.name for path in folder.iterdir())


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


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b@S/1", "..", ".hidden", "50% off", "ünï"])
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
    assert seen.name.endswith(".jsonl")
    assert not seen.name.endswith(".part")


def test_what_a_crash_left_is_named_if_the_order_is_handled_and_thrown_away_if_not(
    service: Emulator, client: OctopusClient, ledger: Ledger, tmp_path: Path
) -> None:
    handled, unhandled = sell(service, 1), "999"
    OrderInbox(client, ledger).run(lambda *_: None)
    for key in (handled, unhandled):
        (tmp_path / f".{key}.jsonl.part").write_text("{}\n", encoding="utf-8")
    assert OrderFiles(tmp_path).recover(ledger) == 1
    assert [name for name in names(tmp_path) if "ledger" not in name] == [f"{handled}.jsonl"]


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
