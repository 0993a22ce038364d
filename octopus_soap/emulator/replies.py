"""HTTP requests and replies, SOAP faults as of WCF, and pages of IIS and proxies.

Codes, namespaces and the English texts of faults are recorded or known of WCF. The translations are what a localized
.NET might write; they are here because clients must not match on English.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, TypeAlias
from xml.sax.saxutils import escape, quoteattr

from .xmltree import SOAP_ENVELOPE as SOAP
from .xmltree import XSI

if TYPE_CHECKING:
    from collections.abc import Mapping

DISPATCHER = "http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher"
ADDRESSING_NONE = "http://schemas.microsoft.com/ws/2005/05/addressing/none"
SERVICE_MODEL = "http://schemas.datacontract.org/2004/07/System.ServiceModel"

FaultKind: TypeAlias = Literal["internal", "internal-with-details", "deserialization", "action", "client-text", "typed"]

# kind -> local name and namespace of the faultcode; s:Client has the envelope's namespace
_CODES: dict[str, tuple[str, str]] = {
    "internal": ("InternalServiceFault", DISPATCHER),
    "internal-with-details": ("InternalServiceFault", DISPATCHER),
    "deserialization": ("DeserializationFailed", DISPATCHER),
    "action": ("ActionNotSupported", ADDRESSING_NONE),
    "client-text": ("Client", SOAP),
    "typed": ("Client", SOAP),
    "server-text": ("Server", SOAP),
    "version-mismatch": ("VersionMismatch", SOAP),
    "must-understand": ("MustUnderstand", SOAP),
}

INTERNAL_TEXT = {
    "en-US": (
        "The server was unable to process the request due to an internal error.  For more information about the "
        "error, either turn on IncludeExceptionDetailInFaults (either from ServiceBehaviorAttribute or from the "
        "<serviceDebug> configuration behavior) on the server in order to send the exception information back to the "
        "client, or turn on tracing as per the Microsoft .NET Framework SDK documentation and inspect the server "
        "trace logs."
    ),
    "tr-TR": (
        "Sunucu bir iç hata nedeniyle isteği işleyemedi. Hatayla ilgili daha fazla bilgi için, özel durum "
        "bilgilerini istemciye göndermek üzere sunucuda IncludeExceptionDetailInFaults seçeneğini açın."  # noqa: RUF001 - Turkish
    ),
    "it-IT": (
        "Il server non è in grado di elaborare la richiesta a causa di un errore interno. Per ulteriori informazioni "
        "sull'errore, attivare IncludeExceptionDetailInFaults nel server per inviare le informazioni sull'eccezione al "
        "client."
    ),
}
DETAILED_TEXT = "Object reference not set to an instance of an object."


@dataclass(eq=False)
class SoapFaultError(Exception):
    """A request answered with a fault.

    Args:
        kind: Which of WCF's faults.
        text: The faultstring; empty: the kind's own text in ``language``, its ``xml:lang``.
        status: The HTTP status; WCF's is 500, 200 was recorded of ChannelAdvisor's service.
        detail: XML of the ``<detail>`` element's content; None: no such element.
    """

    kind: str
    text: str = ""
    language: str = "en-US"
    status: int = 500
    detail: str | None = None


def deserialization_fault(parameter: str, reason: str) -> SoapFaultError:
    """Return the fault for an unreadable ``parameter`` (``http://tempuri.org/:iQP``)."""
    return SoapFaultError(
        "deserialization",
        "The formatter threw an exception while trying to deserialize the message: There was an error while trying "
        f"to deserialize parameter {parameter}. The InnerException message was '{reason}'.  Please see InnerException "
        "for more details.",
    )


def action_fault(action: str) -> SoapFaultError:
    """Return the fault for a SOAPAction the service does not know."""
    return SoapFaultError(
        "action",
        f"The message with Action '{action}' cannot be processed at the receiver, due to a ContractFilter mismatch at "
        "the EndpointDispatcher. This may be because of either a contract mismatch (mismatched Actions between "
        "sender and receiver) or a binding/security mismatch between the sender and the receiver.  Check that sender "
        "and receiver have the same contract and the same binding (including security requirements, e.g. Message, "
        "Transport, None).",
    )


def not_understood_fault(space: str, name: str) -> SoapFaultError:
    """Return the fault for an unknown header with ``mustUnderstand="1"``."""
    return SoapFaultError(
        "must-understand",
        f"The header '{name}' from the namespace '{space}' was not understood by the recipient of this message, "
        "causing the message to not be processed.  This error typically indicates that the sender of this message has "
        "enabled a communication protocol that the receiver cannot process.  Please ensure that the configuration of "
        "the client's binding is consistent with the service's binding. ",
    )


def sample_fault(kind: FaultKind, *, text: str, language: str, status: int) -> SoapFaultError:
    """Return a fault of the given kind for injection."""
    if kind == "internal-with-details":
        return SoapFaultError(kind, text or DETAILED_TEXT, language, status, _exception_detail(text or DETAILED_TEXT))
    if kind == "typed":
        detail = (
            '<ServiceFault xmlns="http://schemas.datacontract.org/2004/07/OctopusService" '
            f'xmlns:i="{XSI}"><Code>12</Code><Message>{escape(text or "The request is not valid.")}</Message>'
            "</ServiceFault>"
        )
        return SoapFaultError(kind, text or "The request is not valid.", language, status, detail)
    if kind == "deserialization":
        made = deserialization_fault("http://tempuri.org/:accountID", "The data at the root level is invalid.")
    elif kind == "action":
        made = action_fault("http://tempuri.org/IOctopusService/Unknown")
    else:
        made = SoapFaultError(kind, "The request could not be carried out." if kind == "client-text" else "")
    return SoapFaultError(kind, text or made.text, language, status)


def _exception_detail(message: str) -> str:
    return (
        f'<ExceptionDetail xmlns="{SERVICE_MODEL}" xmlns:i="{XSI}"><HelpLink i:nil="true"/>'
        f'<InnerException i:nil="true"/><Message>{escape(message)}</Message>'
        "<StackTrace>   at OctopusService.OctopusService.Execute()</StackTrace>"
        "<Type>System.NullReferenceException</Type></ExceptionDetail>"
    )


def fault_xml(fault: SoapFaultError) -> bytes:
    """Write a fault as WCF does: one line, no XML declaration, unqualified children."""
    name, space = _CODES[fault.kind]
    text = fault.text or INTERNAL_TEXT.get(fault.language, INTERNAL_TEXT["en-US"])
    code = f"<faultcode>s:{name}</faultcode>" if space == SOAP else f'<faultcode xmlns:a="{space}">a:{name}</faultcode>'
    detail = "" if fault.detail is None else f"<detail>{fault.detail}</detail>" if fault.detail else "<detail/>"
    return (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault>{code}'
        f"<faultstring xml:lang={quoteattr(fault.language)}>{escape(text)}</faultstring>{detail}"
        "</s:Fault></s:Body></s:Envelope>"
    ).encode()


TEXT_XML = "text/xml; charset=utf-8"
TEXT_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request with its whole body; header names are lower-case."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply.

    Args:
        content_type: The Content-Type; "" for none.
        reason: The reason phrase, if it differs from the standard one.
        dropped: Whether the connection is closed without an answer.
    """

    status: int
    body: bytes = b""
    content_type: str = TEXT_XML
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    dropped: bool = False

    def with_body(self, body: bytes) -> Reply:
        """Return the same reply with another body."""
        return replace(self, body=body)


def fault_reply(fault: SoapFaultError) -> Reply:
    """Return a fault as an HTTP reply."""
    return Reply(fault.status, fault_xml(fault))


def empty_reply(status: int, reason: str | None = None) -> Reply:
    """Return a reply without a body."""
    return Reply(status, b"", "", (), reason)


def html_reply(status: int, text: str = "", *, xhtml: bool = False) -> Reply:
    """Return an error page like those of IIS and of proxies."""
    title = f"{status} - {HTTPStatus(status).phrase}"
    words = escape(text or "The page cannot be displayed.")
    if xhtml:  # well-formed XML, which a client may take for a SOAP reply
        page = (
            '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head>'
            f"<title>{title}</title></head><body><h1>{title}</h1><p>{words}</p></body></html>"
        )
        return Reply(status, page.encode(), "application/xhtml+xml; charset=utf-8")
    page = (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\r\n'
        f"<html><head><title>{title}</title></head>\r\n<body><h2>{title}</h2><br><p>{words}</body></html>\r\n"
    )
    return Reply(status, page.encode(), TEXT_HTML)
