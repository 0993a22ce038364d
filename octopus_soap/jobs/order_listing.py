"""Listings of orders, read while they arrive.

`GetOrderList` has no paging and no limit. So memory has only what distinguishes one order from another, about 1 kB for
an order. The order's XML and its decoded form are in a file without a name.

Invariants:

* A listing that is truncated, or ends with Failure, raises there: nothing of it is used.
* The file has what the ledger will have: no card numbers or secrets, which must not be in a ledger. So the handler does
  not get them; if it needs them, it asks the service for the order by its id.
* Two listings of one order are the same version if they differ only in what a listing itself changes: the number of
  matches, the time of the last update, and the store it was listed for. An order without an id is identified by the
  hash of its version.
* An id alone does not identify an order (see `pair`).
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from tempfile import SpooledTemporaryFile, gettempdir
from typing import TYPE_CHECKING, Any

from octopus_soap._http import clip
from octopus_soap.errors import InvalidInputError, LedgerError, Problem
from octopus_soap.models import OrderResponseItem
from octopus_soap.wire.redact import MASK, is_secret_member, mask_cards

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from octopus_soap.client import OctopusClient
    from octopus_soap.jobs.reports import Backoff
    from octopus_soap.models import OrderCriteria
    from octopus_soap.results import ItemOutcome
    from octopus_soap.wire.redact import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxOptions:
    """The options of `OrderInbox`, which documents them, and the redactor.

    Raises:
        InvalidInputError: an option is not accepted.
    """

    stores: tuple[str, ...]
    since: datetime | None
    overlap: timedelta
    sweep: timedelta | None
    transactional: bool
    confirm: bool
    on_change: str
    payment: str | None
    shipping: str | None
    handler_seconds: float
    backoff: Backoff
    redactor: Redactor = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse wrong options before anything is sent."""
        problems: list[Problem] = []
        if not all(self.stores):
            problems.append(
                Problem("expected store ids, such as ['S1', 'S2']", field="stores", value=repr(self.stores))
            )
        if self.since is not None and self.since.utcoffset() is None:
            problems.append(Problem("has no time zone; add one, such as tzinfo=datetime.UTC", field="since"))
        if self.overlap < timedelta(0):
            problems.append(Problem("must not be negative", field="overlap", value=str(self.overlap)))
        if self.on_change not in {"hold", "deliver"}:
            problems.append(Problem("must be 'hold' or 'deliver'", field="on_change", value=repr(self.on_change)))
        if not self.handler_seconds > 0:
            problems.append(Problem("must be above 0", field="handler_seconds", value=repr(self.handler_seconds)))
        if problems:
            raise InvalidInputError(problems)

    @property
    def deliver_changes(self) -> bool:
        """True if an order that was changed after it was handled is handed over again."""
        return self.on_change == "deliver"

    @property
    def filtered(self) -> bool:
        """True if only orders with a certain status are handed over."""
        return self.payment is not None or self.shipping is not None

    def wants(self, order: OrderRecord) -> bool:
        """True unless the order has another status than the wanted one; case is ignored."""
        asked = ((order.payment, self.payment), (order.shipping, self.shipping))
        return all(wanted is None or _plain(status) in {"", _plain(wanted)} for status, wanted in asked)


def _plain(status: str) -> str:
    return status.strip().casefold()


# -- one order --------------------------------------------------------------------------------------------------------

_VOLATILE = frozenset({"number_of_matches", "last_update_date", "store_id"})
_VOLATILE_XML = re.compile(r"(<(?:[\w.-]+:)?(?:NumberOfMatches|LastUpdateDate|StoreId)>)[^<]*")
NAMELESS = "?"
"""The keys of orders without an id begin with it; no id does."""


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order of a listing.

    Attributes:
        key: its key in the ledger, unless another order has it (see `pair`).
        order_id: the service's id; empty if it sent none.
        placed: when it was placed, by the service's clock.
        raw: its XML.
        typed: its decoded form; None if it cannot be read.
        content: the hash of its version.
        stores: the ids of the stores it was listed with.
        problem: why it cannot be delivered; empty if it can.
        payment: its payment status; empty if the service sent none.
        shipping: its shipping status; empty if the service sent none.
        place: the place of `raw` and `typed` in the file of a `Listing`; there they are empty here.
    """

    key: str
    order_id: str
    placed: datetime | None
    raw: str
    typed: str | None
    content: str
    stores: tuple[str, ...]
    problem: str
    payment: str = ""
    shipping: str = ""
    place: tuple[int, int, int] = (0, 0, -1)


def record_of(outcome: ItemOutcome[OrderResponseItem], store: str, redactor: Redactor) -> OrderRecord:
    """Return the record of one row of a listing."""
    order, raw = outcome.value, redactor.body(outcome.raw or b"")
    order_id = outcome.key
    if order is None:
        problem = outcome.error.message if outcome.error is not None else "it cannot be read"
        content = _hash(_VOLATILE_XML.sub(r"\1", raw))
        key = _key(order_id, content, store)
        return OrderRecord(key, order_id, None, raw, None, content, (), clip(redactor.text(problem), 400))
    data = _masked(json.loads(order.model_dump_json(exclude_unset=True)), redactor)
    content = _hash(json.dumps({n: value for n, value in data.items() if n not in _VOLATILE}, sort_keys=True))
    return OrderRecord(
        _key(order_id, content, store),
        order_id,
        order.order_time_gmt or order.order_date,
        raw,
        json.dumps(data, ensure_ascii=False),
        content,
        (order.store_id,) if order.store_id else (),
        "" if order_id else "it has no OrderID, so it cannot be confirmed; ask the service's operator to give it one",
        order.payment or "",
        order.delivery or "",
    )


def order_of(typed: str) -> OrderResponseItem:
    """Return the order of the decoded form that is stored."""
    return OrderResponseItem.model_validate_json(typed, strict=True)


def _key(order_id: str, content: str, store: str) -> str:
    key = order_id or f"{NAMELESS}{content[:16]}"
    return f"{key}@{store}" if store else key


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _masked(value: Any, redactor: Redactor, name: str = "") -> Any:
    if isinstance(value, dict):
        return {
            key: MASK if inner and is_secret_member(key) else _masked(inner, redactor, key)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner, redactor, name) for inner in value]
    return redactor.text(mask_cards(value, name)) if isinstance(value, str) else value


# -- one listing ------------------------------------------------------------------------------------------------------

_IN_MEMORY = 4 << 20
"""Bytes of text up to which no file is used."""


def list_orders(
    client: OctopusClient, store: str, criteria: OrderCriteria, *, keep_raw: bool = True
) -> Iterator[ItemOutcome[OrderResponseItem]]:
    """List the orders of a store, or of the whole account if *store* is empty.

    Raises:
        OctopusError: the service does not answer, or its answer is not complete.
    """
    if store:
        parts = client.get_order_list_store.stream(store, criteria, keep_raw=keep_raw)
    else:
        parts = client.get_order_list.stream(criteria, keep_raw=keep_raw)
    for part in parts:
        yield from part.outcomes


class Listing:
    """The orders of one listing.

    Attributes:
        orders: the orders, without their texts.
        matches: how many orders match, by the service's own count; 0 if it sends none. If it is more than there are in
            `orders`, the service left some out.
    """

    def __init__(self) -> None:
        self.orders: list[OrderRecord] = []
        self.matches = 0
        self._texts = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - `close` closes it

    @property
    def short(self) -> bool:
        """True if the service counts more orders than it listed."""
        return self.matches > len(self.orders)

    def add(self, order: OrderRecord) -> None:
        """Add an order, and write its texts into the file.

        Raises:
            LedgerError: they cannot be written.
        """
        raw = order.raw.encode("utf-8", "surrogatepass")
        typed = None if order.typed is None else order.typed.encode("utf-8", "surrogatepass")
        place = (self._texts.tell(), len(raw), -1 if typed is None else len(typed))
        try:
            self._texts.write(raw)
            self._texts.write(typed or b"")
        except OSError as error:
            raise LedgerError(
                f"cannot keep a listing of orders in {gettempdir()}: {error.strerror or error}"
            ) from error
        self.orders.append(replace(order, raw="", typed=None, place=place))

    def texts(self, order: OrderRecord) -> tuple[str, str | None]:
        """Return the XML of an order of this listing, and its decoded form."""
        start, raw, typed = order.place
        self._texts.seek(start)
        return self._text(raw), None if typed < 0 else self._text(typed)

    def _text(self, size: int) -> str:
        return self._texts.read(size).decode("utf-8", "surrogatepass")

    def close(self) -> None:
        """Remove the file."""
        self._texts.close()


@contextmanager
def listing_of(
    outcomes: Iterable[ItemOutcome[OrderResponseItem]], store: str, redactor: Redactor
) -> Generator[Listing]:
    """Read a listing to its end; its texts can be used inside the block.

    Raises:
        LedgerError: its texts cannot be written.
        OctopusError: the listing failed before its end.
    """
    listing = Listing()
    try:
        for outcome in outcomes:
            if outcome.value is not None:
                listing.matches = max(listing.matches, outcome.value.number_of_matches or 0)
            listing.add(record_of(outcome, store, redactor))
        yield listing
    finally:
        listing.close()


# -- new orders and stored ones ---------------------------------------------------------------------------------------

ANOTHER = "~"
"""The mark in the keys of orders that share their id with another one."""


def merge_equal(found: Sequence[OrderRecord]) -> list[OrderRecord]:
    """Return a listing's orders without duplicates, each with the stores of all."""
    merged: dict[tuple[str, str], OrderRecord] = {}
    for order in found:
        same = merged.get((order.key, order.content))
        stores = order.stores if same is None else tuple(dict.fromkeys((*same.stores, *order.stores)))
        merged[order.key, order.content] = replace(order if same is None else same, stores=stores)
    return list(merged.values())


def pair(
    orders: Sequence[OrderRecord], known: Sequence[Row[Any]]
) -> tuple[list[OrderRecord], list[tuple[Row[Any], OrderRecord]]]:
    """Separate new orders from those that are stored.

    An id alone does not identify an order: shops reuse numbers, and the parts of a split order share one. So a row is
    the same order if it has the same content, or else the same id, creation time and store. Any other order with a
    stored id is a new order, and gets a key of its own: `id~2`.

    Returns:
        The new orders, and the stored rows, each with its listed order.
    """
    by_id: dict[str, list[Row[Any]]] = {}
    for row in known:
        by_id.setdefault(row.order_id or row.key, []).append(row)
    groups: dict[str, list[OrderRecord]] = {}
    for order in orders:
        groups.setdefault(order.order_id or order.key, []).append(order)
    fresh: list[OrderRecord] = []
    again: list[tuple[Row[Any], OrderRecord]] = []
    for name, group in groups.items():
        rows, left = list(by_id.get(name, ())), list(group)
        taken = {row.key for row in rows}
        for same in (_same_content, _same_order):
            for order in list(left):
                if (found := next((row for row in rows if same(row, order)), None)) is not None:
                    rows.remove(found)
                    left.remove(order)
                    again.append((found, order))
        for order in left:
            keys = (order.key, *(f"{order.key}{ANOTHER}{n}" for n in range(2, len(taken) + 3)))
            key = next(key for key in keys if key not in taken)
            taken.add(key)
            fresh.append(replace(order, key=key))
    return fresh, again


def _same_content(row: Row[Any], order: OrderRecord) -> bool:
    return order.content in {row.content, row.handled_content}


def _same_order(row: Row[Any], order: OrderRecord) -> bool:
    stores = json.loads(row.stores)
    if row.placed is not None and order.placed is not None and row.placed != order.placed:
        return False
    return not stores or not order.stores or not set(stores).isdisjoint(order.stores)
