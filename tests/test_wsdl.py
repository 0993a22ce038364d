"""The bundled contract: complete, in WCF's form, readable by zeep and validators."""

import base64
import hashlib
import re
import socket
from pathlib import Path

import pytest
import zeep
from lxml import etree

from octopus_soap.contracts import bundled
from tests.catalogue import BY_NAME
from tests.every import every

XS = "{http://www.w3.org/2001/XMLSchema}"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"
WSAW = "{http://www.w3.org/2006/05/addressing/wsdl}"
TEMPURI = "http://tempuri.org/"
DATA = "http://schemas.datacontract.org/2004/07/OctopusService"
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

FOLDER = bundled.contract_path().parent
CONTRACT = etree.parse(FOLDER / "OctopusService.wsdl")
WRAPPERS = etree.parse(FOLDER / "OctopusService.xsd")
DATA_SCHEMA = etree.parse(FOLDER / "DataContracts.xsd")
ARRAY_SCHEMA = etree.parse(FOLDER / "Arrays.xsd")

OPERATIONS = list(BY_NAME)

# Members in the page's tables (InventoryItem: Weight counted once; AddressInfo: the nameless row is Email).
DATA_MODELS = {
    "StoreStockInfo": 12,
    "IsSkuExistResponse": 3,
    "InventoryItem": 66,
    "KitInfo": 2,
    "AttributeInfo": 2,
    "VariationInfo": 2,
    "Locks": 23,
    "QuantityInfoResponse": 5,
    "ItemQuantityAndPrice": 9,
    "UpdateItemResponse": 3,
    "UpdateInventoryItemResponse": 3,
    "OrderDownloadSubmitRequest": 3,
    "OrderCriteria": 5,
    "OrderResponseItem": 25,
    "AddressInfo": 11,
    "OrderItem": 6,
    "OrderSubmit": 13,
    "SubmitOrderResponseItem": 3,
    "CustomFieldMapping": 3,
}


def digest(*namespaces: str, counts: list[int] | None = None) -> str:
    """Compute the suffix that WCF gives to the names of generic types."""
    text = "".join(f" {namespace}" for namespace in namespaces)
    for count in [len(namespaces)] if counts is None else counts:
        text = f" {count}{text}"
    short = base64.b64encode(hashlib.md5(text.encode()).digest()[:6]).decode()
    return short.replace("=", "").replace("/", "_S").replace("+", "_P")


def members(schema_type: etree._Element) -> list[etree._Element]:
    return schema_type.findall(f"{XS}sequence/{XS}element")


def complex_types() -> list[etree._Element]:
    return DATA_SCHEMA.findall(f"{XS}complexType") + ARRAY_SCHEMA.findall(f"{XS}complexType")


def wrapper(name: str) -> list[etree._Element]:
    (element,) = WRAPPERS.xpath("/*/*[@name=$name]", name=name)
    return members(element.find(f"{XS}complexType"))


def validator() -> etree.XMLSchema:
    return etree.XMLSchema(WRAPPERS)


def test_zeep_loads_it_without_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the contract must load with no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    client = zeep.Client(str(bundled.contract_path()))
    service = client.wsdl.services["OctopusService"]
    port = service.ports["BasicHttpBinding_IOctopusService"]
    assert set(port.binding.all()) == set(OPERATIONS)
    assert port.binding_options["address"] == "http://localhost:8000/OctopusService.svc"


@every("operation", OPERATIONS)
def test_parameters_are_those_of_the_page_in_its_order(operation):
    parameters, result = BY_NAME[operation].page, BY_NAME[operation].answers
    found = wrapper(operation)
    assert [element.get("name") for element in found] == BY_NAME[operation].parameters
    assert {element.get("minOccurs") for element in found} == {"0"}
    for name, element in zip(parameters.split(), found, strict=True):
        assert element.get("nillable", "false") == ("false" if "!" in name else "true"), name
    reply = wrapper(f"{operation}Response")
    expected = result.replace("#", digest(DATA))
    assert [(e.get("name"), e.get("type").split(":")[1]) for e in reply] == (
        [(f"{operation}Result", expected)] if expected else []
    )


@every("model", DATA_MODELS)
def test_every_data_model_of_the_page_is_there_with_all_its_members(model):
    (found,) = DATA_SCHEMA.xpath("/*/xs:complexType[@name=$n]", n=model, namespaces={"xs": XS[1:-1]})
    assert len(members(found)) == DATA_MODELS[model]


def test_members_stand_in_dotnet_ordinal_order():
    for schema_type in complex_types():
        names = [element.get("name") for element in members(schema_type)]
        assert names == sorted(names), schema_type.get("name")


def test_every_member_may_be_left_out_and_every_optional_one_may_be_nil():
    plain_values = {"int", "boolean", "ResultStatus"}
    for schema_type in complex_types():
        generic = schema_type.get("name").startswith("APIResultOf")
        for element in members(schema_type):
            assert element.get("minOccurs") == "0"
            kind = element.get("type").split(":")[1]
            items_of_int = schema_type.get("name") == "ArrayOfint"
            may_be_nil = not ((generic or items_of_int) and kind in plain_values)
            assert (element.get("nillable") == "true") is may_be_nil, (schema_type.get("name"), element.get("name"))


def test_every_type_has_a_global_element():
    for schema in (DATA_SCHEMA, ARRAY_SCHEMA):
        types = [t.get("name") for t in schema.getroot() if t.tag in {f"{XS}complexType", f"{XS}simpleType"}]
        elements = {e.get("name"): e for e in schema.findall(f"{XS}element")}
        assert sorted(types) == sorted(elements)
        for name, element in elements.items():
            assert element.get("nillable") == "true"
            assert element.get("type") == f"tns:{name}"


@every(
    ("namespaces", "expected"),
    [
        (("urn:shapes", "urn:default"), "5HWGAU6h"),
        (("urn:shapes", "urn:special"), "jpB5LgQ_S"),
        ((ARRAYS,), "uHEDJ7Dj"),
        ((DATA,), "CdKGXJBo"),
    ],
)
def test_generic_names_carry_wcf_s_digest(namespaces, expected):
    assert digest(*namespaces) == expected
    generics = re.findall(r'complexType name="(APIResultOf\w+)"', (FOLDER / "DataContracts.xsd").read_text())
    assert sorted(generics) == sorted(
        {"APIResultOfint", "APIResultOfboolean"}
        | {
            f"APIResultOf{x}CdKGXJBo"
            for x in (
                "QuantityInfoResponse",
                "SubmitOrderResponseItem",
                "ArrayOfIsSkuExistResponse",
                "ArrayOfInventoryItem",
                "ArrayOfQuantityInfoResponse",
                "ArrayOfUpdateItemResponse",
                "ArrayOfUpdateInventoryItemResponse",
                "ArrayOfOrderResponseItem",
            )
        }
    )


def test_messages_actions_and_bindings_are_complete():
    root = CONTRACT.getroot()
    messages = {m.get("name"): m.findall(f"{WSDL}part") for m in root.findall(f"{WSDL}message")}
    assert len(messages) == 2 * len(OPERATIONS)
    port_type = root.find(f"{WSDL}portType")
    binding = root.find(f"{WSDL}binding")
    assert (port_type.get("name"), binding.get("name")) == ("IOctopusService", "BasicHttpBinding_IOctopusService")
    actions = {b.get("name"): b.find(f"{SOAP}operation").get("soapAction") for b in binding.findall(f"{WSDL}operation")}
    assert actions == {name: f"{TEMPURI}IOctopusService/{name}" for name in OPERATIONS}
    for operation in port_type.findall(f"{WSDL}operation"):
        name = operation.get("name")
        for end, message, element, action in (
            ("input", f"IOctopusService_{name}_InputMessage", name, actions[name]),
            ("output", f"IOctopusService_{name}_OutputMessage", f"{name}Response", f"{actions[name]}Response"),
        ):
            declared = operation.find(f"{WSDL}{end}")
            assert declared.get("message") == f"tns:{message}"
            assert declared.get(f"{WSAW}Action") == action
            (part,) = messages[message]
            assert (part.get("name"), part.get("element")) == ("parameters", f"tns:{element}")


def test_schemas_are_imported_by_relative_location():
    imports = CONTRACT.getroot().findall(f"{WSDL}types/{XS}schema/{XS}import")
    assert len(imports) == 4
    for found in imports:
        location = found.get("schemaLocation")
        assert Path(location).name == location
        assert etree.parse(FOLDER / location).getroot().get("targetNamespace") == found.get("namespace")


def example(element: etree._Element, namespace: str) -> etree._Element:
    """Build an instance of a declared element, with every member and lists of two."""
    samples = {
        "string": "text",
        "int": "7",
        "long": "7",
        "boolean": "true",
        "decimal": "44.9200",
        "float": "2.3",
        "dateTime": "2013-01-02T00:00:00",
        "PaymentStatusCode": "Cleared",
        "ShippingStatusCode": "Shipped",
        "ResultStatus": "Failure",
    }
    kind = element.get("type").split(":")[1]
    made = etree.Element(f"{{{namespace}}}{element.get('name')}", nsmap={"i": XSI})
    if kind in samples:
        made.text = samples[kind]
        return made
    for schema in (DATA_SCHEMA, ARRAY_SCHEMA):
        for found in schema.xpath("/*/xs:complexType[@name=$n]", n=kind, namespaces={"xs": XS[1:-1]}):
            for member in members(found):
                for _ in range(2 if member.get("maxOccurs") else 1):
                    made.append(example(member, schema.getroot().get("targetNamespace")))
    assert len(made), kind
    return made


@every("operation", OPERATIONS)
def test_schema_validates_a_full_request_and_reply_and_a_nil_and_an_empty_one(operation):
    schema = validator()
    for name in (operation, f"{operation}Response"):
        full, nil, empty = (etree.Element(f"{{{TEMPURI}}}{name}", nsmap={"i": XSI}) for _ in range(3))
        for part in wrapper(name):
            full.append(example(part, TEMPURI))
            if part.get("nillable") == "true":
                etree.SubElement(nil, f"{{{TEMPURI}}}{part.get('name')}").set(f"{{{XSI}}}nil", "true")
        for instance in (full, nil, empty):
            schema.assertValid(instance)


def test_schema_refuses_members_out_of_order():
    schema = validator()
    request = etree.Element(f"{{{TEMPURI}}}IsSkuExist")
    etree.SubElement(request, f"{{{TEMPURI}}}sku").text = "A"
    etree.SubElement(request, f"{{{TEMPURI}}}accountID").text = "B"
    assert not schema.validate(request)


def test_the_wheel_s_copy_is_preferred_and_its_absence_is_explained(tmp_path, monkeypatch):
    wheel, checkout = tmp_path / "package" / "wsdl", tmp_path / "wsdl"
    monkeypatch.setattr(bundled, "PLACES", (wheel, checkout))
    with pytest.raises(FileNotFoundError, match="missing from this installation"):
        bundled.contract_path()
    for place in (checkout, wheel):
        place.mkdir(parents=True)
        (place / "OctopusService.wsdl").write_text("<definitions/>")
        assert bundled.contract_path().parent == place
