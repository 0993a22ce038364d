"""A fake Octopia over real HTTP, on a free port of loopback.

For tests, the demo, and for trying things without an account.

```python
with FakeOctopia() as fake:
    settings = OctopiaSettings(token_url=fake.token_url, api_url=fake.api_url)
    secret = SecretStr(fake.client_secret)
    credentials = OwnDevelopment(client_id=fake.client_id, client_secret=secret, seller_id=fake.seller_id)
    with OctopiaClient(credentials, settings=settings) as client:
        print(client.seller().shop_name)
```

Built on the standard library's `http.server`: the whole server is two small classes, and the demo needs no extra for
it. What is answered is decided in `fake_service.py`; script faults with ``fake.service.fail("GET /orders",
too_many("2"))``.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast

from octopus_soap.octopia.fake_answers import API_PATH, TOKEN_PATH
from octopus_soap.octopia.fake_service import FakeService

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeOctopia:
    """A running fake; a context manager.

    It holds one client, one seller linked to it (with orders and offers) and one seller that is not linked.

    Args:
        service: What answers; by default one with 250 orders and 230 offers.
        clock: Seconds that only grow, for the default service's tokens; the real ones by default.
        token_lifetime: ``expires_in`` of the default service's tokens, in seconds.

    Attributes:
        service: State, faults, and the record of what was asked.
        client_id: The registered client. It holds a space and an ``@``, as client ids may.
        client_secret: Its secret; holds signs that a form must encode.
        seller_id: The linked seller.
        unlinked_seller_id: The seller whose calls are answered 403.
    """

    client_id = "Fake Shop@Example Ltd"
    client_secret = "fake+secret&not=real/é%"  # noqa: S105 - not a secret: it opens the fake only
    seller_id = "98979"
    unlinked_seller_id = "11111"

    def __init__(
        self,
        service: FakeService | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        token_lifetime: int | None = 7200,
    ) -> None:
        self.service = service or FakeService(clock, token_lifetime=token_lifetime)
        self.service.add_client(self.client_id, self.client_secret, sellers=[self.seller_id])
        self.service.add_seller(self.seller_id, orders=250, offers=230)
        self.service.add_seller(self.unlinked_seller_id)
        self._server = _Server(self.service)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.004}, name="fake-octopia", daemon=True
        )

    @property
    def origin(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def token_url(self) -> str:
        """The address of its token service."""
        return self.origin + TOKEN_PATH

    @property
    def api_url(self) -> str:
        """The base of its API."""
        return self.origin + API_PATH

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """One thread per connection, and a way to end those that clients keep open."""

    daemon_threads = False  # server_close() waits for them, so that nothing outlives the context manager
    request_queue_size = 512  # the default of 5 would refuse a crowd of threads

    def __init__(self, service: FakeService) -> None:
        self.service = service
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """End the connections that clients keep open; their threads then end by themselves."""
        with self._guard:
            for connection in self._open:
                with suppress(OSError):  # closed by the other side meanwhile
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that hang up or break off TLS; all else is a bug of the fake and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Carries requests to the service and its answers back."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet per answer: unbuffered, head and body would wait for each other's acknowledgement

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = cast("_Server", self.server).service.handle(self.command, self.path, headers, body)
        if answer.deed != "answer":
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:  # noqa: PLR2004 - an answer without content has no length either
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own signature
        """Write nothing: what was asked is in `FakeService.recorded`."""
