"""One listing of orders, read while it arrives.

`GetOrderList` has no paging and no limit. So what tells one order from another is kept in memory, and what an order
says, its XML and its decoded form, in a file that has no name: a listing of any length needs about 1 kB for an order.

Invariants:

* A listing that is cut short, or says Failure at its end, raises there: nothing of it is used.
* The file holds what the ledger will hold: without card numbers and secrets.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from tempfile import SpooledTemporaryFile, gettempdir
from typing import TYPE_CHECKING

from octopus_soap.errors import LedgerError
from octopus_soap.jobs.order_records import OrderRecord, record_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from octopus_soap.client import OctopusClient
    from octopus_soap.models import OrderCriteria, OrderResponseItem
    from octopus_soap.results import ItemOutcome
    from octopus_soap.wire.redact import Redactor

_IN_MEMORY = 4 << 20
"""Bytes of text that need no file."""


def list_orders(
    client: OctopusClient, store: str, criteria: OrderCriteria, *, keep_raw: bool = True
) -> Iterator[ItemOutcome[OrderResponseItem]]:
    """List the whole account's orders, or a store's; rows that cannot be read are failed outcomes, not an error.

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
        matches: how many orders match, by the service's own count; 0 if it does not say. More than were listed if the
            service left some out.
    """

    def __init__(self) -> None:
        self.orders: list[OrderRecord] = []
        self.matches = 0
        self._texts = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - `close` closes it

    @property
    def short(self) -> bool:
        """True if the service says that more orders match than it listed."""
        return self.matches > len(self.orders)

    def add(self, order: OrderRecord) -> None:
        """Note an order, and put its texts into the file.

        Raises:
            LedgerError: there is no room for them.
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
    """Read a listing to its end; what it holds can be used inside the block.

    Args:
        outcomes: its rows, as they arrive.
        store: the store's id; empty for the whole account.
        redactor: masks secrets.

    Raises:
        LedgerError: there is no room for its texts.
        OctopusError: it does not come to its end.
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
