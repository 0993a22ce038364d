"""The WSDL and its schemas: loaded, varied by the profile, and published.

WCF publishes one WSDL whose types section imports the schemas as ``?xsd=xsd0``, ``xsd1``, ... (known of WCF), and since
.NET 4.5 the same inlined as ``?singleWsdl``. Both are made here from the contract that the emulator was given.

Schemas are imported by the last segment of the address and the query (``OctopusService.svc?xsd=xsd0``). WCF writes the
whole address, but from absolute addresses Mono's svcutil reads each schema twice, and then makes a proxy without
operations and without a warning. A bare ``?xsd=xsd0`` breaks gSOAP and JAX-WS. A relative address also stays right
behind a forwarded port.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from xml.sax.saxutils import escape

from lxml import etree

from .replies import TEXT_HTML, Reply, html_reply
from .scalars import kind_of
from .xmltree import XS, Element, namespace, parse, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WSDL = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"

# The page types these as bare lists and describes them as APIResult. It is unknown which of the two is right.
AMBIGUOUS_OPERATIONS = ("IsSkuExistList", "GetItemTblList", "GetItemList")

_SCHEMA, _IMPORT, _ELEMENT = f"{{{XS}}}schema", f"{{{XS}}}import", f"{{{XS}}}element"
_PLACE = "(schemas)"  # a placeholder in the single document, until they are inserted as text
_LOCATOR = "emulator:/"  # the base of the addresses that the validator loads, from memory


class ContractError(ValueError):
    """The WSDL lacks a part, or has one that WCF does not publish."""


@dataclass(frozen=True)
class Documents:
    """A WSDL without its types, and its schemas in the order of their numbers."""

    wsdl: Element
    schemas: tuple[Element, ...]

    def multi_document(self, address: str) -> bytes:
        """Return ``?wsdl``: the schemas imported by address."""
        root = self._addressed(address)
        holder = etree.SubElement(self._types(root), _SCHEMA, nsmap={"xsd": XS})
        holder.set("targetNamespace", f"{self.wsdl.get('targetNamespace', '')}Imports")
        for number, schema in enumerate(self.schemas):
            _import(holder, schema.get("targetNamespace", ""), f"{_last_segment(address)}?xsd=xsd{number}")
        return _bytes(root)

    def single_document(self, address: str) -> bytes:
        """Return ``?singleWsdl``: the schemas inlined, their imports without a location."""
        root = self._addressed(address)
        self._types(root).text = _PLACE
        # As text, not as a tree: moving elements makes lxml drop "redundant" prefixes that attribute values still use.
        schemas = b"".join(etree.tostring(self._relocated(schema, None)) for schema in self.schemas)
        return _bytes(root).replace(_PLACE.encode(), schemas)

    def schema(self, number: int, address: str) -> bytes:
        """Return ``?xsd=xsd<number>``.

        Raises:
            IndexError: There is no such schema.
        """
        if number < 0:
            raise IndexError(number)
        return _bytes(self._relocated(self.schemas[number], f"{_last_segment(address)}?xsd=xsd"))

    def _addressed(self, address: str) -> Element:
        root = copy.deepcopy(self.wsdl)
        for element in root.iter(f"{{{WSDL_SOAP}}}address"):
            element.set("location", address)
        return root

    @staticmethod
    def _types(root: Element) -> Element:
        types = etree.Element(f"{{{WSDL}}}types")
        root.insert(0, types)
        return types

    def _relocated(self, schema: Element, base: str | None) -> Element:
        """Return a copy whose imports have ``base`` + number as location, or none."""
        numbers = {known.get("targetNamespace", ""): number for number, known in enumerate(self.schemas)}
        made = copy.deepcopy(schema)
        for element in made.findall(_IMPORT):
            number = numbers.get(element.get("namespace", ""))
            if base is None or number is None:
                element.attrib.pop("schemaLocation", "")
            else:
                element.set("schemaLocation", f"{base}{number}")
        return made


def _last_segment(address: str) -> str:
    return address.rpartition("/")[2]


def _import(parent: Element, target: str, location: str) -> None:
    element = etree.SubElement(parent, _IMPORT)
    element.set("schemaLocation", location)
    element.set("namespace", target)


def _bytes(root: Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


class _Memory(etree.Resolver):
    """Hands libxml2 the schemas from memory."""

    def __init__(self, texts: dict[str, bytes]) -> None:
        super().__init__()
        self._texts = texts

    def resolve(self, system_url: str, public_id: str, context: Any = None) -> Any:
        del public_id
        text = self._texts.get(system_url)
        return None if text is None else self.resolve_string(text, context, base_url=system_url)


def compile_validator(documents: Documents) -> etree.XMLSchema:
    """Compile all schemas into one validator for request wrappers."""
    texts = {
        f"{_LOCATOR}{number}": documents.schema(number, _LOCATOR).replace(b"?xsd=xsd", _LOCATOR.encode())
        for number in range(len(documents.schemas))
    }
    umbrella = etree.Element(_SCHEMA, nsmap={"xs": XS})  # imports each of them
    for number, schema in enumerate(documents.schemas):
        _import(umbrella, schema.get("targetNamespace", ""), f"{_LOCATOR}{number}")
    parser = etree.XMLParser()
    parser.resolvers.add(_Memory(texts))
    return etree.XMLSchema(etree.fromstring(_bytes(umbrella), parser))


def load(path: Path) -> Documents:
    """Load a WSDL, with inline schemas or with schemas in the same folder.

    Raises:
        ContractError: The WSDL imports another WSDL (fetch ``?singleWsdl`` instead), or a schema without a file.
        FileNotFoundError: A named schema is not there.
    """
    root = parse(path.read_bytes())
    if root.find(f"{{{WSDL}}}import") is not None:
        raise ContractError(f"{path.name} imports another WSDL; give the service's ?singleWsdl instead")
    types = root.find(f"{{{WSDL}}}types")
    if types is None:
        raise ContractError(f"{path.name} has no types section")
    found = _collect([parse(etree.tostring(schema)) for schema in types.findall(_SCHEMA)], path.parent)
    root.remove(types)
    return Documents(root, found)


def _collect(inline: list[Element], folder: Path) -> tuple[Element, ...]:
    """Return the schemas and those they import by file."""
    found: dict[str, Element] = {}  # breadth first: WCF numbers them in this order
    waiting = list(inline)
    while waiting:
        schema = waiting.pop(0)
        target = schema.get("targetNamespace", "")
        is_umbrella = len(schema) == len(schema.findall(_IMPORT))  # such as the one in WCF's types section
        if not is_umbrella and found.setdefault(target, schema) is not schema:
            continue
        locations = [e.get("schemaLocation") for e in schema.findall(_IMPORT) if e.get("namespace", "") not in found]
        waiting += [parse((folder / location).read_bytes()) for location in locations if location]
    return tuple(found.values())


def _elements(documents: Documents) -> Iterator[tuple[Element, str]]:
    for schema in documents.schemas:
        for element in schema.iter(_ELEMENT):
            if element.get("type"):
                space, name = resolve(element, element.get("type", ""))
                yield element, (name if space == XS else "")


def without_nillable_values(documents: Documents) -> Documents:
    """Return the contract as WCF publishes it for ``decimal``, not ``decimal?``."""
    varied = copy.deepcopy(documents)
    enumerations = {
        (schema.get("targetNamespace", ""), simple.get("name", ""))
        for schema in varied.schemas
        for simple in schema.findall(f"{{{XS}}}simpleType")
    }
    for element, builtin in _elements(varied):
        is_member = namespace(cast("Element", element.getparent())) == XS and element.getparent() not in varied.schemas
        is_value = kind_of(builtin).default is not None or resolve(element, element.get("type", "")) in enumerations
        if is_member and is_value:
            element.attrib.pop("nillable", "")
    return varied


def with_bare_lists(documents: Documents) -> Documents:
    """Return the contract with bare lists, no APIResult, in the ambiguous operations."""
    varied = copy.deepcopy(documents)
    wanted = {f"{name}Result" for name in AMBIGUOUS_OPERATIONS}
    for element, _ in list(_elements(varied)):
        if element.get("name") in wanted:
            space, name = resolve(element, element.get("type", ""))
            data = _result_data(varied, space, name)
            if data is not None:
                list_space, list_name = resolve(data, data.get("type", ""))
                prefix = next(p for p, uri in element.nsmap.items() if uri == list_space)
                element.set("type", f"{prefix}:{list_name}" if prefix else list_name)
    return varied


def _result_data(documents: Documents, space: str, name: str) -> Element | None:
    for schema in documents.schemas:
        if schema.get("targetNamespace", "") == space:
            for found in schema.findall(f"{{{XS}}}complexType"):
                if found.get("name") == name:
                    return next((e for e in found.iter(_ELEMENT) if e.get("name") == "ResultData"), None)
    return None


_HELP = (
    '<HTML><HEAD><TITLE>{service} Service</TITLE></HEAD><BODY><DIV id="content">'
    '<P class="heading1">{service} Service</P>'
    '<P class="intro">You have created a service.<P class="intro">{words}</DIV></BODY></HTML>'
)


def metadata_reply(documents: Documents, *, service: str, address: str, query: str, published: bool) -> Reply:
    """Answer a GET on the service's address.

    A browser gets the documents, a help page, or IIS's 404. The pages and their numbering are known of WCF.
    """
    asked = query.lower()
    if not published or not asked:
        return _help(service, address, published=published)
    if asked == "wsdl":
        return Reply(200, documents.multi_document(address))
    if asked == "singlewsdl":
        return Reply(200, documents.single_document(address))
    if asked.startswith("xsd=xsd") and asked[7:].isdecimal():
        try:
            return Reply(200, documents.schema(int(asked[7:]), address))
        except IndexError:
            return html_reply(404)
    return _help(service, address, published=published)


def _help(service: str, address: str, *, published: bool) -> Reply:
    if published:
        link = escape(f"{address}?wsdl")
        words = (
            "To test this service, you will need to create a client and use it to call the service. You can do this "
            "using the svcutil.exe tool from the command line with the following syntax: "
            f'<PRE>svcutil.exe <A href="{link}">{link}</A></PRE>'
        )
    else:
        words = "Metadata publishing for this service is currently disabled."
    return Reply(200, _HELP.format(service=escape(service), words=words).encode(), TEXT_HTML)
