"""The table of raw HTTP answers, with the results of both clients.

A row has the bytes a server sends, and the result of a read (7, or the class of its error); some rows also have the
result of an operation without one (`void`) and of a new order (`unsafe`). `reused` is True if the next call may use the
same connection; in any case that call gets its own answer. `source` is the rule or the report that the row comes from.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from typing import Any

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def envelope(inner: str, declared: str = "") -> bytes:
    return f'{declared}<s:Envelope xmlns:s="{SOAP}"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


def quantity(value: object = 7, more: str = "") -> bytes:
    return envelope(
        f'<GetItemQuantityResponse xmlns="http://tempuri.org/"><GetItemQuantityResult><ResultData>{value}</ResultData>'
        f"<Status>Success</Status>{more}</GetItemQuantityResult></GetItemQuantityResponse>"
    )


def fault(code: str, text: str) -> bytes:
    return envelope(f"<s:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring></s:Fault>")


GOOD, NEXT = quantity(7), quantity(8)
HTML = b"<html><head><title>Welcome</title></head></html>"


def raw(
    body: bytes = GOOD, status: str = "200 OK", headers: str = "", *, length: object = None, version: str = "1.1"
) -> bytes:
    named = f"Content-Length: {len(body) if length is None else length}\r\n" if length != "" else ""
    return (
        f"HTTP/{version} {status}\r\nContent-Type: text/xml; charset=utf-8\r\n{named}{headers}\r\n".encode("latin-1")
        + body
    )


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", headers: str = "") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end
    return raw(body, headers=f"Transfer-Encoding: chunked\r\n{headers}", length="")


@dataclass(frozen=True)
class Answer:
    """A row, as described above."""

    name: str
    sent: bytes
    read: Any
    source: str
    reused: bool = True
    closes: bool = False
    unsafe: str | None = None
    void: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    differs: str = ""
    """Why the two clients may differ; empty if they may not."""


RFC9110, RFC9112, RFC7303 = "RFC 9110", "RFC 9112", "RFC 7303"
LOST, UNKNOWN, STATUS, PROTOCOL = "TransportError", "OutcomeUnknownError", "HttpStatusError", "ProtocolError"
PROCESSING, HINTS = (
    b"HTTP/1.1 102 Processing\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
AT_ONCE = "the connection is kept if the rest of the answer had come already, which is a matter of the machine"


def broken(name: str, sent: bytes, source: str = RFC9112, **more: Any) -> Answer:
    """A row with an invalid answer."""
    return Answer(name, sent, LOST, source, reused=False, closes=True, unsafe=UNKNOWN, **more)


def member(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def deflated(body: bytes, window: int) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, window)
    return made.compress(body) + made.flush()


ANSWERS = [
    # -- framing that is right -----------------------------------------------------------------------------------
    Answer("length", raw(), 7, f"{RFC9112} 6.2"),
    Answer("until the end", raw(length=""), 7, f"{RFC9112} 6.3.8", reused=False, closes=True),
    Answer("chunked", chunked(GOOD), 7, f"{RFC9112} 7.1"),
    Answer("chunks of one byte", chunked(*(GOOD[n : n + 1] for n in range(len(GOOD)))), 7, f"{RFC9112} 7.1"),
    Answer("chunk extensions", chunked(GOOD).replace(b"\r\n<s:", b";a=b\r\n<s:", 1), 7, f"{RFC9112} 7.1.1"),
    Answer("trailers", chunked(GOOD, end=b"0\r\nX-Sum: 1\r\n\r\n"), 7, f"{RFC9112} 7.1.2"),
    Answer("connection: close", raw(headers="Connection: close\r\n"), 7, f"{RFC9112} 9.6", reused=False, closes=True),
    Answer("close, and the server does not", raw(headers="Connection: close\r\n"), 7, f"{RFC9112} 9.6", reused=False),
    Answer("HTTP/1.0", raw(version="1.0"), 7, f"{RFC9112} 9.3", reused=False, closes=True),
    Answer("HTTP/1.0 keep-alive", raw(version="1.0", headers="Connection: keep-alive\r\n"), 7, f"{RFC9112} C.2.2", reused=False, differs="h11 keeps no connection of HTTP/1.0, http.client does; neither mixes answers"),
    Answer("no reason phrase", raw(status="200"), 7, "servers leave it out (h11, _abnf.py)"),
    Answer("lines that end in LF", raw().replace(b"\r\n", b"\n"), 7, f"{RFC9112} 2.2"),
    Answer("a folded header", raw(headers="X-Note: a\r\n b\r\n"), 7, f"{RFC9112} 5.2"),
    Answer("the same length twice", raw(headers=f"Content-Length: {len(GOOD)}\r\n"), 7, f"{RFC9112} 6.3.5"),
    Answer("a reason in latin-1", raw(status="200 Tr\xe8s bien"), 7, f"{RFC9112} 4"),
    Answer("a cookie", raw(headers="Set-Cookie: a=b\r\n"), 7, "cookies of one merchant must not travel with the next"),
    # -- interim answers -----------------------------------------------------------------------------------------
    Answer("100", CONTINUE + raw(), 7, f"{RFC9110} 15.2.1"),
    Answer("102", PROCESSING + raw(), 7, "RFC 2518 10.1", unsafe=None),
    Answer("103", HINTS + raw(), 7, "RFC 8297"),
    Answer("several", CONTINUE + PROCESSING + HINTS + HINTS + raw(), 7, f"{RFC9110} 15.2"),
    Answer("104, which nobody knows", b"HTTP/1.1 104 Upload\r\nX: y\r\n\r\n" + raw(), 7, f"{RFC9110} 15: a client treats it as 1xx"),
    Answer("103 before a chunked answer", HINTS + chunked(GOOD), 7, "RFC 8297"),
    Answer("102 before a fault", PROCESSING + raw(fault("s:Client", "no"), "500 Error"), "FaultError", "RFC 2518 10.1", unsafe="FaultError"),
    broken("102, and nothing more", PROCESSING, f"{RFC9110} 15.2"),
    broken("103, and half an answer", HINTS + raw()[:60], f"{RFC9110} 15.2"),
    broken("101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", f"{RFC9110} 15.2.2: only if asked for"),
    broken("interim answers without end", PROCESSING * 200 + raw(), "an attack"),
    Answer("100 with a body", b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n" + raw(), 7, f"{RFC9110} 15.2: a 1xx has no content, whatever it says"),
    broken("100 with content after it", b"HTTP/1.1 100 Continue\r\n\r\nabc" + raw(), f"{RFC9110} 15.2"),
    # -- framing that is wrong -----------------------------------------------------------------------------------
    broken("a length too long", raw(length=len(GOOD) + 5), f"{RFC9112} 6.3.4"),
    Answer("a length too short", raw(length=len(GOOD) - 5), PROTOCOL, f"{RFC9112} 6.3.4", reused=False, unsafe=UNKNOWN),
    Answer("bytes after the answer", raw() + raw(quantity(99)), 7, f"{RFC9112} 9.2: the next answer belongs to no request", reused=False),
    Answer("a second answer to a chunked one", chunked(GOOD) + raw(quantity(99)), 7, f"{RFC9112} 9.2", reused=False),
    Answer("a line after the answer", raw() + b"\r\n", 7, f"{RFC9112} 2.2", reused=False),
    broken("two lengths", raw(headers="Content-Length: 5\r\n"), f"{RFC9112} 6.3.5"),
    broken("two lengths in one header", raw(length="5, 6"), f"{RFC9112} 6.3.5"),
    broken("a negative length", raw(length="-5"), f"{RFC9110} 8.6"),
    broken("a length with a sign", raw(length=f"+{len(GOOD)}"), f"{RFC9110} 8.6"),
    broken("a length in words", raw(length="many"), f"{RFC9110} 8.6"),
    Answer("a length and chunks", chunked(GOOD, headers="Content-Length: 5\r\n"), 7, f"{RFC9112} 6.3.3: the coding wins, the connection is not trusted", reused=False),
    broken("gzip as a transfer coding", raw(member(GOOD), headers="Transfer-Encoding: gzip, chunked\r\n", length=""), f"{RFC9112} 6.1"),
    broken("chunked twice", raw(headers="Transfer-Encoding: chunked, chunked\r\n", length=""), f"{RFC9112} 6.1"),
    broken("a chunk size in C", chunked(GOOD).replace(b"\r\n\r\n", b"\r\n\r\n0x", 1), f"{RFC9112} 7.1"),
    broken("a negative chunk size", chunked(GOOD).replace(b"\r\n\r\n", b"\r\n\r\n-", 1), f"{RFC9112} 7.1"),
    broken("no chunk size", chunked(GOOD).replace(b"\r\n\r\n", b"\r\n\r\n;x=", 1), f"{RFC9112} 7.1"),
    broken("a chunk longer than it says", chunked(GOOD + b"x").replace(b"%x" % (len(GOOD) + 1), b"%x" % len(GOOD), 1), f"{RFC9112} 7.1"),
    broken("chunks cut off", chunked(GOOD)[:-9], f"{RFC9112} 8"),
    broken("the last chunk missing", chunked(GOOD, end=b""), f"{RFC9112} 8"),
    broken("trailers cut off", chunked(GOOD, end=b"0\r\nX: y\r\n"), f"{RFC9112} 8"),
    broken("headers cut off", raw()[:40], f"{RFC9112} 8: http.client takes them for whole"),
    broken("a status line cut off", b"HTTP/1.1 20", f"{RFC9112} 8"),
    broken("nothing", b"", f"{RFC9112} 8"),
    broken("a header without a colon", raw(headers="Oops\r\n"), f"{RFC9112} 5: http.client ends the headers there"),
    broken("a space before the colon", raw(headers="X-Note : a\r\n"), f"{RFC9112} 5.1"),
    broken("a bare CR in a header", raw(headers="X: a\rContent-Length: 1\r\n"), f"{RFC9112} 2.2"),
    broken("a zero byte in a header", raw(headers="X: a\0b\r\n"), f"{RFC9110} 5.5"),
    broken("an escape in a header", raw(headers="X: \x1b[31m\r\n"), f"{RFC9110} 5.5"),
    broken("a folded length", raw(length="1\r\n 2"), f"{RFC9112} 5.2"),
    broken("too many headers", raw(headers="".join(f"X-{n}: y\r\n" for n in range(200))), "http.client's own limit"),
    broken("headers without end", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000, "h11's own limit"),
    broken("HTTP/2", raw(version="2"), f"{RFC9112} 2.3"),
    broken("HTTP/0.9", GOOD, f"{RFC9112} 2.3"),
    broken("another protocol", b"220 mail.example ESMTP\r\n", "a port of something else"),
    broken("two spaces in the status line", raw().replace(b"1.1 200", b"1.1  200", 1), f"{RFC9112} 4"),
    broken("a status of four digits", raw(status="2000 OK"), f"{RFC9112} 4"),
    broken("a status of zeros", raw(status="000 OK"), f"{RFC9112} 4"),
    broken("an empty line first", b"\r\n" + raw(), f"{RFC9112} 4"),
    # -- statuses ------------------------------------------------------------------------------------------------
    *(Answer(f"{status} with an answer", raw(status=f"{status} X"), 7, f"{RFC9110} 15.3") for status in (201, 202, 203, 206, 207, 226, 299)),
    *(Answer(f"{status} with nothing", raw(b"", f"{status} X"), PROTOCOL, f"{RFC9110} 15.3: done, and no result to read", unsafe=UNKNOWN, void="None") for status in (200, 201, 202, 205, 206)),
    Answer("204", raw(b"", "204 No Content", length=""), PROTOCOL, f"{RFC9110} 15.3.5", unsafe=UNKNOWN, void="None"),
    Answer("204 that names a length", raw(b"", "204 No Content", length=5), PROTOCOL, f"{RFC9112} 6.3.1: it has none", unsafe=UNKNOWN, void="None"),
    Answer("204 with an answer", raw(status="204 No Content"), PROTOCOL, f"{RFC9112} 6.3.1", reused=False, unsafe=UNKNOWN, void="None"),
    Answer("201 with a page", raw(HTML, "201 Created"), PROTOCOL, f"{RFC9110} 15.3.2", unsafe=UNKNOWN),
    *(Answer(f"{status}", raw(b"", f"{status} X", "Location: https://elsewhere.example/\r\n"), STATUS, f"{RFC9110} 15.4: it may have been done", unsafe=UNKNOWN) for status in (300, 301, 302, 303, 307, 308)),
    Answer("304", raw(b"", "304 Not Modified", length=""), STATUS, f"{RFC9110} 15.4.5", unsafe=UNKNOWN),
    *(Answer(f"{status}", raw(HTML, f"{status} X"), STATUS, f"{RFC9110} 15.5: nothing was done", unsafe=STATUS) for status in (400, 404, 405, 407, 409, 410, 411, 413, 414, 415, 422, 451)),
    *(Answer(f"{status}", raw(HTML, f"{status} X"), "AuthenticationError", f"{RFC9110} 15.5", unsafe="AuthenticationError") for status in (401, 403)),
    *(Answer(f"{status}", raw(HTML, f"{status} X"), STATUS, f"{RFC9110} 15.5: it proves nothing", unsafe=UNKNOWN) for status in (406, 408, 418, 499)),
    Answer("404 with an answer", raw(status="404 Not Found"), PROTOCOL, "status and envelope contradict each other", unsafe=UNKNOWN),
    Answer("429", raw(b"", "429 X"), "RateLimitedError", "RFC 6585", unsafe="RateLimitedError"),
    *(Answer(f"{status}", raw(HTML, f"{status} X"), STATUS, f"{RFC9110} 15.6", unsafe=UNKNOWN) for status in (500, 502, 503, 504, 520, 599)),
    *(Answer(f"{status}", raw(HTML, f"{status} X"), STATUS, f"{RFC9110} 15.6: nothing was done", unsafe=STATUS) for status in (501, 505)),
    Answer("999", raw(HTML, "999 X"), STATUS, "seen of a filter", unsafe=UNKNOWN),
    # -- faults --------------------------------------------------------------------------------------------------
    Answer("a fault of the client", raw(fault("s:Client", "no such column"), "500 X"), "FaultError", "SOAP 1.1, 4.4.1", unsafe="FaultError"),
    Answer("a fault of the server", raw(fault("s:Server", "oops"), "500 X"), "FaultError", "SOAP 1.1, 4.4.1", unsafe=UNKNOWN),
    Answer("a fault with 200", raw(fault("s:Server", "oops")), "FaultError", "recorded of a service of this family", unsafe=UNKNOWN),
    Answer("a remote server's 401", raw(fault("s:Server", "The remote server returned an error: (401) Unauthorized."), "500 X"), "FaultError", ".NET's WebException", unsafe=UNKNOWN),
    Answer("a mail server's refusal", raw(fault("s:Server", "The SMTP server requires a secure connection or the client was not authenticated."), "500 X"), "FaultError", ".NET's SmtpException", unsafe=UNKNOWN),
    Answer("access is denied", raw(fault("s:Server", "Access is denied."), "500 X"), "AuthenticationError", ".NET's Win32Exception", unsafe=UNKNOWN),
    Answer("authentication failed, of the server", raw(fault("s:Server", "Authentication failed."), "500 X"), "AuthenticationError", "it may be another system's", unsafe=UNKNOWN),
    Answer("authentication failed, of the client", raw(fault("s:Client", "Authentication failed."), "500 X"), "AuthenticationError", "a FaultException of WCF", unsafe="AuthenticationError"),
    Answer("our token, by name", raw(fault("s:Server", "Invalid authtoken"), "500 X"), "AuthenticationError", "nothing else has that name", unsafe="AuthenticationError"),
    Answer("refused by WS-Security", raw(fault("wsse:FailedAuthentication", "x"), "500 X"), "AuthenticationError", "WS-Security 1.1, 12", unsafe="AuthenticationError"),
    # -- compression ---------------------------------------------------------------------------------------------
    Answer("gzip", raw(member(GOOD), headers="Content-Encoding: gzip\r\n"), 7, f"{RFC9110} 8.4.1.3"),
    Answer("x-gzip", raw(member(GOOD), headers="Content-Encoding: x-gzip\r\n"), 7, f"{RFC9110} 8.4.1.3"),
    Answer("gzip of two members", raw(member(GOOD[:50]) + member(GOOD[50:]), headers="Content-Encoding: gzip\r\n"), 7, "RFC 1952 2.2"),
    Answer("gzip, chunked", chunked(member(GOOD)[:20], member(GOOD)[20:], headers="Content-Encoding: GZIP\r\n"), 7, f"{RFC9110} 8.4"),
    Answer("deflate", raw(deflated(GOOD, 15), headers="Content-Encoding: deflate\r\n"), 7, f"{RFC9110} 8.4.1.2"),
    Answer("deflate without its wrapper", raw(deflated(GOOD, -15), headers="Content-Encoding: deflate\r\n"), 7, "many servers leave it out"),
    Answer("identity", raw(headers="Content-Encoding: identity\r\n"), 7, f"{RFC9110} 8.4"),
    broken("gzip twice", raw(member(member(GOOD)), headers="Content-Encoding: gzip, gzip\r\n"), "a bomb of two codings"),
    broken("gzip twice, in two headers", raw(member(member(GOOD)), headers="Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"), "a bomb of two codings"),
    broken("an unknown coding", raw(headers="Content-Encoding: br\r\n"), "it was not asked for"),
    broken("gzip that is none", raw(headers="Content-Encoding: gzip\r\n"), f"{RFC9110} 8.4"),
    broken("gzip cut off", raw(member(GOOD)[:-12], headers="Content-Encoding: gzip\r\n"), f"{RFC9110} 8.4"),
    Answer("a bomb", raw(member(b" " * 50_000_000), headers="Content-Encoding: gzip\r\n"), PROTOCOL, "an attack", unsafe=UNKNOWN, settings={"max_reply_bytes": 100_000}, differs=AT_ONCE),
    Answer("a reply over its limit", raw(b" " * 200_000), PROTOCOL, "an attack", unsafe=UNKNOWN, settings={"max_reply_bytes": 100_000}, differs=AT_ONCE),
    # -- what the body is ----------------------------------------------------------------------------------------
    Answer("a page", raw(HTML), PROTOCOL, "a login page", unsafe=UNKNOWN),
    Answer("half an envelope", raw(GOOD[:-20]), PROTOCOL, "XML 1.0, 2.1", unsafe=UNKNOWN),
    Answer("a declaration that contradicts", raw(b'<?xml version="1.0" encoding="iso-8859-1"?>' + GOOD), 7, f"{RFC7303} 3.2"),
    Answer("UTF-16 with its mark", raw(GOOD.decode().encode("utf-16")), 7, f"{RFC7303} 3.3"),
    Answer("UTF-8 with its mark", raw(b"\xef\xbb\xbf" + GOOD), 7, f"{RFC7303} 3.3"),
    Answer("not the charset it says", raw(quantity(7, "<Message>\xe9</Message>").decode().encode("latin-1")), PROTOCOL, f"{RFC7303} 3.2", unsafe=UNKNOWN),
    Answer("a DOCTYPE", raw(b"<!DOCTYPE x>" + GOOD), PROTOCOL, "SOAP 1.1, 3", unsafe=UNKNOWN),
    Answer("the answer to another operation", raw(GOOD.replace(b"GetItemQuantityRes", b"GetItemListRes")), PROTOCOL, "WCF: one action, one response"),
    # -- what other clients' tables and reports have -------------------------------------------------------------
    Answer("a coding in capitals", chunked(GOOD).replace(b": chunked", b": CHUNKED"), 7, f"{RFC9112} 7: coding names are case-insensitive"),
    Answer("a chunk size in capitals, with zeros before", raw(b"000%X\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD), headers="Transfer-Encoding: chunked\r\n", length=""), 7, f"{RFC9112} 7.1"),
    Answer("spaces behind a chunk size", chunked(GOOD).replace(b"\r\n<s:", b"  \r\n<s:", 1), 7, "IIS 5 and old Apache padded the size (curl, http_chunks.c)"),
    Answer("a length with zeros before", raw(length=f"000{len(GOOD)}"), 7, f"{RFC9110} 8.6"),
    Answer("close among other wishes", raw(headers="Connection: keep-alive, Close\r\n"), 7, f"{RFC9110} 7.6.1", reused=False),
    Answer("close in a second header", raw(headers="Connection: keep-alive\r\nConnection: close\r\n"), 7, f"{RFC9110} 5.3", reused=False),
    Answer("an offer of HTTP/2", raw(headers="Upgrade: h2c\r\nConnection: Upgrade\r\n"), 7, f"{RFC9110} 7.8: a client may ignore it"),
    Answer("a length in the trailers", chunked(GOOD, end=b"0\r\nContent-Length: 5\r\n\r\n"), 7, f"{RFC9110} 6.5.1: not in trailers"),
    Answer("a length that is nothing, and an answer", raw(length=0), PROTOCOL, f"{RFC9112} 9.2: what follows is no part of it", reused=False, unsafe=UNKNOWN),
    Answer("204 in chunks", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", PROTOCOL, f"{RFC9112} 6.3.1: it has no body (a report about nginx behind a load balancer)", reused=False, unsafe=UNKNOWN, void="None"),
    Answer("HTTP/1.0 in chunks", chunked(GOOD, headers="Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"), 7, f"{RFC9112} 6.1: its framing is faulty, close after it", reused=False),
    Answer("102 with a length and a coding", b"HTTP/1.1 102 Processing\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n" + raw(), 7, f"{RFC9110} 15.2: a 1xx has no content"),
    Answer("99 lines of headers", raw(headers="".join(f"X-{n}: y\r\n" for n in range(97))), 7, "http.client's own limit"),
    broken("100 lines of headers", raw(headers="".join(f"X-{n}: y\r\n" for n in range(98))), "http.client counts the blank line too"),
    Answer("a header in UTF-8", raw(headers="X-Powered-By: Caf\xc3\xa9\r\n"), 7, f"{RFC9110} 5.5: obs-text"),
    Answer("an empty header", raw(headers="X-Empty:\r\n"), 7, f"{RFC9110} 5.5"),
    Answer("a tab in a header", raw(headers="X-Note: a\tb\t\r\n"), 7, f"{RFC9110} 5.5"),
    Answer("a folded Content-Type", raw(headers="").replace(b"xml; charset", b"xml;\r\n charset"), 7, f"{RFC9112} 5.2"),
    Answer("the same Content-Type twice", raw(headers="Content-Type: text/xml; charset=utf-8\r\n"), 7, "seen behind IIS with customHeaders in web.config"),
    Answer("two charsets in two headers", raw(headers="Content-Type: text/xml; charset=utf-16\r\n"), PROTOCOL, f"{RFC9110} 8.3: it contradicts itself", unsafe=UNKNOWN),
    broken("a long reason", raw(status="200 " + "x" * 70_000), "http.client's limit of a line; h11 has none"),
    broken("a header without a name", raw(headers=": y\r\n"), f"{RFC9112} 5.1"),
    broken("a header name in quotes", raw(headers='"X": y\r\n'), f"{RFC9110} 5.1"),
    broken("a header name in UTF-8", raw(headers="X-\xc3\xa9: y\r\n"), f"{RFC9110} 5.1"),
    broken("a protocol in small letters", raw().replace(b"HTTP/1.1", b"http/1.1"), f"{RFC9112} 2.3: it is case-sensitive"),
    broken("a tab in the status line", raw().replace(b"1.1 200", b"1.1\t200", 1), f"{RFC9112} 4"),
    broken("a version of two digits", raw(version="1.10"), f"{RFC9112} 2.3"),
    broken("Icecast", raw().replace(b"HTTP/1.1", b"ICY"), "curl reads it, for streams"),
    broken("a status with a sign", raw(status="+200 OK"), f"{RFC9112} 4"),
    broken("a chunk of no end", chunked(GOOD).replace(b"\r\n<s:", b"\r\n", 1).replace(b"%x" % len(GOOD), b"f" * 15, 1), f"{RFC9112} 7.1"),
    broken("a chunk size of 20 digits", chunked(GOOD).replace(b"%x" % len(GOOD), b"1" + b"0" * 19, 1), "an overflow (CVE-2013-2028, nginx)"),
    broken("a chunk size in another script", chunked(GOOD).replace(b"%x" % len(GOOD), "\u0661\u0662".encode(), 1), "Python's int() reads such digits"),
    broken("a chunk size with an underscore", chunked(GOOD).replace(b"%x" % len(GOOD), b"1_0", 1), "Python's int() reads it (gunicorn, aiohttp)"),
    broken("a length with an underscore", raw(length="1_0"), "Python's int() reads it"),
    broken("a length in hexadecimal", raw(length="0x10"), f"{RFC9110} 8.6"),
    broken("no length at all", raw(length="").replace(b"\r\n\r\n", b"\r\nContent-Length: \r\n\r\n", 1), f"{RFC9110} 8.6"),
    broken("chunked, and nothing after it", raw(chunked(GOOD).partition(b"\r\n\r\n")[2], headers="Transfer-Encoding: chunked, identity\r\n", length=""), f"{RFC9112} 6.1: chunked comes last"),
    broken("chunked, with a vertical tab", raw(chunked(GOOD).partition(b"\r\n\r\n")[2], headers="Transfer-Encoding: \x0bchunked\r\n", length=""), "request smuggling (PortSwigger, 2019)"),
    broken("chunks whose lines end in LF", raw(b"%x\n%s\n0\n\n" % (len(GOOD), GOOD), headers="Transfer-Encoding: chunked\r\n", length=""), f"{RFC9112} 7.1; TERM.EXT of 2025"),
    broken("an LF in a chunk extension", chunked(GOOD).replace(b"\r\n<s:", b";a\nb\r\n<s:", 1), "TERM.EXT of 2025: parsers end the line at different places"),
    broken("a bare CR in a chunk extension", chunked(GOOD).replace(b"\r\n<s:", b";a\rb\r\n<s:", 1), f"{RFC9112} 2.2"),
    # -- statuses with a SOAP answer in them ---------------------------------------------------------------------
    Answer("500 with an answer", raw(status="500 X"), STATUS, "status and envelope contradict each other", unsafe=UNKNOWN),
    Answer("503 with an answer, and a pause", raw(status="503 X", headers="Retry-After: 7\r\n"), "RateLimitedError", f"{RFC9110} 15.6.4", unsafe=UNKNOWN),
    Answer("429, and a pause longer than any date", raw(b"", "429 X", "Retry-After: 99999999999\r\n"), "RateLimitedError", "RFC 6585", unsafe="RateLimitedError"),
    Answer("202 with a fault", raw(fault("s:Server", "later"), "202 Accepted"), "FaultError", "SOAP 1.1, 6.2", unsafe=UNKNOWN),
    Answer("401 with a fault of the server", raw(fault("s:Server", "x"), "401 X"), "AuthenticationError", f"{RFC9110} 15.5.2", unsafe="AuthenticationError"),
    Answer("413 with a fault of the server", raw(fault("s:Server", "quota"), "413 X"), STATUS, f"{RFC9110} 15.5.14", unsafe=STATUS),
    Answer("426", raw(b"", "426 Upgrade Required", "Upgrade: TLS/1.2\r\n"), STATUS, f"{RFC9110} 15.5.22: it refuses to do it so", unsafe=STATUS),
    Answer("a fault without a code", raw(envelope("<s:Fault><faultstring>no</faultstring></s:Fault>"), "500 X"), "FaultError", "SOAP 1.1, 4.4: it must have one", unsafe=UNKNOWN),
    Answer("a fault of SOAP 1.2, of the sender", raw(envelope("<s:Fault><s:Code>\n <s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang='en'>no</s:Text></s:Reason></s:Fault>").replace(SOAP.encode(), b"http://www.w3.org/2003/05/soap-envelope"), "400 X"), "FaultError", "SOAP 1.2, 5.4", unsafe="FaultError"),
    Answer("a fault of SOAP 1.2, of the receiver", raw(envelope("<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>s:Sender</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang='en'>no</s:Text></s:Reason></s:Fault>").replace(SOAP.encode(), b"http://www.w3.org/2003/05/soap-envelope"), "500 X"), "FaultError", "SOAP 1.2, 5.4: a subcode does not change whose fault it is", unsafe=UNKNOWN),
    Answer("a payment that was not authorized", raw(fault("s:Server", "Payment authorization failed: card declined"), "500 X"), "FaultError", "another system's refusal", unsafe=UNKNOWN),
    # -- compression ---------------------------------------------------------------------------------------------
    Answer("identity, and then gzip", raw(member(GOOD), headers="Content-Encoding: identity, gzip\r\n"), 7, f"{RFC9110} 8.4.1: identity is no coding"),
    Answer("gzip with a name and a comment", raw(member(GOOD)[:3] + b"\x18" + member(GOOD)[4:10] + b"a.xml\0note\0" + member(GOOD)[10:], headers="Content-Encoding: gzip\r\n"), 7, "RFC 1952 2.3"),
    Answer("gzip with zeros behind it", raw(member(GOOD) + b"\0" * 512, headers="Content-Encoding: gzip\r\n"), 7, "padding of tapes (gzip's manual)"),
    Answer("gzip of nothing", raw(member(b""), "200 OK", "Content-Encoding: gzip\r\n"), PROTOCOL, f"{RFC9110} 8.4: done, and no result to read", unsafe=UNKNOWN, void="None"),
    Answer("gzip that is not even there", raw(b"", "202 X", "Content-Encoding: gzip\r\n"), PROTOCOL, f"{RFC9110} 8.4", unsafe=UNKNOWN, void="None"),
    broken("gzip with a wrong checksum", raw(member(GOOD)[:-8] + b"\0\0\0\0" + member(GOOD)[-4:], headers="Content-Encoding: gzip\r\n"), "RFC 1952 2.3.1"),
    broken("gzip with other bytes behind it", raw(member(GOOD) + b"<!-- ad -->", headers="Content-Encoding: gzip\r\n"), "RFC 1952 2.2"),
    broken("a charset as a coding", raw(headers="Content-Encoding: utf-8\r\n"), "a common mistake in handlers; what it means is not defined"),
    # -- what the body is ----------------------------------------------------------------------------------------
    Answer("blank lines before the declaration", raw(b'\r\n \n<?xml version="1.0"?>' + GOOD), 7, "PHP files that begin with one; XML forbids it, the text is not in doubt"),
    Answer("an instruction and a long comment before it", raw(b'<?xml version="1.0"?><?app v="1"?><!-- ' + b"licence " * 500 + b"-->" + GOOD), 7, "XML 1.0, 2.8"),
    Answer("SOAP 1.2", raw(GOOD.replace(SOAP.encode(), b"http://www.w3.org/2003/05/soap-envelope")), 7, "SOAP 1.2, 5"),
    Answer("headers of WCF's tracing", raw(GOOD.replace(b"<s:Body>", b'<s:Header><ActivityId CorrelationId="5b1c" xmlns="http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics">0</ActivityId></s:Header><s:Body>')), 7, "WCF with propagateActivity"),
    Answer("UTF-16 that only its header names", raw(GOOD.decode().encode("utf-16-be")).replace(b"utf-8", b"utf-16"), 7, "RFC 2781 4.3: big-endian without a mark"),
    Answer("a charset in quotes", raw().replace(b"charset=utf-8", b'Charset="UTF-8" ; action=""'), 7, f"{RFC9110} 8.3.1"),
    Answer("a charset that is none", raw().replace(b"charset=utf-8", b"charset=unicode_escape"), PROTOCOL, f"{RFC7303} 3: a codec of Python is no charset", unsafe=UNKNOWN),
    Answer("half a pair of surrogates", raw(quantity(7, "<Message>?</Message>").replace(b"?", b"\xed\xa0\x80")), PROTOCOL, "RFC 3629 3", unsafe=UNKNOWN),
    Answer("MTOM", raw(b"--uuid:1\r\nContent-Type: application/xop+xml\r\n\r\n" + GOOD + b"\r\n--uuid:1--").replace(b"text/xml; charset=utf-8", b'multipart/related; type="application/xop+xml"; boundary="uuid:1"'), PROTOCOL, "WCF with messageEncoding=Mtom", unsafe=UNKNOWN),
    Answer("JSON", raw(b'{"Message":"An error has occurred."}').replace(b"text/xml", b"application/json"), PROTOCOL, "ASP.NET Web API on the same host", unsafe=UNKNOWN),
    Answer("two answers in one body", raw(envelope("".join(quantity(n).decode().partition("<s:Body>")[2].partition("</s:Body>")[0] for n in (7, 9)))), PROTOCOL, "WS-I Basic Profile, R2201: at most one part", unsafe=UNKNOWN),
    Answer("an answer and a fault in one body", raw(GOOD.replace(b"</s:Body>", b"<s:Fault><faultcode>s:Server</faultcode><faultstring>x</faultstring></s:Fault></s:Body>")), PROTOCOL, "WS-I Basic Profile, R9881", unsafe=UNKNOWN),
    Answer("two bodies", raw(GOOD.replace(b"</s:Body>", b"</s:Body><s:Body/>")), PROTOCOL, "SOAP 1.1, 4.3", unsafe=UNKNOWN),
    Answer("two envelopes", raw(GOOD + GOOD), PROTOCOL, "XML 1.0, 2.1: one root", unsafe=UNKNOWN),
    Answer("two values", raw(quantity(7, "<ResultData>9</ResultData>")), PROTOCOL, "it contradicts itself", unsafe=UNKNOWN),
    Answer("Success and Failure", raw(quantity(7, "<Status>Failure</Status>")), PROTOCOL, "it contradicts itself", unsafe=UNKNOWN),
    Answer("a value with a comment in it", raw(quantity("<!-- a -->7<!-- b -->")), 7, "XML 1.0, 2.5"),
    Answer("a value with an instruction in it", raw(quantity("1<?a b?>7")), 17, "XML 1.0, 2.6: an instruction is no part of the text"),
    Answer("a value in two sections", raw(quantity("<![CDATA[1]]><!-- -->&#55;")), 17, "XML 1.0, 2.7"),
    *(Answer(f"{value!r} for a whole number", raw(quantity(value)), read, "XML Schema 1.1, 3.4.13") for value, read in ((" +7 ", 7), ("007", 7), ("7.000", 7), ("1_7", PROTOCOL), ("\u0667", PROTOCOL), ("\uff17", PROTOCOL), ("7e0", PROTOCOL), ("7.5", PROTOCOL), ("7,0", PROTOCOL), ("", PROTOCOL), ("7<x/>", PROTOCOL))),
]  # fmt: skip
