"""The dialect: the bytes of replies, the faults, and the notes on ignored members."""

import pytest

from octopus_soap.emulator import Profile

HEAD = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
TAIL = "</s:Body></s:Envelope>"
RESULT = 'xmlns:a="http://schemas.datacontract.org/2004/07/OctopusService" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'


def noted(shop):
    return [(note.what, note.path.rpartition("/")[2]) for note in shop.service.lint if note.what != "schema"]


def test_replies_are_written_as_wcf_writes_them(shop):
    answer = shop.call("GetItemQuantity", "<sku>A-2</sku>")
    assert answer.text == (
        f'{HEAD}<GetItemQuantityResponse xmlns="http://tempuri.org/"><GetItemQuantityResult {RESULT}><a:Data i:nil="true"/>'
        '<a:Message i:nil="true"/><a:MessageCode>0</a:MessageCode><a:ResultData>10</a:ResultData><a:Status>Success</a:Status>'
        f"</GetItemQuantityResult></GetItemQuantityResponse>{TAIL}"
    )
    assert answer.response.headers["Content-Type"] == "text/xml; charset=utf-8"
    empty = shop.call("GetItemList", shop.skus("nope"))
    assert "<a:ResultData/><a:Status>Success</a:Status></GetItemListResult></GetItemListResponse>" in empty.text


def test_texts_are_escaped_and_control_characters_written_as_references(shop):
    shop.service.store.add_item("X", Description='<&> "\x1f', SaleStartDate="2013-01-02T00:00:00.5000000Z")
    text = shop.call("GetItemList", shop.skus("X")).text
    assert '<a:Description>&lt;&amp;&gt; "&#x1F;</a:Description>' in text
    assert "<a:SaleStartDate>2013-01-02T00:00:00.5</a:SaleStartDate>" in text


def test_replies_satisfy_the_published_schema(shop):
    from lxml import etree

    from octopus_soap.contracts.bundled import contract_path

    shop.service.store.seed(items=3, orders=3)
    schema = etree.XMLSchema(etree.parse(contract_path().parent / "OctopusService.xsd"))
    for operation, inner in (
        ("GetItemList", shop.skus("DEMO-0001", "A-1")),
        ("GetItemQuantityList", shop.skus("DEMO-0001", "nope")),
        ("GetOrderList", "<orderCriteria/>"),
        ("IsSkuExistList", shop.skus("A-1")),
        ("SubmitOrder", "<orderSubmit/>"),
    ):
        reply = etree.fromstring(shop.call(operation, inner).response.content)
        schema.assertValid(reply[0][0])


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"SOAPAction": None}, "ActionNotSupported"),
        ({"SOAPAction": '"http://tempuri.org/IOctopusService/Nope"'}, "ActionNotSupported"),
    ],
)
def test_an_unknown_action_is_a_fault(shop, changed, wanted):
    answer = shop.call("IsSkuExist", "<sku>A-1</sku>", **changed)
    assert answer.status == 500
    assert answer.fault["faultcode"] == f"a:{wanted}"
    assert "ContractFilter mismatch" in answer.fault["faultstring"]


@pytest.mark.parametrize(
    "content_type", ["application/soap+xml; charset=utf-8", "text/xml; charset=iso-8859-1", "text/plain", None]
)
def test_another_content_type_is_415_with_the_reason_in_the_status_line(shop, content_type):
    answer = shop.call("IsSkuExist", "<sku>A-1</sku>", Content_Type=content_type)
    assert (answer.status, answer.response.content) == (415, b"")
    assert "was not the expected type 'text/xml; charset=utf-8'" in answer.response.reason


def test_a_soap_action_may_stand_without_quotes(shop):
    answer = shop.call("IsSkuExist", "<sku>A-1</sku>", SOAPAction="http://tempuri.org/IOctopusService/IsSkuExist")
    assert answer.result == "true"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"<s:Envelope",
        b'<!DOCTYPE x [<!ENTITY e "boom">]><x>&e;</x>',
    ],
)
def test_what_is_not_xml_is_a_deserialization_fault(shop, body):
    response = shop.post("IsSkuExist", body)
    assert response.status_code == 500
    assert "a:DeserializationFailed" in response.text


def test_another_wrapper_or_envelope_is_a_fault(shop):
    wrong = shop.body("IsSkuExist", "<sku>A</sku>").replace(b"http://tempuri.org/", b"http://elsewhere.org/")
    assert "a:DeserializationFailed" in shop.post("IsSkuExist", wrong).text
    soap12 = shop.body("IsSkuExist").replace(
        b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope"
    )
    assert "VersionMismatch" in shop.post("IsSkuExist", soap12).text


BAD_VALUES = [
    ("<d:Price/>", "The value '' cannot be parsed as the type 'decimal'."),
    ("<d:Price>1,5</d:Price>", "cannot be parsed as the type 'decimal'"),
    ("<d:Price>1E2</d:Price>", "cannot be parsed as the type 'decimal'"),
    ("<d:Price>NaN</d:Price>", "cannot be parsed as the type 'decimal'"),
    ("<d:Price>99999999999999999999999999999999</d:Price>", "cannot be parsed as the type 'decimal'"),
    ("<d:Price><d:Amount>1</d:Amount></d:Price>", "End element 'Price'"),
    ("<d:Stock>3.5</d:Stock>", "cannot be parsed as the type 'Int32'"),
    ("<d:Stock>2147483648</d:Stock>", "cannot be parsed as the type 'Int32'"),
    ("<d:LockPrice>yes</d:LockPrice>", "cannot be parsed as the type 'Boolean'"),
    (
        "<d:StoreStockInfoList><d:StoreStockInfo><d:StoreStock>x</d:StoreStock></d:StoreStockInfo></d:StoreStockInfoList>",
        "Single",
    ),
    ('<d:StoreStockInfoList i:type="d:ArrayOfKitInfo"/>', "contains data of the"),
]


@pytest.mark.parametrize(("member", "reason"), BAD_VALUES)
def test_a_bad_value_faults_the_whole_call_and_names_the_parameter(shop, member, reason):
    rows = f"<d:ItemQuantityAndPrice>{member}<d:Sku>A-1</d:Sku></d:ItemQuantityAndPrice>"
    answer = shop.call("UpdateItemQuantityAndPriceList", f"<itemQuantityAndPriceList>{rows}</itemQuantityAndPriceList>")
    assert answer.status == 500
    assert answer.fault["faultcode"] == "a:DeserializationFailed"
    assert reason in answer.fault["faultstring"]
    assert "http://tempuri.org/:itemQuantityAndPriceList" in answer.fault["faultstring"]
    assert not shop.service.calls[-1].executed


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("<d:OrderCreationFilterBeginTimeGMT>01/02/2024</d:OrderCreationFilterBeginTimeGMT>", "DateTime"),
        ("<d:OrderCreationFilterBeginTimeGMT>2024-13-01T00:00:00</d:OrderCreationFilterBeginTimeGMT>", "DateTime"),
        ("<d:PaymentStatusFilter>cleared</d:PaymentStatusFilter>", "Invalid enum value 'cleared'"),
        ("<d:PaymentStatusFilter/>", "Invalid enum value ''"),
        ("<d:OrderIDList><r:int>W-1</r:int></d:OrderIDList>", "Int32"),
    ],
)
def test_bad_dates_and_enumerations_fault_too(shop, member, reason):
    answer = shop.call("GetOrderList", f"<orderCriteria>{member}</orderCriteria>")
    assert reason in answer.fault["faultstring"]


def test_values_dotnet_accepts_are_accepted(shop):
    members = "<d:LockPrice>0</d:LockPrice><d:Price> +4.50 </d:Price><d:Sku>A-1</d:Sku><d:Stock> 007 </d:Stock>"
    answer = shop.call("UpdateItemQuantityAndPrice", f"<iQP>{members}</iQP>")
    assert answer.rows == "true"
    item = shop.service.store.item("A-1")
    assert (str(item["Price"]), item["Stock"]) == ("4.5000", "7")


def test_nil_on_a_value_type_faults_only_where_it_is_not_nillable(shop, emulate):
    inner = '<iQP><d:Price i:nil="true"/><d:Sku>A-1</d:Sku></iQP>'
    assert shop.call("UpdateItemQuantityAndPrice", inner).rows == "true"
    plain = emulate(profile=Profile(nillable_values=False))
    answer = plain.call("UpdateItemQuantityAndPrice", inner)
    assert "ValueType 'System.Decimal' cannot be null" in answer.fault["faultstring"]


SILENT = [
    (
        "<d:Stock>9</d:Stock><d:Price>9</d:Price><d:Sku>A-1</d:Sku>",
        {"Stock": "9"},
        [("out-of-order", "Price"), ("out-of-order", "Sku")],
    ),
    ("<d:Sku>A-1</d:Sku><d:Price>9</d:Price>", {}, [("out-of-order", "Price")]),
    ("<Price>9</Price><d:Sku>A-1</d:Sku>", {}, [("wrong-namespace", "Price")]),
    ("<d:price>9</d:price><d:Sku>A-1</d:Sku>", {}, [("unknown", "price")]),
    ("<d:Price>7</d:Price><d:Price>9</d:Price><d:Sku>A-1</d:Sku>", {"Price": 7}, [("repeated", "Price")]),
    ("text<d:Sku>A-1</d:Sku>", {}, [("stray-text", "iQP")]),
]


@pytest.mark.parametrize(("members", "changed", "notes"), SILENT)
def test_what_wcf_ignores_is_ignored_and_noted(shop, members, changed, notes):
    before = shop.service.store.item("A-1")
    answer = shop.call("UpdateItemQuantityAndPrice", f"<iQP>{members}</iQP>")
    assert noted(shop) == notes
    assert any(note.what == "schema" for note in shop.service.lint)
    if ("out-of-order", "Sku") in notes:
        assert answer.rows == "false"  # the Sku was ignored as well
        return
    assert answer.rows == "true"
    assert shop.service.store.item("A-1") == before | changed


def test_parameters_and_list_items_follow_the_same_rule(shop):
    body = shop.body("IsSkuExist", "<sku>A-1</sku>", account=None).replace(
        b"</sku>", f"</sku><accountID>{shop.account}</accountID>".encode()
    )
    response = shop.post("IsSkuExist", body)
    assert "<IsSkuExistResult>false" in response.text  # the accountID was ignored
    answer = shop.call(
        "IsSkuExistList", "<skuList><string>A-1</string><r:String>A</r:String><r:string>A-2</r:string></skuList>"
    )
    assert [row["Sku"] for row in answer.rows] == ["A-2"]
    assert noted(shop) == [("out-of-order", "accountID"), ("wrong-namespace", "string[1]"), ("unknown", "String[1]")]


def test_a_well_formed_request_leaves_no_note(shop):
    shop.call("UpdateItemQuantityAndPrice", "<iQP><d:Price>1</d:Price><d:Sku>A-1</d:Sku></iQP>")
    shop.call("IsSkuExistList", shop.skus("A-1"))
    assert shop.service.lint == []


def test_large_requests_are_refused_with_an_empty_body(emulate):
    for status in (413, 400):
        shop = emulate(profile=Profile(max_received=2000, max_received_status=status))
        assert shop.call("IsSkuExistList", shop.skus("A")).status == 200
        answer = shop.call("IsSkuExistList", shop.skus(*["A" * 40] * 50))
        assert (answer.status, answer.response.content) == (status, b"")
        assert not shop.service.calls[-1].executed


def test_graph_quota_faults_on_requests_and_drops_the_connection_on_replies(emulate):
    import requests

    shop = emulate(profile=Profile(max_items_in_graph=300))
    answer = shop.call("IsSkuExistList", shop.skus(*["A"] * 400))
    assert "MaxItemsInObjectGraph" in answer.fault["faultstring"]
    with pytest.raises(requests.ConnectionError):
        shop.call("IsSkuExistList", shop.skus(*["A"] * 150))
    assert shop.service.calls[-1].executed


def test_string_quota(emulate):
    shop = emulate(profile=Profile(max_string=8192))
    for length, fine in ((8192, True), (8193, False)):
        answer = shop.call(
            "UploadItem", f"<inventoryItem><d:Details>{'x' * length}</d:Details><d:Sku>A</d:Sku></inventoryItem>"
        )
        assert (answer.status == 200) is fine


def test_the_three_ambiguous_operations_can_be_bare(emulate):
    shop = emulate(profile=Profile(bare_lists=True))
    shop.service.store.add_item("A-1", changed=True)
    for operation, inner, item in (
        ("IsSkuExistList", shop.skus("A-1"), "IsSkuExistResponse"),
        ("GetItemList", shop.skus("A-1"), "InventoryItem"),
        ("GetItemTblList", "", "InventoryItem"),
    ):
        text = shop.call(operation, inner).text
        assert f"<{operation}Result {RESULT}><a:{item}><a:" in text
        assert "<a:Status>" not in text
    assert (
        f"<GetItemListResult {RESULT}/>".replace(f" {RESULT}/", f"{f' {RESULT}'}/")
        in shop.call("GetItemList", shop.skus("no")).text
    )
    over = shop.call("GetItemList", shop.skus(*["A"] * 101))
    assert over.fault["faultcode"] == "s:Client"


@pytest.mark.parametrize(
    ("profile", "written"),
    [
        (Profile(date_kind="utc"), "2024-01-01T10:00:00.25Z"),
        (
            Profile(date_kind="local", server_offset=__import__("datetime").timedelta(hours=-5)),
            "2024-01-01T05:00:00.25-05:00",
        ),
    ],
)
def test_dates_can_carry_a_suffix(emulate, profile, written):
    shop = emulate(profile=profile)
    shop.service.store.add_order(OrderDate="2024-01-01T10:00:00.250Z")
    (row,) = shop.call("GetOrderList", "<orderCriteria/>").rows
    assert row["OrderDate"] == written
    assert row["DateCancelledGMT"] == "1900-01-01T00:00:00"


def test_unset_dates_can_be_nil_and_codes_can_be_dull(emulate):
    shop = emulate(profile=Profile(no_dates="nil", message_codes=False))
    shop.service.store.add_order()
    (row,) = shop.call("GetOrderList", "<orderCriteria/>").rows
    assert (row["DateCancelledGMT"], row["LastUpdateDate"]) == (None, None)
    assert shop.call("GetItemList", shop.skus()).result["MessageCode"] == "1"
    assert shop.call("GetItemQuantity", "<sku/>").result["MessageCode"] == "1"
