"""The two ways the API pages, as flows (docs/sources.md).

*By index* (orders): ``pageIndex`` from 1, ``pageSize`` up to 100. No total is sent, and neither what ``itemsPerPage``
means on a short page nor whether ``Link`` comes is certain. So a page ends the listing only if that is beyond doubt;
else one more page is asked for. Being wrong costs one GET; the other way round it would cost orders.

*By cursor* (offers, package results): the next cursor is in ``Link: <...?cursor=...>; rel="next"``, possibly relative,
the parameter spelled ``Cursor`` or ``cursor``. Only the cursor is taken from it. The address is not followed: it is the
server's word, and the token goes to the configured origin alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from octopus_soap.octopia.effects import Emit, Flow, Reply, Stream
from octopus_soap.octopia.errors import ProtocolError
from octopus_soap.octopia.models import OctopiaModel
from octopus_soap.octopia.replies import read_json

if TYPE_CHECKING:
    from octopus_soap.octopia.exchange import Exchange, Query

M = TypeVar("M", bound=OctopiaModel)

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*=\s*(?:\"[^\"]*\"|[^\s;,]*))*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]*))", re.IGNORECASE)


def items_of(payload: Any, call: str) -> list[Any]:
    """Return the items of a page, with or without its envelope.

    ``{"itemsPerPage", "items"}`` is documented [C] and ``{"count", "items"}`` measured [1]; a bare list is accepted
    [I].

    Raises:
        ProtocolError: It is none of these.
    """
    if isinstance(payload, Mapping):
        found: Any = payload.get("items")
        # `"items": null` is an empty page; no "items" at all is something else and must not pass for an empty list.
        payload = [] if found is None and "items" in payload else found
    if not isinstance(payload, list):
        raise ProtocolError(f"{call}: the answer holds no list of items", call=call)
    return list(payload)


def as_model(model: type[M], payload: Any, call: str) -> M:
    """Return *payload* as *model*.

    Raises:
        ProtocolError: It is not a JSON object.
    """
    if not isinstance(payload, Mapping):
        raise ProtocolError(f"{call}: a JSON object was expected, not {type(payload).__name__}", call=call)
    return model.model_validate(payload)


def listed(exchange: Exchange, path: str, model: type[M]) -> Flow[tuple[M, ...]]:
    """Return the items of a list that comes in one page."""
    call = f"GET {path}"
    payload = yield from exchange.read_json(path)
    return tuple(as_model(model, item, call) for item in items_of(payload, call))


def by_index(exchange: Exchange, path: str, query: Query, *, page_size: int, model: type[M], key: str) -> Stream[M]:
    """Emit all items of an index-paged list, each once.

    Args:
        exchange: For whom.
        path: The list.
        query: The filters.
        page_size: Items asked for per page, 1 to 100.
        model: What an item is.
        key: The field that tells items apart; an item met on an earlier page is not emitted again, since new items
            shift the pages while they are read.
    """
    call, index, met = f"GET {path}", 1, set[Any]()
    while True:
        reply = yield from exchange.read(path, [*query, ("pageIndex", str(index)), ("pageSize", str(page_size))])
        payload = read_json(reply, call)
        items = [as_model(model, item, call) for item in items_of(payload, call)]
        fresh = [item for item in items if getattr(item, key) is None or getattr(item, key) not in met]
        met.update(getattr(item, key) for item in fresh)
        yield Emit(tuple(fresh))
        if _is_last(reply, payload, len(items), page_size):
            return
        if not fresh:  # a server that ignores pageIndex would be asked for ever
            raise ProtocolError(f"{call}: page {index} brings nothing new, and is not the last", call=call)
        index += 1


def _is_last(reply: Reply, payload: Any, count: int, page_size: int) -> bool:
    if count == 0:
        return True
    if "link" in reply.headers:
        return next_link(reply) is None
    # Shorter than asked for ends it only if the server did not cut the page size itself (`itemsPerPage` below what was
    # asked).
    per_page: Any = payload.get("itemsPerPage") if isinstance(payload, Mapping) else None
    return count < page_size and isinstance(per_page, int) and per_page >= page_size


def by_cursor(exchange: Exchange, path: str, query: Query, model: type[M]) -> Stream[M]:
    """Emit all items of a cursor-paged list.

    Args:
        exchange: For whom.
        path: The list.
        query: The filters and the limit.
        model: What an item is.
    """
    call, cursor, used = f"GET {path}", None, set[str]()
    while True:
        reply = yield from exchange.read(path, [*query, *([("cursor", cursor)] if cursor is not None else [])])
        items = items_of(read_json(reply, call), call)
        yield Emit(tuple(as_model(model, item, call) for item in items))
        link = next_link(reply)
        if link is None:
            return
        cursor = cursor_in(link)
        if cursor is None or cursor in used:
            what = "no cursor" if cursor is None else "a cursor that was used already"
            raise ProtocolError(f"{call}: the link to the next page holds {what}", call=call)
        used.add(cursor)


def next_link(reply: Reply) -> str | None:
    """Return the address of ``Link: <...>; rel="next"``, or None (RFC 8288; names are case-insensitive)."""
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
            # unquote, not unquote_plus: a plus sign left bare is base64's, no cursor holds a space ([I]).
            return unquote(value)
    return None
