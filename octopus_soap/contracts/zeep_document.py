"""The contract as zeep reads it from a WSDL; the only module that imports zeep.

It is imported for a contract that has no compiled form, for `client.zeep`, and for pinning. Nothing is fetched from the
network: a contract's files are in its folder.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import zeep
import zeep.exceptions
import zeep.transports
import zeep.wsdl
from lxml import etree
from zeep.xsd.types.builtins import BuiltinType

from octopus_soap.contracts.bundled import LOCATIONS, STANDARD, XSD, is_unused, operation_names
from octopus_soap.contracts.compiled import CompiledContract, Member, OperationContract, Shape
from octopus_soap.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]+:")  # of a URL; a drive of Windows is one letter
_ZEEP_STUMBLES = (AttributeError, LookupError, NotImplementedError, TypeError, ValueError)
"""Errors other than its own that zeep raises on a schema that it does not understand."""


class ZeepDocument:
    """A WSDL as read by zeep.

    Attributes:
        document: zeep's own document.
        files: SHA-256 of each file that was read, by its path relative to the WSDL's folder.

    Raises:
        ContractError: The file is no WSDL with a SOAP 1.1 port, or refers to files that are not there.
    """

    def __init__(self, path: Path) -> None:
        files = _LocalFiles(path)
        loader: Any = files
        try:
            self.document = zeep.wsdl.Document(str(path), loader)
        except (OSError, etree.XMLSyntaxError, zeep.exceptions.Error, *_ZEEP_STUMBLES) as error:
            raise ContractError(f"cannot load the contract {path}: {error}") from error
        self.files = files.digests
        self._enumerations = files.enumerations
        self._path = path
        self._binding = self._port().binding
        self._shapes: dict[int, Shape] = {}

    def _port(self) -> Any:
        """Return the SOAP 1.1 port; of several, the one with most of the known operations."""
        ports = [
            port
            for service in self.document.services.values()
            for port in service.ports.values()
            if "soap11" in type(port.binding).__name__.lower()
        ]
        if not ports:
            raise ContractError(f"the contract {self._path} has no SOAP 1.1 port")
        if len(ports) == 1:
            return ports[0]
        return max(ports, key=lambda port: len(operation_names() & port.binding.all().keys()))

    @property
    def binding_name(self) -> str:
        """Qualified name of the SOAP 1.1 binding, for zeep."""
        return str(self._binding.name)

    def operations(self) -> dict[str, OperationContract]:
        """Return the operations by wire name."""
        return {name: self._operation(name, op) for name, op in self._binding.all().items()}

    def compiled(self) -> CompiledContract | None:
        """Return the compiled form; None if zeep cannot read every operation."""
        try:
            return CompiledContract(self.files, self.operations())
        except Exception:  # noqa: BLE001 - of any class, on a schema that zeep does not understand
            return None

    def _operation(self, name: str, op: Any) -> OperationContract:
        body = op.output.body if op.output is not None else None
        return OperationContract(
            name=name,
            action=op.soapaction or "",  # sent as "", which means "no intent" in SOAP 1.1
            request=self._member(op.input.body),
            response_name=f"{name}Response" if body is None else body.name,
            response=None if body is None else self._member(body),
        )

    def _member(self, element: Any) -> Member:
        qname = etree.QName(element.qname)
        return Member(
            name=qname.localname,
            namespace=qname.namespace or "",
            nillable=bool(element.nillable),
            many=element.max_occurs == "unbounded" or int(element.max_occurs) > 1,
            shape=self._shape(element.type),
        )

    def _shape(self, xsd_type: Any) -> Shape:
        known = self._shapes.get(id(xsd_type))
        if known is not None:
            return known
        qname = etree.QName(xsd_type.qname) if xsd_type.qname is not None else None
        shape = Shape(qname.localname if qname else "", (qname.namespace or "") if qname else "")
        self._shapes[id(xsd_type)] = shape  # before its members: types may refer to themselves
        elements = getattr(xsd_type, "elements", None)
        if elements is None:
            shape.scalar = _scalar(xsd_type)
            shape.enumeration = (shape.namespace, shape.name) in self._enumerations
        else:
            shape.members = tuple(self._member(element) for _, element in elements if hasattr(element, "qname"))
        return shape


def _scalar(xsd_type: Any) -> str:
    if xsd_type.qname is not None and xsd_type.qname.localname in {"guid", "char"}:
        return str(xsd_type.qname.localname)
    for base in type(xsd_type).__mro__:
        qname = base.__dict__.get("_default_qname")
        if issubclass(base, BuiltinType) and qname is not None and qname.namespace == XSD:
            return str(qname.localname)
    return "string"


class _LocalFiles(zeep.transports.Transport):  # type: ignore[misc] # zeep ships no types
    """Loads the files of a contract from its folder, and never from the network.

    Attributes:
        digests: SHA-256 of each file that was read, by its path relative to the folder.
        enumerations: Namespace and name of the enumerations, or of the element if it has a nameless one.
    """

    def __init__(self, main: Path) -> None:
        super().__init__()
        self._main, self._folder = main, main.parent.resolve()
        self.enumerations: set[tuple[str, str]] = set()
        self.digests: dict[str, str] = {}

    def load(self, url: str) -> bytes:
        if url in LOCATIONS:
            return LOCATIONS[url]
        if url == str(self._main):
            return self._noted(self._main.name, self._main.read_bytes())
        path = Path(url)
        if _SCHEME.match(url) or not self._is_inside(path):
            raise ContractError(
                f"the contract refers to {url[:200]!r}, which is not a file in its folder {self._folder}. Nothing is "
                "fetched: pin the contract with its schemas, octopus-soap wsdl pin"
            )
        return self._noted(path.resolve().relative_to(self._folder).as_posix(), path.read_bytes())

    def _noted(self, name: str, content: bytes) -> bytes:
        """Note the enumerations of a file, and let it import the shipped schemas."""
        self.digests[name] = hashlib.sha256(content).hexdigest()
        try:
            root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
        except etree.XMLSyntaxError:
            return content  # zeep's error has the reason
        for schema in root.iter(f"{{{XSD}}}schema"):
            for simple in schema.iter(f"{{{XSD}}}simpleType"):  # zeep does not keep which types are enumerations
                if simple.find(f"{{{XSD}}}restriction/{{{XSD}}}enumeration") is not None:
                    parent = simple.getparent()  # the element, of a type without a name
                    named = simple.get("name") or ("" if parent is None else parent.get("name") or "")
                    self.enumerations.add((schema.get("targetNamespace") or "", named))
        changed = False
        for each in list(root.iter(f"{{{XSD}}}import")):
            namespace = each.get("namespace")
            parent = each.getparent()
            if parent is not None and (namespace == XSD or is_unused(each)):
                parent.remove(each)  # Mono imports XML Schema itself, which every parser knows
            elif namespace in STANDARD:
                each.set("schemaLocation", STANDARD[namespace][0])
            else:
                continue
            changed = True
        return etree.tostring(root) if changed else content

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self._folder)
        except (OSError, ValueError, RuntimeError):  # a NUL, or a loop of links
            return False


class RawExchange(Protocol):
    """The part of a driver that `zeep_client` needs."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], /) -> Any:
        """Send *body* with the client's credentials and return a requests-like response."""


class _DriverTransport(zeep.transports.Transport):  # type: ignore[misc] # zeep ships no types
    """A zeep transport that sends through our driver, so zeep logs nothing."""

    def __init__(self, exchange: RawExchange) -> None:
        # Without zeep's own __init__, which makes a second requests session.
        self._exchange = exchange
        self._close_session = False
        self.cache = None
        self.load_timeout = self.operation_timeout = None

    def load(self, url: str) -> bytes:
        raise ContractError(f"nothing is loaded over the network: {url}")

    def get(self, address: Any, params: Any, headers: Any) -> Any:  # noqa: ARG002 - zeep's interface
        raise ContractError("the service speaks SOAP over POST only")

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> Any:
        return self._exchange(address, message, headers)

    def post_xml(self, address: str, envelope: Any, headers: Mapping[str, str]) -> Any:
        return self._exchange(address, etree.tostring(envelope, xml_declaration=True, encoding="utf-8"), headers)


class _EndpointClient(zeep.Client):  # type: ignore[misc] # zeep ships no types
    """A zeep client whose default service is at our endpoint, not the WSDL's."""

    def __init__(self, contract: ZeepDocument, endpoint: str, exchange: RawExchange) -> None:
        super().__init__(contract.document, transport=_DriverTransport(exchange))
        self._default_service = self.create_service(contract.binding_name, endpoint)


def zeep_client(contract: ZeepDocument, endpoint: str, exchange: RawExchange) -> zeep.Client:
    """Return a zeep client on *contract* that sends to *endpoint* through *exchange*."""
    return _EndpointClient(contract, endpoint, exchange)
