"""Both clients read the same bytes alike, and the next call gets its own answer."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from answers import ANSWERS, NEXT, Answer, raw

from octopus_soap import OctopusClient, OctopusError, OctopusSettings
from octopus_soap.models import OrderDownloadSubmitRequest, OrderSubmit
from tests.awaited import AwaitedClient
from tests.every import every
from tests.faults.raw_servers import read_request

if TYPE_CHECKING:
    from collections.abc import Iterator

CREDENTIALS = {"authtoken": "truth-token-1", "merchantname": "shop", "accessid": "truth-access-1"}


class Server:
    """Sends the row's bytes to the first request, and a good answer to the others.

    Attributes:
        connections: how many were made.
        ended: set when the server has closed the first answer's connection, if the row has that.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer, self._first = answer, True
        self.connections = 0
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/OctopusService.svc"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=[connection], daemon=True))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while read_request(connection):
                first, self._first = self._first, False
                connection.sendall(self._answer.sent if first else raw(NEXT))
                if first and self._answer.closes:
                    # A clean end: what the client still sends must not turn it into a reset.
                    connection.shutdown(socket.SHUT_WR)
                    self.ended.set()
                    while connection.recv(65536):
                        pass
                    return

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)


@contextmanager
def served(answer: Answer, kind: str) -> Iterator[tuple[Server, Any]]:
    server = Server(answer)
    given = {"max_attempts": 1, "read_timeout": 20.0, "omitted_values": "send", **CREDENTIALS, **answer.settings}
    settings = OctopusSettings.load(endpoint=server.url, **given)
    client: Any = OctopusClient(settings=settings) if kind == "blocking" else AwaitedClient(settings)
    try:
        yield server, client
    finally:
        client.close()
        server.close()


def outcome(call: Any) -> Any:
    try:
        return call()
    except OctopusError as error:
        failed = getattr(error, "result", None)
        shown = failed.outcomes[0].error if failed is not None and failed.outcomes[0].error else error
        assert len(str(shown)) < 1000
        return type(shown).__name__


def of_each(answers: list[Answer]) -> Any:
    return pytest.mark.parametrize("answer", answers, ids=[answer.name for answer in answers])


by_both_clients = every("kind", ["blocking", "async"])


@of_each(ANSWERS)
@by_both_clients
def test_a_read(answer: Answer, kind: str) -> None:
    with served(answer, kind) as (server, client):
        assert outcome(lambda: client.get_item_quantity("A")) == answer.read, answer.source
        if answer.closes:  # any client loses a request that it sends before the end arrives
            server.ended.wait(10)
        assert client.get_item_quantity("B") == 8, "the next call gets its own answer"
        if not answer.differs:
            assert (server.connections == 1) is answer.reused, "the connection is reused or closed"


@of_each([answer for answer in ANSWERS if answer.unsafe])
def test_a_new_order(answer: Answer) -> None:
    """One client is enough: reads prove that both see the same answer."""
    with served(answer, "blocking") as (_, client):
        order = OrderSubmit(order_id="1", order_date=datetime(2026, 1, 1, tzinfo=UTC))
        assert outcome(lambda: client.submit_order(order)) == answer.unsafe, answer.source


@of_each([answer for answer in ANSWERS if answer.void])
@by_both_clients
def test_an_operation_without_a_result(answer: Answer, kind: str) -> None:
    with served(answer, kind) as (_, client):
        request = OrderDownloadSubmitRequest(order_id="1", store_id="1")
        assert str(outcome(lambda: client.set_download_order_confirm([request]))) == answer.void, answer.source


def test_the_table_is_whole() -> None:
    assert len(ANSWERS) >= 80
    assert len({answer.name for answer in ANSWERS}) == len(ANSWERS)
    assert all(answer.source for answer in ANSWERS)
