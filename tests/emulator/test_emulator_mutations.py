"""Reply mutations: well-formed replies that are wrong."""

import pytest
from lxml import etree

from octopus_soap.emulator import Fault, Lie, MutateReply


def answered(shop, mutation, operation="GetItemList", inner=None):
    shop.service.script.clear()
    shop.service.script.on("*").do(mutation)
    answer = shop.call(operation, inner if inner is not None else shop.skus("A-1", "A-2"))
    assert shop.service.calls[-1].executed
    etree.fromstring(answer.response.content)  # a mutated reply is well-formed
    return answer


def skus(answer):
    return [row and row.get("Sku") for row in answer.rows]


def names(text):
    return [etree.QName(element).localname for element in etree.fromstring(text.encode()).iter()]


def test_rows(shop):
    assert skus(answered(shop, MutateReply("duplicate-row"))) == ["A-1", "A-1", "A-2"]
    assert skus(answered(shop, MutateReply("duplicate-row", row=1))) == ["A-1", "A-2", "A-2"]
    assert skus(answered(shop, MutateReply("missing-row", row=1))) == ["A-1"]
    assert skus(answered(shop, MutateReply("reordered-rows"))) == ["A-2", "A-1"]
    assert skus(answered(shop, MutateReply("unasked-row"))) == ["A-1", "A-2", "NOBODY-ASKED"]
    assert skus(answered(shop, MutateReply("unasked-row", value="Z"))) == ["A-1", "A-2", "Z"]
    assert skus(answered(shop, MutateReply("nil-row", row=1))) == ["A-1", None, "A-2"]
    assert skus(answered(shop, MutateReply("missing-row", row=9))) == ["A-1", "A-2"]


def test_keys_with_leading_blanks(shop):
    assert skus(answered(shop, MutateReply("leading-blanks"))) == ["      A-1", "      A-2"]
    assert skus(answered(shop, MutateReply("leading-blanks", row=1))) == ["A-1", "      A-2"]


def test_members_reordered_extra_and_renamed(shop):
    honest = names(shop.call("GetItemList", shop.skus("A-1")).text)
    reordered = names(answered(shop, MutateReply("reordered-members"), inner=shop.skus("A-1")).text)
    assert sorted(reordered) == sorted(honest)
    assert reordered[4:6] == ["Status", "ResultData"]
    extra = answered(shop, MutateReply("extra-member", field="Newcomer", value="?"))
    assert extra.rows[0]["Newcomer"] == extra.rows[1]["Newcomer2"] == extra.result["Newcomer"] == "?"
    assert [("SKU" in row, "Sku" in row) for row in answered(shop, MutateReply("renamed-member")).rows] == [
        (True, False)
    ] * 2
    renamed = answered(shop, MutateReply("renamed-member", field="Price", value="Prix"))
    assert renamed.rows[0]["Prix"] == "3.3900"
    assert answered(shop, MutateReply("renamed-member", field="Status", value="State")).result["State"] == "Success"


def test_namespaces_prefixes_and_derived_types(shop):
    elsewhere = answered(shop, MutateReply("other-namespace", value="urn:new"))
    assert "urn:new" in elsewhere.text
    assert skus(elsewhere) == ["A-1", "A-2"]
    shop.service.store.add_item("B", Description="<a:b xmlns:a=s:x>")
    prefixed = answered(shop, MutateReply("other-prefix"), inner=shop.skus("B"))
    assert prefixed.text.startswith("<soapenv:Envelope xmlns:soapenv=")
    assert "<q1:Sku>B</q1:Sku>" in prefixed.text
    assert 'xsi:nil="true"' in prefixed.text
    assert prefixed.rows[0]["Description"] == "<a:b xmlns:a=s:x>"
    derived = answered(shop, MutateReply("derived-type"))
    assert 'type="q1:InventoryItemDetailHigh"' in derived.text
    assert skus(derived) == ["A-1", "A-2"]


def test_statuses_and_scalars(shop):
    assert answered(shop, MutateReply("unknown-status")).result["Status"] == "Pending"
    assert "Status" not in answered(shop, MutateReply("missing-status")).result
    assert answered(shop, MutateReply("bad-scalar", row=1, field="Price", value="abc")).rows[1]["Price"] == "abc"
    assert answered(shop, MutateReply("bad-scalar", row=0, field="MSRP")).rows[0]["MSRP"] == "not-a-value"
    assert answered(shop, MutateReply("bad-scalar", value=""), "GetItemQuantity", "<sku>A-1</sku>").rows == ""
    assert answered(shop, MutateReply("bad-scalar", value="maybe"), "IsSkuExist", "<sku>A-1</sku>").result == "maybe"
    assert "UpdateInventoryItemQuantityAndPriceResult" in answered(shop, MutateReply("renamed-result")).text
    shop.service.store.add_order()
    mutation = MutateReply("unknown-status", field="PaymentStatus", value="Partially_Refunded")
    assert answered(shop, mutation, "GetOrderList", "<orderCriteria/>").rows[0]["PaymentStatus"] == "Partially_Refunded"
    single = MutateReply("bad-scalar", field="Stock", value="12.0000")
    assert answered(shop, single, "GetItemQuantityInfo", "<sku>A-1</sku>").rows["Stock"] == "12.0000"


@pytest.mark.parametrize("kind", ["duplicate-row", "reordered-members", "bad-scalar", "other-namespace"])
def test_faults_and_empty_replies_are_left_alone(shop, kind):
    answered(shop, MutateReply(kind), "SetDownloadOrderConfirm", "")
    answered(shop, MutateReply(kind), "GetItemList", shop.skus("nope"))
    shop.service.script.clear()
    shop.service.script.on("*").do(Fault("internal"), MutateReply(kind))
    assert shop.call("GetItemList", shop.skus("A-1")).fault["faultcode"] == "a:InternalServiceFault"


def test_the_old_name_is_an_alias():
    assert Lie is MutateReply
