"""`octopus_soap.testing`: the base of users' own tests."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from decimal import Decimal

import pytest

import octopus_soap.emulator
from octopus_soap import ClientClosedError, InvalidInputError, OutcomeUnknownError, PaymentStatusCode, testing
from octopus_soap.testing import (
    Reset,
    make_address,
    make_confirmation,
    make_downloaded_order,
    make_item,
    make_mapping,
    make_order,
    make_order_line,
    make_stock_update,
    make_store_stock,
)
from tests.every import every

pytest_plugins = ["pytester"]


def test_importing_it_loads_neither_client_nor_emulator():
    heavy = {"zeep", "lxml", "requests", "pydantic", "starlette", "uvicorn", "octopus_soap.client"}
    code = f"import sys, octopus_soap.testing; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@every("name", testing.__all__)
def test_every_public_name_is_there(name):
    assert getattr(testing, name) is not None


def test_every_fault_of_the_emulator_can_be_imported_from_here():
    faults = {
        name
        for name in octopus_soap.emulator.__all__
        if isinstance(found := getattr(octopus_soap.emulator, name), type)
        and issubclass(found, octopus_soap.emulator.InjectedFault)
    }
    assert faults <= set(testing.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Rest'"):
        _ = testing.Rest


def test_the_client_talks_to_the_emulator(octopus_client, octopus_emulator):
    octopus_client.upload_item(make_item("00123", price="4.50"))
    octopus_client.update_item_quantity_and_price(make_stock_update("00123", stock=0))
    item = octopus_emulator.store.item("00123")
    assert (item["Price"], item["Stock"]) == (Decimal("8.88"), "0")


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_has_an_empty_service(octopus_client, octopus_emulator, time):
    assert not octopus_client.is_sku_exist("A")
    octopus_emulator.store.add_item("A")


def test_the_client_ignores_the_machines_settings(monkeypatch, request):
    monkeypatch.setenv("OCTOPUS_ACCOUNT_ID", "a-real-account")
    monkeypatch.setenv("OCTOPUS_PROFILE", "production")
    assert request.getfixturevalue("octopus_client").is_sku_exist("A") is False


def test_the_example_of_the_docstring_holds(octopus_emulator, octopus_client):
    octopus_emulator.script.on("SubmitOrder", nth=1).do(Reset(when="after"))
    with pytest.raises(OutcomeUnknownError):
        octopus_client.submit_order(make_order())
    assert len(octopus_emulator.store.orders()) == 1


def test_an_order_has_the_totals_of_its_lines():
    lines = [make_order_line("A"), make_order_line("B", quantity=2, unit_price=Decimal("1.50"))]
    order = make_order("WEB-2", order_items=lines)
    assert (order.sub_total, order.total) == (Decimal("12.99"), Decimal("12.99"))
    assert make_order(total=Decimal(1)).total == 1
    assert make_order(order_items=[]).total == 0


@pytest.fixture
def ours_alone(pytester, monkeypatch):
    """Run pytest in a process, with our plugin and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return lambda: pytester.runpytest_subprocess("-p", "octopus_soap.testing.fixtures")


def test_without_the_emulator_extra_the_fixture_says_what_to_install(pytester, ours_alone):
    pytester.makeconftest("import sys; sys.modules['uvicorn'] = None")
    pytester.makepyfile("def test_it(octopus_emulator): pass")
    result = ours_alone()
    assert "pip install 'octopus-soap[emulator]'" in result.stdout.str() + result.stderr.str()
    assert result.ret != 0


def test_a_pytest_run_that_uses_no_fixture_loads_neither_client_nor_emulator(pytester, ours_alone):
    """Pytest reads every name of a plugin, so names must not load anything."""
    pytester.makepyfile(
        "import sys\ndef test_it():\n"
        "    assert not {'octopus_soap.client', 'octopus_soap.emulator', 'zeep', 'starlette'} & set(sys.modules)"
    )
    assert ours_alone().ret == 0


def test_recording_works_without_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from octopus_soap.testing import Recording, make_order, record_traffic, replay_traffic"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


# -- the asynchronous client ---------------------------------------------------------------------------------------


def test_the_async_client_needs_no_plugin_and_leaves_no_socket_open(octopus_async_client, octopus_emulator):
    octopus_emulator.store.add_item("A", Stock=3)
    for _ in range(2):  # each run has its own loop, and ends without aclose
        assert asyncio.run(octopus_async_client.get_item_quantity("A")) == 3
    gc.collect()  # a socket that outlived its loop would warn here, and warnings are errors
    with pytest.raises(ClientClosedError):
        asyncio.run(_closed_then_used(octopus_async_client))


async def _closed_then_used(client):
    async with client:
        assert await client.is_sku_exist("A")
    await client.is_sku_exist("A")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_the_async_client_works_in_a_plugins_loop(octopus_async_client, octopus_emulator):
    octopus_emulator.store.add_item("A", Stock=3)
    assert await octopus_async_client.get_item_quantity("A") == 3


# -- factories -----------------------------------------------------------------------------------------------------


def test_every_factory_makes_what_the_service_takes(octopus_client, octopus_emulator):
    octopus_client.upload_item(make_item("A", store_stock_info_list=[make_store_stock("1", store_stock=3)]))
    octopus_client.update_item_quantity_and_price(make_stock_update("A"))
    octopus_client.submit_order(make_order(order_items=[make_order_line("A")], bill=make_address(country="NO")))
    octopus_client.custom_field_mapping([make_mapping("Season")])
    (order,) = octopus_client.get_order_list()
    octopus_client.set_download_order_confirm([make_confirmation(order.id)])
    assert len(octopus_client.get_order_list()) == 0
    assert octopus_emulator.lint == []


def test_a_downloaded_order_is_one_a_handler_can_work_with():
    order = make_downloaded_order("7", order_items=[make_order_line("A", quantity=2, unit_price=Decimal("1.50"))])
    assert (order.id, order.total, order.payment) == ("7", Decimal("3.00"), PaymentStatusCode.CLEARED)
    assert order.placed is not None
    assert order.ship == order.bill == make_address()
    assert make_downloaded_order(total=Decimal(1)).total == 1


@every("make", [getattr(testing, name) for name in testing.__all__ if name.startswith("make_")])
def test_a_typo_in_a_factory_is_refused(make):
    with pytest.raises(InvalidInputError, match="has no field 'qantity'"):
        make(qantity=1)
