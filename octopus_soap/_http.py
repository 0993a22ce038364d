"""Small HTTP rules that both clients share: pure functions, and no heavy import.

Nothing here sends, sleeps, reads a setting or raises an error of the package: callers raise their own errors.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.cookiejar import CookieJar

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
# Expressions are texts here, because most processes use none: re compiles each at its first use, and caches it.
_NUMBER = r"\d{1,300}(\.\d+)?"
_LONGEST_PAUSE = 999_999_999.0
"""Seconds: 31 years, so that its end is still a date that Python has."""
_LINE_ENDS = r"[ ]*[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+[ ]*"
_UNSEEN = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_LOGIN = r"(\w{1,20}://)\S{0,300}@|[^\s/'\"(]{1,300}:(?!//)\S{1,300}@"
_CODINGS = {"": 0, "identity": 0, "gzip": 31, "x-gzip": 31, "deflate": 15}
_ZLIB_HEAD = b"\x78\x9c"
_GZIP, _RAW_DEFLATE = 31, -15
_COUNT_ROOM = 24  # bytes kept for the note on how much was cut


def clip(text: str, limit: int) -> str:
    """Shorten *text* to at most *limit* bytes of UTF-8, and note how long it was."""
    if len(text) * 4 <= limit:  # no character takes more than four bytes
        return text
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return text
    return f"{encoded[: limit - _COUNT_ROOM].decode('utf-8', 'ignore')}… ({len(text)} characters)"


def one_line(text: str) -> str:
    """Return *text* on one line without control characters, safe to print and to log.

    Line ends and tabs become a space. Other control characters, such as ESC, and characters that reverse the direction
    of writing are shown as escapes, because a terminal would obey them.
    """
    if text.isprintable():  # nearly always, and quick
        return text
    return re.sub(_UNSEEN, lambda found: found[0].encode("unicode_escape").decode(), re.sub(_LINE_ENDS, " ", text))


def private_opener(path: str, flags: int) -> int:
    """Open a file, as an `opener` of `open`; only the owner can read a new file."""
    return os.open(path, flags, 0o600)


def proxy_variables() -> str:
    """Return the names of the proxy variables that are set, for a message."""
    names = [each for name in _PROXIES for each in (name, name.lower()) if os.environ.get(each)]
    return ", ".join(names) or "the proxy settings of this machine"


def without_logins(text: str) -> str:
    """Return *text*, such as a proxy's error, without the logins of URLs in it."""
    return re.sub(_LOGIN, r"\1***@", text)


def is_loopback(url: str) -> bool:
    """True if the host of *url* is this machine; False if there is no host to judge."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fits_header(value: str) -> bool:
    """True if *value* can be sent as an HTTP header."""
    return bool(value) and value == value.strip() and value.isascii() and value.isprintable()


def http_date(value: str) -> datetime | None:
    """Return the moment of a header such as `Date`; None if it is not a date."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, and rarely needed

    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After`; None if it is absent or unreadable.

    A date is compared with the answer's own `Date`, if there is one, so that a wrong local clock does not matter. The
    names in *headers* are in lower case.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if re.fullmatch(_NUMBER, value, re.ASCII):
        return min(float(value), _LONGEST_PAUSE)
    until, now = http_date(value), http_date(headers.get("date", "")) or datetime.now(UTC)
    return None if until is None else max(0.0, (until - now).total_seconds())


def ca_from_environment() -> str:
    """Return the CA file or folder of the first of `CA_VARIABLES`, or an empty text."""
    return next((value for name in CA_VARIABLES if (value := os.environ.get(name))), "")


def no_cookies() -> CookieJar:
    """Return a cookie jar that stores nothing."""
    from http.cookiejar import CookieJar, DefaultCookiePolicy  # noqa: PLC0415 - slow to import

    # httpx would keep the cookies of every answer for as long as the client lives, although we send none back.
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


class BodyTooLongError(ValueError):
    """A body has more bytes, decompressed, than the caller allows."""


class BodyCodingError(ValueError):
    """A body has an unsupported coding, or its bytes are damaged or cut short."""


class Inflater:
    """Decompresses a body piece by piece, to *limit* bytes at most.

    Supported are no coding, ``gzip`` (of one member or several), ``x-gzip``, and ``deflate`` with or without the zlib
    wrapper. Several codings on top of each other are refused: each multiplies the size by up to a thousand.

    Args:
        coding: The value of `Content-Encoding`; empty if there was none.
        limit: The maximum size of the decompressed body, in bytes.

    Raises:
        BodyCodingError: The coding is none of these, or there are several.
    """

    def __init__(self, coding: str, limit: int = sys.maxsize) -> None:
        named = [part for part in (part.strip().lower() for part in coding.split(",")) if part not in {"", "identity"}]
        if len(named) > 1 or (named and named[0] not in _CODINGS):
            raise BodyCodingError(f"Content-Encoding {clip(coding, 80)!r} is not read; gzip and deflate are")
        self._window = _CODINGS[named[0]] if named else 0
        self._limit, self._made = limit, 0
        self._member = zlib.decompressobj(self._window) if self._window else None
        self._begun = False
        self._waiting = b""
        self._ended = False  # a member is complete; what follows is another member, or padding

    def feed(self, piece: bytes) -> bytes:
        """Return the bytes that *piece* adds to the body.

        Raises:
            BodyTooLongError: The body is longer than the limit.
            BodyCodingError: The compressed bytes are damaged.
        """
        if self._member is None:
            self._count(len(piece))
            return piece
        self.hold(piece)
        return b"".join(iter(self.take, b""))

    def hold(self, piece: bytes) -> None:
        """Store *piece* for `take`."""
        self._waiting += piece

    def take(self, most: int = sys.maxsize) -> bytes:
        """Return at most *most* bytes of the body; empty if more input is needed.

        Raises:
            BodyTooLongError: The body is longer than the limit.
            BodyCodingError: The compressed bytes are damaged.
        """
        made = b""
        if self._member is None:
            made, self._waiting = self._waiting[:most], self._waiting[most:]
        while not made and self._member is not None and self._waiting:
            if self._ended:
                self._waiting = self._waiting.lstrip(b"\0")
                if not self._waiting:
                    break
                if self._window != _GZIP:
                    raise BodyCodingError("bytes follow the end of the compressed body")
                self._member, self._ended = zlib.decompressobj(self._window), False
            if not self._begun and len(self._waiting) < len(_ZLIB_HEAD):
                break  # too short to show whether the zlib wrapper is there
            made = self._inflated(self._waiting, most)
            self._begun = True
            self._ended = self._member.eof
            self._waiting = self._member.unused_data if self._ended else self._member.unconsumed_tail
        self._count(len(made))
        return made

    def end(self) -> None:
        """Check that the body was complete.

        Raises:
            BodyCodingError: It is cut short.
        """
        if (self._begun or self._waiting) and self._member is not None and not self._ended:
            raise BodyCodingError("the compressed body breaks off")

    def _inflated(self, piece: bytes, most: int) -> bytes:
        assert self._member is not None  # noqa: S101 - the caller has checked it
        room = min(self._limit - self._made + 1, most)
        try:
            return self._member.decompress(piece, room)
        except zlib.error as error:
            if self._window == _CODINGS["deflate"] and not self._begun:  # many servers leave the zlib wrapper out
                self._window, self._member = _RAW_DEFLATE, zlib.decompressobj(_RAW_DEFLATE)
                return self._inflated(piece, most)
            raise BodyCodingError(f"the compressed body is damaged: {error}") from None

    def _count(self, more: int) -> None:
        self._made += more
        if self._made > self._limit:
            raise BodyTooLongError(f"the body is longer than {self._limit} bytes")
