"""Access to a console and its actions, tested at the wire."""

import re

import pytest
import requests

from octopus_soap import ConfigError
from octopus_soap.console import emulator_console
from octopus_soap.emulator import Emulator

TOKEN = "a-token-of-enough-characters"


@pytest.fixture
def service():
    with Emulator(pages=emulator_console, allowed_hosts=["shop.test"]) as made:
        made.store.seed(items=3, orders=1)
        yield made


def root(service):
    return service.url.rpartition("/")[0]


def csrf(address, **headers):
    return re.search(r'name="csrf" value="([^"]+)"', requests.get(address, headers=headers, timeout=10).text)[1]


def test_a_change_needs_the_forms_token_and_a_page_of_this_console(service):
    base = root(service)
    good = {"csrf": csrf(f"{base}/orders")}
    cases = {
        "no token": (403, {"x": "y"}, {}),
        "another token": (403, {"csrf": "x"}, {}),
        "another origin": (403, good, {"Origin": "https://evil.example"}),
        "another port": (403, good, {"Origin": "http://127.0.0.1:1"}),
        "no origin at all": (403, good, {"Origin": "null"}),
        "another site": (403, good, {"Sec-Fetch-Site": "cross-site"}),
        "another name": (403, good, {"Host": "evil.example"}),
        "an allowed host without a token": (403, good, {"Host": "shop.test"}),
        "no form": (415, None, {"Content-Type": "application/json"}),
    }
    for name, (status, form, headers) in cases.items():
        answer = requests.post(f"{base}/reset", data=form, headers=headers, timeout=10)
        assert answer.status_code == status, name
    assert requests.post(f"{base}/reset", data={**good, "x": "y" * 70_000}, timeout=10).status_code == 413
    assert requests.delete(f"{base}/orders", timeout=10).status_code == 405
    for path in ("/reset", "/clear", "/orders/busy-day", "/items/changed", "/faults/fault"):  # no GET changes anything
        assert requests.get(base + path, timeout=10).status_code in {404, 405}, path
    assert len(service.store.orders()) == 1
    done = requests.post(f"{base}/reset", data=good, headers={"Origin": base}, timeout=10, allow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert service.store.orders() == {}


def test_every_answer_forbids_foreign_and_inline_scripts_and_framing(service):
    base = root(service)
    for path in ("/", "/items", "/connect", "/nowhere", "/static/x/console.js", "/calls/77"):
        headers = requests.get(base + path, timeout=10).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff"), path
    for path in ("/", "/items", "/orders", "/faults", "/profile", "/connect", "/merchants"):
        page = requests.get(base + path, timeout=10).text
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=|javascript:|https?://(?!127)", page), path


def test_the_address_to_go_on_to_is_of_this_console(service):
    base = root(service)
    token = csrf(f"{base}/orders")
    for wanted, location in (("/orders?x=1", "/orders?x=1"), ("//evil.example", "/orders"), ("/\\evil", "/orders")):
        form = {"csrf": token, "next": wanted, "sku1": "DEMO-0001"}
        answer = requests.post(f"{base}/orders", data=form, timeout=10, allow_redirects=False)
        assert answer.headers["location"] == location


def test_with_a_token_a_browser_signs_in_once_and_other_names_may_be_used():
    with Emulator(pages=lambda made: emulator_console(made, token=TOKEN), allowed_hosts=["shop.test"]) as service:
        base = root(service)
        with requests.Session() as browser:
            first = browser.get(base + "/items", timeout=10)
            assert first.url == f"{base}/sign-in"
            token = csrf(f"{base}/sign-in")
            assert browser.post(base + "/reset", data={"csrf": token}, timeout=10).status_code == 403
            wrong = browser.post(base + "/sign-in", data={"csrf": token, "token": "wrong"}, timeout=10)
            assert wrong.status_code == 403
            signed = browser.post(base + "/sign-in", data={"csrf": token, "token": TOKEN}, timeout=10)
            assert "Calls" in signed.text
            (cookie,) = browser.cookies
            assert cookie.has_nonstandard_attr("HttpOnly")
            assert cookie.get_nonstandard_attr("SameSite") == "strict"
            assert TOKEN not in cookie.value
            assert browser.get(base + "/items", timeout=10).url == f"{base}/items"
            named = {"Host": "shop.test"}
            assert requests.get(base + "/sign-in", headers=named, timeout=10).status_code == 200
            assert requests.get(base + "/sign-in", headers={"Host": "other.test"}, timeout=10).status_code == 403
        soap = requests.get(f"{service.url}?wsdl", headers=named, timeout=10)
        assert b"definitions" in soap.content


def test_a_short_token_is_refused():
    with Emulator() as service, pytest.raises(ConfigError, match="openssl rand"):
        emulator_console(service, token="short")
