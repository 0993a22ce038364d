"""Each limit at its edges: the batches, with nothing lost, doubled or reordered."""

from __future__ import annotations

import threading
from decimal import Decimal
from itertools import count, islice
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import requests

from octopus_soap import (
    BatchResult,
    InvalidInputError,
    InventoryItem,
    ItemQuantityAndPrice,
    OctopusClient,
    OctopusSettings,
    OmittedValues,
    OrderDownloadSubmitRequest,
    OutcomeStatus,
    Progress,
    Safety,
    StoreStockInfo,
)
from octopus_soap.emulator import Emulator, Profile
from octopus_soap.emulator.calls import LIMITS
from octopus_soap.operations import OPERATIONS
from tests.catalogue import LISTS, ORDERS_FROM, Row
from tests.every import every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from octopus_soap.emulator import CallRecord


class Case(NamedTuple):
    """A list operation under test, and the inputs that it gets."""

    row: Row

    def __str__(self) -> str:
        return self.row.operation

    @property
    def operation(self) -> str:
        return self.row.operation

    @property
    def method(self) -> str:
        return self.row.name

    @property
    def limit(self) -> int:
        """The page's limit, or ours if it has none."""
        return self.row.limit or 100

    @property
    def finds_half(self) -> bool:
        """True if it returns stored items; `seed` then stores every other item."""
        return self.row.safety is Safety.READ and self.row.returns != "BatchResult[bool]"

    def inputs(self, n: int) -> list[Any]:
        assert self.row.entry is not None
        return [self.row.entry(key) for key in self.keys(n)]

    def keys(self, n: int) -> list[str]:
        return [str(ORDERS_FROM + number) for number in range(n)] if self.row.confirms else skus(n)

    def seed(self, service: Emulator, n: int) -> None:
        if self.row.confirms:
            for _ in range(n):
                service.store.add_order()
        else:
            service.store.add_items({"Sku": sku, "Stock": "1"} for sku in skus(n)[:: 2 if self.finds_half else 1])


def skus(n: int) -> list[str]:
    return [f"SKU-{number:05d}" for number in range(n)]


def _all(service: Emulator, n: int) -> None:
    service.store.add_items({"Sku": sku} for sku in skus(n))


CASES = [Case(row) for row in LISTS]
BY_NAME = {case.operation: case for case in CASES}
EVERY_LIST = pytest.mark.parametrize("case", CASES, ids=str)
SOME = [
    BY_NAME[name]
    for name in ("GetItemList", "UpdateItemQuantityAndPriceList", "UploadItemList", "SetDownloadOrderConfirm")
]
SOME_LISTS = pytest.mark.parametrize("case", SOME, ids=str)
"""A list that is read, one that is written, one with our own limit, one without a result: nothing else of an operation
changes how its list is split."""
READS = [case.operation for case in CASES if case.row.safety is Safety.READ]
WRITES = [name for name in BY_NAME if name not in READS]


@pytest.fixture(autouse=True)
def nothing_to_lint(service: Emulator) -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        # The last request of an abandoned stream must not reach the next test. The decoding thread stays.
        if thread.name.startswith("octopus-soap") and "decode" not in thread.name:
            thread.join(10)
    assert service.lint == []


def in_input_order(calls: Iterable[CallRecord], keys: list[str]) -> list[CallRecord]:
    """Return calls in the input's order, as reads run side by side."""
    place = {key: index for index, key in enumerate(keys)}
    return sorted(calls, key=lambda call: place[call.keys[0]])


def sent(service: Emulator, keys: list[str]) -> list[str]:
    """Return all keys sent, batch after batch."""
    return [key for call in in_input_order(service.calls, keys) for key in call.keys]


def test_the_table_has_every_list_operation_and_the_limits_of_the_page() -> None:
    assert set(BY_NAME) == {name for name, operation in OPERATIONS.items() if operation.rule is not None}
    assert {row.operation: row.limit for row in LISTS if row.limit} == LIMITS


# -- counts --------------------------------------------------------------------------------------------------------


SIZES = [
    *((case, size) for case in SOME for size in ("1", "limit", "2 * limit + 7")),
    *((case, "limit + 1") for case in CASES),
]


@pytest.mark.parametrize(("case", "size"), SIZES, ids=[f"{case}-{size}" for case, size in SIZES])
def test_no_call_is_above_the_limit_and_no_item_is_missing(
    case: Case, size: str, client: OctopusClient, service: Emulator
) -> None:
    n = eval(size, {"limit": case.limit})
    case.seed(service, n)
    keys = case.keys(n)

    result = getattr(client, case.method)(case.inputs(n))

    calls = service.calls
    assert [call.operation for call in calls] == [case.operation] * ceil(n / case.limit)
    assert all(call.items <= case.limit for call in calls)
    assert sent(service, keys) == keys, "all of them, each once, in input order within and across batches"
    assert [call.items for call in in_input_order(calls, keys)[:-1]] == [case.limit] * (len(calls) - 1), "full batches"
    if case.operation in WRITES:
        assert [key for call in calls for key in call.keys] == keys, "writes go out one after another, in order"
    if case.row.returns == "None":
        assert result is None
    else:
        assert isinstance(result, BatchResult)
        assert [o.key for o in result.outcomes] == keys
        assert [o.index for o in result.outcomes] == list(range(n))
        assert len(result) == (ceil(n / 2) if case.finds_half else n)
        assert len(result.calls) == len(calls)


def test_thousands_of_updates_all_arrive(client: OctopusClient, service: Emulator) -> None:
    n = 2 * 1000 + 7
    _all(service, n)
    client.update_item_quantity_and_price_list(ItemQuantityAndPrice(sku=sku, stock=i) for i, sku in enumerate(skus(n)))
    assert [item["Stock"] for item in service.store.items().values()] == [str(i) for i in range(n)]


def test_reads_answer_each_input_with_its_own_row_across_batches(client: OctopusClient, service: Emulator) -> None:
    wanted = skus(1007)
    service.store.add_items({"Sku": sku, "Stock": str(i)} for i, sku in enumerate(wanted))
    assert [row.stock for row in client.get_item_quantity_list(wanted)] == list(range(1007))
    assert [item.sku for item in client.get_item_list(wanted)] == wanted


# -- no inputs ------------------------------------------------------------------------------------------------------


@every("case", CASES, ids=str)
@every(
    "empty",
    [list, tuple, set, dict[str, str]().keys, lambda: iter(())],
    ids=["list", "tuple", "set", "keys", "iterator"],
)
def test_an_empty_input_sends_nothing(case: Case, empty: Any, client: OctopusClient, service: Emulator) -> None:
    result = getattr(client, case.method)(empty())
    assert service.calls == []
    if case.row.returns == "None":
        assert result is None
    else:
        assert (result, result.outcomes) == ([], ())


@every("case", CASES, ids=str)
def test_a_stream_of_nothing_yields_nothing(case: Case, client: OctopusClient, service: Emulator) -> None:
    assert list(getattr(client, case.method).stream(iter(()))) == []
    assert service.calls == []


# -- valid inputs ---------------------------------------------------------------------------------------------------


@every(
    "wrong", ["SKU-1", b"SKU-1", {"Sku": "A"}, None, 7, InventoryItem(sku="A"), OrderDownloadSubmitRequest()], ids=repr
)
@every("stream", [False, True], ids=["call", "stream"])
@every("case", CASES, ids=str)
def test_one_thing_where_many_belong_is_refused_with_the_way_out(
    case: Case, wrong: Any, stream: bool, client: OctopusClient, service: Emulator
) -> None:
    """A str iterates over its characters, which would be five wrong answers."""
    method = getattr(client, case.method)
    with pytest.raises(
        InvalidInputError, match=r"pass (\[(item|sku|order|mapping)|list\(d\)|SKUs as texts|a list of [A-Z])"
    ):
        list(method.stream(wrong)) if stream else method(wrong)
    assert service.calls == []


@every("case", CASES, ids=str)
def test_generators_sets_and_views_are_accepted(case: Case, client: OctopusClient, service: Emulator) -> None:
    for make in (
        iter,
        tuple,
        lambda inputs: dict(enumerate(inputs)).values(),
        lambda inputs: (each for each in inputs),
    ):
        service.reset()
        case.seed(service, 3)  # an order is confirmed only once
        getattr(client, case.method)(make(case.inputs(3)))
        assert [call.keys for call in service.calls] == [tuple(case.keys(3))]


@every("case", CASES, ids=str)
def test_every_bad_input_is_listed_and_nothing_is_sent(case: Case, client: OctopusClient, service: Emulator) -> None:
    inputs = case.inputs(4)
    bad: list[Any] = [inputs[0], 5, inputs[1], None, object(), inputs[2]]
    with pytest.raises(InvalidInputError) as caught:
        getattr(client, case.method)(bad)
    assert [problem.index for problem in caught.value.problems] == [1, 3, 4]
    assert service.calls == []


@every("sku", ["", "x" * 51, "a\x00b", "a\ud800"], ids=ascii)
@every("method", ["is_sku_exist_list", "get_item_list", "get_item_quantity_list"])
def test_a_sku_that_cannot_be_one_is_named_by_its_index(
    method: str, sku: str, client: OctopusClient, service: Emulator
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        getattr(client, method)(["A", "x" * 50, sku])
    assert [problem.index for problem in caught.value.problems] == [2]
    assert service.calls == []


@pytest.mark.parametrize("model", [InventoryItem, ItemQuantityAndPrice])
def test_an_item_without_a_sku_or_with_a_long_one_is_refused(
    model: Any, client: OctopusClient, service: Emulator
) -> None:
    method = client.upload_item_list if model is InventoryItem else client.update_item_quantity_and_price_list
    with pytest.raises(InvalidInputError) as caught:
        method([model(sku="A"), model(), model(sku=None), model(sku="x" * 51)])
    assert [problem.index for problem in caught.value.problems] == [1, 2, 3]
    assert service.calls == []


# -- duplicates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", READS)
def test_equal_inputs_are_asked_once_and_answered_each_even_batches_apart(
    operation: str, client: OctopusClient, service: Emulator
) -> None:
    case = BY_NAME[operation]
    keys = skus(case.limit + 5)
    _all(service, len(keys))
    asked = [keys[0], *keys, keys[-1], keys[0]]
    result = getattr(client, case.method)(asked)
    assert sent(service, keys) == keys
    assert [o.key for o in result.outcomes] == asked
    assert [o.index for o in result.outcomes] == list(range(len(asked)))
    assert result.outcomes[0].value == result.outcomes[1].value == result.outcomes[-1].value
    assert len(result) == len(asked)


@pytest.mark.parametrize("operation", WRITES)
def test_equal_writes_are_sent_once_and_answered_each(operation: str, client: OctopusClient, service: Emulator) -> None:
    case = BY_NAME[operation]
    case.seed(service, 3)
    first, second, third = case.inputs(3)
    again = type(first)(**{name: getattr(first, name) for name in first.model_fields_set})
    result = getattr(client, case.method)([first, second, again, third, first])
    assert [call.keys for call in service.calls] == [tuple(case.keys(3))]
    if result is not None:
        assert [o.key for o in result.outcomes] == [
            *case.keys(3)[:2],
            case.keys(1)[0],
            case.keys(3)[2],
            case.keys(1)[0],
        ]


@pytest.mark.parametrize("stream", [False, True], ids=["call", "stream"])
def test_two_different_writes_for_one_sku_are_refused(stream: bool, client: OctopusClient, service: Emulator) -> None:
    """Which of two prices wins must not depend on how batches are cut."""
    items = [
        ItemQuantityAndPrice(sku="A", stock=1),
        ItemQuantityAndPrice(sku="B"),
        ItemQuantityAndPrice(sku="A", stock=2),
    ]
    method = client.update_item_quantity_and_price_list
    with pytest.raises(InvalidInputError, match=r"\[2\] 'A'.*differs from \[0\]"):
        list(method.stream(items)) if stream else method(items)
    assert service.calls == []


def test_skus_that_differ_by_blanks_or_case_are_different_skus(client: OctopusClient, service: Emulator) -> None:
    asked = ["a", "A", " a", "a "]
    service.store.add_items([{"Sku": "a"}, {"Sku": " a"}])
    assert client.is_sku_exist_list(asked) == [True, False, True, False]
    assert service.calls[0].keys == tuple(asked)


def test_parts_of_one_order_in_several_stores_are_different_confirmations(
    client: OctopusClient, service: Emulator
) -> None:
    number = service.store.add_order(stores=["S1", "S2"])
    confirms = [OrderDownloadSubmitRequest(order_id=str(number), store_id=store) for store in ("S1", "S2", "S1")]
    client.set_download_split_order_confirm(confirms)
    assert [call.items for call in service.calls] == [2]
    assert service.store.orders()[number].confirmed


# -- smaller batches -----------------------------------------------------------------------------------------------


@SOME_LISTS
def test_a_call_may_ask_for_smaller_batches(case: Case, client: OctopusClient, service: Emulator) -> None:
    case.seed(service, 7)
    getattr(client, case.method)(case.inputs(7), batch_size=3)
    assert [call.items for call in in_input_order(service.calls, case.keys(7))] == [3, 3, 1]
    assert sent(service, case.keys(7)) == case.keys(7)


@SOME_LISTS
def test_the_settings_may_ask_for_smaller_batches_and_a_call_overrules_them(
    case: Case, make_client: Callable[..., OctopusClient], service: Emulator
) -> None:
    client = make_client(batch_sizes={case.operation: 4})
    case.seed(service, 14)
    method, inputs = getattr(client, case.method), case.inputs(14)
    method(inputs[:7])
    assert sorted(call.items for call in service.calls) == [3, 4]
    method(inputs[7:], batch_size=5)
    assert sorted(call.items for call in service.calls[2:]) == [2, 5]


@EVERY_LIST
def test_a_documented_limit_cannot_be_raised_and_ours_can(
    case: Case, make_client: Callable[..., OctopusClient], service: Emulator
) -> None:
    n = case.limit + 1
    case.seed(service, n)
    by_call, by_settings = make_client(), make_client(batch_sizes={case.operation: n})
    if case.row.limit:
        for method, options in (
            (getattr(by_call, case.method), {"batch_size": n}),
            (getattr(by_settings, case.method), {}),
            (getattr(by_call, case.method).stream, {"batch_size": n}),
        ):
            with pytest.raises(InvalidInputError, match=f"1 to {case.limit}"):
                list(method(case.inputs(n), **options))
        assert service.calls == []
    else:
        getattr(by_call, case.method)(case.inputs(n), batch_size=n)
        assert [call.items for call in service.calls] == [n]
        service.reset()
        case.seed(service, n)
        getattr(by_settings, case.method)(case.inputs(n))
        assert [call.items for call in service.calls] == [n]


@every("size", [0, -1, True, 2.5, "10"])
def test_a_batch_size_that_is_none_is_refused(size: Any, client: OctopusClient, service: Emulator) -> None:
    with pytest.raises(InvalidInputError, match="batch_size"):
        client.is_sku_exist_list(["A"], batch_size=size)
    assert service.calls == []


# -- bytes ---------------------------------------------------------------------------------------------------------

BYTES = 2048


@SOME_LISTS
def test_no_request_is_above_the_limit_in_bytes_and_batches_are_as_full_as_they_can_be(
    case: Case, make_client: Callable[..., OctopusClient], service: Emulator
) -> None:
    n = min(case.limit, 300)
    case.seed(service, n)
    keys = case.keys(n)
    getattr(make_client(max_request_bytes=BYTES), case.method)(case.inputs(n))
    calls = in_input_order(service.calls, keys)
    assert len(calls) > 1
    assert all(call.request_size <= BYTES for call in calls)
    assert sent(service, keys) == keys
    row = max(call.request_size / call.items for call in calls)  # at least the size of a row
    assert all(call.request_size > BYTES - row for call in calls[:-1])


def test_an_item_too_large_for_the_limit_goes_alone(
    make_client: Callable[..., OctopusClient], service: Emulator
) -> None:
    """The limit may be ours or wrong; a single item is never refused for it."""
    items = [
        InventoryItem(sku=f"S{i}", details="é" * 300, sub_description2="é" * (1200 if i == 2 else 1)) for i in range(5)
    ]
    result = make_client(max_request_bytes=BYTES).upload_item_list(items)
    assert [call.keys for call in service.calls] == [("S0", "S1"), ("S2",), ("S3", "S4")]
    assert [call.request_size > BYTES for call in service.calls] == [False, True, False]
    assert len(result) == 5


def test_bytes_count_encoded_characters_not_python_ones(
    make_client: Callable[..., OctopusClient], service: Emulator
) -> None:
    items = [InventoryItem(sku=f"S{i}", details="<\N{SNOWMAN}&\r" * 20) for i in range(20)]
    make_client(max_request_bytes=BYTES).upload_item_list(items)
    assert all(call.request_size <= BYTES for call in service.calls)
    assert {item["Details"] for item in service.store.items().values()} == {"<\N{SNOWMAN}&\r" * 20}


def test_requests_completed_from_the_service_keep_the_limit_in_bytes_too(tmp_path: Path) -> None:
    """`read_first` makes rows longer after the batch was cut."""
    with Emulator(profile=Profile(nillable_values=False)) as service:
        service.store.add_items(
            {"Sku": f"S{i:03}", "Price": Decimal(i), "Cost": 1, "FieldLocks": {"LockCost": True}} for i in range(60)
        )
        settings = OctopusSettings.load(
            **service.settings(),
            wsdl=_pinned(service, tmp_path),
            omitted_values=OmittedValues.READ_FIRST,
            max_request_bytes=BYTES,
        )
        with OctopusClient(settings=settings) as client:
            result = client.update_item_quantity_and_price_list(
                [ItemQuantityAndPrice(sku=f"S{i:03}", stock=7) for i in range(60)]
            )
        updates = [call for call in service.calls if call.operation == "UpdateItemQuantityAndPriceList"]
        assert len(result) == 60
        assert all("Price" in outcome.filled for outcome in result.outcomes)
        assert [key for call in updates for key in call.keys] == [f"S{i:03}" for i in range(60)]
        assert max(call.request_size for call in updates) <= BYTES
        assert [item["Price"] for item in service.store.items().values()] == [Decimal(i) for i in range(60)]


def test_current_items_are_read_a_hundred_at_a_time(tmp_path: Path) -> None:
    """The page's limit of GetItemList also holds for what `read_first` reads."""
    with Emulator(profile=Profile(nillable_values=False)) as service:
        service.store.add_items({"Sku": sku, "Price": 1, "Cost": 1, "FieldLocks": {}} for sku in skus(130))
        settings = OctopusSettings.load(
            **service.settings(), wsdl=_pinned(service, tmp_path), omitted_values=OmittedValues.READ_FIRST
        )
        with OctopusClient(settings=settings) as client:
            client.update_item_quantity_and_price_list.stream(
                [ItemQuantityAndPrice(sku=sku, stock=7) for sku in skus(130)]
            ).__next__()
        assert [call.items for call in service.calls if call.operation == "GetItemList"] == [100, 30]


def _pinned(service: Emulator, folder: Path) -> Path:
    """The served contract, saved to a file."""
    path = folder / "pinned.wsdl"
    path.write_bytes(requests.get(f"{service.url}?singleWsdl", timeout=10).content)
    return path


# -- streams -------------------------------------------------------------------------------------------------------


class Counting:
    """An input generator that counts the taken inputs."""

    def __init__(self, inputs: Iterable[Any]) -> None:
        self.taken = 0
        self._inputs = inputs

    def __iter__(self) -> Iterator[Any]:
        for item in self._inputs:
            self.taken += 1
            yield item


@SOME_LISTS
def test_a_stream_yields_batch_by_batch_in_input_order(case: Case, client: OctopusClient, service: Emulator) -> None:
    case.seed(service, 25)
    keys = case.keys(25)
    results = list(getattr(client, case.method).stream(case.inputs(25), batch_size=10))
    assert [[o.key.partition("@")[0] for o in result.outcomes] for result in results] == [
        keys[:10],
        keys[10:20],
        keys[20:],
    ]
    assert [o.index for result in results for o in result.outcomes] == list(range(25))
    assert all(len(result.calls) == 1 for result in results)
    assert all(not result.unfinished for result in results)


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("operation", READS[1:2])
def test_a_read_stream_takes_no_more_input_than_its_batches_under_way(
    operation: str, connections: int, make_client: Callable[..., OctopusClient], service: Emulator
) -> None:
    case = BY_NAME[operation]
    inputs = Counting(case.inputs(1000))
    stream = getattr(make_client(max_connections=connections), case.method).stream(inputs, batch_size=10)
    assert inputs.taken == 0, "nothing is taken before the first result is requested"
    first = next(stream)
    assert len(first.outcomes) == 10
    assert inputs.taken <= connections * 10 + 1, "the inputs of the requests under way"
    for number in range(1, 6):
        next(stream)
        ahead = 0 if connections == 1 else 1  # encoded while the others are sent
        assert inputs.taken <= (number + connections + ahead) * 10 + 1
    stream.close()
    assert inputs.taken < 200
    for thread in threading.enumerate():  # requests under way end here, and not in the next test's service
        if thread.name.startswith("octopus-soap"):
            thread.join(30)


@pytest.mark.parametrize("operation", [case.operation for case in SOME if case.operation in WRITES])
def test_a_write_stream_takes_one_batch_at_a_time(operation: str, client: OctopusClient, service: Emulator) -> None:
    case = BY_NAME[operation]
    case.seed(service, 50)
    inputs = Counting(case.inputs(50))
    stream = getattr(client, case.method).stream(inputs, batch_size=10)
    assert (inputs.taken, service.calls) == (0, [])
    for number in range(1, 4):
        next(stream)
        assert inputs.taken == 10 * number + 1, "it takes one more to find that the batch is full"
        assert len(service.calls) == number
    stream.close()
    assert len(service.calls) == 3, "an abandoned stream sends nothing more"


def test_a_stream_gives_finished_batches_before_it_raises_for_a_bad_input(
    client: OctopusClient, service: Emulator
) -> None:
    bad: list[Any] = [*skus(10), 5]
    stream = client.is_sku_exist_list.stream(bad, batch_size=5)
    assert [o.key for o in next(stream).outcomes] == skus(5)
    with pytest.raises(InvalidInputError) as caught:
        next(stream)
    assert [problem.index for problem in caught.value.problems] == [10]


@pytest.mark.parametrize("operation", READS[:2])
def test_a_read_stream_asks_equal_inputs_once_within_a_batch(
    operation: str, client: OctopusClient, service: Emulator
) -> None:
    case = BY_NAME[operation]
    _all(service, 3)
    a, b, c = skus(3)
    results = list(getattr(client, case.method).stream([a, b, a, b, c, a], batch_size=2))
    assert [call.keys for call in in_input_order(service.calls, [a, c])] == [(a, b), (c, a)]
    assert sorted(o.index for result in results for o in result.outcomes) == list(range(6))
    assert {o.index: o.key for result in results for o in result.outcomes} == dict(enumerate([a, b, a, b, c, a]))


def test_a_stream_of_an_endless_input_works_in_bounded_memory(client: OctopusClient, service: Emulator) -> None:
    endless = (f"S{n}" for n in count())
    results = list(islice(client.is_sku_exist_list.stream(endless, batch_size=50), 5))
    assert [o.key for result in results for o in result.outcomes] == [f"S{n}" for n in range(250)]


# -- progress ------------------------------------------------------------------------------------------------------


@SOME_LISTS
def test_progress_counts_inputs_and_batches_up_to_the_total(
    case: Case, client: OctopusClient, service: Emulator
) -> None:
    case.seed(service, 25)
    seen: list[Progress] = []
    getattr(client, case.method)(iter(case.inputs(25)), batch_size=10, progress=seen.append)
    turned_down = 12 if case.finds_half else 0
    assert [(p.done, p.total, p.batches) for p in seen] == [(10, 25, 1), (20, 25, 2), (25, 25, 3)]
    assert (seen[-1].failed, seen[-1].rejected) == (0, turned_down)


@SOME_LISTS
def test_progress_of_a_stream_has_no_total(case: Case, client: OctopusClient, service: Emulator) -> None:
    case.seed(service, 25)
    seen: list[Progress] = []
    for _ in getattr(client, case.method).stream(iter(case.inputs(25)), batch_size=10, progress=seen.append):
        pass
    assert [(p.done, p.total, p.batches) for p in seen] == [(10, None, 1), (20, None, 2), (25, None, 3)]


def test_progress_counts_equal_inputs_each(client: OctopusClient, service: Emulator) -> None:
    seen: list[Progress] = []
    client.is_sku_exist_list(["A", "B", "A"], progress=seen.append)
    assert [(p.done, p.total) for p in seen] == [(3, 3)]


def test_a_progress_callback_that_raises_ends_the_call_and_the_error_carries_the_finished_work(
    client: OctopusClient, service: Emulator
) -> None:
    class Enough(Exception):  # noqa: N818 - a reader's own signal
        pass

    def stop(progress: Progress) -> None:
        if progress.batches == 2:
            raise Enough

    _all(service, 30)
    case = BY_NAME["UpdateItemQuantityAndPriceList"]
    with pytest.raises(Enough) as caught:
        client.update_item_quantity_and_price_list(case.inputs(30), batch_size=10, progress=stop)
    result: BatchResult[Any] = caught.value.result  # type: ignore[attr-defined] # documented on the client
    assert [o.status for o in result.outcomes] == [OutcomeStatus.OK] * 20 + [OutcomeStatus.NOT_SENT] * 10
    assert result.retry_inputs() == case.inputs(30)[20:]
    assert len(service.calls) == 2


def test_stores_inside_an_item_are_split_with_their_item(
    make_client: Callable[..., OctopusClient], service: Emulator
) -> None:
    stores = [StoreStockInfo(store_id=f"ST{i}", store_stock=float(i)) for i in range(12)]
    items = [InventoryItem(sku=f"S{i}", store_stock_info_list=stores) for i in range(9)]
    make_client(max_request_bytes=BYTES).upload_item_list(items)
    assert len(service.calls) > 1
    assert all(len(item["StoreStockInfoList"]) == 12 for item in service.store.items().values())
