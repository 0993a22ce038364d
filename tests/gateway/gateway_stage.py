"""A gateway on a free port, in a thread of the test process."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from octopus_soap import AsyncOctopusClient
from octopus_soap.gateway import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octopus_soap.emulator import Emulator


@contextmanager
def running(service: Emulator, options: dict[str, float] | None = None, **wanted: Any) -> Iterator[str]:
    """Yield the address of a gateway to *service*."""
    client = AsyncOctopusClient(**service.settings())
    if options:
        client = client.with_options(**options)
    config = uvicorn.Config(create_app(client, **wanted), host="127.0.0.1", port=0, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the gateway did not start"
        threading.Event().wait(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
