"""What the fake Octopia knows and answers, without a socket.

It is written from the pages named in docs/sources.md, and imports nothing of the client: a fake that shared the
client's code would share its mistakes. Where the facts leave room, it does what costs a client most, and knobs choose
among the readings.

What it is sure of and what not: the token request, the headers, the 403 of an unlinked seller, the four package calls
are graded [C] or [C2]. The texts of its problems, the state shown while an upload settles, and its ids are inventions.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

from octopus_soap.octopia.fake_answers import (
    API_PATH,
    FIXED,
    TOKEN_PATH,
    FakeAnswer,
    Recorded,
    Refused,
    json_answer,
    offer,
    order,
    problem,
    unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_UPLOAD_SIZE = 100


@dataclass(slots=True)
class _Package:
    channel: str
    state: str = "WaitingForCompletion"
    looks: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    results: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class FakeService:
    """The state of a fake Octopia, and its answers; safe to share among threads.

    Args:
        clock: Seconds that only grow; decides when tokens expire.
        token_lifetime: ``expires_in`` of the tokens, in seconds; None leaves it out. 7200 and 300 are on record.
        link_style: How links to the next page are written: ``relative`` or ``absolute`` with ``Cursor``, else
            ``cursor``.
        orders_link: Whether the order pages carry a ``Link`` too.
        order_page_cap: The most orders given per page, whatever is asked for.
        settle_looks: How often a package is looked at in vain before an upload has settled.
        integrate_looks: How often a package is looked at in vain before its integration has ended.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        token_lifetime: int | None = 7200,
        link_style: Literal["relative", "absolute"] = "relative",
        orders_link: bool = False,
        order_page_cap: int = 100,
        settle_looks: int = 1,
        integrate_looks: int = 1,
    ) -> None:
        self.clock = clock
        self.token_lifetime = token_lifetime
        self.link_style, self.orders_link = link_style, orders_link
        self.order_page_cap = order_page_cap
        self.settle_looks, self.integrate_looks = settle_looks, integrate_looks
        self.clients: dict[str, str] = {}
        self.links: set[tuple[str, str]] = set()
        self.sellers: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, list[dict[str, Any]]] = {}
        self.offers: dict[str, list[dict[str, Any]]] = {}
        self.packages: dict[str, _Package] = {}
        self.recorded: list[Recorded] = []
        self.tokens_issued = 0
        self._tokens: dict[str, tuple[str, float]] = {}
        self._faults: list[tuple[str, deque[FakeAnswer]]] = []
        self._lock = threading.RLock()

    # -- set-up ----------------------------------------------------------------------------------------------------

    def add_client(self, client_id: str, client_secret: str, *, sellers: Iterable[str] = ()) -> None:
        """Register a client and link it to *sellers*."""
        self.clients[client_id] = client_secret
        self.links.update((client_id, seller_id) for seller_id in sellers)

    def add_seller(self, seller_id: str, *, orders: int = 0, offers: int = 0) -> None:
        """Make a seller with that many orders and offers."""
        self.sellers[seller_id] = {
            "seller_id": int(seller_id) if seller_id.isdigit() else seller_id,  # a number on the wire, as on record
            "login": f"shop-{seller_id}",
            "shop_name": f"Shop {seller_id}",
            "seller_state": "Activated",
            "creation_date": "2021-03-04T05:06:07Z",
            "delivery_modes": {"href": "/sellers/delivery-modes"},
        }
        self.orders[seller_id] = [order(seller_id, number) for number in range(1, orders + 1)]
        self.offers[seller_id] = [offer(number) for number in range(1, offers + 1)]

    def fail(self, route: str, *answers: FakeAnswer) -> None:
        """Give *answers*, one per request and in order, to requests whose route starts with *route*.

        Args:
            route: Such as ``GET /orders`` or ``POST token``.
            answers: What to answer instead; then all is as before.
        """
        with self._lock:
            self._faults.append((route, deque(answers)))

    def expire_tokens(self) -> None:
        """Make every token issued so far invalid."""
        with self._lock:
            self._tokens.clear()

    def count(self, route: str) -> int:
        """Return how many requests came whose route starts with *route*."""
        with self._lock:
            return sum(r.route.startswith(route) for r in self.recorded)

    # -- answers ---------------------------------------------------------------------------------------------------

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> FakeAnswer:
        """Answer one request.

        Args:
            method: The HTTP method.
            target: Path and query.
            headers: Header values by lower-case name.
            body: The body.
        """
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Recorded(method, parts.path, query, dict(headers), body)
        with self._lock:
            self.recorded.append(request)
            fault = self._next_fault(request.route)
            if fault is not None and fault.deed != "drop-after":
                return fault
            try:
                answer = self._answer(request)
            except Refused as refused:
                answer = refused.answer
            return fault or answer

    def _next_fault(self, route: str) -> FakeAnswer | None:
        for wanted, answers in self._faults:
            if answers and route.startswith(wanted):
                return answers.popleft()
        return None

    def _answer(self, request: Recorded) -> FakeAnswer:
        if request.path == TOKEN_PATH:
            return self._token(request)
        seller_id = self._admitted(request)
        path = request.path.removeprefix(API_PATH)
        for method, pattern, name in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and request.method == method:
                answer: FakeAnswer = getattr(self, name)(request, seller_id, *found.groups())
                return answer
        page = b"<html><body>no Route matched with those values</body></html>"
        return FakeAnswer(404, page, {"Content-Type": "text/html"})

    def _admitted(self, request: Recorded) -> str:
        """Return the seller a call is for, or refuse it as the API does."""
        client_id = self._client_of(request)
        if client_id is None:
            raise Refused(unauthorized())
        if not {"application/json", "*/*"} & set(request.headers.get("accept", "*/*").replace(" ", "").split(",")):
            raise Refused(problem(406, "Not Acceptable"))
        if request.method != "GET" and "application/json" not in request.headers.get("content-type", ""):
            raise Refused(problem(415, "Unsupported Media Type"))
        seller_id = request.headers.get("sellerid", "")
        if not seller_id:
            raise Refused(problem(400, "Bad Request", errors={"SellerId": ["The SellerId header is required."]}))
        if (client_id, seller_id) not in self.links:
            raise Refused(problem(403, "Forbidden", "access to this seller is not granted"))
        return seller_id

    def _token(self, request: Recorded) -> FakeAnswer:
        if request.method != "POST" or "x-www-form-urlencoded" not in request.headers.get("content-type", ""):
            return problem(415, "Unsupported Media Type")
        form = parse_qs(request.body.decode(), keep_blank_values=True)
        if form.get("grant_type") != ["client_credentials"]:
            return json_answer({"error": "unsupported_grant_type"}, 400)
        client_id, secret = form.get("client_id", [""])[0], form.get("client_secret", [""])[0]
        if not secret or self.clients.get(client_id) != secret:
            refused = {"error": "invalid_client", "error_description": "Invalid client or Invalid client credentials"}
            return json_answer(refused, 401)
        self.tokens_issued += 1
        token = f"eyJfake{secrets.token_hex(8)}.{secrets.token_hex(8)}.{secrets.token_hex(8)}"
        lifetime = 7200 if self.token_lifetime is None else self.token_lifetime
        self._tokens[token] = (client_id, self.clock() + lifetime)
        payload: dict[str, Any] = {"access_token": token, "token_type": "Bearer", "not-before-policy": 0}
        if self.token_lifetime is not None:
            payload["expires_in"] = self.token_lifetime
        return json_answer(payload)

    def _client_of(self, request: Recorded) -> str | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        client_id, expires_at = self._tokens.get(token, ("", float("-inf")))
        return client_id if scheme == "Bearer" and client_id and self.clock() < expires_at else None

    def _seller(self, _: Recorded, seller_id: str) -> FakeAnswer:
        return json_answer(self.sellers[seller_id])

    def _fixed(self, request: Recorded, _: str) -> FakeAnswer:
        return json_answer(FIXED[request.path.removeprefix(API_PATH)])

    # -- orders ----------------------------------------------------------------------------------------------------

    def _wanted_orders(self, request: Recorded, seller_id: str) -> list[dict[str, Any]]:
        states = [state for state in request.query.get("status", "").split(",") if state]
        return [order for order in self.orders[seller_id] if not states or order["status"] in states]

    def _orders(self, request: Recorded, seller_id: str) -> FakeAnswer:
        try:
            index, asked = int(request.query.get("pageIndex", "1")), int(request.query.get("pageSize", "10"))
        except ValueError:
            index = asked = 0
        if index < 1 or not 1 <= asked <= 100:  # noqa: PLR2004 - the documented limit
            return problem(400, "Bad Request", errors={"pageSize": ["must be 1 to 100"]})
        size, wanted = min(asked, self.order_page_cap), self._wanted_orders(request, seller_id)
        items = wanted[(index - 1) * size : index * size]
        more = index * size < len(wanted)
        headers: dict[str, str] = {}
        if self.orders_link:
            relation, page = ("next", index + 1) if more else ("first", 1)
            headers["Link"] = f'<{API_PATH}/orders?pageIndex={page}>; rel="{relation}"'
        return json_answer({"itemsPerPage": size, "items": items}, headers=headers)

    def _count(self, request: Recorded, seller_id: str) -> FakeAnswer:
        return json_answer(len(self._wanted_orders(request, seller_id)))

    def _order(self, _: Recorded, seller_id: str, order_id: str) -> FakeAnswer:
        return json_answer(self._found_order(seller_id, order_id))

    def _found_order(self, seller_id: str, order_id: str) -> dict[str, Any]:
        found = next((order for order in self.orders[seller_id] if order["orderId"] == order_id), None)
        if found is None:
            raise Refused(problem(404, "Not Found", "there is no such order"))
        return found

    def _approve(self, request: Recorded, seller_id: str, order_id: str) -> FakeAnswer:
        order, body = self._found_order(seller_id, order_id), json.loads(request.body)
        if body.get("approval_status") not in {"Accepted", "Refused"}:
            return problem(422, "Unprocessable", errors={"approval_status": ["must be Accepted or Refused"]})
        _require_state(order["status"], "WaitingAcceptance")
        order["status"] = "InPreparation" if body["approval_status"] == "Accepted" else "Refused"
        return FakeAnswer(204)

    def _ship(self, request: Recorded, seller_id: str, order_id: str) -> FakeAnswer:
        order, body = self._found_order(seller_id, order_id), json.loads(request.body)
        if not isinstance(body, list) or not body:
            return problem(422, "Unprocessable", errors={"body": ["must be a list of parcels"]})
        _require_state(order["status"], "InPreparation")
        order["status"] = "Shipped"
        return FakeAnswer(201)

    # -- offers ----------------------------------------------------------------------------------------------------

    def _page(self, request: Recorded, items: list[dict[str, Any]], *, most: int) -> FakeAnswer:
        given = {name.lower(): value for name, value in request.query.items()}
        limit, start = min(int(given.get("limit", "10")), most), int(given.get("cursor", "c+0").removeprefix("c+"))
        headers: dict[str, str] = {}
        if start + limit < len(items):
            # The plus sign checks that clients decode the cursor and encode it again.
            cursor = quote(f"c+{start + limit}", safe="")
            base = f"https://elsewhere.example{request.path}" if self.link_style == "absolute" else request.path
            name = "Cursor" if self.link_style == "absolute" else "cursor"
            headers["Link"] = f'<{base}?limit={limit}>; rel="first", <{base}?limit={limit}&{name}={cursor}>; rel="next"'
        return json_answer({"itemsPerPage": limit, "items": items[start : start + limit]}, headers=headers)

    def _offers(self, request: Recorded, seller_id: str) -> FakeAnswer:
        if not request.query.get("salesChannelId"):
            return problem(400, "Bad Request", errors={"salesChannelId": ["is required"]})
        return self._page(request, self.offers[seller_id], most=1000)

    def _package(self, package_id: str) -> _Package:
        if package_id not in self.packages:
            raise Refused(problem(404, "Not Found", "there is no such package"))
        return self.packages[package_id]

    def _close_package(self, request: Recorded, _: str, package_id: str) -> FakeAnswer:
        package = self._package(package_id)
        _require_state(package.state, "WaitingForCompletion")
        if json.loads(request.body) != {"state": "Ready"}:
            return problem(422, "Unprocessable", errors={"state": ["must be Ready"]})
        package.state, package.looks = "Ready", self.integrate_looks
        return FakeAnswer(204)

    def _results(self, request: Recorded, _: str, package_id: str) -> FakeAnswer:
        return self._page(request, self._package(package_id).results, most=_UPLOAD_SIZE)

    def _open_package(self, request: Recorded, _: str) -> FakeAnswer:
        channel = request.headers.get("saleschannelid", "")
        if not channel:
            return problem(400, "Bad Request", errors={"SalesChannelId": ["The SalesChannelId header is required."]})
        if json.loads(request.body).get("packageType") not in {"Upsert", "Update", "Delete"}:
            return problem(422, "Unprocessable", errors={"packageType": ["is case sensitive"]})
        package_id = f"pkg-{len(self.packages) + 1}"
        self.packages[package_id] = _Package(channel)
        return FakeAnswer(201, b"", {"Content-Location": f"{API_PATH}/offer-packages/{package_id}"})

    def _upload(self, request: Recorded, _: str, package_id: str) -> FakeAnswer:
        package = self._package(package_id)
        _require_state(package.state, "WaitingForCompletion")
        requests: Any = json.loads(request.body)
        if not isinstance(requests, list) or not 1 <= len(requests) <= _UPLOAD_SIZE:
            return problem(400, "Bad Request", errors={"body": ["must be a list of 1 to 100 offer requests"]})
        package.requests += requests
        package.state, package.looks = "IntegrationPending", self.settle_looks
        return FakeAnswer(202)

    def _look_at(self, _: Recorded, seller_id: str, package_id: str) -> FakeAnswer:
        package = self._package(package_id)
        package.looks -= 1
        if package.state == "IntegrationPending" and package.looks < 0:
            package.state = "WaitingForCompletion"
        elif package.state == "Ready" and package.looks < 0:
            package.state = "Integrated"
            package.results = [self._integrate(seller_id, request, package) for request in package.requests]
        return json_answer({"packageId": package_id, "state": package.state, "packageType": "Update"})

    def _integrate(self, seller_id: str, request: dict[str, Any], package: _Package) -> dict[str, Any]:
        reference = request.get("sellerExternalReference")
        result: dict[str, Any] = {"sellerExternalReference": reference, "integrationStatus": "Rejected", "results": []}
        if sum(r.get("sellerExternalReference") == reference for r in package.requests) > 1:
            result["integrationStatus"] = "Duplicated"
            return result
        offer = next((o for o in self.offers[seller_id] if o["sellerExternalReference"] == reference), None)
        if offer is None:
            result["results"].append({"resultCode": "OfferNotFound", "message": "The first request must be an Upsert."})
            return result
        offer.update({name: value for name, value in request.items() if name in {"quantity", "price"}})
        result["integrationStatus"] = "Integrated"
        return result


def _require_state(state: str, wanted: str) -> None:
    if state != wanted:
        raise Refused(problem(409, "Conflict", f"the state is {state}, not {wanted}"))


_ROUTES = (
    ("GET", "/sellers", "_seller"),
    ("GET", "/sellers/(?:addresses|indicators|subscriptions)", "_fixed"),
    ("GET", "/carriers", "_fixed"),
    ("GET", "/orders", "_orders"),
    ("GET", "/orders/count", "_count"),
    ("GET", "/orders/([^/]+)", "_order"),
    ("POST", "/orders/([^/]+)/approval-status", "_approve"),
    ("POST", "/orders/([^/]+)/shipments", "_ship"),
    ("GET", "/offers", "_offers"),
    ("POST", "/offer-packages", "_open_package"),
    ("GET", "/offer-packages/([^/]+)", "_look_at"),
    ("PATCH", "/offer-packages/([^/]+)", "_close_package"),
    ("POST", "/offer-packages/([^/]+)/offer-requests", "_upload"),
    ("GET", "/offer-packages/([^/]+)/offer-requests-results", "_results"),
)
"""Method, path and the method of `FakeService` that answers; the first that fits."""
