"""Credentials: three headers, six refusals, several merchants, no secret shown."""

import logging

import pytest

from octopus_soap.emulator import Merchant, Profile

STYLES = {
    "internal-fault": (500, "a:InternalServiceFault"),
    "fault-exception": (500, "s:Client"),
    "401-html": (401, "<html>"),
    "403-empty": (403, ""),
    "apiresult-failure": (200, "<a:Status>Failure</a:Status>"),
    "fault-200": (200, "<faultcode>s:Server</faultcode>"),
}
WRONG = [
    {"authtoken": "wrong"},
    {"authtoken": None},
    {"accessid": "wrong"},
    {"merchantname": None},
    {"merchantname": "x"},
]


@pytest.mark.parametrize("style", STYLES)
def test_each_style_of_refusal(emulate, style):
    shop = emulate(profile=Profile(auth_failure=style))
    status, text = STYLES[style]
    for changed in WRONG:
        answer = shop.call("GetItemQuantity", "<sku>A</sku>", **changed)
        assert answer.status == status
        assert text in answer.text
        assert bool(answer.text) is bool(text)
    assert {(call.merchant, call.executed) for call in shop.service.calls} == {(None, False)}
    assert shop.call("IsSkuExist", "<sku>A</sku>").result == "false"


def test_the_recorded_fault_has_an_empty_detail(emulate):
    shop = emulate(profile=Profile(auth_failure="fault-200"))
    answer = shop.call("IsSkuExist", "<sku>A</sku>", authtoken="wrong")
    assert "Server was unable to process request. Authentication failed.</faultstring><detail/>" in answer.text


def test_header_names_are_case_insensitive(shop):
    settings = shop.service.settings()
    answer = shop.call(
        "IsSkuExist",
        "<sku>A-1</sku>",
        authtoken=None,
        AuthToken=settings["authtoken"],
        accessid=None,
        ACCESSID=settings["accessid"],
    )
    assert answer.result == "true"


def test_the_account_must_be_the_access_id_unless_the_profile_says_otherwise(shop, emulate):
    assert shop.call("IsSkuExist", "<sku>A-1</sku>", account="other").status == 500
    lax = emulate(profile=Profile(account_must_equal_accessid=False))
    assert lax.call("IsSkuExist", "<sku>A-1</sku>", account="other").result == "false"


def test_merchants_have_a_state_each(emulate):
    shop = emulate(merchants=[Merchant("one", "t1", "id1"), Merchant("two", "t2", "id2")])
    store = shop.service.store
    store.add_item("A", merchant="two", Stock="4")
    number = store.add_order(merchant="two")
    assert shop.call("IsSkuExist", "<sku>A</sku>").result == "false"
    confirm = f"<orderDownloadSubmitRequests><d:OrderDownloadSubmitRequest><d:OrderId>{number}</d:OrderId></d:OrderDownloadSubmitRequest></orderDownloadSubmitRequests>"
    shop.call("SetDownloadOrderConfirm", confirm)
    assert not store.orders(merchant="two")[number].confirmed
    shop.merchant = "two"
    assert shop.call("GetItemQuantity", "<sku>A</sku>").rows == "4"
    assert [call.merchant for call in shop.service.calls] == ["one", "one", "two"]
    assert shop.call("IsSkuExist", "<sku>A</sku>", authtoken="t1").status == 500
    with pytest.raises(KeyError, match="no merchant named 'three'"):
        shop.service.settings("three")
    with pytest.raises(KeyError, match="no merchant named 'three'"):
        store.items(merchant="three")


def test_secrets_are_in_no_repr_log_or_record(emulate, caplog):
    canaries = ("canary-token", "canary-access")
    caplog.set_level(logging.DEBUG)
    shop = emulate(merchants=[Merchant("m", *canaries)])
    service = shop.service
    shop.call("IsSkuExist", "<sku>A</sku>", Authorization="Basic canary-token", Cookie="canary-token")
    shop.call("IsSkuExist", "<sku>A</sku>", authtoken="canary-token-2")
    shown = " ".join(
        map(repr, [service, service.merchants, service.calls, service.store, service.script, service.profile])
    )
    shown += " ".join(str(dict(call.headers)) for call in service.calls)
    shown += "".join(r.getMessage() for r in caplog.records if not r.name.startswith("urllib3"))
    assert not [canary for canary in canaries if canary in shown]
    assert service.calls[0].headers["authtoken"] == "***"
    assert service.calls[0].headers["soapaction"].endswith('IsSkuExist"')


def test_merchants_need_names_of_their_own(emulate):
    for merchants in ([], [Merchant("a"), Merchant("a")]):
        with pytest.raises(ValueError, match="merchants"):
            emulate(merchants=merchants)
