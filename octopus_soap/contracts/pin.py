"""Make a published contract self-contained, and store it.

A WCF service publishes its contract as one document (`?singleWsdl`) or as a WSDL that imports schemas, and sometimes
further WSDLs, by absolute address (`?xsd=xsd0`, `?wsdl=wsdl0`). In a pinned contract every reference is the name of a
file next to it, so that nothing is ever fetched again. Names of imported documents have a digest of the whole set: a
new set never overwrites a file of an old one, and the main file, written last, always refers to a complete set.

Files are written whole or not at all.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from lxml import etree
from platformdirs import user_config_dir

from octopus_soap.contracts.bundled import STANDARD, XSD, file_name, is_unused
from octopus_soap.contracts.compiled import replace_file
from octopus_soap.contracts.diff import examined
from octopus_soap.contracts.wsdl import compile_contract, load_contract
from octopus_soap.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from octopus_soap.contracts.wsdl import Contract


WSDL = "http://schemas.xmlsoap.org/wsdl/"
_REFERENCES = {
    f"{{{WSDL}}}import": "location",
    f"{{{XSD}}}import": "schemaLocation",
    f"{{{XSD}}}include": "schemaLocation",
    f"{{{XSD}}}redefine": "schemaLocation",
}
_KINDS = {f"{{{WSDL}}}definitions": "wsdl", f"{{{XSD}}}schema": "xsd"}


@dataclass(frozen=True, slots=True)
class ContractDocument:
    """One document of a contract.

    Attributes:
        url: The address it was fetched from; references in it are relative to this.
        kind: `wsdl` or `xsd`, also the ending of its file's name.
        root: The parsed document.
    """

    url: str
    kind: str
    root: Any

    def references(self) -> list[str]:
        """Return the addresses of the documents it imports, each once."""
        found = (resolved(self.url, element.get(attribute)) for element, attribute in _referring(self.root))
        return list(dict.fromkeys(found))

    def foreign(self) -> list[str]:
        """Return the references, as written, that name another origin."""
        origin = urlsplit(self.url)[:2]
        written = (_joined(self.url, element.get(attribute)) for element, attribute in _referring(self.root))
        return list(dict.fromkeys(url for url in written if urlsplit(url)[:2] != origin))


def parse_document(body: bytes, url: str) -> ContractDocument:
    """Parse a document of a contract strictly, without entities, and load nothing.

    Raises:
        ContractError: It is not XML, has a DOCTYPE, or is neither a WSDL nor a schema.
    """
    start = body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<html", b"<!doctype html")):
        raise ContractError(
            f"{url} is an HTML page, not a WSDL: the service may not publish its contract there. Ask the vendor for "
            "the WSDL as a file, and give that"
        )
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:  # ValueError: an encoding unknown to lxml
        raise ContractError(f"{url} is not complete, well-formed XML: {str(error)[:200]}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ContractError(f"{url} carries a DOCTYPE, which no WSDL needs; it was not read")
    kind = _KINDS.get(str(root.tag))
    if kind is None:
        raise ContractError(f"{url} is a <{etree.QName(root).localname[:40]}> document, not a WSDL 1.1 or a schema")
    for element in list(root.iter(f"{{{XSD}}}import")):
        # Mono's WCF imports the built-in types from an address that serves a page.
        stray = element.get("namespace") == XSD or is_unused(element)
        if stray and (parent := element.getparent()) is not None:
            parent.remove(element)
    return ContractDocument(url, kind, root)


def _referring(root: Any) -> Iterator[tuple[Any, str]]:
    """Yield elements that import a document of the service, and their attribute."""
    for element in root.iter(*_REFERENCES):
        attribute = _REFERENCES[element.tag]
        if element.get(attribute) and not _is_standard(element):
            yield element, attribute


def _is_standard(element: Any) -> bool:
    """True if *element* imports a shipped schema, which is never fetched."""
    return element.tag == f"{{{XSD}}}import" and element.get("namespace") in STANDARD


def resolved(url: str, location: str) -> str:
    """Return the address of *location* in the document at *url*, with *url*'s origin.

    Behind a load balancer WCF writes the name of the inner machine into its imports. That means the same path of the
    origin that was asked, and credentials go to no other origin.
    """
    asked, meant = urlsplit(url), urlsplit(_joined(url, location))
    return meant._replace(scheme=asked.scheme, netloc=asked.netloc, fragment="").geturl()


def _joined(url: str, location: str) -> str:
    try:
        joined = urljoin(url, location)
        urlsplit(joined)
    except ValueError as error:
        raise ContractError(f"{url} imports {location[:200]!r}, which is not a URL: {error}") from None
    return joined


def pinned_files(documents: Mapping[str, ContractDocument], about: str) -> dict[str, bytes]:
    """Return the files of a contract by name, the main one last.

    Args:
        documents: The documents by address, the main WSDL first, with everything they refer to.
        about: A line for a comment in the main file.

    Raises:
        ContractError: A reference is not among *documents*.
    """
    main = next(iter(documents))
    digest = hashlib.sha256()
    for document in documents.values():
        digest.update(etree.tostring(document.root))  # not c14n, which refuses relative namespace names
    names = _names(documents, main, digest.hexdigest()[:8])
    files = {names[url]: _rewritten(document, names) for url, document in documents.items() if url != main}
    for document in documents.values():
        for element in filter(_is_standard, document.root.iter(f"{{{XSD}}}import")):
            namespace = element.get("namespace")
            files[file_name(namespace)] = STANDARD[namespace][1].encode()
    files[names[main]] = _rewritten(documents[main], names, about)
    return files


def _names(documents: Mapping[str, ContractDocument], main: str, digest: str) -> dict[str, str]:
    """Return file names by address, after the service's name or the document's query."""
    service = urlsplit(main).path.rpartition("/")[2].rpartition(".")[0]
    names = {main: f"{_plain(service) or 'contract'}.wsdl"}
    for number, (url, document) in enumerate(documents.items()):
        if url != main:
            parts = urlsplit(url)
            asked = parts.query.partition("=")[2] or parts.path.rpartition("/")[2].rpartition(".")[0]
            name = f"{_plain(asked) or 'part'}.{digest}.{document.kind}"
            names[url] = name if name not in names.values() else f"{number}-{name}"
    return names


def _plain(text: str) -> str:
    """Return *text* as part of a file name on any system."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", unquote(text)).strip("-")[:60]


def _rewritten(document: ContractDocument, names: Mapping[str, str], about: str = "") -> bytes:
    # A copy: the caller's documents stay as they were fetched.
    root = etree.fromstring(etree.tostring(document.root))
    for element, attribute in _referring(root):
        target = resolved(document.url, element.get(attribute))
        if target not in names:
            raise ContractError(f"{document.url} refers to {target}, which was not fetched")
        element.set(attribute, names[target])
    for element in filter(_is_standard, root.iter(f"{{{XSD}}}import")):
        element.set("schemaLocation", file_name(element.get("namespace") or ""))
    if about:
        root.addprevious(etree.Comment(f" {re.sub('-(?=-)', '- ', about)} "))  # XML forbids two hyphens in a comment
    return etree.tostring(root.getroottree(), xml_declaration=True, encoding="utf-8")


def pinned_folder(endpoint: str) -> Path:
    """Return the user's folder for the contract of *endpoint*'s host."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "unknown").replace(":", "_")  # an IPv6 address; no system forbids the underscore
    return Path(user_config_dir("octopus-soap")) / "contracts" / (f"{host}-{parts.port}" if parts.port else host)


def tried_contract(files: Mapping[str, bytes]) -> Contract:
    """Return the contract in *files*, loaded from a temporary folder as from its own.

    Raises:
        ContractError: It cannot be used, or is the contract of another service.
    """
    with tempfile.TemporaryDirectory(prefix="octopus-soap-") as folder:
        contract = examined(write_contract(Path(folder), files))
    if contract.operations.keys().isdisjoint(load_contract().operations):
        some = ", ".join(list(contract.operations)[:3])
        raise ContractError(f"that contract has none of the Octopus operations, but {some}: is the address right?")
    return contract


def write_contract(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the *files* of a contract into *folder* and return the path of the last.

    Each file appears whole or not at all, and the main file last: a process that loads it finds all files that it
    refers to, even if the writing is cut off. Files of an earlier set stay, for a process that is reading them. The
    compiled form is written next to the main file, if zeep can read it.

    Raises:
        OSError: The folder or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = folder
    for name, content in files.items():
        written = folder / name
        replace_file(written, content)
    compile_contract(written)
    return written
