"""The emulator's pages, in a browser without JavaScript."""

import io
import re
import subprocess
import sys
import zipfile

import pytest
import requests

from octopus_soap import ItemQuantityAndPrice, OctopusClient, OctopusError, OrderDownloadSubmitRequest
from octopus_soap.console import emulator_console
from octopus_soap.emulator import Emulator, Gzip, Merchant, Profile
from octopus_soap.testing import Recording, replay_traffic

EVIL = '<script>alert("1")</script>'


@pytest.fixture
def service():
    with Emulator(pages=emulator_console) as made:
        made.store.add_item("A-1", Description="Lantern", Price="3.39", Cost="1.5", Stock="6")
        made.store.add_item("A-2", Description="Mug 100%", Price="2", Stock="10")
        yield made


@pytest.fixture
def client(make_client):
    return make_client(max_attempts=1)


class Browser:
    """Gets pages and sends forms."""

    def __init__(self, service):
        self.base = service.url.rpartition("/")[0]

    def get(self, path, status=200):
        answer = requests.get(self.base + path, timeout=10)
        assert answer.status_code == status, answer.text
        return answer.text.replace("<wbr>", "")

    def post(self, path, status=200, **form):
        token = re.search(r'name="csrf" value="([^"]+)"', self.get("/orders"))[1]
        answer = requests.post(self.base + path, data={"csrf": token, **form}, timeout=10)
        assert answer.status_code == status, answer.text
        return answer.text


@pytest.fixture
def browser(service):
    return Browser(service)


@pytest.mark.long
def test_without_a_browser_nothing_of_the_console_is_loaded():
    code = (
        "import sys\n"
        "from octopus_soap.emulator import Emulator\n"
        "def pages(e):\n"
        "    from octopus_soap.console import emulator_console\n"
        "    return emulator_console(e)\n"
        "import requests\n"
        "with Emulator(pages=pages) as e:\n"
        "    requests.get(e.url + '?wsdl', timeout=10)\n"
        "    print('jinja2' in sys.modules, 'octopus_soap.console' in sys.modules)\n"
        "    print(requests.get(e.url.rpartition('/')[0], timeout=10).status_code, 'jinja2' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False", "200", "True"]


def test_the_wsdl_and_its_address_are_as_without_a_console(service, browser):
    wsdl = requests.get(f"{service.url}?wsdl", timeout=10).text
    assert f'location="{service.url}"' in wsdl
    assert service.metadata_requests == ["wsdl"]
    page = browser.get("/connect")
    for address in (service.url, f"{service.url}?wsdl", f"{service.url}?singleWsdl"):
        assert address in page
    secret = service.settings()["authtoken"]
    assert secret not in page
    assert secret in browser.post("/connect")


def test_a_call_is_shown_with_what_was_asked_and_answered_and_no_secrets(service, client, browser):
    client.get_item_list(["A-1", "A-2"])
    client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A-1", price="4", stock=1, cost="1"))
    page = browser.get("/")
    assert page.index("UpdateItemQuantityAndPrice") < page.index("GetItemList"), "newest first"
    call = browser.get("/calls/1")
    for text in ("GetItemList", "A-1", "Lantern", "200 answered", "request-text", "curl -sS"):
        assert text in call, text
    settings = service.settings()
    everything = [page, call, browser.get("/calls/1/request.xml"), browser.get("/calls/1/reply.xml")]
    for secret in (settings["authtoken"], settings["accessid"]):
        assert all(secret not in text for text in everything)
    assert "$OCTOPUS_ACCESSID&lt;" in call, "the command takes the account from a variable"
    assert "/calls/1" in browser.get("/?q=a-1")
    assert "No kept call matches" in browser.get("/?q=nothing")
    browser.get("/calls/99", status=404)
    browser.get("/calls/1/other.xml", status=404)


def test_what_wcf_passes_over_in_silence_is_shown_where_it_is(service, client, browser):
    row = "<d:Sku>A-1</d:Sku><d:Price>9</d:Price><d:Colour>red</d:Colour>"  # Price comes before Sku in the contract
    account = service.settings()["accessid"]
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        '<UpdateItemQuantityAndPrice xmlns="http://tempuri.org/">'
        f'<accountID>{account}</accountID><iQP xmlns:d="http://schemas.datacontract.org/2004/07/OctopusService">{row}'
        "</iQP></UpdateItemQuantityAndPrice></s:Body></s:Envelope>"
    )
    headers = {
        **{name: service.settings()[name] for name in ("authtoken", "merchantname", "accessid")},
        "Content-Type": "text/xml; charset=utf-8",
        "SOAPAction": '"http://tempuri.org/IOctopusService/UpdateItemQuantityAndPrice"',
    }
    requests.post(service.url, data=body, headers=headers, timeout=10)
    page = browser.get("/calls/1")
    marked = re.findall(r'marked">.*?x-name">(.*?)</span>.*?← ([\w-]+)', page)
    assert marked == [("d:Price", "out-of-order"), ("d:Colour", "unknown")]
    assert (
        "Cost, Price, Stock of A-1 are left out: kept here, and read as 0 by a service with plain value types" in page
    )
    assert {note.what for note in service.lint} == {"schema", "out-of-order", "unknown"}, (
        "a hint is not in the lint log"
    )
    service.use_profile(Profile.strict())
    requests.post(service.url, data=body, headers=headers, timeout=10)
    assert "of A-1 are left out, and read as 0" in browser.get("/calls/2")
    assert service.store.item("A-1")["Price"] == 0
    assert "omitted" in {note.what for note in service.lint}
    requests.post(service.url, data=body, headers={**headers, "authtoken": "wrong"}, timeout=10)
    assert "refused credentials" in browser.get("/?only=trouble")


def test_items_are_found_by_sku_and_text_with_stock_by_store_and_the_change_list(service, browser):
    service.store.add_item("S_1", Description="Clock", StoreStockInfoList=[{"StoreID": "S9", "StoreStock": 41}])
    page = browser.get("/items")
    assert "3 items, 0 pending changes" in page
    assert re.search(r"S9 <b>41</b>", page)
    for text, found in (("lant", {"A-1"}), ("a-", {"A-1", "A-2"}), ("100%", {"A-2"}), ("S_", {"S_1"}), ("_", {"S_1"})):
        page = browser.get("/items?q=" + requests.utils.quote(text))
        assert set(re.findall(r'sku=[^"]*">([^<]+)</a>', page)) == found, text
    assert "No item matches" in browser.get("/items?q=Price"), "names of members are not searched"
    assert "Lantern" in browser.get("/items?sku=A-1")
    browser.post("/items/changed", sku="A-2")
    assert service.store.change_queue() == ["A-2"]
    assert set(re.findall(r'sku=[^"]*">([^<]+)</a>', browser.get("/items?only=changed"))) == {"A-2"}
    browser.post("/items/changed", status=404, sku="A-9")
    for page in ("0", "-1", "x", "9" * 30):
        browser.get(f"/items?page={page}")


def test_orders_have_states_and_can_be_placed(service, client, browser):
    def state():
        return re.findall(r'class="status o-\w+">(\w+)<', browser.get("/orders"))

    browser.post("/orders", order_id="W-1", stores="S1, S2", sku1="A-1", quantity1="2", price1="3.50", city="Salem")
    (order,) = service.store.orders().values()
    assert (order.given_id, order.stores, order.members["Total"]) == ("W-1", {"S1": False, "S2": False}, 7)
    assert ">7.00</td>" in browser.get("/orders")
    assert state() == ["submitted"]
    client.get_order_list()
    assert state() == ["listed"]
    client.set_download_split_order_confirm(
        [OrderDownloadSubmitRequest(order_id=str(order.id), store_id="S1", third_party_order_number="T-1")]
    )
    assert state() == ["split"]
    client.set_download_split_order_confirm(
        [OrderDownloadSubmitRequest(order_id=str(order.id), store_id="S2", third_party_order_number="T-1")]
    )
    assert state() == ["confirmed"]
    assert "Salem" in browser.get(f"/orders?order={order.id}")
    refused = {
        "W-1 already": {"order_id": "W-1", "sku1": "A-1"},
        "not a quantity": {"sku1": "A-1", "quantity1": "0"},
        "not a price": {"sku1": "A-1", "price1": "NaN"},
        "at least one SKU": {"sku1": " "},
    }
    for words, form in refused.items():
        assert words in browser.post("/orders", status=400, **form)
    assert len(service.store.orders()) == 1
    browser.post("/orders/busy-day")
    browser.post("/orders/busy-day")
    assert len(service.store.orders()) == 81
    assert len({order.given_id for order in service.store.orders().values()}) == 81
    assert set(service.store.change_queue()) == {"A-1", "A-2"}


def test_a_fault_is_switched_on_met_shown_and_switched_off(service, client, browser):
    cases = {
        "unavailable": {"value": "100"},
        "cut": {"value": "100"},
        "lost": {"value": "100", "operation": "Get*"},
        "fault": {"value": "100"},
        "poison": {"value": "A-1"},
    }
    for name, form in cases.items():
        browser.post(f"/faults/{name}", on="1", **form)
        with pytest.raises(OctopusError):
            client.get_item_list(["A-1"])
        page = browser.get("/faults")
        assert "Struck 1 time." in page, name
        assert "Faults are on:" in page, name
        assert "injected" in browser.get("/"), name
        browser.post(f"/faults/{name}", on="0")
        assert len(client.get_item_list(["A-1"])) == 1, name
    browser.post("/faults/read-only", on="1")
    browser.post("/faults/latency", on="1", value="0.001")
    with pytest.raises(OctopusError, match="read-only"):
        client.update_item_quantity_and_price(ItemQuantityAndPrice(sku="A-1", price="9", stock=1, cost="1"))
    assert len(client.get_item_list(["A-2"])) == 1
    assert "Latency" in service.calls[-1].fault
    assert "read-only" in service.calls[-2].fault
    assert "Latency" in service.calls[-2].fault, "a fault that strikes is late too"
    for words, form in (
        ("not a number", {"value": "nan"}),
        ("not a number", {"value": "0"}),
        ("no operation", {"value": "5", "operation": "<x>"}),
    ):
        assert words in browser.post("/faults/fault", status=400, on="1", **form)
    browser.post("/faults/poison", status=400, on="1", value=" ")
    browser.post("/faults/all")
    assert service.script.rules == ()


def test_a_profile_is_chosen_and_the_wsdl_follows(service, browser):
    schema = f"{service.url}?xsd=xsd2"
    assert 'name="Price" nillable="true"' in requests.get(schema, timeout=10).text
    browser.post("/profile", preset="strict")
    assert service.profile == Profile.strict()
    assert 'name="Price" type="xs:decimal"' in requests.get(schema, timeout=10).text
    browser.post("/profile", void="one-way", reduce_stock="true", max_received="70000", not_removed="-1")
    assert service.profile == Profile.strict(void="one-way", reduce_stock=True, max_received=70000, not_removed=-1)
    for name, value in (("void", "never"), ("max_received", "many"), ("not_removed", "")):
        assert name in browser.post("/profile", status=400, **{name: value})
    browser.post("/profile", preset="default")
    assert service.profile == Profile()


def test_a_session_is_exported_as_a_recording_that_answers_a_client(service, client, browser, tmp_path):
    client.get_item_list(["A-1"])
    service.script.on("IsSkuExist").do(Gzip())
    assert client.is_sku_exist("A-2")
    packed = requests.get(f"{browser.base}/recording.zip", timeout=10).content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path)
        everything = b"".join(archive.read(name) for name in archive.namelist())
    for secret in ("authtoken", "accessid"):
        assert service.settings()[secret].encode() not in everything
    recording = Recording.load(tmp_path / "recording")
    service.close()
    with replay_traffic(client, recording):
        assert client.get_item_list(["A-1"])[0].description == "Lantern"
        assert client.is_sku_exist("A-2")


def test_texts_of_callers_are_shown_as_text(browser):
    merchants = [Merchant(name=EVIL), Merchant(name="b")]
    with Emulator(pages=emulator_console, merchants=merchants) as service:
        page = Browser(service)
        service.store.add_item(EVIL[:50], Description=EVIL)
        service.store.add_order(OrderID=EVIL, stores=[EVIL], orderItems=[{"sku": EVIL}])
        with OctopusClient(**{**service.settings(), "merchantname": "b"}) as client:
            assert not client.is_sku_exist(EVIL)
        number = next(iter(service.store.orders()))
        page.post("/faults/poison", on="1", value=EVIL)
        for path in (
            "/",
            "/calls/1",
            "/items",
            "/orders",
            f"/orders?order={number}",
            "/merchants",
            "/faults",
            "/connect",
        ):
            assert "<script>alert" not in page.get(path), path
        for field in ("q", "merchant", "sku", "state", "only", "order"):
            for path in ("/", "/items", "/orders"):
                assert "<script>alert" not in page.get(f"{path}?{field}={requests.utils.quote(EVIL)}"), (path, field)
