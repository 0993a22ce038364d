"""The published contract can be read, and another WSDL is served by its own rules."""

import pytest
import requests
import zeep
from lxml import etree

from octopus_soap.contracts.bundled import contract_path
from octopus_soap.emulator import Emulator, Profile, Status
from tests.catalogue import BY_NAME

FOLDER = contract_path().parent


def get(shop, query="", **headers):
    return requests.get(shop.service.url + query, headers=headers, timeout=10, allow_redirects=False)


@pytest.mark.parametrize("query", ["?wsdl", "?singleWsdl"])
def test_a_client_can_be_built_from_what_is_published(shop, query):
    client = zeep.Client(shop.service.url + query)
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    assert set(port.binding.all()) == set(BY_NAME)
    assert port.binding_options["address"] == shop.service.url


def test_schemas_are_numbered_as_wcf_numbers_them(shop):
    targets = [etree.fromstring(get(shop, f"?xsd=xsd{n}").content).get("targetNamespace") for n in range(4)]
    assert targets == [
        "http://tempuri.org/",
        "http://schemas.microsoft.com/2003/10/Serialization/",
        "http://schemas.datacontract.org/2004/07/OctopusService",
        "http://schemas.microsoft.com/2003/10/Serialization/Arrays",
    ]
    assert get(shop, "?xsd=xsd4").status_code == 404
    assert shop.service.calls == []
    assert len(shop.service.metadata_requests) == 5


def test_pages(shop):
    page = get(shop)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "You have created a service." in page.text
    assert "svcutil.exe" in get(shop, "?unknown").text
    missing = requests.get(shop.service.url.replace("OctopusService", "Other"), timeout=10)
    assert (missing.status_code, "<html>" in missing.text) == (404, True)
    assert requests.put(shop.service.url, timeout=10).status_code == 405


def test_metadata_can_be_guarded_or_off(emulate):
    off = emulate(profile=Profile(metadata="off"))
    assert "currently disabled" in get(off, "?wsdl").text
    guarded = emulate(profile=Profile(metadata="authorized"))
    assert get(guarded, "?wsdl").status_code == 401
    settings = guarded.service.settings()
    del settings["endpoint"]
    assert get(guarded, "?wsdl", **settings).status_code == 200


def test_metadata_requests_can_be_scripted_apart_from_calls(shop):
    shop.service.script.on("?*wsdl").times(1).do(Status(503))
    shop.service.script.on("*").do(Status(502))
    assert [get(shop, "?wsdl").status_code for _ in range(2)] == [503, 200]
    assert shop.call("IsSkuExist").status == 502


def test_profiles_show_in_the_published_contract(emulate):
    shop = emulate(profile=Profile(bare_lists=True, nillable_values=False))
    client = zeep.Client(shop.service.url + "?singleWsdl")
    price = client.get_type("{http://schemas.datacontract.org/2004/07/OctopusService}ItemQuantityAndPrice")
    nillable = {name: element.nillable for name, element in price.elements}
    assert (nillable["Price"], nillable["Sku"]) == (False, True)
    output = next(iter(client.wsdl.bindings.values())).get("GetItemList").output.body
    assert "ArrayOfInventoryItem" in output.signature()


def rewritten(folder, *changes):
    """Copy the bundled contract with texts replaced."""
    for path in FOLDER.glob("*.[wx]s*"):
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder / "OctopusService.wsdl"


def test_another_contract_has_its_own_namespaces_order_and_members(emulate, tmp_path):
    sku = '<xs:element minOccurs="0" name="Sku" nillable="true" type="xs:string"/>'
    extra = '<xs:element minOccurs="0" name="Warehouse" nillable="true" type="xs:string"/>'
    wsdl = rewritten(
        tmp_path,
        ("http://tempuri.org/", "http://octopus.example/v2/"),
        ("2004/07/OctopusService", "2004/07/Octo.Data"),
        (
            f'{sku}\n      <xs:element minOccurs="0" name="Stock"',
            f'{extra}\n      <xs:element minOccurs="0" name="Stock"',
        ),
        (
            '<xs:complexType name="InventoryItem">\n    <xs:sequence>',
            f'<xs:complexType name="InventoryItem">\n    <xs:sequence>\n{sku}',
        ),
    )
    shop = emulate(wsdl=wsdl)
    shop.tempuri, shop.data = "http://octopus.example/v2/", "http://schemas.datacontract.org/2004/07/Octo.Data"
    members = "<d:Sku>A</d:Sku><d:Price>1</d:Price><d:Warehouse>W7</d:Warehouse><d:Stock>3</d:Stock>"
    assert int(shop.call("UploadItem", f"<inventoryItem>{members}</inventoryItem>").result) > 0
    assert shop.service.lint == []
    answer = shop.call("GetItemList", shop.skus("A"))
    assert "http://octopus.example/v2/" in answer.text
    assert "2004/07/Octo.Data" in answer.text
    assert answer.text.index("<a:Sku>") < answer.text.index("<a:Price>")
    assert answer.rows[0]["Warehouse"] == "W7"
    assert shop.service.store.item("A")["Warehouse"] == "W7"


def test_the_published_single_document_can_be_served_in_turn(shop, emulate, tmp_path):
    path = tmp_path / "single.wsdl"
    path.write_bytes(get(shop, "?singleWsdl").content)
    again = emulate(wsdl=path)
    again.service.store.add_item("A")
    assert again.call("IsSkuExist", "<sku>A</sku>").result == "true"


def test_the_contract_in_force_can_be_had_without_a_request(emulate):
    shop = emulate(profile=Profile.strict())
    served = requests.get(f"{shop.service.url}?singleWsdl", timeout=10).content
    assert shop.service.wsdl_document() == served
    assert shop.service.metadata_requests == ["singleWsdl"]
    with pytest.raises(RuntimeError, match="before it is started"):
        Emulator().wsdl_document()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('message="tns:IOctopusService_DeleteItem_InputMessage"', 'message="tns:Nope"'), "no message named Nope"),
        (('element="tns:DeleteItem"', 'element="tns:Nope"'), "declare no element"),
        (('type="q7:APIResultOfint"', 'type="q7:Nope"'), "declare no type"),
        (("<wsdl:types>", '<wsdl:import namespace="x" location="y"/><wsdl:types>'), "singleWsdl"),
    ],
)
def test_a_broken_contract_is_refused_with_the_reason(tmp_path, change, complaint):
    with pytest.raises(ValueError, match=complaint):
        Emulator(wsdl=rewritten(tmp_path, change))
