"""A fake Octopia on a free port of loopback, for tests without an account.

```python
with FakeOctopia() as fake:
    with OctopiaClient.from_env(fake.environ()) as client:
        print(client.seller().shop_name)
```

It is written from the pages named in docs/octopia.md, and imports nothing of the client: a fake that shared the
client's code would share its bugs. If the facts allow several behaviours, it has the hardest one for a client, and
arguments select another. The token request, the headers, the 403 of an unlinked seller and the four package calls are
graded [C] or [C2]. The texts of its problems, the state while an upload settles, and all ids are invented.

`FakeService` makes the answers, without a socket. Script faults with ``fake.service.fail("GET /orders",
too_many("2"))``. The server is the standard library's.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar, cast
from urllib.parse import parse_qs, quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")
Clock: TypeAlias = "Callable[[], float]"
TOKEN_PATH = "/auth/realms/maas/protocol/openid-connect/token"  # noqa: S105 - a path, not a password
API_PATH = "/seller/v2"
_UPLOAD_SIZE = 100
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """One answer, or a closed connection."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    # ``drop`` closes the connection without an answer; ``drop-after`` does so after the request was carried out.
    deed: Literal["answer", "drop", "drop-after"] = "answer"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as received; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def route(self) -> str:
        """The method and the path, such as ``GET /orders``, or ``POST token``."""
        return f"{self.method} {'token' if self.path == TOKEN_PATH else self.path.removeprefix(API_PATH)}"


def json_answer(payload: object, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> FakeAnswer:
    """Return *payload* as a JSON answer."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return FakeAnswer(status, json.dumps(payload).encode(), {**kind, **headers})


def problem(
    status: int, title: str, detail: str = "", *, errors: Mapping[str, list[str]] | None = None, retry_after: str = ""
) -> FakeAnswer:
    """Return an ``application/problem+json`` answer."""
    payload: dict[str, Any] = {"title": title, "status": status, "traceId": f"00-fake-{status}"}
    payload |= ({"detail": detail} if detail else {}) | ({"errors": errors} if errors else {})
    kind = {"Content-Type": "application/problem+json"}
    return json_answer(payload, status, kind | ({"Retry-After": retry_after} if retry_after else {}))


def too_many(retry_after: str = "") -> FakeAnswer:
    """Return a 429, with ``Retry-After`` if one is given."""
    return problem(429, "Too Many Requests", "wait before making new requests", retry_after=retry_after)


def unauthorized() -> FakeAnswer:
    """Return the 401 for a token that has expired."""
    return problem(401, "Unauthorized", "the token is not valid")


def bad_gateway(status: int = 502) -> FakeAnswer:
    """Return an error with an HTML page, as from a gateway."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status} from a gateway</h1></body></html>"
    return FakeAnswer(status, page.encode(), {"Content-Type": "text/html"})


def dropped(*, after: bool = False) -> FakeAnswer:
    """Close the connection without an answer, before or *after* the request is done."""
    return FakeAnswer(deed="drop-after" if after else "drop")


class Refused(Exception):  # noqa: N818 - it carries an answer, and is no error of the fake
    """Ends the handling of a request with an answer."""

    def __init__(self, answer: FakeAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _invalid(name: str, message: str, status: int = 400) -> Refused:
    return Refused(problem(status, "Bad Request", errors={name: [message]}))


_FIXED: Mapping[str, Any] = {
    "/sellers/addresses": {"items": [{"type": "Billing", "city": "Bordeaux", "country": "FR", "zip-code": "33000"}]},
    "/sellers/indicators": {"order_acceptation": {"value": 99.5}, "product_shipping": {"value": 98.25}},
    "/sellers/subscriptions": {"items": [{"subscription-id": 7, "sales-channel-id": "CDISFR", "status": "Active"}]},
    "/carriers": {"items": [{"code": "COL", "label": "Colissimo"}, {"code": "UPS", "label": "UPS"}]},
}


def order(seller_id: str, number: int) -> dict[str, Any]:
    """Return the *number*-th order of a seller."""
    created, line = f"2026-01-{number % 28 + 1:02d}T10:00:00.000Z", {"orderLineId": f"L{number}", "quantity": 1}
    return {
        "orderId": f"ORD{number:05d}", "reference": f"R{number:05d}", "businessOrder": False,
        "salesChannel": {"id": "CDISFR", "name": "Cdiscount"}, "seller": {"id": seller_id}, "createdAt": created,
        "updatedAt": created, "status": "WaitingAcceptance" if number % 2 else "InPreparation", "currencyCode": "EUR",
        "totalPrice": {"offerPrice": 19.9, "sellingPrice": 24.89},
        "lines": [line | {"offer": {"id": number, "productGtin": "0000000000017"}}],
    }  # fmt: skip # read as the JSON it becomes


def offer(number: int) -> dict[str, Any]:
    """Return the *number*-th offer."""
    known = {"offerId": f"OFF{number:05d}", "sellerExternalReference": f"SKU-{number}", "offerState": "Active"}
    return known | {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "quantity": 1}


@dataclass(slots=True)
class _Package:
    channel: str
    kind: str
    state: str = "WaitingForCompletion"
    looks: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    results: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(eq=False, repr=False)
class FakeService:
    """The state of a fake Octopia, and its answers; safe to share among threads."""

    clock: Clock  # decides when tokens expire
    token_lifetime: int | None = 7200  # ``expires_in``; None leaves it out. 7200 and 300 are recorded values
    link_style: Literal["relative", "absolute"] = "relative"  # of next pages; absolute links write ``Cursor``
    orders_link: bool = False  # the order pages have a ``Link`` too
    order_page_cap: int = 100  # the largest page of orders, also if more are asked for
    settle_looks: int = 1  # how many reads of a package come before an upload has settled
    integrate_looks: int = 1  # ... and before its integration has ended
    end_state: str = "Integrated"  # the last state of a package
    clients: dict[str, str] = field(default_factory=dict[str, str])
    links: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    sellers: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    orders: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    offers: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    packages: dict[str, _Package] = field(default_factory=dict[str, _Package])
    recorded: list[Recorded] = field(default_factory=list[Recorded])
    tokens_issued: int = 0
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict[str, tuple[str, float]])
    _faults: list[tuple[str, deque[FakeAnswer]]] = field(default_factory=list[tuple[str, deque[FakeAnswer]]])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add_client(self, client_id: str, client_secret: str, *, sellers: Iterable[str] = ()) -> None:
        """Register a client and link it to *sellers*."""
        self.clients[client_id] = client_secret
        self.links.update((client_id, seller_id) for seller_id in sellers)

    def add_seller(self, seller_id: str, *, orders: int = 0, offers: int = 0) -> None:
        """Add a seller with that many orders and offers."""
        self.sellers[seller_id] = {
            "seller_id": int(seller_id) if seller_id.isdigit() else seller_id,  # recorded as a number
            "login": f"shop-{seller_id}", "shop_name": f"Shop {seller_id}", "seller_state": "Activated",
            "creation_date": "2021-03-04T05:06:07Z", "delivery_modes": {"href": "/sellers/delivery-modes"},
        }  # fmt: skip # read as the JSON it becomes
        self.orders[seller_id] = [order(seller_id, number) for number in range(1, orders + 1)]
        self.offers[seller_id] = [offer(number) for number in range(1, offers + 1)]

    def fail(self, route: str, *answers: FakeAnswer) -> None:
        """Give *answers*, in order, to the next requests whose route starts with *route*.

        A route is such as ``GET /orders`` or ``POST token``.
        """
        with self._lock:
            self._faults.append((route, deque(answers)))

    def expire_tokens(self) -> None:
        """Make every token issued so far invalid."""
        with self._lock:
            self._tokens.clear()

    def count(self, route: str) -> int:
        """Return the number of requests whose route starts with *route*."""
        return sum(r.route.startswith(route) for r in list(self.recorded))

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> FakeAnswer:
        """Answer one request; *target* is path and query, header names are in lower case."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Recorded(method, parts.path, query, dict(headers), body)
        with self._lock:
            self.recorded.append(request)
            faults = (answers for route, answers in self._faults if answers and request.route.startswith(route))
            fault = next((answers.popleft() for answers in faults), None)
            if fault is not None and fault.deed != "drop-after":
                return fault
            try:
                answer = self._answer(request)
            except Refused as refused:
                answer = refused.answer
            return fault or answer

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
        return bad_gateway(404)

    def _admitted(self, request: Recorded) -> str:
        """Return the seller of a call, or refuse it as the API does."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        client_id, expires_at = self._tokens.get(token, ("", float("-inf")))
        if scheme != "Bearer" or not client_id or self.clock() >= expires_at:
            raise Refused(unauthorized())
        if not {"application/json", "*/*"} & set(request.headers.get("accept", "*/*").replace(" ", "").split(",")):
            raise Refused(problem(406, "Not Acceptable"))
        if request.body and "application/json" not in request.headers.get("content-type", ""):
            raise Refused(problem(415, "Unsupported Media Type"))
        if not (seller_id := request.headers.get("sellerid", "")):
            raise _invalid("SellerId", "The SellerId header is required.")
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
        life = {} if self.token_lifetime is None else {"expires_in": lifetime}
        return json_answer({"access_token": token, "token_type": "Bearer", "not-before-policy": 0, **life})

    def _read(self, request: Recorded, seller_id: str) -> FakeAnswer:
        return json_answer({**_FIXED, "/sellers": self.sellers[seller_id]}[request.path.removeprefix(API_PATH)])

    def _wanted_orders(self, request: Recorded, seller_id: str) -> list[dict[str, Any]]:
        states = [state for state in request.query.get("status", "").split(",") if state]
        since = request.query.get("updatedAtMin", "")
        found = [o for o in self.orders[seller_id] if (not states or o["status"] in states) and o["updatedAt"] >= since]
        return sorted(found, key=lambda o: o["updatedAt"]) if request.query.get("sort") == "asc:updatedAt" else found

    def _orders(self, request: Recorded, seller_id: str) -> FakeAnswer:
        index, asked = (request.query.get(name, "") for name in ("pageIndex", "pageSize"))
        if not index.isdigit() or not asked.isdigit() or index == "0" or not 1 <= int(asked) <= 100:  # noqa: PLR2004 - the documented limit
            raise _invalid("pageSize", "must be 1 to 100")
        page, size, wanted = int(index), min(int(asked), self.order_page_cap), self._wanted_orders(request, seller_id)
        relation, other = ("next", page + 1) if page * size < len(wanted) else ("first", 1)
        links = {"Link": f'<{API_PATH}/orders?pageIndex={other}>; rel="{relation}"'} if self.orders_link else {}
        return json_answer({"itemsPerPage": size, "items": wanted[(page - 1) * size : page * size]}, headers=links)

    def _count(self, request: Recorded, seller_id: str) -> FakeAnswer:
        return json_answer(len(self._wanted_orders(request, seller_id)))

    def _order(self, request: Recorded, seller_id: str, order_id: str, change: str = "") -> FakeAnswer:
        order = _found({order["orderId"]: order for order in self.orders[seller_id]}, order_id)
        if not change:
            return json_answer(order)
        body: Any = json.loads(request.body)
        if change == "approval-status":
            after = {"Accepted": "InPreparation", "Refused": "Refused"}.get(body.get("approval_status"))
            before, status, wrong = "WaitingAcceptance", 204, _invalid("approval_status", "Accepted or Refused", 422)
        else:
            after = "Shipped" if isinstance(body, list) and body else None
            before, status, wrong = "InPreparation", 201, _invalid("body", "must be a list of parcels", 422)
        if after is None:
            raise wrong
        _require_state(order["status"], before)
        order["status"] = after
        return FakeAnswer(status)

    def _page(self, request: Recorded, items: list[dict[str, Any]], *, most: int) -> FakeAnswer:
        given = {name.lower(): value for name, value in request.query.items()}
        limit, start = min(int(given.get("limit", "10")), most), int(given.get("cursor", "c+0").removeprefix("c+"))
        headers: dict[str, str] = {}
        if start + limit < len(items):
            cursor = quote(f"c+{start + limit}", safe="")  # the plus tests that clients decode and encode it
            base, name = request.path, "cursor"
            if self.link_style == "absolute":
                base, name = f"https://elsewhere.example{base}", "Cursor"
            headers["Link"] = f'<{base}?limit={limit}>; rel="first", <{base}?limit={limit}&{name}={cursor}>; rel="next"'
        return json_answer({"itemsPerPage": limit, "items": items[start : start + limit]}, headers=headers)

    def _offers(self, request: Recorded, seller_id: str) -> FakeAnswer:
        if not request.query.get("salesChannelId"):
            raise _invalid("salesChannelId", "is required")
        return self._page(request, self.offers[seller_id], most=1000)

    def _close_package(self, request: Recorded, _: str, package_id: str) -> FakeAnswer:
        package = _found(self.packages, package_id)
        _require_state(package.state, "WaitingForCompletion")
        if json.loads(request.body) != {"state": "Ready"}:
            raise _invalid("state", "must be Ready", 422)
        package.state, package.looks = "Ready", self.integrate_looks
        return FakeAnswer(204)

    def _results(self, request: Recorded, _: str, package_id: str) -> FakeAnswer:
        return self._page(request, _found(self.packages, package_id).results, most=_UPLOAD_SIZE)

    def _open_package(self, request: Recorded, _: str) -> FakeAnswer:
        channel, kind = request.headers.get("saleschannelid", ""), json.loads(request.body).get("packageType")
        if not channel:
            raise _invalid("SalesChannelId", "The SalesChannelId header is required.")
        if kind not in {"Upsert", "Update", "Delete"}:
            raise _invalid("packageType", "is case sensitive", 422)
        package_id = f"pkg-{len(self.packages) + 1}"
        self.packages[package_id] = _Package(channel, kind)
        return FakeAnswer(201, b"", {"Content-Location": f"{API_PATH}/offer-packages/{package_id}"})

    def _upload(self, request: Recorded, _: str, package_id: str) -> FakeAnswer:
        package, requests = _found(self.packages, package_id), json.loads(request.body)
        _require_state(package.state, "WaitingForCompletion")
        if not isinstance(requests, list) or not 1 <= len(requests) <= _UPLOAD_SIZE:
            raise _invalid("body", "must be a list of 1 to 100 offer requests")
        if package.kind == "Upsert" and not all({"product", "price", "quantity"} <= r.keys() for r in requests):
            raise _invalid("body", "an upsert needs product, price and quantity", 422)
        package.requests += requests
        package.state, package.looks = "IntegrationPending", self.settle_looks
        return FakeAnswer(202)

    def _look_at(self, _: Recorded, seller_id: str, package_id: str) -> FakeAnswer:
        package = _found(self.packages, package_id)
        package.looks -= 1
        if package.state == "IntegrationPending" and package.looks < 0:
            package.state = "WaitingForCompletion"
        elif package.state == "Ready" and package.looks < 0:
            package.state = self.end_state
            package.results = [self._integrated(seller_id, request, package) for request in package.requests]
        return json_answer({"packageId": package_id, "state": package.state, "packageType": package.kind})

    def _integrated(self, seller_id: str, request: dict[str, Any], package: _Package) -> dict[str, Any]:
        reference, offers = request.get("sellerExternalReference"), self.offers[seller_id]
        result: dict[str, Any] = {"sellerExternalReference": reference, "integrationStatus": "Rejected", "results": []}
        if sum(r.get("sellerExternalReference") == reference for r in package.requests) > 1:
            return result | {"integrationStatus": "Duplicated"}
        found = next((o for o in offers if o["sellerExternalReference"] == reference), None)
        if found is None and package.kind == "Upsert":
            offers.append(found := offer(len(offers) + 1) | {"sellerExternalReference": reference})
        if found is None:
            why = "The first request must be an Upsert."
            return result | {"results": [{"resultCode": "OfferNotFound", "message": why}]}
        if package.kind == "Delete":
            offers.remove(found)
        found.update({name: value for name, value in request.items() if name != "sellerExternalReference"})
        return result | {"integrationStatus": "Integrated"}


def _found(known: Mapping[str, T], wanted: str) -> T:
    if wanted not in known:
        raise Refused(problem(404, "Not Found", "there is no such order or package"))
    return known[wanted]


def _require_state(state: str, wanted: str) -> None:
    if state != wanted:
        raise Refused(problem(409, "Conflict", f"the state is {state}, not {wanted}"))


# Method, path and the method of `FakeService` that answers; the first match applies.
_ROUTES = (
    ("GET", "/carriers|/sellers(?:/addresses|/indicators|/subscriptions)?", "_read"),
    ("GET", "/orders", "_orders"),
    ("GET", "/orders/count", "_count"),
    ("GET", "/orders/([^/]+)", "_order"),
    ("POST", "/orders/([^/]+)/(approval-status|shipments)", "_order"),
    ("GET", "/offers", "_offers"),
    ("POST", "/offer-packages", "_open_package"),
    ("GET", "/offer-packages/([^/]+)", "_look_at"),
    ("PATCH", "/offer-packages/([^/]+)", "_close_package"),
    ("POST", "/offer-packages/([^/]+)/offer-requests", "_upload"),
    ("GET", "/offer-packages/([^/]+)/offer-requests-results", "_results"),
)


class FakeOctopia:
    """A running fake; a context manager.

    It has one client, one seller linked to it (with 250 orders and 230 offers) and one seller that is not linked. Its
    `service` has state, faults and the requests received; give another, or the clock and the token lifetime of the
    default one. `origin`, `token_url` and `api_url` are its addresses.
    """

    client_id = "Fake Shop@Example Ltd"  # with a space and an @, as client ids may have
    client_secret = "fake+secret&not=real/é%"  # noqa: S105 - not a secret; with characters that a form must encode
    seller_id = "55501"  # not 98979, which is the test seller of Octopia's own pages
    unlinked_seller_id = "11111"  # its calls are answered 403

    def __init__(
        self, service: FakeService | None = None, *, clock: Clock = time.monotonic, token_lifetime: int | None = 7200
    ) -> None:
        self.service = service or FakeService(clock, token_lifetime=token_lifetime)
        self.service.add_client(self.client_id, self.client_secret, sellers=[self.seller_id])
        self.service.add_seller(self.seller_id, orders=250, offers=230)
        self.service.add_seller(self.unlinked_seller_id)
        self._server = _Server(self.service)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.004,), daemon=True)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.token_url, self.api_url = self.origin + TOKEN_PATH, self.origin + API_PATH

    def environ(self) -> dict[str, str]:
        """Return the variables for ``OctopiaClient.from_env(fake.environ())``."""
        names = ("client_id", "client_secret", "seller_id", "token_url", "api_url")
        return {f"OCTOPIA_{name.upper()}": str(getattr(self, name)) for name in names}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """A server with a thread per connection, which can close the connections."""

    daemon_threads = False  # server_close() waits for them, so that none outlives the context manager
    request_queue_size = 512  # the default of 5 would refuse many threads at once

    def __init__(self, service: FakeService) -> None:
        self.service = service
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Close the connections that clients keep open, which ends their threads."""
        with self._guard:
            for connection in self._open:
                with suppress(OSError):  # closed by the other side meanwhile
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show only bugs of the fake."""
        if not isinstance(sys.exception(), OSError):  # a client closed the connection, or broke off TLS
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Passes requests to the service and sends its answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet per answer: unbuffered, the body would wait for the acknowledgement of the head

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = cast("_Server", self.server).service.handle(self.command, self.path, headers, body)
        if answer.deed != "answer":
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:  # noqa: PLR2004 - an answer without content has no length either
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own signature
        """Write nothing; the requests are in `FakeService.recorded`."""
