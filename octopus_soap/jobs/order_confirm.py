"""Confirms orders, and checks that the service no longer lists them.

Purpose. A confirmation has no result, and the service ignores an id that it does not accept. So a confirmed order is
listed again by its id, and counts as confirmed only if it is no longer listed. That also covers a confirmation whose
answer was lost. Repeating a confirmation does no harm.

There are two: `SetDownloadOrderConfirm`, and `SetDownloadSplitOrderConfirm` for an order that was split over several
stores, each of which downloads its part. An order does not show which one it needs:

* If the whole account is read, the plain confirmation is sent. If the order is still listed, or came with two store
  ids, it is split: it is confirmed for each store that it is listed with.
* If single stores are read, the split confirmation is sent with the store's id, because the plain one might also take
  the order from the other stores. If the order is still listed, it was not split, and the plain one follows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from octopus_soap.errors import AuthenticationError, BatchError, ConfigError, InvalidInputError, OctopusError
from octopus_soap.jobs.order_listing import list_orders
from octopus_soap.models import OrderCriteria, OrderDownloadSubmitRequest
from octopus_soap.models.scalars import is_int32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Row

    from octopus_soap.client import OctopusClient

_MOST_ROUNDS = 12
"""The maximum number of confirmations of one order in a run: more than it has stores."""
STILL_LISTED = "it was confirmed, and the service still lists it"


@dataclass(slots=True, eq=False)
class Confirmation:
    """One order that is being confirmed.

    Attributes:
        row: the ledger's row.
        stores: the store ids that the order is listed with.
        sent: the confirmations that were sent: `""` for the plain one, a store id for a split one.
        done: it is no longer listed.
        error: why it is not done.
    """

    row: Row[Any]
    stores: list[str]
    sent: list[str] = field(default_factory=list[str])
    done: bool = False
    error: OctopusError | None = None

    def following(self) -> str | None:
        """Return the confirmation to send next; None if none is left to try."""
        own = self.row.store
        steps = [own, ""] if own else [*(self.stores if len(self.stores) > 1 else []), "", *self.stores]
        return next((step for step in steps if step not in self.sent), None)

    def request(self, step: str) -> OrderDownloadSubmitRequest:
        """Return the order's row in the request of the confirmation *step*."""
        row: dict[str, str] = {"order_id": self.row.order_id}
        store = step or self.row.store or (self.stores[0] if self.stores else "")
        if store:
            row["store_id"] = store
        if self.row.reference:
            row["third_party_order_number"] = self.row.reference
        return OrderDownloadSubmitRequest(**row)


class OrderConfirmer:
    """Confirms orders of one store, or of the whole account if *store* is empty."""

    def __init__(self, client: OctopusClient, store: str, reach: Callable[[str], None]) -> None:
        self._client, self._store, self._reach = client, store, reach

    def run(self, rows: Sequence[Row[Any]]) -> list[Confirmation]:
        """Confirm *rows*, and return the result of each.

        Raises:
            AuthenticationError: the credentials are refused.
            ConfigError: confirmations cannot be sent with these settings.
        """
        everything = [Confirmation(row, json.loads(row.stores)) for row in rows]
        left = everything
        for _ in range(_MOST_ROUNDS):
            left = [one for one in left if one.error is None and one.following() is not None]
            if not left:
                break
            self._reach("orders.confirming")
            self._send(left)
            self._reach("orders.confirm_sent")
            left = self._still_listed(left)
        return everything

    def _send(self, orders: list[Confirmation]) -> None:
        """Send the next confirmation of each order."""
        steps: dict[str, list[Confirmation]] = {}
        for one in orders:
            steps.setdefault(one.following() or "", []).append(one)
        for step, those in steps.items():
            self._send_step(step, those)

    def _send_step(self, step: str, orders: list[Confirmation]) -> None:
        call = self._client.set_download_split_order_confirm if step else self._client.set_download_order_confirm
        failed: dict[int, OctopusError] = {}
        try:
            call([one.request(step) for one in orders])
        except (AuthenticationError, ConfigError):
            raise
        except BatchError as error:
            failed = {outcome.index: outcome.error or error for outcome in error.result.outcomes if not outcome.ok}
        except OctopusError as error:
            failed = dict.fromkeys(range(len(orders)), error)
        for index, one in enumerate(orders):
            one.sent.append(step)
            one.error = failed.get(index)

    def _still_listed(self, orders: list[Confirmation]) -> list[Confirmation]:
        """Return the orders that are still listed; the others are done."""
        # OrderIDList has only ints.
        asked = {one.row.order_id: one for one in orders if is_int32(one.row.order_id)}
        listed: set[str] = set()
        unsettled = [one for one in orders if one.error is not None]
        if asked:
            try:
                listed = self._listed(asked)
            except (AuthenticationError, ConfigError, InvalidInputError):
                raise
            except OctopusError:
                asked = {}  # not known: the confirmation's own answer counts, and the next download corrects that
        for one in orders:
            one.done = one.row.order_id not in listed and (one.row.order_id in asked or one not in unsettled)
            one.error = None if one.done else one.error
        return [one for one in orders if one.row.order_id in listed]

    def _listed(self, asked: dict[str, Confirmation]) -> set[str]:
        criteria = OrderCriteria(order_id_list=[int(order_id) for order_id in asked])
        listed: set[str] = set()
        for outcome in list_orders(self._client, self._store, criteria, keep_raw=False):
            one = asked.get(outcome.key)
            if one is None:
                continue
            listed.add(outcome.key)
            store = (outcome.value.store_id or "") if outcome.value is not None else ""
            if store and store not in one.stores:
                one.stores.append(store)
        return listed
