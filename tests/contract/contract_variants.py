"""The bundled WSDL, changed as other WCF classes or settings would publish it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from octopus_soap.contracts.bundled import contract_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Schemas = dict[str, Any]

XS = "{http://www.w3.org/2001/XMLSchema}"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
MAIN, WRAPPERS, DATA = "OctopusService.wsdl", "OctopusService.xsd", "DataContracts.xsd"
VALUE_TYPES = {"decimal", "int", "long", "float", "double", "boolean", "dateTime"}
OTHER_SERVICE, OTHER_DATA = "http://services.example.org/octopus/v2", "http://example.org/Octo.Contracts.Data"


def sequences(root: Any, *, lists: bool = False) -> list[tuple[str, Any]]:
    """Return the named complex types and their sequences; ArrayOf types if *lists*."""
    found = []
    for named in root.findall(f"{XS}complexType"):
        sequence = named.find(f"{XS}sequence")
        if sequence is not None and (lists or not named.get("name").startswith("ArrayOf")):
            found.append((named.get("name"), sequence))
    return found


def requests_of(root: Any) -> list[tuple[str, Any]]:
    """Return the name and sequence of each request wrapper."""
    return [
        (element.get("name"), element.find(f"{XS}complexType/{XS}sequence"))
        for element in root.findall(f"{XS}element")
        if not element.get("name").endswith("Response")
    ]


def element(name: str, kind: str = "string", *, nillable: bool = True) -> Any:
    made = etree.Element(f"{XS}element", minOccurs="0", name=name)
    if nillable:
        made.set("nillable", "true")
    made.set("type", f"xs:{kind}")
    return made


# -- transformations: each changes the parsed documents in place ------------------------------------------------------


def members_reversed(documents: Schemas) -> None:
    for _, sequence in sequences(documents[DATA]):
        sequence[:] = list(reversed(sequence))


def parameters_reversed(documents: Schemas) -> None:
    for _, sequence in requests_of(documents[WRAPPERS]):
        sequence[:] = list(reversed(sequence))


def members_added(documents: Schemas) -> None:
    """Add members at three places of every type, and to every request."""
    for _, sequence in sequences(documents[DATA]):
        sequence.insert(0, element("AaaExtra"))
        sequence.insert(len(sequence) // 2, element("MidExtra", "decimal"))
        sequence.append(element("ZzzExtra", "dateTime"))
    for _, sequence in requests_of(documents[WRAPPERS]):
        sequence.insert(0, element("tenant"))
        sequence.append(element("culture"))


def values_not_nillable(documents: Schemas) -> None:
    for root in (documents[DATA], documents[WRAPPERS]):
        for found in root.iter(f"{XS}element"):
            if found.get("type", "").removeprefix("xs:") in VALUE_TYPES:
                found.attrib.pop("nillable", None)


def inlined(documents: Schemas) -> None:
    """Put everything into one document, as ?singleWsdl does."""
    schemas = [documents.pop(name) for name in list(documents) if name != MAIN]
    for schema in schemas:
        for reference in schema.findall(f"{XS}import"):
            reference.attrib.pop("schemaLocation", None)
    # As text: if nodes are moved, libxml2 drops the prefixes that only types in attributes use.
    whole = etree.tostring(documents[MAIN], encoding="unicode")
    head, _, rest = whole.partition("<wsdl:types>")
    tail = rest.partition("</wsdl:types>")[2]
    middle = "".join(etree.tostring(schema, encoding="unicode") for schema in schemas)
    documents[MAIN] = etree.fromstring(f"{head}<wsdl:types>{middle}</wsdl:types>{tail}")


def moved(documents: Schemas, name: str, before: str, *members: str) -> None:
    """Move *members* of the type *name* to just before another."""
    sequence = dict(sequences(documents[DATA]))[name]
    by_name = {child.get("name"): child for child in sequence}
    for member in members:
        sequence.remove(by_name[member])
        sequence.insert(list(sequence).index(by_name[before]), by_name[member])


def renamed(text: str) -> str:
    """Change the namespaces, and WCF's digest of them in the names of generic types."""
    text = text.replace("http://tempuri.org/", f"{OTHER_SERVICE}/").replace("CdKGXJBo", "xYz1q2w3")
    return text.replace("http://schemas.datacontract.org/2004/07/OctopusService", OTHER_DATA)


def same(text: str) -> str:
    return text


def variant(folder: Path, *changes: Callable[[Schemas], None], text: Callable[[str], str] = same) -> Path:
    """Write the bundled contract, changed, into *folder* and return its main file."""
    documents: Schemas = {}
    for path in sorted(contract_path().parent.glob("*.[wx]s*")):
        parser = etree.XMLParser(remove_comments=True)
        documents[path.name] = etree.fromstring(text(path.read_text(encoding="utf-8")).encode(), parser)
    for change in changes:
        change(documents)
    folder.mkdir(parents=True, exist_ok=True)
    for name, root in documents.items():
        (folder / name).write_bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))
    return folder / MAIN


def everything(folder: Path) -> Path:
    changes = (members_reversed, parameters_reversed, members_added, inlined)
    return variant(folder, *changes, text=renamed)


VARIANTS: dict[str, Callable[[Path], Path]] = {
    "namespaces renamed": lambda folder: variant(folder, text=renamed),
    "members reversed": lambda folder: variant(folder, members_reversed),
    "parameters reversed": lambda folder: variant(folder, parameters_reversed),
    "members added": lambda folder: variant(folder, members_added),
    "values not nillable": lambda folder: variant(folder, values_not_nillable),
    "inlined": lambda folder: variant(folder, inlined),
    "everything": everything,
    "everything, values not nillable": lambda folder: variant(
        folder, members_reversed, parameters_reversed, values_not_nillable, members_added, inlined, text=renamed
    ),
}
