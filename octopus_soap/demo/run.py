"""The steps of a shop's sync, through the public client against the emulator.

The emulator runs in a thread of this process, so that its store and its call log can be read directly. Operations on
one thing are called one after the other. A separate process, and calls from several threads, take the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from octopus_soap.client import OctopusClient
from octopus_soap.demo.compare import Difference, Expected, compare_calls, compare_items, compare_orders, compare_store
from octopus_soap.emulator import Emulator, Profile
from octopus_soap.errors import ApiStatusError
from octopus_soap.models import OrderCriteria, OrderDownloadSubmitRequest
from octopus_soap.operations import OPERATIONS
from octopus_soap.settings import IsolatedSettings

if TYPE_CHECKING:
    from datetime import datetime

    from octopus_soap.demo.retail import Shop
    from octopus_soap.models import OrderResponseItem, OrderSubmit
    from octopus_soap.results import BatchResult, Progress

T = TypeVar("T")
R = TypeVar("R")
Watch = Callable[[str, int, int], object]
"""Called with the progress of a step: its name, how much is done, and the total."""

WINDOW = timedelta(days=7)
"""Creation window of a GetOrderList: the operation has no paging, so windows keep its answers small."""


@dataclass(slots=True)
class Step:
    """One line of the demo's table.

    Attributes:
        name: what was done.
        operation: the operation; empty for the comparison at the end.
        items: how many things were sent or requested.
        calls: requests that the service received.
        batches: requests that a list was cut into, or windows; 0 for operations on one thing.
        rejected: the items that the service rejected.
        seconds: how long it took.
    """

    name: str
    operation: str = ""
    items: int = 0
    calls: int = 0
    batches: int = 0
    rejected: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Outcome:
    """The result of a run."""

    steps: list[Step] = field(default_factory=list[Step])
    differences: list[Difference] = field(default_factory=list[Difference])


def run_demo(shop: Shop, watch: Watch = lambda *_: None, *, strict: bool = False) -> Outcome:
    """Send *shop* to an emulator, download its orders, and compare.

    Args:
        shop: the data to send.
        watch: called with the progress of each step.
        strict: use a service with plain value types, which cannot be null and are 0 if they are left out. The client
            then uses the contract that the service publishes: new items and orders lose nothing by a 0, and updates are
            completed from the service's current items.

    Raises:
        OctopusError: a step failed as a whole.
    """
    with ExitStack() as stack:
        service = stack.enter_context(Emulator(profile=Profile.strict() if strict else None, keep_bodies=False))
        given: dict[str, Any] = {**service.settings(), "account_id": service.settings()["accessid"]}
        if strict:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            contract = folder / "OctopusService.wsdl"
            contract.write_bytes(service.wsdl_document())
            given |= {"wsdl": str(contract), "omitted_values": "read_first"}
        client = stack.enter_context(OctopusClient(settings=IsolatedSettings.load(**given)))
        creating = client
        if strict:
            creating = OctopusClient(settings=IsolatedSettings.load(**{**given, "omitted_values": "send"}))
            stack.enter_context(creating)
        return _Run(shop, service, client, creating, watch).all_steps()


class _Run:
    def __init__(
        self, shop: Shop, service: Emulator, client: OctopusClient, creating: OctopusClient, watch: Watch
    ) -> None:
        self._shop = shop
        self._service = service
        self._client = client
        self._creating = creating
        self._watch = watch
        self._outcome = Outcome()
        self._ids: dict[str, str] = {}
        self._windows = list(windows(order.order_date for order in shop.orders.values() if order.order_date))

    def all_steps(self) -> Outcome:
        self._bring_items()
        self._check_items()
        self._clear_changes()
        self._submit_orders()
        self._take_orders()
        self._compare_with_service()
        return self._outcome

    # -- items ---------------------------------------------------------------------------------------------------

    def _bring_items(self) -> None:
        client, shop = self._client, self._shop
        with self._step("upload catalogue", "UploadItemList", len(shop.catalogue)) as step:
            self._note(step, self._creating.upload_item_list(list(shop.catalogue.values()), progress=self._moves(step)))
        with self._step("push stock and prices", "UpdateItemQuantityAndPriceList", len(shop.updates)) as step:
            updates = list(shop.updates.values())
            result = client.update_item_quantity_and_price_list(updates, progress=self._moves(step))
            self._note(step, result)

    def _check_items(self) -> None:
        client, shop = self._client, self._shop
        asked = [*shop.catalogue, *shop.strangers]
        with self._step("check existence", "IsSkuExistList", len(asked)) as step:
            exist = client.is_sku_exist_list(asked, progress=self._moves(step))
            self._note(step, exist)
            for sku, there in exist.by_key().items():
                if there is not (sku in shop.catalogue):
                    self._differs("existence of", sku, "", sku in shop.catalogue, there)
        with self._step("check stock", "GetItemQuantityList", len(shop.final)) as step:
            quantities = client.get_item_quantity_list(list(shop.final), progress=self._moves(step))
            self._note(step, quantities)
            for sku, quantity in quantities.by_key().items():
                if str(quantity.stock) != shop.final[sku].stock:
                    self._differs("stock of", sku, "", shop.final[sku].stock, quantity.stock)
        with self._step("check items", "GetItemList", len(shop.final)) as step:
            items = client.get_item_list(list(shop.final), progress=self._moves(step))
            self._note(step, items)
            self._outcome.differences += compare_items("item read back", shop.final, items)

    def _clear_changes(self) -> None:
        client, shop = self._client, self._shop
        with self._step("read the change list", "GetItemTblList") as step:
            changed = client.get_item_tbl_list()
            step.items = len(changed)
            self._outcome.differences += compare_items("item in the change list", shop.final, changed)
        skus = [item.sku or "" for item in changed]
        with self._step("clear the change list", "DeleteTblItem", len(skus)) as step:
            for sku, removed in zip(skus, self._each(step, client.delete_tbl_item, skus), strict=True):
                if not removed:
                    step.rejected += 1
                    self._differs("change list entry", sku, "", "removed", removed)
        with self._step("read it again", "GetItemTblList") as step:
            step.items = len(left := client.get_item_tbl_list())
            self._outcome.differences += compare_items("item still in the change list", {}, left)

    # -- orders --------------------------------------------------------------------------------------------------

    def _submit_orders(self) -> None:
        orders = list(self._shop.orders.values())
        with self._step("submit orders", "SubmitOrder", len(orders)) as step:
            for order, number in zip(orders, self._each(step, self._submit, orders), strict=True):
                if number is None:
                    step.rejected += 1
                else:
                    self._ids[order.order_id or ""] = number

    def _submit(self, order: OrderSubmit) -> str | None:
        try:
            return self._creating.submit_order(order).id_order
        except ApiStatusError:
            return None  # counted as rejected; the comparison shows that the order is missing

    def _take_orders(self) -> None:
        client = self._client
        with self._step("download orders", "GetOrderList") as step:
            orders = self._download(step)
            self._outcome.differences += compare_orders("order downloaded", self._shop.orders, self._ids, orders)
        invoices = {number: invoice for invoice, number in self._ids.items()}
        confirmations = [
            OrderDownloadSubmitRequest(order_id=order.id, third_party_order_number=invoices.get(order.id, ""))
            for order in orders
        ]
        with self._step("confirm orders", "SetDownloadOrderConfirm", len(confirmations)) as step:
            client.set_download_order_confirm(confirmations, progress=self._moves(step))
        with self._step("download them again", "GetOrderList") as step:
            left = self._download(step)
            self._outcome.differences += compare_orders("order still listed", {}, self._ids, left)

    def _download(self, step: Step) -> list[OrderResponseItem]:
        found: dict[str, OrderResponseItem] = {}
        for position, (begin, end) in enumerate(self._windows, 1):
            criteria = OrderCriteria(order_creation_filter_begin_time_gmt=begin, order_creation_filter_end_time_gmt=end)
            # Windows share their borders: whether the service includes them is not documented. Ids remove the doubles.
            found.update((order.id, order) for order in self._client.get_order_list(criteria))
            step.batches = position
            self._watch(step.name, position, len(self._windows))
        step.items = len(found)
        return list(found.values())

    # -- the end -------------------------------------------------------------------------------------------------

    def _compare_with_service(self) -> None:
        with self._step("compare with the service", "", len(self._shop.final) + len(self._shop.orders)):
            service, differences = self._service, self._outcome.differences
            zeros = self._creating is not self._client
            differences += compare_store(self._shop, self._ids, service.store, zeros=zeros)
            differences += compare_calls(self._expected_calls(), service.calls, service.lint)

    def _expected_calls(self) -> dict[str, Expected]:
        shop = self._shop
        listed = {
            "UploadItemList": len(shop.catalogue),
            "UpdateItemQuantityAndPriceList": len(shop.updates),
            "IsSkuExistList": len(shop.catalogue) + len(shop.strangers),
            "GetItemQuantityList": len(shop.final),
            "GetItemList": len(shop.final),
            "SetDownloadOrderConfirm": len(shop.orders),
        }
        rules = {name: OPERATIONS[name].rule for name in listed}
        expected = {name: Expected(count, rule.limit) for name, count in listed.items() if (rule := rules[name])}
        if self._creating is not self._client:  # each update is completed by a read, in batches cut by bytes
            read = len(shop.final) + len(shop.updates)
            expected["GetItemList"] = Expected(read, expected["GetItemList"].limit, exact=False)
        downloads = 2 * len(self._windows)
        expected["GetItemTblList"] = Expected(2, calls=2)
        expected["DeleteTblItem"] = Expected(len(shop.final))
        expected["SubmitOrder"] = Expected(len(shop.orders))
        expected["GetOrderList"] = Expected(downloads, calls=downloads)
        return expected

    # -- around a step ---------------------------------------------------------------------------------------------

    @contextmanager
    def _step(self, name: str, operation: str, items: int = 0) -> Generator[Step]:
        step = Step(name, operation, items)
        self._watch(name, 0, items)
        calls, started = len(self._service.calls), time.perf_counter()
        yield step
        step.seconds = time.perf_counter() - started
        step.calls = len(self._service.calls) - calls
        self._outcome.steps.append(step)

    def _moves(self, step: Step) -> Callable[[Progress], None]:
        def move(progress: Progress) -> None:
            step.batches = progress.batches
            self._watch(step.name, progress.done, progress.total or 0)

        return move

    def _each(self, step: Step, call: Callable[[T], R], inputs: list[T]) -> Iterator[R]:
        """Yield the answers to one call per input, in input order."""
        for done, value in enumerate(inputs, 1):
            yield call(value)
            if done % 100 == 0:
                self._watch(step.name, done, len(inputs))

    def _note(self, step: Step, result: BatchResult[T]) -> None:
        step.rejected = len(result.rejected) + len(result.missing)
        for outcome in (*result.rejected, *result.missing):
            self._differs(
                f"answer of {step.operation} for", outcome.key, "", "ok", outcome.message or outcome.status.value
            )

    def _differs(self, where: str, key: str, field_name: str, wanted: object, found: object) -> None:
        self._outcome.differences.append(Difference(where, key, field_name, wanted, found))


def windows(moments: Iterable[datetime], width: timedelta = WINDOW) -> Iterator[tuple[datetime, datetime]]:
    """Yield creation windows that cover *moments* without a gap."""
    known = sorted(moments)
    if not known:
        return
    begin = known[0]
    while begin <= known[-1]:
        yield begin, begin + width
        begin += width
