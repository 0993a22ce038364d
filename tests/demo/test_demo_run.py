"""The demo's steps, and the differences that it finds."""

from __future__ import annotations

import csv
import gzip
import os
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path

import pytest

from octopus_soap.cli.commands import run as shell
from octopus_soap.demo import run as demo_run
from octopus_soap.demo.compare import Expected, compare_calls, compare_fields, compare_items
from octopus_soap.demo.retail import as_lines, build_shop, read_retail, small_shop, sort_lines
from octopus_soap.demo.run import run_demo, windows
from octopus_soap.emulator import CallRecord, Emulator, Lie, LintNote
from octopus_soap.models import AddressInfo, InventoryItem
from octopus_soap.testing import make_order
from tests.every import every
from tests.inside import execute, repeat_first_call

RETAIL = Path(__file__).parents[2].parent / "shared" / "data" / "online_retail_40k.csv.gz"
needs_retail = pytest.mark.skipif(not RETAIL.exists(), reason=f"the real shop's lines are not at {RETAIL}")


@pytest.fixture
def shop():
    reading = sort_lines(as_lines(small_shop()))
    return build_shop(reading.sold, (dirty.code for dirty in reading.dirty))


@pytest.fixture
def few_sales():
    """The first sales of the shop, and all its items."""
    reading = sort_lines(as_lines(small_shop()))
    first = [line for line in reading.sold if line.invoice <= "536376"]
    assert "00101" in {line.item.sku for line in first}
    return build_shop(first, (dirty.code for dirty in reading.dirty))


def test_the_small_shop_goes_in_and_comes_out_as_it_was(shop):
    outcome = run_demo(shop)
    assert [str(difference) for difference in outcome.differences] == []
    steps = {step.name: step for step in outcome.steps}
    assert steps["upload catalogue"].items == 60
    assert steps["check existence"].items == 60 + len(shop.strangers)
    assert (steps["submit orders"].calls, steps["submit orders"].rejected) == (40, 0)
    assert (steps["download orders"].items, steps["download them again"].items) == (40, 0)
    assert steps["read it again"].items == 0


def test_the_small_shop_comes_out_as_it_was_from_a_strict_service_too(shop):
    """Its value types cannot be null, and are 0 if left out."""
    outcome = run_demo(shop, strict=True)
    assert [str(difference) for difference in outcome.differences] == []
    assert {step.name: step for step in outcome.steps}["push stock and prices"].calls > 1  # it reads before each update


def test_a_shop_without_sales_takes_no_call_it_needs_not():
    outcome = run_demo(build_shop([]))
    assert outcome.differences == []
    assert sum(step.calls for step in outcome.steps) == 2  # the change list, twice


def test_the_demo_ignores_the_machines_settings(shop, monkeypatch):
    monkeypatch.setenv("OCTOPUS_ACCOUNT_ID", "a-real-account")
    monkeypatch.setenv("OCTOPUS_BATCH_SIZES", '{"UploadItemList": 7}')
    assert run_demo(shop).differences == []


class _Tampered(Emulator):
    """A service whose data is changed during the demo."""

    latest: Emulator

    def start(self):
        super().start()
        type(self).latest = self
        return self


@pytest.fixture
def tampered(monkeypatch):
    monkeypatch.setattr(demo_run, "Emulator", _Tampered)

    def at(step, meddle):
        def watch(name, done, _):
            if name == step and done == 0:
                meddle(_Tampered.latest)

        return watch

    return at


def _confirm_nothing(service):
    for order in service.store.orders():
        execute(service, "UPDATE order_stores SET confirmed = 0 WHERE order_id = ?", (order,))


MEDDLING = {
    "a price that is not the pushed one": (
        "check items",
        lambda s: s.store.add_item("00101", Price=Decimal(1)),
        "00101",
    ),
    "an item that vanished": ("compare with the service", lambda s: s.store.remove_item("00101"), "'missing'"),
    "an item too many": ("compare with the service", lambda s: s.store.add_item("ghost"), "'extra'"),
    "a code that should not exist": ("check existence", lambda s: s.store.add_item("POST"), "existence of 'POST'"),
    "a change after the list was cleared": (
        "read it again",
        lambda s: s.store.mark_changed("00101"),
        "still in the change",
    ),
    "an order too many": ("download orders", lambda s: s.store.add_order(OrderDate=make_order("X").order_date), "X"),
    "an order that exists already": ("submit orders", lambda s: s.store.add_order(OrderID="536370"), "'536370'"),
    "an order that was not confirmed": ("compare with the service", _confirm_nothing, "confirmed: True expected"),
    "a call too many": (
        "compare with the service",
        repeat_first_call,
        "'UploadItemList': 1",
    ),
    "a stock that is not the pushed one": ("check stock", lambda s: s.store.add_item("00101", Stock=77), "77"),
    "a reply that lost a row": (
        "check items",
        lambda s: s.script.on("GetItemList").do(Lie("missing-row")),
        "GetItemList",
    ),
}  # fmt: skip - one row, one line


QUICK = ("a price that is not the pushed one", "an order that was not confirmed", "a reply that lost a row")


@pytest.mark.parametrize(
    "what", [what if what in QUICK else pytest.param(what, marks=pytest.mark.long) for what in MEDDLING]
)
def test_the_demo_sees(few_sales, tampered, what):
    step, meddle, shown = MEDDLING[what]
    differences = run_demo(few_sales, tampered(step, meddle)).differences
    if what == "an order too many":
        shown = "'extra'"
    assert any(shown in str(difference) for difference in differences), [str(d) for d in differences[:5]]


def test_windows_touch_and_cover_every_moment():
    moments = [make_order().order_date.replace(day=day) for day in (1, 8, 31)]
    found = list(windows(moments))
    assert all(end == begin for (_, end), (begin, _) in pairwise(found))
    assert all(any(begin <= moment <= end for begin, end in found) for moment in moments)
    assert list(windows([])) == []


# -- comparing -------------------------------------------------------------------------------------------------------


def test_fields_the_service_adds_are_no_difference_and_changed_ones_are_named_to_the_leaf():
    wanted = make_order(ship=AddressInfo(city="Springfield"))
    found = wanted.replace(ship=AddressInfo(city="Shelbyville", zip="1"), web_comment="hello")
    assert [(d.field, d.wanted, d.found) for d in compare_fields("", "", wanted, found)] == [
        ("ship.city", "Springfield", "Shelbyville")
    ]
    changed = wanted.replace(order_items=[wanted.order_items[0].replace(quantity=9)])
    assert [d.field for d in compare_fields("", "", wanted, changed)] == ["order_items[0].quantity"]
    assert [d.field for d in compare_fields("", "", wanted, wanted.replace(order_items=[]))] == ["order_items"]


def test_an_item_that_comes_twice_is_a_difference():
    item = InventoryItem(sku="A")
    assert [d.found for d in compare_items("", {"A": item}, [item, item])] == ["2 times"]


def call(operation="GetItemList", items=1, status=200, *, executed=True):
    return CallRecord(
        sequence=1,
        nth=1,
        operation=operation,
        merchant="m",
        items=items,
        keys=(),
        connection=1,
        headers={},
        request=b"",
        status=status,
        executed=executed,
    )  # fmt: skip - a record has many fields


@every(
    ("plan", "calls", "fields"),
    [
        (Expected(101, 100), [call(items=100), call()], []),
        (Expected(101, 100), [call(items=101)], ["", "largest batch"]),
        (Expected(2, 100), [call(items=1)], ["items"]),
        (Expected(1), [call(status=500)], ["not carried out"]),
        (Expected(1), [call(executed=False)], ["not carried out"]),
        (Expected(1), [call(), call("Strange")], [""]),
        (Expected(0, 100), [], []),
    ],
)
def test_the_call_log_is_held_against_the_plan(plan, calls, fields):
    assert [d.field for d in compare_calls({"GetItemList": plan}, calls, [])] == fields


def test_a_lint_note_is_a_difference():
    note = LintNote("UploadItem", "UploadItem/x", "unknown", "not a member")
    (difference,) = compare_calls({}, [], [note])
    assert "unknown: not a member" in str(difference)


# -- from the shell --------------------------------------------------------------------------------------------------


def test_the_command_ends_with_no_differences(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    report = tmp_path / "dirty.csv"
    assert shell(["demo", "--report", str(report)]) == 0
    out = capsys.readouterr().out
    assert out.endswith("no differences\n")
    assert "UpdateItemQuantityAndPriceList" in out
    with report.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert (rows[0]["line"], rows[0]["reason"]) == ("6", "cancellation")
    assert {"line": "23", "also": "not goods"}.items() <= rows[1].items()


def test_the_command_ends_with_1_and_each_difference(capsys, monkeypatch):
    original = demo_run._Run._compare_with_service  # noqa: SLF001 - the demo's last step, replaced

    def meddled(self):
        for number in range(60):
            self._service.store.add_item(f"ghost-{number:02}")
        original(self)

    monkeypatch.setattr(demo_run._Run, "_compare_with_service", meddled)  # noqa: SLF001 - the demo's last step, replaced
    assert shell(["demo"]) == 1
    out = capsys.readouterr().out
    assert "different: item in the store 'ghost-00': 'nothing' expected, 'extra' found" in out
    assert "… and 10 more" in out
    assert out.endswith("60 differences\n")


def test_a_file_of_another_format_ends_with_2(capsys, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    assert shell(["demo", "--retail-csv", str(path)]) == 2
    assert "InvoiceNo: no such column" in capsys.readouterr().err


@pytest.mark.long
@needs_retail
def test_every_line_of_the_real_file_is_sorted():
    reading = read_retail(RETAIL)
    reading.check()
    assert reading.total == 40_000
    assert {reason.value: len(lines) for reason, lines in reading.buckets.items()} == {
        "cancellation": 674,
        "not goods": 161,
        "stock adjustment": 104,
        "no description": 33,
        "price of zero or less": 41,
    }


@pytest.mark.long
@needs_retail
def test_the_real_file_ends_with_no_differences(capsys, tmp_path):
    """The first 2,000 lines of it; all of them if OCTOPUS_SOAP_FULL_DEMO is set."""
    path = RETAIL
    if not FULL:
        path = tmp_path / "slice.csv"
        with gzip.open(RETAIL, "rt", encoding="utf-8", newline="") as file:
            path.write_text("".join(islice(file, 2001)), encoding="utf-8", newline="")
    assert shell(["demo", "--retail-csv", str(path)]) == 0
    assert capsys.readouterr().out.endswith("no differences\n")


FULL = bool(os.environ.get("OCTOPUS_SOAP_FULL_DEMO"))  # read before the fixtures clear OCTOPUS_ variables
