"""The three ways in which the API pages, as streams (docs/octopia.md).

*By index* (orders): ``pageIndex`` from 1, ``pageSize`` up to 100. No total is sent. It is uncertain what
``itemsPerPage`` means on a short page, and whether ``Link`` is sent. So a page ends the listing only if it is certainly
the last; otherwise one more page is requested. A wrong guess costs one GET; the opposite rule could lose orders. The
docstring of `Operations.orders` describes how the pages change if orders come or go while listing.

*By update* (orders too): each page has the orders updated at or after the newest order of the page before. Nothing
moves forward in that order, so nothing is missed; an order that changes meanwhile is returned again.

*By cursor* (offers, package results): the next cursor is in ``Link: <...?cursor=...>; rel="next"``, possibly relative,
the parameter spelled ``Cursor`` or ``cursor``. Only the cursor is used. The address is not followed, because the token
may go to the configured origin alone.

Links other than ``rel=next`` are ignored. A listing ends with 204, an empty body, or a 404 of the API after a page
without a next link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

from octopus_soap.octopia.effects import Emit, Flow, Reply, Stream
from octopus_soap.octopia.errors import OctopiaProtocolError
from octopus_soap.octopia.exchange import is_web_page, read_json
from octopus_soap.octopia.models import OctopiaModel, Order, written_time

if TYPE_CHECKING:
    from datetime import datetime

    from octopus_soap.octopia.exchange import Exchange, Query

M = TypeVar("M", bound=OctopiaModel)

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*=\s*(?:\"[^\"]*\"|[^\s;,]*))*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]*))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """One page of a listing."""

    items: list[M]
    next: str | None = None  # the link to the next page
    size: int | None = None  # the page size that the server named

    def may_go_on(self, asked: int) -> bool:
        """True unless it is certain that no page follows."""
        if not self.items:
            return False
        # A short page may be short only because the server has a smaller page size.
        return self.next is not None or not (len(self.items) < asked and self.size is not None and self.size >= asked)


def _items_of(payload: Any, call: str) -> list[Any]:
    # {"itemsPerPage", "items"} is documented [C], {"count", "items"} measured [1], and a bare list accepted [I].
    if isinstance(payload, Mapping):
        found: Any = payload.get("items")
        # `"items": null` is an empty page; no "items" at all must not count as an empty list.
        payload = [] if found is None and "items" in payload else found
    if not isinstance(payload, list):
        raise OctopiaProtocolError(f"{call}: the answer holds no list of items", call=call)
    return list(payload)


def as_model(model: type[M], payload: Any, call: str) -> M:
    """Return *payload*, a JSON object, as *model*."""
    if not isinstance(payload, Mapping):
        message = f"{call}: a JSON object was expected, not {type(payload).__name__}"
        raise OctopiaProtocolError(message, call=call)
    return model.model_validate(payload)


def one(exchange: Exchange, path: str, model: type[M]) -> Flow[M]:
    """Return one object."""
    payload = yield from exchange.read_json(path)
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]  # one object in a list is still one object ([I])
    return as_model(model, payload, f"GET {path}")


def listed(exchange: Exchange, path: str, model: type[M]) -> Flow[tuple[M, ...]]:
    """Return the items of a list that has only one page."""
    return tuple((yield from _page(exchange, path, (), model)).items)


def _page(
    exchange: Exchange, path: str, query: Query, model: type[M], *, may_be_past_end: bool = False
) -> Flow[Page[M]]:
    call, reply = f"GET {path}", (yield from exchange.read_any(path, query))
    if may_be_past_end and reply.status == 404 and not is_web_page(reply):  # noqa: PLR2004 - not found
        return Page([])
    exchange.checked(call, reply)
    if not reply.body.strip():
        return Page([])
    payload = read_json(reply, call)
    size: Any = payload.get("itemsPerPage") if isinstance(payload, Mapping) else None
    items = [as_model(model, item, call) for item in _items_of(payload, call)]
    return Page(items, next_link(reply), size if isinstance(size, int) else None)


def by_index(exchange: Exchange, path: str, query: Query, *, page_size: int, first: int) -> Stream[Order]:
    """Emit all orders, from page *first* on."""
    index, met, more = first, dict[Any, int](), False
    while True:
        asked = [*query, ("pageIndex", str(index)), ("pageSize", str(page_size))]
        page = yield from _page(exchange, path, asked, Order, may_be_past_end=index > 1 and not more)
        fresh = _changed(page.items, met)
        yield Emit(tuple(fresh), str(index))
        if not page.may_go_on(page_size):
            return
        # New orders may move a whole page back; but a server that ignores pageIndex would be read for ever.
        if not fresh and index > 1:
            top = yield from _page(exchange, path, [*query, ("pageIndex", "1"), ("pageSize", str(page_size))], Order)
            if [order.order_id for order in top.items] == [order.order_id for order in page.items]:
                call = f"GET {path}"
                message = f"{call}: page {index} brings nothing new, and is page 1 again: pageIndex is ignored"
                raise OctopiaProtocolError(message, call=call)
        index, more = index + 1, page.next is not None


def by_update(exchange: Exchange, path: str, query: Query, *, page_size: int, since: datetime) -> Stream[Order]:
    """Emit all orders updated at or after *since*, the longest unchanged first."""
    call, index, met, moment = f"GET {path}", 1, dict[Any, int](), written_time(since)
    while True:
        asked = [*query, ("updatedAtMin", moment), ("sort", "asc:updatedAt")]
        asked += [("pageIndex", str(index)), ("pageSize", str(page_size))]
        page = yield from _page(exchange, path, asked, Order, may_be_past_end=index > 1)
        times = [order.updated_at for order in page.items if order.updated_at is not None]
        if len(times) < len(page.items) or times != sorted(times):
            what = "orders come without updatedAt, or not in its order; list them by index instead"
            raise OctopiaProtocolError(f"{call}: {what}", call=call)
        yield Emit(tuple(_changed(page.items, met)), moment)
        if not page.may_go_on(page_size):
            return
        newest = written_time(times[-1])
        index = 1 if newest > moment else index + 1  # by index if more orders of one moment than fit a page
        moment = max(newest, moment)


def by_cursor(exchange: Exchange, path: str, query: Query, model: type[M], first: str = "") -> Stream[M]:
    """Emit all items of a cursor-paged list, from the cursor *first* on, or all."""
    call, cursor, used = f"GET {path}", first, set[str]()
    while True:
        used.add(cursor)
        page = yield from _page(exchange, path, [*query, *([("cursor", cursor)] if cursor else [])], model)
        yield Emit(tuple(page.items), cursor)
        if page.next is None:
            return
        following = cursor_in(page.next)
        if following is None or following in used:
            what = "no cursor" if following is None else "a cursor that was used already"
            raise OctopiaProtocolError(f"{call}: the link to the next page holds {what}", call=call)
        cursor = following


def _changed(orders: list[Order], met: dict[Any, int]) -> list[Order]:
    """Return the orders that are new or changed, and note them in *met*."""
    fresh: list[Order] = []
    for order in orders:
        name, content = order.order_id, hash(json.dumps(order.raw, sort_keys=True, default=str))
        if name is None or met.get(name) != content:
            fresh.append(order)
            met[name] = content
    return fresh


def next_link(reply: Reply) -> str | None:
    """Return the address of ``Link: <...>; rel="next"`` (RFC 8288), or None."""
    for address, parameters in _LINK.findall(reply.headers.get("link", "")):
        relation = _REL.search(parameters)
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return str(address)
    return None


def cursor_in(address: str) -> str | None:
    """Return the cursor in *address*, absolute or relative; ``cursor`` in any case."""
    try:
        query = urlsplit(address).query
    except ValueError:
        return None
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if unquote(name).lower() == "cursor" and value:
            # unquote, not unquote_plus: a bare plus sign is of base64, and no cursor has a space ([I]).
            return unquote(value)
    return None
