"""Find the end of an HTTP/1.1 answer in its bytes, for both clients alike.

http.client and h11 read the same bytes differently. http.client ends the headers at the first line it does not
understand, takes the first of two lengths, and reads `0x10` as a chunk size; h11 refuses these. Bytes that are read
wrongly become the answer to another call. So each byte passes through `Framing` before a library parses it, in both
clients, and an ambiguous answer ends the exchange.

Invariants:

* Pure: it receives bytes, and keeps no more of them than one line or one block of headers.
* Everything that RFC 9112 leaves open or forbids is refused: two lengths, a length that is not a number, a transfer
  coding other than `chunked`, a header line without a colon or with a space before it, a chunk size that is not
  hexadecimal.
* Up to `_MOST_INTERIM` interim answers (1xx) may come before the answer. 101 is refused, as nothing asked for another
  protocol.
* `reusable` is True only if the answer is complete, nothing followed it, and neither side wants the connection closed.

Failure: `FramingError`, which holds no byte of the answer.
"""

from __future__ import annotations

import re
from http.client import HTTPException
from typing import TYPE_CHECKING

from octopus_soap.engine.effects import FailureKind, SendFailure
from octopus_soap.errors import ProtocolError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from octopus_soap._http import BodyCodingError

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: [^\x00-\x08\x0a-\x1f\x7f]*)?\r?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*\r?")
_FOLDED = re.compile(rb"[ \t]+[^\x00-\x08\x0a-\x1f\x7f]*\r?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_DIGITS = re.compile(rb"[0-9]{1,15}")
_MOST_HEAD = 100 * 1024
"""Bytes of one block of headers, as h11 limits it; http.client allows 100 lines of 64 kB."""
_MOST_LINES = 99
"""Header lines of one block, as http.client limits them, which counts the blank one too; h11 has no such limit."""
_MOST_LINE = 8 * 1024
"""Bytes of a chunk's size with its extensions."""
_MOST_INTERIM = 32
_LONGEST = 64 * 1024 - 1
"""Bytes of a line without its LF, as http.client limits them."""
_OF_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class FramingError(HTTPException):
    """The bytes are not an HTTP/1.1 answer, or do not show its end."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the answer is not valid HTTP: {why}")


class Framing:
    """The answer to one request.

    Args:
        connecting: True for a CONNECT request, whose successful answer has no body.

    Attributes:
        begun: True once a byte came.
        ended: True once the answer is complete.
        surplus: True if bytes followed the answer.
    """

    def __init__(self, *, connecting: bool = False) -> None:
        self.begun = self.ended = self.surplus = False
        self._connecting = connecting
        self._closes = False
        self._interim = 0
        self._held = b""
        self._left = 0
        self._step: Callable[[Framing, bytes, int], int] = Framing._head

    @property
    def reusable(self) -> bool:
        """True if the connection may serve another request."""
        return self.ended and not self.surplus and not self._closes

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the answer.

        Raises:
            FramingError: They cannot be part of one.
        """
        self.begun = True
        if self._held:
            data, self._held = self._held + data, b""
        at = 0
        while at < len(data):
            if self.ended:
                self.surplus = True
                return
            after = self._step(self, data, at)
            if after < 0:  # more is needed to understand it
                self._held = data[at:]
                return
            at = after

    def end(self) -> None:
        """Take the end of the connection.

        Raises:
            FramingError: The answer had begun, and is not complete.
        """
        if self._step is Framing._rest:
            self.ended = True
        if self.begun and not self.ended:
            raise FramingError("it breaks off")

    # Each step reads from position *at*, and returns the position of the next step; a negative number if it needs more.

    def _head(self, data: bytes, at: int) -> int:
        data = data[at:]
        blank = _BLANK_LINE.search(data)
        if blank is None:
            if len(data) > _MOST_HEAD:
                raise FramingError("the headers are longer than 100 kB")
            first = data.find(b"\n")
            shown = data if first < 0 else data[:first]
            if not shown.startswith(b"HTTP/1."[: len(shown)]):
                raise FramingError("it does not begin with a status line of HTTP/1")
            return -1
        end = blank.end()
        if end > _MOST_HEAD:
            raise FramingError("the headers are longer than 100 kB")
        lines = data[:end].rstrip(b"\r\n").split(b"\n")
        if len(lines[0]) > _LONGEST:
            raise FramingError("its status line is longer than 64 kB")
        found = _STATUS_LINE.fullmatch(lines[0])
        if found is None:
            raise FramingError("it does not begin with a status line of HTTP/1")
        headers = _headers(lines[1:])
        status = int(found[2])
        if status < 200:  # noqa: PLR2004 - interim answers
            if status == 101:  # noqa: PLR2004 - 101
                raise FramingError("it switches to another protocol, which nothing asked for")
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise FramingError("interim answers come without end")
        else:
            self._begin_body(status, int(found[1]), headers)
        return at + end

    def _begin_body(self, status: int, minor: int, headers: dict[bytes, list[bytes]]) -> None:
        codings = b",".join(headers.get(b"transfer-encoding", [])).lower()
        lengths = set(headers.get(b"content-length", []))
        wishes = set(map(bytes.strip, b",".join(headers.get(b"connection", [])).lower().split(b",")))
        if codings not in {b"", b"chunked"}:
            raise FramingError("its Transfer-Encoding is not chunked")
        if len(lengths) > 1:
            raise FramingError("it names two lengths")
        if lengths and not _DIGITS.fullmatch(next(iter(lengths))):
            raise FramingError("its Content-Length is not a number")
        # An answer with both can hide another answer behind it, and HTTP/1.0 has no chunks: the bytes that follow are
        # not trusted.
        untrusted = bool(codings) and (bool(lengths) or minor == 0)
        self._closes = b"close" in wishes or (minor == 0 and b"keep-alive" not in wishes) or untrusted
        if status in {204, 304} or (self._connecting and status < 300):  # noqa: PLR2004 - they have no body
            self.ended = True
        elif codings:
            self._step = Framing._chunk
        elif lengths:
            self._left = int(lengths.pop())
            self.ended = not self._left
            self._step = Framing._plain
        else:
            self._closes, self._step = True, Framing._rest

    def _rest(self, data: bytes, _: int) -> int:
        """Take everything: the answer ends with the connection."""
        return len(data)

    def _plain(self, data: bytes, at: int) -> int:
        taken = min(self._left, len(data) - at)
        self._left -= taken
        self.ended = not self._left
        return at + taken

    def _chunk(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at, at + _MOST_LINE) + 1
        if not end:
            if len(data) - at > _MOST_LINE:
                raise FramingError("the size of a chunk cannot be read")
            return -1
        found = _CHUNK.fullmatch(data, at, end)
        if found is None:
            raise FramingError("the size of a chunk cannot be read")
        self._left = int(found[1], 16)
        self._step = Framing._content if self._left else Framing._trailer
        return end

    def _content(self, data: bytes, at: int) -> int:
        taken = min(self._left, len(data) - at)
        self._left -= taken
        if not self._left:
            self._step = Framing._after_chunk
        return at + taken

    def _after_chunk(self, data: bytes, at: int) -> int:
        if not b"\r\n".startswith(data[at : at + 2]):
            raise FramingError("a chunk is longer than its size")
        if len(data) - at == 1:
            return -1
        self._step = Framing._chunk
        return at + 2

    def _trailer(self, data: bytes, at: int) -> int:
        if data.startswith(b"\n", at):
            raise FramingError("the size of a chunk cannot be read")
        place = data.find(b"\n\r\n", at)
        end = at + 2 if data.startswith(b"\r\n", at) else place + 3
        if place < 0 and end != at + 2:
            if len(data) - at > _MOST_HEAD:
                raise FramingError("the headers are longer than 100 kB")
            return -1
        if end > at + 2:
            _headers(data[at:end].rstrip(b"\r\n").split(b"\n"))
        self.ended = True
        return end


def oversized(limit: int, elapsed: float) -> SendFailure:
    """Return the failure of an answer that was too long to be read."""
    error = ProtocolError(f"the reply is larger than max_reply_bytes ({limit} bytes); it was not read")
    return SendFailure(FailureKind.OVERSIZED, error, elapsed)


def unreadable(error: BodyCodingError, elapsed: float) -> SendFailure:
    """Return the failure of an answer that cannot be decompressed."""
    return SendFailure(FailureKind.AMBIGUOUS, TransportError(f"the answer broke off: {error}"), elapsed)


def _headers(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    if len(lines) > _MOST_LINES:
        raise FramingError("it has more than 99 header lines")
    found: dict[bytes, list[bytes]] = {}
    last = b""
    for line in lines:
        if len(line) > _LONGEST:
            raise FramingError("a header line is longer than 64 kB")
        header = _HEADER.fullmatch(line)
        if header is None:  # it may continue the line before, unless the end of the answer depends on that one
            readable = last and last not in _OF_FRAMING and _FOLDED.fullmatch(line)
            if not readable:
                raise FramingError("a header line cannot be read")
            continue
        last = header[1].lower()
        found.setdefault(last, []).append(header[2])
    return found
