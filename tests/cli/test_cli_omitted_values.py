"""`--omitted-values`, against a service whose amounts are never null."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from octopus_soap.emulator import Emulator, Profile


@pytest.fixture
def strict(shell, monkeypatch, tmp_path):
    """Run commands against an emulator with plain decimals, under its own contract."""
    with Emulator(profile=Profile.strict()) as service:
        path = tmp_path / "strict.wsdl"
        path.write_bytes(service.wsdl_document())
        for name, value in {**service.settings(), "wsdl": str(path)}.items():
            monkeypatch.setenv(f"OCTOPUS_{name.upper()}", value)
        service.store.add_item("A", Price=Decimal(5), Cost=Decimal(2), Stock=1)
        yield service


def test_a_refused_file_names_its_rows_and_the_remedy(shell, strict, csv_file):
    ran = shell("stock", "push", str(csv_file("sku,stock", "A,9")))
    assert ran.code == 2
    assert "row 2" in ran.err
    assert "export OCTOPUS_OMITTED_VALUES=read_first" in ran.err
    assert strict.store.item("A")["Price"] == Decimal(5)


@pytest.mark.parametrize("words", [("stock", "push"), ("push",), ("items", "upload")])
def test_read_first_completes_a_file(shell, strict, csv_file, words):
    path = csv_file("sku,stock", "A,9")
    more = ("--force",) if words == ("push",) else ()
    ran = shell(*words, str(path), "--omitted-values", "read_first", *more)
    assert ran.code == 0, ran.err
    item = strict.store.item("A")
    assert (item["Stock"], item["Price"], item["Cost"]) == ("9", Decimal(5), Decimal(2))


def test_the_flag_goes_before_the_settings(shell, strict, monkeypatch):
    monkeypatch.setenv("OCTOPUS_OMITTED_VALUES", json.dumps({"UpdateItemQuantityAndPriceList": "send"}))
    assert shell("stock", "set", "A", "--stock", "9", "--omitted-values", "read_first").code == 0
    assert strict.store.item("A")["Price"] == Decimal(5)
    assert shell("stock", "set", "A", "--stock", "8", "--omitted-values", "refuse").code == 2
    assert strict.store.item("A")["Stock"] == "9"


def test_members_that_may_be_left_out_are_named(shell, strict):
    words = ("stock", "set", "A", "--stock", "9", "--omitted-values")
    assert shell(*words, "price").code == 2  # the cost is left out, too
    assert strict.store.item("A")["Price"] == Decimal(5)
    ran = shell(*words, "price,Cost,lock_stock,lock_price,lock_cost")
    assert ran.code == 0, ran.err
    assert strict.store.item("A")["Price"] == Decimal(0)


def test_a_misspelt_choice_is_refused(shell, strict):
    ran = shell("stock", "set", "A", "--stock", "9", "--omitted-values", "read-first")
    assert ran.code == 2
    assert "refuse, send, read_first" in ran.err
    assert strict.calls == []


def test_an_order_leaves_out_what_is_named(shell, strict, tmp_path):
    path = tmp_path / "orders.json"
    person = {
        "first_name": "Ada",
        "last_name": "Roe",
        "address1": "1 Quay",
        "city": "Cork",
        "zip": "1",
        "country": "IE",
    }
    line = {"sku": "A", "quantity": 1, "unit_price": "5"}
    order = {"order_id": "1", "order_date": "2024-05-01T12:00:00Z", "order_items": [line], "ship": person,
             "bill": person, "total": "5"}  # fmt: skip
    path.write_text(json.dumps([order]), encoding="utf-8")
    assert shell("orders", "submit", str(path)).code == 2
    members = "shipping_total,sub_total,tax_total,item_tax,item_discount"
    ran = shell("orders", "submit", str(path), "--omitted-values", members)
    assert ran.code == 0, ran.err


def test_members_of_another_operation_are_refused_and_the_near_one_named(shell, strict, csv_file):
    ran = shell("stock", "set", "A", "--stock", "9", "--omitted-values", "tax_total")
    assert ran.code == 2
    assert "nor a member that UpdateItemQuantityAndPriceList writes" in " ".join(ran.err.split())
    ran = shell("items", "upload", str(csv_file("sku,stock", "A,9")), "--omitted-values", "lock_prise")
    assert "did you mean LockPrice?" in " ".join(ran.err.split())
    assert strict.calls == []
