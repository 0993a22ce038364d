"""Forked children of a client in use: each reads its own answers."""

import asyncio
import os
import threading

import pytest

from octopus_soap.octopia import AsyncOctopiaClient, OctopiaClient, OctopiaSettings, TokenCache
from octopus_soap.octopia.tokens import Flight, Lead, TokenKey
from tests.forks import answers_in_children

SELLERS, CALLS = [str(7000 + number) for number in range(6)], 4
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(params=["plain", pytest.param("TLS", marks=pytest.mark.long)])
def crowded(request, certificate):
    """A fake with one seller per child, and the settings for it."""
    server = request.getfixturevalue("inspected" if request.param == "TLS" else "fake")
    for seller_id in SELLERS:
        server.service.add_seller(seller_id)
        server.service.links.add((server.client_id, seller_id))
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
        assert answers_in_children(SELLERS, ask) == [0] * len(SELLERS)
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
        codes = answers_in_children(SELLERS, lambda seller_id: asyncio.run(ask(seller_id)))
        assert codes == [0] * len(SELLERS)
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
