"""The emulator's XML parsing: strict, without entities, without the network."""

from __future__ import annotations

import re
from typing import Any, TypeAlias, cast

from lxml import etree

Element: TypeAlias = etree._Element  # noqa: SLF001 - lxml has no public name for the type of an element

XS = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SOAP_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
NIL = f"{{{XSI}}}nil"
XSI_TYPE = f"{{{XSI}}}type"


class MalformedXmlError(ValueError):
    """The bytes are not well-formed XML, or have a document type declaration."""


# The charsets that WCF's text encoder reads, and libxml2's name of each. "utf-16" without a byte order mark is
# little-endian (.NET's "Unicode").
CHARSETS = {"": "utf-8", "utf-8": "utf-8", "utf-16": "utf-16le", "utf-16le": "utf-16le", "utf-16be": "utf-16be"}
_MARKS = {b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be"}
_DECLARED = re.compile(r"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def parse_request(data: bytes, charset: str = "") -> Element:
    """Parse a request as WCF's reader does.

    *charset* is that of the Content-Type, in lower case: one of :data:`CHARSETS`.

    Raises:
        MalformedXmlError: Not well-formed, with a DOCTYPE or a processing instruction, or declared in another encoding
            than it is in.
    """
    encoding = _MARKS.get(data[:2], CHARSETS.get(charset, "utf-8"))
    declared = _DECLARED.match(data[:200].decode(encoding, "replace").lstrip("\ufeff"))
    if declared is not None and CHARSETS.get(declared[1].lower(), "")[:6] != encoding[:6]:
        raise MalformedXmlError(
            f"The encoding in the declaration '{declared[1]}' does not match the encoding of the document '{encoding}'."
        )
    is_plain = encoding == "utf-8" or data[:2] in _MARKS  # libxml2 recognises these itself
    root = parse(data, encoding=None if is_plain else encoding, keep_pis=True)
    if root.getroottree().xpath("boolean(//processing-instruction())"):
        raise MalformedXmlError("Processing instructions (other than the XML declaration) and DTDs are not supported.")
    return root


def parse(data: bytes, *, encoding: str | None = None, keep_pis: bool = False) -> Element:
    """Parse ``data`` strictly, without comments, and return the root element.

    *encoding* overrides the document's declaration; None: as declared.

    Raises:
        MalformedXmlError: Not well-formed, or with a DOCTYPE.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=True,
        remove_comments=True,
        remove_pis=not keep_pis,
        encoding=encoding,
    )
    try:
        root = cast("Element", etree.fromstring(data, parser))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXmlError(str(error)) from None
    information = cast("Any", root.getroottree().docinfo)  # the stubs do not allow for a missing DTD
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
    """Resolve a ``prefix:name`` in the scope of ``element`` into (namespace, name)."""
    prefix, _, name = qname.strip().rpartition(":")
    return element.nsmap.get(prefix or None) or "", name
