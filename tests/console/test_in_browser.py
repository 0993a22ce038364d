"""The consoles in a real browser."""

import os
import re
import shutil
import subprocess
import sys
import threading

import pytest
import requests
import uvicorn

from octopus_soap import OctopusClient, OctopusError
from octopus_soap.console import emulator_console, fleet_console
from octopus_soap.emulator import Emulator, Fault, Merchant
from tests.console.browser import PATIENCE, blemishes, chromium, pages_of
from tests.fleet.fleet_stage import Book, enrol, fleet_of, shops

pytestmark = pytest.mark.long

EVIL = '"><img src=x onerror=alert(1)><script>x()</script>'  # 50 characters, the limit of a SKU
PAGES = ("/", "/items", "/items?sku=DEMO-0001", "/orders", "/merchants", "/faults", "/profile", "/connect")


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def service():
    with Emulator(pages=emulator_console) as made:
        made.store.seed(items=60, orders=3)
        yield made


def root(service):
    return service.url.rpartition("/")[0]


@pytest.fixture
def page(browser, service):
    with pages_of(browser, root(service), viewport={"width": 1280, "height": 800}) as opened:
        yield opened


@pytest.fixture
def client(make_client):
    return make_client(max_attempts=1)


def octopus(service, *words):
    variables = {f"OCTOPUS_{name.upper()}": value for name, value in service.settings().items()}
    command = [sys.executable, "-c", "from octopus_soap.cli import main; main()", *words]
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        encoding="utf-8",
    )
    return done.stdout


def shows(locator, text=None):
    """Wait for an element, and for its text."""
    locator = locator if text is None else locator.filter(has_text=text)
    locator.first.wait_for(state="visible", timeout=PATIENCE)
    return locator.first


def test_a_call_appears_while_it_comes_with_its_request_and_reply(service, client, page):
    page.goto("/")
    shows(page.locator(".dot.on"))
    assert page.locator("[data-calls] tbody tr").count() == 0
    client.get_item_list(["DEMO-0001", "DEMO-0002"])
    row = shows(page.locator("#call-1"), "GetItemList")
    shows(page.locator("#call-1 .status"), "200")
    page.locator("[data-announce]", has_text="1 new: GetItemList").wait_for(state="attached")
    row.click()
    shows(page.locator("#request-text"), "DEMO-0002")
    shows(page.locator("#reply-text"), "Success")
    assert page.url.endswith("/calls/1")
    assert service.settings()["accessid"] not in page.content()
    page.get_by_text("As a curl command").click()
    assert "$OCTOPUS_ACCESSID" in page.locator("#curl-text").inner_text()
    page.get_by_role("button", name="Pause").click()
    client.is_sku_exist("DEMO-0003")
    page.get_by_role("button", name="Resume").click()
    shows(page.locator("#call-2"), "IsSkuExist")
    page.go_back()
    page.locator(".panes:not(.chosen)").wait_for()


def test_the_command_that_is_shown_makes_the_call_again(service, client, page):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    client.get_item_list(["DEMO-0001"])
    page.goto("/calls/1")
    command = page.locator("#curl-text").text_content()
    variables = {f"OCTOPUS_{name.upper()}": value for name, value in service.settings().items()}
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, **variables}, capture_output=True, text=True, check=True, timeout=60
    )
    assert "DEMO-0001" in done.stdout
    assert [(call.operation, call.executed, call.keys) for call in service.calls] == [
        ("GetItemList", True, ("DEMO-0001",))
    ] * 2


def test_an_order_is_placed_in_the_form_and_pulled_by_the_command(service, page):
    page.goto("/orders")
    page.get_by_text("Place an order").click()
    page.get_by_label("Order id").fill("FORM-7")
    page.get_by_label("Last name").fill(EVIL)
    page.get_by_label("SKU").first.fill("DEMO-0005")
    page.get_by_label("Quantity").first.fill("3")
    page.get_by_role("button", name="Place the order").click()
    row = shows(page.locator("tr"), "FORM-7")
    assert "submitted" in row.inner_text()
    assert "FORM-7" in octopus(service, "orders", "list", "-o", "json")
    shows(page.locator("tr:has(.o-listed)"), "FORM-7")
    page.get_by_role("button", name="A busy day").click()
    shows(page.locator("tr"), "DAY-001-040")
    assert len(service.store.orders()) == 44


def test_a_fault_that_is_switched_on_is_met_and_shown_and_switched_off(service, client, page):
    page.goto("/faults")
    card = page.locator("#switch-fault")
    card.get_by_label("% of calls").fill("100")
    card.get_by_role("button", name="Switch on").click()
    shows(page.locator(".banner"), "WCF's generic fault 100 %")
    with pytest.raises(OctopusError):
        client.get_item_list(["DEMO-0001"])
    shows(page.locator("[data-live-region=struck-fault]"), "Struck 1 time.")
    page.get_by_role("link", name="Calls").click()
    shows(page.locator("#call-1"), "injected")
    page.goto("/faults")
    page.get_by_role("button", name="Switch off: WCF's generic fault").click()
    page.locator(".banner").wait_for(state="detached")
    assert len(client.get_item_list(["DEMO-0001"])) == 1


def test_texts_of_strangers_are_shown_as_text(browser):
    with Emulator(pages=emulator_console, merchants=[Merchant(name=EVIL), Merchant()]) as service:
        service.store.add_item(EVIL, Description=EVIL)
        service.store.add_order(OrderID=EVIL, stores=[EVIL], orderItems=[{"sku": EVIL}])
        service.script.on("IsSkuExist").do(Fault("client-text", text=EVIL))
        with pages_of(browser, root(service)) as page:
            page.goto("/")
            shows(page.locator(".dot.on"))
            with OctopusClient(**service.settings(Merchant().name)) as client, pytest.raises(OctopusError):
                client.is_sku_exist(EVIL)
            headers = {"SOAPAction": EVIL, "Content-Type": EVIL, "merchantname": "x"}
            requests.post(service.url, data=f"<a>{EVIL}", headers=headers, timeout=10)
            shows(page.locator("#call-2"))
            page.locator("#call-1 a").click()
            shows(page.locator("#reply-text"), "onerror=alert(1)")
            page.goto("/calls/2")
            shows(page.locator("#request-text"), "onerror")
            number = next(iter(service.store.orders()))
            for path in (*PAGES, f"/orders?order={number}", "/items?q=" + requests.utils.quote(EVIL)):
                page.goto(path)
                assert page.locator("main img, main script").count() == 0, path
                if path != "/profile":
                    assert "onerror=alert(1)" in page.locator("body").inner_text() or "onerror" in page.content(), path


def test_the_log_is_used_with_the_keyboard_alone(service, client, page):
    for sku in ("DEMO-0001", "DEMO-0002", "DEMO-0003"):
        client.get_item_list([sku])
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('[data-calls] tbody') !== null"):
            break
    assert page.evaluate("document.activeElement.closest('tr').id") == "call-3"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is seen"
    page.keyboard.press("Enter")
    shows(page.locator("#request-text"), "DEMO-0002")
    assert page.evaluate("document.activeElement.id") == "call-title"
    page.keyboard.press("Escape")
    page.locator("#call-2 a:focus").wait_for()
    page.get_by_role("searchbox").focus()
    page.keyboard.type("demo-0003")
    page.keyboard.press("Enter")
    shows(page.locator("#call-3"))
    assert page.locator("[data-calls] tbody tr").count() == 1


def test_pages_fit_phones_and_desktops_and_can_be_read_by_everyone(browser, service, client):
    client.get_item_list(["DEMO-0001", "DEMO-0002"])
    with pages_of(browser, root(service)) as page:
        for path in (*PAGES, "/calls/1"):
            page.goto(path)
            for width, scheme in ((360, "light"), (390, "dark"), (1280, "dark"), (1600, "light")):
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=scheme)
                assert blemishes(page, axe=width == 1600) == [], (path, width, scheme)


def test_the_fleets_pages_in_a_browser(browser, tmp_path):
    with shops(3) as service, fleet_of(tmp_path / "fleet.db", Book()) as fleet:
        enrol(fleet, service, every={"push": 300.0})
        fleet.registry.pause("shop-001", EVIL)
        app = fleet_console(fleet.ledger, fleet.registry, allow_actions=True)
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none", lifespan="off")
        listener = config.bind_socket()
        listener.listen()  # connections wait until the server has started
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            base = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with pages_of(browser, base, viewport={"width": 390, "height": 800}) as page:
                page.goto("/")
                assert blemishes(page) == []
                page.get_by_role("link", name=re.compile("^paused")).click()
                shows(page.locator("td"), "onerror=alert(1)")
                page.get_by_role("link", name="shop-001").click()
                assert blemishes(page) == []
                page.get_by_role("button", name="Resume").click()
                shows(page.get_by_role("button", name="Pause"))
                assert fleet.registry.get("shop-001").state == "active"
        finally:
            server.should_exit = True
            thread.join(20)
            listener.close()
