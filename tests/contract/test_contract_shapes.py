"""Contracts that are not shaped like the bundled one: no action, several ports, enumerations, stray imports."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from octopus_soap.contracts.bundled import contract_path
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
