"""`result.to_csv(path)`: a file for other programs or for Excel."""

from __future__ import annotations

import csv

import pytest


@pytest.fixture
def found(service, client):
    service.store.add_item("00123", Description="=1+1", Price="4.50", Stock=7)
    service.store.add_item("B-1", Description="Mug")
    return client.get_item_list(["00123", "B-1"])


def test_plain_csv_keeps_texts_as_they_are(found, tmp_path):
    found.to_csv(tmp_path / "items.csv")
    with (tmp_path / "items.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["sku"], row["description"]) for row in rows] == [("00123", "=1+1"), ("B-1", "Mug")]
    assert rows[0]["price"] == "4.5000"
    assert rows[0]["stock"] == "7"


def test_csv_for_excel_has_a_byte_order_mark_and_guards_texts(found, tmp_path):
    found.to_csv(str(tmp_path / "items.csv"), excel=True, columns=["sku", "description", "price", "stock"])
    assert (tmp_path / "items.csv").read_bytes().decode() == (
        "\ufeffsku,description,price,stock\r\n"
        '"=""00123""","=""=1+1""",4.5000,7\r\n'
        '"=""B-1""",Mug,,\r\n'
    )  # fmt: skip


def test_outcomes_can_be_written_too(client, service, tmp_path):
    service.store.add_item("A")
    client.get_item_list(["A", "nope"]).to_csv(tmp_path / "outcomes.csv", which="outcomes")
    assert (tmp_path / "outcomes.csv").read_text().splitlines()[2].startswith("1,nope,missing,")
