"""THE CATALOGUE: the operations of the Octopus Channel API, one row each.

A row states the wire name, the typed signature, the docstring, the batch rule and the safety class; its body checks the
arguments and describes the call. The same row serves the clients, the command line, the reference and the tests.

Safety classes follow the vendor's page: quantities and prices are absolute, uploads are "Add/Update" by SKU, confirms
and deletes end in the same state. Each can be overridden in the settings. `accountID` is the access id unless a call
names another, as in the page's sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from octopus_soap import models
from octopus_soap.engine import inputs, outcomes
from octopus_soap.engine.inputs import BatchRule, ListCall
from octopus_soap.engine.operation import OPERATIONS, SingleCall, confirming, listing, page, single
from octopus_soap.errors import Problem
from octopus_soap.models.declarations import Nothing, OmittedChoice, OneOf, RowsOf, Safety, ScalarOf
from octopus_soap.results import BatchResult, Progress, Removal

if TYPE_CHECKING:  # for annotations only; `Operation.body` loads them if they are read at run time
    from octopus_soap.models import (
        CustomFieldMapping,
        InventoryItem,
        ItemQuantityAndPrice,
        OrderCriteria,
        OrderDownloadSubmitRequest,
        OrderResponseItem,
        OrderSubmit,
        QuantityInfoResponse,
        StoreStockInfo,
        SubmitOrderResponseItem,
        UpdateItemResponse,
    )

__all__ = ["OPERATIONS", "Operations"]

ShowProgress = Callable[[Progress], object] | bool


class Operations:
    """The operations; clients inherit them."""

    # -- existence ---------------------------------------------------------------------------------------------

    @single("IsSkuExist", Safety.READ)
    def is_sku_exist(self, sku: str, *, account_id: str | None = None) -> SingleCall[bool]:
        """Check whether a SKU exists.

        Args:
            sku: the SKU, 1 to 50 characters, never stripped.
            account_id: the account; the client's by default.

        Returns:
            True if it exists.

        Raises:
            InvalidInputError: the SKU is not valid.
            OctopusError: the call failed (see `octopus_soap.errors`).

        Vendor's page: IsSkuExist.
        """
        problems = inputs.sku_problems(sku, "sku")
        return SingleCall({"sku": sku}, ScalarOf(bool), account_id=account_id, problems=problems)

    @listing("IsSkuExistList", Safety.READ, BatchRule("skuList", 500, documented=True))
    def is_sku_exist_list(
        self,
        skus: Iterable[str],
        *,
        account_id: str | None = None,
        batch_size: int | None = None,
        progress: ShowProgress | None = None,
    ) -> ListCall[bool]:
        """Check which SKUs exist, any number of them, 500 per request.

        Args:
            skus: SKUs of 1 to 50 characters; equal ones are asked once and answered each.
            account_id: the account; the client's by default.
            batch_size: SKUs per request, 1 to 500.
            progress: True for a progress bar (extra `notebook`), or a function to call after each batch.

        Returns:
            One bool per SKU in input order; `.by_key()` gives them by SKU. A SKU the answer leaves out is `missing`.

        Raises:
            InvalidInputError: SKUs are not valid; nothing was sent.
            BatchError: some are not answered; its `result` has the others.

        Vendor's page: IsSkuExistList ("Limited to a MAX of 500 SKUs at a time").
        """
        reads = RowsOf(models.IsSkuExistResponse)
        return ListCall(skus, inputs.sku, reads, outcomes.exists, None, account_id, batch_size, progress)

    # -- items -------------------------------------------------------------------------------------------------

    @page("GetItemTblList", Safety.READ)
    def get_item_tbl_list(self, *, account_id: str | None = None) -> SingleCall[BatchResult[InventoryItem]]:
        """Return the recently changed and newly created items.

        An item stays in this list until `delete_tbl_item` removes it.

        Args:
            account_id: the account; the client's by default.

        Returns:
            The items in the service's order. The page states no limit, so the whole list comes in one answer.

        Raises:
            BatchError: some records cannot be read; its `result` has the others.
            OctopusError: the call failed.

        Vendor's page: GetItemTblList.
        """
        return SingleCall({}, RowsOf(models.InventoryItem), outcomes.collect_rows, account_id)

    @listing("GetItemList", Safety.READ, BatchRule("skuList", 100, documented=True))
    def get_item_list(
        self,
        skus: Iterable[str],
        *,
        account_id: str | None = None,
        batch_size: int | None = None,
        progress: ShowProgress | None = None,
    ) -> ListCall[InventoryItem]:
        """Return the inventory data of SKUs, any number of them, 100 per request.

        Args:
            skus: SKUs of 1 to 50 characters; equal ones are asked once and answered each.
            account_id: the account; the client's by default.
            batch_size: SKUs per request, 1 to 100.
            progress: True for a progress bar (extra `notebook`), or a function to call after each batch.

        Returns:
            The items found, in input order; SKUs the service does not have are `.missing`.

        Raises:
            InvalidInputError: SKUs are not valid; nothing was sent.
            BatchError: some are not answered or not readable; its `result` has the others.

        Vendor's page: GetItemList ("Limited to a maximum of 100 SKUs at a time").
        """
        return ListCall(skus, inputs.sku, RowsOf(models.InventoryItem), None, None, account_id, batch_size, progress)

    # -- quantities --------------------------------------------------------------------------------------------

    @single("GetItemQuantity", Safety.READ)
    def get_item_quantity(self, sku: str, *, account_id: str | None = None) -> SingleCall[int]:
        """Return an item's available quantity in all seller-managed distribution centers.

        Args:
            sku: the SKU, 1 to 50 characters.
            account_id: the account; the client's by default.

        Returns:
            The quantity, in pieces.

        Raises:
            ApiStatusError: the service answered Failure, as it may for an unknown SKU.
            OctopusError: the call failed.

        Vendor's page: GetItemQuantity.
        """
        problems = inputs.sku_problems(sku, "sku")
        return SingleCall({"sku": sku}, ScalarOf(int), account_id=account_id, problems=problems)

    @single("GetItemQuantityInfo", Safety.READ)
    def get_item_quantity_info(self, sku: str, *, account_id: str | None = None) -> SingleCall[QuantityInfoResponse]:
        """Return the detailed quantities of an item.

        Args:
            sku: the SKU, 1 to 50 characters.
            account_id: the account; the client's by default.

        Returns:
            The quantities.

        Raises:
            RejectedError: the answer carries an error message for the SKU.
            ApiStatusError: the service answered Failure.
            OctopusError: the call failed.

        Vendor's page: GetItemQuantityInfo.
        """
        problems = inputs.sku_problems(sku, "sku")
        reads = OneOf(models.QuantityInfoResponse)
        return SingleCall({"sku": sku}, reads, outcomes.quantity_info(sku), account_id, problems)

    @listing("GetItemQuantityList", Safety.READ, BatchRule("skuList", 100, documented=True))
    def get_item_quantity_list(
        self,
        skus: Iterable[str],
        *,
        account_id: str | None = None,
        batch_size: int | None = None,
        progress: ShowProgress | None = None,
    ) -> ListCall[QuantityInfoResponse]:
        """Return the quantities of SKUs, any number of them, 100 per request.

        Args:
            skus: SKUs of 1 to 50 characters; equal ones are asked once and answered each.
            account_id: the account; the client's by default.
            batch_size: SKUs per request, 1 to 100.
            progress: True for a progress bar (extra `notebook`), or a function to call after each batch.

        Returns:
            The quantities in input order; a SKU with an error message is `.rejected`, one without a row `.missing`.

        Raises:
            InvalidInputError: SKUs are not valid; nothing was sent.
            BatchError: some are not answered or not readable; its `result` has the others.

        Vendor's page: GetItemQuantityList ("Limited to a MAX of 100 SKUs at a time").
        """
        reads = RowsOf(models.QuantityInfoResponse)
        return ListCall(skus, inputs.sku, reads, outcomes.quantity, None, account_id, batch_size, progress)

    @single("UpdateItemQuantityAndPrice", Safety.IDEMPOTENT)
    def update_item_quantity_and_price(
        self, item: ItemQuantityAndPrice, *, account_id: str | None = None, omitted_values: OmittedChoice | None = None
    ) -> SingleCall[bool]:
        """Set quantity and price of one item; members unset in *item* are left out.

        Args:
            item: the new values, with its `sku`.
            account_id: the account; the client's by default.
            omitted_values: what to do about values left out: `refuse`, `send`, `read_first`, or the names of the
                members that may be left out; the client's choice by default.

        Returns:
            True; anything else raises.

        Raises:
            InvalidInputError: refused before anything was sent, also by the omission guard.
            RejectedError: the service rejected it.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.
            OctopusError: the call failed.

        Vendor's page: UpdateItemQuantityAndPrice.
        """
        key, value, problems = inputs.item(models.ItemQuantityAndPrice)(item)
        finish = outcomes.accepted(key)
        return SingleCall({"iQP": value}, ScalarOf(bool), finish, account_id, problems, "iQP", omitted_values)

    @listing(
        "UpdateItemQuantityAndPriceList",
        Safety.IDEMPOTENT,
        BatchRule("itemQuantityAndPriceList", 1000, documented=True),
    )
    def update_item_quantity_and_price_list(
        self,
        items: Iterable[ItemQuantityAndPrice],
        *,
        account_id: str | None = None,
        batch_size: int | None = None,
        progress: ShowProgress | None = None,
        omitted_values: OmittedChoice | None = None,
    ) -> ListCall[UpdateItemResponse]:
        """Set quantities and prices of items, any number of them, 1000 per request.

        The page recommends smaller batches; see `batch_sizes` in the settings.

        Args:
            items: the new values; unset members are left out. Two different values for one SKU are refused.
            account_id: the account; the client's by default.
            batch_size: items per request, 1 to 1000.
            progress: True for a progress bar (extra `notebook`), or a function to call after each batch.
            omitted_values: what to do about values left out: `refuse`, `send`, `read_first`, or the names of the
                members that may be left out; the client's choice by default.

        Returns:
            The service's answers in input order; rejected items are in `.rejected` with its messages.

        Raises:
            InvalidInputError: refused before anything was sent, every offending index listed.
            BatchError: some are failed, unknown or not sent; its `result` has the others.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.

        Vendor's page: UpdateItemQuantityAndPriceList ("Limited to a maximum of 1000 items at a time").
        """
        check = inputs.item(models.ItemQuantityAndPrice)
        return ListCall(
            items,
            check,
            RowsOf(models.UpdateItemResponse),
            outcomes.updated,
            None,
            account_id,
            batch_size,
            progress,
            guarded=True,
            omitted_values=omitted_values,
        )

    # -- uploads -----------------------------------------------------------------------------------------------

    @single("UploadItem", Safety.IDEMPOTENT)
    def upload_item(
        self, item: InventoryItem, *, account_id: str | None = None, omitted_values: OmittedChoice | None = None
    ) -> SingleCall[int]:
        """Add or update one item.

        Args:
            item: the item, with its `sku`; unset members are left out.
            account_id: the account; the client's by default.
            omitted_values: what to do about values left out: `refuse`, `send`, `read_first`, or the names of the
                members that may be left out; the client's choice by default.

        Returns:
            The service's number (a long). What it means, and whether 0 or less is a failure, is not documented.

        Raises:
            InvalidInputError: refused before anything was sent, also by the omission guard.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.
            OctopusError: the call failed.

        Vendor's page: UploadItem.
        """
        checked = inputs.item(models.InventoryItem)(item)
        return SingleCall(
            {"inventoryItem": checked.value},
            ScalarOf(int),
            account_id=account_id,
            problems=checked.problems,
            guarded="inventoryItem",
            omitted_values=omitted_values,
        )

    @listing("UploadItemList", Safety.IDEMPOTENT, BatchRule("inventoryItems", 100, documented=False))
    def upload_item_list(
        self,
        items: Iterable[InventoryItem],
        *,
        account_id: str | None = None,
        batch_size: int | None = None,
        progress: ShowProgress | None = None,
        omitted_values: OmittedChoice | None = None,
    ) -> ListCall[UpdateItemResponse]:
        """Add or update items, any number of them, 100 per request by default.

        Args:
            items: the items; unset members are left out. Two different items with one SKU are refused.
            account_id: the account; the client's by default.
            batch_size: items per request, 1 or more. The page states no limit; 100 is ours.
            progress: True for a progress bar (extra `notebook`), or a function to call after each batch.
            omitted_values: what to do about values left out: `refuse`, `send`, `read_first`, or the names of the
                members that may be left out; the client's choice by default.

        Returns:
            The service's answers in input order; rejected items are in `.rejected` with its messages.

        Raises:
            InvalidInputError: refused before anything was sent, every offending index listed.
            BatchError: some are failed, unknown or not sent; its `result` has the others.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.

        Vendor's page: UploadItemList.
        """
        check = inputs.item(models.InventoryItem)
        return ListCall(
            items,
            check,
            RowsOf(models.UpdateItemResponse),
            outcomes.updated,
            None,
            account_id,
            batch_size,
            progress,
            guarded=True,
            omitted_values=omitted_values,
        )

    # -- deletions ---------------------------------------------------------------------------------------------

    @single("DeleteItem", Safety.IDEMPOTENT)
    def delete_item(
        self,
        sku: str,
        *,
        seller_id: int = 0,
        product_id: int | None = 0,
        status: int = 0,
        account_id: str | None = None,
    ) -> SingleCall[Removal]:
        """Delete an item from the account.

        Args:
            sku: the SKU, 1 to 50 characters.
            seller_id: the supplier's id; required on the wire, "but you can send 0".
            product_id: the item's id in the POS; 0 by default, None for null if the contract in force allows it.
            status: required on the wire; its meaning is not documented.
            account_id: the account; the client's by default.

        Returns:
            The effect as a `Removal`; True if the item is gone because of this call.

        Raises:
            InvalidInputError: an argument is out of range.
            RejectedError: the service answered a number other than 1 (deleted) and 0 (not there); its `row` has it.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.
            OctopusError: the call failed.

        Vendor's page: DeleteItem.
        """
        return _deletion(sku, seller_id=seller_id, product_id=product_id, status=status, account_id=account_id)

    @single("DeleteItemStore", Safety.IDEMPOTENT)
    def delete_item_store(
        self,
        sku: str,
        *,
        seller_id: int = 0,
        product_id: int | None = 0,
        status: int = 0,
        store_stock: Iterable[StoreStockInfo] | None = None,
        account_id: str | None = None,
    ) -> SingleCall[Removal]:
        """Delete an item from the account, and its data from the stores too.

        Args:
            sku: the SKU, 1 to 50 characters.
            seller_id: the supplier's id; required on the wire, "but you can send 0".
            product_id: the item's id in the POS; 0 by default, None for null if the contract in force allows it.
            status: required on the wire; its meaning is not documented.
            store_stock: the stores to delete from, at least one; None for no list, as the page allows. The page says
                both that the item is deleted from these stores and that it is deleted altogether: try a test item.
            account_id: the account; the client's by default.

        Returns:
            The effect as a `Removal`; True if the item is gone because of this call.

        Raises:
            InvalidInputError: an argument is out of range.
            RejectedError: the service answered a number other than 1 (deleted) and 0 (not there); its `row` has it.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.
            OctopusError: the call failed.

        Vendor's page: DeleteItemStore.
        """
        stores = None
        if store_stock is not None:
            stores = {"StorStock": list(inputs.check_iterable(store_stock, "store_stock", models.StoreStockInfo))}
        return _deletion(
            sku, seller_id=seller_id, product_id=product_id, status=status, account_id=account_id, stores=stores
        )

    @single("DeleteTblItem", Safety.IDEMPOTENT)
    def delete_tbl_item(self, sku: str, *, account_id: str | None = None) -> SingleCall[Removal]:
        """Remove an item from the list of recent changes that `get_item_tbl_list` returns.

        A change between the two calls may be removed with it: fetch the item after this call, not before.

        Args:
            sku: the SKU, 1 to 50 characters.
            account_id: the account; the client's by default.

        Returns:
            The effect as a `Removal`; True if the entry is gone because of this call.

        Raises:
            InvalidInputError: the SKU is not valid.
            RejectedError: the service answered a number other than 1 (deleted) and 0 (not there); its `row` has it.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.
            OctopusError: the call failed.

        Vendor's page: DeleteTblItem.
        """
        problems = inputs.sku_problems(sku, "sku")
        return SingleCall({"sku": sku}, ScalarOf(int), outcomes.removal(sku), account_id, problems)

    # -- orders ------------------------------------------------------------------------------------------------

    @page("GetOrderList", Safety.READ)
    def get_order_list(
        self, criteria: OrderCriteria | None = None, *, keep_raw: bool = False, account_id: str | None = None
    ) -> SingleCall[BatchResult[OrderResponseItem]]:
        """Return the orders that match the criteria and are not confirmed yet.

        There is no paging: narrow the creation window if answers get large.

        Args:
            criteria: what to retrieve; everything by default.
            keep_raw: keep each order's XML in the `raw` of its outcome, to store it before anything else.
            account_id: the account; the client's by default.

        Returns:
            The orders in the service's order.

        Raises:
            BatchError: some orders cannot be read; its `result` has the others, and their XML.
            OctopusError: the call failed.

        Vendor's page: GetOrderList.
        """
        arguments, reads, problems = _orders(criteria, keep_raw)
        return SingleCall(arguments, reads, outcomes.collect_rows, account_id, problems, "orderCriteria")

    @page("GetOrderListStore", Safety.READ)
    def get_order_list_store(
        self,
        store_ids: str,
        criteria: OrderCriteria | None = None,
        *,
        keep_raw: bool = False,
        account_id: str | None = None,
    ) -> SingleCall[BatchResult[OrderResponseItem]]:
        """Return one store's orders that match the criteria and are not confirmed yet.

        Args:
            store_ids: the store's id. The parameter is a plural on the wire and a single id in the page's words;
                whether several fit, and how they are separated, is not documented.
            criteria: what to retrieve; everything by default.
            keep_raw: keep each order's XML in the `raw` of its outcome, to store it before anything else.
            account_id: the account; the client's by default.

        Returns:
            The orders in the service's order.

        Raises:
            InvalidInputError: the store id or the criteria are not valid.
            BatchError: some orders cannot be read; its `result` has the others, and their XML.
            OctopusError: the call failed.

        Vendor's page: GetOrderListStore.
        """
        arguments, reads, problems = _orders(criteria, keep_raw)
        problems = inputs.text_problems(store_ids, "store_ids") + problems
        arguments["StoreIDs"] = store_ids
        return SingleCall(arguments, reads, outcomes.collect_rows, account_id, problems, "orderCriteria")

    @confirming(
        "SetDownloadOrderConfirm", Safety.IDEMPOTENT, BatchRule("orderDownloadSubmitRequests", 100, documented=False)
    )
    def set_download_order_confirm(
        self,
        orders: Iterable[OrderDownloadSubmitRequest],
        *,
        account_id: str | None = None,
        batch_size: int | None = None,
        progress: ShowProgress | None = None,
    ) -> ListCall[None]:
        """Mark orders as downloaded, so that they are not listed again.

        Confirm only what is stored safely: a confirmed order does not come back. The service answers nothing, so an
        unknown id is not reported.

        Args:
            orders: the orders, each with its `order_id`.
            account_id: the account; the client's by default.
            batch_size: orders per request, 1 or more. The page states no limit; 100 is ours.
            progress: True for a progress bar (extra `notebook`), or a function to call after each batch.

        Raises:
            InvalidInputError: refused before anything was sent, every offending index listed.
            BatchError: some are failed, unknown or not sent; its `result` lists them.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.

        Vendor's page: SetDownloadOrderConfirm.
        """
        return ListCall(orders, inputs.confirmation(), Nothing(), None, None, account_id, batch_size, progress)

    @confirming(
        "SetDownloadSplitOrderConfirm",
        Safety.IDEMPOTENT,
        BatchRule("orderDownloadSubmitRequests", 100, documented=False),
    )
    def set_download_split_order_confirm(
        self,
        orders: Iterable[OrderDownloadSubmitRequest],
        *,
        account_id: str | None = None,
        batch_size: int | None = None,
        progress: ShowProgress | None = None,
    ) -> ListCall[None]:
        """Mark one store's part of split orders as downloaded.

        Several stores share a split order, and each downloads its part.

        Args:
            orders: the orders, each with its `order_id` and the `store_id` that downloaded its part.
            account_id: the account; the client's by default.
            batch_size: orders per request, 1 or more. The page states no limit; 100 is ours.
            progress: True for a progress bar (extra `notebook`), or a function to call after each batch.

        Raises:
            InvalidInputError: refused before anything was sent, every offending index listed.
            BatchError: some are failed, unknown or not sent; its `result` lists them.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.

        Vendor's page: SetDownloadSplitOrderConfirm.
        """
        return ListCall(orders, inputs.confirmation(), Nothing(), None, None, account_id, batch_size, progress)

    @single("SubmitOrder", Safety.UNSAFE)
    def submit_order(
        self, order: OrderSubmit, *, account_id: str | None = None, omitted_values: OmittedChoice | None = None
    ) -> SingleCall[SubmitOrderResponseItem]:
        """Create a new order in the Channel.

        It is never repeated if it may have been carried out.

        Args:
            order: the order.
            account_id: the account; the client's by default.
            omitted_values: what to do about values left out: `refuse`, `send`, or the names of the members that may be
                left out, and then are 0; the client's choice by default.

        Returns:
            The service's answer with the new order's id (`id_order`).

        Raises:
            InvalidInputError: refused before anything was sent.
            RejectedError: the service rejected it.
            OutcomeUnknownError: it may or may not have been created; look before sending it again.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.
            OctopusError: the call failed.

        Vendor's page: SubmitOrder.
        """
        made, problems = inputs.as_model(order, models.OrderSubmit, "order", required=True)
        finish = outcomes.submitted(getattr(made, "order_id", None) or "")
        reads = OneOf(models.SubmitOrderResponseItem)
        return SingleCall({"orderSubmit": made}, reads, finish, account_id, problems, "orderSubmit", omitted_values)

    # -- custom fields -----------------------------------------------------------------------------------------

    @confirming("CustomFieldMapping", Safety.UNSAFE, BatchRule("FieldMapping", 100, documented=False))
    def custom_field_mapping(
        self,
        mappings: Iterable[CustomFieldMapping],
        *,
        account_id: str | None = None,
        batch_size: int | None = None,
        progress: ShowProgress | None = None,
    ) -> ListCall[None]:
        """Create custom fields for data that has no field of its own.

        Args:
            mappings: the fields, each with its `text`.
            account_id: the account; the client's by default.
            batch_size: fields per request, 1 or more. The page states no limit; 100 is ours.
            progress: True for a progress bar (extra `notebook`), or a function to call after each batch.

        Raises:
            InvalidInputError: refused before anything was sent, every offending index listed.
            RejectedError: the service answered with an error message instead of "true".
            BatchError: some are failed, unknown or not sent; its `result` lists them.
            UnverifiedContractError: the bundled contract would be used against a real endpoint.

        Vendor's page: CustomFieldMapping ("It will return true or error message").
        """
        check = inputs.keyed(models.CustomFieldMapping, "text")
        return ListCall(mappings, check, ScalarOf(str), None, outcomes.mapped, account_id, batch_size, progress)


def _deletion(
    sku: str,
    *,
    seller_id: int,
    product_id: int | None,
    status: int,
    account_id: str | None,
    stores: dict[str, Any] | None = None,
) -> SingleCall[Removal]:
    problems = inputs.sku_problems(sku, "sku")
    product = 0 if product_id is None else product_id
    problems += inputs.number_problems(seller_id=seller_id, product_id=product, status=status)
    if stores == {"StorStock": []}:
        message = "names no store, which would delete the item everywhere; use delete_item for that"
        problems.append(Problem(message, field="store_stock"))
    for index, store in enumerate((stores or {}).get("StorStock", ())):
        made, wrong = inputs.as_model(store, models.StoreStockInfo, required=True)
        problems += [Problem(p.message, index=index, field="store_stock") for p in wrong]
        if stores is not None and not wrong:
            stores["StorStock"][index] = made
    arguments = {"SellerID": seller_id, "SKU": sku, "ProductID": product_id, "status": status, **(stores or {})}
    return SingleCall(arguments, ScalarOf(int), outcomes.removal(sku), account_id, problems)


def _orders(
    criteria: OrderCriteria | None,
    keep_raw: bool,  # noqa: FBT001 - private
) -> tuple[dict[str, Any], RowsOf, list[Problem]]:
    given = models.OrderCriteria() if criteria is None else criteria
    chosen, problems = inputs.as_model(given, models.OrderCriteria, "criteria")
    return {"orderCriteria": chosen}, RowsOf(models.OrderResponseItem, raw=keep_raw), problems
