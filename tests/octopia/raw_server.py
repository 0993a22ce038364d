"""A server that answers with given bytes, for answers that no good server sends."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class RawServer:
    """Accepts connections, and hands each with its number to *serve* in a thread."""

    def __init__(self, serve: Callable[[socket.socket, int], None]) -> None:
        self._serve, self._threads = serve, list[threading.Thread]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.accepted = 0
        self.stopped = threading.Event()
        self._accepting = threading.Thread(target=self._accept)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                thread = threading.Thread(target=self._guarded, args=(connection, self.accepted))
                self._threads.append(thread)
                thread.start()

    def _guarded(self, connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):  # the client has gone
            self._serve(connection, number)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()


def request_of(connection: socket.socket) -> bytes:
    """Read a request with its body; return nothing if the client has gone."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return b""
        head += piece
    top, _, body = head.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in top.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return top
