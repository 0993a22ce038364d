"""Decide what an HTTP answer means: a SOAP reply to decode, or one error of our tree.

The table below is the whole of it. How the service refuses credentials is not documented, so every form a WCF service
is known to use is recognised.

| answer | error |
|---|---|
| SOAP fault, any other HTTP status | `FaultError`, or `AuthenticationError` if it refuses the credentials |
| APIResult whose message refuses the credentials | `AuthenticationError` |
| 401, 403 | `AuthenticationError` |
| 429 | `RateLimitedError` |
| a status outside 2xx, no SOAP | `HttpStatusError` |
| a status below 500 outside 2xx, with an envelope that is no fault | `ProtocolError`: they contradict each other |
| 2xx with HTML, nothing, or half an envelope | `ProtocolError` |

Invariants:

* Every 2xx with an envelope is read.
* Words alone never prove that nothing was done. A fault of the server that speaks of credentials may be about those of
  another system, after the request was carried out. Then `AuthenticationError.nothing_done` is False, or it is a plain
  `FaultError` if the text names such a system. Only the names of our own credentials, a fault code of the client or
  one of WS-Security, or the status prove it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lxml import etree

from octopus_soap._http import retry_after
from octopus_soap.errors import (
    AuthenticationError,
    FaultError,
    HttpStatusError,
    OctopusError,
    ProtocolError,
    RateLimitedError,
)
from octopus_soap.wire.decode import body_of, parse
from octopus_soap.wire.plain import as_utf8
from octopus_soap.wire.readers import local_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octopus_soap.wire.redact import Redactor

_EXCERPT = 500
_AUTH_WORDS = re.compile(
    r"authenticat|unauthori[sz]ed|authori[sz]ation\s+(failed|denied|required)|access\s+(is\s+)?denied|credential|"
    r"(invalid|wrong|expired|missing|bad)\s+(auth\s*)?(token|access\s*id|merchant)|"
    r"(token|access\s*id|merchant(\s*name)?)\s+(is\s+)?(not\s+valid|invalid|expired|missing|not\s+found|required)",
    re.IGNORECASE,
)
"""How services word a refusal of credentials. "Payment not authorized" is none: a row is refused there, not the caller.
Localized texts may escape it: status and fault code come first."""

_OUR_NAMES = re.compile(r"\b(auth[\s_-]?token|access[\s_-]?id|merchant[\s_-]?name)\b", re.IGNORECASE)
"""Names of the credentials that this client sends, and hardly another system of the service."""

_ANOTHER_SYSTEM = re.compile(
    r"\b(remote|smtp|e?mail|ftp|sql|database|upstream|backend|gateway|proxy|payment|card|bank|paypal|stripe|carrier|"
    r"shipping|marketplace|amazon|ebay|shopify|walmart|magento|woocommerce|bigcommerce|quickbooks|file|path|folder|"
    r"directory|registry|share|drive)\b",
    re.IGNORECASE,
)
"""Words of a text that is about a system behind the service."""

_CLIENT_SIDE = frozenset({"client", "sender"})
_CREDENTIAL_CODES = frozenset({"failedauthentication", "invalidsecurity", "invalidsecuritytoken", "accessdenied"})
"""Codes of WS-Security and WCF: the caller was refused before its request was read."""

_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,120})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as it came.

    Attributes:
        status: HTTP status code.
        headers: header values by lower-case name.
        body: the body, decompressed; its first part if more is to come.
        elapsed: seconds from sending to the last byte of `body`.
        more: what the driver knows the rest of the body by; None if there is none.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    elapsed: float = 0.0
    more: Any = None


PLAIN_TYPES = frozenset({"text/xml; charset=utf-8", "text/xml;charset=utf-8"})
"""How nearly every service spells it; its body is UTF-8 as it is, unless it begins in another way than markup does."""


def is_answered(status: int) -> bool:
    """True if *status* is a 2xx: the request was carried out, whatever the answer holds."""
    return 200 <= status < 300  # noqa: PLR2004 - the class of statuses


def readable(reply: Reply, redactor: Redactor) -> Reply:
    """Return *reply* with its body in UTF-8; a second call changes nothing.

    Raises:
        OctopusError: The charset cannot be decided.
    """
    if not reply.body:
        return reply
    try:
        body = as_utf8(reply.body, reply.headers.get("content-type", ""))
    except ProtocolError as error:
        if not is_answered(reply.status):
            raise http_error(reply, redactor) from None
        error.body_excerpt = redactor.body(reply.body, _EXCERPT)
        raise
    if body is reply.body:
        return reply
    return replace(reply, body=body, headers={**reply.headers, "content-type": "text/xml; charset=utf-8"})


def soap_body(reply: Reply, redactor: Redactor) -> tuple[Any, bool]:
    """Return the element in the SOAP body (None if it is empty) and whether characters were replaced.

    Raises:
        OctopusError: As the table above says.
    """
    if reply.headers.get("content-type", "") not in PLAIN_TYPES or reply.body[:1] != b"<" or reply.body[:2] == b"<\0":
        reply = readable(reply, redactor)
    text = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        if is_answered(reply.status):
            return None, False
        raise http_error(reply, redactor)
    if _looks_like_soap(text):
        return _soap(reply, text, redactor)
    if not is_answered(reply.status):
        raise http_error(reply, redactor)
    what = "HTML page" if re.match(rb"<!doctype\s+html|<html", text, re.IGNORECASE) else "answer"
    raise ProtocolError(
        f"HTTP {reply.status} with an {what} that is no SOAP reply{_headline(text, redactor)}",
        body_excerpt=redactor.body(text, _EXCERPT),
    )


_OF_THE_REQUEST = frozenset({401, 403, 407, 413, 429})
"""Statuses that refuse a request before it is looked at, whatever a filter in between put into the body."""


def _looks_like_soap(text: bytes) -> bool:
    start = text[:2048]
    return re.match(
        # possessive, so that a page full of comments cannot be tried in every combination
        rb"(?:<\?xml[^>]*+>|(?><!--.*?-->)|<!DOCTYPE|\s)*+<(?:[\w.-]+:)?Envelope[\s/>]",
        start,
        re.DOTALL,
    ) is not None or (b"<!DOCTYPE" in start and b"Envelope" in text[:4096])


def _soap(reply: Reply, text: bytes, redactor: Redactor) -> tuple[Any, bool]:
    try:
        root, replaced = parse(text)
        element = body_of(root)
    except ProtocolError as error:
        if not is_answered(reply.status):
            raise http_error(reply, redactor) from None
        error.body_excerpt = redactor.body(text, _EXCERPT)
        raise
    if element is not None and local_name(element.tag) == "Fault":
        raise _faulted(element, reply, redactor)
    if not is_answered(reply.status):
        if element is not None and reply.status < 500 and reply.status not in _OF_THE_REQUEST:  # noqa: PLR2004 - server errors
            raise ProtocolError(
                f"HTTP {reply.status} with a SOAP reply that is no fault: they contradict each other",
                body_excerpt=redactor.body(text, _EXCERPT),
            )
        raise http_error(reply, redactor)
    return element, replaced


def _faulted(element: Any, reply: Reply, redactor: Redactor) -> OctopusError:
    """The error of a fault; where the HTTP status tells what happened, it comes before the fault's words."""
    error = fault_error(element, redactor)
    if reply.status in {401, 403} and not isinstance(error, AuthenticationError):
        return AuthenticationError(f"HTTP {reply.status}: the service refused the credentials: {error.message[:300]}")
    return http_error(reply, redactor) if reply.status in {413, 429} else error


def fault_error(fault: Any, redactor: Redactor) -> OctopusError:
    """The error a `<Fault>` element means: SOAP 1.1 or 1.2, in any namespace."""
    code = text = detail = ""
    for child in fault:
        name = local_name(child.tag).casefold()
        if name in {"faultcode", "code"}:
            code = (child.text or "").strip() or next((t.strip() for t in child.itertext() if t.strip()), "")
        elif name in {"faultstring", "reason"}:
            text = (child.text or "").strip() or " ".join(t.strip() for t in child.itertext() if t.strip())
        elif name == "detail" and (len(child) or child.text):
            detail = redactor.body(etree.tostring(child, with_tail=False), 2048)
    code, text = code.rpartition(":")[2][:60], redactor.text(text[:4096])  # whatever a hostile service sends
    family = code.partition(".")[0].casefold()
    if family in _CREDENTIAL_CODES:
        return AuthenticationError(f"the service refused the credentials: {code}: {text}")
    if refuses_credentials(text) and code != "DeserializationFailed":
        proven = family in _CLIENT_SIDE or _OUR_NAMES.search(text) is not None
        return AuthenticationError(f"the service refused the credentials: {text}", nothing_done=proven)
    return FaultError(f"SOAP fault {code}: {text}", fault_code=code, fault_string=text, detail=detail)


def refuses_credentials(text: str) -> bool:
    """True if *text* reads like a refusal of the caller's credentials, and not of another system's."""
    return _AUTH_WORDS.search(text) is not None and _ANOTHER_SYSTEM.search(text) is None


def http_error(reply: Reply, redactor: Redactor) -> OctopusError:
    """The error an HTTP status means when the body is no SOAP answer."""
    status, excerpt = reply.status, redactor.body(reply.body, _EXCERPT)
    headline = _headline(reply.body, redactor)
    if status in {401, 403}:
        return AuthenticationError(f"HTTP {status}: the service refused the credentials{headline}")
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        pause = retry_after(reply.headers)
        asked = "" if pause is None else f"; it asks for {pause:.0f} s"
        return RateLimitedError(f"HTTP 429: too many requests{asked}", retry_after=pause, body_excerpt=excerpt)
    hint = ""
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        where = redactor.text(reply.headers.get("location", "")).partition("?")[0][:200]
        hint = f"; it redirects to {where!r}, which is never followed: set endpoint to the final address"
    elif status == 404:  # noqa: PLR2004 - Not Found
        hint = "; check the endpoint's path"
    elif status == 413:  # noqa: PLR2004 - Content Too Large
        hint = "; the request is larger than the service accepts"
    elif status == 415:  # noqa: PLR2004 - Unsupported Media Type
        hint = "; the endpoint may not be a SOAP 1.1 service"
    return HttpStatusError(f"HTTP {status}{headline}{hint}", status=status, body_excerpt=excerpt)


def _headline(body: bytes, redactor: Redactor) -> str:
    found = _TITLE.search(body[:8192])
    return f" ({redactor.text(found[1].decode('utf-8', 'replace').strip())})" if found else ""
