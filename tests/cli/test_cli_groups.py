"""The groups `items`, `stock` and `orders`, as a person types them."""

from __future__ import annotations

import io
import json
import os
import signal
import sys

import pytest

from octopus_soap import InvalidInputError, InventoryItem, ItemQuantityAndPrice, OrderCriteria, OrderItem
from octopus_soap.emulator import Hang, Status


@pytest.fixture
def order(service):
    return str(
        service.store.add_order(
            OrderID="WEB-1",
            orderItems=[{"sku": "00123", "Quantity": 2, "UnitPrice": "1.25", "Description": "Mug"}],
            Ship={"FirstName": "Ada", "City": "Springfield", "Zip": "01234"},
            Total="2.50",
            stores=("S1",),
        )
    )


def test_items_list_shows_the_recent_changes(shell, service):
    service.store.add_item("00123", changed=True)
    service.store.add_item("B")
    assert [row["sku"] for row in shell("items", "list", "-o", "json").data] == ["00123"]


def test_items_delete_tells_what_was_not_there_and_goes_on(shell, service):
    for sku in ("A", "B"):
        service.store.add_item(sku)
    ran = shell("items", "delete", "A", "nope", "B", "--yes")
    assert ran.code == 1
    assert "the service has no such item" in ran.out
    assert "deleted: 2 of 3; calls: 3" in ran.out
    assert [call.operation for call in service.calls] == ["DeleteItem"] * 3


def test_items_delete_checks_every_sku_before_the_first_is_sent(shell, service):
    ran = shell("items", "delete", "A", "x" * 51, "--yes")
    assert ran.code == 2
    assert "at most 50 characters" in ran.err
    assert service.calls == []


def test_a_delete_that_fails_ends_it_and_says_what_was_done(shell, service):
    service.store.add_item("A")
    service.script.on("DeleteItem", nth=2).do(Status(404))
    rows = shell("items", "delete", "A", "B", "C", "-y", "-o", "json")
    assert rows.code == 2
    assert [row["status"] for row in rows.data] == ["ok", "failed", "not_sent"]


def test_stock_get_shows_quantities(shell, service):
    service.store.add_item("00123", Stock=7)
    rows = shell("stock", "get", "00123", "-o", "json").data
    assert (rows[0]["sku"], rows[0]["quantity"]["stock"]) == ("00123", 7)


def test_stock_set_changes_what_is_given_and_nothing_else(shell, service):
    service.store.add_item("A", Stock=7, Price="5.00")
    assert shell("stock", "set", "A", "--stock", "9").out == "updated: 1 of 1; calls: 1\n"
    assert (service.store.item("A")["Stock"], str(service.store.item("A")["Price"])) == ("9", "5.0000")
    ran = shell("stock", "set", "nope", "--stock", "9")
    assert ran.code == 1
    assert "does not exist" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "nothing to set"), (["--stock", "many"], "expected an int"), (["--price", "1,5"], "19.99")],
)
def test_stock_set_refuses_what_it_cannot_send(shell, service, words, said):
    ran = shell("stock", "set", "A", *words)
    assert ran.code == 2
    assert said in ran.err
    assert service.calls == []


def test_orders_show_shows_one_order_with_its_lines(shell, order):
    ran = shell("orders", "show", order)
    assert ran.code == 0
    for text in (order, "WEB-1", "00123", "Mug", "1.25", "2.50", "Ada, 01234 Springfield"):
        assert text in ran.out
    assert shell("orders", "show", order, "-o", "json").data["order_items"][0]["sku"] == "00123"


def test_orders_show_of_an_id_it_does_not_know_is_1(shell, order):
    for unknown in ("999999", "WEB-1"):
        ran = shell("orders", "show", unknown)
        assert (ran.code, ran.out) == (1, "")
        assert f"no unconfirmed order {unknown!r}" in ran.err


def test_a_confirmed_order_is_listed_no_more(shell, service, order):
    assert shell("orders", "confirm", order).out == "confirmed: 1\n"
    assert shell("orders", "list", "-o", "json").data == []


def test_a_part_of_a_split_order_is_confirmed_by_its_store(shell, service, order):
    assert shell("orders", "confirm", order, "--store", "S1", "-o", "json").data == [
        {"order_id": order, "status": "ok"}
    ]
    asked = [call.operation for call in service.calls]
    assert asked == ["GetOrderListStore", "SetDownloadSplitOrderConfirm", "GetOrderListStore"]


def test_an_order_that_was_not_listed_or_still_is_is_not_confirmed(shell, service, order):
    ran = shell("orders", "confirm", order, "999999", "-o", "json")
    assert ran.code == 1
    assert [(row["order_id"], row["status"]) for row in ran.data] == [(order, "ok"), ("999999", "missing")]
    assert shell("orders", "confirm", order).code == 1, "it was confirmed before"
    assert shell("orders", "confirm", "no number").code == 1
    other = str(
        service.store.add_order(OrderDate="2024-05-01T12:00:00Z", OrderID="WEB-2", orderItems=[], stores=("S1", "S2"))
    )
    ran = shell("orders", "confirm", other, "-o", "json")
    assert (ran.code, [row["status"] for row in ran.data]) == (1, ["listed"])
    for store in ("S1", "S2"):
        line = ran.data[0]["message"].partition("per store: ")[2]
        assert line == f"octopus-soap orders confirm {other} --store {store}"
        assert shell(*line.split()[1:]).code == 0
        ran = shell("orders", "confirm", other, "-o", "json")
    assert ran.data[0]["status"] == "missing"


@pytest.mark.parametrize("spelling", ["0{}", " {}", "{} "])
def test_an_id_that_is_not_listed_is_not_sent(shell, service, order, spelling):
    other = spelling.format(order)
    ran = shell("orders", "confirm", other, "-o", "json")
    assert (ran.code, [(row["order_id"], row["status"]) for row in ran.data]) == (1, [(other, "missing")])
    assert {call.operation for call in service.calls} == {"GetOrderList"}
    ran = shell("orders", "confirm", other, order, order, "-o", "json")
    assert (ran.code, [row["status"] for row in ran.data]) == (1, ["missing", "ok", "ok"])


def test_a_confirmation_that_fails_is_shown_as_open(shell, service, order):
    service.script.on("SetDownloadOrderConfirm").do(Status(404))
    ran = shell("orders", "confirm", order, "-o", "json")
    assert ran.code == 2
    assert [(row["order_id"], row["status"]) for row in ran.data] == [(order, "failed")]
    ran = shell("orders", "confirm", "999999", order)
    assert ran.code == 2
    assert "nothing was sent" in ran.out
    assert "HTTP 404" in ran.out


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_call_with_its_partial_result(shell, service, number, code):
    service.store.add_items({"Sku": sku} for sku in "ABC")
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def second(call):
        seen.append(call)
        if len(seen) == 2:
            os.kill(os.getpid(), number)
        return len(seen) == 2

    service.script.on("DeleteItem", when=second).do(Hang())
    ran = shell("items", "delete", "A", "B", "C", "--yes", "-o", "json")
    assert (ran.code, [row["status"] for row in ran.data]) == (code, ["ok", "unknown", "not_sent"])
    assert signal.getsignal(signal.SIGTERM) == before


def test_orders_are_submitted_from_a_file(shell, service, tmp_path):
    orders = [{"order_id": f"WEB-{n}", "order_items": [{"sku": "A", "quantity": 1}]} for n in (1, 2)]
    (tmp_path / "orders.jsonl").write_text("\n".join(map(json.dumps, orders)))
    ran = shell("orders", "submit", "orders.jsonl", "-o", "json")
    assert ran.code == 0
    assert [(row["order_id"], row["status"]) for row in ran.data] == [("WEB-1", "ok"), ("WEB-2", "ok")]
    assert all(row["id_order"] for row in ran.data)
    assert "WEB-1" in shell("orders", "submit", "orders.jsonl").out


def test_an_order_whose_outcome_is_open_ends_the_command(shell, service, tmp_path):
    service.script.on("SubmitOrder").do(Status(503))
    (tmp_path / "orders.json").write_text('[{"order_id": "WEB-1"}, {"order_id": "WEB-2"}]')
    ran = shell("orders", "submit", "orders.json", "-o", "json")
    assert ran.code == 2
    assert [row["status"] for row in ran.data] == ["unknown", "not_sent"]
    assert "check the state at the service before you repeat it" in ran.err


def test_a_profile_chooses_the_service(shell, service, monkeypatch, tmp_path):
    service.store.add_item("A")
    lines = [f"{name} = {json.dumps(value)}" for name, value in service.settings().items()]
    (tmp_path / "profiles.toml").write_text("\n".join(["[shop]", *lines]))
    monkeypatch.setenv("OCTOPUS_PROFILES_FILE", str(tmp_path / "profiles.toml"))
    for name in service.settings():
        monkeypatch.delenv(f"OCTOPUS_{name.upper()}")
    assert shell("items", "exists", "A", "--profile", "shop").code == 0
    ran = shell("items", "exists", "A", "--profile", "shp")
    assert ran.code == 2
    assert "no profile 'shp'" in ran.err


# -- questions, names and other spellings --------------------------------------------------------------------------


def test_items_are_not_deleted_unasked(shell, service):
    service.store.add_item("A")
    ran = shell("items", "delete", "A")
    assert (ran.code, "give --yes" in ran.err) == (2, True)
    assert service.calls == []


@pytest.mark.parametrize(("answer", "code", "calls"), [("y\n", 0, 1), ("n\n", 130, 0), ("\n", 130, 0)])
def test_a_terminal_is_asked_before_items_are_deleted(shell, service, monkeypatch, answer, code, calls):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    service.store.add_item("A")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", Terminal())
    assert shell("items", "delete", "A").code == code
    assert "Delete A?" in sys.stderr.getvalue()
    assert len(service.calls) == calls


@pytest.mark.parametrize("status", ["Cleared", "cleared", "CLEARED"])
def test_a_status_is_accepted_in_any_case_in_the_shell_and_in_python(shell, service, client, status):
    assert shell("orders", "list", "--payment", status).code == 0
    assert shell("call", "GetOrderList", "--payment-status", status).code == 0
    client.get_order_list(OrderCriteria(payment_status_filter=status))
    assert [
        b"<b:PaymentStatusFilter>Cleared<" in call.request or b"Cleared" in call.request for call in service.calls
    ] == [True] * 3


def test_a_status_there_is_none_of_is_refused_with_those_there_are(shell, service):
    for words in (["orders", "list"], ["orders", "pull", "--to", "x"], ["call", "GetOrderList"]):
        option = "--payment-status" if words[0] == "call" else "--payment"
        ran = shell(*words, option, "paid")
        assert (ran.code, "unknown status; the page lists" in ran.err) == (2, True)
    assert service.calls == []


@pytest.mark.parametrize(
    ("model", "name", "meant"),
    [(ItemQuantityAndPrice, "qty", "stock"), (ItemQuantityAndPrice, "quantity", "stock"), (InventoryItem, "cost_price", "cost"),
     (InventoryItem, "CostPrice", "cost"), (OrderItem, "qty", "quantity"), (InventoryItem, "barcode", "upc"),
     (OrderCriteria, "payment_status", "payment_status_filter"), (InventoryItem, "Pric", "price")],
)  # fmt: skip
def test_the_names_of_other_systems_suggest_the_field(model, name, meant, csv_file, shell):
    with pytest.raises(InvalidInputError, match=rf"did you mean '{meant}'"):
        model(**{name: "1"})
    if model is InventoryItem and name != "Pric":
        assert f"did you mean {meant}?" in shell("items", "upload", str(csv_file(f"sku,{name}", "A,1"))).err


def test_an_argument_there_is_none_of_names_the_nearest(client):
    with pytest.raises(
        TypeError,
        match=r"no argument 'payment_status'; did you mean criteria=OrderCriteria\(payment_status_filter=...\)",
    ):
        client.get_order_list(payment_status="Cleared")
    with pytest.raises(TypeError, match=r"get_item_list\(\) has no argument 'batchsize'; did you mean batch_size"):
        client.get_item_list(["A"], batchsize=5)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        client.get_item_list()
