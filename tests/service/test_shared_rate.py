"""`rate_limit_store`: one rate for all processes of an account, on a real Redis."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import closing, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import redis

from octopus_soap import (
    AsyncOctopusClient,
    ConfigError,
    OctopusClient,
    OctopusSettings,
    RateLimitedError,
    RateStoreBack,
    RateStoreLost,
    TimedOutError,
)
from octopus_soap.emulator import Status
from octopus_soap.transport import limiter
from octopus_soap.transport.limiter import ASK, FairQueue, SharedRate
from octopus_soap.transport.rate_store import STORE_ERRORS, Grant, TaskStore, ThreadStore, account_key
from tests.fleet.proxy import Proxy
from tests.inside import ask_store_again, limiter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octopus_soap.emulator import Emulator

URL = os.environ.get("OCTOPUS_TEST_REDIS", "redis://127.0.0.1:6379/0")


@pytest.fixture
def store(service: Emulator) -> Iterator[dict[str, Any]]:
    """Settings of one account with a high rate; its key is deleted afterwards."""
    given = {**service.settings(), "backoff_base": 0.0, "max_requests_per_second": 1000, "rate_limit_store": URL}
    key = account_key(OctopusSettings.load(**given))
    with closing(redis.Redis.from_url(URL, socket_timeout=2)) as server:
        try:
            server.delete(key)
        except STORE_ERRORS as error:
            pytest.skip(f"no Redis at {URL}: {type(error).__name__}")
        service.store.add_item("A", Stock="7")
        yield given
        server.delete(key)


# -- the store ---------------------------------------------------------------------------------------------------------


def test_two_processes_get_moments_an_interval_apart_by_the_clock_of_redis(store: dict[str, Any]) -> None:
    settings = OctopusSettings.load(**{**store, "max_requests_per_second": 2})
    with closing(ThreadStore(settings)) as one, closing(ThreadStore(settings)) as other:
        moments = [each.reserve(60, 0).moment for each in (one, other, other, one)]
        assert [after - before for before, after in pairwise(moments)] == [500_000] * 3
        refused = one.reserve(0.4, 0)
        assert refused.moment == 0
        assert refused.wait > 0.4
        assert one.reserve(60, 0).moment == moments[-1] + 500_000, "a moment that comes too late is not taken"

    async def third() -> Grant:
        tasks = TaskStore(settings)
        try:
            return await tasks.reserve(60, 0)
        finally:
            await tasks.close()

    assert asyncio.run(third()).moment == moments[-1] + 1_000_000


def test_a_moment_is_confirmed_unless_the_service_asked_for_a_pause_meanwhile(store: dict[str, Any]) -> None:
    settings = OctopusSettings.load(**{**store, "max_requests_per_second": 1})
    with closing(ThreadStore(settings)) as one, closing(ThreadStore(settings)) as other:
        one.reserve(60, 0)
        taken = one.reserve(60, 0)
        assert one.reserve(60, taken.moment).moment == taken.moment
        other.hold(20)
        moved = one.reserve(60, taken.moment)
        assert moved.moment > taken.moment
        assert moved.held > 0
        assert moved.wait >= moved.held
        other.hold(5)
        assert one.reserve(60, 0).moment == moved.moment + 1_000_000, "a shorter pause ends no longer one"
        other.hold(500)
        assert one.reserve(10_000, 0).moment == 0, "longer than retry_after_cap"


def test_the_key_shows_no_secret_and_differs_by_account(store: dict[str, Any]) -> None:
    settings = OctopusSettings.load(**store)
    key = account_key(settings)
    assert not [secret for secret in settings.secrets() if secret in key]
    others = [settings.changed(merchantname="other"), settings.changed(endpoint="https://other.example/x")]
    assert len({key, *map(account_key, others)}) == 3
    assert account_key(settings.changed(max_requests_per_second=5)) == key


# -- the limiter with the store: stepped by hand -------------------------------------------------------------------


def test_the_head_asks_waits_and_confirms() -> None:
    rate = SharedRate(2.0)
    line = FairQueue(10, rate)
    assert not line.start_at_once(0.0)
    ticket = line.join(lambda: None)
    assert line.ask(ticket, 0.0) == ASK
    rate.learn(Grant(3.0, 77, 0.0), 0.0)
    assert (rate.moment, line.ask(ticket, 1.0)) == (77, 2.0)
    assert line.ask(ticket, 3.0) == ASK
    rate.learn(Grant(0.0, 77, 0.0), 3.0)
    assert line.ask(ticket, 3.0) == 0.0
    assert (rate.moment, line.start_at_once(3.0)) == (0, False)


def test_the_next_request_has_the_moment_of_a_cancelled_one() -> None:
    rate = SharedRate(2.0)
    line = FairQueue(10, rate)
    first, second = line.join(lambda: None), line.join(lambda: None)
    assert line.ask(first, 0.0) == ASK
    rate.learn(Grant(3.0, 77, 0.0), 0.0)
    line.leave(first)
    assert (line.ask(second, 0.5), rate.moment) == (2.5, 77)


def test_a_start_that_was_allowed_and_not_used_is_void_after_a_second() -> None:
    rate = SharedRate(2.0)
    rate.learn(Grant(0.0, 77, 0.0), 0.0)
    assert rate.reserve(5.0) == ASK


def test_while_the_store_is_away_the_rate_is_kept_here() -> None:
    rate = SharedRate(2.0)
    rate.learn(Grant(0.0, 77, 0.0), 0.0)
    assert rate.reserve(0.0) == 0.0
    rate.lose(0.1)
    assert [rate.reserve(now) for now in (0.25, 0.5, 0.5)] == [0.25, 0.0, 0.5]
    assert (rate.wait(0.5, 2), rate.reserve(0.1 + limiter.AWAY_SECONDS)) == (1.5, ASK)


# -- clients -----------------------------------------------------------------------------------------------------------


def test_clients_of_one_account_share_the_rate(
    store: dict[str, Any], make_client: Callable[..., OctopusClient]
) -> None:
    slow = {**store, "max_requests_per_second": 0.01, "total_timeout": 5.0}
    one, other = make_client(**slow), make_client(**slow)
    assert one.is_sku_exist("A") is True
    with pytest.raises(TimedOutError, match=r"max_requests_per_second \(0\.01\).*not sent"):
        other.is_sku_exist("A")

    async def third() -> None:
        async with AsyncOctopusClient(settings=OctopusSettings.load(**slow)) as client:
            with pytest.raises(TimedOutError, match=r"max_requests_per_second \(0\.01\).*not sent"):
                await client.is_sku_exist("A")
            assert len(limiter_of(client).line) == 0

    asyncio.run(third())
    other_account = make_client(**{**slow, "rate_limit_store": None})
    assert other_account.is_sku_exist("A") is True


@pytest.mark.timeout(60)
def test_a_cancelled_task_leaves_the_queue(store: dict[str, Any], service: Emulator) -> None:
    async def main() -> None:
        settings = OctopusSettings.load(**{**store, "max_requests_per_second": 0.01, "total_timeout": 3600})
        async with AsyncOctopusClient(settings=settings) as client:
            await client.is_sku_exist("A")
            waiting = asyncio.create_task(client.is_sku_exist("A"))
            line = limiter_of(client).line
            while not line.pace.moment:  # noqa: ASYNC110 - until it has reserved a moment, a hundred seconds from now
                await asyncio.sleep(0)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            assert (len(line), line.under_way) == (0, 0)

    asyncio.run(main())
    assert len(service.calls) == 1


def test_a_pause_asked_of_one_client_is_made_by_the_others(
    store: dict[str, Any], service: Emulator, make_client: Callable[..., OctopusClient]
) -> None:
    service.script.on("*").times(1).do(Status(429, retry_after=900))
    with pytest.raises(RateLimitedError):
        make_client(**store).is_sku_exist("A")
    with pytest.raises(RateLimitedError, match=r"asked for a pause of this account.*not sent") as caught:
        make_client(**store).is_sku_exist("A")
    assert 800 < (caught.value.retry_after or 0) <= 900

    async def other() -> None:
        async with AsyncOctopusClient(settings=OctopusSettings.load(**store)) as client:
            with pytest.raises(RateLimitedError):
                await client.is_sku_exist("A")

    asyncio.run(other())
    assert len(service.calls) == 1


def test_a_pause_asked_of_an_asynchronous_client_is_made_by_the_others(
    store: dict[str, Any], service: Emulator, make_client: Callable[..., OctopusClient]
) -> None:
    service.script.on("*").times(1).do(Status(503, retry_after=900))

    async def first() -> None:
        async with AsyncOctopusClient(settings=OctopusSettings.load(**store)) as client:
            with pytest.raises(RateLimitedError):
                await client.is_sku_exist("A")

    asyncio.run(first())
    with pytest.raises(RateLimitedError, match="not sent"):
        make_client(**store).get_item_quantity("A")
    assert len(service.calls) == 1


# -- the store is away -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
def test_without_the_store_calls_go_on_and_with_it_again_the_rate_is_shared_again(
    store: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []

    def seen() -> list[str]:
        return [type(e).__name__ for e in events if isinstance(e, RateStoreLost | RateStoreBack)]

    with Proxy(URL, 6379) as proxy:
        settings = OctopusSettings.load(**{**store, "rate_limit_store": proxy.url, "client_label": "shop"})
        with OctopusClient(settings=settings, on_event=events.append) as client:
            assert client.is_sku_exist("A") is True
            proxy.cut()
            assert [client.is_sku_exist("A"), client.get_item_quantity("A")] == [True, 7]
            assert (seen(), client.counters.rate_store_lost) == (["RateStoreLost"], 1)
            assert "rate_limit_store cannot be reached" in caplog.text
            proxy.restore()
            ask_store_again(client)
            assert client.is_sku_exist("A") is True
            assert seen() == ["RateStoreLost", "RateStoreBack"]
            assert {e.client_label for e in events} == {"shop"}

        async def main() -> None:
            async with AsyncOctopusClient(settings=settings, on_event=events.append) as client:
                assert await client.is_sku_exist("A") is True
                proxy.cut()
                assert await client.is_sku_exist_list(["A", "B"]) == [True, False]
                assert client.counters.rate_store_lost == 1
                proxy.restore()
                ask_store_again(client)
                assert await client.is_sku_exist("A") is True

        events.clear()
        asyncio.run(main())
        assert seen() == ["RateStoreLost", "RateStoreBack"]


@pytest.mark.timeout(60)
def test_a_store_that_never_answers_is_left_after_its_limit_and_blocks_no_event_loop(store: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        settings = OctopusSettings.load(**{**store, "rate_limit_store": address})
        with OctopusClient(settings=settings) as client:
            assert client.is_sku_exist("A") is True
            assert client.counters.rate_store_lost == 1

        async def main() -> None:
            async with AsyncOctopusClient(settings=settings) as client:
                call, turns = asyncio.create_task(client.is_sku_exist("A")), 0
                while not call.done():
                    await asyncio.sleep(0)
                    turns += 1
                assert await call is True
                assert turns > 5, "the loop went on while the store was silent"
                assert client.counters.rate_store_lost == 1

        asyncio.run(main())


# -- settings ----------------------------------------------------------------------------------------------------------


def test_the_setting_is_secret_and_checked(service: Emulator) -> None:
    given = {**service.settings(), "max_requests_per_second": 5}
    settings = OctopusSettings.load(**given, rate_limit_store="redis://:pass%2Fword@127.0.0.1:6379/0")
    assert "pass" not in repr(settings) + str(settings.model_dump_json())
    assert {"pass%2Fword", "pass/word"} <= set(settings.secrets())
    for wrong in ("127.0.0.1:6379", "http://127.0.0.1", "redis://", "redis://127.0.0.1:x"):
        with pytest.raises(ConfigError, match="rate_limit_store: must be redis://"):
            OctopusSettings.load(**given, rate_limit_store=wrong)
    with pytest.raises(ConfigError, match="set max_requests_per_second too"):
        OctopusSettings.load(**service.settings(), rate_limit_store=URL)


# -- processes ---------------------------------------------------------------------------------------------------------

PROCESS = """
import sys
from octopus_soap import OctopusClient, OctopusSettings
client = OctopusClient(settings=OctopusSettings.load(max_requests_per_second=20))
client.is_sku_exist("A")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    client.is_sku_exist("A")
assert client.counters.rate_store_lost == 0
"""


@pytest.mark.long
@pytest.mark.timeout(120)
def test_four_processes_at_once_keep_the_rate(store: dict[str, Any], service: Emulator) -> None:
    names = ("endpoint", "authtoken", "merchantname", "accessid", "rate_limit_store")
    variables = {f"OCTOPUS_{name.upper()}": str(store[name]) for name in names}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS], env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]  # fmt: skip
    try:
        assert [process.stdout and process.stdout.readline() for process in started] == ["ready\n"] * 4
        before = len(service.calls)
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.wait(90) for process in started] == [0] * 4
    finally:
        for process in started:
            process.kill()
            process.communicate()
    stamps = sorted(call.at.timestamp() for call in service.calls[before:])
    assert len(stamps) == 40
    # The rate is 20 a second; without the store all 40 come in half a second. Late timers may bunch some.
    most = max(sum(1 for stamp in stamps if begin <= stamp < begin + 1.0) for begin in stamps)
    assert most <= 32
