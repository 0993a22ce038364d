"""Forked children of a client in use: each reads its own answers."""

import asyncio
import os
import threading

import pytest

from octopus_soap.octopia import AsyncOctopiaClient, OctopiaClient, OctopiaSettings, TokenCache
from octopus_soap.octopia.tokens import Flight, Lead, TokenKey

CHILDREN, CALLS = 6, 4
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def answers_in_children(ask) -> list[int]:
    """Fork children that ask at once; return exit codes, 0 for right answers."""
    ready, go = os.pipe()
    children = []
    for number in range(CHILDREN):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(go)
                os.read(ready, 1)  # returns in all of them when the parent closes its end
                code = 0 if ask(str(7000 + number)) else 2
            finally:
                os._exit(code)
        children.append(child)
    os.close(go)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(ready)
    return codes


@pytest.fixture(params=["plain", pytest.param("TLS", marks=pytest.mark.long)])
def crowded(request, certificate):
    """A fake with one seller per child, and the settings for it."""
    server = request.getfixturevalue("inspected" if request.param == "TLS" else "fake")
    for number in range(CHILDREN):
        server.service.add_seller(str(7000 + number))
        server.service.links.add((server.client_id, str(7000 + number)))
    urls = {"token_url": server.token_url, "api_url": server.api_url}
    if request.param == "TLS":
        urls = {name: url.replace("http:", "https:") for name, url in urls.items()} | {"verify": certificate[0]}
    return server, OctopiaSettings(**urls)


def test_children_of_a_blocking_client_read_their_own_answers(crowded, credentials):
    server, settings = crowded

    def ask(seller_id: str) -> bool:
        mine = client.for_seller(seller_id)
        return all(mine.seller().seller_id == seller_id for _ in range(CALLS))

    with OctopiaClient(credentials, settings=settings, tokens=TokenCache()) as client:
        assert client.seller().seller_id == server.seller_id
        assert answers_in_children(ask) == [0] * CHILDREN
        assert client.seller().seller_id == server.seller_id
    assert server.service.tokens_issued == 1  # a child uses its parent's token


def test_children_of_an_asyncio_client_read_their_own_answers(crowded, credentials):
    server, settings = crowded
    client = AsyncOctopiaClient(credentials, settings=settings, tokens=TokenCache())

    async def ask(seller_id: str) -> bool:
        mine = client.for_seller(seller_id)
        return all([(await mine.seller()).seller_id == seller_id for _ in range(CALLS)])

    async def ask_and_close(seller_id: str) -> bool:
        try:
            return await ask(seller_id)
        finally:
            await client.close()

    with asyncio.Runner() as runner:
        assert runner.run(ask(server.seller_id))
        assert answers_in_children(lambda seller_id: asyncio.run(ask(seller_id))) == [0] * CHILDREN
        assert runner.run(ask_and_close(server.seller_id))


def test_a_child_waits_for_no_lock_and_no_flight_of_its_parent(credentials):
    """They would never end in the child: the thread that holds them is not there."""
    tokens, held, release = TokenCache(), threading.Event(), threading.Event()
    key = TokenKey.of("https://x.example/token", "c", credentials.client_secret)
    assert isinstance(tokens.claim(key), Lead)
    assert isinstance(tokens.claim(key), Flight)

    def hold() -> None:
        with tokens._lock:
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if isinstance(tokens.claim(key), Lead) else 2
        finally:
            os._exit(code)
    release.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
