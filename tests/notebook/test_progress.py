"""`progress=`: a bar or a callable, updated after each batch, and always closed."""

from __future__ import annotations

import asyncio
import io
import sys
from types import ModuleType
from typing import Any

import pytest

from octopus_soap import AsyncOctopusClient, BatchError, ConfigError, InvalidInputError, OctopusSettings
from octopus_soap.emulator import Reset

SKUS = [f"{number:03d}" for number in range(25)]


class FakeBar:
    """Records the calls to a tqdm bar."""

    made: list[FakeBar]

    def __init__(self, **options: Any) -> None:
        self.options, self.n, self.closed, self.stands = options, 0, False, []
        FakeBar.made.append(self)

    def set_postfix(self, stand: dict[str, int], *, refresh: bool) -> None:
        self.stands.append(dict(stand))

    def update(self, more: int) -> None:
        assert not self.closed
        self.n += more

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[FakeBar]:
    FakeBar.made = []
    fake = ModuleType("tqdm.auto")
    fake.tqdm = FakeBar  # type: ignore[attr-defined] # a module of our own
    monkeypatch.setitem(sys.modules, "tqdm.auto", fake)
    return FakeBar.made


@pytest.fixture(autouse=True)
def items(service) -> None:
    service.store.add_items([{"Sku": sku, "Price": "1.50"} for sku in SKUS[:20]])


def test_a_bar_shows_done_total_failed_and_batches(client, bars) -> None:
    client.get_item_list(SKUS, batch_size=10, progress=True)
    [bar] = bars
    assert (bar.options["total"], bar.options["desc"]) == (25, "GetItemList")
    assert (bar.n, bar.closed) == (25, True)
    assert bar.stands[-1] == {"failed": 0, "rejected": 5, "batches": 3}


def test_a_bar_is_closed_where_the_call_fails(make_client, service, bars) -> None:
    service.script.on("GetItemList").do(Reset(when="before"))
    with pytest.raises(BatchError):
        make_client(max_attempts=1).get_item_list(SKUS, batch_size=10, progress=True)
    [bar] = bars
    assert bar.closed
    assert bar.stands[-1]["failed"] > 0


def test_a_stream_has_a_bar_without_a_total(client, bars) -> None:
    stream = client.get_item_list.stream(iter(SKUS), batch_size=10, progress=True)
    assert bars == []  # nothing is drawn before the stream begins
    next(stream)
    assert (bars[0].n, bars[0].closed, bars[0].options["total"]) == (10, False, None)
    stream.close()
    assert bars[0].closed


def test_an_asynchronous_call_and_stream_have_bars_too(service, bars) -> None:
    async def call() -> None:
        async with AsyncOctopusClient(settings=OctopusSettings.load(**service.settings())) as client:
            await client.get_item_list(SKUS, batch_size=10, progress=True)
            async for _ in client.get_item_list.stream(SKUS, batch_size=10, progress=True):
                pass

    asyncio.run(call())
    assert [(bar.n, bar.closed) for bar in bars] == [(25, True), (25, True)]


def test_a_dry_run_draws_no_bar(client, bars) -> None:
    assert len(list(client.get_item_list.dry_run(SKUS, batch_size=10, progress=True))) == 3
    assert bars == []


def test_the_real_bar_is_drawn(client, monkeypatch) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    for name, cells in (
        ("COLUMNS", "200"),
        ("LINES", "50"),
    ):  # tqdm cuts what has no room, and on a quick machine its line is longer
        monkeypatch.setenv(name, cells)
    client.get_item_list(SKUS, batch_size=10, progress=True)
    assert "GetItemList: 100%" in drawn.getvalue()
    assert "25/25" in drawn.getvalue()
    assert "batches=3" in drawn.getvalue()


def test_without_tqdm_the_error_says_how_to_get_it_before_anything_is_sent(client, service, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ConfigError, match=r"pip install 'octopus-soap\[notebook\]'"):
        client.get_item_list(SKUS, progress=True)
    assert service.calls == []


@pytest.mark.parametrize("nothing", [None, False])
def test_nothing_is_shown_where_nothing_is_wanted(client, bars, nothing) -> None:
    client.get_item_list(SKUS, progress=nothing)
    assert bars == []


def test_what_is_neither_a_bool_nor_callable_is_refused(client, service) -> None:
    with pytest.raises(InvalidInputError, match="progress: expected True for a progress bar"):
        client.get_item_list(SKUS, progress="yes")
    assert service.calls == []
