"""What the ledger stores of an order: its XML, its decoded form as JSON, and a hash of the version.

Card numbers are masked in both, as are this client's secrets: a ledger is no place for either. So the handler sees
none; one that needs it asks the service for the order by its id.

Two listings of one order are the same version if they differ in nothing but what a listing itself changes: the
number of matches, the time of the last update, and the store it was listed for. An order without an id is known by the
hash of its version.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from octopus_soap._http import clip
from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models import OrderResponseItem
from octopus_soap.wire.redact import MASK, SECRET_MEMBERS, is_card_member, mask_cards

if TYPE_CHECKING:
    from datetime import datetime

    from octopus_soap.jobs.reports import Backoff
    from octopus_soap.results import ItemOutcome
    from octopus_soap.wire.redact import Redactor


_MASKED = {name.casefold() for name in SECRET_MEMBERS}
_VOLATILE = frozenset({"number_of_matches", "last_update_date", "store_id"})
_VOLATILE_XML = re.compile(r"(<(?:[\w.-]+:)?(?:NumberOfMatches|LastUpdateDate|StoreId)>)[^<]*")
NAMELESS = "?"
"""What the keys of orders without an id begin with; no id does."""


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order as a listing showed it.

    Attributes:
        key: in the ledger, unless another order has it (see `order_download.pair`).
        order_id: the service's id; empty if it sent none.
        placed: when, by the service.
        raw: its XML.
        typed: its decoded form; None if it cannot be read.
        content: the hash of its version.
        stores: the ids of the stores it was listed with.
        problem: why it cannot be delivered; empty if it can.
        payment: its payment status; empty if the service sent none.
        shipping: its shipping status; empty if the service sent none.
        place: of an order in a `Listing`, where that keeps `raw` and `typed`, which are empty here.
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
    """What is kept of one row of a listing."""
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
    """The order as it was decoded."""
    return OrderResponseItem.model_validate_json(typed, strict=True)


def _key(order_id: str, content: str, store: str) -> str:
    key = order_id or f"{NAMELESS}{content[:16]}"
    return f"{key}@{store}" if store else key


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _masked(value: Any, redactor: Redactor, name: str = "") -> Any:
    if isinstance(value, dict):
        return {
            key: MASK
            if inner and (key.replace("_", "").casefold() in _MASKED or is_card_member(key))
            else _masked(inner, redactor, key)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner, redactor, name) for inner in value]
    return redactor.text(mask_cards(value, name)) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxOptions:
    """The options of `OrderInbox`, which documents them, and what masks secrets.

    Raises:
        InvalidInputError: one is not accepted.
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
        """Refuse what makes no sense, before anything is sent."""
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
        """True if versions other than the handled one are handed over, too."""
        return self.on_change == "deliver"

    @property
    def filtered(self) -> bool:
        """True if only orders with some status are handed over."""
        return self.payment is not None or self.shipping is not None

    def wants(self, order: OrderRecord) -> bool:
        """Return True unless the order has another status than the one asked for, in whatever case it is written."""
        asked = ((order.payment, self.payment), (order.shipping, self.shipping))
        return all(wanted is None or _plain(status) in {"", _plain(wanted)} for status, wanted in asked)


def _plain(status: str) -> str:
    return status.strip().casefold()
