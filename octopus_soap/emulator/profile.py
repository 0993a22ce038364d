"""The emulated service's behaviour, with a switch for each open question."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self, TypeAlias

AuthFailure: TypeAlias = Literal[
    "internal-fault", "fault-exception", "401-html", "403-empty", "apiresult-failure", "fault-200"
]


@dataclass(frozen=True)
class Merchant:
    """One account: the three header values for authorisation, and its own state.

    Args:
        name: The ``merchantname`` header.
        authtoken: The ``authtoken`` header. Never logged or shown.
        accessid: The ``accessid`` header, a GUID in the vendor's REST API; also the expected ``accountID``. Never
            logged or shown.
    """

    name: str = "emulated-shop"
    authtoken: str = field(default="not-a-real-token", repr=False)
    accessid: str = field(default="00000000-0000-4000-8000-00000000c0de", repr=False)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The emulated service's answers to questions that the vendor's page leaves open.

    Each switch has its grade: *documented* (the page), *recorded* (seen of ChannelAdvisor's service, whose wording the
    page follows), *WCF* (known of the framework), *guess*. Every guess about an operation is a switch.

    The default follows the page: fields may be null or left out. :meth:`strict` is the service of .NET code with plain
    ``decimal`` and ``int`` members: it reads a value left out as 0. Test a job against both.

    Args:
        auth_failure: The answer to wrong or missing credentials. Unknown; all six are possible with WCF, ``fault-200``
            is recorded. An exception in a message inspector gives ``internal-fault``.
        account_must_equal_accessid: Whether ``accountID`` must be the access id, as in the page's sample. Guess.
        bare_lists: Whether ``IsSkuExistList``, ``GetItemTblList`` and ``GetItemList`` return a bare list instead of an
            APIResult. The page has both. The served WSDL follows.
        nillable_values: Whether value types (price, stock, locks, dates) are declared nillable. The page's Notes allow
            null; the service's classes are unknown. The served WSDL follows.
        omitted_value_type: Whether an omitted value type leaves an existing item ``unchanged`` (recorded wording), or
            sets the member to ``zero``/false (as a WCF service with plain value types does).
        uploads: Whether an upload of an existing item changes only the members given (``merge``, recorded wording), or
            the whole row (``replace``): texts and lists left out are lost too, as with a service that saves the object
            it was given. Guess.
        store_rows: Whether the store rows of an update or upload are merged by StoreID and the stores not named stay
            (``merge``), or the list given is the new list (``replace``). Guess.
        own_lock: Whether a row's own lock set to false lets the values of the same row through a lock in force. Guess.
        partial_uploads: The status of an UploadItemList if some rows fail: ``success``, as documented for
            UpdateItemQuantityAndPriceList, or ``failure``. Guess: the page gives no rule for it.
        unknown_items: Whether GetItemList leaves unknown SKUs ``out``, or has a ``nil-row`` for each. Guess.
        unknown_quantities: The answer of GetItemQuantityList for an unknown SKU: an ``error-row`` with an ErrorMessage,
            nothing (``out``), or a row of ``zeros``. Guess.
        delete_item_store: Whether a DeleteItemStore that lists stores removes the item from those ``stores`` (the
            parameter's description), or deletes the ``product`` and the data of every store (the operation's
            description). The page has both.
        not_removed: The result of the three delete operations if there is nothing to delete. The page gives only 1, for
            removed; 0 is a guess.
        void: The answer of the two confirm operations: an empty response ``element`` (HTTP 200), or ``one-way`` (HTTP
            202, no body, failures invisible). WCF; which of the two is unknown.
        duplicate_orders: Whether a second SubmitOrder with the same OrderID is answered with ``Result`` false
            (``reject``) or makes a second order (``duplicate``). Guess.
        reduce_stock: Whether SubmitOrder takes the quantities off the stock. Guess.
        failed_update_rows: Whether the answer of an UpdateItemQuantityAndPriceList or UploadItemList still has rows if
            all of them fail. On the page the rows carry the results; an answer without them is a guess.
        upload_failure: The answer of UploadItem for an item it refuses: 0, -1 or a fault. Unknown.
        upload_result: The long of UploadItem for an item it accepts: the item's ``id``, or ``one``. Guess.
        new_payment: The payment status of a new order. Guess.
        new_shipping: The shipping status of a new order. Guess.
        store_ids: Whether the StoreIDs of GetOrderListStore are ``several`` ids with commas between, or ``one`` id.
            Guess from the name.
        unknown_confirm: Whether a confirmation that names no open order is ignored (``ignore``; the operations return
            nothing), or answered with a ``fault``. Guess.
        confirm_store: Whether the StoreId of a confirmation must always match an order that is not split (``exact``),
            or need not if the order has no store or the confirmation names none (``loose``). Guess.
        no_dates: The form of an order's unset dates: the ``sentinels`` 0001-01-01 and 1900-01-01 (WCF, recorded), or
            ``nil``.
        date_kind: Suffix of dateTimes in replies: none, ``Z``, or the server's offset (WCF's three DateTime kinds).
        server_offset: The server's offset from UTC for ``date_kind="local"``.
        max_received: Largest request in bytes; WCF's default is 65536. None: no limit.
        max_received_status: The status for a larger request, with an empty body: 413 (newer) or 400 (older .NET).
        max_items_in_graph: Largest number of objects and members in a request or a reply; WCF's default is 65536. A
            larger request faults, a larger reply drops the connection (WCF). None: no limit.
        max_string: Longest text of one member; 8192 before .NET 4.5. None: no limit.
        metadata: Whether ``?wsdl`` is ``open`` to all callers, only to those with credentials (``authorized``), or
            ``off``. Unknown.
        message_codes: Whether failures have ChannelAdvisor's MessageCode (recorded) or always 1.
        now: The time of a frozen clock. None: the real clock.
    """

    auth_failure: AuthFailure = "internal-fault"
    account_must_equal_accessid: bool = True
    bare_lists: bool = False
    nillable_values: bool = True
    omitted_value_type: Literal["unchanged", "zero"] = "unchanged"
    uploads: Literal["merge", "replace"] = "merge"
    store_rows: Literal["merge", "replace"] = "merge"
    own_lock: bool = True
    partial_uploads: Literal["success", "failure"] = "success"
    unknown_items: Literal["out", "nil-row"] = "out"
    unknown_quantities: Literal["error-row", "out", "zeros"] = "error-row"
    delete_item_store: Literal["stores", "product"] = "stores"
    not_removed: int = 0
    void: Literal["element", "one-way"] = "element"
    duplicate_orders: Literal["reject", "duplicate"] = "reject"
    reduce_stock: bool = False
    failed_update_rows: bool = True
    upload_failure: Literal["zero", "minus-one", "fault"] = "zero"
    upload_result: Literal["id", "one"] = "id"
    new_payment: str = "NotSubmitted"
    new_shipping: str = "Unshipped"
    store_ids: Literal["several", "one"] = "several"
    unknown_confirm: Literal["ignore", "fault"] = "ignore"
    confirm_store: Literal["loose", "exact"] = "loose"
    no_dates: Literal["sentinels", "nil"] = "sentinels"
    date_kind: Literal["unspecified", "utc", "local"] = "unspecified"
    server_offset: timedelta = timedelta(0)
    max_received: int | None = None
    max_received_status: Literal[413, 400] = 413
    max_items_in_graph: int | None = None
    max_string: int | None = None
    metadata: Literal["open", "authorized", "off"] = "open"
    message_codes: bool = True
    now: datetime | None = None

    @classmethod
    def strict(cls, **changes: Any) -> Self:
        """Return the profile of a service that reads omitted value types as 0.

        Args:
            **changes: Other switches.
        """
        return replace(cls(nillable_values=False, omitted_value_type="zero"), **changes)

    def clock(self) -> datetime:
        """Return the service's current time, in UTC."""
        if self.now is None:
            return datetime.now(UTC)
        return self.now if self.now.tzinfo else self.now.replace(tzinfo=UTC)
