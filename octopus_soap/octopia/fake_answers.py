"""What the fake Octopia can answer: the forms of its answers, and the objects it is filled with.

The texts of problems and all ids are inventions; the members of orders and offers are those of docs/sources.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_PATH = "/auth/realms/maas/protocol/openid-connect/token"  # noqa: S105 - a path, not a password
API_PATH = "/seller/v2"
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """One answer, or none at all.

    Attributes:
        status: The HTTP status.
        body: The body.
        headers: The headers.
        deed: ``answer`` sends it; ``drop`` closes the connection without doing anything; ``drop-after`` does what was
            asked and closes the connection without saying so.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    deed: Literal["answer", "drop", "drop-after"] = "answer"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def route(self) -> str:
        """Such as ``GET /orders``, or ``POST token``."""
        return f"{self.method} {'token' if self.path == TOKEN_PATH else self.path.removeprefix(API_PATH)}"


def json_answer(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> FakeAnswer:
    """Return *payload* as a JSON answer."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return FakeAnswer(status, json.dumps(payload).encode(), {**kind, **(headers or {})})


def problem(
    status: int, title: str, detail: str = "", *, errors: Mapping[str, list[str]] | None = None, retry_after: str = ""
) -> FakeAnswer:
    """Return a ``application/problem+json`` answer; *retry_after* becomes its header if given."""
    payload: dict[str, Any] = {"title": title, "status": status, "traceId": f"00-fake-{status}"}
    if detail:
        payload["detail"] = detail
    if errors:
        payload["errors"] = errors
    headers = {"Content-Type": PROBLEM, **({"Retry-After": retry_after} if retry_after else {})}
    return FakeAnswer(status, json.dumps(payload).encode(), headers)


def too_many(retry_after: str = "") -> FakeAnswer:
    """Return a 429, with ``Retry-After`` if one is given."""
    return problem(429, "Too Many Requests", "wait before making new requests", retry_after=retry_after)


def unauthorized() -> FakeAnswer:
    """Return a 401 as for a token that has expired."""
    return problem(401, "Unauthorized", "the token is not valid")


def bad_gateway() -> FakeAnswer:
    """Return a 502 with an HTML page, as a gateway makes it."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return FakeAnswer(502, page, {"Content-Type": "text/html"})


def dropped(*, after: bool = False) -> FakeAnswer:
    """Return no answer: the connection closes, before or *after* doing what was asked."""
    return FakeAnswer(deed="drop-after" if after else "drop")


class Refused(Exception):  # noqa: N818 - it is an answer on its way out, not an error of the fake
    """Ends the handling of a request with an answer."""

    def __init__(self, answer: FakeAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


FIXED: Mapping[str, Any] = {
    "/sellers/addresses": {"items": [{"type": "Billing", "city": "Bordeaux", "country": "FR", "zip-code": "33000"}]},
    "/sellers/indicators": {"order_acceptation": {"value": 99.5}, "product_shipping": {"value": 98.25}},
    "/sellers/subscriptions": {"items": [{"subscription-id": 7, "sales-channel-id": "CDISFR", "status": "Active"}]},
    "/carriers": {"items": [{"code": "COL", "label": "Colissimo"}, {"code": "UPS", "label": "UPS"}]},
}
"""Answers that never change."""


def order(seller_id: str, number: int) -> dict[str, Any]:
    """Return the *number*-th order of a seller."""
    return {
        "orderId": f"ORD{number:05d}",
        "reference": f"R{number:05d}",
        "businessOrder": False,
        "salesChannel": {"id": "CDISFR", "name": "Cdiscount"},
        "seller": {"id": seller_id},
        "createdAt": f"2026-01-{number % 28 + 1:02d}T10:00:00.000Z",
        "status": "WaitingAcceptance" if number % 2 else "InPreparation",
        "currencyCode": "EUR",
        "totalPrice": {"offerPrice": 19.9, "sellingPrice": 24.89},
        "lines": [
            {"orderLineId": f"L{number}", "quantity": 1, "offer": {"id": number, "productGtin": "0000000000017"}}
        ],
    }


def offer(number: int) -> dict[str, Any]:
    """Return the *number*-th offer."""
    return {
        "offerId": f"OFF{number:05d}",
        "sellerExternalReference": f"SKU-{number}",
        "offerState": "Active",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-02T00:00:00Z",
        "quantity": 1,
    }
