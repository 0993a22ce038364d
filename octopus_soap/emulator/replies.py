"""HTTP replies before they are sent: what the service answers, and the stock answers of IIS and proxies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from .soapfaults import SoapFaultError, fault_xml

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_XML = "text/xml; charset=utf-8"
TEXT_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request with its whole body; header names are lower-case."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply.

    Args:
        status: The HTTP status.
        body: The body.
        content_type: The Content-Type; "" for none.
        headers: Further headers.
        reason: The reason phrase, where it differs from the standard one.
        dropped: The connection is closed instead of answering.
    """

    status: int
    body: bytes = b""
    content_type: str = TEXT_XML
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    dropped: bool = False

    def with_body(self, body: bytes) -> Reply:
        """Return the same reply with another body."""
        return replace(self, body=body)


def fault_reply(fault: SoapFaultError) -> Reply:
    """Return a fault as an HTTP reply."""
    return Reply(fault.status, fault_xml(fault))


def empty_reply(status: int, reason: str | None = None) -> Reply:
    """Return a reply with nothing in it."""
    return Reply(status, b"", "", (), reason)


def html_reply(status: int, text: str = "", *, xhtml: bool = False) -> Reply:
    """Return an error page like those of IIS and of proxies; as XHTML it is well-formed XML, which fools clients."""
    title = f"{status} - {HTTPStatus(status).phrase}"
    words = escape(text or "The page cannot be displayed.")
    if xhtml:
        page = (
            '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head>'
            f"<title>{title}</title></head><body><h1>{title}</h1><p>{words}</p></body></html>"
        )
        return Reply(status, page.encode(), "application/xhtml+xml; charset=utf-8")
    page = (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\r\n'
        f"<html><head><title>{title}</title></head>\r\n<body><h2>{title}</h2><br><p>{words}</body></html>\r\n"
    )
    return Reply(status, page.encode(), TEXT_HTML)
