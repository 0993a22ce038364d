"""The kind of service that the emulator pretends to be: every open question of the real one is a switch here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self, TypeAlias

AuthFailure: TypeAlias = Literal[
    "internal-fault", "fault-exception", "401-html", "403-empty", "apiresult-failure", "fault-200"
]


@dataclass(frozen=True)
class Merchant:
    """One account: the three header values the service authorises by, and a state of its own.

    Args:
        name: The ``merchantname`` header.
        authtoken: The ``authtoken`` header. Never logged or shown.
        accessid: The ``accessid`` header, GUID-shaped in the vendor's REST API; also the expected ``accountID``. Never
            logged or shown.
    """

    name: str = "emulated-shop"
    authtoken: str = field(default="not-a-real-token", repr=False)
    accessid: str = field(default="00000000-0000-4000-8000-00000000c0de", repr=False)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How the emulated service behaves where the vendor's page leaves it open.

    Each switch carries its grade: *documented* (the page), *recorded* (seen of ChannelAdvisor's service, whose wording
    the page follows), *WCF* (known of the framework), *guess*. Every guess about an operation is a switch.

    The default follows the page: fields may be null or left out. :meth:`strict` is the service that .NET code with
    plain ``decimal`` and ``int`` members makes, where a value left out arrives as 0. Test a job against both.

    Args:
        auth_failure: How wrong or missing credentials are answered. Unknown; all six are WCF-possible, ``fault-200`` is
            recorded. ``internal-fault`` is what an exception in a message inspector gives.
        account_must_equal_accessid: Whether ``accountID`` must be the access id, as in the page's sample. Guess.
        bare_lists: Whether ``IsSkuExistList``, ``GetItemTblList`` and ``GetItemList`` return a bare list instead of an
            APIResult. The page has both. The served WSDL follows.
        nillable_values: Whether value types (price, stock, locks, dates) are declared nillable. The page's Notes allow
            null; the service's classes are unknown. The served WSDL follows.
        omitted_value_type: What an omitted value type does to an existing item: leaves it ``unchanged`` (recorded
            wording) or sets it to ``zero``/false (what a WCF service with plain value types does).
        uploads: Whether an upload of an existing item changes only the members given (``merge``, recorded wording), or
            ``replace`` the whole row, so that texts and lists left out are lost too (what a service does that saves
            the object it was given). Guess.
        store_rows: Whether the store rows of an update or upload are merged by StoreID and the stores not named stay
            (``merge``), or the list given is the new list (``replace``). Guess.
        own_lock: Whether a row's own lock set to false lets the values of the same row through a lock in force. Guess.
        partial_uploads: Whether an UploadItemList of which some rows fail is answered with ``success``, as the page
            says of UpdateItemQuantityAndPriceList, or with ``failure``. Guess: the page gives no rule for it.
        unknown_items: Whether GetItemList leaves SKUs it does not know ``out``, or has a ``nil-row`` for each. Guess.
        unknown_quantities: What GetItemQuantityList has for a SKU it does not know: an ``error-row`` with an
            ErrorMessage, nothing (``out``), or a row of ``zeros``. Guess.
        delete_item_store: What a DeleteItemStore that lists stores does: removes the item from those ``stores`` (the
            parameter's description), or deletes the ``product`` and the data of every store (the operation's
            description). The page has both.
        not_removed: What the three delete operations return for what is not there. The page gives 1 for removed, and
            nothing else; 0 is a guess.
        void: What the two confirm operations answer: an empty response ``element`` (HTTP 200), or ``one-way`` (HTTP
            202, no body, failures invisible). WCF; which one is unknown.
        duplicate_orders: Whether a second SubmitOrder with the same OrderID is answered with ``Result`` false
            (``reject``) or makes a second order (``duplicate``). Guess.
        reduce_stock: Whether SubmitOrder takes the quantities off the stock. Guess.
        failed_update_rows: Whether an UpdateItemQuantityAndPriceList or UploadItemList whose rows all fail still
            carries them. On the page the rows carry the results; without them is a guess.
        upload_failure: What UploadItem's long is for an item it refuses. Unknown.
        upload_result: What UploadItem's long is for an item it takes: the item's ``id``, or ``one``. Guess.
        new_payment: The payment status of a new order. Guess.
        new_shipping: The shipping status of a new order. Guess.
        store_ids: Whether the StoreIDs of GetOrderListStore may be ``several`` with commas between, or is ``one`` id.
            Guess from the name.
        unknown_confirm: Whether a confirmation that names no open order is passed over (``ignore``; the operations
            return nothing), or answered with a ``fault``. Guess.
        confirm_store: Whether the StoreId of a confirmation is checked for an order that is not split (``exact``), or
            taken as it comes where the order is of no store or the confirmation names none (``loose``). Guess.
        no_dates: What an order's unset dates are written as: the ``sentinels`` 0001-01-01 and 1900-01-01 (WCF,
            recorded), or ``nil``.
        date_kind: Suffix of dateTimes in replies: none, ``Z``, or the server's offset (WCF's three DateTime kinds).
        server_offset: The server's zone for ``date_kind="local"``.
        max_received: Largest request in bytes; WCF's default is 65536. None: no limit.
        max_received_status: What a larger one is answered with, always with an empty body: 413 (newer) or 400 (older
            .NET).
        max_items_in_graph: Largest number of objects and members in a request or a reply; WCF's default is 65536. A
            larger request faults, a larger reply drops the connection (WCF). None: no limit.
        max_string: Longest text of one member; 8192 before .NET 4.5. None: no limit.
        metadata: Who may read ``?wsdl``: everyone, only callers with credentials, or no one. Unknown.
        message_codes: Whether failures carry ChannelAdvisor's MessageCode (recorded) or always 1.
        now: A frozen clock. None: the real one.
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
        """Return the profile of a service with plain value types: not nillable, and 0 if they are left out.

        Args:
            **changes: Other switches.
        """
        return replace(cls(nillable_values=False, omitted_value_type="zero"), **changes)

    def clock(self) -> datetime:
        """Return the service's idea of now, in UTC."""
        if self.now is None:
            return datetime.now(UTC)
        return self.now if self.now.tzinfo else self.now.replace(tzinfo=UTC)
