"""Discovery by Tab: names, signatures, docstrings, the catalogue, suggestions."""

from __future__ import annotations

import asyncio
import atexit
import pickle
import re
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from jedi import Interpreter

from octopus_soap import (
    AsyncOctopusClient,
    BatchResult,
    InventoryItem,
    ItemOutcome,
    OctopusClient,
    OctopusSettings,
    OrderCriteria,
    OutcomeStatus,
    StoreStockInfo,
    tables,
)
from octopus_soap.notebook import load_ipython_extension
from octopus_soap.operations import OPERATIONS
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=["blocking", "asynchronous"])
def live(request, client, service) -> Iterator[OctopusClient | AsyncOctopusClient]:
    """A live client of each kind."""
    if request.param == "blocking":
        yield client
        return
    made = AsyncOctopusClient(settings=OctopusSettings.load(**service.settings()))
    yield made
    asyncio.run(made.aclose())


def test_tab_completes_an_operation(live) -> None:
    found = Interpreter("client.get_item_l", [{"client": live}]).complete()
    assert [each.name for each in found] == ["get_item_list"]


def test_tab_shows_every_operation_and_what_a_client_has(live) -> None:
    found = {each.name for each in Interpreter("client.", [{"client": live}]).complete()}
    assert {operation.name for operation in OPERATIONS.values()} <= found
    assert {"operations", "with_options", "settings"} <= found


@pytest.fixture
def ipython() -> Iterator[Callable[[], InteractiveShell]]:
    """Make shells, whose history databases are closed at the end."""
    shells: list[InteractiveShell] = []

    def make() -> InteractiveShell:
        shells.append(InteractiveShell())
        return shells[-1]

    yield make
    for shell in shells:
        history = shell.history_manager
        getattr(history, "close", history.db.close)()  # IPython 8 has no close of its own
        atexit.unregister(shell.atexit_operations)  # it would write into the history


def test_ipython_completes_the_same(client, ipython) -> None:
    shell = ipython()
    shell.push({"client": client})
    with provisionalcompleter():
        found = {each.text for each in shell.Completer.completions("client.get_item_q", 17)}
    assert {"get_item_quantity", "get_item_quantity_info", "get_item_quantity_list"} <= {
        t.rpartition(".")[2] for t in found
    }


@pytest.mark.parametrize(
    "operation", [OPERATIONS["SubmitOrder"], OPERATIONS["GetItemList"]], ids=lambda operation: operation.name
)
def test_the_signature_shown_is_the_rows(operation, client) -> None:
    [shown] = Interpreter(f"client.{operation.name}(", [{"client": client}]).get_signatures()
    assert [param.name for param in shown.params] == list(operation.signature.parameters)


def test_the_signature_and_docstring_of_a_live_object_are_the_rows(live) -> None:
    [shown] = Interpreter("client.get_item_list(", [{"client": live}]).get_signatures()
    assert [param.name for param in shown.params] == ["skus", "account_id", "batch_size", "progress"]
    assert "Return the inventory data of SKUs" in live.get_item_list.__doc__


def test_the_question_mark_of_ipython_shows_signature_and_docstring(client, ipython) -> None:
    shell = ipython()
    shell.push({"client": client})
    shown = shell.object_inspect_text("client.get_item_list")
    assert "skus: 'Iterable[str]'" in shown.replace("\x1b[0m", "")
    assert "Vendor's page: GetItemList" in shown


ITEM = InventoryItem(sku="A", price="1.50", stock="3", store_stock_info_list=[StoreStockInfo(store_id="S1")])
RESULT = BatchResult(
    [ItemOutcome(0, "A", OutcomeStatus.OK, ITEM), ItemOutcome(1, "B-2", OutcomeStatus.OK, ITEM.replace(sku="B-2"))]
)


def completed(shell: InteractiveShell, text: str) -> list[str]:
    with provisionalcompleter():
        return [each.text.lstrip(".") for each in shell.Completer.completions(text, len(text))]


@every("jedi", [True, False])
def test_items_of_a_result_their_keys_and_values_of_arguments_complete_in_ipython(jedi: bool, ipython) -> None:
    shell = ipython()
    shell.Completer.use_jedi = jedi
    shell.push({"items": RESULT, "OrderCriteria": OrderCriteria, "plain": [ITEM], "low_stock": tables.low_stock})
    load_ipython_extension(shell)
    load_ipython_extension(shell)  # twice does no harm
    assert len(shell.Completer.custom_matchers) == 2
    for text, expected in {
        "items[0].pri": ["price", "price_a", "price_b", "price_c"],
        'items["A"].stock_q': ["stock_quantity"],
        "print(items[-1].stores[0].store_i": ["store_id"],
        "items.outcomes[0].stat": ["status"],
        "plain[0].stock_q": ["stock_quantity"],
        'items["': ["A", "B-2"],
        "items.to_frame(stores='": ["columns", "json", "rows"],
        'items.to_frame("polars", which="o': ["outcomes"],
        "OrderCriteria.since('7d', status='cl": ["Cleared"],
        'OrderCriteria(payment_status_filter="F': ["Failed"],
        'low_stock(items, backend="po': ["polars"],
    }.items():
        assert sorted(completed(shell, text)) == expected, text
    assert "rows" not in completed(shell, "other(stores='ro")


def test_completion_of_a_model_has_its_members_and_not_pydantics() -> None:
    found = {each.name for each in Interpreter("item.", [{"item": ITEM}]).complete()} | set(dir(ITEM))
    public = {name for name in found if not name.startswith("_")}
    assert {"sku", "price", "stock_quantity", "stores", "replace", "without"} <= public
    assert not {name for name in public if name.startswith(("model_", "parse_", "construct", "schema", "validate"))}
    assert ITEM.model_dump()["sku"] == "A", "what is not shown can be used all the same"


def test_ipython_shows_where_the_callers_code_was_the_error_and_the_whole_traceback_on_demand(live, ipython) -> None:
    shell = ipython()
    shell.push({"client": live, "asyncio": asyncio})
    shell.run_line_magic("xmode", "Verbose")
    call = "client.get_item_list(['x' * 51])"
    with redirect_stdout(StringIO()) as shown:
        shell.run_cell(f"1\n{call}" if isinstance(live, OctopusClient) else f"1\nasyncio.run({call})")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).strip().splitlines()
    assert any(line.startswith("line 2 of the cell: ") for line in lines), lines
    assert lines[-3].startswith("InvalidInputError: nothing was sent: [0] ")
    assert lines[-2].startswith("Next: `.problems` lists each one")
    assert lines[-1] == "the whole traceback: import sys, traceback; traceback.print_exception(sys.last_value)"
    assert len(lines) <= 12
    with redirect_stderr(StringIO()) as whole:
        shell.run_cell(lines[-1].partition(": ")[2])
    assert "engine/inputs.py" in whole.getvalue()


# -- the catalogue -----------------------------------------------------------------------------------------------------


def test_operations_lists_the_catalogue_as_this_client_has_it(make_client) -> None:
    client = make_client(batch_sizes={"GetItemList": 7}, safety={"SubmitOrder": "idempotent"})
    rows = {row.wire_name: row for row in client.operations}
    assert list(rows) == list(OPERATIONS)
    assert len(client.operations) == len(OPERATIONS)
    assert (rows["GetItemList"].name, rows["GetItemList"].batch_size) == ("get_item_list", 7)
    assert rows["IsSkuExistList"].batch_size == 500
    assert rows["IsSkuExistList"].documented
    assert rows["GetItemQuantity"].batch_size is None
    assert rows["SubmitOrder"].safety.value == "idempotent"
    assert rows["GetItemList"].summary == "Return the inventory data of SKUs, any number of them, 100 per request."


def test_operations_prints_a_table(live) -> None:
    lines = repr(live.operations).splitlines()
    assert len(lines) == 1 + len(OPERATIONS)
    assert lines[0].split()[:2] == ["method", "operation"]
    assert max(map(len, lines)) <= 190
    [line] = [line for line in lines if line.startswith("get_item_list ")]
    assert line.split()[1:4] == ["GetItemList", "100", "read"]
    assert "GetItemQuantityList" in live.operations._repr_html_()


# -- suggestions for a wrong name -------------------------------------------------------------------------------------


@every(
    ("typed", "meant"),
    [
        ("getItemList", "get_item_list"),
        ("GetItemList", "get_item_list"),
        ("get_items", "get_item_list"),
        ("get_itemlist", "get_item_list"),
        ("submit_orders", "submit_order"),
        ("is_sku_exists", "is_sku_exist"),
        ("delete_items", "delete_item"),
    ],
)
def test_a_misspelt_operation_names_the_one_that_was_meant(live, typed: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"did you mean {meant}\\?") as raised:
        getattr(live, typed)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_hasattr_looks_for_no_other_name(live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octopus_soap.engine.catalogue.meant", lambda _: pytest.fail("the text is not read"))
    assert not hasattr(live, "submit_orders")


def test_a_name_far_from_all_points_to_the_catalogue(live) -> None:
    with pytest.raises(AttributeError, match=r"`\.operations` lists"):
        _ = live.xyzzy
    assert not hasattr(live, "_repr_html_")
    assert not hasattr(live, "_ipython_canary_method_should_not_exist_")
