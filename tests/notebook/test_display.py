"""Displays in a notebook and a terminal: short, failures first, no secrets."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from rich.console import Console

from octopus_soap import (
    AddressInfo,
    AuthenticationError,
    BatchError,
    BatchResult,
    CallInfo,
    ConnectFailedError,
    FaultError,
    InvalidInputError,
    InventoryItem,
    ItemOutcome,
    OrderItem,
    OrderResponseItem,
    OutcomeStatus,
    ProtocolError,
    StoreStockInfo,
    errors,
)
from octopus_soap.errors import OctopusError, Problem
from octopus_soap.testing import make_item
from tests.every import every

NASTY = "<script>alert(1)</script>&\"'"


class Reader(HTMLParser):
    """Checks that every tag is allowed and closed, and collects the words."""

    ALLOWED = frozenset({"div", "style", "p", "b", "table", "thead", "tr", "th", "td"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""

    def handle_starttag(self, tag, attrs):
        assert tag in self.ALLOWED
        assert {name for name, _ in attrs} <= {"class"}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += f"{data}\n"


def read(markup: str) -> str:
    reader = Reader()
    reader.feed(markup)
    reader.close()
    assert reader.open == []
    return reader.words


def printed(shown: object, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(shown)
    return console.file.getvalue()


def result_of(count: int, text: str = "Mug") -> BatchResult[InventoryItem]:
    outcomes = []
    stores = [StoreStockInfo(store_id=f"S{n}", store_stock=n) for n in range(3)]
    for index in range(count):
        key = f"{index:05d}"
        if index % 100 == 98:
            outcomes.append(ItemOutcome(index, key, OutcomeStatus.MISSING, input=key))
        elif index % 100 == 99:
            outcomes.append(ItemOutcome(index, key, OutcomeStatus.REJECTED, message=f"no {text}", input=key))
        else:
            item = InventoryItem(sku=key, description=text, price="1.50", stock="3", store_stock_info_list=stores)
            outcomes.append(ItemOutcome(index, key, OutcomeStatus.OK, item, input=key))
    return BatchResult(outcomes, [CallInfo("GetItemList", 1, 200, elapsed=0.5, received_bytes=12345)])


ORDER = OrderResponseItem(
    order_id="77",
    credit_card="4111-canary",
    web_comment=NASTY,
    ship=AddressInfo(city="Springfield"),
    order_items=[OrderItem(sku="A", quantity=2, unit_price="3.10")],
)


@every(
    ("count", "text"),
    [(10_000, "Mug"), (1000, NASTY * 40), (1000, "\u65e5\u672c" * 200), (1000, "\U0001f600" * 300)],
)
def test_ten_thousand_items_fit_in_fifty_kilobytes(count: int, text: str) -> None:
    shown = result_of(count, text)._repr_html_()
    assert len(shown.encode()) <= 50_000
    assert "more" in read(shown)


def test_a_result_shows_the_rejected_and_the_missing_before_the_good() -> None:
    words = read(result_of(200)._repr_html_())
    order = [words.index(word) for word in ("BatchResult", "rejected\n99", "missing\n98", "00000")]
    assert order == sorted(order)
    assert "196 ok, 2 rejected, 2 missing" in words
    assert "1 request, 0.50 s, 12,345 bytes read" in words


def test_everything_is_escaped() -> None:
    for shown in (result_of(100, NASTY), ORDER, InvalidInputError([Problem(NASTY, 0, NASTY, NASTY, NASTY)])):
        markup = shown._repr_html_()
        assert "<script" not in markup
        assert NASTY in read(markup)


def test_the_markup_fetches_nothing_and_inherits_its_colours() -> None:
    for shown in (result_of(300), ORDER, ORDER.order_items[0], InvalidInputError([Problem("wrong")])):
        markup = shown._repr_html_()
        assert re.search(r"https?:|//|url\(|@import|src=|href=", markup) is None
        assert re.search(r"(?<![-\w])color:|#[0-9a-f]{3}|: ?white|: ?black", markup) is None
        read(markup)


def test_an_order_shows_its_lines_and_no_card_number() -> None:
    words = read(ORDER._repr_html_())
    assert "canary" not in words + printed(ORDER) + repr(ORDER)
    assert "lines" in words
    assert "3.10" in words
    assert "ship.city\nSpringfield" in words


def test_an_item_shows_what_is_set_and_its_stores() -> None:
    item = make_item("00123").replace(store_stock_info_list=[StoreStockInfo(store_id="S1", store_stock=2)])
    words = read(item._repr_html_())
    assert "InventoryItem 00123" in words
    assert "price\n9.99" in words
    assert "S1\n2" in words
    assert "msrp" not in words


def test_a_flag_per_sku_is_shown_with_its_sku() -> None:
    result = BatchResult([ItemOutcome(0, "A", OutcomeStatus.OK, value=False)])
    assert "A\nfalse" in read(result._repr_html_())


def test_a_batch_error_shows_its_result() -> None:
    cause = ConnectFailedError("the connection was refused")
    result = BatchResult([ItemOutcome(0, "A", OutcomeStatus.FAILED, error=cause, input="A")])
    with pytest.raises(BatchError) as caught:
        result.raise_for_unfinished()
    words = read(caught.value._repr_html_())
    assert "BatchResult: 1 failed" in words
    assert "the connection was refused" in words
    assert "retry_inputs()" in words
    assert "the connection was refused" in printed(caught.value)


def test_invalid_input_shows_every_problem_up_to_the_cap() -> None:
    error = InvalidInputError([Problem("too long", index, f"K{index}", "sku", "'x'") for index in range(50)])
    words = read(error._repr_html_())
    assert "50 problems" in words
    assert "K19" in words
    assert "and 30 more" in words


def test_a_terminal_shows_the_same_and_no_control_characters() -> None:
    hostile = ItemOutcome(200, "K\x1b[2J", OutcomeStatus.REJECTED, message="\x1b[31mred\x9b")
    shown = printed(BatchResult([*result_of(200, "\x85red\u202e").outcomes, hostile]), width=80)
    assert not {"\x1b", "\x9b", "\x85"} & set(shown)
    assert "\u202e" not in shown
    assert shown.index("rejected") < shown.index("00000")
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_markup_of_rich_in_a_services_text_is_only_text() -> None:
    assert "[bold]x[/bold]" in printed(make_item(description="[bold]x[/bold]"))


def test_a_repr_is_short_and_can_be_read_back() -> None:
    item = InventoryItem(sku="1", stock="3")
    assert repr(item) == "InventoryItem(sku='1', stock='3')"
    assert eval(repr(item)) == item
    assert (
        repr(ItemOutcome(3, "A", OutcomeStatus.MISSING, input="A")) == "ItemOutcome(index=3, key='A', status='missing')"
    )
    assert repr(result_of(200)) == "<BatchResult ok=196, rejected=2, missing=2>"


MADE = {
    "BatchError": lambda cls: cls("x", result=BatchResult([])),
    "InvalidInputError": lambda cls: cls([Problem("x")]),
    "HttpStatusError": lambda cls: cls("x", status=500),
    "FaultError": lambda cls: cls("x", fault_code="c"),
    "ApiStatusError": lambda cls: cls("x", status="Failure"),
}


HINTED = [
    "ApiStatusError",
    "AuthenticationError",
    "BatchError",
    "ClientClosedError",
    "ConnectFailedError",
    "FaultError",
    "HttpStatusError",
    "InvalidInputError",
    "OutcomeUnknownError",
    "ProtocolError",
    "RateLimitedError",
    "RejectedError",
    "TimedOutError",
    "UnverifiedContractError",
]


@every("name", HINTED)
def test_an_error_says_the_next_step_in_its_traceback_and_its_view(name: str) -> None:
    cls = getattr(errors, name)
    error: OctopusError = MADE.get(name, lambda cls: cls("x"))(cls)
    assert error.hint
    assert error.__notes__ == [f"Next: {error.hint}"]
    assert error.hint in read(error._repr_html_())
    assert error.hint not in str(error)


def test_an_error_shows_the_facts_of_its_call() -> None:
    info = CallInfo("GetItemList", 2, 500, "InternalServiceFault", "r1", 1.5)
    for error in (FaultError("no", fault_code="c", info=info), AuthenticationError("no", info=info)):
        assert "GetItemList, attempt 2, HTTP 500" in read(error._repr_html_())
    assert "GetItemList" in read(ProtocolError("no", info=info)._repr_html_())


def test_nothing_that_draws_is_loaded_before_it_draws() -> None:
    code = """
import sys, octopus_soap
from octopus_soap import BatchResult, InventoryItem, OctopusError, plots, tables
repr(InventoryItem(sku="1")); InventoryItem(sku="1")._repr_html_(); BatchResult([])._repr_html_()
print(*{"rich", "tqdm", "pandas", "polars", "pyarrow", "matplotlib", "IPython", "numpy"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
