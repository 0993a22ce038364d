"""The contract files that ship with this package.

The build copies the checkout's `wsdl/` folder into the wheel as `octopus_soap/wsdl/`. A checkout (and an editable
install of it) has the folder next to the package instead. No other module uses the two places.

Schemas of the W3C and of xmlsoap.org that contracts import are here too, so that they are never fetched: a service does
not publish them itself. They are minimal: they have the names that a contract can refer to, after the published
schemas, whose addresses are the keys of `LOCATIONS`. Documentation and the attributes of single messages are left out.
If a contract uses nothing of another schema of these organisations, the import is left out (see `is_unused`).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]

# The folder of the wheel first, then that of a checkout.
PLACES = (_PACKAGE / "wsdl", _PACKAGE.parent / "wsdl")

CONTRACT_NAME = "OctopusService.wsdl"


def contract_path() -> Path:
    """Return the path of the bundled WSDL; its schemas are in the same folder.

    Raises:
        FileNotFoundError: The package was installed without its contract; the message names the places searched.
    """
    for place in PLACES:
        candidate = place / CONTRACT_NAME
        if candidate.is_file():
            return candidate
    looked = " and ".join(str(place) for place in PLACES)
    raise FileNotFoundError(
        f"{CONTRACT_NAME} is missing from this installation of octopus-soap: looked in {looked}. "
        "Reinstall the package, or pass wsdl= with a contract of your own."
    )


@cache
def operation_names() -> frozenset[str]:
    """Return the wire names of the operations that the bundled contract declares."""
    return frozenset(re.findall(r'<wsdl:operation name="(\w+)"', contract_path().read_text(encoding="utf-8")))


XSD = "http://www.w3.org/2001/XMLSchema"
_XML = "http://www.w3.org/XML/1998/namespace"
_ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_ADDRESSING = ("http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/ws/2004/08/addressing")
_ORGANISATIONS = ("http://www.w3.org/", "http://schemas.xmlsoap.org/", "http://docs.oasis-open.org/")
# Attributes of XML Schema and WSDL that name something of another schema.
_REFER = ("type", "ref", "base", "itemType", "memberTypes", "element", "substitutionGroup", "refer")

_XML_SCHEMA = f"""<xs:schema xmlns:xs="{XSD}" targetNamespace="{_XML}">
  <!-- Minimal, after https://www.w3.org/2001/xml.xsd -->
  <xs:attribute name="lang" type="xs:string"/>
  <xs:attribute name="space" type="xs:NCName"/>
  <xs:attribute name="base" type="xs:anyURI"/>
  <xs:attribute name="id" type="xs:ID"/>
  <xs:attributeGroup name="specialAttrs">
    <xs:attribute ref="xml:base"/><xs:attribute ref="xml:lang"/><xs:attribute ref="xml:space"/>
    <xs:attribute ref="xml:id"/>
  </xs:attributeGroup>
</xs:schema>"""

_SIMPLE = (
    "string", "boolean", "decimal", "float", "double", "duration", "dateTime", "time", "date", "gYearMonth", "gYear",
    "gMonthDay", "gDay", "gMonth", "hexBinary", "base64Binary", "anyURI", "QName", "NOTATION", "normalizedString",
    "token", "language", "NMTOKEN", "Name", "NCName", "ID", "IDREF", "ENTITY", "integer", "nonPositiveInteger",
    "negativeInteger", "long", "int", "short", "byte", "nonNegativeInteger", "unsignedLong", "unsignedInt",
    "unsignedShort", "unsignedByte", "positiveInteger",
)  # fmt: skip

_ENCODING_SCHEMA = f"""<xs:schema xmlns:xs="{XSD}" xmlns:tns="{_ENCODING}" targetNamespace="{_ENCODING}">
  <!-- Minimal, after http://schemas.xmlsoap.org/soap/encoding/ (SOAP 1.1, section 5) -->
  <xs:attribute name="root" type="xs:boolean"/>
  <xs:attribute name="arrayType" type="xs:string"/>
  <xs:attribute name="offset" type="xs:string"/>
  <xs:attribute name="position" type="xs:string"/>
  <xs:attributeGroup name="commonAttributes">
    <xs:attribute name="id" type="xs:ID"/><xs:attribute name="href" type="xs:anyURI"/>
    <xs:anyAttribute namespace="##other" processContents="lax"/>
  </xs:attributeGroup>
  <xs:attributeGroup name="arrayAttributes">
    <xs:attribute ref="tns:arrayType"/><xs:attribute ref="tns:offset"/>
  </xs:attributeGroup>
  <xs:attributeGroup name="arrayMemberAttributes"><xs:attribute ref="tns:position"/></xs:attributeGroup>
  <xs:group name="Array">
    <xs:sequence><xs:any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/></xs:sequence>
  </xs:group>
  <xs:complexType name="Array">
    <xs:group ref="tns:Array" minOccurs="0"/>
    <xs:attributeGroup ref="tns:arrayAttributes"/><xs:attributeGroup ref="tns:commonAttributes"/>
  </xs:complexType>
  <xs:element name="Array" type="tns:Array"/>
  <xs:group name="Struct">
    <xs:sequence><xs:any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/></xs:sequence>
  </xs:group>
  <xs:complexType name="Struct">
    <xs:group ref="tns:Struct" minOccurs="0"/><xs:attributeGroup ref="tns:commonAttributes"/>
  </xs:complexType>
  <xs:element name="Struct" type="tns:Struct"/>
  <xs:simpleType name="base64"><xs:restriction base="xs:base64Binary"/></xs:simpleType>
{
    "".join(
        f'  <xs:complexType name="{name}"><xs:simpleContent><xs:extension base="xs:{name}">'
        '<xs:attributeGroup ref="tns:commonAttributes"/></xs:extension></xs:simpleContent></xs:complexType>'
        f'<xs:element name="{name}" type="tns:{name}"/>'
        for name in _SIMPLE
    )
}
</xs:schema>"""


def _addressing(namespace: str) -> str:
    """Return the schema of WS-Addressing: the recommendation, or the submission."""
    return f"""<xs:schema xmlns:xs="{XSD}" xmlns:tns="{namespace}" targetNamespace="{namespace}"
    elementFormDefault="qualified">
  <!-- Minimal, after {namespace} -->
  <xs:complexType name="AttributedURIType">
    <xs:simpleContent><xs:extension base="xs:anyURI"><xs:anyAttribute processContents="lax"/></xs:extension>
    </xs:simpleContent>
  </xs:complexType>
  <xs:complexType name="AttributedURI">
    <xs:simpleContent><xs:extension base="xs:anyURI"><xs:anyAttribute processContents="lax"/></xs:extension>
    </xs:simpleContent>
  </xs:complexType>
  <xs:complexType name="ReferenceParametersType">
    <xs:sequence><xs:any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/></xs:sequence>
    <xs:anyAttribute processContents="lax"/>
  </xs:complexType>
  <xs:complexType name="MetadataType">
    <xs:sequence><xs:any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/></xs:sequence>
    <xs:anyAttribute processContents="lax"/>
  </xs:complexType>
  <xs:complexType name="EndpointReferenceType">
    <xs:sequence>
      <xs:element name="Address" type="tns:AttributedURIType"/>
      <xs:element name="ReferenceParameters" type="tns:ReferenceParametersType" minOccurs="0"/>
      <xs:element name="Metadata" type="tns:MetadataType" minOccurs="0"/>
      <xs:any namespace="##other" minOccurs="0" maxOccurs="unbounded" processContents="lax"/>
    </xs:sequence>
    <xs:anyAttribute processContents="lax"/>
  </xs:complexType>
  <xs:element name="EndpointReference" type="tns:EndpointReferenceType"/>
  <xs:element name="MessageID" type="tns:AttributedURIType"/>
  <xs:element name="To" type="tns:AttributedURIType"/>
  <xs:element name="Action" type="tns:AttributedURIType"/>
  <xs:element name="From" type="tns:EndpointReferenceType"/>
  <xs:element name="ReplyTo" type="tns:EndpointReferenceType"/>
  <xs:element name="FaultTo" type="tns:EndpointReferenceType"/>
</xs:schema>"""


STANDARD: dict[str, tuple[str, str]] = {
    _XML: ("https://www.w3.org/2001/xml.xsd", _XML_SCHEMA),
    _ENCODING: (_ENCODING, _ENCODING_SCHEMA),
    **{namespace: (namespace, _addressing(namespace)) for namespace in _ADDRESSING},
}
"""The address and the text of each schema, by namespace."""

LOCATIONS: dict[str, bytes] = {location: text.encode() for location, text in STANDARD.values()}
"""The schemas by the address of their publication."""

_FILES = dict(
    zip(STANDARD, ("xml.xsd", "soap-encoding.xsd", "addressing-2005.xsd", "addressing-2004.xsd"), strict=True)
)


def file_name(namespace: str) -> str:
    """Return the file name of a standard *namespace* next to a pinned contract."""
    return _FILES[namespace]


def is_unused(imported: Any) -> bool:
    """True if *imported* is a standard schema that its document does not use."""
    namespace = imported.get("namespace") or ""
    if namespace in STANDARD or not namespace.startswith(_ORGANISATIONS):
        return False
    for element in imported.getroottree().iter("{*}*"):
        for attribute in _REFER:
            for name in (element.get(attribute) or "").split():
                prefix, colon, _ = name.rpartition(":")
                if colon and element.nsmap.get(prefix) == namespace:
                    return False
    return True
