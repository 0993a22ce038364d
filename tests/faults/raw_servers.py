"""Raw servers, for behaviour that the emulator does not have."""

from __future__ import annotations

import socket
import threading
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class RawServer:
    """A TCP server on loopback that handles each connection in a thread."""

    def __init__(self, handle: Callable[[socket.socket], None], receive_buffer: int | None = None) -> None:
        self._handle = handle
        self._listener = socket.socket()
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self.closing = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/OctopusService.svc"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._handle(connection)
            except OSError:
                return  # the client went away, as it should

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed already
        for thread in [self._accepting, *self._threads]:
            thread.join(5)


@contextmanager
def raw_server(handle: Callable[[socket.socket], None], receive_buffer: int | None = None) -> Iterator[RawServer]:
    server = RawServer(handle, receive_buffer)
    try:
        yield server
    finally:
        server.close()


def bomb_of(megabytes: int, wbits: int = 31) -> bytes:
    """Make so many megabytes of blanks as gzip, or with *wbits* 15 as deflate.

    Each is about a kilobyte. One megabyte is compressed, and repeated: after a full flush, what follows refers to
    nothing before it. The checksum at the end is wrong, which is too late for a reader that unpacks everything.
    """
    packer, blanks = zlib.compressobj(9, zlib.DEFLATED, wbits), b" " * 1_000_000
    first, again = (packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * (megabytes - 1) + packer.flush()


def read_request(connection: socket.socket) -> bytes:
    """Read one HTTP request; return nothing if the client closed the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    ).encode() + body


def envelope(inner: str) -> bytes:
    return f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


EXISTS = envelope(
    '<IsSkuExistResponse xmlns="http://tempuri.org/"><IsSkuExistResult>true</IsSkuExistResult></IsSkuExistResponse>'
)
CREDENTIALS = {"authtoken": "not-a-real-token", "merchantname": "shop", "accessid": "not-a-real-id"}
