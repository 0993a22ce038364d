"""`--where`, `--fields`, `--no-nulls`, times such as `7d`, completion, `version`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import typer

from octopus_soap import PaymentStatusCode, ShippingStatusCode, __version__
from octopus_soap.cli import orders
from octopus_soap.cli.suggestions import Words
from tests.every import every


@pytest.fixture
def shop(service):
    for sku, stock, price, text in (
        ("A", "0", "5.00", "Mug"),
        ("B", "12", "10.00", "Blue mug"),
        ("C", "9", "9.99", "Plate"),
    ):
        service.store.add_item(sku, Stock=stock, Price=Decimal(price), Description=text, changed=True)
    return service


CONDITIONS = [
    (["stock = 0"], "A"), (["stock=0"], "A"), (["stock != 0"], "BC"), (["stock > 9"], "B"), (["price >= 9.99"], "BC"),
    (["price<10"], "AC"), (["description ~ MUG"], "AB"), (["stock > 0", "price < 10"], "C"), (["sku = B"], "B"),
    (["description = 'Blue mug'"], "B"), (["upc = 1"], ""), (["upc != 1"], "ABC"),
]  # fmt: skip
COMMANDS = [
    *((["items", "list"], *condition) for condition in CONDITIONS),
    (["items", "get", "A", "B", "C"], ["stock > 0", "price < 10"], "C"),
]


@every(("words", "conditions", "found"), COMMANDS)
def test_only_what_meets_every_condition_is_shown(shell, shop, words, conditions, found):
    given = [word for condition in conditions for word in ("--where", condition)]
    assert "".join(row["sku"] for row in shell(*words, *given, "-o", "json").data) == found
    assert not (set("ABC") - set(found)) & set(shell(*words, *given).out.split())


@every("condition", ["price > abc", "price = 9,99", "stock < few", "sale_start_date > soon", "sale_end_date = 2026"])
def test_a_value_that_a_column_cannot_have_is_refused_by_name(shell, shop, condition):
    ran = shell("items", "list", "--where", condition)
    assert ran.code == 2
    assert f"Invalid value for --where: {condition!r}: " in " ".join(ran.err.split())
    assert shell("items", "list", "--where", "stock = few", "-o", "json").data == [], "a stock may be a text"


@every(
    ("condition", "found"),
    [
        ("sale_start_date >= 2026-03-04T10:00:00Z", "BC"), ("sale_start_date > 2026-03-04T10:30:00+01:00", "BC"),
        ("sale_start_date = 2026-03-04T11:00:00+01:00", "B"), ("sale_start_date < 2026-03-04T10:00:00Z", "A"),
        ("sale_start_date = 2026-03-04", "AB"), ("sale_start_date > 2026-03-04", "C"),
        ("sale_start_date <= 2026-03-04", "AB"), ("sale_start_date ~ 2026-03-04T10", "B"),
    ],
)  # fmt: skip
def test_times_are_compared_as_times_and_with_a_date_by_their_day(shell, service, condition, found):
    for sku, hour, day in (("A", 9, 4), ("B", 10, 4), ("C", 0, 5)):
        service.store.add_item(sku, SaleStartDate=datetime(2026, 3, day, hour, tzinfo=UTC), changed=True)
    rows = shell("items", "list", "--where", condition, "-o", "json").data
    assert "".join(row["sku"] for row in rows) == found


def test_columns_are_shown_as_asked_in_every_format(shell, shop):
    words = ["items", "list", "--fields", "stock, sku,upc"]
    assert shell(*words, "-o", "csv").out == "stock,sku,upc\n0,A,\n12,B,\n9,C,\n".replace(",upc", "").replace(
        ",\n", "\n"
    )
    assert shell(*words, "-o", "json").data[1] == {"stock": "12", "sku": "B", "upc": None}
    assert shell(*words, "--no-nulls", "-o", "json").data[1] == {"stock": "12", "sku": "B"}
    assert shell(*words).out.split()[:2] == ["stock", "sku"]


def test_members_without_a_value_can_be_left_out(shell, service):
    service.store.add_item("A", Price=Decimal(1), Description=None, changed=True)
    assert None in shell("items", "list", "-o", "json").data[0]["item"].values()
    assert None not in shell("items", "list", "--no-nulls", "-o", "json").data[0]["item"].values()


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["call", "GetItemList", "--sku", "A", "--sku", "B", "--where", "stock > 0", "--fields", "sku,stock"],
         [{"sku": "B", "stock": "12"}]),
        (["call", "is_sku_exist_list", "--sku", "A", "--sku", "X", "--where", "value = false", "--fields", "sku"],
         [{"sku": "X"}]),
        (["call", "--where", "operation ~ tbl", "--fields", "python"],
         [{"python": "get_item_tbl_list"}, {"python": "delete_tbl_item"}]),
        (["items", "exists", "A", "X", "--where", "exists = true", "--no-nulls"],
         [{"sku": "A", "status": "ok", "exists": True}]),
        (["items", "delete", "A", "X", "--yes", "--where", "status != ok", "--fields", "sku"], [{"sku": "X"}]),
        (["call", "GetItemQuantityInfo", "--sku", "C", "--fields", "sku,stock"], [{"sku": "C", "stock": 9}]),
        (["version", "--where", "package = zeep", "--fields", "package"], [{"package": "zeep"}]),
    ],
    ids=lambda words: " ".join(words[:2]) if isinstance(words[0], str) else "",
)  # fmt: skip
def test_every_command_that_prints_rows_selects_them_in_one_way(shell, shop, words, rows):
    assert shell(*words, "-o", "json").data == rows
    table = shell(*words).out.split()
    assert all(str(value) in table for row in rows for value in row.values() if value is not True)


@pytest.mark.parametrize(
    "words",
    [
        ["items", "delete", "A", "--yes"],
        ["stock", "set", "A", "--stock", "1"],
        ["call", "DeleteItem", "--sku", "A"],
        ["call", "UploadItemList", "--item", '{"sku": "A", "price": 1}'],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_wrong_column_is_found_before_anything_is_written(shell, shop, words):
    ran = shell(*words, "--where", "no_such_column = 1")
    assert (ran.code, "no column" in ran.err) == (2, True), ran.err
    assert len(shop.calls) == 0


def test_the_answer_of_a_call_stays_one_object_unless_some_of_it_is_chosen(shell, shop):
    whole = shell("call", "GetItemQuantityInfo", "--sku", "C", "-o", "json").data["value"]
    trimmed = shell("call", "GetItemQuantityInfo", "--sku", "C", "--no-nulls", "-o", "json").data["value"]
    assert trimmed == {name: value for name, value in whole.items() if value is not None}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "stock"], "is not a condition such as 'stock = 0'"),
        (["--where", "qty = 0"], "no column 'qty'; did you mean stock?"),
        (["--fields", "sku,prise"], "no column 'prise'; did you mean price?"),
    ],
)
def test_what_names_nothing_is_refused(shell, shop, words, said):
    ran = shell("items", "list", *words)
    assert (ran.code, said in ran.err) == (2, True), ran.err


@every(("text", "days"), [("today", 0), ("yesterday", 1), ("7d", 7), ("1w", 7), ("24h", 1), ("1440m", 1)])
def test_a_time_may_be_told_from_now(text, days):
    found = orders.moment_of(text, "--since")
    apart = datetime.now(UTC) - found - timedelta(days=days)
    assert timedelta(0) <= apart < (timedelta(days=1) if text.endswith("day") else timedelta(minutes=1))
    assert found.utcoffset() == timedelta(0)


@every("text", ["0d", "-7d", "7", "tomorrow", "7y"])
def test_other_texts_are_no_time(text):
    with pytest.raises(typer.BadParameter, match="7d, yesterday"):
        orders.moment_of(text, "--since")


def test_orders_are_listed_since_a_time_from_now(shell, service):
    service.store.add_order(OrderID="OLD", OrderDate=datetime.now(UTC) - timedelta(days=9))
    service.store.add_order(OrderID="NEW", OrderDate=datetime.now(UTC) - timedelta(days=1))
    assert shell("orders", "list", "--since", "7d").code == 0
    assert b"OrderCreationFilter" in service.calls[-1].request


def test_the_statuses_that_complete_are_those_of_the_models():
    assert {*orders.PAYMENTS} == {*PaymentStatusCode} - {"NoChange"}
    assert {*orders.SHIPMENTS} == {*ShippingStatusCode} - {"NoChange"}
    assert Words(orders.PAYMENTS, folded=True).like("cl") == ["cleared"]
    assert Words(orders.SHIPMENTS, folded=True).like("P") == ["PendingShipment", "PartiallyShipped"]


def test_version_names_what_is_installed(shell):
    rows = {row["package"]: row for row in shell("version", "-o", "json").data}
    assert rows["octopus-soap"]["version"] == __version__
    assert (rows["zeep"]["version"] is not None, rows["zeep"]["extras"]) == (True, None)
    assert rows["rich"]["extras"] == "cli"
    assert {"jobs", "fleet", "postgres"} <= set(rows["sqlalchemy"]["extras"].split(", "))
    assert "zeep" in shell("version").out
