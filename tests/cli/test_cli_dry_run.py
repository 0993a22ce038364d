"""`--dry-run` shows the bytes of the request, except secrets, and sends nothing."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from octopus_soap.models.declarations import Safety
from octopus_soap.operations import OPERATIONS
from tests.catalogue import BY_NAME
from tests.cli.test_cli_call import words_of
from tests.conftest import SHOP

FILES = {
    "items.csv": "sku,price\n001,1\n002,2\n003,3\n",
    "stock.csv": "sku,stock\nA,1\nB,2\nC,3\n",
    "order.json": json.dumps({"order_id": "WEB-9", "credit_card": "4111111111111111", "order_items": [{"sku": "A"}]}),
}
COMMANDS = {
    "items upload": ["items", "upload", "items.csv"],
    "items delete": ["items", "delete", "A", "B", "--yes"],
    "items delete --stores": ["items", "delete", "A", "--stores", "--yes"],
    "stock set": ["stock", "set", "A", "--stock", "4", "--price", "19.90"],
    "stock push": ["stock", "push", "stock.csv"],
    "orders confirm": ["orders", "confirm", "100001", "100002"],
    "orders confirm --store": ["orders", "confirm", "100001", "--store", "S1"],
    "orders submit": ["orders", "submit", "order.json"],
    **{name: ["call", name, *words_of(BY_NAME[name])] for name in OPERATIONS},
}


@pytest.fixture
def shop(service, tmp_path):
    for sku in "ABC":
        service.store.add_item(sku, Price=Decimal(5), changed=True)
    service.store.add_order(OrderID="WEB-1", stores=("S1",))
    service.store.add_order(OrderID="WEB-2")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return service


def redacted(body):
    return body.decode().replace(SHOP.accessid, "***").replace("4111111111111111", "***")


@pytest.mark.parametrize("command", COMMANDS)
def test_it_shows_exactly_what_the_command_then_sends(shell, shop, command):
    words = COMMANDS[command]
    shown = shell(*words, "--dry-run", "--output", "json")
    assert (shown.code, shown.err) == (0, "")
    assert shop.calls == []
    shell(*words)
    # `orders confirm` lists the orders before and afterwards, which confirms nothing.
    checks = ("GetOrderList",) if command.startswith("orders confirm") else ()
    sent = [call for call in shop.calls if not call.operation.startswith(checks)]
    assert [row["message"] for row in shown.data] == [redacted(call.request) for call in sent]
    assert [row["bytes"] for row in shown.data] == [len(call.request) for call in sent]
    assert [row["operation"] for row in shown.data] == [call.operation for call in sent]


@pytest.mark.parametrize("command", [name for name, row in OPERATIONS.items() if row.safety is not Safety.READ])
def test_every_write_of_the_catalogue_has_it(shell, shop, command):
    assert "--dry-run" in shell("call", command, "--help").out


def test_batch_by_batch(shell, shop, monkeypatch):
    monkeypatch.setenv("OCTOPUS_BATCH_SIZES", '{"UploadItemList": 2}')
    ran = shell("items", "upload", "items.csv", "--dry-run")
    messages = ran.out.splitlines()
    assert [text.count("<InventoryItem>") for text in messages] == [2, 1]
    assert "dry run: 2 messages, nothing was sent" in ran.err
    assert "authtoken: ***" in ran.err
    shell("items", "upload", "items.csv")
    assert messages == [redacted(call.request) for call in shop.calls]


def test_no_secret_is_shown(shell, shop):
    ran = shell("orders", "submit", "order.json", "--dry-run")
    assert "<a:accountID>***</a:accountID>" in ran.out
    assert "4111111111111111" not in ran.out
    assert not any(secret in ran.out + ran.err for secret in (SHOP.authtoken, SHOP.accessid))


def test_what_the_command_would_refuse_is_refused(shell, shop, tmp_path):
    (tmp_path / "stock.csv").write_text("sku,stock\nA,1\nA,2\n")
    ran = shell("stock", "push", "stock.csv", "--dry-run")
    assert (ran.code, ran.out) == (2, "")
    assert "row 3: differs from row 2" in ran.err


def test_items_that_would_be_read_first_are_said_to_be(make_client, capsys):
    from octopus_soap.cli.calling import show_unsent
    from octopus_soap.cli.output import Selection

    client = make_client()
    show_unsent(client, Selection(), client.get_item_list.dry_run(["A"]), "UploadItemList")
    assert "what UploadItemList then sends depends on the answer to this" in capsys.readouterr().err


def test_the_python_client_has_it_too(client, service):
    requests = list(client.is_sku_exist_list.dry_run(["A", "B", "C"], batch_size=2))
    assert [request.operation for request in requests] == ["IsSkuExistList"] * 2
    assert service.calls == []
    assert SHOP.accessid not in repr(requests)
