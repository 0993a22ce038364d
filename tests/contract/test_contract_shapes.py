"""Contracts of other shapes: no action, several ports, enumerations, odd imports."""

from __future__ import annotations

import re
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from octopus_soap import ContractError
from octopus_soap.contracts.bundled import contract_path
from octopus_soap.contracts.pin import ContractDocument, parse_document, pinned_files, write_contract
from octopus_soap.contracts.wsdl import Contract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[str], str]], Contract]:
    def make(change: Callable[[str], str]) -> Contract:
        folder = tmp_path / "contract"
        shutil.copytree(contract_path().parent, folder)
        main = folder / contract_path().name
        main.write_text(change(main.read_text(encoding="utf-8")), encoding="utf-8")
        return Contract(main, bundled=False)

    return make


def test_an_operation_without_an_action_sends_an_empty_one(changed: Callable[..., Contract]) -> None:
    contract = changed(lambda text: re.sub(r'\s+soapAction="[^"]*"', "", text))
    assert {operation.action for operation in contract.operations.values()} == {""}


def test_of_several_ports_the_one_with_our_operations_is_used(changed: Callable[..., Contract]) -> None:
    def with_another_first(text: str) -> str:
        binding = (
            '<wsdl:portType name="IOther"/><wsdl:binding name="Other" type="tns:IOther"><soap:binding '
            'transport="http://schemas.xmlsoap.org/soap/http"/></wsdl:binding>'
        )
        port = (
            '<wsdl:port name="Other" binding="tns:Other"><soap:address location="http://127.0.0.1/other"/></wsdl:port>'
        )
        text = re.sub(r"(<wsdl:service )", lambda found: binding + found[1], text, count=1)
        return re.sub(r"(<wsdl:service [^>]*>)", lambda found: found[1] + port, text, count=1)

    contract = changed(with_another_first)
    assert "SubmitOrder" in contract.operations


def test_an_enumeration_is_a_value_type(tmp_path: Path) -> None:
    folder = tmp_path / "contract"
    shutil.copytree(contract_path().parent, folder)
    named = '<xs:simpleType name="Unit"><xs:restriction base="xs:string"><xs:enumeration value="Each"/></xs:restriction></xs:simpleType>'
    for schema in folder.glob("*.xsd"):
        text = schema.read_text(encoding="utf-8")
        if 'name="ItemQuantityAndPrice"' in text:
            text = re.sub(
                r'(<xs:complexType name="ItemQuantityAndPrice">\s*<xs:sequence>)',
                r'\1<xs:element name="Unit" type="tns:Unit" minOccurs="0"/>',
                text,
            )
            prefix = re.search(
                r'xmlns:(\w+)="([^"]+)"[^>]*targetNamespace="\2"|targetNamespace="([^"]+)"[^>]*xmlns:(\w+)="\3"', text
            )
            tns = next(part for part in (prefix[1], prefix[4]) if part) if prefix else "tns"
            text = text.replace('type="tns:Unit"', f'type="{tns}:Unit"')
            schema.write_text(re.sub(r"(</xs:schema>)", named + r"\1", text), encoding="utf-8")
    contract = Contract(folder / contract_path().name, bundled=False)
    item = contract.operation("UpdateItemQuantityAndPrice").parameter("iQP").shape
    unit = next(member for member in item.members if member.name == "Unit")
    assert unit.is_value_type
    assert unit.shape.scalar == "string"


def test_an_import_of_xml_schema_itself_is_skipped(changed: Callable[..., Contract]) -> None:
    stray = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:import namespace="http://www.w3.org/2001/XMLSchema" schemaLocation="http://www.w3.org/2001/XMLSchema.xsd"/></xs:schema>'
    contract = changed(lambda text: re.sub(r"(<wsdl:types>)", lambda found: found[1] + stray, text, count=1))
    assert len(contract.operations) == 20


IMPORTS = """
<xs:import namespace="http://www.w3.org/XML/1998/namespace" schemaLocation="http://www.w3.org/2001/xml.xsd"/>
<xs:import namespace="http://schemas.xmlsoap.org/soap/encoding/"/>
<xs:import namespace="http://www.w3.org/2005/08/addressing" schemaLocation="http://www.w3.org/2005/08/addressing/ws-addr.xsd"/>
<xs:import namespace="http://schemas.xmlsoap.org/ws/2004/08/addressing" schemaLocation="../addressing.xsd"/>
<xs:import namespace="http://schemas.xmlsoap.org/ws/2004/09/policy" schemaLocation="http://schemas.xmlsoap.org/ws/2004/09/policy/ws-policy.xsd"/>
"""
USES = """
<xs:element name="Note" minOccurs="0" type="c:string" xmlns:c="http://schemas.xmlsoap.org/soap/encoding/"/>
<xs:element name="Where" minOccurs="0" type="w:EndpointReferenceType" xmlns:w="http://www.w3.org/2005/08/addressing"/>
<xs:element name="From" minOccurs="0" type="w:EndpointReferenceType" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"/>
<xs:element name="Codes" minOccurs="0"><xs:complexType><xs:complexContent>
<xs:restriction base="c:Array" xmlns:c="http://schemas.xmlsoap.org/soap/encoding/">
<xs:attribute ref="c:arrayType" l:arrayType="xs:string[]" xmlns:l="http://schemas.xmlsoap.org/wsdl/"/>
<xs:attribute ref="xml:lang"/></xs:restriction></xs:complexContent></xs:complexType></xs:element>
"""


def with_standard_schemas(folder: Path) -> Path:
    """Copy the bundled contract, with imports of other organisations' schemas."""
    shutil.copytree(contract_path().parent, folder / "wsdl")
    schema = folder / "wsdl" / "DataContracts.xsd"
    text = re.sub(r"(<xs:schema [^>]*>)", lambda found: found[1] + IMPORTS, schema.read_text("utf-8"), count=1)
    start = r'(<xs:complexType name="ItemQuantityAndPrice">\s*<xs:sequence>)'
    schema.write_text(re.sub(start, lambda found: found[1] + USES, text, count=1), encoding="utf-8")
    return folder / "wsdl" / contract_path().name


def test_standard_schemas_are_shipped_and_never_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wsdl = with_standard_schemas(tmp_path)
    documents: dict[str, ContractDocument] = {}
    waiting = ["http://shop.example/x.svc?singleWsdl"]
    while waiting:  # like the fetcher
        url = waiting.pop()
        name = url.rpartition("/")[2]
        path = wsdl if name == "x.svc?singleWsdl" else wsdl.parent / name
        documents[url] = parse_document(path.read_bytes(), url)
        waiting += [each for each in documents[url].references() if each not in documents]
    assert {url.partition("/x.svc")[0].rpartition("/")[0] for url in documents} <= {"http:/", "http://shop.example"}
    files = pinned_files(documents, "")
    assert files.keys() > {"xml.xsd", "soap-encoding.xsd", "addressing-2005.xsd", "addressing-2004.xsd"}
    assert b'schemaLocation="http' not in b"".join(files.values())
    monkeypatch.setattr(socket, "getaddrinfo", None)
    pinned = write_contract(tmp_path / "pinned", files)
    for contract in (Contract(wsdl, bundled=False), Contract(pinned, bundled=False)):
        item = contract.operation("UpdateItemQuantityAndPrice").parameter("iQP").shape
        kinds = {member.name: member for member in item.members}
        assert kinds.keys() > {"Note", "Where", "From", "Codes", "Price"}
        assert [m.name for m in kinds["Where"].shape.members][:2] == ["Address", "ReferenceParameters"]


def test_a_standard_schema_that_is_used_and_not_shipped_is_named(tmp_path: Path) -> None:
    wsdl = with_standard_schemas(tmp_path)
    schema = wsdl.parent / "DataContracts.xsd"
    policy = 'xmlns:w="http://schemas.xmlsoap.org/ws/2004/09/policy"'
    text = schema.read_text("utf-8").replace('xmlns:w="http://www.w3.org/2005/08/addressing"', policy)
    schema.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match=r"schemas\.xmlsoap\.org/ws/2004/09/policy/ws-policy\.xsd"):
        Contract(wsdl, bundled=False)
