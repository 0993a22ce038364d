"""Answers read with suspicion: JSON, problem+json, HTML, or nothing.

Facts (docs/sources.md): errors come as ``application/problem+json`` ([C]) with ``title``, ``detail``, ``status``,
``traceId`` and ``errors`` ([C2]); the token service is Keycloak and may answer ``error`` and ``error_description``
([I]); a gateway answers HTML, or a 404 of its own. So nothing here assumes that a body is JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from octopus_soap.octopia.errors import ProtocolError, clip

if TYPE_CHECKING:
    from octopus_soap.octopia.effects import Reply

Scrubber = Callable[[str], str]
"""Takes the secrets out of a text that a server sent."""

_BEARER = re.compile(r"(?i)bearer\s+\S+")
_JWT = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}")
_MASK = "[hidden]"
_MANY_FIELDS = 20


def scrubber(secrets: Iterable[SecretStr]) -> Scrubber:
    """Return a function that masks *secrets*, bearer headers and anything shaped like a JWT.

    A server may repeat what it was sent, also as a URL-encoded form, so both spellings are masked.
    """
    plain = [secret.get_secret_value() for secret in secrets]
    spellings = {form for text in plain if text for form in (text, quote(text, safe=""), quote_plus(text))}
    ordered = sorted((SecretStr(text) for text in spellings), key=lambda s: -len(s.get_secret_value()))

    def scrub(text: str) -> str:
        for secret in ordered:
            text = text.replace(secret.get_secret_value(), _MASK)
        return _JWT.sub(_MASK, _BEARER.sub(_MASK, text))

    return scrub


def read_json(reply: Reply, call: str) -> Any:
    """Return the JSON in *reply*; numbers with a point are `Decimal`, so that money stays exact.

    Raises:
        ProtocolError: The body is not JSON. Its text is not repeated: it may hold anything.
    """
    try:
        return json.loads(reply.body, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError):  # ValueError covers bad JSON, bad UTF-8 and absurdly long numbers
        pass
    kind = reply.headers.get("content-type", "no content type")[:60]
    raise ProtocolError(
        f"{call}: the answer ({reply.status}, {kind}, {len(reply.body)} bytes) is not JSON",
        call=call,
        status=reply.status,
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error answer says, without secrets and cut to a sane length.

    Attributes:
        text: One line for a message: detail, then field errors, then title (docs/sources.md).
        title: The short text.
        detail: The longer text.
        fields: The messages per field at fault.
        trace_id: The id to quote to support.
    """

    text: str
    title: str = ""
    detail: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    trace_id: str = ""


def problem_of(reply: Reply, scrub: Scrubber) -> Problem:
    """Return what the error answer *reply* says, whatever its form."""
    try:
        payload: Any = read_json(reply, "")
    except ProtocolError:
        return Problem(_not_json(reply))
    if not isinstance(payload, dict):
        return Problem("the answer is JSON, but no problem document")

    def text(*names: str) -> str:
        return next(
            (_line(payload[n], scrub) for n in names if isinstance(payload.get(n), (str, int)) and payload[n]), ""
        )

    title, detail = text("title", "error"), text("detail", "error_description", "message")
    fields = _fields(payload.get("errors"), scrub)
    by_field = "; ".join(f"{name}: {' '.join(messages)}" for name, messages in fields.items())
    return Problem(
        detail or by_field or title or "no explanation given", title, detail, fields, text("traceId", "trace_id")
    )


def _not_json(reply: Reply) -> str:
    kind = reply.headers.get("content-type", "").lower()
    if "html" in kind or reply.body[:200].lstrip()[:1] == b"<":
        return f"an HTML page of {len(reply.body)} bytes, so a gateway and not the API answered"
    return "the answer is empty" if not reply.body else f"{len(reply.body)} bytes that are not JSON"


def _fields(errors: Any, scrub: Scrubber) -> dict[str, tuple[str, ...]]:
    if isinstance(errors, list):
        errors = {str(index): message for index, message in enumerate(errors)}
    if not isinstance(errors, dict):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name, messages in list(errors.items())[:_MANY_FIELDS]:
        several: list[Any] = messages if isinstance(messages, list) else [messages]
        found[_line(name, scrub, 80)] = tuple(_line(message, scrub) for message in several[:_MANY_FIELDS])
    return found


def _line(value: Any, scrub: Scrubber, limit: int = 300) -> str:
    # Secrets first, then the cut: the other way round, half a secret would stay. Control characters could forge log
    # lines.
    return clip("".join(c if c.isprintable() else " " for c in scrub(str(value))).strip(), limit)
