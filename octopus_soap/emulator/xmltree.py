"""How the emulator parses XML: never leniently, never with entities, never over the network."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

from lxml import etree

Element: TypeAlias = etree._Element  # noqa: SLF001 - lxml has no public name for the type of an element

XS = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SOAP_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
NIL = f"{{{XSI}}}nil"
XSI_TYPE = f"{{{XSI}}}type"


class MalformedXmlError(ValueError):
    """The bytes are not well-formed XML, or carry a document type declaration."""


def parse(data: bytes) -> Element:
    """Parse ``data`` strictly and return its root element, comments and processing instructions removed.

    Raises:
        MalformedXmlError: Not well-formed, or with a DOCTYPE (which WCF's reader refuses too).
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_comments=True, remove_pis=True
    )
    try:
        root = cast("Element", etree.fromstring(data, parser))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXmlError(str(error)) from None
    information = cast("Any", root.getroottree().docinfo)  # the stubs forget that there may be no DTD
    if information.internalDTD is not None:
        raise MalformedXmlError("document type declarations are not accepted")
    return root


def local(element: Element) -> str:
    """Return the element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def namespace(element: Element) -> str:
    """Return the element's namespace, "" for none."""
    return str(element.tag).rpartition("}")[0].lstrip("{")


def resolve(element: Element, qname: str) -> tuple[str, str]:
    """Resolve a ``prefix:name`` found in an attribute or text of ``element`` into (namespace, name)."""
    prefix, _, name = qname.strip().rpartition(":")
    return element.nsmap.get(prefix or None) or "", name
