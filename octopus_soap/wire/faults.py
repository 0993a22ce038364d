"""What an HTTP answer means: a SOAP reply to decode, or one error of our tree.

The table below is the whole of it; the service's own way of refusing credentials is unknown, so every form a WCF
service is known to use is recognised.

| answer | error |
|---|---|
| SOAP fault, any other HTTP status | `FaultError`, or `AuthenticationError` where its text says so |
| APIResult whose message says so | `AuthenticationError` |
| 401, 403 | `AuthenticationError` |
| 429 | `RateLimitedError` |
| other status than 200 and 202, no SOAP | `HttpStatusError` |
| 200 with HTML, nothing, or half an envelope | `ProtocolError` |
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
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

_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,120})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as it came.

    Attributes:
        status: HTTP status code.
        headers: header values by lower-case name.
        body: the body, decompressed.
        elapsed: seconds from sending to the last byte.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    elapsed: float = 0.0


def soap_body(reply: Reply, redactor: Redactor) -> tuple[Any, bool]:
    """Return the element in the SOAP body (None where empty) and whether characters were replaced, or raise.

    Raises:
        OctopusError: as the table above says.
    """
    text = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        if reply.status in {200, 202}:
            return None, False
        raise http_error(reply, redactor)
    if _looks_like_soap(text):
        return _soap(reply, text, redactor)
    if reply.status not in {200, 202}:
        raise http_error(reply, redactor)
    what = "HTML page" if re.match(rb"<!doctype\s+html|<html", text, re.IGNORECASE) else "answer"
    raise ProtocolError(
        f"HTTP {reply.status} with an {what} that is no SOAP reply{_headline(text, redactor)}",
        body_excerpt=redactor.body(text, _EXCERPT),
    )


def _looks_like_soap(text: bytes) -> bool:
    start = text[:2048]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16: let the parser decide
        return True
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
        if reply.status not in {200, 202}:
            raise http_error(reply, redactor) from None
        error.body_excerpt = redactor.body(text, _EXCERPT)
        raise
    if element is not None and local_name(element.tag) == "Fault":
        raise _faulted(element, reply, redactor)
    if reply.status not in {200, 202}:
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
    if _AUTH_WORDS.search(text) and code != "DeserializationFailed":
        return AuthenticationError(f"the service refused the credentials: {text[:300]}")
    return FaultError(f"SOAP fault {code}: {text[:400]}", fault_code=code, fault_string=text, detail=detail)


def status_says_unauthenticated(message: str) -> bool:
    """True where an APIResult's message is a refusal of credentials."""
    return _AUTH_WORDS.search(message) is not None


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
